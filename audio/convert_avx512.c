// SPDX-License-Identifier: MIT
// Conversion and mixing with AVX-512 (F, BW, VL): 16 samples in a register; what is left over goes through
// the same code under a mask, so that no count is slow.

#include "audio/convert_kernels.h"

#include <immintrin.h>

#define BLOCK 16

/* One bit per sample. */
#define ALL ((__mmask16)0xFFFF)

/* A byte shuffle works in each 16 bytes alike: the same 16 indices for all.  -1 makes a zero. */
#define EACH_LANE(...) _mm512_broadcast_i32x4(_mm_setr_epi8(__VA_ARGS__))
#define SWAP_16 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14
#define SWAP_32 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12
#define SWAP_64 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8

/* Bytes of the samples in `m`: they are the first ones. */
DX_REALTIME static inline __mmask64
bytes_3(__mmask16 m)
{
    return ((__mmask64)1 << (3 * __builtin_popcount(m))) - 1;
}

DX_REALTIME static inline __m512i
load_32(const void *src, __mmask16 m)
{
    return _mm512_maskz_loadu_epi32(m, src);
}

DX_REALTIME static inline void
store_32(void *dst, __mmask16 m, __m512i v)
{
    _mm512_mask_storeu_epi32(dst, m, v);
}

DX_REALTIME static inline __m256i
swap_16(__m256i v)
{
    return _mm256_shuffle_epi8(v, _mm256_broadcastsi128_si256(_mm_setr_epi8(SWAP_16)));
}

/* To float. */

DX_REALTIME static inline void
put(float *dst, __mmask16 m, __m512i v, float factor)
{
    _mm512_mask_storeu_ps(dst, m, _mm512_mul_ps(_mm512_cvtepi32_ps(v), _mm512_set1_ps(factor)));
}

DX_REALTIME static inline void
put_left(float *dst, __mmask16 m, __m512i v)
{
    put(dst, m, v, 1.0f / DX_SCALE_32);
}

DX_REALTIME static inline void
load_s16_le(float *dst, const uint8_t *src, __mmask16 m)
{
    const __m256i v = _mm256_maskz_loadu_epi16(m, src);
    put(dst, m, _mm512_cvtepi16_epi32(v), 1.0f / DX_SCALE_16);
}

DX_REALTIME static inline void
load_s16_be(float *dst, const uint8_t *src, __mmask16 m)
{
    const __m256i v = _mm256_maskz_loadu_epi16(m, src);
    put(dst, m, _mm512_cvtepi16_epi32(swap_16(v)), 1.0f / DX_SCALE_16);
}

/* 16 x 3 bytes, 12 of them in the low end of each lane. */
DX_REALTIME static inline __m512i
load_48_bytes(const uint8_t *src, __mmask16 m)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
    return _mm512_permutexvar_epi32(lanes, _mm512_maskz_loadu_epi8(bytes_3(m), src));
}

DX_REALTIME static inline void
load_s24_3le(float *dst, const uint8_t *src, __mmask16 m)
{
    const __m512i order = EACH_LANE(-1, 0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11);
    put_left(dst, m, _mm512_shuffle_epi8(load_48_bytes(src, m), order));
}

DX_REALTIME static inline void
load_s24_3be(float *dst, const uint8_t *src, __mmask16 m)
{
    const __m512i order = EACH_LANE(-1, 2, 1, 0, -1, 5, 4, 3, -1, 8, 7, 6, -1, 11, 10, 9);
    put_left(dst, m, _mm512_shuffle_epi8(load_48_bytes(src, m), order));
}

DX_REALTIME static inline void
load_s24_le(float *dst, const uint8_t *src, __mmask16 m)
{
    put_left(dst, m, _mm512_slli_epi32(load_32(src, m), 8));
}

DX_REALTIME static inline void
load_s24_be(float *dst, const uint8_t *src, __mmask16 m)
{
    const __m512i order = EACH_LANE(-1, 3, 2, 1, -1, 7, 6, 5, -1, 11, 10, 9, -1, 15, 14, 13);
    put_left(dst, m, _mm512_shuffle_epi8(load_32(src, m), order));
}

