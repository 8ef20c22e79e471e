// SPDX-License-Identifier: MIT
// Where a program's frames are: the two lines in device time that an ALSA pointer follows, and when they get where.

#ifndef DX_BACKENDS_ALSA_POSITION_H
#define DX_BACKENDS_ALSA_POSITION_H

#include "audio/timeline.h"

/*
 * A cycle due at T mixes [T+N+So, T+2N+So) and reads [T-N-Si, T-Si).  Both lines move smoothly, so that a program is
 * woken at even distances whatever N is:
 *
 *   playback  position + 2N + So: no frame before it is certain to be changeable, every frame from it on is.
 *   capture   position - N - Si: every frame before it has been read, were the cycles on time.
 *
 * A cycle that is late holds the lines back as long as it can still catch up; then they go on by the clock.
 * docs/design/alsa.md has the reasons.
 */

/** Device time of the first frame that no cycle will have taken, if cycles keep their times. */
uint64_t dx_alsa_find_playback_line(const struct dx_timeline_page *page, uint64_t now_ns) DX_REALTIME;

/** Device time of the first frame that cannot be read yet; `ring_end` is the end of the input ring, 0 where it has none. */
uint64_t dx_alsa_find_capture_line(const struct dx_timeline_page *page, uint64_t ring_end,
                                   uint64_t now_ns) DX_REALTIME;

/** The time at which the playback line reaches a frame; soon where that is past already. */
uint64_t dx_alsa_find_playback_ns(const struct dx_timeline_page *page, uint64_t frame, uint64_t now_ns) DX_REALTIME;

/** The time at which the capture line reaches a frame, and the cycle that reads it has run. */
uint64_t dx_alsa_find_capture_ns(const struct dx_timeline_page *page, uint64_t frame, uint64_t now_ns) DX_REALTIME;

/** The time at which device time reaches a frame; soon where that is past already. */
uint64_t dx_alsa_find_heard_ns(const struct dx_timeline_page *page, uint64_t frame, uint64_t now_ns) DX_REALTIME;

#endif /* DX_BACKENDS_ALSA_POSITION_H */
