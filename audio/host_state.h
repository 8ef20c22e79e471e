// SPDX-License-Identifier: MIT
// The host's own state, and what its parts ask of each other.

#ifndef DX_AUDIO_HOST_STATE_H
#define DX_AUDIO_HOST_STATE_H

#include "audio/entry.h"
#include "audio/host.h"

struct dx_running_driver {
    struct dx_running_driver *next;
    IOUserAudioDriver *driver; // retained
};

struct dx_host {
    dx_clock *clock;
    dx_host_config config;
    IODispatchQueue *queue; // configuration changes and events, in order

    /* The watcher sleeps until an IO thread has something to tell. */
    struct dx_task *watcher;
    struct dx_entry **watched; // its room for all entries
    _Atomic uint32_t notices;
    _Atomic bool ending;

    struct dx_mutex detaching; // before a driver's queue: one driver stops at a time
    struct dx_entry **detached;      // its room for all entries

    struct dx_mutex lock; // guards what follows
    struct dx_running_driver *drivers;
    struct dx_entry *entries; // each +1
    OSDictionary *saved;  // by UID
    struct dx_host_memory memory;
    dx_configuration_veto veto;
    void *veto_context;

    /* The device whose change is being performed, and the task that performs; NULL: none. */
    _Atomic(IOUserAudioClockDevice *) changing;
    _Atomic(const void *) changing_task;
};

#define DX_HOST_MAX_DEVICES 1024u

/** All entries, +1 each, at most DX_HOST_MAX_DEVICES: so that they can be asked without the host's lock. */
uint32_t dx_host_copy_entries(dx_host *host, struct dx_entry **entries);

/** Whether a driver is one that was started here and is not being stopped. */
bool dx_host_runs_driver(dx_host *host, const IOUserAudioDriver *driver);

/** Takes out entries that nobody holds: neither a driver (see dx_entry_attach()) nor anybody else. */
void dx_host_forget_unused(dx_host *host);

/** Queues an event for the listener; the entry is retained until it was told. */
void dx_host_tell(dx_host *host, dx_host_event_kind kind, struct dx_entry *entry, IOUserAudioObjectID object,
                  const IOUserAudioObjectPropertySelector *selectors, uint32_t count, kern_return_t status);

/** Writes a line for people. */
void dx_host_log(dx_host *host, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** The entry of a driver's device object, +1, or NULL. */
struct dx_entry *dx_host_copy_entry_of(dx_host *host, IOUserAudioClockDevice *object);

/** Keeps the control values, rate and formats of an entry's driver.  Lock of the entry held. */
void dx_host_save_device(dx_host *host, struct dx_entry *entry);

/** Gives an entry's driver what was kept, as far as it wants it.  On the driver's queue. */
void dx_host_restore_device(dx_host *host, struct dx_entry *entry);

/** Whether a property is one whose differences are told at the end of a change. */
bool dx_host_is_in_snapshot(IOUserAudioObjectPropertySelector selector);

/** Whether the change of an entry's device is being performed now. */
bool dx_host_is_changing(dx_host *host, struct dx_entry *entry);

/** A host-initiated change through the protocol; waits for its end.  Not on the host's or a driver's queue. */
kern_return_t dx_host_change_and_wait(dx_host *host, struct dx_entry *entry, uint64_t action, OSObjectPtr info);

#endif /* DX_AUDIO_HOST_STATE_H */
