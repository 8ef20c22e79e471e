// SPDX-License-Identifier: MIT
// What the engine records when something goes wrong: one incident for each event, with the cause that was injected.

#include "core/clock.h"
#include "tests/audio/engine_rig.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_NS (1e9 / 48000.0)
#define N 256u // the rig's IO size

/* ---- the recording ---- */

static void *recording;
static struct dx_incident incidents[DX_RECORDER_INCIDENTS];
static struct dx_recorded_slice slices[DX_RECORDER_SLICES];

static void
record_to(struct rig *rig)
{
    free(recording);
    recording = calloc(1, dx_recorder_bytes());
    cr_assert(recording != NULL);
    cr_assert(dx_recorder_init(recording, dx_recorder_bytes()));
    rig->config.recorder = recording;
}

static uint32_t
read_incidents(void)
{
    return dx_recording_incidents(recording, dx_recorder_bytes(), incidents, DX_RECORDER_INCIDENTS);
}

static uint32_t
flags_of_all_slices(void)
{
    uint32_t flags = 0;
    const uint32_t count = dx_recording_slices(recording, dx_recorder_bytes(), slices, DX_RECORDER_SLICES);
    for (uint32_t i = 0; i < count; i++)
        flags |= slices[i].flags;
    return flags;
}

/* The only incident there is. */
static const struct dx_incident *
read_one(dx_cause cause)
{
    cr_assert(eq(u32, read_incidents(), 1));
    cr_assert(eq(u32, incidents[0].cause, cause));
    return &incidents[0];
}

/* The interval is what was injected, and all others together are less than a tenth of it. */
static void
check_intervals(const struct dx_incident *incident, uint64_t injected_ns)
{
    const uint64_t own = incident->intervals_ns[incident->cause];
    cr_assert(own >= injected_ns && own <= injected_ns + injected_ns / 100);
    uint64_t others = 0;
    for (unsigned i = 0; i < DX_CAUSE_COUNT; i++)
        others += i == incident->cause ? 0 : incident->intervals_ns[i];
    cr_assert(lt(u64, others, injected_ns / 10));
}

/* ---- what makes a cycle slow ---- */

static uint64_t slow_ns; // once
static uint64_t oversleep_ns; // once

static void
be_slow_once(struct rig *rig) DX_REALTIME
{
    const uint64_t ns = slow_ns;
    slow_ns = 0;
    if (ns)
        rig_be_slow(rig, ns);
}

int __real_dx_clock_wait(dx_clock *clock, const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns,
                         const struct dx_wait_reason *reason);
int __wrap_dx_clock_wait(dx_clock *clock, const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns,
                         const struct dx_wait_reason *reason);

int
__wrap_dx_clock_wait(dx_clock *clock, const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns,
                     const struct dx_wait_reason *reason)
{
    const int result = __real_dx_clock_wait(clock, word, expected, deadline_ns, reason);
    if (oversleep_ns && strcmp(reason->what, "the next cycle") == 0) {
        const uint64_t ns = oversleep_ns;
        oversleep_ns = 0;
        dx_clock_sleep_until(clock, dx_clock_now_ns(clock) + ns);
    }
    return result;
}

static void
slow_handler(struct rig *rig, const struct rig_call *call)
{
    (void)call;
    be_slow_once(rig);
}

static struct rig *slow_rig; // of what has no context

static kern_return_t
process_slowly(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
               uint64_t host_time, void *context) DX_REALTIME
{
    (void)device, (void)operation, (void)frames, (void)sample_time, (void)host_time, (void)context;
    be_slow_once(slow_rig);
    return kIOReturnSuccess;
}

static void
add_plugin(struct rig *rig)
{
    static const dx_dsp_plugin plugin = {.process = process_slowly};
    static struct dx_engine_dsp dsp = {.plugin = &plugin};
    slow_rig = rig;
    rig->plans[0].output_dsp[0][0] = &dsp;
}

static void
dawdle(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    (void)cycle, (void)input, (void)output;
    be_slow_once(context);
}

