// SPDX-License-Identifier: MIT
// Sockets against a Linux kernel's: the same tests over our own stack and over dx_net_open_kernel().

#include "tests/net/namespaces.h"

#include "tests/break_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct heard {
    uint32_t count, size, to;
    struct dx_udp_address from;
    uint64_t at_ns;
    uint8_t bytes[DX_UDP_MAX_BYTES];
};

static struct heard heard[4];

static void
hear(void *context, const struct dx_udp_datagram *datagram)
{
    struct heard *const one = context;
    one->count++;
    one->size = datagram->size;
    one->to = datagram->to;
    one->from = datagram->from;
    one->at_ns = datagram->received_ns;
    CHECK(datagram->size <= sizeof one->bytes);
    memcpy(one->bytes, datagram->data, datagram->size);
}

static struct dx_udp *
open_one(struct dx_udp_config config, uint32_t number)
{
    struct dx_udp *udp = NULL;
    memset(&heard[number], 0, sizeof heard[number]);
    config.context = &heard[number];
    config.received = hear;
    enter_ours();
    CHECK_EQ(dx_udp_open(rig.net, &config, &udp), 0);
    return udp;
}

static uint32_t wanted_count;

static bool
has_first_heard(void)
{
    return heard[0].count >= wanted_count;
}

/* Until the first socket has heard so many. */
static bool
wait_for(uint32_t count)
{
    wanted_count = count;
    return rig_run(5 * S, has_first_heard);
}

static int watched_fd;
static uint8_t got[2048];
static ssize_t got_size;
static struct sockaddr_in got_from;
static int got_tos, got_ttl;

static bool
peer_has_got(void)
{
    uint8_t control[256];
    struct iovec bytes = {got, sizeof got};
    struct msghdr message = {.msg_name = &got_from,
                             .msg_namelen = sizeof got_from,
                             .msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    got_size = recvmsg(watched_fd, &message, 0);
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); got_size >= 0 && header;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_type == IP_TOS)
            got_tos = *CMSG_DATA(header);
        else if (header->cmsg_type == IP_TTL)
            memcpy(&got_ttl, CMSG_DATA(header), sizeof got_ttl);
    }
    return got_size >= 0;
}

static bool
peer_gets(int fd)
{
    watched_fd = fd;
    return rig_run(5 * S, peer_has_got);
}

/* Long enough for what must not come: the cable is a function call. */
static void
let_pass(void)
{
    (void)rig_run(50 * MS, NULL);
}

static int
send_to(struct dx_udp *udp, uint32_t to, uint16_t port, const void *data, uint32_t size)
{
    int error = 0;
    BREAK_RULES_BEGIN("the kernel's sockets are system calls, as docs/design/net.md says")
    error = dx_udp_send(udp, &(struct dx_udp_address){to, port}, data, size);
    BREAK_RULES_END
    return error;
}

static void
fill(uint8_t *data, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 31 + i / 256 + size);
}

static void
datagrams_of_every_size_go_both_ways(void)
{
    struct dx_udp *const udp = open_one((struct dx_udp_config){.port = 5004}, 0);
    const int peer = peer_socket(PEER_IP, 4000);
    uint8_t data[DX_UDP_MAX_BYTES];
    for (uint32_t size = 0; size <= DX_UDP_MAX_BYTES; size++) {
        fill(data, size);
        peer_send(peer, OUR_IP, 5004, data, size);
        CHECK(wait_for(size + 1));
        CHECK_EQ(heard[0].size, size);
        CHECK(memcmp(heard[0].bytes, data, size) == 0);
        CHECK_EQ(send_to(udp, PEER_IP, 4000, data, size), 0);
        CHECK(peer_gets(peer));
        CHECK_EQ(got_size, size);
        CHECK(memcmp(got, data, size) == 0);
    }
    CHECK_EQ(heard[0].from.address, PEER_IP);
    CHECK_EQ(heard[0].from.port, 4000);
    CHECK_EQ(heard[0].to, OUR_IP);
    CHECK_EQ(ntohl(got_from.sin_addr.s_addr), OUR_IP);
    CHECK_EQ(ntohs(got_from.sin_port), 5004);
    CHECK_EQ(send_to(udp, PEER_IP, 4000, data, DX_UDP_MAX_BYTES + 1), -EMSGSIZE);
    dx_udp_close(udp);
    (void)close(peer);
}

