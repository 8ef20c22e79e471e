// SPDX-License-Identifier: MIT
// Transfers to a model in this process: queues in front of a host that lives on the thread that pumps.

#include "backends/usb/model_host.h"
#include "backends/usb/request.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WIRE_FRAMES 512u // frames from the wire that wait for the thread that pumps
#define WIRE_FRAME_BYTES 2048u

/* The lock's: all but `slot`, which is the host's from the time it is taken until it completes. */
struct model_transfer {
    struct dx_model_slot slot; // first: what the lists hold
    uint64_t submitted_ns;
    bool is_under_way;
    bool is_cancelled;
};

struct model_device {
    struct dx_usb_device device;
    int news_fd;           // an event: something is to be looked at
    _Atomic bool is_woken; // dx_usb_wake()

    /* The pumping thread's. */
    struct dx_model_host host;
    uint8_t frame[WIRE_FRAME_BYTES];

    pthread_mutex_t lock;
    struct dx_model_list submitted; // not yet the host's
    bool is_unplugged;
    bool has_cancelled;
    uint32_t frame_first, frame_count;
    uint16_t frame_sizes[WIRE_FRAMES];
    uint8_t (*frames)[WIRE_FRAME_BYTES];
};

static struct model_device *
model_device_of(struct dx_usb_device *device)
{
    return (struct model_device *)device;
}

/* Async-signal-safe. A counter that is full wakes as well. */
static void
tell(const struct model_device *me)
{
    const int saved = errno;
    const uint64_t one = 1;
    const ssize_t n = write(me->news_fd, &one, sizeof one);
    (void)n;
    errno = saved;
}

/* release: pairs with model_pump() */
static void
model_wake(struct dx_usb_device *device)
{
    struct model_device *const me = model_device_of(device);
    atomic_store_explicit(&me->is_woken, true, memory_order_release);
    tell(me);
}

/* ---- any thread ---- */

static int
model_prepare(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    (void)device;
    struct model_transfer *const mine = calloc(1, sizeof *mine);
    if (!mine)
        return -ENOMEM;
    mine->slot.transfer = transfer;
    transfer->backend = mine;
    return 0;
}

static void
model_unprepare(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    (void)device;
    free(transfer->backend);
    transfer->backend = NULL;
}

static int
model_submit(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    struct model_device *const me = model_device_of(device);
    struct model_transfer *const mine = transfer->backend;
    if (transfer->size > DX_MODEL_OUT_ROOM || (transfer->kind == DX_USB_CONTROL) != (transfer->endpoint == 0))
        return -EINVAL;
    const uint64_t now_ns = dx_model_now_ns();
    pthread_mutex_lock(&me->lock);
    int result = 0;
    if (me->is_unplugged) {
        result = -ENODEV;
    } else if (mine->is_under_way) {
        result = -EINVAL;
    } else {
        mine->is_under_way = true;
        mine->is_cancelled = false;
        mine->submitted_ns = now_ns;
        dx_model_list_append(&me->submitted, &mine->slot);
    }
    pthread_mutex_unlock(&me->lock);
    if (result == 0)
        tell(me);
    return result;
}

static int
model_cancel(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    struct model_device *const me = model_device_of(device);
    struct model_transfer *const mine = transfer->backend;
    pthread_mutex_lock(&me->lock);
    const bool is_under_way = mine->is_under_way;
    if (is_under_way)
        mine->is_cancelled = me->has_cancelled = true;
    pthread_mutex_unlock(&me->lock);
    if (is_under_way)
        tell(me);
    return 0;
}

