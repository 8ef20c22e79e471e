// SPDX-License-Identifier: MIT
// The cycle: what the handler is called for, when, and with which samples.

#include "tests/audio/engine_rig.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define READ IOUserAudioIOOperationBeginRead
#define WRITE IOUserAudioIOOperationWriteEnd

/* Nothing was lost: the rig has looked at every frame of every span. */
static void
assert_clean(const struct rig *rig)
{
    cr_assert(eq(u64, rig->input_gaps, 0));
    cr_assert(eq(u64, rig->output_gaps, 0));
    cr_assert(eq(u64, rig->recorded_silent, 0));
    cr_assert(eq(u64, rig_load(&rig->counters.overloads), 0));
    cr_assert(eq(u64, rig_load(&rig->counters.late_cycles), 0));
    cr_assert(eq(u64, rig_load(&rig->counters.skipped_input_frames), 0));
    cr_assert(eq(u64, rig_load(&rig->counters.skipped_output_frames), 0));
    cr_assert(eq(u64, rig_load(&rig->counters.bad_stamps), 0));
    cr_assert(eq(u64, rig_load(&rig->counters.reanchors), 0));
    for (uint32_t s = 0; s < rig->options.outputs; s++)
        cr_assert(eq(u64, rig_load(&rig->sources[s].underrun_frames), 0));
}

static const struct rig_call *
first_call(const struct rig *rig, IOUserAudioIOOperation operation)
{
    for (uint32_t i = 0; i < rig->call_count; i++)
        if (rig->calls[i].operation == operation)
            return &rig->calls[i];
    cr_fatal("no such call");
}

/* ---- Ref 6.3 ---- */

/* The first stamp is seen when the position is just short of 16640 - 512: the first cycle is due at 16640. */
static void
run_worked_example(struct rig *rig)
{
    rig_start(rig);
    rig_sleep_ms(rig, 9.5);
    const uint64_t look = rig_now(rig) + 500000; // the engine looks each millisecond
    dx_device_io_post(&rig->io, 0, look - (uint64_t)(16127.7 * 1e9 / 48000.0));
    rig_sleep_ms(rig, 20);
    cr_assert(eq(u32, rig->call_count, 2));
    cr_assert(eq(u32, rig->calls[0].operation, READ));
    cr_assert(eq(u64, rig->calls[0].sample_time, 16064)); // frames 16064 ... 16383 and 0 ... 191 of the ring
    cr_assert(eq(u32, rig->calls[0].frames, 512));
    cr_assert(eq(u32, rig->calls[1].operation, WRITE));
    cr_assert(eq(u64, rig->calls[1].sample_time, 17280));
    cr_assert(eq(u32, rig->calls[1].frames, 512));
    /* When the position reaches T. */
    const double due = (double)look + (16640.0 - 16127.7) * 1e9 / 48000.0;
    cr_assert(fabs((double)rig->calls[0].now_ns - due) < 3.0);
    rig_sleep_ms(rig, 10);
    cr_assert(eq(u64, rig->calls[2].sample_time, 16064 + 512));
    cr_assert(eq(u64, rig->calls[3].sample_time, 17280 + 512));
    rig_stop(rig);
    assert_clean(rig);
    cr_assert(rig->recorded >= 2 * 512);
}

Test(engine, worked_example_of_the_reference) {
    const struct rig_options options = {.ring_frames = 16384,
                                        .io_frames = 512,
                                        .input_safety = 64,
                                        .output_safety = 128,
                                        .has_no_stamps = true};
    rig_simulate(&options, 1, run_worked_example);
}

/* ---- the order of a cycle ---- */

struct order {
    char events[64];
    uint32_t count;
};

static void
note(struct rig *rig, char event)
{
    struct order *const order = rig->context;
    if (order->count < sizeof order->events - 1)
        order->events[order->count++] = event;
}

static struct rig *rig_of_dsp; // a plug-in's instance is its letter

