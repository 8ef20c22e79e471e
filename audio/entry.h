// SPDX-License-Identifier: MIT
// An entry of the directory: a device by its UID, with its timeline, clients and engine.  Outlives the driver.

#ifndef DX_AUDIO_ENTRY_H
#define DX_AUDIO_ENTRY_H

#include "audio/engine.h"
#include "audio/handle.h"
#include "audio/member.h"
#include "core/sync.h"

#include <dextral/IODispatchQueue.h>
#include <dextral/IOMemoryDescriptor.h>
#include <dextral/IOUserAudioDevice.h>
#include <dextral/IOUserAudioDriver.h>
#include <dextral/host.h>

/*
 * Order of locks: the driver's work queue, then entry->lock, then the host's.  Everything that starts or stops
 * IO, and everything that reads the driver's formats into the entry, runs on the driver's queue, because
 * StartDevice and StopDevice do; what only touches clients takes the lock alone.  No code of the driver is
 * called with the lock held: it may call back.
 */

/* The input ring of one stream: shared by its readers, replaced when the stream's client format changes. */
struct dx_input_ring {
    _Atomic uint32_t references;
    struct dx_lane lane;
    struct dx_lane_state state; // the engine's own copy
};

/* A DSP plug-in that somebody put into a chain. */
struct dx_entry_dsp {
    struct dx_entry_dsp *next;
    IOUserAudioStreamDirection direction;
    uint32_t stream;
    bool is_active; // activated ...
    double rate_hz; // ... for this rate, and for dsp.view.channels
    struct dx_engine_dsp dsp;
};

struct dx_entry {
    dx_device device; // first: a handle of this kind is an entry
    dx_host *host;    // not retained; NULL once the host is gone: then nothing but clients' lookups come
    struct dx_entry *next;        // the host's list, under its lock
    struct dx_pages page_memory;  // of device.page, for the engine to write
    struct dx_device_page *page;
    void *recorder; // where the engine records its cycles; not the entry's own; NULL: nowhere

    struct dx_engine_counters counters;
    struct dx_engine_signal signal;
    struct dx_stream_shape output_shapes[DX_MAX_STREAMS];
    struct dx_stream_shape input_shapes[DX_MAX_STREAMS];

    uint64_t told_overloads; // the host's watcher's own
    uint32_t told_timeouts;  // the same

    struct dx_mutex lock; // guards what follows
    IOUserAudioDriver *driver; // retained; NULL: none
    IOUserAudioDevice *object; // retained; NULL: none
    struct dx_engine *engine;  // NULL: IO does not run
    struct dx_engine_plan *plan;  // in force, while IO runs; ...
    struct dx_engine_plan *spare; // ... and the memory for the next one, so that changing it cannot fail
    struct dx_pages plan_pages;   // where both are
    IOMemoryMap *maps[2 * DX_MAX_STREAMS]; // of the rings, while IO runs
    uint32_t map_count;
    uint32_t input_count;  // streams
    uint32_t output_count;
    struct dx_input_ring *input_rings[DX_MAX_STREAMS];
    struct dx_member *members; // all that have joined
    uint64_t members_in_use[DX_DEVICE_PAGE_MEMBERS / 64u]; // a bit for each counter of the page
    struct dx_entry_dsp *dsp;
    uint32_t wanted_io_frames; // 0: by the clients
    uint32_t most_io_frames;   // while IO runs: what its ring and its safety offsets, as they were at its start, allow
    double sample_rate_hz;     // last known
    uint32_t ring_frames;
    _Atomic unsigned degraded; // of the IO thread, DX_TASK_NOT_..., written under the lock; ...
    unsigned degraded_rings; // ... and of the rings it was given last
    bool is_prewarmed;
    bool is_interrupted; // IO stopped under running clients: what they miss until it is back is counted
    bool is_changing; // a configuration change is under way: IO comes back at its end
};

static inline struct dx_entry *
dx_entry_of(dx_device *device)
{
    return (struct dx_entry *)device;
}

/** Makes an entry with one reference; NULL without memory. */
struct dx_entry *dx_entry_create(dx_host *host, const char *uid);

static inline struct dx_entry *
dx_entry_retain(struct dx_entry *entry)
{
    return dx_entry_of(dx_device_retain(entry ? &entry->device : NULL));
}

static inline void
dx_entry_release(struct dx_entry *entry)
{
    dx_device_release(entry ? &entry->device : NULL);
}

/**
 * Gives an entry its driver; starts IO when clients wait for it.  On the driver's queue.
 *
 * @return false: it has one, and keeps it.
 */
