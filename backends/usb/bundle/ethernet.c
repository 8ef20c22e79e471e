// SPDX-License-Identifier: MIT
// A USB network adapter as an audio device: what is played to it goes to a multicast group as RTP, and what comes from the
// group is recorded. The clock is the host's.
//
// Settings, of the personality: Group ("239.69.0.1"), Port (5004), Channels (2), Address ("dhcp"), and for one that is not
// "dhcp" Netmask ("255.255.255.0") and Gateway (none).

#include "backends/usb/bundle/network.h"

#include <dextral/dextral.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING_FRAMES 4096u // of a stream; also the zero-timestamp period
#define NS_PER_S UINT64_C(1000000000)
#define SAFETY_FRAMES 48u // the wire thread takes a millisecond at a time
#define TEXT_BYTES 64u    // of a setting
#define STATUS_SELECTOR DX_FOURCC('n', 'e', 't', 'w')

struct ethernet {
    IOUserAudioDriver *driver; // borrowed: this is its peer
    IOUserAudioDevice *device;
    IODispatchQueue *queue;
    IOTimerDispatchSource *timer;
    uint64_t start; // host time of frame 0, in ticks
    uint64_t stamps; // posted since then
    uint32_t group;
    uint16_t port;
    struct settings_address address;
    float *output;
    float *input;
    struct network *network;
    struct packets packets;
};

static void
say(const char *format, const char *detail)
{
    (void)fprintf(stderr, format, detail);
}

/* ---- the clock ---- */

static uint64_t
ticks_of_frames(uint64_t frames)
{
    mach_timebase_info_data_t base;
    (void)mach_timebase_info(&base);
    const uint64_t ns = frames / PACKETS_RATE_HZ * NS_PER_S + frames % PACKETS_RATE_HZ * NS_PER_S / PACKETS_RATE_HZ;
    return ns / base.numer * base.denom + ns % base.numer * base.denom / base.numer;
}

static uint64_t
ns_of_ticks(uint64_t ticks)
{
    mach_timebase_info_data_t base;
    (void)mach_timebase_info(&base);
    return ticks / base.denom * base.numer + ticks % base.denom * base.numer / base.denom;
}

/* Once per ring. Each stamp is counted from the first one, so nothing adds up. */
static void
tick(void *context, uint64_t now)
{
    struct ethernet *ethernet = context;
    (void)now;
    const uint64_t frame = ethernet->stamps++ * RING_FRAMES;
    IOUserAudioDeviceUpdateCurrentZeroTimestamp(ethernet->device, frame, ethernet->start + ticks_of_frames(frame));
    (void)IOTimerDispatchSourceWakeAtTime(ethernet->timer, kIOTimerClockMachAbsoluteTime,
                                          ethernet->start + ticks_of_frames(frame + RING_FRAMES), 0);
}

static kern_return_t
start_clock(struct ethernet *ethernet)
{
    ethernet->start = mach_absolute_time();
    ethernet->stamps = 0;
    packets_start(&ethernet->packets, ns_of_ticks(ethernet->start)); // before the first stamp, with which IO runs
    const kern_return_t status = IOTimerDispatchSourceSetEnable(ethernet->timer, true);
    if (status == kIOReturnSuccess)
        tick(ethernet, ethernet->start);
    return status;
}

/* ---- the device ---- */

static kern_return_t
start_io(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    struct ethernet *ethernet = OSObjectGetPeer(device);
    const bool was_running = IOUserAudioDeviceGetDeviceIsRunning(device);
    kern_return_t status = IOUserAudioDeviceStartIO_super(device, flags);
    if (status != kIOReturnSuccess || was_running) // a second start must not disturb the first
        return status;
    status = start_clock(ethernet);
    if (status != kIOReturnSuccess) {
        packets_start(&ethernet->packets, 0);
        (void)IOUserAudioDeviceStopIO_super(device, flags); // the failure to report is the clock's
        return status;
    }
    network_wake(ethernet->network);
    return status;
}

