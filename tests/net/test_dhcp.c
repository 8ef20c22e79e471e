// SPDX-License-Identifier: MIT
// The DHCP client against a server of the test's own: RFC 2131, its times, and servers that lie.

#include "tests/net/fake_wire.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK };

#define SERVER_IP 0xc0000264u // 192.0.2.100
#define LEASED_IP 0xc0000232u // 192.0.2.50
#define LEASE_S 3600u

static void
start(uint64_t seed)
{
    wire_start(&(struct dx_net_stack_config){.addressing = DX_NET_DHCP, .seed = seed, .host_name = "stagebox"});
}

/* What the client said. */
struct said {
    uint64_t at_ns, to_mac;
    uint32_t from, to, type, xid, secs, flags, client, requested, server;
    char host_name[64];
    uint8_t id[8];
    uint8_t parameters[32];
};

/* The next message of the client; false: none. Checks what all of them have in common. */
static bool
take_said(struct said *said)
{
    const struct sent *const sent = wire_take_ip(17);
    if (!sent)
        return false;
    const uint8_t *const ip = sent->bytes + 14, *const bootp = ip + 28;
    *said = (struct said){
        .at_ns = sent->at_ns, .to_mac = get48(sent->bytes), .from = get32(ip + 12), .to = get32(ip + 16)};
    cr_assert(eq(u32, get16(ip + 20), 68));
    cr_assert(eq(u32, get16(ip + 22), 67));
    cr_assert(ge(u32, get16(ip + 24), 8 + 300)); // RFC 1542, 2.1
    cr_assert(eq(u32, bootp[0], 1));
    cr_assert(eq(u32, bootp[1], 1));
    cr_assert(eq(u32, bootp[2], 6));
    cr_assert(eq(u64, get48(bootp + 28), OUR_MAC));
    cr_assert(eq(u32, get32(bootp + 236), 0x63825363));
    said->xid = get32(bootp + 4);
    said->secs = get16(bootp + 8);
    said->flags = get16(bootp + 10);
    said->client = get32(bootp + 12);
    const uint8_t *option = bootp + 240, *const end = sent->bytes + sent->size;
    for (; *option != 255; option += 2 + option[1]) {
        cr_assert(option + 2 + option[1] < end);
        switch (option[0]) {
        case 12:
            memcpy(said->host_name, option + 2, option[1]);
            break;
        case 50:
            said->requested = get32(option + 2);
            break;
        case 53:
            said->type = option[2];
            break;
        case 54:
            said->server = get32(option + 2);
            break;
        case 55:
            memcpy(said->parameters, option + 2, option[1]);
            break;
        case 61:
            memcpy(said->id, option + 2, option[1]);
            break;
        default:
            break;
        }
    }
    return true;
}

/* What the server says next. */
struct server {
    uint32_t address, server, lease_s, t1_s, t2_s, netmask, router;
    uint64_t mac;
    uint32_t xid_change;
    bool is_overloaded; // options in "file" and "sname"
    bool is_without_lease;
    bool is_unicast;
};

static struct server server;

static uint8_t *
put_option32(uint8_t *at, uint8_t code, uint32_t value)
{
    at[0] = code;
    at[1] = 4;
    put32(at + 2, value);
    return at + 6;
}

static uint32_t
make_reply(uint8_t *bootp, uint8_t type, uint32_t xid)
{
    memset(bootp, 0, 548);
    bootp[0] = 2;
    bootp[1] = 1;
    bootp[2] = 6;
    put32(bootp + 4, xid + server.xid_change);
    put32(bootp + 16, type == NAK ? 0 : server.address);
    put48(bootp + 28, server.mac ? server.mac : OUR_MAC);
    put32(bootp + 236, 0x63825363);
    uint8_t *at = bootp + 240;
    *at++ = 53;
    *at++ = 1;
    *at++ = type;
    uint8_t *first = at, *second = at;
    if (server.is_overloaded) {
        memcpy(at, (const uint8_t[]){52, 1, 3}, 3);
        at += 3;
        first = bootp + 108;
        second = bootp + 44;
    }
    first = put_option32(first, 54, server.server);
    if (second == at)
        second = first;
    if (type != NAK && !server.is_without_lease)
        second = put_option32(second, 51, server.lease_s);
    if (server.t1_s)
        second = put_option32(second, 58, server.t1_s);
    if (server.t2_s)
        second = put_option32(second, 59, server.t2_s);
    second = put_option32(second, 1, server.netmask);
    second = put_option32(second, 3, server.router);
    if (server.is_overloaded)
        *first = *second = 255;
    else
        at = second;
    *at++ = 255;
    return (uint32_t)(at - bootp);
}

