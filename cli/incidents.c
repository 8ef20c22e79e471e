// SPDX-License-Identifier: MIT
// dextral incidents: what went wrong, when, and why.

#include "cli/json.h"
#include "cli/machine.h"
#include "cli/table.h"
#include "cli/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FOLLOW_NS 500000000
/* One that goes on is told when it is over, or has gone on for long: after others that began later. */
#define TOLD_LATE_NS UINT64_C(60000000000)

enum incidents_option {
    OPTION_SINCE,
    OPTION_FOLLOW,
    OPTION_JSON,
};

static const struct cli_option incidents_options[] = {
    [OPTION_SINCE] = {"since", "AGE", "not older than 30s, 10m, 2h or 1d; default: all, with --follow none", 0,
                      false},
    [OPTION_FOLLOW] = {"follow", NULL, "shows new ones as they come, until Ctrl-C", 'f', false},
    [OPTION_JSON] = {"json", NULL, "as JSON: an array; with --follow an object on a line for each", 0, false},
};

struct incidents_request {
    const char *device;
    double age_seconds; // negative: all
    bool wants_follow;
    bool wants_json;
};

/* "10m" */
static bool
parse_age(const char *text, double *ret_seconds)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"ms", 0.001}, {"s", 1.0}, {"m", 60.0}, {"h", 3600.0}, {"d", 86400.0}, {"", 1.0}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        double value;
        if (cli_parse_with_unit(text, units[i].unit, &value)) {
            *ret_seconds = value * units[i].seconds;
            return value >= 0.0 && *ret_seconds < 1e9;
        }
    }
    return false;
}

static int
take_option(void *context, size_t option, const char *value)
{
    struct incidents_request *const request = context;
    switch ((enum incidents_option)option) {
    case OPTION_SINCE:
        if (!parse_age(value, &request->age_seconds))
            return cli_fail(CLI_USAGE, "incidents: --since %s: expected an age, such as 30s, 10m, 2h or 1d",
                            value);
        break;
    case OPTION_FOLLOW:
        request->wants_follow = true;
        break;
    case OPTION_JSON:
        request->wants_json = true;
        break;
    }
    return CLI_OK;
}

static int
take_operand(void *context, const char *value)
{
    struct incidents_request *const request = context;
    if (request->device)
        return cli_fail(CLI_USAGE, "incidents: one device at a time, or none for all; what is '%s'?", value);
    request->device = value;
    return CLI_OK;
}

static int
check_incidents(void *context)
{
    const struct incidents_request *const request = context;
    return request->wants_json ? cli_check_json("incidents") : CLI_OK;
}

/* Time: the supervisor's is that of CLOCK_MONOTONIC. */

static int64_t
now_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now); // cannot fail
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static double
wall_seconds(unsigned long long host_ns)
{
    return (double)(now_ns(CLOCK_REALTIME) - now_ns(CLOCK_MONOTONIC) + (int64_t)host_ns) * 1e-9;
}

static const char *
wall_text(unsigned long long host_ns, char text[40])
{
    const double seconds = wall_seconds(host_ns);
    const time_t whole = (time_t)seconds;
    struct tm local = {0};
    char clock[32] = "";
    (void)localtime_r(&whole, &local);
    (void)strftime(clock, sizeof clock, "%Y-%m-%d %H:%M:%S", &local);
    (void)snprintf(text, 40, "%s.%03u", clock, (unsigned)((seconds - (double)whole) * 1000.0));
    return text;
}

/* Showing. */

static bool
add_interval(void *context, OSString *name, OSObjectPtr value)
{
    struct cli_list *const list = context;
    const OSNumber *const duration = OSDynamicCast(OSNumber, value);
    char text[40];
    if (duration && OSNumberGetUInt64Value(duration) > 0) {
        (void)snprintf(text, sizeof text, "%.0f us", (double)OSNumberGetUInt64Value(duration) * 1e-3);
        cli_list_append(list, OSStringGetCStringNoCopy(name), text);
    }
    return false;
}

