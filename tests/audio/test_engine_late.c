// SPDX-License-Identifier: MIT
// Cycles that come late: skipped, or run in order within the tolerance; counted, and with the cause named.

#include "core/clock.h"
#include "tests/audio/engine_rig.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <string.h>

#define FRAME_NS (1e9 / 48000.0)

static uint64_t
cause(const struct rig *rig, dx_cause which)
{
    return rig_load(&rig->counters.causes[which]);
}

static uint64_t
count_other_causes(const struct rig *rig, dx_cause which)
{
    uint64_t sum = 0;
    for (int i = 0; i < DX_CAUSE_COUNT; i++)
        sum += i == (int)which ? 0 : cause(rig, (dx_cause)i);
    return sum;
}

/* ---- a wake that comes late: the IO thread's own wait is made longer ---- */

static uint64_t oversleep_ns; // once

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

/* ---- what makes a cycle slow ---- */

static uint64_t slow_ns; // once

static void
be_slow_once(struct rig *rig) DX_REALTIME
{
    const uint64_t ns = slow_ns;
    slow_ns = 0;
    if (ns)
        rig_be_slow(rig, ns);
}

static void
slow_handler(struct rig *rig, const struct rig_call *call)
{
    (void)call;
    be_slow_once(rig);
}

static void
slow_reader(struct rig *rig, const struct rig_call *call)
{
    if (call->operation == IOUserAudioIOOperationBeginRead)
        be_slow_once(rig);
}

/* ---- skipping ---- */

/* Late by `late` frames: runs, late, while that is below N + So; else whole cycles are skipped. */
static void
check_one_delay(struct rig *rig, double late_frames)
{
    const uint32_t n = rig->options.io_frames;
    const uint64_t overloads = rig_load(&rig->counters.overloads);
    const uint64_t late = rig_load(&rig->counters.late_cycles);
    const uint64_t gaps[2] = {rig->input_gaps, rig->output_gaps};
    const uint64_t skipped[2] = {rig_load(&rig->counters.skipped_input_frames),
                                 rig_load(&rig->counters.skipped_output_frames)};
    const uint64_t notices = rig->notices;

    slow_ns = (uint64_t)(late_frames * FRAME_NS);
    rig_sleep_ms(rig, late_frames / 48.0 + 200.0);
    cr_assert(slow_ns == 0);

    const uint64_t gap = rig->output_gaps - gaps[1];
    cr_assert(eq(u64, rig->input_gaps - gaps[0], gap)); // both directions skip the same
    cr_assert(eq(u64, gap % n, 0));                     // T stays on its grid
    cr_assert(eq(u64, rig_load(&rig->counters.skipped_input_frames) - skipped[0], gap));
    cr_assert(eq(u64, rig_load(&rig->counters.skipped_output_frames) - skipped[1], gap));
    /* The cycle that was slow, due at T, ends at T + late: late from N + So on.  The next, due at T + N, is skipped from
     * T + N + N + So on. */
    const double over = late_frames - n - rig->options.output_safety;
    cr_assert(eq(u64, rig_load(&rig->counters.late_cycles) > late, over > 0.0), "%g frames", late_frames);
    cr_assert(eq(u64, rig_load(&rig->counters.overloads) - overloads, over > n), "%g frames", late_frames);
    cr_assert(eq(u64, rig->notices - notices, over > n));
    const uint64_t expected = over > n ? (uint64_t)(late_frames / n) * n : 0;
    cr_assert(eq(u64, gap, expected), "%g frames", late_frames);
}

static void
skip(struct rig *rig)
{
    const uint32_t n = rig->options.io_frames, so = rig->options.output_safety;
    rig->on_call = slow_reader;
    rig_start(rig);
    rig_sleep_ms(rig, 500);
    const double delays[] = {n - 2, n + 5, n + so - 3, n + so + 3, 2 * n + so - 5, 2 * n + so + 5,
                             3 * n + 7, 10 * n + 31, 15 * n + 1.5};
    for (unsigned i = 0; i < sizeof delays / sizeof delays[0]; i++)
        check_one_delay(rig, delays[i]);
    rig_stop(rig);
    cr_assert(cause(rig, DX_CAUSE_HANDLER) > 0);
    cr_assert(eq(u64, count_other_causes(rig, DX_CAUSE_HANDLER), 0));
    cr_assert(eq(u64, rig_load(&rig->counters.bad_stamps), 0));
    /* The samples are right after each gap: the rig has compared them all. */
    cr_assert(eq(u64, rig->recorded_silent, rig->input_gaps));
}

