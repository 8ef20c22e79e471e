// SPDX-License-Identifier: MIT
// Clients: what they write and read is where they are told it is, and what is missing is counted.

#include "test_driver.h"
#include "tests/break_rules.h"

#include <math.h>
#include <stdlib.h>

#define HEARD ((size_t)1 << 19)

static struct test_rig rig;
static struct test_host host_b;
static struct test_driver driver_b;
static float heard[HEARD];

static void
start_listening(const struct test_config *config, const dx_host_config *host_config)
{
    memset(heard, 0, sizeof heard);
    rig.driver.heard = heard;
    rig.driver.heard_frames = HEARD;
    test_rig_start(&rig, config, host_config);
}

/* Frames that no other client's look like: exact in float, also in a sum of 64. */
static float
frame_value(uint32_t client, uint64_t frame)
{
    const uint32_t hash = ((uint32_t)frame * 2654435761u + client * 40503u) >> 16;
    return (float)(int32_t)(hash % 4096u - 2048u) / 8192.0f;
}

static void
fill(float *block, uint32_t client, uint64_t from, uint32_t frames)
{
    for (uint32_t i = 0; i < frames; i++)
        block[2 * i] = block[2 * i + 1] = frame_value(client, from + i);
}

static void
write_frames(dx_client *client, uint32_t number, uint64_t from, uint64_t to)
{
    float block[2 * 256];
    while (from < to) {
        const uint32_t n = to - from < 256 ? (uint32_t)(to - from) : 256;
        fill(block, number, from, n);
        CHECK_OK(dx_client_write(client, block, n, DX_NEVER, NULL));
        from += n;
    }
}

/* ---- writing ---- */

static void
a_write_before_the_start_takes_what_the_lane_holds_and_never_waits(void)
{
    start_listening(NULL, NULL);
    dx_client *const client = test_open(rig.device, true, false, 0);
    static float block[2 * 20000];
    fill(block, 0, 0, 20000);
    uint32_t written = 0;
    const uint64_t before = test_now();
    CHECK_STATUS(dx_client_write(client, block, 20000, DX_NEVER, &written), kIOReturnTimeout);
    CHECK_EQ(test_now(), before);
    CHECK(written >= 8192 && written < 20000);
    CHECK_STATUS(dx_client_drain(client, DX_NEVER), kIOReturnNotReady);
    CHECK_STATUS(dx_client_read(client, block, 1, 0, NULL), kIOReturnUnsupported);
    CHECK_OK(dx_client_start(client));
    CHECK_OK(dx_client_drain(client, DX_NEVER));
    const dx_client_status status = test_status(client);
    CHECK_EQ(status.output_frames, written);
    for (uint32_t i = 0; i < written; i++)
        CHECK(heard[status.output_base + i] == frame_value(0, i));
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
a_write_waits_for_room_until_its_deadline(void)
{
    start_listening(NULL, NULL);
    dx_client *const client = test_open(rig.device, true, false, 0);
    CHECK_OK(dx_client_start(client));
    static float block[2 * 48000];
    uint32_t written = 0;
    /* As fast as it goes, less what the lane holds. */
    const uint64_t before = test_now();
    CHECK_OK(dx_client_write(client, block, 48000, DX_NEVER, &written));
    CHECK_EQ(written, 48000);
    const uint64_t took = test_now() - before;
    CHECK(took > 700 * TEST_MS && took < 1000 * TEST_MS);

    CHECK_STATUS(dx_client_write(client, block, 8192, 0, &written), kIOReturnTimeout);
    CHECK(written < 8192);
    const uint64_t deadline = test_now() + 20 * TEST_MS;
    CHECK_STATUS(dx_client_write(client, block, 48000, deadline, &written), kIOReturnTimeout);
    CHECK(test_now() >= deadline && test_now() < deadline + 100000);
    CHECK(written > 300 && written < 2000);
    CHECK_EQ(test_status(client).underrun_frames, 0);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
stop_from_elsewhere(void *argument)
{
    test_sleep(300 * TEST_MS);
    dx_client_stop(argument);
}

static void
a_stop_ends_the_waits_of_its_client(void)
{
    for (int what = 0; what < 3; what++) {
        start_listening(NULL, NULL);
        dx_client *const client = test_open(rig.device, true, true, 0);
        CHECK_OK(dx_client_start(client));
        dx_task *const stopper = test_spawn(stop_from_elsewhere, client);
        static float block[2 * 48000];
        uint32_t done = 0;
        const uint64_t before = test_now();
        if (what == 0)
            CHECK_STATUS(dx_client_write(client, block, 48000, DX_NEVER, &done), kIOReturnTimeout);
        else if (what == 1)
            CHECK(dx_client_read(client, block, 48000, DX_NEVER, &done) != kIOReturnSuccess);
        else {
            CHECK_STATUS(dx_client_write(client, block, 48000, 1, &done), kIOReturnTimeout);
            test_sleep(250 * TEST_MS);
            CHECK_STATUS(dx_client_write(client, block, 48000, 1, &done), kIOReturnTimeout);
            CHECK_STATUS(dx_client_drain(client, DX_NEVER), kIOReturnNotReady);
        }
        CHECK(test_now() - before < 310 * TEST_MS);
        dx_task_join(stopper);
        CHECK_STATUS(dx_client_read(client, block, 1, 0, NULL), kIOReturnNotReady);
        CHECK_OK(dx_client_start(client)); // from frame 0 again
        CHECK_EQ(test_status(client).output_frames, 0);
        dx_client_close(client);
        test_rig_finish(&rig);
    }
}

struct interrupted {
    dx_client *client;
    kern_return_t status;
    uint32_t done;
};

static void
write_too_much(void *argument)
{
    static float block[2 * 48000];
    struct interrupted *const write = argument;
    fill(block, 6, 0, 48000);
    write->status = dx_client_write(write->client, block, 48000, DX_NEVER, &write->done);
}

static bool starts_at_once;

static void
stop_a_write(void)
{
    start_listening(NULL, NULL);
    dx_client *const keeper = test_open(rig.device, true, false, 0);
    CHECK_OK(dx_client_start(keeper)); // so that IO goes on
    struct interrupted write = {.client = test_open(rig.device, true, false, 0)};
    CHECK_OK(dx_client_start(write.client));
    dx_task *const writer = test_spawn(write_too_much, &write);
    test_sleep(200 * TEST_MS);
    dx_client_stop(write.client);
    if (!starts_at_once)
        dx_task_join(writer);
    CHECK_OK(dx_client_start(write.client));
    const uint64_t base = test_status(write.client).output_base;
    if (starts_at_once)
        dx_task_join(writer);
    CHECK_STATUS(write.status, kIOReturnTimeout);
    CHECK(write.done > 9000 && write.done < 40000);
    CHECK_EQ(test_status(write.client).output_frames, 0);
    test_sleep(TEST_S);
    for (uint64_t i = base; i < base + 40000; i++)
        CHECK(heard[i] == 0.0f);
    dx_client_close(write.client);
    dx_client_close(keeper);
    test_rig_finish(&rig);
}

/* Whether the writer or the one who stops comes first is up to the seed. */
static void
what_a_stop_interrupted_is_not_heard_at_the_next_start(void)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        starts_at_once = seed % 2;
        test_simulate_seeded(stop_a_write, seed);
    }
}

