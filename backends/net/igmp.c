// SPDX-License-Identifier: MIT
// Groups: told to routers and switches by IGMP, RFC 3376 with its compatibility with RFC 2236 and RFC 1112.

#include "backends/net/stack_state.h"

#include <errno.h>

enum { QUERY = 0x11, REPORT_V1 = 0x12, REPORT_V2 = 0x16, LEAVE_V2 = 0x17, REPORT_V3 = 0x22 };
enum { IS_IN = 1, IS_EX = 2, TO_IN = 3, TO_EX = 4, ALLOW = 5, BLOCK = 6 };

enum {
    HEADER_BYTES = 8,
    QUERY_V3_BYTES = 12,
    RECORD_BYTES = 8,
    REPORT_MAX_BYTES = 1500 - 24, // Ethernet's, less IP with router alert
    ROBUSTNESS = 2,
    DSCP = 48, // RFC 3376, 4
};

static const uint64_t unsolicited_v3_ns = S_NS;      // RFC 3376, 8.11
static const uint64_t unsolicited_v2_ns = 10 * S_NS; // RFC 2236, 8.10
static const uint64_t query_interval_ns = 125 * S_NS;
static const uint64_t v1_response_ns = 10 * S_NS;
static const uint64_t least_response_ns = 10 * MS_NS; // "at once", but not for each query of a flood

/* A random time within the next `most_ns`. */
static uint64_t
within(struct dx_net_stack *stack, uint64_t most_ns)
{
    return after(stack->now_ns, 1 + dx_net_random(stack, most_ns));
}

static bool
listens(const struct dx_group *group)
{
    bool has_members = group->anybodys != 0;
    for (uint32_t i = 0; i < group->source_count && !has_members; i++)
        has_members = group->sources[i].members != 0;
    return has_members;
}

/* Whether queries are answered for it. */
static bool
is_told(const struct dx_group *group)
{
    return group->address && group->address != DX_IP_ALL_HOSTS && listens(group);
}

static struct dx_group *
find_group(struct dx_net_stack *stack, uint32_t address)
{
    for (uint32_t i = 0; i < GROUPS; i++)
        if (stack->igmp.groups[i].address == address)
            return &stack->igmp.groups[i];
    return NULL;
}

bool
dx_igmp_listens(const struct dx_net_stack *stack, uint32_t address)
{
    for (uint32_t i = 0; i < GROUPS; i++)
        if (stack->igmp.groups[i].address == address)
            return listens(&stack->igmp.groups[i]);
    return false;
}

static struct dx_group_source *
find_source(struct dx_group *group, uint32_t address)
{
    for (uint32_t i = 0; i < group->source_count; i++)
        if (group->sources[i].address == address)
            return &group->sources[i];
    return NULL;
}

/* Without the sources that nobody listens to and nobody has to be told of; the group itself likewise. */
static void
tidy(struct dx_group *group)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < group->source_count; i++)
        if (group->sources[i].members || (group->sources[i].repeats && !group->anybodys))
            group->sources[kept++] = group->sources[i];
    group->source_count = kept;
    if (!kept && !group->anybodys && !group->mode_repeats && group->change_ns == NEVER)
        *group = (struct dx_group){.change_ns = NEVER, .answer_ns = NEVER};
}

/* What the adapter must let through: each MAC once, though 32 groups share it. */
static void
update_filter(struct dx_net_stack *stack)
{
    uint8_t macs[GROUPS + 1][6];
    uint32_t macs_count = 1;
    dx_write_mac(macs[0], dx_ip_group_mac(DX_IP_ALL_HOSTS)); // queries
    for (uint32_t i = 0; i < GROUPS; i++) {
        const struct dx_group *const group = &stack->igmp.groups[i];
        if (!group->address || !listens(group))
            continue;
        const uint64_t mac = dx_ip_group_mac(group->address);
        bool is_there = false;
        for (uint32_t j = 0; j < macs_count && !is_there; j++)
            is_there = dx_read_mac(macs[j]) == mac;
        if (!is_there)
            dx_write_mac(macs[macs_count++], mac);
    }
    stack->igmp.is_filter_known = true;
    if (stack->config.set_filter)
        stack->config.set_filter(stack->config.context, (const uint8_t(*)[6])macs, macs_count);
}

static void
forget_changes(struct dx_group *group)
{
    group->mode_repeats = group->join_repeats = 0;
    group->change_ns = group->answer_ns = NEVER;
    for (uint32_t i = 0; i < group->source_count; i++)
        group->sources[i].repeats = 0;
    tidy(group);
}

