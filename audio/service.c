// SPDX-License-Identifier: MIT
// Properties, provider, name and queue of a driver or user client.

#include "audio/service.h"

#include <dextral/IODispatchQueue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Providers of providers are followed this far. */
#define PROVIDERS_AT_MOST 16

struct dx_service_class {
    struct dx_service_class *next;
    dx_service_alloc alloc;
    IOServiceName name;
};

/* The one number that all services of a process share: they must not be given the same. */
static _Atomic uint32_t last_registry_id;

const OSMetaClass dx_service_class = {
    .name = "IOService",
    .super = &dx_object_class,
    .instance_bytes = sizeof(struct IOService),
    .free = dx_service_object_free,
};
const OSMetaClass *const gIOServiceMetaClass = &dx_service_class;

OSObjectPtr
dx_service_object_alloc(const OSMetaClass *meta, const struct dx_service_ops *ops)
{
    IOService *const service = dx_object_alloc(meta);
    if (!service)
        return NULL;
    dx_mutex_init(&service->lock, "service");
    service->ops = ops;
    /* relaxed: only that each gets another number matters. */
    const uint32_t n = 1 + atomic_fetch_add_explicit(&last_registry_id, 1, memory_order_relaxed);
    service->registry_id = UINT64_C(0x100000000) + n;
    return service;
}

void
dx_service_object_free(OSObjectPtr object)
{
    IOService *const service = object;
    for (struct dx_service_class *c = service->classes; c;) {
        struct dx_service_class *const next = c->next;
        free(c);
        c = next;
    }
    OSObjectRelease(service->properties);
    OSObjectRelease(service->provider);
    dx_object_free_super(service);
}

static IOService *
check(IOServicePtr service)
{
    return OSObjectIsKindOf(service, &dx_service_class) ? service : NULL;
}

kern_return_t
dx_service_set_properties(IOService *service, const OSDictionary *properties)
{
    OSDictionary *const copy = properties ? OSDictionaryCreateWithDictionary(properties) : OSDictionaryCreate(0);
    if (!copy)
        return kIOReturnNoMemory;
    dx_mutex_lock(&service->lock);
    OSDictionary *const old = service->properties;
    service->properties = copy;
    dx_mutex_unlock(&service->lock);
    OSObjectRelease(old);
    return kIOReturnSuccess;
}

kern_return_t
dx_service_note_start(IOService *service, IOService *provider)
{
    dx_mutex_lock(&service->lock);
    const bool busy = service->is_started;
    if (!busy) {
        service->is_started = true;
        service->provider = OSObjectRetain(provider);
    }
    dx_mutex_unlock(&service->lock);
    return busy ? kIOReturnBusy : kIOReturnSuccess;
}

kern_return_t
dx_service_note_stop(IOService *service)
{
    dx_mutex_lock(&service->lock);
    const bool was_started = service->is_started;
    IOService *const provider = service->provider;
    service->is_started = false;
    service->provider = NULL;
    dx_mutex_unlock(&service->lock);
    OSObjectRelease(provider);
    return was_started ? kIOReturnSuccess : kIOReturnNotReady;
}

kern_return_t
IOServiceRegisterService(IOServicePtr service)
{
    IOService *const s = check(service);
    if (!s)
        return kIOReturnBadArgument;
    return s->ops->register_service ? s->ops->register_service(s) : kIOReturnSuccess;
}

/* Copies a name of 1 to 127 bytes. */
static bool
copy_name(char (*dst)[128], const char *src)
{
    const size_t length = src ? strnlen(src, sizeof *dst) : 0;
    if (length == 0 || length == sizeof *dst)
        return false;
    memcpy(*dst, src, length + 1);
    return true;
}

kern_return_t
IOServiceSetName(IOServicePtr service, const char *name)
{
    IOService *const s = check(service);
    IOServiceName copy;
    if (!s || !copy_name(&copy, name))
        return kIOReturnBadArgument;
    dx_mutex_lock(&s->lock);
    memcpy(s->name, copy, sizeof s->name);
    dx_mutex_unlock(&s->lock);
    return kIOReturnSuccess;
}

OSString *
IOServiceCopyName(IOServicePtr service)
{
    IOService *const s = check(service);
    if (!s)
        return NULL;
    IOServiceName name;
    dx_mutex_lock(&s->lock);
    memcpy(name, s->name, sizeof name);
    dx_mutex_unlock(&s->lock);
    return OSStringCreate(name[0] ? name : s->base.isa->name);
}

kern_return_t
IOServiceGetRegistryEntryID(IOServicePtr service, uint64_t *ret_id)
{
    const IOService *const s = check(service);
    if (!s || !ret_id)
        return kIOReturnBadArgument;
    *ret_id = s->registry_id;
    return kIOReturnSuccess;
}

IOService *
IOServiceGetProvider(IOServicePtr service)
{
    IOService *const s = check(service);
    if (!s)
        return NULL;
    dx_mutex_lock(&s->lock);
    IOService *const provider = s->provider;
    dx_mutex_unlock(&s->lock);
    return provider;
}

/* The properties, +1, or NULL. */
static OSDictionary *
retain_properties(IOService *service)
{
    dx_mutex_lock(&service->lock);
    OSDictionary *const properties = OSObjectRetain(service->properties);
    dx_mutex_unlock(&service->lock);
    return properties;
}

