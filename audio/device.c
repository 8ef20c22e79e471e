// SPDX-License-Identifier: MIT
// A device: streams, eligibility as default, safety offsets, and the handler's life.

#include "audio/device.h"

#include "audio/overrides.h"
#include "audio/stream.h"

#include <stdlib.h>
#include <string.h>

/* How long a setter of the handler waits before it tries again for its turn. */
#define TURN_PAUSE_NS 50000u

static void free_device(OSObjectPtr object);

static const OSMetaClass device_class = {
    .name = "IOUserAudioDevice",
    .super = &dx_clock_device_class,
    .instance_bytes = sizeof(struct IOUserAudioDevice),
    .free = free_device,
};
const OSMetaClass *const gIOUserAudioDeviceMetaClass = &device_class;

static DX_REALTIME IOUserAudioDevice *
check(IOUserAudioDevice *device)
{
    return dx_audio_object_is(device, &device_class) ? device : NULL;
}

static DX_REALTIME struct dx_slots
stereo_slots(IOUserAudioDevice *device)
{
    return (struct dx_slots){device->stereo_words, 2 * sizeof(uint32_t)};
}

/* Virtual methods: the override, or the base. */

static kern_return_t
start_io(IOUserAudioClockDevice *clock, IOUserAudioStartStopFlags flags)
{
    IOUserAudioDevice *const device = (IOUserAudioDevice *)clock;
    return device->overrides.StartIO ? device->overrides.StartIO(device, flags)
                                     : IOUserAudioDeviceStartIO_super(device, flags);
}

static kern_return_t
stop_io(IOUserAudioClockDevice *clock, IOUserAudioStartStopFlags flags)
{
    IOUserAudioDevice *const device = (IOUserAudioDevice *)clock;
    return device->overrides.StopIO ? device->overrides.StopIO(device, flags)
                                    : IOUserAudioDeviceStopIO_super(device, flags);
}

static kern_return_t
perform(IOUserAudioClockDevice *clock, uint64_t action, OSObjectPtr info)
{
    IOUserAudioDevice *const device = (IOUserAudioDevice *)clock;
    return device->overrides.PerformDeviceConfigurationChange
               ? device->overrides.PerformDeviceConfigurationChange(device, action, info)
               : IOUserAudioDevicePerformDeviceConfigurationChange_super(device, action, info);
}

static kern_return_t
abort_change(IOUserAudioClockDevice *clock, uint64_t action, OSObjectPtr info)
{
    IOUserAudioDevice *const device = (IOUserAudioDevice *)clock;
    return device->overrides.AbortDeviceConfigurationChange
               ? device->overrides.AbortDeviceConfigurationChange(device, action, info)
               : IOUserAudioDeviceAbortDeviceConfigurationChange_super(device, action, info);
}

static kern_return_t
handle_change_sample_rate(IOUserAudioClockDevice *clock, double sample_rate)
{
    IOUserAudioDevice *const device = (IOUserAudioDevice *)clock;
    return device->overrides.HandleChangeSampleRate
               ? device->overrides.HandleChangeSampleRate(device, sample_rate)
               : IOUserAudioDeviceHandleChangeSampleRate_super(device, sample_rate);
}

/* What a device adds to a clock device. */

/* All streams of both directions, output first, +1 each: a snapshot, so that a stream's method may do anything. */
struct streams {
    IOUserAudioStream *items[2 * DX_MAX_STREAMS];
    uint32_t count;
};

static void
copy_all_streams(IOUserAudioDevice *device, struct streams *ret_streams)
{
    ret_streams->count =
        dx_device_copy_streams(device, IOUserAudioStreamDirectionOutput, ret_streams->items, DX_MAX_STREAMS);
    ret_streams->count += dx_device_copy_streams(device, IOUserAudioStreamDirectionInput,
                                                 ret_streams->items + ret_streams->count, DX_MAX_STREAMS);
}

