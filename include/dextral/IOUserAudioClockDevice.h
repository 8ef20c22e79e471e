// SPDX-License-Identifier: MIT
// A time base that runs: the clock half of a device, and a device of its own where there are no streams.

#ifndef DEXTRAL_IOUSERAUDIOCLOCKDEVICE_H
#define DEXTRAL_IOUSERAUDIOCLOCKDEVICE_H

#include <dextral/IOUserAudioControl.h>
#include <dextral/IOUserAudioObject.h>

DX_BEGIN_DECLS

typedef struct IOUserAudioClockDevice IOUserAudioClockDevice;

/** A clock device or a device: parameters of this type take both without a cast. */
typedef void *IOUserAudioClockDevicePtr;

DX_API extern const OSMetaClass *const gIOUserAudioClockDeviceMetaClass;

/*
 * What is said of setters in IOUserAudioObject.h holds here too.  Getters that are marked real-time read
 * published values and may be called from the IO thread.
 *
 * Structure - streams, controls, rings, the period - changes before the device was added to the driver,
 * inside PerformDeviceConfigurationChange, or while IO does not run; otherwise kIOReturnNotPermitted.  Rates,
 * formats, latencies and offsets can be set at any time: outside the protocol this stores and notifies, and
 * does not stop IO.
 */

/**
 * Overrides of a clock device's virtual methods: NULL keeps the base behaviour, which an override reaches
 * through the function of the same name ending in `_super`.
 */
typedef struct IOUserAudioClockDeviceOverrides {
    uint32_t size; ///< sizeof(IOUserAudioClockDeviceOverrides)
    bool (*init)(IOUserAudioClockDevice *device, IOUserAudioDriver *driver, bool supports_prewarming,
                 OSString *device_uid, OSString *model_uid, OSString *manufacturer_uid,
                 uint32_t zero_timestamp_period);
    void (*free)(IOUserAudioClockDevice *device); ///< must end in IOUserAudioClockDeviceFree_super()
    kern_return_t (*StartIO)(IOUserAudioClockDevice *device, IOUserAudioStartStopFlags flags);
    kern_return_t (*StopIO)(IOUserAudioClockDevice *device, IOUserAudioStartStopFlags flags);
    kern_return_t (*PerformDeviceConfigurationChange)(IOUserAudioClockDevice *device, uint64_t change_action,
                                                      OSObjectPtr change_info);
    kern_return_t (*AbortDeviceConfigurationChange)(IOUserAudioClockDevice *device, uint64_t change_action,
                                                    OSObjectPtr change_info);
    kern_return_t (*HandleChangeSampleRate)(IOUserAudioClockDevice *device, double sample_rate);
} IOUserAudioClockDeviceOverrides;

/**
 * Makes a clock device.
 *
 * @param driver                 whose object it is to be; not retained.
 * @param supports_prewarming    whether StartIO with Prewarm is for it.
 * @param device_uid             1 to 255 bytes of UTF-8, the same after every restart; retained.
 * @param model_uid              the same for all devices of a model; retained; may be NULL.
 * @param manufacturer_uid       the maker's; retained; may be NULL.
 * @param zero_timestamp_period  frames between zero timestamps, which is the length of the rings: 1 ... 2^24.
 * @return +1; NULL for an argument out of its range, or without memory.
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioClockDevice::Create.
 */
DX_API IOUserAudioClockDevice *IOUserAudioClockDeviceCreate(IOUserAudioDriver *driver, bool supports_prewarming,
                                                            OSString *device_uid, OSString *model_uid,
                                                            OSString *manufacturer_uid,
                                                            uint32_t zero_timestamp_period);

/** A clock device that is not initialised, +1, or NULL without memory.  Source: OSTypeAlloc. */
DX_API IOUserAudioClockDevice *IOUserAudioClockDeviceAlloc(void);

