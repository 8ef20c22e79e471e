// SPDX-License-Identifier: MIT
// What drivers, plug-ins and listeners do to their host that they had better not, and clocks of all kinds.

#include "test_driver.h"
#include "tests/break_rules.h"

#include <math.h>
#include <stdlib.h>

#define ACTION_OWN 1000u
#define HEARD ((size_t)1 << 19)

static struct test_rig rig;
static struct test_driver other;
static float heard[HEARD];

static void
start_listening(const struct test_config *config, const dx_host_config *host_config)
{
    memset(heard, 0, sizeof heard);
    rig.driver.heard = heard;
    rig.driver.heard_frames = HEARD;
    test_rig_start(&rig, config, host_config);
}

/* ---- devices that go from inside a call of the host ---- */

static void
remove_in_start_io(struct test_driver *driver)
{
    CHECK_OK(IOUserAudioDriverRemoveObject(driver->driver, driver->device));
}

static kern_return_t
remove_in_perform(struct test_driver *driver, uint64_t action, OSObjectPtr info)
{
    (void)action, (void)info;
    CHECK_OK(IOUserAudioDriverRemoveObject(driver->driver, driver->device));
    return kIOReturnSuccess;
}

static void
remove_in_abort(struct test_driver *driver, uint64_t action, OSObjectPtr info)
{
    (void)action, (void)info;
    CHECK_OK(IOUserAudioDriverRemoveObject(driver->driver, driver->device));
}

static bool
refuse(void *context, dx_device *device, uint64_t action)
{
    (void)context, (void)device, (void)action;
    return true;
}

static void
a_driver_may_remove_its_device_inside_any_call(void)
{
    static const struct test_config configs[] = {
        {.in_start_io = remove_in_start_io},
        {.in_perform = remove_in_perform},
        {.in_abort = remove_in_abort},
    };
    for (int i = 0; i < 3; i++) {
        test_rig_start(&rig, &configs[i], NULL);
        dx_client *const client = test_open(rig.device, true, true, 0);
        const kern_return_t status = dx_client_start(client);
        if (i > 0)
            CHECK_OK(status);
        test_sleep(20 * TEST_MS);
        if (i == 2)
            dx_host_set_configuration_veto(rig.host.host, refuse, NULL);
        (void)IOUserAudioDeviceRequestDeviceConfigurationChange(rig.object, ACTION_OWN, NULL);
        dx_host_settle(rig.host.host);
        CHECK(!test_info(rig.device).has_driver);
        CHECK(!test_info(rig.device).is_running);
        test_sleep(20 * TEST_MS);
        /* It may come back. */
        rig.driver.config.in_start_io = NULL;
        CHECK_OK(IOUserAudioDriverAddObject(rig.driver.driver, rig.object));
        const IOUserAudioObjectPropertySelector list = kIOUserAudioPropertyDeviceList;
        CHECK_OK(IOUserAudioDriverPropertiesChanged(rig.driver.driver, 1, &list, 1));
        CHECK(test_info(rig.device).has_driver);
        CHECK_OK(dx_client_start(client));
        test_sleep(50 * TEST_MS);
        CHECK(test_info(rig.device).is_running);
        CHECK(rig.driver.write_ends > 0);
        dx_client_close(client);
        atomic_store(&rig.driver.stray_calls, 0);
        test_rig_finish(&rig);
    }
}

