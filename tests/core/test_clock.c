// SPDX-License-Identifier: MIT
// Both clocks: simulated time and order, deadlocks, tasks, ticks.

#include "core/clock.h"
#include "tests/core/check.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>

#define START_NS 1000000000u // what a simulated clock shows first, by dextral/clock.h

static const struct dx_wait_reason test_reason = {.what = "word", .name = "test"};

/* Tasks that write their number when they run. */

enum { WORKERS = 6 };

struct order {
    unsigned count;
    unsigned who[WORKERS * 3];
};

struct worker {
    struct order *order;
    unsigned number;
    dx_task *task;
};

static void
run_worker(void *argument)
{
    struct worker *const worker = argument;
    dx_clock *const clock = dx_clock_current();
    for (unsigned i = 1; i <= 3; i++) {
        dx_clock_sleep_until(clock, START_NS + i * 1000);
        worker->order->who[worker->order->count++] = worker->number;
    }
}

static void
run_workers(void *argument)
{
    struct worker workers[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.order = argument, .number = i};
        const dx_task_config config = {.name = "worker"};
        CHECK_EQ(dx_task_spawn(dx_clock_current(), &config, run_worker, &workers[i], &workers[i].task), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        dx_task_join(workers[i].task);
}

static uint64_t
simulate_order(uint64_t seed, struct order *order)
{
    *order = (struct order){0};
    const dx_simulation_config config = {.size = sizeof config, .seed = seed};
    dx_simulation_result result;
    CHECK_EQ(dx_simulate(&config, run_workers, order, &result), kIOReturnSuccess);
    CHECK_EQ(order->count, WORKERS * 3);
    CHECK_EQ(result.end_time_ns, START_NS + 3000);
    CHECK(result.repeatable);
    return result.log_hash;
}

static void
same_seed_gives_same_order_and_hash(void)
{
    struct order first, second;
    CHECK_EQ(simulate_order(7, &first), simulate_order(7, &second));
    CHECK(memcmp(&first, &second, sizeof first) == 0);
}

static void
other_seeds_give_other_orders(void)
{
    struct order first, second;
    unsigned differing = 0;
    const uint64_t hash = simulate_order(0, &first);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        const bool same_hash = simulate_order(seed, &second) == hash;
        const bool same_order = memcmp(&first, &second, sizeof first) == 0;
        CHECK(!same_hash || same_order);
        differing += !same_order;
    }
    CHECK(differing >= 19); // 3 orders of 6: one of 3.7e8 is the same
}

/* Time. */

static void
sleep_an_hour(void *argument)
{
    dx_clock *const clock = dx_clock_current();
    CHECK(dx_clock_is_simulated(clock));
    CHECK_EQ(dx_clock_now_ns(clock), START_NS);
    dx_clock_sleep_until(clock, START_NS - 1); // past: at once
    CHECK_EQ(dx_clock_now_ns(clock), START_NS);
    IOSleep(3600u * 1000u);
    CHECK_EQ(dx_clock_now_ns(clock), START_NS + 3600u * (uint64_t)1000000000u);
    IODelay(5);
    CHECK_EQ(dx_clock_now_ns(clock), START_NS + 3600u * (uint64_t)1000000000u + 5000);
    *(bool *)argument = true;
}

static void
simulated_sleep_is_exact(void)
{
    bool done = false;
    CHECK_EQ(dx_simulate(NULL, sleep_an_hour, &done, NULL), kIOReturnSuccess);
    CHECK(done);
    CHECK(dx_clock_current() == dx_clock_host());
}

static void
sleep_for_ever_in_steps(void *argument)
{
    (void)argument;
    for (;;)
        IOSleep(1);
}

static void
limit_ends_an_endless_run(void)
{
    const dx_simulation_config config = {.limit_ns = 10500000, .start_time_ns = 5};
    dx_simulation_result result;
    CHECK_EQ(dx_simulate(&config, sleep_for_ever_in_steps, NULL, &result), kIOReturnTimeout);
    CHECK_EQ(result.end_time_ns, 10500005);
    CHECK_EQ(result.switches, 11); // once at the start, then each millisecond up to 10
    CHECK(strstr(result.message, "main"));
}

static void
yield_for_ever(void *argument)
{
    (void)argument;
    for (;;)
        dx_task_yield();
}

