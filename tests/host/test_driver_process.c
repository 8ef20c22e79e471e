// SPDX-License-Identifier: MIT
// Driver processes: real ones, with real bundles, and the test as their supervisor.

#include "audio/page.h"
#include "audio/recorder.h"
#include "host/driver/process.h"
#include "host/protocol.h"
#include "host/sandbox_calls.h"
#include "tests/core/check.h"
#include "tests/host/driver_rig.h"

#include <dextral/clock.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CABLE EXAMPLES "/Cable.dext"
#define FAULT BUNDLES "/Fault.dext"
#define CRASH_AT_LOAD BUNDLES "/CrashAtLoad.dext"
#define CHANNELS 2u // of both drivers' streams

/* ---- helpers ---- */

static kern_return_t
ask(struct rig *rig, const char *operation, const char *uid, uint64_t session)
{
    return rig_ask(rig, rig_request(operation, uid, session), NULL, 0, NULL);
}

static OSDictionary *
fault_properties(const char *fault)
{
    OSDictionary *const properties = OSDictionaryCreate(1);
    CHECK(OSDictionarySetStringValue(properties, "Fault", fault));
    return properties;
}

/* A process with a driver that will go wrong in some way; the UID is the caller's to free. */
static char *
start_faulty(struct rig *rig, const char *fault)
{
    OSDictionary *const properties = fault_properties(fault);
    rig_start(rig);
    char *const uid = rig_load(rig, FAULT, "Faulty", properties);
    OSObjectRelease(properties);
    return uid;
}

/* One whose load goes wrong: asked for, and not waited for. */
static void
load_faulty(struct rig *rig, const char *fault)
{
    OSDictionary *const properties = fault_properties(fault);
    rig_start(rig);
    OSDictionary *const body = rig_load_request(rig, FAULT, "Faulty");
    CHECK(OSDictionarySetObject(body, "properties", properties));
    OSObjectRelease(properties);
    (void)rig_send(rig, body, NULL, 0);
}

static void
check_exit(int status, int expected)
{
    if (!WIFEXITED(status))
        fprintf(stderr, "ended by signal %d\n", WTERMSIG(status));
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), expected);
}

/* A sanitizer makes an exit of it. */
static void
check_signal(int status, int expected)
{
    if (DX_SANDBOX_SANITIZED && WIFEXITED(status))
        return;
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), expected);
}

static OSDictionary *
setting(const char *uid, const char *what)
{
    OSDictionary *const body = rig_request(DX_OP_SET, uid, 0);
    CHECK(OSDictionarySetStringValue(body, "what", what));
    return body;
}

static OSDictionary *
mute_setting(const char *uid, bool on)
{
    OSDictionary *const body = setting(uid, "control");
    CHECK(OSDictionarySetStringValue(body, "key", "mute/outp/0"));
    CHECK(dx_wire_set_bool(body, "boolean", on));
    return body;
}

static uint64_t
count_cycles(struct rig *rig, const char *uid)
{
    struct dx_message answer;
    CHECK_EQ(rig_ask(rig, rig_request(DX_OP_STATISTICS, uid, 0), NULL, 0, &answer), kIOReturnSuccess);
    const uint64_t cycles = dx_wire_get_number(answer.body, "cycles", 0);
    dx_message_finish(&answer);
    return cycles;
}

static uint64_t
now_ns(void)
{
    return dx_clock_now_ns(dx_clock_host());
}

static uint64_t
position_of(const struct dx_device_page *page)
{
    struct dx_timeline_page line;
    const struct dx_slots slots = dx_device_page_timeline(page);
    CHECK(dx_slots_read(&slots, &line));
    return (uint64_t)dx_timeline_page_position(&line, now_ns());
}

/* As a supervisor and a program do: sealed, and mapped for reading. */
static const struct dx_device_page *
map_page(const struct dx_message *event)
{
    const struct dx_device_page *page = NULL;
    const uint64_t index = dx_wire_get_number(event->body, "page", DX_WIRE_MAX_FDS);
    CHECK(index < event->fd_count);
    CHECK_EQ(fcntl(event->fds[index], F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL), 0);
    CHECK_EQ(dx_device_page_map(event->fds[index], NULL, &page), 0);
    return page;
}

/* ---- loading ---- */

static void
a_driver_is_loaded_started_and_stopped(void)
{
    struct rig rig;
    struct dx_lane lane;
    rig_start(&rig);
    char *const uid = rig_load(&rig, CABLE, NULL, NULL);
    rig_play(&rig, uid, 1, CHANNELS, &lane);
    CHECK(count_cycles(&rig, uid) < 1000000); // it answers while IO runs
    CHECK_EQ(ask(&rig, DX_OP_STOP, NULL, 1), kIOReturnSuccess);
    CHECK_EQ(ask(&rig, DX_OP_LEAVE, NULL, 1), kIOReturnSuccess);
    CHECK_EQ(ask(&rig, DX_OP_STOP, NULL, 1), kIOReturnNotFound);
    rig_quit(&rig);
    dx_lane_finish(&lane);
    free(uid);
}

static void
a_process_that_is_asked_out_of_order_says_so(void)
{
    struct rig rig;
    rig_start(&rig);
    CHECK_EQ(ask(&rig, DX_OP_JOIN, "some", 1), kIOReturnNotReady);
    CHECK_EQ(ask(&rig, DX_OP_RECORD, "some", 0), kIOReturnNotReady);
    CHECK_EQ(ask(&rig, "dance", NULL, 0), kIOReturnUnsupported);
    CHECK_EQ(ask(&rig, DX_OP_LOAD, NULL, 0), kIOReturnBadArgument);
    free(rig_load(&rig, CABLE, NULL, NULL));
    CHECK_EQ(rig_ask(&rig, rig_load_request(&rig, CABLE, NULL), NULL, 0, NULL), kIOReturnBusy);
    CHECK_EQ(ask(&rig, DX_OP_JOIN, "some", 1), kIOReturnNoDevice);
    CHECK_EQ(ask(&rig, DX_OP_STATISTICS, NULL, 0), kIOReturnBadArgument);
    rig_quit(&rig);
}

