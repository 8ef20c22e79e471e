// SPDX-License-Identifier: MIT
// Timers: a handler that runs on a queue at a time.

#ifndef DEXTRAL_IOTIMERDISPATCHSOURCE_H
#define DEXTRAL_IOTIMERDISPATCHSOURCE_H

#include <dextral/IODispatchQueue.h>

DX_BEGIN_DECLS

typedef struct IOTimerDispatchSource IOTimerDispatchSource;

DX_API extern const OSMetaClass *const gIOTimerDispatchSourceMetaClass;

/** Clocks of IOTimerDispatchSourceWakeAtTime(); on a simulated clock all of them show simulated time. */
enum {
    kIOTimerClockWallTime = 0x80,             ///< kIOTimerClockRealTime
    kIOTimerClockRealTime = 0x80,             ///< nanoseconds since 1970, CLOCK_REALTIME
    kIOTimerClockMonotonicRaw = 0x84,         ///< nanoseconds, as dx_clock_now_ns()
    kIOTimerClockUptimeRaw = 0x88,            ///< nanoseconds, as dx_clock_now_ns()
    kIOTimerClockMachContinuousTime = 0xC4,   ///< ticks, mach_continuous_time()
    kIOTimerClockMachAbsoluteTime = 0xC8,     ///< ticks, mach_absolute_time()
};

/**
 * Makes a timer, enabled and not armed.
 *
 * Its handler runs on the queue, as one more item in line.  An idle timer costs nothing; an armed one
 * is a deadline of the queue's own task, whose priority is the queue's.
 *
 * @param queue      retained.
 * @param ret_timer  +1; written on success only.  The last release disarms it.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNoMemory.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: IOTimerDispatchSource::Create.
 */
DX_API kern_return_t IOTimerDispatchSourceCreate(IODispatchQueue *queue, IOTimerDispatchSource **ret_timer);

/**
 * Sets what runs when the timer fires.
 *
 * A call of the old handler that has begun goes on; no other begins.
 *
 * @param handler  gets the time at which it fired, on the clock the timer was armed with: at or after the
 *                 deadline.  NULL: firing does nothing.
 * @param context  handed to the handler; the caller's business.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNoMemory.
 *
 * Thread: any of the queue's clock but an IO thread.  Real-time: no.
 * Source: IOTimerDispatchSource::SetHandler.
 */
DX_API kern_return_t IOTimerDispatchSourceSetHandler_f(IOTimerDispatchSource *timer, void *context,
                                                       void (*handler)(void *context, uint64_t time));

/**
 * IOTimerDispatchSourceSetHandler_f() with a context that the timer owns.
 *
 * @param context  takes on success.
 * @param release  called once with the context when no call of the handler can run or begin any more.
 *
 * Thread: any of the queue's clock but an IO thread.  Real-time: no.
 */
DX_API kern_return_t dx_timer_set_owned_handler(IOTimerDispatchSource *timer, void *context,
                                                void (*handler)(void *context, uint64_t time),
                                                void (*release)(void *context));

/**
 * Arms the timer for one shot; replaces what it was armed for, also a shot that is due and has not run.
 *
 * @param clock     one of the clock ids above.
 * @param deadline  on that clock; one that is past fires at once.
 * @param leeway    accepted; the timer does not use it.
 * @return kIOReturnSuccess; kIOReturnBadArgument (clock); kIOReturnAborted (timer or queue is
 *         cancelled); kIOReturnNoMemory, kIOReturnNoResources (the queue's task could not be made).
 *
 * Thread: any of the queue's clock but an IO thread.  Real-time: no.
 * Source: IOTimerDispatchSource::WakeAtTime.
 * Differs: a wall clock that is set forward while the timer is armed is noticed late.
 */
DX_API kern_return_t IOTimerDispatchSourceWakeAtTime(IOTimerDispatchSource *timer, uint64_t clock,
                                                     uint64_t deadline, uint64_t leeway);

