// SPDX-License-Identifier: MIT
// Call-backs as objects: what to call, on which object, and the caller's bytes that go with it.

#ifndef DEXTRAL_OSACTION_H
#define DEXTRAL_OSACTION_H

#include <dextral/OSObject.h>

#if DX_HAVE_BLOCKS
#    include <Block.h>
#endif

DX_BEGIN_DECLS

/** A call-back that can be kept, handed on, cancelled, and that keeps its target alive. */
typedef struct OSAction OSAction;

DX_API extern const OSMetaClass *const gOSActionMetaClass;

/**
 * What an action calls.
 *
 * @param target     the object the action was made for; borrowed.
 * @param action     the action; borrowed.
 * @param arguments  what the invoking side documents for this kind of action; borrowed for the call.
 *
 * Thread: the queue bound to the target under the action's queue name; the invoking one where none is.
 */
typedef void (*OSActionFunction)(OSObjectPtr target, OSAction *action, const void *arguments);

/**
 * Makes an action.
 *
 * @param target         retained as long as the action lives.
 * @param target_msgid   kept, and told by dx_action_get_target_message().
 * @param msgid          kept, and told by dx_action_get_message().
 * @param reference_size bytes of the action's own for OSActionGetReference(), zeroed; may be 0.
 * @param ret_action     +1; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNoMemory.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: OSAction::Create.
 * Differs: message ids dispatch to nothing; OSActionSetFunction() says what is called.
 */
DX_API kern_return_t OSActionCreate(OSObjectPtr target, uint64_t target_msgid, uint64_t msgid,
                                    size_t reference_size, OSAction **ret_action);

/**
 * Sets what the action calls.  Without it, an invocation is kIOReturnNoCompletion.
 *
 * Thread: any but an IO thread, before the action is handed to anybody.  Real-time: no.
 * Source: the OSAction* parameter of a TYPE() method.
 */
DX_API kern_return_t OSActionSetFunction(OSAction *action, OSActionFunction function);

/**
 * The action's own bytes, aligned for any type.
 *
 * @return NULL when none were asked for.
 *
 * Thread: any.  Real-time: yes.
 * Source: OSAction::GetReference.  Differs: NULL instead of an assertion.
 */
DX_API void *OSActionGetReference(OSAction *action) DX_REALTIME;

/**
 * Ends an action: from now on its function is not called any more, invocations on their way included.
 *
 * @param context  handed to the handler.
 * @param handler  called once, when no call of the function is running: at once by this call, or by the thread
 *                 of the last one; may be NULL.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNotPermitted (it was cancelled or aborted
 *         before: the handler will not be called).
 *
 * Thread: any but an IO thread, the action's function included.  Real-time: no.
 * Source: OSAction::Cancel.
 */
DX_API kern_return_t OSActionCancel_f(OSAction *action, void *context, void (*handler)(void *context));

/**
 * Sets what is called when somebody who kept the action gives it up without calling it: see dx_action_abort().
 *
 * @param context  handed to the handler and to `release`.
 * @param handler  NULL removes it.
 * @param release  called once with the context when another handler is set or the action goes; may be NULL.
 * @return kIOReturnSuccess; kIOReturnBadArgument (the context was not taken then).
 *
 * Thread: any but an IO thread, before the action is handed to anybody.  Real-time: no.
 * Source: OSAction::SetAbortedHandler.
 */
DX_API kern_return_t OSActionSetAbortedHandler_f(OSAction *action, void *context,
                                                 void (*handler)(void *context),
                                                 void (*release)(void *context));

/**
 * OSActionCreate() and OSActionSetFunction() in one, with a context.
 *
 * @param target      retained as long as the action lives.
 * @param function    what is called.
 * @param context     for dx_action_get_context(); its lifetime is the caller's affair.
 * @param ret_action  +1; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNoMemory.
 *
 * Thread: any but an IO thread.  Real-time: no.
 */
DX_API kern_return_t dx_action_create(OSObjectPtr target, OSActionFunction function, void *context,
                                      OSAction **ret_action);

