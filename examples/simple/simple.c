// SPDX-License-Identifier: MIT
// The device of Apple's sample "Creating an audio device driver": mono, 16 bits, 44.1 or 48 kHz.
//
// Its input is a tone of 440 Hz, one of 660 Hz, or what is played to its output: the data source control chooses,
// the volume control scales.  A custom property holds a text.  The clock is a timer that fires once per ring.

#include "simple_rt.h"

#include <dextral/dextral.h>

#include <stdlib.h>
#include <string.h>

/* A string that clients may set and get. */
#define SIMPLE_PROPERTY_TEXT DX_FOURCC('t', 'e', 'x', 't')

static const double rates[] = {44100.0, 48000.0};
#define RATES (sizeof rates / sizeof rates[0])

struct simple {
    IOUserAudioDriver *driver; // borrowed: this is its peer
    IODispatchQueue *queue;
    IOUserAudioDevice *device;
    IOUserAudioStream *output;
    IOUserAudioStream *input;
    IOUserAudioSelectorControl *source;
    IOUserAudioLevelControl *volume;
    IOUserAudioCustomProperty *text;

    IOTimerDispatchSource *timer;
    uint64_t ticks_per_period;
    struct simple_io io;
};

/* The clock. */

/* Once per ring.  The first time there is no stamp to go on from: that moment becomes frame 0. */
static void
tick(void *context, uint64_t now)
{
    struct simple *simple = context;
    uint64_t sample_time = 0, host_time = 0;
    IOUserAudioDeviceGetCurrentZeroTimestamp(simple->device, &sample_time, &host_time);
    if (host_time != 0) {
        sample_time += SIMPLE_RING_FRAMES;
        host_time += simple->ticks_per_period;
    } else {
        sample_time = 0;
        host_time = now;
    }
    IOUserAudioDeviceUpdateCurrentZeroTimestamp(simple->device, sample_time, host_time);
    (void)IOTimerDispatchSourceWakeAtTime(simple->timer, kIOTimerClockMachAbsoluteTime,
                                          host_time + simple->ticks_per_period, 0); // fails only when cancelled
}

static kern_return_t
start_timer(struct simple *simple)
{
    mach_timebase_info_data_t timebase;
    mach_timebase_info(&timebase);
    const double ticks_per_second = 1e9 * timebase.denom / timebase.numer;
    simple->ticks_per_period = (uint64_t)(SIMPLE_RING_FRAMES * ticks_per_second / simple->io.rate_hz + 0.5);

    IOUserAudioDeviceUpdateCurrentZeroTimestamp(simple->device, 0, 0); // no stamp yet
    kern_return_t status = IOTimerDispatchSourceWakeAtTime(simple->timer, kIOTimerClockMachAbsoluteTime,
                                                           mach_absolute_time() + simple->ticks_per_period, 0);
    if (status == kIOReturnSuccess)
        status = IOTimerDispatchSourceSetEnable(simple->timer, true);
    return status;
}

/* The device. */

static kern_return_t
start_io(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    struct simple *simple = OSObjectGetPeer(device);
    const bool was_running = IOUserAudioDeviceGetDeviceIsRunning(device);
    kern_return_t status = IOUserAudioDeviceStartIO_super(device, flags);
    if (status != kIOReturnSuccess || was_running) // a second start must not disturb the first
        return status;

    simple->io.rate_hz = (uint32_t)IOUserAudioDeviceGetSampleRate(device);
    memset(simple->io.output, 0, SIMPLE_RING_FRAMES * sizeof *simple->io.output);
    status = start_timer(simple);
    if (status != kIOReturnSuccess)
        (void)IOUserAudioDeviceStopIO_super(device, flags); // the failure to report is the timer's
    return status;
}

static kern_return_t
stop_io(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    struct simple *simple = OSObjectGetPeer(device);
    if (!(flags & IOUserAudioStartStopFlagsPrewarm))
        (void)IOTimerDispatchSourceSetEnable(simple->timer, false); // fails only when cancelled
    return IOUserAudioDeviceStopIO_super(device, flags);
}

/* The host has stopped IO, and starts it again afterwards: start_io() then goes by the new rate. */
static kern_return_t
change_sample_rate(IOUserAudioDevice *device, double rate_hz)
{
    for (size_t i = 0; i < RATES; i++) {
        if (rates[i] == rate_hz)
            return IOUserAudioDeviceHandleChangeSampleRate_super(device, rate_hz);
    }
    return kIOReturnUnsupported;
}

