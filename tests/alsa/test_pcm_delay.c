// SPDX-License-Identifier: MIT
// What the plug-in says of delays, against where sound is found: within one frame.

#include "tests/alsa/rig.h"

#include <math.h>
#include <string.h>

#define RATE_HZ 48000.0
#define MARK_FRAME 20000u // of what is played
#define MOST_FRAMES 200000u

struct frame {
    float left;
    float right;
};

static struct frame recording[MOST_FRAMES];

static snd_pcm_t *
open_pcm(snd_pcm_stream_t direction, snd_pcm_uframes_t period, unsigned periods)
{
    snd_pcm_t *pcm;
    CHECK_ALSA(rig_open_pcm(&pcm, "cable", direction, 0));
    snd_pcm_hw_params_t *hw;
    snd_pcm_hw_params_alloca(&hw);
    CHECK_ALSA(snd_pcm_hw_params_any(pcm, hw));
    CHECK_ALSA(snd_pcm_hw_params_set_access(pcm, hw, SND_PCM_ACCESS_RW_INTERLEAVED));
    CHECK_ALSA(snd_pcm_hw_params_set_format(pcm, hw, SND_PCM_FORMAT_FLOAT));
    CHECK_ALSA(snd_pcm_hw_params_set_period_size(pcm, hw, period, 0));
    CHECK_ALSA(snd_pcm_hw_params_set_periods(pcm, hw, periods, 0));
    CHECK_ALSA(snd_pcm_hw_params(pcm, hw));
    return pcm;
}

/* When frame 0 is, or was, heard: between these two times, as the clock is read before and after the question. */
struct moment {
    double from;
    double to;
};

/* @param frames  written, or read, so far. */
static struct moment
ask_when_heard(snd_pcm_t *pcm, bool plays, double frames)
{
    snd_pcm_sframes_t delay;
    const double before = (double)rig_now_ns() * RATE_HZ / 1e9;
    CHECK_ALSA(snd_pcm_delay(pcm, &delay));
    const double after = (double)rig_now_ns() * RATE_HZ / 1e9;
    const double distance = plays ? (double)delay - frames : -(double)delay - frames;
    return (struct moment){before + distance, after + distance};
}

/* What can be said of the first frames after all that was asked: each answer is right within half a frame. */
static void
narrow(struct moment *known, struct moment told)
{
    known->from = told.from - 1.0 > known->from ? told.from - 1.0 : known->from;
    known->to = told.to + 1.0 < known->to ? told.to + 1.0 : known->to;
}

/* The frame at which the mark is: a converter makes a pulse of it, and this is its middle. */
static uint32_t
find_mark(uint32_t frames)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < frames; i++)
        if (recording[i].left > recording[found].left)
            found = i;
    CHECK(recording[found].left > 0.5f);
    return found;
}

static void
check_sizes(snd_pcm_uframes_t period, unsigned periods, double device_hz)
{
    (void)fprintf(stderr, "  %lu x %u, the device at %g Hz\n", period, periods, device_hz);
    snd_pcm_t *const player = open_pcm(SND_PCM_STREAM_PLAYBACK, period, periods);
    snd_pcm_t *const recorder = open_pcm(SND_PCM_STREAM_CAPTURE, period, periods);
    CHECK_EQ(dx_device_set_sample_rate(rig_device(), device_hz), kIOReturnSuccess);
    struct frame frames[4800] = {{0}};
    CHECK(period <= 4800);

    struct moment played = {-INFINITY, INFINITY};
    struct moment heard = {-INFINITY, INFINITY};
    CHECK_ALSA(snd_pcm_start(recorder));
    uint32_t written = 0;
    uint32_t read = 0;
    const uint32_t end = MARK_FRAME + 2u * (uint32_t)(period * periods) + 9600u;
    CHECK(end <= MOST_FRAMES);
    while (read < end) {
        memset(frames, 0, sizeof frames);
        if (written <= MARK_FRAME && written + period > MARK_FRAME)
            frames[MARK_FRAME - written] = (struct frame){1.0f, -1.0f};
        written += (uint32_t)CHECK_ALSA(snd_pcm_writei(player, frames, period));
        if (written <= period * periods)
            continue; // the device's clock may not run yet
        narrow(&played, ask_when_heard(player, true, written));
        read += (uint32_t)CHECK_ALSA(snd_pcm_readi(recorder, recording + read, period));
        narrow(&heard, ask_when_heard(recorder, false, read));
    }
    CHECK_ALSA(snd_pcm_close(player));
    CHECK_ALSA(snd_pcm_close(recorder));

    CHECK_EQ(dx_device_set_sample_rate(rig_device(), RATE_HZ), kIOReturnSuccess);
    const uint32_t found = find_mark(read);
    /* The mark was heard at one time, and both told of it. */
    const double earliest = played.from + MARK_FRAME > heard.from + found ? played.from + MARK_FRAME : heard.from + found;
    const double latest = played.to + MARK_FRAME < heard.to + found ? played.to + MARK_FRAME : heard.to + found;
    (void)fprintf(stderr, "    played %.2f...%.2f, recorded %.2f...%.2f from then\n", played.from + MARK_FRAME - earliest,
                  played.to + MARK_FRAME - earliest, heard.from + found - earliest, heard.to + found - earliest);
    CHECK(played.from <= played.to && heard.from <= heard.to); // it never contradicts itself
    CHECK(earliest <= latest);
}

static void
delays_are_where_sound_is_found(void)
{
    check_sizes(480, 24, RATE_HZ);
    check_sizes(1024, 10, RATE_HZ);
    check_sizes(441, 25, RATE_HZ);
    check_sizes(4800, 4, RATE_HZ);
}

static void
delays_are_so_at_another_rate_than_the_devices_too(void)
{
    check_sizes(1024, 12, 96000);
    check_sizes(1024, 12, 44100);
}

int
main(void)
{
    const struct rig_config config = {.output_safety_frames = 61, .input_safety_frames = 17};
    rig_start(&config);
    RUN(delays_are_where_sound_is_found);
    RUN(delays_are_so_at_another_rate_than_the_devices_too);
    rig_finish();
    return 0;
}
