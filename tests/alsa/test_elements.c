// SPDX-License-Identifier: MIT
// Controls as elements of a mixer: what they are called, what numbers they have, and what a number sets.

#include "audio/handle.h"
#include "backends/alsa/elements.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST_CONTROLS 16u

/* A device that has nothing but controls. */
static dx_control_info controls[MOST_CONTROLS];
static uint32_t control_count;
static struct dx_control_setting last_setting;
static IOUserAudioSelectorValue last_selected;
static char last_key[DX_CONTROL_KEY_BYTES];
static const dx_control_item items[] = {{11, "Line"}, {22, "Microphone"}, {33, "Off"}};

static kern_return_t
get_control_at(dx_device *device, uint32_t index, dx_control_info *ret_info)
{
    (void)device;
    if (index >= control_count)
        return kIOReturnNotFound;
    *ret_info = controls[index];
    return kIOReturnSuccess;
}

static kern_return_t
get_control_items(dx_device *device, const char *key, dx_control_item *ret_items, uint32_t capacity, uint32_t *ret_count)
{
    (void)device;
    (void)key;
    for (uint32_t i = 0; i < 3 && i < capacity; i++)
        ret_items[i] = items[i];
    *ret_count = 3;
    return kIOReturnSuccess;
}

static kern_return_t
set_control(dx_device *device, const char *key, const struct dx_control_setting *setting)
{
    (void)device;
    (void)snprintf(last_key, sizeof last_key, "%s", key);
    last_setting = *setting;
    if (setting->what == DX_SET_VALUES)
        last_selected = setting->value_count == 1 ? setting->values[0] : 0;
    return kIOReturnSuccess;
}

static const struct dx_device_ops ops = {
    .get_control_at = get_control_at,
    .get_control_items = get_control_items,
    .set_control = set_control,
};
static dx_device device = {.ops = &ops, .uid = (char[]){"device"}};

static dx_control_info *
add(dx_control_kind kind, IOUserAudioClassID class_id, IOUserAudioObjectPropertyScope scope, uint32_t element,
    const char *name)
{
    dx_control_info *const info = &controls[control_count++];
    *info = (dx_control_info){
        .size = sizeof *info,
        .kind = kind,
        .class_id = class_id,
        .scope = scope,
        .element = element,
        .is_settable = true,
    };
    (void)snprintf(info->key, sizeof info->key, "%x/%x/%u", class_id & 0xFFFFu, scope & 0xFFFFu, element);
    (void)snprintf(info->name, sizeof info->name, "%s", name);
    return info;
}

static void
forget_controls(void)
{
    control_count = 0;
}

TestSuite(elements, .init = forget_controls);

static struct dx_alsa_elements
load(void)
{
    struct dx_alsa_elements elements;
    cr_assert_eq(dx_alsa_elements_load(&device, &elements), kIOReturnSuccess);
    return elements;
}

Test(elements, are_called_as_mixers_expect)
{
    const IOUserAudioObjectPropertyScope in = IOUserAudioObjectPropertyScopeInput,
                                         out = IOUserAudioObjectPropertyScopeOutput,
                                         all = IOUserAudioObjectPropertyScopeGlobal;
    add(DX_CONTROL_LEVEL, IOUserAudioClassIDVolumeControl, out, 0, "");
    add(DX_CONTROL_BOOLEAN, IOUserAudioClassIDMuteControl, out, 0, "Mute");
    add(DX_CONTROL_LEVEL, IOUserAudioClassIDVolumeControl, out, 2, "");
    add(DX_CONTROL_LEVEL, IOUserAudioClassIDVolumeControl, in, 0, "Volume");
    add(DX_CONTROL_BOOLEAN, IOUserAudioClassIDMuteControl, in, 0, "");
    add(DX_CONTROL_SELECTOR, IOUserAudioClassIDDataSourceControl, in, 0, "");
    add(DX_CONTROL_BOOLEAN, IOUserAudioClassIDPhantomPowerControl, in, 1, "");
    add(DX_CONTROL_LEVEL, IOUserAudioClassIDVolumeControl, out, 3, "Headphones");
    add(DX_CONTROL_LEVEL, IOUserAudioClassIDLevelControl, out, 4, "Headphones");
    add(DX_CONTROL_SLIDER, IOUserAudioClassIDSliderControl, all, 0, "Brightness");
    static const struct {
        const char *name;
        uint32_t index;
    } expected[] = {
        {"Master Playback Volume", 0},
        {"Master Playback Switch", 0},
        {"Master 2 Playback Volume", 0},
        {"Capture Volume", 0},
        {"Capture Switch", 0},
        {"Source Capture Enum", 0},
        {"Phantom Power 1 Capture Switch", 0},
        {"Headphones Playback Volume", 0},
        {"Headphones Playback Volume", 1},
        {"Brightness", 0},
    };
    struct dx_alsa_elements elements = load();
    cr_assert_eq(elements.count, sizeof expected / sizeof expected[0]);
    for (uint32_t i = 0; i < elements.count; i++) {
        cr_assert_str_eq(elements.list[i].name, expected[i].name);
        cr_assert_eq(elements.list[i].index, expected[i].index);
        cr_assert_eq(dx_alsa_elements_find(&elements, expected[i].name, expected[i].index), &elements.list[i]);
    }
    cr_assert_null(dx_alsa_elements_find(&elements, "Master Playback Volume", 1));
    dx_alsa_elements_finish(&elements);
}

