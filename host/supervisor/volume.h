// SPDX-License-Identifier: MIT
// Volume and mute of programs, by device and name.

#ifndef DX_HOST_SUPERVISOR_VOLUME_H
#define DX_HOST_SUPERVISOR_VOLUME_H

#include "host/supervisor/session.h"

/** Reads what was set for a device before. */
void dx_volumes_read(struct dx_listing *listing);
void dx_volumes_free(struct dx_listing *listing);
/** Removes the file. */
void dx_volumes_forget(const struct dx_listing *listing);
/** Gives a session the volume of its program. */
void dx_volume_apply(struct dx_session *session);

/** [{name, gain-f64, mute}]: what was set.  +1, NULL without memory. */
OSArray *dx_volumes_describe(const struct dx_listing *listing);

/**
 * Sets it for every client of a program on a device, now and later.
 *
 * @param gain   NULL: it stays.
 * @param muted  NULL: it stays.
 */
kern_return_t dx_volume_set(struct dx_listing *listing, const char *program, const double *gain, const bool *muted,
                            dx_error *error);

#endif /* DX_HOST_SUPERVISOR_VOLUME_H */
