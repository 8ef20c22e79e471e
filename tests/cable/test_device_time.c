// SPDX-License-Identifier: MIT
// Device time never goes back and loses nothing silently: stamps that jump, go back or stop, rate changes, a driver
// that vanishes and returns, cycles that are late; each with two clients running, for several seeds and clock filters.
//
// The player numbers its frames, and the driver's handler reads the numbers: each one left out must be among the
// skipped output frames, each silent frame among the player's underruns.  The handler numbers the frames to record: the
// recorder must get each of them, and as much silence between them as there are skipped input frames.

#include "tests/break_rules.h"
#include "tests/cable/shaky.h"

#include <math.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define PERIOD 4096u
#define SEEDS 4u

struct run;

struct scenario {
    const char *name;
    void (*function)(struct run *run);
    uint64_t jitter_ns;
    double ppm;
    bool resumes;  // numbers are left out while there is no driver, or IO is stopped for a change
    bool is_clean; // nothing may be lost at all
};

struct run {
    const struct scenario *scenario;
    IOUserAudioClockAlgorithm algorithm;
    uint64_t seed;
    uint64_t random;
    dx_host *host;
    dx_device *device;
    IOUserAudioDriver *driver;
    struct shaky_tapes tapes;
    /* The player. */
    uint64_t played, output_next;
    uint64_t output_breaks; // how often it was moved
    uint64_t stall_player_ns;
    /* The recorder. */
    struct shaky_tape recorded;
    uint64_t input_next, input_backwards, input_jumped;
    /* Whoever polls device time. */
    _Atomic bool ending;
    double rate_hz;
    uint64_t polls, backwards;
    double worst; // frames by which device time strayed from the host's, from one poll to the next
};

/* ---- two clients ---- */

static void
play(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct run *const run = context;
    float *const to = output;
    (void)input;
    BREAK_RULES_BEGIN("a check that fails ends the program")
    CHECK(cycle->output_time >= run->output_next);
    BREAK_RULES_END
    run->output_breaks += run->played && cycle->output_time != run->output_next;
    run->output_next = cycle->output_time + cycle->frames;
    for (uint32_t i = 0; i < cycle->frames; i++)
        to[i] = shaky_sample(run->played++);
    BREAK_RULES_BEGIN("as the test wants it")
    if (run->stall_player_ns)
        IODelay(run->stall_player_ns / 1000u);
    BREAK_RULES_END
    run->stall_player_ns = 0;
}

static void
record(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    struct run *const run = context;
    const float *const from = input;
    (void)output;
    if (run->input_next) {
        run->input_backwards += cycle->input_time < run->input_next;
        run->input_jumped += cycle->input_time > run->input_next ? cycle->input_time - run->input_next : 0;
    }
    run->input_next = cycle->input_time + cycle->frames;
    for (uint32_t i = 0; i < cycle->frames; i++)
        shaky_tape_add(&run->recorded, from[i]);
}

static void
sleep_for(uint64_t ns)
{
    dx_clock *const clock = dx_clock_current();
    dx_clock_sleep_until(clock, dx_clock_now_ns(clock) + ns);
}

struct poll {
    struct run *run;
    dx_client *clients[2];
};

/* Asks both clients for the time, at random times. */
static void
poll_time(void *argument)
{
    struct poll *const poll = argument;
    struct run *const run = poll->run;
    uint64_t random = run->seed + 1000u;
    uint64_t last[2] = {0, 0};
    uint64_t last_ns[2] = {0, 0};
    while (!atomic_load(&run->ending)) {
        for (int i = 0; i < 2; i++) {
            dx_client_status status = {.size = sizeof status};
            CHECK_OK(dx_client_get_status(poll->clients[i], &status));
            run->backwards += status.device_time < last[i];
            if (last_ns[i]) {
                const double frames = (double)(status.device_time - last[i]);
                const double due = (double)(status.host_time_ns - last_ns[i]) * 1e-9 * run->rate_hz;
                run->worst = fabs(frames - due) > run->worst ? fabs(frames - due) : run->worst;
            }
            last[i] = status.device_time;
            last_ns[i] = status.host_time_ns;
            run->polls++;
        }
        sleep_for(rig_random(&random) % 3000000u + 1u);
    }
}

