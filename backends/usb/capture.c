// SPDX-License-Identifier: MIT
// Watches a device's transfers and writes them down for Wireshark.

#include "backends/usb/capture.h"

#include <dextral/clock.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_RING_BYTES (8u << 20)
#define WATCHED 256u // transfers that may be under way at a time
#define WRITER_PERIOD_NS 5000000u
#define FILE_BUFFER_BYTES (256u * 1024u)

/* pcapng */
#define BLOCK_SECTION 0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_STATISTICS 5u
#define BLOCK_PACKET 6u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define LINK_ETHERNET 1u
#define LINK_USB_LINUX_MMAPPED 220u
#define OPTION_NAME 2u
#define OPTION_RESOLUTION 9u
#define OPTION_APPLICATION 4u // of a section
#define OPTION_FLAGS 2u       // of a packet
#define OPTION_RECEIVED 4u    // of statistics
#define OPTION_DROPPED 5u
#define MAX_OPTIONS_BYTES 128u

/* What usbmon puts before the data of each event: the kernel's struct mon_bin_hdr, in this machine's byte order. */
struct usbmon_header {
    uint64_t id; // the same of a submission and its completion
    uint8_t type;
    uint8_t transfer_type;
    uint8_t endpoint;
    uint8_t device;
    uint16_t bus;
    char setup_flag;
    char data_flag;
    int64_t seconds;
    int32_t microseconds;
    int32_t status;
    uint32_t length;
    uint32_t captured;
    uint8_t setup[8];
    int32_t interval;
    int32_t start_frame;
    uint32_t flags;
    uint32_t descriptors;
};
_Static_assert(sizeof(struct usbmon_header) == 64, "Wireshark's length");

enum { TYPE_INTERRUPT = 1, TYPE_CONTROL = 2, TYPE_BULK = 3 };
#define URB_ZERO_PACKET 0x0040u
#define URB_IN 0x0200u

/*
 * The ring: records of multiples of 8 bytes, one after the other. Whoever writes moves `reserved` on, fills its place, and then
 * stores its first word, which was 0: from then on the reader may take it. The reader makes what it has taken 0 again.
 */
enum record_kind { RECORD_PADDING = 1, RECORD_TRANSFER, RECORD_RECEIVED, RECORD_SENT };

struct record {
    _Atomic uint32_t bytes; // with this header, a multiple of 8; 0: not there yet
    uint32_t kind;
    uint64_t time_ns; // CLOCK_REALTIME
    uint32_t size;    // of what follows
    uint32_t reserved;
};

struct watched {
    struct dx_usb_tap *tap;
    _Atomic bool is_taken;
    uint64_t id;
    void (*completed)(struct dx_usb_transfer *transfer);
    void *context;
};

struct dx_usb_tap {
    _Alignas(64) _Atomic uint64_t reserved; // bytes, running; moved by whoever has a record
    _Alignas(64) _Atomic uint64_t taken;    // the writer thread's
    _Alignas(64) uint8_t *ring;
    uint64_t ring_bytes;
    _Atomic uint64_t next_id;
    _Atomic uint64_t dropped_transfers;
    _Atomic uint64_t dropped_frames;
    /* Counted by the writer thread. */
    _Atomic uint64_t transfers;
    _Atomic uint64_t frames;
    _Atomic int error;
    struct watched watched[WATCHED];
    dx_task *writer;
    _Atomic bool is_closing;
    uint16_t bus;
    uint8_t address;
    bool has_frames;
    int fd;
    uint8_t *buffer; // of the file
    size_t filled;
};

/* ---- putting records into the ring ---- */

static uint64_t
realtime_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); // cannot fail for this clock
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct record *
record_at(const struct dx_usb_tap *tap, uint64_t position)
{
    return (struct record *)(void *)(tap->ring + (position & (tap->ring_bytes - 1)));
}

/* release: pairs with the acquire in drain(); what the record holds is there. */
static void
commit(struct record *record, uint32_t bytes)
{
    atomic_store_explicit(&record->bytes, bytes, memory_order_release);
}

