// SPDX-License-Identifier: MIT
// Shows, in real time, that a program which freezes, is killed, or writes at random into the memory that it shares with a
// driver harms nobody else: a cable of four channels, where one program sends its signal through the first, and the faulty
// one plays to the last two.  The signal carries its own position: each frame that is lost, doubled or has another bit is
// seen.
//
// Runs take turns: without a fault, frozen for 2 s (SIGSTOP), killed, and scribbling for 10 s over its control page and over
// its own channels of its lane.  Those without are the control: what the machine does by itself.  The verdict on a fault is
// NOISY where the control had glitches or skipped cycles as well.
//
// Limits: the signal comes back bit for bit, and no cycle is skipped beyond the control's.

#include "audio/client.h"
#include "bench.h"
#include "machine.h"
#include "roles.h"

#include <dextral/dextral.h>
#include <dextral/directory.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHANNELS = 4, OWN_CHANNEL = 2 }; // the faulty one's: 2 and 3

enum child { SIGNAL, FAULTY, CHILD_COUNT };

enum fault { NONE, FREEZE, KILL, SCRIBBLE, FAULT_COUNT };

static const char *const names[FAULT_COUNT] = {"none", "freeze 2 s", "kill", "scribble 10 s"};

#define RUN_SECONDS 13.0 // at least, and of all runs the same: 1 s before the fault, 10 s of it, 1 s after
#define MOST_ROUNDS 10

/* ---- the faulty program ---- */

static void
play(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct bench_report *const report = context;
    float *const out = output;
    (void)input;
    for (uint32_t i = 0; i < cycle->frames; i++)
        for (uint32_t c = OWN_CHANNEL; c < CHANNELS; c++)
            out[CHANNELS * i + c] = 0.5f;
    atomic_fetch_add_explicit(&report->callbacks, 1, memory_order_relaxed);
}

static uint64_t
next_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Random words anywhere in the control page, and anywhere in its channels. */
static void
scribble(const struct dx_lane *lane)
{
    _Atomic uint32_t *const control = lane->pages.address;
    _Atomic uint32_t *const data = (_Atomic uint32_t *)(void *)lane->data;
    for (unsigned i = 0; i < 100; i++) {
        atomic_store_explicit(&control[next_random() % (DX_LANE_DATA_OFFSET / 4u)], (uint32_t)next_random(),
                              memory_order_relaxed);
        const uint64_t frame = next_random() % lane->ring_frames;
        const uint64_t channel = OWN_CHANNEL + next_random() % (CHANNELS - OWN_CHANNEL);
        atomic_store_explicit(&data[frame * CHANNELS + channel], (uint32_t)next_random(), memory_order_relaxed);
    }
}

static int
run_faulty(struct bench_shared *shared, struct bench_report *report, char **arguments)
{
    (void)arguments;
    dx_directory *directory = NULL;
    dx_error error = {{0}};
    if (dx_directory_open(NULL, &directory, &error) != kIOReturnSuccess)
        bench_die(error.message);
    dx_device *const device = dx_directory_copy_device(directory, "faults");
    const dx_client_config config = {
        .size = sizeof config,
        .name = "faulty",
        .input_stream = DX_NO_STREAM,
        .io_frames = 256,
        .callback = play,
        .context = report,
    };
    dx_client *client = NULL;
    kern_return_t status = device ? dx_client_open(device, &config, &client) : kIOReturnNoDevice;
    if (status == kIOReturnSuccess)
        status = dx_client_start(client);
    if (status != kIOReturnSuccess)
        bench_die(dx_return_string(status));
    atomic_store_explicit(&report->is_ready, 1, memory_order_release);
    while (!atomic_load_explicit(&shared->is_over, memory_order_acquire)) {
        const bool is_faulty = atomic_load_explicit(&shared->fault, memory_order_acquire) == SCRIBBLE;
        if (is_faulty)
            scribble(&client->lane);
        usleep(is_faulty ? 100 : 10000);
    }
    dx_client_close(client);
    dx_device_release(device);
    dx_directory_close(directory);
    return 0;
}

/* ---- a run ---- */

struct result {
    uint64_t glitches; // of the signal
    uint64_t lost;     // frames that its client was told of
    uint64_t skips;    // cycles
    uint64_t late;
    uint64_t limited;  // samples
};

static struct result results[FAULT_COUNT];

static dx_device_statistics
get_statistics(dx_device *device)
{
    dx_device_statistics statistics = {.size = sizeof statistics};
    const kern_return_t status = dx_device_get_statistics(device, &statistics);
    if (status != kIOReturnSuccess)
        bench_die(dx_return_string(status));
    return statistics;
}

