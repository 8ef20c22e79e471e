// SPDX-License-Identifier: MIT
// Measures what the engine costs per cycle: from the end of one sleep of the IO thread to the beginning of the next,
// the whole loop of engine.c and everything it calls, on a clock whose sleeps take no time (all its readings are
// those of the host's clock, moved on, and cost what they cost in a driver).  One client, whose lane is float32;
// output alone and both directions; a handler that does nothing; a zero timestamp every 4096 frames, as a driver with
// that ring posts them; a flight recorder as every device of the machine has it.  What the client, the hardware and
// the driver would do is done between the cycles.
//
// Blocks of cycles take turns: the CPU's best kernels, the plain C kernels, and memcpy.  memcpy is the control: it
// moves as many bytes as the engine reads and writes as a whole (so it copies half of them), between rings of the
// same size whose source was written just before, as the client wrote its lane.  All are hot in the cache where
// they fit: a driver's cycles, after a sleep, are colder.  The figures contain one reading of the tick counter,
// which is printed.  One thread, on one CPU, with the priority it was started with.
//
// Limits and how they are judged, over all rows that they speak of, at p50:
//   - 2 channels, 64 frames: under 1 us.  Either direction, every format of the ring.
//   - 1024 channels, f32: at most 4 times the time of memcpy.
//   - s16, s24_3, s32: conversion at least 4 times as fast as the plain C kernels', in GB/s of bytes read and
//     written: both directions, at the samples of 64 frames of 2, 8 and 64 channels, and of the most that a cycle
//     converts at a time.  The ratio of whole cycles stands in the table; where fixed costs dominate it says nothing
//     of conversion.
// A row is noisy when the medians of the control (for conversion: of plain C) in the first and in the second half of
// its blocks differ by more than a quarter, or when more than one cycle of twenty was late or skipped.  A verdict
// with a noisy row among its rows is NOISY.

#include "audio/engine.h"
#include "bench.h"
#include "core/clock_ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RING_FRAMES = 4096,
    MOST_FRAMES = 1024,
    MOST_CHANNELS = 1024,
    RATE_HZ = 48000,
    BLOCK = 32,           // cycles, copies
    FEWEST_BLOCKS = 4,    // of each
    MOST_CYCLES = 100000, // of each
    WARM_CYCLES = 8,      // before the first block
};

#define HALF_RATIO 1.25
#define STEREO_LIMIT_NS 1000.0
#define MEMCPY_LIMIT 4.0
#define PLAIN_LIMIT 4.0

static const uint32_t channel_counts[] = {2, 8, 64, 256, 1024};
static const uint32_t frame_counts[] = {16, 32, 64, 128, 256, 512, 1024};
static const enum dx_sample_format formats[] = {DX_SAMPLE_F32_LE, DX_SAMPLE_S16_LE, DX_SAMPLE_S24_3LE,
                                                DX_SAMPLE_S32_LE};

static const size_t conversion_samples[] = {2 * 64, 8 * 64, 64 * 64, DX_ENGINE_CHUNK_SAMPLES};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- a clock whose sleeps take no time ---- */

struct skipping_clock {
    struct dx_clock clock; // first
    uint64_t ahead_ns;     // of the host's clock; wraps
    void (*function)(void *argument);
    void *argument;
    struct dx_task task;
};

static void slept(uint64_t deadline_ns);

static struct skipping_clock skipping;

static uint64_t
skipping_now_ns(const dx_clock *clock) DX_REALTIME
{
    (void)clock;
    return dx_host_clock.ops->now_ns(&dx_host_clock) + skipping.ahead_ns;
}

/* The end of one cycle and the beginning of the next. */
static int
skipping_wait(dx_clock *clock, const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns,
              const struct dx_wait_reason *reason)
{
    (void)clock, (void)word, (void)expected, (void)reason;
    slept(deadline_ns);
    return 0;
}

static void
skipping_wake(dx_clock *clock, const _Atomic uint32_t *word, uint32_t count)
{
    (void)clock, (void)word, (void)count;
}

