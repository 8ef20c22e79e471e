// SPDX-License-Identifier: MIT
// A whole driver: what is played to this stereo device can be recorded from it.
#include <dextral/dextral.h>
#include <stdlib.h>
#include <string.h>

#define RATE_HZ 48000
#define RING_FRAMES 24000 // half a second: a whole number of nanoseconds
#define PERIOD_NS 500000000u

struct loop {
    IOUserAudioDevice *device;
    struct frame { float left, right; } *output, *input; // the two rings
    uint64_t anchor, period, stamps; // host time of frame 0, of one ring; how many times round
};

/* Runs on the IO thread: no locks, no memory, no system calls that wait. */
static kern_return_t
handle_io(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
          uint64_t host_time, void *context) DX_REALTIME
{
    struct loop *loop = context;
    (void)device, (void)host_time;
    for (uint32_t i = 0; i < frames && operation == IOUserAudioIOOperationBeginRead; i++) {
        const size_t at = (sample_time + i) % RING_FRAMES; // a span may cross the ring's edge
        loop->input[at] = loop->output[at];
        loop->output[at] = (struct frame){0, 0}; // heard once
    }
    /* Hardware would tell when its pointer passes the ring's start.  This device goes by the machine's clock. */
    while (mach_absolute_time() >= loop->anchor + (loop->stamps + 1) * loop->period) {
        loop->stamps++;
        IOUserAudioDeviceUpdateCurrentZeroTimestamp(loop->device, loop->stamps * RING_FRAMES,
                                                    loop->anchor + loop->stamps * loop->period);
    }
    return kIOReturnSuccess;
}

static kern_return_t
start_device(IOUserAudioDriver *driver, IOUserAudioObjectID device, IOUserAudioStartStopFlags flags)
{
    struct loop *loop = OSObjectGetPeer(driver);
    const bool was_running = IOUserAudioDeviceGetDeviceIsRunning(loop->device);
    const kern_return_t status = IOUserAudioDriverStartDevice_super(driver, device, flags);
    if (status != kIOReturnSuccess || was_running)
        return status;
    mach_timebase_info_data_t ticks;
    mach_timebase_info(&ticks);
    loop->period = (uint64_t)PERIOD_NS * ticks.denom / ticks.numer;
    loop->anchor = mach_absolute_time();
    loop->stamps = 0;
    memset(loop->output, 0, RING_FRAMES * sizeof *loop->output);
    IOUserAudioDeviceUpdateCurrentZeroTimestamp(loop->device, 0, loop->anchor); // frame 0 is now
    return kIOReturnSuccess;
}

/* The device keeps the stream, and the stream its ring. */
static struct frame *
add_stream(IOUserAudioDriver *driver, IOUserAudioDevice *device, IOUserAudioStreamDirection direction)
{
    const IOUserAudioStreamBasicDescription format = {
        RATE_HZ, IOUserAudioFormatIDLinearPCM, FormatFlagsNativeFloatPacked, 8, 1, 8, 2, 32, 0};
    IOBufferMemoryDescriptor *ring = NULL;
    IOAddressSegment range = {0, 0};
    (void)IOBufferMemoryDescriptorCreate(kIOMemoryDirectionInOut, RING_FRAMES * sizeof(struct frame), 0, &ring);
    (void)IOBufferMemoryDescriptorGetAddressRange(ring, &range); // fails where the line above did
    IOUserAudioStream *stream = IOUserAudioStreamCreate(driver, direction, (IOMemoryDescriptor *)ring);
    const bool done = range.address && !IOUserAudioStreamSetAvailableStreamFormats(stream, &format, 1) &&
                      !IOUserAudioDeviceAddStream(device, stream);
    OSObjectRelease(stream);
    OSObjectRelease(ring);
    return done ? (struct frame *)(uintptr_t)range.address : NULL;
}

static kern_return_t
start(IOUserAudioDriver *driver, IOService *provider)
{
    struct loop *loop = OSObjectGetPeer(driver);
    const kern_return_t status = IOUserAudioDriverStart_super(driver, provider);
    if (status != kIOReturnSuccess)
        return status;
    OSString *uid = OSStringCreate("org.dextral.loop");
    IOUserAudioDevice *device = IOUserAudioDeviceCreate(driver, false, uid, NULL, NULL, RING_FRAMES);
    const bool done = (loop->output = add_stream(driver, device, IOUserAudioStreamDirectionOutput)) &&
                      (loop->input = add_stream(driver, device, IOUserAudioStreamDirectionInput)) &&
                      !IOUserAudioDeviceSetAvailableSampleRates(device, (double[]){RATE_HZ}, 1) &&
                      !IOUserAudioDeviceSetIOOperationHandler(device, handle_io, loop) &&
                      !IOUserAudioDriverAddObject(driver, loop->device = device) && !IOServiceRegisterService(driver);
    OSObjectRelease(uid);
    OSObjectRelease(device); // the driver keeps it
    if (!done)
        (void)IOUserAudioDriverStop_super(driver, provider);
    return done ? kIOReturnSuccess : kIOReturnNoMemory;
}

static IOUserAudioDriver *
alloc_loop_driver(void)
{
    static const IOUserAudioDriverOverrides overrides = {
        .size = sizeof overrides, .Start = start, .StartDevice = start_device};
    IOUserAudioDriver *driver = IOUserAudioDriverAlloc();
    (void)IOUserAudioDriverSetOverrides(driver, &overrides);
    OSObjectSetPeer(driver, calloc(1, sizeof(struct loop)), free);
    if (driver && OSObjectGetPeer(driver))
        return driver;
    OSObjectRelease(driver);
    return NULL;
}
DX_DRIVER_CLASS(LoopAudioDriver, alloc_loop_driver);
