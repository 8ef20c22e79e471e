// SPDX-License-Identifier: MIT
// Sample formats: alsa-lib's names for what streams carry.

#include "backends/alsa/format.h"

/* S24_HIGH, 24 bits in the high end of four bytes, is S32 to those who know no better. */
static const struct {
    snd_pcm_format_t alsa;
    enum dx_sample_format format;
} names[] = {
    {SND_PCM_FORMAT_S16_LE, DX_SAMPLE_S16_LE},
    {SND_PCM_FORMAT_S16_BE, DX_SAMPLE_S16_BE},
    {SND_PCM_FORMAT_S24_3LE, DX_SAMPLE_S24_3LE},
    {SND_PCM_FORMAT_S24_3BE, DX_SAMPLE_S24_3BE},
    {SND_PCM_FORMAT_S24_LE, DX_SAMPLE_S24_LE},
    {SND_PCM_FORMAT_S24_BE, DX_SAMPLE_S24_BE},
    {SND_PCM_FORMAT_S32_LE, DX_SAMPLE_S32_LE},
    {SND_PCM_FORMAT_S32_BE, DX_SAMPLE_S32_BE},
    {SND_PCM_FORMAT_FLOAT_LE, DX_SAMPLE_F32_LE},
    {SND_PCM_FORMAT_FLOAT_BE, DX_SAMPLE_F32_BE},
    {SND_PCM_FORMAT_FLOAT64_LE, DX_SAMPLE_F64_LE},
    {SND_PCM_FORMAT_FLOAT64_BE, DX_SAMPLE_F64_BE},
    {SND_PCM_FORMAT_S32_LE, DX_SAMPLE_S24_HIGH_LE},
    {SND_PCM_FORMAT_S32_BE, DX_SAMPLE_S24_HIGH_BE},
};

#define NAMES (sizeof names / sizeof names[0])

bool
dx_alsa_find_format(snd_pcm_format_t alsa, enum dx_sample_format *ret_format)
{
    for (size_t i = 0; i < NAMES; i++)
        if (names[i].alsa == alsa) {
            *ret_format = names[i].format;
            return true;
        }
    return false;
}

unsigned
dx_alsa_list_formats(const dx_stream_info *stream, snd_pcm_format_t formats[DX_ALSA_MAX_FORMATS])
{
    if (stream->is_mixable) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        formats[3] = SND_PCM_FORMAT_S24_3LE;
#else
        formats[3] = SND_PCM_FORMAT_S24_3BE;
#endif
        formats[0] = SND_PCM_FORMAT_FLOAT;
        formats[1] = SND_PCM_FORMAT_S16;
        formats[2] = SND_PCM_FORMAT_S24;
        return 4;
    }
    enum dx_sample_format physical;
    if (dx_sample_format_from_description(&stream->physical, &physical, NULL) < 0)
        return 0;
    for (size_t i = 0; i < NAMES; i++)
        if (names[i].format == physical) {
            formats[0] = names[i].alsa;
            return 1;
        }
    return 0;
}
