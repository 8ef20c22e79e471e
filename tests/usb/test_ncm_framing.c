// SPDX-License-Identifier: MIT
// NCM's blocks both ways, against blocks that are put together here field by field, and against the slow reader.

#include "backends/usb/ncm_framing.h"

#include "tests/usb/ncm_reference.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 70000 };

static struct dx_ncm_receiver receiver; // each test runs in a process of its own
static struct dx_nic_counters counters;
static struct reference expected;

/* ---- a block, field by field ---- */

static uint8_t block[ROOM];
static bool is_wide;

static void
put(uint32_t at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        block[at + i] = (uint8_t)(value >> 8 * i);
}

static void
put_header(uint32_t sequence, uint32_t length, uint32_t table)
{
    memcpy(block, is_wide ? "ncmh" : "NCMH", 4);
    put(4, is_wide ? 16 : 12, 2);
    put(6, sequence, 2);
    put(8, length, is_wide ? 4 : 2);
    put(is_wide ? 12 : 10, table, is_wide ? 4 : 2);
}

/* The length of a table with so many entries, the end among them. */
static uint32_t
table_length(uint32_t entries)
{
    return is_wide ? 16 + 8 * entries : 8 + 4 * entries;
}

static void
put_table(uint32_t at, uint32_t entries, uint32_t next)
{
    memset(block + at, 0, table_length(entries));
    memcpy(block + at, is_wide ? "ncm0" : "NCM0", 4);
    put(at + 4, table_length(entries), 2);
    put(at + (is_wide ? 8 : 6), next, is_wide ? 4 : 2);
}

static void
put_entry(uint32_t table, uint32_t n, uint32_t index, uint32_t length)
{
    const unsigned field = is_wide ? 4 : 2;
    put(table + table_length(n), index, field);
    put(table + table_length(n) + field, length, field);
}

static void
put_frame(uint32_t at, uint32_t size, uint8_t seed)
{
    for (uint32_t i = 0; i < size; i++)
        block[at + i] = (uint8_t)(seed + 7 * i);
}

/* Frames of 60 and 342 bytes, and their table behind them. */
enum { FIRST = 18, FIRST_BYTES = 60, SECOND = 82, SECOND_BYTES = 342, TABLE = 424 };

static uint32_t
good_block(uint32_t sequence)
{
    const uint32_t length = TABLE + table_length(3);
    memset(block, 0, sizeof block);
    put_header(sequence, length, TABLE);
    put_frame(FIRST, FIRST_BYTES, 1);
    put_frame(SECOND, SECOND_BYTES, 2);
    put_table(TABLE, 3, 0);
    put_entry(TABLE, 0, FIRST, FIRST_BYTES);
    put_entry(TABLE, 1, SECOND, SECOND_BYTES);
    return length;
}

/* ---- reading it ---- */

static void
begin(bool wide)
{
    is_wide = wide;
    receiver = (struct dx_ncm_receiver){.max_block = 16384, .max_frame = 1514};
    counters = (struct dx_nic_counters){0};
    expected = (struct reference){.max_block = 16384, .max_frame = 1514, .sequence = -1};
}

/* Gives a transfer to both readers, which must agree. @return how many frames it had. */
static unsigned
receive(const uint8_t *bytes, uint32_t size)
{
    uint8_t *const copy = malloc(size ? size : 1); // of the exact size: AddressSanitizer sees one byte too far
    cr_assert(copy != NULL);
    memcpy(copy, bytes, size);
    expected.frames = 0;
    reference_read(&expected, copy, size);

    const uint8_t *frame;
    uint32_t frame_size;
    unsigned frames = 0;
    dx_ncm_begin(&receiver, copy, size);
    while (dx_ncm_next(&receiver, &frame, &frame_size, &counters)) {
        cr_assert(lt(u32, frames, expected.frames));
        cr_assert(eq(u32, (uint32_t)(frame - copy), expected.at[frames]));
        cr_assert(eq(u32, frame_size, expected.size[frames]));
        frames++;
    }
    cr_assert(eq(u32, frames, expected.frames));
    cr_assert(not(dx_ncm_next(&receiver, &frame, &frame_size, &counters)), "it ends for good");
    cr_assert(eq(u64, counters.bad_headers, expected.bad_headers));
    cr_assert(eq(u64, counters.bad_lengths, expected.bad_lengths));
    cr_assert(eq(u64, counters.bad_sequences, expected.bad_sequences));
    free(copy);
    return frames;
}

/*
 * A transfer that has so many good frames, and what is counted of it; whatever it was, the block after it is
 * whole.
 */
static void
check(uint32_t size, unsigned frames, unsigned bad_headers, unsigned bad_lengths)
{
    const uint64_t headers = counters.bad_headers, lengths = counters.bad_lengths;
    cr_assert(eq(u32, receive(block, size), frames));
    cr_assert(eq(u64, counters.bad_headers - headers, bad_headers));
    cr_assert(eq(u64, counters.bad_lengths - lengths, bad_lengths));
    cr_assert(eq(u32, receive(block, good_block(0)), 2));
    cr_assert(eq(u64, counters.bad_headers - headers, bad_headers));
    cr_assert(eq(u64, counters.bad_lengths - lengths, bad_lengths));
}

