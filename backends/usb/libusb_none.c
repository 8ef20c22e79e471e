// SPDX-License-Identifier: MIT
// Builds without libusb: USB/IP and models work, devices of this machine do not.

#include "backends/usb/usb.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int
dx_usb_open_fd(int fd, const char *path, struct dx_usb_device **ret_device, char why[256])
{
    (void)ret_device;
    (void)snprintf(why, 256, "%s: this build of Dextral has no libusb: build it with -Dusb=enabled",
                   path ? path : "USB");
    (void)close(fd);
    return -ENOSYS;
}
