// SPDX-License-Identifier: MIT
// A stream: its formats, its ring, and what it says of itself.

#include "audio/stream.h"

#include "audio/convert.h"
#include "audio/device.h"
#include "audio/overrides.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FORMATS_AT_MOST 256u

static void free_stream(OSObjectPtr object);

static const OSMetaClass stream_class = {
    .name = "IOUserAudioStream",
    .super = &dx_audio_object_class,
    .instance_bytes = sizeof(struct IOUserAudioStream),
    .free = free_stream,
};
const OSMetaClass *const gIOUserAudioStreamMetaClass = &stream_class;

static DX_REALTIME IOUserAudioStream *
check(IOUserAudioStream *stream)
{
    return dx_audio_object_is(stream, &stream_class) ? stream : NULL;
}

static DX_REALTIME struct dx_slots
format_slots(IOUserAudioStream *stream)
{
    return (struct dx_slots){stream->format_words, sizeof(IOUserAudioStreamBasicDescription)};
}

/* Life. */

IOUserAudioStream *
IOUserAudioStreamAlloc(void)
{
    IOUserAudioStream *const stream = dx_audio_object_alloc(&stream_class);
    if (!stream)
        return NULL;
    const struct dx_slots slots = format_slots(stream);
    dx_slots_write(&slots, &(IOUserAudioStreamBasicDescription){0});
    atomic_init(&stream->is_active, true);
    atomic_init(&stream->starting_channel, 1);
    return stream;
}

kern_return_t
IOUserAudioStreamSetOverrides(IOUserAudioStream *stream, const IOUserAudioStreamOverrides *overrides)
{
    return dx_overrides_set(stream, &stream_class, stream ? &stream->overrides : NULL, sizeof stream->overrides,
                            overrides);
}

static bool
is_direction(IOUserAudioStreamDirection direction)
{
    return direction == IOUserAudioStreamDirectionOutput || direction == IOUserAudioStreamDirectionInput;
}

bool
IOUserAudioStreamInit_super(IOUserAudioStream *stream, IOUserAudioDriver *driver,
                            IOUserAudioStreamDirection direction, OSObjectPtr io_memory_descriptor)
{
    if (!dx_overrides_may_set(stream, &stream_class) || !is_direction(direction) ||
        (io_memory_descriptor && !OSObjectIsKindOf(io_memory_descriptor, gIOMemoryDescriptorMetaClass)))
        return false;
    stream->direction = direction;
    OSObjectRelease(stream->ring); // of an init that failed
    stream->ring = OSObjectRetain(io_memory_descriptor);
    return dx_audio_object_init(&stream->object, driver, IOUserAudioClassIDStream, IOUserAudioClassIDObject);
}

bool
IOUserAudioStreamInit(IOUserAudioStream *stream, IOUserAudioDriver *driver, IOUserAudioStreamDirection direction,
                      OSObjectPtr io_memory_descriptor)
{
    if (!OSObjectIsKindOf(stream, &stream_class))
        return false;
    if (!stream->overrides.init)
        return IOUserAudioStreamInit_super(stream, driver, direction, io_memory_descriptor);
    return stream->overrides.init(stream, driver, direction, io_memory_descriptor) && check(stream);
}

IOUserAudioStream *
IOUserAudioStreamCreate(IOUserAudioDriver *driver, IOUserAudioStreamDirection direction,
                        OSObjectPtr io_memory_descriptor)
{
    IOUserAudioStream *const stream = IOUserAudioStreamAlloc();
    if (stream && IOUserAudioStreamInit(stream, driver, direction, io_memory_descriptor))
        return stream;
    OSObjectRelease(stream);
    return NULL;
}

void
IOUserAudioStreamFree_super(IOUserAudioStream *stream)
{
    if (!OSObjectIsKindOf(stream, &stream_class))
        return;
    free(stream->available_formats);
    OSObjectRelease(stream->ring);
    dx_audio_object_free(stream);
}

