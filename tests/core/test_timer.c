// SPDX-License-Identifier: MIT
// Timers: exact on the simulated clock, free of races on threads.

#include "core/clock.h"
#include "tests/core/check.h"

#include <dextral/IOTimerDispatchSource.h>

#include <stdatomic.h>

#define START_NS 1000000000u

/* What a timer's handler saw. */
struct seen {
    IODispatchQueue *queue;
    IOTimerDispatchSource *timer;
    unsigned calls;
    uint64_t times[8], now_ns[8];
    uint64_t period, deadline; // when not 0: armed again from the handler, in ticks
};

static void
see(void *context, uint64_t time)
{
    struct seen *const seen = context;
    CHECK(IODispatchQueueOnQueue(seen->queue));
    CHECK(seen->calls < 8);
    seen->times[seen->calls] = time;
    seen->now_ns[seen->calls++] = dx_clock_now_ns(dx_clock_current());
    if (seen->period && seen->calls < 8) {
        seen->deadline += seen->period;
        CHECK_EQ(IOTimerDispatchSourceWakeAtTime(seen->timer, kIOTimerClockMachAbsoluteTime, seen->deadline, 0),
                 0);
    }
}

static void
set_up(struct seen *seen)
{
    *seen = (struct seen){0};
    CHECK_EQ(IODispatchQueueCreate("timers", 0, 0, &seen->queue), 0);
    CHECK_EQ(IOTimerDispatchSourceCreate(seen->queue, &seen->timer), 0);
    CHECK_EQ(IOTimerDispatchSourceSetHandler_f(seen->timer, seen, see), 0);
}

static void
tear_down(const struct seen *seen)
{
    OSObjectRelease(seen->timer);
    OSObjectRelease(seen->queue);
}

static void
wake_at_ns(const struct seen *seen, uint64_t deadline_ns)
{
    CHECK_EQ(IOTimerDispatchSourceWakeAtTime(seen->timer, kIOTimerClockUptimeRaw, deadline_ns, 0), 0);
}

static void
simulate(void (*function)(void *argument), uint32_t numer, uint32_t denom)
{
    for (uint64_t seed = 0; seed < 30; seed++) {
        const dx_simulation_config config = {.seed = seed, .timebase_numer = numer, .timebase_denom = denom};
        dx_simulation_result result;
        const kern_return_t status = dx_simulate(&config, function, NULL, &result);
        if (status != kIOReturnSuccess)
            (void)fprintf(stderr, "seed %u: %s\n", (unsigned)seed, result.message);
        CHECK_EQ(status, kIOReturnSuccess);
        CHECK(result.repeatable);
    }
}

static void
fire_on_each_clock(void *argument)
{
    (void)argument;
    static const struct {
        uint64_t clock, deadline, time, at_ns;
    } cases[] = {
        {kIOTimerClockUptimeRaw, START_NS + 500, START_NS + 500, START_NS + 500},
        {kIOTimerClockMonotonicRaw, START_NS + 1000, START_NS + 1000, START_NS + 1000},
        {kIOTimerClockRealTime, START_NS + 1500, START_NS + 1500, START_NS + 1500},
        /* 125/3 ns a tick: tick 24000048 begins at 24000048 * 125 / 3 = 1000002000 ns exactly, and the next
         * at 1000002041.67, so that the clock shows it from 1000002042 on. */
        {kIOTimerClockMachAbsoluteTime, 24000048, 24000048, START_NS + 2000},
        {kIOTimerClockMachContinuousTime, 24000049, 24000049, START_NS + 2042},
    };
    struct seen seen;
    set_up(&seen);
    CHECK_EQ(IOTimerDispatchSourceWakeAtTime(seen.timer, 0, 0, 0), kIOReturnBadArgument);
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(IOTimerDispatchSourceWakeAtTime(seen.timer, cases[i].clock, cases[i].deadline, 100), 0);
        dx_clock_sleep_until(dx_clock_current(), cases[i].at_ns + 1);
        CHECK_EQ(seen.calls, i + 1);
        CHECK_EQ(seen.times[i], cases[i].time);
        CHECK_EQ(seen.now_ns[i], cases[i].at_ns);
    }
    wake_at_ns(&seen, 1); // past: at once, with the time that it is
    IODelay(1);
    CHECK_EQ(seen.calls, 6);
    CHECK_EQ(seen.times[5], START_NS + 2043);
    tear_down(&seen);
}

static void
timers_fire_exactly_on_each_clock(void)
{
    simulate(fire_on_each_clock, 125, 3);
}

/* The way a driver paces its zero timestamps: 512 frames of 48 kHz in ticks of 125/3 ns are 256000. */
static void
fire_periodically(void *argument)
{
    (void)argument;
    struct seen seen;
    set_up(&seen);
    seen.period = 256000;
    seen.deadline = mach_absolute_time() + seen.period;
    CHECK_EQ(IOTimerDispatchSourceWakeAtTime(seen.timer, kIOTimerClockMachAbsoluteTime, seen.deadline, 0), 0);
    IOSleep(100);
    CHECK_EQ(seen.calls, 8);
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQ(seen.times[i], 24000000u + 256000u * (i + 1));
    tear_down(&seen);
}

