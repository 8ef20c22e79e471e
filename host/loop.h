// SPDX-License-Identifier: MIT
// One thread that waits for sockets, children and times: the supervisor's, and a driver process's control thread.

#ifndef DX_HOST_LOOP_H
#define DX_HOST_LOOP_H

#include "host/wire.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Everything here belongs to the loop's thread, but dx_loop_post() and dx_loop_quit().  It sleeps in epoll_wait() and
 * nowhere else, without a time-out when no timer is set: an idle loop makes no context switch.
 */
struct dx_loop;

int dx_loop_create(struct dx_loop **ret_loop); // 0, -ENOMEM, -EMFILE
/** What is still watched or posted is forgotten, not closed or called; timers and channels are destroyed before.
 *  NULL is fine. */
void dx_loop_destroy(struct dx_loop *loop);
/** Runs until dx_loop_quit(), which may have been called before; then it may run again. */
void dx_loop_run(struct dx_loop *loop);
/** Thread: any, and signal handlers. */
void dx_loop_quit(struct dx_loop *loop);
/** Calls a function on the loop's thread, soon.  Thread: any.  false without memory. */
bool dx_loop_post(struct dx_loop *loop, void (*function)(void *context), void *context);

/* A descriptor that is looked at. */
struct dx_watch;
typedef void (*dx_watch_function)(void *context, int fd, uint32_t epoll_events);
/** @param fd  borrowed; must stay open until the watch is gone.  NULL without memory, or where it cannot be watched:
 *             it is watched already, or is a regular file. */
struct dx_watch *dx_loop_watch(struct dx_loop *loop, int fd, uint32_t epoll_events, dx_watch_function function,
                               void *context);
/** Whatever is asked for: EPOLLHUP and EPOLLERR are told, again and again until the watch is gone. */
void dx_watch_set_events(struct dx_watch *watch, uint32_t epoll_events);
/** May be called from any callback of the loop, its own too: it is not called again.  NULL is fine. */
void dx_watch_remove(struct dx_watch *watch);

/* A time at which something is to be done, once. */
struct dx_loop_timer;
struct dx_loop_timer *dx_loop_timer_create(struct dx_loop *loop, void (*function)(void *context), void *context);
/** @param in_ns  from now; a time set before counts no more.  It is called up to a millisecond later, never earlier. */
void dx_loop_timer_set(struct dx_loop_timer *timer, uint64_t in_ns);
void dx_loop_timer_clear(struct dx_loop_timer *timer);
void dx_loop_timer_destroy(struct dx_loop_timer *timer); // NULL is fine; from any callback of the loop

/* A connection that never blocks: what does not fit into the socket waits here, within a bound.  A descriptor that
 * waits counts for 16 KiB. */
struct dx_channel;
#define DX_CHANNEL_MAX_QUEUED_BYTES (4u * 1024u * 1024u)

struct dx_channel_callbacks {
    /** A message came; finished after the call unless the callee took things out of it. */
    void (*message)(void *context, struct dx_channel *channel, struct dx_message *message);
    /** The end, once, never from within dx_channel_send(), and after all that the other side had sent: 0 (the other
     *  side closed), -EBADMSG (nonsense came), -ENOBUFS (it does not read), -EPIPE...  Destroy the channel here, or
     *  later. */
    void (*closed)(void *context, struct dx_channel *channel, int reason);
};

/** @param socket  taken, made non-blocking.  NULL without memory: the socket is closed then too. */
struct dx_channel *dx_channel_create(struct dx_loop *loop, int socket, const struct dx_channel_callbacks *callbacks,
                                     void *context);
/** Closes the socket; no callback follows.  NULL is fine; from any callback, its own too. */
void dx_channel_destroy(struct dx_channel *channel);
/**
 * Sends, now or when there is room.
 *
 * @param fds  borrowed: duplicated when they have to wait.
 * @return 0; -ENOBUFS (over the bound: it will be closed), -EPIPE (it is closed, or will be); -EMSGSIZE, -ENOMEM,
 *         -EMFILE, -ETOOMANYREFS... (this message was not sent).
 */
int dx_channel_send(struct dx_channel *channel, const OSDictionary *body, const int *fds, uint32_t fd_count);
/** Stops reading, so that a flood costs nothing, or goes on.  While it is stopped the other side's end is told at once,
 *  and what was not read is lost. */
void dx_channel_set_reading(struct dx_channel *channel, bool reading);
/** Whether something waits to be sent: the other side does not read as fast as it is told. */
bool dx_channel_is_behind(const struct dx_channel *channel);
int dx_channel_socket(const struct dx_channel *channel); // borrowed

#endif /* DX_HOST_LOOP_H */
