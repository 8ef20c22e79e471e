// SPDX-License-Identifier: MIT
// The devices of the machine, as the sub-commands ask for them.

#include "cli/machine.h"

#include "cli/values.h"

#include <stdio.h>
#include <string.h>

int
cli_open_directory(const char *name, dx_directory **ret_directory)
{
    dx_error error = {""};
    const kern_return_t status = dx_directory_open(NULL, ret_directory, &error);
    if (status == kIOReturnSuccess)
        return CLI_OK;
    if (status == kIOReturnNotFound)
        return cli_fail(CLI_NO_SUPERVISOR, "%s: %s, and so does 'systemctl --user start dextrald'", name,
                        error.message);
    return cli_fail(status == kIOReturnNotPermitted ? CLI_NO_SUPERVISOR : CLI_FAILED, "%s: %s", name,
                    *error.message ? error.message : dx_return_string(status));
}

int
cli_exit_code(kern_return_t status)
{
    switch (status) {
    case kIOReturnSuccess:
        return CLI_OK;
    case kIOReturnNotReady:
        return CLI_NO_SUPERVISOR;
    case kIOReturnBadArgument:
    case kIOReturnNotFound:
    case kIOReturnUnsupported:
    case kIOReturnPortExists:
        return CLI_USAGE;
    case kIOReturnNotWritable:
    case kIOReturnNoSpace:
    case kIOReturnNoMemory:
    case kIOReturnNoResources:
        return CLI_FAILED;
    default:
        return CLI_BAD_DRIVER;
    }
}

int
cli_request(dx_directory *directory, const char *what, const char *operation, const OSDictionary *arguments,
            OSDictionary **ret_answer)
{
    dx_error error = {""};
    char text[CLI_STATUS_BYTES];
    if (ret_answer)
        *ret_answer = NULL;
    const kern_return_t status = dx_directory_request(directory, operation, arguments, ret_answer, &error);
    if (status == kIOReturnSuccess)
        return CLI_OK;
    if (ret_answer)
        OSSafeReleaseNULL(*ret_answer); // a refusal may have said more
    return cli_fail(cli_exit_code(status), "%s: %s", what,
                    *error.message ? error.message : cli_status_text(status, text));
}

int
cli_request_about(dx_directory *directory, const char *what, const char *operation, const char *key,
                  const char *value, OSDictionary **ret_answer)
{
    OSDictionary *const arguments = OSDictionaryCreate(1);
    const int code = arguments && OSDictionarySetStringValue(arguments, key, value)
                         ? cli_request(directory, what, operation, arguments, ret_answer)
                         : cli_fail(CLI_FAILED, "no memory");
    OSObjectRelease(arguments);
    return code;
}

static void
copy_uid(char uid[CLI_UID_BYTES], const char *text)
{
    (void)snprintf(uid, CLI_UID_BYTES, "%s", text);
}

static bool
add_part(OSArray *items, const OSArray *part)
{
    for (size_t i = 0; i < cli_count(part); i++) {
        OSDictionary *const item = cli_at(part, i);
        if (item && !OSArraySetObject(items, item))
            return false;
    }
    return true;
}

int
cli_request_list(dx_directory *directory, const char *what, const char *operation, const char *key,
                 OSArray **ret_items, OSDictionary **ret_answer)
{
    OSArray *items = OSArrayCreate(0);
    OSDictionary *const arguments = OSDictionaryCreate(1);
    OSDictionary *answer = NULL;
    uint64_t from = 0;
    int code = arguments && items ? CLI_OK : cli_fail(CLI_FAILED, "no memory");
    do {
        OSSafeReleaseNULL(answer);
        if (code == CLI_OK && !OSDictionarySetUInt64Value(arguments, "from", from))
            code = cli_fail(CLI_FAILED, "no memory");
        if (code == CLI_OK)
            code = cli_request(directory, what, operation, arguments, &answer);
        if (code == CLI_OK && !add_part(items, cli_get_array(answer, key)))
            code = cli_fail(CLI_FAILED, "no memory");
        const uint64_t next = code == CLI_OK ? cli_get_number(answer, "next") : 0;
        from = next > from ? next : 0; // it only grows, or this would not end
    } while (code == CLI_OK && from > 0);
    OSObjectRelease(arguments);
    if (code != CLI_OK)
        OSSafeReleaseNULL(items);
    *ret_items = items;
    if (ret_answer && code == CLI_OK)
        *ret_answer = answer;
    else
        OSObjectRelease(answer);
    return code;
}

