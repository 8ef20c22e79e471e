// SPDX-License-Identifier: MIT
// Driver processes that are hostile, or broken: this program plays them, and the supervisor is a real one.  What each does
// goes by the UID of its device, or by the name of its bundle.

#include "audio/recorder.h"
#include "tests/host/supervisor_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SUPERVISOR_FD 3
#define QUESTIONS 200u // about priorities, by one driver
#define PASSING 400u   // devices of one driver, one after another
#define MANY 270u      // devices of one driver at once
#define REQUESTS 4200u // of one program, to a driver that does not answer
#define CLAIMS 1000u   // sessions that no program has
#define FOLLOWS 100u  // times that a driver asks for the same page
#define INCIDENTS 400u // that one driver tells of
#define CHANGES 12000u // of properties, as fast as they can be told
#define LONG_BYTES (DX_WIRE_MAX_BYTES - 400u) // a text that just fits into a message

/* ---- what the driver processes do ---- */

/* A packet of the supervisor's; without one the process ends. */
static struct dx_message
receive(void)
{
    struct dx_message message = {0};
    if (dx_wire_receive(SUPERVISOR_FD, &message) != 1)
        _exit(0);
    return message;
}

/* Of an ordinary user no more descriptors are on their way than one process may have open. */
static void
send_body(OSDictionary *body, const int *fds, uint32_t fd_count)
{
    int result;
    while ((result = dx_wire_send(SUPERVISOR_FD, body, fds, fd_count)) == -ETOOMANYREFS)
        sleep_ms(1);
    CHECK_EQ(result, 0);
    OSObjectRelease(body);
}

static void
answer_with(const struct dx_message *message, kern_return_t status, const int *fds, uint32_t fd_count)
{
    OSDictionary *const body = OSDictionaryCreate(2);
    set_number(body, DX_KEY_ANSWER, dx_wire_get_number(message->body, DX_KEY_ID, 0));
    set_number(body, DX_KEY_STATUS, (uint32_t)status);
    send_body(body, fds, fd_count);
}

static void
answer(const struct dx_message *message, kern_return_t status)
{
    answer_with(message, status, NULL, 0);
}

static OSDictionary *
event(const char *name)
{
    OSDictionary *const body = OSDictionaryCreate(4);
    set_text(body, DX_KEY_EVENT, name);
    return body;
}

static char *
make_text(size_t bytes)
{
    char *const text = malloc(bytes + 1);
    CHECK(text);
    memset(text, 'x', bytes);
    text[bytes] = '\0';
    return text;
}

static bool
is_called(const char *name, const char *wanted)
{
    return strcmp(name, wanted) == 0;
}

static bool
is_event(const struct dx_message *message, const char *wanted)
{
    const char *const name = dx_wire_get_string(message->body, DX_KEY_EVENT);
    return name && is_called(name, wanted);
}

static int
make_memory(size_t bytes)
{
    const int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(fd >= 0);
    CHECK_EQ(ftruncate(fd, (off_t)bytes), 0);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    return fd;
}

/* One stream that is mixable. */
static void
describe_stream(OSDictionary *description, const char *key)
{
    OSDictionary *const stream = OSDictionaryCreate(1);
    OSArray *const streams = OSArrayCreate(1);
    CHECK(dx_wire_set_bool(stream, "mixable", true));
    CHECK(OSArraySetObject(streams, stream));
    CHECK(dx_wire_take(description, key, streams));
    OSObjectRelease(stream);
}

static void
tell_device(const char *uid, uint64_t incarnation, size_t description_bytes)
{
    const struct dx_timeline_page nothing = {.state = DX_TIMELINE_NONE};
    struct dx_pages pages;
    struct dx_device_page *page;
    CHECK_EQ(dx_device_page_create(&pages, 1, &nothing, &page), 0);
    OSDictionary *const body = event(DX_EVENT_DEVICE);
    OSDictionary *const description = OSDictionaryCreate(2);
    set_text(body, DX_KEY_UID, uid);
    set_number(body, DX_KEY_INCARNATION, incarnation);
    set_number(body, "page", 0);
    if (is_called(uid, "claims")) {
        OSArray *const numbers = OSArrayCreate(CLAIMS);
        for (uint64_t i = 0; i < CLAIMS; i++) {
            OSNumber *const number = OSNumberCreateWithUInt64Value(1000 + i);
            CHECK(OSArraySetObject(numbers, number));
            OSObjectRelease(number);
        }
        CHECK(dx_wire_take(body, "sessions", numbers));
    }
    set_text(description, "why", "it says so");
    set_text(description, "hardware", "it says so");
    describe_stream(description, "inputs");
    describe_stream(description, "outputs");
    if (description_bytes) {
        char *const text = make_text(description_bytes);
        set_text(description, "manufacturer", text);
        free(text);
    }
    CHECK(dx_wire_take(body, DX_KEY_DESCRIPTION, description));
    const int large = is_called(uid, "page.dext") ? make_memory(1u << 20) : -1;
    send_body(body, large >= 0 ? &large : &pages.fd, 1);
    if (large >= 0)
        (void)close(large);
    dx_pages_finish(&pages);
}

