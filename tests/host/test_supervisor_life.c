// SPDX-License-Identifier: MIT
// A device's life: its driver comes, goes, is killed, and so is the supervisor.  Real processes throughout.

#include "audio/timeline.h"
#include "tests/host/supervisor_rig.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define NS_PER_MS 1000000ull

static uint64_t
read_position(const struct dx_device_page *page)
{
    const struct dx_slots slots = dx_device_page_timeline(page);
    struct dx_timeline_page line;
    CHECK(dx_slots_read(&slots, &line));
    CHECK(dx_timeline_page_is_sane(&line));
    return (uint64_t)dx_timeline_page_position(&line, (uint64_t)now_ms() * NS_PER_MS);
}

static void
expect_incident(struct caller *caller, const char *uid, const char *cause, const char *text)
{
    struct dx_message answer;
    CHECK_EQ(ask(caller, request_about(DX_OP_INCIDENTS, uid), NULL, 0, &answer), kIOReturnSuccess);
    OSArray *const incidents = dx_wire_get_array(answer.body, "incidents");
    CHECK(incidents);
    bool is_found = false;
    for (size_t i = 0; i < OSArrayGetCount(incidents); i++) {
        const OSDictionary *const incident = OSArrayGetObject(incidents, i);
        const char *const found_cause = dx_wire_get_string(incident, "cause");
        const char *const found_text = dx_wire_get_string(incident, "text");
        is_found =
            is_found || (found_cause && found_text && strcmp(found_cause, cause) == 0 && strstr(found_text, text));
    }
    CHECK(is_found);
    dx_message_finish(&answer);
}

static void
kill_driver(struct caller *caller, const char *uid)
{
    const pid_t pid = (pid_t)describe_number(caller, uid, "pid");
    CHECK(pid > 0);
    CHECK_EQ(kill(pid, SIGKILL), 0);
}

static void
a_device_is_opened_before_its_driver_ever_ran(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    struct dx_message answer;
    struct dx_message event;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    CHECK_EQ(describe_number(&caller, "wire", "pid"), 0);
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "wire", 1, &lane, &answer), kIOReturnSuccess);
    const struct dx_device_page *const alone = map_page(&answer);
    const uint64_t before = read_position(alone);
    CHECK_EQ(dx_wire_get_number(answer.body, "ring", 0), 1); // an empty one

    wait_event(&caller, DX_EVENT_NEW_DRIVER, &event);
    const struct dx_device_page *const page = map_page(&event);
    CHECK(page->incarnation != alone->incarnation);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 1), NULL, 0, NULL), kIOReturnSuccess);
    CHECK(read_position(page) >= before);
    wait_state(&caller, "wire", "running");

    CHECK_EQ(ask(&caller, request_of(DX_OP_STOP, 1), NULL, 0, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_CLOSE, 1), NULL, 0, NULL), kIOReturnSuccess);
    dx_device_page_unmap(alone);
    dx_device_page_unmap(page);
    dx_message_finish(&answer);
    dx_message_finish(&event);
    dx_lane_finish(&lane);
    caller_close(&caller);
    machine_destroy(&machine);
}

static void
a_start_right_after_an_open_waits_for_the_driver(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "wire", 1, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 1), NULL, 0, NULL), kIOReturnSuccess);
    OSDictionary *const description = describe(&caller, "wire");
    OSArray *const sessions = dx_wire_get_array(description, "sessions");
    CHECK_EQ(OSArrayGetCount(sessions), 1);
    CHECK(dx_wire_get_bool(OSArrayGetObject(sessions, 0), "running"));
    CHECK_EQ(strcmp(dx_wire_get_string(OSArrayGetObject(sessions, 0), "name"), "player"), 0);
    CHECK_EQ(strcmp(dx_wire_get_string(description, "state"), "running"), 0);
    OSObjectRelease(description);
    dx_lane_finish(&lane);
    caller_close(&caller);
    machine_destroy(&machine);
}

