// SPDX-License-Identifier: MIT
// A client that freezes, vanishes, or writes at random into the memory that it shares with the engine: what the device is
// given, less that client's own part, is bit for bit what it is given without the fault.

#include "tests/audio/engine_rig.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

enum { SECONDS = 14, FRAMES = SECONDS * 48000, CHANNELS = 2, STREAMS = 2 };

#define GOOD_SESSION 0x600Eu
#define FAULTY_SESSION 0xBADu

enum fault { NO_FAULT, FREEZE, VANISH, SCRIBBLE };

struct client {
    struct rig *rig;
    uint32_t stream;
    uint64_t random;
    struct dx_lane lane;
    struct dx_lane_state state;
    struct dx_engine_source source;
    struct dx_task *task;
    enum fault fault; // at hand
    bool is_ending;
};

/* One run: who is heard, and what came of it.  Both clients run in each, so that all runs have the same times. */
struct run {
    enum fault fault;
    uint32_t faulty_stream;
    bool has_good;
    bool has_faulty;
    float (*played)[FRAMES][CHANNELS]; // by stream and device time
    uint64_t good_underruns, good_limited, faulty_limited;
    uint64_t calls, late, overloads;
    uint32_t incidents, incidents_of_others;
};

static struct run *run; // at hand

static void
capture(struct rig *rig, const struct rig_call *call)
{
    if (call->operation != IOUserAudioIOOperationWriteEnd)
        return;
    for (uint32_t s = 0; s < STREAMS; s++) {
        const struct dx_engine_stream *const stream = &rig->config.outputs[s];
        for (uint32_t f = 0; f < call->frames && (uint64_t)call->device_time + f < FRAMES; f++)
            memcpy(run->played[s][call->device_time + f],
                   stream->ring + (call->sample_time + f) % rig->options.ring_frames * stream->bytes_per_frame,
                   stream->bytes_per_frame);
    }
}

/* ---- clients ---- */

static uint64_t
next_random(struct client *client)
{
    client->random ^= client->random << 13;
    client->random ^= client->random >> 7;
    client->random ^= client->random << 17;
    return client->random;
}

/* Anywhere, and as whole control values that may be true, so that its frames are taken as well. */
static void
scribble(struct client *client)
{
    uint8_t *const memory = client->lane.pages.address;
    for (unsigned i = 0; i < 20; i++) {
        const size_t at = next_random(client) % (client->lane.pages.bytes - 8);
        const uint64_t value = next_random(client);
        memcpy(memory + (i % 4 ? at : at % DX_LANE_DATA_OFFSET), &value, sizeof value);
    }
    if (next_random(client) % 8 == 0) {
        const uint64_t mixed = rig_page(client->rig).mixed_until, begin = mixed + next_random(client) % 2000;
        const struct dx_lane_state state = {.epoch = (uint32_t)next_random(client) % 4,
                                            .flags = DX_LANE_RUNNING,
                                            .base = next_random(client) % 3,
                                            .begin = begin,
                                            .end = begin + next_random(client) % 20000};
        dx_lane_publish(&client->lane, &state);
    }
}

/* The lane is three rings ahead of the position with frames that follow from their time. */
static void
play(struct client *client)
{
    struct rig *const rig = client->rig;
    const struct dx_timeline_page page = rig_page(rig);
    if (page.state == DX_TIMELINE_NONE)
        return;
    const uint64_t until = (uint64_t)rig_position(rig) + 3u * rig->options.ring_frames;
    if (client->state.end < page.mixed_until)
        client->state.begin = client->state.end = page.mixed_until;
    client->state.flags = DX_LANE_RUNNING;
    while (client->state.end < until) {
        float block[256][CHANNELS];
        uint32_t n = 0;
        for (; n < 256 && client->state.end + n < until; n++)
            for (uint32_t c = 0; c < CHANNELS; c++)
                block[n][c] = rig_sample(client->state.end + n, client->source.session & 7u, c, false) / 4.0f;
        dx_lane_append(&client->lane, &client->state, block, n);
    }
}

