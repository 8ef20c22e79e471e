// SPDX-License-Identifier: MIT
// Fills the caller's message.

#ifndef DX_BACKENDS_FILE_ERROR_H
#define DX_BACKENDS_FILE_ERROR_H

#include <dextral/bundle.h>

#include <stdarg.h>
#include <stdio.h>

/** Returns `status`, so that a failing check is one statement. */
__attribute__((format(printf, 3, 4))) static inline kern_return_t
dx_file_error(dx_error *error, kern_return_t status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->message, sizeof error->message, format, arguments); // cut where it is too long
    va_end(arguments);
    return status;
}

#endif /* DX_BACKENDS_FILE_ERROR_H */
