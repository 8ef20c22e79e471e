// SPDX-License-Identifier: MIT
// Loudness of what goes through.

#ifndef DX_BACKENDS_FILE_LEVEL_H
#define DX_BACKENDS_FILE_LEVEL_H

#include "backends/file/file.h"

#include <math.h>

static inline void
dx_file_level_add(struct dx_file_level *level, const float *samples, size_t count)
{
    double sum = 0.0;
    double peak = level->peak;
    for (size_t i = 0; i < count; i++) {
        const double magnitude = fabs((double)samples[i]);
        if (!(magnitude <= peak) && isfinite(magnitude))
            peak = magnitude;
        if (isfinite(magnitude))
            sum += magnitude * magnitude;
    }
    level->samples += count;
    level->sum_squares += sum;
    level->peak = peak;
}

#endif /* DX_BACKENDS_FILE_LEVEL_H */
