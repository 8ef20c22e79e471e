// SPDX-License-Identifier: MIT
// A device that hears nothing and says nothing: it keeps time, and that is all.
//
// Settings, from the personality:
//   DeviceUID, DeviceName   strings
//   Channels                1 ... 1024; 8
//   Rates                   array of numbers, in Hz, up to 10 of them; the first is the rate at first
//   PeriodFrames            length of the rings; 16384, less with very many channels
//   ClockPPM, ClockFollows  see common/clock_options.h

#include "../common/clock_options.h"
#include "../common/personality.h"

#include <dextral/dextral.h>

#include <stdlib.h>

static const double default_rates[] = {48000.0, 44100.0, 96000.0, 192000.0};

struct null_device {
    IOUserAudioDriver *driver; // borrowed: this is its peer
    IOUserAudioDevice *device;
    struct virtual_clock clock;
    uint32_t channels;
    uint32_t ring_frames;
    uint32_t rate_count;
    double rates[PERSONALITY_MAX_RATES];
};

/*
 * There is nothing to do: what the host writes to the output ring stays unread, and nobody ever writes to the
 * input ring, which was made of zeroes.
 */
static kern_return_t
handle_io(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
          uint64_t host_time, void *context) DX_REALTIME
{
    (void)device, (void)operation, (void)frames, (void)sample_time, (void)host_time, (void)context;
    return kIOReturnSuccess;
}

static kern_return_t
start_io(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    struct null_device *null = OSObjectGetPeer(device);
    const bool was_running = IOUserAudioDeviceGetDeviceIsRunning(device);
    kern_return_t status = IOUserAudioDeviceStartIO_super(device, flags);
    if (status != kIOReturnSuccess || was_running) // a second start must not disturb the first
        return status;
    status = virtual_clock_start(&null->clock);
    if (status != kIOReturnSuccess)
        (void)IOUserAudioDeviceStopIO_super(device, flags); // the failure to report is the clock's
    return status;
}

static kern_return_t
stop_io(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    struct null_device *null = OSObjectGetPeer(device);
    if (!(flags & IOUserAudioStartStopFlagsPrewarm))
        virtual_clock_stop(&null->clock);
    return IOUserAudioDeviceStopIO_super(device, flags);
}

/* The device keeps the stream, and the stream its ring. */
static kern_return_t
add_stream(struct null_device *null, IOUserAudioStreamDirection direction)
{
    IOUserAudioStreamBasicDescription formats[PERSONALITY_MAX_RATES];
    for (uint32_t i = 0; i < null->rate_count; i++) {
        formats[i] = (IOUserAudioStreamBasicDescription){
            .mSampleRate = null->rates[i],
            .mFormatID = IOUserAudioFormatIDLinearPCM,
            .mFormatFlags = FormatFlagsNativeFloatPacked,
            .mBytesPerPacket = null->channels * 4u,
            .mFramesPerPacket = 1,
            .mBytesPerFrame = null->channels * 4u,
            .mChannelsPerFrame = null->channels,
            .mBitsPerChannel = 32,
        };
    }

    IOBufferMemoryDescriptor *ring = NULL;
    kern_return_t status = IOBufferMemoryDescriptorCreate(
        kIOMemoryDirectionInOut, (uint64_t)null->ring_frames * formats[0].mBytesPerFrame, 0, &ring);
    if (status != kIOReturnSuccess)
        return status;
    IOUserAudioStream *stream = IOUserAudioStreamCreate(null->driver, direction, (IOMemoryDescriptor *)ring);
    status = stream ? IOUserAudioStreamSetAvailableStreamFormats(stream, formats, null->rate_count) : kIOReturnNoMemory;
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceAddStream(null->device, stream);
    OSObjectRelease(stream);
    OSObjectRelease(ring);
    return status;
}

