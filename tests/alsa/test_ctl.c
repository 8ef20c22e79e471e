// SPDX-License-Identifier: MIT
// A device's controls through alsa-lib: seen, changed, and told of when others change them.

#include "tests/alsa/rig.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define DEVICE "org.dextral.simple"
#define VOLUME "Capture Volume"
#define SOURCE "Source Capture Enum"
#define VOLUME_KEY "vlme/inpt/0"

static void
set_id(snd_ctl_elem_id_t *id, const char *name)
{
    snd_ctl_elem_id_clear(id);
    snd_ctl_elem_id_set_interface(id, SND_CTL_ELEM_IFACE_MIXER);
    snd_ctl_elem_id_set_name(id, name);
}

static snd_ctl_t *
open_ctl(void)
{
    snd_ctl_t *ctl;
    CHECK_ALSA(rig_open_ctl(&ctl, DEVICE));
    return ctl;
}

static long
read_integer(snd_ctl_t *ctl, const char *name)
{
    snd_ctl_elem_id_t *id;
    snd_ctl_elem_value_t *value;
    snd_ctl_elem_id_alloca(&id);
    snd_ctl_elem_value_alloca(&value);
    set_id(id, name);
    snd_ctl_elem_value_set_id(value, id);
    CHECK_ALSA(snd_ctl_elem_read(ctl, value));
    return strcmp(name, SOURCE) == 0 ? (long)snd_ctl_elem_value_get_enumerated(value, 0)
                                     : snd_ctl_elem_value_get_integer(value, 0);
}

static int
write_integer(snd_ctl_t *ctl, const char *name, long number)
{
    snd_ctl_elem_id_t *id;
    snd_ctl_elem_value_t *value;
    snd_ctl_elem_id_alloca(&id);
    snd_ctl_elem_value_alloca(&value);
    set_id(id, name);
    snd_ctl_elem_value_set_id(value, id);
    if (strcmp(name, SOURCE) == 0)
        snd_ctl_elem_value_set_enumerated(value, 0, (unsigned)number);
    else
        snd_ctl_elem_value_set_integer(value, 0, number);
    return snd_ctl_elem_write(ctl, value);
}

/* Waits for an event, and checks that it is of this element. */
static void
expect_event(snd_ctl_t *ctl, const char *name, unsigned mask)
{
    snd_ctl_event_t *event;
    snd_ctl_event_alloca(&event);
    int r;
    do {
        CHECK_ALSA(snd_ctl_wait(ctl, 10000));
        r = snd_ctl_read(ctl, event);
    } while (r == -EAGAIN); // something else of the device has changed
    CHECK_ALSA(r);
    CHECK_EQ(snd_ctl_event_get_type(event), SND_CTL_EVENT_ELEM);
    CHECK(strcmp(snd_ctl_event_elem_get_name(event), name) == 0);
    CHECK_EQ(snd_ctl_event_elem_get_mask(event), mask);
}

static void
a_card_is_the_device(void)
{
    snd_ctl_t *const ctl = open_ctl();
    snd_ctl_card_info_t *info;
    snd_ctl_card_info_alloca(&info);
    CHECK_ALSA(snd_ctl_card_info(ctl, info));
    CHECK(strcmp(snd_ctl_card_info_get_name(info), "Simple Audio Device") == 0);
    CHECK(strcmp(snd_ctl_card_info_get_longname(info), DEVICE) == 0);
    CHECK_ALSA(snd_ctl_close(ctl));
}

static void
every_control_is_listed_with_its_range(void)
{
    snd_ctl_t *const ctl = open_ctl();
    snd_ctl_elem_list_t *list;
    snd_ctl_elem_list_alloca(&list);
    CHECK_ALSA(snd_ctl_elem_list(ctl, list));
    CHECK_EQ(snd_ctl_elem_list_get_count(list), 2);
    snd_ctl_elem_id_t *id;
    snd_ctl_elem_info_t *info;
    snd_ctl_elem_id_alloca(&id);
    snd_ctl_elem_info_alloca(&info);
    set_id(id, VOLUME);
    snd_ctl_elem_info_set_id(info, id);
    CHECK_ALSA(snd_ctl_elem_info(ctl, info));
    CHECK_EQ(snd_ctl_elem_info_get_type(info), SND_CTL_ELEM_TYPE_INTEGER);
    CHECK_EQ(snd_ctl_elem_info_get_min(info), 0);
    CHECK_EQ(snd_ctl_elem_info_get_max(info), 9600);
    CHECK(snd_ctl_elem_info_is_writable(info));
    snd_ctl_elem_info_clear(info);
    set_id(id, SOURCE);
    snd_ctl_elem_info_set_id(info, id);
    snd_ctl_elem_info_set_item(info, 2);
    CHECK_ALSA(snd_ctl_elem_info(ctl, info));
    CHECK_EQ(snd_ctl_elem_info_get_type(info), SND_CTL_ELEM_TYPE_ENUMERATED);
    CHECK_EQ(snd_ctl_elem_info_get_items(info), 3);
    CHECK(strcmp(snd_ctl_elem_info_get_item_name(info), "Loopback") == 0);
    set_id(id, "Nothing");
    snd_ctl_elem_info_set_id(info, id);
    CHECK_EQ(snd_ctl_elem_info(ctl, info), -ENOENT);
    CHECK_ALSA(snd_ctl_close(ctl));
}

