// SPDX-License-Identifier: MIT
// The AX88772's driver on the strict model of each of its chips, which is deaf where a real one would be.

#include "backends/usb/adapter.h"
#include "backends/usb/model.h"
#include "tests/core/check.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define PATIENCE_S 30
#define TYPE_AT 12u
#define NUMBER_AT 14u
#define FIRST_SIZE 60u

/* An adapter whose model sends each frame back to it. */
struct rig {
    struct dx_usb_model *model;
    struct dx_usb_device *device;
    struct dx_adapter *adapter;
    sem_t link, received;
    /* The wire thread's, until the semaphore is posted. */
    uint32_t size;
    uint8_t frame[DX_FRAME_MAX];
};

/* Not sem_clockwait(): ThreadSanitizer does not know it. */
static void
await(sem_t *semaphore)
{
    struct timespec until;
    CHECK(clock_gettime(CLOCK_REALTIME, &until) == 0);
    until.tv_sec += PATIENCE_S;
    CHECK(sem_timedwait(semaphore, &until) == 0);
}

static void
take_link(void *context, const struct dx_nic_link *link)
{
    struct rig *const rig = context;
    if (link->is_up) {
        CHECK(link->is_full_duplex);
        CHECK_EQ(link->megabits, 100);
        CHECK(sem_post(&rig->link) == 0);
    }
}

static void
take_frame(void *context, const uint8_t *frame, uint32_t size)
{
    struct rig *const rig = context;
    CHECK(size <= sizeof rig->frame);
    memcpy(rig->frame, frame, size);
    rig->size = size;
    CHECK(sem_post(&rig->received) == 0);
}

static void
send_back(void *wire, const uint8_t *frame, uint32_t size)
{
    const struct rig *const rig = wire;
    dx_usb_model_receive(rig->device, frame, size);
}

static void
rig_open(struct rig *rig, const struct dx_model_options *options)
{
    char why[256] = "";
    memset(rig, 0, sizeof *rig);
    CHECK(sem_init(&rig->link, 0, 0) == 0 && sem_init(&rig->received, 0, 0) == 0);
    rig->model = dx_model_ax88772(options);
    CHECK(rig->model);
    rig->model->send = send_back;
    rig->model->wire = rig;
    CHECK(dx_usb_open_model(rig->model, &rig->device) == 0);
    const struct dx_adapter_config config = {
        .context = rig, .received = take_frame, .link_changed = take_link, .link_interval_ms = 20};
    const int error = dx_adapter_open(rig->device, &config, &rig->adapter, why);
    if (error)
        (void)fprintf(stderr, "%s\n", why);
    CHECK(error == 0);
    CHECK(memcmp(dx_adapter_info(rig->adapter)->mac, options->mac, 6) == 0);
    await(&rig->link);
}

static void
rig_close(struct rig *rig)
{
    dx_adapter_close(rig->adapter);
    CHECK(sem_destroy(&rig->link) == 0 && sem_destroy(&rig->received) == 0);
}

static void
exchange(struct rig *rig, uint32_t size)
{
    uint8_t frame[DX_FRAME_MAX];
    memset(frame, 0xff, 6);
    memcpy(frame + 6, dx_adapter_info(rig->adapter)->mac, 6);
    memcpy(frame + TYPE_AT, "\x88\xb5", 2);
    for (uint32_t i = NUMBER_AT; i < size; i++)
        frame[i] = (uint8_t)(i * 13 + size);
    CHECK(dx_adapter_send(rig->adapter, frame, size) == 0);
    dx_adapter_flush(rig->adapter);
    await(&rig->received);
    CHECK_EQ(rig->size, size);
    CHECK(memcmp(rig->frame, frame, size) == 0);
}

static void
each_chip_hears_and_is_heard_at_every_size(void)
{
    static const struct dx_model_options chips[] = {
        {.product = 0x7720, .speed = DX_USB_HIGH}, {.product = 0x772a, .speed = DX_USB_HIGH},
        {.product = 0x772b, .speed = DX_USB_HIGH}, {.product = 0x772b, .speed = DX_USB_FULL},
        {.product = 0x772b, .speed = DX_USB_HIGH, .burst = 2},
        {.product = 0x772b, .speed = DX_USB_HIGH, .burst = 66},
        {.product = 0x772b, .speed = DX_USB_HIGH, .burst = 510},
    };
    for (unsigned i = 0; i < sizeof chips / sizeof chips[0]; i++) {
        struct dx_model_options options = chips[i];
        struct rig rig;
        memcpy(options.mac, "\x00\x0e\xc6\x12\x34\x56", 6);
        options.is_strict = true;
        rig_open(&rig, &options);
        for (uint32_t size = FIRST_SIZE; size <= DX_FRAME_MAX - 4; size += options.burst == 2 ? 97 : 1)
            exchange(&rig, size);
        /* relaxed: both were written before a frame was received. */
        CHECK(!atomic_load_explicit(&rig.model->complaint, memory_order_relaxed));
        CHECK_EQ(atomic_load_explicit(&rig.model->counters.bad, memory_order_relaxed), 0);
        const struct dx_nic_counters *const counters = dx_adapter_counters(rig.adapter);
        CHECK_EQ(atomic_load_explicit(&counters->lost_sync, memory_order_relaxed), 0);
        CHECK_EQ(atomic_load_explicit(&counters->bad_headers, memory_order_relaxed), 0);
        CHECK_EQ(atomic_load_explicit(&counters->bad_lengths, memory_order_relaxed), 0);
        rig_close(&rig);
    }
}

int
main(void)
{
    RUN(each_chip_hears_and_is_heard_at_every_size);
    return 0;
}
