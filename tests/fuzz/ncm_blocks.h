// SPDX-License-Identifier: MIT
// What the two NCM targets share: transfers that are read fast and slowly, and frames that are sent and read.

#ifndef DX_TESTS_FUZZ_NCM_BLOCKS_H
#define DX_TESTS_FUZZ_NCM_BLOCKS_H

#include "backends/usb/ncm_framing.h"
#include "tests/usb/ncm_reference.h"

#include <stdlib.h>

enum { IS_SENDING = 0x80, HAS_CRC = 0x40, HAS_SIGNATURE = 0x20 }; // of the first byte

static inline uint8_t *
copy_of(const void *bytes, size_t size)
{
    uint8_t *const copy = malloc(size ? size : 1); // exact size: one byte too far is seen
    if (!copy)
        abort();
    if (size)
        memcpy(copy, bytes, size);
    return copy;
}

/* All but what would take its time: the frames of the last input. */
static inline void
begin_reference(struct reference *reference, uint32_t max_block, bool has_crc)
{
    reference->max_block = max_block;
    reference->max_frame = 1514;
    reference->has_crc = has_crc;
    reference->sequence = -1;
    reference->bad_headers = reference->bad_lengths = reference->bad_sequences = reference->frames = 0;
}

/* Both readers see the same frames in one transfer, and count the same. */
static inline void
compare(struct dx_ncm_receiver *receiver, struct reference *reference, struct dx_nic_counters *counters,
        const uint8_t *transfer, uint32_t size)
{
    const uint8_t *frame;
    uint32_t frame_size;
    unsigned frames = 0;
    reference->frames = 0;
    reference_read(reference, transfer, size);
    dx_ncm_begin(receiver, transfer, size);
    while (dx_ncm_next(receiver, &frame, &frame_size, counters)) {
        if (frames == reference->frames || frame != transfer + reference->at[frames] ||
            frame_size != reference->size[frames])
            abort();
        frames++;
    }
    if (frames != reference->frames || counters->bad_headers != reference->bad_headers ||
        counters->bad_lengths != reference->bad_lengths || counters->bad_sequences != reference->bad_sequences)
        abort();
}

/* Transfers, each behind two bytes of length. */
static inline void
fuzz_receiving(const uint8_t *data, size_t size, uint8_t flags, const char *signature)
{
    static struct dx_ncm_receiver receiver;
    static struct reference reference;
    struct dx_nic_counters counters = {0};
    receiver.max_block = flags & 1u ? DX_NCM_MAX_BLOCK : 2048;
    receiver.max_frame = 1514;
    receiver.has_crc = flags & HAS_CRC;
    dx_ncm_reset(&receiver);
    begin_reference(&reference, receiver.max_block, receiver.has_crc);
    while (size >= 2) {
        const uint32_t wanted = data[0] | (uint32_t)data[1] << 8, have = (uint32_t)size - 2;
        const uint32_t bytes = wanted < have ? wanted : have;
        uint8_t *const transfer = copy_of(data + 2, bytes);
        if (flags & HAS_SIGNATURE && bytes >= 4)
            memcpy(transfer, signature, 4);
        compare(&receiver, &reference, &counters, transfer, bytes);
        free(transfer);
        data += 2 + bytes;
        size -= 2 + bytes;
    }
}

/* Parameters, and then the sizes of frames: all of what is sent is read again. */
static inline void
fuzz_sending(const uint8_t *data, size_t size, uint8_t flags, bool is_wide)
{
    static const uint8_t frame[1514] = {1, 2, 3};
    static struct reference reference;
    if (size < DX_NCM_PARAMETERS_BYTES)
        return;
    struct dx_ncm_sender sender = {
        .parameters = dx_ncm_read_parameters(data, 1514),
        .max_frame = 1514,
        .packet = 64u << (flags & 7u),
        .is_ntb32 = is_wide,
        .has_crc = flags & HAS_CRC,
    };
    begin_reference(&reference, DX_NCM_MAX_BLOCK, sender.has_crc);
    data += DX_NCM_PARAMETERS_BYTES;
    size -= DX_NCM_PARAMETERS_BYTES;
    const uint8_t *frames[64];
    uint32_t sizes[64], count = 0;
    for (; count < 64 && size >= 2; count++, data += 2, size -= 2) {
        frames[count] = frame;
        sizes[count] = (data[0] | (uint32_t)data[1] << 8) % 1600;
    }
    uint32_t at = 0;
    while (at < count) {
        uint8_t *const block = malloc(sender.parameters.out_max);
        if (!block)
            abort();
        uint32_t bytes = 0;
        const uint32_t taken = dx_ncm_send(&sender, frames + at, sizes + at, count - at, block, &bytes);
        if (taken == 0 && sizes[at] >= 14 && sizes[at] <= 1514)
            abort(); // every frame that is one can be sent
        if (taken) {
            reference.frames = 0;
            reference_read(&reference, block, bytes);
            if (reference.frames != taken || reference.bad_headers || reference.bad_lengths ||
                reference.bad_sequences || bytes % sender.packet == 0)
                abort();
            for (uint32_t i = 0; i < taken; i++) {
                if (reference.size[i] != sizes[at + i] ||
                    memcmp(block + reference.at[i], frame, sizes[at + i]) != 0 ||
                    (reference.at[i] + 14) % sender.parameters.divisor != sender.parameters.remainder)
                    abort();
            }
        }
        free(block);
        at += taken ? taken : 1;
    }
}

static inline void
fuzz_blocks(const uint8_t *data, size_t size, bool is_wide)
{
    if (size < 1)
        return;
    if (data[0] & IS_SENDING)
        fuzz_sending(data + 1, size - 1, data[0], is_wide);
    else
        fuzz_receiving(data + 1, size - 1, data[0], is_wide ? "ncmh" : "NCMH");
}

#endif /* DX_TESTS_FUZZ_NCM_BLOCKS_H */
