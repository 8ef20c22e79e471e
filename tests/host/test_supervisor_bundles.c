// SPDX-License-Identifier: MIT
// Driver bundles: approved or not, replaced, and gone wrong in every way; nobody else is harmed.

#include "tests/host/supervisor_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void
wait_driver(struct caller *caller, const char *name, const char *state, int timeout_ms)
{
    char text[600];
    const int64_t end_ms = now_ms() + timeout_ms;
    do {
        read_driver(caller, name, "state", text, sizeof text);
        if (strcmp(text, state) == 0)
            return;
        sleep_ms(20);
    } while (now_ms() < end_ms);
    (void)fprintf(stderr, "%s is %s, not %s\n", name, text, state);
    CHECK(false);
}

static bool
has_incident(struct caller *caller, const char *uid, const char *text)
{
    struct dx_message answer;
    OSDictionary *const body = request(DX_OP_INCIDENTS);
    if (uid)
        set_text(body, DX_KEY_UID, uid);
    CHECK_EQ(ask(caller, body, NULL, 0, &answer), kIOReturnSuccess);
    OSArray *const incidents = dx_wire_get_array(answer.body, "incidents");
    bool is_found = false;
    for (size_t i = 0; i < OSArrayGetCount(incidents); i++) {
        const char *const found = dx_wire_get_string(OSArrayGetObject(incidents, i), "text");
        is_found = is_found || (found && strstr(found, text));
    }
    dx_message_finish(&answer);
    return is_found;
}

/* Starts with one cable that plays, so that it is seen whether it is harmed. */
static void
begin(struct machine *machine, struct caller *caller, struct dx_lane *lane)
{
    machine_create(machine);
    machine_start(machine, NULL);
    caller_open(caller, machine, "player");
    create_cable(caller, "wire");
    make_lane(lane);
    CHECK_EQ(open_session(caller, "wire", 1, lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(caller, request_of(DX_OP_START, 1), NULL, 0, NULL), kIOReturnSuccess);
}

static void
end(struct machine *machine, struct caller *caller, struct dx_lane *lane)
{
    CHECK_EQ(describe_number(caller, "wire", "restarts"), 0);
    wait_state(caller, "wire", "running");
    dx_lane_finish(lane);
    caller_close(caller);
    machine_destroy(machine);
}

/* ---- approval ---- */

static void
a_bundle_runs_only_once_it_is_approved(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    begin(&machine, &caller, &lane);
    machine_add_bundle(&machine, "good", "none");
    CHECK_EQ(kill(machine.supervisor, SIGHUP), 0);
    wait_driver(&caller, "good", "unapproved", 5000);
    expect_driver(&caller, "good", "why", "dextral approve");
    CHECK(!is_listed(&caller, "good"));
    sleep_ms(300);
    CHECK(!is_listed(&caller, "good")); // nothing of it has been started
    ask_refused(&caller, request_bundle(DX_OP_RESTART, "good"), NULL, 0, kIOReturnNotPermitted, "dextral approve");

    approve(&caller, "good");
    wait_listed(&caller, "good", true);  // it was started to see what it has, ...
    wait_state(&caller, "good", "idle"); // ... and ended
    CHECK_EQ(open_session(&caller, "good", 2, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 2), NULL, 0, NULL), kIOReturnSuccess);

    /* Taken back: it ends, and is not started again. */
    CHECK_EQ(ask(&caller, request_bundle(DX_OP_REVOKE, "good"), NULL, 0, NULL), kIOReturnSuccess);
    wait_state(&caller, "good", "unapproved");
    const int64_t end_ms = now_ms() + 5000;
    while (describe_number(&caller, "good", "pid") != 0) {
        CHECK(now_ms() < end_ms);
        sleep_ms(10);
    }
    ask_refused(&caller, request_of(DX_OP_START, 2), NULL, 0, kIOReturnNotPermitted, "dextral approve");
    CHECK_EQ(ask(&caller, request_of(DX_OP_CLOSE, 2), NULL, 0, NULL), kIOReturnSuccess);
    end(&machine, &caller, &lane);
}

