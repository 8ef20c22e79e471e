// SPDX-License-Identifier: MIT
// The AX88772's streams against a second reader (ax88772_reference.h) and against the tables of its data sheet.

#include "backends/usb/ax88772_framing.h"
#include "tests/usb/ax88772_reference.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_ROOM = 1 << 20, BURST = 2048 };

/* Each test runs in a process of its own. */
static struct dx_ax88772_receiver receiver;
static struct dx_nic_counters counters;
static struct frame_list got, expected;
static uint8_t stream[STREAM_ROOM];
static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint32_t
random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % limit;
}

static uint64_t
value(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* In memory of exactly its size: a byte too far is seen. */
static void
receive(const uint8_t *data, uint32_t size)
{
    uint8_t *const copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    const uint8_t *frame;
    uint32_t frame_size;
    dx_ax88772_begin(&receiver, copy, size, &counters);
    while (dx_ax88772_next(&receiver, &frame, &frame_size, &counters))
        frame_list_add(&got, frame, frame_size);
    free(copy);
}

static void
begin_again(void)
{
    memset(&receiver, 0, sizeof receiver);
    memset((void *)&counters, 0, sizeof counters);
    frame_list_clear(&got);
}

static void
expect_of_stream(uint32_t size)
{
    struct reference reference = {.state = REFERENCE_HEADER};
    frame_list_clear(&expected);
    for (uint32_t i = 0; i < size; i++)
        reference_take(&reference, stream[i], &expected);
}

/* A frame whose last four bytes are a sum of the others; the first four number it. */
static uint32_t
make_frame(uint8_t *frame, uint32_t number, uint32_t size)
{
    for (uint32_t i = 4; i < size - 4; i++)
        frame[i] = (uint8_t)random_below(256);
    memcpy(frame, &number, 4);
    uint32_t sum = 0x811c9dc5;
    for (uint32_t i = 0; i < size - 4; i++)
        sum = (sum ^ frame[i]) * 0x01000193;
    memcpy(frame + size - 4, &sum, 4);
    return size;
}

static bool
frame_is_good(const uint8_t *frame, uint32_t size)
{
    uint32_t sum = 0x811c9dc5, there;
    for (uint32_t i = 0; i < size - 4; i++)
        sum = (sum ^ frame[i]) * 0x01000193;
    memcpy(&there, frame + size - 4, 4);
    return sum == there;
}

/* A frame of bytes that count up from one. */
static uint32_t
put_counting(uint32_t at, uint8_t first, uint32_t size)
{
    uint8_t frame[DX_AX88772_MAX_LENGTH];
    for (uint32_t i = 0; i < size; i++)
        frame[i] = (uint8_t)(first + i);
    return reference_put(stream, at, 0, frame, size);
}

static uint32_t
put_word(uint32_t at, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++)
        stream[at + i] = (uint8_t)(word >> 8 * i);
    return at + 4;
}

static uint32_t
put_random(uint32_t at, uint32_t number)
{
    uint8_t frame[DX_FRAME_MAX];
    const uint32_t size = random_below(4) ? 18 + random_below(400) : 18 + random_below(DX_FRAME_MAX - 17);
    return reference_put(stream, at, 0, frame, make_frame(frame, number, size));
}

#define EXPECT_SAME(...)                                                               \
    do {                                                                               \
        cr_assert(frame_list_equal(&got, &expected), "%u frames, not %u " __VA_ARGS__, \
                  (unsigned)got.count, (unsigned)expected.count);                      \
    } while (0)

/* ---- whole streams ---- */

