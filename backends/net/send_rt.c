// SPDX-License-Identifier: MIT
// The way out: from a datagram to a frame, on any thread.

#include "backends/net/stack_state.h"

#include <errno.h>

int
dx_net_transmit(struct dx_net_stack *stack, const uint8_t *frame, uint32_t size) DX_REALTIME
{
    const int error = stack->config.send(stack->config.context, frame, size);
    count(error ? &stack->counters.send_errors : &stack->counters.sent);
    return error;
}

/*
 * Two tries: the wire thread changes an entry rarely and in a few stores; who meets it in the middle twice is
 * told "not known", and its datagram goes by the queue.
 */
bool
dx_arp_find(struct dx_net_stack *stack, uint32_t address, uint64_t *ret_mac) DX_REALTIME
{
    for (uint32_t i = 0; i < 2 * NEIGHBOURS; i++) {
        struct dx_neighbour *const entry = &stack->neighbours[i % NEIGHBOURS];
        // acquire: with bind() in arp.c, which stores between an odd and an even sequence
        const uint32_t sequence = atomic_load_explicit(&entry->sequence, memory_order_acquire);
        const uint32_t found = atomic_load_explicit(&entry->address, memory_order_acquire);
        const uint64_t mac = atomic_load_explicit(&entry->mac, memory_order_acquire);
        if (found != address || sequence & 1 ||
            atomic_load_explicit(&entry->sequence, memory_order_relaxed) != sequence)
            continue;
        atomic_store_explicit(&entry->is_used, true, memory_order_relaxed);
        *ret_mac = mac;
        return true;
    }
    return false;
}

bool
dx_net_is_on_link(const struct dx_net_stack *stack, uint32_t address) DX_REALTIME
{
    const uint32_t own = atomic_load_explicit(&stack->address, memory_order_relaxed);
    const uint32_t netmask = atomic_load_explicit(&stack->netmask, memory_order_relaxed);
    return own && ((own ^ address) & netmask) == 0;
}

bool
dx_net_is_broadcast(const struct dx_net_stack *stack, uint32_t address) DX_REALTIME
{
    const uint32_t netmask = atomic_load_explicit(&stack->netmask, memory_order_relaxed);
    // RFC 3021: networks of two hosts and of one have no broadcast address
    return address == DX_IP_BROADCAST ||
           (~netmask > 1 && (address & ~netmask) == ~netmask && dx_net_is_on_link(stack, address));
}

uint32_t
dx_ip_start(uint8_t *frame, const struct dx_ip_header *header, uint32_t payload_bytes) DX_REALTIME
{
    const uint32_t header_bytes = DX_IP_BYTES + (header->is_router_alert ? 4 : 0);
    dx_write16(frame + 12, DX_ETHERTYPE_IPV4);
    uint8_t *const ip = frame + DX_ETHERNET_BYTES;
    ip[0] = (uint8_t)(0x40 | header_bytes / 4);
    ip[1] = (uint8_t)(header->dscp << 2);
    dx_write16(ip + 2, header_bytes + payload_bytes);
    dx_write32(ip + 4, 0x4000); // not to be taken apart, hence no identification: RFC 6864, 4.1
    ip[8] = header->ttl;
    ip[9] = header->protocol;
    dx_write16(ip + 10, 0);
    dx_write32(ip + 12, header->from);
    dx_write32(ip + 16, header->to);
    if (header->is_router_alert)
        dx_write32(ip + 20, 0x94040000); // RFC 2113
    dx_write16(ip + 10, dx_checksum(ip, header_bytes));
    return DX_ETHERNET_BYTES + header_bytes;
}

/* Puts a frame into the queue: dx_arp_poll() asks for the neighbour, and sends it. */
static int
let_wait(struct dx_net_stack *stack, const uint8_t *frame, uint32_t size, uint32_t next_hop) DX_REALTIME
{
    uint32_t others = 0;
    for (uint32_t i = 0; i < WAITING; i++) {
        const struct dx_waiting *const slot = &stack->waiting[i];
        others += atomic_load_explicit(&slot->state, memory_order_acquire) == SLOT_READY &&
                  atomic_load_explicit(&slot->next_hop, memory_order_relaxed) == next_hop;
    }
    for (uint32_t i = 0; i < WAITING && others < WAITING_FOR_ONE; i++) {
        struct dx_waiting *const slot = &stack->waiting[i];
        uint32_t state = SLOT_FREE;
        // acquire: with the release of send_waiting() in arp.c, after its last look at the frame
        if (!atomic_compare_exchange_strong_explicit(&slot->state, &state, SLOT_TAKEN, memory_order_acquire,
                                                     memory_order_relaxed))
            continue;
        slot->ticket = atomic_fetch_add_explicit(&stack->ticket, 1, memory_order_relaxed);
        slot->size = size;
        memcpy(slot->frame, frame, size);
        atomic_store_explicit(&slot->next_hop, next_hop, memory_order_relaxed);
        atomic_store_explicit(&slot->state, SLOT_READY, memory_order_release);  // with send_waiting()
        atomic_store_explicit(&stack->has_waiting, true, memory_order_release); // with dx_arp_poll()
        return 0;
    }
    count(&stack->counters.arp_dropped);
    return -ENOBUFS;
}

