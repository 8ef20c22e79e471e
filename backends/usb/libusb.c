// SPDX-License-Identifier: MIT
// Transfers by libusb: a device that somebody has opened in usbfs.

#include "backends/usb/usb.h"

#include <errno.h>
#include <libusb.h>
#include <limits.h>
#include <linux/usbdevice_fs.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MAX_INTERFACES 32u
#define MAX_POLLED 8u // libusb has three: its own event, its timer, the device
#define GOING_NS 1000000 // between two looks at a device that is being taken away
#define MAX_DESCRIPTOR_BYTES (18u + DX_USB_MAX_CONFIGURATIONS * 65536u)

struct libusb_backend {
    struct dx_usb_device device; // first
    libusb_context *context;
    libusb_device_handle *handle;
    int fd;      // of usbfs
    int wake_fd; // an eventfd
    struct pollfd polled[MAX_POLLED]; // [0] is wake_fd; the wire thread's from the first pump on
    nfds_t polled_count;
    /* Counted by who submits and by completions; read by pump(). */
    _Atomic uint32_t in_flight;
    _Atomic bool is_gone;
    /* Of the thread that makes requests. */
    uint32_t claimed;  // bits of interfaces
    uint32_t detached; // whose kernel drivers are to come back
    uint8_t first_configuration;
};

struct libusb_slot {
    struct libusb_transfer *transfer;
    uint8_t *buffer; // of a control transfer: its setup packet, then its data
    struct libusb_backend *backend;
};

static struct libusb_backend *
backend_of(struct dx_usb_device *device)
{
    return (struct libusb_backend *)device;
}

static int
error_of(int status)
{
    switch (status) {
    case LIBUSB_ERROR_INVALID_PARAM:
        return -EINVAL;
    case LIBUSB_ERROR_ACCESS:
        return -EACCES;
    case LIBUSB_ERROR_NO_DEVICE:
        return -ENODEV;
    case LIBUSB_ERROR_NOT_FOUND:
        return -ENOENT;
    case LIBUSB_ERROR_BUSY:
        return -EBUSY;
    case LIBUSB_ERROR_TIMEOUT:
        return -ETIMEDOUT;
    case LIBUSB_ERROR_OVERFLOW:
        return -EOVERFLOW;
    case LIBUSB_ERROR_PIPE:
        return -EPIPE;
    case LIBUSB_ERROR_NO_MEM:
        return -ENOMEM;
    case LIBUSB_ERROR_NOT_SUPPORTED:
        return -ENOTSUP;
    default:
        return status < 0 ? -EPROTO : 0;
    }
}

static int
status_of(enum libusb_transfer_status status)
{
    switch (status) {
    case LIBUSB_TRANSFER_COMPLETED:
        return 0;
    case LIBUSB_TRANSFER_TIMED_OUT:
        return -ETIMEDOUT;
    case LIBUSB_TRANSFER_CANCELLED:
        return -ECANCELED;
    case LIBUSB_TRANSFER_STALL:
        return -EPIPE;
    case LIBUSB_TRANSFER_NO_DEVICE:
        return -ENODEV;
    case LIBUSB_TRANSFER_OVERFLOW:
        return -EOVERFLOW;
    default:
        return -EPROTO;
    }
}

/* Waking. */

static void
wake(struct dx_usb_device *device)
{
    const uint64_t one = 1;
    const int before = errno; // a signal handler may be calling
    (void)!write(backend_of(device)->wake_fd, &one, sizeof one); // fails where it is awake 2^64 - 2 times over
    errno = before;
}

/* When a device is unplugged, libusb lets go of its file, after the last transfer's completion or without any. */
static void LIBUSB_CALL
poll_less(int fd, void *context)
{
    struct libusb_backend *const backend = context;
    for (nfds_t i = 1; i < backend->polled_count; i++) {
        if (backend->polled[i].fd == fd)
            backend->polled[i--] = backend->polled[--backend->polled_count];
    }
    if (fd == backend->fd)
        atomic_store_explicit(&backend->is_gone, true, memory_order_relaxed); // nothing goes with it
}

static void LIBUSB_CALL
poll_more(int fd, short events, void *context)
{
    struct libusb_backend *const backend = context;
    if (backend->polled_count < MAX_POLLED)
        backend->polled[backend->polled_count++] = (struct pollfd){.fd = fd, .events = events};
}

