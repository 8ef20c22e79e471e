// SPDX-License-Identifier: MIT
// An engine between a driver and clients of the test's own, on a simulated clock: every frame is checked.

#ifndef DX_TESTS_AUDIO_ENGINE_RIG_H
#define DX_TESTS_AUDIO_ENGINE_RIG_H

#include "audio/engine.h"

/*
 * The driver posts the stamps of an ideal clock.  Its handler plays the hardware: at BeginRead it puts the frames of
 * the span into the input rings, at WriteEnd it looks at the span of the output rings, and then makes garbage of both,
 * so that an engine that reads or writes anything else, or at another time, is found out.
 *
 * What each frame is follows from its device time alone, see rig_sample().  A player keeps a lane per output stream
 * filled with it, a recorder compares what arrives in the input rings.  Frames that are neither lost nor doubled are
 * thus frames that compare equal; the handler also sees that spans follow each other without a gap.
 */

enum { RIG_STREAMS = 4, RIG_CALLS = 65536 };

struct rig_stream {
    uint32_t channels;
    enum dx_sample_format format;
    bool is_non_mixable;
    bool is_inactive;
};

/* Zero is a default where 0 makes no sense. */
struct rig_options {
    double rate_hz;        // 48000
    uint32_t ring_frames;  // 4096
    uint32_t io_frames;    // 256
    uint32_t input_safety;
    uint32_t output_safety;
    uint32_t late_tolerance;
    IOUserAudioClockAlgorithm algorithm; // IIR
    double ppm;            // of the driver's clock
    uint32_t jitter_ns;    // stamps come, and say they came, up to this late
    uint64_t start_timeout_ns; // 5 s
    uint64_t clock_start_ns;   // 1 s
    uint32_t inputs, outputs;  // streams; rig_no_streams for 0; 0: 1
    struct rig_stream input[RIG_STREAMS], output[RIG_STREAMS]; // {2, DX_SAMPLE_F32_LE}
    bool has_no_stamps;    // the test posts them
    bool has_no_player;    // the test fills lanes
    bool has_no_recorder;  // the test reads the input
    bool has_no_handler;
};
#define RIG_NO_STREAMS UINT32_MAX

struct rig_call {
    IOUserAudioIOOperation operation;
    uint32_t frames;
    uint64_t sample_time;
    uint64_t host_time;
    uint64_t now_ns;
    int64_t device_time;
};

struct rig {
    struct rig_options options;
    void (*scenario)(struct rig *rig);
    void *context; // the scenario's own
    dx_clock *clock;
    struct dx_device_io io;
    struct dx_engine_config config;
    struct dx_engine_plan plans[2];
    unsigned plan; // index of the one in force
    struct dx_engine_counters counters;
    struct dx_engine_signal signal;
    _Atomic uint32_t notices;
    _Atomic uint32_t page_words[DX_SLOTS_WORDS(sizeof(struct dx_timeline_page))];
    struct dx_engine *engine;

    struct dx_lane input_lanes[RIG_STREAMS];
    struct dx_lane_state input_states[RIG_STREAMS];
    struct dx_lane lanes[RIG_STREAMS]; // the player's
    struct dx_engine_source sources[RIG_STREAMS];

    /* The driver. */
    struct dx_task *driver;
    double true_ns;      // per frame
    uint64_t origin_ns;  // of driver time 0
    uint64_t next_stamp; // its number
    _Atomic bool is_posting;
    _Atomic bool is_stopping;

    /* The handler. */
    void (*on_call)(struct rig *rig, const struct rig_call *call);
    kern_return_t answer;
    struct rig_call calls[RIG_CALLS];
    uint32_t call_count; // all of them; the last RIG_CALLS are kept
    uint64_t input_next, output_next; // device time after the last span; 0: none yet
    uint64_t input_gaps, output_gaps; // frames between spans
    uint64_t hash;                    // of all calls and all that was played

    /* Clients. */
    struct dx_task *player, *recorder;
    _Atomic uint64_t player_start; // device time of its first frame; 0: none yet
    uint64_t player_end;
    struct dx_lane_state lane_states[RIG_STREAMS]; // the player's own
    uint64_t recorded;        // frames that compared equal
    uint64_t recorded_silent; // frames that were silence
    uint64_t recorder_next;

    /* What was wrong, the first of it; asserted by rig_finish(). */
    char error[256];
    uint32_t errors;
};

/** A full-scale value that a float holds exactly, as does every format from 24 bits on. */
float rig_sample(uint64_t device_time, uint32_t stream, uint32_t channel, bool is_input);

/** Runs a scenario on a clock of its own with the rig set up, checks, and frees.  */
void rig_simulate(const struct rig_options *options, uint64_t seed, void (*scenario)(struct rig *rig));

/** The same for a rig of the test's own: what it counted can be looked at afterwards. */
void rig_run(struct rig *rig, const struct rig_options *options, uint64_t seed, void (*scenario)(struct rig *rig),
             dx_simulation_result *ret_result);

/** Starts the engine, and what the options did not exclude. */
void rig_start(struct rig *rig);
/** Stops all of it; can be started again. */
void rig_stop(struct rig *rig);

/** A copy of the plan in force, to be changed; and puts it in force. */
struct dx_engine_plan *rig_next_plan(struct rig *rig);
void rig_set_plan(struct rig *rig);
void rig_set_io_frames(struct rig *rig, uint32_t io_frames);

void rig_sleep_ms(struct rig *rig, double ms);
uint64_t rig_now(const struct rig *rig);
struct dx_timeline_page rig_page(const struct rig *rig);
double rig_position(const struct rig *rig);
uint64_t rig_load(const _Atomic uint64_t *counter);

/** The call `back` calls ago; 0 is the last one. */
const struct rig_call *rig_call(const struct rig *rig, uint32_t back);

/** Counts an error and keeps the first: for code that runs on the IO thread, where nothing can be asserted. */
void rig_fail(struct rig *rig, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** The driver's clock goes on elsewhere: driver time `frame` is now.  Stamps follow from the next period on. */
void rig_move_driver(struct rig *rig, uint64_t frame);

/** Sleeps inside a cycle: what makes a handler, a plug-in or a client slow. */
void rig_be_slow(struct rig *rig, uint64_t ns) DX_REALTIME;

#endif /* DX_TESTS_AUDIO_ENGINE_RIG_H */