static void
check_load_fails(const char *bundle, const char *personality, const char *expected)
{
    struct rig rig;
    struct dx_message event;
    rig_start(&rig);
    CHECK_EQ(rig_ask(&rig, rig_load_request(&rig, bundle, personality), NULL, 0, NULL), kIOReturnSuccess);
    rig_wait_event(&rig, DX_EVENT_LOADED, &event);
    const char *const error = dx_wire_get_string(event.body, DX_KEY_ERROR);
    if (!error || !strstr(error, expected))
        fprintf(stderr, "\"%s\" is not in \"%s\"\n", expected, error ? error : "");
    CHECK(error && strstr(error, expected));
    CHECK(dx_wire_get_number(event.body, DX_KEY_STATUS, 0) != 0);
    dx_message_finish(&event);
    check_exit(rig_wait_end(&rig), DX_DRIVER_EXIT_NOT_LOADED);
}

static void
what_cannot_be_loaded_is_told_and_the_process_ends(void)
{
    check_load_fails("/nowhere/None.dext", NULL, "/nowhere/None.dext");
    check_load_fails(CABLE, "Nobody", "Nobody");
    check_load_fails(EXAMPLES, NULL, ".dext");
}

static void
a_driver_that_fails_to_start_is_told(void)
{
    struct rig rig;
    struct dx_message event;
    load_faulty(&rig, "fail in Start");
    rig_wait_event(&rig, DX_EVENT_LOADED, &event);
    CHECK_EQ(dx_wire_get_number(event.body, DX_KEY_STATUS, 0), (uint32_t)kIOReturnNotReady);
    dx_message_finish(&event);
    check_exit(rig_wait_end(&rig), DX_DRIVER_EXIT_NOT_LOADED);
}

static void
a_bundle_that_ends_the_process_leaves_how(void)
{
    struct rig rig;
    rig_start(&rig);
    (void)rig_send(&rig, rig_load_request(&rig, CRASH_AT_LOAD, NULL), NULL, 0);
    check_signal(rig_wait_end(&rig), SIGABRT);
    load_faulty(&rig, "crash in Start");
    check_signal(rig_wait_end(&rig), SIGABRT);
    load_faulty(&rig, "exit in Start");
    check_exit(rig_wait_end(&rig), 5);
}

/* ---- drivers that hang ---- */

/* In three ways at once, because each takes the process 5 s to end. */
static void
a_driver_that_hangs_keeps_its_process_from_nothing(void)
{
    struct rig in_start, in_stop, in_setter;
    load_faulty(&in_start, "hang in Start");
    free(start_faulty(&in_stop, "hang in Stop"));
    char *const uid = start_faulty(&in_setter, "hang in a setter");
    (void)rig_send(&in_setter, mute_setting(uid, true), NULL, 0); // never answered
    CHECK_EQ(ask(&in_setter, DX_OP_DESCRIBE, uid, 0), kIOReturnSuccess);
    CHECK_EQ(count_cycles(&in_setter, uid), 0);
    CHECK_EQ(ask(&in_start, DX_OP_DESCRIBE, uid, 0), kIOReturnNoDevice);
    CHECK_EQ(rig_count_kept(&in_start, DX_EVENT_LOADED), 0);

    struct rig *const rigs[] = {&in_start, &in_stop, &in_setter};
    for (size_t i = 0; i < sizeof rigs / sizeof rigs[0]; i++)
        CHECK_EQ(ask(rigs[i], DX_OP_QUIT, NULL, 0), kIOReturnSuccess);
    for (size_t i = 0; i < sizeof rigs / sizeof rigs[0]; i++)
        check_exit(rig_wait_end(rigs[i]), DX_DRIVER_EXIT_DOES_NOT_STOP);
    free(uid);
}

static void
a_start_without_stamps_times_out_and_others_are_answered_meanwhile(void)
{
    struct rig rig;
    struct dx_message answer;
    struct dx_lane lane;
    char *const uid = start_faulty(&rig, "no stamps");
    CHECK_EQ(dx_lane_create(&lane, "test", 8192, CHANNELS * 4u), 0);
    CHECK_EQ(rig_ask(&rig, rig_join_request(uid, 1), &lane.pages.fd, 1, NULL), kIOReturnSuccess);
    const uint64_t start = rig_send(&rig, rig_request(DX_OP_START, NULL, 1), NULL, 0);
    CHECK_EQ(ask(&rig, DX_OP_DESCRIBE, uid, 0), kIOReturnSuccess);
    rig_wait_answer(&rig, start, &answer);
    CHECK_EQ(dx_wire_get_number(answer.body, DX_KEY_STATUS, 0), (uint32_t)kIOReturnTimeout);
    dx_message_finish(&answer);
    rig_quit(&rig);
    dx_lane_finish(&lane);
    free(uid);
}

static void
check_incident(struct rig *rig, const char *uid)
{
    struct dx_message event;
    rig_wait_event(rig, DX_EVENT_INCIDENT, &event);
    CHECK(strcmp(dx_wire_get_string(event.body, DX_KEY_UID), uid) == 0);
    CHECK(strcmp(dx_wire_get_string(event.body, "cause"), "handler over time") == 0);
    CHECK(dx_wire_get_string(event.body, "text"));
    dx_message_finish(&event);
}

static void
check_watchdog(const char *fault)
{
    struct rig rig;
    struct dx_lane lane;
    char *const uid = start_faulty(&rig, fault);
    rig_play(&rig, uid, 1, CHANNELS, &lane);
    check_incident(&rig, uid);
    check_exit(rig_wait_end(&rig), DX_DRIVER_EXIT_BLOCKED);
    dx_lane_finish(&lane);
    free(uid);
}

static void
a_handler_that_does_not_return_ends_the_process(void)
{
    check_watchdog("block in the handler");
    check_watchdog("spin in the handler"); // without priority: the limit is not for it
}