static kern_return_t
note_dsp(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
         uint64_t host_time, void *context) DX_REALTIME
{
    (void)device;
    (void)operation;
    (void)frames;
    (void)sample_time;
    (void)host_time;
    note(rig_of_dsp, *(const char *)context);
    return kIOReturnSuccess;
}

static void
note_call(struct rig *rig, const struct rig_call *call)
{
    note(rig, call->operation == READ ? 'B' : 'W');
}

static void
note_client(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct rig *const rig = context;
    (void)cycle;
    note(rig, output ? 'o' : 'i');
    /* The input of this cycle is there; the output is zeroed. */
    if (input && !output)
        note(rig, ((const float *)input)[0] != 0.0f ? '+' : '-');
    if (output)
        note(rig, ((const float *)output)[0] == 0.0f ? '0' : '-');
}

static void
run_order(struct rig *rig)
{
    static const dx_dsp_plugin plugin = {.process = note_dsp};
    static struct dx_engine_dsp input_dsp = {.plugin = &plugin, .instance = (void *)(uintptr_t)"x"},
                                output_dsp = {.plugin = &plugin, .instance = (void *)(uintptr_t)"y"},
                                output_dsp_2 = {.plugin = &plugin, .instance = (void *)(uintptr_t)"z"};
    static float buffer[2][8192];
    struct dx_engine_source player = {.output_stream = 0, .input_stream = DX_NO_STREAM, .callback = note_client,
                                      .context = rig, .gain_bits = DX_GAIN_UNITY},
                            recorder = {.output_stream = DX_NO_STREAM, .input_stream = 0,
                                        .callback = note_client, .context = rig, .input_buffer = buffer[0]};
    struct order order = {.count = 0};
    rig->context = &order;
    rig->on_call = note_call;
    rig_of_dsp = rig;
    struct dx_engine_plan *const plan = &rig->plans[0];
    plan->input_dsp[0][0] = &input_dsp;
    plan->output_dsp[0][0] = &output_dsp;
    plan->output_dsp[0][1] = &output_dsp_2;
    plan->sources[plan->source_count++] = &player;
    plan->sources[plan->source_count++] = &recorder;
    rig_start(rig);
    rig_sleep_ms(rig, 50);
    rig_stop(rig);
    cr_assert(order.count > 22);
    /* From the 2nd cycle on no span lies over the edge of the ring, which would make two pieces of it. */
    cr_assert(strncmp(order.events + 0, "Bxi+o0yzWBxi+o0yzW", 18) == 0, "%s", order.events);
}

Test(engine, input_comes_before_clients_and_they_before_the_mix_and_the_handler_is_first_and_last) {
    const struct rig_options options = {.input_safety = 16, .output_safety = 32};
    rig_simulate(&options, 1, run_order);
}

static void
count_per_cycle(struct rig *rig)
{
    rig_start(rig);
    rig_sleep_ms(rig, 1000);
    rig_stop(rig);
    assert_clean(rig);
    const uint64_t cycles = rig_load(&rig->counters.cycles);
    cr_assert(cycles > 100);
    cr_assert(eq(u64, rig->call_count, 2 * cycles));
    for (uint32_t i = 0; i < rig->call_count; i++)
        cr_assert(eq(u32, rig->calls[i].operation, i % 2 ? WRITE : READ));
    cr_assert(eq(u64, rig_load(&rig->counters.input_frames), cycles * 256));
    cr_assert(eq(u64, rig_load(&rig->counters.output_frames), cycles * 256));
    cr_assert(eq(u64, rig_load(&rig->counters.handler_errors), 0));
    cr_assert(eq(u64, dx_histogram_count(&rig->counters.handler), 2 * cycles));
    cr_assert(eq(u64, dx_histogram_count(&rig->counters.cycle), cycles));
    cr_assert(eq(u64, rig_load(&rig->counters.starts), 1));
}

