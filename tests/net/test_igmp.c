// SPDX-License-Identifier: MIT
// Groups as they are told: RFC 3376, its compatibility with RFC 2236, and their times.

#include "tests/net/fake_wire.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

enum { IS_IN = 1, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK };

#define ALL_HOSTS 0xe0000001u
#define ALL_ROUTERS 0xe0000002u
#define ALL_V3 0xe0000016u
#define SOURCE_A 0x0a000001u
#define SOURCE_B 0x0a000002u
#define SOURCE_C 0x0a000003u

static struct heard heard;
static struct dx_udp *udp;

static void
start_version(uint32_t version, uint64_t seed)
{
    memset(&heard, 0, sizeof heard);
    wire_start(&(struct dx_net_stack_config){.igmp_version = version, .seed = seed});
    udp = wire_open(0, 5004, &heard);
    wire_run_for(10 * S);
    wire_forget_sent();
}

static void
start(void)
{
    start_version(0, 1);
}

TestSuite(igmp, .init = start, .fini = wire_stop);

/* An IGMP message of ours, taken apart. */
struct told {
    uint64_t at_ns;
    uint32_t to, type, group; // versions 1 and 2
    uint32_t record_count;
    struct {
        uint32_t type, group, source_count, sources[32];
    } records[64];
};

/* The next one; false: none. What RFC 3376, 4 and RFC 2236, 2 ask of all of them is checked here. */
static bool
take_told(struct told *told)
{
    const struct sent *const sent = wire_take_ip(2);
    if (!sent)
        return false;
    memset(told, 0, sizeof *told);
    const uint8_t *const ip = sent->bytes + 14, *const igmp = ip + 24;
    const uint32_t size = sent->size - 38;
    cr_assert(eq(u32, ip[0], 0x46));
    cr_assert(eq(u32, ip[1], 0xc0));
    cr_assert(eq(u32, get16(ip + 2), sent->size - 14));
    cr_assert(eq(u32, ip[8], 1));
    cr_assert(eq(u32, get32(ip + 20), 0x94040000));
    cr_assert(eq(u32, slow_checksum(ip, 24), 0));
    cr_assert(eq(u32, slow_checksum(igmp, size), 0));
    cr_assert(eq(u32, get32(ip + 12), OUR_IP));
    told->at_ns = sent->at_ns;
    told->to = get32(ip + 16);
    cr_assert(eq(u64, get48(sent->bytes), 0x01005e000000 + (told->to & 0x7fffff)));
    told->type = igmp[0];
    if (told->type != 0x22) {
        cr_assert(eq(u32, size, 8));
        told->group = get32(igmp + 4);
        cr_assert(eq(u32, told->to, told->type == 0x17 ? ALL_ROUTERS : told->group));
        return true;
    }
    cr_assert(eq(u32, told->to, ALL_V3));
    told->record_count = get16(igmp + 6);
    cr_assert(told->record_count >= 1 && told->record_count <= 64);
    const uint8_t *record = igmp + 8;
    for (uint32_t i = 0; i < told->record_count; i++) {
        told->records[i].type = record[0];
        cr_assert(eq(u32, record[1], 0));
        told->records[i].source_count = get16(record + 2);
        told->records[i].group = get32(record + 4);
        cr_assert(le(u32, told->records[i].source_count, 32));
        for (uint32_t j = 0; j < told->records[i].source_count; j++)
            told->records[i].sources[j] = get32(record + 8 + 4 * j);
        record += 8 + 4 * told->records[i].source_count;
    }
    cr_assert(record == igmp + size);
    return true;
}

static void
expect_record(const struct told *told, uint32_t type, uint32_t group, uint32_t source_count)
{
    cr_assert(eq(u32, told->type, 0x22));
    cr_assert(eq(u32, told->record_count, 1));
    cr_assert(eq(u32, told->records[0].type, type));
    cr_assert(eq(u32, told->records[0].group, group));
    cr_assert(eq(u32, told->records[0].source_count, source_count));
}

static void
give_query(uint32_t to, uint32_t code, uint32_t group, uint32_t qrv, const uint32_t *sources,
           uint32_t source_count, uint32_t size)
{
    uint8_t igmp[12 + 4 * 64] = {0x11, (uint8_t)code};
    put32(igmp + 4, group);
    igmp[8] = (uint8_t)qrv;
    put16(igmp + 10, source_count);
    for (uint32_t i = 0; i < source_count; i++)
        put32(igmp + 12 + 4 * i, sources[i]);
    if (size == 8)
        memset(igmp + 8, 0, 4);
    put16(igmp + 2, slow_checksum(igmp, size));
    wire_give_ip(0x01005e000000 + (to & 0x7fffff), PEER_MAC, 0, to, 2, igmp, size);
}

