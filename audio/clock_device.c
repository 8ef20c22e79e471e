// SPDX-License-Identifier: MIT
// The time base of a device: rates, latencies, transport state, zero timestamps and controls.

#include "audio/clock_device.h"

#include "audio/host.h"
#include "audio/overrides.h"

#include <math.h>
#include <stdlib.h>

#define PERIOD_FRAMES_AT_MOST (1u << 24)
#define RATES_AT_MOST 256u
#define CONTROLS_AT_MOST 1024u
#define RATE_HZ_AT_MOST 10e6

/* A zero timestamp as the driver posted it: the engine's is in nanoseconds, and ticks do not survive the way
 * there and back. */
struct posted {
    uint64_t sample_time;
    uint64_t host_ticks;
};

static void free_clock_device(OSObjectPtr object);

const OSMetaClass dx_clock_device_class = {
    .name = "IOUserAudioClockDevice",
    .super = &dx_audio_object_class,
    .instance_bytes = sizeof(struct IOUserAudioClockDevice),
    .free = free_clock_device,
};
const OSMetaClass *const gIOUserAudioClockDeviceMetaClass = &dx_clock_device_class;

static DX_REALTIME IOUserAudioClockDevice *
check(IOUserAudioClockDevicePtr device)
{
    return dx_audio_object_is(device, &dx_clock_device_class) ? device : NULL;
}

static DX_REALTIME struct dx_slots
rate_slots(IOUserAudioClockDevice *device)
{
    return (struct dx_slots){device->rate_words, sizeof(double)};
}

static DX_REALTIME struct dx_slots
posted_slots(IOUserAudioClockDevice *device)
{
    return (struct dx_slots){device->posted_words, sizeof(struct posted)};
}

bool
dx_is_sample_rate(double sample_rate)
{
    return isfinite(sample_rate) && sample_rate > 0 && sample_rate <= RATE_HZ_AT_MOST;
}

/* The virtual methods of a clock device that is not a device. */

static kern_return_t
start_io(IOUserAudioClockDevice *device, IOUserAudioStartStopFlags flags)
{
    return device->overrides.StartIO ? device->overrides.StartIO(device, flags)
                                     : IOUserAudioClockDeviceStartIO_super(device, flags);
}

static kern_return_t
stop_io(IOUserAudioClockDevice *device, IOUserAudioStartStopFlags flags)
{
    return device->overrides.StopIO ? device->overrides.StopIO(device, flags)
                                    : IOUserAudioClockDeviceStopIO_super(device, flags);
}

static kern_return_t
perform(IOUserAudioClockDevice *device, uint64_t action, OSObjectPtr info)
{
    return device->overrides.PerformDeviceConfigurationChange
               ? device->overrides.PerformDeviceConfigurationChange(device, action, info)
               : IOUserAudioClockDevicePerformDeviceConfigurationChange_super(device, action, info);
}

static kern_return_t
abort_change(IOUserAudioClockDevice *device, uint64_t action, OSObjectPtr info)
{
    return device->overrides.AbortDeviceConfigurationChange
               ? device->overrides.AbortDeviceConfigurationChange(device, action, info)
               : IOUserAudioClockDeviceAbortDeviceConfigurationChange_super(device, action, info);
}

static kern_return_t
handle_change_sample_rate(IOUserAudioClockDevice *device, double sample_rate)
{
    return device->overrides.HandleChangeSampleRate
               ? device->overrides.HandleChangeSampleRate(device, sample_rate)
               : IOUserAudioClockDeviceHandleChangeSampleRate_super(device, sample_rate);
}

static const struct dx_clock_device_ops clock_device_ops = {
    .start_io = start_io,
    .stop_io = stop_io,
    .perform = perform,
    .abort = abort_change,
    .handle_change_sample_rate = handle_change_sample_rate,
};

/* Life. */

OSObjectPtr
dx_clock_device_alloc(const OSMetaClass *meta, const struct dx_clock_device_ops *ops)
{
    IOUserAudioClockDevice *const device = dx_audio_object_alloc(meta);
    if (!device)
        return NULL;
    device->ops = ops;
    dx_device_io_init(&device->io);
    const struct dx_slots rate = rate_slots(device);
    dx_slots_write(&rate, &(double){0});
    const struct dx_slots posted = posted_slots(device);
    dx_slots_write(&posted, &(struct posted){0});
    atomic_init(&device->clock_algorithm, IOUserAudioClockAlgorithmSimpleIIR);
    atomic_init(&device->clock_is_stable, true);
    atomic_init(&device->is_alive, true);
    return device;
}

