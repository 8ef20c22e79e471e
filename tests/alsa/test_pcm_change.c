// SPDX-License-Identifier: MIT
// A device that becomes another one while programs play and record: they go on with what they agreed upon.

#include "tests/alsa/rig.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define PI 3.14159265358979323846
#define RATE_HZ 48000u
#define TONE_HZ 1000.0
#define PERIOD_FRAMES 2400u
#define PERIODS 8u
#define MOST_FRAMES (20u * RATE_HZ)
/* 200 ms, and what stopping and starting the driver takes. */
#define MOST_SILENCE_FRAMES (RATE_HZ / 5u + RATE_HZ / 10u)

struct frame {
    float left;
    float right;
};

static struct frame recording[MOST_FRAMES];
static _Atomic uint32_t recorded;
static _Atomic bool is_ending;

static snd_pcm_t *
open_pcm(snd_pcm_stream_t direction)
{
    snd_pcm_t *pcm;
    CHECK_ALSA(rig_open_pcm(&pcm, "cable", direction, 0));
    return pcm;
}

static void
set_sizes(snd_pcm_t *pcm)
{
    snd_pcm_hw_params_t *hw;
    snd_pcm_hw_params_alloca(&hw);
    CHECK_ALSA(snd_pcm_hw_params_any(pcm, hw));
    CHECK_ALSA(snd_pcm_hw_params_set_access(pcm, hw, SND_PCM_ACCESS_RW_INTERLEAVED));
    CHECK_ALSA(snd_pcm_hw_params_set_format(pcm, hw, SND_PCM_FORMAT_FLOAT));
    CHECK_ALSA(snd_pcm_hw_params_set_rate(pcm, hw, RATE_HZ, 0));
    CHECK_ALSA(snd_pcm_hw_params_set_period_size(pcm, hw, PERIOD_FRAMES, 0));
    CHECK_ALSA(snd_pcm_hw_params_set_periods(pcm, hw, PERIODS, 0));
    CHECK_ALSA(snd_pcm_hw_params(pcm, hw));
}

/* As aplay does: the first frames play when the buffer is full, not when the first of them are there. */
static void
start_when_full(snd_pcm_t *pcm)
{
    snd_pcm_sw_params_t *sw;
    snd_pcm_sw_params_alloca(&sw);
    CHECK_ALSA(snd_pcm_sw_params_current(pcm, sw));
    CHECK_ALSA(snd_pcm_sw_params_set_start_threshold(pcm, sw, PERIOD_FRAMES * PERIODS));
    CHECK_ALSA(snd_pcm_sw_params(pcm, sw));
}

static void
set_rate(double rate_hz)
{
    CHECK_EQ(dx_device_set_sample_rate(rig_device(), rate_hz), kIOReturnSuccess);
}

static void
sleep_ms(unsigned ms)
{
    dx_clock_sleep_until(dx_clock_host(), rig_now_ns() + (uint64_t)ms * 1000000u);
}

static void *
record(void *argument)
{
    snd_pcm_t *const pcm = argument;
    uint32_t count = 0;
    while (!atomic_load(&is_ending)) {
        CHECK(count + PERIOD_FRAMES <= MOST_FRAMES);
        count += (uint32_t)CHECK_ALSA(snd_pcm_readi(pcm, recording + count, PERIOD_FRAMES));
        atomic_store(&recorded, count);
    }
    CHECK_ALSA(snd_pcm_close(pcm));
    return NULL;
}