static void
release_streams(const struct streams *streams)
{
    for (uint32_t i = 0; i < streams->count; i++)
        OSObjectRelease(streams->items[i]);
}

static kern_return_t
start_streams(IOUserAudioClockDevice *clock, IOUserAudioStartStopFlags flags, bool undo_on_failure)
{
    struct streams streams;
    copy_all_streams((IOUserAudioDevice *)clock, &streams);
    kern_return_t status = kIOReturnSuccess;
    uint32_t started = 0;
    while (started < streams.count && status == kIOReturnSuccess) {
        status = IOUserAudioStreamStartIO(streams.items[started], flags);
        if (status == kIOReturnSuccess)
            started++;
    }
    if (status != kIOReturnSuccess && undo_on_failure) {
        while (started > 0)
            (void)IOUserAudioStreamStopIO(streams.items[--started], flags); // the start's failure counts
    }
    release_streams(&streams);
    return status;
}

static kern_return_t
stop_streams(IOUserAudioClockDevice *clock, IOUserAudioStartStopFlags flags)
{
    struct streams streams;
    copy_all_streams((IOUserAudioDevice *)clock, &streams);
    kern_return_t first_failure = kIOReturnSuccess;
    for (uint32_t i = streams.count; i > 0; i--) {
        const kern_return_t status = IOUserAudioStreamStopIO(streams.items[i - 1], flags);
        if (first_failure == kIOReturnSuccess)
            first_failure = status;
    }
    release_streams(&streams);
    return first_failure;
}

static kern_return_t
change_stream_rates(IOUserAudioClockDevice *clock, double sample_rate)
{
    struct streams streams;
    copy_all_streams((IOUserAudioDevice *)clock, &streams);
    kern_return_t first_failure = kIOReturnSuccess;
    for (uint32_t i = 0; i < streams.count; i++) {
        const kern_return_t status = IOUserAudioStreamDeviceSampleRateChanged(streams.items[i], sample_rate);
        if (first_failure == kIOReturnSuccess)
            first_failure = status;
    }
    release_streams(&streams);
    return first_failure;
}

static kern_return_t
change_stream_format(IOUserAudioClockDevice *clock, IOUserAudioStreamDirection direction, uint32_t index,
                     const IOUserAudioStreamBasicDescription *format)
{
    IOUserAudioDevice *const device = (IOUserAudioDevice *)clock;
    dx_mutex_lock(&clock->object.lock);
    const struct dx_object_list *const list = &device->streams[direction];
    IOUserAudioStream *const stream = index < list->count ? OSObjectRetain(list->items[index]) : NULL;
    dx_mutex_unlock(&clock->object.lock);
    if (!stream)
        return kIOReturnBadArgument;
    const kern_return_t status = IOUserAudioStreamHandleChangeCurrentStreamFormat(stream, format);
    OSObjectRelease(stream);
    return status;
}

static kern_return_t
check_period(IOUserAudioClockDevice *clock, uint32_t period)
{
    struct streams streams;
    copy_all_streams((IOUserAudioDevice *)clock, &streams);
    kern_return_t status = kIOReturnSuccess;
    for (uint32_t i = 0; i < streams.count && status == kIOReturnSuccess; i++)
        status = dx_stream_check_period(streams.items[i], period);
    release_streams(&streams);
    return status;
}

static const struct dx_clock_device_ops device_ops = {
    .start_io = start_io,
    .stop_io = stop_io,
    .perform = perform,
    .abort = abort_change,
    .handle_change_sample_rate = handle_change_sample_rate,
    .start_streams = start_streams,
    .stop_streams = stop_streams,
    .change_stream_rates = change_stream_rates,
    .change_stream_format = change_stream_format,
    .check_period = check_period,
};

/* Life. */

IOUserAudioDevice *
IOUserAudioDeviceAlloc(void)
{
    IOUserAudioDevice *const device = dx_clock_device_alloc(&device_class, &device_ops);
    if (!device)
        return NULL;
    const struct dx_slots stereo = stereo_slots(device);
    dx_slots_write(&stereo, (const uint32_t[]){1, 2});
    return device;
}

