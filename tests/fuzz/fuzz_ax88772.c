// SPDX-License-Identifier: MIT
// The AX88772's streams: noise, whole streams in any transfers (against the reference, which reads byte by byte),
// streams of which transfers are missing (no frame of two halves, no more lost than the gap holds), and what is sent.

#include "backends/usb/ax88772_framing.h"
#include "tests/usb/ax88772_reference.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_ROOM = 1 << 16, BURST = 2048, MOST_FRAMES = 256, MOST_TRANSFERS = 1024, CAPACITY = 2048 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

static struct dx_ax88772_receiver receiver;
static struct dx_nic_counters counters;
static struct frame_list got, expected;
static uint8_t stream[STREAM_ROOM];
static uint32_t stream_size;
static struct place frames[MOST_FRAMES], transfers[MOST_TRANSFERS];
static uint32_t frame_count, transfer_count;

static uint8_t
take(struct input *input)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

static uint32_t
take_16(struct input *input)
{
    const uint32_t low = take(input);
    return low | (uint32_t)take(input) << 8;
}

static void
check(bool condition)
{
    if (!condition)
        abort();
}

/* In memory of exactly its size: a byte too far is seen. */
static void
receive(const uint8_t *bytes, uint32_t size)
{
    uint8_t *const copy = malloc(size ? size : 1);
    check(copy);
    if (size)
        memcpy(copy, bytes, size);
    const uint8_t *frame;
    uint32_t frame_size;
    dx_ax88772_begin(&receiver, copy, size, &counters);
    while (dx_ax88772_next(&receiver, &frame, &frame_size, &counters)) {
        check(frame_size >= DX_FRAME_MIN && frame_size <= DX_FRAME_MAX);
        frame_list_add(&got, frame, frame_size);
    }
    free(copy);
}

static void
begin_again(void)
{
    memset(&receiver, 0, sizeof receiver);
    memset((void *)&counters, 0, sizeof counters);
    frame_list_clear(&got);
    frame_list_clear(&expected);
    stream_size = frame_count = transfer_count = 0;
}

static void
expect_of(const uint8_t *bytes, uint32_t size)
{
    struct reference reference = {.state = REFERENCE_HEADER};
    for (uint32_t i = 0; i < size; i++)
        reference_take(&reference, bytes[i], &expected);
    check(reference.state != REFERENCE_BROKEN);
}

/* ---- any bytes ---- */

static void
try_noise(struct input *input)
{
    uint32_t received = 0;
    while (input->size > 0 && got.count < 4000) {
        const uint32_t wanted = take_16(input) & 0xfff;
        const uint32_t size = wanted < input->size ? wanted : (uint32_t)input->size;
        receive(input->data, size);
        received += size;
        input->data += size;
        input->size -= size;
        if (wanted % 64 == 63)
            dx_ax88772_reset_receiver(&receiver);
        check(got.used <= received); // no byte twice
    }
}

/* ---- whole streams ---- */

static void
add_frame(const uint8_t *frame, uint32_t size, uint32_t flags)
{
    frames[frame_count].begin = stream_size;
    stream_size = reference_put(stream, stream_size, flags, frame, size);
    frames[frame_count++].end = stream_size;
}

/* Payloads of seven bits hold nothing that looks like a header: then cuts may be anywhere. */
static void
make_stream(struct input *input, uint8_t mask, uint8_t flags)
{
    uint8_t frame[DX_FRAME_MAX];
    static const uint8_t padding[4] = {0x00, 0x00, 0xff, 0xff};
    const uint32_t count = take(input) % 64u;
    for (uint32_t i = 0; i < count && stream_size < STREAM_ROOM - 2 * BURST; i++) {
        const uint32_t what = take_16(input);
        if (what % 16 == 0) {
            memcpy(stream + stream_size, padding, sizeof padding);
            stream_size += sizeof padding;
            continue;
        }
        const uint32_t size = DX_FRAME_MIN + (what >> 4) % (DX_FRAME_MAX - DX_FRAME_MIN + 1);
        memset(frame, (int)i, sizeof frame);
        const uint32_t given = what & 8u ? size : take(input) % 64u;
        for (uint32_t at = 0; at < given && at < size; at++)
            frame[at] = take(input) & mask;
        add_frame(frame, size, flags ? (uint32_t)(take(input) & flags) << 11 : 0);
    }
    expect_of(stream, stream_size);
}

