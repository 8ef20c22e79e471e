// SPDX-License-Identifier: MIT
// Streams: formats, rings, and being started by their device.

#include "expect.h"

#include "audio/stream.h"

#include <math.h>
#include <string.h>

static IOUserAudioDriver *driver;
static IOUserAudioDevice *device; // id 2, added to the driver, period 512
static IOUserAudioStream *stream; // id 3, output, added to the device, ring of 4096 bytes

static void
set_up(void)
{
    driver = fake_host_start_driver(NULL);
    ASSERT(driver);
    device = make_device(driver, "uid", 512);
    ASSERT(device);
    stream = make_stream(driver, IOUserAudioStreamDirectionOutput, 4096);
    ASSERT(stream);
    cr_assert(eq(int, IOUserAudioDriverAddObject(driver, device), kIOReturnSuccess));
    cr_assert(eq(int, IOUserAudioDeviceAddStream(device, stream), kIOReturnSuccess));
    (void)fake_host_take();
}

static void
tear_down(void)
{
    OSObjectRelease(stream);
    OSObjectRelease(device);
    fake_host_stop_driver(driver);
}

TestSuite(audio_stream, .init = set_up, .fini = tear_down);

Test(audio_stream, create_checks_its_arguments)
{
    EXPECT(!IOUserAudioStreamCreate(driver, 2, NULL));
    EXPECT(!IOUserAudioStreamCreate(NULL, IOUserAudioStreamDirectionInput, NULL));
    EXPECT(!IOUserAudioStreamCreate(driver, IOUserAudioStreamDirectionInput, device));
    EXPECT(!IOUserAudioStreamInit(stream, driver, IOUserAudioStreamDirectionInput, NULL));
    EXPECT(!IOUserAudioStreamInit(NULL, driver, IOUserAudioStreamDirectionInput, NULL));
}

Test(audio_stream, values_begin_as_documented)
{
    EXPECT(IOUserAudioStreamGetStreamIsActive(stream));
    cr_expect(eq(u32, IOUserAudioStreamGetStreamDirection(stream), IOUserAudioStreamDirectionOutput));
    cr_expect(zero(u32, IOUserAudioStreamGetTerminalType(stream)));
    cr_expect(eq(u32, IOUserAudioStreamGetStartingChannel(stream), 1));
    cr_expect(zero(u32, IOUserAudioStreamGetLatency(stream)));
    cr_expect(zero(sz, IOUserAudioStreamGetNumberAvailableStreamFormats(stream)));
    cr_expect(zero(u32, IOUserAudioStreamGetCurrentStreamFormat(stream).mFormatID));
    IOUserAudioStream *const input = make_stream(driver, IOUserAudioStreamDirectionInput, 0);
    cr_expect(eq(u32, IOUserAudioStreamGetStreamDirection(input), IOUserAudioStreamDirectionInput));
    EXPECT(!IOUserAudioStreamGetIOMemoryDescriptor(input));
    OSObjectRelease(input);
}

