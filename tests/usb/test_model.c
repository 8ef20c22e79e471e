// SPDX-License-Identifier: MIT
// The models, driven by hand as the reference describes the hardware: in this process, and behind USB/IP.

#include "tests/usb/model_rig.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

static const uint8_t mac[6] = {0x00, 0x0e, 0xc6, 0x12, 0x34, 0x56};
static const uint8_t other[6] = {0x02, 0x00, 0x00, 0x00, 0x00, 0x09};
static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static bool is_served; // of the tests that run
static struct model_rig rig;
static struct watched watched;

static const char *
complaint(void)
{
    return atomic_load_explicit(&rig.model->complaint, memory_order_acquire);
}

static uint32_t
get16(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
}

static uint32_t
get32(const uint8_t *bytes)
{
    return get16(bytes) | get16(bytes + 2) << 16;
}

static void
put16(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

/* ---- AX88772 ---- */

static struct dx_model_options
strict(void)
{
    struct dx_model_options options = {.speed = DX_USB_HIGH, .is_strict = true};
    memcpy(options.mac, mac, sizeof mac);
    return options;
}

/* What asix.ko does for a 772B, the reference's section 1.4, without what it reads. */
static const struct step {
    uint8_t request;
    uint16_t value, index;
} setting_up[] = {
    {0x1f, 0x0080, 0}, {0x22, 0x0011, 0},      {0x20, 0x0060, 0},    {0x20, 0x0020, 0}, {0x20, 0x0000, 0},
    {0x20, 0x0020, 0}, {0x2a, 0x8000, 0x8001}, {0x12, 0x001d, 0x12}, {0x10, 0x0088, 0}, {0x1b, 0x0336, 0},
};
#define STEPS (sizeof setting_up / sizeof setting_up[0])

static void
do_steps(uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        CHECK_EQ(rig_out(&rig, 0x40, setting_up[i].request, setting_up[i].value, setting_up[i].index, NULL, 0), 0);
}

static void
open_ax88772(const struct dx_model_options *options)
{
    rig_open(&rig, dx_model_ax88772(options), is_served);
}

/* Sends a frame on the wire; @return whether it arrives, behind the right header. */
static bool
is_heard(const uint8_t to[6], uint32_t size)
{
    uint8_t frame[1600];
    make_frame(frame, size, to);
    rig_wire_send(&rig, frame, size);
    if (rig_transfer(&rig, &watched, 0x82, 2048, NOTHING_MS) == -ETIMEDOUT)
        return false;
    CHECK_EQ(watched.usb.status, 0);
    CHECK_EQ(watched.usb.actual, 4 + size + size % 2);
    CHECK_EQ(get16(watched.data), size);
    CHECK_EQ(get16(watched.data + 2), ~size & 0xffff);
    CHECK(memcmp(watched.data + 4, frame, size) == 0);
    return true;
}

static bool
is_said(const uint8_t *frame, uint32_t size)
{
    uint8_t seen[1600];
    put16(watched.data, size);
    put16(watched.data + 2, ~size);
    memcpy(watched.data + 4, frame, size);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x03, 4 + size, 1000), 0);
    CHECK_EQ(watched.usb.actual, 4 + size);
    const uint32_t n = rig_wire_receive(&rig, seen, sizeof seen, NOTHING_MS);
    if (!n)
        return false;
    CHECK_EQ(n, size < 60 ? 60 : size);
    CHECK(memcmp(seen, frame, size) == 0);
    return true;
}

static void
a_chip_that_was_set_up_carries_frames_of_every_size(void)
{
    const struct dx_model_options options = strict();
    uint8_t frame[1600];
    open_ax88772(&options);
    do_steps(0, STEPS);
    for (uint32_t size = 60; size <= 1514; size += size < 70 || size > 1500 ? 1 : 13)
        CHECK(is_heard(mac, size));
    for (uint32_t size = 14; size <= 1514; size += size < 70 || size > 1500 ? 1 : 13) {
        make_frame(frame, size, other);
        CHECK(is_said(frame, size));
    }
    CHECK(!complaint());
    rig_close(&rig);
}

/* The steps without which a strict chip hears nothing, and what it says then. */
static void
a_step_left_out_leaves_it_deaf_and_told_why(void)
{
    static const struct {
        uint32_t first, count;
        const char *says;
    } left_out[] = {
        {1, 1, "not selected"},     // PHY selection
        {2, 4, "was not reset"},    // the resets
        {5, 1, "in reset"},         // out of reset
        {8, 1, "no start bit"},     // RX control
        {9, 1, "medium mode is 0"}, // medium mode
    };
    const struct dx_model_options options = strict();
    for (uint32_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++) {
        open_ax88772(&options);
        do_steps(0, left_out[i].first);
        do_steps(left_out[i].first + left_out[i].count, STEPS);
        CHECK(!is_heard(mac, 100));
        CHECK(complaint());
        (void)fprintf(stderr, "  %s\n", complaint());
        CHECK(strstr(complaint(), left_out[i].says));
        CHECK(atomic_load_explicit(&rig.model->counters.deaf, memory_order_relaxed) == 1);
        /* All of them cure it. */
        do_steps(0, STEPS);
        CHECK(is_heard(mac, 100));
        CHECK(!complaint());
        rig_close(&rig);
    }
}

