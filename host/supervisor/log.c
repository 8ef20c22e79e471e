// SPDX-License-Identifier: MIT
// Lines for people.

#include "host/supervisor/supervisor.h"

#include <stdarg.h>
#include <stdio.h>

static void
write_line(const char *format, va_list arguments)
{
    char line[1024];
    (void)vsnprintf(line, sizeof line, format, arguments);
    /* One call, so that lines of several processes do not mix.  Nothing can be done when nobody takes it. */
    (void)fprintf(stderr, "dextrald: %s\n", line);
}

void
dx_log(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
}

void
dx_log_detail(const struct dx_supervisor *supervisor, const char *format, ...)
{
    if (!supervisor->config.verbose)
        return;
    va_list arguments;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
}
