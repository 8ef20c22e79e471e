// SPDX-License-Identifier: MIT
// Sample formats: alsa-lib's names for what streams carry.

#ifndef DX_BACKENDS_ALSA_FORMAT_H
#define DX_BACKENDS_ALSA_FORMAT_H

#include "audio/convert.h"

#include <alsa/asoundlib.h>

#include <dextral/host.h>

#define DX_ALSA_MAX_FORMATS 8u

/**
 * The formats in which a program may play to or record from a stream, the best first.
 *
 * A mixable stream carries float32; offered is what converts to it and back exactly: float32, s16, s24 in three bytes
 * and in four, in the machine's byte order.  A non-mixable one has its physical format and no other.
 *
 * @return how many; 0: alsa-lib has no name for the physical format.
 */
unsigned dx_alsa_list_formats(const dx_stream_info *stream, snd_pcm_format_t formats[DX_ALSA_MAX_FORMATS]);

/** The sample format behind alsa-lib's name.  false: it is none of those that dx_alsa_list_formats() gives. */
bool dx_alsa_find_format(snd_pcm_format_t alsa, enum dx_sample_format *ret_format);

#endif /* DX_BACKENDS_ALSA_FORMAT_H */
