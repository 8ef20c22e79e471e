// SPDX-License-Identifier: MIT
// What a bundle's Info.plist says, checked.

#include "host/bundle_info.h"

#include "host/error.h"
#include "host/plist.h"
#include "host/usb_match.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TEXT_BYTES 255u

enum value_type {
    VALUE_STRING,
    VALUE_BOOLEAN,
    VALUE_NUMBER,
    VALUE_ARRAY,
    VALUE_DICTIONARY,
};

/* Keys of a personality that need not be there, but must be what they are when they are. */
static const struct optional_key {
    const char *name;
    uint64_t maximum; // of a number
    enum value_type type;
    bool is_hardware; // makes no sense beside IOUserResources, which is no hardware
} optional_keys[] = {
    {"IOMatchCategory", 0, VALUE_STRING, false},         {"IOPropertyMatch", 0, VALUE_DICTIONARY, false},
    {"IOProbeScore", UINT64_MAX, VALUE_NUMBER, false},   {"IOResourceMatch", 0, VALUE_STRING, false},
    {"IOUserServerOneProcess", 0, VALUE_BOOLEAN, false}, {"idVendor", 0xFFFF, VALUE_NUMBER, true},
    {"idProduct", 0xFFFF, VALUE_NUMBER, true},           {"idProductArray", 0, VALUE_ARRAY, true},
    {"idProductMask", 0xFFFF, VALUE_NUMBER, true},       {"bcdDevice", 0xFFFF, VALUE_NUMBER, true},
    {"bConfigurationValue", 0xFF, VALUE_NUMBER, true},   {"bInterfaceNumber", 0xFF, VALUE_NUMBER, true},
    {"bInterfaceClass", 0xFF, VALUE_NUMBER, true},       {"bInterfaceSubClass", 0xFF, VALUE_NUMBER, true},
    {"bInterfaceProtocol", 0xFF, VALUE_NUMBER, true},    {"bDeviceClass", 0xFF, VALUE_NUMBER, true},
    {"bDeviceSubClass", 0xFF, VALUE_NUMBER, true},       {"bDeviceProtocol", 0xFF, VALUE_NUMBER, true},
};

static const char *
type_name(enum value_type type)
{
    switch (type) {
    case VALUE_STRING:
        return "a string";
    case VALUE_BOOLEAN:
        return "true or false";
    case VALUE_NUMBER:
        return "an integer";
    case VALUE_ARRAY:
        return "an array";
    case VALUE_DICTIONARY:
        return "a dictionary";
    }
    return "?";
}

static bool
has_type(OSObjectPtr object, enum value_type type)
{
    switch (type) {
    case VALUE_STRING:
        return OSDynamicCast(OSString, object) != NULL;
    case VALUE_BOOLEAN:
        return OSDynamicCast(OSBoolean, object) != NULL;
    case VALUE_NUMBER:
        return OSDynamicCast(OSNumber, object) != NULL;
    case VALUE_ARRAY:
        return OSDynamicCast(OSArray, object) != NULL;
    case VALUE_DICTIONARY:
        return OSDynamicCast(OSDictionary, object) != NULL;
    }
    return false;
}

/* Where a key stands, for messages: "Info.plist", or "Info.plist: personality \"Cable\"". */
struct place {
    char text[MAX_TEXT_BYTES + 64];
    dx_error *error;
};

static struct place
place_of(dx_error *error, const char *personality, const char *inner)
{
    dx_error text = {""};
    if (!personality)
        (void)dx_error_set(&text, 0, "Info.plist");
    else
        (void)dx_error_set(&text, 0, "Info.plist: personality \"%.100s\"%s%s", personality, inner ? ": " : "",
                           inner ? inner : "");
    struct place place = {.error = error};
    memcpy(place.text, text.message, sizeof place.text - 1);
    return place;
}

/* Checks a key's type; a missing one is fine unless it is required. */
static kern_return_t
check_type(const struct place *place, const OSDictionary *dictionary, const char *key, enum value_type type,
           bool is_required)
{
    OSObjectPtr const value = OSDictionaryGetObject(dictionary, key);
    if (!value && is_required)
        return dx_error_set(place->error, kIOReturnBadArgument, "%s: %s is missing (expected %s)", place->text,
                            key, type_name(type));
    if (value && !has_type(value, type))
        return dx_error_set(place->error, kIOReturnBadArgument, "%s: %s must be %s", place->text, key,
                            type_name(type));
    return kIOReturnSuccess;
}

