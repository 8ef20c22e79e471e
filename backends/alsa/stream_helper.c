// SPDX-License-Identifier: MIT
// The thread of a stream: joins the device, starts and stops its IO, and follows it when it becomes another one.

#include "backends/alsa/errors.h"
#include "backends/alsa/stream_state.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is converted at a time. */
#define CHUNK_FRAMES 512u
#define CHUNK_BYTES 65536u
/* The IO size that a program's periods ask for, at least; see docs/design/alsa.md. */
#define SMALLEST_IO_FRAMES 16u
/* How long a start that is under way may take before it is ended, where its program does not want it any more. */
#define STOP_AGAIN_NS 50000000u
/* How often to look for the first line of device time, where starting ended without one. */
#define NO_LINE_PAUSE_NS 10000000u
/* How often to ask a supervisor that is gone. */
#define ASK_AGAIN_NS 100000000u
/* How long the device's IO goes on for a program that has prepared, paused or lost its stream, and does nothing. */
#define REST_NS 5000000000u
/* How long a device that said that it changes may take before it is heard again anyway. */
#define MUTED_NS 5000000000u

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#    define NATIVE_F32 DX_SAMPLE_F32_LE
#else
#    define NATIVE_F32 DX_SAMPLE_F32_BE
#endif

void
dx_alsa_helper_signal(struct dx_alsa_stream *stream)
{
    /* release: pairs with the acquire in run(). */
    atomic_fetch_add_explicit(&stream->signal, 1, memory_order_release);
    dx_clock_wake(stream->clock, &stream->signal, 1);
}

/* ---- joining ---- */

/* What a stream's frames are like; 24 bits in the high end of four bytes are s32 to a program. */
static int
find_side(const dx_stream_info *info, double rate_hz, struct dx_alsa_side *ret_side)
{
    const uint32_t channels = info->client.mChannelsPerFrame;
    struct dx_alsa_side side = {.rate_hz = (uint32_t)lround(rate_hz), .channels = channels, .format = NATIVE_F32};
    if (!info->is_mixable && dx_sample_format_from_description(&info->physical, &side.format, NULL) < 0)
        return -ENODEV;
    if (side.format == DX_SAMPLE_S24_HIGH_LE)
        side.format = DX_SAMPLE_S32_LE;
    else if (side.format == DX_SAMPLE_S24_HIGH_BE)
        side.format = DX_SAMPLE_S32_BE;
    side.bytes_per_frame = channels * dx_sample_format_bytes(side.format);
    if (!channels || !side.rate_hz)
        return -ENODEV;
    *ret_side = side;
    return 0;
}

/* What the device is like at this moment. */
static int
look_at_device(struct dx_alsa_stream *stream, struct dx_alsa_side *ret_side, uint32_t *ret_ring_frames)
{
    dx_device_info *const info = calloc(1, sizeof *info); // too large for a program's stack
    if (!info)
        return -ENOMEM;
    info->size = sizeof *info;
    const struct dx_alsa_setup *const setup = &stream->setup;
    int r = dx_alsa_errno(dx_device_get_info(stream->device, info));
    const uint32_t count = setup->is_capture ? info->input_streams : info->output_streams;
    if (r == 0 && setup->stream >= count)
        r = -ENODEV;
    if (r == 0)
        r = find_side(setup->is_capture ? &info->inputs[setup->stream] : &info->outputs[setup->stream],
                      info->sample_rate_hz, ret_side);
    *ret_ring_frames = info->ring_frames;
    free(info);
    return r;
}

/* Half a period: then what a period brings is heard within another one, and two periods are enough. */
static uint32_t
find_io_frames(uint64_t period_frames)
{
    return period_frames / 2u > SMALLEST_IO_FRAMES ? (uint32_t)(period_frames / 2u) : SMALLEST_IO_FRAMES;
}

