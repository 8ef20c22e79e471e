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

/* Becomes the program that another one is beside, or that is in the same build folder; returns where there is
 * none. */
static void
run_near(char **argv)
{
    char folder[PATH_MAX];
    char path[PATH_MAX + sizeof DX_DAEMON_IN_BUILD + 16];
    const ssize_t length = readlink("/proc/self/exe", folder, sizeof folder - 1);
    if (length <= 0)
        return;
    folder[length] = '\0';
    char *const slash = strrchr(folder, '/');
    if (!slash)
        return;
    *slash = '\0';
    (void)snprintf(path, sizeof path, "%s/" DAEMON, folder);
    (void)execv(path, argv);
    (void)snprintf(path, sizeof path, "%s/../meson-info", folder);
    if (access(path, F_OK) != 0)
        return;
    (void)snprintf(path, sizeof path, "%s/../" DX_DAEMON_IN_BUILD, folder);
    (void)execv(path, argv);
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
    argv[-1] = name; // in the place of "serve"
    run_near(argv - 1);
    (void)execvp(name, argv - 1);
    return cli_fail(CLI_FAILED, "serve: " DAEMON " was found neither beside this program nor in PATH: %s",
                    strerror(errno));
}

const struct cli_command cli_serve = {
    .name = "serve",
    .summary = "runs the supervisor of the machine's devices",
    .usage = "[OPTIONS of dextrald]",
    .text = "Runs dextrald, which stands beside this program or in PATH, in the foreground and with the same\n"
            "options: 'dextrald --help' lists them. As a service: systemctl --user enable --now dextrald.socket",
    .run = run_serve,
};
