// SPDX-License-Identifier: MIT
// Actions: where they run, how they end, what they keep alive; and objects shared by threads.

#include "core/object.h"
#include "tests/core/check.h"

#include <dextral/IODispatchQueue.h>
#include <dextral/OSAction.h>

#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>

/* A target that says when it goes. */

struct target {
    struct OSObject object;
    _Atomic int *freed;
};

static void
free_target(OSObjectPtr object)
{
    struct target *const target = object;
    atomic_fetch_add_explicit(target->freed, 1, memory_order_relaxed);
    dx_object_free_super(target);
}

static const OSMetaClass target_class = {
    .name = "Target",
    .super = &dx_object_class,
    .instance_bytes = sizeof(struct target),
    .free = free_target,
};

static struct target *
new_target(_Atomic int *freed)
{
    struct target *const target = dx_object_alloc(&target_class);
    CHECK(target);
    target->freed = freed;
    return target;
}

static IODispatchQueue *
new_queue(const char *name)
{
    IODispatchQueue *queue = NULL;
    CHECK_EQ(IODispatchQueueCreate(name, 0, 0, &queue), 0);
    return queue;
}

/* What a call was. */
struct seen {
    int calls;
    OSObjectPtr target;
    int argument;
    IODispatchQueue *expected_queue; // NULL: any
    bool on_queue;
};

static void
note_call(OSObjectPtr target, OSAction *action, const void *arguments)
{
    struct seen *const seen = dx_action_get_context(action);
    seen->calls++;
    seen->target = target;
    seen->argument = arguments ? *(const int *)arguments : -1;
    seen->on_queue = seen->expected_queue && IODispatchQueueOnQueue(seen->expected_queue);
}

static void
nothing(void *context)
{
    (void)context;
}

static void
count(void *context)
{
    ++*(int *)context;
}

static void
action_keeps_its_target_and_its_bytes(void)
{
    _Atomic int freed = 0;
    struct target *const target = new_target(&freed);
    OSAction *action = NULL;
    CHECK_EQ(OSActionCreate(target, 11, 22, 24, &action), 0);
    OSObjectRelease(target);
    CHECK_EQ(freed, 0);
    CHECK(dx_action_get_target(action) == target);
    CHECK_EQ(dx_action_get_target_message(action), 11);
    CHECK_EQ(dx_action_get_message(action), 22);
    uint8_t *const reference = OSActionGetReference(action);
    CHECK_EQ((uintptr_t)reference % _Alignof(max_align_t), 0);
    for (int i = 0; i < 24; i++)
        CHECK_EQ(reference[i], 0);
    memset(reference, 1, 24);
    CHECK_EQ(dx_action_invoke(action, NULL), kIOReturnNoCompletion);
    CHECK_EQ(dx_action_post(action, NULL, 0), kIOReturnNoCompletion);
    OSObjectRelease(action);
    CHECK_EQ(freed, 1);
}

static void
wrong_arguments_are_refused(void)
{
    _Atomic int freed = 0;
    struct target *const target = new_target(&freed);
    OSAction *action = NULL;
    char name[257];
    memset(name, 'n', 256);
    name[256] = '\0';
    CHECK_EQ(OSActionCreate(NULL, 0, 0, 0, &action), kIOReturnBadArgument);
    CHECK_EQ(OSActionCreate(target, 0, 0, 0, NULL), kIOReturnBadArgument);
    CHECK_EQ(dx_action_create(target, NULL, NULL, &action), kIOReturnBadArgument);
    CHECK_EQ(dx_action_invoke(NULL, NULL), kIOReturnBadArgument);
    CHECK_EQ(dx_action_post(NULL, NULL, 0), kIOReturnBadArgument);
    CHECK_EQ(OSActionCancel_f(NULL, NULL, NULL), kIOReturnBadArgument);
    CHECK_EQ(OSActionSetAbortedHandler_f(NULL, NULL, NULL, NULL), kIOReturnBadArgument);
    dx_action_abort(NULL);
    CHECK(!action);
    CHECK_EQ(OSActionCreate(target, 0, 0, 0, &action), 0);
    CHECK(!OSActionGetReference(action) && !OSActionGetReference(NULL));
    CHECK_EQ(OSActionSetFunction(action, NULL), kIOReturnBadArgument);
    CHECK_EQ(OSActionSetFunction((OSAction *)target, note_call), kIOReturnBadArgument);
    CHECK_EQ(dx_action_set_queue_name(action, name), kIOReturnBadArgument);
    CHECK_EQ(dx_action_post(action, NULL, 4), kIOReturnBadArgument);
    OSObjectRelease(action);
    OSObjectRelease(target);
}