kern_return_t
IOUserAudioDeviceSetOverrides(IOUserAudioDevice *device, const IOUserAudioDeviceOverrides *overrides)
{
    return dx_overrides_set(device, &device_class, device ? &device->overrides : NULL, sizeof device->overrides,
                            overrides);
}

bool
IOUserAudioDeviceInit_super(IOUserAudioDevice *device, IOUserAudioDriver *driver, bool supports_prewarming,
                            OSString *device_uid, OSString *model_uid, OSString *manufacturer_uid,
                            uint32_t zero_timestamp_period)
{
    return OSObjectIsKindOf(device, &device_class) &&
           dx_clock_device_init(&device->clock, driver, supports_prewarming, device_uid, model_uid,
                                manufacturer_uid, zero_timestamp_period, IOUserAudioClassIDDevice,
                                IOUserAudioClassIDClock);
}

bool
IOUserAudioDeviceInit(IOUserAudioDevice *device, IOUserAudioDriver *driver, bool supports_prewarming,
                      OSString *device_uid, OSString *model_uid, OSString *manufacturer_uid,
                      uint32_t zero_timestamp_period)
{
    if (!OSObjectIsKindOf(device, &device_class))
        return false;
    if (!device->overrides.init)
        return IOUserAudioDeviceInit_super(device, driver, supports_prewarming, device_uid, model_uid,
                                           manufacturer_uid, zero_timestamp_period);
    return device->overrides.init(device, driver, supports_prewarming, device_uid, model_uid, manufacturer_uid,
                                  zero_timestamp_period) &&
           check(device);
}

IOUserAudioDevice *
IOUserAudioDeviceCreate(IOUserAudioDriver *driver, bool supports_prewarming, OSString *device_uid,
                        OSString *model_uid, OSString *manufacturer_uid, uint32_t zero_timestamp_period)
{
    IOUserAudioDevice *const device = IOUserAudioDeviceAlloc();
    if (device && IOUserAudioDeviceInit(device, driver, supports_prewarming, device_uid, model_uid,
                                        manufacturer_uid, zero_timestamp_period))
        return device;
    OSObjectRelease(device);
    return NULL;
}

static void
release_handler(const struct dx_handler *handler)
{
    if (handler->release)
        handler->release(handler->context);
}

void
IOUserAudioDeviceFree_super(IOUserAudioDevice *device)
{
    if (!OSObjectIsKindOf(device, &device_class))
        return;
    for (uint32_t i = 0; i < device->retired_count; i++)
        release_handler(&device->retired[i]);
    release_handler(&device->handler);
    for (unsigned direction = 0; direction < 2; direction++) {
        dx_owned_finish(&device->streams[direction]);
        free(device->layouts[direction]);
    }
    dx_clock_device_free(device);
}

static void
free_device(OSObjectPtr object)
{
    IOUserAudioDevice *const device = object;
    if (device->overrides.free)
        device->overrides.free(device);
    else
        IOUserAudioDeviceFree_super(device);
}

/* Virtual methods as users call them, and their bases: the clock device's do the work for both. */

kern_return_t
IOUserAudioDeviceStartIO(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    return check(device) ? start_io(&device->clock, flags) : kIOReturnBadArgument;
}

kern_return_t
IOUserAudioDeviceStartIO_super(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    return check(device) ? IOUserAudioClockDeviceStartIO_super(&device->clock, flags) : kIOReturnBadArgument;
}

kern_return_t
IOUserAudioDeviceStopIO(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    return check(device) ? stop_io(&device->clock, flags) : kIOReturnBadArgument;
}

kern_return_t
IOUserAudioDeviceStopIO_super(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags)
{
    return check(device) ? IOUserAudioClockDeviceStopIO_super(&device->clock, flags) : kIOReturnBadArgument;
}

