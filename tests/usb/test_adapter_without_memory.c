// SPDX-License-Identifier: MIT
// Each allocation, thread and file of an adapter and of a capture fails once: an error, and nothing is left. Once it runs, an
// adapter needs none.

#include "backends/usb/adapter.h"
#include "backends/usb/capture.h"
#include "backends/usb/model.h"
#include "tests/core/check.h"
#include "tests/core/failing_allocator.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct dx_usb_model *(*make_model)(const struct dx_model_options *options);

static _Atomic bool is_up;

static void
note_link(void *context, const struct dx_nic_link *link)
{
    (void)context;
    atomic_store_explicit(&is_up, link->is_up, memory_order_release);
}

static void
nap(void)
{
    static const struct timespec time = {.tv_nsec = 500000};
    (void)nanosleep(&time, NULL);
}

/* Returns 0 when it all went well. */
static int
run_adapter(struct dx_usb_device *device)
{
    static const struct dx_adapter_config config = {.link_changed = note_link, .link_interval_ms = 5};
    struct dx_adapter *adapter = NULL;
    char why[256] = "";
    atomic_store_explicit(&is_up, false, memory_order_relaxed);
    const int error = dx_adapter_open(device, &config, &adapter, why);
    if (error < 0) {
        CHECK(*why);
        dx_usb_close(device);
        return error;
    }
    while (!atomic_load_explicit(&is_up, memory_order_acquire)) // also where a request failed for want of memory
        nap();
    dx_adapter_close(adapter);
    return 0;
}

static int
run(struct dx_usb_model *model, int fd)
{
    const struct dx_usb_tap_config config = {.fd = fd, .ring_bytes = 1u << 20};
    struct dx_usb_device *device = NULL;
    struct dx_usb_tap *tap = NULL;
    int error = dx_usb_open_model(model, &device);
    if (error < 0)
        return error;
    error = dx_usb_tap_open(&config, &tap);
    if (error < 0) {
        dx_usb_close(device);
        return error;
    }
    dx_usb_tap_attach(tap, device);
    error = run_adapter(device);
    dx_usb_tap_close(tap, NULL);
    return error;
}

static void
each_failure_is_an_error_and_leaves_nothing(make_model make)
{
    static const struct dx_model_options options = {.mac = {2, 0, 0, 0, 0, 1}, .speed = DX_USB_HIGH};
    const int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    for (uint64_t n = 1;; n++) {
        const uint64_t live = failing_allocator_live();
        struct dx_usb_model *const model = make(&options);
        CHECK(model);
        failing_allocator_fail_at(n);
        const int error = run(model, fd);
        const bool is_reached = failing_allocator_stop();
        CHECK(error == 0 || (is_reached && (error == -ENOMEM || error == -EAGAIN)));
        CHECK_EQ(failing_allocator_live(), live);
        if (!is_reached) {
            CHECK_EQ(error, 0);
            (void)fprintf(stderr, "  %llu points of failure\n", (unsigned long long)n - 1);
            CHECK(n > 20);
            break;
        }
    }
    (void)close(fd);
}

/* ---- once it runs ---- */

static struct dx_usb_device *echoing_device;
static _Atomic uint32_t received;

static void
send_back(void *wire, const uint8_t *frame, uint32_t size)
{
    (void)wire;
    dx_usb_model_receive(echoing_device, frame, size);
}

static void
take_frame(void *context, const uint8_t *frame, uint32_t size)
{
    (void)context;
    (void)frame;
    (void)size;
    (void)atomic_fetch_add_explicit(&received, 1, memory_order_release);
}

/* Frames of all sizes, each there and back before the next one. */
static void
exchange(struct dx_adapter *adapter, uint32_t frames)
{
    static uint8_t frame[1514];
    memset(frame, 0xff, 6);
    for (uint32_t i = 0; i < frames; i++) {
        const uint32_t before = atomic_load_explicit(&received, memory_order_acquire);
        CHECK_EQ(dx_adapter_send(adapter, frame, 60 + i * 97 % (sizeof frame - 59)), 0);
        dx_adapter_flush(adapter);
        while (atomic_load_explicit(&received, memory_order_acquire) == before)
            nap();
    }
}

/* Requests take memory for as long as they last, on their own thread: there are none meanwhile. */
static void
what_runs_takes_no_memory(make_model make)
{
    static const struct dx_model_options options = {.mac = {2, 0, 0, 0, 0, 1}, .speed = DX_USB_HIGH};
    static const struct dx_adapter_config config = {
        .received = take_frame, .link_changed = note_link, .link_interval_ms = 3600000};
    struct dx_adapter *adapter = NULL;
    char why[256] = "";
    struct dx_usb_model *const model = make(&options);
    CHECK(model);
    model->send = send_back;
    CHECK_EQ(dx_usb_open_model(model, &echoing_device), 0);
    atomic_store_explicit(&is_up, false, memory_order_relaxed);
    CHECK_EQ(dx_adapter_open(echoing_device, &config, &adapter, why), 0);
    while (!atomic_load_explicit(&is_up, memory_order_acquire))
        nap();
    exchange(adapter, 10); // a model takes what it needs at its first frame
    failing_allocator_fail_from(1);
    exchange(adapter, 1000);
    CHECK(!failing_allocator_stop());
    CHECK_EQ(failing_allocator_calls(), 0);
    dx_adapter_close(adapter);
}

int
main(void)
{
    each_failure_is_an_error_and_leaves_nothing(dx_model_ecm);
    each_failure_is_an_error_and_leaves_nothing(dx_model_ncm);
    each_failure_is_an_error_and_leaves_nothing(dx_model_ax88772);
    what_runs_takes_no_memory(dx_model_ecm);
    what_runs_takes_no_memory(dx_model_ncm);
    what_runs_takes_no_memory(dx_model_ax88772);
    return 0;
}
