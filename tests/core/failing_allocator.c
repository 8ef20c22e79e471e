// SPDX-License-Identifier: MIT
// The allocator of a test program, failing on request and counting what is alive.

#include "tests/core/failing_allocator.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Blocks and descriptors are remembered one by one: what came from an unwrapped library is not ours to count when it
 * goes.  Mappings are counted in pages, because a part of one may be given back, and MAP_FIXED replaces.
 */
#define PLACES ((size_t)1 << 17)
#define FDS 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t calls;
static uint64_t fail_first; // number of the first call to fail; 0: none
static uint64_t fail_last;
static bool has_failed;
static int64_t blocks_live, pages_live, fds_live, threads_live;
static const void *blocks[PLACES]; // open-addressed set
static bool fds[FDS];

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **ret_block, size_t alignment, size_t size);
void __real_free(void *block);
void *__real_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t length);
int __real_mlock(const void *address, size_t length);
int __real_memfd_create(const char *name, unsigned flags);
int __real_close(int fd);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*function)(void *), void *argument);
int __real_pthread_join(pthread_t thread, void **ret_value);
int __real_ftruncate64(int fd, off64_t length);
int __real_fallocate64(int fd, int mode, off64_t offset, off64_t length);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **ret_block, size_t alignment, size_t size);
void __wrap_free(void *block);
char *__wrap_strdup(const char *string);
char *__wrap_strndup(const char *string, size_t length);
void *__wrap_mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset);
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *address, size_t length);
int __wrap_mlock(const void *address, size_t length);
int __wrap_memfd_create(const char *name, unsigned flags);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_close(int fd);
int __wrap_ftruncate64(int fd, off64_t length);
int __wrap_fallocate64(int fd, int mode, off64_t offset, off64_t length);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*function)(void *), void *argument);
int __wrap_pthread_join(pthread_t thread, void **ret_value);

static void
set_failing(uint64_t first, uint64_t last)
{
    pthread_mutex_lock(&lock);
    calls = 0;
    fail_first = first;
    fail_last = last;
    has_failed = false;
    pthread_mutex_unlock(&lock);
}

void
failing_allocator_fail_at(uint64_t n)
{
    set_failing(n, n);
}

void
failing_allocator_fail_from(uint64_t n)
{
    set_failing(n, UINT64_MAX);
}

bool
failing_allocator_stop(void)
{
    pthread_mutex_lock(&lock);
    fail_first = 0;
    const bool failed = has_failed;
    pthread_mutex_unlock(&lock);
    return failed;
}

uint64_t
failing_allocator_calls(void)
{
    pthread_mutex_lock(&lock);
    const uint64_t n = calls;
    pthread_mutex_unlock(&lock);
    return n;
}

uint64_t
failing_allocator_live(void)
{
    pthread_mutex_lock(&lock);
    const int64_t n = blocks_live + pages_live + fds_live + threads_live;
    pthread_mutex_unlock(&lock);
    return (uint64_t)n;
}

/* Whether the call at hand is one that shall fail. */
static bool
fails(void)
{
    pthread_mutex_lock(&lock);
    calls++;
    const bool now = fail_first && calls >= fail_first && calls <= fail_last;
    has_failed |= now;
    pthread_mutex_unlock(&lock);
    return now;
}

static size_t
place_of(const void *block)
{
    return (size_t)((uintptr_t)block / 16 * 0x9e3779b97f4a7c15u >> 32) % PLACES;
}

static void *
remember(void *block)
{
    if (!block)
        return NULL;
    pthread_mutex_lock(&lock);
    if (blocks_live >= (int64_t)PLACES / 2)
        abort(); // a test holds more blocks than the set was made for
    size_t place = place_of(block);
    while (blocks[place])
        place = (place + 1) % PLACES;
    blocks[place] = block;
    blocks_live++;
    pthread_mutex_unlock(&lock);
    return block;
}

static void
forget(const void *block)
{
    if (!block)
        return;
    pthread_mutex_lock(&lock);
    size_t place = place_of(block);
    while (blocks[place] && blocks[place] != block)
        place = (place + 1) % PLACES;
    if (blocks[place]) {
        blocks[place] = NULL;
        blocks_live--;
        /* Those behind it may have been pushed on by it: enter them again. */
        for (size_t next = (place + 1) % PLACES; blocks[next]; next = (next + 1) % PLACES) {
            const void *const moved = blocks[next];
            blocks[next] = NULL;
            size_t to = place_of(moved);
            while (blocks[to])
                to = (to + 1) % PLACES;
            blocks[to] = moved;
        }
    }
    pthread_mutex_unlock(&lock);
}

