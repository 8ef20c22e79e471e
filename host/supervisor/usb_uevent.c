// SPDX-License-Identifier: MIT
// What the kernel says when a device comes, goes or changes.

#include "host/supervisor/usb_monitor.h"
#include "host/usb_devices.h"

#include <string.h>

bool
dx_usb_port_of(const char *name, char ret_port[DX_USB_PORT_BYTES])
{
    const size_t length = strcspn(name, ":");
    if (length == 0 || length >= DX_USB_PORT_BYTES)
        return false;
    memcpy(ret_port, name, length);
    ret_port[length] = '\0';
    return dx_usb_is_port(ret_port);
}

bool
dx_usb_uevent_parse(const char *bytes, size_t size, char ret_port[DX_USB_PORT_BYTES])
{
    static const char path_key[] = "DEVPATH=";
    const char *name = NULL;
    bool is_usb = false;
    const char *const at = size ? memchr(bytes, '@', strnlen(bytes, size)) : NULL;
    if (!at || bytes[size - 1] != '\0')
        return false;
    for (const char *text = bytes; text < bytes + size; text += strlen(text) + 1) {
        if (strcmp(text, "SUBSYSTEM=usb") == 0)
            is_usb = true;
        if (strncmp(text, path_key, sizeof path_key - 1) == 0)
            name = strrchr(text, '/');
    }
    return is_usb && name && dx_usb_port_of(name + 1, ret_port);
}