static void
starting_before_the_reset_leaves_it_deaf(void)
{
    const struct dx_model_options options = strict();
    open_ax88772(&options);
    do_steps(8, STEPS);
    do_steps(0, 8);
    CHECK(!is_heard(mac, 100));
    CHECK(complaint());
    rig_close(&rig);
}

static void
a_medium_mode_without_receive_enable_or_of_another_speed_leaves_it_deaf(void)
{
    static const uint16_t modes[] = {0x0206, 0x0106, 0x0304, 0x0332, 0x0307};
    const struct dx_model_options options = strict();
    open_ax88772(&options);
    do_steps(0, STEPS);
    for (uint32_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        CHECK_EQ(rig_out(&rig, 0x40, 0x1b, modes[i], 0, NULL, 0), 0);
        CHECK(!is_heard(mac, 100));
        CHECK(strstr(complaint(), "medium mode"));
    }
    CHECK_EQ(rig_out(&rig, 0x40, 0x1b, 0x0336, 0, NULL, 0), 0);
    CHECK(is_heard(mac, 100));
    rig_close(&rig);
}

static void
a_bus_that_software_keeps_leaves_it_deaf(void)
{
    const struct dx_model_options options = strict();
    uint8_t bytes[2];
    open_ax88772(&options);
    do_steps(0, STEPS);
    CHECK_EQ(rig_in(&rig, 0xc0, 0x07, 0x10, 2, bytes, 2), -EPIPE); // hardware has it
    CHECK_EQ(rig_out(&rig, 0x40, 0x06, 0, 0, NULL, 0), 0);
    CHECK_EQ(rig_in(&rig, 0xc0, 0x07, 0x10, 2, bytes, 2), 2);
    CHECK_EQ(get16(bytes), 0x003b);
    CHECK_EQ(rig_in(&rig, 0xc0, 0x07, 0x10, 3, bytes, 2), 2);
    CHECK_EQ(get16(bytes), 0x1881);
    CHECK(is_heard(mac, 100)); // an access on the way loses nothing
    (void)poll(NULL, 0, 2100);
    CHECK(!is_heard(mac, 100));
    CHECK(strstr(complaint(), "MII bus"));
    CHECK_EQ(rig_out(&rig, 0x40, 0x0a, 0, 0, NULL, 0), 0);
    CHECK(is_heard(mac, 100));
    rig_close(&rig);
}

static void
its_identity_is_that_of_its_product(void)
{
    static const struct {
        uint16_t product;
        uint8_t chip;
        uint16_t phy;
    } products[] = {{0x772a, 0x10, 0x1861}, {0x772b, 0x20, 0x1881}, {0x7720, 0x00, 0x1811}};
    for (uint32_t i = 0; i < 3; i++) {
        struct dx_model_options options = strict();
        uint8_t bytes[8];
        options.product = products[i].product;
        open_ax88772(&options);
        do_steps(1, 6);
        CHECK_EQ(get16(rig.device->device_descriptor + 8), 0x0b95);
        CHECK_EQ(get16(rig.device->device_descriptor + 10), products[i].product);
        CHECK_EQ(rig_in(&rig, 0xc0, 0x09, 0, 0, bytes, 1), 1);
        CHECK_EQ(bytes[0], products[i].chip);
        CHECK_EQ(rig_in(&rig, 0xc0, 0x13, 0, 0, bytes, 6), 6);
        CHECK(memcmp(bytes, mac, 6) == 0);
        for (uint16_t word = 0; word < 3; word++)
            CHECK_EQ(rig_in(&rig, 0xc0, 0x0b, (uint16_t)(4 + word), 0, bytes + 2 * word, 2), 2);
        CHECK(memcmp(bytes, mac, 6) == 0);
        CHECK_EQ(rig_in(&rig, 0xc0, 0x19, 0, 0, bytes, 2), 2);
        CHECK_EQ(bytes[0], 0xe0);
        CHECK_EQ(bytes[1], 0x10);
        CHECK_EQ(rig_out(&rig, 0x40, 0x06, 0, 0, NULL, 0), 0);
        CHECK_EQ(rig_in(&rig, 0xc0, 0x09, 0, 0, bytes, 1), 1);
        CHECK_EQ(bytes[0], products[i].chip | 1);
        CHECK_EQ(rig_in(&rig, 0xc0, 0x07, 0x10, 3, bytes, 2), 2);
        CHECK_EQ(get16(bytes), products[i].phy);
        /* BMSR's link is latched low. */
        CHECK_EQ(rig_in(&rig, 0xc0, 0x07, 0x10, 1, bytes, 2), 2);
        CHECK_EQ(get16(bytes) & 0x0004, 0);
        CHECK_EQ(rig_in(&rig, 0xc0, 0x07, 0x10, 1, bytes, 2), 2);
        CHECK_EQ(get16(bytes) & 0x0024, 0x0024);
        CHECK_EQ(rig_in(&rig, 0xc0, 0x07, 0x10, 5, bytes, 2), 2);
        CHECK_EQ(get16(bytes), 0x45e1);
        CHECK_EQ(rig_in(&rig, 0xc0, 0x07, 0x11, 2, bytes, 2), 2); // nobody there
        CHECK_EQ(get16(bytes), 0xffff);
        rig_close(&rig);
    }
}

