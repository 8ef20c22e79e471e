// SPDX-License-Identifier: MIT
// A simulated clock: tasks are fibers on one OS thread, time advances only when all of them wait.

#include "core/clock_ops.h"
#include "core/fiber.h"
#include "core/stack.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * There is no scheduler fiber: the fiber that waits picks who runs next and goes there directly; it comes
 * back to dx_simulate()'s own stack once, at the end.
 *
 * A task is in exactly one state: running; in `runnable`; waiting, and then in the bucket of its word
 * (unless it sleeps) and in the heap of deadlines (unless it waits for ever); or ended, until it is joined.
 *
 * Everything here is used by one OS thread.  What another thread may touch is atomic: `now_ns`, and
 * `woken_from_outside`, which makes all waiters look again at their words.
 */

enum {
    BUCKETS = 1024,            // a power of two
    STANDSTILL = 1 << 24,      // switches at one time after which it counts as endless
    FOREIGN_POLL_NS = 1000000, // how often a thread that is no task of the clock looks at its word
};

#define NOT_IN_HEAP UINT32_MAX
#define FNV_OFFSET 0xCBF29CE484222325u
#define FNV_PRIME 0x100000001B3u

/** What can happen to a task: hashed, so the values stay. */
enum event { EVENT_SPAWN = 1, EVENT_RUN = 2, EVENT_TIMEOUT = 3, EVENT_END = 4, EVENT_NOTE = 5 };

struct sim_task {
    struct dx_task task; // first
    struct dx_fiber fiber;
    struct dx_stack stack;
    uint32_t id; // in order of spawning, from 0
    void (*function)(void *argument);
    void *argument;
    struct sim_task *next, *previous; // in simulation.tasks
    _Atomic uint32_t ended;
    bool detached;

    /* While it waits. */
    const _Atomic uint32_t *word; // NULL: it sleeps
    const struct dx_wait_reason *reason; // NULL: it does not wait
    uint64_t deadline_ns;
    uint32_t heap_index;
    int result; // of the wait
    struct sim_task *bucket_next, *bucket_previous;
};

/* Waiters of the words that hash alike, the one that came first at the head. */
struct bucket {
    struct sim_task *first, *last;
};

struct simulation {
    dx_clock clock; // first
    _Atomic uint64_t now_ns;
    _Atomic uint32_t woken_from_outside;
    uint64_t limit_at_ns;
    uint64_t order_state, random_state; // generators: who runs next; dx_clock_random()
    uint64_t switches, hash;
    uint32_t switches_at_this_time;
    uint32_t next_id;

    struct dx_fiber root;     // dx_simulate()'s stack
    struct sim_task *running;
    struct sim_task *leaving; // ended, and its fiber has just been left
    struct sim_task *tasks, *last_task; // all that are not yet freed, in order of spawning
    uint32_t live, total;     // tasks that have not ended; all of `tasks`

    /* All three have room for `capacity` tasks: spawning allocates, waiting and waking do not. */
    struct sim_task **runnable, **heap;
    struct dx_stack *free_stacks;
    uint32_t runnable_count, heap_count, capacity;
    uint32_t free_stack_count;
    struct bucket buckets[BUCKETS];

    void (*log)(void *context, const char *line);
    void *log_context;
    kern_return_t outcome;
    char message[sizeof((dx_simulation_result *)NULL)->message];
    size_t message_length;
};

static struct simulation *
simulation_of(const dx_clock *clock)
{
    return (struct simulation *)(uintptr_t)clock;
}

static uint64_t
now_of(const struct simulation *sim)
{
    /* relaxed: stored by this OS thread; others read a time, not what belongs to it. */
    return atomic_load_explicit(&sim->now_ns, memory_order_relaxed);
}

/* Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (SplitMix64). */
static uint64_t
next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Events. */

static uint64_t
hash_bytes(uint64_t hash, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        hash = (hash ^ (value >> (8 * i) & 0xFFu)) * FNV_PRIME;
    return hash;
}

