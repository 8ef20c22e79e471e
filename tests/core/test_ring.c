// SPDX-License-Identifier: MIT
// The ring, with one thread and with two.

#include "core/ring.h"
#include "tests/core/check.h"

#include <pthread.h>
#include <sched.h>

static void
impossible_rings_are_refused(void)
{
    CHECK(!dx_ring_create(0, 4));
    CHECK(!dx_ring_create(3, 4));
    CHECK(!dx_ring_create(4, 0));
    dx_ring_destroy(NULL);
}

static void
full_ring_takes_no_more_and_empty_ring_gives_none(void)
{
    struct dx_ring *const ring = dx_ring_create(4, sizeof(uint32_t));
    CHECK(ring);
    const uint32_t in[6] = {1, 2, 3, 4, 5, 6};
    uint32_t out[6] = {0};
    CHECK_EQ(dx_ring_pop(ring, out, 6), 0);
    CHECK_EQ(dx_ring_push(ring, in, 6), 4);
    CHECK_EQ(dx_ring_push(ring, in, 1), 0);
    CHECK_EQ(dx_ring_fill(ring), 4);
    CHECK_EQ(dx_ring_pop(ring, out, 6), 4);
    for (uint32_t i = 0; i < 4; i++)
        CHECK_EQ(out[i], in[i]);
    CHECK_EQ(dx_ring_fill(ring), 0);
    dx_ring_destroy(ring);
}

static void
records_survive_the_edge(void)
{
    struct dx_ring *const ring = dx_ring_create(8, 3);
    CHECK(ring);
    uint8_t next_in = 0, next_out = 0;
    for (unsigned round = 0; round < 1000; round++) {
        uint8_t in[5 * 3], out[5 * 3];
        const uint32_t count = 1 + round % 5;
        for (uint32_t i = 0; i < count * 3; i++)
            in[i] = next_in++;
        CHECK_EQ(dx_ring_push(ring, in, count), count);
        CHECK_EQ(dx_ring_pop(ring, out, count), count);
        for (uint32_t i = 0; i < count * 3; i++)
            CHECK_EQ(out[i], next_out++);
    }
    dx_ring_destroy(ring);
}

enum { RECORDS = 200000 };

static void *
produce(void *argument)
{
    struct dx_ring *const ring = argument;
    uint64_t chunk[7];
    for (uint64_t next = 0; next < RECORDS;) {
        const uint32_t count = RECORDS - next < 7 ? (uint32_t)(RECORDS - next) : 7;
        for (uint32_t i = 0; i < count; i++)
            chunk[i] = next + i;
        const uint32_t pushed = dx_ring_push(ring, chunk, count);
        next += pushed;
        if (!pushed)
            (void)sched_yield();
    }
    return NULL;
}

static void
two_threads_pass_a_sequence(void)
{
    struct dx_ring *const ring = dx_ring_create(16, sizeof(uint64_t));
    CHECK(ring);
    pthread_t producer;
    CHECK_EQ(pthread_create(&producer, NULL, produce, ring), 0);
    uint64_t chunk[5];
    for (uint64_t next = 0; next < RECORDS;) {
        CHECK(dx_ring_fill(ring) <= 16);
        const uint32_t popped = dx_ring_pop(ring, chunk, 5);
        for (uint32_t i = 0; i < popped; i++)
            CHECK_EQ(chunk[i], next++);
        if (!popped)
            (void)sched_yield();
    }
    CHECK_EQ(pthread_join(producer, NULL), 0);
    CHECK_EQ(dx_ring_fill(ring), 0);
    dx_ring_destroy(ring);
}

int
main(void)
{
    RUN(impossible_rings_are_refused);
    RUN(full_ring_takes_no_more_and_empty_ring_gives_none);
    RUN(records_survive_the_edge);
    RUN(two_threads_pass_a_sequence);
    return 0;
}
