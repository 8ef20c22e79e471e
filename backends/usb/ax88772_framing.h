// SPDX-License-Identifier: MIT
// The streams of the AX88772's two bulk endpoints: frames into transfers and out of them, without any request.

#ifndef DX_USB_AX88772_FRAMING_H
#define DX_USB_AX88772_FRAMING_H

#include "backends/usb/nic.h"

#define DX_AX88772_MAX_LENGTH 2047u // that a header can say
#define DX_AX88772_HEADER_BYTES 4u

/*
 * What is kept from transfer to transfer: a frame whose end, or a header whose rest, is yet to come. All zeros is
 * a stream that begins. docs/design/usb-ax88772.md says when a frame is believed.
 */
struct dx_ax88772_receiver {
    const uint8_t *data; // the transfer, and how far it has been read
    uint32_t size, at;
    uint32_t frame_size; // of the frame that is put together; 0: none
    uint32_t frame_have; // bytes of it
    uint32_t head_have;  // bytes of the header that is read
    bool is_lost;        // headers have to be searched for
    bool is_unsure;      // nothing in this transfer has shown yet that headers stand where they are looked for
    bool is_continued;   // and what is read began in an earlier one
    bool has_flags;      // headers have had bits beside the length
    bool may_pad;        // the last frame was odd, and its transfer ended without a pad byte
    bool is_reset;       // dx_ax88772_reset_receiver() was called
    uint8_t head[DX_AX88772_HEADER_BYTES];
    uint8_t frame[DX_FRAME_MAX];
};

struct dx_ax88772_sender {
    uint32_t packet;    // bytes of one packet of the endpoint
    uint32_t max_frame; // up to DX_AX88772_MAX_LENGTH
    uint32_t capacity;  // of a transfer; at least max_frame + 2 * DX_AX88772_HEADER_BYTES
};

/** Hands over a transfer; dx_ax88772_next() takes it apart. */
void dx_ax88772_begin(struct dx_ax88772_receiver *receiver, const uint8_t *data, uint32_t size,
                      struct dx_nic_counters *counters) DX_REALTIME;

/**
 * The next frame of the transfer. It is the transfer's memory or the receiver's, and good until the next call.
 * What is wrong is counted and left out:
 *
 * - bad_headers: a header that is none, where one had to be.
 * - bad_lengths: a length that no frame has; a frame whose rest did not come.
 * - lost_sync: how often headers had to be searched for.
 *
 * @return false: the transfer has been read. What is left of it has been copied, and it may be sent again.
 */
bool dx_ax88772_next(struct dx_ax88772_receiver *receiver, const uint8_t **ret_frame, uint32_t *ret_size,
                     struct dx_nic_counters *counters) DX_REALTIME;

/**
 * Drops what was begun, with the next transfer: after one that was lost. That one may then begin anywhere.
 */
void dx_ax88772_reset_receiver(struct dx_ax88772_receiver *receiver) DX_REALTIME;

/**
 * Makes one transfer of as many frames as fit, up to the first that is too short or too long, or with the first of
 * an odd length: whether the chip wants a pad byte between frames is not known.
 *
 * @param buffer    sender->capacity bytes.
 * @param ret_size  of the transfer; no multiple of the packet size, so that the device sees its end.
 * @return how many frames were taken; 0: the first one can never be sent.
 */
uint32_t dx_ax88772_send(const struct dx_ax88772_sender *sender, const uint8_t *const *frames,
                         const uint32_t *sizes, uint32_t count, uint8_t *buffer, uint32_t *ret_size) DX_REALTIME;

/** The bit of the multicast hash table for a group: byte `result / 8`, bit `result % 8`. */
uint32_t dx_ax88772_hash(const uint8_t group[6]) DX_REALTIME;

#endif /* DX_USB_AX88772_FRAMING_H */