static void
a_device_removed_in_start_device_is_not_started(void)
{
    const struct test_config config = {.in_start_device = remove_in_start_io};
    test_rig_start(&rig, &config, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_STATUS(dx_client_start(client), kIOReturnNoDevice);
    CHECK(!test_info(rig.device).is_running);
    test_sleep(100 * TEST_MS);
    CHECK_EQ(rig.driver.begin_reads + rig.driver.write_ends, 0);
    dx_host_settle(rig.host.host);
    CHECK_EQ(test_host_count(&rig.host, DX_EVENT_IO_STARTED), 0);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
a_device_removed_while_it_starts_is_stopped(void)
{
    static const struct test_config configs[] = {
        {.in_start_device = remove_in_start_io},
        {.in_start_io = remove_in_start_io},
    };
    for (int i = 0; i < 2; i++) {
        test_rig_start(&rig, &configs[i], NULL);
        dx_client *const client = test_open(rig.device, true, true, 0);
        CHECK_STATUS(dx_client_start(client), kIOReturnNoDevice);
        CHECK_EQ(rig.driver.start_ios, 1);
        CHECK_EQ(rig.driver.stop_ios, 1);
        CHECK_EQ(IOUserAudioDeviceGetDeviceTransportState(rig.object), IOUserAudioDeviceTransportStateStopped);
        dx_client_close(client);
        test_rig_finish(&rig);
    }
}

static void
clients_are_not_cut_off_when_their_device_is_removed_within_a_change(void)
{
    const struct test_config config = {.in_perform = remove_in_perform};
    start_listening(&config, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(rig.object, ACTION_OWN, NULL));
    dx_host_settle(rig.host.host);
    CHECK(!test_info(rig.device).has_driver);
    float block[2 * 64];
    for (int i = 0; i < 2 * 64; i++)
        block[i] = 0.5f;
    CHECK_OK(dx_client_write(client, block, 64, DX_NEVER, NULL));
    CHECK_OK(IOUserAudioDriverAddObject(rig.driver.driver, rig.object));
    const IOUserAudioObjectPropertySelector list = kIOUserAudioPropertyDeviceList;
    CHECK_OK(IOUserAudioDriverPropertiesChanged(rig.driver.driver, 1, &list, 1));
    CHECK(test_info(rig.device).is_running); // without a start of the client's own
    memset(heard, 0, sizeof heard);
    for (int i = 0; i < 100; i++)
        CHECK_OK(dx_client_write(client, block, 64, DX_NEVER, NULL));
    CHECK_OK(dx_client_drain(client, DX_NEVER));
    uint32_t count = 0;
    for (size_t i = 0; i < HEARD; i++)
        count += heard[i] == 0.5f;
    CHECK(count >= 6400);
    dx_client_close(client);
    test_rig_finish(&rig);
}

/* ---- what changes while IO runs ---- */

static void
safety_offsets_set_while_io_runs_do_not_change_the_bound_on_n(void)
{
    const struct test_config config = {.output_safety = 8000};
    test_rig_start(&rig, &config, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    /* A smaller one: the engine still has the larger, and 3 x 5000 + 8000 frames do not fit the ring of 16384. */
    CHECK_OK(IOUserAudioDeviceSetOutputSafetyOffset(rig.object, 0));
    CHECK_STATUS(dx_device_set_io_frames(rig.device, 5000), kIOReturnBadArgument);
    CHECK_OK(dx_device_set_io_frames(rig.device, 2000));
    test_sleep(100 * TEST_MS);
    CHECK_EQ(test_info(rig.device).io_frames, 2000);
    /* One that leaves no room for any N at all. */
    CHECK_OK(IOUserAudioDeviceSetOutputSafetyOffset(rig.object, 16384));
    CHECK_OK(dx_device_set_io_frames(rig.device, 1000));
    dx_client *const other_client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(other_client)); // builds the next plan
    test_sleep(100 * TEST_MS);
    CHECK_EQ(test_info(rig.device).io_frames, 1000);
    const uint32_t writes = rig.driver.write_ends;
    test_sleep(TEST_S);
    CHECK(rig.driver.write_ends >= writes + 47 && rig.driver.write_ends <= writes + 49);
    dx_client_close(other_client);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
a_stream_switched_off_while_io_runs_gets_no_operations(void)
{
    test_rig_start(&rig, NULL, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    static const bool active[][2] = {{true, false}, {false, true}, {false, false}, {true, true}};
    for (size_t i = 0; i < sizeof active / sizeof active[0]; i++) {
        CHECK_OK(IOUserAudioStreamSetStreamIsActive(rig.driver.inputs[0], active[i][0]));
        CHECK_OK(IOUserAudioStreamSetStreamIsActive(rig.driver.outputs[0], active[i][1]));
        test_sleep(20 * TEST_MS);
        const uint32_t reads = rig.driver.begin_reads, writes = rig.driver.write_ends;
        test_sleep(512 * TEST_MS); // 48 cycles
        CHECK_EQ(rig.driver.begin_reads - reads, active[i][0] ? 48 : 0);
        CHECK_EQ(rig.driver.write_ends - writes, active[i][1] ? 48 : 0);
    }
    CHECK_EQ(rig.driver.start_ios, 1);
    dx_client_close(client);
    test_rig_finish(&rig);
}

/* ---- listeners that call back ---- */

static dx_client *listener_client;

static void
call_the_host(struct test_host *host, const dx_host_event *event)
{
    (void)host;
    if (!event->device || !listener_client)
        return;
    (void)test_info(event->device);
    (void)test_status(listener_client);
    if (event->kind == DX_EVENT_CONFIGURATION_BEGIN)
        dx_client_stop(listener_client);
    if (event->kind == DX_EVENT_CONFIGURATION_END)
        CHECK_OK(dx_client_start(listener_client));
}

static void
a_listener_may_start_and_stop_clients(void)
{
    test_rig_start(&rig, NULL, NULL);
    listener_client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(listener_client));
    rig.host.in_event = call_the_host;
    for (int i = 0; i < 4; i++) {
        CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(rig.object, ACTION_OWN, NULL));
        test_sleep(50 * TEST_MS);
    }
    dx_host_settle(rig.host.host);
    rig.host.in_event = NULL;
    CHECK_EQ(rig.driver.performs, 4);
    CHECK(test_info(rig.device).is_running);
    dx_client_close(listener_client);
    listener_client = NULL;
    test_rig_finish(&rig);
}

static void
a_host_may_be_destroyed_with_changes_and_drivers_under_way(void)
{
    test_rig_start(&rig, NULL, NULL);
    IOUserAudioDriver *const driver = test_driver_create(&other, &(struct test_config){.uid = "other"});
    CHECK_OK(dx_host_start_driver(rig.host.host, driver, NULL));
    OSObjectRelease(driver);
    for (int i = 0; i < 5; i++) {
        CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(rig.object, ACTION_OWN, NULL));
        CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(other.device, ACTION_OWN, NULL));
    }
    test_rig_finish(&rig);
    CHECK_EQ(other.frees, 1);
}