Test(elements, keep_the_function_where_a_name_is_too_long)
{
    add(DX_CONTROL_LEVEL, IOUserAudioClassIDVolumeControl, IOUserAudioObjectPropertyScopeOutput, 0,
        "A name that is much longer than an element's may be");
    /* 27 letters fit before the rest; the 14th two-byte letter would begin in the last place. */
    add(DX_CONTROL_LEVEL, IOUserAudioClassIDVolumeControl, IOUserAudioObjectPropertyScopeOutput, 1,
        "\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4");
    struct dx_alsa_elements elements = load();
    cr_assert_str_eq(elements.list[0].name, "A name that is much longer  Playback Volume");
    cr_assert_str_eq(elements.list[1].name,
                     "\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4"
                     " Playback Volume");
    dx_alsa_elements_finish(&elements);
}

Test(elements, count_levels_in_hundredths_of_a_decibel)
{
    dx_control_info *const info =
        add(DX_CONTROL_LEVEL, IOUserAudioClassIDVolumeControl, IOUserAudioObjectPropertyScopeOutput, 0, "");
    info->decibels_min = -60.0f;
    info->decibels_max = 12.0f;
    info->decibels = -6.5f;
    struct dx_alsa_elements elements = load();
    const struct dx_alsa_element *const element = &elements.list[0];
    long min, max;
    dx_alsa_element_get_range(element, &min, &max);
    cr_assert_eq(min, 0);
    cr_assert_eq(max, 7200);
    cr_assert(dx_alsa_element_is_level(element));
    cr_assert_eq(dx_alsa_element_get_value(element, &element->info), 5350);
    cr_assert_eq(dx_alsa_element_set_value(element, &device, 6000), kIOReturnSuccess);
    cr_assert_eq(last_setting.what, DX_SET_DECIBELS);
    cr_assert_float_eq(last_setting.value, 0.0f, 1e-6f);
    cr_assert_str_eq(last_key, info->key);
    cr_assert_eq(dx_alsa_element_set_value(element, &device, 99999), kIOReturnSuccess);
    cr_assert_eq(last_setting.value, 12.0f);
    cr_assert_eq(dx_alsa_element_set_value(element, &device, -5), kIOReturnSuccess);
    cr_assert_eq(last_setting.value, -60.0f);
    dx_alsa_elements_finish(&elements);
}

Test(elements, a_range_that_no_sound_has_is_a_part_of_itself)
{
    dx_control_info *const info =
        add(DX_CONTROL_LEVEL, IOUserAudioClassIDLevelControl, IOUserAudioObjectPropertyScopeOutput, 0, "");
    info->decibels_min = -INFINITY;
    info->decibels_max = 3e38f;
    info->scalar = 0.25f;
    struct dx_alsa_elements elements = load();
    const struct dx_alsa_element *const element = &elements.list[0];
    long min, max;
    dx_alsa_element_get_range(element, &min, &max);
    cr_assert_eq(max, 100);
    cr_assert_not(dx_alsa_element_is_level(element));
    cr_assert_eq(dx_alsa_element_get_value(element, &element->info), 25);
    cr_assert_eq(dx_alsa_element_set_value(element, &device, 50), kIOReturnSuccess);
    cr_assert_eq(last_setting.what, DX_SET_SCALAR);
    cr_assert_eq(last_setting.value, 0.5f);
    dx_alsa_elements_finish(&elements);
}

