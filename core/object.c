// SPDX-License-Identifier: MIT
// Reference counts, classes, peers and the queues bound to an object.

#include "core/object.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/*
 * Counts from IMMORTAL_FROM up never change: constants stand at DX_OBJECT_IMMORTAL, an object whose free is running
 * at DYING, so that a free which retains and releases its own object does not run twice.  A count that
 * overflows into the range leaks its object instead of freeing it under somebody's feet.
 */
#define IMMORTAL_FROM 0x80000000u
#define DYING 0xC0000000u

/* Guards every object's list of bound queues.  It is held for a few loads and stores and never over a wait, an
 * allocation or a call out, so a plain mutex does for threads and fibers alike. */
static pthread_mutex_t queues_lock = PTHREAD_MUTEX_INITIALIZER;

struct dx_named_queue {
    struct dx_named_queue *next;
    IODispatchQueue *queue; // retained
    IODispatchQueueName name;
};

const OSMetaClass dx_object_class = {
    .name = "OSObject",
    .super = NULL,
    .instance_bytes = sizeof(struct OSObject),
    .free = dx_object_free_super,
};
const OSMetaClass *const gOSObjectMetaClass = &dx_object_class;

OSObjectPtr
dx_object_alloc_extra(const OSMetaClass *meta, size_t extra_bytes)
{
    assert(meta && meta->instance_bytes >= sizeof(struct OSObject));
    if (extra_bytes > (size_t)PTRDIFF_MAX - meta->instance_bytes)
        return NULL;
    struct OSObject *const object = calloc(1, meta->instance_bytes + extra_bytes);
    if (!object)
        return NULL;
    object->isa = meta;
    atomic_init(&object->references, 1);
    return object;
}

OSObjectPtr
dx_object_alloc(const OSMetaClass *meta)
{
    return dx_object_alloc_extra(meta, 0);
}

OSObjectPtr
OSObjectRetain(OSObjectPtr object)
{
    struct OSObject *const o = object;
    /* relaxed: the caller has a reference already, so nothing is learnt from the count. */
    if (o && atomic_load_explicit(&o->references, memory_order_relaxed) < IMMORTAL_FROM) {
        const uint32_t before = atomic_fetch_add_explicit(&o->references, 1, memory_order_relaxed);
        assert(before != 0);
        (void)before;
    }
    return object;
}

/* The nearest class upwards that says how its objects are freed; OSObject does. */
static void
free_virtual(struct OSObject *o)
{
    const OSMetaClass *meta = o->isa;
    while (!meta->free)
        meta = meta->super;
    meta->free(o);
}

bool
dx_object_drop(OSObjectPtr object)
{
    struct OSObject *const o = object;
    /* relaxed: only tells constants and dying objects from the others. */
    if (!o || atomic_load_explicit(&o->references, memory_order_relaxed) >= IMMORTAL_FROM)
        return false;
    /* release: pairs with the acquire of the same operation in the thread that drops the last reference, which so
     * sees all that other holders wrote before theirs. */
    const uint32_t before = atomic_fetch_sub_explicit(&o->references, 1, memory_order_acq_rel);
    assert(before != 0);
    if (before != 1)
        return false;
    /* relaxed: nobody else may touch the object but dx_object_retain_if_alive(), and 0 and DYING are one to it. */
    atomic_store_explicit(&o->references, DYING, memory_order_relaxed);
    return true;
}

void
OSObjectRelease(OSObjectPtr object)
{
    if (dx_object_drop(object))
        free_virtual(object);
}

