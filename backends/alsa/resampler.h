// SPDX-License-Identifier: MIT
// Sound at a rate from sound at another: a windowed sinc, without a memory of its own.

#ifndef DX_BACKENDS_ALSA_RESAMPLER_H
#define DX_BACKENDS_ALSA_RESAMPLER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A frame of the result is a function of its place among the frames given, and of `half` of them on either side: what is
 * wanted again is computed again, to the same bits.
 */
struct dx_alsa_resampler {
    uint32_t half; // frames before a place, and after it, that count
    float *table;  // (PHASES + 1) rows of 2 * half weights
};

/** How much slower one rate may be than the other. */
#define DX_ALSA_LARGEST_RATIO 32u

/** Makes the table; with equal rates `half` is 0.  false: no memory, or rates that are too far apart. */
bool dx_alsa_resampler_init(struct dx_alsa_resampler *resampler, uint32_t from_hz, uint32_t to_hz);

/** Zeroed is fine. */
void dx_alsa_resampler_finish(struct dx_alsa_resampler *resampler);

/**
 * One frame, at `fraction` (0 ... 1, without 1) after the frame number `half` - 1 of those given.
 *
 * @param frames  2 * half frames of `channels` samples; with `half` 0 one frame, which is the result.
 */
void dx_alsa_resampler_run(const struct dx_alsa_resampler *resampler, const float *frames, uint32_t channels,
                           double fraction, float *ret_frame);

#endif /* DX_BACKENDS_ALSA_RESAMPLER_H */
