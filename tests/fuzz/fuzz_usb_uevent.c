// SPDX-License-Identifier: MIT
// What the kernel, or somebody who would like to be it, says of a device that came or went.

#include "host/supervisor/usb_monitor.h"
#include "host/usb_devices.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *const copy = malloc(size ? size : 1); // exact size: one byte too far is seen
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    char port[DX_USB_PORT_BYTES] = "";
    const bool is_understood = dx_usb_uevent_parse(copy, size, port);
    free(copy);
    /* Whatever is told becomes part of a path. */
    if (is_understood && (!dx_usb_is_port(port) || strchr(port, '/')))
        abort();
    return 0;
}
