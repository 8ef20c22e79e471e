// SPDX-License-Identifier: MIT
// The clock filters against second implementations, and what each kind of bad stamp does.

#include "audio/timeline.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <string.h>

#define RATE 48000.0
#define NOMINAL (1e9 / RATE)

/* ---- helpers ---- */

static struct dx_timeline
timeline_of(IOUserAudioClockAlgorithm algorithm, double rate, uint32_t period)
{
    const struct dx_timeline_config config = {
        .rate_hz = rate, .period_frames = period, .algorithm = algorithm, .start_count = 0};
    struct dx_timeline timeline;
    dx_timeline_init(&timeline, &config);
    return timeline;
}

/* Posts a stamp, as dx_device_io_post() and a reader that looks at once. */
static enum dx_stamp_effect
take(struct dx_timeline *timeline, uint64_t sample_time, uint64_t host_time_ns)
{
    const struct dx_stamp stamp = {sample_time, host_time_ns, timeline->last.count + 1};
    return dx_timeline_take(timeline, &stamp);
}

/* The same after `unseen` more stamps that nobody looked at. */
static enum dx_stamp_effect
take_after(struct dx_timeline *timeline, uint32_t unseen, uint64_t sample_time, uint64_t host_time_ns)
{
    const struct dx_stamp stamp = {sample_time, host_time_ns, timeline->last.count + 1 + unseen};
    return dx_timeline_take(timeline, &stamp);
}

static uint64_t
next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static double
uniform(uint64_t *state)
{
    return (double)(next_random(state) >> 11) / 9007199254740992.0;
}

static void
assert_sane(const struct dx_timeline *timeline, uint64_t now)
{
    const double nominal = 1e9 / timeline->config.rate_hz;
    cr_assert(timeline->ns_per_frame > 0.74 * nominal && timeline->ns_per_frame < 1.26 * nominal);
    cr_assert(isfinite(timeline->anchor_fraction));
    cr_assert(isfinite(dx_timeline_position(timeline, now)));
}

/* ---- exact stamps: the line itself ---- */

struct exact_case {
    char name[32];
    IOUserAudioClockAlgorithm algorithm;
    double rate;
    double ppm;
    uint32_t period;
};

static struct exact_case exact_cases[] = {
    {"raw", IOUserAudioClockAlgorithmRaw, 48000, 0, 16384},
    {"raw, fast", IOUserAudioClockAlgorithmRaw, 48000, 300, 512},
    {"raw, 10 % slow", IOUserAudioClockAlgorithmRaw, 44100, -100000, 32768},
    {"iir", IOUserAudioClockAlgorithmSimpleIIR, 48000, 0, 16384},
    {"iir, fast", IOUserAudioClockAlgorithmSimpleIIR, 48000, 300, 512},
    {"iir, slow", IOUserAudioClockAlgorithmSimpleIIR, 192000, -300, 4096},
    {"iir, 10 % slow", IOUserAudioClockAlgorithmSimpleIIR, 44100, -100000, 32768},
    {"iir, one-frame period", IOUserAudioClockAlgorithmSimpleIIR, 8000, 50, 1},
    {"window", IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage, 48000, 0, 16384},
    {"window, fast", IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage, 48000, 300, 512},
    {"window, 10 % slow", IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage, 44100, -100000, 32768},
    {"unknown algorithm", DX_FOURCC('n', 'e', 'w', '!'), 48000, 300, 512},
};

ParameterizedTestParameters(timeline, exact_stamps_give_the_true_line) {
    return cr_make_param_array(struct exact_case, exact_cases, sizeof exact_cases / sizeof exact_cases[0]);
}

/* From the second stamp on: host times are whole nanoseconds, so each is wrong by half of one at most. */
ParameterizedTest(struct exact_case *c, timeline, exact_stamps_give_the_true_line) {
    struct dx_timeline timeline = timeline_of(c->algorithm, c->rate, c->period);
    const double true_ns = 1e9 / c->rate / (1.0 + c->ppm * 1e-6);
    const uint64_t start = 1000000000;
    for (uint64_t k = 0; k < 700; k++) {
        const uint64_t frame = k * c->period;
        const uint64_t host = start + (uint64_t)(true_ns * (double)frame + 0.5);
        const enum dx_stamp_effect effect = take(&timeline, frame, host);
        cr_assert(effect == (k ? DX_STAMP_FOLLOWED : DX_STAMP_ANCHORED), "%s: stamp %llu", c->name,
                  (unsigned long long)k);
        if (!k)
            continue;
        const double slope_error = fabs(timeline.ns_per_frame - true_ns) * c->period;
        cr_assert(slope_error <= 1.5, "%s: %g ns in a period after stamp %llu", c->name, slope_error,
                  (unsigned long long)k);
        const uint64_t now = host + (uint64_t)(true_ns * c->period / 2.0);
        const double expected = (double)(now - start) / true_ns;
        const double error_ns = fabs(dx_timeline_position(&timeline, now) - expected) * true_ns;
        cr_assert(error_ns < 3.0, "%s: %g ns off after stamp %llu", c->name, error_ns, (unsigned long long)k);
    }
    cr_assert(eq(u64, timeline.stamps, 700));
    cr_assert(eq(u64, timeline.bad_stamps, 0));
    cr_assert(eq(u64, timeline.reanchors, 0));
}

