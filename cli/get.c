// SPDX-License-Identifier: MIT
// dextral get: what can be set of a device, as it is now.

#include "cli/format.h"
#include "cli/json.h"
#include "cli/machine.h"
#include "cli/setting.h"
#include "cli/values.h"

#include <stdio.h>
#include <string.h>

#define MAX_OPERANDS 4u
#define MAX_WHAT_BYTES 400u

enum get_option {
    OPTION_JSON,
};

static const struct cli_option get_options[] = {
    [OPTION_JSON] = {"json", NULL, "as JSON: an object, or an array of all", 0, false},
};

struct get_request {
    const char *operands[MAX_OPERANDS]; // DEVICE, and what
    size_t operand_count;
    char what[MAX_WHAT_BYTES]; // all after DEVICE
    bool wants_json;
};

static int
take_option(void *context, size_t option, const char *value)
{
    struct get_request *const request = context;
    (void)option;
    (void)value;
    request->wants_json = true;
    return CLI_OK;
}

static int
take_operand(void *context, const char *value)
{
    struct get_request *const request = context;
    if (request->operand_count == MAX_OPERANDS)
        return cli_fail(CLI_USAGE, "get: too many arguments; what is '%s'?", value);
    if (!*value)
        return cli_fail(CLI_USAGE, "get: an argument is empty");
    request->operands[request->operand_count++] = value;
    const size_t length = strlen(request->what);
    if (request->operand_count > 1)
        (void)snprintf(request->what + length, sizeof request->what - length, "%s%s", length > 0 ? " " : "",
                       value);
    return CLI_OK;
}

static int
check_get(void *context)
{
    const struct get_request *const request = context;
    if (request->operand_count == 0)
        return cli_fail(CLI_USAGE, "get: which device? 'dextral list' shows their names and UIDs");
    return request->wants_json ? cli_check_json("get") : CLI_OK;
}

/* Finding. */

/* How a setting may be meant, the surest first. */
static bool
is_meant(const OSDictionary *setting, const char *what, unsigned way)
{
    static const char *const prefixes[] = {"", "control ", "option "};
    const char *const its_what = cli_get_text(setting, "what");
    const char *const its_name = cli_get_text(setting, "name");
    char whole[MAX_WHAT_BYTES + 16];
    switch (way) {
    case 0:
        return strcmp(its_what, what) == 0;
    case 1: // "control Volume"
        if (strncmp(what, prefixes[1], strlen(prefixes[1])) != 0)
            return false;
        what += strlen(prefixes[1]);
        return *its_name && (strcmp(its_what, what) == 0 || strcmp(its_name, what) == 0);
    case 2:
        return strcmp(its_name, what) == 0;
    case 3:
        (void)snprintf(whole, sizeof whole, "%s%s", prefixes[2], what);
        return strcmp(its_what, whole) == 0;
    default: // "format output"
        (void)snprintf(whole, sizeof whole, "%s:0", what);
        return strcmp(its_what, whole) == 0;
    }
}

static int
no_such_setting(const OSArray *settings, const char *what)
{
    struct cli_list list = {"", 0};
    for (size_t i = 0; i < cli_count(settings); i++)
        cli_list_append(&list, cli_get_text(cli_at(settings, i), "what"),
                        cli_get_text(cli_at(settings, i), "name"));
    return cli_fail(CLI_USAGE, "get: the device has no %s; it has: %s", what, list.text);
}

static int
find_setting(const OSArray *settings, const char *what, OSDictionary **ret_setting)
{
    for (unsigned way = 0; way < 5; way++) {
        struct cli_list list = {"", 0};
        unsigned found = 0;
        for (size_t i = 0; i < cli_count(settings); i++) {
            OSDictionary *const setting = cli_at(settings, i);
            if (!is_meant(setting, what, way))
                continue;
            if (found++ == 0)
                *ret_setting = setting;
            cli_list_append(&list, cli_get_text(setting, "what"), "");
        }
        if (found > 1)
            return cli_fail(CLI_USAGE, "get: several controls are named %s; give the key of one: %s", what,
                            list.text);
        if (found == 1)
            return CLI_OK;
    }
    return no_such_setting(settings, what);
}

/* Showing. */

static int
show_setting(OSDictionary *setting, bool wants_json)
{
    const OSObjectPtr value = OSDictionaryGetObject(setting, "value");
    if (wants_json || OSDynamicCast(OSDictionary, value))
        return wants_json ? cli_print_json(setting, false)
                          : cli_fail(CLI_USAGE, "get: %s is a dictionary: --json shows it",
                                     cli_get_text(setting, "what"));
    (void)printf("%s\n", cli_get_text(setting, "text"));
    return CLI_OK;
}