/* ---- scenarios ---- */

static uint64_t
periods(struct run *run, uint64_t most)
{
    return (rig_random(&run->random) % most + 1u) * PERIOD;
}

static void
wait_a_while(struct run *run)
{
    sleep_for(SECOND_NS / 2u + rig_random(&run->random) % SECOND_NS);
}

static void
do_nothing(struct run *run)
{
    wait_a_while(run);
    wait_a_while(run);
}

static void
jump(struct run *run)
{
    for (int i = 0; i < 3; i++) {
        wait_a_while(run);
        shaky_do(run->driver, SHAKY_JUMP, periods(run, 5));
    }
}

static void
go_back(struct run *run)
{
    wait_a_while(run);
    for (int i = 0; i < 3; i++) {
        wait_a_while(run);
        shaky_do(run->driver, SHAKY_BACK, PERIOD);
    }
}

static void
leave_grid(struct run *run)
{
    for (int i = 0; i < 3; i++) {
        wait_a_while(run);
        shaky_do(run->driver, SHAKY_OFF_GRID, rig_random(&run->random) % (PERIOD - 1u) + 1u);
    }
}

static void
freeze(struct run *run)
{
    for (int i = 0; i < 3; i++) {
        wait_a_while(run);
        shaky_do(run->driver, SHAKY_FREEZE, 0);
        wait_a_while(run);
        shaky_do(run->driver, SHAKY_THAW, 0);
    }
}

static void
clear(struct run *run)
{
    for (int i = 0; i < 3; i++) {
        wait_a_while(run);
        shaky_do(run->driver, SHAKY_CLEAR, 0);
    }
}

static void
change_rate(struct run *run)
{
    static const double rates[] = {44100.0, 96000.0, 48000.0};
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        wait_a_while(run);
        CHECK_OK(dx_device_set_sample_rate(run->device, rates[i]));
        run->rate_hz = rates[i];
    }
}

static void
start_driver(struct run *run)
{
    const struct shaky_config config = {
        .uid = "org.dextral.test.shaky",
        .period_frames = PERIOD,
        .ppm = run->scenario->ppm,
        .jitter_ns = run->scenario->jitter_ns,
        .seed = run->seed,
        .algorithm = run->algorithm,
        .input_safety = run->seed % 2u ? 64 : 0,
        .output_safety = run->seed % 2u ? 32 : 0,
        .tapes = &run->tapes,
    };
    run->driver = shaky_create(&config);
    CHECK_OK(dx_host_start_driver(run->host, run->driver, NULL));
    dx_host_settle(run->host);
}

static void
vanish(struct run *run)
{
    for (int i = 0; i < 4; i++) {
        wait_a_while(run);
        if (i % 2)
            CHECK_OK(dx_host_stop_driver(run->host, run->driver));
        else
            CHECK_OK(dx_host_terminate_driver(run->host, run->driver));
        OSObjectRelease(run->driver);
        if (i >= 2)
            wait_a_while(run);
        start_driver(run);
    }
}

static dx_device_statistics
statistics_of(const struct run *run)
{
    dx_device_statistics statistics = {.size = sizeof statistics};
    CHECK_OK(dx_device_get_statistics(run->device, &statistics));
    return statistics;
}

static void
stall_handler(struct run *run)
{
    for (int i = 0; i < 3; i++) {
        wait_a_while(run);
        const dx_device_statistics before = statistics_of(run);
        run->tapes.stall_ns = 20000000u + rig_random(&run->random) % 100000000u;
        wait_a_while(run);
        const dx_device_statistics after = statistics_of(run);
        CHECK(after.overloads > before.overloads);
        CHECK(after.late_cycles > before.late_cycles);
        CHECK(after.skipped_input_frames > before.skipped_input_frames);
        CHECK(after.skipped_output_frames > before.skipped_output_frames);
        CHECK_EQ(after.causes[DX_CAUSE_HANDLER] - before.causes[DX_CAUSE_HANDLER],
                 after.late_cycles - before.late_cycles + after.overloads - before.overloads);
    }
}