static void
standing_still_is_endless(void)
{
    dx_simulation_result result;
    CHECK_EQ(dx_simulate(NULL, yield_for_ever, NULL, &result), kIOReturnTimeout);
    CHECK(strstr(result.message, "stands still"));
}

/* Words. */

struct words {
    _Atomic uint32_t word;
    int results[3];
    unsigned woken;
};

static void
wait_on_word(void *argument)
{
    struct words *const words = argument;
    const int result = dx_clock_wait(dx_clock_current(), &words->word, 0, DX_NEVER, &test_reason);
    words->results[words->woken++] = result;
}

static void
use_words(void *argument)
{
    struct words *const words = argument;
    dx_clock *const clock = dx_clock_current();
    dx_task *tasks[3];

    CHECK_EQ(-dx_clock_wait(clock, &words->word, 1, DX_NEVER, &test_reason), EAGAIN);
    CHECK_EQ(-dx_clock_wait(clock, &words->word, 0, START_NS, &test_reason), ETIMEDOUT);
    CHECK_EQ(-dx_clock_wait(clock, &words->word, 0, START_NS + 10, &test_reason), ETIMEDOUT);
    CHECK_EQ(dx_clock_now_ns(clock), START_NS + 10);

    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(dx_task_spawn(clock, NULL, wait_on_word, words, &tasks[i]), 0);
    dx_clock_sleep_until(clock, START_NS + 20); // all three wait now
    dx_clock_wake(clock, &words->word, 1);
    dx_clock_sleep_until(clock, START_NS + 30);
    CHECK_EQ(words->woken, 1);
    dx_clock_wake(clock, &words->word, UINT32_MAX);
    for (unsigned i = 0; i < 3; i++)
        dx_task_join(tasks[i]);
    CHECK_EQ(words->woken, 3);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(words->results[i], 0);
}

static void
words_wait_and_wake_as_futexes_do(void)
{
    struct words words = {0};
    CHECK_EQ(dx_simulate(NULL, use_words, &words, NULL), kIOReturnSuccess);
}

/* Deadlocks. */

struct pair {
    _Atomic uint32_t words[2];
    struct dx_wait_reason reasons[2];
};

static void
wait_for_first(void *argument)
{
    struct pair *const pair = argument;
    (void)dx_clock_wait(dx_clock_current(), &pair->words[0], 0, DX_NEVER, &pair->reasons[0]);
}

static void
wait_for_second(void *argument)
{
    struct pair *const pair = argument;
    (void)dx_clock_wait(dx_clock_current(), &pair->words[1], 0, DX_NEVER, &pair->reasons[1]);
}

static void
lock_each_other_out(void *argument)
{
    struct pair *const pair = argument;
    dx_task *alice, *bob;
    const dx_task_config alices = {.name = "alice"}, bobs = {.name = "bob"};
    CHECK_EQ(dx_task_spawn(dx_clock_current(), &alices, wait_for_first, pair, &alice), 0);
    CHECK_EQ(dx_task_spawn(dx_clock_current(), &bobs, wait_for_second, pair, &bob), 0);
    pair->reasons[0] = (struct dx_wait_reason){.what = "queue", .name = "left", .holder = bob};
    pair->reasons[1] = (struct dx_wait_reason){.what = "mutex", .name = "right", .holder = alice};
    dx_task_join(alice);
    dx_task_join(bob);
}

static void
deadlock_names_all_waiters_and_holders(void)
{
    struct pair pair = {0};
    dx_simulation_result result;
    CHECK_EQ(dx_simulate(NULL, lock_each_other_out, &pair, &result), kIOReturnInternalError);
    CHECK(strstr(result.message, "alice waits for queue left held by bob"));
    CHECK(strstr(result.message, "bob waits for mutex right held by alice"));
    CHECK(strstr(result.message, "main waits for end of alice"));
    CHECK(dx_clock_current() == dx_clock_host()); // the thread is usable as before
    CHECK_EQ(dx_simulate(NULL, sleep_an_hour, &(bool){false}, NULL), kIOReturnSuccess);
}

static void
wait_idle(void *argument)
{
    static const struct dx_wait_reason idle = {.what = "work", .idle = true};
    struct words *const words = argument;
    (void)dx_clock_wait(dx_clock_current(), &words->word, 0, DX_NEVER, &idle);
    CHECK(!"reached");
}

static void
leave_an_idle_task(void *argument)
{
    dx_task *task;
    CHECK_EQ(dx_task_spawn(dx_clock_current(), NULL, wait_idle, argument, &task), 0);
    dx_task_detach(task);
    IOSleep(1);
}

