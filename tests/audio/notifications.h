// SPDX-License-Identifier: MIT
// A driver with a work queue, and a host that only writes down which properties it was told of.

#ifndef TESTS_AUDIO_NOTIFICATIONS_H
#define TESTS_AUDIO_NOTIFICATIONS_H

#include <dextral/IOUserAudioDriver.h>

/*
 * Link with notifications_link_args (tests/audio/meson.build): the objects' calls to the host land here, and no
 * host is needed.
 */

/** A started driver that has the recording host; NULL without memory. */
IOUserAudioDriver *notifications_driver_create(void);

/** Stops and releases it. */
void notifications_driver_destroy(IOUserAudioDriver *driver);

/** Makes an object the driver's own, as far as notifications go. */
void notifications_adopt(IOUserAudioObjectPtr object);

/**
 * What the host was told since the last time, and forgets it: "'lcdv' 'lcsv'", in order, with '|' between calls; ""
 * when it was told nothing.  A call for another object than `object` shows as "other".
 *
 * @return a string that the next call overwrites.
 */
const char *notifications_take(IOUserAudioObjectID object);

#endif /* TESTS_AUDIO_NOTIFICATIONS_H */