IOUserAudioClockDevice *
IOUserAudioClockDeviceAlloc(void)
{
    return dx_clock_device_alloc(&dx_clock_device_class, &clock_device_ops);
}

/* A clock device that is not a device, initialised or not. */
static bool
is_plain(const IOUserAudioClockDevice *device)
{
    return device && device->object.base.isa == &dx_clock_device_class;
}

kern_return_t
IOUserAudioClockDeviceSetOverrides(IOUserAudioClockDevice *device,
                                   const IOUserAudioClockDeviceOverrides *overrides)
{
    if (!is_plain(device))
        return kIOReturnBadArgument;
    return dx_overrides_set(device, &dx_clock_device_class, &device->overrides, sizeof device->overrides,
                            overrides);
}

bool
dx_clock_device_init(IOUserAudioClockDevice *device, IOUserAudioDriver *driver, bool supports_prewarming,
                     OSString *device_uid, OSString *model_uid, OSString *manufacturer_uid,
                     uint32_t zero_timestamp_period, IOUserAudioClassID class_id, IOUserAudioClassID base_class_id)
{
    if (device->uid || !dx_is_identifier(device_uid) || (model_uid && !dx_is_identifier(model_uid)) ||
        (manufacturer_uid && !dx_is_identifier(manufacturer_uid)) || zero_timestamp_period == 0 ||
        zero_timestamp_period > PERIOD_FRAMES_AT_MOST)
        return false;
    device->uid = OSObjectRetain(device_uid);
    device->model_uid = OSObjectRetain(model_uid);
    device->manufacturer_uid = OSObjectRetain(manufacturer_uid);
    device->supports_prewarming = supports_prewarming;
    atomic_init(&device->period_frames, zero_timestamp_period);
    return dx_audio_object_init(&device->object, driver, class_id, base_class_id);
}

bool
IOUserAudioClockDeviceInit_super(IOUserAudioClockDevice *device, IOUserAudioDriver *driver,
                                 bool supports_prewarming, OSString *device_uid, OSString *model_uid,
                                 OSString *manufacturer_uid, uint32_t zero_timestamp_period)
{
    return is_plain(device) &&
           dx_clock_device_init(device, driver, supports_prewarming, device_uid, model_uid, manufacturer_uid,
                                zero_timestamp_period, IOUserAudioClassIDClock, IOUserAudioClassIDObject);
}

bool
IOUserAudioClockDeviceInit(IOUserAudioClockDevice *device, IOUserAudioDriver *driver, bool supports_prewarming,
                           OSString *device_uid, OSString *model_uid, OSString *manufacturer_uid,
                           uint32_t zero_timestamp_period)
{
    if (!is_plain(device))
        return false;
    if (!device->overrides.init)
        return IOUserAudioClockDeviceInit_super(device, driver, supports_prewarming, device_uid, model_uid,
                                                manufacturer_uid, zero_timestamp_period);
    return device->overrides.init(device, driver, supports_prewarming, device_uid, model_uid, manufacturer_uid,
                                  zero_timestamp_period) &&
           check(device);
}

IOUserAudioClockDevice *
IOUserAudioClockDeviceCreate(IOUserAudioDriver *driver, bool supports_prewarming, OSString *device_uid,
                             OSString *model_uid, OSString *manufacturer_uid, uint32_t zero_timestamp_period)
{
    IOUserAudioClockDevice *const device = IOUserAudioClockDeviceAlloc();
    if (device && IOUserAudioClockDeviceInit(device, driver, supports_prewarming, device_uid, model_uid,
                                             manufacturer_uid, zero_timestamp_period))
        return device;
    OSObjectRelease(device);
    return NULL;
}

void
dx_clock_device_free(OSObjectPtr object)
{
    IOUserAudioClockDevice *const device = object;
    dx_owned_finish(&device->controls);
    free(device->available_rates);
    OSObjectRelease(device->uid);
    OSObjectRelease(device->model_uid);
    OSObjectRelease(device->manufacturer_uid);
    dx_audio_object_free(device);
}

void
IOUserAudioClockDeviceFree_super(IOUserAudioClockDevice *device)
{
    if (is_plain(device))
        dx_clock_device_free(device);
}

static void
free_clock_device(OSObjectPtr object)
{
    IOUserAudioClockDevice *const device = object;
    if (device->overrides.free)
        device->overrides.free(device);
    else
        dx_clock_device_free(device);
}