static void
give_v3_query(uint32_t code, uint32_t group, const uint32_t *sources, uint32_t count)
{
    give_query(group ? group : ALL_HOSTS, code, group, 2, sources, count, 12 + 4 * count);
}

static void
give_v2_query(uint32_t code, uint32_t group)
{
    give_query(group ? group : ALL_HOSTS, code, group, 0, NULL, 0, 8);
}

static void
give_v2_report(uint32_t group)
{
    uint8_t report[8] = {0x16};
    put32(report + 4, group);
    put16(report + 2, slow_checksum(report, 8));
    wire_give_ip(0x01005e000000 + (group & 0x7fffff), PEER_MAC, PEER_IP, group, 2, report, 8);
}

static void
join(uint32_t group, uint32_t source)
{
    cr_assert(eq(int, dx_udp_join(udp, group, source), 0));
}

static void
leave(uint32_t group, uint32_t source)
{
    cr_assert(eq(int, dx_udp_leave(udp, group, source), 0));
}

/* Past what is told of changes. */
static void
settle(void)
{
    wire_run_for(30 * S);
    wire_forget_sent();
}

// RFC 3376, 5.1: at once, and robustness - 1 more within the unsolicited report interval, 1 s.
Test(igmp, joining_and_leaving_are_told_twice_within_a_second)
{
    uint64_t least_ns = UINT64_MAX, most_ns = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        start_version(0, seed);
        for (uint32_t i = 0; i < 2; i++) {
            struct told told;
            const uint64_t begin_ns = wire.now_ns;
            if (i == 0)
                join(GROUP, 0);
            else
                leave(GROUP, 0);
            wire_run_for(20 * S);
            cr_assert(take_told(&told));
            expect_record(&told, i == 0 ? TO_EX : TO_IN, GROUP, 0);
            cr_assert(eq(u64, told.at_ns, begin_ns));
            cr_assert(take_told(&told));
            expect_record(&told, i == 0 ? TO_EX : TO_IN, GROUP, 0);
            const uint64_t gap_ns = told.at_ns - begin_ns;
            least_ns = gap_ns < least_ns ? gap_ns : least_ns;
            most_ns = gap_ns > most_ns ? gap_ns : most_ns;
            cr_assert(not(take_told(&told)));
        }
        cr_assert(eq(u64, wire_counters().igmp_reports, 4));
        wire_stop();
    }
    cr_assert(least_ns > 0 && least_ns < S / 10 && most_ns > S * 9 / 10 && most_ns <= S);
}

// RFC 3376, 5.1: ALLOW and BLOCK for sources, TO_IN with the rest when "any" ends.
Test(igmp, sources_are_told_as_they_come_and_go)
{
    struct told told;
    struct dx_udp *const other = wire_open(GROUP, 5004, &heard);
    join(GROUP, SOURCE_A);
    wire_run_for(0);
    cr_assert(take_told(&told));
    expect_record(&told, ALLOW, GROUP, 1);
    cr_assert(eq(u32, told.records[0].sources[0], SOURCE_A));
    settle();
    join(GROUP, SOURCE_B);
    leave(GROUP, SOURCE_A);
    wire_run_for(0);
    cr_assert(take_told(&told));
    cr_assert(eq(u32, told.record_count, 2));
    cr_assert(eq(u32, told.records[0].type, ALLOW));
    cr_assert(eq(u32, told.records[0].sources[0], SOURCE_B));
    cr_assert(eq(u32, told.records[1].type, BLOCK));
    cr_assert(eq(u32, told.records[1].sources[0], SOURCE_A));
    settle();
    cr_assert(eq(int, dx_udp_join(other, GROUP, SOURCE_B), 0)); // nothing new
    wire_run_for(5 * S);
    cr_assert(not(take_told(&told)));
    cr_assert(eq(int, dx_udp_leave(other, GROUP, SOURCE_B), 0));
    cr_assert(eq(int, dx_udp_join(other, GROUP, 0), 0));
    wire_run_for(0);
    cr_assert(take_told(&told));
    expect_record(&told, TO_EX, GROUP, 0);
    settle();
    join(GROUP, SOURCE_C); // "any" has it already
    wire_run_for(5 * S);
    cr_assert(not(take_told(&told)));
    cr_assert(eq(int, dx_udp_leave(other, GROUP, 0), 0));
    wire_run_for(0);
    cr_assert(take_told(&told));
    expect_record(&told, TO_IN, GROUP, 2);
    settle();
    dx_udp_close(udp);
    udp = NULL;
    wire_run_for(5 * S);
    cr_assert(take_told(&told));
    expect_record(&told, BLOCK, GROUP, 2);
    cr_assert(take_told(&told));
    expect_record(&told, BLOCK, GROUP, 2);
    cr_assert(not(take_told(&told)));
}

