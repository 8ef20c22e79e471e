// SPDX-License-Identifier: MIT
// A driver process and its supervisor, played by the test.

#include "tests/host/driver_rig.h"

#include "host/protocol.h"
#include "tests/core/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS 10000
#define END_TIMEOUT_MS 15000

static int64_t
now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- messages ---- */

static void
answer(struct rig *rig, uint64_t id, kern_return_t status)
{
    OSDictionary *const body = OSDictionaryCreate(4);
    CHECK(OSDictionarySetUInt64Value(body, DX_KEY_ANSWER, id));
    CHECK(OSDictionarySetUInt64Value(body, DX_KEY_STATUS, (uint32_t)status));
    CHECK(OSDictionarySetUInt64Value(body, DX_KEY_MAJOR, DX_PROTOCOL_MAJOR));
    CHECK(OSDictionarySetUInt64Value(body, DX_KEY_MINOR, DX_PROTOCOL_MINOR));
    CHECK_EQ(dx_wire_send(rig->socket, body, NULL, 0), 0);
    OSObjectRelease(body);
}

/* The token belongs to every hello but the first, which a socket pair speaks for. */
static void
greet(struct rig *rig, const OSDictionary *body)
{
    const char *const role = dx_wire_get_string(body, DX_KEY_ROLE);
    const char *const token = dx_wire_get_string(body, DX_KEY_TOKEN);
    CHECK(role && strcmp(role, "driver") == 0);
    CHECK_EQ(dx_wire_get_number(body, DX_KEY_MAJOR, 0), DX_PROTOCOL_MAJOR);
    CHECK(rig->hellos ? token && strcmp(token, rig->token) == 0 : !token);
    rig->hellos++;
    answer(rig, dx_wire_get_number(body, DX_KEY_ID, 0), rig->hello_status);
}

static void
grant(struct rig *rig, const OSDictionary *body)
{
    const struct sched_param parameters = {.sched_priority = (int)dx_wire_get_number(body, "priority", 0)};
    const pid_t thread = (pid_t)dx_wire_get_number(body, "thread", 0);
    rig->realtime_requests++;
    const bool done =
        rig->grants_realtime && sched_setscheduler(thread, SCHED_FIFO | SCHED_RESET_ON_FORK, &parameters) == 0;
    answer(rig, dx_wire_get_number(body, DX_KEY_ID, 0), done ? kIOReturnSuccess : kIOReturnNotPermitted);
}

/* What comes next and is no request, which are answered here.  false: nothing, or it has closed. */
static bool
receive(struct rig *rig, int64_t end_ms, struct dx_message *ret_message)
{
    for (;;) {
        struct pollfd fd = {.fd = rig->socket, .events = POLLIN};
        const int64_t left_ms = end_ms - now_ms();
        const int ready = poll(&fd, 1, left_ms > 0 ? (int)left_ms : 0);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0 || dx_wire_receive(rig->socket, ret_message) != 1)
            return false;
        const char *const operation = dx_wire_get_string(ret_message->body, DX_KEY_OPERATION);
        if (!operation)
            return true;
        if (strcmp(operation, DX_OP_HELLO) == 0)
            greet(rig, ret_message->body);
        else if (strcmp(operation, DX_OP_REALTIME) == 0)
            grant(rig, ret_message->body);
        dx_message_finish(ret_message);
    }
}

static bool
matches(const struct dx_message *message, const char *event, uint64_t id)
{
    const char *const found = dx_wire_get_string(message->body, DX_KEY_EVENT);
    if (event)
        return found && strcmp(found, event) == 0;
    return !found && dx_wire_get_number(message->body, DX_KEY_ANSWER, 0) == id;
}

/* The first event of a name, or the answer to a request. */
static bool
take(struct rig *rig, const char *event, uint64_t id, int timeout_ms, struct dx_message *ret_message)
{
    const int64_t end_ms = now_ms() + timeout_ms;
    for (uint32_t i = 0;; i++) {
        if (i == rig->kept_count) {
            CHECK(rig->kept_count < RIG_MAX_KEPT);
            if (!receive(rig, end_ms, &rig->kept[rig->kept_count]))
                return false;
            rig->kept_count++;
        }
        if (!matches(&rig->kept[i], event, id))
            continue;
        *ret_message = rig->kept[i];
        rig->found_at = i;
        rig->kept_count--;
        memmove(&rig->kept[i], &rig->kept[i + 1], (rig->kept_count - i) * sizeof rig->kept[0]);
        return true;
    }
}

uint64_t
rig_send(struct rig *rig, OSDictionary *body, const int *fds, uint32_t fd_count)
{
    CHECK(body && OSDictionarySetUInt64Value(body, DX_KEY_ID, ++rig->last_id));
    CHECK_EQ(dx_wire_send(rig->socket, body, fds, fd_count), 0);
    OSObjectRelease(body);
    return rig->last_id;
}

