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

/** A boolean of the personality, or `fallback` where there is none. */
static inline bool
personality_boolean(IOUserAudioDriver *driver, const char *key, bool fallback)
{
    OSObjectPtr value = NULL;
    if (IOServiceSearchProperty(driver, key, NULL, 0, &value) != kIOReturnSuccess)
        return fallback;
    const OSBoolean *boolean = OSDynamicCast(OSBoolean, value);
    const bool result = boolean ? OSBooleanGetValue(boolean) : fallback;
    OSObjectRelease(value);
    return result;
}

#define PERSONALITY_MAX_RATES 10u

/**
 * The rates of the personality, an array of up to PERSONALITY_MAX_RATES numbers in Hz, or the default ones.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (none, too many, or one that is no number up to 1 MHz).
 */
static inline kern_return_t
personality_rates(IOUserAudioDriver *driver, const double *defaults, uint32_t default_count,
                  double rates[PERSONALITY_MAX_RATES], uint32_t *ret_count)
{
    OSObjectPtr value = NULL;
    (void)IOServiceSearchProperty(driver, "Rates", NULL, 0, &value); // none: NULL
    const OSArray *array = OSDynamicCast(OSArray, value);
    const size_t count = array ? OSArrayGetCount(array) : default_count;

    kern_return_t status = count == 0 || count > PERSONALITY_MAX_RATES ? kIOReturnBadArgument : kIOReturnSuccess;
    for (size_t i = 0; i < count && status == kIOReturnSuccess; i++) {
        const OSNumber *number = array ? OSDynamicCast(OSNumber, OSArrayGetObject(array, i)) : NULL;
        const uint64_t rate_hz = number ? OSNumberGetUInt64Value(number) : 0;
        if (array && (rate_hz == 0 || rate_hz > 1000000))
            status = kIOReturnBadArgument;
        rates[i] = array ? (double)rate_hz : defaults[i];
    }
    *ret_count = (uint32_t)count;
    OSObjectRelease(value);
    return status;
}

#endif /* EXAMPLES_PERSONALITY_H */
