// SPDX-License-Identifier: MIT
// Controls and custom properties of a device, for programs with a host inside.

#include <dextral/host_controls.h>

#include "audio/clock_device.h"
#include "audio/control_value.h"
#include "audio/custom_property.h"
#include "audio/entry.h"
#include "core/text.h"

#include <dextral/IOUserAudioBooleanControl.h>
#include <dextral/IOUserAudioLevelControl.h>
#include <dextral/IOUserAudioSliderControl.h>
#include <dextral/IOUserAudioStereoPanControl.h>

#include <stdlib.h>
#include <string.h>

/*
 * What is only looked at is read where the caller stands: a device that was retained, a list under its lock, values
 * without one.  What reaches the driver's code runs on its queue, where neither driver nor device can go, and without
 * the entry's lock.
 */

#define MAX_CONTROLS 1024u          // a device has no more
#define MAX_CUSTOM_PROPERTIES 1024u // the same

/* ---- finding ---- */

/* The control that `index` or, where it is given, `key` says; +1 or NULL. */
static IOUserAudioControl *
copy_control(IOUserAudioDevice *object, const char *key, uint32_t index)
{
    IOUserAudioControl *list[MAX_CONTROLS];
    IOUserAudioControl *found = NULL;
    uint32_t count = dx_clock_device_copy_controls((IOUserAudioClockDevice *)object, list, MAX_CONTROLS);
    count = count < MAX_CONTROLS ? count : MAX_CONTROLS;
    for (uint32_t i = 0; i < count; i++) {
        struct dx_control_identity identity;
        bool is_it = !found && dx_control_get_identity(list[i], &identity);
        if (is_it && key) {
            char its_key[DX_CONTROL_KEY_BYTES];
            dx_control_write_key(&identity, its_key);
            is_it = strcmp(key, its_key) == 0;
        } else {
            is_it = is_it && i == index;
        }
        if (is_it)
            found = list[i];
        else
            OSObjectRelease(list[i]);
    }
    return found;
}

static bool
is_same_address(IOUserAudioObjectPropertyAddress a, IOUserAudioObjectPropertyAddress b)
{
    return a.mSelector == b.mSelector && a.mScope == b.mScope && a.mElement == b.mElement;
}

/* The same for a custom property. */
static IOUserAudioCustomProperty *
copy_custom_property(IOUserAudioDevice *object, const IOUserAudioObjectPropertyAddress *address, uint32_t index)
{
    IOUserAudioCustomProperty *list[MAX_CUSTOM_PROPERTIES];
    IOUserAudioCustomProperty *found = NULL;
    uint32_t count = dx_object_copy_custom_properties((IOUserAudioObject *)object, list, MAX_CUSTOM_PROPERTIES);
    count = count < MAX_CUSTOM_PROPERTIES ? count : MAX_CUSTOM_PROPERTIES;
    for (uint32_t i = 0; i < count; i++) {
        const bool is_it =
            !found && (address ? is_same_address(dx_custom_property_address(list[i]), *address) : i == index);
        if (is_it)
            found = list[i];
        else
            OSObjectRelease(list[i]);
    }
    return found;
}

/* ---- looking ---- */

static void
write_name(char name[DX_CONTROL_NAME_BYTES], const OSString *text)
{
    dx_copy_text(name, DX_CONTROL_NAME_BYTES, text ? OSStringGetCStringNoCopy(text) : "");
}

static void
describe_level(IOUserAudioControlPtr control, dx_control_info *info)
{
    const IOUserAudioLevelControlRange range = IOUserAudioLevelControlGetRange(control);
    info->decibels = IOUserAudioLevelControlGetDecibelValue(control);
    info->decibels_min = range.m_min;
    info->decibels_max = range.m_max;
    info->scalar = IOUserAudioLevelControlGetScalarValue(control);
}

