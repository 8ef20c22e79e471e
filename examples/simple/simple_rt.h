// SPDX-License-Identifier: MIT
// The inside of the simple device: what the IO thread does.

#ifndef SIMPLE_RT_H
#define SIMPLE_RT_H

#include <dextral/dextral.h>

/** Frames of both rings, and between zero timestamps. */
#define SIMPLE_RING_FRAMES 32768u

/** What the input carries: values of the data source control. */
enum simple_source {
    SIMPLE_SOURCE_TONE_440 = DX_FOURCC('t', '4', '4', '0'),
    SIMPLE_SOURCE_TONE_660 = DX_FOURCC('t', '6', '6', '0'),
    SIMPLE_SOURCE_LOOPBACK = DX_FOURCC('l', 'o', 'o', 'p'),
};

/** Peak of the tones at 0 dB: half of full scale. */
#define SIMPLE_TONE_PEAK 16384.0

/** What the handler needs.  Fixed while IO runs; the controls are asked for their values each time. */
struct simple_io {
    int16_t *output; // rings of mono samples
    int16_t *input;
    uint32_t rate_hz;
    IOUserAudioSelectorControl *source;
    IOUserAudioLevelControl *volume;
};

/** The device's IOOperationHandler; the context is a struct simple_io.  Thread: IO.  Real-time: yes. */
kern_return_t simple_handle_io(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames,
                               uint64_t sample_time, uint64_t host_time, void *context) DX_REALTIME;

#endif /* SIMPLE_RT_H */
