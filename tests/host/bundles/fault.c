// SPDX-License-Identifier: MIT
// A driver that goes wrong, in the way that the property "Fault" of its personality says; "none": in no way.
//
// Its device has a stream of two channels of float in each direction, which it loops, and a mute control.  Two are no
// faults: with "longer rings", its rings are LONG_RING_FRAMES long at 96 kHz; with "turned channels", its first output
// channel is the right one, until it is muted.

#include "../../../examples/common/personality.h"
#include "../../../examples/common/virtual_clock.h"
#include "tests/break_rules.h"

#include <dextral/dextral.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHANNELS 2u
#define RING_FRAMES 4096u
#define LONG_RING_FRAMES 32768u
#define RATE_HZ 48000.0
#define LONG_RATE_HZ 96000.0

struct fault {
    IOUserAudioDriver *driver; // borrowed: this is its peer
    IOUserAudioDevice *device;
    struct virtual_clock clock;
    char name[32];
    uint32_t ring_frames;
    float *output;
    float *input;
};

#ifdef CRASH_AT_LOAD
__attribute__((constructor)) static void
crash_at_load(void)
{
    abort();
}
#endif

static void
sleep_for_ever(void)
{
    for (;;)
        (void)sleep(1000);
}

static bool
is_fault(const struct fault *fault, const char *name)
{
    return strcmp(fault->name, name) == 0;
}

/* What the sandbox is there against: the name of each that works is added to the device's name. */

static bool
reaches_process(void)
{
    const pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

static bool
reaches_file(const char *path, int flags)
{
    const int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    (void)close(fd);
    return true;
}

static bool
reaches_socket(int domain, int type)
{
    const int fd = socket(domain, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    (void)close(fd);
    return true;
}

/* A hello as a program's, in the form of host/wire.h: a head of 8 bytes, and a dictionary. */
static size_t
make_hello(uint8_t *bytes, size_t capacity)
{
    OSDictionary *hello = OSDictionaryCreate(8);
    const bool done =
        hello && OSDictionarySetStringValue(hello, "op", "hello") &&
        OSDictionarySetStringValue(hello, "role", "client") && OSDictionarySetUInt64Value(hello, "id", 1) &&
        OSDictionarySetUInt64Value(hello, "major", 1) && OSDictionarySetUInt64Value(hello, "minor", 0);
    OSData *data = done ? OSSerializationCreateFromObject(hello) : NULL;
    const size_t length = data ? OSDataGetLength(data) : 0;
    const uint8_t head[8] = {'1', 'D', 'X', 'W', (uint8_t)length, (uint8_t)(length >> 8), 0, 0};
    const bool fits = length && sizeof head + length <= capacity;
    if (fits) {
        memcpy(bytes, head, sizeof head);
        memcpy(bytes + sizeof head, OSDataGetBytesNoCopy(data), length);
    }
    OSObjectRelease(data);
    OSObjectRelease(hello);
    return fits ? sizeof head + length : 0;
}

/* Whether the supervisor takes it for a program. */
static bool
reaches_supervisor(void)
{
    const char *const folder = getenv("DEXTRAL_RUNTIME_DIR");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uint8_t bytes[1024];
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", folder ? folder : "");
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    ssize_t length = (ssize_t)make_hello(bytes, sizeof bytes);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        send(fd, bytes, (size_t)length, MSG_NOSIGNAL) != length)
        length = 0;
    else
        length = recv(fd, bytes, sizeof bytes, 0);
    OSObjectPtr object = length > 8 ? OSSerializationCopyObject(bytes + 8, (size_t)length - 8) : NULL;
    const OSDictionary *answer = OSDynamicCast(OSDictionary, object);
    const bool is_welcome = answer && OSDictionaryGetUInt64Value(answer, "status") == 0;
    OSObjectRelease(object);
    if (fd >= 0)
        (void)close(fd);
    return is_welcome;
}

/* What works on the node of the USB device, which may be a file: the first word in it, and what two requests answer, one
 * of usbfs's, which takes the interface until the process ends, and one that a device has no use for. */
static void
write_hardware(IOService *provider, char *text, size_t size)
{
    char word[16] = "";
    int fd = -1;
    if (dx_usb_provider_get_fd(provider, &fd) != kIOReturnSuccess)
        return;
    const ssize_t length = pread(fd, word, sizeof word - 1, 0);
    word[length > 0 ? length : 0] = '\0';
    struct usbdevfs_disconnect_claim claim = {.flags = USBDEVFS_DISCONNECT_CLAIM_EXCEPT_DRIVER, .driver = "usbfs"};
    const int usb = ioctl(fd, USBDEVFS_DISCONNECT_CLAIM, &claim) == 0 ? 0 : errno;
    const int other = ioctl(fd, TIOCSTI, "x") == 0 ? 0 : errno;
    (void)snprintf(text, size, " node %s usbfs %s other %s", word, strerrorname_np(usb), strerrorname_np(other));
}

static kern_return_t
name_what_is_reached(IOUserAudioDevice *device, IOService *provider)
{
    char name[256];
    char hardware[128] = "";
    write_hardware(provider, hardware, sizeof hardware);
    (void)snprintf(name, sizeof name, "reached:%s%s%s%s%s%s%s", hardware, reaches_process() ? " process" : "",
                   reaches_file("/etc/passwd", O_RDONLY) ? " passwd" : "",
                   reaches_file("/tmp", O_WRONLY | O_TMPFILE) ? " tmp" : "",
                   reaches_socket(AF_UNIX, SOCK_STREAM) ? " stream" : "",
                   reaches_socket(AF_INET, SOCK_DGRAM) ? " network" : "",
                   reaches_supervisor() ? " supervisor" : "");
    OSString *string = OSStringCreate(name);
    const kern_return_t status = string ? IOUserAudioObjectSetName(device, string) : kIOReturnNoMemory;
    OSObjectRelease(string);
    return status;
}

#if defined(__has_attribute)
#    if __has_attribute(no_sanitize)
#        define UNCHECKED __attribute__((no_sanitize("thread")))
#    endif
#endif
#ifndef UNCHECKED
#    define UNCHECKED
#endif

/* All shared memory that it can write: rings, device page, recorder. */
UNCHECKED static void
scribble(void)
{
    FILE *const maps = fopen("/proc/self/maps", "re");
    char line[512];
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long from = 0, to = 0;
        char rights[5] = "";
        if (sscanf(line, "%lx-%lx %4s", &from, &to, rights) == 3 && strcmp(rights, "rw-s") == 0)
            for (unsigned long at = from; at < to; at++)
                *(volatile unsigned char *)at = (unsigned char)(at * 131u);
    }
    if (maps)
        (void)fclose(maps);
}

