// SPDX-License-Identifier: MIT
// Any allocation, mapping, lock or thread refused in creating, starting, stopping and destroying a device.

#include "test_driver.h"
#include "tests/core/failing_allocator.h"

#include <stdlib.h>

static struct test_driver driver;
static bool without_retry;

static void
ignore_event(void *context, const dx_host_event *event)
{
    (void)context, (void)event;
}

static void
ignore_line(void *context, const char *line)
{
    (void)context, (void)line;
}

static bool
is_out_of_something(kern_return_t status)
{
    return status == kIOReturnNoMemory || status == kIOReturnNoResources;
}

static void
called_back(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    (void)context, (void)cycle, (void)input, (void)output;
}

/* Everything a program does with a device; whether all of it worked. */
static bool
use_a_device(dx_device *device)
{
    const dx_client_config config = {.size = sizeof config, .io_frames = 256, .priority = -1};
    dx_client_config with_callback = config;
    with_callback.callback = called_back;
    dx_client *client = NULL, *other = NULL;
    bool done = true;
    kern_return_t status = dx_client_open(device, &config, &client);
    CHECK(status == kIOReturnSuccess || is_out_of_something(status));
    done &= status == kIOReturnSuccess;
    status = dx_client_open(device, &with_callback, &other);
    CHECK(status == kIOReturnSuccess || is_out_of_something(status));
    done &= status == kIOReturnSuccess;
    dx_client *const clients[] = {client, other};
    for (int i = 0; i < 2; i++) {
        if (!clients[i])
            continue;
        status = dx_client_start(clients[i]);
        CHECK(status == kIOReturnSuccess || is_out_of_something(status));
        CHECK(test_status(clients[i]).is_running == (status == kIOReturnSuccess));
        done &= status == kIOReturnSuccess;
    }
    test_sleep(30 * TEST_MS);
    status = dx_device_set_sample_rate(device, 44100);
    CHECK(status == kIOReturnSuccess || is_out_of_something(status));
    done &= status == kIOReturnSuccess;
    done &= IOUserAudioDeviceRequestDeviceConfigurationChange(driver.device, 1000, NULL) == kIOReturnSuccess;
    test_sleep(30 * TEST_MS);
    done &= driver.performs == 2;
    dx_client_stop(client);
    if (client) {
        status = dx_client_start(client);
        done &= status == kIOReturnSuccess;
    }
    test_sleep(5 * TEST_MS);
    dx_client_close(client);
    dx_client_close(other);
    return done;
}

static bool
run_a_host(void)
{
    const dx_host_config config = {.size = sizeof config, .io_priority = -1, .listener = ignore_event,
                                   .log = ignore_line};
    const struct test_config driver_config = {.has_volume = true, .period_frames = 4096};
    bool done = true;
    dx_host *host = NULL;
    kern_return_t status = dx_host_create(&config, &host);
    CHECK(status == kIOReturnSuccess || is_out_of_something(status));
    if (status != kIOReturnSuccess)
        return false;
    IOUserAudioDriver *const object = test_driver_create(&driver, &driver_config);
    if (!object) {
        dx_host_destroy(host);
        return false;
    }
    status = dx_host_start_driver(host, object, NULL);
    CHECK(status == kIOReturnSuccess || is_out_of_something(status));
    dx_host_settle(host);
    dx_device *const device = dx_host_copy_device(host, TEST_UID);
    if (status != kIOReturnSuccess)
        CHECK(!device);
    done &= status == kIOReturnSuccess && device;
    if (device) {
        done &= use_a_device(device);
        OSDictionary *const saved = dx_host_copy_saved_state(host);
        done &= saved != NULL;
        OSObjectRelease(saved);
        /* What failed once works now. */
        if (!without_retry && !done) {
            (void)failing_allocator_stop();
            atomic_store(&driver.performs, 0);
            CHECK(use_a_device(device));
        }
    }
    dx_device_release(device);
    if (status == kIOReturnSuccess)
        CHECK_STATUS(dx_host_stop_driver(host, object), kIOReturnSuccess);
    CHECK_EQ(OSObjectGetRetainCount(object), 1);
    OSObjectRelease(object);
    CHECK_EQ(driver.frees, 1);
    dx_host_destroy(host);
    return done;
}

static bool result;
static uint64_t fail_at;
static bool fail_all_behind;
static bool reached;
static uint64_t live_before, live_after;

/* The allocator fails inside the simulation only: its own fibers are its own business. */
static void
run_failing(void)
{
    live_before = failing_allocator_live();
    if (fail_all_behind)
        failing_allocator_fail_from(fail_at);
    else
        failing_allocator_fail_at(fail_at);
    result = run_a_host();
    reached = failing_allocator_stop();
    reached |= !result;
    live_after = failing_allocator_live();
}

static void
fail_everywhere(bool all_behind)
{
    fail_all_behind = all_behind;
    fail_at = UINT64_MAX;
    test_simulate(run_failing);
    CHECK(result);
    for (fail_at = 1;; fail_at++) {
        const uint64_t live = failing_allocator_live();
        if (getenv("TEST_LOG"))
            (void)fprintf(stderr, "  %llu\n", (unsigned long long)fail_at);
        test_simulate(run_failing);
        CHECK_EQ(failing_allocator_live(), live);
        if (!reached) {
            CHECK(result);
            break;
        }
        CHECK(fail_at < 100000);
    }
}

static void
an_nth_allocation_that_fails_leaves_nothing_leaked_and_nothing_half_made(void)
{
    without_retry = false;
    fail_everywhere(false);
}

static void
all_allocations_from_the_nth_on_failing_leave_nothing_leaked(void)
{
    without_retry = true;
    fail_everywhere(true);
}

int
main(void)
{
    RUN(an_nth_allocation_that_fails_leaves_nothing_leaked_and_nothing_half_made);
    RUN(all_allocations_from_the_nth_on_failing_leave_nothing_leaked);
    return 0;
}
