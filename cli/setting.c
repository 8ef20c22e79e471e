// SPDX-License-Identifier: MIT
// What 'dextral get' shows of a device and 'dextral set' changes.

#include "cli/setting.h"

#include "cli/cli.h"
#include "cli/format.h"
#include "cli/table.h"
#include "cli/values.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RATES 64u

/* Texts. */

const char *
cli_rates_text(const OSDictionary *description, char text[CLI_RATES_BYTES])
{
    double rates[MAX_RATES];
    const size_t count = cli_get_reals(description, "rates", rates, MAX_RATES);
    struct cli_list list = {"", 0};
    for (size_t i = 0; i < count && i < MAX_RATES; i++) {
        char rate[32];
        (void)snprintf(rate, sizeof rate, "%.10g", rates[i]);
        cli_list_append(&list, rate, "");
    }
    (void)snprintf(text, CLI_RATES_BYTES, "%s", list.text);
    return text;
}

const char *
cli_gain_text(double gain, char text[CLI_GAIN_BYTES])
{
    if (gain > 0.0)
        (void)snprintf(text, CLI_GAIN_BYTES, "%.4gdB", 20.0 * log10(gain) + 0.0); // no "-0dB"
    else
        (void)snprintf(text, CLI_GAIN_BYTES, "0%%");
    return text;
}

/* Properties and streams. */

const char *
cli_property_text(const dx_custom_property_info *info, char text[CLI_PROPERTY_BYTES])
{
    char selector[CLI_CODE_BYTES];
    char scope[CLI_CODE_BYTES];
    const IOUserAudioObjectPropertyAddress *const address = &info->address;
    (void)cli_code_text(address->mSelector, selector);
    (void)cli_code_text(address->mScope, scope);
    if (address->mScope == IOUserAudioObjectPropertyScopeGlobal && address->mElement == 0)
        (void)snprintf(text, CLI_PROPERTY_BYTES, "%s", selector);
    else if (address->mElement == 0)
        (void)snprintf(text, CLI_PROPERTY_BYTES, "%s/%s", selector, scope);
    else
        (void)snprintf(text, CLI_PROPERTY_BYTES, "%s/%s/%u", selector, scope, address->mElement);
    return text;
}

bool
cli_find_property(dx_device *device, const char *text, dx_custom_property_info *ret_info)
{
    dx_custom_property_info info = {.size = sizeof info};
    for (uint32_t i = 0; dx_device_get_custom_property_at(device, i, &info) == kIOReturnSuccess; i++) {
        char address[CLI_PROPERTY_BYTES];
        if (strcmp(cli_property_text(&info, address), text) == 0) {
            *ret_info = info;
            return true;
        }
    }
    return false;
}

const OSDictionary *
cli_find_stream(const OSDictionary *description, const char *text, IOUserAudioStreamDirection *ret_direction,
                uint32_t *ret_index)
{
    uint64_t index = 0;
    const char *const colon = strchr(text, ':');
    const size_t length = colon ? (size_t)(colon - text) : strlen(text);
    const bool is_output = length == 6 && strncmp(text, "output", length) == 0;
    const bool is_input = length == 5 && strncmp(text, "input", length) == 0;
    if ((!is_output && !is_input) || (colon && !cli_parse_unsigned(colon + 1, 0, DX_MAX_STREAMS - 1, &index)))
        return NULL;
    *ret_direction = is_output ? IOUserAudioStreamDirectionOutput : IOUserAudioStreamDirectionInput;
    *ret_index = (uint32_t)index;
    return cli_at(cli_get_array(description, is_output ? "outputs" : "inputs"), (size_t)index);
}

/* Collecting. */

struct collection {
    OSArray *settings;
    bool is_broken; // without memory
};

