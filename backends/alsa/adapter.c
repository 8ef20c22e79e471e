// SPDX-License-Identifier: MIT
// Between a program's frames and a device's that have become others.

#include "backends/alsa/adapter.h"

#include <stdlib.h>
#include <string.h>

/* What is before the program's first frame has a number too. */
#define FIRST_FRAME 65536u

bool
dx_alsa_side_is_like(const struct dx_alsa_side *program, const struct dx_alsa_side *device)
{
    /* A device that is not mixable wants its own samples; of floats any samples are made on the way. */
    const bool is_float = device->format == DX_SAMPLE_F32_LE || device->format == DX_SAMPLE_F32_BE;
    return program->rate_hz == device->rate_hz && program->channels == device->channels &&
           (is_float || program->format == device->format);
}

static uint32_t
round_up_to_power_of_two(uint32_t value)
{
    return value <= 1u ? 1u : 1u << (32u - (uint32_t)__builtin_clz(value - 1u));
}

static bool
allocate(struct dx_alsa_adapter *adapter, uint32_t buffer_frames, bool is_capture)
{
    const struct dx_alsa_side *const from = is_capture ? &adapter->device : &adapter->program;
    const struct dx_alsa_side *const to = is_capture ? &adapter->program : &adapter->device;
    adapter->frame = calloc(from->channels, sizeof *adapter->frame);
    adapter->mapped = calloc(to->channels, sizeof *adapter->mapped);
    if (is_capture) {
        adapter->window = calloc((size_t)dx_alsa_adapter_window_frames(adapter) * from->channels, sizeof(float));
    } else {
        /* What is not heard yet, what a frame is made of, and the silence that follows the last one. */
        adapter->history_frames = round_up_to_power_of_two(buffer_frames + 4u * adapter->resampler.half + 1u);
        adapter->history = calloc(2u * (size_t)adapter->history_frames * from->channels, sizeof(float));
    }
    return adapter->frame && adapter->mapped && (is_capture ? adapter->window : adapter->history);
}

struct dx_alsa_adapter *
dx_alsa_adapter_create(const struct dx_alsa_side *program, const struct dx_alsa_side *device, uint32_t buffer_frames,
                       bool is_capture)
{
    struct dx_alsa_adapter *const adapter = calloc(1, sizeof *adapter);
    if (!adapter)
        return NULL;
    adapter->program = *program;
    adapter->device = *device;
    adapter->kernels = dx_kernels_best();
    const bool fits = is_capture ? dx_alsa_resampler_init(&adapter->resampler, device->rate_hz, program->rate_hz)
                                 : dx_alsa_resampler_init(&adapter->resampler, program->rate_hz, device->rate_hz);
    if (fits && allocate(adapter, buffer_frames, is_capture))
        return adapter;
    dx_alsa_adapter_destroy(adapter);
    return NULL;
}

void
dx_alsa_adapter_destroy(struct dx_alsa_adapter *adapter)
{
    if (!adapter)
        return;
    dx_alsa_resampler_finish(&adapter->resampler);
    free(adapter->history);
    free(adapter->window);
    free(adapter->frame);
    free(adapter->mapped);
    free(adapter);
}

uint32_t
dx_alsa_adapter_lateness(const struct dx_alsa_adapter *adapter)
{
    return adapter->resampler.half;
}

/* Frames on either side of a place that a frame is made of, together. */
static uint32_t
count_taps(const struct dx_alsa_adapter *adapter)
{
    return adapter->resampler.half ? 2u * adapter->resampler.half : 1u;
}

static void
map_channels(const float *from, uint32_t from_channels, float *to, uint32_t to_channels)
{
    if (from_channels == 1) {
        for (uint32_t c = 0; c < to_channels; c++)
            to[c] = from[0];
    } else if (to_channels == 1) {
        float sum = 0.0f;
        for (uint32_t c = 0; c < from_channels; c++)
            sum += from[c];
        to[0] = sum / (float)from_channels;
    } else {
        for (uint32_t c = 0; c < to_channels; c++)
            to[c] = c < from_channels ? from[c] : 0.0f;
    }
}

/* ---- playback ---- */

static void
put_frame(struct dx_alsa_adapter *adapter, const float *frame)
{
    const size_t channels = adapter->program.channels;
    const size_t at = (size_t)(adapter->end & (adapter->history_frames - 1u));
    float *const first = adapter->history + at * channels;
    memcpy(first, frame, channels * sizeof *first);
    memcpy(first + adapter->history_frames * channels, frame, channels * sizeof *first);
    adapter->end++;
    if (adapter->end - adapter->begin > adapter->history_frames)
        adapter->begin = adapter->end - adapter->history_frames;
}

