// SPDX-License-Identifier: MIT
// CDC-NCM: its requests in their order, whatever the device answers, and its blocks by way of the driver.

#include "tests/usb/cdc_rig.h"
#include "tests/usb/ncm_reference.h"

static const uint8_t plain[] = {NCM_CONFIGURATION(1, 0x00)};
static const uint8_t gadget[] = {NCM_CONFIGURATION(1, 0x11)}; // packet filter, CRC mode
static const uint8_t all[] = {NCM_CONFIGURATION(1, 0x3f)};

static uint8_t parameters[28];

static void
put(uint32_t at, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        parameters[at + i] = (uint8_t)(value >> 8 * i);
}

static void
tell_parameters(uint32_t formats, uint32_t in_max, uint32_t out_max)
{
    put(0, 28, 2);
    put(2, formats, 2);
    put(4, in_max, 4);
    put(8, 4, 2);
    put(12, 4, 2);
    put(16, out_max, 4);
    put(20, 4, 2);
    put(24, 4, 2);
    scripted.parameters = parameters;
    scripted.parameters_bytes = sizeof parameters;
}

static void
begin(const void *configuration, size_t size)
{
    rig_begin(&dx_nic_ncm, configuration, size);
    tell_parameters(3, 16384, 16384); // as the Linux gadget
}

static void
end(void)
{
    rig_close();
    rig_end();
}

/* ---- requests ---- */

/* Exactly those of the kernel's cdc_ncm with this gadget. */
#define GADGET_SEQUENCE                                                                                  \
    "claim 0\nclaim 1\nset 1 to 1\nset 1 to 0\nin 80 0 28\nout 8a 0 0\nout 84 0 0\nset 1 to 1\nstring 3\n" \
    "out 43 e 0\n"

Test(ncm_requests, opening_and_closing_make_these_requests)
{
    begin(gadget, sizeof gadget);
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    check_log(GADGET_SEQUENCE);
    cr_assert(eq(int, scripted.alternates[1], 1));
    cr_assert(eq(u32, info.in_transfer, 16384));
    cr_assert(eq(u32, info.in_count, 4));
    cr_assert(eq(u32, info.out_transfer, 16384));
    cr_assert(eq(u32, info.mac[0], 2));
    cr_assert(eq(u32, info.mac[5], 0xaa));
    rig_close();
    check_log("set 1 to 0\nrelease 1\nrelease 0\n");
    rig_end();
}

Test(ncm_requests, what_a_device_cannot_do_is_not_asked)
{
    begin(plain, sizeof plain);
    tell_parameters(1, 4096, 4096);
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    check_log("claim 0\nclaim 1\nset 1 to 1\nset 1 to 0\nin 80 0 28\nset 1 to 1\nstring 3\nout 43 e 0\n");
    cr_assert(eq(u32, info.in_transfer, 4096));
    cr_assert(eq(u32, info.in_count, 8));
    cr_assert(eq(u32, info.out_transfer, 4096));
    end();
}

Test(ncm_requests, everything_that_can_be_set_is_set)
{
    begin(all, sizeof all);
    tell_parameters(3, 32768, 0);
    scripted.max_datagram = 576;
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    check_log("claim 0\nclaim 1\nset 1 to 1\nset 1 to 0\nin 80 0 28\nout 8a 0 0\nout 84 0 0\nset 1 to 1\n"
              "string 3\nout 86 0 4\nin 87 0 2\nout 88 0 2\nout 43 e 0\n");
    cr_assert(eq(u32, info.in_transfer, 16384));
    end();
}

Test(ncm_requests, a_datagram_size_that_is_right_is_left)
{
    begin(all, sizeof all);
    scripted.max_datagram = 1514;
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    cr_assert(strstr(scripted.log, "in 87 0 2\nout 43") != NULL, "%s", scripted.log);
    end();
    begin(all, sizeof all);
    scripted.max_datagram = 2048;
    scripted.stalls[0x43] = 1;
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    cr_assert(strstr(scripted.log, "in 87 0 2\nout 88 0 2\nout 43") != NULL, "%s", scripted.log);
    cr_assert(eq(u32, scripted.sent[0] | scripted.sent[1] << 8, 1514));
    end();
}