Test(engine, one_call_for_each_operation_however_many_streams) {
    const struct rig_options options = {
        .inputs = 3,
        .outputs = 4,
        .input = {{2, DX_SAMPLE_S16_LE, false, false}, {1, DX_SAMPLE_F32_LE, false, false},
                  {5, DX_SAMPLE_S24_3LE, true, false}},
        .output = {{1, DX_SAMPLE_S24_LE, false, false}, {8, DX_SAMPLE_F64_BE, false, false},
                   {2, DX_SAMPLE_S32_LE, true, false}, {3, DX_SAMPLE_S24_HIGH_BE, false, false}},
    };
    rig_simulate(&options, 1, count_per_cycle);
}

Test(engine, stream_that_is_not_active_is_left_alone) {
    const struct rig_options options = {
        .outputs = 3,
        .output = {{1, DX_SAMPLE_F32_LE, false, true}, {2, DX_SAMPLE_S32_LE, false, false},
                   {2, DX_SAMPLE_S16_LE, true, true}},
    };
    rig_simulate(&options, 1, count_per_cycle);
}

/* ---- operations ---- */

static void
use_one_direction(struct rig *rig)
{
    static const bool in_use[][2] = {{true, true}, {true, false}, {false, true}, {false, false}, {true, true}};
    rig_start(rig);
    rig_sleep_ms(rig, 100);
    for (unsigned i = 0; i < sizeof in_use / sizeof in_use[0]; i++) {
        struct dx_engine_plan *const plan = rig_next_plan(rig);
        plan->inputs_in_use = in_use[i][0];
        plan->outputs_in_use = in_use[i][1];
        rig_set_plan(rig);
        const uint32_t from = rig->call_count;
        const uint64_t cycles = rig_load(&rig->counters.cycles);
        rig_sleep_ms(rig, 100);
        uint32_t calls[2] = {0, 0};
        for (uint32_t c = from; c < rig->call_count; c++)
            calls[rig->calls[c].operation]++;
        const uint64_t ran = rig_load(&rig->counters.cycles) - cycles;
        cr_assert(ran >= 18, "IO runs on");
        cr_assert(eq(u64, calls[0], in_use[i][0] ? ran : 0));
        cr_assert(eq(u64, calls[1], in_use[i][1] ? ran : 0));
    }
    cr_assert(eq(u64, rig_load(&rig->counters.skipped_input_frames), 0));
    cr_assert(eq(u64, rig_load(&rig->counters.skipped_output_frames), 0));
}

Test(engine, operation_is_sent_only_if_a_stream_in_that_direction_is_in_use) {
    rig_simulate(NULL, 1, use_one_direction);
}

static void
check_host_times(struct rig *rig)
{
    rig_start(rig);
    rig_sleep_ms(rig, 2000);
    rig_stop(rig);
    assert_clean(rig);
    for (uint32_t i = 80; i < rig->call_count; i++) { // two stamps have been seen
        const struct rig_call *const call = &rig->calls[i];
        const double expected = (double)rig->origin_ns + rig->true_ns * (double)call->sample_time;
        /* In ticks of 125/3 ns; the clock was learnt from stamps of whole nanoseconds. */
        cr_assert(fabs((double)call->host_time * 125.0 / 3.0 - expected) < 45.0, "%g ns off at call %u",
                  (double)call->host_time * 125.0 / 3.0 - expected, i);
        cr_assert(call->operation == READ ? call->host_time * 125 / 3 < call->now_ns
                                          : call->host_time * 125 / 3 > call->now_ns);
    }
}

static void
set_timebase_and_check_host_times(struct rig *rig)
{
    cr_assert(eq(int, dx_clock_set_timebase(rig->clock, 125, 3), kIOReturnSuccess));
    check_host_times(rig);
}

Test(engine, host_time_is_the_predicted_time_of_the_sample_time) {
    const struct rig_options options = {.ppm = 250, .input_safety = 48, .output_safety = 96};
    rig_simulate(&options, 1, set_timebase_and_check_host_times);
}