static void
run_client(void *argument)
{
    struct client *const client = argument;
    while (!client->is_ending) {
        if (client->fault == SCRIBBLE)
            scribble(client);
        else if (client->fault == NO_FAULT)
            play(client);
        rig_sleep_ms(client->rig, 1);
    }
}

static struct client *
add_client(struct rig *rig, uint64_t session, uint32_t stream, bool is_heard)
{
    struct client *const client = calloc(1, sizeof *client);
    cr_assert(client != NULL);
    client->rig = rig;
    client->stream = stream;
    client->random = 88172645463325252u;
    cr_assert(eq(int, dx_lane_create(&client->lane, "client", 8 * rig->options.ring_frames, 8), 0));
    client->source = (struct dx_engine_source){.output_stream = stream,
                                               .input_stream = DX_NO_STREAM,
                                               .lane = &client->lane,
                                               .session = session,
                                               .gain_bits = DX_GAIN_UNITY};
    if (is_heard)
        rig->plans[0].sources[rig->plans[0].source_count++] = &client->source;
    return client;
}

static void
start_client(struct client *client)
{
    const dx_task_config config = {.name = "client"};
    cr_assert(eq(int, dx_task_spawn(client->rig->clock, &config, run_client, client, &client->task), kIOReturnSuccess));
}

static void
free_client(struct client *client)
{
    client->is_ending = true;
    dx_task_join(client->task);
    dx_lane_finish(&client->lane);
    free(client);
}

/* ---- a run ---- */

/* Takes the faulty client, which is the last, out of the plan. */
static void
take_out(struct rig *rig)
{
    rig_next_plan(rig)->source_count -= run->has_faulty;
    rig_set_plan(rig);
}

static void
go_through(struct rig *rig)
{
    void *const recording = calloc(1, dx_recorder_bytes());
    cr_assert(recording && dx_recorder_init(recording, dx_recorder_bytes()));
    rig->config.recorder = recording;
    rig->on_call = capture;
    struct client *const good = add_client(rig, GOOD_SESSION, 0, run->has_good);
    struct client *const faulty = add_client(rig, FAULTY_SESSION, run->faulty_stream, run->has_faulty);
    rig_start(rig);
    start_client(good);
    start_client(faulty);
    rig_sleep_ms(rig, 1000);
    faulty->fault = run->fault;
    rig_sleep_ms(rig, 500);
    if (run->fault == VANISH)
        take_out(rig);
    rig_sleep_ms(rig, run->fault == SCRIBBLE ? 9500 : 1500);
    if (run->fault != VANISH)
        faulty->fault = NO_FAULT;
    if (run->fault == SCRIBBLE) // it begins anew, with memory that nobody has scribbled over
        dx_lane_publish(&faulty->lane, &faulty->state);
    rig_sleep_ms(rig, 1000);
    rig_stop(rig);

    run->good_underruns = rig_load(&good->source.underrun_frames);
    run->good_limited = rig_load(&good->source.limited_samples);
    run->faulty_limited = rig_load(&faulty->source.limited_samples);
    run->calls = rig->call_count;
    run->late = rig_load(&rig->counters.late_cycles);
    run->overloads = rig_load(&rig->counters.overloads);
    static struct dx_incident incidents[DX_RECORDER_INCIDENTS];
    run->incidents = dx_recording_incidents(recording, dx_recorder_bytes(), incidents, DX_RECORDER_INCIDENTS);
    for (uint32_t i = 0; i < run->incidents; i++)
        run->incidents_of_others += incidents[i].cause != DX_CAUSE_LANE || incidents[i].client != FAULTY_SESSION;
    free_client(faulty);
    free_client(good);
    free(recording);
}

