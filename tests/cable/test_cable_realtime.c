// SPDX-License-Identifier: MIT
// The cable in real time, where cycles are late within its tolerance: counted, and nothing is lost.  A file of 2.5 s is
// played and recorded; meanwhile a synchronous client and a DSP plug-in each sleep now and then for much longer than a
// cycle.  The hashes must be equal, blocking and with callbacks.
//
// Control: a task that only sleeps.  Where the machine itself stalls for longer than the tolerance, a quarter of a
// second, there is no result: exit status 3.

#include "tests/break_rules.h"
#include "tests/cable/rig.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define RATE_HZ 48000u
#define RING_FRAMES 65536u
#define TOLERANCE_FRAMES 12288u
#define TOLERANCE_NS (TOLERANCE_FRAMES * SECOND_NS / RATE_HZ)
#define FILE_FRAMES 120000u
#define CAPTURE_FRAMES 400000u
#define CHANNELS 2u
#define EXIT_NOISY 3

static float file[FILE_FRAMES * CHANNELS];
static float capture[CAPTURE_FRAMES * CHANNELS];

/* How long the next call is to sleep, once. */
struct stall {
    _Atomic uint64_t ns;
    _Atomic uint32_t done;
};

static void
sleep_once(struct stall *stall) DX_REALTIME
{
    const uint64_t ns = atomic_exchange(&stall->ns, 0);
    if (!ns)
        return;
    BREAK_RULES_BEGIN("as the test wants it")
    dx_clock *const clock = dx_clock_current();
    dx_clock_sleep_until(clock, dx_clock_now_ns(clock) + ns);
    BREAK_RULES_END
    atomic_fetch_add(&stall->done, 1);
}

static void
stall_client(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    (void)cycle, (void)input, (void)output;
    sleep_once(context);
}

/* A plug-in that changes nothing. */
static kern_return_t
activate(void *instance, const dx_dsp_view *view, double rate_hz, uint32_t max_frames)
{
    (void)instance, (void)view, (void)rate_hz, (void)max_frames;
    return kIOReturnSuccess;
}

static void
deactivate(void *instance)
{
    (void)instance;
}

static kern_return_t
process(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
        uint64_t host_time, void *context) DX_REALTIME
{
    (void)device, (void)operation, (void)frames, (void)sample_time, (void)host_time;
    sleep_once(context);
    return kIOReturnSuccess;
}

static const dx_dsp_plugin plugin = {
    .size = sizeof plugin,
    .abi = DX_PLUGIN_ABI,
    .identifier = "org.dextral.test.stall",
    .name = "Stall",
    .version = "1.0",
    .activate = activate,
    .deactivate = deactivate,
    .process = process,
};

/* ---- the control ---- */

struct control {
    _Atomic bool ending;
    uint64_t worst_ns;
};

static void
run_control(void *argument)
{
    struct control *const control = argument;
    dx_clock *const clock = dx_clock_current();
    while (!atomic_load(&control->ending)) {
        const uint64_t due = dx_clock_now_ns(clock) + 1000000u;
        dx_clock_sleep_until(clock, due);
        const uint64_t late = dx_clock_now_ns(clock) - due;
        control->worst_ns = late > control->worst_ns ? late : control->worst_ns;
    }
}

static void
cause_stalls(struct stall *const stalls[2])
{
    static const uint64_t ns[] = {30000000, 120000000, 60000000, 90000000};
    dx_clock *const clock = dx_clock_current();
    for (size_t i = 0; i < COUNT_OF(ns); i++) {
        dx_clock_sleep_until(clock, dx_clock_now_ns(clock) + 400000000u);
        atomic_store(&stalls[i % 2u]->ns, ns[i]);
    }
}

/* ---- */

static void
end_noisy(const char *what, const dx_device_statistics *statistics, const struct control *control)
{
    (void)fprintf(stderr,
                  "machine too noisy: %s: %llu overloads, %llu of late wakes; wakes %.1f ms late, of the control %.1f "
                  "ms; the tolerance is %.1f ms\n",
                  what, (unsigned long long)statistics->overloads,
                  (unsigned long long)statistics->causes[DX_CAUSE_LATE_WAKE], 1e-6 * (double)statistics->lateness.max_ns,
                  1e-6 * (double)control->worst_ns, 1e-6 * (double)TOLERANCE_NS);
    exit(EXIT_NOISY);
}

