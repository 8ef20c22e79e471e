// SPDX-License-Identifier: MIT
// The configuration protocol, and restoration.

#include "test_driver.h"

#include <math.h>
#include <stdlib.h>

#define ACTION_OWN 1000u

static struct test_rig rig;
static struct test_driver other;

/* ---- 5.3 ---- */

static uint64_t seen_action;
static OSObjectPtr seen_info;
static IOUserAudioDeviceTransportState seen_state;
static bool seen_running;

static kern_return_t
change_latency(struct test_driver *driver, uint64_t action, OSObjectPtr info)
{
    seen_action = action;
    seen_info = info;
    seen_state = IOUserAudioDeviceGetDeviceTransportState(driver->device);
    seen_running = atomic_load(&driver->io_runs);
    if (action != ACTION_OWN)
        return kIOReturnSuccess;
    CHECK_OK(IOUserAudioDeviceSetOutputLatency(driver->device, 77));
    CHECK_OK(IOUserAudioDeviceSetOutputLatency(driver->device, 99));
    CHECK_OK(IOUserAudioDeviceSetInputSafetyOffset(driver->device, 5));
    CHECK_OK(IOUserAudioDeviceSetInputSafetyOffset(driver->device, 0));
    OSString *const name = OSStringCreate("a new name");
    CHECK_OK(IOUserAudioObjectSetName(driver->device, name));
    OSObjectRelease(name);
    return kIOReturnSuccess;
}

static void
a_change_is_requested_announced_performed_with_io_stopped_and_announced_again(void)
{
    const struct test_config config = {.in_perform = change_latency};
    test_rig_start(&rig, &config, NULL);
    const IOUserAudioObjectID id = IOUserAudioObjectGetObjectID(rig.object);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    test_sleep(50 * TEST_MS);
    test_host_forget(&rig.host);
    test_driver_forget(&rig.driver);

    OSString *const info = OSStringCreate("opaque");
    CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(rig.object, ACTION_OWN, info));
    /* It returned at once and nothing changed yet. */
    CHECK_EQ(rig.driver.performs, 0);
    CHECK_TEXT(rig.driver.calls, "");
    CHECK_EQ(IOUserAudioDeviceGetOutputLatency(rig.object), 0);
    CHECK_EQ(OSObjectGetRetainCount(info), 2);
    dx_host_settle(rig.host.host);

    CHECK_EQ(seen_action, ACTION_OWN);
    CHECK(seen_info == info);
    CHECK_EQ(OSObjectGetRetainCount(info), 1);
    OSObjectRelease(info);
    CHECK_EQ(seen_state, IOUserAudioDeviceTransportStateStopped);
    CHECK(!seen_running);
    CHECK_TEXT(rig.driver.calls, "StopDevice StopIO stream.StopIO stream.StopIO Perform "
                                 "StartDevice StartIO stream.StartIO stream.StartIO");
    test_sleep(50 * TEST_MS);
    CHECK(test_info(rig.device).is_running);
    dx_host_settle(rig.host.host);

    const uint32_t begin = test_host_find(&rig.host, DX_EVENT_CONFIGURATION_BEGIN, 0);
    const uint32_t stopped = test_host_find(&rig.host, DX_EVENT_IO_STOPPED, begin);
    const uint32_t started = test_host_find(&rig.host, DX_EVENT_IO_STARTED, stopped);
    const uint32_t end = test_host_find(&rig.host, DX_EVENT_CONFIGURATION_END, started);
    CHECK(begin < stopped && stopped < started && started < end && end < rig.host.event_count);
    CHECK_OK(rig.host.events[end].status);
    CHECK_EQ(rig.host.events[begin].object, id);
    /* Differences only: the latency once, not the safety offset that came back. */
    uint32_t latencies = 0;
    for (uint32_t i = begin; i < end; i++)
        for (uint32_t j = 0; j < rig.host.events[i].selector_count; j++) {
            latencies += rig.host.events[i].selectors[j] == kIOUserAudioPropertyLatency;
            CHECK(rig.host.events[i].selectors[j] != kIOUserAudioPropertySafetyOffset);
        }
    CHECK_EQ(latencies, 1);
    CHECK(test_host_told(&rig.host, id, kIOUserAudioPropertyName)); // no part of a snapshot: told all the same
    CHECK_EQ(test_status(client).output_latency_frames, 512 + 1024 + 99);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
check_abort_info(struct test_driver *driver, uint64_t action, OSObjectPtr info)
{
    seen_state = IOUserAudioDeviceGetDeviceTransportState(driver->device);
    seen_action = action;
    seen_info = info;
}

