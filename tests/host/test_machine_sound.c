// SPDX-License-Identifier: MIT
// Programs that play to and record from a cable of the machine, with real processes: what comes in is what went
// out, and it comes back after whoever was killed.

#include "core/clock.h"
#include "tests/host/descriptors.h"
#include "tests/host/supervisor_rig.h"

#include <dextral/dextral.h>

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#define RATE 48000u
#define LEAD (RATE / 2u)
#define NS_PER_S UINT64_C(1000000000)
#define PATIENCE_NS (20 * NS_PER_S) // for what takes a moment

static struct machine machine;
static dx_directory *directory;
static dx_device *device;

#define CHECK_OK(call)                                                                                            \
    do {                                                                                                          \
        const kern_return_t check_status_ = (call);                                                               \
        if (check_status_ != kIOReturnSuccess)                                                                    \
            (void)fprintf(stderr, "%s: %s\n", #call, dx_return_string(check_status_));                            \
        CHECK(check_status_ == kIOReturnSuccess);                                                                 \
    } while (0)

static uint64_t
now_ns(void)
{
    return dx_clock_now_ns(dx_clock_host());
}

/* ---- begin and end ---- */

/* A cable of two channels; its long ring lets a loaded machine be late without loss. */
static void
create_long_cable(const char *name)
{
    OSDictionary *const arguments = OSDictionaryCreate(2);
    OSDictionary *const options = OSDictionaryCreate(4);
    set_text(arguments, "kind", "cable");
    set_text(options, "name", name);
    set_text(options, "uid", name);
    set_number(options, "channels", 2);
    set_number(options, "rate", RATE);
    set_number(options, "ring", 65536);
    CHECK(dx_wire_take(arguments, "options", options));
    OSDictionary *answer = NULL;
    dx_error error = {{0}};
    const kern_return_t status = dx_directory_request(directory, "create", arguments, &answer, &error);
    if (status != kIOReturnSuccess)
        (void)fprintf(stderr, "%s\n", error.message);
    CHECK(status == kIOReturnSuccess);
    CHECK_EQ(strcmp(dx_wire_get_string(answer, "uid"), name), 0);
    OSObjectRelease(answer);
    OSObjectRelease(arguments);
}

static void
open_device(const char *uid)
{
    const uint64_t end_ns = now_ns() + PATIENCE_NS;
    while (!(device = dx_directory_copy_device(directory, uid))) { // its event is on the way
        CHECK(now_ns() < end_ns);
        sleep_ms(1);
    }
}

static void
begin(void)
{
    machine_create(&machine);
    machine_start(&machine, NULL);
    CHECK_OK(dx_directory_open(NULL, &directory, NULL)); // finds the socket by itself
    create_long_cable("cable");
    open_device("cable");
}

#ifdef HAS_BUNDLES
/* With the driver whose rings are longer at 96 kHz. */
static void
begin_with_longer_rings(void)
{
    machine_create(&machine);
    machine_add_bundle(&machine, "grower", "longer rings");
    machine_start(&machine, NULL);
    CHECK_OK(dx_directory_open(NULL, &directory, NULL));
    OSDictionary *const approval = OSDictionaryCreate(1);
    set_text(approval, "bundle", "org.dextral.test.grower");
    CHECK_OK(dx_directory_request(directory, "approve", approval, NULL, NULL));
    OSObjectRelease(approval);
    open_device("grower");
}
#endif

static void
end(void)
{
    dx_device_release(device);
    dx_directory_close(directory);
    machine_destroy(&machine);
}

static uint64_t
describe_own(const char *key)
{
    OSDictionary *const description = dx_directory_copy_description(directory, device);
    CHECK(description);
    const uint64_t number = dx_wire_get_number(description, key, 0);
    OSObjectRelease(description);
    return number;
}

static void
kill_own_driver(void)
{
    const pid_t pid = (pid_t)describe_own("pid");
    CHECK(pid > 0);
    CHECK_EQ(kill(pid, SIGKILL), 0);
}

static dx_client_status
get_status(dx_client *client)
{
    dx_client_status status = {.size = sizeof status};
    CHECK_OK(dx_client_get_status(client, &status));
    return status;
}

/* ---- writing and reading ---- */

/* What is written: no frame is like its neighbours, none is silent, and every bit of it passes a cable of floats.
 * */
static void
fill(float *frames, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t mixed = (first + i + 1u) * 2654435761u;
        frames[2 * i] = ((float)(mixed >> 8) + 1.0f) / 16777216.0f;
        frames[2 * i + 1] = -frames[2 * i];
    }
}

