// SPDX-License-Identifier: MIT
// Measures how far it goes: 512 clients on one device, of 2048 frames each; 256 declared devices of which 16 run, at 256
// frames; 1024 channels at 512 frames.  Everybody plays and records, in real time and in processes of their own.
//
// Each has a control run in the same minute that is small and otherwise alike: one client, one device, two channels.  What
// the machine makes late by itself is seen there.  A verdict is NOISY where the control skipped a cycle, or its programs
// lost frames.
//
// Limits: no cycle is skipped, and no frame lost, beyond the control's; 256 devices are listed in under a second.

#include "bench.h"
#include "machine.h"
#include "roles.h"

#include <dextral/dextral.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 3, MOST_RUNNING = 16, DECLARED = 256 };

#define LIST_SECONDS 1.0

/* One run: how many processes, each with so many clients, on so many devices. */
struct load {
    const char *name;
    unsigned processes;
    unsigned devices; // process i plays to device i % devices
    const char *channels;
    const char *frames;
    const char *clients; // of a process
};

static const struct load loads[PARTS][2] = {
    {{"1 client of 2048 frames", 1, 1, "2", "2048", "1"}, {"512 clients of 2048 frames", 16, 1, "2", "2048", "32"}},
    {{"1 device of 256 frames", 1, 1, "2", "256", "1"},
     {"16 devices of 256 frames, of 256", MOST_RUNNING, MOST_RUNNING, "2", "256", "1"}},
    {{"2 channels of 512 frames", 1, 1, "2", "512", "1"}, {"1024 channels of 512 frames", 1, 1, "1024", "512", "1"}},
};

struct result {
    uint64_t skips;
    uint64_t late;
    uint64_t lost; // frames, of all clients
    double share;  // of the callbacks that should have come
    double cpu;    // of one CPU, all processes
};

static struct result results[PARTS][2];
static double list_seconds;

static void
make_uid(char uid[32], const char *channels, unsigned device)
{
    snprintf(uid, 32, "scale-%s-%u", channels, device);
}

/* What the engines have counted so far. */
static void
count_devices(const struct load *load, uint64_t *skips, uint64_t *late)
{
    *skips = *late = 0;
    for (unsigned i = 0; i < load->devices; i++) {
        char uid[32];
        make_uid(uid, load->channels, i);
        dx_device *const device = bench_machine_device(uid);
        dx_device_statistics statistics = {.size = sizeof statistics};
        const kern_return_t status = dx_device_get_statistics(device, &statistics);
        dx_device_release(device);
        if (status != kIOReturnSuccess)
            bench_die(dx_return_string(status));
        *skips += statistics.overloads;
        *late += statistics.late_cycles;
    }
}

/* Waits until the drivers of the run before have ended, which they do when nobody uses them; how many processes are left. */
static size_t
wait_for_idle(unsigned devices, pid_t pids[BENCH_MOST_PIDS])
{
    size_t count;
    const uint64_t end_ns = bench_now_ns() + 20000000000u;
    while ((count = bench_machine_pids(pids)) > 1u + devices) {
        if (bench_now_ns() > end_ns)
            bench_die("drivers that nobody uses go on");
        bench_sleep(0.1);
    }
    return count;
}

static void
run(const struct load *load, double seconds, struct result *result)
{
    for (unsigned i = 0; i < load->processes; i++) {
        char uid[32];
        make_uid(uid, load->channels, i % load->devices);
        const char *const arguments[] = {uid, load->frames, "0", load->channels, load->clients, NULL};
        bench_child_start(i, "clients", arguments);
    }
    bench_children_wait(load->processes);
    static pid_t pids[BENCH_MOST_PIDS];
    const size_t count = wait_for_idle(load->devices, pids);
    bench_sleep(2.0); // until all have settled

    uint64_t skips, late, skips_after, late_after;
    count_devices(load, &skips, &late);
    const uint64_t cpu_ns = bench_cpu_ns(pids, count) + bench_cpu_ns(bench_children_pids(), load->processes);
    const uint64_t callbacks = BENCH_CHILDREN_SUM(load->processes, callbacks);
    const uint64_t lost = BENCH_CHILDREN_SUM(load->processes, lost_frames);
    const uint64_t begin_ns = bench_now_ns();
    bench_sleep(seconds);
    const double took = (double)(bench_now_ns() - begin_ns) * 1e-9;
    const double expected = took * 48000.0 / atof(load->frames) * load->processes * atof(load->clients);
    *result = (struct result){
        .lost = BENCH_CHILDREN_SUM(load->processes, lost_frames) - lost,
        .share = (double)(BENCH_CHILDREN_SUM(load->processes, callbacks) - callbacks) / expected,
        .cpu = (double)(bench_cpu_ns(pids, count) + bench_cpu_ns(bench_children_pids(), load->processes) - cpu_ns) *
               1e-9 / took,
    };
    count_devices(load, &skips_after, &late_after);
    result->skips = skips_after - skips;
    result->late = late_after - late;
    bench_children_end();
}

