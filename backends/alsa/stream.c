// SPDX-License-Identifier: MIT
// One direction of an open ALSA device.

#include "backends/alsa/stream.h"

#include "audio/client.h"
#include "backends/alsa/errors.h"
#include "backends/alsa/position.h"
#include "core/clock.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>

/* What is converted at a time. */
#define CHUNK_FRAMES 512u
#define CHUNK_BYTES 65536u
/* The IO size that a program's periods ask for, at least; see docs/design/alsa.md. */
#define SMALLEST_IO_FRAMES 16u
/* A program that stops often starts soon again: the device's IO goes on for so long. */
#define LINGER_NS 1000000000u
/* How long a start that is under way may take before it is ended, where its program does not want it any more. */
#define STOP_AGAIN_NS 50000000u
/* How often to look for the first line of device time, where starting ended without one. */
#define NO_LINE_PAUSE_NS 10000000u

enum state {
    STATE_SETUP,    // nothing moves
    STATE_PREPARED, // frames may be written, the device's IO is being started
    STATE_RUNNING,
    STATE_DRAINING, // playback only: runs until all is heard
    STATE_PAUSED,
    STATE_XRUN,
    STATE_GONE,     // for good: the device is no longer what it was opened as
};

/* What the timer is set to. */
enum alarm {
    ALARM_NEVER,
    ALARM_NOW,
    ALARM_LINE,  // when the line reaches `frame`
    ALARM_HEARD, // when device time reaches `frame`
};

struct dx_alsa_stream {
    /* Fixed from open to close. */
    struct dx_alsa_setup setup;
    int timer_fd;
    dx_client *client;
    dx_clock *clock;
    const struct dx_kernels *kernels;
    bool is_converted;      // the program's frames are not those of the lane or ring
    uint32_t chunk_frames;
    uint32_t store_frames;  // a power of two
    uint64_t refill_ns;     // how often the helper looks at the input ring; 0: it need not
    dx_task *helper;

    /* + 1 to make the helper look. */
    _Atomic uint32_t signal;

    /* All that follows is under the lock, which nobody holds while waiting. */
    pthread_mutex_t lock;
    enum state state;
    struct dx_alsa_thresholds thresholds;
    struct dx_timeline_page page; // last good
    bool is_placed;               // the clock ran when it was started: `base` counts
    uint64_t base;                // device time of frame 0
    uint64_t position;            // this and the following do not wrap
    uint64_t application;
    uint64_t origin;              // the frame that alsa-lib calls 0
    uint64_t reported;            // position, as alsa-lib was told it last
    struct dx_lane_state lane;    // playback: the writer's own
    struct dx_lane_state known;   // capture: the reader's
    uint64_t stored;              // capture: frames that came into the store
    uint8_t *store;               // capture: the newest store_frames of them, as the program reads them
    uint8_t *chunk;
    enum alarm alarm;
    uint64_t alarm_frame;

    /* What the helper is to do, and has done. */
    bool is_wanted;  // the device's IO
    bool is_started; // the device's IO, as far as this client goes
    bool is_ending;
    _Atomic uint32_t has_ended; // 1: the helper is done
    int start_error; // negative errno of the last start
    uint64_t stop_ns; // when to stop what is not wanted
};

/* ---- memory and conversion ---- */

static const struct dx_stream_shape *
find_shape(const struct dx_alsa_stream *stream)
{
    const dx_device *const device = stream->client->device;
    return stream->setup.is_capture ? &device->input_shapes[stream->setup.stream]
                                    : &device->output_shapes[stream->setup.stream];
}

/* Puts frames into the lane, converted. */
static void
append_frames(struct dx_alsa_stream *stream, const uint8_t *data, uint32_t frames)
{
    const struct dx_lane *const lane = &stream->client->lane;
    if (!stream->is_converted) {
        dx_lane_append(lane, &stream->lane, data, frames);
        return;
    }
    const dx_to_float_function to_float = stream->kernels->to_float[stream->setup.format];
    while (frames) {
        const uint32_t n = frames < stream->chunk_frames ? frames : stream->chunk_frames;
        to_float((float *)(void *)stream->chunk, data, (size_t)n * stream->setup.channels);
        dx_lane_append(lane, &stream->lane, stream->chunk, n);
        data += (size_t)n * stream->setup.bytes_per_frame;
        frames -= n;
    }
}

