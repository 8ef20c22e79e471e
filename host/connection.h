// SPDX-License-Identifier: MIT
// A program's connection to the supervisor: requests from any thread, events on its own, and connecting again.

#ifndef DX_HOST_CONNECTION_H
#define DX_HOST_CONNECTION_H

#include "host/wire.h"

#include <dextral/bundle.h>

#include <stdatomic.h>

/*
 * One thread receives.  It sleeps in poll() and nowhere else, without a time-out while it is connected; all
 * signals are blocked in it.  One lock guards the connection, and what its user keeps of it.
 */
struct dx_connection;

/* What its user does.  `on the thread`: the connection's own, or, until it is open, the one that opens it. */
struct dx_connection_hooks {
    /** After the hello, on the thread, without the lock: asks for what there is to know.  Else than success: give
     *  up. */
    kern_return_t (*greet)(void *context, dx_error *error);
    /** An event came.  On the thread, with the lock. */
    void (*event)(void *context, struct dx_message *message);
    /** It ended, after greet() was successful.  On the thread, with the lock. */
    void (*lost)(void *context);
    /** Whether to connect again without being asked to.  On the thread, with the lock. */
    bool (*is_needed)(void *context);
    /** Nothing more has come: to do what needs the lock to be free.  On the thread; requests are allowed. */
    void (*rest)(void *context);
};

struct dx_connection_config {
    const char *socket_path; // copied; NULL: where it is by default
    const char *name;        // of the program; copied
    uint64_t timeout_ns;     // of each request
    const struct dx_connection_hooks *hooks;
    void *context;
};

/**
 * Connects, says hello and calls greet().
 *
 * @return as dx_directory_open() says.
 */
kern_return_t dx_connection_open(const struct dx_connection_config *config, struct dx_connection **ret_connection,
                                 dx_error *error);

/** Ends the thread and closes; NULL is fine.  In a child after fork() it gives back what the child has of it. */
void dx_connection_close(struct dx_connection *connection);

/** 0 in a child after fork(), where nothing but dx_connection_close() is allowed.  Valid until the close. */
const _Atomic uint32_t *dx_connection_mark(const struct dx_connection *connection);

bool dx_connection_is_forked(const struct dx_connection *connection);

void dx_connection_lock(struct dx_connection *connection);
void dx_connection_unlock(struct dx_connection *connection);

/* What is asked. */
struct dx_request {
    const char *operation;
    OSDictionary *body; // borrowed, changed; NULL: there was no memory for it
    const int *fds;     // borrowed
    uint32_t fd_count;
    /** Called with the answer, in its order among events, before the request returns; never after a time-out.
     *  On the thread, with the lock.  May be NULL. */
    void (*answered)(void *context, kern_return_t status, struct dx_message *answer);
    void *context;
};

/**
 * Asks, and waits for the answer.  Where there is no connection, one attempt is made first.
 *
 * @param ret_answer  to be given back with dx_message_finish(), whatever is returned; may be NULL.
 * @param error       the supervisor's words, or why it could not be asked; may be NULL.
 * @return what it answered; kIOReturnNotReady (it is gone); kIOReturnTimeout; kIOReturnNotAttached (after fork());
 *         kIOReturnNoMemory; kIOReturnNoSpace (the request is too long).
 *
 * Thread: any, without the lock.
 */
kern_return_t dx_connection_request(struct dx_connection *connection, const struct dx_request *request,
                                    struct dx_message *ret_answer, dx_error *error);

#endif /* DX_HOST_CONNECTION_H */
