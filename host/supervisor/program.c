// SPDX-License-Identifier: MIT
// Connections: hello, requests in, answers and events out.

#include "host/supervisor/program.h"

#include "host/error.h"
#include "host/protocol.h"
#include "host/supervisor/session.h"
#include "host/supervisor/unit.h"
#include "host/supervisor/user_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELLO_TIMEOUT_NS (5 * DX_NS_PER_S)

struct dx_program *
dx_program_find(struct dx_supervisor *supervisor, uint64_t number)
{
    for (struct dx_program *program = supervisor->programs; program; program = program->next)
        if (program->number == number)
            return program;
    return NULL;
}

void
dx_program_destroy(struct dx_program *program)
{
    struct dx_supervisor *const supervisor = program->supervisor;
    for (struct dx_program **at = &supervisor->programs; *at; at = &(*at)->next) {
        if (*at == program) {
            *at = program->next;
            break;
        }
    }
    if (program->refusal == kIOReturnSuccess)
        supervisor->program_count--;
    else
        supervisor->refused_count--;
    dx_channel_destroy(program->channel);
    dx_loop_timer_destroy(program->hello_timer);
    dx_sessions_leave_program(supervisor, program->number);
    dx_user_clients_leave_program(supervisor, program->number);
    free(program->name);
    free(program);
    dx_supervisor_listen(supervisor);
}

void
dx_program_tell(struct dx_program *program, const OSDictionary *body, const int *fds, uint32_t fd_count)
{
    /* Where it fails the channel is closed, and says so itself, later. */
    if (body)
        (void)dx_channel_send(program->channel, body, fds, fd_count);
}

void
dx_tell_all(struct dx_supervisor *supervisor, const OSDictionary *body)
{
    for (struct dx_program *program = supervisor->programs; program; program = program->next)
        if (program->wants_events)
            dx_program_tell(program, body, NULL, 0);
}

OSDictionary *
dx_event_create(const char *name)
{
    OSDictionary *event = OSDictionaryCreate(4);
    if (event && !OSDictionarySetStringValue(event, DX_KEY_EVENT, name))
        OSSafeReleaseNULL(event);
    return event;
}

/* Completes an answer with what every one has, and sends it.  @return as dx_channel_send(). */
static int
send_answer(struct dx_program *program, uint64_t id, kern_return_t status, const char *sentence,
            OSDictionary *answer, const int *fds, uint32_t fd_count)
{
    bool done = answer && OSDictionarySetUInt64Value(answer, DX_KEY_ANSWER, id) &&
                OSDictionarySetUInt64Value(answer, DX_KEY_STATUS, (uint32_t)status);
    if (done && status != kIOReturnSuccess)
        done = OSDictionarySetStringValue(answer, DX_KEY_ERROR,
                                          sentence && sentence[0] ? sentence : dx_return_string(status));
    return done ? dx_channel_send(program->channel, answer, fds, fd_count) : -ENOMEM;
}

void
dx_answer(struct dx_supervisor *supervisor, struct dx_ticket ticket, kern_return_t status, const char *sentence,
          OSDictionary *body, const int *fds, uint32_t fd_count)
{
    struct dx_program *const program = ticket.program ? dx_program_find(supervisor, ticket.program) : NULL;
    OSDictionary *const answer = body || !program ? body : OSDictionaryCreate(4);
    if (program && send_answer(program, ticket.id, status, sentence, answer, fds, fd_count) == -EMSGSIZE) {
        OSDictionary *const failure = OSDictionaryCreate(4);
        (void)send_answer(program, ticket.id, kIOReturnMessageTooLarge, "the answer does not fit into a message",
                          failure, NULL, 0);
        OSObjectRelease(failure);
    }
    OSObjectRelease(answer);
}

/* ---- hello ---- */

static void
answer_hello(struct dx_program *program, uint64_t id, kern_return_t status, const char *sentence)
{
    OSDictionary *const body = OSDictionaryCreate(8);
    const bool done = body && OSDictionarySetUInt64Value(body, DX_KEY_MAJOR, DX_PROTOCOL_MAJOR) &&
                      OSDictionarySetUInt64Value(body, DX_KEY_MINOR, DX_PROTOCOL_MINOR) &&
                      OSDictionarySetStringValue(body, "version", DX_VERSION) &&
                      OSDictionarySetUInt64Value(body, "pid", (uint64_t)getpid());
    const struct dx_ticket ticket = {program->number, id};
    dx_answer(program->supervisor, ticket, done ? status : kIOReturnNoMemory, sentence, body, NULL, 0);
}

/* Says why, and closes: what is in the socket by then still arrives. */
static void
refuse(struct dx_program *program, uint64_t id, kern_return_t status, const char *sentence)
{
    dx_log("connection of process %ld refused: %s", (long)program->pid, sentence);
    answer_hello(program, id, status, sentence);
    dx_program_destroy(program);
}

/* A driver process may connect again, as what it is.  As a program it would approve itself. */
static bool
is_driver_process(const struct dx_program *program)
{
    for (const struct dx_unit *unit = program->supervisor->units; unit; unit = unit->next)
        if (unit->pid > 0 && unit->pid == program->pid)
            return true;
    return false;
}

