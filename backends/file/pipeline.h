// SPDX-License-Identifier: MIT
// From one rate and channel count to another.

#ifndef DX_BACKENDS_FILE_PIPELINE_H
#define DX_BACKENDS_FILE_PIPELINE_H

#include "backends/file/resampler.h"

/** Fields are the pipeline's own; zeroed is "not set up". */
struct dx_pipeline {
    uint32_t in_channels;
    uint32_t out_channels;
    uint32_t inner_channels;        // the smaller one: what the resampler works on
    struct dx_resampler *resampler; // NULL: equal rates
    float *inner_in;                // DX_PIPELINE_CHUNK frames of inner_channels
    float *inner_out;               // DX_PIPELINE_CHUNK frames of inner_channels
};

#define DX_PIPELINE_CHUNK 1024u

/** As dx_resampler_create(); on failure nothing is to be finished. */
kern_return_t dx_pipeline_init(struct dx_pipeline *pipeline, double in_rate_hz, uint32_t in_channels,
                               double out_rate_hz, uint32_t out_channels, dx_error *error);

/** Zeroed is fine. */
void dx_pipeline_finish(struct dx_pipeline *pipeline);

/** As dx_resampler_process(). */
kern_return_t dx_pipeline_process(struct dx_pipeline *pipeline, const float *in, uint32_t in_frames, bool is_last,
                                  float *out, uint32_t out_frames, uint32_t *ret_used, uint32_t *ret_made);

/** How long `frames` become at another rate: rounded to the nearest. */
uint64_t dx_pipeline_length(uint64_t frames, double in_rate_hz, double out_rate_hz);

#endif /* DX_BACKENDS_FILE_PIPELINE_H */
