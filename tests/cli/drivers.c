// SPDX-License-Identifier: MIT
// Drivers that do one thing wrong each, and one that does none: it gives back what it is given.

#include <dextral/dextral.h>

#include <stdlib.h>
#include <string.h>

#define RATE_HZ 48000u
#define RING_FRAMES 24000u // half a second: a whole number of nanoseconds

enum defect {
    DEFECT_NONE,
    DEFECT_INIT,        // init says no
    DEFECT_START,       // Start fails
    DEFECT_NO_DEVICE,   // nothing is published
    DEFECT_TWO_DEVICES, // fine, but which one?
    DEFECT_SMALL_RING,  // its memory holds half a period
    DEFECT_NO_STAMPS,   // its clock never runs
    DEFECT_NO_INPUT,    // nothing to record from
    DEFECT_NO_OUTPUT,   // nothing to play to: fine
    DEFECT_NON_MIXABLE, // only one format, and that is one client's alone
    DEFECT_RATE,        // a rate of 1e12 Hz
    DEFECT_START_IO,    // StartDevice fails
    DEFECT_SLOW,        // its handler takes 30 ms now and then
    DEFECT_FAILING,     // its handler says no from the 20th call on
    DEFECT_HIDDEN,      // its device is to be left out of lists
    DEFECT_CONTROLS,    // has controls of each kind, and refuses an item of one
};

struct driver {
    enum defect defect;
    IOUserAudioDevice *device;
    float *output; // the two rings, stereo
    float *input;
    uint64_t anchor, period, stamps;
    uint64_t calls;
};

static kern_return_t
handle_io(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
          uint64_t host_time, void *context) DX_REALTIME
{
    struct driver *driver = context;
    (void)device, (void)host_time;
    for (uint32_t i = 0; i < frames && operation == IOUserAudioIOOperationBeginRead && driver->input; i++) {
        const size_t at = 2 * ((sample_time + i) % RING_FRAMES);
        for (size_t channel = at; channel < at + 2; channel++) {
            driver->input[channel] = driver->output ? driver->output[channel] : 0.25f;
            if (driver->output)
                driver->output[channel] = 0.0f;
        }
    }
    if (driver->defect == DEFECT_SLOW && ++driver->calls % 64 == 0) {
        const uint64_t until = mach_absolute_time() + 30000000u;
        while (mach_absolute_time() < until)
            continue;
    }
    if (driver->defect == DEFECT_FAILING)
        driver->calls++;
    while (driver->defect != DEFECT_NO_STAMPS &&
           mach_absolute_time() >= driver->anchor + (driver->stamps + 1) * driver->period) {
        driver->stamps++;
        IOUserAudioDeviceUpdateCurrentZeroTimestamp(driver->device, driver->stamps * RING_FRAMES,
                                                    driver->anchor + driver->stamps * driver->period);
    }
    return driver->calls < 20 || driver->defect != DEFECT_FAILING ? kIOReturnSuccess : kIOReturnNotReady;
}

static kern_return_t
start_device(IOUserAudioDriver *self, IOUserAudioObjectID device, IOUserAudioStartStopFlags flags)
{
    struct driver *driver = OSObjectGetPeer(self);
    if (driver->defect == DEFECT_START_IO)
        return kIOReturnDeviceError;
    const bool was_running = IOUserAudioDeviceGetDeviceIsRunning(driver->device);
    const kern_return_t status = IOUserAudioDriverStartDevice_super(self, device, flags);
    if (status != kIOReturnSuccess || was_running)
        return status;
    driver->period = (uint64_t)RING_FRAMES * 1000000000u / RATE_HZ;
    driver->anchor = mach_absolute_time();
    driver->stamps = 0;
    if (driver->defect != DEFECT_NO_STAMPS)
        IOUserAudioDeviceUpdateCurrentZeroTimestamp(driver->device, 0, driver->anchor);
    return kIOReturnSuccess;
}

