// SPDX-License-Identifier: MIT
// Zero timestamps from a timer, on an ideal grid.

#include "virtual_clock.h"

#define NS_PER_SECOND UINT64_C(1000000000)

/* Host time of the k-th stamp.  Split so that nothing overflows for centuries: rate and timebase are small. */
static uint64_t
stamp_host_time(const struct virtual_clock *clock, uint64_t k)
{
    const uint64_t frames = k * clock->period_frames;
    const uint64_t ns = frames / clock->rate_hz * NS_PER_SECOND +
                        frames % clock->rate_hz * NS_PER_SECOND / clock->rate_hz;
    mach_timebase_info_data_t ticks;
    mach_timebase_info(&ticks);
    return clock->anchor + ns / ticks.numer * ticks.denom + ns % ticks.numer * ticks.denom / ticks.numer;
}

static void
post_next(struct virtual_clock *clock)
{
    IOUserAudioDeviceUpdateCurrentZeroTimestamp(clock->device, clock->stamps * clock->period_frames,
                                                stamp_host_time(clock, clock->stamps));
    clock->stamps++;
}

static kern_return_t
arm(struct virtual_clock *clock)
{
    return IOTimerDispatchSourceWakeAtTime(clock->timer, kIOTimerClockMachAbsoluteTime,
                                           stamp_host_time(clock, clock->stamps), 0);
}

/* The timer fired, perhaps late, perhaps by more than a period: stamps stay on the grid and leave none out. */
static void
tick(void *context, uint64_t now)
{
    struct virtual_clock *clock = context;
    while (stamp_host_time(clock, clock->stamps) <= now)
        post_next(clock);
    (void)arm(clock); // fails only when the timer is cancelled, and then nothing is to come
}

kern_return_t
virtual_clock_init(struct virtual_clock *clock, IOUserAudioDriver *driver, IOUserAudioDevice *device)
{
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
}

kern_return_t
virtual_clock_start(struct virtual_clock *clock)
{
    clock->rate_hz = (uint64_t)IOUserAudioDeviceGetSampleRate(clock->device);
    clock->period_frames = IOUserAudioDeviceGetZeroTimestampPeriod(clock->device);
    if (clock->rate_hz == 0)
        return kIOReturnNotReady;

    clock->anchor = mach_absolute_time();
    clock->stamps = 0;
    post_next(clock);
    /* Armed first: a shot left from before the last stop is replaced, not fired. */
    const kern_return_t status = arm(clock);
    return status == kIOReturnSuccess ? IOTimerDispatchSourceSetEnable(clock->timer, true) : status;
}

void
virtual_clock_stop(struct virtual_clock *clock)
{
    (void)IOTimerDispatchSourceSetEnable(clock->timer, false); // fails only when the timer is cancelled
}
