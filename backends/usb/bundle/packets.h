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
 * thread; what came is written ahead of now by the wire thread, and read behind now by the IO thread. A sample is the bits
 * of a float; whoever reads one leaves zero behind, so that nothing is heard twice.
 */
struct packets {
    uint32_t channels;
    _Atomic uint64_t start_ns; // of frame 0, CLOCK_MONOTONIC; 0: no IO. The control thread's; read by the wire thread
    _Atomic uint32_t outgoing[PACKETS_RING_FRAMES * PACKETS_MAX_CHANNELS];
    _Atomic uint32_t incoming[PACKETS_RING_FRAMES * PACKETS_MAX_CHANNELS];

    /* The wire thread's. */
    uint64_t sending_start_ns; // by which next_frame counts
    uint64_t next_frame;       // to be sent
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

/** @param channels  1 to PACKETS_MAX_CHANNELS.  @param source  SSRC.  The structure is zeroed before. */
void packets_init(struct packets *packets, uint32_t channels, uint32_t source);

/** From here on frame 0 is at `start_ns`; 0: IO has ended.  Control thread. */
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

/* packets_rt.c: the IO thread */

/** Samples were written for frames ahead of now. @param samples  interleaved. */
void packets_write(struct packets *packets, uint64_t frame, const float *samples, uint32_t frames) DX_REALTIME;

/** Samples of frames behind now; zero where none came. */
void packets_read(struct packets *packets, uint64_t frame, float *samples, uint32_t frames) DX_REALTIME;

#endif /* DX_USB_BUNDLE_PACKETS_H */