Test(igmp, two_sockets_in_a_group_are_one_member)
{
    struct told told;
    struct dx_udp *const other = wire_open(0, 5006, &heard);
    join(GROUP, 0);
    settle();
    cr_assert(eq(int, dx_udp_join(other, GROUP, 0), 0));
    leave(GROUP, 0);
    wire_run_for(20 * S);
    cr_assert(not(take_told(&told)));
    cr_assert(eq(u32, wire.filter_count, 2));
    dx_udp_close(other);
    wire_run_for(0);
    cr_assert(take_told(&told));
    expect_record(&told, TO_IN, GROUP, 0);
    cr_assert(eq(u32, wire.filter_count, 1));
}

// RFC 3376, 5.2: all groups as they are, within the time that the query gives; evenly spread.
Test(igmp, a_general_query_is_answered_once_within_its_time)
{
    uint64_t least_ns = UINT64_MAX, most_ns = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct told told;
        start_version(0, seed);
        join(GROUP, 0);
        join(GROUP + 1, SOURCE_A);
        settle();
        const uint64_t begin_ns = wire.now_ns;
        give_v3_query(100, 0, NULL, 0);
        wire_run_for(60 * S);
        cr_assert(take_told(&told));
        cr_assert(eq(u32, told.record_count, 2));
        cr_assert(eq(u32, told.records[0].type, IS_EX));
        cr_assert(eq(u32, told.records[0].group, GROUP));
        cr_assert(eq(u32, told.records[1].type, IS_IN));
        cr_assert(eq(u32, told.records[1].group, GROUP + 1));
        cr_assert(eq(u32, told.records[1].source_count, 1));
        const uint64_t gap_ns = told.at_ns - begin_ns;
        least_ns = gap_ns < least_ns ? gap_ns : least_ns;
        most_ns = gap_ns > most_ns ? gap_ns : most_ns;
        cr_assert(not(take_told(&told)));
        wire_stop();
    }
    cr_assert(least_ns < S && most_ns > 9 * S && most_ns <= 10 * S);
}

// RFC 3376, 4.1.1: 0x80 is 16 << 3 = 128 tenths, 0xff 31 << 10 = 31744.
Test(igmp, long_response_times_have_an_exponent)
{
    static const struct {
        uint32_t code;
        uint64_t tenths;
    } codes[] = {{1, 1}, {127, 127}, {0x80, 128}, {0x8f, 248}, {0x90, 256}, {0xff, 31744}};
    for (uint32_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        uint64_t most_ns = 0;
        for (uint64_t seed = 1; seed <= 100; seed++) {
            struct told told;
            start_version(3, seed);
            join(GROUP, 0);
            settle();
            const uint64_t begin_ns = wire.now_ns;
            give_v3_query(codes[i].code, 0, NULL, 0);
            wire_run_for(3200 * S);
            cr_assert(take_told(&told));
            most_ns = told.at_ns - begin_ns > most_ns ? told.at_ns - begin_ns : most_ns;
            wire_stop();
        }
        cr_assert(most_ns <= codes[i].tenths * 100 * MS && most_ns > codes[i].tenths * 90 * MS, "code %x",
                  codes[i].code);
    }
}

Test(igmp, a_query_for_a_group_is_answered_for_it_alone)
{
    struct told told;
    join(GROUP, 0);
    join(GROUP + 1, 0);
    settle();
    give_v3_query(10, GROUP, NULL, 0);
    wire_run_for(1 * S);
    cr_assert(take_told(&told));
    expect_record(&told, IS_EX, GROUP, 0);
    give_v3_query(10, GROUP + 2, NULL, 0); // nobody's
    wire_run_for(5 * S);
    cr_assert(not(take_told(&told)));
}

