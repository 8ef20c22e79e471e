// SPDX-License-Identifier: MIT
// Declared devices: loaded, created, changed, removed.

#include "host/declared.h"

#include "host/error.h"
#include "host/paths.h"
#include "host/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".device"
#define KEY_KIND "kind"         // no option has this name
#define MOST_SAMPLES (1u << 24) // in a ring

/* What dx_declared points to is the device's own. */
struct device {
    struct dx_declared declared;
    char *values[DX_KIND_MAX_OPTIONS];
};

struct dx_declarations {
    char *folder;
    bool (*is_taken)(void *context, const char *uid);
    void *context;
    struct device **devices; // in the order of their UIDs
    size_t count;
};

static kern_return_t
no_memory(dx_error *error)
{
    return dx_error_set(error, kIOReturnNoMemory, "no memory for a declared device");
}

/* ---- one device ---- */

static void
destroy_device(struct device *device)
{
    if (!device)
        return;
    for (size_t i = 0; i < DX_KIND_MAX_OPTIONS; i++)
        free(device->values[i]);
    free(device);
}

/* A device of a kind with the initial values; NULL without memory. */
static struct device *
create_device(const struct dx_kind *kind)
{
    struct device *const device = calloc(1, sizeof *device);
    if (!device)
        return NULL;
    device->declared.kind = kind;
    for (size_t i = 0; i < kind->option_count; i++) {
        device->values[i] = strdup(kind->options[i].initial);
        if (!device->values[i]) {
            destroy_device(device);
            return NULL;
        }
    }
    return device;
}

/* The value of an option that every kind has. */
static char **
value_of(struct device *device, const char *option)
{
    return &device->values[dx_kind_find_option(device->declared.kind, option)];
}

/* What others see of it. */
static void
publish(struct device *device)
{
    for (size_t i = 0; i < device->declared.kind->option_count; i++)
        device->declared.values[i] = device->values[i];
    device->declared.uid = *value_of(device, "uid");
}

static kern_return_t
refuse_option(const struct dx_kind *kind, const char *name, dx_error *error)
{
    char names[200] = "";
    for (size_t i = 0; i < kind->option_count; i++) {
        const size_t length = strlen(names);
        (void)snprintf(names + length, sizeof names - length, "%s%s", i ? ", " : "", kind->options[i].name);
    }
    return dx_error_set(error, kIOReturnBadArgument, "a %s has no option \"%.100s\": it has %s", kind->name, name,
                        names);
}

/* Checks a value and puts it in. */
static kern_return_t
set_value(struct device *device, const char *name, const char *text, dx_error *error)
{
    const size_t place = dx_kind_find_option(device->declared.kind, name);
    if (place == SIZE_MAX)
        return refuse_option(device->declared.kind, name, error);
    char *value = NULL;
    const kern_return_t status = dx_kind_check_option(&device->declared.kind->options[place], text, &value, error);
    if (status == kIOReturnNoMemory)
        return no_memory(error);
    if (status == kIOReturnSuccess) {
        free(device->values[place]);
        device->values[place] = value;
    }
    return status;
}

static struct device *
copy_device(const struct device *device)
{
    struct device *const copy = create_device(device->declared.kind);
    for (size_t i = 0; copy && i < device->declared.kind->option_count; i++) {
        char *const value = strdup(device->values[i]);
        if (!value) {
            destroy_device(copy);
            return NULL;
        }
        free(copy->values[i]);
        copy->values[i] = value;
    }
    return copy;
}

/* ---- values as others give them ---- */

/* A text under construction; NULL bytes: no memory. */
struct text {
    char *bytes;
    size_t length;
};

static void
append(struct text *text, const char *more)
{
    const size_t length = strlen(more);
    char *const bytes = text->bytes ? realloc(text->bytes, text->length + length + 1) : NULL;
    if (!bytes)
        free(text->bytes);
    else
        memcpy(bytes + text->length, more, length + 1);
    text->bytes = bytes;
    text->length += length;
}

/* Appends a value that is no list; false: it is nothing that an option can be. */
static bool
append_scalar(struct text *text, OSObjectPtr value)
{
    char number[24];
    const OSString *const string = OSDynamicCast(OSString, value);
    if (string) {
        append(text, OSStringGetCStringNoCopy(string));
        return true;
    }
    if (OSDynamicCast(OSBoolean, value)) {
        append(text, OSBooleanGetValue(value) ? "yes" : "no");
        return true;
    }
    if (!OSDynamicCast(OSNumber, value))
        return false;
    (void)snprintf(number, sizeof number, "%lld", (long long)OSNumberGetUInt64Value(value));
    append(text, number);
    return true;
}

