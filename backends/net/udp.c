// SPDX-License-Identifier: MIT
// Sockets by the table of whatever is below.

#include "backends/net/udp.h"

#include "backends/net/wire.h"

#include <errno.h>

int
dx_udp_open(struct dx_net *net, const struct dx_udp_config *config, struct dx_udp **ret_socket)
{
    if (!config->received || config->dscp > 63)
        return -EINVAL;
    struct dx_udp_config complete = *config;
    if (!complete.ttl)
        complete.ttl = 1;
    return net->ops->open(net, &complete, ret_socket);
}

void
dx_udp_close(struct dx_udp *socket)
{
    if (socket)
        socket->net->ops->close(socket);
}

int
dx_udp_join(struct dx_udp *socket, uint32_t group, uint32_t source)
{
    return dx_ip_is_group(group) ? socket->net->ops->join(socket, group, source) : -EINVAL;
}

int
dx_udp_leave(struct dx_udp *socket, uint32_t group, uint32_t source)
{
    return socket->net->ops->leave(socket, group, source);
}

uint32_t
dx_net_address(const struct dx_net *net)
{
    return net->ops->address(net);
}

uint64_t
dx_net_lost(const struct dx_net *net)
{
    return net->ops->lost(net);
}

uint64_t
dx_net_poll(struct dx_net *net, uint64_t now_ns)
{
    return net->ops->poll(net, now_ns);
}

int
dx_net_fd(const struct dx_net *net)
{
    return net->ops->fd(net);
}

void
dx_net_destroy(struct dx_net *net)
{
    if (net)
        net->ops->destroy(net);
}