static kern_return_t
make_device(struct null_device *null)
{
    static const IOUserAudioDeviceOverrides overrides = {
        .size = sizeof overrides,
        .StartIO = start_io,
        .StopIO = stop_io,
    };
    OSString *uid = personality_copy_string(null->driver, "DeviceUID", "org.dextral.null");
    OSString *name = personality_copy_string(null->driver, "DeviceName", "Dextral Null");
    OSString *maker = OSStringCreate("Dextral");

    kern_return_t status = kIOReturnNoMemory;
    null->device = IOUserAudioDeviceAlloc();
    OSObjectSetPeer(null->device, null, NULL);
    if (null->device && IOUserAudioDeviceSetOverrides(null->device, &overrides) == kIOReturnSuccess &&
        IOUserAudioDeviceInit(null->device, null->driver, false, uid, NULL, maker, null->ring_frames))
        status = IOUserAudioObjectSetName(null->device, name);
    OSObjectRelease(uid);
    OSObjectRelease(name);
    OSObjectRelease(maker);
    return status;
}

static kern_return_t
read_settings(struct null_device *null)
{
    const uint64_t channels = personality_number(null->driver, "Channels", 8);
    const uint64_t fallback = channels <= 128 ? 16384 : channels <= 256 ? 8192 : 4096; // as the cable
    const uint64_t ring_frames = personality_number(null->driver, "PeriodFrames", fallback);
    if (channels == 0 || channels > 1024 || ring_frames == 0 || ring_frames > 65536)
        return kIOReturnBadArgument;
    null->channels = (uint32_t)channels;
    null->ring_frames = (uint32_t)ring_frames;
    return personality_rates(null->driver, default_rates, sizeof default_rates / sizeof default_rates[0],
                             null->rates, &null->rate_count);
}

static kern_return_t
build(struct null_device *null)
{
    kern_return_t status = read_settings(null);
    if (status == kIOReturnSuccess)
        status = make_device(null);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetAvailableSampleRates(null->device, null->rates, null->rate_count);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetClockAlgorithm(null->device, IOUserAudioClockAlgorithmRaw);
    if (status == kIOReturnSuccess)
        status = dx_device_object_set_late_tolerance(null->device, null->ring_frames / 4);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetIOOperationHandler(null->device, handle_io, NULL);
    if (status == kIOReturnSuccess)
        status = add_stream(null, IOUserAudioStreamDirectionOutput);
    if (status == kIOReturnSuccess)
        status = add_stream(null, IOUserAudioStreamDirectionInput);
    if (status == kIOReturnSuccess)
        status = virtual_clock_init(&null->clock, null->driver, null->device);
    if (status == kIOReturnSuccess)
        status = clock_options_add(&null->clock);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDriverAddObject(null->driver, null->device);
    if (status == kIOReturnSuccess)
        status = IOServiceRegisterService(null->driver);
    return status;
}

static void
take_down(struct null_device *null)
{
    if (null->device)
        (void)IOUserAudioDriverRemoveObject(null->driver, null->device); // not added yet: nothing to remove
    virtual_clock_finish(&null->clock);
}

static kern_return_t
start(IOUserAudioDriver *driver, IOService *provider)
{
    kern_return_t status = IOUserAudioDriverStart_super(driver, provider);
    if (status != kIOReturnSuccess)
        return status;
    struct null_device *null = OSObjectGetPeer(driver);
    status = build(null);
    if (status != kIOReturnSuccess) {
        take_down(null);
        (void)IOUserAudioDriverStop_super(driver, provider);
    }
    return status;
}

static kern_return_t
stop(IOUserAudioDriver *driver, IOService *provider)
{
    take_down(OSObjectGetPeer(driver));
    return IOUserAudioDriverStop_super(driver, provider);
}

static void
free_null(void *peer)
{
    struct null_device *null = peer;
    OSObjectRelease(null->device);
    free(null);
}

static IOUserAudioDriver *
alloc_null_driver(void)
{
    static const IOUserAudioDriverOverrides overrides = {
        .size = sizeof overrides,
        .Start = start,
        .Stop = stop,
    };
    IOUserAudioDriver *driver = IOUserAudioDriverAlloc();
    struct null_device *null = calloc(1, sizeof *null);
    if (!driver || !null || IOUserAudioDriverSetOverrides(driver, &overrides) != kIOReturnSuccess) {
        OSObjectRelease(driver);
        free(null);
        return NULL;
    }
    null->driver = driver;
    OSObjectSetPeer(driver, null, free_null);
    return driver;
}

DX_DRIVER_CLASS(NullAudioDriver, alloc_null_driver);
