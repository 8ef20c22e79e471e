// SPDX-License-Identifier: MIT
// What processes do that several benches start.

#ifndef DX_BENCH_ROLES_H
#define DX_BENCH_ROLES_H

#include "child.h"

/* A thread that wakes each period by clock_nanosleep(), FIFO where it may, and does nothing but see how late it is:
 * PERIOD_NS. */
int bench_role_bare(struct bench_shared *shared, struct bench_report *report, char **arguments);

/*
 * Clients of a device of the machine with callbacks, which read and write all of their frames:
 * UID FRAMES LEAD CHANNELS CLIENTS.  LEAD 0: as it is by default.  What is written is a tenth of what was read: many of them do not add up.
 */
int bench_role_clients(struct bench_shared *shared, struct bench_report *report, char **arguments);

/* One that sends its signal through the first channel of the device: UID FRAMES LEAD CHANNELS. */
int bench_role_signal(struct bench_shared *shared, struct bench_report *report, char **arguments);

/* The same two for JACK, and for PipeWire's library of that name: ports to play to and record from, apart by a blank. */
int bench_role_jack(struct bench_shared *shared, struct bench_report *report, char **arguments);
int bench_role_jack_signal(struct bench_shared *shared, struct bench_report *report, char **arguments);

#define BENCH_ROLES                                                                                         \
    {"bare", bench_role_bare}, {"clients", bench_role_clients}, {"signal", bench_role_signal},              \
        {"jack", bench_role_jack}, {"jack-signal", bench_role_jack_signal}

#endif /* DX_BENCH_ROLES_H */
