// SPDX-License-Identifier: MIT
// A DSP plug-in that does nothing; DSP_DEFECT makes one thing of it wrong.

#include <dextral/plugin.h>

#ifndef DSP_DEFECT
#    define DSP_DEFECT 0
#endif

static double values[2];

static void *
create(void)
{
    return DSP_DEFECT == 1 ? NULL : values;
}

static void
destroy(void *instance)
{
    (void)instance;
}

static kern_return_t
activate(void *instance, const dx_dsp_view *view, double rate_hz, uint32_t max_frames)
{
    (void)instance, (void)view, (void)rate_hz, (void)max_frames;
    return kIOReturnSuccess;
}

static void
deactivate(void *instance)
{
    (void)instance;
}

static kern_return_t
process(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
        uint64_t host_time, void *context) DX_REALTIME
{
    (void)device, (void)operation, (void)frames, (void)sample_time, (void)host_time, (void)context;
    return kIOReturnSuccess;
}

static kern_return_t
set_parameter(void *instance, uint32_t index, double value) DX_REALTIME
{
    double *const all = instance;
    if (index >= 2)
        return kIOReturnBadArgument;
    all[index] = value;
    return kIOReturnSuccess;
}

static double
get_parameter(void *instance, uint32_t index) DX_REALTIME
{
    const double *const all = instance;
    return index < 2 ? all[index] : 0.0;
}

static uint32_t
latency_frames(void *instance)
{
    (void)instance;
    return 0;
}

static const dx_dsp_parameter parameters[] = {
    {"gain_db", "dB", -96.0, 24.0, 0.0},
    {"mix", "", 0.0, 1.0, DSP_DEFECT == 2 ? 7.0 : 1.0},
};

static const dx_dsp_plugin plugin = {
    .size = DSP_DEFECT == 3 ? 16 : sizeof plugin,
    .abi = DSP_DEFECT == 4 ? (DX_PLUGIN_ABI_MAJOR + 1u) << 16 : DX_PLUGIN_ABI,
    .identifier = "org.dextral.test",
    .name = "Test",
    .version = "1.0",
    .parameter_count = 2,
    .parameters = parameters,
    .create = create,
    .destroy = destroy,
    .activate = activate,
    .deactivate = deactivate,
    .process = DSP_DEFECT == 5 ? NULL : process,
    .set_parameter = set_parameter,
    .get_parameter = get_parameter,
    .latency_frames = latency_frames,
};

DX_DSP_PLUGIN(plugin)
