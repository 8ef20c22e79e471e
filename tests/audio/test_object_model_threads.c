// SPDX-License-Identifier: MIT
// Drivers and devices under several threads: handlers replaced while they run, getters beside setters, a host that
// goes while objects call it.

#include "fake_host.h"

#include "../core/check.h"

#include "audio/device.h"
#include "audio/driver.h"
#include "core/realtime.h"

#include <pthread.h>
#include <stdatomic.h>

#define ROUNDS 2000u

static IOUserAudioDriver *driver;
static IOUserAudioDevice *device;
static atomic_bool is_over;

static bool
goes_on(void)
{
    /* relaxed: only ends a loop; pthread_join() orders the rest. */
    return !atomic_load_explicit(&is_over, memory_order_relaxed);
}

static void
start(void)
{
    driver = fake_host_start_driver(NULL);
    CHECK(driver);
    device = make_device(driver, "uid", 512);
    CHECK(device);
    CHECK_EQ(IOUserAudioDriverAddObject(driver, device), kIOReturnSuccess);
    atomic_store_explicit(&is_over, false, memory_order_relaxed); // relaxed: no thread yet
}

static void
stop(void)
{
    OSObjectRelease(device);
    fake_host_stop_driver(driver);
}

static pthread_t
spawn(void *(*function)(void *context), void *context)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, function, context), 0);
    return thread;
}

static void
end(pthread_t thread)
{
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* A context that the handler may use until it was released. */
struct context {
    _Atomic bool is_released;
    bool replaces_itself;
};

static void
release_context(void *context)
{
    /* relaxed: the handler's own check is what this is about. */
    CHECK(!atomic_exchange_explicit(&((struct context *)context)->is_released, true, memory_order_relaxed));
}

static struct context own_replacements[ROUNDS];
static uint32_t own_replacement_count; // the IO thread's
static uint32_t own_replacements_refused;

static kern_return_t use_context(IOUserAudioObjectID id, IOUserAudioIOOperation operation, uint32_t frames,
                                 uint64_t sample_time, uint64_t host_time, void *context) DX_REALTIME;
static kern_return_t
use_context(IOUserAudioObjectID id, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
            uint64_t host_time, void *context)
{
    (void)id;
    (void)operation;
    (void)frames;
    (void)sample_time;
    (void)host_time;
    struct context *const c = context;
    DX_REALTIME_TRUSTED_BEGIN("a test: a check that fails ends the program")
    CHECK(!atomic_load_explicit(&c->is_released, memory_order_relaxed));
    if (c->replaces_itself && own_replacement_count < ROUNDS) {
        const kern_return_t status = dx_device_object_set_io_operation_handler(
            device, use_context, &own_replacements[own_replacement_count], release_context);
        if (status == kIOReturnSuccess)
            own_replacement_count++;
        else
            own_replacements_refused++;
        CHECK(status == kIOReturnSuccess || status == kIOReturnBusy);
    }
    CHECK(!atomic_load_explicit(&c->is_released, memory_order_relaxed));
    DX_REALTIME_TRUSTED_END
    return kIOReturnSuccess;
}

static void *
call_handler(void *context)
{
    (void)context;
    struct dx_device_io *const io = dx_device_get_io(device);
    while (goes_on()) {
        (void)dx_handler_box_call(&io->handler, 2, 0, 64, 0, 0);
        dx_handler_box_wake(&io->handler);
    }
    return NULL;
}

static void *
replace_handlers(void *context)
{
    struct context *const contexts = context;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        contexts[i].replaces_itself = i % 3 == 0;
        const kern_return_t status =
            i % 7 == 6
                ? IOUserAudioDeviceSetIOOperationHandler(device, NULL, NULL)
                : dx_device_object_set_io_operation_handler(device, use_context, &contexts[i], release_context);
        CHECK_EQ(status, kIOReturnSuccess);
    }
    return NULL;
}

static void
a_context_is_released_once_and_never_used_after(void)
{
    static struct context contexts[2][ROUNDS];
    start();
    const pthread_t io = spawn(call_handler, NULL);
    const pthread_t one = spawn(replace_handlers, contexts[0]);
    const pthread_t two = spawn(replace_handlers, contexts[1]);
    end(one);
    end(two);
    atomic_store_explicit(&is_over, true, memory_order_relaxed); // relaxed: see goes_on()
    end(io);
    stop();
    /* relaxed: the threads have ended. */
    for (uint32_t i = 0; i < ROUNDS; i++) {
        for (unsigned t = 0; t < 2; t++)
            CHECK_EQ(atomic_load_explicit(&contexts[t][i].is_released, memory_order_relaxed), i % 7 != 6);
        CHECK_EQ(atomic_load_explicit(&own_replacements[i].is_released, memory_order_relaxed),
                 i < own_replacement_count);
    }
}

