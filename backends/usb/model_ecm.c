// SPDX-License-Identifier: MIT
// A model of a CDC-ECM adapter: a frame is a transfer.

#include "backends/usb/model_cdc.h"

#include <string.h>

/* A frame; the one byte with which some hosts make a transfer short stays at its end. An empty transfer says
 * nothing. */
static int
ecm_out(struct dx_usb_model *model, uint8_t endpoint, const uint8_t *data, uint32_t size)
{
    (void)endpoint;
    if (size)
        dx_model_cdc_send(dx_model_cdc_of(model), data, size);
    return 0;
}

static int
ecm_in(struct dx_usb_model *model, uint8_t endpoint, uint8_t *data, uint32_t size, uint64_t now_ns)
{
    struct dx_model_cdc *const cdc = dx_model_cdc_of(model);
    if (endpoint == DX_CDC_NOTIFY_IN)
        return dx_model_cdc_notify(cdc, data, size, now_ns);
    uint32_t frame_size = 0;
    const uint8_t *const frame = dx_model_cdc_is_free(cdc) ? dx_model_cdc_peek(cdc, &frame_size) : NULL;
    if (frame) {
        memcpy(cdc->transfer, frame, frame_size);
        dx_model_cdc_drop(cdc);
        dx_model_cdc_begin(cdc, frame_size);
    }
    return dx_model_cdc_read(cdc, data, size, 0);
}

static void
ecm_receive(struct dx_usb_model *model, const uint8_t *frame, uint32_t size)
{
    dx_model_cdc_receive(dx_model_cdc_of(model), frame, size, NULL);
}

static const struct dx_usb_model_ops ecm_ops = {
    .control = dx_model_cdc_control,
    .configured = dx_model_cdc_configured,
    .set_interface = dx_model_cdc_set_interface,
    .out = ecm_out,
    .in = ecm_in,
    .next = dx_model_cdc_next,
    .is_full = dx_model_cdc_is_full,
    .receive = ecm_receive,
    .destroy = dx_model_cdc_destroy,
};

struct dx_usb_model *
dx_model_ecm(const struct dx_model_options *options)
{
    static const struct dx_model_cdc_kind kind = {
        .name = "CDC-ECM model",
        .ops = &ecm_ops,
        .product = 0x0104,
        .subclass = 0x06,
    };
    struct dx_model_cdc *const cdc = dx_model_cdc_create(options, &kind, sizeof *cdc);
    return cdc ? &cdc->model : NULL;
}