static void
poll_all(struct libusb_backend *backend)
{
    const struct libusb_pollfd **const all = libusb_get_pollfds(backend->context);
    backend->polled[0] = (struct pollfd){.fd = backend->wake_fd, .events = POLLIN};
    backend->polled_count = 1;
    for (size_t i = 0; all && all[i]; i++)
        poll_more(all[i]->fd, all[i]->events, backend);
    libusb_free_pollfds(all);
    libusb_set_pollfd_notifiers(backend->context, poll_more, poll_less, backend);
}

/* Transfers. */

static void LIBUSB_CALL
complete(struct libusb_transfer *done)
{
    struct dx_usb_transfer *const transfer = done->user_data;
    struct libusb_slot *const slot = transfer->backend;
    struct libusb_backend *const backend = slot->backend;
    transfer->status = status_of(done->status);
    transfer->actual = (uint32_t)done->actual_length;
    if (transfer->kind == DX_USB_CONTROL && transfer->setup.request_type & DX_USB_IN && transfer->actual > 0)
        memcpy(transfer->data, slot->buffer + LIBUSB_CONTROL_SETUP_SIZE, transfer->actual);
    /* A transfer says "no device" also where its interface was set anew: is_gone is for poll_less() to say.
     * relaxed: this thread alone acts on 0; before the call, which may submit it again. */
    (void)atomic_fetch_sub_explicit(&backend->in_flight, 1, memory_order_relaxed);
    transfer->completed(transfer);
}

static int
prepare(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    if (transfer->capacity > INT32_MAX - LIBUSB_CONTROL_SETUP_SIZE ||
        (transfer->kind == DX_USB_CONTROL && transfer->capacity > UINT16_MAX))
        return -EINVAL;
    struct libusb_slot *const slot = calloc(1, sizeof *slot);
    if (!slot)
        return -ENOMEM;
    slot->backend = backend_of(device);
    slot->transfer = libusb_alloc_transfer(0);
    if (transfer->kind == DX_USB_CONTROL)
        slot->buffer = malloc(LIBUSB_CONTROL_SETUP_SIZE + transfer->capacity);
    transfer->backend = slot;
    if (slot->transfer && (slot->buffer || transfer->kind != DX_USB_CONTROL))
        return 0;
    dx_usb_unprepare(device, transfer);
    return -ENOMEM;
}

static void
unprepare(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    struct libusb_slot *const slot = transfer->backend;
    (void)device;
    libusb_free_transfer(slot->transfer); // NULL is fine
    free(slot->buffer);
    free(slot);
    transfer->backend = NULL;
}

static void
fill(struct libusb_slot *slot, struct dx_usb_transfer *transfer)
{
    libusb_device_handle *const handle = slot->backend->handle;
    const int size = (int)transfer->size;
    slot->transfer->flags = 0;
    if (transfer->kind == DX_USB_CONTROL) {
        libusb_fill_control_setup(slot->buffer, transfer->setup.request_type, transfer->setup.request,
                                  transfer->setup.value, transfer->setup.index, (uint16_t)size);
        if (!(transfer->setup.request_type & DX_USB_IN) && size > 0)
            memcpy(slot->buffer + LIBUSB_CONTROL_SETUP_SIZE, transfer->data, transfer->size);
        libusb_fill_control_transfer(slot->transfer, handle, slot->buffer, complete, transfer,
                                     transfer->timeout_ms);
    } else if (transfer->kind == DX_USB_BULK) {
        libusb_fill_bulk_transfer(slot->transfer, handle, transfer->endpoint, transfer->data, size, complete,
                                  transfer, transfer->timeout_ms);
        if (transfer->ends_short && !(transfer->endpoint & DX_USB_IN))
            slot->transfer->flags = LIBUSB_TRANSFER_ADD_ZERO_PACKET;
    } else {
        libusb_fill_interrupt_transfer(slot->transfer, handle, transfer->endpoint, transfer->data, size, complete,
                                       transfer, transfer->timeout_ms);
    }
}

static int
submit(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    struct libusb_backend *const backend = backend_of(device);
    struct libusb_slot *const slot = transfer->backend;
    if ((transfer->kind == DX_USB_CONTROL) != ((transfer->endpoint & 15u) == 0))
        return -EINVAL;
    fill(slot, transfer);
    (void)atomic_fetch_add_explicit(&backend->in_flight, 1, memory_order_relaxed); // as in complete()
    const int error = libusb_submit_transfer(slot->transfer);
    if (error == 0)
        return 0;
    (void)atomic_fetch_sub_explicit(&backend->in_flight, 1, memory_order_relaxed);
    wake(device); // pump() may have seen one more than there is
    return error == LIBUSB_ERROR_BUSY ? -EINVAL : error_of(error);
}

