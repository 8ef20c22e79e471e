// SPDX-License-Identifier: MIT
// Measures the CPU time of a counted callback: eight programs with two channels at 64 frames and 48 kHz, each reading and
// writing, on a cable of ours, on JACK2 with its dummy driver, and on PipeWire with a null sink.  User and system time of
// all processes, the servers' and the drivers' too, over the callbacks that the programs counted.
//
// Slices of all of them take turns.  The control is nine programs, as many as there are with a driver, that wake by
// clock_nanosleep() at the same moments and do nothing: what waking costs on this machine, below which nobody comes.  A CPU
// that is busy with something else is woken for less than one that sleeps: where others took more than a tenth of a CPU
// meanwhile, or the control's slices differ by more than half, the verdict is NOISY.
//
// Limit: at most half of JACK2's.

#include "bench.h"
#include "machine.h"
#include "peer.h"
#include "roles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROGRAMS = 8, FRAMES = 64, RATE_HZ = 48000, MOST_ROUNDS = 20 };

enum kind { CONTROL, OURS, JACK, PIPEWIRE, KIND_COUNT };

static const char *const names[KIND_COUNT] = {"control", "dextral", "JACK2", "PipeWire"};

#define SLICE_SECONDS 4.0
#define LIMIT 0.5
#define NOISY_FACTOR 1.5
#define NOISY_OTHERS 0.1

struct slice {
    double us;    // of a callback
    double others; // CPUs that somebody else kept busy
    double share; // of the callbacks that should have come
};

static struct slice slices[KIND_COUNT][MOST_ROUNDS];
static unsigned rounds;

static pid_t servers[BENCH_MOST_PIDS];

/* The last one of the control's is counted as a server is: what it costs, not what it did. */
static unsigned
count_programs(enum kind kind)
{
    return kind == CONTROL ? PROGRAMS + 1 : PROGRAMS;
}

/* Starts the programs; how many processes there are besides. */
static size_t
start(enum kind kind)
{
    static const char *const control[] = {"1333333", NULL}; // 64 frames at 48 kHz, in nanoseconds
    static const char *const own[] = {"cpu", "64", "0", "2", "1", NULL};
    const char *role = "jack";
    const char *const *arguments = NULL;
    size_t count = 0;
    if (kind == CONTROL) {
        role = "bare";
        arguments = control;
    } else if (kind == OURS) {
        role = "clients";
        arguments = own;
    } else {
        const enum bench_peer peer = kind == JACK ? BENCH_JACK : BENCH_PIPEWIRE;
        servers[count++] = bench_peer_start(peer, FRAMES);
        arguments = bench_peer_ports(peer);
    }
    for (unsigned i = 0; i < count_programs(kind); i++)
        bench_child_start(i, role, arguments);
    bench_children_wait(count_programs(kind));
    bench_sleep(0.5);
    return kind == OURS ? bench_machine_pids(servers) : count;
}

static uint64_t
read_cpu_ns(enum kind kind, size_t server_count)
{
    return bench_cpu_ns(servers, server_count) + bench_cpu_ns(bench_children_pids(), count_programs(kind));
}

static void
measure(enum kind kind, double seconds)
{
    const size_t count = start(kind);
    const uint64_t begin_ns = bench_now_ns(), busy_ns = bench_busy_ns();
    const uint64_t cpu = read_cpu_ns(kind, count);
    const uint64_t callbacks = BENCH_CHILDREN_SUM(PROGRAMS, callbacks);
    bench_sleep(seconds);
    const double cpu_ns = (double)(read_cpu_ns(kind, count) - cpu);
    const double counted = (double)(BENCH_CHILDREN_SUM(PROGRAMS, callbacks) - callbacks);
    const double took = (double)(bench_now_ns() - begin_ns) * 1e-9;
    if (counted < 1.0)
        bench_die("no callback came");
    slices[kind][rounds] = (struct slice){
        .us = cpu_ns / counted / 1e3,
        .others = ((double)(bench_busy_ns() - busy_ns) - cpu_ns) * 1e-9 / took,
        .share = counted / (took * RATE_HZ / FRAMES * PROGRAMS),
    };
    bench_children_end();
    if (kind == JACK || kind == PIPEWIRE)
        bench_peer_stop();
}

