// SPDX-License-Identifier: MIT
// The inside of a client, for the kinds of devices that it can join, and for the ALSA plug-in.

#ifndef DX_AUDIO_CLIENT_H
#define DX_AUDIO_CLIENT_H

#include "audio/handle.h"
#include "audio/lane.h"

/*
 * Nobody waits for anybody: a client reads the timeline page and sleeps until the time at which the cycle it
 * needs is due.  Where the page says that no cycle runs, or that the cycle is further behind than it will ever
 * catch up with, the client goes on by the clock alone: what it writes is not heard, what it reads is silence.
 */

/* What the engine has counted for a client, over all drivers it had. */
struct dx_client_total {
    _Atomic uint64_t before; // by the drivers before this one
    _Atomic uint64_t last;   // all of it, as last seen: never goes back
};

struct dx_client {
    dx_device *device; // retained
    char *name;
    dx_client_config config;
    uint32_t requested_frames; // io_frames as asked for; 0: whatever the device's is
    _Atomic bool running;

    /* Filled in by `join`, taken back by `leave`. */
    void *membership;           // what the device's kind keeps of it
    bool has_output;
    bool has_input;
    _Atomic bool is_cut_off;    // it alone, whatever its streams are
    uint32_t output_generation; // of the shapes it joined
    uint32_t input_generation;
    struct dx_lane lane;             // its own: written here, read by the engine
    const struct dx_lane *_Atomic ring; // the input ring: dx_client_ring()
    uint32_t input_bytes_per_frame;
    const struct dx_member_counters *_Atomic counters; // in the device's page: dx_client_set_counters()
    const _Atomic uint64_t *synchronous_frames;        // of a synchronous client: those it was called for
    void *synchronous_input;                           // and a chunk for its input

    /* Starting and stopping set back what the writer and the reader work with: each takes a turn. */
    _Atomic uint32_t writer_turn;
    _Atomic uint32_t reader_turn;
    struct dx_lane_state lane_state; // the writer's own
    struct dx_lane_state known;      // the reader's
    uint64_t input_next;             // device time of the next frame to read

    struct dx_timeline_page page; // last good; the writer's and the reader's may differ
    struct dx_timeline_page reader_page;

    /* For dx_client_get_status(), from any thread. */
    _Atomic uint64_t output_base;
    _Atomic uint64_t output_frames;
    _Atomic uint64_t input_base;
    _Atomic uint64_t input_frames;
    _Atomic uint64_t overrun_frames;
    struct dx_client_total underruns;
    struct dx_client_total limited;
    _Atomic uint64_t last_device_time;
    _Atomic uint32_t output_distance; // of callbacks: from the due time to the end of what is heard; 0: none yet
    _Atomic uint32_t input_distance;  // of callbacks: from the end of the input to the due time, less Si; 0: none yet

    struct dx_task *task; // runs the callback
    _Atomic uint32_t stop; // + 1 to make the task look
    _Atomic bool ending;
    struct dx_pages callback_input;
    struct dx_pages callback_output;
    uint32_t callback_frames;
};

/** Whether the shapes it joined are no longer the device's.  Real-time: yes. */
bool dx_client_is_cut_off(const dx_client *client) DX_REALTIME;

static inline bool
dx_client_is_running(const dx_client *client)
{
    return atomic_load_explicit(&client->running, memory_order_relaxed);
}

/** The input ring of now; alive until the client leaves, though a new driver's takes its place.  NULL without input. */
static inline DX_REALTIME const struct dx_lane *
dx_client_ring(const dx_client *client)
{
    /* acquire: pairs with the release where a ring takes the place of another one. */
    return atomic_load_explicit(&client->ring, memory_order_acquire);
}

/** The smallest IO size that the cycle follows a client down to; 0: it does not ask for one. */
uint32_t dx_client_io_frames(const dx_client *client);

/** Puts the newest timeline into `page`, which stays as it is where there is none that can be true. */
void dx_client_read_page(const dx_client *client, struct dx_timeline_page *page) DX_REALTIME;

/** Device time before which nothing that is written now can be heard. */
uint64_t dx_client_find_consumed(const struct dx_timeline_page *page, uint64_t now_ns) DX_REALTIME;

/** Device time up to which input would have been read by now, were it read at all. */
uint64_t dx_client_find_captured(const struct dx_timeline_page *page, uint64_t now_ns) DX_REALTIME;

/* What those settings of a client depend on that its program left open. */
struct dx_client_defaults {
    uint32_t wanted_io_frames;      // the device's IO size as somebody has set it; 0: by its clients
    uint32_t largest_io_frames;     // the device's IO size when no client asks for less
    uint32_t late_tolerance_frames; // the device's
    int32_t io_priority;            // of the IO thread
};

/** Fills in what client->config left open: for `join`. */
void dx_client_settle_config(dx_client *client, const struct dx_client_defaults *defaults);

/** Makes a lane as a client of a stream of this shape needs it: for `join`, after dx_client_settle_config(). */
kern_return_t dx_client_create_lane(dx_client *client, const struct dx_stream_shape *shape,
                                    const struct dx_client_defaults *defaults);

/**
 * Says where the engine counts for this client from now on; NULL: nowhere.  Fresh counters are 0, and totals go on from
 * where dx_client_get_status() saw them last.
 *
 * Thread: the one that changes what the client is joined to.
 */
void dx_client_set_counters(dx_client *client, const struct dx_member_counters *counters);

#endif /* DX_AUDIO_CLIENT_H */
