// SPDX-License-Identifier: MIT
// A control that places sound between two channels.

#include <dextral/IOUserAudioStereoPanControl.h>

#include "audio/control.h"

#include <math.h>

struct IOUserAudioStereoPanControl {
    struct IOUserAudioControl control;
    IOUserAudioStereoPanControlOverrides overrides; // fixed by init

    /* Written on the work queue. */
    _Atomic uint32_t value;    // a float's bits, 0 ... 1
    _Atomic uint64_t channels; // left, right
};

static float
clamp(float value)
{
    return value < 0.0f ? 0.0f : value > 1.0f ? 1.0f : value;
}

static void
free_stereo_pan(OSObjectPtr object)
{
    struct IOUserAudioStereoPanControl *const self = object;
    if (self->overrides.free)
        self->overrides.free(self);
    else
        IOUserAudioStereoPanControlFree_super(self);
}

static const OSMetaClass stereo_pan_class = {
    .name = "IOUserAudioStereoPanControl",
    .super = &dx_control_class,
    .instance_bytes = sizeof(struct IOUserAudioStereoPanControl),
    .free = free_stereo_pan,
};
const OSMetaClass *const gIOUserAudioStereoPanControlMetaClass = &stereo_pan_class;

void
IOUserAudioStereoPanControlFree_super(IOUserAudioStereoPanControl *control)
{
    if (control)
        dx_audio_object_free(control);
}

IOUserAudioStereoPanControl *
IOUserAudioStereoPanControlAlloc(void)
{
    return dx_audio_object_alloc(&stereo_pan_class);
}

kern_return_t
IOUserAudioStereoPanControlSetOverrides(IOUserAudioStereoPanControl *control,
                                        const IOUserAudioStereoPanControlOverrides *overrides)
{
    return dx_overrides_set(control, &stereo_pan_class, control ? &control->overrides : NULL,
                            sizeof control->overrides, overrides);
}

bool
IOUserAudioStereoPanControlInit_super(IOUserAudioStereoPanControl *control, IOUserAudioDriver *driver,
                                      bool is_settable, float control_value,
                                      IOUserAudioObjectPropertyElement left_channel,
                                      IOUserAudioObjectPropertyElement right_channel,
                                      IOUserAudioObjectPropertyElement element,
                                      IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id)
{
    if (!dx_overrides_may_set(control, &stereo_pan_class))
        return false;
    if (isnan(control_value))
        return false;
    dx_store_float(&control->value, clamp(control_value));
    dx_store_pair(&control->channels, left_channel, right_channel);
    return dx_control_init(control, driver, DX_CONTROL_STEREO_PAN, is_settable, element, scope, class_id);
}

bool
IOUserAudioStereoPanControlInit(IOUserAudioStereoPanControl *control, IOUserAudioDriver *driver,
                                bool is_settable, float control_value,
                                IOUserAudioObjectPropertyElement left_channel,
                                IOUserAudioObjectPropertyElement right_channel,
                                IOUserAudioObjectPropertyElement element, IOUserAudioObjectPropertyScope scope,
                                IOUserAudioClassID class_id)
{
    if (!dx_overrides_may_set(control, &stereo_pan_class))
        return false;
    if (control->overrides.init)
        return control->overrides.init(control, driver, is_settable, control_value, left_channel, right_channel,
                                       element, scope, class_id);
    return IOUserAudioStereoPanControlInit_super(control, driver, is_settable, control_value, left_channel,
                                                 right_channel, element, scope, class_id);
}

IOUserAudioStereoPanControl *
IOUserAudioStereoPanControlCreate(IOUserAudioDriver *driver, bool is_settable, float control_value,
                                  IOUserAudioObjectPropertyElement left_channel,
                                  IOUserAudioObjectPropertyElement right_channel,
                                  IOUserAudioObjectPropertyElement element,
                                  IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id)
{
    IOUserAudioStereoPanControl *control = IOUserAudioStereoPanControlAlloc();
    if (control && !IOUserAudioStereoPanControlInit(control, driver, is_settable, control_value, left_channel,
                                                    right_channel, element, scope, class_id))
        OSSafeReleaseNULL(control);
    return control;
}

static kern_return_t
set_value(IOUserAudioObject *object, void *argument)
{
    IOUserAudioStereoPanControl *const control = (IOUserAudioStereoPanControl *)object;
    const float value = clamp(*(const float *)argument);
    if (value != dx_load_float(&control->value)) {
        dx_store_float(&control->value, value);
        dx_object_notify_one(object, kIOUserAudioPropertyStereoPanControlValue);
    }
    return kIOReturnSuccess;
}

static kern_return_t
set_channels(IOUserAudioObject *object, void *argument)
{
    IOUserAudioStereoPanControl *const control = (IOUserAudioStereoPanControl *)object;
    const struct dx_pair *const channels = argument;
    const struct dx_pair before = dx_load_pair(&control->channels);
    if (channels->first != before.first || channels->second != before.second) {
        dx_store_pair(&control->channels, channels->first, channels->second);
        dx_object_notify_one(object, kIOUserAudioPropertyStereoPanControlPanningChannels);
    }
    return kIOReturnSuccess;
}

kern_return_t
IOUserAudioStereoPanControlSetControlValue(IOUserAudioStereoPanControl *control, float value)
{
    if (!dx_audio_object_is(control, &stereo_pan_class) || isnan(value))
        return kIOReturnBadArgument;
    return dx_object_run(&control->control.object, set_value, &value);
}

float
IOUserAudioStereoPanControlGetControlValue(IOUserAudioStereoPanControl *control)
{
    return dx_audio_object_is(control, &stereo_pan_class) ? dx_load_float(&control->value) : 0.0f;
}

kern_return_t
IOUserAudioStereoPanControlSetPanningChannels(IOUserAudioStereoPanControl *control,
                                              IOUserAudioObjectPropertyElement left_channel,
                                              IOUserAudioObjectPropertyElement right_channel)
{
    if (!dx_audio_object_is(control, &stereo_pan_class))
        return kIOReturnBadArgument;
    struct dx_pair channels = {left_channel, right_channel};
    return dx_object_run(&control->control.object, set_channels, &channels);
}

void
IOUserAudioStereoPanControlGetPanningChannels(IOUserAudioStereoPanControl *control,
                                              IOUserAudioObjectPropertyElement *ret_left,
                                              IOUserAudioObjectPropertyElement *ret_right)
{
    if (!dx_audio_object_is(control, &stereo_pan_class))
        return;
    const struct dx_pair channels = dx_load_pair(&control->channels);
    if (ret_left)
        *ret_left = channels.first;
    if (ret_right)
        *ret_right = channels.second;
}

kern_return_t
IOUserAudioStereoPanControlHandleChangeControlValue_super(IOUserAudioStereoPanControl *control, float value)
{
    return IOUserAudioStereoPanControlSetControlValue(control, value);
}

kern_return_t
IOUserAudioStereoPanControlHandleChangeControlValue(IOUserAudioStereoPanControl *control, float value)
{
    if (!dx_audio_object_is(control, &stereo_pan_class))
        return kIOReturnBadArgument;
    if (control->overrides.HandleChangeControlValue)
        return control->overrides.HandleChangeControlValue(control, value);
    return IOUserAudioStereoPanControlHandleChangeControlValue_super(control, value);
}
