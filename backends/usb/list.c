// SPDX-License-Identifier: MIT
// Which USB devices there are, by sysfs: no library, no right, and no device that wakes up.

#include "backends/usb/nic.h"
#include "backends/usb/usb.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLASS_HUB 9u
#define DEVICE_BYTES 18u
#define CONFIGURATION_BYTES 9u
#define MAX_DESCRIPTOR_BYTES (DEVICE_BYTES + DX_USB_MAX_CONFIGURATIONS * 65536u)

/* Descriptors. */

void
dx_usb_free_descriptors(struct dx_usb_device *device)
{
    for (uint32_t i = 0; i < device->configuration_count; i++)
        free(device->configurations[i].bytes);
    device->configuration_count = 0;
}

int
dx_usb_take_descriptors(struct dx_usb_device *device, const uint8_t *bytes, size_t size)
{
    if (size < DEVICE_BYTES || bytes[0] < DEVICE_BYTES || bytes[1] != 1)
        return -EPROTO;
    memcpy(device->device_descriptor, bytes, DEVICE_BYTES);
    device->configuration_count = 0;
    for (size_t at = DEVICE_BYTES; at + CONFIGURATION_BYTES <= size;) {
        const size_t total = (size_t)(bytes[at + 2] | bytes[at + 3] << 8);
        const size_t length = total < size - at ? total : size - at;
        if (length < CONFIGURATION_BYTES || device->configuration_count == DX_USB_MAX_CONFIGURATIONS)
            break; // the rest cannot be found
        struct dx_usb_configuration *const configuration = &device->configurations[device->configuration_count];
        configuration->bytes = malloc(length);
        if (!configuration->bytes) {
            dx_usb_free_descriptors(device);
            return -ENOMEM;
        }
        memcpy(configuration->bytes, bytes + at, length);
        configuration->size = (uint32_t)length;
        device->configuration_count++;
        at += length;
    }
    return 0;
}

/* Files of sysfs. */

/* Returns how many bytes were read; 0 where there is no such file. */
static size_t
read_file(const char *folder, const char *name, void *bytes, size_t size)
{
    char path[PATH_MAX];
    size_t filled = 0;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    for (ssize_t got = 1; got > 0 && filled < size; filled += got > 0 ? (size_t)got : 0)
        got = read(fd, (uint8_t *)bytes + filled, size - filled);
    (void)close(fd);
    return filled;
}

static void
read_text(const char *folder, const char *name, char *text, size_t size)
{
    size_t length = read_file(folder, name, text, size - 1);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    text[length] = '\0';
}

static unsigned
read_number(const char *folder, const char *name, int base)
{
    char text[32];
    read_text(folder, name, text, sizeof text);
    return (unsigned)strtoul(text, NULL, base);
}

static enum dx_usb_speed
read_speed(const char *folder)
{
    switch (read_number(folder, "speed", 10)) { // "1.5" is low speed
    case 1:
        return DX_USB_LOW;
    case 12:
        return DX_USB_FULL;
    case 480:
        return DX_USB_HIGH;
    case 0:
        return DX_USB_SPEED_UNKNOWN;
    default:
        return DX_USB_SUPER; // 5000 and above
    }
}

/* "asix", "cdc_ncm, cdc_acm": each once. */
static void
add_driver(char *list, size_t size, const char *driver)
{
    const size_t length = strlen(driver);
    for (const char *found = list; (found = strstr(found, driver)); found += length) {
        if ((found == list || found[-1] == ' ') && (found[length] == ',' || found[length] == '\0'))
            return;
    }
    const size_t used = strlen(list);
    (void)snprintf(list + used, size - used, "%s%s", used > 0 ? ", " : "", driver);
}

