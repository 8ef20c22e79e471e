// SPDX-License-Identifier: MIT
// A small network stack for one interface: Ethernet, ARP, IPv4, ICMP echo, UDP, DHCP, link-local addresses, IGMP.

#ifndef DX_NET_STACK_H
#define DX_NET_STACK_H

#include "backends/net/udp.h"

/*
 * No thread, clock or system call of its own: frames and the time come in by calls, frames go out by a callback. Everything
 * is allocated when it is made. All calls on one thread, but for those of udp.h that say otherwise.
 */
struct dx_stack;

enum dx_stack_addressing { DX_STACK_STATIC, DX_STACK_DHCP /* and a link-local address without an answer */, DX_STACK_LINK_LOCAL };

struct dx_stack_config {
    uint8_t mac[6];
    enum dx_stack_addressing addressing;
    uint32_t address, netmask, gateway; // host byte order; 0: none
    char host_name[64];                 // for DHCP; may be empty
    uint32_t igmp_version;              // 2 or 3; 0: 3, and what a querier makes of it
    uint64_t seed;                      // of all that is random; 0: from the MAC and the time of the first call
    void *context;
    /** A frame, without FCS. @return 0; else it was not sent, and that is counted. */
    int (*send)(void *context, const uint8_t *frame, uint32_t size);
    /** The groups that the adapter must let through have changed. */
    void (*set_filter)(void *context, const uint8_t (*groups)[6], uint32_t count);
    /** An address was obtained, or lost (0), or is in conflict. */
    void (*address_changed)(void *context, uint32_t address, const char *how);
};

struct dx_stack_counters {
    uint64_t received, sent, send_errors;
    uint64_t not_for_us;     // passed the hash, not the exact filter
    uint64_t bad_frames;     // shorter than they say, of an unknown version
    uint64_t bad_checksums;
    uint64_t fragments;      // dropped: the stack does not put them together
    uint64_t no_port;        // nobody listens
    uint64_t arp_timeouts, arp_conflicts;
    uint64_t igmp_queries, igmp_reports;
};

int dx_stack_create(const struct dx_stack_config *config, struct dx_stack **ret_stack);
void dx_stack_destroy(struct dx_stack *stack);

/** A frame has come. */
void dx_stack_input(struct dx_stack *stack, const uint8_t *frame, uint32_t size, uint64_t now_ns);

/** Does what is due. @return when to be called next; UINT64_MAX: never. */
uint64_t dx_stack_poll(struct dx_stack *stack, uint64_t now_ns);

/** The cable was plugged in, or out: addresses are obtained anew, groups reported again. */
void dx_stack_set_link(struct dx_stack *stack, bool is_up, uint64_t now_ns);

/** The present address; 0: none. */
uint32_t dx_stack_address(const struct dx_stack *stack);

const struct dx_stack_counters *dx_stack_counters(const struct dx_stack *stack);

/** The sockets of this stack. */
struct dx_net *dx_stack_net(struct dx_stack *stack);

#endif /* DX_NET_STACK_H */
