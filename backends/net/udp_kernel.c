// SPDX-License-Identifier: MIT
// Sockets of the kernel, all on one interface.

#include "backends/net/memberships.h"
#include "backends/net/wire.h"
#include "core/realtime.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    DATAGRAMS = 64,          // of one socket in one poll, so that none starves the others
    RECEIVE_BYTES = 1 << 20, // half a second of eight streams; the kernel may give less
    CLOCKS_APART_NS = 5000,
};

struct kernel_socket {
    struct dx_udp base;
    int fd; // -1: closed
    uint64_t serial;
    uint32_t lost; // as the kernel last said
    struct dx_memberships memberships;
};

struct kernel_net {
    struct dx_net net; // first: dx_net's functions go from it to this one
    char interface[IFNAMSIZ];
    int index;
    int epoll_fd;
    int query_fd; // for questions about the interface
    uint64_t lost;
    uint64_t next_serial;
    struct kernel_socket sockets[DX_UDP_MAX_SOCKETS];
    uint8_t bytes[DX_UDP_MAX_BYTES];
};

static struct kernel_net *
kernel_of(struct dx_net *net)
{
    return (struct kernel_net *)net; // its first member
}

static int
set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

/*
 * Without CAP_NET_RAW a socket may be bound to a device since Linux 5.7. Before that, what it sends goes out
 * there by IP_UNICAST_IF, and what it receives is looked at (ipi_ifindex).
 */
static int
bind_to_interface(const struct kernel_net *kernel, int fd)
{
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, kernel->interface, (socklen_t)strlen(kernel->interface)) == 0)
        return 0;
    if (errno != EPERM)
        return -errno;
    return set_option(fd, IPPROTO_IP, IP_UNICAST_IF, (int)htonl((uint32_t)kernel->index));
}

static int
set_options(const struct kernel_net *kernel, int fd, const struct dx_udp_config *config)
{
    const struct ip_mreqn interface = {.imr_ifindex = kernel->index};
    const struct {
        int level, option, value;
    } options[] = {
        {IPPROTO_IP, IP_MULTICAST_ALL, 0}, // else a socket gets the groups of all others on its port
        {IPPROTO_IP, IP_MULTICAST_LOOP, config->is_loop},
        {IPPROTO_IP, IP_MULTICAST_TTL, config->ttl},
        {IPPROTO_IP, IP_TOS, config->dscp << 2},
        {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE}, // never in fragments
        {IPPROTO_IP, IP_PKTINFO, 1},
        {SOL_SOCKET, SO_BROADCAST, 1},
        {SOL_SOCKET, SO_RXQ_OVFL, 1},
        {SOL_SOCKET, SO_TIMESTAMPNS, 1},
        {SOL_SOCKET, SO_RCVBUF, RECEIVE_BYTES},
        // PTP, SAP and mDNS have ports that several programs listen to.
        {SOL_SOCKET, SO_REUSEADDR, config->port != 0},
    };
    int error = bind_to_interface(kernel, fd);
    for (size_t i = 0; i < sizeof options / sizeof *options && !error; i++)
        error = set_option(fd, options[i].level, options[i].option, options[i].value);
    if (!error && setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof interface) < 0)
        error = -errno;
    return error;
}

/* @return the bound socket, or what failed. */
static int
make_socket(const struct kernel_net *kernel, const struct dx_udp_config *config)
{
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(config->port),
        .sin_addr.s_addr = htonl(config->address),
    };
    int error = set_options(kernel, fd, config);
    if (!error && bind(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        error = -errno;
    if (!error)
        return fd;
    (void)close(fd);
    return error;
}

static int
watch(const struct kernel_net *kernel, int fd, struct kernel_socket *socket)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = socket};
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0 ||
        epoll_ctl(kernel->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    return ntohs(address.sin_port);
}

static int
open_socket(struct dx_net *net, const struct dx_udp_config *config, struct dx_udp **ret_socket)
{
    struct kernel_net *const kernel = kernel_of(net);
    struct kernel_socket *socket = NULL;
    for (uint32_t i = 0; i < DX_UDP_MAX_SOCKETS; i++) {
        if (kernel->sockets[i].fd >= 0) {
            if (config->port && dx_udp_is_conflict(&kernel->sockets[i].base.config, config))
                return -EADDRINUSE;
        } else if (!socket) {
            socket = &kernel->sockets[i];
        }
    }
    if (!socket)
        return -ENOBUFS;
    const int fd = make_socket(kernel, config);
    if (fd < 0)
        return fd;
    const int port = watch(kernel, fd, socket);
    if (port < 0) {
        (void)close(fd);
        return port;
    }
    *socket =
        (struct kernel_socket){.base = {.net = net, .config = *config}, .fd = fd, .serial = kernel->next_serial++};
    socket->base.config.port = (uint16_t)port;
    *ret_socket = &socket->base;
    return 0;
}