/*
 * What is told at once: with the next poll, so that what changes together is told together. All hosts are in
 * 224.0.0.1, and none says so: RFC 3376, 6.
 */
static void
tell(struct dx_net_stack *stack, struct dx_group *group)
{
    if (group->address == DX_IP_ALL_HOSTS) {
        forget_changes(group);
        return;
    }
    group->change_ns = stack->now_ns;
    due_at(stack, stack->now_ns);
}

int
dx_igmp_join(struct dx_net_stack *stack, uint32_t address, uint32_t source)
{
    struct dx_igmp *const igmp = &stack->igmp;
    struct dx_group *group = find_group(stack, address);
    if (!group && !(group = find_group(stack, 0)))
        return -ENOBUFS;
    struct dx_group_source *entry = source && group->address ? find_source(group, source) : NULL;
    if (source && !entry && group->source_count == GROUP_SOURCES)
        return -ENOBUFS;

    group->address = address;
    const bool was_heard = listens(group);
    if (!source) {
        if (!group->anybodys++)
            group->mode_repeats = igmp->robustness;
    } else {
        if (!entry) {
            entry = &group->sources[group->source_count++];
            *entry = (struct dx_group_source){.address = source};
        }
        if (!entry->members++)
            entry->repeats = igmp->robustness;
    }
    if (!was_heard)
        group->join_repeats = igmp->robustness;
    tidy(group); // to "any", what is left to tell of sources means nothing
    tell(stack, group);
    if (!was_heard)
        update_filter(stack);
    return 0;
}

void
dx_igmp_leave(struct dx_net_stack *stack, uint32_t address, uint32_t source)
{
    struct dx_group *const group = find_group(stack, address);
    struct dx_group_source *const entry = source ? find_source(group, source) : NULL;
    if (!source) {
        if (!--group->anybodys)
            group->mode_repeats = stack->igmp.robustness;
    } else if (!--entry->members) {
        entry->repeats = stack->igmp.robustness;
    }
    tell(stack, group);
    if (!listens(group))
        update_filter(stack);
}

void
dx_igmp_report_all(struct dx_net_stack *stack)
{
    for (uint32_t i = 0; i < GROUPS; i++) {
        struct dx_group *const group = &stack->igmp.groups[i];
        if (!group->address || !listens(group))
            continue;
        group->join_repeats = stack->igmp.robustness;
        if (group->anybodys)
            group->mode_repeats = stack->igmp.robustness;
        for (uint32_t j = 0; j < group->source_count && !group->anybodys; j++)
            group->sources[j].repeats = stack->igmp.robustness;
        tell(stack, group);
    }
}

/* A message in an IP packet with router alert, never to be routed. */
static void
send_message(struct dx_net_stack *stack, uint32_t to, uint8_t *message, uint32_t size)
{
    const struct dx_ip_header header = {
        .from = dx_net_stack_address(stack),
        .to = to,
        .protocol = DX_PROTOCOL_IGMP,
        .dscp = DSCP,
        .ttl = 1,
        .is_router_alert = true,
    };
    dx_write16(message + 2, dx_checksum(message, size));
    uint8_t frame[DX_ETHERNET_MAX_BYTES];
    const uint32_t start = dx_ip_start(frame, &header, size);
    memcpy(frame + start, message, size);
    if (dx_ip_send(stack, frame, start + size) == 0)
        count(&stack->counters.igmp_reports);
}

static void
send_old(struct dx_net_stack *stack, uint8_t type, uint32_t group)
{
    uint8_t message[HEADER_BYTES] = {type};
    dx_write32(message + 4, group);
    send_message(stack, type == LEAVE_V2 ? DX_IP_ALL_ROUTERS : group, message, sizeof message);
}

static void
send_old_report(struct dx_net_stack *stack, uint32_t group)
{
    send_old(stack, stack->igmp.version == 1 ? REPORT_V1 : REPORT_V2, group);
}

/* A version 3 report that grows by records, and goes out when it is full. */
struct report {
    struct dx_net_stack *stack;
    uint32_t size, record_count;
    uint8_t bytes[REPORT_MAX_BYTES];
};

static void
start_report(struct report *report, struct dx_net_stack *stack)
{
    report->stack = stack;
    report->size = HEADER_BYTES;
    report->record_count = 0;
    memset(report->bytes, 0, HEADER_BYTES);
    report->bytes[0] = REPORT_V3;
}

