// SPDX-License-Identifier: MIT
// Stamps that stop, jump and start again: driver time moves, device time goes on.

#include "tests/audio/engine_rig.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>

/* Looks at the page each millisecond, as clients might. */
static _Atomic bool watching;

static void
watch_page(void *argument)
{
    struct rig *const rig = argument;
    double last = 0.0;
    uint64_t last_now = 0, mixed_until = 0;
    while (atomic_load_explicit(&watching, memory_order_relaxed)) {
        const struct dx_timeline_page page = rig_page(rig);
        const uint64_t now = rig_now(rig);
        const double position = dx_timeline_page_position(&page, now);
        if (!dx_timeline_page_is_sane(&page))
            rig_fail(rig, "an insane page");
        if (position < last)
            rig_fail(rig, "device time went back from %f to %f", last, position);
        /* It began once; from there on no jump forward either: two clocks apart by 1 % at the most, a jitter of half
         * a millisecond, and rounding up. */
        const double expected = last + (double)(now - last_now) / rig->true_ns;
        if (last > 0.0 && position > expected * 1.0001 + 26.0)
            rig_fail(rig, "device time jumped from %f to %f, %f after %llu ns", last, position, expected,
                     (unsigned long long)(now - last_now));
        if (page.mixed_until < mixed_until)
            rig_fail(rig, "mixed_until went back");
        last = position;
        last_now = now;
        mixed_until = page.mixed_until;
        rig_sleep_ms(rig, 1);
    }
}

static struct dx_task *watcher;

static void
start_watching(struct rig *rig)
{
    const dx_task_config config = {.name = "watcher"};
    atomic_store_explicit(&watching, true, memory_order_relaxed);
    cr_assert(eq(int, dx_task_spawn(rig->clock, &config, watch_page, rig, &watcher), kIOReturnSuccess));
}

static void
stop_watching(void)
{
    atomic_store_explicit(&watching, false, memory_order_relaxed);
    dx_task_join(watcher);
    watcher = NULL;
}

/* ---- (0, 0) ---- */

static void
suspend_and_resume(struct rig *rig)
{
    rig_start(rig);
    start_watching(rig);
    for (unsigned i = 0; i < 12; i++) {
        rig_sleep_ms(rig, 300 + 7 * i);
        atomic_store_explicit(&rig->is_posting, false, memory_order_relaxed);
        dx_device_io_post(&rig->io, 0, 0);
        rig_sleep_ms(rig, 15); // what is due runs on; then cycles wait
        cr_assert(eq(int, rig_page(rig).state, DX_TIMELINE_WAITING));
        const uint32_t calls = rig->call_count;
        const uint64_t gaps = rig->output_gaps;
        const double position = rig_position(rig);
        rig_sleep_ms(rig, 100 * i);
        cr_assert(eq(u32, rig->call_count, calls));
        cr_assert(fabs(rig_position(rig) - position - 4800.0 * i) < 3.0, "device time goes on");
        cr_assert(eq(u32, rig->signal.phase, DX_ENGINE_RUNNING)); // the start's time limit is over
        /* The driver starts anew at 0, or goes on. */
        if (i % 2)
            rig_move_driver(rig, 0);
        else
            rig_move_driver(rig, (rig->next_stamp + 1) * rig->options.ring_frames - 10);
        atomic_store_explicit(&rig->is_posting, true, memory_order_relaxed);
        rig_sleep_ms(rig, 200);
        cr_assert(rig->call_count > calls + 20, "IO resumes");
        cr_assert(rig->output_gaps > gaps, "there was a gap");
    }
    stop_watching();
    cr_assert(eq(u64, rig_load(&rig->counters.bad_stamps), 0)); // (0, 0) is how it is announced
    cr_assert(eq(u64, rig_load(&rig->counters.overloads), 0));
    rig_stop(rig);
    cr_assert(eq(u64, rig->input_gaps, rig_load(&rig->counters.skipped_input_frames)));
    cr_assert(eq(u64, rig->output_gaps, rig_load(&rig->counters.skipped_output_frames)));
    cr_assert(eq(u64, rig->recorded_silent, rig->input_gaps));
}

