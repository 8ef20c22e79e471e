// SPDX-License-Identifier: MIT
// The flight recorder: what is written is read again, whoever dies in the middle of it.  The product's source, with each
// store counted, so that a writer can stop for ever after any one.

#include "tests/core/check.h"

#include <dextral/base.h>

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static _Thread_local unsigned stores_left = UINT32_MAX;
static _Thread_local jmp_buf stopped;

/* What is counted is left by longjmp(), and RealtimeSanitizer would take all that follows for real-time code: so it
 * carries no mark. */
#pragma push_macro("DX_REALTIME")
#undef DX_REALTIME
#define DX_REALTIME

/* Stops before the store that would be one too many. */
static void
counted_store(_Atomic uint32_t *word, uint32_t value, memory_order order)
{
    if (stores_left != UINT32_MAX && stores_left-- == 0)
        longjmp(stopped, 1);
    atomic_store_explicit(word, value, order);
}

static void
stop_now(_Atomic uint32_t *stop)
{
    atomic_store_explicit(stop, 1, memory_order_relaxed);
}

#undef atomic_store_explicit
#define atomic_store_explicit(object, value, order) counted_store((object), (value), (order))

/* In a namespace of its own beside the library's, which reads. */
#define dx_recorder_cycle counted_recorder_cycle
#define dx_recorder_line counted_recorder_line
#define dx_recorder_incident counted_recorder_incident
#include "audio/recorder_rt.c"
#undef dx_recorder_cycle
#undef dx_recorder_line
#undef dx_recorder_incident
#pragma pop_macro("DX_REALTIME")

bool dx_recorder_cycle(struct dx_recorder *recorder, const struct dx_cycle_times *times) DX_REALTIME;
void dx_recorder_line(struct dx_recorder *recorder, uint64_t frame, uint64_t host_ns, double ns_per_frame) DX_REALTIME;
void dx_recorder_incident(struct dx_recorder *recorder, const struct dx_incident *incident) DX_REALTIME;

enum { WORDS = 26704, BYTES = 4 * WORDS }; // of a region: by hand, and the same for 32 and 64 bits

#define MS 1000000u
#define SECOND 1000000000u

struct region {
    _Atomic uint32_t words[WORDS];
};

static struct region *
make_region(void)
{
    struct region *const region = calloc(1, sizeof *region);
    CHECK(region);
    CHECK(dx_recorder_init(region, BYTES));
    return region;
}

static struct dx_recorder
attach(struct region *region)
{
    struct dx_recorder recorder;
    dx_recorder_attach(&recorder, region);
    return recorder;
}

static struct dx_cycle_times
cycle_at(uint64_t host_ns, uint64_t lateness_ns)
{
    return (struct dx_cycle_times){host_ns, lateness_ns, 2 * lateness_ns, 3 * lateness_ns, 0};
}

/* One whose fields all follow from a number. */
static struct dx_incident
incident_of(uint64_t number)
{
    struct dx_incident incident = {
        .host_time_ns = number * 1000 + 1,
        .device_time = number * 1000 + 2,
        .client = number * 0x100000001u,
        .cause = DX_CAUSE_LATE_WAKE + number % 3,
        .frames = (uint32_t)number + 4,
        .count = (uint32_t)number + 5,
    };
    for (unsigned i = 0; i < DX_CAUSE_COUNT; i++)
        incident.intervals_ns[i] = number * 1000 + 10 + i;
    return incident;
}

static void
check_incident(const struct dx_incident *incident, uint64_t number)
{
    const struct dx_incident expected = incident_of(number);
    CHECK_EQ(incident->host_time_ns, expected.host_time_ns);
    CHECK_EQ(incident->device_time, expected.device_time);
    CHECK_EQ(incident->client, expected.client);
    CHECK_EQ(incident->cause, expected.cause);
    CHECK_EQ(incident->frames, expected.frames);
    CHECK_EQ(incident->count, expected.count);
    for (unsigned i = 0; i < DX_CAUSE_COUNT; i++)
        CHECK_EQ(incident->intervals_ns[i], expected.intervals_ns[i]);
}

static uint32_t
read_incidents(const struct region *region, struct dx_incident incidents[DX_RECORDER_INCIDENTS])
{
    return dx_recording_incidents(region, BYTES, incidents, DX_RECORDER_INCIDENTS);
}

