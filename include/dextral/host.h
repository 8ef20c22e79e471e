// SPDX-License-Identifier: MIT
// The host inside a program: runs drivers, keeps their devices, and moves sound between them and clients.

#ifndef DEXTRAL_HOST_H
#define DEXTRAL_HOST_H

#include <dextral/AudioDriverKitTypes.h>
#include <dextral/OSObject.h>
#include <dextral/clock.h>
#include <dextral/plugin.h>

DX_BEGIN_DECLS

typedef struct IOUserAudioDevice IOUserAudioDevice;

/** Runs drivers and keeps the directory of their devices. */
typedef struct dx_host dx_host;
/** An entry of the directory: a device by its UID.  It outlives its driver. */
typedef struct dx_device dx_device;
/** Somebody who plays to or records from a device. */
typedef struct dx_client dx_client;

/** What a listener is told of. */
typedef enum dx_host_event_kind {
    DX_EVENT_DEVICE_ADDED,        ///< a device has a driver (for the first time, or again)
    DX_EVENT_DEVICE_REMOVED,      ///< a device has lost its driver
    DX_EVENT_PROPERTIES_CHANGED,  ///< properties of an object changed: object, selectors
    DX_EVENT_CONFIGURATION_BEGIN, ///< a configuration change begins
    DX_EVENT_CONFIGURATION_END,   ///< it ended: status tells whether it was performed or aborted
    DX_EVENT_IO_STARTED,          ///< the IO thread runs
    DX_EVENT_IO_STOPPED,          ///< the IO thread has ended
    DX_EVENT_START_TIMEOUT,       ///< no zero timestamp came: IO was stopped ('stop')
} dx_host_event_kind;

/** What happened; every pointer is borrowed for the call. */
typedef struct dx_host_event {
    uint32_t size;                                       ///< sizeof(dx_host_event)
    dx_host_event_kind kind;                             ///< what
    dx_device *device;                                   ///< of which device; NULL for a driver's own properties
    IOUserAudioObjectID object;                          ///< the object whose properties changed
    const IOUserAudioObjectPropertySelector *selectors;  ///< which ones
    uint32_t selector_count;                             ///< how many
    kern_return_t status;                                ///< how it went
} dx_host_event;

/** What a host is to be.  All-zero is fine. */
typedef struct dx_host_config {
    uint32_t size;               ///< sizeof(dx_host_config), or 0
    int32_t io_priority;         ///< SCHED_FIFO priority of IO threads; 0: 80; negative: plain scheduling
    int32_t io_cpu;              ///< 1 + number of the CPU for IO threads; 0: any
    uint32_t io_frames;          ///< IO size of a device at first; 0: 512
    uint64_t start_timeout_ns;   ///< how long a driver may take to its first zero timestamp; 0: 5 s
    void (*listener)(void *context, const dx_host_event *event); ///< on the host's queue; may be NULL
    void *listener_context;      ///< handed to the listener
    OSDictionary *saved_state;   ///< of dx_host_copy_saved_state(), an earlier time; borrowed; may be NULL
    void (*log)(void *context, const char *line); ///< one line for people, never from an IO thread; NULL: stderr
    void *log_context;           ///< handed to log
} dx_host_config;

/**
 * Makes a host on the current clock.
 *
 * @param config    borrowed for the call; NULL is all-zero.
 * @param ret_host  written on success only.
 * @return kIOReturnSuccess; kIOReturnNoMemory; kIOReturnBadArgument (a priority, CPU or size out of range).
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_host_create(const dx_host_config *config, dx_host **ret_host);

/**
 * Stops all drivers that still run, and frees the host.  Clients must be closed before.
 *
 * @param host  taken; NULL is fine.
 *
 * Thread: control, not the listener.  Real-time: no, blocks.
 */
DX_API void dx_host_destroy(dx_host *host);

/**
 * Runs a driver: `init`, then `Start`.  What it registers appears in the directory.
 *
 * @param driver      retained until it is stopped.
 * @param properties  the personality that was matched, as IOService::CopyProperties gives it; may be NULL.
 * @return what `Start` returned; kIOReturnError when `init` said no; kIOReturnBusy (it runs already);
 *         kIOReturnNoMemory.
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_host_start_driver(dx_host *host, IOUserAudioDriver *driver, OSDictionary *properties);

/**
 * Stops a driver: IO ends, `Stop` is called, its devices lose their driver but stay in the directory as long
 * as a client has them open.
 *
 * @return what `Stop` returned; kIOReturnNotFound (it does not run here).
 *
 * Thread: control.  Real-time: no, blocks.
 */