static void
a_killed_driver_is_started_again_and_its_sessions_go_on(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    struct dx_message event;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "wire", 1, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 1), NULL, 0, NULL), kIOReturnSuccess);
    wait_event(&caller, DX_EVENT_NEW_DRIVER, &event);
    const struct dx_device_page *page = map_page(&event);
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t before = read_position(page);
        const uint64_t pid = describe_number(&caller, "wire", "pid");
        kill_driver(&caller, "wire");
        dx_message_finish(&event);
        dx_device_page_unmap(page);
        wait_event(&caller, DX_EVENT_NEW_DRIVER, &event);
        CHECK_EQ(dx_wire_get_number(event.body, DX_KEY_SESSION, 0), 1);
        page = map_page(&event);
        CHECK(read_position(page) >= before); // device time never goes back
        wait_state(&caller, "wire", "running");
        CHECK(describe_number(&caller, "wire", "pid") != pid);
        CHECK_EQ(describe_number(&caller, "wire", "restarts"), i + 1);
    }
    expect_incident(&caller, "wire", "signal of death", "was killed by SIGKILL");
    dx_device_page_unmap(page);
    dx_message_finish(&event);
    dx_lane_finish(&lane);
    caller_close(&caller);
    machine_destroy(&machine);
}

static void
a_driver_that_nobody_uses_ends(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "wire", 1, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 1), NULL, 0, NULL), kIOReturnSuccess);
    /* The program ends without a word. */
    struct caller other;
    caller_open(&other, &machine, "watcher");
    caller_close(&caller);
    wait_state(&other, "wire", "idle");
    CHECK_EQ(describe_number(&other, "wire", "pid"), 0);
    CHECK_EQ(describe_number(&other, "wire", "restarts"), 0); // it was asked to
    dx_lane_finish(&lane);
    caller_close(&other);
    machine_destroy(&machine);
}

static void
a_device_that_is_opened_while_its_driver_is_idle_keeps_it(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    OSDictionary *const fresh = request_about(DX_OP_DESCRIBE, "wire");
    CHECK(dx_wire_set_bool(fresh, "fresh", true));
    CHECK_EQ(ask(&caller, fresh, NULL, 0, NULL), kIOReturnSuccess);
    const uint64_t pid = describe_number(&caller, "wire", "pid");
    CHECK(pid > 0);
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "wire", 1, &lane, NULL), kIOReturnSuccess);
    sleep_ms(1000); // three times as long as an idle one has
    CHECK_EQ(describe_number(&caller, "wire", "pid"), pid);
    dx_lane_finish(&lane);
    caller_close(&caller);
    machine_destroy(&machine);
}

static void
reopen(struct caller *caller, const struct machine *machine, const struct dx_lane *lane,
       struct dx_message *ret_answer)
{
    caller_open(caller, machine, "player");
    OSDictionary *const body = request_about(DX_OP_OPEN, "wire");
    set_number(body, DX_KEY_SESSION, 1);
    set_number(body, "output", 0);
    set_number(body, "input", 0);
    set_number(body, "lane", 0);
    CHECK(dx_wire_set_bool(body, "running", true));
    CHECK_EQ(ask(caller, body, &lane->pages.fd, 1, ret_answer), kIOReturnSuccess);
}

static void
a_driver_goes_on_when_the_supervisor_is_killed(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    struct dx_message answer;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "wire", 1, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(open_session(&caller, "wire", 2, &lane, NULL), kIOReturnSuccess); // its program will not come back
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 1), NULL, 0, NULL), kIOReturnSuccess);
    const uint64_t pid = describe_number(&caller, "wire", "pid");
    const uint64_t incarnation = describe_number(&caller, "wire", "incarnation");
    (void)machine_end(&machine, SIGKILL);
    caller_close(&caller);

    machine_start(&machine, NULL); // the socket of the dead one is replaced
    reopen(&caller, &machine, &lane, &answer);
    CHECK_EQ(dx_wire_get_number(answer.body, DX_KEY_INCARNATION, 0), incarnation);
    const struct dx_device_page *const page = map_page(&answer);
    CHECK_EQ(page->incarnation, incarnation); // the driver's own: not one of the supervisor's
    CHECK_EQ(describe_number(&caller, "wire", "pid"), pid);
    machine_wait_said(&machine, "no program has claimed a session");
    OSDictionary *const description = describe(&caller, "wire");
    CHECK_EQ(OSArrayGetCount(dx_wire_get_array(description, "sessions")), 1);
    OSObjectRelease(description);
    CHECK(!has_event(&caller, DX_EVENT_NEW_DRIVER, 0));
    dx_device_page_unmap(page);
    dx_message_finish(&answer);
    dx_lane_finish(&lane);
    caller_close(&caller);
    machine_destroy(&machine);
}

