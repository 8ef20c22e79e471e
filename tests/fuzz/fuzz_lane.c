// SPDX-License-Identifier: MIT
// Control pages that somebody else writes: of a lane, and of the timeline.  Whatever their words say, a copy stays
// inside the ring and the destination, and what counts as sane can be computed with.

#include "audio/lane.h"
#include "audio/timeline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RING_FRAMES 64u
#define FRAME_BYTES 4u
#define MAX_FRAMES 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

static void
take(struct input *input, void *value, size_t bytes)
{
    const size_t n = bytes < input->size ? bytes : input->size;
    memset(value, 0, bytes);
    if (n)
        memcpy(value, input->data, n);
    input->data += n;
    input->size -= n;
}

static void
try_lane(struct input *input)
{
    _Atomic uint32_t *const words = calloc(DX_SLOTS_WORDS(sizeof(struct dx_lane_state)), sizeof *words);
    uint8_t *const ring = malloc(RING_FRAMES * FRAME_BYTES); // exact: one byte too far is seen
    uint8_t *const copy = malloc(MAX_FRAMES * FRAME_BYTES);
    if (!words || !ring || !copy)
        abort();
    memset(ring, 0x5a, RING_FRAMES * FRAME_BYTES);
    const struct dx_lane lane = {
        .slots = {words, sizeof(struct dx_lane_state)},
        .data = ring,
        .ring_frames = RING_FRAMES,
        .bytes_per_frame = FRAME_BYTES,
    };

    struct dx_lane_state known = {.epoch = 0};
    while (input->size) {
        uint8_t kind;
        uint64_t time;
        take(input, &kind, sizeof kind);
        take(input, &time, sizeof time);
        if (kind & 1u) { // any words at all
            uint32_t values[DX_SLOTS_WORDS(sizeof(struct dx_lane_state))];
            take(input, values, sizeof values);
            for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
                atomic_store_explicit(&words[i], values[i], memory_order_relaxed); // nobody else is there
        } else { // whole slots with any values
            struct dx_lane_state state;
            take(input, &state, sizeof state);
            dx_lane_publish(&lane, &state);
            if (kind & 2u)
                time = state.base + state.begin + (time & 127u) - 64u; // where frames may be
        }
        const uint32_t frames = 1u + (kind >> 2) % MAX_FRAMES;
        const struct dx_span span = dx_lane_copy(&lane, &known, time, frames, copy);
        if (span.first > span.last || span.last > frames)
            abort();
        for (uint32_t i = span.first * FRAME_BYTES; i < span.last * FRAME_BYTES; i++)
            if (copy[i] != 0x5a)
                abort();
    }
    free(copy);
    free(ring);
    free(words);
}

static void
try_page(struct input *input)
{
    struct dx_timeline_page page;
    uint64_t now;
    take(input, &page, sizeof page);
    take(input, &now, sizeof now);
    if (!dx_timeline_page_is_sane(&page))
        return;
    const double position = dx_timeline_page_position(&page, now);
    if (!isfinite(position) || position < 0.0)
        abort();
    (void)dx_timeline_page_host_ns(&page, position); // UndefinedBehaviorSanitizer watches the conversions
    (void)dx_timeline_page_host_ns(&page, (double)page.cycle_frame);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    uint8_t which;
    take(&input, &which, sizeof which);
    if (which & 1u)
        try_page(&input);
    else
        try_lane(&input);
    return 0;
}
