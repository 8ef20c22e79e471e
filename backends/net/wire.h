// SPDX-License-Identifier: MIT
// Bytes of frames: numbers, checksums, lengths.

#ifndef DX_NET_WIRE_H
#define DX_NET_WIRE_H

#include <dextral/base.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define DX_ETHERNET_BYTES 14u
#define DX_ETHERNET_MAX_BYTES 1514u
#define DX_IP_BYTES 20u
#define DX_IP_ALL_HOSTS 0xe0000001u   // 224.0.0.1
#define DX_IP_ALL_ROUTERS 0xe0000002u // 224.0.0.2
#define DX_IP_ALL_IGMPV3 0xe0000016u  // 224.0.0.22
#define DX_IP_BROADCAST 0xffffffffu
#define DX_IP_LINK_LOCAL 0xa9fe0000u // 169.254/16
#define DX_UDP_BYTES 8u

enum { DX_ETHERTYPE_IPV4 = 0x0800, DX_ETHERTYPE_ARP = 0x0806, DX_ETHERTYPE_VLAN = 0x8100 };
enum { DX_PROTOCOL_ICMP = 1, DX_PROTOCOL_IGMP = 2, DX_PROTOCOL_UDP = 17 };

static inline uint32_t
dx_read16(const uint8_t *bytes) DX_REALTIME
{
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

static inline uint32_t
dx_read32(const uint8_t *bytes) DX_REALTIME
{
    return dx_read16(bytes) << 16 | dx_read16(bytes + 2);
}

static inline void
dx_write16(uint8_t *bytes, uint32_t value) DX_REALTIME
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static inline void
dx_write32(uint8_t *bytes, uint32_t value) DX_REALTIME
{
    dx_write16(bytes, value >> 16);
    dx_write16(bytes + 2, value);
}

/* A MAC as the low 48 bits of a number. */
static inline uint64_t
dx_read_mac(const uint8_t *bytes) DX_REALTIME
{
    return (uint64_t)dx_read16(bytes) << 32 | dx_read32(bytes + 2);
}

static inline void
dx_write_mac(uint8_t *bytes, uint64_t mac) DX_REALTIME
{
    dx_write16(bytes, (uint32_t)(mac >> 32));
    dx_write32(bytes + 2, (uint32_t)mac);
}

#define DX_MAC_BROADCAST 0xffffffffffffull

static inline bool
dx_mac_is_group(uint64_t mac) DX_REALTIME
{
    return mac >> 40 & 1;
}

static inline bool
dx_ip_is_group(uint32_t address) DX_REALTIME
{
    return address >> 28 == 0xe;
}

static inline bool
dx_ip_is_link_local(uint32_t address) DX_REALTIME
{
    return (address & 0xffff0000u) == DX_IP_LINK_LOCAL;
}

/* What one host can have: neither 0/8, loopback, a group, nor above. */
static inline bool
dx_ip_is_host(uint32_t address) DX_REALTIME
{
    return address >> 24 != 0 && address >> 24 != 127 && address >> 28 < 0xe;
}

/* Without a hole. */
static inline bool
dx_ip_is_netmask(uint32_t netmask) DX_REALTIME
{
    return (~netmask & (~netmask + 1)) == 0;
}

/* What one host of a network can have: not the network itself, nor all of it. RFC 3021: two hosts need neither. */
static inline bool
dx_ip_is_host_of(uint32_t address, uint32_t netmask) DX_REALTIME
{
    const uint32_t hosts = ~netmask;
    return dx_ip_is_host(address) && (hosts <= 1 || ((address & hosts) != 0 && (address & hosts) != hosts));
}

/* RFC 1112, 6.4: the low 23 bits. */
static inline uint64_t
dx_ip_group_mac(uint32_t group) DX_REALTIME
{
    return 0x01005e000000ull | (group & 0x7fffff);
}

/*
 * RFC 1071. A sum of 16-bit words does not depend on the byte order, nor on how many of them are added at once, as
 * long as carries come back in: so it is taken in the machine's order, by 64 bits.
 *
 * @return less than 2^34: some of them may be added.
 */
static inline uint64_t
dx_sum(const uint8_t *bytes, uint32_t size) DX_REALTIME
{
    uint64_t sum = 0, word = 0;
    for (; size >= 8; bytes += 8, size -= 8) {
        memcpy(&word, bytes, 8);
        sum += word;
        sum += sum < word; // the carry
    }
    if (size) { // the rest, with zeros behind it
        word = 0;
        for (uint32_t i = 0; i < size; i++)
            ((uint8_t *)&word)[i] = bytes[i];
        sum += word;
        sum += sum < word;
    }
    return (sum & 0xffffffff) + (sum >> 32);
}

/* The sum folded, complemented, and in host byte order; 0 for what holds its own checksum. */
static inline uint32_t
dx_sum_finish(uint64_t sum) DX_REALTIME
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    const uint16_t folded = (uint16_t)~sum;
    uint8_t bytes[2];
    memcpy(bytes, &folded, 2);
    return dx_read16(bytes);
}

static inline uint32_t
dx_checksum(const uint8_t *bytes, uint32_t size) DX_REALTIME
{
    return dx_sum_finish(dx_sum(bytes, size));
}

/* The checksum of UDP from the header on, with the pseudo header's; of what is received: 0 where it is right. */
static inline uint32_t
dx_udp_checksum(uint32_t from, uint32_t to, const uint8_t *udp, uint32_t size) DX_REALTIME
{
    uint8_t pseudo[12];
    dx_write32(pseudo, from);
    dx_write32(pseudo + 4, to);
    dx_write16(pseudo + 8, DX_PROTOCOL_UDP);
    dx_write16(pseudo + 10, size);
    return dx_sum_finish(dx_sum(pseudo, sizeof pseudo) + dx_sum(udp, size));
}

#endif /* DX_NET_WIRE_H */