/* What it says in words, and what was measured. */
static void
add_details(struct cli_table *table, const OSDictionary *incident)
{
    struct cli_list list = {"", 0};
    OSDictionary *const intervals = cli_get_dictionary(incident, "intervals");
    if (*cli_get_text(incident, "text"))
        cli_list_append(&list, cli_get_text(incident, "text"), "");
    if (intervals)
        (void)OSDictionaryIterateObjects(intervals, add_interval, &list);
    cli_table_add(table, "%s", list.text);
}

static int
print_table(const OSArray *incidents, bool has_titles)
{
    static const struct cli_column titled[] = {{"TIME", false},  {"DEVICE", false}, {"CAUSE", false},
                                               {"FRAMES", true}, {"CLIENT", false}, {"WHAT", false}};
    static const struct cli_column plain[] = {{"", false}, {"", false}, {"", false},
                                              {"", true},  {"", false}, {"", false}};
    struct cli_table table;
    if (cli_count(incidents) == 0) {
        if (has_titles)
            cli_note("nothing went wrong, as far as is known");
        return CLI_OK;
    }
    cli_table_init(&table, has_titles ? titled : plain, sizeof titled / sizeof titled[0]);
    for (size_t i = 0; i < cli_count(incidents); i++) {
        const OSDictionary *const incident = cli_at(incidents, i);
        char time[40];
        cli_table_add(&table, "%s", wall_text(cli_get_number(incident, "host-ns"), time));
        cli_table_add(&table, "%s", cli_get_text(incident, "uid"));
        cli_table_add(&table, "%s", cli_get_text(incident, "cause"));
        cli_table_add(&table, "%llu", cli_get_number(incident, "frames"));
        if (cli_has(incident, "client-name"))
            cli_table_add(&table, "%s [%llu]", cli_get_text(incident, "client-name"),
                          cli_get_number(incident, "client-pid"));
        else
            cli_table_add(&table, "%s", "");
        add_details(&table, incident);
    }
    const int code = cli_table_print(&table, stdout, 0);
    cli_table_finish(&table);
    return code;
}

static int
print_incidents(OSArray *incidents, const struct incidents_request *request)
{
    int code = CLI_OK;
    for (size_t i = 0; i < cli_count(incidents) && request->wants_json; i++) {
        OSDictionary *const incident = cli_at(incidents, i);
        if (incident && !cli_set_real(incident, "time-f64", wall_seconds(cli_get_number(incident, "host-ns"))))
            return cli_fail(CLI_FAILED, "no memory");
        if (request->wants_follow && code == CLI_OK)
            code = cli_print_json(incident, true);
    }
    if (!request->wants_json)
        code = print_table(incidents, !request->wants_follow);
    else if (!request->wants_follow)
        code = cli_print_json(incidents, false);
    return code == CLI_OK ? cli_finish_output() : code;
}

/* Asking. */

static bool
is_same(const OSDictionary *a, const OSDictionary *b)
{
    return cli_get_number(a, "host-ns") == cli_get_number(b, "host-ns") &&
           cli_get_number(a, "client-pid") == cli_get_number(b, "client-pid") &&
           strcmp(cli_get_text(a, "cause"), cli_get_text(b, "cause")) == 0 &&
           strcmp(cli_get_text(a, "uid"), cli_get_text(b, "uid")) == 0;
}

/* Those that were not there before; +1, or NULL. */
static OSArray *
copy_new(const OSArray *incidents, const OSArray *before)
{
    OSArray *fresh = OSArrayCreate(0);
    for (size_t i = 0; fresh && i < cli_count(incidents); i++) {
        OSDictionary *const incident = cli_at(incidents, i);
        bool is_new = incident;
        for (size_t k = 0; is_new && k < cli_count(before); k++)
            is_new = !is_same(incident, cli_at(before, k));
        if (is_new && !OSArraySetObject(fresh, incident))
            OSSafeReleaseNULL(fresh);
    }
    return fresh;
}

