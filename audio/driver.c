// SPDX-License-Identifier: MIT
// The driver object: what it owns, and the way from the host to its devices.

#include "audio/driver.h"

#include "audio/host.h"
#include "audio/object.h"
#include "audio/overrides.h"
#include "audio/user_client.h"

#define OBJECTS_AT_MOST 1024u
#define SELECTORS_AT_MOST 256u

static void free_driver(OSObjectPtr object);

static const OSMetaClass driver_class = {
    .name = "IOUserAudioDriver",
    .super = &dx_service_class,
    .instance_bytes = sizeof(struct IOUserAudioDriver),
    .free = free_driver,
};
const OSMetaClass *const gIOUserAudioDriverMetaClass = &driver_class;

static DX_REALTIME IOUserAudioDriver *
check(OSObjectPtr object)
{
    /* acquire: pairs with the release in IOUserAudioDriverInit_super(). */
    return OSObjectIsKindOf(object, &driver_class) &&
                   atomic_load_explicit(&((IOUserAudioDriver *)object)->initialised, memory_order_acquire)
               ? object
               : NULL;
}

struct dx_driver_link *
dx_driver_get_link(IOUserAudioDriver *driver)
{
    return check(driver) ? driver->link : NULL;
}

/* Life. */

static kern_return_t
register_driver(IOService *service)
{
    IOUserAudioDriver *const driver = check(service);
    struct dx_host_call call;
    if (!driver)
        return kIOReturnBadArgument;
    if (!dx_driver_link_enter_host(driver->link, kIOUserAudioObjectIDDriver, &call))
        return kIOReturnNotReady;
    /* relaxed: the host's own lock orders what it then looks at. */
    if (!atomic_exchange_explicit(&driver->is_registered, true, memory_order_relaxed))
        dx_host_driver_registered(call.host, driver);
    dx_driver_link_leave_host(driver->link, &call);
    return kIOReturnSuccess;
}

static const struct dx_service_ops driver_ops = {.register_service = register_driver};

IOUserAudioDriver *
IOUserAudioDriverAlloc(void)
{
    IOUserAudioDriver *const driver = dx_service_object_alloc(&driver_class, &driver_ops);
    if (!driver)
        return NULL;
    driver->link = dx_driver_link_create(driver);
    if (!driver->link) {
        OSObjectRelease(driver);
        return NULL;
    }
    return driver;
}

kern_return_t
IOUserAudioDriverSetOverrides(IOUserAudioDriver *driver, const IOUserAudioDriverOverrides *overrides)
{
    if (!OSObjectIsKindOf(driver, &driver_class) || !overrides)
        return kIOReturnBadArgument;
    if (check(driver))
        return kIOReturnBusy;
    return dx_overrides_copy(&driver->overrides, sizeof driver->overrides, overrides);
}

bool
IOUserAudioDriverInit_super(IOUserAudioDriver *driver)
{
    if (!OSObjectIsKindOf(driver, &driver_class))
        return false;
    /* release: pairs with the acquire in check(). */
    return !atomic_exchange_explicit(&driver->initialised, true, memory_order_release);
}

bool
IOUserAudioDriverInit(IOUserAudioDriver *driver)
{
    if (!OSObjectIsKindOf(driver, &driver_class))
        return false;
    if (!driver->overrides.init)
        return IOUserAudioDriverInit_super(driver);
    return driver->overrides.init(driver) && check(driver);
}

void
IOUserAudioDriverFree_super(IOUserAudioDriver *driver)
{
    if (!OSObjectIsKindOf(driver, &driver_class))
        return;
    if (driver->link)
        dx_driver_link_orphan(driver->link);
    dx_owned_finish(&driver->objects);
    dx_owned_finish(&driver->custom_properties);
    OSObjectRelease(driver->name);
    OSObjectRelease(driver->link);
    dx_service_object_free(driver);
}

static void
free_driver(OSObjectPtr object)
{
    IOUserAudioDriver *const driver = object;
    if (driver->overrides.free)
        driver->overrides.free(driver);
    else
        IOUserAudioDriverFree_super(driver);
}

