// SPDX-License-Identifier: MIT
// The product's writer and reader of a lane, with each store counted and each foreign copy open to interruption.

#ifndef DX_TESTS_AUDIO_COUNTED_LANE_H
#define DX_TESTS_AUDIO_COUNTED_LANE_H

#include "audio/lane.h"
#include "core/realtime.h"

#include <setjmp.h>
#include <stdatomic.h>
#include <string.h>

#define COUNTED_NO_LIMIT UINT32_MAX

static unsigned counted_stores_left = COUNTED_NO_LIMIT;
static jmp_buf counted_stop;

/* Called in the middle of each copy out of a lane: what the writer does meanwhile. */
static void (*counted_meanwhile)(void);

static void
counted_store_is_due(void) DX_REALTIME
{
    DX_REALTIME_TRUSTED_BEGIN("the test's own, not in the product")
    if (counted_stores_left != COUNTED_NO_LIMIT && counted_stores_left-- == 0)
        longjmp(counted_stop, 1);
    DX_REALTIME_TRUSTED_END
}

static void
counted_atomic_store(_Atomic uint32_t *word, uint32_t value, memory_order order) DX_REALTIME
{
    counted_store_is_due();
    atomic_store_explicit(word, value, order);
}

/* Four bytes are a store, as a processor might do it. */
static void *
counted_memcpy(void *dst, const void *src, size_t bytes) DX_REALTIME
{
    uint8_t *const to = dst;
    const uint8_t *const from = src;
    if (counted_stores_left == COUNTED_NO_LIMIT) {
        const size_t half = bytes / 2;
        memcpy(to, from, half);
        DX_REALTIME_TRUSTED_BEGIN("the test's own, not in the product")
        if (counted_meanwhile)
            counted_meanwhile();
        DX_REALTIME_TRUSTED_END
        memcpy(to + half, from + half, bytes - half);
        return dst;
    }
    for (size_t i = 0; i < bytes; i += 4) {
        counted_store_is_due();
        memcpy(to + i, from + i, bytes - i < 4 ? bytes - i : 4);
    }
    return dst;
}

#define dx_slots_write counted_slots_write
#define dx_slots_read counted_slots_read
#define dx_lane_publish counted_lane_publish
#define dx_lane_read_state counted_lane_read_state
#define dx_lane_append counted_lane_append
#define dx_lane_copy counted_lane_copy

void counted_slots_write(const struct dx_slots *slots, const void *value) DX_REALTIME;
bool counted_slots_read(const struct dx_slots *slots, void *value) DX_REALTIME;
void counted_lane_publish(const struct dx_lane *lane, const struct dx_lane_state *state) DX_REALTIME;
bool counted_lane_read_state(const struct dx_lane *lane, struct dx_lane_state *state) DX_REALTIME;
void counted_lane_append(const struct dx_lane *lane, struct dx_lane_state *state, const void *frames_data,
                         uint32_t frames) DX_REALTIME;
struct dx_span counted_lane_copy(const struct dx_lane *lane, struct dx_lane_state *known, uint64_t time,
                                 uint32_t frames, void *dst) DX_REALTIME;

#pragma push_macro("atomic_store_explicit")
#undef atomic_store_explicit
#define atomic_store_explicit(object, value, order) counted_atomic_store((object), (value), (order))
#include "core/slots.c"
#pragma pop_macro("atomic_store_explicit")

#define memcpy(dst, src, bytes) counted_memcpy((dst), (src), (bytes))
#include "audio/lane_rt.c"
#undef memcpy

#undef dx_slots_write
#undef dx_slots_read
#undef dx_lane_publish
#undef dx_lane_read_state
#undef dx_lane_append
#undef dx_lane_copy

/* RealtimeSanitizer's, where it is: a function left by longjmp() counts as running for ever. */
void __rtsan_disable(void) __attribute__((weak));

/* Appends, and stops for ever before the store after `stores` of them.  @return whether it got to the end. */
static inline bool
counted_append_until(const struct dx_lane *lane, struct dx_lane_state *state, const void *data, uint32_t frames,
                     unsigned stores)
{
    if (__rtsan_disable)
        __rtsan_disable();
    counted_stores_left = stores;
    volatile bool done = false;
    if (!setjmp(counted_stop)) {
        counted_lane_append(lane, state, data, frames);
        counted_stores_left = COUNTED_NO_LIMIT;
        done = true;
    }
    counted_stores_left = COUNTED_NO_LIMIT;
    return done;
}

#endif /* DX_TESTS_AUDIO_COUNTED_LANE_H */
