// SPDX-License-Identifier: MIT
// An entry of the directory: a device by its UID, with its timeline, clients and engine.  Outlives the driver.

#ifndef DX_AUDIO_ENTRY_H
#define DX_AUDIO_ENTRY_H

#include "audio/engine.h"
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

/* What a client of a stream depends on. */
struct dx_stream_shape {
    uint32_t channels;
    uint32_t client_bytes_per_frame; // float32 for mixable streams, physical for the others
    bool is_mixable;
    enum dx_sample_format format;    // counts for non-mixable streams
    _Atomic uint32_t latency_frames; // of the device and the stream
    _Atomic uint32_t generation;     // + 1 when one of the above changed: clients from before are cut off
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

struct dx_device {
    _Atomic uint32_t references;
    dx_host *host; // not retained; NULL once the host is gone: then nothing but clients' lookups come
    dx_clock *clock;
    char *uid;
    dx_device *next; // the host's list, under its lock

    /* On lines of its own: clients read it while the IO thread writes what follows. */
    _Alignas(64) _Atomic uint32_t page_words[DX_SLOTS_WORDS(sizeof(struct dx_timeline_page))];
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
    dx_client *clients; // all that are open
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

/** Makes an entry with one reference; NULL without memory. */
dx_device *dx_entry_create(dx_host *host, const char *uid);

static inline struct dx_slots
dx_entry_page(dx_device *entry)
{
    return (struct dx_slots){entry->page_words, sizeof(struct dx_timeline_page)};
}

/**
 * Gives an entry its driver; starts IO when clients wait for it.  On the driver's queue.
 *
 * @return false: it has one, and keeps it.
 */
bool dx_entry_attach(dx_device *entry, IOUserAudioDriver *driver, IOUserAudioDevice *object);

/**
 * Takes its driver away: IO has stopped when this returns.
 *
 * @param tell  whether StopDevice is called; not when the driver is dead.
 *
 * On the driver's queue.
 */
void dx_entry_detach(dx_device *entry, bool tell);

/** Whether the caller is on the queue of the entry's driver; no when there is none.  Lock held. */
bool dx_entry_is_on_queue(dx_device *entry);

/**
 * Runs a function on the queue of the entry's driver; where it stands when there is none.
 *
 * A driver may come between the look and the function: then the function runs again, on its queue.
 */
void dx_entry_run(dx_device *entry, void (*function)(dx_device *entry, void *argument), void *argument);

/**
 * Starts IO if clients run, a driver is there, and it does not run yet.
 *
 * On the driver's queue, without the lock.
 */
kern_return_t dx_entry_start_io(dx_device *entry);

/** Tells of skipped cycles, and stops IO that got no zero timestamp in time.  The host's watcher. */
void dx_entry_look_after(dx_device *entry);

/** Stops IO if it runs; `tell`: StopDevice is called.  On the driver's queue, without the lock. */
void dx_entry_stop_io(dx_device *entry, bool tell);

/** Builds a plan from clients and chains, and puts it in force.  With the lock held. */
void dx_entry_replan(dx_device *entry);

/**
 * Reads the shapes of all streams from the driver; those that changed cut their clients off.
 *
 * On the driver's queue, while IO does not run, with the lock held.
 */
kern_return_t dx_entry_read_shapes(dx_device *entry);

/** The input ring of a stream, made when it is not there yet; +1.  Lock held. */
kern_return_t dx_entry_get_input_ring(dx_device *entry, uint32_t index, struct dx_input_ring **ret_ring);
void dx_input_ring_release(struct dx_input_ring *ring);

/* Clients of an entry, for its plan.  In audio/client.c; lock held. */
dx_client *dx_client_next(dx_client *client);
bool dx_client_is_running(const dx_client *client);
bool dx_client_is_cut_off(const dx_client *client);
uint32_t dx_client_io_frames(const dx_client *client);
struct dx_engine_source *dx_client_source(dx_client *client);
uint32_t dx_client_recorded_streams(const dx_client *client); // a bit for each
uint32_t dx_client_played_streams(const dx_client *client);

#endif /* DX_AUDIO_ENTRY_H */
