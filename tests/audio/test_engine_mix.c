// SPDX-License-Identifier: MIT
// What reaches the output ring from several lanes, and what synchronous clients are given.

#include "tests/audio/counted_lane.h"
#include "tests/audio/engine_rig.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Device times from FIRST on are in the lanes of a test before IO starts; the first cycle is after it. */
enum { RING = 4096, LENGTH = 8192, SOURCES = 512 };

static struct dx_lane lanes[SOURCES];
static struct dx_lane_state states[SOURCES];
static struct dx_engine_source sources[SOURCES];

static void
add_lane(struct rig *rig, uint32_t index, uint32_t stream, uint32_t bytes_per_frame, const void *data,
         uint64_t from, uint32_t frames)
{
    cr_assert(eq(int, dx_lane_create(&lanes[index], "lane", LENGTH, bytes_per_frame), 0));
    states[index] = (struct dx_lane_state){.flags = DX_LANE_RUNNING, .base = from};
    dx_lane_append(&lanes[index], &states[index], data, frames);
    sources[index] =
        (struct dx_engine_source){.output_stream = stream, .input_stream = DX_NO_STREAM, .lane = &lanes[index],
                                  .gain_bits = DX_GAIN_UNITY};
    rig->plans[0].sources[rig->plans[0].source_count++] = &sources[index];
}

static void
finish_lanes(const struct rig *rig)
{
    for (uint32_t i = 0; i < rig->plans[0].source_count; i++)
        dx_lane_finish(&lanes[i]);
}

/* What was played, by device time. */
static uint8_t played[4][LENGTH * 64];
static bool was_played[LENGTH];

static void
keep_played(struct rig *rig, const struct rig_call *call)
{
    if (call->operation != IOUserAudioIOOperationWriteEnd)
        return;
    for (uint32_t s = 0; s < rig->options.outputs; s++) {
        const struct dx_engine_stream *const stream = &rig->config.outputs[s];
        for (uint32_t f = 0; f < call->frames; f++) {
            const uint64_t time = (uint64_t)call->device_time + f;
            if (time >= LENGTH)
                continue;
            was_played[time] = true;
            memcpy(played[s] + time * stream->bytes_per_frame,
                   stream->ring + (call->sample_time + f) % RING * stream->bytes_per_frame,
                   stream->bytes_per_frame);
        }
    }
}

static void
run_for_length(struct rig *rig)
{
    rig->on_call = keep_played;
    rig_start(rig);
    rig_sleep_ms(rig, LENGTH / 48.0);
    rig_stop(rig);
}

static const struct rig_options alone = {.has_no_player = true, .has_no_recorder = true,
                                         .output = {{1, DX_SAMPLE_F32_LE, false, false}}};

static uint32_t
bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float
float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- one lane ---- */

static float single[LENGTH];

static void
pass_every_kind(struct rig *rig)
{
    uint32_t limited = 0;
    for (uint32_t i = 0; i < LENGTH; i++) {
        static const uint32_t odd[] = {0x80000000u, 1u, 0x80000001u, 0x007FFFFFu, 0x00800000u, 0x41800000u,
                                       0xC1800000u, 0x3F800000u, 0x3F800001u};
        static const uint32_t bad[] = {0x7FC00000u, 0x7F800000u, 0xFF800000u, 0x41800001u, 0xFF7FFFFFu, 0x7F800001u};
        const bool is_bad = i % 64 == 63;
        single[i] = is_bad        ? float_of(bad[i / 64 % 6])
                    : i % 3 == 0 ? float_of(odd[i / 3 % 9])
                                 : rig_sample(i, 0, 0, false) * 16.0f;
    }
    add_lane(rig, 0, 0, sizeof(float), single, 0, LENGTH);
    run_for_length(rig);
    uint32_t frames = 0;
    for (uint32_t i = 0; i < LENGTH; i++) {
        if (!was_played[i])
            continue;
        frames++;
        const float value = single[i];
        const float expected = !isfinite(value)      ? 0.0f
                               : fabsf(value) > 16.0f ? copysignf(16.0f, value)
                                                      : value;
        limited += i % 64 == 63;
        const uint32_t got = bits_of(((const float *)(const void *)played[0])[i]);
        cr_assert(got == bits_of(expected), "frame %u: %08x, must be %08x", i, got, bits_of(expected));
    }
    cr_assert(frames > LENGTH / 2);
    /* Counted against the lane; what lies beyond what was kept counts too. */
    cr_assert(rig_load(&sources[0].limited_samples) >= limited);
    cr_assert(eq(u64, rig_load(&rig->counters.limited_samples), rig_load(&sources[0].limited_samples)));
    finish_lanes(rig);
}