static bool
is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* A string of 1 ... 255 bytes; `extra` are the bytes it may have beside letters, digits and '_', NULL: any. */
static kern_return_t
check_text(const struct place *place, const OSDictionary *dictionary, const char *key, const char *extra,
           bool is_required, const char **ret_text)
{
    const kern_return_t status = check_type(place, dictionary, key, VALUE_STRING, is_required);
    const char *const text = OSDictionaryGetStringValue(dictionary, key);
    *ret_text = text;
    if (status != kIOReturnSuccess || !text)
        return status;
    if (!*text || strlen(text) > MAX_TEXT_BYTES)
        return dx_error_set(place->error, kIOReturnBadArgument, "%s: %s must have 1 to %u bytes", place->text, key,
                            MAX_TEXT_BYTES);
    for (const char *c = text; extra && *c; c++) {
        if (!is_name_byte(*c) && !strchr(extra, *c))
            return dx_error_set(place->error, kIOReturnBadArgument,
                                "%s: %s is \"%s\", but may have letters, digits, '_'%s%s only", place->text, key,
                                text, *extra ? " and " : "", extra);
    }
    return kIOReturnSuccess;
}

/* A string that can have one value only. */
static kern_return_t
check_fixed(const struct place *place, const OSDictionary *dictionary, const char *key, const char *expected,
            bool is_required)
{
    const char *text = NULL;
    const kern_return_t status = check_text(place, dictionary, key, NULL, is_required, &text);
    if (status == kIOReturnSuccess && text && strcmp(text, expected) != 0)
        return dx_error_set(place->error, kIOReturnBadArgument, "%s: %s is \"%s\", expected \"%s\"", place->text,
                            key, text, expected);
    return status;
}

/* The same, where the expected value is what another key of the file says. */
static kern_return_t
check_agrees(const struct place *place, const OSDictionary *dictionary, const char *key, const char *identifier)
{
    const char *text = NULL;
    const kern_return_t status = check_text(place, dictionary, key, NULL, false, &text);
    if (status == kIOReturnSuccess && text && strcmp(text, identifier) != 0)
        return dx_error_set(place->error, kIOReturnBadArgument,
                            "%s: %s is \"%s\", which contradicts the bundle's CFBundleIdentifier \"%s\"",
                            place->text, key, text, identifier);
    return status;
}

static kern_return_t
check_optional_keys(const struct place *place, const OSDictionary *personality, const char *provider)
{
    const bool is_virtual = strcmp(provider, "IOUserResources") == 0;
    for (size_t i = 0; i < sizeof optional_keys / sizeof optional_keys[0]; i++) {
        const struct optional_key *const key = &optional_keys[i];
        OSObjectPtr const value = OSDictionaryGetObject(personality, key->name);
        if (!value)
            continue;
        const kern_return_t status = check_type(place, personality, key->name, key->type, false);
        if (status != kIOReturnSuccess)
            return status;
        if (key->type == VALUE_NUMBER && OSNumberGetUInt64Value(value) > key->maximum)
            return dx_error_set(place->error, kIOReturnBadArgument, "%s: %s must be 0 to %llu", place->text,
                                key->name, (unsigned long long)key->maximum);
        if (key->is_hardware && is_virtual)
            return dx_error_set(place->error, kIOReturnBadArgument,
                                "%s: %s contradicts IOProviderClass \"IOUserResources\", which is no hardware",
                                place->text, key->name);
    }
    return kIOReturnSuccess;
}

static kern_return_t
check_personality(const struct dx_bundle_info *info, struct dx_personality *personality, dx_error *error)
{
    const struct place place = place_of(error, personality->name, NULL);
    const OSDictionary *const properties = personality->properties;
    const char *provider = NULL;
    kern_return_t status = check_text(&place, properties, "IOUserClass", "", true, &personality->user_class);
    if (status == kIOReturnSuccess)
        status = check_text(&place, properties, "IOProviderClass", "", true, &provider);
    if (status == kIOReturnSuccess)
        status = check_fixed(&place, properties, "IOClass", "IOUserService", false);
    if (status == kIOReturnSuccess)
        status = check_agrees(&place, properties, "CFBundleIdentifier", info->identifier);
    if (status == kIOReturnSuccess)
        status = check_agrees(&place, properties, "IOUserServerName", info->identifier);
    if (status == kIOReturnSuccess)
        status = check_optional_keys(&place, properties, provider);
    if (status == kIOReturnSuccess)
        status = dx_usb_check_personality(properties, place.text, error);

    const char *const clients = "IOUserAudioDriverUserClientProperties";
    if (status == kIOReturnSuccess)
        status = check_type(&place, properties, clients, VALUE_DICTIONARY, true);
    if (status != kIOReturnSuccess)
        return status;
    const struct place inner = place_of(error, personality->name, clients);
    const OSDictionary *const client = OSDictionaryGetObject(properties, clients);
    status = check_fixed(&inner, client, "IOClass", "IOUserUserClient", true);
    if (status == kIOReturnSuccess)
        status = check_fixed(&inner, client, "IOUserClass", "IOUserAudioDriverUserClient", true);
    return status;
}

struct collecting {
    struct dx_bundle_info *info;
    dx_error *error;
    kern_return_t status;
};