static void
add_synchronous(struct rig *rig)
{
    static struct dx_engine_source source;
    source = (struct dx_engine_source){.output_stream = 0,
                                       .input_stream = DX_NO_STREAM,
                                       .callback = dawdle,
                                       .context = rig,
                                       .gain_bits = DX_GAIN_UNITY};
    rig->plans[0].sources[rig->plans[0].source_count++] = &source;
}

/* The engine's own work: copying into the mix. */
static const struct dx_kernels *fast_kernels;

static size_t
copy_slowly(float *restrict dst, const float *restrict src, size_t samples) DX_REALTIME
{
    be_slow_once(slow_rig);
    return fast_kernels->copy_limited(dst, src, samples);
}

static void
slow_the_engine(struct rig *rig)
{
    static struct dx_kernels kernels;
    fast_kernels = dx_kernels_best();
    kernels = *fast_kernels;
    kernels.copy_limited = copy_slowly;
    slow_rig = rig;
    rig->config.kernels = &kernels;
}

/* ---- delays ---- */

/* A delay of so many cycles, wherever the scenario put it: late, and what it makes others skip. */
static void
delay_once(struct rig *rig, dx_cause cause)
{
    record_to(rig);
    rig_start(rig);
    rig_sleep_ms(rig, 500);
    cr_assert(eq(u32, read_incidents(), 0));
    const uint64_t begin = rig_now(rig), delay_ns = (uint64_t)(7.5 * N * FRAME_NS);
    if (cause == DX_CAUSE_LATE_WAKE)
        oversleep_ns = delay_ns;
    else
        slow_ns = delay_ns;
    rig_sleep_ms(rig, 500);
    const struct dx_incident *const incident = read_one(cause);
    check_intervals(incident, delay_ns);
    cr_assert(eq(u32, incident->frames, (uint32_t)rig->output_gaps));
    /* Those that were due within the delay; where the cycle itself was late, it was run. */
    cr_assert(eq(u32, incident->frames, cause == DX_CAUSE_LATE_WAKE ? 8 * N : 7 * N));
    cr_assert(eq(u32, incident->count, cause == DX_CAUSE_LATE_WAKE ? 1 : 2));
    cr_assert(ge(u64, incident->host_time_ns, begin));
    cr_assert(lt(u64, incident->host_time_ns, begin + 10000000 + delay_ns));
    cr_assert(eq(u64, incident->client, 0));
    cr_assert(eq(u32, flags_of_all_slices() & DX_CYCLE_SKIPPED, DX_CYCLE_SKIPPED));
    cr_assert(eq(u32, flags_of_all_slices() & (DX_CYCLE_UNCOVERED | DX_CYCLE_STAMP), 0));
}

static void
delay_wake(struct rig *rig)
{
    delay_once(rig, DX_CAUSE_LATE_WAKE);
}

Test(incidents, wake_that_came_late_is_one_incident_that_says_so) {
    rig_simulate(NULL, 1, delay_wake);
}

static void
delay_handler(struct rig *rig)
{
    rig->on_call = slow_handler;
    delay_once(rig, DX_CAUSE_HANDLER);
}

Test(incidents, handler_over_its_time_is_one_incident_that_says_so) {
    rig_simulate(NULL, 1, delay_handler);
}

static void
delay_plugin(struct rig *rig)
{
    add_plugin(rig);
    delay_once(rig, DX_CAUSE_DSP);
}

Test(incidents, plugin_over_its_time_is_one_incident_that_says_so) {
    rig_simulate(NULL, 1, delay_plugin);
}

static void
delay_client(struct rig *rig)
{
    add_synchronous(rig);
    delay_once(rig, DX_CAUSE_CLIENT);
}

Test(incidents, synchronous_client_over_its_time_is_one_incident_that_says_so) {
    rig_simulate(NULL, 1, delay_client);
}

static void
delay_engine(struct rig *rig)
{
    slow_the_engine(rig);
    delay_once(rig, DX_CAUSE_ENGINE);
}

Test(incidents, engine_over_its_time_is_one_incident_that_says_so) {
    rig_simulate(NULL, 1, delay_engine);
}

