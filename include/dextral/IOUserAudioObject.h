// SPDX-License-Identifier: MIT
// What every object of a driver has: an id, a class, an owner, names and custom properties.

#ifndef DEXTRAL_IOUSERAUDIOOBJECT_H
#define DEXTRAL_IOUSERAUDIOOBJECT_H

#include <dextral/AudioDriverKitTypes.h>
#include <dextral/OSObject.h>

DX_BEGIN_DECLS

typedef struct IOUserAudioDriver IOUserAudioDriver;
typedef struct IOUserAudioObject IOUserAudioObject;
typedef struct IOUserAudioClockDevice IOUserAudioClockDevice;
typedef struct IOUserAudioCustomProperty IOUserAudioCustomProperty;

/**
 * Any audio object: device, clock device, stream, box, control or custom property.  Which class it is, is
 * checked at run time: another class, NULL, or an object that was not initialised makes a call fail with
 * kIOReturnBadArgument, and a getter return zero or NULL.
 */
typedef void *IOUserAudioObjectPtr;

DX_API extern const OSMetaClass *const gIOUserAudioObjectMetaClass;

/*
 * Setters run synchronously on the driver's work queue (inline when already on it, or before the driver's
 * Start has made it), and notify the host only if the value differs from the one before and the object has
 * been added, directly or through its owner, to a driver that a host runs.
 */

/**
 * The class of an object: one of IOUserAudioClassID...
 *
 * @return 0 for what is no audio object.
 *
 * Thread: any.  Real-time: yes, wait-free.  Source: IOUserAudioObject::GetClassID.
 */
DX_API IOUserAudioClassID IOUserAudioObjectGetClassID(IOUserAudioObjectPtr object) DX_REALTIME;

/**
 * The class above the class of an object.
 *
 * @return 0 for what is no audio object.
 *
 * Thread: any.  Real-time: yes, wait-free.  Source: IOUserAudioObject::GetBaseClassID.
 */
DX_API IOUserAudioClassID IOUserAudioObjectGetBaseClassID(IOUserAudioObjectPtr object) DX_REALTIME;

/**
 * The number of an object within its driver, given at its initialisation and never used again.
 *
 * @return kIOUserAudioObjectIDUnknown for what is no audio object.
 *
 * Thread: any.  Real-time: yes, wait-free.  Source: IOUserAudioObject::GetObjectID.
 */
DX_API IOUserAudioObjectID IOUserAudioObjectGetObjectID(IOUserAudioObjectPtr object) DX_REALTIME;

/**
 * The id of what an object was added to.
 *
 * @return kIOUserAudioObjectIDUnknown before it was added and after it was removed.
 *
 * Thread: any.  Real-time: yes, wait-free.  Source: IOUserAudioObject::GetOwnerObjectID.
 */
DX_API IOUserAudioObjectID IOUserAudioObjectGetOwnerObjectID(IOUserAudioObjectPtr object) DX_REALTIME;

/**
 * The driver's work queue, on which setters run.
 *
 * @return +1; NULL before the driver's Start.
 *
 * Thread: any but an IO thread.  Real-time: no.  Source: IOUserAudioObject::GetWorkQueue.
 */
DX_API IODispatchQueue *IOUserAudioObjectGetWorkQueue(IOUserAudioObjectPtr object);

/**
 * Sets the name that people see.
 *
 * @param name  retained.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no object, or no string).
 *
 * Notifies: 'lnam'.  Thread: control.  Real-time: no.  Source: IOUserAudioObject::SetName.
 */
DX_API kern_return_t IOUserAudioObjectSetName(IOUserAudioObjectPtr object, OSString *name);

/** The name, +1; NULL until one was set.  Thread: control.  Real-time: no.  Source: IOUserAudioObject::GetName. */
DX_API OSString *IOUserAudioObjectGetName(IOUserAudioObjectPtr object);

