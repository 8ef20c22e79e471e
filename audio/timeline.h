// SPDX-License-Identifier: MIT
// From zero timestamps to a clock, and from driver time to device time.

#ifndef DX_AUDIO_TIMELINE_H
#define DX_AUDIO_TIMELINE_H

#include "audio/device_io.h"

/*
 * Driver time is what the driver posts; device time is what clients see and never goes back:
 * device = driver + offset.  The filter follows the stamps in driver time; when they jump, it starts anew and
 * the offset is chosen so that device time goes on at the host time at hand.
 */

/* What everybody may read: device time as a line through an anchor, and where the cycle stands. */
enum dx_timeline_state {
    DX_TIMELINE_NONE,    ///< device time has not begun
    DX_TIMELINE_STOPPED, ///< no IO: the line goes on, nobody consumes
    DX_TIMELINE_WAITING, ///< IO was started, no valid zero timestamp yet
    DX_TIMELINE_RUNNING, ///< cycles run
};

struct dx_timeline_page {
    uint32_t epoch;          // + 1 at each new offset, rate or start
    uint32_t state;          // enum dx_timeline_state
    uint64_t anchor_frame;   // device time
    uint64_t anchor_host_ns;
    double ns_per_frame;     // measured
    double rate_hz;          // nominal
    uint64_t cycle_frame;    // device time T at which the next cycle is due
    uint64_t mixed_until;    // device time: frames before it can no longer be changed
    uint32_t io_frames;      // N
    uint32_t ring_frames;    // R
    uint32_t input_safety;   // Si
    uint32_t output_safety;  // So
    uint32_t late_tolerance;
    uint32_t reserved;
};

/** The position of device time at a host time, in frames.  0 while it has not begun.  Never negative. */
double dx_timeline_page_position(const struct dx_timeline_page *page, uint64_t host_ns) DX_REALTIME;

/** The host time at which device time reaches a frame; saturates. */
uint64_t dx_timeline_page_host_ns(const struct dx_timeline_page *page, double frame) DX_REALTIME;

/** Whether values read from a page can be true. */
bool dx_timeline_page_is_sane(const struct dx_timeline_page *page) DX_REALTIME;

#define DX_TIMELINE_WINDOW 12u

struct dx_timeline_config {
    double rate_hz;
    uint32_t period_frames;
    IOUserAudioClockAlgorithm algorithm;
    bool is_stable;
    uint64_t start_count; // stamps up to this one were posted before IO started
};

/* The model of one run of IO.  IO thread only. */
struct dx_timeline {
    struct dx_timeline_config config;
    bool valid;              // a stamp stands
    struct dx_stamp last;    // the newest seen
    uint64_t anchor_frame;   // driver time
    uint64_t anchor_host_ns; // and its host time, ...
    double anchor_fraction;  // ... plus this part of a nanosecond
    double ns_per_frame;
    uint32_t weight;         // stamps that the IIR filter stands on
    uint64_t window_count;   // stamps since the filter began, and the last of them
    uint64_t window_frames[DX_TIMELINE_WINDOW];
    uint64_t window_host_ns[DX_TIMELINE_WINDOW];
    int64_t offset;          // device = driver + offset
    /* Counters. */
    uint64_t stamps;
    uint64_t bad_stamps;
    uint64_t reanchors;
};

/* What a stamp did. */
enum dx_stamp_effect {
    DX_STAMP_NONE,     ///< nothing new, or nothing that can be a time
    DX_STAMP_FOLLOWED, ///< the filter took it in
    DX_STAMP_ANCHORED, ///< the filter started from it: choose the offset anew
    DX_STAMP_CLEARED,  ///< (0, 0): no time until the next one
};

void dx_timeline_init(struct dx_timeline *timeline, const struct dx_timeline_config *config);

/** Takes in the newest stamp.  Thread: IO.  Real-time: yes. */
enum dx_stamp_effect dx_timeline_take(struct dx_timeline *timeline, const struct dx_stamp *stamp) DX_REALTIME;

/** Driver time at a host time; may be negative before the first frame. */
double dx_timeline_position(const struct dx_timeline *timeline, uint64_t host_ns) DX_REALTIME;

/** The host time of a frame of driver time; saturates at 0. */
uint64_t dx_timeline_host_ns(const struct dx_timeline *timeline, double frame) DX_REALTIME;

#endif /* DX_AUDIO_TIMELINE_H */
