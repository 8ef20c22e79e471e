// SPDX-License-Identifier: MIT
// The inside of the cable: what the IO thread does with the two rings.

#ifndef CABLE_RT_H
#define CABLE_RT_H

#include <dextral/AudioDriverKitTypes.h>

/*
 * Frame s of driver time stands at s modulo ring_frames in both rings.
 *
 * `heard_at` says which frames of the input ring are worth hearing: 1 + s where frame s was written and not
 * read yet, 0 everywhere else.  A frame that is read and stands there by no such mark is made silence first.
 * So whatever happened to a frame (nobody wrote it, a late cycle was skipped, time went back, it was heard
 * before, it is left from one lap earlier), there is no order of events to be got wrong.
 */
struct cable_rings {
    /* Fixed while IO runs. */
    uint8_t *output;    // written by the host
    uint8_t *input;     // read by the host
    uint32_t ring_frames;
    uint32_t frame_bytes;

    /* The IO thread's own while IO runs. */
    uint64_t *heard_at; // ring_frames entries
};

/** Forgets all that was written.  Thread: control, while IO does not run.  Touches every page it will need. */
void cable_rings_clear(struct cable_rings *rings);

/** The device's IOOperationHandler; the context is a struct cable_rings.  Thread: IO.  Real-time: yes. */
kern_return_t cable_handle_io(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames,
                              uint64_t sample_time, uint64_t host_time, void *context) DX_REALTIME;

#endif /* CABLE_RT_H */