/* The body runs for both formats. */
#define BOTH(name)                             \
    static void name##_body(void);             \
    Test(ncm_receive, name)                    \
    {                                          \
        for (int wide = 0; wide < 2; wide++) { \
            begin(wide);                       \
            name##_body();                     \
        }                                      \
    }                                          \
    static void name##_body(void)

BOTH(frames_are_delivered_in_the_order_of_the_table)
{
    const uint32_t size = good_block(0);
    cr_assert(eq(u32, receive(block, size), 2));
    cr_assert(eq(u32, expected.at[0], FIRST));
    cr_assert(eq(u32, expected.size[0], FIRST_BYTES));
    cr_assert(eq(u32, expected.at[1], SECOND));
    cr_assert(eq(u32, expected.size[1], SECOND_BYTES));
    cr_assert(eq(u64, counters.bad_headers + counters.bad_lengths + counters.bad_sequences, 0));
}

BOTH(a_table_right_behind_the_header_is_read)
{
    const uint32_t table = is_wide ? 16 : 12, frame = table + table_length(2);
    put_header(0, frame + 60, table);
    put_table(table, 2, 0);
    put_entry(table, 0, frame, 60);
    put_frame(frame, 60, 3);
    check(frame + 60, 1, 0, 0);
}

/* Case 1. */
BOTH(a_transfer_that_is_shorter_than_a_header_is_dropped)
{
    for (uint32_t size = 1; size < (is_wide ? 16u : 12u); size++) {
        (void)good_block(0);
        check(size, 0, 1, 0);
    }
}

BOTH(an_empty_transfer_is_nothing)
{
    check(0, 0, 0, 0);
}

BOTH(a_wrong_signature_is_dropped)
{
    for (uint32_t i = 0; i < 4; i++) {
        const uint32_t size = good_block(0);
        block[i] ^= 0x20; // the other format's letter
        check(size, 0, 1, 0);
    }
}

BOTH(a_wrong_header_length_is_dropped)
{
    static const uint32_t lengths[] = {0, 11, 13, 14, 65535};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const uint32_t size = good_block(0);
        put(4, lengths[i], 2);
        check(size, 0, 1, 0);
    }
    const uint32_t size = good_block(0);
    put(4, is_wide ? 12 : 16, 2); // the other format's
    check(size, 0, 1, 0);
}

/* Case 2. */
BOTH(a_block_beyond_the_transfer_is_dropped)
{
    const uint32_t size = good_block(0);
    put_header(0, size + 1, TABLE);
    check(size, 0, 1, 0);
    (void)good_block(0);
    check(size - 1, 0, 1, 0);
    (void)good_block(0);
    put_header(0, 65535, TABLE);
    check(size, 0, 1, 0);
}

BOTH(a_block_above_the_maximum_is_dropped)
{
    const uint32_t size = good_block(0);
    receiver.max_block = expected.max_block = size - 1;
    cr_assert(eq(u32, receive(block, size), 0));
    cr_assert(eq(u64, counters.bad_headers, 1));
    receiver.max_block = expected.max_block = size;
    cr_assert(eq(u32, receive(block, size), 2));
}

BOTH(a_block_without_a_length_goes_to_the_end_of_the_transfer)
{
    const uint32_t size = good_block(0);
    put(8, 0, is_wide ? 4 : 2);
    check(size, 2, 0, 0);
    (void)good_block(0);
    put(8, 0, is_wide ? 4 : 2);
    check(size + 1, 2, 0, 0);
    (void)good_block(0);
    put(8, 0, is_wide ? 4 : 2);
    check(16385, 0, 1, 0); // above the maximum
}

BOTH(a_block_too_short_for_a_header_and_a_table_is_dropped)
{
    const uint32_t least = is_wide ? 16 + 32 : 12 + 16;
    for (uint32_t length = 1; length < least; length++) {
        const uint32_t size = good_block(0);
        put_header(0, length, TABLE);
        check(size, 0, 1, 0);
    }
    put_header(0, least, least - table_length(2));
    put_table(least - table_length(2), 2, 0);
    check(least, 0, 0, 0); // the smallest one there is; it is empty
}

/* Case 3. */
BOTH(a_table_that_is_nowhere_it_can_be_is_dropped)
{
    const uint32_t size = good_block(0), header = is_wide ? 16 : 12;
    const uint32_t places[] = {0, 1, 4, header - 4, header - 1, TABLE + 1, TABLE + 2, size - table_length(2) + 4,
                               size - 4, size, size + 4, 16384, 65532, 65535};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        (void)good_block(0);
        put_header(0, size, places[i]);
        if (places[i] + table_length(2) <= size) // as it would be there; it is the place that is wrong
            memmove(block + places[i], block + TABLE, 4);
        put(4, header, 2);
        put(8, size, is_wide ? 4 : 2);
        put(is_wide ? 12 : 10, places[i], is_wide ? 4 : 2);
        cr_assert(eq(u32, receive(block, size), 0));
        cr_assert(eq(u64, counters.bad_headers, i + 1));
    }
    cr_assert(eq(u32, receive(block, good_block(0)), 2));
}