/**
 * Names an element: a channel of a device, for instance.
 *
 * @param element  1 ... n, or IOUserAudioObjectPropertyElementMain.
 * @param scope    one of IOUserAudioObjectPropertyScope...
 * @param name     retained.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no object, no string, unknown scope);
 *         kIOReturnNoMemory; kIOReturnNoResources (4096 element names are set).
 *
 * Notifies: 'lchn'.  Thread: control.  Real-time: no.  Source: IOUserAudioObject::SetElementName.
 */
DX_API kern_return_t IOUserAudioObjectSetElementName(IOUserAudioObjectPtr object,
                                                     IOUserAudioObjectPropertyElement element,
                                                     IOUserAudioObjectPropertyScope scope, OSString *name);

/**
 * The name of an element.
 *
 * @return +1; NULL until one was set for that element and scope.
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioObject::GetElementName.
 */
DX_API OSString *IOUserAudioObjectGetElementName(IOUserAudioObjectPtr object,
                                                 IOUserAudioObjectPropertyElement element,
                                                 IOUserAudioObjectPropertyScope scope);

/**
 * Names the category of an element: "Microphone", for instance.  As IOUserAudioObjectSetElementName().
 *
 * Notifies: 'lccn'.  Thread: control.  Real-time: no.  Source: IOUserAudioObject::SetElementCategoryName.
 */
DX_API kern_return_t IOUserAudioObjectSetElementCategoryName(IOUserAudioObjectPtr object,
                                                             IOUserAudioObjectPropertyElement element,
                                                             IOUserAudioObjectPropertyScope scope, OSString *name);

/**
 * The category of an element, as IOUserAudioObjectGetElementName().
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioObject::GetElementCategoryName.
 */
DX_API OSString *IOUserAudioObjectGetElementCategoryName(IOUserAudioObjectPtr object,
                                                         IOUserAudioObjectPropertyElement element,
                                                         IOUserAudioObjectPropertyScope scope);

/**
 * Sets the number of an element within its category, as text.  As IOUserAudioObjectSetElementName().
 *
 * Notifies: 'lcnn'.  Thread: control.  Real-time: no.  Source: IOUserAudioObject::SetElementNumberName.
 */
DX_API kern_return_t IOUserAudioObjectSetElementNumberName(IOUserAudioObjectPtr object,
                                                           IOUserAudioObjectPropertyElement element,
                                                           IOUserAudioObjectPropertyScope scope, OSString *name);

/**
 * The number of an element as text, as IOUserAudioObjectGetElementName().
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioObject::GetElementNumberName.
 */
DX_API OSString *IOUserAudioObjectGetElementNumberName(IOUserAudioObjectPtr object,
                                                       IOUserAudioObjectPropertyElement element,
                                                       IOUserAudioObjectPropertyScope scope);

/**
 * Adds a custom property to an object, which becomes its owner.
 *
 * @param property  retained until it is removed or the object goes.
 * @return kIOReturnSuccess; kIOReturnError (the object is a custom property itself); kIOReturnBadArgument
 *         (no object, no custom property, or one of another driver); kIOReturnExclusiveAccess (it has an
 *         owner already); kIOReturnNoMemory; kIOReturnNoResources (too many).
 *
 * Notifies: 'cust'.  Thread: control.  Real-time: no.  Source: IOUserAudioObject::AddCustomProperty.
 */
DX_API kern_return_t IOUserAudioObjectAddCustomProperty(IOUserAudioObjectPtr object,
                                                        IOUserAudioCustomProperty *property);

/**
 * Removes a custom property and releases it.
 *
 * @return kIOReturnSuccess; kIOReturnError (the object is a custom property itself); kIOReturnBadArgument
 *         (no object, or no custom property); kIOReturnNotFound (it is not this object's).
 *
 * Notifies: 'cust'.  Thread: control.  Real-time: no.  Source: IOUserAudioObject::RemoveCustomProperty.
 */
DX_API kern_return_t IOUserAudioObjectRemoveCustomProperty(IOUserAudioObjectPtr object,
                                                           IOUserAudioCustomProperty *property);

DX_END_DECLS

#endif /* DEXTRAL_IOUSERAUDIOOBJECT_H */
