// SPDX-License-Identifier: MIT
// dextrald: options, and what a process of its kind begins with.

#include "host/line.h"
#include "host/supervisor/notify.h"
#include "host/supervisor/supervisor.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Exit statuses, as dextral(1) has them. */
enum { EXIT_USAGE = 2 };

static const char usage[] = "Usage: dextrald [OPTIONS]\n"
                            "Keeps the devices of the machine: finds drivers, starts and watches them, and\n"
                            "connects programs to them.\n"
                            "\n"
                            "  --driver PATH  a driver bundle (Name.dext) besides those that are installed;\n"
                            "                 may be given several times\n"
                            "  --socket PATH  where to listen, instead of `socket` in the runtime folder\n"
                            "  --no-sandbox   let drivers do whatever this user may: to look for faults in one\n"
                            "  --verbose      say more on the standard error output\n"
                            "  --help         show this text\n"
                            "  --version      show the version\n";

/* `bundles` has room for all arguments.  @return -1 to go on, else the exit status. */
static int
parse_options(int count, char **arguments, struct dx_supervisor_config *config, const char **bundles)
{
    enum { DRIVER = 256, SOCKET, NO_SANDBOX, VERBOSE, HELP, VERSION };
    static const struct option options[] = {
        {"driver", required_argument, NULL, DRIVER},
        {"socket", required_argument, NULL, SOCKET},
        {"no-sandbox", no_argument, NULL, NO_SANDBOX},
        {"verbose", no_argument, NULL, VERBOSE},
        {"help", no_argument, NULL, HELP},
        {"version", no_argument, NULL, VERSION},
        {NULL, 0, NULL, 0},
    };
    size_t bundle_count = 0;
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        switch (option) {
        case DRIVER:
            bundles[bundle_count++] = optarg;
            break;
        case SOCKET:
            config->socket_path = optarg;
            break;
        case NO_SANDBOX:
            config->sandbox_off = true;
            break;
        case VERBOSE:
            config->verbose = true;
            break;
        case HELP:
            (void)fputs(usage, stdout);
            return EXIT_SUCCESS;
        case VERSION:
            (void)printf("dextrald %s\n", DX_VERSION);
            return EXIT_SUCCESS;
        default: // getopt_long() has said what was wrong
            (void)fputs("Try `dextrald --help`.\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < count) {
        (void)fprintf(stderr, "dextrald: %s: no argument is expected\nTry `dextrald --help`.\n",
                      arguments[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

/* What is written to the standard error output must not go into a file of ours that has its number. */
static bool
open_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    return fd >= 0 && close(fd) == 0;
}

static void
prepare_process(void)
{
    /* No other process of the user looks into this one; what drivers leave behind comes to us. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); // a file that may not grow is an error, not the end
    (void)umask(077);
    /* A descriptor or two for each program and session. */
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

int
main(int argc, char **argv)
{
    struct dx_supervisor_config config = {.listen_fd = -1};
    const char **const bundles = calloc((size_t)argc + 1, sizeof *bundles);
    if (!bundles) {
        (void)fputs("dextrald: no memory\n", stderr);
        return EXIT_FAILURE;
    }
    config.bundles = bundles;
    int status = open_standard_descriptors() ? parse_options(argc, argv, &config, bundles) : EXIT_FAILURE;
    if (status < 0) {
        prepare_process();
        dx_line_open();
        dx_error error = {""};
        struct dx_supervisor *supervisor = NULL;
        kern_return_t result = dx_notify_take_socket(&config.listen_fd, &error);
        if (result == kIOReturnSuccess)
            result = dx_supervisor_create(&config, &supervisor, &error);
        if (result == kIOReturnSuccess)
            dx_supervisor_run(supervisor);
        else
            dx_log("%s", error.message);
        dx_supervisor_destroy(supervisor);
        status = result == kIOReturnSuccess ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    free(bundles);
    return status;
}
