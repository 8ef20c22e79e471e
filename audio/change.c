// SPDX-License-Identifier: MIT
// The configuration-change protocol: request, stop, perform or abort, tell the differences, start again.

#include "audio/host_state.h"

#include "audio/clock_device.h"
#include "audio/device.h"
#include "audio/driver.h"
#include "audio/stream.h"

#include <stdlib.h>
#include <string.h>

/*
 * Changes are queued on the host's queue, so each device's come one after the other.  What the driver does runs
 * on its own queue; between stopping and starting IO the entry is marked, so that no client starts it.
 */

struct change {
    dx_host *host;
    struct dx_entry *entry;               // +1; NULL: found when its turn comes
    IOUserAudioClockDevice *device; // +1
    IOUserAudioDriver *driver;      // +1; NULL: found when its turn comes
    uint64_t action;
    OSObjectPtr info; // +1 or NULL
    bool is_aborted;
    kern_return_t status;
};

/* What a listener wants to know of a device, before and after. */
struct snapshot {
    double rate_hz;
    uint64_t rates_hash;
    uint32_t ring_frames;
    uint32_t safety[2];
    uint32_t latency[2];
    uint32_t stream_count[2];
    uint64_t control_hash;
    struct {
        IOUserAudioObjectID id;
        IOUserAudioStreamBasicDescription format;
        uint64_t formats_hash;
        uint32_t latency;
        bool is_active;
    } streams[2][DX_MAX_STREAMS];
};

static uint64_t
hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *const b = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ b[i]) * 1099511628211u; // FNV-1a
    return hash;
}

#define HASH_START 14695981039346656037u

static void
take_stream_snapshot(IOUserAudioStream *stream, struct snapshot *snapshot, int direction, uint32_t index)
{
    IOUserAudioStreamBasicDescription formats[256];
    const size_t count = IOUserAudioStreamGetAvailableStreamFormats(stream, formats, 256);
    snapshot->streams[direction][index].id = IOUserAudioObjectGetObjectID(stream);
    snapshot->streams[direction][index].format = IOUserAudioStreamGetCurrentStreamFormat(stream);
    snapshot->streams[direction][index].formats_hash = hash_bytes(HASH_START, formats, count * sizeof formats[0]);
    snapshot->streams[direction][index].latency = IOUserAudioStreamGetLatency(stream);
    snapshot->streams[direction][index].is_active = IOUserAudioStreamGetStreamIsActive(stream);
}

static void
take_snapshot(IOUserAudioDevice *device, struct snapshot *snapshot)
{
    memset(snapshot, 0, sizeof *snapshot);
    double rates[256];
    const size_t rate_count = IOUserAudioDeviceGetAvailableSampleRates(device, rates, 256);
    snapshot->rate_hz = IOUserAudioDeviceGetSampleRate(device);
    snapshot->rates_hash = hash_bytes(HASH_START, rates, rate_count * sizeof rates[0]);
    snapshot->ring_frames = IOUserAudioDeviceGetZeroTimestampPeriod(device);
    snapshot->safety[0] = IOUserAudioDeviceGetOutputSafetyOffset(device);
    snapshot->safety[1] = IOUserAudioDeviceGetInputSafetyOffset(device);
    snapshot->latency[0] = IOUserAudioDeviceGetOutputLatency(device);
    snapshot->latency[1] = IOUserAudioDeviceGetInputLatency(device);

    IOUserAudioControl *controls[256];
    uint32_t count = dx_clock_device_copy_controls((IOUserAudioClockDevice *)device, controls, 256);
    snapshot->control_hash = hash_bytes(HASH_START, &count, sizeof count);
    for (uint32_t i = 0; i < count && i < 256; i++) {
        const IOUserAudioObjectID id = IOUserAudioObjectGetObjectID(controls[i]);
        snapshot->control_hash = hash_bytes(snapshot->control_hash, &id, sizeof id);
        OSObjectRelease(controls[i]);
    }
    for (int direction = 0; direction < 2; direction++) {
        IOUserAudioStream *streams[DX_MAX_STREAMS];
        count = dx_device_copy_streams(device, (IOUserAudioStreamDirection)direction, streams, DX_MAX_STREAMS);
        count = count < DX_MAX_STREAMS ? count : DX_MAX_STREAMS;
        snapshot->stream_count[direction] = count;
        for (uint32_t i = 0; i < count; i++) {
            take_stream_snapshot(streams[i], snapshot, direction, i);
            OSObjectRelease(streams[i]);
        }
    }
}