static int
cancel(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    const struct libusb_slot *const slot = transfer->backend;
    (void)device;
    return error_of(libusb_cancel_transfer(slot->transfer)); // -ENOENT: it is not under way
}

/* How long poll() may wait: until a deadline, or what libusb asks for where it has no timer of its own. */
static struct timespec
time_until(struct libusb_backend *backend, uint64_t deadline_ns)
{
    struct timespec now;
    struct timeval asked;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); // cannot fail for this clock
    const uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    if (libusb_get_next_timeout(backend->context, &asked) == 1) {
        const uint64_t asked_ns = (uint64_t)asked.tv_sec * 1000000000u + (uint64_t)asked.tv_usec * 1000u;
        left_ns = asked_ns < left_ns ? asked_ns : left_ns;
    }
    const uint64_t seconds = left_ns / 1000000000u;
    return (struct timespec){.tv_sec = (time_t)(seconds < 3600 ? seconds : 3600),
                             .tv_nsec = (long)(left_ns % 1000000000u)};
}

/*
 * Unplugged, but the kernel has still to take the device from its file: until then poll() ends at once, and libusb does nothing
 * about it. The kernel's thread that does it may need this CPU, and a real-time thread that never waits would keep it away.
 */
static bool
is_being_taken_away(const struct libusb_backend *backend)
{
    for (nfds_t i = 1; i < backend->polled_count; i++) {
        if (backend->polled[i].fd == backend->fd && (backend->polled[i].revents & (POLLHUP | POLLERR)) == POLLHUP)
            return true;
    }
    return false;
}

/* libusb would wait by itself, but wakes by a lock: a poll() before it wakes by a write. */
static int
pump(struct dx_usb_device *device, uint64_t deadline_ns)
{
    static const struct timespec moment = {.tv_nsec = GOING_NS};
    struct libusb_backend *const backend = backend_of(device);
    struct timeval now = {0};
    /* relaxed: both are this thread's own facts, but for submits under way, which wake it. */
    if (atomic_load_explicit(&backend->is_gone, memory_order_relaxed) &&
        atomic_load_explicit(&backend->in_flight, memory_order_relaxed) == 0)
        return -ENODEV;
    const struct timespec timeout = time_until(backend, deadline_ns);
    const bool has_news = ppoll(backend->polled, backend->polled_count, &timeout, NULL) > 0;
    if (has_news && backend->polled[0].revents) {
        uint64_t wakes;
        (void)!read(backend->wake_fd, &wakes, sizeof wakes); // it does not block
    }
    if (has_news && is_being_taken_away(backend))
        (void)nanosleep(&moment, NULL); // sooner is fine
    (void)libusb_handle_events_timeout_completed(backend->context, &now, NULL); // what fails is told by transfers
    return 0;
}

/* Requests. */

static bool
is_gone(struct libusb_backend *backend)
{
    return atomic_load_explicit(&backend->is_gone, memory_order_relaxed); // nothing goes with it
}

/* Takes an interface from its kernel driver, which is to come back. */
static int
detach(struct libusb_backend *backend, uint8_t interface)
{
    if (libusb_kernel_driver_active(backend->handle, interface) != 1)
        return 0;
    const int error = libusb_detach_kernel_driver(backend->handle, interface);
    if (error == 0)
        backend->detached |= 1u << interface;
    return error == LIBUSB_ERROR_NOT_FOUND ? 0 : error_of(error); // it has gone by itself
}

/* Once nothing is claimed: a driver of two interfaces needs both. */
static void
attach(struct libusb_backend *backend)
{
    for (uint8_t i = 0; i < MAX_INTERFACES && backend->claimed == 0; i++) {
        if (backend->detached & 1u << i)
            (void)libusb_attach_kernel_driver(backend->handle, i); // another one's second interface is taken already
    }
    if (backend->claimed == 0)
        backend->detached = 0;
}

/* Of usbfs itself where libusb goes by what it remembers: the kernel may have taken interfaces back, over a reset for one. */
static int
ask_usbfs(struct libusb_backend *backend, unsigned long request, void *argument)
{
    return ioctl(backend->fd, request, argument) < 0 ? -errno : 0;
}