static dx_client *
open_blocking(bool plays)
{
    const dx_client_config config = {
        .size = sizeof config,
        .output_stream = plays ? 0 : DX_NO_STREAM,
        .input_stream = plays ? DX_NO_STREAM : 0,
        .io_frames = 480,
        .buffer_frames = 2 * RATE,
        .lead_frames = LEAD,
    };
    dx_client *client = NULL;
    CHECK_OK(dx_client_open(device, &config, &client));
    return client;
}

/* Somebody who records all the time. */
struct recording {
    dx_client *client;
    float *frames;
    uint32_t count;
    kern_return_t status;
};

static void *
record(void *argument)
{
    struct recording *const recording = argument;
    recording->status =
        dx_client_read(recording->client, recording->frames, recording->count, now_ns() + PATIENCE_NS, NULL);
    return NULL;
}

static void
check_silence(const float *frames, uint64_t begin, uint64_t end)
{
    for (uint64_t i = begin; i < end; i++)
        CHECK(frames[2 * i] == 0.0f && frames[2 * i + 1] == 0.0f);
}

static void
what_one_client_writes_another_reads_to_the_last_bit(void)
{
    enum { FRAMES = 2 * RATE, RECORDED = 5 * RATE };
    begin();
    struct recording recording = {
        .client = open_blocking(false), .frames = calloc(RECORDED, 8), .count = RECORDED};
    dx_client *const player = open_blocking(true);
    float *const played = calloc(FRAMES, 8);
    fill(played, 0, FRAMES);
    pthread_t thread;
    CHECK_OK(dx_client_start(recording.client)); // its driver had never run before
    CHECK_EQ(pthread_create(&thread, NULL, record, &recording), 0);
    CHECK_OK(dx_client_start(player));
    CHECK_OK(dx_client_write(player, played, FRAMES, DX_NEVER, NULL));
    const dx_client_status playing = get_status(player);
    CHECK_OK(dx_client_drain(player, now_ns() + PATIENCE_NS));
    CHECK_EQ(get_status(player).underrun_frames, 0);
    CHECK_EQ(playing.output_frames, FRAMES);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(recording.status);
    CHECK_EQ(get_status(recording.client).overrun_frames, 0);

    const uint64_t input_base = get_status(recording.client).input_base;
    CHECK(playing.output_base >= input_base);
    const uint64_t begins = playing.output_base - input_base; // where it must be, by device time
    CHECK(begins + FRAMES <= RECORDED);
    check_silence(recording.frames, 0, begins);
    CHECK(memcmp(recording.frames + 2 * begins, played, FRAMES * 8) == 0);
    check_silence(recording.frames, begins + FRAMES, RECORDED);

    dx_device_info info = {.size = sizeof info};
    CHECK_OK(dx_device_get_info(device, &info));
    CHECK(fabs(info.actual_rate_hz - RATE) < 100.0);
    dx_device_statistics statistics = {.size = sizeof statistics};
    CHECK_OK(dx_device_get_statistics(device, &statistics));
    CHECK(statistics.cycles > 0 && statistics.output_frames >= FRAMES);
    dx_client_close(player);
    dx_client_close(recording.client);
    free(played);
    free(recording.frames);
    end();
}

/* ---- callbacks ---- */

