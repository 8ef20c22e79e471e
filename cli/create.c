// SPDX-License-Identifier: MIT
// dextral create: declares a device of a kind; the supervisor tells which kinds and options there are.

#include "cli/json.h"
#include "cli/machine.h"
#include "cli/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KIND_OPTIONS 48u
#define HELP_BYTES 300u

static const struct cli_option create_options[] = {
    {"json", NULL, "prints the new device's UID as JSON", 0, false},
};

/* The options of a kind, as they are parsed and shown: `json` first. */
struct kind_options {
    struct cli_option options[MAX_KIND_OPTIONS + 1];
    char help[MAX_KIND_OPTIONS][HELP_BYTES];
    size_t count;
};

struct create_request {
    const char *kind;
    const struct kind_options *options;
    OSDictionary *values; // of options that are given
    bool wants_json;
};

/* Kinds. */

static int
copy_kinds(dx_directory *directory, OSDictionary **ret_answer)
{
    return cli_request(directory, "create", "kinds", NULL, ret_answer);
}

static const OSDictionary *
find_kind(const OSArray *kinds, const char *name)
{
    for (size_t i = 0; i < cli_count(kinds); i++) {
        if (strcmp(cli_get_text(cli_at(kinds, i), "name"), name) == 0)
            return cli_at(kinds, i);
    }
    return NULL;
}

static int
no_such_kind(const OSArray *kinds, const char *name)
{
    struct cli_list list = {"", 0};
    for (size_t i = 0; i < cli_count(kinds); i++)
        cli_list_append(&list, cli_get_text(cli_at(kinds, i), "name"), "");
    return cli_fail(CLI_USAGE, "create: there is no kind '%s'; there are: %s", name, list.text);
}

/* "channels in each direction: 1 to 1024; default: 2" */
static void
describe_option(const OSDictionary *option, char help[HELP_BYTES])
{
    const OSArray *const choices = cli_get_array(option, "choices");
    const char *const initial = cli_get_text(option, "initial");
    const char *const unit = cli_get_text(option, "unit");
    const char *const type = cli_get_text(option, "type");
    struct cli_list list = {"", 0};
    char range[120] = "";
    for (size_t i = 0; i < cli_count(choices); i++) {
        const OSString *const choice = OSDynamicCast(OSString, OSArrayGetObject(choices, i));
        cli_list_append(&list, choice ? OSStringGetCStringNoCopy(choice) : "", "");
    }
    if (list.length > 0)
        (void)snprintf(range, sizeof range, "\n%.100s", list.text);
    else if (strcmp(type, "boolean") == 0)
        (void)snprintf(range, sizeof range, "\nyes or no");
    else if (*cli_get_text(option, "maximum"))
        (void)snprintf(range, sizeof range, "\n%s to %s%s%s", cli_get_text(option, "minimum"),
                       cli_get_text(option, "maximum"), *unit ? " " : "", unit);
    (void)snprintf(help, HELP_BYTES, "%s%s%s%s", cli_get_text(option, "help"), range,
                   *initial ? (*range ? "; default: " : "\ndefault: ") : "", initial);
}

static const char *
argument_name(const OSDictionary *option)
{
    const char *const type = cli_get_text(option, "type");
    return strcmp(type, "text") == 0      ? "TEXT"
           : strcmp(type, "rates") == 0   ? "N,N,..."
           : strcmp(type, "choice") == 0  ? "CHOICE"
           : strcmp(type, "boolean") == 0 ? "yes|no"
           : strcmp(type, "uid") == 0     ? "UID"
                                          : "N";
}

/* Borrows from the kind. */
static void
fill_options(const OSDictionary *kind, struct kind_options *options)
{
    const OSArray *const list = cli_get_array(kind, "options");
    options->options[0] = create_options[0];
    options->count = 1;
    for (size_t i = 0; i < cli_count(list) && i < MAX_KIND_OPTIONS; i++) {
        const OSDictionary *const option = cli_at(list, i);
        if (!*cli_get_text(option, "name"))
            continue;
        describe_option(option, options->help[i]);
        options->options[options->count++] = (struct cli_option){
            .name = cli_get_text(option, "name"), .argument = argument_name(option), .help = options->help[i]};
    }
}

/* The help lists kinds where there is a supervisor to tell them. */
static void
print_kinds(void)
{
    dx_directory *directory = NULL;
    OSDictionary *answer = NULL;
    (void)printf("\nKinds:\n");
    if (dx_directory_open(NULL, &directory, NULL) == kIOReturnSuccess)
        (void)dx_directory_request(directory, "kinds", NULL, &answer, NULL); // nothing to list then
    const OSArray *const kinds = cli_get_array(answer, "kinds");
    for (size_t i = 0; i < cli_count(kinds); i++)
        (void)printf("  %-14s%s\n", cli_get_text(cli_at(kinds, i), "name"),
                     cli_get_text(cli_at(kinds, i), "summary"));
    if (cli_count(kinds) == 0)
        (void)printf("  told by the supervisor, and none is running: start one with 'dextral serve'\n");
    (void)printf("'dextral create KIND --help' shows the options of a kind.\n");
    OSObjectRelease(answer);
    dx_directory_close(directory);
}