// RFC 3376, 5.2: A*B in include mode, B in exclude mode; lists of two queries are put together.
Test(igmp, a_query_for_sources_is_answered_with_those_that_are_listened_to)
{
    struct told told;
    const uint32_t asked[] = {SOURCE_B, SOURCE_C}, more[] = {SOURCE_A};
    join(GROUP, SOURCE_A);
    join(GROUP, SOURCE_B);
    join(GROUP + 1, 0);
    settle();
    give_v3_query(10, GROUP, asked, 2);
    wire_run_for(1 * S);
    cr_assert(take_told(&told));
    expect_record(&told, IS_IN, GROUP, 1);
    cr_assert(eq(u32, told.records[0].sources[0], SOURCE_B));
    give_v3_query(10, GROUP + 1, asked, 2);
    wire_run_for(1 * S);
    cr_assert(take_told(&told));
    expect_record(&told, IS_IN, GROUP + 1, 2);
    give_v3_query(10, GROUP, &asked[1], 1); // nobody listens to C
    wire_run_for(5 * S);
    cr_assert(not(take_told(&told)));
    give_v3_query(100, GROUP, asked, 2);
    give_v3_query(100, GROUP, more, 1);
    wire_run_for(20 * S);
    cr_assert(take_told(&told));
    expect_record(&told, IS_IN, GROUP, 2);
    cr_assert(not(take_told(&told)));
    give_v3_query(100, GROUP, asked, 2);
    give_v3_query(100, GROUP, NULL, 0); // rule 4: all of it, once
    wire_run_for(20 * S);
    cr_assert(take_told(&told));
    expect_record(&told, IS_IN, GROUP, 2);
    cr_assert(not(take_told(&told)));
}

// The list of a query is done with its time, though nobody listened then.
Test(igmp, sources_that_were_asked_for_once_are_not_told_later)
{
    struct told told;
    const uint32_t asked[] = {SOURCE_A, SOURCE_B};
    join(GROUP, SOURCE_A);
    join(GROUP, SOURCE_B);
    settle();
    give_v3_query(1, GROUP, asked, 1);
    leave(GROUP, SOURCE_A);
    leave(GROUP, SOURCE_B);
    wire_run_for(100 * MS);
    join(GROUP, SOURCE_A); // before BLOCK is told a second time, and all is forgotten
    join(GROUP, SOURCE_B);
    settle();
    give_v3_query(1, GROUP, &asked[1], 1);
    wire_run_for(100 * MS);
    cr_assert(take_told(&told));
    expect_record(&told, IS_IN, GROUP, 1);
    cr_assert(eq(u32, told.records[0].sources[0], SOURCE_B));
}

// 0 asks for an answer at once; a hundred of them in ten milliseconds get a few.
Test(igmp, a_flood_of_queries_that_ask_for_answers_at_once_is_not_answered_one_by_one)
{
    struct told told;
    join(GROUP, 0);
    settle();
    for (uint32_t i = 0; i < 10000; i++) {
        give_v3_query(0, i % 2 ? GROUP : 0, NULL, 0);
        wire_run_for(MS / 10);
    }
    uint32_t answers = 0;
    while (take_told(&told))
        answers++;
    cr_assert(answers > 0 && answers < 2000, "%u answers in a second", answers);
}

Test(igmp, a_flood_of_queries_is_answered_at_the_rate_they_allow)
{
    struct told told;
    join(GROUP, 0);
    settle();
    for (uint32_t i = 0; i < 10000; i++) {
        give_v3_query(100, 0, NULL, 0);
        wire_run_for(1 * MS);
    }
    uint32_t answers = 0;
    while (take_told(&told))
        answers++;
    cr_assert(le(u32, answers, 1000)); // 10 s of them, each answer at the soonest of what has come since the last
    cr_assert(eq(u64, wire_counters().igmp_queries, 10000));
}

Test(igmp, more_groups_than_a_report_holds_are_told_in_several)
{
    struct told told;
    static bool is_told[63];
    struct dx_udp *last = NULL;
    settle();
    for (uint32_t i = 0; i < 63; i++) { // each with 8 sources: 63 * (8 + 32) bytes, two groups a socket
        struct dx_udp *const socket = i % 2 ? last : wire_open(0, (uint16_t)(7000 + i), &heard);
        for (uint32_t j = 0; j < 8; j++)
            cr_assert(eq(int, dx_udp_join(socket, GROUP + i, SOURCE_A + j), 0));
        last = socket;
    }
    settle();
    give_v3_query(10, 0, NULL, 0);
    wire_run_for(2 * S);
    uint32_t reports = 0, groups = 0;
    while (take_told(&told)) {
        reports++;
        for (uint32_t i = 0; i < told.record_count; i++) {
            const uint32_t number = told.records[i].group - GROUP;
            cr_assert(lt(u32, number, 63));
            cr_assert(not(is_told[number]));
            cr_assert(eq(u32, told.records[i].source_count, 8));
            is_told[number] = true;
            groups++;
        }
    }
    cr_assert(eq(u32, groups, 63));
    cr_assert(eq(u32, reports, 2)); // 2520 bytes of records, 1468 a report
}