Test(timeline, raw_is_the_line_through_the_last_two_stamps) {
    struct dx_timeline timeline = timeline_of(IOUserAudioClockAlgorithmRaw, RATE, 512);
    uint64_t random = 7, last = 0;
    for (uint64_t k = 0; k < 200; k++) {
        const uint64_t host = 5000000000 + (uint64_t)(NOMINAL * 512.0 * (double)k) +
                              (uint64_t)(500000.0 * uniform(&random));
        (void)take(&timeline, k * 512, host);
        if (k) {
            const double slope = (double)(host - last) / 512.0; // Ref 6.2: (h2 - h1) / P
            cr_assert(epsilon_eq(dbl, timeline.ns_per_frame, slope, 1e-9));
            const double position = dx_timeline_position(&timeline, host + 1000000);
            cr_assert(epsilon_eq(dbl, position, (double)(k * 512) + 1000000.0 / slope, 1e-6));
        }
        last = host;
    }
}

/* ---- second implementations ---- */

/* The least-squares line through (frame_i, host_i), in long double. */
struct line {
    long double frame, host, slope;
};

static struct line
fit(const uint64_t *frames, const uint64_t *hosts, size_t n)
{
    long double mean_frame = 0, mean_host = 0, over = 0, under = 0;
    for (size_t i = 0; i < n; i++) {
        mean_frame += (long double)frames[i] / n;
        mean_host += (long double)hosts[i] / n;
    }
    for (size_t i = 0; i < n; i++) {
        over += ((long double)frames[i] - mean_frame) * ((long double)hosts[i] - mean_host);
        under += ((long double)frames[i] - mean_frame) * ((long double)frames[i] - mean_frame);
    }
    return (struct line){mean_frame, mean_host, over / under};
}

static double
host_error(const struct dx_timeline *timeline, struct line line, uint64_t frame)
{
    const long double expected = line.host + ((long double)frame - line.frame) * line.slope;
    const long double own = (long double)timeline->anchor_host_ns + timeline->anchor_fraction +
                            ((long double)frame - timeline->anchor_frame) * timeline->ns_per_frame;
    return (double)fabsl(own - expected);
}

/* Until its memory is full, 8 s of stamps: docs/design/timeline.md. */
Test(timeline, iir_is_the_least_squares_line_through_all_stamps_while_it_learns) {
    static uint64_t frames[512], hosts[512];
    struct dx_timeline timeline = timeline_of(IOUserAudioClockAlgorithmSimpleIIR, RATE, 1024);
    uint64_t random = 3;
    const double true_ns = NOMINAL * 1.0002;
    for (size_t k = 0; k < 375; k++) { // 8 s / 1024 frames
        frames[k] = k * 1024;
        hosts[k] = 7000000000 + (uint64_t)(true_ns * (double)frames[k] + 500000.0 * uniform(&random));
        (void)take(&timeline, frames[k], hosts[k]);
        if (!k)
            continue;
        const struct line line = fit(frames, hosts, k + 1);
        cr_assert(epsilon_eq(dbl, timeline.ns_per_frame, (double)line.slope, 1e-6), "stamp %zu", k);
        const double error = host_error(&timeline, line, frames[k] + 300);
        cr_assert(error < 0.01, "%g ns after stamp %zu", error, k);
    }
}