static int
get_settings(const struct get_request *request, dx_directory *directory, dx_device *device)
{
    OSDictionary *description = NULL;
    int code = cli_describe(directory, dx_device_uid(device), &description);
    if (code != CLI_OK)
        return code;
    OSArray *const settings = cli_collect_settings(device, description);
    OSDictionary *setting = NULL;
    if (!settings)
        code = cli_fail(CLI_FAILED, "no memory");
    else if (request->operand_count > 1)
        code = find_setting(settings, request->what, &setting);
    if (code == CLI_OK && setting)
        code = show_setting(setting, request->wants_json);
    else if (code == CLI_OK)
        code = request->wants_json ? cli_print_json(settings, false) : cli_print_settings(settings, false);
    OSObjectRelease(settings);
    OSObjectRelease(description);
    return code;
}

/* "property SELECTOR QUALIFIER": a value that is not among the settings. */
static int
get_property(const struct get_request *request, dx_device *device)
{
    dx_custom_property_info info;
    const char *const address = request->operands[2];
    if (!cli_find_property(device, address, &info))
        return cli_fail(CLI_USAGE, "get: the device has no property %s; 'dextral get %s' lists what it has",
                        address, dx_device_uid(device));
    OSObjectPtr qualifier = info.qualifier_type == IOUserAudioCustomPropertyDataTypeDictionary
                                ? (OSObjectPtr)cli_parse_json("get: the qualifier", request->operands[3])
                                : (OSObjectPtr)OSStringCreate(request->operands[3]);
    if (!qualifier)
        return CLI_USAGE;
    OSObjectPtr value = NULL;
    char text[CLI_STATUS_BYTES];
    const kern_return_t status = dx_device_copy_custom_property(device, info.address, qualifier, &value);
    OSObjectRelease(qualifier);
    if (status != kIOReturnSuccess)
        return cli_fail(cli_exit_code(status), "get: property %s: %s", address, cli_status_text(status, text));
    OSDictionary *const setting = OSDictionaryCreate(3);
    const OSString *const string = OSDynamicCast(OSString, value);
    int code =
        setting && OSDictionarySetStringValue(setting, "what", request->what) &&
                OSDictionarySetStringValue(setting, "text", string ? OSStringGetCStringNoCopy(string) : "") &&
                OSDictionarySetObject(setting, "value", value)
            ? CLI_OK
            : cli_fail(CLI_FAILED, "no memory");
    if (code == CLI_OK)
        code = show_setting(setting, request->wants_json);
    OSObjectRelease(setting);
    OSObjectRelease(value);
    return code;
}

/* "default [input|output]" */
static int
get_default(const struct get_request *request, dx_directory *directory)
{
    struct cli_devices devices;
    const char *const direction = request->operand_count > 1 ? request->operands[1] : "output";
    const bool is_output = strcmp(direction, "output") == 0;
    if (request->operand_count > 2 || (!is_output && strcmp(direction, "input") != 0))
        return cli_fail(CLI_USAGE, "get default: 'output' or 'input'; what is '%s'?",
                        request->operands[request->operand_count - 1]);
    int code = cli_list_devices(directory, &devices);
    if (code != CLI_OK)
        return code;
    const char *const uid = is_output ? devices.default_output : devices.default_input;
    OSDictionary *const setting = OSDictionaryCreate(3);
    if (!*uid)
        code = cli_fail(CLI_USAGE,
                        "get default: there is no default %s device; 'dextral set default DEVICE' makes one",
                        direction);
    else if (!setting || !OSDictionarySetStringValue(setting, "what", "default") ||
             !OSDictionarySetStringValue(setting, "text", uid) ||
             !OSDictionarySetStringValue(setting, "value", uid))
        code = cli_fail(CLI_FAILED, "no memory");
    else
        code = show_setting(setting, request->wants_json);
    OSObjectRelease(setting);
    cli_devices_finish(&devices);
    return code;
}

static int
get_something(void *context, dx_directory *directory)
{
    const struct get_request *const request = context;
    if (strcmp(request->operands[0], "default") == 0)
        return get_default(request, directory);
    dx_device *device = NULL;
    const int code = cli_find_device("get", directory, request->operands[0], &device);
    if (code != CLI_OK)
        return code;
    const bool has_qualifier = request->operand_count == 4 && strcmp(request->operands[1], "property") == 0;
    const int result = has_qualifier ? get_property(request, device) : get_settings(request, directory, device);
    dx_device_release(device);
    return result;
}

static int
run_get(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_task task = {take_option, take_operand, check_get, get_something};
    struct get_request request = {0};
    return cli_run_task(command, &task, &request, argc, argv);
}

const struct cli_command cli_get = {
    .name = "get",
    .summary = "shows controls, rate, formats, properties and options of a device",
    .usage = "DEVICE [WHAT] [OPTIONS]\n       dextral get default [output|input]",
    .text = "Shows what 'dextral set' can change, and how it is now; with WHAT the value alone, as 'dextral set'\n"
            "takes it. WHAT is one of:\n"
            "  rate, io-frames, format output[:N], format input[:N]\n"
            "  a control's name or key: Volume, vlme/outp/0\n"
            "  property SELECTOR [QUALIFIER], option NAME, client PROGRAM volume, client PROGRAM mute",
    .options = get_options,
    .option_count = sizeof get_options / sizeof get_options[0],
    .run = run_get,
};