/* A value as text, the caller's to free(). */
static kern_return_t
copy_text(const char *name, OSObjectPtr value, char **ret_text, dx_error *error)
{
    struct text text = {.bytes = strdup("")};
    const OSArray *const array = OSDynamicCast(OSArray, value);
    bool is_fine = true;
    if (!array)
        is_fine = append_scalar(&text, value);
    for (size_t i = 0; array && i < OSArrayGetCount(array) && is_fine; i++) {
        append(&text, i ? "," : "");
        is_fine = append_scalar(&text, OSArrayGetObject(array, i));
    }
    if (!text.bytes)
        return no_memory(error);
    if (!is_fine) {
        free(text.bytes);
        return dx_error_set(error, kIOReturnBadArgument,
                            "%.100s must be a text, a number, yes or no, or a list of these", name);
    }
    *ret_text = text.bytes;
    return kIOReturnSuccess;
}

static kern_return_t
set_object(struct device *device, const char *name, OSObjectPtr value, dx_error *error)
{
    char *text = NULL;
    kern_return_t status = copy_text(name, value, &text, error);
    if (status == kIOReturnSuccess)
        status = set_value(device, name, text, error);
    free(text);
    return status;
}

struct setting_all {
    struct device *device;
    kern_return_t status;
    dx_error *error;
};

static bool
set_next(void *context, OSString *key, OSObjectPtr value)
{
    struct setting_all *const all = context;
    all->status = set_object(all->device, OSStringGetCStringNoCopy(key), value, all->error);
    return all->status != kIOReturnSuccess;
}

/* ---- the set ---- */

