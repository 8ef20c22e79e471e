// SPDX-License-Identifier: MIT
// In a machine with real USB: our adapter, by libusb, sends to an echo on its other side and gets all of it back. A thousand
// datagrams a second both ways, every payload size, in order, none lost.
//
// usage: rig_adapter [--serve] [--by-fd] [--held-by DRIVER] [--capture FILE] [--unplug COMMAND --replug COMMAND] VID:PID
//   --serve    echoes itself, on the interface of this machine that has 192.0.2.1; else somebody does, at port 5000 there
//   --by-fd    opens the device's file, and goes on where neither /sys nor /dev are
//   --held-by  waits until that kernel driver has the device, and at the end until it has it again
//   --unplug   first runs until that shell command, in the midst of traffic, has unplugged it; --replug: and back

#include "backends/net/stack.h"
#include "backends/usb/adapter.h"
#include "backends/usb/capture.h"
#include "backends/usb/usb.h"
#include "tests/core/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PEER 0xc0000201u // 192.0.2.1
#define OWN 0xc0000209u  // 192.0.2.9
#define PORT 5000u
#define SIZES (DX_UDP_MAX_BYTES + 1u)
#define DATAGRAMS (2 * SIZES)
#define UNPLUGGED_AT 500u
#define PERIOD_NS 1000000u
#define AHEAD 64u // datagrams under way at most
#define WARM_NS 300000000u // nothing of the first datagrams comes back any more
#define WARM_BYTES 7u
#define PATIENCE_NS UINT64_C(60000000000)

enum phase { PHASE_WARMING, PHASE_WAITING, PHASE_SENDING, PHASE_DONE };

struct rig {
    const char *device;
    const char *driver;
    const char *capture;
    const char *unplug, *replug;
    bool serves;
    bool is_by_fd;
    struct dx_adapter *adapter;
    struct dx_net_stack *_Atomic stack; // set once it is there
    _Atomic bool is_up;
    _Atomic bool is_done;
    _Atomic uint32_t gone;
    _Atomic uint32_t received;
    /* The wire thread's. */
    bool was_up;
    struct dx_udp *socket;
    enum phase phase;
    uint32_t sent;
    uint64_t due_ns, begun_ns, ended_ns;
};

static uint64_t
now_ns(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
nap(void)
{
    static const struct timespec time = {.tv_nsec = 10000000};
    (void)nanosleep(&time, NULL);
}

/* ---- the other side ---- */

static void
serve(void)
{
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in from = {
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(PEER)};
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&from, sizeof from) == 0);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child > 0) {
        (void)close(fd);
        return;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        static uint8_t bytes[2048];
        socklen_t length = sizeof from;
        const ssize_t got = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &length);
        if (got >= 0)
            (void)sendto(fd, bytes, (size_t)got, 0, (struct sockaddr *)&from, length);
    }
}

/* ---- ours ---- */

static uint32_t
count_received(const struct rig *rig)
{
    return atomic_load_explicit(&rig->received, memory_order_relaxed);
}

static uint32_t
fill(uint8_t bytes[DX_UDP_MAX_BYTES], uint32_t number)
{
    const uint32_t size = number % SIZES;
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7u + (i >> 8) + number * 31u);
    return size;
}

static void
take_datagram(void *context, const struct dx_udp_datagram *datagram)
{
    struct rig *const rig = context;
    uint8_t expected[DX_UDP_MAX_BYTES];
    CHECK_EQ(datagram->from.address, PEER);
    if (rig->phase == PHASE_WARMING) {
        rig->phase = PHASE_WAITING;
        rig->due_ns = now_ns() + WARM_NS;
    }
    if (rig->phase == PHASE_WAITING) {
        CHECK_EQ(datagram->size, WARM_BYTES);
        return;
    }
    CHECK_EQ(datagram->size, fill(expected, count_received(rig))); // the next one, or one was lost
    CHECK(memcmp(datagram->data, expected, datagram->size) == 0);
    (void)atomic_fetch_add_explicit(&rig->received, 1, memory_order_relaxed);
}

