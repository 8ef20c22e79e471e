// SPDX-License-Identifier: MIT
// Requests of whoever has a device: what a tap is shown of them, and strings.

#include "backends/usb/capture.h"
#include "backends/usb/request.h"

#include <errno.h>
#include <string.h>

#define TO_DEVICE 0x00u
#define TO_INTERFACE 0x01u
#define TO_ENDPOINT 0x02u
#define STRING_DESCRIPTOR 3u
#define DESCRIPTOR_BYTES 255u

int
dx_usb_control(struct dx_usb_device *device, const struct dx_usb_setup *setup, void *data, uint32_t timeout_ms)
{
    struct dx_usb_transfer transfer = {
        .kind = DX_USB_CONTROL,
        .setup = *setup,
        .data = data,
        .capacity = setup->length,
        .size = setup->length,
        .timeout_ms = timeout_ms,
    };
    if (setup->length > 0 && !data)
        return -EINVAL;
    const int result = dx_request_run(device, &transfer, dx_usb_submit);
    if (result < 0)
        return result;
    return (int)(transfer.actual < transfer.size ? transfer.actual : transfer.size);
}

/* What a backend asks of the device by means of its own is a request all the same, and is shown as one. */
static int
show(struct dx_usb_device *device, int status, struct dx_usb_setup setup)
{
    if (device->tap)
        dx_usb_tap_request(device->tap, &setup, status);
    return status;
}

int
dx_usb_claim(struct dx_usb_device *device, uint8_t interface)
{
    return device->ops->claim(device, interface);
}

int
dx_usb_release(struct dx_usb_device *device, uint8_t interface)
{
    return device->ops->release(device, interface);
}

int
dx_usb_set_configuration(struct dx_usb_device *device, uint8_t value)
{
    const int status = device->ops->set_configuration(device, value);
    if (status == 0)
        device->configuration = value;
    return show(device, status, (struct dx_usb_setup){TO_DEVICE, DX_USB_SET_CONFIGURATION, value, 0, 0});
}

int
dx_usb_set_interface(struct dx_usb_device *device, uint8_t interface, uint8_t alternate)
{
    const int status = device->ops->set_interface(device, interface, alternate);
    return show(device, status, (struct dx_usb_setup){TO_INTERFACE, DX_USB_SET_INTERFACE, alternate, interface, 0});
}

int
dx_usb_clear_halt(struct dx_usb_device *device, uint8_t endpoint)
{
    const int status = device->ops->clear_halt(device, endpoint);
    return show(device, status, (struct dx_usb_setup){TO_ENDPOINT, DX_USB_CLEAR_FEATURE, 0, endpoint, 0});
}

int
dx_usb_reset(struct dx_usb_device *device)
{
    return device->ops->reset(device);
}

/* Strings. */

/* Returns how many bytes there are, at least `least`. */
static int
get_string(struct dx_usb_device *device, uint8_t index, uint16_t language, uint8_t bytes[DESCRIPTOR_BYTES], int least)
{
    const struct dx_usb_setup setup = {
        .request_type = DX_USB_IN,
        .request = DX_USB_GET_DESCRIPTOR,
        .value = (uint16_t)(STRING_DESCRIPTOR << 8 | index),
        .index = language,
        .length = DESCRIPTOR_BYTES,
    };
    const int got = dx_usb_control(device, &setup, bytes, DX_USB_CONTROL_TIMEOUT_MS);
    if (got < 0)
        return got;
    if (got < 2 || bytes[1] != STRING_DESCRIPTOR || bytes[0] < least || got < least)
        return -EPROTO;
    return got < bytes[0] ? got : bytes[0];
}

/* Returns the character at a place of UTF-16, and how many units it takes; U+FFFD for half of a pair. */
static uint32_t
decode(const uint8_t *units, size_t count, size_t *ret_taken)
{
    const uint32_t first = (uint32_t)(units[0] | units[1] << 8);
    *ret_taken = 1;
    if (first < 0xd800u || first > 0xdfffu)
        return first;
    const uint32_t second = count > 1 ? (uint32_t)(units[2] | units[3] << 8) : 0;
    if (first > 0xdbffu || second < 0xdc00u || second > 0xdfffu)
        return 0xfffdu;
    *ret_taken = 2;
    return 0x10000u + ((first - 0xd800u) << 10) + (second - 0xdc00u);
}

static size_t
encode(uint32_t character, char bytes[4])
{
    static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    const size_t length = character < 0x80u ? 1 : character < 0x800u ? 2 : character < 0x10000u ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, character >>= 6)
        bytes[i] = (char)(0x80u | (character & 0x3fu));
    bytes[0] = (char)(marks[length - (length == 1)] | character);
    return length;
}

int
dx_usb_read_string(struct dx_usb_device *device, uint8_t index, char *text, size_t size)
{
    uint8_t bytes[DESCRIPTOR_BYTES];
    if (index == 0 || size == 0)
        return -EINVAL;
    int got = get_string(device, 0, 0, bytes, 4);
    if (got < 0)
        return got;
    got = get_string(device, index, (uint16_t)(bytes[2] | bytes[3] << 8), bytes, 2);
    if (got < 0)
        return got;
    const size_t count = ((size_t)got - 2) / 2;
    size_t length = 0;
    for (size_t i = 0, taken; i < count; i += taken) {
        char character[4];
        const uint32_t value = decode(bytes + 2 + 2 * i, count - i, &taken);
        const size_t bytes_of_it = encode(value, character);
        if (value == 0 || length + bytes_of_it >= size)
            break;
        memcpy(text + length, character, bytes_of_it);
        length += bytes_of_it;
    }
    text[length] = '\0';
    return (int)length;
}
