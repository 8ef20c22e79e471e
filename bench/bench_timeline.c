// SPDX-License-Identifier: MIT
// Measures a read of the timeline while another core writes it: number 10 of the architecture.
//
// A writer on one CPU publishes timeline pages through dx_slots_write(), as an engine does; a reader on another calls
// dx_slots_read(), one time for each interval that it measures, back to back.  The control, in slices that alternate
// with it: the writer stores a line of 64 bytes at the same rate, the reader copies it.  The rate matters: a read that
// follows a write finds its lines in the other core's cache, all later ones in its own.  An engine writes at most
// once in a cycle and once for a stamp: every 83 us with cycles of 16 frames at 192 kHz.
//
// The median of an empty measurement, taken between the slices, is printed and subtracted from every figure.  Every value read is checked:
// one that mixes two publications ends the program.  A reader that is lapped tries again, 8 times at most
// (DX_SLOT_TRIES); reads that gave up are counted.  Both threads are FIFO where they may: this is about memory, not
// about who else wants the CPU.
//
// Limits, judged with a write every microsecond, which is 80 times as often as an engine's:
//   - p50 under 50 ns;
//   - p99.9 at most 3 times that of the control.
// The other rates are there to be seen; with the writer flat out a read cannot be quicker than two lines take from
// core to core.  A rate is noisy when the writer did less than 9/10 of its writes (it did not run), or when the
// control's p50 or p99.9 of the first half of its slices and of the second differ by more than half.  A verdict on
// a noisy rate is NOISY.

#include "audio/timeline.h"
#include "bench.h"
#include "core/slots.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLICES = 10,               // of each kind and rate
    READS_PER_SLICE = 400000,  // at most
    LINE_WORDS = 16,
    RATE_COUNT = 4,
    JUDGED_RATE = 1,
    PRIORITY = 5,
};

#define HALF_RATIO 1.5
#define FEWEST_WRITES 0.9
#define P50_LIMIT_NS 50.0
#define P999_LIMIT 3.0

static const uint64_t intervals_ns[RATE_COUNT] = {0, 1000, 10000, 100000};

enum what { PAGE, LINE, WHAT_COUNT };

/* Each on lines of its own. */
static struct {
    alignas(64) _Atomic uint32_t page_words[DX_SLOTS_WORDS(sizeof(struct dx_timeline_page))];
    alignas(64) _Atomic uint32_t line_words[LINE_WORDS];
    alignas(64) _Atomic uint32_t command; // + 1 with each slice
    _Atomic bool stop;
    enum what what;           // written before `command`
    uint64_t interval_ticks;
    alignas(64) _Atomic uint64_t writes;
    _Atomic uint32_t begun; // the command that is followed
} shared;

static const struct dx_slots page_slots = {shared.page_words, sizeof(struct dx_timeline_page)};

/* ---- writer ---- */

/* Every field follows from the number. */
static struct dx_timeline_page
page_of(uint64_t number)
{
    return (struct dx_timeline_page){
        .epoch = (uint32_t)number,
        .state = DX_TIMELINE_RUNNING,
        .anchor_frame = number,
        .anchor_host_ns = number * 3,
        .ns_per_frame = (double)number,
        .rate_hz = 48000.0,
        .cycle_frame = number + 1,
        .mixed_until = number + 2,
        .io_frames = (uint32_t)number,
        .ring_frames = (uint32_t)number,
    };
}

static bool
is_whole(const struct dx_timeline_page *page)
{
    const struct dx_timeline_page expected = page_of(page->anchor_frame);
    return memcmp(page, &expected, sizeof expected) == 0;
}

static void
write_once(enum what what, uint64_t number)
{
    if (what == PAGE) {
        const struct dx_timeline_page page = page_of(number);
        dx_slots_write(&page_slots, &page);
    } else {
        for (int i = 0; i < LINE_WORDS; i++)
            atomic_store_explicit(&shared.line_words[i], (uint32_t)number, memory_order_release);
    }
}

struct writer {
    pthread_t thread;
    int cpu;
    bool pinned;
    _Atomic uint32_t ready;
};

static void *
run_writer(void *argument)
{
    struct writer *const self = argument;
    self->pinned = bench_pin(self->cpu);
    (void)bench_set_priority(PRIORITY);
    atomic_store_explicit(&self->ready, 1, memory_order_release);

    uint64_t number = 1;
    uint32_t seen = 0;
    enum what what = PAGE;
    uint64_t interval = 0;
    uint64_t next = 0;
    uint64_t writes = 0;
    while (!atomic_load_explicit(&shared.stop, memory_order_relaxed)) {
        const uint32_t command = atomic_load_explicit(&shared.command, memory_order_acquire);
        if (command != seen) {
            seen = command;
            what = shared.what;
            interval = shared.interval_ticks;
            next = bench_ticks();
            atomic_store_explicit(&shared.begun, seen, memory_order_release);
        }
        if (!seen)
            continue;
        if (interval) {
            if (bench_ticks() < next)
                continue;
            next += interval;
        }
        write_once(what, number++);
        atomic_store_explicit(&shared.writes, ++writes, memory_order_relaxed);
    }
    return NULL;
}