/**
 * Sets the overrides of one object.
 *
 * @param overrides  borrowed: must outlive the device.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnBusy (it was initialised already).
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t IOUserAudioClockDeviceSetOverrides(IOUserAudioClockDevice *device,
                                                        const IOUserAudioClockDeviceOverrides *overrides);

/**
 * Initialises what IOUserAudioClockDeviceAlloc() made; arguments as IOUserAudioClockDeviceCreate().  Virtual.
 *
 * @return false for an argument out of its range, without memory, or when initialised already; then release it.
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioClockDevice::init.
 */
DX_API bool IOUserAudioClockDeviceInit(IOUserAudioClockDevice *device, IOUserAudioDriver *driver,
                                       bool supports_prewarming, OSString *device_uid, OSString *model_uid,
                                       OSString *manufacturer_uid, uint32_t zero_timestamp_period);

/** The base of IOUserAudioClockDeviceInit(): for its override. */
DX_API bool IOUserAudioClockDeviceInit_super(IOUserAudioClockDevice *device, IOUserAudioDriver *driver,
                                             bool supports_prewarming, OSString *device_uid, OSString *model_uid,
                                             OSString *manufacturer_uid, uint32_t zero_timestamp_period);

/** The base of free: the last thing an override of free does; the object is gone then. */
DX_API void IOUserAudioClockDeviceFree_super(IOUserAudioClockDevice *device);

/**
 * Starts IO, or prepares it.  Virtual; the base moves the transport state, and on a device starts each stream.
 *
 * @param flags  None: to Running.  Prewarm: to Prewarmed, unless it runs already.
 * @return kIOReturnSuccess; kIOReturnUnsupported (Prewarm, and not made for it); kIOReturnBadArgument
 *         (no device, unknown flags); what a stream answered: those started before are stopped again.
 *
 * Can be called again while running: a second client came.
 *
 * Thread: the work queue, by the host.  Real-time: no.  Source: IOUserAudioClockDevice::StartIO.
 */
DX_API kern_return_t IOUserAudioClockDeviceStartIO(IOUserAudioClockDevicePtr device,
                                                   IOUserAudioStartStopFlags flags);

/** The base of IOUserAudioClockDeviceStartIO(): for its override. */
DX_API kern_return_t IOUserAudioClockDeviceStartIO_super(IOUserAudioClockDevice *device,
                                                         IOUserAudioStartStopFlags flags);

/**
 * Stops IO, or undoes a prewarm.  Virtual; the base moves the transport state, and on a device stops each stream.
 *
 * @param flags  None: to Stopped.  Prewarm: from Prewarmed to Stopped, and nothing while it runs.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no device, unknown flags); the first failure of a stream:
 *         the others and the device are stopped all the same.
 *
 * Thread: the work queue, by the host.  Real-time: no.  Source: IOUserAudioClockDevice::StopIO.
 */
DX_API kern_return_t IOUserAudioClockDeviceStopIO(IOUserAudioClockDevicePtr device,
                                                  IOUserAudioStartStopFlags flags);

/** The base of IOUserAudioClockDeviceStopIO(): for its override. */
DX_API kern_return_t IOUserAudioClockDeviceStopIO_super(IOUserAudioClockDevice *device,
                                                        IOUserAudioStartStopFlags flags);

/**
 * Asks the host for a configuration change.  Returns at once; IO is stopped later, then
 * PerformDeviceConfigurationChange or AbortDeviceConfigurationChange is called with the same arguments.
 *
 * @param change_action  the driver's own number, or one of IOUserAudioReservedConfigChangeAction...
 * @param change_info    retained until then; may be NULL.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNotReady (it was not added to a driver that a host
 *         runs); kIOReturnNoMemory.
 *
 * Thread: any but an IO thread.  Real-time: no.
 * Source: IOUserAudioClockDevice::RequestDeviceConfigurationChange.
 */
DX_API kern_return_t IOUserAudioClockDeviceRequestDeviceConfigurationChange(IOUserAudioClockDevicePtr device,
                                                                            uint64_t change_action,
                                                                            OSObjectPtr change_info);

