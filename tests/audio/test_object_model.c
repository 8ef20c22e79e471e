// SPDX-License-Identifier: MIT
// What all audio objects have in common, and the driver that owns them.

#include "expect.h"

#include "audio/driver.h"
#include "audio/object.h"

#include <dextral/clock.h>

#include <string.h>

#define MAIN IOUserAudioObjectPropertyElementMain
#define OUTPUT IOUserAudioObjectPropertyScopeOutput
#define INPUT IOUserAudioObjectPropertyScopeInput

static IOUserAudioDriver *driver;
static IOUserAudioDevice *device;
static OSString *text;

static void
set_up(void)
{
    driver = fake_host_start_driver(NULL);
    ASSERT(driver);
    device = make_device(driver, "uid", 512);
    ASSERT(device);
    text = OSStringCreate("text");
    ASSERT(text);
}

static void
tear_down(void)
{
    OSObjectRelease(text);
    OSObjectRelease(device);
    fake_host_stop_driver(driver);
}

TestSuite(audio_object, .init = set_up, .fini = tear_down);

Test(audio_object, ids_start_behind_the_driver_and_are_not_used_again)
{
    const IOUserAudioObjectID first = IOUserAudioObjectGetObjectID(device);
    cr_expect(eq(u32, first, 2));
    IOUserAudioStream *stream = make_stream(driver, IOUserAudioStreamDirectionInput, 0);
    cr_expect(eq(u32, IOUserAudioObjectGetObjectID(stream), first + 1));
    OSObjectRelease(stream);
    stream = make_stream(driver, IOUserAudioStreamDirectionInput, 0);
    cr_expect(eq(u32, IOUserAudioObjectGetObjectID(stream), first + 2));
    OSObjectRelease(stream);
}

Test(audio_object, classes_are_those_of_the_reference)
{
    IOUserAudioStream *const stream = make_stream(driver, IOUserAudioStreamDirectionInput, 0);
    IOUserAudioClockDevice *const clock = IOUserAudioClockDeviceCreate(driver, false, text, NULL, NULL, 1);
    ASSERT(stream && clock);
    cr_expect(eq(u32, IOUserAudioObjectGetClassID(device), IOUserAudioClassIDDevice));
    cr_expect(eq(u32, IOUserAudioObjectGetBaseClassID(device), IOUserAudioClassIDClock));
    cr_expect(eq(u32, IOUserAudioObjectGetClassID(clock), IOUserAudioClassIDClock));
    cr_expect(eq(u32, IOUserAudioObjectGetBaseClassID(clock), IOUserAudioClassIDObject));
    cr_expect(eq(u32, IOUserAudioObjectGetClassID(stream), IOUserAudioClassIDStream));
    cr_expect(eq(u32, IOUserAudioObjectGetBaseClassID(stream), IOUserAudioClassIDObject));
    cr_expect(eq(u32, IOUserAudioDriverGetClassID(driver), IOUserAudioClassIDDriver));
    cr_expect(eq(u32, IOUserAudioDriverGetBaseClassID(driver), IOUserAudioClassIDObject));
    OSObjectRelease(clock);
    OSObjectRelease(stream);
}

Test(audio_object, what_is_no_audio_object_is_refused)
{
    const OSObjectPtr wrong[] = {NULL, text, driver};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_expect(zero(u32, IOUserAudioObjectGetClassID(wrong[i])));
        cr_expect(zero(u32, IOUserAudioObjectGetBaseClassID(wrong[i])));
        cr_expect(zero(u32, IOUserAudioObjectGetObjectID(wrong[i])));
        cr_expect(zero(u32, IOUserAudioObjectGetOwnerObjectID(wrong[i])));
        EXPECT(!IOUserAudioObjectGetWorkQueue(wrong[i]));
        EXPECT(!IOUserAudioObjectGetName(wrong[i]));
        EXPECT(!IOUserAudioObjectGetElementName(wrong[i], 1, OUTPUT));
        EXPECT_STATUS(IOUserAudioObjectSetName(wrong[i], text), kIOReturnBadArgument);
        EXPECT_STATUS(IOUserAudioObjectSetElementName(wrong[i], 1, OUTPUT, text), kIOReturnBadArgument);
        EXPECT_STATUS(IOUserAudioObjectAddCustomProperty(wrong[i], NULL), kIOReturnBadArgument);
        EXPECT_STATUS(IOUserAudioObjectRemoveCustomProperty(wrong[i], NULL), kIOReturnBadArgument);
    }
}