static void
describe_value(IOUserAudioControlPtr control, dx_control_info *info)
{
    switch (info->kind) {
    case DX_CONTROL_BOOLEAN:
        info->is_on = IOUserAudioBooleanControlGetControlValue(control);
        break;
    case DX_CONTROL_SLIDER:
        info->number = IOUserAudioSliderControlGetControlValue(control);
        info->number_min = IOUserAudioSliderControlGetRange(control).m_min;
        info->number_max = IOUserAudioSliderControlGetRange(control).m_max;
        break;
    case DX_CONTROL_LEVEL:
        describe_level(control, info);
        break;
    case DX_CONTROL_SELECTOR:
        info->item_count = (uint32_t)IOUserAudioSelectorControlGetControlValuesCount(control);
        info->selected_count = (uint32_t)IOUserAudioSelectorControlGetCurrentSelectedValues(
            control, info->selected, DX_MAX_SELECTED_VALUES);
        break;
    case DX_CONTROL_STEREO_PAN:
        info->position = IOUserAudioStereoPanControlGetControlValue(control);
        (void)IOUserAudioStereoPanControlGetPanningChannels(control, &info->left_element,
                                                            &info->right_element); // it is one
        break;
    }
}

static void
describe(IOUserAudioControl *control, dx_control_info *ret_info)
{
    struct dx_control_identity identity;
    memset(ret_info, 0, sizeof *ret_info);
    ret_info->size = sizeof *ret_info;
    (void)dx_control_get_identity(control, &identity); // it was found by it
    ret_info->kind = identity.kind;
    ret_info->object = IOUserAudioObjectGetObjectID(control);
    ret_info->class_id = identity.class_id;
    ret_info->scope = identity.scope;
    ret_info->element = identity.element;
    ret_info->is_settable = identity.is_settable;
    dx_control_write_key(&identity, ret_info->key);
    OSString *const name = IOUserAudioObjectGetName(control);
    write_name(ret_info->name, name);
    OSObjectRelease(name);
    describe_value(control, ret_info);
}

static kern_return_t
get_control(dx_device *device, const char *key, uint32_t index, dx_control_info *ret_info)
{
    IOUserAudioDevice *const object = dx_entry_copy_object(device);
    if (!object)
        return kIOReturnNoDevice;
    IOUserAudioControl *const control = copy_control(object, key, index);
    const kern_return_t status = control ? kIOReturnSuccess : kIOReturnNotFound;
    if (control)
        describe(control, ret_info);
    OSObjectRelease(control);
    OSObjectRelease(object);
    return status;
}

kern_return_t
dx_entry_get_control_at(dx_device *device, uint32_t index, dx_control_info *ret_info)
{
    return get_control(device, NULL, index, ret_info);
}

kern_return_t
dx_entry_get_control(dx_device *device, const char *key, dx_control_info *ret_info)
{
    return get_control(device, key, 0, ret_info);
}

static bool
is_selector(IOUserAudioControl *control)
{
    struct dx_control_identity identity;
    return dx_control_get_identity(control, &identity) && identity.kind == DX_CONTROL_SELECTOR;
}

/* All items of a selector, to be given to free_items(). */
static kern_return_t
copy_items(IOUserAudioControlPtr control, IOUserAudioSelectorValueDescription **ret_items, size_t *ret_count)
{
    IOUserAudioSelectorValueDescription *const items = calloc(DX_MAX_SELECTOR_ITEMS, sizeof *items);
    if (!items)
        return kIOReturnNoMemory;
    *ret_count = IOUserAudioSelectorControlGetControlValueDescriptions(control, items, DX_MAX_SELECTOR_ITEMS);
    *ret_items = items;
    return kIOReturnSuccess;
}

static void
free_items(IOUserAudioSelectorValueDescription *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        OSObjectRelease(items[i].m_name);
    free(items);
}

static kern_return_t
get_items(IOUserAudioControlPtr control, dx_control_item *items, uint32_t capacity, uint32_t *ret_count)
{
    IOUserAudioSelectorValueDescription *descriptions;
    size_t count;
    const kern_return_t status = copy_items(control, &descriptions, &count);
    if (status != kIOReturnSuccess)
        return status;
    for (size_t i = 0; i < count && i < capacity; i++) {
        items[i].value = descriptions[i].m_value;
        write_name(items[i].name, descriptions[i].m_name);
    }
    free_items(descriptions, count);
    *ret_count = (uint32_t)count;
    return kIOReturnSuccess;
}