/**
 * Applies a configuration change: IO is stopped.  Virtual; the base does the reserved actions, and succeeds for
 * all others.
 *
 * @param change_action  SampleRate: HandleChangeSampleRate, then DeviceSampleRateChanged of each stream.
 *                       RingBufferFrameSize: SetZeroTimeStampPeriod.  StreamFormat: a stream's
 *                       HandleChangeCurrentStreamFormat.
 * @param change_info    for reserved actions what dx_configuration_info_... made; else the driver's own.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no device, or the info does not belong to the action); what
 *         the handlers answered.
 *
 * Thread: the work queue, by the host.  Real-time: no.
 * Source: IOUserAudioClockDevice::PerformDeviceConfigurationChange.
 */
DX_API kern_return_t IOUserAudioClockDevicePerformDeviceConfigurationChange(IOUserAudioClockDevicePtr device,
                                                                            uint64_t change_action,
                                                                            OSObjectPtr change_info);

/** The base of IOUserAudioClockDevicePerformDeviceConfigurationChange(): for its override. */
DX_API kern_return_t IOUserAudioClockDevicePerformDeviceConfigurationChange_super(IOUserAudioClockDevice *device,
                                                                                  uint64_t change_action,
                                                                                  OSObjectPtr change_info);

/**
 * Says that a requested change will not happen.  Virtual; the base succeeds.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (no device).
 *
 * Thread: the work queue, by the host.  Real-time: no.
 * Source: IOUserAudioClockDevice::AbortDeviceConfigurationChange.
 */
DX_API kern_return_t IOUserAudioClockDeviceAbortDeviceConfigurationChange(IOUserAudioClockDevicePtr device,
                                                                          uint64_t change_action,
                                                                          OSObjectPtr change_info);

/** The base of IOUserAudioClockDeviceAbortDeviceConfigurationChange(): for its override. */
DX_API kern_return_t IOUserAudioClockDeviceAbortDeviceConfigurationChange_super(IOUserAudioClockDevice *device,
                                                                                uint64_t change_action,
                                                                                OSObjectPtr change_info);

/** Change info of action SampleRate.  @return +1 or NULL without memory.  Thread: any. */
DX_API OSObjectPtr dx_configuration_info_for_sample_rate(double sample_rate);

/** Change info of action RingBufferFrameSize.  @return +1 or NULL without memory.  Thread: any. */
DX_API OSObjectPtr dx_configuration_info_for_ring_frames(uint32_t frames);

/**
 * Change info of action StreamFormat.
 *
 * @param index   of the stream in its direction, from 0, in the order of AddStream.
 * @param format  copied.
 * @return +1 or NULL without memory.  Thread: any.
 */
DX_API OSObjectPtr dx_configuration_info_for_stream_format(IOUserAudioStreamDirection direction, uint32_t index,
                                                           const IOUserAudioStreamBasicDescription *format);

/**
 * Takes a rate that the host wants.  Virtual; the base calls SetSampleRate.
 *
 * @param sample_rate  in Hz.
 * @return as IOUserAudioClockDeviceSetSampleRate().
 *
 * Thread: the work queue, by the host.  Real-time: no.  Source: IOUserAudioClockDevice::HandleChangeSampleRate.
 */
DX_API kern_return_t IOUserAudioClockDeviceHandleChangeSampleRate(IOUserAudioClockDevicePtr device,
                                                                  double sample_rate);

/** The base of IOUserAudioClockDeviceHandleChangeSampleRate(): for its override. */
DX_API kern_return_t IOUserAudioClockDeviceHandleChangeSampleRate_super(IOUserAudioClockDevice *device,
                                                                        double sample_rate);

/**
 * Whether StartIO with Prewarm is for it.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioClockDevice::GetSupportsPrewarming.
 */
DX_API bool IOUserAudioClockDeviceGetSupportsPrewarming(IOUserAudioClockDevicePtr device) DX_REALTIME;

/**
 * Sets the frames between zero timestamps, which is the length of every ring of the device.  Structure.
 *
 * @param zero_timestamp_period  1 ... 2^24 frames.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNotPermitted (IO runs); kIOReturnNoSpace (a
 *         stream's buffer is too small for that many frames of its largest format).
 *
 * Notifies: 'ring'.  Thread: control.  Real-time: no.  Source: IOUserAudioClockDevice::SetZeroTimeStampPeriod.
 */