static void
log_line(const struct simulation *sim, const struct sim_task *task, enum event event, const char *text)
{
    static const char *const names[] = {
        [EVENT_SPAWN] = "spawn", [EVENT_RUN] = "run",   [EVENT_TIMEOUT] = "time-out",
        [EVENT_END] = "end",     [EVENT_NOTE] = "note",
    };
    const uint64_t now_ns = now_of(sim);
    char line[256];
    (void)snprintf(line, sizeof line, "%llu.%09llu %s#%u %s%s%s", (unsigned long long)(now_ns / 1000000000u),
                   (unsigned long long)(now_ns % 1000000000u), task->task.name, task->id, names[event],
                   text ? " " : "", text ? text : ""); // may be cut
    sim->log(sim->log_context, line);
}

static void
record(struct simulation *sim, const struct sim_task *task, enum event event)
{
    uint64_t hash = hash_bytes(sim->hash, now_of(sim), 8);
    hash = hash_bytes(hash, task->id, 4);
    sim->hash = hash_bytes(hash, event, 1);
    if (sim->log)
        log_line(sim, task, event, NULL);
}

static void __attribute__((format(printf, 2, 3)))
append_message(struct simulation *sim, const char *format, ...)
{
    const size_t room = sizeof sim->message - sim->message_length;
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(sim->message + sim->message_length, room, format, arguments);
    va_end(arguments);
    if (length > 0)
        sim->message_length += (size_t)length < room ? (size_t)length : room - 1;
}

/* The heap of deadlines: a binary heap that knows where each task stands. */

static void
place_in_heap(struct simulation *sim, struct sim_task *task, uint32_t index)
{
    sim->heap[index] = task;
    task->heap_index = index;
}

static void
sift_up(struct simulation *sim, struct sim_task *task, uint32_t index)
{
    while (index > 0) {
        const uint32_t parent = (index - 1) / 2;
        if (sim->heap[parent]->deadline_ns <= task->deadline_ns)
            break;
        place_in_heap(sim, sim->heap[parent], index);
        index = parent;
    }
    place_in_heap(sim, task, index);
}

static void
sift_down(struct simulation *sim, struct sim_task *task, uint32_t index)
{
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= sim->heap_count)
            break;
        if (child + 1 < sim->heap_count && sim->heap[child + 1]->deadline_ns < sim->heap[child]->deadline_ns)
            child++;
        if (task->deadline_ns <= sim->heap[child]->deadline_ns)
            break;
        place_in_heap(sim, sim->heap[child], index);
        index = child;
    }
    place_in_heap(sim, task, index);
}

static void
remove_from_heap(struct simulation *sim, struct sim_task *task)
{
    const uint32_t index = task->heap_index;
    task->heap_index = NOT_IN_HEAP;
    struct sim_task *const last = sim->heap[--sim->heap_count];
    if (last == task)
        return;
    if (index > 0 && last->deadline_ns < sim->heap[(index - 1) / 2]->deadline_ns)
        sift_up(sim, last, index);
    else
        sift_down(sim, last, index);
}

/* Waiters of words. */

static struct bucket *
bucket_of(struct simulation *sim, const _Atomic uint32_t *word)
{
    const uint64_t mixed = (uint64_t)(uintptr_t)word * 0x9E3779B97F4A7C15u;
    return &sim->buckets[mixed >> 54 & (BUCKETS - 1)];
}

static void
add_to_bucket(struct simulation *sim, struct sim_task *task)
{
    struct bucket *const bucket = bucket_of(sim, task->word);
    task->bucket_next = NULL;
    task->bucket_previous = bucket->last;
    if (bucket->last)
        bucket->last->bucket_next = task;
    else
        bucket->first = task;
    bucket->last = task;
}

static void
remove_from_bucket(struct simulation *sim, struct sim_task *task)
{
    struct bucket *const bucket = bucket_of(sim, task->word);
    if (task->bucket_previous)
        task->bucket_previous->bucket_next = task->bucket_next;
    else
        bucket->first = task->bucket_next;
    if (task->bucket_next)
        task->bucket_next->bucket_previous = task->bucket_previous;
    else
        bucket->last = task->bucket_previous;
}

static void
end_wait(struct simulation *sim, struct sim_task *task, int result)
{
    if (task->word)
        remove_from_bucket(sim, task);
    if (task->heap_index != NOT_IN_HEAP)
        remove_from_heap(sim, task);
    task->word = NULL;
    task->reason = NULL;
    task->result = result;
    sim->runnable[sim->runnable_count++] = task;
}

/* The end of a run. */

