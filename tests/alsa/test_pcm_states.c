// SPDX-License-Identifier: MIT
// What a program may do with an open PCM besides writing and reading to the end, each judged by what a recorder hears.

#include "tests/alsa/rig.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RATE_HZ 48000u
#define BUFFER_FRAMES 14400u // 300 ms
#define PERIOD_FRAMES 2400u
#define MOST_FRAMES (20u * RATE_HZ)

/* Frames are one float for each of two channels: the number of the frame, from 1, in units that floats hold exactly. */
struct frame {
    float left;
    float right;
};

#define UNIT (1.0f / 4194304.0f)

static struct frame
make_frame(uint32_t number)
{
    return (struct frame){(float)number * UNIT, -(float)number * UNIT};
}

/* ---- opening ---- */

static snd_pcm_t *
open_sized(snd_pcm_stream_t direction, int mode, snd_pcm_uframes_t period, snd_pcm_uframes_t buffer)
{
    snd_pcm_t *pcm;
    CHECK_ALSA(rig_open_pcm(&pcm, "", direction, mode));
    snd_pcm_hw_params_t *hw;
    snd_pcm_hw_params_alloca(&hw);
    CHECK_ALSA(snd_pcm_hw_params_any(pcm, hw));
    CHECK_ALSA(snd_pcm_hw_params_set_access(pcm, hw, SND_PCM_ACCESS_RW_INTERLEAVED));
    CHECK_ALSA(snd_pcm_hw_params_set_format(pcm, hw, SND_PCM_FORMAT_FLOAT));
    CHECK_ALSA(snd_pcm_hw_params_set_period_size(pcm, hw, period, 0));
    CHECK_ALSA(snd_pcm_hw_params_set_buffer_size(pcm, hw, buffer));
    CHECK_ALSA(snd_pcm_hw_params(pcm, hw));
    return pcm;
}

static void
set_software(snd_pcm_t *pcm, snd_pcm_uframes_t start, snd_pcm_uframes_t stop, snd_pcm_uframes_t available_min)
{
    snd_pcm_sw_params_t *sw;
    snd_pcm_sw_params_alloca(&sw);
    CHECK_ALSA(snd_pcm_sw_params_current(pcm, sw));
    CHECK_ALSA(snd_pcm_sw_params_set_start_threshold(pcm, sw, start));
    if (stop)
        CHECK_ALSA(snd_pcm_sw_params_set_stop_threshold(pcm, sw, stop));
    CHECK_ALSA(snd_pcm_sw_params_set_avail_min(pcm, sw, available_min));
    CHECK_ALSA(snd_pcm_sw_params(pcm, sw));
}

static snd_pcm_uframes_t
find_boundary(snd_pcm_t *pcm)
{
    snd_pcm_uframes_t boundary = 0;
    snd_pcm_sw_params_t *sw;
    snd_pcm_sw_params_alloca(&sw);
    CHECK_ALSA(snd_pcm_sw_params_current(pcm, sw));
    CHECK_ALSA(snd_pcm_sw_params_get_boundary(sw, &boundary));
    return boundary;
}

static snd_pcm_t *
open_player(int mode)
{
    snd_pcm_t *const pcm = open_sized(SND_PCM_STREAM_PLAYBACK, mode, PERIOD_FRAMES, BUFFER_FRAMES);
    set_software(pcm, BUFFER_FRAMES, 0, PERIOD_FRAMES);
    return pcm;
}

/* Writes frames of these numbers. */
static void
write_numbers(snd_pcm_t *pcm, uint32_t first, uint32_t count)
{
    static struct frame frames[4096];
    while (count) {
        const uint32_t part = count < 4096u ? count : 4096u;
        for (uint32_t i = 0; i < part; i++)
            frames[i] = make_frame(first + i);
        const uint32_t n = (uint32_t)CHECK_ALSA(snd_pcm_writei(pcm, frames, part));
        first += n;
        count -= n;
    }
}

static void
sleep_ms(unsigned ms)
{
    dx_clock_sleep_until(dx_clock_host(), rig_now_ns() + (uint64_t)ms * 1000000u);
}

/* ---- the recorder: hears all, from before until after ---- */

static struct frame recording[MOST_FRAMES];
static _Atomic uint32_t recorded;
static _Atomic bool is_ending;
static pthread_t recorder;

static void *
record(void *argument)
{
    snd_pcm_t *const pcm = argument;
    uint32_t count = 0;
    while (!atomic_load(&is_ending)) {
        CHECK(count + 480u <= MOST_FRAMES);
        count += (uint32_t)CHECK_ALSA(snd_pcm_readi(pcm, recording + count, 480));
        atomic_store(&recorded, count);
    }
    CHECK_ALSA(snd_pcm_close(pcm));
    return NULL;
}

