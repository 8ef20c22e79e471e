// SPDX-License-Identifier: MIT
// What a device object and its engine share: stamps one way, client times the other, and the handler.

#ifndef DX_AUDIO_DEVICE_IO_H
#define DX_AUDIO_DEVICE_IO_H

#include "core/slots.h"

#include <dextral/AudioDriverKitTypes.h>
#include <dextral/clock.h>

#include <stdatomic.h>

/* A zero timestamp as the driver posted it.  `count` tells how many were posted, so that a slow reader knows
 * whether a jump of several periods was several stamps or one. */
struct dx_stamp {
    uint64_t sample_time;   // frames of driver time
    uint64_t host_time_ns;
    uint64_t count;
};

/* The pair last handed to the handler, for each direction; all zero before the first cycle. */
struct dx_client_times {
    uint64_t input_sample_time;
    uint64_t input_host_time_ns;
    uint64_t output_sample_time;
    uint64_t output_host_time_ns;
};

#define DX_HANDLER_SLOTS 8u
#define DX_HANDLER_NONE UINT32_MAX

/*
 * The handler in force, replaceable while the IO thread calls it.  A slot is taken by a bit of `used`, filled,
 * and made current; the one before is given back when no call can be inside it: by the setter after `calls`
 * (odd inside a call) was seen even or changed, or, where the setter is the handler itself, by the IO thread
 * after the call.
 */
struct dx_handler_box {
    struct {
        IOOperationHandler function;
        void *context;
    } slots[DX_HANDLER_SLOTS];
    _Atomic uint32_t used;      // bit i: slots[i] is taken
    _Atomic uint32_t current;   // index, or DX_HANDLER_NONE
    _Atomic uint32_t calls;     // + 1 at entry and at exit: stored by the IO thread only
    _Atomic uint32_t waiters;   // setters that sleep on `calls`
    _Atomic(const void *) io_task; // dx_task_self() of the thread inside the call, or NULL
    dx_clock *clock;            // whose tasks call and set it: fixed
    uint32_t retired;           // bits to give back after this call: IO thread only
};

void dx_handler_box_init(struct dx_handler_box *box);

/**
 * Replaces the handler; NULL removes it.  Returns when the old one can no longer be running, at once when
 * called from inside it.
 *
 * @return kIOReturnSuccess; kIOReturnBusy (replaced DX_HANDLER_SLOTS - 1 times inside one call).
 *
 * Thread: any.  Real-time: only from inside the handler.
 */
kern_return_t dx_handler_box_set(struct dx_handler_box *box, IOOperationHandler function, void *context);

/** Calls the handler; kIOReturnNotAttached without one.  Thread: IO.  Real-time: yes. */
kern_return_t dx_handler_box_call(struct dx_handler_box *box, IOUserAudioObjectID device,
                                  IOUserAudioIOOperation operation, uint32_t frames, uint64_t sample_time,
                                  uint64_t host_time) DX_REALTIME;

/** Wakes setters that wait for a call to end.  Thread: IO, outside the cycle.  Real-time: a system call. */
void dx_handler_box_wake(struct dx_handler_box *box);

struct dx_device_io {
    _Atomic uint32_t stamp_words[DX_SLOTS_WORDS(sizeof(struct dx_stamp))];
    _Atomic uint32_t client_words[DX_SLOTS_WORDS(sizeof(struct dx_client_times))];
    uint64_t stamp_count; // the poster's own
    struct dx_handler_box handler;
};

void dx_device_io_init(struct dx_device_io *io);

static inline struct dx_slots
dx_device_io_stamps(struct dx_device_io *io)
{
    return (struct dx_slots){io->stamp_words, sizeof(struct dx_stamp)};
}

static inline struct dx_slots
dx_device_io_clients(struct dx_device_io *io)
{
    return (struct dx_slots){io->client_words, sizeof(struct dx_client_times)};
}

/** Posts a zero timestamp.  Thread: any, one at a time.  Real-time: yes, wait-free. */
void dx_device_io_post(struct dx_device_io *io, uint64_t sample_time, uint64_t host_time_ns) DX_REALTIME;

#endif /* DX_AUDIO_DEVICE_IO_H */
