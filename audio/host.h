// SPDX-License-Identifier: MIT
// What the objects of a driver tell the host that runs it.  The objects call these; the host answers.

#ifndef DX_AUDIO_HOST_H
#define DX_AUDIO_HOST_H

#include <dextral/IOUserAudioDriver.h>
#include <dextral/host.h>

/*
 * A driver has no host before dx_host_add_driver() and after its Stop: each call below is made only when
 * the driver has one, under no lock of the object layer.
 */

/** The driver called RegisterService: what it has added is visible from here on. */
void dx_host_driver_registered(dx_host *host, IOUserAudioDriver *driver);

/** Properties of an object changed.  'dev#' of the driver makes the host look again. */
void dx_host_properties_changed(dx_host *host, IOUserAudioDriver *driver, IOUserAudioObjectID object,
                                const IOUserAudioObjectPropertySelector *selectors, uint32_t count);

/** The driver removes a top-level object: IO on it has stopped and nothing refers to it when this returns. */
void dx_host_object_removed(dx_host *host, IOUserAudioDriver *driver, IOUserAudioObject *object);

/** Queues a configuration change of a device; `info` is retained until it was performed or aborted. */
kern_return_t dx_host_request_configuration_change(dx_host *host, IOUserAudioClockDevice *device,
                                                   uint64_t action, OSObjectPtr info);

/** Whether the protocol is performing a change of this device now, on this task: C setters are legal then. */
bool dx_host_is_performing(dx_host *host, IOUserAudioClockDevice *device);

/**
 * dx_host_start_driver() for hardware.
 *
 * @param provider  retained until it is stopped; NULL: none.
 */
kern_return_t dx_host_start_driver_for(dx_host *host, IOUserAudioDriver *driver, OSDictionary *properties,
                                       IOService *provider);

#endif /* DX_AUDIO_HOST_H */
