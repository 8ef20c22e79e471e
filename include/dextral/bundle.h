// SPDX-License-Identifier: MIT
// Driver bundles (Name.dext) and DSP plug-ins, loaded by path.

#ifndef DEXTRAL_BUNDLE_H
#define DEXTRAL_BUNDLE_H

#include <dextral/OSObject.h>
#include <dextral/plugin.h>

DX_BEGIN_DECLS

/** A loaded driver bundle: a folder Name.dext with Info.plist and Name.so. */
typedef struct dx_bundle dx_bundle;

/** A loaded DSP plug-in and one instance of it. */
typedef struct dx_dsp dx_dsp;

/** Room for a message that says what was wrong and where. */
typedef struct dx_error {
    char message[512]; ///< one sentence, without a newline
} dx_error;

/**
 * Reads a bundle's Info.plist and loads its shared object.
 *
 * Info.plist: XML or binary property list; CFBundleIdentifier, CFBundlePackageType DEXT (if there),
 * CFBundleExecutable (default: the folder's name), IOKitPersonalities with at least one personality, each with
 * IOUserClass, IOProviderClass and IOUserAudioDriverUserClientProperties.
 *
 * @param path        of the folder.
 * @param ret_bundle  written on success only.
 * @param error       filled on failure; may be NULL.
 * @return kIOReturnSuccess; kIOReturnNotFound (no such folder or file); kIOReturnNotReadable; kIOReturnBadArgument
 *         (malformed or contradictory Info.plist); kIOReturnRLDError (the shared object does not load, or lacks
 *         a class); kIOReturnUnsupported (built for another ABI; or this build has no property-list reader);
 *         kIOReturnNoMemory.
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_bundle_open(const char *path, dx_bundle **ret_bundle, dx_error *error);

/** Unloads; no driver of it may be left.  NULL is fine.  Thread: control. */
DX_API void dx_bundle_close(dx_bundle *bundle);

/** CFBundleIdentifier, alive as long as the bundle. */
DX_API const char *dx_bundle_identifier(const dx_bundle *bundle);

/** CFBundleShortVersionString, else CFBundleVersion, else "". */
DX_API const char *dx_bundle_version(const dx_bundle *bundle);

/** How many personalities there are: one driver each, in the order of their names. */
DX_API size_t dx_bundle_personality_count(const dx_bundle *bundle);

/** A personality's name, alive as long as the bundle; NULL out of range. */
DX_API const char *dx_bundle_personality_name(const dx_bundle *bundle, size_t index);

/** A personality, borrowed; NULL out of range. */
DX_API OSDictionary *dx_bundle_personality(const dx_bundle *bundle, size_t index);

/**
 * Makes the driver of a personality, not yet initialised: hand it to dx_host_start_driver() with the personality.
 *
 * @param ret_driver  +1; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument (index); kIOReturnNoMemory (its alloc returned NULL).
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_bundle_create_driver(dx_bundle *bundle, size_t index, IOUserAudioDriver **ret_driver,
                                             dx_error *error);

/**
 * Loads a DSP plug-in and makes an instance.
 *
 * @param spec     "PATH" or "PATH:name=value,name=value".
 * @param ret_dsp  written on success only.
 * @param error    filled on failure; may be NULL.
 * @return as dx_bundle_open(); kIOReturnBadArgument for an unknown parameter or a value that is no number or
 *         out of its range.
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t dx_dsp_open(const char *spec, dx_dsp **ret_dsp, dx_error *error);

/** Destroys the instance and unloads; it must be in no device's chain.  NULL is fine.  Thread: control. */
DX_API void dx_dsp_close(dx_dsp *dsp);

/** The table and the instance, for dx_device_add_dsp().  Thread: any. */
DX_API const dx_dsp_plugin *dx_dsp_get_plugin(const dx_dsp *dsp);
DX_API void *dx_dsp_get_instance(const dx_dsp *dsp);

DX_END_DECLS

#endif /* DEXTRAL_BUNDLE_H */