/* From a kernel driver it is taken in the same step: its module may have come a moment ago. */
static int
claim(struct dx_usb_device *device, uint8_t interface)
{
    struct libusb_backend *const backend = backend_of(device);
    struct usbdevfs_disconnect_claim claim = {
        .interface = interface, .flags = USBDEVFS_DISCONNECT_CLAIM_EXCEPT_DRIVER, .driver = "usbfs"};
    if (interface >= MAX_INTERFACES)
        return -EINVAL;
    if (libusb_kernel_driver_active(backend->handle, interface) == 1)
        backend->detached |= 1u << interface;
    const int error = ask_usbfs(backend, USBDEVFS_DISCONNECT_CLAIM, &claim);
    if (error == 0)
        backend->claimed |= 1u << interface;
    else
        attach(backend);
    return error;
}

static int
release(struct dx_usb_device *device, uint8_t interface)
{
    struct libusb_backend *const backend = backend_of(device);
    unsigned number = interface;
    if (interface >= MAX_INTERFACES || !(backend->claimed & 1u << interface))
        return -EINVAL;
    backend->claimed &= ~(1u << interface);
    const int error = ask_usbfs(backend, USBDEVFS_RELEASEINTERFACE, &number);
    attach(backend);
    return error;
}

/* Drivers of the old configuration must go first; those of the first one come back with it. */
static int
set_configuration(struct dx_usb_device *device, uint8_t value)
{
    struct libusb_backend *const backend = backend_of(device);
    int error = 0;
    for (uint8_t i = 0; i < MAX_INTERFACES && error == 0; i++)
        error = detach(backend, i);
    if (error == 0)
        error = error_of(libusb_set_configuration(backend->handle, value ? value : -1));
    if (error == 0 && value != device->configuration)
        backend->detached = 0;
    if (error < 0)
        attach(backend);
    return error;
}

static int
set_interface(struct dx_usb_device *device, uint8_t interface, uint8_t alternate)
{
    struct usbdevfs_setinterface setting = {.interface = interface, .altsetting = alternate};
    return ask_usbfs(backend_of(device), USBDEVFS_SETINTERFACE, &setting);
}

static int
clear_halt(struct dx_usb_device *device, uint8_t endpoint)
{
    return error_of(libusb_clear_halt(backend_of(device)->handle, endpoint));
}

static int
reset(struct dx_usb_device *device)
{
    const int error = error_of(libusb_reset_device(backend_of(device)->handle));
    return error == -ENOENT ? -ENODEV : error; // it came back as another one
}

/* Opening. */

static void
close_device(struct dx_usb_device *device)
{
    struct libusb_backend *const backend = backend_of(device);
    for (uint8_t i = 0; i < MAX_INTERFACES && backend->handle; i++) {
        if (backend->claimed & 1u << i)
            (void)release(device, i);
    }
    if (backend->handle && !is_gone(backend)) {
        attach(backend);
        if (device->configuration != backend->first_configuration && backend->first_configuration)
            (void)libusb_set_configuration(backend->handle, backend->first_configuration);
    }
    if (backend->handle)
        libusb_close(backend->handle);
    if (backend->context)
        libusb_exit(backend->context);
    if (backend->wake_fd >= 0)
        (void)close(backend->wake_fd);
    (void)close(backend->fd);
    free(backend);
}

static const struct dx_usb_ops libusb_ops = {
    .prepare = prepare,
    .unprepare = unprepare,
    .submit = submit,
    .cancel = cancel,
    .pump = pump,
    .wake = wake,
    .set_configuration = set_configuration,
    .claim = claim,
    .release = release,
    .set_interface = set_interface,
    .clear_halt = clear_halt,
    .reset = reset,
    .close = close_device,
};

/* The file's device descriptor has its numbers in this machine's byte order, the others in that of USB. */
static void
order_bytes(uint8_t *descriptor)
{
    static const uint8_t numbers[] = {2, 8, 10, 12};
    for (size_t i = 0; i < sizeof numbers; i++) {
        uint16_t value;
        memcpy(&value, descriptor + numbers[i], sizeof value);
        descriptor[numbers[i]] = (uint8_t)value;
        descriptor[numbers[i] + 1] = (uint8_t)(value >> 8);
    }
}