static void
start_recorder(void)
{
    snd_pcm_t *const pcm = open_sized(SND_PCM_STREAM_CAPTURE, 0, 480, 96000);
    atomic_store(&recorded, 0);
    atomic_store(&is_ending, false);
    CHECK_ALSA(snd_pcm_start(pcm));
    CHECK_EQ(pthread_create(&recorder, NULL, record, pcm), 0);
    while (!atomic_load(&recorded))
        sleep_ms(1);
}

/* Frames that came since are there when this returns. */
static uint32_t
wait_recorded(void)
{
    const uint32_t since = atomic_load(&recorded);
    while (atomic_load(&recorded) < since + 9600u)
        sleep_ms(5);
    return atomic_load(&recorded);
}

static uint32_t
stop_recorder(void)
{
    const uint32_t count = wait_recorded();
    atomic_store(&is_ending, true);
    CHECK_EQ(pthread_join(recorder, NULL), 0);
    return count;
}

/* The next frame from `at` that is not silent; ends the test where there is none. */
static uint32_t
find_sound(uint32_t at, uint32_t end)
{
    while (at < end && recording[at].left == 0.0f && recording[at].right == 0.0f)
        at++;
    CHECK(at < end);
    return at;
}

/* Checks that frames of these numbers are at `at`.  @return where they end. */
static uint32_t
expect_numbers(uint32_t at, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct frame frame = make_frame(first + i);
        if (memcmp(&recording[at + i], &frame, sizeof frame) != 0) {
            (void)fprintf(stderr, "frame %u: %g, not number %u (%u frames, at %u)\n", at + i,
                          (double)(recording[at + i].left / UNIT), first + i, count, at);
            abort();
        }
    }
    return at + count;
}

static void
expect_silence(uint32_t at, uint32_t end)
{
    for (uint32_t i = at; i < end; i++)
        if (recording[i].left != 0.0f || recording[i].right != 0.0f) {
            (void)fprintf(stderr, "frame %u: %g, not silence (from %u to %u)\n", i,
                          (double)(recording[i].left / UNIT), at, end);
            abort();
        }
}

/* ---- tests ---- */

static void
nothing_is_heard_before_the_start_threshold(void)
{
    start_recorder();
    snd_pcm_t *const pcm = open_player(0);
    set_software(pcm, 5000, 0, PERIOD_FRAMES);
    write_numbers(pcm, 1, 4999);
    const uint32_t before = wait_recorded();
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_PREPARED);
    CHECK_EQ(snd_pcm_avail(pcm), BUFFER_FRAMES - 4999u);
    write_numbers(pcm, 5000, 1);
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_RUNNING);
    CHECK_ALSA(snd_pcm_drain(pcm));
    CHECK_ALSA(snd_pcm_close(pcm));
    const uint32_t end = stop_recorder();
    expect_silence(0, before);
    const uint32_t at = find_sound(0, end);
    expect_silence(expect_numbers(at, 1, 5000), end);
}

static void
a_rewound_frame_is_heard_as_it_was_written_last(void)
{
    start_recorder();
    snd_pcm_t *const pcm = open_player(0);
    write_numbers(pcm, 1, BUFFER_FRAMES);
    CHECK(snd_pcm_rewindable(pcm) >= 6000);
    CHECK_EQ(snd_pcm_rewind(pcm, 6000), 6000);
    write_numbers(pcm, 100001, 6000);
    CHECK_ALSA(snd_pcm_drain(pcm));
    CHECK_ALSA(snd_pcm_close(pcm));
    const uint32_t end = stop_recorder();
    const uint32_t at = expect_numbers(find_sound(0, end), 1, BUFFER_FRAMES - 6000u);
    expect_silence(expect_numbers(at, 100001, 6000), end);
}

static void
what_is_rewound_and_not_written_again_is_not_heard(void)
{
    start_recorder();
    snd_pcm_t *const pcm = open_player(0);
    write_numbers(pcm, 1, BUFFER_FRAMES);
    CHECK_EQ(snd_pcm_rewind(pcm, 6000), 6000);
    CHECK_ALSA(snd_pcm_drain(pcm));
    CHECK_ALSA(snd_pcm_close(pcm));
    const uint32_t end = stop_recorder();
    expect_silence(expect_numbers(find_sound(0, end), 1, BUFFER_FRAMES - 6000u), end);
}

