// SPDX-License-Identifier: MIT
// Where a stream's frames are kept: in the lane as they are, in the lane through an adapter, in the store.

#include "backends/alsa/stream_state.h"

#include <string.h>

/* ---- playback ---- */

static const struct dx_lane *
find_lane(const struct dx_alsa_stream *stream)
{
    return stream->is_attached && !stream->setup.is_capture ? &stream->client->lane : NULL;
}

void
dx_alsa_frames_publish(struct dx_alsa_stream *stream)
{
    const struct dx_lane *const lane = find_lane(stream);
    if (lane)
        dx_lane_publish(lane, &stream->lane);
}

void
dx_alsa_frames_silence(struct dx_alsa_stream *stream)
{
    stream->lane.flags = 0;
    dx_alsa_frames_publish(stream);
}

void
dx_alsa_frames_clear(struct dx_alsa_stream *stream)
{
    stream->lane = (struct dx_lane_state){.epoch = stream->lane.epoch + 1u};
    if (stream->adapter && !stream->setup.is_capture)
        dx_alsa_adapter_begin(stream->adapter, 0);
    dx_alsa_frames_publish(stream);
}

/* Makes the device's frames, up to the end of what the adapter has. */
static void
produce(struct dx_alsa_stream *stream)
{
    const struct dx_lane *const lane = find_lane(stream);
    if (!lane || !stream->is_placed)
        return;
    const uint64_t until = dx_alsa_segment_find_time(&stream->segment, dx_alsa_adapter_end(stream->adapter));
    for (uint64_t time = stream->lane.base + stream->lane.end; time < until;) {
        const uint32_t n = until - time < stream->chunk_frames ? (uint32_t)(until - time) : stream->chunk_frames;
        for (uint32_t i = 0; i < n; i++) {
            double fraction;
            const uint64_t frame = dx_alsa_segment_find_place(&stream->segment, time + i, &fraction);
            dx_alsa_adapter_make(stream->adapter, frame, fraction,
                                 stream->chunk + (size_t)i * stream->side.bytes_per_frame);
        }
        dx_lane_append(lane, &stream->lane, stream->chunk, n);
        time += n;
    }
}

/* The program's frames are the device's; of floats its samples are made. */
static void
append_one_to_one(struct dx_alsa_stream *stream, const uint8_t *data, uint32_t frames)
{
    const struct dx_lane *const lane = find_lane(stream);
    if (stream->program.format == stream->side.format) {
        dx_lane_append(lane, &stream->lane, data, frames);
        return;
    }
    const dx_to_float_function to_float = stream->kernels->to_float[stream->program.format];
    while (frames) {
        const uint32_t n = frames < stream->chunk_frames ? frames : stream->chunk_frames;
        to_float((float *)(void *)stream->chunk, data, (size_t)n * stream->program.channels);
        dx_lane_append(lane, &stream->lane, stream->chunk, n);
        data += (size_t)n * stream->program.bytes_per_frame;
        frames -= n;
    }
}

void
dx_alsa_frames_append(struct dx_alsa_stream *stream, const uint8_t *data, uint32_t frames)
{
    if (stream->adapter) {
        dx_alsa_adapter_take(stream->adapter, data, frames);
        produce(stream);
        return;
    }
    /* More than there is room for is late anyway: the newest count. */
    const uint32_t ring_frames = find_lane(stream)->ring_frames;
    if (frames > ring_frames) {
        dx_alsa_frames_move_end(stream, stream->lane.end + frames - ring_frames);
        data += (size_t)(frames - ring_frames) * stream->program.bytes_per_frame;
        frames = ring_frames;
    }
    append_one_to_one(stream, data, frames);
}

/* Takes back the lane's frames from a place in it on, or puts silence before it. */
static void
move_lane_end(struct dx_alsa_stream *stream, uint64_t end)
{
    const struct dx_lane *const lane = find_lane(stream);
    struct dx_lane_state *const state = &stream->lane;
    if (!lane || end == state->end)
        return;
    if (end > state->end && end - state->end <= lane->ring_frames) {
        dx_lane_append(lane, state, NULL, (uint32_t)(end - state->end));
        return;
    }
    if (end > state->end || end < state->begin)
        state->begin = end;
    state->end = end;
    dx_lane_publish(lane, state);
}

