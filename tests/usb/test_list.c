// SPDX-License-Identifier: MIT
// Which devices are shown, on a made-up sysfs, and what is said of those that cannot be opened.

#include "backends/usb/usb.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICES "sys/bus/usb/devices"

static char root[] = "/tmp/dextral-list-XXXXXX";

static void
make_folders(const char *path)
{
    char made[512];
    (void)snprintf(made, sizeof made, "%s/%s", root, path);
    for (char *slash = made + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        (void)mkdir(made, 0777);
    }
    cr_assert(mkdir(made, 0777) == 0 || errno == EEXIST);
}

static void
write_bytes(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s/%s", root, folder, name);
    FILE *const file = fopen(path, "w");
    cr_assert(file != NULL);
    cr_assert(eq(sz, fwrite(bytes, 1, size, file), size));
    cr_assert(eq(int, fclose(file), 0));
}

static void
write_text(const char *folder, const char *name, const char *text)
{
    write_bytes(folder, name, text, strlen(text));
}

/* As the kernel shows one: its numbers in files, each with a new line. */
static void
make_device(const char *path, const char *ids, const char *bus, const char *address, const char *speed)
{
    char folder[256];
    char text[16];
    (void)snprintf(folder, sizeof folder, DEVICES "/%s", path);
    make_folders(folder);
    (void)snprintf(text, sizeof text, "%.4s\n", ids);
    write_text(folder, "idVendor", text);
    (void)snprintf(text, sizeof text, "%.4s\n", ids + 5);
    write_text(folder, "idProduct", text);
    write_text(folder, "busnum", bus);
    write_text(folder, "devnum", address);
    write_text(folder, "speed", speed);
    write_text(folder, "bDeviceClass", "ff\n");
    write_text(folder, "bConfigurationValue", "1\n");
}

static void
make_interface(const char *path, const char *number, const char *driver)
{
    char folder[256];
    char link[512];
    char target[256];
    (void)snprintf(folder, sizeof folder, DEVICES "/%s/%s:1.%s", path, path, number);
    make_folders(folder);
    (void)snprintf(link, sizeof link, "%s/%s/driver", root, folder);
    (void)snprintf(target, sizeof target, "../../../../bus/usb/drivers/%s", driver);
    cr_assert(eq(int, symlink(target, link), 0));
}

static void
begin(void)
{
    cr_assert(mkdtemp(root) != NULL);
    make_folders(DEVICES);
}

static void
end(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert(eq(int, system(command), 0));
}

static bool
is_text(const char *text, const char *expected)
{
    return strcmp(text, expected) == 0;
}

TestSuite(usb_list, .init = begin, .fini = end);

/* An AX88772C as its data sheet has it. */
static const uint8_t ax88772[] = {
    18, 1, 0, 2, 0xff, 0xff, 0, 64, 0x95, 0x0b, 0x2b, 0x77, 2, 0, 1, 2, 3, 1, // device
    9, 2, 39, 0, 1, 1, 0, 0xa0, 50,                                          // configuration
    9, 4, 0, 0, 3, 0xff, 0xff, 0, 0,                                         // interface
    7, 5, 0x81, 3, 8, 0, 11, 7, 5, 0x82, 2, 0, 2, 0, 7, 5, 0x03, 2, 0, 2, 0,
};

Test(usb_list, a_machine_without_usb_has_none)
{
    struct dx_usb_entry *entries = NULL;
    size_t count = 1;
    cr_assert(eq(int, dx_usb_list("/nowhere", &entries, &count), 0));
    cr_assert(eq(sz, count, 0));
    free(entries);
    count = 1;
    cr_assert(eq(int, dx_usb_list(root, &entries, &count), 0));
    cr_assert(eq(sz, count, 0));
    free(entries);
}

Test(usb_list, devices_are_shown_in_the_order_of_ports_and_hubs_are_not)
{
    static const char *const paths[] = {"1-2", "1-10.1", "1-2.10", "2-1", "1-2.9"};
    static const char *const expected[] = {"1-2", "1-2.9", "1-2.10", "1-10.1", "2-1"};
    struct dx_usb_entry *entries = NULL;
    size_t count = 0;
    for (size_t i = 0; i < 5; i++)
        make_device(paths[i], "1d6b:0104", "1\n", "5\n", "12\n");
    make_device("1-3", "1d6b:0002", "1\n", "2\n", "480\n");
    write_text(DEVICES "/1-3", "bDeviceClass", "09\n");
    make_device("usb1", "1d6b:0002", "1\n", "1\n", "480\n");
    make_interface("1-2", "0", "cdc_ether");
    make_folders(DEVICES "/1-2:1.0");
    cr_assert(eq(int, dx_usb_list(root, &entries, &count), 0));
    cr_assert(eq(sz, count, 5));
    for (size_t i = 0; i < 5; i++)
        cr_assert(is_text(entries[i].path, expected[i]), "%s", entries[i].path);
    free(entries);
}

