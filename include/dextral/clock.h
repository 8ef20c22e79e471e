// SPDX-License-Identifier: MIT
// Time as a parameter: the host's clock, and a simulated one that runs hours in seconds.

#ifndef DEXTRAL_CLOCK_H
#define DEXTRAL_CLOCK_H

#include <dextral/base.h>

DX_BEGIN_DECLS

/**
 * A source of time and of tasks that wait on it.
 *
 * Every clock read, sleep, timer and wait of the library goes through one.  There are two kinds: the
 * host's (CLOCK_MONOTONIC, tasks are threads), and simulated ones (tasks are fibers on one OS thread,
 * time advances only when every fiber waits).  An object belongs to the clock that was current where it
 * was made.
 */
typedef struct dx_clock dx_clock;

/** A thread of the host clock, or a fiber of a simulated one. */
typedef struct dx_task dx_task;

/** A deadline that never comes. */
#define DX_NEVER UINT64_MAX

/**
 * The clock of the calling task; the host's clock on threads that the library did not make.
 *
 * @return borrowed; never NULL.
 *
 * Thread: any.  Real-time: yes, wait-free.
 */
DX_API dx_clock *dx_clock_current(void) DX_REALTIME;

/**
 * The host's clock: CLOCK_MONOTONIC and threads.
 *
 * @return one object for the whole process, never NULL.
 *
 * Thread: any.  Real-time: yes, wait-free.
 */
DX_API dx_clock *dx_clock_host(void) DX_REALTIME;

/**
 * Reads the clock.
 *
 * @param clock  borrowed for the call.
 * @return nanoseconds; CLOCK_MONOTONIC for the host's clock.
 *
 * Thread: any of that clock.  Real-time: yes.
 */
DX_API uint64_t dx_clock_now_ns(dx_clock *clock) DX_REALTIME;

/** Whether the clock is simulated.  Thread: any.  Real-time: yes, wait-free. */
DX_API bool dx_clock_is_simulated(const dx_clock *clock) DX_REALTIME;

/**
 * Sleeps until the clock shows a time; returns at once if it is past.
 *
 * Thread: any of that clock.  Real-time: no, blocks.
 */
DX_API void dx_clock_sleep_until(dx_clock *clock, uint64_t host_time_ns);

/** What a task is to be.  All-zero is a plain task without a name. */
typedef struct dx_task_config {
    const char *name;     ///< copied, at most 15 bytes are shown by the system; NULL: "dx-task"
    int priority;         ///< SCHED_FIFO priority 1 ... 99; 0: plain scheduling
    int cpu;              ///< 1 + number of the CPU to stay on; 0: any
    size_t stack_bytes;   ///< 0: 256 KiB; for a real-time task all of it is locked and touched
} dx_task_config;

/** Why a real-time task is less than what was asked for: bits of dx_task_degraded(). */
enum {
    DX_TASK_NOT_REALTIME = 1u << 0, ///< SCHED_FIFO was refused
    DX_TASK_NOT_PINNED = 1u << 1,   ///< the CPU could not be set
    DX_TASK_NOT_LOCKED = 1u << 2,   ///< its stack could not be locked into memory
};

/**
 * Starts a task on a clock.
 *
 * @param clock     borrowed; must outlive the task.
 * @param config    borrowed for the call; NULL is all-zero.
 * @param function  runs on the new task.
 * @param argument  handed to the function.
 * @param ret_task  the task, to be joined with dx_task_join(); written on success only.
 * @return kIOReturnSuccess; kIOReturnNoMemory; kIOReturnNoResources (no thread could be made);
 *         kIOReturnBadArgument (no function, a priority or CPU that does not exist).
 *
 * A real-time task that the system refuses starts with plain scheduling: see dx_task_degraded().
 *
 * Thread: any of that clock.  Real-time: no.
 */
DX_API kern_return_t dx_task_spawn(dx_clock *clock, const dx_task_config *config,
                                   void (*function)(void *argument), void *argument, dx_task **ret_task);

/**
 * Waits until a task has ended, and frees it.
 *
 * @param task  taken; NULL is fine.  Never the calling task.
 *
 * Thread: any of the task's clock.  Real-time: no, blocks.
 */
DX_API void dx_task_join(dx_task *task);

/** Bits of what a task lacks, settled before its function runs.  Thread: any.  Real-time: yes. */
DX_API unsigned dx_task_degraded(const dx_task *task) DX_REALTIME;

/**
 * What to do about it: one sentence with the fix for each bit of dx_task_degraded().
 *
 * @return a string of the library's own; "" where no bit is set.
 *
 * Thread: any.  Real-time: no.
 */
DX_API const char *dx_task_degraded_advice(unsigned degraded);

/**
 * Lets other tasks of a simulated clock run that are due now; sched_yield() on the host's clock.
 *
 * Thread: any.  Real-time: no.
 */
