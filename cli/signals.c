// SPDX-License-Identifier: MIT
// Signals that ask for an orderly end.

#include "cli/cli.h"

#include <signal.h>
#include <stdatomic.h>

/* Stored by the handler, read by every thread of the run; lock-free, so a signal handler may. */
static _Atomic int caught_signal;

static void
catch_signal(int signal_number)
{
    atomic_store_explicit(&caught_signal, signal_number, memory_order_relaxed); // nothing else goes with it
}

int
cli_signal(void)
{
    return atomic_load_explicit(&caught_signal, memory_order_relaxed);
}

void
cli_catch_signals(void)
{
    // the first one asks for an orderly end; a second one of its kind ends the process where it stands
    struct sigaction action = {.sa_handler = catch_signal, .sa_flags = (int)SA_RESETHAND};
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction before;
        // started in the background of a shell, SIGINT is ignored and shall be
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            (void)sigaction(numbers[i], &action, NULL); // cannot fail
    }
}