/* Its name says what it has reached: as a program it could approve others, and itself. */
static void
a_driver_cannot_be_a_program_of_its_supervisor(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    begin(&machine, &caller, &lane);
    machine_add_bundle(&machine, "sly", "none");
    CHECK_EQ(kill(machine.supervisor, SIGHUP), 0);
    approve(&caller, "sly");
    wait_listed(&caller, "sly", true);
    OSDictionary *const description = describe(&caller, "sly");
    const char *const name = dx_wire_get_string(description, "name");
    CHECK(name && strstr(name, "reached:") && !strstr(name, "supervisor"));
    OSObjectRelease(description);
    CHECK(machine_has_said(&machine, "a driver's process is no program"));
    end(&machine, &caller, &lane);
}

static void
devices_of_a_bundle_are_remembered(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    begin(&machine, &caller, &lane);
    machine_add_bundle(&machine, "good", "none");
    CHECK_EQ(kill(machine.supervisor, SIGHUP), 0);
    approve(&caller, "good");
    wait_listed(&caller, "good", true);
    wait_state(&caller, "good", "idle");
    CHECK_EQ(ask(&caller, request_of(DX_OP_CLOSE, 1), NULL, 0, NULL), kIOReturnSuccess);
    CHECK_EQ(machine_end(&machine, SIGTERM), 0);
    caller_close(&caller);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    CHECK(is_listed(&caller, "good"));
    CHECK_EQ(describe_number(&caller, "good", "pid"), 0); // known without having been started
    CHECK_EQ(describe_number(&caller, "good", "ring-frames"), 4096);
    CHECK_EQ(open_session(&caller, "good", 2, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 2), NULL, 0, NULL), kIOReturnSuccess);
    CHECK_EQ(open_session(&caller, "wire", 1, &lane, NULL), kIOReturnSuccess);
    end(&machine, &caller, &lane);
}

static void
a_running_driver_goes_on_when_its_bundle_is_replaced(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    char path[512];
    begin(&machine, &caller, &lane);
    machine_add_bundle(&machine, "good", "none");
    CHECK_EQ(kill(machine.supervisor, SIGHUP), 0);
    approve(&caller, "good");
    wait_listed(&caller, "good", true);
    CHECK_EQ(open_session(&caller, "good", 2, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 2), NULL, 0, NULL), kIOReturnSuccess);
    const uint64_t pid = describe_number(&caller, "good", "pid");
    /* The new version has another device. */
    (void)snprintf(path, sizeof path, "sed -i 's/<string>1.0</<string>2.0</' %s/drivers/good.dext/Info.plist",
                   machine.folder);
    CHECK_EQ(system(path), 0);
    CHECK_EQ(kill(machine.supervisor, SIGHUP), 0);
    expect_driver(&caller, "good", "version", "2.0");
    expect_driver(&caller, "good", "running-version", "1.0");
    CHECK_EQ(describe_number(&caller, "good", "pid"), pid);
    /* On request the new one takes over, and the session goes on. */
    CHECK_EQ(ask(&caller, request_bundle(DX_OP_RESTART, "good"), NULL, 0, NULL), kIOReturnSuccess);
    CHECK(has_event(&caller, DX_EVENT_NEW_DRIVER, 10000));
    wait_state(&caller, "good", "running");
    CHECK(describe_number(&caller, "good", "pid") != pid);
    expect_driver(&caller, "good", "running-version", "2.0");

    /* One that asks for more is not started without the user's word. */
    (void)snprintf(path, sizeof path,
                   "echo '<plist version=\"1.0\"><dict><key>com.apple.security.network.client</key><true/></dict>"
                   "</plist>' > %s/drivers/good.dext/good.entitlements && chmod 600 %s/drivers/good.dext/*.ent*",
                   machine.folder, machine.folder);
    CHECK_EQ(system(path), 0);
    const uint64_t second_pid = describe_number(&caller, "good", "pid");
    ask_refused(&caller, request_bundle(DX_OP_RESTART, "good"), NULL, 0, kIOReturnNotPermitted, "network");
    ask_refused(&caller, request_about(DX_OP_RESTART, "good"), NULL, 0, kIOReturnNotPermitted, "network");
    CHECK_EQ(describe_number(&caller, "good", "pid"), second_pid); // what runs goes on
    CHECK_EQ(kill((pid_t)second_pid, SIGKILL), 0);
    wait_state(&caller, "good", "unapproved");
    expect_driver(&caller, "good", "why", "network");
    approve(&caller, "good");
    wait_state(&caller, "good", "running");

    /* Nor is one ended whose bundle is gone. */
    const uint64_t last_pid = describe_number(&caller, "good", "pid");
    (void)snprintf(path, sizeof path, "rm -r %s/drivers/good.dext", machine.folder);
    CHECK_EQ(system(path), 0);
    ask_refused(&caller, request_bundle(DX_OP_RESTART, "good"), NULL, 0, kIOReturnNotFound, "no such bundle");
    ask_refused(&caller, request_about(DX_OP_RESTART, "good"), NULL, 0, kIOReturnNotFound, "not there any more");
    CHECK_EQ(describe_number(&caller, "good", "pid"), last_pid);
    end(&machine, &caller, &lane);
}

