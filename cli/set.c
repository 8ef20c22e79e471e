// SPDX-License-Identifier: MIT
// dextral set: controls, rates, formats, properties, options, programs' volumes and the default device.

#include "cli/control.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/machine.h"
#include "cli/setting.h"
#include "cli/values.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAX_OPERANDS 5u // DEVICE client PROGRAM volume VALUE
#define MAX_WHAT_BYTES 200u

enum set_option {
    OPTION_NONE,
    OPTION_JSON,
};

static const struct cli_option set_options[] = {
    [OPTION_NONE] = {"none", NULL, "with 'default': takes the choice back", 0, false},
    [OPTION_JSON] = {"json", NULL, "prints what was set as JSON: an object", 0, false},
};

struct set_request {
    const char *operands[MAX_OPERANDS];
    size_t operand_count;
    bool wants_none;
    bool wants_json;
    dx_directory *directory;
    dx_device *device;
    char what[MAX_WHAT_BYTES]; // "set: Volume -6dB", for messages
};

static int
take_option(void *context, size_t option, const char *value)
{
    struct set_request *const request = context;
    (void)value;
    if (option == OPTION_NONE)
        request->wants_none = true;
    else
        request->wants_json = true;
    return CLI_OK;
}

static int
take_operand(void *context, const char *value)
{
    struct set_request *const request = context;
    if (request->operand_count == MAX_OPERANDS)
        return cli_fail(CLI_USAGE, "set: too many arguments; what is '%s'?", value);
    request->operands[request->operand_count++] = value;
    return CLI_OK;
}

static bool
is_default(const struct set_request *request)
{
    return request->operand_count > 0 && strcmp(request->operands[0], "default") == 0;
}

static int
check_set(void *context)
{
    struct set_request *const request = context;
    const size_t least = is_default(request) ? (request->wants_none ? 1u : 2u) : 3u;
    if (request->operand_count < least)
        return cli_fail(CLI_USAGE, "set: something is missing: dextral set %s",
                        is_default(request) ? "default DEVICE [output|input]" : "DEVICE WHAT VALUE");
    if (request->wants_none && !is_default(request))
        return cli_fail(CLI_USAGE, "set: --none goes with 'default' alone");
    size_t length = (size_t)snprintf(request->what, sizeof request->what, "set:");
    for (size_t i = is_default(request) ? 0 : 1; i < request->operand_count && length < sizeof request->what; i++)
        length +=
            (size_t)snprintf(request->what + length, sizeof request->what - length, " %s", request->operands[i]);
    return request->wants_json ? cli_check_json("set") : CLI_OK;
}

/* Shows what was set: what words stand for, and to which value. */
static int
show_set(const struct set_request *request, const char *uid, const char *const *words, size_t word_count,
         const char *value)
{
    char what[MAX_WHAT_BYTES] = "";
    size_t length = 0;
    if (!request->wants_json)
        return CLI_OK;
    for (size_t i = 0; i < word_count && length < sizeof what; i++)
        length += (size_t)snprintf(what + length, sizeof what - length, "%s%s", i > 0 ? " " : "", words[i]);
    OSDictionary *const shown = OSDictionaryCreate(3);
    const bool done = shown && (!uid || OSDictionarySetStringValue(shown, "uid", uid)) &&
                      OSDictionarySetStringValue(shown, "what", what) &&
                      OSDictionarySetStringValue(shown, "text", value);
    const int code = done ? cli_print_json(shown, false) : cli_fail(CLI_FAILED, "no memory");
    OSObjectRelease(shown);
    return code;
}

/* Requests of the `set` operation. */

/* A new one, for the device; NULL without memory, after a message. */
static OSDictionary *
make_arguments(const struct set_request *request, const char *what)
{
    OSDictionary *arguments = OSDictionaryCreate(4);
    if (!arguments || !OSDictionarySetStringValue(arguments, "uid", dx_device_uid(request->device)) ||
        !OSDictionarySetStringValue(arguments, "what", what)) {
        OSSafeReleaseNULL(arguments);
        (void)cli_fail(CLI_FAILED, "no memory");
    }
    return arguments;
}

