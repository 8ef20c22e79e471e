// SPDX-License-Identifier: MIT
// What the benches share: options, a tick counter, distributions, verdicts, and what one needs to know about the
// machine to believe a figure.

#ifndef DX_BENCH_BENCH_H
#define DX_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct bench_options {
    bool json;
    double seconds; // what the bench may take, about
};

/* Takes `--json` and `--seconds S`; anything else ends the program with 2. */
struct bench_options bench_options(int argc, char **argv, double default_seconds);

/* Ends the program. */
_Noreturn void bench_die(const char *what);

/* Memory that was touched; ends the program when there is none. */
void *bench_allocate(size_t bytes);

/* ---- time ---- */

uint64_t bench_now_ns(void);

/*
 * A counter that is cheap to read, and ordered: what stands before it is over, what stands behind it has not begun.
 * Where there is none it is CLOCK_MONOTONIC.
 */
static inline uint64_t
bench_ticks(void)
{
#if defined(__x86_64__)
    uint32_t low, high;
    __asm__ volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(ticks) : : "memory");
    return ticks;
#else
    return bench_now_ns();
#endif
}

/* Nanoseconds of a tick, measured against CLOCK_MONOTONIC the first time. */
double bench_ns_per_tick(void);

/* The median of two readings with nothing in between, in ticks: part of every interval measured with them. */
uint64_t bench_tick_overhead(void);

/* ---- distributions ---- */

struct bench_series {
    uint64_t *values;
    size_t count;
    size_t capacity;
    bool sorted;
};

struct bench_series bench_series_create(size_t capacity);
void bench_series_finish(struct bench_series *series);
void bench_series_clear(struct bench_series *series);

/* What does not fit is dropped: see to it that it does. */
static inline void
bench_series_add(struct bench_series *series, uint64_t value)
{
    if (series->count < series->capacity)
        series->values[series->count++] = value;
}

/* The value that a fraction of all do not exceed; sorts. 0 when empty. */
uint64_t bench_series_quantile(struct bench_series *series, double fraction);

struct bench_summary {
    size_t count;
    double p50, p99, p999, max;
};

/* Each value less `less`, times `factor`; never below 0. */
struct bench_summary bench_series_summary(struct bench_series *series, uint64_t less, double factor);

/* ---- output ---- */

enum bench_verdict {
    BENCH_PASS,
    BENCH_FAIL,
    BENCH_NOISY, // the control strayed: the figure says nothing, which is not a pass
};

const char *bench_verdict_name(enum bench_verdict verdict);

/* NOISY before FAIL before PASS. */
enum bench_verdict bench_judge(bool held, bool noisy);

/*
 * One line that ends in the verdict, or a JSON object behind the separator.
 *
 * @param limit   what had to hold.
 * @param figure  what came out, with its unit.
 */
void bench_print_verdict(const struct bench_options *options, const char *separator, const char *limit,
                         const char *figure, enum bench_verdict verdict);

/* What a bench exits with, after all verdicts: 0 (all held), 3 (one did not), 4 (one could not be told, none failed). */
int bench_exit_status(void);

/* CPU, kernel, governor, scheduling, load, build: as lines, or as the first members of a JSON object that stays open. */
void bench_print_machine(const struct bench_options *options, const char *bench);

/* ---- threads ---- */

/* Puts the calling thread on one CPU, from 0; false when it may not. */
bool bench_pin(int cpu);

/* Lets it go where the process may. */
void bench_unpin(void);

/* SCHED_FIFO for the calling thread, 0: plain again; false when it may not. */
bool bench_set_priority(int priority);

/* How many CPUs this process may use, and the number of the n-th of them. */
int bench_cpu_count(void);
int bench_cpu(int n);

#endif /* DX_BENCH_BENCH_H */