/* The bench runs the IO thread's function itself. */
static kern_return_t
skipping_spawn(dx_clock *clock, const dx_task_config *config, void (*function)(void *argument), void *argument,
               dx_task **ret_task)
{
    skipping.function = function;
    skipping.argument = argument;
    dx_task_init(&skipping.task, clock, config->name);
    *ret_task = &skipping.task;
    return kIOReturnSuccess;
}

static void
skipping_join(dx_task *task)
{
    (void)task;
}

static const struct dx_clock_ops skipping_ops = {
    .now_ns = skipping_now_ns,
    .wait = skipping_wait,
    .wake = skipping_wake,
    .spawn = skipping_spawn,
    .join = skipping_join,
};

/* ---- one row: a device, its client, and the control ---- */

enum subject { BEST, PLAIN, CONTROL, SUBJECT_COUNT };

struct row {
    uint32_t channels, frames;
    enum dx_sample_format format;
    bool duplex;
    struct bench_summary ns[SUBJECT_COUNT];
    double bytes; // read and written in a cycle
    uint64_t disturbed; // cycles late or skipped
    bool noisy;
};

static struct {
    const struct dx_kernels *kernels[2]; // by subject
    struct bench_series series[SUBJECT_COUNT];
    struct bench_series halves[2]; // of the control
    uint8_t *noise_float, *noise_physical;
    uint8_t *output_ring, *input_ring;
    void *recording;
    uint8_t *control_source, *control_target;
    double checksum;

    /* The row at hand. */
    struct row *row;
    struct dx_engine *engine;
    struct dx_device_io io;
    struct dx_engine_counters counters;
    struct dx_engine_signal signal;
    struct dx_engine_plan plan;
    struct dx_engine_source source;
    struct dx_lane lane, input_lane;
    struct dx_lane_state lane_state, input_state;
    _Atomic uint32_t notices;
    _Atomic uint32_t page_words[DX_SLOTS_WORDS(sizeof(struct dx_timeline_page))];
    uint64_t first_stamp_ns, stamps;
    uint64_t stop_ns;
    enum subject subject;
    uint32_t left; // cycles of this block, or before the first
    uint32_t blocks;
    bool warming;
    size_t control_at;
    uint64_t begin;
} b;

static kern_return_t
handle(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
       uint64_t host_time, void *context) DX_REALTIME
{
    (void)device, (void)operation, (void)frames, (void)sample_time, (void)host_time, (void)context;
    return kIOReturnSuccess;
}

static void
use_kernels(const struct dx_kernels *kernels)
{
    b.engine->config.kernels = kernels;
    b.engine->config.outputs[0].from_float = kernels->from_float[b.row->format];
    b.engine->config.inputs[0].to_float = kernels->to_float[b.row->format];
}

/* The parties around the engine, before the cycle that is due at a time. */
static void
feed(uint64_t due_ns)
{
    const struct row *const row = b.row;
    const struct dx_engine *const engine = b.engine;

    /* The driver: a zero timestamp each time that its ring wraps. */
    for (;;) {
        const uint64_t frame = b.stamps * RING_FRAMES;
        const uint64_t stamp_ns = b.first_stamp_ns + frame * 1000000000u / RATE_HZ;
        if (stamp_ns > due_ns)
            break;
        dx_device_io_post(&b.io, frame, stamp_ns);
        b.stamps++;
    }
    if (!engine->has_due)
        return;

    /* The client: just what this cycle will take.  Its frames are those of device time. */
    const uint64_t until = engine->due_frame + 2u * (uint64_t)row->frames;
    if (!b.lane_state.flags || until - b.lane_state.end > row->frames) {
        /* The first time, and when cycles were skipped because something else ran here. */
        const uint64_t from = until - row->frames;
        b.lane_state = (struct dx_lane_state){
            .epoch = b.lane_state.epoch + 1, .flags = DX_LANE_RUNNING, .begin = from, .end = from};
        dx_lane_publish(&b.lane, &b.lane_state);
    }
    if (until > b.lane_state.end)
        dx_lane_append(&b.lane, &b.lane_state, b.noise_float, (uint32_t)(until - b.lane_state.end));

    /* The hardware: what this cycle will read. */
    if (row->duplex) {
        const uint32_t bytes = row->channels * dx_sample_format_bytes(row->format);
        for (uint64_t frame = engine->input_next; frame < engine->due_frame; frame++)
            memcpy(b.input_ring + (size_t)(frame % RING_FRAMES) * bytes,
                   b.noise_physical + (size_t)(frame % row->frames) * bytes, bytes);
    }
}