static void
tell_incidents(void)
{
    for (unsigned i = 0; i < INCIDENTS; i++) {
        OSDictionary *const body = event(DX_EVENT_INCIDENT);
        set_text(body, "cause", "driver");
        set_text(body, "text", "it says so");
        send_body(body, NULL, 0);
    }
}

static void
follow(const char *uid, unsigned times)
{
    for (unsigned i = 0; i < 2 * times; i++) {
        OSDictionary *const body = event(DX_EVENT_FOLLOW);
        set_text(body, DX_KEY_UID, uid);
        CHECK(dx_wire_set_bool(body, "on", i % 2 == 0));
        if (i + 1 < 2 * times)
            send_body(body, NULL, 0); // and not the last end of it
        else
            OSObjectRelease(body);
    }
}

static void
tell_state(size_t bytes)
{
    OSDictionary *const body = event(DX_EVENT_SAVED_STATE);
    OSDictionary *const state = OSDictionaryCreate(1);
    char *const text = make_text(bytes);
    set_text(state, "text", text);
    CHECK(dx_wire_take(body, "state", state));
    send_body(body, NULL, 0);
    free(text);
}

/* @param part_bytes  length of the name of a part of the sandbox that does not hold; 0: there is none. */
static void
tell_loaded(size_t part_bytes, kern_return_t status)
{
    OSDictionary *const body = event(DX_EVENT_LOADED);
    set_number(body, DX_KEY_STATUS, (uint32_t)status);
    OSArray *const parts = OSArrayCreate(1);
    if (part_bytes) {
        char *const text = make_text(part_bytes);
        OSString *const part = OSStringCreate(text);
        CHECK(OSArraySetObject(parts, part));
        OSObjectRelease(part);
        free(text);
    }
    CHECK(dx_wire_take(body, "open", parts));
    send_body(body, NULL, 0);
}

/* Counts its starts, in bytes of a file. */
static void
find_starts(char *path, size_t size)
{
    const char *const folder = getenv("DEXTRAL_STATE_DIR");
    CHECK(folder && snprintf(path, size, "%s/starts", folder) < (int)size);
}

static void
count_start(void)
{
    char path[PATH_MAX];
    find_starts(path, sizeof path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1);
    (void)close(fd);
}

/* Cuts the recording again and again, with or without a supervisor. */
_Noreturn static void
cut(int recorder)
{
    (void)alarm(60); // whatever becomes of the test
    for (;;) {
        const int r = ftruncate(recorder, 0);
        (void)r; // whatever the supervisor makes of it meanwhile
    }
}

static void
ask_for_priorities(void)
{
    for (unsigned i = 0; i < QUESTIONS; i++) {
        OSDictionary *const body = request(DX_OP_REALTIME);
        set_number(body, DX_KEY_ID, 100 + i);
        set_number(body, "thread", (uint64_t)getpid());
        set_number(body, "priority", 10);
        send_body(body, NULL, 0);
    }
}

/* Devices that come and go, each with a UID of its own; one stays. */
static void
tell_passing_devices(void)
{
    char uid[32];
    for (unsigned i = 0; i < PASSING; i++) {
        (void)snprintf(uid, sizeof uid, "passing%u", i);
        tell_device(uid, 1, 0);
        OSDictionary *const body = event(DX_EVENT_DEVICE_GONE);
        set_text(body, DX_KEY_UID, uid);
        send_body(body, NULL, 0);
    }
    tell_device("stays", 1, 0);
}

static void
tell_many_devices(void)
{
    char uid[32];
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(uid, sizeof uid, "many%u", i);
        tell_device(uid, 1, 0);
    }
}

static void
tell_properties(const char *uid, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        OSDictionary *const body = event(DX_EVENT_PROPERTIES);
        set_text(body, DX_KEY_UID, uid);
        set_number(body, "object", i);
        CHECK(dx_wire_take(body, "selectors", OSArrayCreate(1)));
        send_body(body, NULL, 0);
    }
}

static bool
is_operation(const struct dx_message *message, const char *wanted)
{
    const char *const operation = dx_wire_get_string(message->body, DX_KEY_OPERATION);
    return operation && is_called(operation, wanted);
}

