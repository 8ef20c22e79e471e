// SPDX-License-Identifier: MIT
// The handler box between threads: no handler runs after dx_handler_box_set() has replaced it.

#include "audio/device_io.h"
#include "core/clock.h"
#include "core/realtime.h"
#include "tests/core/check.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { SETTERS = 3, REPLACEMENTS = 30000 };

static struct dx_handler_box box;
static _Atomic bool stop;
static _Atomic uint64_t calls;

/* Freed as soon as it was replaced: whoever looks at it then is found by AddressSanitizer. */
struct context {
    uint32_t magic;
    uint32_t uses; // by the IO thread alone
};

static kern_return_t
use_context(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
            uint64_t host_time, void *argument) DX_REALTIME
{
    struct context *const context = argument;
    DX_REALTIME_TRUSTED_BEGIN("the test's own, not in the product")
    CHECK_EQ(device, 3);
    CHECK_EQ(operation, 1);
    CHECK_EQ(frames, 64);
    CHECK_EQ(host_time, sample_time * 2);
    CHECK_EQ(context->magic, 0xD0D0CAFEu);
    for (unsigned i = 0; i < 20; i++)
        context->uses++;
    CHECK_EQ(context->magic, 0xD0D0CAFEu);
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    DX_REALTIME_TRUSTED_END
    return kIOReturnSuccess;
}

static struct context *
make_context(void)
{
    struct context *const context = malloc(sizeof *context);
    CHECK(context);
    *context = (struct context){.magic = 0xD0D0CAFEu};
    return context;
}

static void
free_context(struct context *context)
{
    context->magic = 0;
    free(context);
}

static kern_return_t
call(uint64_t sample_time)
{
    return dx_handler_box_call(&box, 3, 1, 64, sample_time, sample_time * 2);
}

/* As the engine's loop does. */
static void *
run_io(void *argument)
{
    (void)argument;
    for (uint64_t i = 0; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
        const kern_return_t status = call(i);
        CHECK(status == kIOReturnSuccess || status == kIOReturnNotAttached);
        dx_handler_box_wake(&box);
        if (i % 64 == 0)
            (void)sched_yield();
    }
    dx_handler_box_wake(&box);
    return NULL;
}

/* Several control threads: each frees what its own call has taken out of force, which it cannot know; so each has its
 * turn, as on a work queue.  That a context is free to go is then known from the return alone. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static struct context *in_force;

static void *
replace_often(void *argument)
{
    const unsigned own = *(const unsigned *)argument;
    for (unsigned i = 0; i < REPLACEMENTS; i++) {
        pthread_mutex_lock(&turn);
        struct context *const next = (i + own) % 7 ? make_context() : NULL;
        CHECK_EQ(dx_handler_box_set(&box, next ? use_context : NULL, next), kIOReturnSuccess);
        if (in_force)
            free_context(in_force);
        in_force = next;
        pthread_mutex_unlock(&turn);
    }
    return NULL;
}

static void
run_threads(void *(*setter)(void *argument))
{
    static const unsigned numbers[SETTERS] = {0, 1, 2};
    pthread_t io, setters[SETTERS];
    atomic_store_explicit(&stop, false, memory_order_relaxed);
    dx_handler_box_init(&box);
    CHECK_EQ(pthread_create(&io, NULL, run_io, NULL), 0);
    for (unsigned i = 0; i < SETTERS; i++)
        CHECK_EQ(pthread_create(&setters[i], NULL, setter, (void *)(uintptr_t)&numbers[i]), 0);
    for (unsigned i = 0; i < SETTERS; i++)
        CHECK_EQ(pthread_join(setters[i], NULL), 0);
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    CHECK_EQ(pthread_join(io, NULL), 0);
}

static void
replaced_handler_no_longer_runs_when_set_returns(void)
{
    run_threads(replace_often);
    CHECK_EQ(dx_handler_box_set(&box, NULL, NULL), kIOReturnSuccess);
    if (in_force)
        free_context(in_force);
    in_force = NULL;
    CHECK_EQ(atomic_load_explicit(&box.used, memory_order_relaxed), 0); // every slot was given back
    CHECK_EQ(atomic_load_explicit(&box.waiters, memory_order_relaxed), 0);
    CHECK(atomic_load_explicit(&calls, memory_order_relaxed) > 0);
}

/* At once, without turns: contexts live on, but slots, waits and order are under fire. */
static struct context shared = {.magic = 0xD0D0CAFEu};

static void *
replace_at_once(void *argument)
{
    const unsigned own = *(const unsigned *)argument;
    for (unsigned i = 0; i < REPLACEMENTS; i++) {
        const bool remove = (i + own) % 5 == 0;
        CHECK_EQ(dx_handler_box_set(&box, remove ? NULL : use_context, &shared), kIOReturnSuccess);
    }
    return NULL;
}