Test(ncm_requests, none_that_is_optional_has_to_be_there)
{
    static const uint8_t optional[] = {0x84, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x43, 0x40};
    for (size_t i = 0; i <= sizeof optional; i++) {
        begin(all, sizeof all);
        tell_parameters(3, 0xffffffff, 0);
        for (size_t j = 0; j < sizeof optional; j++)
            scripted.stalls[optional[j]] = i == j || i == sizeof optional;
        cr_assert(eq(int, rig_open(), 0), "%s", why);
        end();
    }
}

Test(ncm_requests, block_parameters_have_to_be_there)
{
    begin(gadget, sizeof gadget);
    scripted.parameters = NULL;
    cr_assert(eq(int, rig_open(), -EPIPE));
    cr_assert(strstr(why, "does not tell its block parameters") != NULL, "%s", why);
    cr_assert(eq(u32, scripted.claims, 0));
    for (uint32_t bytes = 0; bytes < 28; bytes++) {
        tell_parameters(3, 16384, 16384);
        scripted.parameters_bytes = bytes;
        cr_assert(eq(int, rig_open(), -EPROTO));
        cr_assert(strstr(why, "block parameters, not 28") != NULL, "%s", why);
        cr_assert(eq(u32, scripted.claims, 0));
    }
    rig_end();
}

Test(ncm_requests, the_size_of_blocks_is_agreed_upon)
{
    /* What the device says, what it is told, whether it refuses, and the transfers. */
    static const uint32_t cases[][4] = {
        {2048, 0, 0, 2048}, {2047, 2048, 0, 2048}, {0, 2048, 0, 2048}, {1, 2048, 1, 2048}, {16384, 0, 0, 16384},
        {16385, 16384, 0, 16384}, {16385, 16384, 1, 16896}, {65536, 16384, 1, 65536},
        {0xffffffff, 16384, 1, 65536}, {0xffffffff, 16384, 0, 16384}, {5000, 0, 0, 5120},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint32_t *const c = cases[i];
        begin(plain, sizeof plain);
        tell_parameters(1, c[0], 0);
        scripted.stalls[0x86] = (uint8_t)c[2];
        cr_assert(eq(int, rig_open(), 0), "%s", why);
        cr_expect(eq(int, strstr(scripted.log, "out 86 0 4\n") != NULL, c[1] != 0), "case %zu", i);
        cr_expect(eq(u32, info.in_transfer, c[3]), "case %zu", i);
        cr_expect(ge(u32, info.in_count, 2));
        if (c[1] && !c[2])
            cr_expect(eq(u64, reference_number(scripted.sent, 4), c[1]), "case %zu", i);
        end();
    }
}

Test(ncm_requests, a_device_with_a_single_setting_is_not_toggled)
{
    static const uint8_t bytes[] = {
        CONFIGURATION(77, 2, 1), INTERFACE(0, 0, 1, 2, 0x0d, 0), CDC_HEADER, CDC_UNION(0, 1),
        CDC_ETHERNET(3, 1514, 0), CDC_NCM(0), ENDPOINT(0x81, 3, 16, 9), INTERFACE(1, 0, 2, 0x0a, 0, 1),
        ENDPOINT(0x82, 2, 512, 0), ENDPOINT(0x03, 2, 512, 0),
    };
    begin(bytes, sizeof bytes);
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    check_log("claim 0\nclaim 1\nin 80 0 28\nout 84 0 0\nset 1 to 0\nstring 3\nout 43 e 0\n");
    rig_close();
    check_log("release 1\nrelease 0\n");
    rig_end();
}

