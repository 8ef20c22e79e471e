// SPDX-License-Identifier: MIT
// Values, ranges, notifications and overrides of each kind of control.

#include "notifications.h"

#include "audio/control_value.h"

#include <dextral/IOUserAudioBooleanControl.h>
#include <dextral/IOUserAudioLevelControl.h>
#include <dextral/IOUserAudioSliderControl.h>
#include <dextral/IOUserAudioStereoPanControl.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>

#define OUTPUT IOUserAudioObjectPropertyScopeOutput
#define MAIN IOUserAudioObjectPropertyElementMain

static IOUserAudioDriver *driver;

static void
set_up(void)
{
    driver = notifications_driver_create();
    cr_assert(ne(ptr, driver, NULL));
}

static void
tear_down(void)
{
    notifications_driver_destroy(driver);
}

static const char *
taken(IOUserAudioObjectPtr control)
{
    return notifications_take(IOUserAudioObjectGetObjectID(control));
}

#define EXPECT_NOTIFIED(control, text) cr_expect_str_eq(taken(control), text)

/* Hands a value over as the host does, and releases it. */
static kern_return_t
set_from_host(IOUserAudioControlPtr control, OSObjectPtr value)
{
    const kern_return_t status = dx_control_set_from_host(control, value);
    OSObjectRelease(value);
    return status;
}

static OSNumber *
u32_value(uint32_t value)
{
    return OSNumberCreate(value, 32);
}

static OSArray *
array_value(const uint32_t *values, size_t count)
{
    OSArray *const array = OSArrayCreate(count);
    for (size_t i = 0; i < count; i++) {
        OSNumber *const number = u32_value(values[i]);
        cr_assert(OSArraySetObject(array, number));
        OSObjectRelease(number);
    }
    return array;
}

static float
float_of(OSObjectPtr number)
{
    float value = NAN;
    cr_assert(dx_control_float_of_number(number, &value));
    return value;
}

/* What all controls have in common. */

TestSuite(control, .init = set_up, .fini = tear_down);

Test(control, identity_is_what_create_was_given)
{
    IOUserAudioBooleanControl *const mute = IOUserAudioBooleanControlCreate(
        driver, true, false, 2, IOUserAudioObjectPropertyScopeInput, IOUserAudioClassIDMuteControl);
    cr_assert(ne(ptr, mute, NULL));
    cr_expect(IOUserAudioControlGetIsSettable(mute));
    cr_expect(eq(u32, IOUserAudioControlGetControlElement(mute), 2));
    cr_expect(eq(u32, IOUserAudioControlGetControlScope(mute), IOUserAudioObjectPropertyScopeInput));
    cr_expect(eq(u32, IOUserAudioObjectGetClassID(mute), IOUserAudioClassIDMuteControl));
    cr_expect(eq(u32, IOUserAudioObjectGetBaseClassID(mute), IOUserAudioClassIDBooleanControl));
    cr_expect(ge(u32, IOUserAudioObjectGetObjectID(mute), 2));
    cr_expect(OSObjectIsKindOf(mute, gIOUserAudioControlMetaClass));

    struct dx_control_identity identity;
    cr_assert(dx_control_get_identity(mute, &identity));
    cr_expect(eq(int, identity.kind, DX_CONTROL_BOOLEAN));
    cr_expect(eq(u32, identity.class_id, IOUserAudioClassIDMuteControl));
    cr_expect(eq(u32, identity.element, 2));
    cr_expect(eq(u32, identity.scope, IOUserAudioObjectPropertyScopeInput));
    cr_expect(identity.is_settable);
    OSObjectRelease(mute);
}

/* Families from AudioHardwareBase.h: which class stands above which. */
Test(control, base_class_is_the_family_and_of_a_family_control)
{
    static const IOUserAudioLevelControlRange range = {-96.0f, 0.0f};
    IOUserAudioLevelControl *const level =
        IOUserAudioLevelControlCreate(driver, true, 0.0f, range, MAIN, OUTPUT, IOUserAudioClassIDLevelControl);
    IOUserAudioLevelControl *const volume =
        IOUserAudioLevelControlCreate(driver, true, 0.0f, range, MAIN, OUTPUT, IOUserAudioClassIDVolumeControl);
    IOUserAudioSelectorControl *const source =
        IOUserAudioSelectorControlCreate(driver, true, MAIN, OUTPUT, IOUserAudioClassIDDataSourceControl);
    IOUserAudioSliderControl *const slider = IOUserAudioSliderControlCreate(
        driver, true, 0, (IOUserAudioSliderRange){0, 1}, MAIN, OUTPUT, IOUserAudioClassIDSliderControl);
    IOUserAudioStereoPanControl *const pan = IOUserAudioStereoPanControlCreate(
        driver, true, 0.5f, 1, 2, MAIN, OUTPUT, IOUserAudioClassIDStereoPanControl);
    cr_expect(eq(u32, IOUserAudioObjectGetBaseClassID(level), IOUserAudioClassIDControl));
    cr_expect(eq(u32, IOUserAudioObjectGetBaseClassID(volume), IOUserAudioClassIDLevelControl));
    cr_expect(eq(u32, IOUserAudioObjectGetBaseClassID(source), IOUserAudioClassIDSelectorControl));
    cr_expect(eq(u32, IOUserAudioObjectGetBaseClassID(slider), IOUserAudioClassIDControl));
    cr_expect(eq(u32, IOUserAudioObjectGetBaseClassID(pan), IOUserAudioClassIDControl));
    OSObjectRelease(level);
    OSObjectRelease(volume);
    OSObjectRelease(source);
    OSObjectRelease(slider);
    OSObjectRelease(pan);
}

Test(control, create_refuses_a_class_of_another_kind_an_unknown_scope_and_no_driver)
{
    cr_expect(
        eq(ptr,
           IOUserAudioBooleanControlCreate(driver, true, false, MAIN, OUTPUT, IOUserAudioClassIDVolumeControl),
           NULL));
    cr_expect(eq(ptr, IOUserAudioBooleanControlCreate(driver, true, false, MAIN, OUTPUT, 0), NULL));
    cr_expect(eq(ptr,
                 IOUserAudioBooleanControlCreate(driver, true, false, MAIN, OUTPUT, IOUserAudioClassIDControl),
                 NULL));
    cr_expect(eq(ptr,
                 IOUserAudioBooleanControlCreate(driver, true, false, MAIN, 0, IOUserAudioClassIDMuteControl),
                 NULL));
    cr_expect(
        eq(ptr, IOUserAudioBooleanControlCreate(NULL, true, false, MAIN, OUTPUT, IOUserAudioClassIDMuteControl),
           NULL));
}