static void
stall(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    uint64_t *const stall_ns = context;
    (void)cycle, (void)input, (void)output;
    BREAK_RULES_BEGIN("as the test wants it")
    if (*stall_ns)
        IODelay(*stall_ns / 1000u);
    BREAK_RULES_END
    *stall_ns = 0;
}

static void
stall_client(struct run *run)
{
    uint64_t stall_ns = 0;
    const dx_client_config config = {
        .size = sizeof config,
        .flags = DX_CLIENT_SYNCHRONOUS,
        .name = "staller",
        .output_stream = 0,
        .input_stream = DX_NO_STREAM,
        .callback = stall,
        .context = &stall_ns,
    };
    dx_client *client = NULL;
    CHECK_OK(dx_client_open(run->device, &config, &client));
    CHECK_OK(dx_client_start(client));
    for (int i = 0; i < 3; i++) {
        wait_a_while(run);
        const dx_device_statistics before = statistics_of(run);
        stall_ns = 20000000u + rig_random(&run->random) % 100000000u;
        wait_a_while(run);
        const dx_device_statistics after = statistics_of(run);
        CHECK(after.overloads > before.overloads);
        CHECK(after.skipped_input_frames > before.skipped_input_frames);
        CHECK(after.skipped_output_frames > before.skipped_output_frames);
        CHECK_EQ(after.causes[DX_CAUSE_CLIENT] - before.causes[DX_CAUSE_CLIENT],
                 after.late_cycles - before.late_cycles + after.overloads - before.overloads);
    }
    dx_client_close(client);
}

static void
change_io_frames(struct run *run)
{
    static const uint32_t sizes[] = {64, 1024, 15, 441, 512, 1, 1300, 100};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        sleep_for(SECOND_NS / 5u + rig_random(&run->random) % SECOND_NS / 10u);
        CHECK_OK(dx_device_set_io_frames(run->device, sizes[i]));
    }
}

static const struct scenario scenarios[] = {
    {.name = "nothing", .function = do_nothing, .is_clean = true},
    {.name = "drift and jitter", .function = do_nothing, .jitter_ns = 300000, .ppm = 200.0, .is_clean = true},
    {.name = "stamps jump", .function = jump},
    {.name = "stamps go back", .function = go_back},
    {.name = "stamps leave the grid", .function = leave_grid},
    {.name = "stamps stop", .function = freeze, .jitter_ns = 100000, .ppm = -100.0},
    {.name = "stamps begin anew", .function = clear},
    {.name = "the rate changes", .function = change_rate, .resumes = true},
    {.name = "the driver vanishes and returns", .function = vanish, .resumes = true},
    {.name = "the handler is late", .function = stall_handler},
    {.name = "a synchronous client is late", .function = stall_client},
    {.name = "the IO size changes", .function = change_io_frames, .is_clean = true},
};

/* ---- what must hold ---- */

static void
judge(const struct run *run, const dx_client_status *player, const dx_client_status *recorder)
{
    const struct shaky_tape *const out = &run->tapes.played;
    const struct shaky_tape *const in = &run->recorded;
    const dx_device_statistics statistics = statistics_of(run);
    (void)fprintf(stderr,
                  "  %llu polls, %.2f frames off; out: %llu exact, %llu silent, %llu missing in %llu (skipped %llu, "
                  "underruns %llu, moved %llu); in: %llu exact, %llu silent, %llu missing (skipped %llu, overruns %llu, "
                  "jumped %llu); late %llu, overloads %llu, bad stamps %llu, reanchors %llu\n",
                  (unsigned long long)run->polls, run->worst, (unsigned long long)out->exact,
                  (unsigned long long)out->silent, (unsigned long long)out->missing, (unsigned long long)out->gaps,
                  (unsigned long long)statistics.skipped_output_frames, (unsigned long long)player->underrun_frames,
                  (unsigned long long)run->output_breaks, (unsigned long long)in->exact,
                  (unsigned long long)in->silent, (unsigned long long)in->missing,
                  (unsigned long long)statistics.skipped_input_frames, (unsigned long long)recorder->overrun_frames,
                  (unsigned long long)run->input_jumped, (unsigned long long)statistics.late_cycles,
                  (unsigned long long)statistics.overloads, (unsigned long long)statistics.bad_stamps,
                  (unsigned long long)statistics.reanchors);

    CHECK_EQ(run->backwards, 0);
    CHECK_EQ(run->input_backwards, 0);
    CHECK(run->polls > 500);
    CHECK(out->exact > 10000 && in->exact > 10000);
    CHECK_EQ(out->wrong, 0);
    CHECK_EQ(in->wrong, 0);

    /* Each frame that was to be heard was heard, or is counted. */
    CHECK_EQ(out->missing, statistics.skipped_output_frames);
    CHECK_EQ(out->silent, player->underrun_frames);
    /* Each frame that was to be recorded was recorded; what could not be is counted, and silence in its place. */
    CHECK_EQ(in->missing, 0);
    CHECK_EQ(in->silent + run->input_jumped, statistics.skipped_input_frames);

    if (run->scenario->is_clean) {
        CHECK_EQ(statistics.skipped_output_frames, 0);
        CHECK_EQ(statistics.skipped_input_frames, 0);
        CHECK_EQ(player->underrun_frames, 0);
        CHECK_EQ(recorder->overrun_frames, 0);
        CHECK_EQ(run->output_breaks, 0);
        CHECK_EQ(statistics.bad_stamps, 0);
    }
}

