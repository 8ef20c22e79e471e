// SPDX-License-Identifier: MIT
// A control with a whole number in a range.

#ifndef DEXTRAL_IOUSERAUDIOSLIDERCONTROL_H
#define DEXTRAL_IOUSERAUDIOSLIDERCONTROL_H

#include <dextral/IOUserAudioControl.h>

DX_BEGIN_DECLS

/** A whole number in a range. */
typedef struct IOUserAudioSliderControl IOUserAudioSliderControl;

DX_API extern const OSMetaClass *const gIOUserAudioSliderControlMetaClass;

/**
 * Replaces virtual methods of one object; a NULL entry keeps the base behaviour, which an override reaches
 * as `..._super`.
 */
typedef struct IOUserAudioSliderControlOverrides {
    uint32_t size; ///< sizeof(IOUserAudioSliderControlOverrides)
    /** Sets the object up: calls `..._super`, then adds its own. */
    bool (*init)(IOUserAudioSliderControl *control, IOUserAudioDriver *driver, bool is_settable,
                 uint32_t control_value, IOUserAudioSliderRange range, IOUserAudioObjectPropertyElement element,
                 IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id);
    /** Releases what `init` took of an object that may be half-made; calls `..._super` last. */
    void (*free)(IOUserAudioSliderControl *control);
    /** A client changes the value. */
    kern_return_t (*HandleChangeControlValue)(IOUserAudioSliderControl *control, uint32_t value);
} IOUserAudioSliderControlOverrides;

/**
 * Makes a control: Alloc and Init in one.
 *
 * @param driver         borrowed; the object's id comes from it.
 * @param is_settable    whether a client may change the value.
 * @param control_value  the value at first; moved into the range.
 * @param range          bounds, both included.
 * @param element        channel it acts on, 1 ... n, or IOUserAudioObjectPropertyElementMain.
 * @param scope          side it acts on: one of IOUserAudioObjectPropertyScope...
 * @param class_id       what it is for: one of IOUserAudioClassIDSliderControl.
 * @return +1; NULL without memory, without a driver, for an unknown scope, for the class_id of another
 *         kind of control, or for a range whose m_min is over its m_max.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioSliderControl::Create.
 */
DX_API IOUserAudioSliderControl *
IOUserAudioSliderControlCreate(IOUserAudioDriver *driver, bool is_settable, uint32_t control_value,
                               IOUserAudioSliderRange range, IOUserAudioObjectPropertyElement element,
                               IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id);

/**
 * Allocates a control that is not yet initialised; its methods fail until Init.
 *
 * @return +1, or NULL without memory.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: OSTypeAlloc.
 */
DX_API IOUserAudioSliderControl *IOUserAudioSliderControlAlloc(void);

/**
 * Sets the overrides; allowed between Alloc and Init.
 *
 * @param overrides  copied; its first `size` bytes count, entries beyond them are NULL.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL, or a size of 0); kIOReturnBusy (initialised
 *         already).
 *
 * Thread: the one that made the object.  Real-time: no.
 */
DX_API kern_return_t IOUserAudioSliderControlSetOverrides(IOUserAudioSliderControl *control,
                                                          const IOUserAudioSliderControlOverrides *overrides);

/**
 * Initialises a control: virtual.  Arguments as in Create.
 *
 * @return false for what makes Create return NULL, and when it is initialised already; release the object
 *         then.
 *
 * Thread: the one that made the object.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioSliderControl::init.
 */
DX_API bool IOUserAudioSliderControlInit(IOUserAudioSliderControl *control, IOUserAudioDriver *driver,
                                         bool is_settable, uint32_t control_value, IOUserAudioSliderRange range,
                                         IOUserAudioObjectPropertyElement element,
                                         IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id);
/** The base behaviour of Init, for overrides. */
DX_API bool IOUserAudioSliderControlInit_super(IOUserAudioSliderControl *control, IOUserAudioDriver *driver,
                                               bool is_settable, uint32_t control_value,
                                               IOUserAudioSliderRange range,
                                               IOUserAudioObjectPropertyElement element,
                                               IOUserAudioObjectPropertyScope scope,
                                               IOUserAudioClassID class_id);
/** The base behaviour of free, for overrides: call it last, the object is gone after it. */
DX_API void IOUserAudioSliderControlFree_super(IOUserAudioSliderControl *control);

/**
 * Sets the value, and tells the host.
 *
 * Notifies of 'sdrv' when the value differs from before.
 *
 * @param value  moved into the range.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL or not initialised).
 *
 * Thread: any but an IO thread; runs on the work queue.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioSliderControl::SetControlValue.
 */
DX_API kern_return_t IOUserAudioSliderControlSetControlValue(IOUserAudioSliderControl *control, uint32_t value);

/**
 * The value now.
 *
 * @return within the range; 0 for NULL too.
 *
 * Thread: any.  Real-time: yes, wait-free.
 * Source: AudioDriverKit, IOUserAudioSliderControl::GetControlValue.
 */
DX_API uint32_t IOUserAudioSliderControlGetControlValue(IOUserAudioSliderControl *control) DX_REALTIME;

/**
 * Sets the range, and tells the host; a value outside is moved into it.
 *
 * Notifies of 'sdrr' when the range differs from before, and of 'sdrv' when the value was moved.
 *
 * @param range  bounds, both included.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL or not initialised, or m_min over m_max).
 *
 * Thread: any but an IO thread; runs on the work queue.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioSliderControl::SetRange.
 */
DX_API kern_return_t IOUserAudioSliderControlSetRange(IOUserAudioSliderControl *control,
                                                      IOUserAudioSliderRange range);

/**
 * The range now: both bounds of the same moment.
 *
 * @return zeroes for NULL.
 *
 * Thread: any.  Real-time: yes, wait-free.
 * Source: AudioDriverKit, IOUserAudioSliderControl::GetRange.
 */
DX_API IOUserAudioSliderRange IOUserAudioSliderControlGetRange(IOUserAudioSliderControl *control) DX_REALTIME;

/**
 * A client changes the value.
 *
 * Virtual.  The base stores the value as the setter does and returns what that returned; whether the control
 * is settable is checked by the host before.
 *
 * @param value  what the client asks for, within the range.
 * @return kIOReturnSuccess: the value is in force; anything else is told to the client.
 *
 * Thread: the work queue, by the host.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioSliderControl::HandleChangeControlValue.
 */
DX_API kern_return_t IOUserAudioSliderControlHandleChangeControlValue(IOUserAudioSliderControl *control,
                                                                      uint32_t value);
/** The base behaviour of HandleChangeControlValue, for overrides. */
DX_API kern_return_t IOUserAudioSliderControlHandleChangeControlValue_super(IOUserAudioSliderControl *control,
                                                                            uint32_t value);

DX_END_DECLS

#endif /* DEXTRAL_IOUSERAUDIOSLIDERCONTROL_H */