static void
free_stream(OSObjectPtr object)
{
    IOUserAudioStream *const stream = object;
    if (stream->overrides.free)
        stream->overrides.free(stream);
    else
        IOUserAudioStreamFree_super(stream);
}

/* Called by the device. */

kern_return_t
IOUserAudioStreamStartIO_super(IOUserAudioStream *stream, IOUserAudioStartStopFlags flags)
{
    (void)flags; // nothing to prepare
    return check(stream) ? kIOReturnSuccess : kIOReturnBadArgument;
}

kern_return_t
IOUserAudioStreamStartIO(IOUserAudioStream *stream, IOUserAudioStartStopFlags flags)
{
    const IOUserAudioStream *const s = check(stream);
    if (!s)
        return kIOReturnBadArgument;
    return s->overrides.StartIO ? s->overrides.StartIO(stream, flags)
                                : IOUserAudioStreamStartIO_super(stream, flags);
}

kern_return_t
IOUserAudioStreamStopIO_super(IOUserAudioStream *stream, IOUserAudioStartStopFlags flags)
{
    (void)flags; // nothing to undo
    return check(stream) ? kIOReturnSuccess : kIOReturnBadArgument;
}

kern_return_t
IOUserAudioStreamStopIO(IOUserAudioStream *stream, IOUserAudioStartStopFlags flags)
{
    const IOUserAudioStream *const s = check(stream);
    if (!s)
        return kIOReturnBadArgument;
    return s->overrides.StopIO ? s->overrides.StopIO(stream, flags) : IOUserAudioStreamStopIO_super(stream, flags);
}

kern_return_t
IOUserAudioStreamHandleChangeCurrentStreamFormat_super(IOUserAudioStream *stream,
                                                       const IOUserAudioStreamBasicDescription *format)
{
    return IOUserAudioStreamSetCurrentStreamFormat(stream, format);
}

kern_return_t
IOUserAudioStreamHandleChangeCurrentStreamFormat(IOUserAudioStream *stream,
                                                 const IOUserAudioStreamBasicDescription *format)
{
    const IOUserAudioStream *const s = check(stream);
    if (!s || !format)
        return kIOReturnBadArgument;
    return s->overrides.HandleChangeCurrentStreamFormat
               ? s->overrides.HandleChangeCurrentStreamFormat(stream, format)
               : IOUserAudioStreamHandleChangeCurrentStreamFormat_super(stream, format);
}

kern_return_t
IOUserAudioStreamHandleChangeStreamIsActive_super(IOUserAudioStream *stream, bool is_active)
{
    return IOUserAudioStreamSetStreamIsActive(stream, is_active);
}

kern_return_t
IOUserAudioStreamHandleChangeStreamIsActive(IOUserAudioStream *stream, bool is_active)
{
    const IOUserAudioStream *const s = check(stream);
    if (!s)
        return kIOReturnBadArgument;
    return s->overrides.HandleChangeStreamIsActive
               ? s->overrides.HandleChangeStreamIsActive(stream, is_active)
               : IOUserAudioStreamHandleChangeStreamIsActive_super(stream, is_active);
}

/* Formats. */

static bool
is_set(const IOUserAudioStreamBasicDescription *format)
{
    return format->mFormatID != 0;
}

static bool
is_mixable(const IOUserAudioStreamBasicDescription *format)
{
    return is_set(format) && !(format->mFormatFlags & FormatFlagIsNonMixable);
}