int
cli_list_devices(dx_directory *directory, struct cli_devices *ret_devices)
{
    OSDictionary *answer = NULL;
    *ret_devices = (struct cli_devices){0};
    const int code = cli_request_list(directory, "list", "list", "devices", &ret_devices->descriptions, &answer);
    if (code == CLI_OK) {
        copy_uid(ret_devices->default_input, cli_get_text(answer, "default-input"));
        copy_uid(ret_devices->default_output, cli_get_text(answer, "default-output"));
    }
    OSObjectRelease(answer);
    return code;
}

void
cli_devices_finish(struct cli_devices *devices)
{
    OSObjectRelease(devices->descriptions);
    *devices = (struct cli_devices){0};
}

/* How a device may be meant, the surest first. */
enum match {
    MATCH_UID,
    MATCH_NAME,
    MATCH_PREFIX,
    MATCH_NONE,
    MATCH_HIDDEN, ///< not shown either
};

static enum match
match_device(const OSDictionary *description, const char *text)
{
    const char *const uid = cli_get_text(description, "uid");
    const char *const name = cli_get_text(description, "name");
    if (strcmp(uid, text) == 0)
        return MATCH_UID;
    if (cli_get_switch(description, "hidden"))
        return MATCH_HIDDEN;
    if (strcmp(name, text) == 0)
        return MATCH_NAME;
    const size_t length = strlen(text);
    return strncmp(uid, text, length) == 0 || strncmp(name, text, length) == 0 ? MATCH_PREFIX : MATCH_NONE;
}

/* How many match at least so well; the first one is handed out, and all are listed. */
static unsigned
count_matches(const struct cli_devices *devices, const char *text, enum match match, const char **ret_uid,
              struct cli_list *list)
{
    unsigned found = 0;
    for (size_t i = 0; i < cli_count(devices->descriptions); i++) {
        const OSDictionary *const description = cli_at(devices->descriptions, i);
        if (match_device(description, text) > match)
            continue;
        if (found++ == 0)
            *ret_uid = cli_get_text(description, "uid");
        cli_list_append(list, cli_get_text(description, "uid"), cli_get_text(description, "name"));
    }
    return found;
}

int
cli_find_uid(const char *name, const struct cli_devices *devices, const char *text, char ret_uid[CLI_UID_BYTES])
{
    if (!*text)
        return cli_fail(CLI_USAGE, "%s: the name of the device is empty; 'dextral list' shows the names", name);
    const char *uid = "";
    for (enum match match = MATCH_UID; match < MATCH_NONE; match++) {
        struct cli_list list = {"", 0};
        const unsigned found = count_matches(devices, text, match, &uid, &list);
        if (found > 1)
            return cli_fail(CLI_USAGE, "%s: '%s' may be any of these, give the UID of one: %s", name, text,
                            list.text);
        if (found == 1) {
            copy_uid(ret_uid, uid);
            return CLI_OK;
        }
    }
    struct cli_list all = {"", 0};
    if (count_matches(devices, "", MATCH_NONE, &uid, &all) == 0)
        return cli_fail(CLI_USAGE, "%s: there is no device '%s', nor any other: 'dextral create cable' makes one",
                        name, text);
    return cli_fail(CLI_USAGE, "%s: there is no device '%s'; there are: %s", name, text, all.text);
}

