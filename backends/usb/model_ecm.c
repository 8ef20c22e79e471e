// SPDX-License-Identifier: MIT
// A model of a CDC-ECM adapter.

#include "backends/usb/model_cdc.h"

#include <string.h>

enum { DATA_INTERFACE = 1 };

struct ecm {
    struct dx_model_cdc cdc; // first
    uint8_t configuration[80];
};

static struct dx_model_cdc *
cdc_of(struct dx_usb_model *model)
{
    return (struct dx_model_cdc *)model;
}

static int
ecm_control(struct dx_usb_model *model, const struct dx_usb_setup *setup, uint8_t *data)
{
    return dx_model_cdc_control(cdc_of(model), setup, data);
}

static void
ecm_configured(struct dx_usb_model *model, uint8_t configuration)
{
    (void)configuration;
    dx_model_cdc_reset(cdc_of(model));
}

static int
ecm_set_interface(struct dx_usb_model *model, uint8_t interface, uint8_t alternate)
{
    if (interface == DATA_INTERFACE)
        dx_model_cdc_set_alternate(cdc_of(model), alternate);
    return 0;
}

/* A frame; the one byte with which some hosts make a transfer short stays at its end. An empty transfer says
 * nothing. */
static int
ecm_out(struct dx_usb_model *model, uint8_t endpoint, const uint8_t *data, uint32_t size)
{
    (void)endpoint;
    if (size)
        dx_model_cdc_send(cdc_of(model), data, size);
    return 0;
}

static int
ecm_in(struct dx_usb_model *model, uint8_t endpoint, uint8_t *data, uint32_t size, uint64_t now_ns)
{
    struct dx_model_cdc *const cdc = cdc_of(model);
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
    dx_model_cdc_receive(cdc_of(model), frame, size, NULL);
}

static const struct dx_usb_model_ops ecm_ops = {
    .control = ecm_control,
    .configured = ecm_configured,
    .set_interface = ecm_set_interface,
    .out = ecm_out,
    .in = ecm_in,
    .next = dx_model_cdc_next,
    .is_full = dx_model_cdc_is_full,
    .receive = ecm_receive,
    .destroy = dx_model_cdc_destroy,
};

static const uint8_t device_descriptor[18] = {
    18, 1, 0x00, 0x02, 0x02, 0x00, 0x00, 64, 0x6b, 0x1d, 0x04, 0x01, 0x00, 0x01, 1, 2, 3, 1,
};

static const uint8_t configuration_descriptor[80] = {
    9, 2, 80, 0, 2, 1, 0, 0xa0, 125,                                  //
    9, 4, 0, 0, 1, 0x02, 0x06, 0x00, 0,                               //
    5, 0x24, 0x00, 0x10, 0x01,                                        // CDC 1.10
    5, 0x24, 0x06, 0, 1,                                              // union
    13, 0x24, 0x0f, 4, 0, 0, 0, 0, 0xea, 0x05, DX_CDC_GROUPS, 0, 0,   // MAC: string 4; segments of 1514 bytes
    7, 5, DX_CDC_NOTIFY_IN, 3, 16, 0, 9,                              //
    9, 4, 1, 0, 0, 0x0a, 0x00, 0x00, 0,                               //
    9, 4, 1, 1, 2, 0x0a, 0x00, 0x00, 0,                               //
    7, 5, DX_CDC_BULK_IN, 2, 0x00, 0x02, 0,                           //
    7, 5, DX_CDC_BULK_OUT, 2, 0x00, 0x02, 0,                          //
};

struct dx_usb_model *
dx_model_ecm(const struct dx_model_options *options)
{
    struct ecm *const ecm = (struct ecm *)dx_model_cdc_create(options, sizeof *ecm);
    if (!ecm)
        return NULL;
    struct dx_usb_model *const model = &ecm->cdc.model;
    memcpy(ecm->configuration, configuration_descriptor, sizeof configuration_descriptor);
    if (model->speed == DX_USB_FULL) {
        ecm->configuration[47] = 32; // frames of a millisecond
        memcpy(ecm->configuration + 70, (const uint8_t[]){64, 0}, 2);
        memcpy(ecm->configuration + 77, (const uint8_t[]){64, 0}, 2);
    }
    model->ops = &ecm_ops;
    model->device_descriptor = device_descriptor;
    model->configurations[0] = ecm->configuration;
    model->configuration_count = 1;
    model->strings[1] = "Dextral";
    model->strings[2] = "CDC-ECM model";
    model->strings[3] = ecm->cdc.mac_text;
    model->strings[4] = ecm->cdc.mac_text;
    return model;
}