Test(engine_stamps, zero_zero_suspends_io_and_the_next_stamp_resumes_it) {
    const struct rig_options options = {.input_safety = 20, .output_safety = 40};
    rig_simulate(&options, 1, suspend_and_resume);
}

/* ---- jumps ---- */

struct jump_case {
    char name[40];
    double frames;   // what the driver's counter jumps by; NAN: to 0
    double host_ms;  // what its host times jump by
    double pause_ms; // how long it posts nothing
    bool is_bad;     // whether that is out of line
};

static struct jump_case jump_cases[] = {
    {"no jump", 0, 0, 0, false},
    {"one period ahead", 4096, 0, 0, true},
    {"a second ahead", 49152, 0, 0, true},
    {"a day ahead", 4096.0 * 1e6, 0, 0, true},
    {"one period back", -4096, 0, 0, true},
    {"far back", -40960, 0, 0, true},
    {"off the grid", 100, 0, 0, true},
    {"off the grid, back", -100, 0, 0, true},
    {"restarted at 0", NAN, 0, 0, true},
    {"a second late", 0, 1000, 0, true},
    {"a second early", 0, -1000, 0, true},
    {"an hour late", 0, 3600000, 0, true},
    {"an hour early", 0, -3600000, 0, true},
    {"both", 40960, 500, 0, true},
    {"stopped for a second", 0, 0, 1000, true},
    {"stopped for 10 s", 0, 0, 10000, true},
    {"stopped and restarted at 0", NAN, 0, 2000, true},
    {"stopped and elsewhere", 123 * 4096.0, 77, 300, true},
};

static struct jump_case *current;

static void
jump(struct rig *rig)
{
    const struct jump_case *const c = current;
    rig_start(rig);
    rig_sleep_ms(rig, 1000);
    start_watching(rig);
    rig_sleep_ms(rig, 500);
    for (unsigned i = 0; i < 6; i++) {
        const uint32_t calls = rig->call_count;
        if (c->pause_ms != 0.0) {
            atomic_store_explicit(&rig->is_posting, false, memory_order_relaxed);
            rig_sleep_ms(rig, c->pause_ms);
        }
        const double driver = (double)(rig_now(rig) - rig->origin_ns) / rig->true_ns;
        const double to = isnan(c->frames) ? 0.0 : driver + c->frames;
        if (isnan(c->frames))
            rig_move_driver(rig, 0);
        else if (c->frames != 0.0) {
            /* Not on the grid: the stamps themselves are off it by that much. */
            const bool is_off = fmod(c->frames, 4096.0) != 0.0;
            if (is_off)
                dx_device_io_post(&rig->io, (uint64_t)(floor(to / 4096.0) * 4096.0 + 100.0), rig_now(rig));
            else
                rig_move_driver(rig, (uint64_t)to);
        }
        atomic_store_explicit(&rig->is_posting, true, memory_order_relaxed);
        if (c->host_ms != 0.0) {
            /* Its host times, not the moment at which they are posted. */
            atomic_store_explicit(&rig->is_posting, false, memory_order_relaxed);
            uint64_t frame = (uint64_t)(driver / 4096.0 + 1.0) * 4096;
            for (unsigned k = 0; k < 10; k++, frame += 4096) {
                const double host = (double)rig->origin_ns + rig->true_ns * (double)frame + c->host_ms * 1e6;
                dx_device_io_post(&rig->io, frame, host > 1.0 ? (uint64_t)host : 1);
                rig_sleep_ms(rig, 4096.0 / 48.0);
            }
            atomic_store_explicit(&rig->is_posting, true, memory_order_relaxed);
        }
        rig_sleep_ms(rig, 800);
        cr_assert(rig->call_count > calls + 60, "%s: IO goes on", c->name);
    }
    stop_watching();
    rig_stop(rig);
    const uint64_t bad = rig_load(&rig->counters.bad_stamps);
    cr_assert(c->is_bad ? bad >= 6 : bad == 0, "%s: %llu bad stamps", c->name, (unsigned long long)bad);
    cr_assert(eq(u64, rig_load(&rig->counters.reanchors), bad));
    cr_assert(eq(u64, rig_load(&rig->counters.overloads), 0), "%s", c->name);
    /* Lanes go on exactly in device time.  What has no driver time is left out, and counted. */
    cr_assert(eq(u64, rig->output_gaps, rig_load(&rig->counters.skipped_output_frames)), "%s", c->name);
    cr_assert(eq(u64, rig->input_gaps, rig_load(&rig->counters.skipped_input_frames)), "%s", c->name);
    cr_assert(eq(u64, rig->recorded_silent, rig->input_gaps), "%s", c->name);
    if (c->host_ms < 60000.0) { // an hour from now the driver's first frame is: until then there is nothing
        cr_assert(eq(u64, rig->output_gaps, 0), "%s", c->name);
        cr_assert(isnan(c->frames) ? rig->input_gaps <= 6 * 2 * 276 : rig->input_gaps == 0, "%s: %llu", c->name,
                  (unsigned long long)rig->input_gaps);
    }
    cr_assert(eq(u64, rig_load(&rig->sources[0].underrun_frames), 0), "%s", c->name);
}

