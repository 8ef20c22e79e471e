// SPDX-License-Identifier: MIT
// The messages of USB/IP after import: a header of 48 bytes, big-endian, and data.

#ifndef DX_USB_USBIP_H
#define DX_USB_USBIP_H

#include <stdint.h>

enum {
    DX_USBIP_SUBMIT = 1,
    DX_USBIP_UNLINK = 2,
    DX_USBIP_RET_SUBMIT = 3,
    DX_USBIP_RET_UNLINK = 4,

    DX_USBIP_HEADER = 48,

    /* Places in it. */
    DX_USBIP_COMMAND = 0,
    DX_USBIP_SEQNUM = 4,
    DX_USBIP_DEVICE = 8,
    DX_USBIP_DIRECTION = 12,
    DX_USBIP_ENDPOINT = 16,
    /* SUBMIT */
    DX_USBIP_FLAGS = 20,
    DX_USBIP_LENGTH = 24,
    DX_USBIP_PACKETS = 32,
    DX_USBIP_INTERVAL = 36,
    DX_USBIP_SETUP = 40,
    /* UNLINK */
    DX_USBIP_VICTIM = 20,
    /* Both answers */
    DX_USBIP_STATUS = 20,
    DX_USBIP_ACTUAL = 24,

    /* Flags, as of Linux's URBs. */
    DX_USBIP_ZERO_PACKET = 0x0040,
    DX_USBIP_DIRECTION_IN = 0x0200,
};

#define DX_USBIP_NOT_ISOCHRONOUS UINT32_C(0xffffffff) // number of packets; 0 as well

static inline uint32_t
dx_usbip_get(const uint8_t *header, uint32_t at)
{
    return (uint32_t)header[at] << 24 | (uint32_t)header[at + 1] << 16 | (uint32_t)header[at + 2] << 8 |
           header[at + 3];
}

static inline void
dx_usbip_put(uint8_t *header, uint32_t at, uint32_t value)
{
    header[at] = (uint8_t)(value >> 24);
    header[at + 1] = (uint8_t)(value >> 16);
    header[at + 2] = (uint8_t)(value >> 8);
    header[at + 3] = (uint8_t)value;
}

#endif /* DX_USB_USBIP_H */