static void
drain_returns_when_the_last_frame_was_heard(void)
{
    start_listening(NULL, NULL);
    dx_client *const client = test_open(rig.device, true, false, 0);
    CHECK_OK(dx_client_start(client));
    write_frames(client, 3, 0, 3000);
    CHECK_STATUS(dx_client_drain(client, test_now() + TEST_MS), kIOReturnTimeout);
    CHECK_OK(dx_client_drain(client, DX_NEVER));
    const dx_client_status status = test_status(client);
    CHECK(status.device_time >= status.output_base + 3000 && status.device_time <= status.output_base + 3002);
    test_sleep(100 * TEST_MS);
    CHECK_EQ(test_status(client).underrun_frames, 0); // what is drained is not missing
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
underruns_are_the_gap_that_was_heard(void)
{
    for (uint64_t ms = 250; ms < 650; ms += 77) {
        start_listening(NULL, NULL);
        dx_client *const client = test_open(rig.device, true, false, 0);
        CHECK_OK(dx_client_start(client));
        const uint64_t first_base = test_status(client).output_base;
        write_frames(client, 1, 0, 4000);
        test_sleep(ms * TEST_MS);
        write_frames(client, 1, 4000, 30000);
        CHECK_OK(dx_client_drain(client, DX_NEVER));
        const dx_client_status status = test_status(client);
        CHECK(status.output_base > first_base);
        for (uint64_t i = 0; i < 4000; i++)
            CHECK(heard[first_base + i] == frame_value(1, i));
        for (uint64_t i = 4000; i < 30000; i++)
            CHECK(heard[status.output_base + i] == frame_value(1, i));
        for (uint64_t i = first_base + 4000; i < status.output_base + 4000; i++)
            CHECK(heard[i] == 0.0f);
        CHECK_EQ(status.underrun_frames, status.output_base - first_base);
        dx_client_close(client);
        test_rig_finish(&rig);
    }
}

/* ---- reading ---- */

static void
write_all(void *argument)
{
    write_frames(argument, 4, 0, 150000);
}

static void
overruns_are_counted_and_silence_stands_for_them(void)
{
    const struct test_config config = {.loops_back = true};
    start_listening(&config, NULL);
    dx_client *const player = test_open(rig.device, true, false, 0);
    dx_client *const recorder = test_open(rig.device, false, true, 0);
    CHECK_OK(dx_client_start(player));
    CHECK_OK(dx_client_start(recorder));
    static float block[2 * 512];
    for (uint64_t i = 0; i < 40000; i += 256)
        write_frames(player, 0, i, i + 256); // 0.8 s and nobody reads
    const uint64_t base = test_status(recorder).input_base;
    const uint64_t player_base = test_status(player).output_base;
    uint64_t lost_reads = 0, silent = 0, next = base;
    for (int i = 0; i < 60; i++) {
        const kern_return_t status = dx_client_read(recorder, block, 512, DX_NEVER, NULL);
        CHECK(status == kIOReturnSuccess || status == kIOReturnOverrun);
        lost_reads += status == kIOReturnOverrun;
        for (uint32_t f = 0; f < 512; f++, next++) {
            const float wanted =
                next >= player_base && next < player_base + 40000 ? frame_value(0, next - player_base) : 0.0f;
            CHECK(block[2 * f] == wanted || block[2 * f] == 0.0f);
            silent += next >= player_base && block[2 * f] != wanted;
        }
    }
    CHECK(lost_reads > 0);
    CHECK_EQ(test_status(recorder).input_frames, 60 * 512);
    const uint64_t overrun = test_status(recorder).overrun_frames;
    CHECK(overrun > 10000 && overrun >= silent);
    CHECK_OK(dx_client_read(recorder, block, 512, DX_NEVER, NULL)); // and it goes on
    dx_client_close(player);
    dx_client_close(recorder);
    test_rig_finish(&rig);
}

static void
a_read_of_more_than_the_input_ring_holds_loses_nothing(void)
{
    enum { FRAMES = 150000 };
    const struct test_config config = {.loops_back = true};
    start_listening(&config, NULL);
    dx_client *const recorder = test_open(rig.device, false, true, 0);
    dx_client *const player = test_open(rig.device, true, false, 0);
    CHECK_OK(dx_client_start(player));
    CHECK_OK(dx_client_start(recorder));
    dx_task *const writer = test_spawn(write_all, player);
    static float block[2 * FRAMES];
    uint32_t got = 0;
    CHECK_OK(dx_client_read(recorder, block, FRAMES, DX_NEVER, &got));
    CHECK_EQ(got, FRAMES);
    dx_task_join(writer);
    const uint64_t base = test_status(recorder).input_base, from = test_status(player).output_base;
    CHECK(from > base && from < base + 4096);
    CHECK_EQ(test_status(recorder).overrun_frames, 0);
    for (uint64_t i = from - base; i < FRAMES; i++)
        CHECK(block[2 * i] == frame_value(4, base + i - from));
    dx_client_close(player);
    dx_client_close(recorder);
    test_rig_finish(&rig);
}

static void
a_read_gives_up_at_its_deadline(void)
{
    test_rig_start(&rig, NULL, NULL);
    dx_client *const client = test_open(rig.device, false, true, 0);
    static float block[2 * 48000];
    uint32_t got = 1;
    CHECK_STATUS(dx_client_read(client, block, 10, DX_NEVER, &got), kIOReturnNotReady);
    CHECK_EQ(got, 0);
    CHECK_STATUS(dx_client_write(client, block, 10, 0, NULL), kIOReturnUnsupported);
    CHECK_OK(dx_client_start(client));
    CHECK_STATUS(dx_client_read(client, block, 10, 0, &got), kIOReturnTimeout);
    CHECK_EQ(got, 0);
    const uint64_t deadline = test_now() + 100 * TEST_MS;
    CHECK_STATUS(dx_client_read(client, block, 48000, deadline, &got), kIOReturnTimeout);
    CHECK_EQ(test_now(), deadline);
    CHECK(got > 3000 && got < 4800);
    CHECK_EQ(test_status(client).input_frames, got);
    dx_client_close(client);
    test_rig_finish(&rig);
}

/* ---- latency ---- */

static void
an_impulse_comes_back_after_what_was_reported(void)
{
    static const struct {
        uint32_t n, in, out, lead;
        uint64_t first_sample;
    } cases[] = {
        {512, 0, 0, 0, 0}, {256, 64, 128, 0, 0}, {100, 7, 13, 0, 16384}, {64, 0, 32, 200, 0}, {441, 1, 0, 900, 32768},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        const struct test_config config = {.loops_back = true, .input_safety = cases[c].in,
                                           .output_safety = cases[c].out, .first_sample = cases[c].first_sample,
                                           .input_latency = 21, .output_latency = 40, .stream_latency = 3};
        const dx_host_config host_config = {.io_frames = cases[c].n};
        start_listening(&config, &host_config);
        const dx_client_config client_config = {
            .size = sizeof client_config, .lead_frames = cases[c].lead, .priority = -1};
        dx_client *client = NULL;
        CHECK_OK(dx_client_open(rig.device, &client_config, &client));
        float one[2] = {0.5f, 0.25f};
        CHECK_OK(dx_client_write(client, one, 1, 0, NULL));
        const uint64_t position = test_now();
        CHECK_OK(dx_client_start(client));
        const dx_client_status status = test_status(client);
        /* The impulse is written at the start's device time. */
        const uint64_t start = status.device_time;
        (void)position;
        uint64_t index = 0;
        float got[2] = {0, 0};
        while (got[0] == 0.0f) {
            CHECK_OK(dx_client_read(client, got, 1, DX_NEVER, NULL));
            index++;
        }
        CHECK(got[0] == 0.5f && got[1] == 0.25f);
        /* Device time began in the driver's first ring. */
        CHECK(heard[status.output_base + cases[c].first_sample] == 0.5f);
        CHECK_EQ(status.input_base + index - 1, status.output_base);
        const uint32_t lead = cases[c].lead ? cases[c].lead : 2 * cases[c].n;
        CHECK_EQ(status.output_latency_frames, cases[c].n + cases[c].out + lead + 43);
        CHECK_EQ(status.input_latency_frames, cases[c].n + cases[c].in + 24);
        /* From writing to being heard: as reported, without the latency properties. */
        CHECK(status.output_base - start + 1 >= status.output_latency_frames - 43 &&
              status.output_base - start <= status.output_latency_frames - 43 + 1);
        /* From being heard to being read: at most as reported. */
        const uint64_t now = test_status(client).device_time;
        CHECK(now - status.output_base <= status.input_latency_frames - 24 + 2);
        dx_client_close(client);
        test_rig_finish(&rig);
    }
    rig.driver.heard = NULL;
}

struct pulse {
    uint64_t callbacks, frames_out, frames_in;
    uint64_t sent_at, got_at; // in the callback's own count of frames
    uint64_t sent_time, got_time, next_input, next_output;
    uint64_t jumps, lost;
    uint32_t smallest, largest;
};

static void
send_pulse(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct pulse *const pulse = context;
    const float *const in = input;
    float *const out = output;
    pulse->callbacks++;
    pulse->lost = cycle->lost_frames;
    pulse->smallest = pulse->smallest && pulse->smallest < cycle->frames ? pulse->smallest : cycle->frames;
    pulse->largest = pulse->largest > cycle->frames ? pulse->largest : cycle->frames;
    if (in) {
        pulse->jumps += pulse->next_input && cycle->input_time != pulse->next_input;
        pulse->next_input = cycle->input_time + cycle->frames;
        for (uint32_t i = 0; i < cycle->frames; i++)
            if (in[2 * i] != 0.0f && !pulse->got_at) {
                pulse->got_at = pulse->frames_in + i;
                pulse->got_time = cycle->input_time + i;
            }
        pulse->frames_in += cycle->frames;
    }
    if (out) {
        pulse->jumps += pulse->next_output && cycle->output_time != pulse->next_output;
        pulse->next_output = cycle->output_time + cycle->frames;
        if (pulse->callbacks == 20) {
            out[0] = out[1] = 0.75f;
            pulse->sent_at = pulse->frames_out;
            pulse->sent_time = cycle->output_time;
        }
        pulse->frames_out += cycle->frames;
    }
}

static void
callbacks_of_any_size_are_contiguous_and_exact(void)
{
    static const uint32_t sizes[] = {1, 15, 64, 100, 441, 512, 4096};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        const struct test_config config = {.loops_back = true, .input_safety = 10, .output_safety = 20};
        start_listening(&config, NULL);
        struct pulse pulse = {0};
        const dx_client_config client_config = {.size = sizeof client_config, .io_frames = sizes[s],
                                                .callback = send_pulse, .context = &pulse, .priority = -1};
        dx_client *client = NULL;
        CHECK_OK(dx_client_open(rig.device, &client_config, &client));
        CHECK_OK(dx_client_start(client));
        test_sleep(3 * TEST_S);
        const dx_client_status status = test_status(client);
        dx_client_stop(client);
        CHECK_EQ(pulse.smallest, sizes[s]);
        CHECK_EQ(pulse.largest, sizes[s]);
        CHECK_EQ(pulse.jumps, 0);
        CHECK_EQ(status.underrun_frames, 0);
        CHECK_EQ(status.overrun_frames, 0);
        CHECK_EQ(pulse.lost, 0);
        CHECK_EQ(status.limited_samples, 0);
        CHECK(pulse.frames_out > 3 * 48000 - 3 * sizes[s] - 2048);
        CHECK_EQ(pulse.got_time, pulse.sent_time);
        CHECK(heard[pulse.sent_time] == 0.75f);
        const uint32_t n = test_info(rig.device).io_frames;
        CHECK_EQ(n, 512);
        /* As reported: 2N + Si + So + the lead. */
        const uint64_t round_trip = pulse.got_at - pulse.sent_at;
        if (round_trip != status.output_latency_frames + status.input_latency_frames)
            (void)fprintf(stderr, "size %u: %llu, reported %u + %u\n", sizes[s], (unsigned long long)round_trip,
                          status.output_latency_frames, status.input_latency_frames);
        CHECK_EQ(round_trip, status.output_latency_frames + status.input_latency_frames);
        dx_client_close(client);
        test_rig_finish(&rig);
    }
}

