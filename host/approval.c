// SPDX-License-Identifier: MIT
// What the user has allowed.

#include "host/approval.h"

#include "host/error.h"
#include "host/paths.h"
#include "host/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".approval"

/* Keys of an approval's text; lists have a number after the dot. */
#define KEY_BUNDLE "bundle"
#define KEY_FOLDER "folder"
#define KEY_OWNER "owner"
#define KEY_VERSION "version" // for people
#define KEY_NETWORK "network"
#define KEY_ENTITLEMENT "entitlement."
#define KEY_PROGRAM "program."

struct dx_approvals {
    char *folder;
    struct dx_store **stores; // each has KEY_BUNDLE, KEY_FOLDER and KEY_OWNER
    size_t count;
};

static kern_return_t
no_memory(dx_error *error)
{
    return dx_error_set(error, kIOReturnNoMemory, "no memory for an approval");
}

/* ---- one approval ---- */

/* The next value of a list from place `*index` on; NULL: there are no more. */
static const char *
next_of_list(const struct dx_store *store, const char *prefix, size_t *index)
{
    const char *key = NULL;
    const char *value = NULL;
    while (dx_store_get_at(store, (*index)++, &key, &value)) {
        if (strncmp(key, prefix, strlen(prefix)) == 0)
            return value;
    }
    return NULL;
}

/* The key of a value in a list; NULL where it is not in it. */
static const char *
find_in_list(const struct dx_store *store, const char *prefix, const char *wanted)
{
    const char *key = NULL;
    const char *value = NULL;
    for (size_t i = 0; dx_store_get_at(store, i, &key, &value); i++) {
        if (strncmp(key, prefix, strlen(prefix)) == 0 && strcmp(value, wanted) == 0)
            return key;
    }
    return NULL;
}

/* Adds a value under the first number that is free. */
static kern_return_t
add_to_list(struct dx_store *store, const char *prefix, const char *value)
{
    char key[32];
    unsigned number = 0;
    do {
        (void)snprintf(key, sizeof key, "%s%u", prefix, ++number);
    } while (dx_store_get(store, key));
    return dx_store_set(store, key, value);
}

static kern_return_t
copy_list(struct dx_store *to, const struct dx_store *from, const char *prefix)
{
    kern_return_t status = kIOReturnSuccess;
    size_t index = 0;
    for (const char *value = next_of_list(from, prefix, &index); value && status == kIOReturnSuccess;
         value = next_of_list(from, prefix, &index))
        status = add_to_list(to, prefix, value);
    return status;
}

static struct dx_store *
copy_store(const struct dx_store *store)
{
    struct dx_store *copy = dx_store_create();
    const char *key = NULL;
    const char *value = NULL;
    for (size_t i = 0; copy && dx_store_get_at(store, i, &key, &value); i++) {
        if (dx_store_set(copy, key, value) != kIOReturnSuccess) {
            dx_store_destroy(copy);
            copy = NULL;
        }
    }
    return copy;
}

/* ---- all of them ---- */

/* The place of a bundle's approval, or `count`. */
static size_t
find_approval(const struct dx_approvals *approvals, const char *identifier)
{
    size_t i = 0;
    while (i < approvals->count && strcmp(dx_store_get(approvals->stores[i], KEY_BUNDLE), identifier) != 0)
        i++;
    return i;
}

static const struct dx_store *
get_approval(const struct dx_approvals *approvals, const char *identifier)
{
    const size_t i = find_approval(approvals, identifier);
    return i < approvals->count ? approvals->stores[i] : NULL;
}

/* Makes room for one more. */
static bool
reserve_approval(struct dx_approvals *approvals)
{
    struct dx_store **const stores = realloc(approvals->stores, (approvals->count + 1) * sizeof *stores);
    if (stores)
        approvals->stores = stores;
    return stores;
}