Test(usb_list, all_that_is_known_of_one_is_told)
{
    struct dx_usb_entry *entries = NULL;
    size_t count = 0;
    make_device("1-2.3", "0b95:772b", "1\n", "14\n", "480\n");
    write_text(DEVICES "/1-2.3", "manufacturer", "ASIX Elec. Corp.\n");
    write_text(DEVICES "/1-2.3", "product", "AX88772C\n");
    write_text(DEVICES "/1-2.3", "serial", "0000B1\n");
    write_bytes(DEVICES "/1-2.3", "descriptors", ax88772, sizeof ax88772);
    make_interface("1-2.3", "0", "asix");
    make_interface("1-2.3", "1", "cdc_acm");
    make_interface("1-2.3", "2", "asix");
    make_folders("dev/bus/usb/001");
    write_text("dev/bus/usb/001", "014", "");
    cr_assert(eq(int, dx_usb_list(root, &entries, &count), 0));
    cr_assert(eq(sz, count, 1));
    cr_assert(is_text(entries[0].node, "/dev/bus/usb/001/014"), "%s", entries[0].node);
    cr_assert(eq(u16, entries[0].vendor, 0x0b95));
    cr_assert(eq(u16, entries[0].product, 0x772b));
    cr_assert(eq(int, (int)entries[0].speed, DX_USB_HIGH));
    cr_assert(is_text(entries[0].manufacturer, "ASIX Elec. Corp."), "%s", entries[0].manufacturer);
    cr_assert(is_text(entries[0].name, "AX88772C"), "%s", entries[0].name);
    cr_assert(is_text(entries[0].serial, "0000B1"), "%s", entries[0].serial);
    cr_assert(eq(int, entries[0].access, 0));
    cr_assert(strcmp(entries[0].kernel_drivers, "asix, cdc_acm") == 0 ||
              strcmp(entries[0].kernel_drivers, "cdc_acm, asix") == 0);
    cr_assert(entries[0].driver != NULL);
    cr_assert(is_text(entries[0].driver, "ax88772"), "%s", entries[0].driver);
    cr_assert(is_text(entries[0].why, ""), "%s", entries[0].why);
    free(entries);
}

Test(usb_list, descriptors_that_lie_are_told_and_end_nothing)
{
    uint8_t bytes[sizeof ax88772];
    for (size_t size = 0; size <= sizeof ax88772; size++) { // cut anywhere
        struct dx_usb_entry *entries = NULL;
        size_t count = 0;
        make_device("1-2", "0b95:772b", "1\n", "14\n", "480\n");
        write_bytes(DEVICES "/1-2", "descriptors", ax88772, size);
        cr_assert(eq(int, dx_usb_list(root, &entries, &count), 0));
        cr_assert(eq(sz, count, 1));
        cr_assert(size == sizeof ax88772 || !entries[0].driver || *entries[0].why);
        cr_assert(eq(int, entries[0].access, -ENOENT));
        free(entries);
    }
    for (size_t at = 0; at < sizeof ax88772; at++) { // and each byte another one
        struct dx_usb_entry *entries = NULL;
        size_t count = 0;
        memcpy(bytes, ax88772, sizeof bytes);
        bytes[at] ^= 0xff;
        write_bytes(DEVICES "/1-2", "descriptors", bytes, sizeof bytes);
        cr_assert(eq(int, dx_usb_list(root, &entries, &count), 0));
        cr_assert(eq(sz, count, 1));
        free(entries);
    }
}

Test(usb_list, what_is_to_be_done_fits_into_its_sentence)
{
    char why[256];
    dx_usb_explain(-EACCES, "10-11.12.13.14.15.16", "/dev/bus/usb/255/255", why);
    cr_assert(strstr(why, "70-dextral-usb.rules") && strstr(why, "plug the adapter in again"));
    dx_usb_explain(-EBUSY, "1-2", "/dev/bus/usb/001/002", why);
    cr_assert(strstr(why, "another program or driver has it") != NULL);
    dx_usb_explain(-ENODEV, "1-2", "/dev/bus/usb/001/002", why);
    cr_assert(strstr(why, "unplugged") != NULL);
    dx_usb_explain(-EMFILE, "1-2", "/dev/bus/usb/001/002", why);
    cr_assert(strstr(why, "/dev/bus/usb/001/002: Too many open files") != NULL);
}

Test(usb_list, only_names_of_devices_are_opened)
{
    static const char *const names[] = {"", "1", "usb1", "1-2:1.0", "1-", "0b95:772", "0b95:772bx", "0b95-772b", "../1-2"};
    struct dx_usb_device *device = NULL;
    char why[256];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        cr_assert(eq(int, dx_usb_open(names[i], &device, why), -EINVAL), "%s", names[i]);
        cr_assert(strstr(why, "neither a path of ports") != NULL);
    }
    cr_assert(eq(int, dx_usb_open("250-1", &device, why), -ENODEV));
    cr_assert(strstr(why, "there is no USB device 250-1") != NULL);
    cr_assert(eq(int, dx_usb_open("fffe:fffd", &device, why), -ENODEV));
}

Test(usb_list, a_file_that_is_no_usb_device_is_refused)
{
    struct dx_usb_device *device = NULL;
    char why[256] = "";
    const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    cr_assert(ge(int, fd, 0));
    const int error = dx_usb_open_fd(fd, "1-2", &device, why);
    cr_assert(error == -EINVAL || error == -ENOSYS);
    cr_assert(strstr(why, error == -EINVAL ? "no USB device" : "no libusb") != NULL);
    cr_assert(eq(int, fcntl(fd, F_GETFD), -1), "it was taken");
}