static void
close_socket(struct dx_udp *base)
{
    struct kernel_socket *const socket = (struct kernel_socket *)base;
    // By its number: were a child to hold it open, closing would not take it out of epoll's set.
    (void)epoll_ctl(kernel_of(base->net)->epoll_fd, EPOLL_CTL_DEL, socket->fd, NULL);
    (void)close(socket->fd); // leaves the groups
    socket->fd = -1;
}

static int
change_membership(const struct kernel_socket *socket, uint32_t group, uint32_t source, bool is_join)
{
    const struct kernel_net *const kernel = (const struct kernel_net *)socket->base.net;
    // The two that take an interface's number, not its address: it may have none yet.
    struct group_source_req request = {.gsr_interface = (uint32_t)kernel->index};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)};
    memcpy(&request.gsr_source, &address, sizeof address);
    address.sin_addr.s_addr = htonl(group);
    memcpy(&request.gsr_group, &address, sizeof address);
    const struct ip_mreqn any = {.imr_multiaddr.s_addr = htonl(group), .imr_ifindex = kernel->index};
    const int result =
        source ? setsockopt(socket->fd, IPPROTO_IP, is_join ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP,
                            &request, sizeof request)
               : setsockopt(socket->fd, IPPROTO_IP, is_join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &any,
                            sizeof any);
    return result < 0 ? -errno : 0;
}

static int
join(struct dx_udp *base, uint32_t group, uint32_t source)
{
    struct kernel_socket *const socket = (struct kernel_socket *)base;
    int error = dx_memberships_check(&socket->memberships, group, source);
    if (!error)
        error = change_membership(socket, group, source, true);
    if (!error)
        dx_memberships_add(&socket->memberships, group, source);
    return error;
}

static int
leave(struct dx_udp *base, uint32_t group, uint32_t source)
{
    struct kernel_socket *const socket = (struct kernel_socket *)base;
    return dx_memberships_remove(&socket->memberships, group, source)
               ? change_membership(socket, group, source, false)
               : -EADDRNOTAVAIL;
}

static int
send_datagram(struct dx_udp *base, const struct dx_udp_address *to, const void *data, uint32_t size) DX_REALTIME
{
    const struct kernel_socket *const socket = (const struct kernel_socket *)base;
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = __builtin_bswap16(to->port),
        .sin_addr.s_addr = __builtin_bswap32(to->address),
    };
    if (!to->port)
        return -EINVAL;
    int error = 0;
    DX_REALTIME_TRUSTED_BEGIN(
        "sendto: does not wait; the price of the kernel's sockets, which docs/design/net.md names")
    if (sendto(socket->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&address,
               sizeof address) < 0)
        error = errno == EAGAIN ? -ENOBUFS : -errno;
    DX_REALTIME_TRUSTED_END
    return error;
}

static uint32_t
get_address(const struct dx_net *net)
{
    const struct kernel_net *const kernel = (const struct kernel_net *)net;
    struct ifreq request = {.ifr_addr.sa_family = AF_INET};
    memcpy(request.ifr_name, kernel->interface, sizeof request.ifr_name);
    if (ioctl(kernel->query_fd, SIOCGIFADDR, &request) < 0)
        return 0;
    struct sockaddr_in address;
    memcpy(&address, &request.ifr_addr, sizeof address);
    return ntohl(address.sin_addr.s_addr);
}

static uint64_t
get_lost(const struct dx_net *net)
{
    return ((const struct kernel_net *)net)->lost;
}

static uint64_t
clock_ns(clockid_t clock)
{
    struct timespec time;
    (void)clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/*
 * The kernel stamps by CLOCK_REALTIME. How long ago that was is the same on both clocks, unless somebody has set
 * it meanwhile: what comes from the future came now, and nothing waits for more than a second. Who is interrupted
 * between the two clocks reads them once more.
 */
static uint64_t
to_monotonic(const struct timespec *stamp)
{
    uint64_t before_ns, real_ns, now_ns;
    uint32_t tries = 0;
    do {
        before_ns = clock_ns(CLOCK_MONOTONIC);
        real_ns = clock_ns(CLOCK_REALTIME);
        now_ns = clock_ns(CLOCK_MONOTONIC);
    } while (now_ns - before_ns > CLOCKS_APART_NS && ++tries < 4);
    const uint64_t stamp_ns = (uint64_t)stamp->tv_sec * 1000000000u + (uint64_t)stamp->tv_nsec;
    const uint64_t age_ns = real_ns > stamp_ns ? real_ns - stamp_ns : 0;
    return age_ns < 1000000000u ? before_ns - age_ns : now_ns;
}

/* What comes beside a datagram. @return false for one of another interface. */
static bool
take_control(struct kernel_net *kernel, struct kernel_socket *socket, struct msghdr *message,
             struct dx_udp_datagram *datagram)
{
    bool is_here = true;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(header), sizeof info);
            is_here = info.ipi_ifindex == kernel->index;
            datagram->to = ntohl(info.ipi_addr.s_addr);
        } else if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec stamp;
            memcpy(&stamp, CMSG_DATA(header), sizeof stamp);
            datagram->received_ns = to_monotonic(&stamp);
        } else if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SO_RXQ_OVFL) {
            uint32_t lost;
            memcpy(&lost, CMSG_DATA(header), sizeof lost);
            kernel->lost += lost - socket->lost; // modulo 2^32, as the kernel counts
            socket->lost = lost;
        }
    }
    return is_here;
}

