// SPDX-License-Identifier: MIT
// What dictionaries from the supervisor hold.

#include "cli/values.h"

#include <math.h>
#include <string.h>

const char *
cli_get_text(const OSDictionary *dictionary, const char *key)
{
    const char *const text = dictionary ? OSDictionaryGetStringValue(dictionary, key) : NULL;
    return text ? text : "";
}

bool
cli_has(const OSDictionary *dictionary, const char *key)
{
    return dictionary && OSDictionaryGetObject(dictionary, key);
}

bool
cli_get_switch(const OSDictionary *dictionary, const char *key)
{
    return dictionary && OSDictionaryGetObject(dictionary, key) == kOSBooleanTrue;
}

OSArray *
cli_get_array(const OSDictionary *dictionary, const char *key)
{
    return dictionary ? OSDynamicCast(OSArray, OSDictionaryGetObject(dictionary, key)) : NULL;
}

OSDictionary *
cli_get_dictionary(const OSDictionary *dictionary, const char *key)
{
    return dictionary ? OSDynamicCast(OSDictionary, OSDictionaryGetObject(dictionary, key)) : NULL;
}

unsigned long long
cli_get_number(const OSDictionary *dictionary, const char *key)
{
    return dictionary ? OSDictionaryGetUInt64Value(dictionary, key) : 0;
}

static double
real_of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return isfinite(value) ? value : 0.0;
}

double
cli_get_real(const OSDictionary *dictionary, const char *key)
{
    return real_of_bits(cli_get_number(dictionary, key));
}

size_t
cli_count(const OSArray *array)
{
    return array ? OSArrayGetCount(array) : 0;
}

OSDictionary *
cli_at(const OSArray *array, size_t index)
{
    return array ? OSDynamicCast(OSDictionary, OSArrayGetObject(array, index)) : NULL;
}

bool
cli_set_real(OSDictionary *dictionary, const char *key, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return OSDictionarySetUInt64Value(dictionary, key, bits);
}

bool
cli_set_switch(OSDictionary *dictionary, const char *key, bool is_on)
{
    return OSDictionarySetObject(dictionary, key, is_on ? kOSBooleanTrue : kOSBooleanFalse);
}

bool
cli_take(OSDictionary *dictionary, const char *key, OSObjectPtr object)
{
    const bool is_set = object && OSDictionarySetObject(dictionary, key, object);
    OSObjectRelease(object);
    return is_set;
}

bool
cli_take_member(OSArray *array, OSObjectPtr object)
{
    const bool is_set = object && OSArraySetObject(array, object);
    OSObjectRelease(object);
    return is_set;
}

size_t
cli_get_reals(const OSDictionary *dictionary, const char *key, double *values, size_t capacity)
{
    const OSData *const data = dictionary ? OSDynamicCast(OSData, OSDictionaryGetObject(dictionary, key)) : NULL;
    const size_t count = data ? OSDataGetLength(data) / sizeof(double) : 0;
    const uint8_t *bytes = count > 0 ? OSDataGetBytesNoCopy(data) : NULL;
    for (size_t i = 0; i < count && i < capacity; i++) {
        uint64_t bits = 0;
        for (size_t k = 0; k < sizeof bits; k++)
            bits |= (uint64_t)*bytes++ << (8u * k);
        values[i] = real_of_bits(bits);
    }
    return count;
}
