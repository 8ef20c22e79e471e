// SPDX-License-Identifier: MIT
// CDC-NCM: transfers are blocks of frames. The order of requests is explained in docs/design/usb-cdc.md.

#include "backends/usb/cdc.h"
#include "backends/usb/ncm_framing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    GET_NTB_PARAMETERS = 0x80,
    SET_NTB_FORMAT = 0x84,
    SET_NTB_INPUT_SIZE = 0x86,
    GET_MAX_DATAGRAM_SIZE = 0x87,
    SET_MAX_DATAGRAM_SIZE = 0x88,
    GET_CRC_MODE = 0x89,
    SET_CRC_MODE = 0x8a,

    CAN_SET_MAX_DATAGRAM_SIZE = 0x08, // of bmNetworkCapabilities
    CAN_SET_CRC_MODE = 0x10,

    WANTED_IN_BYTES = 16384, // of a block: more is delay
    IN_FLIGHT_BYTES = 65536,
    LEAST_TRANSFERS = 2,
    MOST_TRANSFERS = 8,

    SETTLE_MS = 15 // before the working setting: some firmware does not get ready without
};

struct ncm {
    struct dx_cdc cdc;
    struct dx_ncm_receiver receiver;
    struct dx_ncm_sender sender;
};

static uint32_t
clamp(uint32_t value, uint32_t least, uint32_t most)
{
    return value < least ? least : value > most ? most : value;
}

static void
set_in_transfer(struct dx_nic_info *info, uint32_t block)
{
    info->in_transfer = (block + info->in_packet - 1) / info->in_packet * info->in_packet;
    info->in_count = clamp(IN_FLIGHT_BYTES / info->in_transfer, LEAST_TRANSFERS, MOST_TRANSFERS);
}

/* The sizes are those of a device that says nothing else when it is opened. */
static int
ncm_probe(void *nic, const struct dx_usb_device *device, struct dx_nic_info *info, char why[256])
{
    struct ncm *const ncm = nic;
    const int error = dx_cdc_find(&ncm->cdc, device, DX_CDC_NCM, info, why);
    if (error)
        return error;
    info->driver = dx_nic_ncm.name;
    snprintf(info->chip, sizeof info->chip, "NCM %x.%x", ncm->cdc.version >> 8, ncm->cdc.version >> 4 & 0xf);
    ncm->receiver.max_block = WANTED_IN_BYTES;
    ncm->receiver.max_frame = ncm->sender.max_frame = ncm->cdc.max_frame;
    ncm->sender.packet = info->out_packet;
    static const uint8_t nothing[DX_NCM_PARAMETERS_BYTES];
    ncm->sender.parameters = dx_ncm_read_parameters(nothing, ncm->cdc.max_frame);
    info->out_transfer = ncm->sender.parameters.out_max;
    set_in_transfer(info, WANTED_IN_BYTES);
    return 0;
}

/* ---- the sequence that opens it: each step 0, or an error that ends it ---- */

/* Of a request that a device may refuse: whether it is there at all. */
static int
is_gone(int result)
{
    return result == -ENODEV ? result : 0;
}

/*
 * The working setting and then the idle one: that resets any device, while idle alone does not where it was idle
 * before.
 */
static int
reset_function(const struct ncm *ncm, struct dx_usb_device *device, char why[256])
{
    if (!ncm->cdc.alternate)
        return 0; // its only setting works
    int error = is_gone(dx_cdc_select(&ncm->cdc, device, ncm->cdc.alternate));
    if (!error)
        error = dx_cdc_select(&ncm->cdc, device, 0);
    if (error)
        snprintf(why, 256, "setting 0 of interface %u cannot be selected: %s", ncm->cdc.data, strerror(-error));
    return error;
}

