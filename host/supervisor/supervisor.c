// SPDX-License-Identifier: MIT
// The supervisor as a whole: opened, listening, told by signals, ended in good order.

#include "host/supervisor/supervisor.h"

#include "host/error.h"
#include "host/protocol.h"
#include "host/supervisor/bundles.h"
#include "host/supervisor/default.h"
#include "host/supervisor/incident.h"
#include "host/supervisor/keep.h"
#include "host/supervisor/listing.h"
#include "host/supervisor/notify.h"
#include "host/supervisor/program.h"
#include "host/supervisor/realtimekit.h"
#include "host/supervisor/session.h"
#include "host/supervisor/unit.h"
#include "host/supervisor/usb.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128
#define ACCEPTS_AT_ONCE 16                   // then the others have their turn
#define ACCEPT_PAUSE_NS (100 * DX_NS_PER_MS) // without descriptors
#define END_TIMEOUT_NS (5 * DX_NS_PER_S)     // for drivers to end; they are killed after 3 s

/* ---- folders and lock ---- */

/* One supervisor for a runtime folder: the file names the process, the lock is what counts. */
static kern_return_t
take_lock(struct dx_supervisor *supervisor, dx_error *error)
{
    char *const path = dx_join_path(supervisor->runtime_folder, "lock");
    if (!path)
        return dx_error_set(error, kIOReturnNoMemory, "no memory");
    supervisor->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    kern_return_t status = kIOReturnSuccess;
    char text[32] = "";
    if (supervisor->lock_fd < 0) {
        status = dx_error_set(error, kIOReturnNotWritable, "%s: %s", path, strerror(errno));
    } else if (flock(supervisor->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        const ssize_t length = pread(supervisor->lock_fd, text, sizeof text - 1, 0);
        text[length > 0 ? length : 0] = '\0';
        status =
            dx_error_set(error, kIOReturnExclusiveAccess,
                         "another supervisor (process %ld) serves %s: stop it first, or set DEXTRAL_RUNTIME_DIR",
                         strtol(text, NULL, 10), supervisor->runtime_folder);
    } else {
        const int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
        if (ftruncate(supervisor->lock_fd, 0) != 0 ||
            pwrite(supervisor->lock_fd, text, (size_t)length, 0) != (ssize_t)length)
            dx_log("%s: its number cannot be written; others will not say who serves", path);
    }
    free(path);
    return status;
}

static kern_return_t
open_folders(struct dx_supervisor *supervisor, dx_error *error)
{
    kern_return_t status = dx_paths_make(DX_FOLDER_RUNTIME, &supervisor->runtime_folder, error);
    if (status == kIOReturnSuccess)
        status = take_lock(supervisor, error);
    if (status == kIOReturnSuccess)
        status = dx_paths_make(DX_FOLDER_CONFIG, &supervisor->config_folder, error);
    if (status == kIOReturnSuccess)
        status = dx_paths_make(DX_FOLDER_STATE, &supervisor->state_folder, error);
    if (status == kIOReturnSuccess)
        status = dx_paths_kinds_folder(&supervisor->kinds_folder, error);
    return status;
}

static void
complain(void *context, const char *sentence)
{
    (void)context;
    dx_log("%s", sentence);
}

/* A UID of a device that is not declared. */
static bool
is_uid_taken(void *context, const char *uid)
{
    const struct dx_listing *const listing = dx_listing_find(context, uid);
    return listing && !listing->unit->declared_uid;
}

/* ---- the socket ---- */

static kern_return_t
choose_socket_path(struct dx_supervisor *supervisor, dx_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address - 1; // so that a NUL follows
    if (supervisor->config.listen_fd >= 0 &&
        getsockname(supervisor->config.listen_fd, (struct sockaddr *)&address, &length) == 0 &&
        address.sun_path[0] == '/') {
        supervisor->socket_path = strdup(address.sun_path);
        return supervisor->socket_path ? kIOReturnSuccess : dx_error_set(error, kIOReturnNoMemory, "no memory");
    }
    if (!supervisor->config.socket_path)
        return dx_paths_socket(&supervisor->socket_path, error);
    supervisor->socket_path =
        supervisor->config.socket_path[0] == '/' ? strdup(supervisor->config.socket_path) : NULL;
    return supervisor->socket_path ? kIOReturnSuccess
                                   : dx_error_set(error, kIOReturnBadArgument, "--socket: %s is no absolute path",
                                                  supervisor->config.socket_path);
}

/* What lies at the socket's place and nobody listens at is of a supervisor that was killed. */
static kern_return_t
remove_stale_socket(const char *path, const struct sockaddr_un *address, dx_error *error)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return kIOReturnSuccess;
    if (!S_ISSOCK(status.st_mode))
        return dx_error_set(error, kIOReturnExclusiveAccess, "%s is there and is no socket: move it away", path);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return dx_error_set(error, kIOReturnNoResources, "no socket: %s", strerror(errno));
    const bool is_stale =
        connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!is_stale)
        return dx_error_set(error, kIOReturnExclusiveAccess, "another process listens at %s: stop it first", path);
    return unlink(path) == 0 ? kIOReturnSuccess
                             : dx_error_set(error, kIOReturnNotWritable, "%s: %s", path, strerror(errno));
}