/* Places in the table from the reference's section 1.8. */
static void
groups_pass_by_the_hash_table(void)
{
    static const uint8_t group[6] = {0x01, 0x00, 0x5e, 0x45, 0x00, 0x01},
                         ptp[6] = {0x01, 0x00, 0x5e, 0x00, 0x01, 0x81};
    static const uint8_t table[8] = {[5] = 0x04}, both[8] = {[5] = 0x04, [7] = 0x40};
    const struct dx_model_options options = strict();
    uint8_t bytes[8];
    open_ax88772(&options);
    do_steps(0, STEPS);
    CHECK(!is_heard(group, 100));
    CHECK_EQ(rig_out(&rig, 0x40, 0x16, 0, 0, table, 8), 8);
    CHECK_EQ(rig_in(&rig, 0xc0, 0x15, 0, 0, bytes, 8), 8);
    CHECK(memcmp(bytes, table, 8) == 0);
    CHECK(!is_heard(group, 100)); // RX control does not say so yet
    CHECK_EQ(rig_out(&rig, 0x40, 0x10, 0x0098, 0, NULL, 0), 0);
    CHECK(is_heard(group, 100));
    CHECK(!is_heard(ptp, 100));
    CHECK_EQ(rig_out(&rig, 0x40, 0x16, 0, 0, both, 8), 8);
    CHECK(is_heard(ptp, 100));
    CHECK(is_heard(broadcast, 100));
    CHECK(!is_heard(other, 100));
    CHECK_EQ(rig_out(&rig, 0x40, 0x10, 0x008a, 0, NULL, 0), 0);
    CHECK(is_heard(group, 100));
    CHECK_EQ(rig_out(&rig, 0x40, 0x10, 0x0089, 0, NULL, 0), 0);
    CHECK(is_heard(other, 100));
    CHECK_EQ(rig_out(&rig, 0x40, 0x10, 0x0080, 0, NULL, 0), 0);
    CHECK(!is_heard(broadcast, 100));
    CHECK(!complaint());
    rig_close(&rig);
}

/* All of the stream, cut where the option says, is what was put in. */
static void
bursts_are_cut_at_even_places(void)
{
    struct dx_model_options options = strict();
    uint8_t frame[1600], stream[8192];
    uint32_t expected = 0, got = 0;
    options.burst = 514;
    open_ax88772(&options);
    do_steps(0, STEPS);
    for (uint32_t size = 61; size < 1200; size += 283) {
        make_frame(frame, size, mac);
        rig_wire_send(&rig, frame, size);
        expected += 4 + size + size % 2;
    }
    while (got < expected) {
        CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 2048, 1000), 0);
        CHECK(watched.usb.actual <= 514 && watched.usb.actual % 2 == 0 && watched.usb.actual);
        memcpy(stream + got, watched.data, watched.usb.actual);
        got += watched.usb.actual;
    }
    CHECK_EQ(got, expected);
    uint32_t at = 0;
    for (uint32_t size = 61; size < 1200; size += 283) {
        make_frame(frame, size, mac);
        CHECK_EQ(get16(stream + at), size);
        CHECK_EQ(get16(stream + at + 2), ~size & 0xffff);
        CHECK(memcmp(stream + at + 4, frame, size) == 0);
        at += 4 + size + size % 2;
    }
    rig_close(&rig);
}

/* Without a packet that is not full a transfer has not ended; a header of length 0 makes one. */
static void
a_transfer_of_whole_packets_waits_for_the_next(void)
{
    const struct dx_model_options options = strict();
    uint8_t frame[508], seen[1600];
    open_ax88772(&options);
    do_steps(0, STEPS);
    make_frame(frame, sizeof frame, other);
    put16(watched.data, sizeof frame);
    put16(watched.data + 2, ~(uint32_t)sizeof frame);
    memcpy(watched.data + 4, frame, sizeof frame);
    memset(watched.data + 512, 0, 4);
    put16(watched.data + 514, 0xffff);
    watched_prepare(&rig, &watched, DX_USB_BULK, 0x03);
    watched.usb.size = 512;
    CHECK_EQ(dx_usb_submit(rig.device, &watched.usb), 0);
    watched_wait(&watched, 1);
    CHECK_EQ(watched.usb.status, 0);
    CHECK_EQ(rig_wire_receive(&rig, seen, sizeof seen, NOTHING_MS), 0);
    memmove(watched.data, watched.data + 512, 4);
    watched.usb.size = 4;
    CHECK_EQ(dx_usb_submit(rig.device, &watched.usb), 0);
    watched_wait(&watched, 2);
    CHECK_EQ(rig_wire_receive(&rig, seen, sizeof seen, 1000), sizeof frame);
    CHECK(memcmp(seen, frame, sizeof frame) == 0);
    dx_usb_unprepare(rig.device, &watched.usb);
    CHECK(atomic_load_explicit(&rig.model->counters.bad, memory_order_relaxed) == 0);
    rig_close(&rig);
}

