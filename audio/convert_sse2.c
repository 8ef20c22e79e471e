// SPDX-License-Identifier: MIT
// Conversion and mixing with SSE2: 4 samples in a register, 8 in a block.

#include "audio/convert_kernels.h"

#include <emmintrin.h>

#define DX_BLOCK 8

/* Byte order.  There is no byte shuffle before SSSE3: halves are exchanged, then bytes in each half. */

DX_REALTIME static inline __m128i
swap_16(__m128i v)
{
    return _mm_or_si128(_mm_slli_epi16(v, 8), _mm_srli_epi16(v, 8));
}

DX_REALTIME static inline __m128i
swap_32(__m128i v)
{
    v = _mm_shufflelo_epi16(v, _MM_SHUFFLE(2, 3, 0, 1));
    v = _mm_shufflehi_epi16(v, _MM_SHUFFLE(2, 3, 0, 1));
    return swap_16(v);
}

DX_REALTIME static inline __m128i
swap_64(__m128i v)
{
    v = _mm_shufflelo_epi16(v, _MM_SHUFFLE(0, 1, 2, 3));
    v = _mm_shufflehi_epi16(v, _MM_SHUFFLE(0, 1, 2, 3));
    return swap_16(v);
}

DX_REALTIME static inline __m128i
load_si128(const void *src)
{
    return _mm_loadu_si128(src);
}

DX_REALTIME static inline void
store_si128(void *dst, __m128i v)
{
    _mm_storeu_si128(dst, v);
}

/* To float. */

/* Values in the high bits of each 32, the others zero. */
DX_REALTIME static inline void
put_left(float *dst, __m128i v)
{
    _mm_storeu_ps(dst, _mm_mul_ps(_mm_cvtepi32_ps(v), _mm_set1_ps(1.0f / DX_SCALE_32)));
}

DX_REALTIME static inline void
put_16(float *dst, __m128i v)
{
    const __m128i zero = _mm_setzero_si128();
    put_left(dst, _mm_unpacklo_epi16(zero, v));
    put_left(dst + 4, _mm_unpackhi_epi16(zero, v));
}

DX_REALTIME static inline void
load_s16_le(float *dst, const uint8_t *src)
{
    put_16(dst, load_si128(src));
}

DX_REALTIME static inline void
load_s16_be(float *dst, const uint8_t *src)
{
    put_16(dst, swap_16(load_si128(src)));
}

/* The low 12 bytes of v as 4 x 3 bytes, each in the low end of 32 bits with something above. */
DX_REALTIME static inline __m128i
spread_24(__m128i v)
{
    const __m128i v01 = _mm_unpacklo_epi32(v, _mm_srli_si128(v, 3));
    const __m128i v23 = _mm_unpacklo_epi32(_mm_srli_si128(v, 6), _mm_srli_si128(v, 9));
    return _mm_unpacklo_epi64(v01, v23);
}

DX_REALTIME static inline void
load_s24_3le(float *dst, const uint8_t *src)
{
    /* The second load starts 4 bytes early and so ends with the block. */
    const __m128i low = load_si128(src);
    const __m128i high = _mm_srli_si128(load_si128(src + 8), 4);
    put_left(dst, _mm_slli_epi32(spread_24(low), 8));
    put_left(dst + 4, _mm_slli_epi32(spread_24(high), 8));
}

DX_REALTIME static inline __m128i
left_24_be(__m128i v)
{
    return _mm_and_si128(swap_32(v), _mm_set1_epi32(~0xFF));
}

DX_REALTIME static inline void
load_s24_3be(float *dst, const uint8_t *src)
{
    const __m128i low = load_si128(src);
    const __m128i high = _mm_srli_si128(load_si128(src + 8), 4);
    put_left(dst, left_24_be(spread_24(low)));
    put_left(dst + 4, left_24_be(spread_24(high)));
}

/* `expression` brings the value in v to the high bits. */
#define LOAD_32(name, expression)                                                                                 \
    DX_REALTIME static inline void load_half_##name(float *dst, const uint8_t *src)                               \
    {                                                                                                             \
        const __m128i v = load_si128(src);                                                                        \
        put_left(dst, expression);                                                                                \
    }                                                                                                             \
    DX_REALTIME static inline void load_##name(float *dst, const uint8_t *src)                                    \
    {                                                                                                             \
        load_half_##name(dst, src);                                                                               \
        load_half_##name(dst + 4, src + 16);                                                                      \
    }
LOAD_32(s24_le, _mm_slli_epi32(v, 8))
LOAD_32(s24_be, _mm_slli_epi32(swap_32(v), 8))
LOAD_32(s24_high_le, _mm_and_si128(v, _mm_set1_epi32(~0xFF)))
LOAD_32(s24_high_be, left_24_be(v))
LOAD_32(s32_le, v)
LOAD_32(s32_be, swap_32(v))
#undef LOAD_32

