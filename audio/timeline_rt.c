// SPDX-License-Identifier: MIT
// The clock filters: raw, IIR and the 12-point window, over zero timestamps in driver time.

#include "audio/timeline.h"

#include <string.h>

/* A measured rate further than this from the nominal one is taken for a fault of the stamps. */
#define RATE_RANGE 0.25

/* A stamp further than this from where it was expected is a jump, not jitter: the larger of the two. */
#define JUMP_NS 20000000.0
#define JUMP_PERIODS 0.5

/* Beyond it a double does not tell a frame from the next one. */
#define FRAMES_END ((uint64_t)1 << 53)

/* What the IIR filter remembers: stamps of this many seconds, within bounds. */
#define IIR_MEMORY_S 8.0
#define IIR_MEMORY_MIN 8u
#define IIR_MEMORY_MAX 512u

/* A driver that claims a stable clock starts with its nominal rate counting as so many stamps. */
#define STABLE_PRIOR 4u

static uint64_t
saturate_u64(double value) DX_REALTIME
{
    if (!(value > 0.0))
        return 0;
    return value >= 18446744073709549568.0 ? UINT64_MAX : (uint64_t)value;
}

/* base + delta in nanoseconds, rounded; a difference is small where the sum is large. */
static uint64_t
add_ns(uint64_t base, double delta) DX_REALTIME
{
    if (delta >= 0.0) {
        const uint64_t step = saturate_u64(delta + 0.5);
        return base > UINT64_MAX - step ? UINT64_MAX : base + step;
    }
    const uint64_t step = saturate_u64(0.5 - delta);
    return base < step ? 0 : base - step;
}

static double
difference(uint64_t a, uint64_t b) DX_REALTIME
{
    return a >= b ? (double)(a - b) : -(double)(b - a);
}

double
dx_timeline_page_position(const struct dx_timeline_page *page, uint64_t host_ns) DX_REALTIME
{
    if (page->state == DX_TIMELINE_NONE)
        return 0.0;
    const double position =
        (double)page->anchor_frame + difference(host_ns, page->anchor_host_ns) / page->ns_per_frame;
    return position > 0.0 ? position : 0.0;
}

uint64_t
dx_timeline_page_host_ns(const struct dx_timeline_page *page, double frame) DX_REALTIME
{
    return add_ns(page->anchor_host_ns, (frame - (double)page->anchor_frame) * page->ns_per_frame);
}

bool
dx_timeline_page_is_sane(const struct dx_timeline_page *page) DX_REALTIME
{
    return page->state <= DX_TIMELINE_RUNNING &&
           (page->state == DX_TIMELINE_NONE ||
            (page->ns_per_frame >= 1.0 && page->ns_per_frame <= 1e10 && page->rate_hz > 0.0 &&
             page->rate_hz <= 1e9 && page->io_frames > 0 && page->io_frames <= page->ring_frames &&
             page->ring_frames <= (1u << 26) && page->mixed_until < (UINT64_MAX >> 2) &&
             page->cycle_frame < (UINT64_MAX >> 2) && page->anchor_frame < (UINT64_MAX >> 2)));
}

void
dx_timeline_init(struct dx_timeline *timeline, const struct dx_timeline_config *config)
{
    memset(timeline, 0, sizeof *timeline);
    timeline->config = *config;
    timeline->ns_per_frame = 1e9 / config->rate_hz;
}

double
dx_timeline_position(const struct dx_timeline *timeline, uint64_t host_ns) DX_REALTIME
{
    return (double)timeline->anchor_frame +
           (difference(host_ns, timeline->anchor_host_ns) - timeline->anchor_fraction) / timeline->ns_per_frame;
}

uint64_t
dx_timeline_host_ns(const struct dx_timeline *timeline, double frame) DX_REALTIME
{
    return add_ns(timeline->anchor_host_ns, (frame - (double)timeline->anchor_frame) * timeline->ns_per_frame +
                                                timeline->anchor_fraction);
}

static bool
is_plausible(const struct dx_timeline *timeline, double ns_per_frame) DX_REALTIME
{
    const double nominal = 1e9 / timeline->config.rate_hz;
    return ns_per_frame > nominal * (1.0 - RATE_RANGE) && ns_per_frame < nominal * (1.0 + RATE_RANGE);
}