/* Makes a stream with its ring.  The stream keeps the ring: `ret_ring` is borrowed. */
static kern_return_t
add_stream(struct simple *simple, IOUserAudioStreamDirection direction, IOUserAudioStream **ret_stream,
           int16_t **ret_ring)
{
    IOUserAudioStreamBasicDescription formats[RATES];
    for (size_t i = 0; i < RATES; i++) {
        formats[i] = (IOUserAudioStreamBasicDescription){
            .mSampleRate = rates[i],
            .mFormatID = IOUserAudioFormatIDLinearPCM,
            .mFormatFlags = FormatFlagIsSignedInteger | FormatFlagsNativeEndian,
            .mBytesPerPacket = sizeof(int16_t),
            .mFramesPerPacket = 1,
            .mBytesPerFrame = sizeof(int16_t),
            .mChannelsPerFrame = 1,
            .mBitsPerChannel = 16,
        };
    }

    IOBufferMemoryDescriptor *memory = NULL;
    IOAddressSegment range;
    kern_return_t status = IOBufferMemoryDescriptorCreate(kIOMemoryDirectionInOut,
                                                          SIMPLE_RING_FRAMES * sizeof(int16_t), 0, &memory);
    if (status == kIOReturnSuccess)
        status = IOBufferMemoryDescriptorGetAddressRange(memory, &range);
    if (status == kIOReturnSuccess) {
        *ret_ring = (int16_t *)(uintptr_t)range.address;
        *ret_stream = IOUserAudioStreamCreate(simple->driver, direction, (IOMemoryDescriptor *)memory);
        status = *ret_stream ? IOUserAudioStreamSetAvailableStreamFormats(*ret_stream, formats, RATES)
                             : kIOReturnNoMemory;
    }
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceAddStream(simple->device, *ret_stream);
    OSObjectRelease(memory);
    return status;
}

/* Controls and properties. */

static kern_return_t
set_name(IOUserAudioObjectPtr object, const char *text)
{
    OSString *name = OSStringCreate(text);
    const kern_return_t status = object && name ? IOUserAudioObjectSetName(object, name) : kIOReturnNoMemory;
    OSObjectRelease(name);
    return status;
}

static kern_return_t
add_source_control(struct simple *simple)
{
    const IOUserAudioSelectorValueDescription sources[] = {
        {SIMPLE_SOURCE_TONE_440, OSStringCreate("Tone 440 Hz")},
        {SIMPLE_SOURCE_TONE_660, OSStringCreate("Tone 660 Hz")},
        {SIMPLE_SOURCE_LOOPBACK, OSStringCreate("Loopback")},
    };
    const size_t count = sizeof sources / sizeof sources[0];

    simple->source =
        IOUserAudioSelectorControlCreate(simple->driver, true, IOUserAudioObjectPropertyElementMain,
                                         IOUserAudioObjectPropertyScopeInput, IOUserAudioClassIDDataSourceControl);
    kern_return_t status = set_name(simple->source, "Source");
    if (status == kIOReturnSuccess)
        status = IOUserAudioSelectorControlAddControlValueDescriptions(simple->source, sources, count);
    if (status == kIOReturnSuccess)
        status = IOUserAudioSelectorControlSetCurrentSelectedValues(simple->source, &sources[0].m_value, 1);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceAddControl(simple->device, simple->source);
    for (size_t i = 0; i < count; i++)
        OSObjectRelease(sources[i].m_name); // the control keeps them
    return status;
}

static kern_return_t
add_volume_control(struct simple *simple)
{
    simple->volume = IOUserAudioLevelControlCreate(
        simple->driver, true, 0.0f, (IOUserAudioLevelControlRange){-96.0f, 0.0f}, IOUserAudioObjectPropertyElementMain,
        IOUserAudioObjectPropertyScopeInput, IOUserAudioClassIDVolumeControl);
    const kern_return_t status = set_name(simple->volume, "Volume");
    return status == kIOReturnSuccess ? IOUserAudioDeviceAddControl(simple->device, simple->volume) : status;
}

static kern_return_t
add_text_property(struct simple *simple)
{
    const IOUserAudioObjectPropertyAddress address = {
        SIMPLE_PROPERTY_TEXT,
        IOUserAudioObjectPropertyScopeGlobal,
        IOUserAudioObjectPropertyElementMain,
    };
    simple->text = IOUserAudioCustomPropertyCreate(simple->driver, address, true,
                                                   IOUserAudioCustomPropertyDataTypeNone,
                                                   IOUserAudioCustomPropertyDataTypeString);
    OSString *text = OSStringCreate("Hello from a simple driver");
    kern_return_t status = kIOReturnNoMemory;
    if (simple->text && text)
        status = IOUserAudioCustomPropertySetQualifierAndDataValue(simple->text, NULL, text);
    if (status == kIOReturnSuccess)
        status = IOUserAudioObjectAddCustomProperty(simple->device, simple->text);
    OSObjectRelease(text);
    return status;
}

/* The driver. */

