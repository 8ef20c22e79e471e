// SPDX-License-Identifier: MIT
// Requests that wait; and the standard ones as the control transfers that they are, for backends without a kernel that makes them.

#ifndef DX_USB_REQUEST_H
#define DX_USB_REQUEST_H

#include "backends/usb/transfer.h"

#define DX_USB_CLEAR_FEATURE 1u
#define DX_USB_SET_FEATURE 3u
#define DX_USB_GET_DESCRIPTOR 6u
#define DX_USB_GET_CONFIGURATION 8u
#define DX_USB_SET_CONFIGURATION 9u
#define DX_USB_SET_INTERFACE 11u
/* A reset has no request of its own. As Linux's USB/IP does it: the hub's port is asked for one. */
#define DX_USB_TO_PORT 0x23u
#define DX_USB_PORT_RESET 4u

/**
 * Prepares a transfer, has it submitted, waits until it has completed, and unprepares it: its callback is taken for that.
 *
 * @param submit  dx_usb_submit(), or that of the backend, which no tap sees.
 * @return the transfer's status, or why there was none.
 */
int dx_request_run(struct dx_usb_device *device, struct dx_usb_transfer *transfer,
                   int (*submit)(struct dx_usb_device *device, struct dx_usb_transfer *transfer));

/* Entries of struct dx_usb_ops. They are not shown to a tap: whoever calls the table shows them. */
int dx_request_set_configuration(struct dx_usb_device *device, uint8_t value);
int dx_request_set_interface(struct dx_usb_device *device, uint8_t interface, uint8_t alternate);
int dx_request_clear_halt(struct dx_usb_device *device, uint8_t endpoint);
int dx_request_reset(struct dx_usb_device *device);
/** There is no kernel driver to take it from, or to give it to. */
int dx_request_claim(struct dx_usb_device *device, uint8_t interface);

#endif /* DX_USB_REQUEST_H */
