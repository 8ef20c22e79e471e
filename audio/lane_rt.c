// SPDX-License-Identifier: MIT
// Writing into a lane, and copying out of one that somebody else may be writing.

#include "audio/lane.h"

#include <string.h>

#if defined(__SANITIZE_THREAD__)
#    define DX_TSAN 1
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define DX_TSAN 1
#    endif
#endif
#ifndef DX_TSAN
#    define DX_TSAN 0
#endif

/*
 * The copy out of memory that another party may be writing: the one place where two threads touch the same
 * plain bytes.  What was overwritten under it is found by reading the control values again.  Exempt from
 * ThreadSanitizer, whose memcpy would be checked all the same: hence the loop.
 */
#if DX_TSAN
__attribute__((no_sanitize("thread"), noinline)) static void
copy_foreign(void *dst, const void *src, size_t bytes) DX_REALTIME
{
    uint8_t *const to = dst;
    const uint8_t *const from = src;
    for (size_t i = 0; i < bytes; i++) {
        to[i] = from[i];
        __asm__ volatile("" ::: "memory"); // or the loop becomes a call of memcpy
    }
}
#else
static inline void
copy_foreign(void *dst, const void *src, size_t bytes) DX_REALTIME
{
    memcpy(dst, src, bytes);
}
#endif

void
dx_lane_publish(const struct dx_lane *lane, const struct dx_lane_state *state) DX_REALTIME
{
    dx_slots_write(&lane->slots, state);
}

bool
dx_lane_read_state(const struct dx_lane *lane, struct dx_lane_state *state) DX_REALTIME
{
    struct dx_lane_state read;
    if (!dx_slots_read(&lane->slots, &read))
        return false;
    if (read.end < read.begin || read.end - read.begin > lane->ring_frames ||
        read.base > (UINT64_MAX >> 2) || read.end > (UINT64_MAX >> 2))
        return false;
    *state = read;
    return true;
}

/* Calls for the one or two pieces in which a run of frames lies in the ring. */
struct piece {
    size_t offset_bytes;
    size_t size_bytes;
};

static uint32_t
find_pieces(const struct dx_lane *lane, uint64_t frame, uint32_t frames, struct piece pieces[2]) DX_REALTIME
{
    const uint32_t at = (uint32_t)(frame & (lane->ring_frames - 1u));
    const uint32_t head = lane->ring_frames - at < frames ? lane->ring_frames - at : frames;
    const size_t bytes = lane->bytes_per_frame;

    pieces[0] = (struct piece){at * bytes, head * bytes};
    if (head == frames)
        return 1;
    pieces[1] = (struct piece){0, (frames - head) * bytes};
    return 2;
}

void
dx_lane_append(const struct dx_lane *lane, struct dx_lane_state *state, const void *frames_data,
               uint32_t frames) DX_REALTIME
{
    const uint64_t end = state->end + frames;
    if (end - state->begin > lane->ring_frames) {
        state->begin = end - lane->ring_frames;
        dx_lane_publish(lane, state);
        /* Nobody may see the new bytes with the old begin; pairs with the fence in dx_lane_copy(). */
        atomic_thread_fence(memory_order_release);
    }

    struct piece pieces[2];
    const uint32_t count = find_pieces(lane, state->end, frames, pieces);
    const uint8_t *from = frames_data;
    for (uint32_t i = 0; i < count; i++) {
        if (from) {
            memcpy(lane->data + pieces[i].offset_bytes, from, pieces[i].size_bytes);
            from += pieces[i].size_bytes;
        } else {
            memset(lane->data + pieces[i].offset_bytes, 0, pieces[i].size_bytes);
        }
    }
    state->end = end;
    dx_lane_publish(lane, state); // its release makes the bytes visible before `end`
}

struct dx_span
dx_lane_copy(const struct dx_lane *lane, struct dx_lane_state *known, uint64_t time, uint32_t frames,
             void *dst) DX_REALTIME
{
    (void)dx_lane_read_state(lane, known); // lapped: the last good values stand

    const struct dx_lane_state before = *known;
    if (!(before.flags & DX_LANE_RUNNING))
        return (struct dx_span){0, 0};

    /* In the lane's frames; the span may begin before its frame 0. */
    const uint64_t start = before.base + before.begin;
    const uint64_t stop = before.base + before.end;
    const uint64_t from = time > start ? time : start;
    const uint64_t until = time + frames < stop ? time + frames : stop;
    if (from >= until)
        return (struct dx_span){0, 0};

    struct dx_span span = {(uint32_t)(from - time), (uint32_t)(until - time)};
    struct piece pieces[2];
    const uint32_t count = find_pieces(lane, from - before.base, span.last - span.first, pieces);
    uint8_t *to = (uint8_t *)dst + (size_t)span.first * lane->bytes_per_frame;
    for (uint32_t i = 0; i < count; i++) {
        copy_foreign(to, lane->data + pieces[i].offset_bytes, pieces[i].size_bytes);
        to += pieces[i].size_bytes;
    }

    /* acquire: the bytes were read before the control values are read again; pairs with dx_lane_append(). */
    atomic_thread_fence(memory_order_acquire);
    struct dx_lane_state after;
    if (!dx_lane_read_state(lane, &after))
        return (struct dx_span){0, 0}; // lapped while copying: nothing is known of these bytes
    if (after.epoch != before.epoch || after.base != before.base || !(after.flags & DX_LANE_RUNNING))
        return (struct dx_span){0, 0};
    *known = after;
    const uint64_t first = before.base + after.begin;
    const uint64_t last = before.base + after.end;
    if (first > from)
        span.first = (uint32_t)((first < until ? first : until) - time);
    if (last < until)
        span.last = last > time + span.first ? (uint32_t)(last - time) : span.first;
    return span;
}
