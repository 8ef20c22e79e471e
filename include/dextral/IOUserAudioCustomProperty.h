// SPDX-License-Identifier: MIT
// A property of the driver's own: a string or a dictionary that clients find by a selector.

#ifndef DEXTRAL_IOUSERAUDIOCUSTOMPROPERTY_H
#define DEXTRAL_IOUSERAUDIOCUSTOMPROPERTY_H

#include <dextral/IOUserAudioObject.h>

DX_BEGIN_DECLS

/*
 * A custom property is added to the object that it is a property of (IOUserAudioObjectAddCustomProperty()), or
 * to the driver.  It holds one value, and the qualifier that was given with it: the base behaviour gives
 * that value whatever qualifier is asked for.  A property with several values, one for each qualifier,
 * overrides GetCustomPropertyValueWithQualifier and HandleChangeCustomPropertyDataValueWithQualifier.
 *
 * Values cross to the host and back as copies: nobody outside sees a dictionary of the driver's change.
 */

DX_API extern const OSMetaClass *const gIOUserAudioCustomPropertyMetaClass;

/**
 * Replaces virtual methods of one object; a NULL entry keeps the base behaviour, which an override reaches
 * as `..._super`.
 */
typedef struct IOUserAudioCustomPropertyOverrides {
    uint32_t size; ///< sizeof(IOUserAudioCustomPropertyOverrides)
    /** Sets the object up: calls `..._super`, then adds its own. */
    bool (*init)(IOUserAudioCustomProperty *property, IOUserAudioDriver *driver,
                 IOUserAudioObjectPropertyAddress address, bool is_settable,
                 IOUserAudioCustomPropertyDataType qualifier_type, IOUserAudioCustomPropertyDataType data_type);
    /** Releases what `init` took of an object that may be half-made; calls `..._super` last. */
    void (*free)(IOUserAudioCustomProperty *property);
    /** The value for a qualifier, +1 in `ret_value`. */
    kern_return_t (*GetCustomPropertyValueWithQualifier)(IOUserAudioCustomProperty *property,
                                                         OSObjectPtr qualifier, OSObjectPtr *ret_value);
    /** A client changes the value of a qualifier. */
    kern_return_t (*HandleChangeCustomPropertyDataValueWithQualifier)(IOUserAudioCustomProperty *property,
                                                                      OSObjectPtr qualifier, OSObjectPtr data);
} IOUserAudioCustomPropertyOverrides;

/**
 * Makes a custom property: Alloc and Init in one.
 *
 * @param driver          borrowed; the object's id comes from it.
 * @param address         where clients find it; the selector is the driver's choice.
 * @param is_settable     whether a client may change the value.
 * @param qualifier_type  type of the qualifier, before that of the value: one of
 *                        IOUserAudioCustomPropertyDataType...; None: it takes none.
 * @param data_type       type of the value; None: it has none, and only tells that something happened.
 * @return +1; NULL without memory, without a driver, for a selector of 0, for an unknown scope or type.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioCustomProperty::Create.
 */
DX_API IOUserAudioCustomProperty *
IOUserAudioCustomPropertyCreate(IOUserAudioDriver *driver, IOUserAudioObjectPropertyAddress address,
                                bool is_settable, IOUserAudioCustomPropertyDataType qualifier_type,
                                IOUserAudioCustomPropertyDataType data_type);

/**
 * Allocates a custom property that is not yet initialised; its methods fail until Init.
 *
 * @return +1, or NULL without memory.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: OSTypeAlloc.
 */
DX_API IOUserAudioCustomProperty *IOUserAudioCustomPropertyAlloc(void);

/**
 * Sets the overrides; allowed between Alloc and Init.
 *
 * @param overrides  copied; its first `size` bytes count, entries beyond them are NULL.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL, or a size of 0); kIOReturnBusy (initialised already).
 *
 * Thread: the one that made the object.  Real-time: no.
 */
DX_API kern_return_t IOUserAudioCustomPropertySetOverrides(IOUserAudioCustomProperty *property,
                                                           const IOUserAudioCustomPropertyOverrides *overrides);

/**
 * Initialises a custom property: virtual.  Arguments as in Create.
 *
 * @return false for what makes Create return NULL, and when it is initialised already; release the object then.
 *
 * Thread: the one that made the object.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioCustomProperty::init.
 */