static void
setters_at_once_do_not_hang_or_lose_slots(void)
{
    run_threads(replace_at_once);
    CHECK_EQ(dx_handler_box_set(&box, NULL, NULL), kIOReturnSuccess);
    CHECK_EQ(atomic_load_explicit(&box.used, memory_order_relaxed), 0);
    CHECK_EQ(atomic_load_explicit(&box.waiters, memory_order_relaxed), 0);
}

/* ---- from inside the handler ---- */

static unsigned replacements_inside;
static kern_return_t last_inside;

static kern_return_t
replace_itself(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames,
               uint64_t sample_time, uint64_t host_time, void *argument) DX_REALTIME
{
    (void)device;
    (void)operation;
    (void)frames;
    (void)host_time;
    DX_REALTIME_TRUSTED_BEGIN("the test's own, not in the product")
    for (unsigned i = 0; i < replacements_inside; i++)
        last_inside = dx_handler_box_set(&box, replace_itself, argument);
    DX_REALTIME_TRUSTED_END
    return sample_time ? kIOReturnSuccess : kIOReturnError;
}

static void
handler_replaces_itself_up_to_seven_times_in_one_call(void)
{
    dx_handler_box_init(&box);
    CHECK_EQ(call(1), kIOReturnNotAttached);
    CHECK_EQ(dx_handler_box_set(&box, replace_itself, NULL), kIOReturnSuccess);
    CHECK_EQ(call(0), kIOReturnError); // what it answers is handed on
    for (replacements_inside = 1; replacements_inside < DX_HANDLER_SLOTS; replacements_inside++)
        for (unsigned again = 0; again < 20; again++) { // all slots come back after the call
            CHECK_EQ(call(1), kIOReturnSuccess);
            CHECK_EQ(last_inside, kIOReturnSuccess);
        }
    replacements_inside = DX_HANDLER_SLOTS;
    CHECK_EQ(call(1), kIOReturnSuccess);
    CHECK_EQ(last_inside, kIOReturnBusy);
    replacements_inside = 1;
    CHECK_EQ(call(1), kIOReturnSuccess);
    CHECK_EQ(last_inside, kIOReturnSuccess);
    CHECK_EQ(dx_handler_box_set(&box, NULL, NULL), kIOReturnSuccess);
    CHECK_EQ(call(1), kIOReturnNotAttached);
    CHECK_EQ(atomic_load_explicit(&box.used, memory_order_relaxed), 0);
}

static struct context *second_context;

static kern_return_t
hand_over(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
          uint64_t host_time, void *argument) DX_REALTIME
{
    struct context *const context = argument;
    (void)device;
    (void)operation;
    (void)frames;
    (void)sample_time;
    (void)host_time;
    DX_REALTIME_TRUSTED_BEGIN("the test's own, not in the product")
    CHECK_EQ(dx_handler_box_set(&box, use_context, second_context), kIOReturnSuccess); // at once
    CHECK_EQ(context->magic, 0xD0D0CAFEu); // this call goes on with what it has
    DX_REALTIME_TRUSTED_END
    return kIOReturnSuccess;
}

static void
handler_set_from_inside_is_in_force_from_the_next_call(void)
{
    dx_handler_box_init(&box);
    struct context *const first = make_context();
    second_context = make_context();
    CHECK_EQ(dx_handler_box_set(&box, hand_over, first), kIOReturnSuccess);
    CHECK_EQ(call(1), kIOReturnSuccess);
    free_context(first);
    CHECK_EQ(second_context->uses, 0);
    CHECK_EQ(call(2), kIOReturnSuccess);
    CHECK_EQ(second_context->uses, 20);
    CHECK_EQ(dx_handler_box_set(&box, NULL, NULL), kIOReturnSuccess);
    free_context(second_context);
}

/* Inside and outside at the same time. */
static kern_return_t
replace_under_fire(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames,
                   uint64_t sample_time, uint64_t host_time, void *argument) DX_REALTIME
{
    (void)device;
    (void)operation;
    (void)frames;
    (void)host_time;
    DX_REALTIME_TRUSTED_BEGIN("the test's own, not in the product")
    if (sample_time % 3 == 0)
        (void)dx_handler_box_set(&box, replace_under_fire, argument); // may be busy
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    DX_REALTIME_TRUSTED_END
    return kIOReturnSuccess;
}

static void *
replace_against_handler(void *argument)
{
    for (unsigned i = 0; i < REPLACEMENTS; i++)
        CHECK_EQ(dx_handler_box_set(&box, replace_under_fire, argument), kIOReturnSuccess);
    return NULL;
}

