// SPDX-License-Identifier: MIT
// The wire thread's side: RTP (RFC 3550) with L24 (RFC 3190).

#include "backends/usb/bundle/packets.h"

#include <math.h>
#include <string.h>

#define NS_PER_S UINT64_C(1000000000)
#define MOST_AHEAD_FRAMES (PACKETS_RING_FRAMES / 2u)
#define MOST_BEHIND_FRAMES 4800u // what is due for longer is not sent any more
#define MAX_TAKEN_FRAMES 480u    // of one packet
#define FULL_SCALE 8388608.0f

/* ---- time ---- */

static uint64_t
ns_of_frames(uint64_t frames)
{
    return frames / PACKETS_RATE_HZ * NS_PER_S + frames % PACKETS_RATE_HZ * NS_PER_S / PACKETS_RATE_HZ;
}

static uint64_t
frames_in_ns(uint64_t ns)
{
    return ns / NS_PER_S * PACKETS_RATE_HZ + ns % NS_PER_S * PACKETS_RATE_HZ / NS_PER_S;
}

void
packets_init(struct packets *packets, uint32_t channels, uint32_t source)
{
    memset((void *)packets, 0, sizeof *packets); // no page faults later
    packets->channels = channels;
    packets->source = source;
}

void
packets_start(struct packets *packets, uint64_t start_ns)
{
    /* release: pairs with the acquire in packets_make() and packets_take(). */
    atomic_store_explicit(&packets->start_ns, start_ns, memory_order_release);
}

/* ---- samples ---- */

static void
put_sample(uint8_t *to, float value)
{
    const float scaled = isnan(value) ? 0.0f : fminf(fmaxf(value * FULL_SCALE, -FULL_SCALE), FULL_SCALE - 1.0f);
    const uint32_t integer = (uint32_t)(int32_t)lrintf(scaled);
    to[0] = (uint8_t)(integer >> 16);
    to[1] = (uint8_t)(integer >> 8);
    to[2] = (uint8_t)integer;
}