/* Plays a tone, and checks that the position never goes back; frame i has the number i + 1 in its right channel. */
static void *
play(void *argument)
{
    snd_pcm_t *const pcm = argument;
    struct frame frames[480];
    uint32_t written = 0;
    int64_t position = 0;
    while (!atomic_load(&is_ending)) {
        for (uint32_t i = 0; i < 480; i++) {
            const uint32_t number = written + i;
            frames[i].left = (float)(0.5 * sin(2.0 * PI * TONE_HZ * number / RATE_HZ));
            frames[i].right = (float)(number + 1u) / 4194304.0f;
        }
        written += (uint32_t)CHECK_ALSA(snd_pcm_writei(pcm, frames, 480));
        const int64_t now = (int64_t)written + CHECK_ALSA(snd_pcm_avail(pcm)) - (int64_t)(PERIOD_FRAMES * PERIODS);
        CHECK(now >= position);
        position = now;
    }
    CHECK_ALSA(snd_pcm_close(pcm));
    return NULL;
}

static pthread_t player, recorder;

static void
start_both(void)
{
    snd_pcm_t *const to = open_pcm(SND_PCM_STREAM_PLAYBACK);
    snd_pcm_t *const from = open_pcm(SND_PCM_STREAM_CAPTURE);
    set_sizes(to);
    start_when_full(to);
    set_sizes(from);
    atomic_store(&is_ending, false);
    atomic_store(&recorded, 0);
    memset(recording, 0, sizeof recording);
    CHECK_EQ(pthread_create(&recorder, NULL, record, from), 0);
    CHECK_EQ(pthread_create(&player, NULL, play, to), 0);
    while (atomic_load(&recorded) < RATE_HZ / 2u)
        sleep_ms(1);
}

static uint32_t
stop_both(void)
{
    atomic_store(&is_ending, true);
    CHECK_EQ(pthread_join(player, NULL), 0);
    CHECK_EQ(pthread_join(recorder, NULL), 0);
    return atomic_load(&recorded);
}

static bool
is_silent(uint32_t frame)
{
    return recording[frame].left == 0.0f && recording[frame].right == 0.0f;
}

/* As good as silent: a converter rings a little before and after sound.  The tone is so for a frame at a time. */
static bool
is_quiet(uint32_t frame)
{
    return fabsf(recording[frame].left) < 1e-3f;
}

/*
 * The recording is the tone, with silence where the device changed and nowhere else.  Around a silence the converter has less
 * than the tone to work with, and for as long it may be less than that.
 *
 * @return how many silences there are after the first sound.
 */
static unsigned
check_tone(uint32_t end)
{
    const double step = 2.0 * cos(2.0 * PI * TONE_HZ / RATE_HZ);
    const uint32_t edge = 1000; // frames that two converters look at, at 8 kHz
    unsigned silences = 0;
    uint32_t first = 0;
    while (first < end && is_quiet(first))
        first++;
    CHECK(first < end);
    for (uint32_t at = first; at < end;) {
        uint32_t stop = at;
        uint32_t quiet = 0; // silent frames in a row: the tone crosses zero too
        while (stop < end && quiet < 24u) {
            quiet = is_quiet(stop) ? quiet + 1u : 0;
            stop++;
        }
        for (uint32_t i = at + edge; i + edge < stop - quiet; i++) {
            const double error = recording[i + 1].left - step * recording[i].left + recording[i - 1].left;
            if (fabs(error) > 2e-4) {
                (void)fprintf(stderr, "frame %u (%u ... %u): off by %g\n", i, at, stop - quiet, error);
                abort();
            }
        }
        if (stop == end)
            break;
        uint32_t next = stop;
        while (next < end && is_quiet(next))
            next++;
        (void)fprintf(stderr, "  silent for %u frames from %u on\n", next - stop + quiet, stop - quiet);
        CHECK(next - stop + quiet < MOST_SILENCE_FRAMES);
        silences++;
        at = next;
    }
    return silences;
}

static void
a_tone_stays_the_same_tone(void)
{
    static const double rates[] = {96000, 44100, 8000, 192000, RATE_HZ};
    start_both();
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        set_rate(rates[i]);
        sleep_ms(500);
    }
    const uint32_t end = stop_both();
    CHECK(check_tone(end) >= 5);
    /* The last part is not converted any more: the numbers follow one another, to the bit. */
    for (uint32_t i = end - RATE_HZ / 10u; i < end; i++)
        CHECK(recording[i].right - recording[i - 1].right == 1.0f / 4194304.0f);
}