static void
a_bundle_that_others_may_write_is_refused(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    char path[160];
    begin(&machine, &caller, &lane);
    machine_add_bundle(&machine, "good", "none");
    (void)snprintf(path, sizeof path, "%s/drivers/good.dext/Fault.so", machine.folder);
    CHECK_EQ(chmod(path, 0777), 0);
    CHECK_EQ(kill(machine.supervisor, SIGHUP), 0);
    (void)snprintf(path, sizeof path, "%s/drivers/good.dext", machine.folder);
    static const char *const operations[] = {DX_OP_APPROVE, DX_OP_REVOKE, DX_OP_GRANT, DX_OP_RESTART};
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        OSDictionary *const body = request(operations[i]);
        set_text(body, "bundle", path); // it was not read, so its identifier is not known
        set_text(body, "program", "/bin/true");
        ask_refused(&caller, body, NULL, 0, kIOReturnNotPermitted, "written by others");
    }
    CHECK(!is_listed(&caller, "good"));
    end(&machine, &caller, &lane);
}

static void
an_approval_is_taken_back_whatever_became_of_the_bundle(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    char path[160];
    begin(&machine, &caller, &lane);
    machine_add_bundle(&machine, "good", "none");
    CHECK_EQ(kill(machine.supervisor, SIGHUP), 0);
    approve(&caller, "good");
    wait_listed(&caller, "good", true);
    CHECK_EQ(open_session(&caller, "good", 2, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 2), NULL, 0, NULL), kIOReturnSuccess);
    (void)snprintf(path, sizeof path, "%s/drivers/good.dext/Fault.so", machine.folder);
    CHECK_EQ(chmod(path, 0777), 0);
    CHECK_EQ(kill(machine.supervisor, SIGHUP), 0);
    CHECK_EQ(ask(&caller, request_bundle(DX_OP_REVOKE, "good"), NULL, 0, NULL), kIOReturnSuccess);
    wait_state(&caller, "good", "unapproved"); // what ran has ended
    ask_refused(&caller, request_bundle(DX_OP_REVOKE, "good"), NULL, 0, kIOReturnNotFound, "no such bundle");
    CHECK_EQ(chmod(path, 0755), 0);
    wait_driver(&caller, "good", "unapproved", 5000); // it is not in force again
    end(&machine, &caller, &lane);
}

/* ---- what goes wrong ---- */

static void
add_fault(struct machine *machine, struct caller *caller, const char *name, const char *fault)
{
    machine_add_bundle(machine, name, fault);
    CHECK_EQ(kill(machine->supervisor, SIGHUP), 0);
    approve(caller, name);
}