static void
a_supervisor_that_ends_in_good_order_leaves_what_plays(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    create_cable(&caller, "quiet");
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "wire", 1, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 1), NULL, 0, NULL), kIOReturnSuccess);
    CHECK_EQ(open_session(&caller, "quiet", 2, &lane, NULL), kIOReturnSuccess);
    wait_state(&caller, "quiet", "running");
    const pid_t pid = (pid_t)describe_number(&caller, "wire", "pid");
    const pid_t quiet = (pid_t)describe_number(&caller, "quiet", "pid");
    const int status = machine_end(&machine, SIGTERM);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
    CHECK(access(machine.socket_path, F_OK) != 0);
    CHECK_EQ(kill(pid, 0), 0);
    CHECK(kill(quiet, 0) != 0);
    caller_close(&caller);

    machine_start(&machine, NULL);
    reopen(&caller, &machine, &lane, NULL);
    CHECK_EQ(describe_number(&caller, "wire", "pid"), (uint64_t)pid);
    dx_lane_finish(&lane);
    caller_close(&caller);
    machine_destroy(&machine); // SIGINT: now all of it ends
}

static void
a_driver_killed_while_there_is_no_supervisor_is_started_again(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    struct dx_message answer;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "wire", 1, &lane, &answer), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 1), NULL, 0, NULL), kIOReturnSuccess);
    dx_message_finish(&answer);
    wait_event(&caller, DX_EVENT_NEW_DRIVER, &answer);
    const struct dx_device_page *const before = map_page(&answer);
    const pid_t pid = (pid_t)describe_number(&caller, "wire", "pid");
    (void)machine_end(&machine, SIGKILL);
    CHECK_EQ(kill(pid, SIGKILL), 0);
    caller_close(&caller);
    const uint64_t position = read_position(before);
    dx_message_finish(&answer);
    sleep_ms(100);

    machine_start(&machine, NULL);
    reopen(&caller, &machine, &lane, &answer);
    const struct dx_device_page *const after = map_page(&answer);
    CHECK(read_position(after) > position);
    wait_state(&caller, "wire", "running");
    CHECK(describe_number(&caller, "wire", "pid") != (uint64_t)pid);
    dx_device_page_unmap(before);
    dx_device_page_unmap(after);
    dx_message_finish(&answer);
    dx_lane_finish(&lane);
    caller_close(&caller);
    machine_destroy(&machine);
}

static void
a_driver_that_lost_its_supervisor_and_does_not_answer_is_killed(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "wire", 1, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 1), NULL, 0, NULL), kIOReturnSuccess);
    const pid_t pid = (pid_t)describe_number(&caller, "wire", "pid");
    (void)machine_end(&machine, SIGKILL);
    caller_close(&caller);
    CHECK_EQ(kill(pid, SIGSTOP), 0);
    machine_start(&machine, NULL);
    reopen(&caller, &machine, &lane, NULL); // answered when it is clear that it does not come
    machine_wait_said(&machine, "did not connect to the next one within 3 s");
    wait_state(&caller, "wire", "running");
    CHECK(describe_number(&caller, "wire", "pid") != (uint64_t)pid);
    dx_lane_finish(&lane);
    caller_close(&caller);
    machine_destroy(&machine);
}

static void
a_driver_that_stands_still_is_described_as_it_was(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "wire", 1, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 1), NULL, 0, NULL), kIOReturnSuccess);
    const pid_t pid = (pid_t)describe_number(&caller, "wire", "pid");
    CHECK_EQ(kill(pid, SIGSTOP), 0);
    const int64_t before_ms = now_ms();
    CHECK_EQ(describe_number(&caller, "wire", "pid"), (uint64_t)pid);
    CHECK(now_ms() - before_ms < 25000); // nobody waits as long as for what only the driver knows
    CHECK_EQ(kill(pid, SIGCONT), 0);
    CHECK_EQ(ask(&caller, request_of(DX_OP_STOP, 1), NULL, 0, NULL), kIOReturnSuccess);
    dx_lane_finish(&lane);
    caller_close(&caller);
    machine_destroy(&machine);
}

