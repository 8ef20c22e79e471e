// SPDX-License-Identifier: MIT
// Settings of a clock that count at once.

#include "clock_options.h"

#include "personality.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "-12.5", in whatever locale, is -12500 thousandths.  false: it is no such number. */
static bool
read_thousandths(const char *text, int64_t *ret_thousandths)
{
    const bool is_negative = *text == '-';
    text += is_negative;
    int64_t whole = 0;
    const char *digit = text;
    for (; *digit >= '0' && *digit <= '9' && whole < 100000; digit++)
        whole = whole * 10 + (*digit - '0');
    if (digit == text)
        return false;
    int64_t part = 0;
    int64_t unit = 100;
    for (digit += *digit == '.'; *digit >= '0' && *digit <= '9' && unit > 0; digit++, unit /= 10)
        part += (*digit - '0') * unit;
    *ret_thousandths = is_negative ? -(whole * 1000 + part) : whole * 1000 + part;
    return *digit == '\0';
}

static kern_return_t
set_ppm(struct virtual_clock *clock, const char *text)
{
    int64_t ppb = 0; // a thousandth of a ppm
    return read_thousandths(text, &ppb) ? virtual_clock_set_ppb(clock, ppb) : kIOReturnBadArgument;
}

/* The override of the property, on the work queue. */
static kern_return_t
set_option(IOUserAudioCustomProperty *property, OSObjectPtr qualifier, OSObjectPtr data)
{
    struct virtual_clock *clock = OSObjectGetPeer(property);
    const OSString *name = OSDynamicCast(OSString, qualifier);
    const OSString *value = OSDynamicCast(OSString, data);
    if (!name || !value)
        return kIOReturnBadArgument;
    if (OSStringIsEqualToCString(name, "ppm"))
        return set_ppm(clock, OSStringGetCStringNoCopy(value));
    if (OSStringIsEqualToCString(name, "follow"))
        return virtual_clock_follow(clock, OSStringGetCStringNoCopy(value));
    return kIOReturnBadArgument;
}

/* The other override, on the work queue as well. */
static kern_return_t
get_option(IOUserAudioCustomProperty *property, OSObjectPtr qualifier, OSObjectPtr *ret_value)
{
    const struct virtual_clock *clock = OSObjectGetPeer(property);
    const OSString *name = OSDynamicCast(OSString, qualifier);
    char ppm[24];
    (void)snprintf(ppm, sizeof ppm, "%s%d.%03d", clock->ppb < 0 ? "-" : "", abs(clock->ppb) / 1000,
                   abs(clock->ppb) % 1000);
    if (name && OSStringIsEqualToCString(name, "ppm"))
        *ret_value = OSStringCreate(ppm);
    else if (name && OSStringIsEqualToCString(name, "follow"))
        *ret_value = OSStringCreate(clock->followed_uid);
    else
        return kIOReturnBadArgument;
    return *ret_value ? kIOReturnSuccess : kIOReturnNoMemory;
}

static kern_return_t
add_property(struct virtual_clock *clock)
{
    static const IOUserAudioCustomPropertyOverrides overrides = {
        .size = sizeof overrides,
        .GetCustomPropertyValueWithQualifier = get_option,
        .HandleChangeCustomPropertyDataValueWithQualifier = set_option,
    };
    const IOUserAudioObjectPropertyAddress address = {DX_OPTION_SELECTOR, IOUserAudioObjectPropertyScopeGlobal,
                                                      IOUserAudioObjectPropertyElementMain};
    IOUserAudioCustomProperty *property = IOUserAudioCustomPropertyAlloc();
    OSObjectSetPeer(property, clock, NULL);
    kern_return_t status = kIOReturnNoMemory;
    if (property && IOUserAudioCustomPropertySetOverrides(property, &overrides) == kIOReturnSuccess &&
        IOUserAudioCustomPropertyInit(property, clock->driver, address, true,
                                      IOUserAudioCustomPropertyDataTypeString,
                                      IOUserAudioCustomPropertyDataTypeString))
        status = IOUserAudioObjectAddCustomProperty(clock->device, property);
    OSObjectRelease(property); // the device keeps it
    return status;
}

kern_return_t
clock_options_add(struct virtual_clock *clock)
{
    OSString *ppm = personality_copy_string(clock->driver, "ClockPPM", "0");
    OSString *follows = personality_copy_string(clock->driver, "ClockFollows", "");
    kern_return_t status = ppm && follows ? kIOReturnSuccess : kIOReturnNoMemory;
    if (status == kIOReturnSuccess)
        status = set_ppm(clock, OSStringGetCStringNoCopy(ppm));
    if (status == kIOReturnSuccess)
        status = virtual_clock_follow(clock, OSStringGetCStringNoCopy(follows));
    if (status == kIOReturnSuccess)
        status = add_property(clock);
    OSObjectRelease(ppm);
    OSObjectRelease(follows);
    return status;
}
