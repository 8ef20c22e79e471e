// SPDX-License-Identifier: MIT
// DHCP messages: RFC 2131, 2 and RFC 2132.

#ifndef DX_NET_DHCP_MESSAGE_H
#define DX_NET_DHCP_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    DX_DHCP_DISCOVER = 1,
    DX_DHCP_OFFER = 2,
    DX_DHCP_REQUEST = 3,
    DX_DHCP_DECLINE = 4,
    DX_DHCP_ACK = 5,
    DX_DHCP_NAK = 6,
};

enum { DX_DHCP_MAX_BYTES = 576 - 28 }; // of what is sent

/* What a server says. Addresses in host byte order; 0: not said. */
struct dx_dhcp_reply {
    uint8_t type;
    uint32_t xid;
    uint64_t mac;
    uint32_t address; // yiaddr
    uint32_t server, netmask, router;
    bool has_lease;
    uint32_t lease_s;           // 0xffffffff: for ever
    uint32_t renew_s, rebind_s; // T1, T2
};

/* What a client says. 0: left out. */
struct dx_dhcp_request {
    uint8_t type;
    uint32_t xid;
    uint64_t mac;
    uint16_t elapsed_s;
    uint32_t client;    // ciaddr
    uint32_t requested; // option 50
    uint32_t server;    // option 54
    const char *host_name;
};

/**
 * Takes a server's message apart.
 *
 * @return false for what is no such message, or lies about a length.
 */
bool dx_dhcp_parse(const uint8_t *data, uint32_t size, struct dx_dhcp_reply *ret_reply);

/** Writes a client's message. @param message  room for DX_DHCP_MAX_BYTES. @return its size. */
uint32_t dx_dhcp_build(uint8_t *message, const struct dx_dhcp_request *request);

#endif /* DX_NET_DHCP_MESSAGE_H */
