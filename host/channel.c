// SPDX-License-Identifier: MIT
// Channels: connections of a loop that never block.

#include "host/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* What a waiting descriptor counts for in the bound: 256 of them are as much as it takes. */
#define QUEUED_FD_BYTES (16u * 1024u)

struct queued {
    struct queued *next;
    OSData *body; // serialised
    uint32_t fd_count;
    int fds[]; // duplicates
};

struct dx_channel {
    int socket;
    bool reading;
    bool over;      // nothing is sent any more: `closed` was called, or comes with the timer
    bool calling;   // a callback runs
    bool destroyed; // by that callback: freed after it
    int reason;     // for `closed`, while it comes with the timer
    struct dx_watch *watch; // NULL once over
    struct dx_loop_timer *end; // calls `closed` where that must not happen at once
    struct queued *first_queued;
    struct queued **last_queued; // where the next one is linked
    size_t queued_bytes;
    struct dx_channel_callbacks callbacks;
    void *context;
};

static size_t
bytes_of(const struct queued *queued)
{
    return sizeof *queued + OSDataGetLength(queued->body) + (size_t)queued->fd_count * QUEUED_FD_BYTES;
}

static void
free_queued(struct queued *queued)
{
    for (uint32_t i = 0; i < queued->fd_count; i++)
        close(queued->fds[i]);
    OSObjectRelease(queued->body);
    free(queued);
}

/* A message that waits; NULL with errno. */
static struct queued *
create_queued(OSData *body, const int *fds, uint32_t fd_count)
{
    struct queued *const queued = malloc(sizeof *queued + fd_count * sizeof queued->fds[0]);
    if (!queued)
        return NULL;
    *queued = (struct queued){.body = OSObjectRetain(body)};
    while (queued->fd_count < fd_count) {
        const int own = fcntl(fds[queued->fd_count], F_DUPFD_CLOEXEC, 3);
        if (own < 0) {
            const int error = errno;
            free_queued(queued);
            errno = error;
            return NULL;
        }
        queued->fds[queued->fd_count++] = own;
    }
    return queued;
}

static void
append_queued(struct dx_channel *channel, struct queued *queued)
{
    *channel->last_queued = queued;
    channel->last_queued = &queued->next;
    channel->queued_bytes += bytes_of(queued);
}

static void
drop_first_queued(struct dx_channel *channel)
{
    struct queued *const queued = channel->first_queued;
    channel->first_queued = queued->next;
    if (!channel->first_queued)
        channel->last_queued = &channel->first_queued;
    channel->queued_bytes -= bytes_of(queued);
    free_queued(queued);
}

static void
stop_sending(struct dx_channel *channel)
{
    channel->over = true;
    dx_watch_remove(channel->watch);
    channel->watch = NULL;
    while (channel->first_queued)
        drop_first_queued(channel);
}

/* Waits for what is wanted: to read, and to write only while something is queued. */
static void
update_events(struct dx_channel *channel)
{
    if (channel->watch)
        dx_watch_set_events(channel->watch,
                            (channel->reading ? EPOLLIN : 0u) | (channel->first_queued ? EPOLLOUT : 0u));
}

/* After a callback: false when it destroyed the channel, which is gone now. */
static bool
survives(struct dx_channel *channel)
{
    channel->calling = false;
    if (!channel->destroyed)
        return true;
    free(channel);
    return false;
}

/* The end, at once: nothing may touch the channel after this. */
static void
tell_closed(struct dx_channel *channel, int reason)
{
    stop_sending(channel);
    channel->calling = true;
    channel->callbacks.closed(channel->context, channel, reason);
    (void)survives(channel);
}

/* The end, soon: from within dx_channel_send(). */
static void
fail(struct dx_channel *channel, int reason)
{
    stop_sending(channel);
    channel->reason = reason;
    dx_loop_timer_set(channel->end, 0);
}

/* Receives and tells one message: true when the channel is still there to go on. */
static bool
receive_one(struct dx_channel *channel)
{
    struct dx_message message;
    const int result = dx_wire_receive(channel->socket, &message);
    if (result == -EAGAIN && !channel->over)
        return true;
    if (result != 1) {
        tell_closed(channel, result == -EAGAIN ? channel->reason : result);
        return false;
    }
    channel->calling = true;
    channel->callbacks.message(channel->context, channel, &message);
    dx_message_finish(&message);
    return survives(channel);
}

