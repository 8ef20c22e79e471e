// SPDX-License-Identifier: MIT
// RealtimeKit: the system's own way to real-time priorities for who has no right to them.

#ifndef DX_HOST_SUPERVISOR_REALTIMEKIT_H
#define DX_HOST_SUPERVISOR_REALTIMEKIT_H

#include "host/supervisor/unit.h"

#define DX_REALTIMEKIT_MOST 20u // what it gives at most, as it is delivered

/**
 * Asks it for a priority for a thread of a unit's process, and answers the driver's request when it has answered.
 *
 * @param request  its number.
 * @return false: it cannot be asked, and nothing will be answered.
 */
bool dx_realtimekit_ask(struct dx_unit *unit, uint64_t request, uint64_t thread, uint64_t priority);

/** Forgets what is being asked. */
void dx_realtimekit_close(struct dx_supervisor *supervisor);

#endif /* DX_HOST_SUPERVISOR_REALTIMEKIT_H */