ParameterizedTestParameters(engine_stamps, jumps_of_driver_time_do_not_move_device_time) {
    return cr_make_param_array(struct jump_case, jump_cases, sizeof jump_cases / sizeof jump_cases[0]);
}

ParameterizedTest(struct jump_case *c, engine_stamps, jumps_of_driver_time_do_not_move_device_time) {
    current = c;
    const IOUserAudioClockAlgorithm algorithms[] = {
        IOUserAudioClockAlgorithmRaw, IOUserAudioClockAlgorithmSimpleIIR,
        IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage};
    for (uint64_t i = 0; i < 3; i++) {
        const struct rig_options options = {
            .input_safety = 20,
            .output_safety = 40,
            .algorithm = algorithms[i],
            .ppm = i == 1 ? 200 : 0,
            .clock_start_ns = 9000000000000u, // 2.5 h: room for what is early
        };
        rig_simulate(&options, i + 1, jump);
    }
}

/* ---- the first of them ---- */

static void
start_hours_into_driver_time(struct rig *rig)
{
    const uint64_t ring = rig->options.ring_frames;
    rig_move_driver(rig, 5u * 3600u * 48000u + 77u);
    rig_start(rig);
    rig_sleep_ms(rig, 500);
    /* The first stamp comes up to a ring after the start, at a multiple of the ring. */
    const double position = rig_position(rig);
    cr_assert(position > 0.0 && position < 24000.0 + (double)ring, "device time is %f", position);
    for (uint32_t i = 0; i < rig->call_count; i++) {
        const struct rig_call *const call = &rig->calls[i];
        cr_assert(call->device_time >= 0 && call->device_time < 24000 + 2 * (int64_t)ring);
        cr_assert(eq(u64, call->sample_time % ring, (uint64_t)call->device_time % ring));
        cr_assert(call->sample_time > 5u * 3600u * 48000u - ring);
    }
    cr_assert(rig->call_count > 100);
    rig_stop(rig);
    cr_assert(eq(u64, rig_load(&rig->counters.skipped_output_frames), 0));
    cr_assert(eq(u64, rig_load(&rig->counters.skipped_input_frames), 0));
}

