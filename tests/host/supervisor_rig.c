// SPDX-License-Identifier: MIT
// A supervisor, a real one, in folders of a test's own, and programs that talk to it by hand.

#include "tests/host/supervisor_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define END_TIMEOUT_MS 10000
#define ANSWER_TIMEOUT_MS 40000
#define EVENT_TIMEOUT_MS 15000

int64_t
now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
sleep_ms(unsigned ms)
{
    const struct timespec time = {(time_t)(ms / 1000u), (long)(ms % 1000u) * 1000000};
    (void)nanosleep(&time, NULL);
}

__attribute__((format(printf, 3, 4))) static void
write_path(char *path, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    CHECK(vsnprintf(path, size, format, arguments) < (int)size);
    va_end(arguments);
}

/* ---- the machine ---- */

void
machine_create(struct machine *machine)
{
    static const char *const folders[][2] = {
        {"DEXTRAL_RUNTIME_DIR", "run"},
        {"DEXTRAL_CONFIG_DIR", "config"},
        {"DEXTRAL_STATE_DIR", "state"},
        {"DEXTRAL_DRIVER_PATH", "drivers"},
    };
    *machine = (struct machine){0};
    strcpy(machine->folder, "/tmp/dextral-test-XXXXXX");
    CHECK(mkdtemp(machine->folder));
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[128];
        write_path(path, sizeof path, "%s/%s", machine->folder, folders[i][1]);
        CHECK_EQ(mkdir(path, 0700), 0);
        CHECK_EQ(setenv(folders[i][0], path, 1), 0);
    }
    CHECK_EQ(setenv("DEXTRAL_DRIVER_PROGRAM", DRIVER_PROGRAM, 1), 0);
    CHECK_EQ(setenv("DEXTRAL_KINDS_DIR", EXAMPLES, 1), 0);
    CHECK_EQ(setenv("DEXTRAL_IDLE_MS", "300", 1), 0);
    write_path(machine->socket_path, sizeof machine->socket_path, "%s/run/socket", machine->folder);
    write_path(machine->log_path, sizeof machine->log_path, "%s/log", machine->folder);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

