// SPDX-License-Identifier: MIT
// Which drivers there are, and which of them is a device's.

#include "backends/usb/nic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct dx_nic_ops *const dx_nic_drivers[] = {
    &dx_nic_ax88772,
    &dx_nic_ncm, // before ECM: a device that has both prefers it
    &dx_nic_ecm,
    NULL,
};

int
dx_nic_find(const struct dx_usb_device *device, const struct dx_nic_ops **ret_ops, void **ret_nic,
            struct dx_nic_info *ret_info, char why[256])
{
    const uint8_t *const ids = device->device_descriptor + 8;
    int result = -ENOTSUP;
    for (size_t i = 0; dx_nic_drivers[i]; i++) {
        struct dx_nic_info info = {0};
        char lie[256] = "";
        void *const nic = calloc(1, dx_nic_drivers[i]->bytes);
        const int error = nic ? dx_nic_drivers[i]->probe(nic, device, &info, lie) : -ENOMEM;
        if (error == 0) {
            *ret_ops = dx_nic_drivers[i];
            *ret_nic = nic;
            *ret_info = info;
            return 0;
        }
        free(nic);
        if (error == -ENOMEM) {
            (void)snprintf(why, 256, "no memory");
            return error;
        }
        if (error == -EINVAL && result == -ENOTSUP) { // another function of the device may be a good one
            *ret_ops = dx_nic_drivers[i];
            memcpy(why, lie, sizeof lie);
            result = error;
        }
    }
    if (result == -ENOTSUP)
        (void)snprintf(why, 256, "%s: no driver takes %02x%02x:%02x%02x", device->path, ids[1], ids[0], ids[3], ids[2]);
    return result;
}
