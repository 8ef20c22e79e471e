// SPDX-License-Identifier: MIT
// A device: a clock device with streams, and the handler that moves their sound.

#ifndef DEXTRAL_IOUSERAUDIODEVICE_H
#define DEXTRAL_IOUSERAUDIODEVICE_H

#include <dextral/IOUserAudioClockDevice.h>
#include <dextral/IOUserAudioStream.h>

DX_BEGIN_DECLS

typedef struct IOUserAudioDevice IOUserAudioDevice;

DX_API extern const OSMetaClass *const gIOUserAudioDeviceMetaClass;

/** Overrides of a device's virtual methods, as IOUserAudioClockDeviceOverrides. */
typedef struct IOUserAudioDeviceOverrides {
    uint32_t size; ///< sizeof(IOUserAudioDeviceOverrides)
    bool (*init)(IOUserAudioDevice *device, IOUserAudioDriver *driver, bool supports_prewarming,
                 OSString *device_uid, OSString *model_uid, OSString *manufacturer_uid,
                 uint32_t zero_timestamp_period);
    void (*free)(IOUserAudioDevice *device); ///< must end in IOUserAudioDeviceFree_super()
    kern_return_t (*StartIO)(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags);
    kern_return_t (*StopIO)(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags);
    kern_return_t (*PerformDeviceConfigurationChange)(IOUserAudioDevice *device, uint64_t change_action,
                                                      OSObjectPtr change_info);
    kern_return_t (*AbortDeviceConfigurationChange)(IOUserAudioDevice *device, uint64_t change_action,
                                                    OSObjectPtr change_info);
    kern_return_t (*HandleChangeSampleRate)(IOUserAudioDevice *device, double sample_rate);
} IOUserAudioDeviceOverrides;

/**
 * Makes a device; arguments as IOUserAudioClockDeviceCreate().
 *
 * @return +1; NULL for an argument out of its range, or without memory.
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioDevice::Create.
 */
DX_API IOUserAudioDevice *IOUserAudioDeviceCreate(IOUserAudioDriver *driver, bool supports_prewarming,
                                                  OSString *device_uid, OSString *model_uid,
                                                  OSString *manufacturer_uid, uint32_t zero_timestamp_period);

/** A device that is not initialised, +1, or NULL without memory.  Source: OSTypeAlloc. */
DX_API IOUserAudioDevice *IOUserAudioDeviceAlloc(void);

/**
 * Sets the overrides of one object.
 *
 * @param overrides  borrowed: must outlive the device.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnBusy (it was initialised already).
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t IOUserAudioDeviceSetOverrides(IOUserAudioDevice *device,
                                                   const IOUserAudioDeviceOverrides *overrides);

/**
 * Initialises what IOUserAudioDeviceAlloc() made; arguments as IOUserAudioClockDeviceCreate().  Virtual.
 *
 * @return false for an argument out of its range, without memory, or when initialised already; then release it.
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioDevice::init.
 */
DX_API bool IOUserAudioDeviceInit(IOUserAudioDevice *device, IOUserAudioDriver *driver, bool supports_prewarming,
                                  OSString *device_uid, OSString *model_uid, OSString *manufacturer_uid,
                                  uint32_t zero_timestamp_period);

/** The base of IOUserAudioDeviceInit(): for its override. */
DX_API bool IOUserAudioDeviceInit_super(IOUserAudioDevice *device, IOUserAudioDriver *driver,
                                        bool supports_prewarming, OSString *device_uid, OSString *model_uid,
                                        OSString *manufacturer_uid, uint32_t zero_timestamp_period);

/** The base of free: the last thing an override of free does; the object is gone then. */
DX_API void IOUserAudioDeviceFree_super(IOUserAudioDevice *device);

/** As IOUserAudioClockDeviceStartIO(), which calls the same override.  Source: IOUserAudioDevice::StartIO. */
DX_API kern_return_t IOUserAudioDeviceStartIO(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags);

/** The base of IOUserAudioDeviceStartIO(): starts each stream, then moves the transport state. */
DX_API kern_return_t IOUserAudioDeviceStartIO_super(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags);