BOTH(a_table_that_is_not_aligned_is_dropped)
{
    for (uint32_t shift = 0; shift <= 8; shift++) {
        const uint32_t size = good_block(0) + shift;
        put_table(TABLE + shift, 3, 0);
        put_entry(TABLE + shift, 0, FIRST, FIRST_BYTES);
        put_header(0, size, TABLE + shift);
        check(size, shift % 4 == 0, shift % 4 != 0, 0);
    }
}

/* Case 4. */
BOTH(a_table_with_a_length_that_cannot_be_is_dropped)
{
    const uint32_t size = good_block(0), entry = is_wide ? 8 : 4;
    const uint32_t lengths[] = {0, 1, table_length(1), table_length(2) - 1, table_length(2) + 1,
                                table_length(2) + entry / 2, table_length(3) + entry, 65535, 65532, 65528};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        (void)good_block(0);
        put(TABLE + 4, lengths[i], 2);
        check(size, 0, 1, 0);
    }
}

BOTH(a_table_with_a_wrong_signature_is_dropped)
{
    for (uint32_t i = 0; i < 4; i++) {
        const uint32_t size = good_block(0);
        block[TABLE + i] ^= i < 3 ? 0x20 : 0x08;
        check(size, 0, 1, 0);
    }
}

/* Case 5. */
BOTH(a_table_that_names_itself_ends_the_tables)
{
    const uint32_t size = good_block(0);
    put(TABLE + (is_wide ? 8 : 6), TABLE, is_wide ? 4 : 2);
    check(size, 2, 1, 0);
}

/* Three tables in a row, with one frame each in front of them. */
static uint32_t
three_tables(uint32_t next_of_last, uint32_t ret_tables[3])
{
    memset(block, 0, sizeof block);
    for (uint32_t i = 0; i < 3; i++)
        ret_tables[i] = 400 + i * table_length(2);
    for (uint32_t i = 0; i < 3; i++) {
        put_frame(100 + 100 * i, 60, (uint8_t)i);
        put_table(ret_tables[i], 2, i < 2 ? ret_tables[i + 1] : next_of_last);
        put_entry(ret_tables[i], 0, 100 + 100 * i, 60);
    }
    const uint32_t size = 400 + 3 * table_length(2);
    put_header(0, size, 400);
    return size;
}

BOTH(a_chain_of_tables_is_followed)
{
    uint32_t tables[3];
    check(three_tables(0, tables), 3, 0, 0);
}

BOTH(a_chain_that_goes_back_ends_there)
{
    uint32_t tables[3];
    for (uint32_t back = 0; back < 3; back++) {
        (void)three_tables(0, tables);
        check(three_tables(tables[back], tables), 3, 1, 0);
    }
}

BOTH(tables_that_overlap_end_the_chain)
{
    uint32_t tables[3];
    (void)three_tables(0, tables);
    check(three_tables(tables[2] + 4, tables), 3, 1, 0);
}

BOTH(a_chain_of_thousands_is_cut)
{
    memset(block, 0, sizeof block);
    uint32_t at = is_wide ? 16 : 12, tables = 0;
    for (; at + table_length(2) <= 16384; at += table_length(2), tables++)
        put_table(at, 2, at + 2 * table_length(2) <= 16384 ? at + table_length(2) : 0);
    cr_assert(gt(u32, tables, 500));
    put_header(0, 16384, is_wide ? 16 : 12);
    check(16384, 0, 1, 0);
}

BOTH(as_many_tables_as_are_read_are_read)
{
    for (uint32_t count = DX_NCM_MAX_POINTERS; count <= DX_NCM_MAX_POINTERS + 1; count++) {
        memset(block, 0, sizeof block);
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t table = 4000 + i * table_length(2);
            put_table(table, 2, i + 1 < count ? table + table_length(2) : 0);
            put_entry(table, 0, 16 + 20 * i, 20);
        }
        put_header(0, 4000 + count * table_length(2), 4000);
        check(4000 + count * table_length(2), DX_NCM_MAX_POINTERS, count - DX_NCM_MAX_POINTERS, 0);
    }
}

