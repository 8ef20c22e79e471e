// SPDX-License-Identifier: MIT
// What drivers and user clients have in common: properties, a provider, a name, a queue.

#ifndef DEXTRAL_IOSERVICE_H
#define DEXTRAL_IOSERVICE_H

#include <dextral/OSObject.h>

DX_BEGIN_DECLS

typedef struct IOService IOService;

/**
 * A driver or a user client.  Which class it is, is checked at run time: another class, or NULL, is
 * kIOReturnBadArgument, and a getter returns zero or NULL.
 */
typedef void *IOServicePtr;

DX_API extern const OSMetaClass *const gIOServiceMetaClass;

/** A service's name: up to 127 bytes and a NUL. */
typedef char IOServiceName[128];
/** A property's name: up to 127 bytes and a NUL. */
typedef char IOPropertyName[128];

/** The queue on which everything of a service runs that names no other. */
#define kIOServiceDefaultQueueName "Default"

/** IOServiceSearchProperty() also looks at the provider, and at its provider. */
#define kIOServiceSearchPropertyParents 1u

/**
 * Says that a service is ready to be used: of a driver, what it has added becomes visible.
 *
 * Clients that wait for the device are served at once: StartDevice may come before this returns, so everything
 * must be in place, the handler too.
 *
 * @return kIOReturnSuccess (also again); kIOReturnBadArgument; kIOReturnNotReady (a driver that no host runs).
 *
 * Thread: control.  Real-time: no.  Source: IOService::RegisterService.
 */
DX_API kern_return_t IOServiceRegisterService(IOServicePtr service);

/**
 * Sets the service's name in the registry.
 *
 * @param name  copied: 1 to 127 bytes.
 * @return kIOReturnSuccess; kIOReturnBadArgument.
 *
 * Thread: control.  Real-time: no.
 * Source: IOService::SetName.  IOUserAudioDriverSetName() is what clients of audio see.
 */
DX_API kern_return_t IOServiceSetName(IOServicePtr service, const char *name);

/**
 * The name in the registry, +1: the class's until one was set.  NULL without memory.  Source:
 * IOService::CopyName.
 */
DX_API OSString *IOServiceCopyName(IOServicePtr service);

/**
 * A number that no other service of this process has.
 *
 * @param ret_id  written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument.
 *
 * Thread: any.  Real-time: no.  Source: IOService::GetRegistryEntryID.
 */
DX_API kern_return_t IOServiceGetRegistryEntryID(IOServicePtr service, uint64_t *ret_id);

/**
 * What the service was started for, borrowed: a user client's driver, a driver's bus.
 *
 * @return NULL before Start, after Stop, and for a driver without hardware.
 *
 * Thread: control.  Real-time: no.  Source: IOService::GetProvider.
 */
DX_API IOService *IOServiceGetProvider(IOServicePtr service);

/**
 * Copies the service's properties: of a driver, the personality that was matched.
 *
 * @param ret_properties  +1: the caller's own; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNoMemory.
 *
 * Thread: control.  Real-time: no.  Source: IOService::CopyProperties.
 */
DX_API kern_return_t IOServiceCopyProperties(IOServicePtr service, OSDictionary **ret_properties);

/**
 * Looks a property up.
 *
 * @param name          its key.
 * @param plane         ignored: there is one.
 * @param options       0, or kIOServiceSearchPropertyParents.
 * @param ret_property  +1; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNotFound.
 *
 * Thread: control.  Real-time: no.  Source: IOService::SearchProperty.
 */
DX_API kern_return_t IOServiceSearchProperty(IOServicePtr service, const char *name, const char *plane,
                                             uint64_t options, OSObjectPtr *ret_property);

/**
 * The queue that is bound to the name "Default"; makes and binds it if there is none.
 *
 * @param ret_queue  +1; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNoMemory; kIOReturnNoResources.
 *
 * Thread: control.  Real-time: no.  Source: IOService::CreateDefaultDispatchQueue.
 */
DX_API kern_return_t IOServiceCreateDefaultDispatchQueue(IOServicePtr service, IODispatchQueue **ret_queue);

/** Makes an instance of a class: Alloc, and overrides set; `init` is not called yet.  NULL without memory. */
typedef IOServicePtr (*dx_service_alloc)(void);

/**
 * Tells a service how to make the classes that its properties name, for IOServiceCreate().
 *
 * @param class_name  as the value of IOUserClass; copied: 1 to 127 bytes.
 * @param alloc       must stay callable as long as the service.
 * @return kIOReturnSuccess (a class known before is replaced); kIOReturnBadArgument; kIOReturnNoMemory.
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_service_add_class(IOServicePtr service, const char *class_name, dx_service_alloc alloc);

/**
 * Makes the service that a property describes, and starts it with another as its provider.
 *
 * @param provider        whose property it is, and what the new service's Start gets.
 * @param properties_key  of a dictionary whose IOUserClass names the class; the dictionary becomes the new
 *                        service's properties.
 * @param ret_service     +1; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNotFound (no such dictionary, or no IOUserClass in
 *         it); kIOReturnUnsupported (dx_service_add_class() was not called for that class, or it is no user
 *         client's); kIOReturnNoMemory; kIOReturnError (`init` said no); what Start answered.
 *
 * Thread: control.  Real-time: no.
 * Source: IOService::Create.  Differs: user clients only, and classes are found where dx_service_add_class()
 * put them.
 */
DX_API kern_return_t IOServiceCreate(IOServicePtr provider, const char *properties_key, IOService **ret_service);

DX_END_DECLS

#endif /* DEXTRAL_IOSERVICE_H */