static void
a_thousand_datagrams_come_in_order(void)
{
    struct dx_udp *const udp = open_one((struct dx_udp_config){.port = 5004}, 0);
    const int peer = peer_socket(PEER_IP, 4000);
    for (uint32_t i = 0; i < 1000; i++) {
        peer_send(peer, OUR_IP, 5004, &i, sizeof i);
        CHECK(wait_for(i + 1));
        CHECK(memcmp(heard[0].bytes, &i, sizeof i) == 0);
        CHECK_EQ(send_to(udp, PEER_IP, 4000, &i, sizeof i), 0);
        if (i % 50 == 49) // the peer's queue is bounded as well
            for (uint32_t j = i - 49; j <= i; j++)
                CHECK(peer_gets(peer) && memcmp(got, &j, sizeof j) == 0);
    }
    dx_udp_close(udp);
    (void)close(peer);
}

static void
stamps_are_of_the_time_when_a_datagram_came(void)
{
    struct dx_udp *const udp = open_one((struct dx_udp_config){.port = 5004}, 0);
    const int peer = peer_socket(PEER_IP, 4000);
    peer_send(peer, OUR_IP, 5004, "a", 1); // kernels begin to stamp a little after they are asked to
    CHECK(wait_for(1));
    for (uint32_t i = 2; i < 20; i++) {
        const uint64_t before_ns = now_ns();
        peer_send(peer, OUR_IP, 5004, "a", 1);
        const uint64_t after_ns = now_ns();
        // What waits in the kernel's queue keeps its time; what comes to the stack gets it from who brings it.
        if (rig.cable == CABLE_KERNEL)
            CHECK(usleep(20000) == 0);
        CHECK(wait_for(i));
        CHECK(heard[0].at_ns + 100000 >= before_ns); // two clocks are read one after the other
        CHECK(heard[0].at_ns <= now_ns());
        if (rig.cable == CABLE_KERNEL)
            CHECK(heard[0].at_ns <= after_ns + 10 * MS);
    }
    dx_udp_close(udp);
    (void)close(peer);
}

static void
groups_come_to_who_joined_them(void)
{
    struct dx_udp *const any = open_one((struct dx_udp_config){.port = 5004}, 0);
    struct dx_udp *const bound = open_one((struct dx_udp_config){.address = GROUP + 1, .port = 5004}, 1);
    const int peer = peer_socket(PEER_IP, 4000);
    CHECK_EQ(dx_udp_join(any, GROUP, 0), 0);
    CHECK_EQ(dx_udp_join(any, GROUP, 0), -EADDRINUSE);
    CHECK_EQ(dx_udp_join(any, GROUP, PEER_IP), -EINVAL);
    CHECK_EQ(dx_udp_join(bound, GROUP + 1, 0), 0);
    peer_send(peer, GROUP ^ 0x01000000, 5004, "x", 1); // the same MAC
    peer_send(peer, GROUP + 2, 5004, "x", 1);
    peer_send(peer, GROUP + 1, 5004, "b", 1);
    peer_send(peer, GROUP, 5004, "a", 1);
    CHECK(wait_for(1));
    let_pass();
    CHECK_EQ(heard[0].count, 1);
    CHECK_EQ(heard[0].to, GROUP);
    CHECK_EQ(heard[0].bytes[0], 'a');
    CHECK_EQ(heard[1].count, 1);
    CHECK_EQ(heard[1].to, GROUP + 1);
    CHECK_EQ(heard[1].bytes[0], 'b');
    CHECK_EQ(dx_udp_leave(any, GROUP, 0), 0);
    CHECK_EQ(dx_udp_leave(any, GROUP, 0), -EADDRNOTAVAIL);
    peer_send(peer, GROUP, 5004, "a", 1);
    let_pass();
    CHECK_EQ(heard[0].count, 1);
    dx_udp_close(any);
    dx_udp_close(bound);
    (void)close(peer);
}

static void
sources_come_to_who_asked_for_them(void)
{
    struct dx_udp *const first = open_one((struct dx_udp_config){.address = GROUP, .port = 5004}, 0);
    struct dx_udp *const second = open_one((struct dx_udp_config){.address = GROUP, .port = 5004}, 1);
    const int peer = peer_socket(PEER_IP, 4000), peer2 = peer_socket(PEER_IP2, 4000);
    CHECK_EQ(dx_udp_join(first, GROUP, PEER_IP), 0);
    CHECK_EQ(dx_udp_join(second, GROUP, PEER_IP2), 0);
    peer_send(peer2, GROUP, 5004, "b", 1);
    peer_send(peer, GROUP, 5004, "a", 1);
    CHECK(wait_for(1));
    let_pass();
    CHECK_EQ(heard[0].count, 1);
    CHECK_EQ(heard[0].from.address, PEER_IP);
    CHECK_EQ(heard[1].count, 1);
    CHECK_EQ(heard[1].from.address, PEER_IP2);
    CHECK_EQ(dx_udp_join(first, GROUP, PEER_IP2), 0);
    peer_send(peer2, GROUP, 5004, "b", 1);
    CHECK(wait_for(2));
    CHECK_EQ(dx_udp_leave(first, GROUP, PEER_IP2), 0);
    peer_send(peer2, GROUP, 5004, "b", 1);
    let_pass();
    CHECK_EQ(heard[0].count, 2);
    for (uint32_t i = 0; i + 1 < DX_UDP_MAX_SOURCES; i++)
        CHECK_EQ(dx_udp_join(first, GROUP, 0x0a000001 + i), 0);
    CHECK_EQ(dx_udp_join(first, GROUP, 0x0a0000ff), -ENOBUFS);
    for (uint32_t i = DX_UDP_MAX_SOURCES; i < DX_UDP_MAX_MEMBERSHIPS; i++)
        CHECK_EQ(dx_udp_join(first, GROUP + i, 0), 0);
    CHECK_EQ(dx_udp_join(first, GROUP + 99, 0), -ENOBUFS);
    dx_udp_close(first);
    dx_udp_close(second);
    (void)close(peer);
    (void)close(peer2);
}

