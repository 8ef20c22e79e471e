// SPDX-License-Identifier: MIT
// A control that chooses among named values: a data source, a clock source.

#ifndef DEXTRAL_IOUSERAUDIOSELECTORCONTROL_H
#define DEXTRAL_IOUSERAUDIOSELECTORCONTROL_H

#include <dextral/IOUserAudioControl.h>

DX_BEGIN_DECLS

/** A choice among named values; several may be selected at once. */
typedef struct IOUserAudioSelectorControl IOUserAudioSelectorControl;

DX_API extern const OSMetaClass *const gIOUserAudioSelectorControlMetaClass;

/**
 * Replaces virtual methods of one object; a NULL entry keeps the base behaviour, which an override reaches
 * as `..._super`.
 */
typedef struct IOUserAudioSelectorControlOverrides {
    uint32_t size; ///< sizeof(IOUserAudioSelectorControlOverrides)
    /** Sets the object up: calls `..._super`, then adds its own. */
    bool (*init)(IOUserAudioSelectorControl *control, IOUserAudioDriver *driver, bool is_settable,
                 IOUserAudioObjectPropertyElement element, IOUserAudioObjectPropertyScope scope,
                 IOUserAudioClassID class_id);
    /** Releases what `init` took of an object that may be half-made; calls `..._super` last. */
    void (*free)(IOUserAudioSelectorControl *control);
    /** A client selects values. */
    kern_return_t (*HandleChangeSelectedValues)(IOUserAudioSelectorControl *control,
                                                const IOUserAudioSelectorValue *values, size_t count);
} IOUserAudioSelectorControlOverrides;

/**
 * Makes a control: Alloc and Init in one.
 *
 * @param driver         borrowed; the object's id comes from it.
 * @param is_settable    whether a client may change the value.
 * @param element        channel it acts on, 1 ... n, or IOUserAudioObjectPropertyElementMain.
 * @param scope          side it acts on: one of IOUserAudioObjectPropertyScope...
 * @param class_id       what it is for: one of IOUserAudioClassIDSelectorControl, ...DataSourceControl,
 *                       ...DataDestinationControl, ...ClockSourceControl, ...LineLevelControl or
 *                       ...HighPassFilterControl.
 * @return +1; NULL without memory, without a driver, for an unknown scope, for the class_id of another
 *         kind of control.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioSelectorControl::Create.
 */