/* Sends it, and gives it up. */
static int
send_arguments(const struct set_request *request, OSDictionary *arguments, bool is_complete)
{
    if (!arguments)
        return CLI_FAILED;
    const int code = is_complete ? cli_request(request->directory, request->what, "set", arguments, NULL)
                                 : cli_fail(CLI_FAILED, "no memory");
    OSObjectRelease(arguments);
    return code;
}

/* "-6dB", "50%", "0.5": a factor. */
static bool
parse_gain(const char *text, double *ret_gain)
{
    double value;
    if (cli_parse_with_unit(text, "dB", &value))
        value = pow(10.0, value / 20.0);
    else if (cli_parse_with_unit(text, "%", &value))
        value /= 100.0;
    else if (!cli_parse_real(text, 0.0, CLI_MAX_GAIN, &value))
        return false;
    *ret_gain = value;
    return value >= 0.0 && value <= CLI_MAX_GAIN;
}

/* client PROGRAM volume|mute VALUE */
static int
set_client(struct set_request *request)
{
    const char *const which = request->operands[3];
    const char *const value = request->operands[4];
    const bool is_volume = strcmp(which, "volume") == 0;
    double gain = 0.0;
    bool is_muted = false;
    if (!is_volume && strcmp(which, "mute") != 0)
        return cli_fail(CLI_USAGE, "%s: a program has volume and mute; what is '%s'?", request->what, which);
    if (is_volume && !parse_gain(value, &gain))
        return cli_fail(CLI_USAGE, "%s: expected %s", request->what, CLI_GAIN_RANGE);
    if (!is_volume && !cli_parse_switch(value, &is_muted))
        return cli_fail(CLI_USAGE, "%s: expected on or off", request->what);
    OSDictionary *const arguments = make_arguments(request, "client");
    const bool is_complete =
        arguments && OSDictionarySetStringValue(arguments, "program", request->operands[2]) &&
        (is_volume ? cli_set_real(arguments, "gain-f64", gain) : cli_set_switch(arguments, "mute", is_muted));
    return send_arguments(request, arguments, is_complete);
}

static int
set_declared_option(const struct set_request *request, const char *name, const char *value)
{
    OSDictionary *const arguments = make_arguments(request, "option");
    const bool is_complete = arguments && OSDictionarySetStringValue(arguments, "name", name) &&
                             OSDictionarySetStringValue(arguments, "value", value);
    return send_arguments(request, arguments, is_complete);
}

/* The device itself. */

static int
check_status(const struct set_request *request, kern_return_t status)
{
    char text[CLI_STATUS_BYTES];
    if (status == kIOReturnSuccess)
        return CLI_OK;
    return cli_fail(cli_exit_code(status), "%s: %s", request->what, cli_status_text(status, text));
}

static bool
has_format(const OSDictionary *stream, const IOUserAudioStreamBasicDescription *format)
{
    const OSDictionary *const physical = cli_get_dictionary(stream, "physical");
    return cli_get_number(physical, "flags") == format->mFormatFlags &&
           cli_get_number(physical, "bits") == format->mBitsPerChannel &&
           cli_get_number(physical, "channels") == format->mChannelsPerFrame;
}

/* Whether the list of devices has a rate or, with a format, that of a stream: "output:0". */
static bool
is_listed(const struct set_request *request, double rate_hz, const char *stream,
          const IOUserAudioStreamBasicDescription *format)
{
    IOUserAudioStreamDirection direction;
    uint32_t index;
    bool is_there = true; // where it cannot be found out, or the device has gone, there is nothing to wait for
    struct cli_devices devices;
    if (cli_list_devices(request->directory, &devices) != CLI_OK)
        return true;
    for (size_t i = 0; i < cli_count(devices.descriptions); i++) {
        const OSDictionary *const description = cli_at(devices.descriptions, i);
        if (strcmp(cli_get_text(description, "uid"), dx_device_uid(request->device)) == 0)
            is_there = format ? has_format(cli_find_stream(description, stream, &direction, &index), format)
                              : cli_get_real(description, "rate-f64") == rate_hz;
    }
    cli_devices_finish(&devices);
    return is_there;
}