/* One for each who joins, as large as one may be. */
static void
answer_with_ring(const struct dx_message *join)
{
    const int fd = make_memory(DX_LANE_MAX_BYTES);
    OSDictionary *const body = OSDictionaryCreate(3);
    set_number(body, DX_KEY_ANSWER, dx_wire_get_number(join->body, DX_KEY_ID, 0));
    set_number(body, DX_KEY_STATUS, kIOReturnSuccess);
    set_number(body, "ring", 0);
    send_body(body, &fd, 1);
    (void)close(fd);
}

/* Who it is: the UID of its device, or the name of its bundle's folder. */
static void
find_name(const struct dx_message *load, char *name, size_t size, int *ret_recorder)
{
    const OSArray *const before = dx_wire_get_array(load->body, "before");
    const OSDictionary *const item =
        before && OSArrayGetCount(before) ? OSDynamicCast(OSDictionary, OSArrayGetObject(before, 0)) : NULL;
    const char *const path = dx_wire_get_string(load->body, "path");
    const char *const slash = path ? strrchr(path, '/') : NULL;
    const char *const found = item ? dx_wire_get_string(item, DX_KEY_UID) : slash ? slash + 1 : "";
    (void)snprintf(name, size, "%s", found);
    const uint64_t index = item ? dx_wire_get_number(item, "recorder", DX_WIRE_MAX_FDS) : DX_WIRE_MAX_FDS;
    *ret_recorder = index < load->fd_count ? load->fds[index] : -1;
}

static void
be_a_driver(void)
{
    char name[256];
    int recorder;
    OSDictionary *const hello = request(DX_OP_HELLO);
    set_number(hello, DX_KEY_ID, 1);
    set_text(hello, DX_KEY_ROLE, "driver");
    set_number(hello, DX_KEY_MAJOR, DX_PROTOCOL_MAJOR);
    set_number(hello, DX_KEY_MINOR, DX_PROTOCOL_MINOR);
    send_body(hello, NULL, 0);
    struct dx_message message = receive();
    dx_message_finish(&message);
    message = receive(); // `load`; what came with it stays
    find_name(&message, name, sizeof name, &recorder);
    if (is_called(name, "exits")) {
        count_start();
        _exit(9);
    }
    if (is_called(name, "last") && dx_wire_get_dictionary(message.body, "saved-state"))
        count_start();
    if (is_called(name, "saves")) {
        count_start();
        tell_state(LONG_BYTES); // it just fits into a message
    }
    answer(&message, kIOReturnSuccess);
    if (is_called(name, "passes.dext"))
        tell_passing_devices();
    else if (is_called(name, "many.dext"))
        tell_many_devices();
    else if (!is_called(name, "parts.dext"))
        tell_device(name, is_called(name, "incarnation") ? UINT32_MAX : 1, is_called(name, "long") ? LONG_BYTES : 0);
    if (is_called(name, "complains.dext"))
        tell_incidents();
    if (is_called(name, "follows"))
        follow("exits", 1);
    if (is_called(name, "insists"))
        follow("exits", FOLLOWS);
    tell_loaded(is_called(name, "parts.dext") ? LONG_BYTES + 250u : 0,
                is_called(name, "fails") ? kIOReturnNotReady : kIOReturnSuccess);
    if (is_called(name, "fails")) {
        tell_device(name, 1, 0); // it does not give up
        count_start();
    }
    if (is_called(name, "cuts"))
        cut(recorder);
    if (is_called(name, "grows")) {
        CHECK_EQ(ftruncate(recorder, 1 << 30), 0);
        count_start();
    }
    if (is_called(name, "asks"))
        ask_for_priorities();
    if (is_called(name, "floods"))
        tell_properties(name, CHANGES);
    for (unsigned refused = 0;;) { // it knows hardly any request
        message = receive();
        if (is_operation(&message, DX_OP_QUIT) && is_called(name, "last")) {
            tell_properties(name, CHANGES / 10); // enough not to be listened to for a while
            tell_state(10);
        }
        if (is_operation(&message, DX_OP_QUIT) && !is_called(name, "hangs") && !is_called(name, "fails"))
            _exit(0);
        if (is_called(name, "rings") && is_operation(&message, DX_OP_JOIN))
            answer_with_ring(&message);
        else if (is_called(name, "follows") && is_event(&message, DX_EVENT_FOLLOWED))
            count_start();
        else if (is_called(name, "silent") && is_operation(&message, DX_OP_GET_PROPERTY))
            ; // it never answers that
        else if (is_called(name, "stuffs") && is_operation(&message, DX_OP_GET_PROPERTY))
            answer_with(&message, kIOReturnSuccess, (const int[]){0, 0, 0}, 3);
        else if (dx_wire_get_string(message.body, DX_KEY_OPERATION))
            answer(&message, kIOReturnUnsupported);
        else if (dx_wire_get_number(message.body, DX_KEY_STATUS, kIOReturnSuccess) != kIOReturnSuccess)
            refused++;
        dx_message_finish(&message);
        if (refused == QUESTIONS)
            count_start();
    }
}

