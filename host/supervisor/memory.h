// SPDX-License-Identifier: MIT
// Memory that is handed from one process to another: checked, sealed, read-only.

#ifndef DX_HOST_SUPERVISOR_MEMORY_H
#define DX_HOST_SUPERVISOR_MEMORY_H

#include <dextral/bundle.h>

/**
 * Makes sure that memory stays as large as it is, and that nobody but who has it mapped now ever writes it: not
 * through another descriptor, not by opening it again through /proc, not by punching holes.
 *
 * @param fd    of a memfd that is sealed against shrinking and growing; its owner has mapped it.
 * @param what  for the message: "lane".
 * @param max_bytes  larger ones are refused.
 * @return kIOReturnSuccess, also where it was sealed before; kIOReturnBadArgument (no memfd, or of no sensible
 *         size); kIOReturnNotPermitted (not sealed, and it cannot be).
 */
kern_return_t dx_memory_seal(int fd, const char *what, uint64_t max_bytes, dx_error *error);

/** A descriptor of the same memory that can only be read; -1 where there is none to be had. */
int dx_memory_reopen(int fd);

#endif /* DX_HOST_SUPERVISOR_MEMORY_H */