static bool
may_grant(void)
{
    const struct sched_param parameters = {.sched_priority = 1};
    const pid_t pid = fork();
    int status = 0;
    if (pid == 0)
        _exit(sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &parameters) == 0 ? 0 : 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void
a_real_time_handler_that_spins_is_ended_by_its_limit(void)
{
    struct rig rig;
    struct dx_lane lane;
    if (!may_grant()) {
        fprintf(stderr, "no real-time priority can be granted here: left out\n");
        return;
    }
    char *const uid = start_faulty(&rig, "spin in the handler");
    rig.grants_realtime = true;
    CHECK_EQ(dx_lane_create(&lane, "test", 8192, CHANNELS * 4u), 0);
    CHECK_EQ(rig_ask(&rig, rig_join_request(uid, 1), &lane.pages.fd, 1, NULL), kIOReturnSuccess);
    const uint64_t start = rig_send(&rig, rig_request(DX_OP_START, NULL, 1), NULL, 0);
    struct dx_message answer;
    rig_wait_answer(&rig, start, &answer); // while it is asked for the priority
    dx_message_finish(&answer);
    CHECK_EQ(rig.realtime_requests, 1);
    const int status = rig_wait_end(&rig);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGXCPU);
    dx_lane_finish(&lane);
    free(uid);
}

static uint64_t
read_degraded(struct rig *rig, const char *uid)
{
    struct dx_message answer;
    CHECK_EQ(rig_ask(rig, rig_request(DX_OP_STATISTICS, uid, 0), NULL, 0, &answer), kIOReturnSuccess);
    const uint64_t degraded = dx_wire_get_number(answer.body, "degraded", UINT64_MAX);
    dx_message_finish(&answer);
    return degraded;
}

static void
an_io_thread_asks_for_its_priority_and_runs_without(void)
{
    for (unsigned grants = 0; grants < 2; grants++) {
        if (grants && !may_grant())
            continue;
        struct rig rig;
        struct dx_lane lane;
        char *const uid = start_faulty(&rig, "none");
        rig.grants_realtime = grants;
        rig_play(&rig, uid, 1, CHANNELS, &lane);
        CHECK_EQ(rig.realtime_requests, 1);
        CHECK_EQ(read_degraded(&rig, uid) & DX_TASK_NOT_REALTIME, grants ? 0 : DX_TASK_NOT_REALTIME);
        rig_quit(&rig);
        dx_lane_finish(&lane);
        free(uid);
    }
}

/* ---- the sandbox ---- */

/* What the driver has reached in Start, as its device's name tells. */
static char *
load_and_copy_name(bool is_open, bool network, OSArray **ret_parts)
{
    struct rig rig;
    struct dx_message event;
    rig_start(&rig);
    OSDictionary *const body = rig_load_request(&rig, FAULT, NULL);
    if (is_open)
        CHECK(OSDictionarySetStringValue(body, "sandbox", "off"));
    CHECK(dx_wire_set_bool(body, "network", network));
    CHECK_EQ(rig_ask(&rig, body, NULL, 0, NULL), kIOReturnSuccess);
    rig_wait_event(&rig, DX_EVENT_LOADED, &event);
    *ret_parts = OSObjectRetain(dx_wire_get_array(event.body, "sandbox"));
    dx_message_finish(&event);
    rig_wait_event(&rig, DX_EVENT_DEVICE, &event);
    const OSDictionary *const description = dx_wire_get_dictionary(event.body, DX_KEY_DESCRIPTION);
    char *const name = strdup(dx_wire_get_string(description, DX_KEY_NAME));
    dx_message_finish(&event);
    rig_quit(&rig);
    return name;
}

static bool
contains(const OSArray *names, const char *name)
{
    for (size_t i = 0; names && i < OSArrayGetCount(names); i++)
        if (OSStringIsEqualToCString(OSDynamicCast(OSString, OSArrayGetObject(names, i)), name))
            return true;
    return false;
}

static void
the_sandbox_is_closed_before_the_driver_runs(void)
{
    OSArray *parts = NULL;
    char *name = load_and_copy_name(true, false, &parts);
    CHECK(strcmp(name, "reached: process passwd tmp stream network") == 0);
    CHECK(!contains(parts, "files"));
    CHECK(contains(parts, "limits"));
    free(name);
    OSObjectRelease(parts);
    if (DX_SANDBOX_SANITIZED)
        return; // which leaves some of it open

    name = load_and_copy_name(false, false, &parts);
    if (contains(parts, "files") && contains(parts, "system calls"))
        CHECK(strcmp(name, "reached:") == 0);
    CHECK(contains(parts, "privileges"));
    free(name);
    OSObjectRelease(parts);

    name = load_and_copy_name(false, true, &parts);
    if (contains(parts, "files") && contains(parts, "system calls"))
        CHECK(strcmp(name, "reached: network") == 0);
    free(name);
    OSObjectRelease(parts);
}

/* ---- sessions ---- */

static kern_return_t
join_with(struct rig *rig, OSDictionary *body, int fd)
{
    return rig_ask(rig, body, &fd, fd >= 0 ? 1 : 0, NULL);
}

static void
a_join_that_does_not_fit_is_refused(void)
{
    struct rig rig;
    struct dx_lane lane, narrow;
    char *const uid = start_faulty(&rig, "none");
    CHECK_EQ(dx_lane_create(&lane, "test", 8192, CHANNELS * 4u), 0);
    CHECK_EQ(dx_lane_create(&narrow, "test", 8192, CHANNELS * 2u), 0);
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int open_memory = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    const int empty = dx_pages_open("test", 65536);
    CHECK(null >= 0 && open_memory >= 0 && empty >= 0 && ftruncate(open_memory, 65536) == 0);

    CHECK_EQ(join_with(&rig, rig_join_request(uid, 1), -1), kIOReturnBadArgument);
    CHECK_EQ(join_with(&rig, rig_join_request(uid, 1), null), kIOReturnBadArgument);
    CHECK_EQ(join_with(&rig, rig_join_request(uid, 1), open_memory), kIOReturnBadArgument);
    CHECK_EQ(join_with(&rig, rig_join_request(uid, 1), empty), kIOReturnBadArgument);
    CHECK_EQ(join_with(&rig, rig_join_request(uid, 1), narrow.pages.fd), kIOReturnUnsupportedMode);
    CHECK_EQ(join_with(&rig, rig_join_request(uid, 0), lane.pages.fd), kIOReturnBadArgument);
    CHECK_EQ(join_with(&rig, rig_join_request("nobody's", 1), lane.pages.fd), kIOReturnNoDevice);
    CHECK_EQ(join_with(&rig, rig_request(DX_OP_JOIN, uid, 1), lane.pages.fd), kIOReturnBadArgument);
    static const struct {
        const char *key;
        uint64_t value;
    } wrong[] = {{"output", 1}, {"output", 1ull << 40}, {"input", 32}, {"io-frames", 1u << 21}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        OSDictionary *const body = rig_join_request(uid, 1);
        CHECK(OSDictionarySetUInt64Value(body, wrong[i].key, wrong[i].value));
        CHECK_EQ(join_with(&rig, body, lane.pages.fd), kIOReturnBadArgument);
    }
    OSDictionary *const body = rig_join_request(uid, 1);
    CHECK(dx_wire_set_double(body, "gain-f64", -1.0));
    CHECK_EQ(join_with(&rig, body, lane.pages.fd), kIOReturnBadArgument);
    /* None of these has left anything behind. */
    CHECK_EQ(ask(&rig, DX_OP_START, NULL, 1), kIOReturnNotFound);
    CHECK_EQ(join_with(&rig, rig_join_request(uid, 1), lane.pages.fd), kIOReturnSuccess);
    rig_quit(&rig);
    close(null);
    close(open_memory);
    close(empty);
    dx_lane_finish(&lane);
    dx_lane_finish(&narrow);
    free(uid);
}

