// SPDX-License-Identifier: MIT
// A cable: what one application plays to the device, another records from it, bit for bit.
//
// Latency from one to the other is what the IO cycle makes of it, 2 N + Si + So frames: the driver adds nothing.
//
// Settings, from the personality:
//   DeviceUID, DeviceName                  strings
//   Channels                               1 ... 1024; 2
//   Rates                                  array of numbers, in Hz, up to 10 of them; the first is the rate at first
//   PeriodFrames                           length of the rings; 16384, less with very many channels
//   LateToleranceFrames                    how late a cycle may be without loss; a quarter of the rings
//   InputSafetyOffset, OutputSafetyOffset  Si and So; 0
//   OutputLatency                          frames that what comes after the cable adds: told, not made; 0
//   Format                                 float32, s16, s24 or s32: the one at first, and these four are all
//   Mixable                                with Format: false for one client alone, bits passed through; true
//   ClockPPM, ClockFollows                 see common/clock_options.h

#include "cable_rt.h"
#include "../common/clock_options.h"
#include "../common/personality.h"

#include <dextral/dextral.h>

#include <stdlib.h>

#define MAX_CHANNELS 1024u
#define MAX_RATES PERSONALITY_MAX_RATES

static const double default_rates[] = {48000, 44100, 88200, 96000, 176400, 192000, 32000, 16000, 8000};

/* What a sample may look like.  Those with a name are what a device with the setting Format can have. */
static const struct sample_layout {
    uint32_t bits;
    uint32_t bytes;
    IOUserAudioFormatFlags flags;
    const char *name;
} layouts[] = {
    {32, 4, FormatFlagIsFloat | FormatFlagIsPacked, "float32"},
    {64, 8, FormatFlagIsFloat | FormatFlagIsPacked, NULL},
    {16, 2, FormatFlagIsSignedInteger | FormatFlagIsPacked, "s16"},
    {24, 3, FormatFlagIsSignedInteger | FormatFlagIsPacked, "s24"},
    {24, 4, FormatFlagIsSignedInteger, NULL}, // in the low bytes
    {24, 4, FormatFlagIsSignedInteger | FormatFlagIsAlignedHigh, NULL},
    {32, 4, FormatFlagIsSignedInteger | FormatFlagIsPacked, "s32"},
};
#define LAYOUTS (sizeof layouts / sizeof layouts[0])

/* Each layout in this machine's byte order, in the other, and as one client's alone. */
static const IOUserAudioFormatFlags variants[] = {
    FormatFlagsNativeEndian,
    FormatFlagsNativeEndian ^ FormatFlagIsBigEndian,
    FormatFlagsNativeEndian | FormatFlagIsNonMixable,
};
#define VARIANTS (sizeof variants / sizeof variants[0])

#define MAX_FORMATS (MAX_RATES * LAYOUTS * VARIANTS)

struct cable {
    IOUserAudioDriver *driver; // borrowed: the cable is its peer
    IOUserAudioDevice *device;
    IOUserAudioStream *output;
    IOUserAudioStream *input;
    struct virtual_clock clock;
    struct cable_rings rings;

    /* Settings. */
    uint32_t channels;
    uint32_t ring_frames;
    uint32_t rate_count;
    double rates[MAX_RATES];
    const struct sample_layout *layout; // the one at first; NULL: all layouts and variants
    bool is_mixable;                    // where there is a layout
};

/* The device. */

static kern_return_t
start_io(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    struct cable *cable = OSObjectGetPeer(device);
    const bool was_running = IOUserAudioDeviceGetDeviceIsRunning(device);
    kern_return_t status = IOUserAudioDeviceStartIO_super(device, flags);
    if (status != kIOReturnSuccess || was_running) // a second start must not disturb the first
        return status;

    cable->rings.frame_bytes = IOUserAudioStreamGetCurrentStreamFormat(cable->output).mBytesPerFrame;
    cable_rings_clear(&cable->rings);
    status = virtual_clock_start(&cable->clock);
    if (status != kIOReturnSuccess)
        (void)IOUserAudioDeviceStopIO_super(device, flags); // the failure to report is the clock's
    return status;
}

