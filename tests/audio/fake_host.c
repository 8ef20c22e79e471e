// SPDX-License-Identifier: MIT

#include "fake_host.h"

#include "audio/driver.h"
#include "audio/host.h"
#include "audio/object.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static char host_stand_in; // its address is the host
static bool performing;
static kern_return_t request_status;
static void (*removal_hook)(IOUserAudioObject *object);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char text[4096];
static size_t text_length;
static uint32_t calls;

dx_host *
fake_host(void)
{
    return (dx_host *)(void *)&host_stand_in;
}

void
fake_host_set_performing(bool is_performing)
{
    performing = is_performing;
}

void
fake_host_set_request_status(kern_return_t status)
{
    request_status = status;
}

void
fake_host_set_removal_hook(void (*hook)(IOUserAudioObject *object))
{
    removal_hook = hook;
}

/* Under the lock. */
static void
append(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const size_t room = sizeof text - text_length;
    const int n = vsnprintf(text + text_length, room, format, arguments);
    va_end(arguments);
    text_length += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

static void
begin_call(void)
{
    pthread_mutex_lock(&lock);
    calls++;
    if (text_length > 0)
        append(" | ");
}

static void
end_call(void)
{
    pthread_mutex_unlock(&lock);
}

const char *
fake_host_take(void)
{
    static char taken[sizeof text];
    pthread_mutex_lock(&lock);
    (void)snprintf(taken, sizeof taken, "%s", text_length > 0 ? text : "");
    text_length = 0;
    pthread_mutex_unlock(&lock);
    return taken;
}

uint32_t
fake_host_calls(void)
{
    pthread_mutex_lock(&lock);
    const uint32_t n = calls;
    pthread_mutex_unlock(&lock);
    return n;
}

void __wrap_dx_host_driver_registered(dx_host *host, IOUserAudioDriver *driver);
void __wrap_dx_host_properties_changed(dx_host *host, IOUserAudioDriver *driver, IOUserAudioObjectID object,
                                       const IOUserAudioObjectPropertySelector *selectors, uint32_t count);
void __wrap_dx_host_object_removed(dx_host *host, IOUserAudioDriver *driver, IOUserAudioObject *object);
kern_return_t __wrap_dx_host_request_configuration_change(dx_host *host, IOUserAudioClockDevice *device,
                                                          uint64_t action, OSObjectPtr info);
bool __wrap_dx_host_is_performing(dx_host *host, IOUserAudioClockDevice *device);

void
__wrap_dx_host_driver_registered(dx_host *host, IOUserAudioDriver *driver)
{
    begin_call();
    append(host == fake_host() && driver ? "registered" : "registered with a stranger");
    end_call();
}

void
__wrap_dx_host_properties_changed(dx_host *host, IOUserAudioDriver *driver, IOUserAudioObjectID object,
                                  const IOUserAudioObjectPropertySelector *selectors, uint32_t count)
{
    begin_call();
    append(host == fake_host() && driver ? "changed %u" : "changed of a stranger %u", object);
    for (uint32_t i = 0; i < count; i++)
        append(" '%c%c%c%c'", (char)(selectors[i] >> 24), (char)(selectors[i] >> 16), (char)(selectors[i] >> 8),
               (char)selectors[i]);
    end_call();
}

void
__wrap_dx_host_object_removed(dx_host *host, IOUserAudioDriver *driver, IOUserAudioObject *object)
{
    begin_call();
    append(host == fake_host() && driver ? "removed %u" : "removed of a stranger %u",
           IOUserAudioObjectGetObjectID(object));
    end_call();
    if (removal_hook)
        removal_hook(object);
}

kern_return_t
__wrap_dx_host_request_configuration_change(dx_host *host, IOUserAudioClockDevice *device, uint64_t action,
                                            OSObjectPtr info)
{
    begin_call();
    append(host == fake_host() ? "requested %u %llu%s" : "requested of a stranger %u %llu%s",
           IOUserAudioObjectGetObjectID(device), (unsigned long long)action, info ? " with info" : "");
    end_call();
    return request_status;
}

bool
__wrap_dx_host_is_performing(dx_host *host, IOUserAudioClockDevice *device)
{
    return host == fake_host() && device && performing;
}

IOUserAudioDriver *
fake_host_start_driver(const IOUserAudioDriverOverrides *overrides)
{
    IOUserAudioDriver *const driver = IOUserAudioDriverAlloc();
    if (!driver)
        return NULL;
    if ((!overrides || IOUserAudioDriverSetOverrides(driver, overrides) == kIOReturnSuccess) &&
        IOUserAudioDriverInit(driver) && dx_driver_attach(driver, fake_host(), NULL) == kIOReturnSuccess) {
        if (IOUserAudioDriverStart(driver, NULL) == kIOReturnSuccess)
            return driver;
        dx_driver_detach(driver);
    }
    OSObjectRelease(driver);
    return NULL;
}

void
fake_host_stop_driver(IOUserAudioDriver *driver)
{
    (void)IOUserAudioDriverStop(driver, NULL); // a test that cares looks itself
    dx_driver_detach(driver);
    OSObjectRelease(driver);
}

IOUserAudioDevice *
make_device(IOUserAudioDriver *driver, const char *uid, uint32_t period)
{
    OSString *const string = OSStringCreate(uid);
    IOUserAudioDevice *const device = IOUserAudioDeviceCreate(driver, true, string, NULL, NULL, period);
    OSObjectRelease(string);
    return device;
}

static IOUserAudioStreamBasicDescription
packed_format(double rate, uint32_t channels, uint32_t bits, IOUserAudioFormatFlags flags)
{
    return (IOUserAudioStreamBasicDescription){
        .mSampleRate = rate,
        .mFormatID = IOUserAudioFormatIDLinearPCM,
        .mFormatFlags = flags,
        .mBytesPerPacket = bits / 8 * channels,
        .mFramesPerPacket = 1,
        .mBytesPerFrame = bits / 8 * channels,
        .mChannelsPerFrame = channels,
        .mBitsPerChannel = bits,
    };
}

IOUserAudioStreamBasicDescription
float_format(double rate, uint32_t channels)
{
    return packed_format(rate, channels, 32, FormatFlagsNativeFloatPacked);
}

IOUserAudioStreamBasicDescription
integer_format(double rate, uint32_t channels, uint32_t bits)
{
    return packed_format(rate, channels, bits,
                         FormatFlagsNativeEndian | FormatFlagIsSignedInteger | FormatFlagIsPacked);
}

IOUserAudioStream *
make_stream(IOUserAudioDriver *driver, IOUserAudioStreamDirection direction, uint64_t ring_bytes)
{
    IOBufferMemoryDescriptor *ring = NULL;
    if (ring_bytes > 0 &&
        IOBufferMemoryDescriptorCreate(kIOMemoryDirectionInOut, ring_bytes, 0, &ring) != kIOReturnSuccess)
        return NULL;
    IOUserAudioStream *const stream = IOUserAudioStreamCreate(driver, direction, ring);
    OSObjectRelease(ring);
    return stream;
}
