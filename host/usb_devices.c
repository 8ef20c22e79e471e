// SPDX-License-Identifier: MIT
// USB devices as sysfs has them.

#include "host/usb_devices.h"

#include "host/store.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ATTRIBUTE_BYTES 256u

bool
dx_usb_is_port(const char *name)
{
    const size_t length = strnlen(name, DX_USB_PORT_BYTES);
    const size_t bus = strspn(name, "0123456789");
    if (length == 0 || length >= DX_USB_PORT_BYTES || bus == 0 || name[bus] != '-')
        return false;
    bool was_digit = false; // numbers with one '.' between them
    for (const char *c = name + bus + 1; *c; c++) {
        const bool is_digit = *c >= '0' && *c <= '9';
        if (!is_digit && (*c != '.' || !was_digit))
            return false;
        was_digit = is_digit;
    }
    return was_digit;
}

/* ---- attributes ---- */

/* A file of one line, without its newline.  @return 0; -ENOENT: it is not there. */
static int
read_attribute(int folder, const char *name, char *text, size_t size)
{
    struct stat info;
    const int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    ssize_t length = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? read(fd, text, size - 1) : -1;
    const int code = length < 0 ? errno : 0;
    (void)close(fd);
    if (length < 0)
        return code == ENODEV || code == ENOENT ? -ENODEV : -EBADMSG; // it left between two reads
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    text[length] = '\0';
    return strlen(text) == (size_t)length ? 0 : -EBADMSG;
}

/* A number that takes the whole line. */
static int
read_number(int folder, const char *name, int base, unsigned long maximum, unsigned long *ret_number)
{
    char text[MAX_ATTRIBUTE_BYTES];
    char *end = NULL;
    const int r = read_attribute(folder, name, text, sizeof text);
    if (r != 0)
        return r;
    const char *const digits = base == 16 ? "0123456789abcdefABCDEF" : "0123456789";
    if (!text[0] || strlen(text) > 10 || text[strspn(text, digits)])
        return -EBADMSG;
    *ret_number = strtoul(text, &end, base);
    return *ret_number <= maximum ? 0 : -EBADMSG;
}

static int
read_byte(int folder, const char *name, uint8_t *ret_byte)
{
    unsigned long number = 0;
    const int r = read_number(folder, name, 16, UINT8_MAX, &number);
    *ret_byte = (uint8_t)number;
    return r;
}

static int
read_word(int folder, const char *name, int base, uint16_t *ret_word)
{
    unsigned long number = 0;
    const int r = read_number(folder, name, base, UINT16_MAX, &number);
    *ret_word = (uint16_t)number;
    return r;
}

/* What a device says of itself: cut, and without what would harm a terminal or a message.  Not there: "". */
static void
read_text(int folder, const char *name, char text[DX_USB_TEXT_BYTES])
{
    if (read_attribute(folder, name, text, DX_USB_TEXT_BYTES) != 0)
        text[0] = '\0';
    const bool is_utf8 = dx_text_is_utf8(text, strlen(text));
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F || (!is_utf8 && (unsigned char)*c >= 0x80))
            *c = '?';
}

/* "1.5", "12", "480", "5000": megabits. */
static uint32_t
read_speed(int folder)
{
    char text[MAX_ATTRIBUTE_BYTES];
    if (read_attribute(folder, "speed", text, sizeof text) != 0)
        return 0;
    if (strcmp(text, "1.5") == 0)
        return 1500;
    const size_t digits = strspn(text, "0123456789");
    return digits && digits <= 6 && !text[digits] ? (uint32_t)strtoul(text, NULL, 10) * 1000u : 0;
}

/* ---- interfaces ---- */

