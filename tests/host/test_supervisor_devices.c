// SPDX-License-Identifier: MIT
// The directory: declared devices, defaults, options and volumes, kept over the supervisor's end; many devices, of
// which none costs anything.

#include "tests/host/supervisor_rig.h"

#include <dextral/dextral.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static void
restart(struct machine *machine, struct caller *caller)
{
    CHECK_EQ(machine_end(machine, SIGTERM), 0);
    caller_close(caller);
    machine_start(machine, NULL);
    caller_open(caller, machine, "player");
}

static uint32_t
count_devices(struct caller *caller)
{
    uint32_t count = 0;
    uint64_t next = 0;
    do {
        struct dx_message answer;
        OSDictionary *const body = request(DX_OP_LIST);
        set_number(body, "from", next);
        CHECK_EQ(ask(caller, body, NULL, 0, &answer), kIOReturnSuccess);
        count += (uint32_t)OSArrayGetCount(dx_wire_get_array(answer.body, "devices"));
        next = dx_wire_get_number(answer.body, "next", 0);
        dx_message_finish(&answer);
    } while (next);
    return count;
}

static void
expect_default(struct caller *caller, const char *input, const char *output)
{
    struct dx_message answer;
    CHECK_EQ(ask(caller, request(DX_OP_LIST), NULL, 0, &answer), kIOReturnSuccess);
    const char *const found[] = {dx_wire_get_string(answer.body, "default-input"),
                                 dx_wire_get_string(answer.body, "default-output")};
    const char *const wanted[] = {input, output};
    for (size_t i = 0; i < 2; i++)
        CHECK(wanted[i] ? found[i] && strcmp(found[i], wanted[i]) == 0 : !found[i]);
    dx_message_finish(&answer);
}

static void
expect_option(struct caller *caller, const char *uid, const char *name, const char *wanted)
{
    OSDictionary *const description = describe(caller, uid);
    const char *const value = dx_wire_get_string(dx_wire_get_dictionary(description, "options"), name);
    CHECK(value && strcmp(value, wanted) == 0);
    OSObjectRelease(description);
}

static OSDictionary *
set_option(const char *uid, const char *name, const char *value)
{
    OSDictionary *const body = request_about(DX_OP_SET, uid);
    set_text(body, "what", "option");
    set_text(body, "name", name);
    set_text(body, "value", value);
    return body;
}

static OSDictionary *
set_default(const char *uid, uint64_t direction)
{
    OSDictionary *const body = request(DX_OP_SET_DEFAULT);
    if (uid)
        set_text(body, DX_KEY_UID, uid);
    set_number(body, "direction", direction);
    return body;
}

static void
declared_devices_come_back_and_go_for_good(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_message event;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    CHECK_EQ(count_devices(&caller), 0);
    create_cable(&caller, "one");
    wait_event(&caller, DX_EVENT_DESCRIPTION, &event);
    CHECK_EQ(strcmp(dx_wire_get_string(event.body, DX_KEY_UID), "one"), 0);
    dx_message_finish(&event);
    create_cable(&caller, "two");
    OSDictionary *const body = request(DX_OP_CREATE);
    OSDictionary *const options = OSDictionaryCreate(1);
    set_text(options, "uid", "one");
    set_text(body, "kind", "cable");
    CHECK(dx_wire_take(body, "options", options));
    ask_refused(&caller, body, NULL, 0, kIOReturnPortExists, "one");
    restart(&machine, &caller);
    CHECK_EQ(count_devices(&caller), 2);
    CHECK_EQ(ask(&caller, request_about(DX_OP_REMOVE, "one"), NULL, 0, NULL), kIOReturnSuccess);
    wait_event(&caller, DX_EVENT_GONE, &event);
    CHECK_EQ(strcmp(dx_wire_get_string(event.body, DX_KEY_UID), "one"), 0);
    dx_message_finish(&event);
    restart(&machine, &caller);
    CHECK_EQ(count_devices(&caller), 1);
    caller_close(&caller);
    machine_destroy(&machine);
}

