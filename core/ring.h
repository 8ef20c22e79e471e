// SPDX-License-Identifier: MIT
// Single-producer, single-consumer ring of records.

#ifndef DX_CORE_RING_H
#define DX_CORE_RING_H

#include <dextral/base.h>

/** Records of one size, in order, from one thread to another; also bytes: records of 1. */
struct dx_ring;

/**
 * Makes an empty ring; its memory is touched, not locked.
 *
 * @param capacity_records  a power of two, at most 2^31.
 * @param record_bytes      1 or more.
 * @return NULL without memory, or for other numbers.
 *
 * Thread: control.  Real-time: no.
 */
struct dx_ring *dx_ring_create(uint32_t capacity_records, uint32_t record_bytes);

/** Gives it back; NULL is fine.  Thread: control, with neither side in a call.  Real-time: no. */
void dx_ring_destroy(struct dx_ring *ring);

/**
 * Appends up to `count` records.
 *
 * @return records appended; fewer than asked means the ring was full.
 *
 * Thread: producer.  Real-time: yes, wait-free.
 */
uint32_t dx_ring_push(struct dx_ring *ring, const void *records, uint32_t count) DX_REALTIME;

/**
 * Takes up to `count` records.
 *
 * @param records  room for them.
 * @return records taken; fewer than asked means the ring ran empty.
 *
 * Thread: consumer.  Real-time: yes, wait-free.
 */
uint32_t dx_ring_pop(struct dx_ring *ring, void *records, uint32_t count) DX_REALTIME;

/**
 * Records in it: at least as many can be taken (to the consumer), at most as many are there (to the producer).
 *
 * Thread: producer or consumer.  Real-time: yes, wait-free.
 */
uint32_t dx_ring_fill(const struct dx_ring *ring) DX_REALTIME;

#endif /* DX_CORE_RING_H */