DX_API IOUserAudioSelectorControl *IOUserAudioSelectorControlCreate(IOUserAudioDriver *driver, bool is_settable,
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
DX_API IOUserAudioSelectorControl *IOUserAudioSelectorControlAlloc(void);

/**
 * Sets the overrides; allowed between Alloc and Init.
 *
 * @param overrides  copied; its first `size` bytes count, entries beyond them are NULL.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL, or a size of 0); kIOReturnBusy (initialised
 *         already).
 *
 * Thread: the one that made the object.  Real-time: no.
 */
DX_API kern_return_t IOUserAudioSelectorControlSetOverrides(
    IOUserAudioSelectorControl *control, const IOUserAudioSelectorControlOverrides *overrides);

/**
 * Initialises a control: virtual.  Arguments as in Create.
 *
 * @return false for what makes Create return NULL, and when it is initialised already; release the object
 *         then.
 *
 * Thread: the one that made the object.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioSelectorControl::init.
 */
DX_API bool IOUserAudioSelectorControlInit(IOUserAudioSelectorControl *control, IOUserAudioDriver *driver,
                                           bool is_settable, IOUserAudioObjectPropertyElement element,
                                           IOUserAudioObjectPropertyScope scope, IOUserAudioClassID class_id);
/** The base behaviour of Init, for overrides. */
DX_API bool IOUserAudioSelectorControlInit_super(IOUserAudioSelectorControl *control, IOUserAudioDriver *driver,
                                                 bool is_settable, IOUserAudioObjectPropertyElement element,
                                                 IOUserAudioObjectPropertyScope scope,
                                                 IOUserAudioClassID class_id);
/** The base behaviour of free, for overrides: call it last, the object is gone after it. */
DX_API void IOUserAudioSelectorControlFree_super(IOUserAudioSelectorControl *control);

/** Values that may be selected at once. */
#define DX_MAX_SELECTED_VALUES 64u
/** Values that a selector may choose from. */
#define DX_MAX_SELECTOR_ITEMS 1024u

/**
 * Selects values, and tells the host.
 *
 * Before the first description is added any value is taken, so that a driver may do both in either order.
 * Notifies of 'scci' when the values, in their order, differ from before.
 *
 * @param values  `count` values, each among the descriptions and none twice; NULL when `count` is 0.
 * @param count   0 ... DX_MAX_SELECTED_VALUES.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL or not initialised, a value that is not described,
 *         or one given twice); kIOReturnNoSpace (more than DX_MAX_SELECTED_VALUES).
 *
 * Thread: any but an IO thread; runs on the work queue.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioSelectorControl::SetCurrentSelectedValues.
 */
DX_API kern_return_t IOUserAudioSelectorControlSetCurrentSelectedValues(IOUserAudioSelectorControl *control,
                                                                        const IOUserAudioSelectorValue *values,
                                                                        size_t count);

/**
 * The values selected now: all of the same moment.
 *
 * @param ret_values  room for `capacity` values; in the order they were set.
 * @param capacity    DX_MAX_SELECTED_VALUES is always enough.
 * @return how many were written: at most `capacity`; 0 for NULL.
 *
 * A reader that is interrupted by dozens of changes during one copy gets the first of the values alone.
 *
 * Thread: any.  Real-time: yes, wait-free.
 * Source: AudioDriverKit, IOUserAudioSelectorControl::GetCurrentSelectedValues.
 */
DX_API size_t IOUserAudioSelectorControlGetCurrentSelectedValues(IOUserAudioSelectorControl *control,
                                                                 IOUserAudioSelectorValue *ret_values,
                                                                 size_t capacity) DX_REALTIME;

/**
 * Adds values to choose from, with their names, and tells the host.
 *
 * Notifies of 'scai'.
 *
 * @param descriptions  `count` values with names; the names are retained; NULL when `count` is 0.
 * @param count         0 does nothing.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL or not initialised, a name that is no string, or a
 *         value that is described already or given twice); kIOReturnNoSpace (more than
 *         DX_MAX_SELECTOR_ITEMS in all); kIOReturnNoMemory.  Nothing is added then.
 *
 * Thread: any but an IO thread; runs on the work queue.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioSelectorControl::AddControlValueDescriptions.
 */
DX_API kern_return_t IOUserAudioSelectorControlAddControlValueDescriptions(
    IOUserAudioSelectorControl *control, const IOUserAudioSelectorValueDescription *descriptions, size_t count);

/**
 * Takes values away from those to choose from, and tells the host.
 *
 * What is selected stays selected until it is set anew.  Notifies of 'scai'.
 *
 * @param descriptions  `count` values; their names do not matter; NULL when `count` is 0.
 * @param count         0 does nothing.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL or not initialised); kIOReturnNotFound (a value
 *         that is not described, or given twice).  Nothing is removed then.
 *
 * Thread: any but an IO thread; runs on the work queue.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioSelectorControl::RemoveControlValueDescriptions.
 */
DX_API kern_return_t IOUserAudioSelectorControlRemoveControlValueDescriptions(
    IOUserAudioSelectorControl *control, const IOUserAudioSelectorValueDescription *descriptions, size_t count);

/**
 * How many values there are to choose from.
 *
 * @return 0 ... DX_MAX_SELECTOR_ITEMS; 0 for NULL too.
 *
 * Thread: any.  Real-time: yes, wait-free.
 * Source: AudioDriverKit, IOUserAudioSelectorControl::GetControlValuesCount.
 */
DX_API size_t IOUserAudioSelectorControlGetControlValuesCount(IOUserAudioSelectorControl *control) DX_REALTIME;

/**
 * The values to choose from, with their names.
 *
 * @param ret_descriptions  room for `capacity` descriptions, in the order they were added; each name is
 *                          +1.
 * @param capacity          in descriptions.
 * @return how many were written: at most `capacity`; 0 for NULL.
 *
 * Thread: any but an IO thread.  Real-time: no, takes a lock.
 * Source: AudioDriverKit, IOUserAudioSelectorControl::GetControlValueDescriptions.
 */
DX_API size_t IOUserAudioSelectorControlGetControlValueDescriptions(
    IOUserAudioSelectorControl *control, IOUserAudioSelectorValueDescription *ret_descriptions,
    size_t capacity);

/**
 * A client selects values.
 *
 * Virtual.  The base stores the value as the setter does and returns what that returned; whether the control
 * is settable is checked by the host before.
 *
 * @param values  `count` values, each among the descriptions and none twice.
 * @param count   0 ... DX_MAX_SELECTED_VALUES.
 * @return kIOReturnSuccess: the value is in force; anything else is told to the client.
 *
 * Thread: the work queue, by the host.  Real-time: no.
 * Source: AudioDriverKit, IOUserAudioSelectorControl::HandleChangeSelectedValues.
 */
DX_API kern_return_t IOUserAudioSelectorControlHandleChangeSelectedValues(
    IOUserAudioSelectorControl *control, const IOUserAudioSelectorValue *values, size_t count);
/** The base behaviour of HandleChangeSelectedValues, for overrides. */
DX_API kern_return_t IOUserAudioSelectorControlHandleChangeSelectedValues_super(
    IOUserAudioSelectorControl *control, const IOUserAudioSelectorValue *values, size_t count);

DX_END_DECLS

#endif /* DEXTRAL_IOUSERAUDIOSELECTORCONTROL_H */