/* A cycle is due when the position, and nothing else, reaches T. */
static void
check_wakes(struct rig *rig)
{
    rig_start(rig);
    rig_sleep_ms(rig, 3000);
    rig_stop(rig);
    assert_clean(rig);
    const uint32_t n = rig->options.io_frames;
    for (uint32_t i = 40; i < rig->call_count; i++) {
        const struct rig_call *const call = &rig->calls[i];
        const uint64_t due = call->operation == READ
                                 ? call->sample_time + n + rig->options.input_safety   // T - N - Si
                                 : call->sample_time - n - rig->options.output_safety; // T + N + So
        const double expected = (double)rig->origin_ns + rig->true_ns * (double)due;
        cr_assert(fabs((double)call->now_ns - expected) < 5.0, "call %u is %g ns off", i,
                  (double)call->now_ns - expected);
    }
    cr_assert(dx_histogram_max_ns(&rig->counters.lateness) <= 2);
}

Test(engine, cycle_is_due_when_the_position_reaches_T_whatever_the_safety_offsets) {
    const uint32_t offsets[][2] = {{0, 0}, {1, 0}, {0, 1}, {64, 128}, {500, 700}, {0, 2000}, {2000, 0}};
    for (unsigned i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        const struct rig_options options = {
            .input_safety = offsets[i][0], .output_safety = offsets[i][1], .ppm = -100, .ring_frames = 4096};
        rig_simulate(&options, i, check_wakes);
    }
}

/* ---- frame counts ---- */

struct size_case {
    uint32_t ring_frames, io_frames; // 0: the most that fits
};

static struct size_case size_cases[] = {
    {16384, 1},   {16384, 15},  {16384, 16},  {16384, 64}, {16384, 100},  {16384, 441},  {16384, 512},
    {16384, 1023}, {16384, 4096}, {16384, 5000}, {16384, 0}, {512, 1},     {512, 7},      {512, 64},
    {512, 0},     {441, 64},    {441, 0},     {1000, 320}, {1000, 0},     {100, 0},      {32768, 0},
    {65536, 8192}, {30, 2},
};

ParameterizedTestParameters(engine, every_io_size_moves_every_frame_once) {
    return cr_make_param_array(struct size_case, size_cases, sizeof size_cases / sizeof size_cases[0]);
}

static void
run_a_while(struct rig *rig)
{
    rig_start(rig);
    const uint32_t n = rig->options.io_frames;
    /* The player has to be quicker than a cycle. */
    rig_sleep_ms(rig, n < 16 ? 400 : 3000);
    rig_stop(rig);
    assert_clean(rig);
    for (uint32_t i = 0; i < rig->call_count && i < RIG_CALLS; i++)
        cr_assert(eq(u32, rig->calls[i].frames, n));
    cr_assert(rig->recorded > 8 * n);
}

ParameterizedTest(struct size_case *c, engine, every_io_size_moves_every_frame_once) {
    struct rig_options options = {.ring_frames = c->ring_frames, .io_frames = c->io_frames, .ppm = 80};
    const uint32_t most = dx_engine_max_io_frames(c->ring_frames, 3, 2, 48000.0);
    if (!options.io_frames)
        options.io_frames = most;
    options.input_safety = 3;
    options.output_safety = 2;
    if (c->ring_frames < 100) // too short for offsets and jitter
        options.input_safety = options.output_safety = 0;
    else
        cr_assert(options.io_frames <= most);
    rig_simulate(&options, c->io_frames, run_a_while);
}

Test(engine, io_size_is_bounded_so_that_three_of_them_the_offsets_and_jitter_fit) {
    cr_assert(eq(u32, dx_engine_jitter_frames(48000.0), 24)); // 0.5 ms
    cr_assert(eq(u32, dx_engine_jitter_frames(1000.0), 4));
    cr_assert(eq(u32, dx_engine_max_io_frames(16384, 64, 128, 48000.0), (16384 - 64 - 128 - 24) / 3));
    cr_assert(eq(u32, dx_engine_max_io_frames(216, 64, 128, 48000.0), 0));
    cr_assert(eq(u32, dx_engine_max_io_frames(218, 64, 128, 48000.0), 0));
    cr_assert(eq(u32, dx_engine_max_io_frames(219, 64, 128, 48000.0), 1));
    cr_assert(eq(u32, dx_engine_max_io_frames(16384, UINT32_MAX, UINT32_MAX, 48000.0), 0));
}

