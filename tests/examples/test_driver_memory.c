// SPDX-License-Identifier: MIT
// Each allocation of the example drivers fails once: nothing crashes, nothing is left behind, and the next start works.

#ifdef NDEBUG
#    error "tests need their assertions"
#endif

#include "tests/core/failing_allocator.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dextral/dextral.h>

extern const dx_driver_class dx_driver_class_SimpleAudioDriver;
extern const dx_driver_class dx_driver_class_CableAudioDriver;
extern const dx_driver_class dx_driver_class_NullAudioDriver;

/* What making and starting a driver answers; all memory is there again when it is stopped. */
static kern_return_t
start_and_stop(dx_host *host, const dx_driver_class *driver_class, bool *ret_has_failed)
{
    IOUserAudioDriver *driver = driver_class->alloc();
    const kern_return_t status = driver ? dx_host_start_driver(host, driver, NULL) : kIOReturnNoMemory;
    *ret_has_failed = failing_allocator_stop();
    if (status == kIOReturnSuccess)
        cr_assert(eq(int, dx_host_stop_driver(host, driver), kIOReturnSuccess));
    dx_host_settle(host);
    OSObjectRelease(driver);
    return status;
}

static void
scenario(void *argument)
{
    const dx_driver_class *driver_class = *(const dx_driver_class *const *)argument;
    bool has_failed = false;
    dx_host *host = NULL;
    cr_assert(eq(int, dx_host_create(NULL, &host), kIOReturnSuccess));
    cr_assert(eq(int, start_and_stop(host, driver_class, &has_failed), kIOReturnSuccess)); // what is made once is there now

    uint64_t failures = 0;
    for (uint64_t n = 1;; n++) {
        const uint64_t live = failing_allocator_live();
        failing_allocator_fail_at(n);
        const kern_return_t status = start_and_stop(host, driver_class, &has_failed);
        cr_assert(failing_allocator_live() == live, "%s: call %llu fails (%s), and something is left",
                  driver_class->name, (unsigned long long)n, dx_return_string(status));
        if (!has_failed)
            break;
        failures += status != kIOReturnSuccess;
    }
    cr_assert(failures > 20, "%s: only %llu starts failed", driver_class->name, (unsigned long long)failures);
    dx_host_destroy(host);
}

static void
simulate(const dx_driver_class *driver_class)
{
    dx_simulation_result result;
    const kern_return_t status = dx_simulate(NULL, scenario, &driver_class, &result);
    cr_assert(eq(int, status, kIOReturnSuccess), "%s", result.message);
}

Test(driver_memory, simple_starts_or_leaves_nothing)
{
    simulate(&dx_driver_class_SimpleAudioDriver);
}

Test(driver_memory, cable_starts_or_leaves_nothing)
{
    simulate(&dx_driver_class_CableAudioDriver);
}

Test(driver_memory, null_starts_or_leaves_nothing)
{
    simulate(&dx_driver_class_NullAudioDriver);
}