/* Values that belong together: channels of every format are a hundredth of its rate. */
static void *
read_values(void *context)
{
    IOUserAudioStream *const stream = context;
    while (goes_on()) {
        const IOUserAudioStreamBasicDescription format = IOUserAudioStreamGetCurrentStreamFormat(stream);
        CHECK(format.mSampleRate == 100.0 * format.mChannelsPerFrame);
        CHECK_EQ(format.mBytesPerFrame, 4 * format.mChannelsPerFrame);
        uint32_t left, right;
        IOUserAudioDeviceGetPreferredChannelsForStereo(device, &left, &right);
        CHECK_EQ(right, left + 1);
        const double rate = IOUserAudioDeviceGetSampleRate(device);
        CHECK(rate >= 0 && rate <= 100.0 * ROUNDS && rate == (double)(uint64_t)rate);
        uint64_t sample_time, host_time;
        IOUserAudioDeviceGetCurrentZeroTimestamp(device, &sample_time, &host_time);
        CHECK_EQ(host_time, 3 * sample_time);
        OSString *const name = IOUserAudioObjectGetName(device);
        CHECK(!name || OSStringGetLength(name) == 4);
        OSObjectRelease(name);
    }
    return NULL;
}

static void
values_are_read_whole_beside_their_setters(void)
{
    start();
    IOUserAudioStream *const stream = make_stream(driver, IOUserAudioStreamDirectionOutput, 0);
    CHECK_EQ(IOUserAudioDeviceAddStream(device, stream), kIOReturnSuccess);
    OSString *const names[] = {OSStringCreate("even"), OSStringCreate("odd.")};
    const pthread_t one = spawn(read_values, stream);
    const pthread_t two = spawn(read_values, stream);
    for (uint32_t i = 1; i < ROUNDS; i++) {
        const uint32_t channels = 1 + i % 1000;
        const IOUserAudioStreamBasicDescription format = float_format(100.0 * channels, channels);
        CHECK_EQ(IOUserAudioStreamSetCurrentStreamFormat(stream, &format), kIOReturnSuccess);
        CHECK_EQ(IOUserAudioDeviceSetPreferredChannelsForStereo(device, i, i + 1), kIOReturnSuccess);
        CHECK_EQ(IOUserAudioDeviceSetSampleRate(device, 100.0 * i), kIOReturnSuccess);
        CHECK_EQ(IOUserAudioObjectSetName(device, names[i % 2]), kIOReturnSuccess);
        IOUserAudioDeviceUpdateCurrentZeroTimestamp(device, 512 * (uint64_t)i, 3 * 512 * (uint64_t)i);
    }
    atomic_store_explicit(&is_over, true, memory_order_relaxed); // relaxed: see goes_on()
    end(one);
    end(two);
    OSObjectRelease(names[0]);
    OSObjectRelease(names[1]);
    OSObjectRelease(stream);
    stop();
}

/* Creates objects, looks for them and lets them go. */
static void *
make_objects(void *context)
{
    (void)context;
    while (goes_on()) {
        IOUserAudioStream *const stream = make_stream(driver, IOUserAudioStreamDirectionInput, 0);
        CHECK(stream);
        const IOUserAudioObjectID id = IOUserAudioObjectGetObjectID(stream);
        OSObjectRelease(IOUserAudioDriverGetAudioObjectForObjectID(driver, id - 1)); // perhaps another's
        IOUserAudioObject *const found = IOUserAudioDriverGetAudioObjectForObjectID(driver, id);
        CHECK(found == (IOUserAudioObject *)(void *)stream);
        OSObjectRelease(found);
        OSObjectRelease(stream);
    }
    return NULL;
}

static void *
change_properties(void *context)
{
    (void)context;
    for (uint32_t i = 0; goes_on(); i++)
        CHECK_EQ(IOUserAudioDeviceSetOutputLatency(device, i), kIOReturnSuccess);
    return NULL;
}

static void
no_call_reaches_a_host_that_was_detached(void)
{
    start();
    const pthread_t one = spawn(make_objects, NULL);
    const pthread_t two = spawn(change_properties, NULL);
    const pthread_t three = spawn(make_objects, NULL);
    for (unsigned i = 0; i < 200; i++) {
        dx_driver_detach(driver);
        const uint32_t calls = fake_host_calls();
        dx_task_yield();
        CHECK_EQ(fake_host_calls(), calls);
        CHECK_EQ(dx_driver_attach(driver, fake_host(), NULL), kIOReturnSuccess);
        (void)fake_host_take();
        const uint32_t before = fake_host_calls();
        while (fake_host_calls() == before)
            dx_task_yield();
    }
    atomic_store_explicit(&is_over, true, memory_order_relaxed); // relaxed: see goes_on()
    end(one);
    end(two);
    end(three);
    stop();
}

int
main(void)
{
    RUN(a_context_is_released_once_and_never_used_after);
    RUN(values_are_read_whole_beside_their_setters);
    RUN(no_call_reaches_a_host_that_was_detached);
    return 0;
}
