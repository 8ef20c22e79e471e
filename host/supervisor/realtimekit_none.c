// SPDX-License-Identifier: MIT
// A build without libsystemd asks nobody.

#include "host/supervisor/realtimekit.h"

bool
dx_realtimekit_ask(struct dx_unit *unit, uint64_t request, uint64_t thread, uint64_t priority)
{
    (void)unit;
    (void)request;
    (void)thread;
    (void)priority;
    return false;
}

void
dx_realtimekit_close(struct dx_supervisor *supervisor)
{
    (void)supervisor;
}