/* The g-h filter in its textbook form: predict, compare, correct. */
Test(timeline, iir_is_a_g_h_filter_once_its_memory_is_full) {
    enum { PERIOD = 4096, MEMORY = 93 }; // 8 s / 4096 frames = 93.75
    struct dx_timeline timeline = timeline_of(IOUserAudioClockAlgorithmSimpleIIR, RATE, PERIOD);
    uint64_t random = 9;
    long double level = 0, step = NOMINAL * PERIOD;
    for (unsigned k = 0; k < 600; k++) {
        const double wobble = 300e-6 * sin(k * 0.02); // drift to follow
        const uint64_t host = 2000000000 + (uint64_t)(NOMINAL * PERIOD * k * (1.0 + wobble) +
                                                      400000.0 * uniform(&random));
        (void)take(&timeline, (uint64_t)k * PERIOD, host);
        if (!k) {
            level = host;
            continue;
        }
        const unsigned n = k + 1 < MEMORY ? k + 1 : MEMORY;
        const long double g = 2.0L * (2 * n - 1) / ((long double)n * (n + 1));
        const long double h = 6.0L / ((long double)n * (n + 1));
        const long double predicted = level + step;
        const long double error = host - predicted;
        level = predicted + g * error;
        step += h * error;
        const struct line line = {.frame = (long double)k * PERIOD, .host = level, .slope = step / PERIOD};
        cr_assert(epsilon_eq(dbl, timeline.ns_per_frame, (double)line.slope, 1e-7), "stamp %u", k);
        cr_assert(host_error(&timeline, line, (uint64_t)k * PERIOD) < 0.01, "stamp %u", k);
    }
    cr_assert(eq(u64, timeline.reanchors, 0));
}

Test(timeline, window_is_the_mean_slope_of_twelve_stamps_through_their_centre) {
    static uint64_t frames[300], hosts[300];
    struct dx_timeline timeline =
        timeline_of(IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage, RATE, 2048);
    uint64_t random = 5;
    for (size_t k = 0; k < 300; k++) {
        frames[k] = k * 2048;
        hosts[k] = 7000000000 +
                   (uint64_t)(NOMINAL * 0.9997 * (double)frames[k] + 500000.0 * uniform(&random));
        (void)take(&timeline, frames[k], hosts[k]);
        if (!k)
            continue;
        const size_t n = k + 1 < 12 ? k + 1 : 12, first = k + 1 - n;
        struct line line = {.slope = (long double)(hosts[k] - hosts[first]) / (frames[k] - frames[first])};
        for (size_t i = first; i <= k; i++) {
            line.frame += (long double)frames[i] / n;
            line.host += (long double)hosts[i] / n;
        }
        cr_assert(epsilon_eq(dbl, timeline.ns_per_frame, (double)line.slope, 1e-9), "stamp %zu", k);
        cr_assert(host_error(&timeline, line, frames[k] + 300) < 0.01, "stamp %zu", k);
    }
}

/* A device that runs for years: the number of stamps is not a number of 32 bits. */
Test(timeline, window_holds_twelve_stamps_after_any_number_of_them) {
    struct dx_timeline timeline =
        timeline_of(IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage, RATE, 512);
    uint64_t k = 0;
    for (; k < 12; k++)
        (void)take(&timeline, k * 512, 1000000000 + k * 10666667);
    /* As many stamps later, at the same place in the ring of twelve. */
    timeline.window_count = UINT32_MAX / 12u * 12u;
    for (; k < 100; k++) {
        /* Off the line by turns, so that a window of another length shows. */
        const uint64_t host = 1000000000 + k * 10666667 + (k % 3) * 100000;
        (void)take(&timeline, k * 512, host);
        const uint64_t first = k - 11;
        const uint64_t host0 = 1000000000 + first * 10666667 + (first >= 12 ? first % 3 : 0) * 100000;
        const double slope = (double)(host - host0) / (11.0 * 512.0);
        cr_assert(epsilon_eq(dbl, timeline.ns_per_frame, slope, 1e-9), "stamp %llu", (unsigned long long)k);
    }
}

/* ---- jitter ---- */

/*
 * Stamps late by 0 ... 0.5 ms, uniformly.  A g-h filter in its steady state passes on a fraction of the variance:
 * (2g^2 + 2h - 3gh) / (g (4 - 2g - h)) for the level (Kalata, "The tracking index", 1984).  All its estimates lie
 * within five standard deviations of the mean delay.
 */
