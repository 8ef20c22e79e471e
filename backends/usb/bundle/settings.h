// SPDX-License-Identifier: MIT
// What the texts of a personality mean.

#ifndef DX_USB_BUNDLE_SETTINGS_H
#define DX_USB_BUNDLE_SETTINGS_H

#include "backends/net/stack.h"

/* How the adapter gets its address: fields of struct dx_net_stack_config. */
struct settings_address {
    enum dx_net_addressing addressing;
    uint32_t address, netmask, gateway; // of DX_NET_STATIC, host byte order; gateway 0: none
};

/** @return NULL; or what is wrong, as part of a sentence: then nothing is set. */
const char *settings_read_group(const char *group, uint32_t *ret_group);

/**
 * @param address  "dhcp", or an IPv4 address.
 * @param netmask  of that address; "": 255.255.255.0.
 * @param gateway  in its network; "": none.
 * @return as above.
 */
const char *settings_read_address(const char *address, const char *netmask, const char *gateway,
                                  struct settings_address *ret_address);

#endif /* DX_USB_BUNDLE_SETTINGS_H */
