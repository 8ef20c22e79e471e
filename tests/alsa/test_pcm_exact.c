// SPDX-License-Identifier: MIT
// What is played through the plug-in is what is recorded through it: every frame, once, in order, bit for bit.

#include "tests/alsa/rig.h"

#include <pthread.h>
#include <string.h>

#define FRAMES 40000u // not a multiple of any size below
#define RATE_HZ 48000u
#define CHANNELS 2u

/* How a program moves its frames. */
enum way {
    WAY_RW,
    WAY_MMAP,
    WAY_NONBLOCK,
};

struct sizes {
    snd_pcm_format_t format;
    snd_pcm_uframes_t period;
    unsigned periods;
    enum way way;
};

static uint64_t random_state = 1;

/* Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (SplitMix64). */
static uint64_t
next_random(void)
{
    uint64_t z = (random_state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* Random samples; the first is loud and positive in every format, so that it is found again. */
static void
fill(uint8_t *data, size_t samples, snd_pcm_format_t format)
{
    const size_t bytes = (size_t)snd_pcm_format_physical_width(format) / 8u;
    for (size_t i = 0; i < samples; i++) {
        uint32_t value = (uint32_t)next_random();
        if (format == SND_PCM_FORMAT_FLOAT) {
            const float sample = (float)(int32_t)value / 2147483648.0f;
            memcpy(&value, &sample, sizeof value);
        } else if (format == SND_PCM_FORMAT_S24) {
            value = (uint32_t)((int32_t)value >> 8);
        }
        if (i == 0)
            value = format == SND_PCM_FORMAT_FLOAT ? 0x3F000000u : 0x00345678u; // 0.5
        memcpy(data + i * bytes, &value, bytes);
    }
}

static snd_pcm_t *
open_pcm(snd_pcm_stream_t direction, const struct sizes *sizes)
{
    snd_pcm_t *pcm;
    CHECK_ALSA(rig_open_pcm(&pcm, "cable", direction, sizes->way == WAY_NONBLOCK ? SND_PCM_NONBLOCK : 0));
    snd_pcm_hw_params_t *hw;
    snd_pcm_hw_params_alloca(&hw);
    CHECK_ALSA(snd_pcm_hw_params_any(pcm, hw));
    CHECK_ALSA(snd_pcm_hw_params_set_access(
        pcm, hw, sizes->way == WAY_MMAP ? SND_PCM_ACCESS_MMAP_INTERLEAVED : SND_PCM_ACCESS_RW_INTERLEAVED));
    CHECK_ALSA(snd_pcm_hw_params_set_format(pcm, hw, sizes->format));
    CHECK_ALSA(snd_pcm_hw_params_set_channels(pcm, hw, CHANNELS));
    CHECK_ALSA(snd_pcm_hw_params_set_rate(pcm, hw, RATE_HZ, 0));
    CHECK_ALSA(snd_pcm_hw_params_set_period_size(pcm, hw, sizes->period, 0));
    CHECK_ALSA(snd_pcm_hw_params_set_periods(pcm, hw, sizes->periods, 0));
    CHECK_ALSA(snd_pcm_hw_params(pcm, hw));
    return pcm;
}

/* Moves up to `frames` frames; waits through poll() where the program would. */
static snd_pcm_sframes_t
move(snd_pcm_t *pcm, bool plays, enum way way, uint8_t *data, snd_pcm_uframes_t frames)
{
    for (;;) {
        const snd_pcm_sframes_t n = way == WAY_MMAP ? (plays ? snd_pcm_mmap_writei(pcm, data, frames)
                                                             : snd_pcm_mmap_readi(pcm, data, frames))
                                                    : (plays ? snd_pcm_writei(pcm, data, frames)
                                                             : snd_pcm_readi(pcm, data, frames));
        if (n != -EAGAIN)
            return n;
        CHECK_EQ(way, WAY_NONBLOCK);
        CHECK(snd_pcm_wait(pcm, 5000) == 1);
    }
}

struct player {
    struct sizes sizes;
    uint8_t *data;
    uint32_t frames;
};

static void *
play(void *argument)
{
    struct player *const player = argument;
    const size_t bytes = (size_t)snd_pcm_format_physical_width(player->sizes.format) / 8u * CHANNELS;
    snd_pcm_t *const pcm = open_pcm(SND_PCM_STREAM_PLAYBACK, &player->sizes);
    for (uint32_t done = 0; done < player->frames;) {
        const uint32_t left = player->frames - done;
        const uint32_t part = left < 1234u ? left : 1234u;
        done += (uint32_t)CHECK_ALSA(move(pcm, true, player->sizes.way, player->data + done * bytes, part));
    }
    /* What is in the buffer has not been started where it is longer than the file. */
    int r;
    while ((r = snd_pcm_drain(pcm)) == -EAGAIN)
        CHECK(snd_pcm_wait(pcm, 5000) == 1);
    CHECK_ALSA(r);
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_SETUP);
    CHECK_ALSA(snd_pcm_close(pcm));
    return NULL;
}

static void
check_recording(const uint8_t *recording, uint32_t recorded, const uint8_t *file, uint32_t frames, size_t bytes)
{
    uint32_t first = 0;
    while (first < recorded && memcmp(recording + first * bytes, file, bytes / CHANNELS) != 0)
        first++;
    CHECK(first + frames + 1u <= recorded);
    for (uint32_t i = 0; i < frames; i++)
        if (memcmp(recording + (first + i) * bytes, file + i * bytes, bytes) != 0) {
            (void)fprintf(stderr, "frame %u of %u differs (first at %u)\n", i, frames, first);
            abort();
        }
    for (uint32_t i = 0; i < first * bytes; i++)
        CHECK_EQ(recording[i], 0);
    for (size_t i = (first + frames) * bytes; i < recorded * bytes; i++)
        CHECK_EQ(recording[i], 0);
}

static void
check_exact(const struct sizes *playing, const struct sizes *recording, uint32_t frames)
{
    (void)fprintf(stderr, "  %s, %lu x %u, way %d -> %s, %lu x %u, way %d\n", snd_pcm_format_name(playing->format),
                  playing->period, playing->periods, playing->way, snd_pcm_format_name(recording->format),
                  recording->period, recording->periods, recording->way);
    CHECK_EQ(playing->format, recording->format);
    const size_t bytes = (size_t)snd_pcm_format_physical_width(playing->format) / 8u * CHANNELS;
    struct player player = {.sizes = *playing, .data = calloc(frames, bytes), .frames = frames};
    const uint32_t most = frames + 8u * RATE_HZ;
    uint8_t *const recorded = calloc(most, bytes);
    CHECK(player.data && recorded);
    fill(player.data, (size_t)frames * CHANNELS, playing->format);

    snd_pcm_t *const pcm = open_pcm(SND_PCM_STREAM_CAPTURE, recording);
    CHECK_ALSA(snd_pcm_start(pcm));
    uint32_t count = 0;
    /* The recorder runs once the first frames came. */
    count += (uint32_t)CHECK_ALSA(move(pcm, false, recording->way, recorded, 100));
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, play, &player), 0);
    bool has_ended = false;
    for (uint32_t stop = most; count < stop;) {
        const uint32_t part = stop - count < 777u ? stop - count : 777u;
        count += (uint32_t)CHECK_ALSA(move(pcm, false, recording->way, recorded + count * bytes, part));
        if (!has_ended && pthread_tryjoin_np(thread, NULL) == 0) {
            has_ended = true;
            const uint32_t tail = 3u * (uint32_t)recording->period; // the last frames may be on their way
            stop = count + tail < most ? count + tail : most;
        }
    }
    CHECK(has_ended);
    CHECK_ALSA(snd_pcm_close(pcm));
    check_recording(recorded, count, player.data, frames, bytes);
    free(player.data);
    free(recorded);
}

