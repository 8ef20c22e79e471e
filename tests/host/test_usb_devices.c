// SPDX-License-Identifier: MIT
// What sysfs and the kernel tell of USB devices is read, and nothing of it is trusted.

#include "host/supervisor/usb_monitor.h"
#include "host/usb_devices.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/dextral-usb-XXXXXX";

static void
make_folder(void)
{
    cr_assert(mkdtemp(folder) != NULL);
}

static void
remove_folder(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf -- '%s'", folder);
    cr_expect(eq(int, system(command), 0));
}

TestSuite(usb_devices, .init = make_folder, .fini = remove_folder);

static void
write_file(const char *device, const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s/%s", folder, device, name);
    FILE *const file = fopen(path, "w");
    cr_assert(file != NULL, "%s", path);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void
make_one(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    cr_assert(eq(int, mkdir(path, 0700), 0), "%s", path);
}

/* As Linux shows an AX88772B that asix.ko drives. */
static void
make_adapter(const char *port)
{
    static const char *const attributes[][2] = {
        {"idVendor", "0b95\n"},  {"idProduct", "772b\n"},     {"bcdDevice", "0002\n"},       {"bDeviceClass", "ff\n"},
        {"bDeviceSubClass", "ff\n"}, {"bDeviceProtocol", "00\n"}, {"busnum", "1\n"},         {"devnum", "4\n"},
        {"bConfigurationValue", "1\n"}, {"speed", "480\n"},   {"manufacturer", "ASIX Elec. Corp.\n"},
        {"product", "AX88772B\n"}, {"serial", "00C9BD\n"},
    };
    static const char *const of_interface[][2] = {
        {"bInterfaceNumber", "00\n"}, {"bInterfaceClass", "ff\n"}, {"bInterfaceSubClass", "ff\n"}, {"bInterfaceProtocol", "00\n"},
    };
    char interface[64];
    make_one(port);
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
        write_file(port, attributes[i][0], attributes[i][1]);
    (void)snprintf(interface, sizeof interface, "%s/%s:1.0", port, port);
    make_one(interface);
    for (size_t i = 0; i < sizeof of_interface / sizeof of_interface[0]; i++)
        write_file(interface, of_interface[i][0], of_interface[i][1]);
}

Test(usb_devices, a_device_is_read_with_its_interfaces)
{
    struct dx_usb_plugged device;
    make_adapter("1-2.3");
    cr_assert(eq(int, dx_usb_read_plugged(folder, "1-2.3", &device), 0));
    cr_expect(eq(u16, device.vendor, 0x0b95));
    cr_expect(eq(u16, device.product, 0x772b));
    cr_expect(eq(u16, device.version, 2));
    cr_expect(eq(u8, device.class, 0xff));
    cr_expect(eq(u16, device.bus, 1));
    cr_expect(eq(u16, device.address, 4));
    cr_expect(eq(u8, device.configuration, 1));
    cr_expect(eq(u32, device.kilobits, 480000));
    cr_expect(eq(int, strcmp(device.vendor_text, "ASIX Elec. Corp."), 0));
    cr_expect(eq(int, strcmp(device.serial, "00C9BD"), 0));
    cr_assert(eq(u32, device.interface_count, 1));
    cr_expect(eq(u8, device.interfaces[0].class, 0xff));
    char *const node = dx_usb_node_path("/dev/bus/usb", &device);
    cr_expect(eq(int, strcmp(node, "/dev/bus/usb/001/004"), 0));
    free(node);
}

Test(usb_devices, what_a_device_may_lack_is_empty)
{
    struct dx_usb_plugged device;
    char path[256];
    make_adapter("1-2");
    static const char *const names[] = {"manufacturer", "product", "serial", "speed"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/1-2/%s", folder, names[i]);
        cr_assert(eq(int, unlink(path), 0));
    }
    write_file("1-2", "bConfigurationValue", "\n"); // as the kernel shows a device without one
    cr_assert(eq(int, dx_usb_read_plugged(folder, "1-2", &device), 0));
    cr_expect(eq(u8, device.configuration, 0));
    cr_expect(eq(u32, device.kilobits, 0));
    cr_expect(eq(int, device.serial[0] || device.product_text[0], 0));
}

Test(usb_devices, texts_of_a_device_are_cleaned)
{
    struct dx_usb_plugged device;
    char text[400];
    make_adapter("1-2");
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    write_file("1-2", "serial", text);
    write_file("1-2", "product", "a\x1b[31m\xff\n");
    write_file("1-2", "manufacturer", "M\xc3\xbcller\n");
    cr_assert(eq(int, dx_usb_read_plugged(folder, "1-2", &device), 0));
    cr_expect(eq(sz, strlen(device.serial), DX_USB_TEXT_BYTES - 1));
    cr_expect(eq(int, strcmp(device.product_text, "a?[31m?"), 0), "%s", device.product_text);
    cr_expect(eq(int, strcmp(device.vendor_text, "M\xc3\xbcller"), 0));
}

Test(usb_devices, nonsense_is_refused)
{
    static const char *const bad[][2] = {
        {"idVendor", "0b9z\n"}, {"idVendor", "\n"},       {"idVendor", "10b95\n"},  {"idProduct", "-1\n"}, {"busnum", "1 2\n"},
        {"devnum", "70000\n"},  {"bDeviceClass", "1ff\n"}, {"bDeviceClass", "0x1\n"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char port[8];
        struct dx_usb_plugged device = {.port = "untouched"};
        (void)snprintf(port, sizeof port, "1-%zu", i + 1);
        make_adapter(port);
        write_file(port, bad[i][0], bad[i][1]);
        cr_expect(eq(int, dx_usb_read_plugged(folder, port, &device), -EBADMSG), "%s %s", bad[i][0], bad[i][1]);
        cr_expect(eq(int, strcmp(device.port, "untouched"), 0));
    }
    struct dx_usb_plugged device;
    cr_expect(eq(int, dx_usb_read_plugged(folder, "4-1", &device), -ENODEV));
    make_one("4-2");
    cr_expect(eq(int, dx_usb_read_plugged(folder, "4-2", &device), -ENODEV), "it left while it was read");
}

Test(usb_devices, interfaces_that_lie_are_left_out)
{
    struct dx_usb_plugged device;
    make_adapter("1-2");
    write_file("1-2/1-2:1.0", "bInterfaceNumber", "20\n"); // 32
    cr_assert(eq(int, dx_usb_read_plugged(folder, "1-2", &device), 0));
    cr_expect(eq(u32, device.interface_count, 0));
}

static void
count_port(void *context, const char *port)
{
    (void)port;
    ++*(unsigned *)context;
}

Test(usb_devices, ports_are_told_from_hubs_and_interfaces)
{
    static const char *const good[] = {"1-1", "1-2.3", "12-10.4.2"};
    static const char *const bad[] = {"usb1", "1-0:1.0", "1-1:1.0", "1-", "-1", "1-1.", "1-.1", "1-1..2", "1", "", "..", "1-1/.."};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_expect(dx_usb_is_port(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect(not(dx_usb_is_port(bad[i])), "%s", bad[i]);
    unsigned count = 0;
    make_adapter("1-1");
    make_one("usb1");
    make_one("1-1:1.0");
    cr_expect(eq(int, dx_usb_each_port(folder, count_port, &count), 0));
    cr_expect(eq(uint, count, 1));
}

/* ---- the kernel's messages ---- */

#define MESSAGE(text) text, sizeof text // with the NUL of the last

Test(usb_devices, a_message_says_where_to_look)
{
    char port[DX_USB_PORT_BYTES];
    cr_expect(dx_usb_uevent_parse(MESSAGE("add@/devices/pci0/usb1/1-2\0ACTION=add\0DEVPATH=/devices/pci0/usb1/1-2\0"
                                          "SUBSYSTEM=usb\0DEVTYPE=usb_device"),
                                  port));
    cr_expect(eq(int, strcmp(port, "1-2"), 0));
    cr_expect(dx_usb_uevent_parse(MESSAGE("bind@/x\0DEVPATH=/devices/usb1/1-2/1-2:1.0\0SUBSYSTEM=usb"), port));
    cr_expect(eq(int, strcmp(port, "1-2"), 0));
    cr_expect(not(dx_usb_uevent_parse(MESSAGE("add@/x\0DEVPATH=/devices/net/eth0\0SUBSYSTEM=net"), port)));
    cr_expect(not(dx_usb_uevent_parse(MESSAGE("add@/x\0DEVPATH=/devices/usb1\0SUBSYSTEM=usb"), port)), "a root hub");
    cr_expect(not(dx_usb_uevent_parse(MESSAGE("add@/x\0SUBSYSTEM=usb"), port)));
    cr_expect(not(dx_usb_uevent_parse(MESSAGE("libudev\0SUBSYSTEM=usb\0DEVPATH=/1-2"), port)), "not the kernel's form");
    cr_expect(not(dx_usb_uevent_parse("add@/x\0DEVPATH=/1-2\0SUBSYSTEM=usb", 30, port)), "not ended");
    cr_expect(not(dx_usb_uevent_parse("", 0, port)));
}
