// SPDX-License-Identifier: MIT
// What CDC-ECM and CDC-NCM have in common: their descriptors, the MAC, the packet filter and the link.

#ifndef DX_USB_CDC_H
#define DX_USB_CDC_H

#include "backends/usb/nic.h"

#define DX_CDC_ECM 0x06u // bInterfaceSubClass
#define DX_CDC_NCM 0x0du

/* How long a frame may be where a device says less or more. */
#define DX_CDC_MIN_SEGMENT 1514u
#define DX_CDC_MAX_SEGMENT DX_FRAME_MAX

/* One function of a device; and what it has told. */
struct dx_cdc {
    /* As the descriptors say. */
    uint8_t configuration; // bConfigurationValue
    uint8_t control;       // interface
    uint8_t data;          // interface; the same one where both are in one
    uint8_t alternate;     // of the data interface: the setting that works. 0: it has no other
    uint8_t mac_string;    // 0: none
    uint8_t capabilities;  // bmNetworkCapabilities; of NCM
    uint16_t version;      // bcdNcmVersion, or bcdCDC
    uint16_t max_frame;
    uint16_t filter_count; // groups that it takes a list of; 0: none
    bool tells_link;       // has an interrupt endpoint

    /* The wire thread's: a notification of which there is only a part. */
    uint8_t notification[16];
    uint32_t notification_bytes;

    /* The request thread's. */
    uint32_t link_polls;

    /* From dx_cdc_notified() to dx_cdc_poll_link(). */
    _Atomic uint32_t connection; // enum dx_cdc_connection
    _Atomic uint32_t megabits;
};

enum dx_cdc_connection { DX_CDC_UNTOLD, DX_CDC_DOWN, DX_CDC_UP };

/**
 * Finds a function by descriptors alone, in the configuration that is set or else in any other.
 *
 * @return 0, with the endpoints and interfaces of `info`; -ENOTSUP: there is none; -EINVAL: what there is cannot
 *   be used.
 */
int dx_cdc_find(struct dx_cdc *cdc, const struct dx_usb_device *device, uint8_t subclass, struct dx_nic_info *info,
                char why[256]);

/* ---- requests, on the request thread ---- */

/** Sets its configuration if it is another one, and claims its interfaces. On failure none is claimed. */
int dx_cdc_claim(const struct dx_cdc *cdc, struct dx_usb_device *device, char why[256]);

/** Stops it (alternate setting 0), and releases its interfaces. */
void dx_cdc_release(const struct dx_cdc *cdc, struct dx_usb_device *device);

/** Selects a setting of the data interface. One that has a single setting may stall: that is no error. */
int dx_cdc_select(const struct dx_cdc *cdc, struct dx_usb_device *device, uint8_t alternate);

/** A class request to the control interface. @return bytes, or an error. */
int dx_cdc_get(const struct dx_cdc *cdc, struct dx_usb_device *device, uint8_t request, void *data,
               uint16_t length);
int dx_cdc_set(const struct dx_cdc *cdc, struct dx_usb_device *device, uint8_t request, uint16_t value, void *data,
               uint16_t length);

/**
 * Reads the MAC. One that is no station's is replaced by a locally administered one, the same each time where the
 * device is.
 *
 * @return 0; -ENODEV.
 */
int dx_cdc_read_mac(const struct dx_cdc *cdc, struct dx_usb_device *device, struct dx_nic_info *info);

/**
 * Lets through what is for this station, broadcasts, all groups, and, where the device takes a list, these ones. A
 * device that refuses does as it likes.
 *
 * @return 0; -ENODEV.
 */
int dx_cdc_set_filter(const struct dx_cdc *cdc, struct dx_usb_device *device, const uint8_t (*groups)[6],
                      uint32_t count, bool is_all);

/* ---- link ---- */

/** Forgets what was told; before the working setting is selected. */
void dx_cdc_reset_link(struct dx_cdc *cdc);

/** One packet of the interrupt endpoint. @return whether the link changed. Wire thread. */
bool dx_cdc_notified(struct dx_cdc *cdc, const uint8_t *data, uint32_t size, struct dx_nic_link *link) DX_REALTIME;

/**
 * What was told. Where that is nothing the link is up from the second call on: there are devices that never tell.
 */
int dx_cdc_poll_link(struct dx_cdc *cdc, struct dx_nic_link *link);

#endif /* DX_USB_CDC_H */
