// SPDX-License-Identifier: MIT
// Transfers by the table of the backend.

#include "backends/usb/transfer.h"

#include "backends/usb/capture.h"

#include <errno.h>
#include <stdlib.h>

int
dx_usb_prepare(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    return device->ops->prepare(device, transfer);
}

void
dx_usb_unprepare(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    if (transfer->backend)
        device->ops->unprepare(device, transfer);
}

int
dx_usb_submit(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    if (!transfer->backend || transfer->size > transfer->capacity)
        return -EINVAL;
    return device->tap ? dx_usb_tap_submit(device->tap, device, transfer) : device->ops->submit(device, transfer);
}

void
dx_usb_cancel(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    if (transfer->backend)
        (void)device->ops->cancel(device, transfer);
}

int
dx_usb_pump(struct dx_usb_device *device, uint64_t deadline_ns)
{
    return device->ops->pump(device, deadline_ns);
}

void
dx_usb_wake(struct dx_usb_device *device)
{
    device->ops->wake(device);
}

void
dx_usb_close(struct dx_usb_device *device)
{
    if (!device)
        return;
    for (uint32_t i = 0; i < device->configuration_count; i++)
        free(device->configurations[i].bytes);
    device->ops->close(device);
}