static void
remember(struct dx_timeline *timeline, const struct dx_stamp *stamp) DX_REALTIME
{
    const uint32_t at = (uint32_t)(timeline->window_count % DX_TIMELINE_WINDOW);
    timeline->window_frames[at] = stamp->sample_time;
    timeline->window_host_ns[at] = stamp->host_time_ns;
    timeline->window_count++;
}

static void
anchor_at(struct dx_timeline *timeline, const struct dx_stamp *stamp) DX_REALTIME
{
    timeline->valid = true;
    timeline->anchor_frame = stamp->sample_time;
    timeline->anchor_host_ns = stamp->host_time_ns;
    timeline->anchor_fraction = 0.0;
    timeline->weight = 1;
    timeline->window_count = 0;
    remember(timeline, stamp);
}

/* Moves the anchor onto a frame, `error_ns` after where the line had it. */
static void
move_anchor(struct dx_timeline *timeline, uint64_t frame, double error_ns) DX_REALTIME
{
    const double delta = difference(frame, timeline->anchor_frame) * timeline->ns_per_frame +
                         timeline->anchor_fraction + error_ns;
    const uint64_t host_ns = add_ns(timeline->anchor_host_ns, delta);
    timeline->anchor_fraction = delta - difference(host_ns, timeline->anchor_host_ns);
    timeline->anchor_host_ns = host_ns;
    timeline->anchor_frame = frame;
}

/* Rate of the last two stamps, anchor on the last. */
static void
follow_raw(struct dx_timeline *timeline, const struct dx_stamp *stamp) DX_REALTIME
{
    const double slope = difference(stamp->host_time_ns, timeline->last.host_time_ns) /
                         difference(stamp->sample_time, timeline->last.sample_time);
    if (is_plausible(timeline, slope))
        timeline->ns_per_frame = slope;
    timeline->anchor_frame = stamp->sample_time;
    timeline->anchor_host_ns = stamp->host_time_ns;
    timeline->anchor_fraction = 0.0;
}

/*
 * A second-order loop whose gains are those of the growing-memory least-squares line until the memory is
 * full, and stay there: it settles as fast as a straight line through all stamps, then follows drift.
 */
static void
follow_iir(struct dx_timeline *timeline, const struct dx_stamp *stamp, double error_ns) DX_REALTIME
{
    const double period_s = timeline->config.period_frames / timeline->config.rate_hz;
    const double memory = IIR_MEMORY_S / period_s;
    const uint32_t limit = memory < IIR_MEMORY_MIN   ? IIR_MEMORY_MIN
                           : memory > IIR_MEMORY_MAX ? IIR_MEMORY_MAX
                                                     : (uint32_t)memory;
    if (timeline->weight < limit)
        timeline->weight++;

    const double n = timeline->weight;
    const double m = n + (timeline->config.is_stable ? STABLE_PRIOR : 0u);
    const double level_gain = 2.0 * (2.0 * n - 1.0) / (n * (n + 1.0));
    const double slope_gain = 6.0 / (m * (m + 1.0));
    const double periods =
        difference(stamp->sample_time, timeline->anchor_frame) / timeline->config.period_frames;

    move_anchor(timeline, stamp->sample_time, level_gain * error_ns);
    const double slope =
        timeline->ns_per_frame + slope_gain * error_ns / (timeline->config.period_frames * periods);
    if (is_plausible(timeline, slope))
        timeline->ns_per_frame = slope;
}

/* Mean slope of the last 12 stamps, through their centre. */
static void
follow_window(struct dx_timeline *timeline, const struct dx_stamp *stamp) DX_REALTIME
{
    const uint32_t count =
        timeline->window_count < DX_TIMELINE_WINDOW ? (uint32_t)timeline->window_count : DX_TIMELINE_WINDOW;
    const uint32_t oldest = (uint32_t)((timeline->window_count - count) % DX_TIMELINE_WINDOW);
    const uint64_t frame0 = timeline->window_frames[oldest];
    const uint64_t host0 = timeline->window_host_ns[oldest];
    const double slope =
        difference(stamp->host_time_ns, host0) / difference(stamp->sample_time, frame0);
    if (is_plausible(timeline, slope))
        timeline->ns_per_frame = slope;

    double frames = 0.0;
    double host_ns = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        frames += difference(timeline->window_frames[i], frame0);
        host_ns += difference(timeline->window_host_ns[i], host0);
    }
    /* The line through the centre, at the newest stamp's frame. */
    const double at_stamp =
        host_ns / count +
        (difference(stamp->sample_time, frame0) - frames / count) * timeline->ns_per_frame;
    timeline->anchor_frame = stamp->sample_time;
    timeline->anchor_host_ns = add_ns(host0, at_stamp);
    timeline->anchor_fraction = at_stamp - difference(timeline->anchor_host_ns, host0);
}

