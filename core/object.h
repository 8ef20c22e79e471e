// SPDX-License-Identifier: MIT
// What every object starts with, and what a class is.

#ifndef DX_CORE_OBJECT_H
#define DX_CORE_OBJECT_H

#include <dextral/OSObject.h>

#include <stdatomic.h>

struct OSMetaClass {
    const char *name;
    const OSMetaClass *super; // NULL for OSObject
    size_t instance_bytes;
    /* Virtual free: finishes what this class added, then calls the superclass's; OSObject's gives the memory
     * back.  Must take a half-built object.  NULL: the superclass's. */
    void (*free)(OSObjectPtr object);
    /* NULL: the superclass's; OSObject's compares pointers. */
    bool (*is_equal)(OSObjectPtr object, OSObjectPtr other);
};

struct OSObject {
    const OSMetaClass *isa;
    _Atomic uint32_t references;
    _Atomic(void *) peer; // read on any thread
    void (*peer_release)(void *peer);
    struct dx_named_queue *queues; // bound by OSObjectSetDispatchQueue
};

/** OSObject itself: the `super` of the classes right below it (gOSObjectMetaClass is no constant expression). */
extern const OSMetaClass dx_object_class;

/** Count of an object in static storage that is never freed; retain and release leave it alone. */
#define DX_OBJECT_IMMORTAL UINT32_MAX

/** Zeroed instance of a class with one reference; NULL without memory. */
OSObjectPtr dx_object_alloc(const OSMetaClass *meta);

/** The same with bytes after the instance, also zeroed; NULL without memory or when the sum overflows. */
OSObjectPtr dx_object_alloc_extra(const OSMetaClass *meta, size_t extra_bytes);

/**
 * Gives a reference back without running free.
 *
 * @return true when it was the last one: the object is the caller's alone, who finishes it himself and ends with
 *         dx_object_free_super().  For classes that free deep structures without recursion.
 */
bool dx_object_drop(OSObjectPtr object);

/** The last step of every free: releases bound queues and the peer, and gives the memory back. */
void dx_object_free_super(OSObjectPtr object);

/** Retains unless the last reference is already gone; for weak look-ups under the registry's lock. */
bool dx_object_retain_if_alive(OSObjectPtr object);

#endif /* DX_CORE_OBJECT_H */
