// SPDX-License-Identifier: MIT
// A whole driver: what is played to this stereo device can be recorded from it.
#include <dextral/dextral.h>
#include <string.h>

#define RING_FRAMES 24000u // the period: half a second
#define RING_NS 500000000u

static struct {
    IOUserAudioDevice *device;
    uint64_t anchor_ns, rings;                 // host time of frame 0; rings since then
    struct frame { float left, right; } *ring; // of both streams
    uint64_t heard_at, heard_frames;           // what was read last
} loop;

/* On the real-time thread, before input is read and after output was written.  Both streams have one ring, so
 * the sound is where it has to be; only the clock is missing: hardware would say when it passes the ring's start. */
static kern_return_t
handle_io(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
          uint64_t host_time, void *context) DX_REALTIME
{
    (void)device, (void)host_time, (void)context;
    if (operation == IOUserAudioIOOperationBeginRead) { // what was heard would be heard again one ring later
        for (uint64_t i = 0; i < loop.heard_frames; i++)
            loop.ring[(loop.heard_at + i) % RING_FRAMES] = (struct frame){0, 0};
        loop.heard_at = sample_time, loop.heard_frames = frames;
    }
    while (mach_absolute_time() >= loop.anchor_ns + (loop.rings + 1) * RING_NS) {
        loop.rings++;
        IOUserAudioDeviceUpdateCurrentZeroTimestamp(loop.device, loop.rings * RING_FRAMES,
                                                    loop.anchor_ns + loop.rings * RING_NS);
    }
    return kIOReturnSuccess;
}

static kern_return_t
start_device(IOUserAudioDriver *driver, IOUserAudioObjectID device, IOUserAudioStartStopFlags flags)
{
    if (IOUserAudioDeviceGetDeviceIsRunning(loop.device)) // a second start must not disturb the first
        return IOUserAudioDriverStartDevice_super(driver, device, flags);
    memset(loop.ring, 0, RING_FRAMES * 8);
    loop.anchor_ns = mach_absolute_time();
    loop.rings = loop.heard_frames = 0;
    IOUserAudioDeviceUpdateCurrentZeroTimestamp(loop.device, 0, loop.anchor_ns); // frame 0 is now
    return IOUserAudioDriverStartDevice_super(driver, device, flags);
}

static kern_return_t
start(IOUserAudioDriver *driver, IOService *provider)
{
    static const IOUserAudioStreamBasicDescription format = {
        48000, IOUserAudioFormatIDLinearPCM, FormatFlagsNativeFloatPacked, 8, 1, 8, 2, 32, 0};
    IOBufferMemoryDescriptor *ring = NULL;
    IOAddressSegment range;
    kern_return_t status = IOUserAudioDriverStart_super(driver, provider);
    if (status == kIOReturnSuccess)
        status = IOBufferMemoryDescriptorCreate(kIOMemoryDirectionInOut, RING_FRAMES * 8, 0, &ring);
    if (status == kIOReturnSuccess)
        status = IOBufferMemoryDescriptorGetAddressRange(ring, &range);
    if (status == kIOReturnSuccess)
        loop.ring = (void *)(uintptr_t)range.address;
    OSString *uid = OSStringCreate("org.dextral.loop");
    loop.device = IOUserAudioDeviceCreate(driver, false, uid, NULL, NULL, RING_FRAMES);
    IOUserAudioDeviceSetIOOperationHandler(loop.device, handle_io, NULL);
    IOUserAudioDeviceSetAvailableSampleRates(loop.device, &format.mSampleRate, 1);
    for (IOUserAudioStreamDirection direction = 0; direction < 2 && status == kIOReturnSuccess; direction++) {
        IOUserAudioStream *stream = IOUserAudioStreamCreate(driver, direction, (IOMemoryDescriptor *)ring);
        IOUserAudioStreamSetAvailableStreamFormats(stream, &format, 1);
        status = IOUserAudioDeviceAddStream(loop.device, stream);
        OSObjectRelease(stream); // the device keeps it, and the stream its ring
    }
    if (status == kIOReturnSuccess)
        status = IOUserAudioDriverAddObject(driver, loop.device);
    if (status == kIOReturnSuccess)
        status = IOServiceRegisterService(driver);
    OSObjectRelease(loop.device); // the driver keeps it
    OSObjectRelease(ring);
    OSObjectRelease(uid);
    return status;
}

static IOUserAudioDriver *
make_driver(void)
{
    static const IOUserAudioDriverOverrides overrides = {
        .size = sizeof overrides, .Start = start, .StartDevice = start_device};
    IOUserAudioDriver *driver = IOUserAudioDriverAlloc();
    IOUserAudioDriverSetOverrides(driver, &overrides);
    return driver;
}
DX_DRIVER_CLASS(LoopAudioDriver, make_driver);
