// SPDX-License-Identifier: MIT
// libudev: where udevd runs it tells when its rules have been applied, else the kernel does.

#include "host/supervisor/usb_monitor.h"

#include <errno.h>
#include <libudev.h>
#include <stdlib.h>
#include <unistd.h>

struct dx_usb_events {
    struct udev *udev;
    struct udev_monitor *monitor;
};

struct dx_usb_events *
dx_usb_events_create(void)
{
    struct dx_usb_events *const events = calloc(1, sizeof *events);
    if (!events)
        return NULL;
    const bool has_udevd = access("/run/udev/control", F_OK) == 0; // as libudev's own programs ask
    events->udev = udev_new();
    events->monitor = events->udev ? udev_monitor_new_from_netlink(events->udev, has_udevd ? "udev" : "kernel") : NULL;
    /* A filter in the kernel: other devices wake nobody. */
    if (!events->monitor || udev_monitor_filter_add_match_subsystem_devtype(events->monitor, "usb", NULL) < 0 ||
        udev_monitor_enable_receiving(events->monitor) < 0) {
        dx_usb_events_destroy(events);
        return NULL;
    }
    return events;
}

void
dx_usb_events_destroy(struct dx_usb_events *events)
{
    if (!events)
        return;
    if (events->monitor)
        (void)udev_monitor_unref(events->monitor);
    if (events->udev)
        (void)udev_unref(events->udev);
    free(events);
}

int
dx_usb_events_fd(const struct dx_usb_events *events)
{
    return udev_monitor_get_fd(events->monitor);
}

void
dx_usb_events_read(struct dx_usb_events *events, dx_usb_news news, void *context)
{
    char port[DX_USB_PORT_BYTES];
    for (;;) {
        errno = 0;
        struct udev_device *const device = udev_monitor_receive_device(events->monitor);
        if (!device && errno == ENOBUFS) {
            news(context, NULL); // some were lost
            continue;
        }
        if (!device)
            return;
        const char *const name = udev_device_get_sysname(device);
        if (name && dx_usb_port_of(name, port))
            news(context, port);
        (void)udev_device_unref(device);
    }
}