DX_API kern_return_t IOUserAudioClockDeviceSetZeroTimeStampPeriod(IOUserAudioClockDevicePtr device,
                                                                  uint32_t zero_timestamp_period);

/**
 * Frames between zero timestamps.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioClockDevice::GetZeroTimestampPeriod.
 */
DX_API uint32_t IOUserAudioClockDeviceGetZeroTimestampPeriod(IOUserAudioClockDevicePtr device) DX_REALTIME;

/**
 * Sets the nominal rate.
 *
 * @param sample_rate  above 0, up to 10 MHz; need not be among the available ones.
 * @return kIOReturnSuccess; kIOReturnBadArgument.
 *
 * Notifies: 'nsrt'.  Thread: control.  Real-time: no.  Source: IOUserAudioClockDevice::SetSampleRate.
 */
DX_API kern_return_t IOUserAudioClockDeviceSetSampleRate(IOUserAudioClockDevicePtr device, double sample_rate);

/**
 * The nominal rate in Hz; 0 until it or available rates were set.
 *
 * Thread: any.  Real-time: yes, wait-free.  Source: IOUserAudioClockDevice::GetSampleRate.
 */
DX_API double IOUserAudioClockDeviceGetSampleRate(IOUserAudioClockDevicePtr device) DX_REALTIME;

/**
 * Sets the rates that clients may choose; the first becomes the nominal rate if none was set.
 *
 * @param sample_rates  copied; each above 0, up to 10 MHz.
 * @param count         0 ... 256.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNoMemory.
 *
 * Notifies: 'nsr#', and 'nsrt' when the nominal rate was set.  Thread: control.  Real-time: no.
 * Source: IOUserAudioClockDevice::SetAvailableSampleRates.
 */
DX_API kern_return_t IOUserAudioClockDeviceSetAvailableSampleRates(IOUserAudioClockDevicePtr device,
                                                                   const double *sample_rates, size_t count);

/**
 * How many rates there are.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioClockDevice::GetNumberAvailableSampleRates.
 */
DX_API size_t IOUserAudioClockDeviceGetNumberAvailableSampleRates(IOUserAudioClockDevicePtr device) DX_REALTIME;

/**
 * The rates that clients may choose.
 *
 * @param sample_rates  room for `count`.
 * @return how many were written.
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioClockDevice::GetAvailableSampleRates.
 */
DX_API size_t IOUserAudioClockDeviceGetAvailableSampleRates(IOUserAudioClockDevicePtr device, double *sample_rates,
                                                            size_t count);

/**
 * Sets the frames from the ring to the output connector.  It moves nothing; it is what clients are told.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument.
 *
 * Notifies: 'ltnc'.  Thread: control.  Real-time: no.  Source: IOUserAudioClockDevice::SetOutputLatency.
 */
DX_API kern_return_t IOUserAudioClockDeviceSetOutputLatency(IOUserAudioClockDevicePtr device, uint32_t latency);

/**
 * Frames from ring to connector.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioClockDevice::GetOutputLatency.
 */
DX_API uint32_t IOUserAudioClockDeviceGetOutputLatency(IOUserAudioClockDevicePtr device) DX_REALTIME;

/** As SetOutputLatency, from the input connector to the ring.  Source: IOUserAudioClockDevice::SetInputLatency. */
DX_API kern_return_t IOUserAudioClockDeviceSetInputLatency(IOUserAudioClockDevicePtr device, uint32_t latency);

/**
 * Frames from connector to ring.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioClockDevice::GetInputLatency.
 */
DX_API uint32_t IOUserAudioClockDeviceGetInputLatency(IOUserAudioClockDevicePtr device) DX_REALTIME;

/** The UID, +1; NULL for no device.  Thread: any but an IO thread.  Source: IOUserAudioClockDevice::GetUID. */
DX_API OSString *IOUserAudioClockDeviceGetUID(IOUserAudioClockDevicePtr device);

/**
 * Sets how the device is attached.
 *
 * @param transport_type  one of IOUserAudioTransportType...
 * @return kIOReturnSuccess; kIOReturnBadArgument (also an unknown type).
 *
 * Notifies: 'tran'.  Thread: control.  Real-time: no.  Source: IOUserAudioClockDevice::SetTransportType.
 */