static uint32_t
read_slices(const struct region *region, struct dx_recorded_slice slices[DX_RECORDER_SLICES])
{
    return dx_recording_slices(region, BYTES, slices, DX_RECORDER_SLICES);
}

/* ---- the region ---- */

static void
region_has_the_size_that_other_processes_know(void)
{
    CHECK_EQ(dx_recorder_bytes(), BYTES);
    CHECK(BYTES < 128 * 1024);
}

static void
only_a_zeroed_region_or_one_of_this_version_is_taken(void)
{
    struct region *const region = calloc(1, sizeof *region);
    CHECK(region);
    CHECK(!dx_recorder_init(region, BYTES - 1));
    CHECK(dx_recorder_init(region, BYTES));
    CHECK(dx_recorder_init(region, BYTES)); // goes on
    for (unsigned word = 0; word < 3; word++) {
        region->words[word]++;
        CHECK(!dx_recorder_init(region, BYTES));
        region->words[word]--;
    }
    CHECK(dx_recorder_init(region, BYTES));
    free(region);
}

static void
nothing_is_read_where_nothing_was_written(void)
{
    static struct dx_recorded_slice slices[DX_RECORDER_SLICES];
    static struct dx_incident incidents[DX_RECORDER_INCIDENTS];
    struct region *const region = make_region();
    uint64_t frame, host_ns;
    double ns_per_frame;
    CHECK_EQ(read_slices(region, slices), 0);
    CHECK_EQ(read_incidents(region, incidents), 0);
    CHECK(!dx_recording_line(region, BYTES, &frame, &host_ns, &ns_per_frame));

    /* And where it is something else: shorter, of another version, missing. */
    struct dx_recorder recorder = attach(region);
    const struct dx_incident incident = incident_of(1);
    dx_recorder_incident(&recorder, &incident);
    dx_recorder_line(&recorder, 1, 1, 1e9 / 48000);
    CHECK_EQ(dx_recording_incidents(region, BYTES - 1, incidents, DX_RECORDER_INCIDENTS), 0);
    CHECK(!dx_recording_line(region, BYTES - 1, &frame, &host_ns, &ns_per_frame));
    region->words[1]++;
    CHECK_EQ(read_incidents(region, incidents), 0);
    CHECK(!dx_recording_line(region, BYTES, &frame, &host_ns, &ns_per_frame));
    CHECK(!dx_recording_line(NULL, 0, &frame, &host_ns, &ns_per_frame));
    free(region);
}

static void
nothing_is_recorded_without_a_region(void)
{
    struct dx_recorder recorder;
    dx_recorder_attach(&recorder, NULL);
    const struct dx_cycle_times times = cycle_at(1, 2);
    const struct dx_incident incident = incident_of(1);
    CHECK(!dx_recorder_cycle(&recorder, &times));
    dx_recorder_line(&recorder, 1, 1, 1.0);
    dx_recorder_incident(&recorder, &incident);
}

/* ---- cycles ---- */

static void
durations_are_never_too_short_and_at_most_an_eighth_too_long(void)
{
    static struct dx_recorded_slice slices[DX_RECORDER_SLICES];
    for (uint64_t ns = 0; ns < 16u * (uint64_t)SECOND; ns = ns < 100 ? ns + 1 : ns + ns / 37) {
        struct region *const region = make_region();
        struct dx_recorder recorder = attach(region);
        const struct dx_cycle_times times = {.host_time_ns = 1, .lateness_ns = ns, .handler_ns = ns, .cycle_ns = ns};
        (void)dx_recorder_cycle(&recorder, &times);
        dx_recorder_line(&recorder, 1, 1, 1.0);
        CHECK_EQ(read_slices(region, slices), 1);
        CHECK(slices[0].lateness_ns >= ns && slices[0].lateness_ns <= ns + ns / 8);
        CHECK_EQ(slices[0].handler_ns, slices[0].lateness_ns);
        CHECK_EQ(slices[0].cycle_ns, slices[0].lateness_ns);
        free(region);
    }
}

