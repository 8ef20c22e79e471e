// SPDX-License-Identifier: MIT
// Looks through a property list before libplist does.

#ifndef DX_HOST_PLIST_CHECK_H
#define DX_HOST_PLIST_CHECK_H

#include <dextral/bundle.h>

/**
 * Refuses what would make libplist recurse without bound or grow without bound, and keys that stand twice
 * (libplist keeps the last one silently).  What it lets pass may still be malformed.
 *
 * @param name  of the file, for messages.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNoMemory.
 */
kern_return_t dx_plist_check_xml(const char *text, size_t length, const char *name, dx_error *error);
kern_return_t dx_plist_check_binary(const uint8_t *bytes, size_t length, const char *name, dx_error *error);

#endif /* DX_HOST_PLIST_CHECK_H */