/* Case 6. */
BOTH(a_datagram_outside_of_the_block_is_left_out)
{
    const uint32_t size = good_block(0);
    const uint32_t wrong[][2] = {
        {size, 60},          {size - 59, 60},   {size - 1, 14},       {65535, 65535}, {65535, 60},
        {FIRST, size},       {FIRST, 65535},    {1, 60},              {is_wide ? 15 : 11, 60},
        {is_wide ? 0xffffffff : 65535, 14},     {is_wide ? 0xfffffff0 : 65520, 60},
        {is_wide ? 0xffffffc4 : 65476, 60},     {FIRST, is_wide ? 0xffffffff : 65535},
        {60, is_wide ? 0xffffffc4 : 65476},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        (void)good_block(0);
        put_entry(TABLE, 0, wrong[i][0], wrong[i][1]);
        check(size, 1, 0, 1);
    }
}

BOTH(a_datagram_that_is_too_short_or_too_long_is_left_out)
{
    for (uint32_t length = 1; length < 14; length++) {
        const uint32_t size = good_block(0);
        put_entry(TABLE, 0, FIRST, length);
        check(size, 1, 0, 1);
    }
    const uint32_t size = good_block(0);
    put_entry(TABLE, 0, FIRST, 14);
    check(size, 2, 0, 0);
    for (uint32_t length = 1514; length < 1516; length++) {
        memset(block, 0, sizeof block);
        put_header(0, 2000, 1900);
        put_table(1900, 2, 0);
        put_entry(1900, 0, 20, length);
        check(2000, length == 1514, 0, length != 1514);
    }
}

BOTH(datagrams_that_overlap_are_delivered_once)
{
    const uint32_t size = good_block(0);
    put_entry(TABLE, 1, FIRST, FIRST_BYTES); // the same again
    check(size, 1, 0, 1);
    for (uint32_t shift = 1; shift < 60; shift += 29) {
        (void)good_block(0);
        put_entry(TABLE, 1, FIRST + shift, 60);
        check(size, 1, 0, 1);
    }
    (void)good_block(0);
    put_entry(TABLE, 1, FIRST + FIRST_BYTES, 60); // end to end
    check(size, 2, 0, 0);
    (void)good_block(0);
    put_entry(TABLE, 0, SECOND, SECOND_BYTES); // the later one first
    put_entry(TABLE, 1, FIRST, FIRST_BYTES);
    check(size, 2, 0, 0);
    (void)good_block(0);
    put_entry(TABLE, 0, SECOND, SECOND_BYTES);
    put_entry(TABLE, 1, FIRST, SECOND - FIRST + 1); // into it
    check(size, 1, 0, 1);
}

BOTH(a_datagram_over_a_table_is_left_out)
{
    uint32_t tables[3];
    const uint32_t size = good_block(0);
    put_entry(TABLE, 1, TABLE - 20, 40);
    check(size, 1, 0, 1);
    for (uint32_t i = 0; i < 3; i++) { // also over a table that is named later
        const uint32_t three = three_tables(0, tables);
        put_entry(tables[0], 0, tables[i], 14);
        check(three, 2, 0, 1);
    }
}

BOTH(thousands_of_entries_for_the_same_bytes_deliver_one_frame)
{
    memset(block, 0, sizeof block);
    const uint32_t entries = 1500, table = 1600;
    put_table(table, entries, 0);
    for (uint32_t i = 0; i + 1 < entries; i++)
        put_entry(table, i, 20, 1514);
    put_header(0, table + table_length(entries), table);
    check(table + table_length(entries), 1, 0, entries - 2);
}

/* Case 7. */
BOTH(a_table_without_an_end_is_read_to_its_length)
{
    (void)good_block(0);
    put_table(TABLE, 2, 0);
    put_entry(TABLE, 0, FIRST, FIRST_BYTES);
    put_entry(TABLE, 1, SECOND, SECOND_BYTES);
    put_header(0, TABLE + table_length(2), TABLE);
    check(TABLE + table_length(2), 2, 0, 0);
}

BOTH(half_an_end_is_an_end_and_counted)
{
    for (int is_index = 0; is_index < 2; is_index++) {
        const uint32_t size = good_block(0);
        put_entry(TABLE, 0, is_index ? FIRST : 0, is_index ? 0 : FIRST_BYTES);
        check(size, 0, 0, 1);
    }
}

BOTH(entries_behind_the_end_are_not_read)
{
    const uint32_t size = good_block(0);
    put_entry(TABLE, 0, 0, 0);
    check(size, 0, 0, 0);
    (void)good_block(0);
    put_entry(TABLE, 1, 0, 0);
    put_entry(TABLE, 2, SECOND, SECOND_BYTES);
    check(size, 1, 0, 0);
}

/* Case 8. */
BOTH(a_table_of_the_other_CRC_mode_is_dropped)
{
    const uint32_t size = good_block(0);
    block[TABLE + 3] = '1';
    check(size, 0, 1, 0);
    receiver.has_crc = expected.has_crc = true;
    cr_assert(eq(u32, receive(block, good_block(0)), 0));
    cr_assert(eq(u64, counters.bad_headers, 2));
}

