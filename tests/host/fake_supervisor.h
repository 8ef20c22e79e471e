// SPDX-License-Identifier: MIT
// A supervisor for tests of programs: speaks the protocol by hand, keeps what it was asked, and does what the test
// says.

#ifndef TESTS_HOST_FAKE_SUPERVISOR_H
#define TESTS_HOST_FAKE_SUPERVISOR_H

#include "audio/lane.h"
#include "audio/page.h"
#include "host/wire.h"
#include "tests/core/check.h"

#include <pthread.h>
#include <stdatomic.h>

#define FAKE_DEVICES 600u
#define FAKE_REQUESTS 4096u

/* What a driver shares. */
struct fake_driver {
    struct dx_pages page_memory;
    struct dx_device_page *page;
    struct dx_lane ring; // not created without a bytes_per_frame
    struct dx_lane_state ring_state;
};

struct fake_supervisor {
    char folder[64];
    char path[96];
    uint64_t major; // what it says of itself; from fake_prepare() on
    uint64_t minor;
    bool is_strict; // answers another major version with kIOReturnUnsupported, as the real one does
    int listener;
    pthread_t thread;
    int wake[2];

    pthread_mutex_t lock; // guards what follows
    pthread_cond_t changed;
    bool is_ending;
    int client; // -1: none
    uint32_t connections;
    OSDictionary *devices[FAKE_DEVICES];
    uint32_t device_count;
    uint32_t devices_in_a_list; // of one answer; 0: all
    const char *default_uids[2];
    OSDictionary *requests[FAKE_REQUESTS];
    uint32_t request_count;
    const char *mute;      // an operation that is not answered; NULL: none
    const char *refuse;    // one that is answered ...
    kern_return_t refusal; // ... so
    OSDictionary *answer;  // what `set`, `get-property`, `statistics` and unknown operations are answered; or NULL
    struct fake_driver *driver; // whose memory `open` is answered with
    uint64_t member;            // what it says of it
    int replaced_page;          // instead of the page: -1: the page
    int replaced_ring;
    int lane; // of the last open; -1: none
};

/** Held to change what the lock guards, once it has started. */
void fake_lock(struct fake_supervisor *fake);
void fake_unlock(struct fake_supervisor *fake);

/** Makes the folder; fake_start() listens.  Versions may be changed in between. */
void fake_prepare(struct fake_supervisor *fake);
void fake_start(struct fake_supervisor *fake);
/** As if it had been killed; fake_start() is the next one. */
void fake_stop(struct fake_supervisor *fake);
/** Removes everything. */
void fake_finish(struct fake_supervisor *fake);

/** Adds a device with one stereo stream each way; borrowed, may be changed before the program connects. */
OSDictionary *fake_add_device(struct fake_supervisor *fake, const char *uid, const char *name);
/** Tells of a device as it is now. */
void fake_tell(struct fake_supervisor *fake, const OSDictionary *description);
/** Sends an event.  @param body  taken. */
void fake_send(struct fake_supervisor *fake, OSDictionary *body, const int *fds, uint32_t fd_count);
OSDictionary *fake_event(const char *event, const char *uid);
/** Sends bytes. */
void fake_send_bytes(struct fake_supervisor *fake, const void *bytes, size_t length);

/** A stereo float stream, as a description has it; +1. */
OSDictionary *fake_stream(uint32_t channels, bool is_mixable);

/** Waits until there have been so many requests of an operation, and gives the last of them, +1. */
OSDictionary *fake_wait_for(struct fake_supervisor *fake, const char *operation, uint32_t count);
uint32_t fake_count(struct fake_supervisor *fake, const char *operation);
void fake_wait_for_connections(struct fake_supervisor *fake, uint32_t count);

/** A driver whose clock runs at 48 kHz from `frame` now on; sealed as the supervisor does. */
void fake_driver_create(struct fake_driver *driver, uint32_t incarnation, uint64_t frame, uint32_t ring_frames,
                        uint32_t ring_bytes_per_frame);
void fake_driver_destroy(struct fake_driver *driver);
/** Tells that a driver has taken a session over. */
void fake_send_driver(struct fake_supervisor *fake, uint64_t session, const struct fake_driver *driver,
                      uint64_t member);

#define CHECK_STATUS(call, wanted)                                                                                \
    do {                                                                                                          \
        const kern_return_t check_status_ = (call);                                                               \
        if (check_status_ != (kern_return_t)(wanted)) {                                                           \
            (void)fprintf(stderr, "%s:%d: %s: %s, not %s\n", __FILE__, __LINE__, #call,                           \
                          dx_return_string(check_status_), #wanted);                                              \
            abort();                                                                                              \
        }                                                                                                         \
    } while (0)
#define CHECK_OK(call) CHECK_STATUS(call, kIOReturnSuccess)
#define CHECK_TEXT(a, b)                                                                                          \
    do {                                                                                                          \
        const char *const text_ = (a);                                                                            \
        if (!text_ || strcmp(text_, (b)) != 0) {                                                                  \
            (void)fprintf(stderr, "%s:%d: '%s', not '%s'\n", __FILE__, __LINE__, text_, (b));                     \
            abort();                                                                                              \
        }                                                                                                         \
    } while (0)

#endif /* TESTS_HOST_FAKE_SUPERVISOR_H */