static bool
refuse(void *context, dx_device *device, uint64_t action)
{
    (void)context;
    (void)device;
    (void)action;
    return true;
}

static void
a_change_that_is_aborted_leaves_everything_as_it_was(void)
{
    start_both();
    rig_set_veto(refuse);
    CHECK_EQ(dx_device_set_sample_rate(rig_device(), 96000.0), kIOReturnAborted);
    rig_set_veto(NULL);
    sleep_ms(500);
    const uint32_t end = stop_both();
    uint32_t first = 0;
    while (first < end && is_silent(first))
        first++;
    CHECK(first + RATE_HZ / 2u < end);
    /* Every frame that is heard is where it would have been. */
    for (uint32_t i = first; i < end; i++)
        CHECK(is_silent(i) || recording[i].right * 4194304.0f == (float)(i - first + 1u));
    CHECK(!is_silent(end - 1u));
}

static void
a_device_may_change_in_a_pause_and_before_a_start(void)
{
    snd_pcm_t *const from = open_pcm(SND_PCM_STREAM_CAPTURE);
    snd_pcm_t *const to = open_pcm(SND_PCM_STREAM_PLAYBACK);
    set_rate(96000); // what was offered before is still what it plays
    set_sizes(to);
    set_sizes(from);
    atomic_store(&is_ending, false);
    atomic_store(&recorded, 0);
    memset(recording, 0, sizeof recording);
    CHECK_EQ(pthread_create(&recorder, NULL, record, from), 0);
    while (!atomic_load(&recorded))
        sleep_ms(1);

    static struct frame frames[PERIOD_FRAMES * PERIODS];
    for (uint32_t i = 0; i < PERIOD_FRAMES * PERIODS; i++)
        frames[i].left = frames[i].right = (float)(0.5 * sin(2.0 * PI * TONE_HZ * i / RATE_HZ));
    CHECK_EQ(snd_pcm_writei(to, frames, PERIOD_FRAMES * PERIODS), PERIOD_FRAMES * PERIODS);
    sleep_ms(150);
    CHECK_ALSA(snd_pcm_pause(to, 1));
    sleep_ms(100); // what the pause lets through is heard
    set_rate(44100);
    CHECK_ALSA(snd_pcm_pause(to, 0));
    CHECK_ALSA(snd_pcm_drain(to));
    CHECK_ALSA(snd_pcm_prepare(to));
    sleep_ms(100); // what was heard is recorded
    set_rate(RATE_HZ);
    CHECK_EQ(snd_pcm_writei(to, frames, PERIOD_FRAMES * PERIODS), PERIOD_FRAMES * PERIODS);
    CHECK_ALSA(snd_pcm_drain(to));
    CHECK_ALSA(snd_pcm_close(to));
    const uint32_t end = atomic_load(&recorded) + 2u * PERIOD_FRAMES;
    while (atomic_load(&recorded) < end)
        sleep_ms(1);
    atomic_store(&is_ending, true);
    CHECK_EQ(pthread_join(recorder, NULL), 0);

    /* All of the tone was heard, twice; at 1 kHz no frame in 16 is quiet. */
    uint32_t loud = 0;
    for (uint32_t i = 0; i < end; i++)
        loud += !is_quiet(i);
    (void)fprintf(stderr, "  %u of %u frames\n", loud, 2u * PERIOD_FRAMES * PERIODS * 46u / 48u);
    CHECK(loud > 2u * PERIOD_FRAMES * PERIODS * 45u / 48u);
}

int
main(void)
{
    const struct rig_config config = {.output_safety_frames = 0};
    rig_start(&config);
    RUN(a_tone_stays_the_same_tone);
    RUN(a_change_that_is_aborted_leaves_everything_as_it_was);
    RUN(a_device_may_change_in_a_pause_and_before_a_start);
    rig_finish();
    return 0;
}