static int
read_parameters(struct ncm *ncm, struct dx_usb_device *device, char why[256])
{
    uint8_t bytes[DX_NCM_PARAMETERS_BYTES] = {0};
    const int result = dx_cdc_get(&ncm->cdc, device, GET_NTB_PARAMETERS, bytes, sizeof bytes);
    if (result < 0) {
        snprintf(why, 256, "the device does not tell its block parameters: %s", strerror(-result));
        return result;
    }
    if (result < (int)sizeof bytes) {
        snprintf(why, 256, "the device told %d bytes of block parameters, not %zu", result, sizeof bytes);
        return -EPROTO;
    }
    ncm->sender.parameters = dx_ncm_read_parameters(bytes, ncm->cdc.max_frame);
    return 0;
}

/* Off; or, in a device that does not let it be switched off, as it is. */
static int
set_crc_mode(struct ncm *ncm, struct dx_usb_device *device)
{
    bool is_on = false;
    if (ncm->cdc.capabilities & CAN_SET_CRC_MODE) {
        int result = dx_cdc_set(&ncm->cdc, device, SET_CRC_MODE, 0, NULL, 0);
        if (is_gone(result))
            return result;
        uint8_t mode[2] = {0};
        if (result < 0)
            result = dx_cdc_get(&ncm->cdc, device, GET_CRC_MODE, mode, sizeof mode);
        if (is_gone(result))
            return result;
        is_on = mode[0] == 1;
    }
    ncm->receiver.has_crc = ncm->sender.has_crc = is_on;
    return 0;
}

/* NTB-16 wherever there is a choice: a device takes what it gives. */
static int
set_format(struct ncm *ncm, struct dx_usb_device *device)
{
    const struct dx_ncm_parameters *const parameters = &ncm->sender.parameters;
    ncm->sender.is_ntb32 = parameters->has_ntb32 && !parameters->has_ntb16;
    if (!parameters->has_ntb32)
        return 0;
    return is_gone(dx_cdc_set(&ncm->cdc, device, SET_NTB_FORMAT, ncm->sender.is_ntb32, NULL, 0));
}

static int
start_function(const struct ncm *ncm, struct dx_usb_device *device, char why[256])
{
    const int error = dx_cdc_select(&ncm->cdc, device, ncm->cdc.alternate);
    if (error)
        snprintf(why, 256, "setting %u of interface %u cannot be selected: %s", ncm->cdc.alternate, ncm->cdc.data,
                 strerror(-error));
    return error;
}

/* A device that keeps to its own size has transfers that hold it. */
static int
set_input_size(struct ncm *ncm, struct dx_usb_device *device, struct dx_nic_info *info)
{
    const uint32_t told = ncm->sender.parameters.in_max;
    uint32_t size = clamp(told, DX_NCM_MIN_BLOCK, WANTED_IN_BYTES);
    if (size != told) {
        uint8_t bytes[4] = {(uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16), (uint8_t)(size >> 24)};
        const int result = dx_cdc_set(&ncm->cdc, device, SET_NTB_INPUT_SIZE, 0, bytes, sizeof bytes);
        if (is_gone(result))
            return result;
        if (result < 0)
            size = clamp(told, DX_NCM_MIN_BLOCK, DX_NCM_MAX_BLOCK);
    }
    ncm->receiver.max_block = size;
    set_in_transfer(info, size);
    return 0;
}

static int
set_datagram_size(const struct ncm *ncm, struct dx_usb_device *device)
{
    if (!(ncm->cdc.capabilities & CAN_SET_MAX_DATAGRAM_SIZE))
        return 0;
    const uint8_t wanted[2] = {(uint8_t)ncm->cdc.max_frame, (uint8_t)(ncm->cdc.max_frame >> 8)};
    uint8_t bytes[2] = {0};
    int result = dx_cdc_get(&ncm->cdc, device, GET_MAX_DATAGRAM_SIZE, bytes, sizeof bytes);
    if (result == (int)sizeof bytes && memcmp(bytes, wanted, sizeof bytes) != 0) {
        memcpy(bytes, wanted, sizeof bytes);
        result = dx_cdc_set(&ncm->cdc, device, SET_MAX_DATAGRAM_SIZE, 0, bytes, sizeof bytes);
    }
    return is_gone(result);
}

