// SPDX-License-Identifier: MIT
// Controls and custom properties of a device, as a program with a host inside sees and changes them.

#ifndef DEXTRAL_HOST_CONTROLS_H
#define DEXTRAL_HOST_CONTROLS_H

#include <dextral/IOUserAudioSelectorControl.h>
#include <dextral/host.h>

DX_BEGIN_DECLS

/*
 * A control is found by its key, "class/scope/element": "vlme/inpt/0" is the volume of the whole input.  The key is
 * the same in every run, as the object id need not be; it is also how a saved value finds its control again.  Of
 * several controls with one key the first counts.
 *
 * A set calls the control's HandleChange... on the driver's queue and returns when the driver has answered.  The
 * change is done when DX_EVENT_PROPERTIES_CHANGED tells of the control: a driver that has to ask its hardware first
 * may answer before.  Of a change that was done at once, the listener is told before dx_host_settle() returns.
 *
 * What the driver answers is handed on as it is, and may be any of the other errors as well.
 */

/** What kind of value a control has. */
typedef enum dx_control_kind {
    DX_CONTROL_BOOLEAN,    ///< on or off
    DX_CONTROL_SLIDER,     ///< a whole number in a range
    DX_CONTROL_LEVEL,      ///< decibels in a range
    DX_CONTROL_SELECTOR,   ///< one or several of a list of items
    DX_CONTROL_STEREO_PAN, ///< a position between two channels
} dx_control_kind;

#define DX_CONTROL_KEY_BYTES 24u   ///< the longest key fits, with its NUL
#define DX_CONTROL_NAME_BYTES 128u ///< of a name as it is told; a longer one is cut

/** A control as it is now. */
typedef struct dx_control_info {
    uint32_t size;                            ///< sizeof(dx_control_info), set by the caller
    dx_control_kind kind;                     ///< which of the values below count; the others are 0
    IOUserAudioObjectID object;               ///< its id, as events tell it; changes with the driver
    IOUserAudioClassID class_id;              ///< what it is for: IOUserAudioClassID...
    IOUserAudioObjectPropertyScope scope;     ///< the side of the device it acts on
    IOUserAudioObjectPropertyElement element; ///< the channel it acts on, from 1; 0: all
    bool is_settable;                         ///< whether the functions below may change it
    char key[DX_CONTROL_KEY_BYTES];           ///< "class/scope/element"
    char name[DX_CONTROL_NAME_BYTES];         ///< for people; empty where the driver gave none
    bool is_on;                               ///< boolean
    uint32_t number;                          ///< slider: number_min ... number_max
    uint32_t number_min;                      ///< slider: the least
    uint32_t number_max;                      ///< slider: the greatest
    float decibels;                           ///< level: decibels_min ... decibels_max
    float decibels_min;                       ///< level: the least
    float decibels_max;                       ///< level: the greatest
    float scalar;                             ///< level: the same as 0 ... 1 of the range
    float position;                           ///< stereo pan: 0, at left_element, to 1, at right_element
    IOUserAudioObjectPropertyElement left_element;  ///< stereo pan: a channel
    IOUserAudioObjectPropertyElement right_element; ///< stereo pan: a channel
    uint32_t item_count;                      ///< selector: items to choose from
    uint32_t selected_count;                  ///< selector: how many of `selected` are there
    IOUserAudioSelectorValue selected[DX_MAX_SELECTED_VALUES]; ///< selector: in the order of selection
} dx_control_info;

/** What a selector may choose. */
typedef struct dx_control_item {
    IOUserAudioSelectorValue value;   ///< of the item
    char name[DX_CONTROL_NAME_BYTES]; ///< for people
} dx_control_item;

/**
 * Tells what one of a device's controls is now, by its place in the list: from 0 until kIOReturnNotFound.
 *
 * The list changes when the driver adds or removes a control; DX_EVENT_PROPERTIES_CHANGED tells of it with
 * kIOUserAudioPropertyControlList.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL, size); kIOReturnNoDevice (no driver); kIOReturnNotFound
 *         (there are no more).
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_device_get_control_at(dx_device *device, uint32_t index, dx_control_info *ret_info);

/**
 * Tells what a control is now, by its key.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL, size); kIOReturnNoDevice (no driver); kIOReturnNotFound
 *         (no such control).
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_device_get_control(dx_device *device, const char *key, dx_control_info *ret_info);

/**
 * The items that a selector may choose from.
 *
 * @param items      room for `capacity` items, in the driver's order; DX_MAX_SELECTOR_ITEMS is always enough.
 * @param ret_count  how many there are; no more than `capacity` are written.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL); kIOReturnNoDevice (no driver); kIOReturnNotFound (no such
 *         control); kIOReturnUnsupported (it is no selector); kIOReturnNoMemory.
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_device_get_control_items(dx_device *device, const char *key, dx_control_item *items,
                                                 uint32_t capacity, uint32_t *ret_count);

/**
 * Sets a control of kind boolean.
 *
 * @param key  of the control.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL); kIOReturnNoDevice (no driver); kIOReturnNotFound (no such
 *         control); kIOReturnUnsupported (it is of another kind); kIOReturnNotPermitted (not settable);
 *         kIOReturnNoMemory; what the driver answered, when it refuses.  The value stays then.
 *
 * Thread: control, the listener too, not a driver's queue.  Real-time: no, blocks.
 */
DX_API kern_return_t dx_device_set_control_boolean(dx_device *device, const char *key, bool is_on);

