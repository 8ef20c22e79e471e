// SPDX-License-Identifier: MIT
// Frames, packets and datagrams: what is taken, what is dropped and counted, and the bytes of what is sent.

#include "tests/net/fake_wire.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

static struct heard heard;

static void
start(void)
{
    memset(&heard, 0, sizeof heard);
    wire_start(NULL);
}

static struct dx_udp *doomed[2];

static void
close_both(void *context, const struct dx_udp_datagram *datagram)
{
    (void)datagram;
    struct heard *const later = context;
    for (uint32_t i = 0; i < 2; i++) {
        dx_udp_close(doomed[i]);
        doomed[i] = NULL;
    }
    struct dx_udp *const socket = wire_open(GROUP, 5004, later);
    (void)dx_udp_join(socket, GROUP, 0);
}

TestSuite(stack, .init = start, .fini = wire_stop);

static void
know_peer(void)
{
    wire_give_arp(1, ALL_MACS, PEER_MAC, PEER_IP, 0, OUR_IP);
    wire_forget_sent();
}

// RFC 1071, 3: the example's sum is ddf2.
Test(stack, the_sum_is_that_of_rfc_1071)
{
    const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    cr_assert(eq(u32, slow_checksum(bytes, sizeof bytes), 0xffff - 0xddf2));
}

// A header that is in many books: 45 00 00 73 00 00 40 00 40 11 b8 61 c0 a8 00 01 c0 a8 00 c7.
Test(stack, the_header_that_is_sent_is_that_of_the_books)
{
    static const uint8_t expected[] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                                       0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
    wire_stop();
    wire_start(&(struct dx_net_stack_config){.address = 0xc0a80001, .netmask = 0xffffff00});
    wire_give_arp(1, ALL_MACS, PEER_MAC, 0xc0a800c7, 0, 0xc0a80001);
    wire_forget_sent();
    struct dx_udp *const socket = wire_open(0, 0, &heard);
    const uint8_t data[87] = {0};
    cr_assert(eq(int, dx_udp_send(socket, &(struct dx_udp_address){0xc0a800c7, 9}, data, sizeof data), 0));
    const struct sent *const sent = wire_take();
    cr_assert(sent != NULL);
    cr_assert(eq(u32, sent->size, 14 + 0x73));
    cr_assert(memcmp(sent->bytes + 14, expected, sizeof expected) == 0);
}

