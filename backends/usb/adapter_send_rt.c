// SPDX-License-Identifier: MIT
// Frames that wait to be sent: put there by any thread, audio's too.

#include "backends/usb/adapter_send.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define MIN_SENT_FRAME 60u // shorter ones are padded

/* The next place that may be written. NULL: there is none. */
static struct dx_sent_frame *
take_place(struct dx_send_ring *ring, uint32_t *ret_number) DX_REALTIME
{
    uint32_t number = atomic_load_explicit(&ring->written, memory_order_relaxed); // the exchange checks it
    for (;;) {
        struct dx_sent_frame *const place = &ring->frames[number & (ring->capacity - 1)];
        /* acquire: pairs with the release in dx_send_ring_remove(); what was there has been read. */
        const uint32_t turn = atomic_load_explicit(&place->turn, memory_order_acquire);
        if ((int32_t)(turn - number) < 0)
            return NULL; // it is still to be read
        if (turn != number) {
            number = atomic_load_explicit(&ring->written, memory_order_relaxed); // another one has taken it
        } else if (atomic_compare_exchange_weak_explicit(&ring->written, &number, number + 1, memory_order_relaxed,
                                                         memory_order_relaxed)) {
            *ret_number = number;
            return place;
        }
    }
}

int
dx_adapter_send(struct dx_adapter *adapter, const uint8_t *frame, uint32_t size) DX_REALTIME
{
    struct dx_send_ring *const ring = (struct dx_send_ring *)(void *)adapter; // its first member
    uint32_t number;
    if (size < DX_FRAME_MIN || size > ring->max_frame)
        return -EMSGSIZE;
    const int refusal = atomic_load_explicit(&ring->refusal, memory_order_relaxed); // a recent value
    if (refusal < 0)
        return refusal;
    struct dx_sent_frame *const place = take_place(ring, &number);
    if (!place) {
        /* relaxed: a number for people. */
        (void)atomic_fetch_add_explicit(&ring->counters->dropped, 1, memory_order_relaxed);
        return -ENOBUFS;
    }
    memcpy(place->bytes, frame, size);
    if (size < MIN_SENT_FRAME)
        memset(place->bytes + size, 0, MIN_SENT_FRAME - size);
    place->size = size < MIN_SENT_FRAME ? MIN_SENT_FRAME : size;
    /* release: pairs with the acquire in dx_send_ring_count(); the frame is there. */
    atomic_store_explicit(&place->turn, number + 1, memory_order_release);
    return 0;
}

struct dx_sent_frame *
dx_send_ring_at(const struct dx_send_ring *ring, uint32_t index) DX_REALTIME
{
    return &ring->frames[(ring->read + index) & (ring->capacity - 1)];
}

uint32_t
dx_send_ring_count(const struct dx_send_ring *ring, uint32_t most) DX_REALTIME
{
    const uint32_t limit = most < ring->capacity ? most : ring->capacity;
    uint32_t frames = 0;
    /* acquire: pairs with the release in dx_adapter_send(). */
    while (frames < limit && atomic_load_explicit(&dx_send_ring_at(ring, frames)->turn, memory_order_acquire) ==
                                 ring->read + frames + 1)
        frames++;
    return frames;
}

void
dx_send_ring_remove(struct dx_send_ring *ring, uint32_t frames) DX_REALTIME
{
    for (; frames > 0; frames--) {
        /* release: pairs with the acquire in take_place(). */
        atomic_store_explicit(&dx_send_ring_at(ring, 0)->turn, ring->read + ring->capacity, memory_order_release);
        ring->read++;
    }
}