static void
frames_that_are_skipped_are_silent(void)
{
    start_recorder();
    snd_pcm_t *const pcm = open_player(0);
    write_numbers(pcm, 1, 3000);
    CHECK_EQ(snd_pcm_forward(pcm, 500), 500);
    write_numbers(pcm, 3001, 3000);
    CHECK_ALSA(snd_pcm_drain(pcm));
    CHECK_ALSA(snd_pcm_close(pcm));
    const uint32_t end = stop_recorder();
    const uint32_t at = expect_numbers(find_sound(0, end), 1, 3000);
    expect_silence(at, at + 500u);
    expect_silence(expect_numbers(at + 500u, 3001, 3000), end);
}

static void
a_pause_loses_and_repeats_nothing(void)
{
    start_recorder();
    snd_pcm_t *const pcm = open_player(0);
    write_numbers(pcm, 1, BUFFER_FRAMES);
    sleep_ms(50);
    CHECK_ALSA(snd_pcm_pause(pcm, 1));
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_PAUSED);
    const snd_pcm_sframes_t available = CHECK_ALSA(snd_pcm_avail(pcm));
    const uint32_t since = wait_recorded();
    (void)wait_recorded();
    CHECK_EQ(snd_pcm_avail(pcm), available);
    CHECK_ALSA(snd_pcm_pause(pcm, 0));
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_RUNNING);
    write_numbers(pcm, BUFFER_FRAMES + 1u, 20000);
    CHECK_ALSA(snd_pcm_drain(pcm));
    CHECK_ALSA(snd_pcm_close(pcm));
    const uint32_t end = stop_recorder();

    uint32_t at = find_sound(0, end);
    uint32_t count = 0;
    while (recording[at + count].left != 0.0f)
        count++;
    at = expect_numbers(at, 1, count);
    CHECK(count < BUFFER_FRAMES && at < since);
    const uint32_t again = find_sound(at, end);
    CHECK(again > since);
    expect_silence(expect_numbers(again, count + 1u, BUFFER_FRAMES + 20000u - count), end);
}

/* Waits for the device's IO to run, or not to. */
static void
wait_for_io(bool is_running)
{
    const uint64_t end = rig_now_ns() + 20u * SECOND_NS;
    dx_device_info info = {.size = sizeof info};
    do {
        sleep_ms(20);
        CHECK_EQ(dx_device_get_info(rig_device(), &info), kIOReturnSuccess);
        CHECK(rig_now_ns() < end);
    } while (info.is_running != is_running);
}

static uint64_t
count_gaps(void)
{
    dx_device_statistics statistics = {.size = sizeof statistics};
    CHECK_EQ(dx_device_get_statistics(rig_device(), &statistics), kIOReturnSuccess);
    return statistics.causes[DX_CAUSE_LANE];
}

static void
a_pause_is_no_underrun(void)
{
    snd_pcm_t *const pcm = open_player(0);
    write_numbers(pcm, 1, BUFFER_FRAMES);
    wait_for_io(true);
    const uint64_t gaps = count_gaps();
    for (unsigned i = 0; i < 10; i++) {
        CHECK_ALSA(snd_pcm_pause(pcm, 1));
        sleep_ms(13);
        CHECK_ALSA(snd_pcm_pause(pcm, 0));
        write_numbers(pcm, 1, PERIOD_FRAMES);
    }
    CHECK_ALSA(snd_pcm_drain(pcm));
    CHECK_EQ(count_gaps(), gaps);
    CHECK_ALSA(snd_pcm_close(pcm));
}

static void
what_is_prepared_or_paused_for_long_lets_the_device_rest(void)
{
    snd_pcm_t *const pcm = open_player(0);
    wait_for_io(true);
    wait_for_io(false);
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_PREPARED);
    write_numbers(pcm, 1, BUFFER_FRAMES); // starts it
    wait_for_io(true);
    sleep_ms(50);
    CHECK_ALSA(snd_pcm_pause(pcm, 1));
    const snd_pcm_sframes_t available = CHECK_ALSA(snd_pcm_avail(pcm));
    wait_for_io(false);
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_PAUSED);
    CHECK_EQ(snd_pcm_avail(pcm), available);

    start_recorder();
    CHECK_ALSA(snd_pcm_pause(pcm, 0));
    CHECK_ALSA(snd_pcm_drain(pcm));
    CHECK_ALSA(snd_pcm_close(pcm));
    const uint32_t end = stop_recorder();
    const uint32_t at = find_sound(0, end);
    const uint32_t first = (uint32_t)(recording[at].left / UNIT);
    CHECK_EQ(first, (uint32_t)available + 1u); // what was heard before is not heard again, the rest is
    expect_silence(expect_numbers(at, first, BUFFER_FRAMES - (uint32_t)available), end);
}