/* The path of a bundle's file, the caller's to free(); NULL without memory. */
static char *
copy_path(const struct dx_approvals *approvals, const char *identifier)
{
    char *const name = dx_file_name_from_text(identifier);
    char *path = NULL;
    if (name && asprintf(&path, "%s/%s" SUFFIX, approvals->folder, name) < 0)
        path = NULL;
    free(name);
    return path;
}

/* Writes an approval, and puts it in the place of the one before: `store` is taken over, whatever comes of it. */
static kern_return_t
keep_approval(struct dx_approvals *approvals, const char *identifier, struct dx_store *store, dx_error *error)
{
    const size_t place = find_approval(approvals, identifier);
    char *const path = copy_path(approvals, identifier);
    kern_return_t status = kIOReturnSuccess;
    if (!store || !path || (place == approvals->count && !reserve_approval(approvals)))
        status = no_memory(error);
    if (status == kIOReturnSuccess)
        status = dx_store_write(store, path, error);
    free(path);
    if (status != kIOReturnSuccess) {
        dx_store_destroy(store);
        return status;
    }
    if (place == approvals->count)
        approvals->count++;
    else
        dx_store_destroy(approvals->stores[place]);
    approvals->stores[place] = store;
    return kIOReturnSuccess;
}

/* ---- loading ---- */

/* @return NULL where it is an approval, else what is wrong with it. */
static const char *
find_fault(const struct dx_store *store, const char *file_name)
{
    const char *const identifier = dx_store_get(store, KEY_BUNDLE);
    const char *const folder = dx_store_get(store, KEY_FOLDER);
    const char *const owner = dx_store_get(store, KEY_OWNER);
    const char *const network = dx_store_get(store, KEY_NETWORK);
    if (!identifier || !folder || !owner)
        return "it lacks `bundle`, `folder` or `owner`";
    if (!*owner || strlen(owner) > 10 || strspn(owner, "0123456789") != strlen(owner))
        return "`owner` must be the number of a user";
    if (network && strcmp(network, "yes") != 0 && strcmp(network, "no") != 0)
        return "`network` must be yes or no";
    if (!dx_file_name_is_of(file_name, identifier, SUFFIX)) // or two could be of one bundle
        return "it is of another bundle than its name says";
    return NULL;
}

static kern_return_t
load_file(struct dx_approvals *approvals, const char *name, dx_error *complaint)
{
    char *path = NULL;
    struct dx_store *store = NULL;
    if (asprintf(&path, "%s/%s", approvals->folder, name) < 0)
        return kIOReturnNoMemory;
    kern_return_t status = dx_store_read(path, &store, complaint);
    const char *const fault = status == kIOReturnSuccess ? find_fault(store, name) : NULL;
    if (fault)
        status = dx_error_set(complaint, kIOReturnBadArgument, "%s: %s; it approves nothing", path, fault);
    if (status == kIOReturnSuccess && !reserve_approval(approvals))
        status = kIOReturnNoMemory;
    if (status == kIOReturnSuccess)
        approvals->stores[approvals->count++] = store;
    else
        dx_store_destroy(store);
    free(path);
    return status;
}

