// SPDX-License-Identifier: MIT
// The inside of IOUserAudioDevice.

#ifndef DX_AUDIO_DEVICE_H
#define DX_AUDIO_DEVICE_H

#include "audio/clock_device.h"

#include <dextral/IOUserAudioDevice.h>

/* A handler and how its context is given back. */
struct dx_handler {
    bool is_set; // there is a function
    void *context;
    void (*release)(void *context); // or NULL
};

struct IOUserAudioDevice {
    struct IOUserAudioClockDevice clock;

    IOUserAudioDeviceOverrides overrides; // fixed by init

    /* Stored on the work queue; read by anybody. */
    _Atomic uint32_t can_be_default_input; // enum dx_choice, like the two below
    _Atomic uint32_t can_be_default_output;
    _Atomic uint32_t can_be_default_system;
    _Atomic uint32_t wants_formats_restored;
    _Atomic uint32_t input_safety_frames;
    _Atomic uint32_t output_safety_frames;
    _Atomic uint32_t late_tolerance_frames;
    _Atomic uint32_t mixable_streams[2]; // by direction
    _Atomic uint32_t stereo_words[DX_SLOTS_WORDS(2 * sizeof(uint32_t))];

    /* Under the object's lock. */
    struct dx_object_list streams[2];    // by direction
    IOUserAudioChannelLabel *layouts[2]; // by direction
    uint32_t layout_counts[2];

    /* Whoever sets the handler: held by the one that took `handler_busy` from 0 to 1. */
    _Atomic uint32_t handler_busy;
    struct dx_handler handler;
    struct dx_handler retired[DX_HANDLER_SLOTS]; // replaced from inside the handler
    uint32_t retired_count;
};

/** A stream's formats changed: counts the mixable ones anew. */
void dx_device_streams_changed(IOUserAudioDevice *device);

/* What the host needs beyond the public interface. */

/** Stamps, client times and the handler, valid as long as the device; NULL for no device. */
struct dx_device_io *dx_device_get_io(IOUserAudioDevice *device);

/**
 * The streams of a direction in order, +1 each.  @return how many there are; no more than `capacity` are
 * written.
 */
uint32_t dx_device_copy_streams(IOUserAudioDevice *device, IOUserAudioStreamDirection direction,
                                IOUserAudioStream **ret_streams, uint32_t capacity);

/** Whether saved stream formats are to be restored: yes, unless the driver said no. */
bool dx_device_wants_stream_formats_restored(IOUserAudioDevice *device);

#define DX_MAX_LABELS 1024u // of a direction's layout

/**
 * The preferred layout of a direction.  @return how many labels there are; no more than `capacity` are written.
 *          DX_MAX_LABELS is always enough.
 */
uint32_t dx_device_copy_channel_layout(IOUserAudioDevice *device, IOUserAudioStreamDirection direction,
                                       IOUserAudioChannelLabel *ret_labels, uint32_t capacity);

#endif /* DX_AUDIO_DEVICE_H */