/* Each frame says at which device time it is heard: so a frame that comes in is either right or silent. */
static float
sound_at(uint64_t device_time) DX_REALTIME
{
    return ((float)((uint32_t)(device_time * 2654435761u) >> 8) + 1.0f) / 16777216.0f;
}

static struct {
    _Atomic uint64_t cycles;
    _Atomic uint64_t right; // frames
    _Atomic uint64_t silent;
    _Atomic uint64_t wrong;
    _Atomic uint64_t output_end; // device time: none is used twice
    _Atomic uint64_t input_end;  // none is left out
    _Atomic uint64_t backwards;  // callbacks that broke one of these
    _Atomic uint64_t in_a_row;   // right frames since the last silent one
} heard;

static void
count(_Atomic uint64_t *counter) DX_REALTIME
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed); // read by the test's thread
}

static uint64_t
look(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void
check_input(const dx_client_cycle *cycle, const float *input) DX_REALTIME
{
    const uint64_t expected = atomic_load_explicit(&heard.input_end, memory_order_relaxed);
    if (expected && cycle->input_time < expected)
        count(&heard.backwards);
    atomic_store_explicit(&heard.input_end, cycle->input_time + cycle->frames, memory_order_relaxed);
    for (uint32_t i = 0; i < cycle->frames; i++) {
        const float left = input[2 * i];
        if (left == 0.0f && input[2 * i + 1] == 0.0f) {
            count(&heard.silent);
            atomic_store_explicit(&heard.in_a_row, 0, memory_order_relaxed);
        } else if (left == sound_at(cycle->input_time + i) && input[2 * i + 1] == -left) {
            count(&heard.right);
            count(&heard.in_a_row);
        } else {
            count(&heard.wrong);
        }
    }
}

static void
play_time(void *context, const dx_client_cycle *cycle, const void *input, void *output) DX_REALTIME
{
    (void)context;
    float *const out = output;
    count(&heard.cycles);
    if (cycle->output_time < atomic_load_explicit(&heard.output_end, memory_order_relaxed))
        count(&heard.backwards);
    atomic_store_explicit(&heard.output_end, cycle->output_time + cycle->frames, memory_order_relaxed);
    for (uint32_t i = 0; i < cycle->frames; i++) {
        out[2 * i] = sound_at(cycle->output_time + i);
        out[2 * i + 1] = -out[2 * i];
    }
    check_input(cycle, input);
}

static dx_client *
start_duplex(void)
{
    memset(&heard, 0, sizeof heard);
    const dx_client_config config = {
        .size = sizeof config,
        .output_stream = 0,
        .input_stream = 0,
        .io_frames = 480,
        .buffer_frames = 2 * RATE,
        .lead_frames = LEAD,
        .callback = play_time,
    };
    dx_client *client = NULL;
    CHECK_OK(dx_client_open(device, &config, &client));
    CHECK_OK(dx_client_start(client));
    return client;
}

/* Waits until so many right frames have come in without a silent one between them; time must not go back
 * meanwhile. */
static void
wait_for_sound(dx_client *client, uint64_t frames)
{
    const uint64_t end_ns = now_ns() + PATIENCE_NS;
    uint64_t last = 0;
    while (look(&heard.in_a_row) < frames) {
        const uint64_t time = get_status(client).device_time;
        CHECK(time >= last);
        last = time;
        CHECK(now_ns() < end_ns);
        sleep_ms(1);
    }
    CHECK_EQ(look(&heard.wrong), 0);
    CHECK_EQ(look(&heard.backwards), 0);
}

/* Waits for the silence that somebody's end brings, however short.  @param before  heard.silent, before that end. */
static void
wait_for_silence(uint64_t before)
{
    const uint64_t end_ns = now_ns() + PATIENCE_NS;
    while (look(&heard.silent) == before) {
        CHECK(now_ns() < end_ns);
        sleep_ms(1);
    }
}

static void
a_killed_driver_is_silence_and_then_sound_again(void)
{
    begin();
    dx_client *const client = start_duplex();
    wait_for_sound(client, RATE / 2);
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t cycles = look(&heard.cycles);
        const uint64_t silent = look(&heard.silent);
        kill_own_driver();
        wait_for_silence(silent);
        wait_for_sound(client, RATE / 2);
        CHECK(look(&heard.cycles) > cycles + 50); // its own callbacks went on
    }
    CHECK(get_status(client).is_running);
    dx_client_close(client);
    end();
}

