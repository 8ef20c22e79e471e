// SPDX-License-Identifier: MIT
// The queues: getters in the handler while IO is being stopped, and everything at once on real threads.

#include "test_driver.h"
#include "tests/break_rules.h"

#include "core/sync.h"

#include <stdlib.h>

#define ACTION_OWN 1000u
#define DRIVERS 64

static struct test_rig rig;

/* ---- getters in the handler ---- */

static _Atomic uint32_t sink; // so that no getter is left out

static void
call_getters(struct test_driver *driver, IOUserAudioIOOperation operation, uint32_t frames,
             uint64_t sample_time) DX_REALTIME
{
    (void)operation, (void)frames;
    uint64_t sample = 0, host_time = 0;
    IOUserAudioDeviceGetCurrentZeroTimestamp(driver->device, &sample, &host_time);
    IOUserAudioDeviceGetCurrentClientSampleTime(driver->device, &sample, &host_time);
    IOUserAudioDeviceGetCurrentClientIOTime(driver->device, operation == IOUserAudioIOOperationBeginRead, &sample, NULL);
    BREAK_RULES_BEGIN("a check that fails ends the program")
    CHECK_EQ(sample, sample_time);
    BREAK_RULES_END
    uint32_t seen = IOUserAudioDeviceGetDeviceIsRunning(driver->device);
    seen += IOUserAudioDeviceGetZeroTimestampPeriod(driver->device);
    seen += (uint32_t)IOUserAudioDeviceGetSampleRate(driver->device);
    seen += IOUserAudioStreamGetCurrentStreamFormat(driver->outputs[0]).mBytesPerFrame;
    seen += IOUserAudioStreamGetStreamIsActive(driver->outputs[0]);
    seen += IOUserAudioLevelControlGetScalarValue(driver->volume) > 0.5f;
    seen += IOUserAudioObjectGetObjectID(driver->device);
    atomic_store(&sink, seen);
}

static void
the_handler_may_call_getters_while_io_is_being_stopped(void)
{
    const struct test_config config = {.has_volume = true, .in_handler = call_getters, .handler_ns = 700000};
    for (uint64_t ns = 0; ns < 4 * TEST_MS; ns += 150000) {
        test_rig_start(&rig, &config, NULL);
        dx_client *const client = test_open(rig.device, true, true, 128);
        CHECK_OK(dx_client_start(client));
        test_sleep(20 * TEST_MS + ns);
        CHECK_OK(dx_device_set_sample_rate(rig.device, 44100));
        test_sleep(10 * TEST_MS + ns);
        dx_client_stop(client);
        dx_client_close(client);
        test_rig_finish(&rig);
    }
}

/* ---- everything at once ---- */

static struct test_host host;
static struct test_driver drivers[DRIVERS];
static IOUserAudioDriver *objects[DRIVERS];
static uint32_t driver_count;
static struct dx_mutex driver_lock; // of which driver is the newest
static dx_device *device;
static _Atomic bool ending;
static uint32_t rounds;

static const struct test_config driver_config = {
    .period_frames = 2048, .has_volume = true, .loops_back = true, .in_handler = call_getters};

/* The newest driver's device, +1. */
static IOUserAudioDevice *
copy_newest(struct test_driver **ret_driver)
{
    dx_mutex_lock(&driver_lock);
    struct test_driver *const driver = &drivers[driver_count - 1];
    IOUserAudioDevice *const object = OSObjectRetain(driver->device);
    dx_mutex_unlock(&driver_lock);
    *ret_driver = driver;
    return object;
}

static void
start_a_driver(void)
{
    dx_mutex_lock(&driver_lock);
    CHECK(driver_count < DRIVERS);
    objects[driver_count] = test_driver_create(&drivers[driver_count], &driver_config);
    CHECK_OK(dx_host_start_driver(host.host, objects[driver_count], NULL));
    driver_count++;
    dx_mutex_unlock(&driver_lock);
}

