// SPDX-License-Identifier: MIT
// Two hosts on one machine: a Linux kernel at one end of a cable, a stack of ours or the kernel's at the other.

#include "tests/net/namespaces.h"

#include "tests/break_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct rig rig = {.frames_fd = -1};

uint64_t
now_ns(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * S + (uint64_t)time.tv_nsec;
}

bool
has_program(const char *name)
{
    char command[256];
    (void)snprintf(command, sizeof command, "PATH=$PATH:/usr/sbin:/sbin; command -v %s >/dev/null", name);
    return system(command) == 0;
}

void
run(const char *format, ...)
{
    char command[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    const int status = system(command);
    if (status != 0) {
        (void)fprintf(stderr, "status %d: %s\n", status, command);
        exit(1);
    }
}

static void
skip(const char *what)
{
    (void)fprintf(stderr, "skipped: %s: %s\n", what, strerror(errno));
    exit(SKIPPED);
}

static void
write_file(const char *path, const char *text)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        skip(path);
    (void)close(fd);
}

/* An ordinary user is root in a user namespace of its own. */
static void
leave_namespaces(void)
{
    if (unshare(CLONE_NEWNET) == 0)
        return;
    char map[64];
    const unsigned uid = geteuid(), gid = getegid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        skip("the kernel gives this user no network namespace of its own");
    (void)snprintf(map, sizeof map, "0 %u 1", uid);
    write_file("/proc/self/uid_map", map);
    write_file("/proc/self/setgroups", "deny");
    (void)snprintf(map, sizeof map, "0 %u 1", gid);
    write_file("/proc/self/gid_map", map);
}

static int
open_namespace(void)
{
    const int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

void
enter_ours(void)
{
    CHECK(setns(rig.our_namespace, CLONE_NEWNET) == 0);
}

void
enter_theirs(void)
{
    CHECK(setns(rig.their_namespace, CLONE_NEWNET) == 0);
}

/* A veth end leaves the sum of what it sends to the other end's hardware, which is not there. */
static void
compute_checksums(const char *interface)
{
    struct ethtool_value value = {.cmd = ETHTOOL_STXCSUM, .data = 0};
    struct ifreq request = {.ifr_data = (void *)&value};
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && ioctl(fd, SIOCETHTOOL, &request) == 0);
    (void)close(fd);
}

static void
make_tap(void)
{
    rig.frames_fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (rig.frames_fd < 0)
        skip("/dev/net/tun");
    struct ifreq request = {.ifr_name = "vk", .ifr_flags = IFF_TAP | IFF_NO_PI};
    if (ioctl(rig.frames_fd, TUNSETIFF, &request) < 0)
        skip("a TAP interface");
}

static void
make_veth(void)
{
    // The child of system() opens our descriptor by its path.
    if (fcntl(rig.our_namespace, F_SETFD, 0) < 0)
        skip("fcntl");
    char command[256];
    (void)snprintf(command, sizeof command, "ip link add vk type veth peer name vs netns /proc/%d/fd/%d",
                   (int)getpid(), rig.our_namespace);
    if (system(command) != 0)
        skip("a veth pair");
    compute_checksums("vk");
    enter_ours();
    run("ip link set vs addrgenmode none; ip link set lo up; ip link set vs up");
    if (rig.cable == CABLE_KERNEL)
        run("ip addr add 192.0.2.1/24 dev vs");
    enter_theirs();
}

/* Behind the end of a cable: all frames that come, none that go. */
static void
open_packets(void)
{
    enter_ours();
    rig.frames_fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
    const struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex("vs")};
    const int one = 1, bytes = 4 << 20;
    CHECK(rig.frames_fd >= 0 && bind(rig.frames_fd, (const struct sockaddr *)&address, sizeof address) == 0);
    CHECK(setsockopt(rig.frames_fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) == 0);
    (void)setsockopt(rig.frames_fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    enter_theirs();
}

void
rig_make(enum cable cable)
{
    errno = ENOENT;
    if (!has_program("ip"))
        skip("the program ip");
    leave_namespaces();
    (void)setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    rig.cable = cable;
    rig.their_namespace = open_namespace();
    CHECK(unshare(CLONE_NEWNET) == 0);
    rig.our_namespace = open_namespace();
    enter_theirs();
    run("ip link set lo up");
    if (cable == CABLE_TAP)
        make_tap();
    else
        make_veth();
    run("ip link set vk addrgenmode none; ip link set vk up; ip addr add 192.0.2.2/24 dev vk;"
        "ip addr add 192.0.2.3/24 dev vk");
    if (cable == CABLE_PACKET)
        open_packets();
}

