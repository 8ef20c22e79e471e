// SPDX-License-Identifier: MIT
// Descriptors, counted and told apart.

#ifndef TESTS_HOST_DESCRIPTORS_H
#define TESTS_HOST_DESCRIPTORS_H

#include <dirent.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Open descriptors of this process. */
static inline unsigned
count_descriptors(void)
{
    DIR *const folder = opendir("/proc/self/fd");
    if (!folder)
        abort();
    unsigned count = 0;
    while (readdir(folder))
        count++;
    (void)closedir(folder);
    return count - 3; // ".", ".." and the folder's own
}

/* A file that holds a number. */
static inline int
create_numbered(int number)
{
    const int fd = memfd_create("numbered", MFD_CLOEXEC);
    if (fd < 0 || pwrite(fd, &number, sizeof number, 0) != (ssize_t)sizeof number)
        abort();
    return fd;
}

/* The number in it, -1 where it is no such file. */
static inline int
number_of(int fd)
{
    int number;
    return pread(fd, &number, sizeof number, 0) == (ssize_t)sizeof number ? number : -1;
}

#endif /* TESTS_HOST_DESCRIPTORS_H */