/* A setting with all but its value; NULL when broken. */
static OSDictionary *
add_setting(struct collection *collection, const char *kind, const char *what, const char *text, const char *range,
            bool is_settable)
{
    OSDictionary *const setting = collection->is_broken ? NULL : OSDictionaryCreate(7);
    if (!setting || !OSDictionarySetStringValue(setting, "what", what) ||
        !OSDictionarySetStringValue(setting, "kind", kind) || !OSDictionarySetStringValue(setting, "text", text) ||
        !OSDictionarySetStringValue(setting, "range", range) ||
        !cli_set_switch(setting, "settable", is_settable) || !OSArraySetObject(collection->settings, setting))
        collection->is_broken = true;
    OSObjectRelease(setting);
    return collection->is_broken ? NULL : setting; // the array keeps it
}

static void
set_value(struct collection *collection, OSDictionary *setting, OSObjectPtr value)
{
    if (setting && !OSDictionarySetObject(setting, "value", value))
        collection->is_broken = true;
}

static void
set_real_value(struct collection *collection, OSDictionary *setting, double value)
{
    if (setting && !cli_set_real(setting, "value-f64", value))
        collection->is_broken = true;
}

static void
set_text_value(struct collection *collection, OSDictionary *setting, const char *value)
{
    if (setting && !OSDictionarySetStringValue(setting, "value", value))
        collection->is_broken = true;
}

static void
collect_device(struct collection *collection, const OSDictionary *description)
{
    char text[64];
    char rates[CLI_RATES_BYTES];
    const double rate = cli_get_real(description, "rate-f64");
    const OSObjectPtr frames = OSDictionaryGetObject(description, "io-frames");
    (void)snprintf(text, sizeof text, "%.10g", rate);
    set_real_value(collection,
                   add_setting(collection, "rate", "rate", text, cli_rates_text(description, rates), true), rate);
    (void)snprintf(text, sizeof text, "%llu", cli_get_number(description, "io-frames"));
    OSDictionary *const setting =
        add_setting(collection, "frames", "io-frames", text, "0: the smallest that a program asks for", true);
    if (frames)
        set_value(collection, setting, frames);
}

static void
collect_formats(struct collection *collection, const OSDictionary *description, const char *key,
                const char *direction)
{
    const OSArray *const streams = cli_get_array(description, key);
    for (size_t i = 0; i < cli_count(streams); i++) {
        const OSDictionary *const stream = cli_at(streams, i);
        const OSArray *const formats = cli_get_array(stream, "formats");
        char choices[CLI_FORMATS_BYTES];
        char what[40];
        char format[CLI_FORMAT_BYTES] = "";
        (void)snprintf(what, sizeof what, "format %s:%zu", direction, i);
        (void)cli_format_text(cli_get_dictionary(stream, "physical"), format);
        set_text_value(collection,
                       add_setting(collection, "format", what, format, cli_formats_text(formats, choices),
                                   cli_count(formats) > 1),
                       format);
    }
}

/* The names of what is selected, and in `range` of what can be. */
static void
selector_texts(const OSDictionary *control, struct cli_list *selected, struct cli_list *range)
{
    const OSArray *const items = cli_get_array(control, "items");
    const OSArray *const numbers = cli_get_array(control, "selected");
    for (size_t i = 0; i < cli_count(items); i++) {
        const OSDictionary *const item = cli_at(items, i);
        const char *const name = cli_get_text(item, "name");
        cli_list_append(range, name, "");
        for (size_t k = 0; item && k < cli_count(numbers); k++) {
            const OSNumber *const number = OSDynamicCast(OSNumber, OSArrayGetObject(numbers, k));
            if (number && OSNumberGetUInt64Value(number) == cli_get_number(item, "value"))
                cli_list_append(selected, name, "");
        }
    }
}