kern_return_t
IOUserAudioDevicePerformDeviceConfigurationChange(IOUserAudioDevice *device, uint64_t change_action,
                                                  OSObjectPtr change_info)
{
    return check(device) ? perform(&device->clock, change_action, change_info) : kIOReturnBadArgument;
}

kern_return_t
IOUserAudioDevicePerformDeviceConfigurationChange_super(IOUserAudioDevice *device, uint64_t change_action,
                                                        OSObjectPtr change_info)
{
    return check(device) ? IOUserAudioClockDevicePerformDeviceConfigurationChange_super(&device->clock,
                                                                                        change_action, change_info)
                         : kIOReturnBadArgument;
}

kern_return_t
IOUserAudioDeviceAbortDeviceConfigurationChange(IOUserAudioDevice *device, uint64_t change_action,
                                                OSObjectPtr change_info)
{
    return check(device) ? abort_change(&device->clock, change_action, change_info) : kIOReturnBadArgument;
}

kern_return_t
IOUserAudioDeviceAbortDeviceConfigurationChange_super(IOUserAudioDevice *device, uint64_t change_action,
                                                      OSObjectPtr change_info)
{
    return check(device) ? IOUserAudioClockDeviceAbortDeviceConfigurationChange_super(&device->clock,
                                                                                      change_action, change_info)
                         : kIOReturnBadArgument;
}

kern_return_t
IOUserAudioDeviceHandleChangeSampleRate(IOUserAudioDevice *device, double sample_rate)
{
    return check(device) ? handle_change_sample_rate(&device->clock, sample_rate) : kIOReturnBadArgument;
}

kern_return_t
IOUserAudioDeviceHandleChangeSampleRate_super(IOUserAudioDevice *device, double sample_rate)
{
    return check(device) ? IOUserAudioClockDeviceHandleChangeSampleRate_super(&device->clock, sample_rate)
                         : kIOReturnBadArgument;
}

/* Eligibility as default. */

static kern_return_t
set_choice(IOUserAudioDevice *device, _Atomic uint32_t *field, bool value,
           IOUserAudioObjectPropertySelector selector)
{
    return dx_object_set_u32(&device->clock.object, field, value ? DX_CHOICE_YES : DX_CHOICE_NO, selector);
}

static DX_REALTIME uint32_t
get_choice(const _Atomic uint32_t *field, const _Atomic uint32_t *mixable_streams)
{
    const uint32_t choice = dx_object_get_u32(field);
    return choice == DX_CHOICE_UNSET ? dx_object_get_u32(mixable_streams) > 0 : choice == DX_CHOICE_YES;
}

kern_return_t
IOUserAudioDeviceSetCanBeDefaultInputDevice(IOUserAudioDevice *device, bool can_be_default)
{
    return check(device) ? set_choice(device, &device->can_be_default_input, can_be_default,
                                      kIOUserAudioPropertyDeviceCanBeDefaultDevice)
                         : kIOReturnBadArgument;
}

uint32_t
IOUserAudioDeviceCanBeDefaultInputDevice(IOUserAudioDevice *device)
{
    return check(device) ? get_choice(&device->can_be_default_input,
                                      &device->mixable_streams[IOUserAudioStreamDirectionInput])
                         : 0;
}

kern_return_t
IOUserAudioDeviceSetCanBeDefaultOutputDevice(IOUserAudioDevice *device, bool can_be_default)
{
    return check(device) ? set_choice(device, &device->can_be_default_output, can_be_default,
                                      kIOUserAudioPropertyDeviceCanBeDefaultDevice)
                         : kIOReturnBadArgument;
}

uint32_t
IOUserAudioDeviceCanBeDefaultOutputDevice(IOUserAudioDevice *device)
{
    return check(device) ? get_choice(&device->can_be_default_output,
                                      &device->mixable_streams[IOUserAudioStreamDirectionOutput])
                         : 0;
}

