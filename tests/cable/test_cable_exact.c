// SPDX-License-Identifier: MIT
// The cable hands on every bit: hashes of whole files at every rate, in every format, with every pair of client IO
// sizes, across ring edges, a stop and a restart, on the simulated clock.  And its latency is what is reported.
//
//   test_cable_exact [full | reduced]
//
// full, the default:
//   - 9 rates x 21 formats x 49 pairs of IO sizes of the player and the recorder; N is the smaller of the two, at
//     least 16.  21 formats: 7 layouts in this machine's byte order, in the other, and as non-mixable streams.
//   - 21 formats x 49 pairs x 7 sizes N set by dx_device_set_io_frames(), each format at one of the rates.
//   Each of these is two runs of IO with a file each, between which both clients stop and start again.  A file is
//   longer than two laps of the rings.  The rings are 2048 or 1777 frames where N is up to 512, and 16384 or 12501
//   where it is 4096.  The clients are, in turn: callbacks, blocking calls, one of each, and synchronous.
// reduced, for sanitizers: each format at one rate with all 49 pairs, N by the clients.

#include "tests/cable/rig.h"

#include <string.h>
#include <time.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const uint32_t rates[] = {48000, 44100, 88200, 96000, 176400, 192000, 32000, 16000, 8000};
static const uint32_t sizes[] = {1, 15, 64, 100, 441, 512, 4096};

/* Independent of examples/cable/cable.c: what is promised. */
static const struct layout {
    const char *name;
    uint32_t bits;
    uint32_t bytes;
    IOUserAudioFormatFlags flags;
} layouts[] = {
    {"f32", 32, 4, FormatFlagIsFloat | FormatFlagIsPacked},
    {"f64", 64, 8, FormatFlagIsFloat | FormatFlagIsPacked},
    {"s16", 16, 2, FormatFlagIsSignedInteger | FormatFlagIsPacked},
    {"s24_3", 24, 3, FormatFlagIsSignedInteger | FormatFlagIsPacked},
    {"s24_low", 24, 4, FormatFlagIsSignedInteger},
    {"s24_high", 24, 4, FormatFlagIsSignedInteger | FormatFlagIsAlignedHigh},
    {"s32", 32, 4, FormatFlagIsSignedInteger | FormatFlagIsPacked},
};

static const struct variant {
    const char *name;
    IOUserAudioFormatFlags flags;
} variants[] = {
    {"", FormatFlagsNativeEndian},
    {", swapped", FormatFlagsNativeEndian ^ FormatFlagIsBigEndian},
    {", non-mixable", FormatFlagsNativeEndian | FormatFlagIsNonMixable},
};

#define FORMATS (COUNT_OF(layouts) * COUNT_OF(variants))
#define CHANNELS 2u
#define SAMPLE_BYTES 8u

static IOUserAudioStreamBasicDescription
make_format(size_t format, uint32_t rate_hz)
{
    const struct layout *const layout = &layouts[format % COUNT_OF(layouts)];
    const uint32_t frame_bytes = layout->bytes * CHANNELS;
    return (IOUserAudioStreamBasicDescription){
        .mSampleRate = rate_hz,
        .mFormatID = IOUserAudioFormatIDLinearPCM,
        .mFormatFlags = layout->flags | variants[format / COUNT_OF(layouts)].flags,
        .mBytesPerPacket = frame_bytes,
        .mFramesPerPacket = 1,
        .mBytesPerFrame = frame_bytes,
        .mChannelsPerFrame = CHANNELS,
        .mBitsPerChannel = layout->bits,
    };
}

/* ---- one rate, one format, one N or that of the clients ---- */

#define FILE_CAPACITY 40000u
#define CAPTURE_CAPACITY 131072u
#define TAIL 200u

struct session {
    dx_bundle *bundle;
    size_t rate, format;
    uint32_t io_frames; // 0: the clients'
    uint64_t seed;
    /* Totals. */
    uint64_t pairs, files, frames, cycles;
};