Test(engine_late, overload_skips_whole_cycles_and_counts_the_true_gap) {
    const uint32_t sizes[][2] = {{256, 0}, {256, 100}, {100, 40}, {1000, 0}};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct rig_options options = {
            .ring_frames = 4096, .io_frames = sizes[i][0], .input_safety = 30, .output_safety = sizes[i][1]};
        rig_simulate(&options, i, skip);
    }
}

static void
always_slow(struct rig *rig, const struct rig_call *call)
{
    if (call->operation == IOUserAudioIOOperationWriteEnd)
        rig_be_slow(rig, (uint64_t)(3.3 * 256 * FRAME_NS));
}

static void
be_slow_for_long(struct rig *rig)
{
    rig->on_call = always_slow;
    rig_start(rig);
    rig_sleep_ms(rig, 3000);
    const uint64_t cycles = rig_load(&rig->counters.cycles);
    cr_assert(cycles > 100, "IO goes on as well as it can");
    rig->on_call = NULL;
    rig_sleep_ms(rig, 50);
    const uint64_t overloads = rig_load(&rig->counters.overloads);
    rig_sleep_ms(rig, 1000);
    cr_assert(eq(u64, rig_load(&rig->counters.overloads), overloads));
    rig_stop(rig);
    cr_assert(eq(u64, rig->output_gaps, rig_load(&rig->counters.skipped_output_frames)));
    cr_assert(eq(u64, rig->input_gaps, rig_load(&rig->counters.skipped_input_frames)));
    cr_assert(eq(u64, count_other_causes(rig, DX_CAUSE_HANDLER), 0));
}

Test(engine_late, handler_that_is_always_slow_does_not_stop_io) {
    rig_simulate(NULL, 1, be_slow_for_long);
}

/* ---- the tolerance ---- */

static void
stall_within(struct rig *rig)
{
    const uint32_t n = rig->options.io_frames;
    const double most = rig->options.late_tolerance + 2.0 * n + rig->options.output_safety;
    rig->on_call = slow_handler;
    rig_start(rig);
    rig_sleep_ms(rig, 500);
    const double stalls[] = {n * 3.0, n * 10.0 + 0.5, most / 2.0, most - 3.0};
    for (unsigned i = 0; i < sizeof stalls / sizeof stalls[0]; i++) {
        const uint64_t late = rig_load(&rig->counters.late_cycles);
        const uint32_t calls = rig->call_count;
        slow_ns = (uint64_t)(stalls[i] * FRAME_NS);
        rig_sleep_ms(rig, stalls[i] / 48.0 + 300.0);
        cr_assert(rig_load(&rig->counters.late_cycles) > late);
        /* In order, each with its own sample time. */
        for (uint32_t c = calls; c + 2 < rig->call_count; c++) {
            const struct rig_call *const call = &rig->calls[c], *const next = &rig->calls[c + 2];
            cr_assert(eq(u64, next->sample_time, call->sample_time + n));
            cr_assert(eq(u32, call->frames, n));
        }
    }
    rig_stop(rig);
    cr_assert(eq(u64, rig_load(&rig->counters.overloads), 0));
    cr_assert(eq(u64, rig->input_gaps, 0));
    cr_assert(eq(u64, rig->output_gaps, 0));
    cr_assert(eq(u64, rig->recorded_silent, 0));
    cr_assert(eq(u64, rig_load(&rig->sources[0].underrun_frames), 0));
    cr_assert(eq(u64, rig_load(&rig->counters.skipped_input_frames), 0));
}

Test(engine_late, stall_within_the_tolerance_loses_nothing) {
    for (uint64_t seed = 1; seed <= 4; seed++) {
        const struct rig_options options = {.ring_frames = 8192,
                                            .io_frames = (uint32_t)(seed * 64),
                                            .output_safety = 50,
                                            .late_tolerance = 3000 * (uint32_t)seed};
        rig_simulate(&options, seed, stall_within);
    }
}

