// SPDX-License-Identifier: MIT
// Rate conversion through libsamplerate.

#include "backends/file/resampler.h"

#include "backends/file/error.h"

#include <samplerate.h>
#include <stdlib.h>
#include <string.h>

/* libsamplerate's sinc converters take 128 channels at most, so more are cut into groups that are converted side
 * by side: same ratio, same calls, hence the same frame counts. */
#define GROUP_CHANNELS 64u
#define CHUNK_FRAMES 1024u

struct dx_resampler {
    double ratio;
    uint32_t channels;
    uint32_t group_count;
    SRC_STATE **groups;
    float *in;  // CHUNK_FRAMES of one group
    float *out; // CHUNK_FRAMES of one group
};

static uint32_t
group_channels(const struct dx_resampler *resampler, uint32_t group)
{
    const uint32_t left = resampler->channels - group * GROUP_CHANNELS;
    return left < GROUP_CHANNELS ? left : GROUP_CHANNELS;
}

kern_return_t
dx_resampler_create(double ratio, uint32_t channels, struct dx_resampler **ret_resampler, dx_error *error)
{
    if (!src_is_valid_ratio(ratio))
        return dx_file_error(error, kIOReturnBadArgument,
                             "rates that differ by a factor of %g cannot be converted (1/256 to 256)", ratio);

    struct dx_resampler *const resampler = calloc(1, sizeof *resampler);
    if (!resampler)
        return dx_file_error(error, kIOReturnNoMemory, "no memory to convert rates");
    resampler->ratio = ratio;
    resampler->channels = channels;
    resampler->group_count = (channels + GROUP_CHANNELS - 1) / GROUP_CHANNELS;
    resampler->groups = calloc(resampler->group_count, sizeof(SRC_STATE *));
    resampler->in = calloc((size_t)CHUNK_FRAMES * GROUP_CHANNELS, sizeof *resampler->in);
    resampler->out = calloc((size_t)CHUNK_FRAMES * GROUP_CHANNELS, sizeof *resampler->out);
    bool is_complete = resampler->groups && resampler->in && resampler->out;
    for (uint32_t i = 0; i < resampler->group_count && is_complete; i++) {
        int code = 0;
        resampler->groups[i] = src_new(SRC_SINC_BEST_QUALITY, (int)group_channels(resampler, i), &code);
        is_complete = resampler->groups[i] != NULL;
    }
    if (!is_complete) {
        dx_resampler_destroy(resampler);
        return dx_file_error(error, kIOReturnNoMemory, "no memory to convert rates");
    }
    *ret_resampler = resampler;
    return kIOReturnSuccess;
}

void
dx_resampler_destroy(struct dx_resampler *resampler)
{
    if (!resampler)
        return;
    for (uint32_t i = 0; resampler->groups && i < resampler->group_count; i++) {
        if (resampler->groups[i])
            (void)src_delete(resampler->groups[i]); // always NULL
    }
    free(resampler->groups);
    free(resampler->in);
    free(resampler->out);
    free(resampler);
}

/* Copies `width` channels of `frames` frames between layouts of different strides. */
static void
copy_columns(float *to, uint32_t to_stride, const float *from, uint32_t from_stride, uint32_t width,
             uint32_t frames)
{
    for (uint32_t i = 0; i < frames; i++)
        memcpy(to + (size_t)i * to_stride, from + (size_t)i * from_stride, width * sizeof *to);
}

kern_return_t
dx_resampler_process(struct dx_resampler *resampler, const float *in, uint32_t in_frames, bool is_last, float *out,
                     uint32_t out_frames, uint32_t *ret_used, uint32_t *ret_made)
{
    const bool is_cut = in_frames > CHUNK_FRAMES;
    const uint32_t take = is_cut ? CHUNK_FRAMES : in_frames;
    const uint32_t room = out_frames > CHUNK_FRAMES ? CHUNK_FRAMES : out_frames;
    for (uint32_t i = 0; i < resampler->group_count; i++) {
        const uint32_t width = group_channels(resampler, i);
        const size_t first = (size_t)i * GROUP_CHANNELS;
        if (take > 0)
            copy_columns(resampler->in, width, in + first, resampler->channels, width, take);
        SRC_DATA data = {
            .data_in = resampler->in,
            .data_out = resampler->out,
            .input_frames = (long)take,
            .output_frames = (long)room,
            .end_of_input = is_last && !is_cut,
            .src_ratio = resampler->ratio,
        };
        if (src_process(resampler->groups[i], &data) != 0)
            return kIOReturnInternalError;
        copy_columns(out + first, resampler->channels, resampler->out, width, width,
                     (uint32_t)data.output_frames_gen);
        *ret_used = (uint32_t)data.input_frames_used;
        *ret_made = (uint32_t)data.output_frames_gen;
    }
    return kIOReturnSuccess;
}
