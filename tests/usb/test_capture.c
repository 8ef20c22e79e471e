// SPDX-License-Identifier: MIT
// What a tap writes, read back block by block; with a file's name, a run for other readers to look at.

#include "backends/usb/adapter.h"
#include "backends/usb/capture.h"
#include "backends/usb/model.h"
#include "tests/core/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FRAMES 50u
#define THREADS 4u
#define REQUESTS 20000u // of each thread

/* ---- reading ---- */

struct file {
    uint8_t *bytes;
    size_t size;
};

static uint32_t
get32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint64_t
get64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static struct file
read_back(int fd)
{
    struct stat stat;
    CHECK(fstat(fd, &stat) == 0);
    struct file file = {.size = (size_t)stat.st_size};
    file.bytes = malloc(file.size + 1);
    CHECK(file.bytes && pread(fd, file.bytes, file.size, 0) == (ssize_t)file.size);
    return file;
}

/* The next block, or NULL at the end; its two lengths agree. */
static const uint8_t *
next_block(const struct file *file, size_t *at)
{
    if (*at == file->size)
        return NULL;
    CHECK(file->size - *at >= 12);
    const uint8_t *const block = file->bytes + *at;
    const uint32_t length = get32(block + 4);
    CHECK(length >= 12 && length % 4 == 0 && length <= file->size - *at);
    CHECK_EQ(get32(block + length - 4), length);
    *at += length;
    return block;
}

/* The value of an option of 8 bytes, from the beginning of the options on. */
static uint64_t
option64(const uint8_t *options, uint16_t code)
{
    for (;; options += 4 + ((options[2] + 3u) & ~3u)) {
        CHECK(options[0] != 0);
        if (options[0] == code) {
            CHECK_EQ(options[2], 8);
            return get64(options + 4);
        }
    }
}

