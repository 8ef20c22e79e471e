// SPDX-License-Identifier: MIT
// A driver for tests of the host, and a host that writes down what it says.

#ifndef TESTS_AUDIO_TEST_DRIVER_H
#define TESTS_AUDIO_TEST_DRIVER_H

#include "tests/core/check.h"

#include <dextral/dextral.h>

#include <stdatomic.h>
#include <string.h>

#define TEST_STREAMS 4u
#define TEST_FORMATS 8u
#define TEST_UID "test.device"
#define TEST_MS UINT64_C(1000000)
#define TEST_S UINT64_C(1000000000)

/* How the driver's clock behaves at a start. */
enum test_stamps {
    TEST_STAMPS_AT_ONCE,   // (0, now) in StartIO, then one each period
    TEST_STAMPS_SIMPLE,    // (0, 0) in StartIO, (0, now) a period later
    TEST_STAMPS_RESUME,    // goes on from GetCurrentZeroTimestamp, on the grid of the last run
    TEST_STAMPS_NONE,      // never
};

struct test_driver;

/* All-zero is a stereo float device with one stream each way, 48 kHz, a ring of 16384 frames. */
struct test_config {
    const char *uid;          // NULL: TEST_UID
    uint32_t period_frames;   // 0: 16384
    uint32_t ring_frames;     // what the buffers hold; 0: the period
    double rate_hz;           // 0: 48000
    uint32_t output_streams;  // both 0: one each; TEST_NONE: none
    uint32_t input_streams;
    uint32_t format_count;    // 0: float stereo at 48000, 44100 and 96000
    IOUserAudioStreamBasicDescription formats[TEST_FORMATS];
    uint32_t input_safety, output_safety;
    uint32_t input_latency, output_latency, stream_latency;
    uint32_t late_tolerance;
    IOUserAudioClockAlgorithm algorithm; // 0: raw
    enum test_stamps stamps;
    double ppm;               // of its clock
    uint64_t jitter_ns;       // of the stamps, uniform
    uint64_t first_sample;    // driver time of the first stamp, a multiple of the period
    bool prewarms;
    bool loops_back;          // what is played comes in at the same driver time
    bool is_hidden;
    bool does_not_register;
    bool has_volume;
    bool refuses_restored_controls, refuses_restored_formats;
    bool insists;             // sets its second format again after AddObject
    bool stop_removes;        // Stop removes the device itself, as Apple's sample does
    kern_return_t start_status;    // of Start, after everything was made
    kern_return_t start_io_status; // of StartIO
    uint64_t start_io_ns;     // how long StartIO takes
    uint64_t handler_ns;      // how long the handler takes
    void (*in_start_io)(struct test_driver *driver);
    void (*in_start_device)(struct test_driver *driver); // after the device's IO was started
    kern_return_t (*in_perform)(struct test_driver *driver, uint64_t action, OSObjectPtr info);
    void (*in_abort)(struct test_driver *driver, uint64_t action, OSObjectPtr info);
    void (*in_handler)(struct test_driver *driver, IOUserAudioIOOperation operation, uint32_t frames,
                       uint64_t sample_time) DX_REALTIME;
};

#define TEST_NONE UINT32_MAX

struct test_driver {
    struct test_config config;
    IOUserAudioDriver *driver; // borrowed: this is its peer
    IODispatchQueue *queue;    // +1, from Start to free
    IODispatchQueue *clock_queue;
    IOTimerDispatchSource *timer;
    IOUserAudioDevice *device; // +1, from Start to free
    IOUserAudioStream *outputs[TEST_STREAMS];
    IOUserAudioStream *inputs[TEST_STREAMS];
    uint8_t *output_rings[TEST_STREAMS];
    uint8_t *input_rings[TEST_STREAMS];
    IOUserAudioLevelControl *volume;

    /* The clock, on its queue. */
    uint64_t anchor_ns; // of ...
    uint64_t anchor_sample; // ... this driver time
    uint64_t next_stamp; // its number from the anchor
    double posted_ppm;   // in force
    _Atomic bool clock_runs;

    /* What was called, how often. */
    _Atomic uint32_t starts, stops, start_devices, stop_devices, start_ios, stop_ios, stream_starts, stream_stops;
    _Atomic uint32_t performs, aborts, rate_changes, format_changes, frees;
    _Atomic uint32_t begin_reads, write_ends, stray_calls; // stray: while IO was not started
    _Atomic bool io_runs;
    _Atomic uint64_t last_write, last_read; // sample times
    _Atomic uint64_t frames_written, frames_read;
    _Atomic uint32_t smallest_operation, largest_operation;
    IOUserAudioStartStopFlags last_flags;

