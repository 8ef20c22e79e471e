// SPDX-License-Identifier: MIT
// One direction of interleaved sound of a device, in one ring that driver and host share.

#ifndef DEXTRAL_IOUSERAUDIOSTREAM_H
#define DEXTRAL_IOUSERAUDIOSTREAM_H

#include <dextral/IOMemoryDescriptor.h>
#include <dextral/IOUserAudioObject.h>

DX_BEGIN_DECLS

typedef struct IOUserAudioStream IOUserAudioStream;

DX_API extern const OSMetaClass *const gIOUserAudioStreamMetaClass;

/*
 * Formats: linear PCM, interleaved, one frame a packet, 1 ... 1024 channels.  Mixable ones are signed
 * integers of 16, 24 and 32 bits and floats of 32 and 64; non-mixable ones may have any sample width, since
 * nobody but the client looks at the bits.
 */

/** Overrides of a stream's virtual methods, as IOUserAudioClockDeviceOverrides. */
typedef struct IOUserAudioStreamOverrides {
    uint32_t size; ///< sizeof(IOUserAudioStreamOverrides)
    bool (*init)(IOUserAudioStream *stream, IOUserAudioDriver *driver, IOUserAudioStreamDirection direction,
                 OSObjectPtr io_memory_descriptor);
    void (*free)(IOUserAudioStream *stream); ///< must end in IOUserAudioStreamFree_super()
    kern_return_t (*StartIO)(IOUserAudioStream *stream, IOUserAudioStartStopFlags flags);
    kern_return_t (*StopIO)(IOUserAudioStream *stream, IOUserAudioStartStopFlags flags);
    kern_return_t (*HandleChangeCurrentStreamFormat)(IOUserAudioStream *stream,
                                                     const IOUserAudioStreamBasicDescription *format);
    kern_return_t (*HandleChangeStreamIsActive)(IOUserAudioStream *stream, bool is_active);
} IOUserAudioStreamOverrides;

/**
 * Makes a stream.
 *
 * @param driver                whose object it is to be; not retained.
 * @param direction             IOUserAudioStreamDirectionOutput or ...Input.
 * @param io_memory_descriptor  the ring: any memory descriptor, retained; its length must hold the device's
 *                              zero-timestamp period in frames of the largest format.  May be NULL, to be
 *                              set later.
 * @return +1; NULL for an argument out of its range, or without memory.
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioStream::Create.
 */
DX_API IOUserAudioStream *IOUserAudioStreamCreate(IOUserAudioDriver *driver, IOUserAudioStreamDirection direction,
                                                  OSObjectPtr io_memory_descriptor);

/** A stream that is not initialised, +1, or NULL without memory.  Source: OSTypeAlloc. */
DX_API IOUserAudioStream *IOUserAudioStreamAlloc(void);

/**
 * Sets the overrides of one object.
 *
 * @param overrides  borrowed: must outlive the stream.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnBusy (it was initialised already).
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t IOUserAudioStreamSetOverrides(IOUserAudioStream *stream,
                                                   const IOUserAudioStreamOverrides *overrides);

/**
 * Initialises what IOUserAudioStreamAlloc() made; arguments as IOUserAudioStreamCreate().  Virtual.
 *
 * @return false for an argument out of its range, without memory, or when initialised already; then release it.
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioStream::init.
 */
DX_API bool IOUserAudioStreamInit(IOUserAudioStream *stream, IOUserAudioDriver *driver,
                                  IOUserAudioStreamDirection direction, OSObjectPtr io_memory_descriptor);

/** The base of IOUserAudioStreamInit(): for its override. */
DX_API bool IOUserAudioStreamInit_super(IOUserAudioStream *stream, IOUserAudioDriver *driver,
                                        IOUserAudioStreamDirection direction, OSObjectPtr io_memory_descriptor);

/** The base of free: the last thing an override of free does; the object is gone then. */
DX_API void IOUserAudioStreamFree_super(IOUserAudioStream *stream);

/**
 * Says that the device's IO starts.  Virtual; the base succeeds.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (no stream).  A failure fails the device's StartIO.
 *
 * Thread: the work queue, by the device.  Real-time: no.  Source: IOUserAudioStream::StartIO.
 */
DX_API kern_return_t IOUserAudioStreamStartIO(IOUserAudioStream *stream, IOUserAudioStartStopFlags flags);

