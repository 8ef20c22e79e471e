// SPDX-License-Identifier: MIT
// Serial queues and the mutex: order on the simulated clock, races on threads.

#include "core/clock.h"
#include "core/sync.h"
#include "tests/core/check.h"

#include <dextral/IODispatchQueue.h>

#include <stdatomic.h>
#include <string.h>

#define START_NS 1000000000u

static void
simulate(void (*function)(void *argument))
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        const dx_simulation_config config = {.seed = seed};
        dx_simulation_result result;
        const kern_return_t status = dx_simulate(&config, function, NULL, &result);
        if (status != kIOReturnSuccess)
            (void)fprintf(stderr, "seed %u: %s\n", (unsigned)seed, result.message);
        CHECK_EQ(status, kIOReturnSuccess);
    }
}

static IODispatchQueue *
create_queue(const char *name)
{
    IODispatchQueue *queue = NULL;
    CHECK_EQ(IODispatchQueueCreate(name, 0, 0, &queue), kIOReturnSuccess);
    return queue;
}

static void
do_nothing(void *context)
{
    (void)context;
}

static void
impossible_queues_are_refused(void)
{
    IODispatchQueue *queue = NULL;
    char name[300];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = 0;
    CHECK_EQ(IODispatchQueueCreate(NULL, 0, 0, &queue), kIOReturnBadArgument);
    CHECK_EQ(IODispatchQueueCreate(name, 0, 0, &queue), kIOReturnBadArgument);
    CHECK_EQ(IODispatchQueueCreate("q", 0, 100, &queue), kIOReturnBadArgument);
    CHECK_EQ(IODispatchQueueCreate("q", kIODispatchQueueMethodsNotSynchronized, 0, &queue),
             kIOReturnUnsupported);
    CHECK(!queue);
    CHECK_EQ(IODispatchQueueCreate("q", kIODispatchQueueReentrant, 0, &queue), kIOReturnSuccess);
    CHECK(strcmp(IODispatchQueueGetName(queue), "q") == 0);
    CHECK(OSDynamicCast(IODispatchQueue, queue) == queue);
    CHECK_EQ(IODispatchQueueDispatchSync_f(queue, NULL, NULL), kIOReturnBadArgument);
    CHECK_EQ(IODispatchQueueDispatchAsync_f(NULL, NULL, do_nothing), kIOReturnBadArgument);
    OSObjectRelease(queue);
}

/* Order. */

struct log {
    IODispatchQueue *queue;
    unsigned count;
    unsigned entries[16];
};

struct entry {
    struct log *log;
    unsigned number;
    uint64_t start_ns;
};

static void
write_entry(void *context)
{
    const struct entry *const entry = context;
    CHECK(IODispatchQueueOnQueue(entry->log->queue));
    IODelay(1); // others may try to get in between
    entry->log->entries[entry->log->count++] = entry->number;
    IODelay(1);
}

static void
occupy(void *context)
{
    (void)context;
    IOSleep(1);
}

static void
dispatch_later(void *argument)
{
    struct entry *const entry = argument;
    dx_clock_sleep_until(dx_clock_current(), entry->start_ns);
    CHECK(!IODispatchQueueOnQueue(entry->log->queue));
    if (entry->number % 2)
        CHECK_EQ(IODispatchQueueDispatchSync_f(entry->log->queue, entry, write_entry), 0);
    else
        CHECK_EQ(IODispatchQueueDispatchAsync_f(entry->log->queue, entry, write_entry), 0);
}

/* While the queue is busy for 1 ms, ten items arrive 10 us apart, synchronous and asynchronous in turn. */
static void
mix_sync_and_async(void *argument)
{
    (void)argument;
    struct log log = {.queue = create_queue("mixed")};
    struct entry entries[10];
    dx_task *tasks[10];
    CHECK_EQ(IODispatchQueueDispatchAsync_f(log.queue, NULL, occupy), 0);
    for (unsigned i = 0; i < 10; i++) {
        entries[i] = (struct entry){&log, i, START_NS + 10000 * (i + 1)};
        CHECK_EQ(dx_task_spawn(dx_clock_current(), NULL, dispatch_later, &entries[i], &tasks[i]), 0);
    }
    for (unsigned i = 0; i < 10; i++)
        dx_task_join(tasks[i]);
    CHECK_EQ(IODispatchQueueDispatchSync_f(log.queue, NULL, do_nothing), 0); // behind all of them
    CHECK_EQ(log.count, 10);
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(log.entries[i], i);
    CHECK_EQ(dx_clock_now_ns(dx_clock_current()), START_NS + 1000000 + 10 * 2000);
    OSObjectRelease(log.queue);
}

