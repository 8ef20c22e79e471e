// SPDX-License-Identifier: MIT
// Measures how long a cable is silent when its driver is killed: from the kill to the first frame with sound at a program
// that records, while another one plays all the time.  Each driver had run for 5.5 s, as one that a user's session has: the
// supervisor lets those wait that end again and again.
//
// The control is a thread that wakes each millisecond; where it was late by more than 20 ms, the worst says nothing.
//
// Limits: median under 100 ms, worst under 500 ms, and no program sees an error.

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

enum { MOST_KILLS = 50, FEWEST_KILLS = 3 };

enum child { BARE, PLAYER, LISTENER, CHILD_COUNT };

#define LIFE_SECONDS 5.5
#define PATIENCE_NS 10000000000u
#define MEDIAN_MS 100.0
#define WORST_MS 500.0
#define NOISY_NS 20000000u

/* ---- the programs ---- */

static void
play(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct bench_report *const report = context;
    float *const out = output;
    (void)input;
    for (uint32_t i = 0; i < 2 * cycle->frames; i++)
        out[i] = 0.25f;
    atomic_fetch_add_explicit(&report->callbacks, 1, memory_order_relaxed);
}

static bool is_silent; // the listener's

static void
listen(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct bench_report *const report = context;
    const float *const in = input;
    (void)output;
    for (uint32_t i = 0; i < cycle->frames; i++) {
        if (is_silent && in[2 * i] != 0.0f) {
            atomic_store_explicit(&report->sound_ns, dx_clock_now_ns(dx_clock_current()), memory_order_relaxed);
            /* release: pairs with the acquire in wait_for_sound(); its time is there. */
            atomic_fetch_add_explicit(&report->sounds, 1, memory_order_release);
        }
        is_silent = in[2 * i] == 0.0f;
    }
    atomic_fetch_add_explicit(&report->callbacks, 1, memory_order_relaxed);
}

static int
run_program(struct bench_shared *shared, struct bench_report *report, bool plays)
{
    dx_directory *directory = NULL;
    dx_error error = {{0}};
    if (dx_directory_open(NULL, &directory, &error) != kIOReturnSuccess)
        bench_die(error.message);
    dx_device *const device = dx_directory_copy_device(directory, "restart");
    const dx_client_config config = {
        .size = sizeof config,
        .name = plays ? "player" : "listener",
        .output_stream = plays ? 0 : DX_NO_STREAM,
        .input_stream = plays ? DX_NO_STREAM : 0,
        .io_frames = 256,
        .callback = plays ? play : listen,
        .context = report,
    };
    is_silent = true;
    dx_client *client = NULL;
    kern_return_t status = device ? dx_client_open(device, &config, &client) : kIOReturnNoDevice;
    if (status == kIOReturnSuccess)
        status = dx_client_start(client);
    if (status != kIOReturnSuccess)
        bench_die(dx_return_string(status));
    atomic_store_explicit(&report->is_ready, 1, memory_order_release);
    while (!atomic_load_explicit(&shared->is_over, memory_order_acquire)) {
        dx_client_status now = {.size = sizeof now};
        status = dx_client_get_status(client, &now);
        if (status != kIOReturnSuccess || !now.is_running)
            atomic_fetch_add_explicit(&report->errors, 1, memory_order_relaxed);
        usleep(10000);
    }
    dx_client_close(client);
    dx_device_release(device);
    dx_directory_close(directory);
    return 0;
}

static int
run_player(struct bench_shared *shared, struct bench_report *report, char **arguments)
{
    (void)arguments;
    return run_program(shared, report, true);
}

static int
run_listener(struct bench_shared *shared, struct bench_report *report, char **arguments)
{
    (void)arguments;
    return run_program(shared, report, false);
}

/* ---- the whole ---- */

