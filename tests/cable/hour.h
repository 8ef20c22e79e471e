// SPDX-License-Identifier: MIT
// A long run on the simulated clock: a device with two clients at 128 frames, 100 ppm of drift, and random jitter.

#ifndef DX_TESTS_CABLE_HOUR_H
#define DX_TESTS_CABLE_HOUR_H

#include <stdint.h>

struct hour_result {
    uint64_t log_hash;   // of the simulation's event log
    uint64_t bytes_hash; // of all that was recorded, and of when
    uint64_t switches;
    uint64_t cycles;
    uint64_t frames;     // recorded
    double wall_s;
};

/** Ends the program if a single frame is lost, late or changed. */
void hour_run(uint64_t seed, double seconds, struct hour_result *result);

#endif /* DX_TESTS_CABLE_HOUR_H */