static void
restart_drivers(void *argument)
{
    (void)argument;
    for (uint32_t i = 0; i < rounds / 4; i++) {
        test_sleep(25 * TEST_MS);
        IOUserAudioDriver *const driver = objects[driver_count - 1];
        if (i % 2)
            CHECK_OK(dx_host_terminate_driver(host.host, driver));
        else
            CHECK_OK(dx_host_stop_driver(host.host, driver));
        test_sleep(3 * TEST_MS);
        start_a_driver();
    }
}

static void
change_things(void *argument)
{
    (void)argument;
    for (uint32_t i = 0; i < rounds; i++) {
        test_sleep(7 * TEST_MS);
        struct test_driver *driver;
        IOUserAudioDevice *const object = copy_newest(&driver);
        OSString *const name = OSStringCreate(i % 2 ? "odd" : "even");
        (void)IOUserAudioObjectSetName(object, name);
        OSObjectRelease(name);
        (void)IOUserAudioLevelControlSetDecibelValue(driver->volume, -(float)(i % 60));
        if (i % 3 == 0)
            (void)IOUserAudioDeviceRequestDeviceConfigurationChange(object, ACTION_OWN, NULL);
        if (i % 5 == 0)
            (void)dx_device_set_sample_rate(device, i % 2 ? 48000 : 44100);
        if (i % 7 == 0)
            (void)dx_device_set_io_frames(device, i % 2 ? 0 : 96);
        OSObjectRelease(object);
    }
}

static kern_return_t
other_handler(IOUserAudioObjectID id, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
              uint64_t host_time, void *context) DX_REALTIME
{
    (void)id, (void)operation, (void)frames, (void)sample_time, (void)host_time;
    (*(uint32_t *)context)++; // freed after the handler was replaced
    return kIOReturnSuccess;
}

static void
replace_handlers(void *argument)
{
    (void)argument;
    for (uint32_t i = 0; i < rounds; i++) {
        struct test_driver *driver;
        IOUserAudioDevice *const object = copy_newest(&driver);
        uint32_t *const count = calloc(1, sizeof *count);
        CHECK_OK(IOUserAudioDeviceSetIOOperationHandler(object, other_handler, count));
        test_sleep(4 * TEST_MS);
        CHECK_OK(IOUserAudioDeviceSetIOOperationHandler(object, NULL, NULL));
        free(count);
        test_sleep(2 * TEST_MS);
        OSObjectRelease(object);
    }
}

static void
called_back(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    (void)context, (void)input;
    if (output)
        memset(output, 0, cycle->frames * 2 * sizeof(float));
}

static void
churn_clients(void *argument)
{
    const uint32_t kind = (uint32_t)(uintptr_t)argument;
    float block[2 * 256] = {0};
    for (uint32_t i = 0; i < rounds; i++) {
        const dx_client_config config = {
            .size = sizeof config,
            .flags = kind == 2 ? DX_CLIENT_SYNCHRONOUS : 0,
            .io_frames = 64 + 32 * (i % 5),
            .input_stream = i % 3 ? 0 : DX_NO_STREAM,
            .callback = kind ? called_back : NULL,
            .priority = -1,
        };
        dx_client *client = NULL;
        CHECK_OK(dx_client_open(device, &config, &client));
        CHECK_OK(dx_client_start(client));
        if (!kind) {
            for (int k = 0; k < 3; k++)
                (void)dx_client_write(client, block, 256, test_now() + 5 * TEST_MS, NULL);
            if (i % 3)
                (void)dx_client_read(client, block, 256, test_now() + 5 * TEST_MS, NULL);
        } else {
            test_sleep(5 * TEST_MS);
        }
        if (i % 2)
            dx_client_stop(client);
        dx_client_close(client);
    }
}

static void
ask_around(void *argument)
{
    dx_client *const client = argument;
    uint64_t last = 0;
    while (!atomic_load(&ending)) {
        const dx_client_status status = test_status(client);
        CHECK(status.device_time >= last);
        last = status.device_time;
        (void)test_info(device);
        (void)test_statistics(device);
        dx_device *list[4];
        const size_t count = dx_host_copy_devices(host.host, list, 4);
        for (size_t i = 0; i < count && i < 4; i++)
            dx_device_release(list[i]);
        dx_device_release(dx_host_copy_default_device(host.host, IOUserAudioStreamDirectionOutput));
        OSObjectRelease(dx_host_copy_saved_state(host.host));
        test_sleep(TEST_MS);
    }
}

