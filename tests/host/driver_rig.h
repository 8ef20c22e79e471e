// SPDX-License-Identifier: MIT
// A driver process and its supervisor, played by the test.

#ifndef DX_TESTS_HOST_DRIVER_RIG_H
#define DX_TESTS_HOST_DRIVER_RIG_H

#include "audio/lane.h"
#include "host/wire.h"

#include <sys/types.h>

#define RIG_MAX_KEPT 1024u

struct rig {
    pid_t pid;
    int socket;
    int listener;    // of the socket that it connects to again
    char folder[64]; // of its own
    char socket_path[96];
    char token[33];
    uint64_t last_id;
    uint32_t hellos;
    kern_return_t hello_status; // the next ones are answered so
    bool grants_realtime;
    uint32_t realtime_requests;
    uint32_t kept_count; // messages that nobody has waited for yet
    struct dx_message kept[RIG_MAX_KEPT];
    uint32_t found_at; // how many of them had come before the one that was waited for last
};

/** Starts a process; it has said hello and was answered when this returns. */
void rig_start(struct rig *rig);

/** `load`, filled in but for what is added. */
OSDictionary *rig_load_request(const struct rig *rig, const char *bundle, const char *personality);

/** Sends a request; the body is released.  @return its number. */
uint64_t rig_send(struct rig *rig, OSDictionary *body, const int *fds, uint32_t fd_count);

/** Waits for an answer, 10 s at most; what else comes is kept.  The answer is the caller's to finish. */
void rig_wait_answer(struct rig *rig, uint64_t id, struct dx_message *ret_answer);

/** Sends and waits: the status.  @param ret_answer  may be NULL. */
kern_return_t rig_ask(struct rig *rig, OSDictionary *body, const int *fds, uint32_t fd_count,
                      struct dx_message *ret_answer);

/** Waits for an event of that name, 10 s at most, kept ones first.  The caller's to finish. */
void rig_wait_event(struct rig *rig, const char *event, struct dx_message *ret_event);

/** Whether an event of that name came, within a time; it is dropped. */
bool rig_has_event(struct rig *rig, const char *event, int timeout_ms);

/** Loads, and waits until it is loaded and has told of a device, whose UID it returns, the caller's to free. */
char *rig_load(struct rig *rig, const char *bundle, const char *personality, OSDictionary *properties);

/** A request with its name, and a session or none (0). */
OSDictionary *rig_request(const char *operation, const char *uid, uint64_t session);

/** A join of a session that plays to and records from stream 0. */
OSDictionary *rig_join_request(const char *uid, uint64_t session);

/** Joins with a lane of the test's own, for stream 0 with so many channels of float, and starts. */
void rig_play(struct rig *rig, const char *uid, uint64_t session, uint32_t channels, struct dx_lane *ret_lane);

/** Waits until it ends, 15 s at most: as waitpid() tells.  Everything is freed. */
int rig_wait_end(struct rig *rig);

/** The same, but it is killed when it does not. */
int rig_wait_end_within(struct rig *rig, int timeout_ms);

/** How many events of a name have come, and were not waited for. */
uint32_t rig_count_kept(const struct rig *rig, const char *event);

/** Entries of a folder; 0 where it may not be read. */
uint32_t rig_count_files(const char *folder);

/** How often its threads have gone to sleep by themselves. */
uint64_t rig_count_switches(const struct rig *rig);

/** Tells it to quit, and checks that it ends in good order. */
void rig_quit(struct rig *rig);

/** The supervisor is gone. */
void rig_disconnect(struct rig *rig);
/** It connects again, with its token, and is greeted. */
void rig_reconnect(struct rig *rig);

#endif /* DX_TESTS_HOST_DRIVER_RIG_H */
