// SPDX-License-Identifier: MIT
// Drivers that vanish between any two calls, and come back.

#include "test_driver.h"

#include <stdlib.h>

#define ACTION_OWN 1000u

/* ThreadSanitizer makes each run fifty times as long, and sees nothing new on fibers: fewer of them. */
#if defined(__SANITIZE_THREAD__)
#    define COARSER 20u
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define COARSER 20u
#    endif
#endif
#ifndef COARSER
#    define COARSER 1u
#endif

static struct test_host host;
static struct test_driver first, second;
static dx_device *device;
static uint64_t vanish_ns;
static const struct test_config *config;
static float heard[1 << 18];

static kern_return_t
take_a_while(struct test_driver *driver, uint64_t action, OSObjectPtr info)
{
    (void)driver, (void)action, (void)info;
    test_sleep(4 * TEST_MS);
    return kIOReturnSuccess;
}

/* A client that starts at its time, plays and records, and watches the time. */
struct player {
    dx_client *client;
    uint64_t start_ns;
    uint32_t frames;
    _Atomic bool ending;
    dx_task *task;
};

static void
play(void *argument)
{
    struct player *const player = argument;
    float block[2 * 512];
    test_sleep(player->start_ns);
    CHECK_OK(dx_client_start(player->client));
    uint64_t last = 0, last_ns = 0;
    while (!atomic_load(&player->ending)) {
        const dx_client_status status = test_status(player->client);
        CHECK(status.is_running);
        CHECK(status.device_time >= last);
        if (last)
            CHECK((double)(status.device_time - last) + 64 >=
                  (double)(status.host_time_ns - last_ns) * 48e-6 * 0.9);
        last = status.device_time;
        last_ns = status.host_time_ns;
        for (uint32_t i = 0; i < 2 * player->frames; i++)
            block[i] = 0.25f;
        uint32_t done = 0;
        const kern_return_t written =
            dx_client_write(player->client, block, player->frames, test_now() + 100 * TEST_MS, &done);
        /* Before there was any device time a full lane stays full. */
        CHECK(written == kIOReturnSuccess || (written == kIOReturnTimeout && status.device_time == 0));
        const kern_return_t read =
            dx_client_read(player->client, block, player->frames, test_now() + 100 * TEST_MS, &done);
        CHECK(read == kIOReturnSuccess || read == kIOReturnOverrun ||
              (read == kIOReturnTimeout && (status.device_time == 0 || done > 0)));
    }
}

static void
ask_for_a_change(void *argument)
{
    (void)argument;
    test_sleep(30 * TEST_MS);
    (void)IOUserAudioDeviceRequestDeviceConfigurationChange(first.device, ACTION_OWN, NULL); // it may be gone
}

static void
start_second(void)
{
    memset(heard, 0, sizeof heard);
    second.heard = heard;
    second.heard_frames = sizeof heard / sizeof heard[0];
    IOUserAudioDriver *const driver = test_driver_create(&second, config);
    CHECK_OK(dx_host_start_driver(host.host, driver, NULL));
    OSObjectRelease(driver);
}

