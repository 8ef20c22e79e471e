// SPDX-License-Identifier: MIT
// Programs that are hostile, broken, too many or of another version; and what they are given.

#include "tests/host/supervisor_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct machine machine;

/* Open descriptors of the supervisor. */
static unsigned
count_supervisor_fds(void)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/fd", (long)machine.supervisor);
    DIR *const folder = opendir(path);
    unsigned count = 0;
    while (folder && readdir(folder))
        count++;
    if (folder)
        (void)closedir(folder);
    return count;
}

/* It takes a moment until a closed connection is noticed.  Who may not look counts none. */
static void
expect_fds(unsigned wanted)
{
    const int64_t end_ms = now_ms() + 5000;
    while (count_supervisor_fds() > wanted && now_ms() < end_ms)
        sleep_ms(5);
    CHECK(count_supervisor_fds() <= wanted);
}

static OSDictionary *
hello(uint64_t major, uint64_t minor)
{
    OSDictionary *const body = request(DX_OP_HELLO);
    set_text(body, DX_KEY_ROLE, "client");
    set_text(body, DX_KEY_NAME, "test");
    set_number(body, DX_KEY_MAJOR, major);
    set_number(body, DX_KEY_MINOR, minor);
    return body;
}

static bool
is_closed(struct caller *caller)
{
    struct pollfd fd = {.fd = caller->socket, .events = POLLIN};
    struct dx_message message = {0};
    int r = 1;
    while (r == 1 && poll(&fd, 1, 5000) == 1) {
        r = dx_wire_receive(caller->socket, &message);
        dx_message_finish(&message);
    }
    return r <= 0;
}

static void
another_major_version_is_refused_with_a_sentence_and_another_minor_one_is_served(void)
{
    struct caller caller;
    CHECK(caller_connect(&caller, &machine));
    ask_refused(&caller, hello(DX_PROTOCOL_MAJOR + 1, 0), NULL, 0, kIOReturnUnsupported, "version");
    CHECK(is_closed(&caller));
    caller_close(&caller);
    for (uint64_t minor = 0; minor < 3; minor++) {
        CHECK(caller_connect(&caller, &machine));
        OSDictionary *const body = hello(DX_PROTOCOL_MAJOR, minor);
        set_text(body, "a key of later days", "is ignored");
        CHECK_EQ(ask(&caller, body, NULL, 0, NULL), kIOReturnSuccess);
        ask_refused(&caller, request("an operation of later days"), NULL, 0, kIOReturnUnsupported, "older");
        CHECK_EQ(ask(&caller, request(DX_OP_LIST), NULL, 0, NULL), kIOReturnSuccess);
        caller_close(&caller);
    }
}

static void
a_program_must_say_hello_first(void)
{
    struct caller caller;
    CHECK(caller_connect(&caller, &machine));
    ask_refused(&caller, request(DX_OP_LIST), NULL, 0, kIOReturnBadMessageID, "hello");
    CHECK(is_closed(&caller));
    caller_close(&caller);
}

static void
a_driver_without_its_token_is_refused(void)
{
    static const char *const tokens[] = {"", "00000000000000000000000000000000"};
    for (size_t i = 0; i < 2; i++) {
        struct caller caller;
        CHECK(caller_connect(&caller, &machine));
        OSDictionary *const body = hello(DX_PROTOCOL_MAJOR, 0);
        set_text(body, DX_KEY_ROLE, "driver");
        set_text(body, DX_KEY_TOKEN, tokens[i]);
        ask_refused(&caller, body, NULL, 0, kIOReturnNotPermitted, "token");
        caller_close(&caller);
    }
}