Test(ax88772_framing, the_stream_of_the_table_is_read)
{
    /* 60 bytes: 3c 00 and its complement c3 ff; 15 bytes with a pad. */
    static const uint8_t head_60[4] = {0x3c, 0x00, 0xc3, 0xff}, head_15[4] = {0x0f, 0x00, 0xf0, 0xff};
    memcpy(stream, head_60, 4);
    memset(stream + 4, 0xa5, 60);
    memcpy(stream + 64, head_15, 4);
    memset(stream + 68, 0x5a, 15);
    stream[83] = 0xee;
    receive(stream, 84);
    cr_assert(eq(u32, got.count, 2));
    cr_assert(eq(u32, got.sizes[0], 60));
    cr_assert(eq(u32, got.sizes[1], 15));
    cr_assert(got.bytes[0] == 0xa5 && got.bytes[59] == 0xa5 && got.bytes[60] == 0x5a && got.bytes[74] == 0x5a);
    cr_assert(eq(u64, value(&counters.lost_sync), 0));
}

static uint32_t
put_some_frames(void)
{
    static const uint32_t sizes[] = {60, 61, 14, 15, 1518, 1517, 342, 90, 255, 256, 257, 511, 512};
    uint32_t at = 0;
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        at = put_counting(at, (uint8_t)(17 * i), sizes[i]);
    return at;
}

Test(ax88772_framing, a_stream_survives_a_cut_at_every_offset)
{
    const uint32_t size = put_some_frames();
    expect_of_stream(size);
    cr_assert(eq(u32, expected.count, 13));
    for (uint32_t cut = 0; cut <= size; cut++) {
        begin_again();
        receive(stream, cut);
        receive(stream + cut, size - cut);
        EXPECT_SAME("at a cut at %u", cut);
        cr_assert(eq(u64, value(&counters.lost_sync), 0));
    }
}

Test(ax88772_framing, a_stream_survives_two_cuts_at_every_pair_of_offsets)
{
    uint32_t size = put_counting(0, 1, 61);
    size = put_counting(size, 2, 14);
    size = put_word(size, 0xffff0000);
    size = put_counting(size, 3, 15);
    size = put_counting(size, 4, 60);
    expect_of_stream(size);
    for (uint32_t first = 0; first <= size; first++) {
        for (uint32_t second = first; second <= size; second++) {
            begin_again();
            receive(stream, first);
            receive(stream + first, second - first);
            receive(stream + second, size - second);
            EXPECT_SAME("at cuts at %u and %u", first, second);
        }
    }
}

Test(ax88772_framing, a_stream_may_come_in_pieces_of_any_one_size)
{
    const uint32_t size = put_some_frames();
    expect_of_stream(size);
    for (uint32_t piece = 1; piece <= 2100; piece++) {
        begin_again();
        for (uint32_t at = 0; at < size; at += piece)
            receive(stream + at, piece < size - at ? piece : size - at);
        EXPECT_SAME("in pieces of %u", piece);
    }
}

Test(ax88772_framing, random_streams_survive_random_cuts)
{
    for (unsigned round = 0; round < 400; round++) {
        uint32_t size = 0;
        for (uint32_t number = 0; number < 60; number++) {
            size = put_random(size, number);
            if (random_below(8) == 0)
                size = put_word(size, 0xffff0000);
        }
        expect_of_stream(size);
        begin_again();
        const uint32_t longest = 1 + random_below(3000);
        for (uint32_t at = 0; at < size;) {
            const uint32_t wanted = random_below(longest + 1), piece = wanted < size - at ? wanted : size - at;
            receive(stream + at, piece);
            at += piece;
        }
        EXPECT_SAME("in round %u", round);
        cr_assert(eq(u64, value(&counters.lost_sync), 0));
    }
}