kern_return_t
dx_stream_check_format(const IOUserAudioStreamBasicDescription *format)
{
    if (format->mFormatID != IOUserAudioFormatIDLinearPCM)
        return kIOReturnUnsupported;
    if (format->mFormatFlags & FormatFlagIsNonInterleaved)
        return kIOReturnUnsupported;
    const uint32_t channels = format->mChannelsPerFrame;
    if (!dx_is_sample_rate(format->mSampleRate) || channels == 0 || channels > DX_MAX_CHANNELS ||
        format->mFramesPerPacket != 1 || format->mBytesPerFrame == 0 ||
        format->mBytesPerPacket != format->mBytesPerFrame || format->mBytesPerFrame % channels != 0 ||
        format->mBytesPerFrame / channels > sizeof(uint64_t) || format->mBitsPerChannel == 0 ||
        format->mBitsPerChannel > 8 * (format->mBytesPerFrame / channels))
        return kIOReturnBadArgument;
    if (!is_mixable(format))
        return kIOReturnSuccess; // the bits are the client's

    enum dx_sample_format sample_format;
    const int r = dx_sample_format_from_description(format, &sample_format, NULL);
    if (r == 0)
        return kIOReturnSuccess;
    return r == -ENOTSUP ? kIOReturnUnsupported : kIOReturnBadArgument;
}

static uint32_t
larger_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Bytes of the largest frame that the ring may come to hold; under the lock. */
static uint32_t
largest_frame_bytes(IOUserAudioStream *stream)
{
    uint32_t bytes = IOUserAudioStreamGetCurrentStreamFormat(stream).mBytesPerFrame;
    const uint32_t count = dx_object_get_u32(&stream->available_format_count);
    for (uint32_t i = 0; i < count; i++)
        bytes = larger_u32(bytes, stream->available_formats[i].mBytesPerFrame);
    return bytes;
}

static kern_return_t
check_ring(IOMemoryDescriptor *ring, uint32_t period_frames, uint32_t frame_bytes)
{
    uint64_t length;
    if (!ring)
        return kIOReturnSuccess;
    const kern_return_t status = IOMemoryDescriptorGetLength(ring, &length);
    if (status != kIOReturnSuccess)
        return status;
    return length < (uint64_t)period_frames * frame_bytes ? kIOReturnNoSpace : kIOReturnSuccess;
}

kern_return_t
dx_stream_check_period(IOUserAudioStream *stream, uint32_t period_frames)
{
    dx_mutex_lock(&stream->object.lock);
    const kern_return_t status = check_ring(stream->ring, period_frames, largest_frame_bytes(stream));
    dx_mutex_unlock(&stream->object.lock);
    return status;
}

/* The device that the stream was added to, +1, or NULL. */
static IOUserAudioDevice *
copy_device(IOUserAudioStream *stream)
{
    return (IOUserAudioDevice *)dx_object_copy_owner(&stream->object);
}

/* The period that the ring must hold; 0: not known yet. */
static uint32_t
device_period(IOUserAudioStream *stream)
{
    IOUserAudioDevice *const device = copy_device(stream);
    const uint32_t period = IOUserAudioClockDeviceGetZeroTimestampPeriod(device);
    OSObjectRelease(device);
    return period;
}

/* After a change of formats: whether one is mixable, and what that means for the device. */
static void
update_mixable(IOUserAudioStream *stream)
{
    const IOUserAudioStreamBasicDescription current = IOUserAudioStreamGetCurrentStreamFormat(stream);
    bool mixable = is_mixable(&current);
    dx_mutex_lock(&stream->object.lock);
    const uint32_t count = dx_object_get_u32(&stream->available_format_count);
    for (uint32_t i = 0; i < count && !mixable; i++)
        mixable = is_mixable(&stream->available_formats[i]);
    dx_mutex_unlock(&stream->object.lock);

    /* relaxed: a flag of its own. */
    if (atomic_exchange_explicit(&stream->is_mixable, mixable, memory_order_relaxed) == mixable)
        return;
    IOUserAudioDevice *const device = copy_device(stream);
    if (device)
        dx_device_streams_changed(device);
    OSObjectRelease(device);
}

static const IOUserAudioObjectPropertySelector format_selectors[] = {
    kIOUserAudioPropertyStreamVirtualFormat,
    kIOUserAudioPropertyStreamPhysicalFormat,
    kIOUserAudioPropertyStreamAvailableVirtualFormats,
    kIOUserAudioPropertyStreamAvailablePhysicalFormats,
};