static void
nonsense_disconnects_who_sends_it_and_nobody_else(void)
{
    struct caller good;
    caller_open(&good, &machine, "good");
    const unsigned fds = count_supervisor_fds();
    unsigned state = 1;
    for (unsigned i = 0; i < 500; i++) {
        struct caller bad;
        if (i % 2)
            caller_open(&bad, &machine, "bad");
        else
            CHECK(caller_connect(&bad, &machine));
        uint8_t bytes[300];
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
        if (i % 3 == 0)
            memcpy(bytes, "1DXW", 4);
        (void)send(bad.socket, bytes, 1 + i % sizeof bytes, MSG_NOSIGNAL);
        CHECK(is_closed(&bad));
        caller_close(&bad);
    }
    CHECK_EQ(ask(&good, request(DX_OP_LIST), NULL, 0, NULL), kIOReturnSuccess);
    expect_fds(fds);
    caller_close(&good);
}

static void
many_connections_in_a_row_leave_nothing(void)
{
    const unsigned fds = count_supervisor_fds();
    for (unsigned i = 0; i < 10000; i++) {
        struct caller caller;
        CHECK(caller_connect(&caller, &machine));
        caller_close(&caller);
    }
    struct caller caller;
    caller_open(&caller, &machine, "last");
    caller_close(&caller);
    expect_fds(fds);
}

static void
a_program_too_many_is_told_so(void)
{
    enum { PROGRAMS = 1024 };
    struct rlimit files;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_cur < 2 * PROGRAMS) {
        (void)fprintf(stderr, "  not tried: only %llu descriptors are allowed\n",
                      (unsigned long long)files.rlim_cur);
        return;
    }
    struct caller *const callers = calloc(PROGRAMS, sizeof *callers);
    CHECK(callers);
    for (unsigned i = 0; i < PROGRAMS; i++)
        caller_open(&callers[i], &machine, "one of many");
    struct caller caller;
    CHECK(caller_connect(&caller, &machine));
    ask_refused(&caller, hello(DX_PROTOCOL_MAJOR, 0), NULL, 0, kIOReturnNoResources, "1024 programs");
    caller_close(&caller);
    for (unsigned i = 0; i < PROGRAMS; i++)
        caller_close(&callers[i]);
    free(callers);
    CHECK_EQ(ask((caller_open(&caller, &machine, "later"), &caller), request(DX_OP_LIST), NULL, 0, NULL),
             kIOReturnSuccess);
    caller_close(&caller);
}

static void
a_program_that_does_not_read_is_disconnected_and_others_are_served(void)
{
    struct caller deaf;
    struct caller other;
    caller_open(&deaf, &machine, "deaf");
    caller_open(&other, &machine, "other");
    const int flags = fcntl(deaf.socket, F_GETFL);
    CHECK_EQ(fcntl(deaf.socket, F_SETFL, flags | O_NONBLOCK), 0);
    /* Its answers pile up, until it is too much; a full socket alone is no reason to be disconnected. */
    const int64_t end_ms = now_ms() + 20000;
    int r = 0;
    while ((r == 0 || r == -EAGAIN) && now_ms() < end_ms) {
        OSDictionary *const body = request(DX_OP_KINDS);
        set_number(body, DX_KEY_ID, 7);
        r = dx_wire_send(deaf.socket, body, NULL, 0);
        OSObjectRelease(body);
        if (r == -EAGAIN)
            CHECK_EQ(ask(&other, request(DX_OP_LIST), NULL, 0, NULL), kIOReturnSuccess);
    }
    CHECK(r == -EPIPE || r == -ECONNRESET);
    machine_wait_said(&machine, "does not read");
    CHECK_EQ(ask(&other, request(DX_OP_LIST), NULL, 0, NULL), kIOReturnSuccess);
    caller_close(&deaf);
    caller_close(&other);
}

/* ---- descriptors of the wrong kind ---- */

static OSDictionary *
open_request(uint64_t session)
{
    OSDictionary *const body = request_about(DX_OP_OPEN, "wire");
    set_number(body, DX_KEY_SESSION, session);
    set_number(body, "output", 0);
    set_number(body, "lane", 0);
    return body;
}

