// SPDX-License-Identifier: MIT
// What the kernel files share: one sample at a time, and how blocks make up a whole conversion.

#ifndef DX_AUDIO_CONVERT_KERNELS_H
#define DX_AUDIO_CONVERT_KERNELS_H

#include "audio/convert.h"

#include <math.h>
#include <string.h>

/*
 * All sets give the same bits for every input.  What makes that hold:
 *
 * - to float: an integer is brought to the top of its container (which drops the byte that does not count),
 *   converted, and multiplied by a power of two.  24 bits are exact; 32 bits are rounded once, by the
 *   conversion.
 * - from float: the multiplication by a power of two is exact, so the only rounding is that of the conversion
 *   to integer, to nearest even.  Clipping before or after it is the same.
 * - The rounding mode is the default one, and subnormals are kept: nobody sets DAZ or FTZ.
 *
 * 24 bits in 4 bytes: what lies in the fourth byte is ignored when reading; written are the sign (low-aligned)
 * or zero (high-aligned).
 */

extern const struct dx_kernels dx_kernels_c;
extern const struct dx_kernels dx_kernels_sse2;
extern const struct dx_kernels dx_kernels_avx2;
extern const struct dx_kernels dx_kernels_avx512;
extern const struct dx_kernels dx_kernels_neon;

/* X(enumerator, name, bytes of a sample): all but the one that is this machine's own float, and all. */
#define DX_CONVERTED_FORMATS(X)                                                                                   \
    X(S16_LE, s16_le, 2)                                                                                          \
    X(S16_BE, s16_be, 2)                                                                                          \
    X(S24_3LE, s24_3le, 3)                                                                                        \
    X(S24_3BE, s24_3be, 3)                                                                                        \
    X(S24_LE, s24_le, 4)                                                                                          \
    X(S24_BE, s24_be, 4)                                                                                          \
    X(S24_HIGH_LE, s24_high_le, 4)                                                                                \
    X(S24_HIGH_BE, s24_high_be, 4)                                                                                \
    X(S32_LE, s32_le, 4)                                                                                          \
    X(S32_BE, s32_be, 4)                                                                                          \
    X(F32_BE, f32_be, 4)                                                                                          \
    X(F64_LE, f64_le, 8)                                                                                          \
    X(F64_BE, f64_be, 8)
#define DX_SAMPLE_FORMATS(X)                                                                                      \
    X(F32_LE, f32_le, 4)                                                                                          \
    DX_CONVERTED_FORMATS(X)

#define DX_SCALE_16 0x1p15f
#define DX_SCALE_24 0x1p23f
#define DX_SCALE_32 0x1p31f

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#    define DX_IS_LITTLE_ENDIAN 0
#else
#    define DX_IS_LITTLE_ENDIAN 1
#endif

/* One sample. */

DX_REALTIME static inline uint16_t
dx_load_16(const uint8_t *src, bool little)
{
    uint16_t v;
    memcpy(&v, src, sizeof v);
    return little == DX_IS_LITTLE_ENDIAN ? v : __builtin_bswap16(v);
}

DX_REALTIME static inline uint32_t
dx_load_32(const uint8_t *src, bool little)
{
    uint32_t v;
    memcpy(&v, src, sizeof v);
    return little == DX_IS_LITTLE_ENDIAN ? v : __builtin_bswap32(v);
}

DX_REALTIME static inline uint64_t
dx_load_64(const uint8_t *src, bool little)
{
    uint64_t v;
    memcpy(&v, src, sizeof v);
    return little == DX_IS_LITTLE_ENDIAN ? v : __builtin_bswap64(v);
}

DX_REALTIME static inline void
dx_store_16(uint8_t *dst, uint16_t v, bool little)
{
    v = little == DX_IS_LITTLE_ENDIAN ? v : __builtin_bswap16(v);
    memcpy(dst, &v, sizeof v);
}

DX_REALTIME static inline void
dx_store_32(uint8_t *dst, uint32_t v, bool little)
{
    v = little == DX_IS_LITTLE_ENDIAN ? v : __builtin_bswap32(v);
    memcpy(dst, &v, sizeof v);
}

DX_REALTIME static inline void
dx_store_64(uint8_t *dst, uint64_t v, bool little)
{
    v = little == DX_IS_LITTLE_ENDIAN ? v : __builtin_bswap64(v);
    memcpy(dst, &v, sizeof v);
}

/* [-1, 1] to [-2^(bits-1), 2^(bits-1) - 1]; NaN fails all comparisons.  One comparison is on the usual path: gcc 12
 * makes branches, not minimum and maximum, of any order of clipping tried here. */
