// SPDX-License-Identifier: MIT
// What drivers share: which there are, which of them is a device's, and addresses.

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

bool
dx_nic_mac_is_valid(const uint8_t mac[6])
{
    static const uint8_t zeros[6];
    return !(mac[0] & 1u) && memcmp(mac, zeros, 6) != 0;
}

static uint64_t
hash_byte(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * 0x100000001b3u; // FNV-1a
}

void
dx_nic_make_mac(const struct dx_usb_device *device, uint8_t ret_mac[6])
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 8; i < 12; i++) // vendor and product
        hash = hash_byte(hash, device->device_descriptor[i]);
    for (const char *at = device->path; *at; at++)
        hash = hash_byte(hash, (uint8_t)*at);
    for (size_t i = 0; i < 6; i++)
        ret_mac[i] = (uint8_t)(hash >> 8 * i);
    ret_mac[0] = (uint8_t)((ret_mac[0] & 0xfcu) | 0x02u);
}
