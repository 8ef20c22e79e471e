// SPDX-License-Identifier: MIT
// A process that gives a device back to the kernel's drivers, whatever became of the one that had taken it.

#include "backends/usb/usb.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_close_range // headers older than Linux 5.9
#    define SYS_close_range 436
#endif

#define MAX_INTERFACES 32u
#define LOOK_AGAIN_NS 20000000
#define LOOKS_AT_MOST 150u // 3 s

/* @return 1: a driver has it; 0: none has; -1: there is no such interface any more. */
static int
read_driver(int node, unsigned interface, char name[USBDEVFS_MAXDRIVERNAME + 1])
{
    struct usbdevfs_getdriver request = {.interface = interface};
    const int result = ioctl(node, USBDEVFS_GETDRIVER, &request);
    if (result < 0)
        return errno == ENODATA ? 0 : -1;
    memcpy(name, request.driver, USBDEVFS_MAXDRIVERNAME);
    name[USBDEVFS_MAXDRIVERNAME] = '\0';
    return 1;
}

/* Bits of the interfaces that a driver of the kernel has. */
static uint32_t
find_held(int node)
{
    char name[USBDEVFS_MAXDRIVERNAME + 1];
    uint32_t held = 0;
    for (unsigned i = 0; i < MAX_INTERFACES; i++) {
        if (read_driver(node, i, name) == 1 && strcmp(name, "usbfs") != 0)
            held |= UINT32_C(1) << i;
    }
    return held;
}

/* Where it has a driver again nothing is to be done; a program may have it for a moment longer than it lives. */
static void
give_back(int node, unsigned interface)
{
    static const struct timespec moment = {.tv_nsec = LOOK_AGAIN_NS};
    struct usbdevfs_ioctl request = {.ifno = (int)interface, .ioctl_code = USBDEVFS_CONNECT};
    char name[USBDEVFS_MAXDRIVERNAME + 1];
    for (unsigned i = 0; i < LOOKS_AT_MOST; i++) {
        const int result = read_driver(node, interface, name);
        if (result == 0)
            (void)ioctl(node, USBDEVFS_IOCTL, &request); // where it fails nobody wants it any more
        if (result != 1 || strcmp(name, "usbfs") != 0)
            return;
        (void)nanosleep(&moment, NULL);
    }
}

static bool
close_between(int first, int last)
{
    return first > last || syscall(SYS_close_range, (unsigned)first, (unsigned)last, 0) == 0;
}

/* With another's files open in this process, what that one has claimed would stay so. */
static bool
close_all_but(int one, int other)
{
    const int low = one < other ? one : other, high = one < other ? other : one;
    return close_between(0, low - 1) && close_between(low + 1, high - 1) && close_between(high + 1, INT32_MAX);
}

/* Calls nothing that is not async-signal-safe: the caller may have threads. */
__attribute__((noreturn)) static void
guard(int node, int caller, uint32_t held)
{
    struct pollfd end = {.fd = caller, .events = POLLIN};
    (void)setsid(); // what ends the caller from a terminal, or as one of a group, does not end this one
    if (!close_all_but(node, caller))
        _exit(1);
    while (poll(&end, 1, -1) < 0 && errno == EINTR)
        ;
    for (unsigned i = 0; i < MAX_INTERFACES; i++) {
        if (held & UINT32_C(1) << i)
            give_back(node, i);
    }
    _exit(0);
}

/* Returns when the new process has none of the caller's files any more, the pipe's end among them. */
static int
start_guard(int node, uint32_t held)
{
    int ready[2];
    int error = 0;
    char byte;
    if (pipe2(ready, O_CLOEXEC) < 0)
        return -errno;
    const int caller = (int)syscall(SYS_pidfd_open, getpid(), 0);
    const pid_t child = caller < 0 ? -1 : fork();
    if (child == 0)
        guard(node, caller, held);
    if (child < 0)
        error = -errno;
    if (caller >= 0)
        (void)close(caller);
    (void)close(ready[1]);
    while (read(ready[0], &byte, 1) < 0 && errno == EINTR)
        ;
    (void)close(ready[0]);
    return error;
}

int
dx_usb_guard(const char *path)
{
    const int node = open(path, O_RDWR | O_CLOEXEC);
    if (node < 0)
        return -errno;
    const uint32_t held = find_held(node);
    const int error = held ? start_guard(node, held) : 0;
    (void)close(node);
    return error;
}