static void
give_reply(uint8_t type, uint32_t xid)
{
    uint8_t bootp[548];
    const uint32_t size = make_reply(bootp, type, xid);
    wire_give_udp(server.is_unicast ? OUR_MAC : ALL_MACS, SERVER_IP, 67,
                  server.is_unicast ? server.address : 0xffffffff, 68, bootp, size);
}

static void
reset_server(void)
{
    server = (struct server){
        .address = LEASED_IP, .server = SERVER_IP, .lease_s = LEASE_S, .netmask = 0xffffff00, .router = ROUTER_IP};
}

/* From the start to an address. @return when the request was sent that the lease counts from. */
static uint64_t
get_lease(void)
{
    struct said said;
    wire_run_for(2 * S);
    cr_assert(take_said(&said));
    cr_assert(eq(u32, said.type, DISCOVER));
    give_reply(OFFER, said.xid);
    cr_assert(take_said(&said));
    cr_assert(eq(u32, said.type, REQUEST));
    give_reply(ACK, said.xid);
    wire_run_for(2 * S);
    cr_assert(eq(u32, wire.address, server.address));
    return said.at_ns;
}

/* Time goes on, with a server whose MAC is always known. */
static void
run_beside_server(uint64_t when_ns)
{
    while (wire.now_ns < when_ns) {
        wire_give_arp(1, ALL_MACS, PEER_MAC, SERVER_IP, 0, LEASED_IP);
        const uint64_t next_ns = wire.now_ns + 30 * S;
        wire_run_until(next_ns < when_ns ? next_ns : when_ns);
    }
}

TestSuite(dhcp, .init = reset_server);

Test(dhcp, an_address_is_discovered_requested_checked_and_used)
{
    struct said said;
    start(1);
    wire_run_for(2 * S);
    cr_assert(take_said(&said));
    cr_assert(le(u64, said.at_ns, 2 * S));
    cr_assert(eq(u32, said.type, DISCOVER));
    cr_assert(eq(u32, said.from, 0));
    cr_assert(eq(u32, said.to, 0xffffffff));
    cr_assert(eq(u64, said.to_mac, ALL_MACS));
    cr_assert(eq(u32, said.client, 0));
    cr_assert(eq(u32, said.requested, 0));
    cr_assert(eq(u32, said.server, 0));
    cr_assert(strcmp(said.host_name, "stagebox") == 0);
    cr_assert(memcmp(said.id, "\x01\x02\x00\x00\x00\x00\x01", 7) == 0);
    cr_assert(strchr((char *)said.parameters, 1) && strchr((char *)said.parameters, 3));
    const uint32_t xid = said.xid;
    cr_assert(not(take_said(&said)));

    give_reply(OFFER, xid);
    cr_assert(take_said(&said));
    cr_assert(eq(u32, said.type, REQUEST));
    cr_assert(eq(u32, said.xid, xid));
    cr_assert(eq(u32, said.to, 0xffffffff));
    cr_assert(eq(u32, said.client, 0));
    cr_assert(eq(u32, said.requested, LEASED_IP));
    cr_assert(eq(u32, said.server, SERVER_IP));
    cr_assert(eq(u32, wire.address_calls, 0));

    wire_forget_sent();
    give_reply(ACK, xid);
    wire_run_for(5 * S);
    for (uint32_t i = 0; i < 4; i++) { // RFC 2131, 2.2: probed; RFC 5227: announced
        const struct sent *const sent = wire_take_arp();
        cr_assert(eq(u32, get32(sent->bytes + 28), i < 2 ? 0 : LEASED_IP));
        cr_assert(eq(u32, get32(sent->bytes + 38), LEASED_IP));
    }
    cr_assert(eq(u32, wire.address, LEASED_IP));
    cr_assert(strcmp(wire.how, "DHCP") == 0);
    wire_stop();
}

// RFC 2131, 3.1, 3: relays choose servers by it.
Test(dhcp, a_request_says_the_seconds_of_its_discovery)
{
    struct said said;
    start(1);
    wire_run_for(10 * S);
    cr_assert(take_said(&said));
    cr_assert(eq(u32, said.secs, 0));
    cr_assert(take_said(&said));
    const uint32_t secs = said.secs;
    cr_assert(gt(u32, secs, 0));
    wire_run_until(said.at_ns + 3 * S);
    give_reply(OFFER, said.xid);
    cr_assert(take_said(&said));
    cr_assert(eq(u32, said.type, REQUEST));
    cr_assert(eq(u32, said.secs, secs));
    wire_stop();
}