/* Interfaces are folders of their own: "1-2:1.0". */
static void
read_kernel_drivers(const char *folder, const char *path, char *list, size_t size)
{
    DIR *const entries = opendir(folder);
    const size_t length = strlen(path);
    list[0] = '\0';
    for (const struct dirent *entry; entries && (entry = readdir(entries));) {
        char link[PATH_MAX];
        char target[PATH_MAX];
        if (strncmp(entry->d_name, path, length) != 0 || entry->d_name[length] != ':')
            continue;
        if (snprintf(link, sizeof link, "%s/%s/driver", folder, entry->d_name) >= (int)sizeof link)
            continue;
        const ssize_t got = readlink(link, target, sizeof target - 1);
        if (got <= 0)
            continue; // nobody has it
        target[got] = '\0';
        const char *const slash = strrchr(target, '/');
        add_driver(list, size, slash ? slash + 1 : target);
    }
    if (entries)
        (void)closedir(entries);
}

/* Asks our drivers, by descriptors alone. */
static void
find_driver(const char *folder, struct dx_usb_entry *entry)
{
    struct dx_usb_device device = {.speed = entry->speed};
    uint8_t *const bytes = malloc(MAX_DESCRIPTOR_BYTES);
    const size_t size = bytes ? read_file(folder, "descriptors", bytes, MAX_DESCRIPTOR_BYTES) : 0;
    (void)snprintf(device.path, sizeof device.path, "%s", entry->path);
    device.configuration = (uint8_t)read_number(folder, "bConfigurationValue", 10);
    if (size > 0 && dx_usb_take_descriptors(&device, bytes, size) == 0) {
        const struct dx_nic_ops *ops = NULL;
        struct dx_nic_info info;
        void *nic = NULL;
        const int error = dx_nic_find(&device, &ops, &nic, &info, entry->why);
        if (error == 0)
            entry->why[0] = '\0';
        if (error == 0 || error == -EINVAL)
            entry->driver = ops->name;
        free(nic);
    }
    if (!entry->driver)
        entry->why[0] = '\0';
    dx_usb_free_descriptors(&device);
    free(bytes);
}

/* "1-2", "1-2.3.4": neither "usb1" nor "1-2:1.0". */
static bool
is_path(const char *name)
{
    const size_t bus = strspn(name, "0123456789");
    return bus > 0 && name[bus] == '-' && name[bus + 1] != '\0' && strlen(name) < 64 &&
           strspn(name + bus + 1, "0123456789.") == strlen(name + bus + 1);
}

static bool
read_entry(const char *root, const char *path, struct dx_usb_entry *entry)
{
    char folder[PATH_MAX];
    char node[PATH_MAX];
    *entry = (struct dx_usb_entry){0};
    if (snprintf(folder, sizeof folder, "%s/sys/bus/usb/devices/%s", root, path) >= (int)sizeof folder ||
        snprintf(entry->path, sizeof entry->path, "%s", path) >= (int)sizeof entry->path ||
        read_number(folder, "bDeviceClass", 16) == CLASS_HUB || read_number(folder, "devnum", 10) == 0)
        return false;
    entry->bus = (uint8_t)read_number(folder, "busnum", 10);
    entry->address = (uint8_t)read_number(folder, "devnum", 10);
    (void)snprintf(entry->node, sizeof entry->node, "/dev/bus/usb/%03u/%03u", entry->bus, entry->address);
    entry->vendor = (uint16_t)read_number(folder, "idVendor", 16);
    entry->product = (uint16_t)read_number(folder, "idProduct", 16);
    entry->speed = read_speed(folder);
    read_text(folder, "manufacturer", entry->manufacturer, sizeof entry->manufacturer);
    read_text(folder, "product", entry->name, sizeof entry->name);
    read_text(folder, "serial", entry->serial, sizeof entry->serial);
    read_kernel_drivers(folder, path, entry->kernel_drivers, sizeof entry->kernel_drivers);
    if (snprintf(node, sizeof node, "%s%s", root, entry->node) < (int)sizeof node)
        entry->access = access(node, R_OK | W_OK) == 0 ? 0 : -errno;
    find_driver(folder, entry);
    return true;
}

/* By bus, then port by port, as numbers. */
static int
compare_entries(const void *left, const void *right)
{
    const struct dx_usb_entry *const a = left;
    const struct dx_usb_entry *const b = right;
    return strverscmp(a->path, b->path);
}