static int
read_interface(int device, const char *name, struct dx_usb_interface *interface)
{
    const int folder = openat(device, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return -errno;
    int r = read_byte(folder, "bInterfaceNumber", &interface->number);
    r = r ? r : read_byte(folder, "bInterfaceClass", &interface->class);
    r = r ? r : read_byte(folder, "bInterfaceSubClass", &interface->subclass);
    r = r ? r : read_byte(folder, "bInterfaceProtocol", &interface->protocol);
    (void)close(folder);
    return r == 0 && interface->number >= DX_USB_MAX_INTERFACES ? -EBADMSG : r;
}

static int
compare_interfaces(const void *a, const void *b)
{
    const struct dx_usb_interface *const left = a;
    const struct dx_usb_interface *const right = b;
    return (int)left->number - (int)right->number;
}

/* "PORT:CONFIGURATION.NUMBER" */
static bool
is_interface_of(const char *name, const char *port)
{
    const size_t length = strlen(port);
    return strncmp(name, port, length) == 0 && name[length] == ':' &&
           !name[length + 1 + strspn(name + length + 1, "0123456789.")];
}

/* One that goes while it is read, or says nonsense, is left out: the kernel tells of what changes. */
static int
read_interfaces(int folder, struct dx_usb_plugged *device)
{
    const int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *const stream = copy >= 0 ? fdopendir(copy) : NULL;
    if (!stream) {
        if (copy >= 0)
            (void)close(copy);
        return -ENODEV;
    }
    for (const struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
        struct dx_usb_interface interface = {0};
        if (device->interface_count < DX_USB_MAX_INTERFACES && is_interface_of(entry->d_name, device->port) &&
            read_interface(folder, entry->d_name, &interface) == 0 &&
            !dx_usb_find_interface(device, interface.number))
            device->interfaces[device->interface_count++] = interface;
    }
    (void)closedir(stream);
    qsort(device->interfaces, device->interface_count, sizeof device->interfaces[0], compare_interfaces);
    return 0;
}

const struct dx_usb_interface *
dx_usb_find_interface(const struct dx_usb_plugged *device, uint8_t number)
{
    for (uint32_t i = 0; i < device->interface_count; i++)
        if (device->interfaces[i].number == number)
            return &device->interfaces[i];
    return NULL;
}

/* ---- devices ---- */

static int
read_device(int folder, struct dx_usb_plugged *device)
{
    int r = read_word(folder, "idVendor", 16, &device->vendor);
    r = r ? r : read_word(folder, "idProduct", 16, &device->product);
    r = r ? r : read_word(folder, "bcdDevice", 16, &device->version);
    r = r ? r : read_byte(folder, "bDeviceClass", &device->class);
    r = r ? r : read_byte(folder, "bDeviceSubClass", &device->subclass);
    r = r ? r : read_byte(folder, "bDeviceProtocol", &device->protocol);
    r = r ? r : read_word(folder, "busnum", 10, &device->bus);
    r = r ? r : read_word(folder, "devnum", 10, &device->address);
    if (r != 0)
        return r;
    unsigned long configuration = 0; // an empty line where none is set
    if (read_number(folder, "bConfigurationValue", 10, UINT8_MAX, &configuration) == 0)
        device->configuration = (uint8_t)configuration;
    device->kilobits = read_speed(folder);
    read_text(folder, "manufacturer", device->vendor_text);
    read_text(folder, "product", device->product_text);
    read_text(folder, "serial", device->serial);
    return read_interfaces(folder, device);
}

int
dx_usb_read_plugged(const char *folder, const char *port, struct dx_usb_plugged *ret_device)
{
    if (!dx_usb_is_port(port))
        return -EBADMSG;
    const int all = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (all < 0)
        return errno == ENOENT ? -ENODEV : -errno;
    struct dx_usb_plugged device = {0};
    const int fd = openat(all, port, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd >= 0 ? 0 : errno == ENOENT ? -ENODEV : -errno;
    (void)close(all);
    if (r == 0) {
        memcpy(device.port, port, strlen(port));
        r = read_device(fd, &device);
        (void)close(fd);
    }
    if (r == 0)
        *ret_device = device;
    return r == -ENOENT ? -ENODEV : r;
}

int
dx_usb_each_port(const char *folder, void (*function)(void *context, const char *port), void *context)
{
    DIR *const stream = opendir(folder);
    if (!stream)
        return -errno;
    for (const struct dirent *entry = readdir(stream); entry; entry = readdir(stream))
        if (dx_usb_is_port(entry->d_name))
            function(context, entry->d_name);
    (void)closedir(stream);
    return 0;
}

char *
dx_usb_node_path(const char *folder, const struct dx_usb_plugged *device)
{
    char *path = NULL;
    return asprintf(&path, "%s/%03u/%03u", folder, device->bus, device->address) < 0 ? NULL : path;
}

bool
dx_usb_is_same(const struct dx_usb_plugged *a, const struct dx_usb_plugged *b)
{
    return strcmp(a->port, b->port) == 0 && a->bus == b->bus && a->address == b->address && a->vendor == b->vendor &&
           a->product == b->product && strcmp(a->serial, b->serial) == 0;
}
