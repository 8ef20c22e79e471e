// SPDX-License-Identifier: MIT
// Zero timestamps from a timer.

#include "virtual_clock.h"

#include <string.h>

#define NS_PER_SECOND 1000000000

static uint64_t
ticks_from_ns(uint64_t ns)
{
    mach_timebase_info_data_t ticks;
    mach_timebase_info(&ticks);
    return ns / ticks.numer * ticks.denom + ns % ticks.numer * ticks.denom / ticks.numer;
}

/* ---- when the next stamp is ---- */

/*
 * On its own: a period after the last one.  A period takes period * 10^18 / parts ns, where parts = rate *
 * (10^9 + ppb) is about 10^15 at most; what is divided does not fit, so the division goes by three decimals at a
 * time.
 */
static uint64_t
own_next(struct virtual_clock *clock)
{
    const uint64_t parts = clock->rate_hz * (uint64_t)(NS_PER_SECOND + clock->ppb);
    uint64_t ns = (uint64_t)clock->period_frames * NS_PER_SECOND / parts;
    uint64_t rest = (uint64_t)clock->period_frames * NS_PER_SECOND % parts;
    for (int i = 0; i < 3; i++) {
        ns = ns * 1000 + rest * 1000 / parts;
        rest = rest * 1000 % parts;
    }
    clock->elapsed_ns += ns;
    clock->elapsed_fraction += rest;
    if (clock->elapsed_fraction >= parts) {
        clock->elapsed_fraction -= parts;
        clock->elapsed_ns++;
    }
    return clock->anchor + ticks_from_ns(clock->elapsed_ns);
}

/* From here on the clock goes by itself from a host time on, at which there is a stamp. */
static void
anchor_at(struct virtual_clock *clock, uint64_t host_time)
{
    clock->anchor = host_time;
    clock->elapsed_ns = 0;
    clock->elapsed_fraction = 0;
}

/* Where the followed device was at a host time. */
static double
followed_position(const dx_followed_time *time, uint64_t host_time)
{
    return (double)time->frame + (double)(int64_t)(host_time - time->host_time) / time->host_ticks_per_frame;
}

/* The last stamp stands for where the other device was then: with a new rate or start of it, or of this one. */
static void
lock_on(struct virtual_clock *clock, const dx_followed_time *time)
{
    clock->is_locked = true;
    clock->epoch = time->epoch;
    clock->followed_rate_hz = time->sample_rate_hz;
    clock->followed_frame = followed_position(time, clock->last);
    clock->own_frame = (clock->stamps - 1) * clock->period_frames;
}

/*
 * Following: when the other device has gone on by a period of this one.
 *
 * @return false: nothing is known of it, or a period of it would be far from one of this device's.
 */
static bool
followed_next(struct virtual_clock *clock, uint64_t *ret_next)
{
    dx_followed_time time = {.size = sizeof time};
    if (!clock->followed && clock->followed_uid[0] &&
        dx_followed_open(clock->driver, clock->followed_uid, &clock->followed) != kIOReturnSuccess)
        clock->followed = NULL; // not there yet: looked for again with the next stamp
    if (!clock->followed || !dx_followed_read(clock->followed, &time)) {
        clock->is_locked = false;
        return false;
    }
    if (!clock->is_locked || time.epoch != clock->epoch || time.sample_rate_hz != clock->followed_rate_hz)
        lock_on(clock, &time);

    const double frames = (double)(clock->stamps * clock->period_frames - clock->own_frame);
    const double ratio =
        time.sample_rate_hz / ((double)clock->rate_hz * (1.0 + (double)clock->ppb / (double)NS_PER_SECOND));
    const double frame = clock->followed_frame + frames * ratio;
    const double after = (frame - (double)time.frame) * time.host_ticks_per_frame; // after time.host_time
    const double period = (double)(int64_t)(time.host_time - clock->last) + after;
    const double nominal =
        (double)ticks_from_ns(NS_PER_SECOND) / (double)clock->rate_hz * (double)clock->period_frames;
    clock->is_locked = period > 0.9 * nominal && period < 1.1 * nominal;
    if (clock->is_locked)
        *ret_next = clock->last + (uint64_t)period;
    return clock->is_locked;
}

static void
find_next(struct virtual_clock *clock)
{
    if (followed_next(clock, &clock->next))
        anchor_at(clock, clock->next); // so that it goes on from there when there is nobody to follow
    else
        clock->next = own_next(clock);
}