static void
an_xrun_that_is_left_alone_lets_the_device_rest(void)
{
    snd_pcm_t *const pcm = open_player(0);
    write_numbers(pcm, 1, BUFFER_FRAMES);
    wait_for_io(true);
    wait_for_io(false); // it runs dry first
    CHECK_EQ(snd_pcm_avail(pcm), -EPIPE);
    CHECK_ALSA(snd_pcm_prepare(pcm));
    write_numbers(pcm, 1, BUFFER_FRAMES);
    wait_for_io(true);
    CHECK_ALSA(snd_pcm_drain(pcm));
    CHECK_ALSA(snd_pcm_close(pcm));
}

static void
what_is_written_in_a_pause_is_heard_after_it(void)
{
    start_recorder();
    snd_pcm_t *const pcm = open_player(0);
    write_numbers(pcm, 1, BUFFER_FRAMES);
    sleep_ms(100);
    CHECK_ALSA(snd_pcm_pause(pcm, 1));
    (void)wait_recorded();
    const uint32_t room = (uint32_t)CHECK_ALSA(snd_pcm_avail(pcm));
    write_numbers(pcm, BUFFER_FRAMES + 1u, room);
    CHECK_EQ(snd_pcm_avail(pcm), 0);
    (void)wait_recorded();
    CHECK_ALSA(snd_pcm_pause(pcm, 0));
    CHECK_ALSA(snd_pcm_drain(pcm));
    CHECK_ALSA(snd_pcm_close(pcm));
    const uint32_t end = stop_recorder();
    uint32_t at = find_sound(0, end);
    uint32_t count = 0;
    while (recording[at + count].left != 0.0f)
        count++;
    at = find_sound(expect_numbers(at, 1, count), end);
    expect_silence(expect_numbers(at, count + 1u, BUFFER_FRAMES + room - count), end);
}

static void
what_is_dropped_is_not_heard(void)
{
    start_recorder();
    snd_pcm_t *const pcm = open_player(0);
    write_numbers(pcm, 1, BUFFER_FRAMES);
    sleep_ms(50);
    CHECK_ALSA(snd_pcm_drop(pcm));
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_SETUP);
    const uint32_t since = wait_recorded();
    CHECK_ALSA(snd_pcm_prepare(pcm));
    CHECK_EQ(snd_pcm_avail(pcm), BUFFER_FRAMES);
    write_numbers(pcm, 100001, 5000);
    CHECK_ALSA(snd_pcm_drain(pcm));
    CHECK_ALSA(snd_pcm_close(pcm));
    const uint32_t end = stop_recorder();
    const uint32_t at = find_sound(0, end);
    uint32_t count = 0;
    while (recording[at + count].left != 0.0f)
        count++;
    CHECK(count < BUFFER_FRAMES);
    expect_silence(expect_numbers(at, 1, count), since);
    expect_silence(expect_numbers(find_sound(since, end), 100001, 5000), end);
}

static void
a_reset_drops_what_is_written_and_goes_on(void)
{
    start_recorder();
    snd_pcm_t *const pcm = open_player(0);
    set_software(pcm, BUFFER_FRAMES, find_boundary(pcm), PERIOD_FRAMES);
    write_numbers(pcm, 1, BUFFER_FRAMES);
    sleep_ms(50);
    CHECK_ALSA(snd_pcm_reset(pcm));
    write_numbers(pcm, 100001, 5000);
    CHECK_ALSA(snd_pcm_drain(pcm));
    CHECK_ALSA(snd_pcm_close(pcm));
    const uint32_t end = stop_recorder();
    const uint32_t at = find_sound(0, end);
    uint32_t count = 0;
    while (recording[at + count].left != 0.0f && recording[at + count].left < 50000.0f * UNIT)
        count++;
    CHECK(count < BUFFER_FRAMES);
    const uint32_t next = find_sound(expect_numbers(at, 1, count), end);
    /* The first few of the new frames may be past when they come. */
    const uint32_t first = (uint32_t)(recording[next].left / UNIT);
    CHECK(first >= 100001u && first < 105001u);
    expect_silence(expect_numbers(next, first, 105001u - first), end);
}

static void
running_dry_is_an_xrun(void)
{
    snd_pcm_t *const pcm = open_player(0);
    set_software(pcm, 1, 0, PERIOD_FRAMES);
    write_numbers(pcm, 1, 2400);
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_RUNNING);
    while (snd_pcm_avail(pcm) >= 0)
        sleep_ms(1);
    CHECK_EQ(snd_pcm_avail(pcm), -EPIPE);
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_XRUN);
    struct frame frame = {0};
    CHECK_EQ(snd_pcm_writei(pcm, &frame, 1), -EPIPE);
    snd_pcm_sframes_t delay;
    CHECK_EQ(snd_pcm_delay(pcm, &delay), -EPIPE);
    CHECK_EQ(snd_pcm_wait(pcm, 5000), -EPIPE);
    CHECK_ALSA(snd_pcm_recover(pcm, -EPIPE, 1));
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_PREPARED);
    write_numbers(pcm, 1, 2400);
    CHECK_ALSA(snd_pcm_close(pcm));
}