static int
make_memfd(unsigned flags, off_t bytes, int seals)
{
    const int fd = memfd_create("test", MFD_CLOEXEC | flags);
    CHECK(fd >= 0);
    CHECK_EQ(ftruncate(fd, bytes), 0);
    if (seals)
        CHECK_EQ(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void
a_lane_must_be_a_sealed_memfd_of_a_sensible_size(void)
{
    struct caller caller;
    caller_open(&caller, &machine, "player");
    const unsigned before = count_supervisor_fds();
    int pipes[2];
    CHECK_EQ(pipe(pipes), 0);
    const int whole = F_SEAL_SHRINK | F_SEAL_GROW;
    const struct {
        int fd;
        kern_return_t status;
        const char *text;
    } cases[] = {
        {pipes[0], kIOReturnBadArgument, "no memfd"},
        {open("/dev/null", O_RDWR | O_CLOEXEC), kIOReturnBadArgument, "no memfd"},
        {open("/", O_PATH | O_CLOEXEC), kIOReturnBadArgument, "no memfd"},
        {open("/proc/self/status", O_RDONLY | O_CLOEXEC), kIOReturnBadArgument, "memfd"},
        {eventfd(0, EFD_CLOEXEC), kIOReturnBadArgument, "no memfd"},
        {socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), kIOReturnBadArgument, "no memfd"},
        {make_memfd(0, 8192, 0), kIOReturnNotPermitted, "sealed"},
        {make_memfd(MFD_ALLOW_SEALING, 8192, 0), kIOReturnNotPermitted, "F_SEAL_SHRINK"},
        {make_memfd(MFD_ALLOW_SEALING, 8192, F_SEAL_SHRINK), kIOReturnNotPermitted, "F_SEAL_GROW"},
        {make_memfd(MFD_ALLOW_SEALING, 8192, whole | F_SEAL_SEAL), kIOReturnNotPermitted, "against writing"},
        {make_memfd(MFD_ALLOW_SEALING, 0, whole), kIOReturnBadArgument, "0 bytes"},
        {make_memfd(MFD_ALLOW_SEALING, (off_t)1 << 40, whole), kIOReturnBadArgument, "bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK(cases[i].fd >= 0);
        ask_refused(&caller, open_request(i + 1), &cases[i].fd, 1, cases[i].status, cases[i].text);
        (void)close(cases[i].fd);
    }
    (void)close(pipes[1]);
    ask_refused(&caller, open_request(100), NULL, 0, kIOReturnBadArgument, "missing");
    OSDictionary *const body = open_request(101);
    set_number(body, "lane", UINT64_MAX);
    ask_refused(&caller, body, NULL, 0, kIOReturnBadArgument, "missing");
    expect_fds(before);
    caller_close(&caller);
}

static void
requests_that_make_no_sense_are_refused(void)
{
    struct caller caller;
    struct dx_lane lane;
    caller_open(&caller, &machine, "player");
    make_lane(&lane);
    ask_refused(&caller, request(DX_OP_OPEN), NULL, 0, kIOReturnBadArgument, "session number");
    ask_refused(&caller, request_of(DX_OP_OPEN, 1), NULL, 0, kIOReturnBadArgument, "stream");
    OSDictionary *body = open_request(1);
    set_text(body, DX_KEY_UID, "nobody");
    ask_refused(&caller, body, &lane.pages.fd, 1, kIOReturnNoDevice, "nobody");
    body = open_request(1);
    set_number(body, "output", 31);
    ask_refused(&caller, body, &lane.pages.fd, 1, kIOReturnBadArgument, "no output stream 31");
    body = open_request(1);
    set_number(body, "output", 1000);
    ask_refused(&caller, body, &lane.pages.fd, 1, kIOReturnBadArgument, "stream");
    body = open_request(1);
    CHECK(dx_wire_take(body, "output", OSStringCreate("0"))); // a text where a number belongs
    ask_refused(&caller, body, &lane.pages.fd, 1, kIOReturnBadArgument, "stream");
    static const char *const of_session[] = {DX_OP_START, DX_OP_STOP, DX_OP_CLOSE};
    for (size_t i = 0; i < 3; i++)
        ask_refused(&caller, request_of(of_session[i], 12345), NULL, 0, kIOReturnNotOpen, "no such session");
    ask_refused(&caller, request(DX_OP_DESCRIBE), NULL, 0, kIOReturnNoDevice, "no such device");
    ask_refused(&caller, request_about(DX_OP_REMOVE, "nobody"), NULL, 0, kIOReturnNoDevice, "no such device");
    ask_refused(&caller, request_about(DX_OP_RECORDING, "nobody"), NULL, 0, kIOReturnNoDevice, "no such device");
    ask_refused(&caller, request(DX_OP_APPROVE), NULL, 0, kIOReturnNotFound, "no such bundle");
    ask_refused(&caller, request(DX_OP_RESTART), NULL, 0, kIOReturnNotFound, "no such device");
    ask_refused(&caller, request(DX_OP_USER_CLIENT_OPEN), NULL, 0, kIOReturnNotFound, "no such device");
    ask_refused(&caller, request(DX_OP_USER_CLIENT_CALL), NULL, 0, kIOReturnNotOpen, "no such connection");
    ask_refused(&caller, request(DX_OP_CREATE), NULL, 0, kIOReturnBadArgument, "kind");
    ask_refused(&caller, request_about(DX_OP_SET, "wire"), NULL, 0, kIOReturnBadArgument, "what");
    dx_lane_finish(&lane);
    caller_close(&caller);
}

static void
a_program_cannot_touch_the_sessions_of_another(void)
{
    struct caller caller;
    struct caller other;
    struct dx_lane lane;
    caller_open(&caller, &machine, "player");
    caller_open(&other, &machine, "thief");
    make_lane(&lane);
    CHECK_EQ(ask(&caller, open_request(4711), &lane.pages.fd, 1, NULL), kIOReturnSuccess);
    ask_refused(&other, request_of(DX_OP_START, 4711), NULL, 0, kIOReturnNotOpen, "no such session");
    ask_refused(&other, request_of(DX_OP_CLOSE, 4711), NULL, 0, kIOReturnNotOpen, "no such session");
    CHECK_EQ(ask(&caller, request_of(DX_OP_CLOSE, 4711), NULL, 0, NULL), kIOReturnSuccess);
    dx_lane_finish(&lane);
    caller_close(&caller);
    caller_close(&other);
}

/* ---- what is given is for reading ---- */

static void
expect_read_only(int fd)
{
    char path[64];
    void *address = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(address == MAP_FAILED);
    CHECK(write(fd, "x", 1) < 0);
    CHECK(ftruncate(fd, 0) < 0);
    CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) < 0);
    address = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(address != MAP_FAILED);
    CHECK(mprotect(address, 4096, PROT_READ | PROT_WRITE) != 0);
    CHECK(madvise(address, 4096, MADV_REMOVE) != 0);
    CHECK_EQ(munmap(address, 4096), 0);
    /* By its name in /proc it can be opened again; the seal is what holds then. */
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const int again = open(path, O_RDWR | O_CLOEXEC);
    if (again < 0)
        return;
    CHECK(write(again, "x", 1) < 0);
    CHECK(pwrite(again, "x", 1, 0) < 0);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED);
    CHECK(ftruncate(again, 0) < 0);
    CHECK(fallocate(again, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) < 0);
    (void)close(again);
}

