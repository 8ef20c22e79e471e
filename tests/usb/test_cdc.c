// SPDX-License-Identifier: MIT
// What ECM and NCM have in common: the MAC, the packet filter, and what is told of the link.

#include "backends/usb/cdc.h"

#include "tests/usb/cdc_rig.h"

static const uint8_t ecm[] = {ECM_CONFIGURATION(1, 0)};
static const uint8_t ecm_with_filters[] = {ECM_CONFIGURATION(1, 0x8004)}; // 4, not exact
static const uint8_t ecm_without_string[] = {
    CONFIGURATION(80, 2, 1), INTERFACE(0, 0, 1, 2, 6, 0), CDC_HEADER, CDC_UNION(0, 1), CDC_ETHERNET(0, 1514, 0),
    ENDPOINT(0x81, 3, 16, 9), DATA_SETTINGS(1, 0),
};

/* ---- MAC ---- */

static void
open_with_string(const char *string)
{
    rig_begin(&dx_nic_ecm, ecm, sizeof ecm);
    scripted.strings[3] = string;
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    rig_close();
    rig_end();
}

Test(cdc_mac, twelve_hex_digits_of_either_case_are_one)
{
    static const uint8_t mac[6] = {0x02, 0x1a, 0xBC, 0xde, 0xF0, 0x9f};
    static const char *const strings[] = {"021ABCDEF09F", "021abcdef09f", "021aBcDeF09f"};
    for (size_t i = 0; i < 3; i++) {
        open_with_string(strings[i]);
        cr_assert(zero(i32, memcmp(info.mac, mac, 6)), "%s", strings[i]);
        cr_assert(not(info.is_mac_made_up));
    }
}

Test(cdc_mac, anything_else_is_replaced_by_one_that_stays_the_same)
{
    static const char *const strings[] = {
        NULL,           "",             "0",            "021abcdef09",    "021abcdef09ff", "02:1a:bc:de:f0:9f",
        "021abcdef09g", "021abcdef0 9", "0x1abcdef09f", "000000000000",   "011abcdef09f",  "ffffffffffff",
        "021abcdef0@f", "021abcdef0`f", "021abcdef0/f", "021abcdef0:f",   "gggggggggggg",  "-21abcdef09f",
    };
    open_with_string(NULL);
    uint8_t first[6];
    memcpy(first, info.mac, 6);
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        open_with_string(strings[i]);
        cr_expect(info.is_mac_made_up);
        cr_expect(zero(i32, memcmp(info.mac, first, 6)), "'%s'", strings[i] ? strings[i] : "none");
        cr_expect(eq(int, info.mac[0] & 3, 2), "a station's, locally administered");
    }
}

Test(cdc_mac, an_answer_that_gets_lost_does_not_make_another_one_of_it)
{
    static const uint8_t mac[6] = {0x02, 0, 0, 0, 0, 0xaa};
    static const int errors[] = {-ETIMEDOUT, -EPROTO, -EOVERFLOW};
    rig_begin(&dx_nic_ecm, ecm, sizeof ecm);
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    uint32_t step = 1; // of the string, by the lines before it
    for (const char *at = scripted.log; at < strstr(scripted.log, "string"); at++)
        step += *at == '\n';
    rig_close();
    rig_end();
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        rig_begin(&dx_nic_ecm, ecm, sizeof ecm);
        scripted.fail_at = step;
        scripted.fail_with = errors[i];
        cr_assert(eq(int, rig_open(), 0), "%s", why);
        cr_assert(not(info.is_mac_made_up), "error %d", errors[i]);
        cr_assert(zero(i32, memcmp(info.mac, mac, 6)));
        rig_close();
        rig_end();
    }
}

Test(cdc_mac, a_device_without_a_string_is_not_asked_for_one)
{
    rig_begin(&dx_nic_ecm, ecm_without_string, sizeof ecm_without_string);
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    cr_assert(strstr(scripted.log, "string") == NULL);
    cr_assert(info.is_mac_made_up);
    rig_close();
    rig_end();
}

Test(cdc_mac, one_that_is_made_up_differs_from_place_to_place)
{
    open_with_string("");
    uint8_t first[6];
    memcpy(first, info.mac, 6);
    rig_begin(&dx_nic_ecm, ecm, sizeof ecm);
    strcpy(scripted.device.path, "1-2.4");
    scripted.strings[3] = "";
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    cr_assert(not(zero(i32, memcmp(info.mac, first, 6))));
    rig_close();
    rig_end();
}

/* ---- filter ---- */

static const uint8_t groups[5][6] = {
    {0x01, 0, 0x5e, 0, 0, 0xfb}, {0x01, 0, 0x5e, 0x45, 0, 1}, {0x01, 0, 0x5e, 0x45, 1, 2},
    {0x01, 0, 0x5e, 0, 1, 0x81}, {0x33, 0x33, 0, 0, 0, 1},
};

