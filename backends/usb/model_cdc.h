// SPDX-License-Identifier: MIT
// What the models of CDC-ECM and CDC-NCM share: descriptors, filter, notifications, frames that wait, transfers in pieces.

#ifndef DX_USB_MODEL_CDC_H
#define DX_USB_MODEL_CDC_H

#include "backends/usb/model_host.h"

enum {
    DX_CDC_TO_INTERFACE = 0x21, // types of requests
    DX_CDC_FROM_INTERFACE = 0xa1,
    DX_CDC_DATA_INTERFACE = 1,
    DX_CDC_NOTIFY_IN = 0x81,
    DX_CDC_BULK_IN = 0x82,
    DX_CDC_BULK_OUT = 0x03,
    DX_CDC_CONFIGURATION_BYTES = 80, // without what is one kind's own
    DX_CDC_MORE_BYTES = 6,
    DX_CDC_GROUPS = 32, // of the multicast filter
    DX_CDC_QUEUE_BYTES = 128 * 1024,
    DX_CDC_QUEUE_LOW = 8 * 1024, // room that is left when it asks for a pause
    DX_CDC_BLOCK_MAX = 65536,
};

/* In what the two differ, for whoever looks at the descriptors. */
struct dx_model_cdc_kind {
    const char *name;
    const struct dx_usb_model_ops *ops;
    uint16_t product;      // of vendor 0x1d6b, as the kernel's gadgets
    uint8_t subclass;      // of the communication interface
    uint8_t data_protocol; // of the data interface
    uint8_t more_size;
    uint8_t more[DX_CDC_MORE_BYTES]; // a functional descriptor of its own
};

struct dx_model_cdc {
    struct dx_usb_model model; // first
    bool is_strict;
    uint16_t packet;           // bytes of a bulk packet
    uint8_t mac[6];            // the host's
    char mac_text[13];
    uint8_t device_descriptor[18];
    uint8_t configuration[DX_CDC_CONFIGURATION_BYTES + DX_CDC_MORE_BYTES];
    uint8_t data_alternate;

    bool has_filter;           // one was set
    uint16_t filter;
    uint8_t groups[DX_CDC_GROUPS][6];
    uint32_t group_count;

    bool is_told_up;           // the last state that was notified
    uint32_t news;             // notifications that wait: bits NEWS_*
    uint64_t notify_ns;        // when the next one may go

    uint32_t queue_first, queue_size;
    uint8_t queue[DX_CDC_QUEUE_BYTES]; // frames, each behind two bytes of length

    /* The transfer to the host that is under way, over as many of the host's as it takes. */
    uint32_t transfer_size, transfer_at;
    bool owes_empty_packet;
    uint8_t transfer[DX_CDC_BLOCK_MAX];
    uint8_t frame[DX_MODEL_FRAME_ROOM];
};

/** A model of that kind; `size` of the whole, what is not here is zero. @return NULL without memory. */
struct dx_model_cdc *dx_model_cdc_create(const struct dx_model_options *options, const struct dx_model_cdc_kind *kind,
                                         size_t size);

/* ---- entries of struct dx_usb_model_ops, or their beginnings ---- */

static inline struct dx_model_cdc *
dx_model_cdc_of(struct dx_usb_model *model)
{
    return (struct dx_model_cdc *)model;
}

int dx_model_cdc_control(struct dx_usb_model *model, const struct dx_usb_setup *setup, uint8_t *data);
void dx_model_cdc_configured(struct dx_usb_model *model, uint8_t configuration);
int dx_model_cdc_set_interface(struct dx_usb_model *model, uint8_t interface, uint8_t alternate);
uint64_t dx_model_cdc_next(const struct dx_usb_model *model, uint64_t now_ns);
bool dx_model_cdc_is_full(const struct dx_usb_model *model);
void dx_model_cdc_destroy(struct dx_usb_model *model);

/* ---- what entries are made of ---- */

/** A frame from the wire. `complaint`: why it cannot be heard; NULL: it can. */
void dx_model_cdc_receive(struct dx_model_cdc *cdc, const uint8_t *frame, uint32_t size, const char *complaint);

/** A frame from the host. */
void dx_model_cdc_send(struct dx_model_cdc *cdc, const uint8_t *frame, uint32_t size);

/** @return the frame that waits longest, NULL: none. */
const uint8_t *dx_model_cdc_peek(const struct dx_model_cdc *cdc, uint32_t *ret_size);
void dx_model_cdc_drop(struct dx_model_cdc *cdc);

/** Whether the transfer under way has gone: `transfer` may be filled again. */
bool dx_model_cdc_is_free(const struct dx_model_cdc *cdc);
/** Starts sending `transfer`. */
void dx_model_cdc_begin(struct dx_model_cdc *cdc, uint32_t size);
/** @return a piece of it. `max`: a transfer of so many bytes needs no empty packet; 0: each does. */
int dx_model_cdc_read(struct dx_model_cdc *cdc, uint8_t *data, uint32_t size, uint32_t max);

/** A packet of the interrupt endpoint, or -EAGAIN. */
int dx_model_cdc_notify(struct dx_model_cdc *cdc, uint8_t *data, uint32_t size, uint64_t now_ns);

#endif /* DX_USB_MODEL_CDC_H */
