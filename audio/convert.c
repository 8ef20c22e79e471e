// SPDX-License-Identifier: MIT
// Choice of the conversion functions.

#include "audio/convert.h"

#include "audio/convert_kernels.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)

const struct dx_kernels *
dx_kernels_get(enum dx_cpu_kernels which)
{
    /* Each answer includes that the system keeps the registers over a switch of threads. */
    switch (which) {
    case DX_KERNELS_C:
        return &dx_kernels_c;
    case DX_KERNELS_SSE2:
        return __builtin_cpu_supports("sse2") ? &dx_kernels_sse2 : NULL;
    case DX_KERNELS_AVX2:
        return __builtin_cpu_supports("avx2") ? &dx_kernels_avx2 : NULL;
    case DX_KERNELS_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512vl")
                   ? &dx_kernels_avx512
                   : NULL;
    case DX_KERNELS_NEON:
    case DX_KERNELS_COUNT:
        return NULL;
    }
    return NULL;
}

#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

const struct dx_kernels *
dx_kernels_get(enum dx_cpu_kernels which)
{
    /* Advanced SIMD belongs to every 64-bit ARM that runs Linux. */
    switch (which) {
    case DX_KERNELS_C:
        return &dx_kernels_c;
    case DX_KERNELS_NEON:
        return &dx_kernels_neon;
    case DX_KERNELS_SSE2:
    case DX_KERNELS_AVX2:
    case DX_KERNELS_AVX512:
    case DX_KERNELS_COUNT:
        return NULL;
    }
    return NULL;
}

#else

const struct dx_kernels *
dx_kernels_get(enum dx_cpu_kernels which)
{
    return which == DX_KERNELS_C ? &dx_kernels_c : NULL;
}

#endif

const struct dx_kernels *
dx_kernels_best(void)
{
    /* Later in the enumeration is better. */
    const struct dx_kernels *best = &dx_kernels_c;
    const char *const wanted = getenv("DEXTRAL_KERNELS");

    for (int which = DX_KERNELS_C; which < DX_KERNELS_COUNT; which++) {
        const struct dx_kernels *const kernels = dx_kernels_get((enum dx_cpu_kernels)which);
        if (!kernels)
            continue;
        best = kernels;
        if (wanted && strcmp(wanted, kernels->name) == 0)
            break;
    }
    return best;
}
