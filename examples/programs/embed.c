// SPDX-License-Identifier: MIT
// A program that has the whole engine inside: runs a driver, plays a sine to its device, records it back, and
// says how long that took.
//
// Use:    embed [--simulated] BUNDLE.dext
// Build:  cc embed.c $(pkg-config --cflags --libs dextral) -lm
//
// The device must hand back what it is given, as Cable.dext does.  With --simulated the same run happens on a
// simulated clock: at once, and with the same result every time.

#include <dextral/bundle.h>
#include <dextral/clock.h>
#include <dextral/host.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS 1u
#define SILENT_FRAMES 4800u // before the sine begins
#define TOLERANCE 2e-4f     // a 16-bit device rounds; a float one must not

/* What the callback works on: all of it is there before the client starts. */
struct recording {
    uint32_t output_channels;
    uint32_t input_channels;
    size_t capacity_frames;
    float *played;   // first channel, by the client's own frame count
    float *recorded; // the same count: what came in while that went out
    size_t frames;
    uint64_t lost_frames;
    uint64_t apart_frames; // from a callback's input to its output, in device time
};

static float
sine(size_t frame, double rate_hz) DX_REALTIME
{
    if (frame < SILENT_FRAMES)
        return 0.0f;
    /* Half a sample late, so that the first one is not 0 and can be found again. */
    return (float)(0.5 * sin(2.0 * 3.14159265358979323846 * 440.0 * ((double)(frame - SILENT_FRAMES) + 0.5) / rate_hz));
}

static void
play_and_record(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct recording *recording = context;
    const float *in = input;
    float *out = output;

    for (uint32_t i = 0; i < cycle->frames && recording->frames < recording->capacity_frames; i++) {
        const size_t frame = recording->frames++;
        recording->played[frame] = sine(frame, cycle->sample_rate_hz);
        recording->recorded[frame] = in[(size_t)i * recording->input_channels];
        for (uint32_t channel = 0; channel < recording->output_channels; channel++)
            out[(size_t)i * recording->output_channels + channel] = recording->played[frame];
    }
    recording->apart_frames = cycle->output_time - cycle->input_time;
    recording->lost_frames = cycle->lost_frames;
}

/* Prints what came back.  0 when all of it did. */
static int
report(const struct recording *recording, double rate_hz)
{
    size_t arrival = SILENT_FRAMES;
    while (arrival < recording->frames && recording->recorded[arrival] == 0.0f)
        arrival++;
    if (arrival == recording->frames) {
        fprintf(stderr, "embed: nothing came back: is it a loopback device?\n");
        return 1;
    }

    const size_t latency = arrival - SILENT_FRAMES;
    size_t exact = 0, wrong = 0;
    for (size_t frame = arrival; frame < recording->frames; frame++) {
        exact += recording->recorded[frame] == recording->played[frame - latency];
        wrong += !(fabsf(recording->recorded[frame] - recording->played[frame - latency]) <= TOLERANCE);
    }
    printf("loopback: %zu frames, %.2f ms, measured by signal\n", latency, 1e3 * (double)latency / rate_hz);
    printf("          %llu frames apart in device time\n", (unsigned long long)recording->apart_frames);
    printf("          %zu frames came back, %zu of them bit for bit, %zu wrong, %llu lost\n",
           recording->frames - arrival, exact, wrong, (unsigned long long)recording->lost_frames);
    return wrong == 0 ? 0 : 1;
}

static int
fail(const char *what, kern_return_t status, const char *detail)
{
    fprintf(stderr, "embed: %s: %s\n", what, detail ? detail : dx_return_string(status));
    return 1;
}

