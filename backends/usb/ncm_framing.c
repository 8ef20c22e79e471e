// SPDX-License-Identifier: MIT
// Blocks of CDC-NCM: the layouts of the specification's sections 3.2 and 3.3.

#include "backends/usb/ncm_framing.h"

#include <stdatomic.h>
#include <string.h>

/*
 * The two formats differ in the width of the fields that count bytes, and in nothing else: with w = 2 (NTB-16) or
 * 4 (NTB-32)
 *
 *     header:  signature 4, header length 2, sequence 2, block length w, first table w            = 8 + 2 w bytes
 *     table:   signature 4, table length 2, [reserved 2], next table w, [reserved 4]   = 4 w, entries
 *     entry:   index w, length w
 */
enum {
    NTB16 = 2,
    NTB32 = 4,

    SEQUENCE_AT = 6,
    BLOCK_LENGTH_AT = 8,
    TABLE_LENGTH_AT = 4,
    CRC_BYTES = 4,
    PAYLOAD_AT = DX_FRAME_MIN // in a frame: what the divisor is about
};

#define SIGNATURE_16 0x484d434eu // "NCMH"
#define SIGNATURE_32 0x686d636eu // "ncmh"
#define TABLE_16 0x304d434eu     // "NCM0"
#define TABLE_32 0x306d636eu     // "ncm0"
#define TABLE_HAS_CRC 0x01000000u // "NCM1", "ncm1"

#define DEFAULT_ALIGNMENT 4u
#define DEFAULT_OUT_MAX 16384u

static inline DX_REALTIME uint32_t
header_bytes(uint32_t width)
{
    return BLOCK_LENGTH_AT + 2 * width;
}

static inline DX_REALTIME uint32_t
table_bytes(uint32_t width, uint32_t entries)
{
    return 4 * width + 2 * width * entries;
}

static inline DX_REALTIME uint32_t
next_table_at(uint32_t width)
{
    return TABLE_LENGTH_AT + width;
}

static inline DX_REALTIME uint32_t
get16(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8;
}

static inline DX_REALTIME uint32_t
get32(const uint8_t *bytes)
{
    return get16(bytes) | get16(bytes + 2) << 16;
}

static inline DX_REALTIME uint32_t
get_field(const uint8_t *bytes, uint32_t width)
{
    return width == NTB16 ? get16(bytes) : get32(bytes);
}

