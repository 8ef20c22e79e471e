// SPDX-License-Identifier: MIT
// Actions: call-backs as objects.

#include <dextral/OSAction.h>

#include "core/object.h"

#include <dextral/IODispatchQueue.h>

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*
 * `state` counts the invocations that were let in and have not ended; ENDED lets no further one in.  CLAIMED says
 * that one cancellation or abortion has it.  The thread that brings (ENDED, count 0) about calls the
 * cancel handler: the canceller when nothing is under way, else the last invocation, and nobody twice.
 */
#define ENDED 0x80000000u
#define CLAIMED 0x40000000u
#define COUNT_MASK 0x3fffffffu

#define DEFAULT_QUEUE "Default"

struct handler {
    void (*call)(void *context);
    void (*release)(void *context);
    void *context;
};

struct OSAction {
    struct OSObject object;

    /* Fixed once the action is handed on. */
    OSObjectPtr target; // retained
    uint64_t target_message;
    uint64_t message;
    OSActionFunction function;
    void *context;
    void *reference;
    struct handler aborted;
    IODispatchQueueName queue_name;

    _Atomic uint32_t state;
    struct handler cancelled; // written by who claimed, before ENDED is set
};

static void
release_context(const struct handler *handler)
{
    if (handler->release)
        handler->release(handler->context);
}

static void
free_action(OSObjectPtr object)
{
    OSAction *const action = object;
    release_context(&action->aborted);
    OSObjectRelease(action->target);
    free(action->reference);
    dx_object_free_super(action);
}

static const OSMetaClass action_class = {
    .name = "OSAction",
    .super = &dx_object_class,
    .instance_bytes = sizeof(struct OSAction),
    .free = free_action,
};
const OSMetaClass *const gOSActionMetaClass = &action_class;

kern_return_t
OSActionCreate(OSObjectPtr target, uint64_t target_msgid, uint64_t msgid, size_t reference_size,
               OSAction **ret_action)
{
    if (!target || !ret_action)
        return kIOReturnBadArgument;
    OSAction *const action = dx_object_alloc(&action_class);
    if (!action)
        return kIOReturnNoMemory;
    if (reference_size) {
        action->reference = calloc(1, reference_size);
        if (!action->reference) {
            OSObjectRelease(action);
            return kIOReturnNoMemory;
        }
    }
    action->target = OSObjectRetain(target);
    action->target_message = target_msgid;
    action->message = msgid;
    memcpy(action->queue_name, DEFAULT_QUEUE, sizeof DEFAULT_QUEUE);
    *ret_action = action;
    return kIOReturnSuccess;
}

kern_return_t
dx_action_create(OSObjectPtr target, OSActionFunction function, void *context, OSAction **ret_action)
{
    if (!function)
        return kIOReturnBadArgument;
    OSAction *action = NULL;
    const kern_return_t r = OSActionCreate(target, 0, 0, 0, &action);
    if (r != kIOReturnSuccess)
        return r;
    action->function = function;
    action->context = context;
    *ret_action = action;
    return kIOReturnSuccess;
}

kern_return_t
OSActionSetFunction(OSAction *action, OSActionFunction function)
{
    if (!OSObjectIsKindOf(action, &action_class) || !function)
        return kIOReturnBadArgument;
    action->function = function;
    return kIOReturnSuccess;
}

void *
OSActionGetReference(OSAction *action)
{
    return action ? action->reference : NULL;
}

void *
dx_action_get_context(const OSAction *action)
{
    return action ? action->context : NULL;
}

OSObjectPtr
dx_action_get_target(const OSAction *action)
{
    return action ? action->target : NULL;
}

uint64_t
dx_action_get_target_message(const OSAction *action)
{
    return action ? action->target_message : 0;
}

uint64_t
dx_action_get_message(const OSAction *action)
{
    return action ? action->message : 0;
}

kern_return_t
dx_action_set_queue_name(OSAction *action, const char *name)
{
    if (!OSObjectIsKindOf(action, &action_class))
        return kIOReturnBadArgument;
    if (!name)
        name = DEFAULT_QUEUE;
    const size_t length = strnlen(name, sizeof action->queue_name);
    if (length == sizeof action->queue_name)
        return kIOReturnBadArgument;
    memcpy(action->queue_name, name, length + 1);
    return kIOReturnSuccess;
}

kern_return_t
OSActionSetAbortedHandler_f(OSAction *action, void *context, void (*handler)(void *context),
                            void (*release)(void *context))
{
    if (!OSObjectIsKindOf(action, &action_class))
        return kIOReturnBadArgument;
    const struct handler old = action->aborted;
    action->aborted = (struct handler){.call = handler, .release = release, .context = context};
    release_context(&old);
    return kIOReturnSuccess;
}

/* Takes the right to end the action; one caller gets it. */
static bool
claim(OSAction *action)
{
    /* relaxed: what the winner writes is published with ENDED. */
    return !(atomic_fetch_or_explicit(&action->state, CLAIMED, memory_order_relaxed) & CLAIMED);
}

