// SPDX-License-Identifier: MIT
// Behind a Linux bridge that snoops and asks every second: streams survive its queries, and stop after leave.

#include "tests/net/namespaces.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 5004 };

#define TALKER_IP 0xc0000209u       // 192.0.2.9
#define OTHER_TALKER_IP 0xc000020au // 192.0.2.10, the same host

static int talker_fd, other_talker_fd;
static uint32_t next_number;
static struct {
    uint32_t count, last, gaps;
} heard;
static uint32_t heard_from_other;

static void
hear(void *context, const struct dx_udp_datagram *datagram)
{
    (void)context;
    uint32_t number;
    CHECK_EQ(datagram->size, sizeof number);
    if (datagram->from.address == OTHER_TALKER_IP) {
        heard_from_other++;
        return;
    }
    memcpy(&number, datagram->data, sizeof number);
    heard.gaps += heard.count && number != heard.last + 1;
    heard.last = number;
    heard.count++;
}

static int
open_talker(uint32_t from)
{
    const struct ip_mreqn interface = {.imr_ifindex = (int)if_nametoindex("talk")};
    const struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(from)};
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof interface) == 0);
    CHECK(bind(fd, (const struct sockaddr *)&own, sizeof own) == 0);
    return fd;
}

/* The peer's end becomes a port of a bridge, another port leads to who talks. */
static void
make_bridge(unsigned version)
{
    enter_theirs();
    run("ip addr flush dev vk");
    if (system("ip link add br0 type bridge mcast_snooping 1") != 0) {
        (void)fprintf(stderr, "skipped: the kernel has no bridge that snoops\n");
        exit(SKIPPED);
    }
    run("ip link set br0 type bridge mcast_igmp_version %u mcast_query_interval 100 "
        "mcast_query_response_interval 50 "
        "mcast_startup_query_interval 100 mcast_membership_interval 260 mcast_last_member_interval 50",
        version);
    run("ip link set br0 type bridge mcast_querier 1"); // last: it floods for one response interval from here on
    run("ip link set br0 addrgenmode none; ip link add vt type veth peer name talk;"
        "ip link set vt addrgenmode none; ip link set talk addrgenmode none;"
        "ip link set vk master br0; ip link set vt master br0; ip link set vt up; ip link set br0 up;"
        "ip link set talk up; ip addr add 192.0.2.9/24 dev talk; ip addr add 192.0.2.10/24 dev talk");
    talker_fd = open_talker(TALKER_IP);
    other_talker_fd = open_talker(OTHER_TALKER_IP);
}

static bool
talk(void)
{
    static uint64_t last_ns;
    if (now_ns() - last_ns >= 5 * MS) {
        last_ns = now_ns();
        peer_send(talker_fd, GROUP, PORT, &next_number, sizeof next_number);
        next_number++;
    }
    return false;
}

static bool
talk_as_other(void)
{
    static uint64_t last_ns;
    if (now_ns() - last_ns >= 5 * MS) {
        last_ns = now_ns();
        peer_send(other_talker_fd, GROUP, PORT, "talk", 4);
    }
    return false;
}

static bool
talk_both(void)
{
    return talk() || talk_as_other();
}

static struct dx_net_stack_counters
counters(void)
{
    struct dx_net_stack_counters now;
    dx_net_stack_get_counters(rig.stack, &now);
    return now;
}

static uint64_t queries_at_start;

static bool
has_seen_ten_queries(void)
{
    (void)talk();
    return counters().igmp_queries - queries_at_start >= 10;
}

static void
nothing_comes_before_a_join(void)
{
    (void)rig_run(4 * S, talk); // a bridge floods until it has asked, and had time for answers
    const uint64_t frames = rig.group_frames;
    (void)rig_run(1 * S, talk);
    CHECK_EQ(rig.group_frames, frames);
}

static struct dx_udp *udp;