/* ---- reader ---- */

struct rate {
    uint64_t interval_ns;
    struct bench_series series[WHAT_COUNT];
    struct bench_series halves[2]; // of the control
    struct bench_summary ns[WHAT_COUNT];
    uint64_t gave_up;
    double writes_done, writes_due;
    uint64_t overhead; // of a measurement, in ticks
    bool noisy;
};

static uint64_t checksum;

static void
read_page(struct rate *rate)
{
    struct dx_timeline_page page;
    const uint64_t begin = bench_ticks();
    const bool done = dx_slots_read(&page_slots, &page);
    const uint64_t ticks = bench_ticks() - begin;
    bench_series_add(&rate->series[PAGE], ticks);
    if (!done) {
        rate->gave_up++;
        return;
    }
    if (!is_whole(&page))
        bench_die("a timeline page was torn");
    checksum += page.anchor_frame;
}

static void
read_line_words(struct rate *rate, int half)
{
    uint32_t copy[LINE_WORDS];
    const uint64_t begin = bench_ticks();
    for (int i = 0; i < LINE_WORDS; i++)
        copy[i] = atomic_load_explicit(&shared.line_words[i], memory_order_relaxed);
    __asm__ volatile("" : : "r"(copy) : "memory");
    const uint64_t ticks = bench_ticks() - begin;
    bench_series_add(&rate->series[LINE], ticks);
    bench_series_add(&rate->halves[half], ticks);
    checksum += copy[0];
}

static void
run_slice(struct rate *rate, enum what what, int half, double seconds)
{
    shared.what = what;
    shared.interval_ticks = (uint64_t)((double)rate->interval_ns / bench_ns_per_tick());
    const uint32_t command = atomic_fetch_add_explicit(&shared.command, 1, memory_order_release) + 1;
    while (atomic_load_explicit(&shared.begun, memory_order_acquire) != command)
        ;
    const uint64_t writes = atomic_load_explicit(&shared.writes, memory_order_relaxed);
    const uint64_t begin_ns = bench_now_ns();
    const uint64_t stop_ns = begin_ns + (uint64_t)(seconds * 1e9);
    uint64_t now_ns = begin_ns;
    int reads = 0;
    do {
        for (int i = 0; i < 64 && reads < READS_PER_SLICE; i++, reads++) {
            if (what == PAGE)
                read_page(rate);
            else
                read_line_words(rate, half);
        }
        now_ns = bench_now_ns();
    } while (now_ns < stop_ns && reads < READS_PER_SLICE);
    rate->writes_done += (double)(atomic_load_explicit(&shared.writes, memory_order_relaxed) - writes);
    if (rate->interval_ns)
        rate->writes_due += (double)(now_ns - begin_ns) / (double)rate->interval_ns;
}

static bool
differ(double a, double b)
{
    return a > b * HALF_RATIO || b > a * HALF_RATIO;
}

static void
measure_rate(struct rate *rate, double seconds)
{
    struct bench_series overheads = bench_series_create(SLICES);
    for (int i = 0; i < WHAT_COUNT; i++)
        rate->series[i] = bench_series_create((size_t)SLICES * READS_PER_SLICE);
    for (int half = 0; half < 2; half++)
        rate->halves[half] = bench_series_create((size_t)SLICES * READS_PER_SLICE);
    for (int slice = 0; slice < SLICES; slice++) {
        bench_series_add(&overheads, bench_tick_overhead());
        for (int what = 0; what < WHAT_COUNT; what++)
            run_slice(rate, (enum what)what, slice * 2 / SLICES, seconds / (SLICES * WHAT_COUNT));
    }

    rate->overhead = bench_series_quantile(&overheads, 0.5);
    bench_series_finish(&overheads);
    for (int i = 0; i < WHAT_COUNT; i++)
        rate->ns[i] = bench_series_summary(&rate->series[i], rate->overhead, bench_ns_per_tick());
    /* Not less the overhead: a control that is all overhead has no ratio. */
    struct bench_summary halves[2];
    for (int half = 0; half < 2; half++)
        halves[half] = bench_series_summary(&rate->halves[half], 0, 1.0);
    rate->noisy = rate->writes_done < FEWEST_WRITES * rate->writes_due || differ(halves[0].p50, halves[1].p50) ||
                  differ(halves[0].p999, halves[1].p999);
    for (int i = 0; i < WHAT_COUNT; i++)
        bench_series_finish(&rate->series[i]);
    for (int half = 0; half < 2; half++)
        bench_series_finish(&rate->halves[half]);
}