/* ---- plug-ins ---- */

struct plugin {
    uint32_t activations, deactivations, channels, max_frames;
    double rate_hz;
    const dx_dsp_view *view;
    uint64_t processed;
    bool is_planar;
};

static kern_return_t
activate(void *instance, const dx_dsp_view *view, double rate_hz, uint32_t max_frames)
{
    struct plugin *const plugin = instance;
    CHECK_EQ(plugin->activations, plugin->deactivations);
    plugin->activations++;
    plugin->view = view;
    plugin->channels = view->channels;
    plugin->rate_hz = rate_hz;
    plugin->max_frames = max_frames;
    return kIOReturnSuccess;
}

static void
deactivate(void *instance)
{
    struct plugin *const plugin = instance;
    plugin->deactivations++;
    CHECK_EQ(plugin->activations, plugin->deactivations);
}

static kern_return_t
halve(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
      uint64_t host_time, void *context) DX_REALTIME
{
    (void)device, (void)operation, (void)sample_time, (void)host_time;
    struct plugin *const plugin = context;
    BREAK_RULES_BEGIN("a check that fails ends the program")
    CHECK_EQ(plugin->activations, plugin->deactivations + 1);
    CHECK(frames <= plugin->max_frames);
    CHECK_EQ(plugin->view->channels, plugin->channels);
    BREAK_RULES_END
    for (uint32_t c = 0; c < plugin->channels; c++)
        for (uint32_t i = 0; i < frames; i++) {
            if (plugin->is_planar)
                plugin->view->planar[c][i] *= 0.5f;
            else
                plugin->view->interleaved[i * plugin->channels + c] *= 0.5f;
        }
    plugin->processed += frames;
    return kIOReturnSuccess;
}

static const dx_dsp_plugin plugins[2] = {
    {.size = sizeof(dx_dsp_plugin), .abi = DX_PLUGIN_ABI, .name = "half", .activate = activate,
     .deactivate = deactivate, .process = halve},
    {.size = sizeof(dx_dsp_plugin), .abi = DX_PLUGIN_ABI, .name = "planar half", .flags = DX_DSP_PLANAR,
     .activate = activate, .deactivate = deactivate, .process = halve},
};