static void
make_run(struct run *made)
{
    static const struct rig_options options = {.ring_frames = 4096,
                                               .outputs = STREAMS,
                                               .late_tolerance = 0,
                                               .has_no_player = true};
    run = made;
    made->played = calloc(STREAMS, sizeof *made->played);
    cr_assert(made->played != NULL);
    rig_simulate(&options, 1, go_through);
    cr_assert(eq(u64, made->late, 0));
    cr_assert(eq(u64, made->overloads, 0));
    cr_assert(eq(u64, made->good_underruns, 0));
    cr_assert(eq(u64, made->good_limited, 0));
    cr_assert(eq(u32, made->incidents_of_others, 0));
}

static bool
has_sound(const struct run *made, uint32_t stream)
{
    for (uint32_t f = 0; f < FRAMES; f++)
        for (uint32_t c = 0; c < CHANNELS; c++)
            if (made->played[stream][f][c] != 0.0f)
                return true;
    return false;
}

/* The faulty client has a stream of its own. */
static void
check_own_stream(enum fault fault)
{
    struct run without = {.has_good = true, .has_faulty = true, .faulty_stream = 1, .fault = NO_FAULT};
    struct run with = {.has_good = true, .has_faulty = true, .faulty_stream = 1, .fault = fault};
    make_run(&without);
    make_run(&with);
    cr_assert(has_sound(&without, 0) && has_sound(&without, 1));
    /* Where the run with the fault is longer, the other has ended. */
    const size_t frames = (without.calls < with.calls ? without.calls : with.calls) / 2u * 256u - 4096u;
    cr_assert(memcmp(with.played[0], without.played[0], frames * sizeof with.played[0][0]) == 0);
    cr_assert(memcmp(with.played[1], without.played[1], frames * sizeof with.played[0][0]) != 0);
    cr_assert(eq(u32, without.incidents, 0));
    cr_assert(gt(u32, with.incidents, 0));
    free(without.played);
    free(with.played);
}

Test(faulty_client, device_is_given_the_same_by_others_while_a_client_on_another_stream_freezes) {
    check_own_stream(FREEZE);
}

Test(faulty_client, device_is_given_the_same_by_others_when_a_client_on_another_stream_vanishes) {
    check_own_stream(VANISH);
}

Test(faulty_client, device_is_given_the_same_by_others_while_a_client_on_another_stream_scribbles) {
    check_own_stream(SCRIBBLE);
}

/* It shares a stream: the sum is that of the other client alone, and of itself alone with the same fault. */
static void
check_shared_stream(enum fault fault)
{
    struct run good = {.has_good = true, .fault = fault};
    struct run faulty = {.has_faulty = true, .fault = fault};
    struct run both = {.has_good = true, .has_faulty = true, .fault = fault};
    make_run(&good);
    make_run(&faulty);
    make_run(&both);
    cr_assert(has_sound(&good, 0) && has_sound(&faulty, 0));
    cr_assert(eq(u64, both.calls, good.calls));
    cr_assert(eq(u64, both.calls, faulty.calls));
    cr_assert(both.faulty_limited == faulty.faulty_limited &&
              (fault == SCRIBBLE) == (both.faulty_limited > 1000)); // some of it was taken
    for (uint32_t f = 0; f < FRAMES; f++)
        for (uint32_t c = 0; c < CHANNELS; c++) {
            const float sum = good.played[0][f][c] + faulty.played[0][f][c];
            cr_assert(memcmp(&sum, &both.played[0][f][c], sizeof sum) == 0, "frame %u, channel %u", f, c);
        }
    free(good.played);
    free(faulty.played);
    free(both.played);
}

Test(faulty_client, sum_is_that_of_others_and_its_own_part_while_a_client_freezes) {
    check_shared_stream(FREEZE);
}

Test(faulty_client, sum_is_that_of_others_and_its_own_part_when_a_client_vanishes) {
    check_shared_stream(VANISH);
}

Test(faulty_client, sum_is_that_of_others_and_its_own_part_while_a_client_scribbles) {
    check_shared_stream(SCRIBBLE);
}
