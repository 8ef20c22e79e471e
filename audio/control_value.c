// SPDX-License-Identifier: MIT
// Controls as the host sees them.

#include "audio/control_value.h"

#include <dextral/IOUserAudioBooleanControl.h>
#include <dextral/IOUserAudioLevelControl.h>
#include <dextral/IOUserAudioSliderControl.h>
#include <dextral/IOUserAudioStereoPanControl.h>

#include <stdio.h>

#define SCALAR_KEY "scalar"

bool
dx_control_get_identity(IOUserAudioControlPtr control, struct dx_control_identity *ret_identity)
{
    if (!dx_audio_object_is(control, &dx_control_class))
        return false;
    const struct IOUserAudioControl *const self = control;
    *ret_identity = (struct dx_control_identity){
        .kind = self->kind,
        .class_id = self->object.class_id,
        .scope = self->scope,
        .element = self->element,
        .is_settable = self->is_settable,
    };
    return true;
}

static void
write_code(char text[5], uint32_t code)
{
    for (int i = 0; i < 4; i++) {
        const char c = (char)(code >> (24 - 8 * i));
        text[i] = c >= ' ' && c <= '~' ? c : '?';
    }
    text[4] = '\0';
}

void
dx_control_write_key(const struct dx_control_identity *identity, char ret_key[DX_CONTROL_KEY_BYTES])
{
    char class_id[5];
    char scope[5];
    write_code(class_id, identity->class_id);
    write_code(scope, identity->scope);
    (void)snprintf(ret_key, DX_CONTROL_KEY_BYTES, "%s/%s/%u", class_id, scope, identity->element); // always fits
}

OSNumber *
dx_control_number_of_float(float value)
{
    return OSNumberCreate(dx_bits_of_float(value), 32);
}

OSDictionary *
dx_control_dictionary_of_scalar(float scalar)
{
    OSNumber *const number = dx_control_number_of_float(scalar);
    OSDictionary *dictionary = OSDictionaryCreate(1);
    if (!number || !dictionary || !OSDictionarySetObject(dictionary, SCALAR_KEY, number))
        OSSafeReleaseNULL(dictionary);
    OSObjectRelease(number);
    return dictionary;
}

/* A number that was made with 32 bits; a wider one, cut off, would be another value. */
static bool
read_u32(OSObjectPtr object, uint32_t *ret_value)
{
    const OSNumber *const number = OSDynamicCast(OSNumber, object);
    if (!number || OSNumberGetNumberOfBits(number) != 32)
        return false;
    *ret_value = OSNumberGetUInt32Value(number);
    return true;
}

bool
dx_control_float_of_number(OSObjectPtr number, float *ret_value)
{
    uint32_t bits;
    if (!read_u32(number, &bits))
        return false;
    *ret_value = dx_float_of_bits(bits);
    return true;
}

/* One function for each kind, on the work queue: checks the form and the range, and asks the driver.  Written so
 * that a NaN is out of every range. */

static kern_return_t
change_boolean(IOUserAudioControlPtr control, OSObjectPtr value)
{
    const OSBoolean *const boolean = OSDynamicCast(OSBoolean, value);
    if (!boolean)
        return kIOReturnBadArgument;
    return IOUserAudioBooleanControlHandleChangeControlValue(control, OSBooleanGetValue(boolean));
}

static kern_return_t
change_slider(IOUserAudioControlPtr control, OSObjectPtr value)
{
    const IOUserAudioSliderRange range = IOUserAudioSliderControlGetRange(control);
    uint32_t wanted;
    if (!read_u32(value, &wanted) || wanted < range.m_min || wanted > range.m_max)
        return kIOReturnBadArgument;
    return IOUserAudioSliderControlHandleChangeControlValue(control, wanted);
}

static kern_return_t
change_level(IOUserAudioControlPtr control, OSObjectPtr value)
{
    float wanted;
    const OSDictionary *const dictionary = OSDynamicCast(OSDictionary, value);
    if (dictionary) {
        if (!dx_control_float_of_number(OSDictionaryGetObject(dictionary, SCALAR_KEY), &wanted) ||
            !(wanted >= 0.0f && wanted <= 1.0f))
            return kIOReturnBadArgument;
        return IOUserAudioLevelControlHandleChangeScalarValue(control, wanted);
    }
    const IOUserAudioLevelControlRange range = IOUserAudioLevelControlGetRange(control);
    if (!dx_control_float_of_number(value, &wanted) || !(wanted >= range.m_min && wanted <= range.m_max))
        return kIOReturnBadArgument;
    return IOUserAudioLevelControlHandleChangeDecibelValue(control, wanted);
}

