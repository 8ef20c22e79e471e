// SPDX-License-Identifier: MIT
// Connections of programs.

#ifndef DX_HOST_SUPERVISOR_PROGRAM_H
#define DX_HOST_SUPERVISOR_PROGRAM_H

#include "host/supervisor/supervisor.h"

struct dx_program {
    struct dx_program *next;
    struct dx_supervisor *supervisor;
    struct dx_channel *channel;
    uint64_t number; // never used again
    pid_t pid;
    uid_t uid;
    char *name; // as it calls itself; NULL before its hello
    bool wants_events;
    kern_return_t refusal; // what its hello is answered with
    dx_error refusal_error;
    struct dx_loop_timer *hello_timer; // it has to say hello in time
};

/* To whom an answer goes: nowhere, when that program is gone. */
struct dx_ticket {
    uint64_t program; // 0: nobody waits
    uint64_t id;
};

/* A request at hand; all borrowed for the call. */
struct dx_request {
    struct dx_program *program;
    struct dx_ticket ticket;
    const OSDictionary *body;
    struct dx_message *message; // its descriptors may be taken
};

/** Takes over a connection that was accepted. */
void dx_program_connect(struct dx_supervisor *supervisor, int socket);

/** Closes the connection, and the program's sessions and user clients.  Not from within dx_program_tell(). */
void dx_program_destroy(struct dx_program *program);

/** NULL where it is gone. */
struct dx_program *dx_program_find(struct dx_supervisor *supervisor, uint64_t number);

/**
 * Answers a request.
 *
 * @param sentence  why it failed; NULL: the status in words.
 * @param body      more keys, +1 taken; NULL: none, also where there was no memory for them, as the status says.
 * @param fds       borrowed.
 */
void dx_answer(struct dx_supervisor *supervisor, struct dx_ticket ticket, kern_return_t status,
               const char *sentence, OSDictionary *body, const int *fds, uint32_t fd_count);

/** Sends an event; body borrowed. */
void dx_program_tell(struct dx_program *program, const OSDictionary *body, const int *fds, uint32_t fd_count);

/** Sends an event to all that asked for events; body borrowed. */
void dx_tell_all(struct dx_supervisor *supervisor, const OSDictionary *body);

/** An event with its name; +1, NULL without memory. */
OSDictionary *dx_event_create(const char *name);

/* As much of a list as goes into an answer; all-zero but for an array is none of it. */
struct dx_list_part {
    OSArray *items;
    size_t bytes;
    bool is_full; // what was to be added last is the first one of the next part
};

/** Adds an item, +1 taken, NULL: no memory; in request.c.  false without memory. */
bool dx_list_part_add(struct dx_list_part *part, OSDictionary *item);

/** Does what a request asks for; in request.c. */
void dx_request_handle(struct dx_supervisor *supervisor, const struct dx_request *request, const char *operation);

#endif /* DX_HOST_SUPERVISOR_PROGRAM_H */
