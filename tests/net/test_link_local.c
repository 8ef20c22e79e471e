// SPDX-License-Identifier: MIT
// Link-local addresses: the numbers of RFC 3927, 9.

#include "tests/net/fake_wire.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

enum { SEEDS = 200 };

static void
start(uint64_t seed)
{
    wire_start(&(struct dx_net_stack_config){.addressing = DX_NET_LINK_LOCAL, .seed = seed});
}

static bool
is_probe(const struct sent *sent)
{
    return get16(sent->bytes + 20) == 1 && get32(sent->bytes + 28) == 0;
}

static uint32_t
about(const struct sent *sent)
{
    return get32(sent->bytes + 38);
}

/* Runs until the next probe of an address other than `not_about`. */
static const struct sent *
next_probe(uint32_t not_about)
{
    for (uint32_t i = 0; i < 2000; i++) {
        const struct sent *sent;
        while ((sent = wire_take_arp()))
            if (is_probe(sent) && about(sent) != not_about)
                return sent;
        wire_run_for(S / 20);
    }
    return NULL;
}

// PROBE_WAIT 1 s, PROBE_NUM 3, PROBE_MIN 1 s, PROBE_MAX 2 s, ANNOUNCE_WAIT 2 s, ANNOUNCE_NUM 2, and 2 s between
Test(link_local, it_is_probed_and_announced_as_the_rfc_says)
{
    uint64_t least_ns = UINT64_MAX, most_ns = 0, least_wait_ns = UINT64_MAX, most_wait_ns = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        start(seed);
        wire_run_for(30 * S);
        uint64_t at_ns = 0;
        uint32_t address = 0;
        for (uint32_t i = 0; i < 3; i++) {
            const struct sent *const sent = wire_take();
            cr_assert(sent && is_probe(sent));
            cr_assert(eq(u64, get48(sent->bytes), ALL_MACS));
            const uint64_t gap_ns = sent->at_ns - (i ? at_ns : S);
            if (i) {
                least_ns = gap_ns < least_ns ? gap_ns : least_ns;
                most_ns = gap_ns > most_ns ? gap_ns : most_ns;
            } else {
                least_wait_ns = gap_ns < least_wait_ns ? gap_ns : least_wait_ns;
                most_wait_ns = gap_ns > most_wait_ns ? gap_ns : most_wait_ns;
            }
            at_ns = sent->at_ns;
            address = about(sent);
        }
        cr_assert(ge(u32, address, 0xa9fe0100));
        cr_assert(le(u32, address, 0xa9fefeff));
        for (uint32_t i = 0; i < 2; i++) {
            const struct sent *const sent = wire_take();
            cr_assert(eq(u64, get48(sent->bytes), ALL_MACS));
            cr_assert(eq(u32, get32(sent->bytes + 28), address));
            cr_assert(eq(u32, about(sent), address));
            cr_assert(eq(u64, sent->at_ns, at_ns + 2 * S));
            at_ns = sent->at_ns;
        }
        cr_assert(wire_take() == NULL);
        cr_assert(eq(u32, wire.address, address));
        cr_assert(eq(u32, wire.address_calls, 1));
        cr_assert(strcmp(wire.how, "link-local") == 0);
        wire_stop();
    }
    cr_assert(least_wait_ns < S / 10 && most_wait_ns > S * 9 / 10 && most_wait_ns <= S);
    cr_assert(least_ns >= S && least_ns < S * 11 / 10 && most_ns > S * 19 / 10 && most_ns <= 2 * S);
}

// RFC 3927, 2.1: the same one after each start, another for another MAC, all of the range.
Test(link_local, each_mac_has_a_first_choice_of_its_own)
{
    uint8_t is_seen[65536 / 256] = {0};
    uint32_t seen = 0, same = 0, last = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t first = 0;
        for (uint64_t seed = 1; seed <= 2; seed++) {
            struct dx_net_stack_config change = {.addressing = DX_NET_LINK_LOCAL, .seed = seed};
            put48(change.mac, OUR_MAC + i);
            wire_start(&change);
            wire_run_for(2 * S);
            const uint32_t address = about(wire_take());
            if (seed == 1)
                first = address;
            cr_assert(eq(u32, address, first));
            wire_stop();
        }
        same += first == last;
        last = first;
        seen += !is_seen[first >> 8 & 255]++;
    }
    cr_assert(eq(u32, same, 0));
    cr_assert(gt(u32, seen, 240)); // of 254 third bytes, 1000 draws: 5 are missing on average
    cr_assert(eq(u32, is_seen[0], 0));
    cr_assert(eq(u32, is_seen[255], 0));
}