/* A fifth of the delay each: none of them explains it. */
static uint64_t shares_ns;

static void
share(struct rig *rig, const struct rig_call *call)
{
    if (shares_ns && call->operation == IOUserAudioIOOperationBeginRead) {
        rig_be_slow(rig, shares_ns);
        slow_ns = shares_ns; // of the engine, then of the plug-in, then of the client
    }
}

static void
share_dawdle(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    (void)cycle, (void)input, (void)output;
    if (shares_ns)
        rig_be_slow(context, shares_ns);
}

static kern_return_t
share_process(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
              uint64_t host_time, void *context) DX_REALTIME
{
    (void)device, (void)operation, (void)frames, (void)sample_time, (void)host_time, (void)context;
    if (shares_ns)
        rig_be_slow(slow_rig, shares_ns);
    shares_ns = 0; // the last of them
    return kIOReturnSuccess;
}

static void
delay_everywhere(struct rig *rig)
{
    static const dx_dsp_plugin plugin = {.process = share_process};
    static struct dx_engine_dsp dsp = {.plugin = &plugin};
    static struct dx_engine_source source;
    source = (struct dx_engine_source){.output_stream = 0,
                                       .input_stream = DX_NO_STREAM,
                                       .callback = share_dawdle,
                                       .context = rig,
                                       .gain_bits = DX_GAIN_UNITY};
    rig->plans[0].sources[rig->plans[0].source_count++] = &source;
    rig->plans[0].output_dsp[0][0] = &dsp;
    slow_the_engine(rig);
    rig->on_call = share;
    record_to(rig);
    rig_start(rig);
    rig_sleep_ms(rig, 500);
    shares_ns = oversleep_ns = (uint64_t)(80 * FRAME_NS); // 400 frames in all: late, and nothing is skipped
    rig_sleep_ms(rig, 500);
    const struct dx_incident *const incident = read_one(DX_CAUSE_UNKNOWN);
    cr_assert(eq(u32, incident->frames, 0));
    cr_assert(eq(u32, incident->count, 1));
    for (int cause = DX_CAUSE_LATE_WAKE; cause <= DX_CAUSE_ENGINE; cause++)
        cr_assert(incident->intervals_ns[cause] >= (uint64_t)(79 * FRAME_NS) &&
                  incident->intervals_ns[cause] <= (uint64_t)(81 * FRAME_NS));
    cr_assert(eq(u64, rig_load(&rig->counters.causes[DX_CAUSE_UNKNOWN]), 1));
}

Test(incidents, delay_that_nothing_explains_is_unknown) {
    rig_simulate(NULL, 1, delay_everywhere);
}

/* A device that bears it runs the cycles behind each other: all late, for one reason. */
static void
stall(struct rig *rig)
{
    rig->on_call = slow_handler;
    record_to(rig);
    rig_start(rig);
    rig_sleep_ms(rig, 500);
    slow_ns = (uint64_t)(12.5 * N * FRAME_NS);
    rig_sleep_ms(rig, 500);
    const struct dx_incident *const incident = read_one(DX_CAUSE_HANDLER);
    check_intervals(incident, (uint64_t)(12.5 * N * FRAME_NS));
    cr_assert(eq(u32, incident->frames, 0));
    cr_assert(eq(u32, incident->count, (uint32_t)rig_load(&rig->counters.late_cycles)));
    cr_assert(eq(u32, incident->count, 12)); // 12.5, 11.5, ... 1.5 cycles late; the next one is half a cycle late: in time
    cr_assert(eq(u32, flags_of_all_slices(), DX_CYCLE_LATE));
}

Test(incidents, cycles_late_behind_each_other_are_one_incident) {
    rig_simulate(&(struct rig_options){.ring_frames = 8192, .late_tolerance = 4096}, 1, stall);
}

/* One whose machine is too slow for good: the recording is not full of it, and says how often. */
static void
slow_each_second_cycle(struct rig *rig, const struct rig_call *call)
{
    if (call->operation == IOUserAudioIOOperationBeginRead && call->device_time % (20 * N) < N)
        rig_be_slow(rig, (uint64_t)(2.5 * N * FRAME_NS));
}

