// SPDX-License-Identifier: MIT
// A control with a level in decibels.

#include <dextral/IOUserAudioLevelControl.h>

#include "audio/control.h"

#include <math.h>

/*
 * The level is kept in decibels; the scalar is a linear map of them over the range, worked out by the setters
 * and stored beside them, so that a reader on the IO thread loads one word and never pairs a level with the
 * range of another moment.
 */
struct IOUserAudioLevelControl {
    struct IOUserAudioControl control;
    IOUserAudioLevelControlOverrides overrides; // fixed by init

    /* Written on the work queue; floats as their bits. */
    _Atomic uint32_t decibels;
    _Atomic uint32_t scalar;
    _Atomic uint64_t range; // m_min, m_max
};

static bool
is_range(IOUserAudioLevelControlRange range)
{
    return isfinite(range.m_min) && isfinite(range.m_max) && range.m_min <= range.m_max;
}

static float
clamp(float decibels, IOUserAudioLevelControlRange range)
{
    return decibels < range.m_min ? range.m_min : decibels > range.m_max ? range.m_max : decibels;
}

/* The double keeps the ends exact and the middle within half a unit of the float's last place. */
static float
scalar_of(float decibels, IOUserAudioLevelControlRange range)
{
    const double span = (double)range.m_max - range.m_min;
    return span > 0.0 ? (float)(((double)decibels - range.m_min) / span) : 0.0f;
}

static float
decibels_of(float scalar, IOUserAudioLevelControlRange range)
{
    if (scalar <= 0.0f)
        return range.m_min;
    if (scalar >= 1.0f)
        return range.m_max;
    return clamp((float)(range.m_min + scalar * ((double)range.m_max - range.m_min)), range);
}

static void
store_level(IOUserAudioLevelControl *control, float decibels, IOUserAudioLevelControlRange range)
{
    dx_store_pair(&control->range, dx_bits_of_float(range.m_min), dx_bits_of_float(range.m_max));
    dx_store_float(&control->decibels, decibels);
    dx_store_float(&control->scalar, scalar_of(decibels, range));
}

static void
free_level(OSObjectPtr object)
{
    struct IOUserAudioLevelControl *const self = object;
    if (self->overrides.free)
        self->overrides.free(self);
    else
        IOUserAudioLevelControlFree_super(self);
}

static const OSMetaClass level_class = {
    .name = "IOUserAudioLevelControl",
    .super = &dx_control_class,
    .instance_bytes = sizeof(struct IOUserAudioLevelControl),
    .free = free_level,
};
const OSMetaClass *const gIOUserAudioLevelControlMetaClass = &level_class;

void
IOUserAudioLevelControlFree_super(IOUserAudioLevelControl *control)
{
    if (control)
        dx_audio_object_free(control);
}

IOUserAudioLevelControl *
IOUserAudioLevelControlAlloc(void)
{
    return dx_audio_object_alloc(&level_class);
}

kern_return_t
IOUserAudioLevelControlSetOverrides(IOUserAudioLevelControl *control,
                                    const IOUserAudioLevelControlOverrides *overrides)
{
    return dx_overrides_set(control, &level_class, control ? &control->overrides : NULL,
                            sizeof control->overrides, overrides);
}

bool
IOUserAudioLevelControlInit_super(IOUserAudioLevelControl *control, IOUserAudioDriver *driver, bool is_settable,
                                  float decibel_value, IOUserAudioLevelControlRange range,
                                  IOUserAudioObjectPropertyElement element,
                                  IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id)
{
    if (!dx_overrides_may_set(control, &level_class))
        return false;
    if (!is_range(range) || isnan(decibel_value))
        return false;
    store_level(control, clamp(decibel_value, range), range);
    return dx_control_init(control, driver, DX_CONTROL_LEVEL, is_settable, element, scope, class_id);
}

bool
IOUserAudioLevelControlInit(IOUserAudioLevelControl *control, IOUserAudioDriver *driver, bool is_settable,
                            float decibel_value, IOUserAudioLevelControlRange range,
                            IOUserAudioObjectPropertyElement element, IOUserAudioObjectPropertyScope scope,
                            IOUserAudioClassID class_id)
{
    if (!dx_overrides_may_set(control, &level_class))
        return false;
    if (control->overrides.init)
        return control->overrides.init(control, driver, is_settable, decibel_value, range, element, scope,
                                       class_id);
    return IOUserAudioLevelControlInit_super(control, driver, is_settable, decibel_value, range, element, scope,
                                             class_id);
}

IOUserAudioLevelControl *
IOUserAudioLevelControlCreate(IOUserAudioDriver *driver, bool is_settable, float decibel_value,
                              IOUserAudioLevelControlRange range, IOUserAudioObjectPropertyElement element,
                              IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id)
{
    IOUserAudioLevelControl *control = IOUserAudioLevelControlAlloc();
    if (control && !IOUserAudioLevelControlInit(control, driver, is_settable, decibel_value, range, element,
                                                scope, class_id))
        OSSafeReleaseNULL(control);
    return control;
}

static DX_REALTIME IOUserAudioLevelControlRange
load_range(const IOUserAudioLevelControl *control)
{
    const struct dx_pair bounds = dx_load_pair(&control->range);
    return (IOUserAudioLevelControlRange){dx_float_of_bits(bounds.first), dx_float_of_bits(bounds.second)};
}

