// SPDX-License-Identifier: MIT
// Real-time priorities, given by thread id: a driver process may not take them itself.

#include "host/supervisor/unit.h"

#include "host/error.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_PRIORITY 90u // above it are the machine's own: watchdogs, migration

kern_return_t
dx_unit_grant_realtime(const struct dx_unit *unit, uint64_t thread, uint64_t priority, const char **ret_way,
                       dx_error *error)
{
    char path[64];
    struct stat status;
    if (thread == 0 || thread > INT32_MAX || priority == 0 || priority > MAX_PRIORITY)
        return dx_error_set(error, kIOReturnBadArgument, "a thread and a priority of 1 ... %u are wanted",
                            MAX_PRIORITY);
    (void)snprintf(path, sizeof path, "/proc/%ld/task/%llu", (long)unit->pid, (unsigned long long)thread);
    if (stat(path, &status) != 0)
        return dx_error_set(error, kIOReturnNotPermitted, "thread %llu is none of the driver's process",
                            (unsigned long long)thread);
    const struct sched_param param = {.sched_priority = (int)priority};
    if (sched_setscheduler((pid_t)thread, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) != 0)
        return dx_error_set(error, errno == EPERM ? kIOReturnNotPrivileged : kIOReturnError,
                            "the supervisor may not give SCHED_FIFO %llu (%s): allow it with RLIMIT_RTPRIO, as in "
                            "/etc/security/limits.d, or with CAP_SYS_NICE",
                            (unsigned long long)priority, strerror(errno));
    *ret_way = "supervisor";
    return kIOReturnSuccess;
}