Test(audio_object, an_object_that_was_not_initialised_answers_with_errors)
{
    IOUserAudioDevice *const raw = IOUserAudioDeviceAlloc();
    IOUserAudioStream *const raw_stream = IOUserAudioStreamAlloc();
    IOUserAudioBox *const raw_box = IOUserAudioBoxAlloc();
    IOUserAudioClockDevice *const raw_clock = IOUserAudioClockDeviceAlloc();
    IOUserAudioDriver *const raw_driver = IOUserAudioDriverAlloc();
    IOUserClient *const raw_client = IOUserClientAlloc();
    ASSERT(raw && raw_stream && raw_box && raw_clock && raw_driver && raw_client);
    EXPECT_STATUS(IOUserAudioObjectSetName(raw, text), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceStartIO(raw, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioClockDeviceStartIO(raw_clock, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetIOOperationHandler(raw, NULL, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceAddStream(device, raw_stream), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, raw), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDriverAddObject(raw_driver, device), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDriverStart(raw_driver, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioBoxSetHasVideo(raw_box, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserClientStart(raw_client, driver), kIOReturnBadArgument);
    EXPECT_STATUS(IOServiceRegisterService(raw_driver), kIOReturnBadArgument);
    EXPECT(!make_device(raw_driver, "uid", 512));
    IOUserAudioDeviceUpdateCurrentZeroTimestamp(raw, 1, 1);
    cr_expect(zero(u32, IOUserAudioDeviceGetZeroTimestampPeriod(raw)));
    OSObjectRelease(raw_client);
    OSObjectRelease(raw_driver);
    OSObjectRelease(raw_clock);
    OSObjectRelease(raw_box);
    OSObjectRelease(raw_stream);
    OSObjectRelease(raw);
}

Test(audio_object, a_name_is_kept_and_told_when_it_is_another)
{
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, device), kIOReturnSuccess);
    EXPECT(!IOUserAudioObjectGetName(device));
    EXPECT_STATUS(IOUserAudioObjectSetName(device, text), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'lnam'");
    OSString *const same = OSStringCreate("text");
    EXPECT_STATUS(IOUserAudioObjectSetName(device, same), kIOReturnSuccess);
    EXPECT_TOLD("");
    OSString *const name = IOUserAudioObjectGetName(device);
    EXPECT(OSStringIsEqualToCString(name, "text"));
    EXPECT_STATUS(IOUserAudioObjectSetName(device, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioObjectSetName(device, (OSString *)(void *)driver), kIOReturnBadArgument);
    OSObjectRelease(name);
    OSObjectRelease(same);
    EXPECT_STATUS(IOUserAudioDriverRemoveObject(driver, device), kIOReturnSuccess);
}

Test(audio_object, element_names_are_kept_by_kind_scope_and_element)
{
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, device), kIOReturnSuccess);
    OSString *const left = OSStringCreate("left");
    EXPECT_STATUS(IOUserAudioObjectSetElementName(device, 1, OUTPUT, left), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'lchn'");
    EXPECT_STATUS(IOUserAudioObjectSetElementCategoryName(device, 1, OUTPUT, text), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'lccn'");
    EXPECT_STATUS(IOUserAudioObjectSetElementNumberName(device, MAIN, INPUT, text), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'lcnn'");
    EXPECT_STATUS(IOUserAudioObjectSetElementName(device, 1, OUTPUT, left), kIOReturnSuccess);
    EXPECT_TOLD("");
    EXPECT_STATUS(IOUserAudioObjectSetElementName(device, 1, OUTPUT, text), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'lchn'");
    EXPECT_STATUS(IOUserAudioObjectSetElementName(device, 1, OUTPUT, left), kIOReturnSuccess);

    OSString *const name = IOUserAudioObjectGetElementName(device, 1, OUTPUT);
    OSString *const category = IOUserAudioObjectGetElementCategoryName(device, 1, OUTPUT);
    OSString *const number = IOUserAudioObjectGetElementNumberName(device, MAIN, INPUT);
    EXPECT(OSStringIsEqualToCString(name, "left"));
    EXPECT(OSStringIsEqualToCString(category, "text"));
    EXPECT(OSStringIsEqualToCString(number, "text"));
    EXPECT(!IOUserAudioObjectGetElementName(device, 2, OUTPUT));
    EXPECT(!IOUserAudioObjectGetElementName(device, 1, INPUT));
    EXPECT(!IOUserAudioObjectGetElementNumberName(device, 1, OUTPUT));

    EXPECT_STATUS(IOUserAudioObjectSetElementName(device, 1, 0, left), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioObjectSetElementName(device, 1, OUTPUT, NULL), kIOReturnBadArgument);
    OSObjectRelease(number);
    OSObjectRelease(category);
    OSObjectRelease(name);
    OSObjectRelease(left);
    EXPECT_STATUS(IOUserAudioDriverRemoveObject(driver, device), kIOReturnSuccess);
}

Test(audio_object, element_names_have_a_limit)
{
    for (uint32_t i = 0; i < 4096; i++)
        cr_assert(eq(int, IOUserAudioObjectSetElementName(device, i, OUTPUT, text), kIOReturnSuccess));
    EXPECT_STATUS(IOUserAudioObjectSetElementName(device, 4096, OUTPUT, text), kIOReturnNoResources);
    EXPECT_STATUS(IOUserAudioObjectSetElementName(device, 0, OUTPUT, text), kIOReturnSuccess);
}

static IOUserAudioCustomProperty *
make_property(void)
{
    const IOUserAudioObjectPropertyAddress address = {DX_FOURCC('m', 'i', 'n', 'e'),
                                                      IOUserAudioObjectPropertyScopeGlobal, MAIN};
    return IOUserAudioCustomPropertyCreate(driver, address, true, IOUserAudioCustomPropertyDataTypeNone,
                                           IOUserAudioCustomPropertyDataTypeString);
}

Test(audio_object, a_custom_property_is_owned_from_add_to_remove)
{
    IOUserAudioCustomProperty *const property = make_property();
    ASSERT(property);
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, device), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioObjectAddCustomProperty(device, property), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'cust'");
    cr_expect(eq(u32, OSObjectGetRetainCount(property), 2));
    cr_expect(eq(u32, IOUserAudioObjectGetOwnerObjectID(property), 2));
    EXPECT_STATUS(IOUserAudioObjectAddCustomProperty(device, property), kIOReturnExclusiveAccess);
    EXPECT_STATUS(IOUserAudioDriverAddCustomProperty(driver, property), kIOReturnExclusiveAccess);
    EXPECT_STATUS(IOUserAudioDriverRemoveCustomProperty(driver, property), kIOReturnNotFound);

    IOUserAudioCustomProperty *copies[2] = {NULL, NULL};
    cr_expect(eq(u32, dx_object_copy_custom_properties((IOUserAudioObject *)device, copies, 2), 1));
    cr_expect(eq(ptr, copies[0], property));
    OSObjectRelease(copies[0]);

    EXPECT_STATUS(IOUserAudioObjectRemoveCustomProperty(device, property), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'cust'");
    cr_expect(eq(u32, OSObjectGetRetainCount(property), 1));
    cr_expect(zero(u32, IOUserAudioObjectGetOwnerObjectID(property)));
    EXPECT_STATUS(IOUserAudioObjectRemoveCustomProperty(device, property), kIOReturnNotFound);

    EXPECT_STATUS(IOUserAudioDriverAddCustomProperty(driver, property), kIOReturnSuccess);
    EXPECT_TOLD("changed 1 'cust'");
    cr_expect(eq(u32, IOUserAudioObjectGetOwnerObjectID(property), kIOUserAudioObjectIDDriver));
    cr_expect(eq(u32, dx_driver_copy_custom_properties(driver, copies, 2), 1));
    OSObjectRelease(copies[0]);
    EXPECT_STATUS(IOUserAudioDriverRemoveCustomProperty(driver, property), kIOReturnSuccess);
    EXPECT_TOLD("changed 1 'cust'");
    EXPECT_STATUS(IOUserAudioObjectAddCustomProperty(device, (IOUserAudioCustomProperty *)(void *)device),
                  kIOReturnBadArgument);
    OSObjectRelease(property);
    EXPECT_STATUS(IOUserAudioDriverRemoveObject(driver, device), kIOReturnSuccess);
}

Test(audio_object, a_custom_property_takes_no_custom_property)
{
    IOUserAudioCustomProperty *const property = make_property();
    IOUserAudioCustomProperty *const other = make_property();
    EXPECT_STATUS(IOUserAudioObjectAddCustomProperty(property, other), kIOReturnError);
    EXPECT_STATUS(IOUserAudioObjectRemoveCustomProperty(property, other), kIOReturnError);
    OSObjectRelease(other);
    OSObjectRelease(property);
}

Test(audio_object, what_an_owner_still_holds_goes_with_it)
{
    IOUserAudioCustomProperty *const property = make_property();
    IOUserAudioDevice *const other = make_device(driver, "other", 512);
    EXPECT_STATUS(IOUserAudioObjectAddCustomProperty(other, property), kIOReturnSuccess);
    OSObjectRelease(other);
    cr_expect(eq(u32, OSObjectGetRetainCount(property), 1));
    cr_expect(zero(u32, IOUserAudioObjectGetOwnerObjectID(property)));
    OSObjectRelease(property);
}

Test(audio_object, nobody_is_told_of_what_was_not_added)
{
    EXPECT_STATUS(IOUserAudioObjectSetName(device, text), kIOReturnSuccess);
    EXPECT_TOLD("");
    IOUserAudioStream *const stream = make_stream(driver, IOUserAudioStreamDirectionOutput, 0);
    EXPECT_STATUS(IOUserAudioDeviceAddStream(device, stream), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioStreamSetLatency(stream, 1), kIOReturnSuccess);
    EXPECT_TOLD("");
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, device), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioStreamSetLatency(stream, 2), kIOReturnSuccess);
    EXPECT_TOLD("changed 3 'ltnc'");
    EXPECT_STATUS(IOUserAudioDriverRemoveObject(driver, device), kIOReturnSuccess);
    EXPECT_TOLD("removed 2");
    EXPECT_STATUS(IOUserAudioStreamSetLatency(stream, 3), kIOReturnSuccess);
    EXPECT_TOLD("");
    OSObjectRelease(stream);
}

Test(audio_object, an_object_outlives_its_driver)
{
    IOUserAudioDriver *const other_driver = fake_host_start_driver(NULL);
    IOUserAudioDevice *const other = make_device(other_driver, "other", 512);
    EXPECT_STATUS(IOUserAudioDriverAddObject(other_driver, other), kIOReturnSuccess);
    fake_host_stop_driver(other_driver);
    cr_expect(eq(u32, OSObjectGetRetainCount(other), 1));
    EXPECT_STATUS(IOUserAudioObjectSetName(other, text), kIOReturnSuccess);
    cr_expect(zero(u32, IOUserAudioObjectGetOwnerObjectID(other)));
    EXPECT_STATUS(IOUserAudioDeviceStartIO(other, 0), kIOReturnSuccess);
    EXPECT_TOLD("");
    OSObjectRelease(other);
}

/* The driver. */

static void
note_on_queue(void *context)
{
    IODispatchQueue *const queue = IOUserAudioObjectGetWorkQueue(device);
    *(bool *)context = IODispatchQueueOnQueue(queue) &&
                       IOUserAudioObjectSetName(device, text) == kIOReturnSuccess; // inline: no deadlock
    OSObjectRelease(queue);
}

Test(audio_object, the_work_queue_is_the_default_queue_of_the_driver)
{
    IODispatchQueue *const queue = IOUserAudioDriverGetWorkQueue(driver);
    IODispatchQueue *bound = NULL;
    ASSERT(queue);
    EXPECT_STATUS(OSObjectCopyDispatchQueue(driver, kIOServiceDefaultQueueName, &bound), kIOReturnSuccess);
    cr_expect(eq(ptr, bound, queue));
    bool was_on_queue = false;
    EXPECT_STATUS(IODispatchQueueDispatchSync_f(queue, &was_on_queue, note_on_queue), kIOReturnSuccess);
    EXPECT(was_on_queue);
    OSObjectRelease(bound);
    OSObjectRelease(queue);
}

Test(audio_object, there_is_no_work_queue_before_start)
{
    IOUserAudioDriver *const early = IOUserAudioDriverAlloc();
    EXPECT(IOUserAudioDriverInit(early));
    EXPECT(!IOUserAudioDriverInit(early));
    EXPECT(!IOUserAudioDriverGetWorkQueue(early));
    IOUserAudioDevice *const early_device = make_device(early, "early", 512);
    EXPECT(!IOUserAudioObjectGetWorkQueue(early_device));
    EXPECT_STATUS(IOUserAudioObjectSetName(early_device, text), kIOReturnSuccess);
    OSObjectRelease(early_device);
    OSObjectRelease(early);
}

Test(audio_object, a_driver_starts_once_and_again_after_stop)
{
    EXPECT_STATUS(IOUserAudioDriverStart(driver, NULL), kIOReturnBusy);
    IODispatchQueue *const queue = IOUserAudioDriverGetWorkQueue(driver);
    EXPECT_STATUS(IOUserAudioDriverStop(driver, NULL), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDriverStop(driver, NULL), kIOReturnNotReady);
    EXPECT_STATUS(IOUserAudioDriverStart(driver, NULL), kIOReturnSuccess);
    IODispatchQueue *const again = IOUserAudioDriverGetWorkQueue(driver);
    cr_expect(eq(ptr, queue, again));
    OSObjectRelease(again);
    OSObjectRelease(queue);
}

Test(audio_object, registering_tells_the_host_once_for_each_start)
{
    EXPECT(!dx_driver_is_registered(driver));
    EXPECT_STATUS(IOServiceRegisterService(driver), kIOReturnSuccess);
    EXPECT_TOLD("registered");
    EXPECT(dx_driver_is_registered(driver));
    EXPECT_STATUS(IOServiceRegisterService(driver), kIOReturnSuccess);
    EXPECT_TOLD("");
    EXPECT_STATUS(IOUserAudioDriverStop(driver, NULL), kIOReturnSuccess);
    EXPECT(!dx_driver_is_registered(driver));

    IOUserAudioDriver *const alone = IOUserAudioDriverAlloc();
    ASSERT(IOUserAudioDriverInit(alone));
    EXPECT_STATUS(IOServiceRegisterService(alone), kIOReturnNotReady);
    OSObjectRelease(alone);
    EXPECT_STATUS(IOServiceRegisterService(text), kIOReturnBadArgument);
}

Test(audio_object, a_driver_has_one_host_at_a_time)
{
    EXPECT_STATUS(dx_driver_attach(driver, fake_host(), NULL), kIOReturnBusy);
    dx_driver_detach(driver);
    EXPECT_STATUS(IOUserAudioDriverSetName(driver, text), kIOReturnSuccess);
    EXPECT_STATUS(IOServiceRegisterService(driver), kIOReturnNotReady);
    EXPECT_TOLD("");
    EXPECT_STATUS(dx_driver_attach(driver, NULL, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(dx_driver_attach(driver, fake_host(), NULL), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDriverSetTransportType(driver, IOUserAudioTransportTypePCI), kIOReturnSuccess);
    EXPECT_TOLD("changed 1 'tran'");
}

Test(audio_object, the_driver_keeps_name_and_transport_type)
{
    EXPECT(!IOUserAudioDriverGetName(driver));
    cr_expect(zero(u32, IOUserAudioDriverGetTransportType(driver)));
    EXPECT_STATUS(IOUserAudioDriverSetName(driver, text), kIOReturnSuccess);
    EXPECT_TOLD("changed 1 'lnam'");
    EXPECT_STATUS(IOUserAudioDriverSetName(driver, text), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDriverSetTransportType(driver, IOUserAudioTransportTypeUnknown), kIOReturnSuccess);
    EXPECT_TOLD("");
    EXPECT_STATUS(IOUserAudioDriverSetTransportType(driver, IOUserAudioTransportTypeUSB), kIOReturnSuccess);
    EXPECT_TOLD("changed 1 'tran'");
    cr_expect(eq(u32, IOUserAudioDriverGetTransportType(driver), IOUserAudioTransportTypeUSB));
    EXPECT_STATUS(IOUserAudioDriverSetTransportType(driver, 12345), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDriverSetName(driver, NULL), kIOReturnBadArgument);
    OSString *const name = IOUserAudioDriverGetName(driver);
    EXPECT(OSStringIsEqualToCString(name, "text"));
    OSObjectRelease(name);
}

Test(audio_object, adding_takes_a_reference_and_removing_drops_it)
{
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, device), kIOReturnSuccess);
    EXPECT_TOLD("");
    cr_expect(eq(u32, OSObjectGetRetainCount(device), 2));
    cr_expect(eq(u32, IOUserAudioObjectGetOwnerObjectID(device), kIOUserAudioObjectIDDriver));
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, device), kIOReturnExclusiveAccess);
    EXPECT_STATUS(IOUserAudioDriverRemoveObject(driver, device), kIOReturnSuccess);
    EXPECT_TOLD("removed 2");
    cr_expect(eq(u32, OSObjectGetRetainCount(device), 1));
    cr_expect(zero(u32, IOUserAudioObjectGetOwnerObjectID(device)));
    EXPECT_STATUS(IOUserAudioDriverRemoveObject(driver, device), kIOReturnNotFound);
    EXPECT_TOLD("");
}

Test(audio_object, the_driver_takes_top_level_objects_of_its_own_alone)
{
    IOUserAudioDriver *const stranger = fake_host_start_driver(NULL);
    IOUserAudioStream *const stream = make_stream(driver, IOUserAudioStreamDirectionOutput, 0);
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, stream), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, text), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDriverAddObject(stranger, device), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDriverRemoveObject(stranger, device), kIOReturnNotFound);
    EXPECT_STATUS(IOUserAudioDriverRemoveObject(driver, stream), kIOReturnBadArgument);
    OSObjectRelease(stream);
    fake_host_stop_driver(stranger);
}