DX_API kern_return_t dx_host_stop_driver(dx_host *host, IOUserAudioDriver *driver);

/**
 * Takes a driver away as the death of its process would: nothing of it is called any more, not even `Stop`.
 *
 * @return kIOReturnSuccess; kIOReturnNotFound.
 *
 * Thread: control.  Real-time: no, blocks until its IO thread is out of the handler.
 */
DX_API kern_return_t dx_host_terminate_driver(dx_host *host, IOUserAudioDriver *driver);

/**
 * Waits until everything that was queued before (configuration changes, events) has been done.
 *
 * Thread: control, not the listener.  Real-time: no, blocks.
 */
DX_API void dx_host_settle(dx_host *host);

/**
 * Control values and stream formats by device, to be handed to a later host.
 *
 * @return +1; NULL without memory.
 *
 * Thread: control.  Real-time: no.
 */
DX_API OSDictionary *dx_host_copy_saved_state(dx_host *host);

/**
 * The devices of the directory.
 *
 * @param devices  room for `capacity` entries; each is +1.
 * @return how many there are; no more than `capacity` are written.
 *
 * Thread: control.  Real-time: no.
 */
DX_API size_t dx_host_copy_devices(dx_host *host, dx_device **devices, size_t capacity);

/** The device of a UID, +1; NULL where there is none.  Hidden ones are found too.  Thread: control. */
DX_API dx_device *dx_host_copy_device(dx_host *host, const char *uid);

/** The default device for a direction, +1; NULL where there is none.  Thread: control. */
DX_API dx_device *dx_host_copy_default_device(dx_host *host, IOUserAudioStreamDirection direction);

/** Takes a reference.  Thread: any but an IO thread. */
DX_API dx_device *dx_device_retain(dx_device *device);

/** Gives a reference back; NULL is fine.  Thread: any but an IO thread. */
DX_API void dx_device_release(dx_device *device);

/** The UID, alive as long as the device.  Thread: any. */
DX_API const char *dx_device_uid(const dx_device *device);

/** The driver's object, +1; NULL while there is no driver.  Thread: control. */
DX_API IOUserAudioDevice *dx_device_copy_object(dx_device *device);

/** A stream as clients see it. */
typedef struct dx_stream_info {
    IOUserAudioObjectID object;                   ///< its id; changes with the driver
    bool is_active;                               ///< whether it takes part in IO
    bool is_mixable;                              ///< false: one client, bits passed through
    IOUserAudioStreamBasicDescription physical;   ///< what the ring holds
    IOUserAudioStreamBasicDescription client;     ///< what clients write or read
    uint32_t latency_frames;                      ///< device and stream latency together
} dx_stream_info;

#define DX_MAX_STREAMS 32u ///< in one direction of a device
#define DX_MAX_RATES 64u   ///< of a device, as they are told; a driver may have more
#define DX_NAME_BYTES 128u ///< of a name as it is told, with its NUL; a longer one is cut

/** A device as it is now. */
typedef struct dx_device_info {
    uint32_t size;                 ///< sizeof(dx_device_info), set by the caller
    char name[DX_NAME_BYTES];      ///< for people; empty where the driver gave none
    char manufacturer[DX_NAME_BYTES]; ///< the same
    IOUserAudioTransportType transport; ///< how it is attached
    bool is_hidden;                ///< to be left out of lists
    bool can_be_default_input;     ///< whether it may become the default
    bool can_be_default_output;    ///< the same
    bool has_driver;               ///< whether a driver serves it now
    bool is_running;               ///< whether its IO thread runs
    double sample_rate_hz;         ///< nominal
    double actual_rate_hz;         ///< as the zero timestamps say; nominal before there are enough
    uint32_t rate_count;           ///< how many of `rates_hz` are there
    double rates_hz[DX_MAX_RATES]; ///< nominal rates that can be set
    uint32_t io_frames;            ///< frames in a cycle, N
    uint32_t wanted_io_frames;     ///< N as it was set; 0: the smallest that a client asks for, ...
    uint32_t default_io_frames;    ///< ... or this where none does
    uint32_t ring_frames;          ///< zero-timestamp period, R
    uint32_t input_safety_frames;  ///< Si
    uint32_t output_safety_frames; ///< So
    uint32_t late_tolerance_frames; ///< how late a cycle may be without loss
    uint32_t input_streams;        ///< how many of `inputs` are there
    uint32_t output_streams;       ///< how many of `outputs` are there
    dx_stream_info inputs[DX_MAX_STREAMS];  ///< device to client
    dx_stream_info outputs[DX_MAX_STREAMS]; ///< client to device
} dx_device_info;

