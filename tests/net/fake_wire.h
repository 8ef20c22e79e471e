// SPDX-License-Identifier: MIT
// A stack on a wire of the test's own, with simulated time; frames put together and taken apart byte by byte.

#ifndef DX_TESTS_NET_FAKE_WIRE_H
#define DX_TESTS_NET_FAKE_WIRE_H

#include "backends/net/stack.h"

#define MS 1000000ull
#define S 1000000000ull

#define OUR_MAC 0x020000000001ull
#define PEER_MAC 0x020000000002ull
#define OTHER_MAC 0x020000000003ull
#define ALL_MACS 0xffffffffffffull
#define OUR_IP 0xc0000201u  // 192.0.2.1
#define PEER_IP 0xc0000202u // 192.0.2.2
#define OTHER_IP 0xc0000203u
#define ROUTER_IP 0xc00002feu // 192.0.2.254
#define GROUP 0xef450001u     // 239.69.0.1
#define GROUP_MAC 0x01005e450001ull

/* A frame that the stack sent. */
struct sent {
    uint64_t at_ns;
    uint32_t size;
    uint8_t bytes[1514];
};

struct fake_wire {
    struct dx_net_stack *stack;
    struct dx_net *net;
    uint64_t now_ns;
    struct sent sent[512];
    uint32_t sent_count, taken;
    int send_error;
    uint64_t filter[64]; // what the adapter was told to let through
    uint32_t filter_count, filter_calls;
    uint32_t address; // as last told
    uint32_t address_calls;
    char how[80];
};

extern struct fake_wire wire;

/* What a socket received last, and how much. */
struct heard {
    uint32_t count, size, to;
    struct dx_udp_address from;
    uint64_t at_ns;
    uint8_t bytes[DX_UDP_MAX_BYTES];
};

/**
 * Stops what was there, and starts 192.0.2.1/24 by way of 192.0.2.254, seed 1, at 1 s; link up. Fields of `change`
 * that are not 0 go before.
 */
void wire_start(const struct dx_net_stack_config *change);
void wire_stop(void);

/** Time goes on; polls happen exactly when the stack asked for them. */
void wire_run_until(uint64_t when_ns);
void wire_run_for(uint64_t ns);

/** The next frame that the stack sent; NULL: none. */
const struct sent *wire_take(void);
/** The next of an EtherType, of IGMP, of DHCP; others are passed over. */
const struct sent *wire_take_arp(void);
const struct sent *wire_take_ip(uint8_t protocol);
void wire_forget_sent(void);

/** Gives the stack a frame, in memory that ends where it does. */
void wire_give(const uint8_t *frame, uint32_t size);
void wire_give_arp(uint32_t operation, uint64_t to_mac, uint64_t from_mac, uint32_t from, uint64_t about_mac,
                   uint32_t about);
void wire_give_ip(uint64_t to_mac, uint64_t from_mac, uint32_t from, uint32_t to, uint8_t protocol,
                  const uint8_t *payload, uint32_t size);
void wire_give_udp(uint64_t to_mac, uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port,
                   const void *data, uint32_t size);

/** Frames as bytes. @return the size. */
uint32_t make_ip(uint8_t *frame, uint64_t to_mac, uint64_t from_mac, uint32_t from, uint32_t to, uint8_t protocol,
                 const uint8_t *payload, uint32_t size);
uint32_t make_udp(uint8_t *frame, uint64_t to_mac, uint32_t from, uint16_t from_port, uint32_t to,
                  uint16_t to_port, const void *data, uint32_t size);

/** A socket that writes down what it receives. */
struct dx_udp *wire_open(uint32_t address, uint16_t port, struct heard *heard);

struct dx_net_stack_counters wire_counters(void);

/** RFC 1071, word by word. */
uint32_t slow_checksum(const uint8_t *bytes, uint32_t size);

uint32_t get16(const uint8_t *bytes);
uint32_t get32(const uint8_t *bytes);
uint64_t get48(const uint8_t *bytes);
void put16(uint8_t *bytes, uint32_t value);
void put32(uint8_t *bytes, uint32_t value);
void put48(uint8_t *bytes, uint64_t value);

#endif /* DX_TESTS_NET_FAKE_WIRE_H */
