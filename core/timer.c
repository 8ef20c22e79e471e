// SPDX-License-Identifier: MIT
// Timers on serial queues.

#include "core/queue.h"

#include <dextral/IOTimerDispatchSource.h>

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

/* What a timer calls.  Counted under the queue's lock: the timer's own reference, and one for each call. */
struct handler {
    unsigned references;
    void (*function)(void *context, uint64_t time);
    void *context;
    void (*release)(void *context); // may be NULL
};

/*
 * The queue's task serves the deadline (`slot`), which puts `shot` into the line; when the shot's turn comes
 * it calls the handler, if it is still wanted.  A shot in line holds a reference to the timer, a timer one
 * to its queue.  Everything but `queue` and `shot` is guarded by the queue's lock.
 */
struct IOTimerDispatchSource {
    struct OSObject object; // first
    IODispatchQueue *queue;
    struct dx_queue_timer slot;
    struct dx_queue_item shot;
    struct handler *handler; // may be NULL
    uint64_t clock_id;
    uint64_t deadline;   // on that clock
    uint64_t fired_at;   // on that clock
    bool armed;          // waits for its deadline, or, disabled, to be enabled
    bool fired;          // the deadline came and the handler has not been called yet; never while disabled
    bool shot_in_line;
    bool disabled;
    bool cancelled;
};

static void free_timer(OSObjectPtr object);

static const OSMetaClass timer_class = {
    .super = &dx_object_class,
    .name = "IOTimerDispatchSource",
    .instance_bytes = sizeof(struct IOTimerDispatchSource),
    .free = free_timer,
};
DX_API const OSMetaClass *const gIOTimerDispatchSourceMetaClass = &timer_class;

/* Clocks. */

static bool
is_clock(uint64_t clock_id)
{
    switch (clock_id) {
    case kIOTimerClockRealTime:
    case kIOTimerClockMonotonicRaw:
    case kIOTimerClockUptimeRaw:
    case kIOTimerClockMachContinuousTime:
    case kIOTimerClockMachAbsoluteTime:
        return true;
    default:
        return false;
    }
}

static uint64_t
now_on(dx_clock *clock, uint64_t clock_id)
{
    switch (clock_id) {
    case kIOTimerClockRealTime:
        return dx_clock_realtime_ns(clock);
    case kIOTimerClockMachContinuousTime:
    case kIOTimerClockMachAbsoluteTime:
        return dx_clock_ticks_from_ns(clock, dx_clock_now_ns(clock));
    default:
        return dx_clock_now_ns(clock);
    }
}

/* The first nanosecond at which the clock shows `ticks`: a timer is never early. */
static uint64_t
ns_of_ticks(const dx_clock *clock, uint64_t ticks)
{
    const uint64_t ns = dx_clock_ns_from_ticks(clock, ticks);
    return ns != UINT64_MAX && dx_clock_ticks_from_ns(clock, ns) < ticks ? ns + 1 : ns;
}

/* A deadline as nanoseconds of the queue's clock, as far as can be known now. */
static uint64_t
deadline_ns_of(dx_clock *clock, uint64_t clock_id, uint64_t deadline)
{
    switch (clock_id) {
    case kIOTimerClockRealTime: {
        const uint64_t real_ns = dx_clock_realtime_ns(clock);
        const uint64_t left_ns = deadline > real_ns ? deadline - real_ns : 0;
        const uint64_t now_ns = dx_clock_now_ns(clock);
        return left_ns < DX_NEVER - now_ns ? now_ns + left_ns : DX_NEVER;
    }
    case kIOTimerClockMachContinuousTime:
    case kIOTimerClockMachAbsoluteTime:
        return ns_of_ticks(clock, deadline);
    default:
        return deadline;
    }
}

/* Handlers. */

/* Under the lock; true: the last reference, to be given to free_handler() without it. */
static bool
drop_handler(struct handler *handler)
{
    return handler && --handler->references == 0;
}

static void
free_handler(struct handler *handler)
{
    if (handler->release)
        handler->release(handler->context);
    free(handler);
}

/* Firing. */

static void
done_with_shot(struct dx_queue_item *item)
{
    OSObjectRelease((char *)item - offsetof(struct IOTimerDispatchSource, shot)); // come_due()'s
}

