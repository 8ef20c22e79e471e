// SPDX-License-Identifier: MIT
// Audio as RTP packets of 24-bit samples, one each millisecond, and the two rings between the IO thread and the wire thread.

#ifndef DX_USB_BUNDLE_PACKETS_H
#define DX_USB_BUNDLE_PACKETS_H

#include <dextral/base.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PACKETS_RATE_HZ 48000u
#define PACKETS_FRAMES 48u // of each that is sent
#define PACKETS_MAX_CHANNELS 8u
#define PACKETS_RING_FRAMES 8192u // a power of two
#define PACKETS_HEAD_BYTES 12u
#define PACKETS_MAX_BYTES (PACKETS_HEAD_BYTES + PACKETS_FRAMES * PACKETS_MAX_CHANNELS * 3u)
#define PACKETS_PAYLOAD_TYPE 97u
#define PACKETS_DELAY_FRAMES 240u // 5 ms: how far ahead of now what comes is put

/*
 * Frames are the device's. What is to be sent is written ahead of now by the IO thread, and read as it becomes due by the wire
 * thread; what came is written ahead of now by the wire thread, and read behind now by the IO thread. Who reads may come late,
 * pass frames over, or not read for minutes: so each place says which frame of which run it has, and all others are silence.
 */
struct packets_ring {
    _Atomic uint64_t marks[PACKETS_RING_FRAMES]; // the run's start_ns plus the frame; 0: none, or it was read
    _Atomic uint32_t samples[PACKETS_RING_FRAMES * PACKETS_MAX_CHANNELS]; // the bits of floats
};

struct packets {
    uint32_t channels;
    _Atomic uint64_t start_ns; // of frame 0, CLOCK_MONOTONIC; 0: no IO. The control thread's
    struct packets_ring outgoing, incoming;

    /* The wire thread's. */
    uint64_t sending_start_ns; // by which next_frame counts
    uint64_t next_frame;       // to be sent
    uint32_t first_timestamp;  // of frame 0: goes on with time from one run to the next
    uint16_t sequence;
    uint32_t source;           // SSRC of what is sent
    uint64_t receiving_start_ns;
    bool is_anchored;          // what comes from `sender` has a place
    uint32_t sender;           // SSRC
    uint32_t expected;         // timestamp
    uint64_t expected_frame;   // where that one goes
    _Atomic uint64_t received; // packets
    _Atomic uint64_t refused;  // that were none of ours
    _Atomic uint64_t anchored; // how often a place was found anew
};

/** @param channels  1 to PACKETS_MAX_CHANNELS.  @param source  SSRC. */
void packets_init(struct packets *packets, uint32_t channels, uint32_t source);

/** From here on frame 0 is at `start_ns`, which no run had before; 0: IO ends.  Control thread, before IO runs. */
void packets_start(struct packets *packets, uint64_t start_ns);

/**
 * The next packet, where one is due.  Wire thread.
 *
 * @param ret_due_ns  when the next one is: `now_ns` or before where there was one; UINT64_MAX without IO.
 * @return its bytes; 0: none is due.
 */
uint32_t packets_make(struct packets *packets, uint64_t now_ns, uint8_t bytes[PACKETS_MAX_BYTES], uint64_t *ret_due_ns);

/** A packet came.  Wire thread.  Whatever it is: what is no such packet is counted. */
void packets_take(struct packets *packets, const uint8_t *bytes, uint32_t size, uint64_t received_ns);

/* packets_rt.c */

/** Samples were written for frames ahead of now. @param samples  interleaved.  IO thread. */
void packets_write(struct packets *packets, uint64_t frame, const float *samples, uint32_t frames) DX_REALTIME;

/** Samples of frames behind now; zero where none came, or they were read before.  IO thread. */
void packets_read(struct packets *packets, uint64_t frame, float *samples, uint32_t frames) DX_REALTIME;

/** What both are made of; the wire thread's ends of the rings as well.  Frames of the run that began at `start_ns`. */
void packets_ring_put(struct packets_ring *ring, uint64_t start_ns, uint64_t frame, const float *samples, uint32_t frames,
                      uint32_t channels) DX_REALTIME;
void packets_ring_get(struct packets_ring *ring, uint64_t start_ns, uint64_t frame, float *samples, uint32_t frames,
                      uint32_t channels) DX_REALTIME;

#endif /* DX_USB_BUNDLE_PACKETS_H */
