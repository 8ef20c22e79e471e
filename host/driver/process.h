// SPDX-License-Identifier: MIT
// The process in which drivers run: dextral-driver.  docs/design/machine.md and host/protocol.h have the whole of
// it.

#ifndef DX_HOST_DRIVER_PROCESS_H
#define DX_HOST_DRIVER_PROCESS_H

#include "host/sandbox.h"

#include <dextral/base.h>

/* How it ends, besides by a signal. */
enum dx_driver_exit {
    DX_DRIVER_EXIT_DONE = 0,        // told to quit, or left alone for long enough
    DX_DRIVER_EXIT_NOT_STARTED = 1, // no supervisor at descriptor 3, or no memory for the first steps
    DX_DRIVER_EXIT_NOT_LOADED = 2,  // the driver could not be loaded or started: `loaded` has told why
    DX_DRIVER_EXIT_BLOCKED = 3, // an IO thread did not come out of the driver's handler: `incident` has told which
    DX_DRIVER_EXIT_DOES_NOT_STOP = 4 // the driver did not stop in time
};

/* What the program brings, because the library that everybody links does without. */
struct dx_driver_process_config {
    int socket;                                                // the supervisor
    uint32_t (*limit)(void);                                   // as dx_sandbox_limit()
    uint32_t (*close)(const struct dx_sandbox_config *config); // as dx_sandbox_close()
    const char *(*part_name)(enum dx_sandbox_part part);       // as dx_sandbox_part_name()
};

/**
 * Is told what to load, closes the sandbox, loads, and serves until it is told to quit.
 *
 * Exported for dextral-driver alone: the bundle that it loads and the process must be on the same library.
 *
 * @return enum dx_driver_exit.
 *
 * Thread: the main one, before any other.
 */
DX_API int dx_driver_process_run(const struct dx_driver_process_config *config);

#endif /* DX_HOST_DRIVER_PROCESS_H */
