// SPDX-License-Identifier: MIT
// Between a program's frames and a device's that have become others: rate, channels, samples.

#ifndef DX_BACKENDS_ALSA_ADAPTER_H
#define DX_BACKENDS_ALSA_ADAPTER_H

#include "audio/convert.h"
#include "backends/alsa/resampler.h"

/* What frames are like on one side. */
struct dx_alsa_side {
    uint32_t rate_hz;
    uint32_t channels;
    enum dx_sample_format format;
    uint32_t bytes_per_frame;
};

/*
 * Channels: equal counts one to one; one channel to all; several to one as their mean; else the first ones one to one, and the
 * rest dropped or silent.
 *
 * Sound is late by the resampler's `half`, in frames of the side that it comes from, so that a frame is made of those before
 * it alone.
 */
struct dx_alsa_adapter {
    struct dx_alsa_side program;
    struct dx_alsa_side device;
    const struct dx_kernels *kernels;
    struct dx_alsa_resampler resampler;
    /* What was played, [begin, end) as the program counts, and some more; in floats.  Each frame stands twice, so that those
     * that a frame is made of are in one piece.  A power of two of frames, and twice as many places. */
    float *history;
    uint32_t history_frames;
    uint64_t begin;
    uint64_t end;
    float *window; // capture: frames of the device that a chunk is made of
    float *frame;  // one, with the channels of the side that it comes from, ...
    float *mapped; // ... and of the other
};

#define DX_ALSA_ADAPTER_CHUNK_FRAMES 256u

/** Whether frames of one side are those of the other, but for how a sample is written: no adapter is needed. */
bool dx_alsa_side_is_like(const struct dx_alsa_side *program, const struct dx_alsa_side *device);

/**
 * @param buffer_frames  of the program: what it may have written and not heard.
 * @return NULL without memory, or for rates that are too far apart.
 */
struct dx_alsa_adapter *dx_alsa_adapter_create(const struct dx_alsa_side *program, const struct dx_alsa_side *device,
                                               uint32_t buffer_frames, bool is_capture);
void dx_alsa_adapter_destroy(struct dx_alsa_adapter *adapter); // NULL is fine

/** Frames, of the side that sound comes from, by which it is late. */
uint32_t dx_alsa_adapter_lateness(const struct dx_alsa_adapter *adapter);

/* Playback. */

/** Forgets everything: a frame is the next that comes, and silence is before it. */
void dx_alsa_adapter_begin(struct dx_alsa_adapter *adapter, uint64_t frame);
/** The next frame that comes. */
uint64_t dx_alsa_adapter_end(const struct dx_alsa_adapter *adapter);
/** Makes a frame the next that comes: what there was from it on is forgotten, what is missing before it is silence. */
void dx_alsa_adapter_move_end(struct dx_alsa_adapter *adapter, uint64_t end);
/** Takes the next frames of the program; NULL: silence. */
void dx_alsa_adapter_take(struct dx_alsa_adapter *adapter, const void *data, uint32_t frames);
/** The same, of floats. */
void dx_alsa_adapter_take_floats(struct dx_alsa_adapter *adapter, const float *data, uint32_t frames);
/** Makes one frame of the device, for a place among the program's. */
void dx_alsa_adapter_make(struct dx_alsa_adapter *adapter, uint64_t frame, double fraction, void *ret_frame);
/** Gives frames that came, as floats; silence where they are no longer there. */
void dx_alsa_adapter_copy(const struct dx_alsa_adapter *adapter, uint64_t frame, uint32_t frames, float *ret_data);

/* Capture. */

/** Frames of the device that fit into the window. */
uint32_t dx_alsa_adapter_window_frames(const struct dx_alsa_adapter *adapter);
/** Makes the window of as many frames of the device. */
void dx_alsa_adapter_fill_window(struct dx_alsa_adapter *adapter, const void *data, uint32_t at, uint32_t frames);
/** Makes one frame of the program, for a place in the window: the first `half` * 2 - 1 frames of it are before any. */
void dx_alsa_adapter_make_recorded(struct dx_alsa_adapter *adapter, uint32_t place, double fraction, void *ret_frame);

#endif /* DX_BACKENDS_ALSA_ADAPTER_H */