static void
periodic_timer_does_not_drift(void)
{
    simulate(fire_periodically, 125, 3);
}

static void
occupy(void *context)
{
    (void)context;
    IOSleep(1);
}

static void
rearm(void *argument)
{
    (void)argument;
    struct seen seen;
    set_up(&seen);
    wake_at_ns(&seen, START_NS + 1000);
    wake_at_ns(&seen, START_NS + 3000); // later than the first
    dx_clock_sleep_until(dx_clock_current(), START_NS + 2000);
    CHECK_EQ(seen.calls, 0);
    wake_at_ns(&seen, START_NS + 2500); // sooner
    dx_clock_sleep_until(dx_clock_current(), START_NS + 10000);
    CHECK_EQ(seen.calls, 1);
    CHECK_EQ(seen.now_ns[0], START_NS + 2500);

    /* Due while the queue is busy, and replaced before its turn came: one call, at the later time. */
    wake_at_ns(&seen, START_NS + 20000);
    CHECK_EQ(IODispatchQueueDispatchAsync_f(seen.queue, NULL, occupy), 0);
    dx_clock_sleep_until(dx_clock_current(), START_NS + 30000);
    wake_at_ns(&seen, START_NS + 5000000);
    dx_clock_sleep_until(dx_clock_current(), START_NS + 6000000);
    CHECK_EQ(seen.calls, 2);
    CHECK_EQ(seen.now_ns[1], START_NS + 5000000);
    tear_down(&seen);
}

static void
new_deadline_replaces_the_old(void)
{
    simulate(rearm, 1, 1);
}

static void
mark(void *context)
{
    *(bool *)context = true;
}

static void
enable_and_disable(void *argument)
{
    (void)argument;
    struct seen seen;
    bool in_force = false;
    set_up(&seen);
    wake_at_ns(&seen, START_NS + 1000);
    CHECK_EQ(IOTimerDispatchSourceSetEnableWithCompletion_f(seen.timer, false, &in_force, mark), 0);
    dx_clock_sleep_until(dx_clock_current(), START_NS + 2000);
    CHECK(in_force);
    CHECK_EQ(seen.calls, 0);
    CHECK_EQ(IOTimerDispatchSourceSetEnable(seen.timer, true), 0);
    CHECK_EQ(IOTimerDispatchSourceSetEnable(seen.timer, true), 0); // once is enough
    dx_clock_sleep_until(dx_clock_current(), START_NS + 3000);
    CHECK_EQ(seen.calls, 1); // it had passed: at once
    CHECK_EQ(seen.now_ns[0], START_NS + 2000);

    CHECK_EQ(IOTimerDispatchSourceSetEnable(seen.timer, false), 0);
    wake_at_ns(&seen, START_NS + 5000); // may be armed while disabled
    CHECK_EQ(IOTimerDispatchSourceSetEnable(seen.timer, true), 0);
    dx_clock_sleep_until(dx_clock_current(), START_NS + 9000);
    CHECK_EQ(seen.calls, 2);
    CHECK_EQ(seen.now_ns[1], START_NS + 5000);
    tear_down(&seen);
}

static void
disabled_timer_waits_until_enabled(void)
{
    simulate(enable_and_disable, 1, 1);
}

static void
cancel_at_the_deadline(void *argument)
{
    (void)argument;
    struct seen seen;
    bool cancelled = false;
    set_up(&seen);
    wake_at_ns(&seen, START_NS + 1000);
    dx_clock_sleep_until(dx_clock_current(), START_NS + 1000); // before or after the timer: the seed's choice
    CHECK_EQ(IOTimerDispatchSourceCancel_f(seen.timer, &cancelled, mark), 0);
    while (!cancelled)
        dx_task_yield();
    const unsigned calls = seen.calls;
    CHECK(calls <= 1);
    CHECK_EQ(IOTimerDispatchSourceWakeAtTime(seen.timer, kIOTimerClockUptimeRaw, START_NS + 2000, 0),
             kIOReturnAborted);
    CHECK_EQ(IOTimerDispatchSourceCancel_f(seen.timer, NULL, NULL), kIOReturnAborted);
    CHECK_EQ(IOTimerDispatchSourceSetEnable(seen.timer, true), kIOReturnAborted);
    dx_clock_sleep_until(dx_clock_current(), START_NS + 9000);
    CHECK_EQ(seen.calls, calls);
    tear_down(&seen);
}

static void
no_call_follows_the_completion_of_cancel(void)
{
    simulate(cancel_at_the_deadline, 1, 1);
}