static void
be_slow_once(void)
{
    static unsigned calls;
    const struct timespec time = {.tv_nsec = 300000000};
    if (++calls == 20)
        (void)nanosleep(&time, NULL);
}

static void
go_wrong(const struct fault *fault, IOUserAudioIOOperation operation)
{
    if (is_fault(fault, "slow handler"))
        be_slow_once();
    if (is_fault(fault, "spin in the handler"))
        for (volatile unsigned turn = 0;; turn++)
            ;
    if (is_fault(fault, "block in the handler"))
        sleep_for_ever();
    if (is_fault(fault, "crash in the handler"))
        abort();
    if (is_fault(fault, "scribble") && operation == IOUserAudioIOOperationWriteEnd)
        scribble();
}

static kern_return_t
handle_io(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
          uint64_t host_time, void *context) DX_REALTIME
{
    (void)device, (void)host_time;
    struct fault *fault = context;
    BREAK_RULES_BEGIN("what goes wrong in it is what it is for")
    go_wrong(fault, operation);
    BREAK_RULES_END
    for (uint32_t i = 0; i < frames && operation == IOUserAudioIOOperationWriteEnd; i++) {
        const size_t at = (size_t)((sample_time + i) % fault->ring_frames) * CHANNELS;
        fault->input[at] = fault->output[at];
        fault->input[at + 1] = fault->output[at + 1];
    }
    return kIOReturnSuccess;
}

static kern_return_t
start_io(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    struct fault *fault = OSObjectGetPeer(device);
    const bool was_running = IOUserAudioDeviceGetDeviceIsRunning(device);
    kern_return_t status = IOUserAudioDeviceStartIO_super(device, flags);
    if (status != kIOReturnSuccess || was_running || is_fault(fault, "no stamps"))
        return status;
    memset(fault->input, 0, (size_t)LONG_RING_FRAMES * CHANNELS * sizeof *fault->input); // it is of another time
    status = virtual_clock_start(&fault->clock);
    if (status != kIOReturnSuccess)
        (void)IOUserAudioDeviceStopIO_super(device, flags);
    return status;
}

static kern_return_t
stop_io(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    struct fault *fault = OSObjectGetPeer(device);
    virtual_clock_stop(&fault->clock);
    return IOUserAudioDeviceStopIO_super(device, flags);
}