/* What a sender puts into its payload must not become a frame: cut as the chip does, where its buffer is full. */
Test(ax88772_framing, a_payload_full_of_headers_stays_a_payload)
{
    for (unsigned round = 0; round < 200; round++) {
        uint8_t frame[DX_FRAME_MAX];
        uint32_t size = 0;
        for (unsigned i = 0; i < 40; i++) {
            const uint32_t length = DX_FRAME_MIN + random_below(DX_FRAME_MAX - DX_FRAME_MIN + 1);
            const uint32_t inner = 14 + random_below(100), shift = random_below(4);
            memset(frame, 0x77, sizeof frame);
            for (uint32_t at = shift; at + 4 + inner <= length; at += 4 + inner + inner % 2)
                (void)reference_put(frame, at, 0, stream + sizeof stream - 4096, inner);
            size = reference_put(stream, size, 0, frame, length);
        }
        expect_of_stream(size);
        begin_again();
        for (uint32_t at = 0; at < size; at += BURST)
            receive(stream + at, BURST < size - at ? BURST : size - at);
        EXPECT_SAME("in round %u", round);
    }
}

/* ---- what a driver must survive, by the number of usb-ethernet's list ---- */

Test(ax88772_framing, case_1_a_word_whose_halves_disagree_ends_what_is_known)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        if (bit % 16 > 10)
            continue; // those are flags
        begin_again();
        uint32_t size = put_counting(0, 1, 60);
        const uint32_t bad = size;
        size = put_counting(size, 2, 60);
        size = put_counting(size, 3, 60);
        size = put_counting(size, 4, 60);
        stream[bad + bit / 8] ^= (uint8_t)(1u << bit % 8);
        receive(stream, size);
        cr_assert(eq(u32, got.count, 3)); // found again within the transfer
        cr_assert(got.bytes[0] == 1 && got.bytes[60] == 3 && got.bytes[120] == 4);
        cr_assert(eq(u64, value(&counters.bad_headers), 1));
        cr_assert(eq(u64, value(&counters.lost_sync), 1));
        receive(stream, 64);
        cr_assert(eq(u32, got.count, 4));
    }
}

Test(ax88772_framing, case_1_a_length_that_no_frame_has_costs_that_frame)
{
    static const uint32_t lengths[] = {1, 2, 13, 1519, 1520, 2000, 2046, 2047};
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (unsigned is_cut = 0; is_cut < 2; is_cut++) {
            begin_again();
            uint32_t size = put_counting(0, 1, 60);
            size = put_counting(size, 2, lengths[i]);
            size = put_counting(size, 3, 61);
            const uint32_t second = size;
            size = put_counting(size, 4, 62);
            if (is_cut) {
                receive(stream, 70);
                receive(stream + 70, second - 70);
                receive(stream + second, size - second);
            } else {
                receive(stream, size);
            }
            cr_assert(eq(u32, got.count, 3));
            cr_assert(got.bytes[0] == 1 && got.bytes[60] == 3 && got.bytes[121] == 4);
            cr_assert(eq(u64, value(&counters.bad_lengths), 1));
        }
    }
}

Test(ax88772_framing, case_1_a_length_of_0_is_padding)
{
    uint32_t size = put_word(0, 0xffff0000);
    size = put_counting(size, 1, 60);
    size = put_word(size, 0xffff0000);
    size = put_word(size, 0xffff0000);
    size = put_counting(size, 2, 60);
    receive(stream, size);
    cr_assert(eq(u32, got.count, 2));
    cr_assert(eq(u64, value(&counters.bad_headers) + value(&counters.bad_lengths), 0));
    cr_assert(eq(u64, value(&counters.lost_sync), 0));
}

Test(ax88772_framing, case_1_a_length_beyond_everything_does_not_swallow_the_next_transfer)
{
    (void)put_word(0, 0xf80007ff); // 2047
    memset(stream + 4, 0, 100);
    receive(stream, 104);
    const uint32_t size = put_counting(0, 7, 60);
    receive(stream, size);
    cr_assert(eq(u32, got.count, 1));
    cr_assert(eq(u64, value(&counters.bad_lengths), 1));
}

Test(ax88772_framing, case_2_a_header_may_be_split_anywhere)
{
    for (uint32_t split = 1; split < 4; split++) {
        begin_again();
        uint32_t size = put_counting(0, 1, 60);
        size = put_counting(size, 2, 60);
        receive(stream, 64 + split);
        cr_assert(eq(u32, got.count, 1)); // the first does not wait for the second
        receive(stream + 64 + split, size - 64 - split);
        cr_assert(eq(u32, got.count, 2));
        cr_assert(got.bytes[60] == 2);
    }
}

