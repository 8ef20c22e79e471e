// SPDX-License-Identifier: MIT
// Values as bytes, and back.

#include "core/collections.h"

#include <string.h>

/*
 * Form: "DXS" and the version, 1, then one value.  A value is a tag and what the tag asks for; a count is
 * unsigned LEB128 in its shortest form.
 *
 *   0 false, 1 true    -
 *   2 number           bits (one byte, 1 ... 64), value as a count, within its bits
 *   3 string           count of bytes, bytes without NUL
 *   4 data             count of bytes, bytes
 *   5 array            count of values, values
 *   6 dictionary       count of pairs; for each count of bytes, key without NUL, value; no key twice
 *
 * There is one encoding for each object, and nothing may follow it.  The bytes come from other processes:
 * each count is checked against what is left (a value takes a byte at least), nothing is allocated ahead
 * of the bytes that fill it, and nesting has a limit.
 */
static const uint8_t header[] = {'D', 'X', 'S', 1};

enum { TAG_FALSE, TAG_TRUE, TAG_NUMBER, TAG_STRING, TAG_DATA, TAG_ARRAY, TAG_DICTIONARY };

#define DEPTH_MAX 32u
#define COUNT_BYTES_MAX 10u
#define TOTAL_BYTES_MAX ((size_t)256 << 20) // a few shared arrays in each other stand for any number of values

struct writer {
    OSData *data;
    unsigned depth; // collections around the value at hand
};

static bool
put_byte(struct writer *w, unsigned byte)
{
    const uint8_t b = (uint8_t)byte;
    return OSDataAppendBytes(w->data, &b, 1);
}

static bool
put_count(struct writer *w, uint64_t count)
{
    uint8_t bytes[COUNT_BYTES_MAX];
    size_t n = 0;
    do {
        bytes[n++] = (uint8_t)((count & 0x7f) | (count > 0x7f ? 0x80u : 0u));
        count >>= 7;
    } while (count);
    return OSDataAppendBytes(w->data, bytes, n);
}

static bool
put_bytes(struct writer *w, const void *bytes, size_t length)
{
    return put_count(w, length) && (length == 0 || OSDataAppendBytes(w->data, bytes, length));
}

static bool put_value(struct writer *w, OSObjectPtr object);

/* Iteration stops at the first member that cannot be written. */
static bool
member_fails(void *context, OSObjectPtr object)
{
    return !put_value(context, object);
}

static bool
pair_fails(void *context, OSString *key, OSObjectPtr object)
{
    return !put_bytes(context, OSStringGetCStringNoCopy(key), OSStringGetLength(key)) ||
           !put_value(context, object);
}

static bool
put_value(struct writer *w, OSObjectPtr object)
{
    if (OSDataGetLength(w->data) > TOTAL_BYTES_MAX)
        return false;
    if (OSObjectIsKindOf(object, &dx_boolean_class))
        return put_byte(w, OSBooleanGetValue(object) ? TAG_TRUE : TAG_FALSE);
    if (OSObjectIsKindOf(object, &dx_number_class))
        return put_byte(w, TAG_NUMBER) && put_byte(w, (unsigned)OSNumberGetNumberOfBits(object)) &&
               put_count(w, OSNumberGetUInt64Value(object));
    if (OSObjectIsKindOf(object, &dx_string_class))
        return put_byte(w, TAG_STRING) &&
               put_bytes(w, OSStringGetCStringNoCopy(object), OSStringGetLength(object));
    if (OSObjectIsKindOf(object, &dx_data_class))
        return put_byte(w, TAG_DATA) && put_bytes(w, OSDataGetBytesNoCopy(object), OSDataGetLength(object));

    if (w->depth == DEPTH_MAX)
        return false;
    w->depth++;
    bool done = false;
    if (OSObjectIsKindOf(object, &dx_array_class))
        done = put_byte(w, TAG_ARRAY) && put_count(w, OSArrayGetCount(object)) &&
               !OSArrayIterateObjects(object, member_fails, w);
    else if (OSObjectIsKindOf(object, &dx_dictionary_class))
        done = put_byte(w, TAG_DICTIONARY) && put_count(w, OSDictionaryGetCount(object)) &&
               !OSDictionaryIterateObjects(object, pair_fails, w);
    w->depth--;
    return done;
}

OSData *
OSSerializationCreateFromObject(OSObjectPtr object)
{
    struct writer w = {.data = OSDataCreate(header, sizeof header)};
    if (!w.data)
        return NULL;
    if (!put_value(&w, object)) {
        OSObjectRelease(w.data);
        return NULL;
    }
    return w.data;
}

