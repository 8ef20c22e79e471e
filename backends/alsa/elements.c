// SPDX-License-Identifier: MIT
// A device's controls as elements of an ALSA mixer.

#include "backends/alsa/elements.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Steps of a decibel, and of the way from left to right. */
#define STEPS 100.0
/* What a level may reach: more decibels than sound has, and few enough for ALSA's 32 bits. */
#define MOST_DECIBELS 1000000.0f

/* ---- names ---- */

/* What a control is called where the driver gave it no name, but for those that are the master's. */
static const struct {
    IOUserAudioClassID class_id;
    const char *name;
} class_names[] = {
    {IOUserAudioClassIDLFEVolumeControl, "LFE"},
    {IOUserAudioClassIDLFEMuteControl, "LFE"},
    {IOUserAudioClassIDSoloControl, "Solo"},
    {IOUserAudioClassIDJackControl, "Jack"},
    {IOUserAudioClassIDPhantomPowerControl, "Phantom Power"},
    {IOUserAudioClassIDPhaseInvertControl, "Phase Invert"},
    {IOUserAudioClassIDClipLightControl, "Clip"},
    {IOUserAudioClassIDTalkbackControl, "Talkback"},
    {IOUserAudioClassIDListenbackControl, "Listenback"},
    {IOUserAudioClassIDDataSourceControl, "Source"},
    {IOUserAudioClassIDDataDestinationControl, "Destination"},
    {IOUserAudioClassIDClockSourceControl, "Clock Source"},
    {IOUserAudioClassIDLineLevelControl, "Line Level"},
    {IOUserAudioClassIDHighPassFilterControl, "High Pass Filter"},
    {IOUserAudioClassIDStereoPanControl, "Pan"},
};

/* What mixers look for: the volume and the mute of all there is are those of "Master" and "Capture". */
static const char *
find_class_name(const dx_control_info *info)
{
    for (size_t i = 0; i < sizeof class_names / sizeof class_names[0]; i++)
        if (class_names[i].class_id == info->class_id)
            return class_names[i].name;
    return info->scope == IOUserAudioObjectPropertyScopeInput ? "Capture" : "Master";
}

/* Mixers tell by the last words what an element is. */
static const char *
find_function(const dx_control_info *info)
{
    switch (info->kind) {
    case DX_CONTROL_LEVEL:
        return " Volume";
    case DX_CONTROL_BOOLEAN:
        return " Switch";
    case DX_CONTROL_SELECTOR:
        return " Enum";
    case DX_CONTROL_SLIDER:
    case DX_CONTROL_STEREO_PAN:
        break;
    }
    return "";
}

static const char *
find_direction(const dx_control_info *info, const char *base)
{
    if (info->scope == IOUserAudioObjectPropertyScopeOutput)
        return " Playback";
    /* "Capture Volume", not "Capture Capture Volume". */
    if (info->scope == IOUserAudioObjectPropertyScopeInput && strcmp(base, "Capture") != 0)
        return " Capture";
    return "";
}

/* A name that says no more than the control's kind is as good as none. */
static bool
has_name(const dx_control_info *info)
{
    return *info->name && strcasecmp(info->name, "volume") != 0 && strcasecmp(info->name, "mute") != 0;
}

/* BASE [CHANNEL] [Playback|Capture] [FUNCTION]; what does not fit is cut from the base. */
static void
make_name(const dx_control_info *info, char name[DX_ALSA_ELEMENT_NAME_BYTES])
{
    const char *const base = has_name(info) ? info->name : find_class_name(info);
    char channel[16] = "";
    if (info->element && !has_name(info))
        (void)snprintf(channel, sizeof channel, " %u", info->element);
    char end[DX_ALSA_ELEMENT_NAME_BYTES];
    (void)snprintf(end, sizeof end, "%s%s%s", channel, find_direction(info, base), find_function(info)); // fits
    size_t length = strlen(base);
    const size_t most = DX_ALSA_ELEMENT_NAME_BYTES - 1u - strlen(end);
    if (length > most)
        for (length = most; length && ((unsigned char)base[length] & 0xC0u) == 0x80u;)
            length--; // not within a character
    memcpy(name, base, length);
    memcpy(name + length, end, strlen(end) + 1u);
}