/* From one size to another between two cycles; each pair, and at random. */
static void
change_sizes(struct rig *rig)
{
    static const uint32_t sizes[] = {256, 16, 64, 15, 100, 441, 1, 512, 0, 3, 0, 256, 0, 16, 512, 64, 63, 0};
    const uint32_t most = dx_engine_max_io_frames(rig->options.ring_frames, rig->options.input_safety,
                                                  rig->options.output_safety, 48000.0);
    rig_start(rig);
    rig_sleep_ms(rig, 30);
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const uint32_t n = sizes[i] ? sizes[i] : most;
        rig_set_io_frames(rig, n);
        rig_sleep_ms(rig, 10.0 + (double)(dx_clock_random(rig->clock) % 3 * n) / 48.0);
        cr_assert(eq(u32, rig->engine->plan->io_frames, n));
    }
    for (unsigned i = 0; i < 300; i++) {
        rig_set_io_frames(rig, 1 + (uint32_t)(dx_clock_random(rig->clock) % most));
        if (dx_clock_random(rig->clock) % 4)
            rig_sleep_ms(rig, (double)(dx_clock_random(rig->clock) % 40000) / 1000.0);
    }
    rig_sleep_ms(rig, 300);
    rig_stop(rig);
    assert_clean(rig);
    for (uint32_t i = 0; i < rig->call_count && i < RIG_CALLS; i++)
        cr_assert(rig->calls[i].frames <= 2 * most);
}

Test(engine, io_size_changes_between_cycles_lose_and_double_no_frame) {
    for (uint64_t seed = 1; seed <= 8; seed++) {
        const struct rig_options options = {.ring_frames = 4096,
                                            .input_safety = (uint32_t)seed * 20,
                                            .output_safety = seed % 2 ? 0 : 100,
                                            .ppm = 100,
                                            .jitter_ns = seed > 4 ? 300000 : 0};
        rig_simulate(&options, seed, change_sizes);
    }
}

/* ---- handlers ---- */

static void
run_without_handler(struct rig *rig)
{
    rig_start(rig);
    rig_sleep_ms(rig, 500);
    const uint64_t cycles = rig_load(&rig->counters.cycles);
    cr_assert(cycles > 50);
    /* The last span that was written is in the ring. */
    const uint64_t until = rig->engine->output_next;
    const float *const ring = (const float *)(const void *)rig->config.outputs[0].ring;
    for (uint64_t time = until - 256; time < until; time++)
        cr_assert(ring[time % 4096 * 2 + 1] == rig_sample(time, 0, 1, false));
    struct dx_lane_state state;
    cr_assert(dx_lane_read_state(&rig->input_lanes[0], &state));
    cr_assert(eq(u64, state.end, rig->engine->input_next)); // read, whatever was there
    rig_stop(rig);
    cr_assert(eq(u64, rig_load(&rig->counters.handler_errors), 0));
    cr_assert(eq(u64, rig_load(&rig->counters.output_frames), cycles * 256));
}

Test(engine, io_runs_without_a_handler) {
    const struct rig_options options = {.has_no_handler = true, .has_no_recorder = true};
    rig_simulate(&options, 1, run_without_handler);
}

static void
run_failing_handler(struct rig *rig)
{
    static const kern_return_t answers[] = {kIOReturnNotReady, kIOReturnBadArgument, kIOReturnNoMemory,
                                            kIOReturnNotAttached, -1};
    rig_start(rig);
    rig_sleep_ms(rig, 100);
    for (unsigned i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        const uint64_t before = rig_load(&rig->counters.handler_errors);
        const uint32_t calls = rig->call_count;
        rig->answer = answers[i];
        rig_sleep_ms(rig, 100);
        cr_assert(eq(u64, rig_load(&rig->counters.handler_errors) - before, rig->call_count - calls));
        cr_assert(rig->call_count - calls > 30);
    }
    rig_stop(rig);
    assert_clean(rig); // and all of it was moved all the same
}