static void
vanish_and_come_back(void)
{
    test_host_create(&host, NULL);
    first.heard = NULL;
    IOUserAudioDriver *const driver = test_driver_create(&first, config);
    CHECK_OK(dx_host_start_driver(host.host, driver, NULL));
    device = dx_host_copy_device(host.host, TEST_UID);

    struct player players[2] = {{.start_ns = TEST_MS, .frames = 512}, {.start_ns = 12 * TEST_MS, .frames = 100}};
    for (int i = 0; i < 2; i++) {
        players[i].client = test_open(device, true, true, players[i].frames);
        players[i].task = test_spawn(play, &players[i]);
    }
    dx_task *const asker = test_spawn(ask_for_a_change, NULL);

    test_sleep(vanish_ns);
    CHECK_OK(dx_host_terminate_driver(host.host, driver));
    CHECK(!test_info(device).is_running && !test_info(device).has_driver);
    const uint32_t calls = first.write_ends + first.begin_reads + first.start_ios + first.stop_ios + first.performs;
    char *const log = strdup(first.calls);
    CHECK_EQ(first.stops, 0);
    test_sleep(25 * TEST_MS);
    start_second();
    test_sleep(1500 * TEST_MS);

    /* Nothing of the dead one was called any more. */
    CHECK_EQ(calls, first.write_ends + first.begin_reads + first.start_ios + first.stop_ios + first.performs);
    CHECK_TEXT(first.calls, log);
    free(log);
    /* The new one was started by the host, and the sound is back. */
    CHECK(test_info(device).is_running);
    CHECK_EQ(second.start_ios, 1);
    CHECK(second.write_ends > 10 && second.begin_reads > 10);
    uint64_t sounding = 0;
    for (uint64_t i = 0; i < second.heard_frames; i++)
        sounding += heard[i] == 0.5f; // both
    CHECK(sounding > 20000);
    CHECK_EQ(test_statistics(device).overloads, 0);

    for (int i = 0; i < 2; i++)
        atomic_store(&players[i].ending, true);
    for (int i = 0; i < 2; i++) {
        dx_task_join(players[i].task);
        dx_client_close(players[i].client);
    }
    dx_task_join(asker);
    CHECK_EQ(OSObjectGetRetainCount(driver), 1);
    OSObjectRelease(driver);
    CHECK_EQ(first.frees, 1);
    dx_device_release(device);
    test_host_destroy(&host);
    CHECK_EQ(second.frees, 1);
    CHECK_EQ(second.stray_calls, 0);
}

static void
vanish_over_a_grid(const struct test_config *with, uint64_t from_ns, uint64_t to_ns, uint64_t step_ns)
{
    config = with;
    const char *const first_seed = getenv("TEST_SEED");
    uint64_t seed = first_seed ? strtoull(first_seed, NULL, 0) : 1;
    for (vanish_ns = from_ns; vanish_ns < to_ns; vanish_ns += COARSER * step_ns)
        test_simulate_seeded(vanish_and_come_back, seed++);
}

/* StartIO takes 5 ms, the first stamp comes at once or after a period, cycles run, a change is performed at 30 ms. */
static void
a_driver_may_vanish_at_any_moment(void)
{
    vanish_over_a_grid(&(struct test_config){.start_io_ns = 5 * TEST_MS, .handler_ns = 100000,
                                             .in_perform = take_a_while, .ppm = 200},
                       0, 60 * TEST_MS, 97000);
}

static void
a_driver_may_vanish_before_its_first_stamp(void)
{
    vanish_over_a_grid(&(struct test_config){.stamps = TEST_STAMPS_SIMPLE, .period_frames = 4096,
                                             .in_perform = take_a_while},
                       0, 150 * TEST_MS, 1370000);
}

static void
a_driver_may_vanish_while_the_handler_runs(void)
{
    vanish_over_a_grid(&(struct test_config){.handler_ns = 900000, .in_perform = take_a_while},
                       5 * TEST_MS, 30 * TEST_MS, 133333);
}

/* ---- one at a time ---- */