static void
a_program_that_only_polls_learns_of_an_xrun(void)
{
    snd_pcm_t *const pcm = open_player(0);
    set_software(pcm, 1, 0, BUFFER_FRAMES + 1000u);
    write_numbers(pcm, 1, 2400);
    CHECK_EQ(snd_pcm_wait(pcm, 5000), -EPIPE);
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_XRUN);
    CHECK_ALSA(snd_pcm_close(pcm));
}

static void
not_reading_in_time_is_an_xrun(void)
{
    snd_pcm_t *const pcm = open_sized(SND_PCM_STREAM_CAPTURE, 0, PERIOD_FRAMES, BUFFER_FRAMES);
    CHECK_ALSA(snd_pcm_start(pcm));
    while (snd_pcm_avail(pcm) >= 0)
        sleep_ms(1);
    CHECK_EQ(snd_pcm_avail(pcm), -EPIPE);
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_XRUN);
    CHECK_EQ(snd_pcm_wait(pcm, 5000), -EPIPE);
    CHECK_ALSA(snd_pcm_prepare(pcm));
    struct frame frames[480];
    CHECK_EQ(snd_pcm_readi(pcm, frames, 480), 480);
    CHECK_ALSA(snd_pcm_close(pcm));
}

static void
with_a_stop_threshold_at_the_boundary_nothing_is_an_xrun(void)
{
    start_recorder();
    snd_pcm_t *const pcm = open_player(0);
    set_software(pcm, 1, find_boundary(pcm), PERIOD_FRAMES);
    write_numbers(pcm, 1, 2400);
    snd_pcm_sframes_t available;
    while ((available = CHECK_ALSA(snd_pcm_avail(pcm))) < (snd_pcm_sframes_t)BUFFER_FRAMES + 9600)
        sleep_ms(5);
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_RUNNING);
    /* The program catches up, and is heard again. */
    const snd_pcm_sframes_t behind = available - (snd_pcm_sframes_t)BUFFER_FRAMES + 9600;
    CHECK_EQ(snd_pcm_forward(pcm, (snd_pcm_uframes_t)behind), behind);
    write_numbers(pcm, 100001, 2400);
    CHECK_ALSA(snd_pcm_drain(pcm));
    CHECK_ALSA(snd_pcm_close(pcm));
    const uint32_t end = stop_recorder();
    const uint32_t at = expect_numbers(find_sound(0, end), 1, 2400);
    expect_silence(expect_numbers(find_sound(at, end), 100001, 2400), end);
}

static int
poll_for(snd_pcm_t *pcm, int timeout_ms, unsigned short *ret_events)
{
    struct pollfd fd;
    CHECK_EQ(snd_pcm_poll_descriptors_count(pcm), 1);
    CHECK_EQ(snd_pcm_poll_descriptors(pcm, &fd, 1), 1);
    const int r = poll(&fd, 1, timeout_ms);
    CHECK(r >= 0);
    *ret_events = 0;
    CHECK_ALSA(snd_pcm_poll_descriptors_revents(pcm, &fd, 1, ret_events));
    return fd.fd;
}

static void
a_poll_ends_when_there_is_room_and_not_before(void)
{
    unsigned short events;
    snd_pcm_t *const pcm = open_player(SND_PCM_NONBLOCK);
    const int fd = poll_for(pcm, 5000, &events); // before anything was written
    CHECK_EQ(events, POLLOUT);
    struct frame frames[PERIOD_FRAMES] = {{0}};
    set_software(pcm, find_boundary(pcm), 0, PERIOD_FRAMES); // started by hand
    for (unsigned i = 0; i < BUFFER_FRAMES / PERIOD_FRAMES; i++)
        CHECK_EQ(snd_pcm_writei(pcm, frames, PERIOD_FRAMES), PERIOD_FRAMES);
    CHECK_EQ(poll_for(pcm, 50, &events), fd);
    CHECK_EQ(events, 0);
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_PREPARED);
    CHECK_ALSA(snd_pcm_start(pcm));
    for (unsigned i = 0; i < 20; i++) {
        do
            CHECK_EQ(poll_for(pcm, 5000, &events), fd);
        while (!events);
        CHECK_EQ(events, POLLOUT);
        CHECK(snd_pcm_avail(pcm) >= (snd_pcm_sframes_t)PERIOD_FRAMES);
        CHECK_EQ(snd_pcm_writei(pcm, frames, PERIOD_FRAMES), PERIOD_FRAMES);
    }
    CHECK_ALSA(snd_pcm_drop(pcm));
    CHECK_EQ(poll_for(pcm, 5000, &events), fd);
    CHECK_EQ(events, POLLOUT | POLLERR);
    CHECK_ALSA(snd_pcm_close(pcm));
}