static int
open_client(struct dx_alsa_stream *stream, const struct dx_alsa_side *side, uint32_t ring_frames,
            dx_client **ret_client)
{
    const struct dx_alsa_setup *const setup = &stream->setup;
    const uint64_t period = (uint64_t)setup->period_frames * side->rate_hz / setup->rate_hz;
    const uint64_t buffer = (uint64_t)setup->buffer_frames * side->rate_hz / setup->rate_hz + 1u;
    const uint32_t io_frames = find_io_frames(period);
    /* What a program may have written and no cycle taken: its buffer, and what the line is ahead of the cycles. */
    const uint64_t ahead = ring_frames / 2u > 4u * io_frames ? ring_frames / 2u : 4u * io_frames;
    const dx_client_config config = {
        .size = sizeof config,
        .name = setup->name,
        .output_stream = setup->is_capture ? DX_NO_STREAM : setup->stream,
        .input_stream = setup->is_capture ? setup->stream : DX_NO_STREAM,
        .io_frames = io_frames,
        .buffer_frames = (uint32_t)(buffer + ahead),
        .lead_frames = io_frames,
        .priority = -1,
    };
    return dx_alsa_errno(dx_client_open(stream->device, &config, ret_client));
}

/* Sizes that depend on what the device's frames are like; the lock is not needed before anybody looks. */
static int
make_chunk(const struct dx_alsa_side *side, uint8_t **ret_chunk, uint32_t *ret_frames)
{
    const uint32_t fitting = CHUNK_BYTES / side->bytes_per_frame;
    *ret_frames = fitting < CHUNK_FRAMES ? fitting : CHUNK_FRAMES;
    *ret_frames = *ret_frames ? *ret_frames : 1u;
    *ret_chunk = calloc(*ret_frames, side->bytes_per_frame);
    return *ret_chunk ? 0 : -ENOMEM;
}

/* A ring that is shorter than what the program may leave unread has to be looked at in time. */
static uint64_t
find_refill_ns(const struct dx_alsa_stream *stream, const dx_client *client, const struct dx_alsa_side *side)
{
    if (!stream->setup.is_capture)
        return 0;
    const uint64_t ring_frames = dx_client_ring(client)->ring_frames;
    const uint64_t buffer = (uint64_t)stream->setup.buffer_frames * side->rate_hz / stream->setup.rate_hz;
    return buffer > ring_frames / 2u ? (uint64_t)(1e9 * (double)ring_frames / 4.0 / side->rate_hz) : 0;
}

/* What a stream gets when it joins. */
struct joined {
    struct dx_alsa_side side;
    struct dx_alsa_adapter *adapter;
    uint8_t *chunk;
    uint32_t chunk_frames;
    uint32_t ring_frames;
};

static void
finish_joined(struct joined *joined)
{
    dx_alsa_adapter_destroy(joined->adapter);
    free(joined->chunk);
}

/* @param keeps  an adapter is needed in any case: it keeps frames while there is no lane. */
static int
prepare_joined(struct dx_alsa_stream *stream, bool keeps, struct joined *ret_joined)
{
    struct joined joined = {.adapter = NULL};
    int r = look_at_device(stream, &joined.side, &joined.ring_frames);
    if (r == 0)
        r = make_chunk(&joined.side, &joined.chunk, &joined.chunk_frames);
    if (r == 0 && (keeps || !dx_alsa_side_is_like(&stream->program, &joined.side))) {
        joined.adapter = dx_alsa_adapter_create(&stream->program, &joined.side, stream->setup.buffer_frames,
                                                stream->setup.is_capture);
        r = joined.adapter ? 0 : -ENODEV;
    }
    if (r == 0)
        *ret_joined = joined;
    else
        finish_joined(&joined);
    return r;
}

/* Gives what it had before back in `joined`. */
static void
take_joined(struct dx_alsa_stream *stream, struct joined *joined)
{
    struct dx_alsa_adapter *const adapter = stream->adapter;
    uint8_t *const chunk = stream->chunk;
    stream->side = joined->side;
    stream->adapter = joined->adapter;
    stream->chunk = joined->chunk;
    stream->chunk_frames = joined->chunk_frames;
    joined->adapter = adapter;
    joined->chunk = chunk;
}

/* The memory must be what the description said; else it has changed in between. */
static bool
fits(const struct dx_alsa_stream *stream, const dx_client *client)
{
    const uint32_t bytes = stream->side.bytes_per_frame;
    return stream->setup.is_capture ? client->input_bytes_per_frame == bytes : client->lane.bytes_per_frame == bytes;
}

int
dx_alsa_helper_join(struct dx_alsa_stream *stream)
{
    struct joined joined;
    int r = prepare_joined(stream, false, &joined);
    if (r < 0)
        return r;
    const uint32_t ring_frames = joined.ring_frames;
    take_joined(stream, &joined);
    finish_joined(&joined);
    r = open_client(stream, &stream->side, ring_frames, &stream->client);
    if (r == 0 && !fits(stream, stream->client))
        r = -ENODEV;
    if (r < 0)
        return r;
    stream->refill_ns = find_refill_ns(stream, stream->client, &stream->side);
    stream->is_attached = true;
    return 0;
}