DX_REALTIME static inline int32_t
dx_fixed(float x, float scale, int32_t max)
{
    if (fabsf(x) < 1.0f) {
        const long v = lrintf(x * scale);
        return v < max ? (int32_t)v : max;
    }
    return x >= 1.0f ? max : x <= -1.0f ? -max - 1 : 0;
}

/* Value in the high bits of `v`, the others zero. */
DX_REALTIME static inline void
dx_put_left(float *dst, uint32_t v)
{
    *dst = (float)(int32_t)v * (1.0f / DX_SCALE_32);
}

DX_REALTIME static inline int32_t
dx_fixed_24(const float *src)
{
    return dx_fixed(*src, DX_SCALE_24, 0x7FFFFF);
}

#define DX_ONE_16(name, little)                                                                                   \
    DX_REALTIME static inline void dx_load_one_##name(float *dst, const uint8_t *src)                             \
    {                                                                                                             \
        *dst = (float)(int16_t)dx_load_16(src, little) * (1.0f / DX_SCALE_16);                                    \
    }                                                                                                             \
    DX_REALTIME static inline void dx_store_one_##name(uint8_t *dst, const float *src)                            \
    {                                                                                                             \
        dx_store_16(dst, (uint16_t)dx_fixed(*src, DX_SCALE_16, INT16_MAX), little);                               \
    }
DX_ONE_16(s16_le, true)
DX_ONE_16(s16_be, false)
#undef DX_ONE_16

DX_REALTIME static inline void
dx_load_one_s24_3le(float *dst, const uint8_t *src)
{
    dx_put_left(dst, (uint32_t)dx_load_16(src, true) << 8 | (uint32_t)src[2] << 24);
}

DX_REALTIME static inline void
dx_store_one_s24_3le(uint8_t *dst, const float *src)
{
    const uint32_t v = (uint32_t)dx_fixed_24(src);
    dx_store_16(dst, (uint16_t)v, true);
    dst[2] = (uint8_t)(v >> 16);
}

DX_REALTIME static inline void
dx_load_one_s24_3be(float *dst, const uint8_t *src)
{
    dx_put_left(dst, (uint32_t)dx_load_16(src, false) << 16 | (uint32_t)src[2] << 8);
}

DX_REALTIME static inline void
dx_store_one_s24_3be(uint8_t *dst, const float *src)
{
    const uint32_t v = (uint32_t)dx_fixed_24(src);
    dx_store_16(dst, (uint16_t)(v >> 8), false);
    dst[2] = (uint8_t)v;
}

/* 4-byte containers: `load` and `store` turn container v into left-aligned bits, and value v into a container. */
#define DX_ONE_32(name, little, load, fixed, store)                                                               \
    DX_REALTIME static inline void dx_load_one_##name(float *dst, const uint8_t *src)                             \
    {                                                                                                             \
        const uint32_t v = dx_load_32(src, little);                                                               \
        dx_put_left(dst, load);                                                                                   \
    }                                                                                                             \
    DX_REALTIME static inline void dx_store_one_##name(uint8_t *dst, const float *src)                            \
    {                                                                                                             \
        const uint32_t v = (uint32_t)(fixed);                                                                     \
        dx_store_32(dst, store, little);                                                                          \
    }
DX_ONE_32(s24_le, true, v << 8, dx_fixed_24(src), v)
DX_ONE_32(s24_be, false, v << 8, dx_fixed_24(src), v)
DX_ONE_32(s24_high_le, true, v & 0xFFFFFF00u, dx_fixed_24(src), v << 8)
DX_ONE_32(s24_high_be, false, v & 0xFFFFFF00u, dx_fixed_24(src), v << 8)
DX_ONE_32(s32_le, true, v, dx_fixed(*src, DX_SCALE_32, INT32_MAX), v)
DX_ONE_32(s32_be, false, v, dx_fixed(*src, DX_SCALE_32, INT32_MAX), v)
#undef DX_ONE_32

/* Copied as integers: a float register may change a signalling NaN. */
#define DX_ONE_F32(name, little)                                                                                  \
    DX_REALTIME static inline void dx_load_one_##name(float *dst, const uint8_t *src)                             \
    {                                                                                                             \
        const uint32_t v = dx_load_32(src, little);                                                               \
        memcpy(dst, &v, sizeof v);                                                                                \
    }                                                                                                             \
    DX_REALTIME static inline void dx_store_one_##name(uint8_t *dst, const float *src)                            \
    {                                                                                                             \
        uint32_t v;                                                                                               \
        memcpy(&v, src, sizeof v);                                                                                \
        dx_store_32(dst, v, little);                                                                              \
    }
DX_ONE_F32(f32_le, true)
DX_ONE_F32(f32_be, false)
#undef DX_ONE_F32

