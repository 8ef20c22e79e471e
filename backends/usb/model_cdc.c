// SPDX-License-Identifier: MIT
// What the models of CDC-ECM and CDC-NCM share.

#include "backends/usb/model_cdc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SET_MULTICAST_FILTERS = 0x40,
    SET_PACKET_FILTER = 0x43,

    FILTER_ALL = 0x01,
    FILTER_ALL_MULTICAST = 0x02,
    FILTER_DIRECTED = 0x04,
    FILTER_BROADCAST = 0x08,
    FILTER_LISTED = 0x10,
    FILTER_KNOWN = 0x1f,

    NETWORK_CONNECTION = 0x00,
    CONNECTION_SPEED_CHANGE = 0x2a,
    NEWS_SPEED = 1,
    NEWS_CONNECTION = 2,
};

#define NOTIFY_NS UINT64_C(32000000)
#define BITS_PER_SECOND UINT32_C(100000000)

/* relaxed: dx_usb_model_set_link() on any thread */
static bool
has_link(const struct dx_model_cdc *cdc)
{
    return !atomic_load_explicit(&cdc->model.has_no_cable, memory_order_relaxed);
}

/* ---- requests ---- */

static int
set_groups(struct dx_model_cdc *cdc, const struct dx_usb_setup *setup, const uint8_t *data)
{
    if (setup->value > DX_CDC_GROUPS || setup->length != 6 * setup->value)
        return -EPIPE;
    if (setup->length)
        memcpy(cdc->groups, data, setup->length);
    cdc->group_count = setup->value;
    return setup->length;
}

int
dx_model_cdc_control(struct dx_usb_model *model, const struct dx_usb_setup *setup, uint8_t *data)
{
    struct dx_model_cdc *const cdc = dx_model_cdc_of(model);
    if (setup->request_type != DX_CDC_TO_INTERFACE || setup->index != 0)
        return -EPIPE;
    switch (setup->request) {
    case SET_MULTICAST_FILTERS:
        return set_groups(cdc, setup, data);
    case SET_PACKET_FILTER:
        if (setup->value & ~FILTER_KNOWN)
            return -EPIPE;
        cdc->filter = setup->value;
        cdc->has_filter = true;
        return 0;
    default:
        return -EPIPE;
    }
}

static void
forget_traffic(struct dx_model_cdc *cdc)
{
    cdc->queue_first = cdc->queue_size = 0;
    cdc->transfer_size = cdc->transfer_at = 0;
    cdc->owes_empty_packet = false;
    cdc->news = 0;
    cdc->notify_ns = 0;
}

/* Filter and all that waits. */
void
dx_model_cdc_configured(struct dx_usb_model *model, uint8_t configuration)
{
    struct dx_model_cdc *const cdc = dx_model_cdc_of(model);
    (void)configuration;
    forget_traffic(cdc);
    cdc->data_alternate = 0;
    cdc->has_filter = false;
    cdc->group_count = 0;
}

/* The data interface starts or stops. */
int
dx_model_cdc_set_interface(struct dx_usb_model *model, uint8_t interface, uint8_t alternate)
{
    struct dx_model_cdc *const cdc = dx_model_cdc_of(model);
    if (interface != DX_CDC_DATA_INTERFACE)
        return 0;
    forget_traffic(cdc);
    cdc->data_alternate = alternate;
    if (alternate == 0)
        return 0;
    cdc->is_told_up = has_link(cdc);
    cdc->news = NEWS_SPEED | NEWS_CONNECTION;
    return 0;
}

/* ---- notifications ---- */

static uint32_t
make_notification(uint8_t *packet, uint8_t type, uint32_t value, uint32_t size)
{
    const uint8_t head[8] = {DX_CDC_FROM_INTERFACE, type, (uint8_t)value, 0, 0, 0, (uint8_t)size, 0};
    memcpy(packet, head, sizeof head);
    return 8 + size;
}

