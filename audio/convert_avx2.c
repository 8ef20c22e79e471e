// SPDX-License-Identifier: MIT
// Conversion and mixing with AVX2: 8 samples in a register and in a block.

#include "audio/convert_kernels.h"

#include <immintrin.h>

#define DX_BLOCK 8

/* A byte shuffle works in each 16 bytes alike: the same 16 indices for both.  -1 makes a zero. */
#define EACH_LANE(...) _mm256_broadcastsi128_si256(_mm_setr_epi8(__VA_ARGS__))
#define SWAP_16 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14
#define SWAP_32 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12
#define SWAP_64 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8

DX_REALTIME static inline __m256i
load_si256(const void *src)
{
    return _mm256_loadu_si256(src);
}

DX_REALTIME static inline void
store_si256(void *dst, __m256i v)
{
    _mm256_storeu_si256(dst, v);
}

/* To float. */

DX_REALTIME static inline void
put(float *dst, __m256i v, float factor)
{
    _mm256_storeu_ps(dst, _mm256_mul_ps(_mm256_cvtepi32_ps(v), _mm256_set1_ps(factor)));
}

DX_REALTIME static inline void
put_left(float *dst, __m256i v)
{
    put(dst, v, 1.0f / DX_SCALE_32);
}

DX_REALTIME static inline void
load_s16_le(float *dst, const uint8_t *src)
{
    const __m128i v = _mm_loadu_si128((const void *)src);
    put(dst, _mm256_cvtepi16_epi32(v), 1.0f / DX_SCALE_16);
}

DX_REALTIME static inline void
load_s16_be(float *dst, const uint8_t *src)
{
    const __m128i v = _mm_loadu_si128((const void *)src);
    put(dst, _mm256_cvtepi16_epi32(_mm_shuffle_epi8(v, _mm_setr_epi8(SWAP_16))), 1.0f / DX_SCALE_16);
}

/* 24 bytes, the first 12 in the low end of the low lane, the others in the high end of the high lane: so nothing
 * is read beside them. */