/* ---- the machine ---- */

static struct machine machine;

static void
begin(struct caller *caller)
{
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    CHECK(length > 0);
    path[length] = '\0';
    machine_create(&machine);
    CHECK_EQ(setenv("DEXTRAL_DRIVER_PROGRAM", path, 1), 0);
    machine_start(&machine, NULL);
    caller_open(caller, &machine, "test");
}

static void
end(struct caller *caller)
{
    caller_close(caller);
    machine_destroy(&machine);
}

/* A device whose driver process does what its UID says; it is started. */
static void
start_device(struct caller *caller, const char *uid, uint64_t session)
{
    struct dx_lane lane;
    create_cable(caller, uid);
    make_lane(&lane);
    CHECK_EQ(open_session(caller, uid, session, &lane, NULL), kIOReturnSuccess);
    dx_lane_finish(&lane);
}

static size_t
count_starts(void)
{
    char path[PATH_MAX];
    struct stat status;
    find_starts(path, sizeof path);
    return stat(path, &status) == 0 ? (size_t)status.st_size : 0;
}

/* Whether a device is in the list, however many pages that has. */
static bool
is_in_list(struct caller *caller, const char *uid)
{
    bool is_found = false;
    uint64_t from = 0;
    do {
        struct dx_message list;
        OSDictionary *const body = request(DX_OP_LIST);
        set_number(body, "from", from);
        CHECK_EQ(ask(caller, body, NULL, 0, &list), kIOReturnSuccess);
        const OSArray *const devices = dx_wire_get_array(list.body, "devices");
        for (size_t i = 0; devices && i < OSArrayGetCount(devices); i++) {
            const OSDictionary *const device = OSDynamicCast(OSDictionary, OSArrayGetObject(devices, i));
            is_found |= is_called(dx_wire_get_string(device, DX_KEY_UID), uid);
        }
        from = dx_wire_get_number(list.body, "next", 0);
        dx_message_finish(&list);
    } while (from);
    return is_found;
}

static void
a_description_that_is_too_long_keeps_nobody_from_the_list(void)
{
    struct caller caller;
    begin(&caller);
    start_device(&caller, "long", 1);
    machine_wait_said(&machine, "runs as process"); // after that it has been told of the device
    create_cable(&caller, "another");
    CHECK(is_in_list(&caller, "long"));
    CHECK(is_in_list(&caller, "another"));
    end(&caller);
}

static void
a_number_of_its_own_is_not_the_drivers_to_choose(void)
{
    struct caller caller;
    struct dx_message opened;
    struct dx_lane lane;
    begin(&caller);
    start_device(&caller, "incarnation", 1);
    wait_state(&caller, "incarnation", "running");
    create_cable(&caller, "exits"); // its page is the supervisor's
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "exits", 2, &lane, &opened), kIOReturnSuccess);
    CHECK(dx_wire_get_number(opened.body, DX_KEY_INCARNATION, 0) >
          describe_number(&caller, "incarnation", DX_KEY_INCARNATION)); // it was made later
    dx_message_finish(&opened);
    dx_lane_finish(&lane);
    end(&caller);
}

static void
a_recording_that_is_cut_ends_no_supervisor(void)
{
    struct caller caller;
    begin(&caller);
    start_device(&caller, "cuts", 1);
    machine_wait_said(&machine, "runs as process");
    for (unsigned i = 0; i < 20; i++) { // the driver goes on cutting, until the supervisor of then ends it
        caller_close(&caller);
        (void)machine_end(&machine, SIGKILL);
        machine_start(&machine, NULL);
        caller_open(&caller, &machine, "test");
        CHECK(is_in_list(&caller, "cuts"));
    }
    end(&caller);
}

/* Each costs what 5 KiB do, and there are 32 MiB in a second: that is 1.8 s. */
static void
a_flood_of_changes_is_slowed_down_and_all_of_it_arrives(void)
{
    struct caller caller;
    struct dx_message message;
    begin(&caller);
    const int64_t start_ms = now_ms();
    start_device(&caller, "floods", 1);
    for (unsigned i = 0; i < CHANGES; i++) {
        wait_event(&caller, DX_EVENT_PROPERTIES, &message);
        CHECK_EQ(dx_wire_get_number(message.body, "object", CHANGES), i);
        dx_message_finish(&message);
    }
    CHECK(now_ms() - start_ms >= 1500);
    create_cable(&caller, "another"); // who listened is still served
    end(&caller);
}

