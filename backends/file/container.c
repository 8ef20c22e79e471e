// SPDX-License-Identifier: MIT
// Which container and which encoding a new file gets.

#include "backends/file/container.h"

#include "backends/file/error.h"
#include "backends/file/suffix.h"

#include <math.h>

#define MAX_32_BIT_BYTES (UINT64_C(0xFFFFFFFF) - 65536u) // leaves room for headers

static int
major_format(enum dx_file_container container, int input_format)
{
    switch (container) {
    case DX_FILE_CONTAINER_WAV:
        return (input_format & SF_FORMAT_TYPEMASK) == SF_FORMAT_WAVEX ? SF_FORMAT_WAVEX : SF_FORMAT_WAV;
    case DX_FILE_CONTAINER_FLAC:
        return SF_FORMAT_FLAC;
    case DX_FILE_CONTAINER_AIFF:
        return SF_FORMAT_AIFF;
    case DX_FILE_CONTAINER_W64:
        return SF_FORMAT_W64;
    case DX_FILE_CONTAINER_CAF:
        return SF_FORMAT_CAF;
    case DX_FILE_CONTAINER_RF64:
        return SF_FORMAT_RF64;
    case DX_FILE_CONTAINER_UNKNOWN:
        break;
    }
    return 0;
}

static int
asked_subtype(enum dx_file_encoding encoding)
{
    switch (encoding) {
    case DX_FILE_ENCODING_S16:
        return SF_FORMAT_PCM_16;
    case DX_FILE_ENCODING_S24:
        return SF_FORMAT_PCM_24;
    case DX_FILE_ENCODING_S32:
        return SF_FORMAT_PCM_32;
    case DX_FILE_ENCODING_F32:
        return SF_FORMAT_FLOAT;
    case DX_FILE_ENCODING_F64:
        return SF_FORMAT_DOUBLE;
    case DX_FILE_ENCODING_SAME:
        break;
    }
    return 0;
}

unsigned
dx_file_integer_bits(int format)
{
    switch (format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_PCM_S8:
    case SF_FORMAT_PCM_U8:
        return 8;
    case SF_FORMAT_PCM_16:
        return 16;
    case SF_FORMAT_PCM_24:
        return 24;
    case SF_FORMAT_PCM_32:
        return 32;
    default:
        return 0;
    }
}

const char *
dx_file_encoding_name(int format)
{
    switch (format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_PCM_S8:
        return "s8";
    case SF_FORMAT_PCM_U8:
        return "u8";
    case SF_FORMAT_PCM_16:
        return "s16";
    case SF_FORMAT_PCM_24:
        return "s24";
    case SF_FORMAT_PCM_32:
        return "s32";
    case SF_FORMAT_FLOAT:
        return "f32";
    case SF_FORMAT_DOUBLE:
        return "f64";
    default:
        return "other";
    }
}

/* What comes closest to an input's encoding, best first; ends with 0. */
static const int *
similar_subtypes(int input_format)
{
    static const int from_8[] = {SF_FORMAT_PCM_U8, SF_FORMAT_PCM_S8, SF_FORMAT_PCM_16, 0};
    static const int from_16[] = {SF_FORMAT_PCM_16, 0};
    static const int from_24[] = {SF_FORMAT_PCM_24, SF_FORMAT_PCM_16, 0};
    static const int from_32[] = {SF_FORMAT_PCM_32, SF_FORMAT_PCM_24, SF_FORMAT_PCM_16, 0};
    static const int from_float[] = {SF_FORMAT_FLOAT, SF_FORMAT_PCM_24, SF_FORMAT_PCM_16, 0};
    static const int from_double[] = {SF_FORMAT_DOUBLE, SF_FORMAT_FLOAT, SF_FORMAT_PCM_24, SF_FORMAT_PCM_16, 0};

    switch (input_format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_PCM_S8:
    case SF_FORMAT_PCM_U8:
        return from_8;
    case SF_FORMAT_PCM_24:
    case SF_FORMAT_ALAC_20:
    case SF_FORMAT_ALAC_24:
        return from_24;
    case SF_FORMAT_PCM_32:
    case SF_FORMAT_ALAC_32:
        return from_32;
    case SF_FORMAT_FLOAT:
        return from_float;
    case SF_FORMAT_DOUBLE:
        return from_double;
    default:
        return from_16; // 16 bits, and what was compressed with loss
    }
}

/* A container with 32-bit sizes cannot hold more than 4 GiB: WAV has RF64 for that. */
static kern_return_t
check_length(const struct dx_file_writer_config *config, enum dx_file_container container, SF_INFO *info,
             dx_error *error)
{
    const unsigned bits = dx_file_integer_bits(info->format);
    const unsigned sample_bytes = bits > 0                                                 ? bits / 8
                                  : (info->format & SF_FORMAT_SUBMASK) == SF_FORMAT_DOUBLE ? 8u
                                                                                           : 4u;
    if (config->info.frames <= MAX_32_BIT_BYTES / sample_bytes / config->info.channels)
        return kIOReturnSuccess;
    if (container == DX_FILE_CONTAINER_WAV) {
        info->format = SF_FORMAT_RF64 | (info->format & SF_FORMAT_SUBMASK);
        return kIOReturnSuccess;
    }
    if (container == DX_FILE_CONTAINER_AIFF)
        return dx_file_error(error, kIOReturnBadArgument,
                             "%s would be longer than the 4 GiB an AIFF file can hold: write a .caf or .wav",
                             config->path);
    return kIOReturnSuccess;
}

kern_return_t
dx_file_choose_format(const struct dx_file_writer_config *config, SF_INFO *ret_info, dx_error *error)
{
    const enum dx_file_container container = dx_file_container(config->path);
    const int major = major_format(container, config->info.format);
    if (!major)
        return dx_file_error(error, kIOReturnBadArgument, "%s: what kind of file is it to be? End its name in %s",
                             config->path, dx_file_suffixes);

    const int asked[] = {asked_subtype(config->encoding), 0};
    SF_INFO info = {.samplerate = (int)config->info.rate_hz, .channels = (int)config->info.channels};
    for (const int *subtype = asked[0] ? asked : similar_subtypes(config->info.format); *subtype; subtype++) {
        info.format = major | *subtype;
        if (sf_format_check(&info)) {
            *ret_info = info;
            return check_length(config, container, ret_info, error);
        }
    }
    return dx_file_error(error, kIOReturnBadArgument,
                         "%s: %s holds no %u channels of %s at %u Hz: try a .wav, or another --output-format",
                         config->path, dx_file_container_name(config->path), config->info.channels,
                         asked[0] ? dx_file_encoding_name(asked[0]) : "any encoding", config->info.rate_hz);
}