static void
a_device_that_is_removed_takes_its_driver_and_its_sessions_with_it(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "one");
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "one", 1, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 1), NULL, 0, NULL), kIOReturnSuccess);
    const pid_t pid = (pid_t)describe_number(&caller, "one", "pid");
    CHECK_EQ(ask(&caller, request_about(DX_OP_REMOVE, "one"), NULL, 0, NULL), kIOReturnSuccess);
    ask_refused(&caller, request_of(DX_OP_STOP, 1), NULL, 0, kIOReturnNotOpen, "session");
    const int64_t end_ms = now_ms() + 5000;
    while (kill(pid, 0) == 0) {
        CHECK(now_ms() < end_ms);
        sleep_ms(5);
    }
    create_cable(&caller, "one"); // its UID is free again
    CHECK_EQ(open_session(&caller, "one", 2, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 2), NULL, 0, NULL), kIOReturnSuccess);
    dx_lane_finish(&lane);
    caller_close(&caller);
    machine_destroy(&machine);
}

static void
the_default_is_what_the_user_chose_else_the_first_that_there_is(void)
{
    struct machine machine;
    struct caller caller;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    expect_default(&caller, NULL, NULL);
    create_cable(&caller, "one");
    create_cable(&caller, "two");
    expect_default(&caller, "one", "one");
    CHECK(has_event(&caller, DX_EVENT_DEFAULT, 5000));
    CHECK_EQ(ask(&caller, set_default("two", 2), NULL, 0, NULL), kIOReturnSuccess);
    CHECK(has_event(&caller, DX_EVENT_DEFAULT, 5000));
    expect_default(&caller, "one", "two");
    ask_refused(&caller, set_default("nobody", 0), NULL, 0, kIOReturnNotFound, "nobody");
    ask_refused(&caller, set_default("one", 3), NULL, 0, kIOReturnBadArgument, "direction");
    restart(&machine, &caller);
    expect_default(&caller, "one", "two");
    CHECK_EQ(ask(&caller, set_default("two", 0), NULL, 0, NULL), kIOReturnSuccess);
    expect_default(&caller, "two", "two");
    CHECK_EQ(ask(&caller, request_about(DX_OP_REMOVE, "two"), NULL, 0, NULL), kIOReturnSuccess);
    expect_default(&caller, "one", "one"); // as long as the chosen one is not there
    create_cable(&caller, "two");
    expect_default(&caller, "two", "two");
    CHECK_EQ(ask(&caller, set_default(NULL, 0), NULL, 0, NULL), kIOReturnSuccess);
    expect_default(&caller, "one", "one");
    caller_close(&caller);
    machine_destroy(&machine);
}

static void
without_a_choice_the_default_stays_what_it_was(void)
{
    struct machine machine;
    struct caller caller;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    create_cable(&caller, "aux"); // before the other one in the order of UIDs, in which they come back
    expect_default(&caller, "wire", "wire");
    restart(&machine, &caller);
    expect_default(&caller, "wire", "wire");
    CHECK_EQ(ask(&caller, set_default("aux", 2), NULL, 0, NULL), kIOReturnSuccess);
    restart(&machine, &caller);
    expect_default(&caller, "wire", "aux");
    CHECK_EQ(ask(&caller, request_about(DX_OP_REMOVE, "wire"), NULL, 0, NULL), kIOReturnSuccess);
    expect_default(&caller, "aux", "aux");
    create_cable(&caller, "wire");
    expect_default(&caller, "aux", "aux"); // nobody chose it: it does not take its place again
    caller_close(&caller);
    machine_destroy(&machine);
}

