// SPDX-License-Identifier: MIT
// Simple.dext with its data source set to loopback hands on every 16-bit sample: hashes of whole files, at both of its
// rates, with several IO sizes, across ring edges, a stop and a restart.

#include "tests/cable/rig.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define FILE_FRAMES 70000u // more than two laps
#define CAPTURE_FRAMES 200000u

struct session {
    dx_bundle *bundle;
    double rate_hz;
    uint64_t seed;
};

static float file[FILE_FRAMES];
static float capture[CAPTURE_FRAMES];

static void
choose_loopback(const struct rig *rig)
{
    const IOUserAudioSelectorValue loopback = DX_FOURCC('l', 'o', 'o', 'p');
    for (IOUserAudioObjectID id = 2; id < 100; id++) {
        IOUserAudioObject *object = IOUserAudioDriverGetAudioObjectForObjectID(rig->driver, id);
        IOUserAudioSelectorControl *control = OSDynamicCast(IOUserAudioSelectorControl, object);
        if (control)
            CHECK_OK(IOUserAudioSelectorControlSetCurrentSelectedValues(control, &loopback, 1));
        OSObjectRelease(object);
        if (control)
            return;
    }
    CHECK(!"a selector control");
}

static void
run_session(void *argument)
{
    static const uint32_t sizes[][2] = {{64, 441}, {1, 512}, {4096, 100}, {512, 512}};
    static const enum rig_way ways[][2] = {
        {RIG_BLOCKING, RIG_CALLBACK}, {RIG_CALLBACK, RIG_BLOCKING}, {RIG_CALLBACK, RIG_CALLBACK},
        {RIG_SYNCHRONOUS, RIG_SYNCHRONOUS}};
    struct session *const session = argument;
    uint64_t random = session->seed;
    struct rig rig;
    rig_start(&rig, session->bundle, NULL, NULL);
    CHECK_OK(dx_device_set_sample_rate(rig.device, session->rate_hz));
    choose_loopback(&rig);
    const dx_device_info info = rig_info(&rig);
    CHECK(info.sample_rate_hz == session->rate_hz);
    CHECK_EQ(info.outputs[0].physical.mBitsPerChannel, 16);

    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct rig_player player = {.file = (const uint8_t *)file,
                                    .frames = FILE_FRAMES,
                                    .frame_bytes = sizeof(float),
                                    .io_frames = sizes[i][0],
                                    .way = ways[i][0]};
        struct rig_recorder recorder = {.capture = (uint8_t *)capture,
                                        .capacity = CAPTURE_FRAMES,
                                        .frame_bytes = sizeof(float),
                                        .io_frames = sizes[i][1],
                                        .way = ways[i][1]};
        rig_player_open(&player, rig.device);
        rig_recorder_open(&recorder, rig.device);
        for (int round = 0; round < 2; round++) {
            rig_fill(file, FILE_FRAMES, &info.outputs[0].physical, &random);
            rig_recorder_start(&recorder);
            rig_player_start(&player);
            rig_wait_recorded(&player, &recorder, 200, SECOND_NS / 100u);
            rig_player_stop(&player);
            rig_recorder_stop(&recorder);
            (void)rig_check_recording(&player, &recorder, "Simple");
        }
        rig_player_close(&player);
        rig_recorder_close(&recorder);
    }
    rig_check_clean(&rig);
    rig_finish(&rig);
}

int
main(void)
{
    struct session session = {.bundle = rig_open_bundle("Simple")};
    for (session.seed = 1; session.seed <= 4; session.seed++) {
        session.rate_hz = session.seed % 2u ? 44100.0 : 48000.0;
        const dx_simulation_config config = {.size = sizeof config, .seed = session.seed};
        dx_simulation_result result;
        rig_simulate(&config, run_session, &session, &result);
    }
    dx_bundle_close(session.bundle);
    return 0;
}
