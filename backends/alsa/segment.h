// SPDX-License-Identifier: MIT
// How a program's frames lie in device time: one to one, or at another rate.

#ifndef DX_BACKENDS_ALSA_SEGMENT_H
#define DX_BACKENDS_ALSA_SEGMENT_H

#include <dextral/base.h>

/* From a start, a pause or a change of rate on: frame `frame` of the program is at device time `time`.  Times are
 * frames of the device's rate; before the segment there is nothing. */
struct dx_alsa_segment {
    uint64_t frame;
    uint64_t time;
    uint32_t program_hz; // equal rates: one to one
    uint32_t device_hz;
};

/** The first device time at or after a frame's place. */
static inline DX_REALTIME uint64_t
dx_alsa_segment_find_time(const struct dx_alsa_segment *segment, uint64_t frame)
{
    if (frame <= segment->frame)
        return segment->time;
    const uint64_t frames = frame - segment->frame;
    if (segment->program_hz == segment->device_hz)
        return segment->time + frames;
    return segment->time + (frames * segment->device_hz + segment->program_hz - 1u) / segment->program_hz;
}

/** The last frame whose place is at or before a device time. */
static inline DX_REALTIME uint64_t
dx_alsa_segment_find_frame(const struct dx_alsa_segment *segment, uint64_t time)
{
    if (time <= segment->time)
        return segment->frame;
    const uint64_t frames = time - segment->time;
    if (segment->program_hz == segment->device_hz)
        return segment->frame + frames;
    return segment->frame + frames * segment->program_hz / segment->device_hz;
}

/** How many frames of the program have their place before a device time, those before the segment included. */
static inline DX_REALTIME uint64_t
dx_alsa_segment_count_frames(const struct dx_alsa_segment *segment, uint64_t time)
{
    if (time <= segment->time)
        return segment->frame;
    const uint64_t frames = time - segment->time;
    if (segment->program_hz == segment->device_hz)
        return segment->frame + frames;
    return segment->frame + (frames * segment->program_hz + segment->device_hz - 1u) / segment->device_hz;
}

/** The place of a device time among the program's frames: a whole frame, and the part of one that follows it. */
static inline DX_REALTIME uint64_t
dx_alsa_segment_find_place(const struct dx_alsa_segment *segment, uint64_t time, double *ret_fraction)
{
    const uint64_t scaled = (time - segment->time) * segment->program_hz;
    *ret_fraction = (double)(scaled % segment->device_hz) / segment->device_hz;
    return segment->frame + scaled / segment->device_hz;
}

/** The device time of a frame's place: whole, and the part that follows it. */
static inline DX_REALTIME uint64_t
dx_alsa_segment_find_device_place(const struct dx_alsa_segment *segment, uint64_t frame, double *ret_fraction)
{
    const uint64_t scaled = (frame - segment->frame) * segment->device_hz;
    *ret_fraction = (double)(scaled % segment->program_hz) / segment->program_hz;
    return segment->time + scaled / segment->program_hz;
}

#endif /* DX_BACKENDS_ALSA_SEGMENT_H */