static int
read_descriptors(struct libusb_backend *backend)
{
    uint8_t *const bytes = calloc(1, MAX_DESCRIPTOR_BYTES); // the kernel leaves out what a device kept back
    size_t size = 0;
    ssize_t got = 1;
    if (!bytes)
        return -ENOMEM;
    while (got > 0 && size < MAX_DESCRIPTOR_BYTES) {
        got = pread(backend->fd, bytes + size, MAX_DESCRIPTOR_BYTES - size, (off_t)size);
        size += got > 0 ? (size_t)got : 0;
    }
    int error = got < 0 ? -errno : 0;
    if (error == 0 && size >= 18)
        order_bytes(bytes);
    if (error == 0)
        error = dx_usb_take_descriptors(&backend->device, bytes, size);
    free(bytes);
    return error;
}

static enum dx_usb_speed
speed_of(libusb_device_handle *handle)
{
    switch (libusb_get_device_speed(libusb_get_device(handle))) {
    case LIBUSB_SPEED_LOW:
        return DX_USB_LOW;
    case LIBUSB_SPEED_FULL:
        return DX_USB_FULL;
    case LIBUSB_SPEED_HIGH:
        return DX_USB_HIGH;
    case LIBUSB_SPEED_SUPER:
    case LIBUSB_SPEED_SUPER_PLUS:
        return DX_USB_SUPER;
    default:
        return DX_USB_SPEED_UNKNOWN;
    }
}

/* Without it libusb_init() would look at all devices, and where a sandbox forbids that, fail. */
static int
make_context(libusb_context **ret_context)
{
#if LIBUSB_API_VERSION >= 0x0100010A
    static const struct libusb_init_option options[] = {{.option = LIBUSB_OPTION_NO_DEVICE_DISCOVERY}};
    return libusb_init_context(ret_context, options, 1);
#else
    const int error = libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY);
    return error ? error : libusb_init(ret_context);
#endif
}

static int
open_handle(struct libusb_backend *backend, char why[256])
{
    int error = make_context(&backend->context);
    if (error) {
        backend->context = NULL;
        (void)snprintf(why, 256, "%s: libusb does not start: %s", backend->device.path, libusb_strerror(error));
        return error_of(error);
    }
    error = libusb_wrap_sys_device(backend->context, (intptr_t)backend->fd, &backend->handle);
    if (error) {
        backend->handle = NULL;
        (void)snprintf(why, 256, "%s: libusb does not take it: %s", backend->device.path, libusb_strerror(error));
        return error_of(error);
    }
    return 0;
}

static int
open_backend(struct libusb_backend *backend, char why[256])
{
    struct usbdevfs_connectinfo info;
    backend->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (backend->wake_fd < 0) {
        const int error = -errno; // of eventfd(): what makes the sentence may set another
        (void)snprintf(why, 256, "%s: eventfd: %s", backend->device.path, strerror(-error));
        return error;
    }
    if (ioctl(backend->fd, USBDEVFS_CONNECTINFO, &info) < 0) {
        const int error = errno == ENOTTY || errno == EINVAL ? -EINVAL : -errno;
        if (error == -EINVAL)
            (void)snprintf(why, 256, "%s: what was opened is no USB device", backend->device.path);
        else
            dx_usb_explain(error, backend->device.path, "its file", why);
        return error;
    }
    int error = read_descriptors(backend);
    if (error < 0) {
        dx_usb_explain(error, backend->device.path, "its descriptors", why);
        return error;
    }
    error = open_handle(backend, why);
    if (error < 0)
        return error;
    int value = 0;
    if (libusb_get_configuration(backend->handle, &value) == 0)
        backend->device.configuration = (uint8_t)value;
    backend->first_configuration = backend->device.configuration;
    backend->device.speed = speed_of(backend->handle);
    poll_all(backend);
    return 0;
}

int
dx_usb_open_fd(int fd, const char *path, struct dx_usb_device **ret_device, char why[256])
{
    struct libusb_backend *const backend = calloc(1, sizeof *backend);
    if (!backend) {
        (void)snprintf(why, 256, "no memory");
        (void)close(fd);
        return -ENOMEM;
    }
    backend->device.ops = &libusb_ops;
    backend->fd = fd;
    backend->wake_fd = -1;
    (void)snprintf(backend->device.path, sizeof backend->device.path, "%s", path ? path : "usb");
    const int error = open_backend(backend, why);
    if (error < 0) {
        dx_usb_close(&backend->device);
        return error;
    }
    *ret_device = &backend->device;
    return 0;
}
