// SPDX-License-Identifier: MIT
// CDC-ECM: its requests in their order, and its frames.

#include "tests/usb/cdc_rig.h"

#include <stdatomic.h>

static const uint8_t ecm[] = {ECM_CONFIGURATION(1, 0)};

/* ---- requests ---- */

/* The kernel's cdc_ether makes the same ones, but for "set 1 to 0". */
#define SEQUENCE "claim 0\nclaim 1\nset 1 to 0\nset 1 to 1\nstring 3\nout 43 e 0\n"

Test(ecm_requests, opening_and_closing_make_these_requests)
{
    rig_begin(&dx_nic_ecm, ecm, sizeof ecm);
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    check_log(SEQUENCE);
    rig_close();
    check_log("set 1 to 0\nrelease 1\nrelease 0\n");
    rig_end();
}

Test(ecm_requests, another_configuration_is_set)
{
    static const uint8_t rndis[] = {RNDIS_CONFIGURATION(1)}, second[] = {ECM_CONFIGURATION(2, 0)};
    scripted_begin(&scripted, 1);
    scripted_add_configuration(&scripted, rndis, sizeof rndis);
    scripted_add_configuration(&scripted, second, sizeof second);
    ops = &dx_nic_ecm;
    nic = calloc(1, ops->bytes);
    cr_assert(eq(int, ops->probe(nic, &scripted.device, &info, why), 0), "%s", why);
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    cr_assert(eq(int, scripted.device.configuration, 2));
    cr_assert(strncmp(scripted.log, "configuration 2\nclaim 0\nclaim 1\n", 32) == 0, "%s", scripted.log);
    rig_close();
    check_log("set 1 to 0\nrelease 1\nrelease 0\n");
    rig_end();
}

Test(ecm_requests, a_single_setting_may_refuse_to_be_selected)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(71, 2, 1), INTERFACE(0, 0, 1, 2, 6, 0), CDC_HEADER, CDC_UNION(0, 1),
        CDC_ETHERNET(3, 1514, 0), ENDPOINT(0x81, 3, 16, 9), INTERFACE(1, 0, 2, 0x0a, 0, 0),
        ENDPOINT(0x82, 2, 512, 0), ENDPOINT(0x03, 2, 512, 0),
    };
    rig_begin(&dx_nic_ecm, bytes, sizeof bytes);
    scripted.fail_at = 3;
    scripted.fail_with = -EPIPE;
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    check_log("claim 0\nclaim 1\nset 1 to 0\nstring 3\nout 43 e 0\n");
    scripted.fail_at = 0;
    rig_close();
    check_log("release 1\nrelease 0\n");
    rig_end();
}

Test(ecm_requests, a_refused_packet_filter_is_no_error)
{
    rig_begin(&dx_nic_ecm, ecm, sizeof ecm);
    scripted.stalls[0x43] = 1;
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    check_log(SEQUENCE);
    rig_close();
    rig_end();
}

Test(ecm_requests, whatever_fails_nothing_stays_claimed)
{
    check_failures_at_every_step(&dx_nic_ecm, ecm, sizeof ecm, NULL);
}

/* ---- receiving ---- */

static struct dx_nic_counters counters;
static const uint8_t *got;
static uint32_t got_size, got_count;

static void
take(void *context, const uint8_t *frame, uint32_t size)
{
    cr_assert(context == &got_count);
    got = frame;
    got_size = size;
    got_count++;
}

/*
 * @return the size of the one frame that a transfer of so many bytes has; 0: none, and it was counted as bad or
 * not.
 */
static uint32_t
receive(uint32_t size, bool is_bad)
{
    uint8_t *const bytes = malloc(size ? size : 1); // of the exact size
    cr_assert(bytes != NULL);
    memset(bytes, 0x55, size);
    counters = (struct dx_nic_counters){0};
    got_count = 0;
    const uint32_t count = ops->receive(nic, bytes, size, take, &got_count, &counters);
    cr_assert(eq(u32, count, got_count));
    cr_assert(le(u32, count, 1));
    cr_assert(eq(u64, counters.bad_lengths, is_bad));
    cr_assert(count == 0 || got == bytes);
    free(bytes);
    return count ? got_size : 0;
}

Test(ecm_receive, a_transfer_is_a_frame)
{
    rig_begin(&dx_nic_ecm, ecm, sizeof ecm);
    for (uint32_t size = 14; size <= 1514; size++)
        cr_assert(eq(u32, receive(size, false), size));
    rig_end();
}

