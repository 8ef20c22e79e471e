// SPDX-License-Identifier: MIT
// What the texts of a personality mean.

#include "backends/usb/bundle/settings.h"

#include "backends/net/wire.h"

#include <arpa/inet.h>
#include <string.h>

#define DEFAULT_NETMASK 0xffffff00u

static bool
read_ipv4(const char *text, uint32_t *ret_address)
{
    struct in_addr address;
    if (inet_pton(AF_INET, text, &address) != 1)
        return false;
    *ret_address = ntohl(address.s_addr);
    return true;
}

const char *
settings_read_group(const char *group, uint32_t *ret_group)
{
    uint32_t address = 0;
    if (!read_ipv4(group, &address) || address >> 28 != 14) // 224.0.0.0 to 239.255.255.255
        return "Group must be an IPv4 multicast address";
    *ret_group = address;
    return NULL;
}

const char *
settings_read_address(const char *address, const char *netmask, const char *gateway,
                      struct settings_address *ret_address)
{
    struct settings_address read = {.addressing = DX_NET_STATIC, .netmask = DEFAULT_NETMASK};
    if (strcmp(address, "dhcp") == 0) {
        if (*netmask || *gateway)
            return "Netmask and Gateway are for an Address that is not \"dhcp\"";
        *ret_address = (struct settings_address){.addressing = DX_NET_DHCP};
        return NULL;
    }
    if (!read_ipv4(address, &read.address))
        return "Address must be \"dhcp\" or an IPv4 address";
    if (*netmask && (!read_ipv4(netmask, &read.netmask) || !read.netmask || !dx_ip_is_netmask(read.netmask)))
        return "Netmask must be as 255.255.255.0 is, ones and then zeros";
    if (!dx_ip_is_host_of(read.address, read.netmask))
        return "Address must be one that a host of its network can have";
    if (*gateway && (!read_ipv4(gateway, &read.gateway) || !dx_ip_is_host_of(read.gateway, read.netmask) ||
                     read.gateway == read.address || (read.gateway ^ read.address) & read.netmask))
        return "Gateway must be another host of Address's network";
    *ret_address = read;
    return NULL;
}
