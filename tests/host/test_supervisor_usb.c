// SPDX-License-Identifier: MIT
// Drivers of USB devices: started when one is plugged in, stopped when it leaves; sysfs and nodes are the test's.

#include "tests/host/supervisor_rig.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEVICE "<key>IOProviderClass</key><string>IOUSBHostDevice</string>"
#define INTERFACE "<key>IOProviderClass</key><string>IOUSBHostInterface</string>"
#define NUMBER(name, value) "<key>" name "</key><integer>" value "</integer>"
#define VENDOR NUMBER("idVendor", "2965") // 0b95
#define ENTITLED "<dict>" VENDOR "</dict>"

/* ---- sysfs ---- */

static void
write_text(const char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
write_text(const char *text, const char *format, ...)
{
    char path[512];
    va_list arguments;
    va_start(arguments, format);
    CHECK(vsnprintf(path, sizeof path, format, arguments) < (int)sizeof path);
    va_end(arguments);
    FILE *const file = fopen(path, "w");
    CHECK(file);
    CHECK(fputs(text, file) >= 0);
    CHECK_EQ(fclose(file), 0);
}

static void
make_folder(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void
make_folder(const char *format, ...)
{
    char path[512];
    va_list arguments;
    va_start(arguments, format);
    CHECK(vsnprintf(path, sizeof path, format, arguments) < (int)sizeof path);
    va_end(arguments);
    CHECK_EQ(mkdir(path, 0700), 0);
}

static void
rename_folder(const struct machine *machine, const char *port, bool is_plugged)
{
    char here[256];
    char there[256];
    (void)snprintf(here, sizeof here, "%s/stage/%s", machine->folder, port);
    (void)snprintf(there, sizeof there, "%s/usb/%s", machine->folder, port);
    CHECK_EQ(is_plugged ? rename(here, there) : rename(there, here), 0);
}

static mode_t node_mode = 0600; // of those that are plugged in from now on

/* An adapter of 0b95 with two interfaces, still to be plugged in; its node is a file. */
static void
make_adapter(const struct machine *machine, const char *port, unsigned address, const char *product, const char *serial)
{
    static const char *const same[][2] = {
        {"idVendor", "0b95\n"},       {"bcdDevice", "0100\n"}, {"bDeviceClass", "ff\n"},       {"bDeviceSubClass", "ff\n"},
        {"bDeviceProtocol", "00\n"},  {"busnum", "1\n"},       {"bConfigurationValue", "1\n"}, {"speed", "480\n"},
        {"product", "Adapter\n"},
    };
    const char *const stage = machine->folder;
    char text[32];
    make_folder("%s/stage/%s", stage, port);
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        write_text(same[i][1], "%s/stage/%s/%s", stage, port, same[i][0]);
    write_text(product, "%s/stage/%s/idProduct", stage, port);
    (void)snprintf(text, sizeof text, "%u\n", address);
    write_text(text, "%s/stage/%s/devnum", stage, port);
    if (serial)
        write_text(serial, "%s/stage/%s/serial", stage, port);
    for (unsigned i = 0; i < 2; i++) {
        char link[256];
        make_folder("%s/stage/%s/%s:1.%u", stage, port, port, i);
        (void)snprintf(text, sizeof text, "%02x\n", i);
        write_text(text, "%s/stage/%s/%s:1.%u/bInterfaceNumber", stage, port, port, i);
        write_text("ff\n", "%s/stage/%s/%s:1.%u/bInterfaceClass", stage, port, port, i);
        write_text("00\n", "%s/stage/%s/%s:1.%u/bInterfaceSubClass", stage, port, port, i);
        write_text("00\n", "%s/stage/%s/%s:1.%u/bInterfaceProtocol", stage, port, port, i);
        (void)snprintf(link, sizeof link, "%s/stage/%s/%s:1.%u/driver", stage, port, port, i);
        CHECK_EQ(symlink("../../bus/usb/drivers/asix", link), 0);
    }
    char node[256];
    (void)snprintf(node, sizeof node, "%s/nodes/001/%03u", stage, address);
    write_text("hello", "%s", node);
    CHECK_EQ(chmod(node, node_mode), 0);
}

static void
plug(const struct machine *machine, const char *port, unsigned address, const char *product, const char *serial)
{
    make_adapter(machine, port, address, product, serial);
    rename_folder(machine, port, true);
}

/* An adapter whose second interface comes later. */
static void
plug_first_half(const struct machine *machine, const char *port, unsigned address)
{
    char whole[256];
    char half[256];
    make_adapter(machine, port, address, "772b\n", NULL);
    (void)snprintf(whole, sizeof whole, "%s/stage/%s/%s:1.1", machine->folder, port, port);
    (void)snprintf(half, sizeof half, "%s/stage/%s:1.1", machine->folder, port);
    CHECK_EQ(rename(whole, half), 0);
    rename_folder(machine, port, true);
}

static void
plug_second_half(const struct machine *machine, const char *port)
{
    char command[600];
    char interface[64];
    (void)snprintf(command, sizeof command, "cp -r '%s/stage/%s:1.1' '%s/usb/%s'", machine->folder, port,
                   machine->folder, port);
    CHECK_EQ(system(command), 0);
    (void)snprintf(interface, sizeof interface, "%s:1.1", port);
    rename_folder(machine, interface, true); // the news of it
}

/* What has left leaves nothing behind, in the order in which the kernel does it. */
static void
unplug(const struct machine *machine, const char *port, unsigned address)
{
    char command[600];
    rename_folder(machine, port, false);
    (void)snprintf(command, sizeof command, "rm -rf '%s/stage/%s' '%s/nodes/001/%03u'", machine->folder, port,
                   machine->folder, address);
    CHECK_EQ(system(command), 0);
}

/* ---- bundles ---- */

static void
add_usb_bundle(const struct machine *machine, const char *name, const char *personalities, const char *entitled)
{
    char text[4096];
    char path[256];
    machine_add_bundle(machine, name, "none");
    (void)snprintf(text, sizeof text,
                   "<plist version=\"1.0\"><dict><key>CFBundleIdentifier</key><string>org.dextral.test.%s</string>"
                   "<key>CFBundleExecutable</key><string>Fault.so</string><key>IOKitPersonalities</key><dict>%s</dict>"
                   "</dict></plist>\n",
                   name, personalities);
    write_text(text, "%s/drivers/%s.dext/Info.plist", machine->folder, name);
    if (!entitled)
        return;
    (void)snprintf(text, sizeof text,
                   "<plist version=\"1.0\"><dict><key>com.apple.developer.driverkit.transport.usb</key><array>%s</array>"
                   "</dict></plist>\n",
                   entitled);
    (void)snprintf(path, sizeof path, "%s/drivers/%s.dext/%s.entitlements", machine->folder, name, name);
    write_text(text, "%s", path);
    CHECK_EQ(chmod(path, 0600), 0);
}

#define PERSONALITY(name, keys)                                                                                  \
    "<key>" name "</key><dict>" keys "<key>IOUserClass</key><string>FaultyAudioDriver</string>"                    \
    "<key>IOUserAudioDriverUserClientProperties</key><dict><key>IOClass</key><string>IOUserUserClient</string>"    \
    "<key>IOUserClass</key><string>IOUserAudioDriverUserClient</string></dict></dict>"
#define WHOLE PERSONALITY("Adapter", DEVICE VENDOR)

/* ---- devices ---- */

static void
expect_text(struct caller *caller, const char *uid, const char *key, const char *wanted)
{
    OSDictionary *const description = describe(caller, uid);
    const char *const text = dx_wire_get_string(description, key);
    if (!text || !strstr(text, wanted))
        (void)fprintf(stderr, "%s: %s is \"%s\", not \"%s\"\n", uid, key, text ? text : "", wanted);
    CHECK(text && strstr(text, wanted));
    OSObjectRelease(description);
}

static bool
is_alive(uint64_t pid)
{
    return pid && kill((pid_t)pid, 0) == 0;
}

static void
wait_dead(uint64_t pid)
{
    const int64_t end_ms = now_ms() + 10000;
    while (is_alive(pid)) {
        CHECK(now_ms() < end_ms);
        (void)waitpid((pid_t)pid, NULL, WNOHANG); // this process gets what a supervisor leaves
        sleep_ms(10);
    }
}

/* A machine into which nothing is plugged yet. */
static void
begin(struct machine *machine, struct caller *caller)
{
    char path[128];
    machine_create(machine);
    static const char *const folders[] = {"usb", "stage", "nodes", "nodes/001"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        make_folder("%s/%s", machine->folder, folders[i]);
    (void)snprintf(path, sizeof path, "%s/usb", machine->folder);
    CHECK_EQ(setenv("DEXTRAL_USB_DEVICES", path, 1), 0);
    (void)snprintf(path, sizeof path, "%s/nodes", machine->folder);
    CHECK_EQ(setenv("DEXTRAL_USB_NODES", path, 1), 0);
    machine_start(machine, NULL);
    caller_open(caller, machine, "player");
}

static void
look_again(const struct machine *machine)
{
    CHECK_EQ(kill(machine->supervisor, SIGHUP), 0);
}

/* With the bundle "adapter", for whatever has our vendor number. */
static void
begin_approved(struct machine *machine, struct caller *caller)
{
    begin(machine, caller);
    add_usb_bundle(machine, "adapter", WHOLE, ENTITLED);
    look_again(machine);
    approve(caller, "adapter");
}

/* That bundle, and an adapter "0001" in port 1-2 that it runs for; returns its process. */
static uint64_t
begin_with_adapter(struct machine *machine, struct caller *caller)
{
    begin_approved(machine, caller);
    plug(machine, "1-2", 4, "772b\n", "0001\n");
    wait_listed(caller, "0001", true);
    wait_state(caller, "0001", "running");
    return describe_number(caller, "0001", "pid");
}

static void
end(struct machine *machine, struct caller *caller)
{
    caller_close(caller);
    machine_destroy(machine);
}

static void
a_driver_starts_with_its_device_and_stops_when_it_leaves(void)
{
    struct machine machine;
    struct caller caller;
    begin_approved(&machine, &caller);
    expect_driver(&caller, "adapter", "hardware", "waits for USB 0b95:*; ");
    expect_driver(&caller, "adapter", "state", "idle");

    plug(&machine, "1-2", 4, "772b\n", "0001\n");
    wait_listed(&caller, "0001", true);
    wait_state(&caller, "0001", "running");
    expect_text(&caller, "0001", "hardware", "USB 0b95:772b Adapter at 1-2");
    expect_driver(&caller, "adapter", "hardware", "USB 0b95:772b Adapter at 1-2; ");
    expect_driver(&caller, "adapter", "state", "running");
    const uint64_t pid = describe_number(&caller, "0001", "pid");
    sleep_ms(700); // longer than a driver without sessions runs otherwise
    CHECK_EQ(describe_number(&caller, "0001", "pid"), pid);

    unplug(&machine, "1-2", 4);
    wait_listed(&caller, "0001", false);
    wait_dead(pid);
    expect_driver(&caller, "adapter", "hardware", "waits for USB 0b95:*; ");

    /* It is the same one in another port, and with another address. */
    plug(&machine, "1-3", 5, "772b\n", "0001\n");
    wait_listed(&caller, "0001", true);
    CHECK_EQ(describe_number(&caller, "0001", "restarts"), 0);
    end(&machine, &caller);
}

static void
the_driver_gets_the_node_and_the_sandbox_lets_usbfs_through(void)
{
    struct machine machine;
    struct caller caller;
    begin_approved(&machine, &caller);
    plug(&machine, "1-2", 4, "772b\n", "0001\n");
    wait_listed(&caller, "0001", true);
    /* A file knows no request: one that gets through is told so by the file, another one by the sandbox. */
    expect_text(&caller, "0001", "name", "reached: node hello usbfs ENOTTY other ");
    char open_parts[256];
    read_driver(&caller, "adapter", "open", open_parts, sizeof open_parts);
    if (!strstr(open_parts, "system calls"))
        expect_text(&caller, "0001", "name", "other EPERM");
    end(&machine, &caller);
}

static void
what_is_not_approved_is_listed_and_not_started(void)
{
    struct machine machine;
    struct caller caller;
    begin(&machine, &caller);
    add_usb_bundle(&machine, "adapter", WHOLE, ENTITLED);
    look_again(&machine);
    plug(&machine, "1-2", 4, "772b\n", "0001\n");
    machine_wait_said(&machine, "USB 0b95:772b is at 1-2");
    expect_driver(&caller, "adapter", "state", "unapproved");
    expect_driver(&caller, "adapter", "why", "dextral approve");
    expect_driver(&caller, "adapter", "hardware", "USB 0b95:772b Adapter at 1-2; ");
    sleep_ms(300);
    CHECK(!is_listed(&caller, "0001"));
    approve(&caller, "adapter");
    wait_listed(&caller, "0001", true);

    const uint64_t pid = describe_number(&caller, "0001", "pid");
    CHECK_EQ(ask(&caller, request_bundle(DX_OP_REVOKE, "adapter"), NULL, 0, NULL), kIOReturnSuccess);
    wait_dead(pid);
    wait_state(&caller, "0001", "unapproved");
    approve(&caller, "adapter");
    wait_state(&caller, "0001", "running");
    end(&machine, &caller);
}

static void
two_adapters_are_two_processes(void)
{
    struct machine machine;
    struct caller caller;
    begin_approved(&machine, &caller);
    plug(&machine, "1-2", 4, "772b\n", NULL);
    plug(&machine, "1-4.1", 6, "772b\n", NULL);
    wait_listed(&caller, "1-2", true);
    wait_listed(&caller, "1-4.1", true);
    const uint64_t pid = describe_number(&caller, "1-2", "pid");
    CHECK(pid != describe_number(&caller, "1-4.1", "pid"));
    unplug(&machine, "1-4.1", 6);
    wait_listed(&caller, "1-4.1", false);
    CHECK_EQ(describe_number(&caller, "1-2", "pid"), pid);
    end(&machine, &caller);
}

static void
of_two_adapters_that_say_to_be_one_the_second_is_listed_when_the_first_has_left(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_message gone;
    (void)begin_with_adapter(&machine, &caller);
    plug(&machine, "1-3", 5, "772b\n", "0001\n");
    machine_wait_said(&machine, "its device 0001 is not listed");
    expect_text(&caller, "0001", "hardware", "at 1-2");
    unplug(&machine, "1-2", 4);
    wait_event(&caller, DX_EVENT_GONE, &gone);
    dx_message_finish(&gone);
    wait_listed(&caller, "0001", true);
    expect_text(&caller, "0001", "hardware", "at 1-3");
    end(&machine, &caller);
}

static void
a_driver_that_is_killed_comes_back(void)
{
    struct machine machine;
    struct caller caller;
    const uint64_t pid = begin_with_adapter(&machine, &caller);
    CHECK_EQ(kill((pid_t)pid, SIGKILL), 0);
    const int64_t end_ms = now_ms() + 10000;
    while (describe_number(&caller, "0001", "restarts") != 1 || describe_number(&caller, "0001", "pid") == 0) {
        CHECK(now_ms() < end_ms);
        sleep_ms(10);
    }
    wait_state(&caller, "0001", "running");
    CHECK(describe_number(&caller, "0001", "pid") != pid);
    end(&machine, &caller);
}

static void
a_session_goes_on_when_its_device_is_plugged_in_again(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    begin_approved(&machine, &caller);
    plug(&machine, "1-2", 4, "772b\n", NULL); // without a serial number: the driver alone knows it again
    wait_listed(&caller, "1-2", true);
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "1-2", 7, &lane, NULL), kIOReturnSuccess);
    CHECK_EQ(ask(&caller, request_of(DX_OP_START, 7), NULL, 0, NULL), kIOReturnSuccess);

    unplug(&machine, "1-2", 4);
    wait_state(&caller, "1-2", "waiting");
    expect_text(&caller, "1-2", "why", "has been unplugged");
    expect_text(&caller, "1-2", "hardware", "waits for USB 0b95:772b Adapter at 1-2");
    while (has_event(&caller, DX_EVENT_NEW_DRIVER, 0))
        ;
    plug(&machine, "1-2", 9, "772b\n", NULL);
    CHECK(has_event(&caller, DX_EVENT_NEW_DRIVER, 10000));
    wait_state(&caller, "1-2", "running");

    /* Once nobody has it open, it is not listed without being there. */
    unplug(&machine, "1-2", 9);
    wait_state(&caller, "1-2", "waiting");
    CHECK_EQ(ask(&caller, request_of(DX_OP_CLOSE, 7), NULL, 0, NULL), kIOReturnSuccess);
    wait_listed(&caller, "1-2", false);
    dx_lane_finish(&lane);
    end(&machine, &caller);
}

static void
what_is_unplugged_waits_on_when_it_is_to_be_started_again(void)
{
    struct machine machine;
    struct caller caller;
    struct dx_lane lane;
    begin_approved(&machine, &caller);
    plug(&machine, "1-2", 4, "772b\n", NULL);
    wait_listed(&caller, "1-2", true);
    make_lane(&lane);
    CHECK_EQ(open_session(&caller, "1-2", 7, &lane, NULL), kIOReturnSuccess);
    unplug(&machine, "1-2", 4);
    wait_state(&caller, "1-2", "waiting");
    CHECK_EQ(ask(&caller, request_about(DX_OP_RESTART, "1-2"), NULL, 0, NULL), kIOReturnSuccess);
    expect_text(&caller, "1-2", "state", "waiting");
    expect_text(&caller, "1-2", "why", "it goes on when it is plugged in again");
    plug(&machine, "1-2", 9, "772b\n", NULL);
    wait_state(&caller, "1-2", "running");
    dx_lane_finish(&lane);
    end(&machine, &caller);
}

static void
without_descriptors_nothing_is_taken_for_unplugged(void)
{
    struct machine machine;
    struct caller caller;
    struct rlimit most;
    const uint64_t pid = begin_with_adapter(&machine, &caller);
    CHECK_EQ(prlimit(machine.supervisor, RLIMIT_NOFILE, NULL, &most), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = most.rlim_max}; // what is open stays so
    CHECK_EQ(prlimit(machine.supervisor, RLIMIT_NOFILE, &none, NULL), 0);
    make_folder("%s/stage/1-2:1.0", machine.folder);
    rename_folder(&machine, "1-2:1.0", true); // news of it
    machine_wait_said(&machine, "1-2 is not understood: Too many open files");
    CHECK_EQ(prlimit(machine.supervisor, RLIMIT_NOFILE, &most, NULL), 0);
    plug(&machine, "1-3", 5, "772b\n", "0002\n");
    wait_listed(&caller, "0002", true);
    CHECK(!machine_has_said(&machine, "has left 1-2"));
    CHECK_EQ(describe_number(&caller, "0001", "pid"), pid);
    expect_text(&caller, "0001", "state", "running");
    end(&machine, &caller);
}

static void
the_highest_score_wins_in_each_category(void)
{
    struct machine machine;
    struct caller caller;
    begin(&machine, &caller);
    add_usb_bundle(&machine, "general", PERSONALITY("P", DEVICE VENDOR), ENTITLED);
    add_usb_bundle(&machine, "liked", PERSONALITY("P", DEVICE VENDOR NUMBER("IOProbeScore", "1000")), ENTITLED);
    add_usb_bundle(&machine, "exact", PERSONALITY("P", DEVICE VENDOR NUMBER("idProduct", "30507")), ENTITLED);
    add_usb_bundle(&machine, "beside",
                   PERSONALITY("P", INTERFACE VENDOR NUMBER("bInterfaceNumber", "1") "<key>IOMatchCategory</key><string>x</string>"),
                   ENTITLED);
    look_again(&machine);
    static const char *const names[] = {"general", "liked", "exact", "beside"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        approve(&caller, names[i]);
    plug(&machine, "1-2", 4, "772b\n", NULL);
    wait_listed(&caller, "1-2", true);
    wait_listed(&caller, "1-2-1", true); // of the interface, in its own category
    expect_text(&caller, "1-2", "bundle", "org.dextral.test.liked");
    expect_text(&caller, "1-2-1", "bundle", "org.dextral.test.beside");
    expect_driver(&caller, "exact", "state", "idle");
    expect_driver(&caller, "general", "state", "idle");

    /* Without it the next one has its turn. */
    unplug(&machine, "1-2", 4);
    wait_listed(&caller, "1-2", false);
    CHECK_EQ(ask(&caller, request_bundle(DX_OP_REVOKE, "liked"), NULL, 0, NULL), kIOReturnSuccess);
    plug(&machine, "1-2", 5, "772b\n", NULL);
    wait_listed(&caller, "1-2", true);
    expect_text(&caller, "1-2", "bundle", "org.dextral.test.exact");
    end(&machine, &caller);
}

static void
wait_driver(struct caller *caller, const char *name, const char *state)
{
    char found[64];
    const int64_t end_ms = now_ms() + 10000;
    for (;;) {
        read_driver(caller, name, "state", found, sizeof found);
        if (strcmp(found, state) == 0)
            return;
        if (now_ms() >= end_ms)
            (void)fprintf(stderr, "%s is %s, not %s\n", name, found, state);
        CHECK(now_ms() < end_ms);
        sleep_ms(10);
    }
}

static void
what_one_driver_keeps_from_another_is_the_others_when_it_is_revoked(void)
{
    struct machine machine;
    struct caller caller;
    begin(&machine, &caller);
    add_usb_bundle(&machine, "general", PERSONALITY("P", DEVICE VENDOR), ENTITLED);
    add_usb_bundle(&machine, "liked", PERSONALITY("P", DEVICE VENDOR NUMBER("IOProbeScore", "1000")), ENTITLED);
    look_again(&machine);
    approve(&caller, "general");
    plug(&machine, "1-2", 4, "772b\n", NULL);
    wait_driver(&caller, "general", "running");
    approve(&caller, "liked"); // what runs is not ended for it
    expect_driver(&caller, "liked", "state", "failed");
    expect_driver(&caller, "liked", "why", "the driver org.dextral.test.general has USB 0b95:772b Adapter at 1-2");
    expect_driver(&caller, "general", "state", "running");
    CHECK_EQ(ask(&caller, request_bundle(DX_OP_REVOKE, "general"), NULL, 0, NULL), kIOReturnSuccess);
    wait_driver(&caller, "liked", "running");

    /* And where nobody waited for it, the next best. */
    approve(&caller, "general");
    CHECK_EQ(ask(&caller, request_bundle(DX_OP_REVOKE, "liked"), NULL, 0, NULL), kIOReturnSuccess);
    wait_driver(&caller, "general", "running");
    end(&machine, &caller);
}

#define SHARED "<key>IOUserServerOneProcess</key><true/>"

/* With a bundle of which one process has both interfaces. */
static void
begin_shared(struct machine *machine, struct caller *caller)
{
    begin(machine, caller);
    add_usb_bundle(machine, "both",
                   PERSONALITY("A", INTERFACE VENDOR NUMBER("bInterfaceNumber", "0") SHARED)
                       PERSONALITY("B", INTERFACE VENDOR NUMBER("bInterfaceNumber", "1") SHARED),
                   ENTITLED);
    look_again(machine);
    approve(caller, "both");
}

static void
personalities_that_share_a_process_share_it_for_each_device(void)
{
    struct machine machine;
    struct caller caller;
    begin_shared(&machine, &caller);
    plug(&machine, "1-2", 4, "772b\n", NULL);
    plug(&machine, "1-3", 5, "772b\n", NULL);
    wait_listed(&caller, "1-2-0", true);
    wait_listed(&caller, "1-2-1", true);
    wait_listed(&caller, "1-3-0", true);
    wait_listed(&caller, "1-3-1", true);
    CHECK_EQ(describe_number(&caller, "1-2-0", "pid"), describe_number(&caller, "1-2-1", "pid"));
    CHECK(describe_number(&caller, "1-2-0", "pid") != describe_number(&caller, "1-3-0", "pid"));
    end(&machine, &caller);
}

static void
an_interface_that_comes_later_is_started_too(void)
{
    struct machine machine;
    struct caller caller;
    begin_shared(&machine, &caller);
    plug_first_half(&machine, "1-2", 4);
    wait_listed(&caller, "1-2-0", true);
    plug_second_half(&machine, "1-2");
    wait_listed(&caller, "1-2-1", true);
    wait_state(&caller, "1-2-1", "running");
    CHECK_EQ(describe_number(&caller, "1-2-0", "pid"), describe_number(&caller, "1-2-1", "pid"));
    end(&machine, &caller);
}

static void
a_driver_that_sets_another_configuration_is_not_started_again_for_it(void)
{
    struct machine machine;
    struct caller caller;
    begin_shared(&machine, &caller);
    plug_first_half(&machine, "1-2", 4);
    wait_listed(&caller, "1-2-0", true);
    wait_state(&caller, "1-2-0", "running");
    const uint64_t pid = describe_number(&caller, "1-2-0", "pid");
    write_text("2\n", "%s/usb/1-2/bConfigurationValue", machine.folder);
    plug_second_half(&machine, "1-2");
    plug(&machine, "1-3", 5, "772b\n", NULL); // its news comes after that
    wait_listed(&caller, "1-3-0", true);
    CHECK_EQ(describe_number(&caller, "1-2-0", "pid"), pid);
    expect_text(&caller, "1-2-0", "state", "running");
    end(&machine, &caller);
}

/* As where the kernel tells of a device before any rule has given the right to open it. */
static void
an_interface_that_comes_before_the_driver_could_start_is_started_with_it(void)
{
    struct machine machine;
    struct caller caller;
    char node[256];
    begin_shared(&machine, &caller);
    plug_first_half(&machine, "1-2", 4);
    (void)snprintf(node, sizeof node, "%s/nodes/001/004", machine.folder);
    wait_listed(&caller, "1-2-0", true);
    CHECK_EQ(unlink(node), 0);
    const uint64_t pid = describe_number(&caller, "1-2-0", "pid");
    CHECK_EQ(kill((pid_t)pid, SIGKILL), 0);
    machine_wait_said(&machine, "/nodes/001/004 is not there");
    plug_second_half(&machine, "1-2");
    write_text("hello", "%s", node);
    CHECK_EQ(ask(&caller, request_bundle(DX_OP_RESTART, "both"), NULL, 0, NULL), kIOReturnSuccess);
    wait_listed(&caller, "1-2-1", true);
    end(&machine, &caller);
}

static void
a_bundle_without_the_entitlement_is_refused(void)
{
    struct machine machine;
    struct caller caller;
    begin(&machine, &caller);
    add_usb_bundle(&machine, "bare", WHOLE, NULL);
    add_usb_bundle(&machine, "greedy", WHOLE, "<dict>" VENDOR NUMBER("idProduct", "30507") "</dict>");
    look_again(&machine);
    expect_driver(&caller, "bare", "state", "refused");
    expect_driver(&caller, "bare", "why", "com.apple.developer.driverkit.transport.usb");
    expect_driver(&caller, "greedy", "state", "refused");
    expect_driver(&caller, "greedy", "why", "is for USB 0b95:*, of which");
    plug(&machine, "1-2", 4, "772b\n", "0001\n");
    machine_wait_said(&machine, "USB 0b95:772b is at 1-2");
    CHECK(!is_listed(&caller, "0001"));
    end(&machine, &caller);
}

static void
a_driver_goes_on_under_the_next_supervisor(void)
{
    struct machine machine;
    struct caller caller;
    const uint64_t pid = begin_with_adapter(&machine, &caller);
    caller_close(&caller);
    (void)machine_end(&machine, SIGKILL);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    wait_listed(&caller, "0001", true);
    CHECK_EQ(describe_number(&caller, "0001", "pid"), pid);

    /* It left while nobody looked: its driver is known no more. */
    caller_close(&caller);
    (void)machine_end(&machine, SIGKILL);
    unplug(&machine, "1-2", 4);
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    wait_dead(pid);
    CHECK(!is_listed(&caller, "0001"));
    end(&machine, &caller);
}

/* Its old process takes its time to end. */
static void
what_is_approved_and_plugged_in_again_before_its_driver_has_ended_starts(void)
{
    struct machine machine;
    struct caller caller;
    begin(&machine, &caller);
    add_usb_bundle(&machine, "adapter",
                   PERSONALITY("Adapter", DEVICE VENDOR "<key>Fault</key><string>hang in Stop</string>"), ENTITLED);
    look_again(&machine);
    approve(&caller, "adapter");
    plug(&machine, "1-2", 4, "772b\n", "0001\n");
    wait_listed(&caller, "0001", true);
    wait_state(&caller, "0001", "running");
    const uint64_t pid = describe_number(&caller, "0001", "pid");
    CHECK_EQ(ask(&caller, request_bundle(DX_OP_REVOKE, "adapter"), NULL, 0, NULL), kIOReturnSuccess);
    unplug(&machine, "1-2", 4);
    approve(&caller, "adapter");
    plug(&machine, "1-2", 5, "772b\n", "0001\n");
    machine_wait_said(&machine, "USB 0b95:772b has left 1-2");
    CHECK(is_alive(pid));
    wait_dead(pid);
    wait_state(&caller, "0001", "running");
    end(&machine, &caller);
}

static void
what_was_plugged_in_again_while_nobody_looked_gets_a_driver_of_its_own(void)
{
    struct machine machine;
    struct caller caller;
    const uint64_t pid = begin_with_adapter(&machine, &caller);
    caller_close(&caller);
    (void)machine_end(&machine, SIGKILL);
    unplug(&machine, "1-2", 4);
    plug(&machine, "1-2", 5, "772b\n", "0001\n"); // what that driver has open is the one that left
    machine_start(&machine, NULL);
    caller_open(&caller, &machine, "player");
    wait_dead(pid);
    wait_listed(&caller, "0001", true);
    wait_state(&caller, "0001", "running");
    CHECK(describe_number(&caller, "0001", "pid") != pid);
    end(&machine, &caller);
}

static void
try_without_right(void)
{
    struct machine machine;
    struct caller caller;
    char node[128];
    begin_approved(&machine, &caller);
    node_mode = 0;
    plug(&machine, "1-2", 4, "772b\n", "0001\n");
    machine_wait_said(&machine, "may not be opened by this user");
    expect_driver(&caller, "adapter", "state", "failed");
    expect_driver(&caller, "adapter", "why", "/nodes/001/004 (USB 0b95:772b Adapter at 1-2)");
    expect_driver(&caller, "adapter", "why", "70-dextral-usb.rules");
    expect_driver(&caller, "adapter", "why", "udevadm control --reload && udevadm trigger");
    CHECK(!is_listed(&caller, "0001"));
    (void)snprintf(node, sizeof node, "%s/nodes/001/004", machine.folder);
    CHECK_EQ(chmod(node, 0600), 0); // as udev does
    wait_listed(&caller, "0001", true);

    /* What is lost again, as when somebody else logs in, is missed when the kernel is to have its interfaces back. */
    CHECK_EQ(chmod(node, 0), 0);
    CHECK_EQ(ask(&caller, request_bundle(DX_OP_REVOKE, "adapter"), NULL, 0, NULL), kIOReturnSuccess);
    machine_wait_said(&machine, "/nodes/001/004 cannot be given back to the kernel: Permission denied");
    end(&machine, &caller);
}

/* Root may open everything, so it is tried as somebody else. */
static void
without_the_right_it_is_said_what_to_do_and_tried_again_when_there_is_one(void)
{
    const uid_t nobody = 65534;
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(nobody) != 0 || setuid(nobody) != 0))
            _exit(77);
        if (access(SUPERVISOR, X_OK) != 0 || access(DRIVER_PROGRAM, X_OK) != 0)
            _exit(77);
        try_without_right();
        _exit(0);
    }
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        (void)fprintf(stderr, "nobody cannot reach the build folder: not tried\n");
    else
        CHECK_EQ(WEXITSTATUS(status), 0);
}