static bool
is_consecutive(const struct dx_timeline *timeline, const struct dx_stamp *stamp) DX_REALTIME
{
    const struct dx_stamp *const last = &timeline->last;
    const uint32_t period = timeline->config.period_frames;
    if (stamp->sample_time <= last->sample_time || stamp->host_time_ns <= last->host_time_ns)
        return false;
    if (stamp->sample_time % period != 0 || last->sample_time % period != 0)
        return false;
    /* Fewer periods than stamps: some were posted twice. */
    return (stamp->sample_time - last->sample_time) / period <= stamp->count - last->count;
}

enum dx_stamp_effect
dx_timeline_take(struct dx_timeline *timeline, const struct dx_stamp *stamp) DX_REALTIME
{
    if (stamp->count == timeline->last.count)
        return DX_STAMP_NONE;
    /* What was posted before the start was counted by the run before. */
    const uint64_t start = timeline->config.start_count;
    const uint64_t seen = timeline->last.count > start ? timeline->last.count : start;
    timeline->stamps += stamp->count > seen ? stamp->count - seen : 0;

    if (stamp->sample_time >= FRAMES_END) {
        timeline->bad_stamps++;
        timeline->last.count = stamp->count;
        return DX_STAMP_NONE;
    }
    if (stamp->sample_time == 0 && stamp->host_time_ns == 0) {
        const bool was_valid = timeline->valid;
        timeline->last = *stamp;
        timeline->valid = false;
        return was_valid ? DX_STAMP_CLEARED : DX_STAMP_NONE;
    }

    if (!timeline->valid) {
        /* One that is left over was on the grid of the run before. */
        if (stamp->count > start && stamp->sample_time % timeline->config.period_frames != 0)
            timeline->bad_stamps++;
        anchor_at(timeline, stamp);
        timeline->last = *stamp;
        return DX_STAMP_ANCHORED;
    }

    if (stamp->sample_time == timeline->last.sample_time &&
        stamp->host_time_ns == timeline->last.host_time_ns) {
        timeline->last = *stamp; // the same stamp posted again says nothing new
        return DX_STAMP_NONE;
    }

    const double error_ns =
        difference(stamp->host_time_ns, timeline->anchor_host_ns) - timeline->anchor_fraction -
        difference(stamp->sample_time, timeline->anchor_frame) * timeline->ns_per_frame;
    const double period_ns = timeline->config.period_frames * timeline->ns_per_frame;
    const double jump_ns = period_ns * JUMP_PERIODS > JUMP_NS ? period_ns * JUMP_PERIODS : JUMP_NS;
    if (!is_consecutive(timeline, stamp) || error_ns > jump_ns || error_ns < -jump_ns) {
        /* After a stamp that was left over from before the start, a jump is how the driver goes on. */
        if (timeline->last.count > timeline->config.start_count) {
            timeline->bad_stamps++;
            timeline->reanchors++;
        }
        anchor_at(timeline, stamp);
        timeline->last = *stamp;
        return DX_STAMP_ANCHORED;
    }

    remember(timeline, stamp);
    switch (timeline->config.algorithm) {
    case IOUserAudioClockAlgorithmRaw:
        follow_raw(timeline, stamp);
        break;
    case IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage:
        follow_window(timeline, stamp);
        break;
    case IOUserAudioClockAlgorithmSimpleIIR:
    default: // a value of another version of the API follows as the default algorithm does
        follow_iir(timeline, stamp, error_ns);
        break;
    }
    timeline->last = *stamp;
    return DX_STAMP_FOLLOWED;
}