static void
nobody_writes_what_he_was_given_to_read(void)
{
    struct caller caller;
    struct dx_lane lane;
    struct dx_message answer;
    caller_open(&caller, &machine, "scribbler");
    make_lane(&lane);
    for (unsigned i = 0; i < 2; i++) { // the supervisor's own memory, then that of the driver
        if (i == 0)
            CHECK_EQ(open_session(&caller, "wire", 1, &lane, &answer), kIOReturnSuccess);
        else
            wait_event(&caller, DX_EVENT_NEW_DRIVER, &answer);
        CHECK_EQ(answer.fd_count, 2); // page and ring
        for (uint32_t k = 0; k < answer.fd_count; k++)
            expect_read_only(answer.fds[k]);
        dx_message_finish(&answer);
    }
    /* And nobody but who has it mapped ever writes the lane. */
    const int copy = dup(lane.pages.fd);
    expect_read_only(copy);
    *(volatile uint8_t *)lane.data = 42; // its owner still does
    (void)close(copy);
    dx_lane_finish(&lane);
    caller_close(&caller);
}

static void
a_lane_that_is_not_one_is_refused_by_the_driver_and_hurts_nobody(void)
{
    struct caller caller;
    struct dx_lane lane;
    caller_open(&caller, &machine, "player");
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "wire", 1, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 1), NULL, 0, NULL), kIOReturnSuccess);
    const uint64_t pid = describe_number(&caller, "wire", "pid");
    const int zeros = make_memfd(MFD_ALLOW_SEALING, 65536, F_SEAL_SHRINK | F_SEAL_GROW);
    OSDictionary *const body = open_request(2);
    CHECK(ask(&caller, body, &zeros, 1, NULL) != kIOReturnSuccess);
    (void)close(zeros);
    CHECK_EQ(describe_number(&caller, "wire", "pid"), pid);
    CHECK_EQ(describe_number(&caller, "wire", "restarts"), 0);
    dx_lane_finish(&lane);
    caller_close(&caller);
}

