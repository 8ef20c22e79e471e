// SPDX-License-Identifier: MIT
// What runs in one driver process.

#ifndef DX_HOST_SUPERVISOR_UNIT_H
#define DX_HOST_SUPERVISOR_UNIT_H

#include "host/supervisor/program.h"

enum dx_unit_state {
    DX_UNIT_IDLE,       ///< no process, and nobody wants one
    DX_UNIT_STARTING,   ///< the process has not told yet how its load ended
    DX_UNIT_RUNNING,    ///< loaded
    DX_UNIT_WAITING,    ///< to be started again, after a pause
    DX_UNIT_FAILED,     ///< given up, until somebody asks again
    DX_UNIT_UNAPPROVED, ///< the user has not said yes
    DX_UNIT_ENDING,     ///< told to quit, or killed
    DX_UNIT_LOST,       ///< runs from before this supervisor, and has not connected yet
};

#define DX_UNIT_STORM_ENDS 3u // so many unexpected ends within 10 s are followed by pauses
#define DX_UNIT_EARLY_ENDS 8u // so many of drivers that had hardly run are too many

struct dx_usb_target;

struct dx_unit {
    struct dx_unit *next;
    struct dx_supervisor *supervisor;
    uint64_t number;       // never used again
    char *key;             // names its files: "device-UID", "bundle-IDENTIFIER-PERSONALITY"
    char *identifier;      // of the bundle
    char *personality;     // NULL: all of the bundle's
    char *declared_uid;    // of a declared device, else NULL
    char *path;            // of the bundle that runs or ran last
    char *version;         // of it
    bool has_network;      // it was granted
    struct dx_usb_target *usb; // what hardware it is for; NULL: none
    OSDictionary *options; // +1: of a declared device, under which it runs; or NULL
    enum dx_unit_state state;
    dx_error why; // a sentence where the state needs one
    dx_error unlisted;       // why a device of it is not listed; "": all are
    uint32_t unlisted_count; // how often it told of one
    uint32_t restarts;
    uint32_t incarnation;
    bool is_wanted_again; // after the end that is under way
    bool is_learning;     // started to see which devices it has

    /* Its process. */
    pid_t pid;           // 0: none
    uint64_t start_time; // of it, as /proc tells it: tells it from another one of the same number
    int pid_fd;          // -1: none
    struct dx_watch *pid_watch;
    struct dx_channel *channel;         // NULL: not connected
    bool said_hello;
    char protocol[24];                  // of it: "1.0"
    OSArray *open_parts;                // names of the sandbox's parts that do not hold; or NULL
    uint64_t adopted_ns;                // when it connected again; 0: it has not
    uint64_t busy_until_ns;             // with what it has said so far
    struct dx_loop_timer *listen_timer; // then it is listened to again
    char token[DX_TOKEN_BYTES];
    struct dx_loop_timer *timer; // of the state: load, idle, pause, quit, reconnection
    uint64_t loaded_ns;          // when it was
    bool is_idle;                // the timer is set for its end

    /* Unexpected ends, the newest first. */
    uint64_t ends_ns[DX_UNIT_STORM_ENDS];
    uint64_t early_ends_ns[DX_UNIT_EARLY_ENDS];
    uint64_t pause_ns;

    struct dx_call *calls; // the newest first
    uint64_t last_call;

    struct dx_ring *rings;     // in the hands of programs: ring.c
    OSArray *follows;          // UIDs of devices that its devices follow; or NULL
    OSDictionary *saved_state; // +1, or NULL
    bool is_state_unkept;
    bool are_devices_unkept; // which ones it has
};

/* unit.c */

struct dx_unit *dx_unit_create(struct dx_supervisor *supervisor, const char *key, const char *identifier,
                               const char *personality, const char *declared_uid);
/** Ends the process if there is one, and forgets the unit and its devices. */
void dx_unit_destroy(struct dx_unit *unit);
/** Forgets it, and leaves its process alone. */
void dx_unit_release(struct dx_unit *unit);
struct dx_unit *dx_unit_find(const struct dx_supervisor *supervisor, const char *key);
struct dx_unit *dx_unit_find_number(const struct dx_supervisor *supervisor, uint64_t number);

/** "idle", "starting", ... */
const char *dx_unit_state_name(const struct dx_unit *unit);

/**
 * Somebody needs the driver: starts it where it does not run.  What was given up is tried again.
 *
 * @return whether there is one, or will be; where not, unit->why says why.
 */
bool dx_unit_want(struct dx_unit *unit);

/** Nobody may need it any more: it ends after a time. */
void dx_unit_check_idle(struct dx_unit *unit);

/** Tells it to quit; it is killed when it does not. */
void dx_unit_quit(struct dx_unit *unit);

/** Ends it, and starts it again at once where it is wanted. */
void dx_unit_restart(struct dx_unit *unit);