/* Starting and stopping. */

static bool
are_flags(IOUserAudioStartStopFlags flags)
{
    return flags == IOUserAudioStartStopFlagsNone || flags == IOUserAudioStartStopFlagsPrewarm;
}

static void
set_transport_state(IOUserAudioClockDevice *device, uint32_t state)
{
    /* relaxed: a value of its own. */
    const uint32_t before = atomic_exchange_explicit(&device->transport_state, state, memory_order_relaxed);
    const uint32_t running = IOUserAudioDeviceTransportStateRunning;
    if ((before == running) != (state == running))
        dx_object_notify_one(&device->object, kIOUserAudioPropertyDeviceIsRunning);
}

kern_return_t
IOUserAudioClockDeviceStartIO_super(IOUserAudioClockDevice *device, IOUserAudioStartStopFlags flags)
{
    IOUserAudioClockDevice *const d = check(device);
    if (!d || !are_flags(flags))
        return kIOReturnBadArgument;
    const bool prewarm = flags == IOUserAudioStartStopFlagsPrewarm;
    if (prewarm && !d->supports_prewarming)
        return kIOReturnUnsupported;

    const uint32_t before = dx_object_get_u32(&d->transport_state);
    const uint32_t wanted =
        prewarm ? IOUserAudioDeviceTransportStatePrewarmed : IOUserAudioDeviceTransportStateRunning;
    /* What was as far already stays there when a stream does not start again. */
    const bool is_repeat = before >= wanted;
    const kern_return_t status =
        d->ops->start_streams ? d->ops->start_streams(d, flags, !is_repeat) : kIOReturnSuccess;
    if (status == kIOReturnSuccess && !is_repeat)
        set_transport_state(d, wanted);
    return status;
}

kern_return_t
IOUserAudioClockDeviceStartIO(IOUserAudioClockDevicePtr device, IOUserAudioStartStopFlags flags)
{
    IOUserAudioClockDevice *const d = check(device);
    return d ? d->ops->start_io(d, flags) : kIOReturnBadArgument;
}

kern_return_t
IOUserAudioClockDeviceStopIO_super(IOUserAudioClockDevice *device, IOUserAudioStartStopFlags flags)
{
    IOUserAudioClockDevice *const d = check(device);
    if (!d || !are_flags(flags))
        return kIOReturnBadArgument;
    const bool is_running = dx_object_get_u32(&d->transport_state) == IOUserAudioDeviceTransportStateRunning;
    if (flags == IOUserAudioStartStopFlagsPrewarm && is_running)
        return kIOReturnSuccess;
    const kern_return_t status = d->ops->stop_streams ? d->ops->stop_streams(d, flags) : kIOReturnSuccess;
    set_transport_state(d, IOUserAudioDeviceTransportStateStopped);
    return status;
}

kern_return_t
IOUserAudioClockDeviceStopIO(IOUserAudioClockDevicePtr device, IOUserAudioStartStopFlags flags)
{
    IOUserAudioClockDevice *const d = check(device);
    return d ? d->ops->stop_io(d, flags) : kIOReturnBadArgument;
}

/* Configuration changes. */

bool
dx_clock_device_may_change_structure(IOUserAudioClockDevice *device)
{
    if (dx_object_get_u32(&device->transport_state) != IOUserAudioDeviceTransportStateRunning)
        return true;
    struct dx_driver_link *const link = device->object.link;
    if (!dx_driver_link_owns(link, device->object.id))
        return true;
    struct dx_host_call call;
    if (!dx_driver_link_enter_host(link, device->object.id, &call))
        return false;
    const bool performing = dx_host_is_performing(call.host, device);
    dx_driver_link_leave_host(link, &call);
    return performing;
}

kern_return_t
IOUserAudioClockDeviceRequestDeviceConfigurationChange(IOUserAudioClockDevicePtr device, uint64_t change_action,
                                                       OSObjectPtr change_info)
{
    IOUserAudioClockDevice *const d = check(device);
    if (!d || (change_info && !OSObjectIsKindOf(change_info, gOSObjectMetaClass)))
        return kIOReturnBadArgument;
    struct dx_host_call call;
    if (!dx_driver_link_enter_host(d->object.link, d->object.id, &call))
        return kIOReturnNotReady;
    const kern_return_t status = dx_host_request_configuration_change(call.host, d, change_action, change_info);
    dx_driver_link_leave_host(d->object.link, &call);
    return status;
}

