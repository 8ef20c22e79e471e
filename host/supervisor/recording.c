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
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* NULL: recordings have no place in the file system here. */
static char *
make_path(const struct dx_listing *listing)
{
    const char *const folder = listing->supervisor->recordings_folder;
    char *path = NULL;
    char *const name = folder ? dx_file_name_from_text(listing->uid) : NULL;
    if (!name || asprintf(&path, "%s/%s.recording", folder, name) < 0)
        path = NULL;
    free(name);
    return path;
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
    void *const region = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (region == MAP_FAILED)
        return -errno;
    bool is_set_up = dx_recorder_init(region, bytes);
    if (!is_set_up) { // something else was written there
        memset(region, 0, bytes);
        is_set_up = dx_recorder_init(region, bytes);
    }
    (void)munmap(region, bytes);
    return is_set_up ? 0 : -EINVAL;
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
    size_t length = 0;
    while (copy && length < bytes) {
        /* Read, not mapped: its writer may cut the file. */
        const ssize_t got = pread(listing->recorder_fd, copy + length, bytes - length, (off_t)length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    if (copy && length < bytes) {
        free(copy);
        return NULL;
    }
    *ret_bytes = bytes;
    return copy;
}
