// SPDX-License-Identifier: MIT
// A supervisor that may give no priorities asks RealtimeKit: over a real bus, and the test plays the service.

#include "tests/host/supervisor_rig.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define SKIPPED 77 // as meson has it
#define NOBODY 65534
#define NAME "org.freedesktop.RealtimeKit1"

static struct machine machine;

/* What it was asked goes into a file, in one write. */
static int
make_realtime(sd_bus_message *message, void *context, sd_bus_error *ret_error)
{
    const bool *const refuses = context;
    uint64_t process = 0;
    uint64_t thread = 0;
    uint32_t priority = 0;
    char path[128];
    char text[96];
    CHECK(sd_bus_message_read(message, "ttu", &process, &thread, &priority) >= 0);
    (void)snprintf(path, sizeof path, "%s/asked", machine.folder);
    const int length = snprintf(text, sizeof text, "%llu %llu %u\n", (unsigned long long)process,
                                (unsigned long long)thread, priority);
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    CHECK_EQ(write(fd, text, (size_t)length), length);
    (void)close(fd);
    if (*refuses)
        return sd_bus_error_set(ret_error, "org.freedesktop.DBus.Error.AccessDenied", "not today");
    return sd_bus_reply_method_return(message, "");
}

static void
serve(bool refuses, int ready)
{
    static const sd_bus_vtable methods[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("MakeThreadRealtimeWithPID", "ttu", "", make_realtime, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
    };
    sd_bus *bus = NULL;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    CHECK(sd_bus_open_system(&bus) >= 0);
    CHECK(sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/RealtimeKit1", NAME, methods, &refuses) >= 0);
    CHECK(sd_bus_request_name(bus, NAME, 0) >= 0);
    CHECK_EQ(write(ready, "1", 1), 1);
    for (;;) {
        const int r = sd_bus_process(bus, NULL);
        CHECK(r >= 0);
        if (r == 0)
            CHECK(sd_bus_wait(bus, UINT64_MAX) >= 0);
    }
}

static pid_t
start_service(bool refuses)
{
    int ready[2];
    char byte;
    CHECK_EQ(pipe2(ready, O_CLOEXEC), 0);
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        serve(refuses, ready[1]);
    (void)close(ready[1]);
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    return pid;
}

/* A bus of the test's own takes the place of the system's. */
static pid_t
start_bus(void)
{
    char path[128];
    char address[160];
    (void)snprintf(path, sizeof path, "%s/bus.conf", machine.folder);
    FILE *const file = fopen(path, "w");
    CHECK(file);
    (void)fprintf(
        file,
        "<busconfig><type>system</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>"
        "<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/><allow send_destination=\"*\"/>"
        "<allow receive_sender=\"*\"/></policy></busconfig>\n",
        machine.folder);
    CHECK_EQ(fclose(file), 0);
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        char option[160];
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        (void)snprintf(option, sizeof option, "--config-file=%s", path);
        (void)execl(DBUS_DAEMON, DBUS_DAEMON, option, "--nofork", "--nopidfile", (char *)NULL);
        _exit(127);
    }
    (void)snprintf(path, sizeof path, "%s/bus", machine.folder);
    const int64_t end_ms = now_ms() + 10000;
    while (access(path, F_OK) != 0) {
        CHECK(now_ms() < end_ms);
        sleep_ms(5);
    }
    (void)snprintf(address, sizeof address, "unix:path=%s", path);
    CHECK_EQ(setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1), 0);
    return pid;
}

static void
end_process(pid_t pid)
{
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

/* The device plays, whatever the priority. */
static uint64_t
play(void)
{
    struct caller caller;
    struct dx_lane lane;
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "wire", 1, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 1), NULL, 0, NULL), kIOReturnSuccess);
    const uint64_t pid = describe_number(&caller, "wire", "pid");
    CHECK_EQ(ask(&caller, request_about(DX_OP_REMOVE, "wire"), NULL, 0, NULL), kIOReturnSuccess);
    dx_lane_finish(&lane);
    caller_close(&caller);
    return pid;
}

static void
expect_asked(uint64_t process)
{
    char path[128];
    unsigned long long found = 0;
    unsigned long long thread = 0;
    unsigned priority = 0;
    (void)snprintf(path, sizeof path, "%s/asked", machine.folder);
    FILE *const file = fopen(path, "r");
    CHECK(file);
    CHECK_EQ(fscanf(file, "%llu %llu %u", &found, &thread, &priority), 3);
    (void)fclose(file);
    CHECK_EQ(found, process);
    CHECK(thread > 0);
    CHECK(priority >= 1 && priority <= 20); // more it does not give
    CHECK_EQ(unlink(path), 0);
}

static void
realtimekit_is_asked_where_the_supervisor_may_not(void)
{
    const pid_t service = start_service(false);
    expect_asked(play());
    end_process(service);
}

static void
a_refusal_or_no_service_at_all_is_said_and_the_device_plays(void)
{
    const pid_t service = start_service(true);
    expect_asked(play());
    machine_wait_said(&machine, "not today");
    end_process(service);
    (void)play();
}

int
main(void)
{
    const struct rlimit none = {0, 0};
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
                           setresuid(NOBODY, NOBODY, NOBODY) != 0))
        return SKIPPED;
    if (access(SUPERVISOR, X_OK) != 0 || setrlimit(RLIMIT_RTPRIO, &none) != 0) {
        (void)fprintf(stderr, "not tried: an ordinary user cannot run what was built here\n");
        return SKIPPED;
    }
    machine_create(&machine);
    const pid_t bus = start_bus();
    machine_start(&machine, NULL);
    RUN(realtimekit_is_asked_where_the_supervisor_may_not);
    RUN(a_refusal_or_no_service_at_all_is_said_and_the_device_plays);
    CHECK_EQ(machine_end(&machine, SIGINT), 0);
    end_process(bus);
    machine_destroy(&machine);
    return 0;
}