Test(igmp, groups_and_sources_that_were_left_make_room_for_others)
{
    for (uint32_t i = 0; i < 200; i++) {
        join(GROUP + i, 0);
        leave(GROUP + i, 0);
        wire_run_for(1 * S);
    }
    for (uint32_t i = 0; i < 200; i++) {
        join(GROUP, SOURCE_A + i);
        leave(GROUP, SOURCE_A + i);
        wire_run_for(1 * S);
    }
    cr_assert(eq(u32, wire.filter_count, 1));
}

// 16 of a group, whose ever they are; those that were just left count until that is told.
Test(igmp, more_sources_of_a_group_than_there_may_be_are_refused)
{
    struct dx_udp *sockets[3];
    for (uint32_t i = 0; i < 3; i++) {
        sockets[i] = wire_open(GROUP, 5004, &heard);
        for (uint32_t j = 0; j < 8; j++)
            cr_assert(eq(int, dx_udp_join(sockets[i], GROUP, SOURCE_A + 8 * i + j), i < 2 ? 0 : -ENOBUFS));
    }
    cr_assert(eq(int, dx_udp_join(sockets[2], GROUP, SOURCE_A), 0)); // is there already
    cr_assert(eq(int, dx_udp_leave(sockets[1], GROUP, SOURCE_A + 8), 0));
    cr_assert(eq(int, dx_udp_join(sockets[2], GROUP, SOURCE_A + 16), -ENOBUFS));
    settle();
    cr_assert(eq(int, dx_udp_join(sockets[2], GROUP, SOURCE_A + 16), 0));
    dx_udp_close(sockets[0]);
    settle();
    wire_give_udp(GROUP_MAC, SOURCE_A + 1, 4000, GROUP, 5004, "a", 1);
    cr_assert(eq(u32, heard.count, 0));
    wire_give_udp(GROUP_MAC, SOURCE_A + 16, 4000, GROUP, 5004, "a", 1);
    cr_assert(eq(u32, heard.count, 1));
}

// RFC 2236, 3 and 8.10: at once, and once more within 10 s; one leave to all routers.
Test(igmp, version_2_reports_twice_and_leaves_once)
{
    uint64_t most_ns = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct told told;
        start_version(2, seed);
        const uint64_t begin_ns = wire.now_ns;
        join(GROUP, SOURCE_A); // version 2 knows no sources
        wire_run_for(20 * S);
        for (uint32_t i = 0; i < 2; i++) {
            cr_assert(take_told(&told));
            cr_assert(eq(u32, told.type, 0x16));
            cr_assert(eq(u32, told.group, GROUP));
        }
        most_ns = told.at_ns - begin_ns > most_ns ? told.at_ns - begin_ns : most_ns;
        cr_assert(not(take_told(&told)));
        leave(GROUP, SOURCE_A);
        wire_run_for(20 * S);
        cr_assert(take_told(&told));
        cr_assert(eq(u32, told.type, 0x17));
        cr_assert(eq(u32, told.group, GROUP));
        cr_assert(not(take_told(&told)));
        wire_stop();
    }
    cr_assert(most_ns > 9 * S && most_ns <= 10 * S);
}

// RFC 3376, 7.2.1 and 8.12: version 2 until robustness * 125 s + the response time after the last such query.
Test(igmp, a_version_2_querier_is_spoken_to_in_version_2_until_it_has_been_silent)
{
    struct told told;
    join(GROUP, 0);
    settle();
    give_v2_query(100, 0);
    const uint64_t begin_ns = wire.now_ns;
    wire_run_for(10 * S);
    cr_assert(take_told(&told));
    cr_assert(eq(u32, told.type, 0x16));
    cr_assert(not(take_told(&told)));
    give_v3_query(10, 0, NULL, 0); // the old one goes before
    wire_run_for(2 * S);
    cr_assert(take_told(&told));
    cr_assert(eq(u32, told.type, 0x16));
    wire_run_until(begin_ns + 260 * S - 1);
    join(GROUP + 1, 0);
    wire_run_for(0);
    cr_assert(take_told(&told));
    cr_assert(eq(u32, told.type, 0x16));
    wire_run_for(1);
    leave(GROUP + 1, 0);
    wire_run_for(0);
    cr_assert(take_told(&told));
    expect_record(&told, TO_IN, GROUP + 1, 0);
    give_v3_query(10, 0, NULL, 0);
    wire_run_for(2 * S);
    while (take_told(&told))
        cr_assert(eq(u32, told.type, 0x22));
}

