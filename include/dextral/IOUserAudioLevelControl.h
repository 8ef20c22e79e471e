// SPDX-License-Identifier: MIT
// A control with a level in decibels: a volume.

#ifndef DEXTRAL_IOUSERAUDIOLEVELCONTROL_H
#define DEXTRAL_IOUSERAUDIOLEVELCONTROL_H

#include <dextral/IOUserAudioControl.h>

DX_BEGIN_DECLS

/** A level in decibels, also seen as a scalar from 0 to 1 over its range. */
typedef struct IOUserAudioLevelControl IOUserAudioLevelControl;

DX_API extern const OSMetaClass *const gIOUserAudioLevelControlMetaClass;

/**
 * Replaces virtual methods of one object; a NULL entry keeps the base behaviour, which an override reaches
 * as `..._super`.
 */
typedef struct IOUserAudioLevelControlOverrides {
    uint32_t size; ///< sizeof(IOUserAudioLevelControlOverrides)
    /** Sets the object up: calls `..._super`, then adds its own. */
    bool (*init)(IOUserAudioLevelControl *control, IOUserAudioDriver *driver, bool is_settable,
                 float decibel_value, IOUserAudioLevelControlRange range,
                 IOUserAudioObjectPropertyElement element, IOUserAudioObjectPropertyScope scope,
                 IOUserAudioClassID class_id);
    /** Releases what `init` took of an object that may be half-made; calls `..._super` last. */
    void (*free)(IOUserAudioLevelControl *control);
    /** A client changes the level in decibels. */
    kern_return_t (*HandleChangeDecibelValue)(IOUserAudioLevelControl *control, float decibels);
    /** A client changes the level as a part of its range. */
    kern_return_t (*HandleChangeScalarValue)(IOUserAudioLevelControl *control, float scalar);
} IOUserAudioLevelControlOverrides;

/**
 * Makes a control: Alloc and Init in one.
 *
 * @param driver         borrowed; the object's id comes from it.
 * @param is_settable    whether a client may change the value.
 * @param decibel_value  the level at first, in dB; moved into the range.
 * @param range          bounds in dB, both included.
 * @param element        channel it acts on, 1 ... n, or IOUserAudioObjectPropertyElementMain.
 * @param scope          side it acts on: one of IOUserAudioObjectPropertyScope...
 * @param class_id       what it is for: one of IOUserAudioClassIDLevelControl, ...VolumeControl or
 *                       ...LFEVolumeControl.
 * @return +1; NULL without memory, without a driver, for an unknown scope, for the class_id of another
 *         kind of control, for a NaN, or for a range that is not finite or whose m_min is over its m_max.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioLevelControl::Create.
 */
DX_API IOUserAudioLevelControl *
IOUserAudioLevelControlCreate(IOUserAudioDriver *driver, bool is_settable, float decibel_value,
                              IOUserAudioLevelControlRange range, IOUserAudioObjectPropertyElement element,
                              IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id);

/**
 * Allocates a control that is not yet initialised; its methods fail until Init.
 *
 * @return +1, or NULL without memory.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: OSTypeAlloc.
 */
DX_API IOUserAudioLevelControl *IOUserAudioLevelControlAlloc(void);

/**
 * Sets the overrides; allowed between Alloc and Init.
 *
 * @param overrides  copied; its first `size` bytes count, entries beyond them are NULL.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL, or a size of 0); kIOReturnBusy (initialised
 *         already).
 *
 * Thread: the one that made the object.  Real-time: no.
 */
DX_API kern_return_t IOUserAudioLevelControlSetOverrides(IOUserAudioLevelControl *control,
                                                         const IOUserAudioLevelControlOverrides *overrides);

/**
 * Initialises a control: virtual.  Arguments as in Create.
 *
 * @return false for what makes Create return NULL, and when it is initialised already; release the object
 *         then.
 *
 * Thread: the one that made the object.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioLevelControl::init.
 */
DX_API bool IOUserAudioLevelControlInit(IOUserAudioLevelControl *control, IOUserAudioDriver *driver,
                                        bool is_settable, float decibel_value,
                                        IOUserAudioLevelControlRange range,
                                        IOUserAudioObjectPropertyElement element,
                                        IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id);
/** The base behaviour of Init, for overrides. */
DX_API bool IOUserAudioLevelControlInit_super(IOUserAudioLevelControl *control, IOUserAudioDriver *driver,
                                              bool is_settable, float decibel_value,
                                              IOUserAudioLevelControlRange range,
                                              IOUserAudioObjectPropertyElement element,
                                              IOUserAudioObjectPropertyScope scope,
                                              IOUserAudioClassID class_id);
/** The base behaviour of free, for overrides: call it last, the object is gone after it. */
DX_API void IOUserAudioLevelControlFree_super(IOUserAudioLevelControl *control);

