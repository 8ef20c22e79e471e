// SPDX-License-Identifier: MIT
// A control that places sound between two channels.

#ifndef DEXTRAL_IOUSERAUDIOSTEREOPANCONTROL_H
#define DEXTRAL_IOUSERAUDIOSTEREOPANCONTROL_H

#include <dextral/IOUserAudioControl.h>

DX_BEGIN_DECLS

/** A position between two channels. */
typedef struct IOUserAudioStereoPanControl IOUserAudioStereoPanControl;

DX_API extern const OSMetaClass *const gIOUserAudioStereoPanControlMetaClass;

/**
 * Replaces virtual methods of one object; a NULL entry keeps the base behaviour, which an override reaches
 * as `..._super`.
 */
typedef struct IOUserAudioStereoPanControlOverrides {
    uint32_t size; ///< sizeof(IOUserAudioStereoPanControlOverrides)
    /** Sets the object up: calls `..._super`, then adds its own. */
    bool (*init)(IOUserAudioStereoPanControl *control, IOUserAudioDriver *driver, bool is_settable,
                 float control_value, IOUserAudioObjectPropertyElement left_channel,
                 IOUserAudioObjectPropertyElement right_channel, IOUserAudioObjectPropertyElement element,
                 IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id);
    /** Releases what `init` took of an object that may be half-made; calls `..._super` last. */
    void (*free)(IOUserAudioStereoPanControl *control);
    /** A client changes the position. */
    kern_return_t (*HandleChangeControlValue)(IOUserAudioStereoPanControl *control, float value);
} IOUserAudioStereoPanControlOverrides;

/**
 * Makes a control: Alloc and Init in one.
 *
 * @param driver         borrowed; the object's id comes from it.
 * @param is_settable    whether a client may change the value.
 * @param control_value  the position at first: 0 left ... 0.5 middle ... 1 right; moved into that.
 * @param left_channel   element that 0 stands for, from 1.
 * @param right_channel  element that 1 stands for, from 1.
 * @param element        channel it acts on, 1 ... n, or IOUserAudioObjectPropertyElementMain.
 * @param scope          side it acts on: one of IOUserAudioObjectPropertyScope...
 * @param class_id       what it is for: one of IOUserAudioClassIDStereoPanControl.
 * @return +1; NULL without memory, without a driver, for an unknown scope, for the class_id of another
 *         kind of control, or for a NaN.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioStereoPanControl::Create.
 */
DX_API IOUserAudioStereoPanControl *
IOUserAudioStereoPanControlCreate(IOUserAudioDriver *driver, bool is_settable, float control_value,
                                  IOUserAudioObjectPropertyElement left_channel,
                                  IOUserAudioObjectPropertyElement right_channel,
                                  IOUserAudioObjectPropertyElement element,
                                  IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id);

/**
 * Allocates a control that is not yet initialised; its methods fail until Init.
 *
 * @return +1, or NULL without memory.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: OSTypeAlloc.
 */
DX_API IOUserAudioStereoPanControl *IOUserAudioStereoPanControlAlloc(void);

/**
 * Sets the overrides; allowed between Alloc and Init.
 *
 * @param overrides  copied; its first `size` bytes count, entries beyond them are NULL.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL, or a size of 0); kIOReturnBusy (initialised
 *         already).
 *
 * Thread: the one that made the object.  Real-time: no.
 */
DX_API kern_return_t IOUserAudioStereoPanControlSetOverrides(
    IOUserAudioStereoPanControl *control, const IOUserAudioStereoPanControlOverrides *overrides);

/**
 * Initialises a control: virtual.  Arguments as in Create.
 *
 * @return false for what makes Create return NULL, and when it is initialised already; release the object
 *         then.
 *
 * Thread: the one that made the object.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioStereoPanControl::init.
 */
