// SPDX-License-Identifier: MIT
// The inside of the value classes, as far as they need each other's.

#ifndef DX_CORE_COLLECTIONS_H
#define DX_CORE_COLLECTIONS_H

#include "core/object.h"

extern const OSMetaClass dx_string_class;
extern const OSMetaClass dx_number_class;
extern const OSMetaClass dx_data_class;
extern const OSMetaClass dx_boolean_class;
extern const OSMetaClass dx_array_class;
extern const OSMetaClass dx_dictionary_class;

/*
 * What arrays and dictionaries share.  A dictionary keeps its values in `members` as well, in order of
 * insertion; there NULL stands for a removed key.  Collections may be nested as deep as memory goes, so
 * nothing here recurses without a limit: freeing and the search for cycles use the links below.
 */
struct dx_collection {
    struct OSObject object;
    OSObjectPtr *members; // retained
    size_t used;          // members, removed ones included
    size_t capacity;      // members that fit
    size_t nested;        // members that are collections themselves

    struct dx_collection *free_next; // while being freed: it has one owner then

    /* Under the lock of dx_collection_may_hold(). */
    struct dx_collection *walk_next;
    uint64_t walk_mark; // number of the walk that saw it last
};

/** Whether an object is an array or a dictionary. */
bool dx_object_is_collection(OSObjectPtr object);

/** Whether `collection` may take `object`: not NULL, and nothing would come to hold itself. */
bool dx_collection_may_hold(const struct dx_collection *collection, OSObjectPtr object);

/** `free` of both classes. */
void dx_collection_free(OSObjectPtr object);

/** `is_equal` of both classes. */
bool dx_collection_is_equal(OSObjectPtr object, OSObjectPtr other);

/** is_equal of a member at a depth of nesting; the classes' own comparison calls it. */
bool dx_member_is_equal(OSObjectPtr member, OSObjectPtr other, unsigned depth);

bool dx_array_is_equal(const OSArray *array, const OSArray *other, unsigned depth);
bool dx_dictionary_is_equal(const OSDictionary *dictionary, const OSDictionary *other, unsigned depth);
void dx_dictionary_release_keys(OSDictionary *dictionary);

/** OSArraySetObject() without the search for cycles: for objects made a moment ago. */
bool dx_array_append(OSArray *array, OSObjectPtr object);

/**
 * Adds a key that must not be there yet, without the search for cycles.
 *
 * @param key     retained.
 * @param object  retained.
 * @return false when the key is there already or without memory: nothing changed then.
 */
bool dx_dictionary_add(OSDictionary *dictionary, OSString *key, OSObjectPtr object);

#endif /* DX_CORE_COLLECTIONS_H */