kern_return_t
IOUserAudioDriverStart_super(IOUserAudioDriver *driver, IOService *provider)
{
    IOUserAudioDriver *const d = check(driver);
    if (!d || (provider && !OSObjectIsKindOf(provider, &dx_service_class)))
        return kIOReturnBadArgument;
    kern_return_t status = dx_service_note_start(&d->service, provider);
    if (status != kIOReturnSuccess)
        return status;
    /* relaxed: only Start, which is not called twice at a time, stores it. */
    if (atomic_load_explicit(&d->link->queue, memory_order_relaxed))
        return kIOReturnSuccess;

    IODispatchQueue *queue;
    status = IOServiceCreateDefaultDispatchQueue(d, &queue);
    if (status != kIOReturnSuccess) {
        (void)dx_service_note_stop(&d->service); // was started above
        return status;
    }
    /* release: pairs with the acquire in dx_driver_link_run(); the link has the reference now. */
    atomic_store_explicit(&d->link->queue, queue, memory_order_release);
    return kIOReturnSuccess;
}

kern_return_t
IOUserAudioDriverStart(IOUserAudioDriver *driver, IOService *provider)
{
    const IOUserAudioDriver *const d = check(driver);
    if (!d)
        return kIOReturnBadArgument;
    return d->overrides.Start ? d->overrides.Start(driver, provider)
                              : IOUserAudioDriverStart_super(driver, provider);
}

kern_return_t
IOUserAudioDriverStop_super(IOUserAudioDriver *driver, IOService *provider)
{
    (void)provider; // Start kept it
    IOUserAudioDriver *const d = check(driver);
    if (!d)
        return kIOReturnBadArgument;
    /* relaxed: a flag of its own. */
    atomic_store_explicit(&d->is_registered, false, memory_order_relaxed);
    return dx_service_note_stop(&d->service);
}

kern_return_t
IOUserAudioDriverStop(IOUserAudioDriver *driver, IOService *provider)
{
    const IOUserAudioDriver *const d = check(driver);
    if (!d)
        return kIOReturnBadArgument;
    return d->overrides.Stop ? d->overrides.Stop(driver, provider) : IOUserAudioDriverStop_super(driver, provider);
}

kern_return_t
IOUserAudioDriverNewUserClient_super(IOUserAudioDriver *driver, uint32_t type, IOUserClient **ret_client)
{
    IOUserAudioDriver *const d = check(driver);
    if (!d || !ret_client)
        return kIOReturnBadArgument;
    return type == kIOUserAudioDriverUserClientType ? dx_audio_user_client_create(&d->service, ret_client)
                                                    : kIOReturnUnsupported;
}

kern_return_t
IOUserAudioDriverNewUserClient(IOUserAudioDriver *driver, uint32_t type, IOUserClient **ret_client)
{
    const IOUserAudioDriver *const d = check(driver);
    if (!d || !ret_client)
        return kIOReturnBadArgument;
    return d->overrides.NewUserClient ? d->overrides.NewUserClient(driver, type, ret_client)
                                      : IOUserAudioDriverNewUserClient_super(driver, type, ret_client);
}

/* The host's side. */

kern_return_t
dx_driver_attach(IOUserAudioDriver *driver, dx_host *host, const OSDictionary *properties)
{
    IOUserAudioDriver *const d = check(driver);
    if (!d || !host)
        return kIOReturnBadArgument;
    kern_return_t status = dx_driver_link_attach(d->link, host);
    if (status != kIOReturnSuccess)
        return status;
    status = dx_service_set_properties(&d->service, properties);
    if (status != kIOReturnSuccess)
        dx_driver_link_detach(d->link);
    return status;
}

void
dx_driver_detach(IOUserAudioDriver *driver)
{
    const IOUserAudioDriver *const d = check(driver);
    if (d)
        dx_driver_link_detach(d->link);
}

bool
dx_driver_is_registered(IOUserAudioDriver *driver)
{
    const IOUserAudioDriver *const d = check(driver);
    /* relaxed: a flag of its own. */
    return d && atomic_load_explicit(&d->is_registered, memory_order_relaxed);
}