static void
the_link_is_told_each_128_ms(void)
{
    const struct dx_model_options options = strict();
    open_ax88772(&options);
    do_steps(0, STEPS);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x81, 8, 1000), 0);
    const uint64_t begun_ns = rig_now_ns();
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQ(rig_transfer(&rig, &watched, 0x81, 8, 1000), 0);
        CHECK_EQ(watched.usb.actual, 8);
        CHECK_EQ(watched.data[0], 0xa1);
        CHECK_EQ(watched.data[2], 1);
    }
    /* Each is due 128 ms after the one before was sent, which was before it was seen. */
    CHECK(rig_now_ns() - begun_ns >= 2 * 128 * NS_PER_MS);
    atomic_store_explicit(&rig.model->has_no_cable, true, memory_order_relaxed);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x81, 8, 1000), 0);
    CHECK_EQ(watched.data[2], 0);
    CHECK(!is_heard(mac, 100));
    rig_close(&rig);
}

/* ---- CDC ---- */

static void
select_data(uint8_t alternate)
{
    CHECK_EQ(dx_usb_set_interface(rig.device, 1, alternate), 0);
}

static void
expect_notifications(bool is_up)
{
    const uint8_t speed[8] = {0xa1, 0x2a, 0, 0, 0, 0, 8, 0};
    const uint8_t connection[8] = {0xa1, 0x00, is_up, 0, 0, 0, 0, 0};
    CHECK_EQ(rig_transfer(&rig, &watched, 0x81, 16, 1000), 0);
    CHECK_EQ(watched.usb.actual, 16);
    CHECK(memcmp(watched.data, speed, 8) == 0);
    CHECK_EQ(get32(watched.data + 8), is_up ? 100000000 : 0);
    CHECK_EQ(get32(watched.data + 12), is_up ? 100000000 : 0);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x81, 16, 1000), 0);
    CHECK_EQ(watched.usb.actual, 8);
    CHECK(memcmp(watched.data, connection, 8) == 0);
}

static void
cdc_models_tell_their_mac_and_their_link(void)
{
    for (uint32_t kind = 0; kind < 2; kind++) {
        const struct dx_model_options options = strict();
        char text[64];
        rig_open(&rig, kind ? dx_model_ncm(&options) : dx_model_ecm(&options), is_served);
        CHECK_EQ(dx_usb_read_string(rig.device, 4, text, sizeof text), 12);
        CHECK(strcmp(text, "000EC6123456") == 0);
        CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 512, 100), -EPROTO); // no such endpoint at setting 0
        CHECK_EQ(rig_transfer(&rig, &watched, 0x81, 16, 100), -ETIMEDOUT);
        select_data(1);
        expect_notifications(true);
        CHECK_EQ(rig_transfer(&rig, &watched, 0x81, 16, 100), -ETIMEDOUT);
        atomic_store_explicit(&rig.model->has_no_cable, true, memory_order_relaxed);
        expect_notifications(false);
        rig_close(&rig);
    }
}

static void
ecm_takes_empty_packets_and_pad_bytes_and_goes_on_in_the_next_transfer(void)
{
    const struct dx_model_options options = strict();
    uint8_t frame[1600], seen[1600];
    rig_open(&rig, dx_model_ecm(&options), is_served);
    select_data(1);
    make_frame(frame, 100, mac);
    rig_wire_send(&rig, frame, 100);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 2048, NOTHING_MS), -ETIMEDOUT);
    CHECK(strstr(complaint(), "packet filter"));
    CHECK_EQ(rig_out(&rig, 0x21, 0x43, 0x000e, 0, NULL, 0), 0);

    make_frame(watched.data, 1024, other); // the rig sends an empty packet behind it
    CHECK_EQ(rig_transfer(&rig, &watched, 0x03, 1024, 1000), 0);
    CHECK_EQ(rig_wire_receive(&rig, seen, sizeof seen, 1000), 1024);
    make_frame(watched.data, 513, other);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x03, 513, 1000), 0);
    CHECK_EQ(rig_wire_receive(&rig, seen, sizeof seen, 1000), 513);

    make_frame(frame, 1024, mac);
    rig_wire_send(&rig, frame, 1024);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 512, 1000), 0);
    CHECK_EQ(watched.usb.actual, 512);
    CHECK(memcmp(watched.data, frame, 512) == 0);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 512, 1000), 0);
    CHECK(memcmp(watched.data, frame + 512, 512) == 0);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 512, 1000), 0);
    CHECK_EQ(watched.usb.actual, 0);
    rig_wire_send(&rig, frame, 1024);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 2048, 1000), 0);
    CHECK_EQ(watched.usb.actual, 1024);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 2048, NOTHING_MS), -ETIMEDOUT);
    CHECK(!complaint());
    rig_close(&rig);
}

