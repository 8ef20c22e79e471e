// SPDX-License-Identifier: MIT
// dextral drivers, approve, revoke, grant, restart: what may run, and who may talk to it.

#include "cli/json.h"
#include "cli/machine.h"
#include "cli/table.h"
#include "cli/values.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One request for all of them: each takes what it has. */
struct drivers_request {
    const char *operands[2];
    size_t operand_count;
    size_t wanted; // operands
    const char *usage;
    bool option; // --json, --network or --revoke: each has one option at most
};

static int
take_option(void *context, size_t option, const char *value)
{
    struct drivers_request *const request = context;
    (void)option;
    (void)value;
    request->option = true;
    return CLI_OK;
}

static int
take_operand(void *context, const char *value)
{
    struct drivers_request *const request = context;
    if (request->operand_count == request->wanted)
        return cli_fail(CLI_USAGE, "what is '%s'? It is: dextral %s", value, request->usage);
    if (!*value)
        return cli_fail(CLI_USAGE, "an argument is empty: dextral %s", request->usage);
    request->operands[request->operand_count++] = value;
    return CLI_OK;
}

static int
check_operands(void *context)
{
    const struct drivers_request *const request = context;
    if (request->operand_count < request->wanted)
        return cli_fail(CLI_USAGE, "something is missing: dextral %s", request->usage);
    return CLI_OK;
}

/* An identifier stays what it is; a path becomes absolute, because the supervisor runs somewhere else. */
static int
make_absolute(const char *name, const char *text, char path[PATH_MAX])
{
    if (!strchr(text, '/') && access(text, F_OK) != 0) {
        (void)snprintf(path, PATH_MAX, "%s", text);
        return CLI_OK;
    }
    if (!realpath(text, path))
        return cli_fail(CLI_USAGE, "%s: %s: %s", name, text, strerror(errno));
    return CLI_OK;
}

/* drivers */

static const struct cli_option drivers_options[] = {
    {"json", NULL, "as JSON: an array of drivers", 0, false},
};

static int
check_drivers(void *context)
{
    const struct drivers_request *const request = context;
    return request->option ? cli_check_json("drivers") : CLI_OK;
}

/* "1.1 (1.0 runs)": after an update, until the driver is started again. */
static void
add_version(struct cli_table *table, const OSDictionary *driver)
{
    const char *const version = cli_get_text(driver, "version");
    const char *const running = cli_get_text(driver, "running-version");
    if (*running && strcmp(running, version) != 0)
        cli_table_add(table, "%s (%s runs)", version, running);
    else
        cli_table_add(table, "%s", version);
}

/* What its drivers run on, or wait for. */
static void
add_hardware(struct cli_table *table, const OSDictionary *driver)
{
    const OSArray *const hardware = cli_get_array(driver, "hardware");
    struct cli_list list = {"", 0};
    for (size_t i = 0; i < cli_count(hardware); i++) {
        const OSString *const text = OSDynamicCast(OSString, OSArrayGetObject(hardware, i));
        cli_list_append(&list, text ? OSStringGetCStringNoCopy(text) : "", "");
    }
    cli_table_add(table, "%s", list.text);
}

static bool
has_hardware(const OSArray *drivers)
{
    for (size_t i = 0; i < cli_count(drivers); i++)
        if (cli_count(cli_get_array(cli_at(drivers, i), "hardware")) > 0)
            return true;
    return false;
}

static int
print_drivers(const OSArray *drivers)
{
    static const struct cli_column columns[] = {
        {"DRIVER", false},  {"VERSION", false}, {"STATE", false}, {"RESTARTS", true},
        {"PATH", false},    {"WHY", false},     {"HARDWARE", false}, // the last where there is any
    };
    const bool with_hardware = has_hardware(drivers);
    struct cli_table table;
    cli_table_init(&table, columns, sizeof columns / sizeof columns[0] - !with_hardware);
    for (size_t i = 0; i < cli_count(drivers); i++) {
        const OSDictionary *const driver = cli_at(drivers, i);
        cli_table_add(&table, "%s", cli_get_text(driver, "bundle"));
        add_version(&table, driver);
        cli_table_add(&table, "%s", cli_get_text(driver, "state"));
        cli_table_add(&table, "%llu", cli_get_number(driver, "restarts"));
        cli_table_add(&table, "%s", cli_get_text(driver, "path"));
        cli_table_add(&table, "%s", cli_get_text(driver, "why"));
        if (with_hardware)
            add_hardware(&table, driver);
    }
    const int code = cli_table_print(&table, stdout, 0);
    cli_table_finish(&table);
    return code;
}