static void
try_cuts(struct input *input)
{
    make_stream(input, 0x7f, 0);
    for (uint32_t at = 0; at < stream_size;) {
        const uint32_t how = take(input);
        const uint32_t wanted = input->size == 0 ? BURST : how < 128 ? how : (how - 128) * 16u;
        const uint32_t size = wanted < stream_size - at ? wanted : stream_size - at;
        receive(stream + at, size);
        at += size;
    }
    check(frame_list_equal(&got, &expected));
    check(atomic_load_explicit(&counters.lost_sync, memory_order_relaxed) == 0);
}

/* Full transfers of 2048 bytes, and where nothing more waits, after a frame, a short one. */
static void
cut_as_the_chip(struct input *input)
{
    for (uint32_t begin = 0, next_frame = 0; begin < stream_size && transfer_count < MOST_TRANSFERS;) {
        uint32_t end = begin + BURST;
        for (; next_frame < frame_count && frames[next_frame].end <= begin + BURST; next_frame++) {
            if (frames[next_frame].end > begin && take(input) % 4u == 0) {
                end = frames[next_frame++].end;
                break;
            }
        }
        if (end > stream_size)
            end = stream_size;
        transfers[transfer_count++] = (struct place){begin, end};
        begin = end;
    }
}

static void
try_as_the_chip(struct input *input, uint8_t mask, uint8_t flags)
{
    make_stream(input, mask, flags);
    cut_as_the_chip(input);
    for (uint32_t i = 0; i < transfer_count; i++)
        receive(stream + transfers[i].begin, transfers[i].end - transfers[i].begin);
    check(frame_list_equal(&got, &expected));
    check(atomic_load_explicit(&counters.lost_sync, memory_order_relaxed) == 0);
}

static void
try_payloads(struct input *input)
{
    try_as_the_chip(input, 0xff, 0);
}

/* Some headers with flags, some without. Not all five at once, or a header's half may be the rest of one. */
static void
try_flags(struct input *input)
{
    try_as_the_chip(input, 0x7f, 0x17);
}

/* ---- with gaps ---- */

static uint32_t
sum_of(const uint8_t *frame, uint32_t size)
{
    uint32_t sum = 0x811c9dc5;
    for (uint32_t i = 0; i < size - 4; i++)
        sum = (sum ^ frame[i]) * 0x01000193;
    return sum & 0x7f7f7f7f;
}

/*
 * Frames with a number and a sum, whose bytes and lengths are such that nothing looks like a header but headers: at
 * even offsets one of the bytes that would have to be complements has its top bit wrong, or is the 0x7e that no
 * length ends with.
 */
static void
make_summed_stream(struct input *input)
{
    uint8_t frame[DX_FRAME_MAX];
    while (frame_count < MOST_FRAMES && stream_size < STREAM_ROOM - 2 * BURST &&
           (input->size > 0 || frame_count < 40)) {
        const uint32_t what = take_16(input);
        uint32_t size = 18 + what % (DX_FRAME_MAX - 18 - 0x100);
        if (what & 0x8000)
            size = 18 + what % 100;
        size &= ~0x80u;
        size += (size & 0xffu) == 0x7e;
        if (size < 18)
            size = 18;
        memset(frame, take(input) & 0x7f, sizeof frame);
        frame[0] = 0x7e;
        frame[1] = (uint8_t)(frame_count & 0x7f);
        frame[2] = (uint8_t)(frame_count >> 7);
        const uint32_t sum = sum_of(frame, size);
        memcpy(frame + size - 4, &sum, 4);
        add_frame(frame, size, 0);
    }
}

