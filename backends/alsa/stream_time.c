// SPDX-License-Identifier: MIT
// Where a stream is in device time, and when its program is to be woken.

#include "backends/alsa/position.h"
#include "backends/alsa/stream_state.h"

#include <math.h>
#include <sys/timerfd.h>

void
dx_alsa_time_enter(struct dx_alsa_stream *stream, enum dx_alsa_state state)
{
    stream->state = state;
    stream->rest_ns = 0;
    if (state == DX_ALSA_STATE_SETUP || state == DX_ALSA_STATE_XRUN || state == DX_ALSA_STATE_GONE)
        dx_alsa_frames_silence(stream);
    if (state == DX_ALSA_STATE_XRUN)
        dx_alsa_helper_signal(stream); // its program may leave it at that
}

void
dx_alsa_time_refresh(struct dx_alsa_stream *stream)
{
    if (!stream->client || stream->state == DX_ALSA_STATE_GONE)
        return;
    struct dx_timeline_page page = stream->page;
    dx_client_read_page(stream->client, &page);
    if (page.state != DX_TIMELINE_NONE)
        stream->page = page;
    if (stream->needs_change || !stream->is_attached)
        return;
    const bool is_other_rate = stream->page.state != DX_TIMELINE_NONE &&
                               fabs(stream->page.rate_hz - stream->side.rate_hz) >= 1.0;
    if (is_other_rate || dx_client_is_cut_off(stream->client)) {
        stream->needs_change = true;
        dx_alsa_frames_silence(stream);
        dx_alsa_helper_signal(stream);
    }
}

bool
dx_alsa_time_is_moving(const struct dx_alsa_stream *stream)
{
    return stream->is_placed && !stream->needs_change &&
           (stream->state == DX_ALSA_STATE_RUNNING || stream->state == DX_ALSA_STATE_DRAINING);
}

uint32_t
dx_alsa_time_lateness(const struct dx_alsa_stream *stream)
{
    if (!stream->adapter)
        return 0;
    const uint32_t lateness = dx_alsa_adapter_lateness(stream->adapter); // of what sound comes from
    return stream->setup.is_capture
               ? (uint32_t)((uint64_t)lateness * stream->program.rate_hz / stream->side.rate_hz)
               : lateness;
}

/* ---- where it begins ---- */

/*
 * A program that plays to and records from one device starts both one after the other.  They begin together all the same,
 * so that its round trip is the same in each run: recording takes over the time at which playback began.
 *
 * The last such time of each device, 16 bits of its name's hash and 48 of device time.
 */
static _Atomic uint64_t playback_starts[64];

#define START_TIME_BITS 48u
#define TOGETHER_SECONDS 0.005

/* Source: Fowler, Noll, Vo: FNV-1a. */
static uint64_t
hash_device(const struct dx_alsa_stream *stream)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (const char *text = stream->device->uid; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001B3);
    return hash;
}

static void
tell_start(const struct dx_alsa_stream *stream, uint64_t time)
{
    const uint64_t hash = hash_device(stream);
    /* relaxed: a value by itself, for find_start(). */
    atomic_store_explicit(&playback_starts[hash % 64u],
                          hash >> START_TIME_BITS << START_TIME_BITS | (time & ((UINT64_C(1) << START_TIME_BITS) - 1u)),
                          memory_order_relaxed);
}

/* When playback of the same device began, where that was at the same time as `time`; else `time`. */
static uint64_t
find_start(struct dx_alsa_stream *stream, uint64_t time)
{
    const uint64_t hash = hash_device(stream);
    const uint64_t start = atomic_load_explicit(&playback_starts[hash % 64u], memory_order_relaxed);
    const uint64_t other = start & ((UINT64_C(1) << START_TIME_BITS) - 1u);
    const uint64_t apart = other < time ? time - other : other - time;
    if (start >> START_TIME_BITS != hash >> START_TIME_BITS || apart > stream->side.rate_hz * TOGETHER_SECONDS)
        return time;
    /* Only what is there can be recorded. */
    (void)dx_lane_read_state(dx_client_ring(stream->client), &stream->known);
    return stream->known.flags & DX_LANE_RUNNING && stream->known.begin <= other ? other : time;
}

