// SPDX-License-Identifier: MIT
// What arrays and dictionaries share: freeing, equality, and the refusal of cycles.

#include "core/collections.h"

#include <pthread.h>
#include <stdlib.h>

/* Deeper than this, collections equal only themselves: the comparison's recursion has an end on any stack. */
#define EQUALITY_DEPTH 256u

/* Two threads may each put a shared collection into one of their own, so the marks that a walk leaves have one
 * lock.  It is held over loads and stores only. */
static pthread_mutex_t walk_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t walk_count; // under walk_lock

bool
dx_object_is_collection(OSObjectPtr object)
{
    return OSObjectIsKindOf(object, &dx_array_class) || OSObjectIsKindOf(object, &dx_dictionary_class);
}

/* Whether `from` holds `target`, at any depth; each collection is looked at once, however often it is shared. */
static bool
reaches(struct dx_collection *from, const struct dx_collection *target)
{
    bool found = false;
    pthread_mutex_lock(&walk_lock);
    const uint64_t mark = ++walk_count;
    from->walk_mark = mark;
    from->walk_next = NULL;
    for (struct dx_collection *work = from; work && !found;) {
        struct dx_collection *const c = work;
        work = c->walk_next;
        size_t left = c->nested;
        for (size_t i = 0; i < c->used && left && !found; i++) {
            if (!c->members[i] || !dx_object_is_collection(c->members[i]))
                continue;
            left--;
            struct dx_collection *const member = c->members[i];
            if (member == target) {
                found = true;
            } else if (member->nested && member->walk_mark != mark) {
                member->walk_mark = mark;
                member->walk_next = work;
                work = member;
            }
        }
    }
    pthread_mutex_unlock(&walk_lock);
    return found;
}

bool
dx_collection_may_hold(const struct dx_collection *collection, OSObjectPtr object)
{
    if (!object)
        return false;
    if (!dx_object_is_collection(object))
        return true;
    struct dx_collection *const inner = object;
    return inner != collection && (inner->nested == 0 || !reaches(inner, collection));
}

void
dx_collection_free(OSObjectPtr object)
{
    /* A list instead of recursion: members whose last reference this was are freed by the same loop. */
    struct dx_collection *work = object;
    work->free_next = NULL;
    while (work) {
        struct dx_collection *const c = work;
        work = c->free_next;
        for (size_t i = 0; i < c->used; i++) {
            if (!dx_object_is_collection(c->members[i])) {
                OSObjectRelease(c->members[i]);
            } else if (dx_object_drop(c->members[i])) {
                struct dx_collection *const member = c->members[i];
                member->free_next = work;
                work = member;
            }
        }
        if (OSObjectIsKindOf(c, &dx_dictionary_class))
            dx_dictionary_release_keys((OSDictionary *)c);
        free(c->members);
        c->members = NULL;
        c->used = 0;
        dx_object_free_super(c);
    }
}

bool
dx_member_is_equal(OSObjectPtr member, OSObjectPtr other, unsigned depth)
{
    if (member == other)
        return true;
    if (depth >= EQUALITY_DEPTH)
        return false;
    if (OSObjectIsKindOf(member, &dx_array_class))
        return OSObjectIsKindOf(other, &dx_array_class) && dx_array_is_equal(member, other, depth + 1);
    if (OSObjectIsKindOf(member, &dx_dictionary_class))
        return OSObjectIsKindOf(other, &dx_dictionary_class) && dx_dictionary_is_equal(member, other, depth + 1);
    return OSObjectIsEqualTo(member, other);
}

bool
dx_collection_is_equal(OSObjectPtr object, OSObjectPtr other)
{
    return dx_member_is_equal(object, other, 0);
}