Test(timeline, jittered_stamps_do_not_jitter_the_schedule) {
    struct dx_timeline timeline = timeline_of(IOUserAudioClockAlgorithmSimpleIIR, RATE, 512);
    const double true_ns = NOMINAL / (1.0 + 300e-6);
    const double n = 512, g = 2 * (2 * n - 1) / (n * (n + 1)), h = 6 / (n * (n + 1));
    const double jitter_ns = 500000.0, sigma_ns = jitter_ns / sqrt(12.0);
    const double bound_ns = 5.0 * sigma_ns * sqrt((2 * g * g + 2 * h - 3 * g * h) / (g * (4 - 2 * g - h)));
    uint64_t random = 11;
    double predicted = 0.0; // host time of the next stamp's frame, as seen from the last one
    for (uint64_t k = 0; k < 20000; k++) {
        const double true_host = 1e9 + true_ns * 512.0 * (double)k;
        (void)take(&timeline, k * 512, (uint64_t)(true_host + jitter_ns * uniform(&random)));
        const double host = (double)timeline.anchor_host_ns + timeline.anchor_fraction;
        if (k > 600) {
            const double error = host - (true_host + jitter_ns / 2.0);
            cr_assert(fabs(error) < bound_ns, "%g ns off after stamp %llu; may be %g", error,
                      (unsigned long long)k, bound_ns);
            /* A stamp moves what was scheduled by its share, no more. */
            cr_assert(fabs(host - predicted) <= g * jitter_ns, "stamp %llu moves a cycle by %g ns",
                      (unsigned long long)k, host - predicted);
        }
        predicted = host + timeline.ns_per_frame * 512.0;
    }
    cr_assert(eq(u64, timeline.reanchors, 0));
}

/* The variance of a least-squares slope through n points: 12 sigma^2 / (n (n^2 - 1)). */
Test(timeline, rate_converges_as_fast_as_a_straight_line_through_all_stamps) {
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct dx_timeline timeline = timeline_of(IOUserAudioClockAlgorithmSimpleIIR, RATE, 512);
        const double true_ns = NOMINAL / (1.0 - 200e-6);
        uint64_t random = seed;
        for (uint64_t k = 0; k < 500; k++) {
            const double host = 1e9 + true_ns * 512.0 * (double)k + 500000.0 * uniform(&random);
            (void)take(&timeline, k * 512, (uint64_t)host);
            const double n = (double)k + 1.0;
            if (n < 10.0)
                continue;
            const double sigma = 500000.0 / sqrt(12.0) * sqrt(12.0 / (n * (n * n - 1.0))) / 512.0;
            cr_assert(fabs(timeline.ns_per_frame - true_ns) < 5.0 * sigma,
                      "seed %llu: %g ppm off after %g stamps; may be %g", (unsigned long long)seed,
                      (timeline.ns_per_frame / true_ns - 1.0) * 1e6, n, 5e6 * sigma / true_ns);
        }
    }
}

Test(timeline, stable_clock_starts_near_its_nominal_rate) {
    double worst[2] = {0, 0};
    for (uint64_t seed = 1; seed <= 100; seed++) {
        for (int is_stable = 0; is_stable < 2; is_stable++) {
            struct dx_timeline timeline = timeline_of(IOUserAudioClockAlgorithmSimpleIIR, RATE, 512);
            timeline.config.is_stable = is_stable;
            uint64_t random = seed;
            for (uint64_t k = 0; k < 1000; k++) {
                const double host = 1e9 + NOMINAL * 512.0 * (double)k + 500000.0 * uniform(&random);
                (void)take(&timeline, k * 512, (uint64_t)host);
                const double error = fabs(timeline.ns_per_frame / NOMINAL - 1.0);
                if (k < 4 && error > worst[is_stable])
                    worst[is_stable] = error;
                if (k == 999) // and both know it in the end
                    cr_assert(error < 50e-6, "%g ppm", error * 1e6);
            }
        }
    }
    cr_assert(worst[1] < worst[0] / 2.0, "%g against %g", worst[1], worst[0]);
}

Test(timeline, drift_steps_are_followed) {
    const IOUserAudioClockAlgorithm algorithms[] = {
        IOUserAudioClockAlgorithmRaw, IOUserAudioClockAlgorithmSimpleIIR,
        IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage};
    for (unsigned a = 0; a < 3; a++) {
        struct dx_timeline timeline = timeline_of(algorithms[a], RATE, 512);
        double host = 1e9, ns = NOMINAL;
        for (uint64_t k = 0; k < 9000; k++) {
            (void)take(&timeline, k * 512, (uint64_t)host);
            if (k % 3000 == 2999) { // 32 s at each rate
                cr_assert(fabs(timeline.ns_per_frame / ns - 1.0) < 1e-6, "%u: %g ppm off", a,
                          (timeline.ns_per_frame / ns - 1.0) * 1e6);
                ns = NOMINAL * (k < 3000 ? 1.0003 : 0.9997);
            }
            host += ns * 512.0;
        }
        cr_assert(eq(u64, timeline.reanchors, 0));
    }
}

/* ---- what is no good ---- */