void
dx_alsa_time_place(struct dx_alsa_stream *stream, uint64_t now)
{
    dx_alsa_time_refresh(stream);
    const struct dx_timeline_page *const page = &stream->page;
    stream->is_placed = false;
    if (page->state == DX_TIMELINE_NONE || stream->needs_change || !stream->is_attached)
        return;
    stream->is_placed = true;
    stream->is_muted = false;
    const uint64_t next = (uint64_t)ceil(dx_timeline_page_position(page, now));
    stream->segment = (struct dx_alsa_segment){
        .frame = stream->position,
        .time = next,
        .program_hz = stream->program.rate_hz,
        .device_hz = stream->side.rate_hz,
    };
    if (stream->setup.is_capture) {
        stream->stored = stream->position;
        if (!stream->position)
            stream->segment.time = find_start(stream, next);
        return;
    }
    if (!stream->position)
        tell_start(stream, next);
    const uint64_t line = dx_alsa_find_playback_line(page, now);
    const uint64_t on_time = next + 2u * (uint64_t)page->io_frames + page->output_safety;
    stream->segment.time = on_time > line ? on_time : line;
    dx_alsa_frames_place(stream);
}

/* ---- where it is ---- */

/* The end of what was written, and of what the adapter makes of it, in device time. */
static uint64_t
find_end_time(const struct dx_alsa_stream *stream)
{
    return dx_alsa_segment_find_time(&stream->segment, stream->application + dx_alsa_time_lateness(stream));
}

static uint64_t
find_played(const struct dx_alsa_stream *stream, uint64_t now)
{
    const struct dx_timeline_page *const page = &stream->page;
    const uint64_t end = dx_alsa_segment_find_time(&stream->segment, stream->application);
    uint64_t played = dx_alsa_segment_find_frame(&stream->segment, dx_alsa_find_playback_line(page, now));
    /* Nothing is missing before a cycle has gone without it. */
    if (played > stream->application && dx_client_find_consumed(page, now) <= end)
        played = stream->application;
    if (stream->state == DX_ALSA_STATE_DRAINING && stream->application) {
        if (dx_timeline_page_position(page, now) >= (double)find_end_time(stream))
            played = stream->application;
        else if (played >= stream->application)
            played = stream->application - 1u;
    }
    return played;
}

static uint64_t
find_captured(struct dx_alsa_stream *stream, uint64_t now)
{
    if (!stream->position) // playback may have begun since
        stream->segment.time = find_start(stream, stream->segment.time);
    (void)dx_lane_read_state(dx_client_ring(stream->client), &stream->known);
    const uint64_t end = stream->known.flags & DX_LANE_RUNNING ? stream->known.end : 0;
    return dx_alsa_segment_count_frames(&stream->segment, dx_alsa_find_capture_line(&stream->page, end, now));
}

/* With the usual threshold, the buffer's size, nothing is lost yet when just as much is available. */
static uint64_t
find_stop_threshold(const struct dx_alsa_stream *stream)
{
    const uint64_t stop = stream->thresholds.stop;
    return stop == stream->setup.buffer_frames ? stop + 1u : stop;
}

/* Frames that the program may write or read. */
static int64_t
find_available(const struct dx_alsa_stream *stream)
{
    const int64_t ahead = (int64_t)(stream->position - stream->application);
    return stream->setup.is_capture ? ahead : ahead + (int64_t)stream->setup.buffer_frames;
}

