// SPDX-License-Identifier: MIT
// CDC-ECM: each transfer is one frame.

#include "backends/usb/cdc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    SHORTEST_TRANSFER = 2048, // bytes; what a device may send has room in it
    TRANSFERS = 8
};

struct ecm {
    struct dx_cdc cdc;
    uint32_t in_packet;
    uint32_t in_transfer;
    bool is_in_between; // the last transfer was full: what comes goes on with it
};

static int
ecm_probe(void *nic, const struct dx_usb_device *device, struct dx_nic_info *info, char why[256])
{
    struct ecm *const ecm = nic;
    const int error = dx_cdc_find(&ecm->cdc, device, DX_CDC_ECM, info, why);
    if (error)
        return error;
    info->driver = dx_nic_ecm.name;
    snprintf(info->chip, sizeof info->chip, "ECM, CDC %x.%02x", ecm->cdc.version >> 8, ecm->cdc.version & 0xff);
    info->in_transfer = (SHORTEST_TRANSFER + info->in_packet - 1) / info->in_packet * info->in_packet;
    info->in_count = TRANSFERS;
    info->out_transfer = info->max_frame;
    ecm->in_packet = info->in_packet;
    ecm->in_transfer = info->in_transfer;
    return 0;
}

/* Setting 0 first: whoever had the device before may have left it running. */
static int
start(struct ecm *ecm, struct dx_usb_device *device, struct dx_nic_info *info, char why[256])
{
    dx_cdc_reset_link(&ecm->cdc);
    int error = ecm->cdc.alternate ? dx_cdc_select(&ecm->cdc, device, 0) : 0;
    if (error == -ENODEV)
        return error;
    error = dx_cdc_select(&ecm->cdc, device, ecm->cdc.alternate);
    if (error) {
        snprintf(why, 256, "setting %u of interface %u cannot be selected: %s", ecm->cdc.alternate, ecm->cdc.data,
                 strerror(-error));
        return error;
    }
    error = dx_cdc_read_mac(&ecm->cdc, device, info);
    return error ? error : dx_cdc_set_filter(&ecm->cdc, device, NULL, 0, true);
}

static int
ecm_open(void *nic, struct dx_usb_device *device, struct dx_nic_info *info, char why[256])
{
    struct ecm *const ecm = nic;
    int error = dx_cdc_claim(&ecm->cdc, device, why);
    if (error)
        return error;
    snprintf(why, 256, "the device went away");
    error = start(ecm, device, info, why);
    if (error)
        dx_cdc_release(&ecm->cdc, device);
    return error;
}

static void
ecm_close(void *nic, struct dx_usb_device *device)
{
    const struct ecm *const ecm = nic;
    dx_cdc_release(&ecm->cdc, device);
}

static int
ecm_set_filter(void *nic, struct dx_usb_device *device, const uint8_t (*groups)[6], uint32_t count, bool is_all)
{
    const struct ecm *const ecm = nic;
    return dx_cdc_set_filter(&ecm->cdc, device, groups, count, is_all);
}

static int
ecm_poll_link(void *nic, struct dx_usb_device *device, struct dx_nic_link *link)
{
    struct ecm *const ecm = nic;
    (void)device;
    return dx_cdc_poll_link(&ecm->cdc, link);
}

static bool
ecm_notified(void *nic, const uint8_t *data, uint32_t size, struct dx_nic_link *link) DX_REALTIME
{
    struct ecm *const ecm = nic;
    return dx_cdc_notified(&ecm->cdc, data, size, link);
}

/* relaxed: the only writer; dx_adapter_counters() has its readers. */
static void
count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

/*
 * A transfer that has no room left is too long for a frame, and the next one has the rest of it.
 *
 * A frame that ends with a packet may be followed by one byte more, instead of an empty packet. Whether it was is
 * seen where the frame would be too long otherwise; elsewhere the byte stays, and the length in the frame's own
 * header is what counts.
 */
static uint32_t
ecm_receive(void *nic, const uint8_t *data, uint32_t size, dx_frame_sink sink, void *context,
            struct dx_nic_counters *counters)
{
    struct ecm *const ecm = nic;
    const bool is_rest = ecm->is_in_between;
    ecm->is_in_between = size == ecm->in_transfer;
    if (!size)
        return 0; // the end of a frame that ended with a packet
    const bool may_be_padded = size % ecm->in_packet == 1 % ecm->in_packet;
    if (may_be_padded && size == ecm->cdc.max_frame + 1u)
        size--;
    if (is_rest || size < DX_FRAME_MIN || size > ecm->cdc.max_frame) {
        count(&counters->bad_lengths);
        return 0;
    }
    sink(context, data, size);
    return 1;
}

static void
ecm_reset_framing(void *nic) DX_REALTIME
{
    struct ecm *const ecm = nic;
    ecm->is_in_between = false;
}

static uint32_t
ecm_frame(void *nic, const uint8_t *const *frames, const uint32_t *sizes, uint32_t count, uint8_t *buffer,
          uint32_t *ret_size, bool *ret_ends_short) DX_REALTIME
{
    const struct ecm *const ecm = nic;
    if (!count || sizes[0] < DX_FRAME_MIN || sizes[0] > ecm->cdc.max_frame)
        return 0;
    memcpy(buffer, frames[0], sizes[0]);
    *ret_size = sizes[0];
    *ret_ends_short = true;
    return 1;
}

const struct dx_nic_ops dx_nic_ecm = {
    .name = "cdc-ecm",
    .bytes = sizeof(struct ecm),
    .probe = ecm_probe,
    .open = ecm_open,
    .close = ecm_close,
    .set_filter = ecm_set_filter,
    .poll_link = ecm_poll_link,
    .notified = ecm_notified,
    .receive = ecm_receive,
    .reset_framing = ecm_reset_framing,
    .frame = ecm_frame,
};