struct reader {
    const uint8_t *at;
    size_t left; // bytes
    unsigned depth;
};

static bool
get_byte(struct reader *r, uint8_t *ret_byte)
{
    if (r->left == 0)
        return false;
    *ret_byte = *r->at++;
    r->left--;
    return true;
}

static bool
get_count(struct reader *r, uint64_t *ret_count)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < COUNT_BYTES_MAX; i++) {
        uint8_t byte;
        if (!get_byte(r, &byte))
            return false;
        if (i == COUNT_BYTES_MAX - 1 && byte > 1)
            return false; // more than 64 bits
        count |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte & 0x80)
            continue;
        if (byte == 0 && i > 0)
            return false; // not the shortest form
        *ret_count = count;
        return true;
    }
    return false;
}

/* A count of things that take `each` bytes at least. */
static bool
get_bounded_count(struct reader *r, size_t each, size_t *ret_count)
{
    uint64_t count;
    if (!get_count(r, &count) || count > r->left / each)
        return false;
    *ret_count = (size_t)count;
    return true;
}

static bool
get_bytes(struct reader *r, const uint8_t **ret_bytes, size_t *ret_length)
{
    if (!get_bounded_count(r, 1, ret_length))
        return false;
    *ret_bytes = r->at;
    r->at += *ret_length;
    r->left -= *ret_length;
    return true;
}

static OSNumber *
get_number(struct reader *r)
{
    uint8_t bits;
    uint64_t value;
    if (!get_byte(r, &bits) || !get_count(r, &value) || bits < 1 || bits > 64 || (bits < 64 && value >> bits))
        return NULL;
    return OSNumberCreate(value, bits);
}

static OSString *
get_string(struct reader *r)
{
    const uint8_t *bytes;
    size_t length;
    return get_bytes(r, &bytes, &length) ? OSStringCreateWithLength((const char *)bytes, length) : NULL;
}

static OSData *
get_data(struct reader *r)
{
    const uint8_t *bytes;
    size_t length;
    return get_bytes(r, &bytes, &length) ? OSDataCreate(bytes, length) : NULL;
}

static OSObjectPtr get_value(struct reader *r);

static OSArray *
get_array(struct reader *r)
{
    size_t count;
    OSArray *const array = get_bounded_count(r, 1, &count) ? OSArrayCreate(0) : NULL;
    if (!array)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        OSObjectPtr const member = get_value(r);
        const bool done = member && dx_array_append(array, member);
        OSObjectRelease(member);
        if (!done) {
            OSObjectRelease(array);
            return NULL;
        }
    }
    return array;
}

static OSDictionary *
get_dictionary(struct reader *r)
{
    size_t count;
    OSDictionary *const dictionary = get_bounded_count(r, 2, &count) ? OSDictionaryCreate(0) : NULL;
    if (!dictionary)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        OSString *const key = get_string(r);
        OSObjectPtr const member = key ? get_value(r) : NULL;
        const bool done = member && dx_dictionary_add(dictionary, key, member);
        OSObjectRelease(member);
        OSObjectRelease(key);
        if (!done) {
            OSObjectRelease(dictionary);
            return NULL;
        }
    }
    return dictionary;
}

static OSObjectPtr
get_value(struct reader *r)
{
    uint8_t tag;
    if (!get_byte(r, &tag))
        return NULL;
    switch (tag) {
    case TAG_FALSE:
        return kOSBooleanFalse;
    case TAG_TRUE:
        return kOSBooleanTrue;
    case TAG_NUMBER:
        return get_number(r);
    case TAG_STRING:
        return get_string(r);
    case TAG_DATA:
        return get_data(r);
    case TAG_ARRAY:
    case TAG_DICTIONARY:
        break;
    default:
        return NULL;
    }
    if (r->depth == DEPTH_MAX)
        return NULL;
    r->depth++;
    OSObjectPtr const object = tag == TAG_ARRAY ? (OSObjectPtr)get_array(r) : (OSObjectPtr)get_dictionary(r);
    r->depth--;
    return object;
}

OSObjectPtr
OSSerializationCopyObject(const void *bytes, size_t length)
{
    if (!bytes || length < sizeof header || memcmp(bytes, header, sizeof header) != 0)
        return NULL;
    struct reader r = {.at = (const uint8_t *)bytes + sizeof header, .left = length - sizeof header};
    OSObjectPtr const object = get_value(&r);
    if (object && r.left) {
        OSObjectRelease(object);
        return NULL;
    }
    return object;
}