static kern_return_t
perform_sample_rate(IOUserAudioClockDevice *device, OSObjectPtr info)
{
    double rate;
    if (!dx_configuration_info_get_sample_rate(info, &rate) || !dx_is_sample_rate(rate))
        return kIOReturnBadArgument;
    const kern_return_t status = device->ops->handle_change_sample_rate(device, rate);
    if (status != kIOReturnSuccess || !device->ops->change_stream_rates)
        return status;
    return device->ops->change_stream_rates(device, rate);
}

static kern_return_t
perform_ring_frames(IOUserAudioClockDevice *device, OSObjectPtr info)
{
    uint32_t frames;
    if (!dx_configuration_info_get_ring_frames(info, &frames))
        return kIOReturnBadArgument;
    return IOUserAudioClockDeviceSetZeroTimeStampPeriod(device, frames);
}

static kern_return_t
perform_stream_format(IOUserAudioClockDevice *device, OSObjectPtr info)
{
    IOUserAudioStreamDirection direction;
    uint32_t index;
    IOUserAudioStreamBasicDescription format;
    if (!device->ops->change_stream_format ||
        !dx_configuration_info_get_stream_format(info, &direction, &index, &format))
        return kIOReturnBadArgument;
    return device->ops->change_stream_format(device, direction, index, &format);
}

kern_return_t
IOUserAudioClockDevicePerformDeviceConfigurationChange_super(IOUserAudioClockDevice *device,
                                                             uint64_t change_action, OSObjectPtr change_info)
{
    IOUserAudioClockDevice *const d = check(device);
    if (!d)
        return kIOReturnBadArgument;
    switch (change_action) {
    case IOUserAudioReservedConfigChangeActionSampleRate:
        return perform_sample_rate(d, change_info);
    case IOUserAudioReservedConfigChangeActionRingBufferFrameSize:
        return perform_ring_frames(d, change_info);
    case IOUserAudioReservedConfigChangeActionStreamFormat:
        return perform_stream_format(d, change_info);
    default: // the driver's own: it has done its part
        return kIOReturnSuccess;
    }
}

kern_return_t
IOUserAudioClockDevicePerformDeviceConfigurationChange(IOUserAudioClockDevicePtr device, uint64_t change_action,
                                                       OSObjectPtr change_info)
{
    IOUserAudioClockDevice *const d = check(device);
    return d ? d->ops->perform(d, change_action, change_info) : kIOReturnBadArgument;
}

kern_return_t
IOUserAudioClockDeviceAbortDeviceConfigurationChange_super(IOUserAudioClockDevice *device, uint64_t change_action,
                                                           OSObjectPtr change_info)
{
    (void)change_action;
    (void)change_info;
    return check(device) ? kIOReturnSuccess : kIOReturnBadArgument;
}

kern_return_t
IOUserAudioClockDeviceAbortDeviceConfigurationChange(IOUserAudioClockDevicePtr device, uint64_t change_action,
                                                     OSObjectPtr change_info)
{
    IOUserAudioClockDevice *const d = check(device);
    return d ? d->ops->abort(d, change_action, change_info) : kIOReturnBadArgument;
}

kern_return_t
IOUserAudioClockDeviceHandleChangeSampleRate_super(IOUserAudioClockDevice *device, double sample_rate)
{
    return IOUserAudioClockDeviceSetSampleRate(device, sample_rate);
}

kern_return_t
IOUserAudioClockDeviceHandleChangeSampleRate(IOUserAudioClockDevicePtr device, double sample_rate)
{
    IOUserAudioClockDevice *const d = check(device);
    return d ? d->ops->handle_change_sample_rate(d, sample_rate) : kIOReturnBadArgument;
}

/* Identity. */

bool
IOUserAudioClockDeviceGetSupportsPrewarming(IOUserAudioClockDevicePtr device)
{
    const IOUserAudioClockDevice *const d = check(device);
    return d && d->supports_prewarming;
}

OSString *
IOUserAudioClockDeviceGetUID(IOUserAudioClockDevicePtr device)
{
    const IOUserAudioClockDevice *const d = check(device);
    return d ? OSObjectRetain(d->uid) : NULL;
}

OSString *
dx_clock_device_copy_model_uid(IOUserAudioClockDevicePtr device)
{
    const IOUserAudioClockDevice *const d = check(device);
    return d ? OSObjectRetain(d->model_uid) : NULL;
}

OSString *
dx_clock_device_copy_manufacturer_uid(IOUserAudioClockDevicePtr device)
{
    const IOUserAudioClockDevice *const d = check(device);
    return d ? OSObjectRetain(d->manufacturer_uid) : NULL;
}