static void
stall_beyond(struct rig *rig)
{
    rig->on_call = slow_reader;
    rig_start(rig);
    rig_sleep_ms(rig, 500);
    slow_ns = (uint64_t)((4000 + 2 * 256 + 20) * FRAME_NS);
    rig_sleep_ms(rig, 1000);
    rig_stop(rig);
    cr_assert(eq(u64, rig_load(&rig->counters.overloads), 1));
    cr_assert(eq(u64, rig->output_gaps, (4000 + 2 * 256 + 20) / 256 * 256));
    cr_assert(eq(u64, rig_load(&rig->counters.skipped_output_frames), rig->output_gaps));
}

Test(engine_late, stall_beyond_the_tolerance_skips) {
    const struct rig_options options = {.ring_frames = 8192, .late_tolerance = 4000};
    rig_simulate(&options, 1, stall_beyond);
}

/* ---- causes ---- */

static void
oversleep(struct rig *rig)
{
    rig_start(rig);
    rig_sleep_ms(rig, 300);
    for (unsigned i = 1; i <= 10; i++) {
        oversleep_ns = (uint64_t)((2.1 + i) * 256 * FRAME_NS);
        rig_sleep_ms(rig, 300);
        cr_assert(eq(u64, oversleep_ns, 0));
        cr_assert(eq(u64, rig_load(&rig->counters.overloads), i));
        cr_assert(eq(u64, cause(rig, DX_CAUSE_LATE_WAKE), i));
    }
    cr_assert(eq(u64, count_other_causes(rig, DX_CAUSE_LATE_WAKE), 0));
    cr_assert(dx_histogram_max_ns(&rig->counters.lateness) >= (uint64_t)(12.1 * 256 * FRAME_NS) - 2000);
    /* Before T + N + So it may begin; after it, the next T is the next one in the future. */
    const uint64_t gaps = rig->output_gaps;
    oversleep_ns = (uint64_t)(0.99 * 256 * FRAME_NS);
    rig_sleep_ms(rig, 300);
    cr_assert(eq(u64, rig->output_gaps, gaps));
    oversleep_ns = (uint64_t)(1.5 * 256 * FRAME_NS);
    rig_sleep_ms(rig, 300);
    rig_stop(rig);
    cr_assert(eq(u64, rig_load(&rig->counters.overloads), 11));
    cr_assert(eq(u64, rig->output_gaps, gaps + 512));
    cr_assert(eq(u64, rig->output_gaps, rig_load(&rig->counters.skipped_output_frames)));
}

Test(engine_late, wake_that_came_late_is_named) {
    rig_simulate(NULL, 1, oversleep);
}

static struct rig *rig_of_plugin;

static kern_return_t
process_slowly(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
               uint64_t host_time, void *context) DX_REALTIME
{
    (void)device;
    (void)operation;
    (void)frames;
    (void)sample_time;
    (void)host_time;
    (void)context;
    be_slow_once(rig_of_plugin);
    return kIOReturnSuccess;
}

static void
delay_repeatedly(struct rig *rig, dx_cause which)
{
    rig_start(rig);
    rig_sleep_ms(rig, 300);
    for (unsigned i = 1; i <= 10; i++) {
        slow_ns = (uint64_t)((2.1 + i) * 256 * FRAME_NS);
        rig_sleep_ms(rig, 300);
        cr_assert(eq(u64, rig_load(&rig->counters.overloads), i));
        cr_assert(eq(u64, rig_load(&rig->counters.late_cycles), i));
        cr_assert(eq(u64, cause(rig, which), 2 * i)); // the late cycle, and those skipped after it
    }
    cr_assert(eq(u64, count_other_causes(rig, which), 0));
    rig_stop(rig);
    cr_assert(eq(u64, rig->output_gaps, rig_load(&rig->counters.skipped_output_frames)));
}

static void
delay_in_plugin(struct rig *rig)
{
    static const dx_dsp_plugin plugin = {.process = process_slowly};
    static struct dx_engine_dsp dsp = {.plugin = &plugin};
    rig_of_plugin = rig;
    rig->plans[0].output_dsp[0][0] = &dsp;
    delay_repeatedly(rig, DX_CAUSE_DSP);
}

Test(engine_late, plugin_that_takes_too_long_is_named) {
    rig_simulate(NULL, 1, delay_in_plugin);
}