BOTH(in_CRC_mode_frames_come_without_their_CRC_and_wrong_ones_do_not_come)
{
    cr_assert(eq(u32, reference_crc((const uint8_t *)"123456789", 9), 0xcbf43926)); // the catalogue's check value
    receiver.has_crc = expected.has_crc = true;
    const uint32_t size = good_block(0);
    block[TABLE + 3] = '1';
    put(FIRST + FIRST_BYTES - 4, reference_crc(block + FIRST, FIRST_BYTES - 4), 4);
    put(SECOND + SECOND_BYTES - 4, reference_crc(block + SECOND, SECOND_BYTES - 4), 4);
    cr_assert(eq(u32, receive(block, size), 2));
    cr_assert(eq(u32, expected.size[0], FIRST_BYTES - 4));
    block[FIRST] ^= 1;
    cr_assert(eq(u32, receive(block, size), 1));
    cr_assert(eq(u64, counters.bad_lengths, 1));
    put_entry(TABLE, 0, FIRST, 17); // less than a frame and its CRC
    cr_assert(eq(u32, receive(block, size), 1));
    cr_assert(eq(u64, counters.bad_lengths, 2));
}

BOTH(in_CRC_mode_a_frame_may_be_as_long_as_without)
{
    static const uint32_t lengths[] = {13, 14, 1514, 1515};
    receiver.has_crc = expected.has_crc = true;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memset(block, 0, sizeof block);
        put_header(0, 2000, 1900);
        put_table(1900, 2, 0);
        block[1903] = '1';
        put_entry(1900, 0, 20, lengths[i] + 4);
        put(20 + lengths[i], reference_crc(block + 20, lengths[i]), 4);
        cr_assert(eq(u32, receive(block, 2000), lengths[i] == 14 || lengths[i] == 1514));
    }
    cr_assert(eq(u64, counters.bad_lengths, 2));
}

/* Case 9. */
BOTH(gaps_and_repetitions_of_the_sequence_are_counted_and_lose_nothing)
{
    static const uint32_t sequences[] = {65534, 65535, 0, 1, 1, 2, 5, 4};
    static const unsigned bad[] = {0, 0, 0, 0, 1, 1, 2, 3};
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
        cr_assert(eq(u32, receive(block, good_block(sequences[i])), 2));
        cr_assert(eq(u64, counters.bad_sequences, bad[i]));
    }
    dx_ncm_reset(&receiver);
    expected.sequence = -1;
    cr_assert(eq(u32, receive(block, good_block(77)), 2));
    cr_assert(eq(u64, counters.bad_sequences, 3));
}

/* Case 10. */
BOTH(bytes_behind_a_block_are_none)
{
    for (uint32_t more = 1; more < 600; more += 13) {
        const uint32_t size = good_block(0);
        check(size + more, 2, 0, 0);
    }
    const uint32_t size = good_block(0);
    memset(block + size, 0xff, 100);
    check(size + 100, 2, 0, 0);
}

BOTH(two_blocks_in_a_transfer_are_two_blocks)
{
    static uint8_t both[4096];
    const uint32_t size = good_block(0);
    memcpy(both, block, size);
    (void)good_block(1);
    memcpy(both + size, block, size);
    cr_assert(eq(u32, receive(both, 2 * size), 4));
    cr_assert(eq(u32, receive(both, 2 * size + 1), 4));
    both[size + 4]++; // of the second one's header
    cr_assert(eq(u32, receive(both, 2 * size), 2));
    cr_assert(eq(u64, counters.bad_headers, 1));
}

Test(ncm_receive, each_block_has_the_format_that_its_signature_says)
{
    static uint8_t both[4096];
    begin(false);
    const uint32_t narrow = good_block(0);
    memcpy(both, block, narrow);
    is_wide = true;
    const uint32_t wide = good_block(1);
    memcpy(both + narrow, block, wide);
    cr_assert(eq(u32, receive(both, narrow + wide), 4));
    cr_assert(eq(u64, counters.bad_sequences, 0));
}

static uint32_t
next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Values that fields have at their edges, and any others. */
static uint32_t
odd_value(uint32_t *state, uint32_t size)
{
    const uint32_t values[] = {0, 1, 4, 12, 13, 14, 16, 28, 32, size - 1, size, size + 1, 0x7fff, 0x8000, 0xffff,
                               0x10000, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff, next_random(state) % 600};
    return values[next_random(state) % (sizeof values / sizeof values[0])];
}

BOTH(whatever_is_broken_both_readers_agree)
{
    uint32_t state = is_wide ? 1 : 2;
    for (unsigned round = 0; round < 60000; round++) {
        uint32_t tables[3];
        uint32_t size = round % 2 ? good_block(round) : three_tables(0, tables);
        for (uint32_t i = next_random(&state) % 4; i > 0; i--)
            put(next_random(&state) % (size - 4), odd_value(&state, size), 1u << next_random(&state) % 3);
        if (next_random(&state) % 8 == 0)
            size = next_random(&state) % size;
        (void)receive(block, size);
    }
    cr_assert(gt(u64, counters.bad_headers, 1000));
    cr_assert(gt(u64, counters.bad_lengths, 1000));
}

