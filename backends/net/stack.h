// SPDX-License-Identifier: MIT
// A small network stack for one interface: Ethernet, ARP, IPv4, ICMP echo, UDP, DHCP, link-local addresses, IGMP.

#ifndef DX_NET_STACK_H
#define DX_NET_STACK_H

#include "backends/net/udp.h"

/*
 * No thread, clock or system call of its own: frames and the time come in by calls, frames go out by a callback.
 * Everything is allocated when it is made, and the same calls with the same seed give the same frames. All calls
 * on one thread, the wire thread, but for dx_udp_send() and where it says otherwise. How it works:
 * docs/design/net.md.
 */
struct dx_net_stack;

enum dx_net_addressing {
    DX_NET_STATIC,
    DX_NET_DHCP, // and a link-local address while there is no answer
    DX_NET_LINK_LOCAL,
};

struct dx_net_stack_config {
    uint8_t mac[6];
    enum dx_net_addressing addressing;
    uint32_t address, netmask, gateway; // of DX_NET_STATIC, host byte order; netmask and gateway 0: none
    char host_name[64];                 // for DHCP; may be empty
    uint32_t igmp_version;              // 2 or 3: that one; 0: 3, and what a querier makes of it
    uint64_t seed;                      // of all that is random; 0: from the MAC and the time of the first call
    void *context;
    /**
     * A frame without FCS, 14 to 1514 bytes; not padded. On the wire thread and on those of dx_udp_send().
     *
     * @return 0; else it was not sent, which is counted, and dx_udp_send() returns it.
     */
    int (*send)(void *context, const uint8_t *frame, uint32_t size) DX_REALTIME;
    /** The groups that the adapter must let through have changed: all of them. */
    void (*set_filter)(void *context, const uint8_t (*groups)[6], uint32_t count);
    /** The address is another one, was lost (0), or another host has it too. May be NULL. */
    void (*address_changed)(void *context, uint32_t address, const char *how);
};

struct dx_net_stack_counters {
    uint64_t received, sent, send_errors;
    uint64_t not_for_us; // passed the adapter's filter, not the exact one; of no protocol that is here
    uint64_t bad_frames; // shorter than they say, of an unknown version, of nonsense
    uint64_t bad_checksums;
    uint64_t fragments;      // dropped: the stack does not put them together
    uint64_t no_port;        // nobody listens
    uint64_t echoes_dropped; // more pings than are answered
    uint64_t arp_timeouts;   // neighbours that did not answer
    uint64_t arp_dropped;    // datagrams that waited for them
    uint64_t arp_conflicts;  // with our address
    uint64_t igmp_queries, igmp_reports;
};

/** The link is down at first. @return 0; -EINVAL (MAC, address, IGMP version or `send` make no sense), -ENOMEM. */
int dx_net_stack_create(const struct dx_net_stack_config *config, struct dx_net_stack **ret_stack);

/** Closes all sockets, and leaves their groups by a last call of `set_filter` and of `send`. NULL is fine. */
void dx_net_stack_destroy(struct dx_net_stack *stack);

/** A frame has come, without FCS. */
void dx_net_stack_input(struct dx_net_stack *stack, const uint8_t *frame, uint32_t size, uint64_t now_ns);

/**
 * Does what is due.
 *
 * @return when to be called next at the latest; UINT64_MAX: never. An input, a link change, joining, leaving and
 *         closing, or a datagram sent to an unknown neighbour makes that sooner: call again after them.
 */
uint64_t dx_net_stack_poll(struct dx_net_stack *stack, uint64_t now_ns);

/** The cable was plugged in, or out: addresses are obtained anew, groups reported again. */
void dx_net_stack_set_link(struct dx_net_stack *stack, bool is_up, uint64_t now_ns);

/** The present address; 0: none.  Thread: any.  Real-time: yes. */
uint32_t dx_net_stack_address(const struct dx_net_stack *stack) DX_REALTIME;

/** Thread: any. */
void dx_net_stack_get_counters(const struct dx_net_stack *stack, struct dx_net_stack_counters *ret_counters);

/** The sockets of this stack; destroyed with it, and it with them. */
struct dx_net *dx_net_stack_net(struct dx_net_stack *stack);

#endif /* DX_NET_STACK_H */