bool
dx_object_retain_if_alive(OSObjectPtr object)
{
    struct OSObject *const o = object;
    if (!o)
        return false;
    /* relaxed: the registry's lock orders the object's contents. */
    uint32_t n = atomic_load_explicit(&o->references, memory_order_relaxed);
    do {
        if (n == 0 || n == DYING)
            return false;
        if (n >= IMMORTAL_FROM)
            return true;
    } while (!atomic_compare_exchange_weak_explicit(&o->references, &n, n + 1, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

uint32_t
OSObjectGetRetainCount(OSObjectPtr object)
{
    const struct OSObject *const o = object;
    if (!o)
        return 0;
    /* relaxed: a figure for people. */
    const uint32_t n = atomic_load_explicit(&o->references, memory_order_relaxed);
    return n == DYING ? 0 : n;
}

bool
OSObjectIsEqualTo(OSObjectPtr object, OSObjectPtr other)
{
    if (object == other)
        return true;
    if (!object || !other)
        return false;
    for (const OSMetaClass *meta = ((struct OSObject *)object)->isa; meta; meta = meta->super) {
        if (meta->is_equal)
            return meta->is_equal(object, other);
    }
    return false;
}

const OSMetaClass *
OSObjectGetMetaClass(OSObjectPtr object)
{
    return object ? ((const struct OSObject *)object)->isa : NULL;
}

const char *
OSMetaClassGetName(const OSMetaClass *meta)
{
    return meta ? meta->name : NULL;
}

bool
OSObjectIsKindOf(OSObjectPtr object, const OSMetaClass *meta)
{
    if (!object || !meta)
        return false;
    for (const OSMetaClass *m = ((const struct OSObject *)object)->isa; m; m = m->super) {
        if (m == meta)
            return true;
    }
    return false;
}

void
OSObjectSetPeer(OSObjectPtr object, void *peer, void (*release)(void *peer))
{
    struct OSObject *const o = object;
    if (!o)
        return;
    void (*const old_release)(void *) = o->peer_release;
    o->peer_release = release;
    /* release: pairs with the acquire in OSObjectGetPeer(); what the peer points to is whole before it is seen. */
    void *const old = atomic_exchange_explicit(&o->peer, peer, memory_order_acq_rel);
    if (old && old_release)
        old_release(old);
}

void *
OSObjectGetPeer(OSObjectPtr object)
{
    struct OSObject *const o = object;
    /* acquire: pairs with the release in OSObjectSetPeer(). */
    return o ? atomic_load_explicit(&o->peer, memory_order_acquire) : NULL;
}

/* The link that holds the binding of a name, or the one at the end of the list; under queues_lock. */
static struct dx_named_queue **
find_binding(struct OSObject *o, const char *name)
{
    struct dx_named_queue **link = &o->queues;
    while (*link && strcmp((*link)->name, name) != 0)
        link = &(*link)->next;
    return link;
}

static bool
is_queue_name(const char *name)
{
    return name && strnlen(name, sizeof(IODispatchQueueName)) < sizeof(IODispatchQueueName);
}

kern_return_t
OSObjectSetDispatchQueue(OSObjectPtr object, const char *name, IODispatchQueue *queue)
{
    struct OSObject *const o = object;
    if (!o || !is_queue_name(name))
        return kIOReturnBadArgument;

    struct dx_named_queue *fresh = NULL; // for a name that has no binding yet
    if (queue) {
        fresh = calloc(1, sizeof *fresh);
        if (!fresh)
            return kIOReturnNoMemory;
        memcpy(fresh->name, name, strlen(name) + 1);
        fresh->queue = OSObjectRetain(queue);
    }

    pthread_mutex_lock(&queues_lock);
    struct dx_named_queue **const link = find_binding(o, name);
    struct dx_named_queue *const old = *link;
    if (fresh)
        fresh->next = old ? old->next : NULL;
    if (fresh || old)
        *link = fresh ? fresh : old->next;
    pthread_mutex_unlock(&queues_lock);

    if (old) {
        OSObjectRelease(old->queue);
        free(old);
    }
    return kIOReturnSuccess;
}

kern_return_t
OSObjectCopyDispatchQueue(OSObjectPtr object, const char *name, IODispatchQueue **ret_queue)
{
    struct OSObject *const o = object;
    if (!o || !ret_queue || !is_queue_name(name))
        return kIOReturnBadArgument;

    pthread_mutex_lock(&queues_lock);
    const struct dx_named_queue *const binding = *find_binding(o, name);
    IODispatchQueue *const queue = binding ? OSObjectRetain(binding->queue) : NULL;
    pthread_mutex_unlock(&queues_lock);

    if (!queue)
        return kIOReturnNotFound;
    *ret_queue = queue;
    return kIOReturnSuccess;
}

void
dx_object_free_super(OSObjectPtr object)
{
    struct OSObject *const o = object;
    if (!o)
        return;
    for (struct dx_named_queue *binding = o->queues; binding;) {
        struct dx_named_queue *const next = binding->next;
        OSObjectRelease(binding->queue);
        free(binding);
        binding = next;
    }
    o->queues = NULL;
    OSObjectSetPeer(o, NULL, NULL);
    free(o);
}