Test(engine_mix, every_finite_value_up_to_16_passes_one_lane_unchanged_and_others_are_limited_and_counted) {
    rig_simulate(&alone, 1, pass_every_kind);
}

/* ---- many ---- */

/* Sources of which only one order of additions gives this sum. */
static float
value_of(uint32_t source, uint32_t time)
{
    const float value = rig_sample(time, 1, source % 8, false) + (float)source * 1e-3f;
    return ldexpf(value, (int)((source * 7 + time) % 40) - 36);
}

static void
sum_many(struct rig *rig)
{
    static float data[LENGTH];
    for (uint32_t s = 0; s < SOURCES; s++) {
        for (uint32_t i = 0; i < LENGTH; i++)
            data[i] = value_of(s, i);
        add_lane(rig, s, 0, sizeof(float), data, 0, LENGTH);
    }
    run_for_length(rig);
    uint32_t frames = 0, differing = 0;
    for (uint32_t i = 0; i < LENGTH; i++) {
        if (!was_played[i])
            continue;
        frames++;
        float sum = value_of(0, i), reverse = value_of(SOURCES - 1, i);
        for (uint32_t s = 1; s < SOURCES; s++) {
            sum += value_of(s, i);
            reverse += value_of(SOURCES - 1 - s, i);
        }
        differing += bits_of(sum) != bits_of(reverse);
        const float got = ((const float *)(const void *)played[0])[i];
        cr_assert(bits_of(got) == bits_of(sum), "frame %u: %a, must be %a", i, (double)got, (double)sum);
    }
    cr_assert(frames > LENGTH / 2);
    cr_assert(differing > frames / 4, "or the order would not show");
    finish_lanes(rig);
}

Test(engine_mix, first_of_512_lanes_is_copied_and_the_others_are_added_in_order) {
    rig_simulate(&alone, 1, sum_many);
}

/* Lanes that hold parts only: what they lack is silence, and an underrun where it should have come. */
static void
sum_parts(struct rig *rig)
{
    static float data[LENGTH];
    for (uint32_t i = 0; i < LENGTH; i++)
        data[i] = 0.25f;
    add_lane(rig, 0, 0, sizeof(float), data, 3000, 500);
    for (uint32_t i = 0; i < LENGTH; i++)
        data[i] = -0.0f;
    add_lane(rig, 1, 0, sizeof(float), data, 3200, 1000);
    for (uint32_t i = 0; i < LENGTH; i++)
        data[i] = 0.5f;
    add_lane(rig, 2, 0, sizeof(float), data, 3300, 2);
    states[2].flags |= DX_LANE_DRAINING; // nothing more will come: no underrun
    dx_lane_publish(&lanes[2], &states[2]);
    add_lane(rig, 3, 0, sizeof(float), data, 0, LENGTH);
    states[3].flags = 0; // stopped
    dx_lane_publish(&lanes[3], &states[3]);
    run_for_length(rig);
    for (uint32_t i = 2000; i < 6000; i++) {
        cr_assert(was_played[i]);
        const bool has[] = {i >= 3000 && i < 3500, i >= 3200 && i < 4200, i >= 3300 && i < 3302};
        const float expected = (has[0] ? 0.25f : 0.0f) + (has[1] ? -0.0f : 0.0f) + (has[2] ? 0.5f : 0.0f);
        const float got = ((const float *)(const void *)played[0])[i];
        cr_assert(got == expected, "frame %u: %g", i, (double)got);
    }
    const uint64_t end = rig->output_next;
    cr_assert(eq(u64, rig_load(&sources[0].frames), 500));
    cr_assert(eq(u64, rig_load(&sources[0].underrun_frames), end - 3500));
    cr_assert(eq(u64, rig_load(&sources[1].underrun_frames), end - 4200));
    cr_assert(eq(u64, rig_load(&sources[2].frames), 2));
    cr_assert(eq(u64, rig_load(&sources[2].underrun_frames), 0));
    cr_assert(eq(u64, rig_load(&sources[3].frames), 0));
    cr_assert(eq(u64, rig_load(&sources[3].underrun_frames), 0));
    finish_lanes(rig);
}

