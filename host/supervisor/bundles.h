// SPDX-License-Identifier: MIT
// Driver bundles: looked for, approved, and their units made.

#ifndef DX_HOST_SUPERVISOR_BUNDLES_H
#define DX_HOST_SUPERVISOR_BUNDLES_H

#include "host/supervisor/unit.h"

/** Looks for bundles, again, and makes units of those that may run. */
void dx_bundles_scan(struct dx_supervisor *supervisor);
/** Starts those that never ran, to see which devices they have. */
void dx_bundles_learn(struct dx_supervisor *supervisor);

/** Makes units of the declared devices. */
void dx_declared_list(struct dx_supervisor *supervisor);
/** Makes a unit and a listing of one. */
kern_return_t dx_declared_add(struct dx_supervisor *supervisor, const struct dx_declared *declared);

/** The first unit of a bundle; NULL where there is none. */
struct dx_unit *dx_bundles_find_unit(const struct dx_supervisor *supervisor, const char *identifier);

void dx_request_drivers(struct dx_supervisor *supervisor, const struct dx_request *request);
void dx_request_approve(struct dx_supervisor *supervisor, const struct dx_request *request);
void dx_request_revoke(struct dx_supervisor *supervisor, const struct dx_request *request);
void dx_request_grant(struct dx_supervisor *supervisor, const struct dx_request *request);
void dx_request_restart(struct dx_supervisor *supervisor, const struct dx_request *request);

#endif /* DX_HOST_SUPERVISOR_BUNDLES_H */
