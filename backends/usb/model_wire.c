// SPDX-License-Identifier: MIT
// Network interfaces of this machine as the wire side of a model.

#include "backends/usb/model_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of linux/if_packet.h of 4.20: what this machine sends itself is not told. */
#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

enum {
    RECEIVE_BYTES = 1024 * 1024, // of the packet socket: a burst waits while the model does something else
    MESSAGE_BYTES = 512,
};

__attribute__((format(printf, 3, 4))) static int
fail(char why[256], int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(why, 256, format, arguments);
    va_end(arguments);
    if (length >= 0 && length < 256)
        (void)snprintf(why + length, 256u - (unsigned)length, ": %s", strerror(error));
    return -error;
}

/* ---- requests about one interface ---- */

static struct ifreq
named(const char *interface)
{
    struct ifreq request = {0};
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    return request;
}

/* Longer ones the kernel would not take, and a request would have the first part of. */
static int
check_name(const char *interface, char why[256])
{
    return strlen(interface) < IFNAMSIZ ? 0 : fail(why, ENAMETOOLONG, "the interface %.*s...", IFNAMSIZ, interface);
}

/* @return 0 or a positive errno value. */
static int
ask(unsigned long number, struct ifreq *request)
{
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    const int error = ioctl(fd, number, request) < 0 ? errno : 0;
    (void)close(fd);
    return error;
}

static int
bring_up(const char *interface)
{
    struct ifreq request = named(interface);
    int error = ask(SIOCGIFFLAGS, &request);
    if (error)
        return error;
    request.ifr_flags |= IFF_UP;
    return ask(SIOCSIFFLAGS, &request);
}

/* An end of a cable says nothing of its own: no router is looked for. Kernels without IPv6 have no such file. */
static void
keep_quiet(const char *interface)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", interface);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    const ssize_t n = write(fd, "1", 1);
    (void)n;
    (void)close(fd);
}

static int
switch_off(const char *interface, uint32_t feature)
{
    struct ethtool_value value = {.cmd = feature};
    struct ifreq request = named(interface);
    request.ifr_data = (char *)&value;
    return ask(SIOCETHTOOL, &request);
}

int
dx_model_wire_set_address(const char *interface, uint32_t address, uint32_t prefix, char why[256])
{
    const int result = check_name(interface, why);
    if (result < 0)
        return result;
    struct ifreq request = named(interface);
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    memcpy(&request.ifr_addr, &place, sizeof place);
    int error = ask(SIOCSIFADDR, &request);
    if (!error) {
        place.sin_addr.s_addr = htonl(prefix ? UINT32_MAX << (32 - prefix) : 0);
        memcpy(&request.ifr_netmask, &place, sizeof place);
        error = ask(SIOCSIFNETMASK, &request);
    }
    return error ? fail(why, error, "the address of %s", interface) : 0;
}

/* ---- name spaces ---- */

static int
write_text(const char *path, const char *text)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    const int error = write(fd, text, strlen(text)) < 0 ? errno : 0;
    (void)close(fd);
    return error;
}

static int
become_root_of_own_users(char why[256])
{
    const unsigned uid = geteuid(), gid = getegid();
    char text[64];
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return fail(why, errno, "an own user name space");
    int error = write_text("/proc/self/setgroups", "deny");
    (void)snprintf(text, sizeof text, "0 %u 1", uid);
    if (!error)
        error = write_text("/proc/self/uid_map", text);
    (void)snprintf(text, sizeof text, "0 %u 1", gid);
    if (!error)
        error = write_text("/proc/self/gid_map", text);
    return error ? fail(why, error, "the users of an own name space") : 0;
}

int
dx_model_wire_own_network(char why[256])
{
    if (unshare(CLONE_NEWNET) < 0) {
        if (errno != EPERM)
            return fail(why, errno, "an own network name space");
        const int result = become_root_of_own_users(why);
        if (result < 0)
            return result;
    }
    const int error = bring_up("lo");
    return error ? fail(why, error, "lo") : 0;
}

/* ---- TAP ---- */

int
dx_model_wire_tap(const char *interface, int *ret_fd, char why[256])
{
    const int result = check_name(interface, why);
    if (result < 0)
        return result;
    const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return fail(why, errno, "/dev/net/tun");
    struct ifreq request = named(interface);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    int error = ioctl(fd, TUNSETIFF, &request) < 0 ? errno : 0;
    if (!error) {
        keep_quiet(interface);
        error = bring_up(interface);
    }
    if (error) {
        (void)close(fd);
        return fail(why, error, "the interface %s", interface);
    }
    *ret_fd = fd;
    return 0;
}

