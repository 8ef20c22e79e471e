// SPDX-License-Identifier: MIT
// The loop and its channels: order, removal from within callbacks, bounds, and sleep.

#include "host/loop.h"
#include "tests/core/check.h"
#include "tests/host/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)

static struct dx_loop *loop; // of the test that runs

static void
begin(void)
{
    CHECK_EQ(dx_loop_create(&loop), 0);
}

static void
end(void)
{
    dx_loop_destroy(loop);
    loop = NULL;
}

static void
quit(void *context)
{
    (void)context;
    dx_loop_quit(loop);
}

/* Runs what is due and ready now. */
static void
run_once(void)
{
    CHECK(dx_loop_post(loop, quit, NULL));
    dx_loop_run(loop);
}

static uint64_t
now_ns(void)
{
    struct timespec now;
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
sleep_ms(unsigned ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

/* Posts and quitting. */

enum { POSTERS = 4, POSTS = 5000 };

struct post {
    unsigned poster;
    unsigned number;
};

static pthread_t loop_thread;
static unsigned next_number[POSTERS]; // on the loop's thread
static unsigned posts_left;

static void
take_post(void *context)
{
    struct post *const post = context;
    CHECK(pthread_equal(pthread_self(), loop_thread));
    CHECK_EQ(post->number, next_number[post->poster]++);
    free(post);
    if (--posts_left == 0)
        dx_loop_quit(loop);
}

static void *
post_all(void *argument)
{
    const unsigned poster = *(const unsigned *)argument;
    for (unsigned i = 0; i < POSTS; i++) {
        struct post *const post = malloc(sizeof *post);
        *post = (struct post){.poster = poster, .number = i};
        CHECK(dx_loop_post(loop, take_post, post));
    }
    return NULL;
}

static void
posts_of_many_threads_run_in_order_on_the_loops_thread(void)
{
    begin();
    loop_thread = pthread_self();
    posts_left = POSTERS * POSTS;
    memset(next_number, 0, sizeof next_number);
    pthread_t threads[POSTERS];
    unsigned numbers[POSTERS];
    for (unsigned i = 0; i < POSTERS; i++) {
        numbers[i] = i;
        CHECK_EQ(pthread_create(&threads[i], NULL, post_all, &numbers[i]), 0);
    }
    dx_loop_run(loop);
    for (unsigned i = 0; i < POSTERS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
        CHECK_EQ(next_number[i], POSTS);
    }
    end();
}

static unsigned reposts;

static void
post_again(void *context)
{
    if (++reposts < 10)
        CHECK(dx_loop_post(loop, post_again, context));
    else
        dx_loop_quit(loop);
}

static void
a_post_may_post(void)
{
    begin();
    reposts = 0;
    CHECK(dx_loop_post(loop, post_again, NULL));
    dx_loop_run(loop);
    CHECK_EQ(reposts, 10);
    end();
}

static void
a_loop_that_was_told_to_quit_does_not_start_and_then_runs_again(void)
{
    begin();
    reposts = 0;
    CHECK(dx_loop_post(loop, post_again, NULL));
    dx_loop_quit(loop);
    dx_loop_run(loop);
    CHECK_EQ(reposts, 0);
    dx_loop_run(loop);
    CHECK_EQ(reposts, 10);
    CHECK(dx_loop_post(loop, post_again, NULL));
    end(); // forgets it
    CHECK_EQ(reposts, 10);
}

static void
quit_by_signal(int signal)
{
    (void)signal;
    dx_loop_quit(loop);
}

static void *
send_signal(void *argument)
{
    sleep_ms(10); // so that it mostly hits the loop asleep; either way it must end
    CHECK_EQ(pthread_kill(*(pthread_t *)argument, SIGUSR1), 0);
    return NULL;
}

static void
a_signal_handler_ends_a_loop_that_sleeps(void)
{
    const struct sigaction action = {.sa_handler = quit_by_signal};
    struct sigaction before;
    CHECK_EQ(sigaction(SIGUSR1, &action, &before), 0);
    begin();
    pthread_t self = pthread_self(), sender;
    CHECK_EQ(pthread_create(&sender, NULL, send_signal, &self), 0);
    dx_loop_run(loop);
    CHECK_EQ(pthread_join(sender, NULL), 0);
    end();
    CHECK_EQ(sigaction(SIGUSR1, &before, NULL), 0);
}

/* Times. */

static char events[64]; // what happened, a letter each

static void
note(char event)
{
    const size_t n = strlen(events);
    CHECK(n + 1 < sizeof events);
    events[n] = event;
    events[n + 1] = 0;
}

static struct dx_loop_timer *timers[8];
static uint64_t due_ns[8];

static void
forget_events(void)
{
    memset(events, 0, sizeof events);
}

static void
note_timer(void *context)
{
    const size_t i = (size_t)((struct dx_loop_timer **)context - timers);
    CHECK(now_ns() >= due_ns[i]);
    note((char)('a' + i));
    if (i == 7)
        dx_loop_quit(loop);
}

static void
create_timers(void)
{
    forget_events();
    for (size_t i = 0; i < 8; i++) {
        timers[i] = dx_loop_timer_create(loop, note_timer, &timers[i]); // the place says which one
        CHECK(timers[i]);
    }
}

static void
destroy_timers(void)
{
    for (size_t i = 0; i < 8; i++)
        dx_loop_timer_destroy(timers[i]);
}

static void
set_timer(size_t i, uint64_t in_ns)
{
    due_ns[i] = now_ns() + in_ns; // not later than the loop's own reckoning
    dx_loop_timer_set(timers[i], in_ns);
}

static void
timers_come_in_the_order_of_their_times_and_not_early(void)
{
    begin();
    create_timers();
    set_timer(7, 30 * NS_PER_MS); // ends the loop
    set_timer(3, 9 * NS_PER_MS);
    set_timer(0, 0);
    set_timer(2, 6 * NS_PER_MS);
    set_timer(1, 3 * NS_PER_MS + 1);
    set_timer(5, 20 * NS_PER_MS);
    set_timer(5, 12 * NS_PER_MS); // instead
    set_timer(4, 1 * NS_PER_MS);
    set_timer(4, 10 * NS_PER_MS);
    set_timer(6, 5 * NS_PER_MS);
    dx_loop_timer_clear(timers[6]);
    dx_loop_timer_clear(timers[6]);
    dx_loop_run(loop);
    CHECK(strcmp(events, "abcdefh") == 0);
    destroy_timers();
    end();
}

static void
a_time_beyond_all_times_does_not_come(void)
{
    begin();
    create_timers();
    set_timer(0, 0);
    dx_loop_timer_set(timers[1], UINT64_MAX);
    dx_loop_timer_set(timers[2], UINT64_MAX / 2);
    dx_loop_timer_set(timers[3], UINT64_C(1000000) * INT32_MAX * 3); // more milliseconds than an int has
    set_timer(7, 3 * NS_PER_MS);
    dx_loop_run(loop);
    CHECK(strcmp(events, "ah") == 0);
    destroy_timers();
    end();
}

static struct dx_loop_timer *self_timer;
static unsigned self_timer_calls;

static void
set_self_again(void *context)
{
    (void)context;
    note('s');
    if (++self_timer_calls < 5) {
        dx_loop_timer_set(self_timer, 0);
        return;
    }
    dx_loop_timer_destroy(self_timer);
    dx_loop_quit(loop);
}

static void
a_timer_may_set_and_destroy_itself(void)
{
    begin();
    forget_events();
    self_timer_calls = 0;
    self_timer = dx_loop_timer_create(loop, set_self_again, NULL);
    dx_loop_timer_set(self_timer, 0);
    dx_loop_run(loop);
    CHECK(strcmp(events, "sssss") == 0);
    end();
}

static void
destroy_others(void *context)
{
    (void)context;
    note('d');
    dx_loop_timer_destroy(timers[1]);
    dx_loop_timer_clear(timers[2]);
    timers[1] = NULL;
}

static void
a_timer_may_take_away_others_that_are_due(void)
{
    begin();
    create_timers();
    struct dx_loop_timer *const first = dx_loop_timer_create(loop, destroy_others, NULL);
    dx_loop_timer_set(first, 0);
    for (size_t i = 1; i < 8; i++)
        set_timer(i, 0);
    dx_loop_run(loop);
    CHECK(strcmp(events, "ddefgh") == 0); // 'd' of itself, and without b and c
    dx_loop_timer_destroy(first);
    dx_loop_timer_destroy(NULL);
    destroy_timers();
    end();
}

/* Sleep. */

static _Atomic int sleeper_tid;

static void *
run_loop(void *argument)
{
    (void)argument;
    /* relaxed: read_switches() waits for a number. */
    atomic_store_explicit(&sleeper_tid, (int)syscall(SYS_gettid), memory_order_relaxed);
    dx_loop_run(loop);
    return NULL;
}

/* Voluntary context switches of the thread that runs the loop. */
static unsigned long
read_switches(void)
{
    int tid;
    /* relaxed: the number says nothing of anything else. */
    while ((tid = atomic_load_explicit(&sleeper_tid, memory_order_relaxed)) == 0)
        sleep_ms(1);
    char path[64], line[128];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    FILE *const file = fopen(path, "r");
    CHECK(file);
    unsigned long switches = 0;
    bool found = false;
    while (fgets(line, sizeof line, file))
        found = found || sscanf(line, "voluntary_ctxt_switches: %lu", &switches) == 1;
    (void)fclose(file);
    CHECK(found);
    return switches;
}

static uint64_t
cpu_ns(pthread_t thread)
{
    clockid_t clock;
    struct timespec time;
    CHECK_EQ(pthread_getcpuclockid(thread, &clock), 0);
    CHECK_EQ(clock_gettime(clock, &time), 0);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/*
 * Runs the loop on a thread of its own, and sees that it sleeps: it may go to sleep once after the first look, and
 * a loop that turns would burn the whole time.
 */
static void
run_and_see_it_sleep(void)
{
    pthread_t thread;
    /* relaxed: before the thread. */
    atomic_store_explicit(&sleeper_tid, 0, memory_order_relaxed);
    CHECK_EQ(pthread_create(&thread, NULL, run_loop, NULL), 0);
    (void)read_switches(); // it runs
    sleep_ms(100);
    const unsigned long before = read_switches();
    const uint64_t before_ns = cpu_ns(thread);
    sleep_ms(200);
    CHECK(read_switches() - before <= 1);
    CHECK(cpu_ns(thread) - before_ns < 10 * NS_PER_MS);
    dx_loop_quit(loop);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void
forbid_event(void *context, int fd, uint32_t epoll_events)
{
    (void)context, (void)fd, (void)epoll_events;
    CHECK(!"nothing happens");
}

static void
forbid_timer(void *context)
{
    (void)context;
    CHECK(!"not for an hour");
}

static void
an_idle_loop_sleeps(void)
{
    begin();
    int pipe_fds[2];
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    struct dx_watch *const watch = dx_loop_watch(loop, pipe_fds[0], EPOLLIN, forbid_event, NULL);
    CHECK(watch);
    run_and_see_it_sleep();
    struct dx_loop_timer *const timer = dx_loop_timer_create(loop, forbid_timer, NULL);
    dx_loop_timer_set(timer, UINT64_C(3600000) * NS_PER_MS);
    run_and_see_it_sleep();
    dx_loop_timer_destroy(timer);
    dx_watch_remove(watch);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    end();
}

/* Watches. */

enum { WATCHES = 6 };

static int event_fds[WATCHES];
static struct dx_watch *watches[WATCHES];
static unsigned calls[WATCHES];

static int
create_ready_fd(void)
{
    const int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(fd >= 0);
    return fd;
}

static void
remove_all(void *context, int fd, uint32_t epoll_events)
{
    const size_t i = (size_t)((struct dx_watch **)context - watches);
    CHECK_EQ(fd, event_fds[i]);
    CHECK_EQ(epoll_events, EPOLLIN);
    calls[i]++;
    for (size_t k = 0; k < WATCHES; k++) { // its own too
        dx_watch_remove(watches[k]);
        watches[k] = NULL;
    }
}

static void
what_a_watch_removes_is_not_called(void)
{
    begin();
    for (size_t i = 0; i < WATCHES; i++) {
        calls[i] = 0;
        event_fds[i] = create_ready_fd();
        watches[i] = dx_loop_watch(loop, event_fds[i], EPOLLIN, remove_all, &watches[i]);
        CHECK(watches[i]);
    }
    run_once();
    run_once();
    unsigned total = 0;
    for (size_t i = 0; i < WATCHES; i++) {
        total += calls[i];
        close(event_fds[i]);
    }
    CHECK_EQ(total, 1);
    end();
}

static unsigned old_calls, new_calls;
static struct dx_watch *old_watches[2], *new_watch;
static int old_fds[2], new_fd;

static void
count_new(void *context, int fd, uint32_t epoll_events)
{
    (void)context, (void)fd, (void)epoll_events;
    new_calls++;
}

/* The other one goes, and a new one gets its number; the event that was fetched was not for it. */
static void
replace_other(void *context, int fd, uint32_t epoll_events)
{
    (void)context, (void)epoll_events;
    old_calls++;
    const size_t other = fd == old_fds[0];
    dx_watch_remove(old_watches[other]);
    close(old_fds[other]);
    new_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); // not ready
    CHECK_EQ(new_fd, old_fds[other]);
    new_watch = dx_loop_watch(loop, new_fd, EPOLLIN, count_new, NULL);
    CHECK(new_watch);
    dx_watch_remove(old_watches[!other]);
    close(old_fds[!other]);
}

static void
an_event_of_a_closed_descriptor_does_not_reach_the_next_one_of_its_number(void)
{
    begin();
    old_calls = new_calls = 0;
    for (int i = 0; i < 2; i++) {
        old_fds[i] = create_ready_fd();
        old_watches[i] = dx_loop_watch(loop, old_fds[i], EPOLLIN, replace_other, NULL);
    }
    run_once();
    run_once();
    CHECK_EQ(old_calls, 1);
    CHECK_EQ(new_calls, 0);
    CHECK_EQ(eventfd_write(new_fd, 1), 0);
    run_once();
    CHECK_EQ(new_calls, 1);
    dx_watch_remove(new_watch);
    dx_watch_remove(NULL);
    close(new_fd);
    end();
}

static void
what_cannot_be_watched_is_refused(void)
{
    begin();
    const int file = create_numbered(1);
    const int fd = create_ready_fd();
    CHECK(!dx_loop_watch(loop, file, EPOLLIN, forbid_event, NULL));
    CHECK(!dx_loop_watch(loop, -1, EPOLLIN, forbid_event, NULL));
    struct dx_watch *const watch = dx_loop_watch(loop, fd, 0, forbid_event, NULL);
    CHECK(watch);
    CHECK(!dx_loop_watch(loop, fd, EPOLLIN, forbid_event, NULL));
    run_once();
    close(file);
    close(fd);
    end(); // with the watch
}

/* Channels.  The other end is a socket that the test reads and writes itself, or a channel of the same loop. */

struct end {
    struct dx_channel *channel;
    uint64_t next;     // number of the message that comes next
    unsigned closed;   // times
    int reason;
    bool quits;        // the loop, at the end
    bool keeps;        // the channel, at the end
    uint64_t destroy_at; // the channel, at that message
    struct end *destroys; // this one too
};

static OSDictionary *
create_body(uint64_t number)
{
    OSDictionary *const body = OSDictionaryCreate(0);
    CHECK(OSDictionarySetUInt64Value(body, "n", number));
    return body;
}

static int
send_number(struct dx_channel *channel, uint64_t number)
{
    OSDictionary *const body = create_body(number);
    const int result = dx_channel_send(channel, body, NULL, 0);
    OSObjectRelease(body);
    return result;
}

static void
destroy(struct end *which)
{
    dx_channel_destroy(which->channel);
    which->channel = NULL;
}

/* Messages are numbered; one with descriptors has as many as its number says, numbered from it. */
static void
take_message(void *context, struct dx_channel *channel, struct dx_message *message)
{
    struct end *const which = context;
    CHECK(which->channel == channel);
    const uint64_t number = dx_wire_get_number(message->body, "n", UINT64_MAX);
    CHECK_EQ(number, which->next);
    which->next++;
    for (uint32_t i = 0; i < message->fd_count; i++)
        CHECK_EQ(number_of(message->fds[i]), number * 100 + i);
    CHECK_EQ(message->fd_count, dx_wire_get_number(message->body, "fds", 0));
    if (which->next != which->destroy_at)
        return;
    destroy(which);
    if (which->destroys)
        destroy(which->destroys);
}

static void
take_end(void *context, struct dx_channel *channel, int reason)
{
    struct end *const which = context;
    CHECK(which->channel == channel);
    which->closed++;
    which->reason = reason;
    CHECK_EQ(send_number(channel, 0), -EPIPE);
    if (!which->keeps)
        destroy(which);
    if (which->quits)
        dx_loop_quit(loop);
}

static const struct dx_channel_callbacks callbacks = {.message = take_message, .closed = take_end};

static void
open_end(struct end *which, int socket)
{
    *which = (struct end){.channel = dx_channel_create(loop, socket, &callbacks, which)};
    CHECK(which->channel);
    CHECK_EQ(dx_channel_socket(which->channel), socket);
}

/* A channel, and a socket that does not block. */
static int
open_pair(struct end *which)
{
    int pair[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    open_end(which, pair[0]);
    return pair[1];
}

static void
open_both(struct end *one, struct end *other)
{
    open_end(other, open_pair(one));
}

static unsigned fds_before;

static void
begin_counted(void)
{
    fds_before = count_descriptors();
    begin();
}

static void
end_counted(void)
{
    end();
    CHECK_EQ(count_descriptors(), fds_before);
}

/* With as many descriptors as wanted; they are closed at once. */
static int
send_with_fds(struct dx_channel *channel, uint64_t number, uint32_t fd_count)
{
    int fds[DX_WIRE_MAX_FDS];
    for (uint32_t i = 0; i < fd_count; i++)
        fds[i] = create_numbered((int)(number * 100 + i));
    OSDictionary *const body = create_body(number);
    CHECK(OSDictionarySetUInt64Value(body, "fds", fd_count));
    const int result = dx_channel_send(channel, body, fds, fd_count);
    OSObjectRelease(body);
    for (uint32_t i = 0; i < fd_count; i++)
        close(fds[i]);
    return result;
}

static void
messages_go_both_ways_in_order(void)
{
    begin_counted();
    struct end one, other;
    open_both(&one, &other);
    for (unsigned i = 0; i < 3000; i++) { // more than the socket takes
        CHECK_EQ(send_number(one.channel, i), 0);
        CHECK_EQ(send_number(other.channel, i), 0);
    }
    while (one.next < 3000 || other.next < 3000)
        run_once();
    destroy(&one);
    other.quits = true;
    dx_loop_run(loop);
    CHECK_EQ(other.closed, 1);
    CHECK_EQ(other.reason, 0);
    end_counted();
}

/* A message as large as `bytes` bytes of data make it. */
static int
send_large(struct dx_channel *channel, uint64_t number, size_t bytes)
{
    OSDictionary *const body = create_body(number);
    void *const data = calloc(1, bytes);
    CHECK(dx_wire_take(body, "data", OSDataCreate(data, bytes)));
    free(data);
    const int result = dx_channel_send(channel, body, NULL, 0);
    OSObjectRelease(body);
    return result;
}

/* Reads numbered messages from a socket until there are none. */
static void
drain(int socket, uint64_t *next)
{
    struct dx_message message;
    while (dx_wire_receive(socket, &message) == 1) {
        CHECK_EQ(dx_wire_get_number(message.body, "n", UINT64_MAX), *next);
        for (uint32_t i = 0; i < message.fd_count; i++)
            CHECK_EQ(number_of(message.fds[i]), *next * 100 + i);
        CHECK_EQ(message.fd_count, dx_wire_get_number(message.body, "fds", 0));
        ++*next;
        dx_message_finish(&message);
    }
}

static void
what_waits_arrives_in_order_with_its_descriptors(void)
{
    begin_counted();
    struct end one;
    const int socket = open_pair(&one);
    const unsigned open_before = count_descriptors();
    uint64_t sent = 0, next = 0;
    while (sent < 8)
        CHECK_EQ(send_large(one.channel, sent++, 100000), 0); // the socket is full
    for (uint32_t fds = 0; fds < 20; fds++)
        CHECK_EQ(send_with_fds(one.channel, sent++, fds), 0);
    CHECK_EQ(send_large(one.channel, sent, 200000), -EMSGSIZE); // and disturbs nothing
    int many[DX_WIRE_MAX_FDS + 1] = {0};
    OSDictionary *const body = create_body(0);
    CHECK_EQ(dx_channel_send(one.channel, body, many, DX_WIRE_MAX_FDS + 1), -EMSGSIZE);
    const int no_fd = -1;
    CHECK_EQ(dx_channel_send(one.channel, body, &no_fd, 1), -EBADF);
    OSObjectRelease(body);
    CHECK_EQ(send_number(one.channel, sent++), 0);
    while (next < sent) {
        drain(socket, &next);
        run_once();
    }
    CHECK_EQ(one.closed, 0);
    CHECK_EQ(count_descriptors(), open_before);

    run_and_see_it_sleep(); // there is room to write, and nobody waits for it
    destroy(&one);
    close(socket);
    end_counted();
}

/* The bound is 4 MiB of what waits, apart from what the socket holds, which is less than 1 MiB. */
static void
a_peer_that_stops_reading_is_left(void)
{
    begin_counted();
    struct end one;
    const int socket = open_pair(&one);
    one.quits = true;
    uint64_t sent = 0;
    int result;
    while ((result = send_large(one.channel, sent, 100000)) == 0)
        CHECK(++sent < 60);
    CHECK(sent >= 41); // 4 MiB are 41.9 of them
    CHECK_EQ(result, -ENOBUFS);
    CHECK_EQ(one.closed, 0); // not from within sending
    CHECK_EQ(send_number(one.channel, 0), -EPIPE);
    dx_loop_run(loop);
    CHECK_EQ(one.closed, 1);
    CHECK_EQ(one.reason, -ENOBUFS);
    CHECK(!one.channel);

    uint64_t next = 0; // what the socket took comes
    drain(socket, &next);
    CHECK(next > 0 && next < 10);
    struct dx_message message;
    CHECK_EQ(dx_wire_receive(socket, &message), 0);
    close(socket);
    end_counted();
}

/* Each counts for 16 KiB: 256 of them are 4 MiB. */
static void
descriptors_that_wait_are_bounded_too(void)
{
    begin_counted();
    struct end one;
    const int socket = open_pair(&one);
    one.keeps = one.quits = true;
    const unsigned open_before = count_descriptors();
    uint64_t sent = 0;
    while (sent < 5)
        CHECK_EQ(send_large(one.channel, sent++, 100000), 0);
    int result;
    while ((result = send_with_fds(one.channel, sent, 1)) == 0) {
        CHECK(++sent < 300);
        CHECK(count_descriptors() <= open_before + 256);
    }
    CHECK(sent > 200);
    CHECK_EQ(result, -ENOBUFS);
    CHECK_EQ(count_descriptors(), open_before);
    dx_loop_run(loop);
    CHECK_EQ(one.reason, -ENOBUFS);
    destroy(&one);
    close(socket);
    end_counted();
}

static void
what_was_sent_before_the_end_is_told_before_it(void)
{
    for (unsigned sends = 0; sends < 2; sends++) {
        begin_counted();
        struct end one;
        const int socket = open_pair(&one);
        one.quits = true;
        CHECK_EQ(send_number(one.channel, 0), 0); // never read: a reset comes of it
        OSDictionary *body;
        for (unsigned i = 0; i < 20; i++) {
            body = create_body(i);
            CHECK_EQ(dx_wire_send(socket, body, NULL, 0), 0);
            OSObjectRelease(body);
        }
        close(socket);
        if (sends) { // the first one meets the reset, or the end
            CHECK_EQ(send_number(one.channel, 1), -EPIPE);
            CHECK_EQ(send_number(one.channel, 1), -EPIPE);
        }
        CHECK_EQ(one.closed, 0);
        dx_loop_run(loop);
        CHECK_EQ(one.next, 20);
        CHECK_EQ(one.closed, 1);
        CHECK_EQ(one.reason, 0);
        end_counted();
    }
}

static void
a_peer_that_only_stopped_to_listen_is_left_as_well(void)
{
    begin_counted();
    struct end one;
    const int socket = open_pair(&one);
    one.quits = true;
    OSDictionary *const body = create_body(0);
    CHECK_EQ(dx_wire_send(socket, body, NULL, 0), 0);
    OSObjectRelease(body);
    CHECK_EQ(shutdown(socket, SHUT_RD), 0);
    CHECK_EQ(send_number(one.channel, 0), -EPIPE);
    dx_loop_run(loop);
    CHECK_EQ(one.next, 1);
    CHECK_EQ(one.reason, -EPIPE);
    close(socket);
    end_counted();
}

static void
what_waits_for_a_peer_that_goes_is_given_up(void)
{
    begin_counted();
    struct end one;
    const int socket = open_pair(&one);
    one.quits = true;
    for (uint64_t i = 0; i < 10; i++)
        CHECK_EQ(send_large(one.channel, i, 100000), 0);
    CHECK_EQ(send_with_fds(one.channel, 10, 7), 0);
    close(socket);
    dx_loop_run(loop);
    CHECK_EQ(one.closed, 1);
    CHECK_EQ(one.reason, 0);
    end_counted();
}

static void
nonsense_ends_a_channel(void)
{
    begin_counted();
    struct end one;
    const int socket = open_pair(&one);
    one.quits = true;
    CHECK_EQ(send(socket, "nonsense", 8, 0), 8);
    dx_loop_run(loop);
    CHECK_EQ(one.closed, 1);
    CHECK_EQ(one.reason, -EBADMSG);
    close(socket);
    end_counted();
}

static void
a_channel_that_is_not_read_costs_nothing_and_goes_on(void)
{
    begin_counted();
    struct end one, other;
    open_both(&one, &other);
    dx_channel_set_reading(other.channel, false);
    for (uint64_t i = 0; i < 100; i++)
        CHECK_EQ(send_number(one.channel, i), 0);
    run_and_see_it_sleep();
    CHECK_EQ(other.next, 0);
    CHECK_EQ(send_number(other.channel, 0), 0); // it may send
    run_once();
    CHECK_EQ(one.next, 1);
    dx_channel_set_reading(other.channel, true);
    while (other.next < 100)
        run_once();

    /* The end is told all the same, once, and the loop does not turn on it. */
    dx_channel_set_reading(other.channel, false);
    other.keeps = true;
    CHECK_EQ(send_number(one.channel, 100), 0);
    destroy(&one);
    run_and_see_it_sleep();
    CHECK_EQ(other.closed, 1);
    CHECK_EQ(other.reason, 0);
    CHECK_EQ(other.next, 100);
    dx_channel_set_reading(other.channel, true); // no more
    run_once();
    CHECK_EQ(other.closed, 1);
    destroy(&other);
    end_counted();
}

/* Both have messages ready when one of them goes with the other. */
static void
a_channel_may_be_destroyed_from_its_own_and_from_anothers_callback(void)
{
    for (uint64_t at = 1; at <= 3; at++) {
        begin_counted();
        struct end one, other;
        const int sockets[2] = {open_pair(&one), open_pair(&other)};
        one.destroy_at = other.destroy_at = at;
        one.destroys = &other;
        other.destroys = &one;
        for (uint64_t i = 0; i < 5; i++) {
            OSDictionary *const body = create_body(i);
            CHECK_EQ(dx_wire_send(sockets[0], body, NULL, 0), 0);
            CHECK_EQ(dx_wire_send(sockets[1], body, NULL, 0), 0);
            OSObjectRelease(body);
        }
        for (int i = 0; i < 10; i++)
            run_once();
        CHECK(!one.channel && !other.channel);
        CHECK(one.next + other.next == 2 * at - 1 || one.next == at);
        CHECK(one.next <= at && other.next <= at);
        CHECK_EQ(one.closed + other.closed, 0); // no callback follows
        close(sockets[0]);
        close(sockets[1]);
        end_counted();
    }
}

static void
a_channel_may_be_destroyed_while_its_end_is_on_the_way(void)
{
    begin_counted();
    struct end one;
    const int socket = open_pair(&one);
    close(socket);
    CHECK_EQ(send_number(one.channel, 0), -EPIPE);
    destroy(&one);
    dx_channel_destroy(NULL);
    run_once();
    CHECK_EQ(one.closed, 0);
    end_counted();
}

/* Programs that come and go: each connects, sends a number with a descriptor, gets it back, and leaves. */

enum { CONNECTIONS = 10000 };

static unsigned served, left;

static void
serve(void *context, struct dx_channel *channel, struct dx_message *message)
{
    (void)context;
    CHECK_EQ(message->fd_count, 1);
    CHECK_EQ(dx_channel_send(channel, message->body, message->fds, 1), 0);
    served++;
}

static void
leave(void *context, struct dx_channel *channel, int reason)
{
    (void)context;
    CHECK_EQ(reason, 0);
    dx_channel_destroy(channel);
    if (++left == CONNECTIONS)
        dx_loop_quit(loop);
}

static const struct dx_channel_callbacks service = {.message = serve, .closed = leave};

static void
accept_one(void *context, int fd, uint32_t epoll_events)
{
    (void)context, (void)epoll_events;
    const int socket = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    CHECK(socket >= 0);
    CHECK(dx_channel_create(loop, socket, &service, NULL));
}

static void
connect_many_times(const struct sockaddr_un *address)
{
    const int file = create_numbered(4711);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        const int socket_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        CHECK(socket_fd >= 0);
        CHECK_EQ(connect(socket_fd, (const struct sockaddr *)address, sizeof *address), 0);
        OSDictionary *const body = create_body(i);
        CHECK_EQ(dx_wire_send(socket_fd, body, &file, 1), 0);
        OSObjectRelease(body);
        struct dx_message message;
        CHECK_EQ(dx_wire_receive(socket_fd, &message), 1);
        CHECK_EQ(dx_wire_get_number(message.body, "n", UINT64_MAX), i);
        CHECK_EQ(message.fd_count, 1);
        CHECK_EQ(number_of(message.fds[0]), 4711);
        dx_message_finish(&message);
        close(socket_fd);
    }
    close(file);
}

static void
ten_thousand_connections_leave_nothing_open(void)
{
    begin_counted();
    char folder[] = "/tmp/dextral-loop-XXXXXX";
    CHECK(mkdtemp(folder));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", folder);
    const int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQ(listen(listener, 16), 0);
    struct dx_watch *const watch = dx_loop_watch(loop, listener, EPOLLIN, accept_one, NULL);
    CHECK(watch);

    served = left = 0;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, run_loop, NULL), 0);
    connect_many_times(&address);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(served, CONNECTIONS);
    CHECK_EQ(left, CONNECTIONS);
    dx_watch_remove(watch);
    close(listener);
    CHECK_EQ(unlink(address.sun_path), 0);
    CHECK_EQ(rmdir(folder), 0);
    end_counted();
}

int
main(void)
{
    RUN(posts_of_many_threads_run_in_order_on_the_loops_thread);
    RUN(a_post_may_post);
    RUN(a_loop_that_was_told_to_quit_does_not_start_and_then_runs_again);
    RUN(a_signal_handler_ends_a_loop_that_sleeps);
    RUN(timers_come_in_the_order_of_their_times_and_not_early);
    RUN(a_time_beyond_all_times_does_not_come);
    RUN(a_timer_may_set_and_destroy_itself);
    RUN(a_timer_may_take_away_others_that_are_due);
    RUN(an_idle_loop_sleeps);
    RUN(what_a_watch_removes_is_not_called);
    RUN(an_event_of_a_closed_descriptor_does_not_reach_the_next_one_of_its_number);
    RUN(what_cannot_be_watched_is_refused);
    RUN(messages_go_both_ways_in_order);
    RUN(what_waits_arrives_in_order_with_its_descriptors);
    RUN(a_peer_that_stops_reading_is_left);
    RUN(descriptors_that_wait_are_bounded_too);
    RUN(what_was_sent_before_the_end_is_told_before_it);
    RUN(a_peer_that_only_stopped_to_listen_is_left_as_well);
    RUN(what_waits_for_a_peer_that_goes_is_given_up);
    RUN(nonsense_ends_a_channel);
    RUN(a_channel_that_is_not_read_costs_nothing_and_goes_on);
    RUN(a_channel_may_be_destroyed_from_its_own_and_from_anothers_callback);
    RUN(a_channel_may_be_destroyed_while_its_end_is_on_the_way);
    RUN(ten_thousand_connections_leave_nothing_open);
    return 0;
}