static void
run_scenario(void *argument)
{
    struct run *const run = argument;
    run->random = run->seed;
    run->rate_hz = 48000.0;
    CHECK_OK(dx_host_create(NULL, &run->host));
    start_driver(run);
    CHECK_EQ(dx_host_copy_devices(run->host, &run->device, 1), 1);

    struct poll poll = {.run = run};
    dx_client_config config = {
        .size = sizeof config,
        .name = "player",
        .output_stream = 0,
        .input_stream = DX_NO_STREAM,
        .io_frames = run->seed % 2u ? 256 : 100,
        .lead_frames = 4000, // more than any N here
        .callback = play,
        .context = run,
    };
    CHECK_OK(dx_client_open(run->device, &config, &poll.clients[0]));
    config.name = "recorder";
    config.output_stream = DX_NO_STREAM;
    config.input_stream = 0;
    config.io_frames = run->seed % 3u ? 128 : 441;
    config.callback = record;
    CHECK_OK(dx_client_open(run->device, &config, &poll.clients[1]));
    CHECK_OK(dx_client_start(poll.clients[0]));
    CHECK_OK(dx_client_start(poll.clients[1]));
    dx_task *task = NULL;
    CHECK_OK(dx_task_spawn(dx_clock_current(), NULL, poll_time, &poll, &task));

    run->scenario->function(run);
    sleep_for(2u * SECOND_NS);

    atomic_store(&run->ending, true);
    dx_task_join(task);
    dx_client_status player = {.size = sizeof player};
    dx_client_status recorder = {.size = sizeof recorder};
    CHECK_OK(dx_client_get_status(poll.clients[0], &player));
    CHECK_OK(dx_client_get_status(poll.clients[1], &recorder));
    judge(run, &player, &recorder);
    dx_client_close(poll.clients[0]);
    dx_client_close(poll.clients[1]);
    dx_device_release(run->device);
    CHECK_OK(dx_host_stop_driver(run->host, run->driver));
    OSObjectRelease(run->driver);
    dx_host_destroy(run->host);
}

int
main(int argc, char **argv)
{
    static const IOUserAudioClockAlgorithm algorithms[] = {
        IOUserAudioClockAlgorithmRaw,
        IOUserAudioClockAlgorithmSimpleIIR,
        IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage,
    };
    for (size_t i = 0; i < COUNT_OF(scenarios); i++) {
        if (argc > 1 && strcmp(argv[1], scenarios[i].name) != 0)
            continue;
        for (uint64_t seed = 1; seed <= SEEDS; seed++)
            for (size_t a = 0; a < COUNT_OF(algorithms); a++) {
                (void)fprintf(stderr, "- %s, seed %llu, filter %zu\n", scenarios[i].name, (unsigned long long)seed,
                              a);
                struct run run = {.scenario = &scenarios[i], .seed = seed, .algorithm = algorithms[a]};
                const dx_simulation_config config = {.size = sizeof config, .seed = seed};
                dx_simulation_result result;
                rig_simulate(&config, run_scenario, &run, &result);
            }
    }
    return 0;
}
