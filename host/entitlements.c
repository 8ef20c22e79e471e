// SPDX-License-Identifier: MIT
// What a bundle asks for, as texts that can be compared.

#include "host/entitlements.h"

#include "host/bundle_info.h"
#include "host/error.h"
#include "host/plist.h"
#include "host/store.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- values as texts ---- */

/* A text under construction.  What does not fit is remembered as too long. */
struct text {
    char bytes[DX_ENTITLEMENT_MAX_BYTES + 1];
    size_t length;
    bool is_too_long;
};

__attribute__((format(printf, 2, 3))) static void
append(struct text *text, const char *format, ...)
{
    const size_t room = sizeof text->bytes - text->length;
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text->bytes + text->length, room, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= room)
        text->is_too_long = true;
    else
        text->length += (size_t)length;
}

/* With marks around it, so that no string looks like something else. */
static void
append_string(struct text *text, const char *string)
{
    append(text, "\"");
    for (const char *c = string; *c; c++)
        append(text, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    append(text, "\"");
}

static void append_value(struct text *text, OSObjectPtr value);

static int
compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct key_list {
    const char **keys;
    size_t count;
};

static bool
collect_key(void *context, OSString *key, OSObjectPtr value)
{
    (void)value;
    struct key_list *const list = context;
    list->keys[list->count++] = OSStringGetCStringNoCopy(key);
    return false;
}

/* The keys in order, the caller's to free(); NULL without memory. */
static const char **
copy_keys(const OSDictionary *dictionary, size_t *ret_count)
{
    const size_t count = OSDictionaryGetCount(dictionary);
    struct key_list list = {.keys = calloc(count ? count : 1, sizeof *list.keys)};
    if (!list.keys)
        return NULL;
    (void)OSDictionaryIterateObjects(dictionary, collect_key, &list);
    qsort(list.keys, list.count, sizeof *list.keys, compare_strings);
    *ret_count = list.count;
    return list.keys;
}

/* Without memory it is too long as well: it must not look like less than it is. */
static void
append_dictionary(struct text *text, const OSDictionary *dictionary)
{
    size_t count = 0;
    const char **const keys = copy_keys(dictionary, &count);
    text->is_too_long |= !keys;
    append(text, "{");
    for (size_t i = 0; keys && i < count; i++) {
        append_string(text, keys[i]);
        append(text, ":");
        append_value(text, OSDictionaryGetObject(dictionary, keys[i]));
        append(text, i + 1 < count ? "," : "");
    }
    append(text, "}");
    free(keys);
}

static void
append_array(struct text *text, const OSArray *array)
{
    const size_t count = OSArrayGetCount(array);
    append(text, "[");
    for (size_t i = 0; i < count; i++) {
        append_value(text, OSArrayGetObject(array, i));
        append(text, i + 1 < count ? "," : "");
    }
    append(text, "]");
}

static void
append_data(struct text *text, const OSData *data)
{
    const uint8_t *const bytes = OSDataGetBytesNoCopy(data);
    append(text, "<");
    for (size_t i = 0; i < OSDataGetLength(data); i++)
        append(text, "%02X", bytes[i]);
    append(text, ">");
}

/* Nesting is bounded by dx_plist_parse(). */
static void
append_value(struct text *text, OSObjectPtr value)
{
    if (text->is_too_long)
        return;
    if (OSDynamicCast(OSString, value))
        append_string(text, OSStringGetCStringNoCopy(value));
    else if (OSDynamicCast(OSNumber, value))
        append(text, "%lld", (long long)OSNumberGetUInt64Value(value));
    else if (OSDynamicCast(OSBoolean, value))
        append(text, OSBooleanGetValue(value) ? "true" : "false");
    else if (OSDynamicCast(OSData, value))
        append_data(text, value);
    else if (OSDynamicCast(OSArray, value))
        append_array(text, value);
    else if (OSDynamicCast(OSDictionary, value))
        append_dictionary(text, value);
}

/* ---- the list ---- */

/* What is read, and where to. */
struct collecting {
    struct dx_entitlements *to;
    const char *name; // of the file
    dx_error *error;
};

static kern_return_t
add_text(const struct collecting *collecting, const char *key, const struct text *text)
{
    struct dx_entitlements *const to = collecting->to;
    if (text->is_too_long)
        return dx_error_set(collecting->error, kIOReturnBadArgument,
                            "%s: %.100s has a member of more than %u bytes", collecting->name, key,
                            DX_ENTITLEMENT_MAX_BYTES);
    if (dx_entitlements_have(to, text->bytes))
        return kIOReturnSuccess;
    if (to->count == DX_ENTITLEMENTS_MAX)
        return dx_error_set(collecting->error, kIOReturnBadArgument, "%s asks for more than %u things",
                            collecting->name, DX_ENTITLEMENTS_MAX);
    to->texts[to->count] = strdup(text->bytes);
    if (!to->texts[to->count])
        return dx_error_set(collecting->error, kIOReturnNoMemory, "no memory to read %s", collecting->name);
    to->count++;
    return kIOReturnSuccess;
}

/* KEY=MEMBER, or KEY="inner":MEMBER for one of a dictionary. */
static kern_return_t
add_member(const struct collecting *collecting, const char *key, const char *inner, OSObjectPtr member)
{
    struct text text = {.length = 0};
    append(&text, "%s=", key);
    if (inner) {
        append_string(&text, inner);
        append(&text, ":");
    }
    append_value(&text, member);
    return add_text(collecting, key, &text);
}

static kern_return_t
add_array(const struct collecting *collecting, const char *key, const OSArray *array)
{
    kern_return_t status = kIOReturnSuccess;
    for (size_t i = 0; i < OSArrayGetCount(array) && status == kIOReturnSuccess; i++)
        status = add_member(collecting, key, NULL, OSArrayGetObject(array, i));
    return status;
}

static kern_return_t
add_dictionary(const struct collecting *collecting, const char *key, const OSDictionary *dictionary)
{
    size_t count = 0;
    const char **const inner = copy_keys(dictionary, &count);
    kern_return_t status =
        inner ? kIOReturnSuccess
              : dx_error_set(collecting->error, kIOReturnNoMemory, "no memory to read %s", collecting->name);
    for (size_t i = 0; i < count && status == kIOReturnSuccess; i++)
        status = add_member(collecting, key, inner[i], OSDictionaryGetObject(dictionary, inner[i]));
    free(inner);
    return status;
}

static kern_return_t
add_entitlement(const struct collecting *collecting, const char *key, OSObjectPtr value)
{
    if (OSDynamicCast(OSArray, value))
        return add_array(collecting, key, value);
    if (OSDynamicCast(OSDictionary, value))
        return add_dictionary(collecting, key, value);
    if (!OSDynamicCast(OSBoolean, value))
        return add_member(collecting, key, NULL, value);
    if (!OSBooleanGetValue(value))
        return kIOReturnSuccess;
    struct text text = {.length = 0};
    append(&text, "%s", key);
    return add_text(collecting, key, &text);
}

static kern_return_t
add_all(const struct collecting *collecting, const OSDictionary *root)
{
    size_t count = 0;
    const char **const keys = copy_keys(root, &count);
    collecting->to->texts = calloc(DX_ENTITLEMENTS_MAX, sizeof *collecting->to->texts);
    kern_return_t status = keys && collecting->to->texts ? kIOReturnSuccess
                                                         : dx_error_set(collecting->error, kIOReturnNoMemory,
                                                                        "no memory to read %s", collecting->name);
    for (size_t i = 0; i < count && status == kIOReturnSuccess; i++)
        status = add_entitlement(collecting, keys[i], OSDictionaryGetObject(root, keys[i]));
    free(keys);
    OSObjectPtr const usb = OSDictionaryGetObject(root, DX_ENTITLEMENT_USB);
    if (status == kIOReturnSuccess && usb)
        collecting->to->usb = OSObjectRetain(usb);
    return status;
}

kern_return_t
dx_entitlements_parse(const void *bytes, size_t length, const char *name, struct dx_entitlements *ret_entitlements,
                      dx_error *error)
{
    struct dx_entitlements entitlements = {0};
    const struct collecting collecting = {&entitlements, name, error};
    OSDictionary *root = NULL;
    kern_return_t status = dx_plist_parse(bytes, length, name, &root, error);
    if (status == kIOReturnSuccess)
        status = add_all(&collecting, root);
    OSObjectRelease(root);
    if (status == kIOReturnSuccess)
        *ret_entitlements = entitlements;
    else
        dx_entitlements_finish(&entitlements);
    return status;
}

void
dx_entitlements_finish(struct dx_entitlements *entitlements)
{
    for (size_t i = 0; i < entitlements->count; i++)
        free(entitlements->texts[i]);
    free(entitlements->texts);
    OSObjectRelease(entitlements->usb);
    *entitlements = (struct dx_entitlements){0};
}

bool
dx_entitlements_have(const struct dx_entitlements *entitlements, const char *text)
{
    for (size_t i = 0; i < entitlements->count; i++) {
        if (strcmp(entitlements->texts[i], text) == 0)
            return true;
    }
    return false;
}

/* ---- the file ---- */

/* Of the two names that the file may have, the one that is there; none: NULL. */
static kern_return_t
find_file(const char *folder, char **ret_path, dx_error *error)
{
    const char *const name = strrchr(folder, '/') + 1;
    const int name_length = (int)(strlen(name) - strlen(DX_BUNDLE_SUFFIX));
    char *named = NULL;
    char *fixed = NULL;
    if (asprintf(&named, "%s/%.*s.entitlements", folder, name_length, name) < 0)
        return dx_error_set(error, kIOReturnNoMemory, "no memory to open the bundle");
    if (asprintf(&fixed, "%s/Entitlements.plist", folder) < 0) {
        free(named);
        return dx_error_set(error, kIOReturnNoMemory, "no memory to open the bundle");
    }
    const bool has_named = faccessat(AT_FDCWD, named, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    const bool has_fixed = faccessat(AT_FDCWD, fixed, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    *ret_path = has_named ? named : has_fixed ? fixed : NULL;
    if (*ret_path != named)
        free(named);
    if (*ret_path != fixed)
        free(fixed);
    if (has_named && has_fixed) {
        free(*ret_path);
        *ret_path = NULL;
        return dx_error_set(
            error, kIOReturnBadArgument,
            "%s has both %.*s.entitlements and Entitlements.plist, which may contradict each other: keep "
            "one of them",
            folder, name_length, name);
    }
    return kIOReturnSuccess;
}

kern_return_t
dx_entitlements_read(const char *folder, struct dx_entitlements *ret_entitlements, char **ret_path,
                     dx_error *error)
{
    char *path = NULL;
    char *bytes = NULL;
    size_t length = 0;
    kern_return_t status = find_file(folder, &path, error);
    if (status == kIOReturnSuccess && path) {
        status = dx_file_read(path, DX_PLIST_MAX_BYTES, &bytes, &length, error);
        if (status == kIOReturnSuccess)
            status = dx_entitlements_parse(bytes, length, strrchr(path, '/') + 1, ret_entitlements, error);
        free(bytes);
    }
    if (status == kIOReturnSuccess)
        *ret_path = path;
    else
        free(path);
    return status;
}
