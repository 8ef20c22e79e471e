// SPDX-License-Identifier: MIT
// What the tests of the cable share: a bundle in a host, files of random samples, a player and a recorder.
// Public headers only: the bundle brings the shared library, and there must be one library in a process.

#ifndef DX_TESTS_CABLE_RIG_H
#define DX_TESTS_CABLE_RIG_H

#include "tests/core/check.h"

#include <dextral/dextral.h>

#include <stdatomic.h>

#define SECOND_NS UINT64_C(1000000000)
#define RIG_MANY UINT64_C(0xFFFFFFFF)

#define CHECK_OK(expression)                                                                                   \
    do {                                                                                                       \
        const kern_return_t check_status_ = (expression);                                                      \
        if (check_status_ != kIOReturnSuccess) {                                                               \
            (void)fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #expression,                          \
                          dx_return_string(check_status_));                                                    \
            abort();                                                                                           \
        }                                                                                                      \
    } while (0)

/* ---- a driver in a host ---- */

struct rig {
    dx_host *host;
    IOUserAudioDriver *driver;
    OSDictionary *properties;
    dx_device *device; // the driver's only one
};

/** A setting of the personality in place of the bundle's. */
struct rig_setting {
    const char *key;
    uint64_t value;
};

/** BUILD/examples/NAME.dext; ends the program where it does not load. */
dx_bundle *rig_open_bundle(const char *name);

/** Runs a driver in a host of its own. `config` may be NULL; `settings` end in a NULL key. */
void rig_start(struct rig *rig, dx_bundle *bundle, const dx_host_config *config, const struct rig_setting *settings);

void rig_finish(struct rig *rig);

dx_device_info rig_info(const struct rig *rig);
dx_device_statistics rig_statistics(const struct rig *rig);

/** Nothing was late, skipped, off the grid, limited or refused. */
void rig_check_clean(const struct rig *rig);

/* ---- samples ---- */

uint64_t rig_random(uint64_t *state);

#define RIG_FNV_OFFSET UINT64_C(0xCBF29CE484222325)

/** FNV-1a, going on from `hash`. */
uint64_t rig_hash(uint64_t hash, const void *data, size_t bytes);

/**
 * Fills with random samples as a client writes them, of values that the physical format holds.
 *
 * Mixable integers: k / 2^(bits - 1), of 24 significant bits; mixable floats: every bit pattern up to 16.0, -0 and
 * denormals included, in f64 as well; non-mixable: every bit pattern.
 */
void rig_fill(void *samples, size_t count, const IOUserAudioStreamBasicDescription *physical, uint64_t *random);

/* ---- a player and a recorder ---- */

enum rig_way {
    RIG_CALLBACK, // on a task of the library's
    RIG_BLOCKING, // dx_client_write() and dx_client_read() on a task of the test's
    RIG_SYNCHRONOUS,
};

/** Plays a file, and then silence. */
struct rig_player {
    /* Set by the test. */
    const uint8_t *file;
    size_t frames;
    size_t frame_bytes;
    uint32_t io_frames;
    uint32_t lead_frames;
    uint32_t buffer_frames;
    enum rig_way way;
    /* Where the file is. */
    _Atomic uint64_t base;   // device time of its frame 0; RIG_MANY before it is known
    _Atomic uint64_t played; // frames handed over, silence included
    _Atomic uint64_t moved;  // how often the next frame was not heard right after the one before
    uint64_t next;           // device time of the next one
    uint64_t underruns;      // frames that were not there in time; set when it stops
    _Atomic bool ending;
    dx_client *client;
    dx_task *task;
};

/** Records everything from its start on. */
struct rig_recorder {
    /* Set by the test. */
    uint8_t *capture;
    size_t capacity;
    size_t frame_bytes;
    uint32_t io_frames;
    enum rig_way way;
    /* What came. */
    _Atomic uint64_t base; // device time of the first frame captured; RIG_MANY before it is known
    _Atomic uint64_t frames;
    _Atomic uint64_t moved; // how often a frame did not follow the one before in device time
    uint64_t next;
    uint64_t overruns; // frames that were lost; set when it stops
    _Atomic bool ending;
    dx_client *client;
    dx_task *task;
};

void rig_player_open(struct rig_player *player, dx_device *device);
void rig_player_start(struct rig_player *player);
void rig_player_stop(struct rig_player *player); // it may be started again
void rig_player_close(struct rig_player *player);

void rig_recorder_open(struct rig_recorder *recorder, dx_device *device);
void rig_recorder_start(struct rig_recorder *recorder);
void rig_recorder_stop(struct rig_recorder *recorder);
void rig_recorder_close(struct rig_recorder *recorder);

/** Waits until the recorder has `tail` frames after the file. */
void rig_wait_recorded(const struct rig_player *player, const struct rig_recorder *recorder, size_t tail,
                       uint64_t pause_ns);

/**
 * Compares the hash of all that was recorded with that of silence, the file, and silence.
 *
 * @return the hash of what was recorded.
 */
uint64_t rig_check_recording(const struct rig_player *player, const struct rig_recorder *recorder, const char *what);

/** Ends the program with the simulation's own words where it did not come to its end. */
void rig_simulate(const dx_simulation_config *config, void (*function)(void *argument), void *argument,
                  dx_simulation_result *result);

#endif /* DX_TESTS_CABLE_RIG_H */
