// SPDX-License-Identifier: MIT
// The clock of a device that has no hardware: zero timestamps at the nominal rate, a little beside it, or as
// another device's clock goes.

#ifndef EXAMPLES_VIRTUAL_CLOCK_H
#define EXAMPLES_VIRTUAL_CLOCK_H

#include <dextral/dextral.h>

/*
 * Frame 0 is when the clock starts, and stamp k is of frame k * period.  On its own the clock keeps an exact
 * grid: what a period has beyond whole nanoseconds is carried on, so that rounding never adds up.  Where it
 * follows another device, each stamp is when that device's time has gone on by as much.  Everything happens on the
 * driver's work queue.
 */
struct virtual_clock {
    IOUserAudioDriver *driver; // borrowed
    IOUserAudioDevice *device; // borrowed
    IODispatchQueue *queue;    // the driver's work queue
    IOTimerDispatchSource *timer;

    /* Settings. */
    int32_t ppb;            // how much faster than nominal, in parts of a milliard
    char followed_uid[256]; // empty: none
    dx_followed *followed;  // NULL: none, or it was not there when it was looked for

    /* While it runs. */
    bool is_running;
    uint64_t rate_hz;
    uint32_t period_frames;
    uint64_t stamps; // posted: the next is of frame stamps * period_frames
    uint64_t last;   // host time of the last stamp, in ticks
    uint64_t next;   // and of the next one
    /* On its own: the next stamp is elapsed_ns and elapsed_fraction / (parts of a ns) after the anchor. */
    uint64_t anchor; // in ticks
    uint64_t elapsed_ns;
    uint64_t elapsed_fraction;
    /* Following: own_frame of this device was when followed_frame of the other was. */
    bool is_locked;
    uint32_t epoch; // of the other
    double followed_rate_hz;
    double followed_frame;
    uint64_t own_frame;
};

/**
 * Makes the timer.
 *
 * @param clock   zeroed; not to be freed before virtual_clock_finish().
 * @param device  borrowed until then.
 */
kern_return_t virtual_clock_init(struct virtual_clock *clock, IOUserAudioDriver *driver, IOUserAudioDevice *device);

/** Gives the timer back: nothing of the clock runs any more.  Zeroed is fine, and so is twice. */
void virtual_clock_finish(struct virtual_clock *clock);

/** Anchors frame 0 now, at the device's rate and period, and goes on from there.  For StartIO: on the work queue. */
kern_return_t virtual_clock_start(struct virtual_clock *clock);

/** Posts nothing any more; what was posted stays with the device.  For StopIO: on the work queue. */
void virtual_clock_stop(struct virtual_clock *clock);

#define VIRTUAL_CLOCK_MAX_PPB 1000000

/**
 * Makes the clock faster, or slower, from the last stamp on.
 *
 * @param ppb  parts of a milliard; kIOReturnBadArgument beyond VIRTUAL_CLOCK_MAX_PPB on either side.
 *
 * On the work queue.
 */
kern_return_t virtual_clock_set_ppb(struct virtual_clock *clock, int64_t ppb);

/**
 * Follows another device from the last stamp on, as soon as there is one of that UID.
 *
 * @param uid  empty: none; kIOReturnBadArgument for one that is too long.
 *
 * On the work queue.
 */
kern_return_t virtual_clock_follow(struct virtual_clock *clock, const char *uid);

#endif /* EXAMPLES_VIRTUAL_CLOCK_H */
