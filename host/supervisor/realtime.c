// SPDX-License-Identifier: MIT
// Real-time priorities, given by thread id: a driver process may not take them itself.

#include "host/error.h"
#include "host/supervisor/realtimekit.h"
#include "host/supervisor/unit.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_PRIORITY 90u // above it are the machine's own: watchdogs, migration

/* Whether a thread is one of the driver's process. */
static bool
is_own_thread(const struct dx_unit *unit, uint64_t thread)
{
    char path[64];
    struct stat status;
    (void)snprintf(path, sizeof path, "/proc/%ld/task/%llu", (long)unit->pid, (unsigned long long)thread);
    return stat(path, &status) == 0;
}

void
dx_unit_grant_realtime(struct dx_unit *unit, uint64_t request, uint64_t thread, uint64_t priority)
{
    dx_error error;
    if (thread == 0 || thread > INT32_MAX || priority == 0 || priority > MAX_PRIORITY) {
        (void)dx_error_set(&error, kIOReturnBadArgument, "a thread and a priority of 1 ... %u are wanted",
                           MAX_PRIORITY);
        dx_unit_answer_realtime(unit, request, kIOReturnBadArgument, NULL, error.message);
        return;
    }
    if (!is_own_thread(unit, thread)) {
        (void)dx_error_set(&error, kIOReturnNotPermitted, "thread %llu is none of the driver's process",
                           (unsigned long long)thread);
        dx_unit_answer_realtime(unit, request, kIOReturnNotPermitted, NULL, error.message);
        return;
    }
    const struct sched_param param = {.sched_priority = (int)priority};
    if (sched_setscheduler((pid_t)thread, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) == 0) {
        dx_unit_answer_realtime(unit, request, kIOReturnSuccess, "supervisor", NULL);
        return;
    }
    const int code = errno;
    if (code == EPERM && dx_realtimekit_ask(unit, request, thread, priority))
        return; // its answer is ours
    (void)dx_error_set(&error, kIOReturnNotPrivileged,
                       "the supervisor may not give SCHED_FIFO %llu (%s): install rtkit, or allow it with "
                       "RLIMIT_RTPRIO, as in /etc/security/limits.d, or with CAP_SYS_NICE",
                       (unsigned long long)priority, strerror(code));
    dx_unit_answer_realtime(unit, request, kIOReturnNotPrivileged, NULL, error.message);
}