static void
input_rings_of_a_driver_are_bounded(void)
{
    struct caller caller;
    struct dx_lane lane;
    begin(&caller);
    start_device(&caller, "rings", 1);
    wait_state(&caller, "rings", "running");
    make_lane(&lane);
    for (uint64_t session = 2; session <= 4; session++)
        CHECK_EQ(open_session(&caller, "rings", session, &lane, NULL), kIOReturnSuccess);
    for (unsigned turn = 0; turn < 3; turn++) { // one that leaves makes room
        struct dx_message refused;
        CHECK_EQ(open_session(&caller, "rings", 5, &lane, &refused), kIOReturnNoResources);
        const char *const why = dx_wire_get_string(refused.body, DX_KEY_ERROR);
        CHECK(why && strstr(why, "input rings would take 5120 MiB, and 4096 are allowed"));
        dx_message_finish(&refused);
        CHECK_EQ(ask(&caller, request_of(DX_OP_CLOSE, 4), NULL, 0, NULL), kIOReturnSuccess);
        CHECK_EQ(open_session(&caller, "rings", 4, &lane, NULL), kIOReturnSuccess);
    }
    dx_lane_finish(&lane);
    end(&caller);
}

static void
requests_of_one_program_that_wait_keep_nobody_else_from_asking(void)
{
    struct caller caller;
    struct caller other;
    uint64_t last = 0;
    begin(&caller);
    start_device(&caller, "silent", 1);
    wait_state(&caller, "silent", "running");
    for (unsigned i = 0; i < REQUESTS; i++)
        last = send_request(&caller, request_about(DX_OP_GET_PROPERTY, "silent"), NULL, 0);
    CHECK_EQ(wait_answer(&caller, last, NULL), kIOReturnNoResources);
    ask_refused(&caller, request_about(DX_OP_STATISTICS, "silent"), NULL, 0, kIOReturnNoResources,
                "not answered 256 requests of this program");
    caller_open(&other, &machine, "other");
    CHECK_EQ(ask(&other, request_about(DX_OP_STATISTICS, "silent"), NULL, 0, NULL), kIOReturnUnsupported);
    caller_close(&other);
    end(&caller);
}

static void
a_driver_that_has_failed_is_started_by_nobody_who_leaves(void)
{
    struct caller caller;
    begin(&caller);
    start_device(&caller, "fails", 1);
    wait_state(&caller, "fails", "failed");
    while (count_starts() == 0) // it has said all that it says, and is not yet killed
        sleep_ms(5);
    CHECK_EQ(ask(&caller, request_of(DX_OP_STOP, 1), NULL, 0, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_CLOSE, 1), NULL, 0, NULL), kIOReturnSuccess);
    const int64_t end_ms = now_ms() + 10000;
    while (describe_number(&caller, "fails", "pid") != 0) { // it has not quit, and is killed after 3 s
        CHECK(now_ms() < end_ms);
        sleep_ms(10);
    }
    OSDictionary *const description = describe(&caller, "fails");
    CHECK_EQ(strcmp(dx_wire_get_string(description, "state"), "failed"), 0);
    OSObjectRelease(description);
    CHECK_EQ(count_starts(), 1);
    end(&caller);
}

static void
a_recording_that_a_driver_made_longer_is_cut_when_it_has_gone(void)
{
    struct caller caller;
    struct stat status;
    char path[128];
    begin(&caller);
    (void)snprintf(path, sizeof path, "%s/run/recordings/grows.recording", machine.folder);
    start_device(&caller, "grows", 1);
    while (count_starts() == 0) // it has done so
        sleep_ms(5);
    CHECK_EQ(stat(path, &status), 0);
    CHECK_EQ(status.st_size, 1 << 30);
    CHECK_EQ(ask(&caller, request_of(DX_OP_CLOSE, 1), NULL, 0, NULL), kIOReturnSuccess);
    wait_state(&caller, "grows", "idle");
    CHECK_EQ(stat(path, &status), 0);
    CHECK_EQ((size_t)status.st_size, dx_recorder_bytes());
    end(&caller);
}

static void
what_only_the_supervisor_knows_is_not_the_drivers_to_say(void)
{
    struct caller caller;
    begin(&caller);
    start_device(&caller, "says", 1);
    wait_state(&caller, "says", "running");
    OSDictionary *const description = describe(&caller, "says");
    CHECK(dx_wire_get_array(description, "inputs")); // it is the driver's
    CHECK(!OSDictionaryGetObject(description, "why"));
    CHECK(!OSDictionaryGetObject(description, "hardware"));
    OSObjectRelease(description);
    end(&caller);
}