/* ---- another user ---- */

static void
a_program_of_another_user_is_refused(void)
{
    if (geteuid() != 0) {
        (void)fprintf(stderr, "  not tried: only root can be another user\n");
        return;
    }
    /* The folder alone would keep it out; the socket was handed over, so that the second rule counts. */
    const pid_t child = fork();
    if (child == 0) {
        struct caller caller;
        char command[512];
        (void)snprintf(command, sizeof command, "chmod 755 %s %s/run && chmod 666 %s", machine.folder,
                       machine.folder, machine.socket_path);
        CHECK_EQ(system(command), 0);
        CHECK_EQ(setresuid(54321, 54321, 54321), 0);
        CHECK(caller_connect(&caller, &machine));
        ask_refused(&caller, hello(DX_PROTOCOL_MAJOR, 0), NULL, 0, kIOReturnNotPermitted, "user 54321");
        CHECK(is_closed(&caller));
        _exit(0);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    char command[512];
    (void)snprintf(command, sizeof command, "chmod 700 %s %s/run && chmod 600 %s", machine.folder, machine.folder,
                   machine.socket_path);
    CHECK_EQ(system(command), 0);
}

static void
a_service_manager_may_hand_over_the_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)machine_end(&machine, SIGTERM);
    strcpy(address.sun_path, machine.socket_path);
    (void)unlink(address.sun_path);
    const int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    CHECK(listener >= 0);
    CHECK_EQ(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQ(listen(listener, 8), 0);
    /* Somebody connects before there is a supervisor: its request waits. */
    struct caller caller;
    CHECK(caller_connect(&caller, &machine));
    const uint64_t id = send_request(&caller, hello(DX_PROTOCOL_MAJOR, 0), NULL, 0);
    machine.supervisor = fork();
    if (machine.supervisor == 0) {
        char pid[32];
        const int log = open(machine.log_path, O_WRONLY | O_APPEND);
        (void)dup2(log, STDERR_FILENO);
        (void)dup2(listener, 3);
        (void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
        (void)setenv("LISTEN_PID", pid, 1);
        (void)setenv("LISTEN_FDS", "1", 1);
        (void)execl(SUPERVISOR, SUPERVISOR, "--verbose", NULL);
        _exit(127);
    }
    (void)close(listener);
    CHECK_EQ(wait_answer(&caller, id, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request(DX_OP_LIST), NULL, 0, NULL), kIOReturnSuccess);
    CHECK_EQ(machine_end(&machine, SIGTERM), 0);
    CHECK_EQ(access(machine.socket_path, F_OK), 0); // the service manager's, not ours to remove
    caller_close(&caller);
}

/* ---- what the supervisor itself lacks ---- */

static void
without_descriptors_a_session_is_refused_and_no_driver_killed(void)
{
    struct caller caller;
    struct dx_lane lane;
    uint64_t session = 0;
    (void)machine_end(&machine, SIGTERM);
    machine.most_descriptors = 64;
    machine_start(&machine, NULL);
    machine.most_descriptors = 0;
    caller_open(&caller, &machine, "greedy");
    create_cable(&caller, "scarce");
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "scarce", ++session, &lane, NULL), kIOReturnSuccess);
    wait_state(&caller, "scarce", "running");
    const uint64_t driver = describe_number(&caller, "scarce", "pid");
    kern_return_t status;
    do
        status = open_session(&caller, "scarce", ++session, &lane, NULL);
    while (status == kIOReturnSuccess && session < 100);
    CHECK(status == kIOReturnNoMemory || status == kIOReturnNoResources);
    CHECK_EQ(describe_number(&caller, "scarce", "pid"), driver);
    CHECK_EQ(describe_number(&caller, "scarce", "session-count"), session - 1);
    CHECK_EQ(ask(&caller, request_of(DX_OP_CLOSE, 1), NULL, 0, NULL), kIOReturnSuccess);
    CHECK_EQ(open_session(&caller, "scarce", session, &lane, NULL), kIOReturnSuccess); // there is room again
    CHECK_EQ(ask(&caller, request_about(DX_OP_REMOVE, "scarce"), NULL, 0, NULL), kIOReturnSuccess);
    dx_lane_finish(&lane);
    caller_close(&caller);
    (void)machine_end(&machine, SIGTERM);
    machine_start(&machine, NULL);
}

