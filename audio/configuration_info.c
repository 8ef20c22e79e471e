// SPDX-License-Identifier: MIT
// The change info of the reserved configuration actions.

#include "audio/clock_device.h"

#include <string.h>

/* A rate is a number that holds its bits, a ring length a number, a format a dictionary. */
#define KEY_DIRECTION "direction"
#define KEY_INDEX "index"
#define KEY_FORMAT "format"

OSObjectPtr
dx_configuration_info_for_sample_rate(double sample_rate)
{
    uint64_t bits;
    memcpy(&bits, &sample_rate, sizeof bits);
    return OSNumberCreateWithUInt64Value(bits);
}

bool
dx_configuration_info_get_sample_rate(OSObjectPtr info, double *ret_rate)
{
    const OSNumber *const number = OSDynamicCast(OSNumber, info);
    if (!number)
        return false;
    const uint64_t bits = OSNumberGetUInt64Value(number);
    memcpy(ret_rate, &bits, sizeof *ret_rate);
    return true;
}

OSObjectPtr
dx_configuration_info_for_ring_frames(uint32_t frames)
{
    return OSNumberCreateWithUInt64Value(frames);
}

bool
dx_configuration_info_get_ring_frames(OSObjectPtr info, uint32_t *ret_frames)
{
    const OSNumber *const number = OSDynamicCast(OSNumber, info);
    if (!number || OSNumberGetUInt64Value(number) > UINT32_MAX)
        return false;
    *ret_frames = OSNumberGetUInt32Value(number);
    return true;
}

OSObjectPtr
dx_configuration_info_for_stream_format(IOUserAudioStreamDirection direction, uint32_t index,
                                        const IOUserAudioStreamBasicDescription *format)
{
    if (!format)
        return NULL;
    OSDictionary *const info = OSDictionaryCreate(3);
    OSData *const bytes = OSDataCreate(format, sizeof *format);
    const bool whole = info && bytes && OSDictionarySetUInt64Value(info, KEY_DIRECTION, direction) &&
                       OSDictionarySetUInt64Value(info, KEY_INDEX, index) &&
                       OSDictionarySetObject(info, KEY_FORMAT, bytes);
    OSObjectRelease(bytes);
    if (whole)
        return info;
    OSObjectRelease(info);
    return NULL;
}

bool
dx_configuration_info_get_stream_format(OSObjectPtr info, IOUserAudioStreamDirection *ret_direction,
                                        uint32_t *ret_index, IOUserAudioStreamBasicDescription *ret_format)
{
    const OSDictionary *const dictionary = OSDynamicCast(OSDictionary, info);
    if (!dictionary)
        return false;
    const OSNumber *const direction = OSDynamicCast(OSNumber, OSDictionaryGetObject(dictionary, KEY_DIRECTION));
    const OSNumber *const index = OSDynamicCast(OSNumber, OSDictionaryGetObject(dictionary, KEY_INDEX));
    const OSData *const bytes = OSDynamicCast(OSData, OSDictionaryGetObject(dictionary, KEY_FORMAT));
    if (!direction || !index || !bytes || OSDataGetLength(bytes) != sizeof *ret_format ||
        OSNumberGetUInt64Value(direction) > IOUserAudioStreamDirectionInput ||
        OSNumberGetUInt64Value(index) > UINT32_MAX)
        return false;
    *ret_direction = OSNumberGetUInt32Value(direction);
    *ret_index = OSNumberGetUInt32Value(index);
    memcpy(ret_format, OSDataGetBytesNoCopy(bytes), sizeof *ret_format);
    return true;
}
