// SPDX-License-Identifier: MIT
// A program that plays to a cable of the machine and records from it, linked with the client's part of the library
// alone: also as a 32-bit program beside a 64-bit supervisor.  Exits with 0 when all that came in is what went
// out.

#include <dextral/directory.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define WANTED_FRAMES 24000u

static _Atomic uint32_t right, wrong;

/* Each frame says at which device time it is heard. */
static float
sound_at(uint64_t device_time) DX_REALTIME
{
    return ((float)((uint32_t)(device_time * 2654435761u) >> 8) + 1.0f) / 16777216.0f;
}

static void
play_and_record(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    const uint32_t channels = *(const uint32_t *)context;
    const float *const in = input;
    float *const out = output;
    for (uint32_t i = 0; i < cycle->frames; i++) {
        out[i * channels] = sound_at(cycle->output_time + i);
        const float heard = in[i * channels];
        if (heard == sound_at(cycle->input_time + i))
            atomic_fetch_add_explicit(&right, 1, memory_order_relaxed); // read by the main thread
        else if (heard != 0.0f)
            atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed);
    }
}

static int
fail(const char *what, kern_return_t status)
{
    (void)fprintf(stderr, "%s: %s\n", what, dx_return_string(status));
    return 1;
}

/* Until enough has come in; time must not go back meanwhile. */
static int
wait_for_sound(dx_client *client)
{
    dx_clock *const clock = dx_clock_host();
    const uint64_t end_ns = dx_clock_now_ns(clock) + 20 * UINT64_C(1000000000);
    uint64_t last = 0;
    while (atomic_load_explicit(&right, memory_order_relaxed) < WANTED_FRAMES) {
        dx_client_status status = {.size = sizeof status};
        const kern_return_t r = dx_client_get_status(client, &status);
        if (r != kIOReturnSuccess || status.device_time < last || dx_clock_now_ns(clock) > end_ns)
            return fail("status", r);
        last = status.device_time;
        dx_clock_sleep_until(clock, dx_clock_now_ns(clock) + 1000000u);
    }
    return atomic_load_explicit(&wrong, memory_order_relaxed) == 0 ? 0 : fail("what came in", kIOReturnError);
}

static int
use(dx_device *device)
{
    dx_device_info info = {.size = sizeof info};
    kern_return_t status = dx_device_get_info(device, &info);
    if (status != kIOReturnSuccess || info.output_streams == 0 || info.sample_rate_hz != 48000.0)
        return fail("info", status);
    uint32_t channels = info.outputs[0].client.mChannelsPerFrame;
    const dx_client_config config = {
        .size = sizeof config,
        .io_frames = 480,
        .buffer_frames = 96000,
        .lead_frames = 24000,
        .callback = play_and_record,
        .context = &channels,
    };
    dx_client *client = NULL;
    status = dx_client_open(device, &config, &client);
    if (status == kIOReturnSuccess)
        status = dx_client_start(client);
    const int exit_code = status == kIOReturnSuccess ? wait_for_sound(client) : fail("client", status);
    dx_device_statistics statistics = {.size = sizeof statistics};
    status = dx_device_get_statistics(device, &statistics);
    dx_client_close(client);
    return status == kIOReturnSuccess && statistics.input_frames >= WANTED_FRAMES ? exit_code
                                                                                  : fail("statistics", status);
}

int
main(int argc, char **argv)
{
    dx_error error = {{0}};
    dx_directory *directory = NULL;
    if (argc != 2 || dx_directory_open(NULL, &directory, &error) != kIOReturnSuccess) {
        (void)fprintf(stderr, "%s\n", error.message);
        return 2;
    }
    dx_device *const device = dx_directory_copy_device(directory, argv[1]);
    const int exit_code = device ? use(device) : fail(argv[1], kIOReturnNoDevice);
    dx_device_release(device);
    dx_directory_close(directory);
    return exit_code;
}
