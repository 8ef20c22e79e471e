// SPDX-License-Identifier: MIT
// Fills the caller's message.

#include "host/error.h"

#include <stdarg.h>
#include <stdio.h>

kern_return_t
dx_error_set(dx_error *error, kern_return_t status, const char *format, ...)
{
    if (!error)
        return status;

    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->message, sizeof error->message, format, arguments); // cut where it is too long
    va_end(arguments);

    for (char *c = error->message; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = '?';
    }
    return status;
}
