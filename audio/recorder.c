// SPDX-License-Identifier: MIT
// The flight recorder's region, and its reading side.

#include "audio/recorder_layout.h"

#include <string.h>

/* Slices that may be overwritten while they are read. */
#define SLICES_AT_RISK 8u

size_t
dx_recorder_bytes(void)
{
    return REGION_WORDS * sizeof(uint32_t);
}

static uint32_t
load(const _Atomic uint32_t *words, size_t index)
{
    /* acquire: pairs with the release of the same word in dx_recorder_cycle(). */
    return atomic_load_explicit(&words[index], memory_order_acquire);
}

/* The words of a region; NULL where it is none, or one of another version. */
static const _Atomic uint32_t *
find_words(const void *region, size_t bytes)
{
    const _Atomic uint32_t *const words = region;
    if (!words || bytes < dx_recorder_bytes() || load(words, HEAD_MAGIC) != DX_RECORDER_MAGIC ||
        load(words, HEAD_VERSION) != DX_RECORDER_VERSION || load(words, HEAD_BYTES) != dx_recorder_bytes())
        return NULL;
    return words;
}

bool
dx_recorder_is_set_up(const void *region, size_t bytes)
{
    return find_words(region, bytes);
}

bool
dx_recorder_init(void *region, size_t bytes)
{
    _Atomic uint32_t *const words = region;
    if (bytes < dx_recorder_bytes())
        return false;
    if (dx_recorder_is_set_up(region, bytes))
        return true;
    for (size_t i = 0; i < HEAD_WORDS; i++)
        if (load(words, i) != 0)
            return false;
    atomic_store_explicit(&words[HEAD_BYTES], (uint32_t)dx_recorder_bytes(), memory_order_relaxed);
    atomic_store_explicit(&words[HEAD_VERSION], DX_RECORDER_VERSION, memory_order_relaxed);
    /* release: whoever finds the magic finds the rest. */
    atomic_store_explicit(&words[HEAD_MAGIC], DX_RECORDER_MAGIC, memory_order_release);
    return true;
}

/* ---- records ---- */

static bool
read_record(const _Atomic uint32_t *words, uint64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = load(words, 2 * i) | (uint64_t)load(words, 2 * i + 1) << 32;
    const uint64_t sum = load(words, 2 * count) | (uint64_t)load(words, 2 * count + 1) << 32;
    /* The number is the first. */
    return values[0] > 0 && values[0] < RECORDER_MOST && sum == sum_record(values, count);
}

static bool
read_newest_state(const _Atomic uint32_t *words, struct state_record *ret_state)
{
    bool found = false;
    for (uint32_t i = 0; i < STATE_COUNT; i++) {
        struct state_record state;
        if (read_record(words + STATES_AT + i * STATE_WORDS, &state.number, sizeof state / sizeof state.number) &&
            state.number % STATE_COUNT == i && state.slices < RECORDER_MOST && state.slice_ns < RECORDER_MOST &&
            (!found || state.number > ret_state->number)) {
            *ret_state = state;
            found = true;
        }
    }
    return found;
}

static bool
read_incident(const _Atomic uint32_t *words, uint32_t index, struct incident_record *record)
{
    return read_record(words + INCIDENTS_AT + index * INCIDENT_WORDS, &record->number,
                       sizeof *record / sizeof record->number) &&
           record->number % DX_RECORDER_INCIDENTS == index;
}

/* The largest number of an incident; 0: there is none. */
static uint64_t
find_last_incident(const _Atomic uint32_t *words)
{
    uint64_t last = 0;
    for (uint32_t i = 0; i < DX_RECORDER_INCIDENTS; i++) {
        struct incident_record record;
        if (read_incident(words, i, &record) && record.number > last)
            last = record.number;
    }
    return last;
}

void
dx_recorder_attach(struct dx_recorder *recorder, void *region)
{
    memset(recorder, 0, sizeof *recorder);
    if (!region)
        return;
    recorder->words = region;
    recorder->incidents = find_last_incident(recorder->words);
    struct state_record state = {.number = 0};
    (void)read_newest_state(recorder->words, &state);
    recorder->states = state.number;
    recorder->slices = state.slices;
    /* Nobody has counted that far: it was scribbled over, and what comes next would seem to be older. */
    const uint64_t most = RECORDER_MOST / 2;
    if (recorder->incidents > most || recorder->states > most || recorder->slices > most) {
        for (size_t i = HEAD_WORDS; i < REGION_WORDS; i++)
            atomic_store_explicit(&recorder->words[i], 0, memory_order_relaxed);
        recorder->incidents = recorder->states = recorder->slices = 0;
    }
}

