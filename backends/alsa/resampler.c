// SPDX-License-Identifier: MIT
// A windowed sinc.

#include "backends/alsa/resampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Zero crossings of the sinc on either side, at the lower of the two rates. */
#define CROSSINGS 48u
/* Kaiser's window: 100 dB of attenuation, reached 7 % of the lower rate after it begins. */
#define BETA 10.0
/* Where it begins, of the lower rate. */
#define CUTOFF 0.465
/* Places between two frames; what is between two places is interpolated, 106 dB below the signal. */
#define PHASES 512u
#define PI 3.14159265358979323846

/* Source: Abramowitz and Stegun, 9.6.12. */
static double
bessel_i0(double x)
{
    double sum = 1.0;
    double term = 1.0;
    for (unsigned k = 1; term > 1e-17 * sum; k++) {
        term *= x / (2.0 * k) * (x / (2.0 * k));
        sum += term;
    }
    return sum;
}

/* @param x  in frames of the lower rate. */
static double
find_weight(double x)
{
    const double edge = x / CROSSINGS;
    if (edge <= -1.0 || edge >= 1.0)
        return 0.0;
    const double angle = 2.0 * PI * CUTOFF * x;
    const double sinc = fabs(angle) < 1e-9 ? 1.0 : sin(angle) / angle;
    return sinc * bessel_i0(BETA * sqrt(1.0 - edge * edge));
}

/* Each row lets a constant through as it is. */
static void
fill_row(float *row, uint32_t half, double fraction, double scale)
{
    double sum = 0.0;
    for (uint32_t k = 0; k < 2u * half; k++) {
        const double weight = find_weight(((double)k - (half - 1.0) - fraction) * scale);
        row[k] = (float)weight;
        sum += weight;
    }
    for (uint32_t k = 0; k < 2u * half; k++)
        row[k] = (float)(row[k] / sum);
}

bool
dx_alsa_resampler_init(struct dx_alsa_resampler *resampler, uint32_t from_hz, uint32_t to_hz)
{
    memset(resampler, 0, sizeof *resampler);
    if (!from_hz || !to_hz || from_hz / to_hz > DX_ALSA_LARGEST_RATIO || to_hz / from_hz > DX_ALSA_LARGEST_RATIO)
        return false;
    if (from_hz == to_hz)
        return true;
    const double scale = to_hz < from_hz ? (double)to_hz / from_hz : 1.0;
    const uint32_t half = (uint32_t)ceil(CROSSINGS / scale) + 1u;
    resampler->table = calloc((PHASES + 1u) * 2u * half, sizeof *resampler->table);
    if (!resampler->table)
        return false;
    resampler->half = half;
    for (uint32_t phase = 0; phase <= PHASES; phase++)
        fill_row(resampler->table + (size_t)phase * 2u * half, half, (double)phase / PHASES, scale);
    return true;
}

void
dx_alsa_resampler_finish(struct dx_alsa_resampler *resampler)
{
    free(resampler->table);
    memset(resampler, 0, sizeof *resampler);
}

void
dx_alsa_resampler_run(const struct dx_alsa_resampler *resampler, const float *frames, uint32_t channels,
                      double fraction, float *ret_frame)
{
    if (!resampler->half) {
        memcpy(ret_frame, frames, channels * sizeof *ret_frame);
        return;
    }
    const uint32_t taps = 2u * resampler->half;
    const double place = fraction * PHASES;
    const uint32_t phase = (uint32_t)place;
    const float between = (float)(place - phase);
    const float *const row = resampler->table + (size_t)phase * taps;
    memset(ret_frame, 0, channels * sizeof *ret_frame);
    for (uint32_t k = 0; k < taps; k++) {
        const float weight = row[k] + (row[taps + k] - row[k]) * between;
        const float *const frame = frames + (size_t)k * channels;
        for (uint32_t c = 0; c < channels; c++)
            ret_frame[c] += weight * frame[c];
    }
}