Test(elements, a_mute_that_is_on_is_a_switch_that_is_off)
{
    dx_control_info *const mute =
        add(DX_CONTROL_BOOLEAN, IOUserAudioClassIDMuteControl, IOUserAudioObjectPropertyScopeOutput, 0, "");
    mute->is_on = true;
    dx_control_info *const solo =
        add(DX_CONTROL_BOOLEAN, IOUserAudioClassIDSoloControl, IOUserAudioObjectPropertyScopeOutput, 0, "");
    solo->is_on = true;
    struct dx_alsa_elements elements = load();
    cr_assert(dx_alsa_element_is_switch(&elements.list[0]));
    cr_assert_eq(dx_alsa_element_get_value(&elements.list[0], mute), 0);
    cr_assert_eq(dx_alsa_element_get_value(&elements.list[1], solo), 1);
    cr_assert_eq(dx_alsa_element_set_value(&elements.list[0], &device, 1), kIOReturnSuccess);
    cr_assert_not(last_setting.is_on);
    cr_assert_eq(dx_alsa_element_set_value(&elements.list[1], &device, 1), kIOReturnSuccess);
    cr_assert(last_setting.is_on);
    dx_alsa_elements_finish(&elements);
}

Test(elements, a_choice_is_the_place_of_its_item)
{
    dx_control_info *const info =
        add(DX_CONTROL_SELECTOR, IOUserAudioClassIDDataSourceControl, IOUserAudioObjectPropertyScopeInput, 0, "");
    info->item_count = 3;
    info->selected_count = 1;
    info->selected[0] = 22;
    struct dx_alsa_elements elements = load();
    const struct dx_alsa_element *const element = &elements.list[0];
    cr_assert(dx_alsa_element_is_choice(element));
    cr_assert_eq(element->info.item_count, 3);
    cr_assert_str_eq(element->items[2].name, "Off");
    cr_assert_eq(dx_alsa_element_get_value(element, info), 1);
    cr_assert_eq(dx_alsa_element_set_value(element, &device, 2), kIOReturnSuccess);
    cr_assert_eq(last_selected, 33);
    cr_assert_eq(dx_alsa_element_set_value(element, &device, 3), kIOReturnBadArgument);
    cr_assert_eq(dx_alsa_element_set_value(element, &device, -1), kIOReturnBadArgument);
    dx_alsa_elements_finish(&elements);
}

Test(elements, sliders_and_pans_are_numbers)
{
    dx_control_info *const slider =
        add(DX_CONTROL_SLIDER, IOUserAudioClassIDSliderControl, IOUserAudioObjectPropertyScopeGlobal, 0, "");
    slider->number = 7;
    slider->number_min = 5;
    slider->number_max = 4000000000u;
    dx_control_info *const pan =
        add(DX_CONTROL_STEREO_PAN, IOUserAudioClassIDStereoPanControl, IOUserAudioObjectPropertyScopeOutput, 0, "");
    pan->position = 0.5f;
    struct dx_alsa_elements elements = load();
    long min, max;
    dx_alsa_element_get_range(&elements.list[0], &min, &max);
    cr_assert_eq(min, 5);
    cr_assert_eq((unsigned long)max, sizeof(long) == 8 ? 4000000000ul : 2147483647ul);
    cr_assert_eq(dx_alsa_element_get_value(&elements.list[0], slider), 7);
    cr_assert_eq(dx_alsa_element_set_value(&elements.list[0], &device, 3), kIOReturnSuccess);
    cr_assert_eq(last_setting.number, 5);
    cr_assert_eq(dx_alsa_element_get_value(&elements.list[1], pan), 50);
    cr_assert_eq(dx_alsa_element_set_value(&elements.list[1], &device, 75), kIOReturnSuccess);
    cr_assert_eq(last_setting.value, 0.75f);
    dx_alsa_elements_finish(&elements);
}

Test(elements, of_two_controls_with_one_key_the_first_counts)
{
    add(DX_CONTROL_LEVEL, IOUserAudioClassIDVolumeControl, IOUserAudioObjectPropertyScopeOutput, 0, "First");
    add(DX_CONTROL_LEVEL, IOUserAudioClassIDVolumeControl, IOUserAudioObjectPropertyScopeOutput, 0, "Second");
    struct dx_alsa_elements elements = load();
    cr_assert_eq(elements.count, 1);
    cr_assert_str_eq(elements.list[0].name, "First Playback Volume");
    dx_alsa_elements_finish(&elements);
}
