// SPDX-License-Identifier: MIT
// The inside of IOUserAudioObject, and what its subclasses are built with.

#ifndef DX_AUDIO_OBJECT_H
#define DX_AUDIO_OBJECT_H

#include "audio/driver_link.h"
#include "audio/object_list.h"
#include "core/object.h"
#include "core/slots.h"
#include "core/sync.h"

#include <dextral/IOUserAudioObject.h>

struct dx_element_name {
    IOUserAudioObjectPropertySelector kind; // 'lchn', 'lccn' or 'lcnn'
    IOUserAudioObjectPropertyScope scope;
    IOUserAudioObjectPropertyElement element;
    OSString *text; // retained
};

struct IOUserAudioObject {
    struct OSObject base;

    /* Fixed by dx_audio_object_init(). */
    struct dx_driver_link *link; // retained; NULL before
    IOUserAudioObjectID id;
    IOUserAudioClassID class_id;
    IOUserAudioClassID base_class_id;
    bool refuses_custom_properties; // may be set by a subclass before its init ends

    _Atomic bool initialised; // set last, with release: all of the above is there
    _Atomic IOUserAudioObjectID owner_id;

    /* The driver's registry, under its lock. */
    IOUserAudioObject *next;
    IOUserAudioObject *previous;

    struct dx_mutex lock; // guards what follows, and whatever a subclass puts under it
    OSString *name;
    struct dx_element_name *element_names;
    uint32_t element_name_count;
    uint32_t element_name_capacity;
    struct dx_object_list custom_properties;
};

/** IOUserAudioObject itself: the `super` of the classes right below it. */
extern const OSMetaClass dx_audio_object_class;

/** dx_object_alloc() and what an uninitialised object needs so that every call on it fails cleanly. */
OSObjectPtr dx_audio_object_alloc(const OSMetaClass *meta);

/**
 * The last step of a subclass's init: gives the id, and makes the object known and usable.
 *
 * Everything of the subclass that a getter may read must be in place before.
 *
 * @return false: initialised already, no driver, or no id left.
 */
bool dx_audio_object_init(IOUserAudioObject *object, IOUserAudioDriver *driver, IOUserAudioClassID class_id,
                          IOUserAudioClassID base_class_id);

/** The free of a subclass ends with this.  Takes an object that was never initialised. */
void dx_audio_object_free(OSObjectPtr object);

/** Whether a pointer is an initialised object of a class or of one below it. */
static inline DX_REALTIME bool
dx_audio_object_is(OSObjectPtr object, const OSMetaClass *meta)
{
    /* acquire: pairs with the release in dx_audio_object_init(). */
    return OSObjectIsKindOf(object, meta) &&
           atomic_load_explicit(&((IOUserAudioObject *)object)->initialised, memory_order_acquire);
}

/** Runs on the work queue, and returns what it returned. */
typedef kern_return_t (*dx_object_work)(IOUserAudioObject *object, void *argument);
kern_return_t dx_object_run(IOUserAudioObject *object, dx_object_work work, void *argument);

/** Tells the host that properties of an object changed, if the object is the driver's and there is a host. */
void dx_object_notify(IOUserAudioObject *object, const IOUserAudioObjectPropertySelector *selectors,
                      uint32_t count);

/** The same for one selector. */
void dx_object_notify_one(IOUserAudioObject *object, IOUserAudioObjectPropertySelector selector);

/** A whole setter: stores on the work queue, and notifies if the value is another. */
kern_return_t dx_object_set_u32(IOUserAudioObject *object, _Atomic uint32_t *field, uint32_t value,
                                IOUserAudioObjectPropertySelector selector);

/* relaxed: a value of its own; nothing else is read on the strength of it. */
static inline DX_REALTIME uint32_t
dx_object_get_u32(const _Atomic uint32_t *field)
{
    return atomic_load_explicit(field, memory_order_relaxed);
}

/** A whole setter of a string that the object's lock guards: retains the new, releases the old. */
kern_return_t dx_object_set_string(IOUserAudioObject *object, OSString **field, OSString *value,
                                   IOUserAudioObjectPropertySelector selector);

/** What a string field holds, +1 or NULL. */
OSString *dx_object_copy_string(IOUserAudioObject *object, OSString *const *field);

/** A value from slots that were written at least once before the object was initialised.  Wait-free. */
void dx_object_read_slots(const struct dx_slots *slots, void *value) DX_REALTIME;

/** The owner, +1; NULL: none, or the driver. */
IOUserAudioObject *dx_object_copy_owner(IOUserAudioObject *object);

/* Owned objects: a list under a lock, whose members' owner ids are that of the owner. */

/**
 * Adds a child: retains it and sets its owner.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (of another driver); kIOReturnExclusiveAccess (has an owner);
 *         kIOReturnNoMemory; kIOReturnNoResources (`limit` are there).
 */
kern_return_t dx_owned_add(struct dx_driver_link *link, struct dx_mutex *lock, struct dx_object_list *list,
                           IOUserAudioObject *child, IOUserAudioObjectID owner, uint32_t limit);

/** Removes a child and releases it; kIOReturnNotFound. */
kern_return_t dx_owned_remove(struct dx_mutex *lock, struct dx_object_list *list, IOUserAudioObject *child);

/** Removes and releases all: for the owner's free. */
void dx_owned_finish(struct dx_object_list *list);

/* Custom properties, of objects and of the driver. */
kern_return_t dx_custom_property_add(struct dx_driver_link *link, struct dx_mutex *lock,
                                     struct dx_object_list *list, IOUserAudioObjectID owner,
                                     IOUserAudioCustomProperty *property);
kern_return_t dx_custom_property_remove(struct dx_driver_link *link, struct dx_mutex *lock,
                                        struct dx_object_list *list, IOUserAudioObjectID owner,
                                        IOUserAudioCustomProperty *property);

/** The custom properties of an object, +1 each.  @return how many there are. */
uint32_t dx_object_copy_custom_properties(IOUserAudioObject *object, IOUserAudioCustomProperty **ret_properties,
                                          uint32_t capacity);

/** Whether a number is one of IOUserAudioTransportType... */
bool dx_is_transport_type(IOUserAudioTransportType type);

/** Whether a string is one of 1 to 255 bytes of UTF-8, as identifiers are. */
bool dx_is_identifier(OSString *string);

#endif /* DX_AUDIO_OBJECT_H */