/* On the queue, in its turn. */
static void
run_shot(void *context)
{
    IOTimerDispatchSource *const timer = context;
    dx_queue_lock(timer->queue);
    timer->shot_in_line = false;
    const bool wanted = timer->fired && timer->handler;
    struct handler *const handler = timer->handler;
    const uint64_t time = timer->fired_at;
    timer->fired = false;
    if (wanted)
        handler->references++;
    dx_queue_unlock(timer->queue);
    if (!wanted)
        return;

    handler->function(handler->context, time);

    dx_queue_lock(timer->queue);
    const bool last = drop_handler(handler);
    dx_queue_unlock(timer->queue);
    if (last)
        free_handler(handler);
}

/* On the queue's task, under the lock. */
static void
come_due(struct dx_queue_timer *slot)
{
    IOTimerDispatchSource *const timer =
        (void *)((char *)slot - offsetof(struct IOTimerDispatchSource, slot));
    dx_clock *const clock = dx_queue_clock(timer->queue);
    const uint64_t now = now_on(clock, timer->clock_id);
    if (now < timer->deadline) {
        slot->deadline_ns = deadline_ns_of(clock, timer->clock_id, timer->deadline); // the wall clock was set back
        return;
    }
    dx_queue_disarm(timer->queue, slot);
    timer->armed = false;
    timer->fired = true;
    timer->fired_at = now;
    /* A shot still in line from before delivers this one.  Nothing fires for a timer that is being freed. */
    if (timer->shot_in_line || !dx_object_retain_if_alive(timer))
        return;
    timer->shot_in_line = true;
    timer->shot.function = run_shot;
    timer->shot.context = timer;
    timer->shot.done = done_with_shot;
    const kern_return_t status = dx_queue_append(timer->queue, &timer->shot);
    assert(status == kIOReturnSuccess); // the queue has its task and is not cancelled: it serves deadlines
    (void)status;
}

/* Life. */

kern_return_t
IOTimerDispatchSourceCreate(IODispatchQueue *queue, IOTimerDispatchSource **ret_timer)
{
    if (!OSObjectIsKindOf(queue, gIODispatchQueueMetaClass) || !ret_timer)
        return kIOReturnBadArgument;
    IOTimerDispatchSource *const timer = dx_object_alloc(gIOTimerDispatchSourceMetaClass);
    if (!timer)
        return kIOReturnNoMemory;
    timer->queue = OSObjectRetain(queue);
    timer->slot.deadline_ns = DX_NEVER;
    timer->slot.due = come_due;
    *ret_timer = timer;
    return kIOReturnSuccess;
}

static void
free_timer(OSObjectPtr object)
{
    IOTimerDispatchSource *const timer = object;
    if (timer->queue) {
        dx_queue_lock(timer->queue);
        dx_queue_disarm(timer->queue, &timer->slot);
        dx_queue_unlock(timer->queue);
        if (drop_handler(timer->handler)) // no shot is in line: it would hold a reference
            free_handler(timer->handler);
        OSObjectRelease(timer->queue);
    }
    dx_object_free_super(object);
}

/* Setting. */

static bool
is_timer(IOTimerDispatchSource *timer)
{
    return OSObjectIsKindOf(timer, gIOTimerDispatchSourceMetaClass);
}

static void
replace_handler(IOTimerDispatchSource *timer, struct handler *handler)
{
    dx_queue_lock(timer->queue);
    struct handler *const before = timer->handler;
    timer->handler = handler;
    const bool last = drop_handler(before);
    dx_queue_unlock(timer->queue);
    if (last)
        free_handler(before);
}

kern_return_t
dx_timer_set_owned_handler(IOTimerDispatchSource *timer, void *context,
                           void (*function)(void *context, uint64_t time), void (*release)(void *context))
{
    if (!is_timer(timer))
        return kIOReturnBadArgument;
    struct handler *handler = NULL;
    if (function) {
        handler = malloc(sizeof *handler);
        if (!handler)
            return kIOReturnNoMemory;
        *handler = (struct handler){
            .references = 1, .function = function, .context = context, .release = release};
    }
    replace_handler(timer, handler);
    if (!function && release)
        release(context);
    return kIOReturnSuccess;
}