/* As many bytes read and written as a cycle has. */
static void
run_control(void)
{
    const size_t bytes = (size_t)(b.row->bytes / 2.0);
    const size_t ring_bytes =
        (size_t)RING_FRAMES * b.row->channels * (b.row->duplex ? 2u : 1u) * sizeof(float);
    for (int i = 0; i < BLOCK; i++) {
        if (b.control_at + bytes > ring_bytes)
            b.control_at = 0;
        for (size_t done = 0; done < bytes;) {
            const size_t most = (size_t)b.row->frames * b.row->channels * sizeof(float);
            const size_t n = bytes - done < most ? bytes - done : most;
            memcpy(b.control_source + b.control_at + done, b.noise_float, n);
            done += n;
        }
        const uint64_t begin = bench_ticks();
        memcpy(b.control_target + b.control_at, b.control_source + b.control_at, bytes);
        __asm__ volatile("" : : "r"(b.control_target) : "memory");
        const uint64_t ticks = bench_ticks() - begin;
        bench_series_add(&b.series[CONTROL], ticks);
        b.control_at += (bytes + 63u) & ~(size_t)63u;
    }
}

/* Between two cycles.  A clock that stood still here would make the next cycle late, or early. */
static void
slept(uint64_t deadline_ns)
{
    const uint64_t end = bench_ticks();
    if (!b.warming && b.left)
        bench_series_add(&b.series[b.subject], end - b.begin);

    if (b.left && --b.left == 0) {
        b.warming = false;
        if (b.subject == PLAIN) {
            run_control();
            b.blocks++;
            if ((b.blocks >= FEWEST_BLOCKS && bench_now_ns() >= b.stop_ns) || b.blocks * BLOCK >= MOST_CYCLES)
                atomic_store_explicit(&b.engine->stop, true, memory_order_relaxed);
        }
        b.subject = b.subject == BEST ? PLAIN : BEST;
        use_kernels(b.kernels[b.subject]);
        b.left = BLOCK;
    }
    feed(deadline_ns);
    skipping.ahead_ns = deadline_ns - dx_host_clock.ops->now_ns(&dx_host_clock);
    b.begin = bench_ticks();
}

static void
describe_stream(struct dx_engine_stream *stream, uint8_t *ring)
{
    *stream = (struct dx_engine_stream){
        .ring = ring,
        .bytes_per_frame = b.row->channels * dx_sample_format_bytes(b.row->format),
        .channels = b.row->channels,
        .is_mixable = true,
        .to_float = b.kernels[BEST]->to_float[b.row->format],
        .from_float = b.kernels[BEST]->from_float[b.row->format],
        .chunk_frames = dx_engine_chunk_frames(b.row->channels),
    };
}