void
dx_alsa_time_move(struct dx_alsa_stream *stream, uint64_t now)
{
    bool is_lost = false;
    const uint64_t position = stream->setup.is_capture ? find_captured(stream, now) : find_played(stream, now);
    if (position > stream->position)
        stream->position = position;
    if (stream->setup.is_capture)
        is_lost = dx_alsa_frames_store(stream, stream->position) && stream->thresholds.stop != DX_ALSA_NEVER_STOP;
    if (stream->state == DX_ALSA_STATE_RUNNING &&
        (is_lost || find_available(stream) >= (int64_t)find_stop_threshold(stream)))
        dx_alsa_time_enter(stream, DX_ALSA_STATE_XRUN);
}

/* ---- when to wake the program ---- */

/* The position at which it is to be woken. */
static int64_t
find_wake_position(const struct dx_alsa_stream *stream)
{
    const uint64_t stop = find_stop_threshold(stream);
    const uint64_t least =
        stream->thresholds.available_min < stop ? stream->thresholds.available_min : stop;
    return (int64_t)(stream->application + least) -
           (stream->setup.is_capture ? 0 : (int64_t)stream->setup.buffer_frames);
}

bool
dx_alsa_time_is_ready(const struct dx_alsa_stream *stream)
{
    switch (stream->state) {
    case DX_ALSA_STATE_PREPARED:
    case DX_ALSA_STATE_PAUSED:
    case DX_ALSA_STATE_RUNNING:
        return (int64_t)stream->position >= find_wake_position(stream);
    case DX_ALSA_STATE_DRAINING:
        return stream->position >= stream->application;
    default:
        return true;
    }
}

static void
set_timer(const struct dx_alsa_stream *stream, uint64_t when_ns)
{
    const struct itimerspec spec = {
        .it_value = {.tv_sec = (time_t)(when_ns / 1000000000u), .tv_nsec = (long)(when_ns % 1000000000u)},
    };
    (void)timerfd_settime(stream->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL); // cannot fail for these values
}

/* The device time that the line has to reach for the program to be woken. */
static uint64_t
find_wake_time(const struct dx_alsa_stream *stream)
{
    const int64_t position = find_wake_position(stream);
    return dx_alsa_segment_find_time(&stream->segment, position > 0 ? (uint64_t)position : 0);
}

static uint64_t
find_alarm_ns(const struct dx_alsa_stream *stream, enum dx_alsa_alarm alarm, uint64_t time, uint64_t now)
{
    switch (alarm) {
    case DX_ALSA_ALARM_NEVER:
        break;
    case DX_ALSA_ALARM_NOW:
        return 1; // long past
    case DX_ALSA_ALARM_LINE:
        return stream->setup.is_capture ? dx_alsa_find_capture_ns(&stream->page, time, now)
                                        : dx_alsa_find_playback_ns(&stream->page, time, now);
    case DX_ALSA_ALARM_HEARD:
        return dx_alsa_find_heard_ns(&stream->page, time, now);
    }
    return 0;
}

/*
 * It stays readable once it has fired: it is set again only where something else is awaited, or where it fired too early.
 */
void
dx_alsa_time_set_alarm(struct dx_alsa_stream *stream, uint64_t now, bool has_fired)
{
    enum dx_alsa_alarm alarm = DX_ALSA_ALARM_NEVER;
    uint64_t time = 0;
    const bool is_moving = dx_alsa_time_is_moving(stream);
    if (dx_alsa_time_is_ready(stream)) {
        if (is_moving && stream->alarm == DX_ALSA_ALARM_LINE && stream->alarm_time <= find_wake_time(stream))
            return; // it has fired
        alarm = DX_ALSA_ALARM_NOW;
    } else if (is_moving && stream->state == DX_ALSA_STATE_DRAINING) {
        alarm = DX_ALSA_ALARM_HEARD;
        time = find_end_time(stream);
    } else if (is_moving) {
        alarm = DX_ALSA_ALARM_LINE;
        time = find_wake_time(stream);
    }
    if (!has_fired && alarm == stream->alarm && time == stream->alarm_time)
        return;
    stream->alarm = alarm;
    stream->alarm_time = time;
    set_timer(stream, find_alarm_ns(stream, alarm, time, now));
}