/** The context of dx_action_create(), or NULL.  Thread: any.  Real-time: yes. */
DX_API void *dx_action_get_context(const OSAction *action) DX_REALTIME;

/** The object the action was made for; borrowed.  Thread: any.  Real-time: yes. */
DX_API OSObjectPtr dx_action_get_target(const OSAction *action) DX_REALTIME;

/** `target_msgid` of OSActionCreate().  Thread: any.  Real-time: yes. */
DX_API uint64_t dx_action_get_target_message(const OSAction *action) DX_REALTIME;

/** `msgid` of OSActionCreate().  Thread: any.  Real-time: yes. */
DX_API uint64_t dx_action_get_message(const OSAction *action) DX_REALTIME;

/**
 * Names the queue that the function runs on: one bound to the target with OSObjectSetDispatchQueue().
 *
 * @param name  up to 255 bytes, copied; NULL: "Default".  A name that nothing is bound to stands for "Default".
 * @return kIOReturnSuccess; kIOReturnBadArgument.
 *
 * Thread: any but an IO thread, before the action is handed to anybody.  Real-time: no.
 * Source: QUEUENAME().
 */
DX_API kern_return_t dx_action_set_queue_name(OSAction *action, const char *name);

/**
 * Calls the action's function and waits until it has returned.
 *
 * It runs on the queue of the action's name; inline when that is the current one or nothing is bound.
 *
 * @param arguments  borrowed for the call.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNoCompletion (no function); kIOReturnAborted
 *         (cancelled: not called).
 *
 * Thread: any but an IO thread.  Real-time: no, blocks.
 */
DX_API kern_return_t dx_action_invoke(OSAction *action, const void *arguments);

/**
 * Calls the action's function later, after what its queue has before it; inline when nothing is bound.
 *
 * @param arguments       copied.
 * @param argument_bytes  of the arguments; 0: the function is handed NULL.
 * @return as dx_action_invoke(), for what is known now; kIOReturnNoMemory.
 *
 * Thread: any but an IO thread.  Real-time: no.
 */
DX_API kern_return_t dx_action_post(OSAction *action, const void *arguments, size_t argument_bytes);

/**
 * Gives an action up: calls the handler of OSActionSetAbortedHandler_f(), on the calling thread, unless the
 * action was cancelled or aborted before.
 *
 * Thread: any but an IO thread.  Real-time: no.
 */
DX_API void dx_action_abort(OSAction *action);

#if DX_HAVE_BLOCKS

/* Copied blocks as contexts; for the calls below. */
static inline void
dx_action_call_block(void *context)
{
    ((void (^)(void))context)();
}

static inline void
dx_action_release_block(void *context)
{
    Block_release((void (^)(void))context);
}

static inline void
dx_action_call_and_release_block(void *context)
{
    dx_action_call_block(context);
    dx_action_release_block(context);
}

/** OSActionCancel_f() with a block, which is copied.  kIOReturnNoMemory: it could not be; nothing happened. */
static inline kern_return_t
OSActionCancel_b(OSAction *action, void (^block)(void))
{
    void (^const copy)(void) = Block_copy(block);
    if (block && !copy)
        return kIOReturnNoMemory;
    const kern_return_t status =
        OSActionCancel_f(action, (void *)copy, copy ? dx_action_call_and_release_block : NULL);
    if (status != kIOReturnSuccess && copy)
        Block_release(copy);
    return status;
}

/** OSActionSetAbortedHandler_f() with a block, which is copied.  kIOReturnNoMemory: it could not be. */
static inline kern_return_t
OSActionSetAbortedHandler_b(OSAction *action, void (^block)(void))
{
    void (^const copy)(void) = Block_copy(block);
    if (block && !copy)
        return kIOReturnNoMemory;
    const kern_return_t status =
        OSActionSetAbortedHandler_f(action, (void *)copy, copy ? dx_action_call_block : NULL,
                                    copy ? dx_action_release_block : NULL);
    if (status != kIOReturnSuccess && copy)
        Block_release(copy);
    return status;
}

#endif /* DX_HAVE_BLOCKS */

DX_END_DECLS

#endif /* DEXTRAL_OSACTION_H */
