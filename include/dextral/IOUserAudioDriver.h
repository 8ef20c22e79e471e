// SPDX-License-Identifier: MIT
// The root of a driver: it makes the devices, and is told when one is to start.

#ifndef DEXTRAL_IOUSERAUDIODRIVER_H
#define DEXTRAL_IOUSERAUDIODRIVER_H

#include <dextral/IOService.h>
#include <dextral/IOUserAudioObject.h>

DX_BEGIN_DECLS

typedef struct IOUserClient IOUserClient;

DX_API extern const OSMetaClass *const gIOUserAudioDriverMetaClass;

/** Overrides of a driver's virtual methods, as IOUserAudioClockDeviceOverrides. */
typedef struct IOUserAudioDriverOverrides {
    uint32_t size; ///< sizeof(IOUserAudioDriverOverrides)
    bool (*init)(IOUserAudioDriver *driver);
    void (*free)(IOUserAudioDriver *driver); ///< must end in IOUserAudioDriverFree_super()
    kern_return_t (*Start)(IOUserAudioDriver *driver, IOService *provider); ///< must call _super first
    kern_return_t (*Stop)(IOUserAudioDriver *driver, IOService *provider);  ///< must call _super last
    kern_return_t (*NewUserClient)(IOUserAudioDriver *driver, uint32_t type, IOUserClient **ret_client);
    kern_return_t (*StartDevice)(IOUserAudioDriver *driver, IOUserAudioObjectID device,
                                 IOUserAudioStartStopFlags flags);
    kern_return_t (*StopDevice)(IOUserAudioDriver *driver, IOUserAudioObjectID device,
                                IOUserAudioStartStopFlags flags);
} IOUserAudioDriverOverrides;

/**
 * A driver that is not initialised.  A host initialises and starts it: dx_host_start_driver().
 *
 * @return +1, or NULL without memory.
 *
 * Thread: control.  Real-time: no.  Source: OSTypeAlloc(IOUserAudioDriver).
 */
DX_API IOUserAudioDriver *IOUserAudioDriverAlloc(void);

/**
 * Sets the overrides of one driver.
 *
 * @param overrides  borrowed: must outlive the driver.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnBusy (it was initialised already).
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t IOUserAudioDriverSetOverrides(IOUserAudioDriver *driver,
                                                   const IOUserAudioDriverOverrides *overrides);

/**
 * Initialises what IOUserAudioDriverAlloc() made.  Virtual.
 *
 * @return false when it was initialised already, or the override says so; then release it.
 *
 * Thread: control, by the host.  Real-time: no.  Source: IOUserAudioDriver::init.
 */
DX_API bool IOUserAudioDriverInit(IOUserAudioDriver *driver);

/** The base of IOUserAudioDriverInit(): for its override. */
DX_API bool IOUserAudioDriverInit_super(IOUserAudioDriver *driver);

/** The base of free: the last thing an override of free does; the driver is gone then. */
DX_API void IOUserAudioDriverFree_super(IOUserAudioDriver *driver);

/**
 * Starts the driver.  Virtual; the base makes the work queue.  An override calls it first, then makes devices,
 * adds them, and calls IOServiceRegisterService().
 *
 * @param provider  what was matched; retained until Stop; NULL without hardware.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no driver, or not initialised); kIOReturnBusy (it was started
 *         already); kIOReturnNoMemory, kIOReturnNoResources (no queue).
 *
 * Thread: control, by the host.  Real-time: no.  Source: IOUserAudioDriver::Start.
 */
DX_API kern_return_t IOUserAudioDriverStart(IOUserAudioDriver *driver, IOService *provider);

/** The base of IOUserAudioDriverStart(): for its override. */
DX_API kern_return_t IOUserAudioDriverStart_super(IOUserAudioDriver *driver, IOService *provider);

/**
 * Stops the driver.  Virtual; the base lets go of the provider.  Objects that were not removed stay until the
 * driver is freed, and so does the work queue.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNotReady (it was not started).
 *
 * Thread: control, by the host.  Real-time: no.  Source: IOUserAudioDriver::Stop.
 */
