// SPDX-License-Identifier: MIT
// What a service manager hands over, and is told.

#ifndef DX_HOST_SUPERVISOR_NOTIFY_H
#define DX_HOST_SUPERVISOR_NOTIFY_H

#include <dextral/bundle.h>

/**
 * The listening socket that a service manager opened for us, as LISTEN_FDS and LISTEN_PID say.
 *
 * @param ret_fd  -1 where there is none.
 * @return kIOReturnSuccess; kIOReturnBadArgument (it is no listening SOCK_SEQPACKET socket of the UNIX family, or
 *         there are several).
 */
kern_return_t dx_notify_take_socket(int *ret_fd, dx_error *error);

/** Tells the service manager, if there is one: "READY=1".  What does not arrive is of no consequence. */
void dx_notify(const char *state);

#endif /* DX_HOST_SUPERVISOR_NOTIFY_H */
