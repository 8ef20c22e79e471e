// SPDX-License-Identifier: MIT
// An engine between a driver and clients of the test's own, on a simulated clock: every frame is checked.

#include "tests/audio/engine_rig.h"

#include "tests/break_rules.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GARBAGE 0x5A
#define MS 1000000u
#define DEVICE_ID 42u

/* ---- small things ---- */

static uint32_t
mix_bits(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)(value >> 32);
}

float
rig_sample(uint64_t device_time, uint32_t stream, uint32_t channel, bool is_input)
{
    const uint64_t key = device_time * 64u + stream * 16u + channel + (is_input ? 0x8000000000000000u : 0u);
    return (float)((int32_t)(mix_bits(key + 1u) >> 8) - 0x800000) / 8388608.0f;
}

uint64_t
rig_now(const struct rig *rig)
{
    return dx_clock_now_ns(rig->clock);
}

void
rig_sleep_ms(struct rig *rig, double ms)
{
    dx_clock_sleep_until(rig->clock, rig_now(rig) + (uint64_t)(ms * 1e6));
}

uint64_t
rig_load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static struct dx_slots
page_slots(const struct rig *rig)
{
    return (struct dx_slots){((struct rig *)(uintptr_t)rig)->page_words, sizeof(struct dx_timeline_page)};
}

struct dx_timeline_page
rig_page(const struct rig *rig)
{
    struct dx_timeline_page page;
    const struct dx_slots slots = page_slots(rig);
    if (!dx_slots_read(&slots, &page))
        memset(&page, 0, sizeof page);
    return page;
}

double
rig_position(const struct rig *rig)
{
    const struct dx_timeline_page page = rig_page(rig);
    return dx_timeline_page_position(&page, rig_now(rig));
}

const struct rig_call *
rig_call(const struct rig *rig, uint32_t back)
{
    return &rig->calls[(rig->call_count - 1 - back) % RIG_CALLS];
}

void
rig_fail(struct rig *rig, const char *format, ...)
{
    if (rig->errors++)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(rig->error, sizeof rig->error, format, arguments); // may be cut
    va_end(arguments);
}

void
rig_be_slow(struct rig *rig, uint64_t ns) DX_REALTIME
{
    BREAK_RULES_BEGIN("not real-time at all: that is what it is for")
    dx_clock_sleep_until(rig->clock, rig_now(rig) + ns);
    BREAK_RULES_END
}

static uint32_t
stream_bytes(const struct rig_stream *stream)
{
    return stream->channels * dx_sample_format_bytes(stream->format);
}

/* A frame of a stream as its ring holds it.  Non-mixable streams carry bits: those of the floats. */
static void
make_frame(const struct rig *rig, const struct rig_stream *stream, uint32_t index, bool is_input, uint64_t time,
           uint8_t *bytes)
{
    float samples[64];
    for (uint32_t c = 0; c < stream->channels; c++)
        samples[c] = rig_sample(time, index, c, is_input);
    rig->config.kernels->from_float[stream->format](bytes, samples, stream->channels);
}

/* ---- the handler: plays the hardware ---- */

static uint8_t *
ring_frame(const struct rig *rig, const struct dx_engine_stream *stream, uint64_t sample_time)
{
    return stream->ring + (size_t)(sample_time % rig->options.ring_frames) * stream->bytes_per_frame;
}

static bool
is_all(const uint8_t *bytes, size_t count, uint8_t value)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

static void
place_input(struct rig *rig, const struct rig_call *call)
{
    for (uint32_t s = 0; s < rig->options.inputs; s++)
        for (uint32_t f = 0; f < call->frames; f++)
            make_frame(rig, &rig->options.input[s], s, true, (uint64_t)call->device_time + f,
                       ring_frame(rig, &rig->config.inputs[s], call->sample_time + f));
}

static void
spoil_input(struct rig *rig)
{
    for (uint32_t s = 0; s < rig->options.inputs; s++)
        memset(rig->config.inputs[s].ring, GARBAGE,
               (size_t)rig->options.ring_frames * rig->config.inputs[s].bytes_per_frame);
}

/* The frames beside the span are still the garbage that was left there. */
static void
check_beside(struct rig *rig, uint32_t index, const struct rig_call *call)
{
    const struct dx_engine_stream *const stream = &rig->config.outputs[index];
    const uint32_t bytes = stream->bytes_per_frame;
    if (call->frames + 2 > rig->options.ring_frames)
        return;
    const uint64_t ring_frames = rig->options.ring_frames;
    if (!is_all(ring_frame(rig, stream, call->sample_time + ring_frames - 1), bytes, GARBAGE) ||
        !is_all(ring_frame(rig, stream, call->sample_time + call->frames), bytes, GARBAGE))
        rig_fail(rig, "output %u: written beside the span at %llu", index, (unsigned long long)call->sample_time);
}

