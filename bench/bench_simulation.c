// SPDX-License-Identifier: MIT
// Measures how long an hour takes on the simulated clock: a device with two clients, all at 128 frames and 48 kHz, a
// player and a recorder with tasks of their own, 100 ppm of drift, and zero timestamps that are late by up to 0.5 ms at
// random.  Every frame is numbered, checked by the driver and by the recorder, and hashed: that is part of the time.
//
// Limit: under 20 s on the wall.  The control is the CPU time of the same run: where the limit is missed and the wall
// shows more than 1.25 times the CPU's, somebody else had the CPU, and the verdict is NOISY.  --seconds is how long the
// bench may take; the hour is not shortened by it.

#include "bench.h"
#include "tests/cable/hour.h"

#include <stdio.h>

#define HOUR_S 3600.0
#define LIMIT_S 20.0
#define NOISE 1.25

static double
cpu_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int
main(int argc, char **argv)
{
    const struct bench_options options = bench_options(argc, argv, LIMIT_S);
    bench_print_machine(&options, "simulation");

    struct hour_result hour;
    const double begin = cpu_s();
    hour_run(1, HOUR_S, &hour);
    const double used = cpu_s() - begin;

    if (options.json)
        printf(", \"simulated_s\": %g, \"wall_s\": %.3f, \"cpu_s\": %.3f, \"cycles\": %llu, \"switches\": %llu, "
               "\"frames\": %llu, \"log_hash\": \"%016llx\", \"bytes_hash\": \"%016llx\", \"verdicts\": [",
               HOUR_S, hour.wall_s, used, (unsigned long long)hour.cycles, (unsigned long long)hour.switches,
               (unsigned long long)hour.frames, (unsigned long long)hour.log_hash,
               (unsigned long long)hour.bytes_hash);
    else
        printf("\n%g s simulated: %llu cycles, %llu task switches, %llu frames recorded\n"
               "log %016llx, bytes %016llx\n%.2f s on the wall, %.2f s of CPU: %.0f ns for each switch\n\n",
               HOUR_S, (unsigned long long)hour.cycles, (unsigned long long)hour.switches,
               (unsigned long long)hour.frames, (unsigned long long)hour.log_hash,
               (unsigned long long)hour.bytes_hash, hour.wall_s, used, 1e9 * used / (double)hour.switches);

    char figure[96];
    snprintf(figure, sizeof figure, "%.2f s (%.2f s of CPU)", hour.wall_s, used);
    const bool held = hour.wall_s < LIMIT_S;
    bench_print_verdict(&options, "", "an hour of two clients at 128 frames under 20 s", figure,
                        bench_judge(held, !held && hour.wall_s > NOISE * used));
    printf(options.json ? "\n]}\n" : "\n");
    return bench_exit_status();
}
