// SPDX-License-Identifier: MIT
// A host that only writes down what drivers and their objects tell it, and the objects that most tests start with.

#ifndef TESTS_AUDIO_FAKE_HOST_H
#define TESTS_AUDIO_FAKE_HOST_H

#include <dextral/AudioDriverKit.h>
#include <dextral/host.h>

/*
 * Link with fake_host_link_args (tests/audio/meson.build): the calls of audio/host.h land here, whatever the library
 * has behind them.
 */

/** Its address is all there is to it. */
dx_host *fake_host(void);

/** What dx_host_is_performing() answers from now on. */
void fake_host_set_performing(bool is_performing);

/** What dx_host_request_configuration_change() answers from now on. */
void fake_host_set_request_status(kern_return_t status);

/** Called inside dx_host_object_removed(); NULL: nothing. */
void fake_host_set_removal_hook(void (*hook)(IOUserAudioObject *object));

/**
 * What the host was told since the last time, and forgets it, in order, with " | " between: "registered",
 * "changed 3 'lnam' 'nsrt'", "removed 3", "requested 3 100".
 *
 * @return a string that the next call overwrites.
 */
const char *fake_host_take(void);

/** Calls so far, taken or not. */
uint32_t fake_host_calls(void);

/** A driver that was initialised, attached to the host and started; NULL when that failed. */
IOUserAudioDriver *fake_host_start_driver(const IOUserAudioDriverOverrides *overrides);

/** Stops, detaches and releases it. */
void fake_host_stop_driver(IOUserAudioDriver *driver);

/** A device of a driver; NULL without memory. */
IOUserAudioDevice *make_device(IOUserAudioDriver *driver, const char *uid, uint32_t period);

/** Packed native float32 at a rate. */
IOUserAudioStreamBasicDescription float_format(double rate, uint32_t channels);

/** Packed native integers at a rate. */
IOUserAudioStreamBasicDescription integer_format(double rate, uint32_t channels, uint32_t bits);

/** A stream with a ring of that many bytes (0: none); NULL without memory. */
IOUserAudioStream *make_stream(IOUserAudioDriver *driver, IOUserAudioStreamDirection direction,
                               uint64_t ring_bytes);

#endif /* TESTS_AUDIO_FAKE_HOST_H */