static uint8_t file[FILE_CAPACITY * CHANNELS * SAMPLE_BYTES + 8u];
static uint8_t capture[CAPTURE_CAPACITY * CHANNELS * SAMPLE_BYTES];

static void
set_format(const struct rig *rig, const struct session *session)
{
    const IOUserAudioStreamBasicDescription format = make_format(session->format, rates[session->rate]);
    CHECK_OK(dx_device_set_sample_rate(rig->device, format.mSampleRate));
    CHECK_OK(dx_device_set_stream_format(rig->device, IOUserAudioStreamDirectionOutput, 0, &format));
    dx_host_settle(rig->host);
    const dx_device_info info = rig_info(rig);
    CHECK(info.sample_rate_hz == format.mSampleRate);
    CHECK(memcmp(&info.inputs[0].physical, &format, sizeof format) == 0);
    CHECK(memcmp(&info.outputs[0].physical, &format, sizeof format) == 0);
}

static void
run_pair(struct session *session, const struct rig *rig, uint32_t player_frames, uint32_t recorder_frames,
         size_t way, uint64_t *random)
{
    static const enum rig_way ways[][2] = {
        {RIG_CALLBACK, RIG_CALLBACK},       {RIG_BLOCKING, RIG_BLOCKING}, {RIG_CALLBACK, RIG_BLOCKING},
        {RIG_SYNCHRONOUS, RIG_SYNCHRONOUS}, {RIG_BLOCKING, RIG_CALLBACK},
    };
    const enum rig_way *const pair = ways[way % COUNT_OF(ways)];
    const dx_device_info info = rig_info(rig);
    uint32_t n = player_frames < recorder_frames ? player_frames : recorder_frames;
    n = session->io_frames ? session->io_frames : n < 16u ? 16u : n;

    struct rig_player player = {
        .file = file,
        .frame_bytes = info.outputs[0].client.mBytesPerFrame,
        .frames = 2u * info.ring_frames + 100u + rig_random(random) % 500u,
        .io_frames = player_frames,
        .lead_frames = way % 2u ? 0 : player_frames + n, // 0: the default
        .way = pair[0],
    };
    struct rig_recorder recorder = {
        .capture = capture,
        .capacity = CAPTURE_CAPACITY,
        .frame_bytes = info.inputs[0].client.mBytesPerFrame,
        .io_frames = recorder_frames,
        .way = pair[1],
    };
    CHECK(player.frames <= FILE_CAPACITY);
    char what[128];
    (void)snprintf(what, sizeof what, "%u Hz, %s%s, player %u (%d), recorder %u (%d), N %u, ring %u",
                   rates[session->rate], layouts[session->format % COUNT_OF(layouts)].name,
                   variants[session->format / COUNT_OF(layouts)].name, player_frames, (int)pair[0], recorder_frames,
                   (int)pair[1], n, info.ring_frames);

    rig_player_open(&player, rig->device);
    rig_recorder_open(&recorder, rig->device);
    for (int round = 0; round < 2; round++) {
        rig_fill(file, player.frames * CHANNELS, &info.outputs[0].physical, random);
        if (round == 0) {
            rig_recorder_start(&recorder);
            rig_player_start(&player);
        } else {
            rig_player_start(&player);
            rig_recorder_start(&recorder);
        }
        rig_wait_recorded(&player, &recorder, TAIL, SECOND_NS / 4u * info.ring_frames / rates[session->rate]);
        CHECK_EQ(rig_info(rig).io_frames, n);
        rig_player_stop(&player);
        rig_recorder_stop(&recorder);
        CHECK(!rig_info(rig).is_running);
        (void)rig_check_recording(&player, &recorder, what);
        session->files++;
        session->frames += player.frames;
    }
    rig_player_close(&player);
    rig_recorder_close(&recorder);
    session->pairs++;
}

