// SPDX-License-Identifier: MIT
// The host's clock: CLOCK_MONOTONIC, threads, futexes.

#include "core/clock_ops.h"
#include "core/realtime.h"
#include "core/stack.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct host_task {
    struct dx_task task; // first
    pthread_t thread;
    struct dx_stack stack;
    int priority; // as in dx_task_config
    int cpu;
    void (*function)(void *argument);
    void *argument;
    _Atomic uint32_t started; // 1: set up, degraded is settled
    _Atomic uint32_t ended;   // 1: the function returned
    struct host_task *next_detached;
};

/*
 * Tasks that were let go.  A thread cannot unmap the stack that it stands on, so whoever spawns or joins
 * next joins those that have ended.  Pushed one by one, taken all at once: no ABA.
 */
static struct host_task *_Atomic detached_tasks;

static struct timespec
timespec_from_ns(uint64_t ns)
{
    /* 2^31 - 1 s at most: fits a 32-bit time_t, and is never reached by a monotonic clock. */
    const uint64_t seconds = ns / 1000000000u < INT32_MAX ? ns / 1000000000u : INT32_MAX;
    return (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)(ns % 1000000000u)};
}

static uint64_t
ns_from_timespec(struct timespec time) DX_REALTIME
{
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t
host_now_ns(const dx_clock *clock) DX_REALTIME
{
    (void)clock;
    struct timespec now;
    DX_REALTIME_TRUSTED_BEGIN("clock_gettime: in the vDSO; at worst a system call that does not sleep")
    (void)clock_gettime(CLOCK_MONOTONIC, &now); // cannot fail for this clock
    DX_REALTIME_TRUSTED_END
    return ns_from_timespec(now);
}

static uint64_t
host_realtime_ns(const dx_clock *clock)
{
    (void)clock;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); // cannot fail for this clock
    return ns_from_timespec(now);
}

static void
host_sleep_until(dx_clock *clock, uint64_t host_time_ns)
{
    (void)clock;
    const struct timespec deadline = timespec_from_ns(host_time_ns);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR)
        ;
}

/* The system call whose timespec is the C library's. */
static long
futex_number(void)
{
#ifdef SYS_futex_time64
    if (sizeof(time_t) > sizeof(long))
        return SYS_futex_time64;
#endif
    return SYS_futex;
}

static int
host_wait(dx_clock *clock, const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns,
          const struct dx_wait_reason *reason)
{
    (void)clock;
    (void)reason;
    const struct timespec deadline = timespec_from_ns(deadline_ns);
    if (syscall(futex_number(), word, FUTEX_WAIT_BITSET_PRIVATE, expected,
                deadline_ns == DX_NEVER ? NULL : &deadline, NULL, FUTEX_BITSET_MATCH_ANY) == 0)
        return 0;
    switch (errno) {
    case EAGAIN:
        return -EAGAIN;
    case ETIMEDOUT:
        return -ETIMEDOUT;
    default:
        return 0; // EINTR: woken for nothing
    }
}

static void
host_wake(dx_clock *clock, const _Atomic uint32_t *word, uint32_t count)
{
    (void)clock;
    const int wakes = count < INT32_MAX ? (int)count : INT32_MAX;
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, wakes); // fails for unmapped words only
}

static void
host_yield(dx_clock *clock)
{
    (void)clock;
    (void)sched_yield(); // cannot fail on Linux
}

static uint64_t
host_random(dx_clock *clock)
{
    (void)clock;
    uint64_t value = 0;
    while (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
        ; // EINTR, before the pool is ready
    return value;
}

/* Tasks. */

/* Who is asked where the system refuses; set while no task is being made. */
static struct {
    void (*ask)(void *context, int priority);
    void *context;
} realtime_asker;

void
dx_task_set_realtime_asker(void (*ask)(void *context, int priority), void *context)
{
    realtime_asker.ask = ask;
    realtime_asker.context = context;
}

static bool
has_priority(int priority)
{
    struct sched_param found = {0};
    return sched_getscheduler(0) == (SCHED_FIFO | SCHED_RESET_ON_FORK) && sched_getparam(0, &found) == 0 &&
           found.sched_priority == priority;
}

static bool
set_scheduling(int priority)
{
    const struct sched_param plain = {0};
    if (!priority) {
        /* A spawner of the user's own may be real-time without reset-on-fork. */
        const int policy = sched_getscheduler(0);
        if (policy == SCHED_FIFO || policy == SCHED_RR)
            (void)sched_setscheduler(0, SCHED_OTHER, &plain); // lowering oneself is always allowed
        (void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); // cannot fail; real-time tasks have none
        return true;
    }
    const struct sched_param wanted = {.sched_priority = priority};
    (void)sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &wanted); // seen by what follows
    if (!has_priority(priority) && realtime_asker.ask)
        realtime_asker.ask(realtime_asker.context, priority);
    if (has_priority(priority))
        return true;
    (void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); // cannot fail
    return false;
}

static bool
set_cpu(int cpu)
{
    if (!cpu)
        return true;
    cpu_set_t wanted, found;
    CPU_ZERO(&wanted);
    CPU_SET(cpu - 1, &wanted);
    (void)sched_setaffinity(0, sizeof wanted, &wanted); // seen by what follows
    return sched_getaffinity(0, sizeof found, &found) == 0 && CPU_EQUAL(&wanted, &found);
}