/* Only a task that still exists has a name to show. */
static const char *
name_of_holder(const struct simulation *sim, const struct dx_wait_reason *reason)
{
    /* relaxed: all of the simulation's tasks are on this OS thread. */
    const struct dx_task *const holder =
        reason->holder_at ? atomic_load_explicit(reason->holder_at, memory_order_relaxed) : reason->holder;
    for (const struct sim_task *task = sim->tasks; holder && task; task = task->next)
        if (&task->task == holder)
            return task->task.name;
    return NULL;
}

static void
describe_wait(struct simulation *sim, const struct sim_task *task)
{
    const struct dx_wait_reason *const reason = task->reason;
    const char *const holder = name_of_holder(sim, reason);
    append_message(sim, "; %s waits for %s%s%s%s%s", task->task.name, reason->what, reason->name ? " " : "",
                   reason->name ? reason->name : "", holder ? " held by " : "", holder ? holder : "");
}

/* Nobody can run and no deadline is left. */
static void
judge_standstill(struct simulation *sim)
{
    bool all_idle = true;
    for (const struct sim_task *task = sim->tasks; task; task = task->next)
        if (task->reason && !task->reason->idle)
            all_idle = false;
    if (all_idle) {
        sim->outcome = kIOReturnSuccess;
        return;
    }
    sim->outcome = kIOReturnInternalError;
    append_message(sim, "deadlock at %llu ns", (unsigned long long)now_of(sim));
    for (const struct sim_task *task = sim->tasks; task; task = task->next)
        if (task->reason)
            describe_wait(sim, task);
}

static void
fail_endless(struct simulation *sim, const char *why, const struct sim_task *task)
{
    sim->outcome = kIOReturnTimeout;
    append_message(sim, "%s at %llu ns; next to run: %s", why, (unsigned long long)now_of(sim),
                   task->task.name);
}

/* Who runs next. */

/* Advances to the next deadline and makes all that are due then runnable; false: the run is over. */
static bool
advance(struct simulation *sim)
{
    if (!sim->heap_count) {
        judge_standstill(sim);
        return false;
    }
    uint64_t now_ns = sim->heap[0]->deadline_ns;
    const bool is_over = now_ns > sim->limit_at_ns;
    if (is_over)
        now_ns = sim->limit_at_ns;
    atomic_store_explicit(&sim->now_ns, now_ns, memory_order_relaxed); // see now_of()
    if (is_over) {
        fail_endless(sim, "the time limit was reached", sim->heap[0]);
        return false;
    }
    sim->switches_at_this_time = 0;
    while (sim->heap_count && sim->heap[0]->deadline_ns <= now_ns)
        end_wait(sim, sim->heap[0], -ETIMEDOUT);
    return true;
}

/* Another OS thread woke a word: every waiter looks at its own again. */
static void
wake_all_waiters(struct simulation *sim)
{
    atomic_store_explicit(&sim->clock.foreign, 1, memory_order_relaxed); // as in note_use()
    for (uint32_t i = 0; i < BUCKETS; i++)
        while (sim->buckets[i].first)
            end_wait(sim, sim->buckets[i].first, 0);
}

/* Takes the task to run next; NULL: the run is over. */
static struct sim_task *
pick_next(struct simulation *sim)
{
    /* relaxed, then acquire: pairs with the release in sim_wake(); seldom set, so looked at cheaply. */
    if (atomic_load_explicit(&sim->woken_from_outside, memory_order_relaxed) &&
        atomic_exchange_explicit(&sim->woken_from_outside, 0, memory_order_acquire))
        wake_all_waiters(sim);
    if (!sim->runnable_count && !advance(sim))
        return NULL;

    uint32_t index = 0;
    if (sim->runnable_count > 1)
        index = (uint32_t)((next_random(&sim->order_state) >> 32) * sim->runnable_count >> 32);
    struct sim_task *const task = sim->runnable[index];
    sim->runnable[index] = sim->runnable[--sim->runnable_count];
    if (++sim->switches_at_this_time > STANDSTILL) {
        fail_endless(sim, "time stands still", task);
        return NULL;
    }
    return task;
}

static void
note_entered(struct simulation *sim, struct sim_task *task)
{
    sim->running = task;
    dx_current_task = &task->task;
    sim->switches++;
    record(sim, task, task->result == -ETIMEDOUT ? EVENT_TIMEOUT : EVENT_RUN);
}