static bool
equal_formats(const IOUserAudioStreamBasicDescription *a, const IOUserAudioStreamBasicDescription *b)
{
    return a->mSampleRate == b->mSampleRate && a->mFormatID == b->mFormatID &&
           a->mFormatFlags == b->mFormatFlags && a->mBytesPerPacket == b->mBytesPerPacket &&
           a->mFramesPerPacket == b->mFramesPerPacket && a->mBytesPerFrame == b->mBytesPerFrame &&
           a->mChannelsPerFrame == b->mChannelsPerFrame && a->mBitsPerChannel == b->mBitsPerChannel;
}

/* Publishes the format, under the lock; whether it is another. */
static bool
store_format(IOUserAudioStream *stream, const IOUserAudioStreamBasicDescription *format)
{
    const IOUserAudioStreamBasicDescription before = IOUserAudioStreamGetCurrentStreamFormat(stream);
    if (equal_formats(&before, format))
        return false;
    const struct dx_slots slots = format_slots(stream);
    dx_slots_write(&slots, format);
    return true;
}

static kern_return_t
set_format(IOUserAudioObject *object, void *argument)
{
    IOUserAudioStream *const stream = (IOUserAudioStream *)object;
    const IOUserAudioStreamBasicDescription *const format = argument;
    const uint32_t period = device_period(stream);
    bool changed = false;

    dx_mutex_lock(&object->lock);
    const kern_return_t status = check_ring(stream->ring, period, format->mBytesPerFrame);
    if (status == kIOReturnSuccess)
        changed = store_format(stream, format);
    dx_mutex_unlock(&object->lock);

    if (changed) {
        update_mixable(stream);
        dx_object_notify(object, format_selectors, 2);
    }
    return status;
}

kern_return_t
IOUserAudioStreamSetCurrentStreamFormat(IOUserAudioStream *stream, const IOUserAudioStreamBasicDescription *format)
{
    IOUserAudioStream *const s = check(stream);
    if (!s || !format)
        return kIOReturnBadArgument;
    IOUserAudioStreamBasicDescription copy = *format;
    const kern_return_t status = dx_stream_check_format(&copy);
    return status == kIOReturnSuccess ? dx_object_run(&s->object, set_format, &copy) : status;
}

IOUserAudioStreamBasicDescription
IOUserAudioStreamGetCurrentStreamFormat(IOUserAudioStream *stream)
{
    IOUserAudioStream *const s = check(stream);
    IOUserAudioStreamBasicDescription format = {0};
    if (s) {
        const struct dx_slots slots = format_slots(s);
        dx_object_read_slots(&slots, &format);
    }
    return format;
}

static uint32_t
distance_u32(uint32_t a, uint32_t b)
{
    return a > b ? a - b : b - a;
}

/* Whether `a` is closer to what is wanted than `b`. */
static bool
is_closer(const IOUserAudioStreamBasicDescription *a, const IOUserAudioStreamBasicDescription *b,
          const IOUserAudioStreamBasicDescription *wanted)
{
    const bool a_same = equal_formats(a, wanted);
    const bool b_same = equal_formats(b, wanted);
    if (a_same != b_same)
        return a_same;
    const uint32_t a_channels = distance_u32(a->mChannelsPerFrame, wanted->mChannelsPerFrame);
    const uint32_t b_channels = distance_u32(b->mChannelsPerFrame, wanted->mChannelsPerFrame);
    if (a_channels != b_channels)
        return a_channels < b_channels;
    const uint32_t a_bits = distance_u32(a->mBitsPerChannel, wanted->mBitsPerChannel);
    const uint32_t b_bits = distance_u32(b->mBitsPerChannel, wanted->mBitsPerChannel);
    if (a_bits != b_bits)
        return a_bits < b_bits;
    return a->mFormatFlags == wanted->mFormatFlags && b->mFormatFlags != wanted->mFormatFlags;
}

