// SPDX-License-Identifier: MIT
// A model, a thread that pumps it, and its wire.

#include "tests/usb/model_rig.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t
rig_now_ns(void)
{
    struct timespec now;
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *
pump(void *context)
{
    struct model_rig *const rig = context;
    while (!atomic_load_explicit(&rig->is_ending, memory_order_acquire)) {
        const int result = dx_usb_pump(rig->device, UINT64_MAX);
        CHECK(result == 0 || result == -ENODEV);
        if (result == -ENODEV && dx_usb_pump(rig->device, rig_now_ns() + NS_PER_MS) == -ENODEV)
            break;
    }
    return NULL;
}

static void *
serve(void *context)
{
    struct model_rig *const rig = context;
    rig->serve_result = dx_usbip_serve(rig->model, rig->server_socket, rig->wire[1], rig->serve_why);
    return NULL;
}

/* Of the one rig there is. */
static struct model_rig *open_rig;

static void
destroy_later(struct dx_usb_model *model)
{
    while (sem_wait(&open_rig->has_looked) < 0) {
    }
    open_rig->model_ops->destroy(model);
}

static void
send_to_test(void *wire, const uint8_t *frame, uint32_t size)
{
    const struct model_rig *const rig = wire;
    CHECK_EQ(send(rig->wire[1], frame, size, 0), size);
}

void
rig_open(struct model_rig *rig, struct dx_usb_model *model, bool is_served)
{
    *rig = (struct model_rig){.model = model, .is_served = is_served, .server_socket = -1};
    CHECK(model);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, rig->wire), 0);
    if (is_served) {
        int pair[2];
        char why[256];
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        rig->server_socket = pair[1];
        open_rig = rig;
        rig->model_ops = model->ops;
        rig->ops = *model->ops;
        rig->ops.destroy = destroy_later;
        model->ops = &rig->ops;
        CHECK_EQ(sem_init(&rig->has_looked, 0, 0), 0);
        const enum dx_usb_speed speed = model->speed;
        CHECK_EQ(pthread_create(&rig->server, NULL, serve, rig), 0);
        CHECK_EQ(dx_usb_open_usbip(pair[0], 1 << 16 | 2, speed, &rig->device, why), 0);
    } else {
        model->send = send_to_test;
        model->wire = rig;
        CHECK_EQ(dx_usb_open_model(model, &rig->device), 0);
    }
    CHECK_EQ(pthread_create(&rig->pumper, NULL, pump, rig), 0);
}

void
rig_close(struct model_rig *rig)
{
    atomic_store_explicit(&rig->is_ending, true, memory_order_release);
    dx_usb_wake(rig->device);
    CHECK_EQ(pthread_join(rig->pumper, NULL), 0);
    dx_usb_close(rig->device);
    if (rig->is_served) {
        CHECK_EQ(sem_post(&rig->has_looked), 0);
        CHECK_EQ(pthread_join(rig->server, NULL), 0);
        CHECK_EQ(sem_destroy(&rig->has_looked), 0);
        (void)close(rig->server_socket);
    }
    (void)close(rig->wire[0]);
    (void)close(rig->wire[1]);
}

int
rig_in(struct model_rig *rig, uint8_t type, uint8_t number, uint16_t value, uint16_t index, void *data,
       uint16_t size)
{
    const struct dx_usb_setup setup = {type, number, value, index, size};
    return dx_usb_control(rig->device, &setup, data, DX_USB_CONTROL_TIMEOUT_MS);
}

int
rig_out(struct model_rig *rig, uint8_t type, uint8_t number, uint16_t value, uint16_t index, const void *data,
        uint16_t size)
{
    uint8_t copy[256];
    CHECK(size <= sizeof copy);
    if (size)
        memcpy(copy, data, size);
    return rig_in(rig, type, number, value, index, copy, size);
}

static void
note(struct dx_usb_transfer *transfer)
{
    struct watched *const watched = transfer->context;
    (void)atomic_fetch_add_explicit(&watched->completions, 1, memory_order_release);
}

void
watched_prepare(struct model_rig *rig, struct watched *watched, enum dx_usb_kind kind, uint8_t endpoint)
{
    atomic_store_explicit(&watched->completions, 0, memory_order_relaxed);
    watched->usb = (struct dx_usb_transfer){
        .kind = kind,
        .endpoint = endpoint,
        .data = watched->data,
        .capacity = sizeof watched->data,
        .size = sizeof watched->data,
        .completed = note,
        .context = watched,
    };
    CHECK_EQ(dx_usb_prepare(rig->device, &watched->usb), 0);
}

void
watched_wait(struct watched *watched, uint32_t completions)
{
    const uint64_t begun_ns = rig_now_ns();
    while (atomic_load_explicit(&watched->completions, memory_order_acquire) < completions) {
        CHECK(rig_now_ns() - begun_ns < 20000 * NS_PER_MS);
        (void)poll(NULL, 0, 1);
    }
}

int
rig_transfer(struct model_rig *rig, struct watched *watched, uint8_t endpoint, uint32_t size, uint32_t timeout_ms)
{
    watched_prepare(rig, watched, (endpoint & 0x0f) == 1 ? DX_USB_INTERRUPT : DX_USB_BULK, endpoint);
    watched->usb.size = size;
    watched->usb.timeout_ms = timeout_ms;
    watched->usb.ends_short = !(endpoint & DX_USB_IN);
    CHECK_EQ(dx_usb_submit(rig->device, &watched->usb), 0);
    watched_wait(watched, 1);
    dx_usb_unprepare(rig->device, &watched->usb);
    return watched->usb.status;
}

void
rig_wire_send(struct model_rig *rig, const uint8_t *frame, uint32_t size)
{
    if (rig->is_served)
        CHECK_EQ(send(rig->wire[0], frame, size, 0), size);
    else
        dx_usb_model_receive(rig->device, frame, size);
}

uint32_t
rig_wire_receive(struct model_rig *rig, uint8_t *frame, uint32_t room, int timeout_ms)
{
    struct pollfd waited = {.fd = rig->wire[0], .events = POLLIN};
    if (poll(&waited, 1, timeout_ms) != 1)
        return 0;
    const ssize_t n = recv(rig->wire[0], frame, room, 0);
    CHECK(n > 0);
    return (uint32_t)n;
}

void
make_frame(uint8_t *frame, uint32_t size, const uint8_t to[6])
{
    for (uint32_t i = 0; i < size; i++)
        frame[i] = (uint8_t)(i * 13 + size);
    memcpy(frame, to, 6);
}