Test(engine, failure_of_the_handler_is_counted_and_io_goes_on) {
    rig_simulate(NULL, 1, run_failing_handler);
}

static struct dx_client_times
client_times(struct rig *rig)
{
    struct dx_client_times times;
    const struct dx_slots slots = dx_device_io_clients(&rig->io);
    cr_assert(dx_slots_read(&slots, &times));
    return times;
}

static void
compare_client_times(struct rig *rig)
{
    rig_start(rig);
    for (unsigned run = 0; run < 2; run++) {
        static const struct dx_client_times zero;
        struct dx_client_times times = client_times(rig);
        cr_assert(memcmp(&times, &zero, sizeof times) == 0, "zero before the first cycle");
        rig_sleep_ms(rig, 200);
        times = client_times(rig);
        cr_assert(eq(u64, times.output_sample_time, rig_call(rig, 0)->sample_time));
        cr_assert(eq(u64, times.output_host_time_ns, rig_call(rig, 0)->host_time));
        cr_assert(eq(u64, times.input_sample_time, rig_call(rig, 1)->sample_time));
        cr_assert(eq(u64, times.input_host_time_ns, rig_call(rig, 1)->host_time));
        if (!run) {
            rig_stop(rig);
            rig_start(rig);
        }
    }
}

Test(engine, client_times_are_the_pairs_last_handed_to_the_handler) {
    rig_simulate(NULL, 1, compare_client_times);
}

static void
look_at_client_times(struct rig *rig, const struct rig_call *call)
{
    const struct dx_client_times times = client_times(rig);
    const uint64_t own = call->operation == READ ? times.input_sample_time : times.output_sample_time;
    if (own != call->sample_time)
        rig_fail(rig, "%llu is not %llu", (unsigned long long)own, (unsigned long long)call->sample_time);
}

static void
run_with_client_times(struct rig *rig)
{
    rig->on_call = look_at_client_times;
    rig_start(rig);
    rig_sleep_ms(rig, 200);
}

Test(engine, handler_sees_its_own_pair_as_client_time) {
    rig_simulate(NULL, 1, run_with_client_times);
}

/* ---- starting and stopping ---- */

static void
wait_for_ever(struct rig *rig)
{
    rig_start(rig);
    const uint64_t start = rig_now(rig);
    cr_assert(eq(int, dx_engine_wait_started(rig->clock, &rig->signal), DX_ENGINE_TIMED_OUT));
    const uint64_t took = rig_now(rig) - start;
    cr_assert(took >= 5000000000u && took < 5002000000u, "%llu ns", (unsigned long long)took);
    cr_assert(eq(u32, rig->notices, 1));
    /* The thread idles until it is stopped: a stamp that comes now starts nothing, ... */
    dx_device_io_post(&rig->io, 0, rig_now(rig));
    rig_sleep_ms(rig, 100);
    cr_assert(eq(u32, rig->call_count, 0));
    cr_assert(eq(u32, rig->signal.phase, DX_ENGINE_TIMED_OUT));
    rig_set_io_frames(rig, 64); // ... but it still listens
    rig_stop(rig);
    cr_assert(eq(u32, rig->signal.phase, DX_ENGINE_STOPPED));
    cr_assert(eq(int, rig_page(rig).state, DX_TIMELINE_NONE));
}

Test(engine, start_without_a_stamp_times_out_after_5_seconds) {
    const struct rig_options options = {.has_no_stamps = true};
    rig_simulate(&options, 1, wait_for_ever);
}

