// SPDX-License-Identifier: MIT
// Measures how USB adapters' frames are put into transfers and taken out of them: time of a frame, and bytes of frames per
// second, at 342 bytes (48 samples of 6 bytes, with all headers) and at 90 (6 of them).
//
// One figure for each adapter, direction and length. Framing fills transfers with as many frames as fit, out of memory in the
// second cache; unframing reads transfers as a full adapter makes them, so that frames span two of them where the adapter does
// that, and copies each frame once: what it hands over is memory of the transfer, and no reader can do with less. A batch is
// one pass over all frames. One thread, no affinity.
//
// A figure is noise where the medians of the first and the second half of its batches differ by more than half.

#include "backends/usb/ax88772_framing.h"
#include "backends/usb/ncm_framing.h"
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FRAMES = 512, // of a batch
    TRANSFERS = FRAMES,
    TRANSFER_BYTES = 16384, // the most of any adapter
    STREAM_BYTES = FRAMES * 512,
    MOST_BATCHES = 200000,
    FEWEST_BATCHES = 200,
    LENGTH_COUNT = 2,
    DIRECTION_COUNT = 2
};

#define DEFAULT_SECONDS 6.0
#define LIMIT_GIGABYTES 1.0 // at JUDGED_LENGTH
#define JUDGED_LENGTH 342

static const uint32_t lengths[LENGTH_COUNT] = {JUDGED_LENGTH, 90};
static const char *const directions[DIRECTION_COUNT] = {"frame", "unframe"};

struct transfer {
    uint8_t *bytes;
    uint32_t size;
};

/* What an adapter sends or receives in a batch. */
struct work {
    const uint8_t *frames[FRAMES];
    uint32_t sizes[FRAMES];
    struct transfer transfers[TRANSFERS];
    uint32_t transfer_count;
    uint8_t *out; // TRANSFER_BYTES
};

/* An adapter's framing. */
struct framing {
    const char *adapter;
    /* Makes the transfers of a batch, out of its frames, as the adapter would. */
    void (*make)(struct work *work);
    /* @return how many of the frames went into `out`. */
    uint32_t (*frame)(const uint8_t *const *frames, const uint32_t *sizes, uint32_t count, uint8_t *out, uint32_t *ret_size);
    /* @return how many frames came. */
    uint32_t (*unframe)(const uint8_t *data, uint32_t size, dx_frame_sink sink, void *context);
};

static struct dx_nic_counters counters;
static uint64_t checksum;

/* ---- AX88772: a stream of frames, in transfers of 2048 bytes ---- */

enum { AX88772_TRANSFER = 2048 };

static struct dx_ax88772_receiver ax88772_receiver;

static uint32_t
ax88772_frame(const uint8_t *const *frames, const uint32_t *sizes, uint32_t count, uint8_t *out, uint32_t *ret_size)
{
    static const struct dx_ax88772_sender sender = {
        .packet = 512, .max_frame = DX_FRAME_MAX, .capacity = AX88772_TRANSFER};
    return dx_ax88772_send(&sender, frames, sizes, count, out, ret_size);
}

static uint32_t
ax88772_unframe(const uint8_t *data, uint32_t size, dx_frame_sink sink, void *context)
{
    const uint8_t *frame;
    uint32_t frame_size, count = 0;
    dx_ax88772_begin(&ax88772_receiver, data, size, &counters);
    for (; dx_ax88772_next(&ax88772_receiver, &frame, &frame_size, &counters); count++)
        sink(context, frame, frame_size);
    return count;
}

static void
ax88772_make(struct work *work)
{
    static const struct dx_ax88772_sender one = {.packet = UINT32_MAX, .max_frame = DX_FRAME_MAX, .capacity = 4096};
    uint8_t *const stream = work->transfers[0].bytes;
    uint32_t used = 0;
    for (uint32_t i = 0; i < FRAMES; i++) {
        uint32_t size;
        (void)dx_ax88772_send(&one, work->frames + i, work->sizes + i, 1, work->out, &size);
        memcpy(stream + used, work->out, size);
        used += size + (size & 1u);
    }
    work->transfer_count = 0;
    for (uint32_t at = 0; at < used; at += AX88772_TRANSFER) {
        const uint32_t left = used - at;
        work->transfers[work->transfer_count++] =
            (struct transfer){stream + at, left < AX88772_TRANSFER ? left : AX88772_TRANSFER};
    }
}

