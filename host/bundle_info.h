// SPDX-License-Identifier: MIT
// What a bundle's Info.plist says, checked.

#ifndef DX_HOST_BUNDLE_INFO_H
#define DX_HOST_BUNDLE_INFO_H

#include <dextral/bundle.h>

#define DX_BUNDLE_MAX_PERSONALITIES 64u
#define DX_BUNDLE_SUFFIX ".dext" // of a bundle's folder

struct dx_personality {
    const char *name;         // of `properties`' key
    OSDictionary *properties; // borrowed from the info
    const char *user_class;   // IOUserClass
};

struct dx_bundle_info {
    OSDictionary *root;     // +1; everything below points into it
    const char *identifier; // CFBundleIdentifier
    const char *version;    // CFBundleShortVersionString, else CFBundleVersion, else ""
    const char *executable; // CFBundleExecutable, or NULL
    size_t personality_count;
    struct dx_personality personalities[DX_BUNDLE_MAX_PERSONALITIES]; // in the order of their names
};

/**
 * Reads and checks the bytes of an Info.plist.
 *
 * @param ret_info  filled on success only; to be given back with dx_bundle_info_finish().
 * @param error     names the personality, the key and what was expected; may be NULL.
 * @return as dx_plist_parse(); kIOReturnBadArgument for a key that is missing, of the wrong type, out of its
 *         range, or in contradiction to another.
 *
 * Thread: any.  Real-time: no.
 */
kern_return_t dx_bundle_info_parse(const void *bytes, size_t length, struct dx_bundle_info *ret_info,
                                   dx_error *error);

/** The same, for what has been read already: `root` is given up. */
kern_return_t dx_bundle_info_take(OSDictionary *root, struct dx_bundle_info *ret_info, dx_error *error);

/** Whether a folder of that name is a bundle: Name.dext. */
bool dx_bundle_is_name(const char *name);

/**
 * Reads and checks the Info.plist of a bundle.  A build without libplist knows that of a kind's bundle
 * (host/kinds.h).
 *
 * @param folder  canonical path of the bundle.
 * @return as dx_bundle_info_parse(); kIOReturnNotFound; kIOReturnNotReadable.
 */
kern_return_t dx_bundle_info_read(const char *folder, struct dx_bundle_info *ret_info, dx_error *error);

/**
 * Path of the shared object, whether it is there or not: CFBundleExecutable in the bundle's folder, by default the
 * folder's name without its suffix; ".so" is added unless it is there.  The caller's to free(); NULL without memory.
 */
char *dx_bundle_copy_executable(const char *folder, const struct dx_bundle_info *info);

/** Releases what it holds; zeroed is fine. */
void dx_bundle_info_finish(struct dx_bundle_info *info);

#endif /* DX_HOST_BUNDLE_INFO_H */