static kern_return_t
stop_io(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    struct cable *cable = OSObjectGetPeer(device);
    if (!(flags & IOUserAudioStartStopFlagsPrewarm))
        virtual_clock_stop(&cable->clock);
    return IOUserAudioDeviceStopIO_super(device, flags);
}

/* One wire has one format: what the host sets at one end is set at the other. */
static kern_return_t
change_format(IOUserAudioStream *stream, const IOUserAudioStreamBasicDescription *format)
{
    struct cable *cable = OSObjectGetPeer(stream);
    IOUserAudioStream *other = stream == cable->output ? cable->input : cable->output;
    const IOUserAudioStreamBasicDescription before = IOUserAudioStreamGetCurrentStreamFormat(stream);

    kern_return_t status = IOUserAudioStreamHandleChangeCurrentStreamFormat_super(stream, format);
    if (status != kIOReturnSuccess)
        return status;
    status = IOUserAudioStreamSetCurrentStreamFormat(other, format);
    if (status != kIOReturnSuccess)
        (void)IOUserAudioStreamSetCurrentStreamFormat(stream, &before); // it was accepted once
    return status;
}

static IOUserAudioStreamBasicDescription
make_format(const struct cable *cable, double rate_hz, const struct sample_layout *layout,
            IOUserAudioFormatFlags variant)
{
    const uint32_t frame_bytes = layout->bytes * cable->channels;
    return (IOUserAudioStreamBasicDescription){
        .mSampleRate = rate_hz,
        .mFormatID = IOUserAudioFormatIDLinearPCM,
        .mFormatFlags = layout->flags | variant,
        .mBytesPerPacket = frame_bytes,
        .mFramesPerPacket = 1,
        .mBytesPerFrame = frame_bytes,
        .mChannelsPerFrame = cable->channels,
        .mBitsPerChannel = layout->bits,
    };
}

/* Of one rate: everything that a sample may look like.  The first is what the device has at first. */
static uint32_t
list_all_formats(const struct cable *cable, double rate_hz, IOUserAudioStreamBasicDescription *formats)
{
    uint32_t count = 0;
    for (size_t variant = 0; variant < VARIANTS; variant++) {
        for (size_t layout = 0; layout < LAYOUTS; layout++)
            formats[count++] = make_format(cable, rate_hz, &layouts[layout], variants[variant]);
    }
    return count;
}

/* Of one rate: the format of the setting, and the others that have a name. */
static uint32_t
list_named_formats(const struct cable *cable, double rate_hz, IOUserAudioStreamBasicDescription *formats)
{
    const IOUserAudioFormatFlags variant =
        FormatFlagsNativeEndian | (cable->is_mixable ? 0 : FormatFlagIsNonMixable);
    uint32_t count = 0;
    formats[count++] = make_format(cable, rate_hz, cable->layout, variant);
    for (size_t i = 0; i < LAYOUTS; i++) {
        if (layouts[i].name && &layouts[i] != cable->layout)
            formats[count++] = make_format(cable, rate_hz, &layouts[i], variant);
    }
    return count;
}

static uint32_t
list_formats(const struct cable *cable, IOUserAudioStreamBasicDescription *formats)
{
    uint32_t count = 0;
    for (uint32_t rate = 0; rate < cable->rate_count; rate++)
        count += cable->layout ? list_named_formats(cable, cable->rates[rate], formats + count)
                               : list_all_formats(cable, cable->rates[rate], formats + count);
    return count;
}

