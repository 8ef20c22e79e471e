// SPDX-License-Identifier: MIT
// Measures the way of sound from an application through a cable and back to an application, by a signal whose frames carry
// their own number.
//
// First: what the interfaces report beside what is measured, for several sizes, of the native client library and, where the
// plug-in was built, of ALSA.  The limit is one frame.
//
// Then, beside JACK2 with the dummy driver, whose way back into the same application takes one period P: the smallest P that
// is clean, which is the smallest at which not more goes wrong than at 512 frames; and a cable set to at most 1.5 P, in turns
// with it, whose cycles are as short as makes the slack of its program about P, too.  A glitch is a place where the time
// that the signal took changed; of JACK2 also an xrun, where its dummy driver lets time stand still: a sound card would not.
// Limits: at most 1.5 P, and no more glitches than JACK2 at P, give or take what chance makes of it: two standard deviations.
// The control is JACK2 at 512 frames: with more than one glitch in a second there, the verdict is NOISY.

#include "bench.h"
#include "machine.h"
#include "peer.h"
#include "roles.h"

#ifdef DX_BENCH_ALSA
#    include <alsa/asoundlib.h>
#endif

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGEST = 512, SMALLEST_CYCLE = 4, MOST_TURNS = 10 };

#define LIMIT 1.5
#define NOISY_GLITCHES_PER_S 1.0

/* ---- ALSA ---- */

#ifdef DX_BENCH_ALSA

enum { ALSA_PERIOD = 480, ALSA_BUFFER = 9600, ALSA_SNAPSHOTS = 200 };

static void
check_alsa(long result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "%s: %s\n", what, snd_strerror((int)result));
    bench_die("ALSA");
}

static snd_pcm_t *
open_alsa(snd_pcm_stream_t direction, const char *uid)
{
    char name[64];
    snprintf(name, sizeof name, "dextral:%s", uid);
    snd_pcm_t *pcm = NULL;
    check_alsa(snd_pcm_open(&pcm, name, direction, 0), name);
    snd_pcm_hw_params_t *hardware = NULL;
    snd_pcm_sw_params_t *software = NULL;
    snd_pcm_uframes_t period = ALSA_PERIOD, buffer = ALSA_BUFFER;
    snd_pcm_hw_params_malloc(&hardware);
    snd_pcm_sw_params_malloc(&software);
    check_alsa(snd_pcm_hw_params_any(pcm, hardware), "parameters");
    check_alsa(snd_pcm_hw_params_set_access(pcm, hardware, SND_PCM_ACCESS_RW_INTERLEAVED), "access");
    check_alsa(snd_pcm_hw_params_set_format(pcm, hardware, SND_PCM_FORMAT_FLOAT), "format");
    check_alsa(snd_pcm_hw_params_set_channels(pcm, hardware, 2), "channels");
    check_alsa(snd_pcm_hw_params_set_rate(pcm, hardware, 48000, 0), "rate");
    check_alsa(snd_pcm_hw_params_set_period_size_near(pcm, hardware, &period, NULL), "period");
    check_alsa(snd_pcm_hw_params_set_buffer_size_near(pcm, hardware, &buffer), "buffer");
    check_alsa(snd_pcm_hw_params(pcm, hardware), "parameters");
    check_alsa(snd_pcm_sw_params_current(pcm, software), "parameters");
    check_alsa(snd_pcm_sw_params_set_start_threshold(pcm, software, direction == SND_PCM_STREAM_PLAYBACK
                                                                        ? 4 * ALSA_PERIOD : 1), "threshold");
    check_alsa(snd_pcm_sw_params(pcm, software), "parameters");
    snd_pcm_hw_params_free(hardware);
    snd_pcm_sw_params_free(software);
    return pcm;
}

/*
 * Plays numbers and records them.  At any moment frame (written - delay) is being heard, and frame (read + delay) of the
 * recording is being taken in: both delays tell which number each recorded frame should carry.  The median of how far
 * that is off: between the two calls a frame may pass.
 */
