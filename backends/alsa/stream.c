// SPDX-License-Identifier: MIT
// One direction of an open ALSA device: what its program does with it.

#include "backends/alsa/stream_state.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How long a start waits for a supervisor that is gone, or a driver that does not come. */
#define GIVE_UP_NS 10000000000u
/* A program that stops often starts soon again: the device's IO goes on for so long. */
#define LINGER_NS 1000000000u

/* ---- opening and closing ---- */

static void
free_stream(struct dx_alsa_stream *stream)
{
    dx_client_close(stream->client);
    dx_alsa_adapter_destroy(stream->adapter);
    free(stream->chunk);
    free(stream->store);
    dx_device_release(stream->device);
    free(stream);
}

static uint32_t
round_up_to_power_of_two(uint32_t value)
{
    return value <= 1u ? 1u : 1u << (32u - (uint32_t)__builtin_clz(value - 1u));
}

static int
init_lock(struct dx_alsa_stream *stream)
{
    pthread_mutexattr_t attributes;
    int error = pthread_mutexattr_init(&attributes);
    if (error)
        return -error;
    (void)pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT); // a program's thread may be real-time
    error = pthread_mutex_init(&stream->lock, &attributes);
    (void)pthread_mutexattr_destroy(&attributes); // cannot fail
    return -error;
}

static int
set_up(struct dx_alsa_stream *stream)
{
    const struct dx_alsa_setup *const setup = &stream->setup;
    if (setup->is_capture) {
        stream->store_frames = round_up_to_power_of_two(setup->buffer_frames);
        stream->store = calloc(stream->store_frames, setup->bytes_per_frame);
        if (!stream->store)
            return -ENOMEM;
    }
    const int r = dx_alsa_helper_join(stream);
    return r < 0 ? r : init_lock(stream);
}

int
dx_alsa_stream_open(dx_device *device, const struct dx_alsa_setup *setup, int timer_fd,
                    struct dx_alsa_stream **ret_stream)
{
    struct dx_alsa_stream *const stream = calloc(1, sizeof *stream);
    if (!stream)
        return -ENOMEM;
    stream->setup = *setup;
    stream->program = (struct dx_alsa_side){
        .rate_hz = setup->rate_hz,
        .channels = setup->channels,
        .format = setup->format,
        .bytes_per_frame = setup->bytes_per_frame,
    };
    stream->timer_fd = timer_fd;
    stream->device = dx_device_retain(device);
    stream->clock = device->clock;
    stream->kernels = dx_kernels_best();
    stream->page.state = DX_TIMELINE_NONE;
    stream->thresholds = (struct dx_alsa_thresholds){
        .boundary = setup->buffer_frames, .stop = setup->buffer_frames, .available_min = 1};
    int r = set_up(stream);
    if (r < 0) {
        free_stream(stream);
        return r;
    }
    dx_alsa_frames_clear(stream);
    dx_alsa_time_set_alarm(stream, 0, true);
    r = dx_alsa_helper_start(stream);
    if (r < 0) {
        (void)pthread_mutex_destroy(&stream->lock);
        free_stream(stream);
        return r;
    }
    *ret_stream = stream;
    return 0;
}

void
dx_alsa_stream_close(struct dx_alsa_stream *stream)
{
    if (!stream)
        return;
    if (!dx_device_is_forked(stream->device)) {
        dx_alsa_helper_end(stream);
        (void)pthread_mutex_destroy(&stream->lock);
    }
    free_stream(stream);
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
    if (!stream->setup.is_capture && stream->state != DX_ALSA_STATE_DRAINING &&
        stream->application < dx_alsa_frames_end(stream))
        dx_alsa_frames_move_end(stream, stream->application);
}

/* ---- what the program does ---- */

void
dx_alsa_stream_set_thresholds(struct dx_alsa_stream *stream, const struct dx_alsa_thresholds *thresholds)
{
    pthread_mutex_lock(&stream->lock);
    stream->thresholds = *thresholds;
    dx_alsa_time_set_alarm(stream, dx_clock_now_ns(stream->clock), false);
    pthread_mutex_unlock(&stream->lock);
}

/* The device's IO is to run, if that is not ordered yet. */
static void
want_io(struct dx_alsa_stream *stream, uint64_t now)
{
    if (stream->is_wanted)
        return;
    stream->is_wanted = true;
    stream->give_up_ns = now + GIVE_UP_NS;
}