Test(control, calls_on_what_is_no_control_fail_without_a_crash)
{
    OSString *const string = OSStringCreate("no control");
    cr_expect(not(IOUserAudioControlGetIsSettable(NULL)));
    cr_expect(not(IOUserAudioControlGetIsSettable(string)));
    cr_expect(eq(u32, IOUserAudioControlGetControlElement(string), 0));
    cr_expect(eq(u32, IOUserAudioControlGetControlScope(string), 0));
    cr_expect(eq(int, dx_control_set_from_host(string, string), kIOReturnBadArgument));
    cr_expect(eq(ptr, dx_control_copy_value(string), NULL));
    cr_expect(eq(ptr, dx_control_copy_value(NULL), NULL));
    cr_expect(eq(int, IOUserAudioBooleanControlSetControlValue(NULL, true), kIOReturnBadArgument));
    cr_expect(eq(int, IOUserAudioLevelControlSetRange(NULL, (IOUserAudioLevelControlRange){0, 1}),
                 kIOReturnBadArgument));
    cr_expect(eq(sz, IOUserAudioSelectorControlGetControlValuesCount(NULL), 0));
    OSObjectRelease(string);
}

Test(control, before_init_every_call_fails)
{
    IOUserAudioBooleanControl *const toggle = IOUserAudioBooleanControlAlloc();
    IOUserAudioSelectorControl *const selector = IOUserAudioSelectorControlAlloc();
    const IOUserAudioSelectorValue value = 1;
    IOUserAudioSelectorValue selected;
    cr_expect(eq(int, IOUserAudioBooleanControlSetControlValue(toggle, true), kIOReturnBadArgument));
    cr_expect(eq(int, IOUserAudioBooleanControlHandleChangeControlValue(toggle, true), kIOReturnBadArgument));
    cr_expect(
        eq(int, IOUserAudioBooleanControlHandleChangeControlValue_super(toggle, true), kIOReturnBadArgument));
    cr_expect(not(IOUserAudioBooleanControlGetControlValue(toggle)));
    cr_expect(
        eq(int, IOUserAudioSelectorControlSetCurrentSelectedValues(selector, &value, 1), kIOReturnBadArgument));
    cr_expect(eq(sz, IOUserAudioSelectorControlGetCurrentSelectedValues(selector, &selected, 1), 0));
    cr_expect(eq(ptr, dx_control_copy_value(selector), NULL));
    OSObjectRelease(toggle);
    OSObjectRelease(selector);
}

Test(control, init_runs_once)
{
    IOUserAudioBooleanControl *const toggle =
        IOUserAudioBooleanControlCreate(driver, true, true, MAIN, OUTPUT, IOUserAudioClassIDBooleanControl);
    cr_expect(not(IOUserAudioBooleanControlInit(toggle, driver, true, false, MAIN, OUTPUT,
                                                IOUserAudioClassIDMuteControl)));
    cr_expect(not(IOUserAudioBooleanControlInit_super(toggle, driver, true, false, MAIN, OUTPUT,
                                                      IOUserAudioClassIDMuteControl)));
    cr_expect(IOUserAudioBooleanControlGetControlValue(toggle));
    cr_expect(eq(u32, IOUserAudioObjectGetClassID(toggle), IOUserAudioClassIDBooleanControl));
    OSObjectRelease(toggle);
}

Test(control, host_may_not_change_what_is_not_settable)
{
    IOUserAudioBooleanControl *const jack =
        IOUserAudioBooleanControlCreate(driver, false, false, MAIN, OUTPUT, IOUserAudioClassIDJackControl);
    notifications_adopt(jack);
    cr_expect(eq(int, dx_control_set_from_host(jack, kOSBooleanTrue), kIOReturnNotPermitted));
    cr_expect(not(IOUserAudioBooleanControlGetControlValue(jack)));
    cr_expect(eq(int, IOUserAudioBooleanControlSetControlValue(jack, true), kIOReturnSuccess),
              "the driver may");
    cr_expect(IOUserAudioBooleanControlGetControlValue(jack));
    OSObjectRelease(jack);
}

Test(control, without_an_owner_nobody_is_told)
{
    IOUserAudioBooleanControl *const mute =
        IOUserAudioBooleanControlCreate(driver, true, false, MAIN, OUTPUT, IOUserAudioClassIDMuteControl);
    cr_expect(eq(int, IOUserAudioBooleanControlSetControlValue(mute, true), kIOReturnSuccess));
    EXPECT_NOTIFIED(mute, "");
    OSObjectRelease(mute);
}

/* Overrides. */

static unsigned frees, inits, handled;

static void
count_free(IOUserAudioBooleanControl *control)
{
    frees++;
    IOUserAudioBooleanControlFree_super(control);
}

static bool
count_init(IOUserAudioBooleanControl *control, IOUserAudioDriver *of, bool is_settable, bool control_value,
           IOUserAudioObjectPropertyElement element, IOUserAudioObjectPropertyScope scope,
           IOUserAudioClassID class_id)
{
    inits++;
    return IOUserAudioBooleanControlInit_super(control, of, is_settable, !control_value, element, scope,
                                               class_id);
}

static kern_return_t
refuse_boolean(IOUserAudioBooleanControl *control, bool value)
{
    (void)control;
    (void)value;
    handled++;
    return kIOReturnDeviceError;
}

static kern_return_t
accept_boolean(IOUserAudioBooleanControl *control, bool value)
{
    handled++;
    return IOUserAudioBooleanControlHandleChangeControlValue_super(control, value);
}

static const IOUserAudioBooleanControlOverrides refusing = {
    .size = sizeof(IOUserAudioBooleanControlOverrides),
    .init = count_init,
    .free = count_free,
    .HandleChangeControlValue = refuse_boolean,
};
static const IOUserAudioBooleanControlOverrides accepting = {
    .size = sizeof(IOUserAudioBooleanControlOverrides),
    .HandleChangeControlValue = accept_boolean,
};

Test(control, override_that_refuses_leaves_the_value)
{
    IOUserAudioBooleanControl *const mute = IOUserAudioBooleanControlAlloc();
    cr_assert(eq(int, IOUserAudioBooleanControlSetOverrides(mute, &refusing), kIOReturnSuccess));
    cr_assert(
        IOUserAudioBooleanControlInit(mute, driver, true, true, MAIN, OUTPUT, IOUserAudioClassIDMuteControl));
    notifications_adopt(mute);
    cr_expect(eq(uint, inits, 1u));
    cr_expect(not(IOUserAudioBooleanControlGetControlValue(mute)), "the override's init turned it round");
    cr_expect(eq(int, dx_control_set_from_host(mute, kOSBooleanTrue), kIOReturnDeviceError));
    cr_expect(eq(uint, handled, 1u));
    cr_expect(not(IOUserAudioBooleanControlGetControlValue(mute)));
    EXPECT_NOTIFIED(mute, "");
    OSObjectRelease(mute);
    cr_expect(eq(uint, frees, 1u));
}