/* ---- CDC-NCM: blocks of 16384 bytes and 40 frames, as the Linux gadget takes and makes them ---- */

static struct dx_ncm_sender ncm_sender;
static struct dx_ncm_receiver ncm_receiver = {.max_block = TRANSFER_BYTES, .max_frame = DX_FRAME_MAX};

static uint32_t
ncm_frame(const uint8_t *const *frames, const uint32_t *sizes, uint32_t count, uint8_t *out, uint32_t *ret_size)
{
    return dx_ncm_send(&ncm_sender, frames, sizes, count, out, ret_size);
}

static uint32_t
ncm_unframe(const uint8_t *data, uint32_t size, dx_frame_sink sink, void *context)
{
    const uint8_t *frame;
    uint32_t frame_size, count = 0;
    dx_ncm_begin(&ncm_receiver, data, size);
    for (; dx_ncm_next(&ncm_receiver, &frame, &frame_size, &counters); count++)
        sink(context, frame, frame_size);
    return count;
}

/* A transfer for each that `frame` makes. */
static void
make_each(struct work *work, uint32_t (*frame)(const uint8_t *const *frames, const uint32_t *sizes, uint32_t count,
                                               uint8_t *out, uint32_t *ret_size))
{
    uint8_t *place = work->transfers[0].bytes;
    work->transfer_count = 0;
    for (uint32_t done = 0; done < FRAMES;) {
        struct transfer *const transfer = &work->transfers[work->transfer_count++];
        transfer->bytes = place;
        done += frame(work->frames + done, work->sizes + done, FRAMES - done, place, &transfer->size);
        place += transfer->size;
    }
}

static void
begin_ncm(bool is_ntb32)
{
    static const uint8_t told[DX_NCM_PARAMETERS_BYTES] = {
        [0] = 28, [2] = 3, [5] = 0x40, [8] = 4, [12] = 4, [17] = 0x40, [20] = 4, [24] = 4};
    ncm_sender = (struct dx_ncm_sender){
        .parameters = dx_ncm_read_parameters(told, DX_FRAME_MAX),
        .max_frame = DX_FRAME_MAX,
        .packet = 512,
        .is_ntb32 = is_ntb32,
    };
}

static void
ncm16_make(struct work *work)
{
    begin_ncm(false);
    make_each(work, ncm_frame);
}

static void
ncm32_make(struct work *work)
{
    begin_ncm(true);
    make_each(work, ncm_frame);
}

/* ---- CDC-ECM: a frame is a transfer ---- */

static void *ecm;

static uint32_t
ecm_frame(const uint8_t *const *frames, const uint32_t *sizes, uint32_t count, uint8_t *out, uint32_t *ret_size)
{
    bool ends_short;
    return dx_nic_ecm.frame(ecm, frames, sizes, count, out, ret_size, &ends_short);
}

static uint32_t
ecm_unframe(const uint8_t *data, uint32_t size, dx_frame_sink sink, void *context)
{
    return dx_nic_ecm.receive(ecm, data, size, sink, context, &counters);
}

/* The driver of an adapter with packets of 512 bytes. */
static void
begin_ecm(void)
{
    static uint8_t bytes[] = {
        9, 2, 59, 0, 2, 1, 0, 0x80, 50,                     // configuration
        9, 4, 0, 0, 0, 2, 6, 0, 0,                          // interface 0: communication
        13, 0x24, 0x0f, 0, 0, 0, 0, 0, 0xea, 0x05, 0, 0, 0, // 1514 bytes
        5, 0x24, 0x06, 0, 1,                                // its data is on the next one
        9, 4, 1, 0, 2, 0x0a, 0, 0, 0, 7, 5, 0x81, 2, 0, 2, 0, 7, 5, 0x02, 2, 0, 2, 0,
    };
    const struct dx_usb_device device = {.configurations = {{bytes, sizeof bytes}}, .configuration_count = 1};
    struct dx_nic_info info;
    char why[256];
    ecm = bench_allocate(dx_nic_ecm.bytes);
    memset(ecm, 0, dx_nic_ecm.bytes);
    if (dx_nic_ecm.probe(ecm, &device, &info, why) != 0)
        bench_die(why);
}