static void
a_poll_for_frames_to_read_ends_when_they_are_there(void)
{
    unsigned short events;
    snd_pcm_t *const pcm = open_sized(SND_PCM_STREAM_CAPTURE, SND_PCM_NONBLOCK, 441, 14112);
    set_software(pcm, 1, 0, 1000);
    const int fd = poll_for(pcm, 20, &events);
    CHECK_EQ(events, 0);
    CHECK_ALSA(snd_pcm_start(pcm));
    struct frame frames[1000];
    for (unsigned i = 0; i < 20; i++) {
        do
            CHECK_EQ(poll_for(pcm, 5000, &events), fd);
        while (!events);
        CHECK_EQ(events, POLLIN);
        CHECK(snd_pcm_avail(pcm) >= 1000);
        CHECK_EQ(snd_pcm_readi(pcm, frames, 1000), 1000);
    }
    CHECK_ALSA(snd_pcm_close(pcm));
}

static void
where_nothing_runs_the_delay_is_what_waits(void)
{
    snd_pcm_sframes_t delay = -1;
    snd_pcm_t *const pcm = open_player(0);
    wait_for_io(true);
    CHECK_ALSA(snd_pcm_delay(pcm, &delay));
    CHECK_EQ(delay, 0); // libao takes it off the delay that it waits for at the end
    write_numbers(pcm, 1, 1000);
    CHECK_ALSA(snd_pcm_delay(pcm, &delay));
    CHECK_EQ(delay, 1000);
    CHECK_ALSA(snd_pcm_drain(pcm));
    snd_pcm_status_t *status;
    snd_pcm_status_alloca(&status);
    CHECK_ALSA(snd_pcm_status(pcm, status));
    CHECK_EQ(snd_pcm_status_get_delay(status), 0); // all was heard
    CHECK_ALSA(snd_pcm_close(pcm));
}

static void
a_start_that_takes_long_loses_nothing(void)
{
    start_recorder();
    snd_pcm_t *const pcm = open_player(0);
    CHECK_ALSA(snd_pcm_drop(pcm));
    sleep_ms(1200); // it counts as stopped by then
    const uint64_t until = rig_now_ns() + SECOND_NS / 2u;
    rig_occupy_driver(SECOND_NS / 2u);
    CHECK_ALSA(snd_pcm_prepare(pcm));
    write_numbers(pcm, 1, BUFFER_FRAMES);
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_RUNNING);
    const snd_pcm_sframes_t available = snd_pcm_avail(pcm);
    if (rig_now_ns() < until)
        CHECK_EQ(available, 0);
    write_numbers(pcm, BUFFER_FRAMES + 1u, 9600);
    CHECK_ALSA(snd_pcm_drain(pcm));
    CHECK_ALSA(snd_pcm_close(pcm));
    const uint32_t end = stop_recorder();
    expect_silence(expect_numbers(find_sound(0, end), 1, BUFFER_FRAMES + 9600u), end);
}

static void
a_program_outlives_the_driver(void)
{
    start_recorder();
    snd_pcm_t *const pcm = open_player(0);
    write_numbers(pcm, 1, BUFFER_FRAMES);
    sleep_ms(50);
    rig_stop_driver();
    write_numbers(pcm, BUFFER_FRAMES + 1u, 2u * BUFFER_FRAMES); // goes on at its pace
    CHECK_ALSA(snd_pcm_drain(pcm));                             // and ends
    rig_start_driver();
    wait_for_io(true); // of the recorder, which comes back by itself
    CHECK_ALSA(snd_pcm_prepare(pcm));
    write_numbers(pcm, 200001, BUFFER_FRAMES);
    CHECK_ALSA(snd_pcm_drain(pcm));
    CHECK_ALSA(snd_pcm_close(pcm));
    const uint32_t end = stop_recorder();
    uint32_t at = find_sound(0, end);
    uint32_t count = 0;
    while (recording[at + count].left != 0.0f)
        count++;
    at = expect_numbers(at, 1, count);
    CHECK(count < 3u * BUFFER_FRAMES);
    /* Heard again, to the end, from the first frame on. */
    expect_silence(expect_numbers(find_sound(at, end), 200001, BUFFER_FRAMES), end);
}

