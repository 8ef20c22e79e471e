// SPDX-License-Identifier: MIT
// The process of a unit: started with as little as possible, watched, and taken leave of.

#include "host/supervisor/unit.h"

#include "host/error.h"
#include "host/supervisor/listing.h"
#include "host/supervisor/usb.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHANNEL_FD 3 // of the driver process: docs in host/protocol.h

/* What a driver process is told by its environment: nothing of the user's, but for languages and our own. */
static bool
is_passed_on(const char *variable)
{
    static const char *const names[] = {"PATH=", "LANG=", "LC_", "TZ=", "DEXTRAL_"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    const char *const options = strstr(variable, "SAN_OPTIONS="); // of a build with a sanitizer
    return options && !memchr(variable, '=', (size_t)(options - variable));
}

static char **
copy_environment(void)
{
    size_t count = 0;
    while (environ[count])
        count++;
    char **const environment = calloc(count + 1, sizeof *environment);
    size_t passed = 0;
    for (size_t i = 0; environment && i < count; i++)
        if (is_passed_on(environ[i]))
            environment[passed++] = environ[i];
    return environment;
}

/* A process's start time in clock ticks since the machine's start; 0 where there is no such process. */
static uint64_t
read_start_time(pid_t pid)
{
    char path[32];
    char text[1024];
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    const ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    /* The 22nd field; the second is a name in parentheses that may hold anything. */
    const char *at = strrchr(text, ')');
    for (unsigned field = 2; at && field < 22; field++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    return at ? strtoull(at, NULL, 10) : 0;
}

static void
process_ended(void *context, int fd, uint32_t events)
{
    (void)fd;
    (void)events;
    struct dx_unit *const unit = context;
    dx_units_reap(unit->supervisor);
    /* One that an earlier supervisor started is nobody's child here. */
    if (unit->pid > 0 && waitid(P_PIDFD, (id_t)unit->pid_fd, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) != 0)
        dx_unit_ended(unit, "ended; how, only its earlier supervisor could have been told");
}

static bool
watch_process(struct dx_unit *unit)
{
    unit->pid_fd = (int)syscall(SYS_pidfd_open, unit->pid, 0);
    if (unit->pid_fd >= 0)
        unit->pid_watch = dx_loop_watch(unit->supervisor->loop, unit->pid_fd, EPOLLIN, process_ended, unit);
    return unit->pid_watch != NULL;
}

bool
dx_unit_watch_process(struct dx_unit *unit, pid_t pid, uint64_t start_time)
{
    unit->pid = pid;
    unit->start_time = start_time;
    /* Looked at after there is a descriptor: the number cannot be another process's from then on. */
    if (watch_process(unit) && start_time && read_start_time(pid) == start_time)
        return true;
    dx_unit_forget_process(unit);
    return false;
}

void
dx_unit_forget_process(struct dx_unit *unit)
{
    dx_watch_remove(unit->pid_watch);
    unit->pid_watch = NULL;
    if (unit->pid_fd >= 0)
        close(unit->pid_fd);
    unit->pid_fd = -1;
    unit->pid = 0;
    unit->start_time = 0;
    unit->loaded_ns = 0;
    unit->said_hello = false;
    unit->adopted_ns = 0;
    unit->busy_until_ns = 0;
    memset(unit->token, 0, sizeof unit->token);
}

void
dx_unit_send_kill(const struct dx_unit *unit)
{
    if (unit->pid_fd >= 0)
        (void)syscall(SYS_pidfd_send_signal, unit->pid_fd, SIGKILL, NULL, 0);
}

/* ---- start ---- */

static bool
make_token(char *token)
{
    uint8_t bytes[(DX_TOKEN_BYTES - 1) / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(token + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

/* The bundle as it is now.  Kinds are ours; the rest must be what the user approved. */
static kern_return_t
check_bundle(struct dx_unit *unit, dx_error *error)
{
    struct dx_supervisor *const supervisor = unit->supervisor;
    struct dx_bundle_entry *entry = NULL;
    kern_return_t status;
    if (unit->declared_uid) {
        const struct dx_declared *const declared =
            dx_declarations_find(supervisor->declarations, unit->declared_uid);
        if (!declared)
            return dx_error_set(error, kIOReturnNotFound, "%s is no longer declared", unit->declared_uid);
        status = dx_bundle_entry_read_kind(declared->kind, supervisor->kinds_folder, &entry);
    } else {
        const struct dx_bundle_entry *const known = dx_catalogue_find(&supervisor->catalogue, unit->identifier);
        if (!known)
            return dx_error_set(error, kIOReturnNotFound, "the bundle %s is no longer there", unit->identifier);
        status = dx_bundle_entry_read(known->folder, NULL, &entry);
    }
    if (status != kIOReturnSuccess)
        return dx_error_set(error, status, "no memory to look at the bundle");
    if (entry->why[0])
        status = dx_error_set(error, kIOReturnNotReadable, "%s", entry->why);
    else if (!dx_approvals_allow(supervisor->approvals, entry, error))
        status = kIOReturnNotPermitted;
    if (status == kIOReturnSuccess && unit->usb)
        status = dx_usb_unit_check(unit, entry, error);
    if (status == kIOReturnSuccess) {
        free(unit->path);
        free(unit->version);
        unit->path = strdup(entry->folder);
        unit->version = strdup(entry->info.version);
        unit->has_network = dx_approvals_allow_network(supervisor->approvals, entry);
        if (!unit->path || !unit->version)
            status = dx_error_set(error, kIOReturnNoMemory, "no memory to start the driver");
    }
    dx_bundle_entry_destroy(entry);
    return status;
}

/* posix_spawn(): the child runs nothing of ours before the program. */
static int
spawn(const char *program, int socket, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t all;
    char *const environment_none[] = {NULL};
    char name[] = "dextral-driver";
    char *const arguments[] = {name, NULL};
    char **const environment = copy_environment();
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int r = posix_spawn_file_actions_init(&actions);
    if (r == 0) {
        r = posix_spawnattr_init(&attributes);
        if (r != 0)
            (void)posix_spawn_file_actions_destroy(&actions);
    }
    if (r != 0) {
        free(environment);
        return r;
    }
    r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    r = r ? r : posix_spawn_file_actions_adddup2(&actions, socket, CHANNEL_FD);
    r = r ? r : posix_spawn_file_actions_addclosefrom_np(&actions, CHANNEL_FD + 1);
    /* A group of its own: what reaches the supervisor from a terminal is not for its drivers. */
    r = r ? r : posix_spawnattr_setpgroup(&attributes, 0);
    r = r ? r : posix_spawnattr_setsigmask(&attributes, &none);
    r = r ? r : posix_spawnattr_setsigdefault(&attributes, &all);
    r = r ? r
          : posix_spawnattr_setflags(&attributes,
                                     POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    r = r ? r
          : posix_spawn(ret_pid, program, &actions, &attributes, arguments,
                        environment ? environment : environment_none);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    free(environment);
    return r;
}

static kern_return_t
start_process(struct dx_unit *unit, const char *program, dx_error *error)
{
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
        return dx_error_set(error, kIOReturnNoResources, "no socket for the driver: %s", strerror(errno));
    pid_t pid = 0;
    const int r = spawn(program, sockets[1], &pid);
    close(sockets[1]);
    if (r != 0) {
        close(sockets[0]);
        return dx_error_set(error, kIOReturnError, "%s: %s", program, strerror(r));
    }
    unit->pid = pid;
    unit->start_time = read_start_time(pid);
    const bool is_watched = watch_process(unit);
    if (!is_watched)
        close(sockets[0]); // else it is taken
    if (!is_watched || !dx_unit_connect(unit, sockets[0])) {
        /* It is a child that has not been waited for: its number is its own. */
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        dx_unit_forget_process(unit);
        return dx_error_set(error, kIOReturnNoResources, "the driver's process cannot be watched");
    }
    return kIOReturnSuccess;
}

kern_return_t
dx_unit_spawn(struct dx_unit *unit, dx_error *error)
{
    kern_return_t status = check_bundle(unit, error);
    if (status != kIOReturnSuccess)
        return status;
    char *program = NULL;
    status = dx_paths_driver_program(&program, error);
    if (status != kIOReturnSuccess)
        return status;
    if (make_token(unit->token)) {
        unit->incarnation = ++unit->supervisor->incarnation;
        if (unit->usb)
            status = dx_usb_unit_prepare(unit, error);
        if (status == kIOReturnSuccess)
            status = start_process(unit, program, error);
    } else {
        status = dx_error_set(error, kIOReturnNoResources, "no random numbers: %s", strerror(errno));
    }
    free(program);
    return status;
}

/* ---- end ---- */

static void
write_how(char *how, size_t size, const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED) {
        (void)snprintf(how, size, "ended by itself with status %d", info->si_status);
        return;
    }
    const char *const name = sigabbrev_np(info->si_status);
    (void)snprintf(how, size, "was killed by SIG%s%s", name ? name : "?",
                   info->si_code == CLD_DUMPED ? " and left a core file" : "");
}

void
dx_units_reap(struct dx_supervisor *supervisor)
{
    siginfo_t info = {0};
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0) {
        const pid_t pid = info.si_pid;
        struct dx_unit *unit = supervisor->units;
        while (unit && unit->pid != pid)
            unit = unit->next;
        /* What it may have left behind, had the sandbox not held: its number is its own until it is waited for. */
        (void)kill(-pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        if (unit) {
            char how[128];
            write_how(how, sizeof how, &info);
            dx_unit_ended(unit, how);
        }
        info = (siginfo_t){0};
    }
}