Test(timeline, zero_zero_means_no_stamp_yet) {
    struct dx_timeline timeline = timeline_of(IOUserAudioClockAlgorithmSimpleIIR, RATE, 512);
    cr_assert(eq(int, take(&timeline, 0, 0), DX_STAMP_NONE));
    cr_assert(not(timeline.valid));
    cr_assert(eq(int, take(&timeline, 0, 5000), DX_STAMP_ANCHORED)); // (0, now) is a real anchor
    cr_assert(timeline.valid);
    cr_assert(eq(int, take(&timeline, 0, 0), DX_STAMP_CLEARED));
    cr_assert(not(timeline.valid));
    cr_assert(eq(int, take(&timeline, 0, 0), DX_STAMP_NONE));
    cr_assert(eq(int, take(&timeline, 512 * 9, 900000000), DX_STAMP_ANCHORED));
    cr_assert(eq(u64, timeline.bad_stamps, 0)); // (0, 0) is how a discontinuity is announced
    cr_assert(eq(u64, timeline.reanchors, 0));
    cr_assert(eq(u64, timeline.stamps, 5));
}

struct bad_case {
    char name[40];
    int64_t periods;  // after the last stamp, ...
    int64_t frames;   // ... and frames
    double host_ns;   // after where it was expected
    bool is_bad;
};

static struct bad_case bad_cases[] = {
    {"in its place", 1, 0, 0, false},
    {"late by 10 ms", 1, 0, 10e6, false},
    {"early by 10 ms", 1, 0, -10e6, false},
    {"off the grid by one frame", 1, 1, 0, true},
    {"off the grid by half a period", 1, -1024, 0, true},
    {"one period back", -1, 0, 0, true},
    {"far back", -50, 0, 0, true},
    {"the same frame at another time", 0, 0, 5e6, true},
    {"one multiple skipped", 2, 0, 0, true},
    {"a hundred skipped", 100, 0, 0, true},
    {"host time a second late", 1, 0, 1e9, true},
    {"host time a second early", 1, 0, -1e9, true},
    {"host time before the last stamp's", 1, 0, -43e6, true},
    {"far ahead in time alone", 1, 0, 3600e9, true},
    {"restarted at 0", -60, 0, 60 * 2048 * NOMINAL, true},
};

ParameterizedTestParameters(timeline, bad_stamps_are_counted_and_the_line_starts_anew_from_them) {
    return cr_make_param_array(struct bad_case, bad_cases, sizeof bad_cases / sizeof bad_cases[0]);
}

ParameterizedTest(struct bad_case *c, timeline, bad_stamps_are_counted_and_the_line_starts_anew_from_them) {
    const IOUserAudioClockAlgorithm algorithms[] = {
        IOUserAudioClockAlgorithmRaw, IOUserAudioClockAlgorithmSimpleIIR,
        IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage};
    for (unsigned a = 0; a < 3; a++) {
        enum { PERIOD = 2048, BEFORE = 60 };
        struct dx_timeline timeline = timeline_of(algorithms[a], RATE, PERIOD);
        const uint64_t origin = 100000000000;
        for (uint64_t k = 0; k <= BEFORE; k++)
            (void)take(&timeline, k * PERIOD, origin + (uint64_t)(NOMINAL * PERIOD * (double)k));
        const int64_t frame = (BEFORE + c->periods) * PERIOD + c->frames;
        const double host = (double)origin + NOMINAL * (double)frame + c->host_ns;
        const enum dx_stamp_effect effect = take(&timeline, (uint64_t)frame, (uint64_t)host);
        cr_assert(eq(int, effect, c->is_bad ? DX_STAMP_ANCHORED : DX_STAMP_FOLLOWED), "%s, %u", c->name, a);
        cr_assert(eq(u64, timeline.bad_stamps, c->is_bad), "%s", c->name);
        cr_assert(eq(u64, timeline.reanchors, c->is_bad), "%s", c->name);
        if (!c->is_bad)
            continue;
        /* The line goes through the new stamp, at the rate known from before. */
        cr_assert(fabs(dx_timeline_position(&timeline, (uint64_t)host) - (double)frame) < 1e-4, "%s", c->name);
        cr_assert(fabs(timeline.ns_per_frame / NOMINAL - 1.0) < 1e-6, "%s", c->name);
        /* And follows from there on, if it is on the grid. */
        if (!c->frames) {
            const enum dx_stamp_effect next =
                take(&timeline, (uint64_t)frame + PERIOD, (uint64_t)(host + NOMINAL * PERIOD));
            cr_assert(eq(int, next, DX_STAMP_FOLLOWED), "%s", c->name);
            cr_assert(eq(u64, timeline.bad_stamps, 1), "%s", c->name);
        }
    }
}

