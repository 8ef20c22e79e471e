// SPDX-License-Identifier: MIT
// Conversion and mixing with Advanced SIMD of 64-bit ARM: 4 samples in a register, 8 in a block.

#include "audio/convert_kernels.h"

#include <arm_neon.h>

#define DX_BLOCK 8

DX_REALTIME static inline uint32x4_t
load_u32(const uint8_t *src)
{
    return vreinterpretq_u32_u8(vld1q_u8(src));
}

DX_REALTIME static inline void
store_u32(uint8_t *dst, uint32x4_t v)
{
    vst1q_u8(dst, vreinterpretq_u8_u32(v));
}

DX_REALTIME static inline uint32x4_t
swap_32(uint32x4_t v)
{
    return vreinterpretq_u32_u8(vrev32q_u8(vreinterpretq_u8_u32(v)));
}

/* To float. */

/* Values in the high bits of each 32, the others zero. */
DX_REALTIME static inline void
put_left(float *dst, uint32x4_t v)
{
    vst1q_f32(dst, vmulq_n_f32(vcvtq_f32_s32(vreinterpretq_s32_u32(v)), 1.0f / DX_SCALE_32));
}

DX_REALTIME static inline void
put_16(float *dst, uint8x16_t v)
{
    const uint16x8_t u = vreinterpretq_u16_u8(v);
    put_left(dst, vshll_n_u16(vget_low_u16(u), 16));
    put_left(dst + 4, vshll_high_n_u16(u, 16));
}

DX_REALTIME static inline void
load_s16_le(float *dst, const uint8_t *src)
{
    put_16(dst, vld1q_u8(src));
}

DX_REALTIME static inline void
load_s16_be(float *dst, const uint8_t *src)
{
    put_16(dst, vrev16q_u8(vld1q_u8(src)));
}

/* The structure load takes 8 x 3 bytes apart: first, second and third bytes. */
DX_REALTIME static inline void
put_24(float *dst, uint8x8_t low, uint8x8_t middle, uint8x8_t high)
{
    const uint16x8_t upper = vorrq_u16(vshll_n_u8(high, 8), vmovl_u8(middle));
    const uint16x8_t lower = vshll_n_u8(low, 8);
    put_left(dst, vorrq_u32(vshll_n_u16(vget_low_u16(upper), 16), vmovl_u16(vget_low_u16(lower))));
    put_left(dst + 4, vorrq_u32(vshll_high_n_u16(upper, 16), vmovl_high_u16(lower)));
}

DX_REALTIME static inline void
load_s24_3le(float *dst, const uint8_t *src)
{
    const uint8x8x3_t v = vld3_u8(src);
    put_24(dst, v.val[0], v.val[1], v.val[2]);
}

DX_REALTIME static inline void
load_s24_3be(float *dst, const uint8_t *src)
{
    const uint8x8x3_t v = vld3_u8(src);
    put_24(dst, v.val[2], v.val[1], v.val[0]);
}

/* `expression` brings the value in v to the high bits. */
#define LOAD_32(name, expression)                                                                                 \
    DX_REALTIME static inline void load_half_##name(float *dst, const uint8_t *src)                               \
    {                                                                                                             \
        const uint32x4_t v = load_u32(src);                                                                       \
        put_left(dst, expression);                                                                                \
    }                                                                                                             \
    DX_REALTIME static inline void load_##name(float *dst, const uint8_t *src)                                    \
    {                                                                                                             \
        load_half_##name(dst, src);                                                                               \
        load_half_##name(dst + 4, src + 16);                                                                      \
    }
LOAD_32(s24_le, vshlq_n_u32(v, 8))
LOAD_32(s24_be, vshlq_n_u32(swap_32(v), 8))
LOAD_32(s24_high_le, vandq_u32(v, vdupq_n_u32(0xFFFFFF00u)))
LOAD_32(s24_high_be, vandq_u32(swap_32(v), vdupq_n_u32(0xFFFFFF00u)))
LOAD_32(s32_le, v)
LOAD_32(s32_be, swap_32(v))
#undef LOAD_32

DX_REALTIME static inline void
load_f32_be(float *dst, const uint8_t *src)
{
    vst1q_f32(dst, vreinterpretq_f32_u32(swap_32(load_u32(src))));
    vst1q_f32(dst + 4, vreinterpretq_f32_u32(swap_32(load_u32(src + 16))));
}