int
dx_alsa_stream_prepare(struct dx_alsa_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    dx_alsa_time_refresh(stream);
    const int r = stream->state == DX_ALSA_STATE_GONE ? -ENODEV : 0;
    if (r == 0) {
        stream->is_placed = false;
        stream->position = 0;
        stream->application = 0;
        stream->origin = 0;
        stream->reported = 0;
        stream->stored = 0;
        stream->is_muted = false;
        dx_alsa_frames_clear(stream);
        dx_alsa_time_enter(stream, DX_ALSA_STATE_PREPARED);
        stream->start_error = 0;
        stream->is_wanted = false;
        want_io(stream, dx_clock_now_ns(stream->clock));
        dx_alsa_time_set_alarm(stream, 0, false);
    }
    pthread_mutex_unlock(&stream->lock);
    dx_alsa_helper_signal(stream);
    return r;
}

int
dx_alsa_stream_start(struct dx_alsa_stream *stream, uint64_t application)
{
    int r = 0;
    pthread_mutex_lock(&stream->lock);
    take_application(stream, application);
    if (stream->state == DX_ALSA_STATE_GONE)
        r = -ENODEV;
    else if (stream->start_error)
        r = stream->start_error;
    if (r == 0) {
        const uint64_t now = dx_clock_now_ns(stream->clock);
        dx_alsa_time_enter(stream, DX_ALSA_STATE_RUNNING);
        want_io(stream, now);
        if (stream->is_started)
            dx_alsa_time_place(stream, now);
        dx_alsa_time_set_alarm(stream, now, false);
    }
    const bool needs_help = r == 0 && (!stream->is_placed || stream->refill_ns);
    pthread_mutex_unlock(&stream->lock);
    if (needs_help)
        dx_alsa_helper_signal(stream);
    return r;
}

void
dx_alsa_stream_stop(struct dx_alsa_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    const uint64_t now = dx_clock_now_ns(stream->clock);
    if (stream->state != DX_ALSA_STATE_GONE)
        dx_alsa_time_enter(stream, DX_ALSA_STATE_SETUP);
    stream->is_wanted = false;
    stream->stop_ns = now + LINGER_NS;
    dx_alsa_time_set_alarm(stream, now, false);
    pthread_mutex_unlock(&stream->lock);
    dx_alsa_helper_signal(stream);
}

void
dx_alsa_stream_pause(struct dx_alsa_stream *stream, uint64_t application)
{
    pthread_mutex_lock(&stream->lock);
    const uint64_t now = dx_clock_now_ns(stream->clock);
    take_application(stream, application);
    dx_alsa_time_refresh(stream);
    if (dx_alsa_time_is_moving(stream)) {
        dx_alsa_time_move(stream, now);
        if (stream->state == DX_ALSA_STATE_RUNNING && !stream->setup.is_capture) {
            /* It ends with a frame that no cycle can be taking at this moment. */
            const uint64_t taken = stream->page.mixed_until + stream->page.io_frames;
            uint64_t end = dx_alsa_segment_find_frame(&stream->segment, taken);
            end = end < stream->application ? end : stream->application;
            if (end > stream->position)
                stream->position = end;
            dx_alsa_frames_pause(stream);
        }
    }
    if (stream->state == DX_ALSA_STATE_RUNNING)
        dx_alsa_time_enter(stream, DX_ALSA_STATE_PAUSED);
    dx_alsa_time_set_alarm(stream, now, false);
    pthread_mutex_unlock(&stream->lock);
    dx_alsa_helper_signal(stream);
}

void
dx_alsa_stream_resume(struct dx_alsa_stream *stream, uint64_t application)
{
    pthread_mutex_lock(&stream->lock);
    const uint64_t now = dx_clock_now_ns(stream->clock);
    take_application(stream, application);
    if (stream->state == DX_ALSA_STATE_PAUSED) {
        dx_alsa_time_enter(stream, DX_ALSA_STATE_RUNNING);
        want_io(stream, now);
        if (stream->is_started)
            dx_alsa_time_place(stream, now);
    }
    dx_alsa_time_set_alarm(stream, now, false);
    pthread_mutex_unlock(&stream->lock);
    dx_alsa_helper_signal(stream);
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
    dx_alsa_time_refresh(stream);
    if (draining && stream->state == DX_ALSA_STATE_RUNNING) {
        if (stream->setup.is_capture) {
            dx_alsa_time_enter(stream, DX_ALSA_STATE_XRUN); // alsa-lib has no way to read what is left
        } else {
            stream->state = DX_ALSA_STATE_DRAINING;
            dx_alsa_frames_drain(stream);
        }
    }
    if (dx_alsa_time_is_moving(stream))
        dx_alsa_time_move(stream, now);
    dx_alsa_time_set_alarm(stream, now, false);
    stream->reported = (stream->position - stream->origin) % stream->thresholds.boundary;
    const int64_t result = stream->state == DX_ALSA_STATE_GONE   ? -ENODEV
                           : stream->state == DX_ALSA_STATE_XRUN ? -EPIPE
                                                         : (int64_t)stream->reported;
    pthread_mutex_unlock(&stream->lock);
    return result;
}

