// SPDX-License-Identifier: MIT
// The inside of IOUserAudioBox.

#ifndef DX_AUDIO_BOX_H
#define DX_AUDIO_BOX_H

#include "audio/object.h"

#include <dextral/IOUserAudioBox.h>

/* What a box refers to without owning it. */
struct dx_id_list {
    IOUserAudioObjectID *ids;
    uint32_t count;
    uint32_t capacity;
};

struct IOUserAudioBox {
    struct IOUserAudioObject object;

    /* Fixed by init. */
    IOUserAudioBoxOverrides overrides;
    OSString *uid;

    /* Stored on the work queue; read by anybody. */
    _Atomic uint32_t transport_type;
    _Atomic uint32_t has_audio;
    _Atomic uint32_t has_video;
    _Atomic uint32_t has_midi;
    _Atomic uint32_t is_protected;
    _Atomic uint32_t is_acquired;
    _Atomic uint32_t is_acquirable;
    _Atomic uint32_t acquisition_failure; // a kern_return_t's bits

    /* Under the object's lock. */
    struct dx_id_list devices;
    struct dx_id_list clock_devices;
};

/* What the host needs: ids in order.  @return how many there are; no more than `capacity` are written. */
uint32_t dx_box_copy_device_ids(IOUserAudioBox *box, IOUserAudioObjectID *ret_ids, uint32_t capacity);
uint32_t dx_box_copy_clock_device_ids(IOUserAudioBox *box, IOUserAudioObjectID *ret_ids, uint32_t capacity);

#endif /* DX_AUDIO_BOX_H */
