// SPDX-License-Identifier: MIT
// A program that plays to a device of the machine: lists what there is, plays two seconds of a tone, and says what
// it is told meanwhile.
//
// Use:    tone [DEVICE]       a name or UID; none: the default output
// Build:  cc tone.c $(pkg-config --cflags --libs dextral) -lm
//
// The supervisor must run: `dextral serve`, or the systemd unit.

#include <dextral/directory.h>

#include <math.h>
#include <stdio.h>

#define SECONDS UINT64_C(2)
#define TWO_PI 6.283185307179586

/* What the callback works on. */
struct tone {
    uint32_t channels;
    double step; // of the phase, in a frame
    double phase;
};

static void
play(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct tone *tone = context;
    float *out = output;
    (void)input; // there is none

    for (uint32_t i = 0; i < cycle->frames; i++) {
        const float sample = (float)(0.25 * sin(tone->phase));
        tone->phase = fmod(tone->phase + tone->step, TWO_PI);
        for (uint32_t channel = 0; channel < tone->channels; channel++)
            *out++ = sample;
    }
}

static void
tell(void *context, const dx_host_event *event)
{
    (void)context;
    const char *uid = event->device ? dx_device_uid(event->device) : "";
    switch ((int)event->kind) {
    case DX_EVENT_IO_STARTED:
        printf("%s runs\n", uid);
        break;
    case DX_EVENT_IO_STOPPED:
        printf("%s has stopped\n", uid);
        break;
    case DX_EVENT_SUPERVISOR_LOST:
        printf("the supervisor is gone; sound goes on\n");
        break;
    case DX_EVENT_SUPERVISOR_BACK:
        printf("there is a supervisor again\n");
        break;
    }
}

static int
fail(const char *what, kern_return_t status)
{
    fprintf(stderr, "tone: %s: %s\n", what, dx_return_string(status));
    return 1;
}

static void
list_devices(dx_directory *directory)
{
    dx_device *devices[64];
    size_t count = dx_directory_copy_devices(directory, devices, 64);
    count = count < 64 ? count : 64;
    for (size_t i = 0; i < count; i++) {
        dx_device_info info = {.size = sizeof info};
        if (dx_device_get_info(devices[i], &info) == kIOReturnSuccess)
            printf("%s: %s, %.0f Hz, %u in, %u out\n", dx_device_uid(devices[i]), info.name, info.sample_rate_hz,
                   info.input_streams, info.output_streams);
        dx_device_release(devices[i]);
    }
}

static int
play_tone(dx_device *device)
{
    dx_device_info info = {.size = sizeof info};
    kern_return_t status = dx_device_get_info(device, &info);
    if (status != kIOReturnSuccess)
        return fail("device", status);
    if (info.output_streams == 0 || !info.outputs[0].is_mixable)
        return fail(info.name, kIOReturnUnsupported); // samples of a mixable stream are floats

    struct tone tone = {
        .channels = info.outputs[0].client.mChannelsPerFrame,
        .step = TWO_PI * 440.0 / info.sample_rate_hz,
    };
    const dx_client_config config = {
        .size = sizeof config,
        .output_stream = 0,
        .input_stream = DX_NO_STREAM,
        .callback = play,
        .context = &tone,
    };
    dx_client *client = NULL;
    status = dx_client_open(device, &config, &client);
    if (status == kIOReturnSuccess)
        status = dx_client_start(client);
    dx_client_status now = {.size = sizeof now};
    if (status == kIOReturnSuccess) {
        dx_clock_sleep_until(dx_clock_host(), dx_clock_now_ns(dx_clock_host()) + SECONDS * 1000000000u);
        status = dx_client_get_status(client, &now);
    }
    dx_client_close(client); // stops it first
    if (status != kIOReturnSuccess)
        return fail(info.name, status);
    printf("played to %s: %.1f ms of latency, %llu frames came too late\n", info.name,
           1e3 * now.output_latency_frames / info.sample_rate_hz, (unsigned long long)now.underrun_frames);
    return 0;
}

int
main(int argc, char **argv)
{
    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        fprintf(stderr, "use: tone [DEVICE]\n");
        return 2;
    }
    const dx_directory_config config = {.size = sizeof config, .listener = tell};
    dx_directory *directory = NULL;
    dx_error error = {{0}};
    if (dx_directory_open(&config, &directory, &error) != kIOReturnSuccess) {
        fprintf(stderr, "tone: %s\n", error.message);
        return 1;
    }
    list_devices(directory);
    dx_device *device = argc == 2 ? dx_directory_copy_device(directory, argv[1])
                                  : dx_directory_copy_default_device(directory, IOUserAudioStreamDirectionOutput);
    const int exit_code = device ? play_tone(device) : fail(argc == 2 ? argv[1] : "default", kIOReturnNoDevice);
    dx_device_release(device);
    dx_directory_close(directory);
    return exit_code;
}