static void
prepare_everything(void)
{
    tell_parameters(3, 32768, 0);
    scripted.max_datagram = 576;
}

Test(ncm_requests, whatever_fails_nothing_stays_claimed, .timeout = 120)
{
    check_failures_at_every_step(&dx_nic_ncm, all, sizeof all, prepare_everything);
}

/* ---- blocks ---- */

static struct dx_nic_counters counters;
static uint8_t frame[1514], sent[65536];
static uint32_t sent_size;
static uint32_t got_sizes[64], got_count;

static void
take(void *context, const uint8_t *bytes, uint32_t size)
{
    cr_assert(context == &got_count);
    cr_assert(zero(i32, memcmp(bytes, frame, size)));
    got_sizes[got_count++] = size;
}

static void
send_frames(uint32_t first, uint32_t second)
{
    const uint8_t *const frames[] = {frame, frame};
    const uint32_t sizes[] = {first, second};
    bool ends_short = true;
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (uint8_t)(5 * i + 1);
    cr_assert(eq(u32, ops->frame(nic, frames, sizes, 2, sent, &sent_size, &ends_short), 2));
    cr_assert(not(ends_short));
}

/* What it sends it reads itself, as long as neither side is told otherwise. */
static void
check_round(void)
{
    send_frames(60, 1514);
    got_count = 0;
    cr_assert(eq(u32, ops->receive(nic, sent, sent_size, take, &got_count, &counters), 2));
    cr_assert(eq(u32, got_count, 2));
    cr_assert(eq(u32, got_sizes[0], 60));
    cr_assert(eq(u32, got_sizes[1], 1514));
    cr_assert(eq(u64, counters.bad_headers + counters.bad_lengths + counters.bad_sequences, 0));
}

Test(ncm_blocks, NTB_16_is_used_where_there_is_a_choice)
{
    begin(gadget, sizeof gadget);
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    check_round();
    cr_assert(zero(i32, memcmp(sent, "NCMH", 4)));
    end();
}

Test(ncm_blocks, NTB_32_is_used_where_there_is_nothing_else)
{
    begin(gadget, sizeof gadget);
    tell_parameters(2, 16384, 16384);
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    cr_assert(strstr(scripted.log, "out 84 1 0\n") != NULL, "%s", scripted.log);
    check_round();
    cr_assert(zero(i32, memcmp(sent, "ncmh", 4)));
    end();
}

Test(ncm_blocks, a_device_that_keeps_its_CRCs_gets_them_too)
{
    begin(gadget, sizeof gadget);
    scripted.stalls[0x8a] = 1;
    scripted.crc_mode = 1;
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    cr_assert(strstr(scripted.log, "out 8a 0 0\nin 89 0 2\n") != NULL, "%s", scripted.log);
    check_round();
    const uint64_t at = reference_number(sent + 10, 2);
    cr_assert(zero(i32, memcmp(sent + at, "NCM1", 4)));
    cr_assert(eq(u64, reference_number(sent + at + 10, 2), 64));
    end();

    begin(gadget, sizeof gadget);
    scripted.stalls[0x8a] = 1; // but has none
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    check_round();
    end();
}

Test(ncm_blocks, their_numbers_begin_at_0_with_each_opening)
{
    begin(gadget, sizeof gadget);
    for (int round = 0; round < 2; round++) {
        cr_assert(eq(int, rig_open(), 0), "%s", why);
        for (uint64_t i = 0; i < 3; i++) {
            check_round();
            cr_assert(eq(u64, reference_number(sent + 6, 2), i));
        }
        rig_close();
    }
    rig_end();
}

Test(ncm_blocks, after_a_reset_of_the_framing_any_number_is_right)
{
    begin(gadget, sizeof gadget);
    cr_assert(eq(int, rig_open(), 0), "%s", why);
    check_round();
    send_frames(60, 60);
    ops->reset_framing(nic);
    check_round();
    end();
}
