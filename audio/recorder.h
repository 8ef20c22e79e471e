// SPDX-License-Identifier: MIT
// The flight recorder: what a device's last cycles were like, and what went wrong, in memory that outlives its writer.

#ifndef DX_AUDIO_RECORDER_H
#define DX_AUDIO_RECORDER_H

#include "core/pages.h"

#include <dextral/host.h>

#include <stdatomic.h>

/*
 * One region for each device: the IO thread writes, anybody reads.  It lies in a file on a memory file system, or in a
 * memfd: never on a disk, whose write-back would fault under the IO thread.
 *
 *     head            magic, version, sizes; the number of cycles and of incidents ever written
 *     cycles[32768]   4 bytes each: lateness, handler and cycle time on a logarithmic scale (1/8 octave), flags
 *     incidents[256]  a fixed record each, with a generation before and after
 *
 * 32768 cycles are 350 s at 512 frames and 48 kHz, 43 s at 64.
 */
#define DX_RECORDER_MAGIC 0x52584431u // "1DXR", little-endian
#define DX_RECORDER_VERSION 1u
#define DX_RECORDER_CYCLES 32768u
#define DX_RECORDER_INCIDENTS 256u

enum {
    DX_CYCLE_LATE = 1u << 0,      // finished after its deadline
    DX_CYCLE_SKIPPED = 1u << 1,   // not run: an overload
    DX_CYCLE_UNCOVERED = 1u << 2, // a running lane did not bring all of its frames
    DX_CYCLE_STAMP = 1u << 3,     // a stamp moved the line
};

/* What went wrong once, as it is stored. */
struct dx_incident {
    uint64_t host_time_ns; // when it was noticed
    uint64_t device_time;  // frames
    uint32_t cause;        // dx_cause
    uint32_t frames;       // lost, or not covered
    uint64_t client;       // the session or number of the client that it was about; 0: none
    uint64_t intervals_ns[DX_CAUSE_COUNT]; // measured, as far as they were
};

struct dx_recorder; // the layout is recorder.c's own

/** Bytes of a region. */
size_t dx_recorder_bytes(void);

/** Sets up a zeroed region; a region that was written before goes on.  false: it is something else. */
bool dx_recorder_init(void *region, size_t bytes);

/** Thread: IO.  Real-time: yes, wait-free. */
void dx_recorder_cycle(void *region, uint64_t lateness_ns, uint64_t handler_ns, uint64_t cycle_ns,
                       uint32_t flags) DX_REALTIME;
/** Thread: IO.  Real-time: yes, wait-free. */
void dx_recorder_incident(void *region, const struct dx_incident *incident) DX_REALTIME;
/** The line of device time at hand, once a cycle: where the next driver goes on when this one has crashed. */
void dx_recorder_line(void *region, uint64_t frame, uint64_t host_ns, double ns_per_frame) DX_REALTIME;

/* Reading: everything is checked; whoever writes may be hostile or dead in the middle of it. */

struct dx_recorded_cycle {
    uint64_t number;
    uint64_t lateness_ns;
    uint64_t handler_ns;
    uint64_t cycle_ns;
    uint32_t flags;
};

/** The newest `capacity` cycles at most, oldest first. */
uint32_t dx_recording_cycles(const void *region, size_t bytes, struct dx_recorded_cycle *cycles, uint32_t capacity);
/** The newest `capacity` incidents at most, oldest first. */
uint32_t dx_recording_incidents(const void *region, size_t bytes, struct dx_incident *incidents, uint32_t capacity);
/** false where there is none that can be true. */
bool dx_recording_line(const void *region, size_t bytes, uint64_t *frame, uint64_t *host_ns, double *ns_per_frame);

#endif /* DX_AUDIO_RECORDER_H */