/* @return false when there is no more. */
static bool
receive(struct kernel_net *kernel, struct kernel_socket *socket)
{
    struct sockaddr_in from = {0};
    struct iovec bytes = {kernel->bytes, sizeof kernel->bytes};
    _Alignas(struct cmsghdr) uint8_t control[256];
    struct msghdr message = {
        .msg_name = &from,
        .msg_namelen = sizeof from,
        .msg_iov = &bytes,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };
    const ssize_t size = recvmsg(socket->fd, &message, MSG_DONTWAIT);
    if (size < 0)
        return false;
    struct dx_udp_datagram datagram = {
        .data = kernel->bytes,
        .size = (uint32_t)size,
        .from = {ntohl(from.sin_addr.s_addr), ntohs(from.sin_port)},
    };
    const bool is_here = take_control(kernel, socket, &message, &datagram);
    if (is_here && message.msg_flags & MSG_TRUNC)
        kernel->lost++;
    else if (is_here)
        socket->base.config.received(socket->base.config.context, &datagram);
    return true;
}

static uint64_t
poll_sockets(struct dx_net *net, uint64_t now_ns)
{
    struct kernel_net *const kernel = kernel_of(net);
    struct epoll_event events[DX_UDP_MAX_SOCKETS];
    const int n = epoll_wait(kernel->epoll_fd, events, DX_UDP_MAX_SOCKETS, 0);
    const uint64_t end_serial = kernel->next_serial; // a callback may close a socket, and open one in its place
    bool is_more = false;
    for (int i = 0; i < n; i++) {
        struct kernel_socket *const socket = events[i].data.ptr;
        const uint64_t serial = socket->serial;
        uint32_t left = DATAGRAMS;
        while (left && socket->fd >= 0 && socket->serial == serial && serial < end_serial &&
               receive(kernel, socket))
            left--;
        is_more = is_more || !left;
    }
    return is_more ? now_ns : UINT64_MAX;
}

static int
get_fd(const struct dx_net *net)
{
    return ((const struct kernel_net *)net)->epoll_fd;
}

static void
destroy(struct dx_net *net)
{
    struct kernel_net *const kernel = kernel_of(net);
    for (uint32_t i = 0; i < DX_UDP_MAX_SOCKETS; i++)
        if (kernel->sockets[i].fd >= 0)
            close_socket(&kernel->sockets[i].base);
    if (kernel->epoll_fd >= 0)
        (void)close(kernel->epoll_fd);
    if (kernel->query_fd >= 0)
        (void)close(kernel->query_fd);
    free(kernel);
}

static const struct dx_net_ops kernel_ops = {
    .open = open_socket,
    .close = close_socket,
    .join = join,
    .leave = leave,
    .send = send_datagram,
    .address = get_address,
    .lost = get_lost,
    .poll = poll_sockets,
    .fd = get_fd,
    .destroy = destroy,
};

int
dx_net_open_kernel(const char *interface, struct dx_net **ret_net, char why[256])
{
    const unsigned index = if_nametoindex(interface);
    if (!index) {
        (void)snprintf(why, 256, "there is no network interface \"%.64s\"", interface);
        return -ENODEV;
    }
    struct kernel_net *const kernel = malloc(sizeof *kernel);
    if (!kernel) {
        (void)snprintf(why, 256, "no memory");
        return -ENOMEM;
    }
    memset(kernel, 0, sizeof *kernel);
    kernel->net.ops = &kernel_ops;
    (void)snprintf(kernel->interface, sizeof kernel->interface, "%s", interface);
    kernel->index = (int)index;
    for (uint32_t i = 0; i < DX_UDP_MAX_SOCKETS; i++)
        kernel->sockets[i].fd = -1;
    kernel->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    kernel->query_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (kernel->epoll_fd < 0 || kernel->query_fd < 0) {
        const int error = -errno;
        (void)snprintf(why, 256, "no socket: %s", strerror(-error));
        destroy(&kernel->net);
        return error;
    }
    *ret_net = &kernel->net;
    return 0;
}