Test(ax88772_framing, case_3_a_pad_byte_may_be_missing_at_the_end_of_a_transfer)
{
    for (uint32_t next = 0; next < 5; next++) { // what comes first of the next transfer
        begin_again();
        uint32_t size = put_counting(0, 1, 61);
        receive(stream, size - 1); // all but the pad
        cr_assert(eq(u32, got.count, 1));
        size = put_counting(0, 2, 63);
        receive(stream, next);
        receive(stream + next, size - next);
        cr_assert(eq(u32, got.count, 2));
        cr_assert(got.bytes[61] == 2);
        cr_assert(eq(u64, value(&counters.lost_sync), 0));
    }
}

Test(ax88772_framing, case_3_a_pad_byte_may_come_with_the_next_transfer)
{
    for (uint32_t next = 0; next < 6; next++) {
        begin_again();
        uint32_t size = put_counting(0, 1, 61);
        size = put_counting(size, 2, 60);
        receive(stream, 65);
        cr_assert(eq(u32, got.count, 1));
        receive(stream + 65, next);
        receive(stream + 65 + next, size - 65 - next);
        cr_assert(eq(u32, got.count, 2));
        cr_assert(got.bytes[61] == 2);
    }
}

Test(ax88772_framing, case_4_transfers_without_a_frame_do_no_harm)
{
    uint32_t padding = 0;
    while (padding < 512)
        padding = put_word(padding, 0xffff0000);
    receive(stream, padding);
    cr_assert(eq(u64, value(&counters.bad_headers), 0));
    for (uint32_t size = 0; size < 4; size++) {
        memset(stream, 0xab, 4);
        receive(stream, size);
        const uint32_t good = put_counting(0, (uint8_t)size, 60);
        receive(stream, good);
        receive(stream, good);
        cr_assert(eq(u32, got.count, 2 * (size + 1)), "after a transfer of %u bytes", size);
    }
}

Test(ax88772_framing, case_5_a_rest_that_does_not_come_costs_one_frame)
{
    uint32_t size = put_counting(0, 1, 1000);
    receive(stream, 504);
    for (unsigned i = 0; i < 3; i++) { // none of them is as long as the rest
        size = put_counting(0, (uint8_t)(10 + i), 100);
        receive(stream, size);
        cr_assert(eq(u32, got.count, 1 + i));
        cr_assert(got.bytes[100 * i] == 10 + i);
    }
    cr_assert(eq(u64, value(&counters.lost_sync), 1));
    cr_assert(eq(u64, value(&counters.bad_lengths), 1));
}

/* A frame that was begun, the rest of a lost one, and one whose chunk has just the size of what is missing. */
Test(ax88772_framing, case_5_a_short_transfer_ends_what_the_next_one_does_not_continue)
{
    for (uint32_t there = 100; there < 104; there++) {
        begin_again();
        put_counting(0, 1, 600);
        receive(stream, there);
        put_counting(0, 2, 600);
        receive(stream + 300, 108);
        const uint32_t size = put_counting(0, 3, 604 - there - 108 - 4);
        receive(stream, size);
        cr_assert(eq(u32, got.count, 1), "%u bytes of the first", there);
        cr_assert(eq(u32, got.sizes[0], 604 - there - 108 - 4));
        cr_assert(got.bytes[0] == 3);
        cr_assert(eq(u64, value(&counters.lost_sync), 1));
    }
}

/* Frames in transfers as the chip makes them: full ones of 2048 bytes, and a short one where nothing more waits. */
enum { FRAMES = 200, TRANSFERS = 600 };
static struct place frames[FRAMES], transfers[TRANSFERS];
static uint32_t transfer_count;