static uint32_t
count_named(const struct dx_alsa_elements *elements, const char *name)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < elements->count; i++)
        count += strcmp(elements->list[i].name, name) == 0;
    return count;
}

/* ---- loading ---- */

static kern_return_t
load_items(dx_device *device, struct dx_alsa_element *element)
{
    const uint32_t count = element->info.item_count;
    element->info.item_count = 0;
    element->items = calloc(count ? count : 1u, sizeof *element->items);
    if (!element->items)
        return kIOReturnNoMemory;
    uint32_t there = 0;
    const kern_return_t status =
        dx_device_get_control_items(device, element->info.key, element->items, count, &there);
    if (status == kIOReturnSuccess)
        element->info.item_count = there < count ? there : count;
    return status == kIOReturnNoMemory ? status : kIOReturnSuccess; // gone meanwhile: there will be an event
}

static kern_return_t
add_element(dx_device *device, struct dx_alsa_elements *elements, const dx_control_info *info)
{
    struct dx_alsa_element *const list = realloc(elements->list, (elements->count + 1u) * sizeof *list);
    if (!list)
        return kIOReturnNoMemory;
    elements->list = list;
    struct dx_alsa_element *const element = &list[elements->count];
    *element = (struct dx_alsa_element){.info = *info};
    make_name(info, element->name);
    element->index = count_named(elements, element->name);
    elements->count++;
    return info->kind == DX_CONTROL_SELECTOR ? load_items(device, element) : kIOReturnSuccess;
}

/* Of several controls with one key the first counts. */
static bool
has_key(const struct dx_alsa_elements *elements, const char *key)
{
    for (uint32_t i = 0; i < elements->count; i++)
        if (strcmp(elements->list[i].info.key, key) == 0)
            return true;
    return false;
}

kern_return_t
dx_alsa_elements_load(dx_device *device, struct dx_alsa_elements *ret_elements)
{
    struct dx_alsa_elements elements = {NULL, 0};
    dx_control_info info = {.size = sizeof info};
    kern_return_t status = kIOReturnSuccess;
    for (uint32_t i = 0; status == kIOReturnSuccess; i++) {
        if (dx_device_get_control_at(device, i, &info) != kIOReturnSuccess)
            break; // there are no more
        if (!has_key(&elements, info.key))
            status = add_element(device, &elements, &info);
    }
    if (status == kIOReturnSuccess)
        *ret_elements = elements;
    else
        dx_alsa_elements_finish(&elements);
    return status;
}

void
dx_alsa_elements_finish(struct dx_alsa_elements *elements)
{
    for (uint32_t i = 0; i < elements->count; i++)
        free(elements->list[i].items);
    free(elements->list);
    *elements = (struct dx_alsa_elements){NULL, 0};
}

const struct dx_alsa_element *
dx_alsa_elements_find(const struct dx_alsa_elements *elements, const char *name, uint32_t index)
{
    for (uint32_t i = 0; i < elements->count; i++)
        if (elements->list[i].index == index && strcmp(elements->list[i].name, name) == 0)
            return &elements->list[i];
    return NULL;
}

/* ---- values ---- */

bool
dx_alsa_element_is_switch(const struct dx_alsa_element *element)
{
    return element->info.kind == DX_CONTROL_BOOLEAN;
}

bool
dx_alsa_element_is_choice(const struct dx_alsa_element *element)
{
    return element->info.kind == DX_CONTROL_SELECTOR;
}

bool
dx_alsa_element_is_level(const struct dx_alsa_element *element)
{
    const dx_control_info *const info = &element->info;
    return info->kind == DX_CONTROL_LEVEL && info->decibels_min >= -MOST_DECIBELS &&
           info->decibels_max <= MOST_DECIBELS;
}

