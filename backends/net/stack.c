// SPDX-License-Identifier: MIT
// The stack from outside: made, given frames and the time, ended.

#include "backends/net/stack_state.h"

#include <errno.h>
#include <stdlib.h>

enum { VLAN_BYTES = 4 };

uint64_t
dx_net_random(struct dx_net_stack *stack, uint64_t end)
{
    if (!stack->is_seeded) {
        stack->random = stack->config.seed ? stack->config.seed : stack->mac ^ stack->now_ns << 16;
        stack->is_seeded = true;
    }
    // splitmix64, public domain, S. Vigna
    uint64_t z = (stack->random += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (z ^ (z >> 31)) % end;
}

static bool
is_sane(const struct dx_net_stack_config *config)
{
    const uint64_t mac = dx_read_mac(config->mac);
    if (!mac || dx_mac_is_group(mac) || !config->send)
        return false;
    if (config->igmp_version != 0 && config->igmp_version != 2 && config->igmp_version != 3)
        return false;
    switch (config->addressing) {
    case DX_NET_STATIC:
        return dx_ip_is_netmask(config->netmask) && dx_ip_is_host_of(config->address, config->netmask) &&
               (!config->gateway || (dx_ip_is_host(config->gateway) && config->gateway != config->address));
    case DX_NET_DHCP:
        return strnlen(config->host_name, sizeof config->host_name) < sizeof config->host_name;
    case DX_NET_LINK_LOCAL:
        return true;
    }
    return false;
}

int
dx_net_stack_create(const struct dx_net_stack_config *config, struct dx_net_stack **ret_stack)
{
    if (!is_sane(config))
        return -EINVAL;
    struct dx_net_stack *const stack = malloc(sizeof *stack);
    if (!stack)
        return -ENOMEM;
    memset(stack, 0, sizeof *stack); // touched: sending must not meet a page fault
    stack->net.ops = &dx_net_stack_ops;
    stack->config = *config;
    stack->mac = dx_read_mac(config->mac);
    if (config->addressing == DX_NET_STATIC && !config->netmask)
        stack->config.netmask = 0xffffffff; // then only the gateway is near
    for (uint32_t i = 0; i < NEIGHBOURS; i++)
        stack->neighbours[i].due_ns = NEVER;
    for (uint32_t i = 0; i < CLAIMS; i++)
        stack->claims[i].due_ns = NEVER;
    stack->echo_tokens = ECHO_BURST;
    dx_dhcp_stop(stack);
    dx_igmp_reset(stack);
    *ret_stack = stack;
    return 0;
}

void
dx_net_stack_destroy(struct dx_net_stack *stack)
{
    if (!stack)
        return;
    for (uint32_t i = 0; i < DX_UDP_MAX_SOCKETS; i++)
        if (stack->sockets[i].is_open)
            dx_udp_close(&stack->sockets[i].base);
    (void)dx_igmp_poll(stack); // switches need not wait for their time-out
    free(stack);
}

/* Time that goes back stands still. */
static void
set_time(struct dx_net_stack *stack, uint64_t now_ns)
{
    if (now_ns > stack->now_ns)
        stack->now_ns = now_ns;
}

void
dx_net_stack_input(struct dx_net_stack *stack, const uint8_t *frame, uint32_t size, uint64_t now_ns)
{
    set_time(stack, now_ns);
    count(&stack->counters.received);
    if (size < DX_ETHERNET_BYTES) {
        count(&stack->counters.bad_frames);
        return;
    }
    const uint64_t to = dx_read_mac(frame), from = dx_read_mac(frame + 6);
    uint32_t start = DX_ETHERNET_BYTES, type = dx_read16(frame + 12);
    bool is_other_vlan = false;
    if (type == DX_ETHERTYPE_VLAN && size >= DX_ETHERNET_BYTES + VLAN_BYTES) {
        is_other_vlan = (dx_read16(frame + 14) & 0xfff) != 0; // VLAN 0 is none: the tag is there for its priority
        type = dx_read16(frame + 16);
        start += VLAN_BYTES;
    }
    if (size - start > DX_ETHERNET_MAX_BYTES - DX_ETHERNET_BYTES) {
        count(&stack->counters.bad_frames);
        return;
    }
    if (is_other_vlan || (to != stack->mac && !dx_mac_is_group(to)) || from == stack->mac)
        count(&stack->counters.not_for_us);
    else if (type == DX_ETHERTYPE_IPV4)
        dx_ip_input(stack, frame + start, size - start, to, from);
    else if (type == DX_ETHERTYPE_ARP)
        dx_arp_input(stack, frame + start, size - start);
    else
        count(&stack->counters.not_for_us);
}

uint64_t
dx_net_stack_poll(struct dx_net_stack *stack, uint64_t now_ns)
{
    set_time(stack, now_ns);
    // relaxed: a hint; dx_arp_poll() takes it
    if (stack->now_ns < stack->due_ns && !atomic_load_explicit(&stack->has_waiting, memory_order_relaxed))
        return stack->due_ns;
    stack->due_ns = NEVER; // what arises meanwhile counts with due_at()
    due_at(stack, dx_address_poll(stack));
    due_at(stack, dx_dhcp_poll(stack));
    due_at(stack, dx_igmp_poll(stack));
    due_at(stack, dx_arp_poll(stack));
    return stack->due_ns;
}

void
dx_net_stack_set_link(struct dx_net_stack *stack, bool is_up, uint64_t now_ns)
{
    set_time(stack, now_ns);
    if (atomic_load_explicit(&stack->is_up, memory_order_relaxed) == is_up)
        return;
    atomic_store_explicit(&stack->is_up, is_up, memory_order_relaxed); // read by those that send
    if (!is_up)
        dx_igmp_reset(stack);
    dx_address_link(stack, is_up);
    stack->due_ns = 0;
}

uint32_t
dx_net_stack_address(const struct dx_net_stack *stack) DX_REALTIME
{
    return atomic_load_explicit(&stack->address, memory_order_relaxed);
}

void
dx_net_stack_get_counters(const struct dx_net_stack *stack, struct dx_net_stack_counters *ret_counters)
{
#define GET(name) .name = atomic_load_explicit(&stack->counters.name, memory_order_relaxed)
    *ret_counters = (struct dx_net_stack_counters){
        GET(received),      GET(sent),          GET(send_errors),  GET(not_for_us),     GET(bad_frames),
        GET(bad_checksums), GET(fragments),     GET(no_port),      GET(echoes_dropped), GET(arp_timeouts),
        GET(arp_dropped),   GET(arp_conflicts), GET(igmp_queries), GET(igmp_reports),
    };
#undef GET
}

struct dx_net *
dx_net_stack_net(struct dx_net_stack *stack)
{
    return &stack->net;
}