/**
 * Tells what a device is now.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (size).
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_device_get_info(dx_device *device, dx_device_info *ret_info);

#define DX_MAX_CHANNELS 1024u ///< of a stream

/**
 * Tells what a stream's channels are for: the part of its device's preferred layout that begins at the stream's
 * starting channel.
 *
 * @param index      of the stream in its direction, from 0.
 * @param labels     room for `capacity` labels, from the first channel on; DX_MAX_CHANNELS is always enough.  NULL
 *                   where that is 0.
 * @param ret_count  as many as the stream has channels, or 0 where the driver does not say; no more than `capacity`
 *                   are written.  A channel beyond the driver's layout is IOUserAudioChannelLabelUnknown.
 * @return kIOReturnSuccess; kIOReturnBadArgument (NULL, no direction); kIOReturnNoDevice (no driver);
 *         kIOReturnNotFound (no such stream).
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_device_get_channel_layout(dx_device *device, IOUserAudioStreamDirection direction,
                                                  uint32_t index, IOUserAudioChannelLabel *labels,
                                                  uint32_t capacity, uint32_t *ret_count);

/**
 * Sets the IO size N, in force from the next cycle on; 0: the smallest that a client asks for.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (3N + Si + So + jitter does not fit the ring).
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_device_set_io_frames(dx_device *device, uint32_t io_frames);

/**
 * Changes the nominal rate through the configuration protocol; returns when it was performed or aborted.
 *
 * @return kIOReturnSuccess; kIOReturnUnsupported (not among the available rates); kIOReturnNoDevice (no
 *         driver); what the driver answered.
 *
 * Thread: control, not the listener and not a driver's queue.  Real-time: no, blocks.
 */
DX_API kern_return_t dx_device_set_sample_rate(dx_device *device, double rate_hz);

/**
 * Changes a stream's format through the configuration protocol; returns when it was performed or aborted.
 *
 * @param index  of the stream in its direction, from 0.
 * @return as dx_device_set_sample_rate(); kIOReturnBadArgument (no such stream).
 *
 * Thread: control, not the listener and not a driver's queue.  Real-time: no, blocks.
 */
DX_API kern_return_t dx_device_set_stream_format(dx_device *device, IOUserAudioStreamDirection direction,
                                                 uint32_t index,
                                                 const IOUserAudioStreamBasicDescription *format);

/** Decides whether a requested configuration change is aborted: for tests of a driver's abort path. */
typedef bool (*dx_configuration_veto)(void *context, dx_device *device, uint64_t action);

/** Asked before each change; NULL: none is aborted.  Thread: control. */
DX_API void dx_host_set_configuration_veto(dx_host *host, dx_configuration_veto veto, void *context);

/** Prewarms a device (StartDevice with Prewarm), or undoes it.  Thread: control. */
DX_API kern_return_t dx_device_set_prewarmed(dx_device *device, bool prewarmed);

/** Why a cycle was late or skipped. */
typedef enum dx_cause {
    DX_CAUSE_NONE,         ///< nothing was wrong
    DX_CAUSE_LATE_WAKE,    ///< the IO thread ran later than it asked for
    DX_CAUSE_HANDLER,      ///< the driver's handler took too long
    DX_CAUSE_DSP,          ///< a DSP plug-in took too long
    DX_CAUSE_CLIENT,       ///< a synchronous client took too long
    DX_CAUSE_ENGINE,       ///< mixing and converting took too long
    DX_CAUSE_BAD_STAMP,    ///< a zero timestamp moved the timeline
    DX_CAUSE_LANE,         ///< a client's lane did not hold all frames when they were due
    DX_CAUSE_UNKNOWN,      ///< none of these explains it
    DX_CAUSE_COUNT,
} dx_cause;

/** A cause's name: "late wake".  A literal.  Thread: any. */
DX_API const char *dx_cause_name(dx_cause cause);

/** Lateness of wakes and durations in nanoseconds. */
typedef struct dx_distribution {
    uint64_t count;   ///< values
    uint64_t p50_ns;  ///< half are at most this
    uint64_t p99_ns;  ///< 99 % are at most this
    uint64_t p999_ns; ///< 99.9 % are at most this
    uint64_t max_ns;  ///< the largest
} dx_distribution;