/* Makes one end with its ring.  The device keeps the stream and the stream its ring: `ret_ring` is borrowed. */
static kern_return_t
add_stream(struct cable *cable, IOUserAudioStreamDirection direction, IOUserAudioStream **ret_stream,
           uint8_t **ret_ring)
{
    static const IOUserAudioStreamOverrides overrides = {
        .size = sizeof overrides,
        .HandleChangeCurrentStreamFormat = change_format,
    };
    IOBufferMemoryDescriptor *memory = NULL;
    IOAddressSegment range;
    const uint64_t sample_bytes = cable->layout ? 4 : 8; // of the longest
    kern_return_t status = IOBufferMemoryDescriptorCreate(
        kIOMemoryDirectionInOut, cable->ring_frames * cable->channels * sample_bytes, 0, &memory);
    if (status == kIOReturnSuccess)
        status = IOBufferMemoryDescriptorGetAddressRange(memory, &range);
    if (status != kIOReturnSuccess) {
        OSObjectRelease(memory);
        return status;
    }

    IOUserAudioStream *stream = IOUserAudioStreamAlloc();
    OSObjectSetPeer(stream, cable, NULL);
    status = kIOReturnNoMemory;
    if (stream && IOUserAudioStreamSetOverrides(stream, &overrides) == kIOReturnSuccess &&
        IOUserAudioStreamInit(stream, cable->driver, direction, (IOMemoryDescriptor *)memory)) {
        IOUserAudioStreamBasicDescription formats[MAX_FORMATS];
        status = IOUserAudioStreamSetAvailableStreamFormats(stream, formats, list_formats(cable, formats));
    }
    if (status == kIOReturnSuccess)
        status = IOUserAudioStreamSetTerminalType(stream, IOUserAudioStreamTerminalTypeLine);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceAddStream(cable->device, stream);
    if (status == kIOReturnSuccess) {
        *ret_stream = OSObjectRetain(stream);
        *ret_ring = (uint8_t *)(uintptr_t)range.address;
    }
    OSObjectRelease(stream);
    OSObjectRelease(memory);
    return status;
}

static kern_return_t
make_device(struct cable *cable)
{
    static const IOUserAudioDeviceOverrides overrides = {
        .size = sizeof overrides,
        .StartIO = start_io,
        .StopIO = stop_io,
    };
    OSString *uid = personality_copy_string(cable->driver, "DeviceUID", "org.dextral.cable");
    OSString *name = personality_copy_string(cable->driver, "DeviceName", "Dextral Cable");
    OSString *model = OSStringCreate("org.dextral.cable");
    OSString *maker = OSStringCreate("Dextral");

    kern_return_t status = kIOReturnNoMemory;
    cable->device = IOUserAudioDeviceAlloc();
    OSObjectSetPeer(cable->device, cable, NULL);
    if (cable->device && IOUserAudioDeviceSetOverrides(cable->device, &overrides) == kIOReturnSuccess &&
        IOUserAudioDeviceInit(cable->device, cable->driver, false, uid, model, maker, cable->ring_frames))
        status = IOUserAudioObjectSetName(cable->device, name);

    OSObjectRelease(uid);
    OSObjectRelease(name);
    OSObjectRelease(model);
    OSObjectRelease(maker);
    return status;
}

static kern_return_t
configure_device(struct cable *cable)
{
    IOUserAudioDevice *device = cable->device;
    const uint64_t tolerance = personality_number(cable->driver, "LateToleranceFrames", cable->ring_frames / 4);
    const uint64_t input_offset = personality_number(cable->driver, "InputSafetyOffset", 0);
    const uint64_t output_offset = personality_number(cable->driver, "OutputSafetyOffset", 0);
    const uint64_t latency = personality_number(cable->driver, "OutputLatency", 0);
    if (tolerance > cable->ring_frames || input_offset > cable->ring_frames ||
        output_offset > cable->ring_frames || latency > UINT32_MAX)
        return kIOReturnBadArgument;

    kern_return_t status = IOUserAudioDeviceSetAvailableSampleRates(device, cable->rates, cable->rate_count);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetClockAlgorithm(device, IOUserAudioClockAlgorithmRaw); // nothing to be smoothed
    if (status == kIOReturnSuccess)
        status = dx_device_object_set_late_tolerance(device, (uint32_t)tolerance);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetInputSafetyOffset(device, (uint32_t)input_offset);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetOutputSafetyOffset(device, (uint32_t)output_offset);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetOutputLatency(device, (uint32_t)latency);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetIOOperationHandler(device, cable_handle_io, &cable->rings);
    return status;
}

/* The driver. */

/* Takes the rates of the personality, or the default ones. */
static kern_return_t
read_rates(struct cable *cable)
{
    return personality_rates(cable->driver, default_rates, sizeof default_rates / sizeof default_rates[0],
                             cable->rates, &cable->rate_count);
}