static bool
is_approval_file(const char *name)
{
    const size_t length = strlen(name);
    return name[0] != '.' && length > strlen(SUFFIX) && strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

static kern_return_t
load_all(struct dx_approvals *approvals, void (*complain)(void *context, const char *sentence), void *context,
         dx_error *error)
{
    DIR *const stream = opendir(approvals->folder);
    if (!stream)
        return dx_error_set(error, kIOReturnNotPermitted, "%s: %s", approvals->folder, strerror(errno));
    kern_return_t status = kIOReturnSuccess;
    for (struct dirent *entry = readdir(stream); entry && status == kIOReturnSuccess; entry = readdir(stream)) {
        dx_error complaint = {""};
        if (!is_approval_file(entry->d_name))
            continue;
        const kern_return_t file_status = load_file(approvals, entry->d_name, &complaint);
        if (file_status == kIOReturnNoMemory)
            status = no_memory(error);
        else if (file_status != kIOReturnSuccess && complain)
            complain(context, complaint.message);
    }
    (void)closedir(stream);
    return status;
}

kern_return_t
dx_approvals_open(const char *config_folder, void (*complain)(void *context, const char *sentence), void *context,
                  struct dx_approvals **ret_approvals, dx_error *error)
{
    struct dx_approvals *const approvals = calloc(1, sizeof *approvals);
    if (!approvals)
        return no_memory(error);
    kern_return_t status = dx_paths_make_inside(config_folder, "approvals", &approvals->folder, error);
    if (status == kIOReturnSuccess)
        status = load_all(approvals, complain, context, error);
    if (status == kIOReturnSuccess)
        *ret_approvals = approvals;
    else
        dx_approvals_close(approvals);
    return status;
}

void
dx_approvals_close(struct dx_approvals *approvals)
{
    if (!approvals)
        return;
    for (size_t i = 0; i < approvals->count; i++)
        dx_store_destroy(approvals->stores[i]);
    free(approvals->stores);
    free(approvals->folder);
    free(approvals);
}

/* ---- what is allowed ---- */

/* What a bundle asks for and an approval does not have: the first of them, and how many there are. */
static const char *
find_new_entitlement(const struct dx_store *store, const struct dx_bundle_entry *entry, size_t *ret_count)
{
    const char *first = NULL;
    *ret_count = 0;
    for (size_t i = 0; i < entry->entitlements.count; i++) {
        const char *const text = entry->entitlements.texts[i];
        if (find_in_list(store, KEY_ENTITLEMENT, text))
            continue;
        first = first ? first : text;
        ++*ret_count;
    }
    return first;
}

static bool
refuse(dx_error *why, const char *identifier, const char *reason)
{
    (void)dx_error_set(why, kIOReturnNotPermitted, "%s; `dextral approve %.100s` lets it run", reason, identifier);
    return false;
}

bool
dx_approvals_allow(const struct dx_approvals *approvals, const struct dx_bundle_entry *entry, dx_error *why)
{
    if (entry->why[0]) {
        (void)dx_error_set(why, kIOReturnNotPermitted, "%s", entry->why);
        return false;
    }
    if (entry->is_kind)
        return true;
    const char *const identifier = entry->info.identifier;
    const struct dx_store *const store = get_approval(approvals, identifier);
    char reason[400];
    if (!store)
        return refuse(why, identifier, "it is new and has not been approved");
    if (strtoul(dx_store_get(store, KEY_OWNER), NULL, 10) != entry->owner) {
        (void)snprintf(reason, sizeof reason,
                       "it belonged to user %s when it was approved, and belongs to user %u now",
                       dx_store_get(store, KEY_OWNER), (unsigned)entry->owner);
        return refuse(why, identifier, reason);
    }
    if (strcmp(dx_store_get(store, KEY_FOLDER), entry->folder) != 0) {
        (void)snprintf(reason, sizeof reason, "it was approved in %.120s, and is in %.120s now",
                       dx_store_get(store, KEY_FOLDER), entry->folder);
        return refuse(why, identifier, reason);
    }
    size_t count = 0;
    const char *const entitlement = find_new_entitlement(store, entry, &count);
    if (entitlement) {
        (void)snprintf(reason, sizeof reason, "it asks for more than when it was approved: %.200s%s", entitlement,
                       count > 1 ? " and others" : "");
        return refuse(why, identifier, reason);
    }
    return true;
}

static bool
asks_for_network(const struct dx_bundle_entry *entry)
{
    return dx_entitlements_have(&entry->entitlements, DX_ENTITLEMENT_NETWORK_CLIENT) ||
           dx_entitlements_have(&entry->entitlements, DX_ENTITLEMENT_NETWORK_SERVER);
}

bool
dx_approvals_allow_network(const struct dx_approvals *approvals, const struct dx_bundle_entry *entry)
{
    if (entry->is_kind || !asks_for_network(entry) || !dx_approvals_allow(approvals, entry, NULL))
        return false;
    const char *const network = dx_store_get(get_approval(approvals, entry->info.identifier), KEY_NETWORK);
    return network && strcmp(network, "yes") == 0;
}

bool
dx_approvals_allow_user_client(const struct dx_approvals *approvals, const struct dx_bundle_entry *entry,
                               const char *program, dx_error *why)
{
    if (!dx_approvals_allow(approvals, entry, why))
        return false;
    if (dx_entitlements_have(&entry->entitlements, DX_ENTITLEMENT_ANY_USER_CLIENT))
        return true;
    const struct dx_store *const store = entry->is_kind ? NULL : get_approval(approvals, entry->info.identifier);
    if (store && find_in_list(store, KEY_PROGRAM, program))
        return true;
    (void)dx_error_set(
        why, kIOReturnNotPermitted,
        "%.200s may not talk to %.100s: neither does that driver let every program, nor was this one "
        "allowed; `dextral grant` does that",
        program, entry->info.identifier);
    return false;
}

OSArray *
dx_approvals_copy_programs(const struct dx_approvals *approvals, const char *identifier)
{
    const struct dx_store *const store = get_approval(approvals, identifier);
    OSArray *array = OSArrayCreate(0);
    size_t index = 0;
    for (const char *program = NULL; array && store && (program = next_of_list(store, KEY_PROGRAM, &index));) {
        OSString *const string = OSStringCreate(program);
        if (!string || !OSArraySetObject(array, string))
            OSSafeReleaseNULL(array);
        OSObjectRelease(string);
    }
    return array;
}

/* ---- what the user decides ---- */

/* The approval of a bundle as it is now. */
static kern_return_t
fill_approval(struct dx_store *store, const struct dx_bundle_entry *entry, bool network)
{
    char owner[16];
    (void)snprintf(owner, sizeof owner, "%u", (unsigned)entry->owner);
    kern_return_t status = dx_store_set(store, KEY_BUNDLE, entry->info.identifier);
    if (status == kIOReturnSuccess)
        status = dx_store_set(store, KEY_FOLDER, entry->folder);
    if (status == kIOReturnSuccess)
        status = dx_store_set(store, KEY_OWNER, owner);
    if (status == kIOReturnSuccess)
        status = dx_store_set(store, KEY_VERSION, entry->info.version);
    if (status == kIOReturnSuccess)
        status = dx_store_set(store, KEY_NETWORK, network ? "yes" : "no");
    for (size_t i = 0; i < entry->entitlements.count && status == kIOReturnSuccess; i++)
        status = add_to_list(store, KEY_ENTITLEMENT, entry->entitlements.texts[i]);
    return status;
}

kern_return_t
dx_approvals_approve(struct dx_approvals *approvals, const struct dx_bundle_entry *entry, bool network,
                     dx_error *error)
{
    if (entry->why[0])
        return dx_error_set(error, kIOReturnNotPermitted, "%s", entry->why);
    if (network && !asks_for_network(entry))
        return dx_error_set(error, kIOReturnBadArgument,
                            "%.200s does not ask for the network: " DX_ENTITLEMENT_NETWORK_CLIENT
                            " or .server is not among its entitlements",
                            entry->info.identifier);
    if (entry->is_kind)
        return kIOReturnSuccess; // for ever

    const struct dx_store *const before = get_approval(approvals, entry->info.identifier);
    struct dx_store *const store = dx_store_create();
    kern_return_t status = store ? fill_approval(store, entry, network) : kIOReturnNoMemory;
    if (status == kIOReturnSuccess && before)
        status = copy_list(store, before, KEY_PROGRAM);
    if (status == kIOReturnSuccess)
        return keep_approval(approvals, entry->info.identifier, store, error);
    dx_store_destroy(store);
    return status == kIOReturnNoMemory
               ? no_memory(error)
               : dx_error_set(error, status,
                              "%.200s cannot be approved: its path or its entitlements are no UTF-8 or too long",
                              entry->info.identifier);
}

static kern_return_t
not_approved(const char *identifier, dx_error *error)
{
    return dx_error_set(error, kIOReturnNotFound, "%.200s has not been approved", identifier);
}

bool
dx_approvals_have(const struct dx_approvals *approvals, const char *identifier)
{
    return get_approval(approvals, identifier) != NULL;
}

kern_return_t
dx_approvals_revoke(struct dx_approvals *approvals, const char *identifier, dx_error *error)
{
    const size_t place = find_approval(approvals, identifier);
    if (place == approvals->count)
        return not_approved(identifier, error);
    char *const path = copy_path(approvals, identifier);
    if (!path)
        return no_memory(error);
    kern_return_t status = kIOReturnSuccess;
    if (unlink(path) != 0 && errno != ENOENT)
        status = dx_error_set(error, kIOReturnNotWritable, "cannot remove %s: %s", path, strerror(errno));
    free(path);
    if (status != kIOReturnSuccess)
        return status;
    dx_store_destroy(approvals->stores[place]);
    approvals->stores[place] = approvals->stores[--approvals->count];
    return kIOReturnSuccess;
}

/* A program's file as /proc/PID/exe will name it. */
static kern_return_t
find_program(const char *program, char **ret_path, dx_error *error)
{
    if (program[0] != '/')
        return dx_error_set(error, kIOReturnBadArgument, "%.300s is no absolute path", program);
    char *const path = realpath(program, NULL);
    if (!path)
        return errno == ENOMEM ? no_memory(error)
                               : dx_error_set(error, kIOReturnNotFound, "%.300s: %s", program, strerror(errno));
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) {
        free(path);
        return dx_error_set(error, kIOReturnBadArgument, "%.300s is no file of a program", program);
    }
    *ret_path = path;
    return kIOReturnSuccess;
}

