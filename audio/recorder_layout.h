// SPDX-License-Identifier: MIT
// Where things are in a flight recorder's region: for its writing and its reading side alone.

#ifndef DX_AUDIO_RECORDER_LAYOUT_H
#define DX_AUDIO_RECORDER_LAYOUT_H

#include "audio/recorder.h"

#include <stddef.h>

/* All in words of 32 bits. */
enum {
    HEAD_MAGIC = 0,
    HEAD_VERSION = 1,
    HEAD_BYTES = 2,
    HEAD_WORDS = 16,

    STATE_COUNT = 4,
    STATE_WORDS = 16,

    SLICE_WORDS = 2,

    INCIDENT_WORDS = 40,

    STATES_AT = HEAD_WORDS,
    SLICES_AT = STATES_AT + STATE_COUNT * STATE_WORDS,
    INCIDENTS_AT = SLICES_AT + (int)DX_RECORDER_SLICES * SLICE_WORDS,
    REGION_WORDS = INCIDENTS_AT + (int)DX_RECORDER_INCIDENTS * INCIDENT_WORDS,
};

/* Numbers and times beyond are no numbers and times: they can be computed with. */
#define RECORDER_MOST (UINT64_MAX >> 2)

/* As a state holds it: 64 bits each, then its check sum. */
struct state_record {
    uint64_t number;
    uint64_t slices;
    uint64_t slice_ns; // when the last of them began
    uint64_t frame;
    uint64_t host_ns;
    uint64_t ns_per_frame_bits;
    uint64_t reserved;
};
_Static_assert(sizeof(struct state_record) == 4u * (STATE_WORDS - 2), "a state and its check sum fill its words");

struct incident_record {
    uint64_t number;
    uint64_t host_time_ns;
    uint64_t device_time;
    uint64_t client;
    uint64_t cause_and_frames; // cause in the low half
    uint64_t count;
    uint64_t intervals_ns[DX_RECORDER_INTERVALS];
    uint64_t reserved;
};
_Static_assert(sizeof(struct incident_record) == 4u * (INCIDENT_WORDS - 2),
               "an incident and its check sum fill its words");
_Static_assert((unsigned)DX_CAUSE_COUNT <= DX_RECORDER_INTERVALS, "each cause has its interval");

/* Of a slice's first word, beside its flags: it was written. */
#define SLICE_IS_THERE 0x80u

/*
 * Says whether a record is whole.  A sum of products with odd numbers of all bits: a record of which some words are those of
 * another gives another sum, but for one in 2^64.
 */
static inline uint64_t
sum_record(const uint64_t *values, size_t count) DX_REALTIME
{
    uint64_t sum = 0x9E3779B97F4A7C15u;
    uint64_t factor = 0xD6E8FEB86659FD93u;
    for (size_t i = 0; i < count; i++) {
        sum += values[i] * factor;
        factor = factor * 0xA0761D6478BD642Fu;
    }
    return sum ^ sum >> 29;
}

#endif /* DX_AUDIO_RECORDER_LAYOUT_H */
