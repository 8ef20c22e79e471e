// SPDX-License-Identifier: MIT
// Neighbours: who is asked how often, who is answered, what is remembered and for how long.

#include "tests/net/fake_wire.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

static struct heard heard;
static struct dx_udp *udp;

static void
start(void)
{
    memset(&heard, 0, sizeof heard);
    wire_start(NULL);
    wire_run_for(10 * S); // past the announcements
    wire_forget_sent();
    udp = wire_open(0, 5004, &heard);
}

TestSuite(arp, .init = start, .fini = wire_stop);

static int
send_byte(uint32_t to, char byte)
{
    return dx_udp_send(udp, &(struct dx_udp_address){to, 4000}, &byte, 1);
}

/* An ARP frame of ours: RFC 826. */
static void
expect_arp(const struct sent *sent, uint32_t operation, uint64_t to_mac, uint32_t from, uint32_t about)
{
    cr_assert(sent != NULL);
    cr_assert(eq(u32, sent->size, 42));
    cr_assert(eq(u64, get48(sent->bytes), to_mac));
    cr_assert(eq(u64, get48(sent->bytes + 6), OUR_MAC));
    cr_assert(eq(u32, get32(sent->bytes + 12), 0x08060001));
    cr_assert(eq(u32, get32(sent->bytes + 16), 0x08000604));
    cr_assert(eq(u32, get16(sent->bytes + 20), operation));
    cr_assert(eq(u64, get48(sent->bytes + 22), OUR_MAC));
    cr_assert(eq(u32, get32(sent->bytes + 28), from));
    cr_assert(eq(u32, get32(sent->bytes + 38), about));
}

// RFC 5227, 2.3: two, two seconds apart.
Test(arp, a_configured_address_is_announced_twice)
{
    wire_start(NULL);
    wire_run_for(20 * S);
    const struct sent *sent = wire_take_arp();
    expect_arp(sent, 1, ALL_MACS, OUR_IP, OUR_IP);
    cr_assert(eq(u64, sent->at_ns, 1 * S));
    sent = wire_take_arp();
    expect_arp(sent, 1, ALL_MACS, OUR_IP, OUR_IP);
    cr_assert(eq(u64, sent->at_ns, 3 * S));
    cr_assert(wire_take_arp() == NULL);
}

Test(arp, a_question_about_us_is_answered_to_who_asked)
{
    wire_give_arp(1, ALL_MACS, PEER_MAC, PEER_IP, 0, OUR_IP);
    const struct sent *const sent = wire_take();
    expect_arp(sent, 2, PEER_MAC, OUR_IP, PEER_IP);
    cr_assert(eq(u64, get48(sent->bytes + 32), PEER_MAC));
    wire_give_arp(1, ALL_MACS, PEER_MAC, PEER_IP, 0, OTHER_IP);
    cr_assert(wire_take() == NULL);
    // RFC 5227, 2.1.1: a probe has no sender's address, and is answered.
    wire_give_arp(1, ALL_MACS, PEER_MAC, 0, 0, OUR_IP);
    expect_arp(wire_take(), 2, PEER_MAC, OUR_IP, 0);
}

// RFC 1122, 2.3.2.1: one a second. Three of them.
Test(arp, a_neighbour_that_does_not_answer_is_asked_three_times_a_second_apart)
{
    const uint64_t begin_ns = wire.now_ns;
    cr_assert(eq(int, send_byte(PEER_IP, 'a'), 0));
    wire_run_for(60 * S);
    for (uint32_t i = 0; i < 3; i++) {
        const struct sent *const sent = wire_take();
        expect_arp(sent, 1, ALL_MACS, OUR_IP, PEER_IP);
        cr_assert(eq(u64, sent->at_ns, begin_ns + i * S));
    }
    cr_assert(wire_take() == NULL);
    cr_assert(eq(u64, wire_counters().arp_timeouts, 1));
    cr_assert(eq(u64, wire_counters().arp_dropped, 1));
}