/* ---- IO ---- */

static void
fail(struct dx_alsa_stream *stream)
{
    dx_alsa_time_enter(stream, DX_ALSA_STATE_GONE);
    stream->needs_change = false;
    stream->is_wanted = false;
    dx_alsa_time_set_alarm(stream, dx_clock_now_ns(stream->clock), false);
}

/* With the lock, which it gives up meanwhile.  @return when to try again; 0: not any more. */
static uint64_t
start_io(struct dx_alsa_stream *stream)
{
    dx_client *const client = stream->client;
    stream->starting = client;
    pthread_mutex_unlock(&stream->lock);
    atomic_store_explicit(&client->running, true, memory_order_release);
    const kern_return_t status = stream->device->ops->start(stream->device, client);
    if (status != kIOReturnSuccess)
        atomic_store_explicit(&client->running, false, memory_order_release);
    pthread_mutex_lock(&stream->lock);

    stream->starting = NULL;
    stream->is_started = status == kIOReturnSuccess;
    if (stream->is_started || !stream->is_wanted || stream->is_ending)
        return 0;
    const uint64_t now = dx_clock_now_ns(stream->clock);
    /* No supervisor at this moment, or no driver yet. */
    if ((status == kIOReturnNotReady || status == kIOReturnTimeout) && now < stream->give_up_ns)
        return now + ASK_AGAIN_NS;
    stream->is_wanted = false;
    stream->start_error = dx_alsa_errno(status);
    if (stream->state == DX_ALSA_STATE_RUNNING || stream->state == DX_ALSA_STATE_DRAINING)
        fail(stream);
    return 0;
}

/* With the lock, which it gives up meanwhile. */
static void
stop_io(struct dx_alsa_stream *stream)
{
    dx_client *const client = stream->client;
    stream->is_started = false;
    pthread_mutex_unlock(&stream->lock);
    atomic_store_explicit(&client->running, false, memory_order_release);
    stream->device->ops->stop(stream->device, client);
    pthread_mutex_lock(&stream->lock);
}

/* ---- a device that has become another one ---- */

/* Leaves the device; what was written and is not heard is kept by an adapter meanwhile.  With the lock. */
static dx_client *
detach(struct dx_alsa_stream *stream, struct joined *joined, float *pending)
{
    dx_client *const client = stream->client;
    if (joined->adapter && !stream->setup.is_capture) {
        const uint64_t end = stream->application;
        const uint32_t count = end > stream->position ? (uint32_t)(end - stream->position) : 0;
        dx_alsa_frames_copy_pending(stream, stream->position, count, pending);
        dx_alsa_adapter_begin(joined->adapter, stream->position);
        dx_alsa_adapter_take_floats(joined->adapter, pending, count);
    }
    dx_alsa_frames_silence(stream);
    take_joined(stream, joined);
    stream->is_attached = false;
    stream->is_placed = false;
    stream->is_started = false;
    stream->client = NULL;
    return client;
}

/* Frames that the adapter kept go into the lane as they are, where nothing has to be adapted any more.  With the lock. */
static void
drop_adapter(struct dx_alsa_stream *stream, float *pending)
{
    const struct dx_alsa_adapter *const adapter = stream->adapter;
    const uint64_t end = dx_alsa_adapter_end(adapter);
    const uint64_t begin = stream->position < end ? stream->position : end;
    const uint32_t count = (uint32_t)(end - begin);
    dx_alsa_adapter_copy(adapter, begin, count, pending);
    stream->lane = (struct dx_lane_state){.epoch = stream->lane.epoch + 1u, .begin = begin, .end = begin};
    for (uint32_t done = 0; done < count;) {
        const uint32_t n = count - done < stream->chunk_frames ? count - done : stream->chunk_frames;
        stream->kernels->from_float[stream->side.format](stream->chunk, pending + (size_t)done * stream->side.channels,
                                                         (size_t)n * stream->side.channels);
        dx_lane_append(&stream->client->lane, &stream->lane, stream->chunk, n);
        done += n;
    }
}