Test(ecm_receive, an_empty_transfer_is_nothing)
{
    rig_begin(&dx_nic_ecm, ecm, sizeof ecm);
    cr_assert(eq(u32, receive(0, false), 0));
    rig_end();
}

Test(ecm_receive, what_is_too_short_or_too_long_is_counted_and_dropped)
{
    rig_begin(&dx_nic_ecm, ecm, sizeof ecm);
    for (uint32_t size = 1; size < 14; size++)
        cr_assert(eq(u32, receive(size, true), 0));
    for (uint32_t size = 1515; size < 2048; size++)
        cr_assert(eq(u32, receive(size, true), 0)); // two frames that ran together, too
    cr_assert(eq(u32, receive(60, false), 60));
    rig_end();
}

/* Frames that end with a packet, from a device that sends nothing behind them, run together over a transfer's end. */
Test(ecm_receive, the_rest_of_what_did_not_fit_is_no_frame)
{
    rig_begin(&dx_nic_ecm, ecm, sizeof ecm);
    cr_assert(eq(u32, receive(2048, true), 0));
    cr_assert(eq(u32, receive(2048, true), 0));
    cr_assert(eq(u32, receive(476, true), 0));
    cr_assert(eq(u32, receive(60, false), 60));
    cr_assert(eq(u32, receive(2048, true), 0));
    cr_assert(eq(u32, receive(0, false), 0)); // it ended there
    cr_assert(eq(u32, receive(60, false), 60));
    cr_assert(eq(u32, receive(2048, true), 0));
    ops->reset_framing(nic);
    cr_assert(eq(u32, receive(60, false), 60));
    rig_end();
}

/* A frame of three packets of 504 bytes and then one byte, instead of an empty packet. */
Test(ecm_receive, the_byte_that_ends_the_longest_frame_is_none_of_it)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(80, 2, 1), INTERFACE(0, 0, 1, 2, 6, 0), CDC_HEADER, CDC_UNION(0, 1),
        CDC_ETHERNET(3, 1518, 0), ENDPOINT(0x81, 3, 16, 9), INTERFACE(1, 0, 0, 0x0a, 0, 0),
        INTERFACE(1, 1, 2, 0x0a, 0, 0), ENDPOINT(0x82, 2, 506, 0), ENDPOINT(0x03, 2, 506, 0),
    };
    rig_begin(&dx_nic_ecm, bytes, sizeof bytes); // 1518 is three packets
    cr_assert(eq(u32, info.in_transfer % 506, 0));
    cr_assert(eq(u32, receive(1518, false), 1518));
    cr_assert(eq(u32, receive(1519, false), 1518));
    cr_assert(eq(u32, receive(1520, true), 0));
    cr_assert(eq(u32, receive(507, false), 507)); // a frame, or one and its end: its own header says which
    rig_end();
}

/* ---- sending ---- */

Test(ecm_send, a_frame_is_a_transfer_that_ends_short)
{
    rig_begin(&dx_nic_ecm, ecm, sizeof ecm);
    cr_assert(eq(u32, info.out_transfer, 1514));
    uint8_t frame[1514];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (uint8_t)(3 * i);
    for (uint32_t size = 14; size <= 1514; size++) {
        const uint8_t *const frames[] = {frame, frame};
        const uint32_t sizes[] = {size, 60};
        uint32_t sent_size = 0;
        bool ends_short = false;
        uint8_t *const sent = malloc(info.out_transfer);
        cr_assert(sent != NULL);
        cr_assert(eq(u32, ops->frame(nic, frames, sizes, 2, sent, &sent_size, &ends_short), 1));
        cr_assert(eq(u32, sent_size, size));
        cr_assert(ends_short);
        cr_assert(zero(i32, memcmp(sent, frame, size)));
        free(sent);
    }
    rig_end();
}

Test(ecm_send, a_frame_that_is_too_short_or_too_long_is_not_taken)
{
    rig_begin(&dx_nic_ecm, ecm, sizeof ecm);
    static const uint8_t frame[1514];
    const uint8_t *const frames[] = {frame};
    uint8_t sent[1514];
    const uint32_t wrong[] = {0, 13, 1515, UINT32_MAX};
    for (size_t i = 0; i < 4; i++) {
        uint32_t size;
        bool ends_short;
        cr_assert(eq(u32, ops->frame(nic, frames, &wrong[i], 1, sent, &size, &ends_short), 0));
        cr_assert(eq(u32, ops->frame(nic, frames, &wrong[i], 0, sent, &size, &ends_short), 0));
    }
    rig_end();
}