// RFC 3376, 7.2.1: general queries alone say who the querier is. Switches ask for a group that somebody left.
Test(igmp, a_version_2_query_for_a_group_does_not_change_the_version)
{
    struct told told;
    join(GROUP, 0);
    join(GROUP + 1, SOURCE_A);
    settle();
    give_v2_query(10, GROUP);
    wire_run_for(1 * S);
    cr_assert(take_told(&told));
    expect_record(&told, IS_EX, GROUP, 0);
    leave(GROUP + 1, SOURCE_A);
    wire_run_for(0);
    cr_assert(take_told(&told));
    expect_record(&told, BLOCK, GROUP + 1, 1);
}

// RFC 3376, 7.2.1: a response time of 0 is version 1's, 10 s; version 1 has no leave.
Test(igmp, a_version_1_querier_is_spoken_to_in_version_1)
{
    struct told told;
    join(GROUP, 0);
    settle();
    give_v2_query(0, 0);
    wire_run_for(10 * S);
    cr_assert(take_told(&told));
    cr_assert(eq(u32, told.type, 0x12));
    leave(GROUP, 0);
    wire_run_for(20 * S);
    cr_assert(not(take_told(&told)));
    wire_run_for(230 * S); // 260 s after it was heard
    join(GROUP, 0);
    wire_run_for(0);
    cr_assert(take_told(&told));
    expect_record(&told, TO_EX, GROUP, 0);
}

// RFC 3376, 7.2.1: what is left to repeat is not repeated in another version; the query is answered.
Test(igmp, another_version_ends_the_repetitions)
{
    struct told told;
    join(GROUP, 0);
    wire_run_for(0);
    cr_assert(take_told(&told));
    expect_record(&told, TO_EX, GROUP, 0);
    wire_run_for(1);
    give_v2_query(100, 0);
    wire_run_for(60 * S);
    cr_assert(take_told(&told));
    cr_assert(eq(u32, told.type, 0x16));
    cr_assert(not(take_told(&told)));
}

Test(igmp, a_configured_version_stays)
{
    struct told told;
    wire_stop();
    start_version(3, 1);
    join(GROUP, 0);
    settle();
    give_v2_query(10, 0);
    wire_run_for(2 * S);
    cr_assert(take_told(&told));
    expect_record(&told, IS_EX, GROUP, 0);
    wire_stop();
    start_version(2, 1);
    join(GROUP, 0);
    settle();
    give_v3_query(10, 0, NULL, 0);
    wire_run_for(2 * S);
    cr_assert(take_told(&told));
    cr_assert(eq(u32, told.type, 0x16));
}

// RFC 2236, 3: one answer for a group is enough. RFC 3376 has no such thing.
Test(igmp, in_version_2_the_report_of_another_host_is_enough)
{
    for (uint32_t version = 2; version <= 3; version++) {
        struct told told;
        wire_stop();
        start_version(version, 1);
        join(GROUP, 0);
        settle();
        give_v2_query(100, 0);
        give_v2_report(GROUP);
        wire_run_for(20 * S);
        cr_assert(eq(u32, take_told(&told), version == 3));
    }
}

// RFC 2236, 3 and RFC 3376, 5.1: at once. A frame that is there before the next poll comes too late.
Test(igmp, what_is_to_be_told_at_once_is_told_whatever_comes_before_the_next_poll)
{
    struct told told;
    join(GROUP, 0);
    settle();
    leave(GROUP, 0);
    join(GROUP + 1, SOURCE_A);
    give_v2_query(100, 0);
    wire_run_for(0);
    cr_assert(take_told(&told));
    cr_assert(eq(u32, told.type, 0x17));
    cr_assert(eq(u32, told.group, GROUP));
    cr_assert(take_told(&told));
    cr_assert(eq(u32, told.type, 0x16));
    cr_assert(eq(u32, told.group, GROUP + 1));
    settle();
    join(GROUP + 2, 0);
    give_v2_report(GROUP + 2);
    wire_run_for(0);
    cr_assert(take_told(&told));
    cr_assert(eq(u32, told.type, 0x16));
    cr_assert(eq(u32, told.group, GROUP + 2));
    give_v2_report(GROUP + 2); // the second time is another's
    wire_run_for(20 * S);
    cr_assert(not(take_told(&told)));
}

Test(igmp, the_querier_says_how_often_changes_are_told)
{
    struct told told;
    settle();
    give_query(ALL_HOSTS, 10, 0, 5, NULL, 0, 12);
    settle();
    join(GROUP, 0);
    wire_run_for(20 * S);
    for (uint32_t i = 0; i < 5; i++) {
        cr_assert(take_told(&told));
        expect_record(&told, TO_EX, GROUP, 0);
    }
    cr_assert(not(take_told(&told)));
}