void
dx_usb_model_receive(struct dx_usb_device *device, const uint8_t *frame, uint32_t size)
{
    struct model_device *const me = model_device_of(device);
    if (size == 0 || size > WIRE_FRAME_BYTES)
        return;
    pthread_mutex_lock(&me->lock);
    const bool has_room = me->frame_count < WIRE_FRAMES;
    if (has_room) {
        const uint32_t at = (me->frame_first + me->frame_count++) % WIRE_FRAMES;
        memcpy(me->frames[at], frame, size);
        me->frame_sizes[at] = (uint16_t)size;
    }
    pthread_mutex_unlock(&me->lock);
    if (has_room)
        tell(me);
    else
        dx_model_count(&me->host.model->counters.overrun);
}

/* relaxed: the model looks at it again and again. */
void
dx_usb_model_set_link(struct dx_usb_device *device, bool is_up)
{
    const struct model_device *const me = model_device_of(device);
    atomic_store_explicit(&me->host.model->has_no_cable, !is_up, memory_order_relaxed);
    tell(me);
}

void
dx_usb_model_unplug(struct dx_usb_device *device)
{
    struct model_device *const me = model_device_of(device);
    pthread_mutex_lock(&me->lock);
    me->is_unplugged = true;
    pthread_mutex_unlock(&me->lock);
    tell(me);
}

/* ---- the thread that pumps ---- */

/* Takes over what others asked for. */
static void
take_requests(struct model_device *me)
{
    pthread_mutex_lock(&me->lock);
    for (struct dx_model_slot *slot; (slot = me->submitted.first);) {
        const struct model_transfer *const mine = (const struct model_transfer *)slot;
        dx_model_list_remove(&me->submitted, slot);
        dx_model_host_submit(&me->host, slot, mine->submitted_ns);
    }
    if (me->has_cancelled)
        for (struct dx_model_slot *slot = me->host.pending.first; slot; slot = slot->next)
            slot->is_cancelled = ((const struct model_transfer *)slot)->is_cancelled;
    me->has_cancelled = false;
    /* A fault hook unplugs as well. */
    me->is_unplugged = me->host.is_gone = me->is_unplugged || me->host.is_gone;
    pthread_mutex_unlock(&me->lock);
}

/* The model gets a frame; what it does with it may put another one into the queue. */
static bool
take_frame(struct model_device *me)
{
    pthread_mutex_lock(&me->lock);
    const bool is_there = me->frame_count != 0;
    uint32_t size = 0;
    if (is_there) {
        size = me->frame_sizes[me->frame_first];
        memcpy(me->frame, me->frames[me->frame_first], size);
        me->frame_first = (me->frame_first + 1) % WIRE_FRAMES;
        me->frame_count--;
    }
    pthread_mutex_unlock(&me->lock);
    if (is_there && !me->host.is_gone)
        me->host.model->ops->receive(me->host.model, me->frame, size);
    return is_there;
}

/* @return whether any was called. */
static bool
call_completed(struct model_device *me)
{
    bool any = false;
    for (struct dx_model_slot *slot; (slot = dx_model_host_take(&me->host)); any = true) {
        struct model_transfer *const mine = (struct model_transfer *)slot;
        struct dx_usb_transfer *const transfer = slot->transfer;
        pthread_mutex_lock(&me->lock);
        mine->is_under_way = false;
        pthread_mutex_unlock(&me->lock);
        transfer->completed(transfer); // may submit it again, or free it
    }
    return any;
}

static bool
is_idle(struct model_device *me)
{
    pthread_mutex_lock(&me->lock);
    const bool has_frame = me->frame_count && !dx_model_host_is_full(&me->host);
    const bool result = !me->submitted.first && !me->has_cancelled && !has_frame;
    pthread_mutex_unlock(&me->lock);
    return result;
}

static void
wait_for_news(const struct model_device *me, uint64_t until_ns)
{
    struct timespec left = {0};
    if (until_ns != UINT64_MAX) {
        const uint64_t now_ns = dx_model_now_ns();
        const uint64_t ns = until_ns > now_ns ? until_ns - now_ns : 0;
        left.tv_sec = (time_t)(ns / UINT64_C(1000000000));
        left.tv_nsec = (long)(ns % UINT64_C(1000000000));
    }
    struct pollfd waited = {.fd = me->news_fd, .events = POLLIN};
    uint64_t count = 0;
    if (ppoll(&waited, 1, until_ns == UINT64_MAX ? NULL : &left, NULL) > 0) {
        const ssize_t n = read(me->news_fd, &count, sizeof count);
        (void)n;
    }
}