static bool
begins_frame(uint32_t at)
{
    for (uint32_t i = 0; i < frame_count; i++)
        if (frames[i].begin == at)
            return true;
    return false;
}

/* Between two gaps comes a transfer that can show the first one: it is full, or begins with a header. */
static void
try_gaps(struct input *input)
{
    static bool is_hit[MOST_FRAMES];
    const bool is_told = take(input) & 1u;
    struct input cuts = *input; // the same bytes say what gets lost
    make_summed_stream(input);
    cut_as_the_chip(&cuts);
    memset(is_hit, 0, sizeof is_hit);
    bool is_unharmed = false;
    for (uint32_t i = 0; i < transfer_count; i++) {
        const uint32_t begin = transfers[i].begin, end = transfers[i].end, how = take(&cuts);
        if (i + 1 == transfer_count || how % 4 != 3 || !is_unharmed) {
            receive(stream + begin, end - begin);
            is_unharmed |= end - begin == BURST || begins_frame(begin);
            continue;
        }
        is_unharmed = false;
        const uint32_t gap = begin + (how & 4u ? take_16(&cuts) % (end - begin) & ~1u : 0);
        receive(stream + begin, gap - begin);
        for (uint32_t more = how >> 6; more > 0 && i + 2 < transfer_count; more--)
            i++;
        const uint32_t gap_end = transfers[i].end;
        for (uint32_t n = 0; n < frame_count; n++) // one in two pieces is not believed without the next header
            is_hit[n] |= frames[n].begin < gap_end && frames[n].end + 4 > gap;
        if (is_told)
            dx_ax88772_reset_receiver(&receiver);
        else if (gap_cannot_be_seen(frames, frame_count, gap, gap_end, transfers[i + 1].end))
            return;
    }
    uint32_t next = 0;
    for (uint32_t i = 0, at = 0; i < got.count; at += got.sizes[i++], next++) {
        const uint8_t *const frame = got.bytes + at;
        uint32_t sum;
        memcpy(&sum, frame + got.sizes[i] - 4, 4);
        check(sum == sum_of(frame, got.sizes[i])); // or it is spliced
        const uint32_t number = frame[1] | (uint32_t)frame[2] << 7;
        check(number >= next && number < frame_count);
        for (; next < number; next++)
            check(is_hit[next]); // or it was whole, and is lost
    }
    for (; next < frame_count; next++)
        check(is_hit[next]);
}

/* ---- sending ---- */

static void
try_sending(struct input *input)
{
    static uint8_t bytes[DX_AX88772_MAX_LENGTH];
    uint8_t *const buffer = malloc(CAPACITY);
    check(buffer);
    const uint8_t *list[16];
    uint32_t sizes[16], sent = 0;
    const struct dx_ax88772_sender sender = {
        .packet = take(input) & 1u ? 64 : 512, .max_frame = DX_FRAME_MAX, .capacity = CAPACITY};
    const uint32_t count = take(input) % 17u;
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    for (uint32_t i = 0; i < count; i++) {
        list[i] = bytes + take(input);
        sizes[i] = take_16(input) % 1790u;
    }
    const uint32_t taken = dx_ax88772_send(&sender, list, sizes, count, buffer, &sent);
    check(taken <= count && sent <= CAPACITY && (taken == 0 || sent % sender.packet != 0));
    check(taken > 0 || count == 0 || sizes[0] < DX_FRAME_MIN || sizes[0] > DX_FRAME_MAX);
    if (taken > 0)
        expect_of(buffer, sent);
    for (uint32_t i = 0; i < taken; i++)
        frame_list_add(&got, list[i], sizes[i]);
    check(frame_list_equal(&got, &expected));
    free(buffer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(struct input *) = {try_noise, try_cuts,    try_payloads,
                                                    try_gaps,  try_sending, try_flags};
    struct input input = {data, size};
    begin_again();
    tries[take(&input) % (sizeof tries / sizeof tries[0])](&input);
    return 0;
}
