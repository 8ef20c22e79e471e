// SPDX-License-Identifier: MIT
// Slots: the product's source, with each store counted, so that a writer can stop for ever after any one.

#include "tests/core/check.h"

#include <dextral/base.h>

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

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

/* In a namespace of its own beside the library's. */
#define dx_slots_write counted_slots_write
#define dx_slots_read counted_slots_read
#include "core/slots.c"
#undef dx_slots_write
#undef dx_slots_read
#pragma pop_macro("DX_REALTIME")

bool dx_slots_read(const struct dx_slots *slots, void *value) DX_REALTIME;
void dx_slots_write(const struct dx_slots *slots, const void *value) DX_REALTIME;

#include <pthread.h>

enum { WORDS = 12 };

struct value {
    uint32_t words[WORDS];
};

#define STORES_OF_A_WRITE (WORDS + 3u) // invalidate, the words, the slot's number, the published number

static struct value
value_of(uint32_t number)
{
    struct value value;
    for (uint32_t i = 0; i < WORDS; i++)
        value.words[i] = number * 1000 + i;
    return value;
}

static void
check_whole(const struct value *value)
{
    for (uint32_t i = 0; i < WORDS; i++)
        CHECK_EQ(value->words[i], value->words[0] + i);
}

static void
nothing_published_reads_false(void)
{
    _Atomic uint32_t words[DX_SLOTS_WORDS(sizeof(struct value))] = {0};
    const struct dx_slots slots = {words, sizeof(struct value)};
    struct value value = value_of(9);
    CHECK(!dx_slots_read(&slots, &value));
    CHECK_EQ(value.words[0], 9000); // untouched
}

static void
newest_value_is_read(void)
{
    _Atomic uint32_t words[DX_SLOTS_WORDS(sizeof(struct value))] = {0};
    const struct dx_slots slots = {words, sizeof(struct value)};
    for (uint32_t i = 1; i < 20; i++) {
        const struct value value = value_of(i);
        struct value read;
        dx_slots_write(&slots, &value);
        CHECK(dx_slots_read(&slots, &read));
        CHECK_EQ(read.words[0], i * 1000);
        check_whole(&read);
    }
}

static void
numbers_wrap(void)
{
    _Atomic uint32_t words[DX_SLOTS_WORDS(sizeof(struct value))] = {0};
    const struct dx_slots slots = {words, sizeof(struct value)};
    words[0] = UINT32_MAX - 3;
    for (uint32_t i = 1; i < 10; i++) {
        const struct value value = value_of(i);
        struct value read;
        dx_slots_write(&slots, &value);
        CHECK(dx_slots_read(&slots, &read));
        CHECK_EQ(read.words[0], i * 1000);
    }
    CHECK_EQ(words[0], 9); // ..., 2^32 - 1, 4, 5, ... 9
}

static void
write_with_budget(const struct dx_slots *slots, uint32_t number, unsigned stores)
{
    const struct value value = value_of(number);
    stores_left = stores;
    if (!setjmp(stopped))
        counted_slots_write(slots, &value);
    stores_left = UINT32_MAX;
}

/* For each place to stop, after 0 to 9 whole writes: every slot has been the one that is half written. */
static void
writer_stopped_after_any_store_harms_no_reader(void)
{
    for (uint32_t before = 0; before < 10; before++) {
        for (unsigned stores = 0; stores <= STORES_OF_A_WRITE; stores++) {
            _Atomic uint32_t words[DX_SLOTS_WORDS(sizeof(struct value))] = {0};
            const struct dx_slots slots = {words, sizeof(struct value)};
            for (uint32_t i = 1; i <= before; i++)
                write_with_budget(&slots, i, STORES_OF_A_WRITE);
            write_with_budget(&slots, before + 1, stores);

            const uint32_t expected = stores == STORES_OF_A_WRITE ? before + 1 : before;
            struct value read;
            CHECK_EQ(dx_slots_read(&slots, &read), expected > 0);
            if (expected) {
                CHECK_EQ(read.words[0], expected * 1000);
                check_whole(&read);
            }
            /* The next writer goes on from there. */
            const struct value next = value_of(77);
            dx_slots_write(&slots, &next);
            CHECK(dx_slots_read(&slots, &read));
            CHECK_EQ(read.words[0], 77000);
        }
    }
}

struct shared {
    _Atomic uint32_t words[DX_SLOTS_WORDS(sizeof(struct value))];
    _Atomic uint32_t stop;
};

static void *
write_for_long(void *argument)
{
    struct shared *const shared = argument;
    const struct dx_slots slots = {shared->words, sizeof(struct value)};
    for (uint32_t i = 1; !atomic_load_explicit(&shared->stop, memory_order_relaxed); i++) {
        const struct value value = value_of(i);
        dx_slots_write(&slots, &value);
    }
    return NULL;
}

static void
two_threads_see_whole_values_in_order(void)
{
    static struct shared shared;
    const struct dx_slots slots = {shared.words, sizeof(struct value)};
    pthread_t writer;
    CHECK_EQ(pthread_create(&writer, NULL, write_for_long, &shared), 0);
    uint32_t last = 0;
    for (unsigned reads = 0; reads < 100000;) {
        struct value read;
        if (!dx_slots_read(&slots, &read))
            continue;
        check_whole(&read);
        CHECK((int32_t)(read.words[0] - last) >= 0);
        last = read.words[0];
        reads++;
    }
    stop_now(&shared.stop);
    CHECK_EQ(pthread_join(writer, NULL), 0);
}

int
main(void)
{
    RUN(nothing_published_reads_false);
    RUN(newest_value_is_read);
    RUN(numbers_wrap);
    RUN(writer_stopped_after_any_store_harms_no_reader);
    RUN(two_threads_see_whole_values_in_order);
    return 0;
}