static kern_return_t
add_stream(IOUserAudioDriver *self, IOUserAudioDevice *device, IOUserAudioStreamDirection direction,
           float **ret_ring)
{
    const struct driver *driver = OSObjectGetPeer(self);
    const IOUserAudioFormatFlags extra = driver->defect == DEFECT_NON_MIXABLE ? FormatFlagIsNonMixable : 0;
    const IOUserAudioStreamBasicDescription format = {
        RATE_HZ, IOUserAudioFormatIDLinearPCM, FormatFlagsNativeFloatPacked | extra, 8, 1, 8, 2, 32, 0};
    const size_t bytes = RING_FRAMES * 8u / (driver->defect == DEFECT_SMALL_RING ? 2 : 1);
    IOBufferMemoryDescriptor *ring = NULL;
    IOAddressSegment range = {0, 0};
    kern_return_t status = IOBufferMemoryDescriptorCreate(kIOMemoryDirectionInOut, bytes, 0, &ring);
    if (status == kIOReturnSuccess)
        status = IOBufferMemoryDescriptorGetAddressRange(ring, &range);
    IOUserAudioStream *stream = IOUserAudioStreamCreate(self, direction, ring);
    if (status == kIOReturnSuccess)
        status = IOUserAudioStreamSetAvailableStreamFormats(stream, &format, 1);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceAddStream(device, stream);
    OSObjectRelease(stream);
    OSObjectRelease(ring);
    if (status == kIOReturnSuccess)
        *ret_ring = (float *)(uintptr_t)range.address;
    return status;
}

/* Adds a control, given away here; an empty name is none. */
static bool
add_control(IOUserAudioDevice *device, IOUserAudioControlPtr control, const char *name)
{
    OSString *text = OSStringCreate(name);
    const bool is_added = (!*name || IOUserAudioObjectSetName(control, text) == kIOReturnSuccess) &&
                          IOUserAudioDeviceAddControl(device, control) == kIOReturnSuccess;
    OSObjectRelease(text);
    OSObjectRelease(control);
    return is_added;
}

static kern_return_t
select_mode(IOUserAudioSelectorControl *control, const IOUserAudioSelectorValue *values, size_t count)
{
    if (count > 0 && values[0] == 1)
        return kIOReturnNotReady;
    return IOUserAudioSelectorControlHandleChangeSelectedValues_super(control, values, count);
}

static IOUserAudioSelectorControl *
create_mode(IOUserAudioDriver *self)
{
    static const IOUserAudioSelectorControlOverrides overrides = {.size = sizeof overrides,
                                                                  .HandleChangeSelectedValues = select_mode};
    const IOUserAudioSelectorValueDescription items[] = {
        {1, OSStringCreate("Line")}, {2, OSStringCreate("A=B")}, {7, OSStringCreate("Twin")}, {8, OSStringCreate("Twin")}};
    IOUserAudioSelectorControl *control = IOUserAudioSelectorControlAlloc();
    if (IOUserAudioSelectorControlSetOverrides(control, &overrides) != kIOReturnSuccess ||
        !IOUserAudioSelectorControlInit(control, self, true, 0, IOUserAudioObjectPropertyScopeOutput,
                                        IOUserAudioClassIDLineLevelControl) ||
        IOUserAudioSelectorControlAddControlValueDescriptions(control, items, 4) != kIOReturnSuccess)
        OSSafeReleaseNULL(control);
    for (size_t i = 0; i < 4; i++)
        OSObjectRelease(items[i].m_name);
    return control;
}

static kern_return_t
add_controls(IOUserAudioDriver *self, IOUserAudioDevice *device)
{
    const IOUserAudioObjectPropertyScope scope = IOUserAudioObjectPropertyScopeOutput;
    const IOUserAudioSliderRange range = {1, 20};
    static const char *const sliders[] = {"Mix", "Double", "Double"};
    bool ok = add_control(
        device, IOUserAudioBooleanControlCreate(self, true, false, 0, scope, IOUserAudioClassIDMuteControl), "");
    for (uint32_t i = 0; ok && i < 3; i++)
        ok = add_control(
            device,
            IOUserAudioSliderControlCreate(self, true, 1, range, i + 1, scope, IOUserAudioClassIDSliderControl),
            sliders[i]);
    ok = ok && add_control(device,
                           IOUserAudioLevelControlCreate(self, true, 0.0f,
                                                         (IOUserAudioLevelControlRange){-96.0f, 0.0f}, 0, scope,
                                                         IOUserAudioClassIDVolumeControl),
                           "Volume");
    ok = ok && add_control(device, create_mode(self), "Mode");
    ok = ok && add_control(device,
                           IOUserAudioStereoPanControlCreate(self, true, 0.5f, 1, 2, 0, scope,
                                                             IOUserAudioClassIDStereoPanControl),
                           "Pan");
    ok = ok && add_control(device,
                           IOUserAudioBooleanControlCreate(self, false, true, 0, scope,
                                                           IOUserAudioClassIDJackControl),
                           "");
    return ok ? kIOReturnSuccess : kIOReturnNoMemory;
}