static void
plug_ins_follow_rate_and_channels(void)
{
    struct test_config config = {.format_count = 3};
    config.formats[0] = test_format(48000, 2);
    config.formats[1] = test_format(48000, 16);
    config.formats[2] = test_format(96000, 2);
    for (int runs = 0; runs < 2; runs++) {
        start_listening(&config, NULL);
        struct plugin instances[2] = {{.is_planar = false}, {.is_planar = true}};
        dx_client *client = NULL;
        if (runs) {
            client = test_open(rig.device, true, false, 0);
            CHECK_OK(dx_client_start(client));
        }
        for (int i = 0; i < 2; i++) {
            CHECK_OK(dx_device_add_dsp(rig.device, IOUserAudioStreamDirectionOutput, 0, &plugins[i], &instances[i]));
            CHECK_EQ(instances[i].channels, 2);
        }
        CHECK_STATUS(dx_device_add_dsp(rig.device, IOUserAudioStreamDirectionOutput, 1, &plugins[0], &instances[0]),
                     kIOReturnBadArgument);
        dx_client_close(client);
        static const struct {
            uint32_t format, channels;
            double rate_hz;
        } steps[] = {{1, 16, 48000}, {0, 2, 48000}, {2, 2, 96000}, {1, 16, 48000}};
        for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
            if (steps[s].rate_hz != test_info(rig.device).sample_rate_hz)
                CHECK_OK(dx_device_set_sample_rate(rig.device, steps[s].rate_hz));
            CHECK_OK(dx_device_set_stream_format(rig.device, IOUserAudioStreamDirectionOutput, 0,
                                                 &config.formats[steps[s].format]));
            client = test_open(rig.device, true, false, 0);
            float block[16 * 100];
            for (int i = 0; i < 16 * 100; i++)
                block[i] = 0.5f;
            CHECK_OK(dx_client_write(client, block, 100, 0, NULL));
            memset(heard, 0, sizeof heard);
            CHECK_OK(dx_client_start(client));
            test_sleep(100 * TEST_MS);
            for (int i = 0; i < 2; i++) {
                CHECK_EQ(instances[i].channels, steps[s].channels);
                CHECK(instances[i].rate_hz == steps[s].rate_hz);
                CHECK(instances[i].processed > 0);
            }
            uint32_t quarters = 0;
            for (size_t i = 0; i < HEARD; i++)
                quarters += heard[i] == 0.125f;
            CHECK_EQ(quarters, 100);
            dx_client_close(client);
        }
        /* And over a driver. */
        CHECK_OK(dx_host_stop_driver(rig.host.host, rig.driver.driver));
        for (int i = 0; i < 2; i++) {
            CHECK_EQ(instances[i].activations, instances[i].deactivations);
            CHECK_OK(dx_device_remove_dsp(rig.device, &instances[i]));
            CHECK_STATUS(dx_device_remove_dsp(rig.device, &instances[i]), kIOReturnNotFound);
        }
        struct plugin late = {0};
        CHECK_STATUS(dx_device_add_dsp(rig.device, IOUserAudioStreamDirectionOutput, 0, &plugins[0], &late),
                     kIOReturnNoDevice);
        test_rig_finish(&rig);
    }
}

static kern_return_t
drop_the_input(struct test_driver *driver, uint64_t action, OSObjectPtr info)
{
    (void)action, (void)info;
    CHECK_OK(IOUserAudioDeviceRemoveStream(driver->device, driver->inputs[0]));
    return kIOReturnSuccess;
}

static void
a_plug_in_without_its_stream_does_not_keep_io_from_starting(void)
{
    const struct test_config config = {.in_perform = drop_the_input};
    test_rig_start(&rig, &config, NULL);
    struct plugin instance = {0};
    CHECK_OK(dx_device_add_dsp(rig.device, IOUserAudioStreamDirectionInput, 0, &plugins[0], &instance));
    dx_client *const client = test_open(rig.device, true, false, 0);
    CHECK_OK(dx_client_start(client));
    CHECK_OK(IOUserAudioDeviceRequestDeviceConfigurationChange(rig.object, ACTION_OWN, NULL));
    dx_host_settle(rig.host.host);
    CHECK(test_info(rig.device).is_running);
    CHECK(strstr(rig.host.log, "half"));
    dx_client_close(client);
    CHECK_EQ(instance.activations, instance.deactivations);
    CHECK_OK(dx_device_remove_dsp(rig.device, &instance));
    test_rig_finish(&rig);
}