/* ---- output ---- */

static void
print_rate(const struct bench_options *options, const char *separator, const struct rate *rate)
{
    const double subtracted = (double)rate->overhead * bench_ns_per_tick();
    for (int what = 0; what < WHAT_COUNT; what++) {
        const struct bench_summary *const s = &rate->ns[what];
        const char *const name = what == PAGE ? "timeline" : "line";
        if (options->json)
            printf("%s\n{\"interval_ns\": %llu, \"what\": \"%s\", \"reads\": %zu, \"p50_ns\": %.1f, \"p99_ns\": %.1f, "
                   "\"p999_ns\": %.1f, \"max_ns\": %.0f, \"subtracted_ns\": %.1f, \"writes\": %.0f, \"gave_up\": %llu, "
                   "\"noisy\": %s}",
                   what == PAGE ? separator : ",", (unsigned long long)rate->interval_ns, name, s->count, s->p50, s->p99,
                   s->p999, s->max, subtracted, rate->writes_done, (unsigned long long)(what == PAGE ? rate->gave_up : 0),
                   rate->noisy ? "true" : "false");
        else
            printf("%10.0f %-9s %8zu %9.1f %9.1f %9.1f %10.0f %10.1f %8llu%s\n", (double)rate->interval_ns / 1e3, name,
                   s->count, s->p50, s->p99, s->p999, s->max, subtracted,
                   (unsigned long long)(what == PAGE ? rate->gave_up : 0), rate->noisy ? " noisy" : "");
    }
}

static void
print_verdicts(const struct bench_options *options, const struct rate *rate)
{
    char figure[96];
    snprintf(figure, sizeof figure, "%.1f ns", rate->ns[PAGE].p50);
    bench_print_verdict(options, "", "a read of the timeline, written every microsecond, under 50 ns at p50", figure,
                        bench_judge(rate->ns[PAGE].p50 < P50_LIMIT_NS, rate->noisy));
    snprintf(figure, sizeof figure, "%.2f times (%.1f and %.1f ns)", rate->ns[PAGE].p999 / rate->ns[LINE].p999,
             rate->ns[PAGE].p999, rate->ns[LINE].p999);
    bench_print_verdict(options, ",", "and at most 3 times the copy of such a line at p99.9", figure,
                        bench_judge(rate->ns[PAGE].p999 <= P999_LIMIT * rate->ns[LINE].p999, rate->noisy));
}

int
main(int argc, char **argv)
{
    const struct bench_options options = bench_options(argc, argv, 12.0);
    bench_print_machine(&options, "timeline");
    struct writer writer = {.cpu = bench_cpu(1)};
    const int reader_cpu = bench_cpu(0);
    const bool two_cpus = bench_cpu_count() > 1;
    if (pthread_create(&writer.thread, NULL, run_writer, &writer) != 0)
        bench_die("no thread");
    while (!atomic_load_explicit(&writer.ready, memory_order_acquire))
        (void)bench_now_ns();
    const bool pinned = bench_pin(reader_cpu) && writer.pinned && two_cpus;
    const bool is_fifo = bench_set_priority(PRIORITY);

    if (options.json)
        printf(", \"on_two_cpus\": %s, \"fifo\": %s, \"rows\": [", pinned ? "true" : "false",
               is_fifo ? "true" : "false");
    else
        printf("reader and writer %s, %s\n\n%10s %-9s %8s %9s %9s %9s %10s %10s %8s\n",
               pinned ? "each on a CPU of its own" : "NOT on two CPUs: no verdict",
               is_fifo ? "FIFO" : "without a real-time priority", "write, us", "read", "reads",
               "p50 ns", "p99", "p99.9", "max", "subtracted", "gave up");

    struct rate judged = {0};
    for (int i = 0; i < RATE_COUNT; i++) {
        struct rate rate = {.interval_ns = intervals_ns[i]};
        measure_rate(&rate, options.seconds / RATE_COUNT);
        rate.noisy |= !pinned;
        print_rate(&options, i ? "," : "", &rate);
        if (i == JUDGED_RATE)
            judged = rate;
    }
    atomic_store_explicit(&shared.stop, true, memory_order_relaxed);
    pthread_join(writer.thread, NULL);

    printf(options.json ? "\n], \"verdicts\": [" : "\n");
    print_verdicts(&options, &judged);
    if (options.json)
        printf("\n], \"checksum\": %llu}\n", (unsigned long long)checksum);
    else
        printf("checksum %llu\n", (unsigned long long)checksum);
    return bench_exit_status();
}