static void
ecm_make(struct work *work)
{
    if (!ecm)
        begin_ecm();
    make_each(work, ecm_frame);
}

static const struct framing framings[] = {
    {"ax88772", ax88772_make, ax88772_frame, ax88772_unframe},
    {"ncm-16", ncm16_make, ncm_frame, ncm_unframe},
    {"ncm-32", ncm32_make, ncm_frame, ncm_unframe},
    {"ecm", ecm_make, ecm_frame, ecm_unframe},
};

enum { FRAMING_COUNT = sizeof framings / sizeof framings[0] };

/* ---- measuring ---- */

static void
copy_frame(void *context, const uint8_t *frame, uint32_t size)
{
    uint8_t *const copy = context;
    memcpy(copy, frame, size);
    checksum += copy[size - 1];
}

static void
frame_batch(const struct framing *framing, const struct work *work)
{
    uint32_t size;
    for (uint32_t done = 0; done < FRAMES;) {
        const uint32_t taken = framing->frame(work->frames + done, work->sizes + done, FRAMES - done, work->out, &size);
        if (taken == 0)
            bench_die("a frame was refused");
        checksum += work->out[size - 1];
        done += taken;
    }
}

static void
unframe_batch(const struct framing *framing, const struct work *work)
{
    uint8_t copy[DX_FRAME_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < work->transfer_count; i++)
        count += framing->unframe(work->transfers[i].bytes, work->transfers[i].size, copy_frame, copy);
    if (count != FRAMES)
        bench_die("frames were lost");
}

struct row {
    struct bench_summary ns; // of a frame
    double gigabytes;        // of frames, per second, at p50
    double packets;          // millions of them
    bool noisy;
};

static struct row
measure(const struct framing *framing, const struct work *work, uint32_t length, bool is_unframing, double seconds)
{
    void (*const run)(const struct framing *, const struct work *) = is_unframing ? unframe_batch : frame_batch;
    struct bench_series first = bench_series_create(MOST_BATCHES), second = bench_series_create(MOST_BATCHES);
    struct bench_series all = bench_series_create(2 * MOST_BATCHES);
    for (unsigned i = 0; i < 20; i++)
        run(framing, work);
    const uint64_t begin_ns = bench_now_ns(), limit_ns = (uint64_t)(seconds * 1e9);
    for (size_t i = 0; i < MOST_BATCHES; i++) {
        const uint64_t passed_ns = bench_now_ns() - begin_ns;
        if (passed_ns > limit_ns && i >= FEWEST_BATCHES)
            break;
        const uint64_t begin = bench_ticks();
        run(framing, work);
        const uint64_t ticks = bench_ticks() - begin;
        bench_series_add(2 * passed_ns < limit_ns ? &first : &second, ticks);
        bench_series_add(&all, ticks);
    }
    const double p50_first = (double)bench_series_quantile(&first, 0.5), p50_second = (double)bench_series_quantile(&second, 0.5);
    struct row row = {.ns = bench_series_summary(&all, bench_tick_overhead(), bench_ns_per_tick() / FRAMES)};
    row.gigabytes = length / row.ns.p50;
    row.packets = 1e3 / row.ns.p50;
    row.noisy = p50_first > 1.5 * p50_second || p50_second > 1.5 * p50_first;
    bench_series_finish(&first);
    bench_series_finish(&second);
    bench_series_finish(&all);
    return row;
}