DX_REALTIME static inline __m256i
load_24_bytes(const uint8_t *src)
{
    const __m128i low = _mm_loadu_si128((const void *)src);
    const __m128i high = _mm_loadu_si128((const void *)(src + 8));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

DX_REALTIME static inline void
load_s24_3le(float *dst, const uint8_t *src)
{
    const __m256i order = _mm256_setr_epi8(-1, 0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, //
                                           -1, 4, 5, 6, -1, 7, 8, 9, -1, 10, 11, 12, -1, 13, 14, 15);
    put_left(dst, _mm256_shuffle_epi8(load_24_bytes(src), order));
}

DX_REALTIME static inline void
load_s24_3be(float *dst, const uint8_t *src)
{
    const __m256i order = _mm256_setr_epi8(-1, 2, 1, 0, -1, 5, 4, 3, -1, 8, 7, 6, -1, 11, 10, 9, //
                                           -1, 6, 5, 4, -1, 9, 8, 7, -1, 12, 11, 10, -1, 15, 14, 13);
    put_left(dst, _mm256_shuffle_epi8(load_24_bytes(src), order));
}

DX_REALTIME static inline void
load_s24_le(float *dst, const uint8_t *src)
{
    put_left(dst, _mm256_slli_epi32(load_si256(src), 8));
}

DX_REALTIME static inline void
load_s24_be(float *dst, const uint8_t *src)
{
    const __m256i order = EACH_LANE(-1, 3, 2, 1, -1, 7, 6, 5, -1, 11, 10, 9, -1, 15, 14, 13);
    put_left(dst, _mm256_shuffle_epi8(load_si256(src), order));
}

DX_REALTIME static inline void
load_s24_high_le(float *dst, const uint8_t *src)
{
    put_left(dst, _mm256_and_si256(load_si256(src), _mm256_set1_epi32(~0xFF)));
}

DX_REALTIME static inline void
load_s24_high_be(float *dst, const uint8_t *src)
{
    const __m256i order = EACH_LANE(-1, 2, 1, 0, -1, 6, 5, 4, -1, 10, 9, 8, -1, 14, 13, 12);
    put_left(dst, _mm256_shuffle_epi8(load_si256(src), order));
}

DX_REALTIME static inline void
load_s32_le(float *dst, const uint8_t *src)
{
    put_left(dst, load_si256(src));
}

DX_REALTIME static inline void
load_s32_be(float *dst, const uint8_t *src)
{
    put_left(dst, _mm256_shuffle_epi8(load_si256(src), EACH_LANE(SWAP_32)));
}

DX_REALTIME static inline void
load_f32_be(float *dst, const uint8_t *src)
{
    store_si256(dst, _mm256_shuffle_epi8(load_si256(src), EACH_LANE(SWAP_32)));
}

DX_REALTIME static inline void
put_f64(float *dst, __m256i v)
{
    _mm_storeu_ps(dst, _mm256_cvtpd_ps(_mm256_castsi256_pd(v)));
}

DX_REALTIME static inline void
load_f64_le(float *dst, const uint8_t *src)
{
    put_f64(dst, load_si256(src));
    put_f64(dst + 4, load_si256(src + 32));
}

DX_REALTIME static inline void
load_f64_be(float *dst, const uint8_t *src)
{
    put_f64(dst, _mm256_shuffle_epi8(load_si256(src), EACH_LANE(SWAP_64)));
    put_f64(dst + 4, _mm256_shuffle_epi8(load_si256(src + 32), EACH_LANE(SWAP_64)));
}

/* From float. */

/* NaN made 0, then scaled. */
DX_REALTIME static inline __m256
scaled(const float *src, float scale)
{
    const __m256 x = _mm256_loadu_ps(src);
    return _mm256_mul_ps(_mm256_and_ps(x, _mm256_cmp_ps(x, x, _CMP_ORD_Q)), _mm256_set1_ps(scale));
}

/* Cut before rounding, above only: what is too far below becomes INT32_MIN in the conversion, and -2^15 in
 * packing. */
DX_REALTIME static inline __m128i
fixed_16(const float *src)
{
    const __m256 x = _mm256_min_ps(scaled(src, DX_SCALE_16), _mm256_set1_ps(INT16_MAX));
    const __m256i v = _mm256_cvtps_epi32(x);
    return _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

DX_REALTIME static inline __m256i
fixed_24(const float *src)
{
    const __m256 x = _mm256_min_ps(scaled(src, DX_SCALE_24), _mm256_set1_ps(0x7FFFFF));
    return _mm256_cvtps_epi32(_mm256_max_ps(x, _mm256_set1_ps(-DX_SCALE_24)));
}

/* INT32_MAX is no float: what reaches 2^31 converts to INT32_MIN, and its complement is INT32_MAX. */
DX_REALTIME static inline __m256i
fixed_32(const float *src)
{
    const __m256 x = scaled(src, DX_SCALE_32);
    const __m256 over = _mm256_cmp_ps(x, _mm256_set1_ps(DX_SCALE_32), _CMP_GE_OQ);
    return _mm256_xor_si256(_mm256_cvtps_epi32(x), _mm256_castps_si256(over));
}

DX_REALTIME static inline void
store_s16_le(uint8_t *dst, const float *src)
{
    _mm_storeu_si128((void *)dst, fixed_16(src));
}

DX_REALTIME static inline void
store_s16_be(uint8_t *dst, const float *src)
{
    _mm_storeu_si128((void *)dst, _mm_shuffle_epi8(fixed_16(src), _mm_setr_epi8(SWAP_16)));
}

/* `order` brings the 12 bytes of each lane to its low end; a second shuffle closes the gap between the lanes. */
DX_REALTIME static inline void
store_24_bytes(uint8_t *dst, __m256i v, __m256i order)
{
    v = _mm256_shuffle_epi8(v, order);
    v = _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7));
    _mm_storeu_si128((void *)dst, _mm256_castsi256_si128(v));
    _mm_storel_epi64((void *)(dst + 16), _mm256_extracti128_si256(v, 1));
}