Test(link_local, an_address_that_another_host_has_or_probes_for_is_left_for_the_next)
{
    start(1);
    const struct sent *sent = next_probe(0);
    const uint32_t first = about(sent);
    wire_give_arp(2, OUR_MAC, OTHER_MAC, first, OUR_MAC, 0); // it has it
    sent = next_probe(first);
    const uint32_t second = about(sent);
    wire_give_arp(1, ALL_MACS, OTHER_MAC, 0, 0, second); // it probes, at the same time
    sent = next_probe(second);
    cr_assert(ne(u32, about(sent), first));
    const uint32_t third = about(sent);
    wire_give_arp(1, ALL_MACS, OUR_MAC, 0, 0, third); // our own, come back by a loop
    wire_run_for(20 * S);
    cr_assert(eq(u32, wire.address, third));
    cr_assert(eq(u64, wire_counters().arp_conflicts, 2));
    wire_stop();
}

// RFC 3927, 2.2.1: neither who looks for it nor who probes for another one.
Test(link_local, questions_about_the_address_are_no_conflict)
{
    start(1);
    const uint32_t address = about(next_probe(0));
    wire_give_arp(1, ALL_MACS, OTHER_MAC, PEER_IP, 0, address);
    wire_give_arp(1, ALL_MACS, OTHER_MAC, 0, 0, address + 1);
    wire_run_for(10 * S);
    cr_assert(eq(u32, wire.address, address));
    cr_assert(eq(u64, wire_counters().arp_conflicts, 0));
    wire_stop();
}

Test(link_local, its_network_is_169_254_and_has_a_broadcast)
{
    start(1);
    wire_run_for(30 * S);
    wire_forget_sent();
    struct heard heard = {0};
    struct dx_udp *const udp = wire_open(0, 5004, &heard);
    cr_assert(eq(int, dx_udp_send(udp, &(struct dx_udp_address){0xa9feffff, 9}, "a", 1), 0));
    cr_assert(eq(u64, get48(wire_take()->bytes), ALL_MACS));
    wire_give_udp(ALL_MACS, 0xa9fe0505, 4000, 0xa9feffff, 5004, "a", 1);
    cr_assert(eq(u32, heard.count, 1));
    wire_stop();
}

/* A bridge may send it on with its own MAC in front. */
Test(link_local, our_own_probe_come_back_from_another_mac_is_no_conflict)
{
    start(1);
    uint8_t frame[42];
    memcpy(frame, next_probe(0)->bytes, sizeof frame);
    put48(frame + 6, OTHER_MAC);
    wire_give(frame, sizeof frame);
    cr_assert(eq(u64, wire_counters().arp_conflicts, 0));
    wire_stop();
}

// RFC 3927, 2.2.1: in the process of acquiring an address.
Test(link_local, what_was_held_in_peace_ends_a_row_of_conflicts)
{
    start(1);
    uint32_t address = 0;
    for (uint32_t conflict = 1; conflict <= 12; conflict++) {
        address = about(next_probe(address));
        wire_give_arp(2, OUR_MAC, OTHER_MAC, address, OUR_MAC, 0);
    }
    wire_run_for(200 * S);
    cr_assert(ne(u32, wire.address, 0));
    wire_forget_sent();
    for (uint32_t i = 0; i < 2; i++)
        wire_give_arp(1, ALL_MACS, OTHER_MAC, wire.address, 0, PEER_IP);
    cr_assert(eq(u32, wire.address, 0));
    wire_run_for(10 * S);
    cr_assert(ne(u32, wire.address, 0));
    wire_stop();
}