DX_REALTIME static inline void
put_f64(float *dst, uint8x16_t v01, uint8x16_t v23)
{
    const float32x2_t low = vcvt_f32_f64(vreinterpretq_f64_u8(v01));
    vst1q_f32(dst, vcvt_high_f32_f64(low, vreinterpretq_f64_u8(v23)));
}

DX_REALTIME static inline void
load_f64_le(float *dst, const uint8_t *src)
{
    put_f64(dst, vld1q_u8(src), vld1q_u8(src + 16));
    put_f64(dst + 4, vld1q_u8(src + 32), vld1q_u8(src + 48));
}

DX_REALTIME static inline void
load_f64_be(float *dst, const uint8_t *src)
{
    put_f64(dst, vrev64q_u8(vld1q_u8(src)), vrev64q_u8(vld1q_u8(src + 16)));
    put_f64(dst + 4, vrev64q_u8(vld1q_u8(src + 32)), vrev64q_u8(vld1q_u8(src + 48)));
}

/* From float: the conversion rounds to nearest even, stops at both ends of 32 bits and makes NaN 0. */

DX_REALTIME static inline int32x4_t
fixed(const float *src, float scale)
{
    return vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(src), scale));
}

DX_REALTIME static inline uint8x16_t
fixed_16(const float *src)
{
    const int16x4_t low = vqmovn_s32(fixed(src, DX_SCALE_16));
    return vreinterpretq_u8_s16(vqmovn_high_s32(low, fixed(src + 4, DX_SCALE_16)));
}

DX_REALTIME static inline uint32x4_t
fixed_24(const float *src)
{
    const int32x4_t v = vminq_s32(fixed(src, DX_SCALE_24), vdupq_n_s32(0x7FFFFF));
    return vreinterpretq_u32_s32(vmaxq_s32(v, vdupq_n_s32(-0x800000)));
}

DX_REALTIME static inline uint32x4_t
fixed_32(const float *src)
{
    return vreinterpretq_u32_s32(fixed(src, DX_SCALE_32));
}

DX_REALTIME static inline void
store_s16_le(uint8_t *dst, const float *src)
{
    vst1q_u8(dst, fixed_16(src));
}

DX_REALTIME static inline void
store_s16_be(uint8_t *dst, const float *src)
{
    vst1q_u8(dst, vrev16q_u8(fixed_16(src)));
}

/* First, second and third bytes of 8 samples, as the structure store wants them: low byte first. */
DX_REALTIME static inline uint8x8x3_t
planes_24(const float *src)
{
    const uint32x4_t a = fixed_24(src), b = fixed_24(src + 4);
    const uint16x8_t lower = vmovn_high_u32(vmovn_u32(a), b);
    const uint16x8_t upper = vshrn_high_n_u32(vshrn_n_u32(a, 16), b, 16);
    return (uint8x8x3_t){{vmovn_u16(lower), vshrn_n_u16(lower, 8), vmovn_u16(upper)}};
}

DX_REALTIME static inline void
store_s24_3le(uint8_t *dst, const float *src)
{
    vst3_u8(dst, planes_24(src));
}

DX_REALTIME static inline void
store_s24_3be(uint8_t *dst, const float *src)
{
    const uint8x8x3_t v = planes_24(src);
    vst3_u8(dst, (uint8x8x3_t){{v.val[2], v.val[1], v.val[0]}});
}

/* `expression` makes the container of the value in v. */
#define STORE_32(name, fixed_function, expression)                                                                \
    DX_REALTIME static inline void store_half_##name(uint8_t *dst, const float *src)                              \
    {                                                                                                             \
        const uint32x4_t v = fixed_function(src);                                                                 \
        store_u32(dst, expression);                                                                               \
    }                                                                                                             \
    DX_REALTIME static inline void store_##name(uint8_t *dst, const float *src)                                   \
    {                                                                                                             \
        store_half_##name(dst, src);                                                                              \
        store_half_##name(dst + 16, src + 4);                                                                     \
    }
STORE_32(s24_le, fixed_24, v)
STORE_32(s24_be, fixed_24, swap_32(v))
STORE_32(s24_high_le, fixed_24, vshlq_n_u32(v, 8))
STORE_32(s24_high_be, fixed_24, swap_32(vshlq_n_u32(v, 8)))
STORE_32(s32_le, fixed_32, v)
STORE_32(s32_be, fixed_32, swap_32(v))
#undef STORE_32

DX_REALTIME static inline void
store_f32_be(uint8_t *dst, const float *src)
{
    store_u32(dst, swap_32(vreinterpretq_u32_f32(vld1q_f32(src))));
    store_u32(dst + 16, swap_32(vreinterpretq_u32_f32(vld1q_f32(src + 4))));
}