/* Else its words would go into whatever file has the number. */
static void
without_standard_descriptors_nothing_else_takes_their_place(void)
{
    struct caller caller;
    char path[128];
    char text[64] = "";
    char wanted[32];
    (void)machine_end(&machine, SIGTERM);
    machine.is_without_descriptors = true;
    machine_start(&machine, NULL);
    machine.is_without_descriptors = false;
    CHECK(caller_connect(&caller, &machine));
    ask_refused(&caller, request(DX_OP_LIST), NULL, 0, kIOReturnBadMessageID, "hello"); // which it says
    caller_close(&caller);
    (void)snprintf(path, sizeof path, "%s/run/lock", machine.folder);
    (void)snprintf(wanted, sizeof wanted, "%ld\n", (long)machine.supervisor);
    FILE *const file = fopen(path, "r");
    CHECK(file);
    (void)fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    CHECK_EQ(strcmp(text, wanted), 0);
    (void)machine_end(&machine, SIGTERM);
    machine_start(&machine, NULL);
}

int
main(void)
{
    struct caller caller;
    machine_create(&machine);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "setup");
    create_cable(&caller, "wire");
    caller_close(&caller);
    RUN(another_major_version_is_refused_with_a_sentence_and_another_minor_one_is_served);
    RUN(a_program_must_say_hello_first);
    RUN(a_driver_without_its_token_is_refused);
    RUN(nonsense_disconnects_who_sends_it_and_nobody_else);
    RUN(many_connections_in_a_row_leave_nothing);
    RUN(a_program_too_many_is_told_so);
    RUN(a_program_that_does_not_read_is_disconnected_and_others_are_served);
    RUN(a_lane_must_be_a_sealed_memfd_of_a_sensible_size);
    RUN(requests_that_make_no_sense_are_refused);
    RUN(nobody_writes_what_he_was_given_to_read);
    RUN(a_program_cannot_touch_the_sessions_of_another);
    RUN(a_lane_that_is_not_one_is_refused_by_the_driver_and_hurts_nobody);
    RUN(a_program_of_another_user_is_refused);
    RUN(without_descriptors_a_session_is_refused_and_no_driver_killed);
    RUN(without_standard_descriptors_nothing_else_takes_their_place);
    RUN(a_service_manager_may_hand_over_the_socket);
    machine_destroy(&machine);
    return 0;
}