static void
start_engine(void)
{
    struct row *const row = b.row;
    const uint32_t float_bytes = row->channels * (uint32_t)sizeof(float);
    memset(&b.counters, 0, sizeof b.counters);
    memset(&b.signal, 0, sizeof b.signal);
    memset(&b.source, 0, sizeof b.source);
    memset(&b.lane_state, 0, sizeof b.lane_state);
    memset(&b.input_state, 0, sizeof b.input_state);
    for (size_t i = 0; i < COUNT_OF(b.page_words); i++)
        atomic_init(&b.page_words[i], 0);
    if (dx_lane_create(&b.lane, "bench-lane", 4 * row->frames, float_bytes) < 0 ||
        dx_lane_create(&b.input_lane, "bench-input", RING_FRAMES, float_bytes) < 0)
        bench_die("no memory for the lanes");

    dx_device_io_init(&b.io);
    if (dx_handler_box_set(&b.io.handler, handle, NULL) != kIOReturnSuccess)
        bench_die("the handler was refused");
    b.source.output_stream = 0;
    b.source.input_stream = DX_NO_STREAM;
    b.source.lane = &b.lane;
    b.source.gain_bits = DX_GAIN_UNITY;
    b.plan = (struct dx_engine_plan){
        .io_frames = row->frames,
        .inputs_in_use = row->duplex,
        .outputs_in_use = 1,
        .source_count = 1,
        .sources = {&b.source},
    };

    static struct dx_engine_config config;
    config = (struct dx_engine_config){
        .clock = &skipping.clock,
        .name = "bench",
        .device_id = 2,
        .io = &b.io,
        .timeline = {.rate_hz = RATE_HZ,
                     .period_frames = RING_FRAMES,
                     .algorithm = IOUserAudioClockAlgorithmSimpleIIR},
        .ring_frames = RING_FRAMES,
        .input_count = row->duplex ? 1 : 0,
        .output_count = 1,
        .page = {b.page_words, sizeof(struct dx_timeline_page)},
        .counters = &b.counters,
        .signal = &b.signal,
        .kernels = b.kernels[BEST],
        .recorder = b.recording,
        .notices = &b.notices,
        .start_timeout_ns = 1000000000u,
    };
    describe_stream(&config.outputs[0], b.output_ring);
    if (row->duplex) {
        describe_stream(&config.inputs[0], b.input_ring);
        config.inputs[0].input_lane = &b.input_lane;
        config.inputs[0].input_state = &b.input_state;
    }

    b.first_stamp_ns = skipping_now_ns(&skipping.clock);
    b.stamps = 1;
    dx_device_io_post(&b.io, 0, b.first_stamp_ns);
    if (dx_engine_start(&config, &b.plan, &b.engine) != 0)
        bench_die("the engine did not start");
}

/* Cycles that did something else than they should would be figures of something else.  Some may be late or skipped:
 * when the machine ran another thread here for longer than a cycle. */
static void
check_row(void)
{
    const struct dx_engine_counters *const counters = &b.counters;
    const uint64_t cycles = atomic_load(&counters->cycles);
    const uint64_t disturbed = atomic_load(&counters->overloads) + atomic_load(&counters->late_cycles);
    const uint64_t whole = cycles > 4 * disturbed + 4 ? cycles - 4 * disturbed - 4 : 0;
    b.row->disturbed = disturbed;
    if (cycles < BLOCK || atomic_load(&b.source.limited_samples) ||
        atomic_load(&b.source.frames) < whole * b.row->frames ||
        (b.row->duplex && atomic_load(&counters->input_frames) < whole * b.row->frames)) {
        fprintf(stderr, "%u channels, %u frames: %llu cycles, %llu late or skipped, %llu frames\n", b.row->channels,
                b.row->frames, (unsigned long long)cycles, (unsigned long long)disturbed,
                (unsigned long long)atomic_load(&b.source.frames));
        bench_die("the engine did not run as it should");
    }
    for (uint32_t i = 0; i < RING_FRAMES; i += 97)
        b.checksum += b.output_ring[(size_t)i * b.row->channels];
}

/* Whether the control went one way in its first half and another in its second. */
static bool
halves_differ(const struct bench_series *control)
{
    double medians[2];
    for (int half = 0; half < 2; half++) {
        bench_series_clear(&b.halves[half]);
        for (size_t i = half ? control->count / 2 : 0; i < (half ? control->count : control->count / 2); i++)
            bench_series_add(&b.halves[half], control->values[i]);
        medians[half] = (double)bench_series_quantile(&b.halves[half], 0.5);
    }
    return medians[0] > medians[1] * HALF_RATIO || medians[1] > medians[0] * HALF_RATIO;
}