Test(timeline, first_stamp_off_the_grid_is_counted_but_anchors) {
    struct dx_timeline timeline = timeline_of(IOUserAudioClockAlgorithmSimpleIIR, RATE, 512);
    cr_assert(eq(int, take(&timeline, 100, 1000), DX_STAMP_ANCHORED));
    cr_assert(eq(u64, timeline.bad_stamps, 1));
    cr_assert(eq(u64, timeline.reanchors, 0));
}

Test(timeline, same_stamp_twice_says_nothing_new) {
    struct dx_timeline timeline = timeline_of(IOUserAudioClockAlgorithmSimpleIIR, RATE, 512);
    for (uint64_t k = 0; k < 50; k++) {
        const uint64_t host = 1000000000 + (uint64_t)(NOMINAL * 512.0 * (double)k);
        (void)take(&timeline, k * 512, host);
        const struct dx_timeline before = timeline;
        cr_assert(eq(int, take(&timeline, k * 512, host), DX_STAMP_NONE));
        cr_assert(timeline.ns_per_frame == before.ns_per_frame && timeline.weight == before.weight &&
                  timeline.anchor_frame == before.anchor_frame &&
                  timeline.anchor_host_ns == before.anchor_host_ns);
    }
    cr_assert(eq(u64, timeline.bad_stamps, 0));
    /* Nothing was posted at all. */
    const struct dx_stamp last = timeline.last;
    cr_assert(eq(int, dx_timeline_take(&timeline, &last), DX_STAMP_NONE));
    cr_assert(eq(u64, timeline.stamps, 100));
}

/* Ref 6.2: more than one stamp per interrupt is fine; a reader sees only the newest. */
Test(timeline, stamps_posted_twice_between_two_looks_are_followed) {
    struct dx_timeline timeline = timeline_of(IOUserAudioClockAlgorithmSimpleIIR, RATE, 512);
    (void)take(&timeline, 0, 1000000000);
    for (uint64_t k = 1; k < 50; k++) {
        const uint64_t host = 1000000000 + (uint64_t)(NOMINAL * 512.0 * (double)k);
        cr_assert(eq(int, take_after(&timeline, 1, k * 512, host), DX_STAMP_FOLLOWED));
    }
    cr_assert(eq(u64, timeline.bad_stamps, 0));
    cr_assert(eq(u64, timeline.stamps, 99));
}

Test(timeline, slow_reader_takes_several_stamps_as_one) {
    const IOUserAudioClockAlgorithm algorithms[] = {
        IOUserAudioClockAlgorithmRaw, IOUserAudioClockAlgorithmSimpleIIR,
        IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage};
    for (unsigned a = 0; a < 3; a++) {
        struct dx_timeline timeline = timeline_of(algorithms[a], RATE, 512);
        const double true_ns = NOMINAL * 1.0001;
        uint64_t random = 2, k = 0;
        (void)take(&timeline, 0, 1000000000);
        for (unsigned i = 0; i < 400; i++) {
            const uint32_t unseen = (uint32_t)(next_random(&random) % 5u);
            k += 1 + unseen;
            const uint64_t host = 1000000000 + (uint64_t)(true_ns * 512.0 * (double)k + 0.5);
            cr_assert(eq(int, take_after(&timeline, unseen, k * 512, host), DX_STAMP_FOLLOWED));
            const double slope_error = fabs(timeline.ns_per_frame / true_ns - 1.0);
            if (i > 20)
                cr_assert(slope_error < 2e-6, "%u: %g ppm off", a, slope_error * 1e6);
        }
        cr_assert(eq(u64, timeline.bad_stamps, 0));
        cr_assert(eq(u64, timeline.stamps, k + 1));
    }
}

