// SPDX-License-Identifier: MIT
// Without libudev: the kernel itself tells, before any rule has given a right.

#include "host/supervisor/usb_monitor.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KERNEL_GROUP 1u
#define MAX_MESSAGE_BYTES 8192u // a larger one is cut, and then not understood

struct dx_usb_events {
    int fd;
};

struct dx_usb_events *
dx_usb_events_create(void)
{
    struct dx_usb_events *const events = calloc(1, sizeof *events);
    const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
    if (!events)
        return NULL;
    events->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (events->fd < 0 || bind(events->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        dx_usb_events_destroy(events);
        return NULL;
    }
    return events;
}

void
dx_usb_events_destroy(struct dx_usb_events *events)
{
    if (events && events->fd >= 0)
        (void)close(events->fd);
    free(events);
}

int
dx_usb_events_fd(const struct dx_usb_events *events)
{
    return events->fd;
}

void
dx_usb_events_read(struct dx_usb_events *events, dx_usb_news news, void *context)
{
    char bytes[MAX_MESSAGE_BYTES];
    char port[DX_USB_PORT_BYTES];
    for (;;) {
        struct sockaddr_nl from = {0};
        socklen_t from_size = sizeof from;
        const ssize_t size =
            recvfrom(events->fd, bytes, sizeof bytes, MSG_TRUNC, (struct sockaddr *)&from, &from_size);
        if (size < 0 && errno == ENOBUFS)
            news(context, NULL); // some were lost
        else if (size < 0 && errno != EINTR)
            return;
        /* Port 0 is the kernel: anybody else is not believed. */
        else if (size > 0 && (size_t)size <= sizeof bytes && from.nl_pid == 0 && from.nl_groups == KERNEL_GROUP &&
                 dx_usb_uevent_parse(bytes, (size_t)size, port))
            news(context, port);
    }
}