/* Creating. */

static int
take_option(void *context, size_t option, const char *value)
{
    struct create_request *const request = context;
    if (option == 0) {
        request->wants_json = true;
        return CLI_OK;
    }
    return OSDictionarySetStringValue(request->values, request->options->options[option].name, value)
               ? CLI_OK
               : cli_fail(CLI_FAILED, "no memory");
}

static int
take_operand(void *context, const char *value)
{
    const struct create_request *const request = context;
    return cli_fail(CLI_USAGE, "create %s: it takes options only; what is '%s'?", request->kind, value);
}

static int
create_device(dx_directory *directory, const struct create_request *request)
{
    OSDictionary *answer = NULL;
    OSDictionary *const arguments = OSDictionaryCreate(2);
    char what[64];
    (void)snprintf(what, sizeof what, "create %s", request->kind);
    int code = arguments && OSDictionarySetStringValue(arguments, "kind", request->kind) &&
                       OSDictionarySetObject(arguments, "options", request->values)
                   ? cli_request(directory, what, "create", arguments, &answer)
                   : cli_fail(CLI_FAILED, "no memory");
    OSObjectRelease(arguments);
    if (code != CLI_OK)
        return code;
    OSDictionary *const shown = OSDictionaryCreate(1);
    if (!request->wants_json)
        (void)printf("%s\n", cli_get_text(answer, "uid"));
    else
        code = shown && OSDictionarySetStringValue(shown, "uid", cli_get_text(answer, "uid"))
                   ? cli_print_json(shown, false)
                   : cli_fail(CLI_FAILED, "no memory");
    OSObjectRelease(shown);
    OSObjectRelease(answer);
    return code;
}

static int
parse_and_create(dx_directory *directory, struct create_request *request, const OSDictionary *kind, int argc,
                 char **argv)
{
    struct kind_options options;
    fill_options(kind, &options);
    char name[64];
    (void)snprintf(name, sizeof name, "create %.50s", request->kind);
    const struct cli_command command = {
        .name = name,
        .usage = "[OPTIONS]",
        .text = cli_get_text(kind, "summary"),
        .options = options.options,
        .option_count = options.count,
    };
    struct cli_arguments arguments = {take_option, take_operand, request, false};
    request->options = &options;
    int code = cli_parse(&command, &arguments, argc, argv);
    if (code == CLI_OK && arguments.wants_help)
        return cli_print_help(&command);
    if (code == CLI_OK && request->wants_json)
        code = cli_check_json("create");
    return code == CLI_OK ? create_device(directory, request) : code;
}

static int
create_of_kind(struct create_request *request, int argc, char **argv)
{
    dx_directory *directory = NULL;
    OSDictionary *answer = NULL;
    int code = cli_open_directory("create", &directory);
    if (code == CLI_OK)
        code = copy_kinds(directory, &answer);
    const OSDictionary *const kind = find_kind(cli_get_array(answer, "kinds"), request->kind);
    if (code == CLI_OK)
        code = kind ? parse_and_create(directory, request, kind, argc, argv)
                    : no_such_kind(cli_get_array(answer, "kinds"), request->kind);
    OSObjectRelease(answer);
    dx_directory_close(directory);
    return code == CLI_OK ? cli_finish_output() : code;
}

static int
run_create(const struct cli_command *command, int argc, char **argv)
{
    struct create_request request = {0};
    if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0))
        return cli_print_help(command);
    if (argc == 0 || argv[0][0] == '-' || !argv[0][0])
        return cli_fail(CLI_USAGE,
                        "create: the kind comes first: dextral create KIND [OPTIONS]; 'dextral create --help' "
                        "lists kinds");
    request.kind = argv[0];
    request.values = OSDictionaryCreate(8);
    const int code =
        request.values ? create_of_kind(&request, argc - 1, argv + 1) : cli_fail(CLI_FAILED, "no memory");
    OSObjectRelease(request.values);
    return code;
}

const struct cli_command cli_create = {
    .name = "create",
    .summary = "declares a virtual device, which stays until it is removed",
    .usage = "KIND [--name TEXT] [--channels N] [--rate HZ] [OPTIONS]",
    .text = "Makes a device of a kind, with the options that the kind has, and prints its UID. It is there again\n"
            "after a restart. 'dextral set DEVICE NAME VALUE' changes an option later.",
    .options = create_options,
    .option_count = sizeof create_options / sizeof create_options[0],
    .print_more = print_kinds,
    .run = run_create,
};