static bool was_found_while_removed;

static void
stop_removed_device(IOUserAudioObject *object)
{
    was_found_while_removed =
        IOUserAudioDriverStopDevice(driver, IOUserAudioObjectGetObjectID(object), 0) == kIOReturnSuccess;
}

Test(audio_object, the_host_can_stop_a_device_while_it_is_removed)
{
    fake_host_set_removal_hook(stop_removed_device);
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, device), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDriverStartDevice(driver, 2, 0), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDriverRemoveObject(driver, device), kIOReturnSuccess);
    EXPECT(was_found_while_removed);
    EXPECT(!IOUserAudioDeviceGetDeviceIsRunning(device));
}

Test(audio_object, objects_are_found_by_id_as_long_as_they_live)
{
    IOUserAudioObject *found = IOUserAudioDriverGetAudioObjectForObjectID(driver, 2);
    cr_expect(eq(ptr, found, device));
    OSObjectRelease(found);
    EXPECT(!IOUserAudioDriverGetAudioObjectForObjectID(driver, 3));
    EXPECT(!IOUserAudioDriverGetAudioObjectForObjectID(driver, kIOUserAudioObjectIDUnknown));
    EXPECT(!IOUserAudioDriverGetAudioObjectForObjectID(driver, kIOUserAudioObjectIDDriver));
    EXPECT(!IOUserAudioDriverGetAudioObjectForObjectID(NULL, 2));
    IOUserAudioStream *const stream = make_stream(driver, IOUserAudioStreamDirectionOutput, 0);
    found = IOUserAudioDriverGetAudioObjectForObjectID(driver, 3);
    cr_expect(eq(ptr, found, stream));
    OSObjectRelease(found);
    OSObjectRelease(stream);
    EXPECT(!IOUserAudioDriverGetAudioObjectForObjectID(driver, 3));
}

