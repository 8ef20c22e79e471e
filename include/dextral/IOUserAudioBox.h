// SPDX-License-Identifier: MIT
// A box: devices that come and go together, as those of a breakout box or of a network node do.

#ifndef DEXTRAL_IOUSERAUDIOBOX_H
#define DEXTRAL_IOUSERAUDIOBOX_H

#include <dextral/IOUserAudioDevice.h>

DX_BEGIN_DECLS

typedef struct IOUserAudioBox IOUserAudioBox;

DX_API extern const OSMetaClass *const gIOUserAudioBoxMetaClass;

/** Overrides of a box's virtual methods, as IOUserAudioClockDeviceOverrides. */
typedef struct IOUserAudioBoxOverrides {
    uint32_t size; ///< sizeof(IOUserAudioBoxOverrides)
    bool (*init)(IOUserAudioBox *box, IOUserAudioDriver *driver, bool is_acquirable, OSString *box_uid);
    void (*free)(IOUserAudioBox *box); ///< must end in IOUserAudioBoxFree_super()
    kern_return_t (*HandleChangeAcquireBox)(IOUserAudioBox *box, bool is_acquired);
} IOUserAudioBoxOverrides;

/**
 * Makes a box.
 *
 * @param driver         whose object it is to be; not retained.
 * @param is_acquirable  whether clients may acquire and release it.
 * @param box_uid        1 to 255 bytes of UTF-8, the same after every restart; retained.
 * @return +1; NULL for an argument out of its range, or without memory.
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioBox::Create.
 */
DX_API IOUserAudioBox *IOUserAudioBoxCreate(IOUserAudioDriver *driver, bool is_acquirable, OSString *box_uid);

/** A box that is not initialised, +1, or NULL without memory.  Source: OSTypeAlloc. */
DX_API IOUserAudioBox *IOUserAudioBoxAlloc(void);

/**
 * Sets the overrides of one object.
 *
 * @param overrides  borrowed: must outlive the box.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnBusy (it was initialised already).
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t IOUserAudioBoxSetOverrides(IOUserAudioBox *box, const IOUserAudioBoxOverrides *overrides);

/**
 * Initialises what IOUserAudioBoxAlloc() made; arguments as IOUserAudioBoxCreate().  Virtual.
 *
 * @return false for an argument out of its range, or when initialised already; then release it.
 *
 * Thread: control.  Real-time: no.  Source: IOUserAudioBox::init.
 */
DX_API bool IOUserAudioBoxInit(IOUserAudioBox *box, IOUserAudioDriver *driver, bool is_acquirable,
                               OSString *box_uid);

/** The base of IOUserAudioBoxInit(): for its override. */
DX_API bool IOUserAudioBoxInit_super(IOUserAudioBox *box, IOUserAudioDriver *driver, bool is_acquirable,
                                     OSString *box_uid);

/** The base of free: the last thing an override of free does; the box is gone then. */
DX_API void IOUserAudioBoxFree_super(IOUserAudioBox *box);

/**
 * Takes a client's wish to acquire or release the box.  Virtual; the base accepts: SetIsAcquired.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (no box); kIOReturnUnsupported (it is not acquirable).
 *
 * Thread: the work queue, by the host.  Real-time: no.  Source: IOUserAudioBox::HandleChangeAcquireBox.
 */
DX_API kern_return_t IOUserAudioBoxHandleChangeAcquireBox(IOUserAudioBox *box, bool is_acquired);

/** The base of IOUserAudioBoxHandleChangeAcquireBox(): for its override. */
DX_API kern_return_t IOUserAudioBoxHandleChangeAcquireBox_super(IOUserAudioBox *box, bool is_acquired);

/**
 * Puts a device into the box.  The driver owns it, by AddObject; clients see it while the box is acquired.
 *
 * @param device  not retained: the box keeps its id.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no box, no device, or one of another driver);
 *         kIOReturnExclusiveAccess (it is in the box already); kIOReturnNoMemory; kIOReturnNoResources (1024
 *         are in it).
 *
 * Notifies: 'bdv#'.  Thread: control.  Real-time: no.  Source: IOUserAudioBox::AddDevice.
 */
DX_API kern_return_t IOUserAudioBoxAddDevice(IOUserAudioBox *box, IOUserAudioDevice *device);

/**
 * Takes a device out of the box.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNotFound (it is not in the box).
 *
 * Notifies: 'bdv#'.  Thread: control.  Real-time: no.  Source: IOUserAudioBox::RemoveDevice.
 */
DX_API kern_return_t IOUserAudioBoxRemoveDevice(IOUserAudioBox *box, IOUserAudioDevice *device);

/**
 * As AddDevice, for a clock device that is no device.  Notifies: 'bcl#'.
 * Source: IOUserAudioBox::AddClockDevice.
 */
DX_API kern_return_t IOUserAudioBoxAddClockDevice(IOUserAudioBox *box, IOUserAudioClockDevice *device);