kern_return_t
IOUserAudioDeviceSetCanBeDefaultSystemOutputDevice(IOUserAudioDevice *device, bool can_be_default)
{
    return check(device) ? set_choice(device, &device->can_be_default_system, can_be_default,
                                      kIOUserAudioPropertyDeviceCanBeDefaultSystemDevice)
                         : kIOReturnBadArgument;
}

uint32_t
IOUserAudioDeviceCanBeDefaultSystemOutputDevice(IOUserAudioDevice *device)
{
    return check(device) ? get_choice(&device->can_be_default_system,
                                      &device->mixable_streams[IOUserAudioStreamDirectionOutput])
                         : 0;
}

void
IOUserAudioDeviceSetWantsStreamFormatsRestored(IOUserAudioDevice *device, bool wants_stream_formats_restored)
{
    IOUserAudioDevice *const d = check(device);
    /* relaxed: read by the host after the device was published. */
    if (d && dx_object_get_u32(&d->clock.object.owner_id) == kIOUserAudioObjectIDUnknown)
        atomic_store_explicit(&d->wants_formats_restored,
                              wants_stream_formats_restored ? DX_CHOICE_YES : DX_CHOICE_NO, memory_order_relaxed);
}

bool
dx_device_wants_stream_formats_restored(IOUserAudioDevice *device)
{
    return check(device) && dx_object_get_u32(&device->wants_formats_restored) != DX_CHOICE_NO;
}

/* Offsets. */

kern_return_t
IOUserAudioDeviceSetInputSafetyOffset(IOUserAudioDevice *device, uint32_t safety_offset)
{
    return check(device) ? dx_object_set_u32(&device->clock.object, &device->input_safety_frames, safety_offset,
                                             kIOUserAudioPropertySafetyOffset)
                         : kIOReturnBadArgument;
}

uint32_t
IOUserAudioDeviceGetInputSafetyOffset(IOUserAudioDevice *device)
{
    return check(device) ? dx_object_get_u32(&device->input_safety_frames) : 0;
}

kern_return_t
IOUserAudioDeviceSetOutputSafetyOffset(IOUserAudioDevice *device, uint32_t safety_offset)
{
    return check(device) ? dx_object_set_u32(&device->clock.object, &device->output_safety_frames, safety_offset,
                                             kIOUserAudioPropertySafetyOffset)
                         : kIOReturnBadArgument;
}

uint32_t
IOUserAudioDeviceGetOutputSafetyOffset(IOUserAudioDevice *device)
{
    return check(device) ? dx_object_get_u32(&device->output_safety_frames) : 0;
}

kern_return_t
dx_device_object_set_late_tolerance(IOUserAudioDevice *device, uint32_t frames)
{
    if (!check(device))
        return kIOReturnBadArgument;
    /* relaxed: a value of its own. */
    atomic_store_explicit(&device->late_tolerance_frames, frames, memory_order_relaxed);
    return kIOReturnSuccess;
}

uint32_t
dx_device_object_get_late_tolerance(IOUserAudioDevice *device)
{
    return check(device) ? dx_object_get_u32(&device->late_tolerance_frames) : 0;
}

/* Channels. */

static kern_return_t
set_stereo(IOUserAudioObject *object, void *argument)
{
    IOUserAudioDevice *const device = (IOUserAudioDevice *)object;
    const uint32_t *const wanted = argument;
    const struct dx_slots slots = stereo_slots(device);
    uint32_t before[2] = {0, 0};

    dx_mutex_lock(&object->lock);
    dx_object_read_slots(&slots, before);
    const bool changed = before[0] != wanted[0] || before[1] != wanted[1];
    if (changed)
        dx_slots_write(&slots, wanted);
    dx_mutex_unlock(&object->lock);
    if (changed)
        dx_object_notify_one(object, kIOUserAudioPropertyPreferredChannelsForStereo);
    return kIOReturnSuccess;
}

