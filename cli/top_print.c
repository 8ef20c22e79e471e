// SPDX-License-Identifier: MIT
// dextral top: the table.

#include "cli/setting.h"
#include "cli/table.h"
#include "cli/top.h"
#include "cli/values.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Order. */

static double
weight(const OSDictionary *device, enum top_order order)
{
    switch (order) {
    case TOP_BY_LOAD:
        return cli_get_real(device, "load-f64");
    case TOP_BY_LATENESS:
        return (double)cli_get_number(cli_get_dictionary(device, "lateness"), "max-ns");
    case TOP_BY_XRUNS:
        return (double)cli_get_number(device, "xruns");
    case TOP_BY_NAME:
        break;
    }
    return 0.0;
}

static int
compare(const void *left, const void *right, void *context)
{
    const OSDictionary *const a = *(const OSDictionary *const *)left;
    const OSDictionary *const b = *(const OSDictionary *const *)right;
    const enum top_order order = *(const enum top_order *)context;
    const double difference = weight(b, order) - weight(a, order); // the largest first
    if (difference != 0.0)
        return difference > 0.0 ? 1 : -1;
    const int by_name = strcmp(cli_get_text(a, "name"), cli_get_text(b, "name"));
    return by_name != 0 ? by_name : strcmp(cli_get_text(a, "uid"), cli_get_text(b, "uid"));
}

/* Rows. */

static const struct cli_column columns[] = {
    {"NAME", false}, {"STATE", false}, {"PID", true},      {"RST", true}, {"RATE", true},
    {"IO", true},    {"LOAD", true},   {"LATE p50", true}, {"p99", true}, {"max us", true},
    {"PPM", true},   {"XRUNS", true},  {"WHY", false},
};

static bool
add_cause(void *context, OSString *name, OSObjectPtr value)
{
    struct cli_list *const list = context;
    const OSNumber *const count = OSDynamicCast(OSNumber, value);
    char text[40];
    if (count && OSNumberGetUInt64Value(count) > 0) {
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)OSNumberGetUInt64Value(count));
        cli_list_append(list, OSStringGetCStringNoCopy(name), text);
    }
    return false;
}

/* How late something was: median, 99th percentile, largest.  What was ahead of its time is so much less than late. */
static void
add_times(struct cli_table *table, const OSDictionary *times, bool is_ahead)
{
    static const char *const late_keys[] = {"p50-ns", "p99-ns", "max-ns"};
    static const char *const ahead_keys[] = {"p50-ns", "p01-ns", "min-ns"};
    for (size_t i = 0; i < sizeof late_keys / sizeof late_keys[0]; i++) {
        const double us = (double)cli_get_number(times, is_ahead ? ahead_keys[i] : late_keys[i]) * 1e-3;
        if (cli_get_number(times, "count") > 0)
            cli_table_add(table, "%.0f", is_ahead && us >= 0.5 ? -us : us);
        else
            cli_table_add(table, "%s", "");
    }
}

static void
add_device(struct cli_table *table, const OSDictionary *device)
{
    const OSDictionary *const lateness = cli_get_dictionary(device, "lateness");
    OSDictionary *const causes = cli_get_dictionary(device, "causes");
    const unsigned long long pid = cli_get_number(device, "pid");
    struct cli_list why = {"", 0};
    cli_table_add(table, "%s", cli_get_text(device, "name"));
    cli_table_add(table, "%s", cli_get_text(device, "state"));
    if (pid > 0)
        cli_table_add(table, "%llu", pid);
    else
        cli_table_add(table, "%s", "");
    cli_table_add(table, "%llu", cli_get_number(device, "restarts"));
    cli_table_add(table, "%.10g", cli_get_real(device, "rate-f64"));
    cli_table_add(table, "%llu", cli_get_number(device, "io-frames"));
    if (lateness)
        cli_table_add(table, "%.1f%%", cli_get_real(device, "load-f64") * 100.0);
    else
        cli_table_add(table, "%s", "");
    add_times(table, lateness, false);
    if (lateness)
        cli_table_add(table, "%+.1f", cli_get_real(device, "ppm-f64"));
    else
        cli_table_add(table, "%s", "");
    cli_table_add(table, "%llu", cli_get_number(device, "xruns"));
    if (*cli_get_text(device, "why"))
        cli_list_append(&why, cli_get_text(device, "why"), "");
    if (causes)
        (void)OSDictionaryIterateObjects(causes, add_cause, &why);
    cli_table_add(table, "%s", why.text);
}