static void
end_while_armed(void *argument)
{
    (void)argument;
    struct seen seen;
    set_up(&seen);
    wake_at_ns(&seen, START_NS + 1000);
    tear_down(&seen);
    dx_clock_sleep_until(dx_clock_current(), START_NS + 2000);
    CHECK_EQ(seen.calls, 0);

    set_up(&seen);
    wake_at_ns(&seen, START_NS + 3000);
    CHECK_EQ(IODispatchQueueCancel_f(seen.queue, NULL, NULL), 0);
    dx_clock_sleep_until(dx_clock_current(), START_NS + 4000);
    CHECK_EQ(seen.calls, 0);
    CHECK_EQ(IOTimerDispatchSourceWakeAtTime(seen.timer, kIOTimerClockUptimeRaw, 0, 0), kIOReturnAborted);
    tear_down(&seen);

    /* Nothing but an armed timer is left: the run goes on until it has fired. */
    set_up(&seen);
    wake_at_ns(&seen, START_NS + 5000);
    dx_clock_sleep_until(dx_clock_current(), START_NS + 5001);
    CHECK_EQ(seen.calls, 1);
    tear_down(&seen);
}

static void
released_or_orphaned_timer_does_not_fire(void)
{
    simulate(end_while_armed, 1, 1);
}

/* Contexts that the timer owns. */

static void
release_context(void *context)
{
    ++*(unsigned *)context;
}

static void
ignore(void *context, uint64_t time)
{
    (void)context;
    (void)time;
}

static void
owned_context_is_released_once(void)
{
    unsigned first = 0, second = 0;
    struct seen seen;
    set_up(&seen);
    CHECK_EQ(dx_timer_set_owned_handler(seen.timer, &first, ignore, release_context), 0);
    CHECK_EQ(first, 0);
    CHECK_EQ(dx_timer_set_owned_handler(seen.timer, &second, ignore, release_context), 0);
    CHECK_EQ(first, 1);
    CHECK_EQ(second, 0);
    tear_down(&seen);
    CHECK_EQ(first, 1);
    CHECK_EQ(second, 1);
    CHECK_EQ(IOTimerDispatchSourceCreate(NULL, &seen.timer), kIOReturnBadArgument);
}

/* Threads. */

struct race {
    IOTimerDispatchSource *timer;
    _Atomic uint32_t calls, cancelled;
};

static void
count_call(void *context, uint64_t time)
{
    (void)time;
    struct race *const race = context;
    CHECK(!atomic_load_explicit(&race->cancelled, memory_order_acquire));
    atomic_fetch_add_explicit(&race->calls, 1, memory_order_relaxed);
    (void)IOTimerDispatchSourceWakeAtTime(race->timer, kIOTimerClockMachAbsoluteTime, 0, 0); // until cancelled
}

static void
note_cancelled(void *context)
{
    struct race *const race = context;
    atomic_store_explicit(&race->cancelled, 1, memory_order_release);
}

static void
host_timer_fires_until_cancelled(void)
{
    IODispatchQueue *queue;
    struct race race = {0};
    CHECK_EQ(IODispatchQueueCreate("race", 0, 0, &queue), 0);
    CHECK_EQ(IOTimerDispatchSourceCreate(queue, &race.timer), 0);
    CHECK_EQ(IOTimerDispatchSourceSetHandler_f(race.timer, &race, count_call), 0);
    CHECK_EQ(IOTimerDispatchSourceWakeAtTime(race.timer, kIOTimerClockRealTime, 0, 0), 0);
    while (atomic_load_explicit(&race.calls, memory_order_relaxed) < 100)
        dx_task_yield();
    CHECK_EQ(IOTimerDispatchSourceCancel_f(race.timer, &race, note_cancelled), 0);
    while (!atomic_load_explicit(&race.cancelled, memory_order_acquire))
        dx_task_yield();
    OSObjectRelease(race.timer);
    OSObjectRelease(queue);
}

#if DX_HAVE_BLOCKS
static void
blocks_are_called(void)
{
    IODispatchQueue *queue;
    IOTimerDispatchSource *timer;
    __block _Atomic unsigned calls = 0, cancelled = 0;
    CHECK_EQ(IODispatchQueueCreate("blocks", 0, 0, &queue), 0);
    CHECK_EQ(IOTimerDispatchSourceCreate(queue, &timer), 0);
    CHECK_EQ(IOTimerDispatchSourceSetHandler_b(timer, ^(uint64_t time) { calls += time > 0; }), 0);
    CHECK_EQ(IOTimerDispatchSourceWakeAtTime(timer, kIOTimerClockUptimeRaw, 0, 0), 0);
    while (!calls)
        dx_task_yield();
    CHECK_EQ(IOTimerDispatchSourceCancel_b(timer, ^{ cancelled = 1; }), 0);
    while (!cancelled)
        dx_task_yield();
    OSObjectRelease(timer);
    OSObjectRelease(queue);
}
#endif

int
main(void)
{
    RUN(timers_fire_exactly_on_each_clock);
    RUN(periodic_timer_does_not_drift);
    RUN(new_deadline_replaces_the_old);
    RUN(disabled_timer_waits_until_enabled);
    RUN(no_call_follows_the_completion_of_cancel);
    RUN(released_or_orphaned_timer_does_not_fire);
    RUN(owned_context_is_released_once);
    RUN(host_timer_fires_until_cancelled);
#if DX_HAVE_BLOCKS
    RUN(blocks_are_called);
#endif
    return 0;
}