/* ---- parameters ---- */

static uint8_t told[28];

static void
tell(uint32_t at, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        told[at + i] = (uint8_t)(value >> 8 * i);
}

static struct dx_ncm_parameters
parameters_of(uint32_t out_max, uint32_t divisor, uint32_t remainder, uint32_t alignment, uint32_t datagrams)
{
    tell(0, 28, 2);
    tell(2, 3, 2);
    tell(4, 16384, 4);
    tell(16, out_max, 4);
    tell(20, divisor, 2);
    tell(22, remainder, 2);
    tell(24, alignment, 2);
    tell(26, datagrams, 2);
    return dx_ncm_read_parameters(told, 1514);
}

Test(ncm_parameters, those_of_the_Linux_gadget_are_taken_as_they_are)
{
    const struct dx_ncm_parameters p = parameters_of(16384, 4, 0, 4, 0);
    cr_assert(p.has_ntb16 && p.has_ntb32);
    cr_assert(eq(u32, p.in_max, 16384));
    cr_assert(eq(u32, p.out_max, 16384));
    cr_assert(eq(u32, p.divisor, 4));
    cr_assert(eq(u32, p.remainder, 0));
    cr_assert(eq(u32, p.alignment, 4));
    cr_assert(eq(u32, p.out_datagrams, 40));
}

Test(ncm_parameters, numbers_that_cannot_be_are_replaced)
{
    /* out_max, divisor, remainder, alignment, datagrams; and what is made of them. */
    static const uint32_t cases[][10] = {
        {0, 4, 0, 4, 0, 16384, 4, 0, 4, 40},          // 0: no limit
        {1, 4, 0, 4, 0, 2048, 4, 0, 4, 40},           // less than any device takes
        {2047, 4, 0, 4, 0, 2048, 4, 0, 4, 40},
        {2049, 4, 0, 4, 0, 2049, 4, 0, 4, 40},
        {0xffffffff, 4, 0, 4, 0, 16384, 4, 0, 4, 40},
        {8192, 0, 0, 0, 0, 8192, 4, 0, 4, 40},        // divisors of 0
        {8192, 3, 0, 3, 0, 8192, 4, 0, 4, 40},        // no powers of two
        {8192, 2, 1, 1, 0, 8192, 4, 1, 4, 40},        // less than 4
        {8192, 12, 0, 20, 0, 8192, 4, 0, 4, 40},
        {8192, 4, 4, 4, 0, 8192, 4, 0, 4, 40},        // remainder not below the divisor
        {8192, 32, 31, 64, 0, 8192, 32, 31, 64, 40},
        {8192, 32, 65535, 64, 0, 8192, 32, 0, 64, 40},
        {2048, 1024, 3, 4, 0, 2048, 4, 0, 4, 40},     // no frame would fit
        {2048, 4, 0, 2048, 0, 2048, 4, 0, 4, 40},
        {16384, 32768, 7, 32768, 0, 16384, 4, 0, 4, 40},
        {8192, 4, 0, 4, 1, 8192, 4, 0, 4, 1},
        {8192, 4, 0, 4, 40, 8192, 4, 0, 4, 40},
        {8192, 4, 0, 4, 41, 8192, 4, 0, 4, 40},
        {8192, 4, 0, 4, 65535, 8192, 4, 0, 4, 40},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint32_t *const c = cases[i];
        const struct dx_ncm_parameters p = parameters_of(c[0], c[1], c[2], c[3], c[4]);
        cr_expect(eq(u32, p.out_max, c[5]), "case %zu", i);
        cr_expect(eq(u32, p.divisor, c[6]), "case %zu", i);
        cr_expect(eq(u32, p.remainder, c[7]), "case %zu", i);
        cr_expect(eq(u32, p.alignment, c[8]), "case %zu", i);
        cr_expect(eq(u32, p.out_datagrams, c[9]), "case %zu", i);
    }
}

/* ---- sending ---- */

static struct dx_ncm_sender sender;
static uint8_t frames[64][1600];
static const uint8_t *pointers[64];
static uint32_t sizes[64];
static uint8_t sent[ROOM];

static void
begin_sending(bool wide, uint32_t out_max, uint32_t divisor, uint32_t remainder, uint32_t alignment)
{
    begin(wide);
    sender = (struct dx_ncm_sender){
        .parameters = parameters_of(out_max, divisor, remainder, alignment, 0),
        .max_frame = 1514,
        .packet = 512,
        .is_ntb32 = wide,
    };
    for (unsigned i = 0; i < 64; i++) {
        pointers[i] = frames[i];
        for (unsigned at = 0; at < sizeof frames[i]; at++)
            frames[i][at] = (uint8_t)(i + 3 * at + 1);
    }
}

