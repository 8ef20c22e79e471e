// SPDX-License-Identifier: MIT
// What is common to both kinds of clock: dispatch, the current task, ticks.

#include "core/clock.h"

#include "core/clock_ops.h"
#include "core/realtime.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Thread_local struct dx_task *dx_current_task __attribute__((tls_model("initial-exec")));

/* Stands for a thread of the user's own; its clock is NULL until dx_task_current() was called there. */
static _Thread_local struct dx_task user_task __attribute__((tls_model("initial-exec")));

static struct dx_task *
running_task(void) DX_REALTIME
{
    DX_REALTIME_TRUSTED_BEGIN("initial-exec TLS is an offset from the thread pointer")
    return dx_current_task;
    DX_REALTIME_TRUSTED_END
}

/* A task of a simulation that uses another clock depends on more than its seed. */
static void
note_use(const dx_clock *clock) DX_REALTIME
{
    const struct dx_task *const task = running_task();
    if (task && task->clock != clock && task->clock->simulated) {
        /* relaxed: read by dx_simulate() on the same OS thread. */
        atomic_store_explicit(&task->clock->foreign, 1, memory_order_relaxed);
    }
}

dx_clock *
dx_clock_host(void) DX_REALTIME
{
    return &dx_host_clock;
}

dx_clock *
dx_clock_current(void) DX_REALTIME
{
    const struct dx_task *const task = running_task();
    return task ? task->clock : &dx_host_clock;
}

uint64_t
dx_clock_now_ns(dx_clock *clock) DX_REALTIME
{
    note_use(clock);
    return clock->ops->now_ns(clock);
}

uint64_t
dx_clock_realtime_ns(dx_clock *clock)
{
    note_use(clock);
    return clock->ops->realtime_ns(clock);
}

bool
dx_clock_is_simulated(const dx_clock *clock) DX_REALTIME
{
    return clock->simulated;
}

void
dx_clock_sleep_until(dx_clock *clock, uint64_t host_time_ns)
{
    note_use(clock);
    clock->ops->sleep_until(clock, host_time_ns);
}

int
dx_clock_wait(dx_clock *clock, const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns,
              const struct dx_wait_reason *reason)
{
    /* A wait for another clock's lock, without a deadline, changes nothing a simulation can see. */
    if (deadline_ns != DX_NEVER)
        note_use(clock);
    return clock->ops->wait(clock, word, expected, deadline_ns, reason);
}

void
dx_clock_wake(dx_clock *clock, const _Atomic uint32_t *word, uint32_t count)
{
    clock->ops->wake(clock, word, count);
}

uint64_t
dx_clock_random(dx_clock *clock)
{
    note_use(clock);
    return clock->ops->random(clock);
}

/* Tasks. */

void
dx_task_init(struct dx_task *task, dx_clock *clock, const char *name)
{
    memset(task, 0, sizeof *task);
    task->clock = clock;
    (void)snprintf(task->name, sizeof task->name, "%s", name ? name : "dx-task"); // may be cut
}

static bool
is_config_valid(const dx_task_config *config)
{
    return config->priority >= 0 && config->priority <= sched_get_priority_max(SCHED_FIFO) &&
           config->cpu >= 0 && config->cpu <= CPU_SETSIZE && config->cpu <= sysconf(_SC_NPROCESSORS_CONF);
}

kern_return_t
dx_task_spawn(dx_clock *clock, const dx_task_config *config, void (*function)(void *argument),
              void *argument, dx_task **ret_task)
{
    static const dx_task_config plain = {0};
    if (!config)
        config = &plain;
    if (!clock || !function || !ret_task || !is_config_valid(config))
        return kIOReturnBadArgument;
    note_use(clock);
    return clock->ops->spawn(clock, config, function, argument, ret_task);
}

void
dx_task_join(dx_task *task)
{
    if (!task)
        return;
    assert(task != running_task());
    note_use(task->clock);
    task->clock->ops->join(task);
}

void
dx_task_detach(struct dx_task *task)
{
    if (task)
        task->clock->ops->detach(task);
}

unsigned
dx_task_degraded(const dx_task *task) DX_REALTIME
{
    return task->degraded;
}

void
dx_task_yield(void)
{
    dx_clock *const clock = dx_clock_current();
    clock->ops->yield(clock);
}

struct dx_task *
dx_task_current(void)
{
    struct dx_task *const task = running_task();
    if (task)
        return task;
    if (!user_task.clock) {
        char name[16] = "thread";
        (void)pthread_getname_np(pthread_self(), name, sizeof name); // "thread" if it fails
        dx_task_init(&user_task, &dx_host_clock, name);
    }
    return &user_task;
}

const void *
dx_task_self(void) DX_REALTIME
{
    const struct dx_task *const task = running_task();
    if (task)
        return task;
    DX_REALTIME_TRUSTED_BEGIN("the address alone: an offset from the thread pointer")
    return &user_task;
    DX_REALTIME_TRUSTED_END
}

struct dx_queue_frame **
dx_task_queue_frames(struct dx_task *task)
{
    return &task->queue_frames;
}

const char *
dx_task_name(const struct dx_task *task)
{
    return task->name;
}

