// SPDX-License-Identifier: MIT
// A control that is on or off.

#include <dextral/IOUserAudioBooleanControl.h>

#include "audio/control.h"

struct IOUserAudioBooleanControl {
    struct IOUserAudioControl control;
    IOUserAudioBooleanControlOverrides overrides; // fixed by init
    _Atomic uint32_t value;                       // 0 or 1
};

static void
free_boolean(OSObjectPtr object)
{
    struct IOUserAudioBooleanControl *const self = object;
    if (self->overrides.free)
        self->overrides.free(self);
    else
        IOUserAudioBooleanControlFree_super(self);
}

static const OSMetaClass boolean_class = {
    .name = "IOUserAudioBooleanControl",
    .super = &dx_control_class,
    .instance_bytes = sizeof(struct IOUserAudioBooleanControl),
    .free = free_boolean,
};
const OSMetaClass *const gIOUserAudioBooleanControlMetaClass = &boolean_class;

void
IOUserAudioBooleanControlFree_super(IOUserAudioBooleanControl *control)
{
    if (control)
        dx_audio_object_free(control);
}

IOUserAudioBooleanControl *
IOUserAudioBooleanControlAlloc(void)
{
    return dx_audio_object_alloc(&boolean_class);
}

kern_return_t
IOUserAudioBooleanControlSetOverrides(IOUserAudioBooleanControl *control,
                                      const IOUserAudioBooleanControlOverrides *overrides)
{
    return dx_overrides_set(control, &boolean_class, control ? &control->overrides : NULL,
                            sizeof control->overrides, overrides);
}

bool
IOUserAudioBooleanControlInit_super(IOUserAudioBooleanControl *control, IOUserAudioDriver *driver,
                                    bool is_settable, bool control_value,
                                    IOUserAudioObjectPropertyElement element,
                                    IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id)
{
    if (!dx_overrides_may_set(control, &boolean_class))
        return false;
    /* relaxed: dx_control_init() publishes it. */
    atomic_store_explicit(&control->value, control_value, memory_order_relaxed);
    return dx_control_init(control, driver, DX_CONTROL_BOOLEAN, is_settable, element, scope, class_id);
}

bool
IOUserAudioBooleanControlInit(IOUserAudioBooleanControl *control, IOUserAudioDriver *driver, bool is_settable,
                              bool control_value, IOUserAudioObjectPropertyElement element,
                              IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id)
{
    if (!dx_overrides_may_set(control, &boolean_class))
        return false;
    if (control->overrides.init)
        return control->overrides.init(control, driver, is_settable, control_value, element, scope, class_id);
    return IOUserAudioBooleanControlInit_super(control, driver, is_settable, control_value, element, scope,
                                               class_id);
}

IOUserAudioBooleanControl *
IOUserAudioBooleanControlCreate(IOUserAudioDriver *driver, bool is_settable, bool control_value,
                                IOUserAudioObjectPropertyElement element, IOUserAudioObjectPropertyScope scope,
                                IOUserAudioClassID class_id)
{
    IOUserAudioBooleanControl *control = IOUserAudioBooleanControlAlloc();
    if (control &&
        !IOUserAudioBooleanControlInit(control, driver, is_settable, control_value, element, scope, class_id))
        OSSafeReleaseNULL(control);
    return control;
}

kern_return_t
IOUserAudioBooleanControlSetControlValue(IOUserAudioBooleanControl *control, bool value)
{
    if (!dx_audio_object_is(control, &boolean_class))
        return kIOReturnBadArgument;
    return dx_object_set_u32(&control->control.object, &control->value, value,
                             kIOUserAudioPropertyBooleanControlValue);
}

bool
IOUserAudioBooleanControlGetControlValue(IOUserAudioBooleanControl *control)
{
    return dx_audio_object_is(control, &boolean_class) && dx_object_get_u32(&control->value) != 0;
}

kern_return_t
IOUserAudioBooleanControlHandleChangeControlValue_super(IOUserAudioBooleanControl *control, bool value)
{
    return IOUserAudioBooleanControlSetControlValue(control, value);
}

kern_return_t
IOUserAudioBooleanControlHandleChangeControlValue(IOUserAudioBooleanControl *control, bool value)
{
    if (!dx_audio_object_is(control, &boolean_class))
        return kIOReturnBadArgument;
    if (control->overrides.HandleChangeControlValue)
        return control->overrides.HandleChangeControlValue(control, value);
    return IOUserAudioBooleanControlHandleChangeControlValue_super(control, value);
}