/* Waits until the listener has heard sound again; its time, or 0. */
static uint64_t
wait_for_sound(uint64_t sounds)
{
    const struct bench_report *const listener = &bench_shared()->reports[LISTENER];
    const uint64_t end_ns = bench_now_ns() + PATIENCE_NS;
    while (atomic_load_explicit(&listener->sounds, memory_order_acquire) == sounds) {
        if (bench_now_ns() > end_ns)
            return 0;
        usleep(2000);
    }
    return atomic_load_explicit(&listener->sound_ns, memory_order_relaxed);
}

int
main(int argc, char **argv)
{
    static const struct bench_role roles[] = {
        {"bare", bench_role_bare}, {"player", run_player}, {"listener", run_listener}};
    bench_run_child(argc, argv, roles, sizeof roles / sizeof roles[0]);
    const struct bench_options options = bench_options(argc, argv, (MOST_KILLS + 1) * (LIFE_SECONDS + 0.1));
    bench_print_machine(&options, "restart");
    const double wanted = options.seconds / (LIFE_SECONDS + 0.1) - 1.0;
    const unsigned kills = wanted < FEWEST_KILLS ? FEWEST_KILLS : wanted > MOST_KILLS ? MOST_KILLS : (unsigned)wanted;

    bench_machine_start();
    bench_machine_create_cable("restart", 2, 0);
    dx_device *const device = bench_machine_device("restart");
    static const char *const period[] = {"1000000", NULL};
    static const char *const nothing[] = {NULL};
    bench_child_start(BARE, "bare", period);
    bench_child_start(PLAYER, "player", nothing);
    bench_child_start(LISTENER, "listener", nothing);
    bench_children_wait(CHILD_COUNT);
    if (!wait_for_sound(0))
        bench_die("nothing is heard");

    struct bench_series silences = bench_series_create(MOST_KILLS);
    unsigned lost = 0;
    for (unsigned i = 0; i < kills; i++) {
        bench_sleep(LIFE_SECONDS);
        const uint64_t sounds = atomic_load(&bench_shared()->reports[LISTENER].sounds);
        const pid_t pid = (pid_t)bench_machine_number(device, "pid");
        if (pid <= 0)
            bench_die("the driver does not run");
        const uint64_t begin_ns = bench_now_ns();
        kill(pid, SIGKILL);
        const uint64_t sound_ns = wait_for_sound(sounds);
        if (sound_ns > begin_ns)
            bench_series_add(&silences, sound_ns - begin_ns);
        else
            lost++;
    }
    const uint64_t errors = BENCH_CHILDREN_SUM(CHILD_COUNT, errors) + lost;
    const uint64_t stall_ns = atomic_load(&bench_shared()->reports[BARE].longest_ns);
    bench_children_end();
    dx_device_release(device);
    bench_machine_stop();

    const struct bench_summary ms = bench_series_summary(&silences, 0, 1e-6);
    if (options.json)
        printf(", \"kills\": %u, \"median_ms\": %.1f, \"worst_ms\": %.1f, \"errors\": %llu, "
               "\"control_ms\": %.2f, \"verdicts\": [",
               kills, ms.p50, ms.max, (unsigned long long)errors, (double)stall_ns * 1e-6);
    else
        printf("\n%u kills: silence %.1f ms (median), %.1f ms (worst); the control was up to %.1f ms late\n\n", kills,
               ms.p50, ms.max, (double)stall_ns * 1e-6);
    const bool noisy = stall_ns > NOISY_NS;
    char figure[64];
    snprintf(figure, sizeof figure, "%.1f ms", ms.p50);
    bench_print_verdict(&options, "", "the median silence is under 100 ms", figure,
                        bench_judge(ms.count && ms.p50 < MEDIAN_MS, false));
    snprintf(figure, sizeof figure, "%.1f ms", ms.max);
    bench_print_verdict(&options, ",", "the longest silence is under 500 ms", figure,
                        bench_judge(ms.count && ms.max < WORST_MS, noisy && ms.max >= WORST_MS));
    snprintf(figure, sizeof figure, "%llu", (unsigned long long)errors);
    bench_print_verdict(&options, ",", "no program sees an error, and sound comes back each time", figure,
                        bench_judge(!errors, false));
    if (options.json)
        printf("\n]}\n");
    return bench_exit_status();
}