/* IO is stopped. */
static kern_return_t
change_rate(IOUserAudioDevice *device, double rate_hz)
{
    struct fault *fault = OSObjectGetPeer(device);
    kern_return_t status = IOUserAudioDeviceHandleChangeSampleRate_super(device, rate_hz);
    if (status == kIOReturnSuccess && is_fault(fault, "longer rings")) {
        fault->ring_frames = rate_hz == LONG_RATE_HZ ? LONG_RING_FRAMES : RING_FRAMES;
        status = IOUserAudioDeviceSetZeroTimeStampPeriod(device, fault->ring_frames);
    }
    return status;
}

static kern_return_t
set_layout(const struct fault *fault, bool is_turned)
{
    static const IOUserAudioChannelLabel labels[] = {IOUserAudioChannelLabelLeft, IOUserAudioChannelLabelRight,
                                                     IOUserAudioChannelLabelLeft};
    return is_fault(fault, "turned channels")
               ? IOUserAudioDeviceSetPreferredOutputChannelLayout(fault->device, labels + is_turned, CHANNELS)
               : kIOReturnSuccess;
}

static kern_return_t
change_mute(IOUserAudioBooleanControl *control, bool value)
{
    const struct fault *fault = OSObjectGetPeer(control);
    if (is_fault(fault, "hang in a setter"))
        sleep_for_ever();
    const kern_return_t status = set_layout(fault, !value);
    if (status != kIOReturnSuccess)
        return status;
    return IOUserAudioBooleanControlHandleChangeControlValue_super(control, value);
}

static kern_return_t
add_stream(struct fault *fault, IOUserAudioStreamDirection direction, float **ret_ring)
{
    IOUserAudioStreamBasicDescription formats[2] = {{
        .mSampleRate = RATE_HZ,
        .mFormatID = IOUserAudioFormatIDLinearPCM,
        .mFormatFlags = FormatFlagsNativeFloatPacked,
        .mBytesPerPacket = CHANNELS * 4u,
        .mFramesPerPacket = 1,
        .mBytesPerFrame = CHANNELS * 4u,
        .mChannelsPerFrame = CHANNELS,
        .mBitsPerChannel = 32,
    }};
    formats[1] = formats[0];
    formats[1].mSampleRate = LONG_RATE_HZ;
    IOBufferMemoryDescriptor *ring = NULL;
    IOAddressSegment range = {0};
    kern_return_t status = IOBufferMemoryDescriptorCreate(kIOMemoryDirectionInOut,
                                                          (uint64_t)LONG_RING_FRAMES * CHANNELS * 4u, 0, &ring);
    if (status != kIOReturnSuccess)
        return status;
    status = IOBufferMemoryDescriptorGetAddressRange(ring, &range);
    *ret_ring = (float *)(uintptr_t)range.address;
    IOUserAudioStream *stream = IOUserAudioStreamCreate(fault->driver, direction, (IOMemoryDescriptor *)ring);
    if (status == kIOReturnSuccess)
        status = stream ? IOUserAudioStreamSetAvailableStreamFormats(stream, formats, 2) : kIOReturnNoMemory;
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceAddStream(fault->device, stream);
    OSObjectRelease(stream);
    OSObjectRelease(ring);
    return status;
}

static kern_return_t
add_mute(struct fault *fault)
{
    static const IOUserAudioBooleanControlOverrides overrides = {
        .size = sizeof overrides,
        .HandleChangeControlValue = change_mute,
    };
    IOUserAudioBooleanControl *control = IOUserAudioBooleanControlAlloc();
    OSObjectSetPeer(control, fault, NULL);
    kern_return_t status = kIOReturnNoMemory;
    if (control && IOUserAudioBooleanControlSetOverrides(control, &overrides) == kIOReturnSuccess &&
        IOUserAudioBooleanControlInit(control, fault->driver, true, false, IOUserAudioObjectPropertyElementMain,
                                      IOUserAudioObjectPropertyScopeOutput, IOUserAudioClassIDMuteControl))
        status = IOUserAudioDeviceAddControl(fault->device, (IOUserAudioControl *)control);
    OSObjectRelease(control);
    return status;
}

/* Of hardware its serial number, or without one its port, and the number of the interface. */
static OSString *
copy_uid(struct fault *fault)
{
    IOService *provider = IOServiceGetProvider(fault->driver);
    dx_usb_info info = {.size = sizeof info};
    OSObjectPtr serial = NULL;
    char text[200];
    if (dx_usb_provider_get_info(provider, &info) != kIOReturnSuccess)
        return personality_copy_string(fault->driver, "DeviceUID", "org.dextral.test.fault");
    (void)IOServiceSearchProperty(provider, "kUSBSerialNumberString", NULL, 0, &serial);
    (void)snprintf(text, sizeof text, "%.150s",
                   serial ? OSStringGetCStringNoCopy(serial) : dx_usb_provider_get_port(provider));
    OSObjectRelease(serial);
    if (info.is_interface)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "-%u", info.interface_number);
    return OSStringCreate(text);
}