static void
make_transfers(void)
{
    uint32_t size = 0, begin = 0;
    transfer_count = 0;
    for (uint32_t number = 0; number < FRAMES; number++) {
        frames[number].begin = size;
        size = put_random(size, number);
        frames[number].end = size;
        const bool nothing_waits = number + 1 == FRAMES || random_below(4) == 0;
        while (size - begin >= BURST || (nothing_waits && begin < size)) {
            transfers[transfer_count].begin = begin;
            begin = size - begin >= BURST ? begin + BURST : size;
            transfers[transfer_count++].end = begin;
        }
    }
}

static void
lose_transfers(bool is_told)
{
    uint32_t delivered = 0, lost = 0;
    for (unsigned round = 0; round < 1500; round++) {
        make_transfers();
        begin_again();
        bool is_hit[FRAMES] = {false}, is_hidden = false;
        for (uint32_t i = 0, unharmed = 0; i < transfer_count; i++) {
            const uint32_t begin = transfers[i].begin, end = transfers[i].end;
            if (i + 1 == transfer_count || random_below(20) > 0 || unharmed == 0) {
                receive(stream + begin, end - begin);
                unharmed++; // one lies between two gaps, because a transfer's end tells much
                continue;
            }
            unharmed = 0;
            /* This one is cut short, or does not come at all, nor some behind it. */
            const uint32_t gap = begin + (random_below(2) ? 0 : 2 * random_below((end - begin) / 2));
            receive(stream + begin, gap - begin);
            while (i + 2 < transfer_count && random_below(3) == 0)
                i++;
            const uint32_t gap_end = transfers[i].end;
            for (uint32_t n = 0; n < FRAMES; n++) // one in two pieces is not believed without the next header
                is_hit[n] |= frames[n].begin < gap_end && frames[n].end + 4 > gap;
            if (is_told)
                dx_ax88772_reset_receiver(&receiver);
            else
                is_hidden |= gap_cannot_be_seen(frames, FRAMES, gap, gap_end, transfers[i + 1].end);
        }
        if (is_hidden)
            continue;
        uint32_t next = 0;
        for (uint32_t i = 0, at = 0; i < got.count; at += got.sizes[i++], next++) {
            cr_assert(frame_is_good(got.bytes + at, got.sizes[i]), "spliced in round %u", round);
            uint32_t number;
            memcpy(&number, got.bytes + at, sizeof number);
            for (; next < number; next++, lost++)
                cr_assert(is_hit[next], "round %u: frame %u was whole, and is lost", round, next);
            cr_assert(eq(u32, number, next));
        }
        delivered += got.count;
    }
    cr_assert(gt(u32, lost, 10000)); // the test does what it says
    cr_assert(gt(u32, delivered, 100000));
}

Test(ax88772_framing, case_5_a_lost_transfer_costs_the_frames_in_the_gap_and_splices_none)
{
    lose_transfers(false);
}

Test(ax88772_framing, case_5_a_transfer_known_to_be_lost_costs_no_more)
{
    lose_transfers(true);
}

Test(ax88772_framing, case_6_the_second_header_may_begin_the_next_transfer)
{
    uint32_t size = put_counting(0, 1, 1000);
    size = put_counting(size, 2, 200);
    size = put_counting(size, 3, 201);
    receive(stream, 1004); // just the first
    cr_assert(eq(u32, got.count, 1));
    receive(stream + 1004, size - 1004);
    cr_assert(eq(u32, got.count, 3));
    begin_again();
    receive(stream, 1000);
    receive(stream + 1000, size - 1000); // its end, then the second header
    cr_assert(eq(u32, got.count, 3));
}