static kern_return_t
add_program(struct dx_approvals *approvals, const char *identifier, const char *path, dx_error *error)
{
    struct dx_store *const store = copy_store(get_approval(approvals, identifier));
    const kern_return_t status = store ? add_to_list(store, KEY_PROGRAM, path) : kIOReturnNoMemory;
    if (status == kIOReturnSuccess)
        return keep_approval(approvals, identifier, store, error);
    dx_store_destroy(store);
    if (status == kIOReturnNoMemory)
        return no_memory(error);
    return dx_error_set(error, status, "%.300s cannot be kept: %s", path,
                        status == kIOReturnNoSpace ? "there are too many programs" : "the path is no UTF-8");
}

kern_return_t
dx_approvals_grant(struct dx_approvals *approvals, const struct dx_bundle_entry *entry, const char *program,
                   dx_error *error)
{
    if (entry->is_kind)
        return dx_error_set(error, kIOReturnBadArgument, "%.200s has no user clients of its own", entry->folder);
    if (!dx_approvals_allow(approvals, entry, error))
        return kIOReturnNotPermitted;
    char *path = NULL;
    kern_return_t status = find_program(program, &path, error);
    if (status != kIOReturnSuccess)
        return status;

    if (!find_in_list(get_approval(approvals, entry->info.identifier), KEY_PROGRAM, path))
        status = add_program(approvals, entry->info.identifier, path, error);
    free(path);
    return status;
}

kern_return_t
dx_approvals_ungrant(struct dx_approvals *approvals, const struct dx_bundle_entry *entry, const char *program,
                     dx_error *error)
{
    const struct dx_store *const before =
        entry->info.identifier && !entry->is_kind ? get_approval(approvals, entry->info.identifier) : NULL;
    char *const path = realpath(program, NULL); // gone meanwhile: as it was
    const char *const key = before ? find_in_list(before, KEY_PROGRAM, path ? path : program) : NULL;
    kern_return_t status;
    if (key) {
        struct dx_store *const store = copy_store(before);
        if (store)
            (void)dx_store_set(store, key, NULL); // taking away does not fail
        status = keep_approval(approvals, entry->info.identifier, store, error);
    } else {
        status = dx_error_set(error, kIOReturnNotFound, "%.300s was not allowed to talk to it", program);
    }
    free(path);
    return status;
}