static void
every_format_passes_unchanged(void)
{
    static const snd_pcm_format_t formats[] = {
        SND_PCM_FORMAT_FLOAT,
        SND_PCM_FORMAT_S16,
        SND_PCM_FORMAT_S24,
        SND_PCM_FORMAT_S24_3LE,
    };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const struct sizes sizes = {formats[i], 2400, 8, WAY_RW};
        check_exact(&sizes, &sizes, FRAMES);
    }
}

static void
every_way_and_size_passes_unchanged(void)
{
    static const struct {
        struct sizes playing;
        struct sizes recording;
    } cases[] = {
        {{SND_PCM_FORMAT_S16, 2400, 8, WAY_MMAP}, {SND_PCM_FORMAT_S16, 2400, 8, WAY_MMAP}},
        {{SND_PCM_FORMAT_S16, 2400, 8, WAY_NONBLOCK}, {SND_PCM_FORMAT_S16, 2400, 8, WAY_NONBLOCK}},
        {{SND_PCM_FORMAT_FLOAT, 64, 150, WAY_RW}, {SND_PCM_FORMAT_FLOAT, 64, 150, WAY_RW}},
        {{SND_PCM_FORMAT_FLOAT, 441, 23, WAY_MMAP}, {SND_PCM_FORMAT_FLOAT, 1001, 10, WAY_RW}},
        {{SND_PCM_FORMAT_S24, 4999, 2, WAY_RW}, {SND_PCM_FORMAT_S24, 4801, 2, WAY_NONBLOCK}},
        {{SND_PCM_FORMAT_S16, 6000, 32, WAY_RW}, {SND_PCM_FORMAT_S16, 6000, 32, WAY_RW}}, // 4 s
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_exact(&cases[i].playing, &cases[i].recording, FRAMES);
}

static void
a_file_shorter_than_the_buffer_is_heard_by_draining(void)
{
    const struct sizes sizes = {SND_PCM_FORMAT_S16, 4800, 4, WAY_RW};
    check_exact(&sizes, &sizes, 1);
    check_exact(&sizes, &sizes, 3000);
    const struct sizes waiting = {SND_PCM_FORMAT_S16, 4800, 4, WAY_NONBLOCK};
    check_exact(&waiting, &sizes, 3000);
}

int
main(void)
{
    const struct rig_config config = {.output_safety_frames = 0};
    rig_start(&config);
    RUN(every_format_passes_unchanged);
    RUN(every_way_and_size_passes_unchanged);
    RUN(a_file_shorter_than_the_buffer_is_heard_by_draining);
    rig_finish();
    return 0;
}