static void
entries_without_users_disappear(void)
{
    test_host_create(&host, NULL);
    IOUserAudioDriver *const driver = test_driver_create(&first, NULL);
    CHECK_OK(dx_host_start_driver(host.host, driver, NULL));
    dx_host_settle(host.host);
    device = dx_host_copy_device(host.host, TEST_UID);
    dx_client *const client = test_open(device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    CHECK_OK(dx_host_terminate_driver(host.host, driver));
    CHECK_STATUS(dx_host_terminate_driver(host.host, driver), kIOReturnNotFound);
    CHECK_STATUS(dx_host_stop_driver(host.host, driver), kIOReturnNotFound);
    dx_host_settle(host.host);
    dx_device_release(device);
    CHECK_EQ(dx_host_copy_devices(host.host, NULL, 0), 1);
    dx_client_close(client);
    CHECK_EQ(dx_host_copy_devices(host.host, NULL, 0), 0);
    CHECK(!dx_host_copy_device(host.host, TEST_UID));
    OSObjectRelease(driver);
    CHECK_EQ(first.frees, 1);
    test_host_destroy(&host);
}

static void
a_client_may_start_before_its_driver_comes_back(void)
{
    config = NULL;
    test_host_create(&host, NULL);
    IOUserAudioDriver *const driver = test_driver_create(&first, NULL);
    CHECK_OK(dx_host_start_driver(host.host, driver, NULL));
    device = dx_host_copy_device(host.host, TEST_UID);
    dx_client *const client = test_open(device, true, true, 0);
    CHECK_OK(dx_host_terminate_driver(host.host, driver));
    CHECK_OK(dx_client_start(client)); // silence, until one comes
    CHECK(test_status(client).is_running);
    test_sleep(100 * TEST_MS);
    start_second();
    test_sleep(100 * TEST_MS);
    CHECK(test_info(device).is_running);
    float block[2 * 64] = {0};
    for (int i = 0; i < 200; i++)
        CHECK_OK(dx_client_write(client, block, 64, DX_NEVER, NULL));
    dx_client_close(client);
    OSObjectRelease(driver);
    dx_device_release(device);
    test_host_destroy(&host);
}

static _Atomic uint32_t callbacks;

static void
count_callbacks(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    (void)context, (void)cycle, (void)input, (void)output;
    atomic_fetch_add(&callbacks, 1);
}

static void
callbacks_keep_their_cadence_without_a_driver(void)
{
    config = NULL;
    test_host_create(&host, NULL);
    IOUserAudioDriver *const driver = test_driver_create(&first, NULL);
    CHECK_OK(dx_host_start_driver(host.host, driver, NULL));
    device = dx_host_copy_device(host.host, TEST_UID);
    const dx_client_config client_config = {
        .size = sizeof client_config, .io_frames = 480, .callback = count_callbacks, .priority = -1};
    dx_client *client = NULL;
    CHECK_OK(dx_client_open(device, &client_config, &client));
    CHECK_OK(dx_host_terminate_driver(host.host, driver));
    callbacks = 0;
    CHECK_OK(dx_client_start(client)); // there is no time yet
    test_sleep(TEST_S);
    CHECK(callbacks <= 110);
    start_second();
    test_sleep(100 * TEST_MS);
    callbacks = 0;
    test_sleep(TEST_S);
    CHECK(callbacks >= 99 && callbacks <= 101);
    CHECK_OK(dx_host_terminate_driver(host.host, second.driver));
    callbacks = 0;
    test_sleep(TEST_S);
    CHECK(callbacks >= 98 && callbacks <= 102);
    dx_client_close(client);
    OSObjectRelease(driver);
    dx_device_release(device);
    test_host_destroy(&host);
}

static void
a_driver_that_returns_with_another_format_cuts_its_clients_off(void)
{
    struct test_config other = {.format_count = 1, .output_streams = 1, .input_streams = TEST_NONE};
    other.formats[0] = test_format(48000, 6);
    config = &other;
    test_host_create(&host, NULL);
    IOUserAudioDriver *const driver = test_driver_create(&first, NULL);
    CHECK_OK(dx_host_start_driver(host.host, driver, NULL));
    device = dx_host_copy_device(host.host, TEST_UID);
    dx_client *const client = test_open(device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    test_sleep(20 * TEST_MS);
    CHECK_OK(dx_host_terminate_driver(host.host, driver));
    start_second();
    test_sleep(20 * TEST_MS);
    float block[2 * 64] = {0};
    CHECK_STATUS(dx_client_write(client, block, 64, DX_NEVER, NULL), kIOReturnUnsupportedMode);
    CHECK_STATUS(dx_client_read(client, block, 64, DX_NEVER, NULL), kIOReturnUnsupportedMode);
    dx_client_close(client);
    OSObjectRelease(driver);
    dx_device_release(device);
    test_host_destroy(&host);
}

static void
the_same_driver_object_may_not_come_back_dead(void)
{
    /* An object that ran once is spent: `init` says no the second time, and nothing is left half-made. */
    test_host_create(&host, NULL);
    IOUserAudioDriver *const driver = test_driver_create(&first, NULL);
    CHECK_OK(dx_host_start_driver(host.host, driver, NULL));
    CHECK_OK(dx_host_terminate_driver(host.host, driver));
    CHECK(dx_host_start_driver(host.host, driver, NULL) != kIOReturnSuccess);
    dx_host_settle(host.host);
    CHECK_EQ(dx_host_copy_devices(host.host, NULL, 0), 0);
    OSObjectRelease(driver);
    CHECK_EQ(first.frees, 1);
    test_host_destroy(&host);
}

static void
a_request_of_a_driver_that_is_gone_is_not_performed(void)
{
    test_host_create(&host, NULL);
    const struct test_config slow = {.in_perform = take_a_while};
    IOUserAudioDriver *const driver = test_driver_create(&first, &slow);
    CHECK_OK(dx_host_start_driver(host.host, driver, NULL));
    dx_host_settle(host.host);
    for (int i = 0; i < 3; i++)
        CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(first.device, ACTION_OWN, NULL));
    test_sleep(TEST_MS); // in the first
    CHECK_OK(dx_host_terminate_driver(host.host, driver));
    CHECK_EQ(first.performs, 1);
    dx_host_settle(host.host);
    CHECK_EQ(first.performs, 1);
    CHECK_EQ(first.aborts, 0);
    CHECK_EQ(test_host_count(&host, DX_EVENT_CONFIGURATION_BEGIN), test_host_count(&host, DX_EVENT_CONFIGURATION_END));
    CHECK(IOUserAudioDeviceRequestDeviceConfigurationChange(first.device, ACTION_OWN, NULL) != kIOReturnSuccess);
    CHECK_EQ(OSObjectGetRetainCount(driver), 1);
    OSObjectRelease(driver);
    CHECK_EQ(first.frees, 1);
    test_host_destroy(&host);
}

static IOTimerDispatchSource *timer;
static _Atomic uint32_t ticks;

static void
count_ticks(void *context, uint64_t now)
{
    (void)context;
    atomic_fetch_add(&ticks, 1);
    (void)IOTimerDispatchSourceWakeAtTime(timer, kIOTimerClockMachAbsoluteTime, now + TEST_MS, 0);
}

static void
no_timer_of_a_terminated_driver_fires(void)
{
    test_host_create(&host, NULL);
    IOUserAudioDriver *const driver = test_driver_create(&first, NULL);
    CHECK_OK(dx_host_start_driver(host.host, driver, NULL));
    CHECK_OK(IOTimerDispatchSourceCreate(first.queue, &timer));
    CHECK_OK(IOTimerDispatchSourceSetHandler_f(timer, NULL, count_ticks));
    CHECK_OK(IOTimerDispatchSourceWakeAtTime(timer, kIOTimerClockMachAbsoluteTime, mach_absolute_time(), 0));
    test_sleep(20 * TEST_MS + TEST_MS / 2);
    CHECK(ticks >= 19);
    CHECK_OK(dx_host_terminate_driver(host.host, driver));
    const uint32_t before = ticks;
    test_sleep(TEST_S);
    CHECK_EQ(ticks, before);
    OSSafeReleaseNULL(timer);
    CHECK_EQ(OSObjectGetRetainCount(driver), 1);
    OSObjectRelease(driver);
    CHECK_EQ(first.frees, 1);
    test_host_destroy(&host);
}

int
main(int argc, char **argv)
{
    test_filter = argc > 1 ? argv[1] : NULL;
    RUN_SIMULATED(entries_without_users_disappear);
    RUN_SIMULATED(a_client_may_start_before_its_driver_comes_back);
    RUN_SIMULATED(callbacks_keep_their_cadence_without_a_driver);
    RUN_SIMULATED(a_driver_that_returns_with_another_format_cuts_its_clients_off);
    RUN_SIMULATED(the_same_driver_object_may_not_come_back_dead);
    RUN_SIMULATED(a_request_of_a_driver_that_is_gone_is_not_performed);
    RUN_SIMULATED(no_timer_of_a_terminated_driver_fires);
    RUN_FILTERED(a_driver_may_vanish_at_any_moment);
    RUN_FILTERED(a_driver_may_vanish_before_its_first_stamp);
    RUN_FILTERED(a_driver_may_vanish_while_the_handler_runs);
    return 0;
}
