// SPDX-License-Identifier: MIT
// The lines that an ALSA pointer follows, against the cycle's own definition: a cycle due at T mixes [T+N+So, T+2N+So)
// and reads [T-N-Si, T-Si).

#include "backends/alsa/position.h"

#include <criterion/criterion.h>

#define NS_PER_FRAME 20000u // 50 kHz: times are whole numbers
#define START_NS UINT64_C(1000000000)

/* The cycle that is due last by a time. */
static uint64_t
last_cycle(uint64_t now_ns, uint32_t n)
{
    return (now_ns - START_NS) / NS_PER_FRAME / n * n;
}

/* Device time is 0 at START_NS; cycles have run up to and including the one due at `cycle`. */
static struct dx_timeline_page
make_page(uint64_t cycle, uint32_t n, uint32_t output_safety, uint32_t input_safety)
{
    return (struct dx_timeline_page){
        .state = DX_TIMELINE_RUNNING,
        .anchor_frame = 0,
        .anchor_host_ns = START_NS,
        .ns_per_frame = NS_PER_FRAME,
        .rate_hz = 50000.0,
        .cycle_frame = cycle + n,
        .mixed_until = cycle + 2u * n + output_safety,
        .io_frames = n,
        .ring_frames = 8192,
        .input_safety = input_safety,
        .output_safety = output_safety,
        .late_tolerance = 1000,
    };
}

static uint64_t
ns_at(uint64_t frame)
{
    return START_NS + frame * NS_PER_FRAME;
}

Test(position, the_playback_line_is_two_cycles_and_the_safety_ahead)
{
    const struct dx_timeline_page page = make_page(5000, 100, 7, 3);
    for (uint64_t frame = 5000; frame < 5100; frame++)
        cr_assert_eq(dx_alsa_find_playback_line(&page, ns_at(frame)), frame + 207u);
}

Test(position, no_frame_before_the_playback_line_can_be_mixed_again)
{
    /* Any cycle in time has mixed everything before the line, or mixes it next. */
    for (uint64_t now = 5000; now < 5100; now++) {
        const struct dx_timeline_page page = make_page(5000, 100, 7, 3);
        const uint64_t line = dx_alsa_find_playback_line(&page, ns_at(now));
        cr_assert_geq(line, page.mixed_until);
        cr_assert_lt(line, page.mixed_until + page.io_frames);
    }
}

Test(position, a_late_cycle_holds_the_playback_line_back_within_its_tolerance)
{
    const struct dx_timeline_page page = make_page(5000, 100, 7, 3); // mixed until 5207
    cr_assert_eq(dx_alsa_find_playback_line(&page, ns_at(5250)), 5407);
    cr_assert_eq(dx_alsa_find_playback_line(&page, ns_at(6000)), 5407);
    /* Later than the tolerance it is skipped: what is before the position less the tolerance is gone. */
    cr_assert_eq(dx_alsa_find_playback_line(&page, ns_at(6407)), 5407);
    cr_assert_eq(dx_alsa_find_playback_line(&page, ns_at(7000)), 6000);
}

Test(position, the_capture_line_is_one_cycle_and_the_safety_behind)
{
    const struct dx_timeline_page page = make_page(5000, 100, 7, 3);
    for (uint64_t frame = 5000; frame < 5100; frame++)
        cr_assert_eq(dx_alsa_find_capture_line(&page, 4997, ns_at(frame)), frame - 103u);
}

Test(position, the_capture_line_is_never_beyond_the_ring_while_the_cycle_may_come)
{
    const struct dx_timeline_page page = make_page(5000, 100, 7, 3);
    cr_assert_eq(dx_alsa_find_capture_line(&page, 4997, ns_at(5500)), 4997);
    /* 2N + Si + So + the tolerance later it is skipped, and silence stands in its place. */
    cr_assert_eq(dx_alsa_find_capture_line(&page, 4997, ns_at(7000)), 7000 - 1210);
}

Test(position, without_cycles_both_lines_go_on_by_the_clock)
{
    struct dx_timeline_page page = make_page(5000, 100, 7, 3);
    page.state = DX_TIMELINE_STOPPED;
    cr_assert_eq(dx_alsa_find_playback_line(&page, ns_at(9000)), 9207);
    cr_assert_eq(dx_alsa_find_capture_line(&page, 4997, ns_at(9000)), 8897);
}

Test(position, before_the_first_frames_the_capture_line_is_at_0)
{
    const struct dx_timeline_page page = make_page(0, 100, 7, 3);
    cr_assert_eq(dx_alsa_find_capture_line(&page, 0, ns_at(50)), 0);
}

Test(position, at_the_time_for_a_frame_the_playback_line_has_reached_it)
{
    static const uint32_t sizes[] = {16, 100, 441, 512};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const uint32_t n = sizes[i];
        for (uint64_t frame = 6000; frame < 6000 + 2u * n; frame++) {
            const struct dx_timeline_page before = make_page(0, n, 7, 3);
            const uint64_t when = dx_alsa_find_playback_ns(&before, frame, START_NS);
            /* Cycles that were due by then have run. */
            const struct dx_timeline_page then = make_page(last_cycle(when, n), n, 7, 3);
            cr_assert_eq(dx_alsa_find_playback_line(&then, when), frame);
            const struct dx_timeline_page earlier = make_page(last_cycle(when - 2u, n), n, 7, 3);
            cr_assert_lt(dx_alsa_find_playback_line(&earlier, when - 2u), frame);
        }
    }
}

Test(position, at_the_time_for_a_frame_the_capture_line_has_reached_it)
{
    static const uint32_t sizes[] = {16, 100, 441, 512};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const uint32_t n = sizes[i];
        for (uint64_t frame = 6000; frame < 6000 + 2u * n; frame++) {
            const struct dx_timeline_page before = make_page(0, n, 7, 3);
            const uint64_t when = dx_alsa_find_capture_ns(&before, frame, START_NS);
            /* Cycles that were due a little before have run. */
            const uint64_t cycle = last_cycle(when - 19000u, n);
            const struct dx_timeline_page then = make_page(cycle, n, 7, 3);
            cr_assert_geq(dx_alsa_find_capture_line(&then, cycle - 3u, when), frame);
        }
    }
}

Test(position, a_time_that_is_past_is_a_quarter_of_a_cycle_away)
{
    const struct dx_timeline_page page = make_page(5000, 100, 7, 3);
    const uint64_t now = ns_at(5600);
    cr_assert_eq(dx_alsa_find_playback_ns(&page, 5100, now), now + 25u * NS_PER_FRAME);
    cr_assert_eq(dx_alsa_find_capture_ns(&page, 4000, now), now + 25u * NS_PER_FRAME);
    cr_assert_eq(dx_alsa_find_heard_ns(&page, 5100, now), now + 25u * NS_PER_FRAME);
}