static void
check_filter(uint32_t count, bool is_all, const char *log)
{
    scripted.log[0] = '\0';
    cr_assert(eq(int, ops->set_filter(nic, &scripted.device, groups, count, is_all), 0));
    check_log(log);
}

Test(cdc_filter, all_groups_come_through_where_the_device_takes_no_list)
{
    rig_begin(&dx_nic_ecm, ecm, sizeof ecm);
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    cr_assert(eq(u32, info.filter_count, 0));
    check_filter(0, false, "out 43 e 0\n");
    check_filter(2, false, "out 43 e 0\n");
    check_filter(0, true, "out 43 e 0\n");
    rig_close();
    rig_end();
}

Test(cdc_filter, a_device_that_takes_a_list_gets_it_and_all_groups_come_through)
{
    rig_begin(&dx_nic_ecm, ecm_with_filters, sizeof ecm_with_filters);
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    check_filter(3, false, "out 40 3 18\nout 43 1e 0\n");
    cr_assert(eq(u32, scripted.sent_bytes, 18));
    cr_assert(zero(i32, memcmp(scripted.sent, groups, 18)));
    check_filter(4, false, "out 40 4 24\nout 43 1e 0\n");
    check_filter(5, false, "out 43 e 0\n"); // more than it takes
    check_filter(0, false, "out 43 e 0\n");
    check_filter(3, true, "out 43 e 0\n");
    scripted.stalls[0x40] = 1;
    check_filter(3, false, "out 40 3 18\nout 43 e 0\n");
    scripted.stalls[0x43] = 1;
    check_filter(3, false, "out 40 3 18\nout 43 e 0\n");
    rig_close();
    rig_end();
}

Test(cdc_filter, a_device_that_has_gone_is_told)
{
    for (uint32_t step = 1; step <= 2; step++) {
        rig_begin(&dx_nic_ecm, ecm_with_filters, sizeof ecm_with_filters);
        cr_assert(eq(int, rig_open(), 0), "%s", why);
        scripted.steps = 0;
        scripted.fail_at = step;
        scripted.fail_with = -ENODEV;
        cr_assert(eq(int, ops->set_filter(nic, &scripted.device, groups, 3, false), -ENODEV));
        rig_close();
        rig_end();
    }
}

/* ---- link ---- */

static const uint8_t up[] = {0xa1, 0x00, 1, 0, 0, 0, 0, 0};
static const uint8_t down[] = {0xa1, 0x00, 0, 0, 0, 0, 0, 0};
static const uint8_t fast[] = {
    0xa1, 0x2a, 0, 0, 0, 0, 8, 0, 0x00, 0xe1, 0xf5, 0x05, 0x80, 0x96, 0x98, 0x00,
}; // 100, 10
static const uint8_t slow[] = {0xa1, 0x2a, 0, 0, 0, 0, 8, 0, 0x80, 0x96, 0x98, 0x00, 0x80, 0x96, 0x98, 0x00};

static struct dx_nic_link told;

static bool
tell(const void *packet, uint32_t size)
{
    uint8_t *const copy = malloc(size ? size : 1); // of the exact size
    cr_assert(copy != NULL);
    memcpy(copy, packet, size);
    const bool is_news = ops->notified(nic, copy, size, &told);
    free(copy);
    return is_news;
}

static struct dx_nic_link
poll(void)
{
    struct dx_nic_link link = {0};
    cr_assert(eq(int, ops->poll_link(nic, &scripted.device, &link), 0));
    return link;
}

static void
begin_link(const struct dx_nic_ops *driver)
{
    static const uint8_t ncm[] = {NCM_CONFIGURATION(1, 0)};
    static const uint8_t parameters[28] = {28, 0, 1, 0, 0, 0x40};
    if (driver == &dx_nic_ecm)
        rig_begin(driver, ecm, sizeof ecm);
    else
        rig_begin(driver, ncm, sizeof ncm);
    scripted.parameters = parameters;
    scripted.parameters_bytes = sizeof parameters;
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    told = (struct dx_nic_link){0};
}

static void
end_link(void)
{
    rig_close();
    rig_end();
}

/* What the Linux gadget sends. */
Test(cdc_link, the_first_down_is_not_final)
{
    static const struct dx_nic_ops *const drivers[] = {&dx_nic_ecm, &dx_nic_ncm};
    for (size_t i = 0; i < 2; i++) {
        begin_link(drivers[i]);
        cr_assert(not(tell(fast, sizeof fast)), "a speed alone says nothing of the link");
        (void)tell(down, sizeof down);
        cr_assert(not(told.is_up));
        cr_assert(not(poll().is_up));
        (void)tell(fast, sizeof fast);
        cr_assert(tell(up, sizeof up));
        cr_assert(told.is_up);
        cr_assert(told.is_full_duplex);
        cr_assert(eq(u32, told.megabits, 100));
        cr_assert(poll().is_up);
        cr_assert(eq(u32, poll().megabits, 100));
        end_link();
    }
}