/* In fragments, which our own stack drops and the kernel puts together. */
static void
what_is_longer_than_a_frame_does_not_come(void)
{
    struct dx_udp *const udp = open_one((struct dx_udp_config){.port = 5004}, 0);
    const int peer = peer_socket(PEER_IP, 4000);
    const uint64_t lost = dx_net_lost(rig.net);
    static const uint8_t data[3000];
    peer_send(peer, OUR_IP, 5004, data, sizeof data);
    peer_send(peer, OUR_IP, 5004, data, DX_UDP_MAX_BYTES + 1);
    peer_send(peer, OUR_IP, 5004, data, DX_UDP_MAX_BYTES);
    let_pass();
    CHECK_EQ(heard[0].count, 1);
    CHECK_EQ(heard[0].size, DX_UDP_MAX_BYTES);
    CHECK_EQ(dx_net_lost(rig.net) - lost, rig.cable == CABLE_KERNEL ? 2 : 0); // the stack counts them as fragments
    dx_udp_close(udp);
    (void)close(peer);
}

static void
what_is_sent_to_a_group_comes_back_to_who_asked_for_it(void)
{
    for (uint32_t is_loop = 0; is_loop < 2; is_loop++) {
        struct dx_udp *const udp = open_one((struct dx_udp_config){.port = 5004, .is_loop = is_loop}, 0);
        CHECK_EQ(dx_udp_join(udp, GROUP, 0), 0);
        CHECK_EQ(send_to(udp, GROUP, 5004, "a", 1), 0);
        let_pass();
        CHECK_EQ(heard[0].count, is_loop && rig.cable == CABLE_KERNEL); // our own stack never does
        dx_udp_close(udp);
    }
}

static void
service_class_and_time_to_live_are_on_the_wire(void)
{
    const int peer = peer_socket(0, 4000), one = 1;
    const struct ip_mreqn group = {.imr_multiaddr.s_addr = htonl(GROUP), .imr_ifindex = (int)if_nametoindex("vk")};
    CHECK(setsockopt(peer, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) == 0);
    CHECK(setsockopt(peer, IPPROTO_IP, IP_RECVTOS, &one, sizeof one) == 0);
    CHECK(setsockopt(peer, IPPROTO_IP, IP_RECVTTL, &one, sizeof one) == 0);
    static const struct {
        uint8_t dscp, ttl;
        uint32_t to;
        int expected_ttl;
    } cases[] = {{46, 0, GROUP, 1}, {34, 15, GROUP, 15}, {0, 15, PEER_IP, 64}, {63, 255, GROUP, 255}};
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dx_udp *const udp = open_one((struct dx_udp_config){.dscp = cases[i].dscp, .ttl = cases[i].ttl}, 0);
        CHECK(udp->config.port != 0);
        CHECK_EQ(send_to(udp, cases[i].to, 4000, "a", 1), 0);
        CHECK(peer_gets(peer));
        CHECK_EQ(got_tos, cases[i].dscp * 4);
        CHECK_EQ(got_ttl, cases[i].expected_ttl);
        CHECK_EQ(ntohs(got_from.sin_port), udp->config.port);
        dx_udp_close(udp);
    }
    (void)close(peer);
}

