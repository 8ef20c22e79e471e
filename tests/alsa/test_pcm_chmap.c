// SPDX-License-Identifier: MIT
// Channel maps as a program asks alsa-lib for them, of a cable whose driver says what its channels are for.

#include "tests/alsa/rig.h"

#include <errno.h>
#include <string.h>

/* kAudioChannelLayoutTag_MPEG_5_1_A and ..._5_1_C, in the numbers of CoreAudioBaseTypes.h. */
static const IOUserAudioChannelLabel l_r_c_lfe_ls_rs[] = {1, 2, 3, 4, 5, 6};
static const IOUserAudioChannelLabel l_c_r_ls_rs_lfe[] = {1, 3, 2, 5, 6, 4};

static snd_pcm_t *
open_pcm(snd_pcm_stream_t direction)
{
    snd_pcm_t *pcm;
    CHECK_ALSA(rig_open_pcm(&pcm, "cable", direction, 0));
    return pcm;
}

static void
set_params(snd_pcm_t *pcm, unsigned channels)
{
    CHECK_ALSA(snd_pcm_set_params(pcm, SND_PCM_FORMAT_FLOAT, SND_PCM_ACCESS_RW_INTERLEAVED, channels, 48000, 0, 500000));
}

static void
say_layout(const IOUserAudioChannelLabel *labels, size_t count)
{
    IOUserAudioDevice *const object = dx_device_copy_object(rig_device());
    CHECK(object);
    CHECK_EQ(IOUserAudioDeviceSetPreferredOutputChannelLayout(object, labels, count), kIOReturnSuccess);
    OSObjectRelease(object);
}

static void
expect_text(const snd_pcm_chmap_t *map, const char *expected)
{
    char text[256];
    CHECK(map);
    CHECK(snd_pcm_chmap_print(map, sizeof text, text) > 0);
    if (strcmp(text, expected) != 0)
        (void)fprintf(stderr, "%s, not %s\n", text, expected);
    CHECK(strcmp(text, expected) == 0);
}

/* What is offered, and what is in force; NULL: neither. */
static void
expect_map(snd_pcm_t *pcm, const char *expected)
{
    snd_pcm_chmap_query_t **const maps = snd_pcm_query_chmaps(pcm);
    snd_pcm_chmap_t *const map = snd_pcm_get_chmap(pcm);
    if (expected) {
        CHECK(maps && maps[0] && !maps[1]);
        CHECK_EQ(maps[0]->type, SND_CHMAP_TYPE_FIXED);
        expect_text(&maps[0]->map, expected);
        expect_text(map, expected);
    } else {
        CHECK(!maps && !map);
    }
    snd_pcm_free_chmaps(maps);
    free(map);
}

static int
set_map(snd_pcm_t *pcm, const char *text)
{
    snd_pcm_chmap_t *const map = snd_pcm_chmap_parse_string(text);
    CHECK(map);
    const int r = snd_pcm_set_chmap(pcm, map);
    free(map);
    return r;
}

static void
a_driver_with_a_layout_has_its_map_and_no_other(void)
{
    rig_start(&(struct rig_config){.channels = 6});
    say_layout(l_r_c_lfe_ls_rs, 6);
    snd_pcm_t *const pcm = open_pcm(SND_PCM_STREAM_PLAYBACK);
    snd_pcm_chmap_query_t **const maps = snd_pcm_query_chmaps(pcm); // before anything is agreed upon
    CHECK(maps && maps[0] && !maps[1]);
    expect_text(&maps[0]->map, "FL FR FC LFE RL RR");
    snd_pcm_free_chmaps(maps);
    CHECK(!snd_pcm_get_chmap(pcm));
    CHECK_EQ(set_map(pcm, "FL FR FC LFE RL RR"), -ENXIO);
    set_params(pcm, 6);
    expect_map(pcm, "FL FR FC LFE RL RR");
    CHECK_EQ(set_map(pcm, "FL FR FC LFE RL RR"), 0);
    CHECK_EQ(set_map(pcm, "FL FR RL RR FC LFE"), -ENXIO);
    CHECK_EQ(set_map(pcm, "FL FR"), -ENXIO);
    expect_map(pcm, "FL FR FC LFE RL RR");
    CHECK_ALSA(snd_pcm_close(pcm));

    /* Nothing was said of what comes in, and six channels may be anything. */
    snd_pcm_t *const capture = open_pcm(SND_PCM_STREAM_CAPTURE);
    set_params(capture, 6);
    expect_map(capture, NULL);
    CHECK_EQ(set_map(capture, "FL FR FC LFE RL RR"), -ENXIO);
    CHECK_ALSA(snd_pcm_close(capture));
    rig_finish();
}

static void
a_driver_without_one_has_stereo(void)
{
    rig_start(&(struct rig_config){0});
    snd_pcm_t *const pcm = open_pcm(SND_PCM_STREAM_CAPTURE);
    CHECK(!snd_pcm_get_chmap(pcm));
    set_params(pcm, 2);
    expect_map(pcm, "FL FR");
    CHECK_EQ(set_map(pcm, "FL FR"), 0);
    CHECK_EQ(set_map(pcm, "FR FL"), -ENXIO);
    CHECK_ALSA(snd_pcm_close(pcm));
    rig_finish();
}

/* A program that has it open asks again. */
static void
a_device_that_changes_has_another_map(void)
{
    rig_start(&(struct rig_config){.channels = 6});
    say_layout(l_r_c_lfe_ls_rs, 6);
    snd_pcm_t *const pcm = open_pcm(SND_PCM_STREAM_PLAYBACK);
    set_params(pcm, 6);
    expect_map(pcm, "FL FR FC LFE RL RR");
    say_layout(l_c_r_ls_rs_lfe, 6);
    expect_map(pcm, "FL FC FR RL RR LFE");
    say_layout(NULL, 0);
    expect_map(pcm, NULL);

    /* Its first two channels go to two, and the others nowhere. */
    rig_stop_driver();
    expect_map(pcm, NULL);
    rig_set_channels(2);
    rig_start_driver();
    expect_map(pcm, "FL FR NA NA NA NA");
    snd_pcm_t *const two = open_pcm(SND_PCM_STREAM_PLAYBACK);
    set_params(two, 2);
    expect_map(two, "FL FR");
    rig_stop_driver();
    rig_set_channels(6);
    rig_start_driver();
    say_layout(l_c_r_ls_rs_lfe, 6);
    expect_map(pcm, "FL FC FR RL RR LFE");
    expect_map(two, "FL FC");
    CHECK_ALSA(snd_pcm_close(two));
    CHECK_ALSA(snd_pcm_close(pcm));
    rig_finish();
}

int
main(void)
{
    a_driver_with_a_layout_has_its_map_and_no_other();
    a_driver_without_one_has_stereo();
    a_device_that_changes_has_another_map();
    return 0;
}