/* What a control is and may be, as texts, and as a value of its kind. */
static OSDictionary *
add_control(struct collection *collection, const OSDictionary *control)
{
    const char *const kind = cli_get_text(control, "kind");
    const char *const key = cli_get_text(control, "key");
    const bool is_settable = cli_get_switch(control, "settable");
    struct cli_list text = {"", 0};
    struct cli_list range = {"", 0};
    OSDictionary *setting;
    if (strcmp(kind, "boolean") == 0) {
        const bool is_on = cli_get_switch(control, "on");
        setting = add_setting(collection, kind, key, is_on ? "on" : "off", "on, off", is_settable);
        set_value(collection, setting, is_on ? kOSBooleanTrue : kOSBooleanFalse);
    } else if (strcmp(kind, "slider") == 0) {
        const OSObjectPtr number = OSDictionaryGetObject(control, "number");
        (void)snprintf(text.text, sizeof text.text, "%u", (unsigned)cli_get_number(control, "number"));
        (void)snprintf(range.text, sizeof range.text, "%u to %u", (unsigned)cli_get_number(control, "number-min"),
                       (unsigned)cli_get_number(control, "number-max"));
        setting = add_setting(collection, kind, key, text.text, range.text, is_settable);
        if (number)
            set_value(collection, setting, number);
    } else if (strcmp(kind, "level") == 0) {
        (void)snprintf(text.text, sizeof text.text, "%.6gdB", cli_get_real(control, "decibels-f64"));
        (void)snprintf(range.text, sizeof range.text, "%.6gdB to %.6gdB",
                       cli_get_real(control, "decibels-min-f64"), cli_get_real(control, "decibels-max-f64"));
        setting = add_setting(collection, kind, key, text.text, range.text, is_settable);
        set_real_value(collection, setting, cli_get_real(control, "decibels-f64"));
    } else if (strcmp(kind, "stereo pan") == 0) {
        (void)snprintf(text.text, sizeof text.text, "%.6g", cli_get_real(control, "position-f64"));
        setting = add_setting(collection, kind, key, text.text, "0 to 1", is_settable);
        set_real_value(collection, setting, cli_get_real(control, "position-f64"));
    } else {
        selector_texts(control, &text, &range);
        setting = add_setting(collection, kind, key, text.text, range.text, is_settable);
        set_text_value(collection, setting, text.text);
    }
    return setting;
}

static void
collect_controls(struct collection *collection, const OSDictionary *description)
{
    const OSArray *const controls = cli_get_array(description, "controls");
    for (size_t i = 0; i < cli_count(controls); i++) {
        const OSDictionary *const control = cli_at(controls, i);
        OSDictionary *const setting = control ? add_control(collection, control) : NULL;
        if (setting && !OSDictionarySetStringValue(setting, "name", cli_get_text(control, "name")))
            collection->is_broken = true;
    }
}

/* A property's value without a qualifier; of another one it is not known for which. */
static void
collect_properties(struct collection *collection, dx_device *device)
{
    dx_custom_property_info info = {.size = sizeof info};
    for (uint32_t i = 0; dx_device_get_custom_property_at(device, i, &info) == kIOReturnSuccess; i++) {
        OSObjectPtr value = NULL;
        char address[CLI_PROPERTY_BYTES];
        char what[60];
        if (info.qualifier_type == IOUserAudioCustomPropertyDataTypeNone &&
            info.data_type != IOUserAudioCustomPropertyDataTypeNone)
            (void)dx_device_copy_custom_property(device, info.address, NULL, &value); // it may have none now
        const OSString *const string = OSDynamicCast(OSString, value);
        (void)snprintf(what, sizeof what, "property %s", cli_property_text(&info, address));
        OSDictionary *const setting =
            add_setting(collection, "property", what, string ? OSStringGetCStringNoCopy(string) : "",
                        info.qualifier_type != IOUserAudioCustomPropertyDataTypeNone ? "for a qualifier" : "",
                        info.is_settable);
        if (value)
            set_value(collection, setting, value);
        OSObjectRelease(value);
    }
}

static bool
collect_option(void *context, OSString *name, OSObjectPtr value)
{
    struct collection *const collection = context;
    const OSString *const text = OSDynamicCast(OSString, value);
    const char *const key = OSStringGetCStringNoCopy(name);
    char what[80];
    (void)snprintf(what, sizeof what, "option %s", key);
    if (text) // a device keeps its UID for ever
        set_text_value(
            collection,
            add_setting(collection, "option", what, OSStringGetCStringNoCopy(text), "", strcmp(key, "uid") != 0),
            OSStringGetCStringNoCopy(text));
    return collection->is_broken;
}

