// SPDX-License-Identifier: MIT
// A value that one writer publishes and any number of readers copy, with nobody waiting for anybody.

#ifndef DX_CORE_SLOTS_H
#define DX_CORE_SLOTS_H

#include <dextral/base.h>

#include <stdatomic.h>

/*
 * The writer fills the slot after the published one and then publishes its number.  A reader copies the
 * published slot and checks that its generation did not change under the copy.  The published slot is
 * rewritten only after DX_SLOT_COUNT - 1 further publications, so a reader fails only when it was lapped,
 * tries DX_SLOT_TRIES times, and then keeps what it had.  A writer that stops for ever after any single
 * store leaves `published` on a whole slot: nobody hangs, nobody reads nonsense.
 *
 * Words, in order: the number of the publication, 0 for none; then, from the next line of the cache on, each slot
 * on lines of its own: the number of the publication that it holds, 0 while it is being written, and the value.
 * Publication n is in slot n % DX_SLOT_COUNT; numbers wrap at 2^32 to DX_SLOT_COUNT, which is in the same slot as 0.
 * So a writer that fills the next slot takes no line away from readers of the published one, provided that the
 * words begin on a line; elsewhere they are only slower.
 *
 * All words are 32 bits wide, so that a 32-bit machine needs no write access (no cmpxchg8b) to read.
 * Layout is fixed: these pages are shared between processes.
 */
#define DX_SLOT_COUNT 4u
#define DX_SLOT_TRIES 8u

/** The largest value: a reader copies into its own stack before it trusts what it read. */
#define DX_SLOT_VALUE_MAX_BYTES 1024u

/** Words of a line: 64 bytes.  Where a machine's lines have another size, it is only slower. */
#define DX_SLOT_LINE_WORDS 16u

/** Words of a slot: its generation and the value, in whole lines. */
#define DX_SLOT_WORDS(value_bytes)                                                                                \
    ((1u + ((uint32_t)(value_bytes) + 3u) / 4u + DX_SLOT_LINE_WORDS - 1u) / DX_SLOT_LINE_WORDS * DX_SLOT_LINE_WORDS)

/** Words that a slots object of a value takes: published, and the slots. */
#define DX_SLOTS_WORDS(value_bytes) (DX_SLOT_LINE_WORDS + DX_SLOT_COUNT * DX_SLOT_WORDS(value_bytes))

/** View of a slots object; the words may be in shared memory, the view never is. */
struct dx_slots {
    _Atomic uint32_t *words;
    uint32_t value_bytes; // a multiple of 4, at most DX_SLOT_VALUE_MAX_BYTES
};

/**
 * Publishes a value.
 *
 * Thread: the one writer.  Real-time: yes, wait-free.
 */
void dx_slots_write(const struct dx_slots *slots, const void *value) DX_REALTIME;

/**
 * Copies the newest value.
 *
 * @param value       written only when true is returned.
 * @return false when nothing was published yet or the reader was lapped DX_SLOT_TRIES times.
 *
 * Thread: any.  Real-time: yes, wait-free.  Never stores into the words.
 */
bool dx_slots_read(const struct dx_slots *slots, void *value) DX_REALTIME;

#endif /* DX_CORE_SLOTS_H */
