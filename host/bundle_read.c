// SPDX-License-Identifier: MIT
// What of a bundle is read from its folder before anything is loaded.

#include "host/bundle_info.h"
#include "host/error.h"
#include "host/kinds.h"
#include "host/plist.h"
#include "host/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool
dx_bundle_is_name(const char *name)
{
    const size_t length = strlen(name);
    const size_t suffix_length = strlen(DX_BUNDLE_SUFFIX);
    return length > suffix_length && strcmp(name + length - suffix_length, DX_BUNDLE_SUFFIX) == 0;
}

static char *
join(const char *folder, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static kern_return_t
no_memory(dx_error *error)
{
    return dx_error_set(error, kIOReturnNoMemory, "no memory to open the bundle");
}

/* Info.plist stands in the folder itself; one in Contents/ beside it would be a second truth. */
static kern_return_t
check_contents_folder(const char *folder, bool has_info, dx_error *error)
{
    char *const path = join(folder, "Contents/Info.plist");
    if (!path)
        return no_memory(error);
    const bool is_there = access(path, F_OK) == 0;
    free(path);
    if (is_there && has_info)
        return dx_error_set(error, kIOReturnBadArgument,
                            "%s has both Info.plist and Contents/Info.plist, which may contradict each other: "
                            "keep the first",
                            folder);
    if (is_there)
        return dx_error_set(
            error, kIOReturnNotFound,
            "%s has Contents/Info.plist: move it, and the shared object, up into the folder itself", folder);
    if (!has_info)
        return dx_error_set(error, kIOReturnNotFound, "%s has no Info.plist", folder);
    return kIOReturnSuccess;
}

/* What the kinds' bundles say, where no property list can be read. */
static kern_return_t
take_known_info(const char *folder, struct dx_bundle_info *ret_info, dx_error *error)
{
    OSDictionary *const root = dx_kind_copy_info(strrchr(folder, '/') + 1);
    return root ? dx_bundle_info_take(root, ret_info, error) : kIOReturnUnsupported;
}

kern_return_t
dx_bundle_info_read(const char *folder, struct dx_bundle_info *ret_info, dx_error *error)
{
    char *const path = join(folder, "Info.plist");
    if (!path)
        return no_memory(error);
    char *bytes = NULL;
    size_t length = 0;
    const kern_return_t read_status = dx_file_read(path, DX_PLIST_MAX_BYTES, &bytes, &length, error);
    free(path);
    const bool has_info = read_status != kIOReturnNotFound;
    if (has_info && read_status != kIOReturnSuccess) // too large is malformed
        return read_status == kIOReturnNoSpace ? kIOReturnBadArgument : read_status;

    kern_return_t status = check_contents_folder(folder, has_info, error);
    if (status == kIOReturnSuccess)
        status = dx_bundle_info_parse(bytes, length, ret_info, error);
    if (status == kIOReturnUnsupported)
        status = take_known_info(folder, ret_info, error);
    free(bytes);
    return status;
}

char *
dx_bundle_copy_executable(const char *folder, const struct dx_bundle_info *info)
{
    const char *const folder_name = strrchr(folder, '/') + 1; // canonical: there is one
    const char *const name = info->executable ? info->executable : folder_name;
    const size_t length = info->executable ? strlen(name) : strlen(folder_name) - strlen(DX_BUNDLE_SUFFIX);
    const bool has_suffix = length > 3 && strncmp(name + length - 3, ".so", 3) == 0;
    char *path = NULL;
    return asprintf(&path, "%s/%.*s%s", folder, (int)length, name, has_suffix ? "" : ".so") < 0 ? NULL : path;
}
