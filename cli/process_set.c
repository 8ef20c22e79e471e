// SPDX-License-Identifier: MIT
// --set KEY=VALUE: controls of the device, set before its IO starts.

#include "cli/process.h"

#include <dextral/host_controls.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_LISTED_BYTES 700u // what fits into a message

/* A list in a message: "a, b, c". */
struct list {
    char text[MAX_LISTED_BYTES];
    size_t length;
};

static void
append(struct list *list, const char *item, const char *detail)
{
    const int added = snprintf(list->text + list->length, sizeof list->text - list->length, "%s%s%s%s%s",
                               list->length > 0 ? ", " : "", item, *detail ? " (" : "", detail, *detail ? ")" : "");
    if (added > 0)
        list->length += (size_t)added;
    if (list->length >= sizeof list->text) {
        list->length = sizeof list->text - 1; // cut; further items change nothing
        memcpy(list->text + list->length - 3, "...", 3);
    }
}

static int
no_such_control(dx_device *device, const char *key, size_t key_length)
{
    struct list list = {"", 0};
    dx_control_info info = {.size = sizeof info};
    for (uint32_t i = 0; dx_device_get_control_at(device, i, &info) == kIOReturnSuccess; i++)
        append(&list, info.key, info.name);
    return cli_fail(CLI_USAGE, "process: --set: the device has no control %.*s; it has: %s", (int)key_length, key,
                    list.length > 0 ? list.text : "none");
}

static int
several_controls(dx_device *device, const char *name)
{
    struct list list = {"", 0};
    dx_control_info info = {.size = sizeof info};
    for (uint32_t i = 0; dx_device_get_control_at(device, i, &info) == kIOReturnSuccess; i++) {
        if (strcmp(info.name, name) == 0)
            append(&list, info.key, "");
    }
    return cli_fail(CLI_USAGE, "process: --set: several controls are named %s; give the key of one: %s", name,
                    list.text);
}

static bool
is_text(const char *text, const char *start, size_t length)
{
    return strlen(text) == length && memcmp(text, start, length) == 0;
}

/* The control that has a key, or else is the only one of a name. */
static int
find_control(dx_device *device, const char *key, size_t key_length, dx_control_info *ret_info)
{
    uint32_t named = 0;
    dx_control_info info = {.size = sizeof info};
    for (uint32_t i = 0; dx_device_get_control_at(device, i, &info) == kIOReturnSuccess; i++) {
        if (is_text(info.key, key, key_length)) {
            *ret_info = info;
            return CLI_OK;
        }
        if (is_text(info.name, key, key_length) && named++ == 0)
            *ret_info = info;
    }
    if (named > 1)
        return several_controls(device, ret_info->name);
    return named == 1 ? CLI_OK : no_such_control(device, key, key_length);
}

static int
bad_value(const dx_control_info *info, const char *value, const char *expected)
{
    return cli_fail(CLI_USAGE, "process: --set %s=%s: expected %s", info->key, value, expected);
}

/* What the driver made of it. */
static int
check(const dx_control_info *info, const char *value, kern_return_t status)
{
    if (status == kIOReturnSuccess)
        return CLI_OK;
    const char *const name = dx_return_name(status);
    return cli_fail(CLI_BAD_DRIVER, "the driver refused --set %s=%s: %s: %s", info->key, value,
                    name ? name : "its own error", dx_return_string(status));
}

static int
set_boolean(dx_device *device, const dx_control_info *info, const char *value)
{
    const bool is_on = strcasecmp(value, "on") == 0 || strcmp(value, "1") == 0;
    if (!is_on && strcasecmp(value, "off") != 0 && strcmp(value, "0") != 0)
        return bad_value(info, value, "on or off");
    return check(info, value, dx_device_set_control_boolean(device, info->key, is_on));
}

static int
set_slider(dx_device *device, const dx_control_info *info, const char *value)
{
    uint64_t number;
    char range[40];
    (void)snprintf(range, sizeof range, "%u to %u", info->number_min, info->number_max);
    if (!cli_parse_unsigned(value, info->number_min, info->number_max, &number))
        return bad_value(info, value, range);
    return check(info, value, dx_device_set_control_number(device, info->key, (uint32_t)number));
}

