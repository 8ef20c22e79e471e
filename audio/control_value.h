// SPDX-License-Identifier: MIT
// Controls as the host sees them: one way to read, save and change the value of each kind.

#ifndef DX_AUDIO_CONTROL_VALUE_H
#define DX_AUDIO_CONTROL_VALUE_H

#include "audio/control.h"

#include <dextral/IOUserAudioSelectorControl.h>

/*
 * The value of a control as an object that serialises:
 *
 *     boolean     OSBoolean
 *     slider      OSNumber, 32 bits
 *     level       OSNumber, 32 bits: the bits of the float, in dB; or, for setting only, an OSDictionary
 *                 {"scalar": OSNumber with the bits of the float, 0 ... 1}
 *     selector    OSArray of OSNumber, 32 bits, in the order of selection
 *     stereo pan  OSNumber, 32 bits: the bits of the float, 0 ... 1
 */

/** What a control is, which is also how a saved value finds it again: class, scope and element. */
struct dx_control_identity {
    enum dx_control_kind kind;
    IOUserAudioClassID class_id;
    IOUserAudioObjectPropertyScope scope;
    IOUserAudioObjectPropertyElement element;
    bool is_settable;
};

/**
 * Tells what a control is.
 *
 * @return false, and nothing written, for what is no initialised control.
 *
 * Thread: any.  Real-time: yes, wait-free.
 */
bool dx_control_get_identity(IOUserAudioControlPtr control, struct dx_control_identity *ret_identity) DX_REALTIME;

/** Writes the key that a control has in every run, where its id may differ: "vlme/outp/0". */
void dx_control_write_key(const struct dx_control_identity *identity, char ret_key[DX_CONTROL_KEY_BYTES]);

/**
 * Changes a value on behalf of a client, or restores it: calls the control's HandleChange... on the work queue.
 *
 * @param value  in the form above; borrowed for the call.
 * @return what HandleChange... answered; kIOReturnBadArgument (no control, another form, a value out of range,
 *         not described or given twice); kIOReturnNotPermitted (not settable); kIOReturnNoSpace (more than
 *         DX_MAX_SELECTED_VALUES).
 *
 * Thread: control.  Real-time: no.
 */
kern_return_t dx_control_set_from_host(IOUserAudioControlPtr control, OSObjectPtr value);

/**
 * The value now, in the form above.
 *
 * @return +1; NULL for what is no control, and without memory.
 *
 * Thread: control.  Real-time: no.
 */
OSObjectPtr dx_control_copy_value(IOUserAudioControlPtr control);

/** The form for a level's dB and a position.  +1, or NULL without memory. */
OSNumber *dx_control_number_of_float(float value);

/** The form for a level's scalar.  +1, or NULL without memory. */
OSDictionary *dx_control_dictionary_of_scalar(float scalar);

/** The form for a selection of at most DX_MAX_SELECTED_VALUES.  +1, or NULL without memory. */
OSArray *dx_control_array_of_values(const IOUserAudioSelectorValue *values, size_t count);

/** The float whose bits a number holds; false for what is no number of 32 bits.  A NaN is a float too. */
bool dx_control_float_of_number(OSObjectPtr number, float *ret_value);

/** What the host checks of a selection before it calls the driver.  On the work queue. */
kern_return_t dx_selector_check_from_host(const IOUserAudioSelectorControl *control,
                                          const IOUserAudioSelectorValue *values, size_t count);

#endif /* DX_AUDIO_CONTROL_VALUE_H */