static int
list_drivers(void *context, dx_directory *directory)
{
    const struct drivers_request *const request = context;
    OSArray *drivers = NULL;
    int code = cli_request_list(directory, "drivers", "drivers", "drivers", &drivers, NULL);
    if (code == CLI_OK)
        code = request->option ? cli_print_json(drivers, false) : print_drivers(drivers);
    OSObjectRelease(drivers);
    return code;
}

static int
run_drivers(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_task task = {take_option, take_operand, check_drivers, list_drivers};
    struct drivers_request request = {.usage = "drivers [--json]"};
    return cli_run_task(command, &task, &request, argc, argv);
}

const struct cli_command cli_drivers = {
    .name = "drivers",
    .summary = "lists driver bundles, and whether they may run",
    .usage = "[OPTIONS]",
    .text =
        "Lists the driver bundles that the supervisor has found: identifier, version, state and why, and where\n"
        "they are. One that is 'unapproved' is not started: 'dextral approve' says that it may be.",
    .options = drivers_options,
    .option_count = sizeof drivers_options / sizeof drivers_options[0],
    .run = run_drivers,
};

/* approve */

static const struct cli_option approve_options[] = {
    {"network", NULL, "it may use the network, which it asks for", 0, false},
};

static int
approve_driver(void *context, dx_directory *directory)
{
    const struct drivers_request *const request = context;
    char path[PATH_MAX];
    int code = make_absolute("approve", request->operands[0], path);
    OSDictionary *const arguments = OSDictionaryCreate(2);
    if (code == CLI_OK && !(arguments && OSDictionarySetStringValue(arguments, "bundle", path) &&
                            cli_set_switch(arguments, "network", request->option)))
        code = cli_fail(CLI_FAILED, "no memory");
    if (code == CLI_OK)
        code = cli_request(directory, "approve", "approve", arguments, NULL);
    OSObjectRelease(arguments);
    return code;
}

static int
run_approve(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_task task = {take_option, take_operand, check_operands, approve_driver};
    struct drivers_request request = {.wanted = 1, .usage = "approve BUNDLE [--network]"};
    return cli_run_task(command, &task, &request, argc, argv);
}

const struct cli_command cli_approve = {
    .name = "approve",
    .summary = "lets a driver bundle run",
    .usage = "BUNDLE [OPTIONS]",
    .text =
        "Says that a bundle may be run, as it is now: BUNDLE is its identifier, as 'dextral drivers' lists it,\n"
        "or its path. A new version with the same identifier, owner and folder needs no new approval, unless\n"
        "it asks for more than before.",
    .options = approve_options,
    .option_count = sizeof approve_options / sizeof approve_options[0],
    .run = run_approve,
};

/* revoke */

static int
revoke_driver(void *context, dx_directory *directory)
{
    const struct drivers_request *const request = context;
    char path[PATH_MAX];
    const int code = make_absolute("revoke", request->operands[0], path);
    return code == CLI_OK ? cli_request_about(directory, "revoke", "revoke", "bundle", path, NULL) : code;
}

static int
run_revoke(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_task task = {take_option, take_operand, check_operands, revoke_driver};
    struct drivers_request request = {.wanted = 1, .usage = "revoke BUNDLE"};
    return cli_run_task(command, &task, &request, argc, argv);
}

const struct cli_command cli_revoke = {
    .name = "revoke",
    .summary = "takes an approval back",
    .usage = "BUNDLE",
    .text = "Takes the approval of a bundle back, and what programs were granted of it. BUNDLE is its identifier\n"
            "or its path.",
    .run = run_revoke,
};

/* grant */

static const struct cli_option grant_options[] = {
    {"revoke", NULL, "takes it back", 0, false},
};

