// SPDX-License-Identifier: MIT
// Requests that wait: the calling thread makes them, the wire thread completes them.

#include "backends/usb/request.h"

#include <semaphore.h>

static void
post(struct dx_usb_transfer *transfer)
{
    (void)sem_post(transfer->context); // cannot fail below SEM_VALUE_MAX
}

int
dx_request_run(struct dx_usb_device *device, struct dx_usb_transfer *transfer,
               int (*submit)(struct dx_usb_device *device, struct dx_usb_transfer *transfer))
{
    sem_t done;
    transfer->completed = post;
    transfer->context = &done;
    int result = dx_usb_prepare(device, transfer);
    if (result < 0)
        return result;
    (void)sem_init(&done, 0, 0); // cannot fail for 0
    result = submit(device, transfer);
    if (result == 0) {
        while (sem_wait(&done) < 0)
            ; // EINTR
        result = transfer->status;
    }
    (void)sem_destroy(&done); // cannot fail: nobody waits
    dx_usb_unprepare(device, transfer);
    return result;
}

static int
request(struct dx_usb_device *device, uint8_t type, uint8_t number, uint16_t value, uint16_t index)
{
    struct dx_usb_transfer transfer = {
        .kind = DX_USB_CONTROL,
        .setup = {.request_type = type, .request = number, .value = value, .index = index},
        .timeout_ms = DX_USB_CONTROL_TIMEOUT_MS,
    };
    return dx_request_run(device, &transfer, device->ops->submit);
}

int
dx_request_set_configuration(struct dx_usb_device *device, uint8_t value)
{
    return request(device, 0x00, DX_USB_SET_CONFIGURATION, value, 0);
}

int
dx_request_set_interface(struct dx_usb_device *device, uint8_t interface, uint8_t alternate)
{
    return request(device, 0x01, DX_USB_SET_INTERFACE, alternate, interface);
}

int
dx_request_clear_halt(struct dx_usb_device *device, uint8_t endpoint)
{
    return request(device, 0x02, DX_USB_CLEAR_FEATURE, 0, endpoint);
}

int
dx_request_reset(struct dx_usb_device *device)
{
    return request(device, DX_USB_TO_PORT, DX_USB_SET_FEATURE, DX_USB_PORT_RESET, 0);
}

int
dx_request_claim(struct dx_usb_device *device, uint8_t interface)
{
    (void)device;
    (void)interface;
    return 0;
}