static void
cdc_filters_let_through_what_they_name(void)
{
    static const uint8_t group[6] = {0x01, 0x00, 0x5e, 0x45, 0x00, 0x01},
                         second[6] = {0x01, 0x00, 0x5e, 0x45, 0x00, 0x02};
    static const struct {
        uint16_t filter;
        bool own, other, broadcast, group, second;
    } filters[] = {
        {0x0e, true, false, true, true, true},     {0x04, true, false, false, false, false},
        {0x1c, true, false, true, true, false},    {0x01, true, true, true, true, true},
        {0x00, false, false, false, false, false},
    };
    const struct dx_model_options options = strict();
    rig_open(&rig, dx_model_ecm(&options), is_served);
    select_data(1);
    CHECK_EQ(rig_out(&rig, 0x21, 0x40, 1, 0, group, 6), 6);
    CHECK_EQ(rig_out(&rig, 0x21, 0x40, 2, 0, group, 6), -EPIPE);
    for (uint32_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        const uint8_t *const to[] = {mac, other, broadcast, group, second};
        const bool passes[] = {filters[i].own, filters[i].other, filters[i].broadcast, filters[i].group,
                               filters[i].second};
        CHECK_EQ(rig_out(&rig, 0x21, 0x43, filters[i].filter, 0, NULL, 0), 0);
        for (uint32_t j = 0; j < 5; j++) {
            uint8_t frame[100];
            make_frame(frame, sizeof frame, to[j]);
            rig_wire_send(&rig, frame, sizeof frame);
            const int status = rig_transfer(&rig, &watched, 0x82, 2048, passes[j] ? 1000 : 50);
            CHECK_EQ(status, passes[j] ? 0 : -ETIMEDOUT);
        }
    }
    rig_close(&rig);
}

/* Writes a block with one datagram, its pointers at the end. @return its size. */
static uint32_t
make_block(uint8_t *block, bool is_32, const uint8_t *frame, uint32_t size)
{
    const uint32_t at = is_32 ? 18 : 14, header = is_32 ? 16 : 12, head = is_32 ? 16 : 8, entry = is_32 ? 8 : 4;
    const uint32_t pointers = (at + size + 3) & ~3u, whole = pointers + head + 2 * entry;
    memset(block, 0, whole);
    memcpy(block, is_32 ? "ncmh" : "NCMH", 4);
    put16(block + 4, header);
    put16(block + 8, whole);
    put16(block + (is_32 ? 12 : 10), pointers);
    memcpy(block + at, frame, size);
    memcpy(block + pointers, is_32 ? "ncm0" : "NCM0", 4);
    put16(block + pointers + 4, head + 2 * entry);
    put16(block + pointers + head, at);
    put16(block + pointers + head + entry / 2, size);
    return whole;
}

/* What one block holds must be these frames. */
static void
expect_block(bool is_32, uint32_t sequence, const uint32_t *sizes, uint32_t count, bool has_pointers_first)
{
    const uint8_t *const block = watched.data;
    const uint32_t header = is_32 ? 16 : 12, head = is_32 ? 16 : 8, entry = is_32 ? 8 : 4;
    CHECK(memcmp(block, is_32 ? "ncmh" : "NCMH", 4) == 0);
    CHECK_EQ(get16(block + 4), header);
    CHECK_EQ(get16(block + 6), sequence);
    CHECK_EQ(is_32 ? get32(block + 8) : get16(block + 8), watched.usb.actual);
    const uint32_t at = is_32 ? get32(block + 12) : get16(block + 10);
    CHECK(at % 4 == 0 && at + head + entry <= watched.usb.actual);
    CHECK_EQ(at == header, has_pointers_first);
    CHECK(memcmp(block + at, is_32 ? "ncm0" : "NCM0", 4) == 0);
    CHECK_EQ(get16(block + at + 4), head + (count + 1) * entry);
    for (uint32_t i = 0; i <= count; i++) {
        const uint8_t *const place = block + at + head + i * entry;
        const uint32_t index = is_32 ? get32(place) : get16(place),
                       size = is_32 ? get32(place + 4) : get16(place + 2);
        CHECK_EQ(size, i < count ? sizes[i] : 0);
        uint8_t frame[1600];
        if (i == count) {
            CHECK_EQ(index, 0);
            continue;
        }
        CHECK_EQ((index + 14) % 4, 0);
        CHECK(index >= header && index + size <= watched.usb.actual);
        make_frame(frame, size, mac);
        CHECK(memcmp(block + index, frame, size) == 0);
    }
}