static void
put32(uint8_t *bytes, uint32_t value)
{
    for (uint32_t i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
}

int
dx_model_cdc_notify(struct dx_model_cdc *cdc, uint8_t *data, uint32_t size, uint64_t now_ns)
{
    if (cdc->data_alternate && cdc->is_told_up != has_link(cdc)) {
        cdc->is_told_up = has_link(cdc);
        cdc->news = NEWS_SPEED | NEWS_CONNECTION;
    }
    if (!cdc->news || now_ns < cdc->notify_ns)
        return -EAGAIN;
    uint8_t packet[16];
    uint32_t n;
    if (cdc->news & NEWS_SPEED) {
        n = make_notification(packet, CONNECTION_SPEED_CHANGE, 0, 8);
        put32(packet + 8, cdc->is_told_up ? BITS_PER_SECOND : 0);
        put32(packet + 12, cdc->is_told_up ? BITS_PER_SECOND : 0);
    } else {
        n = make_notification(packet, NETWORK_CONNECTION, cdc->is_told_up, 0);
    }
    if (size < n)
        return -EOVERFLOW;
    cdc->news &= cdc->news - 1;
    cdc->notify_ns = now_ns + NOTIFY_NS;
    memcpy(data, packet, n);
    return (int)n;
}

uint64_t
dx_model_cdc_next(const struct dx_usb_model *model, uint64_t now_ns)
{
    const struct dx_model_cdc *const cdc = (const struct dx_model_cdc *)model;
    (void)now_ns;
    return cdc->news ? cdc->notify_ns : UINT64_MAX;
}

/* ---- frames ---- */

static bool
is_listed(const struct dx_model_cdc *cdc, const uint8_t *address)
{
    for (uint32_t i = 0; i < cdc->group_count; i++)
        if (memcmp(cdc->groups[i], address, 6) == 0)
            return true;
    return false;
}

static bool
is_let_through(const struct dx_model_cdc *cdc, const uint8_t *frame)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (!cdc->has_filter || cdc->filter & FILTER_ALL)
        return true;
    if (memcmp(frame, broadcast, 6) == 0)
        return cdc->filter & FILTER_BROADCAST;
    if (frame[0] & 1)
        return cdc->filter & FILTER_ALL_MULTICAST || (cdc->filter & FILTER_LISTED && is_listed(cdc, frame));
    return cdc->filter & FILTER_DIRECTED && memcmp(frame, cdc->mac, 6) == 0;
}

static bool
put_frame(struct dx_model_cdc *cdc, const uint8_t *frame, uint32_t size)
{
    if (cdc->queue_size + 2 + size > DX_CDC_QUEUE_BYTES)
        return false;
    if (cdc->queue_first + cdc->queue_size + 2 + size > DX_CDC_QUEUE_BYTES) {
        memmove(cdc->queue, cdc->queue + cdc->queue_first, cdc->queue_size);
        cdc->queue_first = 0;
    }
    uint8_t *const place = cdc->queue + cdc->queue_first + cdc->queue_size;
    place[0] = (uint8_t)size;
    place[1] = (uint8_t)(size >> 8);
    memcpy(place + 2, frame, size);
    cdc->queue_size += 2 + size;
    return true;
}

const uint8_t *
dx_model_cdc_peek(const struct dx_model_cdc *cdc, uint32_t *ret_size)
{
    if (!cdc->queue_size)
        return NULL;
    const uint8_t *const place = cdc->queue + cdc->queue_first;
    *ret_size = place[0] | (uint32_t)place[1] << 8;
    return place + 2;
}

void
dx_model_cdc_drop(struct dx_model_cdc *cdc)
{
    uint32_t size;
    if (!dx_model_cdc_peek(cdc, &size))
        return;
    cdc->queue_size -= 2 + size;
    cdc->queue_first = cdc->queue_size ? cdc->queue_first + 2 + size : 0;
}

void
dx_model_cdc_receive(struct dx_model_cdc *cdc, const uint8_t *frame, uint32_t size, const char *complaint)
{
    struct dx_usb_model *const model = &cdc->model;
    const uint32_t padded = dx_model_pad(frame, size, cdc->frame);
    if (!padded || !has_link(cdc))
        return;
    if (!cdc->data_alternate)
        complaint = "the data interface is at alternate setting 0";
    else if (!complaint && !cdc->has_filter)
        complaint = "no packet filter was set (request 0x43)";
    if ((cdc->is_strict && !dx_model_judge(model, complaint)) || !cdc->data_alternate)
        return;
    if (!is_let_through(cdc, cdc->frame))
        dx_model_count(&model->counters.filtered);
    else if (!put_frame(cdc, cdc->frame, padded))
        dx_model_count(&model->counters.overrun);
    else
        dx_model_count(&model->counters.received);
}

bool
dx_model_cdc_is_full(const struct dx_usb_model *model)
{
    return ((const struct dx_model_cdc *)model)->queue_size > DX_CDC_QUEUE_BYTES - DX_CDC_QUEUE_LOW;
}

void
dx_model_cdc_send(struct dx_model_cdc *cdc, const uint8_t *frame, uint32_t size)
{
    struct dx_usb_model *const model = &cdc->model;
    const uint32_t padded = dx_model_pad(frame, size, cdc->frame);
    if (!padded) {
        dx_model_count(&model->counters.bad);
        return;
    }
    if (!has_link(cdc))
        return;
    dx_model_count(&model->counters.sent);
    if (model->send)
        model->send(model->wire, cdc->frame, padded);
}

/* ---- transfers ---- */

bool
dx_model_cdc_is_free(const struct dx_model_cdc *cdc)
{
    return cdc->transfer_at == cdc->transfer_size && !cdc->owes_empty_packet;
}

void
dx_model_cdc_begin(struct dx_model_cdc *cdc, uint32_t size)
{
    cdc->transfer_size = size;
    cdc->transfer_at = 0;
}