static void
run_supervisor(const struct machine *machine, const char *const *arguments)
{
    const char *all[16] = {SUPERVISOR, "--verbose"};
    size_t count = 2;
    for (size_t i = 0; arguments && arguments[i]; i++)
        all[count++] = arguments[i];
    const int log = machine->log_fd ? machine->log_fd : open(machine->log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    (void)dup2(log, STDERR_FILENO);
    const struct rlimit limit = {machine->most_descriptors, machine->most_descriptors};
    if (machine->most_descriptors && setrlimit(RLIMIT_NOFILE, &limit) != 0)
        _exit(126);
    if (machine->is_without_descriptors)
        (void)close_range(STDIN_FILENO, ~0U, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    char *writable[16] = {0};
    memcpy(writable, all, sizeof writable);
    (void)execv(SUPERVISOR, writable);
    _exit(127);
}

void
machine_start(struct machine *machine, const char *const *arguments)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    write_path(address.sun_path, sizeof address.sun_path, "%s/notify", machine->folder);
    (void)unlink(address.sun_path);
    const int notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(notify >= 0);
    CHECK_EQ(bind(notify, (const struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQ(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
    machine->supervisor = fork();
    CHECK(machine->supervisor >= 0);
    if (machine->supervisor == 0)
        run_supervisor(machine, arguments);
    struct pollfd ready = {.fd = notify, .events = POLLIN};
    char text[64] = "";
    CHECK_EQ(poll(&ready, 1, 20000), 1);
    CHECK(recv(notify, text, sizeof text - 1, 0) > 0);
    CHECK_EQ(strcmp(text, "READY=1"), 0);
    (void)close(notify);
    CHECK_EQ(unsetenv("NOTIFY_SOCKET"), 0);
}

/* Waits for one process. */
static int
wait_process(pid_t pid)
{
    int status = 0;
    const int64_t end_ms = now_ms() + END_TIMEOUT_MS;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        CHECK(now_ms() < end_ms);
        sleep_ms(5);
    }
    return status;
}

int
machine_end(struct machine *machine, int signal_number)
{
    CHECK_EQ(kill(machine->supervisor, signal_number), 0);
    const int status = wait_process(machine->supervisor);
    machine->supervisor = 0;
    return status;
}

/* What the sanitizers found in any of our processes is a failure of the test. */
static void
check_log(const struct machine *machine)
{
    CHECK(!machine_has_said(machine, "ERROR: "));
    CHECK(!machine_has_said(machine, "runtime error: "));
    CHECK(!machine_has_said(machine, "WARNING: ThreadSanitizer"));
}

void
machine_destroy(struct machine *machine)
{
    if (machine->supervisor) {
        const int status = machine_end(machine, SIGINT);
        CHECK(WIFEXITED(status));
        CHECK_EQ(WEXITSTATUS(status), 0);
    }
    check_log(machine);
    /* This process gets the children of those that are gone: in the end there are none. */
    const int64_t end_ms = now_ms() + END_TIMEOUT_MS;
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0) {
        CHECK(pid > 0 || now_ms() < end_ms);
        sleep_ms(pid ? 0 : 5);
    }
    char command[256];
    write_path(command, sizeof command, "rm -rf $(readlink %s/run/recordings) %s", machine->folder,
               machine->folder);
    CHECK_EQ(system(command), 0);
}

bool
machine_has_said(const struct machine *machine, const char *text)
{
    FILE *const file = fopen(machine->log_path, "r");
    char line[2048];
    bool is_found = false;
    while (file && !is_found && fgets(line, sizeof line, file))
        is_found = strstr(line, text) != NULL;
    if (file)
        (void)fclose(file);
    return is_found;
}

void
machine_wait_said(const struct machine *machine, const char *text)
{
    const int64_t end_ms = now_ms() + EVENT_TIMEOUT_MS;
    while (!machine_has_said(machine, text)) {
        if (now_ms() >= end_ms)
            (void)fprintf(stderr, "not said: %s\n", text);
        CHECK(now_ms() < end_ms);
        sleep_ms(10);
    }
}

static void
copy_file(const char *from, const char *to)
{
    char command[512];
    write_path(command, sizeof command, "cp '%s' '%s'", from, to);
    CHECK_EQ(system(command), 0);
}

void
machine_add_bundle(const struct machine *machine, const char *name, const char *fault)
{
    char folder[128];
    char path[192];
    write_path(folder, sizeof folder, "%s/drivers/%s.dext", machine->folder, name);
    (void)mkdir(folder, 0700); // it may be there: an update
    write_path(path, sizeof path, "%s/Info.plist", folder);
    FILE *const file = fopen(path, "w");
    CHECK(file);
    (void)fprintf(file,
                  "<plist version=\"1.0\"><dict><key>CFBundleIdentifier</key><string>org.dextral.test.%s</string>"
                  "<key>CFBundleShortVersionString</key><string>1.0</string>"
                  "<key>CFBundleExecutable</key><string>Fault.so</string>"
                  "<key>IOKitPersonalities</key><dict><key>Faulty</key><dict>"
                  "<key>IOProviderClass</key><string>IOUserResources</string>"
                  "<key>IOUserClass</key><string>FaultyAudioDriver</string>"
                  "<key>DeviceUID</key><string>%s</string><key>Fault</key><string>%s</string>"
                  "<key>IOUserAudioDriverUserClientProperties</key><dict>"
                  "<key>IOClass</key><string>IOUserUserClient</string>"
                  "<key>IOUserClass</key><string>IOUserAudioDriverUserClient</string></dict>"
                  "</dict></dict></dict></plist>\n",
                  name, name, fault);
    CHECK_EQ(fclose(file), 0);
    CHECK_EQ(chmod(path, 0600), 0);
    write_path(path, sizeof path, "%s/Fault.so", folder);
    copy_file(strcmp(fault, "crash at load") == 0 ? BUNDLES "/CrashAtLoad.dext/CrashAtLoad.so"
                                                  : BUNDLES "/Fault.dext/Fault.so",
              path);
    CHECK_EQ(chmod(path, 0700), 0);
}

/* ---- programs ---- */

bool
caller_connect(struct caller *caller, const struct machine *machine)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *caller = (struct caller){.socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
    CHECK(caller->socket >= 0);
    strcpy(address.sun_path, machine->socket_path);
    if (connect(caller->socket, (const struct sockaddr *)&address, sizeof address) == 0)
        return true;
    caller_close(caller);
    return false;
}

void
caller_open(struct caller *caller, const struct machine *machine, const char *name)
{
    CHECK(caller_connect(caller, machine));
    OSDictionary *const hello = request(DX_OP_HELLO);
    set_text(hello, DX_KEY_ROLE, "client");
    set_text(hello, DX_KEY_NAME, name);
    set_number(hello, DX_KEY_MAJOR, DX_PROTOCOL_MAJOR);
    set_number(hello, DX_KEY_MINOR, DX_PROTOCOL_MINOR);
    CHECK(dx_wire_set_bool(hello, "events", true));
    CHECK_EQ(ask(caller, hello, NULL, 0, NULL), kIOReturnSuccess);
}

void
caller_close(struct caller *caller)
{
    for (uint32_t i = 0; i < caller->kept_count; i++)
        dx_message_finish(&caller->kept[i]);
    if (caller->socket >= 0)
        (void)close(caller->socket);
    *caller = (struct caller){.socket = -1};
}

OSDictionary *
request(const char *operation)
{
    OSDictionary *const body = OSDictionaryCreate(8);
    CHECK(body);
    set_text(body, DX_KEY_OPERATION, operation);
    return body;
}

OSDictionary *
request_about(const char *operation, const char *uid)
{
    OSDictionary *const body = request(operation);
    set_text(body, DX_KEY_UID, uid);
    return body;
}

OSDictionary *
request_of(const char *operation, uint64_t session)
{
    OSDictionary *const body = request(operation);
    set_number(body, DX_KEY_SESSION, session);
    return body;
}

void
set_number(OSDictionary *body, const char *key, uint64_t value)
{
    CHECK(OSDictionarySetUInt64Value(body, key, value));
}

void
set_text(OSDictionary *body, const char *key, const char *value)
{
    CHECK(OSDictionarySetStringValue(body, key, value));
}

static bool
matches(const struct dx_message *message, const char *event, uint64_t id)
{
    const char *const found = dx_wire_get_string(message->body, DX_KEY_EVENT);
    if (event)
        return found && strcmp(found, event) == 0;
    return !found && dx_wire_get_number(message->body, DX_KEY_ANSWER, 0) == id;
}

static bool
receive(struct caller *caller, int64_t end_ms)
{
    const int64_t left_ms = end_ms - now_ms();
    struct pollfd ready = {.fd = caller->socket, .events = POLLIN};
    if (poll(&ready, 1, left_ms > 0 ? (int)left_ms : 0) != 1)
        return false;
    if (caller->kept_count == RIG_KEPT) { // the oldest goes: nobody has asked for it
        dx_message_finish(&caller->kept[0]);
        memmove(&caller->kept[0], &caller->kept[1], (RIG_KEPT - 1) * sizeof caller->kept[0]);
        caller->kept_count--;
    }
    if (dx_wire_receive(caller->socket, &caller->kept[caller->kept_count]) != 1)
        return false;
    caller->kept_count++;
    return true;
}

/* The first event of a name, or the answer to a request. */
static bool
take(struct caller *caller, const char *event, uint64_t id, int timeout_ms, struct dx_message *ret_message)
{
    const int64_t end_ms = now_ms() + timeout_ms;
    do {
        for (uint32_t i = 0; i < caller->kept_count; i++) {
            if (!matches(&caller->kept[i], event, id))
                continue;
            *ret_message = caller->kept[i];
            caller->kept_count--;
            memmove(&caller->kept[i], &caller->kept[i + 1], (caller->kept_count - i) * sizeof caller->kept[0]);
            return true;
        }
    } while (receive(caller, end_ms));
    return false;
}

uint64_t
send_request(struct caller *caller, OSDictionary *body, const int *fds, uint32_t fd_count)
{
    set_number(body, DX_KEY_ID, ++caller->last_id);
    CHECK_EQ(dx_wire_send(caller->socket, body, fds, fd_count), 0);
    OSObjectRelease(body);
    return caller->last_id;
}

kern_return_t
wait_answer(struct caller *caller, uint64_t id, struct dx_message *ret_answer)
{
    struct dx_message answer;
    CHECK(take(caller, NULL, id, ANSWER_TIMEOUT_MS, &answer));
    const kern_return_t status = (kern_return_t)dx_wire_get_number(answer.body, DX_KEY_STATUS, kIOReturnInvalid);
    if (ret_answer)
        *ret_answer = answer;
    else
        dx_message_finish(&answer);
    return status;
}

kern_return_t
ask(struct caller *caller, OSDictionary *body, const int *fds, uint32_t fd_count, struct dx_message *ret_answer)
{
    return wait_answer(caller, send_request(caller, body, fds, fd_count), ret_answer);
}

void
ask_refused(struct caller *caller, OSDictionary *body, const int *fds, uint32_t fd_count, kern_return_t wanted,
            const char *text)
{
    struct dx_message answer;
    const kern_return_t status = ask(caller, body, fds, fd_count, &answer);
    const char *const sentence = dx_wire_get_string(answer.body, DX_KEY_ERROR);
    if (status != wanted || !sentence || !strstr(sentence, text))
        (void)fprintf(stderr, "%s: %s, not %s with \"%s\"\n", dx_return_string(status), sentence ? sentence : "",
                      dx_return_string(wanted), text);
    CHECK_EQ(status, wanted);
    CHECK(sentence && strstr(sentence, text));
    dx_message_finish(&answer);
}

void
wait_event(struct caller *caller, const char *event, struct dx_message *ret_event)
{
    if (!take(caller, event, 0, EVENT_TIMEOUT_MS, ret_event)) {
        (void)fprintf(stderr, "event %s did not come\n", event);
        CHECK(false);
    }
}

bool
has_event(struct caller *caller, const char *event, int timeout_ms)
{
    struct dx_message message;
    if (!take(caller, event, 0, timeout_ms, &message))
        return false;
    dx_message_finish(&message);
    return true;
}

/* ---- devices ---- */

void
create_cable(struct caller *caller, const char *uid)
{
    OSDictionary *const body = request(DX_OP_CREATE);
    OSDictionary *const options = OSDictionaryCreate(2);
    set_text(body, "kind", "cable");
    set_text(options, "name", uid);
    set_text(options, "uid", uid);
    CHECK(dx_wire_take(body, "options", options));
    CHECK_EQ(ask(caller, body, NULL, 0, NULL), kIOReturnSuccess);
}

OSDictionary *
describe(struct caller *caller, const char *uid)
{
    struct dx_message answer;
    CHECK_EQ(ask(caller, request_about(DX_OP_DESCRIBE, uid), NULL, 0, &answer), kIOReturnSuccess);
    OSDictionary *const description = dx_wire_get_dictionary(answer.body, DX_KEY_DESCRIPTION);
    CHECK(description);
    (void)OSObjectRetain(description);
    dx_message_finish(&answer);
    return description;
}

void
wait_state(struct caller *caller, const char *uid, const char *state)
{
    const int64_t end_ms = now_ms() + EVENT_TIMEOUT_MS;
    for (;;) {
        OSDictionary *const description = describe(caller, uid);
        const char *const found = dx_wire_get_string(description, "state");
        CHECK(found);
        const bool is_reached = strcmp(found, state) == 0;
        if (!is_reached && now_ms() >= end_ms)
            (void)fprintf(stderr, "%s is %s, not %s\n", uid, found, state);
        OSObjectRelease(description);
        if (is_reached)
            return;
        CHECK(now_ms() < end_ms);
        sleep_ms(10);
    }
}

uint64_t
describe_number(struct caller *caller, const char *uid, const char *key)
{
    OSDictionary *const description = describe(caller, uid);
    const uint64_t number = dx_wire_get_number(description, key, 0);
    OSObjectRelease(description);
    return number;
}

OSDictionary *
request_bundle(const char *operation, const char *name)
{
    char identifier[96];
    OSDictionary *const body = request(operation);
    (void)snprintf(identifier, sizeof identifier, "org.dextral.test.%s", name);
    set_text(body, "bundle", identifier);
    return body;
}

void
approve(struct caller *caller, const char *name)
{
    CHECK_EQ(ask(caller, request_bundle(DX_OP_APPROVE, name), NULL, 0, NULL), kIOReturnSuccess);
}

void
read_driver(struct caller *caller, const char *name, const char *key, char *text, size_t size)
{
    char identifier[96];
    struct dx_message answer;
    (void)snprintf(identifier, sizeof identifier, "org.dextral.test.%s", name);
    CHECK_EQ(ask(caller, request(DX_OP_DRIVERS), NULL, 0, &answer), kIOReturnSuccess);
    OSArray *const drivers = dx_wire_get_array(answer.body, "drivers");
    text[0] = '\0';
    for (size_t i = 0; i < OSArrayGetCount(drivers); i++) {
        const OSDictionary *const driver = OSArrayGetObject(drivers, i);
        const char *const bundle = dx_wire_get_string(driver, "bundle");
        const char *const path = dx_wire_get_string(driver, "path");
        const bool is_it = bundle ? strcmp(bundle, identifier) == 0 : path && strstr(path, name);
        const char *const value = dx_wire_get_string(driver, key);
        OSArray *const list = dx_wire_get_array(driver, key);
        if (is_it && value)
            (void)snprintf(text, size, "%s", value);
        for (size_t k = 0; is_it && list && k < OSArrayGetCount(list); k++)
            (void)snprintf(text + strlen(text), size - strlen(text), "%s; ",
                           OSStringGetCStringNoCopy(OSArrayGetObject(list, k)));
    }
    dx_message_finish(&answer);
}

void
expect_driver(struct caller *caller, const char *name, const char *key, const char *wanted)
{
    char text[1000];
    read_driver(caller, name, key, text, sizeof text);
    if (!strstr(text, wanted))
        (void)fprintf(stderr, "%s: %s is \"%s\", not \"%s\"\n", name, key, text, wanted);
    CHECK(strstr(text, wanted));
}

bool
is_listed(struct caller *caller, const char *uid)
{
    return ask(caller, request_about(DX_OP_DESCRIBE, uid), NULL, 0, NULL) == kIOReturnSuccess;
}

void
wait_listed(struct caller *caller, const char *uid, bool wanted)
{
    const int64_t end_ms = now_ms() + 15000;
    while (is_listed(caller, uid) != wanted) {
        if (now_ms() >= end_ms)
            (void)fprintf(stderr, "%s is %slisted\n", uid, wanted ? "not " : "");
        CHECK(now_ms() < end_ms);
        sleep_ms(10);
    }
}

void
make_lane(struct dx_lane *lane)
{
    CHECK_EQ(dx_lane_create(lane, "test-lane", 8192, 8), 0);
}

kern_return_t
open_session(struct caller *caller, const char *uid, uint64_t session, const struct dx_lane *lane,
             struct dx_message *ret_answer)
{
    OSDictionary *const body = request_about(DX_OP_OPEN, uid);
    set_number(body, DX_KEY_SESSION, session);
    set_number(body, "output", 0);
    set_number(body, "input", 0);
    set_number(body, "io-frames", 256);
    set_number(body, "lane", 0);
    return ask(caller, body, &lane->pages.fd, 1, ret_answer);
}

const struct dx_device_page *
map_page(struct dx_message *message)
{
    const struct dx_device_page *page = NULL;
    const uint64_t index = dx_wire_get_number(message->body, "page", DX_WIRE_MAX_FDS);
    CHECK(index < message->fd_count);
    CHECK_EQ(dx_device_page_map(message->fds[index], NULL, &page), 0);
    return page;
}