static void
tell_stream_differences(dx_host *host, struct dx_entry *entry, const struct snapshot *before,
                        const struct snapshot *after, int direction, uint32_t index)
{
    IOUserAudioObjectPropertySelector changed[8];
    uint32_t n = 0;
    if (before->streams[direction][index].id != after->streams[direction][index].id)
        return; // another stream: the list of streams has changed, and that was told
    if (memcmp(&before->streams[direction][index].format, &after->streams[direction][index].format,
               sizeof(IOUserAudioStreamBasicDescription)) != 0) {
        changed[n++] = kIOUserAudioPropertyStreamPhysicalFormat;
        changed[n++] = kIOUserAudioPropertyStreamVirtualFormat;
    }
    if (before->streams[direction][index].formats_hash != after->streams[direction][index].formats_hash) {
        changed[n++] = kIOUserAudioPropertyStreamAvailablePhysicalFormats;
        changed[n++] = kIOUserAudioPropertyStreamAvailableVirtualFormats;
    }
    if (before->streams[direction][index].latency != after->streams[direction][index].latency)
        changed[n++] = kIOUserAudioPropertyLatency;
    if (before->streams[direction][index].is_active != after->streams[direction][index].is_active)
        changed[n++] = kIOUserAudioPropertyStreamIsActive;
    if (n)
        dx_host_tell(host, DX_EVENT_PROPERTIES_CHANGED, entry, after->streams[direction][index].id, changed, n,
                     kIOReturnSuccess);
}

static bool
has_other_streams(const struct snapshot *before, const struct snapshot *after)
{
    for (int direction = 0; direction < 2; direction++) {
        if (before->stream_count[direction] != after->stream_count[direction])
            return true;
        for (uint32_t i = 0; i < after->stream_count[direction]; i++)
            if (before->streams[direction][i].id != after->streams[direction][i].id)
                return true;
    }
    return false;
}

static void
tell_differences(dx_host *host, struct dx_entry *entry, IOUserAudioObjectID id, const struct snapshot *before,
                 const struct snapshot *after)
{
    IOUserAudioObjectPropertySelector changed[8];
    uint32_t n = 0;
    if (before->rate_hz != after->rate_hz)
        changed[n++] = kIOUserAudioPropertyNominalSampleRate;
    if (before->rates_hash != after->rates_hash)
        changed[n++] = kIOUserAudioPropertyAvailableNominalSampleRates;
    if (before->ring_frames != after->ring_frames)
        changed[n++] = kIOUserAudioPropertyZeroTimestampPeriod;
    if (memcmp(before->safety, after->safety, sizeof before->safety) != 0)
        changed[n++] = kIOUserAudioPropertySafetyOffset;
    if (memcmp(before->latency, after->latency, sizeof before->latency) != 0)
        changed[n++] = kIOUserAudioPropertyLatency;
    if (before->control_hash != after->control_hash)
        changed[n++] = kIOUserAudioPropertyControlList;
    if (has_other_streams(before, after))
        changed[n++] = kIOUserAudioPropertyStreams;
    if (n)
        dx_host_tell(host, DX_EVENT_PROPERTIES_CHANGED, entry, id, changed, n, kIOReturnSuccess);
    for (int direction = 0; direction < 2; direction++)
        for (uint32_t i = 0; i < after->stream_count[direction]; i++)
            tell_stream_differences(host, entry, before, after, direction, i);
}

bool
dx_host_is_in_snapshot(IOUserAudioObjectPropertySelector selector)
{
    switch (selector) {
    case kIOUserAudioPropertyNominalSampleRate:
    case kIOUserAudioPropertyAvailableNominalSampleRates:
    case kIOUserAudioPropertyZeroTimestampPeriod:
    case kIOUserAudioPropertySafetyOffset:
    case kIOUserAudioPropertyLatency:
    case kIOUserAudioPropertyControlList:
    case kIOUserAudioPropertyStreams:
    case kIOUserAudioPropertyStreamPhysicalFormat:
    case kIOUserAudioPropertyStreamVirtualFormat:
    case kIOUserAudioPropertyStreamAvailablePhysicalFormats:
    case kIOUserAudioPropertyStreamAvailableVirtualFormats:
    case kIOUserAudioPropertyStreamIsActive:
        return true;
    default:
        return false;
    }
}

bool
dx_host_is_performing(dx_host *host, IOUserAudioClockDevice *device)
{
    return atomic_load_explicit(&host->changing, memory_order_acquire) == device &&
           atomic_load_explicit(&host->changing_task, memory_order_acquire) == dx_task_self();
}