static void
options_are_kept_and_what_cannot_be_is_refused(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    CHECK_EQ(ask(&caller, set_option("wire", "channels", "6"), NULL, 0, NULL), kIOReturnSuccess);
    ask_refused(&caller, set_option("wire", "channels", "0"), NULL, 0, kIOReturnBadArgument, "channels");
    ask_refused(&caller, set_option("wire", "colour", "red"), NULL, 0, kIOReturnBadArgument, "colour");
    expect_option(&caller, "wire", "channels", "6");
    restart(&machine, &caller);
    expect_option(&caller, "wire", "channels", "6");
    OSDictionary *const description = describe(&caller, "wire"); // what follows from it is in the description
    const OSDictionary *const stream = OSArrayGetObject(dx_wire_get_array(description, "outputs"), 0);
    CHECK_EQ(dx_wire_get_number(dx_wire_get_dictionary(stream, "client"), "channels", 0), 6);
    OSObjectRelease(description);
    CHECK_EQ(ask(&caller, set_option("wire", "channels", "2"), NULL, 0, NULL), kIOReturnSuccess);

    /* A clock can be nudged while it runs; the driver is not started again for it. */
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "wire", 1, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 1), NULL, 0, NULL), kIOReturnSuccess);
    const uint64_t pid = describe_number(&caller, "wire", "pid");
    CHECK_EQ(ask(&caller, set_option("wire", "ppm", "50"), NULL, 0, NULL), kIOReturnSuccess);
    expect_option(&caller, "wire", "ppm", "50");
    CHECK_EQ(describe_number(&caller, "wire", "pid"), pid);
    struct dx_message answer;
    OSDictionary *const body = request_about(DX_OP_GET_PROPERTY, "wire");
    set_number(body, "selector", DX_OPTION_SELECTOR);
    set_number(body, "scope", IOUserAudioObjectPropertyScopeGlobal);
    set_number(body, "element", 0);
    set_text(body, "qualifier", "ppm");
    CHECK_EQ(ask(&caller, body, NULL, 0, &answer), kIOReturnSuccess);
    const char *const value = dx_wire_get_string(answer.body, "value");
    CHECK(value && strtod(value, NULL) == 50.0);
    dx_message_finish(&answer);
    dx_lane_finish(&lane);
    caller_close(&caller);
    machine_destroy(&machine);
}

static double
read_gain(struct caller *caller, const char *uid, size_t index)
{
    OSDictionary *const description = describe(caller, uid);
    const OSDictionary *const session = OSArrayGetObject(dx_wire_get_array(description, "sessions"), index);
    double gain = -1.0;
    CHECK(session && dx_wire_get_double(session, "gain-f64", &gain));
    OSObjectRelease(description);
    return gain;
}

static OSDictionary *
set_gain(const char *program, double gain)
{
    OSDictionary *const body = request_about(DX_OP_SET, "wire");
    set_text(body, "what", "client");
    set_text(body, "program", program);
    CHECK(dx_wire_set_double(body, "gain-f64", gain));
    return body;
}

/* The gain that was set for a program; 1 where none was. */
static double
find_volume(struct caller *caller, const char *uid, const char *program, unsigned *ret_count)
{
    struct dx_message answer;
    double gain = 1.0;
    CHECK_EQ(ask(caller, request_about(DX_OP_VOLUMES, uid), NULL, 0, &answer), kIOReturnSuccess);
    const OSArray *const volumes = dx_wire_get_array(answer.body, "volumes");
    CHECK(volumes);
    *ret_count = (unsigned)OSArrayGetCount(volumes);
    for (unsigned i = 0; i < *ret_count; i++) {
        const OSDictionary *const volume = OSDynamicCast(OSDictionary, OSArrayGetObject(volumes, i));
        CHECK(volume && dx_wire_get_string(volume, DX_KEY_NAME));
        if (strcmp(dx_wire_get_string(volume, DX_KEY_NAME), program) == 0)
            CHECK(dx_wire_get_double(volume, "gain-f64", &gain));
    }
    dx_message_finish(&answer);
    return gain;
}

