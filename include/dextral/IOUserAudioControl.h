// SPDX-License-Identifier: MIT
// What all controls have in common: where they act, and whether a client may move them.

#ifndef DEXTRAL_IOUSERAUDIOCONTROL_H
#define DEXTRAL_IOUSERAUDIOCONTROL_H

#include <dextral/IOUserAudioObject.h>

DX_BEGIN_DECLS

/*
 * A control is a knob of a device that clients see: a switch, a slider, a level, a choice, a position.  The
 * host only stores and forwards its value; what it does to the sound is the driver's part.
 *
 * "Set..." is the driver's own change and tells the host.  "HandleChange..." is virtual, called by the host
 * on the driver's work queue when a client moved the knob; the base stores the value and returns
 * kIOReturnSuccess, so an override that returns something else without calling `..._super` leaves the
 * value as it was.  Values are read lock-free from any thread, the IO thread included.
 *
 * IOUserAudioControl is abstract: make one of the classes below it.
 */
typedef struct IOUserAudioControl IOUserAudioControl;

/** Any control: parameters of this type take each control class without a cast. */
typedef void *IOUserAudioControlPtr;

DX_API extern const OSMetaClass *const gIOUserAudioControlMetaClass;

/**
 * Whether a client may change the value.
 *
 * @param control  borrowed.
 * @return what was given to Create; false for NULL and for what is no control.
 *
 * Thread: any.  Real-time: yes, wait-free.
 * Source: AudioDriverKit, IOUserAudioControl::GetIsSettable.
 */
DX_API bool IOUserAudioControlGetIsSettable(IOUserAudioControlPtr control) DX_REALTIME;

/**
 * The channel the control acts on.
 *
 * @param control  borrowed.
 * @return 1 ... n, or IOUserAudioObjectPropertyElementMain: all of the scope; that too for what is no control.
 *
 * Thread: any.  Real-time: yes, wait-free.
 * Source: AudioDriverKit, IOUserAudioControl::GetControlElement.
 */
DX_API IOUserAudioObjectPropertyElement IOUserAudioControlGetControlElement(IOUserAudioControlPtr control)
    DX_REALTIME;

/**
 * The side of the device the control acts on.
 *
 * @param control  borrowed.
 * @return one of IOUserAudioObjectPropertyScope...; 0 for what is no control.
 *
 * Thread: any.  Real-time: yes, wait-free.
 * Source: AudioDriverKit, IOUserAudioControl::GetControlScope.
 */
DX_API IOUserAudioObjectPropertyScope IOUserAudioControlGetControlScope(IOUserAudioControlPtr control)
    DX_REALTIME;

DX_END_DECLS

#endif /* DEXTRAL_IOUSERAUDIOCONTROL_H */
