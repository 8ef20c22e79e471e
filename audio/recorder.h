// SPDX-License-Identifier: MIT
// The flight recorder: what a device's last cycles were like, and what went wrong, in memory that outlives its writer.

#ifndef DX_AUDIO_RECORDER_H
#define DX_AUDIO_RECORDER_H

#include <dextral/host.h>

#include <stdatomic.h>

/*
 * One region for each device: the IO thread writes, anybody reads.  It lies in a file on a memory file system, or in a
 * memfd: never on a disk, whose write-back would fault under the IO thread.  All of it is 32-bit words, least
 * significant first where a value takes two, so 32 and 64 bits agree; `dx_recorder_bytes()`, 105 KiB, in this version.
 *
 *     head             magic, version, size
 *     states[4]        how many slices there are, and the line of device time; written in turn, once a slice
 *     slices[8192]     8 bytes each: at least 20 ms of cycles, so 163 s of them at the least
 *     incidents[256]   160 bytes each
 *
 * A state or an incident is numbered from 1 and ends in a check sum: one that its writer did not finish, or that was
 * copied while it was written, is not taken for one.  So a writer may die between any two stores, and a reader may
 * work on a copy that it made with read().
 */
#define DX_RECORDER_MAGIC 0x52584431u // "1DXR", little-endian
#define DX_RECORDER_VERSION 1u
#define DX_RECORDER_SLICES 8192u
#define DX_RECORDER_SLICE_NS 20000000u
#define DX_RECORDER_INCIDENTS 256u
#define DX_RECORDER_INTERVALS 12u // of an incident: room for all that dx_cause may come to have

enum {
    DX_CYCLE_LATE = 1u << 0,      // finished after its deadline
    DX_CYCLE_SKIPPED = 1u << 1,   // cycles were skipped: an overload
    DX_CYCLE_UNCOVERED = 1u << 2, // a running lane did not bring all of its frames
    DX_CYCLE_STAMP = 1u << 3,     // a stamp was bad, or moved the timeline
};

/* What went wrong once, or several times in a short while for the same cause. */
struct dx_incident {
    uint64_t host_time_ns; // of the first cycle that it was noticed in
    uint64_t device_time;  // the same, in frames
    uint64_t client;       // the session of the client that it was about; 0: none, or one of the device's own process
    uint32_t cause;        // dx_cause
    uint32_t frames;       // lost, or not covered: all together
    uint32_t count;        // cycles that it was noticed in
    /* What the delay was made of where it was the longest; of a lane, all that is missing. */
    uint64_t intervals_ns[DX_CAUSE_COUNT];
};

/* One cycle, for the record. */
struct dx_cycle_times {
    uint64_t host_time_ns; // when it began
    uint64_t lateness_ns;  // of the wake; 0: it did not sleep
    uint64_t handler_ns;   // in the driver's handler
    uint64_t cycle_ns;     // all of it
    uint32_t flags;        // DX_CYCLE_...
};

/* The writer's own; zeroed: nothing is recorded. */
struct dx_recorder {
    _Atomic uint32_t *words;
    uint64_t states;    // written so far, ever
    uint64_t incidents;
    uint64_t slices;    // with the one at hand
    bool is_open;       // there is one at hand: ...
    struct dx_cycle_times slice; // ... when it began, and the worst of its cycles
};

/** Bytes of a region. */
size_t dx_recorder_bytes(void);

/** Sets up a zeroed region; one that was written before goes on.  false: it is something else, or too small. */
bool dx_recorder_init(void *region, size_t bytes);
/** Whether it was set up, by this version. */
bool dx_recorder_is_set_up(const void *region, size_t bytes);

/** Goes on where the writer before stopped.  @param region  set up; NULL: nothing is recorded. */
void dx_recorder_attach(struct dx_recorder *recorder, void *region);

/**
 * Takes in a cycle.
 *
 * @return whether it is the first of a slice, which is there for readers when the line has been recorded.
 *
 * Thread: IO.  Real-time: yes, wait-free.
 */
bool dx_recorder_cycle(struct dx_recorder *recorder, const struct dx_cycle_times *times) DX_REALTIME;

/**
 * The line of device time at hand: where the next driver goes on when this one has crashed.  For each slice, and when the
 * line goes on elsewhere.
 *
 * Thread: IO.  Real-time: yes, wait-free.
 */
void dx_recorder_line(struct dx_recorder *recorder, uint64_t frame, uint64_t host_ns, double ns_per_frame) DX_REALTIME;

/** As above. */
void dx_recorder_incident(struct dx_recorder *recorder, const struct dx_incident *incident) DX_REALTIME;

/*
 * Reading: everything is checked; whoever writes may be hostile, or dead in the middle of it.  A region is aligned to 4 bytes.
 * Each of them finds nothing in a region that is none, or of another version.
 */

/* Cycles that ran behind each other within DX_RECORDER_SLICE_NS: the worst of each. */
struct dx_recorded_slice {
    uint64_t number;       // from 0 on
    uint64_t host_time_ns; // when the first of them began, to a millisecond
    uint64_t lateness_ns;  // durations: to an eighth, never too short up to 17 s
    uint64_t handler_ns;
    uint64_t cycle_ns;
    uint32_t flags;        // DX_CYCLE_... of any
};

/** The newest `capacity` slices at most, oldest first. */
uint32_t dx_recording_slices(const void *region, size_t bytes, struct dx_recorded_slice *slices, uint32_t capacity);
/** The newest `capacity` incidents at most, oldest first. */
uint32_t dx_recording_incidents(const void *region, size_t bytes, struct dx_incident *incidents, uint32_t capacity);
/** false where there is none that can be true. */
bool dx_recording_line(const void *region, size_t bytes, uint64_t *ret_frame, uint64_t *ret_host_ns,
                       double *ret_ns_per_frame);

#endif /* DX_AUDIO_RECORDER_H */