#define DX_ONE_F64(name, little)                                                                                  \
    DX_REALTIME static inline void dx_load_one_##name(float *dst, const uint8_t *src)                             \
    {                                                                                                             \
        const uint64_t bits = dx_load_64(src, little);                                                            \
        double v;                                                                                                 \
        memcpy(&v, &bits, sizeof v);                                                                              \
        *dst = (float)v;                                                                                          \
    }                                                                                                             \
    DX_REALTIME static inline void dx_store_one_##name(uint8_t *dst, const float *src)                            \
    {                                                                                                             \
        const double v = *src;                                                                                    \
        uint64_t bits;                                                                                            \
        memcpy(&bits, &v, sizeof bits);                                                                           \
        dx_store_64(dst, bits, little);                                                                           \
    }
DX_ONE_F64(f64_le, true)
DX_ONE_F64(f64_be, false)
#undef DX_ONE_F64

/* Counts into *changed; infinity is not cut but dropped, like NaN. */
DX_REALTIME static inline float
dx_limited(float x, size_t *changed)
{
    const float magnitude = fabsf(x);
    if (magnitude <= DX_SAMPLE_LIMIT)
        return x;
    ++*changed;
    return magnitude < INFINITY ? copysignf(DX_SAMPLE_LIMIT, x) : 0.0f;
}

/*
 * Conversions of a set that has blocks of DX_BLOCK samples: load_<format>(dst, src) and store_<format>(dst,
 * src) convert exactly one, and touch nothing beside it.  What is left over is converted as a block that ends
 * at the end and covers some samples a second time, which is quicker than one by one and, since source and
 * destination are apart, the same.
 */
#define DX_DEFINE_BLOCK_KERNELS(enumerator, name, bytes)                                                          \
    DX_REALTIME static void to_float_##name(float *restrict dst, const void *restrict src, size_t samples)        \
    {                                                                                                             \
        const uint8_t *p = src;                                                                                   \
        if (samples < DX_BLOCK) {                                                                                 \
            for (size_t i = 0; i < samples; i++)                                                                  \
                dx_load_one_##name(dst + i, p + i * (bytes));                                                     \
            return;                                                                                               \
        }                                                                                                         \
        const size_t last = samples - DX_BLOCK;                                                                   \
        for (size_t i = 0; i < last; i += DX_BLOCK)                                                               \
            load_##name(dst + i, p + i * (bytes));                                                                \
        load_##name(dst + last, p + last * (bytes));                                                              \
    }                                                                                                             \
    DX_REALTIME static void from_float_##name(void *restrict dst, const float *restrict src, size_t samples)      \
    {                                                                                                             \
        uint8_t *p = dst;                                                                                         \
        if (samples < DX_BLOCK) {                                                                                 \
            for (size_t i = 0; i < samples; i++)                                                                  \
                dx_store_one_##name(p + i * (bytes), src + i);                                                    \
            return;                                                                                               \
        }                                                                                                         \
        const size_t last = samples - DX_BLOCK;                                                                   \
        for (size_t i = 0; i < last; i += DX_BLOCK)                                                               \
            store_##name(p + i * (bytes), src + i);                                                               \
        store_##name(p + last * (bytes), src + last);                                                             \
    }

/* What is left for little-endian machines: nothing is faster than the C library's copy. */
#define DX_DEFINE_COPY_KERNELS                                                                                    \
    DX_REALTIME static void to_float_f32_le(float *restrict dst, const void *restrict src, size_t samples)        \
    {                                                                                                             \
        memcpy(dst, src, samples * sizeof(float));                                                                \
    }                                                                                                             \
    DX_REALTIME static void from_float_f32_le(void *restrict dst, const float *restrict src, size_t samples)      \
    {                                                                                                             \
        memcpy(dst, src, samples * sizeof(float));                                                                \
    }

#define DX_TO_FLOAT_ENTRY(enumerator, name, bytes) [DX_SAMPLE_##enumerator] = to_float_##name,
#define DX_FROM_FLOAT_ENTRY(enumerator, name, bytes) [DX_SAMPLE_##enumerator] = from_float_##name,

/* The table of a set: to_float_<format>, from_float_<format>, copy_limited and add_limited. */
#define DX_DEFINE_TABLE(table, text)                                                                              \
    const struct dx_kernels table = {                                                                             \
        .name = text,                                                                                             \
        .to_float = {DX_SAMPLE_FORMATS(DX_TO_FLOAT_ENTRY)},                                                       \
        .from_float = {DX_SAMPLE_FORMATS(DX_FROM_FLOAT_ENTRY)},                                                   \
        .copy_limited = copy_limited,                                                                             \
        .add_limited = add_limited,                                                                               \
    };

#endif /* DX_AUDIO_CONVERT_KERNELS_H */