static int
model_pump(struct dx_usb_device *device, uint64_t deadline_ns)
{
    struct model_device *const me = model_device_of(device);
    for (;;) {
        take_requests(me);
        while (!dx_model_host_is_full(&me->host) && take_frame(me)) {
        }
        const uint64_t next_ns = dx_model_host_run(&me->host, dx_model_now_ns());
        if (call_completed(me))
            return 0;
        /* acquire: pairs with model_wake() */
        const bool was_woken = atomic_exchange_explicit(&me->is_woken, false, memory_order_acquire);
        if (was_woken || dx_model_now_ns() >= deadline_ns)
            return 0;
        if (!is_idle(me))
            continue;
        if (me->host.is_gone)
            return -ENODEV;
        wait_for_news(me, next_ns < deadline_ns ? next_ns : deadline_ns);
    }
}

/* ---- opening ---- */

static void
model_close(struct dx_usb_device *device)
{
    struct model_device *const me = model_device_of(device);
    dx_model_host_end(&me->host);
    if (me->news_fd >= 0)
        (void)close(me->news_fd);
    pthread_mutex_destroy(&me->lock);
    free(me->frames);
    free(me);
}

static const struct dx_usb_ops model_ops = {
    .prepare = model_prepare,
    .unprepare = model_unprepare,
    .submit = model_submit,
    .cancel = model_cancel,
    .pump = model_pump,
    .wake = model_wake,
    .set_configuration = dx_request_set_configuration,
    .claim = dx_request_claim,
    .release = dx_request_claim,
    .set_interface = dx_request_set_interface,
    .clear_halt = dx_request_clear_halt,
    .reset = dx_request_reset,
    .close = model_close,
};

static int
copy_descriptors(struct dx_usb_device *device, const struct dx_usb_model *model)
{
    memcpy(device->device_descriptor, model->device_descriptor, sizeof device->device_descriptor);
    for (uint32_t i = 0; i < model->configuration_count; i++) {
        const uint8_t *const bytes = model->configurations[i];
        const uint32_t size = bytes[2] | (uint32_t)bytes[3] << 8;
        if (!(device->configurations[i].bytes = malloc(size)))
            return -ENOMEM;
        memcpy(device->configurations[i].bytes, bytes, size);
        device->configurations[i].size = size;
        device->configuration_count = i + 1;
    }
    return 0;
}

int
dx_usb_open_model(struct dx_usb_model *model, struct dx_usb_device **ret_device)
{
    struct model_device *const me = calloc(1, sizeof *me);
    if (!me) {
        model->ops->destroy(model);
        return -ENOMEM;
    }
    pthread_mutex_init(&me->lock, NULL);
    dx_model_host_begin(&me->host, model);
    me->device.ops = &model_ops;
    me->device.speed = model->speed;
    memcpy(me->device.path, "model", sizeof "model");
    me->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    me->frames = malloc(WIRE_FRAMES * sizeof *me->frames);
    int result = me->news_fd < 0 ? -errno : me->frames ? copy_descriptors(&me->device, model) : -ENOMEM;
    if (result == 0 && model->configuration_count) {
        const struct dx_usb_setup setup = {
            .request = DX_USB_SET_CONFIGURATION, .value = model->configurations[0][5]};
        result = dx_model_host_control(&me->host, &setup, NULL);
    }
    if (result < 0) {
        dx_usb_close(&me->device);
        return result;
    }
    me->device.configuration = model->configuration;
    *ret_device = &me->device;
    return 0;
}