static void
a_slice_has_the_worst_of_its_cycles(void)
{
    static struct dx_recorded_slice slices[DX_RECORDER_SLICES];
    struct region *const region = make_region();
    struct dx_recorder recorder = attach(region);
    const struct dx_cycle_times cycles[] = {
        {5 * SECOND, 4, 1, 3, 0},
        {5 * SECOND + 10 * MS, 1, 7, 2, DX_CYCLE_LATE},
        {5 * SECOND + 19 * MS, 2, 2, 6, DX_CYCLE_UNCOVERED},
        {5 * SECOND + 20 * MS, 1, 1, 1, DX_CYCLE_STAMP}, // the next one
    };
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(dx_recorder_cycle(&recorder, &cycles[i]), i == 0 || i == 3);
        dx_recorder_line(&recorder, 1, 1, 1.0);
    }
    CHECK_EQ(read_slices(region, slices), 2);
    CHECK_EQ(slices[0].number, 0);
    CHECK_EQ(slices[0].lateness_ns, 4);
    CHECK_EQ(slices[0].handler_ns, 7);
    CHECK_EQ(slices[0].cycle_ns, 6);
    CHECK_EQ(slices[0].flags, DX_CYCLE_LATE | DX_CYCLE_UNCOVERED);
    CHECK_EQ(slices[1].number, 1);
    CHECK_EQ(slices[1].lateness_ns, 1);
    CHECK_EQ(slices[1].flags, DX_CYCLE_STAMP);
    CHECK_EQ(slices[1].host_time_ns, 5 * SECOND + 20 * MS);
    CHECK(slices[1].host_time_ns - slices[0].host_time_ns - 19 * MS < 2 * MS);
    CHECK_EQ(dx_recording_slices(region, BYTES, slices, 1), 1); // the newest
    CHECK_EQ(slices[0].number, 1);
    free(region);
}

/* 16 frames at 48 kHz, and then a night without IO. */
static void
the_last_minutes_are_kept_however_short_the_cycles_are(void)
{
    static struct dx_recorded_slice slices[DX_RECORDER_SLICES];
    struct region *const region = make_region();
    struct dx_recorder recorder = attach(region);
    uint64_t now = 3 * SECOND;
    for (; now < 300u * (uint64_t)SECOND; now += 333333) {
        const struct dx_cycle_times times = cycle_at(now, now / SECOND);
        (void)dx_recorder_cycle(&recorder, &times);
    }
    const uint64_t last = now - 333333, morning = last + 30000u * (uint64_t)SECOND;
    const struct dx_cycle_times times = cycle_at(morning, 77);
    (void)dx_recorder_cycle(&recorder, &times);
    dx_recorder_line(&recorder, 1, 1, 1.0);

    const uint32_t count = read_slices(region, slices);
    CHECK(count > 8000);
    CHECK_EQ(slices[count - 1].host_time_ns, morning);
    CHECK(slices[count - 2].host_time_ns - slices[0].host_time_ns > 160u * (uint64_t)SECOND);
    for (uint32_t i = 0; i < count - 1; i++) {
        CHECK_EQ(slices[i].number, slices[0].number + i);
        /* What was late by as many nanoseconds as the second it came in. */
        const uint64_t second = (slices[i].host_time_ns + 20 * MS) / SECOND;
        CHECK(slices[i].lateness_ns + 1 >= second && slices[i].lateness_ns <= second + second / 8 + 1);
        CHECK(last - slices[i].host_time_ns < 170u * (uint64_t)SECOND);
    }
    free(region);
}

/* ---- incidents and the line ---- */

static void
incidents_are_read_as_they_were_written_the_newest_of_them(void)
{
    static struct dx_incident incidents[DX_RECORDER_INCIDENTS];
    struct region *const region = make_region();
    struct dx_recorder recorder = attach(region);
    for (uint64_t number = 1; number <= 600; number++) {
        const struct dx_incident incident = incident_of(number);
        dx_recorder_incident(&recorder, &incident);
        const uint64_t expected = number < DX_RECORDER_INCIDENTS ? number : DX_RECORDER_INCIDENTS;
        CHECK_EQ(read_incidents(region, incidents), expected);
        for (uint64_t i = 0; i < expected; i++)
            check_incident(&incidents[i], number - expected + 1 + i);
    }
    CHECK_EQ(dx_recording_incidents(region, BYTES, incidents, 3), 3);
    check_incident(&incidents[0], 598);
    CHECK_EQ(dx_recording_incidents(region, BYTES, incidents, 0), 0);
    free(region);
}

