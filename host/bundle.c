// SPDX-License-Identifier: MIT
// Driver bundles: Name.dext/ with Info.plist and Name.so.

#include "host/bundle_info.h"
#include "host/error.h"
#include "host/plugin_file.h"

#include <dextral/bundle.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct dx_bundle {
    char *folder; // canonical path
    struct dx_bundle_info info;
    const dx_driver_class *classes[DX_BUNDLE_MAX_PERSONALITIES]; // of the shared object, by personality
    void *handle;                                                // of dlopen()
};

static kern_return_t
no_memory(dx_error *error)
{
    return dx_error_set(error, kIOReturnNoMemory, "no memory to open the bundle");
}

/* Finds the folder; its name must end in .dext. */
static kern_return_t
find_folder(const char *path, char **ret_folder, dx_error *error)
{
    char *const folder = realpath(path, NULL);
    if (!folder)
        return errno == ENOMEM ? no_memory(error)
                               : dx_error_set(error, errno == EACCES ? kIOReturnNotReadable : kIOReturnNotFound,
                                              "%s: %s", path, strerror(errno));

    struct stat info;
    const char *const name = strrchr(folder, '/') + 1; // canonical: there is one
    kern_return_t status = kIOReturnSuccess;
    if (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode))
        status = dx_error_set(error, kIOReturnBadArgument,
                              "%s is no folder: a driver bundle is a folder Name" DX_BUNDLE_SUFFIX
                              " with Info.plist and Name.so",
                              path);
    else if (!dx_bundle_is_name(name))
        status = dx_error_set(error, kIOReturnBadArgument,
                              "%s: the name of a driver bundle must end in " DX_BUNDLE_SUFFIX, path);
    if (status == kIOReturnSuccess)
        *ret_folder = folder;
    else
        free(folder);
    return status;
}

static kern_return_t
load_executable(dx_bundle *bundle, dx_error *error)
{
    char *const path = dx_bundle_copy_executable(bundle->folder, &bundle->info);
    const kern_return_t status =
        path ? dx_plugin_file_load(path, bundle->folder, &bundle->handle, error) : no_memory(error);
    free(path);
    return status;
}

static kern_return_t
find_class(const dx_bundle *bundle, const struct dx_personality *personality, const dx_driver_class **ret_class,
           dx_error *error)
{
    char symbol[sizeof DX_DRIVER_CLASS_PREFIX + 256];
    char what[400];
    (void)snprintf(symbol, sizeof symbol, DX_DRIVER_CLASS_PREFIX "%s", personality->user_class);
    (void)snprintf(what, sizeof what, "class %s of personality \"%.80s\"", personality->user_class,
                   personality->name);

    const dx_driver_class *const class = dlsym(bundle->handle, symbol);
    if (!class)
        return dx_error_set(error, kIOReturnRLDError,
                            "%s is not in the shared object: it must export %.200s (see DX_DRIVER_CLASS)", what,
                            symbol);
    const kern_return_t status =
        dx_plugin_file_check_abi(what, class->abi, class->size, sizeof(dx_driver_class), error);
    if (status != kIOReturnSuccess)
        return status;
    if (!class->name || strcmp(class->name, personality->user_class) != 0)
        return dx_error_set(error, kIOReturnBadArgument, "%s calls itself \"%.80s\" in the shared object", what,
                            class->name ? class->name : "");
    if (!class->alloc)
        return dx_error_set(error, kIOReturnRLDError, "%s has no alloc function", what);
    *ret_class = class;
    return kIOReturnSuccess;
}

kern_return_t
dx_bundle_open(const char *path, dx_bundle **ret_bundle, dx_error *error)
{
    if (!path || !ret_bundle)
        return dx_error_set(error, kIOReturnBadArgument, "no path was given");
    dx_bundle *const bundle = calloc(1, sizeof *bundle);
    if (!bundle)
        return no_memory(error);

    kern_return_t status = find_folder(path, &bundle->folder, error);
    if (status == kIOReturnSuccess)
        status = dx_bundle_info_read(bundle->folder, &bundle->info, error);
    if (status == kIOReturnSuccess)
        status = load_executable(bundle, error);
    for (size_t i = 0; i < bundle->info.personality_count && status == kIOReturnSuccess; i++)
        status = find_class(bundle, &bundle->info.personalities[i], &bundle->classes[i], error);

    if (status == kIOReturnSuccess)
        *ret_bundle = bundle;
    else
        dx_bundle_close(bundle);
    return status;
}

void
dx_bundle_close(dx_bundle *bundle)
{
    if (!bundle)
        return;
    if (bundle->handle)
        (void)dlclose(bundle->handle); // nothing to do about a failure
    dx_bundle_info_finish(&bundle->info);
    free(bundle->folder);
    free(bundle);
}

const char *
dx_bundle_identifier(const dx_bundle *bundle)
{
    return bundle->info.identifier;
}

const char *
dx_bundle_version(const dx_bundle *bundle)
{
    return bundle->info.version;
}

size_t
dx_bundle_personality_count(const dx_bundle *bundle)
{
    return bundle->info.personality_count;
}

const char *
dx_bundle_personality_name(const dx_bundle *bundle, size_t index)
{
    return index < bundle->info.personality_count ? bundle->info.personalities[index].name : NULL;
}

OSDictionary *
dx_bundle_personality(const dx_bundle *bundle, size_t index)
{
    return index < bundle->info.personality_count ? bundle->info.personalities[index].properties : NULL;
}

kern_return_t
dx_bundle_create_driver(dx_bundle *bundle, size_t index, IOUserAudioDriver **ret_driver, dx_error *error)
{
    if (index >= bundle->info.personality_count)
        return dx_error_set(error, kIOReturnBadArgument,
                            "the bundle has %zu personalities, there is no number %zu",
                            bundle->info.personality_count, index);
    IOUserAudioDriver *const driver = bundle->classes[index]->alloc();
    if (!driver)
        return dx_error_set(error, kIOReturnNoMemory, "alloc of class %s returned NULL",
                            bundle->info.personalities[index].user_class);
    *ret_driver = driver;
    return kIOReturnSuccess;
}