Test(engine_mix, what_lanes_lack_is_silence_and_counted_where_it_should_have_come) {
    rig_simulate(&alone, 1, sum_parts);
}

/* Placed again after a pause: frames before `begin` were heard long ago; what comes after `end` is missing. */
static void
go_on_after_a_pause(struct rig *rig)
{
    static float data[LENGTH];
    for (uint32_t i = 0; i < LENGTH; i++)
        data[i] = 0.25f;
    for (uint32_t i = 0; i < 2; i++) {
        add_lane(rig, i, 0, sizeof(float), data, 3000, 500);
        states[i].epoch++;
        states[i].begin = 101 + i; // in the middle of a cycle
        dx_lane_publish(&lanes[i], &states[i]);
    }
    run_for_length(rig);
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert(eq(u64, rig_load(&sources[i].frames), 500u - states[i].begin));
        cr_assert(eq(u64, rig_load(&sources[i].underrun_frames), rig->output_next - 3500));
    }
    finish_lanes(rig);
}

Test(engine_mix, what_was_heard_before_a_pause_is_not_missing_after_it) {
    rig_simulate(&alone, 1, go_on_after_a_pause);
}

/* ---- how far lanes are ahead ---- */

static struct dx_histogram ahead[4];
static struct dx_histogram expected_ahead;

/* The lane ends at LENGTH: what lies between there and the end of a cycle is what it was ahead. */
static void
expect_ahead(struct rig *rig, const struct rig_call *call)
{
    (void)rig;
    if (call->operation != IOUserAudioIOOperationWriteEnd)
        return;
    const uint64_t end = (uint64_t)call->device_time + call->frames;
    dx_histogram_record(&expected_ahead, end < LENGTH ? (LENGTH - end) * 1000000000u / 48000u : 0);
}

static void
measure_ahead(struct rig *rig)
{
    static float silence[LENGTH];
    for (uint32_t i = 0; i < 4; i++) {
        add_lane(rig, i, 0, sizeof(float), silence, i == 1 ? 4u * LENGTH : 0, LENGTH); // 1: not for now
        sources[i].ahead = i == 3 ? NULL : &ahead[i];
    }
    states[2].flags |= DX_LANE_DRAINING; // it has nothing to hurry for
    dx_lane_publish(&lanes[2], &states[2]);
    rig->on_call = expect_ahead;
    rig_start(rig);
    rig_sleep_ms(rig, 2.0 * LENGTH / 48.0);
    rig_stop(rig);

    cr_assert(gt(u64, dx_histogram_count(&ahead[0]), 60)); // cycles; in the second half nothing is there any more
    cr_assert(eq(u64, dx_histogram_count(&ahead[0]), dx_histogram_count(&expected_ahead)));
    cr_assert(eq(u64, dx_histogram_min_ns(&ahead[0]), 0));
    static const double quantiles[] = {0.01, 0.5, 0.6, 0.9, 1.0};
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        const double found = (double)dx_histogram_quantile_ns(&ahead[0], quantiles[i]);
        const double expected = (double)dx_histogram_quantile_ns(&expected_ahead, quantiles[i]);
        cr_assert(le(dbl, fabs(found - expected), expected / 30.0 + 1.0), "quantile %g", quantiles[i]);
    }
    cr_assert(gt(u64, dx_histogram_max_ns(&ahead[0]), 100000000u));
    cr_assert(eq(u64, dx_histogram_count(&ahead[1]), 0));
    cr_assert(eq(u64, dx_histogram_count(&ahead[2]), 0));
    finish_lanes(rig);
}

Test(engine_mix, how_far_a_lane_is_ahead_is_told_for_each_cycle_while_it_plays) {
    rig_simulate(&alone, 1, measure_ahead);
}