bool
dx_host_is_changing(dx_host *host, struct dx_entry *entry)
{
    IOUserAudioClockDevice *const changing = atomic_load_explicit(&host->changing, memory_order_acquire);
    if (!changing)
        return false;
    IOUserAudioDevice *const object = dx_entry_copy_object(&entry->device);
    OSObjectRelease(object); // compared, not used
    return (void *)object == (void *)changing;
}

static void
call_driver(struct change *change)
{
    dx_host *const host = change->host;
    dx_mutex_lock(&host->lock);
    const dx_configuration_veto veto = host->veto;
    void *const veto_context = host->veto_context;
    dx_mutex_unlock(&host->lock);

    change->is_aborted = veto && change->entry && veto(veto_context, &change->entry->device, change->action);
    if (change->is_aborted) {
        (void)IOUserAudioClockDeviceAbortDeviceConfigurationChange(change->device, change->action,
                                                                   change->info); // aborted it is in any case
        change->status = kIOReturnAborted;
        return;
    }
    atomic_store_explicit(&host->changing_task, dx_task_self(), memory_order_release);
    atomic_store_explicit(&host->changing, change->device, memory_order_release);
    change->status = IOUserAudioClockDevicePerformDeviceConfigurationChange(change->device, change->action,
                                                                            change->info);
    atomic_store_explicit(&host->changing, NULL, memory_order_release);
    atomic_store_explicit(&host->changing_task, NULL, memory_order_release);
}

/* On the driver's queue: a clock device, or a device that is not in the directory.  No IO to stop. */
static void
perform_without_entry(void *context)
{
    struct change *const change = context;
    struct dx_driver_link *const link = change->device->object.link;
    if (dx_host_runs_driver(change->host, change->driver) &&
        dx_driver_link_owns(link, IOUserAudioObjectGetObjectID(change->device)))
        call_driver(change);
    else
        change->status = kIOReturnNoDevice;
}

/* On the driver's queue. */
static void
perform(struct dx_entry *entry, void *argument)
{
    struct change *const change = argument;
    dx_mutex_lock(&entry->lock);
    const bool is_its = (void *)entry->object == (void *)change->device && dx_entry_is_on_queue(entry);
    entry->is_changing = entry->is_changing || is_its;
    dx_mutex_unlock(&entry->lock);
    if (!is_its) { // its driver went while it waited for its turn
        change->status = kIOReturnNoDevice;
        return;
    }
    dx_entry_stop_io(entry, true);

    IOUserAudioDevice *const device = (IOUserAudioDevice *)change->device;
    struct snapshot *const snapshots = calloc(2, sizeof *snapshots);
    if (snapshots) {
        take_snapshot(device, &snapshots[0]);
        call_driver(change);
        take_snapshot(device, &snapshots[1]);
        tell_differences(change->host, entry, IOUserAudioObjectGetObjectID(device), &snapshots[0], &snapshots[1]);
        free(snapshots);
    } else {
        (void)IOUserAudioClockDeviceAbortDeviceConfigurationChange(change->device, change->action,
                                                                   change->info); // the driver waits for an end
        change->status = kIOReturnNoMemory;
    }

    dx_mutex_lock(&entry->lock);
    entry->is_changing = false;
    (void)dx_entry_read_shapes(entry); // starting IO says what is wrong
    dx_mutex_unlock(&entry->lock);
    const kern_return_t status = dx_entry_start_io(entry);
    if (status != kIOReturnSuccess) {
        dx_host_log(change->host, "%s: IO does not start again: %s", entry->device.uid, dx_return_string(status));
        if (change->status == kIOReturnSuccess)
            change->status = status;
    }
}

static void
run_without_entry(struct change *change)
{
    change->status = kIOReturnNoDevice;
    change->driver = dx_driver_link_copy_driver(change->device->object.link);
    IODispatchQueue *const queue = change->driver ? IOUserAudioDriverGetWorkQueue(change->driver) : NULL;
    if (queue)
        (void)IODispatchQueueDispatchSync_f(queue, change, perform_without_entry); // cancelled: no device
    OSObjectRelease(queue);
}

/* On the host's queue. */
static void
run_change(void *context)
{
    struct change *const change = context;
    dx_host *const host = change->host;
    if (!change->entry)
        change->entry = dx_host_copy_entry_of(host, change->device);
    const IOUserAudioObjectID id = IOUserAudioObjectGetObjectID(change->device);
    dx_host_tell(host, DX_EVENT_CONFIGURATION_BEGIN, change->entry, id, NULL, 0, kIOReturnSuccess);
    if (change->entry)
        dx_entry_run(change->entry, perform, change);
    else
        run_without_entry(change);
    dx_host_tell(host, DX_EVENT_CONFIGURATION_END, change->entry, id, NULL, 0, change->status);
}

