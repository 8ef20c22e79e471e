// SPDX-License-Identifier: MIT
// The engine of one device: an IO thread that follows the zero timestamps, calls the handler, reads the input
// rings, mixes lanes, and writes the output rings.  Knows no object of the API, only what it was given.

#ifndef DX_AUDIO_ENGINE_H
#define DX_AUDIO_ENGINE_H

#include "audio/convert.h"
#include "audio/device_io.h"
#include "audio/event.h"
#include "audio/lane.h"
#include "audio/page.h"
#include "audio/timeline.h"
#include "core/clock.h"
#include "core/histogram.h"

#include <dextral/host.h>

#define DX_ENGINE_MAX_DSP 8u
#define DX_ENGINE_MAX_SOURCES 1024u
/* Samples that are mixed at a time: both scratch buffers, 16 KiB, stay in the first cache beside what is read and
 * written. */
#define DX_ENGINE_CHUNK_SAMPLES 2048u

/* The bits of 1.0f: a source's samples are passed on as they are. */
#define DX_GAIN_UNITY 0x3F800000u

/* A DSP plug-in in a stream's chain. */
struct dx_engine_dsp {
    const dx_dsp_plugin *plugin;
    void *instance;
    dx_dsp_view view;    // set before each call
    float **planar;      // NULL unless the plug-in asked for it
    float *planar_data;  // channels * chunk_frames
};

/* One client's contribution to one output stream, or a synchronous client's place in the cycle. */
struct dx_engine_source {
    uint32_t output_stream;      // index, or DX_NO_STREAM
    uint32_t input_stream;       // of a synchronous client; index, or DX_NO_STREAM
    const struct dx_lane *lane;  // NULL: synchronous
    struct dx_lane_state known;  // IO thread
    uint32_t epoch;              // IO thread: the last that was seen, and where its first frame was then: ...
    uint64_t begin_time;         // ... before it nothing is missing
    dx_client_callback callback; // synchronous
    void *context;
    void *input_buffer;          // synchronous: chunk_frames of the input stream
    uint64_t input_distance;     // synchronous: device time from input to output; 0: not yet chosen
    struct dx_lane_state input_known;
    uint64_t session;            // of a client of another process; else 0
    _Atomic uint32_t gain_bits;  // a float: of what it plays, where the stream is mixable; 0: muted
    float gain;                  // IO thread: at the end of the cycle before, ...
    float next_gain;             // ... and of this one
    bool has_gain;               // they are set
    struct dx_event gap;         // IO thread: what the lane did not hold in time
    struct dx_histogram *ahead;  // how far the lane reached beyond each cycle; NULL: nobody wants to know
    struct dx_member_counters *counters; // in the device page; NULL: nowhere
    /* Written by the IO thread, read by anybody. */
    _Atomic uint64_t output_time; // synchronous: device time after the last frame given
    _Atomic uint64_t frames;
    _Atomic uint64_t underrun_frames;
    _Atomic uint64_t limited_samples;
};

/* What changes while IO runs, all at once: taken over at the start of a cycle. */
struct dx_engine_plan {
    uint32_t io_frames;      // N
    uint32_t inputs_in_use;  // bit i: a client records from stream i
    uint32_t outputs_in_use; // bit i: a client plays to stream i
    uint32_t source_count;
    struct dx_engine_source *sources[DX_ENGINE_MAX_SOURCES]; // in the order in which they joined
    /* Filled in by dx_engine_start() and dx_engine_set_plan(): the places in `sources` of those that play to stream i are
     * by_stream[stream_begin[i]] and on, in the same order; of those that only record, with DX_MAX_STREAMS for i. */
    uint16_t by_stream[DX_ENGINE_MAX_SOURCES];
    uint16_t stream_begin[DX_MAX_STREAMS + 2u];
    struct dx_engine_dsp *input_dsp[DX_MAX_STREAMS][DX_ENGINE_MAX_DSP + 1u]; // each ends in NULL
    struct dx_engine_dsp *output_dsp[DX_MAX_STREAMS][DX_ENGINE_MAX_DSP + 1u];
};

/* A stream as the engine moves it. */
struct dx_engine_stream {
    uint8_t *ring;            // R frames
    uint32_t bytes_per_frame; // physical
    uint32_t channels;
    const _Atomic uint32_t *activity; // the stream's own: 0 while it takes no part; NULL: it always does
    bool is_mixable;
    dx_to_float_function to_float;
    dx_from_float_function from_float;
    uint32_t chunk_frames;
    struct dx_lane *input_lane;        // input only: where it is published
    struct dx_lane_state *input_state; // the engine's own copy; outlives it
};

/* Counters of a device: they outlive its engines.  Written by the IO thread, read by anybody. */
struct dx_engine_counters {
    _Atomic uint64_t cycles;
    _Atomic uint64_t late_cycles;
    _Atomic uint64_t overloads;
    _Atomic uint64_t skipped_input_frames;
    _Atomic uint64_t skipped_output_frames;
    _Atomic uint64_t causes[DX_CAUSE_COUNT];
    _Atomic uint64_t input_frames;
    _Atomic uint64_t output_frames;
    _Atomic uint64_t handler_errors;
    _Atomic uint64_t stamps;
    _Atomic uint64_t bad_stamps;
    _Atomic uint64_t reanchors;
    _Atomic uint64_t starts;
    _Atomic uint64_t limited_samples;
    struct dx_histogram lateness;
    struct dx_histogram handler;
    struct dx_histogram cycle;
};

/** Where a start is. */
enum dx_engine_phase {
    DX_ENGINE_STOPPED,   ///< no IO thread
    DX_ENGINE_STARTING,  ///< no zero timestamp yet
    DX_ENGINE_RUNNING,   ///< cycles run
    DX_ENGINE_TIMED_OUT, ///< none came in time: the thread idles until it is stopped
};