void
dx_alsa_frames_move_end(struct dx_alsa_stream *stream, uint64_t end)
{
    if (!stream->adapter) {
        move_lane_end(stream, end);
        return;
    }
    dx_alsa_adapter_move_end(stream->adapter, end);
    const uint64_t made = stream->is_placed ? dx_alsa_segment_find_time(&stream->segment, end) - stream->lane.base : 0;
    if (made < stream->lane.end)
        move_lane_end(stream, made);
    produce(stream);
}

uint64_t
dx_alsa_frames_end(const struct dx_alsa_stream *stream)
{
    return stream->adapter ? dx_alsa_adapter_end(stream->adapter) : stream->lane.end;
}

void
dx_alsa_frames_place(struct dx_alsa_stream *stream)
{
    struct dx_lane_state *const state = &stream->lane;
    state->epoch++;
    state->flags = DX_LANE_RUNNING | (stream->state == DX_ALSA_STATE_DRAINING ? DX_LANE_DRAINING : 0u);
    if (stream->adapter) { // the lane counts the device's frames, from the segment's first on
        state->base = stream->segment.time;
        state->begin = 0;
        state->end = 0;
    } else {
        state->base = stream->segment.time - stream->segment.frame;
        state->begin = stream->segment.frame; // what was heard before is not heard again
    }
    dx_alsa_frames_publish(stream);
    if (stream->adapter)
        produce(stream);
}

void
dx_alsa_frames_pause(struct dx_alsa_stream *stream)
{
    struct dx_lane_state paused = stream->lane;
    const uint64_t end = stream->adapter ? dx_alsa_segment_find_time(&stream->segment, stream->position) - paused.base
                                         : stream->position;
    paused.flags |= DX_LANE_DRAINING;
    if (end < paused.end)
        paused.end = end > paused.begin ? end : paused.begin;
    dx_lane_publish(find_lane(stream), &paused);
    stream->lane.flags = 0; // until it is resumed
}

void
dx_alsa_frames_drain(struct dx_alsa_stream *stream)
{
    if (stream->is_placed) {
        stream->lane.flags |= DX_LANE_DRAINING;
        dx_alsa_frames_publish(stream);
    }
    if (stream->adapter) {
        dx_alsa_adapter_take(stream->adapter, NULL, dx_alsa_adapter_lateness(stream->adapter));
        produce(stream);
    }
}

void
dx_alsa_frames_copy_pending(const struct dx_alsa_stream *stream, uint64_t frame, uint32_t frames, float *to)
{
    if (stream->adapter) {
        dx_alsa_adapter_copy(stream->adapter, frame, frames, to);
        return;
    }
    const struct dx_lane *const lane = find_lane(stream);
    const dx_to_float_function to_float = stream->kernels->to_float[stream->side.format];
    for (uint32_t i = 0; lane && i < frames; i++) {
        const size_t at = (size_t)((frame + i) & (lane->ring_frames - 1u));
        to_float(to + (size_t)i * stream->program.channels, lane->data + at * lane->bytes_per_frame,
                 stream->program.channels);
    }
}

/* ---- capture ---- */

/* Gives frames of device time, silence where there are none; at most a chunk.  @return whether some were lost. */
static bool
copy_recorded(struct dx_alsa_stream *stream, uint64_t time, uint32_t frames)
{
    const struct dx_lane *const ring = stream->is_attached ? dx_client_ring(stream->client) : NULL;
    const size_t bytes = stream->side.bytes_per_frame;
    struct dx_span span = {0, 0};
    if (ring && ring->bytes_per_frame == bytes)
        span = dx_lane_copy(ring, &stream->known, time, frames, stream->chunk);
    memset(stream->chunk, 0, span.first * bytes);
    memset(stream->chunk + span.last * bytes, 0, (frames - span.last) * bytes);
    /* A ring that is full has dropped frames; one that is not began after them, with a new driver. */
    const struct dx_lane_state *const known = &stream->known;
    return span.first && known->begin > time && known->end - known->begin == ring->ring_frames;
}

static uint8_t *
find_stored(const struct dx_alsa_stream *stream, uint64_t frame)
{
    return stream->store + (size_t)(frame & (stream->store_frames - 1u)) * stream->program.bytes_per_frame;
}