static void
measure_row(struct row *row, double seconds)
{
    b.row = row;
    const double samples = (double)row->frames * row->channels;
    row->bytes = samples * (sizeof(float) + dx_sample_format_bytes(row->format)) * (row->duplex ? 2.0 : 1.0);
    b.subject = BEST;
    b.warming = true;
    b.left = WARM_CYCLES;
    b.blocks = 0;
    b.control_at = 0;
    for (int i = 0; i < SUBJECT_COUNT; i++)
        bench_series_clear(&b.series[i]);
    dx_kernels_get(DX_KERNELS_C)
        ->from_float[row->format](b.noise_physical, (const float *)(const void *)b.noise_float,
                                  (size_t)row->frames * row->channels);

    start_engine();
    /* The plain kernels once before the first block, which is the best ones'. */
    b.subject = PLAIN;
    b.stop_ns = bench_now_ns() + (uint64_t)(seconds * 1e9);
    use_kernels(b.kernels[PLAIN]);
    skipping.function(skipping.argument);
    check_row();
    dx_engine_stop(b.engine);
    dx_lane_finish(&b.lane);
    dx_lane_finish(&b.input_lane);

    row->noisy = halves_differ(&b.series[CONTROL]) ||
                 row->disturbed > (b.series[BEST].count + b.series[PLAIN].count) / 20;
    for (int i = 0; i < SUBJECT_COUNT; i++)
        row->ns[i] = bench_series_summary(&b.series[i], 0, bench_ns_per_tick());
}

/* ---- conversion alone ---- */

struct conversion {
    enum dx_sample_format format;
    bool to_float;
    size_t samples;
    double ns[2];        // by subject
    double gigabytes[2]; // per second
    bool noisy;
};

static void
convert(const struct dx_kernels *kernels, const struct conversion *c)
{
    if (c->to_float)
        kernels->to_float[c->format]((float *)(void *)b.control_target, b.noise_physical, c->samples);
    else
        kernels->from_float[c->format](b.control_target, (const float *)(const void *)b.noise_float, c->samples);
    __asm__ volatile("" : : "r"(b.control_target) : "memory");
}

static void
measure_conversion(struct conversion *c, double seconds)
{
    const size_t batch = c->samples < 4096 ? 4096 / c->samples : 1;
    const uint64_t stop_ns = bench_now_ns() + (uint64_t)(seconds * 1e9);
    for (int i = 0; i < 2; i++)
        bench_series_clear(&b.series[i]);
    dx_kernels_get(DX_KERNELS_C)
        ->from_float[c->format](b.noise_physical, (const float *)(const void *)b.noise_float, c->samples);
    for (int i = 0; i < MOST_CYCLES && (i < 100 || bench_now_ns() < stop_ns); i++) {
        for (int subject = BEST; subject <= PLAIN; subject++) {
            convert(b.kernels[subject], c); // fetches what the other left elsewhere
            const uint64_t begin = bench_ticks();
            for (size_t n = 0; n < batch; n++)
                convert(b.kernels[subject], c);
            bench_series_add(&b.series[subject], bench_ticks() - begin);
        }
    }
    c->noisy = halves_differ(&b.series[PLAIN]);
    const double bytes = (double)c->samples * (sizeof(float) + dx_sample_format_bytes(c->format));
    const uint64_t overhead = bench_tick_overhead();
    for (int subject = BEST; subject <= PLAIN; subject++) {
        const struct bench_summary s =
            bench_series_summary(&b.series[subject], overhead, bench_ns_per_tick() / (double)batch);
        c->ns[subject] = s.p50;
        c->gigabytes[subject] = bytes / s.p50;
    }
}

/* ---- the whole ---- */

static void
print_row(const struct bench_options *options, const char *separator, const struct row *row)
{
    const char *const format = dx_sample_format_name(row->format);
    const struct bench_summary *const best = &row->ns[BEST];
    const double gigabytes = row->bytes / best->p50;
    const double to_copy = best->p50 / row->ns[CONTROL].p50;
    const double to_plain = row->ns[PLAIN].p50 / best->p50;
    if (options->json)
        printf("%s\n{\"channels\": %u, \"frames\": %u, \"format\": \"%s\", \"duplex\": %s, \"cycles\": %zu, "
               "\"p50_ns\": %.0f, \"p99_ns\": %.0f, \"p999_ns\": %.0f, \"max_ns\": %.0f, "
               "\"gigabytes_per_second\": %.2f, \"memcpy_p50_ns\": %.0f, \"memcpy_p99_ns\": %.0f, "
               "\"memcpy_p999_ns\": %.0f, \"memcpy_max_ns\": %.0f, \"times_memcpy\": %.2f, \"plain_p50_ns\": %.0f, "
               "\"times_as_fast_as_plain\": %.2f, \"late_or_skipped\": %llu, \"noisy\": %s}",
               separator, row->channels, row->frames, format, row->duplex ? "true" : "false", best->count, best->p50,
               best->p99, best->p999, best->max, gigabytes, row->ns[CONTROL].p50, row->ns[CONTROL].p99,
               row->ns[CONTROL].p999, row->ns[CONTROL].max, to_copy, row->ns[PLAIN].p50, to_plain,
               (unsigned long long)row->disturbed, row->noisy ? "true" : "false");
    else
        printf("%5u %5u %-8s %-6s %6zu %9.0f %9.0f %9.0f %9.0f %7.1f %9.0f %7.2f %9.0f %7.2f%s\n", row->channels,
               row->frames, format, row->duplex ? "duplex" : "output", best->count, best->p50, best->p99, best->p999,
               best->max, gigabytes, row->ns[CONTROL].p50, to_copy, row->ns[PLAIN].p50, to_plain,
               row->noisy ? " noisy" : "");
}