static float
get_sample(const uint8_t *from)
{
    const uint32_t integer = (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8;
    return (float)((int32_t)integer / 256) / FULL_SCALE;
}

static void
put_word(uint8_t *to, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(word >> (24 - 8 * i));
}

static uint32_t
get_word(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* ---- out ---- */

static uint32_t
fill(struct packets *packets, uint8_t *bytes)
{
    bytes[0] = 0x80; // version 2
    bytes[1] = PACKETS_PAYLOAD_TYPE;
    bytes[2] = (uint8_t)(packets->sequence >> 8);
    bytes[3] = (uint8_t)packets->sequence;
    put_word(bytes + 4, packets->first_timestamp + (uint32_t)packets->next_frame);
    put_word(bytes + 8, packets->source);
    packets->sequence++;
    float samples[PACKETS_FRAMES * PACKETS_MAX_CHANNELS];
    packets_ring_get(&packets->outgoing, packets->sending_start_ns, packets->next_frame, samples, PACKETS_FRAMES,
                     packets->channels);
    uint8_t *to = bytes + PACKETS_HEAD_BYTES;
    for (uint32_t i = 0; i < PACKETS_FRAMES * packets->channels; i++, to += 3)
        put_sample(to, samples[i]);
    packets->next_frame += PACKETS_FRAMES;
    return (uint32_t)(to - bytes);
}

uint32_t
packets_make(struct packets *packets, uint64_t now_ns, uint8_t bytes[PACKETS_MAX_BYTES], uint64_t *ret_due_ns)
{
    /* acquire: pairs with packets_start(). */
    const uint64_t start_ns = atomic_load_explicit(&packets->start_ns, memory_order_acquire);
    *ret_due_ns = UINT64_MAX;
    if (!start_ns)
        return 0;
    if (start_ns != packets->sending_start_ns) {
        if (packets->sending_start_ns)
            packets->first_timestamp += (uint32_t)frames_in_ns(start_ns - packets->sending_start_ns);
        packets->sending_start_ns = start_ns;
        packets->next_frame = 0;
    }
    /* A packet is due when its last frame is. */
    const uint64_t now = now_ns > start_ns ? frames_in_ns(now_ns - start_ns) : 0;
    if (now > packets->next_frame + MOST_BEHIND_FRAMES)
        packets->next_frame = now / PACKETS_FRAMES * PACKETS_FRAMES;
    const bool is_due = now >= packets->next_frame + PACKETS_FRAMES;
    const uint32_t size = is_due ? fill(packets, bytes) : 0;
    *ret_due_ns = start_ns + ns_of_frames(packets->next_frame + PACKETS_FRAMES) + 1; // rounded up: then it is due
    return size;
}

/* ---- in ---- */

/* A payload within a packet; false: it is none that is understood. */
static bool
find_payload(const struct packets *packets, const uint8_t *bytes, uint32_t size, uint32_t *ret_at, uint32_t *ret_frames)
{
    if (size < PACKETS_HEAD_BYTES || bytes[0] >> 6 != 2 || (bytes[1] & 0x7f) < 96)
        return false; // audio of other kinds has numbers of its own
    uint32_t at = PACKETS_HEAD_BYTES + 4u * (bytes[0] & 0x0f);
    if (bytes[0] & 0x10) { // an extension
        if (size < at + 4)
            return false;
        at += 4u + 4u * ((uint32_t)bytes[at + 2] << 8 | bytes[at + 3]);
    }
    const uint32_t padding = bytes[0] & 0x20 ? bytes[size - 1] : 0;
    if (at + padding >= size)
        return false;
    const uint32_t payload = size - at - padding;
    *ret_at = at;
    *ret_frames = payload / (3 * packets->channels);
    return payload % (3 * packets->channels) == 0 && *ret_frames <= MAX_TAKEN_FRAMES;
}

/* Where the packet's first frame goes: after what came before, or, where that makes no sense, a little ahead of now. */
static uint64_t
find_frame(struct packets *packets, uint32_t sender, uint32_t timestamp, uint32_t frames, uint64_t now)
{
    const int64_t ahead = (int64_t)(packets->expected_frame - now) + (int32_t)(timestamp - packets->expected);
    if (packets->is_anchored && sender == packets->sender && ahead >= (int64_t)PACKETS_FRAMES &&
        ahead + frames <= (int64_t)MOST_AHEAD_FRAMES)
        return now + (uint64_t)ahead;
    packets->is_anchored = true;
    packets->sender = sender;
    /* relaxed: a count. */
    (void)atomic_fetch_add_explicit(&packets->anchored, 1, memory_order_relaxed);
    return now + PACKETS_DELAY_FRAMES;
}

void
packets_take(struct packets *packets, const uint8_t *bytes, uint32_t size, uint64_t received_ns)
{
    uint32_t at = 0;
    uint32_t frames = 0;
    if (!find_payload(packets, bytes, size, &at, &frames)) {
        /* relaxed: a count. */
        (void)atomic_fetch_add_explicit(&packets->refused, 1, memory_order_relaxed);
        return;
    }
    (void)atomic_fetch_add_explicit(&packets->received, 1, memory_order_relaxed);
    /* acquire: pairs with packets_start(). */
    const uint64_t start_ns = atomic_load_explicit(&packets->start_ns, memory_order_acquire);
    if (!start_ns || received_ns < start_ns)
        return; // nobody listens
    if (start_ns != packets->receiving_start_ns)
        packets->is_anchored = false;
    packets->receiving_start_ns = start_ns;
    const uint64_t now = frames_in_ns(received_ns - start_ns);
    const uint32_t timestamp = get_word(bytes + 4);
    const uint64_t frame = find_frame(packets, get_word(bytes + 8), timestamp, frames, now);
    for (uint32_t i = 0; i < frames; i++) {
        float samples[PACKETS_MAX_CHANNELS];
        for (uint32_t channel = 0; channel < packets->channels; channel++, at += 3)
            samples[channel] = get_sample(bytes + at);
        packets_ring_put(&packets->incoming, start_ns, frame + i, samples, 1, packets->channels);
    }
    packets->expected = timestamp + frames;
    packets->expected_frame = frame + frames;
}