static void
finish_report(struct report *report)
{
    if (!report->record_count)
        return;
    dx_write16(report->bytes + 6, report->record_count);
    send_message(report->stack, DX_IP_ALL_IGMPV3, report->bytes, report->size);
    start_report(report, report->stack);
}

static void
add_record(struct report *report, uint8_t type, uint32_t group, const uint32_t *sources, uint32_t source_count)
{
    if (report->size + RECORD_BYTES + 4 * source_count > REPORT_MAX_BYTES)
        finish_report(report);
    uint8_t *const record = report->bytes + report->size;
    record[0] = type;
    record[1] = 0;
    dx_write16(record + 2, source_count);
    dx_write32(record + 4, group);
    for (uint32_t i = 0; i < source_count; i++)
        dx_write32(record + RECORD_BYTES + 4 * i, sources[i]);
    report->size += RECORD_BYTES + 4 * source_count;
    report->record_count++;
}

/* The sources that somebody listens to. */
static uint32_t
list_members(const struct dx_group *group, uint32_t sources[GROUP_SOURCES])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < group->source_count; i++)
        if (group->sources[i].members)
            sources[n++] = group->sources[i].address;
    return n;
}

/* RFC 3376, 4.2.12: the state as it is, or as it becomes. */
static void
add_state(struct report *report, const struct dx_group *group, uint8_t in, uint8_t ex)
{
    uint32_t sources[GROUP_SOURCES];
    if (group->anybodys)
        add_record(report, ex, group->address, NULL, 0);
    else
        add_record(report, in, group->address, sources, list_members(group, sources));
}

/* Those that were added, or went, and have to be told still. */
static void
add_sources(struct report *report, const struct dx_group *group, bool is_added)
{
    uint32_t sources[GROUP_SOURCES], n = 0;
    for (uint32_t i = 0; i < group->source_count; i++)
        if (group->sources[i].repeats && (group->sources[i].members != 0) == is_added)
            sources[n++] = group->sources[i].address;
    if (n)
        add_record(report, is_added ? ALLOW : BLOCK, group->address, sources, n);
}

/* RFC 3376, 5.1: a change of mode goes first, and says of the sources all there is to say. */
static void
tell_changes_v3(struct report *report, struct dx_group *group)
{
    if (group->mode_repeats) {
        add_state(report, group, TO_IN, TO_EX);
        group->mode_repeats--;
    } else if (!group->anybodys) {
        add_sources(report, group, true);
        add_sources(report, group, false);
    }
    uint32_t left = group->mode_repeats;
    for (uint32_t i = 0; i < group->source_count; i++) {
        if (group->sources[i].repeats)
            group->sources[i].repeats--;
        if (!group->anybodys)
            left |= group->sources[i].repeats;
    }
    group->change_ns = left ? within(report->stack, unsolicited_v3_ns) : NEVER;
}

/* RFC 2236, 3: reports when it begins, one leave when it ends. */
static void
tell_changes_old(struct dx_net_stack *stack, struct dx_group *group)
{
    group->mode_repeats = 0;
    for (uint32_t i = 0; i < group->source_count; i++)
        group->sources[i].repeats = 0;
    group->change_ns = NEVER;
    if (!listens(group)) {
        if (stack->igmp.version == 2)
            send_old(stack, LEAVE_V2, group->address);
    } else if (group->join_repeats) {
        send_old_report(stack, group->address);
        if (--group->join_repeats)
            group->change_ns = within(stack, unsolicited_v2_ns);
    }
}

/* RFC 3376, 5.2: what a query for the group, or for some of its sources, is told. */
static void
answer_group(struct report *report, struct dx_group *group)
{
    group->answer_ns = NEVER;
    if (!is_told(group))
        return;
    if (report->stack->igmp.version != 3) {
        send_old_report(report->stack, group->address);
        return;
    }
    if (!group->queried_count) {
        add_state(report, group, IS_IN, IS_EX);
        return;
    }
    uint32_t sources[QUERIED_SOURCES], n = 0;
    for (uint32_t i = 0; i < group->queried_count; i++) {
        const struct dx_group_source *const source = find_source(group, group->queried[i]);
        if (group->anybodys || (source && source->members))
            sources[n++] = group->queried[i];
    }
    if (n)
        add_record(report, IS_IN, group->address, sources, n);
}