// RFC 2131, 4.1: 4, 8, 16, 32, 64 s, each more or less one second.
Test(dhcp, discovery_backs_off_to_a_minute_and_never_ends)
{
    uint64_t least_ns = UINT64_MAX, most_ns = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct said said;
        start(seed);
        wire_run_for(400 * S);
        cr_assert(take_said(&said));
        const uint64_t first_ns = said.at_ns;
        for (uint32_t i = 0; i < 7; i++) {
            const uint64_t at_ns = said.at_ns, expected_ns = (i < 4 ? 4 << i : 64) * S;
            cr_assert(take_said(&said));
            cr_assert(eq(u32, said.type, DISCOVER));
            const uint64_t gap_ns = said.at_ns - at_ns;
            cr_assert(gap_ns >= expected_ns - S && gap_ns <= expected_ns + S, "try %u", i);
            cr_assert(eq(u32, said.secs, (uint32_t)((said.at_ns - first_ns) / S)));
            if (i == 0) {
                least_ns = gap_ns < least_ns ? gap_ns : least_ns;
                most_ns = gap_ns > most_ns ? gap_ns : most_ns;
            }
        }
        wire_stop();
    }
    cr_assert(least_ns < 4 * S - S * 8 / 10 && most_ns > 4 * S + S * 8 / 10);
}

Test(dhcp, a_link_local_address_helps_out_until_a_server_answers)
{
    struct said said;
    start(1);
    wire_run_for(30 * S);
    cr_assert(eq(u32, wire.address >> 16, 0xa9fe));
    const uint32_t calls = wire.address_calls;
    while (take_said(&said))
        continue;
    wire_run_for(200 * S);
    uint32_t discovers = 0;
    while (take_said(&said))
        discovers += said.type == DISCOVER && said.from == 0;
    cr_assert(ge(u32, discovers, 3)); // it still tries
    give_reply(OFFER, said.xid);
    cr_assert(take_said(&said));
    give_reply(ACK, said.xid);
    wire_run_for(2 * S);
    cr_assert(eq(u32, wire.address, LEASED_IP));
    cr_assert(eq(u32, wire.address_calls, calls + 1));
    wire_run_for(300 * S);
    cr_assert(eq(u32, wire.address, LEASED_IP));
    wire_stop();
}

// RFC 2131, 3.1, 5: four requests, a minute, and from the beginning.
Test(dhcp, an_offer_that_is_never_acknowledged_is_given_up_after_a_minute)
{
    struct said said;
    start(1);
    wire_run_for(2 * S);
    cr_assert(take_said(&said));
    const uint32_t xid = said.xid;
    give_reply(OFFER, xid);
    const uint64_t begin_ns = wire.now_ns;
    wire_run_for(70 * S);
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert(take_said(&said));
        cr_assert(eq(u32, said.type, REQUEST));
    }
    cr_assert(take_said(&said));
    cr_assert(eq(u32, said.type, DISCOVER));
    cr_assert(ne(u32, said.xid, xid));
    cr_assert(said.at_ns - begin_ns >= 56 * S && said.at_ns - begin_ns <= 64 * S);
    wire_stop();
}