DX_REALTIME static inline void
load_s24_high_le(float *dst, const uint8_t *src, __mmask16 m)
{
    put_left(dst, m, _mm512_and_si512(load_32(src, m), _mm512_set1_epi32(~0xFF)));
}

DX_REALTIME static inline void
load_s24_high_be(float *dst, const uint8_t *src, __mmask16 m)
{
    const __m512i order = EACH_LANE(-1, 2, 1, 0, -1, 6, 5, 4, -1, 10, 9, 8, -1, 14, 13, 12);
    put_left(dst, m, _mm512_shuffle_epi8(load_32(src, m), order));
}

DX_REALTIME static inline void
load_s32_le(float *dst, const uint8_t *src, __mmask16 m)
{
    put_left(dst, m, load_32(src, m));
}

DX_REALTIME static inline void
load_s32_be(float *dst, const uint8_t *src, __mmask16 m)
{
    put_left(dst, m, _mm512_shuffle_epi8(load_32(src, m), EACH_LANE(SWAP_32)));
}

DX_REALTIME static inline void
load_f32_be(float *dst, const uint8_t *src, __mmask16 m)
{
    store_32(dst, m, _mm512_shuffle_epi8(load_32(src, m), EACH_LANE(SWAP_32)));
}

DX_REALTIME static inline void
put_f64(float *dst, __mmask8 m, __m512i v)
{
    _mm256_mask_storeu_ps(dst, m, _mm512_cvtpd_ps(_mm512_castsi512_pd(v)));
}

DX_REALTIME static inline __m512i
load_64(const uint8_t *src, __mmask8 m)
{
    return _mm512_maskz_loadu_epi64(m, src);
}

DX_REALTIME static inline void
load_f64_le(float *dst, const uint8_t *src, __mmask16 m)
{
    const __mmask8 low = (__mmask8)m, high = (__mmask8)(m >> 8);
    put_f64(dst, low, load_64(src, low));
    put_f64(dst + 8, high, load_64(src + 64, high));
}

DX_REALTIME static inline void
load_f64_be(float *dst, const uint8_t *src, __mmask16 m)
{
    const __mmask8 low = (__mmask8)m, high = (__mmask8)(m >> 8);
    put_f64(dst, low, _mm512_shuffle_epi8(load_64(src, low), EACH_LANE(SWAP_64)));
    put_f64(dst + 8, high, _mm512_shuffle_epi8(load_64(src + 64, high), EACH_LANE(SWAP_64)));
}

/* From float. */

/* NaN made 0, then scaled. */
DX_REALTIME static inline __m512
scaled(const float *src, __mmask16 m, float scale)
{
    const __m512 x = _mm512_maskz_loadu_ps(m, src);
    return _mm512_maskz_mul_ps(_mm512_cmp_ps_mask(x, x, _CMP_ORD_Q), x, _mm512_set1_ps(scale));
}

/* Cut before rounding, above only: what is too far below becomes INT32_MIN in the conversion, and -2^15 in
 * packing. */
DX_REALTIME static inline __m256i
fixed_16(const float *src, __mmask16 m)
{
    const __m512 x = _mm512_min_ps(scaled(src, m, DX_SCALE_16), _mm512_set1_ps(INT16_MAX));
    return _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(x));
}

DX_REALTIME static inline __m512i
fixed_24(const float *src, __mmask16 m)
{
    const __m512 x = _mm512_min_ps(scaled(src, m, DX_SCALE_24), _mm512_set1_ps(0x7FFFFF));
    return _mm512_cvtps_epi32(_mm512_max_ps(x, _mm512_set1_ps(-DX_SCALE_24)));
}

/* INT32_MAX is no float: what reaches 2^31 would convert to INT32_MIN. */
DX_REALTIME static inline __m512i
fixed_32(const float *src, __mmask16 m)
{
    const __m512 x = scaled(src, m, DX_SCALE_32);
    const __mmask16 over = _mm512_cmp_ps_mask(x, _mm512_set1_ps(DX_SCALE_32), _CMP_GE_OQ);
    return _mm512_mask_mov_epi32(_mm512_cvtps_epi32(x), over, _mm512_set1_epi32(INT32_MAX));
}

DX_REALTIME static inline void
store_s16_le(uint8_t *dst, const float *src, __mmask16 m)
{
    _mm256_mask_storeu_epi16(dst, m, fixed_16(src, m));
}