/* The driver tells the supervisor of a change a moment after it was made.  Waits for that, so that the next
 * command finds it: a second at most, and where it does not come it was made all the same. */
static void
wait_until_listed(const struct set_request *request, double rate_hz, const char *stream,
                  const IOUserAudioStreamBasicDescription *format)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    for (unsigned i = 0; i < 100 && !is_listed(request, rate_hz, stream, format); i++)
        (void)nanosleep(&pause, NULL);
}

static int
set_rate(struct set_request *request)
{
    double rate = 0.0;
    if (!cli_parse_real(request->operands[2], 1.0, 1e9, &rate))
        return cli_fail(CLI_USAGE, "%s: expected a rate in Hz, such as 48000", request->what);
    const kern_return_t status = dx_device_set_sample_rate(request->device, rate);
    if (status == kIOReturnSuccess)
        wait_until_listed(request, rate, NULL, NULL);
    if (status != kIOReturnUnsupported)
        return check_status(request, status);
    OSDictionary *description = NULL;
    char rates[CLI_RATES_BYTES] = "";
    int code = cli_describe(request->directory, dx_device_uid(request->device), &description);
    if (code == CLI_OK)
        code = cli_fail(CLI_USAGE, "%s: the device has %s Hz", request->what, cli_rates_text(description, rates));
    OSObjectRelease(description);
    return code;
}

static int
set_io_frames(struct set_request *request)
{
    uint64_t frames = 0;
    if (!cli_parse_unsigned(request->operands[2], 0, 1u << 24, &frames))
        return cli_fail(CLI_USAGE, "%s: expected a number of frames, such as 512; 0: what programs ask for",
                        request->what);
    const kern_return_t status = dx_device_set_io_frames(request->device, (uint32_t)frames);
    if (status == kIOReturnBadArgument)
        return cli_fail(CLI_USAGE,
                        "%s: it does not fit: three cycles and the safety offsets must fit into the device's ring",
                        request->what);
    return check_status(request, status);
}

/* format output[:N]|input[:N] FORMAT */
static int
set_format(struct set_request *request)
{
    OSDictionary *description = NULL;
    IOUserAudioStreamDirection direction = IOUserAudioStreamDirectionOutput;
    IOUserAudioStreamBasicDescription format = {0};
    uint32_t index = 0;
    int code = cli_describe(request->directory, dx_device_uid(request->device), &description);
    if (code != CLI_OK)
        return code;
    const OSDictionary *const stream = cli_find_stream(description, request->operands[2], &direction, &index);
    code = stream ? cli_choose_format(request->what, stream, request->operands[3], &format)
                  : cli_fail(CLI_USAGE, "%s: the device has no stream %s; 'dextral get %s' lists what it has",
                             request->what, request->operands[2], request->operands[0]);
    if (code == CLI_OK)
        code = check_status(request, dx_device_set_stream_format(request->device, direction, index, &format));
    if (code == CLI_OK)
        wait_until_listed(request, 0.0, request->operands[2], &format);
    OSObjectRelease(description);
    return code;
}

/* +1: a value or qualifier of a type; NULL after a message, or where there is none. */
static OSObjectPtr
make_property_value(const struct set_request *request, IOUserAudioCustomPropertyDataType type, const char *text)
{
    if (type == IOUserAudioCustomPropertyDataTypeDictionary)
        return cli_parse_json(request->what, text);
    OSString *const string = OSStringCreate(text);
    if (!string)
        (void)cli_fail(CLI_FAILED, "no memory");
    return string;
}