/* Stores a range and a level moved into it, and notifies of what differs.  On the work queue. */
static void
change_level(IOUserAudioLevelControl *control, float decibels, IOUserAudioLevelControlRange range)
{
    IOUserAudioObjectPropertySelector changed[3];
    uint32_t count = 0;

    const IOUserAudioLevelControlRange range_before = load_range(control);
    const float decibels_before = dx_load_float(&control->decibels);
    const float scalar_before = dx_load_float(&control->scalar);
    store_level(control, clamp(decibels, range), range);

    if (range.m_min != range_before.m_min || range.m_max != range_before.m_max)
        changed[count++] = kIOUserAudioPropertyLevelControlDecibelRange;
    const bool is_moved = dx_load_float(&control->decibels) != decibels_before;
    if (is_moved)
        changed[count++] = kIOUserAudioPropertyLevelControlDecibelValue;
    if (is_moved || dx_load_float(&control->scalar) != scalar_before)
        changed[count++] = kIOUserAudioPropertyLevelControlScalarValue;
    dx_control_notify(control, changed, count);
}

static kern_return_t
set_decibels(IOUserAudioObject *object, void *argument)
{
    IOUserAudioLevelControl *const control = (IOUserAudioLevelControl *)object;
    const float *const decibels = argument;
    change_level(control, *decibels, load_range(control));
    return kIOReturnSuccess;
}

static kern_return_t
set_scalar(IOUserAudioObject *object, void *argument)
{
    IOUserAudioLevelControl *const control = (IOUserAudioLevelControl *)object;
    const float *const scalar = argument;
    const IOUserAudioLevelControlRange range = load_range(control);
    change_level(control, decibels_of(*scalar, range), range);
    return kIOReturnSuccess;
}

static kern_return_t
set_range(IOUserAudioObject *object, void *argument)
{
    IOUserAudioLevelControl *const control = (IOUserAudioLevelControl *)object;
    const IOUserAudioLevelControlRange *const range = argument;
    change_level(control, dx_load_float(&control->decibels), *range);
    return kIOReturnSuccess;
}

kern_return_t
IOUserAudioLevelControlSetDecibelValue(IOUserAudioLevelControl *control, float decibels)
{
    if (!dx_audio_object_is(control, &level_class) || isnan(decibels))
        return kIOReturnBadArgument;
    return dx_object_run(&control->control.object, set_decibels, &decibels);
}

float
IOUserAudioLevelControlGetDecibelValue(IOUserAudioLevelControl *control)
{
    return dx_audio_object_is(control, &level_class) ? dx_load_float(&control->decibels) : 0.0f;
}

kern_return_t
IOUserAudioLevelControlSetScalarValue(IOUserAudioLevelControl *control, float scalar)
{
    if (!dx_audio_object_is(control, &level_class) || isnan(scalar))
        return kIOReturnBadArgument;
    return dx_object_run(&control->control.object, set_scalar, &scalar);
}

float
IOUserAudioLevelControlGetScalarValue(IOUserAudioLevelControl *control)
{
    return dx_audio_object_is(control, &level_class) ? dx_load_float(&control->scalar) : 0.0f;
}

kern_return_t
IOUserAudioLevelControlSetRange(IOUserAudioLevelControl *control, IOUserAudioLevelControlRange range)
{
    if (!dx_audio_object_is(control, &level_class) || !is_range(range))
        return kIOReturnBadArgument;
    return dx_object_run(&control->control.object, set_range, &range);
}

IOUserAudioLevelControlRange
IOUserAudioLevelControlGetRange(IOUserAudioLevelControl *control)
{
    if (!dx_audio_object_is(control, &level_class))
        return (IOUserAudioLevelControlRange){0.0f, 0.0f};
    return load_range(control);
}

kern_return_t
IOUserAudioLevelControlHandleChangeDecibelValue_super(IOUserAudioLevelControl *control, float decibels)
{
    return IOUserAudioLevelControlSetDecibelValue(control, decibels);
}

kern_return_t
IOUserAudioLevelControlHandleChangeDecibelValue(IOUserAudioLevelControl *control, float decibels)
{
    if (!dx_audio_object_is(control, &level_class))
        return kIOReturnBadArgument;
    if (control->overrides.HandleChangeDecibelValue)
        return control->overrides.HandleChangeDecibelValue(control, decibels);
    return IOUserAudioLevelControlHandleChangeDecibelValue_super(control, decibels);
}

kern_return_t
IOUserAudioLevelControlHandleChangeScalarValue_super(IOUserAudioLevelControl *control, float scalar)
{
    return IOUserAudioLevelControlSetScalarValue(control, scalar);
}

kern_return_t
IOUserAudioLevelControlHandleChangeScalarValue(IOUserAudioLevelControl *control, float scalar)
{
    if (!dx_audio_object_is(control, &level_class))
        return kIOReturnBadArgument;
    if (control->overrides.HandleChangeScalarValue)
        return control->overrides.HandleChangeScalarValue(control, scalar);
    return IOUserAudioLevelControlHandleChangeScalarValue_super(control, scalar);
}
