// SPDX-License-Identifier: MIT
// The simple device's IO path: a tone, or what was played, at the input volume.

#include "simple_rt.h"

#include <math.h>
#include <string.h>

static int16_t
to_sample(double value) DX_REALTIME
{
    return (int16_t)lrint(fmin(fmax(value, -32768.0), 32767.0));
}

/*
 * The phase is a whole number of rate_hz-ths of a turn and follows from the sample time alone: the tone goes on
 * without a step whatever spans it is asked for in, and is as exact after a year as at the start.
 */
static void
make_tone(const struct simple_io *io, uint32_t position, uint32_t frames, uint64_t sample_time,
          uint32_t frequency_hz, double gain) DX_REALTIME
{
    uint32_t phase = (uint32_t)(sample_time % io->rate_hz * frequency_hz % io->rate_hz);
    const double radians = 2.0 * 3.14159265358979323846 / io->rate_hz;
    for (uint32_t i = 0; i < frames; i++) {
        io->input[position + i] = to_sample(SIMPLE_TONE_PEAK * gain * sin(radians * phase));
        phase = (phase + frequency_hz) % io->rate_hz;
    }
}

static void
copy_output(const struct simple_io *io, uint32_t position, uint32_t frames, double gain) DX_REALTIME
{
    for (uint32_t i = 0; i < frames; i++)
        io->input[position + i] = to_sample(io->output[position + i] * gain);
}

/* A span that does not cross the rings' edge: `position` is `sample_time` modulo SIMPLE_RING_FRAMES. */
static void
read_span(const struct simple_io *io, uint32_t position, uint32_t frames, uint64_t sample_time,
          IOUserAudioSelectorValue source, double gain) DX_REALTIME
{
    switch (source) {
    case SIMPLE_SOURCE_TONE_440:
        make_tone(io, position, frames, sample_time, 440, gain);
        break;
    case SIMPLE_SOURCE_TONE_660:
        make_tone(io, position, frames, sample_time, 660, gain);
        break;
    case SIMPLE_SOURCE_LOOPBACK:
        copy_output(io, position, frames, gain);
        break;
    default: // nothing is selected
        memset(io->input + position, 0, frames * sizeof *io->input);
        break;
    }
    /* The host never clears the ring: what was played would be heard again one lap later. */
    memset(io->output + position, 0, frames * sizeof *io->output);
}

kern_return_t
simple_handle_io(IOUserAudioObjectID device, IOUserAudioIOOperation operation, uint32_t frames,
                 uint64_t sample_time, uint64_t host_time, void *context) DX_REALTIME
{
    const struct simple_io *io = context;
    (void)device, (void)host_time; // one device; its position follows from sample_time alone
    if (frames > SIMPLE_RING_FRAMES)
        return kIOReturnBadArgument;
    if (operation != IOUserAudioIOOperationBeginRead) // what was written stays in its ring until it is due
        return kIOReturnSuccess;

    IOUserAudioSelectorValue source = 0;
    (void)IOUserAudioSelectorControlGetCurrentSelectedValues(io->source, &source, 1); // none: 0
    const double gain = pow(10.0, (double)IOUserAudioLevelControlGetDecibelValue(io->volume) / 20.0);

    const uint32_t position = (uint32_t)(sample_time % SIMPLE_RING_FRAMES);
    const uint32_t to_edge = SIMPLE_RING_FRAMES - position;
    const uint32_t first = frames < to_edge ? frames : to_edge;
    read_span(io, position, first, sample_time, source, gain);
    read_span(io, 0, frames - first, sample_time + first, source, gain);
    return kIOReturnSuccess;
}
