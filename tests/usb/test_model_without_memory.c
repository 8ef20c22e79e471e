// SPDX-License-Identifier: MIT
// Models and USB/IP, when memory runs out at each point: an error, and nothing is left behind.

#include "backends/usb/model.h"
#include "tests/core/check.h"
#include "tests/core/failing_allocator.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct dx_usb_model *(*make_model)(const struct dx_model_options *options);

static const make_model makes[] = {dx_model_ax88772, dx_model_ncm, dx_model_ecm};
static const struct dx_model_options options = {.mac = {2, 0, 0, 0, 0, 1}};

static void
nothing(struct dx_usb_transfer *transfer)
{
    (void)transfer;
}

/* A transfer that never completes until the device has gone. */
static void
use(struct dx_usb_device *device)
{
    uint8_t data[64];
    struct dx_usb_transfer transfer = {
        .kind = DX_USB_INTERRUPT, .endpoint = 0x81, .data = data, .capacity = 64, .size = 64, .completed = nothing};
    if (dx_usb_prepare(device, &transfer) == 0) {
        if (dx_usb_submit(device, &transfer) == 0) {
            dx_usb_cancel(device, &transfer);
            (void)dx_usb_pump(device, UINT64_MAX);
        }
        dx_usb_unprepare(device, &transfer);
    }
}

/* @return whether it met the failure. */
static bool
try_model(make_model make, uint64_t n)
{
    const uint64_t live = failing_allocator_live();
    struct dx_usb_device *device = NULL;
    failing_allocator_fail_at(n);
    struct dx_usb_model *const model = make(&options);
    if (model && dx_usb_open_model(model, &device) == 0) {
        use(device);
        dx_usb_close(device);
    }
    const bool was_met = failing_allocator_stop();
    CHECK_EQ(failing_allocator_live(), live);
    return was_met;
}

static int sockets[2];

static void *
serve(void *context)
{
    char why[256];
    const int result = dx_usbip_serve(context, sockets[1], -1, why);
    CHECK(result == 0 || (result == -ENOMEM && why[0]));
    (void)close(sockets[1]);
    return NULL;
}

static bool
try_usbip(make_model make, uint64_t n)
{
    pthread_t server;
    char why[256];
    struct dx_usb_device *device = NULL;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    struct dx_usb_model *const model = make(&options);
    CHECK(model);
    CHECK_EQ(pthread_create(&server, NULL, serve, model), 0);
    failing_allocator_fail_at(n);
    const int result = dx_usb_open_usbip(sockets[0], 1, DX_USB_HIGH, &device, why);
    CHECK((result == 0) == !why[0]);
    if (result == 0) {
        use(device);
        dx_usb_close(device);
    }
    CHECK_EQ(pthread_join(server, NULL), 0);
    return failing_allocator_stop();
}

static void
a_model_is_opened_or_leaves_nothing(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t n = 1;
        while (try_model(makes[i], n))
            n++;
        CHECK(n > 4);
    }
}

static void
both_ends_of_usbip_come_to_an_end(void)
{
    const uint64_t live = failing_allocator_live();
    uint64_t n = 1;
    while (try_usbip(dx_model_ecm, n))
        n++;
    CHECK(n > 8);
    (void)fprintf(stderr, "  %llu points\n", (unsigned long long)n - 1);
    CHECK_EQ(failing_allocator_live(), live);
}

int
main(void)
{
    RUN(a_model_is_opened_or_leaves_nothing);
    RUN(both_ends_of_usbip_come_to_an_end);
    return 0;
}
