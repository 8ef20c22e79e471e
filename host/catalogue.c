// SPDX-License-Identifier: MIT
// Driver bundles on this machine.

#include "host/catalogue.h"

#include "host/error.h"
#include "host/usb_match.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILES 4096u // of a bundle
#define MAX_DEPTH 16u   // of its folders

/* ---- who may write ---- */

/* Whose a file is and who may write it.  `may_be_sticky`: of a folder that others may write, as long as they
 * cannot replace what is in it. */
static kern_return_t
check_file(const char *path, const struct stat *info, bool may_be_sticky, dx_error *error)
{
    if (info->st_uid != geteuid() && info->st_uid != 0)
        return dx_error_set(error, kIOReturnNotPermitted,
                            "%s belongs to user %u: only drivers of this user (%u) and of root are run", path,
                            (unsigned)info->st_uid, (unsigned)geteuid());
    if ((info->st_mode & (S_IWGRP | S_IWOTH)) && !(may_be_sticky && (info->st_mode & S_ISVTX)))
        return dx_error_set(
            error, kIOReturnNotPermitted,
            "%s can be written by others (mode %04o): what they put there would run as you; chmod go-w it", path,
            (unsigned)(info->st_mode & 07777));
    return kIOReturnSuccess;
}

static kern_return_t
no_memory(dx_error *error)
{
    return dx_error_set(error, kIOReturnNoMemory, "no memory to look at a driver bundle");
}

static bool
is_within(const char *path, const char *folder)
{
    const size_t length = strlen(folder);
    return strcmp(folder, "/") == 0 ||
           (strncmp(path, folder, length) == 0 && (path[length] == '/' || !path[length]));
}

/* The folders from `root` down to the bundle, both canonical; the bundle's own is looked at with its files. */
static kern_return_t
check_above(const char *root, const char *folder, dx_error *error)
{
    if (!is_within(folder, root))
        return dx_error_set(error, kIOReturnNotPermitted, "it leads out of %s, to %s: copy the bundle", root,
                            folder);
    char *const path = strdup(folder);
    if (!path)
        return no_memory(error);
    kern_return_t status = kIOReturnSuccess;
    const size_t root_length = strlen(root);
    for (char *slash = strrchr(path, '/'); status == kIOReturnSuccess && slash; slash = strrchr(path, '/')) {
        struct stat info;
        *slash = '\0';
        const char *const here = *path ? path : "/";
        if (strlen(here) < root_length)
            break;
        if (stat(here, &info) != 0)
            status = dx_error_set(error, kIOReturnNotReadable, "%s: %s", here, strerror(errno));
        else
            status = check_file(here, &info, true, error);
    }
    free(path);
    return status;
}

/* A walk through all that is in a bundle. */
struct walk {
    const char *bundle; // canonical
    unsigned files;
    dx_error *error;
};

static kern_return_t walk_folder(struct walk *walk, const char *folder, unsigned depth);

static kern_return_t
check_link(const struct walk *walk, const char *path)
{
    char *const target = realpath(path, NULL);
    if (!target)
        return dx_error_set(walk->error, kIOReturnNotReadable, "%s: %s", path, strerror(errno));
    kern_return_t status = kIOReturnSuccess;
    if (!is_within(target, walk->bundle))
        status = dx_error_set(walk->error, kIOReturnNotPermitted,
                              "%s leads out of the bundle, to %s: copy the file into it", path, target);
    free(target);
    return status;
}

static kern_return_t
walk_file(struct walk *walk, const char *path, unsigned depth)
{
    struct stat info;
    if (++walk->files > MAX_FILES || depth > MAX_DEPTH)
        return dx_error_set(walk->error, kIOReturnNotPermitted,
                            "%s has more than %u files, or is nested deeper than %u folders", walk->bundle,
                            MAX_FILES, MAX_DEPTH);
    if (lstat(path, &info) != 0) // gone already: a build may be going on
        return errno == ENOENT ? kIOReturnSuccess
                               : dx_error_set(walk->error, kIOReturnNotReadable, "%s: %s", path, strerror(errno));
    if (S_ISLNK(info.st_mode))
        return check_link(walk, path);
    if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
        return dx_error_set(walk->error, kIOReturnNotPermitted, "%s is neither a file nor a folder", path);
    const kern_return_t status = check_file(path, &info, false, walk->error);
    return status == kIOReturnSuccess && S_ISDIR(info.st_mode) ? walk_folder(walk, path, depth + 1) : status;
}