DX_REALTIME static inline void
load_f32_be(float *dst, const uint8_t *src)
{
    store_si128(dst, swap_32(load_si128(src)));
    store_si128(dst + 4, swap_32(load_si128(src + 16)));
}

DX_REALTIME static inline void
put_f64(float *dst, __m128i v01, __m128i v23)
{
    const __m128 low = _mm_cvtpd_ps(_mm_castsi128_pd(v01));
    const __m128 high = _mm_cvtpd_ps(_mm_castsi128_pd(v23));
    _mm_storeu_ps(dst, _mm_movelh_ps(low, high));
}

DX_REALTIME static inline void
load_f64_le(float *dst, const uint8_t *src)
{
    put_f64(dst, load_si128(src), load_si128(src + 16));
    put_f64(dst + 4, load_si128(src + 32), load_si128(src + 48));
}

DX_REALTIME static inline void
load_f64_be(float *dst, const uint8_t *src)
{
    put_f64(dst, swap_64(load_si128(src)), swap_64(load_si128(src + 16)));
    put_f64(dst + 4, swap_64(load_si128(src + 32)), swap_64(load_si128(src + 48)));
}

/* From float. */

/* Scaled, NaN made 0, and cut at `max`, the largest value that does not round past the end.  What is too far
 * below becomes INT32_MIN in the conversion. */
DX_REALTIME static inline __m128i
fixed(const float *src, float scale, float max)
{
    __m128 x = _mm_loadu_ps(src);
    x = _mm_and_ps(x, _mm_cmpord_ps(x, x));
    return _mm_cvtps_epi32(_mm_min_ps(_mm_mul_ps(x, _mm_set1_ps(scale)), _mm_set1_ps(max)));
}

DX_REALTIME static inline __m128i
fixed_16(const float *src)
{
    return _mm_packs_epi32(fixed(src, DX_SCALE_16, INT16_MAX), fixed(src + 4, DX_SCALE_16, INT16_MAX));
}

DX_REALTIME static inline __m128i
fixed_24(const float *src)
{
    __m128 x = _mm_loadu_ps(src);
    x = _mm_mul_ps(_mm_and_ps(x, _mm_cmpord_ps(x, x)), _mm_set1_ps(DX_SCALE_24));
    x = _mm_max_ps(_mm_min_ps(x, _mm_set1_ps(0x7FFFFF)), _mm_set1_ps(-DX_SCALE_24));
    return _mm_cvtps_epi32(x);
}

/* INT32_MAX is no float: what reaches 2^31 converts to INT32_MIN, and its complement is INT32_MAX. */
DX_REALTIME static inline __m128i
fixed_32(const float *src)
{
    __m128 x = _mm_loadu_ps(src);
    x = _mm_mul_ps(_mm_and_ps(x, _mm_cmpord_ps(x, x)), _mm_set1_ps(DX_SCALE_32));
    const __m128 over = _mm_cmpge_ps(x, _mm_set1_ps(DX_SCALE_32));
    return _mm_xor_si128(_mm_cvtps_epi32(x), _mm_castps_si128(over));
}

DX_REALTIME static inline void
store_s16_le(uint8_t *dst, const float *src)
{
    store_si128(dst, fixed_16(src));
}

DX_REALTIME static inline void
store_s16_be(uint8_t *dst, const float *src)
{
    store_si128(dst, swap_16(fixed_16(src)));
}

/* The low 3 bytes of each 32 bits, side by side; the upper 4 bytes are zero. */
DX_REALTIME static inline __m128i
gather_24(__m128i v)
{
    const __m128i even = _mm_and_si128(v, _mm_set1_epi64x(0xFFFFFF));
    const __m128i odd = _mm_and_si128(v, _mm_set1_epi64x(0xFFFFFF00000000));
    const __m128i pairs = _mm_or_si128(even, _mm_srli_epi64(odd, 8)); // 6 bytes in each 64 bits
    return _mm_or_si128(_mm_move_epi64(pairs), _mm_slli_si128(_mm_srli_si128(pairs, 8), 6));
}

DX_REALTIME static inline void
store_24_3(uint8_t *dst, __m128i low, __m128i high)
{
    high = gather_24(high);
    store_si128(dst, _mm_or_si128(gather_24(low), _mm_slli_si128(high, 12)));
    _mm_storel_epi64((__m128i *)(void *)(dst + 16), _mm_srli_si128(high, 4));
}

DX_REALTIME static inline void
store_s24_3le(uint8_t *dst, const float *src)
{
    store_24_3(dst, fixed_24(src), fixed_24(src + 4));
}

DX_REALTIME static inline void
store_s24_3be(uint8_t *dst, const float *src)
{
    store_24_3(dst, swap_32(_mm_slli_epi32(fixed_24(src), 8)), swap_32(_mm_slli_epi32(fixed_24(src + 4), 8)));
}