static void
numbers_are_decibels(void)
{
    snd_ctl_t *const ctl = open_ctl();
    snd_ctl_elem_id_t *id;
    snd_ctl_elem_id_alloca(&id);
    set_id(id, VOLUME);
    snd_ctl_elem_id_set_numid(id, 2);
    long min, max, hundredths;
    CHECK_ALSA(snd_ctl_get_dB_range(ctl, id, &min, &max));
    CHECK_EQ(min, -9600);
    CHECK_EQ(max, 0);
    CHECK_ALSA(snd_ctl_convert_to_dB(ctl, id, 8400, &hundredths));
    CHECK_EQ(hundredths, -1200);
    CHECK_ALSA(snd_ctl_close(ctl));
}

static void
what_is_set_is_what_the_device_has(void)
{
    snd_ctl_t *const ctl = open_ctl();
    dx_device *const device = rig_find_device(DEVICE);
    CHECK_EQ(write_integer(ctl, VOLUME, 3600), 1);
    CHECK_EQ(write_integer(ctl, VOLUME, 3600), 0); // nothing new
    dx_control_info info = {.size = sizeof info};
    CHECK_EQ(dx_device_get_control(device, VOLUME_KEY, &info), kIOReturnSuccess);
    CHECK(info.decibels == -60.0f);
    CHECK_EQ(read_integer(ctl, VOLUME), 3600);
    CHECK_EQ(write_integer(ctl, SOURCE, 1), 1);
    CHECK_EQ(read_integer(ctl, SOURCE), 1);
    CHECK_EQ(write_integer(ctl, SOURCE, 3), -EINVAL);
    dx_device_release(device);
    CHECK_ALSA(snd_ctl_close(ctl));
}

static void
a_change_by_somebody_else_is_told(void)
{
    snd_ctl_t *const ctl = open_ctl();
    CHECK_ALSA(snd_ctl_subscribe_events(ctl, 1));
    dx_device *const device = rig_find_device(DEVICE);
    CHECK_EQ(dx_device_set_control_decibels(device, VOLUME_KEY, -20.0f), kIOReturnSuccess);
    expect_event(ctl, VOLUME, SND_CTL_EVENT_MASK_VALUE);
    CHECK_EQ(read_integer(ctl, VOLUME), 7600);
    snd_ctl_t *const other = open_ctl();
    CHECK_EQ(write_integer(other, SOURCE, 2), 1);
    expect_event(ctl, SOURCE, SND_CTL_EVENT_MASK_VALUE);
    CHECK_ALSA(snd_ctl_close(other));
    dx_device_release(device);
    CHECK_ALSA(snd_ctl_close(ctl));
}

static void
controls_that_go_and_come_are_told(void)
{
    snd_ctl_t *const ctl = open_ctl();
    CHECK_ALSA(snd_ctl_subscribe_events(ctl, 1));
    rig_stop_simple();
    expect_event(ctl, SOURCE, SND_CTL_EVENT_MASK_REMOVE);
    expect_event(ctl, VOLUME, SND_CTL_EVENT_MASK_REMOVE);
    CHECK_EQ(write_integer(ctl, VOLUME, 1), -ENOENT);
    rig_start_simple();
    expect_event(ctl, SOURCE, SND_CTL_EVENT_MASK_ADD);
    expect_event(ctl, VOLUME, SND_CTL_EVENT_MASK_ADD);
    CHECK_ALSA(write_integer(ctl, VOLUME, 1));
    CHECK_ALSA(snd_ctl_close(ctl));
}

static void
a_device_without_controls_has_none(void)
{
    snd_ctl_t *ctl;
    CHECK_ALSA(rig_open_ctl(&ctl, ""));
    snd_ctl_elem_list_t *list;
    snd_ctl_elem_list_alloca(&list);
    CHECK_ALSA(snd_ctl_elem_list(ctl, list));
    CHECK_EQ(snd_ctl_elem_list_get_count(list), 0);
    CHECK_ALSA(snd_ctl_close(ctl));
    CHECK_EQ(rig_open_ctl(&ctl, "nobody"), -ENODEV);
}

int
main(void)
{
    const struct rig_config config = {.output_safety_frames = 0};
    rig_start(&config);
    rig_start_simple();
    RUN(a_card_is_the_device);
    RUN(every_control_is_listed_with_its_range);
    RUN(numbers_are_decibels);
    RUN(what_is_set_is_what_the_device_has);
    RUN(a_change_by_somebody_else_is_told);
    RUN(controls_that_go_and_come_are_told);
    RUN(a_device_without_controls_has_none);
    rig_stop_simple();
    rig_finish();
    return 0;
}
