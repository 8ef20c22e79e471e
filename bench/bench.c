// SPDX-License-Identifier: MIT
// What the benches share.

#include "bench.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

struct bench_options
bench_options(int argc, char **argv, double default_seconds)
{
    struct bench_options options = {.seconds = default_seconds};
    for (int i = 1; i < argc; i++) {
        char *end = NULL;
        if (strcmp(argv[i], "--json") == 0) {
            options.json = true;
        } else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
            options.seconds = strtod(argv[++i], &end);
            if (*end == '\0' && options.seconds > 0.0 && options.seconds < 1e6)
                continue;
            fprintf(stderr, "%s: --seconds takes a number above 0, not \"%s\"\n", argv[0], argv[i]);
            exit(2);
        } else {
            fprintf(stderr, "usage: %s [--json] [--seconds S]\n", argv[0]);
            exit(2);
        }
    }
    return options;
}

void
bench_die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

void *
bench_allocate(size_t bytes)
{
    void *const memory = aligned_alloc(64, (bytes + 63u) & ~(size_t)63u);
    if (!memory)
        bench_die("out of memory");
    memset(memory, 0, bytes);
    return memory;
}

uint64_t
bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

double
bench_ns_per_tick(void)
{
    static double ns_per_tick;
    if (ns_per_tick > 0.0)
        return ns_per_tick;
    const uint64_t ns = bench_now_ns();
    const uint64_t ticks = bench_ticks();
    uint64_t now;
    while ((now = bench_now_ns()) - ns < 50000000u)
        ;
    ns_per_tick = (double)(now - ns) / (double)(bench_ticks() - ticks);
    return ns_per_tick;
}

uint64_t
bench_tick_overhead(void)
{
    struct bench_series series = bench_series_create(4096);
    for (int i = 0; i < 4096; i++) {
        const uint64_t begin = bench_ticks();
        bench_series_add(&series, bench_ticks() - begin);
    }
    const uint64_t median = bench_series_quantile(&series, 0.5);
    bench_series_finish(&series);
    return median;
}

struct bench_series
bench_series_create(size_t capacity)
{
    return (struct bench_series){.values = bench_allocate(capacity * sizeof(uint64_t)), .capacity = capacity};
}

void
bench_series_finish(struct bench_series *series)
{
    free(series->values);
    memset(series, 0, sizeof *series);
}

void
bench_series_clear(struct bench_series *series)
{
    series->count = 0;
    series->sorted = false;
}

static int
compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

uint64_t
bench_series_quantile(struct bench_series *series, double fraction)
{
    if (!series->count)
        return 0;
    if (!series->sorted) {
        qsort(series->values, series->count, sizeof series->values[0], compare);
        series->sorted = true;
    }
    const size_t index = (size_t)(fraction * (double)series->count);
    return series->values[index < series->count ? index : series->count - 1];
}

struct bench_summary
bench_series_summary(struct bench_series *series, uint64_t less, double factor)
{
    static const double fractions[4] = {0.5, 0.99, 0.999, 1.0};
    double values[4];
    for (int i = 0; i < 4; i++) {
        const uint64_t value = bench_series_quantile(series, fractions[i]);
        values[i] = value > less ? (double)(value - less) * factor : 0.0;
    }
    return (struct bench_summary){series->count, values[0], values[1], values[2], values[3]};
}

const char *
bench_verdict_name(enum bench_verdict verdict)
{
    return verdict == BENCH_PASS ? "PASS" : verdict == BENCH_FAIL ? "FAIL" : "NOISY";
}

enum bench_verdict
bench_judge(bool held, bool noisy)
{
    return noisy ? BENCH_NOISY : held ? BENCH_PASS : BENCH_FAIL;
}

/* Of the verdicts printed. */
static bool has_failed, has_noise;

int
bench_exit_status(void)
{
    return has_failed ? 3 : has_noise ? 4 : 0;
}

void
bench_print_verdict(const struct bench_options *options, const char *separator, const char *limit,
                    const char *figure, enum bench_verdict verdict)
{
    has_failed |= verdict == BENCH_FAIL;
    has_noise |= verdict == BENCH_NOISY;
    if (options->json)
        printf("%s\n{\"limit\": \"%s\", \"figure\": \"%s\", \"verdict\": \"%s\"}", separator, limit, figure,
               bench_verdict_name(verdict));
    else
        printf("%-5s  %s: %s\n", bench_verdict_name(verdict), limit, figure);
}

/* First line of a file that begins with a word, or its first line; without what stands before the colon. */
static void
read_line(const char *path, const char *word, char *text, size_t text_bytes)
{
    snprintf(text, text_bytes, "unknown");
    FILE *const file = fopen(path, "re");
    if (!file)
        return;
    char line[512];
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, word, strlen(word)) != 0)
            continue;
        const char *const colon = strchr(line, ':');
        line[strcspn(line, "\n")] = '\0';
        const char *const value = *word && colon ? colon + 1 + strspn(colon + 1, " ") : line;
        snprintf(text, text_bytes, "%.*s", (int)text_bytes - 1, value);
        break;
    }
    fclose(file);
}

static const char *
scheduling_class(void)
{
    const int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
    return policy == SCHED_FIFO ? "FIFO" : policy == SCHED_RR ? "RR" : policy == SCHED_OTHER ? "other" : "another";
}

void
bench_print_machine(const struct bench_options *options, const char *bench)
{
    char cpu[128], governor[64], load[64];
    struct utsname kernel;
    uname(&kernel);
    read_line("/proc/cpuinfo", "model name", cpu, sizeof cpu);
    read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "", governor, sizeof governor);
    read_line("/proc/loadavg", "", load, sizeof load);
    load[strcspn(load, " ")] = '\0';
    if (options->json)
        printf("{\"bench\": \"%s\", \"cpu\": \"%s\", \"cpus\": %d, \"kernel\": \"%s\", \"governor\": \"%s\", "
               "\"scheduling\": \"%s\", \"load\": \"%s\", \"build\": \"%s\", \"seconds\": %g",
               bench, cpu, bench_cpu_count(), kernel.release, governor, scheduling_class(), load, DX_BENCH_BUILD,
               options->seconds);
    else
        printf("%s: CPU %s (%d), kernel %s, governor %s, scheduling %s, load %s\nbuilt with %s\n", bench, cpu,
               bench_cpu_count(), kernel.release, governor, scheduling_class(), load, DX_BENCH_BUILD);
}

/* What the process may use, before anybody was pinned. */
static cpu_set_t allowed;
static bool has_allowed;

bool
bench_pin(int cpu)
{
    if (!has_allowed)
        has_allowed = sched_getaffinity(0, sizeof allowed, &allowed) == 0;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
}

void
bench_unpin(void)
{
    if (has_allowed)
        (void)sched_setaffinity(0, sizeof allowed, &allowed); // it was so before
}

bool
bench_set_priority(int priority)
{
    const struct sched_param param = {.sched_priority = priority};
    return sched_setscheduler(0, priority ? SCHED_FIFO : SCHED_OTHER, &param) == 0;
}

int
bench_cpu_count(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

int
bench_cpu(int n)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((size_t)cpu, &set) && n-- == 0)
            return cpu;
    return 0;
}