/* Period and rates. */

static kern_return_t
set_period(IOUserAudioObject *object, void *argument)
{
    IOUserAudioClockDevice *const device = (IOUserAudioClockDevice *)object;
    const uint32_t period = *(const uint32_t *)argument;
    if (!dx_clock_device_may_change_structure(device))
        return kIOReturnNotPermitted;
    const kern_return_t status =
        device->ops->check_period ? device->ops->check_period(device, period) : kIOReturnSuccess;
    if (status != kIOReturnSuccess)
        return status;
    /* relaxed: a value of its own. */
    if (atomic_exchange_explicit(&device->period_frames, period, memory_order_relaxed) != period)
        dx_object_notify_one(object, kIOUserAudioPropertyZeroTimestampPeriod);
    return kIOReturnSuccess;
}

kern_return_t
IOUserAudioClockDeviceSetZeroTimeStampPeriod(IOUserAudioClockDevicePtr device, uint32_t zero_timestamp_period)
{
    IOUserAudioClockDevice *const d = check(device);
    if (!d || zero_timestamp_period == 0 || zero_timestamp_period > PERIOD_FRAMES_AT_MOST)
        return kIOReturnBadArgument;
    return dx_object_run(&d->object, set_period, &zero_timestamp_period);
}

uint32_t
IOUserAudioClockDeviceGetZeroTimestampPeriod(IOUserAudioClockDevicePtr device)
{
    const IOUserAudioClockDevice *const d = check(device);
    return d ? dx_object_get_u32(&d->period_frames) : 0;
}

/* Publishes the rate, under the lock; whether it is another. */
static bool
store_rate(IOUserAudioClockDevice *device, double rate)
{
    const struct dx_slots slots = rate_slots(device);
    double before = 0;
    dx_object_read_slots(&slots, &before);
    if (before == rate)
        return false;
    dx_slots_write(&slots, &rate);
    return true;
}

static kern_return_t
set_rate(IOUserAudioObject *object, void *argument)
{
    IOUserAudioClockDevice *const device = (IOUserAudioClockDevice *)object;
    dx_mutex_lock(&object->lock);
    const bool changed = store_rate(device, *(const double *)argument);
    dx_mutex_unlock(&object->lock);
    if (changed)
        dx_object_notify_one(object, kIOUserAudioPropertyNominalSampleRate);
    return kIOReturnSuccess;
}

kern_return_t
IOUserAudioClockDeviceSetSampleRate(IOUserAudioClockDevicePtr device, double sample_rate)
{
    IOUserAudioClockDevice *const d = check(device);
    if (!d || !dx_is_sample_rate(sample_rate))
        return kIOReturnBadArgument;
    return dx_object_run(&d->object, set_rate, &sample_rate);
}

double
IOUserAudioClockDeviceGetSampleRate(IOUserAudioClockDevicePtr device)
{
    IOUserAudioClockDevice *const d = check(device);
    if (!d)
        return 0;
    const struct dx_slots slots = rate_slots(d);
    double rate = 0;
    dx_object_read_slots(&slots, &rate);
    return rate;
}

struct rates {
    const double *rates;
    uint32_t count;
};

static bool
equals_available_rates(const IOUserAudioClockDevice *device, const struct rates *wanted)
{
    if (dx_object_get_u32(&device->available_rate_count) != wanted->count)
        return false;
    for (uint32_t i = 0; i < wanted->count; i++) {
        if (device->available_rates[i] != wanted->rates[i])
            return false;
    }
    return true;
}

static kern_return_t
set_available_rates(IOUserAudioObject *object, void *argument)
{
    IOUserAudioClockDevice *const device = (IOUserAudioClockDevice *)object;
    const struct rates *const wanted = argument;
    double *copy = NULL;
    if (wanted->count > 0) {
        copy = malloc(wanted->count * sizeof *copy);
        if (!copy)
            return kIOReturnNoMemory;
        for (uint32_t i = 0; i < wanted->count; i++)
            copy[i] = wanted->rates[i];
    }

    IOUserAudioObjectPropertySelector selectors[2];
    uint32_t selector_count = 0;
    dx_mutex_lock(&object->lock);
    if (!equals_available_rates(device, wanted))
        selectors[selector_count++] = kIOUserAudioPropertyAvailableNominalSampleRates;
    double *const old = device->available_rates;
    device->available_rates = copy;
    /* relaxed: a count by itself; the rates are read under the lock. */
    atomic_store_explicit(&device->available_rate_count, wanted->count, memory_order_relaxed);
    if (wanted->count > 0 && IOUserAudioClockDeviceGetSampleRate(device) == 0 &&
        store_rate(device, wanted->rates[0]))
        selectors[selector_count++] = kIOUserAudioPropertyNominalSampleRate;
    dx_mutex_unlock(&object->lock);
    free(old);
    if (selector_count > 0)
        dx_object_notify(object, selectors, selector_count);
    return kIOReturnSuccess;
}