static bool
refuse(void *context, dx_device *device, uint64_t action)
{
    CHECK(context == &rig && device == rig.device);
    return action == ACTION_OWN || action == IOUserAudioReservedConfigChangeActionSampleRate;
}

static void
an_aborted_change_leaves_everybody_as_before(void)
{
    const struct test_config config = {.in_perform = change_latency, .in_abort = check_abort_info};
    test_rig_start(&rig, &config, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    dx_host_set_configuration_veto(rig.host.host, refuse, &rig);
    test_host_forget(&rig.host);
    CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(rig.object, ACTION_OWN, NULL));
    dx_host_settle(rig.host.host);
    CHECK_EQ(rig.driver.performs, 0);
    CHECK_EQ(rig.driver.aborts, 1);
    CHECK_EQ(seen_action, ACTION_OWN);
    CHECK(!seen_info);
    CHECK_EQ(seen_state, IOUserAudioDeviceTransportStateStopped);
    const uint32_t end = test_host_find(&rig.host, DX_EVENT_CONFIGURATION_END, 0);
    CHECK_STATUS(rig.host.events[end].status, kIOReturnAborted);
    CHECK_EQ(test_host_count(&rig.host, DX_EVENT_PROPERTIES_CHANGED), 2); // 'goin', off and on
    CHECK(test_info(rig.device).is_running);

    CHECK_STATUS(dx_device_set_sample_rate(rig.device, 44100), kIOReturnAborted);
    CHECK(IOUserAudioDeviceGetSampleRate(rig.object) == 48000);
    CHECK(test_info(rig.device).is_running);
    dx_host_set_configuration_veto(rig.host.host, NULL, NULL);
    CHECK_OK(dx_device_set_sample_rate(rig.device, 44100));
    dx_client_close(client);
    test_rig_finish(&rig);
}

static kern_return_t
refuse_everything(struct test_driver *driver, uint64_t action, OSObjectPtr info)
{
    (void)driver, (void)action, (void)info;
    return kIOReturnDeviceError;
}