static kern_return_t
open_socket(struct dx_supervisor *supervisor, dx_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *const path = supervisor->socket_path;
    if (strlen(path) >= sizeof address.sun_path)
        return dx_error_set(error, kIOReturnBadArgument, "%s is too long for a socket: %zu bytes at most", path,
                            sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path));
    const kern_return_t status = remove_stale_socket(path, &address, error);
    if (status != kIOReturnSuccess)
        return status;
    supervisor->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (supervisor->listen_fd < 0)
        return dx_error_set(error, kIOReturnNoResources, "no socket: %s", strerror(errno));
    /* Nobody else's from the first moment on. */
    const mode_t before = umask(0177);
    const int r = bind(supervisor->listen_fd, (const struct sockaddr *)&address, sizeof address);
    const int code = errno;
    (void)umask(before);
    if (r != 0)
        return dx_error_set(error, kIOReturnNotWritable, "%s: %s", path, strerror(code));
    supervisor->owns_socket = true;
    if (listen(supervisor->listen_fd, BACKLOG) != 0)
        return dx_error_set(error, kIOReturnNoResources, "%s: %s", path, strerror(errno));
    return kIOReturnSuccess;
}

static bool
has_room(const struct dx_supervisor *supervisor)
{
    return supervisor->refused_count < DX_MAX_REFUSED && !supervisor->is_leaving;
}

void
dx_supervisor_listen(struct dx_supervisor *supervisor)
{
    if (supervisor->listen_watch)
        dx_watch_set_events(supervisor->listen_watch, has_room(supervisor) ? EPOLLIN : 0);
}

static void
accept_again(void *context)
{
    dx_supervisor_listen(context);
}

static void
accept_programs(void *context, int fd, uint32_t events)
{
    (void)events;
    struct dx_supervisor *const supervisor = context;
    for (int i = 0; i < ACCEPTS_AT_ONCE && has_room(supervisor); i++) {
        const int socket = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (socket >= 0) {
            dx_program_connect(supervisor, socket);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            /* The socket stays readable: looking at it again at once would only turn in a circle. */
            dx_log("no descriptor for another program: %s", strerror(errno));
            dx_watch_set_events(supervisor->listen_watch, 0);
            dx_loop_timer_set(supervisor->accept_timer, ACCEPT_PAUSE_NS);
            return;
        }
        if (errno == EAGAIN || errno != EINTR)
            break;
    }
    dx_supervisor_listen(supervisor);
}

