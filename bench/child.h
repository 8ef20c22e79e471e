// SPDX-License-Identifier: MIT
// Processes that a bench starts: itself again, each in a role, with memory that all of them share.

#ifndef DX_BENCH_CHILD_H
#define DX_BENCH_CHILD_H

#include <dextral/base.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_MOST_CHILDREN 64u

/* What a process tells; it alone writes. */
struct bench_report {
    _Atomic uint32_t is_ready;  // it does what it is measured for
    _Atomic uint64_t callbacks; // of all its clients
    _Atomic uint64_t lost_frames; // of all its clients, as told to them
    _Atomic uint64_t errors;    // calls that failed
    _Atomic uint64_t glitches;  // of its signal, and see struct bench_signal
    _Atomic uint64_t latency_frames;
    _Atomic uint64_t reported_frames; // by the interface that it uses
    _Atomic uint64_t longest_ns; // that it came too late
    _Atomic uint64_t sounds;     // times that it was silent, and then was not
    _Atomic uint64_t sound_ns;   // host time of the last
};

struct bench_shared {
    _Atomic uint32_t is_over; // 1: end, all of you
    _Atomic uint32_t fault;   // what a role that misbehaves is to do
    struct bench_report reports[BENCH_MOST_CHILDREN];
};

/* What a process does, from its start to its end; what it returns is its exit status. */
struct bench_role {
    const char *name;
    int (*run)(struct bench_shared *shared, struct bench_report *report, char **arguments);
};

/* First thing in main(): in a process that was started as a child this runs its role, and ends. */
void bench_run_child(int argc, char **argv, const struct bench_role *roles, size_t count);

/* The memory; made with the first call. */
struct bench_shared *bench_shared(void);

/* Starts process `index`, from 0 on without gaps; arguments end in NULL. */
void bench_child_start(unsigned index, const char *role, const char *const *arguments);

/* Waits until the first `count` are ready; ends the program where one is not within 20 s. */
void bench_children_wait(unsigned count);

/* Ends all of them, and forgets what they told. */
void bench_children_end(void);

/* Borrowed; as many as were started. */
const pid_t *bench_children_pids(void);

/* The sum of a member of the reports of the first `count`. */
#define BENCH_CHILDREN_SUM(count, member)                                                                   \
    ({                                                                                                      \
        uint64_t sum_ = 0;                                                                                  \
        for (unsigned i_ = 0; i_ < (count); i_++)                                                           \
            sum_ += atomic_load_explicit(&bench_shared()->reports[i_].member, memory_order_relaxed);        \
        sum_;                                                                                               \
    })

/* ---- a signal that tells where it comes from ---- */

/*
 * Frame k carries k itself, in 23 bits, as a float below 0.5.  What comes back tells how long it took; when that changes, a
 * frame was lost, doubled or spoilt: a glitch, which lasts until 64 frames behind each other took the same time.
 */
struct bench_signal {
    uint64_t next;    // frame to be sent
    uint32_t latency; // that stands; UINT32_MAX: none yet
    uint32_t other;   // the last one that was different ...
    uint32_t others;  // ... and how often it came since
    bool is_broken;
};

#define BENCH_SIGNAL_BITS 23u

/* Looks at what came in at a frame, and gives what goes out at it. */
static inline float
bench_signal_pass(struct bench_signal *signal, struct bench_report *report, float in) DX_REALTIME
{
    const uint32_t mask = (1u << BENCH_SIGNAL_BITS) - 1u;
    const float scaled = in * 0x1p24f;
    const bool is_own = scaled >= 1.0f && scaled <= (float)(mask + 1u);
    const uint32_t latency = is_own ? ((uint32_t)signal->next - ((uint32_t)scaled - 1u)) & mask : UINT32_MAX;
    if (latency == signal->latency) {
        signal->others = 0;
        signal->is_broken = false;
    } else {
        if (!signal->is_broken && signal->latency != UINT32_MAX)
            atomic_fetch_add_explicit(&report->glitches, 1, memory_order_relaxed);
        signal->is_broken = true;
        signal->others = latency == signal->other ? signal->others + 1 : 1;
        signal->other = latency;
        if (signal->others == 64 && is_own) {
            signal->latency = latency;
            signal->is_broken = false;
            atomic_store_explicit(&report->latency_frames, latency, memory_order_relaxed);
        }
    }
    return (float)(((uint32_t)signal->next++ & mask) + 1u) * 0x1p-24f;
}

#endif /* DX_BENCH_CHILD_H */