DX_REALTIME static inline void
store_s24_3le(uint8_t *dst, const float *src)
{
    store_24_bytes(dst, fixed_24(src), EACH_LANE(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
}

DX_REALTIME static inline void
store_s24_3be(uint8_t *dst, const float *src)
{
    store_24_bytes(dst, fixed_24(src), EACH_LANE(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1));
}

DX_REALTIME static inline void
store_s24_le(uint8_t *dst, const float *src)
{
    store_si256(dst, fixed_24(src));
}

DX_REALTIME static inline void
store_s24_be(uint8_t *dst, const float *src)
{
    store_si256(dst, _mm256_shuffle_epi8(fixed_24(src), EACH_LANE(SWAP_32)));
}

DX_REALTIME static inline void
store_s24_high_le(uint8_t *dst, const float *src)
{
    store_si256(dst, _mm256_slli_epi32(fixed_24(src), 8));
}

DX_REALTIME static inline void
store_s24_high_be(uint8_t *dst, const float *src)
{
    const __m256i order = EACH_LANE(2, 1, 0, -1, 6, 5, 4, -1, 10, 9, 8, -1, 14, 13, 12, -1);
    store_si256(dst, _mm256_shuffle_epi8(fixed_24(src), order));
}

DX_REALTIME static inline void
store_s32_le(uint8_t *dst, const float *src)
{
    store_si256(dst, fixed_32(src));
}

DX_REALTIME static inline void
store_s32_be(uint8_t *dst, const float *src)
{
    store_si256(dst, _mm256_shuffle_epi8(fixed_32(src), EACH_LANE(SWAP_32)));
}

DX_REALTIME static inline void
store_f32_be(uint8_t *dst, const float *src)
{
    store_si256(dst, _mm256_shuffle_epi8(load_si256(src), EACH_LANE(SWAP_32)));
}

DX_REALTIME static inline __m256i
doubles(const float *src)
{
    return _mm256_castpd_si256(_mm256_cvtps_pd(_mm_loadu_ps(src)));
}

DX_REALTIME static inline void
store_f64_le(uint8_t *dst, const float *src)
{
    store_si256(dst, doubles(src));
    store_si256(dst + 32, doubles(src + 4));
}

DX_REALTIME static inline void
store_f64_be(uint8_t *dst, const float *src)
{
    store_si256(dst, _mm256_shuffle_epi8(doubles(src), EACH_LANE(SWAP_64)));
    store_si256(dst + 32, _mm256_shuffle_epi8(doubles(src + 4), EACH_LANE(SWAP_64)));
}

DX_CONVERTED_FORMATS(DX_DEFINE_BLOCK_KERNELS)
DX_DEFINE_COPY_KERNELS

/* Mixing. */

DX_REALTIME static inline __m256i
magnitude(__m256 x)
{
    return _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(INT32_MAX));
}

/* Bits of a magnitude order like integers, and NaN and infinity come last. */
DX_REALTIME static inline __m256i
over_limit(__m256i magnitudes)
{
    return _mm256_cmpgt_epi32(magnitudes, _mm256_castps_si256(_mm256_set1_ps(DX_SAMPLE_LIMIT)));
}

DX_REALTIME static inline __m256
limited(__m256 x, size_t *changed)
{
    const __m256 over = _mm256_castsi256_ps(over_limit(magnitude(x)));
    const __m256 finite =
        _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_castps_si256(_mm256_set1_ps(INFINITY)), magnitude(x)));
    const __m256 cut = _mm256_or_ps(_mm256_and_ps(x, _mm256_set1_ps(-0.0f)), _mm256_set1_ps(DX_SAMPLE_LIMIT));
    *changed += (size_t)__builtin_popcount((unsigned)_mm256_movemask_ps(over));
    return _mm256_blendv_ps(x, _mm256_and_ps(cut, finite), over);
}

/* Stores x, or adds it to what is there. */
DX_REALTIME static inline void
mix_in(float *dst, __m256 x, bool add)
{
    _mm256_storeu_ps(dst, add ? _mm256_add_ps(_mm256_loadu_ps(dst), x) : x);
}

/* Looks at 32 samples at once: that any of them is over the limit is a client's fault, and rare. */
DX_REALTIME static inline size_t
mix(float *restrict dst, const float *restrict src, size_t samples, bool add)
{
    size_t changed = 0, i = 0;
    for (; i + 32 <= samples; i += 32) {
        __m256 a = _mm256_loadu_ps(src + i), b = _mm256_loadu_ps(src + i + 8);
        __m256 c = _mm256_loadu_ps(src + i + 16), d = _mm256_loadu_ps(src + i + 24);
        const __m256i largest = _mm256_max_epu32(_mm256_max_epu32(magnitude(a), magnitude(b)),
                                                 _mm256_max_epu32(magnitude(c), magnitude(d)));
        if (__builtin_expect(_mm256_movemask_epi8(over_limit(largest)) != 0, 0)) {
            a = limited(a, &changed);
            b = limited(b, &changed);
            c = limited(c, &changed);
            d = limited(d, &changed);
        }
        mix_in(dst + i, a, add);
        mix_in(dst + i + 8, b, add);
        mix_in(dst + i + 16, c, add);
        mix_in(dst + i + 24, d, add);
    }
    for (; i + 8 <= samples; i += 8)
        mix_in(dst + i, limited(_mm256_loadu_ps(src + i), &changed), add);
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

DX_DEFINE_TABLE(dx_kernels_avx2, "avx2")
