// SPDX-License-Identifier: MIT
// The AX88772's receive stream a second time: one byte after the other, for streams of which nothing is missing.

#ifndef DX_TESTS_USB_AX88772_REFERENCE_H
#define DX_TESTS_USB_AX88772_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Frames, one behind the other. */
struct frame_list {
    uint8_t *bytes;
    uint32_t used, room;
    uint32_t sizes[4096];
    uint32_t count;
};

static inline void
frame_list_add(struct frame_list *list, const uint8_t *frame, uint32_t size)
{
    if (list->count == sizeof list->sizes / sizeof list->sizes[0])
        abort();
    if (list->room - list->used < size) {
        list->room = 2 * (list->room + size);
        list->bytes = realloc(list->bytes, list->room);
        if (!list->bytes)
            abort();
    }
    memcpy(list->bytes + list->used, frame, size);
    list->used += size;
    list->sizes[list->count++] = size;
}

static inline void
frame_list_clear(struct frame_list *list)
{
    list->used = list->count = 0;
}

static inline void
frame_list_finish(struct frame_list *list)
{
    free(list->bytes);
    *list = (struct frame_list){.count = 0};
}

static inline bool
frame_list_equal(const struct frame_list *a, const struct frame_list *b)
{
    return a->count == b->count && a->used == b->used &&
           memcmp(a->sizes, b->sizes, a->count * sizeof a->sizes[0]) == 0 &&
           (a->used == 0 || memcmp(a->bytes, b->bytes, a->used) == 0);
}

struct reference {
    enum { REFERENCE_HEADER, REFERENCE_BODY, REFERENCE_PAD, REFERENCE_BROKEN } state;
    uint8_t bytes[2048];
    uint32_t have;
    uint32_t length;
    uint32_t bad_lengths;
};

/* Bits 0 to 10 of the first two bytes are the length, the same bits of the other two its complement. */
static inline void
reference_take(struct reference *r, uint8_t byte, struct frame_list *frames)
{
    switch (r->state) {
    case REFERENCE_HEADER:
        r->bytes[r->have++] = byte;
        if (r->have < 4)
            return;
        r->have = 0;
        r->length = (r->bytes[0] + 256u * r->bytes[1]) % 2048;
        if (r->length + (r->bytes[2] + 256u * r->bytes[3]) % 2048 != 2047)
            r->state = REFERENCE_BROKEN;
        else if (r->length > 0)
            r->state = REFERENCE_BODY;
        return;
    case REFERENCE_BODY:
        r->bytes[r->have++] = byte;
        if (r->have < r->length)
            return;
        r->have = 0;
        r->state = r->length % 2 == 1 ? REFERENCE_PAD : REFERENCE_HEADER;
        if (r->length >= 14 && r->length <= 1518)
            frame_list_add(frames, r->bytes, r->length);
        else
            r->bad_lengths++;
        return;
    case REFERENCE_PAD:
        r->state = REFERENCE_HEADER;
        return;
    case REFERENCE_BROKEN:
        return;
    }
}

/* Appends a frame as the chip would. @return the stream's new size. */
static inline uint32_t
reference_put(uint8_t *stream, uint32_t at, uint32_t flags, const uint8_t *frame, uint32_t size)
{
    const uint32_t low = size | flags;
    stream[at++] = (uint8_t)low;
    stream[at++] = (uint8_t)(low >> 8);
    stream[at++] = (uint8_t)(255 - size % 256);
    stream[at++] = (uint8_t)(255 - size / 256);
    memcpy(stream + at, frame, size);
    at += size;
    if (size % 2 == 1)
        stream[at++] = 0;
    return at;
}

/* Where a frame with its header, or a transfer, lies in the stream. */
struct place {
    uint32_t begin, end;
};

/*
 * Whether the bytes behind a gap could be the rest of the frame before it, for all that a reader can see: as many of
 * them as are missing end where a header stands, or where the transfer ends.
 */
static inline bool
gap_cannot_be_seen(const struct place *frames, uint32_t frame_count, uint32_t gap, uint32_t gap_end,
                   uint32_t transfer_end)
{
    uint32_t missing = 0;
    for (uint32_t i = 0; i < frame_count; i++)
        if (frames[i].begin < gap && frames[i].end > gap)
            missing = frames[i].end - gap;
    if (missing == 0)
        return false;
    for (uint32_t i = 0; i < frame_count; i++)
        if (frames[i].begin == gap_end + missing)
            return true;
    return gap_end + missing == transfer_end || gap_end + missing == transfer_end + 1;
}

#endif /* DX_TESTS_USB_AX88772_REFERENCE_H */
