// SPDX-License-Identifier: MIT
// Where recordings are: on a file system in memory, because an IO thread writes them.

#include "host/supervisor/supervisor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define NAME "recordings"        // in the runtime folder
#define SHARED_MEMORY "/dev/shm" // where the runtime folder is on a disk, as it is in many containers
#define OWNER_LINK "of"          // in a folder there: which runtime folder it is of

static bool
is_in_memory(const char *folder)
{
    struct statfs fs;
    return statfs(folder, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* Tells the folders of several runtime folders apart.  FNV-1a. */
static uint64_t
hash_text(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash;
}

/* Our own folders there begin with this. */
static void
write_prefix(char *prefix, size_t size)
{
    (void)snprintf(prefix, size, "dextral-%lu-", (unsigned long)geteuid());
}

/* Removes one whose runtime folder is no more. */
static void
remove_orphan(int shared_memory, const char *name)
{
    char owner[PATH_MAX];
    struct stat status;
    const int folder = openat(shared_memory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const ssize_t length = folder >= 0 ? readlinkat(folder, OWNER_LINK, owner, sizeof owner - 1) : -1;
    owner[length > 0 ? length : 0] = '\0';
    const bool is_orphan = length > 0 && fstat(folder, &status) == 0 && status.st_uid == geteuid() &&
                           access(owner, F_OK) != 0 && errno == ENOENT;
    DIR *const list = is_orphan ? fdopendir(folder) : NULL;
    if (!list) {
        if (folder >= 0)
            close(folder);
        return;
    }
    for (const struct dirent *entry = readdir(list); entry; entry = readdir(list))
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(list), entry->d_name, 0);
    (void)closedir(list);
    (void)unlinkat(shared_memory, name, AT_REMOVEDIR); // what could not be removed is for the next time
}

static void
remove_orphans(void)
{
    char prefix[32];
    write_prefix(prefix, sizeof prefix);
    DIR *const list = opendir(SHARED_MEMORY);
    if (!list)
        return;
    for (const struct dirent *entry = readdir(list); entry; entry = readdir(list))
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            remove_orphan(dirfd(list), entry->d_name);
    (void)closedir(list);
}

/* Two links, so that either folder can be found from the other. */
static void
link_folders(const struct dx_supervisor *supervisor, const char *folder)
{
    char *const there = dx_join_path(folder, OWNER_LINK);
    char *const here = dx_join_path(supervisor->runtime_folder, NAME);
    if (there && symlink(supervisor->runtime_folder, there) != 0 && errno != EEXIST)
        dx_log("%s: %s", there, strerror(errno));
    if (here && symlink(folder, here) != 0 && errno != EEXIST)
        dx_log("%s: %s", here, strerror(errno));
    free(there);
    free(here);
}

void
dx_recordings_open(struct dx_supervisor *supervisor)
{
    dx_error error = {""};
    kern_return_t status = kIOReturnNotFound;
    if (is_in_memory(supervisor->runtime_folder)) {
        status = dx_paths_make_inside(supervisor->runtime_folder, NAME, &supervisor->recordings_folder, &error);
    } else if (is_in_memory(SHARED_MEMORY)) {
        char name[64];
        write_prefix(name, sizeof name);
        const size_t length = strlen(name);
        (void)snprintf(name + length, sizeof name - length, "%016llx",
                       (unsigned long long)hash_text(supervisor->runtime_folder));
        remove_orphans();
        status = dx_paths_make_inside(SHARED_MEMORY, name, &supervisor->recordings_folder, &error);
        if (status == kIOReturnSuccess)
            link_folders(supervisor, supervisor->recordings_folder);
    }
    if (status != kIOReturnSuccess)
        dx_log("recordings do not survive the supervisor: %s",
               error.message[0] ? error.message : "there is no file system in memory");
}
