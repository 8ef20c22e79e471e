// SPDX-License-Identifier: MIT
// A DSP plug-in whose place in a chain can be heard: x * scale + offset, `delay` frames later.

#include <dextral/plugin.h>

#include <stdlib.h>

#define MAX_DELAY 1000u

enum { SCALE, OFFSET, DELAY, PARAMETERS };

struct instance {
    const dx_dsp_view *view;
    double values[PARAMETERS];
    float *line; // the last frames, a ring of `delay`
    size_t at;
    size_t samples;
};

static const dx_dsp_parameter parameters[PARAMETERS] = {
    [SCALE] = {"scale", "", -8.0, 8.0, 1.0},
    [OFFSET] = {"offset", "", -1.0, 1.0, 0.0},
    [DELAY] = {"delay", "frames", 0.0, MAX_DELAY, 0.0},
};

static void *
create(void)
{
    struct instance *self = calloc(1, sizeof *self);
    for (unsigned i = 0; self && i < PARAMETERS; i++)
        self->values[i] = parameters[i].initial;
    return self;
}

static void
destroy(void *instance)
{
    free(instance);
}

static kern_return_t
activate(void *instance, const dx_dsp_view *view, double rate_hz, uint32_t max_frames)
{
    struct instance *self = instance;
    (void)rate_hz, (void)max_frames;
    self->view = view;
    self->samples = (size_t)self->values[DELAY] * view->channels;
    self->at = 0;
    self->line = calloc(self->samples + 1, sizeof *self->line);
    return self->line ? kIOReturnSuccess : kIOReturnNoMemory;
}

static void
deactivate(void *instance)
{
    struct instance *self = instance;
    free(self->line);
    self->line = NULL;
}

static kern_return_t
process(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
        uint64_t host_time, void *context) DX_REALTIME
{
    struct instance *self = context;
    (void)device, (void)operation, (void)sample_time, (void)host_time;
    float *samples = self->view->interleaved;
    for (size_t i = 0; i < (size_t)frames * self->view->channels; i++) {
        const float made = samples[i] * (float)self->values[SCALE] + (float)self->values[OFFSET];
        samples[i] = made;
        if (self->samples > 0) {
            samples[i] = self->line[self->at];
            self->line[self->at] = made;
            self->at = (self->at + 1) % self->samples;
        }
    }
    return kIOReturnSuccess;
}

static kern_return_t
set_parameter(void *instance, uint32_t index, double value) DX_REALTIME
{
    struct instance *self = instance;
    if (index >= PARAMETERS)
        return kIOReturnBadArgument;
    self->values[index] = value;
    return kIOReturnSuccess;
}

static double
get_parameter(void *instance, uint32_t index) DX_REALTIME
{
    const struct instance *self = instance;
    return index < PARAMETERS ? self->values[index] : 0.0;
}

static uint32_t
latency_frames(void *instance)
{
    const struct instance *self = instance;
    return (uint32_t)self->values[DELAY];
}

static const dx_dsp_plugin plugin = {
    .size = sizeof plugin,
    .abi = DX_PLUGIN_ABI,
    .identifier = "org.dextral.test.linear",
    .name = "Linear",
    .version = "1.0",
    .parameter_count = PARAMETERS,
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
