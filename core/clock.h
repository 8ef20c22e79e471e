// SPDX-License-Identifier: MIT
// The inside of a clock: what each of its two forms provides, and the one way to wait.

#ifndef DX_CORE_CLOCK_H
#define DX_CORE_CLOCK_H

#include <dextral/clock.h>

#include <stdatomic.h>

struct dx_task;

/* Who waits for what: shown when a simulation deadlocks. */
struct dx_wait_reason {
    const char *what;             // "queue", "mutex", "join", "zero timestamp", ...; a literal
    const char *name;             // of the thing waited for; may be NULL; must outlive the wait
    const struct dx_task *holder; // who has it now, as far as known; may be NULL
    const struct dx_task *_Atomic const *holder_at; // where that stands when it changes during the wait; or NULL
    bool idle; // nobody needs this wait to end: a simulation whose tasks all wait so, for ever, is over
};

/**
 * Waits on a word, as futex(2) does: returns when woken, when *word is not `expected`, or at a time.
 *
 * @param deadline_ns  on the clock; DX_NEVER: none.
 * @param reason       borrowed for the call; never NULL.
 * @return 0 (woken, perhaps for nothing), -EAGAIN (the word differs), -ETIMEDOUT.
 *
 * Thread: any of that clock.  Real-time: no, blocks.
 */
int dx_clock_wait(dx_clock *clock, const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns,
                  const struct dx_wait_reason *reason);

/**
 * Wakes up to `count` waiters of a word.
 *
 * Thread: any.  Real-time: no (a system call on the host's clock), but never blocks.
 */
void dx_clock_wake(dx_clock *clock, const _Atomic uint32_t *word, uint32_t count);

/** Nanoseconds to ticks of the clock's timebase and back; both saturate.  Real-time: yes. */
uint64_t dx_clock_ticks_from_ns(const dx_clock *clock, uint64_t ns) DX_REALTIME;
uint64_t dx_clock_ns_from_ticks(const dx_clock *clock, uint64_t ticks) DX_REALTIME;

/** The calling task; made on the fly (and freed at thread exit) for threads of the user's own. */
struct dx_task *dx_task_current(void);

/**
 * Lets a task go that is about to end: it is freed some time after it has.  Instead of dx_task_join(); the
 * task itself may.  At exit() and dlclose() those of the host's clock are waited for.
 *
 * Thread: any of the task's clock.  Real-time: no.
 */
void dx_task_detach(struct dx_task *task);

/**
 * Sets whom a thread of the host's clock asks when it may not take the real-time priority that it was made for: a process
 * that gave up its rights.  `ask` is called on that thread, may block for a moment, and has the priority given to the
 * calling thread; whether it was, the thread sees for itself.  NULL: nobody.
 *
 * Thread: control, while no task is being made.
 */
void dx_task_set_realtime_asker(void (*ask)(void *context, int priority), void *context);

/** CLOCK_REALTIME in nanoseconds; a simulated clock's own time.  Thread: any of that clock.  Real-time: no. */
uint64_t dx_clock_realtime_ns(dx_clock *clock);

/** Opaque identity of the calling thread or fiber, for "am I the IO task?".  Wait-free. */
const void *dx_task_self(void) DX_REALTIME;

/** The serial queues a task is running on, innermost first: a list that dx_queue keeps. */
struct dx_queue_frame;
struct dx_queue_frame **dx_task_queue_frames(struct dx_task *task);

const char *dx_task_name(const struct dx_task *task);

#endif /* DX_CORE_CLOCK_H */
