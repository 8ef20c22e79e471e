// SPDX-License-Identifier: MIT
// Audio as RTP: bytes as RFC 3550 and RFC 3190 have them, in time, and whatever comes instead.

#include "backends/usb/bundle/packets.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdlib.h>
#include <string.h>

#define START_NS UINT64_C(5000000000)
#define MS UINT64_C(1000000)

static struct packets *
make(uint32_t channels)
{
    struct packets *const packets = calloc(1, sizeof *packets);
    cr_assert(packets != NULL);
    packets_init(packets, channels, 0x12345678);
    return packets;
}

/* A packet of two channels whose samples are 1, 2, 3... of 2^-23. */
static uint32_t
make_packet(uint8_t *bytes, uint16_t sequence, uint32_t timestamp, uint32_t sender, uint32_t frames, uint32_t first)
{
    const uint8_t head[12] = {0x80, 97, (uint8_t)(sequence >> 8), (uint8_t)sequence,
                              (uint8_t)(timestamp >> 24), (uint8_t)(timestamp >> 16), (uint8_t)(timestamp >> 8), (uint8_t)timestamp,
                              (uint8_t)(sender >> 24), (uint8_t)(sender >> 16), (uint8_t)(sender >> 8), (uint8_t)sender};
    memcpy(bytes, head, sizeof head);
    for (uint32_t i = 0; i < frames * 2; i++) {
        bytes[12 + 3 * i] = (uint8_t)((first + i) >> 16);
        bytes[13 + 3 * i] = (uint8_t)((first + i) >> 8);
        bytes[14 + 3 * i] = (uint8_t)(first + i);
    }
    return 12 + frames * 6;
}

Test(packets, what_is_played_leaves_as_l24_when_it_is_due)
{
    struct packets *const packets = make(2);
    uint8_t bytes[PACKETS_MAX_BYTES];
    uint64_t due_ns = 0;
    cr_expect(eq(u32, packets_make(packets, START_NS, bytes, &due_ns), 0));
    cr_expect(eq(u64, due_ns, UINT64_MAX), "nothing is due without IO");
    packets_start(packets, START_NS);
    const float samples[] = {0.5f, -0.5f, 1.0f, -1.0f, 1.0f / 8388608.0f, -1.0f / 8388608.0f, 2.0f, -2.0f};
    packets_write(packets, 0, samples, 4);

    cr_expect(eq(u32, packets_make(packets, START_NS + MS - 1, bytes, &due_ns), 0));
    cr_expect(eq(u64, due_ns, START_NS + MS + 1));
    cr_assert(eq(u32, packets_make(packets, due_ns, bytes, &due_ns), 12 + 48 * 6));
    static const uint8_t expected[] = {0x80, 97, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78,
                                       0x40, 0, 0, 0xc0, 0, 0, 0x7f, 0xff, 0xff, 0x80, 0, 0,
                                       0, 0, 1, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0x80, 0, 0, 0, 0, 0};
    cr_expect(eq(int, memcmp(bytes, expected, sizeof expected), 0));
    cr_expect(eq(u64, due_ns, START_NS + 2 * MS + 1));

    /* The next one: number and timestamp go on, and nothing is sent twice. */
    cr_assert(eq(u32, packets_make(packets, due_ns, bytes, &due_ns), 12 + 48 * 6));
    cr_expect(eq(u8, bytes[3], 1));
    cr_expect(eq(u8, bytes[7], 48));
    free(packets);
}

Test(packets, after_a_pause_it_goes_on_from_now)
{
    struct packets *const packets = make(8);
    uint8_t bytes[PACKETS_MAX_BYTES];
    uint64_t due_ns = 0;
    packets_start(packets, START_NS);
    cr_assert(eq(u32, packets_make(packets, START_NS + 1001 * MS, bytes, &due_ns), 0));
    cr_expect(eq(u64, due_ns, START_NS + 1002 * MS + 1), "not a second of packets at once");
    cr_assert(eq(u32, packets_make(packets, due_ns, bytes, &due_ns), PACKETS_MAX_BYTES));
    free(packets);
}

Test(packets, what_comes_is_heard_a_moment_later_and_once)
{
    struct packets *const packets = make(2);
    uint8_t bytes[PACKETS_MAX_BYTES];
    float samples[96] = {0};
    packets_start(packets, START_NS);
    const uint64_t first = 4800 + PACKETS_DELAY_FRAMES; // the first one comes after 100 ms
    for (uint32_t i = 0; i < 20; i++) {
        const uint32_t size = make_packet(bytes, (uint16_t)(65530 + i), 0xfffffff0u + i * 48, 7, 48, 1 + i * 96);
        packets_take(packets, bytes, size, START_NS + (100 + i) * MS + i % 3 * MS); // some later than others
    }
    for (uint32_t i = 0; i < 20; i++) {
        packets_read(packets, first + i * 48, samples, 48);
        for (uint32_t k = 0; k < 96; k++)
            cr_assert(eq(flt, samples[k], (float)(1 + i * 96 + k) / 8388608.0f), "packet %u, sample %u", i, k);
    }
    cr_expect(eq(u64, atomic_load(&packets->anchored), 1));
    packets_read(packets, first, samples, 48);
    cr_expect(eq(flt, samples[0], 0.0f), "it is gone");
    free(packets);
}

Test(packets, who_begins_to_listen_hears_nothing_of_what_is_long_gone)
{
    struct packets *const packets = make(2);
    uint8_t bytes[PACKETS_MAX_BYTES];
    float samples[96] = {0};
    packets_start(packets, START_NS);
    packets_take(packets, bytes, make_packet(bytes, 0, 0, 7, 48, 1), START_NS + 100 * MS);
    const uint64_t frame = 4800 + PACKETS_DELAY_FRAMES; // nobody reads it when it is due
    packets_read(packets, frame + 5 * PACKETS_RING_FRAMES, samples, 48);
    for (uint32_t k = 0; k < 96; k++)
        cr_assert(eq(flt, samples[k], 0.0f), "sample %u", k);
    free(packets);
}