kern_return_t
IOUserAudioDeviceSetPreferredChannelsForStereo(IOUserAudioDevice *device, uint32_t left_channel,
                                               uint32_t right_channel)
{
    if (!check(device) || left_channel == 0 || right_channel == 0)
        return kIOReturnBadArgument;
    return dx_object_run(&device->clock.object, set_stereo, (uint32_t[]){left_channel, right_channel});
}

void
IOUserAudioDeviceGetPreferredChannelsForStereo(IOUserAudioDevice *device, uint32_t *ret_left_channel,
                                               uint32_t *ret_right_channel)
{
    uint32_t channels[2] = {0, 0};
    if (check(device)) {
        const struct dx_slots slots = stereo_slots(device);
        dx_object_read_slots(&slots, channels);
    }
    if (ret_left_channel)
        *ret_left_channel = channels[0];
    if (ret_right_channel)
        *ret_right_channel = channels[1];
}

struct layout {
    IOUserAudioStreamDirection direction;
    const IOUserAudioChannelLabel *labels;
    uint32_t count;
};

static kern_return_t
set_layout(IOUserAudioObject *object, void *argument)
{
    IOUserAudioDevice *const device = (IOUserAudioDevice *)object;
    const struct layout *const wanted = argument;
    IOUserAudioChannelLabel *copy = NULL;
    if (wanted->count > 0) {
        copy = malloc(wanted->count * sizeof *copy);
        if (!copy)
            return kIOReturnNoMemory;
        memcpy(copy, wanted->labels, wanted->count * sizeof *copy);
    }

    dx_mutex_lock(&object->lock);
    IOUserAudioChannelLabel *const old = device->layouts[wanted->direction];
    uint32_t *const count = &device->layout_counts[wanted->direction];
    const bool changed = *count != wanted->count || (copy && memcmp(old, copy, wanted->count * sizeof *copy) != 0);
    device->layouts[wanted->direction] = copy;
    *count = wanted->count;
    dx_mutex_unlock(&object->lock);
    free(old);
    if (changed)
        dx_object_notify_one(object, kIOUserAudioPropertyPreferredChannelLayout);
    return kIOReturnSuccess;
}

static kern_return_t
set_preferred_layout(IOUserAudioDevice *device, IOUserAudioStreamDirection direction,
                     const IOUserAudioChannelLabel *labels, size_t count)
{
    if (!check(device) || count > DX_MAX_LABELS || (count > 0 && !labels))
        return kIOReturnBadArgument;
    struct layout layout = {.direction = direction, .labels = labels, .count = (uint32_t)count};
    return dx_object_run(&device->clock.object, set_layout, &layout);
}

kern_return_t
IOUserAudioDeviceSetPreferredOutputChannelLayout(IOUserAudioDevice *device, const IOUserAudioChannelLabel *labels,
                                                 size_t count)
{
    return set_preferred_layout(device, IOUserAudioStreamDirectionOutput, labels, count);
}

kern_return_t
IOUserAudioDeviceSetPreferredInputChannelLayout(IOUserAudioDevice *device, const IOUserAudioChannelLabel *labels,
                                                size_t count)
{
    return set_preferred_layout(device, IOUserAudioStreamDirectionInput, labels, count);
}

uint32_t
dx_device_copy_channel_layout(IOUserAudioDevice *device, IOUserAudioStreamDirection direction,
                              IOUserAudioChannelLabel *ret_labels, uint32_t capacity)
{
    IOUserAudioDevice *const d = check(device);
    if (!d || direction > IOUserAudioStreamDirectionInput)
        return 0;
    dx_mutex_lock(&d->clock.object.lock);
    const uint32_t count = d->layout_counts[direction];
    const uint32_t n = count < capacity ? count : capacity;
    if (n > 0)
        memcpy(ret_labels, d->layouts[direction], n * sizeof *ret_labels);
    dx_mutex_unlock(&d->clock.object.lock);
    return count;
}

/* Streams. */