static void
free_sim_task(struct simulation *sim, struct sim_task *task)
{
    if (task->previous)
        task->previous->next = task->next;
    else
        sim->tasks = task->next;
    if (task->next)
        task->next->previous = task->previous;
    else
        sim->last_task = task->previous;
    sim->total--;
    dx_fiber_finish(&task->fiber);
    dx_stack_unmap(&task->stack);
    free(task);
}

/* What an ended fiber could not do while it stood on its own stack. */
static void
bury_leaving(struct simulation *sim)
{
    struct sim_task *const task = sim->leaving;
    if (!task)
        return;
    sim->leaving = NULL;
    dx_fiber_finish(&task->fiber);
    if (sim->free_stack_count < sim->capacity) {
        sim->free_stacks[sim->free_stack_count++] = task->stack;
        task->stack = (struct dx_stack){0};
    }
    if (task->detached)
        free_sim_task(sim, task);
}

/* Lets others run; returns when the running task, which is runnable or waits, is entered again. */
static void
give_way(struct simulation *sim)
{
    struct sim_task *const self = sim->running;
    struct sim_task *const next = pick_next(sim);
    if (!next) {
        dx_fiber_switch(&self->fiber, &sim->root); // never comes back
        return;
    }
    note_entered(sim, next);
    if (next == self)
        return;
    dx_fiber_switch(&self->fiber, &next->fiber);
    bury_leaving(sim);
}

/* Tasks. */

static void sim_wake(dx_clock *clock, const _Atomic uint32_t *word, uint32_t count);

static void
run_fiber(void)
{
    struct sim_task *const self = (struct sim_task *)dx_current_task;
    struct simulation *const sim = simulation_of(self->task.clock);
    dx_fiber_started(&self->fiber);
    bury_leaving(sim);

    self->function(self->argument);

    record(sim, self, EVENT_END);
    /* release: pairs with the acquire in sim_join(). */
    atomic_store_explicit(&self->ended, 1, memory_order_release);
    sim_wake(&sim->clock, &self->ended, UINT32_MAX);
    sim->live--;
    sim->leaving = self;
    sim->running = NULL;
    struct sim_task *next = NULL;
    if (sim->live)
        next = pick_next(sim);
    if (next)
        note_entered(sim, next);
    dx_fiber_leave(&self->fiber, next ? &next->fiber : &sim->root);
}

static bool
reserve_task(struct simulation *sim)
{
    if (sim->total < sim->capacity)
        return true;
    const uint32_t capacity = sim->capacity ? 2 * sim->capacity : 16;
    struct sim_task **const runnable = realloc(sim->runnable, capacity * sizeof(*runnable));
    if (runnable)
        sim->runnable = runnable;
    struct sim_task **const heap = realloc(sim->heap, capacity * sizeof(*heap));
    if (heap)
        sim->heap = heap;
    struct dx_stack *const free_stacks = realloc(sim->free_stacks, capacity * sizeof(*free_stacks));
    if (free_stacks)
        sim->free_stacks = free_stacks;
    if (!runnable || !heap || !free_stacks)
        return false; // what did grow stays valid
    sim->capacity = capacity;
    return true;
}

static bool
take_stack(struct simulation *sim, size_t bytes, struct dx_stack *ret_stack)
{
    const size_t wanted = dx_stack_round(bytes);
    for (uint32_t i = sim->free_stack_count; i-- > 0;) {
        if (sim->free_stacks[i].bytes != wanted)
            continue;
        *ret_stack = sim->free_stacks[i];
        sim->free_stacks[i] = sim->free_stacks[--sim->free_stack_count];
        return true;
    }
    return dx_stack_map(bytes, ret_stack) == 0;
}

static kern_return_t
sim_spawn(dx_clock *clock, const dx_task_config *config, void (*function)(void *argument), void *argument,
          dx_task **ret_task)
{
    struct simulation *const sim = simulation_of(clock);
    if (sim->running && dx_current_task != &sim->running->task)
        return kIOReturnNotPermitted;
    struct sim_task *const task = reserve_task(sim) ? calloc(1, sizeof *task) : NULL;
    if (!task)
        return kIOReturnNoMemory;
    dx_task_init(&task->task, clock, config->name);
    if (!take_stack(sim, config->stack_bytes, &task->stack)) {
        free(task);
        return kIOReturnNoMemory;
    }
    dx_fiber_prepare(&task->fiber, task->stack.base, task->stack.bytes, run_fiber);
    task->id = sim->next_id++;
    task->function = function;
    task->argument = argument;
    task->heap_index = NOT_IN_HEAP;

    task->previous = sim->last_task;
    if (sim->last_task)
        sim->last_task->next = task;
    else
        sim->tasks = task;
    sim->last_task = task;
    sim->live++;
    sim->total++;
    record(sim, task, EVENT_SPAWN);
    sim->runnable[sim->runnable_count++] = task;
    *ret_task = &task->task;
    return kIOReturnSuccess;
}

