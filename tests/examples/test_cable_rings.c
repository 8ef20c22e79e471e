// SPDX-License-Identifier: MIT
// The cable's IO path against a plain model, over sequences of operations that no sane host would make.

#ifdef NDEBUG
#    error "tests need their assertions"
#endif

#include "examples/cable/cable_rt.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

/* All that ever happened, and the bytes that were written. */
struct event {
    IOUserAudioIOOperation operation;
    uint64_t sample_time;
    uint32_t frames;
    uint8_t *bytes; // of a write
};

struct bench {
    struct cable_rings rings;
    struct event *events;
    size_t event_count;
    uint64_t random;
};

static uint32_t
next_random(struct bench *bench, uint32_t bound)
{
    bench->random ^= bench->random << 13;
    bench->random ^= bench->random >> 7;
    bench->random ^= bench->random << 17;
    return (uint32_t)(bench->random >> 33) % bound;
}

static struct bench
make_bench(uint32_t ring_frames, uint32_t frame_bytes, uint64_t seed)
{
    struct bench bench = {
        .rings = {
            .output = malloc((size_t)ring_frames * frame_bytes), // of exactly the size: a byte too far is seen
            .input = malloc((size_t)ring_frames * frame_bytes),
            .ring_frames = ring_frames,
            .frame_bytes = frame_bytes,
            .heard_at = malloc(ring_frames * sizeof(uint64_t)),
        },
        .events = calloc(100000, sizeof(struct event)),
        .random = seed * 0x9E3779B97F4A7C15u + 1,
    };
    cable_rings_clear(&bench.rings);
    return bench;
}

static void
free_bench(struct bench *bench)
{
    for (size_t i = 0; i < bench->event_count; i++)
        free(bench->events[i].bytes);
    free(bench->events);
    free(bench->rings.output);
    free(bench->rings.input);
    free(bench->rings.heard_at);
}

static void
write_frames(struct bench *bench, uint64_t sample_time, uint32_t frames)
{
    struct cable_rings *rings = &bench->rings;
    uint8_t *bytes = malloc((size_t)frames * rings->frame_bytes + 1);
    for (size_t i = 0; i < (size_t)frames * rings->frame_bytes; i++)
        bytes[i] = (uint8_t)(1 + next_random(bench, 255)); // never what silence is made of
    for (uint32_t i = 0; i < frames; i++)
        memcpy(rings->output + (sample_time + i) % rings->ring_frames * rings->frame_bytes,
               bytes + (size_t)i * rings->frame_bytes, rings->frame_bytes);
    cr_assert(eq(int, cable_handle_io(2, IOUserAudioIOOperationWriteEnd, frames, sample_time, 0, rings),
                 kIOReturnSuccess));
    bench->events[bench->event_count++] =
        (struct event){IOUserAudioIOOperationWriteEnd, sample_time, frames, bytes};
}

/*
 * The model: a frame is heard if the last thing that happened at its place in the ring was that this very frame was
 * written.  Found by looking through everything that happened.
 */
static const uint8_t *
expected_frame(const struct bench *bench, uint64_t sample_time)
{
    const uint32_t ring_frames = bench->rings.ring_frames;
    for (size_t i = bench->event_count; i-- > 0;) {
        const struct event *event = &bench->events[i];
        for (uint32_t frame = 0; frame < event->frames; frame++) {
            const uint64_t touched = event->sample_time + frame;
            if (touched % ring_frames != sample_time % ring_frames)
                continue;
            if (event->operation == IOUserAudioIOOperationWriteEnd && touched == sample_time)
                return event->bytes + (size_t)frame * bench->rings.frame_bytes;
            return NULL;
        }
    }
    return NULL;
}