static uint32_t
send_frames(uint32_t count, uint32_t *ret_size)
{
    uint8_t *const copy = malloc(sender.parameters.out_max); // of the exact size
    cr_assert(copy != NULL);
    memset(copy, 0xee, sender.parameters.out_max);
    const uint32_t taken = dx_ncm_send(&sender, pointers, sizes, count, copy, ret_size);
    if (taken) {
        cr_assert(le(u32, *ret_size, sender.parameters.out_max));
        memcpy(sent, copy, *ret_size);
    }
    free(copy);
    return taken;
}

/* Reads what was sent as a device does that is as strict as the specification lets it be. */
static void
check_sent(uint32_t size, uint32_t taken, uint32_t sequence)
{
    static uint8_t known[ROOM];
    const unsigned field = is_wide ? 4 : 2, header = is_wide ? 16 : 12, more = sender.has_crc ? 4 : 0;
    const struct dx_ncm_parameters *const p = &sender.parameters;
    expected.has_crc = sender.has_crc;
    expected.max_block = p->out_max;
    expected.frames = expected.bad_headers = expected.bad_lengths = 0;
    reference_read(&expected, sent, size);
    cr_assert(eq(u32, expected.bad_headers + expected.bad_lengths, 0));
    cr_assert(eq(u32, expected.frames, taken));
    cr_assert(eq(u64, reference_number(sent + 6, 2), sequence & 0xffff));
    cr_assert(eq(u64, reference_number(sent + 8, field), size));
    cr_assert(ne(u32, size % sender.packet, 0));

    const uint32_t table = (uint32_t)reference_number(sent + 8 + field, field);
    const uint32_t length = (uint32_t)reference_number(sent + table + 4, 2);
    cr_assert(eq(u32, table % p->alignment, 0));
    cr_assert(eq(u32, length, table_length(taken + 1)));
    memset(known, 0, sizeof known);
    memset(known, 1, header);
    memset(known + table, 1, length);
    for (uint32_t i = 0; i < taken; i++) {
        cr_assert(eq(u32, expected.size[i], sizes[i]));
        cr_assert(eq(u32, (expected.at[i] + 14) % p->divisor, p->remainder));
        cr_assert(zero(i32, memcmp(sent + expected.at[i], frames[i], sizes[i])));
        memset(known + expected.at[i], 1, sizes[i] + more);
    }
    for (uint32_t i = 0; i < size; i++)
        cr_assert(known[i] || !sent[i], "byte %u between the frames is %u", i, sent[i]);
}

/*
 * The whole block by hand: a header of 12, the frame at 2 modulo 4 for its payload at 28, its table at the next
 * multiple of 4.
 */
Test(ncm_send, one_frame_is_laid_out_as_the_specification_has_it)
{
    begin_sending(false, 16384, 4, 0, 4);
    static const uint8_t head[] = {'N', 'C', 'M', 'H', 12, 0, 0x34, 0x12, 92, 0, 76, 0, 0, 0};
    static const uint8_t table[] = {0, 0, 'N', 'C', 'M', '0', 16, 0, 0, 0, 14, 0, 60, 0, 0, 0, 0, 0};
    uint32_t size;
    sender.sequence = 0x1234;
    sizes[0] = 60;
    cr_assert(eq(u32, send_frames(1, &size), 1));
    cr_assert(eq(u32, size, 92));
    cr_assert(zero(i32, memcmp(sent, head, sizeof head)));
    cr_assert(zero(i32, memcmp(sent + 14, frames[0], 60)));
    cr_assert(zero(i32, memcmp(sent + 74, table, sizeof table)));
}

Test(ncm_send, one_frame_in_NTB_32_is_laid_out_as_the_specification_has_it)
{
    begin_sending(true, 16384, 4, 0, 4);
    static const uint8_t head[] = {'n', 'c', 'm', 'h', 16, 0, 0, 0, 112, 0, 0, 0, 80, 0, 0, 0, 0, 0};
    static const uint8_t table[] = {0, 0, 'n', 'c', 'm', '0', 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                    18, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    uint32_t size;
    sizes[0] = 60;
    cr_assert(eq(u32, send_frames(1, &size), 1));
    cr_assert(eq(u32, size, 112));
    cr_assert(zero(i32, memcmp(sent, head, sizeof head)));
    cr_assert(zero(i32, memcmp(sent + 18, frames[0], 60)));
    cr_assert(zero(i32, memcmp(sent + 78, table, sizeof table)));
}

Test(ncm_send, every_size_alignment_and_remainder_is_kept_to)
{
    static const uint32_t cases[][3] = {
        {4, 0, 4}, {4, 3, 8}, {32, 0, 16}, {32, 14, 4}, {64, 63, 256}, {512, 5, 4}, {1024, 0, 1024},
    };
    uint32_t sequence = 0;
    for (int wide = 0; wide < 2; wide++) {
        for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
            begin_sending(wide, 16384, cases[c][0], cases[c][1], cases[c][2]);
            cr_assert(eq(u32, sender.parameters.divisor, cases[c][0]));
            sequence = 0;
            for (uint32_t first = 14; first <= 1514; first += 3, sequence++) {
                uint32_t size;
                sender.has_crc = first % 2;
                sizes[0] = first;
                sizes[1] = 1528 - first;
                sizes[2] = 60;
                const uint32_t count = 1 + first % 3;
                cr_assert(eq(u32, send_frames(count, &size), count));
                check_sent(size, count, sequence);
            }
        }
    }
}

