// SPDX-License-Identifier: MIT
// Blocks of CDC-NCM (NTB-16 and NTB-32): frames into blocks and out of them, without any transfer.

#ifndef DX_USB_NCM_FRAMING_H
#define DX_USB_NCM_FRAMING_H

#include "backends/usb/nic.h"

#include <dextral/base.h>

#define DX_NCM_MIN_BLOCK 2048u  // what every device takes and makes
#define DX_NCM_MAX_BLOCK 65536u // what is read at most
#define DX_NCM_MAX_DATAGRAMS 40u // written into a block
#define DX_NCM_MAX_POINTERS 64u  // tables of datagrams (NDPs) that are read in a block
#define DX_NCM_PARAMETERS_BYTES 28u

/* What GetNtbParameters says of blocks to the device, made usable. */
struct dx_ncm_parameters {
    bool has_ntb16, has_ntb32;
    uint32_t in_max;        // as the device said
    uint32_t out_max;       // 2048 to 65535
    uint32_t divisor;       // of a datagram's payload, a power of two
    uint32_t remainder;     // below it
    uint32_t alignment;     // of a table of datagrams, a power of two
    uint32_t out_datagrams; // 1 to DX_NCM_MAX_DATAGRAMS
};

/* What is kept from block to block, and where reading is. The first part is the user's to set. */
struct dx_ncm_receiver {
    uint32_t max_block; // bytes that were agreed upon; up to DX_NCM_MAX_BLOCK
    uint32_t max_frame; // without CRC
    bool has_crc;       // CRC mode is on

    bool has_sequence; // next_sequence says something
    uint16_t next_sequence;
    const uint8_t *data; // the rest of the transfer, from this block on
    uint32_t size;
    uint32_t block_bytes; // 0: none has begun
    uint32_t width;       // of this block's fields
    uint32_t tables[DX_NCM_MAX_POINTERS]; // this block's
    uint32_t table_count;
    uint32_t table;             // the next one
    uint32_t entry, entry_end;  // of this table: the next one, and where they end
    uint64_t used[DX_NCM_MAX_BLOCK / 64]; // a bit for each byte of the block that has an owner
};

struct dx_ncm_sender {
    struct dx_ncm_parameters parameters;
    uint32_t max_frame; // without CRC
    uint32_t packet;    // bytes of one packet of the endpoint
    bool is_ntb32;
    bool has_crc;
    uint16_t sequence; // of the next block
};

/**
 * Reads GetNtbParameters. Numbers that cannot be are replaced as docs/design/usb-cdc.md says.
 *
 * @param max_frame  which must fit into a block.
 */
struct dx_ncm_parameters dx_ncm_read_parameters(const uint8_t bytes[DX_NCM_PARAMETERS_BYTES], uint32_t max_frame);

/** Forgets the last block's number: the next one is taken as it comes. */
void dx_ncm_reset(struct dx_ncm_receiver *receiver) DX_REALTIME;

/** Begins with a transfer, which stays where it is until dx_ncm_next() has nothing more. */
void dx_ncm_begin(struct dx_ncm_receiver *receiver, const uint8_t *data, uint32_t size) DX_REALTIME;

/**
 * The next frame of the transfer, from any of the blocks that stand in it, whichever of the two formats each has.
 * What is wrong is counted and left out:
 *
 * - bad_headers: a block's header (the rest of the transfer is dropped) or a table of datagrams (the rest of the
 *   tables is).
 * - bad_lengths: a datagram that is too short, too long, outside of the block, or over something else; one with a
 *   wrong CRC.
 * - bad_sequences: a block that is not the one after the last one; it is read all the same.
 *
 * No byte of a block is delivered twice, so that all the work is bounded by the transfer's size.
 *
 * @param ret_frame  in the transfer's memory.
 * @return false: there is none.
 */
bool dx_ncm_next(struct dx_ncm_receiver *receiver, const uint8_t **ret_frame, uint32_t *ret_size,
                 struct dx_nic_counters *counters) DX_REALTIME;

/**
 * Makes one block of as many frames as fit: up to the first one that is too long or too short.
 *
 * @param buffer  sender->parameters.out_max bytes.
 * @param ret_size  of the block; no multiple of the packet size, so that the device sees its end.
 * @return how many frames were taken; 0: the first one can never be sent.
 */
uint32_t dx_ncm_send(struct dx_ncm_sender *sender, const uint8_t *const *frames, const uint32_t *sizes,
                     uint32_t frame_count, uint8_t *buffer, uint32_t *ret_size) DX_REALTIME;

#endif /* DX_USB_NCM_FRAMING_H */
