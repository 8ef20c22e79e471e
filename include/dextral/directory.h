// SPDX-License-Identifier: MIT
// The devices of the machine, for programs: found through the supervisor, played and recorded with
// dx_client_...().

#ifndef DEXTRAL_DIRECTORY_H
#define DEXTRAL_DIRECTORY_H

#include <dextral/bundle.h>
#include <dextral/host.h>
#include <dextral/host_controls.h>

DX_BEGIN_DECLS

/*
 * A directory is a connection to `dextrald`.  The devices that it gives are dx_device as those of a host inside
 * the program are: dx_device_get_info(), dx_device_set_control_...(), dx_client_open() and the rest work on both,
 * but for dx_device_copy_object(), which is NULL here, and prewarming, DSP plug-ins and synchronous clients, which
 * are kIOReturnUnsupported.  What is known of a device (its info, its controls) is told without asking, also while
 * no driver runs; what changes something, or counts, asks the driver.
 *
 * When the supervisor goes, sound goes on; the directory connects again by itself, and clients stay what they
 * were.  Until then, what needs the supervisor is kIOReturnNotReady.  When a device's driver goes, its clients hear
 * silence until the next one is there.  After fork() the child may only close what it has; everything else is
 * kIOReturnNotAttached, or finds nothing.
 *
 * Besides the errors of host.h, any function that asks may return kIOReturnNotReady (no supervisor),
 * kIOReturnTimeout (no answer), kIOReturnNotAttached (after fork()) and, of a device whose driver nobody has
 * approved, kIOReturnNotPermitted.
 *
 * One thread for each directory waits for the supervisor, with all signals blocked, and calls the listener.  The
 * listener may call everything but dx_directory_close().
 */

/** A connection to the supervisor. */
typedef struct dx_directory dx_directory;

/**
 * What a directory tells of, besides what a host does (dx_host_event_kind).
 *
 * DX_EVENT_DEVICE_ADDED and ..._REMOVED are about the directory here: a device is listed whether or not its driver
 * runs.  What was there when it was opened is not told.
 */
enum {
    DX_EVENT_SUPERVISOR_LOST = 64,  ///< the supervisor is gone; sound goes on
    DX_EVENT_SUPERVISOR_BACK = 65,  ///< there is one again
    DX_EVENT_DEFAULT_CHANGED = 66,  ///< another device is the default
    DX_EVENT_DEVICE_CHANGED = 67,   ///< a device's description changed: driver state, clients, names, rates
};

/** What a directory is to be.  All-zero is fine. */
typedef struct dx_directory_config {
    uint32_t size;                  ///< sizeof(dx_directory_config), or 0
    uint32_t reserved;              ///< 0
    const char *name;               ///< the program, for people; NULL: its own short name
    const char *socket_path;        ///< of the supervisor; NULL: where it is by default
    uint64_t timeout_ns;            ///< how long a call waits for each answer; 0: 40 s
    void (*listener)(void *context, const dx_host_event *event); ///< on the directory's thread; may be NULL
    void *listener_context;         ///< handed to the listener
} dx_directory_config;

/**
 * Connects to the supervisor.
 *
 * @param config         borrowed for the call; NULL is all-zero.
 * @param ret_directory  written on success only.
 * @param error          says what was tried and what to do; may be NULL.
 * @return kIOReturnSuccess; kIOReturnNotFound (no supervisor); kIOReturnNotPermitted (one of another user);
 *         kIOReturnUnsupported (it speaks another major version); kIOReturnTimeout (it does not answer);
 *         kIOReturnNotReady (it went meanwhile); kIOReturnBadArgument; kIOReturnNoResources; kIOReturnNoMemory.
 *
 * Thread: any.  Real-time: no.
 */
DX_API kern_return_t dx_directory_open(const dx_directory_config *config, dx_directory **ret_directory,
                                       dx_error *error);

/** Disconnects; its clients must be closed before.  NULL is fine.  Thread: control, not the listener. */
DX_API void dx_directory_close(dx_directory *directory);

/** As dx_host_copy_devices(): hidden ones are left out.  Asks nobody.  Thread: control. */
DX_API size_t dx_directory_copy_devices(dx_directory *directory, dx_device **devices, size_t capacity);

/** The device of a UID, else the only one of that name; +1; NULL where there is none.  Thread: control. */
DX_API dx_device *dx_directory_copy_device(dx_directory *directory, const char *uid_or_name);

/** The default device, +1; NULL where there is none.  Thread: control. */
DX_API dx_device *dx_directory_copy_default_device(dx_directory *directory, IOUserAudioStreamDirection direction);

/**
 * Everything that is known of a device, for showing: see docs/design/machine.md for the keys.  Asks the
 * supervisor; without one it is what was told last, which has no lists of formats.
 *
 * @return +1, the caller's own; NULL without memory, or after fork().
 *
 * Thread: control.  Real-time: no, blocks.
 */
DX_API OSDictionary *dx_directory_copy_description(dx_directory *directory, dx_device *device);

/**
 * Asks the supervisor for something that is not about sound: `create`, `remove`, `set-default`, `drivers`,
 * `approve`, `incidents`...; docs/design/machine.md lists them with their arguments.
 *
 * @param arguments   borrowed; may be NULL.
 * @param ret_answer  +1; may be NULL.
 * @param error       the supervisor's own words; may be NULL.
 * @return what the supervisor answered; kIOReturnNotReady (it is gone); kIOReturnTimeout; kIOReturnNotAttached;
 *         kIOReturnNoSpace (too long); kIOReturnNoMemory.
 *
 * Thread: any.  Real-time: no, blocks.
 */
DX_API kern_return_t dx_directory_request(dx_directory *directory, const char *operation,
                                          const OSDictionary *arguments, OSDictionary **ret_answer,
                                          dx_error *error);

DX_END_DECLS

#endif /* DEXTRAL_DIRECTORY_H */