static void
a_driver_makes_no_sessions(void)
{
    struct caller caller;
    begin(&caller);
    start_device(&caller, "claims", 1);
    wait_state(&caller, "claims", "running");
    CHECK_EQ(describe_number(&caller, "claims", "session-count"), 1);
    end(&caller);
}

static void
a_state_that_cannot_be_given_back_keeps_no_driver_from_starting(void)
{
    struct caller caller;
    begin(&caller);
    start_device(&caller, "saves", 1);
    wait_state(&caller, "saves", "running");
    CHECK_EQ(kill((pid_t)describe_number(&caller, "saves", "pid"), SIGKILL), 0);
    const int64_t end_ms = now_ms() + 10000;
    while (count_starts() < 2) { // each has been told what to load
        CHECK(now_ms() < end_ms);
        sleep_ms(10);
    }
    wait_state(&caller, "saves", "running");
    machine_wait_said(&machine, "what its driver had saved is too long to be given back");
    end(&caller);
}

static void
what_a_driver_saves_at_its_end_is_kept(void)
{
    struct caller caller;
    begin(&caller);
    start_device(&caller, "last", 1);
    wait_state(&caller, "last", "running");
    CHECK_EQ(ask(&caller, request_of(DX_OP_CLOSE, 1), NULL, 0, NULL), kIOReturnSuccess);
    wait_state(&caller, "last", "idle");
    OSDictionary *const body = request_about(DX_OP_DESCRIBE, "last");
    CHECK(dx_wire_set_bool(body, "fresh", true)); // by a driver, which is started
    CHECK_EQ(ask(&caller, body, NULL, 0, NULL), kIOReturnUnsupported);
    CHECK_EQ(count_starts(), 1); // it was given what the first one saved
    end(&caller);
}

static void
a_page_is_told_to_who_asks_for_it(void)
{
    struct caller caller;
    begin(&caller);
    create_cable(&caller, "exits"); // it is not opened, and so not started
    start_device(&caller, "follows", 1);
    wait_state(&caller, "follows", "running");
    start_device(&caller, "insists", 2);
    wait_state(&caller, "insists", "running");
    const int64_t end_ms = now_ms() + 10000;
    while (count_starts() == 0) { // here: pages that came
        CHECK(now_ms() < end_ms);
        sleep_ms(10);
    }
    sleep_ms(300);
    CHECK_EQ(count_starts(), 1);
    end(&caller);
}

static void
descriptors_that_nobody_asked_for_reach_nobody(void)
{
    struct caller caller;
    struct dx_message told;
    begin(&caller);
    start_device(&caller, "stuffs", 1);
    wait_state(&caller, "stuffs", "running");
    CHECK_EQ(ask(&caller, request_about(DX_OP_GET_PROPERTY, "stuffs"), NULL, 0, &told), kIOReturnSuccess);
    CHECK_EQ(told.fd_count, 0);
    dx_message_finish(&told);
    end(&caller);
}

static void
nothing_is_started_while_the_supervisor_waits_for_drivers_to_end(void)
{
    struct caller caller;
    begin(&caller);
    start_device(&caller, "hangs", 1);
    wait_state(&caller, "hangs", "running");
    start_device(&caller, "exits", 2);
    while (count_starts() < 6) // the next pause is of 2 s, and the other one is killed after 3
        sleep_ms(5);
    wait_state(&caller, "exits", "waiting");
    CHECK_EQ(count_starts(), 6);
    caller_close(&caller);
    CHECK_EQ(machine_end(&machine, SIGINT), 0);
    CHECK_EQ(count_starts(), 6);
    machine_destroy(&machine);
}

/* Tokens are in a file that every program of the user can read. */
static void
a_token_is_good_for_its_process_alone(void)
{
    struct caller caller;
    struct caller other;
    char path[128];
    char bytes[8192];
    begin(&caller);
    start_device(&caller, "hangs", 1);
    wait_state(&caller, "hangs", "running");
    (void)snprintf(path, sizeof path, "%s/run/drivers", machine.folder);
    FILE *const file = fopen(path, "r");
    CHECK(file);
    const size_t length = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    OSObjectPtr const root = OSSerializationCopyObject(bytes, length);
    const OSArray *const drivers = dx_wire_get_array(OSDynamicCast(OSDictionary, root), "drivers");
    CHECK(drivers && OSArrayGetCount(drivers) == 1);
    const OSDictionary *const driver = OSDynamicCast(OSDictionary, OSArrayGetObject(drivers, 0));
    CHECK(caller_connect(&other, &machine));
    OSDictionary *const hello = request(DX_OP_HELLO);
    set_text(hello, DX_KEY_ROLE, "driver");
    set_number(hello, DX_KEY_MAJOR, DX_PROTOCOL_MAJOR);
    set_text(hello, DX_KEY_TOKEN, dx_wire_get_string(driver, DX_KEY_TOKEN));
    ask_refused(&other, hello, NULL, 0, kIOReturnNotPermitted, "token");
    OSObjectRelease(root);
    caller_close(&other);
    end(&caller);
}

