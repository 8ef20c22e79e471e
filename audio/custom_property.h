// SPDX-License-Identifier: MIT
// Custom properties as the host sees them: values cross as copies.

#ifndef DX_AUDIO_CUSTOM_PROPERTY_H
#define DX_AUDIO_CUSTOM_PROPERTY_H

#include <dextral/IOUserAudioCustomProperty.h>

/** Where a property is found; zeroes for what is no initialised custom property.  Wait-free. */
IOUserAudioObjectPropertyAddress dx_custom_property_address(IOUserAudioCustomProperty *property) DX_REALTIME;

/** Whether clients may change it.  Wait-free. */
bool dx_custom_property_is_settable(IOUserAudioCustomProperty *property) DX_REALTIME;

/**
 * A copy of the value for a qualifier, as a client asks for it: calls the property's
 * GetCustomPropertyValueWithQualifier on the work queue.
 *
 * @param qualifier  borrowed; of the declared type, NULL where that is None.  The driver is given a copy.
 * @param ret_value  +1, nobody else has it; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no property, qualifier of another type); kIOReturnUnsupported
 *         (the property has no value: its type is None); kIOReturnInternalError (the driver gave a value of
 *         another type than it declared); kIOReturnNoMemory (also for a value that does not serialise); what
 *         the driver answered, kIOReturnNotFound from the base before a value was stored.
 *
 * Thread: control.  Real-time: no.
 */
kern_return_t dx_custom_property_copy_value(IOUserAudioCustomProperty *property, OSObjectPtr qualifier,
                                            OSObjectPtr *ret_value);

/**
 * Changes the value for a qualifier on behalf of a client: hands copies to the property's
 * HandleChangeCustomPropertyDataValueWithQualifier on the work queue, and after success notifies of the
 * selector at the owner.
 *
 * @param qualifier  borrowed; of the declared type, NULL where that is None.
 * @param data       borrowed; the same.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no property, or of another type); kIOReturnNotPermitted (not
 *         settable); kIOReturnNoMemory (also for a value that does not serialise); what the driver answered.
 *
 * Thread: control.  Real-time: no.
 */
kern_return_t dx_custom_property_set_value(IOUserAudioCustomProperty *property, OSObjectPtr qualifier,
                                           OSObjectPtr data);

#endif /* DX_AUDIO_CUSTOM_PROPERTY_H */