/* Copies the objects that are of one class and not of another. */
static uint32_t
copy_objects(IOUserAudioDriver *driver, const OSMetaClass *meta, const OSMetaClass *without, void *ret_pointers,
             uint32_t capacity)
{
    IOUserAudioDriver *const d = check(driver);
    if (!d)
        return 0;
    uint32_t count = 0;
    dx_mutex_lock(&d->service.lock);
    for (uint32_t i = 0; i < d->objects.count; i++) {
        const OSObjectPtr object = d->objects.items[i];
        if (!OSObjectIsKindOf(object, meta) || OSObjectIsKindOf(object, without))
            continue;
        if (count < capacity) {
            const struct dx_object_list one = {.items = &d->objects.items[i], .count = 1};
            dx_object_list_copy(&one, (char *)ret_pointers + count * sizeof object, 1);
        }
        count++;
    }
    dx_mutex_unlock(&d->service.lock);
    return count;
}

uint32_t
dx_driver_copy_devices(IOUserAudioDriver *driver, IOUserAudioDevice **ret_devices, uint32_t capacity)
{
    return copy_objects(driver, gIOUserAudioDeviceMetaClass, NULL, ret_devices, capacity);
}

uint32_t
dx_driver_copy_clock_devices(IOUserAudioDriver *driver, IOUserAudioClockDevice **ret_devices, uint32_t capacity)
{
    return copy_objects(driver, gIOUserAudioClockDeviceMetaClass, gIOUserAudioDeviceMetaClass, ret_devices,
                        capacity);
}

uint32_t
dx_driver_copy_boxes(IOUserAudioDriver *driver, IOUserAudioBox **ret_boxes, uint32_t capacity)
{
    return copy_objects(driver, gIOUserAudioBoxMetaClass, NULL, ret_boxes, capacity);
}

uint32_t
dx_driver_copy_custom_properties(IOUserAudioDriver *driver, IOUserAudioCustomProperty **ret_properties,
                                 uint32_t capacity)
{
    IOUserAudioDriver *const d = check(driver);
    if (!d)
        return 0;
    dx_mutex_lock(&d->service.lock);
    const uint32_t count = dx_object_list_copy(&d->custom_properties, ret_properties, capacity);
    dx_mutex_unlock(&d->service.lock);
    return count;
}

/* Identity and names. */

IOUserAudioClassID
IOUserAudioDriverGetClassID(IOUserAudioDriver *driver)
{
    return check(driver) ? (IOUserAudioClassID)IOUserAudioClassIDDriver : 0;
}

IOUserAudioClassID
IOUserAudioDriverGetBaseClassID(IOUserAudioDriver *driver)
{
    return check(driver) ? (IOUserAudioClassID)IOUserAudioClassIDObject : 0;
}

IODispatchQueue *
IOUserAudioDriverGetWorkQueue(IOUserAudioDriver *driver)
{
    const IOUserAudioDriver *const d = check(driver);
    /* acquire: pairs with the release in IOUserAudioDriverStart_super(). */
    return d ? OSObjectRetain(atomic_load_explicit(&d->link->queue, memory_order_acquire)) : NULL;
}

/* A setter's work on the queue; which of the arguments are used depends on the work. */
struct job {
    IOUserAudioDriver *driver;
    uint32_t value;
    OSObjectPtr object;
    kern_return_t status;
};

static kern_return_t
run(IOUserAudioDriver *driver, void (*work)(void *job), uint32_t value, OSObjectPtr object)
{
    struct job job = {.driver = driver, .value = value, .object = object, .status = kIOReturnSuccess};
    const kern_return_t status = dx_driver_link_run(driver->link, work, &job);
    return status == kIOReturnSuccess ? job.status : status;
}

static void
notify(IOUserAudioDriver *driver, IOUserAudioObjectPropertySelector selector)
{
    dx_driver_link_notify(driver->link, kIOUserAudioObjectIDDriver, &selector, 1);
}

static void
set_transport_type(void *argument)
{
    struct job *const job = argument;
    /* relaxed: a value of its own. */
    if (atomic_exchange_explicit(&job->driver->transport_type, job->value, memory_order_relaxed) != job->value)
        notify(job->driver, kIOUserAudioPropertyTransportType);
}

kern_return_t
IOUserAudioDriverSetTransportType(IOUserAudioDriver *driver, IOUserAudioTransportType transport_type)
{
    IOUserAudioDriver *const d = check(driver);
    if (!d || !dx_is_transport_type(transport_type))
        return kIOReturnBadArgument;
    return run(d, set_transport_type, transport_type, NULL);
}