static void
a_driver_that_crashes_at_load_or_exits_is_given_up_with_a_sentence(void)
{
    static const char *const faults[][3] = {
        {"load", "crash at load", "SIGABRT"},
        {"crash", "crash in Start", "SIGABRT"},
        {"exit", "exit in Start", "status 5"},
    };
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    begin(&machine, &caller, &lane);
    for (size_t i = 0; i < 3; i++) {
        const int64_t before_ms = now_ms();
        add_fault(&machine, &caller, faults[i][0], faults[i][1]);
        wait_driver(&caller, faults[i][0], "failed", 60000);
        CHECK(now_ms() - before_ms > 2000); // pauses of 0.25, 0.5, 1, 2 s and so on, from the third end on
        expect_driver(&caller, faults[i][0], "why", "given up");
        expect_driver(&caller, faults[i][0], "why", faults[i][2]);
        CHECK(has_incident(&caller, NULL, faults[i][2]));
        if (i == 0)
            break; // the others are tried below, without waiting for all pauses
    }
    for (size_t i = 1; i < 3; i++) {
        add_fault(&machine, &caller, faults[i][0], faults[i][1]);
        wait_driver(&caller, faults[i][0], "waiting", 15000);
        expect_driver(&caller, faults[i][0], "why", faults[i][2]);
        CHECK(has_incident(&caller, NULL, faults[i][2]));
    }
    end(&machine, &caller, &lane);
}

static void
a_driver_that_says_no_has_failed_at_once(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    begin(&machine, &caller, &lane);
    add_fault(&machine, &caller, "fail", "fail in Start");
    wait_driver(&caller, "fail", "failed", 10000);
    expect_driver(&caller, "fail", "why", "could not be loaded");
    end(&machine, &caller, &lane);
}

static void
a_driver_that_hangs_in_start_is_killed_after_10_s(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    begin(&machine, &caller, &lane);
    const int64_t before_ms = now_ms();
    add_fault(&machine, &caller, "hang", "hang in Start");
    machine_wait_said(&machine, "did not load within 10 s");
    CHECK(now_ms() - before_ms >= 9500);
    CHECK(has_incident(&caller, NULL, "did not load within 10 s"));
    wait_state(&caller, "wire", "running");
    end(&machine, &caller, &lane);
}

static void
a_driver_that_does_not_stop_is_killed(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    begin(&machine, &caller, &lane);
    add_fault(&machine, &caller, "stop", "hang in Stop");
    wait_listed(&caller, "stop", true);
    wait_state(&caller, "stop", "idle"); // told to end as idle, and helped
    end(&machine, &caller, &lane);
}

/* Plays on a device that goes wrong when it runs; a watchdog of the driver process or of the kernel ends it. */
static void
play_on_faulty(const char *fault, const char *text)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    begin(&machine, &caller, &lane);
    add_fault(&machine, &caller, "faulty", fault);
    wait_listed(&caller, "faulty", true);
    CHECK_EQ(open_session(&caller, "faulty", 2, &lane, NULL), kIOReturnSuccess);
    (void)send_request(&caller, request_of(DX_OP_START, 2), NULL, 0);
    const int64_t end_ms = now_ms() + 30000;
    while (!has_incident(&caller, "faulty", text)) {
        CHECK(now_ms() < end_ms);
        sleep_ms(50);
    }
    /* The client was kept, and the device either comes back or says why not. */
    OSDictionary *const description = describe(&caller, "faulty");
    CHECK_EQ(OSArrayGetCount(dx_wire_get_array(description, "sessions")), 1);
    OSObjectRelease(description);
    end(&machine, &caller, &lane);
}

static void
a_driver_that_crashes_in_its_handler_is_named_and_started_again(void)
{
    play_on_faulty("crash in the handler", "SIGABRT");
}

/* Whether an incident has a cause, and the longest of what was measured for it. */
static bool
has_cause(struct caller *caller, const char *uid, const char *cause, uint64_t *ret_ns)
{
    struct dx_message answer;
    CHECK_EQ(ask(caller, request_about(DX_OP_INCIDENTS, uid), NULL, 0, &answer), kIOReturnSuccess);
    OSArray *const incidents = dx_wire_get_array(answer.body, "incidents");
    bool is_found = false;
    *ret_ns = 0;
    for (size_t i = 0; i < OSArrayGetCount(incidents); i++) {
        const OSDictionary *const incident = OSArrayGetObject(incidents, i);
        const OSDictionary *const intervals = dx_wire_get_dictionary(incident, "intervals");
        const uint64_t ns = intervals ? dx_wire_get_number(intervals, cause, 0) : 0;
        if (strcmp(dx_wire_get_string(incident, "cause"), cause) != 0)
            continue;
        is_found = true;
        *ret_ns = ns > *ret_ns ? ns : *ret_ns;
    }
    dx_message_finish(&answer);
    return is_found;
}