/* property SELECTOR [QUALIFIER] VALUE */
static int
set_property(struct set_request *request)
{
    dx_custom_property_info info;
    const char *const address = request->operands[2];
    if (!cli_find_property(request->device, address, &info))
        return cli_fail(CLI_USAGE, "%s: the device has no property %s; 'dextral get %s' lists what it has",
                        request->what, address, request->operands[0]);
    const bool has_qualifier = info.qualifier_type != IOUserAudioCustomPropertyDataTypeNone;
    if (request->operand_count != (has_qualifier ? 5u : 4u))
        return cli_fail(CLI_USAGE, "%s: expected: dextral set DEVICE property %s %sVALUE", request->what, address,
                        has_qualifier ? "QUALIFIER " : "");
    const char *const value_text = request->operands[request->operand_count - 1];
    OSObjectPtr value = make_property_value(request, info.data_type, value_text);
    OSObjectPtr qualifier =
        has_qualifier && value ? make_property_value(request, info.qualifier_type, request->operands[3]) : NULL;
    const int code = !value || (has_qualifier && !qualifier)
                         ? CLI_USAGE
                         : check_status(request, dx_device_set_custom_property(request->device, info.address,
                                                                               qualifier, value));
    OSObjectRelease(qualifier);
    OSObjectRelease(value);
    return code;
}

static int
set_control(const struct set_request *request, const char *key, const char *value)
{
    const struct cli_setting setting = {request->what, key, strlen(key), value};
    return cli_set_control(request->device, &setting);
}

static bool
list_option(void *context, OSString *name, OSObjectPtr value)
{
    (void)value;
    cli_list_append(context, OSStringGetCStringNoCopy(name), "");
    return false;
}

/* The short form: a control, or else an option of a declared device. */
static int
set_by_name(const struct set_request *request)
{
    const char *const name = request->operands[1];
    const char *const value = request->operands[2];
    dx_control_info info;
    if (cli_find_control(request->device, name, strlen(name), &info) > 0)
        return set_control(request, name, value);
    OSDictionary *description = NULL;
    int code = cli_describe(request->directory, dx_device_uid(request->device), &description);
    if (code != CLI_OK)
        return code;
    OSDictionary *const options = cli_get_dictionary(description, "options");
    struct cli_list list = {"", 0};
    if (cli_has(options, name)) {
        code = set_declared_option(request, name, value);
    } else if (options) {
        (void)OSDictionaryIterateObjects(options, list_option, &list);
        code = cli_fail(CLI_USAGE,
                        "%s: the device has no control or option %s; its options: %s; 'dextral get %s' lists all",
                        request->what, name, list.text, request->operands[0]);
    } else {
        code = set_control(request, name, value); // says which controls there are
    }
    OSObjectRelease(description);
    return code;
}

/* The default. */

static int
set_default(const struct set_request *request)
{
    const size_t expected = request->wants_none ? 1 : 2; // before the direction
    const char *const direction = request->operand_count > expected ? request->operands[expected] : "both";
    const bool is_input = strcmp(direction, "input") == 0;
    const bool is_output = strcmp(direction, "output") == 0;
    if (request->operand_count > expected + 1 || (!is_input && !is_output && request->operand_count > expected))
        return cli_fail(CLI_USAGE, "%s: expected: dextral set default DEVICE [output|input]", request->what);
    struct cli_devices devices;
    char uid[CLI_UID_BYTES] = "";
    OSDictionary *const arguments = OSDictionaryCreate(2);
    int code = request->wants_none ? CLI_OK : cli_list_devices(request->directory, &devices);
    if (code == CLI_OK && !request->wants_none) {
        code = cli_find_uid("set", &devices, request->operands[1], uid);
        cli_devices_finish(&devices);
    }
    if (code == CLI_OK && (!arguments || (*uid && !OSDictionarySetStringValue(arguments, "uid", uid)) ||
                           !OSDictionarySetUInt64Value(arguments, "direction",
                                                       is_input    ? 1
                                                       : is_output ? 2
                                                                   : 0)))
        code = cli_fail(CLI_FAILED, "no memory");
    if (code == CLI_OK)
        code = cli_request(request->directory, request->what, "set-default", arguments, NULL);
    if (code == CLI_OK)
        code = show_set(request, NULL, (const char *const[]){"default", direction}, is_input || is_output ? 2 : 1,
                        uid);
    OSObjectRelease(arguments);
    return code;
}

