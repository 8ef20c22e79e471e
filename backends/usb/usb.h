// SPDX-License-Identifier: MIT
// The USB devices of this machine: which there are, and opening one through libusb.

#ifndef DX_USB_USB_H
#define DX_USB_USB_H

#include "backends/usb/transfer.h"

/* A device as the kernel's sysfs shows it: nothing has been opened for this. Texts are UTF-8 and may be empty. */
struct dx_usb_entry {
    char path[64];   // of ports: "1-2.3"
    char node[48];   // what is opened: "/dev/bus/usb/001/004"
    uint8_t bus;
    uint8_t address;
    uint16_t vendor;
    uint16_t product;
    enum dx_usb_speed speed;
    char manufacturer[128];
    char name[128];
    char serial[128];
    char kernel_drivers[128]; // who holds its interfaces: "asix"; "usbfs" is a program
    const char *driver;       // which of dx_nic_drivers would take it; NULL: none
    char why[256];            // that driver would, but for what its descriptors say
    int access;               // 0: may be opened; -EACCES, -ENOENT, ...
};

/**
 * Lists devices, hubs left out, ordered by path.
 *
 * @param root         where sys/ and dev/ are: "" for those of this machine.
 * @param ret_entries  to be freed with free(); NULL where there are none.
 * @return 0, also without any USB; -ENOMEM.
 */
int dx_usb_list(const char *root, struct dx_usb_entry **ret_entries, size_t *ret_count);

/**
 * Opens a device of this machine.
 *
 * @param name  its path, "1-2.3", or its ids, "0b95:772b", where only one has these.
 * @param why   a sentence on failure: what to do about it, where something can be done.
 * @return 0; -EINVAL (no such name), -ENODEV (no such device), -ENOTUNIQ (several have these ids), -EACCES, -ENOSYS
 * (built without libusb), or what opening it said.
 */
int dx_usb_open(const char *name, struct dx_usb_device **ret_device, char why[256]);

/**
 * Opens a device by an open file of usbfs: needs neither /sys nor /dev, nor a right to open anything.
 *
 * @param fd    /dev/bus/usb/BUS/ADDRESS, for reading and writing. Taken, also on failure.
 * @param path  of ports, where it is known; or NULL.
 */
int dx_usb_open_fd(int fd, const char *path, struct dx_usb_device **ret_device, char why[256]);

/**
 * Starts a process that gives a device back to the kernel's drivers that have it now, when the calling one has ended and has
 * not done so itself: after SIGKILL nobody else would. It has none of the caller's files, is in a session of its own, and ends
 * right after the caller.
 *
 * @param path  /dev/bus/usb/BUS/ADDRESS
 * @return 0, also where the kernel's drivers have nothing of it, and without a process then; -errno: there is none.
 *
 * Thread: any, before the device is claimed.
 */
int dx_usb_guard(const char *path);

/** Puts what follows an error of opening into a sentence. */
void dx_usb_explain(int error, const char *name, const char *node, char why[256]);

/**
 * Takes the descriptors of a device over: that of the device, then its configurations, one after the other.
 *
 * @return 0; -EPROTO (too short for a device), -ENOMEM.
 */
int dx_usb_take_descriptors(struct dx_usb_device *device, const uint8_t *bytes, size_t size);

/** Frees what that allocated. */
void dx_usb_free_descriptors(struct dx_usb_device *device);

#endif /* DX_USB_USB_H */