static int
run_alsa(struct bench_shared *shared, struct bench_report *report, char **arguments)
{
    (void)shared;
    snd_pcm_t *const playback = open_alsa(SND_PCM_STREAM_PLAYBACK, arguments[0]);
    snd_pcm_t *const capture = open_alsa(SND_PCM_STREAM_CAPTURE, arguments[0]);
    struct bench_series off = bench_series_create(ALSA_SNAPSHOTS);
    float out[2 * ALSA_PERIOD], in[2 * ALSA_PERIOD];
    int64_t written = 0, read = 0;
    check_alsa(snd_pcm_start(capture), "start");
    while (off.count < ALSA_SNAPSHOTS) {
        for (int i = 0; i < ALSA_PERIOD; i++)
            out[2 * i] = out[2 * i + 1] = (float)(written + i + 1) * 0x1p-24f;
        snd_pcm_sframes_t result = snd_pcm_writei(playback, out, ALSA_PERIOD);
        written += ALSA_PERIOD;
        if (result >= 0 && snd_pcm_state(playback) == SND_PCM_STATE_PREPARED)
            continue; // until the threshold
        if (result >= 0)
            result = snd_pcm_readi(capture, in, ALSA_PERIOD);
        if (result == -EPIPE) { // the machine stood still: from the beginning
            check_alsa(snd_pcm_prepare(playback), "prepare");
            check_alsa(snd_pcm_prepare(capture), "prepare");
            check_alsa(snd_pcm_start(capture), "start");
            written = read = 0;
            continue;
        }
        check_alsa(result, "write or read");
        read += ALSA_PERIOD;
        snd_pcm_sframes_t ahead = 0, behind = 0;
        check_alsa(snd_pcm_delay(playback, &ahead), "delay");
        check_alsa(snd_pcm_delay(capture, &behind), "delay");
        const float last = in[2 * (ALSA_PERIOD - 1)] * 0x1p24f;
        if (last < 1.0f)
            continue; // not there yet
        const int64_t measured = (int64_t)last - 1 - (read - 1);
        const int64_t reported = (written - ahead) - (read + behind);
        bench_series_add(&off, (uint64_t)llabs(measured - reported));
    }
    atomic_store_explicit(&report->latency_frames, bench_series_quantile(&off, 0.5), memory_order_relaxed);
    atomic_store_explicit(&report->callbacks, bench_series_quantile(&off, 0.9), memory_order_relaxed);
    snd_pcm_close(playback);
    snd_pcm_close(capture);
    atomic_store_explicit(&report->is_ready, 1, memory_order_release);
    while (!atomic_load_explicit(&shared->is_over, memory_order_acquire))
        usleep(10000);
    bench_series_finish(&off);
    return 0;
}

#endif

/* ---- what is reported ---- */

static const char *const sizes[][2] = { // frames of a callback, and how far ahead
    {"64", "0"}, {"64", "200"}, {"128", "0"}, {"100", "0"}, {"256", "0"}, {"480", "1024"}, {"1024", "0"},
};

#define SIZES (sizeof sizes / sizeof sizes[0])

static uint64_t
find_difference(const struct bench_report *report)
{
    const uint64_t measured = atomic_load(&report->latency_frames), reported = atomic_load(&report->reported_frames);
    return measured > reported ? measured - reported : reported - measured;
}

static void
compare_reports(const struct bench_options *options)
{
    printf(options->json ? ", \"reports\": [" : "\n%-22s %9s %9s\n", "", "reported", "measured");
    uint64_t worst = 0;
    for (size_t i = 0; i < SIZES; i++) {
        const char *const arguments[] = {"latency", sizes[i][0], sizes[i][1], "2", NULL};
        bench_child_start(0, "signal", arguments);
        bench_children_wait(1);
        const struct bench_report *const report = &bench_shared()->reports[0];
        const uint64_t difference = find_difference(report);
        worst = difference > worst ? difference : worst;
        printf(options->json ? "%s\n{\"frames\": %s, \"lead\": %s, \"reported\": %llu, \"measured\": %llu}"
                             : "%snative %5s, lead %5s %8llu %9llu\n",
               options->json && i ? "," : "", sizes[i][0], sizes[i][1],
               (unsigned long long)atomic_load(&report->reported_frames),
               (unsigned long long)atomic_load(&report->latency_frames));
        bench_children_end();
    }
    printf(options->json ? "\n], \"report_verdicts\": [" : "\n");
    char figure[96];
    snprintf(figure, sizeof figure, "%llu frames off", (unsigned long long)worst);
    bench_print_verdict(options, "", "a native client's latency is what is reported, within a frame", figure,
                        bench_judge(worst <= 1, false));
#ifdef DX_BENCH_ALSA
    char *const configuration = bench_build_path("backends/alsa/alsa.conf");
    setenv("ALSA_CONFIG_PATH", configuration, 1);
    free(configuration);
    static const char *const device[] = {"latency", NULL};
    bench_child_start(0, "alsa", device);
    bench_children_wait(1);
    const uint64_t off = atomic_load(&bench_shared()->reports[0].latency_frames);
    snprintf(figure, sizeof figure, "%llu frames off (median), %llu (p90)", (unsigned long long)off,
             (unsigned long long)atomic_load(&bench_shared()->reports[0].callbacks));
    bench_print_verdict(options, ",", "an ALSA program's latency is what snd_pcm_delay() says, within a frame", figure,
                        bench_judge(off <= 1, false));
    bench_children_end();
#endif
    printf(options->json ? "\n]" : "\n");
}

/* ---- beside JACK2 ---- */

struct way {
    uint64_t latency; // frames
    uint64_t glitches;
    double seconds;
};

static void
measure(struct way *way, double seconds)
{
    bench_children_wait(1);
    const struct bench_report *const report = &bench_shared()->reports[0];
    bench_sleep(0.3);
    const uint64_t glitches = atomic_load(&report->glitches);
    bench_sleep(seconds);
    way->glitches += atomic_load(&report->glitches) - glitches;
    way->latency = atomic_load(&report->latency_frames);
    way->seconds += seconds;
    bench_children_end();
}