static void
sync_and_async_items_share_one_order(void)
{
    simulate(mix_sync_and_async);
}

/* Nesting. */

struct nest {
    IODispatchQueue *outer, *inner;
    unsigned depth;
    bool async_ran;
};

static void
mark_async(void *context)
{
    ((struct nest *)context)->async_ran = true;
}

static void
run_nested(void *context)
{
    struct nest *const nest = context;
    CHECK(IODispatchQueueOnQueue(nest->outer));
    if (nest->depth++ == 4)
        return;
    /* outer, inner, outer, inner: each may already be run on further out. */
    IODispatchQueue *const next = nest->depth % 2 ? nest->inner : nest->outer;
    CHECK_EQ(IODispatchQueueDispatchAsync_f(nest->outer, nest, mark_async), 0);
    CHECK_EQ(IODispatchQueueDispatchSync_f(next, nest, run_nested), 0);
    CHECK(!nest->async_ran); // it waits for the outermost to end
}

static void
nest_queues(void *argument)
{
    (void)argument;
    struct nest nest = {.outer = create_queue("outer"), .inner = create_queue("inner")};
    CHECK_EQ(IODispatchQueueDispatchSync_f(nest.outer, &nest, run_nested), 0);
    CHECK_EQ(nest.depth, 5);
    CHECK(!IODispatchQueueOnQueue(nest.outer));
    CHECK_EQ(IODispatchQueueDispatchSync_f(nest.outer, NULL, do_nothing), 0);
    CHECK(nest.async_ran);
    OSObjectRelease(nest.outer);
    OSObjectRelease(nest.inner);
}

static void
sync_onto_a_queue_one_runs_on_is_inline(void)
{
    simulate(nest_queues);
    nest_queues(NULL); // and on the host's clock
}

static kern_return_t
return_offline(void *context)
{
    CHECK(IODispatchQueueOnQueue(context));
    return kIOReturnOffline;
}

static void
run_action_hands_back_the_result(void)
{
    IODispatchQueue *const queue = create_queue("action");
    CHECK_EQ(IODispatchQueueRunAction_f(queue, queue, return_offline), kIOReturnOffline);
    CHECK_EQ(IODispatchQueueRunAction_f(queue, queue, NULL), kIOReturnBadArgument);
    OSObjectRelease(queue);
}

/* Life. */

static void
count(void *context)
{
    ++*(unsigned *)context;
}

static void
release_queue(void *context)
{
    OSObjectRelease(context);
}

static void
release_with_items_in_line(void *argument)
{
    (void)argument;
    unsigned counter = 0;
    IODispatchQueue *queue = create_queue("short-lived");
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ(IODispatchQueueDispatchAsync_f(queue, &counter, count), 0);
    OSObjectRelease(queue);
    IOSleep(1);
    CHECK_EQ(counter, 5);

    queue = create_queue("from-within");
    CHECK_EQ(IODispatchQueueDispatchAsync_f(queue, queue, release_queue), 0);
    IOSleep(1);

    queue = create_queue("from-sync");
    CHECK_EQ(IODispatchQueueDispatchSync_f(queue, queue, release_queue), 0);

    queue = create_queue("idle");
    CHECK_EQ(IODispatchQueueDispatchAsync_f(queue, &counter, count), 0);
    IOSleep(1);
    OSObjectRelease(queue); // the task waits: told and joined
    CHECK_EQ(counter, 6);
}

static void
items_in_line_outlive_the_last_release(void)
{
    simulate(release_with_items_in_line);
}

