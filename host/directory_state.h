// SPDX-License-Identifier: MIT
// The inside of a directory: what it knows of devices, and the clients of this program.

#ifndef DX_HOST_DIRECTORY_STATE_H
#define DX_HOST_DIRECTORY_STATE_H

#include "audio/client.h"
#include "host/connection.h"

#include <dextral/directory.h>

/*
 * Everything here is guarded by the connection's lock.  What comes from the supervisor is taken in on the
 * connection's thread, in its order: answers to `open` too, so that memory is never older than what was told after
 * it.  Listeners are called on that thread as well, without the lock, when nothing more has come: they may ask
 * whatever they want.
 */

/* A device of the machine.  There is one for each UID for as long as somebody holds it, whether or not it is
 * listed. */
struct dx_remote_device {
    dx_device device; // first
    dx_directory *directory;
    struct dx_remote_device *next; // of all; the list has a reference
    OSDictionary *description;     // never changed, but replaced; empty before the first one came
    bool is_listed;
    bool io_was_running;  // when the listener was told last
    uint32_t listing;     // the number of the last list that had it
    uint32_t input_count; // streams
    uint32_t output_count;
    uint64_t page_file; // which file its page is of; 0: none, and the page is empty
};

/* An input ring.  One of another size takes its place, but may still be read from: it stays until the client
 * leaves. */
struct dx_remote_ring {
    struct dx_remote_ring *next; // the one before
    struct dx_lane lane;
};

/* A client of this program, as the supervisor knows it. */
struct dx_remote_session {
    struct dx_remote_session *next;
    struct dx_remote_device *device; // the client's
    dx_client *client;
    uint64_t number;
    bool is_open; // the supervisor knows of it, or will when there is one
    bool is_running;
    uint32_t listing;             // as of its device: when it was opened last
    struct dx_remote_ring *rings; // the newest first
};

/* Something to tell the listener. */
struct dx_directory_event {
    struct dx_directory_event *next;
    dx_host_event event;                           // its device is retained, its selectors are ...
    IOUserAudioObjectPropertySelector selectors[]; // ... here
};

struct dx_directory {
    struct dx_connection *connection;
    void (*listener)(void *context, const dx_host_event *event);
    void *listener_context;

    struct dx_remote_device *devices; // in the order of their coming
    uint32_t listing;                 // number of the newest list
    char *default_uids[2];            // of input and output; NULL: none
    struct dx_remote_session *sessions;
    struct dx_driver_connection *driver_connections;
    struct dx_directory_event *events; // the oldest first
    bool was_greeted;                  // what there was at first is no news
    bool is_lost;                      // the listener was told so
};

static inline struct dx_remote_device *
dx_remote_of(dx_device *device)
{
    return (struct dx_remote_device *)device;
}

/* ---- directory.c ---- */

/** Tells the listener, soon.  `device` may be NULL. */
void dx_directory_tell(dx_directory *directory, int kind, struct dx_remote_device *device, kern_return_t status);

/* ---- remote_device.c ---- */

/** A device of which nothing is known yet, with one reference; NULL without memory. */
struct dx_remote_device *dx_remote_device_create(dx_directory *directory, const char *uid);

/**
 * Takes in a description.  Clients of streams that are others now are cut off.
 *
 * @return false: it cannot be true, and nothing has changed.
 */
bool dx_remote_device_describe(struct dx_remote_device *device, OSDictionary *description);

/** Cuts off all clients: it is no longer there. */
void dx_remote_device_cut_off(struct dx_remote_device *device);

/** Puts the empty page in the place of whatever is there: nobody has the device open any more. */
void dx_remote_device_empty_page(struct dx_remote_device *device);

/**
 * The description of now.
 *
 * @param ret_description  +1.
 * @return kIOReturnSuccess; kIOReturnNotAttached (after fork()).
 *
 * Thread: any, without the lock.
 */
kern_return_t dx_remote_device_copy_description(struct dx_remote_device *device, OSDictionary **ret_description);

/* ---- remote_client.c ---- */

/* The client's part of dx_device_ops. */
kern_return_t dx_remote_join(dx_device *device, dx_client *client);
kern_return_t dx_remote_start(dx_device *device, dx_client *client);
void dx_remote_stop(dx_device *device, dx_client *client);
void dx_remote_leave(dx_device *device, dx_client *client);

/** A driver has taken a session over, or refuses to. */
void dx_remote_new_driver(dx_directory *directory, struct dx_message *message);

/**
 * Opens all sessions again, after a connection was made.
 *
 * @return kIOReturnSuccess; else the connection is of no use.
 *
 * Thread: the connection's, without the lock.
 */
kern_return_t dx_remote_open_again(dx_directory *directory);

/* ---- remote_user_client.c ---- */

/** A completion came, or the end of a connection to a driver.  With the lock. */
void dx_remote_user_clients_take(dx_directory *directory, const OSDictionary *body);

/** The supervisor is gone, and with it all connections to drivers.  With the lock. */
void dx_remote_user_clients_end(dx_directory *directory);

/** Calls the completions of what has come.  Thread: the connection's, without the lock. */
void dx_remote_user_clients_tell(dx_directory *directory);

#endif /* DX_HOST_DIRECTORY_STATE_H */