static kern_return_t
make_device(struct fault *fault)
{
    static const IOUserAudioDeviceOverrides overrides = {
        .size = sizeof overrides,
        .StartIO = start_io,
        .StopIO = stop_io,
        .HandleChangeSampleRate = change_rate,
    };
    OSString *uid = copy_uid(fault);
    kern_return_t status = kIOReturnNoMemory;
    fault->device = IOUserAudioDeviceAlloc();
    OSObjectSetPeer(fault->device, fault, NULL);
    if (fault->device && IOUserAudioDeviceSetOverrides(fault->device, &overrides) == kIOReturnSuccess &&
        IOUserAudioDeviceInit(fault->device, fault->driver, false, uid, NULL, NULL, RING_FRAMES))
        status = name_what_is_reached(fault->device, IOServiceGetProvider(fault->driver));
    OSObjectRelease(uid);
    return status;
}

static kern_return_t
build(struct fault *fault)
{
    static const double rates_hz[] = {RATE_HZ, LONG_RATE_HZ};
    kern_return_t status = make_device(fault);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetAvailableSampleRates(fault->device, rates_hz, 2);
    if (status == kIOReturnSuccess)
        status = set_layout(fault, true);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDeviceSetIOOperationHandler(fault->device, handle_io, fault);
    if (status == kIOReturnSuccess)
        status = add_stream(fault, IOUserAudioStreamDirectionOutput, &fault->output);
    if (status == kIOReturnSuccess)
        status = add_stream(fault, IOUserAudioStreamDirectionInput, &fault->input);
    if (status == kIOReturnSuccess)
        status = add_mute(fault);
    if (status == kIOReturnSuccess)
        status = virtual_clock_init(&fault->clock, fault->driver, fault->device);
    if (status == kIOReturnSuccess)
        status = IOUserAudioDriverAddObject(fault->driver, fault->device);
    if (status == kIOReturnSuccess)
        status = IOServiceRegisterService(fault->driver);
    return status;
}

static void
take_down(struct fault *fault)
{
    if (fault->device)
        (void)IOUserAudioDriverRemoveObject(fault->driver, fault->device); // not added yet: nothing to remove
    virtual_clock_finish(&fault->clock);
}

static kern_return_t
start(IOUserAudioDriver *driver, IOService *provider)
{
    struct fault *fault = OSObjectGetPeer(driver);
    kern_return_t status = IOUserAudioDriverStart_super(driver, provider);
    if (status != kIOReturnSuccess)
        return status;
    OSString *name = personality_copy_string(driver, "Fault", "none");
    if (name)
        (void)snprintf(fault->name, sizeof fault->name, "%s", OSStringGetCStringNoCopy(name));
    OSObjectRelease(name);
    if (is_fault(fault, "hang in Start"))
        sleep_for_ever();
    if (is_fault(fault, "exit in Start"))
        exit(5);
    if (is_fault(fault, "crash in Start"))
        abort();
    status = is_fault(fault, "fail in Start") ? kIOReturnNotReady : build(fault);
    if (status != kIOReturnSuccess) {
        take_down(fault);
        (void)IOUserAudioDriverStop_super(driver, provider);
    }
    return status;
}

static kern_return_t
stop(IOUserAudioDriver *driver, IOService *provider)
{
    struct fault *fault = OSObjectGetPeer(driver);
    if (is_fault(fault, "hang in Stop"))
        sleep_for_ever();
    take_down(fault);
    return IOUserAudioDriverStop_super(driver, provider);
}

static void
free_fault(void *peer)
{
    struct fault *fault = peer;
    OSObjectRelease(fault->device);
    free(fault);
}

static IOUserAudioDriver *
alloc_fault_driver(void)
{
    static const IOUserAudioDriverOverrides overrides = {
        .size = sizeof overrides,
        .Start = start,
        .Stop = stop,
    };
    IOUserAudioDriver *driver = IOUserAudioDriverAlloc();
    struct fault *fault = calloc(1, sizeof *fault);
    if (!driver || !fault || IOUserAudioDriverSetOverrides(driver, &overrides) != kIOReturnSuccess) {
        OSObjectRelease(driver);
        free(fault);
        return NULL;
    }
    fault->driver = driver;
    fault->ring_frames = RING_FRAMES;
    OSObjectSetPeer(driver, fault, free_fault);
    return driver;
}

DX_DRIVER_CLASS(FaultyAudioDriver, alloc_fault_driver);