DX_API bool IOUserAudioStereoPanControlInit(IOUserAudioStereoPanControl *control, IOUserAudioDriver *driver,
                                            bool is_settable, float control_value,
                                            IOUserAudioObjectPropertyElement left_channel,
                                            IOUserAudioObjectPropertyElement right_channel,
                                            IOUserAudioObjectPropertyElement element,
                                            IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id);
/** The base behaviour of Init, for overrides. */
DX_API bool IOUserAudioStereoPanControlInit_super(
    IOUserAudioStereoPanControl *control, IOUserAudioDriver *driver, bool is_settable, float control_value,
    IOUserAudioObjectPropertyElement left_channel, IOUserAudioObjectPropertyElement right_channel,
    IOUserAudioObjectPropertyElement element, IOUserAudioObjectPropertyScope scope,
    IOUserAudioClassID class_id);
/** The base behaviour of free, for overrides: call it last, the object is gone after it. */
DX_API void IOUserAudioStereoPanControlFree_super(IOUserAudioStereoPanControl *control);

/**
 * Sets the position, and tells the host.
 *
 * Notifies of 'spcv' when the position differs from before.
 *
 * @param value  0 left ... 1 right; moved into that.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL or not initialised, or a NaN).
 *
 * Thread: any but an IO thread; runs on the work queue.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioStereoPanControl::SetControlValue.
 */
DX_API kern_return_t IOUserAudioStereoPanControlSetControlValue(IOUserAudioStereoPanControl *control,
                                                                float value);

/**
 * The position now.
 *
 * @return 0 left ... 1 right; 0 for NULL too.
 *
 * Thread: any.  Real-time: yes, wait-free.
 * Source: AudioDriverKit, IOUserAudioStereoPanControl::GetControlValue.
 */
DX_API float IOUserAudioStereoPanControlGetControlValue(IOUserAudioStereoPanControl *control) DX_REALTIME;

/**
 * Sets the two channels, and tells the host.
 *
 * Notifies of 'spcc' when one of them differs from before.
 *
 * @param left_channel   element that 0 stands for, from 1.
 * @param right_channel  element that 1 stands for, from 1.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL or not initialised).
 *
 * Thread: any but an IO thread; runs on the work queue.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioStereoPanControl::SetPanningChannels.
 */
DX_API kern_return_t IOUserAudioStereoPanControlSetPanningChannels(
    IOUserAudioStereoPanControl *control, IOUserAudioObjectPropertyElement left_channel,
    IOUserAudioObjectPropertyElement right_channel);

/**
 * The two channels now, both of the same moment.
 *
 * @param ret_left   element that 0 stands for; may be NULL; not written for a NULL control.
 * @param ret_right  element that 1 stands for; the same.
 *
 * Thread: any.  Real-time: yes, wait-free.
 * Source: AudioDriverKit, IOUserAudioStereoPanControl::GetPanningChannels.
 */
DX_API void
IOUserAudioStereoPanControlGetPanningChannels(IOUserAudioStereoPanControl *control,
                                              IOUserAudioObjectPropertyElement *ret_left,
                                              IOUserAudioObjectPropertyElement *ret_right) DX_REALTIME;

/**
 * A client changes the position.
 *
 * Virtual.  The base stores the value as the setter does and returns what that returned; whether the control
 * is settable is checked by the host before.
 *
 * @param value  what the client asks for, 0 ... 1.
 * @return kIOReturnSuccess: the value is in force; anything else is told to the client.
 *
 * Thread: the work queue, by the host.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioStereoPanControl::HandleChangeControlValue.
 */
DX_API kern_return_t IOUserAudioStereoPanControlHandleChangeControlValue(IOUserAudioStereoPanControl *control,
                                                                         float value);
/** The base behaviour of HandleChangeControlValue, for overrides. */
DX_API kern_return_t
IOUserAudioStereoPanControlHandleChangeControlValue_super(IOUserAudioStereoPanControl *control, float value);

DX_END_DECLS

#endif /* DEXTRAL_IOUSERAUDIOSTEREOPANCONTROL_H */