static void
be_slow_for_long(struct rig *rig)
{
    rig->on_call = slow_each_second_cycle;
    record_to(rig);
    rig_start(rig);
    rig_sleep_ms(rig, 600000);
    rig_stop(rig);
    const uint32_t count = read_incidents();
    cr_assert(count >= 60 && count <= 75, "%u", count);
    uint64_t cycles = 0, frames = 0;
    for (uint32_t i = 0; i < count; i++) {
        cr_assert(eq(u32, incidents[i].cause, DX_CAUSE_HANDLER));
        cycles += incidents[i].count;
        frames += incidents[i].frames;
    }
    cr_assert(eq(u64, cycles, rig_load(&rig->counters.late_cycles) + rig_load(&rig->counters.overloads)));
    cr_assert(eq(u64, frames, rig->output_gaps));
}

Test(incidents, driver_that_is_always_late_leaves_room_in_the_recording) {
    rig_simulate(NULL, 1, be_slow_for_long);
}

/* ---- lanes ---- */

#define SESSION 0x8123456789ABCDEFu

struct client {
    struct rig *rig;
    struct dx_lane lane;
    struct dx_lane_state state;
    struct dx_engine_source source;
    struct dx_member_counters counters;
    struct dx_task *task;
    uint64_t resumed_at; // device time of the first frame after a gap
    bool is_frozen;
    bool is_ending;
};

/* Keeps its lane three rings ahead of the position. */
static void
run_client(void *argument)
{
    struct client *const client = argument;
    struct rig *const rig = client->rig;
    while (!client->is_ending) {
        const struct dx_timeline_page page = rig_page(rig);
        if (page.state != DX_TIMELINE_NONE && !client->is_frozen) {
            const uint64_t until = (uint64_t)rig_position(rig) + 3u * rig->options.ring_frames;
            if (client->state.end < page.mixed_until)
                client->resumed_at = client->state.begin = client->state.end = page.mixed_until;
            client->state.flags = DX_LANE_RUNNING;
            if (until > client->state.end)
                dx_lane_append(&client->lane, &client->state, NULL, (uint32_t)(until - client->state.end));
        }
        rig_sleep_ms(rig, 10);
    }
}

