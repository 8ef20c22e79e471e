// SPDX-License-Identifier: MIT
// Recordings: a file for each device, in memory, that outlives whoever writes it.

#include "host/supervisor/listing.h"

#include "audio/recorder.h"
#include "host/store.h"
#include "host/supervisor/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h> // memfd_create()
#include <sys/stat.h>
#include <unistd.h>

/* NULL: recordings have no place in the file system here. */
static char *
make_path(const struct dx_listing *listing)
{
    const char *const folder = listing->supervisor->recordings_folder;
    char *path = NULL;
    char *const name = folder ? dx_file_name_from_text(listing->uid) : NULL;
    if (!name || asprintf(&path, "%s/%s" DX_RECORDING_SUFFIX, folder, name) < 0)
        path = NULL;
    free(name);
    return path;
}

/* The first bytes of a recording; those that are not there are 0. */
static int
read_region(int fd, uint8_t *region, size_t bytes)
{
    size_t length = 0;
    while (length < bytes) {
        /* Read, not mapped: its writer may cut the file. */
        const ssize_t got = pread(fd, region + length, bytes - length, (off_t)length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    memset(region + length, 0, bytes - length);
    return 0;
}

static int
write_region(int fd, const uint8_t *region, size_t bytes)
{
    for (size_t length = 0; length < bytes;) {
        const ssize_t written = pwrite(fd, region + length, bytes - length, (off_t)length);
        if (written < 0 && errno != EINTR)
            return -errno;
        length += written > 0 ? (size_t)written : 0;
    }
    return 0;
}

/* What is no recording becomes an empty one. */
static int
set_up(int fd)
{
    const size_t bytes = dx_recorder_bytes();
    uint8_t *const region = malloc(bytes);
    int r = region ? read_region(fd, region, bytes) : -ENOMEM;
    if (r == 0 && !dx_recorder_is_set_up(region, bytes)) {
        memset(region, 0, bytes);
        r = dx_recorder_init(region, bytes) ? write_region(fd, region, bytes) : -EINVAL;
    }
    free(region);
    return r;
}

/* All of it is there, so that no write of the IO thread's ever fails: what cannot be had is an error now. */
static int
prepare(int fd)
{
    const size_t bytes = dx_recorder_bytes();
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return -EINVAL;
    if ((status.st_size != (off_t)bytes && (ftruncate(fd, 0) != 0 || ftruncate(fd, (off_t)bytes) != 0)) ||
        fallocate(fd, 0, 0, (off_t)bytes) != 0)
        return -errno;
    (void)futimens(fd, NULL); // when its device came last: of those that are gone the newest stay
    return set_up(fd);
}

static int
open_file(const char *path, int flags)
{
    return open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600);
}

/* In a file, or, where there is no place for one, in memory that is gone with the last one who has it. */
static int
open_recorder(const struct dx_listing *listing)
{
    char *const path = make_path(listing);
    const int fd = path ? open_file(path, O_CREAT) : memfd_create("dextral-recorder", MFD_CLOEXEC);
    const int r = fd >= 0 ? prepare(fd) : -errno;
    if (r < 0 && fd >= 0) {
        close(fd);
        if (path)
            (void)unlink(path); // half of it is of no use
    }
    free(path);
    return r < 0 ? r : fd;
}

int
dx_listing_get_recorder(struct dx_listing *listing)
{
    if (listing->recorder_fd >= 0 || listing->has_no_recorder)
        return listing->recorder_fd;
    const int fd = open_recorder(listing);
    if (fd >= 0)
        listing->recorder_fd = fd;
    else
        dx_log("%s: it has no recorder, so that incidents and a driver's end leave less behind: %s", listing->uid,
               strerror(-fd));
    listing->has_no_recorder = fd < 0;
    return listing->recorder_fd;
}

void
dx_listing_find_recorder(struct dx_listing *listing)
{
    char *const path = make_path(listing);
    const int fd = path ? open_file(path, 0) : -1;
    if (fd >= 0 && prepare(fd) == 0)
        listing->recorder_fd = fd;
    else if (fd >= 0)
        close(fd);
    free(path);
}

void
dx_listing_cut_recording(const struct dx_listing *listing)
{
    struct stat status;
    const off_t bytes = (off_t)dx_recorder_bytes();
    if (listing->recorder_fd >= 0 && fstat(listing->recorder_fd, &status) == 0 && status.st_size > bytes)
        dx_log("%s: its driver had made its recording longer: %s", listing->uid,
               ftruncate(listing->recorder_fd, bytes) == 0 ? "cut" : strerror(errno));
}

int
dx_listing_reopen_recorder(const struct dx_listing *listing)
{
    return listing->recorder_fd >= 0 ? dx_memory_reopen(listing->recorder_fd) : -1;
}

void
dx_listing_forget_recording(const struct dx_listing *listing)
{
    char *const path = make_path(listing);
    if (path)
        (void)unlink(path); // where it stays, it is a file that nobody looks at
    free(path);
}

void *
dx_listing_read_recording(const struct dx_listing *listing, size_t *ret_bytes)
{
    const size_t bytes = dx_recorder_bytes();
    uint8_t *const copy = listing->recorder_fd >= 0 ? malloc(bytes) : NULL;
    if (copy && read_region(listing->recorder_fd, copy, bytes) < 0) {
        free(copy);
        return NULL;
    }
    *ret_bytes = bytes;
    return copy;
}