void
rig_wait_answer(struct rig *rig, uint64_t id, struct dx_message *ret_answer)
{
    CHECK(take(rig, NULL, id, TIMEOUT_MS, ret_answer));
}

kern_return_t
rig_ask(struct rig *rig, OSDictionary *body, const int *fds, uint32_t fd_count, struct dx_message *ret_answer)
{
    struct dx_message message;
    rig_wait_answer(rig, rig_send(rig, body, fds, fd_count), &message);
    const kern_return_t status = (kern_return_t)dx_wire_get_number(message.body, DX_KEY_STATUS, 1);
    const char *const error = dx_wire_get_string(message.body, DX_KEY_ERROR);
    CHECK((status == kIOReturnSuccess) == !error); // whoever fails says why
    if (ret_answer)
        *ret_answer = message;
    else
        dx_message_finish(&message);
    return status;
}

void
rig_wait_event(struct rig *rig, const char *event, struct dx_message *ret_event)
{
    const bool came = take(rig, event, 0, TIMEOUT_MS, ret_event);
    if (!came)
        fprintf(stderr, "no event \"%s\" came\n", event);
    CHECK(came);
}

bool
rig_has_event(struct rig *rig, const char *event, int timeout_ms)
{
    struct dx_message message;
    if (!take(rig, event, 0, timeout_ms, &message))
        return false;
    dx_message_finish(&message);
    return true;
}

/* ---- requests ---- */

OSDictionary *
rig_request(const char *operation, const char *uid, uint64_t session)
{
    OSDictionary *const body = OSDictionaryCreate(8);
    CHECK(OSDictionarySetStringValue(body, DX_KEY_OPERATION, operation));
    if (uid)
        CHECK(OSDictionarySetStringValue(body, DX_KEY_UID, uid));
    if (session)
        CHECK(OSDictionarySetUInt64Value(body, DX_KEY_SESSION, session));
    return body;
}

OSDictionary *
rig_load_request(const struct rig *rig, const char *bundle, const char *personality)
{
    OSDictionary *const body = rig_request(DX_OP_LOAD, NULL, 0);
    CHECK(OSDictionarySetStringValue(body, DX_KEY_TOKEN, rig->token));
    CHECK(OSDictionarySetStringValue(body, "socket", rig->socket_path));
    CHECK(OSDictionarySetStringValue(body, "path", bundle));
    if (personality)
        CHECK(OSDictionarySetStringValue(body, "personality", personality));
    CHECK(OSDictionarySetUInt64Value(body, DX_KEY_INCARNATION, 7));
    return body;
}

OSDictionary *
rig_join_request(const char *uid, uint64_t session)
{
    OSDictionary *const body = rig_request(DX_OP_JOIN, uid, session);
    CHECK(OSDictionarySetStringValue(body, DX_KEY_NAME, "test"));
    CHECK(OSDictionarySetUInt64Value(body, "output", 0));
    CHECK(OSDictionarySetUInt64Value(body, "input", 0));
    CHECK(OSDictionarySetUInt64Value(body, "lane", 0));
    return body;
}

char *
rig_load(struct rig *rig, const char *bundle, const char *personality, OSDictionary *properties)
{
    OSDictionary *const body = rig_load_request(rig, bundle, personality);
    if (properties)
        CHECK(OSDictionarySetObject(body, "properties", properties));
    CHECK_EQ(rig_ask(rig, body, NULL, 0, NULL), kIOReturnSuccess);
    struct dx_message event;
    rig_wait_event(rig, DX_EVENT_LOADED, &event);
    const char *const error = dx_wire_get_string(event.body, DX_KEY_ERROR);
    if (error)
        fprintf(stderr, "%s\n", error);
    CHECK_EQ(dx_wire_get_number(event.body, DX_KEY_STATUS, 1), kIOReturnSuccess);
    dx_message_finish(&event);
    rig_wait_event(rig, DX_EVENT_DEVICE, &event);
    char *const uid = strdup(dx_wire_get_string(event.body, DX_KEY_UID));
    dx_message_finish(&event);
    return uid;
}

void
rig_play(struct rig *rig, const char *uid, uint64_t session, uint32_t channels, struct dx_lane *ret_lane)
{
    CHECK_EQ(dx_lane_create(ret_lane, "test", 8192, channels * 4u), 0);
    CHECK_EQ(rig_ask(rig, rig_join_request(uid, session), &ret_lane->pages.fd, 1, NULL), kIOReturnSuccess);
    CHECK_EQ(rig_ask(rig, rig_request(DX_OP_START, NULL, session), NULL, 0, NULL), kIOReturnSuccess);
}

/* ---- its life ---- */

