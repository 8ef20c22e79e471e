// SPDX-License-Identifier: MIT
// dextral remove: takes declared devices back.

#include "cli/json.h"
#include "cli/machine.h"

#include <stdlib.h>

#define MAX_REMOVED 256u

enum remove_option {
    OPTION_JSON,
};

static const struct cli_option remove_options[] = {
    [OPTION_JSON] = {"json", NULL, "prints the UIDs of what was removed as JSON: an array", 0, false},
};

struct remove_request {
    const char *devices[MAX_REMOVED];
    char uids[MAX_REMOVED][CLI_UID_BYTES];
    size_t count;
    bool wants_json;
};

static int
take_option(void *context, size_t option, const char *value)
{
    struct remove_request *const request = context;
    (void)option;
    (void)value;
    request->wants_json = true;
    return CLI_OK;
}

static int
take_operand(void *context, const char *value)
{
    struct remove_request *const request = context;
    if (request->count == MAX_REMOVED)
        return cli_fail(CLI_USAGE, "remove: at most %u devices at a time", MAX_REMOVED);
    request->devices[request->count++] = value;
    return CLI_OK;
}

static int
check_remove(void *context)
{
    const struct remove_request *const request = context;
    if (request->count == 0)
        return cli_fail(CLI_USAGE, "remove: which device? 'dextral list' shows their names and UIDs");
    return request->wants_json ? cli_check_json("remove") : CLI_OK;
}

static int
show_removed(const struct remove_request *request)
{
    OSArray *const shown = OSArrayCreate(request->count);
    bool done = shown != NULL;
    for (size_t i = 0; i < request->count && done; i++) {
        OSString *const uid = OSStringCreate(request->uids[i]);
        done = uid && OSArraySetObject(shown, uid);
        OSObjectRelease(uid);
    }
    const int code = done ? cli_print_json(shown, false) : cli_fail(CLI_FAILED, "no memory");
    OSObjectRelease(shown);
    return code;
}

/* All are found before the first one is removed: a wrong name changes nothing. */
static int
remove_devices(void *context, dx_directory *directory)
{
    struct remove_request *const request = context;
    struct cli_devices devices;
    int code = cli_list_devices(directory, &devices);
    if (code != CLI_OK)
        return code;
    for (size_t i = 0; i < request->count && code == CLI_OK; i++)
        code = cli_find_uid("remove", &devices, request->devices[i], request->uids[i]);
    cli_devices_finish(&devices);
    for (size_t i = 0; i < request->count && code == CLI_OK; i++)
        code = cli_request_about(directory, "remove", "remove", "uid", request->uids[i], NULL);
    return code == CLI_OK && request->wants_json ? show_removed(request) : code;
}

static int
run_remove(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_task task = {take_option, take_operand, check_remove, remove_devices};
    struct remove_request *const request = calloc(1, sizeof *request);
    if (!request)
        return cli_fail(CLI_FAILED, "no memory");
    const int code = cli_run_task(command, &task, request, argc, argv);
    free(request);
    return code;
}

const struct cli_command cli_remove = {
    .name = "remove",
    .summary = "removes declared devices",
    .usage = "DEVICE...",
    .text = "Removes devices that were made with 'dextral create'. Programs that have one open hear silence.",
    .options = remove_options,
    .option_count = sizeof remove_options / sizeof remove_options[0],
    .run = run_remove,
};