bool dx_entry_attach(struct dx_entry *entry, IOUserAudioDriver *driver, IOUserAudioDevice *object);

/**
 * Takes its driver away: IO has stopped when this returns.
 *
 * @param tell  whether StopDevice is called; not when the driver is dead.
 *
 * On the driver's queue.
 */
void dx_entry_detach(struct dx_entry *entry, bool tell);

/** Whether the caller is on the queue of the entry's driver; no when there is none.  Lock held. */
bool dx_entry_is_on_queue(struct dx_entry *entry);

/**
 * Runs a function on the queue of the entry's driver; where it stands when there is none.
 *
 * A driver may come between the look and the function: then the function runs again, on its queue.
 */
void dx_entry_run(struct dx_entry *entry, void (*function)(struct dx_entry *entry, void *argument), void *argument);

/**
 * Starts IO if clients run, a driver is there, and it does not run yet.
 *
 * On the driver's queue, without the lock.
 */
kern_return_t dx_entry_start_io(struct dx_entry *entry);

/** Tells of skipped cycles, and stops IO that got no zero timestamp in time.  The host's watcher. */
void dx_entry_look_after(struct dx_entry *entry);

/** Stops IO if it runs; `tell`: StopDevice is called.  On the driver's queue, without the lock. */
void dx_entry_stop_io(struct dx_entry *entry, bool tell);

/** Builds a plan from clients and chains, and puts it in force.  With the lock held. */
void dx_entry_replan(struct dx_entry *entry);

/**
 * Reads the shapes of all streams from the driver; those that changed cut their clients off.
 *
 * On the driver's queue, while IO does not run, with the lock held.
 */
kern_return_t dx_entry_read_shapes(struct dx_entry *entry);

/** The input ring of a stream, made when it is not there yet; +1.  Lock held. */
kern_return_t dx_entry_get_input_ring(struct dx_entry *entry, uint32_t index, struct dx_input_ring **ret_ring);
void dx_input_ring_release(struct dx_input_ring *ring);

/* Members of an entry, for its plan.  In audio/member.c; lock held. */
struct dx_member *dx_member_next(const struct dx_member *member);
bool dx_member_is_running(const struct dx_member *member);
uint32_t dx_member_io_frames(const struct dx_member *member);
struct dx_engine_source *dx_member_source(struct dx_member *member); // NULL: nothing to do for it in a cycle
uint32_t dx_member_recorded_streams(const struct dx_member *member); // a bit for each
uint32_t dx_member_played_streams(const struct dx_member *member);

/** As dx_member_join().  Lock held. */
kern_return_t dx_entry_add_member(struct dx_entry *entry, const struct dx_member_config *config,
                                  struct dx_member **ret_member);

/** Whether a running member is there.  Lock held. */
bool dx_entry_has_running_member(const struct dx_entry *entry);

/* How an entry does what is asked of a device: see audio/handle.h.  In entry.c, change.c, host_controls.c, and
 * entry_client.c. */
IOUserAudioDevice *dx_entry_copy_object(dx_device *device);
kern_return_t dx_entry_set_sample_rate(dx_device *device, double rate_hz);
kern_return_t dx_entry_set_stream_format(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index,
                                         const IOUserAudioStreamBasicDescription *format);
kern_return_t dx_entry_get_control_at(dx_device *device, uint32_t index, dx_control_info *ret_info);
kern_return_t dx_entry_get_control(dx_device *device, const char *key, dx_control_info *ret_info);
kern_return_t dx_entry_get_control_items(dx_device *device, const char *key, dx_control_item *items,
                                         uint32_t capacity, uint32_t *ret_count);
kern_return_t dx_entry_set_control(dx_device *device, const char *key, const struct dx_control_setting *setting);
kern_return_t dx_entry_get_custom_property_at(dx_device *device, uint32_t index, dx_custom_property_info *ret_info);
kern_return_t dx_entry_copy_custom_property(dx_device *device, IOUserAudioObjectPropertyAddress address,
                                            OSObjectPtr qualifier, OSObjectPtr *ret_value);
kern_return_t dx_entry_set_custom_property(dx_device *device, IOUserAudioObjectPropertyAddress address,
                                           OSObjectPtr qualifier, OSObjectPtr value);
kern_return_t dx_entry_join_client(dx_device *device, dx_client *client);
kern_return_t dx_entry_start_client(dx_device *device, dx_client *client);
void dx_entry_stop_client(dx_device *device, dx_client *client);
void dx_entry_leave_client(dx_device *device, dx_client *client);

#endif /* DX_AUDIO_ENTRY_H */
