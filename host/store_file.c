// SPDX-License-Identifier: MIT
// Files read and replaced as a whole.

#include "host/store.h"

#include "host/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A byte of a text as a file name has it, `to` has room for 4.  @return how many bytes it takes. */
static size_t
escape_byte(const char *text, const char *c, char *to)
{
    const bool is_plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                          *c == '-' || *c == '_' || (*c == '.' && c != text);
    to[0] = *c;
    return is_plain ? 1 : (size_t)snprintf(to, 4, "%%%02X", (unsigned)(unsigned char)*c);
}

char *
dx_file_name_from_text(const char *text)
{
    char *const name = malloc(strlen(text) * 3 + 1); // the NUL that escape_byte() writes is within it
    char *to = name;
    for (const char *c = text; name && *c; c++)
        to += escape_byte(text, c, to);
    if (name)
        *to = '\0';
    return name;
}

bool
dx_file_name_is_of(const char *name, const char *text, const char *suffix)
{
    char escaped[4];
    for (const char *c = text; *c; c++) {
        const size_t length = escape_byte(text, c, escaped);
        if (strncmp(name, escaped, length) != 0)
            return false;
        name += length;
    }
    return strcmp(name, suffix) == 0;
}

/* Reads up to `max_bytes` and one more, so that a larger file is noticed.  @return how many, or -errno. */
static ssize_t
read_up_to(int descriptor, char *to, size_t max_bytes)
{
    size_t length = 0;
    while (length <= max_bytes) {
        const ssize_t got = read(descriptor, to + length, max_bytes + 1 - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    return (ssize_t)length;
}

static kern_return_t
read_open_file(int descriptor, const char *path, size_t max_bytes, char **ret_bytes, size_t *ret_length,
               dx_error *error)
{
    struct stat info;
    if (fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode))
        return dx_error_set(error, kIOReturnNotReadable, "%s is no regular file", path);
    if (info.st_size < 0 || (uint64_t)info.st_size > max_bytes)
        return dx_error_set(error, kIOReturnNoSpace, "%s is larger than %zu bytes", path, max_bytes);
    const size_t expected = (size_t)info.st_size;
    char *const bytes = malloc(expected + 2); // one to notice that it grew, one for the NUL
    if (!bytes)
        return dx_error_set(error, kIOReturnNoMemory, "no memory to read %s", path);

    const ssize_t length = read_up_to(descriptor, bytes, expected);
    kern_return_t status = kIOReturnSuccess;
    if (length < 0)
        status = dx_error_set(error, kIOReturnNotReadable, "%s: %s", path, strerror((int)-length));
    else if ((size_t)length > expected)
        status = dx_error_set(error, kIOReturnNotReadable, "%s grew while it was read", path);
    if (status != kIOReturnSuccess) {
        free(bytes);
        return status;
    }
    bytes[length] = '\0';
    *ret_bytes = bytes;
    *ret_length = (size_t)length;
    return kIOReturnSuccess;
}

kern_return_t
dx_file_read(const char *path, size_t max_bytes, char **ret_bytes, size_t *ret_length, dx_error *error)
{
    // O_NONBLOCK: a FIFO must not make us wait
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (descriptor < 0 && errno == ELOOP)
        return dx_error_set(error, kIOReturnNotReadable, "%s is a symbolic link: copy the file", path);
    if (descriptor < 0)
        return dx_error_set(error, errno == ENOENT ? kIOReturnNotFound : kIOReturnNotReadable, "%s: %s", path,
                            strerror(errno));
    const kern_return_t status = read_open_file(descriptor, path, max_bytes, ret_bytes, ret_length, error);
    (void)close(descriptor); // read only
    return status;
}

/* Writes all of it.  @return 0 or errno. */
static int
write_all(int descriptor, const char *bytes, size_t length, bool is_flushed)
{
    while (length > 0) {
        const ssize_t written = write(descriptor, bytes, length);
        if (written < 0 && errno != EINTR)
            return errno;
        if (written > 0) {
            bytes += written;
            length -= (size_t)written;
        }
    }
    return !is_flushed || fsync(descriptor) == 0 ? 0 : errno;
}

/* @return 0 or errno. */
static int
write_file(const char *path, const void *bytes, size_t length, bool is_flushed)
{
    const int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0)
        return errno;
    const int code = write_all(descriptor, bytes, length, is_flushed);
    const int close_code = close(descriptor) == 0 ? 0 : errno; // a full disk may show here first
    return code ? code : close_code;
}

/* The new name is on the disk when the folder is; where folders cannot be flushed, it comes there by itself. */
static void
flush_folder(const char *folder)
{
    const int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return;
    (void)fsync(descriptor);
    (void)close(descriptor);
}

static kern_return_t
replace_file(const char *path, const void *bytes, size_t length, bool is_flushed, dx_error *error)
{
    /* One name for the new file: what a crash left is written over, and does not add up. */
    const char *const name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    const int folder_length = (int)(name - path);
    char *new_path = NULL;
    if (asprintf(&new_path, "%.*s.%s.new", folder_length, path, name) < 0)
        return dx_error_set(error, kIOReturnNoMemory, "no memory to write %s", path);

    int code = write_file(new_path, bytes, length, is_flushed);
    if (code == 0 && rename(new_path, path) != 0)
        code = errno;
    if (code == 0) {
        new_path[folder_length] = '\0';
        if (is_flushed)
            flush_folder(folder_length ? new_path : ".");
    } else {
        (void)unlink(new_path);
    }
    free(new_path);
    if (code == 0)
        return kIOReturnSuccess;
    return dx_error_set(error, code == ENOSPC || code == EDQUOT ? kIOReturnNoSpace : kIOReturnNotWritable,
                        "cannot write %s: %s; it is as it was before", path, strerror(code));
}

kern_return_t
dx_file_replace(const char *path, const void *bytes, size_t length, dx_error *error)
{
    return replace_file(path, bytes, length, true, error);
}

kern_return_t
dx_file_replace_unflushed(const char *path, const void *bytes, size_t length, dx_error *error)
{
    return replace_file(path, bytes, length, false, error);
}