int
main(void)
{
    RUN(a_driver_starts_with_its_device_and_stops_when_it_leaves);
    RUN(the_driver_gets_the_node_and_the_sandbox_lets_usbfs_through);
    RUN(what_is_not_approved_is_listed_and_not_started);
    RUN(two_adapters_are_two_processes);
    RUN(of_two_adapters_that_say_to_be_one_the_second_is_listed_when_the_first_has_left);
    RUN(a_driver_that_is_killed_comes_back);
    RUN(a_session_goes_on_when_its_device_is_plugged_in_again);
    RUN(what_is_unplugged_waits_on_when_it_is_to_be_started_again);
    RUN(without_descriptors_nothing_is_taken_for_unplugged);
    RUN(the_highest_score_wins_in_each_category);
    RUN(what_one_driver_keeps_from_another_is_the_others_when_it_is_revoked);
    RUN(personalities_that_share_a_process_share_it_for_each_device);
    RUN(an_interface_that_comes_later_is_started_too);
    RUN(a_driver_that_sets_another_configuration_is_not_started_again_for_it);
    RUN(an_interface_that_comes_before_the_driver_could_start_is_started_with_it);
    RUN(a_bundle_without_the_entitlement_is_refused);
    RUN(a_driver_goes_on_under_the_next_supervisor);
    RUN(what_is_approved_and_plugged_in_again_before_its_driver_has_ended_starts);
    RUN(what_was_plugged_in_again_while_nobody_looked_gets_a_driver_of_its_own);
    RUN(without_the_right_it_is_said_what_to_do_and_tried_again_when_there_is_one);
    return 0;
}
