// SPDX-License-Identifier: MIT
// A device's controls as elements of an ALSA mixer: their names, their whole numbers, and what changed.

#ifndef DX_BACKENDS_ALSA_ELEMENTS_H
#define DX_BACKENDS_ALSA_ELEMENTS_H

#include <dextral/host_controls.h>

/* Of an element's name, with its NUL: as much as the kernel's. */
#define DX_ALSA_ELEMENT_NAME_BYTES 44u

/* Level controls count in hundredths of a decibel from the least, stereo pans in hundredths from the left. */
struct dx_alsa_element {
    char name[DX_ALSA_ELEMENT_NAME_BYTES];
    uint32_t index;         // among elements of this name
    dx_control_info info;   // as it was when it was loaded
    dx_control_item *items; // of a selector: info.item_count of them
};

/* All of a device, in its order.  Zeroed is none. */
struct dx_alsa_elements {
    struct dx_alsa_element *list;
    uint32_t count;
};

/** Asks the device.  kIOReturnSuccess (also with none, where it has no driver yet); kIOReturnNoMemory. */
kern_return_t dx_alsa_elements_load(dx_device *device, struct dx_alsa_elements *ret_elements);

/** Zeroed is fine. */
void dx_alsa_elements_finish(struct dx_alsa_elements *elements);

/** NULL where there is none. */
const struct dx_alsa_element *dx_alsa_elements_find(const struct dx_alsa_elements *elements, const char *name,
                                                    uint32_t index);

/** Whether it is a switch (0 or 1), a choice among items, or else a whole number. */
bool dx_alsa_element_is_switch(const struct dx_alsa_element *element);
bool dx_alsa_element_is_choice(const struct dx_alsa_element *element);
/** Whether its numbers are decibels: from the least of info on, a hundredth each. */
bool dx_alsa_element_is_level(const struct dx_alsa_element *element);

/** The range of a whole number. */
void dx_alsa_element_get_range(const struct dx_alsa_element *element, long *ret_min, long *ret_max);

/** The value in `info`: the number, 0 or 1 of a switch, the place of the first item selected. */
long dx_alsa_element_get_value(const struct dx_alsa_element *element, const dx_control_info *info);

/** Sets a value; what is out of the range is cut.  What the device answers; kIOReturnBadArgument (no such item). */
kern_return_t dx_alsa_element_set_value(const struct dx_alsa_element *element, dx_device *device, long value);

#endif /* DX_BACKENDS_ALSA_ELEMENTS_H */