static bool
collect_personality(void *context, OSString *key, OSObjectPtr object)
{
    struct collecting *const collecting = context;
    struct dx_bundle_info *const info = collecting->info;
    const char *const name = OSStringGetCStringNoCopy(key);
    if (!OSDynamicCast(OSDictionary, object))
        collecting->status = dx_error_set(collecting->error, kIOReturnBadArgument,
                                          "Info.plist: personality \"%.100s\" must be a dictionary", name);
    else if (info->personality_count == DX_BUNDLE_MAX_PERSONALITIES)
        collecting->status = dx_error_set(collecting->error, kIOReturnBadArgument,
                                          "Info.plist: IOKitPersonalities has more than %u personalities",
                                          DX_BUNDLE_MAX_PERSONALITIES);
    else
        info->personalities[info->personality_count++] = (struct dx_personality){name, object, NULL};
    return collecting->status != kIOReturnSuccess;
}

static int
compare_personalities(const void *a, const void *b)
{
    const struct dx_personality *const left = a;
    const struct dx_personality *const right = b;
    return strcmp(left->name, right->name);
}

static kern_return_t
collect_personalities(struct dx_bundle_info *info, dx_error *error)
{
    const struct place place = place_of(error, NULL, NULL);
    const kern_return_t status = check_type(&place, info->root, "IOKitPersonalities", VALUE_DICTIONARY, true);
    if (status != kIOReturnSuccess)
        return status;
    const OSDictionary *const all = OSDictionaryGetObject(info->root, "IOKitPersonalities");
    if (OSDictionaryGetCount(all) == 0)
        return dx_error_set(error, kIOReturnBadArgument,
                            "Info.plist: IOKitPersonalities is empty: add a personality with IOUserClass and "
                            "IOProviderClass");
    struct collecting collecting = {info, error, kIOReturnSuccess};
    (void)OSDictionaryIterateObjects(all, collect_personality, &collecting);
    qsort(info->personalities, info->personality_count, sizeof info->personalities[0], compare_personalities);
    return collecting.status;
}

/* A file name within the folder: nothing that could climb out of it. */
static kern_return_t
check_executable(const struct place *place, struct dx_bundle_info *info)
{
    const kern_return_t status =
        check_text(place, info->root, "CFBundleExecutable", NULL, false, &info->executable);
    if (status == kIOReturnSuccess && info->executable &&
        (strchr(info->executable, '/') || info->executable[0] == '.'))
        return dx_error_set(
            place->error, kIOReturnBadArgument,
            "%s: CFBundleExecutable is \"%s\", but must be the name of a file in the bundle's own folder",
            place->text, info->executable);
    return status;
}

static kern_return_t
check_info(struct dx_bundle_info *info, dx_error *error)
{
    const struct place place = place_of(error, NULL, NULL);
    const char *short_version = NULL;
    const char *version = NULL;
    const char *ignored = NULL;
    kern_return_t status = check_text(&place, info->root, "CFBundleIdentifier", ".-", true, &info->identifier);
    if (status == kIOReturnSuccess)
        status = check_fixed(&place, info->root, "CFBundlePackageType", "DEXT", false);
    if (status == kIOReturnSuccess)
        status = check_text(&place, info->root, "CFBundleShortVersionString", NULL, false, &short_version);
    if (status == kIOReturnSuccess)
        status = check_text(&place, info->root, "CFBundleVersion", NULL, false, &version);
    if (status == kIOReturnSuccess)
        status = check_type(&place, info->root, "OSBundleUsageDescription", VALUE_STRING, false);
    if (status == kIOReturnSuccess)
        status = check_text(&place, info->root, "CFBundleName", NULL, false, &ignored);
    if (status == kIOReturnSuccess)
        status = check_executable(&place, info);
    if (status == kIOReturnSuccess)
        status = collect_personalities(info, error);
    for (size_t i = 0; i < info->personality_count && status == kIOReturnSuccess; i++)
        status = check_personality(info, &info->personalities[i], error);
    info->version = short_version ? short_version : version ? version : "";
    return status;
}

kern_return_t
dx_bundle_info_take(OSDictionary *root, struct dx_bundle_info *ret_info, dx_error *error)
{
    struct dx_bundle_info info = {.root = root};
    const kern_return_t status = check_info(&info, error);
    if (status == kIOReturnSuccess)
        *ret_info = info;
    else
        dx_bundle_info_finish(&info);
    return status;
}

kern_return_t
dx_bundle_info_parse(const void *bytes, size_t length, struct dx_bundle_info *ret_info, dx_error *error)
{
    OSDictionary *root = NULL;
    const kern_return_t status = dx_plist_parse(bytes, length, "Info.plist", &root, error);
    return status == kIOReturnSuccess ? dx_bundle_info_take(root, ret_info, error) : status;
}

void
dx_bundle_info_finish(struct dx_bundle_info *info)
{
    OSObjectRelease(info->root);
    *info = (struct dx_bundle_info){0};
}
