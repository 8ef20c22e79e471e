// SPDX-License-Identifier: MIT
// What a service manager hands over, and is told: sd_listen_fds(3) and sd_notify(3), as far as they are needed.

#include "host/supervisor/notify.h"

#include "host/error.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_FD 3

static bool
is_listening_socket(int fd)
{
    int type = 0;
    int is_listening = 0;
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0 || address.ss_family != AF_UNIX)
        return false;
    length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_SEQPACKET)
        return false;
    length = sizeof is_listening;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &length) == 0 && is_listening;
}

kern_return_t
dx_notify_take_socket(int *ret_fd, dx_error *error)
{
    const char *const pid = getenv("LISTEN_PID");
    const char *const count = getenv("LISTEN_FDS");
    *ret_fd = -1;
    if (!pid || !count || strtol(pid, NULL, 10) != (long)getpid())
        return kIOReturnSuccess;
    if (strcmp(count, "1") != 0)
        return dx_error_set(
            error, kIOReturnBadArgument,
            "the service manager handed over %s sockets; one is wanted: ListenSequentialPacket=", count);
    if (!is_listening_socket(FIRST_FD))
        return dx_error_set(error, kIOReturnBadArgument,
                            "the service manager handed over what is no listening SOCK_SEQPACKET socket: use "
                            "ListenSequentialPacket=");
    (void)fcntl(FIRST_FD, F_SETFD, FD_CLOEXEC);
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    *ret_fd = FIRST_FD;
    return kIOReturnSuccess;
}

void
dx_notify(const char *state)
{
    const char *const path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t length = path ? strlen(path) : 0;
    if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, length);
    if (address.sun_path[0] == '@')
        address.sun_path[0] = '\0'; // an abstract one
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&address,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
    close(fd);
}
