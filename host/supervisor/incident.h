// SPDX-License-Identifier: MIT
// What went wrong: the supervisor's own list, and those of the devices' recorders.

#ifndef DX_HOST_SUPERVISOR_INCIDENT_H
#define DX_HOST_SUPERVISOR_INCIDENT_H

#include "host/supervisor/session.h"
#include "host/supervisor/unit.h"

/** Makes the list, with what an earlier supervisor left in the runtime folder. */
kern_return_t dx_incidents_open(struct dx_supervisor *supervisor);
void dx_incidents_close(struct dx_supervisor *supervisor);

/** A unit's process ended without having been asked to.  @param how  "was killed by SIGSEGV". */
void dx_incident_add_death(const struct dx_unit *unit, const char *how);
/** Given up. */
void dx_incident_add_failure(const struct dx_unit *unit);
/** A driver's own watchdog tells.  @param listing  NULL: of none of its devices. */
void dx_incident_add_told(const struct dx_unit *unit, const struct dx_listing *listing, const OSDictionary *told);

/** Writes what has not been written. */
void dx_incidents_keep(struct dx_supervisor *supervisor);

/** A session ends: incidents that name it are still to tell whose it was. */
void dx_incidents_remember(struct dx_supervisor *supervisor, const struct dx_session *session);

void dx_request_incidents(struct dx_supervisor *supervisor, const struct dx_request *request);

#endif /* DX_HOST_SUPERVISOR_INCIDENT_H */
