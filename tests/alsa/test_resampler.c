// SPDX-License-Identifier: MIT
// The converter of rates, against the sines that it should give.

#include "backends/alsa/resampler.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#define PI 3.14159265358979323846
#define FRAMES 6000u

/* The largest difference between the resampled sine and the sine, of the second channel; the first is a constant. */
static double
find_error(uint32_t from_hz, uint32_t to_hz, double frequency_hz, double *ret_constant_error)
{
    struct dx_alsa_resampler resampler;
    cr_assert(dx_alsa_resampler_init(&resampler, from_hz, to_hz));
    float *const frames = calloc(2u * FRAMES, sizeof *frames);
    cr_assert(frames);
    for (uint32_t i = 0; i < FRAMES; i++) {
        frames[2u * i] = 0.75f;
        frames[2u * i + 1u] = (float)sin(2.0 * PI * frequency_hz * i / from_hz);
    }
    double error = 0.0;
    *ret_constant_error = 0.0;
    const uint32_t half = resampler.half;
    for (uint64_t j = 0;; j++) {
        const uint64_t whole = j * from_hz / to_hz;
        const double fraction = (double)(j * from_hz % to_hz) / to_hz;
        if (whole + 2u * half >= FRAMES)
            break;
        float frame[2];
        dx_alsa_resampler_run(&resampler, frames + 2u * whole, 2, fraction, frame);
        const double time = ((double)whole + fraction + (half ? half - 1.0 : 0.0)) / from_hz;
        error = fmax(error, fabs(frame[1] - sin(2.0 * PI * frequency_hz * time)));
        *ret_constant_error = fmax(*ret_constant_error, fabs(frame[0] - 0.75));
    }
    free(frames);
    dx_alsa_resampler_finish(&resampler);
    return error;
}

Test(resampler, a_sine_stays_what_it_is)
{
    static const uint32_t rates[][2] = {{44100, 96000}, {96000, 44100}, {48000, 44100}, {44100, 48000},
                                        {48000, 192000}, {192000, 48000}, {48000, 8000}, {44101, 48000}};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        const uint32_t lower = rates[i][0] < rates[i][1] ? rates[i][0] : rates[i][1];
        for (double part = 0.05; part < 0.42; part += 0.05) {
            double constant_error;
            const double error = find_error(rates[i][0], rates[i][1], part * lower, &constant_error);
            cr_assert_lt(error, 3e-5, "%u to %u, %g Hz: %g", rates[i][0], rates[i][1], part * lower, error); // -90 dB
            cr_assert_lt(constant_error, 1e-6);
        }
    }
}

Test(resampler, what_the_lower_rate_cannot_hold_is_gone)
{
    /* 30 kHz would be heard at 14.1 kHz. */
    struct dx_alsa_resampler resampler;
    cr_assert(dx_alsa_resampler_init(&resampler, 96000, 44100));
    float frames[FRAMES];
    for (uint32_t i = 0; i < FRAMES; i++)
        frames[i] = (float)sin(2.0 * PI * 30000.0 * i / 96000.0);
    for (uint32_t i = 0; i + 2u * resampler.half < FRAMES; i++) {
        float frame;
        dx_alsa_resampler_run(&resampler, frames + i, 1, 0.3, &frame);
        cr_assert_lt(fabsf(frame), 3e-5f);
    }
    dx_alsa_resampler_finish(&resampler);
}

Test(resampler, equal_rates_change_no_bit)
{
    struct dx_alsa_resampler resampler;
    cr_assert(dx_alsa_resampler_init(&resampler, 48000, 48000));
    cr_assert_eq(resampler.half, 0);
    const float frame[] = {1e-42f, -0.0f, 3.5f};
    float result[3];
    dx_alsa_resampler_run(&resampler, frame, 3, 0.0, result);
    cr_assert_arr_eq(result, frame, sizeof frame);
    dx_alsa_resampler_finish(&resampler);
}

Test(resampler, rates_that_are_too_far_apart_are_refused)
{
    struct dx_alsa_resampler resampler;
    cr_assert_not(dx_alsa_resampler_init(&resampler, 1000000, 8000));
    cr_assert_not(dx_alsa_resampler_init(&resampler, 8000, 1000000));
    cr_assert_not(dx_alsa_resampler_init(&resampler, 0, 8000));
    cr_assert_not(dx_alsa_resampler_init(&resampler, 8000, 0));
}
