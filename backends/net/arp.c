// SPDX-License-Identifier: MIT
// Neighbours and their MACs: RFC 826, with what RFC 1122, 2.3.2 asks for.

#include "backends/net/stack_state.h"

enum { ARP_BYTES = 28, ARP_REQUEST = 1, ARP_REPLY = 2, REQUESTS = 3 };

static const uint64_t request_interval_ns = S_NS;   // RFC 1122, 2.3.2.1: at most one a second
static const uint64_t confirmed_for_ns = 60 * S_NS; // the same, for time-outs

static void
send_arp(struct dx_net_stack *stack, uint32_t operation, uint64_t to_mac, uint32_t from, uint64_t about_mac,
         uint32_t about)
{
    if (!atomic_load_explicit(&stack->is_up, memory_order_relaxed))
        return;
    uint8_t frame[DX_ETHERNET_BYTES + ARP_BYTES];
    // RFC 3927, 2.5: what has a link-local sender is for all to hear, so that conflicts show.
    dx_write_mac(frame, dx_ip_is_link_local(from) ? DX_MAC_BROADCAST : to_mac);
    dx_write_mac(frame + 6, stack->mac);
    dx_write16(frame + 12, DX_ETHERTYPE_ARP);
    uint8_t *const arp = frame + DX_ETHERNET_BYTES;
    dx_write16(arp, 1);
    dx_write16(arp + 2, DX_ETHERTYPE_IPV4);
    arp[4] = 6;
    arp[5] = 4;
    dx_write16(arp + 6, operation);
    dx_write_mac(arp + 8, stack->mac);
    dx_write32(arp + 14, from);
    dx_write_mac(arp + 18, about_mac);
    dx_write32(arp + 24, about);
    (void)dx_net_transmit(stack, frame, sizeof frame);
}

void
dx_arp_request(struct dx_net_stack *stack, uint64_t to_mac, uint32_t from, uint32_t about)
{
    send_arp(stack, ARP_REQUEST, to_mac, from, 0, about);
}

/* What dx_arp_find() reads on other threads: its loads are the other side of these. */
static void
bind_neighbour(struct dx_neighbour *entry, uint32_t address, uint64_t mac)
{
    const uint32_t sequence = atomic_load_explicit(&entry->sequence, memory_order_relaxed);
    atomic_store_explicit(&entry->sequence, sequence + 1, memory_order_relaxed);
    atomic_store_explicit(&entry->address, address, memory_order_release);
    atomic_store_explicit(&entry->mac, mac, memory_order_release);
    atomic_store_explicit(&entry->sequence, sequence + 2, memory_order_release);
}

static void
free_neighbour(struct dx_neighbour *entry)
{
    bind_neighbour(entry, 0, 0);
    entry->state = NEIGHBOUR_FREE;
    entry->asked_address = 0;
    entry->due_ns = NEVER;
}

static struct dx_neighbour *
find_neighbour(struct dx_net_stack *stack, uint32_t address)
{
    for (uint32_t i = 0; i < NEIGHBOURS; i++)
        if (stack->neighbours[i].state != NEIGHBOUR_FREE && stack->neighbours[i].asked_address == address)
            return &stack->neighbours[i];
    return NULL;
}

/*
 * A place for a neighbour: a free one, else that of the one longest not confirmed. Those that somebody waits for
 * stay, and for who only asks us (`is_wanted` false) those in use as well: strangers cannot push out whom we talk
 * to.
 */
static struct dx_neighbour *
take_neighbour(struct dx_net_stack *stack, bool is_wanted)
{
    struct dx_neighbour *taken = NULL;
    for (uint32_t i = 0; i < NEIGHBOURS; i++) {
        struct dx_neighbour *const entry = &stack->neighbours[i];
        if (entry->state == NEIGHBOUR_FREE)
            return entry;
        if (entry->state == NEIGHBOUR_ASKED ||
            (!is_wanted && (entry->state == NEIGHBOUR_ASKED_AGAIN ||
                            atomic_load_explicit(&entry->is_used, memory_order_relaxed))))
            continue;
        if (!taken || entry->confirmed_ns < taken->confirmed_ns)
            taken = entry;
    }
    if (taken)
        free_neighbour(taken);
    return taken;
}

/* The datagram that was sent first of those ready for a neighbour, or of all (0). */
static struct dx_waiting *
first_waiting(struct dx_net_stack *stack, uint32_t next_hop, uint64_t from_ticket)
{
    struct dx_waiting *first = NULL;
    for (uint32_t i = 0; i < WAITING; i++) {
        struct dx_waiting *const slot = &stack->waiting[i];
        // acquire: with the release of let_wait() in send_rt.c
        if (atomic_load_explicit(&slot->state, memory_order_acquire) != SLOT_READY || slot->ticket < from_ticket ||
            (next_hop && atomic_load_explicit(&slot->next_hop, memory_order_relaxed) != next_hop))
            continue;
        if (!first || slot->ticket < first->ticket)
            first = slot;
    }
    return first;
}

static void
send_waiting(struct dx_net_stack *stack, uint32_t next_hop, uint64_t mac)
{
    struct dx_waiting *slot;
    while ((slot = first_waiting(stack, next_hop, 0))) {
        dx_write_mac(slot->frame, mac);
        (void)dx_net_transmit(stack, slot->frame, slot->size);
        atomic_store_explicit(&slot->state, SLOT_FREE, memory_order_release); // with let_wait()
    }
}

