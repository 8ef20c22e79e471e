// SPDX-License-Identifier: MIT
// Settings of a clock that count at once, while the device runs: ppm, and whom it follows.

#ifndef EXAMPLES_CLOCK_OPTIONS_H
#define EXAMPLES_CLOCK_OPTIONS_H

#include "virtual_clock.h"

/*
 * At first from the personality:
 *   ClockPPM      string, -1000 ... 1000 with up to three decimals: how much faster the clock is; "0"
 *   ClockFollows  string, UID of the device that it follows; ""
 * Then by the device's custom property DX_OPTION_SELECTOR, under the qualifiers "ppm" and "follow".
 */

/**
 * Reads the personality, and adds the property to the device.
 *
 * @param clock  initialised; borrowed as long as the device is the driver's.
 * @return kIOReturnSuccess; kIOReturnBadArgument (a setting out of its range); kIOReturnNoMemory.
 */
kern_return_t clock_options_add(struct virtual_clock *clock);

#endif /* EXAMPLES_CLOCK_OPTIONS_H */