/* A thread that is no task of the clock cannot be switched away from: it looks now and then. */
static int
wait_from_outside(const struct simulation *sim, const _Atomic uint32_t *word, uint32_t expected,
                  uint64_t deadline_ns)
{
    /* acquire: what was stored before the word is visible. */
    if (word && atomic_load_explicit(word, memory_order_acquire) != expected)
        return -EAGAIN;
    if (deadline_ns <= now_of(sim))
        return -ETIMEDOUT;
    const struct timespec pause = {.tv_nsec = FOREIGN_POLL_NS};
    (void)nanosleep(&pause, NULL); // cut short: woken for nothing
    return 0;
}

static int
sim_wait(dx_clock *clock, const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns,
         const struct dx_wait_reason *reason)
{
    struct simulation *const sim = simulation_of(clock);
    if (!dx_current_task || dx_current_task->clock != clock)
        return wait_from_outside(sim, word, expected, deadline_ns);

    /* acquire: what was stored before the word is visible. */
    if (word && atomic_load_explicit(word, memory_order_acquire) != expected)
        return -EAGAIN;
    if (deadline_ns <= now_of(sim))
        return -ETIMEDOUT;
    struct sim_task *const self = sim->running;
    self->word = word;
    self->reason = reason;
    self->deadline_ns = deadline_ns;
    if (word)
        add_to_bucket(sim, self);
    if (deadline_ns != DX_NEVER)
        sift_up(sim, self, sim->heap_count++);
    give_way(sim);
    return self->result;
}

static void
sim_wake(dx_clock *clock, const _Atomic uint32_t *word, uint32_t count)
{
    struct simulation *const sim = simulation_of(clock);
    if (!dx_current_task || dx_current_task->clock != clock) {
        /* release: pairs with the acquire in pick_next(). */
        atomic_store_explicit(&sim->woken_from_outside, 1, memory_order_release);
        return;
    }
    struct sim_task *task = bucket_of(sim, word)->first;
    while (task && count) {
        struct sim_task *const next = task->bucket_next;
        if (task->word == word) {
            end_wait(sim, task, 0);
            count--;
        }
        task = next;
    }
}

static void
sim_sleep_until(dx_clock *clock, uint64_t host_time_ns)
{
    static const struct dx_wait_reason reason = {.what = "time"};
    while (now_of(simulation_of(clock)) < host_time_ns)
        (void)sim_wait(clock, NULL, 0, host_time_ns, &reason); // the loop looks at the time
}

static void
sim_join(dx_task *task)
{
    struct sim_task *const self = (struct sim_task *)task;
    struct simulation *const sim = simulation_of(task->clock);
    const struct dx_wait_reason reason = {.what = "end of", .name = task->name, .holder = task};
    /* acquire: pairs with the release in run_fiber(). */
    while (!atomic_load_explicit(&self->ended, memory_order_acquire))
        (void)sim_wait(task->clock, &self->ended, 0, DX_NEVER, &reason); // the loop looks again
    free_sim_task(sim, self);
}

static void
sim_detach(dx_task *task)
{
    struct sim_task *const self = (struct sim_task *)task;
    /* relaxed: stored by this OS thread. */
    if (atomic_load_explicit(&self->ended, memory_order_relaxed))
        free_sim_task(simulation_of(task->clock), self);
    else
        self->detached = true;
}

static void
sim_yield(dx_clock *clock)
{
    struct simulation *const sim = simulation_of(clock);
    sim->running->result = 0;
    sim->runnable[sim->runnable_count++] = sim->running;
    give_way(sim);
}

static uint64_t
sim_random(dx_clock *clock)
{
    return next_random(&simulation_of(clock)->random_state);
}

static uint64_t
sim_now_ns(const dx_clock *clock) DX_REALTIME
{
    const struct simulation *const sim = (const struct simulation *)(const void *)clock;
    return atomic_load_explicit(&sim->now_ns, memory_order_relaxed); // see now_of()
}

