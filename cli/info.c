// SPDX-License-Identifier: MIT
// dextral info: all that is known of a device.

#include "cli/format.h"
#include "cli/json.h"
#include "cli/machine.h"
#include "cli/setting.h"
#include "cli/table.h"
#include "cli/values.h"

#include <math.h>
#include <string.h>

enum info_option {
    OPTION_JSON,
};

static const struct cli_option info_options[] = {
    [OPTION_JSON] = {"json", NULL, "as JSON: one object", 0, false},
};

struct info_request {
    const char *device;
    bool wants_json;
};

static int
take_option(void *context, size_t option, const char *value)
{
    struct info_request *const request = context;
    (void)option;
    (void)value;
    request->wants_json = true;
    return CLI_OK;
}

static int
take_operand(void *context, const char *value)
{
    struct info_request *const request = context;
    if (request->device)
        return cli_fail(CLI_USAGE, "info: one device at a time; what is '%s'?", value);
    request->device = value;
    return CLI_OK;
}

/* "label  text", and further texts below it without a label. */
static void
add_line(struct cli_table *table, const char *label, const char *text)
{
    cli_table_add(table, "  %s", label);
    cli_table_add(table, "%s", text);
}

#define LINE_BYTES 1200u

/* Name, state and whose it is. */
static void
add_identity(struct cli_table *table, const OSDictionary *description)
{
    char text[LINE_BYTES];
    const char *const why = cli_get_text(description, "why");
    const OSArray *const default_for = cli_get_array(description, "default-for");
    (void)snprintf(text, sizeof text, "%s%s%s", cli_get_text(description, "state"), *why ? ": " : "", why);
    add_line(table, "state", text);
    struct cli_list list = {"", 0};
    for (size_t i = 0; i < cli_count(default_for); i++) {
        const OSString *const direction = OSDynamicCast(OSString, OSArrayGetObject(default_for, i));
        cli_list_append(&list, direction ? OSStringGetCStringNoCopy(direction) : "", "");
    }
    if (list.length > 0)
        add_line(table, "default for", list.text);
    if (*cli_get_text(description, "manufacturer"))
        add_line(table, "made by", cli_get_text(description, "manufacturer"));
    if (*cli_get_text(description, "kind"))
        add_line(table, "kind", cli_get_text(description, "kind"));
    if (*cli_get_text(description, "hardware"))
        add_line(table, "hardware", cli_get_text(description, "hardware"));
    const unsigned long long pid = cli_get_number(description, "pid");
    char process[40] = "";
    if (pid > 0)
        (void)snprintf(process, sizeof process, ", process %llu", pid);
    (void)snprintf(text, sizeof text, "%s%s%s%s, restarts %llu", cli_get_text(description, "bundle"),
                   *cli_get_text(description, "version") ? " " : "", cli_get_text(description, "version"), process,
                   cli_get_number(description, "restarts"));
    add_line(table, "driver", text);
}

static void
add_timing(struct cli_table *table, const OSDictionary *description)
{
    char text[LINE_BYTES];
    char rates[CLI_RATES_BYTES];
    (void)snprintf(text, sizeof text, "%.10g Hz, of %s", cli_get_real(description, "rate-f64"),
                   cli_rates_text(description, rates));
    add_line(table, "rate", text);
    (void)snprintf(text, sizeof text, "%llu frames a cycle, ring of %llu, late tolerance %llu",
                   cli_get_number(description, "io-frames"), cli_get_number(description, "ring-frames"),
                   cli_get_number(description, "late-tolerance"));
    add_line(table, "IO", text);
    (void)snprintf(text, sizeof text, "%llu frames out, %llu in", cli_get_number(description, "output-safety"),
                   cli_get_number(description, "input-safety"));
    add_line(table, "safety", text);
}

