// SPDX-License-Identifier: MIT
// A bar on the terminal's last line, on standard error.

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define WIDTH 40u
#define INTERVAL_NS 100000000

static struct {
    bool is_shown;   // set before the run
    bool is_drawn;   // a bar stands on the line
    int64_t last_ns; // when it was drawn
} progress;

void
cli_progress_set(bool is_shown)
{
    progress.is_shown = is_shown;
}

/* The terminal's time, not the device's: offline, the two have nothing to do with each other. */
static int64_t
now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); // cannot fail
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void
cli_progress_show(uint64_t done, uint64_t total, double rate_hz)
{
    if (!progress.is_shown)
        return;
    const int64_t now = now_ns();
    if (progress.is_drawn && now - progress.last_ns < INTERVAL_NS && (total == 0 || done < total))
        return;
    progress.last_ns = now;
    progress.is_drawn = true;
    if (total == 0) {
        (void)fprintf(stderr, "\r%.1f s\033[K", (double)done / rate_hz);
        (void)fflush(stderr);
        return;
    }

    const unsigned filled = (unsigned)((double)WIDTH * (double)done / (double)total);
    char bar[WIDTH + 1];
    memset(bar, '-', WIDTH);
    memset(bar, '#', filled < WIDTH ? filled : WIDTH);
    bar[WIDTH] = '\0';
    (void)fprintf(stderr, "\r[%s] %3u %%  %.1f of %.1f s\033[K", bar,
                  (unsigned)(100.0 * (double)done / (double)total), (double)done / rate_hz,
                  (double)total / rate_hz);
    (void)fflush(stderr);
}

void
cli_progress_clear(void)
{
    if (!progress.is_drawn)
        return;
    progress.is_drawn = false;
    (void)fprintf(stderr, "\r\033[K");
    (void)fflush(stderr);
}
