// SPDX-License-Identifier: MIT
// The loop: epoll for descriptors, its time-out for times, an eventfd for other threads.

#include "host/loop.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

struct posted {
    struct posted *next;
    void (*function)(void *context);
    void *context;
};

/* One that was removed stays in memory until the events that were fetched with it are through. */
struct dx_watch {
    struct dx_loop *loop;
    struct dx_watch *previous;
    struct dx_watch *next;
    int fd;
    dx_watch_function function; // NULL once removed
    void *context;
};

struct dx_loop_timer {
    struct dx_loop *loop;
    struct dx_loop_timer *previous;
    struct dx_loop_timer *next; // a later time, or the same one and set later
    bool is_set;                // it is in the list
    uint64_t due_ns;            // CLOCK_MONOTONIC
    void (*function)(void *context);
    void *context;
};

struct dx_loop {
    int epoll_fd;
    int wake_fd;
    _Atomic bool quit;
    struct dx_watch *watches;
    struct dx_watch *removed;      // linked by `next`
    struct dx_loop_timer *timers;  // those that are set, the nearest first
    pthread_mutex_t lock;          // of what follows
    struct posted *first_posted;
    struct posted **last_posted; // where the next one is linked
};

static uint64_t
monotonic_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); // cannot fail for this clock
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int
dx_loop_create(struct dx_loop **ret_loop)
{
    struct dx_loop *const loop = calloc(1, sizeof *loop);
    if (!loop)
        return -ENOMEM;
    loop->last_posted = &loop->first_posted;
    (void)pthread_mutex_init(&loop->lock, NULL); // cannot fail without attributes
    loop->wake_fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd >= 0)
        loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN}; // without a watch: the loop itself
    if (loop->wake_fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) != 0) {
        const int result = -errno;
        dx_loop_destroy(loop);
        return result;
    }
    *ret_loop = loop;
    return 0;
}

static void
free_watches(struct dx_watch *watch)
{
    while (watch) {
        struct dx_watch *const next = watch->next;
        free(watch);
        watch = next;
    }
}

void
dx_loop_destroy(struct dx_loop *loop)
{
    if (!loop)
        return;
    while (loop->first_posted) {
        struct posted *const next = loop->first_posted->next;
        free(loop->first_posted);
        loop->first_posted = next;
    }
    free_watches(loop->watches);
    free_watches(loop->removed);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    (void)pthread_mutex_destroy(&loop->lock);
    free(loop);
}

static void
wake(struct dx_loop *loop)
{
    const int saved_errno = errno; // of what a signal handler interrupted
    const uint64_t one = 1;
    /* It fails only where the count is full, and then the loop is about to wake. */
    const ssize_t written = write(loop->wake_fd, &one, sizeof one);
    (void)written;
    errno = saved_errno;
}

void
dx_loop_quit(struct dx_loop *loop)
{
    /* release: with the exchange in dx_loop_run(). */
    atomic_store_explicit(&loop->quit, true, memory_order_release);
    wake(loop);
}

bool
dx_loop_post(struct dx_loop *loop, void (*function)(void *context), void *context)
{
    struct posted *const posted = malloc(sizeof *posted);
    if (!posted)
        return false;
    *posted = (struct posted){.function = function, .context = context};
    (void)pthread_mutex_lock(&loop->lock);
    *loop->last_posted = posted;
    loop->last_posted = &posted->next;
    (void)pthread_mutex_unlock(&loop->lock);
    wake(loop);
    return true;
}

/* Calls what was posted until now; what these post comes in the next round. */
static void
call_posted(struct dx_loop *loop)
{
    uint64_t count;
    if (read(loop->wake_fd, &count, sizeof count) < 0)
        return; // nobody woke it
    (void)pthread_mutex_lock(&loop->lock);
    struct posted *posted = loop->first_posted;
    loop->first_posted = NULL;
    loop->last_posted = &loop->first_posted;
    (void)pthread_mutex_unlock(&loop->lock);
    while (posted) {
        struct posted *const next = posted->next;
        posted->function(posted->context);
        free(posted);
        posted = next;
    }
}