static void
a_change_that_the_driver_fails_says_so(void)
{
    const struct test_config config = {.in_perform = refuse_everything};
    test_rig_start(&rig, &config, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    CHECK_STATUS(dx_device_set_sample_rate(rig.device, 44100), kIOReturnDeviceError);
    CHECK(test_info(rig.device).is_running);
    CHECK(test_info(rig.device).sample_rate_hz == 48000);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
the_host_changes_the_rate_by_action_1(void)
{
    test_rig_start(&rig, NULL, NULL);
    const IOUserAudioObjectID id = IOUserAudioObjectGetObjectID(rig.object);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    test_sleep(100 * TEST_MS);
    test_driver_forget(&rig.driver);
    test_host_forget(&rig.host);
    CHECK_STATUS(dx_device_set_sample_rate(rig.device, 12345), kIOReturnUnsupported);
    CHECK_STATUS(dx_device_set_sample_rate(rig.device, NAN), kIOReturnUnsupported);
    CHECK_STATUS(dx_device_set_sample_rate(rig.device, -1), kIOReturnUnsupported);
    CHECK_TEXT(rig.driver.calls, "");
    CHECK_OK(dx_device_set_sample_rate(rig.device, 96000));
    CHECK(strstr(rig.driver.calls,
                 "Perform HandleChangeSampleRate HandleChangeCurrentStreamFormat HandleChangeCurrentStreamFormat "
                 "StartDevice"));
    dx_host_settle(rig.host.host);
    CHECK(test_host_told(&rig.host, id, kIOUserAudioPropertyNominalSampleRate));
    CHECK(test_host_told(&rig.host, IOUserAudioObjectGetObjectID(rig.driver.outputs[0]),
                         kIOUserAudioPropertyStreamPhysicalFormat));
    const dx_device_info info = test_info(rig.device);
    CHECK(info.sample_rate_hz == 96000 && info.outputs[0].physical.mSampleRate == 96000 &&
          info.inputs[0].client.mSampleRate == 96000);
    /* The client goes on: its frames are the same ones, twice as fast. */
    const uint64_t before = test_status(client).device_time;
    test_sleep(TEST_S);
    const uint64_t frames = test_status(client).device_time - before;
    CHECK(frames > 95000 && frames < 97000);
    float block[64] = {0};
    CHECK_OK(dx_client_write(client, block, 32, DX_NEVER, NULL));
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
the_host_changes_a_format_by_action_3(void)
{
    struct test_config config = {.format_count = 3};
    config.formats[0] = test_format(48000, 2);
    config.formats[1] = test_format_s16(48000, 2);
    config.formats[2] = test_format(48000, 4);
    test_rig_start(&rig, &config, NULL);
    dx_client *const player = test_open(rig.device, true, false, 0);
    dx_client *const recorder = test_open(rig.device, false, true, 0);
    CHECK_OK(dx_client_start(player));
    CHECK_OK(dx_client_start(recorder));
    test_driver_forget(&rig.driver);
    float block[256] = {0};

    /* The same channels in integers: clients see no difference. */
    CHECK_OK(dx_device_set_stream_format(rig.device, IOUserAudioStreamDirectionOutput, 0, &config.formats[1]));
    CHECK(strstr(rig.driver.calls, "Perform HandleChangeCurrentStreamFormat StartDevice"));
    CHECK_OK(dx_client_write(player, block, 64, DX_NEVER, NULL));
    CHECK_EQ(test_info(rig.device).outputs[0].physical.mBitsPerChannel, 16);
    CHECK_EQ(test_info(rig.device).outputs[0].client.mBitsPerChannel, 32);

    /* Other channels: those who play are cut off, those who record are not. */
    CHECK_OK(dx_device_set_stream_format(rig.device, IOUserAudioStreamDirectionOutput, 0, &config.formats[2]));
    CHECK_STATUS(dx_client_write(player, block, 64, DX_NEVER, NULL), kIOReturnUnsupportedMode);
    CHECK_STATUS(dx_client_drain(player, DX_NEVER), kIOReturnUnsupportedMode);
    CHECK_OK(dx_client_read(recorder, block, 64, DX_NEVER, NULL));
    dx_client_stop(player);
    CHECK_STATUS(dx_client_start(player), kIOReturnUnsupportedMode);
    dx_client_close(player);

    IOUserAudioStreamBasicDescription unknown = test_format(48000, 3);
    CHECK_STATUS(dx_device_set_stream_format(rig.device, IOUserAudioStreamDirectionOutput, 0, &unknown),
                 kIOReturnUnsupported);
    CHECK_STATUS(dx_device_set_stream_format(rig.device, IOUserAudioStreamDirectionOutput, 1, &config.formats[0]),
                 kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_stream_format(rig.device, IOUserAudioStreamDirectionOutput, 99, &config.formats[0]),
                 kIOReturnBadArgument);
    CHECK_STATUS(dx_device_set_stream_format(rig.device, 7, 0, &config.formats[0]), kIOReturnBadArgument);

    dx_client *const again = test_open(rig.device, true, false, 0);
    CHECK_OK(dx_client_start(again));
    CHECK_OK(dx_client_write(again, block, 64, DX_NEVER, NULL)); // four channels
    dx_client_close(again);
    dx_client_close(recorder);
    test_rig_finish(&rig);
}

static void
the_ring_size_changes_by_action_2(void)
{
    const struct test_config config = {.ring_frames = 32768};
    test_rig_start(&rig, &config, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    test_sleep(100 * TEST_MS);
    static const uint32_t sizes[] = {4096, 32768, 16384};
    for (size_t i = 0; i < 3; i++) {
        test_host_forget(&rig.host);
        OSObjectPtr const info = dx_configuration_info_for_ring_frames(sizes[i]);
        const uint64_t before = test_status(client).device_time;
        CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(
            rig.object, IOUserAudioReservedConfigChangeActionRingBufferFrameSize, info));
        OSObjectRelease(info);
        dx_host_settle(rig.host.host);
        CHECK_EQ(test_info(rig.device).ring_frames, sizes[i]);
        CHECK(test_host_told(&rig.host, 0, kIOUserAudioPropertyZeroTimestampPeriod));
        test_sleep(TEST_S);
        const uint64_t after = test_status(client).device_time;
        CHECK(after - before > 47500 && after - before < 48500);
        CHECK(rig.driver.write_ends > 0);
    }
    /* Larger than the buffers. */
    OSObjectPtr const info = dx_configuration_info_for_ring_frames(65536);
    CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(
        rig.object, IOUserAudioReservedConfigChangeActionRingBufferFrameSize, info));
    OSObjectRelease(info);
    dx_host_settle(rig.host.host);
    CHECK_EQ(test_info(rig.device).ring_frames, 16384);
    CHECK(test_info(rig.device).is_running);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static uint64_t performed[16];
static uint32_t performed_count;
static uint32_t inside;

static kern_return_t
take_a_while(struct test_driver *driver, uint64_t action, OSObjectPtr info)
{
    (void)driver, (void)info;
    CHECK_EQ(inside++, 0);
    test_sleep(30 * TEST_MS);
    CHECK_EQ(--inside, 0);
    performed[performed_count++] = action;
    return kIOReturnSuccess;
}

static void
requests_are_performed_one_after_the_other(void)
{
    const struct test_config config = {.in_perform = take_a_while};
    performed_count = 0;
    test_rig_start(&rig, &config, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    for (uint64_t i = 0; i < 8; i++)
        CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(rig.object, ACTION_OWN + i, NULL));
    dx_host_settle(rig.host.host);
    CHECK_EQ(performed_count, 8);
    for (uint64_t i = 0; i < 8; i++)
        CHECK_EQ(performed[i], ACTION_OWN + i);
    uint32_t depth = 0;
    for (uint32_t i = 0; i < rig.host.event_count; i++) {
        if (rig.host.events[i].kind == DX_EVENT_CONFIGURATION_BEGIN)
            CHECK_EQ(depth++, 0);
        if (rig.host.events[i].kind == DX_EVENT_CONFIGURATION_END)
            CHECK_EQ(--depth, 0);
    }
    CHECK(test_info(rig.device).is_running);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static kern_return_t
request_another(struct test_driver *driver, uint64_t action, OSObjectPtr info)
{
    (void)info;
    performed[performed_count++] = action;
    if (action == ACTION_OWN)
        CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(driver->device, ACTION_OWN + 1, NULL));
    return kIOReturnSuccess;
}

static void
perform_may_request_the_next_change(void)
{
    const struct test_config config = {.in_perform = request_another};
    performed_count = 0;
    test_rig_start(&rig, &config, NULL);
    CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(rig.object, ACTION_OWN, NULL));
    dx_host_settle(rig.host.host);
    dx_host_settle(rig.host.host);
    CHECK_EQ(performed_count, 2);
    CHECK_EQ(performed[1], ACTION_OWN + 1);
    test_rig_finish(&rig);
}

struct during {
    dx_client *client;
    uint64_t wait_ns;
    int what;
};

static void
do_during(void *argument)
{
    struct during *const during = argument;
    test_sleep(during->wait_ns);
    if (during->what == 0)
        CHECK_OK(dx_client_start(during->client));
    else if (during->what == 1)
        dx_client_stop(during->client);
    else
        dx_client_close(during->client);
}

static void
clients_may_start_stop_and_close_during_a_change(void)
{
    const struct test_config config = {.in_perform = take_a_while, .start_io_ns = 5 * TEST_MS};
    for (uint64_t ms = 0; ms < 50; ms += 3) {
        performed_count = 0;
        test_rig_start(&rig, &config, NULL);
        struct during during[3];
        dx_task *tasks[3];
        for (int i = 0; i < 3; i++) {
            during[i] = (struct during){test_open(rig.device, true, true, 0), ms * TEST_MS, i};
            if (i > 0)
                CHECK_OK(dx_client_start(during[i].client));
        }
        CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(rig.object, ACTION_OWN, NULL));
        for (int i = 0; i < 3; i++)
            tasks[i] = test_spawn(do_during, &during[i]);
        for (int i = 0; i < 3; i++)
            dx_task_join(tasks[i]);
        dx_host_settle(rig.host.host);
        CHECK_EQ(performed_count, 1);
        CHECK(test_info(rig.device).is_running); // the first client
        const uint32_t writes = rig.driver.write_ends;
        test_sleep(100 * TEST_MS);
        CHECK(rig.driver.write_ends > writes);
        dx_client_close(during[0].client);
        dx_client_close(during[1].client);
        CHECK_EQ(rig.driver.start_ios, rig.driver.stop_ios);
        test_rig_finish(&rig);
    }
}

/* Two clients whose device time is polled while changes go on. */
static _Atomic bool polling;

static void
poll_time(void *argument)
{
    dx_client *const client = argument;
    uint64_t last = 0, last_ns = 0;
    float block[2 * 64] = {0};
    while (atomic_load(&polling)) {
        const dx_client_status status = test_status(client);
        CHECK(status.is_running);
        CHECK(status.device_time >= last);
        if (last_ns) {
            /* It also goes on: as fast as the slower rate, at least. */
            const uint64_t least = (status.host_time_ns - last_ns) * 40 / TEST_MS;
            CHECK(status.device_time + 64 >= last + least);
        }
        last = status.device_time;
        last_ns = status.host_time_ns;
        CHECK_OK(dx_client_write(client, block, 64, DX_NEVER, NULL));
        const kern_return_t status_of_read = dx_client_read(client, block, 64, DX_NEVER, NULL);
        CHECK(status_of_read == kIOReturnSuccess || status_of_read == kIOReturnOverrun);
    }
}

static void
device_time_never_goes_back_over_changes(void)
{
    static const double rates[] = {44100, 96000, 48000, 44100, 48000};
    static const enum test_stamps stamps[] = {TEST_STAMPS_AT_ONCE, TEST_STAMPS_SIMPLE, TEST_STAMPS_RESUME};
    for (int kind = 0; kind < 3; kind++) {
        const struct test_config config = {.stamps = stamps[kind], .ppm = 150, .start_io_ns = 3 * TEST_MS};
        test_rig_start(&rig, &config, NULL);
        dx_client *clients[2] = {test_open(rig.device, true, true, 0), test_open(rig.device, true, true, 128)};
        dx_task *tasks[2];
        atomic_store(&polling, true);
        for (int i = 0; i < 2; i++) {
            CHECK_OK(dx_client_start(clients[i]));
            tasks[i] = test_spawn(poll_time, clients[i]);
        }
        for (int i = 0; i < 5; i++) {
            test_sleep(400 * TEST_MS);
            CHECK_OK(dx_device_set_sample_rate(rig.device, rates[i]));
            test_sleep(500 * TEST_MS);
            CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(rig.object, ACTION_OWN, NULL));
        }
        test_sleep(TEST_S);
        atomic_store(&polling, false);
        for (int i = 0; i < 2; i++) {
            dx_task_join(tasks[i]);
            dx_client_close(clients[i]);
        }
        test_rig_finish(&rig);
    }
}

