// SPDX-License-Identifier: MIT
// Controls of a device, found by key or name, and set from what the user wrote.

#include "cli/control.h"

#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool
is_text(const char *text, const char *start, size_t length)
{
    return strlen(text) == length && memcmp(text, start, length) == 0;
}

unsigned
cli_find_control(dx_device *device, const char *key, size_t key_length, dx_control_info *ret_info)
{
    unsigned named = 0;
    dx_control_info info = {.size = sizeof info};
    for (uint32_t i = 0; dx_device_get_control_at(device, i, &info) == kIOReturnSuccess; i++) {
        if (is_text(info.key, key, key_length)) {
            *ret_info = info;
            return 1;
        }
        if (is_text(info.name, key, key_length) && named++ == 0)
            *ret_info = info;
    }
    return named;
}

int
cli_no_such_control(dx_device *device, const char *what, const char *key, size_t key_length)
{
    struct cli_list all = {"", 0};
    struct cli_list named = {"", 0};
    dx_control_info info = {.size = sizeof info};
    for (uint32_t i = 0; dx_device_get_control_at(device, i, &info) == kIOReturnSuccess; i++) {
        cli_list_append(&all, info.key, info.name);
        if (is_text(info.name, key, key_length))
            cli_list_append(&named, info.key, "");
    }
    if (named.length > 0)
        return cli_fail(CLI_USAGE, "%s: several controls are named %.*s; give the key of one: %s", what,
                        (int)key_length, key, named.text);
    return cli_fail(CLI_USAGE, "%s: the device has no control %.*s; it has: %s", what, (int)key_length, key,
                    all.length > 0 ? all.text : "none");
}

static int
bad_value(const struct cli_setting *setting, const char *expected)
{
    return cli_fail(CLI_USAGE, "%s: expected %s", setting->what, expected);
}

/* What the driver made of it. */
static int
check(const struct cli_setting *setting, kern_return_t status)
{
    char text[CLI_STATUS_BYTES];
    if (status == kIOReturnSuccess)
        return CLI_OK;
    return cli_fail(CLI_BAD_DRIVER, "%s: the driver refused it: %s", setting->what, cli_status_text(status, text));
}

static int
set_boolean(dx_device *device, const char *key, const struct cli_setting *setting)
{
    bool is_on;
    if (!cli_parse_switch(setting->value, &is_on))
        return bad_value(setting, "on or off");
    return check(setting, dx_device_set_control_boolean(device, key, is_on));
}

static int
set_slider(dx_device *device, const dx_control_info *info, const struct cli_setting *setting)
{
    uint64_t number;
    char range[40];
    (void)snprintf(range, sizeof range, "%u to %u", info->number_min, info->number_max);
    if (!cli_parse_unsigned(setting->value, info->number_min, info->number_max, &number))
        return bad_value(setting, range);
    return check(setting, dx_device_set_control_number(device, info->key, (uint32_t)number));
}

static int
set_level(dx_device *device, const dx_control_info *info, const struct cli_setting *setting)
{
    double value;
    char range[120];
    (void)snprintf(range, sizeof range, "%gdB to %gdB, or 0 to 1 or 0%% to 100%% for a part of that range",
                   (double)info->decibels_min, (double)info->decibels_max);
    if (cli_parse_with_unit(setting->value, "dB", &value) && (float)value >= info->decibels_min &&
        (float)value <= info->decibels_max)
        return check(setting, dx_device_set_control_decibels(device, info->key, (float)value));
    if (cli_parse_with_unit(setting->value, "%", &value) && value >= 0.0 && value <= 100.0)
        return check(setting, dx_device_set_control_scalar(device, info->key, (float)(value / 100.0)));
    if (cli_parse_real(setting->value, 0.0, 1.0, &value))
        return check(setting, dx_device_set_control_scalar(device, info->key, (float)value));
    return bad_value(setting, range);
}

/* By name; or else by number. */
static int
choose_item(dx_device *device, const char *key, const struct cli_setting *setting, const dx_control_item *items,
            uint32_t count)
{
    struct cli_list list = {"", 0};
    uint64_t number = 0;
    const bool is_number = cli_parse_unsigned(setting->value, 0, UINT32_MAX, &number);
    const dx_control_item *by_number = NULL;
    uint32_t named = 0;
    for (uint32_t i = 0; i < count; i++) {
        cli_list_append(&list, items[i].name, "");
        named += strcmp(items[i].name, setting->value) == 0;
        if (is_number && items[i].value == number)
            by_number = &items[i];
    }
    if (named == 1)
        return check(setting, dx_device_set_control_item(device, key, setting->value));
    if (by_number)
        return check(setting, dx_device_set_control_values(device, key, &by_number->value, 1));
    return cli_fail(CLI_USAGE, "%s: expected %s %s", setting->what,
                    named > 1 ? "a number, because several items have that name; the items are:" : "one of:",
                    list.length > 0 ? list.text : "nothing, it has no items");
}

static int
set_selector(dx_device *device, const char *key, const struct cli_setting *setting)
{
    dx_control_item *const items = calloc(DX_MAX_SELECTOR_ITEMS, sizeof *items);
    uint32_t count = 0;
    kern_return_t status = kIOReturnNoMemory;
    if (items)
        status = dx_device_get_control_items(device, key, items, DX_MAX_SELECTOR_ITEMS, &count);
    const int code = status == kIOReturnSuccess
                         ? choose_item(device, key, setting, items, count)
                         : cli_fail(CLI_FAILED, "%s: %s", setting->what, dx_return_string(status));
    free(items);
    return code;
}

static int
set_position(dx_device *device, const char *key, const struct cli_setting *setting)
{
    double position;
    if (!cli_parse_real(setting->value, 0.0, 1.0, &position))
        return bad_value(setting, "a position, 0 (left) to 1 (right)");
    return check(setting, dx_device_set_control_position(device, key, (float)position));
}

int
cli_set_control(dx_device *device, const struct cli_setting *setting)
{
    dx_control_info info;
    if (cli_find_control(device, setting->key, setting->key_length, &info) != 1)
        return cli_no_such_control(device, setting->what, setting->key, setting->key_length);
    if (!info.is_settable)
        return cli_fail(CLI_USAGE, "%s: this control only shows something", setting->what);
    switch (info.kind) {
    case DX_CONTROL_BOOLEAN:
        return set_boolean(device, info.key, setting);
    case DX_CONTROL_SLIDER:
        return set_slider(device, &info, setting);
    case DX_CONTROL_LEVEL:
        return set_level(device, &info, setting);
    case DX_CONTROL_SELECTOR:
        return set_selector(device, info.key, setting);
    case DX_CONTROL_STEREO_PAN:
        return set_position(device, info.key, setting);
    }
    return cli_fail(CLI_FAILED, "%s: a control of a kind that this version does not know", setting->what);
}