/* What the device declares, in the program's frames. */
static double
find_latency(const struct dx_alsa_stream *stream)
{
    const dx_device *const device = stream->device;
    const struct dx_stream_shape *const shape = stream->setup.is_capture
                                                    ? &device->input_shapes[stream->setup.stream]
                                                    : &device->output_shapes[stream->setup.stream];
    const double latency = atomic_load_explicit(&shape->latency_frames, memory_order_relaxed);
    return latency * stream->program.rate_hz / stream->side.rate_hz;
}

/* Frames between where the program is and what is heard, or was recorded, at this moment. */
static double
find_delay(const struct dx_alsa_stream *stream, uint64_t now)
{
    const struct dx_timeline_page *const page = &stream->page;
    const double ratio = (double)stream->side.rate_hz / stream->program.rate_hz;
    const double ahead = (double)(int64_t)(stream->application - stream->position);
    const double lateness = dx_alsa_time_lateness(stream) + find_latency(stream);
    if (dx_alsa_time_is_moving(stream)) {
        const double since = (double)(int64_t)(stream->application - stream->segment.frame);
        const double there =
            ((double)stream->segment.time - dx_timeline_page_position(page, now)) / ratio + since;
        return (stream->setup.is_capture ? -there : there) + lateness;
    }
    /* As a sound card that has not begun: what an empty buffer tells, some programs take off all later delays. */
    if (stream->state == DX_ALSA_STATE_PREPARED)
        return stream->setup.is_capture ? 0.0 : ahead;
    if (stream->state == DX_ALSA_STATE_SETUP)
        return 0.0; // nothing will be heard, or was recorded
    return stream->setup.is_capture ? -ahead + lateness
                                    : ahead + (2.0 * page->io_frames + page->output_safety) / ratio + lateness;
}

int
dx_alsa_stream_get_delay(struct dx_alsa_stream *stream, uint64_t application, int64_t *ret_frames)
{
    pthread_mutex_lock(&stream->lock);
    take_application(stream, application);
    dx_alsa_time_refresh(stream);
    const int r = stream->state == DX_ALSA_STATE_GONE ? -ENODEV : stream->state == DX_ALSA_STATE_XRUN ? -EPIPE : 0;
    if (r == 0)
        *ret_frames = llround(find_delay(stream, dx_clock_now_ns(stream->clock)));
    pthread_mutex_unlock(&stream->lock);
    return r;
}

void
dx_alsa_stream_write(struct dx_alsa_stream *stream, uint64_t application, const void *data, uint32_t frames)
{
    pthread_mutex_lock(&stream->lock);
    take_application(stream, application);
    dx_alsa_frames_move_end(stream, stream->application);
    dx_alsa_frames_append(stream, data, frames);
    stream->application += frames;
    dx_alsa_time_set_alarm(stream, dx_clock_now_ns(stream->clock), false);
    pthread_mutex_unlock(&stream->lock);
}

void
dx_alsa_stream_read(struct dx_alsa_stream *stream, uint64_t application, void *data, uint32_t frames, bool taken)
{
    pthread_mutex_lock(&stream->lock);
    take_application(stream, application);
    dx_alsa_frames_copy_stored(stream, stream->application, data, frames);
    if (taken) {
        stream->application += frames;
        dx_alsa_time_set_alarm(stream, dx_clock_now_ns(stream->clock), false);
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
    dx_alsa_time_refresh(stream);
    if (dx_alsa_time_is_moving(stream))
        dx_alsa_time_move(stream, now);
    const bool is_due = dx_alsa_time_is_ready(stream);
    dx_alsa_time_set_alarm(stream, now, !is_due);
    unsigned events = is_due ? DX_ALSA_READY : 0;
    if (stream->state == DX_ALSA_STATE_SETUP || stream->state == DX_ALSA_STATE_XRUN || stream->state == DX_ALSA_STATE_GONE)
        events |= DX_ALSA_STOPPED;
    if (stream->state == DX_ALSA_STATE_XRUN)
        events |= DX_ALSA_XRUN;
    if (stream->state == DX_ALSA_STATE_GONE)
        events |= DX_ALSA_GONE;
    pthread_mutex_unlock(&stream->lock);
    return events;
}