/** As IOUserAudioClockDeviceStopIO(), which calls the same override.  Source: IOUserAudioDevice::StopIO. */
DX_API kern_return_t IOUserAudioDeviceStopIO(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags);

/** The base of IOUserAudioDeviceStopIO(): moves the transport state, and stops each stream. */
DX_API kern_return_t IOUserAudioDeviceStopIO_super(IOUserAudioDevice *device, IOUserAudioStartStopFlags flags);

/** As IOUserAudioClockDevicePerformDeviceConfigurationChange(), which calls the same override. */
DX_API kern_return_t IOUserAudioDevicePerformDeviceConfigurationChange(IOUserAudioDevice *device,
                                                                       uint64_t change_action,
                                                                       OSObjectPtr change_info);

/** The base of IOUserAudioDevicePerformDeviceConfigurationChange(): for its override. */
DX_API kern_return_t IOUserAudioDevicePerformDeviceConfigurationChange_super(IOUserAudioDevice *device,
                                                                             uint64_t change_action,
                                                                             OSObjectPtr change_info);

/** As IOUserAudioClockDeviceAbortDeviceConfigurationChange(), which calls the same override. */
DX_API kern_return_t IOUserAudioDeviceAbortDeviceConfigurationChange(IOUserAudioDevice *device,
                                                                     uint64_t change_action,
                                                                     OSObjectPtr change_info);

/** The base of IOUserAudioDeviceAbortDeviceConfigurationChange(): for its override. */
DX_API kern_return_t IOUserAudioDeviceAbortDeviceConfigurationChange_super(IOUserAudioDevice *device,
                                                                           uint64_t change_action,
                                                                           OSObjectPtr change_info);

/** As IOUserAudioClockDeviceHandleChangeSampleRate(), which calls the same override. */
DX_API kern_return_t IOUserAudioDeviceHandleChangeSampleRate(IOUserAudioDevice *device, double sample_rate);

/** The base of IOUserAudioDeviceHandleChangeSampleRate(): for its override. */
DX_API kern_return_t IOUserAudioDeviceHandleChangeSampleRate_super(IOUserAudioDevice *device, double sample_rate);

/**
 * Says whether the device may become the default for input.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument.
 *
 * Notifies: 'dflt'.  Thread: control.  Real-time: no.  Source: IOUserAudioDevice::SetCanBeDefaultInputDevice.
 */
DX_API kern_return_t IOUserAudioDeviceSetCanBeDefaultInputDevice(IOUserAudioDevice *device, bool can_be_default);

/**
 * 1 if it may become the default for input, else 0.  Until it was said: whether it has a mixable input stream.
 *
 * Thread: any.  Real-time: yes.  Source: IOUserAudioDevice::CanBeDefaultInputDevice.
 */
DX_API uint32_t IOUserAudioDeviceCanBeDefaultInputDevice(IOUserAudioDevice *device) DX_REALTIME;

/** The same for output.  Notifies: 'dflt'.  Source: IOUserAudioDevice::SetCanBeDefaultOutputDevice. */
DX_API kern_return_t IOUserAudioDeviceSetCanBeDefaultOutputDevice(IOUserAudioDevice *device, bool can_be_default);

/** The same for output.  Thread: any.  Real-time: yes.  Source: IOUserAudioDevice::CanBeDefaultOutputDevice. */
DX_API uint32_t IOUserAudioDeviceCanBeDefaultOutputDevice(IOUserAudioDevice *device) DX_REALTIME;

/**
 * The same for system sounds.  Notifies: 'sflt'.  Source: IOUserAudioDevice::SetCanBeDefaultSystemOutputDevice.
 */
DX_API kern_return_t IOUserAudioDeviceSetCanBeDefaultSystemOutputDevice(IOUserAudioDevice *device,
                                                                        bool can_be_default);

/**
 * The same for system sounds; until it was said, as for output.
 *
 * Thread: any.  Real-time: yes.  Source: IOUserAudioDevice::CanBeDefaultSystemOutputDevice.
 */