static void
runs_inline_where_no_queue_is_bound(void)
{
    _Atomic int freed = 0;
    struct target *const target = new_target(&freed);
    struct seen seen = {0};
    OSAction *action = NULL;
    CHECK_EQ(dx_action_create(target, note_call, &seen, &action), 0);
    CHECK_EQ(dx_action_invoke(action, &(int){5}), 0);
    CHECK_EQ(seen.calls, 1);
    CHECK(seen.target == target);
    CHECK_EQ(seen.argument, 5);
    CHECK_EQ(dx_action_post(action, &(int){6}, sizeof(int)), 0);
    CHECK_EQ(seen.calls, 2);
    CHECK_EQ(seen.argument, 6);
    OSObjectRelease(action);
    OSObjectRelease(target);
}

static void
runs_on_the_queue_of_its_name(void)
{
    _Atomic int freed = 0;
    struct target *const target = new_target(&freed);
    IODispatchQueue *const plain = new_queue("plain");
    IODispatchQueue *const special = new_queue("special");
    CHECK_EQ(OSObjectSetDispatchQueue(target, "Default", plain), 0);
    struct seen seen = {.expected_queue = plain};
    OSAction *action = NULL;
    CHECK_EQ(dx_action_create(target, note_call, &seen, &action), 0);
    CHECK_EQ(dx_action_invoke(action, NULL), 0);
    CHECK(seen.on_queue);

    CHECK_EQ(dx_action_set_queue_name(action, "Special"), 0);
    CHECK_EQ(dx_action_invoke(action, NULL), 0);
    CHECK(seen.on_queue); // nothing is bound to the name: "Default"
    CHECK_EQ(OSObjectSetDispatchQueue(target, "Special", special), 0);
    seen.expected_queue = special;
    CHECK_EQ(dx_action_invoke(action, NULL), 0);
    CHECK(seen.on_queue);

    const int argument = 7;
    CHECK_EQ(dx_action_post(action, &argument, sizeof argument), 0);
    CHECK_EQ(IODispatchQueueDispatchSync_f(special, NULL, nothing), 0); // after it
    CHECK_EQ(seen.calls, 4);
    CHECK_EQ(seen.argument, 7);
    CHECK(seen.on_queue);

    CHECK_EQ(dx_action_set_queue_name(action, NULL), 0);
    seen.expected_queue = plain;
    CHECK_EQ(dx_action_invoke(action, NULL), 0);
    CHECK(seen.on_queue);
    OSObjectRelease(action);
    OSObjectRelease(target);
    OSObjectRelease(plain);
    OSObjectRelease(special);
    CHECK_EQ(freed, 1);
}

static void
cancelled_queue_says_so(void)
{
    _Atomic int freed = 0;
    struct target *const target = new_target(&freed);
    IODispatchQueue *const queue = new_queue("closed");
    CHECK_EQ(OSObjectSetDispatchQueue(target, "Default", queue), 0);
    CHECK_EQ(IODispatchQueueCancel_f(queue, NULL, NULL), 0);
    struct seen seen = {0};
    int cancels = 0;
    OSAction *action = NULL;
    CHECK_EQ(dx_action_create(target, note_call, &seen, &action), 0);
    CHECK_EQ(dx_action_invoke(action, NULL), kIOReturnAborted);
    CHECK_EQ(dx_action_post(action, NULL, 0), kIOReturnAborted);
    CHECK_EQ(seen.calls, 0);
    CHECK_EQ(OSActionCancel_f(action, &cancels, count), 0);
    CHECK_EQ(cancels, 1); // both have left it
    OSObjectRelease(action);
    OSObjectRelease(target);
    OSObjectRelease(queue);
}