Test(engine_stamps, device_time_begins_in_the_first_ring_of_a_driver_that_counts_since_hours) {
    const struct rig_options options = {
        .clock_start_ns = 40000000000000u, .input_safety = 10, .output_safety = 20};
    rig_simulate(&options, 1, start_hours_into_driver_time);
}

/* ---- stop, start ---- */

static void
restart_from_0(struct rig *rig)
{
    start_watching(rig);
    for (unsigned i = 0; i < 10; i++) {
        /* As the sample does: (0, 0), then (0, now). */
        dx_device_io_post(&rig->io, 0, 0);
        rig_move_driver(rig, 0);
        rig_start(rig);
        rig_sleep_ms(rig, 700);
        rig_stop(rig);
        rig_sleep_ms(rig, 50 * i);
        rig->origin_ns = 0;
        rig->input_next = rig->output_next = 0;
    }
    stop_watching();
    cr_assert(eq(u64, rig_load(&rig->counters.bad_stamps), 0));
    cr_assert(eq(u64, rig_load(&rig->counters.overloads), 0));
}

Test(engine_stamps, device_time_goes_on_when_io_is_started_anew_from_0) {
    const struct rig_options options = {.has_no_recorder = true};
    rig_simulate(&options, 3, restart_from_0);
}

static void
change_rate_between_runs(struct rig *rig)
{
    static const double rates[] = {48000, 44100, 96000, 8000, 192000, 48000};
    start_watching(rig);
    double last = 0.0;
    for (unsigned i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        rig->config.timeline.rate_hz = rates[i];
        rig->true_ns = 1e9 / rates[i];
        dx_device_io_post(&rig->io, 0, 0);
        rig_move_driver(rig, 0);
        rig_start(rig);
        rig_sleep_ms(rig, 1500);
        cr_assert(fabs(rig_page(rig).ns_per_frame / rig->true_ns - 1.0) < 1e-6);
        cr_assert(rig_page(rig).rate_hz == rates[i]);
        rig_stop(rig);
        cr_assert(rig_position(rig) > last);
        last = rig_position(rig);
        rig->input_next = rig->output_next = 0;
    }
    stop_watching();
}

Test(engine_stamps, device_time_goes_on_over_a_change_of_rate) {
    const struct rig_options options = {.has_no_recorder = true, .has_no_player = true};
    rig_simulate(&options, 3, change_rate_between_runs);
}

/* ---- all of it, by chance ---- */

static void
do_anything(struct rig *rig)
{
    rig_start(rig);
    start_watching(rig);
    for (unsigned i = 0; i < 80; i++) {
        const uint64_t dice = dx_clock_random(rig->clock);
        rig_sleep_ms(rig, (double)(dice / 64 % 200));
        switch (dice % 8) {
        case 0:
            rig_move_driver(rig, dx_clock_random(rig->clock) % 1000000);
            break;
        case 1:
            rig_move_driver(rig, 0);
            break;
        case 2:
            dx_device_io_post(&rig->io, 0, 0);
            break;
        case 3:
            dx_device_io_post(&rig->io, dx_clock_random(rig->clock) >> (dice / 8 % 64),
                              dx_clock_random(rig->clock) >> (dice / 512 % 64));
            break;
        case 4:
            rig_set_io_frames(rig, 1 + (uint32_t)(dice / 8 % 1000));
            break;
        case 5:
            rig_stop(rig);
            rig_sleep_ms(rig, (double)(dice / 8 % 100));
            rig_start(rig);
            break;
        default:
            break;
        }
    }
    stop_watching();
    rig_stop(rig);
    cr_assert(eq(u64, rig_load(&rig->counters.overloads), 0));
}

Test(engine_stamps, nothing_a_driver_posts_moves_device_time_back) {
    for (uint64_t seed = 1; seed <= 30; seed++) {
        const struct rig_options options = {.has_no_recorder = true, .jitter_ns = seed % 3 ? 0 : 100000};
        rig_simulate(&options, seed, do_anything);
    }
}