// RFC 3376, 4.1.6: 0 stands for no word on it, and the default is 2.
Test(igmp, a_querier_that_does_not_say_how_often_leaves_it_at_two)
{
    struct told told;
    give_query(ALL_HOSTS, 10, 0, 5, NULL, 0, 12);
    give_query(ALL_HOSTS, 10, 0, 0, NULL, 0, 12);
    settle();
    join(GROUP, 0);
    wire_run_for(20 * S);
    cr_assert(take_told(&told));
    cr_assert(take_told(&told));
    cr_assert(not(take_told(&told)));
}

// RFC 3376, 5.2, rule 1: what is told of all sooner needs no further answer.
Test(igmp, a_query_for_a_group_adds_nothing_to_a_general_answer_that_comes_sooner)
{
    struct told told;
    join(GROUP, 0);
    settle();
    give_v3_query(1, 0, NULL, 0);
    give_v3_query(255, GROUP, NULL, 0);
    wire_run_for(3200 * S);
    cr_assert(take_told(&told));
    expect_record(&told, IS_EX, GROUP, 0);
    cr_assert(not(take_told(&told)));
}

// RFC 3376, 5.2, rules 4 and 5, and RFC 2236, 3: a longer time does not put off an answer that waits.
Test(igmp, of_two_queries_for_a_group_the_sooner_answer_counts)
{
    struct told told;
    for (uint32_t version = 2; version <= 3; version++) {
        wire_stop();
        start_version(version, 1);
        join(GROUP, 0);
        settle();
        for (uint32_t i = 0; i < 2; i++) {
            give_v3_query(i ? 255 : 1, GROUP, NULL, 0);
            give_v3_query(i ? 1 : 255, GROUP, NULL, 0);
            wire_run_for(100 * MS);
            cr_assert(take_told(&told));
            wire_run_for(3200 * S);
            cr_assert(not(take_told(&told)));
        }
    }
}

Test(igmp, lists_of_sources_are_told_without_doubles_and_too_long_ones_as_the_whole_group)
{
    struct told told;
    uint32_t sources[40];
    for (uint32_t i = 0; i < 40; i++)
        sources[i] = SOURCE_A + i;
    const uint32_t doubles[] = {SOURCE_A, SOURCE_B, SOURCE_A};
    join(GROUP, SOURCE_A);
    join(GROUP, SOURCE_B);
    join(GROUP + 1, 0);
    settle();
    give_v3_query(10, GROUP, doubles, 3);
    wire_run_for(1 * S);
    cr_assert(take_told(&told));
    expect_record(&told, IS_IN, GROUP, 2);
    give_v3_query(10, GROUP + 1, sources, 32);
    wire_run_for(1 * S);
    cr_assert(take_told(&told));
    expect_record(&told, IS_IN, GROUP + 1, 32);
    give_v3_query(10, GROUP + 1, sources, 40);
    wire_run_for(1 * S);
    cr_assert(take_told(&told));
    expect_record(&told, IS_EX, GROUP + 1, 0);
    give_v3_query(10, GROUP, sources, 40);
    wire_run_for(1 * S);
    cr_assert(take_told(&told));
    expect_record(&told, IS_IN, GROUP, 2);
}

// RFC 3376, 4.1.12: whatever address of ours it is sent to.
Test(igmp, a_general_query_to_us_alone_is_answered)
{
    struct told told;
    join(GROUP, 0);
    settle();
    uint8_t query[12] = {0x11, 10};
    put16(query + 2, slow_checksum(query, 12));
    wire_give_ip(OUR_MAC, PEER_MAC, PEER_IP, OUR_IP, 2, query, 12);
    wire_run_for(1 * S);
    cr_assert(take_told(&told));
    expect_record(&told, IS_EX, GROUP, 0);
}

// Switches drop reports from 0.0.0.0.
Test(igmp, without_an_address_nothing_is_told_and_all_of_it_once_there_is_one)
{
    wire_start(&(struct dx_net_stack_config){.addressing = DX_NET_LINK_LOCAL});
    udp = wire_open(0, 5004, &heard);
    join(GROUP, 0);
    give_v3_query(1, 0, NULL, 0);
    wire_run_for(3 * S); // the address is probed
    const uint32_t sent = wire.sent_count;
    for (uint32_t i = 0; i < sent; i++)
        cr_assert(eq(u32, get16(wire.sent[i].bytes + 12), 0x0806));
    wire_run_for(10 * S);
    const struct sent *const report = wire_take_ip(2);
    cr_assert(report != NULL);
    cr_assert(eq(u32, get32(report->bytes + 26), wire.address));
    cr_assert(eq(u32, report->bytes[38 + 8], TO_EX));
    cr_assert(eq(u32, get32(report->bytes + 38 + 12), GROUP));
}

