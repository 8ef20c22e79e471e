// SPDX-License-Identifier: MIT
// Clock devices and devices: values, transport state, structure, configuration changes, time, the handler.

#include "expect.h"

#include "audio/device.h"
#include "core/realtime.h"

#include <math.h>
#include <string.h>

static IOUserAudioDriver *driver;
static IOUserAudioDevice *device; // id 2, added to the driver
static OSString *text;

static void
set_up(void)
{
    driver = fake_host_start_driver(NULL);
    ASSERT(driver);
    device = make_device(driver, "uid", 512);
    ASSERT(device);
    text = OSStringCreate("text");
    ASSERT(text);
    cr_assert(eq(int, IOUserAudioDriverAddObject(driver, device), kIOReturnSuccess));
}

static void
tear_down(void)
{
    OSObjectRelease(text);
    OSObjectRelease(device);
    fake_host_stop_driver(driver);
}

TestSuite(audio_device, .init = set_up, .fini = tear_down);

Test(audio_device, create_checks_its_arguments)
{
    static const char too_long[257] = {[0 ... 255] = 'x'};
    const char *const bad_uids[] = {"", too_long, "\xFF", "a\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xC3"};
    for (size_t i = 0; i < sizeof bad_uids / sizeof bad_uids[0]; i++)
        EXPECT(!make_device(driver, bad_uids[i], 512));
    EXPECT(!IOUserAudioDeviceCreate(driver, false, NULL, NULL, NULL, 512));
    EXPECT(!IOUserAudioDeviceCreate(NULL, false, text, NULL, NULL, 512));
    EXPECT(!IOUserAudioDeviceCreate(driver, false, text, NULL, NULL, 0));
    EXPECT(!IOUserAudioDeviceCreate(driver, false, text, NULL, NULL, (1u << 24) + 1));
    EXPECT(!IOUserAudioDeviceCreate(driver, false, (OSString *)(void *)driver, NULL, NULL, 512));
    OSString *const empty = OSStringCreate("");
    EXPECT(!IOUserAudioDeviceCreate(driver, false, text, empty, NULL, 512));
    EXPECT(!IOUserAudioClockDeviceCreate(driver, false, text, NULL, empty, 512));
    EXPECT(!IOUserAudioDeviceInit(device, driver, false, text, NULL, NULL, 512));
    OSObjectRelease(empty);

    IOUserAudioDevice *const longest = make_device(driver, too_long + 1, 1u << 24);
    IOUserAudioDevice *const umlaut = make_device(driver, "\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x8E\xA7", 1);
    EXPECT(longest && umlaut);
    OSObjectRelease(umlaut);
    OSObjectRelease(longest);
}

Test(audio_device, uids_are_kept)
{
    OSString *const model = OSStringCreate("model");
    OSString *const maker = OSStringCreate("maker");
    IOUserAudioDevice *const other = IOUserAudioDeviceCreate(driver, false, text, model, maker, 7);
    OSString *const uid = IOUserAudioDeviceGetUID(other);
    OSString *const model_uid = dx_clock_device_copy_model_uid(other);
    OSString *const maker_uid = dx_clock_device_copy_manufacturer_uid(other);
    EXPECT(OSStringIsEqualToCString(uid, "text"));
    EXPECT(OSStringIsEqualToCString(model_uid, "model"));
    EXPECT(OSStringIsEqualToCString(maker_uid, "maker"));
    EXPECT(!dx_clock_device_copy_model_uid(device));
    EXPECT(!dx_clock_device_copy_manufacturer_uid(device));
    EXPECT(!IOUserAudioClockDeviceGetUID(text));
    OSObjectRelease(maker_uid);
    OSObjectRelease(model_uid);
    OSObjectRelease(uid);
    OSObjectRelease(other);
    OSObjectRelease(maker);
    OSObjectRelease(model);
}

Test(audio_device, values_begin_as_documented)
{
    EXPECT(IOUserAudioDeviceGetSupportsPrewarming(device));
    cr_expect(eq(u32, IOUserAudioDeviceGetZeroTimestampPeriod(device), 512));
    cr_expect(eq(dbl, IOUserAudioDeviceGetSampleRate(device), 0.0));
    cr_expect(zero(sz, IOUserAudioDeviceGetNumberAvailableSampleRates(device)));
    cr_expect(zero(u32, IOUserAudioDeviceGetInputLatency(device)));
    cr_expect(zero(u32, IOUserAudioDeviceGetOutputLatency(device)));
    cr_expect(zero(u32, IOUserAudioDeviceGetTransportType(device)));
    cr_expect(zero(u32, IOUserAudioDeviceGetClockDomain(device)));
    cr_expect(eq(u32, IOUserAudioDeviceGetClockAlgorithm(device), IOUserAudioClockAlgorithmSimpleIIR));
    EXPECT(IOUserAudioDeviceGetClockIsStable(device));
    EXPECT(IOUserAudioDeviceGetDeviceIsAlive(device));
    EXPECT(!IOUserAudioDeviceGetIsHidden(device));
    EXPECT(!IOUserAudioDeviceGetDeviceIsRunning(device));
    cr_expect(eq(u64, IOUserAudioDeviceGetDeviceTransportState(device), IOUserAudioDeviceTransportStateStopped));
    cr_expect(zero(u32, IOUserAudioDeviceGetInputSafetyOffset(device)));
    cr_expect(zero(u32, IOUserAudioDeviceGetOutputSafetyOffset(device)));
    cr_expect(zero(u32, dx_device_object_get_late_tolerance(device)));
    EXPECT(dx_clock_device_wants_controls_restored(device));
    EXPECT(dx_device_wants_stream_formats_restored(device));
    uint32_t left = 0, right = 0;
    IOUserAudioDeviceGetPreferredChannelsForStereo(device, &left, &right);
    EXPECT(left == 1 && right == 2);
}

