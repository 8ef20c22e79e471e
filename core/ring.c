// SPDX-License-Identifier: MIT
// Single-producer, single-consumer ring of records.

#include "core/ring.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/*
 * Both indices run freely over uint32_t and are masked only to address memory, so `written - read` is the
 * fill even across the wrap at 2^32.  Each side loads the other's index once, works, and stores its own
 * index once.  One cache line per writer.
 */
struct dx_ring {
    _Alignas(64) _Atomic uint32_t written; // stored by the producer only
    _Alignas(64) _Atomic uint32_t read;    // stored by the consumer only
    _Alignas(64) uint8_t *records;         // from here on fixed after create
    uint32_t capacity_records;             // a power of two
    uint32_t record_bytes;
};

struct dx_ring *
dx_ring_create(uint32_t capacity_records, uint32_t record_bytes)
{
    size_t bytes;
    if (!capacity_records || (capacity_records & (capacity_records - 1)) || !record_bytes ||
        __builtin_mul_overflow((size_t)capacity_records, (size_t)record_bytes, &bytes))
        return NULL;
    struct dx_ring *const ring = aligned_alloc(_Alignof(struct dx_ring), sizeof *ring);
    if (!ring)
        return NULL;
    memset(ring, 0, sizeof *ring);
    ring->capacity_records = capacity_records;
    ring->record_bytes = record_bytes;
    ring->records = malloc(bytes);
    if (!ring->records) {
        dx_ring_destroy(ring);
        return NULL;
    }
    memset(ring->records, 0, bytes);
    return ring;
}

void
dx_ring_destroy(struct dx_ring *ring)
{
    if (!ring)
        return;
    free(ring->records);
    free(ring);
}

/* The memory from a free-running index on: in up to two pieces. */
struct span {
    uint8_t *first, *second;
    size_t first_bytes, second_bytes;
};

static struct span
span_of(const struct dx_ring *ring, uint32_t index, uint32_t count) DX_REALTIME
{
    const uint32_t start = index & (ring->capacity_records - 1);
    const uint32_t to_end = ring->capacity_records - start;
    const uint32_t first = count < to_end ? count : to_end;
    return (struct span){
        .first = ring->records + (size_t)start * ring->record_bytes,
        .second = ring->records,
        .first_bytes = (size_t)first * ring->record_bytes,
        .second_bytes = (size_t)(count - first) * ring->record_bytes,
    };
}

uint32_t
dx_ring_push(struct dx_ring *ring, const void *records, uint32_t count) DX_REALTIME
{
    /* relaxed: no other thread stores written. */
    const uint32_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
    /* acquire: pairs with the release in dx_ring_pop(); its reads have ended before the slots are reused. */
    const uint32_t read = atomic_load_explicit(&ring->read, memory_order_acquire);

    const uint32_t room = ring->capacity_records - (written - read);
    const uint32_t n = count < room ? count : room;
    const struct span span = span_of(ring, written, n);
    memcpy(span.first, records, span.first_bytes);
    memcpy(span.second, (const char *)records + span.first_bytes, span.second_bytes);

    /* release: pairs with the acquire in dx_ring_pop(); the records are visible after it. */
    atomic_store_explicit(&ring->written, written + n, memory_order_release);
    return n;
}

uint32_t
dx_ring_pop(struct dx_ring *ring, void *records, uint32_t count) DX_REALTIME
{
    /* relaxed: no other thread stores read. */
    const uint32_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
    /* acquire: pairs with the release in dx_ring_push(); records before written are visible after it. */
    const uint32_t written = atomic_load_explicit(&ring->written, memory_order_acquire);

    const uint32_t fill = written - read;
    const uint32_t n = count < fill ? count : fill;
    const struct span span = span_of(ring, read, n);
    memcpy(records, span.first, span.first_bytes);
    memcpy((char *)records + span.first_bytes, span.second, span.second_bytes);

    /* release: pairs with the acquire in dx_ring_push(); our reads end before the slots are reused. */
    atomic_store_explicit(&ring->read, read + n, memory_order_release);
    return n;
}

uint32_t
dx_ring_fill(const struct dx_ring *ring) DX_REALTIME
{
    /* acquire: pairs with the release in dx_ring_pop(), which had seen `written` at least as far; so the
     * difference is never negative.  relaxed: only a number is taken from it. */
    const uint32_t read = atomic_load_explicit(&ring->read, memory_order_acquire);
    const uint32_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
    return written - read;
}