/** As RemoveDevice.  Notifies: 'bcl#'.  Source: IOUserAudioBox::RemoveClockDevice. */
DX_API kern_return_t IOUserAudioBoxRemoveClockDevice(IOUserAudioBox *box, IOUserAudioClockDevice *device);

/** The UID, +1; NULL for no box.  Thread: any but an IO thread.  Source: IOUserAudioBox::GetUID. */
DX_API OSString *IOUserAudioBoxGetUID(IOUserAudioBox *box);

/**
 * Sets how the box is attached.
 *
 * @param transport_type  one of IOUserAudioTransportType...
 * @return kIOReturnSuccess; kIOReturnBadArgument (also an unknown type).
 *
 * Notifies: 'tran'.  Thread: control.  Real-time: no.  Source: IOUserAudioBox::SetTransportType.
 */
DX_API kern_return_t IOUserAudioBoxSetTransportType(IOUserAudioBox *box, IOUserAudioTransportType transport_type);

/**
 * How it is attached; Unknown at first.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioBox::GetTransportType.
 */
DX_API IOUserAudioTransportType IOUserAudioBoxGetTransportType(IOUserAudioBox *box) DX_REALTIME;

/**
 * Says whether the box carries audio.  Notifies: 'bhau'.  Thread: control.  Source: IOUserAudioBox::SetHasAudio.
 */
DX_API kern_return_t IOUserAudioBoxSetHasAudio(IOUserAudioBox *box, bool has_audio);

/** Whether it does; true at first.  Thread: any.  Real-time: yes.  Source: IOUserAudioBox::HasAudio. */
DX_API bool IOUserAudioBoxHasAudio(IOUserAudioBox *box) DX_REALTIME;

/**
 * Says whether the box carries video.  Notifies: 'bhvi'.  Thread: control.  Source: IOUserAudioBox::SetHasVideo.
 */
DX_API kern_return_t IOUserAudioBoxSetHasVideo(IOUserAudioBox *box, bool has_video);

/** Whether it does; false at first.  Thread: any.  Real-time: yes.  Source: IOUserAudioBox::HasVideo. */
DX_API bool IOUserAudioBoxHasVideo(IOUserAudioBox *box) DX_REALTIME;

/** Says whether the box carries MIDI.  Notifies: 'bhmi'.  Thread: control.  Source: IOUserAudioBox::SetHasMIDI. */
DX_API kern_return_t IOUserAudioBoxSetHasMIDI(IOUserAudioBox *box, bool has_midi);

/** Whether it does; false at first.  Thread: any.  Real-time: yes.  Source: IOUserAudioBox::HasMIDI. */
DX_API bool IOUserAudioBoxHasMIDI(IOUserAudioBox *box) DX_REALTIME;

/**
 * Says whether acquiring takes a password.  Notifies: 'bpro'.  Thread: control.
 * Source: IOUserAudioBox::SetIsProtected.
 */
DX_API kern_return_t IOUserAudioBoxSetIsProtected(IOUserAudioBox *box, bool is_protected);

/** Whether it does; false at first.  Thread: any.  Real-time: yes.  Source: IOUserAudioBox::IsProtected. */
DX_API bool IOUserAudioBoxIsProtected(IOUserAudioBox *box) DX_REALTIME;

/**
 * Says whether the box is acquired.  Notifies: 'bxon'.  Thread: control.  Source: IOUserAudioBox::SetIsAcquired.
 */
DX_API kern_return_t IOUserAudioBoxSetIsAcquired(IOUserAudioBox *box, bool is_acquired);

/**
 * Whether it is; at first only one that is not acquirable.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioBox::IsAcquired.
 */
DX_API bool IOUserAudioBoxIsAcquired(IOUserAudioBox *box) DX_REALTIME;

/**
 * Says whether clients may acquire and release it.  Notifies: 'bxon'.  Thread: control.
 * Source: IOUserAudioBox::SetIsAcquirable.
 */
DX_API kern_return_t IOUserAudioBoxSetIsAcquirable(IOUserAudioBox *box, bool is_acquirable);

/** Whether they may.  Thread: any.  Real-time: yes.  Source: IOUserAudioBox::IsAcquirable. */
DX_API bool IOUserAudioBoxIsAcquirable(IOUserAudioBox *box) DX_REALTIME;

/**
 * Says why the box could not be acquired; kIOReturnSuccess: it could.  Notifies: 'bxof'.  Thread: control.
 * Source: IOUserAudioBox::SetAcquisitionFailure.
 */
DX_API kern_return_t IOUserAudioBoxSetAcquisitionFailure(IOUserAudioBox *box, kern_return_t failure);

/**
 * Why not; kIOReturnSuccess at first.  Thread: any.  Real-time: yes.
 * Source: IOUserAudioBox::GetAcquisitionFailure.
 */
DX_API kern_return_t IOUserAudioBoxGetAcquisitionFailure(IOUserAudioBox *box) DX_REALTIME;

DX_END_DECLS

#endif /* DEXTRAL_IOUSERAUDIOBOX_H */
