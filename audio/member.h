// SPDX-License-Identifier: MIT
// A client as a device's entry and its engine know it: of this process, or of another one.

#ifndef DX_AUDIO_MEMBER_H
#define DX_AUDIO_MEMBER_H

#include "audio/engine.h"

struct dx_member;

/* What a member is to be. */
struct dx_member_config {
    const char *name;          // copied
    uint64_t session;          // of a client of another process; else 0
    uint32_t output_stream;    // index, or DX_NO_STREAM
    uint32_t input_stream;     // index, or DX_NO_STREAM
    uint32_t io_frames;        // as asked for; 0: whatever the device's is
    struct dx_histogram *ahead; // of a lane: how far it reached beyond each cycle; borrowed until it leaves; or NULL
    const struct dx_lane *lane; // with an output stream, unless synchronous: borrowed until it leaves, must fit the stream
    dx_client_callback callback; // synchronous: inside the cycle; else NULL
    void *context;
    void *input_buffer;        // synchronous with input: a chunk of the stream; borrowed until it leaves
    float gain;                // of what it plays; 1: bits are not touched, 0: muted
};

/**
 * Makes a client known to a device of this process.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (no such stream); kIOReturnUnsupportedMode (the lane does not fit the
 *         stream's format); kIOReturnExclusiveAccess (a non-mixable stream has one); kIOReturnNoMemory;
 *         kIOReturnNoResources (too many); kIOReturnNoDevice (the host is gone).
 *
 * Thread: control.
 */
kern_return_t dx_member_join(dx_device *device, const struct dx_member_config *config, struct dx_member **ret_member);

/** Counts as running; returns when the clock is established, as dx_client_start() says.  Thread: control; blocks. */
kern_return_t dx_member_start(struct dx_member *member);

/** Counts no more; the last one stops the device's IO.  Thread: control; blocks. */
void dx_member_stop(struct dx_member *member);

/** Stops if need be, and frees it; NULL is fine.  Thread: control; blocks. */
void dx_member_leave(struct dx_member *member);

/** In force from the next cycle on; 0: muted.  Thread: any. */
void dx_member_set_gain(struct dx_member *member, float gain);

/** Whether the device has other formats, or another input ring, than those it joined with: it is of no more use. */
bool dx_member_is_cut_off(const struct dx_member *member);

/** Its place in the device page's counters. */
uint32_t dx_member_index(const struct dx_member *member);

/** Frames that the engine has taken from it, or called it for; alive as long as the member. */
const _Atomic uint64_t *dx_member_frames(const struct dx_member *member);

/** The input ring it reads, or NULL; alive as long as the member. */
const struct dx_lane *dx_member_ring(const struct dx_member *member);

/* What a process that runs drivers for others adds to its host. */

/** The descriptor of a device's page: borrowed, alive as long as the device. */
int dx_device_page_fd(dx_device *device);

/* Memory that outlives the host. */
struct dx_host_memory {
    uint32_t incarnation; // of the driver: 1 more for each that had the same devices
    void *context;
    /** Finds the line that a device's time goes on from, and where its cycles are recorded; either may stay as it is.
     *  Thread: any, one at a time. */
    void (*find)(void *context, const char *uid, struct dx_timeline_page *ret_before, void **ret_recorder);
};

/** Before the first driver is started.  What is found must stay until the host is destroyed. */
void dx_host_set_memory(dx_host *host, const struct dx_host_memory *memory);

#endif /* DX_AUDIO_MEMBER_H */
