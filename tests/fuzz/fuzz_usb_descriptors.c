// SPDX-License-Identifier: MIT
// Raw descriptors before every NIC driver; one that takes them opens a device that answers anything, and receives.

#include "backends/usb/descriptors.h"
#include "backends/usb/nic.h"
#include "tests/usb/scripted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Firmware that needs time to settle is not what is tried here. */
int
nanosleep(const struct timespec *duration, struct timespec *ret_left)
{
    (void)duration;
    (void)ret_left;
    return 0;
}

int
clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *ret_left)
{
    (void)clock;
    (void)flags;
    (void)until;
    (void)ret_left;
    return 0;
}

/* What is left of the input. */
struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t
take_byte(struct input *input)
{
    if (!input->size)
        return 0;
    input->size--;
    return *input->data++;
}

/* Bytes behind two of length, at most what there is, in memory of that size. */
static uint8_t *
take_bytes(struct input *input, uint32_t *ret_size)
{
    const uint32_t low = take_byte(input), wanted = low | (uint32_t)take_byte(input) << 8;
    const uint32_t size = wanted < input->size ? wanted : (uint32_t)input->size;
    uint8_t *const bytes = malloc(size ? size : 1);
    if (!bytes)
        abort();
    if (size)
        memcpy(bytes, input->data, size);
    input->data += size;
    input->size -= size;
    *ret_size = size;
    return bytes;
}

/* Reads all of it. */
static void
touch(const uint8_t *bytes, uint32_t size)
{
    static volatile uint8_t all;
    for (uint32_t i = 0; i < size; i++)
        all = all ^ bytes[i];
}

static void
walk_all(const struct dx_usb_configuration *configuration)
{
    struct dx_usb_walk walk = dx_usb_walk_begin(configuration);
    struct dx_usb_setting setting;
    uint32_t settings = 0;
    while (dx_usb_walk_setting(&walk, &setting)) {
        settings++;
        if ((setting.bulk_in.address && !setting.bulk_in.packet) ||
            (setting.bulk_out.address && !setting.bulk_out.packet))
            abort();
        (void)dx_usb_find_functional(&setting, 0x0f, 13);
    }
    if (settings > configuration->size / 9)
        abort();
    walk = dx_usb_walk_begin(configuration);
    const uint8_t *descriptor;
    while ((descriptor = dx_usb_walk_next(&walk)))
        touch(descriptor, descriptor[0]);
}

static void
look_at_frame(void *context, const uint8_t *frame, uint32_t size)
{
    const struct dx_nic_info *const info = context;
    if (size < DX_FRAME_MIN || size > info->max_frame)
        abort();
    touch(frame, size);
}

static void
receive(const struct dx_nic_ops *ops, void *nic, struct dx_nic_info *info, struct input *input)
{
    static struct dx_nic_counters counters;
    while (input->size > 0) {
        const uint8_t kind = take_byte(input);
        uint32_t size;
        uint8_t *const bytes = take_bytes(input, &size);
        struct dx_nic_link link;
        if (kind & 1u && ops->notified)
            (void)ops->notified(nic, bytes, size, &link);
        else if (kind & 2u)
            ops->reset_framing(nic);
        else
            (void)ops->receive(nic, bytes, size, look_at_frame, info, &counters);
        free(bytes);
    }
}

static void
try_driver(const struct dx_nic_ops *ops, struct scripted *scripted, struct input input)
{
    char why[256] = "";
    struct dx_nic_info info = {0};
    void *const nic = calloc(1, ops->bytes);
    if (!nic)
        abort();
    const int result = ops->probe(nic, &scripted->device, &info, why);
    if (result != 0) {
        if (result != -ENOTSUP && (result != -EINVAL || !why[0]))
            abort();
    } else {
        if (!info.in_packet || !info.out_packet || !info.in_transfer || !info.out_transfer || !info.in_count ||
            info.in_transfer % info.in_packet || !(info.in_endpoint & DX_USB_IN) || info.out_endpoint & DX_USB_IN)
            abort();
        scripted->log[0] = '\0';
        if (ops->open(nic, &scripted->device, &info, why) == 0) {
            if (!info.in_transfer || info.in_transfer % info.in_packet || info.in_transfer > 2u * 65536u ||
                info.mac[0] & 1u)
                abort();
            receive(ops, nic, &info, &input);
            scripted->log[0] = '\0';
            ops->close(nic, &scripted->device);
        }
        if (scripted->claims)
            abort();
    }
    free(nic);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct scripted scripted;
    struct input input = {data, size};
    char string[16] = "";
    const uint8_t configurations = take_byte(&input) % 5;
    scripted_begin(&scripted, take_byte(&input));
    for (uint8_t i = 0; i < configurations; i++) {
        uint32_t bytes;
        uint8_t *const configuration = take_bytes(&input, &bytes);
        scripted_add_configuration(&scripted, configuration, bytes);
        free(configuration);
        walk_all(&scripted.device.configurations[i]);
    }
    scripted.fail_at = take_byte(&input);
    scripted.fail_with = -(int)take_byte(&input);
    for (uint8_t stalls = take_byte(&input) % 4; stalls > 0; stalls--)
        scripted.stalls[take_byte(&input)] = 1;
    scripted.crc_mode = take_byte(&input) & 1;
    scripted.max_datagram = take_byte(&input);
    for (size_t i = 0; i < 12; i++)
        string[i] = (char)(take_byte(&input) & 0x7f);
    scripted.strings[3] = string;
    uint32_t parameters_bytes;
    uint8_t *const parameters = take_bytes(&input, &parameters_bytes);
    scripted.parameters = parameters;
    scripted.parameters_bytes = parameters_bytes;

    for (const struct dx_nic_ops *const *ops = dx_nic_drivers; *ops; ops++) {
        scripted.steps = 0;
        try_driver(*ops, &scripted, input);
    }
    free(parameters);
    scripted_end(&scripted);
    return 0;
}