/* How the IO thread answers; outlives the engine, so that one can wait on it without holding the engine. */
struct dx_engine_signal {
    _Atomic uint32_t phase;  // enum dx_engine_phase
    _Atomic uint32_t answer; // + 1 when the phase changed or a plan was taken over
    _Atomic uint32_t timeouts; // + 1 when no zero timestamp came in time
};

struct dx_engine_config {
    dx_clock *clock;
    const char *name;
    IOUserAudioObjectID device_id;
    struct dx_device_io *io;
    struct dx_timeline_config timeline;
    uint32_t ring_frames; // R
    uint32_t input_safety;
    uint32_t output_safety;
    uint32_t late_tolerance;
    uint32_t input_count;
    uint32_t output_count;
    struct dx_engine_stream inputs[DX_MAX_STREAMS];
    struct dx_engine_stream outputs[DX_MAX_STREAMS];
    struct dx_slots page; // where the timeline is published
    struct dx_engine_counters *counters;
    struct dx_engine_signal *signal;
    const struct dx_kernels *kernels;
    void *recorder; // see audio/recorder.h; NULL: nothing is recorded
    _Atomic uint32_t *notices; // + 1, and waiters woken, when cycles were skipped or a start timed out
    bool goes_on; // clients ran on while IO did not: frames since then are skipped frames
    uint64_t start_timeout_ns;
    int priority; // 0: plain
    int cpu;      // 1 + number; 0: any
};

struct dx_engine;

/** Room that keeps the ring from being overwritten while late: part of the bound on N. */
uint32_t dx_engine_jitter_frames(double rate_hz) DX_REALTIME;

/** The largest N for which 3N + Si + So + jitter fits the ring; 0 when none does. */
uint32_t dx_engine_max_io_frames(uint32_t ring_frames, uint32_t input_safety, uint32_t output_safety,
                                 double rate_hz);

/** Frames of a chunk for so many channels. */
uint32_t dx_engine_chunk_frames(uint32_t channels);

/**
 * Makes an engine and starts its IO thread; everything it needs is allocated, touched and locked before.
 *
 * @param config  borrowed for the call; what it points to must outlive the engine.
 * @param plan    borrowed until replaced; each of its streams is one that the engine has.
 * @return 0, -ENOMEM, -EAGAIN (no thread).
 */
int dx_engine_start(const struct dx_engine_config *config, struct dx_engine_plan *plan,
                    struct dx_engine **ret_engine);

/** Stops: returns when the IO thread has left its last cycle; frees.  NULL is fine. */
void dx_engine_stop(struct dx_engine *engine);

/** Puts a plan in force and waits until the one before is no longer used. */
void dx_engine_set_plan(struct dx_engine *engine, struct dx_engine_plan *plan);

/** Waits until a start has come to an end: DX_ENGINE_RUNNING, or why not. */
enum dx_engine_phase dx_engine_wait_started(dx_clock *clock, struct dx_engine_signal *signal);

/** DX_TASK_NOT_... of the IO thread. */
unsigned dx_engine_degraded(const struct dx_engine *engine);

/** The IO thread's own identity, to see whether a caller is inside a cycle. */
bool dx_engine_is_io_task(const struct dx_engine *engine);

/* The inside, for engine_rt.c. */

struct dx_engine {
    /* Fixed between start and stop. */
    struct dx_pages pages; // in which all of this lies
    struct dx_engine_config config;
    struct dx_slots stamps;
    struct dx_slots client_times;
    float *mix;    // the largest chunk in samples
    float *source; // the same: what one source brings, before it is mixed
    struct dx_task *task;

    /* Control to IO. */
    _Atomic(const struct dx_engine_plan *) next_plan;
    _Atomic uint32_t wake; // + 1 to make the IO thread look
    _Atomic bool stop;

    /* IO to control. */
    _Atomic(const struct dx_engine_plan *) plan_in_force;
    _Atomic(const void *) io_task;

    /* IO thread only. */
    const struct dx_engine_plan *plan;
    struct dx_timeline timeline;
    struct dx_timeline_page published;
    struct dx_client_times times;
    uint64_t start_deadline_ns;
    uint64_t due_frame;      // device time T of the next cycle
    uint64_t input_next;     // device time of the first frame not read yet
    uint64_t output_next;    // device time of the first frame not written yet
    bool has_due;            // the three above are set
    bool slept;              // the thread slept for this cycle: nothing before it is to blame
    uint64_t asleep_until_ns; // when it had asked to wake
    uint64_t blame_ns[DX_CAUSE_COUNT];
    uint64_t begin_ns;       // of the cycle at hand
    uint64_t wake_late_ns;   // of the wake for it; 0: it did not sleep
    uint32_t cycle_flags;    // DX_CYCLE_... since the last one that was recorded
    uint64_t output_from;    // device time of the first frame that is written in this cycle, ...
    uint32_t output_frames;  // ... and how many there are
    struct dx_events events;
    struct dx_event causes[DX_CAUSE_COUNT]; // but DX_CAUSE_LANE: that is each source's own
    bool answer_pending;     // somebody may wait for signal->answer
    bool notice_pending;     // somebody may wait for notices
};

/**
 * Does what is due now: takes the plan and the stamp, runs a cycle or finds when the next one is.
 *
 * @return host time at which to look again; at most `now_ns` when there is more to do at once.
 *
 * Thread: IO.  Real-time: yes.
 */
uint64_t dx_engine_step(struct dx_engine *engine, uint64_t now_ns) DX_REALTIME;

#endif /* DX_AUDIO_ENGINE_H */
