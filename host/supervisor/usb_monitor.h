// SPDX-License-Identifier: MIT
// Being told when USB devices come and go.

#ifndef DX_HOST_SUPERVISOR_USB_MONITOR_H
#define DX_HOST_SUPERVISOR_USB_MONITOR_H

#include "host/usb_match.h"

/*
 * What is told is only where to look: what is there now is read from sysfs.  So nothing depends on which way the news
 * came, and news that is lost, or comes twice, does no harm.
 */
struct dx_usb_monitor;

/** @param port  something happened there; NULL: anywhere. */
typedef void (*dx_usb_news)(void *context, const char *port);

/**
 * Begins to listen.
 *
 * @param folder  NULL: the machine; else a folder that a test made, whose entries come and go by renaming.
 * @return NULL where the machine does not tell: then there is what was there at the start.
 */
struct dx_usb_monitor *dx_usb_monitor_create(const char *folder);
void dx_usb_monitor_destroy(struct dx_usb_monitor *monitor); // NULL is fine
/** Readable when there is news.  Nothing else ever wakes. */
int dx_usb_monitor_fd(const struct dx_usb_monitor *monitor);
/** Reads all that there is. */
void dx_usb_monitor_read(struct dx_usb_monitor *monitor, dx_usb_news news, void *context);

/* usb_monitor_udev.c, or usb_monitor_kernel.c in a build without libudev */

struct dx_usb_events;
struct dx_usb_events *dx_usb_events_create(void);
void dx_usb_events_destroy(struct dx_usb_events *events);
int dx_usb_events_fd(const struct dx_usb_events *events);
void dx_usb_events_read(struct dx_usb_events *events, dx_usb_news news, void *context);

/* usb_uevent.c */

/**
 * Reads a message of the kernel's about a device: "ACTION@PATH", then KEY=VALUE, each with its NUL.
 *
 * @param ret_port  of the USB device, or of that whose interface it is.
 * @return false: it is about nothing of USB, or is no such message.
 */
bool dx_usb_uevent_parse(const char *bytes, size_t size, char ret_port[DX_USB_PORT_BYTES]);

/** The port in a name of sysfs: "1-2.3" of "1-2.3:1.0".  false: it is none of a device or interface. */
bool dx_usb_port_of(const char *name, char ret_port[DX_USB_PORT_BYTES]);

#endif /* DX_HOST_SUPERVISOR_USB_MONITOR_H */