static void
print_conversion(const struct bench_options *options, const char *separator, const struct conversion *c)
{
    const char *const format = dx_sample_format_name(c->format);
    const char *const direction = c->to_float ? "to_float" : "from_float";
    const double ratio = c->gigabytes[BEST] / c->gigabytes[PLAIN];
    if (options->json)
        printf("%s\n{\"format\": \"%s\", \"direction\": \"%s\", \"samples\": %zu, \"p50_ns\": %.1f, "
               "\"gigabytes_per_second\": %.2f, \"plain_gigabytes_per_second\": %.2f, \"ratio\": %.2f, "
               "\"noisy\": %s}",
               separator, format, direction, c->samples, c->ns[BEST], c->gigabytes[BEST], c->gigabytes[PLAIN], ratio,
               c->noisy ? "true" : "false");
    else
        printf("%-8s %-11s %7zu %11.1f %10.1f %10.1f %7.2f%s\n", format, direction, c->samples, c->ns[BEST],
               c->gigabytes[BEST], c->gigabytes[PLAIN], ratio, c->noisy ? " noisy" : "");
}

/* The worst figure among the rows of a limit, and whether one of them is noisy. */
struct worst {
    double figure;
    bool noisy;
};

static void
take_worst(struct worst *worst, double figure, bool noisy)
{
    worst->figure = figure > worst->figure ? figure : worst->figure;
    worst->noisy |= noisy;
}

static void
prepare(void)
{
    skipping.clock = (struct dx_clock){.ops = &skipping_ops, .timebase_numer = 1, .timebase_denom = 1};
    b.kernels[BEST] = dx_kernels_best();
    b.kernels[PLAIN] = dx_kernels_get(DX_KERNELS_C);
    for (int i = 0; i < SUBJECT_COUNT; i++)
        b.series[i] = bench_series_create(MOST_CYCLES + 2 * BLOCK);
    for (int i = 0; i < 2; i++)
        b.halves[i] = bench_series_create(MOST_CYCLES + 2 * BLOCK);

    const size_t samples = (size_t)MOST_FRAMES * MOST_CHANNELS;
    const size_t ring_bytes = (size_t)RING_FRAMES * MOST_CHANNELS * sizeof(float);
    b.noise_float = bench_allocate(samples * sizeof(float));
    b.noise_physical = bench_allocate(samples * sizeof(float));
    b.output_ring = bench_allocate(ring_bytes);
    b.recording = bench_allocate(dx_recorder_bytes());
    memset(b.recording, 0, dx_recorder_bytes());
    if (!dx_recorder_init(b.recording, dx_recorder_bytes()))
        bench_die("the recording is none");
    b.input_ring = bench_allocate(ring_bytes);
    b.control_source = bench_allocate(2 * ring_bytes);
    b.control_target = bench_allocate(2 * ring_bytes);
    for (size_t i = 0; i < samples; i++) {
        const float x = 0.8f * sinf((float)i * 0.0371f) + 0.1f * sinf((float)i * 1.37f);
        memcpy(b.noise_float + i * sizeof x, &x, sizeof x);
    }
}