kern_return_t
dx_entry_get_control_items(dx_device *device, const char *key, dx_control_item *items, uint32_t capacity,
                           uint32_t *ret_count)
{
    IOUserAudioDevice *const object = dx_entry_copy_object(device);
    if (!object)
        return kIOReturnNoDevice;
    IOUserAudioControl *const control = copy_control(object, key, 0);
    kern_return_t status = control ? kIOReturnUnsupported : kIOReturnNotFound;
    if (control && is_selector(control))
        status = get_items(control, items, capacity, ret_count);
    OSObjectRelease(control);
    OSObjectRelease(object);
    return status;
}

/* ---- changing ---- */

/* The device's object while the caller is on its driver's queue, where it stays; NULL: no driver. */
static IOUserAudioDevice *
get_object_on_queue(struct dx_entry *entry)
{
    dx_mutex_lock(&entry->lock);
    IOUserAudioDevice *const object = dx_entry_is_on_queue(entry) ? entry->object : NULL;
    dx_mutex_unlock(&entry->lock);
    return object;
}

struct control_set {
    const char *key;
    dx_control_kind kind;
    OSObjectPtr value;     // in the form of audio/control_value.h; NULL: by ...
    const char *item_name; // ... this name
    kern_return_t status;
};

/* A selection of the one item that has a name; +1. */
static kern_return_t
copy_selection_of_item(IOUserAudioControlPtr control, const char *name, OSArray **ret_selection)
{
    IOUserAudioSelectorValueDescription *items;
    size_t count;
    const kern_return_t status = copy_items(control, &items, &count);
    if (status != kIOReturnSuccess)
        return status;
    IOUserAudioSelectorValue value = 0;
    size_t matches = 0;
    for (size_t i = 0; i < count; i++) {
        if (OSStringIsEqualToCString(items[i].m_name, name)) {
            value = items[i].m_value;
            matches++;
        }
    }
    free_items(items, count);
    if (matches != 1)
        return kIOReturnBadArgument;
    *ret_selection = dx_control_array_of_values(&value, 1);
    return *ret_selection ? kIOReturnSuccess : kIOReturnNoMemory;
}

static kern_return_t
set_item(IOUserAudioControl *control, const char *name)
{
    OSArray *selection = NULL;
    kern_return_t status = copy_selection_of_item(control, name, &selection);
    if (status == kIOReturnSuccess)
        status = dx_control_set_from_host(control, selection);
    OSObjectRelease(selection);
    return status;
}

/* On the driver's queue. */
static void
set_control(struct dx_entry *entry, void *argument)
{
    struct control_set *const set = argument;
    IOUserAudioDevice *const object = get_object_on_queue(entry);
    if (!object) {
        set->status = kIOReturnNoDevice;
        return;
    }
    IOUserAudioControl *const control = copy_control(object, set->key, 0);
    struct dx_control_identity identity;
    if (!dx_control_get_identity(control, &identity))
        set->status = kIOReturnNotFound;
    else if (identity.kind != set->kind)
        set->status = kIOReturnUnsupported;
    else if (!identity.is_settable)
        set->status = kIOReturnNotPermitted;
    else if (set->value)
        set->status = dx_control_set_from_host(control, set->value);
    else
        set->status = set_item(control, set->item_name);
    OSObjectRelease(control);
}

/* The form of audio/control_value.h, +1; NULL for an item, which only the driver can tell, and without memory. */
static OSObjectPtr
create_value(const struct dx_control_setting *setting)
{
    switch (setting->what) {
    case DX_SET_BOOLEAN:
        return OSObjectRetain(setting->is_on ? kOSBooleanTrue : kOSBooleanFalse);
    case DX_SET_NUMBER:
        return OSNumberCreate(setting->number, 32);
    case DX_SET_DECIBELS:
    case DX_SET_POSITION:
        return dx_control_number_of_float(setting->value);
    case DX_SET_SCALAR:
        return dx_control_dictionary_of_scalar(setting->value);
    case DX_SET_VALUES:
        return dx_control_array_of_values(setting->values, setting->value_count);
    case DX_SET_ITEM:
        break;
    }
    return NULL;
}