static void
a_join_that_is_repeated_changes_nothing(void)
{
    struct rig rig;
    struct dx_lane lane;
    struct dx_message first, second;
    char *const uid = start_faulty(&rig, "none");
    CHECK_EQ(dx_lane_create(&lane, "test", 8192, CHANNELS * 4u), 0);
    CHECK_EQ(rig_ask(&rig, rig_join_request(uid, 1), &lane.pages.fd, 1, &first), kIOReturnSuccess);
    CHECK_EQ(rig_ask(&rig, rig_join_request(uid, 1), &lane.pages.fd, 1, &second), kIOReturnSuccess);
    CHECK_EQ(first.fd_count, 1);
    CHECK_EQ(second.fd_count, 1);
    CHECK_EQ(dx_wire_get_number(first.body, "member", 77), dx_wire_get_number(second.body, "member", 88));
    dx_message_finish(&first);
    dx_message_finish(&second);
    CHECK_EQ(ask(&rig, DX_OP_LEAVE, NULL, 1), kIOReturnSuccess);
    CHECK_EQ(ask(&rig, DX_OP_LEAVE, NULL, 1), kIOReturnNotFound);
    rig_quit(&rig);
    dx_lane_finish(&lane);
    free(uid);
}

#define FRAMES 4096u

/* Frame f of channel c. */
static float
sample(uint32_t frame, uint32_t channel)
{
    return (float)(frame + 1u) / (float)(2u * FRAMES) * (channel ? -1.0f : 1.0f);
}

/* What a lane brings is heard in the input ring, times a gain: by a driver that loops, at the same device time. */
static void
check_sound(const struct dx_device_page *page, const struct dx_lane *lane, struct dx_lane_state *state,
            const struct dx_lane *ring, float gain)
{
    float frames[FRAMES * CHANNELS];
    float heard[FRAMES * CHANNELS];
    for (uint32_t i = 0; i < FRAMES * CHANNELS; i++)
        frames[i] = sample(i / CHANNELS, i % CHANNELS);
    const uint64_t time = position_of(page) + 8192u; // past what is mixed already
    state->epoch++;
    state->base = time - state->end;
    dx_lane_append(lane, state, frames, FRAMES);

    struct dx_lane_state known = {.epoch = 0};
    struct dx_span span = {0, 0};
    for (int tries = 0; tries < 1000 && (span.first != 0 || span.last != FRAMES); tries++) {
        dx_clock_sleep_until(dx_clock_host(), now_ns() + 5000000u);
        span = dx_lane_copy(ring, &known, time, FRAMES, heard);
    }
    CHECK_EQ(span.first, 0);
    CHECK_EQ(span.last, FRAMES);
    for (uint32_t i = 0; i < FRAMES * CHANNELS; i++) {
        const float expected = frames[i] * gain;
        if (memcmp(&heard[i], &expected, sizeof expected) != 0 && (heard[i] != 0.0f || expected != 0.0f)) {
            fprintf(stderr, "frame %u: %g, not %g\n", i / CHANNELS, (double)heard[i], (double)expected);
            abort();
        }
    }
}

static OSDictionary *
tune_request(uint64_t session, double gain, bool mute)
{
    OSDictionary *const body = rig_request(DX_OP_TUNE, NULL, session);
    CHECK(dx_wire_set_double(body, "gain-f64", gain));
    CHECK(dx_wire_set_bool(body, "mute", mute));
    return body;
}

static void
what_a_lane_brings_is_recorded_bit_for_bit_times_its_gain(void)
{
    struct rig rig;
    struct dx_lane lane, ring;
    struct dx_lane_state state = {.epoch = 0, .flags = DX_LANE_RUNNING};
    struct dx_message event, answer;
    rig_start(&rig);
    OSDictionary *const body = rig_load_request(&rig, CABLE, NULL);
    CHECK_EQ(rig_ask(&rig, body, NULL, 0, NULL), kIOReturnSuccess);
    rig_wait_event(&rig, DX_EVENT_DEVICE, &event);
    CHECK_EQ(dx_wire_get_number(event.body, DX_KEY_INCARNATION, 0), 7); // as `load` said
    const struct dx_device_page *const page = map_page(&event);
    const char *const uid = dx_wire_get_string(event.body, DX_KEY_UID);
    CHECK_EQ(page->incarnation, 7);

    CHECK_EQ(dx_lane_create(&lane, "test", 2 * FRAMES, CHANNELS * 4u), 0);
    CHECK_EQ(rig_ask(&rig, rig_join_request(uid, 1), &lane.pages.fd, 1, &answer), kIOReturnSuccess);
    CHECK_EQ(fcntl(answer.fds[0], F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL), 0);
    CHECK_EQ(dx_lane_open(answer.fds[0], NULL, &ring), 0);
    dx_message_finish(&answer);
    CHECK_EQ(ask(&rig, DX_OP_START, NULL, 1), kIOReturnSuccess);
    check_sound(page, &lane, &state, &ring, 1.0f);
    CHECK_EQ(rig_ask(&rig, tune_request(1, 0.5, false), NULL, 0, NULL), kIOReturnSuccess);
    check_sound(page, &lane, &state, &ring, 0.5f);
    CHECK_EQ(rig_ask(&rig, tune_request(1, 1.0, true), NULL, 0, NULL), kIOReturnSuccess);
    check_sound(page, &lane, &state, &ring, 0.0f);
    CHECK_EQ(rig_ask(&rig, tune_request(1, 100.0, false), NULL, 0, NULL), kIOReturnBadArgument);
    rig_quit(&rig);
    dx_message_finish(&event);
    dx_device_page_unmap(page);
    dx_lane_finish(&lane);
    dx_lane_finish(&ring);
}