/* One writer and one reader of a client that a third thread starts and stops. */
static void
write_all_the_time(void *argument)
{
    dx_client *const client = argument;
    float block[2 * 100] = {0};
    while (!atomic_load(&ending)) {
        if (dx_client_write(client, block, 100, DX_NEVER, NULL) != kIOReturnSuccess)
            test_sleep(200000);
        (void)dx_client_drain(client, test_now() + TEST_MS);
    }
}

static void
read_all_the_time(void *argument)
{
    dx_client *const client = argument;
    float block[2 * 100] = {0};
    while (!atomic_load(&ending)) {
        const kern_return_t status = dx_client_read(client, block, 100, DX_NEVER, NULL);
        if (status != kIOReturnSuccess && status != kIOReturnOverrun)
            test_sleep(200000);
    }
}

static void
start_and_stop(void *argument)
{
    dx_client *const client = argument;
    for (uint32_t i = 0; i < rounds; i++) {
        CHECK_OK(dx_client_start(client));
        test_sleep(8 * TEST_MS);
        dx_client_stop(client);
        test_sleep(TEST_MS);
    }
}

static void
everything_happens_at_once(void)
{
    dx_mutex_init(&driver_lock, "newest driver");
    driver_count = 0;
    atomic_store(&ending, false);
    test_host_create(&host, NULL);
    start_a_driver();
    device = dx_host_copy_device(host.host, TEST_UID);
    dx_client *const shared = test_open(device, true, true, 0);
    dx_client *const watched = test_open(device, true, true, 0);
    CHECK_OK(dx_client_start(watched));

    dx_task *const busy[] = {
        test_spawn(restart_drivers, NULL),
        test_spawn(change_things, NULL),
        test_spawn(replace_handlers, NULL),
        test_spawn(churn_clients, (void *)0),
        test_spawn(churn_clients, (void *)1),
        test_spawn(churn_clients, (void *)2),
        test_spawn(start_and_stop, shared),
    };
    dx_task *const endless[] = {
        test_spawn(ask_around, watched),
        test_spawn(write_all_the_time, shared),
        test_spawn(read_all_the_time, shared),
    };
    for (size_t i = 0; i < sizeof busy / sizeof busy[0]; i++)
        dx_task_join(busy[i]);
    atomic_store(&ending, true);
    dx_client_stop(shared);
    for (size_t i = 0; i < sizeof endless / sizeof endless[0]; i++)
        dx_task_join(endless[i]);

    /* It still works. */
    dx_client_stop(watched);
    CHECK_OK(dx_client_start(watched));
    float block[2 * 64] = {0};
    CHECK_OK(dx_client_write(watched, block, 64, test_now() + 5 * TEST_S, NULL));
    dx_client_close(watched);
    dx_client_close(shared);
    dx_device_release(device);
    test_host_destroy(&host);
    for (uint32_t i = 0; i < driver_count; i++) {
        CHECK_EQ(OSObjectGetRetainCount(objects[i]), 1);
        OSObjectRelease(objects[i]);
        CHECK_EQ(drivers[i].frees, 1);
        CHECK_EQ(drivers[i].start_ios >= drivers[i].stop_ios, true);
    }
}

int
main(int argc, char **argv)
{
    test_filter = argc > 1 ? argv[1] : NULL;
    RUN_SIMULATED(the_handler_may_call_getters_while_io_is_being_stopped);
    /* The same on fibers, in many orders, before real threads. */
    rounds = 24;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        if (test_filter && !strstr("everything_happens_at_once", test_filter))
            break;
        test_simulate_seeded(everything_happens_at_once, seed);
    }
    rounds = argc > 2 ? (uint32_t)atoi(argv[2]) : 60;
    if (!test_filter || strstr("everything_happens_at_once", test_filter))
        RUN(everything_happens_at_once);
    return 0;
}