Test(ncm_send, a_block_never_ends_with_a_packet)
{
    static const uint32_t packets[] = {64, 512, 1024};
    for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++) {
        unsigned padded = 0;
        begin_sending(false, 16384, 4, 0, 4);
        sender.packet = packets[i];
        for (uint32_t first = 14; first <= 1514; first++) {
            uint32_t size;
            sizes[0] = first;
            cr_assert(eq(u32, send_frames(1, &size), 1));
            check_sent(size, 1, first - 14);
            const uint32_t table = (14 + first + 3) / 4 * 4;
            const bool is_whole = (table + 16) % packets[i] == 0;
            cr_assert(eq(u32, size, table + 16 + is_whole));
            padded += is_whole;
        }
        cr_assert(gt(u32, padded, 0));
    }
}

/* How many frames of one size go into a block, by adding them up one by one. */
static uint32_t
count_fitting(uint32_t out_max, uint32_t size)
{
    uint32_t end = 12, count = 0;
    for (;;) {
        uint32_t at = end;
        while ((at + 14) % 4 != 0)
            at++;
        uint32_t table = at + size;
        while (table % 4 != 0)
            table++;
        if (table + 8 + 4 * (count + 2) > out_max - 1) // the byte that may have to end it
            return count;
        end = at + size;
        count++;
    }
}

Test(ncm_send, what_is_there_goes_into_one_block_as_far_as_it_fits)
{
    static const uint32_t maxima[] = {2048, 4096, 5000, 16384};
    for (size_t m = 0; m < sizeof maxima / sizeof maxima[0]; m++) {
        for (uint32_t each = 60; each <= 1514; each += 97) {
            begin_sending(false, maxima[m], 4, 0, 4);
            for (unsigned i = 0; i < 64; i++)
                sizes[i] = each;
            uint32_t fitting = count_fitting(maxima[m], each);
            fitting = fitting < 40 ? fitting : 40;
            uint32_t size;
            cr_assert(eq(u32, send_frames(64, &size), fitting));
            check_sent(size, fitting, 0);
            cr_assert(eq(u32, send_frames(fitting - 1, &size), fitting - 1));
        }
    }
}

Test(ncm_send, no_more_datagrams_than_the_device_takes)
{
    begin_sending(false, 16384, 4, 0, 4);
    sender.parameters = parameters_of(16384, 4, 0, 4, 3);
    for (unsigned i = 0; i < 64; i++)
        sizes[i] = 60;
    uint32_t size;
    cr_assert(eq(u32, send_frames(64, &size), 3));
    check_sent(size, 3, 0);
}

Test(ncm_send, a_frame_that_cannot_be_sent_ends_the_block_before_it)
{
    static const uint32_t wrong[] = {0, 13, 1515, 65535, 0xffffffff};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        begin_sending(false, 16384, 4, 0, 4);
        uint32_t size;
        sizes[0] = 60;
        sizes[1] = wrong[i];
        sizes[2] = 60;
        cr_assert(eq(u32, send_frames(3, &size), 1));
        check_sent(size, 1, 0);
        sizes[0] = wrong[i];
        cr_assert(eq(u32, send_frames(3, &size), 0));
        sizes[0] = 60;
        cr_assert(eq(u32, send_frames(1, &size), 1));
        check_sent(size, 1, 1); // no number was used up
    }
    uint32_t size;
    cr_assert(eq(u32, send_frames(0, &size), 0));
}

Test(ncm_send, the_sequence_wraps_at_16_bits)
{
    begin_sending(false, 16384, 4, 0, 4);
    uint32_t size;
    sizes[0] = 60;
    sender.sequence = 65535;
    cr_assert(eq(u32, send_frames(1, &size), 1));
    check_sent(size, 1, 65535);
    cr_assert(eq(u32, send_frames(1, &size), 1));
    check_sent(size, 1, 0);
}

/* What one side sends the other one reads. */
Test(ncm_send, what_is_sent_is_received)
{
    for (int wide = 0; wide < 2; wide++) {
        begin_sending(wide, 16384, 32, 5, 16);
        for (unsigned i = 0; i < 64; i++)
            sizes[i] = 60 + 23 * i;
        uint32_t size;
        const uint32_t taken = send_frames(64, &size);
        cr_assert(eq(u32, receive(sent, size), taken));
        for (uint32_t i = 0; i < taken; i++)
            cr_assert(zero(i32, memcmp(sent + expected.at[i], frames[i], sizes[i])));
    }
}