/* With the lock. */
static struct dx_alsa_adapter *
attach(struct dx_alsa_stream *stream, float *pending)
{
    struct dx_alsa_adapter *unused = NULL;
    stream->is_attached = true;
    stream->needs_change = false;
    stream->refill_ns = find_refill_ns(stream, stream->client, &stream->side);
    stream->known = (struct dx_lane_state){.epoch = 0};
    if (!stream->setup.is_capture) {
        stream->lane = (struct dx_lane_state){.epoch = stream->lane.epoch + 1u};
        if (dx_alsa_side_is_like(&stream->program, &stream->side)) {
            drop_adapter(stream, pending);
            unused = stream->adapter;
            stream->adapter = NULL;
        }
    }
    return unused;
}

/* With the lock, which it gives up meanwhile.  @return 0, or an errno: -EAGAIN to try again. */
static int
join_anew(struct dx_alsa_stream *stream, uint32_t ring_frames)
{
    const struct dx_alsa_side side = stream->side;
    dx_client *client = NULL;
    pthread_mutex_unlock(&stream->lock);
    const int r = open_client(stream, &side, ring_frames, &client);
    pthread_mutex_lock(&stream->lock);
    stream->client = client;
    return r;
}

/* With the lock, which it gives up meanwhile.  @return when to try again; 0: it is done. */
static uint64_t
change(struct dx_alsa_stream *stream)
{
    struct joined joined;
    pthread_mutex_unlock(&stream->lock);
    const size_t samples = (size_t)stream->setup.buffer_frames * 2u * stream->program.channels;
    float *const pending = stream->setup.is_capture ? NULL : calloc(samples, sizeof *pending);
    int r = prepare_joined(stream, !stream->setup.is_capture, &joined);
    pthread_mutex_lock(&stream->lock);
    if (r == 0 && (pending || stream->setup.is_capture)) {
        const uint32_t ring_frames = joined.ring_frames;
        dx_client *const before = detach(stream, &joined, pending);
        pthread_mutex_unlock(&stream->lock);
        dx_client_close(before);
        finish_joined(&joined);
        pthread_mutex_lock(&stream->lock);
        r = join_anew(stream, ring_frames);
    } else if (r == 0) {
        finish_joined(&joined);
        r = -ENOMEM;
    }
    struct dx_alsa_adapter *unused = NULL;
    if (r == 0 && !fits(stream, stream->client))
        r = -EAGAIN; // it has changed again
    if (r == 0)
        unused = attach(stream, pending);
    pthread_mutex_unlock(&stream->lock);
    dx_alsa_adapter_destroy(unused);
    free(pending);
    pthread_mutex_lock(&stream->lock);
    if (r == -EAGAIN || r == -ETIMEDOUT)
        return dx_clock_now_ns(stream->clock) + ASK_AGAIN_NS;
    if (r < 0)
        fail(stream);
    return 0;
}

void
dx_alsa_stream_tell(struct dx_alsa_stream *stream, enum dx_alsa_news news)
{
    pthread_mutex_lock(&stream->lock);
    if (news == DX_ALSA_NEWS_END) {
        stream->muted_until_ns = 0;
    } else if (news == DX_ALSA_NEWS_BEGIN && dx_alsa_time_is_moving(stream) && !stream->setup.is_capture) {
        /* Its frames are not to be heard at another rate for the moment until they are adapted. */
        stream->is_muted = true;
        stream->muted_until_ns = dx_clock_now_ns(stream->clock) + MUTED_NS;
        dx_alsa_frames_silence(stream);
    }
    pthread_mutex_unlock(&stream->lock);
    dx_alsa_helper_signal(stream);
}

/* Nothing has changed after all, or nothing that matters. */
static void
unmute(struct dx_alsa_stream *stream)
{
    stream->is_muted = false;
    if (!dx_alsa_time_is_moving(stream))
        return;
    stream->lane.flags = DX_LANE_RUNNING | (stream->state == DX_ALSA_STATE_DRAINING ? DX_LANE_DRAINING : 0u);
    dx_alsa_frames_publish(stream);
}

/* ---- the thread ---- */

static uint64_t
earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Lets the device rest until the program starts, or goes on.  With the lock, which it gives up meanwhile. */
static void
rest(struct dx_alsa_stream *stream)
{
    stream->is_wanted = false;
    stream->is_placed = false;
    stop_io(stream);
}