Test(audio_object, copies_of_what_was_added_are_by_class)
{
    IOUserAudioClockDevice *const clock = IOUserAudioClockDeviceCreate(driver, false, text, NULL, NULL, 1);
    IOUserAudioBox *const box = IOUserAudioBoxCreate(driver, true, text);
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, clock), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, box), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, device), kIOReturnSuccess);
    IOUserAudioDevice *devices[2] = {NULL, NULL};
    IOUserAudioClockDevice *clocks[2] = {NULL, NULL};
    IOUserAudioBox *boxes[2] = {NULL, NULL};
    cr_expect(eq(u32, dx_driver_copy_devices(driver, devices, 0), 1));
    cr_expect(eq(u32, dx_driver_copy_devices(driver, devices, 2), 1));
    cr_expect(eq(u32, dx_driver_copy_clock_devices(driver, clocks, 2), 1));
    cr_expect(eq(u32, dx_driver_copy_boxes(driver, boxes, 2), 1));
    EXPECT(devices[0] == device && clocks[0] == clock && boxes[0] == box);
    cr_expect(eq(u32, OSObjectGetRetainCount(device), 3));
    OSObjectRelease(devices[0]);
    OSObjectRelease(clocks[0]);
    OSObjectRelease(boxes[0]);
    OSObjectRelease(box);
    OSObjectRelease(clock);
}