Test(control, override_reaches_the_base)
{
    IOUserAudioBooleanControl *const mute = IOUserAudioBooleanControlAlloc();
    cr_assert(eq(int, IOUserAudioBooleanControlSetOverrides(mute, &accepting), kIOReturnSuccess));
    cr_assert(
        IOUserAudioBooleanControlInit(mute, driver, true, false, MAIN, OUTPUT, IOUserAudioClassIDMuteControl));
    notifications_adopt(mute);
    cr_expect(eq(int, dx_control_set_from_host(mute, kOSBooleanTrue), kIOReturnSuccess));
    cr_expect(eq(uint, handled, 1u));
    cr_expect(IOUserAudioBooleanControlGetControlValue(mute));
    EXPECT_NOTIFIED(mute, "'bcvl'");
    OSObjectRelease(mute);
}

Test(control, overrides_are_taken_only_before_init)
{
    IOUserAudioBooleanControl *const mute =
        IOUserAudioBooleanControlCreate(driver, true, false, MAIN, OUTPUT, IOUserAudioClassIDMuteControl);
    cr_expect(eq(int, IOUserAudioBooleanControlSetOverrides(mute, &refusing), kIOReturnBusy));
    cr_expect(eq(int, IOUserAudioBooleanControlSetOverrides(mute, NULL), kIOReturnBadArgument));
    cr_expect(eq(int, IOUserAudioBooleanControlSetOverrides(NULL, &refusing), kIOReturnBadArgument));
    OSObjectRelease(mute);
}

Test(control, a_shorter_table_of_overrides_leaves_the_rest_to_the_base)
{
    IOUserAudioBooleanControlOverrides older = refusing;
    older.size = offsetof(IOUserAudioBooleanControlOverrides, HandleChangeControlValue);
    IOUserAudioBooleanControl *const mute = IOUserAudioBooleanControlAlloc();
    cr_assert(eq(int, IOUserAudioBooleanControlSetOverrides(mute, &older), kIOReturnSuccess));
    cr_assert(
        IOUserAudioBooleanControlInit(mute, driver, true, true, MAIN, OUTPUT, IOUserAudioClassIDMuteControl));
    cr_expect(eq(int, dx_control_set_from_host(mute, kOSBooleanTrue), kIOReturnSuccess));
    cr_expect(IOUserAudioBooleanControlGetControlValue(mute));
    OSObjectRelease(mute);
    cr_expect(eq(uint, frees, 1u));
}

Test(control, free_of_an_object_that_was_never_initialised_is_overridden_too)
{
    IOUserAudioBooleanControl *const mute = IOUserAudioBooleanControlAlloc();
    cr_assert(eq(int, IOUserAudioBooleanControlSetOverrides(mute, &refusing), kIOReturnSuccess));
    OSObjectRelease(mute);
    cr_expect(eq(uint, frees, 1u));
}

/* Boolean. */

TestSuite(boolean_control, .init = set_up, .fini = tear_down);

Test(boolean_control, notifies_only_when_the_value_differs)
{
    IOUserAudioBooleanControl *const mute =
        IOUserAudioBooleanControlCreate(driver, true, true, MAIN, OUTPUT, IOUserAudioClassIDMuteControl);
    notifications_adopt(mute);
    cr_expect(IOUserAudioBooleanControlGetControlValue(mute));
    cr_expect(eq(int, IOUserAudioBooleanControlSetControlValue(mute, true), kIOReturnSuccess));
    EXPECT_NOTIFIED(mute, "");
    cr_expect(eq(int, IOUserAudioBooleanControlSetControlValue(mute, false), kIOReturnSuccess));
    EXPECT_NOTIFIED(mute, "'bcvl'");
    cr_expect(not(IOUserAudioBooleanControlGetControlValue(mute)));
    OSObjectRelease(mute);
}

Test(boolean_control, host_sets_and_saves_an_osboolean)
{
    IOUserAudioBooleanControl *const mute =
        IOUserAudioBooleanControlCreate(driver, true, false, MAIN, OUTPUT, IOUserAudioClassIDMuteControl);
    cr_expect(eq(int, set_from_host(mute, u32_value(1)), kIOReturnBadArgument));
    cr_expect(eq(int, dx_control_set_from_host(mute, NULL), kIOReturnBadArgument));
    cr_expect(eq(int, dx_control_set_from_host(mute, kOSBooleanTrue), kIOReturnSuccess));
    cr_expect(eq(ptr, dx_control_copy_value(mute), kOSBooleanTrue));
    OSObjectRelease(mute);
}

/* Slider. */

TestSuite(slider_control, .init = set_up, .fini = tear_down);

static IOUserAudioSliderControl *
slider_at(uint32_t value, uint32_t m_min, uint32_t m_max)
{
    IOUserAudioSliderControl *const slider =
        IOUserAudioSliderControlCreate(driver, true, value, (IOUserAudioSliderRange){m_min, m_max}, MAIN,
                                       OUTPUT, IOUserAudioClassIDSliderControl);
    cr_assert(ne(ptr, slider, NULL));
    notifications_adopt(slider);
    return slider;
}

Test(slider_control, value_stays_in_the_range)
{
    IOUserAudioSliderControl *const slider = slider_at(500, 10, 100);
    cr_expect(eq(u32, IOUserAudioSliderControlGetControlValue(slider), 100));
    cr_expect(eq(int, IOUserAudioSliderControlSetControlValue(slider, 50), kIOReturnSuccess));
    EXPECT_NOTIFIED(slider, "'sdrv'");
    cr_expect(eq(int, IOUserAudioSliderControlSetControlValue(slider, 0), kIOReturnSuccess));
    cr_expect(eq(u32, IOUserAudioSliderControlGetControlValue(slider), 10));
    EXPECT_NOTIFIED(slider, "'sdrv'");
    cr_expect(eq(int, IOUserAudioSliderControlSetControlValue(slider, 9), kIOReturnSuccess));
    EXPECT_NOTIFIED(slider, "");
    OSObjectRelease(slider);
}

Test(slider_control, a_new_range_moves_the_value_into_it)
{
    IOUserAudioSliderControl *const slider = slider_at(50, 0, 100);
    cr_expect(
        eq(int, IOUserAudioSliderControlSetRange(slider, (IOUserAudioSliderRange){0, 100}), kIOReturnSuccess));
    EXPECT_NOTIFIED(slider, "");
    cr_expect(eq(int, IOUserAudioSliderControlSetRange(slider, (IOUserAudioSliderRange){0, UINT32_MAX}),
                 kIOReturnSuccess));
    EXPECT_NOTIFIED(slider, "'sdrr'");
    cr_expect(eq(u32, IOUserAudioSliderControlGetControlValue(slider), 50));
    cr_expect(
        eq(int, IOUserAudioSliderControlSetRange(slider, (IOUserAudioSliderRange){60, 70}), kIOReturnSuccess));
    EXPECT_NOTIFIED(slider, "'sdrr' 'sdrv'");
    cr_expect(eq(u32, IOUserAudioSliderControlGetControlValue(slider), 60));
    cr_expect(eq(u32, IOUserAudioSliderControlGetRange(slider).m_min, 60));
    cr_expect(eq(u32, IOUserAudioSliderControlGetRange(slider).m_max, 70));
    OSObjectRelease(slider);
}