static void
measure_jack(struct way *way, uint32_t frames, double seconds)
{
    bench_peer_start(BENCH_JACK, frames);
    bench_child_start(0, "jack-signal", bench_peer_ports(BENCH_JACK));
    measure(way, seconds);
    bench_peer_stop();
}

/* As much as is allowed: 2 N and what the program is ahead, which leaves it 1.5 P - 3 N before it is late. */
static void
measure_own(struct way *way, uint32_t jack_frames, double seconds)
{
    char frames[16], lead[16];
    const unsigned n = jack_frames / 16u > SMALLEST_CYCLE ? jack_frames / 16u : SMALLEST_CYCLE;
    dx_device *const device = bench_machine_device("latency");
    if (dx_device_set_io_frames(device, n) != kIOReturnSuccess)
        bench_die("the cable's IO size cannot be set");
    dx_device_release(device);
    snprintf(frames, sizeof frames, "%u", n);
    snprintf(lead, sizeof lead, "%u", (unsigned)(LIMIT * jack_frames) - 2u * n);
    const char *const arguments[] = {"latency", frames, lead, "2", NULL};
    bench_child_start(0, "signal", arguments);
    measure(way, seconds);
}

static double
rate(const struct way *way)
{
    return (double)way->glitches / way->seconds;
}

/* Whether more goes wrong than at the other size, by more than chance would have it. */
static bool
is_worse(const struct way *way, const struct way *other)
{
    const double expected = rate(other) * way->seconds;
    return (double)way->glitches > expected + 2.0 * sqrt(expected + 1.0);
}

static uint32_t
find_clean_size(const struct bench_options *options, double seconds, struct way *ret_control)
{
    *ret_control = (struct way){0};
    measure_jack(ret_control, LARGEST, seconds);
    for (uint32_t frames = 16; frames < LARGEST; frames *= 2) {
        struct way way = {0};
        measure_jack(&way, frames, seconds);
        if (!options->json)
            printf("JACK2 at %3u frames: %3llu behind, %.2f glitches in a second (%.2f at 512)\n", frames,
                   (unsigned long long)way.latency, rate(&way), rate(ret_control));
        if (!is_worse(&way, ret_control))
            return frames;
    }
    return LARGEST;
}

static void
compare_with_jack(const struct bench_options *options)
{
    const double part = options->seconds / 20.0;
    struct way control, jack = {0}, own = {0};
    const uint32_t frames = find_clean_size(options, part, &control);
    const int turns = part * 14.0 / 2.0 / 2.0 < MOST_TURNS ? (int)(part * 14.0 / 2.0 / 2.0) + 1 : MOST_TURNS;
    for (int turn = 0; turn < turns; turn++) {
        measure_jack(&jack, frames, part * 14.0 / 2.0 / turns);
        measure_own(&own, frames, part * 14.0 / 2.0 / turns);
    }
    if (options->json)
        printf(", \"jack_frames\": %u, \"jack_latency\": %llu, \"jack_glitches_per_s\": %.3f, \"latency\": %llu, "
               "\"glitches_per_s\": %.3f, \"control_glitches_per_s\": %.3f, \"verdicts\": [",
               frames, (unsigned long long)jack.latency, rate(&jack), (unsigned long long)own.latency, rate(&own),
               rate(&control));
    else
        printf("\nJACK2 at %u: %llu frames, %.2f glitches in a second; a cable: %llu frames, %.2f\n\n", frames,
               (unsigned long long)jack.latency, rate(&jack), (unsigned long long)own.latency, rate(&own));
    char figure[96];
    const double times = (double)own.latency / (double)frames;
    const bool noisy = rate(&control) > NOISY_GLITCHES_PER_S;
    snprintf(figure, sizeof figure, "%.2f P, P = %u; %llu glitches (%llu)", times, frames,
             (unsigned long long)own.glitches, (unsigned long long)jack.glitches);
    bench_print_verdict(options, "", "at most 1.5 P, at the glitch rate of JACK2's P", figure,
                        bench_judge(own.latency && times <= LIMIT && !is_worse(&own, &jack), noisy));
    if (options->json)
        printf("\n]");
}

int
main(int argc, char **argv)
{
    static const struct bench_role roles[] = {
        BENCH_ROLES,
#ifdef DX_BENCH_ALSA
        {"alsa", run_alsa},
#endif
    };
    bench_run_child(argc, argv, roles, sizeof roles / sizeof roles[0]);
    const struct bench_options options = bench_options(argc, argv, 100.0);
    bench_print_machine(&options, "latency");
    bench_machine_start();
    bench_machine_create_cable("latency", 2, 0);
    dx_device_release(bench_machine_device("latency"));
    compare_reports(&options);
    const char *const missing = bench_peer_missing(BENCH_JACK);
    if (missing)
        fprintf(stderr, "bench: JACK2 is left out: apt-get install %s\n", missing);
    else
        compare_with_jack(&options);
    if (options.json)
        printf("\n}\n");
    bench_machine_stop();
    return bench_exit_status();
}
