// SPDX-License-Identifier: MIT
// dextral serve: becomes dextrald.

#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DAEMON "dextrald"

/* The program beside this one; false where that cannot be known. */
static bool
find_beside(char path[PATH_MAX])
{
    const ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - sizeof DAEMON - 1);
    if (length <= 0)
        return false;
    path[length] = '\0';
    char *const slash = strrchr(path, '/');
    if (!slash)
        return false;
    (void)snprintf(slash + 1, PATH_MAX - (size_t)(slash + 1 - path), DAEMON);
    return true;
}

static int
run_serve(const struct cli_command *command, int argc, char **argv)
{
    if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0))
        return cli_print_help(command);
    // as it was before main() changed it: what is ignored stays so over exec
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGXFSZ, SIG_DFL);
    static char name[] = DAEMON;
    char path[PATH_MAX] = "dextral";
    argv[-1] = name; // in the place of "serve"
    if (find_beside(path))
        (void)execv(path, argv - 1); // returns only where there is none
    (void)execvp(name, argv - 1);
    return cli_fail(CLI_FAILED, "serve: " DAEMON " was found neither beside %s nor in PATH: %s", path, strerror(errno));
}

const struct cli_command cli_serve = {
    .name = "serve",
    .summary = "runs the supervisor of the machine's devices",
    .usage = "[OPTIONS of dextrald]",
    .text = "Runs dextrald, which stands beside this program or in PATH, in the foreground and with the same\n"
            "options: 'dextrald --help' lists them. As a service: systemctl --user enable --now dextrald.socket",
    .run = run_serve,
};