Test(packets, a_new_run_begins_with_silence)
{
    struct packets *const packets = make(2);
    uint8_t bytes[PACKETS_MAX_BYTES];
    float samples[96];
    uint64_t due_ns = 0;
    for (uint32_t i = 0; i < 96; i++)
        samples[i] = 0.5f;
    packets_start(packets, START_NS);
    packets_write(packets, 0, samples, 48);
    packets_take(packets, bytes, make_packet(bytes, 0, 0, 7, 48, 1), START_NS); // and neither is used
    packets_start(packets, 0);
    packets_start(packets, START_NS + 10 * MS);
    cr_assert(eq(u32, packets_make(packets, START_NS + 12 * MS, bytes, &due_ns), 12 + 48 * 6));
    for (uint32_t i = 12; i < 12 + 48 * 6; i++)
        cr_assert(eq(u8, bytes[i], 0), "byte %u of what is sent", i);
    packets_read(packets, PACKETS_DELAY_FRAMES, samples, 48);
    for (uint32_t k = 0; k < 96; k++)
        cr_assert(eq(flt, samples[k], 0.0f), "sample %u", k);
    free(packets);
}

/* RFC 3550, 5.1: linear in time, for whoever listens meanwhile. */
Test(packets, timestamps_go_on_with_time_in_the_next_run)
{
    struct packets *const packets = make(2);
    uint8_t bytes[PACKETS_MAX_BYTES];
    uint64_t due_ns = 0;
    packets_start(packets, START_NS);
    cr_assert(eq(u32, packets_make(packets, START_NS + MS + 1, bytes, &due_ns), 12 + 48 * 6));
    packets_start(packets, 0);
    packets_start(packets, START_NS + 2000 * MS);
    cr_assert(eq(u32, packets_make(packets, START_NS + 2001 * MS + 1, bytes, &due_ns), 12 + 48 * 6));
    cr_expect(eq(u8, bytes[3], 1));
    cr_expect(eq(u32, (uint32_t)bytes[5] << 16 | (uint32_t)bytes[6] << 8 | bytes[7], 96000));
    free(packets);
}

Test(packets, another_sender_and_a_leap_in_time_find_their_place_anew)
{
    struct packets *const packets = make(2);
    uint8_t bytes[PACKETS_MAX_BYTES];
    float samples[2] = {0};
    packets_start(packets, START_NS);
    packets_take(packets, bytes, make_packet(bytes, 0, 0, 7, 48, 1), START_NS + 100 * MS);
    packets_take(packets, bytes, make_packet(bytes, 0, 0, 8, 48, 1001), START_NS + 200 * MS);
    packets_take(packets, bytes, make_packet(bytes, 1, 1000000, 8, 48, 2001), START_NS + 300 * MS);
    cr_expect(eq(u64, atomic_load(&packets->anchored), 3));
    packets_read(packets, 300 * 48 + PACKETS_DELAY_FRAMES, samples, 1);
    cr_expect(eq(flt, samples[0], 2001.0f / 8388608.0f));
    free(packets);
}

Test(packets, a_timestamp_from_before_the_first_frame_has_no_place)
{
    struct packets *const packets = make(2);
    uint8_t bytes[12 + 480 * 6];
    float samples[2] = {0};
    packets_start(packets, START_NS);
    packets_take(packets, bytes, make_packet(bytes, 0, 0, 7, 48, 1), START_NS + MS); // at frame 48 + 240
    packets_take(packets, bytes, make_packet(bytes, 1, 0u - 298, 7, 480, 1001), START_NS + MS); // would be at -10
    cr_expect(eq(u64, atomic_load(&packets->anchored), 2));
    packets_read(packets, 48 + PACKETS_DELAY_FRAMES, samples, 1);
    cr_expect(eq(flt, samples[0], 1001.0f / 8388608.0f));
    free(packets);
}

Test(packets, what_is_no_such_packet_is_counted_and_dropped)
{
    static const uint8_t bad[][40] = {
        {0x40, 97},             // another version
        {0x80, 0},              // audio of another kind
        {0x8f, 97},             // contributors that are not there
        {0x90, 97, [14] = 0xff, [15] = 0xff}, // an extension that is longer than the packet
        {0xa0, 97, [39] = 255}, // padding that is longer than the packet
        {0xa0, 97, [39] = 28},  // and nothing but padding
        {0x80, 97},             // 28 bytes: not whole frames
    };
    struct packets *const packets = make(2);
    packets_start(packets, START_NS);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t *const copy = malloc(sizeof bad[i]); // exact size: one byte too far is seen
        memcpy(copy, bad[i], sizeof bad[i]);
        packets_take(packets, copy, sizeof bad[i], START_NS + 100 * MS);
        cr_expect(eq(u64, atomic_load(&packets->refused), i + 1), "case %zu", i);
        free(copy);
    }
    for (uint32_t size = 0; size <= 12; size++)
        packets_take(packets, bad[0], size, START_NS + 100 * MS);
    cr_expect(eq(u64, atomic_load(&packets->received), 0));
    uint8_t long_packet[12 + 481 * 6];
    packets_take(packets, long_packet, make_packet(long_packet, 0, 0, 7, 481, 1), START_NS + 100 * MS);
    cr_expect(eq(u64, atomic_load(&packets->received), 0), "10 ms at most");
    free(packets);
}
