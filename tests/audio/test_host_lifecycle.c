// SPDX-License-Identifier: MIT
// Bringing drivers up and down, starting and stopping IO, and the first zero timestamp.

#include "audio/entry.h"
#include "test_driver.h"

#include <stdlib.h>

static struct test_rig rig;
static struct test_host host;
static struct test_driver other;

/* What attaches a driver to its entry can be held up, so that another one comes in between. */
static uint64_t attach_delay_ns;

bool __real_dx_entry_attach(struct dx_entry *entry, IOUserAudioDriver *driver, IOUserAudioDevice *object);
bool __wrap_dx_entry_attach(struct dx_entry *entry, IOUserAudioDriver *driver, IOUserAudioDevice *object);

bool
__wrap_dx_entry_attach(struct dx_entry *entry, IOUserAudioDriver *driver, IOUserAudioDevice *object)
{
    if (attach_delay_ns)
        test_sleep(attach_delay_ns);
    return __real_dx_entry_attach(entry, driver, object);
}

/* ---- 5.1 ---- */

static void
a_device_is_visible_only_after_register_service(void)
{
    const struct test_config config = {.does_not_register = true};
    test_host_create(&host, NULL);
    IOUserAudioDriver *const driver = test_driver_create(&other, &config);
    CHECK_OK(dx_host_start_driver(host.host, driver, NULL));
    dx_host_settle(host.host);
    CHECK_EQ(dx_host_copy_devices(host.host, NULL, 0), 0);
    CHECK(!dx_host_copy_device(host.host, TEST_UID));
    CHECK_EQ(host.event_count, 0);

    CHECK_OK(IOServiceRegisterService(driver));
    dx_host_settle(host.host);
    CHECK_EQ(dx_host_copy_devices(host.host, NULL, 0), 1);
    CHECK_EQ(test_host_count(&host, DX_EVENT_DEVICE_ADDED), 1);
    CHECK_OK(dx_host_stop_driver(host.host, driver));
    dx_host_settle(host.host);
    CHECK_EQ(test_host_count(&host, DX_EVENT_DEVICE_REMOVED), 1);
    CHECK_EQ(dx_host_copy_devices(host.host, NULL, 0), 0);
    CHECK_TEXT(other.calls, "Start Stop");
    OSObjectRelease(driver);
    CHECK_EQ(other.frees, 1);
    test_host_destroy(&host);
}

/* A second device of the rig's driver. */
static IOUserAudioDevice *
make_second_device(void)
{
    OSString *const uid = OSStringCreate("test.second");
    IOUserAudioDevice *const device =
        IOUserAudioDeviceCreate(rig.driver.driver, false, uid, NULL, NULL, 4096);
    OSObjectRelease(uid);
    CHECK(device);
    return device;
}

static void
a_device_added_later_needs_properties_changed(void)
{
    const IOUserAudioObjectPropertySelector list = kIOUserAudioPropertyDeviceList;
    test_rig_start(&rig, NULL, NULL);
    IOUserAudioDevice *const second = make_second_device();
    CHECK_OK(IOUserAudioDriverAddObject(rig.driver.driver, second));
    dx_host_settle(rig.host.host);
    CHECK_EQ(dx_host_copy_devices(rig.host.host, NULL, 0), 1);
    CHECK_OK(IOUserAudioDriverPropertiesChanged(rig.driver.driver, 1, &list, 1));
    dx_host_settle(rig.host.host);
    CHECK_EQ(dx_host_copy_devices(rig.host.host, NULL, 0), 2);
    CHECK_EQ(test_host_count(&rig.host, DX_EVENT_DEVICE_ADDED), 2);
    CHECK(test_host_told(&rig.host, 1, list));

    CHECK_OK(IOUserAudioDriverRemoveObject(rig.driver.driver, second));
    dx_host_settle(rig.host.host);
    CHECK_EQ(dx_host_copy_devices(rig.host.host, NULL, 0), 1);
    CHECK_EQ(test_host_count(&rig.host, DX_EVENT_DEVICE_REMOVED), 1);
    CHECK_EQ(OSObjectGetRetainCount(second), 1);
    OSObjectRelease(second);
    test_rig_finish(&rig);
}

static void
a_second_device_of_the_same_uid_stays_invisible(void)
{
    test_rig_start(&rig, NULL, NULL);
    IOUserAudioDriver *const driver = test_driver_create(&other, NULL);
    CHECK_OK(dx_host_start_driver(rig.host.host, driver, NULL));
    dx_host_settle(rig.host.host);
    CHECK_EQ(dx_host_copy_devices(rig.host.host, NULL, 0), 1);
    CHECK(strstr(rig.host.log, TEST_UID));
    IOUserAudioDevice *const object = dx_device_copy_object(rig.device);
    CHECK(object == rig.object);
    OSObjectRelease(object);
    CHECK_OK(dx_host_stop_driver(rig.host.host, driver));
    CHECK(test_info(rig.device).has_driver);
    OSObjectRelease(driver);
    CHECK_EQ(other.frees, 1);
    test_rig_finish(&rig);
}

