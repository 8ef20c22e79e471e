// SPDX-License-Identifier: MIT
// Zero timestamps from a driver that lies: the timeline stays finite, its counters add up.

#include "audio/timeline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const IOUserAudioClockAlgorithm algorithms[] = {
        IOUserAudioClockAlgorithmRaw,
        IOUserAudioClockAlgorithmSimpleIIR,
        IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage,
        0x3f3f3f3f, // another version's
    };
    if (size < 4)
        return 0;
    const struct dx_timeline_config config = {
        .rate_hz = data[0] & 1u ? 8000.0 : 192000.0,
        .period_frames = 1u + ((uint32_t)data[1] << (data[2] % 16u)),
        .algorithm = algorithms[data[0] >> 6],
        .is_stable = data[0] & 2u,
    };
    struct dx_timeline timeline;
    dx_timeline_init(&timeline, &config);

    struct dx_stamp stamp = {.count = 0};
    for (size_t at = 3; at + 17 <= size; at += 17) {
        uint64_t sample_time;
        uint64_t host_time_ns;
        memcpy(&sample_time, data + at + 1, sizeof sample_time);
        memcpy(&host_time_ns, data + at + 9, sizeof host_time_ns);
        if (data[at] & 1u) { // close to what a good driver would post
            const uint64_t step = 1u + (data[at] >> 6);
            sample_time = stamp.sample_time + step * config.period_frames;
            host_time_ns = stamp.host_time_ns +
                           (uint64_t)((double)(step * config.period_frames) / config.rate_hz * 1e9) +
                           host_time_ns % 1000000u;
        }
        stamp = (struct dx_stamp){sample_time, host_time_ns, stamp.count + 1u + ((data[at] >> 1) & 3u)};
        (void)dx_timeline_take(&timeline, &stamp);
        if (!isfinite(timeline.ns_per_frame) || timeline.ns_per_frame <= 0.0 ||
            !isfinite(timeline.anchor_fraction) || timeline.bad_stamps > timeline.stamps ||
            timeline.reanchors > timeline.stamps)
            abort();
        if (timeline.valid) {
            const double position = dx_timeline_position(&timeline, host_time_ns);
            if (!isfinite(position))
                abort();
            (void)dx_timeline_host_ns(&timeline, position);
        }
    }
    return 0;
}