kern_return_t
IOUserAudioClockDeviceSetAvailableSampleRates(IOUserAudioClockDevicePtr device, const double *sample_rates,
                                              size_t count)
{
    IOUserAudioClockDevice *const d = check(device);
    if (!d || count > RATES_AT_MOST || (count > 0 && !sample_rates))
        return kIOReturnBadArgument;
    for (size_t i = 0; i < count; i++) {
        if (!dx_is_sample_rate(sample_rates[i]))
            return kIOReturnBadArgument;
    }
    return dx_object_run(&d->object, set_available_rates,
                         &(struct rates){.rates = sample_rates, .count = (uint32_t)count});
}

size_t
IOUserAudioClockDeviceGetNumberAvailableSampleRates(IOUserAudioClockDevicePtr device)
{
    const IOUserAudioClockDevice *const d = check(device);
    return d ? dx_object_get_u32(&d->available_rate_count) : 0;
}

size_t
IOUserAudioClockDeviceGetAvailableSampleRates(IOUserAudioClockDevicePtr device, double *sample_rates, size_t count)
{
    IOUserAudioClockDevice *const d = check(device);
    if (!d || !sample_rates)
        return 0;
    dx_mutex_lock(&d->object.lock);
    const uint32_t there = dx_object_get_u32(&d->available_rate_count);
    const size_t n = count < there ? count : there;
    for (size_t i = 0; i < n; i++)
        sample_rates[i] = d->available_rates[i];
    dx_mutex_unlock(&d->object.lock);
    return n;
}

/* Plain values. */

kern_return_t
IOUserAudioClockDeviceSetOutputLatency(IOUserAudioClockDevicePtr device, uint32_t latency)
{
    IOUserAudioClockDevice *const d = check(device);
    return d ? dx_object_set_u32(&d->object, &d->output_latency_frames, latency, kIOUserAudioPropertyLatency)
             : kIOReturnBadArgument;
}

uint32_t
IOUserAudioClockDeviceGetOutputLatency(IOUserAudioClockDevicePtr device)
{
    const IOUserAudioClockDevice *const d = check(device);
    return d ? dx_object_get_u32(&d->output_latency_frames) : 0;
}

kern_return_t
IOUserAudioClockDeviceSetInputLatency(IOUserAudioClockDevicePtr device, uint32_t latency)
{
    IOUserAudioClockDevice *const d = check(device);
    return d ? dx_object_set_u32(&d->object, &d->input_latency_frames, latency, kIOUserAudioPropertyLatency)
             : kIOReturnBadArgument;
}

uint32_t
IOUserAudioClockDeviceGetInputLatency(IOUserAudioClockDevicePtr device)
{
    const IOUserAudioClockDevice *const d = check(device);
    return d ? dx_object_get_u32(&d->input_latency_frames) : 0;
}

kern_return_t
IOUserAudioClockDeviceSetTransportType(IOUserAudioClockDevicePtr device, IOUserAudioTransportType transport_type)
{
    IOUserAudioClockDevice *const d = check(device);
    if (!d || !dx_is_transport_type(transport_type))
        return kIOReturnBadArgument;
    return dx_object_set_u32(&d->object, &d->transport_type, transport_type, kIOUserAudioPropertyTransportType);
}

IOUserAudioTransportType
IOUserAudioClockDeviceGetTransportType(IOUserAudioClockDevicePtr device)
{
    const IOUserAudioClockDevice *const d = check(device);
    return d ? dx_object_get_u32(&d->transport_type) : (uint32_t)IOUserAudioTransportTypeUnknown;
}

kern_return_t
IOUserAudioClockDeviceSetClockDomain(IOUserAudioClockDevicePtr device, uint32_t clock_domain)
{
    IOUserAudioClockDevice *const d = check(device);
    return d ? dx_object_set_u32(&d->object, &d->clock_domain, clock_domain, kIOUserAudioPropertyClockDomain)
             : kIOReturnBadArgument;
}