static kern_return_t
make_device(struct simple *simple)
{
    static const IOUserAudioDeviceOverrides overrides = {
        .size = sizeof overrides,
        .StartIO = start_io,
        .StopIO = stop_io,
        .HandleChangeSampleRate = change_sample_rate,
    };
    OSString *uid = OSStringCreate("org.dextral.simple");
    OSString *model = OSStringCreate("org.dextral.simple");
    OSString *maker = OSStringCreate("Dextral");
    OSString *name = OSStringCreate("Simple Audio Device");

    kern_return_t status = kIOReturnNoMemory;
    simple->device = IOUserAudioDeviceAlloc();
    OSObjectSetPeer(simple->device, simple, NULL);
    if (simple->device && IOUserAudioDeviceSetOverrides(simple->device, &overrides) == kIOReturnSuccess &&
        IOUserAudioDeviceInit(simple->device, simple->driver, false, uid, model, maker, SIMPLE_RING_FRAMES))
        status = IOUserAudioObjectSetName(simple->device, name);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetAvailableSampleRates(simple->device, rates, RATES);

    OSObjectRelease(uid);
    OSObjectRelease(model);
    OSObjectRelease(maker);
    OSObjectRelease(name);
    return status;
}

/* What the one channel of each direction is for. */
static kern_return_t
set_layouts(struct simple *simple)
{
    static const IOUserAudioChannelLabel layout[] = {IOUserAudioChannelLabelMono};
    const kern_return_t status = IOUserAudioDeviceSetPreferredOutputChannelLayout(simple->device, layout, 1);
    return status == kIOReturnSuccess ? IOUserAudioDeviceSetPreferredInputChannelLayout(simple->device, layout, 1)
                                      : status;
}

static kern_return_t
make_timer(struct simple *simple)
{
    simple->queue = IOUserAudioDriverGetWorkQueue(simple->driver);
    kern_return_t status = IOTimerDispatchSourceCreate(simple->queue, &simple->timer);
    if (status == kIOReturnSuccess)
        status = IOTimerDispatchSourceSetHandler_f(simple->timer, simple, tick);
    return status;
}

static kern_return_t
build(struct simple *simple)
{
    kern_return_t status = make_device(simple);
    if (status == kIOReturnSuccess)
        status = set_layouts(simple);
    if (status == kIOReturnSuccess)
        status = add_stream(simple, IOUserAudioStreamDirectionOutput, &simple->output, &simple->io.output);
    if (status == kIOReturnSuccess)
        status = add_stream(simple, IOUserAudioStreamDirectionInput, &simple->input, &simple->io.input);
    if (status == kIOReturnSuccess)
        status = add_source_control(simple);
    if (status == kIOReturnSuccess)
        status = add_volume_control(simple);
    if (status == kIOReturnSuccess)
        status = add_text_property(simple);
    if (status == kIOReturnSuccess)
        status = make_timer(simple);
    if (status == kIOReturnSuccess) {
        simple->io.source = simple->source;
        simple->io.volume = simple->volume;
        status = IOUserAudioDeviceSetIOOperationHandler(simple->device, simple_handle_io, &simple->io);
    }
    if (status == kIOReturnSuccess)
        status = IOUserAudioDriverAddObject(simple->driver, simple->device);
    if (status == kIOReturnSuccess)
        status = IOServiceRegisterService(simple->driver);
    return status;
}

/* On the queue: no tick is running while this does, and none begins after it. */
static void
cancel_timer(void *context)
{
    struct simple *simple = context;
    (void)IOTimerDispatchSourceCancel_f(simple->timer, NULL, NULL); // one that cannot be cancelled goes with its release
}

/* What must be gone before the driver can be: the host's hold on the device, and the timer. */
static void
take_down(struct simple *simple)
{
    if (simple->device)
        (void)IOUserAudioDriverRemoveObject(simple->driver, simple->device); // not added yet: nothing to remove
    if (simple->timer)
        (void)IODispatchQueueDispatchSync_f(simple->queue, simple, cancel_timer); // a cancelled queue runs no timer either
    OSSafeReleaseNULL(simple->timer);
    OSSafeReleaseNULL(simple->queue);
}

static kern_return_t
start(IOUserAudioDriver *driver, IOService *provider)
{
    kern_return_t status = IOUserAudioDriverStart_super(driver, provider);
    if (status != kIOReturnSuccess)
        return status;
    struct simple *simple = OSObjectGetPeer(driver);
    status = build(simple);
    if (status != kIOReturnSuccess) {
        take_down(simple);
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
free_simple(void *peer)
{
    struct simple *simple = peer;
    OSObjectRelease(simple->device);
    OSObjectRelease(simple->output);
    OSObjectRelease(simple->input);
    OSObjectRelease(simple->source);
    OSObjectRelease(simple->volume);
    OSObjectRelease(simple->text);
    free(simple);
}

static IOUserAudioDriver *
alloc_simple_driver(void)
{
    static const IOUserAudioDriverOverrides overrides = {
        .size = sizeof overrides,
        .Start = start,
        .Stop = stop,
    };
    IOUserAudioDriver *driver = IOUserAudioDriverAlloc();
    struct simple *simple = calloc(1, sizeof *simple);
    if (!driver || !simple || IOUserAudioDriverSetOverrides(driver, &overrides) != kIOReturnSuccess) {
        OSObjectRelease(driver);
        free(simple);
        return NULL;
    }
    simple->driver = driver;
    OSObjectSetPeer(driver, simple, free_simple);
    return driver;
}

DX_DRIVER_CLASS(SimpleAudioDriver, alloc_simple_driver);