static kern_return_t
walk_folder(struct walk *walk, const char *folder, unsigned depth)
{
    DIR *const stream = opendir(folder);
    if (!stream)
        return dx_error_set(walk->error, kIOReturnNotReadable, "%s: %s", folder, strerror(errno));
    kern_return_t status = kIOReturnSuccess;
    for (struct dirent *entry = readdir(stream); entry && status == kIOReturnSuccess; entry = readdir(stream)) {
        char *path = NULL;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0) {
            status = no_memory(walk->error);
            break;
        }
        status = walk_file(walk, path, depth);
        free(path);
    }
    (void)closedir(stream);
    return status;
}

/* ---- one bundle ---- */

/* Canonical paths of the bundle and of the folder that it has to stay in. */
static kern_return_t
find_folders(const char *path, const char *root, char **ret_folder, char **ret_root, dx_error *error)
{
    char *const folder = realpath(path, NULL);
    if (!folder)
        return errno == ENOMEM ? no_memory(error)
                               : dx_error_set(error, kIOReturnNotFound, "%s: %s", path, strerror(errno));
    char *root_folder = root ? realpath(root, NULL) : strdup(folder);
    if (root_folder && !root && strcmp(folder, "/") != 0) { // the folder that it is in
        char *const slash = strrchr(root_folder, '/');
        slash[slash == root_folder] = '\0';
    }
    if (!root_folder) {
        free(folder);
        return root && errno != ENOMEM ? dx_error_set(error, kIOReturnNotFound, "%s: %s", root, strerror(errno))
                                       : no_memory(error);
    }
    *ret_folder = folder;
    *ret_root = root_folder;
    return kIOReturnSuccess;
}

static kern_return_t
check_folder(struct dx_bundle_entry *entry, const char *root, dx_error *error)
{
    struct stat info;
    if (stat(entry->folder, &info) != 0)
        return dx_error_set(error, kIOReturnNotReadable, "%s: %s", entry->folder, strerror(errno));
    entry->owner = info.st_uid;
    if (!S_ISDIR(info.st_mode) || !dx_bundle_is_name(strrchr(entry->folder, '/') + 1))
        return dx_error_set(error, kIOReturnBadArgument, "%s is no folder Name" DX_BUNDLE_SUFFIX, entry->folder);
    struct walk walk = {.bundle = entry->folder, .error = error};
    kern_return_t status = check_above(root, entry->folder, error);
    if (status == kIOReturnSuccess)
        status = walk_file(&walk, entry->folder, 0);
    return status;
}

static kern_return_t
stamp_file(const char *path, struct dx_file_stamp *ret_stamp, dx_error *error)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return dx_error_set(error, kIOReturnNotReadable, "%s: %s", path, strerror(errno));
    *ret_stamp = (struct dx_file_stamp){
        .device = info.st_dev,
        .inode = info.st_ino,
        .size = (uint64_t)info.st_size,
        .modified = info.st_mtim,
    };
    return kIOReturnSuccess;
}

static kern_return_t
find_executable(struct dx_bundle_entry *entry, dx_error *error)
{
    char *const path = dx_bundle_copy_executable(entry->folder, &entry->info);
    if (!path)
        return no_memory(error);
    struct stat info;
    entry->executable = realpath(path, NULL); // a link within the bundle: where else one leads was looked at
    kern_return_t status = kIOReturnSuccess;
    if (!entry->executable)
        status = errno == ENOMEM ? no_memory(error)
                                 : dx_error_set(error, kIOReturnNotFound, "%s: %s", path, strerror(errno));
    else if (stat(entry->executable, &info) != 0 || !S_ISREG(info.st_mode))
        status =
            dx_error_set(error, kIOReturnNotReadable, "%s is no regular file: a shared object is expected", path);
    else if (!is_within(entry->executable, entry->folder)) // another look, as it is what will be loaded
        status = dx_error_set(error, kIOReturnNotPermitted, "%s leads out of the bundle", path);
    free(path);
    return status;
}