/**
 * Sets the level in decibels, and tells the host.
 *
 * Notifies of 'lcdv' and 'lcsv' when the level differs from before.
 *
 * @param decibels  moved into the range.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL or not initialised, or a NaN).
 *
 * Thread: any but an IO thread; runs on the work queue.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioLevelControl::SetDecibelValue.
 */
DX_API kern_return_t IOUserAudioLevelControlSetDecibelValue(IOUserAudioLevelControl *control, float decibels);

/**
 * The level now, in decibels.
 *
 * @return within the range; 0 for NULL too.
 *
 * Thread: any.  Real-time: yes, wait-free.
 * Source: AudioDriverKit, IOUserAudioLevelControl::GetDecibelValue.
 */
DX_API float IOUserAudioLevelControlGetDecibelValue(IOUserAudioLevelControl *control) DX_REALTIME;

/**
 * Sets the level as a part of its range, and tells the host.
 *
 * The control keeps decibels: the scalar is mapped to m_min + scalar * (m_max - m_min) and rounded to a
 * float, so that the scalar read back may differ in its last bits.  Notifies as SetDecibelValue does.
 *
 * @param scalar  0: m_min ... 1: m_max; moved into 0 ... 1.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL or not initialised, or a NaN).
 *
 * Thread: any but an IO thread; runs on the work queue.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioLevelControl::SetScalarValue.
 * Differs: Apple does not say what its curve is; here it is linear in decibels.
 */
DX_API kern_return_t IOUserAudioLevelControlSetScalarValue(IOUserAudioLevelControl *control, float scalar);

/**
 * The level now, as a part of its range: linear in decibels.
 *
 * @return 0 ... 1; 0 where m_min equals m_max, and for NULL.
 *
 * Thread: any.  Real-time: yes, wait-free.
 * Source: AudioDriverKit, IOUserAudioLevelControl::GetScalarValue.
 */
DX_API float IOUserAudioLevelControlGetScalarValue(IOUserAudioLevelControl *control) DX_REALTIME;

/**
 * Sets the range in decibels, and tells the host; a level outside is moved into it.
 *
 * Notifies of 'lcdr' when the range differs from before, of 'lcdv' and 'lcsv' when the level was moved,
 * and of 'lcsv' alone when only the scalar is another one.
 *
 * @param range  bounds in dB, both included.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL or not initialised, not finite, or m_min over
 *         m_max).
 *
 * Thread: any but an IO thread; runs on the work queue.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioLevelControl::SetRange.
 */
DX_API kern_return_t IOUserAudioLevelControlSetRange(IOUserAudioLevelControl *control,
                                                     IOUserAudioLevelControlRange range);

/**
 * The range now, in decibels: both bounds of the same moment.
 *
 * @return zeroes for NULL.
 *
 * Thread: any.  Real-time: yes, wait-free.
 * Source: AudioDriverKit, IOUserAudioLevelControl::GetRange.
 */
DX_API IOUserAudioLevelControlRange IOUserAudioLevelControlGetRange(IOUserAudioLevelControl *control)
    DX_REALTIME;

/**
 * A client changes the level in decibels.
 *
 * Virtual.  The base stores the value as the setter does and returns what that returned; whether the control
 * is settable is checked by the host before.
 *
 * @param decibels  what the client asks for, within the range.
 * @return kIOReturnSuccess: the value is in force; anything else is told to the client.
 *
 * Thread: the work queue, by the host.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioLevelControl::HandleChangeDecibelValue.
 */
DX_API kern_return_t IOUserAudioLevelControlHandleChangeDecibelValue(IOUserAudioLevelControl *control,
                                                                     float decibels);
/** The base behaviour of HandleChangeDecibelValue, for overrides. */
DX_API kern_return_t IOUserAudioLevelControlHandleChangeDecibelValue_super(IOUserAudioLevelControl *control,
                                                                           float decibels);

/**
 * A client changes the level as a part of its range.
 *
 * Virtual.  The base stores the value as the setter does and returns what that returned; whether the control
 * is settable is checked by the host before.
 *
 * @param scalar  what the client asks for, 0 ... 1.
 * @return kIOReturnSuccess: the value is in force; anything else is told to the client.
 *
 * Thread: the work queue, by the host.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioLevelControl::HandleChangeScalarValue.
 */
DX_API kern_return_t IOUserAudioLevelControlHandleChangeScalarValue(IOUserAudioLevelControl *control,
                                                                    float scalar);
/** The base behaviour of HandleChangeScalarValue, for overrides. */
DX_API kern_return_t IOUserAudioLevelControlHandleChangeScalarValue_super(IOUserAudioLevelControl *control,
                                                                          float scalar);

DX_END_DECLS

#endif /* DEXTRAL_IOUSERAUDIOLEVELCONTROL_H */