/** What a device has done since it was made: counters only grow. */
typedef struct dx_device_statistics {
    uint32_t size;                       ///< sizeof(dx_device_statistics), set by the caller
    uint32_t degraded;                   ///< DX_TASK_NOT_... of its IO thread
    uint64_t cycles;                     ///< cycles run
    uint64_t late_cycles;                ///< of these, finished after their deadline
    uint64_t overloads;                  ///< times that cycles were skipped
    uint64_t skipped_input_frames;       ///< frames that no BeginRead covered
    uint64_t skipped_output_frames;      ///< frames that no WriteEnd covered
    uint64_t causes[DX_CAUSE_COUNT];     ///< late cycles, overloads, stamps that moved the timeline, gaps in lanes
    uint64_t input_frames;               ///< frames read
    uint64_t output_frames;              ///< frames written
    uint64_t handler_errors;             ///< calls of the handler that failed
    uint64_t stamps;                     ///< zero timestamps seen
    uint64_t bad_stamps;                 ///< of these, off the grid, backwards or not consecutive
    uint64_t reanchors;                  ///< times the timeline was anchored anew
    uint64_t starts;                     ///< times IO started
    uint64_t limited_samples;            ///< NaN, infinities and magnitudes over 16.0 from clients
    dx_distribution lateness;            ///< of the wake, after the time it was due
    dx_distribution handler;             ///< of the handler's calls
    dx_distribution cycle;               ///< of a whole cycle
} dx_device_statistics;

/**
 * Tells what a device has done.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (size).
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_device_get_statistics(dx_device *device, dx_device_statistics *ret_statistics);

/**
 * Puts a DSP plug-in at the end of a stream's chain: after mixing for output, before clients for input.
 *
 * @param index     of the stream in its direction, from 0; it must be mixable.
 * @param plugin    borrowed until it is removed.
 * @param instance  of plugin->create(); activated here, and again when rate or channels change.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no such stream, not mixable); what activate answered;
 *         kIOReturnNoSpace (8 in the chain already); kIOReturnNoMemory; kIOReturnNoDevice (no driver).
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_device_add_dsp(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index,
                                       const dx_dsp_plugin *plugin, void *instance);

/**
 * Takes a DSP plug-in out, and deactivates it; its process() is not running when this returns.
 *
 * @return kIOReturnSuccess; kIOReturnNotFound.
 *
 * Thread: control.  Real-time: no, blocks.
 */
DX_API kern_return_t dx_device_remove_dsp(dx_device *device, void *instance);

/* Clients. */

#define DX_NO_STREAM UINT32_MAX

/** Times of one callback: frames of device time, which never goes back. */
typedef struct dx_client_cycle {
    uint32_t size;                 ///< sizeof(dx_client_cycle)
    uint32_t frames;               ///< in each buffer
    uint64_t input_time;           ///< device time of the first input frame
    uint64_t output_time;          ///< device time at which the first output frame is heard
    uint64_t host_time_ns;         ///< when this callback was due
    uint64_t lost_frames;          ///< input frames lost and output frames not covered, since it was opened
    double sample_rate_hz;         ///< nominal
} dx_client_cycle;

/**
 * Gives and takes sound.
 *
 * @param input   `frames` frames of the input stream's client format, interleaved; NULL without input.
 * @param output  room for `frames` frames, zeroed; NULL without output.
 */
typedef void (*dx_client_callback)(void *context, const dx_client_cycle *cycle, const void *input,
                                   void *output) DX_REALTIME;

enum {
    /** The callback runs inside the cycle: no latency of its own, but it can make the cycle late.  Frames per
     *  callback are the device's, and vary. */
    DX_CLIENT_SYNCHRONOUS = 1u << 0,
};

/** What a client is to be. */
typedef struct dx_client_config {
    uint32_t size;                ///< sizeof(dx_client_config)
    uint32_t flags;               ///< DX_CLIENT_...
    const char *name;             ///< copied; NULL: "client"
    uint32_t output_stream;       ///< index, or DX_NO_STREAM
    uint32_t input_stream;        ///< index, or DX_NO_STREAM
    uint32_t io_frames;           ///< frames of a callback; 0: the device's IO size
    uint32_t buffer_frames;       ///< of its lane; 0: enough for io_frames and the device's late tolerance
    uint32_t lead_frames;         ///< how far ahead of what the cycle needs it writes; 0: io_frames and 1 or 2 cycles
    int32_t priority;             ///< SCHED_FIFO priority of its thread; 0: below the IO thread's; negative: plain
    dx_client_callback callback;  ///< NULL: dx_client_write() and dx_client_read()
    void *context;                ///< handed to the callback
} dx_client_config;