Test(arp, what_waits_for_an_answer_is_sent_in_order)
{
    for (char c = 'a'; c < 'e'; c++)
        cr_assert(eq(int, send_byte(PEER_IP, c), 0));
    cr_assert(eq(int, send_byte(PEER_IP, 'e'), -ENOBUFS)); // four for one neighbour
    cr_assert(eq(int, send_byte(OTHER_IP, 'x'), 0));
    wire_run_for(S / 2);
    expect_arp(wire_take(), 1, ALL_MACS, OUR_IP, PEER_IP);
    expect_arp(wire_take(), 1, ALL_MACS, OUR_IP, OTHER_IP);
    cr_assert(wire_take() == NULL);
    wire_give_arp(2, OUR_MAC, PEER_MAC, PEER_IP, OUR_MAC, OUR_IP);
    for (char c = 'a'; c < 'e'; c++) {
        const struct sent *const sent = wire_take();
        cr_assert(eq(u64, get48(sent->bytes), PEER_MAC));
        cr_assert(eq(chr, (char)sent->bytes[42], c));
    }
    cr_assert(wire_take() == NULL);
    cr_assert(eq(int, send_byte(PEER_IP, 'f'), 0));
    cr_assert(eq(chr, (char)wire_take()->bytes[42], 'f'));
    wire_give_arp(2, OUR_MAC, OTHER_MAC, OTHER_IP, OUR_MAC, OUR_IP);
    cr_assert(eq(u64, get48(wire_take()->bytes), OTHER_MAC));
}

Test(arp, neighbours_that_are_not_there_leave_room_for_others)
{
    for (uint32_t i = 0; i < 4; i++) // as many datagrams as there may be
        for (uint32_t j = 0; j < 4; j++)
            cr_assert(eq(int, send_byte(0xc0000264 + i, 'a'), 0));
    cr_assert(eq(int, send_byte(PEER_IP, 'b'), -ENOBUFS));
    wire_run_for(3 * S);
    cr_assert(eq(int, send_byte(PEER_IP, 'b'), 0));
    cr_assert(eq(u64, wire_counters().arp_timeouts, 4));
}

Test(arp, other_networks_are_reached_by_the_gateway_and_without_one_not_at_all)
{
    cr_assert(eq(int, send_byte(0x08080808, 'a'), 0));
    wire_run_for(S / 10);
    expect_arp(wire_take(), 1, ALL_MACS, OUR_IP, ROUTER_IP);
    wire_give_arp(2, OUR_MAC, OTHER_MAC, ROUTER_IP, OUR_MAC, OUR_IP);
    const struct sent *const sent = wire_take();
    cr_assert(eq(u64, get48(sent->bytes), OTHER_MAC));
    cr_assert(eq(u32, get32(sent->bytes + 30), 0x08080808));
    wire_stop();
    wire_start(&(struct dx_net_stack_config){.address = OUR_IP, .netmask = 0xffffff00});
    udp = wire_open(0, 5004, &heard);
    cr_assert(eq(int, send_byte(0x08080808, 'a'), -ENETUNREACH));
}

// RFC 1122, 2.3.2.1: asked again after a minute, itself alone, and used meanwhile.
Test(arp, a_neighbour_in_use_is_asked_again_before_it_is_forgotten)
{
    wire_give_arp(1, ALL_MACS, PEER_MAC, PEER_IP, 0, OUR_IP);
    wire_forget_sent();
    const uint64_t begin_ns = wire.now_ns;
    uint32_t asked = 0;
    for (uint32_t i = 0; i < 3000; i++) { // five minutes, ten a second
        cr_assert(eq(int, send_byte(PEER_IP, 'a'), 0));
        wire_run_for(S / 10);
        const struct sent *sent;
        bool has_gone = false;
        while ((sent = wire_take())) {
            if (get16(sent->bytes + 12) == 0x0806) {
                expect_arp(sent, 1, PEER_MAC, OUR_IP, PEER_IP);
                cr_assert(eq(u64, sent->at_ns, begin_ns + (asked + 1) * 60 * S));
                wire_give_arp(2, OUR_MAC, PEER_MAC, PEER_IP, OUR_MAC, OUR_IP);
                asked++;
            } else {
                has_gone = true;
            }
        }
        cr_assert(has_gone, "nothing was sent after %u", i);
    }
    cr_assert(eq(u32, asked, 5));
    // Now it is silent: 60 s, three questions, and it is forgotten.
    wire_run_for(70 * S);
    cr_assert(eq(int, send_byte(PEER_IP, 'a'), 0));
    wire_forget_sent();
    wire_run_for(S / 10);
    expect_arp(wire_take(), 1, ALL_MACS, OUR_IP, PEER_IP);
}