DX_API uint32_t IOUserAudioDeviceCanBeDefaultSystemOutputDevice(IOUserAudioDevice *device) DX_REALTIME;

/**
 * Sets how far behind the device position input is read, beside the IO size.
 *
 * @param safety_offset  frames.
 * @return kIOReturnSuccess; kIOReturnBadArgument.
 *
 * Notifies: 'saft'.  Thread: control.  Real-time: no.  Source: IOUserAudioDevice::SetInputSafetyOffset.
 */
DX_API kern_return_t IOUserAudioDeviceSetInputSafetyOffset(IOUserAudioDevice *device, uint32_t safety_offset);

/** Frames; 0 at first.  Thread: any.  Real-time: yes.  Source: IOUserAudioDevice::GetInputSafetyOffset. */
DX_API uint32_t IOUserAudioDeviceGetInputSafetyOffset(IOUserAudioDevice *device) DX_REALTIME;

/**
 * How far ahead of the device position output is written, likewise.
 * Source: IOUserAudioDevice::SetOutputSafetyOffset.
 */
DX_API kern_return_t IOUserAudioDeviceSetOutputSafetyOffset(IOUserAudioDevice *device, uint32_t safety_offset);

/** Frames; 0 at first.  Thread: any.  Real-time: yes.  Source: IOUserAudioDevice::GetOutputSafetyOffset. */
DX_API uint32_t IOUserAudioDeviceGetOutputSafetyOffset(IOUserAudioDevice *device) DX_REALTIME;

/**
 * Sets the channels that stereo sound is for.
 *
 * @param left_channel   from 1.
 * @param right_channel  from 1.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no device, or a 0).
 *
 * Notifies: 'dch2'.  Thread: control.  Real-time: no.  Source: IOUserAudioDevice::SetPreferredChannelsForStereo.
 */
DX_API kern_return_t IOUserAudioDeviceSetPreferredChannelsForStereo(IOUserAudioDevice *device,
                                                                    uint32_t left_channel, uint32_t right_channel);

/**
 * The channels that stereo sound is for; 1 and 2 at first.
 *
 * @param ret_left_channel   may be NULL.
 * @param ret_right_channel  may be NULL.
 *
 * Thread: any.  Real-time: yes.  Source: IOUserAudioDevice::GetPreferredChannelsForStereo.
 */
DX_API void IOUserAudioDeviceGetPreferredChannelsForStereo(IOUserAudioDevice *device, uint32_t *ret_left_channel,
                                                           uint32_t *ret_right_channel) DX_REALTIME;

/**
 * Sets what each output channel is for.  Programs are told the part that is a stream's: as many labels as it has
 * channels, from its starting channel on (dx_device_get_channel_layout()).
 *
 * @param labels  copied.
 * @param count   0 ... 1024.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNoMemory.
 *
 * Notifies: 'srnd'.  Thread: control.  Real-time: no.
 * Source: IOUserAudioDevice::SetPreferredOutputChannelLayout.
 */
DX_API kern_return_t IOUserAudioDeviceSetPreferredOutputChannelLayout(IOUserAudioDevice *device,
                                                                      const IOUserAudioChannelLabel *labels,
                                                                      size_t count);

/** Sets what each input channel is for, likewise.  Source: IOUserAudioDevice::SetPreferredInputChannelLayout. */
DX_API kern_return_t IOUserAudioDeviceSetPreferredInputChannelLayout(IOUserAudioDevice *device,
                                                                     const IOUserAudioChannelLabel *labels,
                                                                     size_t count);

/**
 * Adds a stream.  Structure: see IOUserAudioClockDevice.h.
 *
 * @param stream  retained until it is removed or the device goes.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no device, no stream, or one of another driver);
 *         kIOReturnExclusiveAccess (it has an owner already); kIOReturnNotPermitted (IO runs);
 *         kIOReturnNoSpace (its ring is too small for the period in frames of its largest format);
 *         kIOReturnNoMemory; kIOReturnNoResources (32 of its direction are there).
 *
 * Notifies: 'stm#'.  Thread: control.  Real-time: no.  Source: IOUserAudioDevice::AddStream.
 */