static void
a_killed_supervisor_is_not_heard(void)
{
    begin();
    dx_client *const client = start_duplex();
    wait_for_sound(client, RATE / 2);
    const uint64_t silent = look(&heard.silent);
    const uint64_t underruns = get_status(client).underrun_frames;
    (void)machine_end(&machine, SIGKILL);
    dx_device_info info = {.size = sizeof info};
    CHECK_OK(dx_device_get_info(device, &info)); // what is known
    CHECK_EQ(dx_device_set_control_boolean(device, "none", true), kIOReturnNotReady);
    dx_client *refused = NULL;
    const dx_client_config config = {.size = sizeof config, .output_stream = 0, .input_stream = DX_NO_STREAM};
    CHECK_EQ(dx_client_open(device, &config, &refused), kIOReturnNotReady);
    dx_directory *none = NULL;
    dx_error error = {{0}};
    CHECK_EQ(dx_directory_open(NULL, &none, &error), kIOReturnNotFound);
    CHECK(strstr(error.message, machine.socket_path) && strstr(error.message, "no supervisor"));
    wait_for_sound(client, look(&heard.in_a_row) + RATE / 2);

    machine_start(&machine, NULL);
    wait_for_sound(client, look(&heard.in_a_row) + 5 * RATE); // longer than an unclaimed session would live
    CHECK_EQ(look(&heard.silent), silent);
    CHECK_EQ(get_status(client).underrun_frames, underruns);
    /* It is the new supervisor's session now: a driver that is killed comes back. */
    kill_own_driver();
    wait_for_silence(silent);
    wait_for_sound(client, RATE / 2);
    dx_client_close(client);
    end();
}

static void
a_driver_that_is_killed_without_a_supervisor_comes_back_with_the_next_one(void)
{
    begin();
    dx_client *const client = start_duplex();
    wait_for_sound(client, RATE / 2);
    const pid_t driver = (pid_t)describe_own("pid");
    const uint64_t silent = look(&heard.silent);
    (void)machine_end(&machine, SIGKILL);
    CHECK_EQ(kill(driver, SIGKILL), 0);
    wait_for_silence(silent);
    const uint64_t cycles = look(&heard.cycles);
    const uint64_t end_ns = now_ns() + PATIENCE_NS;
    while (look(&heard.cycles) < cycles + 100)
        CHECK(now_ns() < end_ns);
    machine_start(&machine, NULL);
    wait_for_sound(client, RATE / 2);
    dx_client_close(client);
    end();
}

static void
two_programs_are_added(void)
{
    begin();
    dx_directory *other_directory = NULL;
    CHECK_OK(dx_directory_open(NULL, &other_directory, NULL));
    dx_device *const other_device = dx_directory_copy_device(other_directory, "cable");
    dx_client *const client = start_duplex();
    wait_for_sound(client, RATE / 10);
    /* Somebody else's silence changes no bit; his departure either. */
    const dx_client_config config = {.size = sizeof config, .output_stream = 0, .input_stream = DX_NO_STREAM};
    dx_client *other = NULL;
    CHECK_OK(dx_client_open(other_device, &config, &other));
    CHECK_OK(dx_client_start(other));
    float silence[256][2] = {{0}};
    for (unsigned i = 0; i < 50; i++)
        CHECK_OK(dx_client_write(other, silence, 256, DX_NEVER, NULL));
    dx_client_close(other);
    wait_for_sound(client, look(&heard.in_a_row) + RATE / 10);
    dx_client_close(client);
    dx_device_release(other_device);
    dx_directory_close(other_directory);
    end();
}