static void
dawdle(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    (void)cycle;
    (void)input;
    (void)output;
    be_slow_once(context);
}

static void
delay_in_client(struct rig *rig)
{
    static struct dx_engine_source source;
    source = (struct dx_engine_source){
        .output_stream = 0, .input_stream = DX_NO_STREAM, .callback = dawdle, .context = rig,
        .gain_bits = DX_GAIN_UNITY};
    rig->plans[0].sources[rig->plans[0].source_count++] = &source;
    delay_repeatedly(rig, DX_CAUSE_CLIENT);
}

Test(engine_late, synchronous_client_that_takes_too_long_is_named) {
    rig_simulate(NULL, 1, delay_in_client);
}

static void
delay_in_handler(struct rig *rig)
{
    rig->on_call = slow_handler;
    delay_repeatedly(rig, DX_CAUSE_HANDLER);
}

Test(engine_late, handler_that_takes_too_long_is_named) {
    rig_simulate(NULL, 1, delay_in_handler);
}

/* The driver's clock jumps ahead by less than makes a stamp a bad one: what was due later is due now. */
static void
move_due_time_back(struct rig *rig)
{
    rig_start(rig);
    for (unsigned i = 1; i <= 10; i++) {
        rig_sleep_ms(rig, 300);
        cr_assert(eq(u64, rig_load(&rig->counters.overloads), i - 1));
        rig->origin_ns -= 6000000; // 288 frames: more than N + So
        rig_sleep_ms(rig, 200);
        cr_assert(eq(u64, rig_load(&rig->counters.overloads), i));
        cr_assert(eq(u64, cause(rig, DX_CAUSE_BAD_STAMP), i));
    }
    rig_stop(rig);
    cr_assert(eq(u64, count_other_causes(rig, DX_CAUSE_BAD_STAMP), 0));
    cr_assert(eq(u64, rig_load(&rig->counters.bad_stamps), 0));
    /* Each wake came when it had been asked for. */
    cr_assert(dx_histogram_max_ns(&rig->counters.lateness) < 1000000);
    cr_assert(eq(u64, rig->output_gaps, rig_load(&rig->counters.skipped_output_frames)));
}

Test(engine_late, stamp_that_moves_the_due_time_back_is_named_not_the_wake) {
    const struct rig_options options = {.io_frames = 64, .algorithm = IOUserAudioClockAlgorithmRaw};
    rig_simulate(&options, 1, move_due_time_back);
}

/* ---- by chance ---- */

static void
delay_by_chance(struct rig *rig)
{
    rig->on_call = slow_handler;
    rig_start(rig);
    rig_sleep_ms(rig, 300);
    for (unsigned i = 0; i < 100; i++) {
        const uint64_t dice = dx_clock_random(rig->clock);
        if (dice % 4 == 0)
            slow_ns = dice / 4 % 60000000;
        else if (dice % 4 == 1)
            oversleep_ns = dice / 4 % 60000000;
        else if (dice % 4 == 2)
            rig_set_io_frames(rig, 1 + (uint32_t)(dice / 4 % 1000));
        rig_sleep_ms(rig, (double)(dice / 1024 % 40));
    }
    rig_sleep_ms(rig, 300);
    const uint64_t overloads = rig_load(&rig->counters.overloads), late = rig_load(&rig->counters.late_cycles);
    rig_sleep_ms(rig, 300);
    rig_stop(rig);
    cr_assert(eq(u64, rig_load(&rig->counters.overloads), overloads));
    cr_assert(eq(u64, rig_load(&rig->counters.late_cycles), late));
    cr_assert(eq(u64, rig->input_gaps, rig_load(&rig->counters.skipped_input_frames)));
    cr_assert(eq(u64, rig->output_gaps, rig_load(&rig->counters.skipped_output_frames)));
    cr_assert(eq(u64, rig->recorded_silent, rig->input_gaps));
    cr_assert(rig->options.late_tolerance || overloads > 5);
}

Test(engine_late, frames_are_right_or_counted_whatever_is_late) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        const struct rig_options options = {.input_safety = 10,
                                            .output_safety = 60,
                                            .late_tolerance = seed % 3 ? 0 : 2000,
                                            .jitter_ns = seed % 2 ? 0 : 200000};
        rig_simulate(&options, seed, delay_by_chance);
    }
}
