// SPDX-License-Identifier: MIT
// Messages of a program and of a driver process, in any order: the supervisor survives them, and serves the next one.
//
// An input is a sequence of messages: who sends (0: the program, 1: the driver process, 2: a program that has just
// connected), two bytes of length, and the bytes of the body, little-endian.  A sealed memfd rides along with each.

#include "core/pages.h"
#include "host/protocol.h"
#include "host/supervisor/bundles.h"
#include "host/supervisor/program.h"
#include "host/supervisor/unit.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_MESSAGES 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rig {
    char folder[64];
    struct dx_supervisor *supervisor;
    int program;
    int driver;
    int memory;
};

/* Instead of those of the supervisor: nobody reads them here. */
void
dx_log(const char *format, ...)
{
    (void)format;
}

void
dx_log_detail(const struct dx_supervisor *supervisor, const char *format, ...)
{
    (void)supervisor;
    (void)format;
}

static int
remove_entry(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status;
    (void)kind;
    (void)at;
    return remove(path);
}

static void
quit(void *context)
{
    dx_loop_quit(context);
}

/* What has come is taken, what it leads to too. */
static void
turn(const struct rig *rig)
{
    for (unsigned i = 0; i < 2; i++) {
        if (!dx_loop_post(rig->supervisor->loop, quit, rig->supervisor->loop))
            abort();
        dx_loop_run(rig->supervisor->loop);
    }
}

static void
send_bytes(const struct rig *rig, int socket, const uint8_t *bytes, size_t length)
{
    uint8_t head[8] = {'1', 'D', 'X', 'W'};
    for (unsigned i = 0; i < 4; i++)
        head[4 + i] = (uint8_t)(length >> (8 * i));
    union {
        struct cmsghdr aligned;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec parts[2] = {{.iov_base = head, .iov_len = sizeof head}, {.iov_len = length}};
    memcpy(&parts[1].iov_base, &bytes, sizeof bytes); // it is only read, and iovec knows no const
    struct msghdr packet = {
        .msg_iov = parts, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control};
    control.aligned.cmsg_level = SOL_SOCKET;
    control.aligned.cmsg_type = SCM_RIGHTS;
    control.aligned.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.aligned), &rig->memory, sizeof(int));
    (void)sendmsg(socket, &packet, MSG_NOSIGNAL | MSG_DONTWAIT); // it may have been disconnected
}

static void
send_hello(const struct rig *rig, int socket, const char *role)
{
    OSDictionary *const hello = OSDictionaryCreate(8);
    if (!hello || !OSDictionarySetStringValue(hello, DX_KEY_OPERATION, DX_OP_HELLO) ||
        !OSDictionarySetStringValue(hello, DX_KEY_ROLE, role) ||
        !OSDictionarySetStringValue(hello, DX_KEY_NAME, "fuzz") || !dx_wire_set_bool(hello, "events", true) ||
        !OSDictionarySetUInt64Value(hello, DX_KEY_MAJOR, DX_PROTOCOL_MAJOR))
        abort();
    (void)dx_wire_send(socket, hello, NULL, 0);
    OSObjectRelease(hello);
    turn(rig);
}

static int
connect_program(const struct rig *rig)
{
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
        abort();
    dx_program_connect(rig->supervisor, sockets[0]);
    return sockets[1];
}

/* A declared device, and a driver process of it that the fuzzer plays. */
static void
connect_driver(struct rig *rig)
{
    int sockets[2];
    const struct dx_declared *declared;
    if (dx_declarations_create(rig->supervisor->declarations, "null", NULL, &declared, NULL) != kIOReturnSuccess ||
        dx_declared_add(rig->supervisor, declared) != kIOReturnSuccess ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
        abort();
    struct dx_unit *const unit = rig->supervisor->units;
    unit->path = strdup("/nowhere");
    unit->version = strdup("1.0");
    unit->state = DX_UNIT_STARTING;
    if (!unit->path || !unit->version || !dx_unit_connect(unit, sockets[0]))
        abort();
    rig->driver = sockets[1];
    send_hello(rig, rig->driver, "driver");
}

static void
begin(struct rig *rig)
{
    static const char *const variables[] = {"DEXTRAL_RUNTIME_DIR", "DEXTRAL_CONFIG_DIR", "DEXTRAL_STATE_DIR",
                                            "DEXTRAL_DRIVER_PATH", "DEXTRAL_KINDS_DIR"};
    const char *const temporary = getenv("TMPDIR");
    *rig = (struct rig){0};
    (void)snprintf(rig->folder, sizeof rig->folder, "%s/dextral-fuzz-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(rig->folder))
        abort();
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        char path[96];
        (void)snprintf(path, sizeof path, "%s/%zu", rig->folder, i);
        if (setenv(variables[i], path, 1) != 0)
            abort();
    }
    sigset_t before;
    (void)sigprocmask(SIG_BLOCK, NULL, &before);
    const struct dx_supervisor_config config = {.listen_fd = -1};
    dx_error error;
    if (dx_supervisor_create(&config, &rig->supervisor, &error) != kIOReturnSuccess) {
        (void)fprintf(stderr, "%s\n", error.message);
        abort();
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    rig->memory = dx_pages_open("fuzz", 65536);
    connect_driver(rig);
    rig->program = connect_program(rig);
    send_hello(rig, rig->program, "client");
}

static void
end(struct rig *rig)
{
    const int last = connect_program(rig);
    send_hello(rig, last, "client");
    struct dx_message answer = {0};
    if (dx_wire_receive(last, &answer) != 1 || dx_wire_get_number(answer.body, DX_KEY_STATUS, 1) != 0)
        abort(); // nobody is served any more
    dx_message_finish(&answer);
    dx_supervisor_destroy(rig->supervisor);
    (void)close(last);
    (void)close(rig->program);
    (void)close(rig->driver);
    (void)close(rig->memory);
    (void)nftw(rig->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig rig;
    begin(&rig);
    for (unsigned i = 0; i < MAX_MESSAGES && size >= 3; i++) {
        size_t length = data[1] | (size_t)data[2] << 8;
        length = length < size - 3 ? length : size - 3;
        const int fresh = data[0] % 3 == 2 ? connect_program(&rig) : -1;
        send_bytes(&rig, fresh >= 0 ? fresh : data[0] % 3 ? rig.driver : rig.program, data + 3, length);
        turn(&rig);
        if (fresh >= 0)
            (void)close(fresh);
        data += 3 + length;
        size -= 3 + length;
    }
    end(&rig);
    return 0;
}
