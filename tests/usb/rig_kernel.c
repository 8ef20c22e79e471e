// SPDX-License-Identifier: MIT
// In a machine with vhci_hcd: the kernel's own driver drives one of our models, and all that is sent comes back.
//
// usage: rig_kernel DRIVER USB_MODEL [OPTION_OF_USB_MODEL]... KIND

#include "tests/core/check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAC "02:00:00:12:34:56"
#define ADDRESS "192.0.2.1"
#define WIRE_ADDRESS "192.0.2.2"
#define PORT 5000
#define PAYLOAD_MAX 1472u
#define PACKETS 1000u
#define AHEAD 8u // packets under way at most
#define BURST 8u
#define NS_PER_MS UINT64_C(1000000)

static char interface[IFNAMSIZ];
static volatile pid_t model;
static int echo_fd; // connected to what echoes on the wire

static uint64_t
now_ns(void)
{
    struct timespec now;
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
sleep_until(uint64_t at_ns)
{
    const struct timespec at = {(time_t)(at_ns / 1000000000u), (long)(at_ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}

static void
sleep_ms(uint64_t ms)
{
    sleep_until(now_ns() + ms * NS_PER_MS);
}

/* ---- the interface ---- */

static bool
read_text(const char *what, char text[64])
{
    char path[128];
    (void)snprintf(path, sizeof path, "/sys/class/net/%s/%s", interface, what);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : read(fd, text, 63);
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return true;
}

static bool
find_interface(const char *driver)
{
    DIR *const folder = opendir("/sys/class/net");
    CHECK(folder);
    bool is_found = false;
    for (const struct dirent *entry; !is_found && (entry = readdir(folder));) {
        char path[512], target[512];
        (void)snprintf(path, sizeof path, "/sys/class/net/%s/device/driver", entry->d_name);
        const ssize_t n = readlink(path, target, sizeof target - 1);
        if (n <= 0)
            continue;
        target[n] = '\0';
        is_found = strcmp(strrchr(target, '/') + 1, driver) == 0;
        if (is_found)
            (void)snprintf(interface, sizeof interface, "%.15s", entry->d_name);
    }
    (void)closedir(folder);
    return is_found;
}

static void
wait_for(bool (*is_so)(const char *), const char *argument, const char *what)
{
    const uint64_t begun_ns = now_ns();
    while (!is_so(argument)) {
        if (now_ns() - begun_ns > 20000 * NS_PER_MS) {
            (void)fprintf(stderr, "after 20 s still no %s\n", what);
            abort();
        }
        sleep_ms(10);
    }
    (void)printf("%s after %llu ms\n", what, (unsigned long long)((now_ns() - begun_ns) / NS_PER_MS));
}

static bool
has_carrier(const char *unused)
{
    char text[64];
    (void)unused;
    return read_text("carrier", text) && strcmp(text, "1") == 0;
}

static void
set_up_interface(void)
{
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {0};
    struct sockaddr_in place = {.sin_family = AF_INET};
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    CHECK_EQ(inet_pton(AF_INET, ADDRESS, &place.sin_addr), 1);
    memcpy(&request.ifr_addr, &place, sizeof place);
    CHECK_EQ(ioctl(fd, SIOCSIFADDR, &request), 0);
    CHECK_EQ(inet_pton(AF_INET, "255.255.255.0", &place.sin_addr), 1);
    memcpy(&request.ifr_netmask, &place, sizeof place);
    CHECK_EQ(ioctl(fd, SIOCSIFNETMASK, &request), 0);
    CHECK_EQ(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    request.ifr_flags |= IFF_UP;
    CHECK_EQ(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    (void)close(fd);
}

/* ---- datagrams ---- */

static void
fill(uint8_t *bytes, uint32_t size, uint32_t seed)
{
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 8) + seed * 31);
}

static bool
comes_back(uint32_t size, int timeout_ms)
{
    uint8_t bytes[PAYLOAD_MAX], answer[2048];
    struct pollfd waited = {.fd = echo_fd, .events = POLLIN};
    fill(bytes, size, size);
    if (send(echo_fd, bytes, size, 0) != (ssize_t)size)
        return false;
    while (poll(&waited, 1, timeout_ms) == 1) {
        const ssize_t n = recv(echo_fd, answer, sizeof answer, 0);
        if (n == (ssize_t)size && memcmp(answer, bytes, size) == 0)
            return true;
    }
    return false;
}

static void
every_payload_size_comes_back(void)
{
    uint32_t lost = 0;
    for (uint32_t size = 0; size <= PAYLOAD_MAX; size++)
        if (!comes_back(size, 1000) && lost++ < 8)
            (void)fprintf(stderr, "nothing came back of %u bytes\n", size);
    CHECK_EQ(lost, 0);
}

/* What the driver says that it threw away itself: cdc_ncm does that when packets come faster than it makes blocks
 * of them, as they do from a machine that stood still for a moment. Nobody else may lose any. */
static uint32_t
count_dropped(void)
{
    char text[64];
    CHECK(read_text("statistics/tx_dropped", text));
    return (uint32_t)strtoul(text, NULL, 10);
}

/* What has come must be the next ones. `lost`: of those before. */
static void
take_answers(uint32_t *next, uint32_t *lost, uint32_t dropped_before, uint32_t size)
{
    uint8_t expected[PAYLOAD_MAX], answer[2048];
    for (ssize_t n; (n = recv(echo_fd, answer, sizeof answer, MSG_DONTWAIT)) >= 0; ++*next) {
        uint32_t came;
        CHECK_EQ(n, size);
        memcpy(&came, answer, sizeof came);
        if (came > *next && *lost + came - *next <= count_dropped() - dropped_before) {
            *lost += came - *next;
            *next = came;
        }
        CHECK_EQ(came, *next);
        fill(expected, size, came);
        memcpy(expected, &came, sizeof came);
        CHECK(memcmp(answer, expected, size) == 0);
    }
}

/* Where the machine stands still, what it did not do meanwhile must not come at once. */
static void
a_packet_each_millisecond_comes_back_in_order(void)
{
    const uint32_t size = 1164;
    uint8_t bytes[PAYLOAD_MAX];
    uint32_t next = 0, lost = 0;
    const uint32_t dropped_before = count_dropped();
    const uint64_t begun_ns = now_ns();
    uint64_t due_ns = begun_ns;
    for (uint32_t i = 0; i < PACKETS;) {
        take_answers(&next, &lost, dropped_before, size);
        if (i - next < AHEAD) {
            fill(bytes, size, i);
            memcpy(bytes, &i, sizeof i);
            CHECK_EQ(send(echo_fd, bytes, size, 0), size);
            i++;
        } else {
            CHECK(now_ns() - begun_ns < 60000 * NS_PER_MS);
            due_ns = now_ns();
        }
        due_ns += NS_PER_MS;
        sleep_until(due_ns);
    }
    const uint64_t sent_ns = now_ns();
    while (next < PACKETS && now_ns() - sent_ns < 3000 * NS_PER_MS) {
        take_answers(&next, &lost, dropped_before, size);
        sleep_ms(1);
    }
    CHECK(PACKETS - next + lost <= count_dropped() - dropped_before);
    (void)printf("%u packets in %llu ms; the driver dropped %u\n", PACKETS,
                 (unsigned long long)((sent_ns - begun_ns) / NS_PER_MS), count_dropped() - dropped_before);
}

static void
bursts_come_back_whole(void)
{
    uint32_t sizes[BURST];
    uint8_t bytes[PAYLOAD_MAX], answer[2048];
    for (uint32_t round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < BURST; i++) {
            sizes[i] = 40 + (round * 131 + i * 97) % 1400;
            fill(bytes, sizes[i], i);
            CHECK_EQ(send(echo_fd, bytes, sizes[i], 0), sizes[i]);
        }
        for (uint32_t i = 0; i < BURST; i++) {
            struct pollfd waited = {.fd = echo_fd, .events = POLLIN};
            CHECK_EQ(poll(&waited, 1, 2000), 1);
            fill(bytes, sizes[i], i);
            CHECK_EQ(recv(echo_fd, answer, sizeof answer, 0), sizes[i]);
            CHECK(memcmp(answer, bytes, sizes[i]) == 0);
        }
    }
}

/* ---- multicast: what passes the adapter's filter, whether the kernel wants it or not ---- */

static int
open_packets(void)
{
    const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_IP));
    const struct sockaddr_ll place = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = (int)if_nametoindex(interface)};
    CHECK(fd >= 0);
    CHECK_EQ(bind(fd, (const struct sockaddr *)&place, sizeof place), 0);
    return fd;
}