static void
check_output(struct rig *rig, const struct rig_call *call)
{
    const uint64_t start = rig_load(&rig->player_start);
    for (uint32_t s = 0; s < rig->options.outputs; s++) {
        const struct dx_engine_stream *const stream = &rig->config.outputs[s];
        const struct rig_stream *const kind = &rig->options.output[s];
        for (uint32_t f = 0; f < call->frames; f++) {
            const uint64_t time = (uint64_t)call->device_time + f;
            uint8_t expected[64 * 8] = {0};
            uint8_t *const played = ring_frame(rig, stream, call->sample_time + f);
            if (kind->is_inactive)
                memset(expected, GARBAGE, sizeof expected);
            else if (start && time >= start && !rig->options.has_no_player)
                make_frame(rig, kind, s, false, time, expected);
            if ((!rig->options.has_no_player || kind->is_inactive) &&
                memcmp(played, expected, stream->bytes_per_frame) != 0)
                rig_fail(rig, "output %u: wrong frame at device time %llu, %u of %u", s, (unsigned long long)time,
                         f, call->frames);
            for (uint32_t b = 0; b < stream->bytes_per_frame; b++)
                rig->hash = (rig->hash ^ played[b]) * 0x100000001B3u;
        }
        check_beside(rig, s, call);
    }
}

static void
spoil_output(struct rig *rig, const struct rig_call *call)
{
    for (uint32_t s = 0; s < rig->options.outputs; s++)
        for (uint32_t f = 0; f < call->frames; f++)
            memset(ring_frame(rig, &rig->config.outputs[s], call->sample_time + f), GARBAGE,
                   rig->config.outputs[s].bytes_per_frame);
}

static void
check_call(struct rig *rig, const struct rig_call *call, uint64_t *next, uint64_t *gaps)
{
    if (!call->frames || call->frames > rig->options.ring_frames)
        rig_fail(rig, "%u frames", call->frames);
    if (call->sample_time > (uint64_t)1 << 53)
        rig_fail(rig, "sample time %llu", (unsigned long long)call->sample_time);
    if (*next && (uint64_t)call->device_time < *next)
        rig_fail(rig, "device time %lld again; %llu was next", (long long)call->device_time,
                 (unsigned long long)*next);
    if (*next && (uint64_t)call->device_time > *next)
        *gaps += (uint64_t)call->device_time - *next;
    *next = (uint64_t)call->device_time + call->frames;
}

static kern_return_t
handle(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
       uint64_t host_time, void *context) DX_REALTIME
{
    struct rig *const rig = context;
    DX_REALTIME_TRUSTED_BEGIN("the test's own, not in the product")
    struct rig_call *const call = &rig->calls[rig->call_count % RIG_CALLS];
    rig->call_count++;
    *call = (struct rig_call){operation, frames, sample_time, host_time, rig_now(rig),
                              (int64_t)sample_time + rig->engine->timeline.offset};
    if (device != DEVICE_ID)
        rig_fail(rig, "device %u", device);
    const uint64_t words[] = {operation, frames, sample_time, host_time, call->now_ns};
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        rig->hash = (rig->hash ^ words[i]) * 0x100000001B3u;
    if (operation == IOUserAudioIOOperationBeginRead) {
        check_call(rig, call, &rig->input_next, &rig->input_gaps);
        place_input(rig, call);
    } else {
        check_call(rig, call, &rig->output_next, &rig->output_gaps);
        check_output(rig, call);
    }
    if (rig->on_call)
        rig->on_call(rig, call);
    if (operation == IOUserAudioIOOperationWriteEnd) {
        spoil_output(rig, call);
        spoil_input(rig);
    }
    DX_REALTIME_TRUSTED_END
    return rig->answer;
}

/* ---- the driver ---- */

static void
post_stamps(void *argument)
{
    struct rig *const rig = argument;
    while (!atomic_load_explicit(&rig->is_stopping, memory_order_relaxed)) {
        const uint64_t frame = rig->next_stamp * rig->options.ring_frames;
        uint64_t when = rig->origin_ns + (uint64_t)(rig->true_ns * (double)frame + 0.5);
        if (rig->options.jitter_ns)
            when += dx_clock_random(rig->clock) % rig->options.jitter_ns;
        /* In steps: the origin may move, and the end may come, meanwhile. */
        if (when > rig_now(rig) + 5 * MS) {
            rig_sleep_ms(rig, 5);
            continue;
        }
        dx_clock_sleep_until(rig->clock, when);
        rig->next_stamp++;
        if (atomic_load_explicit(&rig->is_posting, memory_order_relaxed))
            dx_device_io_post(&rig->io, frame, when);
    }
}

