// SPDX-License-Identifier: MIT
// A value that one writer publishes and any number of readers copy, with nobody waiting for anybody.

#include "core/slots.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

/*
 * Why no fence: the value is stored with release and loaded with acquire, word by word.  A reader that loads
 * a word of a later publication thereby also sees the 0 that the writer stored into the slot's number before
 * it, or what came after that 0, so its second look at the number differs.  Fences would do the same with
 * fewer ordered accesses; ThreadSanitizer does not know them.
 */

static _Atomic uint32_t *
slot_of(const struct dx_slots *slots, uint32_t number) DX_REALTIME
{
    return slots->words + DX_SLOT_LINE_WORDS + number % DX_SLOT_COUNT * DX_SLOT_WORDS(slots->value_bytes);
}

void
dx_slots_write(const struct dx_slots *slots, const void *value) DX_REALTIME
{
    assert(slots->value_bytes % 4 == 0 && slots->value_bytes <= DX_SLOT_VALUE_MAX_BYTES);

    /* relaxed: no other thread stores the words. */
    const uint32_t published = atomic_load_explicit(&slots->words[0], memory_order_relaxed);
    const uint32_t number = published == UINT32_MAX ? DX_SLOT_COUNT : published + 1;
    _Atomic uint32_t *const slot = slot_of(slots, number);

    /* relaxed: each release below carries it along. */
    atomic_store_explicit(&slot[0], 0, memory_order_relaxed);
    for (uint32_t i = 0; i < slots->value_bytes / 4; i++) {
        uint32_t word;
        memcpy(&word, (const char *)value + 4 * (size_t)i, 4);
        /* release: pairs with the acquire of the same word in copy_slot(); who sees it sees the 0 above. */
        atomic_store_explicit(&slot[1 + i], word, memory_order_release);
    }
    /* release: pairs with the first acquire in copy_slot(); the value is whole. */
    atomic_store_explicit(&slot[0], number, memory_order_release);
    /* release: pairs with the acquire in dx_slots_read(); the slot is whole. */
    atomic_store_explicit(&slots->words[0], number, memory_order_release);
}

/* Copies a slot; false when it does not hold that publication before and after. */
static bool
copy_slot(const struct dx_slots *slots, uint32_t number, uint32_t *copy) DX_REALTIME
{
    const _Atomic uint32_t *const slot = slot_of(slots, number);
    /* acquire: pairs with the release of the number in dx_slots_write(). */
    if (atomic_load_explicit(&slot[0], memory_order_acquire) != number)
        return false;
    for (uint32_t i = 0; i < slots->value_bytes / 4; i++) {
        /* acquire: pairs with the release of the same word in dx_slots_write(); also keeps the load below
         * after this one. */
        copy[i] = atomic_load_explicit(&slot[1 + i], memory_order_acquire);
    }
    /* relaxed: the acquires above order it. */
    return atomic_load_explicit(&slot[0], memory_order_relaxed) == number;
}

bool
dx_slots_read(const struct dx_slots *slots, void *value) DX_REALTIME
{
    assert(slots->value_bytes % 4 == 0 && slots->value_bytes <= DX_SLOT_VALUE_MAX_BYTES);

    uint32_t copy[DX_SLOT_VALUE_MAX_BYTES / 4];
    for (unsigned i = 0; i < DX_SLOT_TRIES; i++) {
        /* acquire: pairs with the last release in dx_slots_write(). */
        const uint32_t number = atomic_load_explicit(&slots->words[0], memory_order_acquire);
        if (!number)
            return false;
        if (copy_slot(slots, number, copy)) {
            memcpy(value, copy, slots->value_bytes);
            return true;
        }
    }
    return false;
}