static void
ncm_carries_blocks_of_both_widths_with_pointers_at_either_place(void)
{
    static const uint32_t formats[3] = {1, 3, 2}; // bmNtbFormatsSupported
    for (uint32_t kind = 0; kind < 6; kind++) {
        const bool has_16 = formats[kind % 3] & 1, is_32 = formats[kind % 3] & 2, has_pointers_first = kind >= 3;
        struct dx_model_options options = strict();
        uint8_t bytes[28], frame[1600], seen[1600];
        options.has_ntb32 = is_32;
        options.has_no_ntb16 = !has_16;
        options.has_ndp_first = has_pointers_first;
        rig_open(&rig, dx_model_ncm(&options), is_served);
        CHECK_EQ(rig_in(&rig, 0xa1, 0x80, 0, 0, bytes, 28), 28);
        CHECK_EQ(get16(bytes), 28);
        CHECK_EQ(get16(bytes + 2), formats[kind % 3]);
        CHECK_EQ(get32(bytes + 4), 16384);
        CHECK_EQ(get32(bytes + 16), 16384);
        CHECK_EQ(rig_in(&rig, 0xa1, 0x83, 0, 0, bytes, 2), 2);
        CHECK_EQ(get16(bytes), !has_16);
        CHECK_EQ(rig_out(&rig, 0x21, 0x84, 2, 0, NULL, 0), -EPIPE);
        CHECK_EQ(rig_out(&rig, 0x21, 0x84, 0, 0, NULL, 0), has_16 ? 0 : -EPIPE);
        CHECK_EQ(rig_out(&rig, 0x21, 0x84, 1, 0, NULL, 0), is_32 ? 0 : -EPIPE);
        select_data(1);
        CHECK_EQ(rig_out(&rig, 0x21, 0x84, 0, 0, NULL, 0), -EPIPE); // not while data flows
        CHECK_EQ(rig_in(&rig, 0xa1, 0x83, 0, 0, bytes, 2), 2);
        CHECK_EQ(get16(bytes), is_32);
        CHECK_EQ(rig_out(&rig, 0x21, 0x43, 0x000e, 0, NULL, 0), 0);

        for (uint32_t size = 60; size <= 1514; size += 97) {
            make_frame(frame, size, other);
            const uint32_t whole = make_block(watched.data, is_32, frame, size);
            CHECK_EQ(rig_transfer(&rig, &watched, 0x03, whole, 1000), 0);
            CHECK_EQ(rig_wire_receive(&rig, seen, sizeof seen, 1000), size);
            CHECK(memcmp(seen, frame, size) == 0);
        }
        const uint32_t sizes[3] = {61, 1514, 512};
        for (uint32_t block = 0; block < 3; block++) {
            make_frame(frame, sizes[block], mac);
            rig_wire_send(&rig, frame, sizes[block]);
            CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 16384, 1000), 0);
            expect_block(is_32, block, sizes + block, 1, has_pointers_first);
        }
        CHECK(!complaint());
        rig_close(&rig);
    }
}

static void
ncm_lets_frames_that_wait_go_together(void)
{
    const struct dx_model_options options = strict();
    const uint32_t sizes[3] = {61, 1514, 512};
    const uint8_t limited[8] = {0x00, 0x08, 0, 0, 2, 0, 0, 0}; // 2048 bytes, two datagrams
    uint8_t bytes[28], frame[1600];
    rig_open(&rig, dx_model_ncm(&options), is_served);
    CHECK_EQ(rig_in(&rig, 0xa1, 0x80, 0, 0, bytes, 28), 28);
    select_data(1);
    CHECK_EQ(rig_out(&rig, 0x21, 0x43, 0x000e, 0, NULL, 0), 0);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 3; i++) {
            make_frame(frame, sizes[i], mac);
            rig_wire_send(&rig, frame, sizes[i]);
        }
        (void)poll(NULL, 0, 50); // they are with the model
        CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 16384, 1000), 0);
        expect_block(false, 2 * round, sizes, round ? 2 : 3, false);
        if (round) {
            CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 16384, 1000), 0);
            expect_block(false, 2 * round + 1, sizes + 2, 1, false);
        }
        if (!round) {
            const uint8_t small[4] = {0xff, 0x07, 0, 0};
            CHECK_EQ(rig_out(&rig, 0x21, 0x86, 0, 0, small, 4), -EPIPE);
            CHECK_EQ(rig_out(&rig, 0x21, 0x86, 0, 0, limited, 8), 8);
            make_frame(frame, 60, mac);
            rig_wire_send(&rig, frame, 60);
            CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 16384, 1000), 0);
        }
    }
    rig_close(&rig);
}

static void
ncm_counts_blocks_that_lie(void)
{
    const struct dx_model_options options = strict();
    uint8_t bytes[28], frame[100], seen[1600];
    rig_open(&rig, dx_model_ncm(&options), is_served);
    CHECK_EQ(rig_in(&rig, 0xa1, 0x80, 0, 0, bytes, 28), 28);
    select_data(1);
    make_frame(frame, sizeof frame, other);
    static const struct {
        uint32_t at, value;
    } lies[] = {
        {0, 0x0000},   {4, 16},       {8, 1000},     {10, 0},     {10, 5},
        {10, 0xfff0},  {120, 12},     {120, 0xfffc}, {122, 0x74}, // the head
        {124, 0xfff0}, {126, 0xffff}, {126, 13},                  // the pointers
    };
    for (uint32_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        const uint32_t whole = make_block(watched.data, false, frame, sizeof frame);
        CHECK_EQ(whole, 132);
        put16(watched.data + lies[i].at, lies[i].value);
        CHECK_EQ(rig_transfer(&rig, &watched, 0x03, whole, 1000), 0);
        while (rig_wire_receive(&rig, seen, sizeof seen, 0)) {
        }
        CHECK_EQ(atomic_load_explicit(&rig.model->counters.bad, memory_order_relaxed), i + 1);
    }
    rig_close(&rig);
}