static kern_return_t
start_listening(struct dx_supervisor *supervisor, dx_error *error)
{
    kern_return_t status = choose_socket_path(supervisor, error);
    if (status != kIOReturnSuccess)
        return status;
    if (supervisor->config.listen_fd >= 0) {
        supervisor->listen_fd = supervisor->config.listen_fd;
        (void)fcntl(supervisor->listen_fd, F_SETFL, fcntl(supervisor->listen_fd, F_GETFL) | O_NONBLOCK);
    } else {
        status = open_socket(supervisor, error);
        if (status != kIOReturnSuccess)
            return status;
    }
    supervisor->listen_watch =
        dx_loop_watch(supervisor->loop, supervisor->listen_fd, EPOLLIN, accept_programs, supervisor);
    supervisor->accept_timer = dx_loop_timer_create(supervisor->loop, accept_again, supervisor);
    return supervisor->listen_watch && supervisor->accept_timer
               ? kIOReturnSuccess
               : dx_error_set(error, kIOReturnNoMemory, "no memory to listen");
}

/* ---- signals ---- */

static void
signal_came(void *context, int fd, uint32_t events)
{
    (void)events;
    struct dx_supervisor *const supervisor = context;
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGCHLD:
            dx_units_reap(supervisor);
            break;
        case SIGHUP:
            dx_notify("RELOADING=1");
            dx_bundles_scan(supervisor);
            dx_bundles_learn(supervisor);
            dx_notify("READY=1");
            break;
        case SIGTERM:
        case SIGINT:
            dx_supervisor_leave(supervisor, info.ssi_signo == SIGINT);
            break;
        default:
            break;
        }
    }
}

static kern_return_t
watch_signals(struct dx_supervisor *supervisor, dx_error *error)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    supervisor->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (supervisor->signal_fd >= 0)
        supervisor->signal_watch =
            dx_loop_watch(supervisor->loop, supervisor->signal_fd, EPOLLIN, signal_came, supervisor);
    return supervisor->signal_watch ? kIOReturnSuccess
                                    : dx_error_set(error, kIOReturnNoResources, "signals cannot be watched");
}

/* ---- the end ---- */

static bool
has_running_sessions(const struct dx_unit *unit)
{
    for (const struct dx_session *session = unit->supervisor->sessions; session; session = session->next)
        if (session->listing->unit == unit && session->is_running)
            return true;
    return false;
}

void
dx_supervisor_check_left(struct dx_supervisor *supervisor)
{
    for (const struct dx_unit *unit = supervisor->units; unit; unit = unit->next)
        if (unit->pid > 0 && unit->state != DX_UNIT_RUNNING && unit->state != DX_UNIT_LOST)
            return;
    dx_loop_quit(supervisor->loop);
}

static void
end_is_late(void *context)
{
    const struct dx_supervisor *const supervisor = context;
    dx_loop_quit(supervisor->loop);
}

/* Those that stay wait for the next supervisor. */
static void
tell_leaving(struct dx_unit *unit)
{
    OSDictionary *const event = dx_event_create(DX_EVENT_LEAVING);
    if (event && unit->channel)
        (void)dx_channel_send(unit->channel, event, NULL, 0);
    OSObjectRelease(event);
}

void
dx_supervisor_leave(struct dx_supervisor *supervisor, bool everything)
{
    if (supervisor->is_leaving && !everything)
        return;
    if (!supervisor->is_leaving)
        dx_notify("STOPPING=1");
    supervisor->is_leaving = true;
    dx_supervisor_listen(supervisor);
    for (struct dx_unit *unit = supervisor->units; unit; unit = unit->next) {
        const bool stays = !everything && unit->state == DX_UNIT_RUNNING && has_running_sessions(unit);
        if (stays)
            tell_leaving(unit);
        else if (unit->state != DX_UNIT_LOST)
            dx_unit_quit(unit);
        else if (everything)
            dx_unit_send_kill(unit);
    }
    dx_keep_now(supervisor);
    dx_registry_write(supervisor);
    dx_loop_timer_set(supervisor->end_timer, END_TIMEOUT_NS);
    dx_supervisor_check_left(supervisor);
}

/* ---- all of it ---- */