/* option NAME VALUE */
static int
set_option(struct set_request *request)
{
    return set_declared_option(request, request->operands[2], request->operands[3]);
}

/* control KEY VALUE */
static int
set_control_by_key(struct set_request *request)
{
    return set_control(request, request->operands[2], request->operands[3]);
}

/* What is set, by its first word. */
static int
set_what(struct set_request *request)
{
    static const struct {
        const char *word;
        int (*set)(struct set_request *request);
        size_t least; // operands
        size_t most;
        const char *usage;
    } words[] = {
        {"rate", set_rate, 3, 3, "rate HZ"},
        {"io-frames", set_io_frames, 3, 3, "io-frames N"},
        {"format", set_format, 4, 4, "format output[:N]|input[:N] FORMAT"},
        {"control", set_control_by_key, 4, 4, "control KEY VALUE"},
        {"option", set_option, 4, 4, "option NAME VALUE"},
        {"property", set_property, 4, 5, "property SELECTOR [QUALIFIER] VALUE"},
        {"client", set_client, 5, 5, "client PROGRAM volume|mute VALUE"},
    };
    const size_t count = request->operand_count;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(request->operands[1], words[i].word) != 0)
            continue;
        return count >= words[i].least && count <= words[i].most
                   ? words[i].set(request)
                   : cli_fail(CLI_USAGE, "%s: expected: dextral set DEVICE %s", request->what, words[i].usage);
    }
    if (count != 3)
        return cli_fail(CLI_USAGE,
                        "%s: expected: dextral set DEVICE WHAT VALUE; put what has blanks between quotes",
                        request->what);
    return set_by_name(request);
}

static int
set_something(void *context, dx_directory *directory)
{
    struct set_request *const request = context;
    request->directory = directory;
    if (is_default(request))
        return set_default(request);
    int code = cli_find_device("set", directory, request->operands[0], &request->device);
    if (code == CLI_OK)
        code = set_what(request);
    if (code == CLI_OK)
        code = show_set(request, dx_device_uid(request->device), request->operands + 1, request->operand_count - 2,
                        request->operands[request->operand_count - 1]);
    dx_device_release(request->device);
    return code;
}

static int
run_set(const struct cli_command *command, int argc, char **argv)
{
    static const struct cli_task task = {take_option, take_operand, check_set, set_something};
    struct set_request request = {0};
    return cli_run_task(command, &task, &request, argc, argv);
}

const struct cli_command cli_set = {
    .name = "set",
    .summary = "changes controls, rate, formats, properties and options of a device",
    .usage = "DEVICE WHAT VALUE\n"
             "       dextral set DEVICE client PROGRAM volume|mute VALUE\n"
             "       dextral set default DEVICE [output|input]",
    .text = "WHAT and VALUE are:\n"
            "  a control's name or key, and on, off, a number, -6dB, 50%, 0.5 or the name of an item\n"
            "  rate HZ; io-frames N; format output[:N]|input[:N] FORMAT, such as s24/2ch/48000 or a part of it\n"
            "  option NAME VALUE, of a device that was made with 'dextral create'; its name alone does as well\n"
            "  property SELECTOR [QUALIFIER] VALUE; control KEY VALUE",
    .options = set_options,
    .option_count = sizeof set_options / sizeof set_options[0],
    .run = run_set,
};