/* What channels are for, as people call it; borrowed, or in `text`. */
static const char *
label_name(IOUserAudioChannelLabel label, char text[32])
{
    static const struct {
        IOUserAudioChannelLabel label;
        const char *name;
    } names[] = {
        {IOUserAudioChannelLabelUnused, "unused"},
        {IOUserAudioChannelLabelLeft, "left"},
        {IOUserAudioChannelLabelRight, "right"},
        {IOUserAudioChannelLabelCenter, "center"},
        {IOUserAudioChannelLabelLFEScreen, "LFE"},
        {IOUserAudioChannelLabelLeftSurround, "left surround"},
        {IOUserAudioChannelLabelRightSurround, "right surround"},
        {IOUserAudioChannelLabelLeftCenter, "left center"},
        {IOUserAudioChannelLabelRightCenter, "right center"},
        {IOUserAudioChannelLabelCenterSurround, "center surround"},
        {IOUserAudioChannelLabelLeftSurroundDirect, "left side"},
        {IOUserAudioChannelLabelRightSurroundDirect, "right side"},
        {IOUserAudioChannelLabelRearSurroundLeft, "rear left"},
        {IOUserAudioChannelLabelRearSurroundRight, "rear right"},
        {IOUserAudioChannelLabelMono, "mono"},
        {IOUserAudioChannelLabelHeadphonesLeft, "headphones left"},
        {IOUserAudioChannelLabelHeadphonesRight, "headphones right"},
        {IOUserAudioChannelLabelUnknown, "unknown"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].label == label)
            return names[i].name;
    const bool is_discrete = label >> 16 == IOUserAudioChannelLabelDiscrete_0 >> 16;
    (void)snprintf(text, 32, "%s %u", is_discrete ? "discrete" : "label", is_discrete ? label & 0xFFFFu : label);
    return text;
}

static void
add_layout(struct cli_table *table, const OSDictionary *stream)
{
    const OSArray *const layout = cli_get_array(stream, "layout");
    struct cli_list list = {"", 0};
    for (size_t i = 0; i < cli_count(layout); i++) {
        const OSNumber *const label = OSDynamicCast(OSNumber, OSArrayGetObject(layout, i));
        char name[32];
        cli_list_append(&list, label_name(label ? OSNumberGetUInt32Value(label) : UINT32_MAX, name), "");
    }
    char text[LINE_BYTES];
    (void)snprintf(text, sizeof text, "channels: %s", list.text);
    if (list.length > 0)
        add_line(table, "", text);
}

static void
add_streams(struct cli_table *table, const OSDictionary *description, const char *key, const char *direction)
{
    const OSArray *const streams = cli_get_array(description, key);
    for (size_t i = 0; i < cli_count(streams); i++) {
        const OSDictionary *const stream = cli_at(streams, i);
        const OSArray *const formats = cli_get_array(stream, "formats");
        const char *const name = cli_get_text(stream, "name");
        char label[32];
        char text[LINE_BYTES];
        char format[CLI_FORMAT_BYTES] = "";
        char choices[CLI_FORMATS_BYTES];
        (void)snprintf(label, sizeof label, "%s:%zu", direction, i);
        (void)snprintf(text, sizeof text, "%s%s%s, latency %llu frames%s",
                       cli_format_text(cli_get_dictionary(stream, "physical"), format), *name ? ", " : "", name,
                       cli_get_number(stream, "latency"), cli_get_switch(stream, "active") ? "" : ", not active");
        add_line(table, label, text);
        add_layout(table, stream);
        (void)snprintf(text, sizeof text, "of %s", cli_formats_text(formats, choices));
        if (cli_count(formats) > 1)
            add_line(table, "", text);
    }
}

/* "aplay (process 4711), plays, 512 frames, -6dB, muted" */
static void
describe_client(const OSDictionary *session, struct cli_list *list)
{
    const bool has_output = cli_has(session, "output");
    char process[40];
    char text[40];
    (void)snprintf(process, sizeof process, "process %llu", cli_get_number(session, "pid"));
    cli_list_append(list, cli_get_text(session, "name"), process);
    cli_list_append(list,
                    has_output && cli_has(session, "input") ? "plays and records"
                    : has_output                            ? "plays"
                                                            : "records",
                    "");
    (void)snprintf(text, sizeof text, "%llu frames", cli_get_number(session, "io-frames"));
    if (cli_get_number(session, "io-frames") > 0) // else it takes what the device has
        cli_list_append(list, text, "");
    if (has_output)
        cli_list_append(list, cli_gain_text(cli_get_real(session, "gain-f64"), text), "");
    if (cli_get_switch(session, "mute"))
        cli_list_append(list, "muted", "");
    if (!cli_get_switch(session, "running"))
        cli_list_append(list, "stopped", "");
}