static void
cancelled_action_is_not_called(void)
{
    _Atomic int freed = 0;
    struct target *const target = new_target(&freed);
    struct seen seen = {0};
    int cancels = 0;
    OSAction *action = NULL;
    CHECK_EQ(dx_action_create(target, note_call, &seen, &action), 0);
    CHECK_EQ(OSActionCancel_f(action, &cancels, count), 0);
    CHECK_EQ(cancels, 1);
    CHECK_EQ(OSActionCancel_f(action, &cancels, count), kIOReturnNotPermitted);
    CHECK_EQ(cancels, 1);
    CHECK_EQ(dx_action_invoke(action, NULL), kIOReturnAborted);
    CHECK_EQ(dx_action_post(action, NULL, 0), kIOReturnAborted);
    CHECK_EQ(seen.calls, 0);
    OSObjectRelease(action);
    OSObjectRelease(target);
}

struct self_cancel {
    int calls, cancels, cancels_within;
};

static void
cancel_within(OSObjectPtr target, OSAction *action, const void *arguments)
{
    (void)target;
    (void)arguments;
    struct self_cancel *const self = dx_action_get_context(action);
    self->calls++;
    CHECK_EQ(OSActionCancel_f(action, &self->cancels, count), 0);
    self->cancels_within = self->cancels;
}

static void
action_cancelled_by_its_function_ends_after_it(void)
{
    _Atomic int freed = 0;
    struct target *const target = new_target(&freed);
    struct self_cancel self = {0};
    OSAction *action = NULL;
    CHECK_EQ(dx_action_create(target, cancel_within, &self, &action), 0);
    CHECK_EQ(dx_action_invoke(action, NULL), 0);
    CHECK_EQ(self.calls, 1);
    CHECK_EQ(self.cancels_within, 0);
    CHECK_EQ(self.cancels, 1);
    OSObjectRelease(action);
    OSObjectRelease(target);
}

struct blocked {
    OSAction *action;
    struct seen *seen;
    int cancels, cancels_within;
};

/* Runs on the queue, so what is posted meanwhile waits behind it. */
static void
post_and_cancel(void *context)
{
    struct blocked *const blocked = context;
    CHECK_EQ(dx_action_post(blocked->action, NULL, 0), 0);
    CHECK_EQ(dx_action_post(blocked->action, NULL, 0), 0);
    CHECK_EQ(OSActionCancel_f(blocked->action, &blocked->cancels, count), 0);
    blocked->cancels_within = blocked->cancels;
}

static void
calls_on_their_way_are_dropped_by_cancel(void)
{
    _Atomic int freed = 0;
    struct target *const target = new_target(&freed);
    IODispatchQueue *const queue = new_queue("q");
    CHECK_EQ(OSObjectSetDispatchQueue(target, "Default", queue), 0);
    struct seen seen = {0};
    struct blocked blocked = {.seen = &seen};
    CHECK_EQ(dx_action_create(target, note_call, &seen, &blocked.action), 0);
    CHECK_EQ(IODispatchQueueDispatchSync_f(queue, &blocked, post_and_cancel), 0);
    CHECK_EQ(IODispatchQueueDispatchSync_f(queue, NULL, nothing), 0);
    CHECK_EQ(seen.calls, 0);
    CHECK_EQ(blocked.cancels_within, 0);
    CHECK_EQ(blocked.cancels, 1); // with the second of them
    OSObjectRelease(blocked.action);
    OSObjectRelease(target);
    OSObjectRelease(queue);
}

