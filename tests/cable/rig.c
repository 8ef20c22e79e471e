// SPDX-License-Identifier: MIT
// A bundle in a host, files of random samples, a player and a recorder.

#include "tests/cable/rig.h"

#include <string.h>

#ifndef EXAMPLES_DIR
#    define EXAMPLES_DIR "examples" // programs that load no bundle need none
#endif

/* ---- a driver in a host ---- */

dx_bundle *
rig_open_bundle(const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s.dext", EXAMPLES_DIR, name);
    dx_bundle *bundle = NULL;
    dx_error error = {{0}};
    if (dx_bundle_open(path, &bundle, &error) != kIOReturnSuccess) {
        (void)fprintf(stderr, "%s: %s\n", path, error.message);
        abort();
    }
    return bundle;
}

void
rig_start(struct rig *rig, dx_bundle *bundle, const dx_host_config *config, const struct rig_setting *settings)
{
    memset(rig, 0, sizeof *rig);
    rig->properties = OSDictionaryCreateWithDictionary(dx_bundle_personality(bundle, 0));
    CHECK(rig->properties);
    for (; settings && settings->key; settings++)
        CHECK(OSDictionarySetUInt64Value(rig->properties, settings->key, settings->value));

    CHECK_OK(dx_bundle_create_driver(bundle, 0, &rig->driver, NULL));
    CHECK_OK(dx_host_create(config, &rig->host));
    CHECK_OK(dx_host_start_driver(rig->host, rig->driver, rig->properties));
    dx_host_settle(rig->host);
    CHECK_EQ(dx_host_copy_devices(rig->host, &rig->device, 1), 1);
}

void
rig_finish(struct rig *rig)
{
    dx_device_release(rig->device);
    CHECK_OK(dx_host_stop_driver(rig->host, rig->driver));
    dx_host_destroy(rig->host);
    OSObjectRelease(rig->driver);
    OSObjectRelease(rig->properties);
    memset(rig, 0, sizeof *rig);
}

dx_device_info
rig_info(const struct rig *rig)
{
    dx_device_info info = {.size = sizeof info};
    CHECK_OK(dx_device_get_info(rig->device, &info));
    return info;
}

dx_device_statistics
rig_statistics(const struct rig *rig)
{
    dx_device_statistics statistics = {.size = sizeof statistics};
    CHECK_OK(dx_device_get_statistics(rig->device, &statistics));
    return statistics;
}

void
rig_check_clean(const struct rig *rig)
{
    const dx_device_statistics statistics = rig_statistics(rig);
    CHECK_EQ(statistics.late_cycles, 0);
    CHECK_EQ(statistics.overloads, 0);
    CHECK_EQ(statistics.skipped_input_frames, 0);
    CHECK_EQ(statistics.skipped_output_frames, 0);
    CHECK_EQ(statistics.bad_stamps, 0);
    CHECK_EQ(statistics.handler_errors, 0);
    CHECK_EQ(statistics.limited_samples, 0);
}

/* ---- samples ---- */

/* Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (SplitMix64). */
uint64_t
rig_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

uint64_t
rig_hash(uint64_t hash, const void *data, size_t bytes)
{
    const uint8_t *const from = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ from[i]) * UINT64_C(0x100000001B3);
    return hash;
}