void
rig_move_driver(struct rig *rig, uint64_t frame)
{
    const uint64_t ring = rig->options.ring_frames;
    rig->origin_ns = rig_now(rig) - (uint64_t)(rig->true_ns * (double)frame);
    rig->next_stamp = (frame + ring - 1) / ring;
}

/* ---- clients ---- */

static void
fill_lane(struct rig *rig, uint32_t index, uint64_t from, uint64_t until, struct dx_lane_state *state)
{
    const struct rig_stream *const stream = &rig->options.output[index];
    const uint32_t bytes = rig->lanes[index].bytes_per_frame;
    uint8_t block[64 * 512];
    state->flags = DX_LANE_RUNNING;
    if (state->end < from) {
        state->begin = from;
        state->end = from;
    }
    while (state->end < until) {
        uint32_t n = 0;
        for (; n < sizeof block / bytes && state->end + n < until; n++) {
            const uint64_t time = state->end + n;
            if (stream->is_non_mixable) {
                make_frame(rig, stream, index, false, time, block + (size_t)n * bytes);
                continue;
            }
            float *const samples = (float *)(void *)(block + (size_t)n * bytes);
            for (uint32_t c = 0; c < stream->channels; c++)
                samples[c] = rig_sample(time, index, c, false);
        }
        dx_lane_append(&rig->lanes[index], state, block, n);
    }
}

/* Keeps two rings of frames ahead of the position, whatever the cycle does. */
static void
play(void *argument)
{
    struct rig *const rig = argument;
    while (!atomic_load_explicit(&rig->is_stopping, memory_order_relaxed)) {
        if (rig_page(rig).state != DX_TIMELINE_NONE) {
            const uint64_t position = (uint64_t)rig_position(rig);
            if (rig->player_end <= position) {
                rig->player_end = position + 1;
                atomic_store_explicit(&rig->player_start, position + 1, memory_order_relaxed);
            }
            const uint64_t until = position + 3u * rig->options.ring_frames;
            for (uint32_t s = 0; s < rig->options.outputs; s++)
                fill_lane(rig, s, rig->player_end, until, &rig->lane_states[s]);
            rig->player_end = until > rig->player_end ? until : rig->player_end;
        }
        rig_sleep_ms(rig, 1);
    }
}

/* Compares what came since the last look. */
static void
check_recorded(struct rig *rig, uint32_t index, struct dx_lane_state *known, uint64_t *next)
{
    const struct rig_stream *const stream = &rig->options.input[index];
    const struct dx_lane *const lane = &rig->input_lanes[index];
    struct dx_lane_state state;
    if (!dx_lane_read_state(lane, &state) || !(state.flags & DX_LANE_RUNNING))
        return;
    if (!*next)
        *next = state.begin;
    uint8_t bytes[64 * 512];
    while (*next < state.end) {
        const uint64_t left = state.end - *next, room = sizeof bytes / lane->bytes_per_frame;
        const uint32_t n = (uint32_t)(left < room ? left : room);
        const struct dx_span span = dx_lane_copy(lane, known, *next, n, bytes);
        for (uint32_t f = 0; f < n; f++) {
            uint8_t expected[64 * 8];
            make_frame(rig, stream, index, true, *next + f, expected);
            uint8_t *const frame = bytes + (size_t)f * lane->bytes_per_frame;
            if (f < span.first || f >= span.last || is_all(frame, lane->bytes_per_frame, 0)) {
                rig->recorded_silent++;
                continue;
            }
            uint8_t physical[64 * 8];
            if (stream->is_non_mixable)
                memcpy(physical, frame, lane->bytes_per_frame);
            else // back into the physical format, which loses nothing that came from it
                rig->config.kernels->from_float[stream->format](physical, (float *)(void *)frame,
                                                                stream->channels);
            if (memcmp(physical, expected, stream_bytes(stream)) != 0)
                rig_fail(rig, "input %u: wrong frame at device time %llu", index,
                         (unsigned long long)*next + f);
            else
                rig->recorded++;
        }
        *next += n;
    }
    rig->recorder_next = *next;
}

