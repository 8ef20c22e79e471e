// SPDX-License-Identifier: MIT
// Volume and mute of programs: a text for each device, in the config folder.

#include "host/supervisor/volume.h"

#include "host/error.h"
#include "host/protocol.h"
#include "host/store.h"
#include "host/supervisor/listing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER "volumes"
#define MAX_VOLUMES 128u // programs of a device
#define MAX_GAIN 16.0    // as loud as a sample may be

struct dx_volume {
    struct dx_volume *next;
    char *program;
    double gain;
    bool is_muted;
};

static char *
make_path(const struct dx_listing *listing, dx_error *error)
{
    char *folder = NULL;
    char *path = NULL;
    char *name = NULL;
    if (dx_paths_make_inside(listing->supervisor->config_folder, FOLDER, &folder, error) != kIOReturnSuccess)
        return NULL;
    name = dx_file_name_from_text(listing->uid);
    if (!name || asprintf(&path, "%s/%s.volumes", folder, name) < 0)
        path = NULL;
    if (!path)
        (void)dx_error_set(error, kIOReturnNoMemory, "no memory");
    free(name);
    free(folder);
    return path;
}

static struct dx_volume *
find_volume(const struct dx_listing *listing, const char *program)
{
    for (struct dx_volume *volume = listing->volumes; volume; volume = volume->next)
        if (strcmp(volume->program, program) == 0)
            return volume;
    return NULL;
}

static struct dx_volume *
add_volume(struct dx_listing *listing, const char *program)
{
    struct dx_volume *const volume = calloc(1, sizeof *volume);
    char *const name = strdup(program);
    if (!volume || !name) {
        free(volume);
        free(name);
        return NULL;
    }
    *volume = (struct dx_volume){.next = listing->volumes, .program = name, .gain = 1.0};
    listing->volumes = volume;
    return volume;
}

static bool
is_gain(double gain)
{
    return gain >= 0.0 && gain <= MAX_GAIN; // and no NaN
}

/* Keys: program.N, gain.N, mute.N. */
static const char *
get_numbered(const struct dx_store *store, const char *key, unsigned number)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%s.%u", key, number);
    return dx_store_get(store, name);
}

static kern_return_t
set_numbered(struct dx_store *store, const char *key, unsigned number, const char *value)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%s.%u", key, number);
    return dx_store_set(store, name, value);
}

void
dx_volumes_read(struct dx_listing *listing)
{
    dx_error error = {""};
    struct dx_store *store = NULL;
    char *const path = make_path(listing, &error);
    const kern_return_t status = path ? dx_store_read(path, &store, &error) : kIOReturnNotWritable;
    if (status != kIOReturnSuccess && status != kIOReturnNotFound)
        dx_log("%s", error.message);
    for (unsigned i = 0; store && i < MAX_VOLUMES; i++) {
        const char *const program = get_numbered(store, "program", i);
        const char *const gain = get_numbered(store, "gain", i);
        const char *const mute = get_numbered(store, "mute", i);
        struct dx_volume *const volume = program ? add_volume(listing, program) : NULL;
        if (!volume)
            continue;
        const double value = gain ? strtod(gain, NULL) : 1.0;
        volume->gain = is_gain(value) ? value : 1.0;
        volume->is_muted = mute && strcmp(mute, "yes") == 0;
    }
    dx_store_destroy(store);
    free(path);
}

static void
free_first(struct dx_volume **at)
{
    struct dx_volume *const volume = *at;
    *at = volume->next;
    free(volume->program);
    free(volume);
}

void
dx_volumes_free(struct dx_listing *listing)
{
    while (listing->volumes)
        free_first(&listing->volumes);
}

void
dx_volumes_forget(const struct dx_listing *listing)
{
    dx_error error;
    char *const path = make_path(listing, &error);
    if (path)
        (void)unlink(path); // where it stays, it is of a device that is no more
    free(path);
}

/* As it is without a line. */
static bool
is_plain(const struct dx_volume *volume)
{
    return volume->gain == 1.0 && !volume->is_muted;
}