static void
forget_queue(void *argument)
{
    IODispatchQueue **const kept = argument;
    *kept = create_queue("kept");
    CHECK_EQ(IODispatchQueueDispatchAsync_f(*kept, NULL, do_nothing), 0);
    IOSleep(1);
}

static void
forgotten_queue_does_not_keep_a_run_alive(void)
{
    static IODispatchQueue *kept; // reachable: what is abandoned is not lost
    CHECK_EQ(dx_simulate(NULL, forget_queue, &kept, NULL), kIOReturnSuccess);
    CHECK(kept);
}

static void
cancel_on_a_simulated_clock(void *argument)
{
    (void)argument;
    struct log log = {.queue = create_queue("cancelled")};
    struct entry entries[3] = {{&log, 0, 0}, {&log, 1, 0}, {&log, 2, 0}};
    CHECK_EQ(IODispatchQueueDispatchAsync_f(log.queue, &entries[0], write_entry), 0);
    CHECK_EQ(IODispatchQueueDispatchAsync_f(log.queue, &entries[1], write_entry), 0);
    CHECK_EQ(IODispatchQueueCancel_f(log.queue, &entries[2], write_entry), 0);
    CHECK_EQ(IODispatchQueueDispatchAsync_f(log.queue, NULL, do_nothing), kIOReturnAborted);
    CHECK_EQ(IODispatchQueueDispatchSync_f(log.queue, NULL, do_nothing), kIOReturnAborted);
    CHECK_EQ(IODispatchQueueCancel_f(log.queue, NULL, NULL), kIOReturnAborted);
    IOSleep(1);
    CHECK_EQ(log.count, 3);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(log.entries[i], i);
    OSObjectRelease(log.queue);

    IODispatchQueue *const quiet = create_queue("quiet");
    CHECK_EQ(IODispatchQueueCancel_f(quiet, NULL, NULL), 0);
    OSObjectRelease(quiet);
}

static void
cancelled_queue_takes_nothing_more(void)
{
    simulate(cancel_on_a_simulated_clock);
}

/* Deadlock. */

struct crossing {
    IODispatchQueue *left, *right;
};

static void
left_inner(void *context)
{
    IOSleep(1);
    struct crossing *const crossing = context;
    CHECK_EQ(IODispatchQueueDispatchSync_f(crossing->right, NULL, do_nothing), 0);
}

static void
right_inner(void *context)
{
    IOSleep(1);
    struct crossing *const crossing = context;
    CHECK_EQ(IODispatchQueueDispatchSync_f(crossing->left, NULL, do_nothing), 0);
}

static void
go_left(void *argument)
{
    struct crossing *const crossing = argument;
    CHECK_EQ(IODispatchQueueDispatchSync_f(crossing->left, crossing, left_inner), 0);
}

static void
go_right(void *argument)
{
    struct crossing *const crossing = argument;
    CHECK_EQ(IODispatchQueueDispatchSync_f(crossing->right, crossing, right_inner), 0);
}

static void
cross(void *argument)
{
    struct crossing *const crossing = argument;
    crossing->left = create_queue("port");
    crossing->right = create_queue("starboard");
    dx_task *tasks[2];
    CHECK_EQ(dx_task_spawn(dx_clock_current(), &(dx_task_config){.name = "alice"}, go_left, crossing,
                           &tasks[0]), 0);
    CHECK_EQ(dx_task_spawn(dx_clock_current(), &(dx_task_config){.name = "bob"}, go_right, crossing,
                           &tasks[1]), 0);
    dx_task_join(tasks[0]);
    dx_task_join(tasks[1]);
}

static void
queues_taken_crosswise_are_reported(void)
{
    static struct crossing crossing; // reachable: what is abandoned is not lost
    dx_simulation_result result;
    CHECK_EQ(dx_simulate(NULL, cross, &crossing, &result), kIOReturnInternalError);
    CHECK(strstr(result.message, "alice waits for queue starboard held by bob"));
    CHECK(strstr(result.message, "bob waits for queue port held by alice"));
}

/* Threads. */