static void
start_driver(void *argument)
{
    IOUserAudioDriver *const driver = argument;
    CHECK_OK(dx_host_start_driver(host.host, driver, NULL));
}

static void
two_drivers_that_come_at_once_with_one_uid_do_not_share_it(void)
{
    static struct test_driver drivers[2];
    IOUserAudioDriver *objects[2];
    dx_task *tasks[2];
    test_host_create(&host, NULL);
    attach_delay_ns = TEST_MS;
    for (int i = 0; i < 2; i++) {
        objects[i] = test_driver_create(&drivers[i], NULL);
        tasks[i] = test_spawn(start_driver, objects[i]);
    }
    for (int i = 0; i < 2; i++)
        dx_task_join(tasks[i]);
    attach_delay_ns = 0;
    dx_host_settle(host.host);
    CHECK_EQ(test_host_count(&host, DX_EVENT_DEVICE_ADDED), 1);
    CHECK(strstr(host.log, "stays invisible"));
    dx_device *const device = dx_host_copy_device(host.host, TEST_UID);
    IOUserAudioDevice *const object = dx_device_copy_object(device);
    const int winner = object == drivers[1].device;
    CHECK(object == drivers[winner].device);
    OSObjectRelease(object);
    /* The device is the one's alone. */
    CHECK_OK(dx_host_stop_driver(host.host, objects[!winner]));
    CHECK(test_info(device).has_driver);
    CHECK_OK(dx_host_stop_driver(host.host, objects[winner]));
    CHECK(!test_info(device).has_driver);
    dx_device_release(device);
    for (int i = 0; i < 2; i++) {
        OSObjectRelease(objects[i]);
        CHECK_EQ(drivers[i].frees, 1);
    }
    test_host_destroy(&host);
}

static void
occupy_queue(void *argument)
{
    (void)argument;
    test_sleep(10 * TEST_MS);
}

static void
hold_queue(void *argument)
{
    (void)argument;
    CHECK_OK(IODispatchQueueDispatchSync_f(rig.driver.queue, NULL, occupy_queue));
}

static void
remove_device(void *argument)
{
    (void)argument;
    CHECK_OK(IOUserAudioDriverRemoveObject(rig.driver.driver, rig.object));
}

static void
a_device_that_is_being_removed_is_not_published_again(void)
{
    const IOUserAudioObjectPropertySelector list = kIOUserAudioPropertyDeviceList;
    test_rig_start(&rig, NULL, NULL);
    dx_task *const holder = test_spawn(hold_queue, NULL);
    test_sleep(TEST_MS);
    dx_task *const remover = test_spawn(remove_device, NULL);
    test_sleep(TEST_MS);
    /* Its look at the devices comes right after whatever the removal does first. */
    CHECK_OK(IOUserAudioDriverPropertiesChanged(rig.driver.driver, 1, &list, 1));
    dx_task_join(holder);
    dx_task_join(remover);
    dx_host_settle(rig.host.host);
    CHECK(!test_info(rig.device).has_driver);
    CHECK_EQ(test_host_count(&rig.host, DX_EVENT_DEVICE_ADDED), 1);
    CHECK_EQ(test_host_count(&rig.host, DX_EVENT_DEVICE_REMOVED), 1);
    test_rig_finish(&rig);
}

static void
more_devices_than_can_be_gone_through_stay_invisible(void)
{
    enum { MANY = 1024 };
    test_rig_start(&rig, NULL, NULL);
    IOUserAudioDriver *const driver = test_driver_create(&other, &(struct test_config){.uid = "another"});
    CHECK_OK(dx_host_start_driver(rig.host.host, driver, NULL));
    for (int i = 2; i < MANY + 1; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "test.%d", i);
        OSString *const uid = OSStringCreate(name);
        IOUserAudioDevice *const device = IOUserAudioDeviceCreate(driver, false, uid, NULL, NULL, 4096);
        CHECK(device);
        CHECK_OK(IOUserAudioDriverAddObject(driver, device));
        OSObjectRelease(device);
        OSObjectRelease(uid);
    }
    const IOUserAudioObjectPropertySelector list = kIOUserAudioPropertyDeviceList;
    CHECK_OK(IOUserAudioDriverPropertiesChanged(driver, 1, &list, 1));
    dx_host_settle(rig.host.host);
    CHECK_EQ(dx_host_copy_devices(rig.host.host, NULL, 0), MANY);
    CHECK_EQ(test_host_count(&rig.host, DX_EVENT_DEVICE_ADDED), MANY);
    CHECK(strstr(rig.host.log, "1024"));
    dx_device *const last = dx_host_copy_device(rig.host.host, "test.1024"); // the first UID was the rig's
    CHECK(!last);
    /* None stays behind when its driver goes. */
    CHECK_OK(dx_host_stop_driver(rig.host.host, driver));
    dx_host_settle(rig.host.host);
    CHECK_EQ(dx_host_copy_devices(rig.host.host, NULL, 0), 1);
    OSObjectRelease(driver);
    CHECK_EQ(other.frees, 1);
    test_rig_finish(&rig);
}

