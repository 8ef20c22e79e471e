// SPDX-License-Identifier: MIT
// Devices in the directory.

#ifndef DX_HOST_SUPERVISOR_LISTING_H
#define DX_HOST_SUPERVISOR_LISTING_H

#include "audio/lane.h"
#include "audio/page.h"
#include "host/describe.h"
#include "host/supervisor/program.h"

/*
 * Of each device a brief description is kept: all but the lists of formats, which are large.  The whole of it
 * comes from the driver, while there is one, else from what was kept (keep.c) or from the declaration.
 */
struct dx_listing {
    struct dx_listing *next;
    struct dx_supervisor *supervisor;
    uint64_t number; // never used again
    struct dx_unit *unit;
    char *uid;
    OSDictionary *brief;
    OSDictionary *unkept; // +1: the whole description, to be written; or NULL
    bool has_driver;      // the unit's process runs it
    bool is_changed;      // programs are to be told
    bool is_gone;         // its driver took it away; it is listed until its last session has gone
    uint32_t session_count;
    int page_fd;          // of its driver, read-only; -1: none
    uint32_t incarnation; // of that page
    int recorder_fd;      // -1: none
    bool has_no_recorder; // it could not be made, and that was said

    /* What programs get while there is no driver. */
    struct dx_pages page;
    uint32_t page_incarnation;
    struct dx_timeline_page last_line;     // of its last driver; DX_TIMELINE_NONE: none
    struct dx_lane *rings[DX_MAX_STREAMS]; // made when asked for

    struct dx_volume *volumes; // of programs by name; volume.c
};

/* listing.c */

/** NULL where there is none. */
struct dx_listing *dx_listing_find(const struct dx_supervisor *supervisor, const char *uid);

struct dx_listing *dx_listing_find_number(const struct dx_supervisor *supervisor, uint64_t number);

/**
 * Adds a device to the directory.
 *
 * @param description  borrowed; NULL: not known yet.
 * @return NULL where there are too many, where the description is too long, or without memory.
 */
struct dx_listing *dx_listing_create(struct dx_supervisor *supervisor, struct dx_unit *unit, const char *uid,
                                     const OSDictionary *description);

/** Takes a device out of the directory, with its sessions; programs are told. */
void dx_listing_destroy(struct dx_listing *listing);

/** Takes in a description that its driver or declaration gave. */
void dx_listing_set_description(struct dx_listing *listing, const OSDictionary *description);

/** The same of one that was asked for: where it says nothing new nobody is told. */
void dx_listing_see_description(struct dx_listing *listing, const OSDictionary *description);

/** Takes it out of the directory when its driver took it away and nobody has it open. */
void dx_listing_check_gone(struct dx_listing *listing);

/** Programs are told, soon. */
void dx_listing_changed(struct dx_listing *listing);

/** Programs are told now, if it has changed: what comes next is told after it. */
void dx_listing_tell(struct dx_listing *listing);

/** The brief description with what only the supervisor knows; +1, NULL without memory. */
OSDictionary *dx_listing_describe(const struct dx_listing *listing, bool with_sessions);

/** Adds to a description what only the supervisor knows. */
bool dx_listing_complete(const struct dx_listing *listing, OSDictionary *description, bool with_sessions);

/**
 * Adds the sessions of a device, as far as they fit.
 *
 * @param counters  what its driver counts for each, in its answer to `statistics`; may be NULL.
 */
bool dx_listing_add_sessions(const struct dx_listing *listing, OSDictionary *description, const OSArray *counters);

/** The whole description as it is known without a driver; +1, or NULL. */
OSDictionary *dx_listing_copy_whole(const struct dx_listing *listing);

/** Its declaration has changed: without a driver its description has too. */
void dx_listing_refresh(struct dx_listing *listing);

/** Its unit's driver has it.  @param page_fd  read-only, taken. */
void dx_listing_gain_driver(struct dx_listing *listing, int page_fd);
/** A driver has it no more. */
void dx_listing_lose_driver(struct dx_listing *listing);

/* alone.c: a device without a driver */

/**
 * The page of a device without a driver: device time goes on, nobody listens.
 *
 * @param ret_fd           read-only, the caller's to close().
 */
kern_return_t dx_listing_open_page(struct dx_listing *listing, int *ret_fd, uint32_t *ret_incarnation);

/** An input ring of it in which nothing comes; as above. */
kern_return_t dx_listing_open_ring(struct dx_listing *listing, uint32_t input, int *ret_fd);

/** The driver goes: its line is remembered. */
void dx_listing_keep_line(struct dx_listing *listing);

/** Gives back what the two made. */
void dx_listing_close_alone(struct dx_listing *listing);
/** Gives it back when no session needs it any more. */
void dx_listing_check_alone(struct dx_listing *listing);

/** Where device time stands, as the recorder tells, or the page of before.  false: it has not begun. */
bool dx_listing_get_line(const struct dx_listing *listing, struct dx_timeline_page *ret_line);

/* recording.c */

#define DX_RECORDING_SUFFIX ".recording" // of a file

/** The descriptor of its recording, made if need be; -1 where it cannot be had. */
int dx_listing_get_recorder(struct dx_listing *listing);

/** Finds a recording that was made before this supervisor. */
void dx_listing_find_recorder(struct dx_listing *listing);

/** A descriptor of it that can only be read, the caller's to close(); -1 where there is none. */
int dx_listing_reopen_recorder(const struct dx_listing *listing);

/** Its driver has gone: what that added behind the recording's end is memory that nobody gives back. */
void dx_listing_cut_recording(const struct dx_listing *listing);

/** Removes the file. */
void dx_listing_forget_recording(const struct dx_listing *listing);

/** A copy of the recording, the caller's to free(); NULL where there is none. */
void *dx_listing_read_recording(const struct dx_listing *listing, size_t *ret_bytes);

#endif /* DX_HOST_SUPERVISOR_LISTING_H */
