// SPDX-License-Identifier: MIT
// News of USB devices: of the machine, or of a folder that a test made.

#include "host/supervisor/usb_monitor.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

struct dx_usb_monitor {
    struct dx_usb_events *events; // NULL: a folder
    int inotify_fd;               // of the folder; -1: the machine
};

static bool
watch_folder(struct dx_usb_monitor *monitor, const char *folder)
{
    monitor->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    return monitor->inotify_fd >= 0 && inotify_add_watch(monitor->inotify_fd, folder, IN_MOVED_FROM | IN_MOVED_TO) >= 0;
}

struct dx_usb_monitor *
dx_usb_monitor_create(const char *folder)
{
    struct dx_usb_monitor *const monitor = calloc(1, sizeof *monitor);
    if (!monitor)
        return NULL;
    monitor->inotify_fd = -1;
    if (!folder)
        monitor->events = dx_usb_events_create();
    if (folder ? !watch_folder(monitor, folder) : !monitor->events) {
        dx_usb_monitor_destroy(monitor);
        return NULL;
    }
    return monitor;
}

void
dx_usb_monitor_destroy(struct dx_usb_monitor *monitor)
{
    if (!monitor)
        return;
    dx_usb_events_destroy(monitor->events);
    if (monitor->inotify_fd >= 0)
        (void)close(monitor->inotify_fd);
    free(monitor);
}

int
dx_usb_monitor_fd(const struct dx_usb_monitor *monitor)
{
    return monitor->events ? dx_usb_events_fd(monitor->events) : monitor->inotify_fd;
}

void
dx_usb_monitor_read(struct dx_usb_monitor *monitor, dx_usb_news news, void *context)
{
    if (monitor->events) {
        dx_usb_events_read(monitor->events, news, context);
        return;
    }
    alignas(struct inotify_event) char bytes[4096];
    char port[DX_USB_PORT_BYTES];
    for (ssize_t size = read(monitor->inotify_fd, bytes, sizeof bytes); size > 0;
         size = read(monitor->inotify_fd, bytes, sizeof bytes)) {
        const struct inotify_event *event;
        for (const char *at = bytes; at < bytes + size; at += sizeof *event + event->len) {
            event = (const void *)at;
            if (event->mask & IN_Q_OVERFLOW)
                news(context, NULL);
            else if (event->len && dx_usb_port_of(event->name, port))
                news(context, port);
        }
    }
}