/* What is due while the device's IO runs; with the lock, which it may give up.  @return when to look again. */
static uint64_t
help_running(struct dx_alsa_stream *stream, uint64_t now)
{
    const bool is_running =
        stream->state == DX_ALSA_STATE_RUNNING || stream->state == DX_ALSA_STATE_DRAINING;
    uint64_t look = DX_NEVER;
    if (!is_running && !stream->rest_ns)
        stream->rest_ns = now + REST_NS;
    if (!is_running && now >= stream->rest_ns) {
        rest(stream);
        return DX_NEVER;
    }
    if (!is_running)
        look = stream->rest_ns;
    if (is_running && !stream->is_placed) {
        dx_alsa_time_place(stream, now);
        dx_alsa_time_set_alarm(stream, now, false);
        if (!stream->is_placed)
            return now + NO_LINE_PAUSE_NS;
    }
    if (stream->is_muted && now >= stream->muted_until_ns)
        unmute(stream);
    if (stream->is_muted)
        look = earlier(look, stream->muted_until_ns);
    if (dx_alsa_time_is_moving(stream)) { // an xrun of a program that does nothing is seen here
        dx_alsa_time_move(stream, now);
        dx_alsa_time_set_alarm(stream, now, false);
        look = earlier(look, now + (stream->refill_ns ? stream->refill_ns : REST_NS));
    }
    return look;
}

/* What is due, with the lock.  @return when to look again. */
static uint64_t
help(struct dx_alsa_stream *stream)
{
    uint64_t again = 0;
    dx_alsa_time_refresh(stream);
    if (stream->needs_change)
        again = change(stream);
    if (!again && stream->is_wanted && !stream->is_started)
        again = start_io(stream);
    if (again)
        return again;
    const uint64_t now = dx_clock_now_ns(stream->clock);
    if (!stream->is_started)
        return DX_NEVER;
    if (stream->is_wanted)
        return help_running(stream, now);
    if (now < stream->stop_ns)
        return stream->stop_ns;
    stop_io(stream);
    return DX_NEVER;
}

static void
run(void *argument)
{
    static const struct dx_wait_reason reason = {.what = "something to do for an ALSA program", .idle = true};
    struct dx_alsa_stream *const stream = argument;
    for (;;) {
        /* acquire: pairs with the release in dx_alsa_helper_signal(). */
        const uint32_t signal = atomic_load_explicit(&stream->signal, memory_order_acquire);
        pthread_mutex_lock(&stream->lock);
        const uint64_t look = stream->is_ending ? 0 : help(stream);
        const bool is_ending = stream->is_ending;
        if (is_ending && stream->is_started)
            stop_io(stream);
        pthread_mutex_unlock(&stream->lock);
        if (is_ending)
            break;
        (void)dx_clock_wait(stream->clock, &stream->signal, signal, look, &reason); // the loop looks again
    }
    /* release: pairs with the acquire in dx_alsa_helper_end(). */
    atomic_store_explicit(&stream->has_ended, 1, memory_order_release);
    dx_clock_wake(stream->clock, &stream->has_ended, 1);
}

int
dx_alsa_helper_start(struct dx_alsa_stream *stream)
{
    const dx_task_config task = {.name = "dx-alsa"};
    return dx_alsa_errno(dx_task_spawn(stream->clock, &task, run, stream, &stream->helper));
}

void
dx_alsa_helper_end(struct dx_alsa_stream *stream)
{
    static const struct dx_wait_reason reason = {.what = "the end of an ALSA stream"};
    pthread_mutex_lock(&stream->lock);
    dx_alsa_time_enter(stream, DX_ALSA_STATE_SETUP);
    stream->is_ending = true;
    pthread_mutex_unlock(&stream->lock);
    dx_alsa_helper_signal(stream);
    /* acquire: pairs with the release in run(). */
    while (!atomic_load_explicit(&stream->has_ended, memory_order_acquire)) {
        const uint64_t deadline = dx_clock_now_ns(stream->clock) + STOP_AGAIN_NS;
        if (dx_clock_wait(stream->clock, &stream->has_ended, 0, deadline, &reason) != -ETIMEDOUT)
            continue;
        /* A start that waits for a driver ends when somebody stops what it starts. */
        pthread_mutex_lock(&stream->lock);
        dx_client *const client = stream->starting;
        pthread_mutex_unlock(&stream->lock);
        if (client) // stays until the helper has ended
            stream->device->ops->stop(stream->device, client);
    }
    dx_task_join(stream->helper);
}
