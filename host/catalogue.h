// SPDX-License-Identifier: MIT
// Driver bundles on this machine: which there are, whose they are, and why some may not be run.

#ifndef DX_HOST_CATALOGUE_H
#define DX_HOST_CATALOGUE_H

#include "host/bundle_info.h"
#include "host/entitlements.h"
#include "host/kinds.h"

#include <sys/types.h>
#include <time.h>

/* What changes when a bundle is replaced.  Compared, never interpreted. */
struct dx_file_stamp {
    uint64_t device;
    uint64_t inode;
    uint64_t size;
    struct timespec modified;
};

struct dx_bundle_stamp {
    struct dx_file_stamp executable;
    struct dx_file_stamp info;
    struct dx_file_stamp entitlements; // zeroed: it has none
};

/*
 * A bundle as it was found.  Nothing of it has been loaded.
 *
 * Where `why` is not empty, it may not be run, and what could not be found out is NULL or empty.
 *
 * Entitlements are what the bundle asks for, each as a text that can be compared: see host/entitlements.h.
 */
struct dx_bundle_entry {
    char *folder;     // canonical path: .../Name.dext
    char *executable; // canonical path of the shared object
    struct dx_bundle_info info;
    uid_t owner; // of the folder
    bool is_kind;
    struct dx_entitlements entitlements;
    struct dx_bundle_stamp stamp;
    char why[512];
};

struct dx_catalogue {
    struct dx_bundle_entry **entries; // in the order of the folders, and in the order of their names inside
    size_t count;
};

/**
 * Looks into folders for Name.dext/.
 *
 * Names that begin with a dot are passed over, as are folders that are not there.  Of several bundles with the
 * same identifier that could be run, the first counts, and the others are refused.
 *
 * @param paths        bundles by their own path, before all others; NULL at the end; may be NULL.
 * @param folders      with bundles inside; NULL at the end; may be NULL.
 * @param ret_catalogue  zeroed before; to be given back with dx_catalogue_finish().
 * @param error        may be NULL.
 * @return kIOReturnSuccess, also with bundles that may not be run; kIOReturnNoMemory.
 *
 * Thread: control.  Real-time: no.
 */
kern_return_t dx_catalogue_scan(const char *const *paths, const char *const *folders,
                                struct dx_catalogue *ret_catalogue, dx_error *error);

/** Releases all; zeroed is fine. */
void dx_catalogue_finish(struct dx_catalogue *catalogue);

/** The bundle of an identifier that may be run, else one that may not; NULL where there is none. */
const struct dx_bundle_entry *dx_catalogue_find(const struct dx_catalogue *catalogue, const char *identifier);

/**
 * Looks at one bundle: what is there now, so right before it is started.
 *
 * Refused, so that `why` says it: what is no folder of that name, has no readable Info.plist or no shared object,
 * contradicts itself, belongs to somebody who is neither this user nor root (or has such a file, or is in such a
 * folder), can be written by others (itself, its files, or a folder above it up to `root`; that one may be
 * sticky), leads out of itself or of `root`: a link, or CFBundleExecutable with '/' or as "..".
 *
 * @param path  of the bundle.
 * @param root  the driver folder that it is in; NULL: the folder that `path` is in.
 * @param ret_entry  to be given back with dx_bundle_entry_destroy().
 * @return kIOReturnSuccess, also for one that may not be run; kIOReturnNoMemory.
 */
kern_return_t dx_bundle_entry_read(const char *path, const char *root, struct dx_bundle_entry **ret_entry);

/**
 * As dx_bundle_entry_read(), for the bundle of a kind: it is part of the program and needs no approval.  Works
 * without libplist too.
 */
kern_return_t dx_bundle_entry_read_kind(const struct dx_kind *kind, const char *kinds_folder,
                                        struct dx_bundle_entry **ret_entry);

/** Releases it; NULL is fine. */
void dx_bundle_entry_destroy(struct dx_bundle_entry *entry);

/** Whether a bundle's files are those that they were. */
bool dx_bundle_stamp_is_equal(const struct dx_bundle_stamp *stamp, const struct dx_bundle_stamp *other);

#endif /* DX_HOST_CATALOGUE_H */
