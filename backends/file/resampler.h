// SPDX-License-Identifier: MIT
// Rate conversion of interleaved float32 by a fixed ratio.

#ifndef DX_BACKENDS_FILE_RESAMPLER_H
#define DX_BACKENDS_FILE_RESAMPLER_H

#include <dextral/bundle.h>

struct dx_resampler;

/**
 * @param ratio  frames out per frame in.
 * @return kIOReturnSuccess; kIOReturnUnsupported (built without libsamplerate); kIOReturnBadArgument (ratio out of
 *         1/256 ... 256); kIOReturnNoMemory.
 */
kern_return_t dx_resampler_create(double ratio, uint32_t channels, struct dx_resampler **ret_resampler,
                                  dx_error *error);

/** NULL is fine. */
void dx_resampler_destroy(struct dx_resampler *resampler);

/**
 * Converts as much as fits.
 *
 * @param is_last   no input follows after this; then call until it makes no more.
 * @param ret_used  frames of `in` that were taken.
 * @param ret_made  frames of `out` that were filled.
 * @return kIOReturnSuccess; kIOReturnInternalError.
 */
kern_return_t dx_resampler_process(struct dx_resampler *resampler, const float *in, uint32_t in_frames,
                                   bool is_last, float *out, uint32_t out_frames, uint32_t *ret_used,
                                   uint32_t *ret_made);

#endif /* DX_BACKENDS_FILE_RESAMPLER_H */
