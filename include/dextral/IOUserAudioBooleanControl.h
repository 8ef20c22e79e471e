// SPDX-License-Identifier: MIT
// A control that is on or off: a mute, phantom power, a jack.

#ifndef DEXTRAL_IOUSERAUDIOBOOLEANCONTROL_H
#define DEXTRAL_IOUSERAUDIOBOOLEANCONTROL_H

#include <dextral/IOUserAudioControl.h>

DX_BEGIN_DECLS

/** A switch. */
typedef struct IOUserAudioBooleanControl IOUserAudioBooleanControl;

DX_API extern const OSMetaClass *const gIOUserAudioBooleanControlMetaClass;

/**
 * Replaces virtual methods of one object; a NULL entry keeps the base behaviour, which an override reaches
 * as `..._super`.
 */
typedef struct IOUserAudioBooleanControlOverrides {
    uint32_t size; ///< sizeof(IOUserAudioBooleanControlOverrides)
    /** Sets the object up: calls `..._super`, then adds its own. */
    bool (*init)(IOUserAudioBooleanControl *control, IOUserAudioDriver *driver, bool is_settable,
                 bool control_value, IOUserAudioObjectPropertyElement element,
                 IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id);
    /** Releases what `init` took of an object that may be half-made; calls `..._super` last. */
    void (*free)(IOUserAudioBooleanControl *control);
    /** A client changes the value. */
    kern_return_t (*HandleChangeControlValue)(IOUserAudioBooleanControl *control, bool value);
} IOUserAudioBooleanControlOverrides;

/**
 * Makes a control: Alloc and Init in one.
 *
 * @param driver         borrowed; the object's id comes from it.
 * @param is_settable    whether a client may change the value.
 * @param control_value  the value at first.
 * @param element        channel it acts on, 1 ... n, or IOUserAudioObjectPropertyElementMain.
 * @param scope          side it acts on: one of IOUserAudioObjectPropertyScope...
 * @param class_id       what it is for: one of IOUserAudioClassIDBooleanControl, ...MuteControl,
 *                       ...SoloControl, ...JackControl, ...LFEMuteControl, ...PhantomPowerControl,
 *                       ...PhaseInvertControl, ...ClipLightControl, ...TalkbackControl or
 *                       ...ListenbackControl.
 * @return +1; NULL without memory, without a driver, for an unknown scope, for the class_id of another
 *         kind of control.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioBooleanControl::Create.
 */
DX_API IOUserAudioBooleanControl *IOUserAudioBooleanControlCreate(IOUserAudioDriver *driver, bool is_settable,
                                                                  bool control_value,
                                                                  IOUserAudioObjectPropertyElement element,
                                                                  IOUserAudioObjectPropertyScope scope,
                                                                  IOUserAudioClassID class_id);

/**
 * Allocates a control that is not yet initialised; its methods fail until Init.
 *
 * @return +1, or NULL without memory.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: OSTypeAlloc.
 */
DX_API IOUserAudioBooleanControl *IOUserAudioBooleanControlAlloc(void);

/**
 * Sets the overrides; allowed between Alloc and Init.
 *
 * @param overrides  copied; its first `size` bytes count, entries beyond them are NULL.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL, or a size of 0); kIOReturnBusy (initialised
 *         already).
 *
 * Thread: the one that made the object.  Real-time: no.
 */
DX_API kern_return_t IOUserAudioBooleanControlSetOverrides(IOUserAudioBooleanControl *control,
                                                           const IOUserAudioBooleanControlOverrides *overrides);

/**
 * Initialises a control: virtual.  Arguments as in Create.
 *
 * @return false for what makes Create return NULL, and when it is initialised already; release the object
 *         then.
 *
 * Thread: the one that made the object.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioBooleanControl::init.
 */
DX_API bool IOUserAudioBooleanControlInit(IOUserAudioBooleanControl *control, IOUserAudioDriver *driver,
                                          bool is_settable, bool control_value,
                                          IOUserAudioObjectPropertyElement element,
                                          IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id);
/** The base behaviour of Init, for overrides. */
DX_API bool IOUserAudioBooleanControlInit_super(IOUserAudioBooleanControl *control, IOUserAudioDriver *driver,
                                                bool is_settable, bool control_value,
                                                IOUserAudioObjectPropertyElement element,
                                                IOUserAudioObjectPropertyScope scope,
                                                IOUserAudioClassID class_id);
/** The base behaviour of free, for overrides: call it last, the object is gone after it. */
DX_API void IOUserAudioBooleanControlFree_super(IOUserAudioBooleanControl *control);

/**
 * Sets the value, and tells the host.
 *
 * Notifies of 'bcvl' when the value differs from before.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL or not initialised).
 *
 * Thread: any but an IO thread; runs on the work queue.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioBooleanControl::SetControlValue.
 */
DX_API kern_return_t IOUserAudioBooleanControlSetControlValue(IOUserAudioBooleanControl *control, bool value);

/**
 * The value now.
 *
 * @return false for NULL too.
 *
 * Thread: any.  Real-time: yes, wait-free.
 * Source: AudioDriverKit, IOUserAudioBooleanControl::GetControlValue.
 */
DX_API bool IOUserAudioBooleanControlGetControlValue(IOUserAudioBooleanControl *control) DX_REALTIME;

/**
 * A client changes the value.
 *
 * Virtual.  The base stores the value as the setter does and returns what that returned; whether the control
 * is settable is checked by the host before.
 *
 * @param value  what the client asks for.
 * @return kIOReturnSuccess: the value is in force; anything else is told to the client.
 *
 * Thread: the work queue, by the host.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioBooleanControl::HandleChangeControlValue.
 */
DX_API kern_return_t IOUserAudioBooleanControlHandleChangeControlValue(IOUserAudioBooleanControl *control,
                                                                       bool value);
/** The base behaviour of HandleChangeControlValue, for overrides. */
DX_API kern_return_t IOUserAudioBooleanControlHandleChangeControlValue_super(IOUserAudioBooleanControl *control,
                                                                             bool value);

DX_END_DECLS

#endif /* DEXTRAL_IOUSERAUDIOBOOLEANCONTROL_H */