Test(audio_object, properties_changed_reaches_the_host_for_what_was_added)
{
    const IOUserAudioObjectPropertySelector selectors[] = {kIOUserAudioPropertyDeviceList,
                                                           DX_FOURCC('m', 'i', 'n', 'e')};
    EXPECT_STATUS(IOUserAudioDriverPropertiesChanged(driver, 1, selectors, 2), kIOReturnSuccess);
    EXPECT_TOLD("changed 1 'dev#' 'mine'");
    EXPECT_STATUS(IOUserAudioDriverPropertiesChanged(driver, 2, selectors, 2), kIOReturnNotFound);
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, device), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDriverPropertiesChanged(driver, 2, selectors + 1, 1), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'mine'");
    EXPECT_STATUS(IOUserAudioDriverPropertiesChanged(driver, 1, NULL, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDriverPropertiesChanged(driver, 1, selectors, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDriverPropertiesChanged(driver, 1, selectors, 257), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDriverPropertiesChanged(NULL, 1, selectors, 1), kIOReturnBadArgument);
}

Test(audio_object, starting_a_device_reaches_what_was_added)
{
    EXPECT_STATUS(IOUserAudioDriverStartDevice(driver, 2, 0), kIOReturnNoDevice);
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, device), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDriverStartDevice(driver, 2, 0), kIOReturnSuccess);
    EXPECT(IOUserAudioDeviceGetDeviceIsRunning(device));
    EXPECT_STATUS(IOUserAudioDriverStopDevice(driver, 2, 0), kIOReturnSuccess);
    EXPECT(!IOUserAudioDeviceGetDeviceIsRunning(device));
    EXPECT_STATUS(IOUserAudioDriverStopDevice(driver, 9, 0), kIOReturnNoDevice);
    EXPECT_STATUS(IOUserAudioDriverStartDevice(NULL, 2, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDriverStopDevice(NULL, 2, 0), kIOReturnBadArgument);
}

