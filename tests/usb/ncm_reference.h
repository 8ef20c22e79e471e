// SPDX-License-Identifier: MIT
// Blocks of CDC-NCM read slowly, byte by byte, by the tables of the specification.

#ifndef DX_TESTS_NCM_REFERENCE_H
#define DX_TESTS_NCM_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { REFERENCE_FRAMES = 8192, REFERENCE_TABLES = 64 };

struct reference {
    /* What was agreed upon. */
    uint32_t max_block, max_frame;
    bool has_crc;
    /* From block to block: the number that is due; -1: any. */
    int sequence;
    /* What came out. */
    unsigned bad_headers, bad_lengths, bad_sequences;
    unsigned frames;
    uint32_t at[REFERENCE_FRAMES]; // in the transfer
    uint32_t size[REFERENCE_FRAMES];
};

static inline uint64_t
reference_number(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++)
        value += (uint64_t)bytes[i] << (8 * i);
    return value;
}

/* Ethernet's CRC, bit by bit. */
static inline uint32_t
reference_crc(const uint8_t *bytes, uint64_t size)
{
    uint32_t crc = 0xffffffff;
    for (uint64_t i = 0; i < size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            const unsigned differs = (crc ^ (uint32_t)bytes[i] >> bit) & 1u;
            crc = crc >> 1 ^ (differs ? 0xedb88320u : 0);
        }
    }
    return crc ^ 0xffffffff;
}

/* Marks bytes of the block, unless one of them is marked. */
static inline bool
reference_mark(uint8_t *marks, uint64_t at, uint64_t size)
{
    for (uint64_t i = at; i < at + size; i++) {
        if (marks[i])
            return false;
    }
    for (uint64_t i = at; i < at + size; i++)
        marks[i] = 1;
    return true;
}

static inline void
reference_table(struct reference *r, const uint8_t *transfer, uint64_t block, uint64_t block_size, uint64_t table,
                bool is_wide, uint8_t *marks)
{
    const unsigned field = is_wide ? 4 : 2;
    const uint64_t length = reference_number(transfer + block + table + 4, 2);
    const uint64_t crc = r->has_crc ? 4 : 0;
    for (uint64_t entry = table + (is_wide ? 16 : 8); entry < table + length; entry += is_wide ? 8 : 4) {
        const uint64_t at = reference_number(transfer + block + entry, field);
        const uint64_t size = reference_number(transfer + block + entry + field, field);
        if (at == 0 && size == 0)
            return;
        if (at == 0 || size == 0) {
            r->bad_lengths++;
            return;
        }
        bool is_good = size >= 14 + crc && size <= r->max_frame + crc && at + size <= block_size &&
                       reference_mark(marks, at, size);
        if (is_good && r->has_crc)
            is_good = reference_crc(transfer + block + at, size - 4) ==
                      reference_number(transfer + block + at + size - 4, 4);
        if (!is_good) {
            r->bad_lengths++;
            continue;
        }
        r->at[r->frames] = (uint32_t)(block + at);
        r->size[r->frames++] = (uint32_t)(size - crc);
    }
}

static inline void
reference_block(struct reference *r, const uint8_t *transfer, uint64_t block, uint64_t block_size, bool is_wide)
{
    static uint8_t marks[65536];
    uint64_t tables[REFERENCE_TABLES];
    unsigned count = 0;
    memset(marks, 0, block_size);
    (void)reference_mark(marks, 0, is_wide ? 16 : 12);
    uint64_t behind = is_wide ? 16 : 12;
    uint64_t table = is_wide ? reference_number(transfer + block + 12, 4)
                             : reference_number(transfer + block + 10, 2);
    const unsigned least = is_wide ? 32 : 16;
    const char *const signature = is_wide ? (r->has_crc ? "ncm1" : "ncm0") : (r->has_crc ? "NCM1" : "NCM0");
    for (;;) {
        if (count == REFERENCE_TABLES || table < behind || table % 4 != 0 || table + least > block_size ||
            memcmp(transfer + block + table, signature, 4) != 0) {
            r->bad_headers++;
            break;
        }
        const uint64_t length = reference_number(transfer + block + table + 4, 2);
        if (length < least || length % (is_wide ? 8 : 4) != 0 || table + length > block_size) {
            r->bad_headers++;
            break;
        }
        (void)reference_mark(marks, table, length);
        tables[count++] = table;
        behind = table + length;
        table = is_wide ? reference_number(transfer + block + table + 8, 4)
                        : reference_number(transfer + block + table + 6, 2);
        if (table == 0)
            break;
    }
    for (unsigned i = 0; i < count; i++)
        reference_table(r, transfer, block, block_size, tables[i], is_wide, marks);
}

/* Adds what a transfer has to the frames and the counters. */
static inline void
reference_read(struct reference *r, const uint8_t *transfer, uint64_t size)
{
    uint64_t at = 0;
    while (at < size) {
        const bool is_wide = size - at >= 4 && memcmp(transfer + at, "ncmh", 4) == 0;
        const bool is_narrow = size - at >= 4 && memcmp(transfer + at, "NCMH", 4) == 0;
        const unsigned head = is_wide ? 16 : 12;
        if (!is_wide && !is_narrow) {
            if (at == 0)
                r->bad_headers++;
            return;
        }
        if (size - at < head || reference_number(transfer + at + 4, 2) != head) {
            r->bad_headers++;
            return;
        }
        uint64_t length = reference_number(transfer + at + 8, is_wide ? 4 : 2);
        if (length == 0)
            length = size - at;
        if (length > size - at || length > r->max_block || length < head + (is_wide ? 32u : 16u)) {
            r->bad_headers++;
            return;
        }
        const int sequence = (int)reference_number(transfer + at + 6, 2);
        if (r->sequence >= 0 && r->sequence != sequence)
            r->bad_sequences++;
        r->sequence = (sequence + 1) % 65536;
        reference_block(r, transfer, at, length, is_wide);
        at += length;
    }
}

#endif /* DX_TESTS_NCM_REFERENCE_H */