DX_API void dx_task_yield(void);

/** What dx_simulate() is to do.  All-zero is fine. */
typedef struct dx_simulation_config {
    uint32_t size;            ///< sizeof(dx_simulation_config), or 0
    uint32_t timebase_numer;  ///< as dx_clock_set_timebase(); 0: 1
    uint32_t timebase_denom;  ///< as dx_clock_set_timebase(); 0: 1
    uint64_t seed;            ///< orders tasks that are due at the same time
    uint64_t start_time_ns;   ///< what the clock shows first; 0: 1 s, so that no time is 0
    uint64_t limit_ns;        ///< simulated time after which the run counts as endless; 0: no limit
    void (*log)(void *context, const char *line); ///< one line for each event; NULL: none
    void *log_context;        ///< handed to log
} dx_simulation_config;

/** How a simulation ended. */
typedef struct dx_simulation_result {
    uint64_t end_time_ns;   ///< what the clock showed last
    uint64_t switches;      ///< how often a fiber was entered
    uint64_t log_hash;      ///< FNV-1a of every event (time, task, kind): equal runs have equal hashes
    bool repeatable;        ///< false: something read another clock through this library, or made threads
    char message[1024];     ///< why it failed: for a deadlock, each task and what it waits for
} dx_simulation_result;

/**
 * Runs a function, and all tasks it starts, on a new simulated clock until all have ended.
 *
 * @param config      borrowed for the call; NULL is all-zero.
 * @param function    the first task.
 * @param argument    handed to the function.
 * @param ret_result  written always; may be NULL.
 * @return kIOReturnSuccess; kIOReturnTimeout (the limit was reached); kIOReturnInternalError (a
 *         deadlock: tasks wait and no event can wake them); kIOReturnNoMemory.  On a deadlock or time-out
 *         the fibers are abandoned where they stand: their stacks are freed, what they held is not.
 *
 * Thread: any that is not a task of a simulation.  Real-time: no.
 */
DX_API kern_return_t dx_simulate(const dx_simulation_config *config, void (*function)(void *argument),
                                 void *argument, dx_simulation_result *ret_result);

/**
 * Writes a line into the simulation's event log (and into its hash); nothing on the host's clock.
 *
 * @param text  borrowed for the call.
 *
 * Thread: tasks of a simulation.  Real-time: no.
 */
DX_API void dx_simulation_note(const char *text);

/**
 * A number from the simulation's seeded generator; from getrandom() on the host's clock.
 *
 * Thread: any of that clock.  Real-time: no.
 */
DX_API uint64_t dx_clock_random(dx_clock *clock);

/* The spellings drivers know. */

/**
 * Sets how long a tick of host time is: ns = ticks * numer / denom.
 *
 * Host times that drivers see (zero timestamps, the handler's host_time, mach_absolute_time(), timers on
 * the mach clocks) are ticks; everything spelled dx_ and ending in _ns is nanoseconds.  125/3 is Apple
 * silicon's, 1/1 the default.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (a part is 0).
 *
 * Thread: any, before the first driver is made on that clock.  Real-time: no.
 */
DX_API kern_return_t dx_clock_set_timebase(dx_clock *clock, uint32_t numer, uint32_t denom);

/**
 * Host time in ticks of the current clock; one nanosecond each unless dx_clock_set_timebase() said
 * otherwise.
 *
 * Thread: any.  Real-time: yes.
 * Source: mach_absolute_time().
 */
DX_API uint64_t mach_absolute_time(void) DX_REALTIME;

/** mach_absolute_time(): the emulated machine never sleeps.  Source: mach_continuous_time(). */
DX_API uint64_t mach_continuous_time(void) DX_REALTIME;

/** Ratio of ticks to nanoseconds: ns = ticks * numer / denom. */
typedef struct mach_timebase_info {
    uint32_t numer; ///< numerator
    uint32_t denom; ///< denominator
} mach_timebase_info_data_t;
typedef mach_timebase_info_data_t *mach_timebase_info_t;

/**
 * Tells the ratio of ticks to nanoseconds of the current clock.
 *
 * Thread: any.  Real-time: yes.
 * Source: mach_timebase_info().  Differs: never fails.
 */
DX_API kern_return_t mach_timebase_info(mach_timebase_info_t info) DX_REALTIME;

/** Sleeps on the calling task's clock.  Thread: any.  Real-time: no, blocks.  Source: IOSleep(). */
DX_API void IOSleep(uint64_t milliseconds);

/** Sleeps on the calling task's clock.  Thread: any.  Real-time: no, blocks.  Source: IODelay(). */
DX_API void IODelay(uint64_t microseconds);

DX_END_DECLS

#endif /* DEXTRAL_CLOCK_H */