static void *
run_task(void *argument)
{
    struct host_task *const self = argument;
    dx_current_task = &self->task;
    char name[16] = {0};
    for (size_t i = 0; i < sizeof name - 1; i++)
        name[i] = self->task.name[i];
    (void)pthread_setname_np(pthread_self(), name); // for the eyes only

    if (!set_scheduling(self->priority))
        self->task.degraded |= DX_TASK_NOT_REALTIME;
    if (!set_cpu(self->cpu))
        self->task.degraded |= DX_TASK_NOT_PINNED;

    /* release: pairs with the acquire in host_spawn(); degraded is settled. */
    atomic_store_explicit(&self->started, 1, memory_order_release);
    host_wake(&dx_host_clock, &self->started, 1);

    self->function(self->argument);

    /* release: pairs with the acquire in reap_detached(); pthread_join() orders the rest. */
    atomic_store_explicit(&self->ended, 1, memory_order_release);
    return NULL;
}

static void
free_task(struct host_task *task)
{
    dx_stack_unmap(&task->stack);
    free(task);
}

static void
host_detach(dx_task *task)
{
    struct host_task *const self = (struct host_task *)task;
    /* relaxed: the exchange checks it.  release: pairs with the acquire in reap_detached(). */
    struct host_task *head = atomic_load_explicit(&detached_tasks, memory_order_relaxed);
    do
        self->next_detached = head;
    while (!atomic_compare_exchange_weak_explicit(&detached_tasks, &head, self, memory_order_release,
                                                  memory_order_relaxed));
}

static void
reap_detached(void)
{
    /* acquire: pairs with the release in host_detach(); next_detached is visible. */
    struct host_task *list = atomic_exchange_explicit(&detached_tasks, NULL, memory_order_acquire);
    while (list) {
        struct host_task *const task = list;
        list = task->next_detached;
        /* acquire: pairs with the release in run_task(). */
        if (atomic_load_explicit(&task->ended, memory_order_acquire)) {
            (void)pthread_join(task->thread, NULL); // it is past its function: a moment
            free_task(task);
        } else {
            host_detach(&task->task);
        }
    }
}

/* At exit and dlclose(): no thread may stand in code that is about to go. */
__attribute__((destructor)) static void
join_detached(void)
{
    /* acquire: as in reap_detached(). */
    struct host_task *list = atomic_exchange_explicit(&detached_tasks, NULL, memory_order_acquire);
    while (list) {
        struct host_task *const task = list;
        list = task->next_detached;
        if (pthread_join(task->thread, NULL) == 0) // refused to the task itself, when it calls exit()
            free_task(task);
    }
}

static int
create_thread(struct host_task *task)
{
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error)
        return -error;
    error = pthread_attr_setstack(&attributes, task->stack.base, task->stack.bytes);
    if (!error) {
        /* The new thread inherits the mask: it never sees a signal, not even at its start. */
        sigset_t all, before;
        (void)sigfillset(&all);                         // cannot fail
        (void)pthread_sigmask(SIG_SETMASK, &all, &before); // cannot fail
        error = pthread_create(&task->thread, &attributes, run_task, task);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL); // cannot fail
    }
    (void)pthread_attr_destroy(&attributes); // cannot fail
    return -error;
}

static kern_return_t
host_spawn(dx_clock *clock, const dx_task_config *config, void (*function)(void *argument), void *argument,
           dx_task **ret_task)
{
    reap_detached();
    struct host_task *const task = calloc(1, sizeof *task);
    if (!task)
        return kIOReturnNoMemory;
    dx_task_init(&task->task, clock, config->name);
    task->priority = config->priority;
    task->cpu = config->cpu;
    task->function = function;
    task->argument = argument;
    if (dx_stack_map(config->stack_bytes, &task->stack) < 0) {
        free_task(task);
        return kIOReturnNoMemory;
    }
    if (config->priority && !dx_stack_lock(&task->stack))
        task->task.degraded |= DX_TASK_NOT_LOCKED;
    if (create_thread(task) < 0) {
        free_task(task);
        return kIOReturnNoResources;
    }

    const struct dx_wait_reason reason = {.what = "start", .name = task->task.name, .holder = &task->task};
    /* acquire: pairs with the release in run_task(). */
    while (!atomic_load_explicit(&task->started, memory_order_acquire))
        (void)host_wait(clock, &task->started, 0, DX_NEVER, &reason); // the loop looks again
    *ret_task = &task->task;
    return kIOReturnSuccess;
}

static void
host_join(dx_task *task)
{
    struct host_task *const self = (struct host_task *)task;
    const int error = pthread_join(self->thread, NULL);
    assert(!error);
    (void)error;
    free_task(self);
    reap_detached();
}

static const struct dx_clock_ops host_ops = {
    .now_ns = host_now_ns,
    .realtime_ns = host_realtime_ns,
    .sleep_until = host_sleep_until,
    .wait = host_wait,
    .wake = host_wake,
    .spawn = host_spawn,
    .join = host_join,
    .detach = host_detach,
    .yield = host_yield,
    .random = host_random,
};

struct dx_clock dx_host_clock = {
    .ops = &host_ops,
    .timebase_numer = 1,
    .timebase_denom = 1,
};
