// SPDX-License-Identifier: MIT
// The cable's IO path: what is written at a sample time is read at the same sample time, once.

#include "cable_rt.h"

#include <string.h>

void
cable_rings_clear(struct cable_rings *rings)
{
    const size_t ring_bytes = (size_t)rings->ring_frames * rings->frame_bytes;
    memset(rings->output, 0, ring_bytes);
    memset(rings->input, 0, ring_bytes);
    memset(rings->heard_at, 0, rings->ring_frames * sizeof *rings->heard_at);
}

/* A span that does not cross the rings' edge: `position` is `sample_time` modulo ring_frames. */
static void
copy_span(struct cable_rings *rings, uint32_t position, uint32_t frames, uint64_t sample_time) DX_REALTIME
{
    const size_t offset = (size_t)position * rings->frame_bytes;
    memcpy(rings->input + offset, rings->output + offset, (size_t)frames * rings->frame_bytes);
    for (uint32_t i = 0; i < frames; i++)
        rings->heard_at[position + i] = sample_time + i + 1;
}

/* Makes silence of what nobody wrote, in runs: zero bytes are silence in every format the cable has. */
static void
silence_span(struct cable_rings *rings, uint32_t position, uint32_t frames, uint64_t sample_time) DX_REALTIME
{
    uint64_t *mark = rings->heard_at + position;
    for (uint32_t i = 0; i < frames;) {
        for (; i < frames && mark[i] == sample_time + i + 1; i++)
            mark[i] = 0;
        const uint32_t begin = i;
        for (; i < frames && mark[i] != sample_time + i + 1; i++)
            mark[i] = 0;
        memset(rings->input + (size_t)(position + begin) * rings->frame_bytes, 0,
               (size_t)(i - begin) * rings->frame_bytes);
    }
}

kern_return_t
cable_handle_io(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames,
                uint64_t sample_time, uint64_t host_time, void *context) DX_REALTIME
{
    struct cable_rings *rings = context;
    (void)device, (void)host_time; // one device; its position follows from sample_time alone
    if (frames > rings->ring_frames)
        return kIOReturnBadArgument;

    const uint32_t position = (uint32_t)(sample_time % rings->ring_frames);
    const uint32_t to_edge = rings->ring_frames - position;
    const uint32_t first = frames < to_edge ? frames : to_edge;

    switch (operation) {
    case IOUserAudioIOOperationWriteEnd:
        copy_span(rings, position, first, sample_time);
        copy_span(rings, 0, frames - first, sample_time + first);
        return kIOReturnSuccess;
    case IOUserAudioIOOperationBeginRead:
        silence_span(rings, position, first, sample_time);
        silence_span(rings, 0, frames - first, sample_time + first);
        return kIOReturnSuccess;
    default: // what a later version of the interface may add
        return kIOReturnUnsupported;
    }
}
