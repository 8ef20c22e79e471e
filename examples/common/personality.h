// SPDX-License-Identifier: MIT
// Settings of a driver: entries of the personality that it was matched with, which whoever starts it may change.

#ifndef EXAMPLES_PERSONALITY_H
#define EXAMPLES_PERSONALITY_H

#include <dextral/dextral.h>

/** A number of the personality, or `fallback` where there is none. */
static inline uint64_t
personality_number(IOUserAudioDriver *driver, const char *key, uint64_t fallback)
{
    OSObjectPtr value = NULL;
    if (IOServiceSearchProperty(driver, key, NULL, 0, &value) != kIOReturnSuccess)
        return fallback;
    const OSNumber *number = OSDynamicCast(OSNumber, value);
    const uint64_t result = number ? OSNumberGetUInt64Value(number) : fallback;
    OSObjectRelease(value);
    return result;
}

/** A string of the personality, or `fallback` where there is none: +1, NULL without memory. */
static inline OSString *
personality_copy_string(IOUserAudioDriver *driver, const char *key, const char *fallback)
{
    OSObjectPtr value = NULL;
    if (IOServiceSearchProperty(driver, key, NULL, 0, &value) == kIOReturnSuccess) {
        OSString *string = OSDynamicCast(OSString, value);
        if (string)
            return string;
        OSObjectRelease(value);
    }
    return OSStringCreate(fallback);
}

#endif /* EXAMPLES_PERSONALITY_H */
