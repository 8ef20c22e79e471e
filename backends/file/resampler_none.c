// SPDX-License-Identifier: MIT
// Stands in for resampler.c where libsamplerate is not there.

#include "backends/file/resampler.h"

#include "backends/file/error.h"

kern_return_t
dx_resampler_create(double ratio, uint32_t channels, struct dx_resampler **ret_resampler, dx_error *error)
{
    (void)ratio;
    (void)channels;
    (void)ret_resampler;
    return dx_file_error(
        error, kIOReturnUnsupported,
        "the file's rate is not the device's, and this build of Dextral converts no rates: install "
        "libsamplerate (Debian: libsamplerate0-dev) and build again with -Dsamplerate=enabled");
}

void
dx_resampler_destroy(struct dx_resampler *resampler)
{
    (void)resampler;
}

kern_return_t
dx_resampler_process(struct dx_resampler *resampler, const float *in, uint32_t in_frames, bool is_last, float *out,
                     uint32_t out_frames, uint32_t *ret_used, uint32_t *ret_made)
{
    (void)resampler;
    (void)in;
    (void)in_frames;
    (void)is_last;
    (void)out;
    (void)out_frames;
    (void)ret_used;
    (void)ret_made;
    return kIOReturnUnsupported;
}