// RFC 2131, 4.4.5: T1 half, T2 seven eighths of the lease; half the rest each time, no less than a minute.
Test(dhcp, a_lease_is_renewed_rebound_and_ends_on_time)
{
    struct said said;
    start(1);
    const uint64_t base_ns = get_lease();
    wire_forget_sent();
    run_beside_server(base_ns + 3600 * S - 1);
    cr_assert(eq(u32, wire.address, LEASED_IP));
    static const uint64_t renewals_s[] = {1800, 2475, 2812};
    cr_assert(take_said(&said));
    cr_assert(eq(u64, said.at_ns, base_ns + 1800 * S));
    cr_assert(eq(u32, said.type, REQUEST));
    cr_assert(eq(u32, said.from, LEASED_IP));
    cr_assert(eq(u32, said.to, SERVER_IP));
    cr_assert(eq(u64, said.to_mac, PEER_MAC));
    cr_assert(eq(u32, said.client, LEASED_IP));
    cr_assert(eq(u32, said.requested, 0));
    cr_assert(eq(u32, said.server, 0));
    uint32_t renewals = 1, rebinds = 0;
    uint64_t last_ns = said.at_ns;
    while (take_said(&said)) {
        cr_assert(eq(u32, said.type, REQUEST));
        cr_assert(eq(u32, said.client, LEASED_IP));
        const bool is_rebind = said.to == 0xffffffff;
        if (is_rebind && !rebinds)
            cr_assert(eq(u64, said.at_ns, base_ns + 3150 * S));
        else
            cr_assert(ge(u64, said.at_ns - last_ns, 60 * S));
        if (!is_rebind && renewals < 3)
            cr_assert(eq(u64, (said.at_ns - base_ns) / S, renewals_s[renewals]));
        cr_assert(is_rebind == (said.at_ns >= base_ns + 3150 * S));
        renewals += !is_rebind;
        rebinds += is_rebind;
        last_ns = said.at_ns;
    }
    cr_assert(ge(u32, renewals, 4));
    cr_assert(ge(u32, rebinds, 3));
    wire_run_until(base_ns + 3600 * S);
    cr_assert(eq(u32, wire.address, 0));
    cr_assert(strcmp(wire.how, "the lease has expired") == 0);
    wire_run_for(10 * S);
    cr_assert(eq(u32, wire.address >> 16, 0xa9fe)); // at once, there was no server for long
    cr_assert(take_said(&said));
    cr_assert(eq(u32, said.type, DISCOVER));
    cr_assert(eq(u32, said.requested, LEASED_IP)); // it asks for what it had
    wire_stop();
}

Test(dhcp, an_answer_to_a_renewal_begins_the_lease_anew_and_keeps_the_address)
{
    struct said said;
    start(1);
    server.t1_s = 100;
    server.t2_s = 200;
    uint64_t base_ns = get_lease();
    const uint32_t calls = wire.address_calls;
    server.is_unicast = true;
    for (uint32_t i = 0; i < 5; i++) {
        while (take_said(&said))
            continue;
        run_beside_server(base_ns + 100 * S - 1);
        cr_assert(not(take_said(&said)));
        wire_run_for(2);
        cr_assert(take_said(&said));
        cr_assert(eq(u64, said.at_ns, base_ns + 100 * S));
        base_ns = said.at_ns;
        wire_run_for(S);
        give_reply(ACK, said.xid);
    }
    cr_assert(eq(u32, wire.address, LEASED_IP));
    cr_assert(eq(u32, wire.address_calls, calls));
    wire_stop();
}

Test(dhcp, a_lease_for_ever_is_never_renewed)
{
    struct said said;
    start(1);
    server.lease_s = 0xffffffff;
    (void)get_lease();
    wire_run_for(400ull * 86400 * S);
    cr_assert(not(take_said(&said)));
    cr_assert(eq(u32, wire.address, LEASED_IP));
    wire_stop();
}

// RFC 2131, 3.2, 3 and 4.4.5
Test(dhcp, a_refused_renewal_gives_the_address_back_at_once)
{
    struct said said;
    start(1);
    const uint64_t base_ns = get_lease();
    run_beside_server(base_ns + 1850 * S);
    while (take_said(&said))
        continue;
    give_reply(NAK, said.xid);
    cr_assert(eq(u32, wire.address, 0));
    wire_run_for(5 * S);
    cr_assert(take_said(&said));
    cr_assert(eq(u32, said.type, DISCOVER));
    cr_assert(eq(u32, said.requested, 0));
    wire_stop();
}

/* A probe for a link-local address within a second, RFC 3927's PROBE_WAIT: not when the server is asked again. */
static void
expect_link_local_probe(void)
{
    wire_forget_sent();
    wire_run_for(1 * S);
    const struct sent *sent;
    while ((sent = wire_take_arp()) && get32(sent->bytes + 38) >> 16 != 0xa9fe)
        continue;
    cr_assert(sent != NULL);
    cr_assert(eq(u32, get32(sent->bytes + 28), 0));
}

Test(dhcp, a_link_local_address_helps_out_as_soon_as_a_lease_is_lost)
{
    struct said said;
    start(1);
    (void)get_lease();
    wire_run_for(5 * S);
    for (uint32_t i = 0; i < 2; i++) // defended, then given up
        wire_give_arp(1, ALL_MACS, OTHER_MAC, LEASED_IP, 0, PEER_IP);
    cr_assert(eq(u32, wire.address, 0));
    expect_link_local_probe();
    wire_stop();

    start(1);
    const uint64_t base_ns = get_lease();
    run_beside_server(base_ns + 1850 * S);
    while (take_said(&said))
        continue;
    give_reply(NAK, said.xid);
    cr_assert(eq(u32, wire.address, 0));
    expect_link_local_probe();
    wire_stop();
}