static void
a_thousand_sessions_leave_nothing_behind(void)
{
    struct rig rig;
    struct dx_lane lane;
    char folder[32];
    rig_start(&rig);
    char *const uid = rig_load(&rig, CABLE, NULL, NULL);
    CHECK_EQ(dx_lane_create(&lane, "test", 256, CHANNELS * 4u), 0);
    snprintf(folder, sizeof folder, "/proc/%d/fd", (int)rig.pid);
    uint32_t before = 0;
    for (uint64_t i = 1; i <= 1000; i++) {
        CHECK_EQ(rig_ask(&rig, rig_join_request(uid, i), &lane.pages.fd, 1, NULL), kIOReturnSuccess);
        CHECK_EQ(ask(&rig, DX_OP_LEAVE, NULL, i), kIOReturnSuccess);
        if (i == 10)
            before = rig_count_files(folder);
    }
    CHECK_EQ(rig_count_files(folder), before);
    rig_quit(&rig);
    dx_lane_finish(&lane);
    free(uid);
}

/* ---- settings, and what is told ---- */

static void
a_setting_is_told_with_the_description_and_what_is_kept(void)
{
    struct rig rig;
    struct dx_message event;
    char *const uid = start_faulty(&rig, "none");
    /* What was told of its start. */
    while (rig_has_event(&rig, DX_EVENT_DESCRIPTION, 1000) || rig_has_event(&rig, DX_EVENT_PROPERTIES, 0))
        ;
    CHECK_EQ(rig_ask(&rig, mute_setting(uid, true), NULL, 0, NULL), kIOReturnSuccess);
    rig_wait_event(&rig, DX_EVENT_DESCRIPTION, &event);
    const uint32_t described_at = rig.found_at; // both may have come before the answer
    dx_message_finish(&event);
    rig_wait_event(&rig, DX_EVENT_PROPERTIES, &event);
    CHECK(rig.found_at >= described_at); // they follow
    CHECK(strcmp(dx_wire_get_string(event.body, DX_KEY_UID), uid) == 0);
    CHECK(OSArrayGetCount(dx_wire_get_array(event.body, "selectors")) > 0);
    dx_message_finish(&event);
    rig_wait_event(&rig, DX_EVENT_SAVED_STATE, &event);
    OSDictionary *const state = OSObjectRetain(dx_wire_get_dictionary(event.body, "state"));
    CHECK(state);
    dx_message_finish(&event);
    rig_quit(&rig);

    /* The next process begins with it. */
    rig_start(&rig);
    OSDictionary *const body = rig_load_request(&rig, FAULT, NULL);
    CHECK(OSDictionarySetObject(body, "saved-state", state));
    CHECK_EQ(rig_ask(&rig, body, NULL, 0, NULL), kIOReturnSuccess);
    rig_wait_event(&rig, DX_EVENT_DEVICE, &event);
    const OSDictionary *const description = dx_wire_get_dictionary(event.body, DX_KEY_DESCRIPTION);
    const OSDictionary *const mute =
        OSDynamicCast(OSDictionary, OSArrayGetObject(dx_wire_get_array(description, "controls"), 0));
    CHECK(mute && dx_wire_get_bool(mute, "on"));
    dx_message_finish(&event);
    rig_quit(&rig);
    OSObjectRelease(state);
    free(uid);
}

#define QUESTIONS 600u // their answers fill a socket
#define SETTINGS 50u

/* A supervisor that has not read yet what it was told is not told of every state in between. */
static void
what_changes_while_nobody_reads_is_told_together(void)
{
    struct rig rig;
    struct dx_message last;
    int unread = 1;
    char *const uid = start_faulty(&rig, "none");
    while (rig_has_event(&rig, DX_EVENT_DESCRIPTION, 1000) || rig_has_event(&rig, DX_EVENT_PROPERTIES, 0))
        ;
    for (unsigned i = 0; i < QUESTIONS; i++)
        (void)rig_send(&rig, rig_request("nonsense", NULL, 0), NULL, 0);
    for (unsigned turn = 0; unread > 0; turn++) {
        CHECK_EQ(ioctl(rig.socket, SIOCOUTQ, &unread), 0);
        CHECK(turn < 2000);
        (void)usleep(5000);
    }
    uint64_t id = 0;
    for (unsigned i = 0; i < SETTINGS; i++) {
        id = rig_send(&rig, mute_setting(uid, i % 2 == 0), NULL, 0);
        (void)usleep(25000); // longer than the pause between two descriptions
    }
    rig_wait_answer(&rig, id, &last);
    dx_message_finish(&last);
    CHECK(rig_count_kept(&rig, DX_EVENT_DESCRIPTION) <= 2);
    rig_wait_event(&rig, DX_EVENT_DESCRIPTION, &last);
    dx_message_finish(&last);
    rig_quit(&rig);
    free(uid);
}

static void
a_setting_that_makes_no_sense_is_refused(void)
{
    struct rig rig;
    char *const uid = start_faulty(&rig, "none");
    CHECK_EQ(rig_ask(&rig, setting(uid, "colour"), NULL, 0, NULL), kIOReturnUnsupported);
    CHECK_EQ(rig_ask(&rig, setting(uid, "control"), NULL, 0, NULL), kIOReturnBadArgument);
    CHECK_EQ(rig_ask(&rig, setting(uid, "rate"), NULL, 0, NULL), kIOReturnBadArgument);
    CHECK_EQ(rig_ask(&rig, setting(uid, "format"), NULL, 0, NULL), kIOReturnBadArgument);
    CHECK_EQ(rig_ask(&rig, setting(uid, "io-frames"), NULL, 0, NULL), kIOReturnBadArgument);
    CHECK_EQ(rig_ask(&rig, setting(uid, "property"), NULL, 0, NULL), kIOReturnBadArgument);
    CHECK_EQ(ask(&rig, DX_OP_GET_PROPERTY, uid, 0), kIOReturnBadArgument);
    OSDictionary *body = mute_setting(uid, true);
    CHECK(OSDictionarySetStringValue(body, "key", "none/outp/0"));
    CHECK_EQ(rig_ask(&rig, body, NULL, 0, NULL), kIOReturnNotFound);
    body = setting(uid, "rate");
    CHECK(dx_wire_set_double(body, "rate-f64", 12345.0));
    CHECK_EQ(rig_ask(&rig, body, NULL, 0, NULL), kIOReturnUnsupported);
    rig_quit(&rig);
    free(uid);
}

