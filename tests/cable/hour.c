// SPDX-License-Identifier: MIT
// A long run on the simulated clock.

#include "tests/cable/hour.h"

#include "tests/cable/shaky.h"

#include <string.h>
#include <time.h>

#define FRAMES 128u

struct hour {
    uint64_t seed;
    double seconds;
    struct hour_result *result;
    struct shaky_tapes tapes;
    uint64_t played, output_next, output_breaks;
    struct shaky_tape recorded;
    uint64_t input_next, input_breaks;
    uint64_t hash;
};

static uint64_t
hash_word(uint64_t hash, uint64_t word)
{
    return (hash ^ word) * UINT64_C(0x100000001B3);
}

static void
play(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct hour *const hour = context;
    float *const to = output;
    (void)input;
    hour->output_breaks += hour->played && cycle->output_time != hour->output_next;
    hour->output_next = cycle->output_time + cycle->frames;
    for (uint32_t i = 0; i < cycle->frames; i++)
        to[i] = shaky_sample(hour->played++);
}

static void
record(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct hour *const hour = context;
    const float *const from = input;
    (void)output;
    hour->input_breaks += hour->input_next && cycle->input_time != hour->input_next;
    hour->input_next = cycle->input_time + cycle->frames;
    hour->hash = hash_word(hour->hash, cycle->input_time);
    hour->hash = hash_word(hour->hash, cycle->host_time_ns);
    for (uint32_t i = 0; i < cycle->frames; i++) {
        uint32_t bits;
        memcpy(&bits, &from[i], sizeof bits);
        hour->hash = hash_word(hour->hash, bits);
        shaky_tape_add(&hour->recorded, from[i]);
    }
    hour->result->frames += cycle->frames;
}

static void
run(void *argument)
{
    struct hour *const hour = argument;
    const struct shaky_config driver_config = {
        .uid = "org.dextral.test.hour",
        .period_frames = 4096,
        .ppm = 100.0,
        .jitter_ns = 500000,
        .seed = hour->seed,
        .algorithm = IOUserAudioClockAlgorithmSimpleIIR,
        .tapes = &hour->tapes,
    };
    const dx_host_config host_config = {.size = sizeof host_config, .io_frames = FRAMES};
    dx_host *host = NULL;
    CHECK_OK(dx_host_create(&host_config, &host));
    IOUserAudioDriver *driver = shaky_create(&driver_config);
    CHECK_OK(dx_host_start_driver(host, driver, NULL));
    dx_host_settle(host);
    dx_device *device = NULL;
    CHECK_EQ(dx_host_copy_devices(host, &device, 1), 1);

    dx_client *clients[2] = {NULL, NULL};
    dx_client_config config = {
        .size = sizeof config,
        .name = "player",
        .output_stream = 0,
        .input_stream = DX_NO_STREAM,
        .io_frames = FRAMES,
        .callback = play,
        .context = hour,
    };
    CHECK_OK(dx_client_open(device, &config, &clients[0]));
    config.name = "recorder";
    config.output_stream = DX_NO_STREAM;
    config.input_stream = 0;
    config.callback = record;
    CHECK_OK(dx_client_open(device, &config, &clients[1]));
    CHECK_OK(dx_client_start(clients[0]));
    CHECK_OK(dx_client_start(clients[1]));
    dx_clock *const clock = dx_clock_current();
    dx_clock_sleep_until(clock, dx_clock_now_ns(clock) + (uint64_t)(hour->seconds * 1e9));

    dx_client_status player = {.size = sizeof player};
    dx_client_status recorder = {.size = sizeof recorder};
    CHECK_OK(dx_client_get_status(clients[0], &player));
    CHECK_OK(dx_client_get_status(clients[1], &recorder));
    dx_device_info info = {.size = sizeof info};
    CHECK_OK(dx_device_get_info(device, &info));
    dx_device_statistics statistics = {.size = sizeof statistics};
    CHECK_OK(dx_device_get_statistics(device, &statistics));
    dx_client_close(clients[0]);
    dx_client_close(clients[1]);
    dx_device_release(device);
    CHECK_OK(dx_host_stop_driver(host, driver));
    OSObjectRelease(driver);
    dx_host_destroy(host);

    CHECK_EQ(info.io_frames, FRAMES);
    CHECK_EQ(player.underrun_frames, 0);
    CHECK_EQ(recorder.overrun_frames, 0);
    CHECK_EQ(statistics.late_cycles, 0);
    CHECK_EQ(statistics.overloads, 0);
    CHECK_EQ(statistics.bad_stamps, 0);
    CHECK_EQ(statistics.skipped_input_frames, 0);
    CHECK_EQ(statistics.skipped_output_frames, 0);
    CHECK_EQ(hour->output_breaks, 0);
    CHECK_EQ(hour->input_breaks, 0);
    const struct shaky_tape *const tapes[] = {&hour->tapes.played, &hour->recorded};
    for (int i = 0; i < 2; i++) {
        CHECK((double)tapes[i]->exact > (hour->seconds - 1.0) * 47900.0);
        CHECK_EQ(tapes[i]->missing + tapes[i]->silent + tapes[i]->wrong, 0);
    }
    /* Frames last 100 ppm longer than nominal; device time has followed. */
    const double rate = 48000.0 / (1.0 + 100e-6);
    CHECK(info.actual_rate_hz > rate * (1.0 - 30e-6) && info.actual_rate_hz < rate * (1.0 + 30e-6));
    const double elapsed = (double)player.device_time - hour->seconds * rate;
    CHECK(elapsed > -64.0 && elapsed < 64.0);
    hour->result->cycles = statistics.cycles;
}

static double
now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void
hour_run(uint64_t seed, double seconds, struct hour_result *result)
{
    struct hour hour = {.seed = seed, .seconds = seconds, .result = result, .hash = RIG_FNV_OFFSET};
    *result = (struct hour_result){0};
    const double begin = now_s();
    const dx_simulation_config config = {.size = sizeof config, .seed = seed};
    dx_simulation_result simulation;
    rig_simulate(&config, run, &hour, &simulation);
    result->wall_s = now_s() - begin;
    result->log_hash = simulation.log_hash;
    result->bytes_hash = hour.hash;
    result->switches = simulation.switches;
}
