// SPDX-License-Identifier: MIT
// Lanes: what a reader accepts, whatever the writer does, and wherever it stops.

#include "tests/audio/counted_lane.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Frame f of a lane is the pair (f, ~f). */
struct frame {
    uint32_t number, inverse;
};

enum { RING = 64, MOST = 256 };

static struct dx_lane lane;
static struct dx_lane_state writer;

static void
make_lane(uint32_t ring_frames)
{
    cr_assert(eq(int, dx_lane_create(&lane, "test", ring_frames, sizeof(struct frame)), 0));
    writer = (struct dx_lane_state){.flags = DX_LANE_RUNNING};
    dx_lane_publish(&lane, &writer);
}

static void
make_ring(void)
{
    make_lane(RING);
}

static void
finish(void)
{
    dx_lane_finish(&lane);
}

TestSuite(lane, .init = make_ring, .fini = finish);

static uint64_t random_state = 1;

static uint64_t
next_random(void)
{
    uint64_t z = (random_state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint32_t
below(uint32_t end)
{
    return (uint32_t)(next_random() % end);
}

static void
number_frames(struct frame *frames, uint64_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        frames[i] = (struct frame){(uint32_t)(first + i), ~(uint32_t)(first + i)};
}

static void
append(uint32_t count)
{
    struct frame frames[MOST];
    number_frames(frames, writer.end, count);
    dx_lane_append(&lane, &writer, frames, count);
}

/* What a reader says is there must be the frames of that time.  Exact room: a byte too far is seen. */
static struct dx_span
copy_with(struct dx_span (*copy)(const struct dx_lane *, struct dx_lane_state *, uint64_t, uint32_t, void *)
              DX_REALTIME,
          struct dx_lane_state *known, uint64_t base, uint64_t time, uint32_t count)
{
    struct frame *const frames = malloc(count * sizeof *frames);
    const struct dx_span span = copy(&lane, known, time, count, frames);
    cr_assert(span.first <= span.last && span.last <= count);
    for (uint32_t i = span.first; i < span.last; i++) {
        const uint32_t number = (uint32_t)(time + i - base);
        cr_assert(frames[i].number == number && frames[i].inverse == ~number, "frame %u of %u: %u is %u/%u", i,
                  count, number, frames[i].number, ~frames[i].inverse);
    }
    free(frames);
    return span;
}

static struct dx_span
copy(struct dx_lane_state *known, uint64_t base, uint64_t time, uint32_t count)
{
    return copy_with(dx_lane_copy, known, base, time, count);
}

static void
assert_span(struct dx_span span, uint32_t first, uint32_t last)
{
    cr_assert(eq(u32, span.last - span.first, last - first));
    if (first != last)
        cr_assert(eq(u32, span.first, first));
}

/* ---- making one ---- */

Test(lane, sizes_out_of_range_are_refused, .init = NULL, .fini = NULL) {
    struct dx_lane none;
    cr_assert(eq(int, dx_lane_create(&none, "test", 0, 4), -EINVAL));
    cr_assert(eq(int, dx_lane_create(&none, "test", 64, 0), -EINVAL));
    cr_assert(eq(int, dx_lane_create(&none, "test", (1u << 26) + 1, 1), -EINVAL));
    cr_assert(eq(int, dx_lane_create(&none, "test", 64, (1u << 16) + 1), -EINVAL));
    cr_assert(eq(int, dx_lane_create(&none, "test", 1u << 26, 1u << 16), -EINVAL));
    dx_lane_finish(&none); // zeroed is fine
}

Test(lane, ring_is_a_power_of_two_with_room_for_what_was_asked, .init = NULL, .fini = NULL) {
    const struct {
        uint32_t asked, got;
    } cases[] = {{1, 1}, {2, 2}, {3, 4}, {64, 64}, {65, 128}, {8191, 8192}, {8193, 16384}};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert(eq(int, dx_lane_create(&lane, "test", cases[i].asked, 3), 0));
        cr_assert(eq(u32, lane.ring_frames, cases[i].got));
        struct dx_lane_state state = {.end = 7};
        cr_assert(dx_lane_read_state(&lane, &state));
        cr_assert(eq(u64, state.end, 0)); // nothing there yet
        dx_lane_finish(&lane);
    }
}

/* ---- coverage ---- */

Test(lane, nothing_is_there_before_anything_was_written) {
    struct dx_lane_state known = {0};
    assert_span(copy(&known, 0, 0, 10), 0, 0);
}

Test(lane, frames_are_there_from_begin_to_end) {
    append(40);
    struct dx_lane_state known = {0};
    assert_span(copy(&known, 0, 0, 40), 0, 40);
    assert_span(copy(&known, 0, 30, 20), 0, 10); // beyond the end
    assert_span(copy(&known, 0, 40, 20), 0, 0);
    assert_span(copy(&known, 0, 39, 1), 0, 1);
    append(64); // 40 ... 103 are left
    assert_span(copy(&known, 0, 30, 20), 10, 20);
    assert_span(copy(&known, 0, 0, 64), 40, 64);
    assert_span(copy(&known, 0, 0, 40), 0, 0);
    assert_span(copy(&known, 0, 40, 64), 0, 64);
}

Test(lane, base_is_where_frame_0_is_heard) {
    writer.base = 1000;
    append(20);
    struct dx_lane_state known = {0};
    assert_span(copy(&known, 1000, 990, 20), 10, 20);
    assert_span(copy(&known, 1000, 1000, 20), 0, 20);
    assert_span(copy(&known, 1000, 1015, 20), 0, 5);
    assert_span(copy(&known, 1000, 0, 20), 0, 0);
    cr_assert(eq(u64, known.base, 1000));
}

/* Each frame by itself, by the definition: base + begin <= time < base + end, while running. */
Test(lane, coverage_is_what_the_control_values_say) {
    for (unsigned i = 0; i < 50000; i++) {
        const uint64_t begin = next_random() >> (2 + below(62));
        const uint32_t held = below(RING + 1);
        writer = (struct dx_lane_state){
            .epoch = i,
            .flags = below(8) ? DX_LANE_RUNNING : DX_LANE_DRAINING,
            .base = below(4) ? below(300) : next_random() >> 3,
            .begin = begin,
            .end = begin,
        };
        if (writer.begin > (UINT64_MAX >> 2) - RING)
            continue;
        struct frame frames[RING];
        number_frames(frames, writer.end, held);
        dx_lane_append(&lane, &writer, frames, held);

        struct dx_lane_state known = {0};
        const uint64_t start = writer.base + begin;
        const uint64_t back = below(2 * RING);
        const uint64_t time = start > back ? start - back + below(RING) : below(RING);
        const uint32_t count = 1 + below(RING);
        uint32_t first = count, last = 0;
        for (uint32_t f = 0; f < count; f++)
            if ((writer.flags & DX_LANE_RUNNING) && time + f >= start && time + f < start + held) {
                first = f < first ? f : first;
                last = f + 1;
            }
        assert_span(copy(&known, writer.base, time, count), first < last ? first : 0, last);
    }
}

Test(lane, appended_spans_may_lie_over_the_edge_of_the_ring_anywhere) {
    struct dx_lane_state known = {0};
    for (unsigned i = 0; i < 20000; i++) {
        append(below(RING + 1));
        const uint32_t held = (uint32_t)(writer.end - writer.begin);
        cr_assert(held <= RING);
        const uint32_t back = below(held + 1);
        const uint32_t count = 1 + below(RING);
        assert_span(copy(&known, 0, writer.end - back, count), 0, back < count ? back : count);
    }
}

Test(lane, null_appends_silence) {
    append(RING);
    dx_lane_append(&lane, &writer, NULL, 40); // over the edge
    struct dx_lane_state known = {0};
    struct frame frames[40];
    memset(frames, 0xAA, sizeof frames);
    const struct dx_span span = dx_lane_copy(&lane, &known, RING, 40, frames);
    assert_span(span, 0, 40);
    for (unsigned i = 0; i < 40; i++)
        cr_assert(frames[i].number == 0 && frames[i].inverse == 0);
    assert_span(copy(&known, 0, 40, 24), 0, 24); // the rest still stands
}

Test(lane, lowering_end_takes_frames_back) {
    append(50);
    writer.end = 30;
    dx_lane_publish(&lane, &writer);
    struct dx_lane_state known = {0};
    assert_span(copy(&known, 0, 0, 64), 0, 30);
    append(10); // written again
    assert_span(copy(&known, 0, 0, 64), 0, 40);
    writer.end = writer.begin; // all of them
    dx_lane_publish(&lane, &writer);
    assert_span(copy(&known, 0, 0, 64), 0, 0);
}

/* What a rewind may go back over is what the ring still holds. */
Test(lane, frames_below_begin_never_come_back) {
    append(RING);
    append(30);
    cr_assert(eq(u64, writer.begin, 30));
    writer.end = 40;
    dx_lane_publish(&lane, &writer);
    append(10);
    cr_assert(eq(u64, writer.begin, 30));
    struct dx_lane_state known = {0};
    assert_span(copy(&known, 0, 0, 64), 30, 50);
}

Test(lane, stopped_lane_is_silent) {
    append(50);
    writer.flags = 0;
    dx_lane_publish(&lane, &writer);
    struct dx_lane_state known = {0};
    assert_span(copy(&known, 0, 0, 64), 0, 0);
    writer.flags = DX_LANE_RUNNING | DX_LANE_DRAINING;
    dx_lane_publish(&lane, &writer);
    assert_span(copy(&known, 0, 0, 64), 0, 50);
}

Test(lane, control_values_that_cannot_be_true_are_not_taken) {
    const struct dx_lane_state insane[] = {
        {.flags = DX_LANE_RUNNING, .begin = 1, .end = 0},
        {.flags = DX_LANE_RUNNING, .begin = 0, .end = RING + 1},
        {.flags = DX_LANE_RUNNING, .begin = UINT64_MAX - 10, .end = UINT64_MAX},
        {.flags = DX_LANE_RUNNING, .base = UINT64_MAX, .end = 10},
        {.flags = DX_LANE_RUNNING, .base = (UINT64_MAX >> 2) + 1, .end = 10},
        {.flags = DX_LANE_RUNNING, .begin = UINT64_MAX, .end = 5},
    };
    append(20);
    struct dx_lane_state known = {0};
    assert_span(copy(&known, 0, 0, 20), 0, 20);
    for (unsigned i = 0; i < sizeof insane / sizeof insane[0]; i++) {
        dx_lane_publish(&lane, &insane[i]);
        struct dx_lane_state read = {.epoch = 77};
        cr_assert(not(dx_lane_read_state(&lane, &read)), "%u", i);
        cr_assert(eq(u32, read.epoch, 77));
        /* Nobody vouches for what was copied under them. */
        assert_span(copy(&known, 0, 0, 20), 0, 0);
    }
}

/* ---- what happens during a copy ---- */

static struct {
    char name[40];
    uint32_t appends; // frames
    uint32_t publications;
    struct dx_lane_state change; // added to the writer's
    int64_t end;
} meanwhile;

static void
do_meanwhile(void)
{
    if (!meanwhile.name[0])
        return;
    writer.epoch += meanwhile.change.epoch;
    writer.flags ^= meanwhile.change.flags;
    writer.base += meanwhile.change.base;
    writer.end = (uint64_t)((int64_t)writer.end + meanwhile.end);
    for (uint32_t i = 0; i < meanwhile.publications; i++)
        dx_lane_publish(&lane, &writer);
    append(meanwhile.appends);
    meanwhile.name[0] = '\0'; // once: a copy may be in two pieces
}

static struct dx_span
copy_during(const char *what, uint64_t time, uint32_t count)
{
    struct dx_lane_state known = {0};
    strcpy(meanwhile.name, what);
    counted_meanwhile = do_meanwhile;
    const struct dx_span span = copy_with(counted_lane_copy, &known, 0, time, count);
    counted_meanwhile = NULL;
    return span;
}

Test(lane, what_is_overwritten_during_a_copy_is_not_taken) {
    for (uint32_t appends = 0; appends <= RING; appends++) {
        for (uint32_t at = 0; at < RING; at += 7) {
            writer = (struct dx_lane_state){.flags = DX_LANE_RUNNING, .begin = at, .end = at};
            append(RING);
            memset(&meanwhile, 0, sizeof meanwhile);
            meanwhile.appends = appends;
            assert_span(copy_during("append", at, RING), appends, RING);
        }
    }
}

Test(lane, base_change_during_a_copy_gives_silence) {
    append(40);
    meanwhile.change.base = 5;
    meanwhile.publications = 1;
    assert_span(copy_during("base", 0, 40), 0, 0);
}

Test(lane, new_epoch_during_a_copy_gives_silence) {
    append(40);
    meanwhile.change.epoch = 1;
    meanwhile.publications = 1;
    assert_span(copy_during("epoch", 0, 40), 0, 0);
}

Test(lane, stop_during_a_copy_gives_silence) {
    append(40);
    meanwhile.change.flags = DX_LANE_RUNNING;
    meanwhile.publications = 1;
    assert_span(copy_during("stop", 0, 40), 0, 0);
}

Test(lane, rewind_during_a_copy_takes_its_end_away) {
    append(40);
    meanwhile.end = -25;
    meanwhile.publications = 1;
    assert_span(copy_during("rewind", 0, 40), 0, 15);
    append(25);
    meanwhile.end = -35;
    assert_span(copy_during("rewind", 20, 20), 0, 0);
}

Test(lane, lapping_the_control_values_during_a_copy_harms_nothing) {
    append(40);
    meanwhile.publications = 1000;
    assert_span(copy_during("lap", 0, 40), 0, 40);
}

Test(lane, growing_during_a_copy_gives_what_was_there_before) {
    append(20);
    meanwhile.appends = 20;
    assert_span(copy_during("grow", 0, 40), 0, 20);
}

/* ---- a writer that stops for ever after any single store ---- */

Test(lane, writer_stopped_after_any_store_spoils_only_what_it_was_writing) {
    enum { MORE = 11 };
    struct frame frames[MORE];
    unsigned stores = 0;
    for (bool done = false; !done; stores++) {
        for (uint32_t at = 0; at < RING; at += 5) { // also over the edge
            writer = (struct dx_lane_state){.flags = DX_LANE_RUNNING, .begin = at, .end = at};
            append(RING);
            struct dx_lane_state copy_of_writer = writer;
            number_frames(frames, writer.end, MORE);
            done = counted_append_until(&lane, &copy_of_writer, frames, MORE, stores);

            struct dx_lane_state known = {0};
            const struct dx_span span = copy(&known, 0, at, RING);
            cr_assert(span.first <= MORE && span.last == RING, "after %u stores: %u ... %u", stores, span.first,
                      span.last);
            const struct dx_span later = copy(&known, 0, at + RING, RING);
            assert_span(later, 0, done ? MORE : 0);
        }
        cr_assert(stores < 1000);
    }
    /* 2 publications of 8 words, each with 3 more stores, and 2 words a frame. */
    cr_assert(eq(u32, stores - 1, 2 * (8 + 3) + 2 * MORE));
}

Test(lane, others_are_exact_when_a_writer_stops_after_any_store) {
    struct dx_lane good;
    struct dx_lane_state good_writer = {.flags = DX_LANE_RUNNING, .base = 3};
    cr_assert(eq(int, dx_lane_create(&good, "good", RING, sizeof(struct frame)), 0));
    struct frame frames[RING];
    struct dx_lane_state known = {0}, good_known = {0};
    bool done = false;
    for (unsigned stores = 0; !done; stores++) {
        struct dx_lane_state copy_of_writer = writer;
        number_frames(frames, copy_of_writer.end, 10);
        done = counted_append_until(&lane, &copy_of_writer, frames, 10, stores);
        number_frames(frames, good_writer.end, 10);
        dx_lane_append(&good, &good_writer, frames, 10);

        const uint64_t time = good_writer.base + good_writer.end - 10;
        (void)copy(&known, writer.base, time, 10);
        struct frame read[10];
        assert_span(dx_lane_copy(&good, &good_known, time, 10, read), 0, 10);
        cr_assert(memcmp(read, frames, sizeof read) == 0);
    }
    dx_lane_finish(&good);
}

/* ---- a hostile writer ---- */

static void
fill_with_noise(void)
{
    struct dx_lane_head *const head = lane.pages.address;
    const unsigned words = sizeof head->words / sizeof head->words[0];
    for (unsigned i = 0; i < words; i++)
        if (below(3))
            atomic_store_explicit(&head->words[i], (uint32_t)(next_random() >> below(33)), memory_order_relaxed);
}

/* The ring holds one byte value, and what lies around the lane another: reading beside it shows. */
Test(lane, random_control_values_never_lead_out_of_the_ring, .init = NULL, .fini = NULL) {
    enum { FRAMES = 4096, BYTES = 3 };
    cr_assert(eq(int, dx_lane_create(&lane, "hostile", FRAMES, BYTES), 0));
    memset(lane.data, 0x5A, FRAMES * BYTES);
    struct dx_lane_state known = {0};
    unsigned accepted = 0;
    for (unsigned i = 0; i < 100000; i++) {
        fill_with_noise();
        uint64_t near = known.base + known.begin;
        if (i % 2) { // or hardly anything is ever accepted
            const uint64_t begin = next_random() >> (2 + below(62));
            const struct dx_lane_state state = {
                .epoch = below(2),
                .flags = (uint32_t)next_random() | DX_LANE_RUNNING,
                .base = next_random() >> (2 + below(62)),
                .begin = begin,
                .end = begin + below(FRAMES + 2),
            };
            dx_lane_publish(&lane, &state);
            near = state.base + state.begin;
        }
        const uint32_t count = 1 + below(FRAMES);
        const uint64_t time = below(2) && near > FRAMES ? near - FRAMES + below(2 * FRAMES)
                                                       : next_random() >> (2 + below(62));
        uint8_t *const bytes = calloc(count, BYTES);
        const struct dx_span span = dx_lane_copy(&lane, &known, time, count, bytes);
        cr_assert(span.first <= span.last && span.last <= count);
        for (uint32_t b = span.first * BYTES; b < span.last * BYTES; b++)
            cr_assert(bytes[b] == 0x5A, "read outside of the ring");
        accepted += span.first < span.last;
        free(bytes);
    }
    cr_assert(accepted > 1000, "%u", accepted);
    dx_lane_finish(&lane);
}

static void
make_noise_meanwhile(void)
{
    fill_with_noise();
}

Test(lane, control_values_that_change_to_anything_during_a_copy_do_no_harm, .init = NULL, .fini = NULL) {
    enum { FRAMES = 256 };
    cr_assert(eq(int, dx_lane_create(&lane, "hostile", FRAMES, 4), 0));
    memset(lane.data, 0x5A, FRAMES * 4);
    counted_meanwhile = make_noise_meanwhile;
    for (unsigned i = 0; i < 50000; i++) {
        const uint64_t begin = next_random() >> (2 + below(62));
        const struct dx_lane_state state = {
            .flags = DX_LANE_RUNNING,
            .base = next_random() >> (3 + below(61)),
            .begin = begin < (UINT64_MAX >> 3) ? begin : 0,
            .end = (begin < (UINT64_MAX >> 3) ? begin : 0) + below(FRAMES + 1),
        };
        dx_lane_publish(&lane, &state);
        struct dx_lane_state known = {0};
        uint8_t bytes[FRAMES * 4];
        const uint32_t count = 1 + below(FRAMES);
        const struct dx_span span =
            counted_lane_copy(&lane, &known, state.base + state.begin + below(3), count, bytes);
        cr_assert(span.first <= span.last && span.last <= count);
        for (uint32_t b = span.first * 4; b < span.last * 4; b++)
            cr_assert(bytes[b] == 0x5A);
    }
    counted_meanwhile = NULL;
    dx_lane_finish(&lane);
}