Test(dhcp, a_server_that_refuses_what_it_offers_is_asked_less_and_less)
{
    start(1);
    uint32_t requests = 0;
    for (uint32_t i = 0; i < 6000; i++) { // ten minutes
        wire_run_for(S / 10);
        struct said said;
        while (take_said(&said)) {
            requests += said.type == REQUEST;
            give_reply(said.type == DISCOVER ? OFFER : NAK, said.xid);
        }
    }
    cr_assert(requests >= 8 && requests <= 16, "%u requests", requests); // 1 + 2 + 4 ... 64, 64, 64 s
    wire_stop();
}

Test(dhcp, refusals_count_anew_after_a_lease)
{
    struct said said;
    start(1);
    wire_run_for(2 * S);
    for (uint32_t i = 0; i < 4; i++) { // 1, 2, 4, 8 s of rest
        cr_assert(take_said(&said));
        give_reply(OFFER, said.xid);
        cr_assert(take_said(&said));
        give_reply(NAK, said.xid);
        wire_run_for(i < 3 ? S << i : 6 * S); // two more in get_lease()
    }
    const uint64_t base_ns = get_lease();
    run_beside_server(base_ns + 1850 * S);
    while (take_said(&said))
        continue;
    give_reply(NAK, said.xid);
    wire_run_for(1 * S);
    cr_assert(take_said(&said));
    cr_assert(eq(u32, said.type, DISCOVER));
    wire_stop();
}

Test(dhcp, another_server_cannot_refuse_what_it_was_not_asked_for)
{
    struct said said;
    start(1);
    wire_run_for(2 * S);
    cr_assert(take_said(&said));
    give_reply(OFFER, said.xid);
    cr_assert(take_said(&said));
    server.server = SERVER_IP + 1;
    give_reply(NAK, said.xid);
    server.server = SERVER_IP;
    give_reply(ACK, said.xid);
    wire_run_for(2 * S);
    cr_assert(eq(u32, wire.address, LEASED_IP));
    wire_stop();
}

// RFC 2131, 4.4.5: then any server may answer, and is the one to be asked from then on.
Test(dhcp, when_it_is_rebound_another_server_may_take_over)
{
    struct said said;
    start(1);
    const uint64_t base_ns = get_lease();
    run_beside_server(base_ns + 3160 * S);
    while (take_said(&said))
        continue;
    cr_assert(eq(u32, said.to, 0xffffffff));
    server.server = OTHER_IP;
    give_reply(ACK, said.xid);
    for (uint32_t i = 0; i < 70; i++) {
        wire_give_arp(1, ALL_MACS, OTHER_MAC, OTHER_IP, 0, LEASED_IP);
        wire_run_for(30 * S);
    }
    cr_assert(eq(u32, wire.address, LEASED_IP)); // the first lease is over
    cr_assert(take_said(&said));
    cr_assert(eq(u32, said.to, OTHER_IP));
    cr_assert(eq(u64, said.at_ns, base_ns + (3150 + 1800) * S));
    wire_stop();
}

/* The neighbour that is asked for when a datagram goes to an address. */
static uint32_t
next_hop_to(struct dx_udp *udp, uint32_t address)
{
    wire_forget_sent();
    const int error = dx_udp_send(udp, &(struct dx_udp_address){address, 9}, "a", 1);
    wire_run_for(0);
    const struct sent *const sent = wire_take_arp();
    wire_run_for(4 * S); // it is not there
    return error || !sent ? 0 : get32(sent->bytes + 38);
}

Test(dhcp, a_renewed_lease_may_change_the_network)
{
    struct said said;
    struct heard heard;
    start(1);
    const uint64_t base_ns = get_lease();
    struct dx_udp *const udp = wire_open(0, 5004, &heard);
    cr_assert(eq(u32, next_hop_to(udp, 0xc0000301), ROUTER_IP));
    run_beside_server(base_ns + 1801 * S);
    while (take_said(&said))
        continue;
    server.netmask = 0xffff0000;
    server.router = OTHER_IP;
    give_reply(ACK, said.xid);
    cr_assert(eq(u32, next_hop_to(udp, 0xc0000301), 0xc0000301));
    cr_assert(eq(u32, next_hop_to(udp, 0x08080808), OTHER_IP));
    wire_stop();
}

