// SPDX-License-Identifier: MIT
// A driver process's control thread: its loop, the connection to the supervisor, and who answers what.

#include "host/driver/process.h"

#include "audio/follow.h"
#include "host/driver/state.h"
#include "host/driver/user_clients.h"
#include "host/line.h"
#include "host/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define FIRST_PAUSE_NS (10 * NS_PER_MS)
#define LONGEST_PAUSE_NS NS_PER_S
#define LONELY_NS (300 * NS_PER_S)    // without a supervisor: it was killed, and may come back ...
#define LEFT_ALONE_NS (30 * NS_PER_S) // ... or has ended in good order, and is perhaps being replaced
#define QUIT_NS (5 * NS_PER_S)

/* ---- for everybody ---- */

void
dx_process_log(const char *format, ...)
{
    char prefix[40];
    va_list arguments;
    (void)snprintf(prefix, sizeof prefix, "dextral-driver[%ld]", (long)getpid());
    va_start(arguments, format);
    dx_line_write(prefix, format, arguments);
    va_end(arguments);
}

void
dx_process_post(struct dx_driver_process *process, void (*function)(void *context), void *context)
{
    const struct timespec moment = {.tv_nsec = (long)NS_PER_MS};
    while (!dx_loop_post(process->loop, function, context))
        (void)nanosleep(&moment, NULL); // what was done has to be told: there may be memory soon
}

OSDictionary *
dx_process_event(const char *event)
{
    OSDictionary *body = OSDictionaryCreate(8);
    if (body && !OSDictionarySetStringValue(body, DX_KEY_EVENT, event))
        OSSafeReleaseNULL(body);
    return body;
}

bool
dx_process_send(struct dx_driver_process *process, OSDictionary *body, const int *fds, uint32_t fd_count)
{
    /* Without a connection nothing is lost: a new supervisor is told what there is. */
    const int r = !body              ? -ENOMEM
                  : process->channel ? dx_channel_send(process->channel, body, fds, fd_count)
                                     : -EPIPE;
    OSObjectRelease(body);
    if (r < 0 && process->channel)
        dx_process_log("a message to the supervisor is lost: %s", strerror(-r));
    return r == 0;
}

void
dx_process_answer(struct dx_driver_process *process, uint32_t connection, uint64_t id, kern_return_t status,
                  const char *sentence, OSDictionary *answer, int fd)
{
    if (!process->channel || connection != process->connection) {
        OSObjectRelease(answer);
        return;
    }
    OSDictionary *body = answer ? answer : OSDictionaryCreate(4);
    if (body &&
        !(OSDictionarySetUInt64Value(body, DX_KEY_ANSWER, id) &&
          OSDictionarySetUInt64Value(body, DX_KEY_STATUS, (uint32_t)status) &&
          (status == kIOReturnSuccess ||
           OSDictionarySetStringValue(body, DX_KEY_ERROR, sentence[0] ? sentence : dx_return_string(status)))))
        OSSafeReleaseNULL(body);
    (void)dx_process_send(process, body, &fd, fd >= 0 ? 1 : 0);
}

/* ---- the end ---- */

static void
quit_is_late(void *context)
{
    (void)context;
    dx_process_log("the driver does not stop: the process ends without it");
    _exit(DX_DRIVER_EXIT_DOES_NOT_STOP);
}

void
dx_process_check_quit(struct dx_driver_process *process)
{
    if (process->state != DX_PROCESS_QUITTING || process->jobs || process->is_unloading)
        return;
    process->is_unloading = true;
    dx_process_unload(process);
}

void
dx_process_quit(struct dx_driver_process *process, int exit_status)
{
    if (process->state == DX_PROCESS_QUITTING)
        return;
    process->state = DX_PROCESS_QUITTING;
    process->exit_status = exit_status;
    dx_loop_timer_set(process->quit_timer, QUIT_NS);
    dx_process_leave_all(process);
    dx_user_clients_leave_all(process);
    dx_process_check_quit(process);
}

static void
take_signal(void *context, int fd, uint32_t events)
{
    (void)events;
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) == (ssize_t)sizeof info)
        dx_process_quit(context, DX_DRIVER_EXIT_DONE);
}

/* ---- the supervisor ---- */

static void
lonely_for_long(void *context)
{
    struct dx_driver_process *const process = context;
    dx_process_log("no supervisor has come: the driver is stopped");
    dx_process_quit(process, DX_DRIVER_EXIT_DONE);
}

static void
lose_supervisor(struct dx_driver_process *process)
{
    dx_channel_destroy(process->channel);
    process->channel = NULL;
    process->connection++;
    dx_process_realtime_give_up(process);
    dx_user_clients_leave_all(process);
    if (!process->token || !process->socket_path) {
        dx_process_quit(process, DX_DRIVER_EXIT_NOT_STARTED);
        return;
    }
    if (!process->is_lonely) {
        process->is_lonely = true;
        process->pause_ns = FIRST_PAUSE_NS;
        dx_process_log("the supervisor is gone: the driver goes on");
        dx_loop_timer_set(process->lonely_timer, process->has_left ? LEFT_ALONE_NS : LONELY_NS);
    }
    dx_loop_timer_set(process->connect_timer, process->pause_ns);
    process->pause_ns = 2 * process->pause_ns < LONGEST_PAUSE_NS ? 2 * process->pause_ns : LONGEST_PAUSE_NS;
}