static int
compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of the slices' costs: 0 the smallest, 1 the largest. */
static double
quantile(enum kind kind, double fraction)
{
    double values[MOST_ROUNDS];
    for (unsigned i = 0; i < rounds; i++)
        values[i] = slices[kind][i].us;
    qsort(values, rounds, sizeof values[0], compare);
    return values[(unsigned)(fraction * (rounds - 1) + 0.5)];
}

static void
print_results(const struct bench_options *options, const bool *is_there)
{
    const char *separator = "";
    printf(options->json ? ", \"programs\": 8, \"frames\": 64, \"rows\": [" : "\n%-9s %9s %9s %9s %12s   %s\n", "",
           "us", "to JACK2", "callbacks", "others, CPUs", "us, of each slice");
    double most_others = 0.0;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        if (!is_there[kind])
            continue;
        const double us = quantile((enum kind)kind, 0.5), ratio = is_there[JACK] ? us / quantile(JACK, 0.5) : 0.0;
        double share = 1e9, others = 0.0;
        for (unsigned i = 0; i < rounds; i++) {
            share = slices[kind][i].share < share ? slices[kind][i].share : share;
            others = slices[kind][i].others > others ? slices[kind][i].others : others;
        }
        most_others = others > most_others ? others : most_others;
        if (options->json)
            printf("%s\n{\"what\": \"%s\", \"us_per_callback\": %.2f, \"times_jack2\": %.3f, \"fewest_callbacks\": %.3f, "
                   "\"others_cpus\": %.3f}",
                   separator, names[kind], us, ratio, share, others);
        else {
            printf("%-9s %9.2f %9.2f %8.1f%% %12.2f  ", names[kind], us, ratio, 100.0 * share, others);
            for (unsigned i = 0; i < rounds; i++)
                printf(" %.2f", slices[kind][i].us);
            printf("\n");
        }
        separator = ",";
    }
    printf(options->json ? "\n], \"verdicts\": [" : "\n");
    char figure[96];
    if (is_there[JACK]) {
        const double ratio = quantile(OURS, 0.5) / quantile(JACK, 0.5);
        const double spread = quantile(CONTROL, 1.0) / quantile(CONTROL, 0.0);
        snprintf(figure, sizeof figure, "%.2f times; the control's slices differ by %.2f times, others took %.2f CPUs",
                 ratio, spread, most_others);
        bench_print_verdict(options, "", "a callback costs at most half of JACK2's CPU time", figure,
                            bench_judge(ratio <= LIMIT, spread > NOISY_FACTOR || most_others > NOISY_OTHERS));
    }
    if (options->json)
        printf("\n]}\n");
}

int
main(int argc, char **argv)
{
    static const struct bench_role roles[] = {BENCH_ROLES};
    bench_run_child(argc, argv, roles, sizeof roles / sizeof roles[0]);
    const struct bench_options options = bench_options(argc, argv, 60.0);
    bench_print_machine(&options, "cpu");
    bool is_there[KIND_COUNT] = {true, true, true, true};
    for (int peer = 0; peer < BENCH_PEER_COUNT; peer++) {
        const char *const missing = bench_peer_missing((enum bench_peer)peer);
        is_there[JACK + peer] = !missing;
        if (missing)
            fprintf(stderr, "bench: %s is left out: apt-get install %s\n", names[JACK + peer], missing);
    }

    bench_machine_start();
    bench_machine_create_cable("cpu", 2, 0);
    dx_device_release(bench_machine_device("cpu"));
    const double wanted = options.seconds / (KIND_COUNT * (SLICE_SECONDS + 1.0));
    const unsigned all = wanted < 2.0 ? 2 : wanted > MOST_ROUNDS ? MOST_ROUNDS : (unsigned)(wanted + 0.5);
    const double seconds = options.seconds / (KIND_COUNT * all) - 1.0;
    for (rounds = 0; rounds < all; rounds++)
        for (int kind = 0; kind < KIND_COUNT; kind++)
            if (is_there[kind])
                measure((enum kind)kind, seconds > 0.5 ? seconds : 0.5);
    print_results(&options, is_there);
    bench_machine_stop();
    return bench_exit_status();
}
