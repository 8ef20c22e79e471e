// SPDX-License-Identifier: MIT
// What a driver and its objects share: the one thing of a driver that objects hold a reference to.

#ifndef DX_AUDIO_DRIVER_LINK_H
#define DX_AUDIO_DRIVER_LINK_H

#include "core/object.h"
#include "core/sync.h"

#include <dextral/IODispatchQueue.h>
#include <dextral/IOUserAudioObject.h>
#include <dextral/host.h>

/*
 * A driver owns its objects, so they cannot own the driver; and an object may outlive it (the host, or the
 * user, still has a reference).  Both hold the link, which names the driver as long as it lives and the host
 * as long as there is one.  The registry names every initialised object without owning it.
 */
struct dx_driver_link {
    struct OSObject base;
    dx_clock *clock;             // current where the driver was made; fixed
    struct dx_mutex lock;        // guards what follows
    IOUserAudioDriver *driver;   // weak; NULL once its free runs
    dx_host *host;               // NULL: none
    IOUserAudioObjectID last_id; // given out last
    IOUserAudioObject *objects;  // weak; linked by IOUserAudioObject::next

    _Atomic(IODispatchQueue *) queue; // retained; set once, by the driver's Start
    _Atomic uint32_t host_calls;      // calls to the host under way
};

/** The link of a driver, borrowed; NULL for what is no driver.  In audio/driver.c. */
struct dx_driver_link *dx_driver_get_link(IOUserAudioDriver *driver);

/** +1, or NULL without memory. */
struct dx_driver_link *dx_driver_link_create(IOUserAudioDriver *driver);

/** The driver's free runs: nothing refers to it from here on. */
void dx_driver_link_orphan(struct dx_driver_link *link);

/** From here on the driver has a host.  kIOReturnBusy: it has one. */
kern_return_t dx_driver_link_attach(struct dx_driver_link *link, dx_host *host);

/**
 * From here on it has none: returns when no call to the host is under way any more.
 *
 * Not from inside such a call, and holding nothing that one of them may wait for.
 */
void dx_driver_link_detach(struct dx_driver_link *link);

/** A call to the host that dx_driver_link_detach() waits for. */
struct dx_host_call {
    dx_host *host;
    IOUserAudioDriver *driver; // +1
};

/** Begins a call on behalf of an object: false when there is no host or the object is not the driver's. */
bool dx_driver_link_enter_host(struct dx_driver_link *link, IOUserAudioObjectID object,
                               struct dx_host_call *ret_call);
void dx_driver_link_leave_host(struct dx_driver_link *link, const struct dx_host_call *call);

/** Whether the driver owns an object, directly or through its owners. */
bool dx_driver_link_owns(struct dx_driver_link *link, IOUserAudioObjectID object);

/** Tells the host, if there is one, that properties of an object changed. */
void dx_driver_link_notify(struct dx_driver_link *link, IOUserAudioObjectID object,
                           const IOUserAudioObjectPropertySelector *selectors, uint32_t count);

/** The object of an id, +1; NULL where there is none that lives. */
IOUserAudioObject *dx_driver_link_copy_object(struct dx_driver_link *link, IOUserAudioObjectID id);

/** The driver, +1; NULL when it is gone. */
IOUserAudioDriver *dx_driver_link_copy_driver(struct dx_driver_link *link);

/** Gives an object its id and enters it.  false: no id left, or the driver is gone. */
bool dx_driver_link_register(struct dx_driver_link *link, IOUserAudioObject *object);
void dx_driver_link_unregister(struct dx_driver_link *link, IOUserAudioObject *object);

/**
 * Runs a function on the work queue: inline when on it already, or when there is none yet.
 *
 * @return kIOReturnSuccess; kIOReturnAborted (the queue was cancelled: it did not run).
 */
kern_return_t dx_driver_link_run(struct dx_driver_link *link, void (*function)(void *context), void *context);

#endif /* DX_AUDIO_DRIVER_LINK_H */