/* The files that make it another bundle when they are replaced. */
static kern_return_t
stamp_files(struct dx_bundle_entry *entry, const char *entitlements, dx_error *error)
{
    char *info = NULL;
    if (asprintf(&info, "%s/Info.plist", entry->folder) < 0)
        return no_memory(error);
    kern_return_t status = stamp_file(info, &entry->stamp.info, error);
    if (status == kIOReturnSuccess)
        status = stamp_file(entry->executable, &entry->stamp.executable, error);
    if (status == kIOReturnSuccess && entitlements)
        status = stamp_file(entitlements, &entry->stamp.entitlements, error);
    free(info);
    return status;
}

/* What it is for, and what it asks for, must agree. */
static kern_return_t
check_hardware(const struct dx_bundle_entry *entry, dx_error *error)
{
    kern_return_t status = kIOReturnSuccess;
    for (size_t i = 0; i < entry->info.personality_count && status == kIOReturnSuccess; i++)
        status = dx_usb_check_entitled(entry->info.personalities[i].properties, entry->info.personalities[i].name,
                                       entry->entitlements.usb, error);
    return status;
}

static kern_return_t
read_entry(struct dx_bundle_entry *entry, const char *path, const char *root, dx_error *error)
{
    char *root_folder = NULL;
    char *entitlements = NULL;
    kern_return_t status = find_folders(path, root, &entry->folder, &root_folder, error);
    if (status == kIOReturnSuccess)
        status = check_folder(entry, root_folder, error);
    if (status == kIOReturnSuccess)
        status = dx_bundle_info_read(entry->folder, &entry->info, error);
    if (status == kIOReturnSuccess)
        status = find_executable(entry, error);
    if (status == kIOReturnSuccess)
        status = dx_entitlements_read(entry->folder, &entry->entitlements, &entitlements, error);
    if (status == kIOReturnSuccess)
        status = check_hardware(entry, error);
    if (status == kIOReturnSuccess)
        status = stamp_files(entry, entitlements, error);
    free(root_folder);
    free(entitlements);
    return status;
}

kern_return_t
dx_bundle_entry_read(const char *path, const char *root, struct dx_bundle_entry **ret_entry)
{
    struct dx_bundle_entry *const entry = calloc(1, sizeof *entry);
    if (!entry)
        return kIOReturnNoMemory;
    dx_error error = {""};
    kern_return_t status = read_entry(entry, path, root, &error);
    if (status != kIOReturnSuccess && !entry->folder)
        entry->folder = strdup(path); // what was meant
    if (status == kIOReturnNoMemory || !entry->folder) {
        dx_bundle_entry_destroy(entry);
        return kIOReturnNoMemory;
    }
    if (status != kIOReturnSuccess)
        (void)snprintf(entry->why, sizeof entry->why, "%s", error.message);
    *ret_entry = entry;
    return kIOReturnSuccess;
}

kern_return_t
dx_bundle_entry_read_kind(const struct dx_kind *kind, const char *kinds_folder, struct dx_bundle_entry **ret_entry)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", kinds_folder, kind->bundle) < 0)
        return kIOReturnNoMemory;
    struct dx_bundle_entry *entry = NULL;
    const kern_return_t status = dx_bundle_entry_read(path, kinds_folder, &entry);
    free(path);
    if (status != kIOReturnSuccess)
        return status;
    if (!entry->why[0] && strcmp(entry->info.identifier, kind->identifier) != 0)
        (void)snprintf(entry->why, sizeof entry->why, "%.200s is %.100s, but %.100s is expected there",
                       entry->folder, entry->info.identifier, kind->identifier);
    entry->is_kind = true;
    *ret_entry = entry;
    return kIOReturnSuccess;
}

void
dx_bundle_entry_destroy(struct dx_bundle_entry *entry)
{
    if (!entry)
        return;
    dx_bundle_info_finish(&entry->info);
    dx_entitlements_finish(&entry->entitlements);
    free(entry->folder);
    free(entry->executable);
    free(entry);
}

static bool
is_same_file(const struct dx_file_stamp *a, const struct dx_file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}

bool
dx_bundle_stamp_is_equal(const struct dx_bundle_stamp *stamp, const struct dx_bundle_stamp *other)
{
    return is_same_file(&stamp->executable, &other->executable) && is_same_file(&stamp->info, &other->info) &&
           is_same_file(&stamp->entitlements, &other->entitlements);
}

/* ---- all of them ---- */

void
dx_catalogue_finish(struct dx_catalogue *catalogue)
{
    for (size_t i = 0; i < catalogue->count; i++)
        dx_bundle_entry_destroy(catalogue->entries[i]);
    free(catalogue->entries);
    *catalogue = (struct dx_catalogue){0};
}