kern_return_t
IOServiceCopyProperties(IOServicePtr service, OSDictionary **ret_properties)
{
    IOService *const s = check(service);
    if (!s || !ret_properties)
        return kIOReturnBadArgument;
    OSDictionary *const properties = retain_properties(s);
    OSDictionary *const copy = properties ? OSDictionaryCreateWithDictionary(properties) : OSDictionaryCreate(0);
    OSObjectRelease(properties);
    if (!copy)
        return kIOReturnNoMemory;
    *ret_properties = copy;
    return kIOReturnSuccess;
}

/* A property of this service alone, +1, or NULL. */
static OSObjectPtr
copy_property(IOService *service, const char *name)
{
    OSDictionary *const properties = retain_properties(service);
    const OSObjectPtr property = properties ? OSObjectRetain(OSDictionaryGetObject(properties, name)) : NULL;
    OSObjectRelease(properties);
    return property;
}

kern_return_t
IOServiceSearchProperty(IOServicePtr service, const char *name, const char *plane, uint64_t options,
                        OSObjectPtr *ret_property)
{
    (void)plane; // there is one
    IOService *s = check(service);
    if (!s || !name || !ret_property || (options & ~(uint64_t)kIOServiceSearchPropertyParents) != 0)
        return kIOReturnBadArgument;
    const unsigned levels = options & kIOServiceSearchPropertyParents ? PROVIDERS_AT_MOST : 1;
    OSObjectPtr property = NULL;
    OSObjectRetain(s);
    for (unsigned i = 0; s && !property && i < levels; i++) {
        property = copy_property(s, name);
        dx_mutex_lock(&s->lock);
        IOService *const provider = OSObjectRetain(s->provider);
        dx_mutex_unlock(&s->lock);
        OSObjectRelease(s);
        s = provider;
    }
    OSObjectRelease(s);
    if (!property)
        return kIOReturnNotFound;
    *ret_property = property;
    return kIOReturnSuccess;
}

kern_return_t
IOServiceCreateDefaultDispatchQueue(IOServicePtr service, IODispatchQueue **ret_queue)
{
    IOService *const s = check(service);
    if (!s || !ret_queue)
        return kIOReturnBadArgument;
    if (OSObjectCopyDispatchQueue(s, kIOServiceDefaultQueueName, ret_queue) == kIOReturnSuccess)
        return kIOReturnSuccess;

    IODispatchQueue *queue;
    kern_return_t status = IODispatchQueueCreate(s->base.isa->name, 0, 0, &queue);
    if (status != kIOReturnSuccess)
        return status;
    status = OSObjectSetDispatchQueue(s, kIOServiceDefaultQueueName, queue);
    if (status != kIOReturnSuccess) {
        OSObjectRelease(queue);
        return status;
    }
    *ret_queue = queue;
    return kIOReturnSuccess;
}

/* The class of a name, or NULL; under the lock. */
static struct dx_service_class *
find_class(const IOService *service, const char *name)
{
    struct dx_service_class *c = service->classes;
    while (c && strcmp(c->name, name) != 0)
        c = c->next;
    return c;
}

kern_return_t
dx_service_add_class(IOServicePtr service, const char *class_name, dx_service_alloc alloc)
{
    IOService *const s = check(service);
    IOServiceName name;
    if (!s || !alloc || !copy_name(&name, class_name))
        return kIOReturnBadArgument;
    struct dx_service_class *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return kIOReturnNoMemory;
    memcpy(fresh->name, name, sizeof fresh->name);

    dx_mutex_lock(&s->lock);
    struct dx_service_class *known = find_class(s, name);
    if (!known) {
        fresh->next = s->classes;
        s->classes = known = fresh;
        fresh = NULL;
    }
    known->alloc = alloc;
    dx_mutex_unlock(&s->lock);
    free(fresh);
    return kIOReturnSuccess;
}

/* Makes, initialises and starts a service of a class. */
static kern_return_t
make_service(IOService *provider, const char *class_name, const OSDictionary *properties, IOService **ret_service)
{
    dx_mutex_lock(&provider->lock);
    const struct dx_service_class *const known = find_class(provider, class_name);
    const dx_service_alloc alloc = known ? known->alloc : NULL;
    dx_mutex_unlock(&provider->lock);
    if (!alloc)
        return kIOReturnUnsupported;

    const OSObjectPtr object = alloc();
    if (!object)
        return kIOReturnNoMemory;
    IOService *const service = check(object);
    kern_return_t status;
    if (!service || !service->ops->init || !service->ops->start)
        status = kIOReturnUnsupported;
    else if ((status = dx_service_set_properties(service, properties)) != kIOReturnSuccess)
        ; // as it is
    else if (!service->ops->init(service))
        status = kIOReturnError;
    else
        status = service->ops->start(service, provider);

    if (status != kIOReturnSuccess)
        OSObjectRelease(object);
    else
        *ret_service = service;
    return status;
}

kern_return_t
IOServiceCreate(IOServicePtr provider, const char *properties_key, IOService **ret_service)
{
    IOService *const p = check(provider);
    if (!p || !properties_key || !ret_service)
        return kIOReturnBadArgument;
    const OSObjectPtr property = copy_property(p, properties_key);
    const OSDictionary *const properties = OSDynamicCast(OSDictionary, property);
    const char *const class_name = properties ? OSDictionaryGetStringValue(properties, "IOUserClass") : NULL;
    const kern_return_t status =
        class_name ? make_service(p, class_name, properties, ret_service) : kIOReturnNotFound;
    OSObjectRelease(property);
    return status;
}