static int
remember_fd(int fd)
{
    if (fd >= 0 && fd < FDS) {
        pthread_mutex_lock(&lock);
        fds_live += !fds[fd];
        fds[fd] = true;
        pthread_mutex_unlock(&lock);
    }
    return fd;
}

static void *
no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

void *
__wrap_malloc(size_t size)
{
    return fails() ? no_memory() : remember(__real_malloc(size));
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return fails() ? no_memory() : remember(__real_calloc(count, size));
}

void *
__wrap_realloc(void *block, size_t size)
{
    if (fails())
        return no_memory();
    forget(block); // before another thread can be given its address
    void *const fresh = __real_realloc(block, size);
    if (!fresh && block && size)
        (void)remember(block);
    return remember(fresh);
}

void *
__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? no_memory() : remember(__real_aligned_alloc(alignment, size));
}

int
__wrap_posix_memalign(void **ret_block, size_t alignment, size_t size)
{
    if (fails())
        return ENOMEM;
    const int r = __real_posix_memalign(ret_block, alignment, size);
    if (r == 0)
        (void)remember(*ret_block);
    return r;
}

void
__wrap_free(void *block)
{
    forget(block);
    __real_free(block);
}

char *
__wrap_strndup(const char *string, size_t length)
{
    const size_t n = strnlen(string, length);
    char *const copy = __wrap_malloc(n + 1);
    if (copy) {
        memcpy(copy, string, n);
        copy[n] = '\0';
    }
    return copy;
}

char *
__wrap_strdup(const char *string)
{
    return __wrap_strndup(string, strlen(string));
}

static int64_t
page_count(size_t length)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (int64_t)((length + page - 1) / page);
}

void *
__wrap_mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset)
{
    if (fails()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *const at = __real_mmap(address, length, protection, flags, fd, offset);
    if (at != MAP_FAILED && !(flags & MAP_FIXED)) {
        pthread_mutex_lock(&lock);
        pages_live += page_count(length);
        pthread_mutex_unlock(&lock);
    }
    return at;
}

void *
__wrap_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    return __wrap_mmap64(address, length, protection, flags, fd, offset);
}

int
__wrap_munmap(void *address, size_t length)
{
    const int r = __real_munmap(address, length);
    if (r == 0) {
        pthread_mutex_lock(&lock);
        pages_live -= page_count(length);
        pthread_mutex_unlock(&lock);
    }
    return r;
}

int
__wrap_mlock(const void *address, size_t length)
{
    if (fails()) {
        errno = ENOMEM;
        return -1;
    }
    return __real_mlock(address, length);
}

int
__wrap_memfd_create(const char *name, unsigned flags)
{
    if (fails()) {
        errno = EMFILE;
        return -1;
    }
    return remember_fd(__real_memfd_create(name, flags));
}

/* Straight to the kernel: the argument is one word, whatever it means. */
int
__wrap_fcntl64(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    const long argument = va_arg(arguments, long);
    va_end(arguments);
    const bool duplicates = command == F_DUPFD || command == F_DUPFD_CLOEXEC;
    if ((duplicates || command == F_ADD_SEALS) && fails()) {
        errno = duplicates ? EMFILE : ENOMEM;
        return -1;
    }
    const int r = (int)syscall(SYS_fcntl, fd, command, argument);
    return duplicates ? remember_fd(r) : r;
}

int
__wrap_fcntl(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    const long argument = va_arg(arguments, long);
    va_end(arguments);
    return __wrap_fcntl64(fd, command, argument);
}

int
__wrap_close(int fd)
{
    if (fd >= 0 && fd < FDS) {
        pthread_mutex_lock(&lock);
        fds_live -= fds[fd];
        fds[fd] = false;
        pthread_mutex_unlock(&lock);
    }
    return __real_close(fd);
}

int
__wrap_ftruncate64(int fd, off64_t length)
{
    if (fails()) {
        errno = ENOMEM;
        return -1;
    }
    return __real_ftruncate64(fd, length);
}

int
__wrap_fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
    if (fails()) {
        errno = ENOSPC;
        return -1;
    }
    return __real_fallocate64(fd, mode, offset, length);
}

int
__wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*function)(void *), void *argument)
{
    if (fails())
        return EAGAIN;
    const int r = __real_pthread_create(thread, attr, function, argument);
    if (r == 0) {
        pthread_mutex_lock(&lock);
        threads_live++;
        pthread_mutex_unlock(&lock);
    }
    return r;
}

int
__wrap_pthread_join(pthread_t thread, void **ret_value)
{
    const int r = __real_pthread_join(thread, ret_value);
    if (r == 0) {
        pthread_mutex_lock(&lock);
        threads_live--;
        pthread_mutex_unlock(&lock);
    }
    return r;
}