int
dx_usb_list(const char *root, struct dx_usb_entry **ret_entries, size_t *ret_count)
{
    char folder[PATH_MAX];
    struct dx_usb_entry *entries = NULL;
    size_t count = 0;
    (void)snprintf(folder, sizeof folder, "%s/sys/bus/usb/devices", root);
    DIR *const names = opendir(folder);
    for (const struct dirent *name; names && (name = readdir(names));) {
        struct dx_usb_entry entry;
        if (!is_path(name->d_name) || !read_entry(root, name->d_name, &entry))
            continue;
        struct dx_usb_entry *const more = reallocarray(entries, count + 1, sizeof *entries);
        if (!more) {
            free(entries);
            (void)closedir(names);
            return -ENOMEM;
        }
        entries = more;
        entries[count++] = entry;
    }
    if (names)
        (void)closedir(names);
    if (count > 1)
        qsort(entries, count, sizeof *entries, compare_entries);
    *ret_entries = entries;
    *ret_count = count;
    return 0;
}

/* Opening one of them. */

void
dx_usb_explain(int error, const char *name, const char *node, char why[256])
{
    switch (error) {
    case -EACCES:
    case -EPERM:
        (void)snprintf(why, 256,
                       "%s: no right to open %s: install 70-dextral-usb.rules where udev looks (/etc/udev/rules.d), be "
                       "logged in at this machine or in the group plugdev, and plug the adapter in again",
                       name, node);
        break;
    case -EBUSY:
        (void)snprintf(why, 256, "%s: another program or driver has it, and does not let go of it", name);
        break;
    case -ENODEV:
    case -ENOENT:
    case -ENXIO:
        (void)snprintf(why, 256, "%s: it is not there any more, or %s is not: was it unplugged?", name, node);
        break;
    default:
        (void)snprintf(why, 256, "%s: %s: %s", name, node, strerror(-error));
        break;
    }
}

/* "0b95:772b" */
static bool
parse_ids(const char *name, uint16_t *ret_vendor, uint16_t *ret_product)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    if (strlen(name) != 9 || name[4] != ':' || strspn(name, digits) != 4 || strspn(name + 5, digits) != 4)
        return false;
    *ret_vendor = (uint16_t)strtoul(name, NULL, 16);
    *ret_product = (uint16_t)strtoul(name + 5, NULL, 16);
    return true;
}

/* Returns 0, with the one entry that is meant. */
static int
find_entry(const char *name, struct dx_usb_entry *ret_entry, char why[256])
{
    struct dx_usb_entry *entries = NULL;
    size_t count = 0;
    size_t found = 0;
    uint16_t vendor = 0;
    uint16_t product = 0;
    const bool has_ids = parse_ids(name, &vendor, &product);
    if (!has_ids && !is_path(name)) {
        (void)snprintf(why, 256, "'%.64s' is neither a path of ports (1-2.3) nor a pair of ids (0b95:772b)", name);
        return -EINVAL;
    }
    const int error = dx_usb_list("", &entries, &count);
    for (size_t i = 0; i < count; i++) {
        if (has_ids ? entries[i].vendor == vendor && entries[i].product == product
                    : strcmp(entries[i].path, name) == 0) {
            if (found == 0)
                *ret_entry = entries[i];
            found++;
        }
    }
    free(entries);
    if (error < 0)
        (void)snprintf(why, 256, "no memory");
    else if (found == 0)
        (void)snprintf(why, 256, "there is no USB device %s; 'dextral usb list' shows which there are", name);
    else if (found > 1)
        (void)snprintf(why, 256, "%zu devices are %s: name one by its path; 'dextral usb list' shows them", found,
                       name);
    return error < 0 ? error : found == 0 ? -ENODEV : found > 1 ? -ENOTUNIQ : 0;
}

int
dx_usb_open(const char *name, struct dx_usb_device **ret_device, char why[256])
{
    struct dx_usb_entry entry;
    int error = find_entry(name, &entry, why);
    if (error < 0)
        return error;
    const int fd = open(entry.node, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        error = -errno;
        dx_usb_explain(error, entry.path, entry.node, why);
        return error == -EPERM ? -EACCES : error == -ENOENT ? -ENODEV : error;
    }
    return dx_usb_open_fd(fd, entry.path, ret_device, why);
}