static void
handler_and_control_threads_replace_at_once(void)
{
    run_threads(replace_against_handler);
    CHECK_EQ(dx_handler_box_set(&box, NULL, NULL), kIOReturnSuccess);
    CHECK_EQ(atomic_load_explicit(&box.used, memory_order_relaxed), 0);
}

/* ---- a call that lasts ---- */

static _Atomic uint32_t is_inside, may_leave;

static kern_return_t
stay_inside(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
            uint64_t host_time, void *argument) DX_REALTIME
{
    (void)device;
    (void)operation;
    (void)frames;
    (void)sample_time;
    (void)host_time;
    (void)argument;
    atomic_store_explicit(&is_inside, 1, memory_order_release);
    while (!atomic_load_explicit(&may_leave, memory_order_acquire))
        ;
    atomic_store_explicit(&is_inside, 0, memory_order_release);
    return kIOReturnSuccess;
}

static void *
call_once(void *argument)
{
    (void)argument;
    (void)call(1);
    dx_handler_box_wake(&box);
    return NULL;
}

static void *
leave_soon(void *argument)
{
    (void)argument;
    dx_clock *const clock = dx_clock_host();
    dx_clock_sleep_until(clock, dx_clock_now_ns(clock) + 20000000);
    atomic_store_explicit(&may_leave, 1, memory_order_release);
    return NULL;
}

static void
set_waits_for_the_call_that_runs(void)
{
    dx_handler_box_init(&box);
    atomic_store_explicit(&may_leave, 0, memory_order_relaxed);
    CHECK_EQ(dx_handler_box_set(&box, stay_inside, NULL), kIOReturnSuccess);
    pthread_t io, helper;
    CHECK_EQ(pthread_create(&io, NULL, call_once, NULL), 0);
    while (!atomic_load_explicit(&is_inside, memory_order_acquire))
        (void)sched_yield();
    CHECK_EQ(pthread_create(&helper, NULL, leave_soon, NULL), 0);
    CHECK_EQ(dx_handler_box_set(&box, NULL, NULL), kIOReturnSuccess);
    CHECK_EQ(atomic_load_explicit(&is_inside, memory_order_acquire), 0);
    CHECK_EQ(pthread_join(io, NULL), 0);
    CHECK_EQ(pthread_join(helper, NULL), 0);
}

static kern_return_t
remove_itself_and_stay(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames,
                       uint64_t sample_time, uint64_t host_time, void *argument) DX_REALTIME
{
    DX_REALTIME_TRUSTED_BEGIN("the test's own, not in the product")
    CHECK_EQ(dx_handler_box_set(&box, NULL, NULL), kIOReturnSuccess);
    DX_REALTIME_TRUSTED_END
    return stay_inside(device, operation, frames, sample_time, host_time, argument);
}

static void
set_waits_for_a_handler_that_has_removed_itself(void)
{
    dx_handler_box_init(&box);
    atomic_store_explicit(&may_leave, 0, memory_order_relaxed);
    CHECK_EQ(dx_handler_box_set(&box, remove_itself_and_stay, NULL), kIOReturnSuccess);
    pthread_t io, helper;
    CHECK_EQ(pthread_create(&io, NULL, call_once, NULL), 0);
    while (!atomic_load_explicit(&is_inside, memory_order_acquire))
        (void)sched_yield();
    CHECK_EQ(pthread_create(&helper, NULL, leave_soon, NULL), 0);
    /* None is set, but the one that was still runs. */
    CHECK_EQ(dx_handler_box_set(&box, use_context, NULL), kIOReturnSuccess);
    CHECK_EQ(atomic_load_explicit(&is_inside, memory_order_acquire), 0);
    CHECK_EQ(pthread_join(io, NULL), 0);
    CHECK_EQ(pthread_join(helper, NULL), 0);
    CHECK_EQ(dx_handler_box_set(&box, NULL, NULL), kIOReturnSuccess);
    CHECK_EQ(atomic_load_explicit(&box.used, memory_order_relaxed), 0);
}

int
main(void)
{
    RUN(handler_replaces_itself_up_to_seven_times_in_one_call);
    RUN(handler_set_from_inside_is_in_force_from_the_next_call);
    RUN(set_waits_for_the_call_that_runs);
    RUN(set_waits_for_a_handler_that_has_removed_itself);
    RUN(replaced_handler_no_longer_runs_when_set_returns);
    RUN(setters_at_once_do_not_hang_or_lose_slots);
    RUN(handler_and_control_threads_replace_at_once);
    return 0;
}
