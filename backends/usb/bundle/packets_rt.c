// SPDX-License-Identifier: MIT
// The two rings, and the IO thread's side of them.

#include "backends/usb/bundle/packets.h"

#include <string.h>

static uint32_t
place(uint64_t frame) DX_REALTIME
{
    return (uint32_t)(frame & (PACKETS_RING_FRAMES - 1u));
}

void
packets_ring_put(struct packets_ring *ring, uint64_t start_ns, uint64_t frame, const float *samples, uint32_t frames,
                 uint32_t channels) DX_REALTIME
{
    for (uint32_t i = 0; i < frames; i++) {
        const uint32_t at = place(frame + i);
        for (uint32_t channel = 0; channel < channels; channel++) {
            uint32_t bits = 0;
            memcpy(&bits, &samples[i * channels + channel], sizeof bits);
            /* relaxed: the mark orders. */
            atomic_store_explicit(&ring->samples[at * channels + channel], bits, memory_order_relaxed);
        }
        /* release: pairs with packets_ring_get(). */
        atomic_store_explicit(&ring->marks[at], start_ns + frame + i, memory_order_release);
    }
}

void
packets_ring_get(struct packets_ring *ring, uint64_t start_ns, uint64_t frame, float *samples, uint32_t frames,
                 uint32_t channels) DX_REALTIME
{
    memset(samples, 0, (size_t)frames * channels * sizeof *samples);
    for (uint32_t i = 0; i < frames; i++) {
        const uint32_t at = place(frame + i);
        /* acquire: pairs with packets_ring_put(). */
        if (atomic_load_explicit(&ring->marks[at], memory_order_acquire) != start_ns + frame + i)
            continue;
        for (uint32_t channel = 0; channel < channels; channel++) {
            /* relaxed: the mark orders; the other side writes far from here. */
            const uint32_t bits =
                atomic_load_explicit(&ring->samples[at * channels + channel], memory_order_relaxed);
            memcpy(&samples[i * channels + channel], &bits, sizeof bits);
        }
        /* relaxed: only this side looks for it. */
        atomic_store_explicit(&ring->marks[at], 0, memory_order_relaxed);
    }
}

void
packets_write(struct packets *packets, uint64_t frame, const float *samples, uint32_t frames) DX_REALTIME
{
    /* relaxed: packets_start() is called before IO runs; what is marked by none, when it ends, nobody takes. */
    const uint64_t start_ns = atomic_load_explicit(&packets->start_ns, memory_order_relaxed);
    packets_ring_put(&packets->outgoing, start_ns, frame, samples, frames, packets->channels);
}

void
packets_read(struct packets *packets, uint64_t frame, float *samples, uint32_t frames) DX_REALTIME
{
    /* relaxed: as above. */
    const uint64_t start_ns = atomic_load_explicit(&packets->start_ns, memory_order_relaxed);
    packets_ring_get(&packets->incoming, start_ns, frame, samples, frames, packets->channels);
}
