// SPDX-License-Identifier: MIT
// dextral list: the devices of the machine.

#include "cli/json.h"
#include "cli/machine.h"
#include "cli/table.h"
#include "cli/values.h"

#include <string.h>

enum list_option {
    OPTION_ALL,
    OPTION_JSON,
};

static const struct cli_option list_options[] = {
    [OPTION_ALL] = {"all", NULL, "hidden devices as well", 'a', false},
    [OPTION_JSON] = {"json", NULL, "as JSON: an array of devices", 0, false},
};

struct list_request {
    bool wants_all;
    bool wants_json;
};

static int
take_option(void *context, size_t option, const char *value)
{
    struct list_request *const request = context;
    (void)value;
    if (option == OPTION_ALL)
        request->wants_all = true;
    else
        request->wants_json = true;
    return CLI_OK;
}

static int
take_operand(void *context, const char *value)
{
    (void)context;
    return cli_fail(CLI_USAGE, "list: it takes no arguments; what is '%s'? 'dextral info DEVICE' shows one device",
                    value);
}

static const char *
default_mark(const OSDictionary *description, const struct cli_devices *devices)
{
    const char *const uid = cli_get_text(description, "uid");
    const bool is_output = strcmp(uid, devices->default_output) == 0;
    const bool is_input = strcmp(uid, devices->default_input) == 0;
    return is_output && is_input ? "both" : is_output ? "output" : is_input ? "input" : "";
}

static bool
has_hardware(const struct cli_devices *devices)
{
    for (size_t i = 0; i < cli_count(devices->descriptions); i++)
        if (*cli_get_text(cli_at(devices->descriptions, i), "hardware"))
            return true;
    return false;
}

static int
print_text(const struct cli_devices *devices)
{
    static const struct cli_column columns[] = {
        {"NAME", false}, {"UID", false}, {"DEFAULT", false}, {"STATE", false},    {"RATE", true},
        {"OUT", true},   {"IN", true},   {"CLIENTS", true},  {"HARDWARE", false}, // the last where there is any
    };
    const bool with_hardware = has_hardware(devices);
    struct cli_table table;
    if (cli_count(devices->descriptions) == 0) {
        cli_note(
            "there are no devices yet: 'dextral create cable' makes one, 'dextral drivers' shows what may run");
        return CLI_OK;
    }
    cli_table_init(&table, columns, sizeof columns / sizeof columns[0] - !with_hardware);
    for (size_t i = 0; i < cli_count(devices->descriptions); i++) {
        const OSDictionary *const description = cli_at(devices->descriptions, i);
        cli_table_add(&table, "%s", cli_get_text(description, "name"));
        cli_table_add(&table, "%s", cli_get_text(description, "uid"));
        cli_table_add(&table, "%s", default_mark(description, devices));
        cli_table_add(&table, "%s", cli_get_text(description, "state"));
        cli_table_add(&table, "%.10g", cli_get_real(description, "rate-f64"));
        cli_table_add(&table, "%u", cli_count_channels(description, "outputs"));
        cli_table_add(&table, "%u", cli_count_channels(description, "inputs"));
        cli_table_add(&table, "%llu", cli_get_number(description, "session-count"));
        if (with_hardware)
            cli_table_add(&table, "%s", cli_get_text(description, "hardware"));
    }
    const int code = cli_table_print(&table, stdout, 0);
    cli_table_finish(&table);
    return code;
}

static void
leave_hidden_out(struct cli_devices *devices)
{
    for (size_t i = cli_count(devices->descriptions); i-- > 0;) {
        if (cli_get_switch(cli_at(devices->descriptions, i), "hidden"))
            OSArrayRemoveObject(devices->descriptions, i);
    }
}

static int
print_devices(const struct cli_devices *devices, bool wants_json)
{
    if (!wants_json)
        return print_text(devices);
    for (size_t i = 0; i < cli_count(devices->descriptions); i++) {
        if (!cli_complete_description(cli_at(devices->descriptions, i), devices))
            return cli_fail(CLI_FAILED, "no memory");
    }
    return cli_print_json(devices->descriptions, false);
}

static int
check_list(void *context)
{
    const struct list_request *const request = context;
    return request->wants_json ? cli_check_json("list") : CLI_OK;
}

static int
list_devices(void *context, dx_directory *directory)
{
    const struct list_request *const request = context;
    struct cli_devices devices;
    int code = cli_list_devices(directory, &devices);
    if (code != CLI_OK)
        return code;
    if (!request->wants_all)
        leave_hidden_out(&devices);
    code = print_devices(&devices, request->wants_json);
    cli_devices_finish(&devices);
    return code;
}

static int
run_list(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_task task = {take_option, take_operand, check_list, list_devices};
    struct list_request request = {0};
    return cli_run_task(command, &task, &request, argc, argv);
}

const struct cli_command cli_list = {
    .name = "list",
    .summary = "lists the devices of the machine",
    .usage = "[OPTIONS]",
    .text = "Lists the devices that the supervisor knows: name, UID, whether it is the default, state, rate,\n"
            "channels that it plays and records, and how many programs have it open.",
    .options = list_options,
    .option_count = sizeof list_options / sizeof list_options[0],
    .run = run_list,
};