static double
read_rate(struct caller *caller, bool is_fresh)
{
    struct dx_message answer;
    double rate_hz = 0.0;
    OSDictionary *const body = request_about(DX_OP_DESCRIBE, "wire");
    CHECK(dx_wire_set_bool(body, "fresh", is_fresh));
    CHECK_EQ(ask(caller, body, NULL, 0, &answer), kIOReturnSuccess);
    CHECK(dx_wire_get_double(dx_wire_get_dictionary(answer.body, DX_KEY_DESCRIPTION), "rate-f64", &rate_hz));
    dx_message_finish(&answer);
    return rate_hz;
}

static void
saved_values_come_back_with_the_next_driver(void)
{
    struct machine machine;
    struct caller caller;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "setter");
    create_cable(&caller, "wire");
    OSDictionary *const body = request_about(DX_OP_SET, "wire");
    set_text(body, "what", "rate");
    CHECK(dx_wire_set_double(body, "rate-f64", 96000.0));
    CHECK_EQ(ask(&caller, body, NULL, 0, NULL), kIOReturnSuccess); // starts the driver
    wait_state(&caller, "wire", "idle");
    CHECK_EQ(machine_end(&machine, SIGTERM), 0);
    caller_close(&caller);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "reader");
    CHECK(read_rate(&caller, false) == 96000.0); // as it is remembered, ...
    const int64_t end_ms = now_ms() + 10000;
    while (read_rate(&caller, true) != 96000.0) { // ... and as the next driver says, once it has changed to it
        CHECK(now_ms() < end_ms);
        sleep_ms(10);
    }
    caller_close(&caller);
    machine_destroy(&machine);
}

static void
create_nudged_cable(struct caller *caller, const char *uid, const char *option, const char *value)
{
    create_cable(caller, uid);
    OSDictionary *const body = request_about(DX_OP_SET, uid);
    set_text(body, "what", "option");
    set_text(body, "name", option);
    set_text(body, "value", value);
    CHECK_EQ(ask(caller, body, NULL, 0, NULL), kIOReturnSuccess);
}

/* How far a device's clock is from its nominal rate. */
static double
read_ppm(const struct dx_device_page *page)
{
    const struct dx_slots slots = dx_device_page_timeline(page);
    struct dx_timeline_page line;
    CHECK(dx_slots_read(&slots, &line));
    return (1e9 / line.ns_per_frame / line.rate_hz - 1.0) * 1e6;
}

/* Each runs in a process of its own: the page of the one goes to the other, also that of its next driver. */
static void
a_device_follows_one_of_another_process(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    struct dx_message event;
    const struct dx_device_page *follower = NULL;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_nudged_cable(&caller, "leader", "ppm", "400");
    create_nudged_cable(&caller, "follower", "follow", "leader");
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "follower", 2, &lane, NULL), kIOReturnSuccess); // before the other has a driver
    CHECK_EQ(open_session(&caller, "leader", 1, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 2), NULL, 0, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 1), NULL, 0, NULL), kIOReturnSuccess);
    while (!follower) {
        wait_event(&caller, DX_EVENT_NEW_DRIVER, &event);
        if (dx_wire_get_number(event.body, DX_KEY_SESSION, 0) == 2)
            follower = map_page(&event);
        dx_message_finish(&event);
    }
    for (unsigned i = 0; i < 2; i++) {
        const int64_t end_ms = now_ms() + 20000;
        while (read_ppm(follower) < 300.0 || read_ppm(follower) > 500.0) {
            CHECK(now_ms() < end_ms);
            sleep_ms(50);
        }
        if (i == 0) {
            kill_driver(&caller, "leader");
            wait_event(&caller, DX_EVENT_NEW_DRIVER, &event);
            CHECK_EQ(dx_wire_get_number(event.body, DX_KEY_SESSION, 0), 1);
            dx_message_finish(&event);
            sleep_ms(1000);
        }
    }
    CHECK_EQ(describe_number(&caller, "follower", "restarts"), 0);
    dx_device_page_unmap(follower);
    dx_lane_finish(&lane);
    caller_close(&caller);
    machine_destroy(&machine);
}