/* Has the wire send to a group, and looks whether the frame arrives. */
static bool
is_heard(int packets, const char *group)
{
    char text[32];
    uint8_t frame[2048];
    struct in_addr address;
    CHECK_EQ(inet_pton(AF_INET, group, &address), 1);
    const uint32_t low = ntohl(address.s_addr) & 0x7fffff;
    const uint8_t mac[6] = {0x01, 0x00, 0x5e, (uint8_t)(low >> 16), (uint8_t)(low >> 8), (uint8_t)low};
    const int length = snprintf(text, sizeof text, "group %s", group);
    CHECK_EQ(send(echo_fd, text, (size_t)length, 0), length);
    struct pollfd waited = {.fd = packets, .events = POLLIN};
    while (poll(&waited, 1, 500) == 1)
        if (recv(packets, frame, sizeof frame, 0) >= 6 && memcmp(frame, mac, 6) == 0)
            return true;
    return false;
}

/* The hash of 239.69.1.2 is 29, of 239.69.0.1 42, of 224.0.0.1, which is always there, 31. */
static void
groups_pass_the_hash_filter_while_they_are_joined(void)
{
    const int packets = open_packets(), member = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ip_mreq group = {0};
    CHECK_EQ(inet_pton(AF_INET, "239.69.1.2", &group.imr_multiaddr), 1);
    CHECK_EQ(inet_pton(AF_INET, ADDRESS, &group.imr_interface), 1);
    CHECK(!is_heard(packets, "239.69.1.2"));
    CHECK_EQ(setsockopt(member, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group), 0);
    sleep_ms(200);
    CHECK(is_heard(packets, "239.69.1.2"));
    CHECK(!is_heard(packets, "239.69.0.1"));
    CHECK(is_heard(packets, "224.0.0.1"));
    CHECK_EQ(setsockopt(member, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof group), 0);
    sleep_ms(200);
    CHECK(!is_heard(packets, "239.69.1.2"));
    (void)close(member);
    (void)close(packets);
}

