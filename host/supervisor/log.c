// SPDX-License-Identifier: MIT
// Lines for people.

#include "host/supervisor/supervisor.h"

#include "host/line.h"

#include <stdarg.h>

#define PREFIX "dextrald"

void
dx_log(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    dx_line_write(PREFIX, format, arguments);
    va_end(arguments);
}

void
dx_log_detail(const struct dx_supervisor *supervisor, const char *format, ...)
{
    if (!supervisor->config.verbose)
        return;
    va_list arguments;
    va_start(arguments, format);
    dx_line_write(PREFIX, format, arguments);
    va_end(arguments);
}