/* Where the other side is gone, what it had sent before is told first, a message in each round of the loop. */
static void
end_channel(void *context)
{
    struct dx_channel *const channel = context;
    if (channel->reason != -EPIPE || !channel->reading)
        tell_closed(channel, channel->reason);
    else if (receive_one(channel))
        dx_loop_timer_set(channel->end, 0);
}

static void
send_queued(struct dx_channel *channel)
{
    while (channel->first_queued) {
        const struct queued *const queued = channel->first_queued;
        const int result = dx_wire_send_serialized(channel->socket, queued->body, queued->fds, queued->fd_count);
        if (result == -EAGAIN)
            return;
        if (result < 0) {
            fail(channel, result == -ECONNRESET ? -EPIPE : result);
            return;
        }
        drop_first_queued(channel);
    }
    update_events(channel);
}

static void
look_at_socket(void *context, int fd, uint32_t epoll_events)
{
    struct dx_channel *const channel = context;
    (void)fd;
    if (epoll_events & EPOLLOUT)
        send_queued(channel);
    if (channel->over)
        return;
    if (channel->reading && (epoll_events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        (void)receive_one(channel);
    else if (epoll_events & (EPOLLHUP | EPOLLERR))
        tell_closed(channel, 0); // these are told whatever one waits for: left alone, the loop would never sleep
}

struct dx_channel *
dx_channel_create(struct dx_loop *loop, int socket, const struct dx_channel_callbacks *callbacks, void *context)
{
    struct dx_channel *const channel = calloc(1, sizeof *channel);
    if (!channel) {
        close(socket);
        return NULL;
    }
    channel->socket = socket;
    channel->reading = true;
    channel->last_queued = &channel->first_queued;
    channel->callbacks = *callbacks;
    channel->context = context;
    const int flags = fcntl(socket, F_GETFL);
    if (flags >= 0 && fcntl(socket, F_SETFL, flags | O_NONBLOCK) == 0)
        channel->end = dx_loop_timer_create(loop, end_channel, channel);
    if (channel->end)
        channel->watch = dx_loop_watch(loop, socket, EPOLLIN, look_at_socket, channel);
    if (!channel->watch) {
        dx_channel_destroy(channel);
        return NULL;
    }
    return channel;
}

void
dx_channel_destroy(struct dx_channel *channel)
{
    if (!channel || channel->destroyed)
        return;
    stop_sending(channel);
    dx_loop_timer_destroy(channel->end);
    close(channel->socket);
    if (channel->calling)
        channel->destroyed = true;
    else
        free(channel);
}

static int
queue(struct dx_channel *channel, OSData *body, const int *fds, uint32_t fd_count)
{
    struct queued *const queued = create_queued(body, fds, fd_count);
    if (!queued)
        return -errno;
    if (bytes_of(queued) > DX_CHANNEL_MAX_QUEUED_BYTES - channel->queued_bytes) {
        free_queued(queued);
        fail(channel, -ENOBUFS);
        return -ENOBUFS;
    }
    append_queued(channel, queued);
    update_events(channel);
    return 0;
}

static int
send_or_queue(struct dx_channel *channel, OSData *body, const int *fds, uint32_t fd_count)
{
    if (!dx_wire_fits(body, fd_count))
        return -EMSGSIZE;
    if (channel->first_queued)
        return queue(channel, body, fds, fd_count);
    const int result = dx_wire_send_serialized(channel->socket, body, fds, fd_count);
    switch (result) {
    case -EAGAIN:
        return queue(channel, body, fds, fd_count);
    case -EPIPE:
    case -ECONNRESET:
        fail(channel, -EPIPE);
        return -EPIPE;
    default: // what failed was this message, not the connection
        return result;
    }
}

int
dx_channel_send(struct dx_channel *channel, const OSDictionary *body, const int *fds, uint32_t fd_count)
{
    if (channel->over)
        return -EPIPE;
    OSData *const serialized = dx_wire_serialize(body);
    if (!serialized)
        return -ENOMEM;
    const int result = send_or_queue(channel, serialized, fds, fd_count);
    OSObjectRelease(serialized);
    return result;
}

void
dx_channel_set_reading(struct dx_channel *channel, bool reading)
{
    channel->reading = reading;
    update_events(channel);
}

bool
dx_channel_is_behind(const struct dx_channel *channel)
{
    return channel->first_queued != NULL;
}

int
dx_channel_socket(const struct dx_channel *channel)
{
    return channel->socket;
}