static void
send_next(struct rig *rig, uint64_t now)
{
    static const struct dx_udp_address to = {PEER, PORT};
    uint8_t bytes[DX_UDP_MAX_BYTES] = {0};
    if (rig->phase == PHASE_WARMING) { // until it comes back: addresses have to be asked for first
        (void)dx_udp_send(rig->socket, &to, bytes, WARM_BYTES);
        rig->due_ns = now + 100u * PERIOD_NS;
    } else if (rig->phase == PHASE_WAITING) {
        rig->phase = PHASE_SENDING;
        rig->begun_ns = rig->due_ns = now;
    } else if (rig->sent - count_received(rig) >= AHEAD) {
        rig->due_ns = now + PERIOD_NS; // the machine stood still: what it did not do meanwhile must not come at once
    } else if (rig->sent < DATAGRAMS) {
        const uint32_t size = fill(bytes, rig->sent++);
        const int error = dx_udp_send(rig->socket, &to, bytes, size);
        CHECK(error == 0 || (rig->unplug && (error == -ENODEV || error == -ENETDOWN)));
        rig->due_ns += PERIOD_NS;
    } else {
        rig->due_ns = UINT64_MAX;
    }
}

static uint64_t
poll_rig(void *context, uint64_t now)
{
    struct rig *const rig = context;
    struct dx_net_stack *const stack = atomic_load_explicit(&rig->stack, memory_order_acquire);
    if (!stack)
        return now + PERIOD_NS; // it is being made
    const bool is_up = atomic_load_explicit(&rig->is_up, memory_order_relaxed);
    if (!rig->socket) {
        const struct dx_udp_config config = {.port = PORT + 1, .context = rig, .received = take_datagram};
        CHECK_EQ(dx_udp_open(dx_net_stack_net(stack), &config, &rig->socket), 0);
    }
    if (is_up != rig->was_up)
        dx_net_stack_set_link(stack, is_up, now);
    rig->was_up = is_up;
    while (is_up && now >= rig->due_ns)
        send_next(rig, now);
    if (rig->phase == PHASE_SENDING && count_received(rig) == DATAGRAMS) {
        rig->phase = PHASE_DONE;
        rig->ended_ns = now;
        atomic_store_explicit(&rig->is_done, true, memory_order_release);
    }
    const uint64_t next = dx_net_stack_poll(stack, now);
    return rig->due_ns < next ? rig->due_ns : next;
}

static void
take_frame(void *context, const uint8_t *frame, uint32_t size)
{
    struct rig *const rig = context;
    struct dx_net_stack *const stack = atomic_load_explicit(&rig->stack, memory_order_acquire);
    if (stack)
        dx_net_stack_input(stack, frame, size, now_ns());
}

static void
note_link(void *context, const struct dx_nic_link *link)
{
    struct rig *const rig = context;
    atomic_store_explicit(&rig->is_up, link->is_up, memory_order_relaxed); // by the same thread
    (void)printf("link %s, %u Mbit/s\n", link->is_up ? "up" : "down", link->megabits);
}

static void
note_gone(void *context)
{
    struct rig *const rig = context;
    (void)atomic_fetch_add_explicit(&rig->gone, 1, memory_order_relaxed);
}

static int
send_frame(void *context, const uint8_t *frame, uint32_t size) DX_REALTIME
{
    struct rig *const rig = context;
    return rig->adapter ? dx_adapter_send(rig->adapter, frame, size) : -ENODEV;
}

static void
set_filter(void *context, const uint8_t (*groups)[6], uint32_t count)
{
    struct rig *const rig = context;
    if (rig->adapter)
        dx_adapter_set_filter(rig->adapter, groups, count);
}

/* ---- the device ---- */

