// SPDX-License-Identifier: MIT
// The gain of each client: exact, without a click, and nobody else's business.

#include "tests/audio/engine_rig.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 48000, CHANNELS = 4, LANES = 2 };

/* What the device was given, by device time: from its first frame on. */
static float played[FRAMES][CHANNELS];

static struct dx_lane lanes[LANES];
static struct dx_lane_state states[LANES];
static struct dx_engine_source sources[LANES];
static float pattern[FRAMES][CHANNELS];

static void
capture(struct rig *rig, const struct rig_call *call)
{
    if (call->operation != IOUserAudioIOOperationWriteEnd)
        return;
    const struct dx_engine_stream *const stream = &rig->config.outputs[0];
    for (uint32_t f = 0; f < call->frames && (uint64_t)call->device_time + f < FRAMES; f++)
        memcpy(played[call->device_time + f],
               stream->ring + (call->sample_time + f) % rig->options.ring_frames * stream->bytes_per_frame,
               stream->bytes_per_frame);
}

static uint32_t
bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void
set_gain(struct dx_engine_source *source, float gain)
{
    atomic_store_explicit(&source->gain_bits, bits_of(gain), memory_order_relaxed);
}

/* A lane that holds a whole second from device time 0 on. */
static void
add_lane(struct rig *rig, uint32_t index, float gain)
{
    cr_assert(eq(int, dx_lane_create(&lanes[index], "lane", FRAMES, CHANNELS * sizeof(float)), 0));
    states[index] = (struct dx_lane_state){.flags = DX_LANE_RUNNING};
    dx_lane_append(&lanes[index], &states[index], pattern, FRAMES);
    sources[index] = (struct dx_engine_source){
        .input_stream = DX_NO_STREAM, .lane = &lanes[index], .gain_bits = bits_of(gain)};
    rig->plans[0].sources[rig->plans[0].source_count++] = &sources[index];
    rig->on_call = capture;
}

static void
finish(struct rig *rig)
{
    rig_stop(rig);
    for (uint32_t i = 0; i < LANES; i++)
        dx_lane_finish(&lanes[i]);
}

static void
fill_pattern(float value)
{
    for (uint32_t f = 0; f < FRAMES; f++)
        for (uint32_t c = 0; c < CHANNELS; c++)
            pattern[f][c] = value != 0.0f ? value : rig_sample(f, 0, c, false);
}

/* Four channels: a chunk is 512 frames, so that a cycle of 700 has two. */
static const struct rig_options options = {.io_frames = 700,
                                           .inputs = RIG_NO_STREAMS,
                                           .output = {{.channels = CHANNELS, .format = DX_SAMPLE_F32_LE}},
                                           .has_no_player = true};

/* Where the first cycle wrote. */
static uint32_t
find_begin(void)
{
    uint32_t begin = 0;
    while (begin < FRAMES && played[begin][0] == 0.0f)
        begin++;
    return begin;
}

static void
play_at_a_quarter(struct rig *rig)
{
    memset(played, 0, sizeof played);
    fill_pattern(0);
    add_lane(rig, 0, 0.25f);
    rig_start(rig);
    rig_sleep_ms(rig, 800);
    finish(rig);
    const uint32_t begin = find_begin();
    cr_assert(lt(u32, begin, 3000));
    for (uint32_t f = begin; f < 30000; f++)
        for (uint32_t c = 0; c < CHANNELS; c++)
            cr_assert(eq(u32, bits_of(played[f][c]), bits_of(pattern[f][c] / 4.0f)), "frame %u", f);
}

Test(engine_gain, each_sample_is_multiplied_from_the_first_on) {
    rig_simulate(&options, 1, play_at_a_quarter);
}