/* Opens a client on a device and lets it run for a while. */
static int
run_client(dx_device *device)
{
    dx_device_info info = {.size = sizeof info};
    kern_return_t status = dx_device_get_info(device, &info);
    if (status != kIOReturnSuccess)
        return fail("device", status, NULL);
    if (info.input_streams == 0 || info.output_streams == 0)
        return fail(dx_device_uid(device), kIOReturnUnsupported, "it needs an input and an output stream");
    printf("device:   %s, %.0f Hz, %u frames a cycle, %u in and %u out\n", dx_device_uid(device),
           info.sample_rate_hz, info.io_frames, info.inputs[0].client.mChannelsPerFrame,
           info.outputs[0].client.mChannelsPerFrame);

    struct recording recording = {
        .output_channels = info.outputs[0].client.mChannelsPerFrame,
        .input_channels = info.inputs[0].client.mChannelsPerFrame,
        .capacity_frames = (size_t)(SECONDS * info.sample_rate_hz) + SILENT_FRAMES,
    };
    recording.played = calloc(recording.capacity_frames, sizeof(float));
    recording.recorded = calloc(recording.capacity_frames, sizeof(float));

    const dx_client_config config = {
        .size = sizeof config,
        .name = "embed",
        .output_stream = 0,
        .input_stream = 0,
        .callback = play_and_record,
        .context = &recording,
    };
    dx_client *client = NULL;
    status = kIOReturnNoMemory;
    if (recording.played && recording.recorded)
        status = dx_client_open(device, &config, &client);
    if (status == kIOReturnSuccess)
        status = dx_client_start(client);
    if (status == kIOReturnSuccess) {
        dx_clock *clock = dx_clock_current();
        dx_clock_sleep_until(clock, dx_clock_now_ns(clock) + (SECONDS + 2u) * UINT64_C(1000000000));
    }
    dx_client_close(client); // stops it first: the callback is not running any more

    const int exit_code =
        status == kIOReturnSuccess ? report(&recording, info.sample_rate_hz) : fail("client", status, NULL);
    free(recording.played);
    free(recording.recorded);
    return exit_code;
}

/* Runs the first driver of a bundle in a host of its own. */
static int
run_bundle(const char *path)
{
    int exit_code = 1;
    dx_error error = {{0}};
    dx_bundle *bundle = NULL;
    IOUserAudioDriver *driver = NULL;
    dx_host *host = NULL;
    dx_device *device = NULL;

    kern_return_t status = dx_bundle_open(path, &bundle, &error);
    if (status == kIOReturnSuccess)
        status = dx_bundle_create_driver(bundle, 0, &driver, &error);
    if (status != kIOReturnSuccess) {
        fprintf(stderr, "embed: %s\n", *error.message ? error.message : dx_return_string(status)); // names the file
        goto end;
    }

    status = dx_host_create(NULL, &host);
    if (status != kIOReturnSuccess) {
        fail("host", status, NULL);
        goto end;
    }
    status = dx_host_start_driver(host, driver, dx_bundle_personality(bundle, 0));
    if (status != kIOReturnSuccess) {
        fail("driver", status, NULL);
        goto end;
    }
    dx_host_settle(host);

    if (dx_host_copy_devices(host, &device, 1) == 0)
        fail("driver", kIOReturnNoDevice, "it has published no device");
    else
        exit_code = run_client(device);
    dx_device_release(device);
    (void)dx_host_stop_driver(host, driver); // its answer changes nothing: the host goes next

end:
    dx_host_destroy(host);
    OSObjectRelease(driver);
    dx_bundle_close(bundle);
    return exit_code;
}

struct task {
    const char *path;
    int exit_code;
};

static void
run_task(void *argument)
{
    struct task *task = argument;
    task->exit_code = run_bundle(task->path);
}

int
main(int argc, char **argv)
{
    const bool is_simulated = argc > 1 && strcmp(argv[1], "--simulated") == 0;
    if (argc != 2 + is_simulated || argv[argc - 1][0] == '-') {
        fprintf(stderr, "use: embed [--simulated] BUNDLE.dext\n");
        return 2;
    }

    struct task task = {.path = argv[argc - 1], .exit_code = 1};
    if (!is_simulated) {
        run_task(&task);
        return task.exit_code;
    }

    dx_simulation_result result;
    const kern_return_t status = dx_simulate(NULL, run_task, &task, &result);
    if (status != kIOReturnSuccess)
        return fail("simulation", status, result.message);
    printf("run:      %.3f s simulated, %s\n", (double)(result.end_time_ns - 1000000000u) * 1e-9,
           result.repeatable ? "repeatable" : "not repeatable");
    return task.exit_code;
}