Test(slider_control, a_range_that_is_upside_down_is_refused)
{
    IOUserAudioSliderControl *const slider = slider_at(50, 0, 100);
    cr_expect(eq(int, IOUserAudioSliderControlSetRange(slider, (IOUserAudioSliderRange){2, 1}),
                 kIOReturnBadArgument));
    cr_expect(eq(u32, IOUserAudioSliderControlGetRange(slider).m_max, 100));
    cr_expect(eq(ptr,
                 IOUserAudioSliderControlCreate(driver, true, 0, (IOUserAudioSliderRange){2, 1}, MAIN, OUTPUT,
                                                IOUserAudioClassIDSliderControl),
                 NULL));
    OSObjectRelease(slider);
}

Test(slider_control, host_is_held_to_the_range)
{
    IOUserAudioSliderControl *const slider = slider_at(50, 10, 100);
    cr_expect(eq(int, set_from_host(slider, u32_value(9)), kIOReturnBadArgument));
    cr_expect(eq(int, set_from_host(slider, u32_value(101)), kIOReturnBadArgument));
    cr_expect(eq(int, set_from_host(slider, OSNumberCreate(50, 64)), kIOReturnBadArgument), "64 bits");
    cr_expect(eq(u32, IOUserAudioSliderControlGetControlValue(slider), 50));
    cr_expect(eq(int, set_from_host(slider, u32_value(100)), kIOReturnSuccess));
    EXPECT_NOTIFIED(slider, "'sdrv'");
    OSNumber *const saved = dx_control_copy_value(slider);
    cr_expect(eq(u32, OSNumberGetUInt32Value(saved), 100));
    cr_expect(eq(sz, OSNumberGetNumberOfBits(saved), 32));
    OSObjectRelease(saved);
    OSObjectRelease(slider);
}

/* Level.  Expected values: the linear map by hand. */

TestSuite(level_control, .init = set_up, .fini = tear_down);

static IOUserAudioLevelControl *
level_at(float decibels, float m_min, float m_max)
{
    IOUserAudioLevelControl *const level =
        IOUserAudioLevelControlCreate(driver, true, decibels, (IOUserAudioLevelControlRange){m_min, m_max},
                                      MAIN, OUTPUT, IOUserAudioClassIDVolumeControl);
    cr_assert(ne(ptr, level, NULL));
    notifications_adopt(level);
    return level;
}

struct level_case {
    char name[24]; // plain data only: each test runs in a process of its own
    float m_min, m_max, decibels, scalar;
};

