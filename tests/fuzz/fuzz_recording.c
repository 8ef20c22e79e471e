// SPDX-License-Identifier: MIT
// A recording that somebody else wrote: whatever its words say, what is read stays within what was asked for and can be
// computed with.  Records get right check sums, which no fuzzer guesses, or stay as they are.

#include "audio/recorder_layout.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

static void
take(struct input *input, void *value, size_t bytes)
{
    const size_t n = bytes < input->size ? bytes : input->size;
    memset(value, 0, bytes);
    if (n)
        memcpy(value, input->data, n);
    input->data += n;
    input->size -= n;
}

static void
seal(uint32_t *words, size_t count)
{
    uint64_t values[INCIDENT_WORDS / 2];
    for (size_t i = 0; i < count; i++)
        values[i] = words[2 * i] | (uint64_t)words[2 * i + 1] << 32;
    const uint64_t sum = sum_record(values, count);
    words[2 * count] = (uint32_t)sum;
    words[2 * count + 1] = (uint32_t)(sum >> 32);
}

/* One change of the region. */
static void
apply(struct input *input, uint32_t *words)
{
    uint8_t kind;
    uint16_t where;
    take(input, &kind, sizeof kind);
    take(input, &where, sizeof where);
    uint32_t *const state = words + STATES_AT + where % STATE_COUNT * STATE_WORDS;
    uint32_t *const incident = words + INCIDENTS_AT + where % DX_RECORDER_INCIDENTS * INCIDENT_WORDS;
    switch (kind % 4) {
    case 0: // any word
        take(input, &words[(size_t)where * 31u % REGION_WORDS], 4);
        break;
    case 1: // a whole state
        take(input, state, 4 * (STATE_WORDS - 2));
        seal(state, STATE_WORDS / 2 - 1);
        break;
    case 2: // a whole incident
        take(input, incident, 4 * (INCIDENT_WORDS - 2));
        seal(incident, INCIDENT_WORDS / 2 - 1);
        break;
    default: // a slice
        take(input, words + SLICES_AT + where % DX_RECORDER_SLICES * SLICE_WORDS, 4 * SLICE_WORDS);
        break;
    }
}

static void
read_all(const void *region, size_t bytes, uint32_t capacity)
{
    struct dx_recorded_slice *const slices = malloc(capacity * sizeof *slices); // exact: one too many is seen
    struct dx_incident *const incidents = malloc(capacity * sizeof *incidents);
    if (capacity && (!slices || !incidents))
        abort();
    const uint32_t slice_count = dx_recording_slices(region, bytes, slices, capacity);
    for (uint32_t i = 1; i < slice_count; i++)
        if (slices[i].number <= slices[i - 1].number)
            abort();
    const uint32_t incident_count = dx_recording_incidents(region, bytes, incidents, capacity);
    for (uint32_t i = 0; i < incident_count; i++)
        if (incidents[i].cause >= DX_CAUSE_COUNT)
            abort();
    uint64_t frame, host_ns;
    double ns_per_frame;
    if (dx_recording_line(region, bytes, &frame, &host_ns, &ns_per_frame) &&
        !(ns_per_frame >= 1.0 && ns_per_frame <= 1e10 && frame < UINT64_MAX >> 2 && host_ns < UINT64_MAX >> 2))
        abort();
    if (slice_count > capacity || incident_count > capacity)
        abort();
    free(slices);
    free(incidents);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    const size_t bytes = dx_recorder_bytes();
    uint32_t *const words = calloc(1, bytes);
    if (!words)
        abort();
    uint8_t capacity;
    take(&input, &capacity, sizeof capacity);
    if (capacity & 1u) {
        if (!dx_recorder_init(words, bytes))
            abort();
    } else {
        take(&input, words, 4 * HEAD_WORDS);
    }
    while (input.size)
        apply(&input, words);
    read_all(words, bytes, capacity);
    read_all(words, bytes, DX_RECORDER_SLICES + 1u);
    read_all(words, bytes - 4, capacity);

    /* Whoever goes on from there finds what it writes. */
    if (dx_recorder_init(words, bytes)) {
        struct dx_recorder recorder;
        struct dx_incident incident = {.cause = DX_CAUSE_ENGINE, .frames = 4711};
        dx_recorder_attach(&recorder, words);
        dx_recorder_incident(&recorder, &incident);
        (void)dx_recorder_cycle(&recorder, &(struct dx_cycle_times){.host_time_ns = 1});
        dx_recorder_line(&recorder, 7, 8, 9.0);
        uint64_t frame, host_ns;
        double ns_per_frame;
        if (dx_recording_incidents(words, bytes, &incident, 1) != 1 || incident.frames != 4711 ||
            !dx_recording_line(words, bytes, &frame, &host_ns, &ns_per_frame) || frame != 7)
            abort();
    }
    free(words);
    return 0;
}
