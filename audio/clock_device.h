// SPDX-License-Identifier: MIT
// The inside of IOUserAudioClockDevice, and the half of a device that is one.

#ifndef DX_AUDIO_CLOCK_DEVICE_H
#define DX_AUDIO_CLOCK_DEVICE_H

#include "audio/device_io.h"
#include "audio/object.h"

#include <dextral/IOUserAudioClockDevice.h>

/* Virtual methods, and what a device adds to the base behaviour; each takes the object as a clock device. */
struct dx_clock_device_ops {
    kern_return_t (*start_io)(IOUserAudioClockDevice *device, IOUserAudioStartStopFlags flags);
    kern_return_t (*stop_io)(IOUserAudioClockDevice *device, IOUserAudioStartStopFlags flags);
    kern_return_t (*perform)(IOUserAudioClockDevice *device, uint64_t action, OSObjectPtr info);
    kern_return_t (*abort)(IOUserAudioClockDevice *device, uint64_t action, OSObjectPtr info);
    kern_return_t (*handle_change_sample_rate)(IOUserAudioClockDevice *device, double sample_rate);

    /* Optional. */
    kern_return_t (*start_streams)(IOUserAudioClockDevice *device, IOUserAudioStartStopFlags flags,
                                   bool undo_on_failure);
    kern_return_t (*stop_streams)(IOUserAudioClockDevice *device, IOUserAudioStartStopFlags flags);
    kern_return_t (*change_stream_rates)(IOUserAudioClockDevice *device, double sample_rate);
    kern_return_t (*change_stream_format)(IOUserAudioClockDevice *device, IOUserAudioStreamDirection direction,
                                          uint32_t index, const IOUserAudioStreamBasicDescription *format);
    kern_return_t (*check_period)(IOUserAudioClockDevice *device, uint32_t period); // do the rings hold it?
};

/* A choice that may not have been made. */
enum dx_choice {
    DX_CHOICE_UNSET,
    DX_CHOICE_NO,
    DX_CHOICE_YES,
};

struct IOUserAudioClockDevice {
    struct IOUserAudioObject object;

    /* Fixed by init. */
    const struct dx_clock_device_ops *ops; // by alloc
    IOUserAudioClockDeviceOverrides overrides;
    OSString *uid;
    OSString *model_uid;        // or NULL
    OSString *manufacturer_uid; // or NULL
    bool supports_prewarming;

    /* Stored on the work queue; read by anybody. */
    _Atomic uint32_t period_frames;
    _Atomic uint32_t input_latency_frames;
    _Atomic uint32_t output_latency_frames;
    _Atomic uint32_t transport_type;
    _Atomic uint32_t clock_domain;
    _Atomic uint32_t clock_algorithm;
    _Atomic uint32_t clock_is_stable;
    _Atomic uint32_t is_alive;
    _Atomic uint32_t is_hidden;
    _Atomic uint32_t transport_state;
    _Atomic uint32_t wants_controls_restored; // enum dx_choice
    _Atomic uint32_t available_rate_count;
    _Atomic uint32_t rate_words[DX_SLOTS_WORDS(sizeof(double))];

    /* Under the object's lock. */
    double *available_rates;
    struct dx_object_list controls;

    /* Between poster, engine and readers; see device_io.h. */
    struct dx_device_io io;
    _Atomic uint32_t posted_words[DX_SLOTS_WORDS(2 * sizeof(uint64_t))]; // sample time, host ticks
};

/** IOUserAudioClockDevice itself: the `super` of IOUserAudioDevice. */
extern const OSMetaClass dx_clock_device_class;

/** Alloc of a clock device or of a class below it. */
OSObjectPtr dx_clock_device_alloc(const OSMetaClass *meta, const struct dx_clock_device_ops *ops);

/** Init of both classes. */
bool dx_clock_device_init(IOUserAudioClockDevice *device, IOUserAudioDriver *driver, bool supports_prewarming,
                          OSString *device_uid, OSString *model_uid, OSString *manufacturer_uid,
                          uint32_t zero_timestamp_period, IOUserAudioClassID class_id,
                          IOUserAudioClassID base_class_id);

/** The end of free of both classes. */
void dx_clock_device_free(OSObjectPtr object);

/** Whether streams, controls, rings and period may change now. */
bool dx_clock_device_may_change_structure(IOUserAudioClockDevice *device);

/** Whether a rate is one that can be: above 0, up to 10 MHz. */
bool dx_is_sample_rate(double sample_rate);

/* What the host needs beyond the public interface. */

/** Stamps and client times, valid as long as the device. */
struct dx_device_io *dx_clock_device_get_io(IOUserAudioClockDevicePtr device);

/** +1, or NULL. */
OSString *dx_clock_device_copy_model_uid(IOUserAudioClockDevicePtr device);
OSString *dx_clock_device_copy_manufacturer_uid(IOUserAudioClockDevicePtr device);

/** Whether saved control values are to be restored: yes, unless the driver said no. */
bool dx_clock_device_wants_controls_restored(IOUserAudioClockDevicePtr device);

/** The controls in order, +1 each.  @return how many there are; no more than `capacity` are written. */
uint32_t dx_clock_device_copy_controls(IOUserAudioClockDevicePtr device, IOUserAudioControl **ret_controls,
                                       uint32_t capacity);

/* What dx_configuration_info_...() made, taken apart again; false: it did not. */
bool dx_configuration_info_get_sample_rate(OSObjectPtr info, double *ret_rate);
bool dx_configuration_info_get_ring_frames(OSObjectPtr info, uint32_t *ret_frames);
bool dx_configuration_info_get_stream_format(OSObjectPtr info, IOUserAudioStreamDirection *ret_direction,
                                             uint32_t *ret_index, IOUserAudioStreamBasicDescription *ret_format);

#endif /* DX_AUDIO_CLOCK_DEVICE_H */