/**
 * Opens a device for playing, recording or both.
 *
 * @param device      retained until the client is closed.
 * @param ret_client  written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no such stream, a size that does not fit);
 *         kIOReturnExclusiveAccess (a non-mixable stream has a client); kIOReturnUnsupported (synchronous
 *         without a callback); kIOReturnNoMemory; kIOReturnNoResources (too many clients); kIOReturnNoDevice (the
 *         host is gone).
 *
 * When the format that clients of a stream see changes (channels, or anything of a non-mixable stream), or the
 * stream goes, the client is cut off: its callback is called no more, everything else returns
 * kIOReturnUnsupportedMode.  Close it and open the device again.
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_client_open(dx_device *device, const dx_client_config *config, dx_client **ret_client);

/**
 * Starts: frames written before are heard from frame 0 on, and recording begins.  Starts the device's IO if it
 * does not run.
 *
 * @return kIOReturnSuccess (also when it runs already); what StartDevice answered; kIOReturnTimeout (no zero
 *         timestamp came in time: it is stopped again); kIOReturnUnsupportedMode (cut off); kIOReturnNoResources
 *         (no thread); kIOReturnNoMemory.  Without a driver it succeeds: the client hears silence until one comes.
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_client_start(dx_client *client);

/**
 * Stops; the last client to stop stops the device's IO.  Frames not yet heard are dropped.
 *
 * Thread: control.  Real-time: no, blocks.
 */
DX_API void dx_client_stop(dx_client *client);

/** Stops if need be, and frees the client; NULL is fine.  Thread: control. */
DX_API void dx_client_close(dx_client *client);

/**
 * Writes frames after those written before, waiting for room.
 *
 * @param data         `frames` frames of the stream's client format, interleaved.
 * @param deadline_ns  when to give up, on the clock; 0: never wait; DX_NEVER: no limit.
 * @param ret_frames   frames written; fewer than asked at the deadline, or before the start when the lane is
 *                     full.  May be NULL.
 * @return kIOReturnSuccess; kIOReturnTimeout (fewer than asked); kIOReturnUnsupported (no output stream, or a
 *         callback); kIOReturnUnsupportedMode (cut off).
 *
 * A client that comes too late loses nothing silently: what should have been heard already is counted, and
 * the rest is moved to the earliest time at which it can still be heard.
 *
 * Thread: the client's one writer.  Real-time: only with a deadline of 0.
 */
DX_API kern_return_t dx_client_write(dx_client *client, const void *data, uint32_t frames, uint64_t deadline_ns,
                                     uint32_t *ret_frames);

/**
 * Reads the frames after those read before, waiting for them.
 *
 * @param data         room for `frames` frames.
 * @param ret_frames   frames read; may be NULL.
 * @return kIOReturnSuccess; kIOReturnTimeout (fewer than asked); kIOReturnOverrun (frames were lost before
 *         these: counted, and silence stands in their place); kIOReturnUnsupported; kIOReturnNotReady (not
 *         started); kIOReturnUnsupportedMode (cut off).
 *
 * Thread: the client's one reader.  Real-time: only with a deadline of 0.
 */
DX_API kern_return_t dx_client_read(dx_client *client, void *data, uint32_t frames, uint64_t deadline_ns,
                                    uint32_t *ret_frames);

/**
 * Waits until everything written has been heard.
 *
 * @return kIOReturnSuccess; kIOReturnTimeout; kIOReturnNotReady (not started, or stopped meanwhile);
 *         kIOReturnUnsupported (no output stream, or a callback); kIOReturnUnsupportedMode (cut off).
 *
 * Thread: the client's writer.  Real-time: no, blocks.
 */
DX_API kern_return_t dx_client_drain(dx_client *client, uint64_t deadline_ns);

/** Where a client is. */
typedef struct dx_client_status {
    uint32_t size;                  ///< sizeof(dx_client_status), set by the caller
    bool is_running;                ///< started
    uint64_t device_time;           ///< now, in frames: never goes back
    uint64_t host_time_ns;          ///< the same instant
    uint64_t output_base;           ///< device time at which its frame 0 is heard
    uint64_t output_frames;         ///< frames written
    uint64_t input_base;            ///< device time of the first frame recorded
    uint64_t input_frames;          ///< frames read
    uint64_t underrun_frames;       ///< output frames that were not there in time
    uint64_t overrun_frames;        ///< input frames that were lost
    uint64_t limited_samples;       ///< NaN, infinities and magnitudes over 16.0
    uint32_t output_latency_frames; ///< from dx_client_write() at the earliest to being heard, latency properties included
    uint32_t input_latency_frames;  ///< from being heard to dx_client_read(), latency properties included
} dx_client_status;

/** Tells where a client is.  kIOReturnBadArgument (size).  Thread: any.  Real-time: yes. */
DX_API kern_return_t dx_client_get_status(dx_client *client, dx_client_status *ret_status) DX_REALTIME;

DX_END_DECLS

#endif /* DEXTRAL_HOST_H */
