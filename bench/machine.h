// SPDX-License-Identifier: MIT
// A machine to measure: a supervisor with driver processes, in folders of the bench's own, from the folder it was built in.

#ifndef DX_BENCH_MACHINE_H
#define DX_BENCH_MACHINE_H

#include <dextral/dextral.h>
#include <dextral/directory.h>

#include <sys/types.h>

#define BENCH_MOST_PIDS 600

/* Starts it; it ends with the program, or before.  Ends the program where it does not start. */
void bench_machine_start(void);
void bench_machine_stop(void);

/* The connection to it. */
dx_directory *bench_machine_directory(void);

/* Declares a cable, 48 kHz; `ring_frames` 0: as it is by default. */
void bench_machine_create_cable(const char *uid, uint32_t channels, uint32_t ring_frames);

/* The device, to be given back with dx_device_release(). */
dx_device *bench_machine_device(const char *uid);

/* A number of its description; 0 where it has none. */
uint64_t bench_machine_number(dx_device *device, const char *key);

/* The supervisor, and the driver processes that run; how many. */
size_t bench_machine_pids(pid_t pids[BENCH_MOST_PIDS]);

/* CPU time that processes have taken so far, user and system. */
uint64_t bench_cpu_ns(const pid_t *pids, size_t count);

/* CPU time that all of the machine has taken so far, whoever it was. */
uint64_t bench_busy_ns(void);

/* The folder that the programs of this build are in, with what lies there: "cli/dextral".  A buffer of its own for each. */
char *bench_build_path(const char *name);

void bench_sleep(double seconds);

#endif /* DX_BENCH_MACHINE_H */
