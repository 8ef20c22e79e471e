// SPDX-License-Identifier: MIT
// A file that gets its name when it is complete.

#include "backends/file/unnamed.h"

#include "backends/file/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_TRIES 16

/* The path that a file will have: links followed, so that what a link points to is replaced and not the link. */
static kern_return_t
find_target(const char *path, char **ret_target, dx_error *error)
{
    struct stat info;
    if (stat(path, &info) == 0) {
        if (!S_ISREG(info.st_mode))
            return dx_file_error(error, kIOReturnNotWritable, "%s is there and is no regular file: name another",
                                 path);
        *ret_target = realpath(path, NULL);
        return *ret_target ? kIOReturnSuccess
                           : dx_file_error(error, kIOReturnNotWritable, "%s: %s", path, strerror(errno));
    }
    if (errno != ENOENT)
        return dx_file_error(error, kIOReturnNotWritable, "%s: %s", path, strerror(errno));

    const char *const slash = strrchr(path, '/');
    const char *const name = slash ? slash + 1 : path;
    char *const folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    char *const real = folder ? realpath(folder, NULL) : NULL;
    kern_return_t status = kIOReturnSuccess;
    if (!real)
        status = dx_file_error(error, kIOReturnNotWritable, "%s cannot be written: its folder: %s", path,
                               strerror(errno));
    else if (!*name)
        status = dx_file_error(error, kIOReturnNotWritable, "%s names no file", path);
    else if (asprintf(ret_target, "%s/%s", strcmp(real, "/") == 0 ? "" : real, name) < 0)
        status = dx_file_error(error, kIOReturnNoMemory, "no memory to write %s", path);
    free(folder);
    free(real);
    return status;
}

/* A name in the target's folder that nobody uses. */
static char *
make_temporary_name(const char *target)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345"; // 32
    unsigned char random[6];
    char suffix[sizeof random + 1] = {0};
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return NULL;
    for (size_t i = 0; i < sizeof random; i++)
        suffix[i] = letters[random[i] % 32];
    const char *const name = strrchr(target, '/') + 1;
    char *result = NULL;
    // a long name is cut, so that ours is not longer than a name may be
    return asprintf(&result, "%.*s.%.200s.%s", (int)(name - target), target, name, suffix) < 0 ? NULL : result;
}

/* Where the file system has no unnamed files. */
static kern_return_t
open_temporary(struct dx_unnamed *file, const char *path, dx_error *error)
{
    for (int try = 0; try < NAME_TRIES; try++) {
        char *const name = make_temporary_name(file->target);
        if (!name)
            return dx_file_error(error, kIOReturnNoMemory, "no memory to write %s", path);
        file->descriptor = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file->descriptor >= 0) {
            file->temporary = name;
            return kIOReturnSuccess;
        }
        free(name);
        if (errno != EEXIST)
            break;
    }
    return dx_file_error(error, kIOReturnNotWritable, "%s cannot be written: %s", path, strerror(errno));
}

kern_return_t
dx_unnamed_open(struct dx_unnamed *file, const char *path, dx_error *error)
{
    *file = (struct dx_unnamed){.descriptor = -1};
    kern_return_t status = find_target(path, &file->target, error);
    if (status != kIOReturnSuccess)
        return status;

    const char *const slash = strrchr(file->target, '/');
    char *const folder = strndup(file->target, slash == file->target ? 1 : (size_t)(slash - file->target));
    if (!folder) {
        status = dx_file_error(error, kIOReturnNoMemory, "no memory to write %s", path);
    } else {
        file->descriptor = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0666);
        if (file->descriptor < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL))
            status = open_temporary(file, path, error);
        else if (file->descriptor < 0)
            status = dx_file_error(error, kIOReturnNotWritable, "%s cannot be written: %s", path, strerror(errno));
    }
    free(folder);
    if (status != kIOReturnSuccess)
        dx_unnamed_close(file);
    return status;
}

/* Gives an unnamed file a name of its own; only then can it take the place of another. */
static bool
link_temporary(struct dx_unnamed *file)
{
    char descriptor_path[40];
    (void)snprintf(descriptor_path, sizeof descriptor_path, "/proc/self/fd/%d", file->descriptor);
    for (int try = 0; try < NAME_TRIES; try++) {
        char *const name = make_temporary_name(file->target);
        if (!name)
            return false;
        if (linkat(AT_FDCWD, descriptor_path, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0) {
            file->temporary = name;
            return true;
        }
        free(name);
        if (errno != EEXIST)
            return false;
    }
    return false;
}

kern_return_t
dx_unnamed_commit(struct dx_unnamed *file, dx_error *error)
{
    if (fsync(file->descriptor) != 0 || (!file->temporary && !link_temporary(file)) ||
        rename(file->temporary, file->target) != 0)
        return dx_file_error(error, kIOReturnIOError, "%s could not be written: %s", file->target,
                             strerror(errno));
    free(file->temporary);
    file->temporary = NULL;
    return kIOReturnSuccess;
}

void
dx_unnamed_close(struct dx_unnamed *file)
{
    if (file->temporary)
        (void)unlink(file->temporary); // it may be gone already
    if (file->descriptor >= 0)
        (void)close(file->descriptor); // flushed by commit, or not wanted
    free(file->temporary);
    free(file->target);
    *file = (struct dx_unnamed){.descriptor = -1};
}
