// SPDX-License-Identifier: MIT
// Lines for people on the standard error output, which nobody ever waits for.

#ifndef DX_HOST_LINE_H
#define DX_HOST_LINE_H

#include <stdarg.h>

/**
 * Called once at the start of a program, while there is one thread and no sandbox.  Where it is not called, a line may
 * have to wait for another process that writes to the same pipe at the same moment.
 */
void dx_line_open(void);

/**
 * Writes "PREFIX: TEXT", cut after 1023 bytes, or drops it where nobody takes it: how many that were is said before the
 * next one that is taken.
 *
 * Thread: any.  Real-time: no.
 */
void dx_line_write(const char *prefix, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

#endif /* DX_HOST_LINE_H */
