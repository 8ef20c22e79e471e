// SPDX-License-Identifier: MIT
// The flight recorder's writing side, on the IO thread.

#include "audio/recorder_layout.h"

#include <string.h>

static void
store_value(_Atomic uint32_t *words, uint64_t value) DX_REALTIME
{
    /* relaxed: the check sum tells readers whether they have all of it. */
    atomic_store_explicit(&words[0], (uint32_t)value, memory_order_relaxed);
    atomic_store_explicit(&words[1], (uint32_t)(value >> 32), memory_order_relaxed);
}

static void
store_record(_Atomic uint32_t *words, const uint64_t *values, size_t count) DX_REALTIME
{
    for (size_t i = 0; i < count; i++)
        store_value(words + 2 * i, values[i]);
    store_value(words + 2 * count, sum_record(values, count));
}

/* 0 ... 255: as it is below 8, above in eight steps an octave. */
static uint32_t
encode_duration(uint64_t ns) DX_REALTIME
{
    if (ns < 8)
        return (uint32_t)ns;
    const uint32_t bit = 63u - (uint32_t)__builtin_clzll(ns);
    return bit > 33u ? 255u : (bit - 2u) * 8u + ((uint32_t)(ns >> (bit - 3u)) & 7u);
}

static void
keep_longest(uint64_t *longest_ns, uint64_t ns) DX_REALTIME
{
    *longest_ns = ns > *longest_ns ? ns : *longest_ns;
}

bool
dx_recorder_cycle(struct dx_recorder *recorder, const struct dx_cycle_times *times) DX_REALTIME
{
    if (!recorder->words)
        return false;
    struct dx_cycle_times *const slice = &recorder->slice;
    const bool is_new =
        !recorder->is_open || times->host_time_ns - slice->host_time_ns >= DX_RECORDER_SLICE_NS;
    if (is_new) {
        *slice = *times;
        recorder->is_open = true;
        recorder->slices++;
    } else {
        keep_longest(&slice->lateness_ns, times->lateness_ns);
        keep_longest(&slice->handler_ns, times->handler_ns);
        keep_longest(&slice->cycle_ns, times->cycle_ns);
        slice->flags |= times->flags;
    }

    _Atomic uint32_t *const words =
        recorder->words + SLICES_AT + (recorder->slices - 1) % DX_RECORDER_SLICES * SLICE_WORDS;
    if (is_new) {
        /* relaxed, and release: whoever sees the new time does not see the old values. */
        atomic_store_explicit(&words[0], 0, memory_order_relaxed);
        atomic_store_explicit(&words[1], (uint32_t)(slice->host_time_ns >> 20), memory_order_release);
    }
    const uint32_t packed = encode_duration(slice->lateness_ns) | encode_duration(slice->handler_ns) << 8 |
                            encode_duration(slice->cycle_ns) << 16 | (slice->flags | SLICE_IS_THERE) << 24;
    /* release: pairs with the acquire in dx_recording_slices(); its time is there. */
    atomic_store_explicit(&words[0], packed, memory_order_release);
    return is_new;
}

void
dx_recorder_line(struct dx_recorder *recorder, uint64_t frame, uint64_t host_ns, double ns_per_frame) DX_REALTIME
{
    if (!recorder->words)
        return;
    struct state_record state = {
        .number = ++recorder->states,
        .slices = recorder->slices,
        .slice_ns = recorder->slice.host_time_ns,
        .frame = frame,
        .host_ns = host_ns,
    };
    memcpy(&state.ns_per_frame_bits, &ns_per_frame, sizeof ns_per_frame);
    store_record(recorder->words + STATES_AT + state.number % STATE_COUNT * STATE_WORDS, &state.number,
                 sizeof state / sizeof state.number);
}

void
dx_recorder_incident(struct dx_recorder *recorder, const struct dx_incident *incident) DX_REALTIME
{
    if (!recorder->words)
        return;
    struct incident_record record = {
        .number = ++recorder->incidents,
        .host_time_ns = incident->host_time_ns,
        .device_time = incident->device_time,
        .client = incident->client,
        .cause_and_frames = incident->cause | (uint64_t)incident->frames << 32,
        .count = incident->count,
    };
    memcpy(record.intervals_ns, incident->intervals_ns, sizeof incident->intervals_ns);
    store_record(recorder->words + INCIDENTS_AT + record.number % DX_RECORDER_INCIDENTS * INCIDENT_WORDS,
                 &record.number, sizeof record / sizeof record.number);
}