/* Overrides of a driver: each notes its letter and calls its base. */

static char trace[16];

static void
note(char letter)
{
    const size_t length = strlen(trace);
    if (length + 1 < sizeof trace)
        trace[length] = letter;
}

static bool
init_noted(IOUserAudioDriver *d)
{
    note('i');
    return IOUserAudioDriverInit_super(d);
}

static void
free_noted(IOUserAudioDriver *d)
{
    note('f');
    IOUserAudioDriverFree_super(d);
}

static kern_return_t
start_noted(IOUserAudioDriver *d, IOService *provider)
{
    note('S');
    return IOUserAudioDriverStart_super(d, provider);
}

static kern_return_t
stop_noted(IOUserAudioDriver *d, IOService *provider)
{
    note('T');
    return IOUserAudioDriverStop_super(d, provider);
}

static kern_return_t
new_user_client_noted(IOUserAudioDriver *d, uint32_t type, IOUserClient **ret_client)
{
    note('n');
    return IOUserAudioDriverNewUserClient_super(d, type, ret_client);
}

static kern_return_t
start_device_noted(IOUserAudioDriver *d, IOUserAudioObjectID id, IOUserAudioStartStopFlags flags)
{
    note('s');
    return IOUserAudioDriverStartDevice_super(d, id, flags);
}