static void
record(void *argument)
{
    struct rig *const rig = argument;
    struct dx_lane_state known[RIG_STREAMS];
    uint64_t next[RIG_STREAMS] = {0};
    memset(known, 0, sizeof known);
    for (bool last = false; !last;) {
        last = atomic_load_explicit(&rig->is_stopping, memory_order_relaxed);
        for (uint32_t s = 0; s < rig->options.inputs; s++)
            check_recorded(rig, s, &known[s], &next[s]);
        if (!last)
            rig_sleep_ms(rig, 1);
    }
}

/* ---- setting up ---- */

static void
apply_defaults(struct rig_options *options)
{
    if (options->rate_hz == 0.0)
        options->rate_hz = 48000.0;
    if (!options->ring_frames)
        options->ring_frames = 4096;
    if (!options->io_frames)
        options->io_frames = 256;
    if (!options->algorithm)
        options->algorithm = IOUserAudioClockAlgorithmSimpleIIR;
    if (!options->start_timeout_ns)
        options->start_timeout_ns = 5000000000u;
    options->inputs = !options->inputs ? 1 : options->inputs == RIG_NO_STREAMS ? 0 : options->inputs;
    options->outputs = !options->outputs ? 1 : options->outputs == RIG_NO_STREAMS ? 0 : options->outputs;
    for (uint32_t i = 0; i < RIG_STREAMS; i++) {
        if (!options->input[i].channels)
            options->input[i] = (struct rig_stream){.channels = 2, .format = DX_SAMPLE_F32_LE};
        if (!options->output[i].channels)
            options->output[i] = (struct rig_stream){.channels = 2, .format = DX_SAMPLE_F32_LE};
    }
}

static struct dx_engine_stream
describe(const struct rig *rig, const struct rig_stream *stream)
{
    const size_t bytes = (size_t)rig->options.ring_frames * stream_bytes(stream);
    uint8_t *const ring = malloc(bytes);
    cr_assert(ring != NULL);
    memset(ring, GARBAGE, bytes);
    static const _Atomic uint32_t inactive = 0;
    return (struct dx_engine_stream){
        .ring = ring,
        .bytes_per_frame = stream_bytes(stream),
        .channels = stream->channels,
        .activity = stream->is_inactive ? &inactive : NULL,
        .is_mixable = !stream->is_non_mixable,
        .to_float = rig->config.kernels->to_float[stream->format],
        .from_float = rig->config.kernels->from_float[stream->format],
        .chunk_frames = dx_engine_chunk_frames(stream->channels),
    };
}

static uint32_t
client_bytes(const struct rig_stream *stream)
{
    return stream->is_non_mixable ? stream_bytes(stream) : stream->channels * (uint32_t)sizeof(float);
}

static void
set_up(struct rig *rig, const struct rig_options *options)
{
    rig->options = *options;
    apply_defaults(&rig->options);
    options = &rig->options;
    dx_device_io_init(&rig->io);
    rig->hash = 0xCBF29CE484222325u;
    rig->true_ns = 1e9 / options->rate_hz / (1.0 + options->ppm * 1e-6);
    rig->config = (struct dx_engine_config){
        .name = "io",
        .device_id = DEVICE_ID,
        .io = &rig->io,
        .timeline = {.rate_hz = options->rate_hz,
                     .period_frames = options->ring_frames,
                     .algorithm = options->algorithm},
        .ring_frames = options->ring_frames,
        .input_safety = options->input_safety,
        .output_safety = options->output_safety,
        .late_tolerance = options->late_tolerance,
        .input_count = options->inputs,
        .output_count = options->outputs,
        .page = page_slots(rig),
        .counters = &rig->counters,
        .signal = &rig->signal,
        .kernels = dx_kernels_best(),
        .notices = &rig->notices,
        .start_timeout_ns = options->start_timeout_ns,
    };
    struct dx_engine_plan *const plan = &rig->plans[0];
    plan->io_frames = options->io_frames;
    plan->inputs_in_use = options->inputs ? UINT32_MAX : 0;
    plan->outputs_in_use = options->outputs ? UINT32_MAX : 0;
    for (uint32_t i = 0; i < options->inputs; i++) {
        rig->config.inputs[i] = describe(rig, &options->input[i]);
        cr_assert(eq(int, dx_lane_create(&rig->input_lanes[i], "input", 4 * options->ring_frames,
                                         client_bytes(&options->input[i])), 0));
        rig->config.inputs[i].input_lane = &rig->input_lanes[i];
        rig->config.inputs[i].input_state = &rig->input_states[i];
    }
    for (uint32_t i = 0; i < options->outputs; i++) {
        rig->config.outputs[i] = describe(rig, &options->output[i]);
        if (options->has_no_player)
            continue;
        cr_assert(eq(int, dx_lane_create(&rig->lanes[i], "player", 8 * options->ring_frames,
                                         client_bytes(&options->output[i])), 0));
        rig->sources[i] = (struct dx_engine_source){
            .output_stream = i, .input_stream = DX_NO_STREAM, .lane = &rig->lanes[i], .gain_bits = DX_GAIN_UNITY};
        plan->sources[plan->source_count++] = &rig->sources[i];
    }
    if (!options->has_no_handler)
        cr_assert(eq(int, dx_handler_box_set(&rig->io.handler, handle, rig), kIOReturnSuccess));
}