Test(stack, datagrams_of_every_size_arrive_whole)
{
    (void)wire_open(0, 5004, &heard);
    uint8_t data[DX_UDP_MAX_BYTES];
    for (uint32_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    for (uint32_t size = 0; size <= sizeof data; size++) {
        wire_give_udp(OUR_MAC, PEER_IP, 4000, OUR_IP, 5004, data, size);
        cr_assert(eq(u32, heard.count, size + 1));
        cr_assert(eq(u32, heard.size, size));
        cr_assert(memcmp(heard.bytes, data, size) == 0);
    }
    cr_assert(eq(u32, heard.from.address, PEER_IP));
    cr_assert(eq(u16, heard.from.port, 4000));
    cr_assert(eq(u32, heard.to, OUR_IP));
    cr_assert(eq(u64, heard.at_ns, S));
}

Test(stack, datagrams_of_every_size_are_sent_whole_with_a_right_sum)
{
    know_peer();
    struct dx_udp *const socket = wire_open(0, 5004, &heard);
    uint8_t data[DX_UDP_MAX_BYTES];
    for (uint32_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    for (uint32_t size = 0; size <= sizeof data; size++) {
        cr_assert(eq(int, dx_udp_send(socket, &(struct dx_udp_address){PEER_IP, 4000}, data, size), 0));
        const struct sent *const sent = wire_take();
        cr_assert(eq(u32, sent->size, 42 + size));
        cr_assert(eq(u64, get48(sent->bytes), PEER_MAC));
        cr_assert(eq(u64, get48(sent->bytes + 6), OUR_MAC));
        // The same datagram, put together here: all but the IP header's identification and DF.
        uint8_t frame[1514], expected[1514];
        (void)make_udp(frame, PEER_MAC, OUR_IP, 5004, PEER_IP, 4000, data, size);
        memcpy(expected, frame, sizeof frame);
        cr_assert(memcmp(sent->bytes + 34, expected + 34, 8 + size) == 0, "size %u", size);
        cr_assert(eq(u32, slow_checksum(sent->bytes + 14, 20), 0));
    }
    cr_assert(
        eq(int, dx_udp_send(socket, &(struct dx_udp_address){PEER_IP, 4000}, data, sizeof data + 1), -EMSGSIZE));
}

// RFC 768: a sum that comes out as 0 is sent as all ones.
Test(stack, a_sum_of_zero_is_sent_as_all_ones)
{
    know_peer();
    struct dx_udp *const socket = wire_open(0, 5004, &heard);
    for (uint32_t value = 0; value < 65536; value++) {
        uint8_t data[2];
        put16(data, value);
        cr_assert(eq(int, dx_udp_send(socket, &(struct dx_udp_address){PEER_IP, 4000}, data, 2), 0));
        const struct sent *const sent = wire_take();
        cr_assert(ne(u32, get16(sent->bytes + 40), 0));
        if (get16(sent->bytes + 40) != 0xffff)
            continue;
        // ... and is right when it comes back.
        uint8_t frame[44];
        memcpy(frame, sent->bytes, sizeof frame);
        put48(frame, OUR_MAC);
        put48(frame + 6, PEER_MAC);
        put32(frame + 26, PEER_IP);
        put32(frame + 30, OUR_IP);
        put16(frame + 36, 5004);
        put16(frame + 34, 4000);
        wire_give(frame, sizeof frame);
        cr_assert(eq(u32, heard.count, 1));
        return;
    }
    cr_fail("no value of 65536 has that sum");
}

Test(stack, a_frame_cut_anywhere_is_dropped_and_counted)
{
    (void)wire_open(0, 5004, &heard);
    uint8_t frame[1514];
    const uint32_t size = make_udp(frame, OUR_MAC, PEER_IP, 4000, OUR_IP, 5004, "0123456789", 10);
    for (uint32_t cut = 0; cut < size; cut++)
        wire_give(frame, cut);
    cr_assert(eq(u32, heard.count, 0));
    cr_assert(eq(u64, wire_counters().bad_frames, size));
    wire_give(frame, size);
    cr_assert(eq(u32, heard.count, 1));
}

Test(stack, a_bit_that_flips_anywhere_in_packet_or_datagram_is_seen)
{
    (void)wire_open(0, 5004, &heard);
    uint8_t frame[1514];
    const uint32_t size = make_udp(frame, OUR_MAC, PEER_IP, 4000, OUR_IP, 5004, "0123456789", 10);
    for (uint32_t bit = 14 * 8; bit < size * 8; bit++) {
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
        wire_give(frame, size);
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    const struct dx_net_stack_counters counters = wire_counters();
    cr_assert(eq(u32, heard.count, 0));
    cr_assert(eq(u64, counters.bad_checksums + counters.bad_frames, (size - 14) * 8));
    cr_assert(gt(u64, counters.bad_checksums, (size - 34) * 8 - 17)); // the length of UDP has 16 bits
}

Test(stack, a_datagram_without_a_sum_is_taken)
{
    (void)wire_open(0, 5004, &heard);
    uint8_t frame[1514];
    const uint32_t size = make_udp(frame, OUR_MAC, PEER_IP, 4000, OUR_IP, 5004, "0123456789", 10);
    put16(frame + 40, 0);
    wire_give(frame, size);
    cr_assert(eq(u32, heard.count, 1));
}

Test(stack, what_a_short_frame_is_padded_with_is_no_data)
{
    (void)wire_open(0, 5004, &heard);
    uint8_t frame[60] = {0};
    const uint32_t size = make_udp(frame, OUR_MAC, PEER_IP, 4000, OUR_IP, 5004, "abc", 3);
    memset(frame + size, 0xee, sizeof frame - size);
    wire_give(frame, sizeof frame);
    cr_assert(eq(u32, heard.size, 3));
}

Test(stack, options_of_ip_are_skipped)
{
    (void)wire_open(0, 5004, &heard);
    uint8_t frame[1514];
    const uint32_t size = make_udp(frame, OUR_MAC, PEER_IP, 4000, OUR_IP, 5004, "abc", 3);
    for (uint32_t words = 1; words <= 10; words++) {
        uint8_t longer[1514];
        memcpy(longer, frame, 34);
        memset(longer + 34, 1, 4 * words); // "no operation"
        memcpy(longer + 34 + 4 * words, frame + 34, size - 34);
        longer[14] = (uint8_t)(0x45 + words);
        put16(longer + 16, size - 14 + 4 * words);
        put16(longer + 24, 0);
        put16(longer + 24, slow_checksum(longer + 14, 20 + 4 * words));
        wire_give(longer, size + 4 * words);
        cr_assert(eq(u32, heard.count, words));
        cr_assert(memcmp(heard.bytes, "abc", 3) == 0);
    }
}

Test(stack, fragments_are_counted_and_dropped)
{
    (void)wire_open(0, 5004, &heard);
    static const uint32_t fields[] = {0x2000, 0x0001, 0x1fff, 0x3fff};
    uint8_t frame[1514];
    const uint32_t size = make_udp(frame, OUR_MAC, PEER_IP, 4000, OUR_IP, 5004, "abc", 3);
    for (uint32_t i = 0; i < 4; i++) {
        put16(frame + 20, fields[i]);
        put16(frame + 24, 0);
        put16(frame + 24, slow_checksum(frame + 14, 20));
        wire_give(frame, size);
    }
    cr_assert(eq(u32, heard.count, 0));
    cr_assert(eq(u64, wire_counters().fragments, 4));
}

// IEEE 802.1Q: VLAN 0 is a priority and no VLAN.
Test(stack, a_priority_tag_is_skipped_and_another_vlan_is_not_ours)
{
    (void)wire_open(0, 5004, &heard);
    uint8_t frame[1514], tagged[1518];
    const uint32_t size = make_udp(frame, OUR_MAC, PEER_IP, 4000, OUR_IP, 5004, "abc", 3);
    memcpy(tagged, frame, 12);
    put16(tagged + 12, 0x8100);
    memcpy(tagged + 16, frame + 12, size - 12);
    put16(tagged + 14, 0xa000);
    wire_give(tagged, size + 4);
    cr_assert(eq(u32, heard.count, 1));
    put16(tagged + 14, 0xa002);
    wire_give(tagged, size + 4);
    cr_assert(eq(u32, heard.count, 1));
    cr_assert(eq(u64, wire_counters().not_for_us, 1));
    for (uint32_t cut = 12; cut < size + 4; cut++)
        wire_give(tagged, cut);
    cr_assert(eq(u32, heard.count, 1));
}

Test(stack, a_frame_longer_than_ethernet_has_is_dropped)
{
    (void)wire_open(0, 5004, &heard);
    uint8_t frame[2048] = {0};
    (void)make_udp(frame, OUR_MAC, PEER_IP, 4000, OUR_IP, 5004, "abc", 3);
    wire_give(frame, 1514);
    cr_assert(eq(u32, heard.count, 1));
    wire_give(frame, 1515);
    wire_give(frame, 2048);
    cr_assert(eq(u32, heard.count, 1));
    cr_assert(eq(u64, wire_counters().bad_frames, 2));
}

Test(stack, what_is_for_others_is_counted_and_left)
{
    struct dx_udp *const socket = wire_open(0, 5004, &heard);
    wire_give_udp(OTHER_MAC, PEER_IP, 4000, OUR_IP, 5004, "a", 1); // another's MAC
    wire_give_udp(OUR_MAC, PEER_IP, 4000, OTHER_IP, 5004, "a", 1); // another's address
    wire_give_udp(ALL_MACS, PEER_IP, 4000, OUR_IP, 5004, "a", 1);  // RFC 1122, 3.3.6
    wire_give_udp(GROUP_MAC, PEER_IP, 4000, GROUP, 5004, "a", 1);  // a group nobody joined
    cr_assert(eq(int, dx_udp_join(socket, GROUP + 1, 0), 0));
    wire_give_udp(OUR_MAC, PEER_IP, 4000, GROUP + 1, 5004, "a", 1); // a group, but to us alone
    uint8_t own[1514]; // by a loop
    const uint32_t size = make_udp(own, GROUP_MAC + 1, OUR_IP, 4000, GROUP + 1, 5004, "a", 1);
    put48(own + 6, OUR_MAC);
    wire_give(own, size);
    cr_assert(eq(u32, heard.count, 0));
    cr_assert(eq(u64, wire_counters().not_for_us, 6));
    wire_give_udp(OUR_MAC, PEER_IP, 4000, OUR_IP, 5005, "a", 1);
    cr_assert(eq(u64, wire_counters().no_port, 1));
}

Test(stack, senders_that_cannot_be_are_refused)
{
    (void)wire_open(0, 5004, &heard);
    static const uint32_t senders[] = {0x7f000001, 0xe0000001, 0xf0000001, 0xffffffff,
                                       0xc00002ff, OUR_IP,     0x00000001};
    for (uint32_t i = 0; i < sizeof senders / sizeof *senders; i++) {
        wire_give_udp(OUR_MAC, senders[i], 4000, OUR_IP, 5004, "a", 1);
        cr_assert(eq(u64, wire_counters().bad_frames, i + 1));
    }
    cr_assert(eq(u32, heard.count, 0));
}

Test(stack, broadcasts_reach_sockets_that_are_bound_to_no_address)
{
    struct heard bound = {0};
    (void)wire_open(0, 5004, &heard);
    (void)wire_open(OUR_IP, 5005, &bound);
    wire_give_udp(ALL_MACS, PEER_IP, 4000, 0xffffffff, 5004, "a", 1);
    wire_give_udp(ALL_MACS, PEER_IP, 4000, 0xc00002ff, 5004, "a", 1);
    wire_give_udp(ALL_MACS, PEER_IP, 4000, 0xc00002ff, 5005, "a", 1);
    wire_give_udp(OUR_MAC, PEER_IP, 4000, OUR_IP, 5005, "a", 1);
    cr_assert(eq(u32, heard.count, 2));
    cr_assert(eq(u32, bound.count, 1));
    cr_assert(eq(u32, bound.to, OUR_IP));
}

// A clock that is read on two threads: nothing is done twice, and no timer is far away for it.
Test(stack, time_that_goes_back_stands_still)
{
    struct dx_udp *const socket = wire_open(0, 5004, &heard);
    wire_run_for(10 * S);
    wire_forget_sent();
    cr_assert(eq(int, dx_udp_send(socket, &(struct dx_udp_address){PEER_IP, 4000}, "a", 1), 0));
    const uint64_t asked_ns = wire.now_ns;
    for (uint64_t back_ns = 0; back_ns < 5 * S; back_ns += S / 2)
        cr_assert(eq(u64, dx_net_stack_poll(wire.stack, asked_ns - back_ns), asked_ns + S));
    cr_assert(wire_take_arp() != NULL);
    cr_assert(wire_take_arp() == NULL);
    wire.now_ns = asked_ns - 5 * S;
    wire_give_udp(OUR_MAC, PEER_IP, 4000, OUR_IP, 5004, "a", 1);
    cr_assert(eq(u64, heard.at_ns, asked_ns));
    wire_run_until(asked_ns + S);
    cr_assert(wire_take_arp() != NULL);
    cr_assert(wire_take_arp() == NULL);
}

// RFC 1112, 6.4: 32 groups share a MAC, and the adapter's hash lets others through as well.
Test(stack, only_the_groups_that_a_socket_joined_reach_it)
{
    struct heard others = {0};
    struct dx_udp *const socket = wire_open(0, 5004, &heard);
    struct dx_udp *const other = wire_open(GROUP + 1, 5004, &others); // shares the port by its group
    cr_assert(eq(int, dx_udp_join(socket, GROUP, 0), 0));
    cr_assert(eq(int, dx_udp_join(other, GROUP + 1, 0), 0));
    wire_give_udp(GROUP_MAC, PEER_IP, 4000, GROUP, 5004, "a", 1);
    wire_give_udp(GROUP_MAC, PEER_IP, 4000, GROUP ^ 0x01000000, 5004, "a", 1); // 238.69.0.1, the same MAC
    wire_give_udp(GROUP_MAC + 1, PEER_IP, 4000, GROUP + 1, 5004, "a", 1);
    cr_assert(eq(u32, heard.count, 1));
    cr_assert(eq(u32, heard.to, GROUP));
    cr_assert(eq(u32, others.count, 1));
    cr_assert(eq(u32, others.to, GROUP + 1));
    cr_assert(eq(int, dx_udp_leave(socket, GROUP, 0), 0));
    wire_give_udp(GROUP_MAC, PEER_IP, 4000, GROUP, 5004, "a", 1);
    cr_assert(eq(u32, heard.count, 1));
    cr_assert(eq(int, dx_udp_leave(socket, GROUP, 0), -EADDRNOTAVAIL));
}

Test(stack, a_group_with_sources_comes_from_them_alone)
{
    struct heard second = {0};
    struct dx_udp *const socket = wire_open(GROUP, 5004, &heard), *const other = wire_open(GROUP, 5004, &second);
    cr_assert(eq(int, dx_udp_join(socket, GROUP, PEER_IP), 0));
    cr_assert(eq(int, dx_udp_join(other, GROUP, OTHER_IP), 0));
    wire_give_udp(GROUP_MAC, PEER_IP, 4000, GROUP, 5004, "a", 1);
    wire_give_udp(GROUP_MAC, ROUTER_IP, 4000, GROUP, 5004, "a", 1);
    cr_assert(eq(u32, heard.count, 1));
    cr_assert(eq(u32, second.count, 0));
    wire_give_udp(GROUP_MAC, OTHER_IP, 4000, GROUP, 5004, "a", 1);
    cr_assert(eq(u32, heard.count, 1));
    cr_assert(eq(u32, second.count, 1));
}

Test(stack, joins_that_make_no_sense_are_refused)
{
    struct dx_udp *const socket = wire_open(0, 5004, &heard);
    cr_assert(eq(int, dx_udp_join(socket, OUR_IP, 0), -EINVAL));
    cr_assert(eq(int, dx_udp_join(socket, GROUP, 0), 0));
    cr_assert(eq(int, dx_udp_join(socket, GROUP, 0), -EADDRINUSE));
    cr_assert(eq(int, dx_udp_join(socket, GROUP, PEER_IP), -EINVAL));
    for (uint32_t i = 0; i < DX_UDP_MAX_SOURCES; i++)
        cr_assert(eq(int, dx_udp_join(socket, GROUP + 1, PEER_IP + i), 0));
    cr_assert(eq(int, dx_udp_join(socket, GROUP + 1, PEER_IP), -EADDRINUSE));
    cr_assert(eq(int, dx_udp_join(socket, GROUP + 1, ROUTER_IP), -ENOBUFS));
    for (uint32_t i = 1 + DX_UDP_MAX_SOURCES; i < DX_UDP_MAX_MEMBERSHIPS; i++)
        cr_assert(eq(int, dx_udp_join(socket, GROUP + 1 + i, 0), 0));
    cr_assert(eq(int, dx_udp_join(socket, GROUP + 99, 0), -ENOBUFS));
}

// 64 sockets with 16 groups each ask for more than there are: none of them harms another.
Test(stack, when_the_table_of_groups_is_full_a_join_fails_and_all_others_stay)
{
    struct heard each[DX_UDP_MAX_SOCKETS];
    uint32_t joined = 0;
    for (uint32_t i = 0; i < 8; i++) {
        struct dx_udp *const socket = wire_open(0, (uint16_t)(6000 + i), &each[i]);
        for (uint32_t j = 0; j < DX_UDP_MAX_MEMBERSHIPS; j++) {
            const int error = dx_udp_join(socket, GROUP + i * 16 + j, 0);
            cr_assert(error == 0 || error == -ENOBUFS);
            joined += error == 0;
        }
    }
    cr_assert(eq(u32, joined, 63));
    cr_assert(eq(u32, wire.filter_count, 64));
}

Test(stack, a_port_is_one_sockets_unless_they_are_bound_to_groups)
{
    struct dx_udp *const first = wire_open(0, 5004, &heard), *second;
    struct dx_udp_config config = {.port = 5004, .received = close_both};
    cr_assert(eq(int, dx_udp_open(wire.net, &config, &second), -EADDRINUSE));
    config.address = OUR_IP;
    cr_assert(eq(int, dx_udp_open(wire.net, &config, &second), -EADDRINUSE));
    config.address = PEER_IP;
    cr_assert(eq(int, dx_udp_open(wire.net, &config, &second), -EADDRNOTAVAIL));
    config.address = GROUP;
    cr_assert(eq(int, dx_udp_open(wire.net, &config, &second), 0));
    dx_udp_close(first);
    config.address = 0;
    cr_assert(eq(int, dx_udp_open(wire.net, &config, &second), 0));
    config.dscp = 64;
    cr_assert(eq(int, dx_udp_open(wire.net, &config, &second), -EINVAL));
}

Test(stack, sockets_without_a_port_get_one_each_until_all_are_taken)
{
    bool is_taken[65536] = {false};
    struct dx_udp *sockets[DX_UDP_MAX_SOCKETS], *one_more;
    for (uint32_t i = 0; i < DX_UDP_MAX_SOCKETS; i++) {
        sockets[i] = wire_open(0, 0, &heard);
        cr_assert(not(is_taken[sockets[i]->config.port]));
        cr_assert(ge(u16, sockets[i]->config.port, 49152));
        is_taken[sockets[i]->config.port] = true;
    }
    struct dx_udp_config config = sockets[0]->config;
    config.port = 0;
    cr_assert(eq(int, dx_udp_open(wire.net, &config, &one_more), -ENOBUFS));
    dx_udp_close(sockets[7]);
    cr_assert(eq(int, dx_udp_open(wire.net, &config, &one_more), 0));
}

Test(stack, a_socket_may_close_itself_and_others_and_open_one_while_it_receives)
{
    const struct dx_udp_config config = {
        .address = GROUP, .port = 5004, .context = &heard, .received = close_both};
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert(eq(int, dx_udp_open(wire.net, &config, &doomed[i]), 0));
        cr_assert(eq(int, dx_udp_join(doomed[i], GROUP, 0), 0));
    }
    wire_give_udp(GROUP_MAC, PEER_IP, 4000, GROUP, 5004, "a", 1);
    cr_assert(eq(u32, heard.count, 0)); // it came later than the datagram
    wire_give_udp(GROUP_MAC, PEER_IP, 4000, GROUP, 5004, "a", 1);
    cr_assert(eq(u32, heard.count, 1));
}

static void
open_one_more(void *context, const struct dx_udp_datagram *datagram)
{
    (void)datagram;
    struct dx_udp *const socket = wire_open(GROUP, 5004, context);
    cr_assert(eq(int, dx_udp_join(socket, GROUP, 0), 0));
}

Test(stack, a_socket_that_a_datagram_opens_does_not_get_it)
{
    const struct dx_udp_config config = {
        .address = GROUP, .port = 5004, .context = &heard, .received = open_one_more};
    struct dx_udp *first;
    cr_assert(eq(int, dx_udp_open(wire.net, &config, &first), 0));
    cr_assert(eq(int, dx_udp_join(first, GROUP, 0), 0));
    wire_give_udp(GROUP_MAC, PEER_IP, 4000, GROUP, 5004, "a", 1);
    cr_assert(eq(u32, heard.count, 0));
    dx_udp_close(first);
    wire_give_udp(GROUP_MAC, PEER_IP, 4000, GROUP, 5004, "a", 1);
    cr_assert(eq(u32, heard.count, 1));
}

Test(stack, groups_broadcasts_and_service_classes_are_sent_as_they_should)
{
    const struct dx_udp_config config = {.port = 5004, .dscp = 34, .ttl = 15, .received = close_both};
    struct dx_udp *socket;
    cr_assert(eq(int, dx_udp_open(wire.net, &config, &socket), 0));
    wire_run_for(10 * S);
    wire_forget_sent();
    cr_assert(eq(int, dx_udp_send(socket, &(struct dx_udp_address){GROUP, 5004}, "a", 1), 0));
    const struct sent *sent = wire_take();
    cr_assert(eq(u64, get48(sent->bytes), GROUP_MAC));
    cr_assert(eq(u32, sent->bytes[15], 34 * 4));
    cr_assert(eq(u32, sent->bytes[22], 15));
    cr_assert(eq(int, dx_udp_send(socket, &(struct dx_udp_address){0xc00002ff, 5004}, "a", 1), 0));
    sent = wire_take();
    cr_assert(eq(u64, get48(sent->bytes), ALL_MACS));
    cr_assert(eq(int, dx_udp_send(socket, &(struct dx_udp_address){0xffffffff, 5004}, "a", 1), 0));
    sent = wire_take();
    cr_assert(eq(u64, get48(sent->bytes), ALL_MACS));
    cr_assert(eq(int, dx_udp_send(socket, &(struct dx_udp_address){GROUP, 0}, "a", 1), -EINVAL));
    cr_assert(eq(int, dx_udp_send(socket, &(struct dx_udp_address){OUR_IP, 5004}, "a", 1), -ENETUNREACH));
    wire.send_error = -ENOBUFS;
    cr_assert(eq(int, dx_udp_send(socket, &(struct dx_udp_address){GROUP, 5004}, "a", 1), -ENOBUFS));
    cr_assert(eq(u64, wire_counters().send_errors, 1));
    dx_net_stack_set_link(wire.stack, false, wire.now_ns);
    cr_assert(eq(int, dx_udp_send(socket, &(struct dx_udp_address){GROUP, 5004}, "a", 1), -ENETDOWN));
    wire.send_error = 0;
}

static void
give_echo(uint64_t to_mac, uint32_t to, uint32_t size)
{
    uint8_t echo[1480];
    for (uint32_t i = 0; i < sizeof echo; i++)
        echo[i] = (uint8_t)(i * 3);
    echo[0] = 8;
    echo[1] = 0;
    put16(echo + 2, 0);
    put16(echo + 2, slow_checksum(echo, 8 + size));
    wire_give_ip(to_mac, PEER_MAC, PEER_IP, to, 1, echo, 8 + size);
}

// RFC 792: type 0 and the rest as it came.
Test(stack, a_ping_of_every_size_is_answered)
{
    know_peer();
    for (uint32_t size = 0; size <= 1472; size++) {
        wire_run_for(5 * MS);
        give_echo(OUR_MAC, OUR_IP, size);
        const struct sent *const sent = wire_take_ip(1);
        cr_assert(sent != NULL);
        cr_assert(eq(u32, sent->size, 42 + size));
        cr_assert(eq(u32, get32(sent->bytes + 26), OUR_IP));
        cr_assert(eq(u32, get32(sent->bytes + 30), PEER_IP));
        cr_assert(eq(u32, slow_checksum(sent->bytes + 14, 20), 0));
        cr_assert(eq(u32, slow_checksum(sent->bytes + 34, 8 + size), 0));
        cr_assert(eq(u32, sent->bytes[34], 0));
        for (uint32_t i = 4; i < 8 + size; i++)
            cr_assert(eq(u8, sent->bytes[34 + i], (uint8_t)(i * 3)));
    }
}

Test(stack, a_ping_with_a_wrong_sum_or_of_another_kind_is_not_answered)
{
    wire_run_for(10 * S);
    wire_forget_sent();
    for (uint32_t bit = 0; bit < 64; bit++) {
        uint8_t echo[8] = {8, 0, 0xf7, 0xff};
        echo[bit / 8] ^= (uint8_t)(1 << bit % 8);
        wire_give_ip(OUR_MAC, PEER_MAC, PEER_IP, OUR_IP, 1, echo, sizeof echo);
    }
    uint8_t reply[8] = {0, 0, 0xff, 0xff}, coded[8] = {8, 1, 0xf7, 0xfe};
    wire_give_ip(OUR_MAC, PEER_MAC, PEER_IP, OUR_IP, 1, reply, sizeof reply);
    wire_give_ip(OUR_MAC, PEER_MAC, PEER_IP, OUR_IP, 1, coded, sizeof coded);
    cr_assert(wire_take() == NULL);
    cr_assert(eq(u64, wire_counters().bad_checksums, 48)); // the other bits make it another kind
}

// RFC 1122, 3.2.2.6 lets a host keep silent there, and an amplifier would not.
Test(stack, pings_of_all_and_of_groups_are_not_answered)
{
    know_peer();
    struct dx_udp *const socket = wire_open(0, 5004, &heard);
    cr_assert(eq(int, dx_udp_join(socket, GROUP, 0), 0));
    give_echo(ALL_MACS, 0xffffffff, 8);
    give_echo(ALL_MACS, 0xc00002ff, 8);
    give_echo(GROUP_MAC, GROUP, 8);
    give_echo(0x01005e000001, 0xe0000001, 8);
    cr_assert(wire_take_ip(1) == NULL);
}

// 50 at once and 200 a second: docs/design/net.md.
Test(stack, a_flood_of_pings_is_answered_in_part)
{
    know_peer();
    uint32_t answers = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        give_echo(OUR_MAC, OUR_IP, 8);
        answers += wire_take_ip(1) != NULL;
        wire_run_for(S / 10000);
    }
    cr_assert(eq(u32, answers, 50 + 199));
    cr_assert(eq(u64, wire_counters().echoes_dropped, 10000 - answers));
}

// What they would wait for is never there, and the queue is for who has something to say.
Test(stack, pings_of_invented_senders_leave_room_for_what_we_send)
{
    struct dx_udp *const socket = wire_open(0, 5004, &heard);
    uint8_t echo[8] = {8, 0, 0xf7, 0xff};
    for (uint32_t i = 0; i < 40; i++)
        wire_give_ip(OUR_MAC, OTHER_MAC, 0xc0000264 + i, OUR_IP, 1, echo, sizeof echo);
    cr_assert(eq(int, dx_udp_send(socket, &(struct dx_udp_address){PEER_IP, 4000}, "a", 1), 0));
    wire_forget_sent();
    wire_run_for(S / 10);
    const struct sent *const sent = wire_take_arp();
    cr_assert(sent != NULL);
    cr_assert(eq(u32, get32(sent->bytes + 38), PEER_IP));
    cr_assert(wire_take_arp() == NULL); // nobody else is asked for
    cr_assert(eq(u64, wire_counters().arp_dropped, 0));
}

Test(stack, a_ping_without_a_sender_is_not_answered)
{
    wire_forget_sent();
    uint8_t echo[8] = {8, 0, 0xf7, 0xff};
    wire_give_ip(OUR_MAC, PEER_MAC, 0, OUR_IP, 1, echo, sizeof echo);
    wire_give_ip(OUR_MAC, ALL_MACS, PEER_IP, OUR_IP, 1, echo, sizeof echo);
    wire_run_for(S / 10);
    cr_assert(wire_take() == NULL);
}

Test(stack, a_socket_bound_to_an_address_that_is_gone_does_not_send_from_another)
{
    wire_start(&(struct dx_net_stack_config){.addressing = DX_NET_LINK_LOCAL});
    wire_run_for(20 * S);
    const uint32_t first = wire.address;
    struct dx_udp *const bound = wire_open(first, 5004, &heard), *const any = wire_open(0, 5005, &heard);
    const struct dx_udp_address to = {GROUP, 5004};
    cr_assert(eq(int, dx_udp_send(bound, &to, "a", 1), 0));
    for (uint32_t i = 0; i < 2; i++)
        wire_give_arp(1, ALL_MACS, OTHER_MAC, first, 0, PEER_IP);
    wire_run_for(20 * S);
    cr_assert(wire.address && wire.address != first);
    cr_assert(eq(int, dx_udp_send(bound, &to, "a", 1), -EADDRNOTAVAIL));
    cr_assert(eq(int, dx_udp_send(any, &to, "a", 1), 0));
}

static int
drop_frame(void *context, const uint8_t *frame, uint32_t size) DX_REALTIME
{
    (void)context, (void)frame, (void)size;
    return 0;
}

Test(stack, configurations_that_make_no_sense_are_refused)
{
    struct dx_net_stack_config good = {.address = OUR_IP, .netmask = 0xffffff00, .send = drop_frame}, bad;
    struct dx_net_stack *stack;
    put48(good.mac, OUR_MAC);
    cr_assert(eq(int, dx_net_stack_create(&good, &stack), 0));
    dx_net_stack_destroy(stack);
#define REFUSED(field, value)                                                                                     \
    do {                                                                                                          \
        bad = good;                                                                                               \
        bad.field = value;                                                                                        \
        cr_assert(eq(int, dx_net_stack_create(&bad, &stack), -EINVAL));                                           \
    } while (0)
    REFUSED(mac[0], 3);
    REFUSED(address, 0);
    REFUSED(address, GROUP);
    REFUSED(address, 0xc0000200); // the network itself
    REFUSED(address, 0xc00002ff); // all of it
    REFUSED(gateway, OUR_IP);
    REFUSED(netmask, 0xff00ff00);
    REFUSED(gateway, 0xffffffff);
    REFUSED(igmp_version, 1);
    REFUSED(send, NULL);
    REFUSED(addressing, (enum dx_net_addressing)7);
    bad = good;
    bad.addressing = DX_NET_DHCP;
    memset(bad.host_name, 'a', sizeof bad.host_name);
    cr_assert(eq(int, dx_net_stack_create(&bad, &stack), -EINVAL));
}