void
dx_device_streams_changed(IOUserAudioDevice *device)
{
    dx_mutex_lock(&device->clock.object.lock);
    for (unsigned direction = 0; direction < 2; direction++) {
        uint32_t mixable = 0;
        const struct dx_object_list *const list = &device->streams[direction];
        for (uint32_t i = 0; i < list->count; i++)
            mixable += dx_object_get_u32(&((const IOUserAudioStream *)list->items[i])->is_mixable);
        /* relaxed: a count of its own. */
        atomic_store_explicit(&device->mixable_streams[direction], mixable, memory_order_relaxed);
    }
    dx_mutex_unlock(&device->clock.object.lock);
}

static kern_return_t
add_stream(IOUserAudioObject *object, void *argument)
{
    IOUserAudioDevice *const device = (IOUserAudioDevice *)object;
    IOUserAudioStream *const stream = argument;
    if (!dx_clock_device_may_change_structure(&device->clock))
        return kIOReturnNotPermitted;
    kern_return_t status = dx_stream_check_period(stream, dx_object_get_u32(&device->clock.period_frames));
    if (status != kIOReturnSuccess)
        return status;
    status = dx_owned_add(object->link, &object->lock, &device->streams[stream->direction], &stream->object,
                          object->id, DX_MAX_STREAMS);
    if (status != kIOReturnSuccess)
        return status;
    dx_device_streams_changed(device);
    dx_object_notify_one(object, kIOUserAudioPropertyStreams);
    return kIOReturnSuccess;
}

kern_return_t
IOUserAudioDeviceAddStream(IOUserAudioDevice *device, IOUserAudioStream *stream)
{
    if (!check(device) || !dx_audio_object_is(stream, gIOUserAudioStreamMetaClass))
        return kIOReturnBadArgument;
    return dx_object_run(&device->clock.object, add_stream, stream);
}

static kern_return_t
remove_stream(IOUserAudioObject *object, void *argument)
{
    IOUserAudioDevice *const device = (IOUserAudioDevice *)object;
    IOUserAudioStream *const stream = argument;
    if (!dx_clock_device_may_change_structure(&device->clock))
        return kIOReturnNotPermitted;
    const kern_return_t status =
        dx_owned_remove(&object->lock, &device->streams[stream->direction], &stream->object);
    if (status != kIOReturnSuccess)
        return status;
    dx_device_streams_changed(device);
    dx_object_notify_one(object, kIOUserAudioPropertyStreams);
    return kIOReturnSuccess;
}

kern_return_t
IOUserAudioDeviceRemoveStream(IOUserAudioDevice *device, IOUserAudioStream *stream)
{
    if (!check(device) || !dx_audio_object_is(stream, gIOUserAudioStreamMetaClass))
        return kIOReturnBadArgument;
    return dx_object_run(&device->clock.object, remove_stream, stream);
}

uint32_t
dx_device_copy_streams(IOUserAudioDevice *device, IOUserAudioStreamDirection direction,
                       IOUserAudioStream **ret_streams, uint32_t capacity)
{
    IOUserAudioDevice *const d = check(device);
    if (!d || direction > IOUserAudioStreamDirectionInput)
        return 0;
    dx_mutex_lock(&d->clock.object.lock);
    const uint32_t count = dx_object_list_copy(&d->streams[direction], ret_streams, capacity);
    dx_mutex_unlock(&d->clock.object.lock);
    return count;
}

/* The handler. */

/*
 * The box replaces function and context under the IO thread's feet; what is left is to give contexts back, which
 * must wait until no call uses them.  Setters take turns at `handler_busy`.  One from a control thread returns from
 * dx_handler_box_set() when no call of an older handler is running: it gives back the one it replaced, and all
 * that the handler itself replaced before - unless there was none to replace, because then the box does not wait.
 * One from inside the handler may not wait, free or lock: it is refused while another has its turn (which may be
 * waiting for this very call to end), and leaves the old context in `retired`.
 */

