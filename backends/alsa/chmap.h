// SPDX-License-Identifier: MIT
// Channel maps: alsa-lib's names for what a stream's channels are for.

#ifndef DX_BACKENDS_ALSA_CHMAP_H
#define DX_BACKENDS_ALSA_CHMAP_H

#include <alsa/asoundlib.h>

#include <dextral/host.h>

/**
 * The position of each channel of a layout.
 *
 * Left and right surround are at the rear, and at the sides where the layout has rear surround channels besides.  What
 * ALSA has no name for is SND_CHMAP_UNKNOWN, and a channel that is not used SND_CHMAP_NA.
 */
void dx_alsa_chmap_from_labels(const IOUserAudioChannelLabel *labels, uint32_t count, unsigned *ret_positions);

/**
 * The positions of a program's channels, as the adapter (adapter.h) maps them to those of the stream as it is now.
 *
 * @param index     of the stream in its direction.
 * @param channels  of the program; what it has beyond the stream's is SND_CHMAP_NA.
 * @return the caller's to free(); NULL: nothing is known, there is no such stream any more, or no memory.
 */
snd_pcm_chmap_t *dx_alsa_chmap_create(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index,
                                      uint32_t channels);

/** The same as the only one of a list, and fixed: for snd_pcm_free_chmaps(). */
snd_pcm_chmap_query_t **dx_alsa_chmap_create_list(dx_device *device, IOUserAudioStreamDirection direction,
                                                  uint32_t index, uint32_t channels);

#endif /* DX_BACKENDS_ALSA_CHMAP_H */
