// SPDX-License-Identifier: MIT
// The inside of IOUserAudioStream.

#ifndef DX_AUDIO_STREAM_H
#define DX_AUDIO_STREAM_H

#include "audio/object.h"

#include <dextral/IOUserAudioStream.h>

struct IOUserAudioStream {
    struct IOUserAudioObject object;

    /* Fixed by init. */
    IOUserAudioStreamOverrides overrides;
    IOUserAudioStreamDirection direction;

    /* Stored on the work queue; read by anybody. */
    _Atomic uint32_t is_active;
    _Atomic uint32_t terminal_type;
    _Atomic uint32_t starting_channel;
    _Atomic uint32_t latency_frames;
    _Atomic uint32_t available_format_count;
    _Atomic uint32_t is_mixable; // the current or an available format is
    _Atomic uint32_t format_words[DX_SLOTS_WORDS(sizeof(IOUserAudioStreamBasicDescription))];

    /* Under the object's lock. */
    IOUserAudioStreamBasicDescription *available_formats;
    IOMemoryDescriptor *ring; // retained; or NULL
};

/** Whether the ring holds a period in frames of the largest format: kIOReturnNoSpace.  Without a ring or a format
 *  it does. */
kern_return_t dx_stream_check_period(IOUserAudioStream *stream, uint32_t period_frames);

/** kIOReturnBadArgument or kIOReturnUnsupported for a format that no stream can have. */
kern_return_t dx_stream_check_format(const IOUserAudioStreamBasicDescription *format);

/** The switch behind GetStreamIsActive, for the IO thread; valid as long as the stream. */
const _Atomic uint32_t *dx_stream_get_activity(const IOUserAudioStream *stream);

#endif /* DX_AUDIO_STREAM_H */
