// SPDX-License-Identifier: MIT
// dextral __complete: what a shell's completion asks for; one "word<TAB>description" on a line.

#include "cli/machine.h"
#include "cli/table.h"
#include "cli/values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_NS UINT64_C(2000000000) // somebody waits at a prompt

/* Words with control characters cannot be typed, and are left out. */
static void
print_word(const char *word, const char *description)
{
    char *const plain = strdup(word);
    char *const shown = strdup(description);
    if (plain && shown) {
        cli_clean(plain);
        cli_clean(shown);
        if (*word && strcmp(plain, word) == 0)
            (void)printf("%s\t%s\n", plain, shown);
    }
    free(plain);
    free(shown);
}

/* Lists: of dictionaries, by one of their texts. */

static void
print_array(const OSArray *array, const char *key, const char *description)
{
    for (size_t i = 0; i < cli_count(array); i++)
        print_word(cli_get_text(cli_at(array, i), key), cli_get_text(cli_at(array, i), description));
}

static OSDictionary *
ask(dx_directory *directory, const char *operation, const char *key, const char *value)
{
    OSDictionary *answer = NULL;
    OSDictionary *const arguments = OSDictionaryCreate(1);
    if (arguments && (!key || OSDictionarySetStringValue(arguments, key, value)))
        (void)dx_directory_request(directory, operation, arguments, &answer,
                                   NULL); // then there is nothing to offer
    OSObjectRelease(arguments);
    return answer;
}

static void
complete_devices(dx_directory *directory)
{
    struct cli_devices devices;
    if (cli_list_devices(directory, &devices) != CLI_OK)
        return;
    print_array(devices.descriptions, "uid", "name");
    print_array(devices.descriptions, "name", "uid");
    cli_devices_finish(&devices);
}

static void
complete_drivers(dx_directory *directory)
{
    OSArray *drivers;
    if (cli_request_list(directory, "complete", "drivers", "drivers", &drivers, NULL) != CLI_OK)
        return;
    print_array(drivers, "bundle", "state");
    OSObjectRelease(drivers);
}

static void
complete_kinds(dx_directory *directory, const char *kind)
{
    OSDictionary *const answer = ask(directory, "kinds", NULL, NULL);
    const OSArray *const kinds = cli_get_array(answer, "kinds");
    if (!kind)
        print_array(kinds, "name", "summary");
    for (size_t i = 0; kind && i < cli_count(kinds); i++) {
        if (strcmp(cli_get_text(cli_at(kinds, i), "name"), kind) == 0)
            print_array(cli_get_array(cli_at(kinds, i), "options"), "name", "help");
    }
    OSObjectRelease(answer);
}

/* Settings of a device. */

static bool
print_option(void *context, OSString *name, OSObjectPtr value)
{
    const OSString *const text = OSDynamicCast(OSString, value);
    (void)context;
    if (strcmp(OSStringGetCStringNoCopy(name), "rate") == 0)
        return false; // by itself, that is the device's rate of the moment
    print_word(OSStringGetCStringNoCopy(name), text ? OSStringGetCStringNoCopy(text) : "");
    return false;
}

static void
complete_settings(const OSDictionary *description)
{
    OSDictionary *const options = cli_get_dictionary(description, "options");
    print_word("rate", "Hz");
    print_word("io-frames", "frames in a cycle");
    print_word("format", "of a stream");
    print_word("client", "a program's volume and mute");
    print_array(cli_get_array(description, "controls"), "name", "key");
    print_array(cli_get_array(description, "controls"), "key", "name");
    if (options)
        (void)OSDictionaryIterateObjects(options, print_option, NULL);
}

static void
complete_values(const OSDictionary *description, const char *what)
{
    const OSArray *const controls = cli_get_array(description, "controls");
    double rates[64];
    const size_t count = cli_get_reals(description, "rates", rates, 64);
    for (size_t i = 0; strcmp(what, "rate") == 0 && i < count && i < 64; i++) {
        char rate[32];
        (void)snprintf(rate, sizeof rate, "%.10g", rates[i]);
        print_word(rate, "Hz");
    }
    if (strcmp(what, "format") == 0) {
        print_word("output", "what is played");
        print_word("input", "what is recorded");
    }
    if (strcmp(what, "client") == 0)
        print_array(cli_get_array(description, "sessions"), "name", "");
    for (size_t i = 0; i < cli_count(controls); i++) {
        const OSDictionary *const control = cli_at(controls, i);
        if (strcmp(cli_get_text(control, "name"), what) != 0 && strcmp(cli_get_text(control, "key"), what) != 0)
            continue;
        print_array(cli_get_array(control, "items"), "name", "");
        if (strcmp(cli_get_text(control, "kind"), "boolean") == 0) {
            print_word("on", "");
            print_word("off", "");
        }
    }
}

/* The device is named as the user typed it; a name that fits none or several offers nothing. */
static void
complete_device(dx_directory *directory, const char *device, const char *what)
{
    struct cli_devices devices;
    char uid[CLI_UID_BYTES] = "";
    if (cli_list_devices(directory, &devices) != CLI_OK)
        return;
    const int code = cli_find_uid("__complete", &devices, device, uid);
    cli_devices_finish(&devices);
    if (code != CLI_OK)
        return;
    OSDictionary *const answer = ask(directory, "describe", "uid", uid);
    const OSDictionary *const description = cli_get_dictionary(answer, "description");
    if (what)
        complete_values(description, what);
    else
        complete_settings(description);
    OSObjectRelease(answer);
}

/* Without a supervisor, or with words that mean nothing, there is nothing to offer: that is no error. */
static int
run_complete(const struct cli_command *command, int argc, char **argv)
{
    const dx_directory_config config = {.size = sizeof config, .timeout_ns = TIMEOUT_NS};
    const char *const what = argc > 0 ? argv[0] : "";
    dx_directory *directory = NULL;
    (void)command;
    if (!freopen("/dev/null", "w", stderr) || dx_directory_open(&config, &directory, NULL) != kIOReturnSuccess)
        return CLI_OK;
    if (strcmp(what, "devices") == 0)
        complete_devices(directory);
    else if (strcmp(what, "drivers") == 0)
        complete_drivers(directory);
    else if (strcmp(what, "kinds") == 0)
        complete_kinds(directory, NULL);
    else if (strcmp(what, "options") == 0 && argc > 1)
        complete_kinds(directory, argv[1]);
    else if (strcmp(what, "settings") == 0 && argc > 1)
        complete_device(directory, argv[1], NULL);
    else if (strcmp(what, "values") == 0 && argc > 2)
        complete_device(directory, argv[1], argv[2]);
    dx_directory_close(directory);
    (void)fflush(stdout);
    return CLI_OK;
}

const struct cli_command cli_complete = {
    .name = "__complete",
    .run = run_complete,
};