DX_API kern_return_t IOUserAudioDriverStop(IOUserAudioDriver *driver, IOService *provider);

/** The base of IOUserAudioDriverStop(): for its override. */
DX_API kern_return_t IOUserAudioDriverStop_super(IOUserAudioDriver *driver, IOService *provider);

/**
 * Makes the object behind a connection to the driver.  Virtual; an override forwards
 * kIOUserAudioDriverUserClientType to the base, or the driver's devices stay invisible.
 *
 * @param type        kIOUserAudioDriverUserClientType ('CAud': the host's), or the driver's own.
 * @param ret_client  +1; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnUnsupported (by the base: any other type);
 *         kIOReturnNoMemory.
 *
 * Thread: the work queue, by the host.  Real-time: no.  Source: IOUserAudioDriver::NewUserClient.
 */
DX_API kern_return_t IOUserAudioDriverNewUserClient(IOUserAudioDriver *driver, uint32_t type,
                                                    IOUserClient **ret_client);

/** The base of IOUserAudioDriverNewUserClient(): for its override. */
DX_API kern_return_t IOUserAudioDriverNewUserClient_super(IOUserAudioDriver *driver, uint32_t type,
                                                          IOUserClient **ret_client);

/**
 * IOUserAudioClassIDDriver; 0 for what is no driver.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioDriver::GetClassID.
 */
DX_API IOUserAudioClassID IOUserAudioDriverGetClassID(IOUserAudioDriver *driver) DX_REALTIME;

/**
 * IOUserAudioClassIDObject; 0 for what is no driver.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioDriver::GetBaseClassID.
 */
DX_API IOUserAudioClassID IOUserAudioDriverGetBaseClassID(IOUserAudioDriver *driver) DX_REALTIME;

/**
 * The work queue, on which the setters of all objects run: the driver's default queue.
 *
 * @return +1; NULL before Start.
 *
 * Thread: any but an IO thread.  Real-time: no.  Source: IOUserAudioDriver::GetWorkQueue.
 */
DX_API IODispatchQueue *IOUserAudioDriverGetWorkQueue(IOUserAudioDriver *driver);

/**
 * Sets how the driver's hardware is attached.
 *
 * @param transport_type  one of IOUserAudioTransportType...
 * @return kIOReturnSuccess; kIOReturnBadArgument (also an unknown type).
 *
 * Notifies: 'tran'.  Thread: control.  Real-time: no.  Source: IOUserAudioDriver::SetTransportType.
 */
DX_API kern_return_t IOUserAudioDriverSetTransportType(IOUserAudioDriver *driver,
                                                       IOUserAudioTransportType transport_type);

/**
 * How it is attached; Unknown at first.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioDriver::GetTransportType.
 */
DX_API IOUserAudioTransportType IOUserAudioDriverGetTransportType(IOUserAudioDriver *driver) DX_REALTIME;

/**
 * Sets the name that people see.
 *
 * @param name  retained.
 * @return kIOReturnSuccess; kIOReturnBadArgument.
 *
 * Notifies: 'lnam'.  Thread: control.  Real-time: no.
 * Source: IOUserAudioDriver::SetName, which shadows that of IOService: IOServiceSetName().
 */
DX_API kern_return_t IOUserAudioDriverSetName(IOUserAudioDriver *driver, OSString *name);

/** The name, +1; NULL until one was set.  Thread: control.  Real-time: no.  Source: IOUserAudioDriver::GetName. */
DX_API OSString *IOUserAudioDriverGetName(IOUserAudioDriver *driver);

/**
 * Starts a device, or prepares it.  Virtual; the base calls StartIO of the device.
 *
 * @param device  id of a device or clock device that was added.
 * @param flags   IOUserAudioStartStopFlags...
 * @return kIOReturnSuccess; kIOReturnBadArgument (no driver); kIOReturnNoDevice (no such device); what StartIO
 *         answered.
 *
 * Thread: the work queue, by the host.  Real-time: no.  Source: IOUserAudioDriver::StartDevice.
 */