DX_REALTIME static inline void
store_s16_be(uint8_t *dst, const float *src, __mmask16 m)
{
    _mm256_mask_storeu_epi16(dst, m, swap_16(fixed_16(src, m)));
}

/* `order` brings the 12 bytes of each lane to its low end; a second shuffle closes the gaps between the lanes. */
DX_REALTIME static inline void
store_48_bytes(uint8_t *dst, __mmask16 m, __m512i v, __m512i order)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 15, 15, 15);
    v = _mm512_permutexvar_epi32(lanes, _mm512_shuffle_epi8(v, order));
    _mm512_mask_storeu_epi8(dst, bytes_3(m), v);
}

DX_REALTIME static inline void
store_s24_3le(uint8_t *dst, const float *src, __mmask16 m)
{
    const __m512i order = EACH_LANE(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    store_48_bytes(dst, m, fixed_24(src, m), order);
}

DX_REALTIME static inline void
store_s24_3be(uint8_t *dst, const float *src, __mmask16 m)
{
    const __m512i order = EACH_LANE(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
    store_48_bytes(dst, m, fixed_24(src, m), order);
}

DX_REALTIME static inline void
store_s24_le(uint8_t *dst, const float *src, __mmask16 m)
{
    store_32(dst, m, fixed_24(src, m));
}

DX_REALTIME static inline void
store_s24_be(uint8_t *dst, const float *src, __mmask16 m)
{
    store_32(dst, m, _mm512_shuffle_epi8(fixed_24(src, m), EACH_LANE(SWAP_32)));
}

DX_REALTIME static inline void
store_s24_high_le(uint8_t *dst, const float *src, __mmask16 m)
{
    store_32(dst, m, _mm512_slli_epi32(fixed_24(src, m), 8));
}

DX_REALTIME static inline void
store_s24_high_be(uint8_t *dst, const float *src, __mmask16 m)
{
    const __m512i order = EACH_LANE(2, 1, 0, -1, 6, 5, 4, -1, 10, 9, 8, -1, 14, 13, 12, -1);
    store_32(dst, m, _mm512_shuffle_epi8(fixed_24(src, m), order));
}

DX_REALTIME static inline void
store_s32_le(uint8_t *dst, const float *src, __mmask16 m)
{
    store_32(dst, m, fixed_32(src, m));
}

DX_REALTIME static inline void
store_s32_be(uint8_t *dst, const float *src, __mmask16 m)
{
    store_32(dst, m, _mm512_shuffle_epi8(fixed_32(src, m), EACH_LANE(SWAP_32)));
}

DX_REALTIME static inline void
store_f32_be(uint8_t *dst, const float *src, __mmask16 m)
{
    store_32(dst, m, _mm512_shuffle_epi8(load_32(src, m), EACH_LANE(SWAP_32)));
}

DX_REALTIME static inline __m512i
doubles(const float *src, __mmask8 m)
{
    return _mm512_castpd_si512(_mm512_cvtps_pd(_mm256_maskz_loadu_ps(m, src)));
}

DX_REALTIME static inline void
store_f64_le(uint8_t *dst, const float *src, __mmask16 m)
{
    const __mmask8 low = (__mmask8)m, high = (__mmask8)(m >> 8);
    _mm512_mask_storeu_epi64(dst, low, doubles(src, low));
    _mm512_mask_storeu_epi64(dst + 64, high, doubles(src + 8, high));
}

DX_REALTIME static inline void
store_f64_be(uint8_t *dst, const float *src, __mmask16 m)
{
    const __mmask8 low = (__mmask8)m, high = (__mmask8)(m >> 8);
    const __m512i order = EACH_LANE(SWAP_64);
    _mm512_mask_storeu_epi64(dst, low, _mm512_shuffle_epi8(doubles(src, low), order));
    _mm512_mask_storeu_epi64(dst + 64, high, _mm512_shuffle_epi8(doubles(src + 8, high), order));
}

#define DEFINE_MASKED_KERNELS(enumerator, name, bytes)                                                            \
    DX_REALTIME static void to_float_##name(float *restrict dst, const void *restrict src, size_t samples)        \
    {                                                                                                             \
        const uint8_t *p = src;                                                                                   \
        size_t i = 0;                                                                                             \
        for (; i + BLOCK <= samples; i += BLOCK)                                                                  \
            load_##name(dst + i, p + i * (bytes), ALL);                                                           \
        if (i < samples)                                                                                          \
            load_##name(dst + i, p + i * (bytes), (__mmask16)((1u << (samples - i)) - 1));                        \
    }                                                                                                             \
    DX_REALTIME static void from_float_##name(void *restrict dst, const float *restrict src, size_t samples)      \
    {                                                                                                             \
        uint8_t *p = dst;                                                                                         \
        size_t i = 0;                                                                                             \
        for (; i + BLOCK <= samples; i += BLOCK)                                                                  \
            store_##name(p + i * (bytes), src + i, ALL);                                                          \
        if (i < samples)                                                                                          \
            store_##name(p + i * (bytes), src + i, (__mmask16)((1u << (samples - i)) - 1));                       \
    }
DX_CONVERTED_FORMATS(DEFINE_MASKED_KERNELS)
DX_DEFINE_COPY_KERNELS

/* Mixing. */

DX_REALTIME static inline __m512i
magnitude(__m512 x)
{
    return _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(INT32_MAX));
}

/* Bits of a magnitude order like integers, and NaN and infinity come last. */
DX_REALTIME static inline __mmask16
over_limit(__m512i magnitudes)
{
    return _mm512_cmpgt_epi32_mask(magnitudes, _mm512_castps_si512(_mm512_set1_ps(DX_SAMPLE_LIMIT)));
}

DX_REALTIME static inline __m512
limited(__m512 x, size_t *changed)
{
    const __m512i bits = magnitude(x);
    const __mmask16 over = over_limit(bits);
    const __mmask16 finite = _mm512_cmplt_epi32_mask(bits, _mm512_castps_si512(_mm512_set1_ps(INFINITY)));
    const __m512i sign = _mm512_andnot_si512(_mm512_set1_epi32(INT32_MAX), _mm512_castps_si512(x));
    const __m512i cut = _mm512_maskz_or_epi32(finite, sign, _mm512_castps_si512(_mm512_set1_ps(DX_SAMPLE_LIMIT)));
    *changed += (size_t)__builtin_popcount(over);
    return _mm512_mask_mov_ps(x, over, _mm512_castsi512_ps(cut));
}

/* Stores x, or adds it to what is there. */
DX_REALTIME static inline void
mix_in(float *dst, __m512 x, bool add)
{
    _mm512_storeu_ps(dst, add ? _mm512_add_ps(_mm512_loadu_ps(dst), x) : x);
}

/* Looks at 64 samples at once: that any of them is over the limit is a client's fault, and rare. */
DX_REALTIME static inline size_t
mix(float *restrict dst, const float *restrict src, size_t samples, bool add)
{
    size_t changed = 0, i = 0;
    for (; i + 64 <= samples; i += 64) {
        __m512 a = _mm512_loadu_ps(src + i), b = _mm512_loadu_ps(src + i + 16);
        __m512 c = _mm512_loadu_ps(src + i + 32), d = _mm512_loadu_ps(src + i + 48);
        const __m512i largest = _mm512_max_epu32(_mm512_max_epu32(magnitude(a), magnitude(b)),
                                                 _mm512_max_epu32(magnitude(c), magnitude(d)));
        if (__builtin_expect(over_limit(largest) != 0, 0)) {
            a = limited(a, &changed);
            b = limited(b, &changed);
            c = limited(c, &changed);
            d = limited(d, &changed);
        }
        mix_in(dst + i, a, add);
        mix_in(dst + i + 16, b, add);
        mix_in(dst + i + 32, c, add);
        mix_in(dst + i + 48, d, add);
    }
    while (i < samples) {
        const size_t left = samples - i;
        const __mmask16 m = left < BLOCK ? (__mmask16)((1u << left) - 1) : ALL;
        const __m512 x = limited(_mm512_maskz_loadu_ps(m, src + i), &changed);
        _mm512_mask_storeu_ps(dst + i, m, add ? _mm512_add_ps(_mm512_maskz_loadu_ps(m, dst + i), x) : x);
        i += BLOCK;
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

DX_DEFINE_TABLE(dx_kernels_avx512, "avx512")
