// SPDX-License-Identifier: MIT
// Fills the caller's message.

#ifndef DX_HOST_ERROR_H
#define DX_HOST_ERROR_H

#include <dextral/bundle.h>

/**
 * Writes one sentence; control characters, which a foreign file may contain, become '?'.
 *
 * @param error   may be NULL.
 * @return `status`, so that a failing check is one statement.
 */
kern_return_t dx_error_set(dx_error *error, kern_return_t status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif /* DX_HOST_ERROR_H */