struct dx_watch *
dx_loop_watch(struct dx_loop *loop, int fd, uint32_t epoll_events, dx_watch_function function, void *context)
{
    struct dx_watch *const watch = malloc(sizeof *watch);
    if (!watch)
        return NULL;
    *watch = (struct dx_watch){
        .loop = loop, .next = loop->watches, .fd = fd, .function = function, .context = context};
    struct epoll_event event = {.events = epoll_events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        free(watch);
        return NULL;
    }
    if (loop->watches)
        loop->watches->previous = watch;
    loop->watches = watch;
    return watch;
}

void
dx_watch_set_events(struct dx_watch *watch, uint32_t epoll_events)
{
    struct epoll_event event = {.events = epoll_events, .data.ptr = watch};
    (void)epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event); // cannot fail while it is watched
}

void
dx_watch_remove(struct dx_watch *watch)
{
    if (!watch)
        return;
    struct dx_loop *const loop = watch->loop;
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    if (watch->previous)
        watch->previous->next = watch->next;
    else
        loop->watches = watch->next;
    if (watch->next)
        watch->next->previous = watch->previous;
    watch->function = NULL;
    watch->next = loop->removed;
    loop->removed = watch;
}

struct dx_loop_timer *
dx_loop_timer_create(struct dx_loop *loop, void (*function)(void *context), void *context)
{
    struct dx_loop_timer *const timer = malloc(sizeof *timer);
    if (timer)
        *timer = (struct dx_loop_timer){.loop = loop, .function = function, .context = context};
    return timer;
}

void
dx_loop_timer_clear(struct dx_loop_timer *timer)
{
    if (!timer->is_set)
        return;
    if (timer->previous)
        timer->previous->next = timer->next;
    else
        timer->loop->timers = timer->next;
    if (timer->next)
        timer->next->previous = timer->previous;
    timer->is_set = false;
}

void
dx_loop_timer_set(struct dx_loop_timer *timer, uint64_t in_ns)
{
    dx_loop_timer_clear(timer);
    const uint64_t now_ns = monotonic_ns();
    timer->due_ns = in_ns < UINT64_MAX - now_ns ? now_ns + in_ns : UINT64_MAX;
    struct dx_loop_timer *before = NULL;
    struct dx_loop_timer *after = timer->loop->timers;
    while (after && after->due_ns <= timer->due_ns) {
        before = after;
        after = after->next;
    }
    timer->previous = before;
    timer->next = after;
    if (before)
        before->next = timer;
    else
        timer->loop->timers = timer;
    if (after)
        after->previous = timer;
    timer->is_set = true;
}

void
dx_loop_timer_destroy(struct dx_loop_timer *timer)
{
    if (!timer)
        return;
    dx_loop_timer_clear(timer);
    free(timer);
}

/* For epoll_wait(): -1 without a timer, else the time to the nearest one, rounded up so that it is due then. */
static int
time_to_sleep_ms(const struct dx_loop *loop)
{
    if (!loop->timers)
        return -1;
    const uint64_t now_ns = monotonic_ns();
    if (loop->timers->due_ns <= now_ns)
        return 0;
    const uint64_t ms = (loop->timers->due_ns - now_ns - 1) / NS_PER_MS + 1;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* Those that a callback sets again are due later than `now_ns`, so this ends. */
static void
call_due_timers(struct dx_loop *loop)
{
    const uint64_t now_ns = loop->timers ? monotonic_ns() : 0;
    while (loop->timers && loop->timers->due_ns <= now_ns) {
        struct dx_loop_timer *const timer = loop->timers;
        dx_loop_timer_clear(timer);
        timer->function(timer->context); // may destroy it
    }
}

void
dx_loop_run(struct dx_loop *loop)
{
    /* acquire: with dx_loop_quit(). */
    while (!atomic_exchange_explicit(&loop->quit, false, memory_order_acquire)) {
        struct epoll_event events[32];
        const int count =
            epoll_wait(loop->epoll_fd, events, sizeof events / sizeof events[0], time_to_sleep_ms(loop));
        for (int i = 0; i < count; i++) {
            struct dx_watch *const watch = events[i].data.ptr;
            if (!watch)
                call_posted(loop);
            else if (watch->function)
                watch->function(watch->context, watch->fd, events[i].events);
        }
        call_due_timers(loop);
        free_watches(loop->removed);
        loop->removed = NULL;
    }
}