int
dx_model_cdc_read(struct dx_model_cdc *cdc, uint8_t *data, uint32_t size, uint32_t max)
{
    if (dx_model_cdc_is_free(cdc))
        return -EAGAIN;
    if (cdc->owes_empty_packet) {
        cdc->owes_empty_packet = false;
        return 0;
    }
    const uint32_t left = cdc->transfer_size - cdc->transfer_at;
    const uint32_t n = left < size ? left : size;
    memcpy(data, cdc->transfer + cdc->transfer_at, n);
    cdc->transfer_at += n;
    /* A host's transfer that is not full has ended, with an empty packet where there had to be one. */
    const bool ends_full = n == left && n == size && cdc->transfer_size % cdc->packet == 0;
    cdc->owes_empty_packet = ends_full && cdc->transfer_size != max;
    return (int)n;
}

/* ---- making one ---- */

/* Around what is a kind's own. Subclass, data protocol and the whole length are filled in. */
static const uint8_t configuration_head[41] = {
    9, 2, 0, 0, 2, 1, 0, 0xa0, 125,                                 //
    9, 4, 0, 0, 1, 0x02, 0, 0x00, 0,                                //
    5, 0x24, 0x00, 0x10, 0x01,                                      // CDC 1.10
    5, 0x24, 0x06, 0, 1,                                            // union
    13, 0x24, 0x0f, 4, 0, 0, 0, 0, 0xea, 0x05, DX_CDC_GROUPS, 0, 0, // MAC: string 4; segments of 1514 bytes
};
static const uint8_t configuration_tail[39] = {
    7, 5, DX_CDC_NOTIFY_IN, 3, 16, 0, 9,     //
    9, 4, 1, 0, 0, 0x0a, 0x00, 0, 0,         //
    9, 4, 1, 1, 2, 0x0a, 0x00, 0, 0,         //
    7, 5, DX_CDC_BULK_IN, 2, 0x00, 0x02, 0,  //
    7, 5, DX_CDC_BULK_OUT, 2, 0x00, 0x02, 0, //
};
_Static_assert(sizeof configuration_head + sizeof configuration_tail == DX_CDC_CONFIGURATION_BYTES, "room for both");

static void
make_descriptors(struct dx_model_cdc *cdc, const struct dx_model_cdc_kind *kind)
{
    static const uint8_t device[18] = {
        18, 1, 0x00, 0x02, 0x02, 0x00, 0x00, 64, 0x6b, 0x1d, 0, 0, 0x00, 0x01, 1, 2, 3, 1,
    };
    memcpy(cdc->device_descriptor, device, sizeof device);
    cdc->device_descriptor[10] = (uint8_t)kind->product;
    cdc->device_descriptor[11] = (uint8_t)(kind->product >> 8);

    uint8_t *const head = cdc->configuration;
    uint8_t *const tail = head + sizeof configuration_head + kind->more_size;
    memcpy(head, configuration_head, sizeof configuration_head);
    memcpy(head + sizeof configuration_head, kind->more, kind->more_size);
    memcpy(tail, configuration_tail, sizeof configuration_tail);
    head[2] = (uint8_t)(DX_CDC_CONFIGURATION_BYTES + kind->more_size);
    head[15] = kind->subclass;
    tail[14] = tail[23] = kind->data_protocol;
    if (cdc->model.speed == DX_USB_FULL) {
        tail[6] = 32; // frames of a millisecond
        memcpy(tail + 29, (const uint8_t[]){64, 0}, 2);
        memcpy(tail + 36, (const uint8_t[]){64, 0}, 2);
    }
}

struct dx_model_cdc *
dx_model_cdc_create(const struct dx_model_options *options, const struct dx_model_cdc_kind *kind, size_t size)
{
    struct dx_model_cdc *const cdc = calloc(1, size);
    if (!cdc)
        return NULL;
    struct dx_usb_model *const model = &cdc->model;
    const uint8_t *const mac = options->mac;
    memcpy(cdc->mac, mac, sizeof cdc->mac);
    (void)snprintf(cdc->mac_text, sizeof cdc->mac_text, "%02X%02X%02X%02X%02X%02X", mac[0], mac[1], mac[2], mac[3],
                   mac[4], mac[5]);
    cdc->is_strict = options->is_strict;
    model->ops = kind->ops;
    model->speed = options->speed == DX_USB_FULL ? DX_USB_FULL : DX_USB_HIGH;
    cdc->packet = model->speed == DX_USB_FULL ? 64 : 512;
    make_descriptors(cdc, kind);
    model->device_descriptor = cdc->device_descriptor;
    model->configurations[0] = cdc->configuration;
    model->configuration_count = 1;
    model->strings[1] = "Dextral";
    model->strings[2] = kind->name;
    model->strings[3] = cdc->mac_text;
    model->strings[4] = cdc->mac_text;
    return cdc;
}

void
dx_model_cdc_destroy(struct dx_usb_model *model)
{
    free(model);
}