Test(dhcp, a_router_that_we_are_ourselves_is_none)
{
    struct heard heard;
    server.router = LEASED_IP;
    start(1);
    (void)get_lease();
    cr_assert(eq(u32, next_hop_to(wire_open(0, 5004, &heard), 0x08080808), 0));
    wire_stop();
}

/* The thread was asleep meanwhile. */
Test(dhcp, a_lease_that_ended_unseen_is_not_renewed_first)
{
    struct said said;
    start(1);
    (void)get_lease();
    wire_forget_sent();
    wire.now_ns += 3700 * S;
    wire_run_for(S);
    cr_assert(eq(u32, wire.address, 0));
    cr_assert(take_said(&said));
    cr_assert(eq(u32, said.type, DISCOVER));
    wire_stop();
}

// RFC 3927, 1.9: not both.
Test(dhcp, with_a_lease_the_link_local_address_is_anybodys)
{
    start(1);
    wire_run_for(30 * S);
    const uint32_t link_local = wire.address;
    cr_assert(eq(u32, link_local >> 16, 0xa9fe));
    struct said said;
    do {
        wire_run_for(S);
        while (take_said(&said))
            continue;
        give_reply(OFFER, said.xid);
    } while (!take_said(&said));
    give_reply(ACK, said.xid);
    wire_run_for(10 * S);
    cr_assert(eq(u32, wire.address, LEASED_IP));
    wire_forget_sent();
    for (uint32_t i = 0; i < 2; i++)
        wire_give_arp(1, ALL_MACS, OTHER_MAC, link_local, 0, link_local);
    cr_assert(wire_take() == NULL);
    cr_assert(eq(u64, wire_counters().arp_conflicts, 0));
    wire_stop();
}

// RFC 2131, 3.1, 5: declined, and 10 s of rest.
Test(dhcp, a_leased_address_that_another_host_has_is_declined)
{
    struct said said;
    start(1);
    wire_run_for(2 * S);
    cr_assert(take_said(&said));
    give_reply(OFFER, said.xid);
    cr_assert(take_said(&said));
    give_reply(ACK, said.xid);
    wire_run_for(S / 10);
    wire_give_arp(2, OUR_MAC, OTHER_MAC, LEASED_IP, OUR_MAC, 0);
    cr_assert(take_said(&said));
    cr_assert(eq(u32, said.type, DECLINE));
    cr_assert(eq(u32, said.to, 0xffffffff));
    cr_assert(eq(u32, said.client, 0));
    cr_assert(eq(u32, said.requested, LEASED_IP));
    cr_assert(eq(u32, said.server, SERVER_IP));
    cr_assert(eq(u32, said.host_name[0], 0));
    const uint64_t declined_ns = said.at_ns;
    wire_run_for(20 * S);
    cr_assert(take_said(&said));
    cr_assert(eq(u32, said.type, DISCOVER));
    cr_assert(eq(u64, said.at_ns, declined_ns + 10 * S));
    cr_assert(ne(u32, wire.address, LEASED_IP));
    wire_stop();
}

// RFC 5227, 2.1.1: MAX_CONFLICTS 10, RATE_LIMIT_INTERVAL 60 s. A router may answer every question there is.
Test(dhcp, where_every_address_is_taken_one_a_minute_is_declined)
{
    start(1);
    uint32_t declines = 0;
    uint64_t declined_ns = 0;
    for (uint32_t i = 0; i < 18000; i++) { // half an hour
        wire_run_for(S / 10);
        struct said said;
        const struct sent *sent;
        while ((sent = wire_take())) {
            if (get16(sent->bytes + 12) == 0x0806 && get32(sent->bytes + 38) == LEASED_IP) {
                wire_give_arp(2, OUR_MAC, OTHER_MAC, LEASED_IP, OUR_MAC, 0);
            } else if (get16(sent->bytes + 12) == 0x0800) {
                wire.taken--;
                cr_assert(take_said(&said));
                if (said.type == DECLINE) {
                    if (++declines > 11)
                        cr_assert(ge(u64, said.at_ns - declined_ns, 60 * S));
                    declined_ns = said.at_ns;
                } else {
                    give_reply(said.type == DISCOVER ? OFFER : ACK, said.xid);
                }
            }
        }
    }
    cr_assert(declines > 30 && declines < 45, "%u declines", declines);
    wire_stop();
}