static void
answer_general(struct report *report)
{
    struct dx_igmp *const igmp = &report->stack->igmp;
    igmp->general_ns = NEVER;
    for (uint32_t i = 0; i < GROUPS; i++)
        if (is_told(&igmp->groups[i]))
            add_state(report, &igmp->groups[i], IS_IN, IS_EX);
}

/* Nothing is answered or told any more, until something changes again. */
static void
cancel_all(struct dx_igmp *igmp)
{
    igmp->general_ns = NEVER;
    for (uint32_t i = 0; i < GROUPS; i++)
        if (igmp->groups[i].address)
            forget_changes(&igmp->groups[i]);
}

/* RFC 3376, 7.2.1: another version cancels all that is pending, but not what was to be told already. */
static void
set_version(struct dx_net_stack *stack, uint32_t version)
{
    struct dx_igmp *const igmp = &stack->igmp;
    if (igmp->version == version)
        return;
    igmp->version = version;
    igmp->general_ns = NEVER;
    for (uint32_t i = 0; i < GROUPS; i++) {
        igmp->groups[i].answer_ns = NEVER;
        if (igmp->groups[i].address && igmp->groups[i].change_ns > stack->now_ns)
            forget_changes(&igmp->groups[i]);
    }
}

/* The oldest querier that was heard lately sets the version. */
static void
choose_version(struct dx_net_stack *stack)
{
    struct dx_igmp *const igmp = &stack->igmp;
    const uint32_t newest = stack->config.igmp_version == 2 ? 2 : 3;
    if (igmp->v1_until_ns <= stack->now_ns)
        igmp->v1_until_ns = 0;
    if (igmp->v2_until_ns <= stack->now_ns)
        igmp->v2_until_ns = 0;
    if (igmp->v1_until_ns)
        set_version(stack, 1);
    else
        set_version(stack, igmp->v2_until_ns ? 2 : newest);
}

void
dx_igmp_reset(struct dx_net_stack *stack)
{
    struct dx_igmp *const igmp = &stack->igmp;
    igmp->robustness = ROBUSTNESS;
    igmp->v1_until_ns = igmp->v2_until_ns = 0;
    for (uint32_t i = 0; i < GROUPS; i++)
        if (!igmp->groups[i].address)
            igmp->groups[i] = (struct dx_group){.change_ns = NEVER, .answer_ns = NEVER};
    cancel_all(igmp);
    choose_version(stack);
}

uint64_t
dx_igmp_poll(struct dx_net_stack *stack)
{
    struct dx_igmp *const igmp = &stack->igmp;
    if (!igmp->is_filter_known)
        update_filter(stack);
    choose_version(stack);
    if (!dx_net_stack_address(stack)) // all is told when there is one
        cancel_all(igmp);

    struct report answers, changes;
    start_report(&answers, stack);
    start_report(&changes, stack);
    if (igmp->general_ns <= stack->now_ns)
        answer_general(&answers);
    uint64_t due_ns = sooner(igmp->general_ns, igmp->v1_until_ns ? igmp->v1_until_ns : NEVER);
    due_ns = sooner(due_ns, igmp->v2_until_ns ? igmp->v2_until_ns : NEVER);
    for (uint32_t i = 0; i < GROUPS; i++) {
        struct dx_group *const group = &igmp->groups[i];
        if (!group->address)
            continue;
        if (group->answer_ns <= stack->now_ns)
            answer_group(&answers, group);
        if (group->change_ns <= stack->now_ns) {
            if (igmp->version == 3)
                tell_changes_v3(&changes, group);
            else
                tell_changes_old(stack, group);
            tidy(group);
        }
        due_ns = sooner(due_ns, sooner(group->answer_ns, group->change_ns));
    }
    finish_report(&answers);
    finish_report(&changes);
    return due_ns;
}

/* RFC 3376, 4.1.1: above 127 a number with an exponent. */
static uint64_t
response_ns(uint32_t code)
{
    const uint32_t tenths = code < 128 ? code : ((code & 15) | 16) << ((code >> 4 & 7) + 3);
    return tenths * 100 * MS_NS;
}