Test(ax88772_framing, case_7_flags_above_the_length_are_no_part_of_it)
{
    uint8_t frame[DX_FRAME_MAX];
    for (uint32_t flags = 0; flags < 32; flags++) {
        uint32_t size = 0;
        for (uint32_t number = 0; number < 20; number++)
            size = reference_put(stream, size, flags << 11, frame, make_frame(frame, number, 60 + 61 * number));
        expect_of_stream(size);
        cr_assert(eq(u32, expected.count, 20));
        begin_again();
        for (uint32_t at = 0; at < size; at += BURST)
            receive(stream + at, BURST < size - at ? BURST : size - at);
        EXPECT_SAME("with flags %x", flags);
    }
}

/* As a chip does that marks groups' frames. */
Test(ax88772_framing, case_7_flags_on_some_headers_alone_lose_nothing)
{
    uint8_t frame[DX_FRAME_MAX];
    for (unsigned round = 0; round < 500; round++) {
        uint32_t size = 0;
        for (uint32_t number = 0; number < 40; number++) {
            const uint32_t flags = random_below(2) ? random_below(31) << 11 : 0;
            size = reference_put(stream, size, flags, frame, make_frame(frame, number, 18 + random_below(1400)));
        }
        expect_of_stream(size);
        begin_again();
        for (uint32_t at = 0; at < size;) {
            const uint32_t wanted = round % 2 ? BURST : 2 * random_below(800);
            const uint32_t piece = wanted < size - at ? wanted : size - at;
            receive(stream + at, piece);
            at += piece;
        }
        EXPECT_SAME("in round %u", round);
    }
}

Test(ax88772_framing, case_7_a_stream_with_flags_is_found_again_too)
{
    uint8_t frame[DX_FRAME_MAX];
    uint32_t size = 0, second = 0;
    for (uint32_t number = 0; number < 10; number++) {
        if (number == 1)
            second = size;
        size = reference_put(stream, size, 0x8000, frame, make_frame(frame, number, 100));
    }
    dx_ax88772_reset_receiver(&receiver);
    receive(stream + 20, size - 20); // begins within the first
    cr_assert(eq(u32, got.count, 9));
    begin_again();
    dx_ax88772_reset_receiver(&receiver);
    receive(stream + second, size - second);
    cr_assert(eq(u32, got.count, 9));
    begin_again();
    dx_ax88772_reset_receiver(&receiver);
    receive(stream + second, second); // one alone
    cr_assert(eq(u32, got.count, 1));
}

Test(ax88772_framing, case_8_a_reset_drops_what_was_begun)
{
    for (uint32_t before = 1; before < 64; before++) {
        begin_again();
        uint32_t size = put_counting(0, 1, 60);
        receive(stream, before);
        dx_ax88772_reset_receiver(&receiver);
        size = put_counting(0, 2, 60);
        receive(stream, size);
        cr_assert(eq(u32, got.count, 1));
        cr_assert(got.bytes[0] == 2 && got.sizes[0] == 60);
        cr_assert(eq(u64, value(&counters.lost_sync), 1));
        cr_assert(eq(u64, value(&counters.bad_lengths), before >= 4));
    }
}

Test(ax88772_framing, case_9_the_senders_padding_word_is_skipped_wherever_it_stands)
{
    for (uint32_t cut = 0; cut <= 132; cut++) {
        begin_again();
        uint32_t size = put_counting(0, 1, 60);
        size = put_word(size, 0xffff0000);
        size = put_counting(size, 2, 60);
        receive(stream, cut);
        receive(stream + cut, size - cut);
        cr_assert(eq(u32, got.count, 2), "cut at %u", cut);
        cr_assert(eq(u64, value(&counters.bad_headers), 0));
    }
}

/* A padding word in two transfers, and others after it, were once taken for a loss. */
Test(ax88772_framing, case_9_padding_in_two_pieces_loses_nothing)
{
    uint32_t size = put_counting(0, 1, 60);
    for (unsigned i = 0; i < 12; i++)
        size = put_word(size, 0xffff0000);
    size = put_counting(size, 2, 629);
    size = put_counting(size, 3, 60);
    for (uint32_t piece = 1; piece < 40; piece++) {
        begin_again();
        for (uint32_t at = 0; at < size; at += piece)
            receive(stream + at, piece < size - at ? piece : size - at);
        cr_assert(eq(u32, got.count, 3), "in pieces of %u", piece);
    }
}

