// SPDX-License-Identifier: MIT
// A control with a whole number in a range.

#include <dextral/IOUserAudioSliderControl.h>

#include "audio/control.h"

struct IOUserAudioSliderControl {
    struct IOUserAudioControl control;
    IOUserAudioSliderControlOverrides overrides; // fixed by init

    /* Written on the work queue, the value always within the range that is written with it. */
    _Atomic uint32_t value;
    _Atomic uint64_t range; // m_min, m_max
};

static uint32_t
clamp(uint32_t value, IOUserAudioSliderRange range)
{
    return value < range.m_min ? range.m_min : value > range.m_max ? range.m_max : value;
}

static void
free_slider(OSObjectPtr object)
{
    struct IOUserAudioSliderControl *const self = object;
    if (self->overrides.free)
        self->overrides.free(self);
    else
        IOUserAudioSliderControlFree_super(self);
}

static const OSMetaClass slider_class = {
    .name = "IOUserAudioSliderControl",
    .super = &dx_control_class,
    .instance_bytes = sizeof(struct IOUserAudioSliderControl),
    .free = free_slider,
};
const OSMetaClass *const gIOUserAudioSliderControlMetaClass = &slider_class;

void
IOUserAudioSliderControlFree_super(IOUserAudioSliderControl *control)
{
    if (control)
        dx_audio_object_free(control);
}

IOUserAudioSliderControl *
IOUserAudioSliderControlAlloc(void)
{
    return dx_audio_object_alloc(&slider_class);
}

kern_return_t
IOUserAudioSliderControlSetOverrides(IOUserAudioSliderControl *control,
                                     const IOUserAudioSliderControlOverrides *overrides)
{
    return dx_overrides_set(control, &slider_class, control ? &control->overrides : NULL,
                            sizeof control->overrides, overrides);
}

bool
IOUserAudioSliderControlInit_super(IOUserAudioSliderControl *control, IOUserAudioDriver *driver,
                                   bool is_settable, uint32_t control_value, IOUserAudioSliderRange range,
                                   IOUserAudioObjectPropertyElement element,
                                   IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id)
{
    if (!dx_overrides_may_set(control, &slider_class))
        return false;
    if (range.m_min > range.m_max)
        return false;
    /* relaxed: dx_control_init() publishes them. */
    atomic_store_explicit(&control->value, clamp(control_value, range), memory_order_relaxed);
    dx_store_pair(&control->range, range.m_min, range.m_max);
    return dx_control_init(control, driver, DX_CONTROL_SLIDER, is_settable, element, scope, class_id);
}

bool
IOUserAudioSliderControlInit(IOUserAudioSliderControl *control, IOUserAudioDriver *driver, bool is_settable,
                             uint32_t control_value, IOUserAudioSliderRange range,
                             IOUserAudioObjectPropertyElement element, IOUserAudioObjectPropertyScope scope,
                             IOUserAudioClassID class_id)
{
    if (!dx_overrides_may_set(control, &slider_class))
        return false;
    if (control->overrides.init)
        return control->overrides.init(control, driver, is_settable, control_value, range, element, scope,
                                       class_id);
    return IOUserAudioSliderControlInit_super(control, driver, is_settable, control_value, range, element,
                                              scope, class_id);
}

IOUserAudioSliderControl *
IOUserAudioSliderControlCreate(IOUserAudioDriver *driver, bool is_settable, uint32_t control_value,
                               IOUserAudioSliderRange range, IOUserAudioObjectPropertyElement element,
                               IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id)
{
    IOUserAudioSliderControl *control = IOUserAudioSliderControlAlloc();
    if (control && !IOUserAudioSliderControlInit(control, driver, is_settable, control_value, range, element,
                                                 scope, class_id))
        OSSafeReleaseNULL(control);
    return control;
}

static IOUserAudioSliderRange
load_range(const IOUserAudioSliderControl *control)
{
    const struct dx_pair bounds = dx_load_pair(&control->range);
    return (IOUserAudioSliderRange){bounds.first, bounds.second};
}

/* Stores a range and a value moved into it, and notifies of what differs.  On the work queue. */
static void
store(IOUserAudioSliderControl *control, uint32_t value, IOUserAudioSliderRange range)
{
    IOUserAudioObjectPropertySelector changed[2];
    uint32_t count = 0;

    const IOUserAudioSliderRange range_before = load_range(control);
    if (range.m_min != range_before.m_min || range.m_max != range_before.m_max) {
        dx_store_pair(&control->range, range.m_min, range.m_max);
        changed[count++] = kIOUserAudioPropertySliderControlRange;
    }
    const uint32_t clamped = clamp(value, range);
    if (clamped != dx_object_get_u32(&control->value)) {
        /* relaxed: a value of its own. */
        atomic_store_explicit(&control->value, clamped, memory_order_relaxed);
        changed[count++] = kIOUserAudioPropertySliderControlValue;
    }
    dx_control_notify(control, changed, count);
}

static kern_return_t
set_value(IOUserAudioObject *object, void *argument)
{
    IOUserAudioSliderControl *const control = (IOUserAudioSliderControl *)object;
    const uint32_t *const value = argument;
    store(control, *value, load_range(control));
    return kIOReturnSuccess;
}

static kern_return_t
set_range(IOUserAudioObject *object, void *argument)
{
    IOUserAudioSliderControl *const control = (IOUserAudioSliderControl *)object;
    const IOUserAudioSliderRange *const range = argument;
    store(control, dx_object_get_u32(&control->value), *range);
    return kIOReturnSuccess;
}

kern_return_t
IOUserAudioSliderControlSetControlValue(IOUserAudioSliderControl *control, uint32_t value)
{
    if (!dx_audio_object_is(control, &slider_class))
        return kIOReturnBadArgument;
    return dx_object_run(&control->control.object, set_value, &value);
}

uint32_t
IOUserAudioSliderControlGetControlValue(IOUserAudioSliderControl *control)
{
    return dx_audio_object_is(control, &slider_class) ? dx_object_get_u32(&control->value) : 0;
}

kern_return_t
IOUserAudioSliderControlSetRange(IOUserAudioSliderControl *control, IOUserAudioSliderRange range)
{
    if (!dx_audio_object_is(control, &slider_class) || range.m_min > range.m_max)
        return kIOReturnBadArgument;
    return dx_object_run(&control->control.object, set_range, &range);
}

IOUserAudioSliderRange
IOUserAudioSliderControlGetRange(IOUserAudioSliderControl *control)
{
    if (!dx_audio_object_is(control, &slider_class))
        return (IOUserAudioSliderRange){0, 0};
    return load_range(control);
}

kern_return_t
IOUserAudioSliderControlHandleChangeControlValue_super(IOUserAudioSliderControl *control, uint32_t value)
{
    return IOUserAudioSliderControlSetControlValue(control, value);
}

kern_return_t
IOUserAudioSliderControlHandleChangeControlValue(IOUserAudioSliderControl *control, uint32_t value)
{
    if (!dx_audio_object_is(control, &slider_class))
        return kIOReturnBadArgument;
    if (control->overrides.HandleChangeControlValue)
        return control->overrides.HandleChangeControlValue(control, value);
    return IOUserAudioSliderControlHandleChangeControlValue_super(control, value);
}