DX_API kern_return_t IOUserAudioDriverStartDevice(IOUserAudioDriver *driver, IOUserAudioObjectID device,
                                                  IOUserAudioStartStopFlags flags);

/** The base of IOUserAudioDriverStartDevice(): for its override. */
DX_API kern_return_t IOUserAudioDriverStartDevice_super(IOUserAudioDriver *driver, IOUserAudioObjectID device,
                                                        IOUserAudioStartStopFlags flags);

/**
 * Stops a device.  Virtual; the base calls StopIO of the device.  Otherwise as IOUserAudioDriverStartDevice().
 *
 * Thread: the work queue, by the host.  Real-time: no.  Source: IOUserAudioDriver::StopDevice.
 */
DX_API kern_return_t IOUserAudioDriverStopDevice(IOUserAudioDriver *driver, IOUserAudioObjectID device,
                                                 IOUserAudioStartStopFlags flags);

/** The base of IOUserAudioDriverStopDevice(): for its override. */
DX_API kern_return_t IOUserAudioDriverStopDevice_super(IOUserAudioDriver *driver, IOUserAudioObjectID device,
                                                       IOUserAudioStartStopFlags flags);

/**
 * The object of an id: any of this driver's that is alive, added or not.
 *
 * @return +1; NULL where there is none.
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioDriver::GetAudioObjectForObjectID.
 */
DX_API IOUserAudioObject *IOUserAudioDriverGetAudioObjectForObjectID(IOUserAudioDriver *driver,
                                                                     IOUserAudioObjectID object_id);

/**
 * Adds a device, clock device or box.  After IOServiceRegisterService() the caller follows with
 * IOUserAudioDriverPropertiesChanged() of 'dev#', 'clk#' or 'box#' of the driver.
 *
 * @param object  retained until it is removed or the driver goes.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no driver; another class; another driver's object);
 *         kIOReturnExclusiveAccess (it was added already); kIOReturnNoMemory; kIOReturnNoResources (1024 are
 *         there).
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioDriver::AddObject.
 */
DX_API kern_return_t IOUserAudioDriverAddObject(IOUserAudioDriver *driver, IOUserAudioObjectPtr object);

/**
 * Removes a device, clock device or box, and releases it.  The host has stopped its IO when this returns.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (no driver, or no object); kIOReturnNotFound (it is not there).
 *
 * Thread: control.  Real-time: no, waits for the host.  Source: IOUserAudioDriver::RemoveObject.
 */
DX_API kern_return_t IOUserAudioDriverRemoveObject(IOUserAudioDriver *driver, IOUserAudioObjectPtr object);

/**
 * Tells the host that properties changed, where no setter did.
 *
 * @param object_id  kIOUserAudioObjectIDDriver or the id of an object that was added.
 * @param selectors  borrowed for the call.
 * @param count      1 ... 256.
 * @return kIOReturnSuccess (also while no host runs the driver: there is nobody to tell);
 *         kIOReturnBadArgument; kIOReturnNotFound (no such object was added).
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioDriver::PropertiesChanged.
 */
DX_API kern_return_t IOUserAudioDriverPropertiesChanged(IOUserAudioDriver *driver, IOUserAudioObjectID object_id,
                                                        const IOUserAudioObjectPropertySelector *selectors,
                                                        uint32_t count);

/** As IOUserAudioObjectAddCustomProperty().  Source: IOUserAudioDriver::AddCustomProperty. */
DX_API kern_return_t IOUserAudioDriverAddCustomProperty(IOUserAudioDriver *driver,
                                                        IOUserAudioCustomProperty *property);

/** As IOUserAudioObjectRemoveCustomProperty().  Source: IOUserAudioDriver::RemoveCustomProperty. */
DX_API kern_return_t IOUserAudioDriverRemoveCustomProperty(IOUserAudioDriver *driver,
                                                           IOUserAudioCustomProperty *property);

DX_END_DECLS

#endif /* DEXTRAL_IOUSERAUDIODRIVER_H */