/* The next `frames` frames; at most a chunk, and in one piece of the store. */
static bool
store_one_to_one(struct dx_alsa_stream *stream, uint32_t frames)
{
    const uint64_t time = dx_alsa_segment_find_time(&stream->segment, stream->stored);
    const bool is_lost = copy_recorded(stream, time, frames);
    uint8_t *const to = find_stored(stream, stream->stored);
    if (stream->program.format == stream->side.format)
        memcpy(to, stream->chunk, (size_t)frames * stream->program.bytes_per_frame);
    else
        stream->kernels->from_float[stream->program.format](to, (const float *)(const void *)stream->chunk,
                                                            (size_t)frames * stream->program.channels);
    return is_lost;
}

/* Brings frames of the device into the adapter's window: [from, until), silence before the segment. */
static bool
fill_window(struct dx_alsa_stream *stream, int64_t from, int64_t until)
{
    const int64_t begin = (int64_t)stream->segment.time;
    bool is_lost = false;
    for (int64_t time = from; time < until;) {
        const bool is_before = time < begin;
        int64_t n = is_before && until > begin ? begin - time : until - time;
        n = n < stream->chunk_frames ? n : stream->chunk_frames;
        if (is_before)
            memset(stream->chunk, 0, (size_t)n * stream->side.bytes_per_frame);
        else
            is_lost |= copy_recorded(stream, (uint64_t)time, (uint32_t)n);
        dx_alsa_adapter_fill_window(stream->adapter, stream->chunk, (uint32_t)(time - from), (uint32_t)n);
        time += n;
    }
    return is_lost;
}

static bool
store_adapted(struct dx_alsa_stream *stream, uint32_t frames)
{
    double fraction;
    const uint64_t first = dx_alsa_segment_find_device_place(&stream->segment, stream->stored, &fraction);
    const uint64_t last =
        dx_alsa_segment_find_device_place(&stream->segment, stream->stored + frames - 1u, &fraction);
    const int64_t from = (int64_t)first - 2 * (int64_t)dx_alsa_adapter_lateness(stream->adapter);
    const bool is_lost = fill_window(stream, from, (int64_t)last + 1);
    for (uint32_t i = 0; i < frames; i++) {
        const uint64_t place = dx_alsa_segment_find_device_place(&stream->segment, stream->stored + i, &fraction);
        dx_alsa_adapter_make_recorded(stream->adapter, (uint32_t)((int64_t)place - from), fraction,
                                      find_stored(stream, stream->stored + i));
    }
    return is_lost;
}

bool
dx_alsa_frames_store(struct dx_alsa_stream *stream, uint64_t until)
{
    const uint32_t most = stream->adapter ? DX_ALSA_ADAPTER_CHUNK_FRAMES : stream->chunk_frames;
    bool is_lost = false;
    if (until > stream->stored + stream->store_frames)
        stream->stored = until - stream->store_frames;
    while (stream->stored < until) {
        uint64_t n = until - stream->stored;
        const uint32_t edge = stream->store_frames - (uint32_t)(stream->stored & (stream->store_frames - 1u));
        n = n < edge ? n : edge;
        n = n < most ? n : most;
        is_lost |= stream->adapter ? store_adapted(stream, (uint32_t)n) : store_one_to_one(stream, (uint32_t)n);
        stream->stored += n;
    }
    return is_lost;
}

void
dx_alsa_frames_copy_stored(const struct dx_alsa_stream *stream, uint64_t frame, uint8_t *to, uint32_t frames)
{
    const size_t bytes = stream->program.bytes_per_frame;
    const uint64_t oldest = stream->stored > stream->store_frames ? stream->stored - stream->store_frames : 0;
    for (const uint64_t end = frame + frames; frame < end;) {
        uint64_t n = end - frame;
        if (frame >= oldest && frame < stream->stored) {
            const uint64_t edge = stream->store_frames - (frame & (stream->store_frames - 1u));
            n = stream->stored - frame < n ? stream->stored - frame : n;
            n = edge < n ? edge : n;
            memcpy(to, find_stored(stream, frame), n * bytes);
        } else { // not there any more, or not yet
            n = frame < oldest && oldest - frame < n ? oldest - frame : n;
            memset(to, 0, n * bytes);
        }
        to += n * bytes;
        frame += n;
    }
}