/* ---- where the kernel's driver looks one byte too far, or gives up ---- */

Test(ax88772_framing, an_odd_rest_with_four_bytes_behind_it_is_read_within_bounds)
{
    uint32_t size = put_counting(0, 1, 61);
    size = put_counting(size, 2, 60);
    receive(stream, 40);
    receive(stream + 40, 25 + 4); // the rest of 25, its pad, and three bytes of the next header
    receive(stream + 69, size - 69);
    cr_assert(eq(u32, got.count, 2));
}

Test(ax88772_framing, noise_never_ends_it)
{
    for (unsigned round = 0; round < 3000; round++) {
        const uint32_t size = random_below(3000);
        for (uint32_t i = 0; i < size; i++)
            stream[i] = random_below(3) ? (uint8_t)random_below(256) : (uint8_t)(random_below(2) * 255);
        receive(stream, size);
        frame_list_clear(&got);
    }
    const uint32_t size = put_counting(0, 9, 400);
    receive(stream, size);
    frame_list_clear(&got);
    receive(stream, size); // the first may have been what was missing
    cr_assert(eq(u32, got.count, 1));
    cr_assert(got.bytes[0] == 9);
}

/* ---- sending ---- */

static uint8_t sent[8192];
static uint32_t sent_size;

static uint32_t
send_frames(const struct dx_ax88772_sender *sender, const uint32_t *sizes, uint32_t count)
{
    static uint8_t bytes[32][DX_AX88772_MAX_LENGTH + 1];
    const uint8_t *list[32];
    for (uint32_t i = 0; i < count; i++) {
        memset(bytes[i], (int)i + 1, sizeof bytes[i]);
        list[i] = bytes[i];
    }
    memset(sent, 0xcc, sizeof sent);
    sent_size = 0;
    return dx_ax88772_send(sender, list, sizes, count, sent, &sent_size);
}

Test(ax88772_framing, a_frame_is_sent_behind_its_length_and_the_complement)
{
    const struct dx_ax88772_sender sender = {.packet = 512, .max_frame = 1518, .capacity = 2048};
    cr_assert(eq(u32, send_frames(&sender, (const uint32_t[]){0x123}, 1), 1));
    cr_assert(eq(u32, sent_size, 4 + 0x123));
    cr_assert(sent[0] == 0x23 && sent[1] == 0x01 && sent[2] == 0xdc && sent[3] == 0xfe);
    cr_assert(sent[4] == 1 && sent[4 + 0x122] == 1 && sent[4 + 0x123] == 0xcc);
}

/* The lengths of usb-ethernet 1.7: 508, 1020, 1532 at 512, and each 64th from 60 at 64. */
Test(ax88772_framing, a_transfer_of_whole_packets_ends_with_a_padding_word)
{
    for (uint32_t packet = 64; packet <= 512; packet *= 8) {
        const struct dx_ax88772_sender sender = {.packet = packet, .max_frame = 2000, .capacity = 2048};
        unsigned padded = 0;
        for (uint32_t size = 14; size <= 2000; size++) {
            const bool is_padded = packet == 512 ? size == 508 || size == 1020 || size == 1532
                                                 : (size - 60) % 64 == 0;
            cr_assert(eq(u32, send_frames(&sender, &size, 1), 1));
            cr_assert(eq(u32, sent_size, 4 + size + (is_padded ? 4 : 0)), "length %u at %u", size, packet);
            if (is_padded) {
                const uint8_t *const end = sent + sent_size;
                cr_assert(end[-4] == 0 && end[-3] == 0 && end[-2] == 0xff && end[-1] == 0xff);
                padded++;
            }
            cr_assert(sent[sent_size] == 0xcc);
        }
        cr_assert(eq(u32, padded, packet == 512 ? 3 : 31));
    }
}