/* ---- the model ---- */

static pid_t
start_model(char **arguments, int count)
{
    static const char *const own[] = {"--vhci", "0",  "--tap",  "wire0", "--address", WIRE_ADDRESS,
                                      "--echo", "5000", "--mac", MAC};
    enum { OWN = sizeof own / sizeof own[0] };
    char *all[64] = {arguments[0]};
    CHECK(count + OWN < 64);
    for (int i = 0; i < OWN; i++)
        CHECK(all[1 + i] = strdup(own[i]));
    for (int i = 1; i < count; i++)
        all[OWN + i] = arguments[i];
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)execvp(all[0], all);
        _exit(127);
    }
    return child;
}

/* It prints what it has seen. */
static int
end_model(void)
{
    const int fd = open("/sys/devices/platform/vhci_hcd.0/detach", O_WRONLY | O_CLOEXEC);
    int how = -1;
    if (fd < 0 || write(fd, "0", 1) != 1 || waitpid(model, &how, 0) != model)
        return -1;
    (void)close(fd);
    return how;
}

static void
print_file(const char *path)
{
    char text[4096];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);
    if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
        return;
    (void)close(fd);
}

/* What failed is told with what the model and the kernel have seen. */
static void
end_model_before_the_end(int number)
{
    (void)number;
    print_file("/proc/net/dev");
    print_file("/proc/net/snmp");
    char path[64];
    sleep(1);
    (void)snprintf(path, sizeof path, "/proc/%d/net/dev", (int)model);
    print_file(path);
    (void)snprintf(path, sizeof path, "/proc/%d/net/snmp", (int)model);
    print_file(path);
    print_file("/proc/net/softnet_stat");
    (void)end_model();
}

int
main(int argc, char **argv)
{
    CHECK(argc >= 4);
    const char *const driver = argv[1];
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    model = start_model(argv + 2, argc - 2);
    (void)signal(SIGABRT, end_model_before_the_end);
    wait_for(find_interface, driver, "interface");
    char text[64];
    CHECK(read_text("address", text));
    CHECK(strcmp(text, MAC) == 0);
    set_up_interface();
    wait_for(has_carrier, NULL, "carrier");

    const struct sockaddr_in peer = {
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = inet_addr(WIRE_ADDRESS)};
    echo_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int room = 1024 * 1024; // a machine that is emulated sleeps now and then
    CHECK_EQ(setsockopt(echo_fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room), 0);
    CHECK_EQ(connect(echo_fd, (const struct sockaddr *)&peer, sizeof peer), 0);
    CHECK(comes_back(8, 5000)); // once the address has been found
    RUN(every_payload_size_comes_back);
    RUN(a_packet_each_millisecond_comes_back_in_order);
    RUN(bursts_come_back_whole);
    if (strcmp(driver, "asix") == 0)
        RUN(groups_pass_the_hash_filter_while_they_are_joined);
    CHECK_EQ(end_model(), 0);
    (void)printf("all is well\n");
    return 0;
}