int
cli_find_device(const char *name, dx_directory *directory, const char *text, dx_device **ret_device)
{
    struct cli_devices devices;
    char uid[CLI_UID_BYTES] = "";
    int code = cli_list_devices(directory, &devices);
    if (code != CLI_OK)
        return code;
    code = cli_find_uid(name, &devices, text, uid);
    cli_devices_finish(&devices);
    if (code != CLI_OK)
        return code;
    *ret_device = dx_directory_copy_device(directory, uid);
    return *ret_device ? CLI_OK : cli_fail(CLI_USAGE, "%s: the device %s has just gone", name, uid);
}

uint32_t
cli_count_channels(const OSDictionary *description, const char *streams)
{
    const OSArray *const array = cli_get_array(description, streams);
    uint64_t channels = 0;
    for (size_t i = 0; i < cli_count(array); i++) {
        channels += cli_get_number(cli_get_dictionary(cli_at(array, i), "physical"), "channels");
    }
    return channels < UINT32_MAX ? (uint32_t)channels : UINT32_MAX;
}

bool
cli_complete_description(OSDictionary *description, const struct cli_devices *devices)
{
    const char *const uid = cli_get_text(description, "uid");
    OSArray *const default_for = OSArrayCreate(2);
    bool is_done = default_for;
    if (is_done && strcmp(uid, devices->default_output) == 0)
        is_done = cli_take_member(default_for, OSStringCreate("output"));
    if (is_done && strcmp(uid, devices->default_input) == 0)
        is_done = cli_take_member(default_for, OSStringCreate("input"));
    return cli_take(description, "default-for", default_for) && is_done &&
           OSDictionarySetUInt64Value(description, "input-channels", cli_count_channels(description, "inputs")) &&
           OSDictionarySetUInt64Value(description, "output-channels", cli_count_channels(description, "outputs"));
}

/* Of an older supervisor they are not known. */
static bool
add_volumes(dx_directory *directory, OSDictionary *description, const char *uid)
{
    OSDictionary *const arguments = OSDictionaryCreate(1);
    OSDictionary *answer = NULL;
    bool done = arguments && OSDictionarySetStringValue(arguments, "uid", uid);
    if (done && dx_directory_request(directory, "volumes", arguments, &answer, NULL) == kIOReturnSuccess &&
        cli_get_array(answer, "volumes"))
        done = OSDictionarySetObject(description, "volumes", cli_get_array(answer, "volumes"));
    OSObjectRelease(answer);
    OSObjectRelease(arguments);
    return done;
}

int
cli_describe(dx_directory *directory, const char *uid, OSDictionary **ret_description)
{
    struct cli_devices devices;
    OSDictionary *answer = NULL;
    int code = cli_list_devices(directory, &devices);
    if (code != CLI_OK)
        return code;
    code = cli_request_about(directory, "info", "describe", "uid", uid, &answer);
    OSDictionary *const description = cli_get_dictionary(answer, "description");
    if (code == CLI_OK && !description)
        code = cli_fail(CLI_FAILED, "the supervisor describes %s in no way that is understood", uid);
    if (code == CLI_OK &&
        !(cli_complete_description(description, &devices) && add_volumes(directory, description, uid)))
        code = cli_fail(CLI_FAILED, "no memory");
    if (code == CLI_OK)
        *ret_description = OSObjectRetain(description);
    OSObjectRelease(answer);
    cli_devices_finish(&devices);
    return code;
}

int
cli_run_task(const struct cli_command *command, const struct cli_task *task, void *context, int argc, char **argv)
{
    struct cli_arguments arguments = {task->take_option, task->take_operand, context, false};
    int code = cli_parse(command, &arguments, argc, argv);
    if (code != CLI_OK)
        return code;
    if (arguments.wants_help)
        return cli_print_help(command);
    if (task->check)
        code = task->check(context);
    dx_directory *directory = NULL;
    if (code == CLI_OK)
        code = cli_open_directory(command->name, &directory);
    if (code == CLI_OK)
        code = task->run(context, directory);
    dx_directory_close(directory);
    return code == CLI_OK ? cli_finish_output() : code;
}