static void
idle_tasks_do_not_keep_a_run_alive(void)
{
    struct words words = {0};
    CHECK_EQ(dx_simulate(NULL, leave_an_idle_task, &words, NULL), kIOReturnSuccess);
}

/* Repeatability. */

static void
read_host_clock(void *argument)
{
    (void)argument;
    (void)dx_clock_now_ns(dx_clock_host());
}

static void
do_nothing(void *argument)
{
    (void)argument;
}

static void
spawn_host_task(void *argument)
{
    (void)argument;
    dx_task *task;
    CHECK_EQ(dx_task_spawn(dx_clock_host(), NULL, do_nothing, NULL, &task), 0);
    dx_task_join(task);
}

static void
use_of_another_clock_is_reported(void)
{
    dx_simulation_result result;
    CHECK_EQ(dx_simulate(NULL, do_nothing, NULL, &result), 0);
    CHECK(result.repeatable);
    CHECK_EQ(dx_simulate(NULL, read_host_clock, NULL, &result), 0);
    CHECK(!result.repeatable);
    CHECK_EQ(dx_simulate(NULL, spawn_host_task, NULL, &result), 0);
    CHECK(!result.repeatable);
}

static void
simulate_again(void *argument)
{
    *(kern_return_t *)argument = dx_simulate(NULL, do_nothing, NULL, NULL);
}

static void
nested_simulation_is_busy(void)
{
    kern_return_t inner = 0;
    CHECK_EQ(dx_simulate(NULL, simulate_again, &inner, NULL), 0);
    CHECK_EQ(inner, kIOReturnBusy);
}

/* Log. */

static void
count_notes(void *context, const char *line)
{
    if (strstr(line, "1.000000000 main#0 note hello"))
        ++*(unsigned *)context;
}

static void
write_note(void *argument)
{
    dx_simulation_note(argument);
}

static void
notes_are_logged_and_hashed(void)
{
    unsigned notes = 0;
    const dx_simulation_config config = {.log = count_notes, .log_context = &notes};
    dx_simulation_result hello, other;
    static char hello_text[] = "hello", other_text[] = "hellp";
    CHECK_EQ(dx_simulate(&config, write_note, hello_text, &hello), 0);
    CHECK_EQ(notes, 1);
    CHECK_EQ(dx_simulate(&config, write_note, other_text, &other), 0);
    CHECK(hello.log_hash != other.log_hash);
    dx_simulation_note("on the host: nothing");
}

static void
take_random(void *argument)
{
    *(uint64_t *)argument = dx_clock_random(dx_clock_current());
}

static void
random_follows_the_seed(void)
{
    uint64_t a = 0, b = 0, c = 0;
    CHECK_EQ(dx_simulate(&(dx_simulation_config){.seed = 1}, take_random, &a, NULL), 0);
    CHECK_EQ(dx_simulate(&(dx_simulation_config){.seed = 1}, take_random, &b, NULL), 0);
    CHECK_EQ(dx_simulate(&(dx_simulation_config){.seed = 2}, take_random, &c, NULL), 0);
    CHECK_EQ(a, b);
    CHECK(a != c);
    CHECK(dx_clock_random(dx_clock_host()) != dx_clock_random(dx_clock_host()));
}

/* Several simulations at once. */

static void *
simulate_on_thread(void *argument)
{
    struct order order;
    *(uint64_t *)argument = simulate_order(3, &order);
    return NULL;
}

static void
threads_simulate_independently(void)
{
    pthread_t threads[2];
    uint64_t hashes[2];
    for (unsigned i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, simulate_on_thread, &hashes[i]), 0);
    for (unsigned i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(hashes[0], hashes[1]);
}

/* A thread that is no task of the simulation. */

struct outside {
    _Atomic uint32_t word, stopped, left;
    _Atomic(dx_clock *) clock;
};

static void *
wake_from_outside(void *argument)
{
    struct outside *const outside = argument;
    dx_clock *clock;
    while (!(clock = atomic_load_explicit(&outside->clock, memory_order_acquire)))
        (void)sched_yield();
    atomic_store_explicit(&outside->word, 1, memory_order_release);
    dx_clock_wake(clock, &outside->word, 1);
    while (dx_clock_wait(clock, &outside->stopped, 0, DX_NEVER, &test_reason) != -EAGAIN)
        ;
    atomic_store_explicit(&outside->left, 1, memory_order_release); // the clock may go
    return NULL;
}

