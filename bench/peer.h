// SPDX-License-Identifier: MIT
// Others that do the same: a JACK server with the dummy driver, and PipeWire with a null sink.  Neither is linked: they
// are started, and their clients load libjack.

#ifndef DX_BENCH_PEER_H
#define DX_BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum bench_peer { BENCH_JACK, BENCH_PIPEWIRE, BENCH_PEER_COUNT };

const char *bench_peer_name(enum bench_peer peer);

/* What is missing for it, in Debian's names; NULL: nothing. */
const char *bench_peer_missing(enum bench_peer peer);

/* Starts the server, 48 kHz, so many frames at a time; its process.  Clients that are started from then on find it.
 * Ends the program where it does not start. */
pid_t bench_peer_start(enum bench_peer peer, uint32_t frames);

/* Ends it: after its clients.  With the program it ends by itself. */
void bench_peer_stop(void);

/* The arguments for bench_role_jack(): ports to play to, and to record from. */
const char *const *bench_peer_ports(enum bench_peer peer);

#endif /* DX_BENCH_PEER_H */
