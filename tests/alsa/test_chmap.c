// SPDX-License-Identifier: MIT
// Channel maps: what ALSA calls a layout's channels.  Labels are CoreAudioBaseTypes.h's numbers, positions those of
// alsa/pcm.h by name; where a label stands is what that header says of it in its comments ("WAVE: Back Left").

#include "audio/handle.h"
#include "backends/alsa/chmap.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* A device that has streams, and says what their channels are for. */
static IOUserAudioChannelLabel labels[DX_MAX_CHANNELS];
static uint32_t label_count; // 0: it does not say
static uint32_t channels;
static kern_return_t status;

static kern_return_t
get_info(dx_device *device, dx_device_info *ret_info)
{
    (void)device;
    memset(ret_info, 0, sizeof *ret_info);
    ret_info->size = sizeof *ret_info;
    ret_info->output_streams = 1;
    ret_info->outputs[0].client.mChannelsPerFrame = channels;
    return status == kIOReturnInvalid ? kIOReturnSuccess : status;
}

static kern_return_t
get_channel_layout(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index,
                   IOUserAudioChannelLabel *ret_labels, uint32_t capacity, uint32_t *ret_count)
{
    (void)device;
    if (direction != IOUserAudioStreamDirectionOutput || index > 0)
        return kIOReturnNotFound;
    memcpy(ret_labels, labels, (label_count < capacity ? label_count : capacity) * sizeof *labels);
    *ret_count = label_count;
    return status;
}

static const struct dx_device_ops ops = {.get_info = get_info, .get_channel_layout = get_channel_layout};
static dx_device device = {.ops = &ops, .uid = (char[]){"device"}};

static void
be_silent(void)
{
    label_count = 0;
    channels = 0;
    status = kIOReturnSuccess;
}

TestSuite(chmap, .init = be_silent);

static void
say(const IOUserAudioChannelLabel *said, uint32_t count)
{
    memcpy(labels, said, count * sizeof *said);
    label_count = count;
    channels = count;
}

/* As snd_pcm_chmap_print() has it; "" where there is none.  The list must say the same. */
static const char *
map_of(uint32_t program_channels)
{
    static char text[256];
    text[0] = '\0';
    snd_pcm_chmap_t *const map = dx_alsa_chmap_create(&device, IOUserAudioStreamDirectionOutput, 0, program_channels);
    snd_pcm_chmap_query_t **const list =
        dx_alsa_chmap_create_list(&device, IOUserAudioStreamDirectionOutput, 0, program_channels);
    cr_assert_eq(!map, !list);
    if (map) {
        cr_assert(snd_pcm_chmap_print(map, sizeof text, text) > 0);
        cr_assert_eq(map->channels, program_channels);
        cr_assert_eq(list[0]->type, SND_CHMAP_TYPE_FIXED);
        cr_assert_eq(list[0]->map.channels, program_channels);
        cr_assert_eq(memcmp(list[0]->map.pos, map->pos, program_channels * sizeof map->pos[0]), 0);
        cr_assert_null(list[1]);
    }
    free(map);
    snd_pcm_free_chmaps(list);
    return text;
}