/* RFC 3376, 5.2, rules 3 to 5. Source lists that are too long are taken for the whole group. */
static void
ask_group_v3(struct dx_group *group, uint64_t when_ns, const uint8_t *sources, uint32_t source_count)
{
    const bool is_pending = group->answer_ns != NEVER;
    if (!is_pending || !source_count)
        group->queried_count = 0; // what was asked before is answered, or part of all
    if (source_count && (!is_pending || group->queried_count)) {
        for (uint32_t i = 0; i < source_count; i++) {
            const uint32_t source = dx_read32(sources + 4 * i);
            bool is_there = false;
            for (uint32_t j = 0; j < group->queried_count && !is_there; j++)
                is_there = group->queried[j] == source;
            if (is_there)
                continue;
            if (group->queried_count == QUERIED_SOURCES) {
                group->queried_count = 0;
                break;
            }
            group->queried[group->queried_count++] = source;
        }
    }
    group->answer_ns = sooner(group->answer_ns, when_ns);
}

/* RFC 2236, 3: a timer for each group, which only a shorter time sets anew. */
static void
ask_old(struct dx_net_stack *stack, uint32_t address, uint64_t most_ns)
{
    for (uint32_t i = 0; i < GROUPS; i++) {
        struct dx_group *const group = &stack->igmp.groups[i];
        if ((address && group->address != address) || !is_told(group))
            continue;
        if (group->answer_ns == NEVER || after(stack->now_ns, most_ns) < group->answer_ns)
            group->answer_ns = within(stack, most_ns);
        due_at(stack, group->answer_ns);
    }
}

static void
take_query(struct dx_net_stack *stack, uint32_t to, const uint8_t *data, uint32_t size)
{
    struct dx_igmp *const igmp = &stack->igmp;
    const uint32_t address = dx_read32(data + 4), forced = stack->config.igmp_version;
    const bool is_v3 = size >= QUERY_V3_BYTES, is_v1 = size == HEADER_BYTES && data[1] == 0;
    const uint32_t source_count = is_v3 ? dx_read16(data + 10) : 0;
    // RFC 3376, 9.1: a general one is for all hosts; 4.1.12: or for us alone.
    if ((size != HEADER_BYTES && !is_v3) || (is_v3 && source_count > (size - QUERY_V3_BYTES) / 4) ||
        (address && !dx_ip_is_group(address)) ||
        (!address && to != DX_IP_ALL_HOSTS && to != dx_net_stack_address(stack))) {
        count(&stack->counters.bad_frames);
        return;
    }
    count(&stack->counters.igmp_queries);

    uint64_t most_ns = is_v1 ? v1_response_ns : is_v3 ? response_ns(data[1]) : data[1] * 100 * MS_NS;
    if (!most_ns)
        most_ns = least_response_ns;
    if (is_v3) {
        const uint32_t robustness = data[8] & 7;
        igmp->robustness = robustness ? robustness : ROBUSTNESS;
    } else if (forced != 3 && (is_v1 || !address)) {
        // RFC 3376, 7.2.1: a general query, or any of version 1; 8.12: how long
        const uint64_t until_ns = after(stack->now_ns, igmp->robustness * query_interval_ns + most_ns);
        *(is_v1 ? &igmp->v1_until_ns : &igmp->v2_until_ns) = until_ns;
        due_at(stack, until_ns);
    }
    choose_version(stack);
    if (igmp->version != 3) {
        ask_old(stack, address, most_ns);
        return;
    }
    const uint64_t when_ns = within(stack, most_ns);
    struct dx_group *const group = address ? find_group(stack, address) : NULL;
    if (igmp->general_ns <= when_ns || (address && !group))
        return;
    if (!address)
        igmp->general_ns = when_ns;
    else
        ask_group_v3(group, when_ns, data + QUERY_V3_BYTES, source_count);
    due_at(stack, when_ns);
}

void
dx_igmp_input(struct dx_net_stack *stack, uint32_t to, const uint8_t *data, uint32_t size)
{
    if (size < HEADER_BYTES) {
        count(&stack->counters.bad_frames);
        return;
    }
    if (dx_checksum(data, size) != 0) {
        count(&stack->counters.bad_checksums);
        return;
    }
    if (data[0] == QUERY) {
        take_query(stack, to, data, size);
        return;
    }
    // RFC 2236, 3: another host's report is enough for all. In version 3 each one speaks for itself.
    const uint32_t address = dx_read32(data + 4);
    struct dx_group *const group = address && address == to ? find_group(stack, address) : NULL;
    if ((data[0] == REPORT_V1 || data[0] == REPORT_V2) && stack->igmp.version != 3 && group && listens(group)) {
        group->answer_ns = NEVER;
        if (group->change_ns > stack->now_ns) { // else it is told already, but for the poll that is due
            group->change_ns = NEVER;
            group->join_repeats = 0;
        }
    }
}