// MAX_CONFLICTS 10, RATE_LIMIT_INTERVAL 60 s
Test(link_local, after_ten_conflicts_there_is_one_address_a_minute)
{
    start(1);
    uint32_t address = 0;
    uint64_t at_ns = wire.now_ns;
    for (uint32_t conflict = 1; conflict <= 14; conflict++) {
        const struct sent *const sent = next_probe(address);
        cr_assert(sent != NULL);
        if (conflict <= 11)
            cr_assert(le(u64, sent->at_ns - at_ns, S + S / 20), "conflict %u", conflict);
        else
            cr_assert(ge(u64, sent->at_ns - at_ns, 60 * S), "conflict %u", conflict);
        at_ns = sent->at_ns;
        address = about(sent);
        wire_give_arp(2, OUR_MAC, OTHER_MAC, address, OUR_MAC, 0);
    }
    wire_stop();
}

Test(link_local, conflicts_on_one_cable_are_none_of_the_next)
{
    start(1);
    uint32_t address = 0;
    for (uint32_t conflict = 1; conflict <= 12; conflict++) {
        address = about(next_probe(address));
        wire_give_arp(2, OUR_MAC, OTHER_MAC, address, OUR_MAC, 0);
    }
    dx_net_stack_set_link(wire.stack, false, wire.now_ns);
    wire_run_for(S);
    dx_net_stack_set_link(wire.stack, true, wire.now_ns);
    wire_run_for(10 * S);
    cr_assert(eq(u32, wire.address >> 16, 0xa9fe));
    wire_stop();
}

// DEFEND_INTERVAL 10 s: RFC 3927, 2.5 (b)
Test(link_local, it_is_defended_once_and_given_up_at_the_second_conflict_within_ten_seconds)
{
    start(1);
    wire_run_for(30 * S);
    wire_forget_sent();
    const uint32_t address = wire.address;
    for (uint32_t i = 0; i < 3; i++) { // far enough from each other
        wire_give_arp(1, ALL_MACS, OTHER_MAC, address, 0, PEER_IP);
        const struct sent *const sent = wire_take();
        cr_assert(eq(u32, get32(sent->bytes + 28), address));
        cr_assert(eq(u32, about(sent), address));
        cr_assert(eq(u64, get48(sent->bytes), ALL_MACS));
        cr_assert(wire_take() == NULL);
        wire_run_for(10 * S);
    }
    cr_assert(eq(u32, dx_net_stack_address(wire.stack), address));
    wire_give_arp(1, ALL_MACS, OTHER_MAC, address, 0, PEER_IP);
    wire_run_for(10 * S - 1);
    wire_give_arp(1, ALL_MACS, OTHER_MAC, address, 0, PEER_IP);
    cr_assert(eq(u32, dx_net_stack_address(wire.stack), 0));
    cr_assert(eq(u32, wire.address, 0));
    wire_run_for(20 * S);
    cr_assert(ne(u32, wire.address, 0));
    cr_assert(ne(u32, wire.address, address));
    wire_stop();
}

// RFC 3927, 2.5: replies as well; 2.6.2: no router in between.
Test(link_local, all_hear_what_it_says_and_no_router_is_asked)
{
    start(1);
    wire_run_for(30 * S);
    wire_forget_sent();
    wire_give_arp(1, ALL_MACS, PEER_MAC, 0xa9fe0505, 0, wire.address);
    const struct sent *sent = wire_take();
    cr_assert(eq(u32, get16(sent->bytes + 20), 2));
    cr_assert(eq(u64, get48(sent->bytes), ALL_MACS));
    cr_assert(eq(u64, get48(sent->bytes + 32), PEER_MAC));

    struct heard heard = {0};
    struct dx_udp *const udp = wire_open(0, 5004, &heard);
    cr_assert(eq(int, dx_udp_send(udp, &(struct dx_udp_address){0x08080808, 9}, "a", 1), 0));
    wire_run_for(S / 10);
    sent = wire_take_arp();
    cr_assert(eq(u32, about(sent), 0x08080808));
    wire_stop();
}