static void
a_stream_survives_ten_queries(void)
{
    CHECK_EQ(dx_udp_join(udp, GROUP, 0), 0);
    (void)rig_run(S / 2, talk);
    CHECK(heard.count > 0);
    queries_at_start = counters().igmp_queries;
    const uint64_t begin_ns = now_ns();
    const uint32_t first = heard.count, number = next_number;
    CHECK(rig_run(60 * S, has_seen_ten_queries));
    (void)rig_run(2 * S, talk);
    (void)fprintf(stderr, "  %u datagrams in %.1f s, %u gaps\n", heard.count - first,
                  (double)(now_ns() - begin_ns) / 1e9, heard.gaps);
    CHECK_EQ(heard.gaps, 0);
    CHECK(heard.count - first + 2 >= next_number - number);
    CHECK(now_ns() - begin_ns >= 9 * S);
}

static void
it_stops_after_leave(void)
{
    CHECK_EQ(dx_udp_leave(udp, GROUP, 0), 0);
    (void)rig_run(2 * S, talk); // two questions, half a second apart
    const uint64_t frames = rig.group_frames;
    (void)rig_run(1 * S, talk);
    CHECK_EQ(rig.group_frames, frames);
}

/* Version 3: the bridge asks for the source that was left, which is not answered; its general queries are. */
static void
one_source_stops_after_leave_and_the_other_goes_on(void)
{
    memset(&heard, 0, sizeof heard);
    CHECK_EQ(dx_udp_join(udp, GROUP, TALKER_IP), 0);
    CHECK_EQ(dx_udp_join(udp, GROUP, OTHER_TALKER_IP), 0);
    (void)rig_run(1 * S, talk_both);
    CHECK(heard.count > 0 && heard_from_other > 0);
    queries_at_start = counters().igmp_queries;
    CHECK_EQ(dx_udp_leave(udp, GROUP, OTHER_TALKER_IP), 0);
    (void)rig_run(4 * S, talk_both);
    (void)rig_run(S / 10, NULL); // what was said last is here
    CHECK(counters().igmp_queries > queries_at_start);
    const uint64_t frames = rig.group_frames;
    (void)rig_run(1 * S, talk_as_other);
    CHECK_EQ(rig.group_frames, frames);
    const uint32_t first = heard.count, number = next_number;
    (void)rig_run(1 * S, talk);
    CHECK_EQ(heard.gaps, 0);
    CHECK(heard.count > first && heard.count - first + 2 >= next_number - number);
    CHECK_EQ(dx_udp_leave(udp, GROUP, TALKER_IP), 0);
    (void)rig_run(2 * S, talk);
    const uint64_t frames_then = rig.group_frames;
    (void)rig_run(1 * S, talk_both);
    CHECK_EQ(rig.group_frames, frames_then);
}

/* Were it not for the answers, the bridge would forget: this is what the other tests rest on. */
static void
it_stops_as_well_when_nobody_answers(void)
{
    heard.count = 0;
    CHECK_EQ(dx_udp_join(udp, GROUP, 0), 0);
    (void)rig_run(1 * S, talk);
    CHECK(heard.count > 0);
    rig.is_mute = true;
    (void)rig_run(6 * S, talk);
    const uint64_t frames = rig.group_frames;
    (void)rig_run(1 * S, talk);
    CHECK_EQ(rig.group_frames, frames);
}

int
main(int argc, char **argv)
{
    const unsigned version = argc > 1 ? (unsigned)atoi(argv[1]) : 3;
    rig_make(CABLE_PACKET);
    make_bridge(version);
    rig_start(DX_NET_STATIC);
    const struct dx_udp_config config = {.port = PORT, .received = hear};
    CHECK_EQ(dx_udp_open(rig.net, &config, &udp), 0);
    RUN(nothing_comes_before_a_join);
    RUN(a_stream_survives_ten_queries);
    RUN(it_stops_after_leave);
    if (version == 3)
        RUN(one_source_stops_after_leave_and_the_other_goes_on);
    RUN(it_stops_as_well_when_nobody_answers);
    rig_stop();
    return 0;
}