kern_return_t
OSActionCancel_f(OSAction *action, void *context, void (*handler)(void *context))
{
    if (!OSObjectIsKindOf(action, &action_class))
        return kIOReturnBadArgument;
    if (!claim(action))
        return kIOReturnNotPermitted;
    action->cancelled = (struct handler){.call = handler, .context = context};
    /* release: pairs with the acquire in leave(), which calls the handler; acquire: pairs with the release there, so
     * that a handler called here comes after all that the function did. */
    const uint32_t before = atomic_fetch_or_explicit(&action->state, ENDED, memory_order_acq_rel);
    if ((before & COUNT_MASK) == 0 && handler)
        handler(context);
    return kIOReturnSuccess;
}

void
dx_action_abort(OSAction *action)
{
    if (!OSObjectIsKindOf(action, &action_class) || !claim(action))
        return;
    /* release: as in OSActionCancel_f(); there is no cancel handler for leave() to call. */
    (void)atomic_fetch_or_explicit(&action->state, ENDED, memory_order_release);
    if (action->aborted.call)
        action->aborted.call(action->aborted.context);
}

/* Lets an invocation in; false once the action has ended. */
static bool
enter(OSAction *action)
{
    /* relaxed: the function's data reach its thread by the queue. */
    uint32_t state = atomic_load_explicit(&action->state, memory_order_relaxed);
    do {
        if (state & ENDED)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&action->state, &state, state + 1, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static void
leave(OSAction *action)
{
    /* acq_rel: pairs with OSActionCancel_f(). */
    const uint32_t before = atomic_fetch_sub_explicit(&action->state, 1, memory_order_acq_rel);
    if ((before & ENDED) && (before & COUNT_MASK) == 1 && action->cancelled.call)
        action->cancelled.call(action->cancelled.context);
}

/* Calls the function unless the action ended while the call waited for its turn. */
static bool
call(OSAction *action, const void *arguments)
{
    /* relaxed: whoever ends it meanwhile waits for leave(). */
    if (atomic_load_explicit(&action->state, memory_order_relaxed) & ENDED)
        return false;
    action->function(action->target, action, arguments);
    return true;
}

/* The queue that the function belongs on, +1; NULL: none is bound. */
static IODispatchQueue *
copy_queue(const OSAction *action)
{
    IODispatchQueue *queue = NULL;
    if (OSObjectCopyDispatchQueue(action->target, action->queue_name, &queue) != kIOReturnSuccess)
        (void)OSObjectCopyDispatchQueue(action->target, DEFAULT_QUEUE, &queue); // NULL stays
    return queue;
}

struct sync_call {
    OSAction *action;
    const void *arguments;
    bool called;
};

static void
run_sync_call(void *context)
{
    struct sync_call *const sync = context;
    sync->called = call(sync->action, sync->arguments);
}

/* What speaks against an invocation; on success it was let in. */
static kern_return_t
enter_checked(OSAction *action)
{
    if (!OSObjectIsKindOf(action, &action_class))
        return kIOReturnBadArgument;
    if (!action->function)
        return kIOReturnNoCompletion;
    return enter(action) ? kIOReturnSuccess : kIOReturnAborted;
}

kern_return_t
dx_action_invoke(OSAction *action, const void *arguments)
{
    kern_return_t r = enter_checked(action);
    if (r != kIOReturnSuccess)
        return r;
    OSObjectRetain(action); // the function may release the caller's
    IODispatchQueue *const queue = copy_queue(action);
    struct sync_call sync = {.action = action, .arguments = arguments};
    if (queue)
        r = IODispatchQueueDispatchSync_f(queue, &sync, run_sync_call);
    else
        run_sync_call(&sync);
    leave(action);
    OSObjectRelease(queue);
    OSObjectRelease(action);
    return r == kIOReturnSuccess && !sync.called ? kIOReturnAborted : r;
}

/* A call on its way. */
struct post {
    OSAction *action; // retained, let in
    size_t argument_bytes;
    _Alignas(max_align_t) uint8_t arguments[];
};

static void
run_post(void *context)
{
    struct post *const post = context;
    (void)call(post->action, post->argument_bytes ? post->arguments : NULL);
    leave(post->action);
    OSObjectRelease(post->action);
    free(post);
}

kern_return_t
dx_action_post(OSAction *action, const void *arguments, size_t argument_bytes)
{
    if (!arguments && argument_bytes)
        return kIOReturnBadArgument;
    IODispatchQueue *const queue = OSObjectIsKindOf(action, &action_class) ? copy_queue(action) : NULL;
    if (!queue)
        return dx_action_invoke(action, argument_bytes ? arguments : NULL);

    kern_return_t r = enter_checked(action);
    if (r != kIOReturnSuccess)
        goto release_queue;
    r = kIOReturnNoMemory;
    struct post *const post =
        argument_bytes <= (size_t)PTRDIFF_MAX - sizeof *post ? malloc(sizeof *post + argument_bytes) : NULL;
    if (post) {
        post->action = OSObjectRetain(action);
        post->argument_bytes = argument_bytes;
        if (argument_bytes)
            memcpy(post->arguments, arguments, argument_bytes);
        r = IODispatchQueueDispatchAsync_f(queue, post, run_post);
    }
    if (r != kIOReturnSuccess) {
        leave(action);
        if (post)
            OSObjectRelease(action);
        free(post);
    }
release_queue:
    OSObjectRelease(queue);
    return r;
}
