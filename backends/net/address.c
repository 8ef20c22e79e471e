// SPDX-License-Identifier: MIT
// Which address is ours: probed, announced and defended as RFC 3927 and RFC 5227 say.

#include "backends/net/stack_state.h"

#include <stdio.h>

enum {
    PROBE_NUM = 3,
    ANNOUNCE_NUM = 2,
    MAX_CONFLICTS = 10,
    LEASE_PROBES = 2, // of what a server gave: that another host has it is rare, and somebody waits for sound
    FIRST_CANDIDATE = 0xa9fe0100, // 169.254.1.0 to 169.254.254.255
    CANDIDATES = 254 * 256,
};

static const uint64_t probe_wait_ns = S_NS;
static const uint64_t probe_min_ns = S_NS;
static const uint64_t probe_max_ns = 2 * S_NS;
static const uint64_t announce_wait_ns = 2 * S_NS;
static const uint64_t announce_interval_ns = 2 * S_NS;
static const uint64_t rate_limit_interval_ns = 60 * S_NS;
static const uint64_t defend_interval_ns = 10 * S_NS;
static const uint64_t lease_probe_ns = S_NS / 2;

/* The address in use follows the claims: a configured one goes before a link-local one. */
void
dx_address_choose(struct dx_net_stack *stack, const char *how)
{
    const struct dx_claim *claim = NULL;
    for (uint32_t i = 0; i < CLAIMS && !claim; i++)
        if (stack->claims[i].state >= CLAIM_ANNOUNCING)
            claim = &stack->claims[i];
    const bool is_link_local = claim == &stack->claims[CLAIM_LINK_LOCAL];
    uint32_t netmask = stack->config.netmask, gateway = stack->config.gateway;
    if (is_link_local) {
        netmask = 0xffff0000;
        gateway = 0;
    } else if (stack->config.addressing == DX_NET_DHCP) {
        netmask = stack->dhcp.netmask;
        gateway = stack->dhcp.gateway;
    }
    // relaxed: who sends in the middle sends one datagram the old way or the new
    atomic_store_explicit(&stack->netmask, netmask, memory_order_relaxed);
    atomic_store_explicit(&stack->gateway, gateway, memory_order_relaxed);

    const uint32_t address = claim ? claim->address : 0;
    if (address == dx_net_stack_address(stack))
        return;
    atomic_store_explicit(&stack->address, address, memory_order_relaxed);
    dx_arp_flush(stack);
    if (address)
        dx_igmp_report_all(stack);
    if (stack->config.address_changed)
        stack->config.address_changed(stack->config.context, address, how);
}

static void
drop_claim(struct dx_net_stack *stack, struct dx_claim *claim, const char *how)
{
    claim->state = CLAIM_NONE;
    claim->due_ns = NEVER;
    dx_address_choose(stack, how);
}

static void
start_probing(struct dx_net_stack *stack, struct dx_claim *claim, uint32_t address, uint32_t probes,
              uint64_t wait_ns)
{
    *claim = (struct dx_claim){.state = CLAIM_PROBING,
                               .address = address,
                               .probes = probes,
                               .due_ns = after(stack->now_ns, wait_ns),
                               .defended_ns = NEVER};
    due_at(stack, claim->due_ns);
}

static void
announce(struct dx_net_stack *stack, struct dx_claim *claim)
{
    dx_arp_request(stack, DX_MAC_BROADCAST, claim->address, claim->address);
    claim->sent++;
    if (claim->sent >= ANNOUNCE_NUM) {
        claim->state = CLAIM_HELD;
        claim->due_ns = NEVER;
    } else {
        claim->due_ns = after(stack->now_ns, announce_interval_ns);
        due_at(stack, claim->due_ns);
    }
}

/* It is ours: used from the first announcement on. */
static void
win(struct dx_net_stack *stack, struct dx_claim *claim, const char *how)
{
    if (claim == &stack->claims[CLAIM_CONFIGURED])
        stack->claims[CLAIM_LINK_LOCAL].state = CLAIM_NONE; // RFC 3927, 1.9: not both
    claim->state = CLAIM_ANNOUNCING;
    claim->sent = 0;
    claim->held_ns = stack->now_ns;
    claim->defended_ns = NEVER;
    announce(stack, claim);
    dx_address_choose(stack, how);
}

/*
 * RFC 3927, 2.1: a sequence of addresses that is this MAC's alone, the same after each start. A hash of MAC and
 * number (the finaliser of splitmix64) is such a generator.
 */
static uint32_t
link_local_candidate(uint64_t mac, uint32_t number)
{
    uint64_t z = (mac << 16) + (number + 1ull) * 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (uint32_t)(FIRST_CANDIDATE + (z ^ (z >> 31)) % CANDIDATES);
}

uint64_t
dx_address_rest(const struct dx_net_stack *stack, uint64_t usual_ns)
{
    return stack->conflicts > MAX_CONFLICTS ? rate_limit_interval_ns : usual_ns;
}

static void
try_link_local(struct dx_net_stack *stack)
{
    start_probing(stack, &stack->claims[CLAIM_LINK_LOCAL], link_local_candidate(stack->mac, stack->candidate),
                  PROBE_NUM, dx_address_rest(stack, dx_net_random(stack, probe_wait_ns)));
}

void
dx_address_start_link_local(struct dx_net_stack *stack)
{
    if (stack->claims[CLAIM_LINK_LOCAL].state == CLAIM_NONE)
        try_link_local(stack);
}

