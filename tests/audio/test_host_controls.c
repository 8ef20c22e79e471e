// SPDX-License-Identifier: MIT
// Controls and custom properties through the host: values, refusals, notifications, and what cannot be.

#include "test_driver.h"
#include "tests/core/failing_allocator.h"

#include <dextral/IOUserAudioBooleanControl.h>
#include <dextral/IOUserAudioSliderControl.h>
#include <dextral/IOUserAudioStereoPanControl.h>

#include <math.h>
#include <stdlib.h>

#define MAIN IOUserAudioObjectPropertyElementMain
#define OUTPUT IOUserAudioObjectPropertyScopeOutput
#define TEXT DX_FOURCC('t', 'e', 'x', 't')
#define TABLE DX_FOURCC('t', 'a', 'b', 'l')

static const IOUserAudioObjectPropertyAddress text_address = {TEXT, IOUserAudioObjectPropertyScopeGlobal, MAIN};
static const IOUserAudioObjectPropertyAddress table_address = {TABLE, OUTPUT, 1};

/* A rig whose device has a control of each kind, and two properties. */
static struct test_rig rig;
static struct {
    IOUserAudioBooleanControl *mute;
    IOUserAudioSliderControl *slider;
    IOUserAudioLevelControl *volume;
    IOUserAudioSelectorControl *selector;
    IOUserAudioStereoPanControl *pan;
    IOUserAudioBooleanControl *jack;
    IOUserAudioCustomProperty *text;
    IOUserAudioCustomProperty *table;
} own;
static kern_return_t answer; // of the overrides: kIOReturnSuccess lets the base store
static uint32_t answers;     // how often they were asked

/* ---- what the driver answers ---- */

static bool
is_refused(void)
{
    CHECK(IODispatchQueueOnQueue(rig.driver.queue));
    answers++;
    /* No lock of the host's is held: whatever the driver may do, it may do here. */
    (void)test_info(rig.device);
    return answer != kIOReturnSuccess;
}

static kern_return_t
change_mute(IOUserAudioBooleanControl *control, bool value)
{
    return is_refused() ? answer : IOUserAudioBooleanControlHandleChangeControlValue_super(control, value);
}

static kern_return_t
change_slider(IOUserAudioSliderControl *control, uint32_t value)
{
    return is_refused() ? answer : IOUserAudioSliderControlHandleChangeControlValue_super(control, value);
}

static kern_return_t
change_decibels(IOUserAudioLevelControl *control, float value)
{
    return is_refused() ? answer : IOUserAudioLevelControlHandleChangeDecibelValue_super(control, value);
}

static kern_return_t
change_scalar(IOUserAudioLevelControl *control, float value)
{
    return is_refused() ? answer : IOUserAudioLevelControlHandleChangeScalarValue_super(control, value);
}

static kern_return_t
change_selection(IOUserAudioSelectorControl *control, const IOUserAudioSelectorValue *values, size_t count)
{
    return is_refused() ? answer : IOUserAudioSelectorControlHandleChangeSelectedValues_super(control, values, count);
}

static kern_return_t
change_pan(IOUserAudioStereoPanControl *control, float value)
{
    return is_refused() ? answer : IOUserAudioStereoPanControlHandleChangeControlValue_super(control, value);
}

/* One value for each qualifier, which it contains. */
static kern_return_t
get_table(IOUserAudioCustomProperty *property, OSObjectPtr qualifier, OSObjectPtr *ret_value)
{
    (void)property;
    if (is_refused())
        return answer;
    OSDictionary *const value = OSDictionaryCreate(1);
    if (!value || !OSDictionarySetObject(value, "asked", qualifier)) {
        OSObjectRelease(value);
        return kIOReturnNoMemory;
    }
    *ret_value = value;
    return kIOReturnSuccess;
}

static kern_return_t
change_text(IOUserAudioCustomProperty *property, OSObjectPtr qualifier, OSObjectPtr data)
{
    return is_refused() ? answer
                        : IOUserAudioCustomPropertyHandleChangeCustomPropertyDataValueWithQualifier_super(
                              property, qualifier, data);
}

/* ---- making ---- */

static OSString *
string(const char *text)
{
    OSString *const made = OSStringCreate(text);
    CHECK(made);
    return made;
}

static void
add(IOUserAudioControlPtr control, const char *name)
{
    CHECK(control);
    if (name) {
        OSString *const text = string(name);
        CHECK_OK(IOUserAudioObjectSetName(control, text));
        OSObjectRelease(text);
    }
    CHECK_OK(IOUserAudioDeviceAddControl(rig.object, control));
}