static kern_return_t
change_selector(IOUserAudioControlPtr control, OSObjectPtr value)
{
    const OSArray *const array = OSDynamicCast(OSArray, value);
    if (!array)
        return kIOReturnBadArgument;
    const size_t count = OSArrayGetCount(array);
    if (count > DX_MAX_SELECTED_VALUES)
        return kIOReturnNoSpace;
    IOUserAudioSelectorValue wanted[DX_MAX_SELECTED_VALUES];
    for (size_t i = 0; i < count; i++)
        if (!read_u32(OSArrayGetObject(array, i), &wanted[i]))
            return kIOReturnBadArgument;
    const kern_return_t status = dx_selector_check_from_host(control, wanted, count);
    if (status != kIOReturnSuccess)
        return status;
    return IOUserAudioSelectorControlHandleChangeSelectedValues(control, wanted, count);
}

static kern_return_t
change_stereo_pan(IOUserAudioControlPtr control, OSObjectPtr value)
{
    float wanted;
    if (!dx_control_float_of_number(value, &wanted) || !(wanted >= 0.0f && wanted <= 1.0f))
        return kIOReturnBadArgument;
    return IOUserAudioStereoPanControlHandleChangeControlValue(control, wanted);
}

static kern_return_t
change(IOUserAudioObject *object, void *value)
{
    switch (((struct IOUserAudioControl *)object)->kind) {
    case DX_CONTROL_BOOLEAN:
        return change_boolean(object, value);
    case DX_CONTROL_SLIDER:
        return change_slider(object, value);
    case DX_CONTROL_LEVEL:
        return change_level(object, value);
    case DX_CONTROL_SELECTOR:
        return change_selector(object, value);
    case DX_CONTROL_STEREO_PAN:
        return change_stereo_pan(object, value);
    }
    return kIOReturnInternalError;
}

kern_return_t
dx_control_set_from_host(IOUserAudioControlPtr control, OSObjectPtr value)
{
    if (!dx_audio_object_is(control, &dx_control_class))
        return kIOReturnBadArgument;
    if (!((struct IOUserAudioControl *)control)->is_settable)
        return kIOReturnNotPermitted;
    return dx_object_run(control, change, value);
}

OSArray *
dx_control_array_of_values(const IOUserAudioSelectorValue *values, size_t count)
{
    OSArray *array = OSArrayCreate(count);
    for (size_t i = 0; array && i < count; i++) {
        OSNumber *const number = OSNumberCreate(values[i], 32);
        if (!number || !OSArraySetObject(array, number))
            OSSafeReleaseNULL(array);
        OSObjectRelease(number);
    }
    return array;
}

static OSArray *
copy_selection(IOUserAudioControlPtr control)
{
    IOUserAudioSelectorValue values[DX_MAX_SELECTED_VALUES];
    const size_t count =
        IOUserAudioSelectorControlGetCurrentSelectedValues(control, values, DX_MAX_SELECTED_VALUES);
    return dx_control_array_of_values(values, count);
}

OSObjectPtr
dx_control_copy_value(IOUserAudioControlPtr control)
{
    if (!dx_audio_object_is(control, &dx_control_class))
        return NULL;
    switch (((const struct IOUserAudioControl *)control)->kind) {
    case DX_CONTROL_BOOLEAN:
        return OSObjectRetain(IOUserAudioBooleanControlGetControlValue(control) ? kOSBooleanTrue
                                                                                : kOSBooleanFalse);
    case DX_CONTROL_SLIDER:
        return OSNumberCreate(IOUserAudioSliderControlGetControlValue(control), 32);
    case DX_CONTROL_LEVEL:
        return dx_control_number_of_float(IOUserAudioLevelControlGetDecibelValue(control));
    case DX_CONTROL_SELECTOR:
        return copy_selection(control);
    case DX_CONTROL_STEREO_PAN:
        return dx_control_number_of_float(IOUserAudioStereoPanControlGetControlValue(control));
    }
    return NULL;
}
