// SPDX-License-Identifier: MIT
// Serial queues: work runs one item at a time, in the order it was dispatched.

#ifndef DEXTRAL_IODISPATCHQUEUE_H
#define DEXTRAL_IODISPATCHQUEUE_H

#include <dextral/OSObject.h>

#if DX_HAVE_BLOCKS
#    include <Block.h>
#endif

DX_BEGIN_DECLS

DX_API extern const OSMetaClass *const gIODispatchQueueMetaClass;

/** Options of IODispatchQueueCreate(). */
enum {
    /** Accepted; a synchronous call onto a queue that the caller runs on is inline with or without it. */
    kIODispatchQueueReentrant = 0x1,
    /** Refused: methods of objects on a queue are always synchronised. */
    kIODispatchQueueMethodsNotSynchronized = 0x2,
};

/**
 * Makes a serial queue.
 *
 * Synchronous items run on the task that dispatches them, when their turn comes; asynchronous ones on a
 * task of the queue's, which starts with the first of them and ends with the queue.  The queue belongs to
 * the clock that is current here and is used by tasks of that clock.
 *
 * @param name       copied; up to 255 bytes.
 * @param options    0 or kIODispatchQueueReentrant.
 * @param priority   of the queue's task: 0 plain scheduling, 1 ... 99 SCHED_FIFO where the system grants it.
 * @param ret_queue  +1; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no name, a long one, a priority that does not exist);
 *         kIOReturnUnsupported (options); kIOReturnNoMemory.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: IODispatchQueue::Create.
 * Differs: priority has a meaning.
 */
DX_API kern_return_t IODispatchQueueCreate(const char *name, uint64_t options, uint64_t priority,
                                           IODispatchQueue **ret_queue);

/** The name given to Create, alive as long as the queue.  Thread: any.  Source: IODispatchQueue::GetName. */
DX_API const char *IODispatchQueueGetName(const IODispatchQueue *queue);

/**
 * Whether the calling task is running an item of the queue, at any depth.
 *
 * Thread: any but an IO thread.  Real-time: no.  Source: IODispatchQueue::OnQueue.
 */
DX_API bool IODispatchQueueOnQueue(const IODispatchQueue *queue);

/**
 * Runs a function on the queue and returns when it has run.
 *
 * Runs it at once when the caller is running an item of this queue already, however deep below.  Otherwise
 * waits for its turn and runs it on the calling task.
 *
 * @param context   handed to the function.
 * @param function  run exactly once on success, never otherwise.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnAborted (the queue was cancelled).
 *
 * Thread: any of the queue's clock but an IO thread.  Real-time: no, blocks.
 * Source: IODispatchQueue::DispatchSync_f.
 * Differs: says when it did not run.
 */
DX_API kern_return_t IODispatchQueueDispatchSync_f(IODispatchQueue *queue, void *context,
                                                   void (*function)(void *context));

/**
 * Has a function run on the queue, after all that was dispatched before it.
 *
 * The queue lives until it has run, also when its last reference is released before.
 *
 * @param context   handed to the function; the caller's business.
 * @param function  run exactly once on success, never otherwise.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnAborted (the queue was cancelled);
 *         kIOReturnNoMemory; kIOReturnNoResources (the queue's task could not be made).
 *
 * Thread: any of the queue's clock but an IO thread.  Real-time: no, but never waits for items.
 * Source: IODispatchQueue::DispatchAsync_f.
 * Differs: can fail, and says so.
 */
DX_API kern_return_t IODispatchQueueDispatchAsync_f(IODispatchQueue *queue, void *context,
                                                    void (*function)(void *context));

/**
 * IODispatchQueueDispatchSync_f() with a result.
 *
 * @param action  run exactly once, unless the call fails before.
 * @return what the action returned; kIOReturnBadArgument or kIOReturnAborted when it did not run.
 *
 * Thread: any of the queue's clock but an IO thread.  Real-time: no, blocks.
 * Source: IODispatchQueue::RunAction.
 */
DX_API kern_return_t IODispatchQueueRunAction_f(IODispatchQueue *queue, void *context,
                                                kern_return_t (*action)(void *context));

/**
 * Closes the queue: what was dispatched still runs, then the handler, and nothing after it.
 *
 * @param context  handed to the handler.
 * @param handler  runs on the queue as its last item; may be NULL.
 * @return kIOReturnSuccess; kIOReturnAborted (it is cancelled already: the handler does not run);
 *         kIOReturnNoMemory, kIOReturnNoResources (nothing happened).
 *
 * Thread: any of the queue's clock but an IO thread.  Real-time: no, does not wait.
 * Source: IODispatchQueue::Cancel.
 */
DX_API kern_return_t IODispatchQueueCancel_f(IODispatchQueue *queue, void *context,
                                             void (*handler)(void *context));

#if DX_HAVE_BLOCKS

/* A copied block as a context; for the calls below. */
static inline void
dx_block_call(void *context)
{
    ((void (^)(void))context)();
}

static inline void
dx_block_call_and_release(void *context)
{
    ((void (^)(void))context)();
    Block_release((void (^)(void))context);
}

static inline kern_return_t
dx_block_call_action(void *context)
{
    return ((kern_return_t (^)(void))context)();
}

/** IODispatchQueueDispatchSync_f() of a block. */
static inline kern_return_t
IODispatchQueueDispatchSync_b(IODispatchQueue *queue, void (^block)(void))
{
    return IODispatchQueueDispatchSync_f(queue, (void *)block, block ? dx_block_call : NULL);
}

/** IODispatchQueueRunAction_f() of a block. */
static inline kern_return_t
IODispatchQueueRunAction_b(IODispatchQueue *queue, kern_return_t (^block)(void))
{
    return IODispatchQueueRunAction_f(queue, (void *)block, block ? dx_block_call_action : NULL);
}

/** IODispatchQueueDispatchAsync_f() of a block, which is copied. */
static inline kern_return_t
IODispatchQueueDispatchAsync_b(IODispatchQueue *queue, void (^block)(void))
{
    void (^const copy)(void) = Block_copy(block);
    const kern_return_t status =
        IODispatchQueueDispatchAsync_f(queue, (void *)copy, copy ? dx_block_call_and_release : NULL);
    if (status != kIOReturnSuccess && copy)
        Block_release(copy);
    return status;
}

/** IODispatchQueueCancel_f() with a block, which is copied. */
static inline kern_return_t
IODispatchQueueCancel_b(IODispatchQueue *queue, void (^block)(void))
{
    void (^const copy)(void) = Block_copy(block);
    const kern_return_t status =
        IODispatchQueueCancel_f(queue, (void *)copy, copy ? dx_block_call_and_release : NULL);
    if (status != kIOReturnSuccess && copy)
        Block_release(copy);
    return status;
}

#endif /* DX_HAVE_BLOCKS */

DX_END_DECLS

#endif /* DEXTRAL_IODISPATCHQUEUE_H */