static void
a_synchronous_client_adds_no_latency_of_its_own(void)
{
    const struct test_config config = {.loops_back = true, .input_safety = 10, .output_safety = 20};
    start_listening(&config, NULL);
    struct pulse pulse = {0};
    const dx_client_config client_config = {.size = sizeof client_config, .flags = DX_CLIENT_SYNCHRONOUS,
                                            .callback = send_pulse, .context = &pulse};
    dx_client *client = NULL;
    CHECK_OK(dx_client_open(rig.device, &client_config, &client));
    CHECK_OK(dx_client_start(client));
    test_sleep(2 * TEST_S);
    const dx_client_status status = test_status(client);
    dx_client_close(client);
    CHECK_EQ(pulse.jumps, 0);
    CHECK_EQ(pulse.got_time, pulse.sent_time);
    CHECK(heard[pulse.sent_time] == 0.75f);
    CHECK_EQ(pulse.got_at - pulse.sent_at, 2 * 512 + 30);
    CHECK_EQ(status.output_latency_frames, 512 + 20);
    CHECK_EQ(status.input_latency_frames, 512 + 10);
    const dx_client_config wrong = {.size = sizeof wrong, .flags = DX_CLIENT_SYNCHRONOUS};
    CHECK_STATUS(dx_client_open(rig.device, &wrong, &client), kIOReturnUnsupported);
    test_rig_finish(&rig);
}