static inline DX_REALTIME void
put16(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

static inline DX_REALTIME void
put32(uint8_t *bytes, uint32_t value)
{
    put16(bytes, value);
    put16(bytes + 2, value >> 16);
}

static inline DX_REALTIME void
put_field(uint8_t *bytes, uint32_t width, uint32_t value)
{
    if (width == NTB16)
        put16(bytes, value);
    else
        put32(bytes, value);
}

/* relaxed: the only writer; dx_adapter_counters() has its readers. */
static inline DX_REALTIME void
count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

static const uint32_t crc_of_nibble[16] = {
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
    0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

/* The frame check sequence of Ethernet, as the four bytes behind a frame say it. */
static DX_REALTIME uint32_t
find_crc(const uint8_t *bytes, uint32_t size)
{
    uint32_t crc = UINT32_MAX;
    for (uint32_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ crc_of_nibble[crc & 15];
        crc = crc >> 4 ^ crc_of_nibble[crc & 15];
    }
    return ~crc;
}

/* ---- parameters ---- */

static bool
is_power_of_two(uint32_t value)
{
    return value && !(value & (value - 1));
}

static DX_REALTIME uint32_t
round_up(uint32_t value, uint32_t power_of_two)
{
    return (value + power_of_two - 1) & ~(power_of_two - 1);
}

/* Where a frame goes at or behind `at`: its payload is at `remainder` beyond a multiple of the divisor. */
static DX_REALTIME uint32_t
frame_at(const struct dx_ncm_parameters *p, uint32_t at)
{
    return at + ((p->remainder - PAYLOAD_AT - at) & (p->divisor - 1));
}

/* What a block takes that ends its frames at `end`. */
static DX_REALTIME uint32_t
block_bytes(const struct dx_ncm_parameters *p, uint32_t width, uint32_t end, uint32_t frames)
{
    return round_up(end, p->alignment) + table_bytes(width, frames + 1);
}

static bool
holds_frame(const struct dx_ncm_parameters *p, uint32_t max_frame)
{
    const uint32_t end = frame_at(p, header_bytes(NTB32)) + max_frame + CRC_BYTES;
    return block_bytes(p, NTB32, end, 1) < p->out_max;
}

struct dx_ncm_parameters
dx_ncm_read_parameters(const uint8_t bytes[DX_NCM_PARAMETERS_BYTES], uint32_t max_frame)
{
    struct dx_ncm_parameters p = {
        .has_ntb16 = bytes[2] & 1,
        .has_ntb32 = bytes[2] & 2,
        .in_max = get32(bytes + 4),
        .out_max = get32(bytes + 16),
        .divisor = get16(bytes + 20),
        .remainder = get16(bytes + 22),
        .alignment = get16(bytes + 24),
        .out_datagrams = get16(bytes + 26),
    };
    if (!p.out_max || p.out_max > DEFAULT_OUT_MAX)
        p.out_max = DEFAULT_OUT_MAX;
    if (p.out_max < DX_NCM_MIN_BLOCK)
        p.out_max = DX_NCM_MIN_BLOCK;
    if (!is_power_of_two(p.divisor) || p.divisor < DEFAULT_ALIGNMENT)
        p.divisor = DEFAULT_ALIGNMENT;
    if (!is_power_of_two(p.alignment) || p.alignment < DEFAULT_ALIGNMENT)
        p.alignment = DEFAULT_ALIGNMENT;
    if (p.remainder >= p.divisor)
        p.remainder = 0;
    if (!holds_frame(&p, max_frame)) {
        p.divisor = p.alignment = DEFAULT_ALIGNMENT;
        p.remainder = 0;
    }
    if (!p.out_datagrams || p.out_datagrams > DX_NCM_MAX_DATAGRAMS)
        p.out_datagrams = DX_NCM_MAX_DATAGRAMS;
    return p;
}

/* ---- receiving ---- */

/* Takes a range of the block, of one byte at least, unless something else has any of it. */
static DX_REALTIME bool
claim(uint64_t *used, uint32_t begin, uint32_t size)
{
    const uint32_t end = begin + size - 1, first = begin / 64, last = end / 64;
    const uint64_t head = UINT64_MAX << begin % 64, tail = UINT64_MAX >> (63 - end % 64);
    if (first == last) {
        if (used[first] & head & tail)
            return false;
        used[first] |= head & tail;
        return true;
    }
    uint64_t taken = (used[first] & head) | (used[last] & tail);
    for (uint32_t i = first + 1; i < last; i++)
        taken |= used[i];
    if (taken)
        return false;
    used[first] |= head;
    used[last] |= tail;
    for (uint32_t i = first + 1; i < last; i++)
        used[i] = UINT64_MAX;
    return true;
}

/* @return the width of a block's fields, by its signature; 0: no block begins here. */
static DX_REALTIME uint32_t
find_width(const uint8_t *data, uint32_t size)
{
    if (size < 4)
        return 0;
    const uint32_t signature = get32(data);
    return signature == SIGNATURE_16 ? NTB16 : signature == SIGNATURE_32 ? NTB32 : 0;
}

/* @return the length of the block with this signature; 0: it is none. */
static DX_REALTIME uint32_t
read_header(const struct dx_ncm_receiver *receiver, uint32_t width)
{
    const uint32_t head = header_bytes(width);
    if (receiver->size < head || get16(receiver->data + 4) != head)
        return 0;
    uint32_t length = get_field(receiver->data + BLOCK_LENGTH_AT, width);
    if (!length)
        length = receiver->size; // to the end of the transfer
    const bool is_good = length <= receiver->size && length <= receiver->max_block && length <= DX_NCM_MAX_BLOCK &&
                         length >= head + table_bytes(width, 2);
    return is_good ? length : 0;
}

/* @return the length of the table at `at`, behind `end`; 0: it is none. */
static DX_REALTIME uint32_t
read_table(const struct dx_ncm_receiver *receiver, uint32_t at, uint32_t end)
{
    const uint32_t width = receiver->width, least = table_bytes(width, 2);
    if (at < end || at % DEFAULT_ALIGNMENT || at > receiver->block_bytes - least)
        return 0;
    const uint32_t signature = (width == NTB16 ? TABLE_16 : TABLE_32) | (receiver->has_crc ? TABLE_HAS_CRC : 0);
    const uint32_t length = get16(receiver->data + at + TABLE_LENGTH_AT);
    const bool is_good = get32(receiver->data + at) == signature && length >= least && length % (2 * width) == 0 &&
                         length <= receiver->block_bytes - at;
    return is_good ? length : 0;
}

/*
 * Finds the block's tables. Each stands behind the one before it, so that there is neither a cycle nor an overlap.
 *
 * All of them before the first frame: a frame over a table is found, whichever is named first.
 */
static DX_REALTIME void
find_tables(struct dx_ncm_receiver *receiver, struct dx_nic_counters *counters)
{
    const uint32_t width = receiver->width;
    uint32_t end = header_bytes(width), at = get_field(receiver->data + BLOCK_LENGTH_AT + width, width);
    (void)claim(receiver->used, 0, end);
    do {
        const uint32_t length = receiver->table_count < DX_NCM_MAX_POINTERS ? read_table(receiver, at, end) : 0;
        if (!length) {
            count(&counters->bad_headers);
            break;
        }
        (void)claim(receiver->used, at, length);
        receiver->tables[receiver->table_count++] = at;
        end = at + length;
        at = get_field(receiver->data + at + next_table_at(width), width);
    } while (at);
}

static DX_REALTIME void
follow_sequence(struct dx_ncm_receiver *receiver, struct dx_nic_counters *counters)
{
    const uint16_t sequence = (uint16_t)get16(receiver->data + SEQUENCE_AT);
    if (receiver->has_sequence && sequence != receiver->next_sequence)
        count(&counters->bad_sequences);
    receiver->has_sequence = true;
    receiver->next_sequence = (uint16_t)(sequence + 1);
}

/* Goes to the next block of the transfer. @return whether there is one. */
static DX_REALTIME bool
next_block(struct dx_ncm_receiver *receiver, struct dx_nic_counters *counters)
{
    const bool is_first = !receiver->block_bytes;
    receiver->data += receiver->block_bytes;
    receiver->size -= receiver->block_bytes;
    const uint32_t width = find_width(receiver->data, receiver->size);
    const uint32_t length = width ? read_header(receiver, width) : 0;
    if (!length) {
        if (receiver->size && (is_first || width)) // bytes behind a block are none
            count(&counters->bad_headers);
        receiver->size = receiver->block_bytes = 0;
        return false;
    }
    receiver->block_bytes = length;
    receiver->width = width;
    receiver->table_count = receiver->table = 0;
    memset(receiver->used, 0, (length + 63) / 64 * sizeof receiver->used[0]);
    follow_sequence(receiver, counters);
    find_tables(receiver, counters);
    return true;
}

static DX_REALTIME void
next_table(struct dx_ncm_receiver *receiver)
{
    const uint32_t at = receiver->tables[receiver->table++];
    receiver->entry = at + table_bytes(receiver->width, 0);
    receiver->entry_end = at + get16(receiver->data + at + TABLE_LENGTH_AT);
}

static DX_REALTIME bool
take_datagram(struct dx_ncm_receiver *receiver, uint32_t index, uint32_t length)
{
    const uint32_t more = receiver->has_crc ? CRC_BYTES : 0;
    if (length < DX_FRAME_MIN + more || length > receiver->max_frame + more || length > receiver->block_bytes ||
        index > receiver->block_bytes - length || !claim(receiver->used, index, length))
        return false;
    const uint8_t *const bytes = receiver->data + index;
    return !more || find_crc(bytes, length - CRC_BYTES) == get32(bytes + length - CRC_BYTES);
}

void
dx_ncm_reset(struct dx_ncm_receiver *receiver) DX_REALTIME
{
    receiver->has_sequence = false;
}

void
dx_ncm_begin(struct dx_ncm_receiver *receiver, const uint8_t *data, uint32_t size) DX_REALTIME
{
    receiver->data = data;
    receiver->size = size;
    receiver->block_bytes = 0;
    receiver->table_count = receiver->table = 0;
    receiver->entry = receiver->entry_end = 0;
}

bool
dx_ncm_next(struct dx_ncm_receiver *receiver, const uint8_t **ret_frame, uint32_t *ret_size,
            struct dx_nic_counters *counters) DX_REALTIME
{
    for (;;) {
        if (receiver->entry == receiver->entry_end) {
            if (receiver->table < receiver->table_count)
                next_table(receiver);
            else if (!next_block(receiver, counters))
                return false;
            continue;
        }
        const uint32_t width = receiver->width;
        const uint32_t index = get_field(receiver->data + receiver->entry, width);
        const uint32_t length = get_field(receiver->data + receiver->entry + width, width);
        receiver->entry += 2 * width;
        if (!index || !length) {
            receiver->entry = receiver->entry_end;
            if (index || length) // half an end is one, but nothing that should be
                count(&counters->bad_lengths);
        } else if (take_datagram(receiver, index, length)) {
            *ret_frame = receiver->data + index;
            *ret_size = length - (receiver->has_crc ? CRC_BYTES : 0);
            return true;
        } else {
            count(&counters->bad_lengths);
        }
    }
}

/* ---- sending ---- */

static DX_REALTIME void
write_header(const struct dx_ncm_sender *sender, uint32_t width, uint32_t size, uint32_t table, uint8_t *buffer)
{
    put32(buffer, width == NTB16 ? SIGNATURE_16 : SIGNATURE_32);
    put16(buffer + 4, header_bytes(width));
    put16(buffer + SEQUENCE_AT, sender->sequence);
    put_field(buffer + BLOCK_LENGTH_AT, width, size);
    put_field(buffer + BLOCK_LENGTH_AT + width, width, table);
}

/* Copies a frame to `at`, with its CRC if there is one. @return what it takes. */
static DX_REALTIME uint32_t
write_frame(const struct dx_ncm_sender *sender, const uint8_t *frame, uint32_t size, uint8_t *at)
{
    memcpy(at, frame, size);
    if (!sender->has_crc)
        return size;
    put32(at + size, find_crc(frame, size));
    return size + CRC_BYTES;
}

/* The table behind the frames, where it is only written once it is known how many there are. */
static DX_REALTIME void
write_table(const struct dx_ncm_sender *sender, uint32_t width, const uint32_t (*entries)[2], uint32_t frames,
            uint8_t *table)
{
    memset(table, 0, table_bytes(width, frames + 1));
    put32(table, (width == NTB16 ? TABLE_16 : TABLE_32) | (sender->has_crc ? TABLE_HAS_CRC : 0));
    put16(table + TABLE_LENGTH_AT, table_bytes(width, frames + 1));
    for (uint32_t i = 0; i < frames; i++) {
        put_field(table + table_bytes(width, i), width, entries[i][0]);
        put_field(table + table_bytes(width, i) + width, width, entries[i][1]);
    }
}

uint32_t
dx_ncm_send(struct dx_ncm_sender *sender, const uint8_t *const *frames, const uint32_t *sizes,
            uint32_t frame_count, uint8_t *buffer, uint32_t *ret_size) DX_REALTIME
{
    const struct dx_ncm_parameters *const p = &sender->parameters;
    const uint32_t width = sender->is_ntb32 ? NTB32 : NTB16, more = sender->has_crc ? CRC_BYTES : 0;
    uint32_t entries[DX_NCM_MAX_DATAGRAMS][2];
    uint32_t taken = 0, end = header_bytes(width);
    for (; taken < frame_count && taken < p->out_datagrams; taken++) {
        const uint32_t at = frame_at(p, end), size = sizes[taken];
        if (size < DX_FRAME_MIN || size > sender->max_frame)
            break;
        // Below the maximum: room for the byte that ends the block.
        if (block_bytes(p, width, at + size + more, taken + 1) >= p->out_max)
            break;
        memset(buffer + end, 0, at - end);
        entries[taken][0] = at;
        entries[taken][1] = write_frame(sender, frames[taken], size, buffer + at);
        end = at + entries[taken][1];
    }
    if (!taken)
        return 0;

    const uint32_t table = round_up(end, p->alignment);
    memset(buffer + end, 0, table - end);
    write_table(sender, width, entries, taken, buffer + table);
    uint32_t size = table + table_bytes(width, taken + 1);
    if (size % sender->packet == 0)
        buffer[size++] = 0;
    write_header(sender, width, size, table, buffer);
    sender->sequence++;
    *ret_size = size;
    return taken;
}
