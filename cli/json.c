// SPDX-License-Identifier: MIT
// JSON of what the supervisor tells.

#include "cli/json.h"

#include "cli/cli.h"
#include "cli/values.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REAL_SUFFIX "-f64"
#define MAX_REALS 256u

const bool cli_has_json = true;

int
cli_check_json(const char *name)
{
    (void)name;
    return CLI_OK;
}

/* Writing. */

static json_t *make_value(OSObjectPtr object);

/* jansson has no unsigned integers. */
static json_t *
make_integer(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *
make_real(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return isfinite(value) ? json_real(value) : json_null();
}

/* A name may be no UTF-8. */
static json_t *
make_text(const char *text)
{
    json_t *const string = json_string(text);
    return string ? string : json_null();
}

static json_t *
make_bytes(const OSData *data)
{
    static const char digits[] = "0123456789abcdef";
    const size_t length = OSDataGetLength(data);
    const uint8_t *const bytes = OSDataGetBytesNoCopy(data);
    char *const text = malloc(2 * length + 1);
    if (!text)
        return NULL;
    for (size_t i = 0; i < length; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15u];
    }
    json_t *const string = json_stringn(text, 2 * length);
    free(text);
    return string;
}

static json_t *
make_reals(const OSDictionary *dictionary, const char *key)
{
    double values[MAX_REALS];
    const size_t count = cli_get_reals(dictionary, key, values, MAX_REALS);
    json_t *const array = json_array();
    for (size_t i = 0; array && i < count && i < MAX_REALS; i++)
        (void)json_array_append_new(array, json_real(values[i]));
    return array;
}

struct members {
    const OSDictionary *dictionary;
    json_t *object;
};

/* A member of a dictionary, as its key says. */
static bool
add_member(void *context, OSString *name, OSObjectPtr value)
{
    const struct members *const members = context;
    const char *const key = OSStringGetCStringNoCopy(name);
    const size_t length = OSStringGetLength(name);
    const size_t suffix = sizeof REAL_SUFFIX - 1;
    const OSNumber *const number = OSDynamicCast(OSNumber, value);
    if (number && length > suffix && strcmp(key + length - suffix, REAL_SUFFIX) == 0) {
        char shown[64];
        (void)snprintf(shown, sizeof shown, "%.*s", (int)(length - suffix < sizeof shown ? length - suffix : 0),
                       key);
        (void)json_object_set_new(members->object, shown, make_real(OSNumberGetUInt64Value(number)));
        return false;
    }
    json_t *made;
    if (strcmp(key, "rates") == 0 && OSDynamicCast(OSData, value))
        made = make_reals(members->dictionary, key);
    else
        made = make_value(value);
    (void)json_object_set_new(members->object, key, made); // fails for what is no UTF-8: it is left out
    return false;
}

static json_t *
make_value(OSObjectPtr object)
{
    OSDictionary *const dictionary = OSDynamicCast(OSDictionary, object);
    if (dictionary) {
        struct members members = {dictionary, json_object()};
        if (members.object)
            (void)OSDictionaryIterateObjects(dictionary, add_member, &members);
        return members.object;
    }
    const OSArray *const list = OSDynamicCast(OSArray, object);
    if (list) {
        json_t *const array = json_array();
        for (size_t i = 0; array && i < OSArrayGetCount(list); i++)
            (void)json_array_append_new(array, make_value(OSArrayGetObject(list, i)));
        return array;
    }
    const OSString *const string = OSDynamicCast(OSString, object);
    if (string)
        return make_text(OSStringGetCStringNoCopy(string));
    const OSNumber *const number = OSDynamicCast(OSNumber, object);
    if (number)
        return make_integer(OSNumberGetUInt64Value(number));
    const OSData *const data = OSDynamicCast(OSData, object);
    if (data)
        return make_bytes(data);
    const OSBoolean *const boolean = OSDynamicCast(OSBoolean, object);
    return boolean ? json_boolean(OSBooleanGetValue(boolean)) : json_null();
}

int
cli_print_json(OSObjectPtr object, bool is_line)
{
    json_t *const value = make_value(object);
    const size_t style = JSON_ENCODE_ANY | JSON_REAL_PRECISION(15) | (is_line ? JSON_COMPACT : JSON_INDENT(2));
    const bool is_printed = value && json_dumpf(value, stdout, style) == 0;
    json_decref(value);
    if (!is_printed)
        return cli_fail(CLI_FAILED, "the JSON could not be printed");
    (void)putchar('\n');
    return CLI_OK;
}

/* Reading. */

static OSObjectPtr copy_object(const json_t *value);

static OSObjectPtr
copy_dictionary(const json_t *value)
{
    OSDictionary *dictionary = OSDictionaryCreate(json_object_size(value));
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    { // the macro wants it writable, and does not write
        if (dictionary && !cli_take(dictionary, key, copy_object(member)))
            OSSafeReleaseNULL(dictionary);
    }
    return dictionary;
}

static OSObjectPtr
copy_array(const json_t *value)
{
    OSArray *array = OSArrayCreate(json_array_size(value));
    for (size_t i = 0; array && i < json_array_size(value); i++) {
        if (!cli_take_member(array, copy_object(json_array_get(value, i))))
            OSSafeReleaseNULL(array);
    }
    return array;
}

/* +1; NULL for what has no place in a dictionary: null, fractions, numbers below zero. */
static OSObjectPtr
copy_object(const json_t *value)
{
    if (json_is_object(value))
        return copy_dictionary(value);
    if (json_is_array(value))
        return copy_array(value);
    if (json_is_string(value))
        return OSStringCreate(json_string_value(value));
    if (json_is_integer(value) && json_integer_value(value) >= 0)
        return OSNumberCreateWithUInt64Value((uint64_t)json_integer_value(value));
    if (json_is_boolean(value))
        return OSObjectRetain(json_is_true(value) ? kOSBooleanTrue : kOSBooleanFalse);
    return NULL;
}

OSDictionary *
cli_parse_json(const char *what, const char *text)
{
    json_error_t error;
    json_t *const value = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    OSDictionary *dictionary = NULL;
    if (!value)
        (void)cli_fail(CLI_USAGE, "%s: no JSON: %s at character %d", what, error.text, error.column);
    else if (!json_is_object(value))
        (void)cli_fail(CLI_USAGE, "%s: expected a JSON object, {\"key\": value}", what);
    else if (!(dictionary = copy_object(value)))
        (void)cli_fail(CLI_USAGE,
                       "%s: values may be texts, whole numbers from 0 on, true, false, lists and objects", what);
    json_decref(value);
    return dictionary;
}
