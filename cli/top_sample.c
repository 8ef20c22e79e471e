// SPDX-License-Identifier: MIT
// dextral top: one look at all devices.

#include "cli/top.h"

#include "cli/values.h"

#include <string.h>
#include <time.h>

/* What a description tells of a device and a table or a program may want. */
static const char *const kept_keys[] = {
    "uid", "name",     "state",       "why",      "bundle",    "version",
    "pid", "restarts", "incarnation", "rate-f64", "io-frames", "session-count",
};

static bool
copy_keys(OSDictionary *to, const OSDictionary *from, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const OSObjectPtr value = OSDictionaryGetObject(from, keys[i]);
        if (value && !OSDictionarySetObject(to, keys[i], value))
            return false;
    }
    return true;
}

/* The part of a cycle that its work takes: median, and 99th percentile. */
static bool
add_load(OSDictionary *device, const OSDictionary *statistics)
{
    const OSDictionary *const cycle = cli_get_dictionary(statistics, "cycle");
    const double rate = cli_get_real(device, "rate-f64");
    const double frames = (double)cli_get_number(device, "io-frames");
    const double period_ns = rate > 0.0 && frames > 0.0 ? frames / rate * 1e9 : 0.0;
    if (!cycle || period_ns <= 0.0)
        return true;
    return cli_set_real(device, "load-f64", (double)cli_get_number(cycle, "p50-ns") / period_ns) &&
           cli_set_real(device, "load-p99-f64", (double)cli_get_number(cycle, "p99-ns") / period_ns);
}

/* How far the clock is off, as the zero timestamps say. */
static bool
add_ppm(OSDictionary *device, const OSDictionary *statistics)
{
    const double nominal = cli_get_real(device, "rate-f64");
    const double actual = cli_get_real(statistics, "actual-rate-f64");
    return !(nominal > 0.0 && actual > 0.0) || cli_set_real(device, "ppm-f64", (actual / nominal - 1.0) * 1e6);
}

/* Counters, times and what they mean. */
static bool
add_statistics(OSDictionary *device, const OSDictionary *statistics)
{
    const uint64_t xruns = cli_get_number(statistics, "late-cycles") + cli_get_number(statistics, "overloads");
    return OSDictionaryMerge(device, statistics) && OSDictionarySetUInt64Value(device, "xruns", xruns) &&
           add_load(device, statistics) && add_ppm(device, statistics);
}

/* A driver may go at any moment: then there is no answer, which is no error.  +1 or NULL. */
static OSDictionary *
ask(dx_directory *directory, const char *operation, const char *uid)
{
    OSDictionary *const arguments = OSDictionaryCreate(1);
    OSDictionary *answer = NULL;
    if (arguments && OSDictionarySetStringValue(arguments, "uid", uid))
        (void)dx_directory_request(directory, operation, arguments, &answer, NULL);
    OSObjectRelease(arguments);
    return answer;
}

/* Where no driver counts anything for them. */
static bool
add_sessions(dx_directory *directory, OSDictionary *device, const char *uid)
{
    OSDictionary *const answer = ask(directory, "describe", uid);
    OSArray *const sessions = cli_get_array(cli_get_dictionary(answer, "description"), "sessions");
    const bool is_done = !sessions || OSDictionarySetObject(device, "sessions", sessions);
    OSObjectRelease(answer);
    return is_done;
}

static bool
add_device(dx_directory *directory, OSArray *devices, const OSDictionary *description)
{
    const char *const uid = cli_get_text(description, "uid");
    const bool is_running = strcmp(cli_get_text(description, "state"), "running") == 0;
    OSDictionary *const device = OSDictionaryCreate(40);
    OSDictionary *const statistics = is_running ? ask(directory, "statistics", uid) : NULL;
    bool is_done = device && copy_keys(device, description, kept_keys, sizeof kept_keys / sizeof kept_keys[0]);
    if (is_done && statistics)
        is_done = add_statistics(device, statistics);
    else if (is_done && cli_get_number(description, "session-count") > 0)
        is_done = add_sessions(directory, device, uid);
    is_done = is_done && OSArraySetObject(devices, device);
    OSObjectRelease(statistics);
    OSObjectRelease(device);
    return is_done;
}

static double
now_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); // cannot fail
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int
top_sample(dx_directory *directory, OSDictionary **ret_sample)
{
    struct cli_devices list;
    int code = cli_list_devices(directory, &list);
    if (code != CLI_OK)
        return code;
    OSDictionary *const sample = OSDictionaryCreate(2);
    OSArray *const devices = OSArrayCreate(cli_count(list.descriptions));
    bool is_done = sample && devices && cli_set_real(sample, "time-f64", now_seconds());
    for (size_t i = 0; is_done && i < cli_count(list.descriptions); i++) {
        const OSDictionary *const description = cli_at(list.descriptions, i);
        // a hidden one counts while somebody uses it
        if (!cli_get_switch(description, "hidden") || cli_get_number(description, "session-count") > 0)
            is_done = add_device(directory, devices, description);
    }
    is_done = is_done && OSDictionarySetObject(sample, "devices", devices);
    OSObjectRelease(devices);
    cli_devices_finish(&list);
    if (!is_done) {
        OSObjectRelease(sample);
        return cli_fail(CLI_FAILED, "no memory");
    }
    *ret_sample = sample;
    return CLI_OK;
}