/* Ref 6.2, Restart: both idioms must work. */
Test(timeline, stamp_left_over_from_the_last_run_is_an_anchor_and_what_follows_is_not_counted_bad) {
    for (int resumes = 0; resumes < 2; resumes++) {
        const struct dx_timeline_config config = {.rate_hz = RATE,
                                                  .period_frames = 512,
                                                  .algorithm = IOUserAudioClockAlgorithmSimpleIIR,
                                                  .start_count = 100};
        struct dx_timeline timeline;
        dx_timeline_init(&timeline, &config);
        const struct dx_stamp old = {99 * 512, 2056000000, 100};
        cr_assert(eq(int, dx_timeline_take(&timeline, &old), DX_STAMP_ANCHORED));
        cr_assert(eq(u64, timeline.stamps, 0), "it was seen, and counted, by the run before");
        /* Ten seconds later the driver goes on from the stored pair, or starts at 0. */
        const struct dx_stamp next = {resumes ? 100 * 512 : 0, 12000000000, 101};
        cr_assert(eq(int, dx_timeline_take(&timeline, &next), DX_STAMP_ANCHORED));
        cr_assert(eq(u64, timeline.bad_stamps, 0));
        cr_assert(eq(u64, timeline.reanchors, 0));
        cr_assert(eq(u64, timeline.stamps, 1));
        /* From now on it counts. */
        const struct dx_stamp bad = {7, 12010000000, 102};
        cr_assert(eq(int, dx_timeline_take(&timeline, &bad), DX_STAMP_ANCHORED));
        cr_assert(eq(u64, timeline.bad_stamps, 1));
    }
}

/* Ref 5.3: the rate was changed outside the protocol; the host re-anchors continuously. */
Test(timeline, line_stays_near_the_newest_stamp_when_the_rate_is_impossible) {
    const IOUserAudioClockAlgorithm algorithms[] = {
        IOUserAudioClockAlgorithmRaw, IOUserAudioClockAlgorithmSimpleIIR,
        IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage};
    const double factors[] = {0.01, 0.5, 0.76, 1.24, 2.0, 100.0};
    for (unsigned a = 0; a < 3; a++) {
        for (unsigned f = 0; f < 6; f++) {
            struct dx_timeline timeline = timeline_of(algorithms[a], RATE, 1024);
            for (uint64_t k = 0; k < 2000; k++) {
                const uint64_t host = 1000000000 + (uint64_t)(NOMINAL * factors[f] * 1024.0 * (double)k);
                (void)take(&timeline, k * 1024, host);
                assert_sane(&timeline, host);
                const double error_ns =
                    fabs(dx_timeline_position(&timeline, host) - (double)(k * 1024)) * NOMINAL;
                cr_assert(error_ns < 26e6, "%u, x%g: %g ns off at stamp %llu", a, factors[f], error_ns,
                          (unsigned long long)k);
            }
        }
    }
}

Test(timeline, nothing_a_driver_posts_makes_it_mad) {
    static const uint64_t odd[] = {0, 1, 511, 512, 513, 1u << 20, UINT32_MAX, 1ull << 52, (1ull << 53) - 512,
                                   1ull << 53, 1ull << 62, INT64_MAX, 1ull << 63, UINT64_MAX - 511, UINT64_MAX};
    for (uint64_t seed = 1; seed <= 300; seed++) {
        const IOUserAudioClockAlgorithm algorithms[] = {
            IOUserAudioClockAlgorithmRaw, IOUserAudioClockAlgorithmSimpleIIR,
            IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage};
        struct dx_timeline timeline = timeline_of(algorithms[seed % 3], RATE, 512);
        uint64_t random = seed, sample = 0, host = 1000000000;
        for (unsigned i = 0; i < 300; i++) {
            const uint64_t dice = next_random(&random);
            if (dice % 4 == 0) {
                sample = odd[dice / 4 % 15];
                host = odd[dice / 64 % 15];
            } else if (dice % 16 == 1) {
                sample = next_random(&random) >> (dice / 16 % 64);
                host = next_random(&random) >> (dice / 1024 % 64);
            } else {
                sample += 512;
                host += 10666667;
            }
            (void)take_after(&timeline, dice % 64 == 2 ? (uint32_t)(dice >> 32) : 0, sample, host);
            assert_sane(&timeline, 1000000000 + i);
            assert_sane(&timeline, 0);
            assert_sane(&timeline, UINT64_MAX);
            /* A double tells every frame from the next one. */
            cr_assert(timeline.anchor_frame < (1ull << 53));
            (void)dx_timeline_host_ns(&timeline, -1e300);
            cr_assert(eq(u64, dx_timeline_host_ns(&timeline, 1e300), UINT64_MAX));
        }
    }
}

Test(timeline, frames_that_a_double_cannot_tell_apart_are_bad_stamps_and_not_followed) {
    struct dx_timeline timeline = timeline_of(IOUserAudioClockAlgorithmSimpleIIR, RATE, 512);
    cr_assert(eq(int, take(&timeline, 1ull << 53, 1000), DX_STAMP_NONE));
    cr_assert(not(timeline.valid));
    cr_assert(eq(int, take(&timeline, 512, 1000000000), DX_STAMP_ANCHORED));
    cr_assert(eq(int, take(&timeline, UINT64_MAX - 511, 1010666667), DX_STAMP_NONE));
    cr_assert(timeline.valid);
    cr_assert(eq(u64, timeline.bad_stamps, 2));
    cr_assert(eq(u64, timeline.stamps, 3));
}

