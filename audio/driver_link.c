// SPDX-License-Identifier: MIT
// Registry, work queue and host of a driver, as its objects see them.

#include "audio/driver_link.h"

#include "audio/host.h"
#include "audio/object.h"

/* Device, stream or control, custom property: an owner chain is never longer. */
#define OWNERS_AT_MOST 4

static void
free_link(OSObjectPtr object)
{
    struct dx_driver_link *const link = object;
    /* relaxed: nobody else has a reference. */
    OSObjectRelease(atomic_load_explicit(&link->queue, memory_order_relaxed));
    dx_object_free_super(link);
}

static const OSMetaClass link_class = {
    .name = "dx_driver_link",
    .super = &dx_object_class,
    .instance_bytes = sizeof(struct dx_driver_link),
    .free = free_link,
};

struct dx_driver_link *
dx_driver_link_create(IOUserAudioDriver *driver)
{
    struct dx_driver_link *const link = dx_object_alloc(&link_class);
    if (!link)
        return NULL;
    dx_mutex_init(&link->lock, "audio objects");
    link->clock = dx_clock_current();
    link->driver = driver;
    link->last_id = kIOUserAudioObjectIDDriver;
    return link;
}

void
dx_driver_link_orphan(struct dx_driver_link *link)
{
    dx_mutex_lock(&link->lock);
    link->driver = NULL;
    dx_mutex_unlock(&link->lock);
}

kern_return_t
dx_driver_link_attach(struct dx_driver_link *link, dx_host *host)
{
    dx_mutex_lock(&link->lock);
    const bool busy = link->host != NULL;
    if (!busy)
        link->host = host;
    dx_mutex_unlock(&link->lock);
    return busy ? kIOReturnBusy : kIOReturnSuccess;
}

void
dx_driver_link_detach(struct dx_driver_link *link)
{
    dx_mutex_lock(&link->lock);
    link->host = NULL;
    dx_mutex_unlock(&link->lock);

    const struct dx_wait_reason reason = {.what = "call to the host", .name = "driver"};
    uint32_t calls;
    /* acquire: pairs with the release in dx_driver_link_leave_host(); what the call did is done. */
    while ((calls = atomic_load_explicit(&link->host_calls, memory_order_acquire)) != 0)
        (void)dx_clock_wait(link->clock, &link->host_calls, calls, DX_NEVER, &reason); // the load decides
}

static IOUserAudioObject *
find_object(const struct dx_driver_link *link, IOUserAudioObjectID id)
{
    IOUserAudioObject *object = link->objects;
    while (object && object->id != id)
        object = object->next;
    return object;
}

static bool
owns_locked(const struct dx_driver_link *link, IOUserAudioObjectID id)
{
    for (unsigned i = 0; i < OWNERS_AT_MOST; i++) {
        if (id == kIOUserAudioObjectIDDriver)
            return true;
        const IOUserAudioObject *const object = find_object(link, id);
        if (!object)
            return false;
        /* relaxed: a number; an owner that changes now counts as changed before or after. */
        id = atomic_load_explicit(&object->owner_id, memory_order_relaxed);
    }
    return id == kIOUserAudioObjectIDDriver;
}

bool
dx_driver_link_owns(struct dx_driver_link *link, IOUserAudioObjectID object)
{
    dx_mutex_lock(&link->lock);
    const bool owns = owns_locked(link, object);
    dx_mutex_unlock(&link->lock);
    return owns;
}

bool
dx_driver_link_enter_host(struct dx_driver_link *link, IOUserAudioObjectID object, struct dx_host_call *ret_call)
{
    dx_mutex_lock(&link->lock);
    const bool entered = link->host && owns_locked(link, object) && dx_object_retain_if_alive(link->driver);
    if (entered) {
        *ret_call = (struct dx_host_call){.host = link->host, .driver = link->driver};
        /* relaxed: dx_driver_link_detach() has the lock between this and its first load. */
        atomic_fetch_add_explicit(&link->host_calls, 1, memory_order_relaxed);
    }
    dx_mutex_unlock(&link->lock);
    return entered;
}

void
dx_driver_link_leave_host(struct dx_driver_link *link, const struct dx_host_call *call)
{
    /* release: pairs with the acquire in dx_driver_link_detach(). */
    if (atomic_fetch_sub_explicit(&link->host_calls, 1, memory_order_release) == 1)
        dx_clock_wake(link->clock, &link->host_calls, UINT32_MAX);
    OSObjectRelease(call->driver);
}

void
dx_driver_link_notify(struct dx_driver_link *link, IOUserAudioObjectID object,
                      const IOUserAudioObjectPropertySelector *selectors, uint32_t count)
{
    struct dx_host_call call;
    if (!dx_driver_link_enter_host(link, object, &call))
        return;
    dx_host_properties_changed(call.host, call.driver, object, selectors, count);
    dx_driver_link_leave_host(link, &call);
}

IOUserAudioObject *
dx_driver_link_copy_object(struct dx_driver_link *link, IOUserAudioObjectID id)
{
    dx_mutex_lock(&link->lock);
    IOUserAudioObject *object = find_object(link, id);
    if (!dx_object_retain_if_alive(object))
        object = NULL;
    dx_mutex_unlock(&link->lock);
    return object;
}

IOUserAudioDriver *
dx_driver_link_copy_driver(struct dx_driver_link *link)
{
    dx_mutex_lock(&link->lock);
    IOUserAudioDriver *const driver = dx_object_retain_if_alive(link->driver) ? link->driver : NULL;
    dx_mutex_unlock(&link->lock);
    return driver;
}

bool
dx_driver_link_register(struct dx_driver_link *link, IOUserAudioObject *object)
{
    dx_mutex_lock(&link->lock);
    const bool possible = link->driver && link->last_id < UINT32_MAX;
    if (possible) {
        object->id = ++link->last_id;
        object->next = link->objects;
        if (object->next)
            object->next->previous = object;
        link->objects = object;
    }
    dx_mutex_unlock(&link->lock);
    return possible;
}

void
dx_driver_link_unregister(struct dx_driver_link *link, IOUserAudioObject *object)
{
    dx_mutex_lock(&link->lock);
    if (object->previous)
        object->previous->next = object->next;
    else
        link->objects = object->next;
    if (object->next)
        object->next->previous = object->previous;
    dx_mutex_unlock(&link->lock);
}

kern_return_t
dx_driver_link_run(struct dx_driver_link *link, void (*function)(void *context), void *context)
{
    /* acquire: pairs with the release in the driver's Start; the queue is whole. */
    IODispatchQueue *const queue = atomic_load_explicit(&link->queue, memory_order_acquire);
    if (queue)
        return IODispatchQueueDispatchSync_f(queue, context, function);
    function(context);
    return kIOReturnSuccess;
}