static void
print_row(const struct bench_options *options, const char *separator, const char *adapter, const char *direction,
          uint32_t length, const struct row *row)
{
    if (options->json)
        printf("%s\n{\"adapter\": \"%s\", \"direction\": \"%s\", \"length\": %u, \"batches\": %zu, \"p50_ns\": %.2f, "
               "\"p99_ns\": %.2f, \"p999_ns\": %.2f, \"max_ns\": %.2f, \"gigabytes_per_second\": %.2f, "
               "\"packets_per_second\": %.0f, \"noisy\": %s}",
               separator, adapter, direction, length, row->ns.count, row->ns.p50, row->ns.p99, row->ns.p999, row->ns.max,
               row->gigabytes, row->packets * 1e6, row->noisy ? "true" : "false");
    else
        printf("%-9s %-9s %6u %8zu %8.1f %8.1f %8.1f %9.1f %8.2f %10.2f%s\n", adapter, direction, length, row->ns.count,
               row->ns.p50, row->ns.p99, row->ns.p999, row->ns.max, row->gigabytes, row->packets,
               row->noisy ? "  noisy" : "");
}

static void
fill(struct work *work, uint8_t *source, uint32_t length)
{
    for (uint32_t i = 0; i < FRAMES; i++) {
        uint8_t *const frame = source + (size_t)i * length;
        for (uint32_t at = 0; at < length; at++)
            frame[at] = (uint8_t)(at * 31 + i * 7);
        work->frames[i] = frame;
        work->sizes[i] = length;
    }
}

int
main(int argc, char **argv)
{
    const struct bench_options options = bench_options(argc, argv, DEFAULT_SECONDS);
    static struct work work;
    uint8_t *const source = bench_allocate(STREAM_BYTES), *const stream = bench_allocate(TRANSFERS * (size_t)TRANSFER_BYTES);
    work.out = bench_allocate(TRANSFER_BYTES);

    bench_print_machine(&options, "framing");
    if (options.json)
        printf(", \"rows\": [");
    else
        printf("%u frames a batch\n\n%-9s %-9s %6s %8s %8s %8s %8s %9s %8s %10s\n", (unsigned)FRAMES, "adapter", "", "bytes",
               "batches", "p50 ns", "p99", "p99.9", "max", "GB/s", "Mpackets/s");

    struct row judged[FRAMING_COUNT][DIRECTION_COUNT];
    const char *separator = "";
    const double seconds = options.seconds / (FRAMING_COUNT * LENGTH_COUNT * DIRECTION_COUNT);
    for (unsigned f = 0; f < FRAMING_COUNT; f++) {
        for (unsigned l = 0; l < LENGTH_COUNT; l++) {
            fill(&work, source, lengths[l]);
            work.transfers[0].bytes = stream;
            framings[f].make(&work);
            for (unsigned d = 0; d < DIRECTION_COUNT; d++) {
                const struct row row = measure(&framings[f], &work, lengths[l], d == 1, seconds);
                print_row(&options, separator, framings[f].adapter, directions[d], lengths[l], &row);
                separator = ",";
                if (lengths[l] == JUDGED_LENGTH)
                    judged[f][d] = row;
            }
        }
    }

    printf(options.json ? "\n], \"verdicts\": [" : "\n");
    separator = "";
    for (unsigned f = 0; f < FRAMING_COUNT; f++) {
        for (unsigned d = 0; d < DIRECTION_COUNT; d++) {
            char limit[96], figure[64];
            snprintf(limit, sizeof limit, "%s, %s of 342 bytes: more than 1 GB/s at p50", framings[f].adapter, directions[d]);
            snprintf(figure, sizeof figure, "%.2f GB/s", judged[f][d].gigabytes);
            bench_print_verdict(&options, separator, limit, figure,
                                bench_judge(judged[f][d].gigabytes > LIMIT_GIGABYTES, judged[f][d].noisy));
            separator = ",";
        }
    }
    if (options.json)
        printf("\n], \"checksum\": %llu}\n", (unsigned long long)checksum);
    else
        printf("checksum %llu\n", (unsigned long long)checksum);
    free(source);
    free(stream);
    free(work.out);
    free(ecm);
    return bench_exit_status();
}