    /* What was heard, by driver time: channel 0 of output 0, float formats only. */
    float *heard; // borrowed; NULL: not wanted
    uint64_t heard_frames;

    char calls[8192]; // "Start StartDevice StartIO ..."
};

/** Makes the driver; +1. */
IOUserAudioDriver *test_driver_create(struct test_driver *driver, const struct test_config *config);

/** A float format. */
IOUserAudioStreamBasicDescription test_format(double rate_hz, uint32_t channels);
/** A format of 16-bit integers. */
IOUserAudioStreamBasicDescription test_format_s16(double rate_hz, uint32_t channels);

/** Forgets the log of calls. */
void test_driver_forget(struct test_driver *driver);

/** True time of a driver time. */
uint64_t test_driver_host_ns(const struct test_driver *driver, double sample);

/* A host that writes down. */

struct test_event {
    dx_host_event_kind kind;
    IOUserAudioObjectID object;
    uint32_t selector_count;
    IOUserAudioObjectPropertySelector selectors[8];
    kern_return_t status;
    bool has_device;
    uint64_t time_ns;
};

struct test_host {
    dx_host *host;
    struct dx_host_config config;
    _Atomic uint32_t event_count;
    struct test_event events[4096];
    void (*in_event)(struct test_host *host, const dx_host_event *event);
    void *context;
    _Atomic uint32_t lines;
    char log[16384];
};

/** Makes a host whose events and log lines go into `host`; `config` may be NULL. */
void test_host_create(struct test_host *host, const dx_host_config *config);
void test_host_destroy(struct test_host *host);
void test_host_forget(struct test_host *host);
uint32_t test_host_count(const struct test_host *host, dx_host_event_kind kind);
/** Index of the first event of a kind from an index on, or event_count. */
uint32_t test_host_find(const struct test_host *host, dx_host_event_kind kind, uint32_t from);
/** Whether the property of an object was told to have changed; object 0: any. */
bool test_host_told(const struct test_host *host, IOUserAudioObjectID object, IOUserAudioObjectPropertySelector selector);

/** One host with one driver, started, and its device. */
struct test_rig {
    struct test_host host;
    struct test_driver driver;
    IOUserAudioDevice *object; // +1
    dx_device *device;         // +1
};

void test_rig_start(struct test_rig *rig, const struct test_config *config, const dx_host_config *host_config);
/** Stops, and checks that nothing was left over. */
void test_rig_finish(struct test_rig *rig);

/* Clients. */

dx_client *test_open(dx_device *device, bool plays, bool records, uint32_t io_frames);
dx_client_status test_status(dx_client *client);
dx_device_info test_info(dx_device *device);
dx_device_statistics test_statistics(dx_device *device);

/* Time. */

uint64_t test_now(void);
void test_sleep(uint64_t ns);
dx_task *test_spawn(void (*function)(void *), void *argument);

/** Runs a test on a simulated clock, with a seed; fails when it does not end well. */
void test_simulate(void (*test)(void));
void test_simulate_seeded(void (*test)(void), uint64_t seed);

/** RUN() on the simulated clock; `filter`: only tests whose name has it; NULL: all. */
extern const char *test_filter;
#define RUN_SIMULATED(test)                                     \
    do {                                                        \
        if (!test_filter || strstr(#test, test_filter)) {       \
            (void)fprintf(stderr, "- %s\n", #test);             \
            test_simulate(test);                                \
        }                                                       \
    } while (0)

/** The same for one that simulates by itself. */
#define RUN_FILTERED(test)                               \
    do {                                                 \
        if (!test_filter || strstr(#test, test_filter))  \
            RUN(test);                                   \
    } while (0)

#define CHECK_OK(call)                                                                                       \
    do {                                                                                                     \
        const kern_return_t check_status_ = (call);                                                          \
        if (check_status_ != kIOReturnSuccess) {                                                             \
            (void)fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, dx_return_string(check_status_)); \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)
#define CHECK_STATUS(call, wanted)                                                                          \
    do {                                                                                                     \
        const kern_return_t check_status_ = (call);                                                          \
        if (check_status_ != (kern_return_t)(wanted)) {                                                      \
            (void)fprintf(stderr, "%s:%d: %s: %s, not %s\n", __FILE__, __LINE__, #call,                      \
                          dx_return_string(check_status_), #wanted);                                         \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)
#define CHECK_TEXT(a, b)                                                                         \
    do {                                                                                         \
        if (strcmp((a), (b)) != 0) {                                                             \
            (void)fprintf(stderr, "%s:%d: '%s', not '%s'\n", __FILE__, __LINE__, (a), (b));      \
            abort();                                                                             \
        }                                                                                        \
    } while (0)

#endif /* TESTS_AUDIO_TEST_DRIVER_H */
