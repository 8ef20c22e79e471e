// SPDX-License-Identifier: MIT
// A CDC device that answers each request at once.

#include "tests/usb/scripted.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct scripted *
scripted_of(struct dx_usb_device *device)
{
    return (struct scripted *)(void *)((uint8_t *)device - offsetof(struct scripted, device));
}

/* @return what the step fails with, or 0. */
static int __attribute__((format(printf, 2, 3)))
note(struct scripted *scripted, const char *format, ...)
{
    const size_t have = strlen(scripted->log);
    va_list arguments;
    va_start(arguments, format);
    const int more = vsnprintf(scripted->log + have, sizeof scripted->log - have, format, arguments);
    va_end(arguments);
    if (more < 0 || (size_t)more >= sizeof scripted->log - have)
        abort();
    scripted->steps++;
    if (!scripted->fail_at || scripted->steps < scripted->fail_at)
        return 0;
    return scripted->steps == scripted->fail_at || scripted->fail_with == -ENODEV ? scripted->fail_with : 0;
}

static int
prepare(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    (void)device;
    transfer->backend = transfer;
    return 0;
}

static void
unprepare(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    (void)device;
    transfer->backend = NULL;
}

static int
give(const struct dx_usb_transfer *transfer, const void *data, uint32_t size)
{
    const uint32_t given = size < transfer->size ? size : transfer->size;
    memcpy(transfer->data, data, given);
    return (int)given;
}

static int
give_string(struct scripted *scripted, const struct dx_usb_transfer *transfer, unsigned index)
{
    static const uint8_t languages[] = {4, 3, 0x09, 0x04};
    if (!index)
        return give(transfer, languages, sizeof languages);
    const int error = note(scripted, "string %u\n", index);
    const char *const text = index < 8 ? scripted->strings[index] : NULL;
    if (error || !text)
        return error ? error : -EPIPE;
    uint8_t bytes[255] = {(uint8_t)(2 + 2 * strlen(text)), 3};
    for (size_t i = 0; text[i]; i++)
        bytes[2 + 2 * i] = (uint8_t)text[i];
    return give(transfer, bytes, bytes[0]);
}

static int
answer(struct scripted *scripted, const struct dx_usb_transfer *transfer)
{
    const struct dx_usb_setup *const setup = &transfer->setup;
    if (setup->request_type == 0x80 && setup->request == 6 && setup->value >> 8 == 3)
        return give_string(scripted, transfer, setup->value & 0xff);
    const bool is_in = setup->request_type == 0xa1;
    const int error =
        note(scripted, "%s %x %x %u\n", is_in ? "in" : "out", setup->request, setup->value, setup->length);
    if (error)
        return error;
    if ((!is_in && setup->request_type != 0x21) || scripted->stalls[setup->request])
        return -EPIPE;
    if (!is_in) {
        if (transfer->size) {
            scripted->sent_bytes = transfer->size < sizeof scripted->sent ? transfer->size : sizeof scripted->sent;
            memcpy(scripted->sent, transfer->data, scripted->sent_bytes);
        }
        return (int)transfer->size;
    }
    const uint8_t crc[2] = {(uint8_t)scripted->crc_mode, (uint8_t)(scripted->crc_mode >> 8)};
    const uint8_t datagram[2] = {(uint8_t)scripted->max_datagram, (uint8_t)(scripted->max_datagram >> 8)};
    switch (setup->request) {
    case 0x80:
        return scripted->parameters ? give(transfer, scripted->parameters, scripted->parameters_bytes) : -EPIPE;
    case 0x87:
        return give(transfer, datagram, 2);
    case 0x89:
        return give(transfer, crc, 2);
    default:
        return -EPIPE;
    }
}

static int
submit(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    const int result = answer(scripted_of(device), transfer);
    transfer->status = result < 0 ? result : 0;
    transfer->actual = result < 0 ? 0 : (uint32_t)result;
    transfer->completed(transfer);
    return 0;
}

static int
set_configuration(struct dx_usb_device *device, uint8_t value)
{
    return note(scripted_of(device), "configuration %u\n", value);
}

static int
claim(struct dx_usb_device *device, uint8_t interface)
{
    struct scripted *const scripted = scripted_of(device);
    const int error = note(scripted, "claim %u\n", interface);
    if (!error && scripted->claimed[interface]++)
        abort();
    scripted->claims += !error;
    return error;
}

static int
release(struct dx_usb_device *device, uint8_t interface)
{
    struct scripted *const scripted = scripted_of(device);
    if (!scripted->claimed[interface]--)
        abort();
    scripted->claims--;
    return note(scripted, "release %u\n", interface);
}

static int
set_interface(struct dx_usb_device *device, uint8_t interface, uint8_t alternate)
{
    struct scripted *const scripted = scripted_of(device);
    if (!scripted->claimed[interface])
        abort();
    const int error = note(scripted, "set %u to %u\n", interface, alternate);
    if (!error)
        scripted->alternates[interface] = alternate;
    return error;
}

static const struct dx_usb_ops ops = {
    .prepare = prepare,
    .unprepare = unprepare,
    .submit = submit,
    .set_configuration = set_configuration,
    .claim = claim,
    .release = release,
    .set_interface = set_interface,
};

void
scripted_begin(struct scripted *scripted, uint8_t configuration)
{
    *scripted = (struct scripted){
        .device = {.ops = &ops, .speed = DX_USB_HIGH, .configuration = configuration, .path = "1-2.3"},
    };
}

void
scripted_add_configuration(struct scripted *scripted, const void *bytes, uint32_t size)
{
    struct dx_usb_configuration *const place =
        &scripted->device.configurations[scripted->device.configuration_count++];
    place->bytes = malloc(size ? size : 1);
    if (!place->bytes)
        abort();
    if (size)
        memcpy(place->bytes, bytes, size);
    place->size = size;
}

void
scripted_end(struct scripted *scripted)
{
    for (uint32_t i = 0; i < scripted->device.configuration_count; i++)
        free(scripted->device.configurations[i].bytes);
}
