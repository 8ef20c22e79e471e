// SPDX-License-Identifier: MIT
// Our adapters on models behind USB/IP, whose wire is an interface of this machine in a network of its own: the
// kernel there answers, and its checksums are those that were computed, not left to hardware.
//
// usage: test_wire USB_MODEL [UID]   as that user, who has no rights

#include "backends/usb/adapter.h"
#include "backends/usb/model.h"
#include "backends/usb/model_wire.h"
#include "tests/core/check.h"

#include <errno.h>
#include <grp.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ARP_BYTES = 42,
    IP_AT = 14,
    UDP_AT = 34,
    DATA_AT = 42,
    PAYLOAD_MAX = 1472,
    ECHO_PORT = 5000,
    OWN_PORT = 6000,
};

static const uint8_t own_mac[6] = {0x02, 0x00, 0x00, 0x12, 0x34, 0x56};
static const uint8_t own_ip[4] = {192, 0, 2, 9}, their_ip[4] = {192, 0, 2, 2};
static const char *program;
static uid_t user;

/* The wire thread's, but for the atomic ones. */
static struct {
    struct dx_adapter *_Atomic adapter;
    uint8_t their_mac[6];
    _Atomic bool is_found; // their_mac
    _Atomic bool is_up;
    _Atomic uint32_t answers; // datagrams that came back, the sizes counting up
} rig;