DX_API kern_return_t IOUserAudioDeviceAddStream(IOUserAudioDevice *device, IOUserAudioStream *stream);

/**
 * Removes a stream and releases it.  Structure.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (no device, or no stream); kIOReturnNotFound (it is not this
 *         device's); kIOReturnNotPermitted (IO runs).
 *
 * Notifies: 'stm#'.  Thread: control.  Real-time: no.  Source: IOUserAudioDevice::RemoveStream.
 */
DX_API kern_return_t IOUserAudioDeviceRemoveStream(IOUserAudioDevice *device, IOUserAudioStream *stream);

/**
 * Sets the function that moves sound between rings and hardware, or replaces it.
 *
 * @param handler  called on the IO thread; NULL: none, IO goes on without.
 * @param context  handed to the handler; must stay valid until it was replaced or the device is gone.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no device); kIOReturnBusy (from inside the handler: while
 *         another thread replaces it, or too often within one call).
 *
 * Returns when the old handler can no longer be running; from inside the handler at once, and the new one is in
 * force from the next call on.  Does not use the work queue.
 *
 * Thread: control, or the handler itself.  Real-time: only from inside the handler.
 * Source: IOUserAudioDevice::SetIOOperationHandler.  Differs: a function and its context; the block is
 * IOUserAudioDeviceSetIOOperationHandler_b().
 */
DX_API kern_return_t IOUserAudioDeviceSetIOOperationHandler(IOUserAudioDevice *device, IOOperationHandler handler,
                                                            void *context);

/**
 * As IOUserAudioDeviceSetIOOperationHandler(), with a context that is released when nothing uses it any more.
 *
 * @param release  called once with the context: after the handler was replaced - by the handler itself: at the
 *                 next replacement by somebody else - or when the device goes.  Never on the IO thread.  Not
 *                 called when this call fails.  NULL: none.
 *
 * Thread: control, or the handler itself.  Real-time: only from inside the handler.
 */
DX_API kern_return_t dx_device_object_set_io_operation_handler(IOUserAudioDevice *device,
                                                               IOOperationHandler handler, void *context,
                                                               void (*release)(void *context));

#if DX_HAVE_BLOCKS
/* The blocks runtime, as <Block.h> declares it. */
void *_Block_copy(const void *block);
void _Block_release(const void *block);

/* The handler that calls a block. */
static inline DX_REALTIME kern_return_t
dx_call_io_operation_block(IOUserAudioObjectID device, IOUserAudioIOOperation operation,
                           uint32_t io_buffer_frame_size, uint64_t sample_time, uint64_t host_time, void *context)
{
    return ((IOOperationHandler_b)context)(device, operation, io_buffer_frame_size, sample_time, host_time);
}

static inline void
dx_release_io_operation_block(void *context)
{
    _Block_release(context);
}

/**
 * Sets the block that moves sound between rings and hardware, as IOUserAudioDeviceSetIOOperationHandler().
 *
 * @param handler  copied, and released as a context of dx_device_object_set_io_operation_handler(); NULL: none.
 * @return as IOUserAudioDeviceSetIOOperationHandler(); kIOReturnNoMemory.
 *
 * Thread: control.  Real-time: no: copies the block.  Source: IOUserAudioDevice::SetIOOperationHandler.
 */
static inline kern_return_t
IOUserAudioDeviceSetIOOperationHandler_b(IOUserAudioDevice *device, IOOperationHandler_b handler)
{
    if (!handler)
        return IOUserAudioDeviceSetIOOperationHandler(device, NULL, NULL);
    void *const copy = _Block_copy((const void *)handler);
    if (!copy)
        return kIOReturnNoMemory;
    const kern_return_t status = dx_device_object_set_io_operation_handler(device, dx_call_io_operation_block,
                                                                           copy, dx_release_io_operation_block);
    if (status != kIOReturnSuccess)
        _Block_release(copy);
    return status;
}
#endif

