// SPDX-License-Identifier: MIT
// Strings of devices that lie, from a device that answers at once.

#include "backends/usb/transfer.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

struct liar {
    struct dx_usb_device device; // first
    const uint8_t *languages, *string;
    int languages_size, string_size; // bytes, or an error
    uint16_t language;               // that was asked for
};

static int
prepare(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    transfer->backend = device;
    return 0;
}

static void
unprepare(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    (void)device;
    transfer->backend = NULL;
}

static int
submit(struct dx_usb_device *device, struct dx_usb_transfer *transfer)
{
    struct liar *const liar = (struct liar *)device;
    const bool is_list = (transfer->setup.value & 0xff) == 0;
    const int size = is_list ? liar->languages_size : liar->string_size;
    cr_assert(eq(u8, transfer->setup.request_type, 0x80));
    cr_assert(eq(u8, transfer->setup.request, 6));
    cr_assert(eq(u8, transfer->setup.value >> 8, 3));
    if (!is_list)
        liar->language = transfer->setup.index;
    transfer->status = size < 0 ? size : 0;
    transfer->actual = size < 0 ? 0 : (uint32_t)size;
    if (size > 0)
        memcpy(transfer->data, is_list ? liar->languages : liar->string, (size_t)size);
    transfer->completed(transfer);
    return 0;
}

static const struct dx_usb_ops liar_ops = {.prepare = prepare, .unprepare = unprepare, .submit = submit};
static const uint8_t german[] = {4, 3, 0x07, 0x04};

/* What is made of a string descriptor of so many bytes. */
static int
read_string(const uint8_t *bytes, int size, char *text, size_t room)
{
    struct liar liar = {
        .device.ops = &liar_ops, .languages = german, .languages_size = 4, .string = bytes, .string_size = size};
    const int result = dx_usb_read_string(&liar.device, 5, text, room);
    cr_assert(eq(u16, liar.language, 0x0407));
    return result;
}

Test(usb_string, what_is_no_string_is_an_error_of_the_protocol)
{
    static const uint8_t plain[] = {6, 3, 'A', 0, 'B', 0};
    static const uint8_t wrong_type[] = {6, 2, 'A', 0, 'B', 0};
    static const uint8_t no_length[] = {0, 3, 'A', 0};
    static const uint8_t one[] = {1, 3, 'A', 0};
    char text[16] = "untouched";
    cr_assert(eq(int, read_string(plain, 0, text, sizeof text), -EPROTO));
    cr_assert(eq(int, read_string(plain, 1, text, sizeof text), -EPROTO));
    cr_assert(eq(int, read_string(wrong_type, sizeof wrong_type, text, sizeof text), -EPROTO));
    cr_assert(eq(int, read_string(no_length, sizeof no_length, text, sizeof text), -EPROTO));
    cr_assert(eq(int, read_string(one, sizeof one, text, sizeof text), -EPROTO));
    cr_assert(eq(int, read_string(plain, -EPIPE, text, sizeof text), -EPIPE));
    cr_assert(eq(int, strcmp(text, "untouched"), 0));
    cr_assert(eq(int, read_string(plain, sizeof plain, text, sizeof text), 2));
    cr_assert(eq(int, strcmp(text, "AB"), 0));
}

Test(usb_string, less_came_or_more_than_it_says)
{
    static const uint8_t says_more[] = {200, 3, 'A', 0, 'B', 0, 'C'};
    static const uint8_t says_less[] = {4, 3, 'A', 0, 'B', 0};
    static const uint8_t empty[] = {2, 3, 'A', 0};
    static const uint8_t odd[] = {5, 3, 'A', 0, 'B'};
    char text[16];
    cr_assert(eq(int, read_string(says_more, sizeof says_more, text, sizeof text), 2));
    cr_assert(eq(int, strcmp(text, "AB"), 0));
    cr_assert(eq(int, read_string(says_less, sizeof says_less, text, sizeof text), 1));
    cr_assert(eq(int, strcmp(text, "A"), 0));
    cr_assert(eq(int, read_string(empty, sizeof empty, text, sizeof text), 0));
    cr_assert(eq(int, strcmp(text, ""), 0));
    cr_assert(eq(int, read_string(odd, sizeof odd, text, sizeof text), 1));
    cr_assert(eq(int, strcmp(text, "A"), 0));
}

/* U+1F3B5 is d83c dfb5. */
Test(usb_string, half_of_a_pair_is_no_character)
{
    static const uint8_t whole[] = {6, 3, 0x3c, 0xd8, 0xb5, 0xdf};
    static const uint8_t first[] = {6, 3, 0x3c, 0xd8, 'x', 0};
    static const uint8_t at_end[] = {4, 3, 0x3c, 0xd8};
    static const uint8_t second[] = {6, 3, 0xb5, 0xdf, 'x', 0};
    char text[16];
    cr_assert(eq(int, read_string(whole, sizeof whole, text, sizeof text), 4));
    cr_assert(eq(int, strcmp(text, "\xf0\x9f\x8e\xb5"), 0));
    cr_assert(eq(int, read_string(first, sizeof first, text, sizeof text), 4));
    cr_assert(eq(int, strcmp(text, "\xef\xbf\xbdx"), 0));
    cr_assert(eq(int, read_string(at_end, sizeof at_end, text, sizeof text), 3));
    cr_assert(eq(int, strcmp(text, "\xef\xbf\xbd"), 0));
    cr_assert(eq(int, read_string(second, sizeof second, text, sizeof text), 4));
    cr_assert(eq(int, strcmp(text, "\xef\xbf\xbdx"), 0));
}

Test(usb_string, it_is_cut_between_characters)
{
    static const uint8_t bytes[] = {10, 3, 0xe4, 0, 0xac, 0x20, 0x3c, 0xd8, 0xb5, 0xdf}; // of 2, 3 and 4 bytes
    static const char whole[] = "\xc3\xa4\xe2\x82\xac\xf0\x9f\x8e\xb5";
    static const int lengths[] = {-EINVAL, 0, 0, 2, 2, 2, 5, 5, 5, 5, 9, 9};
    for (size_t room = 0; room < sizeof lengths / sizeof lengths[0]; room++) {
        char text[16];
        memset(text, '#', sizeof text);
        struct liar liar = {.device.ops = &liar_ops,
                            .languages = german,
                            .languages_size = 4,
                            .string = bytes,
                            .string_size = sizeof bytes};
        const int length = dx_usb_read_string(&liar.device, 5, text, room);
        cr_assert(eq(int, length, lengths[room]), "room %zu", room);
        cr_assert(length < 0 || (memcmp(text, whole, (size_t)length) == 0 && text[length] == '\0'));
        for (size_t i = room; i < sizeof text; i++)
            cr_assert(eq(chr, text[i], '#'));
    }
}

Test(usb_string, a_device_without_languages_has_no_strings)
{
    static const uint8_t none[] = {2, 3};
    char text[16];
    struct liar liar = {.device.ops = &liar_ops, .languages = none, .languages_size = 2, .string_size = 0};
    cr_assert(eq(int, dx_usb_read_string(&liar.device, 1, text, sizeof text), -EPROTO));
    liar.languages_size = -EPIPE;
    cr_assert(eq(int, dx_usb_read_string(&liar.device, 1, text, sizeof text), -EPIPE));
    cr_assert(eq(int, dx_usb_read_string(&liar.device, 0, text, sizeof text), -EINVAL));
}