static void
after_a_fork_the_childs_handle_fails_and_the_parents_does_not(void)
{
    start_recorder();
    snd_pcm_t *const pcm = open_player(0);
    write_numbers(pcm, 1, BUFFER_FRAMES);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        struct frame frame = {1.0f, 1.0f};
        const bool ok = snd_pcm_writei(pcm, &frame, 1) < 0 && snd_pcm_prepare(pcm) < 0 && snd_pcm_start(pcm) < 0;
        _exit(ok ? 0 : 1); // a host in this process is no place for its child to close anything
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    write_numbers(pcm, BUFFER_FRAMES + 1u, 9600);
    CHECK_ALSA(snd_pcm_drain(pcm));
    CHECK_ALSA(snd_pcm_close(pcm));
    const uint32_t end = stop_recorder();
    expect_silence(expect_numbers(find_sound(0, end), 1, BUFFER_FRAMES + 9600u), end);
}

static void
a_long_buffer_keeps_what_is_not_read_for_long(void)
{
    /* 4 s, of which the device's own ring holds a third. */
    snd_pcm_t *const pcm = open_sized(SND_PCM_STREAM_CAPTURE, 0, 6000, 192000);
    snd_pcm_t *const player = open_player(0);
    CHECK_ALSA(snd_pcm_start(pcm));
    write_numbers(player, 1, 110000);
    CHECK_ALSA(snd_pcm_drain(player));
    CHECK_ALSA(snd_pcm_close(player));
    sleep_ms(300);
    const uint32_t count = (uint32_t)CHECK_ALSA(snd_pcm_avail(pcm));
    CHECK(count > 110000u);
    CHECK_EQ(snd_pcm_readi(pcm, recording, count), count);
    CHECK_ALSA(snd_pcm_close(pcm));
    expect_silence(expect_numbers(find_sound(0, count), 1, 110000), count);
}

static void
nothing_is_drained_at_once(void)
{
    snd_pcm_t *const pcm = open_player(0);
    CHECK_ALSA(snd_pcm_drain(pcm));
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_SETUP);
    CHECK_ALSA(snd_pcm_close(pcm));
}

static void
a_handle_is_closed_in_every_state(void)
{
    snd_pcm_t *pcm;
    CHECK_ALSA(rig_open_pcm(&pcm, "cable", SND_PCM_STREAM_PLAYBACK, 0));
    CHECK_ALSA(snd_pcm_close(pcm)); // open
    pcm = open_player(0);
    CHECK_ALSA(snd_pcm_close(pcm)); // prepared
    pcm = open_player(0);
    CHECK_ALSA(snd_pcm_hw_free(pcm));
    CHECK_ALSA(snd_pcm_close(pcm)); // freed
    pcm = open_player(0);
    write_numbers(pcm, 1, BUFFER_FRAMES);
    CHECK_ALSA(snd_pcm_close(pcm)); // running
    pcm = open_player(0);
    write_numbers(pcm, 1, BUFFER_FRAMES);
    CHECK_ALSA(snd_pcm_pause(pcm, 1));
    CHECK_ALSA(snd_pcm_close(pcm)); // paused
    pcm = open_player(SND_PCM_NONBLOCK);
    struct frame frames[PERIOD_FRAMES] = {{0}};
    CHECK_EQ(snd_pcm_writei(pcm, frames, PERIOD_FRAMES), PERIOD_FRAMES);
    CHECK_EQ(snd_pcm_drain(pcm), -EAGAIN);
    CHECK_ALSA(snd_pcm_close(pcm)); // draining
    rig_occupy_driver(SECOND_NS / 5u);
    pcm = open_player(0);
    write_numbers(pcm, 1, BUFFER_FRAMES);
    CHECK_ALSA(snd_pcm_close(pcm)); // while it is being started
}

/* alsa-lib's `share` does so, on a thread of its own. */
static void
a_question_before_sizes_are_agreed_upon_breaks_nothing(void)
{
    unsigned short events;
    snd_pcm_t *pcm;
    CHECK_ALSA(rig_open_pcm(&pcm, "cable", SND_PCM_STREAM_PLAYBACK, 0));
    (void)snd_pcm_avail_update(pcm); // there is no answer to it
    (void)poll_for(pcm, 0, &events);
    CHECK_EQ(snd_pcm_state(pcm), SND_PCM_STATE_OPEN);
    CHECK_ALSA(snd_pcm_set_params(pcm, SND_PCM_FORMAT_FLOAT, SND_PCM_ACCESS_RW_INTERLEAVED, 2, RATE_HZ, 0, 300000));
    write_numbers(pcm, 1, 2u * BUFFER_FRAMES);
    CHECK_ALSA(snd_pcm_drop(pcm));
    CHECK_ALSA(snd_pcm_hw_free(pcm));
    (void)snd_pcm_avail_update(pcm);
    (void)poll_for(pcm, 0, &events);
    CHECK_ALSA(snd_pcm_set_params(pcm, SND_PCM_FORMAT_FLOAT, SND_PCM_ACCESS_RW_INTERLEAVED, 2, RATE_HZ, 0, 300000));
    write_numbers(pcm, 1, 2u * BUFFER_FRAMES);
    CHECK_ALSA(snd_pcm_close(pcm));
}