/* ---- veth ---- */

/* A message to the kernel, built from its beginning. */
struct message {
    struct nlmsghdr head;
    uint8_t rest[MESSAGE_BYTES];
};

static void
add(struct message *message, const void *bytes, size_t size)
{
    memcpy((uint8_t *)message + message->head.nlmsg_len, bytes, size);
    message->head.nlmsg_len += NLMSG_ALIGN((uint32_t)size);
}

/* @return where it begins, for end_attribute(). */
static uint32_t
begin_attribute(struct message *message, uint16_t type)
{
    const uint32_t at = message->head.nlmsg_len;
    const struct rtattr head = {.rta_type = type};
    add(message, &head, sizeof head);
    return at;
}

static void
end_attribute(struct message *message, uint32_t at)
{
    const uint16_t size = (uint16_t)(message->head.nlmsg_len - at);
    memcpy((uint8_t *)message + at + offsetof(struct rtattr, rta_len), &size, sizeof size);
}

static void
add_text(struct message *message, uint16_t type, const char *text)
{
    const uint32_t at = begin_attribute(message, type);
    add(message, text, strlen(text) + 1);
    end_attribute(message, at);
}

/* @return 0 or a positive errno value: the kernel's answer. */
static int
tell_kernel(struct message *message)
{
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return errno;
    struct {
        struct nlmsghdr head;
        struct nlmsgerr error;
        uint8_t rest[MESSAGE_BYTES];
    } answer;
    int error = 0;
    if (send(fd, message, message->head.nlmsg_len, 0) < 0)
        error = errno;
    else if (recv(fd, &answer, sizeof answer, 0) < (ssize_t)(sizeof answer.head + sizeof answer.error.error))
        error = EPROTO;
    else
        error = answer.head.nlmsg_type == NLMSG_ERROR ? -answer.error.error : EPROTO;
    (void)close(fd);
    return error;
}

static int
make_pair(const char *interface, const char *end)
{
    const struct ifinfomsg any = {.ifi_family = AF_UNSPEC};
    struct message message = {
        .head = {.nlmsg_len = NLMSG_HDRLEN,
                 .nlmsg_type = RTM_NEWLINK,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK},
    };
    add(&message, &any, sizeof any);
    add_text(&message, IFLA_IFNAME, interface);
    const uint32_t link = begin_attribute(&message, IFLA_LINKINFO);
    add_text(&message, IFLA_INFO_KIND, "veth");
    const uint32_t data = begin_attribute(&message, IFLA_INFO_DATA);
    const uint32_t peer = begin_attribute(&message, VETH_INFO_PEER);
    add(&message, &any, sizeof any);
    add_text(&message, IFLA_IFNAME, end);
    end_attribute(&message, peer);
    end_attribute(&message, data);
    end_attribute(&message, link);
    return tell_kernel(&message);
}

/* Frames of this interface that its other end must be able to read as they are. */
static int
do_without_hardware(const char *interface)
{
    static const uint32_t features[] = {ETHTOOL_SGSO, ETHTOOL_STSO, ETHTOOL_STXCSUM};
    for (uint32_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        const int error = switch_off(interface, features[i]);
        /* What it does not have need not be switched off; checksums it has. */
        if (error && (error != EOPNOTSUPP || features[i] == ETHTOOL_STXCSUM))
            return error;
    }
    return 0;
}

static int
open_packets(const char *interface, int *ret_fd)
{
    const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    const int one = 1, room = RECEIVE_BYTES;
    const struct sockaddr_ll place = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = (int)if_nametoindex(interface),
    };
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) < 0 ||
        bind(fd, (const struct sockaddr *)&place, sizeof place) < 0) {
        const int error = errno;
        (void)close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

int
dx_model_wire_veth(const char *interface, const char *end, int *ret_fd, char why[256])
{
    int result = check_name(interface, why);
    if (result == 0)
        result = check_name(end, why);
    if (result < 0)
        return result;
    int error = make_pair(interface, end);
    if (error)
        return fail(why, error, "a pair of interfaces, %s and %s", interface, end);
    keep_quiet(interface);
    keep_quiet(end);
    error = do_without_hardware(interface);
    if (error)
        return fail(why, error, "checksums of %s by software", interface);
    error = bring_up(interface);
    if (!error)
        error = bring_up(end);
    if (!error)
        error = open_packets(end, ret_fd);
    return error ? fail(why, error, "the interfaces %s and %s", interface, end) : 0;
}