static int
start(struct ncm *ncm, struct dx_usb_device *device, struct dx_nic_info *info, char why[256])
{
    int error = reset_function(ncm, device, why);
    if (!error)
        error = read_parameters(ncm, device, why);
    if (!error)
        error = set_crc_mode(ncm, device);
    if (!error)
        error = set_format(ncm, device);
    if (error)
        return error;
    info->out_transfer = ncm->sender.parameters.out_max;
    ncm->sender.sequence = 0;
    dx_ncm_reset(&ncm->receiver);
    dx_cdc_reset_link(&ncm->cdc);
    const struct timespec settle = {.tv_nsec = SETTLE_MS * 1000000};
    (void)nanosleep(&settle, NULL);

    error = start_function(ncm, device, why);
    if (!error)
        error = dx_cdc_read_mac(&ncm->cdc, device, info);
    if (!error)
        error = set_input_size(ncm, device, info);
    if (!error)
        error = set_datagram_size(ncm, device);
    return error ? error : dx_cdc_set_filter(&ncm->cdc, device, NULL, 0, true);
}

static int
ncm_open(void *nic, struct dx_usb_device *device, struct dx_nic_info *info, char why[256])
{
    struct ncm *const ncm = nic;
    int error = dx_cdc_claim(&ncm->cdc, device, why);
    if (error)
        return error;
    snprintf(why, 256, "the device went away");
    error = start(ncm, device, info, why);
    if (error)
        dx_cdc_release(&ncm->cdc, device);
    return error;
}

static void
ncm_close(void *nic, struct dx_usb_device *device)
{
    const struct ncm *const ncm = nic;
    dx_cdc_release(&ncm->cdc, device);
}

static int
ncm_set_filter(void *nic, struct dx_usb_device *device, const uint8_t (*groups)[6], uint32_t count, bool is_all)
{
    const struct ncm *const ncm = nic;
    return dx_cdc_set_filter(&ncm->cdc, device, groups, count, is_all);
}

static int
ncm_poll_link(void *nic, struct dx_usb_device *device, struct dx_nic_link *link)
{
    struct ncm *const ncm = nic;
    (void)device;
    return dx_cdc_poll_link(&ncm->cdc, link);
}

static bool
ncm_notified(void *nic, const uint8_t *data, uint32_t size, struct dx_nic_link *link) DX_REALTIME
{
    struct ncm *const ncm = nic;
    return dx_cdc_notified(&ncm->cdc, data, size, link);
}

/* ---- framing ---- */

static uint32_t
ncm_receive(void *nic, const uint8_t *data, uint32_t size, dx_frame_sink sink, void *context,
            struct dx_nic_counters *counters)
{
    struct ncm *const ncm = nic;
    uint32_t delivered = 0;
    const uint8_t *frame;
    uint32_t frame_size;
    dx_ncm_begin(&ncm->receiver, data, size);
    while (dx_ncm_next(&ncm->receiver, &frame, &frame_size, counters)) {
        sink(context, frame, frame_size);
        delivered++;
    }
    return delivered;
}

static void
ncm_reset_framing(void *nic) DX_REALTIME
{
    struct ncm *const ncm = nic;
    dx_ncm_reset(&ncm->receiver);
}

static uint32_t
ncm_frame(void *nic, const uint8_t *const *frames, const uint32_t *sizes, uint32_t count, uint8_t *buffer,
          uint32_t *ret_size, bool *ret_ends_short) DX_REALTIME
{
    struct ncm *const ncm = nic;
    *ret_ends_short = false; // dx_ncm_send() sees to it
    return dx_ncm_send(&ncm->sender, frames, sizes, count, buffer, ret_size);
}

const struct dx_nic_ops dx_nic_ncm = {
    .name = "cdc-ncm",
    .bytes = sizeof(struct ncm),
    .probe = ncm_probe,
    .open = ncm_open,
    .close = ncm_close,
    .set_filter = ncm_set_filter,
    .poll_link = ncm_poll_link,
    .notified = ncm_notified,
    .receive = ncm_receive,
    .reset_framing = ncm_reset_framing,
    .frame = ncm_frame,
};