static void
wait_for_outside(void *argument)
{
    struct outside *const outside = argument;
    dx_clock *const clock = dx_clock_current();
    atomic_store_explicit(&outside->clock, clock, memory_order_release);
    while (!atomic_load_explicit(&outside->word, memory_order_acquire))
        (void)dx_clock_wait(clock, &outside->word, 0, dx_clock_now_ns(clock) + 1000, &test_reason);
    atomic_store_explicit(&outside->stopped, 1, memory_order_release);
    while (!atomic_load_explicit(&outside->left, memory_order_acquire))
        (void)sched_yield();
}

static void
foreign_threads_may_wake_and_wait(void)
{
    struct outside outside = {0};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, wake_from_outside, &outside), 0);
    CHECK_EQ(dx_simulate(NULL, wait_for_outside, &outside, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* The host's clock. */

struct host_facts {
    sigset_t mask;
    int policy, slack_ns;
    dx_clock *clock;
    const void *self;
    char name[16];
};

static void
gather_facts(void *argument)
{
    struct host_facts *const facts = argument;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &facts->mask);
    facts->policy = sched_getscheduler(0);
    facts->slack_ns = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    facts->clock = dx_clock_current();
    facts->self = dx_task_self();
    (void)pthread_getname_np(pthread_self(), facts->name, sizeof facts->name);
}

static void
host_task_is_as_described(void)
{
    struct host_facts facts;
    dx_task *task;
    const dx_task_config config = {.name = "a-rather-long-name"};
    CHECK_EQ(dx_task_spawn(dx_clock_host(), &config, gather_facts, &facts, &task), 0);
    CHECK_EQ(dx_task_degraded(task), 0);
    CHECK(strcmp(dx_task_name(task), "a-rather-long-name") == 0);
    dx_task_join(task);
    CHECK_EQ(sigismember(&facts.mask, SIGTERM), 1);
    CHECK_EQ(sigismember(&facts.mask, SIGUSR1), 1);
    CHECK_EQ(facts.policy, SCHED_OTHER);
    CHECK_EQ(facts.slack_ns, 1);
    CHECK(facts.clock == dx_clock_host());
    CHECK(facts.self != dx_task_self());
    CHECK(strcmp(facts.name, "a-rather-long-n") == 0);
}

static void
real_time_task_says_what_it_got(void)
{
    struct host_facts facts;
    dx_task *task;
    const dx_task_config config = {.name = "rt", .priority = 10, .cpu = 1, .stack_bytes = 128 * 1024};
    CHECK_EQ(dx_task_spawn(dx_clock_host(), &config, gather_facts, &facts, &task), 0);
    const unsigned degraded = dx_task_degraded(task);
    dx_task_join(task);
    /* Whether it is granted is the machine's business: the bit and the fact must agree. */
    CHECK_EQ(facts.policy == (SCHED_FIFO | SCHED_RESET_ON_FORK), !(degraded & DX_TASK_NOT_REALTIME));
    CHECK(strcmp(dx_task_degraded_advice(0), "") == 0);
    CHECK(strstr(dx_task_degraded_advice(DX_TASK_NOT_REALTIME), "rtprio"));
    CHECK(strstr(dx_task_degraded_advice(DX_TASK_NOT_REALTIME | DX_TASK_NOT_LOCKED), "memlock"));
}

static void
impossible_tasks_are_refused(void)
{
    dx_task *task = NULL;
    dx_clock *const host = dx_clock_host();
    CHECK_EQ(dx_task_spawn(host, NULL, NULL, NULL, &task), kIOReturnBadArgument);
    CHECK_EQ(dx_task_spawn(host, &(dx_task_config){.priority = 100}, do_nothing, NULL, &task),
             kIOReturnBadArgument);
    CHECK_EQ(dx_task_spawn(host, &(dx_task_config){.priority = -1}, do_nothing, NULL, &task),
             kIOReturnBadArgument);
    CHECK_EQ(dx_task_spawn(host, &(dx_task_config){.cpu = 1 << 20}, do_nothing, NULL, &task),
             kIOReturnBadArgument);
    CHECK_EQ(dx_task_spawn(host, &(dx_task_config){.stack_bytes = SIZE_MAX}, do_nothing, NULL, &task),
             kIOReturnNoMemory);
    CHECK(!task);
    dx_task_join(NULL);
}

static void
wait_for_host_word(void *argument)
{
    struct words *const words = argument;
    while (!atomic_load_explicit(&words->word, memory_order_acquire))
        CHECK(dx_clock_wait(dx_clock_host(), &words->word, 0, DX_NEVER, &test_reason) != -ETIMEDOUT);
}

static void
host_words_wake_threads(void)
{
    struct words words = {0};
    dx_task *task;
    dx_clock *const host = dx_clock_host();
    CHECK_EQ(dx_task_spawn(host, NULL, wait_for_host_word, &words, &task), 0);
    atomic_store_explicit(&words.word, 1, memory_order_release);
    dx_clock_wake(host, &words.word, 1);
    dx_task_join(task);
    CHECK_EQ(-dx_clock_wait(host, &words.word, 0, DX_NEVER, &test_reason), EAGAIN);
    CHECK_EQ(-dx_clock_wait(host, &words.word, 1, 1, &test_reason), ETIMEDOUT); // 1 ns after boot
}

static void
detached_tasks_are_freed(void)
{
    for (unsigned i = 0; i < 20; i++) {
        dx_task *task;
        CHECK_EQ(dx_task_spawn(dx_clock_host(), NULL, do_nothing, NULL, &task), 0);
        dx_task_detach(task);
    }
}

/* Ticks: expected values from the definition, ns = ticks * numer / denom, computed by hand. */

static void
count_ticks(void *argument)
{
    (void)argument;
    dx_clock *const clock = dx_clock_current();
    mach_timebase_info_data_t info;
    CHECK_EQ(mach_timebase_info(&info), KERN_SUCCESS);
    CHECK_EQ(info.numer, 125);
    CHECK_EQ(info.denom, 3);
    CHECK_EQ(mach_absolute_time(), 24000000); // 24 MHz after 1 s
    CHECK_EQ(mach_continuous_time(), 24000000);
    CHECK_EQ(dx_clock_ns_from_ticks(clock, 24000000), 1000000000);
    CHECK_EQ(dx_clock_ns_from_ticks(clock, 1), 41);  // 41.67
    CHECK_EQ(dx_clock_ticks_from_ns(clock, 42), 1);  // 1.008
    CHECK_EQ(dx_clock_ticks_from_ns(clock, 41), 0);  // 0.984
    CHECK_EQ(dx_clock_ns_from_ticks(clock, UINT64_MAX), UINT64_MAX);
    CHECK_EQ(dx_clock_ticks_from_ns(clock, UINT64_MAX), 442721857769029238u); // floor((2^64-1)*3/125)
    CHECK_EQ(dx_clock_set_timebase(clock, 0, 1), kIOReturnBadArgument);
    CHECK_EQ(dx_clock_set_timebase(clock, 1000, 1), 0);
    CHECK_EQ(mach_absolute_time(), 1000000);
}

static void
ticks_follow_the_timebase(void)
{
    const dx_simulation_config config = {.timebase_numer = 125, .timebase_denom = 3};
    CHECK_EQ(dx_simulate(&config, count_ticks, NULL, NULL), 0);
    const uint64_t before = dx_clock_now_ns(dx_clock_host());
    const uint64_t ticks = mach_absolute_time();
    CHECK(before <= ticks && ticks <= dx_clock_now_ns(dx_clock_host())); // 1/1 on the host
}

int
main(void)
{
    RUN(same_seed_gives_same_order_and_hash);
    RUN(other_seeds_give_other_orders);
    RUN(simulated_sleep_is_exact);
    RUN(limit_ends_an_endless_run);
    RUN(standing_still_is_endless);
    RUN(words_wait_and_wake_as_futexes_do);
    RUN(deadlock_names_all_waiters_and_holders);
    RUN(idle_tasks_do_not_keep_a_run_alive);
    RUN(use_of_another_clock_is_reported);
    RUN(nested_simulation_is_busy);
    RUN(notes_are_logged_and_hashed);
    RUN(random_follows_the_seed);
    RUN(threads_simulate_independently);
    RUN(foreign_threads_may_wake_and_wait);
    RUN(host_task_is_as_described);
    RUN(real_time_task_says_what_it_got);
    RUN(impossible_tasks_are_refused);
    RUN(host_words_wake_threads);
    RUN(detached_tasks_are_freed);
    RUN(ticks_follow_the_timebase);
    return 0;
}