static void
line_is_read_as_it_was_written_last(void)
{
    struct region *const region = make_region();
    struct dx_recorder recorder = attach(region);
    for (uint64_t i = 1; i < 20; i++) {
        dx_recorder_line(&recorder, 1000 * i, 7000000000000u * i, 1e9 / 48000.0 / (double)i);
        uint64_t frame, host_ns;
        double ns_per_frame;
        CHECK(dx_recording_line(region, BYTES, &frame, &host_ns, &ns_per_frame));
        CHECK_EQ(frame, 1000 * i);
        CHECK_EQ(host_ns, 7000000000000u * i);
        CHECK(ns_per_frame == 1e9 / 48000.0 / (double)i);
    }
    free(region);
}

static void
line_that_cannot_be_true_is_none(void)
{
    const struct {
        uint64_t frame, host_ns;
        double ns_per_frame;
    } lines[] = {
        {1, 1, NAN},       {1, 1, INFINITY},        {1, 1, -20833.0},        {1, 1, 0.0}, {1, 1, 1e-300},
        {1, 1, 1e300},     {UINT64_MAX, 1, 20833.}, {1, UINT64_MAX, 20833.0},
    };
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct region *const region = make_region();
        struct dx_recorder recorder = attach(region);
        dx_recorder_line(&recorder, lines[i].frame, lines[i].host_ns, lines[i].ns_per_frame);
        uint64_t frame = 5, host_ns = 6;
        double ns_per_frame = 7.0;
        CHECK(!dx_recording_line(region, BYTES, &frame, &host_ns, &ns_per_frame));
        CHECK(frame == 5 && host_ns == 6 && ns_per_frame == 7.0);
        free(region);
    }
}

static void
next_writer_goes_on_where_the_last_one_stopped(void)
{
    static struct dx_incident incidents[DX_RECORDER_INCIDENTS];
    static struct dx_recorded_slice slices[DX_RECORDER_SLICES];
    struct region *const volatile region = make_region();
    for (uint64_t number = 1; number <= 300; number++) {
        CHECK(dx_recorder_init(region, BYTES));
        struct dx_recorder recorder = attach(region);
        const struct dx_incident incident = incident_of(number);
        const struct dx_cycle_times times = cycle_at(number * MS, number);
        dx_recorder_incident(&recorder, &incident);
        (void)dx_recorder_cycle(&recorder, &times); // a slice of its own, however soon
        dx_recorder_line(&recorder, number, 1, 1.0);
    }
    CHECK_EQ(read_incidents(region, incidents), DX_RECORDER_INCIDENTS);
    for (uint32_t i = 0; i < DX_RECORDER_INCIDENTS; i++)
        check_incident(&incidents[i], 300 - DX_RECORDER_INCIDENTS + 1 + i);
    CHECK_EQ(read_slices(region, slices), 300);
    CHECK_EQ(slices[299].number, 299);
    uint64_t frame, host_ns;
    double ns_per_frame;
    CHECK(dx_recording_line(region, BYTES, &frame, &host_ns, &ns_per_frame));
    CHECK_EQ(frame, 300);
    free(region);
}

/* ---- dying in the middle ---- */

enum { STORES_OF_AN_INCIDENT = 40, STORES_OF_A_LINE = 16, STORES_OF_A_CYCLE = 3 };

/* Writes up to a number of stores; true: all of it. */
static bool
write_incident(struct dx_recorder *recorder, uint64_t number, unsigned stores)
{
    const struct dx_incident incident = incident_of(number);
    stores_left = stores;
    if (!setjmp(stopped))
        counted_recorder_incident(recorder, &incident);
    const bool whole = stores_left != UINT32_MAX;
    stores_left = UINT32_MAX;
    return whole;
}