/* Plays on a device that is late once, for 300 ms. */
static void
expect_cause(const char *fault, bool stands_still, const char *cause)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    uint64_t ns;
    begin(&machine, &caller, &lane);
    add_fault(&machine, &caller, "late", fault);
    wait_listed(&caller, "late", true);
    CHECK_EQ(open_session(&caller, "late", 2, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 2), NULL, 0, NULL), kIOReturnSuccess);
    if (stands_still) {
        const pid_t driver = (pid_t)describe_number(&caller, "late", "pid");
        sleep_ms(200);
        CHECK_EQ(kill(driver, SIGSTOP), 0);
        sleep_ms(300);
        CHECK_EQ(kill(driver, SIGCONT), 0);
    }
    const int64_t end_ms = now_ms() + 20000;
    while (!has_cause(&caller, "late", cause, &ns) || ns < 200000000) {
        CHECK(now_ms() < end_ms);
        sleep_ms(50);
    }
    CHECK_EQ(ask(&caller, request_of(DX_OP_CLOSE, 2), NULL, 0, NULL), kIOReturnSuccess);
    end(&machine, &caller, &lane);
}

static void
a_handler_that_takes_too_long_is_the_cause(void)
{
    expect_cause("slow handler", false, "handler over time");
}

static void
a_process_that_stood_still_woke_late(void)
{
    expect_cause("none", true, "late wake");
}

static void
a_driver_that_hangs_in_a_setter_keeps_nobody_else_waiting(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    begin(&machine, &caller, &lane);
    add_fault(&machine, &caller, "setter", "hang in a setter");
    wait_listed(&caller, "setter", true);
    OSDictionary *const body = request_about(DX_OP_SET, "setter");
    set_text(body, "what", "control");
    set_text(body, "key", "mute/outp/0");
    CHECK(dx_wire_set_bool(body, "boolean", true));
    const uint64_t id = send_request(&caller, body, NULL, 0);
    struct caller other;
    caller_open(&other, &machine, "other");
    const int64_t before_ms = now_ms();
    CHECK_EQ(ask(&other, request(DX_OP_LIST), NULL, 0, NULL), kIOReturnSuccess);
    CHECK_EQ(open_session(&other, "wire", 3, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(open_session(&other, "setter", 4, &lane, NULL), kIOReturnSuccess); // an open never waits for a driver
    CHECK(now_ms() - before_ms < 10000);
    CHECK(wait_answer(&caller, id, NULL) != kIOReturnSuccess);
    caller_close(&other);
    end(&machine, &caller, &lane);
}

int
main(void)
{
    RUN(a_bundle_runs_only_once_it_is_approved);
    RUN(a_driver_cannot_be_a_program_of_its_supervisor);
    RUN(devices_of_a_bundle_are_remembered);
    RUN(a_running_driver_goes_on_when_its_bundle_is_replaced);
    RUN(a_bundle_that_others_may_write_is_refused);
    RUN(an_approval_is_taken_back_whatever_became_of_the_bundle);
    RUN(a_driver_that_says_no_has_failed_at_once);
    RUN(a_driver_that_does_not_stop_is_killed);
    RUN(a_driver_that_crashes_in_its_handler_is_named_and_started_again);
    RUN(a_handler_that_takes_too_long_is_the_cause);
    RUN(a_process_that_stood_still_woke_late);
    RUN(a_driver_that_hangs_in_start_is_killed_after_10_s);
    RUN(a_driver_that_hangs_in_a_setter_keeps_nobody_else_waiting);
    RUN(a_driver_that_crashes_at_load_or_exits_is_given_up_with_a_sentence);
    return 0;
}