/* The available format of the wanted rate that is closest to it; under the lock.  NULL: none has that rate. */
static const IOUserAudioStreamBasicDescription *
find_closest(const IOUserAudioStream *stream, const IOUserAudioStreamBasicDescription *wanted)
{
    const IOUserAudioStreamBasicDescription *best = NULL;
    const uint32_t count = dx_object_get_u32(&stream->available_format_count);
    for (uint32_t i = 0; i < count; i++) {
        const IOUserAudioStreamBasicDescription *const format = &stream->available_formats[i];
        if (format->mSampleRate == wanted->mSampleRate && (!best || is_closer(format, best, wanted)))
            best = format;
    }
    return best;
}

kern_return_t
IOUserAudioStreamDeviceSampleRateChanged(IOUserAudioStream *stream, double sample_rate)
{
    IOUserAudioStream *const s = check(stream);
    if (!s || !dx_is_sample_rate(sample_rate))
        return kIOReturnBadArgument;
    IOUserAudioStreamBasicDescription wanted = IOUserAudioStreamGetCurrentStreamFormat(s);
    const bool has_current = is_set(&wanted);
    wanted.mSampleRate = sample_rate;

    dx_mutex_lock(&s->object.lock);
    const bool has_list = dx_object_get_u32(&s->available_format_count) > 0;
    const IOUserAudioStreamBasicDescription *const closest = find_closest(s, &wanted);
    if (closest)
        wanted = *closest;
    dx_mutex_unlock(&s->object.lock);

    if (has_list ? !closest : !has_current)
        return kIOReturnNotFound;
    return IOUserAudioStreamHandleChangeCurrentStreamFormat(s, &wanted);
}

struct formats {
    const IOUserAudioStreamBasicDescription *formats;
    uint32_t count;
    uint32_t largest_frame_bytes;
};

static bool
equals_available_formats(const IOUserAudioStream *stream, const struct formats *wanted)
{
    if (dx_object_get_u32(&stream->available_format_count) != wanted->count)
        return false;
    for (uint32_t i = 0; i < wanted->count; i++) {
        if (!equal_formats(&stream->available_formats[i], &wanted->formats[i]))
            return false;
    }
    return true;
}

/* Which of format_selectors a new list changed, as a range of it; under the lock.  Takes over `copy`. */
struct format_change {
    IOUserAudioStreamBasicDescription *old;
    uint32_t first;
    uint32_t count;
};

static struct format_change
store_formats(IOUserAudioStream *stream, const struct formats *wanted, IOUserAudioStreamBasicDescription *copy)
{
    const bool is_list_new = !equals_available_formats(stream, wanted);
    IOUserAudioStreamBasicDescription *const old = stream->available_formats;
    stream->available_formats = copy;
    /* relaxed: a count by itself; the formats are read under the lock. */
    atomic_store_explicit(&stream->available_format_count, wanted->count, memory_order_relaxed);

    const IOUserAudioStreamBasicDescription current = IOUserAudioStreamGetCurrentStreamFormat(stream);
    const bool is_format_new = wanted->count > 0 && !is_set(&current) && store_format(stream, &wanted->formats[0]);
    return (struct format_change){
        .old = old,
        .first = is_format_new ? 0 : 2,
        .count = (is_format_new ? 2u : 0u) + (is_list_new ? 2u : 0u),
    };
}

static kern_return_t
set_available_formats(IOUserAudioObject *object, void *argument)
{
    IOUserAudioStream *const stream = (IOUserAudioStream *)object;
    const struct formats *const wanted = argument;
    const uint32_t period = device_period(stream);
    IOUserAudioStreamBasicDescription *copy = NULL;
    if (wanted->count > 0) {
        copy = calloc(wanted->count, sizeof *copy);
        if (!copy)
            return kIOReturnNoMemory;
        memcpy(copy, wanted->formats, wanted->count * sizeof *copy);
    }

    struct format_change change = {.old = copy, .first = 0, .count = 0};
    dx_mutex_lock(&object->lock);
    const kern_return_t status = check_ring(stream->ring, period, wanted->largest_frame_bytes);
    if (status == kIOReturnSuccess)
        change = store_formats(stream, wanted, copy);
    dx_mutex_unlock(&object->lock);

    free(change.old);
    if (change.count > 0) {
        update_mixable(stream);
        dx_object_notify(object, &format_selectors[change.first], change.count);
    }
    return status;
}