static void
put16(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static uint32_t
get16(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

/* RFC 1071. */
static uint32_t
add_up(uint32_t sum, const uint8_t *bytes, uint32_t size)
{
    for (uint32_t i = 0; i < size; i += 2)
        sum += (uint32_t)bytes[i] << 8 | (i + 1 < size ? bytes[i + 1] : 0u);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static uint32_t
udp_sum(const uint8_t *frame, uint32_t udp_bytes)
{
    return add_up(add_up(17 + udp_bytes, frame + IP_AT + 12, 8), frame + UDP_AT, udp_bytes);
}

static void
fill(uint8_t *bytes, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 5 + size);
}

static void
send_frame(const uint8_t *frame, uint32_t size)
{
    struct dx_adapter *const adapter = atomic_load_explicit(&rig.adapter, memory_order_acquire);
    CHECK_EQ(dx_adapter_send(adapter, frame, size), 0);
    dx_adapter_flush(adapter);
}

static void
send_arp(uint32_t operation, const uint8_t to[6])
{
    uint8_t frame[ARP_BYTES] = {0};
    memcpy(frame, to, 6);
    memcpy(frame + 6, own_mac, 6);
    memcpy(frame + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00", 9);
    frame[21] = (uint8_t)operation;
    memcpy(frame + 22, own_mac, 6);
    memcpy(frame + 28, own_ip, 4);
    memcpy(frame + 32, to, 6);
    memcpy(frame + 38, their_ip, 4);
    send_frame(frame, sizeof frame);
}

static void
send_datagram(uint32_t size)
{
    uint8_t frame[DATA_AT + PAYLOAD_MAX] = {0};
    memcpy(frame, rig.their_mac, 6);
    memcpy(frame + 6, own_mac, 6);
    put16(frame + 12, 0x0800);
    frame[IP_AT] = 0x45;
    put16(frame + IP_AT + 2, 28 + size);
    frame[IP_AT + 8] = 64;
    frame[IP_AT + 9] = 17;
    memcpy(frame + IP_AT + 12, own_ip, 4);
    memcpy(frame + IP_AT + 16, their_ip, 4);
    put16(frame + IP_AT + 10, ~add_up(0, frame + IP_AT, 20));
    put16(frame + UDP_AT, OWN_PORT);
    put16(frame + UDP_AT + 2, ECHO_PORT);
    put16(frame + UDP_AT + 4, 8 + size);
    fill(frame + DATA_AT, size);
    const uint32_t sum = ~udp_sum(frame, 8 + size) & 0xffff;
    put16(frame + UDP_AT + 6, sum ? sum : 0xffff);
    send_frame(frame, DATA_AT + size);
}

/* What comes back must be whole, with checksums. */
static void
take_datagram(const uint8_t *frame, uint32_t size)
{
    uint8_t expected[PAYLOAD_MAX];
    const uint32_t answers = atomic_load_explicit(&rig.answers, memory_order_relaxed);
    CHECK_EQ(get16(frame + IP_AT + 2), 28 + answers);
    CHECK(size >= DATA_AT + answers);
    CHECK_EQ(add_up(0, frame + IP_AT, 20), 0xffff);
    CHECK_EQ(get16(frame + UDP_AT + 4), 8 + answers);
    CHECK(get16(frame + UDP_AT + 6) != 0);
    CHECK_EQ(udp_sum(frame, 8 + answers), 0xffff);
    fill(expected, answers);
    CHECK(memcmp(frame + DATA_AT, expected, answers) == 0);
    atomic_store_explicit(&rig.answers, answers + 1, memory_order_release);
}

static void
received(void *context, const uint8_t *frame, uint32_t size)
{
    (void)context;
    const uint32_t type = size >= ARP_BYTES ? get16(frame + 12) : 0;
    if (type == 0x0806 && memcmp(frame + 28, their_ip, 4) == 0 && memcmp(frame + 38, own_ip, 4) == 0) {
        memcpy(rig.their_mac, frame + 22, 6);
        if (get16(frame + 20) == 1)
            send_arp(2, rig.their_mac);
        atomic_store_explicit(&rig.is_found, true, memory_order_release);
    }
    if (type == 0x0800 && frame[IP_AT + 9] == 17 && get16(frame + UDP_AT + 2) == OWN_PORT)
        take_datagram(frame, size);
}

static void
link_changed(void *context, const struct dx_nic_link *link)
{
    (void)context;
    atomic_store_explicit(&rig.is_up, link->is_up, memory_order_release);
}

static void
nap(void)
{
    (void)poll(NULL, 0, 1);
}

static uint64_t
now_ns(void)
{
    struct timespec now;
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
echo_every_size(void)
{
    const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const uint64_t begun_ns = now_ns();
    while (!atomic_load_explicit(&rig.is_up, memory_order_acquire)) {
        CHECK(now_ns() - begun_ns < UINT64_C(20000000000));
        nap();
    }
    for (uint32_t tries = 0; !atomic_load_explicit(&rig.is_found, memory_order_acquire); tries++) {
        CHECK(now_ns() - begun_ns < UINT64_C(20000000000));
        if (tries % 100 == 0)
            send_arp(1, everybody);
        nap();
    }
    for (uint32_t size = 0; size <= PAYLOAD_MAX; size++) {
        const uint64_t sent_ns = now_ns();
        send_datagram(size);
        while (atomic_load_explicit(&rig.answers, memory_order_acquire) <= size) {
            if (now_ns() - sent_ns > UINT64_C(20000000000)) {
                (void)fprintf(stderr, "nothing came back of %u bytes\n", size);
                abort();
            }
            if (now_ns() - sent_ns > 2000000)
                nap();
        }
    }
}

/* @return the model's process; *ret_socket: our end. */
static pid_t
start_model(const char *wire, const char *kind, int *ret_socket)
{
    int pair[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char number[16];
        (void)snprintf(number, sizeof number, "%d", pair[1]);
        (void)close(pair[0]);
        if (user && (setgroups(0, NULL) < 0 || setgid((gid_t)user) < 0 || setuid(user) < 0))
            _exit(126);
        (void)execl(program, program, "--fd", number, wire, "w0", "--address", "192.0.2.2", "--echo", "5000",
                    "--mac", "02:00:00:12:34:56", "--strict", kind, (char *)NULL);
        _exit(127);
    }
    (void)close(pair[1]);
    *ret_socket = pair[0];
    return child;
}

/* @return false: this machine does not have such a wire, as the model's process has said. */
static bool
run(const char *wire, const char *kind)
{
    static const struct dx_adapter_config config = {.received = received, .link_changed = link_changed};
    struct dx_usb_device *device = NULL;
    struct dx_adapter *adapter = NULL;
    char why[256];
    int socket, how;
    memset(&rig, 0, sizeof rig);
    const pid_t model = start_model(wire, kind, &socket);
    if (dx_usb_open_usbip(socket, 1, DX_USB_HIGH, &device, why) < 0) {
        (void)fprintf(stderr, "  %s %s: %s\n", wire, kind, why);
        CHECK_EQ(waitpid(model, &how, 0), model);
        return false;
    }
    CHECK_EQ(dx_adapter_open(device, &config, &adapter, why), 0);
    atomic_store_explicit(&rig.adapter, adapter, memory_order_release);
    echo_every_size();
    const struct dx_nic_counters *const counters = dx_adapter_counters(adapter);
    CHECK_EQ(atomic_load_explicit(&counters->bad_headers, memory_order_relaxed), 0);
    CHECK_EQ(atomic_load_explicit(&counters->bad_lengths, memory_order_relaxed), 0);
    CHECK_EQ(atomic_load_explicit(&counters->lost_sync, memory_order_relaxed), 0);
    dx_adapter_close(adapter);
    CHECK_EQ(waitpid(model, &how, 0), model);
    CHECK_EQ(how, 0);
    (void)fprintf(stderr, "  %s %s: all of them\n", wire, kind);
    return true;
}

static void
names_that_no_interface_can_have_are_refused(void)
{
    char name[1000], why[256];
    int fd = -1;
    memset(name, 'x', sizeof name);
    for (size_t length = 16; length < sizeof name; length += 983) {
        name[length] = '\0';
        CHECK_EQ(dx_model_wire_veth(name, "end", &fd, why), -ENAMETOOLONG);
        CHECK_EQ(dx_model_wire_veth("wire", name, &fd, why), -ENAMETOOLONG);
        CHECK_EQ(dx_model_wire_tap(name, &fd, why), -ENAMETOOLONG);
        CHECK_EQ(dx_model_wire_set_address(name, 0xc0000201, 24, why), -ENAMETOOLONG);
        CHECK(strstr(why, "xxx...: "));
        name[length] = 'x';
    }
}

/* ---- an interface that somebody takes down ---- */

static _Atomic uint32_t heard; // frames that came to a model

static void
note_frame(struct dx_usb_model *model, const uint8_t *frame, uint32_t size)
{
    (void)model, (void)frame, (void)size;
    (void)atomic_fetch_add_explicit(&heard, 1, memory_order_release);
}

static struct {
    struct dx_usb_model *model;
    int socket, wire_fd;
} served;

static void *
serve(void *context)
{
    char why[256];
    (void)context;
    CHECK_EQ(dx_usbip_serve(served.model, served.socket, served.wire_fd, why), 0);
    return NULL;
}

static void
set_up(const char *interface, bool is_up)
{
    struct ifreq request = {0};
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    CHECK_EQ(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    request.ifr_flags = (short)(is_up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
    CHECK_EQ(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    (void)close(fd);
}

/* Until the model has heard `count` of them. */
static void
send_frames(uint32_t count)
{
    const uint8_t frame[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 0x88, 0xb5};
    const struct sockaddr_ll place = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("w0")};
    const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    const uint64_t begun_ns = now_ns();
    while (atomic_load_explicit(&heard, memory_order_acquire) < count) {
        CHECK(now_ns() - begun_ns < UINT64_C(20000000000));
        (void)sendto(fd, frame, sizeof frame, 0, (const struct sockaddr *)&place, sizeof place);
        nap();
    }
    (void)close(fd);
}

/* In a process of its own. @return 77: no such wire can be made here. */
static int
take_it_down_and_up(void)
{
    static const struct dx_model_options options = {.mac = {2, 0, 0, 0, 0, 1}};
    struct dx_usb_model_ops ops;
    pthread_t server;
    int pair[2];
    char why[256];
    if (dx_model_wire_own_network(why) < 0 || dx_model_wire_veth("w0", "w0x", &served.wire_fd, why) < 0) {
        (void)fprintf(stderr, "  %s\n", why);
        return 77;
    }
    CHECK(served.model = dx_model_ecm(&options));
    ops = *served.model->ops;
    ops.receive = note_frame;
    served.model->ops = &ops;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    served.socket = pair[1];
    CHECK_EQ(pthread_create(&server, NULL, serve, NULL), 0);
    send_frames(1);
    set_up("w0x", false);
    (void)poll(NULL, 0, 100); // the server has seen it
    const uint32_t before = atomic_load_explicit(&heard, memory_order_acquire);
    set_up("w0x", true);
    send_frames(before + 1);
    (void)close(pair[0]);
    CHECK_EQ(pthread_join(server, NULL), 0);
    return 0;
}

static void
an_interface_that_was_down_is_heard_again(void)
{
    int how = 0;
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(take_it_down_and_up());
    CHECK_EQ(waitpid(child, &how, 0), child);
    CHECK(WIFEXITED(how) && (WEXITSTATUS(how) == 0 || WEXITSTATUS(how) == 77));
}

int
main(int argc, char **argv)
{
    static const char *const wires[] = {"--veth", "--tap"}, *const kinds[] = {"ax88772", "ncm", "ecm"};
    CHECK(argc >= 2);
    program = argv[1];
    user = argc > 2 ? (uid_t)atoi(argv[2]) : 0;
    if (user && geteuid() != 0)
        user = 0; // an ordinary user already
    RUN(names_that_no_interface_can_have_are_refused);
    RUN(an_interface_that_was_down_is_heard_again);
    uint32_t count = 0;
    for (uint32_t i = 0; i < 6; i++)
        count += run(wires[i / 3], kinds[i % 3]);
    if (count == 0) {
        (void)fprintf(stderr, "SKIPPED: no network of its own, or no interface in it, can be made here\n");
        return 77;
    }
    return 0;
}