/* ---- clocks ---- */

static _Atomic uint64_t stall_ns;

static void
stall_once(struct test_driver *driver, IOUserAudioIOOperation operation, uint32_t frames,
           uint64_t sample_time) DX_REALTIME
{
    (void)driver, (void)operation, (void)frames, (void)sample_time;
    const uint64_t ns = atomic_exchange(&stall_ns, 0);
    BREAK_RULES_BEGIN("a handler that stalls")
    if (ns)
        test_sleep(ns);
    BREAK_RULES_END
}

static void
within_the_tolerance_a_late_cycle_loses_nothing(void)
{
    const struct test_config config = {.in_handler = stall_once, .late_tolerance = 8192, .period_frames = 32768};
    start_listening(&config, NULL);
    dx_client *const client = test_open(rig.device, true, false, 0);
    CHECK_OK(dx_client_start(client));
    uint64_t frame = 0;
    float block[2 * 500];
    for (int i = 0; i < 200; i++) {
        for (uint32_t f = 0; f < 500; f++, frame++)
            block[2 * f] = block[2 * f + 1] = (float)(frame % 3000 + 1) / 4096.0f;
        if (i == 60)
            stall_ns = 120 * TEST_MS;
        CHECK_OK(dx_client_write(client, block, 500, DX_NEVER, NULL));
    }
    CHECK_OK(dx_client_drain(client, DX_NEVER));
    test_sleep(50 * TEST_MS);
    const dx_client_status status = test_status(client);
    for (uint64_t i = 0; i < frame; i++)
        CHECK(heard[status.output_base + i] == (float)(i % 3000 + 1) / 4096.0f);
    CHECK_EQ(status.underrun_frames, 0);
    const dx_device_statistics statistics = test_statistics(rig.device);
    CHECK_EQ(statistics.overloads, 0);
    CHECK(statistics.late_cycles > 5);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
device_time_goes_on_while_a_driver_has_no_stamp(void)
{
    start_listening(NULL, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(client));
    uint64_t last = 0;
    for (int i = 0; i < 300; i++) {
        if (i == 100)
            IOUserAudioDeviceUpdateCurrentZeroTimestamp(rig.object, 0, 0);
        test_sleep(7 * TEST_MS);
        const dx_client_status status = test_status(client);
        CHECK(status.device_time >= last && (!last || status.device_time <= last + 400));
        last = status.device_time;
        CHECK(status.is_running);
    }
    CHECK(test_info(rig.device).is_running);
    const uint32_t writes = rig.driver.write_ends;
    test_sleep(400 * TEST_MS);
    CHECK(rig.driver.write_ends > writes);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
rates_of_all_sizes_run(void)
{
    static const double rates[] = {8000, 11025, 384000, 10e6};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct test_config config = {.format_count = 1, .period_frames = 65536, .ppm = -300, .jitter_ns = 50000};
        config.formats[0] = test_format(rates[i], 1);
        test_rig_start(&rig, &config, &(dx_host_config){.io_frames = 4096});
        dx_client *const client = test_open(rig.device, true, true, 0);
        CHECK_OK(dx_client_start(client));
        const uint64_t before = test_status(client).device_time;
        test_sleep(TEST_S);
        const double frames = (double)(test_status(client).device_time - before);
        CHECK(fabs(frames / rates[i] - 1.0) < 0.02);
        CHECK_EQ(test_statistics(rig.device).overloads, 0);
        dx_client_close(client);
        test_rig_finish(&rig);
    }
}

static void
a_device_without_a_rate_says_so(void)
{
    test_host_create(&rig.host, NULL);
    IOUserAudioDriver *const driver = test_driver_create(&other, &(struct test_config){.uid = "ready"});
    CHECK_OK(dx_host_start_driver(rig.host.host, driver, NULL));
    OSString *const uid = OSStringCreate("bare");
    IOUserAudioDevice *const bare = IOUserAudioDeviceCreate(driver, false, uid, NULL, NULL, 4096);
    IOUserAudioStream *const stream = IOUserAudioStreamCreate(driver, IOUserAudioStreamDirectionOutput, NULL);
    CHECK(bare && stream);
    CHECK_OK(IOUserAudioDeviceAddStream(bare, stream));
    CHECK_OK(IOUserAudioDriverAddObject(driver, bare));
    const IOUserAudioObjectPropertySelector list = kIOUserAudioPropertyDeviceList;
    CHECK_OK(IOUserAudioDriverPropertiesChanged(driver, 1, &list, 1));
    dx_host_settle(rig.host.host);
    dx_device *const device = dx_host_copy_device(rig.host.host, "bare");
    CHECK(device);
    (void)test_info(device);
    const dx_client_config config = {.size = sizeof config, .input_stream = DX_NO_STREAM};
    dx_client *client = NULL;
    const kern_return_t status = dx_client_open(device, &config, &client);
    if (status == kIOReturnSuccess)
        CHECK(dx_client_start(client) != kIOReturnSuccess);
    CHECK(strstr(rig.host.log, "bare"));
    dx_client_close(client);
    /* With a format but without a ring. */
    const IOUserAudioStreamBasicDescription format = test_format(48000, 2);
    CHECK_OK(IOUserAudioStreamSetAvailableStreamFormats(stream, &format, 1));
    CHECK_OK(IOUserAudioDeviceSetSampleRate(bare, 48000));
    rig.host.log[0] = '\0';
    client = NULL;
    if (dx_client_open(device, &config, &client) == kIOReturnSuccess) {
        CHECK_STATUS(dx_client_start(client), kIOReturnNotReady);
        CHECK(strstr(rig.host.log, "no ring"));
    }
    dx_client_close(client);
    dx_device_release(device);
    OSObjectRelease(uid);
    OSObjectRelease(stream);
    OSObjectRelease(bare);
    OSObjectRelease(driver);
    test_host_destroy(&rig.host);
    CHECK_EQ(other.frees, 1);
}

static void
host_times_are_in_ticks_of_the_timebase(void)
{
    CHECK_OK(dx_clock_set_timebase(dx_clock_current(), 125, 3));
    test_rig_start(&rig, &(struct test_config){.stamps = TEST_STAMPS_NONE}, NULL);
    dx_client *const client = test_open(rig.device, true, true, 0);
    IOUserAudioDeviceUpdateCurrentZeroTimestamp(rig.object, 0, mach_absolute_time());
    CHECK_OK(dx_client_start(client));
    const uint64_t before = test_status(client).device_time;
    test_sleep(300 * TEST_MS);
    const uint64_t frames = test_status(client).device_time - before;
    CHECK(frames >= 14399 && frames <= 14401);
    uint64_t sample = 0, ticks = 0;
    IOUserAudioDeviceGetCurrentClientIOTime(rig.object, false, &sample, &ticks);
    const uint64_t now = mach_absolute_time();
    CHECK(ticks > now - 24000 * 50 && ticks < now + 24000 * 50);
    dx_client_close(client);
    test_rig_finish(&rig);
}

int
main(int argc, char **argv)
{
    test_filter = argc > 1 ? argv[1] : NULL;
    RUN_SIMULATED(a_driver_may_remove_its_device_inside_any_call);
    RUN_SIMULATED(a_device_removed_in_start_device_is_not_started);
    RUN_SIMULATED(a_device_removed_while_it_starts_is_stopped);
    RUN_SIMULATED(clients_are_not_cut_off_when_their_device_is_removed_within_a_change);
    RUN_SIMULATED(safety_offsets_set_while_io_runs_do_not_change_the_bound_on_n);
    RUN_SIMULATED(a_stream_switched_off_while_io_runs_gets_no_operations);
    RUN_SIMULATED(a_listener_may_start_and_stop_clients);
    RUN_SIMULATED(a_host_may_be_destroyed_with_changes_and_drivers_under_way);
    RUN_SIMULATED(plug_ins_follow_rate_and_channels);
    RUN_SIMULATED(a_plug_in_without_its_stream_does_not_keep_io_from_starting);
    RUN_SIMULATED(within_the_tolerance_a_late_cycle_loses_nothing);
    RUN_SIMULATED(device_time_goes_on_while_a_driver_has_no_stamp);
    RUN_SIMULATED(rates_of_all_sizes_run);
    RUN_SIMULATED(a_device_without_a_rate_says_so);
    RUN_SIMULATED(host_times_are_in_ticks_of_the_timebase);
    return 0;
}