static void
tear_down(struct rig *rig)
{
    for (uint32_t i = 0; i < RIG_STREAMS; i++) {
        free(rig->config.inputs[i].ring);
        free(rig->config.outputs[i].ring);
        dx_lane_finish(&rig->input_lanes[i]);
        dx_lane_finish(&rig->lanes[i]);
    }
}

static void
spawn(struct rig *rig, const char *name, void (*function)(void *argument), struct dx_task **ret_task)
{
    const dx_task_config config = {.name = name};
    cr_assert(eq(int, dx_task_spawn(rig->clock, &config, function, rig, ret_task), kIOReturnSuccess));
}

void
rig_start(struct rig *rig)
{
    atomic_store_explicit(&rig->is_stopping, false, memory_order_relaxed);
    rig->config.clock = rig->clock;
    rig->config.timeline.start_count = rig->io.stamp_count;
    if (!rig->origin_ns)
        rig->origin_ns = rig_now(rig);
    atomic_store_explicit(&rig->is_posting, true, memory_order_relaxed);
    cr_assert(eq(int, dx_engine_start(&rig->config, &rig->plans[rig->plan], &rig->engine), 0));
    if (!rig->options.has_no_stamps)
        spawn(rig, "driver", post_stamps, &rig->driver);
    if (!rig->options.has_no_player)
        spawn(rig, "player", play, &rig->player);
    if (!rig->options.has_no_recorder && rig->options.inputs)
        spawn(rig, "recorder", record, &rig->recorder);
}

void
rig_stop(struct rig *rig)
{
    atomic_store_explicit(&rig->is_stopping, true, memory_order_relaxed);
    dx_engine_stop(rig->engine);
    rig->engine = NULL;
    dx_task_join(rig->driver);
    dx_task_join(rig->player);
    dx_task_join(rig->recorder);
    rig->driver = rig->player = rig->recorder = NULL;
}

struct dx_engine_plan *
rig_next_plan(struct rig *rig)
{
    struct dx_engine_plan *const next = &rig->plans[!rig->plan];
    *next = rig->plans[rig->plan];
    return next;
}

void
rig_set_plan(struct rig *rig)
{
    rig->plan = !rig->plan;
    dx_engine_set_plan(rig->engine, &rig->plans[rig->plan]);
    /* The one before is free at once. */
    memset(&rig->plans[!rig->plan], 0xFF, sizeof rig->plans[0]);
}

void
rig_set_io_frames(struct rig *rig, uint32_t io_frames)
{
    rig_next_plan(rig)->io_frames = io_frames;
    rig_set_plan(rig);
}

static void
run_scenario(void *argument)
{
    struct rig *const rig = argument;
    rig->clock = dx_clock_current();
    rig->scenario(rig);
    if (rig->engine)
        rig_stop(rig);
}

void
rig_run(struct rig *rig, const struct rig_options *options, uint64_t seed, void (*scenario)(struct rig *rig),
        dx_simulation_result *ret_result)
{
    static const struct rig_options plain = {0};
    void *const context = rig->context;
    memset(rig, 0, sizeof *rig);
    rig->context = context;
    rig->scenario = scenario;
    set_up(rig, options ? options : &plain);
    const dx_simulation_config config = {.seed = seed, .start_time_ns = rig->options.clock_start_ns, .limit_ns = 7200000000000u};
    dx_simulation_result result;
    const kern_return_t status = dx_simulate(&config, run_scenario, rig, &result);
    cr_assert(eq(int, status, kIOReturnSuccess), "%s", result.message);
    cr_assert(result.repeatable);
    tear_down(rig);
    cr_assert(eq(u32, rig->errors, 0), "%s", rig->error);
    if (ret_result)
        *ret_result = result;
}

void
rig_simulate(const struct rig_options *options, uint64_t seed, void (*scenario)(struct rig *rig))
{
    struct rig *const rig = calloc(1, sizeof *rig);
    cr_assert(rig != NULL);
    rig_run(rig, options, seed, scenario, NULL);
    free(rig);
}