static void
free_plain(struct dx_listing *listing)
{
    for (struct dx_volume **at = &listing->volumes; *at;) {
        if (is_plain(*at))
            free_first(at);
        else
            at = &(*at)->next;
    }
}

static kern_return_t
write_volumes(const struct dx_listing *listing, dx_error *error)
{
    char *const path = make_path(listing, error);
    struct dx_store *const store = path ? dx_store_create() : NULL;
    kern_return_t status = store ? kIOReturnSuccess : kIOReturnNoMemory;
    unsigned number = 0;
    for (const struct dx_volume *volume = listing->volumes; volume && status == kIOReturnSuccess;
         volume = volume->next) {
        if (is_plain(volume))
            continue;
        char gain[32];
        (void)snprintf(gain, sizeof gain, "%.17g", volume->gain);
        status = set_numbered(store, "program", number, volume->program);
        if (status == kIOReturnSuccess)
            status = set_numbered(store, "gain", number, gain);
        if (status == kIOReturnSuccess)
            status = set_numbered(store, "mute", number, volume->is_muted ? "yes" : "no");
        number++;
    }
    if (status == kIOReturnSuccess)
        status = dx_store_write(store, path, error);
    else if (!error->message[0])
        (void)dx_error_set(error, status, "the volume of a program cannot be written: its name is no text");
    dx_store_destroy(store);
    free(path);
    return status;
}

void
dx_volume_apply(struct dx_session *session)
{
    const struct dx_volume *const volume = find_volume(session->listing, session->name);
    session->gain = volume ? volume->gain : 1.0;
    session->is_muted = volume && volume->is_muted;
}

static OSDictionary *
describe_volume(const struct dx_volume *volume)
{
    OSDictionary *to = OSDictionaryCreate(3);
    if (to &&
        !(OSDictionarySetStringValue(to, DX_KEY_NAME, volume->program) &&
          dx_wire_set_double(to, "gain-f64", volume->gain) && dx_wire_set_bool(to, "mute", volume->is_muted)))
        OSSafeReleaseNULL(to);
    return to;
}

OSArray *
dx_volumes_describe(const struct dx_listing *listing)
{
    OSArray *volumes = OSArrayCreate(4);
    for (const struct dx_volume *volume = listing->volumes; volumes && volume; volume = volume->next) {
        OSDictionary *const item = describe_volume(volume);
        if (!item || !OSArraySetObject(volumes, item))
            OSSafeReleaseNULL(volumes);
        OSObjectRelease(item);
    }
    return volumes;
}

kern_return_t
dx_volume_set(struct dx_listing *listing, const char *program, const double *gain, const bool *muted,
              dx_error *error)
{
    if (gain && !is_gain(*gain))
        return dx_error_set(error, kIOReturnBadArgument, "a gain is 0 ... %g", MAX_GAIN);
    struct dx_volume *volume = find_volume(listing, program);
    const bool is_new = !volume;
    uint32_t count = 0;
    for (const struct dx_volume *at = listing->volumes; at; at = at->next)
        count++;
    if (is_new && count >= MAX_VOLUMES)
        return dx_error_set(error, kIOReturnNoSpace, "%u programs have a volume on %s already", MAX_VOLUMES,
                            listing->uid);
    if (is_new && !(volume = add_volume(listing, program)))
        return dx_error_set(error, kIOReturnNoMemory, "no memory");
    const struct dx_volume before = *volume;
    volume->gain = gain ? *gain : volume->gain;
    volume->is_muted = muted ? *muted : volume->is_muted;
    const kern_return_t status = write_volumes(listing, error);
    if (status != kIOReturnSuccess)
        *volume = before;
    free_plain(listing);
    if (status != kIOReturnSuccess)
        return status;
    for (struct dx_session *session = listing->supervisor->sessions; session; session = session->next) {
        if (session->listing != listing || !session->name || strcmp(session->name, program) != 0)
            continue;
        dx_volume_apply(session);
        dx_session_tune(session);
    }
    dx_listing_changed(listing);
    return kIOReturnSuccess;
}