static bool
take_turn(IOUserAudioDevice *device)
{
    uint32_t idle = 0;
    /* acquire: pairs with the release in end_turn(); the fields are as the last one left them. */
    return atomic_compare_exchange_strong_explicit(&device->handler_busy, &idle, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

static void
end_turn(IOUserAudioDevice *device)
{
    /* release: pairs with the acquire in take_turn(). */
    atomic_store_explicit(&device->handler_busy, 0, memory_order_release);
}

static kern_return_t
replace_from_inside(IOUserAudioDevice *device, IOOperationHandler handler, const struct dx_handler *wanted)
{
    if (!take_turn(device))
        return kIOReturnBusy;
    kern_return_t status = kIOReturnBusy;
    if (!device->handler.release || device->retired_count < DX_HANDLER_SLOTS)
        status = dx_handler_box_set(&device->clock.io.handler, handler, wanted->context);
    if (status == kIOReturnSuccess) {
        if (device->handler.release)
            device->retired[device->retired_count++] = device->handler;
        device->handler = *wanted;
    }
    end_turn(device);
    return status;
}

static kern_return_t
replace(IOUserAudioDevice *device, IOOperationHandler handler, const struct dx_handler *wanted)
{
    /* Another control thread has it, for one call of the handler at most.  A sleep, not a yield: a real-time thread
     * would not let it run. */
    dx_clock *const clock = dx_clock_current();
    while (!take_turn(device))
        dx_clock_sleep_until(clock, dx_clock_now_ns(clock) + TURN_PAUSE_NS);
    struct dx_handler old[1 + DX_HANDLER_SLOTS];
    uint32_t old_count = 0;
    const kern_return_t status = dx_handler_box_set(&device->clock.io.handler, handler, wanted->context);
    if (status == kIOReturnSuccess) {
        if (device->handler.is_set) {
            old_count = device->retired_count;
            memcpy(old, device->retired, old_count * sizeof *old);
            device->retired_count = 0;
        }
        old[old_count++] = device->handler;
        device->handler = *wanted;
    }
    end_turn(device);
    for (uint32_t i = 0; i < old_count; i++)
        release_handler(&old[i]);
    return status;
}

kern_return_t
dx_device_object_set_io_operation_handler(IOUserAudioDevice *device, IOOperationHandler handler, void *context,
                                          void (*release)(void *context))
{
    if (!check(device))
        return kIOReturnBadArgument;
    const struct dx_handler wanted = {.is_set = handler, .context = context, .release = release};
    /* relaxed: only the IO thread itself can find its own name there. */
    const bool is_inside =
        atomic_load_explicit(&device->clock.io.handler.io_task, memory_order_relaxed) == dx_task_self();
    return is_inside ? replace_from_inside(device, handler, &wanted) : replace(device, handler, &wanted);
}

kern_return_t
IOUserAudioDeviceSetIOOperationHandler(IOUserAudioDevice *device, IOOperationHandler handler, void *context)
{
    return dx_device_object_set_io_operation_handler(device, handler, context, NULL);
}

/* Time. */

struct dx_device_io *
dx_device_get_io(IOUserAudioDevice *device)
{
    return check(device) ? &device->clock.io : NULL;
}

void
IOUserAudioDeviceGetCurrentClientIOTime(IOUserAudioDevice *device, bool is_input, uint64_t *ret_sample_time,
                                        uint64_t *ret_host_time)
{
    IOUserAudioDevice *const d = check(device);
    struct dx_client_times times = {0};
    uint64_t host_ticks = 0;
    if (d) {
        const struct dx_slots slots = dx_device_io_clients(&d->clock.io);
        dx_object_read_slots(&slots, &times); // no cycle yet: stays zero
        host_ticks = dx_clock_ticks_from_ns(d->clock.object.link->clock,
                                            is_input ? times.input_host_time_ns : times.output_host_time_ns);
    }
    if (ret_sample_time)
        *ret_sample_time = is_input ? times.input_sample_time : times.output_sample_time;
    if (ret_host_time)
        *ret_host_time = host_ticks;
}