/** The base of IOUserAudioStreamStartIO(): for its override. */
DX_API kern_return_t IOUserAudioStreamStartIO_super(IOUserAudioStream *stream, IOUserAudioStartStopFlags flags);

/**
 * Says that the device's IO has stopped.  Virtual; the base succeeds.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (no stream).
 *
 * Thread: the work queue, by the device.  Real-time: no.  Source: IOUserAudioStream::StopIO.
 */
DX_API kern_return_t IOUserAudioStreamStopIO(IOUserAudioStream *stream, IOUserAudioStartStopFlags flags);

/** The base of IOUserAudioStreamStopIO(): for its override. */
DX_API kern_return_t IOUserAudioStreamStopIO_super(IOUserAudioStream *stream, IOUserAudioStartStopFlags flags);

/**
 * Takes a format that the host, or a new rate of the device, wants.  Virtual; the base calls
 * SetCurrentStreamFormat.
 *
 * @param format  borrowed for the call.
 * @return as IOUserAudioStreamSetCurrentStreamFormat().
 *
 * Thread: the work queue, by the host.  Real-time: no.
 * Source: IOUserAudioStream::HandleChangeCurrentStreamFormat.
 */
DX_API kern_return_t IOUserAudioStreamHandleChangeCurrentStreamFormat(
    IOUserAudioStream *stream, const IOUserAudioStreamBasicDescription *format);

/** The base of IOUserAudioStreamHandleChangeCurrentStreamFormat(): for its override. */
DX_API kern_return_t IOUserAudioStreamHandleChangeCurrentStreamFormat_super(
    IOUserAudioStream *stream, const IOUserAudioStreamBasicDescription *format);

/**
 * Takes the host's wish to switch the stream on or off.  Virtual; the base calls SetStreamIsActive.
 *
 * Thread: the work queue, by the host.  Real-time: no.  Source: IOUserAudioStream::HandleChangeStreamIsActive.
 */
DX_API kern_return_t IOUserAudioStreamHandleChangeStreamIsActive(IOUserAudioStream *stream, bool is_active);

/** The base of IOUserAudioStreamHandleChangeStreamIsActive(): for its override. */
DX_API kern_return_t IOUserAudioStreamHandleChangeStreamIsActive_super(IOUserAudioStream *stream, bool is_active);

/**
 * Sets the format of the ring.
 *
 * @param format  copied; need not be among the available ones.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no stream, or sizes, channels, rate and flags that
 *         contradict each other); kIOReturnUnsupported (not one that streams can have: see above);
 *         kIOReturnNoSpace (the ring is too small for the device's period of such frames).
 *
 * Notifies: 'sfmt', 'pft '.  Thread: control.  Real-time: no.  Source: IOUserAudioStream::SetCurrentStreamFormat.
 */
DX_API kern_return_t IOUserAudioStreamSetCurrentStreamFormat(IOUserAudioStream *stream,
                                                             const IOUserAudioStreamBasicDescription *format);

/**
 * The format of the ring; all zero until it or available formats were set.
 *
 * Thread: any.  Real-time: yes, wait-free.  Source: IOUserAudioStream::GetCurrentStreamFormat.
 */
DX_API IOUserAudioStreamBasicDescription IOUserAudioStreamGetCurrentStreamFormat(IOUserAudioStream *stream)
    DX_REALTIME;

/**
 * Moves the stream to a new rate of its device: chooses the available format of that rate which is closest to
 * the current one - the same but for the rate, else the nearest number of channels, then of bits, then the
 * first - and calls HandleChangeCurrentStreamFormat with it.  Without a list, the current format at that rate.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (no stream, or the rate); kIOReturnNotFound (no format has that
 *         rate); what the handler answered.
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioStream::DeviceSampleRateChanged.
 */
DX_API kern_return_t IOUserAudioStreamDeviceSampleRateChanged(IOUserAudioStream *stream, double sample_rate);

/**
 * Sets the formats that clients may choose; the first becomes the current format if none was set.
 *
 * @param formats  copied.
 * @param count    0 ... 256.
 * @return as IOUserAudioStreamSetCurrentStreamFormat(); kIOReturnNoMemory.
 *
 * Notifies: 'sfma', 'pfta', and 'sfmt', 'pft ' when the current format was set.  Thread: control.
 * Real-time: no.  Source: IOUserAudioStream::SetAvailableStreamFormats.
 */
DX_API kern_return_t IOUserAudioStreamSetAvailableStreamFormats(IOUserAudioStream *stream,
                                                                const IOUserAudioStreamBasicDescription *formats,
                                                                uint32_t count);

