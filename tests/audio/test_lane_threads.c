// SPDX-License-Identifier: MIT
// A lane between threads: every frame that a reader accepts is the one that was written for its time.

#include "audio/lane.h"
#include "tests/core/check.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

enum { RING = 1024, MOST = 700, READERS = 2, ACCEPTED = 50000 };

/* Frame f of a base is the triple (f, base, f ^ base), so that a frame of another base shows. */
struct frame {
    uint32_t number, base, check;
};

static struct dx_lane lane;
static _Atomic bool stop;
static _Atomic uint64_t newest; // device time of the writer's end, for readers to aim at

static uint32_t
next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void
append(struct dx_lane_state *state, uint32_t count)
{
    struct frame frames[MOST];
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t number = (uint32_t)(state->end + i);
        frames[i] = (struct frame){number, (uint32_t)state->base, number ^ (uint32_t)state->base};
    }
    dx_lane_append(&lane, state, frames, count);
}

/* Appends, rewinds, moves itself, stops and goes on, as fast as it can. */
static void *
write_for_long(void *argument)
{
    (void)argument;
    struct dx_lane_state state = {.flags = DX_LANE_RUNNING};
    uint32_t random = 1;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        const uint32_t dice = next_random(&random) % 64;
        if (dice == 0) { // moved: frames from before are heard no more
            state.base += next_random(&random) % 5000;
            state.begin = state.end;
            dx_lane_publish(&lane, &state);
        } else if (dice == 1) {
            state.flags ^= DX_LANE_RUNNING;
            dx_lane_publish(&lane, &state);
        } else if (dice < 6) { // rewound, within what the ring holds
            const uint64_t held = state.end - state.begin;
            if (held)
                state.end -= next_random(&random) % held;
            dx_lane_publish(&lane, &state);
        } else {
            append(&state, 1 + next_random(&random) % (dice < 8 ? MOST : 64));
        }
        atomic_store_explicit(&newest, state.base + state.end, memory_order_relaxed);
        if (dice > 32)
            (void)sched_yield();
    }
    return NULL;
}

static void *
read_for_long(void *argument)
{
    uint32_t random = *(const uint32_t *)argument;
    struct dx_lane_state known = {0};
    uint64_t accepted_spans = 0, empty = 0;
    while (accepted_spans < ACCEPTED) {
        static _Thread_local struct frame frames[RING];
        const uint32_t count = 1 + next_random(&random) % RING;
        const uint64_t end = atomic_load_explicit(&newest, memory_order_relaxed);
        const uint64_t back = next_random(&random) % (2 * RING);
        const uint64_t time = end > back ? end - back : 0;
        const struct dx_span span = dx_lane_copy(&lane, &known, time, count, frames);
        CHECK(span.first <= span.last && span.last <= count);
        for (uint32_t i = span.first; i < span.last; i++) {
            CHECK_EQ(frames[i].base, (uint32_t)known.base);
            CHECK_EQ(frames[i].number, (uint32_t)(time + i - known.base));
            CHECK_EQ(frames[i].check, frames[i].number ^ frames[i].base);
        }
        if (span.first < span.last)
            accepted_spans++;
        else if (++empty % 16 == 0)
            (void)sched_yield();
    }
    return NULL;
}

static void
every_frame_a_reader_accepts_has_the_right_value(void)
{
    CHECK_EQ(dx_lane_create(&lane, "stress", RING, sizeof(struct frame)), 0);
    pthread_t writer, readers[READERS];
    static const uint32_t seeds[READERS] = {77, 1234567};
    CHECK_EQ(pthread_create(&writer, NULL, write_for_long, NULL), 0);
    for (unsigned i = 0; i < READERS; i++)
        CHECK_EQ(pthread_create(&readers[i], NULL, read_for_long, (void *)(uintptr_t)&seeds[i]), 0);
    for (unsigned i = 0; i < READERS; i++)
        CHECK_EQ(pthread_join(readers[i], NULL), 0);
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    CHECK_EQ(pthread_join(writer, NULL), 0);
    dx_lane_finish(&lane);
}

int
main(void)
{
    RUN(every_frame_a_reader_accepts_has_the_right_value);
    return 0;
}