/* ---- several ---- */

static void
others_hear_no_difference_when_clients_join_and_leave(void)
{
    start_listening(NULL, NULL);
    dx_client *const client = test_open(rig.device, true, false, 0);
    CHECK_OK(dx_client_start(client));
    dx_client *guests[24];
    uint64_t frame = 0;
    for (int i = 0; i < 24; i++) {
        guests[i] = test_open(rig.device, true, i % 2, (uint32_t)(100 + 13 * i));
        CHECK_OK(dx_client_start(guests[i])); // plays nothing
        write_frames(client, 9, frame, frame + 1500);
        frame += 1500;
        if (i % 3 == 2) {
            dx_client_close(guests[i - 1]);
            guests[i - 1] = NULL;
        }
    }
    for (int i = 0; i < 24; i++) {
        dx_client_close(guests[i]);
        write_frames(client, 9, frame, frame + 1500);
        frame += 1500;
    }
    CHECK_OK(dx_client_drain(client, DX_NEVER));
    const dx_client_status status = test_status(client);
    CHECK_EQ(status.underrun_frames, 0);
    for (uint64_t i = 0; i < frame; i++)
        CHECK(heard[status.output_base + i] == frame_value(9, i));
    CHECK_EQ(test_statistics(rig.device).overloads, 0);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
the_sum_of_clients_is_exact(void)
{
    start_listening(NULL, NULL);
    dx_client *clients[8];
    for (uint32_t i = 0; i < 8; i++) {
        clients[i] = test_open(rig.device, true, false, 0);
        float block[2 * 512];
        for (uint64_t f = 0; f < 5120; f += 512) {
            fill(block, i, f, 512);
            CHECK_OK(dx_client_write(clients[i], block, 512, 0, NULL));
        }
    }
    uint64_t base[8];
    for (uint32_t i = 0; i < 8; i++) {
        CHECK_OK(dx_client_start(clients[i]));
        base[i] = test_status(clients[i]).output_base;
        test_sleep(5 * TEST_MS);
    }
    for (uint32_t i = 0; i < 8; i++)
        CHECK_OK(dx_client_drain(clients[i], DX_NEVER));
    for (uint64_t t = base[0]; t < base[7] + 5200; t++) {
        float sum = 0.0f;
        for (uint32_t i = 0; i < 8; i++)
            if (t >= base[i] && t < base[i] + 5120)
                sum += frame_value(i, t - base[i]);
        CHECK(heard[t] == sum);
    }
    for (uint32_t i = 0; i < 8; i++)
        dx_client_close(clients[i]);
    test_rig_finish(&rig);
}

static void
the_io_size_follows_the_smallest_request_and_goes_back(void)
{
    start_listening(NULL, NULL);
    dx_client *const plain = test_open(rig.device, true, false, 0);
    CHECK_OK(dx_client_start(plain));
    CHECK_EQ(test_info(rig.device).io_frames, 512);
    dx_client *const small = test_open(rig.device, true, true, 128);
    CHECK_EQ(test_info(rig.device).io_frames, 512);
    CHECK_OK(dx_client_start(small));
    test_sleep(50 * TEST_MS);
    CHECK_EQ(test_info(rig.device).io_frames, 128);
    dx_client *const late = test_open(rig.device, true, true, 0);
    CHECK_OK(dx_client_start(late));
    dx_client *const smaller = test_open(rig.device, true, true, 64);
    CHECK_OK(dx_client_start(smaller));
    test_sleep(50 * TEST_MS);
    CHECK_EQ(test_info(rig.device).io_frames, 64);
    dx_client *const tiny = test_open(rig.device, true, true, 1);
    CHECK_OK(dx_client_start(tiny));
    test_sleep(50 * TEST_MS);
    CHECK_EQ(test_info(rig.device).io_frames, 16);
    dx_client_close(tiny);
    dx_client_close(smaller);
    test_sleep(50 * TEST_MS);
    CHECK_EQ(test_info(rig.device).io_frames, 128);
    dx_client_stop(small);
    test_sleep(50 * TEST_MS);
    CHECK_EQ(test_info(rig.device).io_frames, 512);

    CHECK_STATUS(dx_device_set_io_frames(rig.device, 16384), kIOReturnBadArgument);
    CHECK_OK(dx_device_set_io_frames(rig.device, 1000));
    CHECK_OK(dx_client_start(small));
    test_sleep(50 * TEST_MS);
    CHECK_EQ(test_info(rig.device).io_frames, 1000);
    CHECK_OK(dx_device_set_io_frames(rig.device, 0));
    test_sleep(50 * TEST_MS);
    CHECK_EQ(test_info(rig.device).io_frames, 128);
    CHECK_EQ(rig.driver.start_ios, 1); // without a stop
    CHECK_EQ(test_statistics(rig.device).overloads, 0);
    dx_client_close(small);
    dx_client_close(late);
    dx_client_close(plain);
    test_rig_finish(&rig);
}

static void
an_io_size_that_changes_loses_and_doubles_nothing(void)
{
    const struct test_config config = {.loops_back = true};
    start_listening(&config, NULL);
    struct pulse recording = {0};
    const dx_client_config client_config = {.size = sizeof client_config, .io_frames = 256,
                                            .output_stream = DX_NO_STREAM, .callback = send_pulse,
                                            .context = &recording, .priority = -1};
    dx_client *recorder = NULL;
    CHECK_OK(dx_client_open(rig.device, &client_config, &recorder));
    dx_client *const player = test_open(rig.device, true, false, 0);
    CHECK_OK(dx_client_start(player));
    CHECK_OK(dx_client_start(recorder));
    static const uint32_t sizes[] = {64, 512, 17, 256, 1000, 100};
    uint64_t frame = 0;
    for (int i = 0; i < 18; i++) {
        CHECK_OK(dx_device_set_io_frames(rig.device, sizes[i % 6]));
        write_frames(player, 5, frame, frame + 4800);
        frame += 4800;
    }
    CHECK_OK(dx_client_drain(player, DX_NEVER));
    const dx_client_status status = test_status(player);
    CHECK_EQ(status.underrun_frames, 0);
    for (uint64_t i = 0; i < frame; i++)
        CHECK(heard[status.output_base + i] == frame_value(5, i));
    CHECK_EQ(recording.jumps, 0);
    CHECK_EQ(test_status(recorder).overrun_frames, 0);
    dx_client_close(recorder);
    dx_client_close(player);
    test_rig_finish(&rig);
}

static void
a_non_mixable_stream_has_one_client(void)
{
    struct test_config config = {.format_count = 1};
    config.formats[0] = test_format_s16(48000, 2);
    config.formats[0].mFormatFlags |= FormatFlagIsNonMixable;
    test_rig_start(&rig, &config, NULL);
    const dx_device_info info = test_info(rig.device);
    CHECK(!info.outputs[0].is_mixable);
    CHECK(memcmp(&info.outputs[0].client, &config.formats[0], sizeof config.formats[0]) == 0);
    dx_client *client = test_open(rig.device, true, false, 0);
    const dx_client_config second = {.size = sizeof second, .output_stream = 0, .input_stream = DX_NO_STREAM};
    dx_client *none = NULL;
    CHECK_STATUS(dx_client_open(rig.device, &second, &none), kIOReturnExclusiveAccess);
    dx_client *const recorder = test_open(rig.device, false, true, 0);
    uint16_t frames[2 * 1000];
    for (int i = 0; i < 2000; i++)
        frames[i] = (uint16_t)(i * 31 + 0x8000);
    CHECK_OK(dx_client_write(client, frames, 1000, 0, NULL));
    CHECK_OK(dx_client_start(client));
    const uint64_t base = test_status(client).output_base;
    CHECK_OK(dx_client_drain(client, DX_NEVER));
    for (uint64_t i = 0; i < 1000; i++) // bits as they were
        CHECK(memcmp(rig.driver.output_rings[0] + (base + i) % 16384 * 4, &frames[2 * i], 4) == 0);
    dx_client_close(client);
    client = test_open(rig.device, true, false, 0);
    dx_client_close(client);
    dx_client_close(recorder);
    test_rig_finish(&rig);
}

static void
a_thousand_clients_share_a_device(void)
{
    enum { MANY = 1024 };
    static dx_client *clients[MANY];
    const struct test_config config = {.output_streams = 1, .input_streams = TEST_NONE};
    start_listening(&config, NULL);
    const float one[2] = {1.0f / 1024, 1.0f / 1024};
    dx_client_config client_config = {.size = sizeof client_config, .input_stream = DX_NO_STREAM,
                                      .buffer_frames = 2048, .io_frames = 512};
    for (int i = 0; i < MANY; i++) {
        CHECK_OK(dx_client_open(rig.device, &client_config, &clients[i]));
        CHECK_OK(dx_client_write(clients[i], one, 1, 0, NULL));
    }
    dx_client *none = NULL;
    CHECK_STATUS(dx_client_open(rig.device, &client_config, &none), kIOReturnNoResources);
    for (int i = 0; i < MANY; i++)
        CHECK_OK(dx_client_start(clients[i]));
    test_sleep(100 * TEST_MS);
    double sum = 0.0;
    for (size_t i = 0; i < HEARD; i++)
        sum += heard[i];
    CHECK(sum == 1.0);
    for (int i = 0; i < MANY; i++)
        dx_client_close(clients[i]);
    test_rig_finish(&rig);
}

/* ---- devices ---- */

static void
the_default_device_is_the_first_that_may_be_and_is_not_hidden(void)
{
    test_host_create(&host_b, NULL);
    static struct test_driver drivers[4];
    const struct test_config configs[4] = {
        {.uid = "hidden", .is_hidden = true},
        {.uid = "input", .output_streams = TEST_NONE, .input_streams = 1},
        {.uid = "both"},
        {.uid = "output", .output_streams = 1, .input_streams = TEST_NONE},
    };
    IOUserAudioDriver *objects[4];
    for (int i = 0; i < 4; i++) {
        objects[i] = test_driver_create(&drivers[i], &configs[i]);
        CHECK_OK(dx_host_start_driver(host_b.host, objects[i], NULL));
    }
    dx_host_settle(host_b.host);
    CHECK_EQ(dx_host_copy_devices(host_b.host, NULL, 0), 3);
    dx_device *device = dx_host_copy_device(host_b.host, "hidden");
    CHECK(device);
    dx_device_release(device);
    device = dx_host_copy_default_device(host_b.host, IOUserAudioStreamDirectionInput);
    CHECK_TEXT(dx_device_uid(device), "input");
    dx_device_release(device);
    device = dx_host_copy_default_device(host_b.host, IOUserAudioStreamDirectionOutput);
    CHECK_TEXT(dx_device_uid(device), "both");
    dx_device_release(device);
    CHECK_OK(IOUserAudioDeviceSetCanBeDefaultOutputDevice(drivers[2].device, false));
    device = dx_host_copy_default_device(host_b.host, IOUserAudioStreamDirectionOutput);
    CHECK_TEXT(dx_device_uid(device), "output");
    dx_device_release(device);
    CHECK_OK(dx_host_terminate_driver(host_b.host, objects[3]));
    CHECK(!dx_host_copy_default_device(host_b.host, IOUserAudioStreamDirectionOutput));
    dx_device *list[8];
    const size_t count = dx_host_copy_devices(host_b.host, list, 8);
    for (size_t i = 0; i < count; i++)
        dx_device_release(list[i]);
    for (int i = 0; i < 4; i++)
        OSObjectRelease(objects[i]);
    test_host_destroy(&host_b);
}

static void
two_hosts_do_not_know_each_other(void)
{
    start_listening(NULL, NULL);
    test_host_create(&host_b, NULL);
    const struct test_config config = {.rate_hz = 44100};
    IOUserAudioDriver *const driver = test_driver_create(&driver_b, &config);
    CHECK_OK(dx_host_start_driver(host_b.host, driver, NULL));
    dx_device *const device = dx_host_copy_device(host_b.host, TEST_UID);
    CHECK(device && device != rig.device);
    dx_client *const a = test_open(rig.device, true, true, 0);
    dx_client *const b = test_open(device, true, true, 64);
    CHECK_OK(dx_client_start(a));
    CHECK_OK(dx_client_start(b));
    test_sleep(TEST_S);
    CHECK_EQ(test_info(rig.device).io_frames, 512);
    CHECK_EQ(test_info(device).io_frames, 64);
    CHECK(rig.driver.frames_written > 47000 && driver_b.frames_written > 43000 && driver_b.frames_written < 45000);
    dx_client_close(b);
    dx_device_release(device);
    test_host_destroy(&host_b);
    OSObjectRelease(driver);
    test_sleep(100 * TEST_MS);
    CHECK(test_info(rig.device).is_running);
    dx_client_close(a);
    test_rig_finish(&rig);
}

/* ---- overload ---- */

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
an_overload_is_told_once_and_time_goes_on(void)
{
    const struct test_config config = {.in_handler = stall_once};
    start_listening(&config, NULL);
    dx_client *const client = test_open(rig.device, true, false, 0);
    CHECK_OK(dx_client_start(client));
    write_frames(client, 2, 0, 10000);
    test_host_forget(&rig.host);
    const uint64_t before = test_status(client).device_time, before_ns = test_now();
    stall_ns = 100 * TEST_MS;
    write_frames(client, 2, 10000, 40000);
    const double went = (double)(test_status(client).device_time - before);
    CHECK(fabs(went - (double)(test_now() - before_ns) * 48e-6) < 2);
    test_sleep(10 * TEST_MS);
    dx_host_settle(rig.host.host);
    CHECK(test_host_told(&rig.host, 0, kIOUserAudioPropertyProcessorOverload));
    CHECK_EQ(test_host_count(&rig.host, DX_EVENT_PROPERTIES_CHANGED), 1);
    const dx_device_statistics statistics = test_statistics(rig.device);
    CHECK_EQ(statistics.overloads, 1);
    CHECK_EQ(statistics.causes[DX_CAUSE_HANDLER], 2); // the late cycle, and what it made others skip
    CHECK(statistics.skipped_output_frames > 3000 && statistics.skipped_output_frames < 6000);
    CHECK_EQ(rig.driver.start_ios, 1);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
an_overload_is_told_of_its_device(void)
{
    const struct test_config config = {.in_handler = stall_once};
    test_rig_start(&rig, &config, NULL);
    dx_client *const client = test_open(rig.device, true, false, 0);
    CHECK_OK(dx_client_start(client));
    test_sleep(50 * TEST_MS);
    stall_ns = 100 * TEST_MS;
    test_sleep(200 * TEST_MS);
    dx_host_settle(rig.host.host);
    const IOUserAudioObjectID id = IOUserAudioObjectGetObjectID(rig.object);
    CHECK(test_host_told(&rig.host, id, kIOUserAudioPropertyProcessorOverload));
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
a_late_cycle_takes_no_input_from_a_callback(void)
{
    const struct test_config config = {.in_handler = stall_once, .late_tolerance = 8192, .period_frames = 32768,
                                       .loops_back = true};
    start_listening(&config, NULL);
    struct pulse pulse = {0};
    const dx_client_config client_config = {.size = sizeof client_config, .io_frames = 512, .callback = send_pulse,
                                            .context = &pulse, .priority = -1};
    dx_client *client = NULL;
    CHECK_OK(dx_client_open(rig.device, &client_config, &client));
    CHECK_OK(dx_client_start(client));
    for (int i = 0; i < 5; i++) {
        test_sleep(200 * TEST_MS);
        stall_ns = (uint64_t)(5 + 3 * i) * TEST_MS;
    }
    test_sleep(TEST_S);
    const dx_client_status status = test_status(client);
    CHECK(test_statistics(rig.device).late_cycles > 0);
    CHECK_EQ(status.overrun_frames, 0);
    CHECK_EQ(pulse.lost, 0);
    CHECK_EQ(pulse.jumps, 0);
    CHECK_EQ(pulse.got_time, pulse.sent_time);
    dx_client_close(client);
    test_rig_finish(&rig);
}

static void
send_pulse_late(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    const uint64_t ns = atomic_exchange(&stall_ns, 0);
    BREAK_RULES_BEGIN("a callback that stalls")
    if (ns)
        test_sleep(ns);
    BREAK_RULES_END
    send_pulse(context, cycle, input, output);
}

static void
a_late_callback_loses_frames_and_keeps_its_latency(void)
{
    /* Later than the lead allows, and so late that callbacks are left out. */
    static const uint64_t late_ms[] = {4, 40};
    for (size_t i = 0; i < sizeof late_ms / sizeof late_ms[0]; i++) {
        const struct test_config config = {.loops_back = true, .input_safety = 10, .output_safety = 20};
        start_listening(&config, NULL);
        struct pulse pulse = {0};
        const dx_client_config client_config = {.size = sizeof client_config, .io_frames = 64, .lead_frames = 128,
                                                .callback = send_pulse_late, .context = &pulse, .priority = -1};
        CHECK_OK(dx_device_set_io_frames(rig.device, 64));
        dx_client *client = NULL;
        CHECK_OK(dx_client_open(rig.device, &client_config, &client));
        CHECK_OK(dx_client_start(client));
        test_sleep(TEST_S);
        const dx_client_status before = test_status(client);
        CHECK_EQ(before.underrun_frames, 0);
        CHECK_EQ(before.output_latency_frames + before.input_latency_frames, 2 * 64 + 10 + 20 + 128);
        stall_ns = late_ms[i] * TEST_MS;
        test_sleep(TEST_S);
        const dx_client_status after = test_status(client);
        /* What the lead did not cover; where callbacks were left out, up to one more, and one cycle for the grid. */
        const uint64_t late_frames = 48 * late_ms[i];
        CHECK(after.underrun_frames >= late_frames - 128 && after.underrun_frames <= late_frames + 128);
        CHECK_EQ(after.output_latency_frames, before.output_latency_frames);
        CHECK_EQ(after.input_latency_frames, before.input_latency_frames);
        pulse = (struct pulse){0};
        test_sleep(TEST_S);
        dx_client_stop(client);
        CHECK_EQ(pulse.got_at - pulse.sent_at, before.output_latency_frames + before.input_latency_frames);
        CHECK_EQ(test_status(client).underrun_frames, after.underrun_frames);
        dx_client_close(client);
        test_rig_finish(&rig);
    }
}

/* ---- priorities ---- */

static int32_t spawned_priority; // of the task called "the client"

kern_return_t __real_dx_task_spawn(dx_clock *clock, const dx_task_config *config, void (*function)(void *argument),
                                   void *argument, dx_task **ret_task);
kern_return_t __wrap_dx_task_spawn(dx_clock *clock, const dx_task_config *config, void (*function)(void *argument),
                                   void *argument, dx_task **ret_task);

kern_return_t
__wrap_dx_task_spawn(dx_clock *clock, const dx_task_config *config, void (*function)(void *argument),
                     void *argument, dx_task **ret_task)
{
    if (config && config->name && strcmp(config->name, "the client") == 0)
        spawned_priority = config->priority;
    return __real_dx_task_spawn(clock, config, function, argument, ret_task);
}

static void
a_client_stays_below_the_priority_of_the_io_threads(void)
{
    /* 0 is plain scheduling, for a task; for a client that is -1, and 0 its choice by what the IO threads have. */
    static const int32_t cases[][3] = {{80, 0, 70}, {11, 0, 1}, {10, 0, 1}, {2, 0, 1}, {1, 0, 0},
                                       {-1, 0, 0},  {20, 5, 5}, {20, -1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_rig_start(&rig, NULL, &(dx_host_config){.io_priority = cases[i][0]});
        struct pulse pulse = {0};
        const dx_client_config config = {.size = sizeof config, .name = "the client", .callback = send_pulse,
                                         .context = &pulse, .priority = cases[i][1]};
        dx_client *client = NULL;
        CHECK_OK(dx_client_open(rig.device, &config, &client));
        spawned_priority = INT32_MIN;
        CHECK_OK(dx_client_start(client));
        CHECK_EQ(spawned_priority, cases[i][2]);
        dx_client_close(client);
        test_rig_finish(&rig);
    }
}

static void
arguments_out_of_range_are_refused(void)
{
    test_rig_start(&rig, NULL, NULL);
    dx_client *client = NULL;
    const dx_client_config good = {.size = sizeof good};
    dx_client_config bad[9];
    for (int i = 0; i < 9; i++)
        bad[i] = good;
    bad[0].size = 3;
    bad[1].flags = 0x80;
    bad[2].output_stream = bad[2].input_stream = DX_NO_STREAM;
    bad[3].output_stream = 1;
    bad[4].input_stream = 31;
    bad[5].input_stream = 32;
    bad[6].io_frames = UINT32_MAX;
    bad[7].lead_frames = UINT32_MAX;
    bad[8].buffer_frames = UINT32_MAX;
    for (int i = 0; i < 9; i++)
        CHECK_STATUS(dx_client_open(rig.device, &bad[i], &client), kIOReturnBadArgument);
    CHECK_STATUS(dx_client_open(NULL, &good, &client), kIOReturnBadArgument);
    CHECK_STATUS(dx_client_open(rig.device, NULL, &client), kIOReturnBadArgument);
    CHECK_STATUS(dx_client_open(rig.device, &good, NULL), kIOReturnBadArgument);
    dx_client_config small = good;
    small.buffer_frames = 10; // less than the lead
    CHECK_STATUS(dx_client_open(rig.device, &small, &client), kIOReturnBadArgument);
    dx_client_close(NULL);
    dx_client_stop(NULL);
    CHECK_STATUS(dx_client_start(NULL), kIOReturnBadArgument);
    dx_client_status status = {.size = 1};
    client = test_open(rig.device, true, true, 0);
    CHECK_STATUS(dx_client_get_status(client, &status), kIOReturnBadArgument);
    CHECK_STATUS(dx_client_write(client, NULL, 1, 0, NULL), kIOReturnBadArgument);
    CHECK_OK(dx_client_write(client, NULL, 0, 0, NULL));
    dx_client_close(client);
    test_rig_finish(&rig);
}

int
main(int argc, char **argv)
{
    test_filter = argc > 1 ? argv[1] : NULL;
    RUN_SIMULATED(a_write_before_the_start_takes_what_the_lane_holds_and_never_waits);
    RUN_SIMULATED(a_write_waits_for_room_until_its_deadline);
    RUN_SIMULATED(a_stop_ends_the_waits_of_its_client);
    RUN_FILTERED(what_a_stop_interrupted_is_not_heard_at_the_next_start);
    RUN_SIMULATED(drain_returns_when_the_last_frame_was_heard);
    RUN_SIMULATED(underruns_are_the_gap_that_was_heard);
    RUN_SIMULATED(overruns_are_counted_and_silence_stands_for_them);
    RUN_SIMULATED(a_read_of_more_than_the_input_ring_holds_loses_nothing);
    RUN_SIMULATED(a_read_gives_up_at_its_deadline);
    RUN_SIMULATED(an_impulse_comes_back_after_what_was_reported);
    RUN_SIMULATED(callbacks_of_any_size_are_contiguous_and_exact);
    RUN_SIMULATED(a_synchronous_client_adds_no_latency_of_its_own);
    RUN_SIMULATED(others_hear_no_difference_when_clients_join_and_leave);
    RUN_SIMULATED(the_sum_of_clients_is_exact);
    RUN_SIMULATED(the_io_size_follows_the_smallest_request_and_goes_back);
    RUN_SIMULATED(an_io_size_that_changes_loses_and_doubles_nothing);
    RUN_SIMULATED(a_non_mixable_stream_has_one_client);
    RUN_SIMULATED(a_thousand_clients_share_a_device);
    RUN_SIMULATED(the_default_device_is_the_first_that_may_be_and_is_not_hidden);
    RUN_SIMULATED(two_hosts_do_not_know_each_other);
    RUN_SIMULATED(an_overload_is_told_once_and_time_goes_on);
    RUN_SIMULATED(an_overload_is_told_of_its_device);
    RUN_SIMULATED(a_late_cycle_takes_no_input_from_a_callback);
    RUN_SIMULATED(a_late_callback_loses_frames_and_keeps_its_latency);
    RUN_SIMULATED(a_client_stays_below_the_priority_of_the_io_threads);
    RUN_SIMULATED(arguments_out_of_range_are_refused);
    return 0;
}