static void
declare_devices(void)
{
    for (unsigned i = 0; i < DECLARED; i++) {
        char uid[32];
        make_uid(uid, "2", i);
        bench_machine_create_cable(uid, 2, 0);
    }
    bench_machine_create_cable("scale-1024-0", 1024, 4096);
}

/* The command, as somebody would run it. */
static double
time_list(void)
{
    char *const program = bench_build_path("cli/dextral");
    char *command = NULL;
    if (asprintf(&command, "'%s' list >/dev/null", program) < 0)
        bench_die("out of memory");
    const uint64_t begin_ns = bench_now_ns();
    if (system(command) != 0)
        bench_die("the devices are not listed");
    const double took = (double)(bench_now_ns() - begin_ns) * 1e-9;
    free(command);
    free(program);
    return took;
}

static void
print_results(const struct bench_options *options, double seconds)
{
    const char *separator = "";
    printf(options->json ? ", \"seconds_each\": %.1f, \"rows\": [" : "\n%.0f s each\n%-34s %7s %7s %9s %9s %7s\n", seconds,
           "", "skips", "late", "lost", "callbacks", "CPUs");
    for (int part = 0; part < PARTS; part++)
        for (int which = 0; which < 2; which++) {
            const struct result *const r = &results[part][which];
            if (options->json)
                printf("%s\n{\"what\": \"%s\", \"skips\": %llu, \"late_cycles\": %llu, \"lost_frames\": %llu, "
                       "\"callbacks\": %.4f, \"cpus\": %.3f}",
                       separator, loads[part][which].name, (unsigned long long)r->skips, (unsigned long long)r->late,
                       (unsigned long long)r->lost, r->share, r->cpu);
            else
                printf("%-34s %7llu %7llu %9llu %8.2f%% %7.3f\n", loads[part][which].name, (unsigned long long)r->skips,
                       (unsigned long long)r->late, (unsigned long long)r->lost, 100.0 * r->share, r->cpu);
            separator = ",";
        }
    printf(options->json ? "\n], \"verdicts\": [" : "\n");
    separator = "";
    for (int part = 0; part < PARTS; part++) {
        const struct result *const control = &results[part][0], *const r = &results[part][1];
        char limit[128], figure[96];
        snprintf(limit, sizeof limit, "%s: no skips and no lost frames beyond the control's", loads[part][1].name);
        snprintf(figure, sizeof figure, "%llu (%llu) skips, %llu (%llu) frames", (unsigned long long)r->skips,
                 (unsigned long long)control->skips, (unsigned long long)r->lost, (unsigned long long)control->lost);
        bench_print_verdict(options, separator, limit, figure,
                            bench_judge(r->skips <= control->skips && r->lost <= control->lost && r->share > 0.99,
                                        control->skips || control->lost));
        separator = ",";
    }
    char figure[64];
    snprintf(figure, sizeof figure, "%.3f s", list_seconds);
    bench_print_verdict(options, ",", "256 declared devices are listed in under a second", figure,
                        bench_judge(list_seconds < LIST_SECONDS, false));
    if (options->json)
        printf("\n]}\n");
}

int
main(int argc, char **argv)
{
    static const struct bench_role roles[] = {BENCH_ROLES};
    bench_run_child(argc, argv, roles, sizeof roles / sizeof roles[0]);
    const struct bench_options options = bench_options(argc, argv, 2.0 * PARTS * 60.0);
    bench_print_machine(&options, "scale");
    bench_machine_start();
    declare_devices();
    list_seconds = time_list();
    const double seconds = options.seconds / (2.0 * PARTS);
    for (int part = 0; part < PARTS; part++)
        for (int which = 0; which < 2; which++)
            run(&loads[part][which], seconds, &results[part][which]);
    print_results(&options, seconds);
    bench_machine_stop();
    return bench_exit_status();
}