kern_return_t
IOTimerDispatchSourceSetHandler_f(IOTimerDispatchSource *timer, void *context,
                                  void (*handler)(void *context, uint64_t time))
{
    return dx_timer_set_owned_handler(timer, context, handler, NULL);
}

/* Gives the deadline to the queue.  Under the lock. */
static kern_return_t
arm(IOTimerDispatchSource *timer)
{
    timer->slot.deadline_ns = deadline_ns_of(dx_queue_clock(timer->queue), timer->clock_id, timer->deadline);
    const kern_return_t status = dx_queue_arm(timer->queue, &timer->slot);
    if (status != kIOReturnSuccess) {
        dx_queue_disarm(timer->queue, &timer->slot);
        timer->armed = false;
    }
    return status;
}

kern_return_t
IOTimerDispatchSourceWakeAtTime(IOTimerDispatchSource *timer, uint64_t clock, uint64_t deadline,
                                uint64_t leeway)
{
    (void)leeway; // what it allows is never needed
    if (!is_timer(timer) || !is_clock(clock))
        return kIOReturnBadArgument;
    kern_return_t status = kIOReturnAborted;
    dx_queue_lock(timer->queue);
    if (!timer->cancelled) {
        timer->clock_id = clock;
        timer->deadline = deadline;
        timer->fired = false;
        timer->armed = true;
        status = timer->disabled ? kIOReturnSuccess : arm(timer);
    }
    dx_queue_unlock(timer->queue);
    return status;
}

/* Under the lock. */
static kern_return_t
set_enable(IOTimerDispatchSource *timer, bool enable)
{
    if (enable == !timer->disabled)
        return kIOReturnSuccess;
    timer->disabled = !enable;
    if (enable)
        return timer->armed ? arm(timer) : kIOReturnSuccess;
    /* A shot that is due and has not run is due again when enabled. */
    dx_queue_disarm(timer->queue, &timer->slot);
    timer->armed |= timer->fired;
    timer->fired = false;
    return kIOReturnSuccess;
}

kern_return_t
IOTimerDispatchSourceSetEnableWithCompletion_f(IOTimerDispatchSource *timer, bool enable, void *context,
                                               void (*completion)(void *context))
{
    if (!is_timer(timer))
        return kIOReturnBadArgument;
    struct dx_queue_item *const item = completion ? dx_queue_item_create(context, completion) : NULL;
    if (completion && !item)
        return kIOReturnNoMemory;
    dx_queue_lock(timer->queue);
    kern_return_t status = timer->cancelled ? kIOReturnAborted : kIOReturnSuccess;
    if (status == kIOReturnSuccess && item)
        status = dx_queue_append(timer->queue, item);
    const bool is_taken = status == kIOReturnSuccess;
    if (is_taken) {
        const kern_return_t armed = set_enable(timer, enable);
        if (!item)
            status = armed; // with an item in line the queue has its task: arming cannot fail
    }
    dx_queue_unlock(timer->queue);
    if (!is_taken && item)
        dx_queue_item_free(item);
    return status;
}

kern_return_t
IOTimerDispatchSourceSetEnable(IOTimerDispatchSource *timer, bool enable)
{
    return IOTimerDispatchSourceSetEnableWithCompletion_f(timer, enable, NULL, NULL);
}

kern_return_t
IOTimerDispatchSourceCancel_f(IOTimerDispatchSource *timer, void *context, void (*handler)(void *context))
{
    if (!is_timer(timer))
        return kIOReturnBadArgument;
    struct dx_queue_item *const item = handler ? dx_queue_item_create(context, handler) : NULL;
    if (handler && !item)
        return kIOReturnNoMemory;
    dx_queue_lock(timer->queue);
    kern_return_t status = timer->cancelled ? kIOReturnAborted : kIOReturnSuccess;
    if (status == kIOReturnSuccess && item)
        status = dx_queue_append(timer->queue, item);
    const bool is_taken = status == kIOReturnSuccess;
    if (is_taken || status == kIOReturnAborted) {
        dx_queue_disarm(timer->queue, &timer->slot);
        timer->cancelled = true;
        timer->armed = false;
        timer->fired = false;
    }
    dx_queue_unlock(timer->queue);
    if (!is_taken && item)
        dx_queue_item_free(item);
    if (is_taken)
        replace_handler(timer, NULL);
    return status;
}