/* The number before "dB", in the range as the control has it. */
static bool
parse_decibels(const dx_control_info *info, const char *value, float *ret_decibels)
{
    char number[64];
    const size_t length = strlen(value);
    double decibels;
    if (length < 2 || length - 2 >= sizeof number || strcasecmp(value + length - 2, "dB") != 0)
        return false;
    memcpy(number, value, length - 2);
    number[length - 2] = '\0';
    if (!cli_parse_real(number, -1e30, 1e30, &decibels))
        return false;
    *ret_decibels = (float)decibels;
    return *ret_decibels >= info->decibels_min && *ret_decibels <= info->decibels_max;
}

static int
set_level(dx_device *device, const dx_control_info *info, const char *value)
{
    float decibels;
    double scalar;
    char range[120];
    (void)snprintf(range, sizeof range, "%gdB to %gdB, or 0 to 1 for a part of that range",
                   (double)info->decibels_min, (double)info->decibels_max);
    if (parse_decibels(info, value, &decibels))
        return check(info, value, dx_device_set_control_decibels(device, info->key, decibels));
    if (cli_parse_real(value, 0.0, 1.0, &scalar))
        return check(info, value, dx_device_set_control_scalar(device, info->key, (float)scalar));
    return bad_value(info, value, range);
}

/* By name; or else by number. */
static int
choose_item(dx_device *device, const dx_control_info *info, const char *value, const dx_control_item *items,
            uint32_t count)
{
    struct list list = {"", 0};
    uint64_t number = 0;
    const bool is_number = cli_parse_unsigned(value, 0, UINT32_MAX, &number);
    const dx_control_item *by_number = NULL;
    uint32_t named = 0;
    for (uint32_t i = 0; i < count; i++) {
        append(&list, items[i].name, "");
        named += strcmp(items[i].name, value) == 0;
        if (is_number && items[i].value == number)
            by_number = &items[i];
    }
    if (named == 1)
        return check(info, value, dx_device_set_control_item(device, info->key, value));
    if (by_number)
        return check(info, value, dx_device_set_control_values(device, info->key, &by_number->value, 1));
    return cli_fail(CLI_USAGE, "process: --set %s=%s: expected %s %s", info->key, value,
                    named > 1 ? "a number, because several items have that name; the items are:" : "one of:",
                    list.length > 0 ? list.text : "nothing, it has no items");
}

static int
set_selector(dx_device *device, const dx_control_info *info, const char *value)
{
    dx_control_item *const items = calloc(DX_MAX_SELECTOR_ITEMS, sizeof *items);
    uint32_t count = 0;
    kern_return_t status = kIOReturnNoMemory;
    if (items)
        status = dx_device_get_control_items(device, info->key, items, DX_MAX_SELECTOR_ITEMS, &count);
    const int code = status == kIOReturnSuccess ? choose_item(device, info, value, items, count)
                                                : cli_fail(CLI_FAILED, "--set: %s", dx_return_string(status));
    free(items);
    return code;
}

static int
set_position(dx_device *device, const dx_control_info *info, const char *value)
{
    double position;
    if (!cli_parse_real(value, 0.0, 1.0, &position))
        return bad_value(info, value, "a position, 0 (left) to 1 (right)");
    return check(info, value, dx_device_set_control_position(device, info->key, (float)position));
}

static int
set_control(dx_device *device, const dx_control_info *info, const char *value)
{
    if (!info->is_settable)
        return cli_fail(CLI_USAGE, "process: --set %s=%s: this control only shows something", info->key, value);
    switch (info->kind) {
    case DX_CONTROL_BOOLEAN:
        return set_boolean(device, info, value);
    case DX_CONTROL_SLIDER:
        return set_slider(device, info, value);
    case DX_CONTROL_LEVEL:
        return set_level(device, info, value);
    case DX_CONTROL_SELECTOR:
        return set_selector(device, info, value);
    case DX_CONTROL_STEREO_PAN:
        return set_position(device, info, value);
    }
    return CLI_FAILED;
}

int
process_set_controls(const struct process_options *options, dx_device *device)
{
    for (size_t i = 0; i < options->set_count; i++) {
        const char *const text = options->sets[i];
        const size_t key_length = strcspn(text, "="); // there is one: see take_set()
        dx_control_info info = {.size = sizeof info};
        int code = find_control(device, text, key_length, &info);
        if (code == CLI_OK)
            code = set_control(device, &info, text + key_length + 1);
        if (code != CLI_OK)
            return code;
    }
    return CLI_OK;
}