/* Takes the format of the personality, if there is one. */
static kern_return_t
read_format(struct cable *cable)
{
    OSString *name = personality_copy_string(cable->driver, "Format", "");
    if (!name)
        return kIOReturnNoMemory;
    kern_return_t status = kIOReturnSuccess;
    for (size_t i = 0; i < LAYOUTS; i++) {
        if (layouts[i].name && OSStringIsEqualToCString(name, layouts[i].name))
            cable->layout = &layouts[i];
    }
    if (!cable->layout && OSStringGetLength(name) > 0)
        status = kIOReturnBadArgument;
    cable->is_mixable = personality_boolean(cable->driver, "Mixable", true);
    OSObjectRelease(name);
    return status;
}

static kern_return_t
read_settings(struct cable *cable)
{
    const uint64_t channels = personality_number(cable->driver, "Channels", 2);
    if (channels == 0 || channels > MAX_CHANNELS)
        return kIOReturnBadArgument;
    cable->channels = (uint32_t)channels;

    /* 16384 frames are enough for cycles of 4096; with hundreds of channels that would be too much memory. */
    const uint64_t fallback = channels <= 128 ? 16384 : channels <= 256 ? 8192 : 4096;
    const uint64_t ring_frames = personality_number(cable->driver, "PeriodFrames", fallback);
    if (ring_frames == 0 || ring_frames > 65536)
        return kIOReturnBadArgument;
    cable->ring_frames = (uint32_t)ring_frames;
    const kern_return_t status = read_format(cable);
    return status == kIOReturnSuccess ? read_rates(cable) : status;
}

static kern_return_t
build(struct cable *cable)
{
    kern_return_t status = read_settings(cable);
    if (status != kIOReturnSuccess)
        return status;

    cable->rings.ring_frames = cable->ring_frames;
    cable->rings.heard_at = calloc(cable->ring_frames, sizeof *cable->rings.heard_at);
    if (!cable->rings.heard_at)
        return kIOReturnNoMemory;

    status = make_device(cable);
    if (status == kIOReturnSuccess)
        status = configure_device(cable);
    if (status == kIOReturnSuccess)
        status = add_stream(cable, IOUserAudioStreamDirectionOutput, &cable->output, &cable->rings.output);
    if (status == kIOReturnSuccess)
        status = add_stream(cable, IOUserAudioStreamDirectionInput, &cable->input, &cable->rings.input);
    if (status == kIOReturnSuccess)
        status = virtual_clock_init(&cable->clock, cable->driver, cable->device);
    if (status == kIOReturnSuccess)
        status = clock_options_add(&cable->clock);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDriverAddObject(cable->driver, cable->device);
    if (status == kIOReturnSuccess)
        status = IOServiceRegisterService(cable->driver);
    return status;
}

/* What must be gone before the driver can be: the host's hold on the device, and the timer's on the driver. */
static void
take_down(struct cable *cable)
{
    if (cable->device)
        (void)IOUserAudioDriverRemoveObject(cable->driver, cable->device); // not added yet: nothing to remove
    virtual_clock_finish(&cable->clock);
}

static kern_return_t
start(IOUserAudioDriver *driver, IOService *provider)
{
    kern_return_t status = IOUserAudioDriverStart_super(driver, provider);
    if (status != kIOReturnSuccess)
        return status;

    struct cable *cable = OSObjectGetPeer(driver);
    status = build(cable);
    if (status != kIOReturnSuccess) {
        take_down(cable);
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
free_cable(void *peer)
{
    struct cable *cable = peer;
    OSObjectRelease(cable->device);
    OSObjectRelease(cable->output);
    OSObjectRelease(cable->input);
    free(cable->rings.heard_at);
    free(cable);
}

static IOUserAudioDriver *
alloc_cable_driver(void)
{
    static const IOUserAudioDriverOverrides overrides = {
        .size = sizeof overrides,
        .Start = start,
        .Stop = stop,
    };
    IOUserAudioDriver *driver = IOUserAudioDriverAlloc();
    struct cable *cable = calloc(1, sizeof *cable);
    if (!driver || !cable || IOUserAudioDriverSetOverrides(driver, &overrides) != kIOReturnSuccess) {
        OSObjectRelease(driver);
        free(cable);
        return NULL;
    }
    cable->driver = driver;
    OSObjectSetPeer(driver, cable, free_cable);
    return driver;
}

DX_DRIVER_CLASS(CableAudioDriver, alloc_cable_driver);