ParameterizedTestParameters(level_control, decibels_and_scalar_are_one_value)
{
    static struct level_case cases[] = {
        {"bottom", -96.0f, 0.0f, -96.0f, 0.0f},          {"top", -96.0f, 0.0f, 0.0f, 1.0f},
        {"middle", -96.0f, 0.0f, -48.0f, 0.5f},          {"quarter", -96.0f, 0.0f, -72.0f, 0.25f},
        {"range over zero", -60.0f, 20.0f, 0.0f, 0.75f}, {"range above zero", 10.0f, 30.0f, 15.0f, 0.25f},
        {"top, odd bounds", -63.7f, 12.3f, 12.3f, 1.0f}, {"bottom, odd bounds", -63.7f, 12.3f, -63.7f, 0.0f},
        {"widest", -3.4e38f, 3.4e38f, 0.0f, 0.5f},
    };
    return cr_make_param_array(struct level_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct level_case *c, level_control, decibels_and_scalar_are_one_value)
{
    IOUserAudioLevelControl *const level = level_at(c->decibels, c->m_min, c->m_max);
    cr_expect(eq(flt, IOUserAudioLevelControlGetScalarValue(level), c->scalar), "%s", c->name);
    cr_expect(eq(int, IOUserAudioLevelControlSetScalarValue(level, c->scalar < 0.5f ? 1.0f : 0.0f),
                 kIOReturnSuccess));
    cr_expect(eq(flt, IOUserAudioLevelControlGetDecibelValue(level), c->scalar < 0.5f ? c->m_max : c->m_min),
              "%s", c->name);
    cr_expect(eq(int, IOUserAudioLevelControlSetScalarValue(level, c->scalar), kIOReturnSuccess));
    cr_expect(eq(flt, IOUserAudioLevelControlGetDecibelValue(level), c->decibels), "%s", c->name);
    cr_expect(eq(int, IOUserAudioLevelControlSetDecibelValue(level, c->decibels), kIOReturnSuccess));
    cr_expect(eq(flt, IOUserAudioLevelControlGetScalarValue(level), c->scalar), "%s", c->name);
    OSObjectRelease(level);
}

Test(level_control, values_outside_are_moved_to_the_ends)
{
    IOUserAudioLevelControl *const level = level_at(-500.0f, -96.0f, 6.0f);
    cr_expect(eq(flt, IOUserAudioLevelControlGetDecibelValue(level), -96.0f));
    cr_expect(eq(int, IOUserAudioLevelControlSetDecibelValue(level, 7.0f), kIOReturnSuccess));
    cr_expect(eq(flt, IOUserAudioLevelControlGetDecibelValue(level), 6.0f));
    cr_expect(eq(int, IOUserAudioLevelControlSetDecibelValue(level, -INFINITY), kIOReturnSuccess));
    cr_expect(eq(flt, IOUserAudioLevelControlGetDecibelValue(level), -96.0f));
    cr_expect(eq(int, IOUserAudioLevelControlSetScalarValue(level, INFINITY), kIOReturnSuccess));
    cr_expect(eq(flt, IOUserAudioLevelControlGetDecibelValue(level), 6.0f));
    cr_expect(eq(int, IOUserAudioLevelControlSetScalarValue(level, -0.5f), kIOReturnSuccess));
    cr_expect(eq(flt, IOUserAudioLevelControlGetScalarValue(level), 0.0f));
    OSObjectRelease(level);
}

Test(level_control, a_nan_is_refused)
{
    IOUserAudioLevelControl *const level = level_at(-6.0f, -96.0f, 0.0f);
    cr_expect(eq(int, IOUserAudioLevelControlSetDecibelValue(level, NAN), kIOReturnBadArgument));
    cr_expect(eq(int, IOUserAudioLevelControlSetScalarValue(level, NAN), kIOReturnBadArgument));
    cr_expect(eq(int, IOUserAudioLevelControlSetRange(level, (IOUserAudioLevelControlRange){NAN, 0.0f}),
                 kIOReturnBadArgument));
    cr_expect(eq(int, IOUserAudioLevelControlSetRange(level, (IOUserAudioLevelControlRange){-INFINITY, 0.0f}),
                 kIOReturnBadArgument));
    cr_expect(eq(int, IOUserAudioLevelControlSetRange(level, (IOUserAudioLevelControlRange){1.0f, 0.0f}),
                 kIOReturnBadArgument));
    cr_expect(eq(ptr,
                 IOUserAudioLevelControlCreate(driver, true, NAN, (IOUserAudioLevelControlRange){0.0f, 1.0f},
                                               MAIN, OUTPUT, IOUserAudioClassIDVolumeControl),
                 NULL));
    cr_expect(eq(flt, IOUserAudioLevelControlGetDecibelValue(level), -6.0f));
    EXPECT_NOTIFIED(level, "");
    OSObjectRelease(level);
}

Test(level_control, both_views_are_notified_and_only_when_they_differ)
{
    IOUserAudioLevelControl *const level = level_at(0.0f, -96.0f, 0.0f);
    cr_expect(eq(int, IOUserAudioLevelControlSetDecibelValue(level, -48.0f), kIOReturnSuccess));
    EXPECT_NOTIFIED(level, "'lcdv' 'lcsv'");
    cr_expect(eq(int, IOUserAudioLevelControlSetScalarValue(level, 0.5f), kIOReturnSuccess));
    EXPECT_NOTIFIED(level, "");
    cr_expect(eq(int, IOUserAudioLevelControlSetScalarValue(level, 0.3f), kIOReturnSuccess));
    EXPECT_NOTIFIED(level, "'lcdv' 'lcsv'");
    cr_expect(eq(int, IOUserAudioLevelControlSetScalarValue(level, 0.3f), kIOReturnSuccess));
    EXPECT_NOTIFIED(level, "");
    OSObjectRelease(level);
}

Test(level_control, a_new_range_keeps_the_decibels_that_fit_and_moves_the_scalar)
{
    IOUserAudioLevelControl *const level = level_at(-48.0f, -96.0f, 0.0f);
    cr_expect(eq(int, IOUserAudioLevelControlSetRange(level, (IOUserAudioLevelControlRange){-48.0f, 0.0f}),
                 kIOReturnSuccess));
    EXPECT_NOTIFIED(level, "'lcdr' 'lcsv'");
    cr_expect(eq(flt, IOUserAudioLevelControlGetDecibelValue(level), -48.0f));
    cr_expect(eq(flt, IOUserAudioLevelControlGetScalarValue(level), 0.0f));
    cr_expect(eq(int, IOUserAudioLevelControlSetRange(level, (IOUserAudioLevelControlRange){-20.0f, 0.0f}),
                 kIOReturnSuccess));
    EXPECT_NOTIFIED(level, "'lcdr' 'lcdv' 'lcsv'");
    cr_expect(eq(flt, IOUserAudioLevelControlGetDecibelValue(level), -20.0f));
    cr_expect(eq(flt, IOUserAudioLevelControlGetRange(level).m_min, -20.0f));
    cr_expect(eq(flt, IOUserAudioLevelControlGetRange(level).m_max, 0.0f));
    OSObjectRelease(level);
}

Test(level_control, a_range_of_one_point_has_scalar_zero)
{
    IOUserAudioLevelControl *const level = level_at(3.0f, -6.0f, -6.0f);
    cr_expect(eq(flt, IOUserAudioLevelControlGetDecibelValue(level), -6.0f));
    cr_expect(eq(flt, IOUserAudioLevelControlGetScalarValue(level), 0.0f));
    cr_expect(eq(int, IOUserAudioLevelControlSetScalarValue(level, 0.7f), kIOReturnSuccess));
    cr_expect(eq(flt, IOUserAudioLevelControlGetDecibelValue(level), -6.0f));
    OSObjectRelease(level);
}

Test(level_control, host_sets_decibels_or_a_scalar_within_the_range)
{
    IOUserAudioLevelControl *const level = level_at(0.0f, -96.0f, 0.0f);
    cr_expect(eq(int, set_from_host(level, dx_control_number_of_float(-97.0f)), kIOReturnBadArgument));
    cr_expect(eq(int, set_from_host(level, dx_control_number_of_float(NAN)), kIOReturnBadArgument));
    cr_expect(eq(int, set_from_host(level, dx_control_dictionary_of_scalar(1.01f)), kIOReturnBadArgument));
    cr_expect(eq(int, set_from_host(level, dx_control_dictionary_of_scalar(NAN)), kIOReturnBadArgument));
    cr_expect(eq(int, set_from_host(level, OSDictionaryCreate(0)), kIOReturnBadArgument));
    cr_expect(eq(int, set_from_host(level, OSStringCreate("-12 dB")), kIOReturnBadArgument));
    EXPECT_NOTIFIED(level, "");
    cr_expect(eq(int, set_from_host(level, dx_control_number_of_float(-12.0f)), kIOReturnSuccess));
    cr_expect(eq(flt, IOUserAudioLevelControlGetDecibelValue(level), -12.0f));
    cr_expect(eq(int, set_from_host(level, dx_control_dictionary_of_scalar(0.25f)), kIOReturnSuccess));
    cr_expect(eq(flt, IOUserAudioLevelControlGetDecibelValue(level), -72.0f));
    OSObjectPtr saved = dx_control_copy_value(level);
    cr_expect(eq(flt, float_of(saved), -72.0f));
    OSObjectRelease(saved);
    OSObjectRelease(level);
}

static kern_return_t
round_down(IOUserAudioLevelControl *control, float decibels)
{
    handled++;
    return IOUserAudioLevelControlHandleChangeDecibelValue_super(control, floorf(decibels));
}

static kern_return_t
refuse_scalar(IOUserAudioLevelControl *control, float scalar)
{
    (void)control;
    (void)scalar;
    return kIOReturnUnsupported;
}

Test(level_control, decibels_and_scalar_have_overrides_of_their_own)
{
    static const IOUserAudioLevelControlOverrides overrides = {
        .size = sizeof overrides,
        .HandleChangeDecibelValue = round_down,
        .HandleChangeScalarValue = refuse_scalar,
    };
    IOUserAudioLevelControl *const level = IOUserAudioLevelControlAlloc();
    cr_assert(eq(int, IOUserAudioLevelControlSetOverrides(level, &overrides), kIOReturnSuccess));
    cr_assert(IOUserAudioLevelControlInit(level, driver, true, 0.0f,
                                          (IOUserAudioLevelControlRange){-96.0f, 0.0f}, MAIN, OUTPUT,
                                          IOUserAudioClassIDVolumeControl));
    cr_expect(eq(int, set_from_host(level, dx_control_number_of_float(-11.5f)), kIOReturnSuccess));
    cr_expect(eq(flt, IOUserAudioLevelControlGetDecibelValue(level), -12.0f));
    cr_expect(eq(int, set_from_host(level, dx_control_dictionary_of_scalar(0.5f)), kIOReturnUnsupported));
    cr_expect(eq(flt, IOUserAudioLevelControlGetDecibelValue(level), -12.0f));
    cr_expect(eq(uint, handled, 1u));
    OSObjectRelease(level);
}

/* Selector. */

TestSuite(selector_control, .init = set_up, .fini = tear_down);

static IOUserAudioSelectorControl *
selector_create(void)
{
    IOUserAudioSelectorControl *const selector =
        IOUserAudioSelectorControlCreate(driver, true, MAIN, OUTPUT, IOUserAudioClassIDDataSourceControl);
    cr_assert(ne(ptr, selector, NULL));
    notifications_adopt(selector);
    return selector;
}

static kern_return_t
describe(IOUserAudioSelectorControl *selector, IOUserAudioSelectorValue value, const char *name)
{
    IOUserAudioSelectorValueDescription description = {value, OSStringCreate(name)};
    const kern_return_t status =
        IOUserAudioSelectorControlAddControlValueDescriptions(selector, &description, 1);
    OSObjectRelease(description.m_name);
    return status;
}

static kern_return_t
select_value(IOUserAudioSelectorControl *selector, IOUserAudioSelectorValue value)
{
    return IOUserAudioSelectorControlSetCurrentSelectedValues(selector, &value, 1);
}

Test(selector_control, nothing_is_selected_at_first)
{
    IOUserAudioSelectorControl *const selector = selector_create();
    IOUserAudioSelectorValue values[2];
    cr_expect(eq(sz, IOUserAudioSelectorControlGetCurrentSelectedValues(selector, values, 2), 0));
    cr_expect(eq(sz, IOUserAudioSelectorControlGetControlValuesCount(selector), 0));
    cr_expect(eq(sz, IOUserAudioSelectorControlGetCurrentSelectedValues(selector, NULL, 2), 0));
    OSObjectRelease(selector);
}

Test(selector_control, a_driver_may_select_before_it_describes_and_then_only_what_it_described)
{
    IOUserAudioSelectorControl *const selector = selector_create();
    cr_expect(eq(int, select_value(selector, 7), kIOReturnSuccess));
    EXPECT_NOTIFIED(selector, "'scci'");
    cr_expect(eq(int, describe(selector, 7, "seven"), kIOReturnSuccess));
    EXPECT_NOTIFIED(selector, "'scai'");
    cr_expect(eq(int, select_value(selector, 8), kIOReturnBadArgument));
    cr_expect(eq(int, select_value(selector, 7), kIOReturnSuccess));
    EXPECT_NOTIFIED(selector, "");
    OSObjectRelease(selector);
}

Test(selector_control, host_selects_only_what_is_described)
{
    IOUserAudioSelectorControl *const selector = selector_create();
    cr_expect(eq(int, set_from_host(selector, array_value((uint32_t[]){7}, 1)), kIOReturnBadArgument));
    cr_expect(eq(int, describe(selector, 7, "seven"), kIOReturnSuccess));
    cr_expect(eq(int, describe(selector, 8, "eight"), kIOReturnSuccess));
    taken(selector);
    cr_expect(eq(int, set_from_host(selector, array_value((uint32_t[]){7, 9}, 2)), kIOReturnBadArgument));
    cr_expect(eq(int, set_from_host(selector, array_value((uint32_t[]){7, 7}, 2)), kIOReturnBadArgument));
    cr_expect(eq(int, set_from_host(selector, u32_value(7)), kIOReturnBadArgument), "no array");
    cr_expect(eq(int, set_from_host(selector, array_value((uint32_t[]){8, 7}, 2)), kIOReturnSuccess));
    EXPECT_NOTIFIED(selector, "'scci'");

    OSArray *const saved = dx_control_copy_value(selector);
    OSArray *const expected = array_value((uint32_t[]){8, 7}, 2);
    cr_expect(OSObjectIsEqualTo(saved, expected));
    cr_expect(eq(int, set_from_host(selector, array_value(NULL, 0)), kIOReturnSuccess), "none at all");
    IOUserAudioSelectorValue value;
    cr_expect(eq(sz, IOUserAudioSelectorControlGetCurrentSelectedValues(selector, &value, 1), 0));
    OSObjectRelease(expected);
    cr_expect(eq(int, set_from_host(selector, saved), kIOReturnSuccess), "what was saved can be restored");
    OSObjectRelease(selector);
}

Test(selector_control, several_values_keep_their_order_and_the_getter_its_capacity)
{
    IOUserAudioSelectorControl *const selector = selector_create();
    static const IOUserAudioSelectorValue wanted[] = {30, 10, 20};
    cr_expect(
        eq(int, IOUserAudioSelectorControlSetCurrentSelectedValues(selector, wanted, 3), kIOReturnSuccess));
    IOUserAudioSelectorValue values[4] = {0, 0, 0, 99};
    cr_expect(eq(sz, IOUserAudioSelectorControlGetCurrentSelectedValues(selector, values, 4), 3));
    cr_expect(eq(u32, values[0], 30));
    cr_expect(eq(u32, values[1], 10));
    cr_expect(eq(u32, values[2], 20));
    cr_expect(eq(u32, values[3], 99));
    values[1] = 55;
    cr_expect(eq(sz, IOUserAudioSelectorControlGetCurrentSelectedValues(selector, values, 1), 1));
    cr_expect(eq(u32, values[1], 55));
    taken(selector);
    static const IOUserAudioSelectorValue reordered[] = {10, 30, 20};
    cr_expect(
        eq(int, IOUserAudioSelectorControlSetCurrentSelectedValues(selector, reordered, 3), kIOReturnSuccess));
    EXPECT_NOTIFIED(selector, "'scci'");
    cr_expect(
        eq(int, IOUserAudioSelectorControlSetCurrentSelectedValues(selector, reordered, 2), kIOReturnSuccess));
    EXPECT_NOTIFIED(selector, "'scci'");
    OSObjectRelease(selector);
}

Test(selector_control, at_most_64_values_are_selected_at_once)
{
    IOUserAudioSelectorControl *const selector = selector_create();
    IOUserAudioSelectorValue values[DX_MAX_SELECTED_VALUES + 1], read[DX_MAX_SELECTED_VALUES];
    for (uint32_t i = 0; i <= DX_MAX_SELECTED_VALUES; i++)
        values[i] = 1000 + i;
    cr_expect(eq(
        int, IOUserAudioSelectorControlSetCurrentSelectedValues(selector, values, DX_MAX_SELECTED_VALUES + 1),
        kIOReturnNoSpace));
    cr_expect(eq(int,
                 IOUserAudioSelectorControlSetCurrentSelectedValues(selector, values, DX_MAX_SELECTED_VALUES),
                 kIOReturnSuccess));
    cr_expect(eq(sz, IOUserAudioSelectorControlGetCurrentSelectedValues(selector, read, DX_MAX_SELECTED_VALUES),
                 DX_MAX_SELECTED_VALUES));
    cr_expect(eq(u32, read[63], 1063));
    cr_expect(
        eq(int, set_from_host(selector, array_value(values, DX_MAX_SELECTED_VALUES + 1)), kIOReturnNoSpace));
    cr_expect(
        eq(int, IOUserAudioSelectorControlSetCurrentSelectedValues(selector, NULL, 1), kIOReturnBadArgument));
    cr_expect(eq(int, IOUserAudioSelectorControlSetCurrentSelectedValues(selector, NULL, 0), kIOReturnSuccess));
    OSObjectRelease(selector);
}

Test(selector_control, descriptions_keep_their_order_and_retain_their_names)
{
    IOUserAudioSelectorControl *const selector = selector_create();
    OSString *const name = OSStringCreate("line");
    const IOUserAudioSelectorValueDescription first[] = {{5, name}, {3, name}};
    cr_expect(
        eq(int, IOUserAudioSelectorControlAddControlValueDescriptions(selector, first, 2), kIOReturnSuccess));
    cr_expect(eq(u32, OSObjectGetRetainCount(name), 3));
    cr_expect(eq(int, describe(selector, 4, "four"), kIOReturnSuccess));
    cr_expect(eq(sz, IOUserAudioSelectorControlGetControlValuesCount(selector), 3));

    IOUserAudioSelectorValueDescription read[3];
    cr_assert(eq(sz, IOUserAudioSelectorControlGetControlValueDescriptions(selector, read, 3), 3));
    cr_expect(eq(u32, read[0].m_value, 5));
    cr_expect(eq(u32, read[1].m_value, 3));
    cr_expect(eq(u32, read[2].m_value, 4));
    cr_expect_str_eq(OSStringGetCStringNoCopy(read[2].m_name), "four");
    for (unsigned i = 0; i < 3; i++)
        OSObjectRelease(read[i].m_name);
    cr_expect(eq(sz, IOUserAudioSelectorControlGetControlValueDescriptions(selector, read, 1), 1));
    OSObjectRelease(read[0].m_name);
    OSObjectRelease(selector);
    cr_expect(eq(u32, OSObjectGetRetainCount(name), 1));
    OSObjectRelease(name);
}

Test(selector_control, a_value_described_twice_or_without_a_name_adds_nothing)
{
    IOUserAudioSelectorControl *const selector = selector_create();
    cr_expect(eq(int, describe(selector, 1, "one"), kIOReturnSuccess));
    cr_expect(eq(int, describe(selector, 1, "again"), kIOReturnBadArgument));
    taken(selector);
    OSString *const name = OSStringCreate("two");
    const IOUserAudioSelectorValueDescription twice[] = {{2, name}, {2, name}};
    const IOUserAudioSelectorValueDescription nameless[] = {{2, name}, {3, NULL}};
    OSNumber *const number = u32_value(0);
    const IOUserAudioSelectorValueDescription numbered = {2, (OSString *)(void *)number};
    cr_expect(eq(int, IOUserAudioSelectorControlAddControlValueDescriptions(selector, twice, 2),
                 kIOReturnBadArgument));
    cr_expect(eq(int, IOUserAudioSelectorControlAddControlValueDescriptions(selector, nameless, 2),
                 kIOReturnBadArgument));
    cr_expect(eq(int, IOUserAudioSelectorControlAddControlValueDescriptions(selector, &numbered, 1),
                 kIOReturnBadArgument));
    cr_expect(eq(int, IOUserAudioSelectorControlAddControlValueDescriptions(selector, NULL, 1),
                 kIOReturnBadArgument));
    cr_expect(
        eq(int, IOUserAudioSelectorControlAddControlValueDescriptions(selector, NULL, 0), kIOReturnSuccess));
    cr_expect(eq(sz, IOUserAudioSelectorControlGetControlValuesCount(selector), 1));
    cr_expect(eq(u32, OSObjectGetRetainCount(name), 1));
    EXPECT_NOTIFIED(selector, "");
    OSObjectRelease(number);
    OSObjectRelease(name);
    OSObjectRelease(selector);
}

Test(selector_control, removing_is_all_or_nothing_and_leaves_the_selection)
{
    IOUserAudioSelectorControl *const selector = selector_create();
    for (uint32_t i = 0; i < 5; i++)
        cr_expect(eq(int, describe(selector, i, "item"), kIOReturnSuccess));
    cr_expect(eq(int, select_value(selector, 3), kIOReturnSuccess));
    taken(selector);
    const IOUserAudioSelectorValueDescription missing[] = {{1, NULL}, {9, NULL}};
    const IOUserAudioSelectorValueDescription twice[] = {{1, NULL}, {1, NULL}};
    const IOUserAudioSelectorValueDescription good[] = {{3, NULL}, {0, NULL}};
    cr_expect(eq(int, IOUserAudioSelectorControlRemoveControlValueDescriptions(selector, missing, 2),
                 kIOReturnNotFound));
    cr_expect(eq(int, IOUserAudioSelectorControlRemoveControlValueDescriptions(selector, twice, 2),
                 kIOReturnNotFound));
    cr_expect(eq(int, IOUserAudioSelectorControlRemoveControlValueDescriptions(selector, NULL, 1),
                 kIOReturnBadArgument));
    cr_expect(eq(sz, IOUserAudioSelectorControlGetControlValuesCount(selector), 5));
    EXPECT_NOTIFIED(selector, "");
    cr_expect(
        eq(int, IOUserAudioSelectorControlRemoveControlValueDescriptions(selector, good, 2), kIOReturnSuccess));
    EXPECT_NOTIFIED(selector, "'scai'");
    static const IOUserAudioSelectorValue left[] = {1, 2, 4};
    IOUserAudioSelectorValueDescription read[5];
    cr_assert(eq(sz, IOUserAudioSelectorControlGetControlValueDescriptions(selector, read, 5), 3));
    for (unsigned i = 0; i < 3; i++) {
        cr_expect(eq(u32, read[i].m_value, left[i]));
        OSObjectRelease(read[i].m_name);
    }
    IOUserAudioSelectorValue value = 0;
    cr_expect(eq(sz, IOUserAudioSelectorControlGetCurrentSelectedValues(selector, &value, 1), 1));
    cr_expect(eq(u32, value, 3));
    cr_expect(eq(int, describe(selector, 3, "back"), kIOReturnSuccess));
    OSObjectRelease(selector);
}

Test(selector_control, at_most_1024_items_are_described)
{
    IOUserAudioSelectorControl *const selector = selector_create();
    OSString *const name = OSStringCreate("item");
    IOUserAudioSelectorValueDescription *const items = calloc(DX_MAX_SELECTOR_ITEMS + 1, sizeof *items);
    for (uint32_t i = 0; i <= DX_MAX_SELECTOR_ITEMS; i++)
        items[i] = (IOUserAudioSelectorValueDescription){i, name};
    cr_expect(eq(
        int, IOUserAudioSelectorControlAddControlValueDescriptions(selector, items, DX_MAX_SELECTOR_ITEMS + 1),
        kIOReturnNoSpace));
    cr_expect(eq(int, IOUserAudioSelectorControlAddControlValueDescriptions(selector, items, SIZE_MAX),
                 kIOReturnNoSpace));
    cr_expect(eq(int,
                 IOUserAudioSelectorControlAddControlValueDescriptions(selector, items, DX_MAX_SELECTOR_ITEMS),
                 kIOReturnSuccess));
    cr_expect(eq(int, describe(selector, DX_MAX_SELECTOR_ITEMS, "one more"), kIOReturnNoSpace));
    cr_expect(eq(
        int, IOUserAudioSelectorControlRemoveControlValueDescriptions(selector, items, DX_MAX_SELECTOR_ITEMS),
        kIOReturnSuccess));
    cr_expect(eq(sz, IOUserAudioSelectorControlGetControlValuesCount(selector), 0));
    cr_expect(eq(u32, OSObjectGetRetainCount(name), 1));
    free(items);
    OSObjectRelease(name);
    OSObjectRelease(selector);
}

static kern_return_t
refuse_selection(IOUserAudioSelectorControl *control, const IOUserAudioSelectorValue *values, size_t count)
{
    cr_expect(eq(sz, count, 1));
    cr_expect(eq(u32, values[0], 2));
    (void)control;
    return kIOReturnNotReady;
}

Test(selector_control, override_that_refuses_leaves_the_selection)
{
    static const IOUserAudioSelectorControlOverrides overrides = {
        .size = sizeof overrides,
        .HandleChangeSelectedValues = refuse_selection,
    };
    IOUserAudioSelectorControl *const selector = IOUserAudioSelectorControlAlloc();
    cr_assert(eq(int, IOUserAudioSelectorControlSetOverrides(selector, &overrides), kIOReturnSuccess));
    cr_assert(IOUserAudioSelectorControlInit(selector, driver, true, MAIN, OUTPUT,
                                             IOUserAudioClassIDClockSourceControl));
    cr_expect(eq(int, describe(selector, 1, "one"), kIOReturnSuccess));
    cr_expect(eq(int, describe(selector, 2, "two"), kIOReturnSuccess));
    cr_expect(eq(int, select_value(selector, 1), kIOReturnSuccess));
    cr_expect(eq(int, set_from_host(selector, array_value((uint32_t[]){2}, 1)), kIOReturnNotReady));
    IOUserAudioSelectorValue value = 0;
    cr_expect(eq(sz, IOUserAudioSelectorControlGetCurrentSelectedValues(selector, &value, 1), 1));
    cr_expect(eq(u32, value, 1));
    const IOUserAudioSelectorValue two = 2;
    cr_expect(eq(int, IOUserAudioSelectorControlHandleChangeSelectedValues_super(selector, &two, 1),
                 kIOReturnSuccess));
    OSObjectRelease(selector);
}

/* Stereo pan. */

TestSuite(stereo_pan_control, .init = set_up, .fini = tear_down);

Test(stereo_pan_control, position_and_channels)
{
    IOUserAudioStereoPanControl *const pan = IOUserAudioStereoPanControlCreate(
        driver, true, 7.0f, 3, 4, MAIN, OUTPUT, IOUserAudioClassIDStereoPanControl);
    notifications_adopt(pan);
    IOUserAudioObjectPropertyElement left = 0, right = 0;
    cr_expect(eq(flt, IOUserAudioStereoPanControlGetControlValue(pan), 1.0f));
    IOUserAudioStereoPanControlGetPanningChannels(pan, &left, &right);
    cr_expect(eq(u32, left, 3));
    cr_expect(eq(u32, right, 4));
    cr_expect(eq(int, IOUserAudioStereoPanControlSetControlValue(pan, 1.5f), kIOReturnSuccess));
    EXPECT_NOTIFIED(pan, "");
    cr_expect(eq(int, IOUserAudioStereoPanControlSetControlValue(pan, 0.25f), kIOReturnSuccess));
    EXPECT_NOTIFIED(pan, "'spcv'");
    cr_expect(eq(int, IOUserAudioStereoPanControlSetControlValue(pan, NAN), kIOReturnBadArgument));
    cr_expect(eq(int, IOUserAudioStereoPanControlSetPanningChannels(pan, 3, 4), kIOReturnSuccess));
    EXPECT_NOTIFIED(pan, "");
    cr_expect(eq(int, IOUserAudioStereoPanControlSetPanningChannels(pan, 1, 4), kIOReturnSuccess));
    EXPECT_NOTIFIED(pan, "'spcc'");
    IOUserAudioStereoPanControlGetPanningChannels(pan, &left, NULL);
    cr_expect(eq(u32, left, 1));
    IOUserAudioStereoPanControlGetPanningChannels(NULL, &left, &right);
    cr_expect(eq(u32, left, 1));
    OSObjectRelease(pan);
}

Test(stereo_pan_control, host_is_held_to_the_range)
{
    IOUserAudioStereoPanControl *const pan = IOUserAudioStereoPanControlCreate(
        driver, true, 0.5f, 1, 2, MAIN, OUTPUT, IOUserAudioClassIDStereoPanControl);
    notifications_adopt(pan);
    cr_expect(eq(int, set_from_host(pan, dx_control_number_of_float(1.1f)), kIOReturnBadArgument));
    cr_expect(eq(int, set_from_host(pan, dx_control_number_of_float(NAN)), kIOReturnBadArgument));
    cr_expect(eq(int, set_from_host(pan, dx_control_number_of_float(0.0f)), kIOReturnSuccess));
    EXPECT_NOTIFIED(pan, "'spcv'");
    OSObjectPtr saved = dx_control_copy_value(pan);
    cr_expect(eq(flt, float_of(saved), 0.0f));
    OSObjectRelease(saved);
    OSObjectRelease(pan);
}