/* `expression` makes the container of the value in v. */
#define STORE_32(name, fixed_function, expression)                                                                \
    DX_REALTIME static inline void store_half_##name(uint8_t *dst, const float *src)                              \
    {                                                                                                             \
        const __m128i v = fixed_function(src);                                                                    \
        store_si128(dst, expression);                                                                             \
    }                                                                                                             \
    DX_REALTIME static inline void store_##name(uint8_t *dst, const float *src)                                   \
    {                                                                                                             \
        store_half_##name(dst, src);                                                                              \
        store_half_##name(dst + 16, src + 4);                                                                     \
    }
STORE_32(s24_le, fixed_24, v)
STORE_32(s24_be, fixed_24, swap_32(v))
STORE_32(s24_high_le, fixed_24, _mm_slli_epi32(v, 8))
STORE_32(s24_high_be, fixed_24, swap_32(_mm_slli_epi32(v, 8)))
STORE_32(s32_le, fixed_32, v)
STORE_32(s32_be, fixed_32, swap_32(v))
STORE_32(f32_be, load_si128, swap_32(v))
#undef STORE_32

DX_REALTIME static inline __m128i
two_doubles(__m128 x)
{
    return _mm_castpd_si128(_mm_cvtps_pd(x));
}

DX_REALTIME static inline void
store_f64_le(uint8_t *dst, const float *src)
{
    const __m128 a = _mm_loadu_ps(src), b = _mm_loadu_ps(src + 4);
    store_si128(dst, two_doubles(a));
    store_si128(dst + 16, two_doubles(_mm_movehl_ps(a, a)));
    store_si128(dst + 32, two_doubles(b));
    store_si128(dst + 48, two_doubles(_mm_movehl_ps(b, b)));
}

DX_REALTIME static inline void
store_f64_be(uint8_t *dst, const float *src)
{
    const __m128 a = _mm_loadu_ps(src), b = _mm_loadu_ps(src + 4);
    store_si128(dst, swap_64(two_doubles(a)));
    store_si128(dst + 16, swap_64(two_doubles(_mm_movehl_ps(a, a))));
    store_si128(dst + 32, swap_64(two_doubles(b)));
    store_si128(dst + 48, swap_64(two_doubles(_mm_movehl_ps(b, b))));
}

DX_CONVERTED_FORMATS(DX_DEFINE_BLOCK_KERNELS)
DX_DEFINE_COPY_KERNELS

/* Mixing. */

DX_REALTIME static inline __m128i
magnitude(__m128 x)
{
    return _mm_and_si128(_mm_castps_si128(x), _mm_set1_epi32(INT32_MAX));
}

/* Bits of a magnitude order like integers, and NaN and infinity come last. */
DX_REALTIME static inline __m128i
over_limit(__m128 x)
{
    return _mm_cmpgt_epi32(magnitude(x), _mm_castps_si128(_mm_set1_ps(DX_SAMPLE_LIMIT)));
}

/* Ones in a number below 16, from a table of nibbles: SSE2 has no instruction for it. */
DX_REALTIME static inline size_t
ones(int nibble)
{
    return (size_t)(0x4332322132212110u >> (4 * nibble) & 15u);
}

DX_REALTIME static inline __m128
limited(__m128 x, size_t *changed)
{
    const __m128 over = _mm_castsi128_ps(over_limit(x));
    const __m128 finite = _mm_castsi128_ps(_mm_cmpgt_epi32(_mm_castps_si128(_mm_set1_ps(INFINITY)), magnitude(x)));
    __m128 cut = _mm_or_ps(_mm_and_ps(x, _mm_set1_ps(-0.0f)), _mm_set1_ps(DX_SAMPLE_LIMIT));
    cut = _mm_and_ps(cut, finite);
    *changed += ones(_mm_movemask_ps(over));
    return _mm_or_ps(_mm_and_ps(over, cut), _mm_andnot_ps(over, x));
}

/* Stores x, or adds it to what is there. */
DX_REALTIME static inline void
mix_in(float *dst, __m128 x, bool add)
{
    _mm_storeu_ps(dst, add ? _mm_add_ps(_mm_loadu_ps(dst), x) : x);
}

/* Looks at 16 samples at once: that any of them is over the limit is a client's fault, and rare. */
DX_REALTIME static inline size_t
mix(float *restrict dst, const float *restrict src, size_t samples, bool add)
{
    size_t changed = 0, i = 0;
    for (; i + 16 <= samples; i += 16) {
        __m128 a = _mm_loadu_ps(src + i), b = _mm_loadu_ps(src + i + 4);
        __m128 c = _mm_loadu_ps(src + i + 8), d = _mm_loadu_ps(src + i + 12);
        const __m128i over =
            _mm_or_si128(_mm_or_si128(over_limit(a), over_limit(b)), _mm_or_si128(over_limit(c), over_limit(d)));
        if (__builtin_expect(_mm_movemask_epi8(over) != 0, 0)) {
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
        mix_in(dst + i, limited(_mm_loadu_ps(src + i), &changed), add);
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

DX_DEFINE_TABLE(dx_kernels_sse2, "sse2")