int
main(int argc, char **argv)
{
    const struct bench_options options = bench_options(argc, argv, 30.0);
    bench_print_machine(&options, "engine");
    (void)bench_pin(bench_cpu(bench_cpu_count() - 1)); // unpinned is only noisier
    prepare();

    const double overhead_ns = (double)bench_tick_overhead() * bench_ns_per_tick();
    if (options.json)
        printf(", \"kernels\": \"%s\", \"tick_overhead_ns\": %.1f, \"rows\": [", b.kernels[BEST]->name, overhead_ns);
    else
        printf("kernels %s; a reading of the ticks, %.1f ns, is in each figure; GB/s: all bytes read and written, at "
               "p50\n\n%5s %5s %-8s %-6s %6s %9s %9s %9s %9s %7s %9s %7s %9s %7s\n",
               b.kernels[BEST]->name, overhead_ns, "ch", "N", "format", "", "cycles", "p50 ns", "p99", "p99.9", "max",
               "GB/s", "memcpy", "times", "plain C", "faster");

    const size_t row_count = COUNT_OF(channel_counts) * COUNT_OF(frame_counts) * COUNT_OF(formats) * 2;
    struct worst stereo = {0}, copy = {0}, plain = {0};
    const char *separator = "";
    for (size_t c = 0; c < COUNT_OF(channel_counts); c++)
        for (size_t n = 0; n < COUNT_OF(frame_counts); n++)
            for (size_t f = 0; f < COUNT_OF(formats); f++)
                for (int duplex = 0; duplex < 2; duplex++) {
                    struct row row = {.channels = channel_counts[c],
                                      .frames = frame_counts[n],
                                      .format = formats[f],
                                      .duplex = duplex};
                    measure_row(&row, options.seconds * 0.9 / (double)row_count);
                    print_row(&options, separator, &row);
                    separator = ",";
                    if (row.channels == 2 && row.frames == 64)
                        take_worst(&stereo, row.ns[BEST].p50, row.noisy);
                    if (row.channels == 1024 && row.format == DX_SAMPLE_F32_LE)
                        take_worst(&copy, row.ns[BEST].p50 / row.ns[CONTROL].p50, row.noisy);
                }

    if (options.json)
        printf("\n], \"conversions\": [");
    else
        printf("\n%-8s %-11s %7s %11s %10s %10s %7s\n", "format", "conversion", "samples", "p50 ns", "GB/s", "plain C",
               "ratio");
    separator = "";
    const size_t conversion_count = COUNT_OF(conversion_samples) * (COUNT_OF(formats) - 1) * 2;
    for (size_t f = 1; f < COUNT_OF(formats); f++)
        for (size_t c = 0; c < COUNT_OF(conversion_samples); c++)
            for (int to_float = 0; to_float < 2; to_float++) {
                struct conversion conversion = {
                    .format = formats[f], .to_float = to_float, .samples = conversion_samples[c]};
                measure_conversion(&conversion, options.seconds * 0.1 / (double)conversion_count);
                print_conversion(&options, separator, &conversion);
                separator = ",";
                take_worst(&plain, conversion.gigabytes[PLAIN] / conversion.gigabytes[BEST], conversion.noisy);
            }

    printf(options.json ? "\n], \"verdicts\": [" : "\n");
    char figure[64];
    snprintf(figure, sizeof figure, "%.0f ns", stereo.figure);
    bench_print_verdict(&options, "", "a cycle of 2 channels, 64 frames under 1000 ns at p50", figure,
                        bench_judge(stereo.figure < STEREO_LIMIT_NS, stereo.noisy));
    snprintf(figure, sizeof figure, "%.2f times", copy.figure);
    bench_print_verdict(&options, ",", "a cycle of 1024 channels, f32 within 4 times memcpy at p50", figure,
                        bench_judge(copy.figure <= MEMCPY_LIMIT, copy.noisy));
    snprintf(figure, sizeof figure, "%.2f times", 1.0 / plain.figure);
    bench_print_verdict(&options, ",", "s16, s24_3, s32 at least 4 times the plain C kernels in GB/s", figure,
                        bench_judge(plain.figure <= 1.0 / PLAIN_LIMIT, plain.noisy));
    if (options.json)
        printf("\n], \"checksum\": %g}\n", b.checksum);
    else
        printf("checksum %g\n", b.checksum);
    return bench_exit_status();
}