static void
read_and_compare(struct bench *bench, uint64_t sample_time, uint32_t frames)
{
    static const uint8_t silence[64];
    struct cable_rings *rings = &bench->rings;
    cr_assert(eq(int, cable_handle_io(2, IOUserAudioIOOperationBeginRead, frames, sample_time, 0, rings),
                 kIOReturnSuccess));
    for (uint32_t i = 0; i < frames; i++) {
        const uint8_t *expected = expected_frame(bench, sample_time + i);
        cr_assert(memcmp(rings->input + (sample_time + i) % rings->ring_frames * rings->frame_bytes,
                         expected ? expected : silence, rings->frame_bytes) == 0,
                  "frame %llu of a read at %llu after %zu operations: must be %s",
                  (unsigned long long)(sample_time + i), (unsigned long long)sample_time, bench->event_count,
                  expected ? "what was written" : "silence");
    }
    bench->events[bench->event_count++] =
        (struct event){IOUserAudioIOOperationBeginRead, sample_time, frames, NULL};
}

/* Cycles as the engine runs them, with everything that can befall them. */
Test(cable_rings, any_sequence_of_operations_matches_the_model)
{
    static const uint32_t shapes[][2] = {{64, 4}, {37, 2}, {100, 24}, {1, 8}, {512, 3}};
    for (uint32_t seed = 0; seed < 40; seed++) {
        const uint32_t ring_frames = shapes[seed % 5][0];
        struct bench bench = make_bench(ring_frames, shapes[seed % 5][1], seed + 1);
        uint64_t now = seed % 3 == 0 ? UINT64_MAX / 2 : ring_frames * 2;
        bool writes = true;
        for (int cycle = 0; cycle < 400; cycle++) {
            const uint32_t most = ring_frames / 4 + 1;
            const uint32_t frames = next_random(&bench, most) + 1;
            const uint32_t chance = next_random(&bench, 100);
            if (chance < 8)
                now += next_random(&bench, 3 * ring_frames); // skipped cycles
            else if (chance < 12)
                now -= next_random(&bench, 2 * ring_frames); // anchored anew, further back
            else if (chance < 16)
                writes = !writes; // the one who plays comes or goes
            if (now < ring_frames)
                now = ring_frames;
            if (chance < 95)
                read_and_compare(&bench, now - frames, frames);
            if (writes)
                write_frames(&bench, now + frames, frames);
            if (chance >= 98)
                read_and_compare(&bench, now, ring_frames); // the most that fits
            now += frames;
        }
        free_bench(&bench);
    }
}

Test(cable_rings, steady_cycles_pass_every_frame_once)
{
    struct bench bench = make_bench(256, 8, 7);
    for (uint64_t now = 256; now < 256 + 64 * 50; now += 64) {
        for (uint32_t i = 0; i < 64 && now >= 256 + 2 * 64; i++) // written two cycles before
            cr_assert(expected_frame(&bench, now - 64 + i) != NULL);
        read_and_compare(&bench, now - 64, 64);
        cr_assert(expected_frame(&bench, now - 64) == NULL, "what was read is not heard again");
        write_frames(&bench, now + 64, 64);
    }
    free_bench(&bench);
}

Test(cable_rings, frames_that_stop_coming_are_not_repeated)
{
    struct bench bench = make_bench(128, 2, 9);
    write_frames(&bench, 128, 128);
    for (uint64_t at = 128; at < 128 * 4; at += 32)
        read_and_compare(&bench, at, 32);
    for (size_t i = 0; i < 256; i++)
        cr_assert(eq(u8, bench.rings.input[i], 0));
    free_bench(&bench);
}

Test(cable_rings, clear_forgets_what_was_written)
{
    struct bench bench = make_bench(128, 2, 9);
    write_frames(&bench, 0, 100);
    cable_rings_clear(&bench.rings);
    bench.event_count = 0;
    free(bench.events[0].bytes);
    read_and_compare(&bench, 0, 128);
    free_bench(&bench);
}

Test(cable_rings, more_than_the_ring_holds_is_refused)
{
    struct bench bench = make_bench(128, 2, 9);
    cr_assert(eq(int, cable_handle_io(2, IOUserAudioIOOperationWriteEnd, 129, 0, 0, &bench.rings),
                 kIOReturnBadArgument));
    cr_assert(eq(int, cable_handle_io(2, 7, 1, 0, 0, &bench.rings), kIOReturnUnsupported));
    free_bench(&bench);
}