#ifdef HAS_BUNDLES
static void
approve_bundle(struct caller *caller, const char *name)
{
    machine_add_bundle(&machine, name, "none");
    approve(caller, name);
}

static unsigned
count_recordings(void)
{
    char path[128];
    unsigned count = 0;
    (void)snprintf(path, sizeof path, "%s/run/recordings", machine.folder);
    DIR *const folder = opendir(path);
    CHECK(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += strstr(entry->d_name, ".recording") != NULL;
    (void)closedir(folder);
    return count;
}

static unsigned
count_incidents(struct caller *caller, const char *text)
{
    struct dx_message answer;
    unsigned count = 0;
    CHECK_EQ(ask(caller, request(DX_OP_INCIDENTS), NULL, 0, &answer), kIOReturnSuccess);
    const OSArray *const incidents = dx_wire_get_array(answer.body, "incidents");
    for (size_t i = 0; i < OSArrayGetCount(incidents); i++) {
        const char *const found = dx_wire_get_string(OSArrayGetObject(incidents, i), "text");
        count += found && strstr(found, text);
    }
    dx_message_finish(&answer);
    return count;
}

static void
incidents_of_one_driver_leave_those_of_others(void)
{
    struct caller caller;
    begin(&caller);
    start_device(&caller, "hangs", 1);
    wait_state(&caller, "hangs", "running");
    CHECK_EQ(kill((pid_t)describe_number(&caller, "hangs", "pid"), SIGKILL), 0);
    while (describe_number(&caller, "hangs", "restarts") == 0)
        sleep_ms(10);
    CHECK_EQ(count_incidents(&caller, "SIGKILL"), 1);
    approve_bundle(&caller, "complains");
    machine_wait_said(&machine, "bundle-org.dextral.test.complains-Faulty: runs as process");
    CHECK_EQ(count_incidents(&caller, "SIGKILL"), 1); // the oldest
    CHECK(count_incidents(&caller, "it says so") >= 100);
    end(&caller);
}

static void
devices_of_a_driver_are_bounded(void)
{
    struct caller caller;
    begin(&caller);
    approve_bundle(&caller, "many");
    machine_wait_said(&machine, "runs as process"); // after that it has been told of all of them
    expect_driver(&caller, "many", "why", "it has 256 devices, and no more are allowed");
    CHECK(is_in_list(&caller, "many255"));
    CHECK(!is_in_list(&caller, "many256"));
    end(&caller);
}

static void
devices_of_a_driver_leave_descriptors_to_others(void)
{
    struct caller caller;
    begin(&caller);
    caller_close(&caller);
    CHECK_EQ(machine_end(&machine, SIGTERM), 0);
    machine.most_descriptors = 256;
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "test");
    approve_bundle(&caller, "many");
    machine_wait_said(&machine, "runs as process");
    expect_driver(&caller, "many", "why", "a quarter of the descriptors");
    CHECK(is_in_list(&caller, "many31"));
    CHECK(!is_in_list(&caller, "many32"));
    start_device(&caller, "another", 1);
    wait_state(&caller, "another", "running");
    end(&caller);
}

static void
a_page_that_is_too_large_is_refused(void)
{
    struct caller caller;
    begin(&caller);
    approve_bundle(&caller, "page");
    machine_wait_said(&machine, "runs as process");
    expect_driver(&caller, "page", "why", "the device page has 1048576 bytes; 1 ... 65536 are allowed");
    end(&caller);
}

static void
devices_that_come_and_go_do_not_fill_the_machine(void)
{
    struct caller caller;
    char path[128];
    begin(&caller);
    start_device(&caller, "hangs", 1);
    wait_state(&caller, "hangs", "running");
    approve_bundle(&caller, "passes");
    wait_listed(&caller, "stays", true);
    CHECK(count_recordings() < 300);
    (void)snprintf(path, sizeof path, "%s/run/recordings/hangs.recording", machine.folder);
    CHECK_EQ(access(path, F_OK), 0); // older than all of them
    (void)snprintf(path, sizeof path, "%s/run/recordings/stays.recording", machine.folder);
    CHECK_EQ(access(path, F_OK), 0);
    end(&caller);
}

