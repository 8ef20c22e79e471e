// SPDX-License-Identifier: MIT
// Conversion and mixing in plain C: the reference of the other sets, and what runs where there is none.

#include "audio/convert_kernels.h"

/* Built with the project's own flags.  What a compiler makes of such loops is its business: gcc 12 at -O2 leaves
 * them one sample at a time, clang vectorises some. */
#define DEFINE_PLAIN_KERNELS(enumerator, name, bytes)                                                             \
    DX_REALTIME static void to_float_##name(float *restrict dst, const void *restrict src, size_t samples)        \
    {                                                                                                             \
        const uint8_t *p = src;                                                                                   \
        for (size_t i = 0; i < samples; i++)                                                                      \
            dx_load_one_##name(dst + i, p + i * (bytes));                                                         \
    }                                                                                                             \
    DX_REALTIME static void from_float_##name(void *restrict dst, const float *restrict src, size_t samples)      \
    {                                                                                                             \
        uint8_t *p = dst;                                                                                         \
        for (size_t i = 0; i < samples; i++)                                                                      \
            dx_store_one_##name(p + i * (bytes), src + i);                                                        \
    }
DX_SAMPLE_FORMATS(DEFINE_PLAIN_KERNELS)

DX_REALTIME static size_t
copy_limited(float *restrict dst, const float *restrict src, size_t samples)
{
    size_t changed = 0;
    for (size_t i = 0; i < samples; i++)
        dst[i] = dx_limited(src[i], &changed);
    return changed;
}

DX_REALTIME static size_t
add_limited(float *restrict dst, const float *restrict src, size_t samples)
{
    size_t changed = 0;
    for (size_t i = 0; i < samples; i++)
        dst[i] += dx_limited(src[i], &changed);
    return changed;
}

DX_DEFINE_TABLE(dx_kernels_c, "c")