Test(igmp, queries_that_lie_are_counted_and_not_answered)
{
    struct told told;
    static const uint32_t sources[64] = {0};
    join(GROUP, 0);
    settle();
    give_query(ALL_HOSTS, 10, 0, 2, NULL, 0, 9);       // no version's length
    give_query(ALL_HOSTS, 10, 0, 2, sources, 64, 12);  // fewer sources than it says
    give_query(ALL_HOSTS, 10, OUR_IP, 2, NULL, 0, 12); // for what is no group
    give_query(GROUP, 10, 0, 2, NULL, 0, 12);          // general, but not to all
    cr_assert(eq(u64, wire_counters().bad_frames, 4));
    uint8_t query[8] = {0x11, 10, 0xde, 0xad};
    wire_give_ip(0x01005e000001, PEER_MAC, 0, ALL_HOSTS, 2, query, 8);
    cr_assert(eq(u64, wire_counters().bad_checksums, 1));
    for (uint32_t size = 0; size < 8; size++)
        wire_give_ip(0x01005e000001, PEER_MAC, 0, ALL_HOSTS, 2, query, size);
    wire_run_for(20 * S);
    cr_assert(not(take_told(&told)));
    cr_assert(eq(u64, wire_counters().igmp_queries, 0));
}

// RFC 3376, 6: never, in no version.
Test(igmp, the_group_of_all_hosts_is_heard_and_never_told)
{
    for (uint32_t version = 2; version <= 3; version++) {
        struct told told;
        start_version(version, 1);
        heard.count = 0;
        join(ALL_HOSTS, 0);
        wire_give_udp(0x01005e000001, PEER_IP, 4000, ALL_HOSTS, 5004, "a", 1);
        cr_assert(eq(u32, heard.count, 1));
        wire_run_for(20 * S);
        give_v3_query(10, 0, NULL, 0);
        give_v3_query(10, ALL_HOSTS, NULL, 0);
        wire_run_for(5 * S);
        dx_net_stack_set_link(wire.stack, false, wire.now_ns);
        dx_net_stack_set_link(wire.stack, true, wire.now_ns);
        wire_run_for(5 * S);
        leave(ALL_HOSTS, 0);
        wire_run_for(20 * S);
        cr_assert(not(take_told(&told)));
        cr_assert(eq(u32, wire.filter_count, 1));
    }
}

// 224.0.0.1 for queries, and 32 groups share a MAC: RFC 1112, 6.4.
Test(igmp, the_adapter_is_told_each_mac_once)
{
    cr_assert(eq(u32, wire.filter_count, 1));
    cr_assert(eq(u64, wire.filter[0], 0x01005e000001));
    join(GROUP, 0);
    join(GROUP ^ 0x01000000, 0); // 238.69.0.1
    join(0xe000012a, 0);
    cr_assert(eq(u32, wire.filter_count, 3));
    cr_assert(eq(u64, wire.filter[1], GROUP_MAC));
    cr_assert(eq(u64, wire.filter[2], 0x01005e00012a));
    leave(GROUP, 0);
    cr_assert(eq(u32, wire.filter_count, 3));
    leave(GROUP ^ 0x01000000, 0);
    cr_assert(eq(u32, wire.filter_count, 2));
}

Test(igmp, groups_are_told_again_with_another_cable)
{
    struct told told;
    join(GROUP, 0);
    join(GROUP + 1, SOURCE_A);
    settle();
    dx_net_stack_set_link(wire.stack, false, wire.now_ns);
    wire_run_for(S);
    cr_assert(not(take_told(&told)));
    dx_net_stack_set_link(wire.stack, true, wire.now_ns);
    wire_run_for(0);
    cr_assert(take_told(&told));
    cr_assert(eq(u32, told.record_count, 2));
    cr_assert(eq(u32, told.records[0].type, TO_EX));
    cr_assert(eq(u32, told.records[1].type, ALLOW));
}

Test(igmp, the_end_of_the_stack_is_told_too)
{
    struct told told;
    join(GROUP, 0);
    settle();
    wire_stop();
    cr_assert(take_told(&told));
    expect_record(&told, TO_IN, GROUP, 0);
}