static float
random_float(uint64_t *random, size_t index)
{
    static const uint32_t special[] = {
        0x00000000u, 0x80000000u,              // 0, -0
        0x00000001u, 0x807FFFFFu,              // the smallest and the largest denormal
        0x00800000u, 0x3F800000u, 0xBF800001u, // the smallest normal, 1, what is just beyond -1
        0x41800000u, 0xC1800000u,              // 16, -16
    };
    uint32_t bits = (uint32_t)rig_random(random);
    if (index < sizeof special / sizeof special[0])
        bits = special[index];
    else if ((bits >> 23 & 0xFFu) >= 131u) // 16 and more, infinities, NaN
        bits = (bits & 0x807FFFFFu) | (bits >> 23 & 0x7Fu) << 23;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* k / 2^(bits - 1), where k has at most 24 significant bits; both ends of the range first. */
static float
random_integer(uint32_t bits, uint64_t *random, size_t index)
{
    const double scale = (double)(UINT64_C(1) << (bits - 1u));
    uint64_t raw = rig_random(random);
    if (index == 0)
        return -1.0f;
    if (index == 1)
        return bits <= 24 ? (float)((scale - 1.0) / scale) : (float)((scale - 256.0) / scale);
    const uint32_t significant = bits < 24 ? bits : 24;
    int64_t k = (int64_t)(raw & ((UINT64_C(1) << significant) - 1u)) - (INT64_C(1) << (significant - 1u));
    if (bits > 24)
        k *= INT64_C(1) << (raw >> 40) % (bits - 24u + 1u);
    return (float)((double)k / scale);
}

void
rig_fill(void *samples, size_t count, const IOUserAudioStreamBasicDescription *physical, uint64_t *random)
{
    if (physical->mFormatFlags & FormatFlagIsNonMixable) {
        const size_t bytes = count * (physical->mBytesPerFrame / physical->mChannelsPerFrame);
        uint8_t *const to = samples;
        for (size_t i = 0; i < bytes; i += 8u) {
            const uint64_t word = rig_random(random);
            memcpy(to + i, &word, bytes - i < 8u ? bytes - i : 8u);
        }
        return;
    }
    float *const to = samples;
    const bool is_float = physical->mFormatFlags & FormatFlagIsFloat;
    for (size_t i = 0; i < count; i++)
        to[i] = is_float ? random_float(random, i) : random_integer(physical->mBitsPerChannel, random, i);
}

/* ---- the player ---- */

/* Frames from where the file stands, silence after it. */
static void
copy_file(const struct rig_player *player, uint64_t position, void *to, uint32_t frames)
{
    const uint64_t left = position < player->frames ? player->frames - position : 0;
    const uint32_t n = left < frames ? (uint32_t)left : frames;
    if (n)
        memcpy(to, player->file + position * player->frame_bytes, n * player->frame_bytes);
    memset((uint8_t *)to + n * player->frame_bytes, 0, (frames - n) * player->frame_bytes);
}

static void
note_position(_Atomic uint64_t *base, _Atomic uint64_t *moved, uint64_t *next, uint64_t time, uint32_t frames)
{
    if (atomic_load(base) == RIG_MANY)
        atomic_store(base, time);
    else if (*next != time)
        atomic_fetch_add(moved, 1);
    *next = time + frames;
}

static void
play(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct rig_player *const player = context;
    (void)input;
    note_position(&player->base, &player->moved, &player->next, cycle->output_time, cycle->frames);
    copy_file(player, atomic_load(&player->played), output, cycle->frames);
    atomic_fetch_add(&player->played, cycle->frames);
}

static void
play_blocking(void *argument)
{
    struct rig_player *const player = argument;
    uint64_t position = atomic_load(&player->played);
    while (position < player->frames && !atomic_load(&player->ending)) {
        const uint64_t left = player->frames - position;
        const uint32_t frames = left < player->io_frames ? (uint32_t)left : player->io_frames;
        uint32_t written = 0;
        CHECK_OK(dx_client_write(player->client, player->file + position * player->frame_bytes, frames, DX_NEVER,
                                 &written));
        CHECK_EQ(written, frames);
        position += frames;
        atomic_store(&player->played, position);
    }
    CHECK_OK(dx_client_drain(player->client, DX_NEVER));
}

void
rig_player_open(struct rig_player *player, dx_device *device)
{
    const dx_client_config config = {
        .size = sizeof config,
        .flags = player->way == RIG_SYNCHRONOUS ? DX_CLIENT_SYNCHRONOUS : 0u,
        .name = "player",
        .output_stream = 0,
        .input_stream = DX_NO_STREAM,
        .io_frames = player->io_frames,
        .lead_frames = player->lead_frames,
        .buffer_frames = player->buffer_frames,
        .callback = player->way == RIG_BLOCKING ? NULL : play,
        .context = player,
    };
    CHECK_OK(dx_client_open(device, &config, &player->client));
}

void
rig_player_start(struct rig_player *player)
{
    atomic_store(&player->base, RIG_MANY);
    atomic_store(&player->played, 0);
    atomic_store(&player->moved, 0);
    atomic_store(&player->ending, false);
    if (player->way == RIG_BLOCKING) {
        /* Frame 0 is written before the start, and heard first. */
        const uint32_t frames = player->frames < player->io_frames ? (uint32_t)player->frames : player->io_frames;
        CHECK_OK(dx_client_write(player->client, player->file, frames, 0, NULL));
        atomic_store(&player->played, frames);
    }
    CHECK_OK(dx_client_start(player->client));
    if (player->way == RIG_BLOCKING) {
        dx_client_status status = {.size = sizeof status};
        CHECK_OK(dx_client_get_status(player->client, &status));
        atomic_store(&player->base, status.output_base);
        const dx_task_config task = {.name = "player"};
        CHECK_OK(dx_task_spawn(dx_clock_current(), &task, play_blocking, player, &player->task));
    }
}

void
rig_player_stop(struct rig_player *player)
{
    atomic_store(&player->ending, true);
    dx_task_join(player->task);
    player->task = NULL;
    dx_client_status status = {.size = sizeof status};
    CHECK_OK(dx_client_get_status(player->client, &status));
    if (player->way == RIG_BLOCKING)
        atomic_store(&player->moved, status.output_base != atomic_load(&player->base));
    CHECK_EQ(status.limited_samples, 0);
    player->underruns = status.underrun_frames;
    dx_client_stop(player->client);
}

void
rig_player_close(struct rig_player *player)
{
    dx_client_close(player->client);
    player->client = NULL;
}

/* ---- the recorder ---- */

static void
record(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct rig_recorder *const recorder = context;
    (void)output;
    note_position(&recorder->base, &recorder->moved, &recorder->next, cycle->input_time, cycle->frames);
    const uint64_t position = atomic_load(&recorder->frames);
    const uint64_t left = recorder->capacity > position ? recorder->capacity - position : 0;
    const uint32_t n = left < cycle->frames ? (uint32_t)left : cycle->frames;
    if (n)
        memcpy(recorder->capture + position * recorder->frame_bytes, input, n * recorder->frame_bytes);
    atomic_store(&recorder->frames, position + n);
}

static void
record_blocking(void *argument)
{
    struct rig_recorder *const recorder = argument;
    uint64_t position = 0;
    while (position + recorder->io_frames <= recorder->capacity && !atomic_load(&recorder->ending)) {
        uint32_t got = 0;
        const kern_return_t status =
            dx_client_read(recorder->client, recorder->capture + position * recorder->frame_bytes,
                           recorder->io_frames, DX_NEVER, &got);
        CHECK(status == kIOReturnSuccess || status == kIOReturnOverrun);
        CHECK_EQ(got, recorder->io_frames);
        position += got;
        atomic_store(&recorder->frames, position);
    }
}

void
rig_recorder_open(struct rig_recorder *recorder, dx_device *device)
{
    const dx_client_config config = {
        .size = sizeof config,
        .flags = recorder->way == RIG_SYNCHRONOUS ? DX_CLIENT_SYNCHRONOUS : 0u,
        .name = "recorder",
        .output_stream = DX_NO_STREAM,
        .input_stream = 0,
        .io_frames = recorder->io_frames,
        .callback = recorder->way == RIG_BLOCKING ? NULL : record,
        .context = recorder,
    };
    CHECK_OK(dx_client_open(device, &config, &recorder->client));
}

void
rig_recorder_start(struct rig_recorder *recorder)
{
    atomic_store(&recorder->base, RIG_MANY);
    atomic_store(&recorder->frames, 0);
    atomic_store(&recorder->moved, 0);
    recorder->overruns = 0;
    atomic_store(&recorder->ending, false);
    CHECK_OK(dx_client_start(recorder->client));
    if (recorder->way == RIG_BLOCKING) {
        dx_client_status status = {.size = sizeof status};
        CHECK_OK(dx_client_get_status(recorder->client, &status));
        atomic_store(&recorder->base, status.input_base);
        const dx_task_config task = {.name = "recorder"};
        CHECK_OK(dx_task_spawn(dx_clock_current(), &task, record_blocking, recorder, &recorder->task));
    }
}

void
rig_recorder_stop(struct rig_recorder *recorder)
{
    atomic_store(&recorder->ending, true);
    dx_task_join(recorder->task);
    recorder->task = NULL;
    dx_client_status status = {.size = sizeof status};
    CHECK_OK(dx_client_get_status(recorder->client, &status));
    recorder->overruns = status.overrun_frames;
    dx_client_stop(recorder->client);
}

void
rig_recorder_close(struct rig_recorder *recorder)
{
    dx_client_close(recorder->client);
    recorder->client = NULL;
}

/* ---- both ---- */

void
rig_wait_recorded(const struct rig_player *player, const struct rig_recorder *recorder, size_t tail,
                  uint64_t pause_ns)
{
    dx_clock *const clock = dx_clock_current();
    for (;;) {
        const uint64_t base = atomic_load(&player->base);
        const uint64_t from = atomic_load(&recorder->base);
        const uint64_t frames = atomic_load(&recorder->frames);
        if (base != RIG_MANY && from != RIG_MANY && from + frames >= base + player->frames + tail)
            return;
        if (frames + recorder->io_frames > recorder->capacity) {
            (void)fprintf(stderr, "the recording is full: %llu frames from %llu on, the file is at %llu\n",
                          (unsigned long long)frames, (unsigned long long)from, (unsigned long long)base);
            abort();
        }
        dx_clock_sleep_until(clock, dx_clock_now_ns(clock) + pause_ns);
    }
}

/* Says where a recording is not what it should be. */
static void
explain(const struct rig_player *player, const struct rig_recorder *recorder, uint64_t head, const char *what)
{
    const size_t bytes = recorder->frame_bytes;
    const uint64_t frames = atomic_load(&recorder->frames);
    uint64_t wrong = 0, first = 0, last = 0;
    for (uint64_t f = 0; f < frames; f++) {
        const uint8_t *const is = recorder->capture + f * bytes;
        bool differs = false;
        if (f >= head && f < head + player->frames)
            differs = memcmp(is, player->file + (f - head) * bytes, bytes) != 0;
        else
            for (size_t i = 0; i < bytes; i++)
                differs |= is[i] != 0;
        if (differs && wrong < 4u) {
            (void)fprintf(stderr, "  frame %lld:", (long long)(f - head));
            for (size_t i = 0; i < bytes; i++)
                (void)fprintf(stderr, " %02x", is[i]);
            (void)fprintf(stderr, ", must be");
            for (size_t i = 0; f >= head && f < head + player->frames && i < bytes; i++)
                (void)fprintf(stderr, " %02x", player->file[(f - head) * bytes + i]);
            (void)fprintf(stderr, "\n");
        }
        if (differs) {
            first = wrong++ ? first : f;
            last = f;
        }
    }
    (void)fprintf(stderr, "%s: %llu of %llu frames differ, the first is %lld of a file of %zu, the last is %lld\n",
                  what, (unsigned long long)wrong, (unsigned long long)frames, (long long)(first - head),
                  player->frames, (long long)(last - head));
}

uint64_t
rig_check_recording(const struct rig_player *player, const struct rig_recorder *recorder, const char *what)
{
    CHECK_EQ(player->frame_bytes, recorder->frame_bytes);
    const size_t bytes = recorder->frame_bytes;
    const uint64_t frames = atomic_load(&recorder->frames);
    const uint64_t from = atomic_load(&recorder->base);
    const uint64_t base = atomic_load(&player->base);
    CHECK(base >= from && base - from + player->frames <= frames);
    const uint64_t head = base - from;
    const uint64_t tail = frames - head - player->frames;

    static const uint8_t silence[4096];
    uint64_t expected = RIG_FNV_OFFSET;
    for (uint64_t left = head * bytes; left; left -= left < sizeof silence ? left : sizeof silence)
        expected = rig_hash(expected, silence, left < sizeof silence ? left : sizeof silence);
    expected = rig_hash(expected, player->file, player->frames * bytes);
    for (uint64_t left = tail * bytes; left; left -= left < sizeof silence ? left : sizeof silence)
        expected = rig_hash(expected, silence, left < sizeof silence ? left : sizeof silence);

    const uint64_t hash = rig_hash(RIG_FNV_OFFSET, recorder->capture, frames * bytes);
    if (hash != expected)
        explain(player, recorder, head, what);
    if (atomic_load(&player->moved) || atomic_load(&recorder->moved) || player->underruns || recorder->overruns)
        (void)fprintf(stderr, "%s: the player was moved %llu times, the recorder %llu times; %llu and %llu frames lost\n",
                      what, (unsigned long long)atomic_load(&player->moved),
                      (unsigned long long)atomic_load(&recorder->moved), (unsigned long long)player->underruns,
                      (unsigned long long)recorder->overruns);
    CHECK_EQ(hash, expected);
    CHECK_EQ(atomic_load(&player->moved), 0);
    CHECK_EQ(atomic_load(&recorder->moved), 0);
    CHECK_EQ(player->underruns, 0);
    CHECK_EQ(recorder->overruns, 0);
    return hash;
}

void
rig_simulate(const dx_simulation_config *config, void (*function)(void *argument), void *argument,
             dx_simulation_result *result)
{
    const kern_return_t status = dx_simulate(config, function, argument, result);
    if (status != kIOReturnSuccess) {
        (void)fprintf(stderr, "simulation: %s: %s\n", dx_return_string(status), result->message);
        abort();
    }
    CHECK(result->repeatable);
}
