// SPDX-License-Identifier: MIT
// Pages in a memfd: shared memory that nobody can shrink under us.

#ifndef DX_CORE_PAGES_H
#define DX_CORE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most bytes of one region. */
#define DX_PAGES_BYTES_MAX ((size_t)1 << 30)

/** A mapped region.  All-zero is none. */
struct dx_pages {
    void *address;
    size_t bytes; // as asked for; the mapping is whole pages
    int fd;       // -1 where there is only the mapping
    bool locked;  // the pages cannot be swapped out
};

/** Bytes of a page. */
size_t dx_page_bytes(void);

/**
 * Opens a zeroed memfd of whole pages, sealed against shrinking and growing; seals can still be added.
 *
 * @param bytes  1 ... DX_PAGES_BYTES_MAX; rounded up to whole pages.
 * @return its descriptor, close-on-exec; -EINVAL, -ENOMEM, -EMFILE, -ENFILE.
 */
int dx_pages_open(const char *name, size_t bytes);

/**
 * Checks that a descriptor from elsewhere is a memfd of plain pages that cannot shrink, and tells its size.
 *
 * @return 0; -EINVAL (something else), -EPERM (not sealed), -EBADF.
 */
int dx_pages_check(int fd, uint64_t *ret_bytes);

/**
 * Makes a region: memfd, sealed, all pages there, mapped for reading and writing, touched, locked if the
 * system lets us.
 *
 * @param name       shown in /proc; copied.
 * @param bytes      1 ... DX_PAGES_BYTES_MAX.
 * @param ret_pages  written on success only; to be given back with dx_pages_finish().
 * @return 0; -EINVAL, -ENOMEM, -EMFILE, -ENFILE.
 */
int dx_pages_create(const char *name, size_t bytes, struct dx_pages *ret_pages);

/**
 * Makes a region of this process alone: zeroed, touched, and locked if the system lets us, until it is given back.
 *
 * @return 0; -EINVAL, -ENOMEM.
 */
int dx_pages_create_private(size_t bytes, struct dx_pages *ret_pages);

/**
 * Maps a region of another process for reading, touches and locks it.
 *
 * @param fd         borrowed; checked as by dx_pages_check(), and to hold `bytes`.
 * @param bytes      from the start of the file.
 * @param ret_pages  written on success only; keeps the mapping, not the descriptor.
 * @return 0; -EINVAL, -EPERM, -EBADF, -ENOMEM.
 */
int dx_pages_map_readonly(int fd, size_t bytes, struct dx_pages *ret_pages);

/**
 * Moves a mapping to the place of another one of the same size, which is gone then, in one step: whoever reads
 * there meanwhile sees the one or the other.
 *
 * @param pages  its address becomes that of `place`.
 * @return 0; -EINVAL (other sizes), -ENOMEM: nothing has moved.
 */
int dx_pages_move(struct dx_pages *pages, const struct dx_pages *place);

/** Unmaps and closes; zeroes the struct.  A zeroed one is fine. */
void dx_pages_finish(struct dx_pages *pages);

/**
 * Makes sure that no access to mapped memory faults later: touches each page and tries to lock it.
 *
 * @param address   in the first page.
 * @param writable  touch it as a store would, without changing anything.
 * @return whether the pages are locked.
 */
bool dx_pages_touch(void *address, size_t bytes, bool writable);

#endif /* DX_CORE_PAGES_H */