Test(arp, a_neighbour_that_moved_is_followed)
{
    wire_give_arp(1, ALL_MACS, PEER_MAC, PEER_IP, 0, OUR_IP);
    wire_give_arp(1, ALL_MACS, OTHER_MAC, PEER_IP, 0, PEER_IP); // gratuitous
    wire_forget_sent();
    cr_assert(eq(int, send_byte(PEER_IP, 'a'), 0));
    cr_assert(eq(u64, get48(wire_take()->bytes), OTHER_MAC));
}

// Whoever asks for us is written down; a thousand of them do not push out the one we talk to.
Test(arp, strangers_do_not_push_out_who_is_in_use)
{
    wire_give_arp(1, ALL_MACS, PEER_MAC, PEER_IP, 0, OUR_IP);
    cr_assert(eq(int, send_byte(PEER_IP, 'a'), 0));
    for (uint32_t i = 0; i < 1000; i++)
        wire_give_arp(1, ALL_MACS, 0x020000001000 + i, 0xc0000200 + 3 + i % 250, 0, OUR_IP);
    wire_forget_sent();
    cr_assert(eq(int, send_byte(PEER_IP, 'b'), 0));
    const struct sent *const sent = wire_take();
    cr_assert(eq(u32, get16(sent->bytes + 12), 0x0800));
    cr_assert(eq(u64, get48(sent->bytes), PEER_MAC));
}

/* Whether it is known: a datagram goes at once, and a question otherwise. */
static bool
is_known(uint32_t address)
{
    wire_forget_sent();
    cr_assert(eq(int, send_byte(address, 'a'), 0));
    const bool has_gone = wire_take() != NULL;
    wire_run_for(0);
    return has_gone;
}

Test(arp, in_a_full_table_the_one_longest_not_confirmed_makes_room)
{
    for (uint32_t i = 0; i < 32; i++) {
        wire_give_arp(1, ALL_MACS, 0x020000001000 + i, 0xc0000210 + i, 0, OUR_IP);
        wire_run_for(MS);
    }
    wire_give_arp(1, ALL_MACS, 0x020000001000, 0xc0000210, 0, OUR_IP); // the first is confirmed once more
    cr_assert(not(is_known(PEER_IP)));
    for (uint32_t i = 0; i < 32; i++)
        if (i != 1)
            cr_assert(is_known(0xc0000210 + i), "number %u", i);
    cr_assert(not(is_known(0xc0000211)));
}

Test(arp, a_neighbour_that_nobody_uses_is_forgotten_without_a_question)
{
    wire_give_arp(1, ALL_MACS, PEER_MAC, PEER_IP, 0, OUR_IP);
    wire_forget_sent();
    wire_run_for(60 * S - 1);
    cr_assert(is_known(PEER_IP)); // used, just before
    wire_give_arp(1, ALL_MACS, OTHER_MAC, OTHER_IP, 0, OUR_IP);
    wire_forget_sent();
    wire_run_for(100 * S);
    const struct sent *sent;
    while ((sent = wire_take()))
        expect_arp(sent, 1, PEER_MAC, OUR_IP, PEER_IP);
    cr_assert(not(is_known(OTHER_IP)));
}

// RFC 826 would write down whoever asks; of another network it could never be sent to.
Test(arp, strangers_of_other_networks_are_answered_and_not_written_down)
{
    wire_give_arp(1, ALL_MACS, PEER_MAC, PEER_IP, 0, OUR_IP);
    for (uint32_t i = 0; i < 40; i++) {
        wire_forget_sent();
        wire_give_arp(1, ALL_MACS, OTHER_MAC, 0x0a000001 + i, 0, OUR_IP);
        expect_arp(wire_take(), 2, OTHER_MAC, OUR_IP, 0x0a000001 + i);
    }
    cr_assert(is_known(PEER_IP));
}

Test(arp, another_host_that_announces_our_address_gets_a_defence_and_no_answer)
{
    wire_give_arp(1, ALL_MACS, OTHER_MAC, OUR_IP, 0, OUR_IP);
    expect_arp(wire_take(), 1, ALL_MACS, OUR_IP, OUR_IP);
    cr_assert(wire_take() == NULL);
}

