// SPDX-License-Identifier: MIT
// A driver whose clock does what the test says: drifts, jitters, jumps, goes back, stops.  What it is given to play
// and what it gives to record are numbered, so that every frame that is lost can be told.

#ifndef DX_TESTS_CABLE_SHAKY_H
#define DX_TESTS_CABLE_SHAKY_H

#include "tests/cable/rig.h"

/* Frame number k as a sample: mono float32, never silence, exact. */
#define SHAKY_NUMBERS ((UINT64_C(1) << 24) - 1u)

static inline float
shaky_sample(uint64_t k) DX_REALTIME
{
    return (float)(k % SHAKY_NUMBERS + 1u) / 1048576.0f;
}

/** What went by in order: numbers, silence between them, and numbers left out. */
struct shaky_tape {
    uint64_t next;    // number expected
    uint64_t exact;   // numbers seen
    uint64_t silent;  // silence since the first number, ...
    uint64_t pending; // ... and what may yet be the silence after the last one
    uint64_t missing; // numbers left out
    uint64_t gaps;    // how often
    uint64_t wrong;   // numbers that went back, or were none
};

/** Takes a sample in.  Thread: one at a time. */
void shaky_tape_add(struct shaky_tape *tape, float sample) DX_REALTIME;

/** What outlives the driver. */
struct shaky_tapes {
    uint64_t recorded;        // frames that were given to record: the next one's number
    struct shaky_tape played; // frames that were given to play
    uint64_t stall_ns;        // the next WriteEnd takes so long, once
};

struct shaky_config {
    const char *uid;
    uint32_t period_frames;
    double ppm;         // frames last so much longer than nominal
    uint64_t jitter_ns; // stamps are late by 0 ... jitter_ns
    uint64_t seed;      // of the jitter
    IOUserAudioClockAlgorithm algorithm;
    uint32_t input_safety, output_safety, late_tolerance;
    struct shaky_tapes *tapes;
};

/** +1; for dx_host_start_driver().  The configuration is copied. */
IOUserAudioDriver *shaky_create(const struct shaky_config *config);

/** What the clock is to do from now on. */
enum shaky_fault {
    SHAKY_JUMP,     // sample times go `frames` further, once
    SHAKY_BACK,     // sample times go `frames` back, once
    SHAKY_OFF_GRID, // one stamp is `frames` off its place
    SHAKY_FREEZE,   // no stamps
    SHAKY_THAW,     // stamps again, those of the meantime left out
    SHAKY_CLEAR,    // (0, 0), and from 0 again with the next stamp
};
void shaky_do(IOUserAudioDriver *driver, enum shaky_fault fault, uint64_t frames);

#endif /* DX_TESTS_CABLE_SHAKY_H */