/* The file that a program's name stands for: as a shell finds it. */
static int
find_program(const char *text, char path[PATH_MAX])
{
    const char *folders = getenv("PATH");
    if (strchr(text, '/') || !folders)
        return realpath(text, path) ? CLI_OK : cli_fail(CLI_USAGE, "grant: %s: %s", text, strerror(errno));
    while (*folders) {
        const size_t length = strcspn(folders, ":");
        char candidate[PATH_MAX];
        const int written = snprintf(candidate, sizeof candidate, "%.*s/%s", (int)length, folders, text);
        if (written > 0 && (size_t)written < sizeof candidate && access(candidate, X_OK) == 0 &&
            realpath(candidate, path))
            return CLI_OK;
        folders += length + (folders[length] == ':');
    }
    return cli_fail(CLI_USAGE, "grant: there is no program %s in PATH: give its path", text);
}

static int
grant_program(void *context, dx_directory *directory)
{
    const struct drivers_request *const request = context;
    char bundle[PATH_MAX];
    char program[PATH_MAX];
    int code = make_absolute("grant", request->operands[0], bundle);
    if (code == CLI_OK)
        code = find_program(request->operands[1], program);
    OSDictionary *const arguments = OSDictionaryCreate(3);
    if (code == CLI_OK && !(arguments && OSDictionarySetStringValue(arguments, "bundle", bundle) &&
                            OSDictionarySetStringValue(arguments, "program", program) &&
                            cli_set_switch(arguments, "revoke", request->option)))
        code = cli_fail(CLI_FAILED, "no memory");
    if (code == CLI_OK)
        code = cli_request(directory, "grant", "grant", arguments, NULL);
    OSObjectRelease(arguments);
    return code;
}

static int
run_grant(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_task task = {take_option, take_operand, check_operands, grant_program};
    struct drivers_request request = {.wanted = 2, .usage = "grant BUNDLE PROGRAM [--revoke]"};
    return cli_run_task(command, &task, &request, argc, argv);
}

const struct cli_command cli_grant = {
    .name = "grant",
    .summary = "lets a program use a driver's own interface",
    .usage = "BUNDLE PROGRAM [OPTIONS]",
    .text =
        "Lets a program open user clients of a driver. PROGRAM is the path of its file, or a name in PATH: the\n"
        "program is known by the file that its process runs. BUNDLE is an identifier or a path.",
    .options = grant_options,
    .option_count = sizeof grant_options / sizeof grant_options[0],
    .run = run_grant,
};

/* restart */

static bool
has_driver(const OSArray *drivers, const char *identifier)
{
    for (size_t i = 0; i < cli_count(drivers); i++) {
        if (strcmp(cli_get_text(cli_at(drivers, i), "bundle"), identifier) == 0)
            return true;
    }
    return false;
}

static int
restart_driver(void *context, dx_directory *directory)
{
    const struct drivers_request *const request = context;
    const char *const text = request->operands[0];
    OSArray *drivers = NULL;
    int code = cli_request_list(directory, "restart", "drivers", "drivers", &drivers, NULL);
    const bool is_driver = has_driver(drivers, text);
    OSObjectRelease(drivers);
    if (code != CLI_OK)
        return code;
    if (is_driver)
        return cli_request_about(directory, "restart", "restart", "bundle", text, NULL);
    struct cli_devices devices;
    char uid[CLI_UID_BYTES] = "";
    code = cli_list_devices(directory, &devices);
    if (code != CLI_OK)
        return code;
    code = cli_find_uid("restart", &devices, text, uid);
    cli_devices_finish(&devices);
    return code == CLI_OK ? cli_request_about(directory, "restart", "restart", "uid", uid, NULL) : code;
}

static int
run_restart(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_task task = {take_option, take_operand, check_operands, restart_driver};
    struct drivers_request request = {.wanted = 1, .usage = "restart DRIVER|DEVICE"};
    return cli_run_task(command, &task, &request, argc, argv);
}

const struct cli_command cli_restart = {
    .name = "restart",
    .summary = "starts a driver anew: a new version takes over",
    .usage = "DRIVER|DEVICE",
    .text = "Ends a driver's process and starts it again, with the version of its bundle that is there now, also\n"
            "where it was given up. DRIVER is an identifier, as 'dextral drivers' lists it; of a device, its\n"
            "driver is meant. Programs that have the device open hear a short silence.",
    .run = run_restart,
};