/* Whether one of the first of them plays and is of a program: volume and mute are one for all of those. */
static bool
is_among(const OSArray *sessions, size_t count, const char *program)
{
    for (size_t i = 0; i < count; i++) {
        const OSDictionary *const session = cli_at(sessions, i);
        if (cli_has(session, "output") && strcmp(cli_get_text(session, "name"), program) == 0)
            return true;
    }
    return false;
}

bool
cli_is_playing(const OSDictionary *description, const char *program)
{
    const OSArray *const sessions = cli_get_array(description, "sessions");
    return is_among(sessions, cli_count(sessions), program);
}

/* Of a session, or of a program that is not there. */
static void
add_volume(struct collection *collection, const OSDictionary *client)
{
    const bool is_muted = cli_get_switch(client, "mute");
    const double gain = cli_get_real(client, "gain-f64");
    char what[200];
    char text[CLI_GAIN_BYTES];
    (void)snprintf(what, sizeof what, "client %s volume", cli_get_text(client, "name"));
    set_real_value(collection,
                   add_setting(collection, "volume", what, cli_gain_text(gain, text), CLI_GAIN_RANGE, true), gain);
    (void)snprintf(what, sizeof what, "client %s mute", cli_get_text(client, "name"));
    set_value(collection, add_setting(collection, "mute", what, is_muted ? "on" : "off", "on, off", true),
              is_muted ? kOSBooleanTrue : kOSBooleanFalse);
}

static void
collect_clients(struct collection *collection, const OSDictionary *description)
{
    const OSArray *const sessions = cli_get_array(description, "sessions");
    const OSArray *const volumes = cli_get_array(description, "volumes");
    for (size_t i = 0; i < cli_count(sessions); i++) {
        const OSDictionary *const session = cli_at(sessions, i);
        if (cli_has(session, "output") && !is_among(sessions, i, cli_get_text(session, "name")))
            add_volume(collection, session);
    }
    for (size_t i = 0; i < cli_count(volumes); i++) {
        const OSDictionary *const volume = cli_at(volumes, i);
        if (!cli_is_playing(description, cli_get_text(volume, "name")))
            add_volume(collection, volume);
    }
}

OSArray *
cli_collect_settings(dx_device *device, const OSDictionary *description)
{
    struct collection collection = {.settings = OSArrayCreate(0)};
    collection.is_broken = !collection.settings;
    OSDictionary *const options = cli_get_dictionary(description, "options");
    collect_device(&collection, description);
    collect_formats(&collection, description, "outputs", "output");
    collect_formats(&collection, description, "inputs", "input");
    collect_controls(&collection, description);
    collect_properties(&collection, device);
    if (options)
        (void)OSDictionaryIterateObjects(options, collect_option, &collection);
    collect_clients(&collection, description);
    if (collection.is_broken)
        OSSafeReleaseNULL(collection.settings);
    return collection.settings;
}

static bool
is_rest(const OSDictionary *setting)
{
    static const char *const kinds[] = {"rate", "frames", "format", "volume", "mute"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(cli_get_text(setting, "kind"), kinds[i]) == 0)
            return false;
    }
    return true;
}

int
cli_print_settings(const OSArray *settings, bool wants_rest)
{
    static const struct cli_column columns[] = {
        {"WHAT", false}, {"NAME", false}, {"VALUE", false}, {"CAN BE", false}};
    struct cli_table table;
    cli_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < cli_count(settings); i++) {
        const OSDictionary *const setting = cli_at(settings, i);
        if (wants_rest && !is_rest(setting))
            continue;
        cli_table_add(&table, "%s", cli_get_text(setting, "what"));
        cli_table_add(&table, "%s", cli_get_text(setting, "name"));
        cli_table_add(&table, "%s", cli_get_text(setting, "text"));
        cli_table_add(&table, "%s",
                      cli_get_switch(setting, "settable") ? cli_get_text(setting, "range") : "only shown");
    }
    if (wants_rest && table.cell_count > 0)
        (void)putchar('\n');
    const int code = wants_rest && table.cell_count == 0 ? CLI_OK : cli_table_print(&table, stdout, 0);
    cli_table_finish(&table);
    return code;
}
