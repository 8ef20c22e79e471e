// SPDX-License-Identifier: MIT
// From one rate and channel count to another.

#include "backends/file/pipeline.h"

#include "backends/file/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t
min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The rule at the head of file.h. */
static void
map_channels(const float *in, uint32_t in_channels, float *out, uint32_t out_channels, uint32_t frames)
{
    if (in_channels == out_channels) {
        memcpy(out, in, (size_t)frames * in_channels * sizeof *out);
        return;
    }
    const uint32_t common = min_u32(in_channels, out_channels);
    for (uint32_t frame = 0; frame < frames; frame++) {
        const float *const from = in + (size_t)frame * in_channels;
        float *const to = out + (size_t)frame * out_channels;
        if (in_channels == 1) {
            for (uint32_t i = 0; i < out_channels; i++)
                to[i] = from[0];
        } else if (out_channels == 1) {
            double sum = 0.0;
            for (uint32_t i = 0; i < in_channels; i++)
                sum += (double)from[i];
            to[0] = (float)(sum / in_channels);
        } else {
            memcpy(to, from, common * sizeof *to);
            memset(to + common, 0, (out_channels - common) * sizeof *to);
        }
    }
}

kern_return_t
dx_pipeline_init(struct dx_pipeline *pipeline, double in_rate_hz, uint32_t in_channels, double out_rate_hz,
                 uint32_t out_channels, dx_error *error)
{
    *pipeline = (struct dx_pipeline){
        .in_channels = in_channels,
        .out_channels = out_channels,
        .inner_channels = min_u32(in_channels, out_channels),
    };
    kern_return_t status = kIOReturnSuccess;
    if (in_rate_hz != out_rate_hz)
        status =
            dx_resampler_create(out_rate_hz / in_rate_hz, pipeline->inner_channels, &pipeline->resampler, error);
    if (status == kIOReturnSuccess && pipeline->resampler && in_channels != out_channels) {
        const size_t samples = (size_t)DX_PIPELINE_CHUNK * pipeline->inner_channels;
        pipeline->inner_in = calloc(samples, sizeof(float));
        pipeline->inner_out = calloc(samples, sizeof(float));
        if (!pipeline->inner_in || !pipeline->inner_out)
            status = dx_file_error(error, kIOReturnNoMemory, "no memory to convert rates");
    }
    if (status != kIOReturnSuccess)
        dx_pipeline_finish(pipeline);
    return status;
}

void
dx_pipeline_finish(struct dx_pipeline *pipeline)
{
    dx_resampler_destroy(pipeline->resampler);
    free(pipeline->inner_in);
    free(pipeline->inner_out);
    *pipeline = (struct dx_pipeline){0};
}

kern_return_t
dx_pipeline_process(struct dx_pipeline *pipeline, const float *in, uint32_t in_frames, bool is_last, float *out,
                    uint32_t out_frames, uint32_t *ret_used, uint32_t *ret_made)
{
    if (!pipeline->resampler) {
        const uint32_t frames = min_u32(in_frames, out_frames);
        map_channels(in, pipeline->in_channels, out, pipeline->out_channels, frames);
        *ret_used = frames;
        *ret_made = frames;
        return kIOReturnSuccess;
    }
    if (pipeline->in_channels == pipeline->out_channels)
        return dx_resampler_process(pipeline->resampler, in, in_frames, is_last, out, out_frames, ret_used,
                                    ret_made);

    // the rate is converted where there are fewer channels
    const uint32_t take = min_u32(in_frames, DX_PIPELINE_CHUNK);
    const bool is_reducing = pipeline->in_channels > pipeline->out_channels;
    if (is_reducing)
        map_channels(in, pipeline->in_channels, pipeline->inner_in, pipeline->inner_channels, take);
    const kern_return_t status = dx_resampler_process(
        pipeline->resampler, is_reducing ? pipeline->inner_in : in, take, is_last && take == in_frames,
        is_reducing ? out : pipeline->inner_out, min_u32(out_frames, DX_PIPELINE_CHUNK), ret_used, ret_made);
    if (status == kIOReturnSuccess && !is_reducing)
        map_channels(pipeline->inner_out, pipeline->inner_channels, out, pipeline->out_channels, *ret_made);
    return status;
}

uint64_t
dx_pipeline_length(uint64_t frames, double in_rate_hz, double out_rate_hz)
{
    return in_rate_hz == out_rate_hz ? frames : (uint64_t)llround((double)frames * (out_rate_hz / in_rate_hz));
}