enum { THREADS = 3, ROUNDS = 300 };

struct race {
    IODispatchQueue *queue;
    struct dx_mutex mutex;
    unsigned on_queue, under_mutex; // plain: ThreadSanitizer watches
};

static void
count_on_queue(void *context)
{
    ((struct race *)context)->on_queue++;
}

static void
race_for_queue(void *argument)
{
    struct race *const race = argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (i % 3)
            CHECK_EQ(IODispatchQueueDispatchSync_f(race->queue, race, count_on_queue), 0);
        else
            CHECK_EQ(IODispatchQueueDispatchAsync_f(race->queue, race, count_on_queue), 0);
        dx_mutex_lock(&race->mutex);
        race->under_mutex++;
        dx_mutex_unlock(&race->mutex);
    }
}

static void
run_race(void *argument)
{
    (void)argument;
    struct race race = {.queue = create_queue("race")};
    dx_mutex_init(&race.mutex, "race");
    dx_task *tasks[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(dx_task_spawn(dx_clock_current(), NULL, race_for_queue, &race, &tasks[i]), 0);
    for (unsigned i = 0; i < THREADS; i++)
        dx_task_join(tasks[i]);
    CHECK_EQ(IODispatchQueueDispatchSync_f(race.queue, &race, count_on_queue), 0); // behind all of them
    CHECK_EQ(race.on_queue, THREADS * ROUNDS + 1);
    CHECK_EQ(race.under_mutex, THREADS * ROUNDS);
    OSObjectRelease(race.queue);
}

static void
threads_never_meet_on_a_queue_or_in_a_mutex(void)
{
    run_race(NULL);
    CHECK_EQ(dx_simulate(NULL, run_race, NULL, NULL), kIOReturnSuccess);
}

static void
set_flag(void *context)
{
    atomic_store_explicit((_Atomic uint32_t *)context, 1, memory_order_release);
}

static void
queues_come_and_go_on_threads(void)
{
    struct {
        _Atomic uint32_t flag;
    } done[30] = {0};
    for (unsigned i = 0; i < 30; i++) {
        IODispatchQueue *const queue = create_queue("brief");
        OSObjectSetPeer(queue, &done[i], set_flag); // released last, when the queue's task is on its way out
        CHECK_EQ(IODispatchQueueDispatchAsync_f(queue, NULL, do_nothing), 0);
        if (i % 2)
            CHECK_EQ(IODispatchQueueDispatchSync_f(queue, NULL, do_nothing), 0);
        OSObjectRelease(queue);
    }
    for (unsigned i = 0; i < 30; i++)
        while (!atomic_load_explicit(&done[i].flag, memory_order_acquire))
            dx_task_yield();
}

#if DX_HAVE_BLOCKS
static void
blocks_run_and_are_released(void)
{
    __block _Atomic unsigned sum = 0;
    IODispatchQueue *const queue = create_queue("blocks");
    CHECK_EQ(IODispatchQueueDispatchAsync_b(queue, ^{ sum += 1; }), 0);
    CHECK_EQ(IODispatchQueueDispatchSync_b(queue, ^{ sum += 2; }), 0);
    CHECK_EQ(IODispatchQueueRunAction_b(queue, ^{ return kIOReturnOffline; }), kIOReturnOffline);
    CHECK_EQ(sum, 3);
    OSObjectRelease(queue);
}
#endif

int
main(void)
{
    RUN(impossible_queues_are_refused);
    RUN(sync_and_async_items_share_one_order);
    RUN(sync_onto_a_queue_one_runs_on_is_inline);
    RUN(run_action_hands_back_the_result);
    RUN(items_in_line_outlive_the_last_release);
    RUN(forgotten_queue_does_not_keep_a_run_alive);
    RUN(cancelled_queue_takes_nothing_more);
    RUN(queues_taken_crosswise_are_reported);
    RUN(threads_never_meet_on_a_queue_or_in_a_mutex);
    RUN(queues_come_and_go_on_threads);
#if DX_HAVE_BLOCKS
    RUN(blocks_run_and_are_released);
#endif
    return 0;
}
