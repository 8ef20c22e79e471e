// SPDX-License-Identifier: MIT
// Every allocation of a driver and its objects fails once: nothing leaks, and nothing is half made.

#include "fake_host.h"

#include "../core/check.h"
#include "../core/failing_allocator.h"

#include "audio/driver.h"

#define OUTPUT IOUserAudioObjectPropertyScopeOutput

/* Runs an attempt with the n-th allocation failing, for every n; it says whether all went well. */
static void
try_every_failure(bool (*attempt)(void))
{
    uint64_t failures = 0;
    for (uint64_t n = 1;; n++) {
        const uint64_t live = failing_allocator_live();
        failing_allocator_fail_at(n);
        const bool done = attempt();
        const bool reached = failing_allocator_stop();
        CHECK_EQ(failing_allocator_live(), live);
        if (!reached) {
            CHECK(done);
            break;
        }
        failures++;
    }
    CHECK(failures > 0);
}

/* Success, or the one failure that memory may cause. */
static bool
is_done(kern_return_t status)
{
    CHECK(status == kIOReturnSuccess || status == kIOReturnNoMemory);
    return status == kIOReturnSuccess;
}

static IOServicePtr
alloc_client(void)
{
    return IOUserClientAlloc();
}

static bool
use_driver(void)
{
    IOUserAudioDriver *const driver = fake_host_start_driver(NULL);
    if (!driver)
        return false;
    IOUserClient *client = NULL;
    OSDictionary *properties = NULL;
    bool done = is_done(IOUserAudioDriverNewUserClient(driver, kIOUserAudioDriverUserClientType, &client));
    done &= is_done(IOServiceCopyProperties(driver, &properties));
    done &= is_done(dx_service_add_class(driver, "Mine", alloc_client));
    OSString *const name = IOServiceCopyName(driver);
    done &= name != NULL;
    OSObjectRelease(name);
    OSObjectRelease(properties);
    OSObjectRelease(client);
    fake_host_stop_driver(driver);
    return done;
}

static bool
configure_stream(IOUserAudioStream *stream)
{
    const IOUserAudioStreamBasicDescription formats[] = {float_format(48000, 2), integer_format(48000, 2, 16)};
    const bool done = is_done(IOUserAudioStreamSetAvailableStreamFormats(stream, formats, 2));
    /* All of the list, or nothing. */
    const size_t count = IOUserAudioStreamGetNumberAvailableStreamFormats(stream);
    CHECK_EQ(count, done ? 2 : 0);
    CHECK_EQ(IOUserAudioStreamGetCurrentStreamFormat(stream).mFormatID != 0, done);
    return done;
}

static bool
configure_device(IOUserAudioDevice *device, OSString *name)
{
    const double rates[] = {48000, 44100};
    const IOUserAudioChannelLabel labels[] = {1, 2};
    bool done = is_done(IOUserAudioDeviceSetAvailableSampleRates(device, rates, 2));
    CHECK_EQ(IOUserAudioDeviceGetNumberAvailableSampleRates(device), done ? 2 : 0);
    CHECK_EQ(IOUserAudioDeviceGetSampleRate(device), done ? 48000 : 0);
    done &= is_done(IOUserAudioDeviceSetPreferredOutputChannelLayout(device, labels, 2));
    done &= is_done(IOUserAudioObjectSetElementName(device, 1, OUTPUT, name));
    done &= is_done(IOUserAudioObjectSetName(device, name));
    return done;
}

/* A device with a stream in each direction: made, added, started, stopped, changed, removed. */
static bool
use_device(IOUserAudioDriver *driver, IOUserAudioDevice *device)
{
    bool done = true;
    IOUserAudioStream *streams[2] = {NULL, NULL};
    OSString *const name = OSStringCreate("name");
    done &= name && configure_device(device, name);
    for (unsigned i = 0; i < 2; i++) {
        streams[i] = make_stream(driver, i, 4096);
        done &=
            streams[i] && configure_stream(streams[i]) && is_done(IOUserAudioDeviceAddStream(device, streams[i]));
    }
    IOUserAudioBox *const box = name ? IOUserAudioBoxCreate(driver, true, name) : NULL;
    done &= box && is_done(IOUserAudioBoxAddDevice(box, device));
    done &= is_done(IOUserAudioDriverAddObject(driver, device));
    done &= is_done(IOUserAudioDeviceStartIO(device, 0));
    done &= is_done(IOUserAudioDeviceStopIO(device, 0));
    const OSObjectPtr info = dx_configuration_info_for_ring_frames(512);
    const IOUserAudioStreamBasicDescription format = float_format(48000, 2);
    const OSObjectPtr format_info = dx_configuration_info_for_stream_format(0, 0, &format);
    done &= info && format_info && is_done(IOUserAudioDevicePerformDeviceConfigurationChange(device, 2, info));
    OSObjectRelease(format_info);
    OSObjectRelease(info);
    if (IOUserAudioObjectGetOwnerObjectID(device) != kIOUserAudioObjectIDUnknown)
        CHECK_EQ(IOUserAudioDriverRemoveObject(driver, device), kIOReturnSuccess);
    OSObjectRelease(box);
    OSObjectRelease(streams[0]);
    OSObjectRelease(streams[1]);
    OSObjectRelease(name);
    return done;
}

static bool
use_driver_and_device(void)
{
    IOUserAudioDriver *const driver = fake_host_start_driver(NULL);
    if (!driver)
        return false;
    IOUserAudioDevice *const device = make_device(driver, "uid", 512);
    const bool done = device && use_device(driver, device);
    OSObjectRelease(device);
    fake_host_stop_driver(driver);
    return done;
}

int
main(void)
{
    (void)use_driver_and_device(); // what libraries keep for good is there after one run
    try_every_failure(use_driver);
    try_every_failure(use_driver_and_device);
    return 0;
}