static void
add_client(struct cli_table *table, const OSDictionary *device, const OSDictionary *client)
{
    const bool has_output = cli_has(client, "output");
    const bool has_input = cli_has(client, "input");
    const unsigned long long io_frames = cli_get_number(client, "io-frames"); // 0: what the device has
    const unsigned long long missing = cli_get_number(client, "underrun-frames");
    struct cli_list what = {"", 0};
    char text[60];
    if (has_output)
        cli_list_append(&what, cli_gain_text(cli_get_real(client, "gain-f64"), text), "");
    if (cli_get_switch(client, "mute"))
        cli_list_append(&what, "muted", "");
    (void)snprintf(text, sizeof text, "%llu frames missing", missing);
    if (missing > 0)
        cli_list_append(&what, text, "");
    cli_table_add(table, "  %s", cli_get_text(client, "name"));
    cli_table_add(table, "%s",
                  !cli_get_switch(client, "running") ? "stopped"
                  : has_output && has_input          ? "duplex"
                  : has_output                       ? "plays"
                                                     : "records");
    cli_table_add(table, "%llu", cli_get_number(client, "pid"));
    cli_table_add(table, "%s", "");
    cli_table_add(table, "%s", "");
    cli_table_add(table, "%llu", io_frames > 0 ? io_frames : cli_get_number(device, "io-frames"));
    cli_table_add(table, "%s", ""); // its load is its own affair
    add_times(table, cli_get_dictionary(client, "ahead"), true);
    cli_table_add(table, "%s", "");
    cli_table_add(table, "%s", "");
    cli_table_add(table, "%s", what.text);
}

/* Rows until the screen is full. */
static void
add_rows(struct cli_table *table, const OSDictionary *const *devices, size_t count, size_t rows)
{
    size_t used = 0;
    for (size_t i = 0; i < count && (rows == 0 || used < rows); i++) {
        const OSArray *const sessions = cli_get_array(devices[i], "sessions");
        add_device(table, devices[i]);
        used++;
        for (size_t k = 0; k < cli_count(sessions) && (rows == 0 || used < rows); k++, used++)
            add_client(table, devices[i], cli_at(sessions, k));
    }
}

static unsigned long long
count_clients(const OSArray *devices)
{
    unsigned long long clients = 0;
    for (size_t i = 0; i < cli_count(devices); i++)
        clients += cli_get_number(cli_at(devices, i), "session-count");
    return clients;
}

int
top_print(const OSDictionary *sample, enum top_order order, size_t rows, size_t width)
{
    const OSArray *const devices = cli_get_array(sample, "devices");
    const size_t count = cli_count(devices);
    const OSDictionary **const ordered = calloc(count + 1, sizeof(const OSDictionary *));
    if (!ordered)
        return cli_fail(CLI_FAILED, "no memory");
    for (size_t i = 0; i < count; i++)
        ordered[i] = cli_at(devices, i);
    qsort_r(ordered, count, sizeof *ordered, compare, &order);

    const time_t seconds = (time_t)cli_get_real(sample, "time-f64");
    struct tm local = {0};
    char clock[16] = "";
    (void)localtime_r(&seconds, &local);
    (void)strftime(clock, sizeof clock, "%H:%M:%S", &local);
    (void)printf("%s  devices %zu, clients %llu\n", clock, count, count_clients(devices));

    struct cli_table table;
    cli_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    add_rows(&table, ordered, count, rows > 3 ? rows - 3 : rows); // below the line above and the titles
    const int code = cli_table_print(&table, stdout, width);
    cli_table_finish(&table);
    free(ordered);
    return code;
}