// RFC 3927, 2.6.2: ARP for it, no router in between.
Test(arp, link_local_addresses_are_neighbours_from_any_address)
{
    cr_assert(eq(int, send_byte(0xa9fe0505, 'a'), 0));
    wire_run_for(0);
    expect_arp(wire_take(), 1, ALL_MACS, OUR_IP, 0xa9fe0505);
}

Test(arp, without_a_netmask_only_the_gateway_is_near)
{
    wire_start(&(struct dx_net_stack_config){.address = OUR_IP, .gateway = ROUTER_IP});
    udp = wire_open(0, 5004, &heard);
    wire_run_for(10 * S);
    wire_forget_sent();
    cr_assert(eq(int, send_byte(PEER_IP, 'a'), 0));
    wire_run_for(0);
    expect_arp(wire_take(), 1, ALL_MACS, OUR_IP, ROUTER_IP);
}

// RFC 3021: in a network of two, the address above is the other host, no broadcast.
Test(arp, in_a_network_of_two_hosts_both_are_hosts)
{
    wire_start(&(struct dx_net_stack_config){.address = 0xc0000200, .netmask = 0xfffffffe});
    udp = wire_open(0, 5004, &heard);
    wire_run_for(10 * S);
    wire_forget_sent();
    cr_assert(eq(int, send_byte(0xc0000201, 'a'), 0));
    wire_run_for(0);
    expect_arp(wire_take(), 1, ALL_MACS, 0xc0000200, 0xc0000201);
}

Test(arp, what_is_no_arp_is_counted_and_not_learned)
{
    static const struct {
        uint32_t at, value;
    } lies[] = {{14, 2}, {16, 0x86dd}, {18, 0x0804}, {18, 0x0606}, {20, 0}, {20, 3}, {22, 0x0300}, {22, 0xffff}};
    for (uint32_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        uint8_t frame[42] = {0};
        put48(frame, ALL_MACS);
        put48(frame + 6, PEER_MAC);
        put32(frame + 12, 0x08060001);
        put32(frame + 16, 0x08000604);
        put16(frame + 20, 1);
        put48(frame + 22, PEER_MAC);
        put32(frame + 28, PEER_IP);
        put32(frame + 38, OUR_IP);
        put16(frame + lies[i].at, lies[i].value);
        wire_give(frame, sizeof frame);
        cr_assert(eq(u64, wire_counters().bad_frames, i + 1));
        cr_assert(wire_take() == NULL);
    }
}

// RFC 5227, 2.4 (c): once in ten seconds; what somebody configured stays.
Test(arp, a_configured_address_is_defended_once_in_ten_seconds_and_told)
{
    for (uint32_t i = 0; i < 300; i++) { // 30 s
        wire_give_arp(1, ALL_MACS, OTHER_MAC, OUR_IP, 0, PEER_IP);
        wire_run_for(S / 10);
    }
    uint32_t defences = 0;
    const struct sent *sent;
    while ((sent = wire_take_arp())) {
        expect_arp(sent, 1, ALL_MACS, OUR_IP, OUR_IP);
        defences++;
    }
    cr_assert(eq(u32, defences, 3));
    cr_assert(eq(u64, wire_counters().arp_conflicts, 300));
    cr_assert(eq(u32, wire.address, OUR_IP));
    cr_assert(eq(u32, dx_net_stack_address(wire.stack), OUR_IP));
    cr_assert(strstr(wire.how, "02:00:00:00:00:03") != NULL);
}

Test(arp, another_cable_is_another_network)
{
    wire_give_arp(1, ALL_MACS, PEER_MAC, PEER_IP, 0, OUR_IP);
    dx_net_stack_set_link(wire.stack, false, wire.now_ns);
    cr_assert(eq(u32, wire.address, 0));
    cr_assert(eq(int, send_byte(PEER_IP, 'a'), -ENETDOWN));
    dx_net_stack_set_link(wire.stack, true, wire.now_ns);
    cr_assert(eq(u32, wire.address, OUR_IP));
    wire_run_for(5 * S);
    wire_forget_sent();
    cr_assert(eq(int, send_byte(PEER_IP, 'a'), 0));
    wire_run_for(S / 10);
    expect_arp(wire_take(), 1, ALL_MACS, OUR_IP, PEER_IP);
}