/**
 * How many formats there are.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioStream::GetNumberAvailableStreamFormats.
 */
DX_API size_t IOUserAudioStreamGetNumberAvailableStreamFormats(IOUserAudioStream *stream) DX_REALTIME;

/**
 * The formats that clients may choose.
 *
 * @param formats  room for `count`.
 * @return how many were written.
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioStream::GetAvailableStreamFormats.
 */
DX_API size_t IOUserAudioStreamGetAvailableStreamFormats(IOUserAudioStream *stream,
                                                         IOUserAudioStreamBasicDescription *formats, size_t count);

/**
 * Which way it goes; Output for what is no stream.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioStream::GetStreamDirection.
 */
DX_API IOUserAudioStreamDirection IOUserAudioStreamGetStreamDirection(IOUserAudioStream *stream) DX_REALTIME;

/**
 * Says whether it takes part in IO.  Notifies: 'sact'.  Thread: control.
 * Source: IOUserAudioStream::SetStreamIsActive.
 */
DX_API kern_return_t IOUserAudioStreamSetStreamIsActive(IOUserAudioStream *stream, bool is_active);

/**
 * Whether it takes part in IO; true at first.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioStream::GetStreamIsActive.
 */
DX_API bool IOUserAudioStreamGetStreamIsActive(IOUserAudioStream *stream) DX_REALTIME;

/**
 * Sets what the stream ends in.
 *
 * @param terminal_type  one of IOUserAudioStreamTerminalType...
 * @return kIOReturnSuccess; kIOReturnBadArgument (also an unknown type).
 *
 * Notifies: 'term'.  Thread: control.  Real-time: no.  Source: IOUserAudioStream::SetTerminalType.
 */
DX_API kern_return_t IOUserAudioStreamSetTerminalType(IOUserAudioStream *stream,
                                                      IOUserAudioStreamTerminalType terminal_type);

/**
 * What it ends in; Unknown at first.  Thread: any.  Real-time: yes.  Source: IOUserAudioStream::GetTerminalType.
 */
DX_API IOUserAudioStreamTerminalType IOUserAudioStreamGetTerminalType(IOUserAudioStream *stream) DX_REALTIME;

/**
 * Sets the channel of the device that is this stream's first.
 *
 * @param starting_channel  from 1.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no stream, or 0).
 *
 * Notifies: 'schn'.  Thread: control.  Real-time: no.  Source: IOUserAudioStream::SetStartingChannel.
 */
DX_API kern_return_t IOUserAudioStreamSetStartingChannel(IOUserAudioStream *stream, uint32_t starting_channel);

/**
 * The channel of the device that is its first; 1 at first.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioStream::GetStartingChannel.
 */
DX_API uint32_t IOUserAudioStreamGetStartingChannel(IOUserAudioStream *stream) DX_REALTIME;

/**
 * Sets the ring.  Structure: see IOUserAudioClockDevice.h.
 *
 * @param io_memory_descriptor  any memory descriptor; retained; NULL: none.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNotPermitted (IO runs); kIOReturnNoSpace (too small
 *         for the device's period of frames of the largest format).
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioStream::SetIOMemoryDescriptor.
 */
DX_API kern_return_t IOUserAudioStreamSetIOMemoryDescriptor(IOUserAudioStream *stream,
                                                            OSObjectPtr io_memory_descriptor);

/**
 * The ring, +1; NULL: none.  Thread: control.  Real-time: no.  Source: IOUserAudioStream::GetIOMemoryDescriptor.
 */
DX_API IOMemoryDescriptor *IOUserAudioStreamGetIOMemoryDescriptor(IOUserAudioStream *stream);

/**
 * Sets the frames that this stream adds to its device's latency.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument.
 *
 * Notifies: 'ltnc'.  Thread: control.  Real-time: no.  Source: IOUserAudioStream::SetLatency.
 */
DX_API kern_return_t IOUserAudioStreamSetLatency(IOUserAudioStream *stream, uint32_t latency);

/** Frames that it adds; 0 at first.  Thread: any.  Real-time: yes.  Source: IOUserAudioStream::GetLatency. */
DX_API uint32_t IOUserAudioStreamGetLatency(IOUserAudioStream *stream) DX_REALTIME;

DX_END_DECLS

#endif /* DEXTRAL_IOUSERAUDIOSTREAM_H */
