// SPDX-License-Identifier: MIT
// What devices leave behind that are no more, so that they are known when they come back: the newest of it stays.

#include "host/supervisor/keep.h"

#include "host/store.h"
#include "host/supervisor/listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LEFT 256u  // of each kind
#define LOOK_EVERY 32u // devices that have gone: a folder is not read for each of them

struct leftover {
    char *name;
    struct timespec time; // when its device came last
};

struct leftover_list {
    struct leftover *items;
    size_t count;
    size_t capacity;
};

static bool
is_of_listing(const struct dx_supervisor *supervisor, const char *name, const char *suffix)
{
    for (const struct dx_listing *listing = supervisor->listings; listing; listing = listing->next)
        if (dx_file_name_is_of(name, listing->uid, suffix))
            return true;
    return false;
}

static bool
add_leftover(struct leftover_list *list, const char *name, const struct timespec *time)
{
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : MAX_LEFT;
        struct leftover *const items = reallocarray(list->items, capacity, sizeof *items);
        if (!items)
            return false;
        list->items = items;
        list->capacity = capacity;
    }
    char *const copy = strdup(name);
    if (copy)
        list->items[list->count++] = (struct leftover){copy, *time};
    return copy != NULL;
}

/* The newest first. */
static int
compare_leftovers(const void *a, const void *b)
{
    const struct timespec *const first = &((const struct leftover *)a)->time;
    const struct timespec *const second = &((const struct leftover *)b)->time;
    if (first->tv_sec != second->tv_sec)
        return first->tv_sec < second->tv_sec ? 1 : -1;
    return (first->tv_nsec < second->tv_nsec) - (first->tv_nsec > second->tv_nsec);
}

/* Without memory for all of them something may stay that should go: until the next time. */
static void
trim_folder(const struct dx_supervisor *supervisor, DIR *folder, const char *suffix)
{
    struct leftover_list list = {0};
    struct stat status;
    bool has_memory = true;
    for (const struct dirent *entry; has_memory && (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.' && !is_of_listing(supervisor, entry->d_name, suffix) &&
            fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode))
            has_memory = add_leftover(&list, entry->d_name, &status.st_mtim);
    if (list.count > MAX_LEFT)
        qsort(list.items, list.count, sizeof *list.items, compare_leftovers);
    for (size_t i = 0; i < list.count; i++) {
        if (i >= MAX_LEFT)
            (void)unlinkat(dirfd(folder), list.items[i].name, 0); // what stays is tried again
        free(list.items[i].name);
    }
    free(list.items);
}

/* @param path  taken; NULL: there is none. */
static void
trim(const struct dx_supervisor *supervisor, char *path, const char *suffix)
{
    DIR *const folder = path ? opendir(path) : NULL;
    if (folder) {
        trim_folder(supervisor, folder, suffix);
        (void)closedir(folder);
    }
    free(path);
}

void
dx_leftovers_trim(const struct dx_supervisor *supervisor)
{
    trim(supervisor, dx_join_path(supervisor->state_folder, DX_KEEP_DESCRIPTIONS), "");
    trim(supervisor, supervisor->recordings_folder ? strdup(supervisor->recordings_folder) : NULL,
         DX_RECORDING_SUFFIX);
}

void
dx_leftovers_add(struct dx_supervisor *supervisor)
{
    if (++supervisor->leftover_count % LOOK_EVERY == 0)
        dx_leftovers_trim(supervisor);
}
