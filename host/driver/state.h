// SPDX-License-Identifier: MIT
// The inside of a driver process: who owns what, and what its parts ask of each other.

#ifndef DX_HOST_DRIVER_STATE_H
#define DX_HOST_DRIVER_STATE_H

#include "audio/lane.h"
#include "audio/member.h"
#include "host/driver/process.h"
#include "host/loop.h"

#include <dextral/IODispatchQueue.h>
#include <dextral/IOUserAudioDriver.h>
#include <dextral/bundle.h>

/*
 * The control thread is the main one: it sleeps in its loop, owns everything below that says nothing else, and
 * never calls what may wait for the driver.  That is done in jobs, on queues:
 *
 *     the process's work queue   loading, and stopping the drivers
 *     a device's queue           everything about its sessions, settings: one after the other, as they were asked
 * for the look queue             descriptions and statistics, which ask no driver's code, but wait for locks
 *
 * So a driver that hangs keeps nobody waiting but those who want something of the same device, and the process can
 * always answer, and end.  Other threads reach the control thread by dx_loop_post() alone.
 */

#define DX_PROCESS_MAX_SESSIONS 4096u
#define DX_PROCESS_MAX_PROVIDERS 64u

struct dx_driver_process;
struct dx_process_memory;
struct dx_process_watchdog;
struct dx_process_realtime;
struct dx_process_user_client;

/* What a driver of hardware is started for. */
struct dx_process_provider {
    char *personality; // its name
    IOService *service;
};

struct dx_process_device {
    struct dx_process_device *next;
    dx_device *device; // retained
    IODispatchQueue *queue;
    bool has_driver;
    bool is_told;          // this supervisor knows of it
    bool is_changed;       // its description, since it was told
    OSArray *changes;      // events that follow the next description, the first of them ...
    uint64_t first_change; // ... with this number; or NULL
    uint32_t jobs;
    uint32_t sessions;
};

struct dx_process_session {
    struct dx_process_session *next;
    struct dx_process_device *device;
    uint64_t number;
    bool has_joined;
    bool has_left; // not in the list any more: the last job frees it
    uint32_t member_index;
    uint32_t jobs;

    /* On the device's queue. */
    struct dx_lane lane;
    struct dx_member *member;
    bool is_running;

    /* Written by the IO thread while there is a member. */
    struct dx_histogram ahead;
};

enum dx_process_state {
    DX_PROCESS_EMPTY, // not yet told what to load
    DX_PROCESS_LOADING,
    DX_PROCESS_LOADED,
    DX_PROCESS_QUITTING,
};

struct dx_driver_process {
    const struct dx_driver_process_config *config;
    enum dx_process_state state;
    int exit_status;
    struct dx_loop *loop;
    struct dx_loop_timer *quit_timer;
    int signal_fd;
    struct dx_watch *signal_watch;

    /* The supervisor. */
    struct dx_channel *channel; // NULL: lost
    uint32_t connection;        // number of the channel: answers to another one's requests are dropped
    bool is_lonely;             // it is lost, and none has come in its place
    bool has_left;              // it said that it ends
    uint64_t hello_id;
    uint64_t last_request;
    char *token;
    char *socket_path;
    struct dx_loop_timer *connect_timer;
    struct dx_loop_timer *lonely_timer;
    uint64_t pause_ns;

    /* Set by `load`, before any other thread is there; then only read. */
    char *path;
    char *personality;
    OSDictionary *properties;
    OSDictionary *saved_state;
    uint32_t incarnation;
    struct dx_process_memory *memory;
    struct dx_process_provider *providers; // hardware: a driver for each; none: every personality that is wanted
    size_t provider_count;
    uint32_t sandbox; // bits of enum dx_sandbox_part that hold
    bool has_network;

    /* On the work queue. */
    IODispatchQueue *work;
    dx_bundle *bundle;
    IOUserAudioDriver **drivers;
    size_t driver_count;
    dx_host *host;

    struct dx_process_device *devices;
    struct dx_process_session *sessions;
    uint32_t session_count;
    struct dx_process_user_client *user_clients;
    uint64_t last_user_client; // number
    uint32_t jobs;             // under way: all of them are over before the process goes
    bool is_unloading;         // they were