IOUserAudioTransportType
IOUserAudioDriverGetTransportType(IOUserAudioDriver *driver)
{
    const IOUserAudioDriver *const d = check(driver);
    return d ? dx_object_get_u32(&d->transport_type) : (uint32_t)IOUserAudioTransportTypeUnknown;
}

static void
set_name(void *argument)
{
    struct job *const job = argument;
    IOUserAudioDriver *const driver = job->driver;
    dx_mutex_lock(&driver->service.lock);
    OSString *const old = driver->name;
    driver->name = OSObjectRetain(job->object);
    dx_mutex_unlock(&driver->service.lock);
    if (!OSObjectIsEqualTo(old, job->object))
        notify(driver, kIOUserAudioPropertyName);
    OSObjectRelease(old);
}

kern_return_t
IOUserAudioDriverSetName(IOUserAudioDriver *driver, OSString *name)
{
    IOUserAudioDriver *const d = check(driver);
    if (!d || !OSObjectIsKindOf(name, gOSStringMetaClass))
        return kIOReturnBadArgument;
    return run(d, set_name, 0, name);
}

OSString *
IOUserAudioDriverGetName(IOUserAudioDriver *driver)
{
    IOUserAudioDriver *const d = check(driver);
    if (!d)
        return NULL;
    dx_mutex_lock(&d->service.lock);
    OSString *const name = OSObjectRetain(d->name);
    dx_mutex_unlock(&d->service.lock);
    return name;
}

/* IO. */

/* A device or clock device that was added, +1, or NULL. */
static IOUserAudioClockDevice *
copy_device(IOUserAudioDriver *driver, IOUserAudioObjectID id)
{
    IOUserAudioClockDevice *device = NULL;
    dx_mutex_lock(&driver->service.lock);
    for (uint32_t i = 0; i < driver->objects.count && !device; i++) {
        const OSObjectPtr object = driver->objects.items[i];
        if (((const IOUserAudioObject *)object)->id == id &&
            OSObjectIsKindOf(object, gIOUserAudioClockDeviceMetaClass))
            device = OSObjectRetain(object);
    }
    dx_mutex_unlock(&driver->service.lock);
    return device;
}

kern_return_t
IOUserAudioDriverStartDevice_super(IOUserAudioDriver *driver, IOUserAudioObjectID device,
                                   IOUserAudioStartStopFlags flags)
{
    IOUserAudioDriver *const d = check(driver);
    if (!d)
        return kIOReturnBadArgument;
    IOUserAudioClockDevice *const object = copy_device(d, device);
    if (!object)
        return kIOReturnNoDevice;
    const kern_return_t status = IOUserAudioClockDeviceStartIO(object, flags);
    OSObjectRelease(object);
    return status;
}

kern_return_t
IOUserAudioDriverStartDevice(IOUserAudioDriver *driver, IOUserAudioObjectID device,
                             IOUserAudioStartStopFlags flags)
{
    const IOUserAudioDriver *const d = check(driver);
    if (!d)
        return kIOReturnBadArgument;
    return d->overrides.StartDevice ? d->overrides.StartDevice(driver, device, flags)
                                    : IOUserAudioDriverStartDevice_super(driver, device, flags);
}

kern_return_t
IOUserAudioDriverStopDevice_super(IOUserAudioDriver *driver, IOUserAudioObjectID device,
                                  IOUserAudioStartStopFlags flags)
{
    IOUserAudioDriver *const d = check(driver);
    if (!d)
        return kIOReturnBadArgument;
    IOUserAudioClockDevice *const object = copy_device(d, device);
    if (!object)
        return kIOReturnNoDevice;
    const kern_return_t status = IOUserAudioClockDeviceStopIO(object, flags);
    OSObjectRelease(object);
    return status;
}

kern_return_t
IOUserAudioDriverStopDevice(IOUserAudioDriver *driver, IOUserAudioObjectID device, IOUserAudioStartStopFlags flags)
{
    const IOUserAudioDriver *const d = check(driver);
    if (!d)
        return kIOReturnBadArgument;
    return d->overrides.StopDevice ? d->overrides.StopDevice(driver, device, flags)
                                   : IOUserAudioDriverStopDevice_super(driver, device, flags);
}