static int
make_file(void)
{
    const int fd = memfd_create("capture", MFD_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

/* ---- a run ---- */

static struct dx_usb_device *run_device;
static _Atomic uint32_t run_received;

static void
send_back(void *wire, const uint8_t *frame, uint32_t size)
{
    (void)wire;
    dx_usb_model_receive(run_device, frame, size);
}

static void
take_frame(void *context, const uint8_t *frame, uint32_t size)
{
    (void)context;
    (void)frame;
    CHECK_EQ(size, 60 + atomic_load_explicit(&run_received, memory_order_relaxed));
    (void)atomic_fetch_add_explicit(&run_received, 1, memory_order_release);
}

static void
nap(void)
{
    static const struct timespec time = {.tv_nsec = 500000};
    (void)nanosleep(&time, NULL);
}

/* Frames of 60 bytes and more go there and back, and are watched. */
static struct dx_usb_tap_counts
run_adapter(int fd)
{
    static const struct dx_model_options options = {.mac = {2, 0, 0, 0, 0, 1}, .speed = DX_USB_HIGH};
    static const struct dx_adapter_config config = {.received = take_frame, .link_interval_ms = 20};
    const struct dx_usb_tap_config tap_config = {
        .fd = fd, .name = "model", .bus = 3, .address = 7, .has_frames = true};
    struct dx_usb_tap *tap = NULL;
    struct dx_usb_tap_counts counts;
    struct dx_adapter *adapter = NULL;
    char why[256];
    struct dx_usb_model *const model = dx_model_ecm(&options);
    CHECK(model);
    model->send = send_back;
    run_received = 0;
    CHECK_EQ(dx_usb_tap_open(&tap_config, &tap), 0);
    CHECK_EQ(dx_usb_open_model(model, &run_device), 0);
    dx_usb_tap_attach(tap, run_device);
    CHECK_EQ(dx_adapter_open(run_device, &config, &adapter, why), 0);
    for (uint32_t i = 0; i < FRAMES; i++) {
        uint8_t frame[60 + FRAMES];
        memset(frame, 0xff, 6);
        memset(frame + 6, (int)i, sizeof frame - 6);
        memcpy(frame + 6, "\x02\x00\x00\x00\x00\x07\x88\xb5", 8);
        while (dx_adapter_send(adapter, frame, 60 + i) < 0)
            nap();
        dx_adapter_flush(adapter);
        while (atomic_load_explicit(&run_received, memory_order_acquire) <= i)
            nap();
    }
    dx_adapter_close(adapter);
    dx_usb_tap_close(tap, &counts);
    CHECK_EQ(counts.error, 0);
    CHECK_EQ(counts.dropped, 0);
    CHECK_EQ(counts.frames, 2 * FRAMES);
    return counts;
}

/* ---- tests ---- */

/* The submission of a completion: how many are open with this id. */
#define MAX_IDS 4096u
static uint8_t is_open[MAX_IDS];

static void
check_event(const uint8_t *event, uint32_t size, uint64_t time_ns)
{
    const uint64_t id = get64(event);
    CHECK(size >= 64 && id > 0 && id < MAX_IDS);
    CHECK_EQ(event[11], 7);
    CHECK_EQ(event[12] | event[13] << 8, 3);
    CHECK_EQ(get64(event + 16), time_ns / 1000000000u);
    CHECK_EQ(get32(event + 24), time_ns % 1000000000u / 1000u);
    CHECK_EQ(get32(event + 36), size - 64); // captured is what follows
    const bool goes_in = event[10] & 0x80;
    if (event[8] == 'S') {
        CHECK_EQ(is_open[id], 0);
        is_open[id] = 1;
        CHECK_EQ(-(int32_t)get32(event + 28), EINPROGRESS);
        CHECK_EQ(event[14], event[9] == 2 ? 0 : '-');
        CHECK(!goes_in || size == 64);
    } else {
        CHECK_EQ(event[8], 'C');
        CHECK_EQ(is_open[id], 1);
        is_open[id] = 2;
        CHECK_EQ(event[14], '-');
        CHECK(goes_in || size == 64);
        CHECK_EQ(get32(event + 32) == 0 || !goes_in || get32(event + 36) == get32(event + 32), 1);
    }
    CHECK_EQ(event[15], size > 64 ? 0 : goes_in ? '<' : '>');
}

static void
each_transfer_is_there_twice_and_each_frame_once(void)
{
    const int fd = make_file();
    const struct dx_usb_tap_counts counts = run_adapter(fd);
    const struct file file = read_back(fd);
    uint64_t events = 0;
    uint64_t frames = 0;
    uint32_t interfaces = 0;
    uint32_t statistics = 0;
    size_t at = 0;
    memset(is_open, 0, sizeof is_open);
    for (const uint8_t *block; (block = next_block(&file, &at));) {
        const uint32_t kind = get32(block);
        if (block == file.bytes) {
            CHECK_EQ(kind, 0x0a0d0d0au);
            CHECK_EQ(get32(block + 8), 0x1a2b3c4du);
        } else if (kind == 1) {
            CHECK_EQ(block[8], interfaces++ == 0 ? 220 : 1);
        } else if (kind == 5) {
            CHECK_EQ(get32(block + 8), statistics);
            CHECK_EQ(option64(block + 20, 4), statistics == 0 ? counts.transfers : counts.frames);
            CHECK_EQ(option64(block + 20, 5), 0);
            statistics++;
        } else {
            CHECK_EQ(kind, 6);
            CHECK_EQ(get32(block + 20), get32(block + 24));
            const uint64_t time_ns = (uint64_t)get32(block + 12) << 32 | get32(block + 16);
            if (get32(block + 8) == 0) {
                check_event(block + 28, get32(block + 20), time_ns);
                events++;
            } else {
                CHECK(get32(block + 20) >= 60 && block[28 + 12] == 0x88);
                frames++;
            }
        }
    }
    CHECK_EQ(interfaces, 2);
    CHECK_EQ(statistics, 2);
    CHECK_EQ(events, counts.transfers);
    CHECK_EQ(frames, counts.frames);
    for (uint32_t i = 0; i < MAX_IDS; i++)
        CHECK(is_open[i] != 1);
    free(file.bytes);
    (void)close(fd);
}

static struct dx_usb_tap *shared_tap;

static void *
make_requests(void *context)
{
    const uint16_t *const thread = context;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const struct dx_usb_setup setup = {0x40, (uint8_t)*thread, (uint16_t)i, (uint16_t)(i >> 16), 0};
        dx_usb_tap_request(shared_tap, &setup, 0);
    }
    return NULL;
}

/* Several write into a ring that is too small: what is written is whole and in each one's order, the rest is counted. */
static void
what_does_not_fit_is_counted(void)
{
    static const uint16_t numbers[THREADS] = {0, 1, 2, 3};
    const int fd = make_file();
    const struct dx_usb_tap_config config = {.fd = fd, .ring_bytes = 4096};
    struct dx_usb_tap_counts counts;
    pthread_t threads[THREADS];
    int64_t last[THREADS] = {-1, -1, -1, -1};
    uint64_t events = 0;
    bool has_statistics = false;
    size_t at = 0;
    CHECK_EQ(dx_usb_tap_open(&config, &shared_tap), 0);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, make_requests, (void *)(uintptr_t)&numbers[i]) == 0);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    dx_usb_tap_close(shared_tap, &counts);
    CHECK_EQ(counts.error, 0);
    CHECK(counts.dropped > 0);
    CHECK_EQ(counts.transfers + counts.dropped, 2 * THREADS * REQUESTS);
    const struct file file = read_back(fd);
    for (const uint8_t *block; (block = next_block(&file, &at));) {
        const uint8_t *const event = block + 28;
        if (get32(block) == 6) {
            CHECK_EQ(get32(block + 20), 64);
            events++;
        }
        if (get32(block) == 6 && event[8] == 'S') {
            const uint8_t thread = event[41];
            const int64_t number = get32(event + 42);
            CHECK(thread < THREADS && number > last[thread]);
            last[thread] = number;
        }
        if (get32(block) == 5) {
            CHECK_EQ(option64(block + 20, 4), 2 * THREADS * REQUESTS);
            CHECK_EQ(option64(block + 20, 5), counts.dropped);
            has_statistics = true;
        }
    }
    CHECK_EQ(events, counts.transfers);
    CHECK(has_statistics);
    free(file.bytes);
    (void)close(fd);
}