/* Once it is there, and whoever is to have it has it. */
static struct dx_usb_entry
wait_for_device(const struct rig *rig)
{
    const uint64_t end_ns = now_ns() + PATIENCE_NS;
    for (;;) {
        struct dx_usb_entry *entries = NULL;
        struct dx_usb_entry found = {.path = ""};
        size_t count = 0;
        CHECK_EQ(dx_usb_list("", &entries, &count), 0);
        for (size_t i = 0; i < count; i++) {
            char ids[16];
            (void)snprintf(ids, sizeof ids, "%04x:%04x", entries[i].vendor, entries[i].product);
            if (strcmp(ids, rig->device) == 0 &&
                (!rig->driver || strcmp(entries[i].kernel_drivers, rig->driver) == 0))
                found = entries[i];
        }
        free(entries);
        if (*found.path)
            return found;
        CHECK(now_ns() < end_ns);
        nap();
    }
}

static struct dx_usb_device *
open_device(const struct rig *rig, const struct dx_usb_entry *entry)
{
    struct dx_usb_device *device = NULL;
    char why[256] = "";
    int error;
    if (rig->is_by_fd) {
        const int fd = open(entry->node, O_RDWR | O_CLOEXEC);
        CHECK(fd >= 0);
        CHECK(mkdir("/run/nothing", 0700) == 0 && chroot("/run/nothing") == 0 && chdir("/") == 0);
        CHECK(access("/sys", F_OK) < 0 && access("/dev", F_OK) < 0);
        error = dx_usb_open_fd(fd, NULL, &device, why);
    } else {
        error = dx_usb_open(entry->path, &device, why);
    }
    if (error < 0)
        (void)fprintf(stderr, "%s\n", why);
    CHECK_EQ(error, 0);
    CHECK(device->configuration_count > 0 && device->configuration > 0);
    CHECK_EQ(device->device_descriptor[8] | device->device_descriptor[9] << 8, entry->vendor);
    CHECK_EQ(device->speed, entry->speed);
    return device;
}

static void
make_stack(struct rig *rig)
{
    struct dx_net_stack *stack = NULL;
    struct dx_net_stack_config config = {
        .addressing = DX_NET_STATIC,
        .address = OWN,
        .netmask = 0xffffff00u,
        .context = rig,
        .send = send_frame,
        .set_filter = set_filter,
    };
    memcpy(config.mac, dx_adapter_info(rig->adapter)->mac, sizeof config.mac);
    CHECK_EQ(dx_net_stack_create(&config, &stack), 0);
    atomic_store_explicit(&rig->stack, stack, memory_order_release);
}

static uint64_t
read_counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* The wire thread has ended, or does nothing any more that changes them. */
static void
check_counters(const struct rig *rig)
{
    const struct dx_nic_counters *const counters = dx_adapter_counters(rig->adapter);
    (void)printf("%u datagrams there and back in %.3f s; frames received %llu, sent %llu, gaps in sequence %llu\n",
                 count_received(rig), (double)(rig->ended_ns - rig->begun_ns) * 1e-9,
                 (unsigned long long)read_counter(&counters->received),
                 (unsigned long long)read_counter(&counters->sent),
                 (unsigned long long)read_counter(&counters->bad_sequences));
    CHECK_EQ(read_counter(&counters->bad_headers), 0);
    CHECK_EQ(read_counter(&counters->bad_lengths), 0);
    CHECK_EQ(read_counter(&counters->lost_sync), 0);
    CHECK_EQ(read_counter(&counters->dropped), 0);
}

static void
wait_until_done(const struct rig *rig)
{
    const uint64_t begun_ns = now_ns();
    while (!atomic_load_explicit(&rig->is_done, memory_order_acquire)) {
        if (now_ns() - begun_ns > PATIENCE_NS) {
            (void)fprintf(stderr, "%u came back, and then nothing\n", count_received(rig));
            abort();
        }
        nap();
    }
    check_counters(rig);
}

static void
wait_until_unplugged(const struct rig *rig)
{
    const uint64_t begun_ns = now_ns();
    while (count_received(rig) < UNPLUGGED_AT) {
        CHECK(now_ns() - begun_ns < PATIENCE_NS);
        nap();
    }
    CHECK_EQ(system(rig->unplug), 0);
    while (atomic_load_explicit(&rig->gone, memory_order_relaxed) == 0) {
        CHECK(now_ns() - begun_ns < PATIENCE_NS);
        nap();
    }
    (void)printf("unplugged after %u datagrams\n", count_received(rig));
}

