// SPDX-License-Identifier: MIT
// The inside of IOUserAudioDriver: what its host needs.

#ifndef DX_AUDIO_DRIVER_H
#define DX_AUDIO_DRIVER_H

#include "audio/driver_link.h"
#include "audio/object_list.h"
#include "audio/service.h"

#include <dextral/IOUserAudioBox.h>
#include <dextral/IOUserAudioDevice.h>
#include <dextral/IOUserAudioDriver.h>

struct IOUserAudioDriver {
    struct IOService service; // its lock guards the lists and the name
    struct dx_driver_link *link;
    IOUserAudioDriverOverrides overrides; // fixed from init on
    _Atomic bool initialised;
    _Atomic bool is_registered;
    _Atomic uint32_t transport_type;
    OSString *name;
    struct dx_object_list objects; // devices, clock devices and boxes
    struct dx_object_list custom_properties;
};

/**
 * Gives the driver its host and properties: after IOUserAudioDriverInit(), before IOUserAudioDriverStart().
 *
 * @param properties  the personality; copied; may be NULL.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnBusy (it has a host); kIOReturnNoMemory.
 */
kern_return_t dx_driver_attach(IOUserAudioDriver *driver, dx_host *host, const OSDictionary *properties);

/**
 * Takes the host away: when this returns, no call of the driver or its objects to the host is under way, and
 * none will come.
 *
 * Waits for such calls: not to be called from inside one, nor holding what one may wait for.
 */
void dx_driver_detach(IOUserAudioDriver *driver);

/** Whether IOServiceRegisterService() was called since the last Start. */
bool dx_driver_is_registered(IOUserAudioDriver *driver);

/* What was added, in order, +1 each.  @return how many there are; no more than `capacity` are written. */
uint32_t dx_driver_copy_devices(IOUserAudioDriver *driver, IOUserAudioDevice **ret_devices, uint32_t capacity);
uint32_t dx_driver_copy_clock_devices(IOUserAudioDriver *driver, IOUserAudioClockDevice **ret_devices,
                                      uint32_t capacity);
uint32_t dx_driver_copy_boxes(IOUserAudioDriver *driver, IOUserAudioBox **ret_boxes, uint32_t capacity);
uint32_t dx_driver_copy_custom_properties(IOUserAudioDriver *driver, IOUserAudioCustomProperty **ret_properties,
                                          uint32_t capacity);

#endif /* DX_AUDIO_DRIVER_H */