/* ---- a lane that is written by somebody mad ---- */

static _Atomic bool is_mad;

static void
be_mad(void *argument)
{
    struct rig *const rig = argument;
    struct dx_lane_head *const head = lanes[0].pages.address;
    while (atomic_load_explicit(&is_mad, memory_order_relaxed)) {
        for (unsigned i = 0; i < sizeof head->words / 4; i++)
            atomic_store_explicit(&head->words[i],
                                  (uint32_t)(dx_clock_random(rig->clock) >> (dx_clock_random(rig->clock) % 64)),
                                  memory_order_relaxed);
        for (unsigned i = 0; i < 64; i++)
            lanes[0].data[dx_clock_random(rig->clock) % (LENGTH * 4)] = (uint8_t)dx_clock_random(rig->clock);
        if (dx_clock_random(rig->clock) % 2) { // a state that can be true, in places
            const uint64_t at = dx_clock_random(rig->clock) % LENGTH;
            const struct dx_lane_state state = {.flags = DX_LANE_RUNNING, .base = at, .end = LENGTH - at};
            dx_lane_publish(&lanes[0], &state);
        }
        rig_sleep_ms(rig, 0.7);
    }
}

/* Streams 0 and 1 are equal but for the mad lane on 0. */
static void
mix_with_mad(struct rig *rig)
{
    static float data[LENGTH];
    for (uint32_t i = 0; i < LENGTH; i++)
        data[i] = 0.0f;
    add_lane(rig, 0, 0, sizeof(float), data, 0, LENGTH);
    for (uint32_t i = 0; i < LENGTH; i++)
        data[i] = rig_sample(i, 0, 0, false);
    add_lane(rig, 1, 1, sizeof(float), data, 0, LENGTH);
    struct dx_task *task;
    atomic_store_explicit(&is_mad, true, memory_order_relaxed);
    cr_assert(eq(int, dx_task_spawn(rig->clock, NULL, be_mad, rig, &task), kIOReturnSuccess));
    run_for_length(rig);
    atomic_store_explicit(&is_mad, false, memory_order_relaxed);
    dx_task_join(task);
    for (uint32_t i = 0; i < LENGTH; i++) {
        const float got = ((const float *)(const void *)played[1])[i];
        const bool is_right = !was_played[i] || bits_of(got) == bits_of(data[i]);
        cr_assert(is_right, "frame %u", i);
        const float mad = ((const float *)(const void *)played[0])[i];
        cr_assert(fabsf(mad) <= 16.0f, "frame %u: %g", i, (double)mad); // and no NaN
    }
    cr_assert(eq(u64, rig_load(&rig->counters.overloads), 0));
    finish_lanes(rig);
}

Test(engine_mix, random_words_in_a_lane_harm_nobody_else) {
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct rig_options options = alone;
        options.outputs = 2;
        options.output[1] = options.output[0];
        rig_simulate(&options, seed, mix_with_mad);
    }
}

/* The lanes of a stream are 1, the one that stops, and 2: played minus the one that stops is always 1 + 2. */
static unsigned dying_stores;
static bool dying_done;

static void
mix_with_dying(struct rig *rig)
{
    static float data[LENGTH];
    for (uint32_t i = 0; i < LENGTH; i++)
        data[i] = ldexpf(rig_sample(i, 0, 0, false), -1);
    add_lane(rig, 0, 0, sizeof(float), data, 0, LENGTH);
    for (uint32_t i = 0; i < LENGTH; i++)
        data[i] = 8.0f;
    add_lane(rig, 1, 0, sizeof(float), data, 0, LENGTH);
    for (uint32_t i = 0; i < LENGTH; i++)
        data[i] = ldexpf(rig_sample(i, 0, 1, false), -1);
    add_lane(rig, 2, 0, sizeof(float), data, 0, LENGTH);
    /* Half of lane 1 is overwritten, up to the last store. */
    float more[16];
    for (uint32_t i = 0; i < 16; i++)
        more[i] = 8.0f;
    states[1].base = 4096; // at device time 4096 its oldest frames are due
    dx_lane_publish(&lanes[1], &states[1]);
    dying_done = counted_append_until(&lanes[1], &states[1], more, 16, dying_stores);
    run_for_length(rig);
    for (uint32_t i = 1000; i < LENGTH; i++) {
        if (!was_played[i])
            continue;
        const float two = ldexpf(rig_sample(i, 0, 0, false), -1) + ldexpf(rig_sample(i, 0, 1, false), -1);
        const float three = ldexpf(rig_sample(i, 0, 0, false), -1) + 8.0f + ldexpf(rig_sample(i, 0, 1, false), -1);
        const float got = ((const float *)(const void *)played[0])[i];
        const bool may_be_silent = i < 4096 + 16, may_be_there = i >= 4096;
        const bool is_right = (may_be_silent && got == two) || (may_be_there && got == three);
        cr_assert(is_right, "frame %u after %u stores: %g", i, dying_stores, (double)got);
    }
    finish_lanes(rig);
}