/* What is shown from one look to the next. */
struct look {
    const char *uid;  // "": of all devices
    uint64_t since;   // host time
    OSArray *before;  // what the last look saw; +1, or NULL
};

static int
show_new(const struct incidents_request *request, dx_directory *directory, struct look *look)
{
    OSDictionary *answer = NULL;
    OSDictionary *const arguments = OSDictionaryCreate(2);
    int code = arguments && OSDictionarySetUInt64Value(arguments, "since", look->since) &&
                       (!*look->uid || OSDictionarySetStringValue(arguments, "uid", look->uid))
                   ? cli_request(directory, "incidents", "incidents", arguments, &answer)
                   : cli_fail(CLI_FAILED, "no memory");
    OSArray *const incidents = cli_get_array(answer, "incidents");
    const unsigned long long left_out = cli_get_number(answer, "left-out");
    OSArray *const fresh = code == CLI_OK ? copy_new(incidents, look->before) : NULL;
    if (code == CLI_OK)
        code = fresh ? print_incidents(fresh, request) : cli_fail(CLI_FAILED, "no memory");
    if (left_out > 0 && !look->before)
        cli_note("%llu earlier ones do not fit: ask for one device, or with --since", left_out);
    const size_t count = cli_count(incidents);
    const uint64_t newest = count ? cli_get_number(cli_at(incidents, count - 1), "host-ns") : 0;
    if (newest > TOLD_LATE_NS && newest - TOLD_LATE_NS > look->since)
        look->since = newest - TOLD_LATE_NS;
    if (code == CLI_OK) {
        OSObjectRelease(look->before);
        look->before = incidents ? OSObjectRetain(incidents) : NULL;
    }
    OSObjectRelease(fresh);
    OSObjectRelease(arguments);
    OSObjectRelease(answer);
    return code;
}

/* The host time from which on they are shown. */
static uint64_t
find_start(const struct incidents_request *request)
{
    const int64_t now = now_ns(CLOCK_MONOTONIC);
    const int64_t age_ns = request->age_seconds >= 0.0 ? (int64_t)(request->age_seconds * 1e9)
                           : request->wants_follow     ? 0
                                                       : now;
    return now > age_ns ? (uint64_t)(now - age_ns) : 0;
}

static int
show_incidents(void *context, dx_directory *directory)
{
    const struct incidents_request *const request = context;
    char uid[CLI_UID_BYTES] = "";
    struct cli_devices devices;
    int code = CLI_OK;
    if (request->device) {
        code = cli_list_devices(directory, &devices);
        if (code != CLI_OK)
            return code;
        code = cli_find_uid("incidents", &devices, request->device, uid);
        cli_devices_finish(&devices);
    }
    struct look look = {.uid = uid, .since = find_start(request)};
    if (code == CLI_OK && request->wants_follow)
        cli_catch_signals();
    if (code == CLI_OK)
        code = show_new(request, directory, &look);
    while (code == CLI_OK && request->wants_follow && !cli_signal()) {
        const struct timespec pause = {.tv_nsec = FOLLOW_NS};
        (void)nanosleep(&pause, NULL); // a signal ends it early
        if (!cli_signal())
            code = show_new(request, directory, &look);
    }
    OSObjectRelease(look.before);
    return code;
}

static int
run_incidents(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_task task = {take_option, take_operand, check_incidents, show_incidents};
    struct incidents_request request = {.age_seconds = -1.0};
    return cli_run_task(command, &task, &request, argc, argv);
}

const struct cli_command cli_incidents = {
    .name = "incidents",
    .summary = "tells what went wrong, when, and why",
    .usage = "[DEVICE] [OPTIONS]",
    .text =
        "Lists what went wrong with a device, or with all, the oldest first: when, the one cause that what was\n"
        "measured names, how many frames it cost, which client it was about, and the measured times.",
    .options = incidents_options,
    .option_count = sizeof incidents_options / sizeof incidents_options[0],
    .run = run_incidents,
};