static void
a_change_of_the_rate_is_told_from_its_begin_to_its_end(void)
{
    struct rig rig;
    struct dx_message event;
    rig_start(&rig);
    char *const uid = rig_load(&rig, CABLE, NULL, NULL);
    OSDictionary *const body = setting(uid, "rate");
    CHECK(dx_wire_set_double(body, "rate-f64", 96000.0));
    CHECK_EQ(rig_ask(&rig, body, NULL, 0, NULL), kIOReturnSuccess);
    rig_wait_event(&rig, DX_EVENT_CONFIGURATION, &event);
    CHECK(dx_wire_get_bool(event.body, "begin"));
    dx_message_finish(&event);
    rig_wait_event(&rig, DX_EVENT_CONFIGURATION, &event);
    CHECK(!dx_wire_get_bool(event.body, "begin"));
    CHECK_EQ(dx_wire_get_number(event.body, DX_KEY_STATUS, 1), kIOReturnSuccess);
    dx_message_finish(&event);
    double rate_hz = 0;
    while (rate_hz != 96000.0) { // which was told before the end
        rig_wait_event(&rig, DX_EVENT_DESCRIPTION, &event);
        (void)dx_wire_get_double(dx_wire_get_dictionary(event.body, DX_KEY_DESCRIPTION), "rate-f64", &rate_hz);
        dx_message_finish(&event);
    }
    rig_quit(&rig);
    free(uid);
}

/* ---- what was before, and what is left ---- */

static int
make_recorder(void)
{
    const int fd = memfd_create("recorder", MFD_CLOEXEC);
    CHECK(fd >= 0 && ftruncate(fd, (off_t)dx_recorder_bytes()) == 0);
    return fd;
}

/* Waits until the engine has written where device time is. */
static void
wait_line(int fd)
{
    uint64_t frame, host_ns;
    double ns_per_frame;
    bool found = false;
    void *const region = mmap(NULL, dx_recorder_bytes(), PROT_READ, MAP_SHARED, fd, 0);
    CHECK(region != MAP_FAILED);
    for (int tries = 0; tries < 1000 && !found; tries++) {
        dx_clock_sleep_until(dx_clock_host(), now_ns() + 5000000u);
        found = dx_recording_line(region, dx_recorder_bytes(), &frame, &host_ns, &ns_per_frame);
    }
    CHECK(found);
    munmap(region, dx_recorder_bytes());
}

static void
device_time_goes_on_where_the_supervisor_says(void)
{
    static const uint64_t frame = 1000000000u;
    struct rig rig;
    struct dx_lane lane;
    struct dx_message event;
    const int recorder = make_recorder();
    rig_start(&rig);
    OSDictionary *const body = rig_load_request(&rig, FAULT, NULL);
    OSDictionary *const item = OSDictionaryCreate(5);
    OSArray *const before = OSArrayCreate(1);
    CHECK(OSDictionarySetStringValue(item, DX_KEY_UID, "org.dextral.test.fault"));
    CHECK(OSDictionarySetUInt64Value(item, "recorder", 0) && OSDictionarySetUInt64Value(item, "frame", frame));
    CHECK(OSDictionarySetUInt64Value(item, "host-ns", now_ns()));
    CHECK(dx_wire_set_double(item, "ns-per-frame-f64", 1e9 / 48000.0));
    CHECK(OSArraySetObject(before, item) && dx_wire_take(body, "before", before));
    OSObjectRelease(item);
    CHECK_EQ(rig_ask(&rig, body, &recorder, 1, NULL), kIOReturnSuccess);
    rig_wait_event(&rig, DX_EVENT_DEVICE, &event);
    const struct dx_device_page *const page = map_page(&event);
    CHECK(position_of(page) >= frame);
    rig_play(&rig, dx_wire_get_string(event.body, DX_KEY_UID), 1, CHANNELS, &lane);
    const uint64_t position = position_of(page);
    CHECK(position >= frame && position < frame + 60u * 48000u);
    wait_line(recorder);
    rig_quit(&rig);
    dx_message_finish(&event);
    dx_device_page_unmap(page);
    dx_lane_finish(&lane);
    close(recorder);
}

static OSDictionary *
record_request(const char *uid)
{
    OSDictionary *const body = rig_request(DX_OP_RECORD, uid, 0);
    CHECK(OSDictionarySetUInt64Value(body, "recorder", 0));
    return body;
}

static void
a_device_that_is_new_gets_its_recorder_later(void)
{
    struct rig rig;
    struct dx_lane lane;
    const int recorder = make_recorder();
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int other = memfd_create("other", MFD_CLOEXEC);
    CHECK(null >= 0 && other >= 0 && ftruncate(other, (off_t)dx_recorder_bytes()) == 0);
    CHECK_EQ(pwrite(other, "not this", 8, 0), 8);
    char *const uid = start_faulty(&rig, "none");
    CHECK_EQ(rig_ask(&rig, record_request(uid), NULL, 0, NULL), kIOReturnBadArgument);
    CHECK_EQ(rig_ask(&rig, record_request(uid), &null, 1, NULL), kIOReturnBadArgument);
    CHECK_EQ(rig_ask(&rig, record_request(uid), &other, 1, NULL), kIOReturnUnsupported);
    CHECK_EQ(rig_ask(&rig, record_request("nobody's"), &recorder, 1, NULL), kIOReturnNotFound);
    CHECK_EQ(rig_ask(&rig, record_request(uid), &recorder, 1, NULL), kIOReturnSuccess);
    rig_play(&rig, uid, 1, CHANNELS, &lane);
    wait_line(recorder);
    rig_quit(&rig);
    dx_lane_finish(&lane);
    close(recorder);
    close(null);
    close(other);
    free(uid);
}

