// SPDX-License-Identifier: MIT
// Channel maps: alsa-lib's names for what a stream's channels are for.

#include "backends/alsa/chmap.h"

#include <stdlib.h>
#include <string.h>

/* As CoreAudioBaseTypes.h explains its labels, by the speakers of WAVE files where they are the same. */
static const struct {
    IOUserAudioChannelLabel label;
    enum snd_pcm_chmap_position position;
} names[] = {
    {IOUserAudioChannelLabelUnused, SND_CHMAP_NA},
    {IOUserAudioChannelLabelLeft, SND_CHMAP_FL},
    {IOUserAudioChannelLabelRight, SND_CHMAP_FR},
    {IOUserAudioChannelLabelCenter, SND_CHMAP_FC},
    {IOUserAudioChannelLabelLFEScreen, SND_CHMAP_LFE},
    {IOUserAudioChannelLabelLeftSurround, SND_CHMAP_RL},
    {IOUserAudioChannelLabelRightSurround, SND_CHMAP_RR},
    {IOUserAudioChannelLabelLeftCenter, SND_CHMAP_FLC},
    {IOUserAudioChannelLabelRightCenter, SND_CHMAP_FRC},
    {IOUserAudioChannelLabelCenterSurround, SND_CHMAP_RC},
    {IOUserAudioChannelLabelCenterSurroundDirect, SND_CHMAP_RC},
    {IOUserAudioChannelLabelLeftSurroundDirect, SND_CHMAP_SL},
    {IOUserAudioChannelLabelRightSurroundDirect, SND_CHMAP_SR},
    {IOUserAudioChannelLabelTopCenterSurround, SND_CHMAP_TC},
    {IOUserAudioChannelLabelVerticalHeightLeft, SND_CHMAP_TFL},
    {IOUserAudioChannelLabelVerticalHeightCenter, SND_CHMAP_TFC},
    {IOUserAudioChannelLabelVerticalHeightRight, SND_CHMAP_TFR},
    {IOUserAudioChannelLabelTopBackLeft, SND_CHMAP_TRL},
    {IOUserAudioChannelLabelTopBackCenter, SND_CHMAP_TRC},
    {IOUserAudioChannelLabelTopBackRight, SND_CHMAP_TRR},
    {IOUserAudioChannelLabelRearSurroundLeft, SND_CHMAP_RL},
    {IOUserAudioChannelLabelRearSurroundRight, SND_CHMAP_RR},
    {IOUserAudioChannelLabelLeftWide, SND_CHMAP_FLW},
    {IOUserAudioChannelLabelRightWide, SND_CHMAP_FRW},
    {IOUserAudioChannelLabelMono, SND_CHMAP_MONO},
    {IOUserAudioChannelLabelLeftTopMiddle, SND_CHMAP_TSL},
    {IOUserAudioChannelLabelRightTopMiddle, SND_CHMAP_TSR},
    {IOUserAudioChannelLabelLeftTopRear, SND_CHMAP_TRL},
    {IOUserAudioChannelLabelCenterTopRear, SND_CHMAP_TRC},
    {IOUserAudioChannelLabelRightTopRear, SND_CHMAP_TRR},
    {IOUserAudioChannelLabelHeadphonesLeft, SND_CHMAP_FL},
    {IOUserAudioChannelLabelHeadphonesRight, SND_CHMAP_FR},
};

static unsigned
find_position(IOUserAudioChannelLabel label, bool has_rear)
{
    if (has_rear && label == IOUserAudioChannelLabelLeftSurround)
        return SND_CHMAP_SL;
    if (has_rear && label == IOUserAudioChannelLabelRightSurround)
        return SND_CHMAP_SR;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].label == label)
            return names[i].position;
    return SND_CHMAP_UNKNOWN;
}

void
dx_alsa_chmap_from_labels(const IOUserAudioChannelLabel *labels, uint32_t count, unsigned *ret_positions)
{
    bool has_rear = false;
    for (uint32_t i = 0; i < count; i++)
        has_rear |= labels[i] == IOUserAudioChannelLabelRearSurroundLeft ||
                    labels[i] == IOUserAudioChannelLabelRearSurroundRight;
    for (uint32_t i = 0; i < count; i++)
        ret_positions[i] = find_position(labels[i], has_rear);
}

/* The positions of the stream's own channels.  @return how many it has; 0: nothing is known. */
static uint32_t
find_own(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index, unsigned positions[DX_MAX_CHANNELS])
{
    static const IOUserAudioChannelLabel mono[] = {IOUserAudioChannelLabelMono};
    static const IOUserAudioChannelLabel stereo[] = {IOUserAudioChannelLabelLeft, IOUserAudioChannelLabelRight};
    IOUserAudioChannelLabel labels[DX_MAX_CHANNELS];
    uint32_t count = 0;
    const kern_return_t status =
        dx_device_get_channel_layout(device, direction, index, labels, DX_MAX_CHANNELS, &count);
    if (status == kIOReturnSuccess && count > 0) {
        dx_alsa_chmap_from_labels(labels, count, positions);
        return count;
    }
    /* One channel, or two, are what everybody takes them for. */
    dx_device_info info = {.size = sizeof info};
    if (dx_device_get_info(device, &info) != kIOReturnSuccess)
        return 0;
    const bool is_input = direction == IOUserAudioStreamDirectionInput;
    const dx_stream_info *const streams = is_input ? info.inputs : info.outputs;
    if (index >= (is_input ? info.input_streams : info.output_streams))
        return 0;
    count = streams[index].client.mChannelsPerFrame;
    if (count != 1 && count != 2)
        return 0;
    dx_alsa_chmap_from_labels(count == 1 ? mono : stereo, count, positions);
    return count;
}

/* Those of the program's.  @return false: nothing is known. */
static bool
find_positions(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index, uint32_t channels,
               unsigned positions[DX_MAX_CHANNELS])
{
    if (channels > DX_MAX_CHANNELS) // no stream has as many, whatever is said of it
        return false;
    const uint32_t count = find_own(device, direction, index, positions);
    if (count == 0 || (count == 1 && channels > 1)) // the latter become one, or are copies of one
        return false;
    for (uint32_t i = count; i < channels; i++)
        positions[i] = SND_CHMAP_NA;
    if (channels == 1 && count > 1)
        positions[0] = SND_CHMAP_MONO;
    return true;
}

snd_pcm_chmap_t *
dx_alsa_chmap_create(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index, uint32_t channels)
{
    unsigned positions[DX_MAX_CHANNELS];
    if (!find_positions(device, direction, index, channels, positions))
        return NULL;
    snd_pcm_chmap_t *const map = malloc(sizeof *map + channels * sizeof positions[0]);
    if (!map)
        return NULL;
    map->channels = channels;
    memcpy(map->pos, positions, channels * sizeof positions[0]);
    return map;
}

snd_pcm_chmap_query_t **
dx_alsa_chmap_create_list(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index, uint32_t channels)
{
    unsigned positions[DX_MAX_CHANNELS];
    if (!find_positions(device, direction, index, channels, positions))
        return NULL;
    snd_pcm_chmap_query_t **const list = calloc(2, sizeof(snd_pcm_chmap_query_t *));
    snd_pcm_chmap_query_t *const only = malloc(sizeof *only + channels * sizeof positions[0]);
    if (!list || !only) {
        free(only);
        free(list);
        return NULL;
    }
    only->type = SND_CHMAP_TYPE_FIXED;
    only->map.channels = channels;
    memcpy(only->map.pos, positions, channels * sizeof positions[0]);
    list[0] = only;
    return list;
}