/**
 * Lets the timer fire, or keeps it from it.  A deadline that passes meanwhile fires when enabled again.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnAborted (timer or queue is cancelled).
 *
 * Thread: any of the queue's clock but an IO thread.  Real-time: no.  A handler may still be running when
 * the call returns, unless it came from the queue: IOTimerDispatchSourceSetEnableWithCompletion_f() tells.
 * Source: IODispatchSource::SetEnable.
 */
DX_API kern_return_t IOTimerDispatchSourceSetEnable(IOTimerDispatchSource *timer, bool enable);

/**
 * IOTimerDispatchSourceSetEnable(), and runs a function on the queue when it is in force: after `false`, no
 * handler is running or will run until enabled again.
 *
 * @return as IOTimerDispatchSourceSetEnable(); kIOReturnNoMemory, kIOReturnNoResources: nothing happened.
 *
 * Thread: any of the queue's clock but an IO thread.  Real-time: no, does not wait.
 * Source: IODispatchSource::SetEnableWithCompletion.
 */
DX_API kern_return_t IOTimerDispatchSourceSetEnableWithCompletion_f(IOTimerDispatchSource *timer,
                                                                    bool enable, void *context,
                                                                    void (*completion)(void *context));

/**
 * Disarms the timer for good; the handler that was set is not called again, and the function given here
 * runs on the queue when none is running either.
 *
 * @param context  handed to the function.
 * @param handler  may be NULL.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNoMemory, kIOReturnNoResources: nothing happened;
 *         kIOReturnAborted: the timer was cancelled before, or its queue is (it is disarmed for good then
 *         as well); `handler` does not run.
 *
 * Thread: any of the queue's clock but an IO thread.  Real-time: no, does not wait.
 * Source: IODispatchSource::Cancel.
 */
DX_API kern_return_t IOTimerDispatchSourceCancel_f(IOTimerDispatchSource *timer, void *context,
                                                   void (*handler)(void *context));

#if DX_HAVE_BLOCKS

static inline void
dx_timer_block_call(void *context, uint64_t time)
{
    ((void (^)(uint64_t))context)(time);
}

static inline void
dx_timer_block_release(void *context)
{
    Block_release((void (^)(uint64_t))context);
}

/** IOTimerDispatchSourceSetHandler_f() of a block, which is copied. */
static inline kern_return_t
IOTimerDispatchSourceSetHandler_b(IOTimerDispatchSource *timer, void (^block)(uint64_t time))
{
    if (!block)
        return IOTimerDispatchSourceSetHandler_f(timer, NULL, NULL);
    void (^const copy)(uint64_t) = Block_copy(block);
    const kern_return_t status =
        dx_timer_set_owned_handler(timer, (void *)copy, dx_timer_block_call, dx_timer_block_release);
    if (status != kIOReturnSuccess)
        Block_release(copy);
    return status;
}

/** IOTimerDispatchSourceSetEnableWithCompletion_f() of a block, which is copied. */
static inline kern_return_t
IOTimerDispatchSourceSetEnableWithCompletion_b(IOTimerDispatchSource *timer, bool enable, void (^block)(void))
{
    void (^const copy)(void) = Block_copy(block);
    const kern_return_t status = IOTimerDispatchSourceSetEnableWithCompletion_f(
        timer, enable, (void *)copy, copy ? dx_block_call_and_release : NULL);
    if (status != kIOReturnSuccess && copy)
        Block_release(copy);
    return status;
}

/** IOTimerDispatchSourceCancel_f() with a block, which is copied. */
static inline kern_return_t
IOTimerDispatchSourceCancel_b(IOTimerDispatchSource *timer, void (^block)(void))
{
    void (^const copy)(void) = Block_copy(block);
    const kern_return_t status =
        IOTimerDispatchSourceCancel_f(timer, (void *)copy, copy ? dx_block_call_and_release : NULL);
    if (status != kIOReturnSuccess && copy)
        Block_release(copy);
    return status;
}

#endif /* DX_HAVE_BLOCKS */

DX_END_DECLS

#endif /* DEXTRAL_IOTIMERDISPATCHSOURCE_H */