/* ---- a change of rate ---- */

static void
a_change_of_rate_leaves_a_client_where_it_is(void)
{
    begin();
    dx_client *const client = start_duplex();
    wait_for_sound(client, RATE / 2);
    CHECK_OK(dx_device_set_sample_rate(device, 96000.0));
    atomic_store_explicit(&heard.in_a_row, 0, memory_order_relaxed); // what was heard before does not count
    wait_for_sound(client, RATE / 2);
    dx_device_info info = {.size = sizeof info};
    CHECK_OK(dx_device_get_info(device, &info));
    CHECK(info.sample_rate_hz == 96000.0);
    CHECK_EQ(dx_device_set_sample_rate(device, 12345.0), kIOReturnUnsupported);
    CHECK_OK(dx_device_set_sample_rate(device, 48000.0));
    atomic_store_explicit(&heard.in_a_row, 0, memory_order_relaxed);
    wait_for_sound(client, RATE / 2);
    dx_client_close(client);
    end();
}

#ifdef HAS_BUNDLES
static void
longer_rings_take_no_recording_away(void)
{
    begin_with_longer_rings();
    dx_client *const client = start_duplex();
    wait_for_sound(client, RATE / 10);
    CHECK_OK(dx_device_set_sample_rate(device, 96000.0));
    atomic_store_explicit(&heard.in_a_row, 0, memory_order_relaxed);
    wait_for_sound(client, RATE / 10);
    dx_device_info info = {.size = sizeof info};
    CHECK_OK(dx_device_get_info(device, &info));
    CHECK_EQ(info.ring_frames, 32768);
    dx_client_stop(client);
    CHECK_OK(dx_device_set_sample_rate(device, 48000.0)); // while nobody records: a shorter ring, and then the longer one
    CHECK_OK(dx_client_start(client));
    atomic_store_explicit(&heard.in_a_row, 0, memory_order_relaxed);
    wait_for_sound(client, RATE / 10);
    dx_client_close(client);
    end();
}
#endif

/* ---- many ---- */

/* 0: they may not be looked at, as this user is not root. */
static unsigned
count_descriptors_of(pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
    DIR *const folder = opendir(path);
    unsigned number = 0;
    if (!folder) {
        CHECK(errno == EACCES && geteuid() != 0);
        return 0;
    }
    while (readdir(folder))
        number++;
    (void)closedir(folder);
    return number;
}

static void
ten_thousand_connections_in_a_row_leave_nothing(void)
{
    begin();
    const unsigned own = count_descriptors();
    const unsigned its = count_descriptors_of(machine.supervisor);
    for (unsigned i = 0; i < 10000; i++) {
        dx_directory *another = NULL;
        CHECK_OK(dx_directory_open(NULL, &another, NULL));
        dx_directory_close(another);
    }
    CHECK_EQ(count_descriptors(), own);
    const uint64_t end_ns = now_ns() + PATIENCE_NS;
    while (count_descriptors_of(machine.supervisor) != its) { // it has yet to see the last ones go
        CHECK(now_ns() < end_ns);
        sleep_ms(1);
    }
    end();
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
#define TEST(name) {#name, name}
        TEST(what_one_client_writes_another_reads_to_the_last_bit),
        TEST(a_killed_driver_is_silence_and_then_sound_again),
        TEST(a_killed_supervisor_is_not_heard),
        TEST(a_driver_that_is_killed_without_a_supervisor_comes_back_with_the_next_one),
        TEST(two_programs_are_added),
        TEST(a_change_of_rate_leaves_a_client_where_it_is),
#ifdef HAS_BUNDLES
        TEST(longer_rings_take_no_recording_away),
#endif
        TEST(ten_thousand_connections_in_a_row_leave_nothing),
    };
    for (unsigned i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        if (argc > 1 && !strstr(tests[i].name, argv[1]))
            continue;
        (void)fprintf(stderr, "- %s\n", tests[i].name);
        tests[i].run();
    }
    return 0;
}
