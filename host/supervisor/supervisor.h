// SPDX-License-Identifier: MIT
// The supervisor's parts, and who calls whom: everything runs on the loop's thread.

#ifndef DX_HOST_SUPERVISOR_SUPERVISOR_H
#define DX_HOST_SUPERVISOR_SUPERVISOR_H

#include "host/approval.h"
#include "host/catalogue.h"
#include "host/declared.h"
#include "host/loop.h"
#include "host/paths.h"

#include <stdint.h>
#include <sys/types.h>

/*
 *     program      a connection of a program (program.c); its requests (request*.c)
 *     session      a client of a device: of a program, or unclaimed (session.c, join.c)
 *     listing      a device in the directory (listing.c); it has sessions and a unit
 *     unit         what runs in one driver process, whether it runs now or not: a declared device, or a
 *                  personality of a bundle, of hardware one for each device (usb.c; unit.c: its life; spawn.c: its process; driver_link.c: what it says;
 *                  call.c: what it is asked)
 *
 * Whatever waits for an answer keeps numbers, not pointers: a program, a session or a unit may be gone by then.
 */
#define DX_MAX_PROGRAMS 1024u
#define DX_MAX_REFUSED 64u // connections that are told why they are refused, besides
#define DX_MAX_SESSIONS 4096u
#define DX_MAX_DEVICE_SESSIONS 1024u
#define DX_MAX_LISTINGS 8192u
#define DX_MAX_TEXT_BYTES 256u // of a name that a program or a driver tells, with its NUL
#define DX_TOKEN_BYTES 33u     // 32 hex digits and NUL

#define DX_NS_PER_MS UINT64_C(1000000)
#define DX_NS_PER_S UINT64_C(1000000000)

/* Keys of a description that only the supervisor writes; docs/design/machine.md has them all. */
#define DX_KEY_WHY "why"
#define DX_KEY_BUNDLE "bundle"
#define DX_KEY_VERSION "version"
#define DX_KEY_OPTIONS "options"
#define DX_KEY_RESTARTS "restarts"
#define DX_KEY_PID "pid"
#define DX_KEY_SESSIONS "sessions"
#define DX_KEY_HARDWARE "hardware"

struct dx_supervisor_config {
    const char *const *bundles; // --driver; NULL at the end
    const char *socket_path;    // --socket, or NULL
    int listen_fd;              // handed by a service manager; -1: none
    bool sandbox_off;           // --no-sandbox
    bool verbose;
};

struct dx_program;
struct dx_session;
struct dx_listing;
struct dx_unit;
struct dx_call;
struct dx_incident_log;
struct dx_user_client;
struct dx_ring;
struct dx_realtimekit_question;
struct dx_usb;
struct dx_usb_jobs;

struct dx_supervisor {
    struct dx_loop *loop;
    struct dx_supervisor_config config;
    char *runtime_folder;
    char *config_folder;
    char *state_folder;
    char *recordings_folder; // NULL: there is none
    char *socket_path;
    int lock_fd;
    int listen_fd;
    bool owns_socket; // it was made here, and is removed here
    struct dx_watch *listen_watch;
    struct dx_loop_timer *accept_timer; // after a time without descriptors
    int signal_fd;
    struct dx_watch *signal_watch;
    bool is_leaving; // it ends: nothing is started any more
    struct dx_loop_timer *end_timer;

    struct dx_program *programs;
    uint32_t program_count;
    uint32_t refused_count;
    uint64_t last_program; // number of the newest

    struct dx_session *sessions;
    uint32_t session_count;
    struct dx_listing *listings; // in the order of their coming
    uint32_t listing_count;
    struct dx_unit *units;
    uint32_t incarnation; // the last one that was given

    struct dx_catalogue catalogue;
    struct dx_approvals *approvals;
    struct dx_declarations *declarations;
    char *kinds_folder;

    char *default_uid[2];  // chosen by the user: input, output; or NULL
    char *last_default[2]; // without a choice: what it was before; or NULL
    char *told_default[2]; // as programs were told
    struct dx_incident_log *incidents;
    struct dx_user_client *user_clients;
    struct dx_usb *usb;           // NULL: nobody looks
    struct dx_usb_jobs *usb_jobs; // of it
    struct dx_realtimekit_question *questions; // that RealtimeKit has not answered

    struct dx_loop_timer *tell_timer; // descriptions that have changed are told together
    bool is_telling;                  // the timer is set
    struct dx_loop_timer *keep_timer; // what has changed is written together
    bool is_keeping;                  // the timer is set
    bool said_disk_full;
    uint32_t leftover_count; // devices that have gone
};

/* supervisor.c */

/** Opens everything and listens.  The error is for people. */
kern_return_t dx_supervisor_create(const struct dx_supervisor_config *config,
                                   struct dx_supervisor **ret_supervisor, dx_error *error);
/** Runs until a signal ends it. */
void dx_supervisor_run(struct dx_supervisor *supervisor);
void dx_supervisor_destroy(struct dx_supervisor *supervisor); // NULL is fine
/** Takes further programs, or no more for now. */
void dx_supervisor_listen(struct dx_supervisor *supervisor);
/** Ends in good order.  @param everything  drivers with running sessions too. */
void dx_supervisor_leave(struct dx_supervisor *supervisor, bool everything);
/** Called when a unit's process has ended, while the supervisor ends. */
void dx_supervisor_check_left(struct dx_supervisor *supervisor);

/* recording_folder.c */

/** Finds the place for recordings, and removes those of runtime folders that are no more. */
void dx_recordings_open(struct dx_supervisor *supervisor);

/* log.c */

void dx_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Only with --verbose. */
void dx_log_detail(const struct dx_supervisor *supervisor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* text.c */

/** CLOCK_MONOTONIC. */
uint64_t dx_now_ns(void);
/** A copy without control characters, of DX_MAX_TEXT_BYTES - 1 bytes at most; the caller's to free(), or NULL. */
char *dx_copy_clean_text(const char *text);
/** A path inside a folder, the caller's to free(); NULL without memory. */
char *dx_join_path(const char *folder, const char *name);

#endif /* DX_HOST_SUPERVISOR_SUPERVISOR_H */