#define ADVICE_REALTIME                                                                             \
    "real-time scheduling was refused: allow it with `rtprio 95` for this user in "                 \
    "/etc/security/limits.d, or LimitRTPRIO=95 in the unit, and log in again."
#define ADVICE_PINNED "the CPU asked for cannot be used: choose one that `taskset -p $$` allows."
#define ADVICE_LOCKED                                                                               \
    "memory could not be locked: allow it with `memlock unlimited` for this user in "               \
    "/etc/security/limits.d, or LimitMEMLOCK=infinity in the unit, and log in again."

const char *
dx_task_degraded_advice(unsigned degraded)
{
    static const char *const advice[8] = {
        [0] = "",
        [DX_TASK_NOT_REALTIME] = ADVICE_REALTIME,
        [DX_TASK_NOT_PINNED] = ADVICE_PINNED,
        [DX_TASK_NOT_REALTIME | DX_TASK_NOT_PINNED] = ADVICE_REALTIME " " ADVICE_PINNED,
        [DX_TASK_NOT_LOCKED] = ADVICE_LOCKED,
        [DX_TASK_NOT_REALTIME | DX_TASK_NOT_LOCKED] = ADVICE_REALTIME " " ADVICE_LOCKED,
        [DX_TASK_NOT_PINNED | DX_TASK_NOT_LOCKED] = ADVICE_PINNED " " ADVICE_LOCKED,
        [DX_TASK_NOT_REALTIME | DX_TASK_NOT_PINNED | DX_TASK_NOT_LOCKED] =
            ADVICE_REALTIME " " ADVICE_PINNED " " ADVICE_LOCKED,
    };
    return advice[degraded & 7u];
}

/* Ticks. */

/*
 * floor(value * multiplier / divisor), exact without 128-bit arithmetic: with value = q * divisor + r,
 * it is q * multiplier + floor(r * multiplier / divisor), and r * multiplier fits into 64 bits.
 */
static uint64_t
scale(uint64_t value, uint32_t multiplier, uint32_t divisor) DX_REALTIME
{
    if (multiplier == divisor)
        return value;
    const uint64_t rest = value % divisor * multiplier / divisor;
    uint64_t whole, sum;
    if (__builtin_mul_overflow(value / divisor, (uint64_t)multiplier, &whole) ||
        __builtin_add_overflow(whole, rest, &sum))
        return UINT64_MAX;
    return sum;
}

kern_return_t
dx_clock_set_timebase(dx_clock *clock, uint32_t numer, uint32_t denom)
{
    if (!clock || !numer || !denom)
        return kIOReturnBadArgument;
    /* relaxed: set before the first driver is made; what makes the driver visible makes these visible. */
    atomic_store_explicit(&clock->timebase_numer, numer, memory_order_relaxed);
    atomic_store_explicit(&clock->timebase_denom, denom, memory_order_relaxed);
    return kIOReturnSuccess;
}

static mach_timebase_info_data_t
timebase_of(const dx_clock *clock) DX_REALTIME
{
    /* relaxed: see dx_clock_set_timebase(). */
    const mach_timebase_info_data_t timebase = {
        .numer = atomic_load_explicit(&clock->timebase_numer, memory_order_relaxed),
        .denom = atomic_load_explicit(&clock->timebase_denom, memory_order_relaxed),
    };
    return timebase;
}

uint64_t
dx_clock_ticks_from_ns(const dx_clock *clock, uint64_t ns) DX_REALTIME
{
    const mach_timebase_info_data_t timebase = timebase_of(clock);
    return scale(ns, timebase.denom, timebase.numer);
}

uint64_t
dx_clock_ns_from_ticks(const dx_clock *clock, uint64_t ticks) DX_REALTIME
{
    const mach_timebase_info_data_t timebase = timebase_of(clock);
    return scale(ticks, timebase.numer, timebase.denom);
}

uint64_t
mach_absolute_time(void) DX_REALTIME
{
    dx_clock *const clock = dx_clock_current();
    return dx_clock_ticks_from_ns(clock, clock->ops->now_ns(clock));
}

uint64_t
mach_continuous_time(void) DX_REALTIME
{
    return mach_absolute_time();
}

kern_return_t
mach_timebase_info(mach_timebase_info_t info) DX_REALTIME
{
    *info = timebase_of(dx_clock_current());
    return kIOReturnSuccess;
}

static void
sleep_for(uint64_t count, uint64_t unit_ns)
{
    dx_clock *const clock = dx_clock_current();
    uint64_t deadline_ns;
    if (__builtin_mul_overflow(count, unit_ns, &deadline_ns) ||
        __builtin_add_overflow(deadline_ns, clock->ops->now_ns(clock), &deadline_ns))
        deadline_ns = DX_NEVER;
    clock->ops->sleep_until(clock, deadline_ns);
}

void
IOSleep(uint64_t milliseconds)
{
    sleep_for(milliseconds, 1000000);
}

void
IODelay(uint64_t microseconds)
{
    sleep_for(microseconds, 1000);
}

void
dx_simulation_note(const char *text)
{
    dx_clock *const clock = dx_clock_current();
    if (clock->simulated)
        dx_simulation_note_on(clock, text);
}