/**
 * Sets a control of kind slider.
 *
 * @return as dx_device_set_control_boolean(); kIOReturnBadArgument also for a number out of the range.
 *
 * Thread: as dx_device_set_control_boolean().  Real-time: no, blocks.
 */
DX_API kern_return_t dx_device_set_control_number(dx_device *device, const char *key, uint32_t number);

/**
 * Sets a control of kind level.
 *
 * @return as dx_device_set_control_boolean(); kIOReturnBadArgument also for decibels out of the range, and for NaN.
 *
 * Thread: as dx_device_set_control_boolean().  Real-time: no, blocks.
 */
DX_API kern_return_t dx_device_set_control_decibels(dx_device *device, const char *key, float decibels);

/**
 * Sets a control of kind level as a part of its range.
 *
 * @param scalar  0 ... 1.
 * @return as dx_device_set_control_boolean(); kIOReturnBadArgument also for a scalar out of 0 ... 1, and for NaN.
 *
 * Thread: as dx_device_set_control_boolean().  Real-time: no, blocks.
 */
DX_API kern_return_t dx_device_set_control_scalar(dx_device *device, const char *key, float scalar);

/**
 * Sets a control of kind selector.
 *
 * @param values  `count` values of items, none twice; NULL when `count` is 0.
 * @param count   0 ... DX_MAX_SELECTED_VALUES.
 * @return as dx_device_set_control_boolean(); kIOReturnBadArgument also for a value that is of no item, or given
 *         twice; kIOReturnNoSpace (more than DX_MAX_SELECTED_VALUES).
 *
 * Thread: as dx_device_set_control_boolean().  Real-time: no, blocks.
 */
DX_API kern_return_t dx_device_set_control_values(dx_device *device, const char *key,
                                                  const IOUserAudioSelectorValue *values, size_t count);

/**
 * Sets a control of kind selector to one item, by its name.
 *
 * @param name  all of the item's name, however long.
 * @return as dx_device_set_control_boolean(); kIOReturnBadArgument also for a name that no item has, or several.
 *
 * Thread: as dx_device_set_control_boolean().  Real-time: no, blocks.
 */
DX_API kern_return_t dx_device_set_control_item(dx_device *device, const char *key, const char *name);

/**
 * Sets a control of kind stereo pan.
 *
 * @param position  0 ... 1.
 * @return as dx_device_set_control_boolean(); kIOReturnBadArgument also for a position out of 0 ... 1, and for NaN.
 *
 * Thread: as dx_device_set_control_boolean().  Real-time: no, blocks.
 */
DX_API kern_return_t dx_device_set_control_position(dx_device *device, const char *key, float position);

/* Custom properties: strings or dictionaries under a selector of the driver's own.  Values cross as copies. */

/** What a custom property of a device holds. */
typedef struct dx_custom_property_info {
    uint32_t size;                                     ///< sizeof(dx_custom_property_info), set by the caller
    IOUserAudioObjectPropertyAddress address;          ///< where it is: selector, scope, element
    IOUserAudioCustomPropertyDataType qualifier_type;  ///< None: it takes no qualifier
    IOUserAudioCustomPropertyDataType data_type;       ///< None: it has no value, and only tells of something
    bool is_settable;                                  ///< whether dx_device_set_custom_property() may change it
} dx_custom_property_info;

/**
 * Tells what one of a device's custom properties holds, by its place in the list: from 0 until kIOReturnNotFound.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL, size); kIOReturnNoDevice (no driver); kIOReturnNotFound
 *         (there are no more).
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_device_get_custom_property_at(dx_device *device, uint32_t index,
                                                      dx_custom_property_info *ret_info);

/**
 * The value of a custom property, as the driver gives it for a qualifier.
 *
 * @param qualifier  borrowed; an OSString or OSDictionary as `qualifier_type` says, NULL for None.
 * @param ret_value  +1, a copy that nobody else has; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL, a qualifier of another type); kIOReturnNoDevice (no
 *         driver); kIOReturnNotFound (no such property, or no value yet); kIOReturnUnsupported (`data_type` is
 *         None); kIOReturnInternalError (the driver gave a value of another type than it declared);
 *         kIOReturnNoMemory (also for a value that does not serialise); what the driver answered.
 *
 * Thread: as dx_device_set_control_boolean().  Real-time: no, blocks.
 */
DX_API kern_return_t dx_device_copy_custom_property(dx_device *device, IOUserAudioObjectPropertyAddress address,
                                                    OSObjectPtr qualifier, OSObjectPtr *ret_value);

/**
 * Sets the value of a custom property for a qualifier.  Listeners are told of its selector, at the device.
 *
 * @param qualifier  borrowed; as for dx_device_copy_custom_property().
 * @param value      borrowed; an OSString or OSDictionary as `data_type` says, NULL for None.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL device, or another type); kIOReturnNoDevice (no driver);
 *         kIOReturnNotFound (no such property); kIOReturnNotPermitted (not settable); kIOReturnNoMemory (also for a
 *         value that does not serialise); what the driver answered, when it refuses.
 *
 * Thread: as dx_device_set_control_boolean().  Real-time: no, blocks.
 */
DX_API kern_return_t dx_device_set_custom_property(dx_device *device, IOUserAudioObjectPropertyAddress address,
                                                   OSObjectPtr qualifier, OSObjectPtr value);

DX_END_DECLS

#endif /* DEXTRAL_HOST_CONTROLS_H */