static void
make_folder(struct rig *rig)
{
    snprintf(rig->folder, sizeof rig->folder, "/tmp/dextral-rig-XXXXXX");
    CHECK(mkdtemp(rig->folder));
    snprintf(rig->socket_path, sizeof rig->socket_path, "%s/socket", rig->folder);
    snprintf(rig->token, sizeof rig->token, "0123456789abcdef0123456789abcdef");
}

static void
start_process(struct rig *rig)
{
    int pair[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    rig->pid = fork();
    CHECK(rig->pid >= 0);
    if (rig->pid == 0) {
        /* By way of another number: dup2() onto itself would leave it to be closed. */
        char name[] = "dextral-driver";
        char *arguments[] = {name, NULL};
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); // a test that fails leaves nothing behind
        if (dup2(fcntl(pair[1], F_DUPFD_CLOEXEC, 100), 3) == 3)
            execv(DRIVER_PROGRAM, arguments);
        _exit(127);
    }
    close(pair[1]);
    rig->socket = pair[0];
}

static void
wait_hello(struct rig *rig)
{
    const uint32_t before = rig->hellos;
    const int64_t end_ms = now_ms() + TIMEOUT_MS;
    while (rig->hellos == before && now_ms() < end_ms) {
        CHECK(rig->kept_count < RIG_MAX_KEPT);
        if (receive(rig, now_ms() + 10, &rig->kept[rig->kept_count]))
            rig->kept_count++;
    }
    CHECK_EQ(rig->hellos, before + 1);
}

void
rig_start(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    rig->listener = -1;
    make_folder(rig);
    start_process(rig);
    wait_hello(rig);
}

void
rig_disconnect(struct rig *rig)
{
    close(rig->socket);
    rig->socket = -1;
}

void
rig_reconnect(struct rig *rig)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", rig->socket_path);
    (void)unlink(rig->socket_path);
    rig->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(rig->listener, (const struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQ(listen(rig->listener, 8), 0);
    struct pollfd fd = {.fd = rig->listener, .events = POLLIN};
    CHECK_EQ(poll(&fd, 1, TIMEOUT_MS), 1);
    rig->socket = accept4(rig->listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(rig->socket >= 0);
    close(rig->listener);
    wait_hello(rig);
}

static int
wait_end(struct rig *rig, int timeout_ms, bool kill_then)
{
    int status = 0;
    const int64_t end_ms = now_ms() + timeout_ms;
    pid_t ended;
    while ((ended = waitpid(rig->pid, &status, WNOHANG)) == 0 && now_ms() < end_ms)
        usleep(5000);
    if (ended == 0) {
        CHECK_EQ(kill(rig->pid, SIGKILL), 0);
        CHECK_EQ(waitpid(rig->pid, &status, 0), rig->pid);
        CHECK(kill_then);
    }
    for (uint32_t i = 0; i < rig->kept_count; i++)
        dx_message_finish(&rig->kept[i]);
    if (rig->socket >= 0)
        close(rig->socket);
    (void)unlink(rig->socket_path);
    CHECK_EQ(rmdir(rig->folder), 0);
    return status;
}

int
rig_wait_end(struct rig *rig)
{
    return wait_end(rig, END_TIMEOUT_MS, false);
}

int
rig_wait_end_within(struct rig *rig, int timeout_ms)
{
    return wait_end(rig, timeout_ms, true);
}

void
rig_quit(struct rig *rig)
{
    CHECK_EQ(rig_ask(rig, rig_request(DX_OP_QUIT, NULL, 0), NULL, 0, NULL), kIOReturnSuccess);
    const int status = rig_wait_end(rig);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

/* ---- what is there ---- */

uint32_t
rig_count_kept(const struct rig *rig, const char *event)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rig->kept_count; i++)
        count += matches(&rig->kept[i], event, 0);
    return count;
}

uint32_t
rig_count_files(const char *folder)
{
    DIR *const entries = opendir(folder);
    uint32_t count = 0;
    while (entries && readdir(entries))
        count++;
    if (entries)
        closedir(entries);
    return count;
}

static uint64_t
read_switches(const char *path)
{
    FILE *const file = fopen(path, "re");
    char line[256];
    unsigned long long count = 0;
    while (file && fgets(line, sizeof line, file))
        (void)sscanf(line, "voluntary_ctxt_switches: %llu", &count);
    if (file)
        fclose(file);
    return count;
}

uint64_t
rig_count_switches(const struct rig *rig)
{
    char folder[64];
    snprintf(folder, sizeof folder, "/proc/%d/task", (int)rig->pid);
    DIR *const tasks = opendir(folder);
    CHECK(tasks);
    uint64_t count = 0;
    for (const struct dirent *entry; (entry = readdir(tasks));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s/status", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            count += read_switches(path);
    }
    closedir(tasks);
    return count;
}