/* The place of a UID, or where it belongs. */
static size_t
find_place(const struct dx_declarations *declarations, const char *uid, bool *ret_is_there)
{
    size_t first = 0;
    size_t end = declarations->count;
    *ret_is_there = false;
    while (first < end) {
        const size_t middle = first + (end - first) / 2;
        const int order = strcmp(declarations->devices[middle]->declared.uid, uid);
        if (order == 0) {
            *ret_is_there = true;
            return middle;
        }
        if (order < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

static struct device *
find_device(const struct dx_declarations *declarations, const char *uid)
{
    bool is_there = false;
    const size_t place = find_place(declarations, uid, &is_there);
    return is_there ? declarations->devices[place] : NULL;
}

const struct dx_declared *
dx_declarations_find(const struct dx_declarations *declarations, const char *uid)
{
    const struct device *const device = find_device(declarations, uid);
    return device ? &device->declared : NULL;
}

const struct dx_declared *
dx_declarations_at(const struct dx_declarations *declarations, size_t index)
{
    return index < declarations->count ? &declarations->devices[index]->declared : NULL;
}

/* Makes room for one more. */
static bool
reserve_device(struct dx_declarations *declarations)
{
    struct device **const devices =
        realloc(declarations->devices, (declarations->count + 1) * sizeof(struct device *));
    if (devices)
        declarations->devices = devices;
    return devices;
}

/* There is room, and no other one of its UID. */
static void
insert_device(struct dx_declarations *declarations, struct device *device)
{
    bool is_there = false;
    const size_t place = find_place(declarations, device->declared.uid, &is_there);
    struct device **const at = declarations->devices + place;
    memmove(at + 1, at, (declarations->count++ - place) * sizeof *at);
    *at = device;
}

/* ---- rules over several options ---- */

/* Following is refused where it would come back: clocks that follow each other follow nothing. */
static kern_return_t
check_follow(const struct dx_declarations *declarations, struct device *device, dx_error *error)
{
    const char *const uid = *value_of(device, "uid");
    const char *next = *value_of(device, "follow");
    for (size_t i = 0; *next && i <= declarations->count; i++) {
        if (strcmp(next, uid) == 0)
            return dx_error_set(
                error, kIOReturnBadArgument,
                "follow \"%.100s\" is not possible: that device's clock follows this one's, \"%.80s\"",
                *value_of(device, "follow"), uid);
        struct device *const followed = find_device(declarations, next);
        if (!followed)
            break;
        next = *value_of(followed, "follow");
    }
    return kIOReturnSuccess;
}

static kern_return_t
check_together(const struct dx_declarations *declarations, struct device *device, dx_error *error)
{
    const unsigned long ring_frames = strtoul(*value_of(device, "ring"), NULL, 10);
    const unsigned long channels = strtoul(*value_of(device, "channels"), NULL, 10);
    if (ring_frames * channels > MOST_SAMPLES)
        return dx_error_set(error, kIOReturnBadArgument,
                            "ring \"%lu\" is not possible with %lu channels: it must be %lu frames at most",
                            ring_frames, channels, MOST_SAMPLES / channels);
    return check_follow(declarations, device, error);
}

/* ---- files ---- */

/* The path of a UID's file, the caller's to free(); NULL without memory. */
static char *
copy_path(const struct dx_declarations *declarations, const char *uid)
{
    char *const name = dx_file_name_from_text(uid);
    char *path = NULL;
    if (name && asprintf(&path, "%s/%s" SUFFIX, declarations->folder, name) < 0)
        path = NULL;
    free(name);
    return path;
}

static kern_return_t
save(const struct dx_declarations *declarations, struct device *device, dx_error *error)
{
    const struct dx_kind *const kind = device->declared.kind;
    struct dx_store *const store = dx_store_create();
    char *const path = copy_path(declarations, *value_of(device, "uid"));
    kern_return_t status = store && path ? dx_store_set(store, KEY_KIND, kind->name) : kIOReturnNoMemory;
    for (size_t i = 0; i < kind->option_count && status == kIOReturnSuccess; i++) {
        if (strcmp(device->values[i], kind->options[i].initial) != 0)
            status = dx_store_set(store, kind->options[i].name, device->values[i]);
    }
    if (status == kIOReturnSuccess)
        status = dx_store_write(store, path, error);
    else
        status = no_memory(error); // values are short and have been checked: nothing else can fail
    dx_store_destroy(store);
    free(path);
    return status;
}

/* The device that a text declares. */
static kern_return_t
read_device(const struct dx_store *store, const char *path, struct device **ret_device, dx_error *error)
{
    const char *const kind_name = dx_store_get(store, KEY_KIND);
    const struct dx_kind *const kind = kind_name ? dx_kind_find(kind_name) : NULL;
    if (!kind)
        return dx_error_set(error, kIOReturnBadArgument, "%.250s: `kind` is \"%.80s\", which is no kind of device",
                            path, kind_name ? kind_name : "");
    struct device *const device = create_device(kind);
    kern_return_t status = device ? kIOReturnSuccess : kIOReturnNoMemory;
    for (size_t i = 0; i < kind->option_count && status == kIOReturnSuccess; i++) {
        dx_error inner = {""};
        const char *const value = dx_store_get(store, kind->options[i].name);
        if (!value)
            continue;
        status = set_value(device, kind->options[i].name, value, &inner);
        (void)dx_error_set(error, status, "%.250s: %.250s", path, inner.message);
    }
    if (status == kIOReturnSuccess && !**value_of(device, "uid"))
        status = dx_error_set(error, kIOReturnBadArgument, "%.250s: `uid` is missing", path);
    if (status != kIOReturnSuccess) {
        destroy_device(device);
        return status;
    }
    publish(device);
    *ret_device = device;
    return kIOReturnSuccess;
}

static kern_return_t
load_file(struct dx_declarations *declarations, const char *name, dx_error *complaint)
{
    char *path = NULL;
    struct dx_store *store = NULL;
    struct device *device = NULL;
    if (asprintf(&path, "%s/%s", declarations->folder, name) < 0)
        return kIOReturnNoMemory;
    kern_return_t status = dx_store_read(path, &store, complaint);
    if (status == kIOReturnSuccess)
        status = read_device(store, path, &device, complaint);
    /* Else two files could be of one device. */
    if (status == kIOReturnSuccess && !dx_file_name_is_of(name, device->declared.uid, SUFFIX))
        status = dx_error_set(complaint, kIOReturnBadArgument,
                              "%.250s: it is of another device than its name says: \"%.80s\"", path,
                              device->declared.uid);
    if (status == kIOReturnSuccess)
        status = check_together(declarations, device, complaint);
    if (status == kIOReturnSuccess && declarations->count == DX_DECLARED_MAX)
        status = dx_error_set(complaint, kIOReturnNoSpace, "%.250s: there are %u devices already", path,
                              DX_DECLARED_MAX);
    if (status == kIOReturnSuccess && !reserve_device(declarations))
        status = kIOReturnNoMemory;
    if (status == kIOReturnSuccess)
        insert_device(declarations, device);
    else
        destroy_device(device);
    dx_store_destroy(store);
    free(path);
    return status;
}

static int
is_device_file(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > strlen(SUFFIX) &&
           strcmp(entry->d_name + length - strlen(SUFFIX), SUFFIX) == 0;
}

/* By bytes: which of two devices that follow each other is refused must not depend on the locale. */
static int
compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static kern_return_t
load_all(struct dx_declarations *declarations, const struct dx_declarations_config *config, dx_error *error)
{
    struct dirent **names = NULL;
    const int count = scandir(declarations->folder, &names, is_device_file, compare_names);
    if (count < 0)
        return errno == ENOMEM
                   ? no_memory(error)
                   : dx_error_set(error, kIOReturnNotPermitted, "%s: %s", declarations->folder, strerror(errno));
    kern_return_t status = kIOReturnSuccess;
    for (int i = 0; i < count; i++) {
        dx_error complaint = {""};
        const kern_return_t file_status =
            status == kIOReturnSuccess ? load_file(declarations, names[i]->d_name, &complaint) : kIOReturnSuccess;
        if (file_status == kIOReturnNoMemory)
            status = no_memory(error);
        else if (file_status != kIOReturnSuccess && config->complain)
            config->complain(config->context, complaint.message);
        free(names[i]);
    }
    free(names);
    return status;
}

kern_return_t
dx_declarations_open(const struct dx_declarations_config *config, struct dx_declarations **ret_declarations,
                     dx_error *error)
{
    struct dx_declarations *const declarations = calloc(1, sizeof *declarations);
    if (!declarations)
        return no_memory(error);
    declarations->is_taken = config->is_taken;
    declarations->context = config->context;
    kern_return_t status = dx_paths_make_inside(config->config_folder, "devices", &declarations->folder, error);
    if (status == kIOReturnSuccess)
        status = load_all(declarations, config, error);
    if (status == kIOReturnSuccess)
        *ret_declarations = declarations;
    else
        dx_declarations_close(declarations);
    return status;
}

void
dx_declarations_close(struct dx_declarations *declarations)
{
    if (!declarations)
        return;
    for (size_t i = 0; i < declarations->count; i++)
        destroy_device(declarations->devices[i]);
    free(declarations->devices);
    free(declarations->folder);
    free(declarations);
}

/* ---- names ---- */

static bool
is_taken(const struct dx_declarations *declarations, const char *uid)
{
    return find_device(declarations, uid) ||
           (declarations->is_taken && declarations->is_taken(declarations->context, uid));
}

/* What of a name can stand anywhere (in an ALSA device's name, too): letters and digits, and '-' for all between
 * them. `to` has room for 65 bytes. */
static void
make_slug(const char *name, char *to)
{
    size_t length = 0;
    for (const char *c = name; *c && length < 64; c++) {
        const char lower = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
        if ((lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9'))
            to[length++] = lower;
        else if (length > 0 && to[length - 1] != '-')
            to[length++] = '-';
    }
    while (length > 0 && to[length - 1] == '-')
        length--;
    to[length] = '\0';
}

/* Makes up the UID and the name where they were not given: the second of the same name has a 2. */
static kern_return_t
make_names(const struct dx_declarations *declarations, struct device *device, dx_error *error)
{
    char **const name = value_of(device, "name");
    char **const uid = value_of(device, "uid");
    const bool has_name = **name;
    const char *const base = has_name ? *name : device->declared.kind->title;
    char slug[65];
    char wanted[80];
    unsigned number = 1;
    make_slug(base, slug);
    (void)snprintf(wanted, sizeof wanted, "%s", *slug ? slug : device->declared.kind->name);
    while (!**uid && is_taken(declarations, wanted))
        (void)snprintf(wanted, sizeof wanted, "%s-%u", *slug ? slug : device->declared.kind->name, ++number);

    char numbered[128];
    (void)snprintf(numbered, sizeof numbered, number > 1 ? "%s %u" : "%s", base, number);
    kern_return_t status = **uid ? kIOReturnSuccess : set_value(device, "uid", wanted, error);
    if (status == kIOReturnSuccess && !has_name)
        status = set_value(device, "name", numbered, error);
    return status;
}

/* ---- changes ---- */

static kern_return_t
refuse_kind(const char *name, dx_error *error)
{
    char names[100] = "";
    const struct dx_kind *kind;
    for (size_t i = 0; (kind = dx_kind_at(i)); i++) {
        const size_t length = strlen(names);
        (void)snprintf(names + length, sizeof names - length, "%s%s", i ? ", " : "", kind->name);
    }
    return dx_error_set(error, kIOReturnBadArgument, "there is no kind \"%.80s\": there are %s", name, names);
}

static kern_return_t
fill_device(struct dx_declarations *declarations, struct device *device, const OSDictionary *options,
            dx_error *error)
{
    struct setting_all all = {.device = device, .error = error};
    if (options)
        (void)OSDictionaryIterateObjects(options, set_next, &all);
    if (all.status == kIOReturnSuccess)
        all.status = make_names(declarations, device, error);
    if (all.status == kIOReturnSuccess)
        all.status = check_together(declarations, device, error);
    if (all.status == kIOReturnSuccess && is_taken(declarations, *value_of(device, "uid")))
        all.status =
            dx_error_set(error, kIOReturnPortExists, "uid \"%.80s\" is not possible: there is such a device",
                         *value_of(device, "uid"));
    return all.status;
}

kern_return_t
dx_declarations_create(struct dx_declarations *declarations, const char *kind_name, const OSDictionary *options,
                       const struct dx_declared **ret_declared, dx_error *error)
{
    const struct dx_kind *const kind = dx_kind_find(kind_name);
    if (!kind)
        return refuse_kind(kind_name, error);
    if (declarations->count == DX_DECLARED_MAX)
        return dx_error_set(error, kIOReturnNoSpace, "there are %u declared devices already", DX_DECLARED_MAX);

    struct device *const device = create_device(kind);
    kern_return_t status = device && reserve_device(declarations)
                               ? fill_device(declarations, device, options, error)
                               : no_memory(error);
    if (status == kIOReturnSuccess)
        status = save(declarations, device, error);
    if (status != kIOReturnSuccess) {
        destroy_device(device);
        return status;
    }
    publish(device);
    insert_device(declarations, device);
    *ret_declared = &device->declared;
    return kIOReturnSuccess;
}

static kern_return_t
no_device(const char *uid, dx_error *error)
{
    return dx_error_set(error, kIOReturnNotFound, "there is no declared device \"%.100s\"", uid);
}

kern_return_t
dx_declarations_remove(struct dx_declarations *declarations, const char *uid, dx_error *error)
{
    bool is_there = false;
    const size_t place = find_place(declarations, uid, &is_there);
    if (!is_there)
        return no_device(uid, error);
    char *const path = copy_path(declarations, uid);
    if (!path)
        return no_memory(error);
    kern_return_t status = kIOReturnSuccess;
    if (unlink(path) != 0 && errno != ENOENT)
        status = dx_error_set(error, kIOReturnNotWritable, "cannot remove %s: %s", path, strerror(errno));
    free(path);
    if (status != kIOReturnSuccess)
        return status;
    struct device **const at = declarations->devices + place;
    destroy_device(*at);
    memmove(at, at + 1, (--declarations->count - place) * sizeof *at);
    return kIOReturnSuccess;
}

/* Changes a copy, keeps it on the disk, and only then in memory: the device stays where it is. */
static kern_return_t
change_device(struct dx_declarations *declarations, struct device *device, const char *option, OSObjectPtr value,
              dx_error *error)
{
    struct device *const changed = copy_device(device);
    const size_t place = dx_kind_find_option(device->declared.kind, option);
    kern_return_t status = changed ? kIOReturnSuccess : no_memory(error);
    if (status == kIOReturnSuccess)
        status = value ? set_object(changed, option, value, error)
                       : set_value(changed, option, changed->declared.kind->options[place].initial, error);
    if (status == kIOReturnSuccess)
        status = check_together(declarations, changed, error);
    if (status == kIOReturnSuccess)
        status = save(declarations, changed, error);
    if (status == kIOReturnSuccess) {
        free(device->values[place]);
        device->values[place] = changed->values[place];
        changed->values[place] = NULL;
        publish(device);
    }
    destroy_device(changed);
    return status;
}

kern_return_t
dx_declarations_set_option(struct dx_declarations *declarations, const char *uid, const char *option,
                           OSObjectPtr value, bool *ret_live, dx_error *error)
{
    struct device *const device = find_device(declarations, uid);
    if (!device)
        return no_device(uid, error);
    const struct dx_kind *const kind = device->declared.kind;
    const size_t place = dx_kind_find_option(kind, option);
    if (place == SIZE_MAX)
        return refuse_option(kind, option, error);
    if (strcmp(option, "uid") == 0)
        return dx_error_set(error, kIOReturnNotPermitted,
                            "the uid of a device stays: remove it and create another");
    const kern_return_t status = change_device(declarations, device, option, value, error);
    if (status == kIOReturnSuccess && ret_live)
        *ret_live = kind->options[place].is_live;
    return status;
}