static uint64_t
sim_realtime_ns(const dx_clock *clock)
{
    return sim_now_ns(clock);
}

void
dx_simulation_note_on(dx_clock *clock, const char *text)
{
    struct simulation *const sim = simulation_of(clock);
    uint64_t hash = hash_bytes(sim->hash, now_of(sim), 8);
    hash = hash_bytes(hash, sim->running->id, 4);
    hash = hash_bytes(hash, EVENT_NOTE, 1);
    for (const char *c = text; *c; c++)
        hash = hash_bytes(hash, (unsigned char)*c, 1);
    sim->hash = hash;
    if (sim->log)
        log_line(sim, sim->running, EVENT_NOTE, text);
}

static const struct dx_clock_ops sim_ops = {
    .now_ns = sim_now_ns,
    .realtime_ns = sim_realtime_ns,
    .sleep_until = sim_sleep_until,
    .wait = sim_wait,
    .wake = sim_wake,
    .spawn = sim_spawn,
    .join = sim_join,
    .detach = sim_detach,
    .yield = sim_yield,
    .random = sim_random,
};

/* Runs. */

static void
init_simulation(struct simulation *sim, const dx_simulation_config *config)
{
    const uint64_t start_ns = config->start_time_ns ? config->start_time_ns : 1000000000u;
    sim->clock.ops = &sim_ops;
    sim->clock.simulated = true;
    atomic_init(&sim->clock.timebase_numer, config->timebase_numer ? config->timebase_numer : 1);
    atomic_init(&sim->clock.timebase_denom, config->timebase_denom ? config->timebase_denom : 1);
    atomic_init(&sim->now_ns, start_ns);
    sim->limit_at_ns = config->limit_ns && config->limit_ns < DX_NEVER - start_ns
                           ? start_ns + config->limit_ns
                           : DX_NEVER;
    sim->order_state = config->seed;
    uint64_t other = ~config->seed;
    sim->random_state = next_random(&other); // far from order_state's sequence
    sim->hash = FNV_OFFSET;
    sim->log = config->log;
    sim->log_context = config->log_context;
}

/* Takes a simulation in any state, also a half-built one. */
static void
free_simulation(struct simulation *sim)
{
    while (sim->tasks)
        free_sim_task(sim, sim->tasks);
    for (uint32_t i = 0; i < sim->free_stack_count; i++)
        dx_stack_unmap(&sim->free_stacks[i]);
    free(sim->free_stacks);
    free(sim->heap);
    free(sim->runnable);
    free(sim);
}

/* Enters the first task; returns when the run is over. */
static void
run_simulation(struct simulation *sim)
{
    struct dx_task *const outer = dx_current_task;
    dx_fiber_adopt(&sim->root);
    struct sim_task *const first = pick_next(sim);
    note_entered(sim, first);
    dx_fiber_switch(&sim->root, &first->fiber);
    dx_current_task = outer;
    sim->running = NULL;
    bury_leaving(sim);
}

kern_return_t
dx_simulate(const dx_simulation_config *config, void (*function)(void *argument), void *argument,
            dx_simulation_result *ret_result)
{
    static const dx_simulation_config plain = {0};
    if (ret_result)
        memset(ret_result, 0, sizeof *ret_result);
    if (!config)
        config = &plain;
    if (!function || (config->size && config->size != sizeof *config))
        return kIOReturnBadArgument;
    if (dx_current_task && dx_current_task->clock->simulated)
        return kIOReturnBusy;

    struct simulation *const sim = calloc(1, sizeof *sim);
    if (!sim)
        return kIOReturnNoMemory;
    init_simulation(sim, config);
    const dx_task_config main_config = {.name = "main"};
    dx_task *main_task;
    kern_return_t status = sim_spawn(&sim->clock, &main_config, function, argument, &main_task);
    if (status == kIOReturnSuccess) {
        run_simulation(sim);
        status = sim->outcome;
    }
    if (ret_result) {
        ret_result->end_time_ns = now_of(sim);
        ret_result->switches = sim->switches;
        ret_result->log_hash = sim->hash;
        ret_result->repeatable = !atomic_load_explicit(&sim->clock.foreign, memory_order_relaxed);
        memcpy(ret_result->message, sim->message, sizeof sim->message);
    }
    free_simulation(sim);
    return status;
}