/* ---- the page ---- */

static struct dx_timeline_page
page_at(uint64_t frame, uint64_t host, double ns)
{
    return (struct dx_timeline_page){.state = DX_TIMELINE_RUNNING,
                                     .anchor_frame = frame,
                                     .anchor_host_ns = host,
                                     .ns_per_frame = ns,
                                     .rate_hz = RATE,
                                     .io_frames = 512,
                                     .ring_frames = 16384};
}

Test(timeline, position_and_host_time_of_a_page_are_inverse) {
    uint64_t random = 1;
    for (unsigned i = 0; i < 20000; i++) {
        const double ns = 100.0 + 200000.0 * uniform(&random);
        const struct dx_timeline_page page =
            page_at(next_random(&random) >> 20, (next_random(&random) >> 12) + (1ull << 52), ns);
        cr_assert(dx_timeline_page_is_sane(&page));
        const double frame = (double)page.anchor_frame + (uniform(&random) - 0.2) * 1e6;
        if (frame < 1.0)
            continue;
        const uint64_t host = dx_timeline_page_host_ns(&page, frame);
        /* The host time is rounded to a nanosecond, the position to a double. */
        const double error = fabs(dx_timeline_page_position(&page, host) - frame);
        cr_assert(error * ns <= 0.51 + 0.01 * ns, "%g frames off", error);
    }
}

Test(timeline, page_before_device_time_began_is_at_0) {
    struct dx_timeline_page page = page_at(1000, 5000000, NOMINAL);
    page.state = DX_TIMELINE_NONE;
    page.ns_per_frame = 0.0;
    cr_assert(dx_timeline_page_position(&page, 123456789) == 0.0);
    cr_assert(dx_timeline_page_is_sane(&page));
}

Test(timeline, page_position_is_never_negative_and_host_time_saturates) {
    const struct dx_timeline_page page = page_at(10, 1000000000, NOMINAL);
    cr_assert(dx_timeline_page_position(&page, 0) == 0.0);
    cr_assert(eq(u64, dx_timeline_page_host_ns(&page, -1e12), 0));
    cr_assert(eq(u64, dx_timeline_page_host_ns(&page, 1e30), UINT64_MAX));
    cr_assert(eq(u64, dx_timeline_page_host_ns(&page, 10.0), 1000000000));
}

Test(timeline, pages_that_cannot_be_true_are_found_out) {
    struct dx_timeline_page page;
#define INSANE(change)                                      \
    do {                                                    \
        page = page_at(10, 20, NOMINAL);                    \
        change;                                             \
        cr_assert(not(dx_timeline_page_is_sane(&page)), #change); \
    } while (0)
    page = page_at(10, 20, NOMINAL);
    cr_assert(dx_timeline_page_is_sane(&page));
    INSANE(page.state = DX_TIMELINE_RUNNING + 1);
    INSANE(page.ns_per_frame = NAN);
    INSANE(page.ns_per_frame = 0.0);
    INSANE(page.ns_per_frame = -20833.0);
    INSANE(page.ns_per_frame = INFINITY);
    INSANE(page.rate_hz = NAN);
    INSANE(page.rate_hz = 0.0);
    INSANE(page.rate_hz = INFINITY);
    INSANE(page.io_frames = 0);
    INSANE(page.io_frames = 16385);
    INSANE(page.ring_frames = UINT32_MAX; page.io_frames = 512);
    INSANE(page.anchor_frame = UINT64_MAX);
    INSANE(page.cycle_frame = UINT64_MAX);
    INSANE(page.mixed_until = UINT64_MAX);
#undef INSANE
    /* Random words: whatever passes is harmless. */
    uint64_t random = 4;
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t words[sizeof page / 8];
        for (unsigned w = 0; w < sizeof page / 8; w++)
            words[w] = next_random(&random) >> (next_random(&random) % 64);
        memcpy(&page, words, sizeof page);
        page.state %= DX_TIMELINE_RUNNING + 2;
        if (i % 2) { // or hardly anything passes
            page.ns_per_frame = NOMINAL;
            page.rate_hz = RATE;
            page.ring_frames = 4096;
            page.io_frames = 64;
        }
        if (!dx_timeline_page_is_sane(&page))
            continue;
        const double position = dx_timeline_page_position(&page, next_random(&random));
        cr_assert(isfinite(position) && position >= 0.0);
    }
}