static void
a_name_that_is_too_long_keeps_nobody_from_the_drivers(void)
{
    struct caller caller;
    begin(&caller);
    approve_bundle(&caller, "parts");
    const int64_t end_ms = now_ms() + 10000;
    for (bool is_told = false; !is_told; sleep_ms(10)) {
        struct dx_message drivers;
        CHECK_EQ(ask(&caller, request(DX_OP_DRIVERS), NULL, 0, &drivers), kIOReturnSuccess);
        const OSArray *const array = dx_wire_get_array(drivers.body, "drivers");
        const OSDictionary *const driver = OSDynamicCast(OSDictionary, OSArrayGetObject(array, 0));
        const OSArray *const open = dx_wire_get_array(driver, "open");
        is_told = open && OSArrayGetCount(open) > 0;
        dx_message_finish(&drivers);
        CHECK(now_ms() < end_ms);
    }
    end(&caller);
}
#endif

/* Listens where the system's bus would be, and answers nobody. */
static int
open_silent_bus(void)
{
    static char address[160];
    struct sockaddr_un bus = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(fd >= 0);
    CHECK(snprintf(bus.sun_path, sizeof bus.sun_path, "%s/bus", machine.folder) < (int)sizeof bus.sun_path);
    CHECK_EQ(bind(fd, (const struct sockaddr *)&bus, sizeof bus), 0);
    CHECK_EQ(listen(fd, 4096), 0);
    (void)snprintf(address, sizeof address, "unix:path=%s", bus.sun_path);
    CHECK_EQ(setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1), 0);
    return fd;
}

static void
questions_about_priorities_are_bounded(void)
{
    const struct rlimit none = {0, 0};
    struct caller caller;
    if (setrlimit(RLIMIT_RTPRIO, &none) != 0 || (geteuid() == 0 && prctl(PR_CAPBSET_DROP, CAP_SYS_NICE) != 0)) {
        (void)fprintf(stderr, "  not tried: the right to give priorities cannot be given up here\n");
        return;
    }
    begin(&caller);
    (void)machine_end(&machine, SIGTERM);
    const int bus = open_silent_bus();
    machine_start(&machine, NULL);
    caller_close(&caller);
    caller_open(&caller, &machine, "test");
    start_device(&caller, "asks", 1);
    const int64_t end_ms = now_ms() + 20000;
    while (count_starts() == 0) { // all of them were answered
        CHECK(now_ms() < end_ms);
        sleep_ms(10);
    }
    unsigned connections = 0;
    for (int fd; (fd = accept4(bus, NULL, NULL, SOCK_CLOEXEC)) >= 0; connections++)
        (void)close(fd);
    CHECK(connections <= 16);
    (void)close(bus);
    CHECK_EQ(unsetenv("DBUS_SYSTEM_BUS_ADDRESS"), 0);
    end(&caller);
}

int
main(int argc, char **argv)
{
    if (argc == 1 && is_called(argv[0], "dextral-driver"))
        be_a_driver();
    RUN(a_description_that_is_too_long_keeps_nobody_from_the_list);
    RUN(a_number_of_its_own_is_not_the_drivers_to_choose);
    RUN(a_recording_that_is_cut_ends_no_supervisor);
    RUN(a_flood_of_changes_is_slowed_down_and_all_of_it_arrives);
    RUN(input_rings_of_a_driver_are_bounded);
    RUN(requests_of_one_program_that_wait_keep_nobody_else_from_asking);
    RUN(a_driver_that_has_failed_is_started_by_nobody_who_leaves);
    RUN(a_recording_that_a_driver_made_longer_is_cut_when_it_has_gone);
    RUN(what_only_the_supervisor_knows_is_not_the_drivers_to_say);
    RUN(a_driver_makes_no_sessions);
    RUN(a_state_that_cannot_be_given_back_keeps_no_driver_from_starting);
    RUN(what_a_driver_saves_at_its_end_is_kept);
    RUN(a_page_is_told_to_who_asks_for_it);
    RUN(descriptors_that_nobody_asked_for_reach_nobody);
    RUN(nothing_is_started_while_the_supervisor_waits_for_drivers_to_end);
    RUN(a_token_is_good_for_its_process_alone);
#ifdef HAS_BUNDLES
    RUN(a_name_that_is_too_long_keeps_nobody_from_the_drivers);
    RUN(incidents_of_one_driver_leave_those_of_others);
    RUN(devices_of_a_driver_are_bounded);
    RUN(devices_of_a_driver_leave_descriptors_to_others);
    RUN(a_page_that_is_too_large_is_refused);
    RUN(devices_that_come_and_go_do_not_fill_the_machine);
#endif
    RUN(questions_about_priorities_are_bounded); // the last: what is given up does not come back
    return 0;
}