static void
post_only_zeroes(struct rig *rig)
{
    rig_start(rig);
    for (unsigned i = 0; i < 40; i++) {
        dx_device_io_post(&rig->io, 0, 0);
        rig_sleep_ms(rig, 100);
    }
    cr_assert(eq(u32, rig->signal.phase, DX_ENGINE_STARTING));
    cr_assert(eq(int, dx_engine_wait_started(rig->clock, &rig->signal), DX_ENGINE_TIMED_OUT));
}

Test(engine, zero_zero_is_not_a_first_stamp) {
    const struct rig_options options = {.has_no_stamps = true};
    rig_simulate(&options, 1, post_only_zeroes);
}

static void
wait_without_limit(struct rig *rig)
{
    rig_start(rig);
    rig_sleep_ms(rig, 60000);
    cr_assert(eq(u32, rig->signal.phase, DX_ENGINE_STARTING));
    dx_device_io_post(&rig->io, 0, rig_now(rig));
    cr_assert(eq(int, dx_engine_wait_started(rig->clock, &rig->signal), DX_ENGINE_RUNNING));
}

Test(engine, start_may_have_no_time_limit) {
    const struct rig_options options = {.has_no_stamps = true, .start_timeout_ns = DX_NEVER};
    rig_simulate(&options, 1, wait_without_limit);
}

/* Ref 6.2: (0, 0) at the start, (0, t) one period later. */
static void
start_like_the_sample(struct rig *rig)
{
    dx_device_io_post(&rig->io, 0, 0);
    rig->origin_ns = rig_now(rig) + (uint64_t)(32768.0 * rig->true_ns);
    rig_start(rig);
    rig_sleep_ms(rig, 682);
    cr_assert(eq(u32, rig->call_count, 0));
    cr_assert(eq(int, rig_page(rig).state, DX_TIMELINE_NONE));
    cr_assert(eq(int, dx_engine_wait_started(rig->clock, &rig->signal), DX_ENGINE_RUNNING));
    cr_assert(rig_now(rig) - rig->origin_ns <= 1000000);
    rig_sleep_ms(rig, 5000);
    rig_stop(rig);
    assert_clean(rig);
    /* The first span that exists. */
    cr_assert(first_call(rig, READ)->sample_time <= 48 + 512);
    cr_assert(rig->call_count > 900);
}

Test(engine, first_stamp_may_come_a_whole_period_late) {
    const struct rig_options options = {.ring_frames = 32768, .io_frames = 512};
    rig_simulate(&options, 1, start_like_the_sample);
}

static void
start_in_its_first_frames(struct rig *rig)
{
    rig_start(rig);
    rig_sleep_ms(rig, 200);
    rig_stop(rig);
    assert_clean(rig);
    const struct rig_call *const first = first_call(rig, READ);
    cr_assert(first->sample_time < 100, "%llu", (unsigned long long)first->sample_time);
}

/* T is at least N + Si. */
Test(engine, first_sample_time_is_not_below_0) {
    const struct rig_options options = {.io_frames = 512, .input_safety = 1000};
    rig_simulate(&options, 1, start_in_its_first_frames);
}

static void
post_the_future_then_the_truth(struct rig *rig)
{
    rig_start(rig);
    rig_sleep_ms(rig, 10);
    dx_device_io_post(&rig->io, 0, rig_now(rig) + 3600000000000u);
    rig_sleep_ms(rig, 10);
    for (uint64_t k = 0; k < 20; k++) {
        dx_device_io_post(&rig->io, k * 4096, rig_now(rig));
        rig_sleep_ms(rig, 4096.0 / 48.0);
    }
    cr_assert(rig->call_count > 50, "%u calls", rig->call_count);
}

Test(engine, stamp_of_the_far_future_does_not_put_io_to_sleep) {
    const struct rig_options options = {.has_no_stamps = true, .has_no_player = true, .has_no_recorder = true};
    rig_simulate(&options, 1, post_the_future_then_the_truth);
}