/* ---- reading ---- */

/* The longest duration that is stored as this. */
static uint64_t
decode_duration(uint32_t code)
{
    if (code < 8)
        return code;
    const uint32_t shift = (code >> 3) - 1u;
    return ((uint64_t)((code & 7u) + 9u) << shift) - 1u;
}

uint32_t
dx_recording_slices(const void *region, size_t bytes, struct dx_recorded_slice *slices, uint32_t capacity)
{
    const _Atomic uint32_t *const words = find_words(region, bytes);
    struct state_record state;
    if (!words || !read_newest_state(words, &state))
        return 0;
    const uint64_t kept = DX_RECORDER_SLICES - SLICES_AT_RISK;
    uint64_t number = state.slices > kept ? state.slices - kept : 0;
    if (state.slices - number > capacity)
        number = state.slices - capacity;

    uint32_t count = 0;
    for (; number < state.slices; number++) {
        const _Atomic uint32_t *const slice = words + SLICES_AT + number % DX_RECORDER_SLICES * SLICE_WORDS;
        const uint32_t packed = load(slice, 0);
        if (!(packed >> 24 & SLICE_IS_THERE))
            continue; // its writer died at it
        /* Milliseconds, about, before the newest: the low half of them is kept. */
        const uint32_t before = (uint32_t)(state.slice_ns >> 20) - load(slice, 1);
        const uint64_t before_ns = (uint64_t)before << 20;
        slices[count++] = (struct dx_recorded_slice){
            .number = number,
            .host_time_ns = before_ns < state.slice_ns ? state.slice_ns - before_ns : 0,
            .lateness_ns = decode_duration(packed & 0xFFu),
            .handler_ns = decode_duration(packed >> 8 & 0xFFu),
            .cycle_ns = decode_duration(packed >> 16 & 0xFFu),
            .flags = packed >> 24 & (SLICE_IS_THERE - 1u),
        };
    }
    return count;
}

uint32_t
dx_recording_incidents(const void *region, size_t bytes, struct dx_incident *incidents, uint32_t capacity)
{
    const _Atomic uint32_t *const words = find_words(region, bytes);
    const uint64_t last = words ? find_last_incident(words) : 0;
    const uint64_t most = capacity < DX_RECORDER_INCIDENTS ? capacity : DX_RECORDER_INCIDENTS;

    uint32_t count = 0;
    for (uint64_t number = last > most ? last - most + 1 : 1; number <= last; number++) {
        struct incident_record record;
        if (!read_incident(words, (uint32_t)(number % DX_RECORDER_INCIDENTS), &record) ||
            record.number != number || (uint32_t)record.cause_and_frames >= DX_CAUSE_COUNT)
            continue;
        struct dx_incident *const incident = &incidents[count++];
        *incident = (struct dx_incident){
            .host_time_ns = record.host_time_ns,
            .device_time = record.device_time,
            .client = record.client,
            .cause = (uint32_t)record.cause_and_frames,
            .frames = (uint32_t)(record.cause_and_frames >> 32),
            .count = (uint32_t)record.count,
        };
        memcpy(incident->intervals_ns, record.intervals_ns, sizeof incident->intervals_ns);
    }
    return count;
}

bool
dx_recording_line(const void *region, size_t bytes, uint64_t *ret_frame, uint64_t *ret_host_ns,
                  double *ret_ns_per_frame)
{
    const _Atomic uint32_t *const words = find_words(region, bytes);
    struct state_record state;
    if (!words || !read_newest_state(words, &state))
        return false;
    double ns_per_frame;
    memcpy(&ns_per_frame, &state.ns_per_frame_bits, sizeof ns_per_frame);
    if (!(ns_per_frame >= 1.0 && ns_per_frame <= 1e10) || state.frame >= RECORDER_MOST ||
        state.host_ns >= RECORDER_MOST)
        return false;
    *ret_frame = state.frame;
    *ret_host_ns = state.host_ns;
    *ret_ns_per_frame = ns_per_frame;
    return true;
}