static void
commit_fault(enum fault fault)
{
    const pid_t pid = bench_children_pids()[FAULTY];
    if (fault == FREEZE) {
        kill(pid, SIGSTOP);
        bench_sleep(2.0);
        kill(pid, SIGCONT);
        bench_sleep(8.0);
        return;
    }
    if (fault == KILL)
        kill(pid, SIGKILL);
    if (fault == SCRIBBLE)
        atomic_store_explicit(&bench_shared()->fault, SCRIBBLE, memory_order_release);
    bench_sleep(10.0);
    atomic_store_explicit(&bench_shared()->fault, NONE, memory_order_release);
}

static void
run(dx_device *device, enum fault fault)
{
    /* A tenth of a second ahead: the program is not what is tried here. */
    static const char *const signal[] = {"faults", "256", "4800", "4", NULL};
    static const char *const nothing[] = {NULL};
    bench_child_start(SIGNAL, "signal", signal);
    bench_child_start(FAULTY, "faulty", nothing);
    bench_children_wait(CHILD_COUNT);
    bench_sleep(1.0);
    const struct bench_report *const report = &bench_shared()->reports[SIGNAL];
    const dx_device_statistics before = get_statistics(device);
    const uint64_t glitches = atomic_load(&report->glitches), lost = atomic_load(&report->lost_frames);
    commit_fault(fault);
    bench_sleep(1.0);
    const dx_device_statistics after = get_statistics(device);
    struct result *const result = &results[fault];
    result->glitches += atomic_load(&report->glitches) - glitches;
    result->lost += atomic_load(&report->lost_frames) - lost;
    result->skips += after.overloads - before.overloads;
    result->late += after.late_cycles - before.late_cycles;
    result->limited += after.limited_samples - before.limited_samples;
    bench_children_end();
}

static void
print_results(const struct bench_options *options, int rounds)
{
    const char *separator = "";
    printf(options->json ? ", \"runs\": %d, \"rows\": [" : "\n%d runs of each\n%-14s %9s %9s %9s %9s %9s\n", rounds,
           "", "glitches", "lost", "skips", "late", "limited");
    for (int fault = 0; fault < FAULT_COUNT; fault++) {
        const struct result *const r = &results[fault];
        if (options->json)
            printf("%s\n{\"fault\": \"%s\", \"glitches\": %llu, \"lost_frames\": %llu, \"skips\": %llu, "
                   "\"late_cycles\": %llu, \"limited_samples\": %llu}",
                   separator, names[fault], (unsigned long long)r->glitches, (unsigned long long)r->lost,
                   (unsigned long long)r->skips, (unsigned long long)r->late, (unsigned long long)r->limited);
        else
            printf("%-14s %9llu %9llu %9llu %9llu %9llu\n", names[fault], (unsigned long long)r->glitches,
                   (unsigned long long)r->lost, (unsigned long long)r->skips, (unsigned long long)r->late,
                   (unsigned long long)r->limited);
        separator = ",";
    }
    printf(options->json ? "\n], \"verdicts\": [" : "\n");
    const struct result *const control = &results[NONE];
    const bool noisy = control->glitches || control->skips;
    separator = "";
    for (int fault = FREEZE; fault < FAULT_COUNT; fault++) {
        const struct result *const r = &results[fault];
        char limit[96], figure[64];
        snprintf(limit, sizeof limit, "%s: other channels bit for bit, and no cycle skipped beyond the control's",
                 names[fault]);
        snprintf(figure, sizeof figure, "%llu glitches, %llu skips (%llu)", (unsigned long long)r->glitches,
                 (unsigned long long)r->skips, (unsigned long long)control->skips);
        bench_print_verdict(options, separator, limit, figure,
                            bench_judge(!r->glitches && r->skips <= control->skips, noisy));
        separator = ",";
    }
    /* Or it was not tried. */
    char figure[64];
    snprintf(figure, sizeof figure, "%llu samples", (unsigned long long)results[SCRIBBLE].limited);
    bench_print_verdict(options, ",", "what was scribbled reached the engine, which limited it", figure,
                        bench_judge(results[SCRIBBLE].limited > 0 && !control->limited, false));
    if (options->json)
        printf("\n]}\n");
}

int
main(int argc, char **argv)
{
    static const struct bench_role roles[] = {{"signal", bench_role_signal}, {"faulty", run_faulty}};
    bench_run_child(argc, argv, roles, sizeof roles / sizeof roles[0]);
    const struct bench_options options = bench_options(argc, argv, FAULT_COUNT * RUN_SECONDS);
    bench_print_machine(&options, "faults");
    const double wanted = options.seconds / (FAULT_COUNT * RUN_SECONDS);
    const int rounds = wanted < 1.0 ? 1 : wanted > MOST_ROUNDS ? MOST_ROUNDS : (int)wanted;
    bench_machine_start();
    bench_machine_create_cable("faults", CHANNELS, 0);
    dx_device *const device = bench_machine_device("faults");
    for (int round = 0; round < rounds; round++)
        for (int fault = 0; fault < FAULT_COUNT; fault++)
            run(device, (enum fault)fault);
    print_results(&options, rounds);
    dx_device_release(device);
    bench_machine_stop();
    return bench_exit_status();
}