Test(dhcp, options_may_be_in_the_fields_for_names)
{
    struct said said;
    server.is_overloaded = true;
    start(1);
    const uint64_t base_ns = get_lease();
    run_beside_server(base_ns + 1801 * S);
    cr_assert(take_said(&said));
    cr_assert(eq(u64, said.at_ns, base_ns + 1800 * S));
    wire_stop();
}

Test(dhcp, an_answer_to_the_offered_address_itself_is_taken)
{
    server.is_unicast = true;
    start(1);
    (void)get_lease();
    wire_stop();
}

/* What the server says is not believed: no request follows an offer, or no address an acknowledgement. */
static void
expect_no_lease(uint8_t type)
{
    struct said said;
    start(1);
    wire_run_for(2 * S);
    cr_assert(take_said(&said));
    if (type == ACK) {
        const struct server lie = server;
        reset_server();
        give_reply(OFFER, said.xid);
        cr_assert(take_said(&said));
        server = lie;
    }
    give_reply(type, said.xid);
    wire_run_for(2 * S);
    cr_assert(not(take_said(&said)));
    cr_assert(eq(u32, wire.address, 0));
    wire_stop();
    reset_server();
}

Test(dhcp, offers_and_leases_that_cannot_be_are_not_taken)
{
    static const uint32_t addresses[] = {0,          0x7f000001, 0xe0000001, 0xffffffff,
                                         0xc0000200, 0xc00002ff, SERVER_IP,  5};
    for (uint32_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        server.address = addresses[i];
        expect_no_lease(OFFER);
        server.address = addresses[i];
        expect_no_lease(ACK);
    }
    server.address = LEASED_IP + 1; // not what was offered
    expect_no_lease(ACK);
    server.server = 0;
    expect_no_lease(OFFER);
    server.server = SERVER_IP + 1; // another server's
    expect_no_lease(ACK);
    server.xid_change = 1;
    expect_no_lease(OFFER);
    server.xid_change = 1;
    expect_no_lease(ACK);
    server.mac = PEER_MAC;
    expect_no_lease(OFFER);
    server.is_without_lease = true;
    expect_no_lease(ACK);
    server.lease_s = 0;
    expect_no_lease(ACK);
    expect_no_lease(ACK + 10);
}

// 255.0.255.0 has a hole: class C counts (RFC 950). A router that is a group is none.
Test(dhcp, a_network_that_cannot_be_is_replaced_by_the_address_class)
{
    server.netmask = 0xff00ff00;
    server.router = 0xe0000001;
    start(1);
    (void)get_lease();
    struct heard heard;
    struct dx_udp *const udp = wire_open(0, 5004, &heard);
    cr_assert(
        eq(int, dx_udp_send(udp, &(struct dx_udp_address){0xc00002ff, 1}, "a", 1), 0)); // the broadcast of a /24
    wire_forget_sent();
    cr_assert(lt(int, dx_udp_send(udp, &(struct dx_udp_address){0xc0000301, 1}, "a", 1), 0)); // no way there
    wire_stop();
}

Test(dhcp, t1_and_t2_in_the_wrong_order_are_not_believed)
{
    static const uint32_t lies[][2] = {{100, 50}, {0, 100}, {4000, 5000}, {100, 3600}, {100, 0xffffffff}};
    for (uint32_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct said said;
        server.t1_s = lies[i][0];
        server.t2_s = lies[i][1];
        start(1);
        const uint64_t base_ns = get_lease();
        run_beside_server(base_ns + 1801 * S);
        cr_assert(take_said(&said));
        cr_assert(eq(u64, said.at_ns, base_ns + 1800 * S), "lie %u", i);
        wire_stop();
    }
}

// RFC 2131, 4.4.5: each of them has a default of its own.
Test(dhcp, what_is_not_said_of_t1_and_t2_is_half_and_seven_eighths)
{
    static const struct {
        uint32_t t1_s, t2_s, renew_s, rebind_s;
    } cases[] = {{100, 0, 100, 3150}, {0, 2000, 1800, 2000}, {0, 0, 1800, 3150}};
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct said said;
        server.t1_s = cases[i].t1_s;
        server.t2_s = cases[i].t2_s;
        start(1);
        const uint64_t base_ns = get_lease();
        run_beside_server(base_ns + 3600 * S - 1);
        cr_assert(take_said(&said));
        cr_assert(eq(u64, said.at_ns, base_ns + cases[i].renew_s * S), "case %u", i);
        while (said.to != 0xffffffff)
            cr_assert(take_said(&said));
        cr_assert(eq(u64, said.at_ns, base_ns + cases[i].rebind_s * S), "case %u", i);
        wire_stop();
    }
}

