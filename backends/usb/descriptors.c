// SPDX-License-Identifier: MIT
// A walk over a configuration's descriptors.

#include "backends/usb/descriptors.h"

enum {
    CONFIGURATION_BYTES = 9,
    INTERFACE_BYTES = 9,
    ENDPOINT_BYTES = 7,
    FUNCTIONAL_BYTES = 3, // length, type, subtype

    ENDPOINT_KIND = 0x03, // of bmAttributes
    ENDPOINT_BULK = 2,
    ENDPOINT_INTERRUPT = 3,
    ENDPOINT_NUMBER = 0x0f,
    PACKET_BYTES = 0x07ff // of wMaxPacketSize; above: further packets of a microframe
};

static uint16_t
get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static bool
has_head(const struct dx_usb_configuration *configuration)
{
    const uint8_t *const bytes = configuration->bytes;
    return configuration->size >= CONFIGURATION_BYTES && bytes[0] >= CONFIGURATION_BYTES &&
           bytes[1] == DX_USB_DT_CONFIGURATION;
}

struct dx_usb_walk
dx_usb_walk_begin(const struct dx_usb_configuration *configuration)
{
    if (!has_head(configuration))
        return (struct dx_usb_walk){0};
    const uint32_t total = get16(configuration->bytes + 2);
    return (struct dx_usb_walk){
        .bytes = configuration->bytes,
        .size = total < configuration->size ? total : configuration->size,
    };
}

/* The next descriptor, without taking it. */
static const uint8_t *
peek(const struct dx_usb_walk *walk)
{
    if (walk->size - walk->at < 2)
        return NULL;
    const uint8_t *const descriptor = walk->bytes + walk->at;
    return descriptor[0] >= 2 && descriptor[0] <= walk->size - walk->at ? descriptor : NULL;
}

const uint8_t *
dx_usb_walk_next(struct dx_usb_walk *walk)
{
    const uint8_t *const descriptor = peek(walk);
    if (descriptor)
        walk->at += descriptor[0];
    else
        walk->at = walk->size;
    return descriptor;
}

/* The kind's place in a setting, while it is free. An address that another kind has already is a lie: nothing. */
static struct dx_usb_endpoint *
free_place(struct dx_usb_setting *setting, uint8_t address, uint8_t kind)
{
    if (address == setting->bulk_in.address || address == setting->bulk_out.address ||
        address == setting->interrupt_in.address)
        return NULL;
    struct dx_usb_endpoint *place = NULL;
    if (kind == ENDPOINT_BULK)
        place = address & DX_USB_IN ? &setting->bulk_in : &setting->bulk_out;
    else if (kind == ENDPOINT_INTERRUPT && address & DX_USB_IN)
        place = &setting->interrupt_in;
    return place && !place->address ? place : NULL;
}

static void
take_endpoint(struct dx_usb_setting *setting, const uint8_t *descriptor)
{
    if (descriptor[0] < ENDPOINT_BYTES)
        return;
    const uint8_t address = descriptor[2] & (DX_USB_IN | ENDPOINT_NUMBER);
    const uint16_t packet = get16(descriptor + 4) & PACKET_BYTES;
    if (!(address & ENDPOINT_NUMBER) || !packet)
        return;
    struct dx_usb_endpoint *const place = free_place(setting, address, descriptor[3] & ENDPOINT_KIND);
    if (place)
        *place = (struct dx_usb_endpoint){.address = address, .interval = descriptor[6], .packet = packet};
}

bool
dx_usb_walk_setting(struct dx_usb_walk *walk, struct dx_usb_setting *ret_setting)
{
    const uint8_t *descriptor;
    do
        descriptor = dx_usb_walk_next(walk);
    while (descriptor && (descriptor[1] != DX_USB_DT_INTERFACE || descriptor[0] < INTERFACE_BYTES));
    if (!descriptor)
        return false;

    struct dx_usb_setting setting = {
        .interface = descriptor[2],
        .alternate = descriptor[3],
        .class_code = descriptor[5],
        .subclass = descriptor[6],
        .protocol = descriptor[7],
        .body = {.bytes = walk->bytes + walk->at},
    };
    const uint32_t begin = walk->at;
    while ((descriptor = peek(walk)) && descriptor[1] != DX_USB_DT_INTERFACE) {
        if (descriptor[1] == DX_USB_DT_ENDPOINT)
            take_endpoint(&setting, descriptor);
        (void)dx_usb_walk_next(walk);
    }
    setting.body.size = walk->at - begin;
    *ret_setting = setting;
    return true;
}

bool
dx_usb_find_bulk_setting(const struct dx_usb_configuration *configuration, uint8_t interface,
                         struct dx_usb_setting *ret_setting)
{
    struct dx_usb_walk walk = dx_usb_walk_begin(configuration);
    struct dx_usb_setting setting;
    while (dx_usb_walk_setting(&walk, &setting)) {
        if (setting.interface == interface && setting.bulk_in.address && setting.bulk_out.address) {
            *ret_setting = setting;
            return true;
        }
    }
    return false;
}

const uint8_t *
dx_usb_find_functional(const struct dx_usb_setting *setting, uint8_t subtype, uint32_t least)
{
    struct dx_usb_walk walk = setting->body;
    const uint8_t *descriptor;
    while ((descriptor = dx_usb_walk_next(&walk))) {
        if (descriptor[0] >= FUNCTIONAL_BYTES && descriptor[1] == DX_USB_DT_FUNCTIONAL &&
            descriptor[2] == subtype && descriptor[0] >= least)
            return descriptor;
    }
    return NULL;
}

uint8_t
dx_usb_configuration_value(const struct dx_usb_configuration *configuration)
{
    return has_head(configuration) ? configuration->bytes[5] : 0;
}