static void
add_mute_and_slider(void)
{
    static const IOUserAudioBooleanControlOverrides mute = {.size = sizeof mute,
                                                            .HandleChangeControlValue = change_mute};
    static const IOUserAudioSliderControlOverrides slider = {.size = sizeof slider,
                                                             .HandleChangeControlValue = change_slider};
    IOUserAudioDriver *const driver = rig.driver.driver;
    own.mute = IOUserAudioBooleanControlAlloc();
    CHECK_OK(IOUserAudioBooleanControlSetOverrides(own.mute, &mute));
    CHECK(IOUserAudioBooleanControlInit(own.mute, driver, true, false, MAIN, OUTPUT, IOUserAudioClassIDMuteControl));
    add(own.mute, "Mute");
    own.slider = IOUserAudioSliderControlAlloc();
    CHECK_OK(IOUserAudioSliderControlSetOverrides(own.slider, &slider));
    CHECK(IOUserAudioSliderControlInit(own.slider, driver, true, 5, (IOUserAudioSliderRange){3, 9}, 2,
                                       IOUserAudioObjectPropertyScopeGlobal, IOUserAudioClassIDSliderControl));
    add(own.slider, NULL);
}

static void
add_volume_and_pan(void)
{
    static const IOUserAudioLevelControlOverrides volume = {
        .size = sizeof volume, .HandleChangeDecibelValue = change_decibels, .HandleChangeScalarValue = change_scalar};
    static const IOUserAudioStereoPanControlOverrides pan = {.size = sizeof pan,
                                                             .HandleChangeControlValue = change_pan};
    IOUserAudioDriver *const driver = rig.driver.driver;
    own.volume = IOUserAudioLevelControlAlloc();
    CHECK_OK(IOUserAudioLevelControlSetOverrides(own.volume, &volume));
    CHECK(IOUserAudioLevelControlInit(own.volume, driver, true, -10.0f, (IOUserAudioLevelControlRange){-40.0f, 0.0f},
                                      MAIN, IOUserAudioObjectPropertyScopeInput, IOUserAudioClassIDVolumeControl));
    add(own.volume, "Volume");
    own.pan = IOUserAudioStereoPanControlAlloc();
    CHECK_OK(IOUserAudioStereoPanControlSetOverrides(own.pan, &pan));
    CHECK(IOUserAudioStereoPanControlInit(own.pan, driver, true, 0.5f, 1, 2, MAIN, OUTPUT,
                                          IOUserAudioClassIDStereoPanControl));
    add(own.pan, NULL);
}