DX_REALTIME static inline uint8x16_t
two_doubles(const float *src)
{
    return vreinterpretq_u8_f64(vcvt_f64_f32(vld1_f32(src)));
}

DX_REALTIME static inline void
store_f64_le(uint8_t *dst, const float *src)
{
    vst1q_u8(dst, two_doubles(src));
    vst1q_u8(dst + 16, two_doubles(src + 2));
    vst1q_u8(dst + 32, two_doubles(src + 4));
    vst1q_u8(dst + 48, two_doubles(src + 6));
}

DX_REALTIME static inline void
store_f64_be(uint8_t *dst, const float *src)
{
    vst1q_u8(dst, vrev64q_u8(two_doubles(src)));
    vst1q_u8(dst + 16, vrev64q_u8(two_doubles(src + 2)));
    vst1q_u8(dst + 32, vrev64q_u8(two_doubles(src + 4)));
    vst1q_u8(dst + 48, vrev64q_u8(two_doubles(src + 6)));
}

DX_CONVERTED_FORMATS(DX_DEFINE_BLOCK_KERNELS)
DX_DEFINE_COPY_KERNELS

/* Mixing. */

DX_REALTIME static inline uint32x4_t
magnitude(float32x4_t x)
{
    return vandq_u32(vreinterpretq_u32_f32(x), vdupq_n_u32(INT32_MAX));
}

/* Bits of a magnitude order like integers, and NaN and infinity come last. */
DX_REALTIME static inline uint32x4_t
over_limit(uint32x4_t magnitudes)
{
    return vcgtq_u32(magnitudes, vreinterpretq_u32_f32(vdupq_n_f32(DX_SAMPLE_LIMIT)));
}

DX_REALTIME static inline float32x4_t
limited(float32x4_t x, size_t *changed)
{
    const uint32x4_t bits = magnitude(x);
    const uint32x4_t over = over_limit(bits);
    const uint32x4_t finite = vcltq_u32(bits, vreinterpretq_u32_f32(vdupq_n_f32(INFINITY)));
    const uint32x4_t cut = vbslq_u32(vdupq_n_u32(INT32_MAX), vreinterpretq_u32_f32(vdupq_n_f32(DX_SAMPLE_LIMIT)),
                                     vreinterpretq_u32_f32(x));
    *changed += vaddvq_u32(vshrq_n_u32(over, 31));
    return vbslq_f32(over, vreinterpretq_f32_u32(vandq_u32(cut, finite)), x);
}

/* Stores x, or adds it to what is there. */
DX_REALTIME static inline void
mix_in(float *dst, float32x4_t x, bool add)
{
    vst1q_f32(dst, add ? vaddq_f32(vld1q_f32(dst), x) : x);
}

/* Looks at 16 samples at once: that any of them is over the limit is a client's fault, and rare. */
DX_REALTIME static inline size_t
mix(float *restrict dst, const float *restrict src, size_t samples, bool add)
{
    size_t changed = 0, i = 0;
    for (; i + 16 <= samples; i += 16) {
        float32x4_t a = vld1q_f32(src + i), b = vld1q_f32(src + i + 4);
        float32x4_t c = vld1q_f32(src + i + 8), d = vld1q_f32(src + i + 12);
        const uint32x4_t largest =
            vmaxq_u32(vmaxq_u32(magnitude(a), magnitude(b)), vmaxq_u32(magnitude(c), magnitude(d)));
        if (__builtin_expect(vmaxvq_u32(over_limit(largest)) != 0, 0)) {
            a = limited(a, &changed);
            b = limited(b, &changed);
            c = limited(c, &changed);
            d = limited(d, &changed);
        }
        mix_in(dst + i, a, add);
        mix_in(dst + i + 4, b, add);
        mix_in(dst + i + 8, c, add);
        mix_in(dst + i + 12, d, add);
    }
    for (; i + 4 <= samples; i += 4)
        mix_in(dst + i, limited(vld1q_f32(src + i), &changed), add);
    for (; i < samples; i++) {
        const float x = dx_limited(src[i], &changed);
        dst[i] = add ? dst[i] + x : x;
    }
    return changed;
}

DX_REALTIME static size_t
copy_limited(float *restrict dst, const float *restrict src, size_t samples)
{
    return mix(dst, src, samples, false);
}

DX_REALTIME static size_t
add_limited(float *restrict dst, const float *restrict src, size_t samples)
{
    return mix(dst, src, samples, true);
}

DX_DEFINE_TABLE(dx_kernels_neon, "neon")