/* The neighbour by which an address is reached; 0: none. */
static uint32_t
find_next_hop(const struct dx_net_stack *stack, uint32_t from, uint32_t to) DX_REALTIME
{
    // The address may be another one by now: it is `from` that is to be answered.
    const uint32_t netmask = atomic_load_explicit(&stack->netmask, memory_order_relaxed);
    // RFC 3927, 2.6.2: to and from link-local addresses no router is in between.
    if (dx_ip_is_link_local(to) || dx_ip_is_link_local(from) || ((from ^ to) & netmask) == 0)
        return to;
    return atomic_load_explicit(&stack->gateway, memory_order_relaxed);
}

int
dx_ip_send(struct dx_net_stack *stack, uint8_t *frame, uint32_t size) DX_REALTIME
{
    const uint32_t from = dx_read32(frame + DX_ETHERNET_BYTES + 12),
                   to = dx_read32(frame + DX_ETHERNET_BYTES + 16);
    if (!atomic_load_explicit(&stack->is_up, memory_order_relaxed))
        return -ENETDOWN;
    dx_write_mac(frame + 6, stack->mac);
    if (dx_ip_is_group(to) || dx_net_is_broadcast(stack, to)) {
        dx_write_mac(frame, dx_ip_is_group(to) ? dx_ip_group_mac(to) : DX_MAC_BROADCAST);
        return dx_net_transmit(stack, frame, size);
    }
    const uint32_t next_hop = find_next_hop(stack, from, to);
    if (!next_hop || !dx_ip_is_host(to) || to == from)
        return -ENETUNREACH;
    uint64_t mac;
    if (!dx_arp_find(stack, next_hop, &mac))
        return let_wait(stack, frame, size, next_hop);
    dx_write_mac(frame, mac);
    return dx_net_transmit(stack, frame, size);
}

int
dx_ip_send_udp(struct dx_net_stack *stack, const struct dx_ip_header *header, uint16_t from_port, uint16_t to_port,
               const void *data, uint32_t size) DX_REALTIME
{
    uint8_t frame[DX_ETHERNET_MAX_BYTES];
    const uint32_t udp_bytes = DX_UDP_BYTES + size;
    const uint32_t start = dx_ip_start(frame, header, udp_bytes);
    uint8_t *const udp = frame + start;
    dx_write16(udp, from_port);
    dx_write16(udp + 2, to_port);
    dx_write16(udp + 4, udp_bytes);
    dx_write16(udp + 6, 0);
    if (size)
        memcpy(udp + DX_UDP_BYTES, data, size);
    const uint32_t checksum = dx_udp_checksum(header->from, header->to, udp, udp_bytes);
    dx_write16(udp + 6, checksum ? checksum : 0xffff); // 0 would say that there is none
    return dx_ip_send(stack, frame, start + udp_bytes);
}

int
dx_udp_send(struct dx_udp *socket, const struct dx_udp_address *to, const void *data, uint32_t size) DX_REALTIME
{
    return size <= DX_UDP_MAX_BYTES ? socket->net->ops->send(socket, to, data, size) : -EMSGSIZE;
}

int
dx_net_stack_send(struct dx_udp *socket, const struct dx_udp_address *to, const void *data,
                  uint32_t size) DX_REALTIME
{
    struct dx_net_stack *const stack = (struct dx_net_stack *)socket->net; // its first member
    const struct dx_udp_config *const config = &socket->config;
    if (!atomic_load_explicit(&stack->is_up, memory_order_relaxed))
        return -ENETDOWN;
    if (!to->port)
        return -EINVAL;
    const struct dx_ip_header header = {
        .from = atomic_load_explicit(&stack->address, memory_order_relaxed),
        .to = to->address,
        .protocol = DX_PROTOCOL_UDP,
        .dscp = config->dscp,
        .ttl = dx_ip_is_group(to->address) ? config->ttl : 64,
    };
    if (!header.from || (dx_ip_is_host(config->address) && config->address != header.from))
        return -EADDRNOTAVAIL;
    return dx_ip_send_udp(stack, &header, config->port, to->port, data, size);
}
