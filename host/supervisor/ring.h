// SPDX-License-Identifier: MIT
// Input rings of drivers: who has which, and how much that is.

#ifndef DX_HOST_SUPERVISOR_RING_H
#define DX_HOST_SUPERVISOR_RING_H

#include "host/supervisor/session.h"

/**
 * Makes a driver's input ring the session's: sealed, and counted.
 *
 * @param fd      of the driver, borrowed.
 * @param ret_fd  of the same memory, read-only, the caller's to close().
 * @return errors of dx_memory_seal(); kIOReturnNoResources (its driver has handed out too many rings, or too large ones);
 *         kIOReturnNoMemory.
 */
kern_return_t dx_session_take_ring(struct dx_session *session, int fd, int *ret_fd, dx_error *error);

/** The session has it no more; one without a ring is fine. */
void dx_session_drop_ring(struct dx_session *session);

#endif /* DX_HOST_SUPERVISOR_RING_H */