/* Puts the next `frames` frames of the input ring into the store; at most a chunk, in one piece. */
static void
store_frames(struct dx_alsa_stream *stream, uint32_t frames, bool *lost)
{
    const struct dx_lane *const ring = dx_client_ring(stream->client);
    const size_t bytes = stream->client->input_bytes_per_frame;
    const uint64_t time = stream->base + stream->stored;
    const struct dx_span span = dx_lane_copy(ring, &stream->known, time, frames, stream->chunk);
    memset(stream->chunk, 0, span.first * bytes);
    memset(stream->chunk + span.last * bytes, 0, (frames - span.last) * bytes);
    /* A ring that is full has dropped frames; one that is not began after them, with a new driver. */
    const struct dx_lane_state *const known = &stream->known;
    if (span.first && known->begin > time && known->end - known->begin == ring->ring_frames)
        *lost = true;

    uint8_t *const to = stream->store + (size_t)(stream->stored & (stream->store_frames - 1u)) *
                                            stream->setup.bytes_per_frame;
    if (stream->is_converted)
        stream->kernels->from_float[stream->setup.format](to, (const float *)(const void *)stream->chunk,
                                                          (size_t)frames * stream->setup.channels);
    else
        memcpy(to, stream->chunk, frames * bytes);
    stream->stored += frames;
}

/* Brings the store up to a frame.  @return whether frames were lost on the way. */
static bool
fill_store(struct dx_alsa_stream *stream, uint64_t until)
{
    bool lost = false;
    if (until > stream->stored + stream->store_frames)
        stream->stored = until - stream->store_frames;
    while (stream->stored < until) {
        uint64_t n = until - stream->stored;
        const uint32_t edge = stream->store_frames - (uint32_t)(stream->stored & (stream->store_frames - 1u));
        n = n < edge ? n : edge;
        n = n < stream->chunk_frames ? n : stream->chunk_frames;
        store_frames(stream, (uint32_t)n, &lost);
    }
    return lost;
}

/* ---- states ---- */

static void
publish(struct dx_alsa_stream *stream)
{
    if (!stream->setup.is_capture)
        dx_lane_publish(&stream->client->lane, &stream->lane);
}

/* Nothing of it is heard, or missed, any more. */
static void
silence(struct dx_alsa_stream *stream)
{
    stream->lane.flags = 0;
    publish(stream);
}

static void
enter(struct dx_alsa_stream *stream, enum state state)
{
    stream->state = state;
    if (state == STATE_SETUP || state == STATE_XRUN || state == STATE_GONE)
        silence(stream);
}

static void
refresh_page(struct dx_alsa_stream *stream)
{
    struct dx_timeline_page page = stream->page;
    dx_client_read_page(stream->client, &page);
    if (page.state != DX_TIMELINE_NONE)
        stream->page = page;
    const bool is_other_rate = stream->page.state != DX_TIMELINE_NONE &&
                               fabs(stream->page.rate_hz - stream->setup.rate_hz) >= 1.0;
    if (stream->state != STATE_GONE && (is_other_rate || dx_client_is_cut_off(stream->client)))
        enter(stream, STATE_GONE);
}

static bool
is_moving(const struct dx_alsa_stream *stream)
{
    return stream->is_placed && (stream->state == STATE_RUNNING || stream->state == STATE_DRAINING);
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
    for (const char *text = stream->client->device->uid; *text; text++)
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
    if (start >> START_TIME_BITS != hash >> START_TIME_BITS || apart > stream->setup.rate_hz * TOGETHER_SECONDS)
        return time;
    /* Only what is there can be recorded. */
    (void)dx_lane_read_state(dx_client_ring(stream->client), &stream->known);
    return stream->known.flags & DX_LANE_RUNNING && stream->known.begin <= other ? other : time;
}

static void
place_capture(struct dx_alsa_stream *stream, uint64_t next)
{
    stream->base = (stream->position ? next : find_start(stream, next)) - stream->position;
    stream->stored = stream->position;
}

static void
place_playback(struct dx_alsa_stream *stream, uint64_t next, uint64_t now)
{
    const struct dx_timeline_page *const page = &stream->page;
    const uint64_t line = dx_alsa_find_playback_line(page, now);
    const uint64_t on_time = next + 2u * (uint64_t)page->io_frames + page->output_safety;
    if (!stream->position)
        tell_start(stream, next);
    stream->base = (on_time > line ? on_time : line) - stream->position;
    stream->lane.epoch++;
    stream->lane.base = stream->base;
    stream->lane.begin = stream->position; // what was heard before is not heard again
    stream->lane.flags = DX_LANE_RUNNING | (stream->state == STATE_DRAINING ? DX_LANE_DRAINING : 0u);
    publish(stream);
}

