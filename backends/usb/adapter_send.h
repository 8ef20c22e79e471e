// SPDX-License-Identifier: MIT
// Frames that wait to be sent: from any threads to the wire thread.

#ifndef DX_USB_ADAPTER_SEND_H
#define DX_USB_ADAPTER_SEND_H

#include "backends/usb/adapter.h"

/*
 * A place for a frame. Places are numbered without end, and follow each other in the ring; whoever has number n may write when
 * turn is n, and the wire thread may read when it is n + 1.
 */
struct dx_sent_frame {
    _Atomic uint32_t turn;
    uint32_t size;
    uint8_t bytes[DX_FRAME_MAX];
};

/* What sending needs of an adapter: its first member. */
struct dx_send_ring {
    _Alignas(64) _Atomic uint32_t written; // the number of the place that is written next
    _Alignas(64) uint32_t read;            // and of the one that is read next: the wire thread's
    struct dx_sent_frame *frames;
    uint32_t capacity; // a power of two, 2 at least: with 1, "written" and "free again" would be the same turn
    uint32_t max_frame;
    _Atomic int refusal; // 0: frames are taken; -ENETDOWN, -ENODEV; set by the wire thread
    struct dx_nic_counters *counters;
};

/* ---- the wire thread's ---- */

/** A frame that can be read, after `index` others. */
struct dx_sent_frame *dx_send_ring_at(const struct dx_send_ring *ring, uint32_t index) DX_REALTIME;

/** How many frames can be read, `most` at most. */
uint32_t dx_send_ring_count(const struct dx_send_ring *ring, uint32_t most) DX_REALTIME;

/** Gives the first ones' places back. */
void dx_send_ring_remove(struct dx_send_ring *ring, uint32_t frames) DX_REALTIME;

#endif /* DX_USB_ADAPTER_SEND_H */