DX_API kern_return_t IOUserAudioClockDeviceSetTransportType(IOUserAudioClockDevicePtr device,
                                                            IOUserAudioTransportType transport_type);

/**
 * How it is attached; Unknown at first.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioClockDevice::GetTransportType.
 */
DX_API IOUserAudioTransportType IOUserAudioClockDeviceGetTransportType(IOUserAudioClockDevicePtr device)
    DX_REALTIME;

/**
 * Sets the clock domain: devices of one domain share a clock and need no drift correction among them.
 *
 * @param clock_domain  0: unspecified, which matches no other.
 * @return kIOReturnSuccess; kIOReturnBadArgument.
 *
 * Notifies: 'clkd'.  Thread: control.  Real-time: no.  Source: IOUserAudioClockDevice::SetClockDomain.
 */
DX_API kern_return_t IOUserAudioClockDeviceSetClockDomain(IOUserAudioClockDevicePtr device, uint32_t clock_domain);

/**
 * The clock domain; 0 at first.  Thread: any.  Real-time: yes.  Source: IOUserAudioClockDevice::GetClockDomain.
 */
DX_API uint32_t IOUserAudioClockDeviceGetClockDomain(IOUserAudioClockDevicePtr device) DX_REALTIME;

/**
 * Sets how zero timestamps are filtered.
 *
 * @param clock_algorithm  one of IOUserAudioClockAlgorithm...
 * @return kIOReturnSuccess; kIOReturnBadArgument (also an unknown one).
 *
 * Notifies: 'clok'.  Thread: control.  Real-time: no.  Source: IOUserAudioClockDevice::SetClockAlgorithm.
 */
DX_API kern_return_t IOUserAudioClockDeviceSetClockAlgorithm(IOUserAudioClockDevicePtr device,
                                                             IOUserAudioClockAlgorithm clock_algorithm);

/**
 * The filter; SimpleIIR at first.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioClockDevice::GetClockAlgorithm.
 */
DX_API IOUserAudioClockAlgorithm IOUserAudioClockDeviceGetClockAlgorithm(IOUserAudioClockDevicePtr device)
    DX_REALTIME;

/**
 * Says whether the rate stays close to nominal.  Notifies: 'cstb'.  Thread: control.
 * Source: IOUserAudioClockDevice::SetClockIsStable.
 */
DX_API kern_return_t IOUserAudioClockDeviceSetClockIsStable(IOUserAudioClockDevicePtr device, bool is_stable);

/**
 * Whether it does; true at first.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioClockDevice::GetClockIsStable.
 */
DX_API bool IOUserAudioClockDeviceGetClockIsStable(IOUserAudioClockDevicePtr device) DX_REALTIME;

/**
 * Whether IO runs: the transport state is Running.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioClockDevice::GetDeviceIsRunning.
 */
DX_API bool IOUserAudioClockDeviceGetDeviceIsRunning(IOUserAudioClockDevicePtr device) DX_REALTIME;

/**
 * How far it has started.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioClockDevice::GetDeviceTransportState.
 */
DX_API IOUserAudioDeviceTransportState
IOUserAudioClockDeviceGetDeviceTransportState(IOUserAudioClockDevicePtr device) DX_REALTIME;

/**
 * Says whether the device works; false announces its loss.  Notifies: 'livn'.  Thread: control.
 * Source: IOUserAudioClockDevice::SetDeviceIsAlive.
 */
DX_API kern_return_t IOUserAudioClockDeviceSetDeviceIsAlive(IOUserAudioClockDevicePtr device, bool is_alive);

/**
 * Whether it works; true at first.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioClockDevice::GetDeviceIsAlive.
 */
DX_API bool IOUserAudioClockDeviceGetDeviceIsAlive(IOUserAudioClockDevicePtr device) DX_REALTIME;

/**
 * Hides the device: it is found by its UID only, and is never a default.  Notifies: 'hidn'.  Thread: control.
 * Source: IOUserAudioClockDevice::SetIsHidden.
 */
