// SPDX-License-Identifier: MIT
// The inside of the stack: what its files share.

#ifndef DX_NET_STACK_STATE_H
#define DX_NET_STACK_STATE_H

#include "backends/net/memberships.h"
#include "backends/net/stack.h"
#include "backends/net/wire.h"

#include <stdatomic.h>

#define NEVER UINT64_MAX
#define MS_NS 1000000ull
#define S_NS 1000000000ull

enum {
    NEIGHBOURS = 32,
    WAITING = 16,         // datagrams to neighbours whose MAC is not known yet
    WAITING_FOR_ONE = 4,  // of them, to one neighbour
    GROUPS = 63,          // with that of all hosts 64 MACs: with more, adapters let all through
    GROUP_SOURCES = 16,   // that sockets listen to or have just left, of one group
    QUERIED_SOURCES = 32, // of one group-and-source query that waits for its answer
    ECHO_BURST = 50,      // pings that are answered at once
    DHCP_CLIENT_PORT = 68,
    DHCP_SERVER_PORT = 67,
};

/* Adds without going past the end of time. */
static inline uint64_t
after(uint64_t now_ns, uint64_t delay_ns)
{
    return now_ns > NEVER - delay_ns ? NEVER : now_ns + delay_ns;
}

static inline uint64_t
sooner(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

/* Counted on the wire thread and on those that send, read on any. */
typedef _Atomic uint64_t dx_counter;

static inline void
count(dx_counter *counter) DX_REALTIME
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

enum neighbour_state { NEIGHBOUR_FREE, NEIGHBOUR_ASKED, NEIGHBOUR_KNOWN, NEIGHBOUR_ASKED_AGAIN };

/*
 * The first four are read by dx_arp_find() on threads that send: a reader that sees the same even `sequence`
 * before and after has read an address and a MAC that belong together. The rest is the wire thread's alone.
 */
struct dx_neighbour {
    _Atomic uint32_t sequence; // odd while it changes
    _Atomic uint32_t address;  // 0: no MAC is known
    _Atomic uint64_t mac;
    _Atomic bool is_used; // since the wire thread looked last
    enum neighbour_state state;
    uint32_t asked_address; // whose entry it is, with a MAC or not yet
    uint32_t requests;      // sent since it was known, without an answer
    uint64_t due_ns;
    uint64_t confirmed_ns;
};

enum { SLOT_FREE, SLOT_TAKEN, SLOT_READY };

/* A datagram that waits: its sender takes the slot and makes it ready, the wire thread frees it. */
struct dx_waiting {
    _Atomic uint32_t state;
    _Atomic uint32_t next_hop;
    uint64_t ticket; // the order of sending
    uint32_t size;
    uint8_t frame[DX_ETHERNET_MAX_BYTES];
};

enum claim_state { CLAIM_NONE, CLAIM_PROBING, CLAIM_ANNOUNCING, CLAIM_HELD };

/* An address on its way to being ours: RFC 3927, 2.2 to 2.5, and RFC 5227. */
struct dx_claim {
    enum claim_state state;
    uint32_t address;
    uint32_t sent;   // probes or announcements
    uint32_t probes; // to be sent
    uint64_t due_ns;
    uint64_t held_ns;     // since when it is ours
    uint64_t defended_ns; // when another host used it last; NEVER: none did
};

enum { CLAIM_CONFIGURED, CLAIM_LINK_LOCAL, CLAIMS };

enum dhcp_state {
    DHCP_OFF,
    DHCP_INIT, // waits to begin
    DHCP_SELECTING,
    DHCP_REQUESTING,
    DHCP_CHECKING, // whether another host has the address
    DHCP_BOUND,
    DHCP_RENEWING,
    DHCP_REBINDING,
};

struct dx_dhcp {
    enum dhcp_state state;
    uint32_t xid;
    uint32_t address, server, netmask, gateway; // offered, then leased
    uint32_t last_address;                      // what to ask for again; 0: nothing
    uint32_t tries, naks;
    uint16_t elapsed_s;    // as last said: of a request the same as of its discovery
    uint64_t started_ns;   // of this exchange
    uint64_t requested_ns; // what the lease counts from
    uint64_t due_ns;
    uint64_t renew_ns, rebind_ns, expiry_ns;
    uint64_t fallback_ns; // when a link-local address is to help out
};

struct dx_group_source {
    uint32_t address;
    uint32_t members; // sockets that listen to it; 0: only its end has still to be told
    uint32_t repeats; // of ALLOW or BLOCK
};

struct dx_group {
    uint32_t address;  // 0: free
    uint32_t anybodys; // sockets that listen to any source
    uint32_t source_count;
    struct dx_group_source sources[GROUP_SOURCES];
    uint32_t mode_repeats;  // version 3: of a change between "these sources" and "any"
    uint32_t join_repeats;  // version 2
    uint64_t change_ns;     // when changes are told next; NEVER: none are left
    uint64_t answer_ns;     // when a query is answered; NEVER: none waits
    uint32_t queried_count; // of the query that waits; 0: it was for the group
    uint32_t queried[QUERIED_SOURCES];
};

struct dx_igmp {
    struct dx_group groups[GROUPS];
    uint32_t version;                  // as spoken now
    uint64_t v1_until_ns, v2_until_ns; // while such a querier is taken to be there
    uint32_t robustness;
    uint64_t general_ns;  // when a general query is answered
    bool is_filter_known; // set_filter() has been called
};

struct dx_stack_socket {
    struct dx_udp base;
    bool is_open;
    uint64_t serial; // in the order of opening
    struct dx_memberships memberships;
};

struct dx_net_stack {
    struct dx_net net; // first: dx_net's functions go from it to the stack
    struct dx_net_stack_config config;
    uint64_t mac;

    /* Stored by the wire thread, read by those that send. */
    _Atomic bool is_up;
    _Atomic uint32_t address, netmask, gateway;
    struct dx_neighbour neighbours[NEIGHBOURS];

    /* Between those that send and the wire thread. */
    _Atomic bool has_waiting;
    _Atomic uint64_t ticket;
    struct dx_waiting waiting[WAITING];

    struct {
        dx_counter received, sent, send_errors, not_for_us, bad_frames, bad_checksums, fragments, no_port,
            echoes_dropped, arp_timeouts, arp_dropped, arp_conflicts, igmp_queries, igmp_reports;
    } counters;

    /* The wire thread's. */
    uint64_t now_ns;
    uint64_t due_ns; // poll has nothing to do before
    bool is_seeded;
    uint64_t random;
    uint32_t echo_tokens;
    uint64_t echo_ns; // when a token was added
    struct dx_claim claims[CLAIMS];
    uint32_t conflicts; // in a row
    uint32_t candidate; // the number of the link-local address
    struct dx_dhcp dhcp;
    struct dx_igmp igmp;
    uint64_t next_serial;
    uint16_t next_port;
    struct dx_stack_socket sockets[DX_UDP_MAX_SOCKETS];
};

/* What stack.c gives the others. */

/* Poll has something to do at that time. */
static inline void
due_at(struct dx_net_stack *stack, uint64_t when_ns)
{
    stack->due_ns = sooner(stack->due_ns, when_ns);
}

/** A number of 0 to end - 1. */
uint64_t dx_net_random(struct dx_net_stack *stack, uint64_t end);

/* send_rt.c */

struct dx_ip_header {
    uint32_t from, to;
    uint8_t protocol, dscp, ttl;
    bool is_router_alert;
};

/** Counts, and hands it on. */
int dx_net_transmit(struct dx_net_stack *stack, const uint8_t *frame, uint32_t size) DX_REALTIME;

/** Writes the header of IP where it stands in a frame. @return where the payload begins. */
uint32_t dx_ip_start(uint8_t *frame, const struct dx_ip_header *header, uint32_t payload_bytes) DX_REALTIME;

/** Sends a frame that dx_ip_start() began, or puts it into the queue of those that wait for a neighbour. */
int dx_ip_send(struct dx_net_stack *stack, uint8_t *frame, uint32_t size) DX_REALTIME;

/** Of sockets and DHCP. */
int dx_ip_send_udp(struct dx_net_stack *stack, const struct dx_ip_header *header, uint16_t from_port,
                   uint16_t to_port, const void *data, uint32_t size) DX_REALTIME;

/** A neighbour's MAC. */
bool dx_arp_find(struct dx_net_stack *stack, uint32_t address, uint64_t *ret_mac) DX_REALTIME;

bool dx_net_is_broadcast(const struct dx_net_stack *stack, uint32_t address) DX_REALTIME;
bool dx_net_is_on_link(const struct dx_net_stack *stack, uint32_t address) DX_REALTIME;

/** dx_net_ops. */
int dx_net_stack_send(struct dx_udp *socket, const struct dx_udp_address *to, const void *data,
                      uint32_t size) DX_REALTIME;

extern const struct dx_net_ops dx_net_stack_ops; // udp_stack.c

/* ip.c: a packet that came, from its header on, and the MACs of its frame. */
void dx_ip_input(struct dx_net_stack *stack, const uint8_t *packet, uint32_t size, uint64_t to_mac,
                 uint64_t from_mac);

/* udp_stack.c: a datagram for the sockets. */
void dx_udp_input(struct dx_net_stack *stack, const struct dx_udp_datagram *datagram, uint16_t port);

/* arp.c */
void dx_arp_input(struct dx_net_stack *stack, const uint8_t *packet, uint32_t size);
uint64_t dx_arp_poll(struct dx_net_stack *stack);
/** Forgets all neighbours, and the datagrams that wait for them. */
void dx_arp_flush(struct dx_net_stack *stack);
/** A request: `from` 0 is a probe, `from` equal to `about` an announcement. */
void dx_arp_request(struct dx_net_stack *stack, uint64_t to_mac, uint32_t from, uint32_t about);

/* address.c */
void dx_address_link(struct dx_net_stack *stack, bool is_up);
uint64_t dx_address_poll(struct dx_net_stack *stack);
/** ARP of another host: does it use, or try, what is or becomes ours? */
void dx_address_heard(struct dx_net_stack *stack, uint64_t from_mac, uint32_t from, uint32_t about);
/** DHCP's: tries an address; dx_dhcp_checked() tells how it went. */
void dx_address_check(struct dx_net_stack *stack, uint32_t address);
/** DHCP's: gives up the configured address, or the try for one. */
void dx_address_drop(struct dx_net_stack *stack, const char *how);
/** Takes over what the claims say, and DHCP about the network. */
void dx_address_choose(struct dx_net_stack *stack, const char *how);
void dx_address_start_link_local(struct dx_net_stack *stack);
/** How long to wait before another address is tried: as usual, or longer after many conflicts. */
uint64_t dx_address_rest(const struct dx_net_stack *stack, uint64_t usual_ns);

/* dhcp.c */
void dx_dhcp_start(struct dx_net_stack *stack);
void dx_dhcp_stop(struct dx_net_stack *stack);
uint64_t dx_dhcp_poll(struct dx_net_stack *stack);
void dx_dhcp_input(struct dx_net_stack *stack, const uint8_t *data, uint32_t size);
/** Whether the address that was checked is ours now; false at any later time as well. */
void dx_dhcp_checked(struct dx_net_stack *stack, bool is_ours);

/* igmp.c */
/** At first, and with another cable: what is known of queriers is forgotten. */
void dx_igmp_reset(struct dx_net_stack *stack);
void dx_igmp_input(struct dx_net_stack *stack, uint32_t to, const uint8_t *data, uint32_t size);
uint64_t dx_igmp_poll(struct dx_net_stack *stack);
int dx_igmp_join(struct dx_net_stack *stack, uint32_t group, uint32_t source);
void dx_igmp_leave(struct dx_net_stack *stack, uint32_t group, uint32_t source);
/** All groups are told anew: another address, another cable. */
void dx_igmp_report_all(struct dx_net_stack *stack);
bool dx_igmp_listens(const struct dx_net_stack *stack, uint32_t group);

#endif /* DX_NET_STACK_STATE_H */
