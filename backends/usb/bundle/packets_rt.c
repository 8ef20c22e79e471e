// SPDX-License-Identifier: MIT
// The IO thread's side of the rings.

#include "backends/usb/bundle/packets.h"

#include <string.h>

/* Where a frame's first sample is. */
static uint32_t
place(const struct packets *packets, uint64_t frame) DX_REALTIME
{
    return (uint32_t)(frame & (PACKETS_RING_FRAMES - 1u)) * packets->channels;
}

void
packets_write(struct packets *packets, uint64_t frame, const float *samples, uint32_t frames) DX_REALTIME
{
    for (uint32_t i = 0; i < frames; i++) {
        const uint32_t at = place(packets, frame + i);
        for (uint32_t channel = 0; channel < packets->channels; channel++) {
            uint32_t bits = 0;
            memcpy(&bits, &samples[i * packets->channels + channel], sizeof bits);
            /* relaxed: time is what orders; the wire thread reads it when it is due. */
            atomic_store_explicit(&packets->outgoing[at + channel], bits, memory_order_relaxed);
        }
    }
}

void
packets_read(struct packets *packets, uint64_t frame, float *samples, uint32_t frames) DX_REALTIME
{
    for (uint32_t i = 0; i < frames; i++) {
        const uint32_t at = place(packets, frame + i);
        for (uint32_t channel = 0; channel < packets->channels; channel++) {
            /* relaxed: as above; the wire thread writes well ahead of what is read here. */
            const uint32_t bits = atomic_load_explicit(&packets->incoming[at + channel], memory_order_relaxed);
            atomic_store_explicit(&packets->incoming[at + channel], 0, memory_order_relaxed);
            memcpy(&samples[i * packets->channels + channel], &bits, sizeof bits);
        }
    }
}
