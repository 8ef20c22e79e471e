// SPDX-License-Identifier: MIT
// The inside of IOService.

#ifndef DX_AUDIO_SERVICE_H
#define DX_AUDIO_SERVICE_H

#include "core/object.h"
#include "core/sync.h"

#include <dextral/IOService.h>

struct dx_service_class;

/* What the kinds of service do differently. */
struct dx_service_ops {
    /* NULL: not something that IOServiceCreate() makes. */
    bool (*init)(IOService *service);
    kern_return_t (*start)(IOService *service, IOService *provider);
    /* NULL: nobody needs to know. */
    kern_return_t (*register_service)(IOService *service);
};

struct IOService {
    struct OSObject base;
    const struct dx_service_ops *ops; // fixed
    uint64_t registry_id;             // fixed

    struct dx_mutex lock; // guards what follows, and whatever a subclass puts under it
    IOServiceName name;
    OSDictionary *properties; // retained, never changed once it is here
    IOService *provider;      // retained
    bool is_started;
    struct dx_service_class *classes;
};

/** IOService itself: the `super` of the classes right below it. */
extern const OSMetaClass dx_service_class;

OSObjectPtr dx_service_object_alloc(const OSMetaClass *meta, const struct dx_service_ops *ops);
void dx_service_object_free(OSObjectPtr object);

/** A copy becomes the properties; NULL: none.  kIOReturnNoMemory. */
kern_return_t dx_service_set_properties(IOService *service, const OSDictionary *properties);

/** From "not started" to "started" with a provider, and back.  kIOReturnBusy; kIOReturnNotReady. */
kern_return_t dx_service_note_start(IOService *service, IOService *provider);
kern_return_t dx_service_note_stop(IOService *service);

#endif /* DX_AUDIO_SERVICE_H */
