// SPDX-License-Identifier: MIT
// The inside of a serial queue: what timers need of it.

#ifndef DX_CORE_QUEUE_H
#define DX_CORE_QUEUE_H

#include "core/object.h"
#include "core/sync.h"

#include <dextral/IODispatchQueue.h>

/* Something to be run, in its place in line. */
struct dx_queue_item {
    struct dx_queue_item *next;
    void (*function)(void *context);
    void *context;
    /* For a task that waits to run it itself: 1 once it is its turn.  NULL: the queue's task runs it. */
    _Atomic uint32_t *turn;
    struct dx_task *task; // that waits; with `turn`
    /* Called with the item after the function, on the queue's task, still in its turn; not with `turn`. */
    void (*done)(struct dx_queue_item *item);
};

/* A source of items that become due at a time. */
struct dx_queue_timer {
    struct dx_queue_timer *next, *previous; // in the queue's list while linked
    bool linked;
    uint64_t deadline_ns; // on the queue's clock; DX_NEVER: not armed
    /* The deadline has come: called on the queue's task under the queue's lock.  Must move the deadline
     * (to DX_NEVER, or later), and may append items. */
    void (*due)(struct dx_queue_timer *timer);
};

/** The queue's clock: fixed.  Any thread. */
dx_clock *dx_queue_clock(const IODispatchQueue *queue);

/** The lock that guards items, timers, and what belongs to them.  Never held over an item. */
void dx_queue_lock(IODispatchQueue *queue);
void dx_queue_unlock(IODispatchQueue *queue);

/**
 * IODispatchQueueDispatchSync_f(), also after the queue was cancelled: for what has to be undone on it.
 *
 * @param queue  borrowed; not NULL.
 */
void dx_queue_run(IODispatchQueue *queue, void *context, void (*function)(void *context));

/** An item on the heap that is freed when it is done; NULL without memory. */
struct dx_queue_item *dx_queue_item_create(void *context, void (*function)(void *context));

/** Frees an item that was not taken; NULL is fine. */
void dx_queue_item_free(struct dx_queue_item *item);

/**
 * Puts an item at the end of the line; it keeps the queue alive until it is done.
 *
 * @param item  takes; freed by its `done`, which is called on success only.
 * @return as IODispatchQueueDispatchAsync_f().  Under the lock.
 */
kern_return_t dx_queue_append(IODispatchQueue *queue, struct dx_queue_item *item);

/**
 * Links a timer whose deadline was set, or tells of another deadline.  Under the lock.
 *
 * @return kIOReturnSuccess; kIOReturnAborted (the queue was cancelled); kIOReturnNoMemory,
 *         kIOReturnNoResources (its task could not be made).
 */
kern_return_t dx_queue_arm(IODispatchQueue *queue, struct dx_queue_timer *timer);

/** Unlinks a timer; one that is not linked is fine.  Under the lock. */
void dx_queue_disarm(IODispatchQueue *queue, struct dx_queue_timer *timer);

#endif /* DX_CORE_QUEUE_H */
