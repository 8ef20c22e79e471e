// SPDX-License-Identifier: MIT
// Lines for people on the standard error output, which nobody ever waits for.

#include "host/line.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_BYTES 1024
#define LINE_BYTES (TEXT_BYTES + 64) // within PIPE_BUF: all of it is written, or nothing

/*
 * What the descriptor refers to is shared with whoever started us, and so is O_NONBLOCK: that is for them to choose.
 * Opened again, a pipe or a terminal has flags of its own; a socket is told with each message.
 */
static int own_fd = -1; // these are as dx_line_open() left them
static bool is_socket;
static bool is_file; // nobody reads it from the other end
static _Atomic uint64_t lost_count; // lines

void
dx_line_open(void)
{
    struct stat status;
    if (fstat(STDERR_FILENO, &status) != 0)
        return;
    is_socket = S_ISSOCK(status.st_mode);
    is_file = S_ISREG(status.st_mode);
    if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))
        own_fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static bool
has_room(void)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT);
}

static bool
write_bytes(const char *bytes, size_t length)
{
    ssize_t written;
    do {
        if (is_socket)
            written = send(STDERR_FILENO, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        else if (own_fd >= 0)
            written = write(own_fd, bytes, length);
        else
            written = is_file || has_room() ? write(STDERR_FILENO, bytes, length) : -1;
    } while (written < 0 && errno == EINTR);
    return written > 0;
}

/* One call, so that lines of several processes do not mix. */
__attribute__((format(printf, 2, 3))) static bool
write_line(const char *prefix, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    int length = snprintf(line, sizeof line, "%s: ", prefix);
    va_start(arguments, format);
    if (length < 0 || length >= LINE_BYTES)
        length = 0;
    const int more = vsnprintf(line + length, sizeof line - (size_t)length, format, arguments);
    va_end(arguments);
    length += more > 0 ? more : 0;
    if (length > LINE_BYTES - 1)
        length = LINE_BYTES - 1;
    line[length++] = '\n'; // in place of the NUL
    return write_bytes(line, (size_t)length);
}

void
dx_line_write(const char *prefix, const char *format, va_list arguments)
{
    char text[TEXT_BYTES];
    const int saved_errno = errno;
    (void)vsnprintf(text, sizeof text, format, arguments); // a longer one is cut
    /* relaxed: a count, which orders nothing; whoever takes it is the one who says it. */
    const uint64_t lost = atomic_exchange_explicit(&lost_count, 0, memory_order_relaxed);
    const bool is_taken =
        lost == 0 || write_line(prefix, "%" PRIu64 " lines were lost here: nobody took them in time", lost);
    const uint64_t still_lost = (is_taken ? 0 : lost) + (is_taken && write_line(prefix, "%s", text) ? 0 : 1);
    /* relaxed: as above. */
    (void)atomic_fetch_add_explicit(&lost_count, still_lost, memory_order_relaxed);
    errno = saved_errno;
}