/**
 * The pair last handed to the handler.
 *
 * @param is_input         true: of BeginRead; false: of WriteEnd.
 * @param ret_sample_time  frames; 0 before the first cycle; may be NULL.
 * @param ret_host_time    ticks of mach_absolute_time(); 0 before the first cycle; may be NULL.
 *
 * Thread: any.  Real-time: yes, wait-free.  Source: IOUserAudioDevice::GetCurrentClientIOTime.
 */
DX_API void IOUserAudioDeviceGetCurrentClientIOTime(IOUserAudioDevice *device, bool is_input,
                                                    uint64_t *ret_sample_time,
                                                    uint64_t *ret_host_time) DX_REALTIME;

/**
 * Says whether the host is to restore the stream formats of an earlier time; unset means that it does.  No effect
 * once the device was added to the driver.
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioDevice::SetWantsStreamFormatsRestored.
 */
DX_API void IOUserAudioDeviceSetWantsStreamFormatsRestored(IOUserAudioDevice *device,
                                                           bool wants_stream_formats_restored);

/**
 * Declares how late a cycle may be without loss: for a driver without hardware, to which late is as good as in time.
 * Cycles up to that late run at once, in order, each with its own sample time; later ones are skipped.
 *
 * @param frames  0: none, which hardware needs.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no device).
 *
 * In force from the next start of IO on.  Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_device_object_set_late_tolerance(IOUserAudioDevice *device, uint32_t frames);

/** How late a cycle may be, in frames; 0 at first.  Thread: any.  Real-time: yes. */
DX_API uint32_t dx_device_object_get_late_tolerance(IOUserAudioDevice *device) DX_REALTIME;

/*
 * What a device inherits, spelled for it: each does what the function of IOUserAudioClockDevice.h does that has
 * the same ending.
 */

/** As IOUserAudioClockDeviceRequestDeviceConfigurationChange(). */
static inline kern_return_t
IOUserAudioDeviceRequestDeviceConfigurationChange(IOUserAudioDevice *device, uint64_t change_action,
                                                  OSObjectPtr change_info)
{
    return IOUserAudioClockDeviceRequestDeviceConfigurationChange(device, change_action, change_info);
}

/** As IOUserAudioClockDeviceGetSupportsPrewarming(). */
static inline DX_REALTIME bool
IOUserAudioDeviceGetSupportsPrewarming(IOUserAudioDevice *device)
{
    return IOUserAudioClockDeviceGetSupportsPrewarming(device);
}

/** As IOUserAudioClockDeviceSetZeroTimeStampPeriod(). */
static inline kern_return_t
IOUserAudioDeviceSetZeroTimeStampPeriod(IOUserAudioDevice *device, uint32_t zero_timestamp_period)
{
    return IOUserAudioClockDeviceSetZeroTimeStampPeriod(device, zero_timestamp_period);
}

/** As IOUserAudioClockDeviceGetZeroTimestampPeriod(). */
static inline DX_REALTIME uint32_t
IOUserAudioDeviceGetZeroTimestampPeriod(IOUserAudioDevice *device)
{
    return IOUserAudioClockDeviceGetZeroTimestampPeriod(device);
}

/** As IOUserAudioClockDeviceSetSampleRate(). */
static inline kern_return_t
IOUserAudioDeviceSetSampleRate(IOUserAudioDevice *device, double sample_rate)
{
    return IOUserAudioClockDeviceSetSampleRate(device, sample_rate);
}

/** As IOUserAudioClockDeviceGetSampleRate(). */
static inline DX_REALTIME double
IOUserAudioDeviceGetSampleRate(IOUserAudioDevice *device)
{
    return IOUserAudioClockDeviceGetSampleRate(device);
}

/** As IOUserAudioClockDeviceSetAvailableSampleRates(). */
static inline kern_return_t
IOUserAudioDeviceSetAvailableSampleRates(IOUserAudioDevice *device, const double *sample_rates, size_t count)
{
    return IOUserAudioClockDeviceSetAvailableSampleRates(device, sample_rates, count);
}

/** As IOUserAudioClockDeviceGetNumberAvailableSampleRates(). */
static inline DX_REALTIME size_t
IOUserAudioDeviceGetNumberAvailableSampleRates(IOUserAudioDevice *device)
{
    return IOUserAudioClockDeviceGetNumberAvailableSampleRates(device);
}