// Each in a message that is cut right behind: what reads beyond is seen by AddressSanitizer.
Test(dhcp, options_that_lie_about_their_length_are_refused)
{
    static const uint8_t lies[][4] = {{54, 4, 1, 2}, {53, 2, 2, 2}, {53, 0, 53, 0}, {51, 3, 0, 0},  {1, 255, 0, 0},
                                      {3, 5, 0, 0},  {52, 1, 4, 0}, {52, 1, 0, 0},  {255, 0, 0, 0}, {0, 0, 0, 54}};
    struct said said;
    start(1);
    wire_run_for(2 * S);
    cr_assert(take_said(&said));
    for (uint32_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        uint8_t bootp[548];
        (void)make_reply(bootp, OFFER, said.xid);
        if (lies[i][0] != 53)
            memcpy(bootp + 243, lies[i], 4);
        else
            memcpy(bootp + 240, lies[i], 4);
        wire_give_udp(ALL_MACS, SERVER_IP, 67, 0xffffffff, 68, bootp, lies[i][0] == 53 && lies[i][1] ? 242 : 247);
    }
    uint8_t routers[548]; // five bytes are no list of addresses
    uint32_t size_of_routers = make_reply(routers, OFFER, said.xid) - 1;
    memcpy(routers + size_of_routers, (const uint8_t[]){3, 5, 192, 0, 2, 254, 1, 255}, 8);
    size_of_routers += 8;
    wire_give_udp(ALL_MACS, SERVER_IP, 67, 0xffffffff, 68, routers, size_of_routers);
    for (uint32_t size = 0; size <= 240; size++) {
        uint8_t bootp[548];
        (void)make_reply(bootp, OFFER, said.xid);
        wire_give_udp(ALL_MACS, SERVER_IP, 67, 0xffffffff, 68, bootp, size);
    }
    cr_assert(not(take_said(&said)));
    cr_assert(ge(u64, wire_counters().bad_frames, 250));
    wire_stop();
}

// Half the servers are wrong, and the names' fields point at themselves.
Test(dhcp, random_messages_never_end_in_an_address_that_cannot_be)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        start(seed);
        srand((unsigned)seed);
        for (uint32_t i = 0; i < 200; i++) {
            struct said said;
            wire_run_for((uint64_t)rand() % (3 * S));
            while (take_said(&said)) {
                uint8_t bootp[548];
                const uint8_t type = (uint8_t)(said.type == DISCOVER ? OFFER : rand() % 4 ? ACK : NAK);
                server.is_overloaded = rand() % 2;
                server.lease_s = (uint32_t)rand() % 20;
                const uint32_t size = make_reply(bootp, type, said.xid);
                for (int flips = rand() % 4; flips > 0; flips--)
                    bootp[(uint32_t)rand() % size] ^= (uint8_t)(1 << rand() % 8);
                wire_give_udp(ALL_MACS, SERVER_IP, 67, 0xffffffff, 68, bootp, size);
            }
            const uint32_t address = dx_net_stack_address(wire.stack);
            cr_assert(address >> 28 < 0xe && address >> 24 != 127);
        }
        wire_stop();
    }
}

Test(dhcp, nobody_else_gets_the_clients_port)
{
    start(1);
    struct heard heard;
    struct dx_udp *udp = wire_open(0, 0, &heard);
    struct dx_udp_config config = udp->config;
    config.port = 68;
    cr_assert(eq(int, dx_udp_open(wire.net, &config, &udp), -EADDRINUSE));
    wire_stop();
}

Test(dhcp, another_cable_begins_from_the_start)
{
    struct said said;
    start(1);
    (void)get_lease();
    dx_net_stack_set_link(wire.stack, false, wire.now_ns);
    cr_assert(eq(u32, wire.address, 0));
    wire_forget_sent();
    wire_run_for(100 * S);
    cr_assert(not(take_said(&said)));
    dx_net_stack_set_link(wire.stack, true, wire.now_ns);
    wire_run_for(2 * S);
    cr_assert(take_said(&said));
    cr_assert(eq(u32, said.type, DISCOVER));
    cr_assert(eq(u32, said.requested, LEASED_IP));
    wire_stop();
}