static void
broadcasts_go_both_ways(void)
{
    struct dx_udp *const any = open_one((struct dx_udp_config){.port = 5004}, 0);
    struct dx_udp *const bound = open_one((struct dx_udp_config){.address = OUR_IP, .port = 5005}, 1);
    const int peer = peer_socket(0, 4000);
    peer_send(peer, 0xc00002ff, 5005, "b", 1);
    peer_send(peer, 0xc00002ff, 5004, "a", 1);
    CHECK(wait_for(1));
    let_pass();
    CHECK_EQ(heard[0].to, 0xc00002ff);
    CHECK_EQ(heard[1].count, 0); // bound to an address that this is not
    peer_send(peer, OUR_IP, 5005, "b", 1);
    let_pass();
    CHECK_EQ(heard[1].count, 1);
    CHECK_EQ(send_to(any, 0xc00002ff, 4000, "c", 1), 0);
    CHECK(peer_gets(peer));
    CHECK_EQ(got[0], 'c');
    dx_udp_close(any);
    dx_udp_close(bound);
    (void)close(peer);
}

static void
ports_are_refused_alike(void)
{
    struct dx_udp *const udp = open_one((struct dx_udp_config){.port = 5004}, 0), *other;
    struct dx_udp_config config = udp->config;
    enter_ours();
    CHECK_EQ(dx_udp_open(rig.net, &config, &other), -EADDRINUSE);
    config.address = OUR_IP;
    CHECK_EQ(dx_udp_open(rig.net, &config, &other), -EADDRINUSE);
    config.address = PEER_IP;
    config.port = 5005;
    CHECK_EQ(dx_udp_open(rig.net, &config, &other), -EADDRNOTAVAIL);
    config.address = GROUP;
    config.port = 5004;
    CHECK_EQ(dx_udp_open(rig.net, &config, &other), 0);
    CHECK_EQ(dx_udp_join(other, OUR_IP, 0), -EINVAL);
    CHECK_EQ(send_to(other, PEER_IP, 0, "a", 1), -EINVAL);
    dx_udp_close(other);
    dx_udp_close(udp);
    CHECK_EQ(dx_net_address(rig.net), OUR_IP);
}

/* What the queue had no room for is known, to the last one. */
static void
what_is_lost_is_counted(void)
{
    enum { SENT = 20000 };
    struct dx_udp *const udp = open_one((struct dx_udp_config){.port = 5004}, 0);
    const int peer = peer_socket(PEER_IP, 4000);
    static const uint8_t data[1400];
    for (uint32_t i = 0; i < SENT; i++)
        peer_send(peer, OUR_IP, 5004, data, sizeof data);
    let_pass();
    peer_send(peer, OUR_IP, 5004, data, sizeof data); // what comes after the gap tells of it
    let_pass();
    CHECK(dx_net_lost(rig.net) > 0);
    CHECK_EQ(heard[0].count + dx_net_lost(rig.net), SENT + 1);
    dx_udp_close(udp);
    (void)close(peer);
}

/* What a child of ours still holds open is closed all the same: nothing of it wakes who waits. */
static void
a_closed_socket_is_silent_though_a_child_has_it(void)
{
    struct dx_udp *const udp = open_one((struct dx_udp_config){.port = 5004}, 0);
    const int peer = peer_socket(PEER_IP, 4000);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        for (;;)
            (void)pause();
    dx_udp_close(udp);
    peer_send(peer, OUR_IP, 5004, "a", 1);
    struct pollfd fd = {.fd = dx_net_fd(rig.net), .events = POLLIN};
    const int ready = poll(&fd, 1, 50);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    CHECK_EQ(ready, 0);
    (void)close(peer);
}

static void
an_interface_that_is_not_there_is_named(void)
{
    char why[256] = "";
    struct dx_net *net;
    CHECK_EQ(dx_net_open_kernel("nosuch7", &net, why), -ENODEV);
    CHECK(strstr(why, "nosuch7") != NULL);
}

int
main(int argc, char **argv)
{
    const char *const kind = argc > 1 ? argv[1] : "packet";
    rig_make(strcmp(kind, "tap") == 0 ? CABLE_TAP : strcmp(kind, "kernel") == 0 ? CABLE_KERNEL : CABLE_PACKET);
    rig_start(DX_NET_STATIC);
    RUN(datagrams_of_every_size_go_both_ways);
    RUN(a_thousand_datagrams_come_in_order);
    RUN(stamps_are_of_the_time_when_a_datagram_came);
    RUN(groups_come_to_who_joined_them);
    RUN(sources_come_to_who_asked_for_them);
    RUN(what_is_sent_to_a_group_comes_back_to_who_asked_for_it);
    RUN(service_class_and_time_to_live_are_on_the_wire);
    RUN(broadcasts_go_both_ways);
    RUN(ports_are_refused_alike);
    if (rig.cable == CABLE_KERNEL)
        RUN(what_is_lost_is_counted);
    RUN(what_is_longer_than_a_frame_does_not_come);
    if (rig.cable == CABLE_KERNEL) {
        RUN(a_closed_socket_is_silent_though_a_child_has_it);
        RUN(an_interface_that_is_not_there_is_named);
    }
    rig_stop();
    return 0;
}