/** As IOUserAudioClockDeviceGetAvailableSampleRates(). */
static inline size_t
IOUserAudioDeviceGetAvailableSampleRates(IOUserAudioDevice *device, double *sample_rates, size_t count)
{
    return IOUserAudioClockDeviceGetAvailableSampleRates(device, sample_rates, count);
}

/** As IOUserAudioClockDeviceSetOutputLatency(). */
static inline kern_return_t
IOUserAudioDeviceSetOutputLatency(IOUserAudioDevice *device, uint32_t latency)
{
    return IOUserAudioClockDeviceSetOutputLatency(device, latency);
}

/** As IOUserAudioClockDeviceGetOutputLatency(). */
static inline DX_REALTIME uint32_t
IOUserAudioDeviceGetOutputLatency(IOUserAudioDevice *device)
{
    return IOUserAudioClockDeviceGetOutputLatency(device);
}

/** As IOUserAudioClockDeviceSetInputLatency(). */
static inline kern_return_t
IOUserAudioDeviceSetInputLatency(IOUserAudioDevice *device, uint32_t latency)
{
    return IOUserAudioClockDeviceSetInputLatency(device, latency);
}

/** As IOUserAudioClockDeviceGetInputLatency(). */
static inline DX_REALTIME uint32_t
IOUserAudioDeviceGetInputLatency(IOUserAudioDevice *device)
{
    return IOUserAudioClockDeviceGetInputLatency(device);
}

/** As IOUserAudioClockDeviceGetUID(). */
static inline OSString *
IOUserAudioDeviceGetUID(IOUserAudioDevice *device)
{
    return IOUserAudioClockDeviceGetUID(device);
}

/** As IOUserAudioClockDeviceSetTransportType(). */
static inline kern_return_t
IOUserAudioDeviceSetTransportType(IOUserAudioDevice *device, IOUserAudioTransportType transport_type)
{
    return IOUserAudioClockDeviceSetTransportType(device, transport_type);
}

/** As IOUserAudioClockDeviceGetTransportType(). */
static inline DX_REALTIME IOUserAudioTransportType
IOUserAudioDeviceGetTransportType(IOUserAudioDevice *device)
{
    return IOUserAudioClockDeviceGetTransportType(device);
}

/** As IOUserAudioClockDeviceSetClockDomain(). */
static inline kern_return_t
IOUserAudioDeviceSetClockDomain(IOUserAudioDevice *device, uint32_t clock_domain)
{
    return IOUserAudioClockDeviceSetClockDomain(device, clock_domain);
}

/** As IOUserAudioClockDeviceGetClockDomain(). */
static inline DX_REALTIME uint32_t
IOUserAudioDeviceGetClockDomain(IOUserAudioDevice *device)
{
    return IOUserAudioClockDeviceGetClockDomain(device);
}

/** As IOUserAudioClockDeviceSetClockAlgorithm(). */
static inline kern_return_t
IOUserAudioDeviceSetClockAlgorithm(IOUserAudioDevice *device, IOUserAudioClockAlgorithm clock_algorithm)
{
    return IOUserAudioClockDeviceSetClockAlgorithm(device, clock_algorithm);
}

/** As IOUserAudioClockDeviceGetClockAlgorithm(). */
static inline DX_REALTIME IOUserAudioClockAlgorithm
IOUserAudioDeviceGetClockAlgorithm(IOUserAudioDevice *device)
{
    return IOUserAudioClockDeviceGetClockAlgorithm(device);
}

/** As IOUserAudioClockDeviceSetClockIsStable(). */
static inline kern_return_t
IOUserAudioDeviceSetClockIsStable(IOUserAudioDevice *device, bool is_stable)
{
    return IOUserAudioClockDeviceSetClockIsStable(device, is_stable);
}

/** As IOUserAudioClockDeviceGetClockIsStable(). */
static inline DX_REALTIME bool
IOUserAudioDeviceGetClockIsStable(IOUserAudioDevice *device)
{
    return IOUserAudioClockDeviceGetClockIsStable(device);
}

