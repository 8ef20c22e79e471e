// SPDX-License-Identifier: MIT
// Bytes that may grow.

#include "core/collections.h"

#include <stdlib.h>
#include <string.h>

struct OSData {
    struct OSObject object;
    uint8_t *bytes;
    size_t length_bytes;
    size_t capacity_bytes;
};

static void
data_free(OSObjectPtr object)
{
    OSData *const data = object;
    free(data->bytes);
    dx_object_free_super(data);
}

static bool
data_is_equal(OSObjectPtr object, OSObjectPtr other)
{
    if (!OSObjectIsKindOf(other, &dx_data_class))
        return false;
    const OSData *const a = object;
    const OSData *const b = other;
    return a->length_bytes == b->length_bytes &&
           (a->length_bytes == 0 || memcmp(a->bytes, b->bytes, a->length_bytes) == 0);
}

const OSMetaClass dx_data_class = {
    .name = "OSData",
    .super = &dx_object_class,
    .instance_bytes = sizeof(struct OSData),
    .free = data_free,
    .is_equal = data_is_equal,
};
const OSMetaClass *const gOSDataMetaClass = &dx_data_class;

OSData *
OSDataCreateWithCapacity(size_t capacity)
{
    if (capacity > (size_t)PTRDIFF_MAX)
        return NULL;
    OSData *const data = dx_object_alloc(&dx_data_class);
    if (!data || capacity == 0)
        return data;
    data->bytes = malloc(capacity);
    if (!data->bytes) {
        OSObjectRelease(data);
        return NULL;
    }
    data->capacity_bytes = capacity;
    return data;
}

OSData *
OSDataCreate(const void *bytes, size_t length)
{
    if (!bytes && length)
        return NULL;
    OSData *const data = OSDataCreateWithCapacity(length);
    if (data && length) {
        memcpy(data->bytes, bytes, length);
        data->length_bytes = length;
    }
    return data;
}

const void *
OSDataGetBytesNoCopy(const OSData *data)
{
    return data && data->length_bytes ? data->bytes : NULL;
}

const void *
OSDataGetBytesNoCopyAt(const OSData *data, size_t offset, size_t length)
{
    if (!data || !data->length_bytes || offset > data->length_bytes || length > data->length_bytes - offset)
        return NULL;
    return data->bytes + offset;
}

size_t
OSDataGetLength(const OSData *data)
{
    return data ? data->length_bytes : 0;
}

size_t
OSDataGetCapacity(const OSData *data)
{
    return data ? data->capacity_bytes : 0;
}

bool
OSDataAppendBytes(OSData *data, const void *bytes, size_t length)
{
    if (!data || (!bytes && length))
        return false;
    if (length == 0)
        return true;
    if (length <= data->capacity_bytes - data->length_bytes) {
        memmove(data->bytes + data->length_bytes, bytes, length);
        data->length_bytes += length;
        return true;
    }

    if (length > (size_t)PTRDIFF_MAX - data->length_bytes)
        return false;
    const size_t needed = data->length_bytes + length;
    size_t capacity = data->capacity_bytes < 32 ? 32 : data->capacity_bytes;
    while (capacity < needed)
        capacity = capacity > (size_t)PTRDIFF_MAX / 2 ? needed : capacity * 2;

    /* Not realloc(): `bytes` may point into the old block. */
    uint8_t *const fresh = malloc(capacity);
    if (!fresh)
        return false;
    if (data->length_bytes)
        memcpy(fresh, data->bytes, data->length_bytes);
    memcpy(fresh + data->length_bytes, bytes, length);
    free(data->bytes);
    data->bytes = fresh;
    data->length_bytes = needed;
    data->capacity_bytes = capacity;
    return true;
}