/* Makes room for a record in one piece. NULL: it is full. */
static struct record *
reserve(struct dx_usb_tap *tap, uint64_t bytes)
{
    uint64_t from;
    uint64_t padding;
    do {
        /* acquire: pairs with the release in drain(); the place is 0 again, and `from` is no older than this. */
        const uint64_t taken = atomic_load_explicit(&tap->taken, memory_order_acquire);
        from = atomic_load_explicit(&tap->reserved, memory_order_relaxed); // the exchange checks it
        const uint64_t to_end = tap->ring_bytes - (from & (tap->ring_bytes - 1));
        padding = to_end < bytes ? to_end : 0;
        if (from + padding + bytes - taken > tap->ring_bytes)
            return NULL;
    } while (!atomic_compare_exchange_weak_explicit(&tap->reserved, &from, from + padding + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    if (padding > 0) { // 8 bytes at least: its length and its kind
        struct record *const rest = record_at(tap, from);
        rest->kind = RECORD_PADDING;
        commit(rest, (uint32_t)padding);
    }
    return record_at(tap, from + padding);
}

/* One record of two pieces. */
static bool
put(struct dx_usb_tap *tap, enum record_kind kind, uint64_t time_ns, const void *head, uint32_t head_bytes,
    const void *data, uint32_t data_bytes)
{
    const uint64_t bytes = (sizeof(struct record) + head_bytes + data_bytes + 7u) & ~UINT64_C(7);
    struct record *const record = reserve(tap, bytes);
    if (!record)
        return false;
    uint8_t *const payload = (uint8_t *)(record + 1);
    record->kind = kind;
    record->time_ns = time_ns;
    record->size = head_bytes + data_bytes;
    if (head_bytes > 0)
        memcpy(payload, head, head_bytes);
    if (data_bytes > 0)
        memcpy(payload + head_bytes, data, data_bytes);
    commit(record, (uint32_t)bytes);
    return true;
}

static void
put_event(struct dx_usb_tap *tap, struct usbmon_header *header, const void *data)
{
    const uint64_t now_ns = realtime_ns();
    header->bus = tap->bus;
    header->device = tap->address;
    header->seconds = (int64_t)(now_ns / 1000000000u);
    header->microseconds = (int32_t)(now_ns % 1000000000u / 1000u);
    if (!put(tap, RECORD_TRANSFER, now_ns, header, sizeof *header, data, header->captured))
        (void)atomic_fetch_add_explicit(&tap->dropped_transfers, 1, memory_order_relaxed); // a number for people
}

static void
set_setup(struct usbmon_header *header, const struct dx_usb_setup *setup, uint32_t size)
{
    const uint8_t bytes[8] = {
        setup->request_type,          setup->request,
        (uint8_t)setup->value,        (uint8_t)(setup->value >> 8),
        (uint8_t)setup->index,        (uint8_t)(setup->index >> 8),
        (uint8_t)size,                (uint8_t)(size >> 8),
    };
    memcpy(header->setup, bytes, sizeof bytes);
    header->setup_flag = '\0';
}

static bool
is_in(const struct dx_usb_transfer *transfer)
{
    return (transfer->kind == DX_USB_CONTROL ? transfer->setup.request_type : transfer->endpoint) & DX_USB_IN;
}

/* What a submission and its completion have in common. */
static struct usbmon_header
header_of(const struct dx_usb_transfer *transfer, uint64_t id, char type, int status)
{
    static const uint8_t types[] = {
        [DX_USB_CONTROL] = TYPE_CONTROL, [DX_USB_BULK] = TYPE_BULK, [DX_USB_INTERRUPT] = TYPE_INTERRUPT};
    const bool goes_in = is_in(transfer);
    return (struct usbmon_header){
        .id = id,
        .type = (uint8_t)type,
        .transfer_type = types[transfer->kind],
        .endpoint = (uint8_t)((transfer->endpoint & 15u) | (goes_in ? DX_USB_IN : 0u)),
        .setup_flag = '-',
        .data_flag = goes_in ? '<' : '>',
        .status = status,
        .flags = (goes_in ? URB_IN : 0u) | (transfer->ends_short ? URB_ZERO_PACKET : 0u),
    };
}

static void
put_data(struct dx_usb_tap *tap, struct usbmon_header *header, const uint8_t *data, uint32_t size)
{
    if (size > 0) {
        header->data_flag = '\0';
        header->captured = size;
    }
    put_event(tap, header, data);
}

static void
put_submission(struct dx_usb_tap *tap, const struct dx_usb_transfer *transfer, uint64_t id)
{
    struct usbmon_header header = header_of(transfer, id, 'S', -EINPROGRESS);
    header.length = transfer->size;
    if (transfer->kind == DX_USB_CONTROL)
        set_setup(&header, &transfer->setup, transfer->size);
    put_data(tap, &header, transfer->data, is_in(transfer) ? 0 : transfer->size);
}

static void
put_completion(struct dx_usb_tap *tap, const struct dx_usb_transfer *transfer, uint64_t id)
{
    struct usbmon_header header = header_of(transfer, id, 'C', transfer->status);
    header.length = transfer->actual;
    put_data(tap, &header, transfer->data, is_in(transfer) ? transfer->actual : 0);
}

/* ---- watching ---- */

static uint64_t
next_id(struct dx_usb_tap *tap)
{
    return atomic_fetch_add_explicit(&tap->next_id, 1, memory_order_relaxed) + 1; // only different ones
}

static struct watched *
take_watched(struct dx_usb_tap *tap)
{
    for (size_t i = 0; i < WATCHED; i++) {
        bool is_taken = false;
        /* acquire: pairs with the release in let_go(). */
        if (atomic_compare_exchange_strong_explicit(&tap->watched[i].is_taken, &is_taken, true,
                                                    memory_order_acquire, memory_order_relaxed))
            return &tap->watched[i];
    }
    return NULL;
}

static void
let_go(struct watched *watched, struct dx_usb_transfer *transfer)
{
    transfer->completed = watched->completed;
    transfer->context = watched->context;
    /* release: pairs with the acquire in take_watched(). */
    atomic_store_explicit(&watched->is_taken, false, memory_order_release);
}

static void
watch_completion(struct dx_usb_transfer *transfer)
{
    struct watched *const watched = transfer->context;
    put_completion(watched->tap, transfer, watched->id);
    let_go(watched, transfer);
    transfer->completed(transfer);
}

int
dx_usb_tap_submit(struct dx_usb_tap *tap, struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    struct watched *const watched = take_watched(tap);
    if (!watched) {
        (void)atomic_fetch_add_explicit(&tap->dropped_transfers, 2, memory_order_relaxed); // a number for people
        return device->ops->submit(device, transfer);
    }
    const uint64_t id = next_id(tap);
    watched->tap = tap;
    watched->id = id;
    watched->completed = transfer->completed;
    watched->context = transfer->context;
    transfer->completed = watch_completion;
    transfer->context = watched;
    put_submission(tap, transfer, id);
    const int error = device->ops->submit(device, transfer);
    if (error < 0) {
        struct usbmon_header header = header_of(transfer, id, 'E', error);
        let_go(watched, transfer);
        put_event(tap, &header, NULL);
    }
    return error;
}

/* A control transfer as it would have been. */
static void
put_control(struct dx_usb_tap *tap, const struct dx_usb_setup *setup, const uint8_t *data, uint32_t size, int status)
{
    const struct dx_usb_transfer transfer = {
        .kind = DX_USB_CONTROL,
        .setup = *setup,
        .size = setup->length,
        .status = status,
        .actual = size,
    };
    const uint64_t id = next_id(tap);
    put_submission(tap, &transfer, id);
    struct usbmon_header header = header_of(&transfer, id, 'C', status);
    header.length = size;
    put_data(tap, &header, data, size);
}

void
dx_usb_tap_request(struct dx_usb_tap *tap, const struct dx_usb_setup *setup, int status)
{
    put_control(tap, setup, NULL, 0, status);
}

void
dx_usb_tap_frame(struct dx_usb_tap *tap, bool is_sent, const uint8_t *frame, uint32_t size)
{
    if (tap->has_frames &&
        !put(tap, is_sent ? RECORD_SENT : RECORD_RECEIVED, realtime_ns(), NULL, 0, frame, size))
        (void)atomic_fetch_add_explicit(&tap->dropped_frames, 1, memory_order_relaxed); // a number for people
}

void
dx_usb_tap_attach(struct dx_usb_tap *tap, struct dx_usb_device *device)
{
    struct dx_usb_setup setup = {.request_type = DX_USB_IN, .request = 6, .value = 0x0100};
    setup.length = sizeof device->device_descriptor;
    put_control(tap, &setup, device->device_descriptor, setup.length, 0);
    for (uint32_t i = 0; i < device->configuration_count; i++) {
        const uint32_t size = device->configurations[i].size;
        setup.value = (uint16_t)(0x0200u + i);
        setup.length = (uint16_t)(size < UINT16_MAX ? size : UINT16_MAX);
        put_control(tap, &setup, device->configurations[i].bytes, setup.length, 0);
    }
    if (device->configuration) {
        const struct dx_usb_setup configure = {.request = 9, .value = device->configuration};
        dx_usb_tap_request(tap, &configure, 0);
    }
    device->tap = tap;
}

/* ---- writing the file ---- */

static void
flush(struct dx_usb_tap *tap)
{
    const uint8_t *at = tap->buffer;
    /* relaxed: only this thread stores it. */
    while (tap->filled > 0 && atomic_load_explicit(&tap->error, memory_order_relaxed) == 0) {
        const ssize_t got = write(tap->fd, at, tap->filled);
        if (got > 0) {
            at += got;
            tap->filled -= (size_t)got;
        } else if (got == 0 || errno != EINTR) {
            atomic_store_explicit(&tap->error, got == 0 ? -ENOSPC : -errno, memory_order_relaxed);
        }
    }
    tap->filled = 0;
}

static void
append(struct dx_usb_tap *tap, const void *bytes, size_t size)
{
    for (const uint8_t *at = bytes; size > 0;) {
        const size_t room = FILE_BUFFER_BYTES - tap->filled;
        const size_t part = size < room ? size : room;
        memcpy(tap->buffer + tap->filled, at, part);
        tap->filled += part;
        at += part;
        size -= part;
        if (tap->filled == FILE_BUFFER_BYTES)
            flush(tap);
    }
}

static void
append_word(struct dx_usb_tap *tap, uint32_t word)
{
    append(tap, &word, sizeof word);
}

static void
append_padded(struct dx_usb_tap *tap, const void *bytes, uint32_t size)
{
    static const uint8_t zeroes[4];
    append(tap, bytes, size);
    append(tap, zeroes, -size & 3u);
}

/* Options of a block, as they are in the file. */
struct options {
    uint8_t bytes[MAX_OPTIONS_BYTES];
    uint32_t size;
};

static void
add_option(struct options *options, uint16_t code, const void *value, size_t size)
{
    const uint16_t head[2] = {code, (uint16_t)size};
    if (options->size + sizeof head + size + 3u + sizeof head > MAX_OPTIONS_BYTES)
        return; // with room for the end
    memcpy(options->bytes + options->size, head, sizeof head);
    memcpy(options->bytes + options->size + sizeof head, value, size);
    options->size += (uint32_t)((sizeof head + size + 3u) & ~(size_t)3u); // the bytes between are 0
}

/* Four bytes of 0 end them. */
static void
end_options(struct options *options)
{
    options->size += 4;
}

static void
write_section(struct dx_usb_tap *tap)
{
    static const char application[] = "dextral usb capture";
    const uint16_t version[] = {1, 0};
    const uint32_t unknown_length[] = {UINT32_MAX, UINT32_MAX};
    struct options options = {.size = 0};
    add_option(&options, OPTION_APPLICATION, application, sizeof application - 1);
    end_options(&options);
    const uint32_t bytes = (uint32_t)(16 + sizeof version + sizeof unknown_length + options.size);
    append_word(tap, BLOCK_SECTION);
    append_word(tap, bytes);
    append_word(tap, BYTE_ORDER_MAGIC);
    append(tap, version, sizeof version);
    append(tap, unknown_length, sizeof unknown_length);
    append(tap, options.bytes, options.size);
    append_word(tap, bytes);
}

static void
write_interface(struct dx_usb_tap *tap, uint16_t link, const char *name)
{
    const uint16_t head[] = {link, 0};
    static const uint8_t nanoseconds = 9;
    struct options options = {.size = 0};
    add_option(&options, OPTION_NAME, name, strnlen(name, 64));
    add_option(&options, OPTION_RESOLUTION, &nanoseconds, 1);
    end_options(&options);
    const uint32_t bytes = 20 + options.size;
    append_word(tap, BLOCK_INTERFACE);
    append_word(tap, bytes);
    append(tap, head, sizeof head);
    append_word(tap, 0); // packets are whole
    append(tap, options.bytes, options.size);
    append_word(tap, bytes);
}

static void
write_time(struct dx_usb_tap *tap, uint64_t time_ns)
{
    append_word(tap, (uint32_t)(time_ns >> 32));
    append_word(tap, (uint32_t)time_ns);
}

static void
write_packet(struct dx_usb_tap *tap, const struct record *record)
{
    const bool is_frame = record->kind != RECORD_TRANSFER;
    const uint32_t direction = record->kind == RECORD_RECEIVED ? 1 : 2; // inbound, outbound
    struct options options = {.size = 0};
    if (is_frame) {
        add_option(&options, OPTION_FLAGS, &direction, sizeof direction);
        end_options(&options);
    }
    const uint32_t bytes = 32 + ((record->size + 3u) & ~3u) + options.size;
    append_word(tap, BLOCK_PACKET);
    append_word(tap, bytes);
    append_word(tap, is_frame);
    write_time(tap, record->time_ns);
    append_word(tap, record->size);
    append_word(tap, record->size);
    append_padded(tap, record + 1, record->size);
    append(tap, options.bytes, options.size);
    append_word(tap, bytes);
    /* relaxed: numbers for people. */
    (void)atomic_fetch_add_explicit(is_frame ? &tap->frames : &tap->transfers, 1, memory_order_relaxed);
}

static void
write_statistics(struct dx_usb_tap *tap, uint32_t interface, uint64_t received, uint64_t dropped)
{
    struct options options = {.size = 0};
    add_option(&options, OPTION_RECEIVED, &received, sizeof received);
    add_option(&options, OPTION_DROPPED, &dropped, sizeof dropped);
    end_options(&options);
    const uint32_t bytes = 24 + options.size;
    append_word(tap, BLOCK_STATISTICS);
    append_word(tap, bytes);
    append_word(tap, interface);
    write_time(tap, realtime_ns());
    append(tap, options.bytes, options.size);
    append_word(tap, bytes);
}

/* Writes what has been put into the ring. */
static void
drain(struct dx_usb_tap *tap)
{
    /* relaxed: only this thread stores it. */
    uint64_t taken = atomic_load_explicit(&tap->taken, memory_order_relaxed);
    for (;;) {
        struct record *const record = record_at(tap, taken);
        /* acquire: pairs with the release in commit(). */
        const uint32_t bytes = atomic_load_explicit(&record->bytes, memory_order_acquire);
        if (bytes == 0)
            break;
        if (record->kind != RECORD_PADDING && atomic_load_explicit(&tap->error, memory_order_relaxed) == 0)
            write_packet(tap, record);
        memset((void *)record, 0, bytes);
        taken += bytes;
        /* release: pairs with the acquire in reserve(). */
        atomic_store_explicit(&tap->taken, taken, memory_order_release);
    }
    flush(tap);
}

static void
run_writer(void *context)
{
    struct dx_usb_tap *const tap = context;
    const struct timespec period = {.tv_nsec = WRITER_PERIOD_NS};
    /* acquire: pairs with the release in dx_usb_tap_close(); the last records are seen then. */
    while (!atomic_load_explicit(&tap->is_closing, memory_order_acquire)) {
        drain(tap);
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &period, NULL); // sooner is fine
    }
    drain(tap);
}

/* ---- its life ---- */

static void
free_tap(struct dx_usb_tap *tap)
{
    free(tap->ring);
    free(tap->buffer);
    free(tap);
}

static int
start(struct dx_usb_tap *tap, const char *name)
{
    const dx_task_config task = {.name = "usb-capture"};
    write_section(tap);
    write_interface(tap, LINK_USB_LINUX_MMAPPED, name);
    if (tap->has_frames)
        write_interface(tap, LINK_ETHERNET, name);
    flush(tap);
    const int error = atomic_load_explicit(&tap->error, memory_order_relaxed); // stored by this thread
    if (error == 0 && dx_task_spawn(dx_clock_host(), &task, run_writer, tap, &tap->writer) != kIOReturnSuccess)
        return -EAGAIN;
    return error;
}

int
dx_usb_tap_open(const struct dx_usb_tap_config *config, struct dx_usb_tap **ret_tap)
{
    const uint32_t ring_bytes = config->ring_bytes ? config->ring_bytes : DEFAULT_RING_BYTES;
    if (ring_bytes < 4096 || (ring_bytes & (ring_bytes - 1)) || config->fd < 0)
        return -EINVAL;
    struct dx_usb_tap *const tap = aligned_alloc(_Alignof(struct dx_usb_tap), sizeof *tap);
    if (!tap)
        return -ENOMEM;
    memset((void *)tap, 0, sizeof *tap);
    tap->ring_bytes = ring_bytes;
    tap->bus = config->bus ? config->bus : 1;
    tap->address = config->address ? config->address : 1;
    tap->has_frames = config->has_frames;
    tap->fd = config->fd;
    tap->ring = aligned_alloc(64, ring_bytes);
    tap->buffer = malloc(FILE_BUFFER_BYTES);
    if (!tap->ring || !tap->buffer) {
        free_tap(tap);
        return -ENOMEM;
    }
    memset(tap->ring, 0, ring_bytes); // no page faults later
    const int error = start(tap, config->name ? config->name : "usb");
    if (error < 0) {
        free_tap(tap);
        return error;
    }
    *ret_tap = tap;
    return 0;
}

void
dx_usb_tap_get_counts(const struct dx_usb_tap *tap, struct dx_usb_tap_counts *ret_counts)
{
    /* relaxed: numbers for people. */
    ret_counts->transfers = atomic_load_explicit(&tap->transfers, memory_order_relaxed);
    ret_counts->frames = atomic_load_explicit(&tap->frames, memory_order_relaxed);
    ret_counts->dropped = atomic_load_explicit(&tap->dropped_transfers, memory_order_relaxed) +
                          atomic_load_explicit(&tap->dropped_frames, memory_order_relaxed);
    ret_counts->error = atomic_load_explicit(&tap->error, memory_order_relaxed);
}

void
dx_usb_tap_close(struct dx_usb_tap *tap, struct dx_usb_tap_counts *ret_counts)
{
    struct dx_usb_tap_counts counts;
    if (!tap)
        return;
    /* release: pairs with the acquire in run_writer(). */
    atomic_store_explicit(&tap->is_closing, true, memory_order_release);
    dx_task_join(tap->writer);
    const uint64_t lost = atomic_load_explicit(&tap->dropped_transfers, memory_order_relaxed);
    const uint64_t lost_frames = atomic_load_explicit(&tap->dropped_frames, memory_order_relaxed);
    dx_usb_tap_get_counts(tap, &counts);
    write_statistics(tap, 0, counts.transfers + lost, lost);
    if (tap->has_frames)
        write_statistics(tap, 1, counts.frames + lost_frames, lost_frames);
    flush(tap);
    dx_usb_tap_get_counts(tap, &counts);
    if (ret_counts)
        *ret_counts = counts;
    free_tap(tap);
}