static kern_return_t
stop_device_noted(IOUserAudioDriver *d, IOUserAudioObjectID id, IOUserAudioStartStopFlags flags)
{
    note('t');
    return IOUserAudioDriverStopDevice_super(d, id, flags);
}

static const IOUserAudioDriverOverrides noted = {
    .size = sizeof(IOUserAudioDriverOverrides),
    .init = init_noted,
    .free = free_noted,
    .Start = start_noted,
    .Stop = stop_noted,
    .NewUserClient = new_user_client_noted,
    .StartDevice = start_device_noted,
    .StopDevice = stop_device_noted,
};

Test(audio_object, overrides_of_a_driver_are_called_and_reach_their_base)
{
    IOUserAudioDriver *const d = fake_host_start_driver(&noted);
    IOUserAudioDevice *const its = make_device(d, "its", 512);
    IOUserClient *client = NULL;
    EXPECT_STATUS(IOUserAudioDriverAddObject(d, its), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDriverStartDevice(d, 2, 0), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDriverStopDevice(d, 2, 0), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDriverNewUserClient(d, kIOUserAudioDriverUserClientType, &client), kIOReturnSuccess);
    OSObjectRelease(client);
    EXPECT_STATUS(IOUserAudioDriverSetOverrides(d, &noted), kIOReturnBusy);
    OSObjectRelease(its);
    fake_host_stop_driver(d);
    cr_expect_str_eq(trace, "iSstnTf");
}