kern_return_t
IOUserAudioStreamSetAvailableStreamFormats(IOUserAudioStream *stream,
                                           const IOUserAudioStreamBasicDescription *formats, uint32_t count)
{
    IOUserAudioStream *const s = check(stream);
    if (!s || count > FORMATS_AT_MOST || (count > 0 && !formats))
        return kIOReturnBadArgument;
    struct formats wanted = {.formats = formats, .count = count, .largest_frame_bytes = 0};
    for (uint32_t i = 0; i < count; i++) {
        const kern_return_t status = dx_stream_check_format(&formats[i]);
        if (status != kIOReturnSuccess)
            return status;
        wanted.largest_frame_bytes = larger_u32(wanted.largest_frame_bytes, formats[i].mBytesPerFrame);
    }
    return dx_object_run(&s->object, set_available_formats, &wanted);
}

size_t
IOUserAudioStreamGetNumberAvailableStreamFormats(IOUserAudioStream *stream)
{
    const IOUserAudioStream *const s = check(stream);
    return s ? dx_object_get_u32(&s->available_format_count) : 0;
}

size_t
IOUserAudioStreamGetAvailableStreamFormats(IOUserAudioStream *stream, IOUserAudioStreamBasicDescription *formats,
                                           size_t count)
{
    IOUserAudioStream *const s = check(stream);
    if (!s || !formats)
        return 0;
    dx_mutex_lock(&s->object.lock);
    const uint32_t there = dx_object_get_u32(&s->available_format_count);
    const size_t n = count < there ? count : there;
    if (n > 0)
        memcpy(formats, s->available_formats, n * sizeof *formats);
    dx_mutex_unlock(&s->object.lock);
    return n;
}

/* Plain values. */

IOUserAudioStreamDirection
IOUserAudioStreamGetStreamDirection(IOUserAudioStream *stream)
{
    const IOUserAudioStream *const s = check(stream);
    return s ? s->direction : (IOUserAudioStreamDirection)IOUserAudioStreamDirectionOutput;
}

kern_return_t
IOUserAudioStreamSetStreamIsActive(IOUserAudioStream *stream, bool is_active)
{
    IOUserAudioStream *const s = check(stream);
    return s ? dx_object_set_u32(&s->object, &s->is_active, is_active, kIOUserAudioPropertyStreamIsActive)
             : kIOReturnBadArgument;
}

bool
IOUserAudioStreamGetStreamIsActive(IOUserAudioStream *stream)
{
    const IOUserAudioStream *const s = check(stream);
    return s && dx_object_get_u32(&s->is_active);
}

static bool
is_terminal_type(IOUserAudioStreamTerminalType type)
{
    static const IOUserAudioStreamTerminalType types[] = {
        IOUserAudioStreamTerminalTypeUnknown,
        IOUserAudioStreamTerminalTypeLine,
        IOUserAudioStreamTerminalTypeDigitalAudioInterface,
        IOUserAudioStreamTerminalTypeSpeaker,
        IOUserAudioStreamTerminalTypeHeadphones,
        IOUserAudioStreamTerminalTypeLFESpeaker,
        IOUserAudioStreamTerminalTypeReceiverSpeaker,
        IOUserAudioStreamTerminalTypeMicrophone,
        IOUserAudioStreamTerminalTypeHeadsetMicrophone,
        IOUserAudioStreamTerminalTypeReceiverMicrophone,
        IOUserAudioStreamTerminalTypeTTY,
        IOUserAudioStreamTerminalTypeHDMI,
        IOUserAudioStreamTerminalTypeDisplayPort,
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i] == type)
            return true;
    }
    return false;
}