    /* Descriptions and the saved state, told together. */
    IODispatchQueue *look;
    struct dx_loop_timer *tell_timer;
    bool is_telling; // until the pause after it is over
    bool is_state_changed;
    OSDictionary *told_state;

    struct dx_process_watchdog *watchdog;
    struct dx_process_realtime *realtime;
};

/* ---- process.c ---- */

/** One line for people.  Thread: any. */
void dx_process_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Calls a function on the control thread, some time; waits for memory where there is none.  Thread: any. */
void dx_process_post(struct dx_driver_process *process, void (*function)(void *context), void *context);

/** Sends an event or a request.  @param body  taken; NULL: no memory.  @return false: it is not on its way, which
 * is said. */
bool dx_process_send(struct dx_driver_process *process, OSDictionary *body, const int *fds, uint32_t fd_count);

/** A body with its event's name; +1, NULL without memory. */
OSDictionary *dx_process_event(const char *event);

/**
 * Answers a request of a connection, unless that is gone.
 *
 * @param sentence  "": the status's own.
 * @param answer    taken; NULL: nothing but the status.
 * @param fd        borrowed; -1: none.
 */
void dx_process_answer(struct dx_driver_process *process, uint32_t connection, uint64_t id, kern_return_t status,
                       const char *sentence, OSDictionary *answer, int fd);

/** Ends: sessions leave, drivers are stopped; once. */
void dx_process_quit(struct dx_driver_process *process, int exit_status);
/** Goes on with that when no job is under way any more. */
void dx_process_check_quit(struct dx_driver_process *process);

/* ---- job.c: what may wait, on a queue ---- */

struct dx_process_job {
    struct dx_driver_process *process;
    struct dx_process_device *device;         // or NULL
    struct dx_process_session *session;       // or NULL
    bool is_request;                          // it is to be answered: ...
    uint32_t connection;                      // ... by the connection that it came by, ...
    uint64_t id;                              // ... under this number
    OSDictionary *arguments;                  // retained; or NULL
    void *context;                            // of `run` and `done`
    int fd;                                   // -1: none; closed with the job
    void (*run)(struct dx_process_job *job);  // on the queue
    void (*done)(struct dx_process_job *job); // then, on the control thread, before the answer; may be NULL

    /* The answer. */
    kern_return_t status;
    dx_error error;       // "": the status's own sentence
    OSDictionary *answer; // +1, or NULL
    int answer_fd;        // -1: none
};

/** A job that is not about a request; NULL without memory. */
struct dx_process_job *dx_process_job_create(struct dx_driver_process *process,
                                             void (*run)(struct dx_process_job *job),
                                             void (*done)(struct dx_process_job *job));

/** The job of a request; NULL without memory: that is its answer then. */
struct dx_process_job *dx_process_job_take(struct dx_driver_process *process, const struct dx_message *message);

/**
 * Sets off.
 *
 * @param job  taken.
 * @return false without memory: it is answered so, `done` is not called, and the job is gone.
 */
bool dx_process_job_start(struct dx_process_job *job, IODispatchQueue *queue);

/** Answers at once, whatever its status is, and frees the job. */
void dx_process_job_end(struct dx_process_job *job);

/** Sets what went wrong with it, in one sentence; "" for the status's own.  Returns the job. */
struct dx_process_job *dx_process_job_fail(struct dx_process_job *job, kern_return_t status, const char *format,
                                           ...) __attribute__((format(printf, 3, 4)));

/** Releases a queue that nothing is done on any more, and waits until its thread has ended.  NULL is fine. */
void dx_process_release_queue(IODispatchQueue *queue);

/* Handlers of requests take the job, and what they need of the message. */
typedef void (*dx_process_handler)(struct dx_process_job *job, struct dx_message *message);

/* ---- load.c ---- */

void dx_process_load(struct dx_process_job *job, struct dx_message *message);
/** Stops the drivers and unloads, on the work queue, then ends the loop. */
void dx_process_unload(struct dx_driver_process *process);