static void
finish_change(struct change *change)
{
    dx_entry_release(change->entry);
    OSObjectRelease(change->driver);
    OSObjectRelease(change->device);
    OSObjectRelease(change->info);
}

static void
run_queued_change(void *context)
{
    struct change *const change = context;
    run_change(change);
    finish_change(change);
    free(change);
}

kern_return_t
dx_host_request_configuration_change(dx_host *host, IOUserAudioClockDevice *device, uint64_t action,
                                     OSObjectPtr info)
{
    struct change *const change = calloc(1, sizeof *change);
    if (!change)
        return kIOReturnNoMemory;
    change->host = host;
    change->device = OSObjectRetain(device);
    change->action = action;
    change->info = OSObjectRetain(info);
    const kern_return_t status = IODispatchQueueDispatchAsync_f(host->queue, change, run_queued_change);
    if (status != kIOReturnSuccess) {
        finish_change(change);
        free(change);
    }
    return status;
}

kern_return_t
dx_host_change_and_wait(dx_host *host, struct dx_entry *entry, uint64_t action, OSObjectPtr info)
{
    IOUserAudioDevice *const object = dx_entry_copy_object(&entry->device);
    if (!object)
        return kIOReturnNoDevice;
    struct change change = {
        .host = host,
        .entry = dx_entry_retain(entry),
        .device = (IOUserAudioClockDevice *)object, // takes
        .action = action,
        .info = OSObjectRetain(info),
    };
    const kern_return_t status = IODispatchQueueDispatchSync_f(host->queue, &change, run_change);
    finish_change(&change);
    return status == kIOReturnSuccess ? change.status : status;
}

void
dx_host_set_configuration_veto(dx_host *host, dx_configuration_veto veto, void *context)
{
    if (!host)
        return;
    dx_mutex_lock(&host->lock);
    host->veto = veto;
    host->veto_context = context;
    dx_mutex_unlock(&host->lock);
}

static bool
has_rate(IOUserAudioDevice *object, double rate_hz)
{
    double rates[256];
    const size_t count = IOUserAudioDeviceGetAvailableSampleRates(object, rates, 256);
    for (size_t i = 0; i < count; i++)
        if (rates[i] == rate_hz)
            return true;
    return false;
}

kern_return_t
dx_entry_set_sample_rate(dx_device *device, double rate_hz)
{
    struct dx_entry *const entry = dx_entry_of(device);
    IOUserAudioDevice *const object = dx_entry_copy_object(&entry->device);
    const bool is_there = object;
    const bool is_available = object && has_rate(object, rate_hz);
    OSObjectRelease(object);
    if (!is_there)
        return kIOReturnNoDevice;
    if (!is_available)
        return kIOReturnUnsupported;
    OSObjectPtr const info = dx_configuration_info_for_sample_rate(rate_hz);
    if (!info)
        return kIOReturnNoMemory;
    const kern_return_t status = dx_host_change_and_wait(
        entry->host, entry, IOUserAudioReservedConfigChangeActionSampleRate, info);
    OSObjectRelease(info);
    return status;
}

kern_return_t
dx_entry_set_stream_format(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index,
                           const IOUserAudioStreamBasicDescription *format)
{
    struct dx_entry *const entry = dx_entry_of(device);
    IOUserAudioDevice *const object = dx_entry_copy_object(&entry->device);
    if (!object)
        return kIOReturnNoDevice;
    IOUserAudioStream *streams[DX_MAX_STREAMS];
    uint32_t count = dx_device_copy_streams(object, direction, streams, DX_MAX_STREAMS);
    count = count < DX_MAX_STREAMS ? count : DX_MAX_STREAMS;
    OSObjectRelease(object);
    kern_return_t status = kIOReturnBadArgument;
    if (index < count) {
        IOUserAudioStreamBasicDescription formats[256];
        const size_t n = IOUserAudioStreamGetAvailableStreamFormats(streams[index], formats, 256);
        status = kIOReturnUnsupported;
        for (size_t i = 0; i < n; i++)
            if (memcmp(&formats[i], format, sizeof *format) == 0)
                status = kIOReturnSuccess;
    }
    for (uint32_t i = 0; i < count; i++)
        OSObjectRelease(streams[i]);
    if (status != kIOReturnSuccess)
        return status;
    OSObjectPtr const info = dx_configuration_info_for_stream_format(direction, index, format);
    if (!info)
        return kIOReturnNoMemory;
    status = dx_host_change_and_wait(entry->host, entry, IOUserAudioReservedConfigChangeActionStreamFormat,
                                     info);
    OSObjectRelease(info);
    return status;
}