/* 126 'x' and a character of two bytes: the second one would not fit, so the first must not stay. */
static const char long_name[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xc3\xa9!";

static void
add_selector(void)
{
    static const IOUserAudioSelectorControlOverrides overrides = {.size = sizeof overrides,
                                                                  .HandleChangeSelectedValues = change_selection};
    const IOUserAudioSelectorValueDescription items[] = {
        {10, string("Tone")}, {20, string("Loopback")}, {30, string("Twin")}, {40, string("Twin")}, {50, string(long_name)},
    };
    own.selector = IOUserAudioSelectorControlAlloc();
    CHECK_OK(IOUserAudioSelectorControlSetOverrides(own.selector, &overrides));
    CHECK(IOUserAudioSelectorControlInit(own.selector, rig.driver.driver, true, MAIN,
                                         IOUserAudioObjectPropertyScopeInput, IOUserAudioClassIDDataSourceControl));
    CHECK_OK(IOUserAudioSelectorControlAddControlValueDescriptions(own.selector, items, 5));
    CHECK_OK(IOUserAudioSelectorControlSetCurrentSelectedValues(own.selector, &items[0].m_value, 1));
    for (size_t i = 0; i < 5; i++)
        OSObjectRelease(items[i].m_name);
    add(own.selector, "Source");
}

static void
add_properties(void)
{
    static const IOUserAudioCustomPropertyOverrides text = {
        .size = sizeof text, .HandleChangeCustomPropertyDataValueWithQualifier = change_text};
    static const IOUserAudioCustomPropertyOverrides table = {.size = sizeof table,
                                                             .GetCustomPropertyValueWithQualifier = get_table};
    own.text = IOUserAudioCustomPropertyAlloc();
    CHECK_OK(IOUserAudioCustomPropertySetOverrides(own.text, &text));
    CHECK(IOUserAudioCustomPropertyInit(own.text, rig.driver.driver, text_address, true,
                                        IOUserAudioCustomPropertyDataTypeNone,
                                        IOUserAudioCustomPropertyDataTypeString));
    CHECK_OK(IOUserAudioObjectAddCustomProperty(rig.object, own.text));
    own.table = IOUserAudioCustomPropertyAlloc();
    CHECK_OK(IOUserAudioCustomPropertySetOverrides(own.table, &table));
    CHECK(IOUserAudioCustomPropertyInit(own.table, rig.driver.driver, table_address, false,
                                        IOUserAudioCustomPropertyDataTypeString,
                                        IOUserAudioCustomPropertyDataTypeDictionary));
    CHECK_OK(IOUserAudioObjectAddCustomProperty(rig.object, own.table));
}

static void
begin(const struct test_config *config)
{
    answer = kIOReturnSuccess;
    answers = 0;
    test_rig_start(&rig, config, NULL);
    add_mute_and_slider();
    add_volume_and_pan();
    add_selector();
    own.jack = IOUserAudioBooleanControlCreate(rig.driver.driver, false, true, 1, OUTPUT,
                                               IOUserAudioClassIDJackControl);
    add(own.jack, NULL);
    add_properties();
    test_host_forget(&rig.host);
}

static void
release_own(void)
{
    OSSafeReleaseNULL(own.mute);
    OSSafeReleaseNULL(own.slider);
    OSSafeReleaseNULL(own.volume);
    OSSafeReleaseNULL(own.selector);
    OSSafeReleaseNULL(own.pan);
    OSSafeReleaseNULL(own.jack);
    OSSafeReleaseNULL(own.text);
    OSSafeReleaseNULL(own.table);
}

static void
finish(void)
{
    release_own();
    test_rig_finish(&rig);
}

static dx_control_info
look(const char *key)
{
    dx_control_info info = {.size = sizeof info};
    CHECK_OK(dx_device_get_control(rig.device, key, &info));
    return info;
}

/* Whether the listener was told of a property, after all that was queued. */
static bool
was_told(IOUserAudioObjectPtr object, IOUserAudioObjectPropertySelector selector)
{
    dx_host_settle(rig.host.host);
    const bool told = test_host_told(&rig.host, IOUserAudioObjectGetObjectID(object), selector);
    test_host_forget(&rig.host);
    return told;
}

#define MUTE "mute/outp/0"
#define SLIDER "sldr/glob/2"
#define VOLUME "vlme/inpt/0"
#define PAN "span/outp/0"
#define SOURCE "dsrc/inpt/0"
#define JACK "jack/outp/1"

/* ---- seeing ---- */

static void
controls_are_listed_in_the_driver_s_order(void)
{
    static const char *const keys[] = {MUTE, SLIDER, VOLUME, PAN, SOURCE, JACK};
    static const char *const names[] = {"Mute", "", "Volume", "", "Source", ""};
    begin(NULL);
    dx_control_info info = {.size = sizeof info};
    for (uint32_t i = 0; i < 6; i++) {
        CHECK_OK(dx_device_get_control_at(rig.device, i, &info));
        CHECK_TEXT(info.key, keys[i]);
        CHECK_TEXT(info.name, names[i]);
        CHECK_EQ(info.size, sizeof info);
        const dx_control_info same = look(keys[i]);
        CHECK_EQ(same.object, info.object);
        CHECK_EQ(same.kind, info.kind);
    }
    CHECK_STATUS(dx_device_get_control_at(rig.device, 6, &info), kIOReturnNotFound);
    CHECK_STATUS(dx_device_get_control_at(rig.device, UINT32_MAX, &info), kIOReturnNotFound);
    CHECK_TEXT(info.key, JACK); // written on success only
    finish();
}

static void
a_control_says_all_that_it_is(void)
{
    begin(NULL);
    dx_control_info info = look(SLIDER);
    CHECK_EQ(info.kind, DX_CONTROL_SLIDER);
    CHECK_EQ(info.object, IOUserAudioObjectGetObjectID(own.slider));
    CHECK_EQ(info.class_id, IOUserAudioClassIDSliderControl);
    CHECK_EQ(info.scope, IOUserAudioObjectPropertyScopeGlobal);
    CHECK_EQ(info.element, 2);
    CHECK(info.is_settable);
    CHECK(info.number == 5 && info.number_min == 3 && info.number_max == 9);
    info = look(VOLUME);
    CHECK_EQ(info.kind, DX_CONTROL_LEVEL);
    CHECK(info.decibels == -10.0f && info.decibels_min == -40.0f && info.decibels_max == 0.0f);
    CHECK(info.scalar == 0.75f); // linear over the range
    info = look(PAN);
    CHECK_EQ(info.kind, DX_CONTROL_STEREO_PAN);
    CHECK(info.position == 0.5f && info.left_element == 1 && info.right_element == 2);
    info = look(SOURCE);
    CHECK_EQ(info.kind, DX_CONTROL_SELECTOR);
    CHECK(info.item_count == 5 && info.selected_count == 1 && info.selected[0] == 10);
    info = look(JACK);
    CHECK(info.kind == DX_CONTROL_BOOLEAN && info.is_on && !info.is_settable);
    CHECK_EQ(answers, 0); // looking asks nobody
    finish();
}

static void
items_are_listed_and_long_names_cut_between_characters(void)
{
    begin(NULL);
    dx_control_item items[8];
    uint32_t count = 0;
    CHECK_OK(dx_device_get_control_items(rig.device, SOURCE, items, 8, &count));
    CHECK_EQ(count, 5);
    CHECK(items[1].value == 20 && items[4].value == 50);
    CHECK_TEXT(items[1].name, "Loopback");
    CHECK(strlen(items[4].name) < sizeof items[4].name);
    CHECK_EQ(strlen(items[4].name), strspn(items[4].name, "x"));
    CHECK_EQ(strlen(items[4].name), strspn(long_name, "x"));
    items[1].value = 77;
    CHECK_OK(dx_device_get_control_items(rig.device, SOURCE, items, 1, &count));
    CHECK(count == 5 && items[1].value == 77);
    CHECK_OK(dx_device_get_control_items(rig.device, SOURCE, NULL, 0, &count));
    CHECK_STATUS(dx_device_get_control_items(rig.device, MUTE, items, 8, &count), kIOReturnUnsupported);
    CHECK_STATUS(dx_device_get_control_items(rig.device, "dsrc/inpt/1", items, 8, &count), kIOReturnNotFound);
    CHECK_STATUS(dx_device_get_control_items(rig.device, SOURCE, NULL, 8, &count), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_get_control_items(rig.device, SOURCE, items, 8, NULL), kIOReturnBadArgument);
    finish();
}

static void
of_two_controls_with_a_key_the_first_counts(void)
{
    begin(NULL);
    IOUserAudioBooleanControl *const twin = IOUserAudioBooleanControlCreate(
        rig.driver.driver, true, true, MAIN, OUTPUT, IOUserAudioClassIDMuteControl);
    add(twin, NULL);
    CHECK_EQ(look(MUTE).object, IOUserAudioObjectGetObjectID(own.mute));
    OSObjectRelease(twin);
    finish();
}

/* ---- setting ---- */

static void
each_kind_is_set_and_the_listener_told(void)
{
    const IOUserAudioSelectorValue two[] = {40, 10};
    begin(NULL);
    CHECK_OK(dx_device_set_control_boolean(rig.device, MUTE, true));
    CHECK(look(MUTE).is_on);
    CHECK(was_told(own.mute, kIOUserAudioPropertyBooleanControlValue));
    CHECK_OK(dx_device_set_control_number(rig.device, SLIDER, 9));
    CHECK_EQ(look(SLIDER).number, 9);
    CHECK(was_told(own.slider, kIOUserAudioPropertySliderControlValue));
    CHECK_OK(dx_device_set_control_decibels(rig.device, VOLUME, -20.0f));
    CHECK(look(VOLUME).scalar == 0.5f);
    CHECK(was_told(own.volume, kIOUserAudioPropertyLevelControlDecibelValue));
    CHECK_OK(dx_device_set_control_scalar(rig.device, VOLUME, 0.25f));
    CHECK(look(VOLUME).decibels == -30.0f);
    CHECK(was_told(own.volume, kIOUserAudioPropertyLevelControlScalarValue));
    CHECK_OK(dx_device_set_control_position(rig.device, PAN, 1.0f));
    CHECK(look(PAN).position == 1.0f);
    CHECK(was_told(own.pan, kIOUserAudioPropertyStereoPanControlValue));
    CHECK_OK(dx_device_set_control_item(rig.device, SOURCE, "Loopback"));
    CHECK(look(SOURCE).selected_count == 1 && look(SOURCE).selected[0] == 20);
    CHECK(was_told(own.selector, kIOUserAudioPropertySelectorControlCurrentItem));
    CHECK_OK(dx_device_set_control_item(rig.device, SOURCE, long_name));
    CHECK_EQ(look(SOURCE).selected[0], 50);
    CHECK_OK(dx_device_set_control_values(rig.device, SOURCE, two, 2));
    CHECK(look(SOURCE).selected_count == 2 && look(SOURCE).selected[0] == 40 && look(SOURCE).selected[1] == 10);
    CHECK_OK(dx_device_set_control_values(rig.device, SOURCE, NULL, 0));
    CHECK_EQ(look(SOURCE).selected_count, 0);
    CHECK_EQ(answers, 9);
    finish();
}

static void
a_value_that_is_the_same_is_asked_for_but_not_told(void)
{
    begin(NULL);
    CHECK_OK(dx_device_set_control_number(rig.device, SLIDER, 5));
    CHECK_EQ(answers, 1);
    CHECK(!was_told(own.slider, kIOUserAudioPropertySliderControlValue));
    finish();
}

static void
what_the_driver_refuses_stays_as_it_was(void)
{
    begin(NULL);
    answer = kIOReturnNotReady;
    CHECK_STATUS(dx_device_set_control_boolean(rig.device, MUTE, true), kIOReturnNotReady);
    CHECK_STATUS(dx_device_set_control_number(rig.device, SLIDER, 9), kIOReturnNotReady);
    CHECK_STATUS(dx_device_set_control_decibels(rig.device, VOLUME, -20.0f), kIOReturnNotReady);
    CHECK_STATUS(dx_device_set_control_scalar(rig.device, VOLUME, 0.1f), kIOReturnNotReady);
    CHECK_STATUS(dx_device_set_control_position(rig.device, PAN, 1.0f), kIOReturnNotReady);
    CHECK_STATUS(dx_device_set_control_item(rig.device, SOURCE, "Loopback"), kIOReturnNotReady);
    CHECK_EQ(answers, 6);
    CHECK(!look(MUTE).is_on && look(SLIDER).number == 5 && look(VOLUME).decibels == -10.0f);
    CHECK(look(PAN).position == 0.5f && look(SOURCE).selected[0] == 10);
    dx_host_settle(rig.host.host);
    CHECK_EQ(rig.host.event_count, 0);
    finish();
}

static void
what_is_out_of_range_never_reaches_the_driver(void)
{
    const IOUserAudioSelectorValue twice[] = {10, 10}, unknown = 11;
    IOUserAudioSelectorValue many[DX_MAX_SELECTED_VALUES + 1] = {0};
    begin(NULL);
    CHECK_STATUS(dx_device_set_control_number(rig.device, SLIDER, 2), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_control_number(rig.device, SLIDER, 10), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_control_decibels(rig.device, VOLUME, 0.1f), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_control_decibels(rig.device, VOLUME, -INFINITY), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_control_decibels(rig.device, VOLUME, NAN), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_control_scalar(rig.device, VOLUME, 1.5f), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_control_scalar(rig.device, VOLUME, NAN), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_control_position(rig.device, PAN, -0.1f), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_control_values(rig.device, SOURCE, twice, 2), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_control_values(rig.device, SOURCE, &unknown, 1), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_control_values(rig.device, SOURCE, NULL, 1), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_control_values(rig.device, SOURCE, many, DX_MAX_SELECTED_VALUES + 1), kIOReturnNoSpace);
    CHECK_STATUS(dx_device_set_control_item(rig.device, SOURCE, "loopback"), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_control_item(rig.device, SOURCE, ""), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_control_item(rig.device, SOURCE, "Twin"), kIOReturnBadArgument);
    CHECK_EQ(answers, 0);
    finish();
}

static void
what_is_not_there_or_of_another_kind_says_so(void)
{
    static const char *const keys[] = {"",           "mute",         "mute/outp/",  "mute/outp/00", "mute/outp/1",
                                       "mute/inpt/0", "mute/outp/0 ", "Mute",        "MUTE/outp/0",  "mute/outp/0/0"};
    begin(NULL);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        CHECK_STATUS(dx_device_set_control_boolean(rig.device, keys[i], true), kIOReturnNotFound);
    CHECK_STATUS(dx_device_set_control_boolean(rig.device, VOLUME, true), kIOReturnUnsupported);
    CHECK_STATUS(dx_device_set_control_number(rig.device, MUTE, 1), kIOReturnUnsupported);
    CHECK_STATUS(dx_device_set_control_decibels(rig.device, PAN, 0.0f), kIOReturnUnsupported);
    CHECK_STATUS(dx_device_set_control_scalar(rig.device, PAN, 0.0f), kIOReturnUnsupported);
    CHECK_STATUS(dx_device_set_control_position(rig.device, VOLUME, 0.0f), kIOReturnUnsupported);
    CHECK_STATUS(dx_device_set_control_item(rig.device, MUTE, "on"), kIOReturnUnsupported);
    CHECK_STATUS(dx_device_set_control_boolean(rig.device, JACK, false), kIOReturnNotPermitted);
    CHECK(look(JACK).is_on);
    CHECK_EQ(answers, 0);
    finish();
}

static void
bad_arguments_are_refused(void)
{
    begin(NULL);
    dx_control_info info = {.size = sizeof info - 1};
    CHECK_STATUS(dx_device_get_control(rig.device, MUTE, &info), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_get_control_at(rig.device, 0, &info), kIOReturnBadArgument);
    info.size = sizeof info;
    CHECK_STATUS(dx_device_get_control(NULL, MUTE, &info), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_get_control(rig.device, NULL, &info), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_get_control(rig.device, MUTE, NULL), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_control_boolean(NULL, MUTE, true), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_control_boolean(rig.device, NULL, true), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_control_item(rig.device, SOURCE, NULL), kIOReturnBadArgument);
    dx_custom_property_info property = {.size = 0};
    CHECK_STATUS(dx_device_get_custom_property_at(rig.device, 0, &property), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_get_custom_property_at(rig.device, 0, NULL), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_copy_custom_property(rig.device, text_address, NULL, NULL), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_custom_property(NULL, text_address, NULL, NULL), kIOReturnBadArgument);
    finish();
}

/* ---- circumstances ---- */

static void
without_a_driver_there_is_nothing_to_see_or_set(void)
{
    begin(NULL);
    dx_control_info info = {.size = sizeof info};
    dx_custom_property_info property = {.size = sizeof property};
    dx_control_item item;
    OSObjectPtr value = NULL;
    uint32_t count;
    OSObjectRetain(rig.driver.driver);
    IOUserAudioDriver *const driver = rig.driver.driver;
    dx_client *const client = test_open(rig.device, true, false, 0); // keeps the entry
    CHECK_OK(dx_host_stop_driver(rig.host.host, driver));
    CHECK_STATUS(dx_device_get_control_at(rig.device, 0, &info), kIOReturnNoDevice);
    CHECK_STATUS(dx_device_get_control(rig.device, MUTE, &info), kIOReturnNoDevice);
    CHECK_STATUS(dx_device_get_control_items(rig.device, SOURCE, &item, 1, &count), kIOReturnNoDevice);
    CHECK_STATUS(dx_device_set_control_boolean(rig.device, MUTE, true), kIOReturnNoDevice);
    CHECK_STATUS(dx_device_set_control_item(rig.device, SOURCE, "Tone"), kIOReturnNoDevice);
    CHECK_STATUS(dx_device_get_custom_property_at(rig.device, 0, &property), kIOReturnNoDevice);
    CHECK_STATUS(dx_device_copy_custom_property(rig.device, text_address, NULL, &value), kIOReturnNoDevice);
    CHECK_STATUS(dx_device_set_custom_property(rig.device, text_address, NULL, NULL), kIOReturnNoDevice);
    CHECK_EQ(answers, 0);
    dx_client_close(client);
    OSObjectRelease(driver);
    finish();
}

static void
controls_are_set_while_io_runs(void)
{
    begin(NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    for (uint32_t i = 0; i < 100; i++) {
        CHECK_OK(dx_device_set_control_decibels(rig.device, VOLUME, -(float)(i % 40)));
        CHECK(look(VOLUME).decibels == -(float)(i % 40));
        CHECK_OK(dx_device_set_control_boolean(rig.device, MUTE, i % 2));
        test_sleep(TEST_MS);
    }
    CHECK(test_info(rig.device).is_running);
    CHECK_EQ(rig.driver.start_ios, 1);
    CHECK_EQ(test_statistics(rig.device).overloads, 0);
    dx_client_close(client);
    finish();
}

/* Answers a change of the mute with one of the slider. */
static void
set_slider_in_event(struct test_host *host, const dx_host_event *event)
{
    (void)host;
    if (event->kind == DX_EVENT_PROPERTIES_CHANGED && event->object == IOUserAudioObjectGetObjectID(own.mute))
        CHECK_OK(dx_device_set_control_number(rig.device, SLIDER, 7));
}

static void
the_listener_may_set(void)
{
    begin(NULL);
    rig.host.in_event = set_slider_in_event;
    CHECK_OK(dx_device_set_control_boolean(rig.device, MUTE, true));
    dx_host_settle(rig.host.host);
    CHECK_EQ(look(SLIDER).number, 7);
    finish();
}

static void
set_often(void *argument)
{
    const uint32_t *const number = argument;
    for (int i = 0; i < 200; i++) {
        const kern_return_t status = dx_device_set_control_number(rig.device, SLIDER, *number);
        CHECK(status == kIOReturnSuccess || status == kIOReturnNoDevice);
        dx_control_info info = {.size = sizeof info};
        if (dx_device_get_control(rig.device, SLIDER, &info) == kIOReturnSuccess)
            CHECK(info.number == 3 || info.number == 5 || info.number == 9);
        test_sleep(1000);
    }
}

static void
the_driver_may_go_while_others_set(void)
{
    uint32_t numbers[] = {3, 9};
    begin(NULL);
    dx_task *const first = test_spawn(set_often, &numbers[0]);
    dx_task *const second = test_spawn(set_often, &numbers[1]);
    test_sleep(70000);
    IOUserAudioDriver *const driver = OSObjectRetain(rig.driver.driver);
    CHECK_OK(dx_host_terminate_driver(rig.host.host, driver));
    dx_task_join(first);
    dx_task_join(second);
    OSObjectRelease(driver);
    finish();
}

static void
a_value_that_was_set_is_restored_by_the_same_key(void)
{
    begin(NULL);
    CHECK_OK(dx_device_set_control_number(rig.device, SLIDER, 8));
    OSDictionary *const state = dx_host_copy_saved_state(rig.host.host);
    const OSDictionary *const device = OSDynamicCast(OSDictionary, OSDictionaryGetObject(state, TEST_UID));
    const OSDictionary *const controls = OSDynamicCast(OSDictionary, OSDictionaryGetObject(device, "controls"));
    CHECK_EQ(OSDictionaryGetUInt64Value(controls, look(SLIDER).key), 8);
    CHECK(!OSDictionaryGetObject(controls, JACK)); // not settable
    OSObjectRelease(state);
    finish();
}

/* ---- custom properties ---- */

static void
custom_properties_are_listed(void)
{
    begin(NULL);
    dx_custom_property_info info = {.size = sizeof info};
    CHECK_OK(dx_device_get_custom_property_at(rig.device, 0, &info));
    CHECK(info.address.mSelector == TEXT && info.is_settable);
    CHECK_EQ(info.qualifier_type, IOUserAudioCustomPropertyDataTypeNone);
    CHECK_EQ(info.data_type, IOUserAudioCustomPropertyDataTypeString);
    CHECK_OK(dx_device_get_custom_property_at(rig.device, 1, &info));
    CHECK(info.address.mSelector == TABLE && info.address.mScope == OUTPUT && info.address.mElement == 1);
    CHECK(!info.is_settable && info.size == sizeof info);
    CHECK_EQ(info.qualifier_type, IOUserAudioCustomPropertyDataTypeString);
    CHECK_EQ(info.data_type, IOUserAudioCustomPropertyDataTypeDictionary);
    CHECK_STATUS(dx_device_get_custom_property_at(rig.device, 2, &info), kIOReturnNotFound);
    finish();
}

static void
a_custom_property_is_set_read_back_and_told(void)
{
    begin(NULL);
    OSString *const hello = string("hello");
    OSObjectPtr value = NULL;
    CHECK_STATUS(dx_device_copy_custom_property(rig.device, text_address, NULL, &value), kIOReturnNotFound);
    CHECK_OK(dx_device_set_custom_property(rig.device, text_address, NULL, hello));
    CHECK(was_told(rig.object, TEXT));
    CHECK_OK(dx_device_copy_custom_property(rig.device, text_address, NULL, &value));
    CHECK(OSObjectIsEqualTo(value, hello) && value != (OSObjectPtr)hello);
    CHECK_EQ(OSObjectGetRetainCount(value), 1);
    OSSafeReleaseNULL(value);

    answer = kIOReturnNotReady;
    OSString *const other = string("other");
    CHECK_STATUS(dx_device_set_custom_property(rig.device, text_address, NULL, other), kIOReturnNotReady);
    CHECK(!was_told(rig.object, TEXT));
    CHECK_OK(dx_device_copy_custom_property(rig.device, text_address, NULL, &value));
    CHECK(OSObjectIsEqualTo(value, hello));
    OSObjectRelease(value);
    OSObjectRelease(other);
    OSObjectRelease(hello);
    finish();
}

static void
a_qualifier_reaches_the_driver(void)
{
    begin(NULL);
    OSString *const left = string("left");
    OSObjectPtr value = NULL;
    CHECK_OK(dx_device_copy_custom_property(rig.device, table_address, left, &value));
    CHECK(OSObjectIsEqualTo(OSDictionaryGetObject(OSDynamicCast(OSDictionary, value), "asked"), left));
    OSSafeReleaseNULL(value);
    answer = kIOReturnOffline;
    CHECK_STATUS(dx_device_copy_custom_property(rig.device, table_address, left, &value), kIOReturnOffline);
    answer = kIOReturnSuccess;
    CHECK_STATUS(dx_device_copy_custom_property(rig.device, table_address, NULL, &value), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_custom_property(rig.device, table_address, left, left), kIOReturnNotPermitted);
    CHECK_STATUS(dx_device_set_custom_property(rig.device, text_address, left, left), kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_custom_property(rig.device, text_address, NULL, NULL), kIOReturnBadArgument);
    IOUserAudioObjectPropertyAddress elsewhere = table_address;
    elsewhere.mElement = 2;
    CHECK_STATUS(dx_device_copy_custom_property(rig.device, elsewhere, left, &value), kIOReturnNotFound);
    CHECK_STATUS(dx_device_set_custom_property(rig.device, elsewhere, left, left), kIOReturnNotFound);
    CHECK(!value);
    OSObjectRelease(left);
    finish();
}

/* ---- memory ---- */

static OSString *words[2];

static bool
is_done(kern_return_t status, bool *done)
{
    CHECK(status == kIOReturnSuccess || status == kIOReturnNoMemory);
    *done &= status == kIOReturnSuccess;
    return status == kIOReturnSuccess;
}

static bool
set_everything(void)
{
    static uint32_t run;
    const uint32_t number = 3 + run % 7;
    const char *const name = run % 2 ? "Tone" : "Loopback";
    const IOUserAudioSelectorValue item = run % 2 ? 10 : 20;
    const float scalar = (float)(run % 8) / 8.0f;
    OSString *const word = words[run % 2];
    run++;
    bool done = true;
    const dx_control_info slider = look(SLIDER), volume = look(VOLUME), source = look(SOURCE);
    bool is_set = is_done(dx_device_set_control_number(rig.device, SLIDER, number), &done);
    CHECK_EQ(look(SLIDER).number, is_set ? number : slider.number);
    is_set = is_done(dx_device_set_control_scalar(rig.device, VOLUME, scalar), &done);
    CHECK(look(VOLUME).scalar == (is_set ? scalar : volume.scalar));
    (void)is_done(dx_device_set_control_decibels(rig.device, VOLUME, -1.0f), &done);
    (void)is_done(dx_device_set_control_position(rig.device, PAN, scalar), &done);
    (void)is_done(dx_device_set_control_boolean(rig.device, MUTE, run % 2), &done);
    is_set = is_done(dx_device_set_control_item(rig.device, SOURCE, name), &done);
    CHECK_EQ(look(SOURCE).selected[0], is_set ? item : source.selected[0]);
    (void)is_done(dx_device_set_control_values(rig.device, SOURCE, &item, 1), &done);
    dx_control_item items[8];
    uint32_t count;
    (void)is_done(dx_device_get_control_items(rig.device, SOURCE, items, 8, &count), &done);
    (void)is_done(dx_device_set_custom_property(rig.device, text_address, NULL, word), &done);
    OSObjectPtr value = NULL;
    is_set = is_done(dx_device_copy_custom_property(rig.device, table_address, word, &value), &done);
    CHECK(is_set == (value != NULL));
    OSObjectRelease(value);
    return done;
}

static void
without_memory_nothing_is_half_done(void)
{
    begin(NULL);
    words[0] = string("one");
    words[1] = string("two");
    CHECK(set_everything()); // what is made once is there now
    CHECK(set_everything());
    dx_host_settle(rig.host.host);
    for (uint64_t n = 1;; n++) {
        const uint64_t live = failing_allocator_live();
        failing_allocator_fail_at(n);
        const bool done = set_everything();
        dx_host_settle(rig.host.host);
        const bool failed = failing_allocator_stop();
        CHECK(done || failed); // an event that there was no memory for is said in the log
        CHECK_EQ(failing_allocator_live(), live);
        CHECK(n < 10000);
        if (!failed)
            break;
    }
    OSSafeReleaseNULL(words[0]);
    OSSafeReleaseNULL(words[1]);
    finish();
}

int
main(int argc, char **argv)
{
    test_filter = argc > 1 ? argv[1] : NULL;
    RUN_SIMULATED(controls_are_listed_in_the_driver_s_order);
    RUN_SIMULATED(a_control_says_all_that_it_is);
    RUN_SIMULATED(items_are_listed_and_long_names_cut_between_characters);
    RUN_SIMULATED(of_two_controls_with_a_key_the_first_counts);
    RUN_SIMULATED(each_kind_is_set_and_the_listener_told);
    RUN_SIMULATED(a_value_that_is_the_same_is_asked_for_but_not_told);
    RUN_SIMULATED(what_the_driver_refuses_stays_as_it_was);
    RUN_SIMULATED(what_is_out_of_range_never_reaches_the_driver);
    RUN_SIMULATED(what_is_not_there_or_of_another_kind_says_so);
    RUN_SIMULATED(bad_arguments_are_refused);
    RUN_SIMULATED(without_a_driver_there_is_nothing_to_see_or_set);
    RUN_SIMULATED(controls_are_set_while_io_runs);
    RUN_SIMULATED(the_listener_may_set);
    RUN_SIMULATED(the_driver_may_go_while_others_set);
    RUN(the_driver_may_go_while_others_set); // on real threads
    RUN_SIMULATED(a_value_that_was_set_is_restored_by_the_same_key);
    RUN_SIMULATED(custom_properties_are_listed);
    RUN_SIMULATED(a_custom_property_is_set_read_back_and_told);
    RUN_SIMULATED(a_qualifier_reaches_the_driver);
    RUN_SIMULATED(without_memory_nothing_is_half_done);
    return 0;
}