static void
memory_that_a_driver_scribbles_over_harms_its_process_alone(void)
{
    struct rig rig;
    struct dx_lane lane;
    const int recorder = make_recorder();
    char *const uid = start_faulty(&rig, "scribble");
    CHECK_EQ(rig_ask(&rig, record_request(uid), &recorder, 1, NULL), kIOReturnSuccess);
    CHECK_EQ(dx_lane_create(&lane, "test", 8192, CHANNELS * 4u), 0);
    CHECK_EQ(rig_ask(&rig, rig_join_request(uid, 1), &lane.pages.fd, 1, NULL), kIOReturnSuccess);
    (void)rig_send(&rig, rig_request(DX_OP_START, NULL, 1), NULL, 0);
    (void)rig_wait_end_within(&rig, 3000); // it may go on, or crash: its engine's memory is gone
    for (size_t i = 0; i < (size_t)lane.ring_frames * lane.bytes_per_frame; i++)
        CHECK_EQ(lane.data[i], 0); // a lane is its program's
    dx_lane_finish(&lane);
    close(recorder);
    free(uid);
}

/* ---- the supervisor ---- */

static void
sound_goes_on_without_a_supervisor_and_the_next_one_is_told(void)
{
    struct rig rig;
    struct dx_lane lane;
    struct dx_message event;
    rig_start(&rig);
    char *const uid = rig_load(&rig, CABLE, NULL, NULL);
    rig_play(&rig, uid, 4711, CHANNELS, &lane);
    const uint64_t before = count_cycles(&rig, uid);
    rig_disconnect(&rig);
    dx_clock_sleep_until(dx_clock_host(), now_ns() + 200000000u);
    rig_reconnect(&rig);
    rig_wait_event(&rig, DX_EVENT_DEVICE, &event);
    CHECK(strcmp(dx_wire_get_string(event.body, DX_KEY_UID), uid) == 0);
    const OSArray *const sessions = dx_wire_get_array(event.body, "sessions");
    CHECK_EQ(OSArrayGetCount(sessions), 1);
    CHECK_EQ(OSNumberGetUInt64Value(OSDynamicCast(OSNumber, OSArrayGetObject(sessions, 0))), 4711);
    CHECK(dx_wire_get_number(event.body, "page", DX_WIRE_MAX_FDS) < event.fd_count);
    dx_message_finish(&event);
    rig_wait_event(&rig, DX_EVENT_SAVED_STATE, &event);
    dx_message_finish(&event);
    CHECK(count_cycles(&rig, uid) > before);
    CHECK_EQ(join_with(&rig, rig_join_request(uid, 4711), lane.pages.fd), kIOReturnSuccess);
    rig_quit(&rig);
    dx_lane_finish(&lane);
    free(uid);
}

static void
nonsense_closes_the_connection_and_nothing_else(void)
{
    struct rig rig;
    rig_start(&rig);
    char *const uid = rig_load(&rig, CABLE, NULL, NULL);
    CHECK_EQ(send(rig.socket, "nonsense, and nothing else", 26, MSG_NOSIGNAL), 26);
    rig_disconnect(&rig);
    rig_reconnect(&rig);
    CHECK_EQ(ask(&rig, DX_OP_DESCRIBE, uid, 0), kIOReturnSuccess);
    rig_quit(&rig);
    free(uid);
}

/* Every key of a request in turn holds what it must not: whatever is answered, the process goes on. */
static void
values_of_the_wrong_type_harm_nothing(void)
{
    static const char *const operations[] = {
        DX_OP_LOAD, DX_OP_JOIN,         DX_OP_START,      DX_OP_STOP,     DX_OP_TUNE,   DX_OP_LEAVE,
        DX_OP_SET,  DX_OP_GET_PROPERTY, DX_OP_STATISTICS, DX_OP_DESCRIBE, DX_OP_RECORD,
    };
    static const char *const keys[] = {
        DX_KEY_UID, DX_KEY_SESSION, DX_KEY_NAME, "output", "input",    "lane",   "io-frames",
        "gain-f64", "mute",         "what",      "key",    "selector", "values", "recorder",
    };
    struct rig rig;
    char *const uid = start_faulty(&rig, "none");
    OSArray *const array = OSArrayCreate(1);
    OSString *const string = OSStringCreate("");
    OSNumber *const number = OSNumberCreateWithUInt64Value(UINT64_MAX);
    CHECK(OSArraySetObject(array, number));
    const OSObjectPtr values[] = {array, string, number};
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
                OSDictionary *const body = rig_join_request(uid, 1);
                CHECK(OSDictionarySetStringValue(body, DX_KEY_OPERATION, operations[i]));
                CHECK(OSDictionarySetObject(body, keys[k], values[v]));
                (void)rig_ask(&rig, body, NULL, 0, NULL); // which checks that there is an answer
            }
    OSObjectRelease(array);
    OSObjectRelease(string);
    OSObjectRelease(number);
    CHECK_EQ(ask(&rig, DX_OP_DESCRIBE, uid, 0), kIOReturnSuccess);
    rig_quit(&rig);
    free(uid);
}

static void
a_load_with_values_of_the_wrong_type_loads_what_is_left(void)
{
    static const char *const keys[] = {"before",  "properties",       "saved-state",
                                       "network", DX_KEY_INCARNATION, "sandbox"};
    struct rig rig;
    rig_start(&rig);
    OSDictionary *const body = rig_load_request(&rig, FAULT, NULL);
    OSArray *const array = OSArrayCreate(1);
    OSDictionary *const nothing = OSDictionaryCreate(1);
    CHECK(OSDictionarySetStringValue(nothing, "recorder", "x") && OSArraySetObject(array, nothing));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        CHECK(OSDictionarySetObject(body, keys[i], array));
    OSObjectRelease(array);
    OSObjectRelease(nothing);
    CHECK_EQ(rig_ask(&rig, body, NULL, 0, NULL), kIOReturnSuccess);
    CHECK(rig_has_event(&rig, DX_EVENT_DEVICE, 10000));
    rig_quit(&rig);
}

static void
a_process_that_no_supervisor_knows_ends(void)
{
    struct rig rig;
    rig_start(&rig);
    free(rig_load(&rig, CABLE, NULL, NULL));
    rig.hello_status = kIOReturnNotPermitted;
    rig_disconnect(&rig);
    rig_reconnect(&rig);
    check_exit(rig_wait_end(&rig), DX_DRIVER_EXIT_DONE);
}