/* Takes an entry over; one that is there already, by whatever way, is not added again. */
static kern_return_t
add_entry(struct dx_catalogue *catalogue, struct dx_bundle_entry *entry)
{
    struct dx_bundle_entry *first = NULL;
    for (size_t i = 0; i < catalogue->count; i++) {
        struct dx_bundle_entry *const other = catalogue->entries[i];
        if (strcmp(other->folder, entry->folder) == 0) {
            dx_bundle_entry_destroy(entry);
            return kIOReturnSuccess;
        }
        if (!first && !other->why[0] && !entry->why[0] &&
            strcmp(other->info.identifier, entry->info.identifier) == 0)
            first = other;
    }
    if (first)
        (void)snprintf(entry->why, sizeof entry->why, "another bundle %.200s comes before it: %.200s",
                       entry->info.identifier, first->folder);

    struct dx_bundle_entry **const entries =
        realloc(catalogue->entries, (catalogue->count + 1) * sizeof *catalogue->entries);
    if (!entries) {
        dx_bundle_entry_destroy(entry);
        return kIOReturnNoMemory;
    }
    catalogue->entries = entries;
    catalogue->entries[catalogue->count++] = entry;
    return kIOReturnSuccess;
}

static kern_return_t
add_bundle(struct dx_catalogue *catalogue, const char *path, const char *root)
{
    struct dx_bundle_entry *entry = NULL;
    const kern_return_t status = dx_bundle_entry_read(path, root, &entry);
    return status == kIOReturnSuccess ? add_entry(catalogue, entry) : status;
}

/* A driver folder that is there and cannot be read, so that somebody is told. */
static kern_return_t
add_unreadable(struct dx_catalogue *catalogue, const char *folder, int code)
{
    struct dx_bundle_entry *const entry = calloc(1, sizeof *entry);
    if (entry)
        entry->folder = strdup(folder);
    if (!entry || !entry->folder) {
        dx_bundle_entry_destroy(entry);
        return kIOReturnNoMemory;
    }
    (void)snprintf(entry->why, sizeof entry->why, "%.400s: %s", folder, strerror(code));
    return add_entry(catalogue, entry);
}

static int
is_bundle(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && dx_bundle_is_name(entry->d_name);
}

/* By bytes: the same order in every locale. */
static int
compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static kern_return_t
add_folder(struct dx_catalogue *catalogue, const char *folder)
{
    struct dirent **names = NULL;
    const int count = scandir(folder, &names, is_bundle, compare_names);
    if (count < 0)
        return errno == ENOENT   ? kIOReturnSuccess
               : errno == ENOMEM ? kIOReturnNoMemory
                                 : add_unreadable(catalogue, folder, errno);
    kern_return_t status = kIOReturnSuccess;
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        if (status == kIOReturnSuccess && asprintf(&path, "%s/%s", folder, names[i]->d_name) < 0) {
            path = NULL;
            status = kIOReturnNoMemory;
        }
        if (status == kIOReturnSuccess)
            status = add_bundle(catalogue, path, folder);
        free(path);
        free(names[i]);
    }
    free(names);
    return status;
}

kern_return_t
dx_catalogue_scan(const char *const *paths, const char *const *folders, struct dx_catalogue *ret_catalogue,
                  dx_error *error)
{
    struct dx_catalogue catalogue = {0};
    kern_return_t status = kIOReturnSuccess;
    for (; paths && *paths && status == kIOReturnSuccess; paths++)
        status = add_bundle(&catalogue, *paths, NULL);
    for (; folders && *folders && status == kIOReturnSuccess; folders++)
        status = add_folder(&catalogue, *folders);
    if (status == kIOReturnSuccess) {
        *ret_catalogue = catalogue;
    } else {
        dx_catalogue_finish(&catalogue);
        (void)no_memory(error);
    }
    return status;
}

const struct dx_bundle_entry *
dx_catalogue_find(const struct dx_catalogue *catalogue, const char *identifier)
{
    const struct dx_bundle_entry *found = NULL;
    for (size_t i = 0; i < catalogue->count; i++) {
        const struct dx_bundle_entry *const entry = catalogue->entries[i];
        if (!entry->info.identifier || strcmp(entry->info.identifier, identifier) != 0)
            continue;
        if (!entry->why[0])
            return entry;
        if (!found)
            found = entry;
    }
    return found;
}