/** Gives up: a clear state, and answers to all who wait. */
void dx_unit_fail(struct dx_unit *unit, enum dx_unit_state state, const char *why);

/** Its load ended well. */
void dx_unit_loaded(struct dx_unit *unit);

/** Its process has ended.  @param how  a sentence's end: "was killed by SIGSEGV". */
void dx_unit_ended(struct dx_unit *unit, const char *how);

/** Ends the process at once: it misbehaved.  @param how  replaces what the process's end would be called. */
void dx_unit_kill(struct dx_unit *unit, const char *how);

/** How long it may be idle. */
uint64_t dx_unit_idle_ns(void);

/* spawn.c */

/** Starts the process; the error is for people. */
kern_return_t dx_unit_spawn(struct dx_unit *unit, dx_error *error);
/** SIGKILL. */
void dx_unit_send_kill(const struct dx_unit *unit);
/** Forgets a process that has ended. */
void dx_unit_forget_process(struct dx_unit *unit);
/** Looks for children that have ended. */
void dx_units_reap(struct dx_supervisor *supervisor);
/** Watches a process that is no child of ours.  false: it is not there any more. */
bool dx_unit_watch_process(struct dx_unit *unit, pid_t pid, uint64_t start_time);

/* registry.c: the runtime folder's file of driver processes */

void dx_registry_write(struct dx_supervisor *supervisor);
/** Finds those that an earlier supervisor has left. */
void dx_registry_read(struct dx_supervisor *supervisor);

/* driver_link.c */

/** Makes the channel of a unit.  @param socket  taken. */
bool dx_unit_connect(struct dx_unit *unit, int socket);

/** Its connection or process has ended: of what it had said last, and nobody has read, its saved state is kept. */
void dx_unit_hear_out(struct dx_unit *unit);

/** Called by unit->listen_timer: it was not listened to for a while, as it had said too much. */
void dx_unit_listen(void *unit);

/**
 * A driver process connects again.
 *
 * @param program  that it looked like; its socket is duplicated.
 */
kern_return_t dx_unit_adopt(const struct dx_program *program, const OSDictionary *hello, dx_error *error);

/** Answers a driver's request for a priority.  @param way  by what way it got it, in a word; NULL: it did not. */
void dx_unit_answer_realtime(struct dx_unit *unit, uint64_t request, kern_return_t status, const char *way,
                             const char *sentence);

/* realtime.c */

/**
 * Gives a thread of the driver's process a real-time priority, or has it given, and answers the request.
 *
 * @param request  its number.
 */
void dx_unit_grant_realtime(struct dx_unit *unit, uint64_t request, uint64_t thread, uint64_t priority);

/* follow.c */

/** The driver wants the pages of a device, or no longer. */
void dx_unit_follow(struct dx_unit *unit, const char *uid, bool is_wanted);
/** A device has a new page: those that follow it are told. */
void dx_listing_tell_followers(struct dx_listing *listing);

/* call.c */

/* What the answer to a call is for. */
struct dx_call_context {
    struct dx_ticket ticket;
    uint64_t listing; // which device it is about: it waits until the driver has that; 0: none
    uint64_t session;
    uint64_t number;
    uint64_t answer_ns; // how long the driver may take to answer; 0: 30 s
    OSObjectPtr object; // whoever is told of the end releases it
};

/**
 * Told once of how a call ended.
 *
 * @param sentence  why it failed; NULL where it did not.
 * @param answer    NULL where none came; its descriptors may be taken.
 */
typedef void (*dx_call_done)(struct dx_supervisor *supervisor, struct dx_unit *unit,
                             const struct dx_call_context *context, kern_return_t status, const char *sentence,
                             struct dx_message *answer);

/**
 * Asks the driver for something: now, or when it is loaded; where it does not run it is started.
 *
 * @param request  +1 taken; NULL: no memory.  The call's number is added.
 * @param fds      borrowed.
 * @param done     called later, or at once, when it cannot be asked.  May be NULL.
 */
void dx_unit_call(struct dx_unit *unit, OSDictionary *request, const int *fds, uint32_t fd_count,
                  dx_call_done done, const struct dx_call_context *context);

/** A request with its name; +1, NULL without memory. */
OSDictionary *dx_call_create(const char *operation);

/** Sends what waits for the driver to be loaded, or to have a device. */
void dx_unit_send_calls(struct dx_unit *unit);

/** An answer came.  @return whether it was waited for. */
bool dx_unit_take_answer(struct dx_unit *unit, struct dx_message *message);

/** Ends all calls, or those only that have been sent. */
void dx_unit_end_calls(struct dx_unit *unit, bool only_sent, kern_return_t status, const char *sentence);

#endif /* DX_HOST_SUPERVISOR_UNIT_H */