static void
add_clients(struct cli_table *table, const OSDictionary *description)
{
    const OSArray *const sessions = cli_get_array(description, "sessions");
    for (size_t i = 0; i < cli_count(sessions); i++) {
        struct cli_list list = {"", 0};
        describe_client(cli_at(sessions, i), &list);
        add_line(table, i == 0 ? "clients" : "", list.text);
    }
    if (cli_get_number(description, "more-sessions") > 0) {
        char text[40];
        (void)snprintf(text, sizeof text, "and %llu more", cli_get_number(description, "more-sessions"));
        add_line(table, "", text);
    }
}

/* What was set for programs that do not play now. */
static void
add_volumes(struct cli_table *table, const OSDictionary *description)
{
    const OSArray *const volumes = cli_get_array(description, "volumes");
    const char *label = "volumes";
    for (size_t i = 0; i < cli_count(volumes); i++) {
        const OSDictionary *const volume = cli_at(volumes, i);
        struct cli_list list = {"", 0};
        char text[CLI_GAIN_BYTES];
        if (cli_is_playing(description, cli_get_text(volume, "name")))
            continue;
        cli_list_append(&list, cli_get_text(volume, "name"), "not playing");
        cli_list_append(&list, cli_gain_text(cli_get_real(volume, "gain-f64"), text), "");
        if (cli_get_switch(volume, "mute"))
            cli_list_append(&list, "muted", "");
        add_line(table, label, list.text);
        label = "";
    }
}

static int
print_text(dx_device *device, const OSDictionary *description)
{
    static const struct cli_column columns[] = {{"", false}, {"", false}};
    struct cli_table table;
    OSArray *const settings = cli_collect_settings(device, description);
    cli_table_init(&table, columns, 2);
    add_identity(&table, description);
    add_timing(&table, description);
    add_streams(&table, description, "outputs", "output");
    add_streams(&table, description, "inputs", "input");
    add_clients(&table, description);
    add_volumes(&table, description);
    char title[LINE_BYTES];
    (void)snprintf(title, sizeof title, "%s (%s)", cli_get_text(description, "name"),
                   cli_get_text(description, "uid"));
    cli_clean(title);
    (void)printf("%s\n", title);
    int code = settings ? cli_table_print(&table, stdout, 0) : cli_fail(CLI_FAILED, "no memory");
    cli_table_finish(&table);
    if (code == CLI_OK) {
        code = cli_print_settings(settings, true);
    }
    OSObjectRelease(settings);
    return code;
}

static int
check_info(void *context)
{
    const struct info_request *const request = context;
    if (!request->device)
        return cli_fail(CLI_USAGE, "info: which device? 'dextral list' shows their names and UIDs");
    return request->wants_json ? cli_check_json("info") : CLI_OK;
}

static int
show_device(void *context, dx_directory *directory)
{
    const struct info_request *const request = context;
    dx_device *device = NULL;
    OSDictionary *description = NULL;
    int code = cli_find_device("info", directory, request->device, &device);
    if (code == CLI_OK)
        code = cli_describe(directory, dx_device_uid(device), &description);
    if (code == CLI_OK)
        code = request->wants_json ? cli_print_json(description, false) : print_text(device, description);
    OSObjectRelease(description);
    dx_device_release(device);
    return code;
}

static int
run_info(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_task task = {take_option, take_operand, check_info, show_device};
    struct info_request request = {0};
    return cli_run_task(command, &task, &request, argc, argv);
}

const struct cli_command cli_info = {
    .name = "info",
    .summary = "shows all that is known of a device",
    .usage = "DEVICE [OPTIONS]",
    .text = "Shows a device's state and why, its driver, rates, latencies, streams and formats, what its\n"
            "channels are for where the driver says so, programs that have it open, and what 'dextral set' can\n"
            "change. DEVICE is a UID, a name, or the beginning of one that no other device has.",
    .options = info_options,
    .option_count = sizeof info_options / sizeof info_options[0],
    .run = run_info,
};