/* A mute that is on is a switch that is off. */
static bool
is_inverted(const dx_control_info *info)
{
    return info->class_id == IOUserAudioClassIDMuteControl || info->class_id == IOUserAudioClassIDLFEMuteControl;
}

static long
cut_to_long(uint32_t number)
{
    const long long value = number;
    return value < LONG_MAX ? (long)value : LONG_MAX;
}

void
dx_alsa_element_get_range(const struct dx_alsa_element *element, long *ret_min, long *ret_max)
{
    const dx_control_info *const info = &element->info;
    *ret_min = 0;
    *ret_max = 1;
    if (dx_alsa_element_is_level(element))
        *ret_max = lround(((double)info->decibels_max - info->decibels_min) * STEPS);
    else if (info->kind == DX_CONTROL_LEVEL || info->kind == DX_CONTROL_STEREO_PAN)
        *ret_max = (long)STEPS; // of the scalar or the position
    if (info->kind == DX_CONTROL_SLIDER) {
        *ret_min = cut_to_long(info->number_min);
        *ret_max = cut_to_long(info->number_max);
    }
}

static long
find_item(const struct dx_alsa_element *element, const dx_control_info *info)
{
    if (info->selected_count)
        for (uint32_t i = 0; i < element->info.item_count; i++)
            if (element->items[i].value == info->selected[0])
                return (long)i;
    return 0;
}

long
dx_alsa_element_get_value(const struct dx_alsa_element *element, const dx_control_info *info)
{
    switch (info->kind) {
    case DX_CONTROL_BOOLEAN:
        return info->is_on != is_inverted(info);
    case DX_CONTROL_SLIDER:
        return cut_to_long(info->number);
    case DX_CONTROL_LEVEL:
        return dx_alsa_element_is_level(element)
                   ? lround(((double)info->decibels - element->info.decibels_min) * STEPS)
                   : lround((double)info->scalar * STEPS);
    case DX_CONTROL_SELECTOR:
        return find_item(element, info);
    case DX_CONTROL_STEREO_PAN:
        return lround((double)info->position * STEPS);
    }
    return 0;
}

static kern_return_t
set_level(const struct dx_alsa_element *element, dx_device *device, long value)
{
    const dx_control_info *const info = &element->info;
    if (!dx_alsa_element_is_level(element))
        return dx_device_set_control_scalar(device, info->key, (float)((double)value / STEPS));
    /* The last step ends with the range, where that is no multiple of a step. */
    const float decibels = (float)(info->decibels_min + (double)value / STEPS);
    return dx_device_set_control_decibels(device, info->key,
                                          decibels < info->decibels_max ? decibels : info->decibels_max);
}

kern_return_t
dx_alsa_element_set_value(const struct dx_alsa_element *element, dx_device *device, long value)
{
    const dx_control_info *const info = &element->info;
    if (info->kind == DX_CONTROL_SELECTOR) {
        if (value < 0 || value >= (long)info->item_count)
            return kIOReturnBadArgument;
        return dx_device_set_control_values(device, info->key, &element->items[value].value, 1);
    }
    long min, max;
    dx_alsa_element_get_range(element, &min, &max);
    value = value < min ? min : value > max ? max : value;
    switch (info->kind) {
    case DX_CONTROL_BOOLEAN:
        return dx_device_set_control_boolean(device, info->key, (value != 0) != is_inverted(info));
    case DX_CONTROL_SLIDER:
        return dx_device_set_control_number(device, info->key, (uint32_t)value);
    case DX_CONTROL_LEVEL:
        return set_level(element, device, value);
    case DX_CONTROL_STEREO_PAN:
        return dx_device_set_control_position(device, info->key, (float)((double)value / STEPS));
    case DX_CONTROL_SELECTOR:
        break;
    }
    return kIOReturnUnsupported;
}