/* Objects. */

IOUserAudioObject *
IOUserAudioDriverGetAudioObjectForObjectID(IOUserAudioDriver *driver, IOUserAudioObjectID object_id)
{
    const IOUserAudioDriver *const d = check(driver);
    return d ? dx_driver_link_copy_object(d->link, object_id) : NULL;
}

static bool
is_top_level(IOUserAudioObjectPtr object)
{
    return dx_audio_object_is(object, gIOUserAudioClockDeviceMetaClass) ||
           dx_audio_object_is(object, gIOUserAudioBoxMetaClass);
}

static void
add_object(void *argument)
{
    struct job *const job = argument;
    IOUserAudioDriver *const driver = job->driver;
    job->status = dx_owned_add(driver->link, &driver->service.lock, &driver->objects, job->object,
                               kIOUserAudioObjectIDDriver, OBJECTS_AT_MOST);
}

kern_return_t
IOUserAudioDriverAddObject(IOUserAudioDriver *driver, IOUserAudioObjectPtr object)
{
    IOUserAudioDriver *const d = check(driver);
    if (!d || !is_top_level(object))
        return kIOReturnBadArgument;
    return run(d, add_object, 0, object);
}

static void
remove_object(void *argument)
{
    struct job *const job = argument;
    IOUserAudioDriver *const driver = job->driver;
    IOUserAudioObject *const object = job->object;
    /* Still the driver's while the host stops it: StopDevice must find it.  In one turn of the queue: who looks
     * at its devices in between would publish it again. */
    struct dx_host_call call;
    if (dx_driver_link_enter_host(driver->link, object->id, &call)) {
        dx_host_object_removed(call.host, driver, object);
        dx_driver_link_leave_host(driver->link, &call);
    }
    job->status = dx_owned_remove(&driver->service.lock, &driver->objects, object);
}

kern_return_t
IOUserAudioDriverRemoveObject(IOUserAudioDriver *driver, IOUserAudioObjectPtr object)
{
    IOUserAudioDriver *const d = check(driver);
    if (!d || !is_top_level(object))
        return kIOReturnBadArgument;

    IOUserAudioObject *const o = object;
    if (o->link != d->link || dx_object_get_u32(&o->owner_id) != kIOUserAudioObjectIDDriver)
        return kIOReturnNotFound;
    OSObjectRetain(o);
    const kern_return_t status = run(d, remove_object, 0, o);
    OSObjectRelease(o);
    return status;
}

kern_return_t
IOUserAudioDriverPropertiesChanged(IOUserAudioDriver *driver, IOUserAudioObjectID object_id,
                                   const IOUserAudioObjectPropertySelector *selectors, uint32_t count)
{
    const IOUserAudioDriver *const d = check(driver);
    if (!d || !selectors || count == 0 || count > SELECTORS_AT_MOST)
        return kIOReturnBadArgument;
    if (!dx_driver_link_owns(d->link, object_id))
        return kIOReturnNotFound;
    dx_driver_link_notify(d->link, object_id, selectors, count);
    return kIOReturnSuccess;
}

static void
add_custom_property(void *argument)
{
    struct job *const job = argument;
    IOUserAudioDriver *const driver = job->driver;
    job->status = dx_custom_property_add(driver->link, &driver->service.lock, &driver->custom_properties,
                                         kIOUserAudioObjectIDDriver, job->object);
}

kern_return_t
IOUserAudioDriverAddCustomProperty(IOUserAudioDriver *driver, IOUserAudioCustomProperty *property)
{
    IOUserAudioDriver *const d = check(driver);
    return d ? run(d, add_custom_property, 0, property) : kIOReturnBadArgument;
}

static void
remove_custom_property(void *argument)
{
    struct job *const job = argument;
    IOUserAudioDriver *const driver = job->driver;
    job->status = dx_custom_property_remove(driver->link, &driver->service.lock, &driver->custom_properties,
                                            kIOUserAudioObjectIDDriver, job->object);
}

kern_return_t
IOUserAudioDriverRemoveCustomProperty(IOUserAudioDriver *driver, IOUserAudioCustomProperty *property)
{
    IOUserAudioDriver *const d = check(driver);
    return d ? run(d, remove_custom_property, 0, property) : kIOReturnBadArgument;
}