/* After `before` incidents: all places of the ring, also those that have one already. */
static void
writer_that_dies_after_any_store_spoils_its_own_incident_alone(void)
{
    static struct dx_incident incidents[DX_RECORDER_INCIDENTS];
    for (uint64_t before = 0; before < 600; before += before < 4 ? 1 : 37) {
        for (unsigned stores = 0; stores <= STORES_OF_AN_INCIDENT; stores++) {
            struct region *const region = make_region();
            struct dx_recorder recorder = attach(region);
            for (uint64_t number = 1; number <= before; number++)
                CHECK(write_incident(&recorder, number, STORES_OF_AN_INCIDENT));
            CHECK_EQ(write_incident(&recorder, before + 1, stores), stores == STORES_OF_AN_INCIDENT);

            const uint64_t last = stores == STORES_OF_AN_INCIDENT ? before + 1 : before;
            uint32_t count = read_incidents(region, incidents);
            const uint64_t most = last < DX_RECORDER_INCIDENTS ? last : DX_RECORDER_INCIDENTS;
            CHECK(count == most || (count == most - 1 && last == before && before >= DX_RECORDER_INCIDENTS));
            for (uint32_t i = 0; i < count; i++)
                check_incident(&incidents[i], last - count + 1 + i);

            /* Whoever comes next goes on. */
            struct dx_recorder next = attach(region);
            const struct dx_incident incident = incident_of(9999);
            dx_recorder_incident(&next, &incident);
            count = read_incidents(region, incidents);
            check_incident(&incidents[count - 1], 9999);
            if (count > 1)
                check_incident(&incidents[count - 2], last);
            free(region);
        }
    }
}

static void
writer_that_dies_after_any_store_leaves_a_line(void)
{
    for (uint64_t before = 1; before < 10; before++) {
        for (volatile unsigned stores = 0; stores <= STORES_OF_A_LINE; stores++) {
            struct region *const volatile region = make_region();
            struct dx_recorder recorder = attach(region);
            for (uint64_t i = 1; i <= before; i++)
                dx_recorder_line(&recorder, 1000 * i, 1000000 * i, 100.0 * (double)i);
            stores_left = stores;
            if (!setjmp(stopped))
                counted_recorder_line(&recorder, 1000 * (before + 1), 1000000 * (before + 1),
                                      100.0 * (double)(before + 1));
            CHECK_EQ(stores_left != UINT32_MAX, stores == STORES_OF_A_LINE);
            stores_left = UINT32_MAX;

            uint64_t frame, host_ns;
            double ns_per_frame;
            CHECK(dx_recording_line(region, BYTES, &frame, &host_ns, &ns_per_frame));
            const uint64_t expected = stores == STORES_OF_A_LINE ? before + 1 : before;
            CHECK_EQ(frame, 1000 * expected);
            CHECK_EQ(host_ns, 1000000 * expected);
            CHECK(ns_per_frame == 100.0 * (double)expected);
            free(region);
        }
    }
}

static void
writer_that_dies_after_any_store_leaves_the_cycles_before(void)
{
    static struct dx_recorded_slice slices[DX_RECORDER_SLICES];
    for (volatile unsigned stores = 0; stores <= STORES_OF_A_CYCLE; stores++) {
        struct region *const volatile region = make_region();
        struct dx_recorder recorder = attach(region);
        for (uint64_t i = 1; i <= 5; i++) {
            const struct dx_cycle_times times = cycle_at(i * SECOND, i);
            (void)dx_recorder_cycle(&recorder, &times);
            dx_recorder_line(&recorder, i, 1, 1.0);
        }
        const struct dx_cycle_times times = cycle_at(6 * (uint64_t)SECOND, 6);
        stores_left = stores;
        if (!setjmp(stopped))
            (void)counted_recorder_cycle(&recorder, &times);
        CHECK_EQ(stores_left != UINT32_MAX, stores == STORES_OF_A_CYCLE);
        stores_left = UINT32_MAX;
        CHECK_EQ(read_slices(region, slices), 5);
        for (uint64_t i = 0; i < 5; i++)
            CHECK_EQ(slices[i].lateness_ns, i + 1);
        free(region);
    }
}