static void
start_and_stop_often(struct rig *rig)
{
    uint64_t last_end = 0;
    for (unsigned i = 0; i < 30; i++) {
        rig_start(rig);
        cr_assert(not(dx_engine_is_io_task(rig->engine)));
        rig_sleep_ms(rig, 300 + i);
        rig_stop(rig);
        cr_assert(rig->output_next > last_end);
        last_end = rig->output_next;
        const struct dx_timeline_page page = rig_page(rig);
        cr_assert(eq(int, page.state, DX_TIMELINE_STOPPED));
        const double position = rig_position(rig);
        rig_sleep_ms(rig, 77.7);
        cr_assert(fabs(rig_position(rig) - position - 77.7 * 48.0) < 3.0, "device time goes on by the last line");
    }
    cr_assert(eq(u64, rig_load(&rig->counters.starts), 30));
    cr_assert(eq(u64, rig_load(&rig->counters.overloads), 0));
    cr_assert(eq(u64, rig_load(&rig->counters.bad_stamps), 0));
    /* Each stamp is counted once, however often IO is started. */
    cr_assert(rig_load(&rig->counters.stamps) <= rig->io.stamp_count);
}

/* The stored stamps go on: the driver's clock never stopped. */
Test(engine, device_time_goes_on_over_stop_and_start) {
    rig_simulate(NULL, 1, start_and_stop_often);
}

static void
be_slow_in_handler(struct rig *rig, const struct rig_call *call)
{
    (void)call;
    rig_be_slow(rig, 1000000);
}

static void
stop_during_a_call(struct rig *rig)
{
    rig->on_call = be_slow_in_handler;
    rig_start(rig);
    rig_sleep_ms(rig, 100);
    for (unsigned i = 0; i < 20; i++) {
        rig_sleep_ms(rig, 3.3);
        rig_stop(rig); // waits for the cycle to end
        const uint32_t calls = rig->call_count;
        cr_assert(calls % 2 == 0, "a cycle is not cut short");
        rig_sleep_ms(rig, 20);
        cr_assert(eq(u32, rig->call_count, calls));
        rig_start(rig);
    }
}

Test(engine, no_call_runs_after_stop) {
    for (uint64_t seed = 1; seed < 6; seed++)
        rig_simulate(NULL, seed, stop_during_a_call);
}

/* ---- the whole, again and again ---- */

struct outcome {
    uint64_t hash, log_hash;
};

static void
run_everything(struct rig *rig)
{
    rig_start(rig);
    for (unsigned i = 0; i < 60; i++) {
        rig_sleep_ms(rig, 20);
        if (dx_clock_random(rig->clock) % 3 == 0)
            rig_set_io_frames(rig, 1 + (uint32_t)(dx_clock_random(rig->clock) % 1000));
        if (dx_clock_random(rig->clock) % 9 == 0) {
            rig_stop(rig);
            rig_sleep_ms(rig, (double)(dx_clock_random(rig->clock) % 50));
            rig->input_next = rig->output_next = 0;
            rig_start(rig);
        }
    }
    rig_stop(rig);
    cr_assert(eq(u64, rig_load(&rig->counters.overloads), 0));
    cr_assert(eq(u64, rig_load(&rig->counters.late_cycles), 0));
}

static struct outcome
run_seed(uint64_t seed)
{
    const struct rig_options options = {.jitter_ns = 400000, .ppm = -150, .input_safety = 30, .output_safety = 60};
    struct rig *const rig = calloc(1, sizeof *rig);
    dx_simulation_result result;
    rig_run(rig, &options, seed, run_everything, &result);
    const struct outcome outcome = {rig->hash, result.log_hash};
    free(rig);
    return outcome;
}

Test(engine, equal_seeds_give_equal_bytes_and_others_pass_as_well) {
    uint64_t last = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        const struct outcome first = run_seed(seed), second = run_seed(seed);
        cr_assert(eq(u64, first.hash, second.hash));
        cr_assert(eq(u64, first.log_hash, second.log_hash));
        cr_assert(ne(u64, first.log_hash, last));
        last = first.log_hash;
    }
}
