// SPDX-License-Identifier: MIT
// What the two kinds of clock share; for core/clock*.c alone.

#ifndef DX_CORE_CLOCK_OPS_H
#define DX_CORE_CLOCK_OPS_H

#include "core/clock.h"

/** What a kind of clock provides; all mandatory.  Contracts: the functions of the same name in clock.h. */
struct dx_clock_ops {
    uint64_t (*now_ns)(const dx_clock *clock) DX_REALTIME;
    uint64_t (*realtime_ns)(const dx_clock *clock); // CLOCK_REALTIME; the same as now_ns when simulated
    void (*sleep_until)(dx_clock *clock, uint64_t host_time_ns);
    int (*wait)(dx_clock *clock, const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns,
                const struct dx_wait_reason *reason);
    void (*wake)(dx_clock *clock, const _Atomic uint32_t *word, uint32_t count);
    kern_return_t (*spawn)(dx_clock *clock, const dx_task_config *config, void (*function)(void *argument),
                           void *argument, dx_task **ret_task); // config is checked and not NULL
    void (*join)(dx_task *task);
    void (*detach)(dx_task *task);
    void (*yield)(dx_clock *clock);
    uint64_t (*random)(dx_clock *clock);
};

struct dx_clock {
    const struct dx_clock_ops *ops;
    bool simulated;
    _Atomic uint32_t timebase_numer; // ns = ticks * numer / denom; written before drivers exist
    _Atomic uint32_t timebase_denom;
    _Atomic uint32_t foreign; // simulated: a task of it used another clock, or another thread woke it
};

struct dx_task {
    dx_clock *clock;
    struct dx_queue_frame *queue_frames; // used by the task alone
    unsigned degraded;                   // fixed before the task's function runs
    char name[32];
};

/*
 * The running task; NULL on threads of the user's own.  Initial-exec: no lazy allocation on first use
 * by an IO thread, at the price of a few bytes of static TLS when the library is loaded late.
 */
extern _Thread_local struct dx_task *dx_current_task __attribute__((tls_model("initial-exec")));

extern struct dx_clock dx_host_clock;

/** Fills in what all tasks have. */
void dx_task_init(struct dx_task *task, dx_clock *clock, const char *name);

/** The simulated clock's line for its log; called for simulated clocks only. */
void dx_simulation_note_on(dx_clock *clock, const char *text);

#endif /* DX_CORE_CLOCK_OPS_H */