static int
send_frame(void *context, const uint8_t *frame, uint32_t size) DX_REALTIME
{
    (void)context;
    if (rig.is_mute && frame[12] == 8 && frame[13] == 0 && frame[14 + 9] == 2)
        return 0;
    int error = 0;
    BREAK_RULES_BEGIN("the cable of a test is a descriptor")
    if (write(rig.frames_fd, frame, size) != (ssize_t)size)
        error = -errno;
    BREAK_RULES_END
    return error;
}

static void
set_filter(void *context, const uint8_t (*groups)[6], uint32_t count)
{
    (void)context, (void)groups, (void)count;
}

static void
say_address(void *context, uint32_t address, const char *how)
{
    (void)context;
    const struct in_addr in = {htonl(address)};
    (void)fprintf(stderr, "  %s: %s\n", inet_ntoa(in), how);
}

void
rig_start(enum dx_net_addressing addressing)
{
    char why[256];
    if (rig.cable == CABLE_KERNEL) {
        enter_ours();
        CHECK_EQ(dx_net_open_kernel("vs", &rig.net, why), 0);
        return;
    }
    const struct dx_net_stack_config config = {
        .mac = {2, 0, 0, 0, 0, 1},
        .addressing = addressing,
        .address = OUR_IP,
        .netmask = 0xffffff00,
        .host_name = "stagebox",
        .send = send_frame,
        .set_filter = set_filter,
        .address_changed = say_address,
    };
    CHECK_EQ(dx_net_stack_create(&config, &rig.stack), 0);
    rig.net = dx_net_stack_net(rig.stack);
    dx_net_stack_set_link(rig.stack, true, now_ns());
}

void
rig_stop(void)
{
    dx_net_destroy(rig.net);
    rig.net = NULL;
    rig.stack = NULL;
    enter_theirs();
}

static void
take_frames(void)
{
    uint8_t frame[2048];
    ssize_t size;
    while ((size = read(rig.frames_fd, frame, sizeof frame)) > 0) {
        rig.group_frames += memcmp(frame, "\x01\x00\x5e\x45\x00\x01", 6) == 0 && frame[14 + 9] == 17;
        if (rig.stack)
            dx_net_stack_input(rig.stack, frame, (uint32_t)size, now_ns());
    }
}

bool
rig_run(uint64_t ns, bool (*is_done)(void))
{
    const uint64_t end_ns = now_ns() + ns;
    bool is_over = false;
    for (;;) {
        if (rig.frames_fd >= 0)
            take_frames();
        const uint64_t next_ns = rig.net ? dx_net_poll(rig.net, now_ns()) : UINT64_MAX;
        const bool done = is_done && is_done();
        if (done || is_over)
            return done;
        const uint64_t now = now_ns();
        uint64_t wait_ns = end_ns > now ? end_ns - now : 0;
        wait_ns = next_ns > now ? (next_ns - now < wait_ns ? next_ns - now : wait_ns) : 0;
        if (wait_ns > 20 * MS) // is_done may look at what no descriptor tells
            wait_ns = 20 * MS;
        struct pollfd fd = {.fd = rig.frames_fd >= 0 ? rig.frames_fd : dx_net_fd(rig.net), .events = POLLIN};
        const struct timespec wait = {.tv_nsec = (long)wait_ns};
        (void)ppoll(&fd, 1, &wait, NULL);
        is_over = now_ns() >= end_ns;
    }
}

pid_t
rig_spawn(const char *const *arguments)
{
    enter_theirs();
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)execvp(arguments[0], (char *const *)(uintptr_t)arguments);
    _exit(127);
}

void
rig_kill(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static pid_t command_pid;
static int command_status;

static bool
has_ended(void)
{
    return waitpid(command_pid, &command_status, WNOHANG) == command_pid;
}

int
rig_run_command(const char *command)
{
    (void)fprintf(stderr, "  %s\n", command);
    command_pid = rig_spawn((const char *const[]){"sh", "-c", command, NULL});
    if (!rig_run(60 * S, has_ended)) {
        rig_kill(command_pid);
        (void)fprintf(stderr, "no end: %s\n", command);
        exit(1);
    }
    return WIFEXITED(command_status) ? WEXITSTATUS(command_status) : -1;
}

int
peer_socket(uint32_t address, uint16_t port)
{
    enter_theirs();
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, ttl = 4;
    const struct sockaddr_in own = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(address), .sin_port = htons(port)};
    const struct ip_mreqn interface = {.imr_address.s_addr = htonl(address),
                                       .imr_ifindex = (int)if_nametoindex("vk")};
    CHECK(fd >= 0);
    CHECK(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof interface) == 0);
    CHECK(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof ttl) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof one) == 0);
    CHECK(bind(fd, (const struct sockaddr *)&own, sizeof own) == 0);
    return fd;
}

void
peer_send(int fd, uint32_t to, uint16_t port, const void *data, uint32_t size)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(to), .sin_port = htons(port)};
    CHECK_EQ(sendto(fd, data, size, 0, (const struct sockaddr *)&address, sizeof address), size);
}