Test(ax88772_framing, frames_that_cannot_be_sent_are_refused_alone)
{
    const struct dx_ax88772_sender sender = {.packet = 512, .max_frame = 1518, .capacity = 2048};
    cr_assert(eq(u32, send_frames(&sender, (const uint32_t[]){13}, 1), 0));
    cr_assert(eq(u32, send_frames(&sender, (const uint32_t[]){1519}, 1), 0));
    cr_assert(eq(u32, send_frames(&sender, (const uint32_t[]){UINT32_MAX}, 1), 0));
    cr_assert(eq(u32, send_frames(&sender, (const uint32_t[]){60, 0, 60}, 3), 1));
    cr_assert(eq(u32, sent_size, 64));
    cr_assert(eq(u32, send_frames(&sender, NULL, 0), 0));
}

/* What was sent is a receive stream as well, but for the last pad: the reference reads it. */
Test(ax88772_framing, several_frames_share_a_transfer_that_stays_below_its_capacity)
{
    const struct dx_ax88772_sender sender = {.packet = 64, .max_frame = 1518, .capacity = 2048};
    for (unsigned round = 0; round < 3000; round++) {
        uint32_t sizes[32];
        for (unsigned i = 0; i < 32; i++)
            sizes[i] = 14 + 2 * random_below(random_below(2) ? 752 : 60) + (random_below(8) == 0);
        const uint32_t taken = send_frames(&sender, sizes, 32);
        cr_assert(gt(u32, taken, 0));
        cr_assert(le(u32, sent_size, sender.capacity));
        cr_assert(ne(u32, sent_size % 64, 0));
        struct reference reference = {.state = REFERENCE_HEADER};
        frame_list_clear(&expected);
        for (uint32_t i = 0; i < sent_size; i++)
            reference_take(&reference, sent[i], &expected);
        cr_assert(reference.state == REFERENCE_HEADER || reference.state == REFERENCE_PAD);
        cr_assert(eq(u32, expected.count, taken));
        uint32_t at = 0;
        for (uint32_t i = 0; i < taken; i++) {
            cr_assert(eq(u32, expected.sizes[i], sizes[i]));
            cr_assert(expected.bytes[at] == i + 1 && expected.bytes[at + sizes[i] - 1] == i + 1);
            at += sizes[i];
        }
        if (taken < 32 && sizes[taken - 1] % 2 == 0) // the next one had no room beside a padding word
            cr_assert(gt(u32, sent_size + 4 + sizes[taken] + 4, sender.capacity));
        for (uint32_t i = 0; i + 1 < taken; i++)
            cr_assert(eq(u32, sizes[i] % 2, 0));
    }
}

/* ---- the filter ---- */

/* The table of usb-ethernet 1.8, whose first two rows were seen from the kernel's driver. */
Test(ax88772_framing, groups_have_the_hash_values_of_the_table)
{
    static const struct {
        uint8_t group[6];
        uint32_t hash;
    } table[] = {
        {{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01}, 31}, {{0x33, 0x33, 0x00, 0x00, 0x00, 0x01}, 62},
        {{0x01, 0x00, 0x5e, 0x00, 0x00, 0xfb}, 15}, {{0x01, 0x00, 0x5e, 0x00, 0x01, 0x81}, 62},
        {{0x01, 0x00, 0x5e, 0x00, 0x00, 0x6b}, 7},  {{0x01, 0x00, 0x5e, 0x7f, 0xff, 0xff}, 23},
        {{0x01, 0x00, 0x5e, 0x45, 0x00, 0x01}, 42}, {{0x01, 0x00, 0x5e, 0x45, 0x01, 0x02}, 29},
        {{0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e}, 33}, {{0x91, 0xe0, 0xf0, 0x00, 0xfe, 0x01}, 57},
    };
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
        cr_expect(eq(u32, dx_ax88772_hash(table[i].group), table[i].hash), "row %u", i);
}
