// SPDX-License-Identifier: MIT
// Following another device: a driver without a clock of its own can keep the time of one that has.

#ifndef DEXTRAL_FOLLOW_H
#define DEXTRAL_FOLLOW_H

#include <dextral/base.h>

DX_BEGIN_DECLS

typedef struct IOUserAudioDriver IOUserAudioDriver;

/** Another device, as a driver that follows it sees it. */
typedef struct dx_followed dx_followed;

/**
 * Where a device is: a line through one point, good for some seconds in both directions.
 *
 * Frame f is at host_time + (f - frame) * host_ticks_per_frame.
 */
typedef struct dx_followed_time {
    uint32_t size;               ///< sizeof(dx_followed_time), set by the caller
    uint32_t epoch;              ///< another one: a new start, rate or driver; the line may have moved a little
    bool is_running;             ///< its IO runs; else its time goes on as it was going
    uint64_t frame;              ///< device time
    uint64_t host_time;          ///< when that frame was, in ticks of mach_absolute_time()
    double host_ticks_per_frame; ///< measured
    double sample_rate_hz;       ///< nominal
} dx_followed_time;

/**
 * Begins to follow a device, wherever its driver runs.  It need not be there yet, and does not start by being
 * followed.
 *
 * @param driver        borrowed for the call; it has been started by a host.
 * @param uid           of the device; copied.
 * @param ret_followed  to be given back with dx_followed_close() before the driver goes.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL, or no UID); kIOReturnNotFound (the device is not there,
 * and this process knows no others); kIOReturnNotReady (the driver has no host); kIOReturnNoMemory.
 *
 * Thread: control, or the driver's work queue.  Real-time: no.
 */
DX_API kern_return_t dx_followed_open(IOUserAudioDriver *driver, const char *uid, dx_followed **ret_followed);

/**
 * Tells where the device is.
 *
 * @param time  written when true is returned.
 * @return false while nothing is known of it: nobody has it, or its time has not begun.
 *
 * Thread: any, one at a time for a dx_followed.  Real-time: yes, wait-free.
 */
DX_API bool dx_followed_read(dx_followed *followed, dx_followed_time *time) DX_REALTIME;

/** Ends it; nobody may be reading.  NULL is fine.  Thread: as dx_followed_open(). */
DX_API void dx_followed_close(dx_followed *followed);

DX_END_DECLS

#endif /* DEXTRAL_FOLLOW_H */
