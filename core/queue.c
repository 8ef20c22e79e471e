// SPDX-License-Identifier: MIT
// Serial queues.

#include "core/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * The turn: at most one item runs, and it is `busy` from when the turn is given until finish_item() passes
 * it on.  The line holds the items behind it, in order of arrival.  Passing the turn is direct: the next
 * item's own task (a synchronous call) or the queue's task is told that it is its turn; nobody overtakes.
 *
 * The queue's task keeps no reference to the queue, items in line do.  So the last release comes either
 * from outside, when nothing is in line and the task is idle: it is told to stop, and joined; or from the
 * queue's task itself, after an item: it then detaches itself and leaves without touching the queue again.
 * Without a reference the task may use the queue because free_queue() joins it.
 */
struct IODispatchQueue {
    struct OSObject object; // first
    dx_clock *clock;        // fixed, as are name and priority
    int priority;
    IODispatchQueueName name;

    struct dx_mutex mutex; // guards the rest
    struct dx_queue_item *first, *last; // the line
    bool busy;
    bool cancelled;
    bool stopping;                             // the last reference is gone
    const struct dx_task *_Atomic runner;      // whose turn it is; written under the lock, read by reports
    struct dx_queue_item *granted;             // the item whose turn it is, for the queue's task
    struct dx_queue_timer *timers;             // linked
    dx_task *task;                             // the queue's, or NULL
    _Atomic uint32_t task_word;                // counts the reasons for the queue's task to look again
    bool *task_gone;                           // the queue's task is told through it that the queue is freed
};

/* The queues that a task runs on, innermost first. */
struct dx_queue_frame {
    struct dx_queue_frame *outer;
    const IODispatchQueue *queue;
};

static void free_queue(OSObjectPtr object);

static const OSMetaClass queue_class = {
    .super = &dx_object_class,
    .name = "IODispatchQueue",
    .instance_bytes = sizeof(struct IODispatchQueue),
    .free = free_queue,
};
DX_API const OSMetaClass *const gIODispatchQueueMetaClass = &queue_class;

dx_clock *
dx_queue_clock(const IODispatchQueue *queue)
{
    return queue->clock;
}

void
dx_queue_lock(IODispatchQueue *queue)
{
    dx_mutex_lock(&queue->mutex);
}

void
dx_queue_unlock(IODispatchQueue *queue)
{
    dx_mutex_unlock(&queue->mutex);
}

bool
IODispatchQueueOnQueue(const IODispatchQueue *queue)
{
    const struct dx_queue_frame *frame = *dx_task_queue_frames(dx_task_current());
    while (frame && frame->queue != queue)
        frame = frame->outer;
    return frame;
}

static void
run_on(const IODispatchQueue *queue, void (*function)(void *context), void *context)
{
    struct dx_queue_frame **const frames = dx_task_queue_frames(dx_task_current());
    struct dx_queue_frame frame = {.outer = *frames, .queue = queue};
    *frames = &frame;
    function(context);
    *frames = frame.outer;
}

/* The turn.  All under the lock. */

static void
set_runner(IODispatchQueue *queue, const struct dx_task *task)
{
    atomic_store_explicit(&queue->runner, task, memory_order_relaxed); // for reports alone
}

static void
tell_task(IODispatchQueue *queue)
{
    /* release: pairs with the acquire in run_task(); the lock orders what the task will look at. */
    atomic_fetch_add_explicit(&queue->task_word, 1, memory_order_release);
    dx_clock_wake(queue->clock, &queue->task_word, 1);
}

/* Gives the free turn to an item. */
static void
grant(IODispatchQueue *queue, struct dx_queue_item *item)
{
    queue->busy = true;
    if (item->turn) {
        set_runner(queue, item->task);
        _Atomic uint32_t *const turn = item->turn;
        /* release: pairs with the acquire in wait_for_turn().  The item is gone after it. */
        atomic_store_explicit(turn, 1, memory_order_release);
        dx_clock_wake(queue->clock, turn, 1);
    } else {
        set_runner(queue, queue->task);
        queue->granted = item;
        tell_task(queue);
    }
}

static void
grant_or_line_up(IODispatchQueue *queue, struct dx_queue_item *item)
{
    item->next = NULL;
    if (!queue->busy) {
        grant(queue, item);
        return;
    }
    if (queue->last)
        queue->last->next = item;
    else
        queue->first = item;
    queue->last = item;
}

/* The item whose turn it was is done. */
static void
pass_turn(IODispatchQueue *queue)
{
    struct dx_queue_item *const next = queue->first;
    if (next) {
        queue->first = next->next;
        if (!queue->first)
            queue->last = NULL;
        grant(queue, next);
        return;
    }
    queue->busy = false;
    set_runner(queue, NULL);
    if (queue->cancelled && queue->task)
        tell_task(queue); // nothing comes any more
}

/* The queue's task. */

static bool
has_ended(const IODispatchQueue *queue)
{
    return queue->stopping || (queue->cancelled && !queue->busy);
}