static void
run_rings(struct session *session, uint32_t ring_frames, bool is_long, uint64_t *random)
{
    const struct rig_setting settings[] = {
        {"PeriodFrames", ring_frames}, {"Channels", CHANNELS}, {NULL, 0}};
    const dx_host_config config = {.size = sizeof config, .io_frames = 4096};
    struct rig rig;
    rig_start(&rig, session->bundle, &config, settings);
    set_format(&rig, session);
    CHECK_OK(dx_device_set_io_frames(rig.device, session->io_frames));
    for (size_t p = 0; p < COUNT_OF(sizes); p++)
        for (size_t r = 0; r < COUNT_OF(sizes); r++) {
            const uint32_t smaller = sizes[p] < sizes[r] ? sizes[p] : sizes[r];
            const uint32_t n = session->io_frames ? session->io_frames : smaller;
            if ((n > 512u) == is_long)
                run_pair(session, &rig, sizes[p], sizes[r], session->rate + session->format + p + 3u * r, random);
        }
    rig_check_clean(&rig);
    session->cycles += rig_statistics(&rig).cycles;
    rig_finish(&rig);
}

static void
run_session(void *argument)
{
    struct session *const session = argument;
    uint64_t random = session->seed;
    const bool odd = session->seed % 2u;
    if (session->io_frames <= 512u)
        run_rings(session, odd ? 1777u : 2048u, false, &random);
    if (session->io_frames == 0 || session->io_frames > 512u)
        run_rings(session, odd ? 12501u : 16384u, true, &random);
}

static void
simulate_session(struct session *session, size_t rate, size_t format, uint32_t io_frames)
{
    session->rate = rate;
    session->format = format;
    session->io_frames = io_frames;
    session->seed++;
    const dx_simulation_config config = {.size = sizeof config, .seed = session->seed};
    dx_simulation_result result;
    rig_simulate(&config, run_session, session, &result);
}

/* ---- latency: application -> cable -> application ---- */

/* Plays an impulse and counts the frames until it comes back. */
struct echo {
    uint32_t frames_per_callback; // the last
    uint64_t frames;
    uint64_t sent_at, heard_at; // by the client's own count
    uint64_t apart;             // from input to output, in device time
    uint64_t changes;           // of that
};

#define IMPULSE_AT 5000u

static void
send_and_listen(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct echo *const echo = context;
    const float *const in = input;
    float *const out = output;
    for (uint32_t i = 0; i < cycle->frames; i++) {
        if (in[CHANNELS * i] != 0.0f && !echo->heard_at)
            echo->heard_at = echo->frames + i;
        if (echo->frames + i == IMPULSE_AT) {
            out[CHANNELS * i] = 1.0f;
            echo->sent_at = IMPULSE_AT;
        }
    }
    const uint64_t apart = cycle->output_time - cycle->input_time;
    echo->changes += echo->frames && apart != echo->apart;
    echo->apart = apart;
    echo->frames += cycle->frames;
}

struct latency_case {
    dx_bundle *bundle;
    uint32_t io_frames, input_safety, output_safety;
    uint32_t client_frames; // 0: synchronous
    uint32_t lead_frames;   // 0: the default, of which only the report tells
};

