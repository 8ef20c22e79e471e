// SPDX-License-Identifier: MIT
// Transfers to a model in this process: queues in front of a host that lives on the thread that pumps.

#include "backends/usb/inbox.h"
#include "backends/usb/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WIRE_FRAMES 512u // frames from the wire that wait for the thread that pumps
#define WIRE_FRAME_BYTES 2048u

struct model_device {
    struct dx_usb_device device;
    struct dx_inbox inbox; // what is not yet the host's; it refuses when the device was unplugged

    /* The pumping thread's. */
    struct dx_model_host host;
    uint8_t frame[WIRE_FRAME_BYTES];

    /* The inbox' lock's. */
    uint32_t frame_first, frame_count;
    uint16_t frame_sizes[WIRE_FRAMES];
    uint8_t (*frames)[WIRE_FRAME_BYTES];
};

static struct model_device *
model_device_of(struct dx_usb_device *device)
{
    return (struct model_device *)device;
}

/* ---- any thread ---- */

static void
model_wake(struct dx_usb_device *device)
{
    dx_inbox_wake(&model_device_of(device)->inbox);
}

static int
model_prepare(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    (void)device;
    return dx_inbox_prepare(transfer, sizeof(struct dx_inbox_slot));
}

static void
model_unprepare(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    (void)device;
    dx_inbox_unprepare(transfer);
}

static int
model_submit(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    return dx_inbox_submit(&model_device_of(device)->inbox, transfer, DX_MODEL_OUT_ROOM);
}

static int
model_cancel(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    dx_inbox_cancel(&model_device_of(device)->inbox, transfer);
    return 0;
}

void
dx_usb_model_receive(struct dx_usb_device *device, const uint8_t *frame, uint32_t size)
{
    struct model_device *const me = model_device_of(device);
    if (size == 0 || size > WIRE_FRAME_BYTES)
        return;
    pthread_mutex_lock(&me->inbox.lock);
    const bool has_room = me->frame_count < WIRE_FRAMES;
    if (has_room) {
        const uint32_t at = (me->frame_first + me->frame_count++) % WIRE_FRAMES;
        memcpy(me->frames[at], frame, size);
        me->frame_sizes[at] = (uint16_t)size;
    }
    pthread_mutex_unlock(&me->inbox.lock);
    if (has_room)
        dx_inbox_tell(&me->inbox);
    else
        dx_model_count(&me->host.model->counters.overrun);
}

/* relaxed: the model looks at it again and again. */
void
dx_usb_model_set_link(struct dx_usb_device *device, bool is_up)
{
    const struct model_device *const me = model_device_of(device);
    atomic_store_explicit(&me->host.model->has_no_cable, !is_up, memory_order_relaxed);
    dx_inbox_tell(&me->inbox);
}

void
dx_usb_model_unplug(struct dx_usb_device *device)
{
    struct model_device *const me = model_device_of(device);
    pthread_mutex_lock(&me->inbox.lock);
    me->inbox.refuses = true;
    pthread_mutex_unlock(&me->inbox.lock);
    dx_inbox_tell(&me->inbox);
}

/* ---- the thread that pumps ---- */

/* Takes over what others asked for. */
static void
take_requests(struct model_device *me)
{
    pthread_mutex_lock(&me->inbox.lock);
    for (struct dx_model_slot *slot; (slot = me->inbox.submitted.first);) {
        dx_model_list_remove(&me->inbox.submitted, slot);
        dx_model_host_submit(&me->host, slot, ((const struct dx_inbox_slot *)slot)->submitted_ns);
    }
    if (me->inbox.has_cancelled)
        dx_inbox_mark_cancelled(&me->host.pending);
    me->inbox.has_cancelled = false;
    /* A fault hook unplugs as well. */
    me->inbox.refuses = me->host.is_gone = me->inbox.refuses || me->host.is_gone;
    pthread_mutex_unlock(&me->inbox.lock);
}

/* The model gets a frame; what it does with it may put another one into the queue. */
static bool
take_frame(struct model_device *me)
{
    pthread_mutex_lock(&me->inbox.lock);
    const bool is_there = me->frame_count != 0;
    uint32_t size = 0;
    if (is_there) {
        size = me->frame_sizes[me->frame_first];
        memcpy(me->frame, me->frames[me->frame_first], size);
        me->frame_first = (me->frame_first + 1) % WIRE_FRAMES;
        me->frame_count--;
    }
    pthread_mutex_unlock(&me->inbox.lock);
    if (is_there && !me->host.is_gone)
        me->host.model->ops->receive(me->host.model, me->frame, size);
    return is_there;
}

/* @return whether any was called. */
static bool
call_completed(struct model_device *me)
{
    bool any = false;
    for (struct dx_model_slot *slot; (slot = dx_model_host_take(&me->host)); any = true)
        dx_inbox_complete(&me->inbox, slot);
    return any;
}

static bool
is_idle(struct model_device *me)
{
    pthread_mutex_lock(&me->inbox.lock);
    const bool has_frame = me->frame_count && !dx_model_host_is_full(&me->host);
    const bool result = !me->inbox.submitted.first && !me->inbox.has_cancelled && !has_frame;
    pthread_mutex_unlock(&me->inbox.lock);
    return result;
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
        if (dx_inbox_was_woken(&me->inbox) || dx_model_now_ns() >= deadline_ns)
            return 0;
        if (!is_idle(me))
            continue;
        if (me->host.is_gone)
            return -ENODEV;
        dx_inbox_wait(&me->inbox, -1, 0, next_ns < deadline_ns ? next_ns : deadline_ns);
    }
}

/* ---- opening ---- */

static void
model_close(struct dx_usb_device *device)
{
    struct model_device *const me = model_device_of(device);
    dx_model_host_end(&me->host);
    dx_inbox_end(&me->inbox);
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
    dx_model_host_begin(&me->host, model);
    me->device.ops = &model_ops;
    me->device.speed = model->speed;
    memcpy(me->device.path, "model", sizeof "model");
    me->frames = malloc(WIRE_FRAMES * sizeof *me->frames);
    int result = dx_inbox_begin(&me->inbox);
    if (result == 0)
        result = me->frames ? copy_descriptors(&me->device, model) : -ENOMEM;
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
