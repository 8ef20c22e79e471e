// SPDX-License-Identifier: MIT
// Immutable strings.

#include "core/collections.h"

#include <string.h>

struct OSString {
    struct OSObject object;
    size_t length_bytes;
    char bytes[]; // NUL-terminated, no NUL inside
};

static bool
string_is_equal(OSObjectPtr object, OSObjectPtr other)
{
    if (!OSObjectIsKindOf(other, &dx_string_class))
        return false;
    const OSString *const a = object;
    const OSString *const b = other;
    return a->length_bytes == b->length_bytes && memcmp(a->bytes, b->bytes, a->length_bytes) == 0;
}

const OSMetaClass dx_string_class = {
    .name = "OSString",
    .super = &dx_object_class,
    .instance_bytes = sizeof(struct OSString),
    .is_equal = string_is_equal,
};
const OSMetaClass *const gOSStringMetaClass = &dx_string_class;

OSString *
OSStringCreateWithLength(const char *bytes, size_t length)
{
    /* A NUL inside would make one string of two lengths: refused. */
    if (!bytes || length == SIZE_MAX || memchr(bytes, '\0', length))
        return NULL;
    OSString *const string = dx_object_alloc_extra(&dx_string_class, length + 1);
    if (!string)
        return NULL;
    string->length_bytes = length;
    memcpy(string->bytes, bytes, length);
    return string;
}

OSString *
OSStringCreate(const char *c_string)
{
    return c_string ? OSStringCreateWithLength(c_string, strlen(c_string)) : NULL;
}

const char *
OSStringGetCStringNoCopy(const OSString *string)
{
    return string ? string->bytes : NULL;
}

size_t
OSStringGetLength(const OSString *string)
{
    return string ? string->length_bytes : 0;
}

bool
OSStringIsEqualToCString(const OSString *string, const char *c_string)
{
    return string && c_string && strcmp(string->bytes, c_string) == 0;
}
