// SPDX-License-Identifier: MIT
// What a driver's process may still do: closed before the driver's code is loaded, never opened again.

#ifndef DX_HOST_SANDBOX_H
#define DX_HOST_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Nothing here can be undone, and all of it holds for the calling thread and those that it starts: so it is closed
 * while there is one thread.  The kernel may be too old for a part, or this build may lack libseccomp: then the
 * other parts are closed all the same, and whoever asks is told which.
 */
enum dx_sandbox_part {
    DX_SANDBOX_LIMITS,     // real-time CPU time, descriptors, private memory, core files: see sandbox.c
    DX_SANDBOX_PRIVILEGES, // no capability but locking memory, and none by starting a program
    DX_SANDBOX_TRACING,    // no other process of the user looks into this one
    DX_SANDBOX_FILES,   // system libraries, the bundle and a few facts are read, nothing else, nothing is written
    DX_SANDBOX_NETWORK, // no TCP; only where the network was not granted
    DX_SANDBOX_PROCESSES, // no signals to others, no abstract sockets of others
    DX_SANDBOX_CALLS, // system calls that a driver has use for, and no others: no program, no process, no socket
    DX_SANDBOX_PARTS,
};

struct dx_sandbox_config {
    const char *bundle;        // its folder: read
    const char *library;       // the folder of our own libraries: read
    const char *socket_folder; // where the supervisor's socket is: connected to
    bool usb;                  // a USB device was handed in: requests to it by ioctl()
    bool network;              // granted: IPv4, IPv6, and asking which interfaces there are
};

/**
 * Sets limits: they hold whatever else is left open.
 *
 * @return bits (1 << DX_SANDBOX_LIMITS) that hold.
 */
uint32_t dx_sandbox_limit(void);

/**
 * Closes the rest.
 *
 * @param config  borrowed for the call.
 * @return bits (1 << DX_SANDBOX_...) that hold.
 *
 * Thread: the only one.
 */
uint32_t dx_sandbox_close(const struct dx_sandbox_config *config);

/** A part's name: "files".  A literal. */
const char *dx_sandbox_part_name(enum dx_sandbox_part part);

#endif /* DX_HOST_SANDBOX_H */