/** As IOUserAudioClockDeviceGetDeviceIsRunning(). */
static inline DX_REALTIME bool
IOUserAudioDeviceGetDeviceIsRunning(IOUserAudioDevice *device)
{
    return IOUserAudioClockDeviceGetDeviceIsRunning(device);
}

/** As IOUserAudioClockDeviceGetDeviceTransportState(). */
static inline DX_REALTIME IOUserAudioDeviceTransportState
IOUserAudioDeviceGetDeviceTransportState(IOUserAudioDevice *device)
{
    return IOUserAudioClockDeviceGetDeviceTransportState(device);
}

/** As IOUserAudioClockDeviceSetDeviceIsAlive(). */
static inline kern_return_t
IOUserAudioDeviceSetDeviceIsAlive(IOUserAudioDevice *device, bool is_alive)
{
    return IOUserAudioClockDeviceSetDeviceIsAlive(device, is_alive);
}

/** As IOUserAudioClockDeviceGetDeviceIsAlive(). */
static inline DX_REALTIME bool
IOUserAudioDeviceGetDeviceIsAlive(IOUserAudioDevice *device)
{
    return IOUserAudioClockDeviceGetDeviceIsAlive(device);
}

/** As IOUserAudioClockDeviceSetIsHidden(). */
static inline kern_return_t
IOUserAudioDeviceSetIsHidden(IOUserAudioDevice *device, bool is_hidden)
{
    return IOUserAudioClockDeviceSetIsHidden(device, is_hidden);
}

/** As IOUserAudioClockDeviceGetIsHidden(). */
static inline DX_REALTIME bool
IOUserAudioDeviceGetIsHidden(IOUserAudioDevice *device)
{
    return IOUserAudioClockDeviceGetIsHidden(device);
}

/** As IOUserAudioClockDeviceAddControl(). */
static inline kern_return_t
IOUserAudioDeviceAddControl(IOUserAudioDevice *device, IOUserAudioControlPtr control)
{
    return IOUserAudioClockDeviceAddControl(device, control);
}

/** As IOUserAudioClockDeviceRemoveControl(). */
static inline kern_return_t
IOUserAudioDeviceRemoveControl(IOUserAudioDevice *device, IOUserAudioControlPtr control)
{
    return IOUserAudioClockDeviceRemoveControl(device, control);
}

/** As IOUserAudioClockDeviceUpdateCurrentZeroTimestamp(). */
static inline DX_REALTIME void
IOUserAudioDeviceUpdateCurrentZeroTimestamp(IOUserAudioDevice *device, uint64_t sample_time, uint64_t host_time)
{
    IOUserAudioClockDeviceUpdateCurrentZeroTimestamp(device, sample_time, host_time);
}

/** As IOUserAudioClockDeviceGetCurrentZeroTimestamp(). */
static inline DX_REALTIME void
IOUserAudioDeviceGetCurrentZeroTimestamp(IOUserAudioDevice *device, uint64_t *ret_sample_time,
                                         uint64_t *ret_host_time)
{
    IOUserAudioClockDeviceGetCurrentZeroTimestamp(device, ret_sample_time, ret_host_time);
}

/** As IOUserAudioClockDeviceGetCurrentClientSampleTime(). */
static inline DX_REALTIME void
IOUserAudioDeviceGetCurrentClientSampleTime(IOUserAudioDevice *device, uint64_t *ret_input_sample_time,
                                            uint64_t *ret_output_sample_time)
{
    IOUserAudioClockDeviceGetCurrentClientSampleTime(device, ret_input_sample_time, ret_output_sample_time);
}

/** As IOUserAudioClockDeviceSetWantsControlsRestored(). */
static inline void
IOUserAudioDeviceSetWantsControlsRestored(IOUserAudioDevice *device, bool wants_controls_restored)
{
    IOUserAudioClockDeviceSetWantsControlsRestored(device, wants_controls_restored);
}

DX_END_DECLS

#endif /* DEXTRAL_IOUSERAUDIODEVICE_H */