static void
a_driver_that_cancelled_its_queue_is_taken_away_whole(void)
{
    for (int terminate = 0; terminate < 2; terminate++) {
        test_rig_start(&rig, NULL, NULL);
        dx_client *const client = test_open(rig.device, true, true, 0);
        CHECK_OK(dx_client_start(client));
        test_sleep(100 * TEST_MS);
        CHECK_OK(IODispatchQueueCancel_f(rig.driver.queue, NULL, NULL));
        test_driver_forget(&rig.driver);
        if (terminate)
            CHECK_OK(dx_host_terminate_driver(rig.host.host, rig.driver.driver));
        else
            CHECK_OK(dx_host_stop_driver(rig.host.host, rig.driver.driver));
        CHECK_TEXT(rig.driver.calls, terminate ? "" : "StopDevice StopIO stream.StopIO stream.StopIO Stop");
        CHECK(!test_info(rig.device).is_running && !test_info(rig.device).has_driver);
        const uint32_t writes = rig.driver.write_ends;
        test_sleep(100 * TEST_MS);
        CHECK_EQ(rig.driver.write_ends, writes);
        dx_client_close(client);
        test_rig_finish(&rig);
    }
}

static void
a_client_stops_io_of_a_driver_that_cancelled_its_queue(void)
{
    test_rig_start(&rig, NULL, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    CHECK_OK(IODispatchQueueCancel_f(rig.driver.queue, NULL, NULL));
    dx_client_stop(client);
    CHECK(!test_info(rig.device).is_running);
    CHECK_EQ(rig.driver.stop_ios, 1);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
removing_a_device_stops_its_io(void)
{
    test_rig_start(&rig, NULL, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    test_sleep(100 * TEST_MS);
    CHECK(rig.driver.write_ends > 0);
    CHECK_OK(IOUserAudioDriverRemoveObject(rig.driver.driver, rig.object));
    CHECK_EQ(rig.driver.stop_ios, 1);
    CHECK_EQ(IOUserAudioDeviceGetDeviceTransportState(rig.object), IOUserAudioDeviceTransportStateStopped);
    const uint32_t calls = rig.driver.write_ends;
    test_sleep(100 * TEST_MS);
    CHECK_EQ(rig.driver.write_ends, calls);
    CHECK(!test_info(rig.device).has_driver);
    CHECK_EQ(dx_host_copy_devices(rig.host.host, NULL, 0), 1); // a client has it open

    dx_client_close(client);
    dx_device_release(rig.device);
    rig.device = NULL;
    CHECK_EQ(dx_host_copy_devices(rig.host.host, NULL, 0), 0);
    test_rig_finish(&rig);
}

static void
a_driver_may_remove_its_device_in_stop(void)
{
    const struct test_config config = {.stop_removes = true};
    test_rig_start(&rig, &config, NULL);
    dx_client *const client = test_open(rig.device, true, false, 0);
    CHECK_OK(dx_client_start(client));
    test_sleep(50 * TEST_MS);
    CHECK_OK(dx_host_stop_driver(rig.host.host, rig.driver.driver));
    CHECK_EQ(rig.driver.stop_ios, 1);
    dx_client_close(client);
    dx_host_settle(rig.host.host);
    CHECK_EQ(test_host_count(&rig.host, DX_EVENT_DEVICE_REMOVED), 1);
    test_rig_finish(&rig);
}

static void
a_device_that_is_no_longer_alive_says_so(void)
{
    test_rig_start(&rig, NULL, NULL);
    CHECK_OK(IOUserAudioDeviceSetDeviceIsAlive(rig.object, false));
    dx_host_settle(rig.host.host);
    CHECK(test_host_told(&rig.host, IOUserAudioObjectGetObjectID(rig.object), kIOUserAudioPropertyDeviceIsAlive));
    test_rig_finish(&rig);
}

static void
a_start_that_fails_leaves_nothing_behind(void)
{
    static const kern_return_t statuses[] = {kIOReturnNoMemory, kIOReturnError, kIOReturnNotReady};
    test_host_create(&host, NULL);
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        const struct test_config config = {.start_status = statuses[i], .stop_removes = i % 2};
        IOUserAudioDriver *const driver = test_driver_create(&other, &config);
        CHECK_STATUS(dx_host_start_driver(host.host, driver, NULL), statuses[i]);
        CHECK_STATUS(dx_host_stop_driver(host.host, driver), kIOReturnNotFound);
        dx_host_settle(host.host);
        CHECK_EQ(dx_host_copy_devices(host.host, NULL, 0), 0);
        CHECK_EQ(OSObjectGetRetainCount(driver), 1);
        OSObjectRelease(driver);
        CHECK_EQ(other.frees, 1);
        CHECK_EQ(other.stops, 0);
    }
    test_host_destroy(&host);
}

static void
a_driver_runs_once_at_a_time(void)
{
    test_rig_start(&rig, NULL, NULL);
    CHECK_STATUS(dx_host_start_driver(rig.host.host, rig.driver.driver, NULL), kIOReturnBusy);
    CHECK(test_info(rig.device).has_driver);
    test_host_create(&host, NULL);
    CHECK(dx_host_start_driver(host.host, rig.driver.driver, NULL) != kIOReturnSuccess);
    CHECK_STATUS(dx_host_stop_driver(host.host, rig.driver.driver), kIOReturnNotFound);
    CHECK_STATUS(dx_host_terminate_driver(host.host, rig.driver.driver), kIOReturnNotFound);
    test_host_destroy(&host);
    CHECK(test_info(rig.device).has_driver);
    test_rig_finish(&rig);
}

static void
a_driver_cannot_come_back_while_it_is_being_stopped(void)
{
    /* PropertiesChanged('dev#') in Stop: the devices have been taken away already. */
    const IOUserAudioObjectPropertySelector list = kIOUserAudioPropertyDeviceList;
    test_rig_start(&rig, NULL, NULL);
    IOUserAudioDriver *const driver = OSObjectRetain(rig.driver.driver);
    CHECK_OK(dx_host_stop_driver(rig.host.host, driver));
    (void)IOUserAudioDriverPropertiesChanged(driver, 1, &list, 1);
    (void)IOServiceRegisterService(driver);
    CHECK(!test_info(rig.device).has_driver);
    OSObjectRelease(driver);
    OSSafeReleaseNULL(rig.object);
    dx_device_release(rig.device);
    rig.device = NULL;
    dx_host_settle(rig.host.host);
    CHECK_EQ(dx_host_copy_devices(rig.host.host, NULL, 0), 0);
    test_host_destroy(&rig.host);
    CHECK_EQ(rig.driver.frees, 1);
}

static void
a_device_outlives_its_host(void)
{
    test_rig_start(&rig, NULL, NULL);
    dx_device *const device = dx_device_retain(rig.device);
    test_rig_finish(&rig);
    CHECK_TEXT(dx_device_uid(device), TEST_UID);
    const dx_device_info info = test_info(device);
    CHECK(!info.has_driver && !info.is_running);
    (void)test_statistics(device);
    CHECK_STATUS(dx_device_set_prewarmed(device, true), kIOReturnNoDevice);
    CHECK_STATUS(dx_device_set_sample_rate(device, 48000), kIOReturnNoDevice);
    const dx_client_config config = {.size = sizeof config, .output_stream = 0, .input_stream = DX_NO_STREAM};
    dx_client *client = NULL;
    CHECK(dx_client_open(device, &config, &client) != kIOReturnSuccess);
    dx_device_release(device);
}

/* ---- 5.2 ---- */

static void
a_start_goes_from_driver_to_device_to_streams_and_a_stop_back(void)
{
    test_rig_start(&rig, NULL, NULL);
    CHECK_TEXT(rig.driver.calls, "Start");
    test_driver_forget(&rig.driver);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_TEXT(rig.driver.calls, "");
    CHECK_OK(dx_client_start(client));
    CHECK_TEXT(rig.driver.calls, "StartDevice StartIO stream.StartIO stream.StartIO");
    CHECK_EQ(IOUserAudioDeviceGetDeviceTransportState(rig.object), IOUserAudioDeviceTransportStateRunning);
    CHECK(test_info(rig.device).is_running);
    test_driver_forget(&rig.driver);
    dx_client_stop(client);
    CHECK_TEXT(rig.driver.calls, "StopDevice StopIO stream.StopIO stream.StopIO");
    CHECK_EQ(IOUserAudioDeviceGetDeviceTransportState(rig.object), IOUserAudioDeviceTransportStateStopped);
    CHECK(!test_info(rig.device).is_running);
    dx_client_close(client);
    dx_host_settle(rig.host.host);
    CHECK_EQ(test_host_count(&rig.host, DX_EVENT_IO_STARTED), 1);
    CHECK_EQ(test_host_count(&rig.host, DX_EVENT_IO_STOPPED), 1);
    test_rig_finish(&rig);
}

static void
prewarming_follows_the_table(void)
{
    const struct test_config config = {.prewarms = true};
    test_rig_start(&rig, &config, NULL);
    IOUserAudioDevice *const object = rig.object;
    CHECK_EQ(IOUserAudioDeviceGetDeviceTransportState(object), IOUserAudioDeviceTransportStateStopped);

    CHECK_OK(dx_device_set_prewarmed(rig.device, true));
    CHECK_EQ(IOUserAudioDeviceGetDeviceTransportState(object), IOUserAudioDeviceTransportStatePrewarmed);
    CHECK_EQ(rig.driver.last_flags, IOUserAudioStartStopFlagsPrewarm);
    CHECK_OK(dx_device_set_prewarmed(rig.device, true)); // is so already
    CHECK_EQ(rig.driver.start_ios, 1);
    CHECK(!test_info(rig.device).is_running);
    test_sleep(200 * TEST_MS);
    CHECK_EQ(rig.driver.begin_reads + rig.driver.write_ends, 0);

    CHECK_OK(dx_device_set_prewarmed(rig.device, false));
    CHECK_EQ(IOUserAudioDeviceGetDeviceTransportState(object), IOUserAudioDeviceTransportStateStopped);
    CHECK_EQ(rig.driver.stop_ios, 1);

    CHECK_OK(dx_device_set_prewarmed(rig.device, true));
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    CHECK_EQ(IOUserAudioDeviceGetDeviceTransportState(object), IOUserAudioDeviceTransportStateRunning);
    CHECK_EQ(rig.driver.last_flags, IOUserAudioStartStopFlagsNone);
    const uint32_t starts = rig.driver.start_ios;
    CHECK_OK(dx_device_set_prewarmed(rig.device, true)); // runs, which is more
    CHECK_EQ(rig.driver.start_ios, starts);
    dx_client_stop(client);
    CHECK_EQ(IOUserAudioDeviceGetDeviceTransportState(object), IOUserAudioDeviceTransportStateStopped);
    dx_client_close(client);

    /* What is prewarmed when its driver is stopped is stopped before. */
    CHECK_OK(dx_device_set_prewarmed(rig.device, true));
    test_driver_forget(&rig.driver);
    CHECK_OK(dx_host_stop_driver(rig.host.host, rig.driver.driver));
    CHECK(strstr(rig.driver.calls, "StopDevice StopIO stream.StopIO stream.StopIO Stop"));
    CHECK_STATUS(dx_device_set_prewarmed(rig.device, true), kIOReturnNoDevice);
    test_rig_finish(&rig);
}

static void
a_device_without_prewarming_refuses_it(void)
{
    test_rig_start(&rig, NULL, NULL);
    CHECK(dx_device_set_prewarmed(rig.device, true) != kIOReturnSuccess);
    CHECK_EQ(IOUserAudioDeviceGetDeviceTransportState(rig.object), IOUserAudioDeviceTransportStateStopped);
    CHECK_OK(dx_device_set_prewarmed(rig.device, false));
    test_rig_finish(&rig);
}

static void
a_failing_start_io_reaches_the_client_and_changes_nothing(void)
{
    const struct test_config config = {.start_io_status = kIOReturnNoBandwidth};
    test_rig_start(&rig, &config, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    for (int i = 0; i < 3; i++) {
        CHECK_STATUS(dx_client_start(client), kIOReturnNoBandwidth);
        CHECK(!test_info(rig.device).is_running);
        CHECK(!test_status(client).is_running);
        CHECK_EQ(IOUserAudioDeviceGetDeviceTransportState(rig.object), IOUserAudioDeviceTransportStateStopped);
    }
    CHECK_EQ(rig.driver.begin_reads + rig.driver.write_ends, 0);
    dx_host_settle(rig.host.host);
    CHECK_EQ(test_host_count(&rig.host, DX_EVENT_IO_STARTED), 0);
    rig.driver.config.start_io_status = kIOReturnSuccess;
    CHECK_OK(dx_client_start(client));
    test_sleep(100 * TEST_MS);
    CHECK(rig.driver.write_ends > 0 && rig.driver.begin_reads > 0);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
half_a_second_in_start_io_is_tolerated(void)
{
    const struct test_config config = {.start_io_ns = TEST_S / 2};
    test_rig_start(&rig, &config, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    const uint64_t before = test_now();
    CHECK_OK(dx_client_start(client));
    CHECK(test_now() - before >= TEST_S / 2);
    test_sleep(TEST_S / 2);
    CHECK_EQ(test_statistics(rig.device).overloads, 0);
    CHECK(rig.driver.write_ends > 40);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
io_runs_from_the_first_client_to_the_last(void)
{
    test_rig_start(&rig, NULL, NULL);
    dx_client *clients[3];
    for (int i = 0; i < 3; i++)
        clients[i] = test_open(rig.device, true, true, 0);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(dx_client_start(clients[i]));
        CHECK_OK(dx_client_start(clients[i])); // runs already
        test_sleep(50 * TEST_MS);
    }
    CHECK_EQ(rig.driver.start_ios, 1);
    dx_client_stop(clients[0]);
    dx_client_stop(clients[0]);
    CHECK_EQ(rig.driver.stop_ios, 0);
    const uint32_t calls = rig.driver.write_ends;
    test_sleep(50 * TEST_MS);
    CHECK(rig.driver.write_ends > calls);
    CHECK_OK(dx_client_start(clients[0]));
    dx_client_close(clients[1]);
    dx_client_close(clients[2]);
    CHECK_EQ(rig.driver.stop_ios, 0);
    dx_client_close(clients[0]);
    CHECK_EQ(rig.driver.start_ios, 1);
    CHECK_EQ(rig.driver.stop_ios, 1);
    CHECK_EQ(test_statistics(rig.device).overloads, 0);
    test_rig_finish(&rig);
}

static void
set_properties(struct test_driver *driver)
{
    OSString *const name = OSStringCreate(driver->start_ios % 2 ? "one" : "two");
    CHECK_OK(IOUserAudioObjectSetName(driver->device, name));
    OSObjectRelease(name);
    CHECK_OK(IOUserAudioStreamSetTerminalType(driver->outputs[0], IOUserAudioStreamTerminalTypeLine));
    CHECK_OK(IOUserAudioStreamSetCurrentStreamFormat(driver->outputs[0], &driver->config.formats[1]));
    CHECK_OK(IOUserAudioStreamSetCurrentStreamFormat(driver->outputs[0], &driver->config.formats[0]));
    CHECK_OK(IOUserAudioDeviceSetClockIsStable(driver->device, driver->start_ios % 2));
    const IOUserAudioObjectPropertySelector list = kIOUserAudioPropertyDeviceList;
    CHECK_OK(IOUserAudioDriverPropertiesChanged(driver->driver, 1, &list, 1));
}

static void
start_io_may_set_properties(void)
{
    const struct test_config config = {.in_start_io = set_properties};
    test_rig_start(&rig, &config, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(dx_client_start(client));
        test_sleep(30 * TEST_MS);
        dx_client_stop(client);
    }
    dx_host_settle(rig.host.host);
    CHECK(test_host_told(&rig.host, IOUserAudioObjectGetObjectID(rig.object), kIOUserAudioPropertyName));
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
the_handler_is_not_called_after_a_stop_returned(void)
{
    for (uint64_t ns = 0; ns < 12 * TEST_MS; ns += 370000) {
        const struct test_config config = {.handler_ns = 200000};
        test_rig_start(&rig, &config, NULL);
        dx_client *const client = test_open(rig.device, true, true, 256);
        CHECK_OK(dx_client_start(client));
        test_sleep(50 * TEST_MS + ns);
        dx_client_stop(client);
        const uint32_t calls = rig.driver.write_ends + rig.driver.begin_reads;
        CHECK(calls > 0);
        test_sleep(50 * TEST_MS);
        CHECK_EQ(rig.driver.write_ends + rig.driver.begin_reads, calls);
        dx_client_close(client);
        test_rig_finish(&rig); // checks for calls while StopIO ran, too
    }
}

static void
an_operation_is_sent_only_in_directions_in_use(void)
{
    test_rig_start(&rig, NULL, NULL);
    dx_client *const player = test_open(rig.device, true, false, 0);
    dx_client *const recorder = test_open(rig.device, false, true, 0);
    CHECK_OK(dx_client_start(player));
    test_sleep(100 * TEST_MS);
    CHECK(rig.driver.write_ends > 0);
    CHECK_EQ(rig.driver.begin_reads, 0);
    CHECK_OK(dx_client_start(recorder));
    test_sleep(100 * TEST_MS);
    CHECK(rig.driver.begin_reads > 0);
    dx_client_stop(player);
    const uint32_t writes = rig.driver.write_ends;
    test_sleep(100 * TEST_MS);
    CHECK_EQ(rig.driver.write_ends, writes);
    dx_client_close(player);
    dx_client_close(recorder);
    test_rig_finish(&rig);
}

/* ---- 6.2 ---- */

static void
what_was_written_before_a_stamp_a_period_late_is_not_lost(void)
{
    static float heard[1 << 17];
    const struct test_config config = {.stamps = TEST_STAMPS_SIMPLE, .period_frames = 32768};
    memset(heard, 0, sizeof heard);
    rig.driver.heard = heard;
    rig.driver.heard_frames = 1 << 17;
    test_rig_start(&rig, &config, NULL);
    dx_client *const client = test_open(rig.device, true, false, 0);
    float frames[2 * 1000];
    for (int i = 0; i < 1000; i++)
        frames[2 * i] = frames[2 * i + 1] = (float)(i + 1) / 4096.0f;
    uint32_t written = 0;
    CHECK_OK(dx_client_write(client, frames, 1000, 0, &written));
    CHECK_EQ(written, 1000);
    const uint64_t before = test_now();
    CHECK_OK(dx_client_start(client));
    CHECK(test_now() - before >= 682 * TEST_MS);
    const dx_client_status status = test_status(client);
    CHECK_EQ(status.output_frames, 1000);
    CHECK_OK(dx_client_drain(client, DX_NEVER));
    for (uint64_t i = 0; i < 1000; i++)
        CHECK(heard[status.output_base + i] == frames[2 * i]);
    CHECK(heard[status.output_base - 1] == 0.0f && heard[status.output_base + 1000] == 0.0f);
    CHECK_EQ(test_status(client).underrun_frames, 0);
    dx_client_close(client);
    test_rig_finish(&rig);
    rig.driver.heard = NULL;
}

static void
without_a_stamp_a_start_times_out_after_five_seconds(void)
{
    const struct test_config config = {.stamps = TEST_STAMPS_NONE};
    test_rig_start(&rig, &config, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    for (int i = 0; i < 2; i++) {
        test_host_forget(&rig.host);
        const uint64_t before = test_now();
        CHECK_STATUS(dx_client_start(client), kIOReturnTimeout);
        const uint64_t took = test_now() - before;
        CHECK(took >= 5 * TEST_S && took < 5 * TEST_S + 20 * TEST_MS);
        CHECK(!test_status(client).is_running);
        CHECK(!test_info(rig.device).is_running);
        test_sleep(TEST_MS);
        dx_host_settle(rig.host.host);
        CHECK_EQ(test_host_count(&rig.host, DX_EVENT_START_TIMEOUT), 1);
        CHECK_EQ(test_host_count(&rig.host, DX_EVENT_IO_STOPPED), 1);
        CHECK(strstr(rig.host.log, "no zero timestamp"));
        CHECK_EQ(IOUserAudioDeviceGetDeviceTransportState(rig.object), IOUserAudioDeviceTransportStateStopped);
        CHECK_EQ(rig.driver.stop_ios, i + 1);
    }
    rig.driver.config.stamps = TEST_STAMPS_AT_ONCE;
    CHECK_OK(dx_client_start(client));
    test_sleep(100 * TEST_MS);
    CHECK(rig.driver.write_ends > 0);
    dx_client_close(client);
    test_rig_finish(&rig);
}

struct starter {
    dx_client *client;
    kern_return_t status;
};

static void
start_client(void *argument)
{
    struct starter *const starter = argument;
    starter->status = dx_client_start(starter->client);
}

static void
a_time_out_reaches_every_client_that_waits(void)
{
    const struct test_config config = {.stamps = TEST_STAMPS_NONE};
    const dx_host_config host_config = {.start_timeout_ns = 700 * TEST_MS};
    test_rig_start(&rig, &config, &host_config);
    struct starter starters[5];
    dx_task *tasks[5];
    for (int i = 0; i < 5; i++) {
        starters[i] = (struct starter){.client = test_open(rig.device, true, i % 2, 0), .status = kIOReturnError};
        tasks[i] = test_spawn(start_client, &starters[i]);
        test_sleep(100 * TEST_MS);
    }
    for (int i = 0; i < 5; i++) {
        dx_task_join(tasks[i]);
        CHECK_STATUS(starters[i].status, kIOReturnTimeout);
        CHECK(!test_status(starters[i].client).is_running);
    }
    test_sleep(TEST_MS);
    CHECK(!test_info(rig.device).is_running);
    CHECK_EQ(rig.driver.stop_ios, rig.driver.start_ios);
    for (int i = 0; i < 5; i++)
        dx_client_close(starters[i].client);
    test_rig_finish(&rig);
}

/* Two runs with a pause; device time goes on, and sound is placed exactly in the second run. */
static void
check_restart(const struct test_config *config, uint64_t run_ns)
{
    static float heard[1 << 20];
    memset(heard, 0, sizeof heard);
    rig.driver.heard = heard;
    rig.driver.heard_frames = 1 << 20;
    test_rig_start(&rig, config, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    uint64_t last = 0;
    for (int run = 0; run < 3; run++) {
        CHECK_OK(dx_client_start(client));
        const uint64_t begin = test_status(client).device_time;
        CHECK(begin >= last);
        test_sleep(run_ns);
        CHECK(test_status(client).device_time >= begin + 40 * run_ns / TEST_MS);
        CHECK(test_statistics(rig.device).bad_stamps == 0);
        last = test_status(client).device_time;
        uint64_t sample = 0, host_time = 0;
        IOUserAudioDeviceGetCurrentZeroTimestamp(rig.object, &sample, &host_time);
        CHECK(host_time != 0);
        dx_client_stop(client);
        uint64_t kept_sample = 1, kept_host_time = 1;
        IOUserAudioDeviceGetCurrentZeroTimestamp(rig.object, &kept_sample, &kept_host_time);
        CHECK_EQ(kept_sample, sample); // the store survives StopIO
        CHECK_EQ(kept_host_time, host_time);
        test_sleep(777 * TEST_MS);
        CHECK(test_status(client).device_time >= last + 37296 - 40);
    }
    CHECK_EQ(test_statistics(rig.device).overloads, 0);
    dx_client_close(client);
    test_rig_finish(&rig);
    rig.driver.heard = NULL;
}

static void
a_driver_that_resumes_from_its_last_stamp_restarts(void)
{
    check_restart(&(struct test_config){.stamps = TEST_STAMPS_RESUME, .ppm = 100}, TEST_S);
    check_restart(&(struct test_config){.stamps = TEST_STAMPS_RESUME, .first_sample = 65536}, TEST_S);
}

static void
a_driver_that_posts_zero_and_starts_anew_restarts(void)
{
    check_restart(&(struct test_config){.stamps = TEST_STAMPS_SIMPLE, .ppm = -100}, TEST_S);
    check_restart(&(struct test_config){.stamps = TEST_STAMPS_AT_ONCE}, TEST_S);
}

int
main(int argc, char **argv)
{
    test_filter = argc > 1 ? argv[1] : NULL;
    RUN_SIMULATED(a_device_is_visible_only_after_register_service);
    RUN_SIMULATED(a_device_added_later_needs_properties_changed);
    RUN_SIMULATED(a_second_device_of_the_same_uid_stays_invisible);
    RUN_SIMULATED(two_drivers_that_come_at_once_with_one_uid_do_not_share_it);
    RUN_SIMULATED(a_device_that_is_being_removed_is_not_published_again);
    RUN_SIMULATED(more_devices_than_can_be_gone_through_stay_invisible);
    RUN_SIMULATED(a_driver_that_cancelled_its_queue_is_taken_away_whole);
    RUN_SIMULATED(a_client_stops_io_of_a_driver_that_cancelled_its_queue);
    RUN_SIMULATED(removing_a_device_stops_its_io);
    RUN_SIMULATED(a_driver_may_remove_its_device_in_stop);
    RUN_SIMULATED(a_device_that_is_no_longer_alive_says_so);
    RUN_SIMULATED(a_start_that_fails_leaves_nothing_behind);
    RUN_SIMULATED(a_driver_runs_once_at_a_time);
    RUN_SIMULATED(a_driver_cannot_come_back_while_it_is_being_stopped);
    RUN_SIMULATED(a_device_outlives_its_host);
    RUN_SIMULATED(a_start_goes_from_driver_to_device_to_streams_and_a_stop_back);
    RUN_SIMULATED(prewarming_follows_the_table);
    RUN_SIMULATED(a_device_without_prewarming_refuses_it);
    RUN_SIMULATED(a_failing_start_io_reaches_the_client_and_changes_nothing);
    RUN_SIMULATED(half_a_second_in_start_io_is_tolerated);
    RUN_SIMULATED(io_runs_from_the_first_client_to_the_last);
    RUN_SIMULATED(start_io_may_set_properties);
    RUN_SIMULATED(the_handler_is_not_called_after_a_stop_returned);
    RUN_SIMULATED(an_operation_is_sent_only_in_directions_in_use);
    RUN_SIMULATED(what_was_written_before_a_stamp_a_period_late_is_not_lost);
    RUN_SIMULATED(without_a_stamp_a_start_times_out_after_five_seconds);
    RUN_SIMULATED(a_time_out_reaches_every_client_that_waits);
    RUN_SIMULATED(a_driver_that_resumes_from_its_last_stamp_restarts);
    RUN_SIMULATED(a_driver_that_posts_zero_and_starts_anew_restarts);
    return 0;
}