/* A copy whose first part was made before a write, and whose rest after it, or the other way round. */
static void
copy_that_was_torn_anywhere_holds_whole_records(void)
{
    static struct dx_incident incidents[DX_RECORDER_INCIDENTS];
    struct region *const old = make_region(), *const copy = make_region();
    struct dx_recorder recorder = attach(old);
    for (uint64_t number = 1; number <= 300; number++) {
        const struct dx_incident incident = incident_of(number);
        dx_recorder_incident(&recorder, &incident);
        dx_recorder_line(&recorder, number, 10 * number, 100.0 * (double)number);
    }
    struct region *const new = make_region();
    memcpy((void *)new, (const void *)old, sizeof *new);
    recorder = attach(new);
    for (uint64_t number = 301; number <= 304; number++) {
        const struct dx_incident incident = incident_of(number);
        dx_recorder_incident(&recorder, &incident);
        dx_recorder_line(&recorder, number, 10 * number, 100.0 * (double)number);
    }
    for (unsigned turned = 0; turned < 2; turned++)
        for (unsigned split = 0; split <= WORDS; split += split < 100 || split > WORDS - 300 ? 1 : 13) {
            for (unsigned i = 0; i < WORDS; i++)
                copy->words[i] = ((i < split) != turned ? old : new)->words[i];
            const uint32_t count = read_incidents(copy, incidents);
            CHECK(count >= DX_RECORDER_INCIDENTS - 5);
            for (uint32_t i = 0; i < count; i++) {
                const uint64_t number = incidents[i].device_time / 1000;
                CHECK(number > 300 - DX_RECORDER_INCIDENTS && number <= 304);
                check_incident(&incidents[i], number);
                CHECK(i == 0 || number > incidents[i - 1].device_time / 1000);
            }
            uint64_t frame, host_ns;
            double ns_per_frame;
            CHECK(dx_recording_line(copy, BYTES, &frame, &host_ns, &ns_per_frame));
            CHECK(frame > 296 && host_ns == 10 * frame && ns_per_frame == 100.0 * (double)frame);
        }
    free(old);
    free(new);
    free(copy);
}

/* ---- while it is written ---- */

struct shared {
    struct region *region;
    _Atomic uint32_t stop;
};

static void *
write_for_long(void *argument)
{
    struct shared *const shared = argument;
    struct dx_recorder recorder = attach(shared->region);
    for (uint64_t number = 1; !atomic_load_explicit(&shared->stop, memory_order_relaxed); number++) {
        const struct dx_incident incident = incident_of(number);
        const struct dx_cycle_times times = cycle_at(number * 5 * MS, number % 100);
        dx_recorder_incident(&recorder, &incident);
        (void)dx_recorder_cycle(&recorder, &times);
        dx_recorder_line(&recorder, number, 10 * number, 100.0 * (double)(number % 1000 + 1));
    }
    return NULL;
}

static void
whoever_reads_meanwhile_sees_whole_records(void)
{
    static struct dx_incident incidents[DX_RECORDER_INCIDENTS];
    static struct dx_recorded_slice slices[DX_RECORDER_SLICES];
    struct shared shared = {.region = make_region()};
    pthread_t writer;
    CHECK_EQ(pthread_create(&writer, NULL, write_for_long, &shared), 0);
    uint64_t last = 0;
    for (unsigned rounds = 0; rounds < 300 || last < 1000; rounds++) {
        const uint32_t count = read_incidents(shared.region, incidents);
        for (uint32_t i = 0; i < count; i++)
            check_incident(&incidents[i], incidents[i].device_time / 1000);
        uint64_t frame, host_ns;
        double ns_per_frame;
        if (dx_recording_line(shared.region, BYTES, &frame, &host_ns, &ns_per_frame)) {
            CHECK(host_ns == 10 * frame && ns_per_frame == 100.0 * (double)(frame % 1000 + 1));
            last = frame;
        }
        (void)dx_recording_slices(shared.region, BYTES, slices, 100);
    }
    stop_now(&shared.stop);
    CHECK_EQ(pthread_join(writer, NULL), 0);
    free(shared.region);
}

int
main(void)
{
    RUN(region_has_the_size_that_other_processes_know);
    RUN(only_a_zeroed_region_or_one_of_this_version_is_taken);
    RUN(nothing_is_read_where_nothing_was_written);
    RUN(nothing_is_recorded_without_a_region);
    RUN(durations_are_never_too_short_and_at_most_an_eighth_too_long);
    RUN(a_slice_has_the_worst_of_its_cycles);
    RUN(the_last_minutes_are_kept_however_short_the_cycles_are);
    RUN(incidents_are_read_as_they_were_written_the_newest_of_them);
    RUN(line_is_read_as_it_was_written_last);
    RUN(line_that_cannot_be_true_is_none);
    RUN(next_writer_goes_on_where_the_last_one_stopped);
    RUN(writer_that_dies_after_any_store_spoils_its_own_incident_alone);
    RUN(writer_that_dies_after_any_store_leaves_a_line);
    RUN(writer_that_dies_after_any_store_leaves_the_cycles_before);
    RUN(copy_that_was_torn_anywhere_holds_whole_records);
    RUN(whoever_reads_meanwhile_sees_whole_records);
    return 0;
}