static void
abort_calls_its_handler_once(void)
{
    _Atomic int freed = 0;
    struct target *const target = new_target(&freed);
    struct seen seen = {0};
    int aborts = 0, releases = 0, cancels = 0;
    OSAction *action = NULL;
    CHECK_EQ(dx_action_create(target, note_call, &seen, &action), 0);
    CHECK_EQ(OSActionSetAbortedHandler_f(action, &releases, NULL, count), 0);
    CHECK_EQ(OSActionSetAbortedHandler_f(action, &aborts, count, NULL), 0);
    CHECK_EQ(releases, 1);
    dx_action_abort(action);
    dx_action_abort(action);
    CHECK_EQ(aborts, 1);
    CHECK_EQ(dx_action_invoke(action, NULL), kIOReturnAborted);
    CHECK_EQ(OSActionCancel_f(action, &cancels, count), kIOReturnNotPermitted);
    CHECK_EQ(cancels + seen.calls, 0);
    OSObjectRelease(action);

    CHECK_EQ(dx_action_create(target, note_call, &seen, &action), 0);
    CHECK_EQ(OSActionSetAbortedHandler_f(action, &releases, count, count), 0);
    OSObjectRelease(action); // gone without either: the context still is released
    CHECK_EQ(releases, 2);
    OSObjectRelease(target);
}

static void
release_caller(OSObjectPtr target, OSAction *action, const void *arguments)
{
    (void)target;
    (void)arguments;
    OSAction **const variable = dx_action_get_context(action);
    OSSafeReleaseNULL(*variable);
}

static void
function_may_release_its_action(void)
{
    _Atomic int freed = 0;
    struct target *const target = new_target(&freed);
    OSAction *action = NULL;
    CHECK_EQ(dx_action_create(target, release_caller, &action, &action), 0);
    OSObjectRelease(target);
    CHECK_EQ(dx_action_invoke(action, NULL), 0);
    CHECK(!action);
    CHECK_EQ(freed, 1);
}

/* The caller gives everything back while the call is on its way. */
static void
posted_call_keeps_action_target_and_queue(void)
{
    _Atomic int freed = 0;
    struct target *const target = new_target(&freed);
    IODispatchQueue *const queue = new_queue("q");
    CHECK_EQ(OSObjectSetDispatchQueue(target, "Default", queue), 0);
    struct seen seen = {0};
    OSAction *action = NULL;
    CHECK_EQ(dx_action_create(target, note_call, &seen, &action), 0);
    OSObjectRelease(target);
    CHECK_EQ(dx_action_post(action, NULL, 0), 0);
    OSObjectRelease(action);
    CHECK_EQ(IODispatchQueueDispatchSync_f(queue, NULL, nothing), 0);
    CHECK_EQ(seen.calls, 1);
    CHECK_EQ(seen.argument, -1); // no bytes: NULL
    CHECK_EQ(freed, 1);
    OSObjectRelease(queue);
}

/* Threads. */

enum { THREADS = 4, ROUNDS = 2000 };

static pthread_t
start(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, function, argument), 0);
    return thread;
}

struct shared {
    OSObjectPtr object;
    IODispatchQueue *queues[2];
};

static void *
retain_and_release(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        OSObjectRetain(argument);
        CHECK(dx_object_retain_if_alive(argument));
        OSObjectRelease(argument);
        OSObjectRelease(argument);
    }
    OSObjectRelease(argument); // one of the references is this thread's
    return NULL;
}

static void
last_of_many_threads_frees_once(void)
{
    _Atomic int freed = 0;
    struct target *const target = new_target(&freed);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(retain_and_release, OSObjectRetain(target));
    OSObjectRelease(target);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(freed, 1);
}

static void *
rebind(void *argument)
{
    struct shared *const shared = argument;
    for (int i = 0; i < ROUNDS; i++) {
        IODispatchQueue *found = NULL;
        CHECK_EQ(OSObjectSetDispatchQueue(shared->object, "Default", shared->queues[i % 2]), 0);
        if (OSObjectCopyDispatchQueue(shared->object, "Default", &found) == kIOReturnSuccess) {
            CHECK(found == shared->queues[0] || found == shared->queues[1]);
            OSObjectRelease(found);
        }
        CHECK_EQ(OSObjectSetDispatchQueue(shared->object, "Default", NULL), 0);
    }
    return NULL;
}

static void
threads_may_rebind_and_copy_a_queue(void)
{
    _Atomic int freed = 0;
    struct shared shared = {.object = new_target(&freed), .queues = {new_queue("a"), new_queue("b")}};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(rebind, &shared);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    OSObjectRelease(shared.object);
    CHECK_EQ(OSObjectGetRetainCount(shared.queues[0]), 1);
    CHECK_EQ(OSObjectGetRetainCount(shared.queues[1]), 1);
    OSObjectRelease(shared.queues[0]);
    OSObjectRelease(shared.queues[1]);
}