static kern_return_t
add_device(IOUserAudioDriver *self, const char *name)
{
    struct driver *driver = OSObjectGetPeer(self);
    static const IOUserAudioChannelLabel layout[] = {IOUserAudioChannelLabelRight,
                                                     IOUserAudioChannelLabelDiscrete_3};
    const double rate = driver->defect == DEFECT_RATE ? 1e12 : RATE_HZ;
    OSString *uid = OSStringCreate(name);
    IOUserAudioDevice *device = IOUserAudioDeviceCreate(self, false, uid, NULL, NULL, RING_FRAMES);
    kern_return_t status = device ? kIOReturnSuccess : kIOReturnNoMemory;
    if (status == kIOReturnSuccess && driver->defect != DEFECT_NO_OUTPUT)
        status = add_stream(self, device, IOUserAudioStreamDirectionOutput, &driver->output);
    if (status == kIOReturnSuccess && driver->defect != DEFECT_NO_INPUT)
        status = add_stream(self, device, IOUserAudioStreamDirectionInput, &driver->input);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetAvailableSampleRates(device, &rate, 1);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetIOOperationHandler(device, handle_io, driver);
    if (status == kIOReturnSuccess && driver->defect == DEFECT_CONTROLS)
        status = add_controls(self, device);
    if (status == kIOReturnSuccess && driver->defect == DEFECT_CONTROLS)
        status = IOUserAudioDeviceSetPreferredOutputChannelLayout(device, layout, 2);
    if (status == kIOReturnSuccess && driver->defect == DEFECT_HIDDEN)
        status = IOUserAudioDeviceSetIsHidden(device, true);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDriverAddObject(self, device);
    driver->device = device;
    OSObjectRelease(uid);
    OSObjectRelease(device);
    return status;
}

static bool
init(IOUserAudioDriver *self)
{
    const struct driver *driver = OSObjectGetPeer(self);
    return driver->defect != DEFECT_INIT && IOUserAudioDriverInit_super(self);
}

static kern_return_t
start(IOUserAudioDriver *self, IOService *provider)
{
    struct driver *driver = OSObjectGetPeer(self);
    if (driver->defect == DEFECT_START)
        return kIOReturnNotResponding;
    kern_return_t status = IOUserAudioDriverStart_super(self, provider);
    if (status != kIOReturnSuccess)
        return status;
    if (driver->defect == DEFECT_TWO_DEVICES)
        status = add_device(self, "org.dextral.test.second");
    if (status == kIOReturnSuccess && driver->defect != DEFECT_NO_DEVICE)
        status = add_device(self, driver->defect == DEFECT_HIDDEN ? "org.dextral.hidden" : "org.dextral.test");
    if (status == kIOReturnSuccess)
        status = IOServiceRegisterService(self);
    if (status != kIOReturnSuccess)
        (void)IOUserAudioDriverStop_super(self, provider);
    return status;
}

static IOUserAudioDriver *
alloc_driver(enum defect defect)
{
    static const IOUserAudioDriverOverrides overrides = {
        .size = sizeof overrides, .init = init, .Start = start, .StartDevice = start_device};
    IOUserAudioDriver *self = IOUserAudioDriverAlloc();
    struct driver *driver = calloc(1, sizeof *driver);
    if (!self || !driver) {
        OSObjectRelease(self);
        free(driver);
        return NULL;
    }
    driver->defect = defect;
    (void)IOUserAudioDriverSetOverrides(self, &overrides);
    OSObjectSetPeer(self, driver, free);
    return self;
}

#define CLASS(name, defect)           \
    static IOUserAudioDriver *        \
    alloc_##name(void)                \
    {                                 \
        return alloc_driver(defect);  \
    }                                 \
    DX_DRIVER_CLASS(name, alloc_##name)

CLASS(GoodDriver, DEFECT_NONE);
CLASS(InitDriver, DEFECT_INIT);
CLASS(StartDriver, DEFECT_START);
CLASS(NoDeviceDriver, DEFECT_NO_DEVICE);
CLASS(TwoDevicesDriver, DEFECT_TWO_DEVICES);
CLASS(SmallRingDriver, DEFECT_SMALL_RING);
CLASS(NoStampsDriver, DEFECT_NO_STAMPS);
CLASS(NoInputDriver, DEFECT_NO_INPUT);
CLASS(NoOutputDriver, DEFECT_NO_OUTPUT);
CLASS(NonMixableDriver, DEFECT_NON_MIXABLE);
CLASS(RateDriver, DEFECT_RATE);
CLASS(StartIODriver, DEFECT_START_IO);
CLASS(SlowDriver, DEFECT_SLOW);
CLASS(FailingDriver, DEFECT_FAILING);
CLASS(HiddenDriver, DEFECT_HIDDEN);
CLASS(ControlsDriver, DEFECT_CONTROLS);