uint32_t
IOUserAudioClockDeviceGetClockDomain(IOUserAudioClockDevicePtr device)
{
    const IOUserAudioClockDevice *const d = check(device);
    return d ? dx_object_get_u32(&d->clock_domain) : 0;
}

kern_return_t
IOUserAudioClockDeviceSetClockAlgorithm(IOUserAudioClockDevicePtr device,
                                        IOUserAudioClockAlgorithm clock_algorithm)
{
    IOUserAudioClockDevice *const d = check(device);
    if (!d || (clock_algorithm != IOUserAudioClockAlgorithmRaw &&
               clock_algorithm != IOUserAudioClockAlgorithmSimpleIIR &&
               clock_algorithm != IOUserAudioClockAlgorithmTwelvePtMovingWindowAverage))
        return kIOReturnBadArgument;
    return dx_object_set_u32(&d->object, &d->clock_algorithm, clock_algorithm, kIOUserAudioPropertyClockAlgorithm);
}

IOUserAudioClockAlgorithm
IOUserAudioClockDeviceGetClockAlgorithm(IOUserAudioClockDevicePtr device)
{
    const IOUserAudioClockDevice *const d = check(device);
    return d ? dx_object_get_u32(&d->clock_algorithm) : 0;
}

kern_return_t
IOUserAudioClockDeviceSetClockIsStable(IOUserAudioClockDevicePtr device, bool is_stable)
{
    IOUserAudioClockDevice *const d = check(device);
    return d ? dx_object_set_u32(&d->object, &d->clock_is_stable, is_stable, kIOUserAudioPropertyClockIsStable)
             : kIOReturnBadArgument;
}

bool
IOUserAudioClockDeviceGetClockIsStable(IOUserAudioClockDevicePtr device)
{
    const IOUserAudioClockDevice *const d = check(device);
    return d && dx_object_get_u32(&d->clock_is_stable);
}

bool
IOUserAudioClockDeviceGetDeviceIsRunning(IOUserAudioClockDevicePtr device)
{
    return IOUserAudioClockDeviceGetDeviceTransportState(device) == IOUserAudioDeviceTransportStateRunning;
}

IOUserAudioDeviceTransportState
IOUserAudioClockDeviceGetDeviceTransportState(IOUserAudioClockDevicePtr device)
{
    const IOUserAudioClockDevice *const d = check(device);
    return d ? dx_object_get_u32(&d->transport_state)
             : (IOUserAudioDeviceTransportState)IOUserAudioDeviceTransportStateStopped;
}

kern_return_t
IOUserAudioClockDeviceSetDeviceIsAlive(IOUserAudioClockDevicePtr device, bool is_alive)
{
    IOUserAudioClockDevice *const d = check(device);
    return d ? dx_object_set_u32(&d->object, &d->is_alive, is_alive, kIOUserAudioPropertyDeviceIsAlive)
             : kIOReturnBadArgument;
}

bool
IOUserAudioClockDeviceGetDeviceIsAlive(IOUserAudioClockDevicePtr device)
{
    const IOUserAudioClockDevice *const d = check(device);
    return d && dx_object_get_u32(&d->is_alive);
}

kern_return_t
IOUserAudioClockDeviceSetIsHidden(IOUserAudioClockDevicePtr device, bool is_hidden)
{
    IOUserAudioClockDevice *const d = check(device);
    return d ? dx_object_set_u32(&d->object, &d->is_hidden, is_hidden, kIOUserAudioPropertyIsHidden)
             : kIOReturnBadArgument;
}

bool
IOUserAudioClockDeviceGetIsHidden(IOUserAudioClockDevicePtr device)
{
    const IOUserAudioClockDevice *const d = check(device);
    return d && dx_object_get_u32(&d->is_hidden);
}

void
IOUserAudioClockDeviceSetWantsControlsRestored(IOUserAudioClockDevicePtr device, bool wants_controls_restored)
{
    IOUserAudioClockDevice *const d = check(device);
    /* relaxed: read by the host after the device was published. */
    if (d && dx_object_get_u32(&d->object.owner_id) == kIOUserAudioObjectIDUnknown)
        atomic_store_explicit(&d->wants_controls_restored, wants_controls_restored ? DX_CHOICE_YES : DX_CHOICE_NO,
                              memory_order_relaxed);
}

bool
dx_clock_device_wants_controls_restored(IOUserAudioClockDevicePtr device)
{
    const IOUserAudioClockDevice *const d = check(device);
    return d && dx_object_get_u32(&d->wants_controls_restored) != DX_CHOICE_NO;
}

