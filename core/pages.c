// SPDX-License-Identifier: MIT
// Pages in a memfd: shared memory that nobody can shrink under us.

#include "core/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

size_t
dx_page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* A region's size in whole pages; 0 when it is none. */
static size_t
whole_pages(size_t bytes)
{
    const size_t page = dx_page_bytes();
    return bytes == 0 || bytes > DX_PAGES_BYTES_MAX ? 0 : (bytes + page - 1) / page * page;
}

int
dx_pages_open(const char *name, size_t bytes)
{
    const size_t whole = whole_pages(bytes);
    if (!whole)
        return -EINVAL;
    const int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)whole) != 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
        const int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int
dx_pages_check(int fd, uint64_t *ret_bytes)
{
    struct stat status;
    struct statfs fs;
    if (fstat(fd, &status) != 0 || fstatfs(fd, &fs) != 0)
        return -errno;
    /* Huge pages are of another file system: a hole in them can end in SIGBUS when none is left. */
    if (!S_ISREG(status.st_mode) || fs.f_type != TMPFS_MAGIC || status.st_size < 0)
        return -EINVAL;
    const int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0)
        return -errno;
    if (!(seals & F_SEAL_SHRINK))
        return -EPERM;
    /* The file may grow between fstat() and the seals, which is no harm, or shrink: so measure it again. */
    if (fstat(fd, &status) != 0)
        return -errno;
    *ret_bytes = (uint64_t)status.st_size;
    return 0;
}

bool
dx_pages_touch(void *address, size_t bytes, bool writable)
{
    const size_t page = dx_page_bytes();
    uint8_t *const first = (uint8_t *)address - (uintptr_t)address % page;
    uint8_t *const end = (uint8_t *)address + bytes;
    /* Only what is the caller's: the rest of its first page may be somebody else's heap. */
    for (uint8_t *at = address; at < end; at += page - (uintptr_t)at % page) {
        /* relaxed: the access is for the page table; adding 0 changes no byte that somebody else stores meanwhile. */
        _Atomic uint8_t *const byte = (_Atomic uint8_t *)at;
        if (writable)
            (void)atomic_fetch_add_explicit(byte, 0, memory_order_relaxed);
        else
            (void)atomic_load_explicit(byte, memory_order_relaxed);
    }
    return mlock(first, (size_t)(end - first)) == 0;
}

int
dx_pages_create(const char *name, size_t bytes, struct dx_pages *ret_pages)
{
    const int fd = dx_pages_open(name, bytes);
    if (fd < 0)
        return fd;
    int r;
    /* A page that cannot be had is an error here, not SIGBUS at its first touch. */
    do {
        r = fallocate(fd, 0, 0, (off_t)whole_pages(bytes));
    } while (r != 0 && errno == EINTR);
    void *address = MAP_FAILED;
    if (r == 0)
        address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) {
        r = errno == ENOSPC ? -ENOMEM : -errno;
        close(fd);
        return r;
    }
    *ret_pages = (struct dx_pages){
        .address = address,
        .bytes = bytes,
        .fd = fd,
        .locked = dx_pages_touch(address, bytes, true),
    };
    return 0;
}

int
dx_pages_create_private(size_t bytes, struct dx_pages *ret_pages)
{
    if (!whole_pages(bytes))
        return -EINVAL;
    void *const address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED)
        return -ENOMEM;
    *ret_pages = (struct dx_pages){
        .address = address,
        .bytes = bytes,
        .fd = -1,
        .locked = dx_pages_touch(address, bytes, true),
    };
    return 0;
}

int
dx_pages_map_readonly(int fd, size_t bytes, struct dx_pages *ret_pages)
{
    uint64_t file_bytes = 0;
    const int r = dx_pages_check(fd, &file_bytes);
    if (r < 0)
        return r;
    if (!whole_pages(bytes) || bytes > file_bytes)
        return -EINVAL;
    void *const address = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED)
        return -errno;
    *ret_pages = (struct dx_pages){
        .address = address,
        .bytes = bytes,
        .fd = -1,
        .locked = dx_pages_touch(address, bytes, false),
    };
    return 0;
}

int
dx_pages_move(struct dx_pages *pages, const struct dx_pages *place)
{
    if (pages->bytes != place->bytes)
        return -EINVAL;
    void *const moved = mremap(pages->address, pages->bytes, pages->bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
                               place->address);
    if (moved == MAP_FAILED)
        return -errno;
    pages->address = moved;
    return 0;
}

void
dx_pages_finish(struct dx_pages *pages)
{
    if (!pages || !pages->address)
        return;
    munmap(pages->address, pages->bytes);
    if (pages->fd >= 0)
        close(pages->fd);
    *pages = (struct dx_pages){0};
}