static void
a_second_supervisor_says_who_serves(void)
{
    struct machine machine;
    machine_create(&machine);
    machine_start(&machine, NULL);
    char number[32];
    (void)snprintf(number, sizeof number, "process %ld", (long)machine.supervisor);
    const pid_t second = fork();
    if (second == 0) {
        const int log = open(machine.log_path, O_WRONLY | O_APPEND);
        (void)dup2(log, STDERR_FILENO);
        (void)execl(SUPERVISOR, SUPERVISOR, NULL);
        _exit(127);
    }
    int status = 0;
    CHECK_EQ(waitpid(second, &status, 0), second);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 1);
    CHECK(machine_has_said(&machine, "another supervisor"));
    CHECK(machine_has_said(&machine, number));
    struct caller caller;
    caller_open(&caller, &machine, "player"); // the first one serves on
    caller_close(&caller);
    machine_destroy(&machine);
}

/* What is in a pipe, a text; the pipe is empty then. */
static void
read_pipe(int fd, char *text, size_t size)
{
    size_t length = 0;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (length + 1 < size && poll(&ready, 1, 0) == 1) {
        const ssize_t got = read(fd, text + length, size - 1 - length);
        CHECK(got > 0);
        length += (size_t)got;
    }
    text[length] = '\0';
}

static void
nobody_waits_for_whoever_should_read_what_the_supervisor_says(void)
{
    static char text[1 << 17];
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    int pipe_fds[2];
    machine_create(&machine);
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    CHECK_EQ(fcntl(pipe_fds[1], F_SETFL, O_NONBLOCK), 0);
    while (write(pipe_fds[1], "x\n", 2) == 2)
        ;
    CHECK_EQ(fcntl(pipe_fds[1], F_SETFL, 0), 0); // as a shell hands it over
    machine.log_fd = pipe_fds[1];
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "wire", 1, &lane, NULL), kIOReturnSuccess);
    wait_state(&caller, "wire", "running"); // which has been said, with --verbose
    kill_driver(&caller, "wire");
    const int64_t end_ms = now_ms() + 15000;
    while (describe_number(&caller, "wire", "restarts") == 0)
        CHECK(now_ms() < end_ms);
    read_pipe(pipe_fds[0], text, sizeof text);
    CHECK(!strstr(text, "dextrald"));
    wait_state(&caller, "wire", "running");
    kill_driver(&caller, "wire");
    while (describe_number(&caller, "wire", "restarts") < 2)
        CHECK(now_ms() < end_ms);
    read_pipe(pipe_fds[0], text, sizeof text);
    const char *const lost = strstr(text, "lines were lost here");
    CHECK(lost && strstr(lost, "was killed by SIGKILL"));
    dx_lane_finish(&lane);
    caller_close(&caller);
    machine_destroy(&machine);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}

int
main(void)
{
    RUN(a_device_is_opened_before_its_driver_ever_ran);
    RUN(a_start_right_after_an_open_waits_for_the_driver);
    RUN(a_killed_driver_is_started_again_and_its_sessions_go_on);
    RUN(a_driver_that_nobody_uses_ends);
    RUN(a_device_that_is_opened_while_its_driver_is_idle_keeps_it);
    RUN(a_driver_goes_on_when_the_supervisor_is_killed);
    RUN(a_supervisor_that_ends_in_good_order_leaves_what_plays);
    RUN(a_driver_that_lost_its_supervisor_and_does_not_answer_is_killed);
    RUN(a_driver_that_stands_still_is_described_as_it_was);
    RUN(saved_values_come_back_with_the_next_driver);
    RUN(a_device_follows_one_of_another_process);
    RUN(a_second_supervisor_says_who_serves);
    RUN(a_driver_killed_while_there_is_no_supervisor_is_started_again);
    RUN(nobody_waits_for_whoever_should_read_what_the_supervisor_says);
    return 0;
}