static void
run(struct rig *rig, struct dx_usb_device *device)
{
    const struct dx_adapter_config config = {
        .context = rig,
        .received = take_frame,
        .poll = poll_rig,
        .link_changed = note_link,
        .gone = note_gone,
    };
    const uint64_t begun_ns = now_ns();
    char why[256] = "";
    const int error = dx_adapter_open(device, &config, &rig->adapter, why);
    if (error < 0)
        (void)fprintf(stderr, "%s\n", why);
    CHECK_EQ(error, 0);
    (void)printf("%s, %s, after %.3f s\n", dx_adapter_info(rig->adapter)->driver, dx_adapter_info(rig->adapter)->chip,
                 (double)(now_ns() - begun_ns) * 1e-9);
    make_stack(rig);
    dx_adapter_flush(rig->adapter);
    if (rig->unplug)
        wait_until_unplugged(rig);
    else
        wait_until_done(rig);
    dx_adapter_close(rig->adapter);
    CHECK_EQ(atomic_load_explicit(&rig->gone, memory_order_relaxed), rig->unplug ? 1 : 0);
    rig->adapter = NULL; // the stack's last words have nowhere to go
    dx_net_stack_destroy(atomic_exchange_explicit(&rig->stack, NULL, memory_order_relaxed));
}

/* And plugs it in again. */
static void
run_until_unplugged(struct rig rig)
{
    const struct dx_usb_entry entry = wait_for_device(&rig);
    run(&rig, open_device(&rig, &entry));
    CHECK_EQ(system(rig.replug), 0);
}

static void
read_options(struct rig *rig, int argc, char **argv)
{
    static const struct option options[] = {
        {"serve", no_argument, NULL, 's'},         {"by-fd", no_argument, NULL, 'f'},
        {"held-by", required_argument, NULL, 'h'}, {"capture", required_argument, NULL, 'c'},
        {"unplug", required_argument, NULL, 'u'},  {"replug", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 's':
            rig->serves = true;
            break;
        case 'f':
            rig->is_by_fd = true;
            break;
        case 'h':
            rig->driver = optarg;
            break;
        case 'c':
            rig->capture = optarg;
            break;
        case 'u':
            rig->unplug = optarg;
            break;
        case 'r':
            rig->replug = optarg;
            break;
        default:
            exit(2);
        }
    }
    CHECK(optind + 1 == argc);
    rig->device = argv[optind];
}

int
main(int argc, char **argv)
{
    static struct rig rig;
    struct dx_usb_tap *tap = NULL;
    struct dx_usb_tap_counts counts = {0};
    read_options(&rig, argc, argv);
    if (rig.serves)
        serve();
    if (rig.unplug)
        run_until_unplugged(rig);
    rig.unplug = NULL;
    const struct dx_usb_entry entry = wait_for_device(&rig);
    (void)printf("%s %s, held by %s\n", entry.path, entry.name,
                 *entry.kernel_drivers ? entry.kernel_drivers : "nobody");
    CHECK(entry.driver && !*entry.why);
    if (rig.capture) {
        const int fd = open(rig.capture, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        const struct dx_usb_tap_config config = {
            .fd = fd, .name = entry.path, .bus = entry.bus, .address = entry.address, .has_frames = true};
        CHECK(fd >= 0);
        CHECK_EQ(dx_usb_tap_open(&config, &tap), 0);
    }
    struct dx_usb_device *const device = open_device(&rig, &entry);
    if (tap)
        dx_usb_tap_attach(tap, device);
    run(&rig, device);
    dx_usb_tap_close(tap, &counts);
    CHECK_EQ(counts.dropped, 0);
    CHECK_EQ(counts.error, 0);
    if (tap)
        (void)printf("captured %llu records, %llu frames\n", (unsigned long long)counts.transfers,
                     (unsigned long long)counts.frames);
    if (rig.driver && !rig.is_by_fd)
        (void)wait_for_device(&rig); // its driver is back
    (void)printf("ok\n");
    return 0;
}
