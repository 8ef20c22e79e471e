// SPDX-License-Identifier: MIT
// The clock of a device that has no hardware: zero timestamps exactly at the nominal rate.

#ifndef EXAMPLES_VIRTUAL_CLOCK_H
#define EXAMPLES_VIRTUAL_CLOCK_H

#include <dextral/dextral.h>

/*
 * Frame 0 is when the clock starts; frame k * period follows at anchor + k * period / rate, computed anew for
 * each k, so that rounding to whole ticks never adds up.  Everything happens on the driver's work queue.
 */
struct virtual_clock {
    IOUserAudioDevice *device; // borrowed
    IODispatchQueue *queue;    // the driver's work queue
    IOTimerDispatchSource *timer;
    uint64_t anchor; // host time of frame 0, in ticks
    uint64_t rate_hz;
    uint32_t period_frames;
    uint64_t stamps; // posted since the anchor: the next is of frame stamps * period_frames
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

#endif /* EXAMPLES_VIRTUAL_CLOCK_H */