/* Calls what is due, unless nothing new may be put in line; returns the next deadline. */
static uint64_t
serve_timers(IODispatchQueue *queue)
{
    uint64_t earliest_ns = DX_NEVER;
    if (!queue->timers || queue->cancelled)
        return earliest_ns;
    const uint64_t now_ns = dx_clock_now_ns(queue->clock);
    for (struct dx_queue_timer *timer = queue->timers, *next; timer; timer = next) {
        next = timer->next;
        if (timer->deadline_ns <= now_ns)
            timer->due(timer);
        if (timer->deadline_ns < earliest_ns)
            earliest_ns = timer->deadline_ns;
    }
    return earliest_ns;
}

/* Runs the granted item; false: the queue was freed with it. */
static bool
run_granted(IODispatchQueue *queue, const bool *gone)
{
    struct dx_queue_item *const item = queue->granted;
    queue->granted = NULL;
    dx_queue_unlock(queue);
    run_on(queue, item->function, item->context);
    if (item->done)
        item->done(item);
    /* The item's reference goes before the turn does: who runs after it and then releases the queue joins this
     * task, and finds nothing left over.  It may be the last, with nobody in line. */
    OSObjectRelease(queue);
    if (*gone)
        return false;
    dx_queue_lock(queue);
    pass_turn(queue);
    return true;
}

static void
wait_for_work(IODispatchQueue *queue, uint64_t deadline_ns)
{
    const struct dx_wait_reason reason = {
        .what = "work of queue", .name = queue->name, .idle = deadline_ns == DX_NEVER};
    /* acquire: pairs with the release in tell_task(); what comes after this look changes the word. */
    const uint32_t word = atomic_load_explicit(&queue->task_word, memory_order_acquire);
    dx_queue_unlock(queue);
    (void)dx_clock_wait(queue->clock, &queue->task_word, word, deadline_ns, &reason); // the caller looks again
    dx_queue_lock(queue);
}

static void
run_task(void *argument)
{
    IODispatchQueue *const queue = argument;
    bool gone = false;
    dx_queue_lock(queue);
    queue->task_gone = &gone;
    while (!has_ended(queue)) {
        const uint64_t deadline_ns = serve_timers(queue);
        if (queue->granted) {
            if (!run_granted(queue, &gone))
                return;
        } else if (!has_ended(queue)) {
            wait_for_work(queue, deadline_ns);
        }
    }
    dx_queue_unlock(queue);
}

/* Under the lock, which the new task takes only after the spawn. */
static kern_return_t
ensure_task(IODispatchQueue *queue)
{
    if (queue->task)
        return kIOReturnSuccess;
    const dx_task_config config = {.name = queue->name, .priority = queue->priority};
    return dx_task_spawn(queue->clock, &config, run_task, queue, &queue->task);
}

kern_return_t
dx_queue_append(IODispatchQueue *queue, struct dx_queue_item *item)
{
    if (queue->cancelled)
        return kIOReturnAborted;
    const kern_return_t status = ensure_task(queue);
    if (status != kIOReturnSuccess)
        return status;
    OSObjectRetain(queue); // until run_granted()
    item->turn = NULL;
    grant_or_line_up(queue, item);
    return kIOReturnSuccess;
}

kern_return_t
dx_queue_arm(IODispatchQueue *queue, struct dx_queue_timer *timer)
{
    if (queue->cancelled)
        return kIOReturnAborted;
    const kern_return_t status = ensure_task(queue);
    if (status != kIOReturnSuccess)
        return status;
    if (!timer->linked) {
        timer->linked = true;
        timer->previous = NULL;
        timer->next = queue->timers;
        if (timer->next)
            timer->next->previous = timer;
        queue->timers = timer;
    }
    if (queue->task != dx_task_current())
        tell_task(queue); // its own task looks again by itself
    return kIOReturnSuccess;
}

void
dx_queue_disarm(IODispatchQueue *queue, struct dx_queue_timer *timer)
{
    timer->deadline_ns = DX_NEVER;
    if (!timer->linked)
        return;
    timer->linked = false;
    if (timer->previous)
        timer->previous->next = timer->next;
    else
        queue->timers = timer->next;
    if (timer->next)
        timer->next->previous = timer->previous;
    /* A task of a simulation that waits for this deadline alone would seem to have work to come. */
    if (queue->task && queue->task != dx_task_current())
        tell_task(queue);
}

/* Life. */

kern_return_t
IODispatchQueueCreate(const char *name, uint64_t options, uint64_t priority, IODispatchQueue **ret_queue)
{
    if (!name || strlen(name) >= sizeof(IODispatchQueueName) || priority > 99 || !ret_queue)
        return kIOReturnBadArgument;
    if (options & ~(uint64_t)kIODispatchQueueReentrant)
        return kIOReturnUnsupported;
    IODispatchQueue *const queue = dx_object_alloc(gIODispatchQueueMetaClass);
    if (!queue)
        return kIOReturnNoMemory;
    queue->clock = dx_clock_current();
    queue->priority = (int)priority;
    memcpy(queue->name, name, strlen(name) + 1);
    dx_mutex_init(&queue->mutex, "dispatch queue");
    *ret_queue = queue;
    return kIOReturnSuccess;
}