Test(chmap, each_label_has_its_position)
{
    static const struct {
        IOUserAudioChannelLabel label;
        unsigned position;
    } expected[] = {
        {0, SND_CHMAP_NA},            {1, SND_CHMAP_FL},        {2, SND_CHMAP_FR},   {3, SND_CHMAP_FC},
        {4, SND_CHMAP_LFE},           {5, SND_CHMAP_RL},        {6, SND_CHMAP_RR},   {7, SND_CHMAP_FLC},
        {8, SND_CHMAP_FRC},           {9, SND_CHMAP_RC},        {10, SND_CHMAP_SL},  {11, SND_CHMAP_SR},
        {12, SND_CHMAP_TC},           {13, SND_CHMAP_TFL},      {14, SND_CHMAP_TFC}, {15, SND_CHMAP_TFR},
        {16, SND_CHMAP_TRL},          {17, SND_CHMAP_TRC},      {18, SND_CHMAP_TRR}, {19, SND_CHMAP_UNKNOWN},
        {33, SND_CHMAP_RL},           {34, SND_CHMAP_RR},       {35, SND_CHMAP_FLW}, {36, SND_CHMAP_FRW},
        {37, SND_CHMAP_UNKNOWN},      {42, SND_CHMAP_MONO},     {44, SND_CHMAP_RC},  {45, SND_CHMAP_UNKNOWN},
        {49, SND_CHMAP_TSL},          {51, SND_CHMAP_TSR},      {52, SND_CHMAP_TRL}, {53, SND_CHMAP_TRC},
        {54, SND_CHMAP_TRR},          {100, SND_CHMAP_UNKNOWN}, {301, SND_CHMAP_FL}, {302, SND_CHMAP_FR},
        {0x10000, SND_CHMAP_UNKNOWN}, {0xFFFFFFFF, SND_CHMAP_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        unsigned position = 77;
        dx_alsa_chmap_from_labels(&expected[i].label, 1, &position);
        cr_expect_eq(position, expected[i].position, "label %u: %u", expected[i].label, position);
    }
}

/* kAudioChannelLayoutTag_MPEG_5_1_A, and ..._7_1_C, in which Ls and Rs are at the sides. */
Test(chmap, surround_is_at_the_rear_or_before_it)
{
    say((IOUserAudioChannelLabel[]){1, 2, 3, 4, 5, 6}, 6);
    cr_expect_str_eq(map_of(6), "FL FR FC LFE RL RR");
    say((IOUserAudioChannelLabel[]){1, 2, 3, 4, 5, 6, 33, 34}, 8);
    cr_expect_str_eq(map_of(8), "FL FR FC LFE SL SR RL RR");
    say((IOUserAudioChannelLabel[]){3, 1, 2, 10, 11, 5, 6, 4}, 8);
    cr_expect_str_eq(map_of(8), "FC FL FR SL SR RL RR LFE");
}

Test(chmap, without_a_layout_one_and_two_channels_are_known)
{
    channels = 1;
    cr_expect_str_eq(map_of(1), "MONO");
    channels = 2;
    cr_expect_str_eq(map_of(2), "FL FR");
    channels = 4;
    cr_expect_str_eq(map_of(4), "");
    channels = 0;
    cr_expect_str_eq(map_of(2), "");
    label_count = channels = 2; // one that is not believed
    status = kIOReturnInvalid;
    cr_expect_str_eq(map_of(2), "FL FR");
    status = kIOReturnNotAttached;
    cr_expect_str_eq(map_of(2), "");
}

/* As adapter.h has it: the program's channels are not the device's any more. */
Test(chmap, channels_are_where_the_adapter_puts_them)
{
    say((IOUserAudioChannelLabel[]){3, 1, 2}, 3);
    cr_expect_str_eq(map_of(1), "MONO");
    cr_expect_str_eq(map_of(2), "FC FL");
    cr_expect_str_eq(map_of(5), "FC FL FR NA NA");
    say((IOUserAudioChannelLabel[]){3}, 1);
    cr_expect_str_eq(map_of(1), "FC");
    cr_expect_str_eq(map_of(2), "");
}

Test(chmap, no_stream_has_no_map)
{
    channels = 2;
    cr_expect_null(dx_alsa_chmap_create(&device, IOUserAudioStreamDirectionOutput, 1, 2));
    cr_expect_null(dx_alsa_chmap_create(&device, IOUserAudioStreamDirectionInput, 0, 2));
    cr_expect_null(dx_alsa_chmap_create_list(&device, IOUserAudioStreamDirectionInput, 0, 2));
    cr_expect_null(dx_alsa_chmap_create(&device, IOUserAudioStreamDirectionOutput, 0, UINT32_MAX));
}
