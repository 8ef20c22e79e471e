// SPDX-License-Identifier: MIT
// What processes do that several benches start.

#include "roles.h"

#include "bench.h"

#include <dextral/dextral.h>
#include <dextral/directory.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PRIORITY 65
#define MOST_CLIENTS 64u

static void
add(_Atomic uint64_t *counter, uint64_t n) DX_REALTIME
{
    /* relaxed: a number by itself, which the bench reads now and then. */
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void
tell_ready(struct bench_report *report) DX_REALTIME
{
    atomic_store_explicit(&report->is_ready, 1, memory_order_release);
}

static bool
is_over(const struct bench_shared *shared)
{
    return atomic_load_explicit(&shared->is_over, memory_order_acquire);
}

/* So seldom that looking costs nothing beside what is measured. */
static void
wait_for_end(const struct bench_shared *shared)
{
    while (!is_over(shared))
        usleep(200000);
}

int
bench_role_bare(struct bench_shared *shared, struct bench_report *report, char **arguments)
{
    const uint64_t period_ns = strtoull(arguments[0], NULL, 10);
    (void)bench_set_priority(PRIORITY);
    uint64_t due_ns = bench_now_ns() / period_ns * period_ns; // all of them together, as clients of one device
    while (!is_over(shared)) {
        due_ns += period_ns;
        const struct timespec due = {(time_t)(due_ns / 1000000000u), (long)(due_ns % 1000000000u)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
            ;
        const uint64_t late_ns = bench_now_ns() - due_ns;
        if (late_ns > atomic_load_explicit(&report->longest_ns, memory_order_relaxed))
            atomic_store_explicit(&report->longest_ns, late_ns, memory_order_relaxed);
        if (late_ns > 10 * period_ns) // the periods in between have passed
            due_ns += late_ns / period_ns * period_ns;
        add(&report->callbacks, 1);
        tell_ready(report);
    }
    return 0;
}

/* ---- clients of a device ---- */

struct own_client {
    struct bench_report *report;
    dx_client *client;
    uint32_t channels;
    struct bench_signal signal;
    uint64_t lost_frames; // as told last
};

static void
pass(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct own_client *const own = context;
    const float *const in = input;
    float *const out = output;
    for (uint32_t i = 0; i < own->channels * cycle->frames; i++)
        out[i] = in[i] * 0.1f + 0.001f;
    add(&own->report->lost_frames, cycle->lost_frames - own->lost_frames);
    own->lost_frames = cycle->lost_frames;
    add(&own->report->callbacks, 1);
}

static void
pass_signal(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct own_client *const own = context;
    const float *const in = input;
    float *const out = output;
    for (uint32_t i = 0; i < cycle->frames; i++)
        out[own->channels * i] = bench_signal_pass(&own->signal, own->report, in[own->channels * i]);
    add(&own->report->lost_frames, cycle->lost_frames - own->lost_frames);
    own->lost_frames = cycle->lost_frames;
    add(&own->report->callbacks, 1);
}

static dx_device *
find_device(const char *uid, dx_directory **ret_directory)
{
    dx_error error = {{0}};
    if (dx_directory_open(NULL, ret_directory, &error) != kIOReturnSuccess) {
        fprintf(stderr, "%s\n", error.message);
        bench_die("no supervisor");
    }
    dx_device *const device = dx_directory_copy_device(*ret_directory, uid);
    if (!device)
        bench_die("no device");
    return device;
}

static void
open_client(struct own_client *own, dx_device *device, dx_client_callback callback, char **arguments)
{
    own->signal.latency = UINT32_MAX;
    own->channels = (uint32_t)strtoul(arguments[3], NULL, 10);
    const dx_client_config config = {
        .size = sizeof config,
        .name = "bench",
        .io_frames = (uint32_t)strtoul(arguments[1], NULL, 10),
        .lead_frames = (uint32_t)strtoul(arguments[2], NULL, 10),
        .callback = callback,
        .context = own,
    };
    kern_return_t status = dx_client_open(device, &config, &own->client);
    if (status == kIOReturnSuccess)
        status = dx_client_start(own->client);
    if (status != kIOReturnSuccess)
        bench_die(dx_return_string(status));
}

static void
wait_for_callbacks(struct bench_report *report, uint64_t count)
{
    while (atomic_load_explicit(&report->callbacks, memory_order_relaxed) < count)
        usleep(1000);
}

int
bench_role_clients(struct bench_shared *shared, struct bench_report *report, char **arguments)
{
    static struct own_client clients[MOST_CLIENTS];
    dx_directory *directory = NULL;
    dx_device *const device = find_device(arguments[0], &directory);
    const unsigned count = (unsigned)strtoul(arguments[4], NULL, 10) % (MOST_CLIENTS + 1u);
    for (unsigned i = 0; i < count; i++) {
        clients[i].report = report;
        open_client(&clients[i], device, pass, arguments);
    }
    wait_for_callbacks(report, 4u * count);
    tell_ready(report);
    wait_for_end(shared);
    for (unsigned i = 0; i < count; i++)
        dx_client_close(clients[i].client);
    dx_device_release(device);
    dx_directory_close(directory);
    return 0;
}

int
bench_role_signal(struct bench_shared *shared, struct bench_report *report, char **arguments)
{
    static struct own_client own;
    dx_directory *directory = NULL;
    dx_device *const device = find_device(arguments[0], &directory);
    own.report = report;
    open_client(&own, device, pass_signal, arguments);
    while (!atomic_load_explicit(&report->latency_frames, memory_order_relaxed) && !is_over(shared))
        usleep(1000);
    dx_client_status status = {.size = sizeof status};
    if (dx_client_get_status(own.client, &status) == kIOReturnSuccess)
        atomic_store_explicit(&report->reported_frames,
                              (uint64_t)status.output_latency_frames + status.input_latency_frames,
                              memory_order_relaxed);
    tell_ready(report);
    wait_for_end(shared);
    dx_client_close(own.client);
    dx_device_release(device);
    dx_directory_close(directory);
    return 0;
}