Test(audio_object, a_shorter_table_overrides_what_it_has)
{
    IOUserAudioDriverOverrides shorter = noted;
    shorter.size = offsetof(IOUserAudioDriverOverrides, free);
    IOUserAudioDriver *const d = fake_host_start_driver(&shorter);
    fake_host_stop_driver(d);
    cr_expect_str_eq(trace, "i");
    IOUserAudioDriver *const other = IOUserAudioDriverAlloc();
    EXPECT_STATUS(IOUserAudioDriverSetOverrides(other, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDriverSetOverrides(NULL, &noted), kIOReturnBadArgument);
    OSObjectRelease(other);
}

static bool
init_without_base(IOUserAudioDriver *d)
{
    (void)d;
    return true;
}

Test(audio_object, an_init_that_forgets_its_base_has_failed)
{
    static const IOUserAudioDriverOverrides overrides = {
        .size = sizeof overrides,
        .init = init_without_base,
    };
    EXPECT(!fake_host_start_driver(&overrides));
}

static void
live_on_simulated_clock(void *argument)
{
    IOUserAudioDriver *const d = fake_host_start_driver(NULL);
    IOUserAudioDevice *const its = make_device(d, "its", 512);
    *(bool *)argument = IOUserAudioDriverAddObject(d, its) == kIOReturnSuccess &&
                        IOUserAudioObjectSetName(its, text) == kIOReturnSuccess &&
                        IOUserAudioDriverStartDevice(d, 2, 0) == kIOReturnSuccess &&
                        IOUserAudioDriverRemoveObject(d, its) == kIOReturnSuccess;
    OSObjectRelease(its);
    fake_host_stop_driver(d);
}

Test(audio_object, a_driver_lives_on_a_simulated_clock)
{
    bool done = false;
    struct dx_simulation_result result;
    EXPECT_STATUS(dx_simulate(NULL, live_on_simulated_clock, &done, &result), kIOReturnSuccess);
    EXPECT(done);
    EXPECT(result.repeatable);
    EXPECT_TOLD("changed 2 'lnam' | changed 2 'goin' | removed 2");
}