static kern_return_t
open_all(struct dx_supervisor *supervisor, dx_error *error)
{
    if (dx_loop_create(&supervisor->loop) != 0)
        return dx_error_set(error, kIOReturnNoResources, "no event loop: %s", strerror(errno));
    supervisor->end_timer = dx_loop_timer_create(supervisor->loop, end_is_late, supervisor);
    kern_return_t status = supervisor->end_timer ? open_folders(supervisor, error)
                                                 : dx_error_set(error, kIOReturnNoMemory, "no memory");
    if (status == kIOReturnSuccess)
        status = watch_signals(supervisor, error);
    if (status == kIOReturnSuccess && dx_incidents_open(supervisor) != kIOReturnSuccess)
        status = dx_error_set(error, kIOReturnNoMemory, "no memory");
    if (status == kIOReturnSuccess)
        status = dx_approvals_open(supervisor->config_folder, complain, supervisor, &supervisor->approvals, error);
    const struct dx_declarations_config declarations = {supervisor->config_folder, complain, is_uid_taken,
                                                        supervisor};
    if (status == kIOReturnSuccess)
        status = dx_declarations_open(&declarations, &supervisor->declarations, error);
    if (status == kIOReturnSuccess)
        status = start_listening(supervisor, error);
    return status;
}

kern_return_t
dx_supervisor_create(const struct dx_supervisor_config *config, struct dx_supervisor **ret_supervisor,
                     dx_error *error)
{
    struct dx_supervisor *const supervisor = calloc(1, sizeof *supervisor);
    if (!supervisor)
        return dx_error_set(error, kIOReturnNoMemory, "no memory");
    supervisor->config = *config;
    supervisor->lock_fd = -1;
    supervisor->listen_fd = -1;
    supervisor->signal_fd = -1;
    const kern_return_t status = open_all(supervisor, error);
    if (status != kIOReturnSuccess) {
        dx_supervisor_destroy(supervisor);
        return status;
    }
    dx_recordings_open(supervisor);
    dx_defaults_read(supervisor);
    dx_declared_list(supervisor);
    dx_usb_open(supervisor);
    dx_bundles_scan(supervisor);
    dx_registry_read(supervisor); // before any driver is started: it may run already
    dx_leftovers_trim(supervisor);
    dx_usb_start(supervisor);
    dx_bundles_learn(supervisor);
    dx_defaults_changed(supervisor);
    *ret_supervisor = supervisor;
    return kIOReturnSuccess;
}

void
dx_supervisor_run(struct dx_supervisor *supervisor)
{
    dx_notify("READY=1");
    dx_log_detail(supervisor, "serves %s", supervisor->socket_path);
    dx_loop_run(supervisor->loop);
}

void
dx_supervisor_destroy(struct dx_supervisor *supervisor)
{
    if (!supervisor)
        return;
    if (supervisor->owns_socket)
        (void)unlink(supervisor->socket_path);
    supervisor->is_leaving = true; // nobody is told of what ends now
    while (supervisor->programs)
        dx_program_destroy(supervisor->programs);
    dx_realtimekit_close(supervisor);
    while (supervisor->units)
        dx_unit_release(supervisor->units);
    dx_usb_close(supervisor);
    dx_incidents_close(supervisor);
    dx_defaults_free(supervisor);
    dx_catalogue_finish(&supervisor->catalogue);
    dx_approvals_close(supervisor->approvals);
    dx_declarations_close(supervisor->declarations);
    dx_watch_remove(supervisor->listen_watch);
    dx_watch_remove(supervisor->signal_watch);
    dx_loop_timer_destroy(supervisor->accept_timer);
    dx_loop_timer_destroy(supervisor->end_timer);
    dx_loop_timer_destroy(supervisor->tell_timer);
    dx_loop_timer_destroy(supervisor->keep_timer);
    dx_loop_destroy(supervisor->loop);
    if (supervisor->listen_fd >= 0)
        close(supervisor->listen_fd);
    if (supervisor->signal_fd >= 0)
        close(supervisor->signal_fd);
    if (supervisor->lock_fd >= 0)
        close(supervisor->lock_fd);
    free(supervisor->runtime_folder);
    free(supervisor->config_folder);
    free(supervisor->state_folder);
    free(supervisor->recordings_folder);
    free(supervisor->kinds_folder);
    free(supervisor->socket_path);
    free(supervisor);
}