void
dx_address_check(struct dx_net_stack *stack, uint32_t address)
{
    start_probing(stack, &stack->claims[CLAIM_CONFIGURED], address, LEASE_PROBES, 0);
}

void
dx_address_drop(struct dx_net_stack *stack, const char *how)
{
    drop_claim(stack, &stack->claims[CLAIM_CONFIGURED], how);
}

void
dx_address_link(struct dx_net_stack *stack, bool is_up)
{
    struct dx_claim *const configured = &stack->claims[CLAIM_CONFIGURED];
    if (!is_up) {
        dx_dhcp_stop(stack);
        for (uint32_t i = 0; i < CLAIMS; i++)
            drop_claim(stack, &stack->claims[i], "no link");
        stack->conflicts = 0; // were with the hosts of this network
        return;
    }
    switch (stack->config.addressing) {
    case DX_NET_STATIC:
        *configured = (struct dx_claim){.address = stack->config.address};
        win(stack, configured, "configured");
        break;
    case DX_NET_DHCP:
        dx_dhcp_start(stack);
        break;
    case DX_NET_LINK_LOCAL:
        try_link_local(stack);
        break;
    }
}

static void
probe(struct dx_net_stack *stack, struct dx_claim *claim, bool is_lease)
{
    dx_arp_request(stack, DX_MAC_BROADCAST, 0, claim->address);
    claim->sent++;
    uint64_t wait_ns = lease_probe_ns;
    if (!is_lease)
        wait_ns = claim->sent < claim->probes ? probe_min_ns + dx_net_random(stack, probe_max_ns - probe_min_ns)
                                              : announce_wait_ns;
    claim->due_ns = after(stack->now_ns, wait_ns);
}

uint64_t
dx_address_poll(struct dx_net_stack *stack)
{
    uint64_t due_ns = NEVER;
    for (uint32_t i = 0; i < CLAIMS; i++) {
        struct dx_claim *const claim = &stack->claims[i];
        const bool is_lease = i == CLAIM_CONFIGURED;
        if (claim->state != CLAIM_NONE && claim->due_ns <= stack->now_ns) {
            if (claim->state == CLAIM_ANNOUNCING) {
                announce(stack, claim);
            } else if (claim->sent < claim->probes) {
                probe(stack, claim, is_lease);
            } else {
                win(stack, claim, is_lease ? "DHCP" : "link-local");
                if (is_lease)
                    dx_dhcp_checked(stack, true);
            }
        }
        if (claim->state != CLAIM_NONE)
            due_ns = sooner(due_ns, claim->due_ns);
    }
    return due_ns;
}

/* Another host has it: on to the next one. */
static void
lose(struct dx_net_stack *stack, struct dx_claim *claim)
{
    // What was held in peace for long was no part of a row of conflicts.
    if (claim->state != CLAIM_PROBING && stack->now_ns - claim->held_ns >= rate_limit_interval_ns)
        stack->conflicts = 0;
    stack->conflicts++;
    if (claim == &stack->claims[CLAIM_CONFIGURED]) {
        drop_claim(stack, claim, "another host has the leased address");
        dx_dhcp_checked(stack, false);
        return;
    }
    stack->candidate++;
    drop_claim(stack, claim, "another host has the link-local address");
    try_link_local(stack);
}

/* RFC 5227, 2.4: (c) for what somebody configured, (b) for the others: once in 10 s we insist, then we go. */
static void
defend(struct dx_net_stack *stack, struct dx_claim *claim, uint64_t from_mac)
{
    const bool was_lately = claim->defended_ns != NEVER && stack->now_ns - claim->defended_ns < defend_interval_ns;
    const bool is_static = claim == &stack->claims[CLAIM_CONFIGURED] && stack->config.addressing == DX_NET_STATIC;
    count(&stack->counters.arp_conflicts);
    if (was_lately && !is_static) {
        lose(stack, claim);
        return;
    }
    if (was_lately)
        return;
    claim->defended_ns = stack->now_ns;
    dx_arp_request(stack, DX_MAC_BROADCAST, claim->address, claim->address);
    if (stack->config.address_changed && claim->address == dx_net_stack_address(stack)) {
        char how[64];
        (void)snprintf(how, sizeof how, "another host uses it: %02x:%02x:%02x:%02x:%02x:%02x",
                       (unsigned)(from_mac >> 40 & 255), (unsigned)(from_mac >> 32 & 255),
                       (unsigned)(from_mac >> 24 & 255), (unsigned)(from_mac >> 16 & 255),
                       (unsigned)(from_mac >> 8 & 255), (unsigned)(from_mac & 255));
        stack->config.address_changed(stack->config.context, claim->address, how);
    }
}

void
dx_address_heard(struct dx_net_stack *stack, uint64_t from_mac, uint32_t from, uint32_t about)
{
    for (uint32_t i = 0; i < CLAIMS; i++) {
        struct dx_claim *const claim = &stack->claims[i];
        if (claim->state == CLAIM_PROBING) {
            // RFC 3927, 2.2.1: it has it, or it probes for it as we do
            if (from == claim->address || (from == 0 && about == claim->address)) {
                count(&stack->counters.arp_conflicts);
                lose(stack, claim);
            }
        } else if (claim->state != CLAIM_NONE && from == claim->address) {
            defend(stack, claim, from_mac);
        }
    }
}