static kern_return_t
stop_io(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    struct ethernet *ethernet = OSObjectGetPeer(device);
    if (!(flags & IOUserAudioStartStopFlagsPrewarm)) {
        packets_start(&ethernet->packets, 0);
        (void)IOTimerDispatchSourceSetEnable(ethernet->timer, false); // fails only when cancelled
    }
    return IOUserAudioDeviceStopIO_super(device, flags);
}

/* A span of the ring that does not cross its edge. */
static void
handle_span(struct ethernet *ethernet, IOUserAudioIOOperation operation, uint64_t frame, uint32_t frames) DX_REALTIME
{
    const uint32_t at = (uint32_t)(frame % RING_FRAMES) * ethernet->packets.channels;
    if (operation == IOUserAudioIOOperationBeginRead)
        packets_read(&ethernet->packets, frame, ethernet->input + at, frames);
    else if (operation == IOUserAudioIOOperationWriteEnd)
        packets_write(&ethernet->packets, frame, ethernet->output + at, frames);
}

static kern_return_t
handle_io(IOUserAudioObjectID object, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
          uint64_t host_time, void *context) DX_REALTIME
{
    struct ethernet *ethernet = context;
    (void)object, (void)host_time; // one device; everything follows from sample_time
    if (frames > RING_FRAMES)
        return kIOReturnBadArgument;
    const uint32_t to_edge = RING_FRAMES - (uint32_t)(sample_time % RING_FRAMES);
    const uint32_t first = frames < to_edge ? frames : to_edge;
    handle_span(ethernet, operation, sample_time, first);
    handle_span(ethernet, operation, sample_time + first, frames - first);
    return kIOReturnSuccess;
}

static kern_return_t
add_stream(struct ethernet *ethernet, IOUserAudioStreamDirection direction, float **ret_ring)
{
    const uint32_t bytes_per_frame = ethernet->packets.channels * (uint32_t)sizeof(float);
    const IOUserAudioStreamBasicDescription format = {
        .mSampleRate = PACKETS_RATE_HZ,
        .mFormatID = IOUserAudioFormatIDLinearPCM,
        .mFormatFlags = FormatFlagIsFloat | FormatFlagsNativeEndian,
        .mBytesPerPacket = bytes_per_frame,
        .mFramesPerPacket = 1,
        .mBytesPerFrame = bytes_per_frame,
        .mChannelsPerFrame = ethernet->packets.channels,
        .mBitsPerChannel = 32,
    };
    IOBufferMemoryDescriptor *memory = NULL;
    IOUserAudioStream *stream = NULL;
    IOAddressSegment range;
    kern_return_t status =
        IOBufferMemoryDescriptorCreate(kIOMemoryDirectionInOut, (uint64_t)RING_FRAMES * bytes_per_frame, 0, &memory);
    if (status == kIOReturnSuccess)
        status = IOBufferMemoryDescriptorGetAddressRange(memory, &range);
    if (status == kIOReturnSuccess) {
        *ret_ring = (float *)(uintptr_t)range.address;
        stream = IOUserAudioStreamCreate(ethernet->driver, direction, (IOMemoryDescriptor *)memory);
        status = stream ? IOUserAudioStreamSetAvailableStreamFormats(stream, &format, 1) : kIOReturnNoMemory;
    }
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceAddStream(ethernet->device, stream); // which keeps both
    OSObjectRelease(stream);
    OSObjectRelease(memory);
    return status;
}

