// SPDX-License-Identifier: MIT
// A mutex over dx_clock_wait().

#include "core/sync.h"

#include <assert.h>

/* Values of state.  Source: Drepper, "Futexes Are Tricky", mutex 2. */
enum { FREE, HELD, CONTENDED };

void
dx_mutex_init(struct dx_mutex *mutex, const char *name)
{
    atomic_init(&mutex->state, FREE);
    atomic_init(&mutex->holder, NULL);
    mutex->name = name;
    mutex->clock = dx_clock_current();
}

static void
lock_contended(struct dx_mutex *mutex)
{
    const struct dx_wait_reason reason = {
        .what = "mutex", .name = mutex->name, .holder_at = &mutex->holder};
    /* acquire: pairs with the release in dx_mutex_unlock(). */
    while (atomic_exchange_explicit(&mutex->state, CONTENDED, memory_order_acquire) != FREE)
        (void)dx_clock_wait(mutex->clock, &mutex->state, CONTENDED, DX_NEVER, &reason); // the loop looks again
}

void
dx_mutex_lock(struct dx_mutex *mutex)
{
    uint32_t expected = FREE;
    /* acquire: pairs with the release in dx_mutex_unlock(). */
    if (!atomic_compare_exchange_strong_explicit(&mutex->state, &expected, HELD, memory_order_acquire,
                                                 memory_order_relaxed))
        lock_contended(mutex);
    /* relaxed: for reports alone. */
    atomic_store_explicit(&mutex->holder, dx_task_current(), memory_order_relaxed);
}

void
dx_mutex_unlock(struct dx_mutex *mutex)
{
    /* Read before the mutex is given up: the next holder may free what it stands in. */
    dx_clock *const clock = mutex->clock;
    const _Atomic uint32_t *const word = &mutex->state;
    atomic_store_explicit(&mutex->holder, NULL, memory_order_relaxed); // for reports alone
    /* release: pairs with the acquires in dx_mutex_lock() and lock_contended(). */
    const uint32_t before = atomic_exchange_explicit(&mutex->state, FREE, memory_order_release);
    assert(before != FREE);
    if (before == CONTENDED)
        dx_clock_wake(clock, word, 1);
}
