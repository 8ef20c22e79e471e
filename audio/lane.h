// SPDX-License-Identifier: MIT
// A ring of frames in memory that two parties share: one writes, others copy, nobody waits.

#ifndef DX_AUDIO_LANE_H
#define DX_AUDIO_LANE_H

#include "core/pages.h"
#include "core/slots.h"

#include <stdatomic.h>

/*
 * Frames are addressed by the writer's own count and live at (frame mod ring_frames).  The control page
 * publishes (epoch, base, begin, end): frame f is at device time base + f, and is there, if begin <= f < end.
 * The writer raises `begin` before it overwrites and `end` after it wrote.  A reader copies the span, reads
 * the control values again, and takes for silence what they no longer cover.  So a writer that stops for ever
 * anywhere spoils nothing but its own frames.
 *
 * A client's lane to the device and the device's input ring are both of this kind.
 */
#define DX_LANE_MAGIC 0x4c584431u // "1DXL", little-endian
#define DX_LANE_VERSION 1u
#define DX_LANE_DATA_OFFSET 4096u
#define DX_LANE_MAX_BYTES ((size_t)1 << 30)

enum {
    DX_LANE_RUNNING = 1u << 0,  // frames count: what is missing is an underrun
    DX_LANE_DRAINING = 1u << 1, // nothing more will come
};

struct dx_lane_state {
    uint32_t epoch;
    uint32_t flags;
    uint64_t base;
    uint64_t begin;
    uint64_t end;
};

/* Head of the control page; fixed before the memory is shared. */
struct dx_lane_head {
    uint32_t magic;
    uint32_t version;
    uint32_t size_bytes; // of the whole memory
    uint32_t ring_frames;
    uint32_t bytes_per_frame;
    uint32_t reserved[11];
    _Atomic uint32_t words[DX_SLOTS_WORDS(sizeof(struct dx_lane_state))];
};

/* A mapping of a lane.  What the head said was read once and checked: it is never trusted again. */
struct dx_lane {
    struct dx_pages pages;
    struct dx_slots slots;
    uint8_t *data;
    uint32_t ring_frames; // a power of two
    uint32_t bytes_per_frame;
};

/** Makes a lane of at least `min_frames` frames.  0, -EINVAL, -ENOMEM, or another negative errno. */
int dx_lane_create(struct dx_lane *lane, const char *name, uint32_t min_frames, uint32_t bytes_per_frame);

/**
 * Maps a lane of another process for reading.
 *
 * @param fd  borrowed.
 * @param at  a lane that was opened before, whose place this one takes, in one step: whoever reads meanwhile sees the one
 *            or the other.  NULL: anywhere.
 * @param ret_lane  written on success only; may be `at`.
 * @return 0; -EINVAL (no lane, or one that contradicts itself), -EPERM (not sealed), -EPROTO (of a version that this one
 *         does not know), -EBADF, -ENOMEM; -ESTALE (of another size or format than `at`).
 */
int dx_lane_open(int fd, const struct dx_lane *at, struct dx_lane *ret_lane);

/** Zeroed is fine. */
void dx_lane_finish(struct dx_lane *lane);

/** Publishes control values.  Thread: the writer.  Real-time: yes, wait-free. */
void dx_lane_publish(const struct dx_lane *lane, const struct dx_lane_state *state) DX_REALTIME;

/**
 * Reads control values, and checks that they can be true: end - begin <= ring_frames, no overflow.
 *
 * @param state  written only when true is returned.
 *
 * Thread: any.  Real-time: yes, wait-free.
 */
bool dx_lane_read_state(const struct dx_lane *lane, struct dx_lane_state *state) DX_REALTIME;

/**
 * Appends frames after state->end, or as many zero bytes for NULL: raises begin, writes, raises end.
 *
 * @param state   the writer's own copy; changed, and published.
 * @param frames  at most ring_frames.
 *
 * Thread: the writer.  Real-time: yes, wait-free.
 */
void dx_lane_append(const struct dx_lane *lane, struct dx_lane_state *state, const void *frames_data,
                    uint32_t frames) DX_REALTIME;

/* Part of a span that a copy holds, in frames from its start: [first, last). */
struct dx_span {
    uint32_t first;
    uint32_t last;
};

/**
 * Copies the frames of a span of device time out of a lane.
 *
 * @param known   the reader's last good control values; refreshed.
 * @param time    device time of the first frame.
 * @param frames  at most ring_frames.
 * @param dst     private memory for `frames` frames; written where the result says, garbage elsewhere.
 * @return what is there; first == last when nothing is.
 *
 * Thread: any, one for each `known`.  Real-time: yes, wait-free.
 */
struct dx_span dx_lane_copy(const struct dx_lane *lane, struct dx_lane_state *known, uint64_t time,
                            uint32_t frames, void *dst) DX_REALTIME;

#endif /* DX_AUDIO_LANE_H */
