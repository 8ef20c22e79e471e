// SPDX-License-Identifier: MIT
// What a program has taken from the kernel's drivers is given back when it is killed. usbfs is played by ioctl().

#include "backends/usb/usb.h"
#include "tests/core/check.h"

#include <errno.h>
#include <linux/usbdevice_fs.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define INTERFACES 4u
#define PATIENCE_MS 20000u

enum driver { NOBODY, KERNEL, PROGRAM };

/* Of the device; all processes see it. */
static struct device {
    _Atomic int drivers[INTERFACES];
    _Atomic uint32_t looked, connected[INTERFACES];
} *device;

int __wrap_ioctl(int fd, unsigned long request, ...);

static int
fail_with(int error)
{
    errno = error;
    return -1;
}

static int
tell_driver(struct usbdevfs_getdriver *request)
{
    const int driver = request->interface < INTERFACES ? atomic_load(&device->drivers[request->interface]) : NOBODY;
    (void)atomic_fetch_add(&device->looked, 1);
    if (driver == NOBODY)
        return fail_with(ENODATA);
    (void)strcpy(request->driver, driver == KERNEL ? "cdc_ncm" : "usbfs");
    return 0;
}

int
__wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *const argument = va_arg(arguments, void *);
    va_end(arguments);
    CHECK(fd >= 0);
    if (request == USBDEVFS_GETDRIVER)
        return tell_driver(argument);
    CHECK(request == USBDEVFS_IOCTL);
    const struct usbdevfs_ioctl *const call = argument;
    CHECK_EQ((unsigned)call->ioctl_code, USBDEVFS_CONNECT);
    CHECK(call->ifno >= 0 && (unsigned)call->ifno < INTERFACES);
    CHECK_EQ(atomic_load(&device->drivers[call->ifno]), NOBODY);
    atomic_store(&device->drivers[call->ifno], KERNEL);
    (void)atomic_fetch_add(&device->connected[call->ifno], 1);
    return 0;
}

static void
nap(void)
{
    static const struct timespec time = {.tv_nsec = 1000000};
    (void)nanosleep(&time, NULL);
}

static void
set_drivers(int first, int second, int third, int fourth)
{
    const int drivers[INTERFACES] = {first, second, third, fourth};
    for (size_t i = 0; i < INTERFACES; i++) {
        atomic_store(&device->drivers[i], drivers[i]);
        atomic_store(&device->connected[i], 0);
    }
    atomic_store(&device->looked, 0);
}

/* A program with a guard, which has none of the program's files: else reading would wait. */
static pid_t
start_guarded(void)
{
    int ends[2];
    char byte;
    CHECK_EQ(pipe(ends), 0);
    const pid_t program = fork();
    CHECK(program >= 0);
    if (program == 0) {
        (void)setpgid(0, 0);
        CHECK_EQ(dx_usb_guard("/dev/null"), 0);
        (void)close(ends[1]);
        for (;;)
            (void)pause();
    }
    (void)close(ends[1]);
    CHECK_EQ(read(ends[0], &byte, 1), 0);
    (void)close(ends[0]);
    atomic_store(&device->looked, 0);
    return program;
}

static void
end_program(pid_t program, int number)
{
    int how = 0;
    CHECK_EQ(kill(-program, number), 0); // all of its group
    CHECK_EQ(waitpid(program, &how, 0), program);
    CHECK(WIFSIGNALED(how));
}

/* It is this process's, once the program is no more. */
static void
wait_for_guard(void)
{
    int how = -1;
    CHECK(waitpid(-1, &how, 0) > 0);
    CHECK_EQ(how, 0);
}

static void
wait_until_connected(size_t interface)
{
    for (uint32_t i = 0; i < PATIENCE_MS && atomic_load(&device->connected[interface]) == 0; i++)
        nap();
    CHECK_EQ(atomic_load(&device->connected[interface]), 1);
}

/* The last two were nobody's, and another program's. */
static void
what_a_killed_program_had_taken_is_given_back(void)
{
    set_drivers(KERNEL, KERNEL, NOBODY, PROGRAM);
    const pid_t program = start_guarded();
    set_drivers(NOBODY, PROGRAM, NOBODY, NOBODY);
    end_program(program, SIGKILL);
    wait_until_connected(0);
    CHECK_EQ(atomic_load(&device->connected[1]), 0);
    atomic_store(&device->drivers[1], NOBODY); // let go of a moment later
    wait_for_guard();
    CHECK_EQ(atomic_load(&device->connected[1]), 1);
    CHECK_EQ(atomic_load(&device->connected[2]), 0);
    CHECK_EQ(atomic_load(&device->connected[3]), 0);
}

static void
what_has_been_given_back_is_left_alone(void)
{
    set_drivers(KERNEL, KERNEL, NOBODY, NOBODY);
    const pid_t program = start_guarded();
    end_program(program, SIGTERM);
    wait_for_guard();
    CHECK_EQ(atomic_load(&device->looked), 2);
    CHECK_EQ(atomic_load(&device->connected[0]), 0);
}

static void
nothing_is_given_back_while_the_program_lives(void)
{
    set_drivers(KERNEL, NOBODY, NOBODY, NOBODY);
    const pid_t program = start_guarded();
    set_drivers(NOBODY, NOBODY, NOBODY, NOBODY);
    for (uint32_t i = 0; i < 100; i++)
        nap();
    CHECK_EQ(atomic_load(&device->looked), 0);
    end_program(program, SIGKILL);
    wait_for_guard();
    CHECK_EQ(atomic_load(&device->connected[0]), 1);
}

static void
without_a_driver_of_the_kernel_there_is_no_process(void)
{
    set_drivers(NOBODY, PROGRAM, NOBODY, NOBODY);
    CHECK_EQ(dx_usb_guard("/dev/null"), 0);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    CHECK_EQ(-dx_usb_guard("/dev/null/none"), ENOTDIR);
}

int
main(void)
{
    device = mmap(NULL, sizeof *device, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(device != MAP_FAILED);
    CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    RUN(without_a_driver_of_the_kernel_there_is_no_process);
    RUN(nothing_is_given_back_while_the_program_lives);
    RUN(what_a_killed_program_had_taken_is_given_back);
    RUN(what_has_been_given_back_is_left_alone);
    (void)munmap(device, sizeof *device);
    return 0;
}