static void
run_way(dx_bundle *bundle, enum rig_way way, const char *what, uint64_t seed)
{
    const struct rig_setting settings[] = {{"PeriodFrames", RING_FRAMES},
                                           {"LateToleranceFrames", TOLERANCE_FRAMES},
                                           {"Channels", CHANNELS},
                                           {NULL, 0}};
    struct rig rig;
    rig_start(&rig, bundle, NULL, settings);
    const dx_device_info info = rig_info(&rig);
    CHECK(info.sample_rate_hz == (double)RATE_HZ);
    CHECK_EQ(info.late_tolerance_frames, TOLERANCE_FRAMES);
    uint64_t random = seed;
    rig_fill(file, FILE_FRAMES * CHANNELS, &info.outputs[0].physical, &random);

    /* Half a second ahead, and more than a second to look back: what the clients' own threads are late is no matter. */
    struct rig_player player = {.file = (const uint8_t *)file,
                                .frames = FILE_FRAMES,
                                .frame_bytes = CHANNELS * sizeof(float),
                                .io_frames = 2048,
                                .lead_frames = 24000,
                                .buffer_frames = 65536,
                                .way = way};
    struct rig_recorder recorder = {.capture = (uint8_t *)capture,
                                    .capacity = CAPTURE_FRAMES,
                                    .frame_bytes = CHANNELS * sizeof(float),
                                    .io_frames = 2048,
                                    .way = way};
    struct stall client_stall = {0}, dsp_stall = {0};
    const dx_client_config config = {
        .size = sizeof config,
        .flags = DX_CLIENT_SYNCHRONOUS,
        .name = "staller",
        .output_stream = DX_NO_STREAM,
        .input_stream = 0,
        .callback = stall_client,
        .context = &client_stall,
    };
    dx_client *staller = NULL;
    CHECK_OK(dx_client_open(rig.device, &config, &staller));
    CHECK_OK(dx_device_add_dsp(rig.device, IOUserAudioStreamDirectionOutput, 0, &plugin, &dsp_stall));
    struct control control = {0};
    dx_task *task = NULL;
    CHECK_OK(dx_task_spawn(dx_clock_current(), NULL, run_control, &control, &task));

    rig_player_open(&player, rig.device);
    rig_recorder_open(&recorder, rig.device);
    CHECK_OK(dx_client_start(staller));
    rig_recorder_start(&recorder);
    rig_player_start(&player);
    cause_stalls((struct stall *const[]){&client_stall, &dsp_stall});
    rig_wait_recorded(&player, &recorder, 2000, 10000000);
    rig_player_stop(&player);
    rig_recorder_stop(&recorder);
    dx_client_close(staller);
    CHECK_OK(dx_device_remove_dsp(rig.device, &dsp_stall));
    atomic_store(&control.ending, true);
    dx_task_join(task);

    const dx_device_statistics statistics = rig_statistics(&rig);
    (void)fprintf(stderr,
                  "%s: %llu cycles, %llu late (%llu wake, %llu client, %llu DSP), %llu overloads; wakes at most %.1f ms "
                  "late, of the control %.1f ms\n",
                  what, (unsigned long long)statistics.cycles, (unsigned long long)statistics.late_cycles,
                  (unsigned long long)statistics.causes[DX_CAUSE_LATE_WAKE],
                  (unsigned long long)statistics.causes[DX_CAUSE_CLIENT],
                  (unsigned long long)statistics.causes[DX_CAUSE_DSP], (unsigned long long)statistics.overloads,
                  1e-6 * (double)statistics.lateness.max_ns, 1e-6 * (double)control.worst_ns);
    const uint64_t longest_stall_ns = 120000000;
    if ((statistics.overloads && statistics.causes[DX_CAUSE_LATE_WAKE]) ||
        control.worst_ns + longest_stall_ns > TOLERANCE_NS)
        end_noisy(what, &statistics, &control);

    CHECK_EQ(atomic_load(&client_stall.done), 2);
    CHECK_EQ(atomic_load(&dsp_stall.done), 2);
    CHECK(statistics.causes[DX_CAUSE_CLIENT] >= 2);
    CHECK(statistics.causes[DX_CAUSE_DSP] >= 2);
    CHECK(statistics.late_cycles >= 4);
    CHECK_EQ(statistics.overloads, 0);
    CHECK_EQ(statistics.skipped_input_frames, 0);
    CHECK_EQ(statistics.skipped_output_frames, 0);
    (void)rig_check_recording(&player, &recorder, what);
    rig_player_close(&player);
    rig_recorder_close(&recorder);
    rig_finish(&rig);
}

int
main(void)
{
    dx_bundle *const bundle = rig_open_bundle("Cable");
    run_way(bundle, RIG_BLOCKING, "blocking", 1);
    run_way(bundle, RIG_CALLBACK, "callbacks", 2);
    dx_bundle_close(bundle);
    return 0;
}
