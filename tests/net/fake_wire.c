// SPDX-License-Identifier: MIT
// A stack on a wire of the test's own, with simulated time; frames put together and taken apart byte by byte.

#include "tests/net/fake_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_wire wire;

uint32_t
get16(const uint8_t *bytes)
{
    return bytes[0] * 256u + bytes[1];
}

uint32_t
get32(const uint8_t *bytes)
{
    return get16(bytes) * 65536u + get16(bytes + 2);
}

uint64_t
get48(const uint8_t *bytes)
{
    return get16(bytes) * 4294967296ull + get32(bytes + 2);
}

void
put16(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)(value / 256);
    bytes[1] = (uint8_t)(value % 256);
}

void
put32(uint8_t *bytes, uint32_t value)
{
    put16(bytes, value / 65536);
    put16(bytes + 2, value % 65536);
}

void
put48(uint8_t *bytes, uint64_t value)
{
    put16(bytes, (uint32_t)(value / 4294967296ull));
    put32(bytes + 2, (uint32_t)(value % 4294967296ull));
}

uint32_t
slow_checksum(const uint8_t *bytes, uint32_t size)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < size; i += 2) {
        sum += bytes[i] * 256u + (i + 1 < size ? bytes[i + 1] : 0);
        if (sum > 65535)
            sum -= 65535; // the carry comes back in at the end
    }
    return 65535 - sum;
}

static int
keep_sent(void *context, const uint8_t *frame, uint32_t size) DX_REALTIME
{
    (void)context;
    if (wire.send_error)
        return wire.send_error;
    struct sent *const sent = &wire.sent[wire.sent_count++ % 512];
    if (size > sizeof sent->bytes || size < 14)
        __builtin_trap();
    sent->at_ns = wire.now_ns;
    sent->size = size;
    memcpy(sent->bytes, frame, size);
    return 0;
}

static void
keep_filter(void *context, const uint8_t (*groups)[6], uint32_t count)
{
    (void)context;
    wire.filter_calls++;
    wire.filter_count = count;
    for (uint32_t i = 0; i < count; i++)
        wire.filter[i] = get48(groups[i]);
}

static void
keep_address(void *context, uint32_t address, const char *how)
{
    (void)context;
    wire.address = address;
    wire.address_calls++;
    (void)snprintf(wire.how, sizeof wire.how, "%s", how);
}

void
wire_stop(void)
{
    dx_net_stack_destroy(wire.stack);
    wire.stack = NULL;
}

void
wire_start(const struct dx_net_stack_config *change)
{
    wire_stop();
    memset(&wire, 0, sizeof wire);
    wire.now_ns = S;
    struct dx_net_stack_config config = {
        .address = OUR_IP,
        .netmask = 0xffffff00,
        .gateway = ROUTER_IP,
        .seed = 1,
        .send = keep_sent,
        .set_filter = keep_filter,
        .address_changed = keep_address,
    };
    put48(config.mac, OUR_MAC);
    if (change) {
        config.addressing = change->addressing;
        config.igmp_version = change->igmp_version;
        memcpy(config.host_name, change->host_name, sizeof config.host_name);
        if (change->address) {
            config.address = change->address;
            config.netmask = change->netmask;
            config.gateway = change->gateway;
        }
        if (change->seed)
            config.seed = change->seed;
        if (change->mac[0])
            memcpy(config.mac, change->mac, 6);
    }
    if (dx_net_stack_create(&config, &wire.stack) != 0)
        abort();
    wire.net = dx_net_stack_net(wire.stack);
    dx_net_stack_set_link(wire.stack, true, wire.now_ns);
}

void
wire_run_until(uint64_t when_ns)
{
    for (unsigned polls = 0;; polls++) {
        const uint64_t next_ns = dx_net_stack_poll(wire.stack, wire.now_ns);
        if (next_ns > when_ns)
            break;
        if (polls > 100000) // it asks to be polled again and again, and nothing goes on
            abort();
        if (next_ns > wire.now_ns)
            wire.now_ns = next_ns;
    }
    if (when_ns > wire.now_ns)
        wire.now_ns = when_ns;
}

void
wire_run_for(uint64_t ns)
{
    wire_run_until(wire.now_ns + ns);
}

const struct sent *
wire_take(void)
{
    return wire.taken == wire.sent_count ? NULL : &wire.sent[wire.taken++ % 512];
}

const struct sent *
wire_take_arp(void)
{
    const struct sent *sent;
    while ((sent = wire_take()) && get16(sent->bytes + 12) != 0x0806)
        continue;
    return sent;
}