static void
drop_waiting(struct dx_net_stack *stack, uint32_t next_hop)
{
    struct dx_waiting *slot;
    while ((slot = first_waiting(stack, next_hop, 0))) {
        count(&stack->counters.arp_dropped);
        atomic_store_explicit(&slot->state, SLOT_FREE, memory_order_release); // with let_wait()
    }
}

void
dx_arp_flush(struct dx_net_stack *stack)
{
    for (uint32_t i = 0; i < NEIGHBOURS; i++)
        if (stack->neighbours[i].state != NEIGHBOUR_FREE)
            free_neighbour(&stack->neighbours[i]);
    drop_waiting(stack, 0);
}

static void
ask(struct dx_net_stack *stack, struct dx_neighbour *entry)
{
    const uint64_t known = atomic_load_explicit(&entry->mac, memory_order_relaxed);
    entry->requests++;
    entry->due_ns = after(stack->now_ns, request_interval_ns);
    dx_arp_request(stack, known ? known : DX_MAC_BROADCAST, dx_net_stack_address(stack), entry->asked_address);
}

/* Each datagram in the queue gets its neighbour asked for, once. */
static void
look_at_waiting(struct dx_net_stack *stack)
{
    const struct dx_waiting *slot;
    for (uint64_t ticket = 0; (slot = first_waiting(stack, 0, ticket));) {
        ticket = slot->ticket + 1; // now: once it is sent, or dropped, the slot is another's
        const uint32_t next_hop = atomic_load_explicit(&slot->next_hop, memory_order_relaxed);
        uint64_t mac;
        if (dx_arp_find(stack, next_hop, &mac)) { // the answer came just when it was put there
            send_waiting(stack, next_hop, mac);
            continue;
        }
        if (find_neighbour(stack, next_hop))
            continue;
        struct dx_neighbour *const entry = dx_net_stack_address(stack) ? take_neighbour(stack, true) : NULL;
        if (!entry) {
            drop_waiting(stack, next_hop);
            continue;
        }
        entry->state = NEIGHBOUR_ASKED;
        entry->asked_address = next_hop;
        entry->requests = 0;
        ask(stack, entry);
    }
}

static void
look_at_neighbour(struct dx_net_stack *stack, struct dx_neighbour *entry)
{
    if (entry->state == NEIGHBOUR_KNOWN) {
        // relaxed: a hint, set by dx_arp_find()
        if (!atomic_exchange_explicit(&entry->is_used, false, memory_order_relaxed)) {
            free_neighbour(entry);
            return;
        }
        entry->state = NEIGHBOUR_ASKED_AGAIN;
        entry->requests = 0;
    }
    if (entry->requests < REQUESTS) {
        ask(stack, entry);
        return;
    }
    const uint32_t address = entry->asked_address;
    count(&stack->counters.arp_timeouts);
    free_neighbour(entry);
    drop_waiting(stack, address);
}

uint64_t
dx_arp_poll(struct dx_net_stack *stack)
{
    // acquire: with the release of let_wait()
    if (atomic_exchange_explicit(&stack->has_waiting, false, memory_order_acquire))
        look_at_waiting(stack);
    uint64_t due_ns = NEVER;
    for (uint32_t i = 0; i < NEIGHBOURS; i++) {
        struct dx_neighbour *const entry = &stack->neighbours[i];
        if (entry->state == NEIGHBOUR_FREE)
            continue;
        if (entry->due_ns <= stack->now_ns)
            look_at_neighbour(stack, entry);
        due_ns = sooner(due_ns, entry->due_ns);
    }
    return due_ns;
}

/* Somebody has said what its MAC is. */
static void
learn(struct dx_net_stack *stack, uint32_t address, uint64_t mac, bool is_for_us)
{
    struct dx_neighbour *entry = find_neighbour(stack, address);
    if (!entry) {
        // RFC 826: who asks us will be answered, and talked to.
        if (!is_for_us || !dx_net_is_on_link(stack, address) || !(entry = take_neighbour(stack, false)))
            return;
        entry->asked_address = address;
        atomic_store_explicit(&entry->is_used, false, memory_order_relaxed);
    }
    bind_neighbour(entry, address, mac);
    entry->state = NEIGHBOUR_KNOWN;
    entry->confirmed_ns = stack->now_ns;
    entry->due_ns = after(stack->now_ns, confirmed_for_ns);
    due_at(stack, entry->due_ns);
    send_waiting(stack, address, mac);
}

void
dx_arp_input(struct dx_net_stack *stack, const uint8_t *packet, uint32_t size)
{
    if (size < ARP_BYTES || dx_read16(packet) != 1 || dx_read16(packet + 2) != DX_ETHERTYPE_IPV4 ||
        packet[4] != 6 || packet[5] != 4) {
        count(&stack->counters.bad_frames);
        return;
    }
    const uint32_t operation = dx_read16(packet + 6), from = dx_read32(packet + 14),
                   about = dx_read32(packet + 24);
    const uint64_t from_mac = dx_read_mac(packet + 8);
    if ((operation != ARP_REQUEST && operation != ARP_REPLY) || dx_mac_is_group(from_mac) || !from_mac) {
        count(&stack->counters.bad_frames);
        return;
    }
    if (from_mac == stack->mac) // our own, come back
        return;

    dx_address_heard(stack, from_mac, from, about);
    const uint32_t own = dx_net_stack_address(stack); // after that: it may be another one now
    const bool is_for_us = own && about == own;
    if (from == own)
        return;
    if (dx_ip_is_host(from))
        learn(stack, from, from_mac, is_for_us);
    if (is_for_us && operation == ARP_REQUEST)
        send_arp(stack, ARP_REPLY, from_mac, own, from_mac, from);
}