static bool
say_hello(struct dx_driver_process *process)
{
    OSDictionary *body = OSDictionaryCreate(8);
    process->hello_id = ++process->last_request;
    if (body && !(OSDictionarySetStringValue(body, DX_KEY_OPERATION, DX_OP_HELLO) &&
                  OSDictionarySetUInt64Value(body, DX_KEY_ID, process->hello_id) &&
                  OSDictionarySetStringValue(body, DX_KEY_ROLE, "driver") &&
                  OSDictionarySetUInt64Value(body, DX_KEY_MAJOR, DX_PROTOCOL_MAJOR) &&
                  OSDictionarySetUInt64Value(body, DX_KEY_MINOR, DX_PROTOCOL_MINOR) &&
                  (!process->token || OSDictionarySetStringValue(body, DX_KEY_TOKEN, process->token))))
        OSSafeReleaseNULL(body);
    return dx_process_send(process, body, NULL, 0);
}

/* The first connection is greeted to be told what to load; a later one by a supervisor that is new. */
static void
take_greeting(struct dx_driver_process *process, const OSDictionary *body)
{
    const kern_return_t status = (kern_return_t)dx_wire_get_number(body, DX_KEY_STATUS, kIOReturnSuccess);
    if (status != kIOReturnSuccess) {
        const char *const sentence = dx_wire_get_string(body, DX_KEY_ERROR);
        dx_process_log("the supervisor says no: %.400s", sentence ? sentence : dx_return_string(status));
        /* One that does not know the token, or another protocol, will not know it later; else it may. */
        if (process->token && (status == kIOReturnNotPermitted || status == kIOReturnUnsupported))
            dx_process_quit(process, DX_DRIVER_EXIT_DONE);
        else
            lose_supervisor(process);
        return;
    }
    process->is_lonely = false;
    process->has_left = false;
    dx_loop_timer_clear(process->lonely_timer);
    dx_process_tell_all(process);
    dx_follow_ask_again();
}

static void
take_answer(struct dx_driver_process *process, const OSDictionary *body)
{
    if (dx_wire_get_number(body, DX_KEY_ANSWER, 0) == process->hello_id)
        take_greeting(process, body);
    else
        dx_process_realtime_answer(process, body);
}

static void
take_event(struct dx_driver_process *process, const char *event, const struct dx_message *message)
{
    if (strcmp(event, DX_EVENT_LEAVING) == 0)
        process->has_left = true;
    else if (strcmp(event, DX_EVENT_FOLLOWED) == 0)
        dx_process_take_followed(message);
}

static void
answer_quit(struct dx_process_job *job, struct dx_message *message)
{
    (void)message;
    struct dx_driver_process *const process = job->process;
    dx_process_job_end(job);
    dx_process_quit(process, DX_DRIVER_EXIT_DONE);
}

static void
take_request(struct dx_driver_process *process, const char *operation, struct dx_message *message)
{
    static const struct {
        const char *operation;
        dx_process_handler handler;
    } handlers[] = {
        {DX_OP_LOAD, dx_process_load},
        {DX_OP_JOIN, dx_process_join},
        {DX_OP_START, dx_process_start},
        {DX_OP_STOP, dx_process_stop},
        {DX_OP_TUNE, dx_process_tune},
        {DX_OP_LEAVE, dx_process_leave},
        {DX_OP_RECORD, dx_process_record},
        {DX_OP_SET, dx_process_set},
        {DX_OP_GET_PROPERTY, dx_process_get_property},
        {DX_OP_DESCRIBE, dx_process_describe},
        {DX_OP_STATISTICS, dx_process_statistics},
        {DX_OP_USER_CLIENT_OPEN, dx_user_clients_open},
        {DX_OP_USER_CLIENT_CALL, dx_user_clients_call},
        {DX_OP_USER_CLIENT_MAP, dx_user_clients_map},
        {DX_OP_USER_CLIENT_CLOSE, dx_user_clients_close},
        {DX_OP_QUIT, answer_quit},
    };
    struct dx_process_job *const job = dx_process_job_take(process, message);
    dx_process_handler handler = NULL;
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
        if (strcmp(handlers[i].operation, operation) == 0)
            handler = handlers[i].handler;
    if (!job)
        return;
    if (!handler)
        (void)dx_process_job_fail(job, kIOReturnUnsupported, "this driver process does not know the request %.80s",
                                  operation);
    else if (process->state == DX_PROCESS_QUITTING)
        (void)dx_process_job_fail(job, kIOReturnNotReady, "the driver process is ending");
    else if (process->state == DX_PROCESS_EMPTY && handler != dx_process_load && handler != answer_quit)
        (void)dx_process_job_fail(job, kIOReturnNotReady, "this process has not been told what to load");
    if (job->status == kIOReturnSuccess)
        handler(job, message);
    else
        dx_process_job_end(job);
}