static void
a_full_disk_is_told(void)
{
    const int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    const struct dx_usb_tap_config config = {.fd = fd};
    struct dx_usb_tap *tap = NULL;
    if (fd < 0)
        return; // nothing to try it with
    CHECK_EQ(-dx_usb_tap_open(&config, &tap), ENOSPC);
    (void)close(fd);
}

static void
a_pipe_that_nobody_reads_any_more_is_told_and_the_device_goes_on(void)
{
    int fds[2];
    CHECK(pipe2(fds, O_CLOEXEC) == 0);
    const struct dx_usb_tap_config config = {.fd = fds[1]};
    struct dx_usb_tap *tap = NULL;
    struct dx_usb_tap_counts counts;
    CHECK_EQ(dx_usb_tap_open(&config, &tap), 0);
    (void)close(fds[0]);
    for (uint32_t i = 0; i < 1000; i++) {
        const struct dx_usb_setup setup = {.request = 9};
        dx_usb_tap_request(tap, &setup, 0);
    }
    dx_usb_tap_close(tap, &counts);
    CHECK_EQ(-counts.error, EPIPE);
    (void)close(fds[1]);
}

static void
a_ring_that_cannot_be_is_refused(void)
{
    static const uint32_t sizes[] = {1, 4095, 2048, 12288};
    const int fd = make_file();
    struct dx_usb_tap *tap = NULL;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct dx_usb_tap_config config = {.fd = fd, .ring_bytes = sizes[i]};
        CHECK_EQ(-dx_usb_tap_open(&config, &tap), EINVAL);
    }
    dx_usb_tap_close(NULL, NULL);
    (void)close(fd);
}

int
main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc == 2) {
        const int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        CHECK(fd >= 0);
        const struct dx_usb_tap_counts counts = run_adapter(fd);
        (void)printf("%llu %llu\n", (unsigned long long)counts.transfers, (unsigned long long)counts.frames);
        return close(fd);
    }
    RUN(each_transfer_is_there_twice_and_each_frame_once);
    RUN(what_does_not_fit_is_counted);
    RUN(a_full_disk_is_told);
    RUN(a_pipe_that_nobody_reads_any_more_is_told_and_the_device_goes_on);
    RUN(a_ring_that_cannot_be_is_refused);
    return 0;
}