/* ---- what the host does ---- */

static void
standard_requests_are_answered_from_the_descriptors(void)
{
    const struct dx_model_options options = strict();
    uint8_t bytes[256];
    rig_open(&rig, dx_model_ecm(&options), is_served);
    CHECK_EQ(rig.device->configuration_count, 1);
    CHECK_EQ(rig.device->configurations[0].size, 80);
    CHECK_EQ(rig.device->configuration, 1);
    CHECK_EQ(rig_in(&rig, 0x80, 6, 0x0100, 0, bytes, 255), 18);
    CHECK(memcmp(bytes, rig.device->device_descriptor, 18) == 0);
    CHECK_EQ(rig_in(&rig, 0x80, 6, 0x0200, 0, bytes, 9), 9);
    CHECK_EQ(get16(bytes + 2), 80);
    CHECK_EQ(rig_in(&rig, 0x80, 6, 0x0201, 0, bytes, 9), -EPIPE);
    CHECK_EQ(rig_in(&rig, 0x80, 6, 0x0600, 0, bytes, 10), 10);
    CHECK_EQ(bytes[1], 6);
    CHECK_EQ(rig_in(&rig, 0x80, 6, 0x0309, 0x0409, bytes, 255), -EPIPE);
    CHECK_EQ(rig_in(&rig, 0x80, 8, 0, 0, bytes, 1), 1);
    CHECK_EQ(bytes[0], 1);
    CHECK_EQ(dx_usb_set_configuration(rig.device, 2), -EPIPE);
    select_data(1);
    CHECK_EQ(rig_in(&rig, 0x81, 10, 0, 1, bytes, 1), 1);
    CHECK_EQ(bytes[0], 1);
    CHECK_EQ(dx_usb_set_interface(rig.device, 1, 2), -EPIPE);
    CHECK_EQ(dx_usb_set_interface(rig.device, 5, 0), -EPIPE);
    CHECK_EQ(rig_out(&rig, 0x02, 3, 0, 0x82, NULL, 0), 0);
    CHECK_EQ(rig_in(&rig, 0x82, 0, 0, 0x82, bytes, 2), 2);
    CHECK_EQ(get16(bytes), 1);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 512, 1000), -EPIPE);
    CHECK_EQ(dx_usb_clear_halt(rig.device, 0x82), 0);
    CHECK_EQ(rig_in(&rig, 0x82, 0, 0, 0x82, bytes, 2), 2);
    CHECK_EQ(get16(bytes), 0);
    CHECK_EQ(dx_usb_reset(rig.device), 0);
    CHECK_EQ(rig_in(&rig, 0x81, 10, 0, 1, bytes, 1), 1);
    CHECK_EQ(bytes[0], 1); // the setting is back
    rig_close(&rig);
}

static void
what_waits_can_be_cancelled_and_times_out(void)
{
    static struct watched many[40];
    const struct dx_model_options options = strict();
    uint8_t frame[100];
    rig_open(&rig, dx_model_ecm(&options), is_served);
    select_data(1);
    CHECK_EQ(rig_out(&rig, 0x21, 0x43, 0x000e, 0, NULL, 0), 0);
    for (uint32_t i = 0; i < 40; i++) {
        watched_prepare(&rig, &many[i], DX_USB_BULK, 0x82);
        CHECK_EQ(dx_usb_submit(rig.device, &many[i].usb), 0);
        CHECK_EQ(dx_usb_submit(rig.device, &many[i].usb), -EINVAL); // it is under way
    }
    for (uint32_t i = 0; i < 40; i += 2)
        dx_usb_cancel(rig.device, &many[i].usb);
    for (uint32_t i = 0; i < 40; i += 2) {
        watched_wait(&many[i], 1);
        CHECK_EQ(many[i].usb.status, -ECANCELED);
    }
    /* Those that are left are served in their order. */
    for (uint32_t i = 1; i < 40; i += 2) {
        make_frame(frame, 60 + i, mac);
        rig_wire_send(&rig, frame, 60 + i);
        watched_wait(&many[i], 1);
        CHECK_EQ(many[i].usb.status, 0);
        CHECK_EQ(many[i].usb.actual, 60 + i);
        CHECK(memcmp(many[i].data, frame, 60 + i) == 0);
    }
    for (uint32_t i = 0; i < 40; i++) {
        dx_usb_cancel(rig.device, &many[i].usb); // nothing
        CHECK_EQ(atomic_load_explicit(&many[i].completions, memory_order_acquire), 1);
        dx_usb_unprepare(rig.device, &many[i].usb);
    }
    const uint64_t begun_ns = rig_now_ns();
    CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 512, 60), -ETIMEDOUT);
    CHECK(rig_now_ns() - begun_ns >= 60 * NS_PER_MS);
    rig_close(&rig);
}

static _Atomic int planned_fault;

/* Of bulk IN transfers alone. */
static int
make_fault(void *context, const struct dx_usb_transfer *transfer)
{
    (void)context;
    return transfer->kind == DX_USB_BULK && transfer->endpoint == 0x82
               ? atomic_load_explicit(&planned_fault, memory_order_acquire)
               : 0;
}