const struct sent *
wire_take_ip(uint8_t protocol)
{
    const struct sent *sent;
    while ((sent = wire_take()) && (get16(sent->bytes + 12) != 0x0800 || sent->bytes[14 + 9] != protocol))
        continue;
    return sent;
}

void
wire_forget_sent(void)
{
    wire.taken = wire.sent_count;
}

void
wire_give(const uint8_t *frame, uint32_t size)
{
    uint8_t *const copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    memcpy(copy, frame, size);
    dx_net_stack_input(wire.stack, copy, size, wire.now_ns);
    free(copy);
}

void
wire_give_arp(uint32_t operation, uint64_t to_mac, uint64_t from_mac, uint32_t from, uint64_t about_mac,
              uint32_t about)
{
    uint8_t frame[60] = {0}; // padded, as on the wire
    put48(frame, to_mac);
    put48(frame + 6, from_mac);
    put16(frame + 12, 0x0806);
    put16(frame + 14, 1);
    put16(frame + 16, 0x0800);
    frame[18] = 6;
    frame[19] = 4;
    put16(frame + 20, operation);
    put48(frame + 22, from_mac);
    put32(frame + 28, from);
    put48(frame + 32, about_mac);
    put32(frame + 38, about);
    wire_give(frame, sizeof frame);
}

uint32_t
make_ip(uint8_t *frame, uint64_t to_mac, uint64_t from_mac, uint32_t from, uint32_t to, uint8_t protocol,
        const uint8_t *payload, uint32_t size)
{
    put48(frame, to_mac);
    put48(frame + 6, from_mac);
    put16(frame + 12, 0x0800);
    uint8_t *const ip = frame + 14;
    memset(ip, 0, 20);
    ip[0] = 0x45;
    put16(ip + 2, 20 + size);
    put16(ip + 4, 0x1234);
    ip[8] = 64;
    ip[9] = protocol;
    put32(ip + 12, from);
    put32(ip + 16, to);
    put16(ip + 10, slow_checksum(ip, 20));
    if (size)
        memcpy(ip + 20, payload, size);
    return 34 + size;
}

uint32_t
make_udp(uint8_t *frame, uint64_t to_mac, uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port,
         const void *data, uint32_t size)
{
    uint8_t bytes[12 + 8 + DX_UDP_MAX_BYTES]; // the pseudo header in front
    put32(bytes, from);
    put32(bytes + 4, to);
    put16(bytes + 8, 17);
    put16(bytes + 10, 8 + size);
    put16(bytes + 12, from_port);
    put16(bytes + 14, to_port);
    put16(bytes + 16, 8 + size);
    put16(bytes + 18, 0);
    if (size)
        memcpy(bytes + 20, data, size);
    const uint32_t checksum = slow_checksum(bytes, 20 + size);
    put16(bytes + 18, checksum ? checksum : 0xffff);
    return make_ip(frame, to_mac, PEER_MAC, from, to, 17, bytes + 12, 8 + size);
}

void
wire_give_ip(uint64_t to_mac, uint64_t from_mac, uint32_t from, uint32_t to, uint8_t protocol,
             const uint8_t *payload, uint32_t size)
{
    uint8_t frame[1514];
    wire_give(frame, make_ip(frame, to_mac, from_mac, from, to, protocol, payload, size));
}

void
wire_give_udp(uint64_t to_mac, uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port, const void *data,
              uint32_t size)
{
    uint8_t frame[1514];
    wire_give(frame, make_udp(frame, to_mac, from, from_port, to, to_port, data, size));
}

static void
hear(void *context, const struct dx_udp_datagram *datagram)
{
    struct heard *const heard = context;
    heard->count++;
    heard->size = datagram->size;
    heard->from = datagram->from;
    heard->to = datagram->to;
    heard->at_ns = datagram->received_ns;
    memcpy(heard->bytes, datagram->data, datagram->size);
}

struct dx_udp *
wire_open(uint32_t address, uint16_t port, struct heard *heard)
{
    const struct dx_udp_config config = {.address = address, .port = port, .context = heard, .received = hear};
    struct dx_udp *socket = NULL;
    if (dx_udp_open(wire.net, &config, &socket) != 0)
        abort();
    return socket;
}

struct dx_net_stack_counters
wire_counters(void)
{
    struct dx_net_stack_counters counters;
    dx_net_stack_get_counters(wire.stack, &counters);
    return counters;
}