Test(audio_stream, setters_store_and_tell_what_is_new)
{
    EXPECT_STATUS(IOUserAudioStreamSetStreamIsActive(stream, false), kIOReturnSuccess);
    EXPECT_TOLD("changed 3 'sact'");
    EXPECT_STATUS(IOUserAudioStreamSetTerminalType(stream, IOUserAudioStreamTerminalTypeSpeaker),
                  kIOReturnSuccess);
    EXPECT_TOLD("changed 3 'term'");
    EXPECT_STATUS(IOUserAudioStreamSetStartingChannel(stream, 5), kIOReturnSuccess);
    EXPECT_TOLD("changed 3 'schn'");
    EXPECT_STATUS(IOUserAudioStreamSetLatency(stream, 6), kIOReturnSuccess);
    EXPECT_TOLD("changed 3 'ltnc'");
    EXPECT_STATUS(IOUserAudioStreamHandleChangeStreamIsActive(stream, true), kIOReturnSuccess);
    EXPECT_TOLD("changed 3 'sact'");
    EXPECT_STATUS(IOUserAudioStreamSetLatency(stream, 6), kIOReturnSuccess);
    EXPECT_TOLD("");
    EXPECT(IOUserAudioStreamGetStreamIsActive(stream));
    cr_expect(eq(u32, IOUserAudioStreamGetTerminalType(stream), IOUserAudioStreamTerminalTypeSpeaker));
    cr_expect(eq(u32, IOUserAudioStreamGetStartingChannel(stream), 5));
    cr_expect(eq(u32, IOUserAudioStreamGetLatency(stream), 6));
    EXPECT_STATUS(IOUserAudioStreamSetTerminalType(stream, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamSetStartingChannel(stream, 0), kIOReturnBadArgument);
}

Test(audio_stream, no_stream_is_refused_by_every_call)
{
    IOUserAudioStream *const s = (IOUserAudioStream *)(void *)device;
    const IOUserAudioStreamBasicDescription format = float_format(48000, 2);
    EXPECT_STATUS(IOUserAudioStreamStartIO(s, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamStartIO_super(s, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamStopIO(s, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamStopIO_super(s, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamHandleChangeCurrentStreamFormat(s, &format), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamHandleChangeCurrentStreamFormat(stream, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamHandleChangeStreamIsActive(s, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamSetCurrentStreamFormat(s, &format), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamSetCurrentStreamFormat(stream, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamDeviceSampleRateChanged(s, 48000), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamDeviceSampleRateChanged(stream, NAN), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamSetAvailableStreamFormats(s, &format, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamSetAvailableStreamFormats(stream, NULL, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamSetAvailableStreamFormats(stream, &format, 257), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamSetStreamIsActive(s, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamSetTerminalType(s, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamSetStartingChannel(s, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamSetLatency(s, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamSetIOMemoryDescriptor(s, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamSetIOMemoryDescriptor(stream, device), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioStreamSetOverrides(NULL, NULL), kIOReturnBadArgument);
    EXPECT(!IOUserAudioStreamGetIOMemoryDescriptor(s));
    EXPECT(!IOUserAudioStreamGetStreamIsActive(s));
    cr_expect(zero(u32, IOUserAudioStreamGetCurrentStreamFormat(s).mFormatID));
    cr_expect(zero(u32, IOUserAudioStreamGetStreamDirection(s)));
    cr_expect(zero(u32, IOUserAudioStreamGetStartingChannel(s)));
    cr_expect(zero(sz, IOUserAudioStreamGetNumberAvailableStreamFormats(s)));
    cr_expect(zero(sz, IOUserAudioStreamGetAvailableStreamFormats(s, NULL, 1)));
}

/* What the reference (7) says streams may and may not have. */
struct format_case {
    const char *name;
    kern_return_t status;
    IOUserAudioStreamBasicDescription format;
};

static IOUserAudioStreamBasicDescription
with_flags(IOUserAudioStreamBasicDescription format, IOUserAudioFormatFlags flags)
{
    format.mFormatFlags = flags;
    return format;
}

static IOUserAudioStreamBasicDescription
with_rate(double rate)
{
    return float_format(rate, 1);
}

static IOUserAudioStreamBasicDescription
spoilt(size_t offset, uint32_t value)
{
    IOUserAudioStreamBasicDescription format = float_format(48000, 2);
    memcpy((char *)&format + offset, &value, sizeof value);
    return format;
}

#define SPOILT(field, value) spoilt(offsetof(IOUserAudioStreamBasicDescription, field), (value))

Test(audio_stream, formats_are_checked)
{
    const struct format_case cases[] = {
        {"float32", kIOReturnSuccess, float_format(48000, 2)},
        {"s16", kIOReturnSuccess, integer_format(48000, 2, 16)},
        {"packed s24", kIOReturnSuccess, integer_format(48000, 2, 24)},
        {"s32", kIOReturnSuccess, integer_format(48000, 2, 32)},
        {"s16 with Packed unset", kIOReturnSuccess,
         with_flags(integer_format(48000, 2, 16), FormatFlagIsSignedInteger)},
        {"big-endian s16", kIOReturnSuccess,
         with_flags(integer_format(48000, 2, 16), FormatFlagIsSignedInteger | FormatFlagIsBigEndian)},
        {"non-mixable of 8 bits", kIOReturnSuccess,
         with_flags(integer_format(48000, 2, 8), FormatFlagIsNonMixable)},
        {"non-interleaved", kIOReturnUnsupported,
         with_flags(float_format(48000, 2), FormatFlagsNativeFloatPacked | FormatFlagIsNonInterleaved)},
        {"unsigned", kIOReturnUnsupported, with_flags(integer_format(48000, 2, 16), FormatFlagIsPacked)},
        {"not linear PCM", kIOReturnUnsupported, SPOILT(mFormatID, IOUserAudioFormatIDOpus)},
        {"rate 0", kIOReturnBadArgument, with_rate(0)},
        {"rate NaN", kIOReturnBadArgument, with_rate(NAN)},
        {"rate over 10 MHz", kIOReturnBadArgument, with_rate(10000001)},
        {"no channels", kIOReturnBadArgument, SPOILT(mChannelsPerFrame, 0)},
        {"1025 channels", kIOReturnBadArgument, float_format(48000, 1025)},
        {"bytes that do not divide", kIOReturnBadArgument, SPOILT(mChannelsPerFrame, 3)},
        {"two frames in a packet", kIOReturnBadArgument, SPOILT(mFramesPerPacket, 2)},
        {"another packet size", kIOReturnBadArgument, SPOILT(mBytesPerPacket, 4)},
        {"no bytes", kIOReturnBadArgument, SPOILT(mBytesPerFrame, 0)},
        {"no bits", kIOReturnBadArgument, SPOILT(mBitsPerChannel, 0)},
        {"more bits than bytes", kIOReturnBadArgument, SPOILT(mBitsPerChannel, 33)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect(eq(int, IOUserAudioStreamSetCurrentStreamFormat(stream, &cases[i].format), cases[i].status),
                  "%s", cases[i].name);
        cr_expect(
            eq(int, IOUserAudioStreamSetAvailableStreamFormats(stream, &cases[i].format, 1), cases[i].status),
            "%s", cases[i].name);
    }
}

Test(audio_stream, a_format_is_kept_and_told_when_it_is_another)
{
    const IOUserAudioStreamBasicDescription format = integer_format(44100, 2, 16);
    EXPECT_STATUS(IOUserAudioStreamSetCurrentStreamFormat(stream, &format), kIOReturnSuccess);
    EXPECT_TOLD("changed 3 'sfmt' 'pft '");
    EXPECT_STATUS(IOUserAudioStreamSetCurrentStreamFormat(stream, &format), kIOReturnSuccess);
    EXPECT_TOLD("");
    const IOUserAudioStreamBasicDescription read = IOUserAudioStreamGetCurrentStreamFormat(stream);
    EXPECT(memcmp(&read, &format, sizeof format) == 0);
}

Test(audio_stream, the_first_available_format_becomes_the_format_when_none_was_set)
{
    const IOUserAudioStreamBasicDescription formats[] = {integer_format(48000, 2, 16), float_format(48000, 2)};
    EXPECT_STATUS(IOUserAudioStreamSetAvailableStreamFormats(stream, formats, 2), kIOReturnSuccess);
    EXPECT_TOLD("changed 3 'sfmt' 'pft ' 'sfma' 'pfta'");
    cr_expect(eq(u32, IOUserAudioStreamGetCurrentStreamFormat(stream).mBitsPerChannel, 16));
    EXPECT_STATUS(IOUserAudioStreamSetAvailableStreamFormats(stream, formats, 2), kIOReturnSuccess);
    EXPECT_TOLD("");
    cr_expect(eq(sz, IOUserAudioStreamGetNumberAvailableStreamFormats(stream), 2));
    IOUserAudioStreamBasicDescription copy[3] = {{0}};
    cr_expect(eq(sz, IOUserAudioStreamGetAvailableStreamFormats(stream, copy, 1), 1));
    EXPECT(copy[1].mFormatID == 0);
    cr_expect(eq(sz, IOUserAudioStreamGetAvailableStreamFormats(stream, copy, 3), 2));
    EXPECT(memcmp(copy, formats, sizeof formats) == 0);
    EXPECT_STATUS(IOUserAudioStreamSetAvailableStreamFormats(stream, formats + 1, 1), kIOReturnSuccess);
    EXPECT_TOLD("changed 3 'sfma' 'pfta'");
    EXPECT_STATUS(IOUserAudioStreamSetAvailableStreamFormats(stream, NULL, 0), kIOReturnSuccess);
    cr_expect(zero(sz, IOUserAudioStreamGetNumberAvailableStreamFormats(stream)));
}

Test(audio_stream, a_new_rate_chooses_the_closest_format)
{
    const IOUserAudioStreamBasicDescription formats[] = {
        integer_format(48000, 2, 16), integer_format(96000, 8, 16), integer_format(96000, 2, 24),
        integer_format(96000, 2, 16), float_format(44100, 1),       integer_format(44100, 1, 24),
        integer_format(44100, 4, 16),
    };
    EXPECT_STATUS(IOUserAudioStreamSetIOMemoryDescriptor(stream, NULL), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioStreamSetAvailableStreamFormats(stream, formats, 7), kIOReturnSuccess);

    /* The same but for the rate, though others of that rate come first. */
    EXPECT_STATUS(IOUserAudioStreamDeviceSampleRateChanged(stream, 96000), kIOReturnSuccess);
    IOUserAudioStreamBasicDescription now = IOUserAudioStreamGetCurrentStreamFormat(stream);
    EXPECT(memcmp(&now, &formats[3], sizeof now) == 0);

    /* None is the same: nearest channels (1 before 4), then nearest bits (24 before 32). */
    EXPECT_STATUS(IOUserAudioStreamDeviceSampleRateChanged(stream, 44100), kIOReturnSuccess);
    now = IOUserAudioStreamGetCurrentStreamFormat(stream);
    EXPECT(memcmp(&now, &formats[5], sizeof now) == 0);

    EXPECT_STATUS(IOUserAudioStreamDeviceSampleRateChanged(stream, 32000), kIOReturnNotFound);
    now = IOUserAudioStreamGetCurrentStreamFormat(stream);
    EXPECT(memcmp(&now, &formats[5], sizeof now) == 0);
}

Test(audio_stream, a_new_rate_without_a_list_changes_the_rate_alone)
{
    EXPECT_STATUS(IOUserAudioStreamDeviceSampleRateChanged(stream, 32000), kIOReturnNotFound);
    const IOUserAudioStreamBasicDescription format = integer_format(48000, 2, 16);
    EXPECT_STATUS(IOUserAudioStreamSetCurrentStreamFormat(stream, &format), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioStreamDeviceSampleRateChanged(stream, 32000), kIOReturnSuccess);
    const IOUserAudioStreamBasicDescription now = IOUserAudioStreamGetCurrentStreamFormat(stream);
    EXPECT(now.mSampleRate == 32000 && now.mBitsPerChannel == 16);
}

/* The ring: 4096 bytes hold 512 frames of 8 bytes. */

Test(audio_stream, a_ring_too_small_for_the_period_is_refused)
{
    const IOUserAudioStreamBasicDescription fits = float_format(48000, 2), too_large = float_format(48000, 3);
    EXPECT_STATUS(IOUserAudioStreamSetCurrentStreamFormat(stream, &too_large), kIOReturnNoSpace);
    EXPECT_STATUS(IOUserAudioStreamSetAvailableStreamFormats(stream, &too_large, 1), kIOReturnNoSpace);
    cr_expect(zero(u32, IOUserAudioStreamGetCurrentStreamFormat(stream).mFormatID));
    EXPECT_STATUS(IOUserAudioStreamSetCurrentStreamFormat(stream, &fits), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceSetZeroTimeStampPeriod(device, 513), kIOReturnNoSpace);
    cr_expect(eq(u32, IOUserAudioDeviceGetZeroTimestampPeriod(device), 512));
    EXPECT_STATUS(IOUserAudioDeviceSetZeroTimeStampPeriod(device, 511), kIOReturnSuccess);

    IOBufferMemoryDescriptor *ring = NULL;
    cr_assert(
        eq(int, IOBufferMemoryDescriptorCreate(kIOMemoryDirectionInOut, 511 * 8 - 1, 0, &ring), kIOReturnSuccess));
    EXPECT_STATUS(IOUserAudioStreamSetIOMemoryDescriptor(stream, ring), kIOReturnNoSpace);
    OSObjectRelease(ring);
    EXPECT_STATUS(IOUserAudioStreamSetIOMemoryDescriptor(stream, NULL), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceSetZeroTimeStampPeriod(device, 100000), kIOReturnSuccess);
}

Test(audio_stream, a_stream_whose_ring_is_too_small_is_not_added)
{
    IOUserAudioStream *const small = make_stream(driver, IOUserAudioStreamDirectionInput, 4095);
    const IOUserAudioStreamBasicDescription format = float_format(48000, 2);
    EXPECT_STATUS(IOUserAudioStreamSetCurrentStreamFormat(small, &format), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceAddStream(device, small), kIOReturnNoSpace);
    cr_expect(zero(u32, IOUserAudioObjectGetOwnerObjectID(small)));
    EXPECT_STATUS(IOUserAudioDeviceSetZeroTimeStampPeriod(device, 511), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceAddStream(device, small), kIOReturnSuccess);
    OSObjectRelease(small);
}

Test(audio_stream, the_ring_is_retained_and_handed_out)
{
    IOBufferMemoryDescriptor *ring = NULL;
    cr_assert(eq(int, IOBufferMemoryDescriptorCreate(kIOMemoryDirectionInOut, 8192, 0, &ring), kIOReturnSuccess));
    EXPECT_STATUS(IOUserAudioStreamSetIOMemoryDescriptor(stream, ring), kIOReturnSuccess);
    cr_expect(eq(u32, OSObjectGetRetainCount(ring), 2));
    IOMemoryDescriptor *const read = IOUserAudioStreamGetIOMemoryDescriptor(stream);
    EXPECT((OSObjectPtr)read == ring);
    cr_expect(eq(u32, OSObjectGetRetainCount(ring), 3));
    OSObjectRelease(read);
    EXPECT_STATUS(IOUserAudioStreamSetIOMemoryDescriptor(stream, NULL), kIOReturnSuccess);
    cr_expect(eq(u32, OSObjectGetRetainCount(ring), 1));
    OSObjectRelease(ring);
}

/* Overrides, and the order in which a device starts its streams. */

static char trace[64];
static IOUserAudioStream *refusing;

static void
note(char letter)
{
    const size_t length = strlen(trace);
    if (length + 1 < sizeof trace)
        trace[length] = letter;
}

static bool
init_noted(IOUserAudioStream *s, IOUserAudioDriver *its_driver, IOUserAudioStreamDirection direction,
           OSObjectPtr ring)
{
    note('i');
    return IOUserAudioStreamInit_super(s, its_driver, direction, ring);
}

static void
free_noted(IOUserAudioStream *s)
{
    note('f');
    IOUserAudioStreamFree_super(s);
}

static char
letter_of(IOUserAudioStream *s, char first)
{
    return (char)(first + (char)(IOUserAudioObjectGetObjectID(s) - 4)); // the first one made in a test has id 4
}

static kern_return_t
start_noted(IOUserAudioStream *s, IOUserAudioStartStopFlags flags)
{
    note(letter_of(s, 'A'));
    return s == refusing ? kIOReturnDeviceError : IOUserAudioStreamStartIO_super(s, flags);
}

static kern_return_t
stop_noted(IOUserAudioStream *s, IOUserAudioStartStopFlags flags)
{
    note(letter_of(s, 'a'));
    return s == refusing ? kIOReturnDeviceError : IOUserAudioStreamStopIO_super(s, flags);
}

static kern_return_t
format_noted(IOUserAudioStream *s, const IOUserAudioStreamBasicDescription *format)
{
    note('x');
    return IOUserAudioStreamHandleChangeCurrentStreamFormat_super(s, format);
}

static kern_return_t
active_noted(IOUserAudioStream *s, bool is_active)
{
    note('y');
    return IOUserAudioStreamHandleChangeStreamIsActive_super(s, is_active);
}

static const IOUserAudioStreamOverrides noted = {
    .size = sizeof(IOUserAudioStreamOverrides),
    .init = init_noted,
    .free = free_noted,
    .StartIO = start_noted,
    .StopIO = stop_noted,
    .HandleChangeCurrentStreamFormat = format_noted,
    .HandleChangeStreamIsActive = active_noted,
};

static IOUserAudioStream *
make_noted(IOUserAudioStreamDirection direction)
{
    IOUserAudioStream *const s = IOUserAudioStreamAlloc();
    EXPECT_STATUS(IOUserAudioStreamSetOverrides(s, &noted), kIOReturnSuccess);
    EXPECT(IOUserAudioStreamInit(s, driver, direction, NULL));
    EXPECT_STATUS(IOUserAudioStreamSetOverrides(s, &noted), kIOReturnBusy);
    return s;
}

Test(audio_stream, overrides_are_called_and_reach_their_base)
{
    IOUserAudioStream *const s = make_noted(IOUserAudioStreamDirectionOutput);
    const IOUserAudioStreamBasicDescription format = integer_format(48000, 2, 16);
    EXPECT_STATUS(IOUserAudioStreamStartIO(s, 0), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioStreamStopIO(s, 0), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioStreamHandleChangeCurrentStreamFormat(s, &format), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioStreamDeviceSampleRateChanged(s, 96000), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioStreamHandleChangeStreamIsActive(s, false), kIOReturnSuccess);
    EXPECT(!IOUserAudioStreamGetStreamIsActive(s));
    cr_expect(eq(dbl, IOUserAudioStreamGetCurrentStreamFormat(s).mSampleRate, 96000.0));
    OSObjectRelease(s);
    cr_expect_str_eq(trace, "iAaxxyf");
}

/* Three streams: A output, B output, C input. */
static void
add_noted_streams(IOUserAudioStream *(*ret_streams)[3])
{
    EXPECT_STATUS(IOUserAudioDeviceRemoveStream(device, stream), kIOReturnSuccess);
    for (unsigned i = 0; i < 3; i++) {
        (*ret_streams)[i] = make_noted(i < 2 ? IOUserAudioStreamDirectionOutput : IOUserAudioStreamDirectionInput);
        EXPECT_STATUS(IOUserAudioDeviceAddStream(device, (*ret_streams)[i]), kIOReturnSuccess);
        OSObjectRelease((*ret_streams)[i]);
    }
    memset(trace, 0, sizeof trace);
}

Test(audio_stream, a_device_starts_its_streams_and_stops_them_in_reverse)
{
    IOUserAudioStream *streams[3];
    add_noted_streams(&streams);
    EXPECT_STATUS(IOUserAudioDeviceStartIO(device, 0), kIOReturnSuccess);
    cr_expect_str_eq(trace, "ABC");
    EXPECT_STATUS(IOUserAudioDeviceStopIO(device, 0), kIOReturnSuccess);
    cr_expect_str_eq(trace, "ABCcba");
}

Test(audio_stream, a_stream_that_does_not_start_fails_the_start_and_stops_the_others)
{
    IOUserAudioStream *streams[3];
    add_noted_streams(&streams);
    refusing = streams[2];
    EXPECT_STATUS(IOUserAudioDeviceStartIO(device, 0), kIOReturnDeviceError);
    cr_expect_str_eq(trace, "ABCba");
    EXPECT(!IOUserAudioDeviceGetDeviceIsRunning(device));
}

Test(audio_stream, a_second_start_that_fails_leaves_the_device_running)
{
    IOUserAudioStream *streams[3];
    add_noted_streams(&streams);
    EXPECT_STATUS(IOUserAudioDeviceStartIO(device, 0), kIOReturnSuccess);
    refusing = streams[1];
    EXPECT_STATUS(IOUserAudioDeviceStartIO(device, 0), kIOReturnDeviceError);
    cr_expect_str_eq(trace, "ABCAB");
    EXPECT(IOUserAudioDeviceGetDeviceIsRunning(device));
}

Test(audio_stream, a_stream_that_does_not_stop_is_told_but_stops_nothing_else)
{
    IOUserAudioStream *streams[3];
    add_noted_streams(&streams);
    EXPECT_STATUS(IOUserAudioDeviceStartIO(device, 0), kIOReturnSuccess);
    refusing = streams[1];
    EXPECT_STATUS(IOUserAudioDeviceStopIO(device, 0), kIOReturnDeviceError);
    cr_expect_str_eq(trace, "ABCcba");
    EXPECT(!IOUserAudioDeviceGetDeviceIsRunning(device));
}
