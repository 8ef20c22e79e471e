// SPDX-License-Identifier: MIT
// The sockets of our own stack.

#include "backends/net/stack_state.h"

#include <errno.h>

enum { FIRST_FREE_PORT = 49152, FREE_PORTS = 65536 - FIRST_FREE_PORT };

static struct dx_net_stack *
stack_of(struct dx_net *net)
{
    return (struct dx_net_stack *)net; // its first member
}

static bool
is_taken(const struct dx_net_stack *stack, const struct dx_udp_config *config)
{
    for (uint32_t i = 0; i < DX_UDP_MAX_SOCKETS; i++)
        if (stack->sockets[i].is_open && dx_udp_is_conflict(&stack->sockets[i].base.config, config))
            return true;
    return config->port == DHCP_CLIENT_PORT && stack->config.addressing == DX_NET_DHCP;
}

/* There are more ports than sockets. */
static void
choose_port(struct dx_net_stack *stack, struct dx_udp_config *config)
{
    if (!stack->next_port)
        stack->next_port = (uint16_t)(FIRST_FREE_PORT + dx_net_random(stack, FREE_PORTS));
    do {
        config->port = stack->next_port;
        stack->next_port = (uint16_t)(stack->next_port == 65535 ? FIRST_FREE_PORT : stack->next_port + 1);
    } while (is_taken(stack, config));
}

static int
open_socket(struct dx_net *net, const struct dx_udp_config *config, struct dx_udp **ret_socket)
{
    struct dx_net_stack *const stack = stack_of(net);
    if (config->address && !dx_ip_is_group(config->address) && config->address != dx_net_stack_address(stack))
        return -EADDRNOTAVAIL;
    if (config->port && is_taken(stack, config))
        return -EADDRINUSE;
    struct dx_stack_socket *socket = NULL;
    for (uint32_t i = 0; i < DX_UDP_MAX_SOCKETS && !socket; i++)
        if (!stack->sockets[i].is_open)
            socket = &stack->sockets[i];
    if (!socket)
        return -ENOBUFS;
    struct dx_udp_config own = *config;
    if (!own.port)
        choose_port(stack, &own);
    *socket = (struct dx_stack_socket){
        .base = {.net = net, .config = own},
        .is_open = true,
        .serial = stack->next_serial++,
    };
    *ret_socket = &socket->base;
    return 0;
}

static int
join(struct dx_udp *base, uint32_t group, uint32_t source)
{
    struct dx_stack_socket *const socket = (struct dx_stack_socket *)base;
    int error = dx_memberships_check(&socket->memberships, group, source);
    if (!error)
        error = dx_igmp_join(stack_of(base->net), group, source);
    if (!error)
        dx_memberships_add(&socket->memberships, group, source);
    return error;
}

static int
leave(struct dx_udp *base, uint32_t group, uint32_t source)
{
    struct dx_stack_socket *const socket = (struct dx_stack_socket *)base;
    if (!dx_memberships_remove(&socket->memberships, group, source))
        return -EADDRNOTAVAIL;
    dx_igmp_leave(stack_of(base->net), group, source);
    return 0;
}

static void
close_socket(struct dx_udp *base)
{
    struct dx_stack_socket *const socket = (struct dx_stack_socket *)base;
    while (socket->memberships.count)
        (void)leave(base, socket->memberships.entries[0].group, socket->memberships.entries[0].source);
    socket->is_open = false;
}

static bool
is_for_socket(const struct dx_stack_socket *socket, const struct dx_udp_datagram *datagram)
{
    const uint32_t bound = socket->base.config.address;
    if (dx_ip_is_group(datagram->to))
        return (!bound || bound == datagram->to) &&
               dx_memberships_admit(&socket->memberships, datagram->to, datagram->from.address);
    return !bound || bound == datagram->to;
}

void
dx_udp_input(struct dx_net_stack *stack, const struct dx_udp_datagram *datagram, uint16_t port)
{
    const uint64_t end_serial = stack->next_serial; // not for sockets that the callbacks open
    bool is_taken_by_any = false;
    for (uint32_t i = 0; i < DX_UDP_MAX_SOCKETS; i++) {
        const struct dx_stack_socket *const socket = &stack->sockets[i];
        if (!socket->is_open || socket->base.config.port != port || socket->serial >= end_serial ||
            !is_for_socket(socket, datagram))
            continue;
        is_taken_by_any = true;
        socket->base.config.received(socket->base.config.context, datagram);
    }
    if (!is_taken_by_any)
        count(&stack->counters.no_port);
}

static uint32_t
get_address(const struct dx_net *net)
{
    return dx_net_stack_address((const struct dx_net_stack *)net);
}

static uint64_t
get_lost(const struct dx_net *net)
{
    (void)net;
    return 0;
}

static uint64_t
poll_stack(struct dx_net *net, uint64_t now_ns)
{
    return dx_net_stack_poll(stack_of(net), now_ns);
}

static int
get_fd(const struct dx_net *net)
{
    (void)net;
    return -1;
}

static void
destroy(struct dx_net *net)
{
    dx_net_stack_destroy(stack_of(net));
}

const struct dx_net_ops dx_net_stack_ops = {
    .open = open_socket,
    .close = close_socket,
    .join = join,
    .leave = leave,
    .send = dx_net_stack_send,
    .address = get_address,
    .lost = get_lost,
    .poll = poll_stack,
    .fd = get_fd,
    .destroy = destroy,
};