static void
free_queue(OSObjectPtr object)
{
    IODispatchQueue *const queue = object;
    dx_task *const task = queue->task;
    if (task && task == dx_task_current()) {
        *queue->task_gone = true;
        dx_task_detach(task);
    } else if (task) {
        dx_queue_lock(queue);
        queue->stopping = true;
        tell_task(queue);
        dx_queue_unlock(queue);
        dx_task_join(task);
    }
    dx_object_free_super(object);
}

const char *
IODispatchQueueGetName(const IODispatchQueue *queue)
{
    return queue->name;
}

/* Dispatching. */

static void
wait_for_turn(IODispatchQueue *queue, const _Atomic uint32_t *turn)
{
    const struct dx_wait_reason reason = {
        .what = "queue", .name = queue->name, .holder_at = &queue->runner};
    /* acquire: pairs with the release in grant(). */
    while (!atomic_load_explicit(turn, memory_order_acquire))
        (void)dx_clock_wait(queue->clock, turn, 0, DX_NEVER, &reason); // the loop looks again
}

/* Under the lock, which it gives back. */
static void
run_in_turn(IODispatchQueue *queue, void *context, void (*function)(void *context))
{
    _Atomic uint32_t turn = 0;
    struct dx_queue_item item = {.turn = &turn, .task = dx_task_current()};
    OSObjectRetain(queue); // the function may release what the caller holds
    const bool is_free = !queue->busy;
    if (is_free) {
        queue->busy = true;
        set_runner(queue, item.task);
    } else {
        grant_or_line_up(queue, &item);
    }
    dx_queue_unlock(queue);
    if (!is_free)
        wait_for_turn(queue, &turn);

    run_on(queue, function, context);

    dx_queue_lock(queue);
    pass_turn(queue);
    dx_queue_unlock(queue);
    OSObjectRelease(queue);
}

kern_return_t
IODispatchQueueDispatchSync_f(IODispatchQueue *queue, void *context, void (*function)(void *context))
{
    if (!queue || !function)
        return kIOReturnBadArgument;
    if (IODispatchQueueOnQueue(queue)) {
        function(context);
        return kIOReturnSuccess;
    }
    dx_queue_lock(queue);
    if (queue->cancelled) {
        dx_queue_unlock(queue);
        return kIOReturnAborted;
    }
    run_in_turn(queue, context, function);
    return kIOReturnSuccess;
}

void
dx_queue_run(IODispatchQueue *queue, void *context, void (*function)(void *context))
{
    if (IODispatchQueueOnQueue(queue)) {
        function(context);
        return;
    }
    dx_queue_lock(queue);
    run_in_turn(queue, context, function);
}

struct action {
    kern_return_t (*function)(void *context);
    void *context;
    kern_return_t status;
};

static void
run_action(void *context)
{
    struct action *const action = context;
    action->status = action->function(action->context);
}

kern_return_t
IODispatchQueueRunAction_f(IODispatchQueue *queue, void *context, kern_return_t (*action)(void *context))
{
    if (!action)
        return kIOReturnBadArgument;
    struct action run = {.function = action, .context = context};
    const kern_return_t status = IODispatchQueueDispatchSync_f(queue, &run, run_action);
    return status == kIOReturnSuccess ? run.status : status;
}

void
dx_queue_item_free(struct dx_queue_item *item)
{
    free(item);
}

struct dx_queue_item *
dx_queue_item_create(void *context, void (*function)(void *context))
{
    struct dx_queue_item *const item = calloc(1, sizeof *item);
    if (item) {
        item->function = function;
        item->context = context;
        item->done = dx_queue_item_free;
    }
    return item;
}

kern_return_t
IODispatchQueueDispatchAsync_f(IODispatchQueue *queue, void *context, void (*function)(void *context))
{
    if (!queue || !function)
        return kIOReturnBadArgument;
    struct dx_queue_item *const item = dx_queue_item_create(context, function);
    if (!item)
        return kIOReturnNoMemory;
    dx_queue_lock(queue);
    const kern_return_t status = dx_queue_append(queue, item);
    dx_queue_unlock(queue);
    if (status != kIOReturnSuccess)
        dx_queue_item_free(item);
    return status;
}

kern_return_t
IODispatchQueueCancel_f(IODispatchQueue *queue, void *context, void (*handler)(void *context))
{
    if (!queue)
        return kIOReturnBadArgument;
    struct dx_queue_item *const item = handler ? dx_queue_item_create(context, handler) : NULL;
    if (handler && !item)
        return kIOReturnNoMemory;
    dx_queue_lock(queue);
    kern_return_t status = queue->cancelled ? kIOReturnAborted : kIOReturnSuccess;
    if (status == kIOReturnSuccess && item)
        status = dx_queue_append(queue, item);
    if (status == kIOReturnSuccess) {
        queue->cancelled = true;
        if (queue->task && !queue->busy)
            tell_task(queue); // it ends
    }
    dx_queue_unlock(queue);
    if (status != kIOReturnSuccess && item)
        dx_queue_item_free(item);
    return status;
}
