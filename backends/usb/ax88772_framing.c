// SPDX-License-Identifier: MIT
// The AX88772's streams: before each frame a word of its length and the complement, after an odd one a pad byte.

#include "backends/usb/ax88772_framing.h"

#include <stdatomic.h>
#include <string.h>

#define LENGTH_MASK 0x7ffu       // above it stand flags, when some offloads are on
#define PADDING_WORD 0xffff0000u // a length of 0, with its complement
#define PACKET_BYTES 64u         // bulk packets are as large, or 512

/* What stands where a frame has ended; from bad to good. */
enum follower {
    NOTHING_FITS,
    CUT_OFF,      // the transfer ends before one can tell
    END,          // the transfer ends right there
    FLAGGED_FITS, // a header with flags: of any words every 2048th looks like one
    FITS          // a header
};

/* relaxed: whoever reads counters wants a recent value, and nothing else with it. */
static inline DX_REALTIME void
add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline DX_REALTIME uint32_t
get_word(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static inline DX_REALTIME uint32_t
word_of_length(uint32_t length)
{
    return length | (~length & 0xffffu) << 16;
}

static inline DX_REALTIME bool
word_is_header(uint32_t word)
{
    return (word & LENGTH_MASK) == (~word >> 16 & LENGTH_MASK);
}

static inline DX_REALTIME bool
length_is_frame(uint32_t length)
{
    return length >= DX_FRAME_MIN && length <= DX_FRAME_MAX;
}

/* A header as the chip makes it with all offloads off: no bits but the length and their complements. */
static inline DX_REALTIME bool
word_is_plain(uint32_t word)
{
    return word == word_of_length(word & LENGTH_MASK);
}

static DX_REALTIME enum follower
find_follower(const struct dx_ax88772_receiver *r, uint32_t at)
{
    bool is_plain = true;
    for (; r->size - at >= DX_AX88772_HEADER_BYTES; at += DX_AX88772_HEADER_BYTES) {
        const uint32_t word = get_word(r->data + at);
        if (!word_is_header(word))
            return NOTHING_FITS;
        is_plain = is_plain && word_is_plain(word);
        if (word & LENGTH_MASK)
            return is_plain ? FITS : FLAGGED_FITS;
    }
    return at < r->size ? CUT_OFF : END;
}

/* The same behind a frame whose header stands at `at`; CUT_OFF as well where its end is not in the transfer. */
static DX_REALTIME enum follower
find_follower_of_frame(const struct dx_ax88772_receiver *r, uint32_t at)
{
    const uint32_t length = get_word(r->data + at) & LENGTH_MASK;
    at += DX_AX88772_HEADER_BYTES;
    if (r->size - at < length)
        return CUT_OFF;
    at += length;
    return find_follower(r, at + ((length & 1u) && at < r->size));
}

/* The first header from here on that has such a follower, or a better one; UINT32_MAX: there is none. */
static DX_REALTIME uint32_t
find_header(const struct dx_ax88772_receiver *r, uint32_t from, bool must_be_plain, enum follower least)
{
    for (uint32_t at = from; at < r->size && r->size - at >= DX_AX88772_HEADER_BYTES; at += 2) {
        const uint32_t word = get_word(r->data + at);
        if (word_is_header(word) && length_is_frame(word & LENGTH_MASK) &&
            (!must_be_plain || word_is_plain(word)) && find_follower_of_frame(r, at) >= least)
            return at;
    }
    return UINT32_MAX;
}

/*
 * Goes to the most credible header from here on, or to the end. With flags one must be followed by another: a
 * thousand tries are a chance of everything else.
 */
static DX_REALTIME void
search(struct dx_ax88772_receiver *r, uint32_t from)
{
    uint32_t at = find_header(r, from, true, END);
    if (at == UINT32_MAX)
        at = find_header(r, from, true, CUT_OFF);
    if (at == UINT32_MAX)
        at = find_header(r, from, false, FLAGGED_FITS);
    r->at = at == UINT32_MAX ? r->size : at;
}

/* Headers stand where they are looked for. */
static DX_REALTIME void
become_sure(struct dx_ax88772_receiver *r)
{
    r->is_lost = r->is_unsure = r->is_continued = false;
}

/* The same for a transfer. But for the first one after a gap, one that continues nothing begins with a header. */
static DX_REALTIME void
search_from_begin(struct dx_ax88772_receiver *r)
{
    const uint32_t word = get_word(r->data);
    const bool is_frame = word_is_header(word) && length_is_frame(word & LENGTH_MASK);
    if (is_frame && word_is_plain(word)) {
        become_sure(r);
        r->at = 0;
        return;
    }
    search(r, 0);
    if (r->at == r->size && is_frame && find_follower_of_frame(r, 0) >= END)
        r->at = 0;
}

/*
 * A header with flags may be chance; a plain one is not, all the less with something behind it. Where there is a
 * plain one to which the other does not lead, the other is none.
 *
 * @param at  where the next header stands, if that one is one.
 */
static DX_REALTIME bool
is_contradicted(const struct dx_ax88772_receiver *r, uint32_t at)
{
    const uint32_t plain = find_header(r, r->is_continued ? 0 : r->at, true, r->has_flags ? END : CUT_OFF);
    if (plain == UINT32_MAX)
        return false;
    while (at < plain) {
        const uint32_t word = get_word(r->data + at), length = word & LENGTH_MASK;
        if (!word_is_header(word))
            return true;
        at += DX_AX88772_HEADER_BYTES + length + (length & 1u);
    }
    return at != plain;
}

static DX_REALTIME void
drop_begun(struct dx_ax88772_receiver *r, struct dx_nic_counters *counters)
{
    if (r->frame_size)
        add(&counters->bad_lengths, 1);
    r->frame_size = 0;
    r->frame_have = 0;
    r->head_have = 0;
    r->may_pad = false;
}

/*
 * What is read here makes no sense: looks for the next header from an offset, or from the begin of the transfer
 * where this one was taken for the continuation of an earlier one.
 */
static DX_REALTIME void
begin_anew(struct dx_ax88772_receiver *r, uint32_t from, struct dx_nic_counters *counters)
{
    add(&counters->lost_sync, 1);
    drop_begun(r, counters);
    r->is_lost = r->is_unsure = true;
    if (!r->is_continued) {
        search(r, from);
        return;
    }
    r->is_continued = false;
    if (r->size >= DX_AX88772_HEADER_BYTES)
        search_from_begin(r);
    else
        r->at = r->size;
}

/*
 * Whether from an offset on the transfer is nothing but frames with plain headers: two, or one that ends with it.
 */
static DX_REALTIME bool
is_whole(const struct dx_ax88772_receiver *r, uint32_t at)
{
    uint32_t headers = 0;
    while (r->size - at >= DX_AX88772_HEADER_BYTES) {
        const uint32_t word = get_word(r->data + at), length = word & LENGTH_MASK;
        if (!word_is_plain(word) || !length_is_frame(length))
            return false;
        headers++;
        at += DX_AX88772_HEADER_BYTES;
        if (r->size - at < length)
            return headers > 1;
        at += length;
        at += (length & 1u) && at < r->size;
    }
    return headers > (at < r->size);
}

/*
 * The chip ends a transfer within a frame or a header only where its buffer is full, and a full buffer holds more
 * than the rest of any frame. So what is too short to show the header behind the frame that was begun, does not
 * end with that frame, and holds other frames to its end, does not continue it. Nor does one of frames only behind
 * one that ended with a short packet within that frame.
 *
 * @param size_before  of the transfer before, in bytes.
 */
static DX_REALTIME bool
begins_anew(struct dx_ax88772_receiver *r, uint32_t size_before)
{
    if (r->frame_have == r->frame_size)
        return false;
    if (size_before % PACKET_BYTES && is_whole(r, 0))
        return true;
    const uint32_t missing = r->frame_size - r->frame_have, chunk = missing + (r->frame_size & 1u);
    if (r->size == missing || r->size == chunk || r->size >= chunk + DX_AX88772_HEADER_BYTES)
        return false;
    for (uint32_t at = 0; at < r->size; at += 2) {
        if (is_whole(r, at)) {
            r->at = at;
            return true;
        }
    }
    return false;
}

void
dx_ax88772_begin(struct dx_ax88772_receiver *r, const uint8_t *data, uint32_t size,
                 struct dx_nic_counters *counters)
{
    const uint32_t size_before = r->size;
    r->data = data;
    r->size = size;
    r->at = 0;
    if (r->is_reset) {
        if (r->frame_size || r->head_have)
            add(&counters->lost_sync, 1);
        drop_begun(r, counters);
        r->is_reset = false;
        r->is_lost = true;
    }
    r->is_continued = r->frame_size || r->head_have;
    r->is_unsure = r->is_continued || r->is_lost;
    if (begins_anew(r, size_before)) {
        add(&counters->lost_sync, 1);
        drop_begun(r, counters);
        become_sure(r);
    } else if (!r->is_continued && size >= DX_AX88772_HEADER_BYTES) {
        if (r->is_lost)
            search_from_begin(r);
        else
            r->is_unsure = !word_is_plain(get_word(data));
    }
}

/* Takes bytes of a header until there are four. */
static DX_REALTIME bool
read_head(struct dx_ax88772_receiver *r)
{
    while (r->head_have < DX_AX88772_HEADER_BYTES && r->at < r->size)
        r->head[r->head_have++] = r->data[r->at++];
    return r->head_have == DX_AX88772_HEADER_BYTES;
}

/* Steps over the pad byte of a frame that has ended here. */
static DX_REALTIME void
skip_pad(struct dx_ax88772_receiver *r, uint32_t length)
{
    if ((length & 1u) && r->at < r->size)
        r->at++;
    else
        r->may_pad = length & 1u;
}

/* Copies what is there of the frame that is put together. */
static DX_REALTIME bool
fill_frame(struct dx_ax88772_receiver *r)
{
    const uint32_t missing = r->frame_size - r->frame_have, here = r->size - r->at;
    const uint32_t n = missing < here ? missing : here;
    if (n)
        memcpy(r->frame + r->frame_have, r->data + r->at, n);
    r->frame_have += n;
    r->at += n;
    return r->frame_have == r->frame_size;
}

/*
 * A header has been read, and all of its frame is in the transfer.
 *
 * @return whether to deliver it.
 */
static DX_REALTIME bool
take_whole(struct dx_ax88772_receiver *r, uint32_t length, struct dx_nic_counters *counters)
{
    const uint32_t begin = r->at;
    const bool is_frame = length_is_frame(length);
    r->at += length;
    skip_pad(r, length);
    if (is_frame && !r->is_unsure)
        return true;
    const enum follower follower = find_follower(r, r->at);
    if (!is_frame)
        add(&counters->bad_lengths, 1);
    if (follower == NOTHING_FITS) {
        add(&counters->bad_headers, is_frame);
        begin_anew(r, begin - 2, counters);
        return false;
    }
    if (is_frame && follower == CUT_OFF) {
        r->frame_size = r->frame_have = length; // kept until the rest of the next header has come
        memcpy(r->frame, r->data + begin, length);
        return false;
    }
    r->has_flags = r->has_flags || follower == FLAGGED_FITS;
    become_sure(r);
    return is_frame;
}

/* Goes on to the next header, and leaves it in the receiver. */
static DX_REALTIME bool
read_header(struct dx_ax88772_receiver *r, struct dx_nic_counters *counters)
{
    while (read_head(r)) {
        const uint32_t word = get_word(r->head), length = word & LENGTH_MASK;
        const bool may_pad = r->may_pad;
        r->may_pad = false;
        if (word_is_plain(word) ||
            (word_is_header(word) && !(r->is_unsure && is_contradicted(r, r->at + length + (length & 1u)))))
            return true;
        if (may_pad) {
            r->head_have--;
            memmove(r->head, r->head + 1, r->head_have);
        } else {
            add(&counters->bad_headers, 1);
            begin_anew(r, r->at - 2, counters);
        }
    }
    return false;
}

/* The frame that was put together has all its bytes. They are in two transfers at least: are these neighbours? */
static DX_REALTIME bool
confirm_filled(struct dx_ax88772_receiver *r, struct dx_nic_counters *counters)
{
    skip_pad(r, r->frame_size);
    switch (find_follower(r, r->at)) {
    case FLAGGED_FITS:
        if (!is_contradicted(r, r->at)) {
            r->has_flags = true;
            become_sure(r);
            return true;
        }
        __attribute__((fallthrough));
    case NOTHING_FITS:
        add(&counters->bad_headers, 1);
        begin_anew(r, r->at, counters);
        return false;
    case CUT_OFF:
        return false; // the header's rest will tell
    case END:
    case FITS:
        become_sure(r);
        return true;
    }
    return false;
}

static DX_REALTIME bool
deliver_filled(struct dx_ax88772_receiver *r, const uint8_t **ret_frame, uint32_t *ret_size)
{
    *ret_frame = r->frame;
    *ret_size = r->frame_size;
    r->frame_size = r->frame_have = 0;
    return true;
}

bool
dx_ax88772_next(struct dx_ax88772_receiver *r, const uint8_t **ret_frame, uint32_t *ret_size,
                struct dx_nic_counters *counters)
{
    for (;;) {
        if (r->frame_have == r->frame_size) { // none is put together, or one waits for what follows it
            if (!read_header(r, counters))
                return false;
            if (r->frame_size) // the header is read again; it came in two transfers, so that this stays unsure
                return deliver_filled(r, ret_frame, ret_size);
            r->head_have = 0;
            const uint32_t length = get_word(r->head) & LENGTH_MASK;
            if (length == 0)
                continue;
            if (length <= r->size - r->at) {
                *ret_frame = r->data + r->at;
                *ret_size = length;
                if (take_whole(r, length, counters))
                    return true;
                continue;
            }
            if (!length_is_frame(length)) {
                add(&counters->bad_lengths, 1);
                begin_anew(r, r->at - 2, counters);
                continue;
            }
            r->frame_size = length;
        }
        if (!fill_frame(r))
            return false;
        if (confirm_filled(r, counters))
            return deliver_filled(r, ret_frame, ret_size);
    }
}

void
dx_ax88772_reset_receiver(struct dx_ax88772_receiver *r)
{
    r->is_reset = true;
}

static DX_REALTIME void
put_word(uint8_t *bytes, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(word >> 8 * i);
}

uint32_t
dx_ax88772_send(const struct dx_ax88772_sender *sender, const uint8_t *const *frames, const uint32_t *sizes,
                uint32_t count, uint8_t *buffer, uint32_t *ret_size)
{
    uint32_t taken = 0, at = 0;
    while (taken < count && !(at & 1u)) {
        const uint32_t size = sizes[taken];
        if (size < DX_FRAME_MIN || size > sender->max_frame ||
            at + DX_AX88772_HEADER_BYTES + size + DX_AX88772_HEADER_BYTES > sender->capacity)
            break;
        put_word(buffer + at, word_of_length(size));
        memcpy(buffer + at + DX_AX88772_HEADER_BYTES, frames[taken], size);
        at += DX_AX88772_HEADER_BYTES + size;
        taken++;
    }
    if (taken && at % sender->packet == 0) {
        put_word(buffer + at, PADDING_WORD);
        at += DX_AX88772_HEADER_BYTES;
    }
    *ret_size = at;
    return taken;
}

uint32_t
dx_ax88772_hash(const uint8_t group[6])
{
    uint32_t crc = UINT32_MAX;
    for (unsigned i = 0; i < 6; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            const bool is_set = (crc >> 31 ^ (uint32_t)group[i] >> bit) & 1u;
            crc = crc << 1 ^ (is_set ? 0x04c11db7u : 0);
        }
    }
    return crc >> 26;
}