Test(cdc_link, only_what_changes_is_news)
{
    begin_link(&dx_nic_ecm);
    cr_assert(tell(up, sizeof up));
    cr_assert(not(tell(up, sizeof up)));
    cr_assert(tell(slow, sizeof slow));
    cr_assert(not(tell(slow, sizeof slow)));
    cr_assert(eq(u32, told.megabits, 10));
    cr_assert(tell(down, sizeof down));
    cr_assert(not(told.is_up));
    cr_assert(not(tell(down, sizeof down)));
    cr_assert(not(poll().is_up));
    cr_assert(tell(up, sizeof up));
    end_link();
}

Test(cdc_link, a_device_that_tells_nothing_is_up_at_the_second_look)
{
    begin_link(&dx_nic_ecm);
    cr_assert(not(poll().is_up));
    cr_assert(poll().is_up);
    cr_assert(poll().is_up);
    cr_assert(tell(down, sizeof down)); // and then it told
    cr_assert(not(poll().is_up));
    end_link();
}

Test(cdc_link, opening_again_forgets_what_was_told)
{
    begin_link(&dx_nic_ecm);
    (void)poll();
    (void)tell(fast, 8); // half of it
    cr_assert(tell(up, sizeof up));
    rig_close();
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    cr_assert(not(poll().is_up));
    cr_assert(poll().is_up);
    cr_assert(eq(u32, poll().megabits, 0));
    end_link();
}

Test(cdc_link, a_device_that_cannot_tell_is_up_at_once)
{
    static const uint8_t silent[] = {
        CONFIGURATION(73, 2, 1), INTERFACE(0, 0, 0, 2, 6, 0), CDC_HEADER, CDC_UNION(0, 1),
        CDC_ETHERNET(3, 1514, 0), DATA_SETTINGS(1, 0),
    };
    rig_begin(&dx_nic_ecm, silent, sizeof silent);
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    cr_assert(poll().is_up);
    end_link();
}

Test(cdc_link, a_notification_in_several_packets_is_one)
{
    for (uint32_t first = 1; first < 16; first++) {
        begin_link(&dx_nic_ecm);
        cr_assert(tell(up, sizeof up));
        cr_assert(not(tell(fast, first)));
        cr_assert(eq(u32, told.megabits, 0));
        cr_assert(tell(fast + first, 16 - first), "%u and %u bytes", first, 16 - first);
        cr_assert(eq(u32, told.megabits, 100));
        end_link();
    }
    begin_link(&dx_nic_ecm);
    cr_assert(tell(up, sizeof up));
    for (uint32_t i = 0; i < 16; i++)
        cr_assert(eq(int, tell(fast + i, 1), i == 15));
    end_link();
}

Test(cdc_link, a_half_that_never_comes_does_not_swallow_the_next_notification)
{
    begin_link(&dx_nic_ecm);
    cr_assert(not(tell(fast, 8)));
    cr_assert(tell(up, sizeof up));
    cr_assert(eq(u32, told.megabits, 0));
    cr_assert(not(tell(fast, 8)));
    cr_assert(not(tell(slow, 8)));
    cr_assert(tell(slow + 8, 8));
    cr_assert(eq(u32, told.megabits, 10));
    end_link();
}

Test(cdc_link, what_is_no_notification_does_nothing)
{
    static const uint8_t packets[][16] = {
        {0}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0x21, 0x00, 1}, {0xc0, 0x00, 1}, {0xa1, 0x01},
        {0xa1, 0x20, 0, 0, 0, 0, 2, 0, 3, 0}, {0xa1, 0x77, 1},
    };
    begin_link(&dx_nic_ecm);
    for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++) {
        for (uint32_t size = 0; size <= 16; size++)
            cr_assert(not(tell(packets[i], size)), "packet %zu, %u bytes", i, size);
        cr_assert(eq(u32, told.megabits, 0));
    }
    cr_assert(tell(up, sizeof up));
    end_link();
}

Test(cdc_link, any_bytes_at_all_are_survived)
{
    uint32_t state = 1;
    begin_link(&dx_nic_ecm);
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t packet[64];
        for (size_t i = 0; i < sizeof packet; i++) {
            state = state * 1664525u + 1013904223u;
            packet[i] = state >> 30 ? (uint8_t)(state >> 16) : 0xa1;
        }
        (void)tell(packet, state >> 26);
    }
    (void)tell(down, sizeof down);
    (void)tell(fast, sizeof fast);
    (void)tell(up, sizeof up);
    cr_assert(told.is_up);
    cr_assert(eq(u32, poll().megabits, 100));
    end_link();
}