static dx_control_kind
kind_of_setting(const struct dx_control_setting *setting)
{
    switch (setting->what) {
    case DX_SET_BOOLEAN:
        return DX_CONTROL_BOOLEAN;
    case DX_SET_NUMBER:
        return DX_CONTROL_SLIDER;
    case DX_SET_DECIBELS:
    case DX_SET_SCALAR:
        return DX_CONTROL_LEVEL;
    case DX_SET_POSITION:
        return DX_CONTROL_STEREO_PAN;
    case DX_SET_VALUES:
    case DX_SET_ITEM:
        break;
    }
    return DX_CONTROL_SELECTOR;
}

kern_return_t
dx_entry_set_control(dx_device *device, const char *key, const struct dx_control_setting *setting)
{
    struct control_set set = {
        .key = key,
        .kind = kind_of_setting(setting),
        .value = create_value(setting),
        .item_name = setting->item,
        .status = kIOReturnNoMemory,
    };
    if (set.value || setting->what == DX_SET_ITEM)
        dx_entry_run(dx_entry_of(device), set_control, &set);
    OSObjectRelease(set.value);
    return set.status;
}

/* ---- custom properties ---- */

kern_return_t
dx_entry_get_custom_property_at(dx_device *device, uint32_t index, dx_custom_property_info *ret_info)
{
    IOUserAudioDevice *const object = dx_entry_copy_object(device);
    if (!object)
        return kIOReturnNoDevice;
    IOUserAudioCustomProperty *const property = copy_custom_property(object, NULL, index);
    if (property) {
        const IOUserAudioCustomPropertyInfo info = IOUserAudioCustomPropertyGetCustomPropertyInfo(property);
        *ret_info = (dx_custom_property_info){
            .size = sizeof *ret_info,
            .address = dx_custom_property_address(property),
            .qualifier_type = info.mQualifierDataType,
            .data_type = info.mPropertyDataType,
            .is_settable = dx_custom_property_is_settable(property),
        };
    }
    const kern_return_t status = property ? kIOReturnSuccess : kIOReturnNotFound;
    OSObjectRelease(property);
    OSObjectRelease(object);
    return status;
}

struct property_call {
    IOUserAudioObjectPropertyAddress address;
    OSObjectPtr qualifier;
    OSObjectPtr value; // the new one, or +1 the one that was asked for
    bool sets;
    kern_return_t status;
};

/* On the driver's queue. */
static void
call_property(struct dx_entry *entry, void *argument)
{
    struct property_call *const call = argument;
    IOUserAudioDevice *const object = get_object_on_queue(entry);
    if (!object) {
        call->status = kIOReturnNoDevice;
        return;
    }
    IOUserAudioCustomProperty *const property = copy_custom_property(object, &call->address, 0);
    if (!property)
        call->status = kIOReturnNotFound;
    else if (call->sets)
        call->status = dx_custom_property_set_value(property, call->qualifier, call->value);
    else
        call->status = dx_custom_property_copy_value(property, call->qualifier, &call->value);
    OSObjectRelease(property);
}

kern_return_t
dx_entry_copy_custom_property(dx_device *device, IOUserAudioObjectPropertyAddress address, OSObjectPtr qualifier,
                              OSObjectPtr *ret_value)
{
    struct property_call call = {.address = address, .qualifier = qualifier};
    dx_entry_run(dx_entry_of(device), call_property, &call);
    if (call.status == kIOReturnSuccess)
        *ret_value = call.value;
    return call.status;
}

kern_return_t
dx_entry_set_custom_property(dx_device *device, IOUserAudioObjectPropertyAddress address, OSObjectPtr qualifier,
                             OSObjectPtr value)
{
    struct property_call call = {.address = address, .qualifier = qualifier, .value = value, .sets = true};
    dx_entry_run(dx_entry_of(device), call_property, &call);
    return call.status;
}
