// SPDX-License-Identifier: MIT
// DHCP messages: RFC 2131, 2 and RFC 2132.

#include "backends/net/dhcp_message.h"

#include "backends/net/wire.h"

#include <string.h>

enum {
    AT_XID = 4,
    AT_SECS = 8,
    AT_CIADDR = 12,
    AT_YIADDR = 16,
    AT_CHADDR = 28,
    AT_SNAME = 44,
    AT_FILE = 108,
    AT_COOKIE = 236,
    AT_OPTIONS = 240,
    SNAME_BYTES = 64,
    FILE_BYTES = 128,
    LEAST_BYTES = 300, // RFC 1542, 2.1: relays may drop what is shorter
};

enum {
    OPTION_PAD = 0,
    OPTION_NETMASK = 1,
    OPTION_ROUTER = 3,
    OPTION_HOST_NAME = 12,
    OPTION_REQUESTED = 50,
    OPTION_LEASE = 51,
    OPTION_OVERLOAD = 52,
    OPTION_TYPE = 53,
    OPTION_SERVER = 54,
    OPTION_PARAMETERS = 55,
    OPTION_MAX_SIZE = 57,
    OPTION_T1 = 58,
    OPTION_T2 = 59,
    OPTION_CLIENT = 61,
    OPTION_END = 255,
};

#define COOKIE 0x63825363u

/* One option into the reply. @return false if its length is not that of its kind. */
static bool
take_option(struct dx_dhcp_reply *reply, uint8_t *overload, uint32_t code, const uint8_t *value, uint32_t size)
{
    uint32_t *number;
    switch (code) {
    case OPTION_TYPE:
        reply->type = value[0];
        return size == 1;
    case OPTION_OVERLOAD:
        *overload = value[0];
        return size == 1 && value[0] >= 1 && value[0] <= 3;
    case OPTION_ROUTER: // several, by preference
        reply->router = size >= 4 ? dx_read32(value) : 0;
        return size >= 4 && size % 4 == 0;
    case OPTION_NETMASK:
        number = &reply->netmask;
        break;
    case OPTION_SERVER:
        number = &reply->server;
        break;
    case OPTION_LEASE:
        reply->has_lease = true;
        number = &reply->lease_s;
        break;
    case OPTION_T1:
        number = &reply->renew_s;
        break;
    case OPTION_T2:
        number = &reply->rebind_s;
        break;
    default:
        return true;
    }
    if (size != 4)
        return false;
    *number = dx_read32(value);
    return true;
}

/* The options of one field, to the end mark or the end of the field. */
static bool
take_options(struct dx_dhcp_reply *reply, uint8_t *overload, const uint8_t *options, uint32_t size)
{
    for (uint32_t at = 0; at < size && options[at] != OPTION_END;) {
        if (options[at] == OPTION_PAD) {
            at++;
            continue;
        }
        if (size - at < 2 || size - at - 2 < options[at + 1])
            return false;
        const uint32_t length = options[at + 1];
        if (length && !take_option(reply, overload, options[at], options + at + 2, length))
            return false;
        at += 2 + length;
    }
    return true;
}

bool
dx_dhcp_parse(const uint8_t *data, uint32_t size, struct dx_dhcp_reply *ret_reply)
{
    if (size < AT_OPTIONS || data[0] != 2 || data[1] != 1 || data[2] != 6 || dx_read32(data + AT_COOKIE) != COOKIE)
        return false;
    struct dx_dhcp_reply reply = {
        .xid = dx_read32(data + AT_XID),
        .mac = dx_read_mac(data + AT_CHADDR),
        .address = dx_read32(data + AT_YIADDR),
    };
    uint8_t overload = 0, nested = 0;
    if (!take_options(&reply, &overload, data + AT_OPTIONS, size - AT_OPTIONS))
        return false;
    // RFC 2131, 4.1: the field "file" first. Overloading once more in there means nothing.
    if (overload & 1 && !take_options(&reply, &nested, data + AT_FILE, FILE_BYTES))
        return false;
    if (overload & 2 && !take_options(&reply, &nested, data + AT_SNAME, SNAME_BYTES))
        return false;
    if (!reply.type)
        return false;
    *ret_reply = reply;
    return true;
}

static uint8_t *
put_option(uint8_t *at, uint8_t code, const void *value, uint8_t size)
{
    at[0] = code;
    at[1] = size;
    memcpy(at + 2, value, size);
    return at + 2 + size;
}

static uint8_t *
put_address(uint8_t *at, uint8_t code, uint32_t address)
{
    uint8_t value[4];
    dx_write32(value, address);
    return address ? put_option(at, code, value, 4) : at;
}

uint32_t
dx_dhcp_build(uint8_t *message, const struct dx_dhcp_request *request)
{
    static const uint8_t parameters[] = {OPTION_NETMASK, OPTION_ROUTER, OPTION_LEASE,
                                         OPTION_SERVER,  OPTION_T1,     OPTION_T2};
    memset(message, 0, DX_DHCP_MAX_BYTES);
    message[0] = 1;
    message[1] = 1;
    message[2] = 6;
    dx_write32(message + AT_XID, request->xid);
    dx_write16(message + AT_SECS, request->elapsed_s);
    dx_write32(message + AT_CIADDR, request->client);
    dx_write_mac(message + AT_CHADDR, request->mac);
    dx_write32(message + AT_COOKIE, COOKIE);

    uint8_t *at = put_option(message + AT_OPTIONS, OPTION_TYPE, &request->type, 1);
    uint8_t client[7] = {1};
    dx_write_mac(client + 1, request->mac);
    at = put_option(at, OPTION_CLIENT, client, sizeof client);
    at = put_address(at, OPTION_REQUESTED, request->requested);
    at = put_address(at, OPTION_SERVER, request->server);
    if (request->type != DX_DHCP_DECLINE) {
        at = put_option(at, OPTION_PARAMETERS, parameters, sizeof parameters);
        at = put_option(at, OPTION_MAX_SIZE, (const uint8_t[]){1500 >> 8, 1500 & 255}, 2);
        const size_t name_bytes = strnlen(request->host_name, 63);
        if (name_bytes)
            at = put_option(at, OPTION_HOST_NAME, request->host_name, (uint8_t)name_bytes);
    }
    *at++ = OPTION_END;
    const uint32_t size = (uint32_t)(at - message);
    return size > LEAST_BYTES ? size : LEAST_BYTES;
}