Test(audio_device, setters_store_and_tell_what_is_new)
{
    EXPECT_STATUS(IOUserAudioDeviceSetOutputLatency(device, 10), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'ltnc'");
    EXPECT_STATUS(IOUserAudioDeviceSetInputLatency(device, 11), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'ltnc'");
    EXPECT_STATUS(IOUserAudioDeviceSetTransportType(device, IOUserAudioTransportTypeUSB), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'tran'");
    EXPECT_STATUS(IOUserAudioDeviceSetClockDomain(device, 12), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'clkd'");
    EXPECT_STATUS(IOUserAudioDeviceSetClockAlgorithm(device, IOUserAudioClockAlgorithmRaw), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'clok'");
    EXPECT_STATUS(IOUserAudioDeviceSetClockIsStable(device, false), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'cstb'");
    EXPECT_STATUS(IOUserAudioDeviceSetDeviceIsAlive(device, false), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'livn'");
    EXPECT_STATUS(IOUserAudioDeviceSetIsHidden(device, true), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'hidn'");
    EXPECT_STATUS(IOUserAudioDeviceSetZeroTimeStampPeriod(device, 1024), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'ring'");
    EXPECT_STATUS(IOUserAudioDeviceSetSampleRate(device, 44100), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'nsrt'");
    EXPECT_STATUS(IOUserAudioDeviceSetInputSafetyOffset(device, 13), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'saft'");
    EXPECT_STATUS(IOUserAudioDeviceSetOutputSafetyOffset(device, 14), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'saft'");
    EXPECT_STATUS(IOUserAudioDeviceSetPreferredChannelsForStereo(device, 3, 4), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'dch2'");
    EXPECT_STATUS(dx_device_object_set_late_tolerance(device, 15), kIOReturnSuccess);

    /* The same again: nothing is new. */
    EXPECT_STATUS(IOUserAudioDeviceSetOutputLatency(device, 10), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceSetZeroTimeStampPeriod(device, 1024), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceSetSampleRate(device, 44100), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceSetIsHidden(device, true), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceSetPreferredChannelsForStereo(device, 3, 4), kIOReturnSuccess);
    EXPECT_TOLD("");

    cr_expect(eq(u32, IOUserAudioDeviceGetOutputLatency(device), 10));
    cr_expect(eq(u32, IOUserAudioDeviceGetInputLatency(device), 11));
    cr_expect(eq(u32, IOUserAudioDeviceGetTransportType(device), IOUserAudioTransportTypeUSB));
    cr_expect(eq(u32, IOUserAudioDeviceGetClockDomain(device), 12));
    cr_expect(eq(u32, IOUserAudioDeviceGetClockAlgorithm(device), IOUserAudioClockAlgorithmRaw));
    EXPECT(!IOUserAudioDeviceGetClockIsStable(device));
    EXPECT(!IOUserAudioDeviceGetDeviceIsAlive(device));
    EXPECT(IOUserAudioDeviceGetIsHidden(device));
    cr_expect(eq(u32, IOUserAudioDeviceGetZeroTimestampPeriod(device), 1024));
    cr_expect(eq(dbl, IOUserAudioDeviceGetSampleRate(device), 44100.0));
    cr_expect(eq(u32, IOUserAudioDeviceGetInputSafetyOffset(device), 13));
    cr_expect(eq(u32, IOUserAudioDeviceGetOutputSafetyOffset(device), 14));
    cr_expect(eq(u32, dx_device_object_get_late_tolerance(device), 15));
    uint32_t left = 0, right = 0;
    IOUserAudioDeviceGetPreferredChannelsForStereo(device, &left, NULL);
    IOUserAudioDeviceGetPreferredChannelsForStereo(device, NULL, &right);
    EXPECT(left == 3 && right == 4);
}

Test(audio_device, setters_refuse_what_cannot_be)
{
    const double bad_rates[] = {0, -1, NAN, INFINITY, -INFINITY, 10000001};
    for (size_t i = 0; i < sizeof bad_rates / sizeof bad_rates[0]; i++) {
        EXPECT_STATUS(IOUserAudioDeviceSetSampleRate(device, bad_rates[i]), kIOReturnBadArgument);
        EXPECT_STATUS(IOUserAudioDeviceSetAvailableSampleRates(device, &bad_rates[i], 1), kIOReturnBadArgument);
    }
    const double many[257] = {[0 ... 256] = 48000};
    EXPECT_STATUS(IOUserAudioDeviceSetAvailableSampleRates(device, many, 257), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetAvailableSampleRates(device, NULL, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetZeroTimeStampPeriod(device, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetZeroTimeStampPeriod(device, (1u << 24) + 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetTransportType(device, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetClockAlgorithm(device, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetPreferredChannelsForStereo(device, 0, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetPreferredChannelsForStereo(device, 1, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceStartIO(device, 2), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceStopIO(device, 2), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceAddControl(device, text), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceRemoveControl(device, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceAddStream(device, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceRemoveStream(device, (IOUserAudioStream *)(void *)device),
                  kIOReturnBadArgument);
    EXPECT_TOLD("");
}

Test(audio_device, no_device_is_refused_by_every_call)
{
    const OSObjectPtr wrong = text;
    IOUserAudioDevice *const d = (IOUserAudioDevice *)wrong;
    EXPECT_STATUS(IOUserAudioDeviceStartIO(d, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceStartIO_super(d, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceStopIO(d, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceStopIO_super(d, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDevicePerformDeviceConfigurationChange(d, 7, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDevicePerformDeviceConfigurationChange_super(d, 7, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceAbortDeviceConfigurationChange(d, 7, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceAbortDeviceConfigurationChange_super(d, 7, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceHandleChangeSampleRate(d, 48000), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceHandleChangeSampleRate_super(d, 48000), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceRequestDeviceConfigurationChange(d, 7, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetZeroTimeStampPeriod(d, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetSampleRate(d, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetAvailableSampleRates(d, NULL, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetOutputLatency(d, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetInputLatency(d, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetTransportType(d, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetClockDomain(d, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetClockAlgorithm(d, IOUserAudioClockAlgorithmRaw), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetClockIsStable(d, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetDeviceIsAlive(d, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetIsHidden(d, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetCanBeDefaultInputDevice(d, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetCanBeDefaultOutputDevice(d, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetCanBeDefaultSystemOutputDevice(d, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetInputSafetyOffset(d, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetOutputSafetyOffset(d, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetPreferredChannelsForStereo(d, 1, 2), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetPreferredInputChannelLayout(d, NULL, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetPreferredOutputChannelLayout(d, NULL, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetIOOperationHandler(d, NULL, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(dx_device_object_set_late_tolerance(d, 1), kIOReturnBadArgument);
    IOUserAudioDeviceSetWantsControlsRestored(d, true);
    IOUserAudioDeviceSetWantsStreamFormatsRestored(d, true);
    IOUserAudioDeviceUpdateCurrentZeroTimestamp(d, 1, 1);
    uint64_t a = 1, b = 1;
    IOUserAudioDeviceGetCurrentZeroTimestamp(d, &a, &b);
    EXPECT(a == 0 && b == 0);
    a = b = 1;
    IOUserAudioDeviceGetCurrentClientSampleTime(d, &a, &b);
    EXPECT(a == 0 && b == 0);
    a = b = 1;
    IOUserAudioDeviceGetCurrentClientIOTime(d, true, &a, &b);
    EXPECT(a == 0 && b == 0);
    uint32_t left = 1, right = 1;
    IOUserAudioDeviceGetPreferredChannelsForStereo(d, &left, &right);
    EXPECT(left == 0 && right == 0);
    cr_expect(zero(u32, IOUserAudioDeviceCanBeDefaultInputDevice(d)));
    cr_expect(zero(sz, IOUserAudioDeviceGetAvailableSampleRates(d, NULL, 1)));
    EXPECT(!dx_device_get_io(d));
    EXPECT(!dx_clock_device_get_io(d));
    EXPECT(!IOUserAudioDeviceGetDeviceIsRunning(d));
}

Test(audio_device, the_first_available_rate_becomes_the_rate_when_none_was_set)
{
    const double rates[] = {48000, 44100, 96000};
    EXPECT_STATUS(IOUserAudioDeviceSetAvailableSampleRates(device, rates, 3), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'nsr#' 'nsrt'");
    cr_expect(eq(dbl, IOUserAudioDeviceGetSampleRate(device), 48000.0));
    cr_expect(eq(sz, IOUserAudioDeviceGetNumberAvailableSampleRates(device), 3));
    double copy[4] = {0};
    cr_expect(eq(sz, IOUserAudioDeviceGetAvailableSampleRates(device, copy, 2), 2));
    EXPECT(copy[0] == 48000 && copy[1] == 44100 && copy[2] == 0);
    cr_expect(eq(sz, IOUserAudioDeviceGetAvailableSampleRates(device, copy, 4), 3));
    EXPECT(copy[2] == 96000 && copy[3] == 0);
    EXPECT_STATUS(IOUserAudioDeviceSetAvailableSampleRates(device, rates, 3), kIOReturnSuccess);
    EXPECT_TOLD("");
    EXPECT_STATUS(IOUserAudioDeviceSetAvailableSampleRates(device, rates + 1, 1), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'nsr#'");
    cr_expect(eq(dbl, IOUserAudioDeviceGetSampleRate(device), 48000.0));
    EXPECT_STATUS(IOUserAudioDeviceSetAvailableSampleRates(device, NULL, 0), kIOReturnSuccess);
    cr_expect(zero(sz, IOUserAudioDeviceGetNumberAvailableSampleRates(device)));
}

/* Ref 5.2: the table of transport states. */
struct transition {
    IOUserAudioDeviceTransportState from;
    bool start;
    IOUserAudioStartStopFlags flags;
    IOUserAudioDeviceTransportState to;
};

static void
bring_to(IOUserAudioDeviceTransportState state)
{
    (void)IOUserAudioDeviceStopIO(device, IOUserAudioStartStopFlagsNone); // wherever it was
    if (state != IOUserAudioDeviceTransportStateStopped)
        (void)IOUserAudioDeviceStartIO(device, state == IOUserAudioDeviceTransportStatePrewarmed
                                                   ? IOUserAudioStartStopFlagsPrewarm
                                                   : IOUserAudioStartStopFlagsNone);
}

Test(audio_device, the_transport_state_moves_as_the_table_says)
{
    enum {
        STOPPED = IOUserAudioDeviceTransportStateStopped,
        PREWARMED = IOUserAudioDeviceTransportStatePrewarmed,
        RUNNING = IOUserAudioDeviceTransportStateRunning,
    };
    const struct transition transitions[] = {
        {STOPPED, true, 0, RUNNING},     {STOPPED, true, 1, PREWARMED}, {PREWARMED, true, 0, RUNNING},
        {PREWARMED, true, 1, PREWARMED}, {RUNNING, true, 0, RUNNING},   {RUNNING, true, 1, RUNNING},
        {STOPPED, false, 0, STOPPED},    {STOPPED, false, 1, STOPPED},  {PREWARMED, false, 0, STOPPED},
        {PREWARMED, false, 1, STOPPED},  {RUNNING, false, 0, STOPPED},  {RUNNING, false, 1, RUNNING},
    };
    for (size_t i = 0; i < sizeof transitions / sizeof transitions[0]; i++) {
        const struct transition *const t = &transitions[i];
        bring_to(t->from);
        cr_assert(eq(u64, IOUserAudioDeviceGetDeviceTransportState(device), t->from));
        EXPECT_STATUS(t->start ? IOUserAudioDeviceStartIO(device, t->flags)
                               : IOUserAudioDeviceStopIO(device, t->flags),
                      kIOReturnSuccess);
        cr_expect(eq(u64, IOUserAudioDeviceGetDeviceTransportState(device), t->to), "transition %zu", i);
    }
}

Test(audio_device, prewarming_is_refused_where_it_is_not_supported)
{
    IOUserAudioDevice *const cold = IOUserAudioDeviceCreate(driver, false, text, NULL, NULL, 512);
    EXPECT_STATUS(IOUserAudioDeviceStartIO(cold, IOUserAudioStartStopFlagsPrewarm), kIOReturnUnsupported);
    cr_expect(zero(u64, IOUserAudioDeviceGetDeviceTransportState(cold)));
    OSObjectRelease(cold);
}

Test(audio_device, running_is_told_when_it_begins_and_ends)
{
    EXPECT_STATUS(IOUserAudioDeviceStartIO(device, IOUserAudioStartStopFlagsPrewarm), kIOReturnSuccess);
    EXPECT_TOLD("");
    EXPECT_STATUS(IOUserAudioDeviceStartIO(device, 0), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'goin'");
    EXPECT_STATUS(IOUserAudioDeviceStartIO(device, 0), kIOReturnSuccess);
    EXPECT_TOLD("");
    EXPECT_STATUS(IOUserAudioDeviceStopIO(device, 0), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'goin'");
}

/* Structure. */

static IOUserAudioBooleanControl *
make_mute(void)
{
    return IOUserAudioBooleanControlCreate(driver, true, false, IOUserAudioObjectPropertyElementMain,
                                           IOUserAudioObjectPropertyScopeOutput, IOUserAudioClassIDMuteControl);
}

Test(audio_device, a_control_is_owned_from_add_to_remove)
{
    IOUserAudioBooleanControl *const mute = make_mute();
    EXPECT_STATUS(IOUserAudioDeviceAddControl(device, mute), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'ctrl'");
    cr_expect(eq(u32, OSObjectGetRetainCount(mute), 2));
    cr_expect(eq(u32, IOUserAudioObjectGetOwnerObjectID(mute), 2));
    EXPECT_STATUS(IOUserAudioDeviceAddControl(device, mute), kIOReturnExclusiveAccess);
    IOUserAudioControl *controls[2] = {NULL, NULL};
    cr_expect(eq(u32, dx_clock_device_copy_controls(device, controls, 2), 1));
    EXPECT((OSObjectPtr)controls[0] == mute);
    OSObjectRelease(controls[0]);
    EXPECT_STATUS(IOUserAudioDeviceRemoveControl(device, mute), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'ctrl'");
    EXPECT_STATUS(IOUserAudioDeviceRemoveControl(device, mute), kIOReturnNotFound);
    cr_expect(eq(u32, OSObjectGetRetainCount(mute), 1));
    OSObjectRelease(mute);
}

Test(audio_device, a_stream_is_owned_from_add_to_remove)
{
    IOUserAudioStream *const stream = make_stream(driver, IOUserAudioStreamDirectionInput, 0);
    IOUserAudioDevice *const other = make_device(driver, "other", 512);
    EXPECT_STATUS(IOUserAudioDeviceAddStream(device, stream), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'stm#'");
    cr_expect(eq(u32, OSObjectGetRetainCount(stream), 2));
    cr_expect(eq(u32, IOUserAudioObjectGetOwnerObjectID(stream), 2));
    EXPECT_STATUS(IOUserAudioDeviceAddStream(other, stream), kIOReturnExclusiveAccess);
    EXPECT_STATUS(IOUserAudioDeviceRemoveStream(other, stream), kIOReturnNotFound);
    IOUserAudioStream *streams[2] = {NULL, NULL};
    cr_expect(zero(u32, dx_device_copy_streams(device, IOUserAudioStreamDirectionOutput, streams, 2)));
    cr_expect(eq(u32, dx_device_copy_streams(device, IOUserAudioStreamDirectionInput, streams, 2), 1));
    EXPECT(streams[0] == stream);
    OSObjectRelease(streams[0]);
    EXPECT_STATUS(IOUserAudioDeviceRemoveStream(device, stream), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'stm#'");
    cr_expect(eq(u32, OSObjectGetRetainCount(stream), 1));
    cr_expect(zero(u32, IOUserAudioObjectGetOwnerObjectID(stream)));
    OSObjectRelease(other);
    OSObjectRelease(stream);
}

Test(audio_device, each_direction_has_room_for_32_streams)
{
    for (unsigned i = 0; i < 33; i++) {
        for (IOUserAudioStreamDirection direction = 0; direction < 2; direction++) {
            IOUserAudioStream *const stream = make_stream(driver, direction, 0);
            EXPECT_STATUS(IOUserAudioDeviceAddStream(device, stream),
                          i < 32 ? kIOReturnSuccess : kIOReturnNoResources);
            cr_expect(eq(u32, IOUserAudioObjectGetOwnerObjectID(stream), i < 32 ? 2 : 0));
            OSObjectRelease(stream);
        }
    }
}

Test(audio_device, structure_stays_while_io_runs_unless_a_change_is_performed)
{
    IOUserAudioBooleanControl *const mute = make_mute();
    IOUserAudioStream *const stream = make_stream(driver, IOUserAudioStreamDirectionOutput, 0);
    IOUserAudioStream *const added = make_stream(driver, IOUserAudioStreamDirectionOutput, 0);
    EXPECT_STATUS(IOUserAudioDeviceAddStream(device, added), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceStartIO(device, 0), kIOReturnSuccess);
    for (unsigned performing = 0; performing < 2; performing++) {
        const kern_return_t answer = performing ? kIOReturnSuccess : kIOReturnNotPermitted;
        fake_host_set_performing(performing);
        EXPECT_STATUS(IOUserAudioDeviceAddControl(device, mute), answer);
        EXPECT_STATUS(IOUserAudioDeviceRemoveControl(device, mute), answer);
        EXPECT_STATUS(IOUserAudioDeviceAddStream(device, stream), answer);
        EXPECT_STATUS(IOUserAudioDeviceRemoveStream(device, stream), answer);
        EXPECT_STATUS(IOUserAudioDeviceSetZeroTimeStampPeriod(device, 100), answer);
        EXPECT_STATUS(IOUserAudioStreamSetIOMemoryDescriptor(added, NULL), answer);
    }
    fake_host_set_performing(false);
    EXPECT_STATUS(IOUserAudioDeviceSetSampleRate(device, 32000), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceSetOutputLatency(device, 1), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceStopIO(device, 0), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceAddControl(device, mute), kIOReturnSuccess);

    IOUserAudioDevice *const unpublished = make_device(driver, "unpublished", 512);
    EXPECT_STATUS(IOUserAudioDeviceStartIO(unpublished, 0), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceAddStream(unpublished, stream), kIOReturnSuccess);
    OSObjectRelease(unpublished);
    OSObjectRelease(added);
    OSObjectRelease(stream);
    OSObjectRelease(mute);
}

Test(audio_device, eligibility_as_default_follows_mixable_streams_until_it_is_said)
{
    IOUserAudioStream *const output = make_stream(driver, IOUserAudioStreamDirectionOutput, 0);
    IOUserAudioStreamBasicDescription format = integer_format(48000, 2, 16);
    EXPECT_STATUS(IOUserAudioDeviceAddStream(device, output), kIOReturnSuccess);
    cr_expect(zero(u32, IOUserAudioDeviceCanBeDefaultOutputDevice(device)));
    format.mFormatFlags |= FormatFlagIsNonMixable;
    EXPECT_STATUS(IOUserAudioStreamSetCurrentStreamFormat(output, &format), kIOReturnSuccess);
    cr_expect(zero(u32, IOUserAudioDeviceCanBeDefaultOutputDevice(device)));
    format.mFormatFlags &= ~(IOUserAudioFormatFlags)FormatFlagIsNonMixable;
    EXPECT_STATUS(IOUserAudioStreamSetAvailableStreamFormats(output, &format, 1), kIOReturnSuccess);
    cr_expect(eq(u32, IOUserAudioDeviceCanBeDefaultOutputDevice(device), 1));
    cr_expect(eq(u32, IOUserAudioDeviceCanBeDefaultSystemOutputDevice(device), 1));
    cr_expect(zero(u32, IOUserAudioDeviceCanBeDefaultInputDevice(device)));

    EXPECT_STATUS(IOUserAudioDeviceSetCanBeDefaultOutputDevice(device, false), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceSetCanBeDefaultInputDevice(device, true), kIOReturnSuccess);
    cr_expect(zero(u32, IOUserAudioDeviceCanBeDefaultOutputDevice(device)));
    cr_expect(eq(u32, IOUserAudioDeviceCanBeDefaultSystemOutputDevice(device), 1));
    cr_expect(eq(u32, IOUserAudioDeviceCanBeDefaultInputDevice(device), 1));
    (void)fake_host_take();
    EXPECT_STATUS(IOUserAudioDeviceSetCanBeDefaultSystemOutputDevice(device, false), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'sflt'");
    EXPECT_STATUS(IOUserAudioDeviceSetCanBeDefaultOutputDevice(device, true), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'dflt'");
    cr_expect(zero(u32, IOUserAudioDeviceCanBeDefaultSystemOutputDevice(device)));
    EXPECT_STATUS(IOUserAudioDeviceRemoveStream(device, output), kIOReturnSuccess);
    cr_expect(eq(u32, IOUserAudioDeviceCanBeDefaultOutputDevice(device), 1));
    OSObjectRelease(output);
}

Test(audio_device, channel_layouts_are_kept_by_direction)
{
    const IOUserAudioChannelLabel labels[] = {1, 2, 3};
    EXPECT_STATUS(IOUserAudioDeviceSetPreferredOutputChannelLayout(device, labels, 3), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'srnd'");
    EXPECT_STATUS(IOUserAudioDeviceSetPreferredOutputChannelLayout(device, labels, 3), kIOReturnSuccess);
    EXPECT_TOLD("");
    EXPECT_STATUS(IOUserAudioDeviceSetPreferredInputChannelLayout(device, labels + 2, 1), kIOReturnSuccess);
    IOUserAudioChannelLabel copy[3] = {0};
    cr_expect(eq(u32, dx_device_copy_channel_layout(device, IOUserAudioStreamDirectionOutput, copy, 2), 3));
    EXPECT(copy[0] == 1 && copy[1] == 2 && copy[2] == 0);
    cr_expect(eq(u32, dx_device_copy_channel_layout(device, IOUserAudioStreamDirectionInput, copy, 3), 1));
    EXPECT(copy[0] == 3);
    EXPECT_STATUS(IOUserAudioDeviceSetPreferredInputChannelLayout(device, NULL, 0), kIOReturnSuccess);
    cr_expect(zero(u32, dx_device_copy_channel_layout(device, IOUserAudioStreamDirectionInput, copy, 3)));
    cr_expect(zero(u32, dx_device_copy_channel_layout(device, 2, copy, 3)));
    EXPECT_STATUS(IOUserAudioDeviceSetPreferredInputChannelLayout(device, NULL, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDeviceSetPreferredInputChannelLayout(device, labels, 1025), kIOReturnBadArgument);
}

Test(audio_device, restoration_is_declined_only_before_publishing)
{
    IOUserAudioDeviceSetWantsControlsRestored(device, false);
    IOUserAudioDeviceSetWantsStreamFormatsRestored(device, false);
    EXPECT(dx_clock_device_wants_controls_restored(device));
    EXPECT(dx_device_wants_stream_formats_restored(device));
    IOUserAudioDevice *const other = make_device(driver, "other", 512);
    IOUserAudioDeviceSetWantsControlsRestored(other, false);
    IOUserAudioDeviceSetWantsStreamFormatsRestored(other, false);
    EXPECT(!dx_clock_device_wants_controls_restored(other));
    EXPECT(!dx_device_wants_stream_formats_restored(other));
    IOUserAudioDeviceSetWantsControlsRestored(other, true);
    IOUserAudioDeviceSetWantsStreamFormatsRestored(other, true);
    EXPECT(dx_clock_device_wants_controls_restored(other));
    EXPECT(dx_device_wants_stream_formats_restored(other));
    OSObjectRelease(other);
}

/* Configuration changes. */

Test(audio_device, a_change_is_requested_of_the_host)
{
    EXPECT_STATUS(IOUserAudioDeviceRequestDeviceConfigurationChange(device, 100, text), kIOReturnSuccess);
    EXPECT_TOLD("requested 2 100 with info");
    EXPECT_STATUS(IOUserAudioDeviceRequestDeviceConfigurationChange(device, 101, NULL), kIOReturnSuccess);
    EXPECT_TOLD("requested 2 101");
    fake_host_set_request_status(kIOReturnNoMemory);
    EXPECT_STATUS(IOUserAudioDeviceRequestDeviceConfigurationChange(device, 100, NULL), kIOReturnNoMemory);
    IOUserAudioDevice *const other = make_device(driver, "other", 512);
    EXPECT_STATUS(IOUserAudioDeviceRequestDeviceConfigurationChange(other, 100, NULL), kIOReturnNotReady);
    OSObjectRelease(other);
}

Test(audio_device, performing_a_rate_reaches_device_and_streams)
{
    IOUserAudioStream *const stream = make_stream(driver, IOUserAudioStreamDirectionInput, 0);
    const IOUserAudioStreamBasicDescription formats[] = {float_format(48000, 2), float_format(96000, 2)};
    EXPECT_STATUS(IOUserAudioStreamSetAvailableStreamFormats(stream, formats, 2), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceAddStream(device, stream), kIOReturnSuccess);
    OSObjectPtr info = dx_configuration_info_for_sample_rate(96000);
    EXPECT_STATUS(IOUserAudioDevicePerformDeviceConfigurationChange(
                      device, IOUserAudioReservedConfigChangeActionSampleRate, info),
                  kIOReturnSuccess);
    cr_expect(eq(dbl, IOUserAudioDeviceGetSampleRate(device), 96000.0));
    cr_expect(eq(dbl, IOUserAudioStreamGetCurrentStreamFormat(stream).mSampleRate, 96000.0));
    OSObjectRelease(info);
    info = dx_configuration_info_for_sample_rate(44100);
    EXPECT_STATUS(IOUserAudioDevicePerformDeviceConfigurationChange(
                      device, IOUserAudioReservedConfigChangeActionSampleRate, info),
                  kIOReturnNotFound);
    OSObjectRelease(info);
    OSObjectRelease(stream);
}

Test(audio_device, performing_a_ring_length_sets_the_period)
{
    const OSObjectPtr info = dx_configuration_info_for_ring_frames(4096);
    EXPECT_STATUS(IOUserAudioDevicePerformDeviceConfigurationChange(
                      device, IOUserAudioReservedConfigChangeActionRingBufferFrameSize, info),
                  kIOReturnSuccess);
    cr_expect(eq(u32, IOUserAudioDeviceGetZeroTimestampPeriod(device), 4096));
    OSObjectRelease(info);
}

Test(audio_device, performing_a_format_reaches_the_stream_that_is_named)
{
    IOUserAudioStream *streams[2];
    for (unsigned i = 0; i < 2; i++) {
        streams[i] = make_stream(driver, IOUserAudioStreamDirectionOutput, 0);
        EXPECT_STATUS(IOUserAudioDeviceAddStream(device, streams[i]), kIOReturnSuccess);
    }
    const IOUserAudioStreamBasicDescription format = integer_format(48000, 2, 24);
    const uint64_t action = IOUserAudioReservedConfigChangeActionStreamFormat;
    OSObjectPtr info = dx_configuration_info_for_stream_format(IOUserAudioStreamDirectionOutput, 1, &format);
    EXPECT_STATUS(IOUserAudioDevicePerformDeviceConfigurationChange(device, action, info), kIOReturnSuccess);
    cr_expect(zero(u32, IOUserAudioStreamGetCurrentStreamFormat(streams[0]).mBitsPerChannel));
    cr_expect(eq(u32, IOUserAudioStreamGetCurrentStreamFormat(streams[1]).mBitsPerChannel, 24));
    OSObjectRelease(info);
    info = dx_configuration_info_for_stream_format(IOUserAudioStreamDirectionInput, 0, &format);
    EXPECT_STATUS(IOUserAudioDevicePerformDeviceConfigurationChange(device, action, info), kIOReturnBadArgument);
    OSObjectRelease(info);
    EXPECT(!dx_configuration_info_for_stream_format(0, 0, NULL));
    OSObjectRelease(streams[0]);
    OSObjectRelease(streams[1]);
}

Test(audio_device, info_that_does_not_belong_to_the_action_is_refused)
{
    const OSObjectPtr infos[] = {NULL, text, kOSBooleanTrue};
    for (size_t i = 0; i < sizeof infos / sizeof infos[0]; i++) {
        for (uint64_t action = 1; action <= 3; action++)
            EXPECT_STATUS(IOUserAudioDevicePerformDeviceConfigurationChange(device, action, infos[i]),
                          kIOReturnBadArgument);
        EXPECT_STATUS(IOUserAudioDevicePerformDeviceConfigurationChange(device, 4, infos[i]), kIOReturnSuccess);
        EXPECT_STATUS(IOUserAudioDeviceAbortDeviceConfigurationChange(device, 1, infos[i]), kIOReturnSuccess);
    }
    OSNumber *const huge = OSNumberCreateWithUInt64Value(UINT64_MAX);
    EXPECT_STATUS(IOUserAudioDevicePerformDeviceConfigurationChange(device, 1, huge), kIOReturnBadArgument); // NaN
    EXPECT_STATUS(IOUserAudioDevicePerformDeviceConfigurationChange(device, 2, huge), kIOReturnBadArgument);
    OSDictionary *const incomplete = OSDictionaryCreate(1);
    OSDictionarySetUInt64Value(incomplete, "direction", 0);
    EXPECT_STATUS(IOUserAudioDevicePerformDeviceConfigurationChange(device, 3, incomplete), kIOReturnBadArgument);
    OSObjectRelease(incomplete);
    OSObjectRelease(huge);
}

Test(audio_device, a_clock_device_has_no_format_to_change)
{
    IOUserAudioClockDevice *const clock = IOUserAudioClockDeviceCreate(driver, true, text, NULL, NULL, 512);
    const IOUserAudioStreamBasicDescription format = float_format(48000, 2);
    OSObjectPtr info = dx_configuration_info_for_stream_format(0, 0, &format);
    EXPECT_STATUS(IOUserAudioClockDevicePerformDeviceConfigurationChange(clock, 3, info), kIOReturnBadArgument);
    OSObjectRelease(info);
    info = dx_configuration_info_for_sample_rate(48000);
    EXPECT_STATUS(IOUserAudioClockDevicePerformDeviceConfigurationChange(clock, 1, info), kIOReturnSuccess);
    cr_expect(eq(dbl, IOUserAudioClockDeviceGetSampleRate(clock), 48000.0));
    OSObjectRelease(info);
    EXPECT_STATUS(IOUserAudioClockDeviceStartIO(clock, 1), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioClockDeviceStartIO(clock, 0), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioClockDeviceStopIO(clock, 0), kIOReturnSuccess);
    OSObjectRelease(clock);
}

/* Overrides. */

static char trace[64];

static void
note(char letter)
{
    const size_t length = strlen(trace);
    if (length + 1 < sizeof trace)
        trace[length] = letter;
}

static bool
init_noted(IOUserAudioDevice *d, IOUserAudioDriver *its_driver, bool supports_prewarming, OSString *device_uid,
           OSString *model_uid, OSString *manufacturer_uid, uint32_t period)
{
    note('i');
    return IOUserAudioDeviceInit_super(d, its_driver, supports_prewarming, device_uid, model_uid, manufacturer_uid,
                                       period);
}

static void
free_noted(IOUserAudioDevice *d)
{
    note('f');
    IOUserAudioDeviceFree_super(d);
}

static kern_return_t
start_noted(IOUserAudioDevice *d, IOUserAudioStartStopFlags flags)
{
    note('s');
    return IOUserAudioDeviceStartIO_super(d, flags);
}

static kern_return_t
stop_noted(IOUserAudioDevice *d, IOUserAudioStartStopFlags flags)
{
    note('t');
    return IOUserAudioDeviceStopIO_super(d, flags);
}

static kern_return_t
perform_noted(IOUserAudioDevice *d, uint64_t action, OSObjectPtr info)
{
    note('p');
    return IOUserAudioDevicePerformDeviceConfigurationChange_super(d, action, info);
}

static kern_return_t
abort_noted(IOUserAudioDevice *d, uint64_t action, OSObjectPtr info)
{
    note('a');
    return IOUserAudioDeviceAbortDeviceConfigurationChange_super(d, action, info);
}

static kern_return_t
rate_noted(IOUserAudioDevice *d, double rate)
{
    note('r');
    return IOUserAudioDeviceHandleChangeSampleRate_super(d, rate);
}

static const IOUserAudioDeviceOverrides noted = {
    .size = sizeof(IOUserAudioDeviceOverrides),
    .init = init_noted,
    .free = free_noted,
    .StartIO = start_noted,
    .StopIO = stop_noted,
    .PerformDeviceConfigurationChange = perform_noted,
    .AbortDeviceConfigurationChange = abort_noted,
    .HandleChangeSampleRate = rate_noted,
};

Test(audio_device, overrides_are_called_by_either_spelling_and_reach_their_base)
{
    IOUserAudioDevice *const d = IOUserAudioDeviceAlloc();
    EXPECT_STATUS(IOUserAudioDeviceSetOverrides(d, &noted), kIOReturnSuccess);
    EXPECT(IOUserAudioDeviceInit(d, driver, false, text, NULL, NULL, 512));
    EXPECT_STATUS(IOUserAudioDeviceSetOverrides(d, &noted), kIOReturnBusy);
    EXPECT_STATUS(IOUserAudioDeviceStartIO(d, 0), kIOReturnSuccess);
    EXPECT(IOUserAudioDeviceGetDeviceIsRunning(d));
    EXPECT_STATUS(IOUserAudioClockDeviceStartIO(d, 0), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceStopIO(d, 0), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioClockDeviceStopIO(d, 0), kIOReturnSuccess);
    const OSObjectPtr info = dx_configuration_info_for_sample_rate(32000);
    EXPECT_STATUS(IOUserAudioDevicePerformDeviceConfigurationChange(d, 1, info), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioClockDevicePerformDeviceConfigurationChange(d, 1, info), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceAbortDeviceConfigurationChange(d, 1, info), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioClockDeviceAbortDeviceConfigurationChange(d, 1, info), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceHandleChangeSampleRate(d, 16000), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioClockDeviceHandleChangeSampleRate(d, 8000), kIOReturnSuccess);
    cr_expect(eq(dbl, IOUserAudioDeviceGetSampleRate(d), 8000.0));
    OSObjectRelease(info);
    OSObjectRelease(d);
    cr_expect_str_eq(trace, "issttprpraarrf");
}

static kern_return_t
clock_start_noted(IOUserAudioClockDevice *d, IOUserAudioStartStopFlags flags)
{
    note('S');
    return IOUserAudioClockDeviceStartIO_super(d, flags);
}

static kern_return_t
clock_stop_noted(IOUserAudioClockDevice *d, IOUserAudioStartStopFlags flags)
{
    note('T');
    return IOUserAudioClockDeviceStopIO_super(d, flags);
}

static kern_return_t
clock_perform_noted(IOUserAudioClockDevice *d, uint64_t action, OSObjectPtr info)
{
    note('P');
    return IOUserAudioClockDevicePerformDeviceConfigurationChange_super(d, action, info);
}

static kern_return_t
clock_abort_noted(IOUserAudioClockDevice *d, uint64_t action, OSObjectPtr info)
{
    note('A');
    return IOUserAudioClockDeviceAbortDeviceConfigurationChange_super(d, action, info);
}

static kern_return_t
clock_rate_noted(IOUserAudioClockDevice *d, double rate)
{
    note('R');
    return IOUserAudioClockDeviceHandleChangeSampleRate_super(d, rate);
}

static bool
clock_init_noted(IOUserAudioClockDevice *d, IOUserAudioDriver *its_driver, bool supports_prewarming,
                 OSString *device_uid, OSString *model_uid, OSString *manufacturer_uid, uint32_t period)
{
    note('I');
    return IOUserAudioClockDeviceInit_super(d, its_driver, supports_prewarming, device_uid, model_uid,
                                            manufacturer_uid, period);
}

static void
clock_free_noted(IOUserAudioClockDevice *d)
{
    note('F');
    IOUserAudioClockDeviceFree_super(d);
}

Test(audio_device, overrides_of_a_clock_device_are_called_and_reach_their_base)
{
    static const IOUserAudioClockDeviceOverrides overrides = {
        .size = sizeof overrides,
        .init = clock_init_noted,
        .free = clock_free_noted,
        .StartIO = clock_start_noted,
        .StopIO = clock_stop_noted,
        .PerformDeviceConfigurationChange = clock_perform_noted,
        .AbortDeviceConfigurationChange = clock_abort_noted,
        .HandleChangeSampleRate = clock_rate_noted,
    };
    IOUserAudioClockDevice *const d = IOUserAudioClockDeviceAlloc();
    EXPECT_STATUS(IOUserAudioClockDeviceSetOverrides(d, &overrides), kIOReturnSuccess);
    EXPECT(IOUserAudioClockDeviceInit(d, driver, false, text, NULL, NULL, 512));
    EXPECT_STATUS(IOUserAudioClockDeviceStartIO(d, 0), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioClockDeviceStopIO(d, 0), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioClockDevicePerformDeviceConfigurationChange(d, 9, NULL), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioClockDeviceAbortDeviceConfigurationChange(d, 9, NULL), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioClockDeviceHandleChangeSampleRate(d, 8000), kIOReturnSuccess);
    OSObjectRelease(d);
    cr_expect_str_eq(trace, "ISTPARF");

    const OSObjectPtr raw = IOUserAudioDeviceAlloc(); // not its class
    EXPECT_STATUS(IOUserAudioClockDeviceSetOverrides(raw, &overrides), kIOReturnBadArgument);
    EXPECT(!IOUserAudioClockDeviceInit(raw, driver, false, text, NULL, NULL, 512));
    IOUserAudioClockDeviceFree_super(raw); // nothing: it is a device's
    OSObjectRelease(raw);
}

static kern_return_t
refuse_rate(IOUserAudioDevice *d, double rate)
{
    (void)d;
    (void)rate;
    return kIOReturnUnsupported;
}

Test(audio_device, a_rate_that_the_driver_refuses_is_not_set)
{
    static const IOUserAudioDeviceOverrides overrides = {
        .size = sizeof overrides,
        .HandleChangeSampleRate = refuse_rate,
    };
    IOUserAudioDevice *const d = IOUserAudioDeviceAlloc();
    EXPECT_STATUS(IOUserAudioDeviceSetOverrides(d, &overrides), kIOReturnSuccess);
    EXPECT(IOUserAudioDeviceInit(d, driver, false, text, NULL, NULL, 512));
    const OSObjectPtr info = dx_configuration_info_for_sample_rate(32000);
    EXPECT_STATUS(IOUserAudioDevicePerformDeviceConfigurationChange(d, 1, info), kIOReturnUnsupported);
    cr_expect(eq(dbl, IOUserAudioDeviceGetSampleRate(d), 0.0));
    OSObjectRelease(info);
    OSObjectRelease(d);
}

/* Time. */

Test(audio_device, the_stamp_posted_last_is_read_as_it_was_posted)
{
    uint64_t sample_time = 1, host_time = 1;
    IOUserAudioDeviceGetCurrentZeroTimestamp(device, &sample_time, &host_time);
    EXPECT(sample_time == 0 && host_time == 0);
    EXPECT_STATUS(dx_clock_set_timebase(dx_clock_host(), 125, 3), kIOReturnSuccess);
    IOUserAudioDeviceUpdateCurrentZeroTimestamp(device, 512, 24000001);
    IOUserAudioDeviceGetCurrentZeroTimestamp(device, &sample_time, &host_time);
    cr_expect(eq(u64, sample_time, 512));
    cr_expect(eq(u64, host_time, 24000001));
    struct dx_stamp stamp = {0};
    const struct dx_slots slots = dx_device_io_stamps(dx_device_get_io(device));
    EXPECT(dx_slots_read(&slots, &stamp));
    cr_expect(eq(u64, stamp.sample_time, 512));
    cr_expect(eq(u64, stamp.host_time_ns, 1000000041)); // 24000001 ticks of 125/3 ns
    cr_expect(eq(u64, stamp.count, 1));

    EXPECT_STATUS(IOUserAudioDeviceStartIO(device, 0), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceStopIO(device, 0), kIOReturnSuccess);
    IOUserAudioDeviceGetCurrentZeroTimestamp(device, &sample_time, NULL);
    IOUserAudioDeviceGetCurrentZeroTimestamp(device, NULL, &host_time);
    EXPECT(sample_time == 512 && host_time == 24000001);
}

Test(audio_device, client_times_are_those_that_the_engine_published)
{
    uint64_t input = 1, output = 1;
    IOUserAudioDeviceGetCurrentClientSampleTime(device, &input, &output);
    EXPECT(input == 0 && output == 0);
    EXPECT_STATUS(dx_clock_set_timebase(dx_clock_host(), 125, 3), kIOReturnSuccess);
    const struct dx_slots slots = dx_device_io_clients(dx_device_get_io(device));
    const struct dx_client_times times = {100, 1000, 200, 2000};
    dx_slots_write(&slots, &times);
    IOUserAudioDeviceGetCurrentClientSampleTime(device, &input, NULL);
    IOUserAudioDeviceGetCurrentClientSampleTime(device, NULL, &output);
    EXPECT(input == 100 && output == 200);
    uint64_t sample = 0, host = 0;
    IOUserAudioDeviceGetCurrentClientIOTime(device, true, &sample, &host);
    EXPECT(sample == 100 && host == 24);
    IOUserAudioDeviceGetCurrentClientIOTime(device, false, &sample, NULL);
    IOUserAudioDeviceGetCurrentClientIOTime(device, false, NULL, &host);
    EXPECT(sample == 200 && host == 48);
}

/* The handler. */

static int released[4];

static void
count_release(void *context)
{
    ++*(int *)context;
}

static kern_return_t answer_context(IOUserAudioObjectID id, IOUserAudioIOOperation operation, uint32_t frames,
                                    uint64_t sample_time, uint64_t host_time, void *context) DX_REALTIME;
static kern_return_t
answer_context(IOUserAudioObjectID id, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
               uint64_t host_time, void *context)
{
    (void)id;
    (void)operation;
    (void)frames;
    (void)sample_time;
    (void)host_time;
    return (kern_return_t)((int *)context - released);
}

static kern_return_t
call_handler(void)
{
    return dx_handler_box_call(&dx_device_get_io(device)->handler, 2, 0, 1, 0, 0);
}

Test(audio_device, a_handler_is_called_until_it_is_replaced_and_its_context_released_once)
{
    EXPECT_STATUS(call_handler(), kIOReturnNotAttached);
    for (int i = 0; i < 3; i++) {
        EXPECT_STATUS(
            dx_device_object_set_io_operation_handler(device, answer_context, &released[i], count_release),
            kIOReturnSuccess);
        cr_expect(eq(int, call_handler(), i));
        cr_expect(eq(int, released[i], 0));
        if (i > 0)
            cr_expect(eq(int, released[i - 1], 1));
    }
    EXPECT_STATUS(IOUserAudioDeviceSetIOOperationHandler(device, answer_context, &released[3]), kIOReturnSuccess);
    cr_expect(eq(int, call_handler(), 3));
    EXPECT_STATUS(IOUserAudioDeviceSetIOOperationHandler(device, NULL, NULL), kIOReturnSuccess);
    EXPECT_STATUS(call_handler(), kIOReturnNotAttached);
    EXPECT(released[0] == 1 && released[1] == 1 && released[2] == 1 && released[3] == 0);
}

Test(audio_device, a_device_releases_the_context_of_its_handler)
{
    IOUserAudioDevice *const other = make_device(driver, "other", 512);
    EXPECT_STATUS(dx_device_object_set_io_operation_handler(other, answer_context, &released[0], count_release),
                  kIOReturnSuccess);
    OSObjectRelease(other);
    cr_expect(eq(int, released[0], 1));
}

static unsigned replacements;
static kern_return_t last_replacement;
static IOOperationHandler replacement;

/* Replaces itself as often as asked, with contexts that want to be released. */
static kern_return_t replace_itself(IOUserAudioObjectID id, IOUserAudioIOOperation operation, uint32_t frames,
                                    uint64_t sample_time, uint64_t host_time, void *context) DX_REALTIME;
static kern_return_t
replace_itself(IOUserAudioObjectID id, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
               uint64_t host_time, void *context)
{
    (void)id;
    (void)operation;
    (void)frames;
    (void)sample_time;
    (void)host_time;
    DX_REALTIME_TRUSTED_BEGIN("from inside the handler it neither waits nor allocates")
    for (unsigned i = 0; i < replacements; i++)
        last_replacement = dx_device_object_set_io_operation_handler(device, replacement, &released[1],
                                                                     replacement ? count_release : NULL);
    DX_REALTIME_TRUSTED_END
    return *(int *)context; // still valid: released later
}

Test(audio_device, a_handler_that_replaces_itself_keeps_its_context_until_somebody_else_does)
{
    replacements = 1;
    replacement = answer_context;
    EXPECT_STATUS(dx_device_object_set_io_operation_handler(device, replace_itself, &released[0], count_release),
                  kIOReturnSuccess);
    cr_expect(eq(int, call_handler(), 0));
    EXPECT_STATUS(last_replacement, kIOReturnSuccess);
    cr_expect(eq(int, released[0], 0));
    cr_expect(eq(int, call_handler(), 1));
    EXPECT_STATUS(IOUserAudioDeviceSetIOOperationHandler(device, NULL, NULL), kIOReturnSuccess);
    EXPECT(released[0] == 1 && released[1] == 1);
}

Test(audio_device, a_handler_that_removed_itself_is_released_after_its_successor)
{
    replacements = 1;
    replacement = NULL;
    EXPECT_STATUS(dx_device_object_set_io_operation_handler(device, replace_itself, &released[0], count_release),
                  kIOReturnSuccess);
    cr_expect(eq(int, call_handler(), 0));
    EXPECT_STATUS(call_handler(), kIOReturnNotAttached);
    EXPECT_STATUS(IOUserAudioDeviceSetIOOperationHandler(device, answer_context, &released[2]), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioDeviceSetIOOperationHandler(device, NULL, NULL), kIOReturnSuccess);
    cr_expect(eq(int, released[0], 1));
}

Test(audio_device, too_many_replacements_within_a_call_are_refused)
{
    replacements = 40;
    replacement = answer_context;
    EXPECT_STATUS(dx_device_object_set_io_operation_handler(device, replace_itself, &released[0], count_release),
                  kIOReturnSuccess);
    cr_expect(eq(int, call_handler(), 0));
    EXPECT_STATUS(last_replacement, kIOReturnBusy);
    cr_expect(eq(int, call_handler(), 1));
    EXPECT_STATUS(IOUserAudioDeviceSetIOOperationHandler(device, NULL, NULL), kIOReturnSuccess);
    cr_expect(eq(int, released[0], 1));
}
