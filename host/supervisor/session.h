// SPDX-License-Identifier: MIT
// Clients of devices: what a program opened, kept over drivers and over its own connections.

#ifndef DX_HOST_SUPERVISOR_SESSION_H
#define DX_HOST_SUPERVISOR_SESSION_H

#include "host/supervisor/program.h"

#define DX_START_WAIT_NS (5 * DX_NS_PER_S) // of a start, for a driver that does not run yet

/* How a session stands with the driver of the day. */
enum dx_join_state {
    DX_JOIN_NONE,    ///< the driver knows nothing of it, or there is none
    DX_JOIN_ASKED,   ///< it was told, and has not answered
    DX_JOIN_DONE,    ///< it plays and records
    DX_JOIN_REFUSED, ///< it does not take it: until the next driver
};

struct dx_session {
    struct dx_session *next;
    struct dx_supervisor *supervisor;
    struct dx_listing *listing;
    uint64_t number;
    uint64_t program; // 0: unclaimed
    pid_t pid;
    char *name;      // of the program; NULL where a driver told of it and no program has claimed it
    uint32_t output; // index of a stream, or DX_NO_STREAM
    uint32_t input;
    uint32_t io_frames;
    bool is_running;
    int lane_fd; // read-only; -1: none
    struct dx_ring *ring; // of the driver; or NULL
    double gain;
    bool is_muted;
    enum dx_join_state join;
    uint64_t join_count;               // tells an answer of this driver from one of an earlier
    struct dx_ticket open_ticket;      // waits for the driver's answer to join
    struct dx_loop_timer *open_timer;  // how long; of an unclaimed one: how long it stays
    struct dx_ticket start_ticket;     // waits for the driver's answer to start
    bool is_start_asked;               // the driver has been asked
    struct dx_loop_timer *start_timer; // how long it waits for a driver
};

/* session.c */

/** NULL where there is none. */
struct dx_session *dx_session_find(const struct dx_supervisor *supervisor, uint64_t number);

/** Ends a session, the driver is told.  Who waits for something of it is answered: it was aborted. */
void dx_session_destroy(struct dx_session *session);

/** The sessions of a program that is gone leave. */
void dx_sessions_leave_program(struct dx_supervisor *supervisor, uint64_t program);

/** Answers who waits for a start, because no driver will come. */
void dx_session_fail_start(struct dx_session *session, kern_return_t status, const char *why);

/** The driver has gone: the next one is to be told. */
void dx_session_lose_driver(struct dx_session *session);

/** A driver that lost its supervisor tells of a session: it is known, or unclaimed now, for 3 s. */
void dx_session_recover(struct dx_listing *listing, uint64_t number);

void dx_request_open(struct dx_supervisor *supervisor, const struct dx_request *request);
void dx_request_start(struct dx_supervisor *supervisor, const struct dx_request *request);
void dx_request_stop(struct dx_supervisor *supervisor, const struct dx_request *request);
void dx_request_close(struct dx_supervisor *supervisor, const struct dx_request *request);

/* join.c */

/** Tells the driver of a session, and starts it if it runs. */
void dx_session_join(struct dx_session *session);

/** A driver has let go of a session that it had, because its device has other memory now. */
void dx_session_join_again(struct dx_unit *unit, uint64_t number);

/** Asks the driver to start a session that has joined, for the one who waits, or because it ran before. */
void dx_session_start(struct dx_session *session);

/** Answers an open with memory of our own: there is no driver. */
void dx_session_answer_alone(struct dx_session *session);

/** Tells the driver of a new volume. */
void dx_session_tune(struct dx_session *session);

#endif /* DX_HOST_SUPERVISOR_SESSION_H */