static void
volumes_that_were_set_are_told_and_end_with_their_reset(void)
{
    enum { MOST = 128 };
    struct machine machine;
    struct caller caller;
    unsigned count = 0;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    for (unsigned i = 0; i < 2 * MOST; i++) { // what was set back takes nobody's place
        char program[32];
        (void)snprintf(program, sizeof program, "program %u", i);
        CHECK_EQ(ask(&caller, set_gain(program, 0.5), NULL, 0, NULL), kIOReturnSuccess);
        CHECK(find_volume(&caller, "wire", program, &count) == 0.5);
        CHECK_EQ(count, 1);
        CHECK_EQ(ask(&caller, set_gain(program, 1.0), NULL, 0, NULL), kIOReturnSuccess);
        CHECK(find_volume(&caller, "wire", program, &count) == 1.0);
        CHECK_EQ(count, 0);
    }
    for (unsigned i = 0; i < MOST; i++) {
        char program[300];
        (void)snprintf(program, sizeof program, "%0250u", i); // as long as names may be, and all of them fit
        CHECK_EQ(ask(&caller, set_gain(program, 0.5), NULL, 0, NULL), kIOReturnSuccess);
    }
    ask_refused(&caller, set_gain("one more", 0.5), NULL, 0, kIOReturnNoSpace, "128 programs");
    (void)find_volume(&caller, "wire", "", &count);
    CHECK_EQ(count, MOST);
    restart(&machine, &caller);
    (void)find_volume(&caller, "wire", "", &count);
    CHECK_EQ(count, MOST);
    caller_close(&caller);
    machine_destroy(&machine);
}

static void
a_programs_volume_is_kept_by_its_name(void)
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
    CHECK_EQ(ask(&caller, set_gain("player", 0.25), NULL, 0, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, set_gain("somebody else", 0.5), NULL, 0, NULL), kIOReturnSuccess);
    ask_refused(&caller, set_gain("player", -1.0), NULL, 0, kIOReturnBadArgument, "gain");
    ask_refused(&caller, set_gain("player", __builtin_nan("")), NULL, 0, kIOReturnBadArgument, "gain");
    ask_refused(&caller, set_gain("", 1.0), NULL, 0, kIOReturnBadArgument, "program");
    CHECK(read_gain(&caller, "wire", 0) == 0.25); // a session that was there before
    restart(&machine, &caller);
    CHECK_EQ(open_session(&caller, "wire", 2, &lane, NULL), kIOReturnSuccess);
    CHECK(read_gain(&caller, "wire", 0) == 0.25); // and one that comes later
    dx_lane_finish(&lane);
    caller_close(&caller);
    machine_destroy(&machine);
}

static unsigned long long
read_context_switches(pid_t pid)
{
    char path[64];
    char line[128];
    unsigned long long voluntary = 0;
    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    FILE *const file = fopen(path, "r");
    CHECK(file);
    while (fgets(line, sizeof line, file))
        (void)sscanf(line, "voluntary_ctxt_switches: %llu", &voluntary);
    (void)fclose(file);
    return voluntary;
}

static void
many_declared_devices_are_listed_and_none_costs_anything(void)
{
    enum { DEVICES = 256 };
    struct machine machine;
    struct caller caller;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    for (unsigned i = 0; i < DEVICES; i++) {
        char uid[32];
        (void)snprintf(uid, sizeof uid, "wire-%u", i);
        create_cable(&caller, uid);
    }
    CHECK_EQ(count_devices(&caller), DEVICES);
    restart(&machine, &caller);
    CHECK_EQ(count_devices(&caller), DEVICES);
    sleep_ms(1500); // what is told and written together has been
    const unsigned long long before = read_context_switches(machine.supervisor);
    sleep_ms(2000);
    CHECK_EQ(read_context_switches(machine.supervisor), before);
    caller_close(&caller);
    machine_destroy(&machine);
}

static void
a_session_too_many_is_told_so(void)
{
    enum { SESSIONS = 1024 };
    struct machine machine;
    struct caller caller;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "recorder");
    create_cable(&caller, "wire");
    for (uint64_t i = 1; i <= SESSIONS + 1; i++) {
        OSDictionary *const body = request_about(DX_OP_OPEN, "wire");
        set_number(body, DX_KEY_SESSION, i);
        set_number(body, "input", 0);
        if (i <= SESSIONS)
            CHECK_EQ(ask(&caller, body, NULL, 0, NULL), kIOReturnSuccess);
        else
            ask_refused(&caller, body, NULL, 0, kIOReturnNoResources, "1024 sessions");
    }
    OSDictionary *const description = describe(&caller, "wire"); // still fits into a message
    CHECK_EQ(OSArrayGetCount(dx_wire_get_array(description, "sessions")) +
                 dx_wire_get_number(description, "more-sessions", 0),
             SESSIONS);
    OSObjectRelease(description);
    caller_close(&caller);
    machine_destroy(&machine);
}