static kern_return_t
init_device(struct ethernet *ethernet)
{
    static const IOUserAudioDeviceOverrides overrides = {
        .size = sizeof overrides,
        .StartIO = start_io,
        .StopIO = stop_io,
    };
    const uint8_t *mac = network_mac(ethernet->network);
    char text[80];
    (void)snprintf(text, sizeof text, "usb-ethernet-%02x%02x%02x%02x%02x%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                   mac[5]);
    OSString *uid = OSStringCreate(text);
    (void)snprintf(text, sizeof text, "%s %02x:%02x:%02x", network_chip(ethernet->network), mac[3], mac[4], mac[5]);
    OSString *name = OSStringCreate(text);
    OSString *model = OSStringCreate(network_chip(ethernet->network));
    kern_return_t status = kIOReturnNoMemory;
    ethernet->device = IOUserAudioDeviceAlloc();
    OSObjectSetPeer(ethernet->device, ethernet, NULL);
    if (ethernet->device && IOUserAudioDeviceSetOverrides(ethernet->device, &overrides) == kIOReturnSuccess &&
        IOUserAudioDeviceInit(ethernet->device, ethernet->driver, false, uid, model, NULL, RING_FRAMES))
        status = IOUserAudioObjectSetName(ethernet->device, name);
    OSObjectRelease(uid);
    OSObjectRelease(name);
    OSObjectRelease(model);
    return status;
}

static kern_return_t
make_device(struct ethernet *ethernet)
{
    static const double rate_hz = PACKETS_RATE_HZ;
    kern_return_t status = init_device(ethernet);
    if (status == kIOReturnSuccess)
        status = IOUserAudioClockDeviceSetTransportType(ethernet->device, IOUserAudioTransportTypeUSB);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetAvailableSampleRates(ethernet->device, &rate_hz, 1);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetOutputSafetyOffset(ethernet->device, SAFETY_FRAMES);
    if (status == kIOReturnSuccess) // a frame waits for the last one of its packet
        status = IOUserAudioDeviceSetOutputLatency(ethernet->device, PACKETS_FRAMES);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetInputLatency(ethernet->device, PACKETS_DELAY_FRAMES);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetIOOperationHandler(ethernet->device, handle_io, ethernet);
    if (status == kIOReturnSuccess)
        status = add_stream(ethernet, IOUserAudioStreamDirectionOutput, &ethernet->output);
    if (status == kIOReturnSuccess)
        status = add_stream(ethernet, IOUserAudioStreamDirectionInput, &ethernet->input);
    return status;
}

/* ---- what it has seen ---- */

/* relaxed: recent values. */
static uint64_t
read_counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* The override of the property, on the work queue. */
static kern_return_t
get_status(IOUserAudioCustomProperty *property, OSObjectPtr qualifier, OSObjectPtr *ret_value)
{
    const struct ethernet *ethernet = OSObjectGetPeer(property);
    const struct packets *packets = &ethernet->packets;
    (void)qualifier; // it takes none
    if (!ethernet->network)
        return kIOReturnNotReady; // it is being taken down
    const struct dx_nic_counters *counters = network_counters(ethernet->network);
    const struct in_addr address = {htonl(network_address(ethernet->network))};
    struct dx_net_stack_counters stack;
    network_get_stack_counters(ethernet->network, &stack);
    char text[INET_ADDRSTRLEN] = "";
    if (address.s_addr)
        (void)inet_ntop(AF_INET, &address, text, sizeof text);
    OSDictionary *status = OSDictionaryCreate(10);
    const bool is_whole =
        status && OSDictionarySetStringValue(status, "Address", text) &&
        OSDictionarySetUInt64Value(status, "PacketsReceived", read_counter(&packets->received)) &&
        OSDictionarySetUInt64Value(status, "PacketsRefused", read_counter(&packets->refused)) &&
        OSDictionarySetUInt64Value(status, "PlacesFoundAnew", read_counter(&packets->anchored)) &&
        OSDictionarySetUInt64Value(status, "FramesReceived", read_counter(&counters->received)) &&
        OSDictionarySetUInt64Value(status, "FramesSent", read_counter(&counters->sent)) &&
        OSDictionarySetUInt64Value(status, "FramesDropped", read_counter(&counters->dropped)) &&
        OSDictionarySetUInt64Value(status, "FramesBad",
                                   read_counter(&counters->bad_headers) + read_counter(&counters->bad_lengths)) &&
        OSDictionarySetUInt64Value(status, "AddressConflicts", stack.arp_conflicts) &&
        OSDictionarySetUInt64Value(status, "ChecksumsBad", stack.bad_checksums);
    if (!is_whole) {
        OSObjectRelease(status);
        return kIOReturnNoMemory;
    }
    *ret_value = status;
    return kIOReturnSuccess;
}

static kern_return_t
add_status(struct ethernet *ethernet)
{
    static const IOUserAudioCustomPropertyOverrides overrides = {
        .size = sizeof overrides,
        .GetCustomPropertyValueWithQualifier = get_status,
    };
    const IOUserAudioObjectPropertyAddress address = {STATUS_SELECTOR, IOUserAudioObjectPropertyScopeGlobal,
                                                      IOUserAudioObjectPropertyElementMain};
    IOUserAudioCustomProperty *property = IOUserAudioCustomPropertyAlloc();
    OSObjectSetPeer(property, ethernet, NULL);
    kern_return_t status = kIOReturnNoMemory;
    if (property && IOUserAudioCustomPropertySetOverrides(property, &overrides) == kIOReturnSuccess &&
        IOUserAudioCustomPropertyInit(property, ethernet->driver, address, false,
                                      IOUserAudioCustomPropertyDataTypeNone,
                                      IOUserAudioCustomPropertyDataTypeDictionary))
        status = IOUserAudioObjectAddCustomProperty(ethernet->device, property);
    OSObjectRelease(property); // the device keeps it
    return status;
}

/* ---- settings ---- */

/* false: it is there, and out of its range. */
static bool
read_number(IOUserAudioDriver *driver, const char *key, uint64_t fallback, uint64_t most, uint64_t *ret_number)
{
    OSObjectPtr value = NULL;
    *ret_number = fallback;
    if (IOServiceSearchProperty(driver, key, NULL, 0, &value) != kIOReturnSuccess)
        return true;
    const OSNumber *number = OSDynamicCast(OSNumber, value);
    *ret_number = number ? OSNumberGetUInt64Value(number) : 0;
    OSObjectRelease(value);
    return *ret_number >= 1 && *ret_number <= most;
}

/* What is there and no text, or too long for what is asked for, is "?", which means nothing. */
static void
read_text(IOUserAudioDriver *driver, const char *key, const char *fallback, char text[TEXT_BYTES])
{
    OSObjectPtr value = NULL;
    const char *found = fallback;
    if (IOServiceSearchProperty(driver, key, NULL, 0, &value) == kIOReturnSuccess) {
        const OSString *string = OSDynamicCast(OSString, value);
        found = string ? OSStringGetCStringNoCopy(string) : "?";
    }
    (void)snprintf(text, TEXT_BYTES, "%s", strlen(found) < TEXT_BYTES ? found : "?");
    OSObjectRelease(value);
}

static const char *
read_address(struct ethernet *ethernet)
{
    char address[TEXT_BYTES], netmask[TEXT_BYTES], gateway[TEXT_BYTES];
    read_text(ethernet->driver, "Address", "dhcp", address);
    read_text(ethernet->driver, "Netmask", "", netmask);
    read_text(ethernet->driver, "Gateway", "", gateway);
    return settings_read_address(address, netmask, gateway, &ethernet->address);
}

static kern_return_t
read_settings(struct ethernet *ethernet)
{
    uint64_t port = 0;
    uint64_t channels = 0;
    char group[TEXT_BYTES];
    read_text(ethernet->driver, "Group", "239.69.0.1", group);
    const char *wrong = settings_read_group(group, &ethernet->group);
    if (!wrong && !read_number(ethernet->driver, "Port", 5004, 65535, &port))
        wrong = "Port must be 1 to 65535";
    if (!wrong && !read_number(ethernet->driver, "Channels", 2, PACKETS_MAX_CHANNELS, &channels))
        wrong = "Channels must be 1 to 8";
    if (!wrong)
        wrong = read_address(ethernet);
    if (wrong) {
        say("usb-ethernet: the personality's %s\n", wrong);
        return kIOReturnBadArgument;
    }
    ethernet->port = (uint16_t)port;
    packets_init(&ethernet->packets, (uint32_t)channels, (uint32_t)mach_absolute_time());
    return kIOReturnSuccess;
}

/* ---- the driver ---- */

static kern_return_t
open_network(struct ethernet *ethernet, IOService *provider)
{
    const struct network_config config = {ethernet->group, ethernet->port, ethernet->address, &ethernet->packets};
    char why[256] = "";
    int fd = -1;
    dx_usb_info info = {.size = sizeof info};
    kern_return_t status = dx_usb_provider_get_fd(provider, &fd);
    if (status == kIOReturnSuccess)
        status = dx_usb_provider_get_info(provider, &info);
    if (status != kIOReturnSuccess) {
        say("usb-ethernet: %s\n", "it is for a USB adapter, which only the supervisor gives to a driver");
        return status;
    }
    if (network_open(fd, dx_usb_provider_get_port(provider), &info, &config, &ethernet->network, why) < 0) {
        say("usb-ethernet: %s\n", why);
        return kIOReturnDeviceError;
    }
    const unsigned degraded = network_degraded(ethernet->network);
    if (degraded) // it works all the same, with packets that are late more often
        say("usb-ethernet: the adapter's thread is not real-time: %s\n", dx_task_degraded_advice(degraded));
    return kIOReturnSuccess;
}

static kern_return_t
make_timer(struct ethernet *ethernet)
{
    ethernet->queue = IOUserAudioDriverGetWorkQueue(ethernet->driver);
    kern_return_t status = IOTimerDispatchSourceCreate(ethernet->queue, &ethernet->timer);
    if (status == kIOReturnSuccess)
        status = IOTimerDispatchSourceSetHandler_f(ethernet->timer, ethernet, tick);
    return status;
}

static kern_return_t
build(struct ethernet *ethernet, IOService *provider)
{
    kern_return_t status = read_settings(ethernet);
    if (status == kIOReturnSuccess)
        status = open_network(ethernet, provider);
    if (status == kIOReturnSuccess)
        status = make_timer(ethernet);
    if (status == kIOReturnSuccess)
        status = make_device(ethernet);
    if (status == kIOReturnSuccess)
        status = add_status(ethernet);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDriverAddObject(ethernet->driver, ethernet->device);
    if (status == kIOReturnSuccess)
        status = IOServiceRegisterService(ethernet->driver);
    return status;
}

/* On the queue: neither tick() nor get_status() is running while this does; none of the one begins after it, and the other
 * finds no network. */
static void
leave_queue(void *context)
{
    struct ethernet *ethernet = context;
    (void)IOTimerDispatchSourceCancel_f(ethernet->timer, NULL, NULL); // one that cannot be cancelled goes with its release
    ethernet->network = NULL;
}

static void
take_down(struct ethernet *ethernet)
{
    struct network *network = ethernet->network;
    if (ethernet->device)
        (void)IOUserAudioDriverRemoveObject(ethernet->driver, ethernet->device); // not added yet: nothing to remove
    if (ethernet->timer)
        (void)IODispatchQueueDispatchSync_f(ethernet->queue, ethernet, leave_queue);
    OSSafeReleaseNULL(ethernet->timer);
    OSSafeReleaseNULL(ethernet->queue);
    network_close(network);
    ethernet->network = NULL; // also where there was no timer yet
}

static kern_return_t
start(IOUserAudioDriver *driver, IOService *provider)
{
    kern_return_t status = IOUserAudioDriverStart_super(driver, provider);
    if (status != kIOReturnSuccess)
        return status;
    struct ethernet *ethernet = OSObjectGetPeer(driver);
    status = build(ethernet, provider);
    if (status != kIOReturnSuccess) {
        take_down(ethernet);
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
free_ethernet(void *peer)
{
    struct ethernet *ethernet = peer;
    OSObjectRelease(ethernet->device);
    free(ethernet);
}

static IOUserAudioDriver *
alloc_ethernet_driver(void)
{
    static const IOUserAudioDriverOverrides overrides = {
        .size = sizeof overrides,
        .Start = start,
        .Stop = stop,
    };
    IOUserAudioDriver *driver = IOUserAudioDriverAlloc();
    struct ethernet *ethernet = calloc(1, sizeof *ethernet);
    if (!driver || !ethernet || IOUserAudioDriverSetOverrides(driver, &overrides) != kIOReturnSuccess) {
        OSObjectRelease(driver);
        free(ethernet);
        return NULL;
    }
    ethernet->driver = driver;
    OSObjectSetPeer(driver, ethernet, free_ethernet);
    return driver;
}

DX_DRIVER_CLASS(UsbEthernetDriver, alloc_ethernet_driver);