static void
channel_message(void *context, struct dx_channel *channel, struct dx_message *message)
{
    (void)channel;
    struct dx_driver_process *const process = context;
    const char *const operation = dx_wire_get_string(message->body, DX_KEY_OPERATION);
    const char *const event = dx_wire_get_string(message->body, DX_KEY_EVENT);
    if (OSDictionaryGetObject(message->body, DX_KEY_ANSWER))
        take_answer(process, message->body);
    else if (operation)
        take_request(process, operation, message);
    else if (event)
        take_event(process, event, message);
}

static void
channel_closed(void *context, struct dx_channel *channel, int reason)
{
    (void)channel;
    struct dx_driver_process *const process = context;
    if (reason < 0)
        dx_process_log("the connection to the supervisor is closed: %s", strerror(-reason));
    lose_supervisor(process);
}

/* @param socket  taken. */
static bool
use_socket(struct dx_driver_process *process, int socket_fd)
{
    static const struct dx_channel_callbacks callbacks = {.message = channel_message, .closed = channel_closed};
    process->channel = dx_channel_create(process->loop, socket_fd, &callbacks, process);
    return process->channel && say_hello(process);
}

static int
connect_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void
try_to_connect(void *context)
{
    struct dx_driver_process *const process = context;
    if (process->state == DX_PROCESS_QUITTING)
        return;
    const int fd = connect_socket(process->socket_path);
    if (fd < 0 || !use_socket(process, fd))
        lose_supervisor(process);
}

/* ---- beginning ---- */

/*
 * Signals are the loop's, but for SIGXCPU, which ends the process where a real-time thread does not sleep: the
 * main thread leaves it open, as all others block everything.  A terminal's are meant for the supervisor.
 */
static bool
take_over_signals(struct dx_driver_process *process)
{
    sigset_t mask;
    (void)signal(SIGXCPU, SIG_DFL); // these cannot fail
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    process->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    process->signal_watch = process->signal_fd < 0
                                ? NULL
                                : dx_loop_watch(process->loop, process->signal_fd, EPOLLIN, take_signal, process);
    return process->signal_watch;
}

static bool
begin(struct dx_driver_process *process)
{
    if (dx_loop_create(&process->loop) < 0 || !take_over_signals(process))
        return false;
    process->quit_timer = dx_loop_timer_create(process->loop, quit_is_late, process);
    process->connect_timer = dx_loop_timer_create(process->loop, try_to_connect, process);
    process->lonely_timer = dx_loop_timer_create(process->loop, lonely_for_long, process);
    process->tell_timer = dx_loop_timer_create(process->loop, dx_process_pause_ended, process);
    return process->quit_timer && process->connect_timer && process->lonely_timer && process->tell_timer &&
           IODispatchQueueCreate("dextral-work", 0, 0, &process->work) == kIOReturnSuccess &&
           IODispatchQueueCreate("dextral-look", 0, 0, &process->look) == kIOReturnSuccess;
}

static void
finish(struct dx_driver_process *process)
{
    dx_process_follow_end();
    dx_process_watchdog_destroy(process);
    dx_process_realtime_destroy(process);
    while (process->devices) {
        /* Where there was no memory to let a session leave, it is left behind. */
        process->devices->has_driver = false;
        process->devices->jobs = process->devices->sessions = 0;
        dx_process_check_device(process, process->devices);
    }
    dx_channel_destroy(process->channel);
    dx_loop_timer_destroy(process->quit_timer);
    dx_loop_timer_destroy(process->connect_timer);
    dx_loop_timer_destroy(process->lonely_timer);
    dx_loop_timer_destroy(process->tell_timer);
    dx_watch_remove(process->signal_watch);
    if (process->signal_fd >= 0)
        (void)close(process->signal_fd);
    dx_process_release_queue(process->work);
    dx_process_release_queue(process->look);
    OSObjectRelease(process->told_state);
    OSObjectRelease(process->properties);
    OSObjectRelease(process->saved_state);
    dx_process_memory_destroy(process->memory);
    dx_process_providers_finish(process);
    free(process->token);
    free(process->socket_path);
    free(process->path);
    free(process->personality);
    dx_loop_destroy(process->loop);
}

int
dx_driver_process_run(const struct dx_driver_process_config *config)
{
    struct dx_driver_process process = {.config = config, .signal_fd = -1};
    int type = 0;
    socklen_t length = sizeof type;
    dx_line_open();
    if (getsockopt(config->socket, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_SEQPACKET) {
        dx_process_log("this program is started by dextrald, which talks to it over descriptor %d",
                       config->socket);
        return DX_DRIVER_EXIT_NOT_STARTED;
    }
    (void)fcntl(config->socket, F_SETFD, FD_CLOEXEC); // cannot fail for an open descriptor
    process.exit_status = DX_DRIVER_EXIT_NOT_STARTED;
    if (begin(&process) && use_socket(&process, config->socket))
        dx_loop_run(process.loop);
    else
        dx_process_log("no memory, or no descriptor, to begin with");
    finish(&process);
    return process.exit_status;
}
