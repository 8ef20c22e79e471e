// SPDX-License-Identifier: MIT
// What is remembered by itself, in the state folder: saved states of drivers, and descriptions of devices.

#ifndef DX_HOST_SUPERVISOR_KEEP_H
#define DX_HOST_SUPERVISOR_KEEP_H

#include "host/supervisor/unit.h"

#define DX_KEEP_DESCRIPTIONS "descriptions" // the folder of them, by device

/** Something has changed: it is written within a second. */
void dx_keep_soon(struct dx_supervisor *supervisor);
/** Writes at once what has changed. */
void dx_keep_now(struct dx_supervisor *supervisor);

/** A driver tells its saved state; it is kept, and given to the next one.  NULL is ignored. */
void dx_keep_state(struct dx_unit *unit, OSDictionary *state);
/** Reads the saved state of a unit. */
void dx_keep_read_unit(struct dx_unit *unit);

/** Keeps which devices a bundle's driver has. */
void dx_keep_learned(struct dx_unit *unit);
/** Lists the devices that a bundle's driver had.  false: it never ran. */
bool dx_keep_read_learned(struct dx_unit *unit);

/** The description of a device that its driver gave last; +1, NULL where there is none that still holds. */
OSDictionary *dx_keep_read_description(const struct dx_listing *listing);

/** Forgets all of a declared device. */
void dx_keep_forget(struct dx_unit *unit);

/* leftover.c */

/** Forgets descriptions and recordings of devices that are not listed, but for those that came last. */
void dx_leftovers_trim(const struct dx_supervisor *supervisor);
/** A device is no longer listed: what it leaves behind is looked at when there is more of it. */
void dx_leftovers_add(struct dx_supervisor *supervisor);

#endif /* DX_HOST_SUPERVISOR_KEEP_H */