struct race {
    OSAction *action;
    _Atomic int calls;
    int plain; // written by the function, read by the cancel handler: ordered by the action
    _Atomic int ends;
};

static void
race_call(OSObjectPtr target, OSAction *action, const void *arguments)
{
    (void)target;
    (void)arguments;
    struct race *const race = dx_action_get_context(action);
    CHECK_EQ(atomic_load_explicit(&race->ends, memory_order_relaxed), 0);
    race->plain++;
    atomic_fetch_add_explicit(&race->calls, 1, memory_order_relaxed);
}

static void
race_end(void *context)
{
    struct race *const race = context;
    CHECK_EQ(race->plain, atomic_load_explicit(&race->calls, memory_order_relaxed));
    atomic_fetch_add_explicit(&race->ends, 1, memory_order_relaxed);
}

static void *
post_until_cancelled(void *argument)
{
    struct race *const race = argument;
    kern_return_t r;
    do {
        r = dx_action_post(race->action, NULL, 0);
    } while (r == kIOReturnSuccess);
    CHECK_EQ(r, kIOReturnAborted);
    return NULL;
}

static void
cancel_handler_runs_once_after_the_last_call(void)
{
    for (int round = 0; round < 20; round++) {
        _Atomic int freed = 0;
        struct target *const target = new_target(&freed);
        IODispatchQueue *const queue = new_queue("race");
        CHECK_EQ(OSObjectSetDispatchQueue(target, "Default", queue), 0);
        struct race race = {.action = NULL};
        CHECK_EQ(dx_action_create(target, race_call, &race, &race.action), 0);
        pthread_t threads[2];
        for (int i = 0; i < 2; i++)
            threads[i] = start(post_until_cancelled, &race);
        while (atomic_load_explicit(&race.calls, memory_order_relaxed) < 10)
            sched_yield();
        CHECK_EQ(OSActionCancel_f(race.action, &race, race_end), 0);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        CHECK_EQ(IODispatchQueueDispatchSync_f(queue, NULL, nothing), 0);
        CHECK_EQ(race.ends, 1);
        OSObjectRelease(race.action);
        OSObjectRelease(target);
        OSObjectRelease(queue);
        CHECK_EQ(freed, 1);
    }
}

static void *
nest_shared(void *argument)
{
    OSObjectPtr const inner = argument;
    for (int i = 0; i < ROUNDS; i++) {
        OSArray *const middle = OSArrayCreate(1);
        OSArray *const outer = OSArrayCreate(1);
        CHECK(OSArraySetObject(middle, inner));
        CHECK(OSArraySetObject(outer, middle)); // walks through the shared one
        OSObjectRelease(middle);
        OSObjectRelease(outer);
    }
    return NULL;
}

static void
threads_may_nest_one_array_in_their_own(void)
{
    OSArray *const lowest = OSArrayCreate(0);
    OSArray *const inner = OSArrayCreate(0);
    CHECK(OSArraySetObject(inner, lowest));
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(nest_shared, inner);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(OSObjectGetRetainCount(inner), 1);
    OSObjectRelease(inner);
    OSObjectRelease(lowest);
}

int
main(void)
{
    RUN(action_keeps_its_target_and_its_bytes);
    RUN(wrong_arguments_are_refused);
    RUN(runs_inline_where_no_queue_is_bound);
    RUN(runs_on_the_queue_of_its_name);
    RUN(cancelled_queue_says_so);
    RUN(cancelled_action_is_not_called);
    RUN(action_cancelled_by_its_function_ends_after_it);
    RUN(calls_on_their_way_are_dropped_by_cancel);
    RUN(abort_calls_its_handler_once);
    RUN(function_may_release_its_action);
    RUN(posted_call_keeps_action_target_and_queue);
    RUN(last_of_many_threads_frees_once);
    RUN(threads_may_rebind_and_copy_a_queue);
    RUN(cancel_handler_runs_once_after_the_last_call);
    RUN(threads_may_nest_one_array_in_their_own);
    return 0;
}