static struct client *
add_client(struct rig *rig, uint64_t session)
{
    struct client *const client = calloc(1, sizeof *client);
    cr_assert(client != NULL);
    client->rig = rig;
    cr_assert(eq(int, dx_lane_create(&client->lane, "client", 8 * rig->options.ring_frames, 8), 0));
    client->source = (struct dx_engine_source){.input_stream = DX_NO_STREAM,
                                               .lane = &client->lane,
                                               .session = session,
                                               .counters = &client->counters,
                                               .gain_bits = DX_GAIN_UNITY};
    rig->plans[rig->plan].sources[rig->plans[rig->plan].source_count++] = &client->source;
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

static const struct rig_options no_player = {.has_no_player = true};

static void
freeze_shortly(struct rig *rig)
{
    struct client *const other = add_client(rig, 77), *const client = add_client(rig, SESSION);
    record_to(rig);
    rig_start(rig);
    start_client(other);
    start_client(client);
    rig_sleep_ms(rig, 500);
    cr_assert(eq(u32, read_incidents(), 0));
    client->is_frozen = true;
    rig_sleep_ms(rig, 700);
    const uint64_t from = client->state.end;
    cr_assert(eq(u32, read_incidents(), 0)); // it is not over
    client->is_frozen = false;
    rig_sleep_ms(rig, 500);
    const struct dx_incident *const incident = read_one(DX_CAUSE_LANE);
    cr_assert(eq(u64, incident->client, SESSION));
    cr_assert(eq(u64, incident->device_time, from));
    cr_assert(eq(u32, incident->frames, (uint32_t)(client->resumed_at - from)));
    cr_assert(fabs((double)incident->intervals_ns[DX_CAUSE_LANE] - incident->frames * FRAME_NS) < 1e5);
    cr_assert(eq(u32, (uint32_t)rig_load(&client->source.underrun_frames), incident->frames));
    cr_assert(eq(u32, client->counters.underrun_frames, incident->frames));
    cr_assert(eq(u64, rig_load(&rig->counters.causes[DX_CAUSE_LANE]), 1));
    cr_assert(eq(u32, flags_of_all_slices(), DX_CYCLE_UNCOVERED));
    rig_stop(rig);
    free_client(client);
    free_client(other);
}

Test(incidents, lane_that_was_not_covered_names_its_client_and_the_frames) {
    for (uint64_t seed = 1; seed < 5; seed++)
        rig_simulate(&no_player, seed, freeze_shortly);
}

/* Nobody has to wait for its end to see it. */
static void
freeze_for_long(struct rig *rig)
{
    struct client *const client = add_client(rig, SESSION);
    record_to(rig);
    rig_start(rig);
    start_client(client);
    rig_sleep_ms(rig, 500);
    client->is_frozen = true;
    const uint64_t from = client->state.end;
    rig_sleep_ms(rig, 2000);
    cr_assert(read_incidents() >= 1);
    rig_sleep_ms(rig, 3600000);
    client->is_frozen = false;
    rig_sleep_ms(rig, 20000);
    rig_stop(rig);
    const uint32_t count = read_incidents();
    cr_assert(eq(u32, count, DX_RECORDER_INCIDENTS)); // six in a minute: 42 minutes of it
    cr_assert(incidents[count - 1].host_time_ns - incidents[0].host_time_ns > 2400000000000u);
    uint64_t next = incidents[0].device_time;
    for (uint32_t i = 0; i < count; i++) { // without a gap between them
        cr_assert(eq(u32, incidents[i].cause, DX_CAUSE_LANE));
        cr_assert(eq(u64, incidents[i].client, SESSION));
        cr_assert(eq(u64, incidents[i].device_time, next));
        next += incidents[i].frames;
    }
    cr_assert(eq(u64, next, client->resumed_at));
    cr_assert(eq(u64, rig_load(&client->source.underrun_frames), client->resumed_at - from));
    free_client(client);
}

Test(incidents, lane_that_stays_uncovered_is_told_in_steps) {
    const struct rig_options options = {.inputs = RIG_NO_STREAMS,
                                        .has_no_player = true,
                                        .has_no_handler = true, // which checks each frame of an hour
                                        .io_frames = 1300};
    rig_simulate(&options, 1, freeze_for_long);
}

/* Its client was killed: it leaves before the gap is over. */
static void
leave_in_a_gap(struct rig *rig)
{
    struct client *const stays = add_client(rig, 77), *const client = add_client(rig, SESSION);
    record_to(rig);
    rig_start(rig);
    start_client(stays);
    start_client(client);
    rig_sleep_ms(rig, 500);
    client->is_frozen = stays->is_frozen = true;
    rig_sleep_ms(rig, 700);
    cr_assert(eq(u32, read_incidents(), 0));
    struct dx_engine_plan *const plan = rig_next_plan(rig);
    plan->source_count = 1;
    rig_set_plan(rig);
    const struct dx_incident *incident = read_one(DX_CAUSE_LANE);
    cr_assert(eq(u64, incident->client, SESSION));
    cr_assert(eq(u32, incident->frames, (uint32_t)rig_load(&client->source.underrun_frames)));
    free_client(client);
    rig_stop(rig); // the other's gap is told at the end
    cr_assert(eq(u32, read_incidents(), 2));
    cr_assert(eq(u64, incidents[1].client, 77));
    cr_assert(eq(u32, incidents[1].frames, (uint32_t)rig_load(&stays->source.underrun_frames)));
    free_client(stays);
}

Test(incidents, gap_of_a_client_that_leaves_is_told) {
    rig_simulate(&no_player, 1, leave_in_a_gap);
}

static void
drain_and_stop(struct rig *rig)
{
    struct client *const client = add_client(rig, SESSION);
    record_to(rig);
    rig_start(rig);
    start_client(client);
    rig_sleep_ms(rig, 500);
    client->is_frozen = true;
    client->state.flags |= DX_LANE_DRAINING;
    dx_lane_publish(&client->lane, &client->state);
    rig_sleep_ms(rig, 1000);
    client->state.flags = 0;
    dx_lane_publish(&client->lane, &client->state);
    rig_sleep_ms(rig, 1000);
    rig_stop(rig);
    cr_assert(eq(u32, read_incidents(), 0));
    free_client(client);
}

Test(incidents, lane_that_drained_or_was_stopped_is_none) {
    rig_simulate(&no_player, 1, drain_and_stop);
}

/* ---- stamps ---- */

static void
jump(struct rig *rig)
{
    record_to(rig);
    rig_start(rig);
    rig_sleep_ms(rig, 1000);
    cr_assert(eq(u32, read_incidents(), 0));
    rig_move_driver(rig, 1000000);
    rig_sleep_ms(rig, 1000);
    const struct dx_incident *const incident = read_one(DX_CAUSE_BAD_STAMP);
    cr_assert(eq(u64, incident->client, 0));
    cr_assert(incident->intervals_ns[DX_CAUSE_BAD_STAMP] > 15000000000u); // 950,000 frames
    cr_assert(eq(u32, flags_of_all_slices(), DX_CYCLE_STAMP));
    cr_assert(rig_load(&rig->counters.bad_stamps) == 1);
}

Test(incidents, bad_stamp_is_one_incident_that_says_so) {
    rig_simulate(&(struct rig_options){.io_frames = 64}, 1, jump);
}

/* ---- nothing ---- */

static void
run_well(struct rig *rig)
{
    record_to(rig);
    rig_start(rig);
    rig_sleep_ms(rig, 100000);
    const struct dx_timeline_page page = rig_page(rig);
    const double position = rig_position(rig);
    uint64_t frame, host_ns;
    double ns_per_frame;
    cr_assert(dx_recording_line(recording, dx_recorder_bytes(), &frame, &host_ns, &ns_per_frame));
    const double recorded =
        (double)frame + ((double)rig_now(rig) - (double)host_ns) / ns_per_frame;
    cr_assert(recorded > position - 1.0 && recorded < position + 1.0, "%f, %f", recorded, position);
    cr_assert(eq(u32, page.state, DX_TIMELINE_RUNNING));
    rig_stop(rig);
    cr_assert(eq(u32, read_incidents(), 0));

    const uint32_t count = dx_recording_slices(recording, dx_recorder_bytes(), slices, DX_RECORDER_SLICES);
    cr_assert(count > 4000); // 100 s of 5.3 ms, at least 20 ms each
    for (uint32_t i = 0; i < count; i++) {
        cr_assert(eq(u32, slices[i].flags, 0));
        cr_assert(slices[i].lateness_ns < 1000000);
        cr_assert(i == 0 || slices[i].host_time_ns - slices[i - 1].host_time_ns < 25000000);
    }
}

Test(incidents, device_that_runs_well_has_none_and_its_line_is_kept) {
    rig_simulate(&(struct rig_options){.jitter_ns = 300000, .ppm = 80.0}, 1, run_well);
}

/* Stopped and started again, with the same recording. */
static void
start_again(struct rig *rig)
{
    rig->on_call = slow_handler;
    record_to(rig);
    for (uint32_t i = 1; i <= 3; i++) {
        rig_start(rig);
        rig_sleep_ms(rig, 500);
        slow_ns = (uint64_t)(3.5 * N * FRAME_NS);
        rig_sleep_ms(rig, 500);
        rig_stop(rig);
        cr_assert(eq(u32, read_incidents(), i));
        cr_assert(i == 1 || incidents[i - 1].host_time_ns > incidents[i - 2].host_time_ns);
        rig->origin_ns = 0;
        rig->next_stamp = 0;
        rig->input_next = rig->output_next = 0;
    }
}

Test(incidents, recording_goes_on_when_io_starts_again) {
    rig_simulate(&(struct rig_options){.has_no_recorder = true, .has_no_player = true}, 1, start_again);
}