static void
a_process_that_was_told_nothing_ends_with_its_supervisor(void)
{
    struct rig rig;
    rig_start(&rig);
    rig_disconnect(&rig);
    check_exit(rig_wait_end(&rig), DX_DRIVER_EXIT_NOT_STARTED);
}

static void
a_signal_stops_the_driver_in_good_order(void)
{
    struct rig rig;
    struct dx_lane lane;
    rig_start(&rig);
    char *const uid = rig_load(&rig, CABLE, NULL, NULL);
    rig_play(&rig, uid, 1, CHANNELS, &lane);
    CHECK_EQ(kill(rig.pid, SIGTERM), 0);
    check_exit(rig_wait_end(&rig), DX_DRIVER_EXIT_DONE);
    dx_lane_finish(&lane);
    free(uid);
}

static void
a_driver_that_follows_asks_each_supervisor_for_the_page(void)
{
    struct rig rig;
    struct dx_lane lane;
    struct dx_message event;
    OSDictionary *const properties = OSDictionaryCreate(1);
    CHECK(OSDictionarySetStringValue(properties, "ClockFollows", "another"));
    rig_start(&rig);
    char *const uid = rig_load(&rig, CABLE, NULL, properties);
    OSObjectRelease(properties);
    rig_play(&rig, uid, 1, CHANNELS, &lane);
    for (unsigned turn = 0; turn < 2; turn++) {
        rig_wait_event(&rig, DX_EVENT_FOLLOW, &event);
        CHECK(strcmp(dx_wire_get_string(event.body, DX_KEY_UID), "another") == 0);
        CHECK(dx_wire_get_bool(event.body, "on"));
        dx_message_finish(&event);
        if (turn == 0) {
            rig_disconnect(&rig);
            rig_reconnect(&rig);
        }
    }
    rig_quit(&rig);
    dx_lane_finish(&lane);
    free(uid);
}

static void
an_idle_process_wakes_for_nothing(void)
{
    struct rig rig;
    struct dx_lane lane;
    if (DX_SANDBOX_SANITIZED)
        return; // which has a thread of its own
    rig_start(&rig);
    char *const uid = rig_load(&rig, CABLE, NULL, NULL);
    rig_play(&rig, uid, 1, CHANNELS, &lane);
    CHECK_EQ(ask(&rig, DX_OP_LEAVE, NULL, 1), kIOReturnSuccess);
    dx_clock_sleep_until(dx_clock_host(), now_ns() + 1500000000u); // the watchdog's last look
    const uint64_t before = rig_count_switches(&rig);
    dx_clock_sleep_until(dx_clock_host(), now_ns() + 3000000000u);
    CHECK_EQ(rig_count_switches(&rig), before);
    rig_quit(&rig);
    dx_lane_finish(&lane);
    free(uid);
}

/* Takes half a minute: not among the others. */
static void
a_driver_ends_when_its_supervisor_left_and_none_has_come(void)
{
    struct rig rig;
    struct dx_lane lane;
    rig_start(&rig);
    char *const uid = rig_load(&rig, CABLE, NULL, NULL);
    rig_play(&rig, uid, 1, CHANNELS, &lane);
    OSDictionary *const event = OSDictionaryCreate(1);
    CHECK(OSDictionarySetStringValue(event, DX_KEY_EVENT, DX_EVENT_LEAVING));
    CHECK_EQ(dx_wire_send(rig.socket, event, NULL, 0), 0);
    OSObjectRelease(event);
    rig_disconnect(&rig);
    dx_clock_sleep_until(dx_clock_host(), now_ns() + 25000000000u);
    CHECK_EQ(kill(rig.pid, 0), 0); // sound goes on until then
    check_exit(rig_wait_end(&rig), DX_DRIVER_EXIT_DONE);
    dx_lane_finish(&lane);
    free(uid);
}

int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "alone") == 0) {
        RUN(a_driver_ends_when_its_supervisor_left_and_none_has_come);
        return 0;
    }
    RUN(a_driver_is_loaded_started_and_stopped);
    RUN(a_process_that_is_asked_out_of_order_says_so);
    RUN(what_cannot_be_loaded_is_told_and_the_process_ends);
    RUN(a_driver_that_fails_to_start_is_told);
    RUN(a_bundle_that_ends_the_process_leaves_how);
    RUN(a_driver_that_hangs_keeps_its_process_from_nothing);
    RUN(a_start_without_stamps_times_out_and_others_are_answered_meanwhile);
    RUN(a_handler_that_does_not_return_ends_the_process);
    RUN(a_real_time_handler_that_spins_is_ended_by_its_limit);
    RUN(an_io_thread_asks_for_its_priority_and_runs_without);
    RUN(the_sandbox_is_closed_before_the_driver_runs);
    RUN(a_join_that_does_not_fit_is_refused);
    RUN(a_join_that_is_repeated_changes_nothing);
    RUN(what_a_lane_brings_is_recorded_bit_for_bit_times_its_gain);
    RUN(a_thousand_sessions_leave_nothing_behind);
    RUN(a_setting_is_told_with_the_description_and_what_is_kept);
    RUN(what_changes_while_nobody_reads_is_told_together);
    RUN(a_setting_that_makes_no_sense_is_refused);
    RUN(a_change_of_the_rate_is_told_from_its_begin_to_its_end);
    RUN(device_time_goes_on_where_the_supervisor_says);
    RUN(a_device_that_is_new_gets_its_recorder_later);
    RUN(memory_that_a_driver_scribbles_over_harms_its_process_alone);
    RUN(sound_goes_on_without_a_supervisor_and_the_next_one_is_told);
    RUN(nonsense_closes_the_connection_and_nothing_else);
    RUN(values_of_the_wrong_type_harm_nothing);
    RUN(a_load_with_values_of_the_wrong_type_loads_what_is_left);
    RUN(a_process_that_no_supervisor_knows_ends);
    RUN(a_process_that_was_told_nothing_ends_with_its_supervisor);
    RUN(a_signal_stops_the_driver_in_good_order);
    RUN(a_driver_that_follows_asks_each_supervisor_for_the_page);
    RUN(an_idle_process_wakes_for_nothing);
    return 0;
}