/* Controls. */

static kern_return_t
add_control(IOUserAudioObject *object, void *argument)
{
    IOUserAudioClockDevice *const device = (IOUserAudioClockDevice *)object;
    if (!dx_clock_device_may_change_structure(device))
        return kIOReturnNotPermitted;
    const kern_return_t status =
        dx_owned_add(object->link, &object->lock, &device->controls, argument, object->id, CONTROLS_AT_MOST);
    if (status == kIOReturnSuccess)
        dx_object_notify_one(object, kIOUserAudioPropertyControlList);
    return status;
}

kern_return_t
IOUserAudioClockDeviceAddControl(IOUserAudioClockDevicePtr device, IOUserAudioControlPtr control)
{
    IOUserAudioClockDevice *const d = check(device);
    if (!d || !dx_audio_object_is(control, gIOUserAudioControlMetaClass))
        return kIOReturnBadArgument;
    return dx_object_run(&d->object, add_control, control);
}

static kern_return_t
remove_control(IOUserAudioObject *object, void *argument)
{
    IOUserAudioClockDevice *const device = (IOUserAudioClockDevice *)object;
    if (!dx_clock_device_may_change_structure(device))
        return kIOReturnNotPermitted;
    const kern_return_t status = dx_owned_remove(&object->lock, &device->controls, argument);
    if (status == kIOReturnSuccess)
        dx_object_notify_one(object, kIOUserAudioPropertyControlList);
    return status;
}

kern_return_t
IOUserAudioClockDeviceRemoveControl(IOUserAudioClockDevicePtr device, IOUserAudioControlPtr control)
{
    IOUserAudioClockDevice *const d = check(device);
    if (!d || !dx_audio_object_is(control, gIOUserAudioControlMetaClass))
        return kIOReturnBadArgument;
    return dx_object_run(&d->object, remove_control, control);
}

uint32_t
dx_clock_device_copy_controls(IOUserAudioClockDevicePtr device, IOUserAudioControl **ret_controls,
                              uint32_t capacity)
{
    IOUserAudioClockDevice *const d = check(device);
    if (!d)
        return 0;
    dx_mutex_lock(&d->object.lock);
    const uint32_t count = dx_object_list_copy(&d->controls, ret_controls, capacity);
    dx_mutex_unlock(&d->object.lock);
    return count;
}

/* Time. */

struct dx_device_io *
dx_clock_device_get_io(IOUserAudioClockDevicePtr device)
{
    IOUserAudioClockDevice *const d = check(device);
    return d ? &d->io : NULL;
}

void
IOUserAudioClockDeviceUpdateCurrentZeroTimestamp(IOUserAudioClockDevicePtr device, uint64_t sample_time,
                                                 uint64_t host_time)
{
    IOUserAudioClockDevice *const d = check(device);
    if (!d)
        return;
    const struct dx_slots slots = posted_slots(d);
    const struct posted posted = {.sample_time = sample_time, .host_ticks = host_time};
    dx_slots_write(&slots, &posted);
    dx_device_io_post(&d->io, sample_time, dx_clock_ns_from_ticks(d->object.link->clock, host_time));
}

void
IOUserAudioClockDeviceGetCurrentZeroTimestamp(IOUserAudioClockDevicePtr device, uint64_t *ret_sample_time,
                                              uint64_t *ret_host_time)
{
    IOUserAudioClockDevice *const d = check(device);
    struct posted posted = {0};
    if (d) {
        const struct dx_slots slots = posted_slots(d);
        dx_object_read_slots(&slots, &posted);
    }
    if (ret_sample_time)
        *ret_sample_time = posted.sample_time;
    if (ret_host_time)
        *ret_host_time = posted.host_ticks;
}

void
IOUserAudioClockDeviceGetCurrentClientSampleTime(IOUserAudioClockDevicePtr device, uint64_t *ret_input_sample_time,
                                                 uint64_t *ret_output_sample_time)
{
    IOUserAudioClockDevice *const d = check(device);
    struct dx_client_times times = {0};
    if (d) {
        const struct dx_slots slots = dx_device_io_clients(&d->io);
        dx_object_read_slots(&slots, &times); // no cycle yet: stays zero
    }
    if (ret_input_sample_time)
        *ret_input_sample_time = times.input_sample_time;
    if (ret_output_sample_time)
        *ret_output_sample_time = times.output_sample_time;
}