/* ---- provider.c: hardware that the supervisor hands in ---- */

/** Takes what `load` brings of it; what is no hardware fails the job.  On the control thread, before any other. */
bool dx_process_providers_take(struct dx_process_job *job, const struct dx_message *message);
void dx_process_providers_finish(struct dx_driver_process *process);

/* ---- device.c ---- */

/** The host's listener: on its queue. */
void dx_process_listen(void *context, const dx_host_event *event);
/** The device of a request; NULL: it has failed. */
struct dx_process_device *dx_process_find_device(struct dx_process_job *job);
/** Frees a device that is of no use any more: no driver, no session, no job. */
void dx_process_check_device(struct dx_driver_process *process, struct dx_process_device *device);
/** Tells a supervisor that is new of all that is there. */
void dx_process_tell_all(struct dx_driver_process *process);
/** The pause between two tellings is over: of the timer. */
void dx_process_pause_ended(void *context);

/* ---- session.c ---- */

void dx_process_join(struct dx_process_job *job, struct dx_message *message);
void dx_process_start(struct dx_process_job *job, struct dx_message *message);
void dx_process_stop(struct dx_process_job *job, struct dx_message *message);
void dx_process_tune(struct dx_process_job *job, struct dx_message *message);
void dx_process_leave(struct dx_process_job *job, struct dx_message *message);
/** A device may have other memory now: sessions that were cut off leave, and the supervisor joins them again. */
void dx_process_check_sessions(struct dx_driver_process *process, struct dx_process_device *device);
/** All leave. */
void dx_process_leave_all(struct dx_driver_process *process);
/** Frees a session that has left, or has not joined, and that no job is about. */
void dx_process_check_session(struct dx_driver_process *process, struct dx_process_session *session);

/* ---- setting.c ---- */

void dx_process_set(struct dx_process_job *job, struct dx_message *message);
void dx_process_get_property(struct dx_process_job *job, struct dx_message *message);
void dx_process_describe(struct dx_process_job *job, struct dx_message *message);
void dx_process_statistics(struct dx_process_job *job, struct dx_message *message);

/* ---- memory.c: what was before this process, and is to be after it ---- */

/** What `load` says of devices that were there before; NULL without memory. */
struct dx_process_memory *dx_process_memory_create(struct dx_process_job *job, const struct dx_message *message);
void dx_process_memory_destroy(struct dx_process_memory *memory); // NULL is fine
/** As in dx_host_memory. */
void dx_process_memory_find(void *context, const char *uid, struct dx_timeline_page *ret_before,
                            void **ret_recorder);
void dx_process_record(struct dx_process_job *job, struct dx_message *message);

/* ---- follow.c: devices of other processes whose time is kept here ---- */

void dx_process_follow_begin(struct dx_driver_process *process);
void dx_process_follow_end(void);
/** `followed` came. */
void dx_process_take_followed(const struct dx_message *message);

/* ---- realtime.c: priorities by way of the supervisor ---- */

/** From here on threads that ask for a priority, and do not get it, ask the supervisor. */
bool dx_process_realtime_create(struct dx_driver_process *process);
void dx_process_realtime_destroy(struct dx_driver_process *process);
/** An answer came; one to no question of ours is dropped. */
void dx_process_realtime_answer(struct dx_driver_process *process, const OSDictionary *body);
/** The connection is gone: nobody will answer. */
void dx_process_realtime_give_up(struct dx_driver_process *process);

/* ---- watchdog.c: IO threads that do not come out of the handler ---- */

bool dx_process_watchdog_create(struct dx_driver_process *process);
void dx_process_watchdog_destroy(struct dx_driver_process *process);
/** A device has a driver, or no longer.  Thread: the host's queue. */
void dx_process_watchdog_add(struct dx_driver_process *process, dx_device *device);
void dx_process_watchdog_remove(struct dx_driver_process *process, dx_device *device);
/** IO may run from now on, or no longer; counted.  Thread: any. */
void dx_process_watchdog_wake(struct dx_driver_process *process);
void dx_process_watchdog_rest(struct dx_driver_process *process);

#endif /* DX_HOST_DRIVER_STATE_H */
