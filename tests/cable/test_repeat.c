// SPDX-License-Identifier: MIT
// The same simulated run gives the same bytes and the same event log twice; another seed gives another order, and
// passes too.  Five minutes of two clients at 128 frames, with drift and jitter; the hour is bench/bench_simulation.c.

#include "tests/cable/hour.h"

#include "tests/core/check.h"

#define SEEDS 3u

int
main(int argc, char **argv)
{
    const double seconds = argc > 1 ? atof(argv[1]) : 300.0;
    struct hour_result results[SEEDS];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct hour_result *const one = &results[seed];
        struct hour_result again;
        hour_run(seed, seconds, one);
        hour_run(seed, seconds, &again);
        (void)fprintf(stderr, "seed %llu: log %016llx, bytes %016llx, %llu cycles, %llu switches, %.2f s\n",
                      (unsigned long long)seed, (unsigned long long)one->log_hash,
                      (unsigned long long)one->bytes_hash, (unsigned long long)one->cycles,
                      (unsigned long long)one->switches, one->wall_s);
        CHECK_EQ(one->log_hash, again.log_hash);
        CHECK_EQ(one->bytes_hash, again.bytes_hash);
        CHECK_EQ(one->cycles, again.cycles);
        for (uint64_t other = 0; other < seed; other++) {
            CHECK(one->log_hash != results[other].log_hash);
            CHECK(one->bytes_hash != results[other].bytes_hash); // other jitter, so other host times
        }
    }
    return 0;
}