static void
a_setter_outside_the_protocol_does_not_stop_io(void)
{
    test_rig_start(&rig, NULL, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    test_sleep(100 * TEST_MS);
    test_host_forget(&rig.host);
    CHECK_OK(IOUserAudioDeviceSetSampleRate(rig.object, 96000));
    CHECK_OK(IOUserAudioStreamSetCurrentStreamFormat(rig.driver.outputs[0], &rig.driver.config.formats[2]));
    CHECK_OK(IOUserAudioDeviceSetOutputLatency(rig.object, 5));
    dx_host_settle(rig.host.host);
    CHECK(test_host_told(&rig.host, 0, kIOUserAudioPropertyNominalSampleRate));
    CHECK(test_host_told(&rig.host, 0, kIOUserAudioPropertyStreamPhysicalFormat));
    CHECK(test_host_told(&rig.host, 0, kIOUserAudioPropertyLatency));
    CHECK_EQ(rig.driver.stop_ios, 0);
    const uint32_t writes = rig.driver.write_ends;
    test_sleep(100 * TEST_MS);
    CHECK(rig.driver.write_ends > writes);
    /* What changes the structure is refused. */
    CHECK_STATUS(IOUserAudioDeviceRemoveStream(rig.object, rig.driver.outputs[0]), kIOReturnNotPermitted);
    CHECK_STATUS(IOUserAudioDeviceSetZeroTimeStampPeriod(rig.object, 4096), kIOReturnNotPermitted);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static kern_return_t
remove_the_streams(struct test_driver *driver, uint64_t action, OSObjectPtr info)
{
    (void)info;
    if (action == ACTION_OWN) {
        CHECK_OK(IOUserAudioDeviceRemoveStream(driver->device, driver->outputs[0]));
        CHECK_OK(IOUserAudioDeviceRemoveStream(driver->device, driver->inputs[0]));
    } else {
        CHECK_OK(IOUserAudioDeviceAddStream(driver->device, driver->outputs[0]));
        CHECK_OK(IOUserAudioDeviceAddStream(driver->device, driver->inputs[0]));
    }
    return kIOReturnSuccess;
}

static void
streams_that_go_cut_their_clients_off(void)
{
    const struct test_config config = {.in_perform = remove_the_streams};
    test_rig_start(&rig, &config, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    dx_client *const idle = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    test_host_forget(&rig.host);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(rig.object, ACTION_OWN, NULL));
        dx_host_settle(rig.host.host);
        CHECK(test_host_told(&rig.host, 0, kIOUserAudioPropertyStreams));
        float block[128];
        CHECK_STATUS(dx_client_read(client, block, 64, DX_NEVER, NULL), kIOReturnUnsupportedMode);
        CHECK_STATUS(dx_client_write(client, block, 64, DX_NEVER, NULL), kIOReturnUnsupportedMode);
        CHECK_STATUS(dx_client_start(idle), kIOReturnUnsupportedMode);
        const dx_client_config late = {.size = sizeof late, .output_stream = 0, .input_stream = DX_NO_STREAM};
        dx_client *none = NULL;
        CHECK_STATUS(dx_client_open(rig.device, &late, &none), kIOReturnBadArgument);
        test_sleep(100 * TEST_MS);
        CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(rig.object, ACTION_OWN + 1, NULL));
        dx_host_settle(rig.host.host);
        dx_client *const fresh = test_open(rig.device, true, true, 0);
        CHECK_OK(dx_client_start(fresh));
        CHECK_OK(dx_client_write(fresh, block, 64, DX_NEVER, NULL));
        dx_client_close(fresh);
    }
    dx_client_close(client);
    dx_client_close(idle);
    test_rig_finish(&rig);
}