DX_API kern_return_t IOUserAudioClockDeviceSetIsHidden(IOUserAudioClockDevicePtr device, bool is_hidden);

/**
 * Whether it is hidden; false at first.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioClockDevice::GetIsHidden.
 */
DX_API bool IOUserAudioClockDeviceGetIsHidden(IOUserAudioClockDevicePtr device) DX_REALTIME;

/**
 * Adds a control.  Structure.
 *
 * @param control  any control; retained until it is removed or the device goes.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no device, no control, or one of another driver);
 *         kIOReturnExclusiveAccess (it has an owner already); kIOReturnNotPermitted (IO runs);
 *         kIOReturnNoMemory; kIOReturnNoResources (1024 are there).
 *
 * Notifies: 'ctrl'.  Thread: control.  Real-time: no.  Source: IOUserAudioClockDevice::AddControl.
 */
DX_API kern_return_t IOUserAudioClockDeviceAddControl(IOUserAudioClockDevicePtr device,
                                                      IOUserAudioControlPtr control);

/**
 * Removes a control and releases it.  Structure.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (no device, or no control); kIOReturnNotFound (it is not this
 *         device's); kIOReturnNotPermitted (IO runs).
 *
 * Notifies: 'ctrl'.  Thread: control.  Real-time: no.  Source: IOUserAudioClockDevice::RemoveControl.
 */
DX_API kern_return_t IOUserAudioClockDeviceRemoveControl(IOUserAudioClockDevicePtr device,
                                                         IOUserAudioControlPtr control);

/**
 * Posts a zero timestamp: frame `sample_time` passed the hardware at `host_time`.
 *
 * Stores any pair.  (0, 0) says that there is none; one off the period's grid, going back or not consecutive
 * is counted and moves the timeline.
 *
 * @param sample_time  driver time in frames; normally a multiple of the period.
 * @param host_time    ticks of mach_absolute_time().
 *
 * Thread: any, one caller at a time.  Real-time: yes, wait-free.
 * Source: IOUserAudioClockDevice::UpdateCurrentZeroTimestamp.
 */
DX_API void IOUserAudioClockDeviceUpdateCurrentZeroTimestamp(IOUserAudioClockDevicePtr device,
                                                             uint64_t sample_time, uint64_t host_time) DX_REALTIME;

/**
 * The zero timestamp posted last, as it was posted: StopIO leaves it.
 *
 * @param ret_sample_time  frames; 0 before the first; may be NULL.
 * @param ret_host_time    ticks of mach_absolute_time(); 0 before the first; may be NULL.
 *
 * Thread: any.  Real-time: yes, wait-free.  Source: IOUserAudioClockDevice::GetCurrentZeroTimestamp.
 */
DX_API void IOUserAudioClockDeviceGetCurrentZeroTimestamp(IOUserAudioClockDevicePtr device,
                                                          uint64_t *ret_sample_time,
                                                          uint64_t *ret_host_time) DX_REALTIME;

/**
 * The sample times last handed to the handler: how far clients have read and written.
 *
 * @param ret_input_sample_time   of the last BeginRead; 0 before the first; may be NULL.
 * @param ret_output_sample_time  of the last WriteEnd; 0 before the first; may be NULL.
 *
 * Thread: any.  Real-time: yes, wait-free.  Source: IOUserAudioClockDevice::GetCurrentClientSampleTime.
 */
DX_API void IOUserAudioClockDeviceGetCurrentClientSampleTime(IOUserAudioClockDevicePtr device,
                                                             uint64_t *ret_input_sample_time,
                                                             uint64_t *ret_output_sample_time) DX_REALTIME;

/**
 * Says whether the host is to restore the control values of an earlier time; unset means that it does.  No effect
 * once the device was added to the driver.
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioClockDevice::SetWantsControlsRestored.
 */
DX_API void IOUserAudioClockDeviceSetWantsControlsRestored(IOUserAudioClockDevicePtr device,
                                                           bool wants_controls_restored);

DX_END_DECLS

#endif /* DEXTRAL_IOUSERAUDIOCLOCKDEVICE_H */
