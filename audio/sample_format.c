// SPDX-License-Identifier: MIT
// The sample format that a stream description names.

#include "audio/convert_kernels.h"

#include <errno.h>

/* At file scope: clang allows no static variable inside a real-time function. */
#define BYTES_ENTRY(enumerator, name, bytes) [DX_SAMPLE_##enumerator] = (bytes),
static const uint8_t format_bytes[DX_SAMPLE_FORMAT_COUNT] = {DX_SAMPLE_FORMATS(BYTES_ENTRY)};

#define NAME_ENTRY(enumerator, name, bytes) [DX_SAMPLE_##enumerator] = #name,
static const char *const format_names[DX_SAMPLE_FORMAT_COUNT] = {DX_SAMPLE_FORMATS(NAME_ENTRY)};

DX_REALTIME uint32_t
dx_sample_format_bytes(enum dx_sample_format format)
{
    return format_bytes[format];
}

const char *
dx_sample_format_name(enum dx_sample_format format)
{
    return format_names[format];
}

static int
refuse(int error, const char *reason, const char **ret_reason)
{
    if (ret_reason)
        *ret_reason = reason;
    return error;
}

static const struct {
    bool is_float, is_high;
    uint8_t container_bytes, bits;
    enum dx_sample_format little, big;
} formats[] = {
    /* `is_high` says nothing where the bits fill the container. */
    {false, false, 2, 16, DX_SAMPLE_S16_LE, DX_SAMPLE_S16_BE},
    {false, false, 3, 24, DX_SAMPLE_S24_3LE, DX_SAMPLE_S24_3BE},
    {false, false, 4, 24, DX_SAMPLE_S24_LE, DX_SAMPLE_S24_BE},
    {false, true, 4, 24, DX_SAMPLE_S24_HIGH_LE, DX_SAMPLE_S24_HIGH_BE},
    {false, false, 4, 32, DX_SAMPLE_S32_LE, DX_SAMPLE_S32_BE},
    {true, false, 4, 32, DX_SAMPLE_F32_LE, DX_SAMPLE_F32_BE},
    {true, false, 8, 64, DX_SAMPLE_F64_LE, DX_SAMPLE_F64_BE},
};

/* What contradicts itself, whatever the format: NULL if nothing does. */
static const char *
contradiction(const IOUserAudioStreamBasicDescription *d, IOUserAudioFormatFlags flags)
{
    if ((d->mFormatFlags & FormatFlagsAreAllClear) && flags != 0)
        return "the flag that says that all flags are clear stands beside others";
    if ((flags & FormatFlagIsFloat) && (flags & FormatFlagIsSignedInteger))
        return "samples cannot be float and integer at once";
    if (d->mChannelsPerFrame == 0)
        return "mChannelsPerFrame is 0";
    if (d->mFramesPerPacket != 1)
        return "mFramesPerPacket is not 1";
    if (d->mBytesPerPacket != d->mBytesPerFrame)
        return "mBytesPerPacket differs from mBytesPerFrame";
    if (d->mBytesPerFrame == 0)
        return "mBytesPerFrame is 0";
    if (d->mBytesPerFrame % d->mChannelsPerFrame != 0)
        return "mBytesPerFrame is not a multiple of mChannelsPerFrame";
    if (d->mBitsPerChannel == 0)
        return "mBitsPerChannel is 0";

    const uint64_t container_bits = UINT64_C(8) * (d->mBytesPerFrame / d->mChannelsPerFrame);
    if (d->mBitsPerChannel > container_bits)
        return "mBitsPerChannel does not fit into mBytesPerFrame / mChannelsPerFrame bytes";
    if ((flags & FormatFlagIsPacked) && d->mBitsPerChannel != container_bits)
        return "packed, but mBitsPerChannel leaves bits of mBytesPerFrame / mChannelsPerFrame bytes unused";
    return NULL;
}

int
dx_sample_format_from_description(const IOUserAudioStreamBasicDescription *description,
                                  enum dx_sample_format *ret_format, const char **ret_reason)
{
    const IOUserAudioStreamBasicDescription *const d = description;
    if (!d)
        return refuse(-EINVAL, "no description", ret_reason);

    const IOUserAudioFormatFlags flags = d->mFormatFlags & ~FormatFlagsAreAllClear;
    const IOUserAudioFormatFlags known = 0x7Fu | LinearPCMFormatFlagsSampleFractionMask;

    /* First what makes the other fields mean something else. */
    if (d->mFormatID != IOUserAudioFormatIDLinearPCM)
        return refuse(-ENOTSUP, "not linear PCM", ret_reason);
    if (flags & ~known)
        return refuse(-EINVAL, "unknown flags", ret_reason);
    if (flags & FormatFlagIsNonInterleaved)
        return refuse(-ENOTSUP, "non-interleaved", ret_reason);

    const char *const reason = contradiction(d, flags);
    if (reason)
        return refuse(-EINVAL, reason, ret_reason);

    if (flags & LinearPCMFormatFlagsSampleFractionMask)
        return refuse(-ENOTSUP, "fixed point with fraction bits", ret_reason);
    if (!(flags & (FormatFlagIsFloat | FormatFlagIsSignedInteger)))
        return refuse(-ENOTSUP, "unsigned integers", ret_reason);

    const uint32_t container_bytes = d->mBytesPerFrame / d->mChannelsPerFrame;
    const bool is_float = flags & FormatFlagIsFloat;
    const bool is_high = (flags & FormatFlagIsAlignedHigh) && d->mBitsPerChannel != 8 * container_bytes;

    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (formats[i].is_float != is_float || formats[i].is_high != is_high ||
            formats[i].container_bytes != container_bytes || formats[i].bits != d->mBitsPerChannel)
            continue;
        *ret_format = flags & FormatFlagIsBigEndian ? formats[i].big : formats[i].little;
        return 0;
    }
    return refuse(-ENOTSUP,
                  is_float ? "float of another width than 32 in 4 or 64 in 8 bytes"
                           : "integer of another width than 16 in 2, 24 in 3 or 4, or 32 in 4 bytes",
                  ret_reason);
}