static _Atomic uint32_t callbacks;

static void
count_callbacks(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    (void)context, (void)input;
    atomic_fetch_add(&callbacks, 1);
    if (output)
        memset(output, 0, cycle->frames * 2 * sizeof(float));
}

static void
callback_clients_are_cut_off_as_well(void)
{
    struct test_config config = {.format_count = 2};
    config.formats[0] = test_format(48000, 2);
    config.formats[1] = test_format(48000, 8);
    for (uint32_t flags = 0; flags < 2; flags++) {
        test_rig_start(&rig, &config, NULL);
        const dx_client_config client_config = {
            .size = sizeof client_config,
            .flags = flags ? DX_CLIENT_SYNCHRONOUS : 0,
            .callback = count_callbacks,
            .priority = -1,
        };
        dx_client *client = NULL;
        CHECK_OK(dx_client_open(rig.device, &client_config, &client));
        CHECK_OK(dx_client_start(client));
        test_sleep(100 * TEST_MS);
        CHECK(callbacks > 0);
        CHECK_OK(dx_device_set_stream_format(rig.device, IOUserAudioStreamDirectionOutput, 0, &config.formats[1]));
        test_sleep(50 * TEST_MS);
        const uint32_t before = callbacks;
        test_sleep(100 * TEST_MS);
        CHECK_EQ(callbacks, before);
        dx_client_close(client);
        test_rig_finish(&rig);
    }
}

