// SPDX-License-Identifier: MIT
// Shared objects of drivers and DSP plug-ins: found by path, loaded, and asked which ABI they speak.

#include "host/plugin_file.h"

#include "host/error.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool
is_within(const char *path, const char *folder)
{
    const size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && path[length] == '/';
}

kern_return_t
dx_plugin_file_load(const char *path, const char *within, void **ret_handle, dx_error *error)
{
    char *const real = realpath(path, NULL);
    if (!real)
        return errno == ENOMEM ? dx_error_set(error, kIOReturnNoMemory, "no memory to load %s", path)
                               : dx_error_set(error, kIOReturnNotFound, "%s: %s", path, strerror(errno));

    kern_return_t status = kIOReturnSuccess;
    struct stat info;
    if (within && !is_within(real, within))
        status = dx_error_set(error, kIOReturnNotReadable,
                              "%s leads out of the bundle, to %s: copy the file into it", path, real);
    else if (stat(real, &info) != 0)
        status = dx_error_set(error, kIOReturnNotFound, "%s: %s", real, strerror(errno));
    else if (!S_ISREG(info.st_mode))
        status = dx_error_set(error, kIOReturnNotReadable,
                              "%s is no regular file: a shared object (.so) is expected", real);
    if (status == kIOReturnSuccess) {
        void *const handle = dlopen(real, RTLD_NOW | RTLD_LOCAL);
        if (handle)
            *ret_handle = handle;
        else
            status = dx_error_set(error, kIOReturnRLDError, "cannot load %s", dlerror());
    }
    free(real);
    return status;
}

kern_return_t
dx_plugin_file_check_abi(const char *what, uint32_t abi, size_t size, size_t needed_size, dx_error *error)
{
    const unsigned major = abi >> 16;
    const unsigned minor = abi & 0xFFFFu;
    if (major != DX_PLUGIN_ABI_MAJOR || minor > DX_PLUGIN_ABI_MINOR)
        return dx_error_set(error, kIOReturnUnsupported,
                            "%s was built for plug-in ABI %u.%u, this Dextral has %u.%u: build it again with this "
                            "version's headers",
                            what, major, minor, DX_PLUGIN_ABI_MAJOR, DX_PLUGIN_ABI_MINOR);
    if (size < needed_size)
        return dx_error_set(
            error, kIOReturnUnsupported,
            "%s has a table of %zu bytes, ABI %u.%u needs %zu: set .size to the structure's sizeof", what, size,
            major, minor, needed_size);
    return kIOReturnSuccess;
}
