// SPDX-License-Identifier: MIT
// DSP plug-in: gain in decibels, ramped so that a change makes no click.
//
// Use:  dextral process --driver Loop.dext --dsp gain.so:gain_db=-6 in.wav out.wav

#include <dextral/plugin.h>

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A change takes this many frames: 1.3 ms at 48 kHz, too short to be heard as a fade. */
#define RAMP_FRAMES 64u

static const dx_dsp_parameter parameters[] = {
    {.name = "gain_db", .unit = "dB", .minimum = -120.0, .maximum = 24.0, .initial = 0.0},
};
#define GAIN_DB 0u

struct gain {
    /* Written by any thread, read by the IO thread. */
    _Atomic double gain_db;

    /* Fixed between activate and deactivate. */
    const dx_dsp_view *view;
    uint32_t max_frames;

    /* The IO thread's own. */
    double seen_db;       // what `target` was computed from
    float target;         // linear gain at the end of the ramp
    float step;           // per frame
    uint32_t ramp_frames; // still to go
    bool is_fresh;        // no frame since activate: the first gain is taken at once
};

static void *
create(void)
{
    struct gain *gain = calloc(1, sizeof *gain);
    if (!gain)
        return NULL;
    atomic_init(&gain->gain_db, parameters[GAIN_DB].initial);
    return gain;
}

static void
destroy(void *instance)
{
    free(instance);
}

static kern_return_t
activate(void *instance, const dx_dsp_view *view, double rate_hz, uint32_t max_frames)
{
    struct gain *gain = instance;
    if (!view || !(rate_hz > 0.0))
        return kIOReturnBadArgument;

    gain->view = view;
    gain->max_frames = max_frames;
    gain->ramp_frames = 0;
    gain->is_fresh = true;
    return kIOReturnSuccess;
}

static void
deactivate(void *instance)
{
    struct gain *gain = instance;
    gain->view = NULL;
}

/* Gain of the frame before the one with `ramp_frames` frames to go: exactly `target` when there are none. */
static inline float
current_gain(const struct gain *gain) DX_REALTIME
{
    return gain->target - gain->step * (float)gain->ramp_frames;
}

/* Starts a ramp from where the gain is now, be it in the middle of another ramp. */
static void
aim(struct gain *gain, double gain_db) DX_REALTIME
{
    const float from = current_gain(gain);
    gain->seen_db = gain_db;
    gain->target = (float)pow(10.0, gain_db / 20.0);
    gain->ramp_frames = gain->is_fresh ? 0 : RAMP_FRAMES;
    gain->step = (gain->target - from) / (float)RAMP_FRAMES;
    gain->is_fresh = false;
}

static kern_return_t
process(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
        uint64_t host_time, void *context) DX_REALTIME
{
    struct gain *gain = context;
    (void)device, (void)operation, (void)sample_time, (void)host_time; // the same in both directions, at any time
    if (!gain->view || frames > gain->max_frames)
        return kIOReturnBadArgument;

    /* relaxed: the number is all there is to see; nothing else is published with it by set_parameter(). */
    const double gain_db = atomic_load_explicit(&gain->gain_db, memory_order_relaxed);
    if (gain->is_fresh || gain_db != gain->seen_db)
        aim(gain, gain_db);

    float *sample = gain->view->interleaved;
    const uint32_t channels = gain->view->channels;
    uint32_t frame = 0;
    for (; frame < frames && gain->ramp_frames > 0; frame++) {
        gain->ramp_frames--;
        const float factor = current_gain(gain);
        for (uint32_t channel = 0; channel < channels; channel++)
            *sample++ *= factor;
    }

    const float factor = gain->target;
    for (size_t rest = (size_t)(frames - frame) * channels; rest > 0; rest--)
        *sample++ *= factor;
    return kIOReturnSuccess;
}

static kern_return_t
set_parameter(void *instance, uint32_t index, double value) DX_REALTIME
{
    struct gain *gain = instance;
    if (index != GAIN_DB || isnan(value))
        return kIOReturnBadArgument;
    value = fmin(fmax(value, parameters[index].minimum), parameters[index].maximum);
    /* relaxed: see process(). */
    atomic_store_explicit(&gain->gain_db, value, memory_order_relaxed);
    return kIOReturnSuccess;
}

static double
get_parameter(void *instance, uint32_t index) DX_REALTIME
{
    struct gain *gain = instance;
    /* relaxed: see process(). */
    return index == GAIN_DB ? atomic_load_explicit(&gain->gain_db, memory_order_relaxed) : 0.0;
}

static uint32_t
latency_frames(void *instance)
{
    (void)instance;
    return 0;
}

static const dx_dsp_plugin plugin = {
    .size = sizeof plugin,
    .abi = DX_PLUGIN_ABI,
    .identifier = "org.dextral.dsp.gain",
    .name = "Gain",
    .version = "1.0",
    .flags = 0, // interleaved samples
    .parameter_count = sizeof parameters / sizeof parameters[0],
    .parameters = parameters,
    .create = create,
    .destroy = destroy,
    .activate = activate,
    .deactivate = deactivate,
    .process = process,
    .set_parameter = set_parameter,
    .get_parameter = get_parameter,
    .latency_frames = latency_frames,
};

DX_DSP_PLUGIN(plugin)
