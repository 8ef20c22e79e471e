// SPDX-License-Identifier: MIT
// Sample conversion and mixing: one table of functions per CPU, chosen at run time.

#ifndef DX_AUDIO_CONVERT_H
#define DX_AUDIO_CONVERT_H

#include <dextral/AudioDriverKitTypes.h>

/* A float that a lane may carry: beyond it a magnitude is a fault of the client, not sound. */
#define DX_SAMPLE_LIMIT 16.0f

/*
 * Ring sample formats.  The name is that of ALSA where it has one: S24_3 is 3 bytes packed, S24 is 24 bits
 * in the low, S24_HIGH in the high end of 4 bytes.  Fixed point with fraction bits is not among them.
 */
enum dx_sample_format {
    DX_SAMPLE_S16_LE,
    DX_SAMPLE_S16_BE,
    DX_SAMPLE_S24_3LE,
    DX_SAMPLE_S24_3BE,
    DX_SAMPLE_S24_LE,
    DX_SAMPLE_S24_BE,
    DX_SAMPLE_S24_HIGH_LE,
    DX_SAMPLE_S24_HIGH_BE,
    DX_SAMPLE_S32_LE,
    DX_SAMPLE_S32_BE,
    DX_SAMPLE_F32_LE,
    DX_SAMPLE_F32_BE,
    DX_SAMPLE_F64_LE,
    DX_SAMPLE_F64_BE,
    DX_SAMPLE_FORMAT_COUNT,
};

enum dx_cpu_kernels {
    DX_KERNELS_C,
    DX_KERNELS_SSE2,
    DX_KERNELS_AVX2,
    DX_KERNELS_AVX512,
    DX_KERNELS_NEON,
    DX_KERNELS_COUNT,
};

typedef void (*dx_to_float_function)(float *restrict dst, const void *restrict src, size_t samples) DX_REALTIME;
typedef void (*dx_from_float_function)(void *restrict dst, const float *restrict src, size_t samples) DX_REALTIME;

struct dx_kernels {
    const char *name; // "c", "sse2", "avx2", "avx512", "neon"
    /* Physical to float: integers divided by 2^(bits-1).  No alignment is assumed anywhere. */
    dx_to_float_function to_float[DX_SAMPLE_FORMAT_COUNT];
    /* Float to physical.  Integers: clip to [-1, 1], scale by 2^(bits-1), round to nearest even, clip to the
     * largest positive value; NaN is 0.  Floats: every bit kept (clipping happens only to integers). */
    dx_from_float_function from_float[DX_SAMPLE_FORMAT_COUNT];
    /* dst[i] = limited(src[i]), and dst[i] += limited(src[i]): limited() passes |x| <= DX_SAMPLE_LIMIT
     * unchanged (denormals and -0 too), cuts larger magnitudes to it, makes NaN and infinities 0.
     * Return how many samples were changed by limited(). */
    size_t (*copy_limited)(float *restrict dst, const float *restrict src, size_t samples) DX_REALTIME;
    size_t (*add_limited)(float *restrict dst, const float *restrict src, size_t samples) DX_REALTIME;
};

/** The table of an instruction set, or NULL where this CPU or this build does not have it. */
const struct dx_kernels *dx_kernels_get(enum dx_cpu_kernels which);

/** The best table of this CPU; the environment variable DEXTRAL_KERNELS may name a lesser one. */
const struct dx_kernels *dx_kernels_best(void);

/** Bytes of one sample in the ring: 2, 3, 4 or 8. */
uint32_t dx_sample_format_bytes(enum dx_sample_format format) DX_REALTIME;

/** Short name: "s24_3le".  A literal. */
const char *dx_sample_format_name(enum dx_sample_format format);

/**
 * The sample format that a stream description names.
 *
 * @param ret_format  written on success only.
 * @param ret_reason  a literal that says what is wrong, written on failure only; may be NULL.
 * @return 0, or -EINVAL (contradictory: sizes, channel count, flags) or -ENOTSUP (not linear PCM,
 *         non-interleaved, unsigned, fraction bits, or a width that is not among the formats).
 *
 * Source: Ref: container = mBytesPerFrame / mChannelsPerFrame; a wider container is high- or low-aligned;
 * Packed may be unset when the bits fill the container.
 */
int dx_sample_format_from_description(const IOUserAudioStreamBasicDescription *description,
                                      enum dx_sample_format *ret_format, const char **ret_reason);

#endif /* DX_AUDIO_CONVERT_H */