/* Says where the next frame is in device time: at a start, or after a pause. */
static void
place(struct dx_alsa_stream *stream, uint64_t now)
{
    refresh_page(stream);
    if (stream->page.state == DX_TIMELINE_NONE || stream->state == STATE_GONE)
        return;
    const uint64_t next = (uint64_t)ceil(dx_timeline_page_position(&stream->page, now));
    stream->is_placed = true;
    if (stream->setup.is_capture)
        place_capture(stream, next);
    else
        place_playback(stream, next, now);
}

/* ---- where it is ---- */

static uint64_t
find_played(const struct dx_alsa_stream *stream, uint64_t now)
{
    const uint64_t end = stream->base + stream->application;
    const uint64_t line = dx_alsa_find_playback_line(&stream->page, now);
    uint64_t played = line > stream->base ? line - stream->base : 0;
    /* Nothing is missing before a cycle has gone without it. */
    if (played > stream->application && dx_client_find_consumed(&stream->page, now) <= end)
        played = stream->application;
    if (stream->state == STATE_DRAINING && stream->application) {
        if (dx_timeline_page_position(&stream->page, now) >= (double)end)
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
        stream->base = find_start(stream, stream->base);
    (void)dx_lane_read_state(dx_client_ring(stream->client), &stream->known);
    const uint64_t end = stream->known.flags & DX_LANE_RUNNING ? stream->known.end : 0;
    const uint64_t line = dx_alsa_find_capture_line(&stream->page, end, now);
    return line > stream->base ? line - stream->base : 0;
}

/* Makes a frame the end of what was written. */
static void
move_end(struct dx_alsa_stream *stream, uint64_t end)
{
    struct dx_lane_state *const lane = &stream->lane;
    if (end == lane->end)
        return;
    if (end > lane->end && end - lane->end <= stream->client->lane.ring_frames) {
        dx_lane_append(&stream->client->lane, lane, NULL, (uint32_t)(end - lane->end));
        return;
    }
    if (end > lane->end || end < lane->begin)
        lane->begin = end;
    lane->end = end;
    publish(stream);
}

/* Follows alsa-lib's count of the program's frames, which may have gone back or ahead without a word. */
static void
take_application(struct dx_alsa_stream *stream, uint64_t application)
{
    const int64_t boundary = (int64_t)stream->thresholds.boundary;
    const int64_t before = (int64_t)(stream->application - stream->origin) % boundary;
    int64_t ahead = ((int64_t)application - before) % boundary;
    if (ahead < -boundary / 2)
        ahead += boundary;
    else if (ahead >= boundary / 2)
        ahead -= boundary;
    stream->application += (uint64_t)ahead;
    /* What it took back is not heard. */
    if (!stream->setup.is_capture && stream->application < stream->lane.end)
        move_end(stream, stream->application);
}

/* Frames that the program may write or read. */
static int64_t
find_available(const struct dx_alsa_stream *stream)
{
    const int64_t ahead = (int64_t)(stream->position - stream->application);
    return stream->setup.is_capture ? ahead : ahead + (int64_t)stream->setup.buffer_frames;
}

/* With the usual threshold, the buffer's size, nothing is lost yet when just as much is available. */
static uint64_t
find_stop_threshold(const struct dx_alsa_stream *stream)
{
    const uint64_t stop = stream->thresholds.stop;
    return stop == stream->setup.buffer_frames ? stop + 1u : stop;
}

static bool
is_xrun(const struct dx_alsa_stream *stream)
{
    return find_available(stream) >= (int64_t)find_stop_threshold(stream);
}

/* Brings the position up to now. */
static void
move(struct dx_alsa_stream *stream, uint64_t now)
{
    bool lost = false;
    const uint64_t position = stream->setup.is_capture ? find_captured(stream, now) : find_played(stream, now);
    if (position > stream->position)
        stream->position = position;
    if (stream->setup.is_capture)
        lost = fill_store(stream, stream->position);
    if (stream->state == STATE_RUNNING && (is_xrun(stream) || (lost && stream->thresholds.stop != DX_ALSA_NEVER_STOP)))
        enter(stream, STATE_XRUN);
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

static bool
is_ready(const struct dx_alsa_stream *stream)
{
    switch (stream->state) {
    case STATE_PREPARED:
    case STATE_PAUSED:
    case STATE_RUNNING:
        return (int64_t)stream->position >= find_wake_position(stream);
    case STATE_DRAINING:
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

/*
 * Sets the timer to when there will be something to do.  It stays readable once it has fired; set again only where
 * something else is awaited, or where it fired too early.
 */
static void
set_alarm(struct dx_alsa_stream *stream, uint64_t now, bool has_fired)
{
    enum alarm alarm;
    uint64_t frame = 0;
    if (is_ready(stream)) {
        const int64_t wanted = find_wake_position(stream) + (int64_t)stream->base;
        if (stream->alarm == ALARM_LINE && stream->state == STATE_RUNNING && (int64_t)stream->alarm_frame <= wanted)
            return; // it has fired
        alarm = ALARM_NOW;
    } else if (!is_moving(stream)) {
        alarm = ALARM_NEVER;
    } else if (stream->state == STATE_DRAINING) {
        alarm = ALARM_HEARD;
        frame = stream->base + stream->application;
    } else {
        alarm = ALARM_LINE;
        frame = stream->base + (uint64_t)find_wake_position(stream);
    }
    if (!has_fired && alarm == stream->alarm && frame == stream->alarm_frame)
        return;
    stream->alarm = alarm;
    stream->alarm_frame = frame;
    switch (alarm) {
    case ALARM_NEVER:
        set_timer(stream, 0);
        break;
    case ALARM_NOW:
        set_timer(stream, 1);
        break;
    case ALARM_LINE:
        set_timer(stream, stream->setup.is_capture ? dx_alsa_find_capture_ns(&stream->page, frame, now)
                                                   : dx_alsa_find_playback_ns(&stream->page, frame, now));
        break;
    case ALARM_HEARD:
        set_timer(stream, dx_alsa_find_heard_ns(&stream->page, frame, now));
        break;
    }
}

/* ---- the helper: starts and stops the device's IO, which may take its time ---- */

static void
signal_helper(struct dx_alsa_stream *stream)
{
    /* release: pairs with the acquire in run_helper(). */
    atomic_fetch_add_explicit(&stream->signal, 1, memory_order_release);
    dx_clock_wake(stream->clock, &stream->signal, 1);
}

static void
start_io(struct dx_alsa_stream *stream)
{
    dx_client *const client = stream->client;
    pthread_mutex_unlock(&stream->lock);
    atomic_store_explicit(&client->running, true, memory_order_release);
    const kern_return_t status = client->device->ops->start(client->device, client);
    if (status != kIOReturnSuccess)
        atomic_store_explicit(&client->running, false, memory_order_release);
    pthread_mutex_lock(&stream->lock);

    stream->is_started = status == kIOReturnSuccess;
    if (stream->is_started || !stream->is_wanted)
        return;
    stream->is_wanted = false;
    stream->start_error = dx_alsa_errno(status);
    if (stream->state == STATE_RUNNING || stream->state == STATE_DRAINING) {
        enter(stream, STATE_GONE);
        set_alarm(stream, dx_clock_now_ns(stream->clock), false);
    }
}

static void
stop_io(struct dx_alsa_stream *stream)
{
    dx_client *const client = stream->client;
    stream->is_started = false;
    pthread_mutex_unlock(&stream->lock);
    atomic_store_explicit(&client->running, false, memory_order_release);
    client->device->ops->stop(client->device, client);
    pthread_mutex_lock(&stream->lock);
}

/* What is due under the lock.  @return when to look again. */
static uint64_t
help(struct dx_alsa_stream *stream)
{
    if (stream->is_wanted && !stream->is_started)
        start_io(stream);
    const uint64_t now = dx_clock_now_ns(stream->clock);
    if (!stream->is_started)
        return DX_NEVER;
    if (!stream->is_wanted) {
        if (now < stream->stop_ns)
            return stream->stop_ns;
        stop_io(stream);
        return DX_NEVER;
    }
    const bool is_running = stream->state == STATE_RUNNING || stream->state == STATE_DRAINING;
    if (is_running && !stream->is_placed) {
        place(stream, now);
        set_alarm(stream, now, false);
        if (!stream->is_placed)
            return now + NO_LINE_PAUSE_NS;
    }
    if (!is_moving(stream) || !stream->refill_ns)
        return DX_NEVER;
    refresh_page(stream);
    move(stream, now);
    return now + stream->refill_ns;
}

static void
run_helper(void *argument)
{
    static const struct dx_wait_reason reason = {.what = "something to do for an ALSA program", .idle = true};
    struct dx_alsa_stream *const stream = argument;
    for (;;) {
        /* acquire: pairs with the release in signal_helper(). */
        const uint32_t signal = atomic_load_explicit(&stream->signal, memory_order_acquire);
        pthread_mutex_lock(&stream->lock);
        const bool is_ending = stream->is_ending;
        const uint64_t look = is_ending ? 0 : help(stream);
        if (is_ending && stream->is_started)
            stop_io(stream);
        pthread_mutex_unlock(&stream->lock);
        if (is_ending)
            break;
        (void)dx_clock_wait(stream->clock, &stream->signal, signal, look, &reason); // the loop looks again
    }
    /* release: pairs with the acquire in end_helper(). */
    atomic_store_explicit(&stream->has_ended, 1, memory_order_release);
    dx_clock_wake(stream->clock, &stream->has_ended, 1);
}

/* A start that waits for a driver ends when somebody stops what it starts. */
static void
end_helper(struct dx_alsa_stream *stream)
{
    static const struct dx_wait_reason reason = {.what = "the end of an ALSA stream"};
    dx_client *const client = stream->client;
    pthread_mutex_lock(&stream->lock);
    enter(stream, STATE_SETUP);
    stream->is_ending = true;
    pthread_mutex_unlock(&stream->lock);
    signal_helper(stream);
    /* acquire: pairs with the release in run_helper(). */
    while (!atomic_load_explicit(&stream->has_ended, memory_order_acquire)) {
        const uint64_t deadline = dx_clock_now_ns(stream->clock) + STOP_AGAIN_NS;
        if (dx_clock_wait(stream->clock, &stream->has_ended, 0, deadline, &reason) == -ETIMEDOUT)
            client->device->ops->stop(client->device, client);
    }
    dx_task_join(stream->helper);
}

/* ---- opening and closing ---- */

static void
free_stream(struct dx_alsa_stream *stream)
{
    free(stream->chunk);
    free(stream->store);
    free(stream);
}

/* Half a period: then what a period brings is heard within another one, and two periods are enough. */
static uint32_t
find_io_frames(const struct dx_alsa_setup *setup)
{
    const uint32_t half = setup->period_frames / 2u;
    return half > SMALLEST_IO_FRAMES ? half : SMALLEST_IO_FRAMES;
}

static int
join(struct dx_alsa_stream *stream, dx_device *device, const dx_device_info *info)
{
    const struct dx_alsa_setup *const setup = &stream->setup;
    const uint32_t io_frames = find_io_frames(setup);
    /* What a program may have written and no cycle taken: its buffer, and what the line is ahead of the cycles. */
    const uint32_t half = info->ring_frames / 2u;
    const uint32_t ahead = half > 4u * io_frames ? half : 4u * io_frames;
    const dx_client_config config = {
        .size = sizeof config,
        .name = setup->name,
        .output_stream = setup->is_capture ? DX_NO_STREAM : setup->stream,
        .input_stream = setup->is_capture ? setup->stream : DX_NO_STREAM,
        .io_frames = io_frames,
        .buffer_frames = setup->buffer_frames + ahead,
        .lead_frames = io_frames,
        .priority = -1,
    };
    const kern_return_t status = dx_client_open(device, &config, &stream->client);
    return status == kIOReturnSuccess ? 0 : dx_alsa_errno(status);
}

static uint32_t
round_up_to_power_of_two(uint32_t value)
{
    return value <= 1u ? 1u : 1u << (32u - (uint32_t)__builtin_clz(value - 1u));
}

static int
allocate(struct dx_alsa_stream *stream)
{
    const struct dx_alsa_setup *const setup = &stream->setup;
    const struct dx_stream_shape *const shape = find_shape(stream);
    stream->is_converted = shape->is_mixable && setup->format != DX_SAMPLE_F32_LE && setup->format != DX_SAMPLE_F32_BE;
    const uint32_t fitting = CHUNK_BYTES / shape->client_bytes_per_frame;
    stream->chunk_frames = fitting < CHUNK_FRAMES ? fitting : CHUNK_FRAMES;
    if (!stream->chunk_frames)
        stream->chunk_frames = 1;
    stream->chunk = calloc(stream->chunk_frames, shape->client_bytes_per_frame);
    if (!stream->chunk)
        return -ENOMEM;
    if (!setup->is_capture)
        return 0;

    stream->store_frames = round_up_to_power_of_two(setup->buffer_frames);
    stream->store = calloc(stream->store_frames, setup->bytes_per_frame);
    if (!stream->store)
        return -ENOMEM;
    const uint32_t ring_frames = dx_client_ring(stream->client)->ring_frames;
    if (setup->buffer_frames > ring_frames / 2u)
        stream->refill_ns = (uint64_t)(1e9 * ring_frames / 4.0 / setup->rate_hz);
    return 0;
}

/* What was found when the sizes were agreed upon may have changed since. */
static int
check_setup(const struct dx_alsa_setup *setup, const dx_device_info *info)
{
    const uint32_t count = setup->is_capture ? info->input_streams : info->output_streams;
    if (setup->stream >= count)
        return -EINVAL;
    const dx_stream_info *const stream =
        setup->is_capture ? &info->inputs[setup->stream] : &info->outputs[setup->stream];
    if (stream->client.mChannelsPerFrame != setup->channels || fabs(info->sample_rate_hz - setup->rate_hz) >= 1.0)
        return -ENODEV;
    if (!stream->is_mixable && stream->client.mBytesPerFrame != setup->bytes_per_frame)
        return -ENODEV;
    return 0;
}

int
dx_alsa_stream_open(dx_device *device, const struct dx_alsa_setup *setup, int timer_fd,
                    struct dx_alsa_stream **ret_stream)
{
    dx_device_info info = {.size = sizeof info};
    if (dx_device_get_info(device, &info) != kIOReturnSuccess)
        return -ENODEV;
    int r = check_setup(setup, &info);
    if (r < 0)
        return r;
    struct dx_alsa_stream *const stream = calloc(1, sizeof *stream);
    if (!stream)
        return -ENOMEM;
    stream->setup = *setup;
    stream->timer_fd = timer_fd;
    stream->clock = device->clock;
    stream->kernels = dx_kernels_best();
    stream->page.state = DX_TIMELINE_NONE;
    stream->thresholds = (struct dx_alsa_thresholds){.boundary = setup->buffer_frames, .stop = setup->buffer_frames, .available_min = 1};
    r = join(stream, device, &info);
    if (r < 0) {
        free_stream(stream);
        return r;
    }
    r = allocate(stream);
    pthread_mutexattr_t attributes;
    if (r == 0) {
        (void)pthread_mutexattr_init(&attributes);                                   // cannot fail on Linux
        (void)pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);      // a program's thread may be real-time
        r = -pthread_mutex_init(&stream->lock, &attributes);
        (void)pthread_mutexattr_destroy(&attributes);
    }
    if (r < 0) {
        dx_client_close(stream->client);
        free_stream(stream);
        return r;
    }
    set_alarm(stream, 0, true);
    const dx_task_config task = {.name = "dx-alsa"};
    const kern_return_t status = dx_task_spawn(stream->clock, &task, run_helper, stream, &stream->helper);
    if (status != kIOReturnSuccess) {
        dx_client_close(stream->client);
        (void)pthread_mutex_destroy(&stream->lock);
        free_stream(stream);
        return dx_alsa_errno(status);
    }
    *ret_stream = stream;
    return 0;
}

void
dx_alsa_stream_close(struct dx_alsa_stream *stream)
{
    if (!stream)
        return;
    if (!dx_device_is_forked(stream->client->device)) {
        end_helper(stream);
        (void)pthread_mutex_destroy(&stream->lock);
    }
    dx_client_close(stream->client);
    free_stream(stream);
}

/* ---- what the program does ---- */

void
dx_alsa_stream_set_thresholds(struct dx_alsa_stream *stream, const struct dx_alsa_thresholds *thresholds)
{
    pthread_mutex_lock(&stream->lock);
    stream->thresholds = *thresholds;
    set_alarm(stream, dx_clock_now_ns(stream->clock), false);
    pthread_mutex_unlock(&stream->lock);
}

int
dx_alsa_stream_prepare(struct dx_alsa_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    refresh_page(stream);
    const int r = stream->state == STATE_GONE ? -ENODEV : 0;
    if (r == 0) {
        stream->is_placed = false;
        stream->position = 0;
        stream->application = 0;
        stream->origin = 0;
        stream->reported = 0;
        stream->stored = 0;
        stream->lane = (struct dx_lane_state){.epoch = stream->lane.epoch + 1u};
        publish(stream);
        enter(stream, STATE_PREPARED);
        stream->is_wanted = true;
        stream->start_error = 0;
        set_alarm(stream, 0, false);
    }
    pthread_mutex_unlock(&stream->lock);
    signal_helper(stream);
    return r;
}

int
dx_alsa_stream_start(struct dx_alsa_stream *stream, uint64_t application)
{
    int r = 0;
    pthread_mutex_lock(&stream->lock);
    take_application(stream, application);
    if (stream->state == STATE_GONE)
        r = -ENODEV;
    else if (stream->start_error)
        r = stream->start_error;
    else if (!stream->setup.is_capture && stream->application <= stream->position &&
             stream->thresholds.stop <= stream->setup.buffer_frames)
        r = -EPIPE;
    if (r == 0) {
        const uint64_t now = dx_clock_now_ns(stream->clock);
        enter(stream, STATE_RUNNING);
        if (stream->is_started)
            place(stream, now);
        set_alarm(stream, now, false);
    }
    const bool needs_help = r == 0 && (!stream->is_placed || stream->refill_ns);
    pthread_mutex_unlock(&stream->lock);
    if (needs_help)
        signal_helper(stream);
    return r;
}

void
dx_alsa_stream_stop(struct dx_alsa_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    const uint64_t now = dx_clock_now_ns(stream->clock);
    if (stream->state != STATE_GONE)
        enter(stream, STATE_SETUP);
    stream->is_wanted = false;
    stream->stop_ns = now + LINGER_NS;
    set_alarm(stream, now, false);
    pthread_mutex_unlock(&stream->lock);
    signal_helper(stream);
}

void
dx_alsa_stream_pause(struct dx_alsa_stream *stream, uint64_t application)
{
    pthread_mutex_lock(&stream->lock);
    const uint64_t now = dx_clock_now_ns(stream->clock);
    take_application(stream, application);
    refresh_page(stream);
    if (is_moving(stream)) {
        move(stream, now);
        if (stream->state == STATE_RUNNING && !stream->setup.is_capture) {
            /* It ends with a frame that no cycle can be taking at this moment. */
            const uint64_t taken = stream->page.mixed_until + stream->page.io_frames;
            uint64_t end = taken > stream->base ? taken - stream->base : 0;
            end = end < stream->application ? end : stream->application;
            if (end > stream->position)
                stream->position = end;
            struct dx_lane_state paused = stream->lane;
            paused.flags |= DX_LANE_DRAINING;
            paused.end = stream->position > paused.begin ? stream->position : paused.begin;
            paused.end = paused.end < stream->lane.end ? paused.end : stream->lane.end;
            dx_lane_publish(&stream->client->lane, &paused);
            stream->lane.flags = 0; // until it is resumed
        }
    }
    if (stream->state == STATE_RUNNING)
        stream->state = STATE_PAUSED;
    set_alarm(stream, now, false);
    pthread_mutex_unlock(&stream->lock);
}

void
dx_alsa_stream_resume(struct dx_alsa_stream *stream, uint64_t application)
{
    pthread_mutex_lock(&stream->lock);
    const uint64_t now = dx_clock_now_ns(stream->clock);
    take_application(stream, application);
    if (stream->state == STATE_PAUSED) {
        stream->state = STATE_RUNNING;
        if (stream->is_started)
            place(stream, now);
    }
    set_alarm(stream, now, false);
    pthread_mutex_unlock(&stream->lock);
    signal_helper(stream);
}

int64_t
dx_alsa_stream_get_position(struct dx_alsa_stream *stream, uint64_t application, uint64_t last, bool draining)
{
    pthread_mutex_lock(&stream->lock);
    const uint64_t now = dx_clock_now_ns(stream->clock);
    if (last != stream->reported) { // snd_pcm_reset()
        stream->origin = stream->position;
        stream->application = stream->position;
    }
    take_application(stream, application);
    refresh_page(stream);
    if (draining && stream->state == STATE_RUNNING) {
        if (stream->setup.is_capture) {
            enter(stream, STATE_XRUN); // alsa-lib has no way to read what is left
        } else {
            stream->state = STATE_DRAINING;
            stream->lane.flags |= stream->is_placed ? (uint32_t)DX_LANE_DRAINING : 0u;
            publish(stream);
        }
    }
    if (is_moving(stream))
        move(stream, now);
    set_alarm(stream, now, false);
    stream->reported = (stream->position - stream->origin) % stream->thresholds.boundary;
    const int64_t result = stream->state == STATE_GONE   ? -ENODEV
                           : stream->state == STATE_XRUN ? -EPIPE
                                                         : (int64_t)stream->reported;
    pthread_mutex_unlock(&stream->lock);
    return result;
}

/* What is between the position and what is heard. */
static int64_t
find_distance(const struct dx_alsa_stream *stream, uint64_t now)
{
    const struct dx_timeline_page *const page = &stream->page;
    const uint64_t frame = stream->base + stream->application;
    if (is_moving(stream)) {
        const int64_t ahead = dx_alsa_find_distance(page, frame, now);
        return stream->setup.is_capture ? -ahead : ahead;
    }
    if (stream->setup.is_capture)
        return (int64_t)(stream->position - stream->application);
    return (int64_t)(stream->application - stream->position) + 2 * (int64_t)page->io_frames + page->output_safety;
}

int
dx_alsa_stream_get_delay(struct dx_alsa_stream *stream, uint64_t application, int64_t *ret_frames)
{
    pthread_mutex_lock(&stream->lock);
    take_application(stream, application);
    refresh_page(stream);
    const int r = stream->state == STATE_GONE ? -ENODEV : stream->state == STATE_XRUN ? -EPIPE : 0;
    if (r == 0)
        *ret_frames = find_distance(stream, dx_clock_now_ns(stream->clock)) +
                      atomic_load_explicit(&find_shape(stream)->latency_frames, memory_order_relaxed);
    pthread_mutex_unlock(&stream->lock);
    return r;
}

void
dx_alsa_stream_write(struct dx_alsa_stream *stream, uint64_t application, const void *data, uint32_t frames)
{
    const uint32_t ring_frames = stream->client->lane.ring_frames;
    const uint32_t skipped = frames > ring_frames ? frames - ring_frames : 0;
    pthread_mutex_lock(&stream->lock);
    take_application(stream, application);
    move_end(stream, stream->application + skipped);
    append_frames(stream, (const uint8_t *)data + (size_t)skipped * stream->setup.bytes_per_frame, frames - skipped);
    stream->application += frames;
    set_alarm(stream, dx_clock_now_ns(stream->clock), false);
    pthread_mutex_unlock(&stream->lock);
}

void
dx_alsa_stream_read(struct dx_alsa_stream *stream, uint64_t application, void *data, uint32_t frames, bool taken)
{
    const size_t bytes = stream->setup.bytes_per_frame;
    uint8_t *to = data;
    pthread_mutex_lock(&stream->lock);
    take_application(stream, application);
    const uint64_t oldest = stream->stored > stream->store_frames ? stream->stored - stream->store_frames : 0;
    for (uint64_t frame = stream->application, end = frame + frames; frame < end;) {
        uint64_t n;
        if (frame < oldest) {
            n = oldest - frame < end - frame ? oldest - frame : end - frame;
            memset(to, 0, n * bytes);
        } else if (frame >= stream->stored) {
            n = end - frame;
            memset(to, 0, n * bytes);
        } else {
            const uint32_t at = (uint32_t)(frame & (stream->store_frames - 1u));
            n = stream->stored - frame < end - frame ? stream->stored - frame : end - frame;
            n = n < stream->store_frames - at ? n : stream->store_frames - at;
            memcpy(to, stream->store + at * bytes, n * bytes);
        }
        to += n * bytes;
        frame += n;
    }
    if (taken) {
        stream->application += frames;
        set_alarm(stream, dx_clock_now_ns(stream->clock), false);
    }
    pthread_mutex_unlock(&stream->lock);
}

unsigned
dx_alsa_stream_get_events(struct dx_alsa_stream *stream, uint64_t application)
{
    pthread_mutex_lock(&stream->lock);
    const uint64_t now = dx_clock_now_ns(stream->clock);
    /* Another thread may be in the middle of a write: what it has written so far is known here. */
    if (stream->setup.is_capture)
        take_application(stream, application);
    refresh_page(stream);
    if (is_moving(stream))
        move(stream, now);
    const bool is_due = is_ready(stream);
    set_alarm(stream, now, !is_due);
    unsigned events = is_due ? DX_ALSA_READY : 0;
    if (stream->state == STATE_SETUP || stream->state == STATE_XRUN || stream->state == STATE_GONE)
        events |= DX_ALSA_STOPPED;
    if (stream->state == STATE_XRUN)
        events |= DX_ALSA_XRUN;
    if (stream->state == STATE_GONE)
        events |= DX_ALSA_GONE;
    pthread_mutex_unlock(&stream->lock);
    return events;
}