static void
a_full_disk_is_said_and_changes_nothing(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    char folder[128];
    char command[512];
    machine_create(&machine);
    (void)snprintf(folder, sizeof folder, "%s/config", machine.folder);
    if (mount("none", folder, "tmpfs", 0, "size=64k,mode=700") != 0) {
        (void)fprintf(stderr, "  not tried: no file system may be mounted here: %s\n", strerror(errno));
        CHECK_EQ(rmdir(folder), 0);
        machine_destroy(&machine);
        return;
    }
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    (void)snprintf(command, sizeof command, "dd if=/dev/zero of=%s/filler bs=4096 2>/dev/null", folder);
    CHECK(system(command) != 0); // until it is full
    OSDictionary *const body = request(DX_OP_CREATE);
    set_text(body, "kind", "cable");
    ask_refused(&caller, body, NULL, 0, kIOReturnNoSpace, "");
    CHECK(ask(&caller, set_option("wire", "channels", "6"), NULL, 0, NULL) != kIOReturnSuccess);
    CHECK(ask(&caller, set_default("wire", 2), NULL, 0, NULL) != kIOReturnSuccess);
    CHECK(ask(&caller, set_gain("player", 0.5), NULL, 0, NULL) != kIOReturnSuccess);
    CHECK_EQ(count_devices(&caller), 1);
    expect_option(&caller, "wire", "channels", "2");
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "wire", 1, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 1), NULL, 0, NULL), kIOReturnSuccess);
    CHECK(read_gain(&caller, "wire", 0) == 1.0);
    restart(&machine, &caller);
    expect_option(&caller, "wire", "channels", "2"); // what was there before is whole
    dx_lane_finish(&lane);
    caller_close(&caller);
    CHECK_EQ(machine_end(&machine, SIGINT), 0);
    CHECK_EQ(umount2(folder, MNT_DETACH), 0);
    machine_destroy(&machine);
}

#define LEFT 256u // descriptions of devices that are no more: as many stay

static void
write_description(const char *folder, const char *name, time_t when)
{
    char path[192];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
    CHECK(fd >= 0);
    CHECK_EQ(futimens(fd, times), 0);
    CHECK_EQ(close(fd), 0);
}

static bool
has_description(const char *folder, const char *name)
{
    char path[192];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void
of_devices_that_are_no_more_the_newest_are_remembered(void)
{
    struct machine machine;
    struct caller caller;
    char folder[128];
    char name[16];
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    create_cable(&caller, "wire");
    caller_close(&caller);
    CHECK_EQ(machine_end(&machine, SIGTERM), 0);
    (void)snprintf(folder, sizeof folder, "%s/state/descriptions", machine.folder);
    CHECK(mkdir(folder, 0700) == 0 || errno == EEXIST);
    write_description(folder, "wire", 1000); // the oldest, and declared
    for (unsigned i = 0; i < LEFT + 40; i++) {
        (void)snprintf(name, sizeof name, "gone%u", i);
        write_description(folder, name, (time_t)(2000 + i));
    }
    machine_start(&machine, NULL);
    CHECK(has_description(folder, "wire"));
    for (unsigned i = 0; i < LEFT + 40; i++) {
        (void)snprintf(name, sizeof name, "gone%u", i);
        CHECK_EQ(has_description(folder, name), i >= 40);
    }
    machine_destroy(&machine);
}

int
main(void)
{
    RUN(declared_devices_come_back_and_go_for_good);
    RUN(a_device_that_is_removed_takes_its_driver_and_its_sessions_with_it);
    RUN(the_default_is_what_the_user_chose_else_the_first_that_there_is);
    RUN(without_a_choice_the_default_stays_what_it_was);
    RUN(options_are_kept_and_what_cannot_be_is_refused);
    RUN(a_programs_volume_is_kept_by_its_name);
    RUN(volumes_that_were_set_are_told_and_end_with_their_reset);
    RUN(many_declared_devices_are_listed_and_none_costs_anything);
    RUN(a_session_too_many_is_told_so);
    RUN(a_full_disk_is_said_and_changes_nothing);
    RUN(of_devices_that_are_no_more_the_newest_are_remembered);
    return 0;
}