static void
a_period_too_short_is_refused_with_a_line(void)
{
    const struct test_config config = {.period_frames = 16, .output_safety = 8};
    test_rig_start(&rig, &config, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK(dx_client_start(client) != kIOReturnSuccess);
    CHECK(strstr(rig.host.log, "too short"));
    CHECK_EQ(rig.driver.start_ios, 0);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
a_ring_shorter_than_its_period_is_refused(void)
{
    const struct test_config config = {.ring_frames = 16000};
    struct test_host *const host = &rig.host;
    test_host_create(host, NULL);
    IOUserAudioDriver *const driver = test_driver_create(&other, &config);
    CHECK(dx_host_start_driver(host->host, driver, NULL) != kIOReturnSuccess);
    CHECK_EQ(dx_host_copy_devices(host->host, NULL, 0), 0);
    OSObjectRelease(driver);
    test_host_destroy(host);
}

static void
the_smallest_periods_still_run(void)
{
    for (uint32_t period = 200; period <= 800; period += 50) {
        const struct test_config config = {.period_frames = period, .input_safety = 3, .output_safety = 5};
        test_rig_start(&rig, &config, NULL);
        const dx_device_info info = test_info(rig.device);
        CHECK(info.io_frames > 0 && 3 * info.io_frames + 8 <= period);
        dx_client *const client = test_open(rig.device, true, true, 0);
        CHECK_OK(dx_client_start(client));
        test_sleep(TEST_S);
        CHECK(rig.driver.frames_written > 47000 && rig.driver.frames_written < 49000);
        CHECK_EQ(test_statistics(rig.device).overloads, 0);
        dx_client_close(client);
        test_rig_finish(&rig);
    }
}

/* ---- 5.5 ---- */

static const struct test_config with_volume = {.has_volume = true};

static void
restart_driver(const struct test_config *config)
{
    IOUserAudioDriver *const old = OSObjectRetain(rig.driver.driver);
    CHECK_OK(dx_host_stop_driver(rig.host.host, old));
    OSSafeReleaseNULL(rig.object);
    OSObjectRelease(old);
    CHECK_EQ(rig.driver.frees, 1);
    IOUserAudioDriver *const driver = test_driver_create(&rig.driver, config);
    CHECK_OK(dx_host_start_driver(rig.host.host, driver, NULL));
    OSObjectRelease(driver);
    dx_host_settle(rig.host.host);
    rig.object = dx_device_copy_object(rig.device);
    CHECK(rig.object == rig.driver.device);
}

static void
controls_and_formats_are_restored_over_a_driver(void)
{
    test_rig_start(&rig, &with_volume, NULL);
    CHECK_OK(IOUserAudioLevelControlSetDecibelValue(rig.driver.volume, -20));
    CHECK_OK(dx_device_set_sample_rate(rig.device, 96000));
    CHECK(test_info(rig.device).outputs[0].physical.mSampleRate == 96000);
    restart_driver(&with_volume);
    CHECK(IOUserAudioLevelControlGetDecibelValue(rig.driver.volume) == -20);
    CHECK(IOUserAudioDeviceGetSampleRate(rig.object) == 96000);
    CHECK(test_info(rig.device).outputs[0].physical.mSampleRate == 96000);
    CHECK(test_info(rig.device).inputs[0].physical.mSampleRate == 96000);
    /* And IO runs at it. */
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    test_sleep(TEST_S);
    CHECK(rig.driver.frames_written > 94000);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
nothing_is_restored_that_is_not_wanted(void)
{
    struct test_config config = with_volume;
    test_rig_start(&rig, &config, NULL);
    CHECK_OK(IOUserAudioLevelControlSetDecibelValue(rig.driver.volume, -20));
    CHECK_OK(dx_device_set_sample_rate(rig.device, 96000));
    config.refuses_restored_controls = true;
    restart_driver(&config);
    CHECK(IOUserAudioLevelControlGetDecibelValue(rig.driver.volume) == 0);
    CHECK(IOUserAudioDeviceGetSampleRate(rig.object) == 96000);
    CHECK_OK(IOUserAudioLevelControlSetDecibelValue(rig.driver.volume, -30));
    config.refuses_restored_controls = false;
    config.refuses_restored_formats = true;
    restart_driver(&config);
    CHECK(IOUserAudioLevelControlGetDecibelValue(rig.driver.volume) == -30);
    CHECK(IOUserAudioDeviceGetSampleRate(rig.object) == 48000);
    CHECK(test_info(rig.device).outputs[0].physical.mSampleRate == 48000);
    test_rig_finish(&rig);
}

static void
controls_and_formats_are_restored_over_hosts(void)
{
    for (int hidden = 0; hidden < 2; hidden++) {
        struct test_config config = with_volume;
        config.is_hidden = hidden;
        test_rig_start(&rig, &config, NULL);
        CHECK_OK(IOUserAudioLevelControlSetDecibelValue(rig.driver.volume, -12.5f));
        CHECK_OK(dx_device_set_sample_rate(rig.device, 44100));
        OSDictionary *const saved = dx_host_copy_saved_state(rig.host.host);
        CHECK(saved);
        /* What changes afterwards is not in it. */
        CHECK_OK(IOUserAudioLevelControlSetDecibelValue(rig.driver.volume, -60));
        test_rig_finish(&rig);

        const dx_host_config host_config = {.saved_state = saved};
        test_rig_start(&rig, &config, &host_config);
        CHECK(IOUserAudioLevelControlGetDecibelValue(rig.driver.volume) == -12.5f);
        CHECK(IOUserAudioDeviceGetSampleRate(rig.object) == 44100);
        CHECK(test_info(rig.device).outputs[0].physical.mSampleRate == 44100);
        test_rig_finish(&rig);
        CHECK_EQ(OSObjectGetRetainCount(saved), 1);
        OSObjectRelease(saved);
    }
}

static void
without_a_saved_format_the_first_of_the_list_stands(void)
{
    test_rig_start(&rig, NULL, NULL);
    const IOUserAudioStreamBasicDescription format = test_info(rig.device).outputs[0].physical;
    CHECK(memcmp(&format, &rig.driver.config.formats[0], sizeof format) == 0);
    test_rig_finish(&rig);
}

static void
a_saved_format_that_is_gone_is_not_restored(void)
{
    test_rig_start(&rig, NULL, NULL);
    CHECK_OK(dx_device_set_sample_rate(rig.device, 96000));
    struct test_config config = {.format_count = 2};
    config.formats[0] = test_format(44100, 1);
    config.formats[1] = test_format(48000, 1);
    restart_driver(&config);
    CHECK(IOUserAudioDeviceGetSampleRate(rig.object) == 44100);
    CHECK_EQ(test_info(rig.device).outputs[0].physical.mChannelsPerFrame, 1);
    test_rig_finish(&rig);
}

static void
a_restored_rate_takes_the_streams_along(void)
{
    test_rig_start(&rig, NULL, NULL);
    CHECK_OK(dx_device_set_sample_rate(rig.device, 96000));
    /* It has the rate, but not the format that was saved with it. */
    struct test_config config = {.format_count = 2};
    config.formats[0] = test_format(48000, 4);
    config.formats[1] = test_format(96000, 4);
    restart_driver(&config);
    CHECK(IOUserAudioDeviceGetSampleRate(rig.object) == 96000);
    const dx_device_info info = test_info(rig.device);
    CHECK(memcmp(&info.outputs[0].physical, &config.formats[1], sizeof config.formats[1]) == 0);
    CHECK(memcmp(&info.inputs[0].physical, &config.formats[1], sizeof config.formats[1]) == 0);
    test_rig_finish(&rig);
}

static void
a_driver_that_insists_sets_its_format_again(void)
{
    struct test_config config = {.format_count = 2, .insists = true};
    config.formats[0] = test_format(48000, 2);
    config.formats[1] = test_format_s16(48000, 2);
    test_rig_start(&rig, &config, NULL);
    CHECK_EQ(test_info(rig.device).outputs[0].physical.mBitsPerChannel, 16);
    CHECK_OK(dx_device_set_stream_format(rig.device, IOUserAudioStreamDirectionOutput, 0, &config.formats[0]));
    restart_driver(&config);
    CHECK_EQ(test_info(rig.device).inputs[0].physical.mBitsPerChannel, 32);
    /* After RegisterService it is the driver's turn again. */
    CHECK_OK(IOUserAudioStreamSetCurrentStreamFormat(rig.driver.outputs[0], &config.formats[1]));
    CHECK_EQ(test_info(rig.device).outputs[0].physical.mBitsPerChannel, 16);
    test_rig_finish(&rig);
}

static void
a_saved_state_that_makes_no_sense_is_ignored(void)
{
    static const char *const keys[] = {TEST_UID, "rate", "controls", "formats"};
    for (int i = 0; i < 16; i++) {
        OSDictionary *const saved = OSDictionaryCreate(4);
        OSDictionary *const state = OSDictionaryCreate(4);
        OSString *const text = OSStringCreate("nonsense");
        OSData *const data = OSDataCreate("12345678", 8);
        OSDictionary *const inner = OSDictionaryCreate(2);
        CHECK(OSDictionarySetObject(inner, "outp/0", i & 1 ? (OSObjectPtr)text : (OSObjectPtr)data));
        CHECK(OSDictionarySetObject(inner, "vlme/outp/0", i & 2 ? (OSObjectPtr)text : (OSObjectPtr)data));
        for (int k = 1; k < 4; k++)
            CHECK(OSDictionarySetObject(state, keys[k], i & 4 ? (OSObjectPtr)inner : (OSObjectPtr)data));
        CHECK(OSDictionarySetObject(saved, TEST_UID, i & 8 ? (OSObjectPtr)state : (OSObjectPtr)text));
        const dx_host_config host_config = {.saved_state = saved};
        test_rig_start(&rig, &with_volume, &host_config);
        CHECK(IOUserAudioDeviceGetSampleRate(rig.object) == 48000);
        CHECK(IOUserAudioLevelControlGetDecibelValue(rig.driver.volume) == 0);
        test_rig_finish(&rig);
        OSObjectRelease(inner);
        OSObjectRelease(data);
        OSObjectRelease(text);
        OSObjectRelease(state);
        OSObjectRelease(saved);
    }
}

int
main(int argc, char **argv)
{
    test_filter = argc > 1 ? argv[1] : NULL;
    RUN_SIMULATED(a_change_is_requested_announced_performed_with_io_stopped_and_announced_again);
    RUN_SIMULATED(an_aborted_change_leaves_everybody_as_before);
    RUN_SIMULATED(a_change_that_the_driver_fails_says_so);
    RUN_SIMULATED(the_host_changes_the_rate_by_action_1);
    RUN_SIMULATED(the_host_changes_a_format_by_action_3);
    RUN_SIMULATED(the_ring_size_changes_by_action_2);
    RUN_SIMULATED(requests_are_performed_one_after_the_other);
    RUN_SIMULATED(perform_may_request_the_next_change);
    RUN_SIMULATED(clients_may_start_stop_and_close_during_a_change);
    RUN_SIMULATED(device_time_never_goes_back_over_changes);
    RUN_SIMULATED(a_setter_outside_the_protocol_does_not_stop_io);
    RUN_SIMULATED(streams_that_go_cut_their_clients_off);
    RUN_SIMULATED(callback_clients_are_cut_off_as_well);
    RUN_SIMULATED(a_period_too_short_is_refused_with_a_line);
    RUN_SIMULATED(a_ring_shorter_than_its_period_is_refused);
    RUN_SIMULATED(the_smallest_periods_still_run);
    RUN_SIMULATED(controls_and_formats_are_restored_over_a_driver);
    RUN_SIMULATED(nothing_is_restored_that_is_not_wanted);
    RUN_SIMULATED(controls_and_formats_are_restored_over_hosts);
    RUN_SIMULATED(without_a_saved_format_the_first_of_the_list_stands);
    RUN_SIMULATED(a_saved_format_that_is_gone_is_not_restored);
    RUN_SIMULATED(a_restored_rate_takes_the_streams_along);
    RUN_SIMULATED(a_driver_that_insists_sets_its_format_again);
    RUN_SIMULATED(a_saved_state_that_makes_no_sense_is_ignored);
    return 0;
}