static void
run_latency(void *argument)
{
    const struct latency_case *const one = argument;
    const struct rig_setting settings[] = {{"InputSafetyOffset", one->input_safety},
                                           {"OutputSafetyOffset", one->output_safety},
                                           {NULL, 0}};
    struct rig rig;
    rig_start(&rig, one->bundle, NULL, settings);
    CHECK_OK(dx_device_set_io_frames(rig.device, one->io_frames));
    struct echo echo = {0};
    const dx_client_config config = {
        .size = sizeof config,
        .flags = one->client_frames ? 0u : DX_CLIENT_SYNCHRONOUS,
        .name = "echo",
        .output_stream = 0,
        .input_stream = 0,
        .io_frames = one->client_frames,
        .lead_frames = one->lead_frames,
        .callback = send_and_listen,
        .context = &echo,
    };
    dx_client *client = NULL;
    CHECK_OK(dx_client_open(rig.device, &config, &client));
    CHECK_OK(dx_client_start(client));
    dx_clock *const clock = dx_clock_current();
    dx_clock_sleep_until(clock, dx_clock_now_ns(clock) + SECOND_NS);
    dx_client_status status = {.size = sizeof status};
    CHECK_OK(dx_client_get_status(client, &status));
    dx_client_close(client);
    rig_check_clean(&rig);
    rig_finish(&rig);

    const uint64_t n = one->io_frames;
    const uint64_t lead = one->lead_frames;
    const uint64_t measured = echo.heard_at - echo.sent_at;
    const uint64_t reported = (uint64_t)status.output_latency_frames + status.input_latency_frames;
    uint64_t due = 2u * n + one->input_safety + one->output_safety + lead;
    if (one->client_frames && !lead)
        due = reported;
    (void)fprintf(stderr, "  N %u, Si %u, So %u, callbacks of %u, lead %llu: %llu measured, %llu reported\n",
                  one->io_frames, one->input_safety, one->output_safety, one->client_frames,
                  (unsigned long long)lead, (unsigned long long)measured, (unsigned long long)reported);
    CHECK(echo.heard_at > IMPULSE_AT);
    CHECK_EQ(echo.changes, 0);
    CHECK_EQ(measured, echo.apart);
    CHECK_EQ(reported, due);
    CHECK_EQ(measured, due);
}

static void
test_latency(dx_bundle *bundle)
{
    static const struct latency_case cases[] = {
        {NULL, 64, 0, 0, 0, 0},    {NULL, 64, 17, 40, 0, 0},   {NULL, 441, 100, 3, 0, 0}, {NULL, 1, 0, 0, 0, 0},
        {NULL, 4096, 5, 7, 0, 0},  {NULL, 64, 0, 0, 64, 128},  {NULL, 64, 17, 40, 441, 700},
        {NULL, 441, 100, 3, 64, 600}, {NULL, 512, 0, 0, 512, 0}, {NULL, 64, 0, 0, 100, 0}, {NULL, 1, 3, 4, 1, 2},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct latency_case one = cases[i];
        one.bundle = bundle;
        dx_simulation_result result;
        rig_simulate(&(dx_simulation_config){.size = sizeof(dx_simulation_config), .seed = i}, run_latency, &one,
                     &result);
    }
}

static double
now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int
main(int argc, char **argv)
{
    const bool reduced = argc > 1 && strcmp(argv[1], "reduced") == 0;
    if (argc > 2 || (argc == 2 && !reduced && strcmp(argv[1], "full") != 0)) {
        (void)fprintf(stderr, "use: test_cable_exact [full | reduced]\n");
        return 2;
    }

    const double begin = now_s();
    struct session session = {.bundle = rig_open_bundle("Cable")};
    test_latency(session.bundle);
    if (reduced) {
        for (size_t format = 0; format < FORMATS; format++)
            simulate_session(&session, format % COUNT_OF(rates), format, 0);
    } else {
        for (size_t rate = 0; rate < COUNT_OF(rates); rate++)
            for (size_t format = 0; format < FORMATS; format++)
                simulate_session(&session, rate, format, 0);
        (void)fprintf(stderr, "N by the clients: %.1f s\n", now_s() - begin);
        for (size_t size = 0; size < COUNT_OF(sizes); size++)
            for (size_t format = 0; format < FORMATS; format++)
                simulate_session(&session, (format + size) % COUNT_OF(rates), format, sizes[size]);
    }
    dx_bundle_close(session.bundle);
    (void)fprintf(stderr, "%llu combinations, %llu files, %llu frames, %llu cycles: bit-exact; %.1f s\n",
                  (unsigned long long)session.pairs, (unsigned long long)session.files,
                  (unsigned long long)session.frames, (unsigned long long)session.cycles, now_s() - begin);
    return 0;
}