static void
post(struct virtual_clock *clock, uint64_t host_time)
{
    IOUserAudioDeviceUpdateCurrentZeroTimestamp(clock->device, clock->stamps * clock->period_frames, host_time);
    clock->stamps++;
    clock->last = host_time;
    find_next(clock);
}

/* ---- the timer ---- */

static kern_return_t
arm(struct virtual_clock *clock)
{
    return IOTimerDispatchSourceWakeAtTime(clock->timer, kIOTimerClockMachAbsoluteTime, clock->next, 0);
}

/* The timer fired, perhaps late, perhaps by more than a period: stamps stay on the grid and leave none out. */
static void
tick(void *context, uint64_t now)
{
    struct virtual_clock *clock = context;
    while (clock->next <= now)
        post(clock, clock->next);
    (void)arm(clock); // fails only when the timer is cancelled, and then nothing is to come
}

kern_return_t
virtual_clock_init(struct virtual_clock *clock, IOUserAudioDriver *driver, IOUserAudioDevice *device)
{
    clock->driver = driver;
    clock->device = device;
    clock->queue = IOUserAudioDriverGetWorkQueue(driver);
    kern_return_t status = IOTimerDispatchSourceCreate(clock->queue, &clock->timer);
    if (status == kIOReturnSuccess)
        status = IOTimerDispatchSourceSetHandler_f(clock->timer, clock, tick);
    return status;
}

/* On the queue: no tick is running while this does, and none begins after it. */
static void
cancel(void *context)
{
    struct virtual_clock *clock = context;
    (void)IOTimerDispatchSourceCancel_f(clock->timer, NULL, NULL); // one that cannot be cancelled goes with its release
}

void
virtual_clock_finish(struct virtual_clock *clock)
{
    if (clock->timer)
        (void)IODispatchQueueDispatchSync_f(clock->queue, clock, cancel); // a cancelled queue runs no timer either
    OSSafeReleaseNULL(clock->timer);
    OSSafeReleaseNULL(clock->queue);
    dx_followed_close(clock->followed);
    clock->followed = NULL;
}

kern_return_t
virtual_clock_start(struct virtual_clock *clock)
{
    clock->rate_hz = (uint64_t)IOUserAudioDeviceGetSampleRate(clock->device);
    clock->period_frames = IOUserAudioDeviceGetZeroTimestampPeriod(clock->device);
    if (clock->rate_hz == 0)
        return kIOReturnNotReady;

    const uint64_t now = mach_absolute_time();
    clock->stamps = 0;
    clock->is_locked = false;
    clock->is_running = true;
    anchor_at(clock, now);
    post(clock, now);
    /* Armed first: a shot left from before the last stop is replaced, not fired. */
    const kern_return_t status = arm(clock);
    return status == kIOReturnSuccess ? IOTimerDispatchSourceSetEnable(clock->timer, true) : status;
}

void
virtual_clock_stop(struct virtual_clock *clock)
{
    clock->is_running = false;
    (void)IOTimerDispatchSourceSetEnable(clock->timer, false); // fails only when the timer is cancelled
}

/* ---- settings ---- */

/* The next stamp is another one than was thought. */
static void
go_on_from_last(struct virtual_clock *clock)
{
    clock->is_locked = false;
    if (!clock->is_running)
        return;
    anchor_at(clock, clock->last);
    find_next(clock);
    (void)arm(clock); // fails only when the timer is cancelled
}

kern_return_t
virtual_clock_set_ppb(struct virtual_clock *clock, int64_t ppb)
{
    if (ppb < -VIRTUAL_CLOCK_MAX_PPB || ppb > VIRTUAL_CLOCK_MAX_PPB)
        return kIOReturnBadArgument;
    if (clock->ppb == ppb)
        return kIOReturnSuccess;
    clock->ppb = (int32_t)ppb;
    go_on_from_last(clock);
    return kIOReturnSuccess;
}

kern_return_t
virtual_clock_follow(struct virtual_clock *clock, const char *uid)
{
    const size_t length = strlen(uid);
    if (length >= sizeof clock->followed_uid)
        return kIOReturnBadArgument;
    if (strcmp(clock->followed_uid, uid) == 0)
        return kIOReturnSuccess;
    dx_followed_close(clock->followed);
    clock->followed = NULL;
    memcpy(clock->followed_uid, uid, length + 1);
    go_on_from_last(clock);
    return kIOReturnSuccess;
}
