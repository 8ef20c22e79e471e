// SPDX-License-Identifier: MIT
// Which USB devices are plugged in, as sysfs tells.

#ifndef DX_HOST_USB_DEVICES_H
#define DX_HOST_USB_DEVICES_H

#include "host/usb_match.h"

#define DX_USB_DEVICES_FOLDER "/sys/bus/usb/devices"
#define DX_USB_NODES_FOLDER "/dev/bus/usb"

/** Whether a name is that of a device's port: "1-2.3".  Root hubs and interfaces have others. */
bool dx_usb_is_port(const char *name);

/**
 * Reads what is plugged into a port.  Nothing that is read is trusted: texts come from the device.
 *
 * @param folder  DX_USB_DEVICES_FOLDER, or one that a test made.
 * @param port    its name there.
 * @return 0; -ENODEV (nothing is plugged in, or it left meanwhile); -EBADMSG (what stands there is no device);
 *         -EACCES, -EMFILE...
 */
int dx_usb_read_plugged(const char *folder, const char *port, struct dx_usb_plugged *ret_device);

/** Calls a function for each port at which something is plugged in.  @return 0, or a negative errno value. */
int dx_usb_each_port(const char *folder, void (*function)(void *context, const char *port), void *context);

/** The node of a device, the caller's to free(): "/dev/bus/usb/001/004".  NULL without memory. */
char *dx_usb_node_path(const char *folder, const struct dx_usb_plugged *device);

/** Whether two readings are of one device, plugged in once: another one at the same port has another address. */
bool dx_usb_is_same(const struct dx_usb_plugged *a, const struct dx_usb_plugged *b);

/** The interface of that number; NULL: the configuration has none. */
const struct dx_usb_interface *dx_usb_find_interface(const struct dx_usb_plugged *device, uint8_t number);

#endif /* DX_HOST_USB_DEVICES_H */