static void
fewer_than_two_periods_are_refused_whatever_was_asked_first(void)
{
    static const snd_pcm_format_t formats[] = {SND_PCM_FORMAT_S16, SND_PCM_FORMAT_FLOAT};
    for (size_t i = 0; i < 2; i++) {
        snd_pcm_t *pcm;
        CHECK_ALSA(rig_open_pcm(&pcm, "cable", SND_PCM_STREAM_PLAYBACK, 0));
        snd_pcm_hw_params_t *hw;
        snd_pcm_hw_params_alloca(&hw);
        CHECK_ALSA(snd_pcm_hw_params_any(pcm, hw));
        CHECK_ALSA(snd_pcm_hw_params_set_access(pcm, hw, SND_PCM_ACCESS_RW_INTERLEAVED));
        snd_pcm_uframes_t period = 4800, buffer = 4800;
        CHECK_ALSA(snd_pcm_hw_params_set_period_size(pcm, hw, period, 0)); // bytes are not known yet
        CHECK_ALSA(snd_pcm_hw_params_set_buffer_size_near(pcm, hw, &buffer));
        (void)snd_pcm_hw_params_set_format(pcm, hw, formats[i]);
        if (buffer < 2 * period)
            CHECK_EQ(snd_pcm_hw_params(pcm, hw), -EINVAL);
        /* And may be asked anew. */
        CHECK_ALSA(snd_pcm_hw_params_any(pcm, hw));
        CHECK_ALSA(snd_pcm_hw_params_set_access(pcm, hw, SND_PCM_ACCESS_RW_INTERLEAVED));
        CHECK_ALSA(snd_pcm_hw_params_set_format(pcm, hw, formats[i]));
        CHECK_ALSA(snd_pcm_hw_params_set_period_size(pcm, hw, period, 0));
        CHECK_ALSA(snd_pcm_hw_params_set_buffer_size_near(pcm, hw, &buffer));
        CHECK_EQ(buffer, 2 * period);
        CHECK_ALSA(snd_pcm_hw_params(pcm, hw));
        CHECK_ALSA(snd_pcm_close(pcm));
    }
}

static void
wrong_names_are_refused(void)
{
    snd_pcm_t *pcm = NULL;
    CHECK_EQ(rig_open_pcm(&pcm, "nobody", SND_PCM_STREAM_PLAYBACK, 0), -ENODEV);
}

int
main(void)
{
    const struct rig_config config = {.output_safety_frames = 48, .input_safety_frames = 32};
    rig_start(&config);
    RUN(nothing_is_heard_before_the_start_threshold);
    RUN(a_rewound_frame_is_heard_as_it_was_written_last);
    RUN(what_is_rewound_and_not_written_again_is_not_heard);
    RUN(frames_that_are_skipped_are_silent);
    RUN(a_pause_loses_and_repeats_nothing);
    RUN(a_pause_is_no_underrun);
    RUN(what_is_prepared_or_paused_for_long_lets_the_device_rest);
    RUN(an_xrun_that_is_left_alone_lets_the_device_rest);
    RUN(what_is_written_in_a_pause_is_heard_after_it);
    RUN(what_is_dropped_is_not_heard);
    RUN(a_reset_drops_what_is_written_and_goes_on);
    RUN(running_dry_is_an_xrun);
    RUN(a_program_that_only_polls_learns_of_an_xrun);
    RUN(not_reading_in_time_is_an_xrun);
    RUN(with_a_stop_threshold_at_the_boundary_nothing_is_an_xrun);
    RUN(a_poll_ends_when_there_is_room_and_not_before);
    RUN(a_poll_for_frames_to_read_ends_when_they_are_there);
    RUN(where_nothing_runs_the_delay_is_what_waits);
    RUN(a_start_that_takes_long_loses_nothing);
    RUN(a_program_outlives_the_driver);
    RUN(after_a_fork_the_childs_handle_fails_and_the_parents_does_not);
    RUN(a_long_buffer_keeps_what_is_not_read_for_long);
    RUN(nothing_is_drained_at_once);
    RUN(a_handle_is_closed_in_every_state);
    RUN(a_question_before_sizes_are_agreed_upon_breaks_nothing);
    RUN(fewer_than_two_periods_are_refused_whatever_was_asked_first);
    RUN(wrong_names_are_refused);
    rig_finish();
    return 0;
}