kern_return_t
IOUserAudioStreamSetTerminalType(IOUserAudioStream *stream, IOUserAudioStreamTerminalType terminal_type)
{
    IOUserAudioStream *const s = check(stream);
    if (!s || !is_terminal_type(terminal_type))
        return kIOReturnBadArgument;
    return dx_object_set_u32(&s->object, &s->terminal_type, terminal_type, kIOUserAudioPropertyStreamTerminalType);
}

IOUserAudioStreamTerminalType
IOUserAudioStreamGetTerminalType(IOUserAudioStream *stream)
{
    const IOUserAudioStream *const s = check(stream);
    return s ? dx_object_get_u32(&s->terminal_type) : (uint32_t)IOUserAudioStreamTerminalTypeUnknown;
}

kern_return_t
IOUserAudioStreamSetStartingChannel(IOUserAudioStream *stream, uint32_t starting_channel)
{
    IOUserAudioStream *const s = check(stream);
    if (!s || starting_channel == 0)
        return kIOReturnBadArgument;
    return dx_object_set_u32(&s->object, &s->starting_channel, starting_channel,
                             kIOUserAudioPropertyStreamStartingChannel);
}

uint32_t
IOUserAudioStreamGetStartingChannel(IOUserAudioStream *stream)
{
    const IOUserAudioStream *const s = check(stream);
    return s ? dx_object_get_u32(&s->starting_channel) : 0;
}

kern_return_t
IOUserAudioStreamSetLatency(IOUserAudioStream *stream, uint32_t latency)
{
    IOUserAudioStream *const s = check(stream);
    return s ? dx_object_set_u32(&s->object, &s->latency_frames, latency, kIOUserAudioPropertyLatency)
             : kIOReturnBadArgument;
}

uint32_t
IOUserAudioStreamGetLatency(IOUserAudioStream *stream)
{
    const IOUserAudioStream *const s = check(stream);
    return s ? dx_object_get_u32(&s->latency_frames) : 0;
}

/* The ring. */

static kern_return_t
set_ring(IOUserAudioObject *object, void *argument)
{
    IOUserAudioStream *const stream = (IOUserAudioStream *)object;
    IOUserAudioDevice *const device = copy_device(stream);
    const bool may = !device || dx_clock_device_may_change_structure(&device->clock);
    const uint32_t period = IOUserAudioClockDeviceGetZeroTimestampPeriod(device);
    OSObjectRelease(device);
    if (!may)
        return kIOReturnNotPermitted;

    IOMemoryDescriptor *unused = NULL;
    dx_mutex_lock(&object->lock);
    const kern_return_t status = check_ring(argument, period, largest_frame_bytes(stream));
    if (status == kIOReturnSuccess) {
        unused = stream->ring;
        stream->ring = OSObjectRetain(argument);
    }
    dx_mutex_unlock(&object->lock);
    OSObjectRelease(unused);
    return status;
}

kern_return_t
IOUserAudioStreamSetIOMemoryDescriptor(IOUserAudioStream *stream, OSObjectPtr io_memory_descriptor)
{
    IOUserAudioStream *const s = check(stream);
    if (!s || (io_memory_descriptor && !OSObjectIsKindOf(io_memory_descriptor, gIOMemoryDescriptorMetaClass)))
        return kIOReturnBadArgument;
    return dx_object_run(&s->object, set_ring, io_memory_descriptor);
}

IOMemoryDescriptor *
IOUserAudioStreamGetIOMemoryDescriptor(IOUserAudioStream *stream)
{
    IOUserAudioStream *const s = check(stream);
    if (!s)
        return NULL;
    dx_mutex_lock(&s->object.lock);
    IOMemoryDescriptor *const ring = OSObjectRetain(s->ring);
    dx_mutex_unlock(&s->object.lock);
    return ring;
}

const _Atomic uint32_t *
dx_stream_get_activity(const IOUserAudioStream *stream)
{
    return &stream->is_active;
}