/* From 1 to 0.5 and back, at moments that are no cycle's. */
static void
change(struct rig *rig)
{
    memset(played, 0, sizeof played);
    fill_pattern(1.0f);
    add_lane(rig, 0, 1.0f);
    rig_start(rig);
    rig_sleep_ms(rig, 300);
    set_gain(&sources[0], 0.5f);
    rig_sleep_ms(rig, 200);
    set_gain(&sources[0], 2.0f);
    rig_sleep_ms(rig, 200);
    finish(rig);

    const float levels[] = {1.0f, 0.5f, 2.0f};
    uint32_t f = find_begin();
    for (unsigned i = 0; i < 3; i++) {
        while (played[f][0] == levels[i])
            f++;
        if (i == 2)
            break;
        /* A straight line, over one cycle: 700 steps, the last of which is the new gain. */
        for (uint32_t step = 1; step <= 700; step++, f++) {
            const double expected = levels[i] + ((double)levels[i + 1] - levels[i]) * step / 700.0;
            for (uint32_t c = 0; c < CHANNELS; c++)
                cr_assert(fabs(played[f][c] - expected) < 1e-6, "%u: %f, not %f", step, (double)played[f][c], expected);
        }
        cr_assert(played[f][0] == levels[i + 1]);
    }
    cr_assert(gt(u32, f, 30000)); // to the end of what was played
}

Test(engine_gain, change_is_a_straight_line_over_one_cycle) {
    rig_simulate(&options, 1, change);
}

/* One of two is muted, then heard again: the other's samples stay what they were, each bit of them. */
static void
mute_one(struct rig *rig)
{
    memset(played, 0, sizeof played);
    fill_pattern(0);
    add_lane(rig, 0, 1.0f);
    add_lane(rig, 1, 1.0f);
    rig_start(rig);
    rig_sleep_ms(rig, 200);
    set_gain(&sources[0], 0.0f);
    rig_sleep_ms(rig, 200);
    const uint64_t muted_until = rig_page(rig).mixed_until;
    rig_sleep_ms(rig, 200);
    set_gain(&sources[1], 0.0f);
    rig_sleep_ms(rig, 200);
    const uint64_t silent_until = rig_page(rig).mixed_until;
    states[0].end = muted_until; // a client that was muted is still one that has to bring its frames
    states[0].flags = DX_LANE_RUNNING;
    dx_lane_publish(&lanes[0], &states[0]);
    rig_sleep_ms(rig, 100);
    const uint64_t underruns = rig_load(&sources[0].underrun_frames);
    finish(rig);
    cr_assert(gt(u64, underruns, 0));
    cr_assert(eq(u64, rig_load(&sources[1].underrun_frames), 0));

    for (uint32_t f = (uint32_t)muted_until - 1000; f < muted_until + 5000; f++)
        for (uint32_t c = 0; c < CHANNELS; c++)
            cr_assert(eq(u32, bits_of(played[f][c]), bits_of(pattern[f][c])), "frame %u", f);
    for (uint32_t f = (uint32_t)silent_until - 1000; f < silent_until; f++)
        for (uint32_t c = 0; c < CHANNELS; c++)
            cr_assert(eq(u32, bits_of(played[f][c]), 0));
}

Test(engine_gain, client_that_is_muted_is_silence_and_others_are_untouched) {
    rig_simulate(&options, 1, mute_one);
}

/* Whatever was set: no more than silence comes of it. */
static void
set_nonsense(struct rig *rig)
{
    memset(played, 0, sizeof played);
    fill_pattern(0);
    add_lane(rig, 0, NAN);
    add_lane(rig, 1, 1.0f);
    rig_start(rig);
    rig_sleep_ms(rig, 300);
    finish(rig);
    for (uint32_t f = find_begin(); f < 10000; f++)
        for (uint32_t c = 0; c < CHANNELS; c++)
            cr_assert(eq(u32, bits_of(played[f][c]), bits_of(pattern[f][c])), "frame %u", f);
}

Test(engine_gain, gain_that_is_no_number_is_silence) {
    rig_simulate(&options, 1, set_nonsense);
}

/* Bits are passed on: what is set there is not looked at. */
static void
play_bits(struct rig *rig)
{
    rig->sources[0].gain_bits = 0;
    rig_start(rig);
    rig_sleep_ms(rig, 500); // the rig compares each frame
    cr_assert(rig->player_end > 10000);
}

Test(engine_gain, stream_that_is_not_mixable_has_none) {
    rig_simulate(&(struct rig_options){.output = {{2, DX_SAMPLE_S24_3LE, .is_non_mixable = true}}}, 1, play_bits);
}
