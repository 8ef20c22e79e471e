// SPDX-License-Identifier: MIT
// Every allocation of controls and custom properties fails once: nothing leaks, and old values stay.

#include "notifications.h"

#include "../core/check.h"
#include "../core/failing_allocator.h"

#include "audio/control_value.h"
#include "audio/custom_property.h"

#include <dextral/IOUserAudioBooleanControl.h>
#include <dextral/IOUserAudioLevelControl.h>
#include <dextral/IOUserAudioSliderControl.h>
#include <dextral/IOUserAudioStereoPanControl.h>

#define MAIN IOUserAudioObjectPropertyElementMain
#define OUTPUT IOUserAudioObjectPropertyScopeOutput

static IOUserAudioDriver *driver;
static OSString *name;
static OSString *old_value;
static OSString *new_value;

static bool
create_one_of_each(void)
{
    OSObjectPtr objects[] = {
        IOUserAudioBooleanControlCreate(driver, true, false, MAIN, OUTPUT, IOUserAudioClassIDMuteControl),
        IOUserAudioSliderControlCreate(driver, true, 0, (IOUserAudioSliderRange){0, 1}, MAIN, OUTPUT,
                                       IOUserAudioClassIDSliderControl),
        IOUserAudioLevelControlCreate(driver, true, 0.0f, (IOUserAudioLevelControlRange){-1.0f, 0.0f}, MAIN,
                                      OUTPUT, IOUserAudioClassIDVolumeControl),
        IOUserAudioSelectorControlCreate(driver, true, MAIN, OUTPUT, IOUserAudioClassIDSelectorControl),
        IOUserAudioStereoPanControlCreate(driver, true, 0.5f, 1, 2, MAIN, OUTPUT,
                                          IOUserAudioClassIDStereoPanControl),
    };
    bool done = true;
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
        if (!objects[i])
            done = false;
        OSObjectRelease(objects[i]);
    }
    return done;
}

static bool
describe_and_save(void)
{
    IOUserAudioSelectorControl *const selector =
        IOUserAudioSelectorControlCreate(driver, true, MAIN, OUTPUT, IOUserAudioClassIDSelectorControl);
    if (!selector)
        return false;
    bool done = true;
    size_t described = 0;
    for (uint32_t i = 0; i < 3; i++) {
        const IOUserAudioSelectorValueDescription item = {i, name};
        const kern_return_t status = IOUserAudioSelectorControlAddControlValueDescriptions(selector, &item, 1);
        CHECK(status == kIOReturnSuccess || status == kIOReturnNoMemory);
        if (status == kIOReturnSuccess)
            described++;
        else
            done = false;
        CHECK_EQ(IOUserAudioSelectorControlGetControlValuesCount(selector), described);
    }
    OSObjectPtr saved = NULL;
    if (done) {
        const IOUserAudioSelectorValue values[] = {2, 0};
        CHECK_EQ(IOUserAudioSelectorControlSetCurrentSelectedValues(selector, values, 2), kIOReturnSuccess);
        saved = dx_control_copy_value(selector);
        done = saved != NULL;
        CHECK(!done || dx_control_set_from_host(selector, saved) == kIOReturnSuccess);
    }
    OSObjectRelease(saved);
    OSObjectRelease(selector);
    CHECK_EQ(OSObjectGetRetainCount(name), 1);
    return done;
}

static bool
save_a_level(void)
{
    IOUserAudioLevelControl *const level =
        IOUserAudioLevelControlCreate(driver, true, 0.0f, (IOUserAudioLevelControlRange){-1.0f, 0.0f}, MAIN,
                                      OUTPUT, IOUserAudioClassIDVolumeControl);
    if (!level)
        return false;
    OSObjectPtr saved = dx_control_copy_value(level);
    OSDictionary *const scalar = dx_control_dictionary_of_scalar(0.5f);
    const bool done = saved && scalar;
    OSObjectRelease(saved);
    OSObjectRelease(scalar);
    OSObjectRelease(level);
    return done;
}

static bool
cross_a_custom_property(void)
{
    const IOUserAudioObjectPropertyAddress address = {DX_FOURCC('t', 'e', 's', 't'), OUTPUT, MAIN};
    IOUserAudioCustomProperty *const property =
        IOUserAudioCustomPropertyCreate(driver, address, true, IOUserAudioCustomPropertyDataTypeString,
                                        IOUserAudioCustomPropertyDataTypeString);
    if (!property)
        return false;
    CHECK_EQ(IOUserAudioCustomPropertySetQualifierAndDataValue(property, NULL, old_value), kIOReturnSuccess);
    const kern_return_t status = dx_custom_property_set_value(property, name, new_value);
    CHECK(status == kIOReturnSuccess || status == kIOReturnNoMemory);
    OSObjectPtr held = NULL, copy = NULL;
    CHECK_EQ(IOUserAudioCustomPropertyGetCustomPropertyValueWithQualifier(property, name, &held),
             kIOReturnSuccess);
    CHECK(OSObjectIsEqualTo(held, status == kIOReturnSuccess ? new_value : old_value));
    const kern_return_t copied = dx_custom_property_copy_value(property, name, &copy);
    CHECK((copied == kIOReturnSuccess && copy) || (copied == kIOReturnNoMemory && !copy));
    OSObjectRelease(copy);
    OSObjectRelease(held);
    OSObjectRelease(property);
    return status == kIOReturnSuccess && copied == kIOReturnSuccess;
}

static void
fail_at_every_point_of(bool (*try_it)(void))
{
    for (uint64_t n = 1;; n++) {
        const uint64_t live = failing_allocator_live();
        failing_allocator_fail_at(n);
        const bool done = try_it();
        const bool failed = failing_allocator_stop();
        CHECK(done != failed);
        CHECK_EQ(failing_allocator_live(), live);
        if (!failed)
            break;
    }
}

static void
create_fails_cleanly(void)
{
    fail_at_every_point_of(create_one_of_each);
}

static void
descriptions_and_saved_values_fail_cleanly(void)
{
    fail_at_every_point_of(describe_and_save);
    fail_at_every_point_of(save_a_level);
}

static void
crossing_fails_cleanly(void)
{
    fail_at_every_point_of(cross_a_custom_property);
}

int
main(void)
{
    driver = notifications_driver_create();
    name = OSStringCreate("name");
    old_value = OSStringCreate("old");
    new_value = OSStringCreate("new");
    CHECK(driver && name && old_value && new_value);
    RUN(create_fails_cleanly);
    RUN(descriptions_and_saved_values_fail_cleanly);
    RUN(crossing_fails_cleanly);
    OSObjectRelease(name);
    OSObjectRelease(old_value);
    OSObjectRelease(new_value);
    notifications_driver_destroy(driver);
    return 0;
}