Test(engine_mix, others_are_exact_when_a_lane_stops_after_any_store) {
    dying_done = false;
    for (dying_stores = 0; !dying_done; dying_stores++)
        rig_simulate(&alone, dying_stores, mix_with_dying);
    cr_assert(eq(u32, dying_stores - 1, 2 * (8 + 3) + 16));
}

/* ---- bits that are passed through ---- */

static void
pass_bits(struct rig *rig)
{
    static uint8_t data[LENGTH * 15];
    for (uint32_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(int)(rig_sample(i, 0, 0, false) * 128.0f);
    add_lane(rig, 0, 0, 15, data, 2500, 2000);
    run_for_length(rig);
    static const uint8_t zeroes[15];
    for (uint32_t i = 1500; i < 7000; i++) {
        const uint8_t *const expected = i >= 2500 && i < 4500 ? data + (size_t)(i - 2500) * 15 : zeroes;
        cr_assert(was_played[i] && memcmp(played[0] + (size_t)i * 15, expected, 15) == 0, "frame %u", i);
    }
    cr_assert(eq(u64, rig_load(&sources[0].limited_samples), 0));
    finish_lanes(rig);
}

Test(engine_mix, non_mixable_stream_passes_bits_and_zero_bytes_are_its_silence) {
    const struct rig_options options = {.has_no_player = true, .has_no_recorder = true,
                                        .output = {{5, DX_SAMPLE_S24_3BE, true, false}}};
    rig_simulate(&options, 1, pass_bits);
}

/* ---- chunks ---- */

static void
run_wide(struct rig *rig)
{
    rig_start(rig);
    rig_sleep_ms(rig, 400);
    rig_stop(rig);
    cr_assert(eq(u64, rig->output_gaps, 0));
    cr_assert(eq(u64, rig->recorded_silent, 0));
    cr_assert(rig->recorded > 4000);
}

/* 64 channels: 32 frames at a time, in cycles of 1000. */
Test(engine_mix, cycles_longer_than_a_chunk_are_moved_in_pieces) {
    cr_assert(eq(u32, dx_engine_chunk_frames(64), 32));
    cr_assert(eq(u32, dx_engine_chunk_frames(100000), 1));
    const struct rig_options options = {.io_frames = 1000,
                                        .input = {{64, DX_SAMPLE_S32_BE, false, false}},
                                        .output = {{64, DX_SAMPLE_S16_BE, false, false}}};
    rig_simulate(&options, 1, run_wide);
}

/* ---- plug-ins ---- */

static kern_return_t
negate_interleaved(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames,
                   uint64_t sample_time, uint64_t host_time, void *context) DX_REALTIME
{
    const struct dx_engine_dsp *const dsp = context;
    (void)device;
    (void)operation;
    (void)sample_time;
    (void)host_time;
    for (uint32_t i = 0; i < frames * dsp->view.channels; i++)
        dsp->view.interleaved[i] = -dsp->view.interleaved[i];
    return kIOReturnSuccess;
}

static kern_return_t
negate_planar_and_fail(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames,
                       uint64_t sample_time, uint64_t host_time, void *context) DX_REALTIME
{
    const struct dx_engine_dsp *const dsp = context;
    (void)device;
    (void)operation;
    (void)sample_time;
    (void)host_time;
    for (uint32_t c = 0; c < dsp->view.channels; c++)
        for (uint32_t f = 0; f < frames; f++)
            dsp->view.planar[c][f] = -dsp->view.planar[c][f];
    return kIOReturnError; // counted, and the chain goes on
}

/* Negated twice it is as before, if each sees what the other left. */
static void
run_plugins(struct rig *rig)
{
    static const dx_dsp_plugin plugins[2] = {{.process = negate_interleaved}, {.process = negate_planar_and_fail}};
    static float data[2][2][4096];
    static float *planes[2][2] = {{data[0][0], data[0][1]}, {data[1][0], data[1][1]}};
    static struct dx_engine_dsp dsp[4];
    for (unsigned i = 0; i < 4; i++) {
        dsp[i] = (struct dx_engine_dsp){.plugin = &plugins[i % 2], .instance = &dsp[i], .view = {.channels = 2}};
        if (i % 2) {
            dsp[i].planar = planes[i / 2];
            dsp[i].planar_data = data[i / 2][0];
            dsp[i].view.planar = planes[i / 2];
        }
    }
    struct dx_engine_plan *const plan = &rig->plans[0];
    plan->input_dsp[0][0] = &dsp[0];
    plan->input_dsp[0][1] = &dsp[1];
    plan->output_dsp[0][0] = &dsp[3];
    plan->output_dsp[0][1] = &dsp[2];
    run_wide(rig);
    cr_assert(rig_load(&rig->counters.handler_errors) >= 2 * rig_load(&rig->counters.cycles));
}

Test(engine_mix, plugins_work_in_order_on_one_buffer_interleaved_or_planar) {
    rig_simulate(NULL, 1, run_plugins);
}

/* ---- synchronous clients ---- */

struct synchronous {
    struct rig *rig;
    uint32_t calls;
    uint64_t input_next, output_next;
    uint64_t distance;
    uint32_t silent;
    bool skips;
};

static void
take_part(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct synchronous *const own = context;
    struct rig *const rig = own->rig;
    DX_REALTIME_TRUSTED_BEGIN("the test's own, not in the product")
    own->calls++;
    if (cycle->size != sizeof *cycle || cycle->sample_rate_hz != 48000.0)
        rig_fail(rig, "an odd cycle");
    if (!cycle->frames || cycle->frames > 4096)
        rig_fail(rig, "%u frames", cycle->frames);
    if (input) {
        if (own->input_next && cycle->input_time != own->input_next && !own->skips)
            rig_fail(rig, "input %llu, not %llu", (unsigned long long)cycle->input_time,
                     (unsigned long long)own->input_next);
        own->input_next = cycle->input_time + cycle->frames;
        for (uint32_t f = 0; f < cycle->frames; f++)
            for (uint32_t c = 0; c < 2; c++) {
                const float got = ((const float *)input)[2 * f + c];
                if (got == 0.0f)
                    own->silent++;
                else if (got != rig_sample(cycle->input_time + f, 0, c, true))
                    rig_fail(rig, "wrong input at %llu", (unsigned long long)cycle->input_time + f);
            }
    }
    if (output) {
        if (own->output_next && cycle->output_time != own->output_next && !own->skips)
            rig_fail(rig, "output %llu, not %llu", (unsigned long long)cycle->output_time,
                     (unsigned long long)own->output_next);
        own->output_next = cycle->output_time + cycle->frames;
        for (uint32_t i = 0; i < cycle->frames * 2; i++)
            if (((const float *)output)[i] != 0.0f)
                rig_fail(rig, "the output was not zeroed");
        for (uint32_t f = 0; f < cycle->frames; f++)
            for (uint32_t c = 0; c < 2; c++)
                ((float *)output)[2 * f + c] = rig_sample(cycle->output_time + f, 0, c, false);
        if (input)
            own->distance = cycle->output_time - cycle->input_time;
    }
    DX_REALTIME_TRUSTED_END
}

static struct synchronous own[3];
static float synchronous_input[3][8192];

static void
add_synchronous(struct rig *rig, uint32_t index, bool plays, bool records)
{
    own[index] = (struct synchronous){.rig = rig};
    sources[index] = (struct dx_engine_source){
        .output_stream = plays ? 0 : DX_NO_STREAM,
        .input_stream = records ? 0 : DX_NO_STREAM,
        .callback = take_part,
        .context = &own[index],
        .input_buffer = records ? synchronous_input[index] : NULL,
        .gain_bits = DX_GAIN_UNITY,
    };
    rig->plans[0].sources[rig->plans[0].source_count++] = &sources[index];
}

/* The rig compares what is played with rig_sample() where it has a player; here the client is one. */
static void
check_played(struct rig *rig, const struct rig_call *call)
{
    if (call->operation != IOUserAudioIOOperationWriteEnd)
        return;
    const float *const ring = (const float *)(const void *)rig->config.outputs[0].ring;
    for (uint32_t f = 0; f < call->frames; f++)
        if (ring[(call->sample_time + f) % RING * 2] !=
            rig_sample((uint64_t)call->device_time + f, 0, 0, false))
            rig_fail(rig, "wrong frame played at %lld", (long long)call->device_time + f);
}

static void
run_synchronous_clients(struct rig *rig)
{
    add_synchronous(rig, 0, true, true);
    add_synchronous(rig, 1, false, true);
    rig->on_call = check_played;
    rig_start(rig);
    rig_sleep_ms(rig, 1000);
    rig_stop(rig);
    cr_assert(own[0].calls > 100 && own[1].calls > 100);
    cr_assert(eq(u64, own[0].output_next, rig->output_next));
    cr_assert(eq(u64, own[1].input_next, rig->input_next));
    /* T + N + So and T - N - Si: the input of this cycle. */
    cr_assert(eq(u64, own[0].distance, 2 * 256 + 30 + 70));
    cr_assert(own[0].silent == 0 && own[1].silent == 0);
    cr_assert(eq(u64, rig_load(&sources[0].output_time), rig->output_next));
    cr_assert(eq(u64, rig_load(&sources[0].frames), rig_load(&rig->counters.output_frames)));
}

Test(engine_mix, synchronous_clients_are_given_the_input_of_the_same_cycle) {
    const struct rig_options options = {.has_no_player = true, .input_safety = 30, .output_safety = 70};
    rig_simulate(&options, 1, run_synchronous_clients);
}

static void
run_synchronous_with_changes(struct rig *rig)
{
    add_synchronous(rig, 0, true, true);
    add_synchronous(rig, 1, false, true);
    own[0].skips = true; // its distance to the input grows with N
    rig->on_call = check_played;
    rig_start(rig);
    for (unsigned i = 0; i < 60; i++) {
        rig_sleep_ms(rig, 20);
        rig_set_io_frames(rig, 1 + (uint32_t)(dx_clock_random(rig->clock) % 1300));
    }
    rig_stop(rig);
    cr_assert(eq(u64, rig->output_gaps, 0));
    cr_assert(eq(u64, own[1].silent, 0));
    cr_assert(eq(u64, own[0].output_next, rig->output_next));
    cr_assert(eq(u64, own[1].input_next, rig->input_next));
}

Test(engine_mix, synchronous_clients_miss_nothing_when_the_io_size_changes) {
    for (uint64_t seed = 1; seed <= 5; seed++) {
        const struct rig_options options = {.has_no_player = true};
        rig_simulate(&options, seed, run_synchronous_with_changes);
    }
}

/* Input that has no driver time for a cycle or two does not move a client further away for ever. */
static void
run_synchronous_over_a_restart(struct rig *rig)
{
    add_synchronous(rig, 0, true, true);
    rig->on_call = check_played;
    rig_start(rig);
    rig_sleep_ms(rig, 500);
    cr_assert(eq(u64, own[0].distance, 2 * 256 + 600));
    rig_move_driver(rig, 0);
    rig_sleep_ms(rig, 500);
    rig_stop(rig);
    cr_assert(rig->input_gaps > 0);
    cr_assert(eq(u64, own[0].distance, 2 * 256 + 600));
    cr_assert(eq(u64, own[0].silent, 2 * rig->input_gaps));
}

Test(engine_mix, synchronous_client_keeps_its_distance_over_a_restart_of_the_driver) {
    const struct rig_options options = {.has_no_player = true, .has_no_recorder = true, .input_safety = 600};
    rig_simulate(&options, 1, run_synchronous_over_a_restart);
}
