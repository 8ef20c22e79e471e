// SPDX-License-Identifier: MIT
// dextral top: devices, their drivers and their clients, again and again.

#include "cli/top.h"

#include "cli/json.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum top_option {
    OPTION_BATCH,
    OPTION_COUNT,
    OPTION_DELAY,
    OPTION_SORT,
    OPTION_JSON,
};

static const struct cli_option top_options[] = {
    [OPTION_BATCH] = {"batch", NULL, "one table below the other, as in a pipe", 'b', false},
    [OPTION_COUNT] = {"count", "N", "how often; default: until q or Ctrl-C, with --json once", 'n', false},
    [OPTION_DELAY] = {"delay", "SECONDS", "between two looks, 0.05 to 3600; default: 1", 'd', false},
    [OPTION_SORT] = {"sort", "BY", "name, load, late or xruns: the largest first", 's', false},
    [OPTION_JSON] = {"json", NULL, "as JSON: an object on a line for each look", 0, false},
};

struct top_request {
    bool is_batch;
    bool wants_json;
    uint64_t count; // 0: until the end is asked for
    double delay_seconds;
    enum top_order order;
};

static int
take_order(struct top_request *request, const char *value)
{
    static const char *const names[] = {
        [TOP_BY_NAME] = "name", [TOP_BY_LOAD] = "load", [TOP_BY_LATENESS] = "late", [TOP_BY_XRUNS] = "xruns"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(value, names[i]) == 0) {
            request->order = (enum top_order)i;
            return CLI_OK;
        }
    }
    return cli_fail(CLI_USAGE, "top: --sort %s: expected name, load, late or xruns", value);
}

static int
take_option(void *context, size_t option, const char *value)
{
    struct top_request *const request = context;
    switch ((enum top_option)option) {
    case OPTION_BATCH:
        request->is_batch = true;
        break;
    case OPTION_COUNT:
        if (!cli_parse_unsigned(value, 1, UINT32_MAX, &request->count))
            return cli_fail(CLI_USAGE, "top: --count %s: expected a number from 1 on", value);
        break;
    case OPTION_DELAY:
        if (!cli_parse_real(value, 0.05, 3600.0, &request->delay_seconds))
            return cli_fail(CLI_USAGE, "top: --delay %s: expected seconds, 0.05 to 3600", value);
        break;
    case OPTION_SORT:
        return take_order(request, value);
    case OPTION_JSON:
        request->wants_json = true;
        break;
    }
    return CLI_OK;
}

static int
take_operand(void *context, const char *value)
{
    (void)context;
    return cli_fail(CLI_USAGE, "top: it takes no arguments; what is '%s'?", value);
}

static int
check_top(void *context)
{
    struct top_request *const request = context;
    if (request->wants_json && request->count == 0)
        request->count = 1;
    request->is_batch = request->is_batch || request->wants_json || !isatty(STDOUT_FILENO);
    return request->wants_json ? cli_check_json("top") : CLI_OK;
}

/* The terminal. */

/* Keys come at once and unseen; false where standard input is no terminal. */
static bool
take_keys(struct termios *ret_before)
{
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, ret_before) != 0)
        return false;
    struct termios now = *ret_before;
    now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    now.c_cc[VMIN] = 0;
    now.c_cc[VTIME] = 0;
    return tcsetattr(STDIN_FILENO, TCSANOW, &now) == 0;
}

static void
clear_screen(void)
{
    (void)fputs("\033[H\033[J", stdout);
}

static void
get_size(size_t *ret_rows, size_t *ret_columns)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        size = (struct winsize){0};
    *ret_rows = size.ws_row;
    *ret_columns = size.ws_col;
}

/* Returns whether it goes on. */
static bool
obey_key(struct top_request *request, char key)
{
    static const char keys[] = {
        [TOP_BY_NAME] = 'n', [TOP_BY_LOAD] = 'l', [TOP_BY_LATENESS] = 'm', [TOP_BY_XRUNS] = 'x'};
    for (size_t i = 0; i < sizeof keys; i++) {
        if (key == keys[i])
            request->order = (enum top_order)i;
    }
    return key != 'q' && key != 'Q';
}

static int64_t
now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); // cannot fail
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for the next look, or for a key.  false: the end is asked for. */
static bool
wait_for_next(struct top_request *request, bool has_keys)
{
    const int64_t end = now_ms() + (int64_t)(request->delay_seconds * 1000.0);
    for (int64_t left = end - now_ms(); left > 0; left = end - now_ms()) {
        struct pollfd input = {.fd = has_keys ? STDIN_FILENO : -1, .events = POLLIN};
        const int ready = poll(&input, 1, (int)left);
        char key = 0;
        if (cli_signal())
            return false;
        if (ready <= 0)
            continue; // the time is over, or a signal that is not ours
        const ssize_t got = read(STDIN_FILENO, &key, 1);
        if (got <= 0)
            has_keys = false; // the terminal is gone
        else if (!obey_key(request, key))
            return false;
        else
            return true; // in the new order, at once
    }
    return !cli_signal();
}

/* Looking. */

static int
show(const struct top_request *request, const OSDictionary *sample)
{
    if (request->wants_json)
        return cli_print_json((OSObjectPtr)(uintptr_t)sample, true); // it is only read
    size_t rows = 0;
    size_t columns = 0;
    if (!request->is_batch) {
        get_size(&rows, &columns);
        clear_screen();
    }
    const int code = top_print(sample, request->order, rows, columns);
    if (request->is_batch)
        (void)putchar('\n');
    else
        (void)printf("%.*s", columns > 0 ? (int)columns : 80,
                     "q: end   order by n: name, l: load, m: largest lateness, x: xruns");
    return code;
}

static int
look_again_and_again(struct top_request *request, dx_directory *directory, bool has_keys)
{
    for (uint64_t i = 0;;) {
        OSDictionary *sample = NULL;
        int code = top_sample(directory, &sample);
        if (code == CLI_OK)
            code = show(request, sample);
        OSObjectRelease(sample);
        if (code == CLI_OK)
            code = cli_finish_output();
        // on a screen somebody waits for the supervisor to come back; a script is told
        if (code != CLI_OK && (request->is_batch || code != CLI_NO_SUPERVISOR))
            return code;
        i++;
        if (i == request->count || !wait_for_next(request, has_keys))
            return CLI_OK;
    }
}

static int
run_screen(void *context, dx_directory *directory)
{
    struct top_request *const request = context;
    struct termios before;
    cli_catch_signals();
    const bool has_keys = !request->is_batch && take_keys(&before);
    const int code = look_again_and_again(request, directory, has_keys);
    if (has_keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &before); // nothing to do about a failure
    if (!request->is_batch)
        (void)putchar('\n');
    return code;
}

static int
run_top(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_task task = {take_option, take_operand, check_top, run_screen};
    struct top_request request = {.delay_seconds = 1.0};
    return cli_run_task(command, &task, &request, argc, argv);
}

const struct cli_command cli_top = {
    .name = "top",
    .summary = "shows load, lateness and xruns of devices and their clients, live",
    .usage = "[OPTIONS]",
    .text =
        "Shows each device with its driver (process, state, restarts), its cycle (frames, load, how late it\n"
        "wakes: median, 99th percentile, largest), how far its clock is off in ppm, and what went wrong by its\n"
        "cause; below it, its clients. Keys: q ends it; n, l, m, x order by name, load, lateness, xruns.",
    .options = top_options,
    .option_count = sizeof top_options / sizeof top_options[0],
    .run = run_top,
};
