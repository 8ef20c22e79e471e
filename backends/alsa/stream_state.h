// SPDX-License-Identifier: MIT
// The inside of a stream, for the files that it consists of.

#ifndef DX_BACKENDS_ALSA_STREAM_STATE_H
#define DX_BACKENDS_ALSA_STREAM_STATE_H

#include "audio/client.h"
#include "backends/alsa/adapter.h"
#include "backends/alsa/segment.h"
#include "backends/alsa/stream.h"
#include "core/clock.h"

#include <pthread.h>

enum dx_alsa_state {
    DX_ALSA_STATE_SETUP,    // nothing moves
    DX_ALSA_STATE_PREPARED, // frames may be written, the device's IO is being started
    DX_ALSA_STATE_RUNNING,
    DX_ALSA_STATE_DRAINING, // playback only: runs until all is heard
    DX_ALSA_STATE_PAUSED,
    DX_ALSA_STATE_XRUN,
    DX_ALSA_STATE_GONE,     // for good: the device is no longer one that it can be used with
};

/* What the timer is set to. */
enum dx_alsa_alarm {
    DX_ALSA_ALARM_NEVER,
    DX_ALSA_ALARM_NOW,
    DX_ALSA_ALARM_LINE,  // when the line reaches `alarm_time`
    DX_ALSA_ALARM_HEARD, // when device time reaches it
};

struct dx_alsa_stream {
    /* Fixed from open to close. */
    struct dx_alsa_setup setup;
    struct dx_alsa_side program;
    dx_device *device; // retained
    dx_clock *clock;
    const struct dx_kernels *kernels;
    int timer_fd;
    uint32_t store_frames; // a power of two
    uint8_t *store;        // capture: the newest of what was recorded, as the program reads it
    dx_task *helper;

    _Atomic uint32_t signal;    // + 1 to make the helper look
    _Atomic uint32_t has_ended; // 1: the helper is done

    /* All that follows is under the lock, which nobody holds while waiting. */
    pthread_mutex_t lock;
    enum dx_alsa_state state;
    struct dx_alsa_thresholds thresholds;
    struct dx_timeline_page page; // last good
    bool is_placed;               // the clock ran when it was started: `segment` counts
    struct dx_alsa_segment segment;
    uint64_t position;            // this and the following do not wrap
    uint64_t application;
    uint64_t origin;              // the frame that alsa-lib calls 0
    uint64_t reported;            // position, as alsa-lib was told it last
    uint64_t stored;              // capture: up to where the store is filled
    struct dx_lane_state lane;    // playback: the writer's own
    struct dx_lane_state known;   // capture: the reader's
    enum dx_alsa_alarm alarm;
    uint64_t alarm_time;

    /* How it is joined to the device, and what stands between. */
    dx_client *client;              // NULL while it joins anew
    bool is_attached;               // the client's memory is in use
    struct dx_alsa_side side;       // what the device's frames are like
    struct dx_alsa_adapter *adapter; // NULL: one to one, but for how a sample is written
    uint8_t *chunk;                 // of the device's frames
    uint32_t chunk_frames;
    uint64_t refill_ns;             // how often the helper looks at the input ring; 0: it need not
    bool needs_change;              // the device is another one than it was joined to
    bool is_muted;                  // the device is about to change
    uint64_t muted_until_ns;

    /* What the helper is to do, and has done. */
    bool is_wanted;   // the device's IO
    bool is_started;  // the device's IO, as far as this client goes
    bool is_ending;
    dx_client *starting; // while starting it waits for a driver
    int start_error;  // negative errno of the last start
    uint64_t stop_ns; // when to stop what is not wanted
    uint64_t rest_ns; // when to stop it for a program that does not start, or go on; 0: not yet known
    uint64_t give_up_ns; // when a supervisor that is gone counts as an error
};

/* ---- stream_frames.c: where frames are kept ---- */

/** Brings the lane's control values out; nothing where there is no lane. */
void dx_alsa_frames_publish(struct dx_alsa_stream *stream);
/** Nothing of it is heard, or missed, any more. */
void dx_alsa_frames_silence(struct dx_alsa_stream *stream);
/** Forgets what was played. */
void dx_alsa_frames_clear(struct dx_alsa_stream *stream);
/** Puts frames after those that were put before. */
void dx_alsa_frames_append(struct dx_alsa_stream *stream, const uint8_t *data, uint32_t frames);
/** Makes a frame the end of what was put. */
void dx_alsa_frames_move_end(struct dx_alsa_stream *stream, uint64_t end);
/** The end of what was put. */
uint64_t dx_alsa_frames_end(const struct dx_alsa_stream *stream);
/** Puts what was put in place again, for a new segment: it is heard from now on. */
void dx_alsa_frames_place(struct dx_alsa_stream *stream);
/** What is before the position is heard, the rest waits for dx_alsa_frames_place(). */
void dx_alsa_frames_pause(struct dx_alsa_stream *stream);
/** Nothing more will be put: what the adapter keeps back is heard as well. */
void dx_alsa_frames_drain(struct dx_alsa_stream *stream);
/** Brings the store up to a frame.  @return whether frames were lost on the way. */
bool dx_alsa_frames_store(struct dx_alsa_stream *stream, uint64_t until);
/** Gives frames of the store. */
void dx_alsa_frames_copy_stored(const struct dx_alsa_stream *stream, uint64_t frame, uint8_t *to, uint32_t frames);
/** Gives what was put and is not heard, as floats: frames from `frame` to the end. */
void dx_alsa_frames_copy_pending(const struct dx_alsa_stream *stream, uint64_t frame, uint32_t frames, float *to);

/* ---- stream_time.c: where it is, and when to look again ---- */

/** Takes in the newest timeline, and whether the device is still what it was. */
void dx_alsa_time_refresh(struct dx_alsa_stream *stream);
bool dx_alsa_time_is_moving(const struct dx_alsa_stream *stream);
/** Says where the next frame is in device time: at a start, or after a pause.  `is_placed` tells whether it could. */
void dx_alsa_time_place(struct dx_alsa_stream *stream, uint64_t now_ns);
/** Brings the position up to now. */
void dx_alsa_time_move(struct dx_alsa_stream *stream, uint64_t now_ns);
/** Frames, of the program, by which an adapter makes sound late. */
uint32_t dx_alsa_time_lateness(const struct dx_alsa_stream *stream);
/** Whether there is something for the program to do. */
bool dx_alsa_time_is_ready(const struct dx_alsa_stream *stream);
/** Sets the timer to when there will be.  `has_fired`: it was too early. */
void dx_alsa_time_set_alarm(struct dx_alsa_stream *stream, uint64_t now_ns, bool has_fired);
void dx_alsa_time_enter(struct dx_alsa_stream *stream, enum dx_alsa_state state);

/* ---- stream_helper.c: what takes its time ---- */

/** Joins the device for the first time, or anew, and makes what must stand between; without the lock.  0, or an errno. */
int dx_alsa_helper_join(struct dx_alsa_stream *stream);
/** Starts the thread. */
int dx_alsa_helper_start(struct dx_alsa_stream *stream);
/** Ends it. */
void dx_alsa_helper_end(struct dx_alsa_stream *stream);
void dx_alsa_helper_signal(struct dx_alsa_stream *stream);

#endif /* DX_BACKENDS_ALSA_STREAM_STATE_H */