DX_API bool IOUserAudioCustomPropertyInit(IOUserAudioCustomProperty *property, IOUserAudioDriver *driver,
                                          IOUserAudioObjectPropertyAddress address, bool is_settable,
                                          IOUserAudioCustomPropertyDataType qualifier_type,
                                          IOUserAudioCustomPropertyDataType data_type);
/** The base behaviour of Init, for overrides. */
DX_API bool IOUserAudioCustomPropertyInit_super(IOUserAudioCustomProperty *property, IOUserAudioDriver *driver,
                                                IOUserAudioObjectPropertyAddress address, bool is_settable,
                                                IOUserAudioCustomPropertyDataType qualifier_type,
                                                IOUserAudioCustomPropertyDataType data_type);
/** The base behaviour of free, for overrides: call it last, the object is gone after it. */
DX_API void IOUserAudioCustomPropertyFree_super(IOUserAudioCustomProperty *property);

/**
 * Stores a qualifier and a value.  Does not tell the host: call IOUserAudioDriverPropertiesChanged() with the
 * owner's id and the selector.
 *
 * @param qualifier  retained; of the declared type, or NULL.
 * @param data       retained; of the declared type, or NULL: no value.  Do not change a dictionary that was
 *                   stored, except on the work queue.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL or not initialised, or another type than declared).
 *
 * Thread: any but an IO thread; runs on the work queue.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioCustomProperty::SetQualifierAndDataValue.
 */
DX_API kern_return_t IOUserAudioCustomPropertySetQualifierAndDataValue(IOUserAudioCustomProperty *property,
                                                                       OSObjectPtr qualifier, OSObjectPtr data);

/**
 * The value for a qualifier.
 *
 * Virtual.  The base ignores the qualifier and gives the value stored last.
 *
 * @param qualifier  of the declared type, or NULL.
 * @param ret_value  +1; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL or not initialised); kIOReturnNotFound (no value was
 *         stored).
 *
 * Thread: any but an IO thread; the host calls it on the work queue.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioCustomProperty::GetCustomPropertyValueWithQualifier.
 */
DX_API kern_return_t IOUserAudioCustomPropertyGetCustomPropertyValueWithQualifier(
    IOUserAudioCustomProperty *property, OSObjectPtr qualifier, OSObjectPtr *ret_value);
/** The base behaviour of GetCustomPropertyValueWithQualifier, for overrides. */
DX_API kern_return_t IOUserAudioCustomPropertyGetCustomPropertyValueWithQualifier_super(
    IOUserAudioCustomProperty *property, OSObjectPtr qualifier, OSObjectPtr *ret_value);

/**
 * A client changes the value for a qualifier.
 *
 * Virtual.  The base stores both without looking at them; the host has checked before that the property is
 * settable and that both are of the declared types, and tells its listeners after success.
 *
 * @param qualifier  a copy that is retained; NULL if the property takes none.
 * @param data       a copy that is retained; NULL if the property has no value.
 * @return kIOReturnSuccess: the value is in force; anything else is told to the client.
 *         kIOReturnBadArgument (NULL or not initialised).
 *
 * Thread: the work queue, by the host.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioCustomProperty::HandleChangeCustomPropertyDataValueWithQualifier.
 */
DX_API kern_return_t IOUserAudioCustomPropertyHandleChangeCustomPropertyDataValueWithQualifier(
    IOUserAudioCustomProperty *property, OSObjectPtr qualifier, OSObjectPtr data);
/** The base behaviour of HandleChangeCustomPropertyDataValueWithQualifier, for overrides. */
DX_API kern_return_t IOUserAudioCustomPropertyHandleChangeCustomPropertyDataValueWithQualifier_super(
    IOUserAudioCustomProperty *property, OSObjectPtr qualifier, OSObjectPtr data);

/**
 * Selector and types of the property.
 *
 * @return what was given to Create; zeroes for NULL and before Init.
 *
 * Thread: any.  Real-time: yes, wait-free.
 * Source: AudioDriverKit, IOUserAudioCustomProperty::GetCustomPropertyInfo.
 */
DX_API IOUserAudioCustomPropertyInfo
IOUserAudioCustomPropertyGetCustomPropertyInfo(IOUserAudioCustomProperty *property) DX_REALTIME;

DX_END_DECLS

#endif /* DEXTRAL_IOUSERAUDIOCUSTOMPROPERTY_H */
