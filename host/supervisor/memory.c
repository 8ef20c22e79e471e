// SPDX-License-Identifier: MIT
// Memory that is handed from one process to another: checked, sealed, read-only.

#include "host/supervisor/memory.h"

#include "core/pages.h"
#include "host/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define SEALS_BEFORE (F_SEAL_SHRINK | F_SEAL_GROW)
#define SEALS_ADDED (F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

kern_return_t
dx_memory_seal(int fd, const char *what, uint64_t max_bytes, dx_error *error)
{
    if (fd < 0)
        return dx_error_set(error, kIOReturnBadArgument, "the %s's descriptor is missing", what);
    uint64_t bytes = 0;
    const int r = dx_pages_check(fd, &bytes);
    if (r == -EPERM)
        return dx_error_set(error, kIOReturnNotPermitted, "the %s is not sealed against shrinking (F_SEAL_SHRINK)",
                            what);
    if (r < 0)
        return dx_error_set(error, kIOReturnBadArgument, "the %s is no memfd: %s", what, strerror(-r));
    if (bytes == 0 || bytes > max_bytes)
        return dx_error_set(error, kIOReturnBadArgument, "the %s has %llu bytes; 1 ... %llu are allowed", what,
                            (unsigned long long)bytes, (unsigned long long)max_bytes);

    const int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS_BEFORE) != SEALS_BEFORE)
        return dx_error_set(error, kIOReturnNotPermitted, "the %s is not sealed against growing (F_SEAL_GROW)",
                            what);
    if ((seals & SEALS_ADDED) == SEALS_ADDED)
        return kIOReturnSuccess;
    if (fcntl(fd, F_ADD_SEALS, SEALS_ADDED) != 0)
        return dx_error_set(error, kIOReturnNotPermitted, "the %s cannot be sealed against writing: %s", what,
                            strerror(errno));
    return kIOReturnSuccess;
}

int
dx_memory_reopen(int fd)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const int again = open(path, O_RDONLY | O_CLOEXEC);
    /* Without /proc the seal alone has to do. */
    return again >= 0 ? again : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}