void
dx_alsa_adapter_take_floats(struct dx_alsa_adapter *adapter, const float *data, uint32_t frames)
{
    for (uint32_t i = 0; i < frames; i++)
        put_frame(adapter, data + (size_t)i * adapter->program.channels);
}

void
dx_alsa_adapter_take(struct dx_alsa_adapter *adapter, const void *data, uint32_t frames)
{
    const dx_to_float_function to_float = adapter->kernels->to_float[adapter->program.format];
    const uint8_t *from = data;
    memset(adapter->frame, 0, adapter->program.channels * sizeof *adapter->frame);
    for (uint32_t i = 0; i < frames; i++) {
        if (from) {
            to_float(adapter->frame, from, adapter->program.channels);
            from += adapter->program.bytes_per_frame;
        }
        put_frame(adapter, adapter->frame);
    }
}

void
dx_alsa_adapter_begin(struct dx_alsa_adapter *adapter, uint64_t frame)
{
    adapter->end = frame + FIRST_FRAME - count_taps(adapter);
    adapter->begin = adapter->end;
    dx_alsa_adapter_take(adapter, NULL, count_taps(adapter));
}

uint64_t
dx_alsa_adapter_end(const struct dx_alsa_adapter *adapter)
{
    return adapter->end - FIRST_FRAME;
}

void
dx_alsa_adapter_move_end(struct dx_alsa_adapter *adapter, uint64_t end)
{
    const uint64_t wanted = end + FIRST_FRAME;
    if (wanted < adapter->begin || wanted > adapter->end + adapter->history_frames)
        dx_alsa_adapter_begin(adapter, end);
    else if (wanted < adapter->end)
        adapter->end = wanted;
    else
        dx_alsa_adapter_take(adapter, NULL, (uint32_t)(wanted - adapter->end));
}

/* Whether frames [frame, frame + count) are all there; then they are in one piece. */
static const float *
find_frames(const struct dx_alsa_adapter *adapter, uint64_t frame, uint32_t count)
{
    if (frame < adapter->begin || frame + count > adapter->end)
        return NULL;
    return adapter->history + (size_t)(frame & (adapter->history_frames - 1u)) * adapter->program.channels;
}

void
dx_alsa_adapter_copy(const struct dx_alsa_adapter *adapter, uint64_t frame, uint32_t frames, float *ret_data)
{
    const size_t bytes = adapter->program.channels * sizeof(float);
    for (uint32_t i = 0; i < frames; i++) {
        const float *const found = find_frames(adapter, frame + FIRST_FRAME + i, 1);
        if (found)
            memcpy(ret_data, found, bytes);
        else
            memset(ret_data, 0, bytes);
        ret_data += adapter->program.channels;
    }
}

void
dx_alsa_adapter_make(struct dx_alsa_adapter *adapter, uint64_t frame, double fraction, void *ret_frame)
{
    const uint32_t taps = count_taps(adapter);
    const float *const frames = find_frames(adapter, frame + FIRST_FRAME + 1u - taps, taps);
    if (frames) // else it was overwritten, or never came
        dx_alsa_resampler_run(&adapter->resampler, frames, adapter->program.channels, fraction, adapter->frame);
    else
        memset(adapter->frame, 0, adapter->program.channels * sizeof *adapter->frame);
    map_channels(adapter->frame, adapter->program.channels, adapter->mapped, adapter->device.channels);
    adapter->kernels->from_float[adapter->device.format](ret_frame, adapter->mapped, adapter->device.channels);
}

/* ---- capture ---- */

uint32_t
dx_alsa_adapter_window_frames(const struct dx_alsa_adapter *adapter)
{
    const uint64_t chunk = DX_ALSA_ADAPTER_CHUNK_FRAMES;
    return (uint32_t)(chunk * adapter->device.rate_hz / adapter->program.rate_hz) + count_taps(adapter) + 2u; // rounded on both sides
}

void
dx_alsa_adapter_fill_window(struct dx_alsa_adapter *adapter, const void *data, uint32_t at, uint32_t frames)
{
    adapter->kernels->to_float[adapter->device.format](adapter->window + (size_t)at * adapter->device.channels, data,
                                                       (size_t)frames * adapter->device.channels);
}

void
dx_alsa_adapter_make_recorded(struct dx_alsa_adapter *adapter, uint32_t place, double fraction, void *ret_frame)
{
    const uint32_t first = place + 1u - count_taps(adapter);
    dx_alsa_resampler_run(&adapter->resampler, adapter->window + (size_t)first * adapter->device.channels,
                          adapter->device.channels, fraction, adapter->frame);
    map_channels(adapter->frame, adapter->device.channels, adapter->mapped, adapter->program.channels);
    adapter->kernels->from_float[adapter->program.format](ret_frame, adapter->mapped, adapter->program.channels);
}