/* Changed only while no transfer is under way. */
static void
plan_fault(int fault)
{
    atomic_store_explicit(&planned_fault, fault, memory_order_release);
}

static void
faults_are_what_was_planned(void)
{
    const struct dx_model_options options = strict();
    uint8_t frame[100];
    struct dx_usb_model *const model = dx_model_ecm(&options);
    CHECK(model);
    plan_fault(0);
    model->fault = make_fault;
    rig_open(&rig, model, is_served);
    select_data(1);
    CHECK_EQ(rig_out(&rig, 0x21, 0x43, 0x000e, 0, NULL, 0), 0);
    plan_fault(-EPIPE);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 512, 1000), -EPIPE);
    plan_fault(0);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 512, 1000), -EPIPE); // halted
    CHECK_EQ(dx_usb_clear_halt(rig.device, 0x82), 0);
    plan_fault(-EOVERFLOW);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 512, 1000), -EOVERFLOW);
    plan_fault(-EINPROGRESS);
    make_frame(frame, sizeof frame, mac);
    rig_wire_send(&rig, frame, sizeof frame);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 512, 100), -ETIMEDOUT);
    plan_fault(40);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 512, 1000), 0);
    CHECK_EQ(watched.usb.actual, 40);
    plan_fault(-ENODEV);
    CHECK_EQ(rig_transfer(&rig, &watched, 0x82, 512, 1000), -ENODEV);
    plan_fault(0);
    /* It is gone and stays so; whether that is told by submit or by completion is a matter of time. */
    watched_prepare(&rig, &watched, DX_USB_BULK, 0x82);
    if (dx_usb_submit(rig.device, &watched.usb) == 0) {
        watched_wait(&watched, 1);
        CHECK_EQ(watched.usb.status, -ENODEV);
    }
    dx_usb_unprepare(rig.device, &watched.usb);
    rig_close(&rig);
}

static void
pulling_it_out_ends_every_transfer_once(void)
{
    static struct watched many[64];
    const struct dx_model_options options = strict();
    rig_open(&rig, dx_model_ncm(&options), false);
    select_data(1);
    for (uint32_t i = 0; i < 64; i++) {
        watched_prepare(&rig, &many[i], DX_USB_BULK, 0x82);
        CHECK_EQ(dx_usb_submit(rig.device, &many[i].usb), 0);
    }
    dx_usb_model_unplug(rig.device);
    for (uint32_t i = 0; i < 64; i++) {
        watched_wait(&many[i], 1);
        CHECK_EQ(many[i].usb.status, -ENODEV);
    }
    CHECK_EQ(dx_usb_submit(rig.device, &many[0].usb), -ENODEV);
    (void)poll(NULL, 0, 20);
    for (uint32_t i = 0; i < 64; i++) {
        CHECK_EQ(atomic_load_explicit(&many[i].completions, memory_order_acquire), 1);
        dx_usb_unprepare(rig.device, &many[i].usb);
    }
    rig_close(&rig);
}

static void
a_wire_that_answers_at_once_is_heard(void)
{
    struct dx_model_options options = {.speed = DX_USB_HIGH};
    memcpy(options.mac, mac, sizeof mac);
    uint8_t frame[400], seen[1600];
    open_ax88772(&options); // not strict: hears from the start
    make_frame(frame, sizeof frame, mac);
    CHECK(is_said(frame, sizeof frame));
    CHECK(is_heard(other, 300));
    CHECK_EQ(rig_wire_receive(&rig, seen, sizeof seen, 0), 0);
    rig_close(&rig);
}

int
main(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        is_served = i;
        (void)fprintf(stderr, "%s\n", is_served ? "behind USB/IP:" : "in this process:");
        RUN(a_chip_that_was_set_up_carries_frames_of_every_size);
        RUN(a_step_left_out_leaves_it_deaf_and_told_why);
        RUN(starting_before_the_reset_leaves_it_deaf);
        RUN(a_medium_mode_without_receive_enable_or_of_another_speed_leaves_it_deaf);
        RUN(a_bus_that_software_keeps_leaves_it_deaf);
        RUN(its_identity_is_that_of_its_product);
        RUN(groups_pass_by_the_hash_table);
        RUN(bursts_are_cut_at_even_places);
        RUN(a_transfer_of_whole_packets_waits_for_the_next);
        RUN(the_link_is_told_each_128_ms);
        RUN(cdc_models_tell_their_mac_and_their_link);
        RUN(ecm_takes_empty_packets_and_pad_bytes_and_goes_on_in_the_next_transfer);
        RUN(cdc_filters_let_through_what_they_name);
        RUN(ncm_carries_blocks_of_both_widths_with_pointers_at_either_place);
        RUN(ncm_lets_frames_that_wait_go_together);
        RUN(ncm_counts_blocks_that_lie);
        RUN(standard_requests_are_answered_from_the_descriptors);
        RUN(what_waits_can_be_cancelled_and_times_out);
        RUN(faults_are_what_was_planned);
        RUN(a_wire_that_answers_at_once_is_heard);
    }
    RUN(pulling_it_out_ends_every_transfer_once);
    return 0;
}