static void
handle_hello(struct dx_program *program, struct dx_message *message)
{
    const OSDictionary *const body = message->body;
    const char *const operation = dx_wire_get_string(body, DX_KEY_OPERATION);
    const char *const role = dx_wire_get_string(body, DX_KEY_ROLE);
    const char *const name = dx_wire_get_string(body, DX_KEY_NAME);
    const uint64_t id = dx_wire_get_number(body, DX_KEY_ID, 0);
    const uint64_t major = dx_wire_get_number(body, DX_KEY_MAJOR, 0);
    dx_error error;
    if (!operation || strcmp(operation, DX_OP_HELLO) != 0 || !role) {
        refuse(program, id, kIOReturnBadMessageID,
               "the first message must be a hello that says role, major and minor");
    } else if (major != DX_PROTOCOL_MAJOR) {
        (void)dx_error_set(
            &error, kIOReturnUnsupported,
            "it speaks version %llu of the protocol, and this supervisor version %u: use programs and "
            "supervisor of the same release",
            (unsigned long long)major, DX_PROTOCOL_MAJOR);
        refuse(program, id, kIOReturnUnsupported, error.message);
    } else if (program->refusal != kIOReturnSuccess) {
        refuse(program, id, program->refusal, program->refusal_error.message);
    } else if (strcmp(role, "driver") == 0) {
        const kern_return_t status = dx_unit_adopt(program, body, &error);
        if (status != kIOReturnSuccess)
            refuse(program, id, status, error.message);
        else
            dx_program_destroy(program); // the unit has a channel of its own on the same socket
    } else if (strcmp(role, "client") != 0) {
        refuse(program, id, kIOReturnBadArgument, "its hello has an unknown role");
    } else if (is_driver_process(program)) {
        refuse(program, id, kIOReturnNotPermitted, "a driver's process is no program");
    } else if (!(program->name = dx_copy_clean_text(name ? name : "unnamed"))) {
        refuse(program, id, kIOReturnNoMemory, "no memory");
    } else {
        program->wants_events = dx_wire_get_bool(body, "events");
        dx_loop_timer_destroy(program->hello_timer);
        program->hello_timer = NULL;
        answer_hello(program, id, kIOReturnSuccess, NULL);
    }
}

/* ---- the channel ---- */

static void
channel_message(void *context, struct dx_channel *channel, struct dx_message *message)
{
    (void)channel;
    struct dx_program *const program = context;
    if (!program->name) {
        handle_hello(program, message);
        return;
    }
    const char *const operation = dx_wire_get_string(message->body, DX_KEY_OPERATION);
    const struct dx_request request = {
        .program = program,
        .ticket = {program->number, dx_wire_get_number(message->body, DX_KEY_ID, 0)},
        .body = message->body,
        .message = message,
    };
    if (operation)
        dx_request_handle(program->supervisor, &request, operation);
}

static void
channel_closed(void *context, struct dx_channel *channel, int reason)
{
    (void)channel;
    struct dx_program *const program = context;
    const char *const name = program->name ? program->name : "a program that said no hello";
    if (reason == 0)
        dx_log_detail(program->supervisor, "%s [%ld] is gone", name, (long)program->pid);
    else
        dx_log("%s [%ld] is disconnected: %s", name, (long)program->pid,
               reason == -ENOBUFS   ? "it does not read what it is sent"
               : reason == -EBADMSG ? "it sent what is no message"
                                    : strerror(-reason));
    dx_program_destroy(program);
}

static const struct dx_channel_callbacks callbacks = {.message = channel_message, .closed = channel_closed};

static void
hello_is_late(void *context)
{
    struct dx_program *const program = context;
    dx_log("process %ld connected and said nothing: disconnected", (long)program->pid);
    dx_program_destroy(program);
}

/* Whether the program may talk to us; where not, its hello is answered with why. */
static void
judge_peer(struct dx_program *program, int socket)
{
    struct dx_supervisor *const supervisor = program->supervisor;
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t length = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
        peer = (struct ucred){.uid = (uid_t)-1};
    program->pid = peer.pid;
    program->uid = peer.uid;
    if (peer.uid != geteuid() && peer.uid != 0)
        program->refusal = dx_error_set(&program->refusal_error, kIOReturnNotPermitted,
                                        "this supervisor serves user %ld, and the program runs as user %ld",
                                        (long)geteuid(), (long)peer.uid);
    else if (supervisor->program_count >= DX_MAX_PROGRAMS)
        program->refusal =
            dx_error_set(&program->refusal_error, kIOReturnNoResources,
                         "%u programs are connected already, and no more are allowed", DX_MAX_PROGRAMS);
}

void
dx_program_connect(struct dx_supervisor *supervisor, int socket)
{
    struct dx_program *const program = calloc(1, sizeof *program);
    if (!program) {
        close(socket);
        return;
    }
    program->supervisor = supervisor;
    program->number = ++supervisor->last_program;
    judge_peer(program, socket);
    if (program->refusal == kIOReturnSuccess)
        supervisor->program_count++;
    else
        supervisor->refused_count++;
    program->next = supervisor->programs;
    supervisor->programs = program;

    program->channel = dx_channel_create(supervisor->loop, socket, &callbacks, program);
    program->hello_timer = dx_loop_timer_create(supervisor->loop, hello_is_late, program);
    if (!program->channel || !program->hello_timer)
        dx_program_destroy(program);
    else
        dx_loop_timer_set(program->hello_timer, HELLO_TIMEOUT_NS);
}
