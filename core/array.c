// SPDX-License-Identifier: MIT
// Arrays.

#include "core/collections.h"

#include <stdlib.h>
#include <string.h>

#define MEMBERS_MAX ((size_t)PTRDIFF_MAX / sizeof(OSObjectPtr))

struct OSArray {
    struct dx_collection collection;
};

const OSMetaClass dx_array_class = {
    .name = "OSArray",
    .super = &dx_object_class,
    .instance_bytes = sizeof(struct OSArray),
    .free = dx_collection_free,
    .is_equal = dx_collection_is_equal,
};
const OSMetaClass *const gOSArrayMetaClass = &dx_array_class;

bool
dx_array_is_equal(const OSArray *array, const OSArray *other, unsigned depth)
{
    const struct dx_collection *const a = &array->collection;
    const struct dx_collection *const b = &other->collection;
    if (a->used != b->used)
        return false;
    for (size_t i = 0; i < a->used; i++) {
        if (!dx_member_is_equal(a->members[i], b->members[i], depth))
            return false;
    }
    return true;
}

/* Makes room for one member more. */
static bool
grow(struct dx_collection *c)
{
    if (c->used < c->capacity)
        return true;
    if (c->capacity > MEMBERS_MAX / 2)
        return false;
    const size_t capacity = c->capacity ? c->capacity * 2 : 4;
    OSObjectPtr *const members = realloc(c->members, capacity * sizeof *members);
    if (!members)
        return false;
    c->members = members;
    c->capacity = capacity;
    return true;
}

static bool
insert(struct dx_collection *c, size_t index, OSObjectPtr object)
{
    if (!grow(c))
        return false;
    memmove(c->members + index + 1, c->members + index, (c->used - index) * sizeof *c->members);
    c->members[index] = OSObjectRetain(object);
    c->used++;
    c->nested += dx_object_is_collection(object);
    return true;
}

OSArray *
OSArrayCreate(size_t capacity)
{
    if (capacity > MEMBERS_MAX)
        return NULL;
    OSArray *const array = dx_object_alloc(&dx_array_class);
    if (!array || capacity == 0)
        return array;
    array->collection.members = malloc(capacity * sizeof *array->collection.members);
    if (!array->collection.members) {
        OSObjectRelease(array);
        return NULL;
    }
    array->collection.capacity = capacity;
    return array;
}

OSArray *
OSArrayCreateWithArray(const OSArray *array)
{
    if (!array)
        return NULL;
    const struct dx_collection *const from = &array->collection;
    OSArray *const copy = OSArrayCreate(from->used);
    if (!copy)
        return NULL;
    for (size_t i = 0; i < from->used; i++)
        copy->collection.members[i] = OSObjectRetain(from->members[i]);
    copy->collection.used = from->used;
    copy->collection.nested = from->nested;
    return copy;
}

bool
dx_array_append(OSArray *array, OSObjectPtr object)
{
    return insert(&array->collection, array->collection.used, object);
}

bool
OSArraySetObject(OSArray *array, OSObjectPtr object)
{
    return array && dx_collection_may_hold(&array->collection, object) && dx_array_append(array, object);
}

bool
OSArrayInsertObject(OSArray *array, size_t index, OSObjectPtr object)
{
    return array && index <= array->collection.used && dx_collection_may_hold(&array->collection, object) &&
           insert(&array->collection, index, object);
}

bool
OSArrayReplaceObject(OSArray *array, size_t index, OSObjectPtr object)
{
    if (!array || index >= array->collection.used || !dx_collection_may_hold(&array->collection, object))
        return false;
    struct dx_collection *const c = &array->collection;
    OSObjectPtr const old = c->members[index];
    c->nested += dx_object_is_collection(object);
    c->nested -= dx_object_is_collection(old);
    c->members[index] = OSObjectRetain(object);
    OSObjectRelease(old);
    return true;
}

void
OSArrayRemoveObject(OSArray *array, size_t index)
{
    if (!array || index >= array->collection.used)
        return;
    struct dx_collection *const c = &array->collection;
    OSObjectPtr const old = c->members[index];
    c->nested -= dx_object_is_collection(old);
    c->used--;
    memmove(c->members + index, c->members + index + 1, (c->used - index) * sizeof *c->members);
    OSObjectRelease(old);
}

OSObjectPtr
OSArrayGetObject(const OSArray *array, size_t index)
{
    return array && index < array->collection.used ? array->collection.members[index] : NULL;
}

size_t
OSArrayGetCount(const OSArray *array)
{
    return array ? array->collection.used : 0;
}

bool
OSArrayIterateObjects(const OSArray *array, bool (*callback)(void *context, OSObjectPtr object), void *context)
{
    if (!array || !callback)
        return false;
    /* The callback may remove the member it is given, so each is held for the call. */
    bool stopped = false;
    for (size_t i = 0; i < array->collection.used && !stopped; i++) {
        OSObjectPtr const object = OSObjectRetain(array->collection.members[i]);
        stopped = callback(context, object);
        OSObjectRelease(object);
    }
    return stopped;
}
