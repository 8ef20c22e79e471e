// SPDX-License-Identifier: MIT
// What is remembered by itself: serialised values, a file for each.

#include "host/supervisor/keep.h"

#include "host/error.h"
#include "host/protocol.h"
#include "host/store.h"
#include "host/supervisor/incident.h"
#include "host/supervisor/listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEEP_DELAY_NS DX_NS_PER_S
#define MAX_FILE_BYTES ((size_t)1 << 20)

/* Kinds of files: folders.  By device there are descriptions. */
#define STATES "states"   // by unit
#define DEVICES "devices" // by unit: UIDs

static char *
make_path(const struct dx_supervisor *supervisor, const char *kind, const char *text, dx_error *error)
{
    char *folder = NULL;
    char *path = NULL;
    if (dx_paths_make_inside(supervisor->state_folder, kind, &folder, error) != kIOReturnSuccess)
        return NULL;
    char *const name = dx_file_name_from_text(text);
    if (!name || asprintf(&path, "%s/%s", folder, name) < 0) {
        path = NULL;
        (void)dx_error_set(error, kIOReturnNoMemory, "no memory");
    }
    free(name);
    free(folder);
    return path;
}

/* A full disk lasts: it is said once, until something could be written again. */
static void
complain(struct dx_supervisor *supervisor, kern_return_t status, const dx_error *error)
{
    if (status == kIOReturnSuccess) {
        supervisor->said_disk_full = false;
    } else if (!supervisor->said_disk_full) {
        supervisor->said_disk_full = true;
        dx_log("%s; states and descriptions will be forgotten", error->message);
    }
}

static void
write_value(struct dx_supervisor *supervisor, const char *kind, const char *name, OSObjectPtr value)
{
    dx_error error = {""};
    kern_return_t status = kIOReturnNotWritable;
    char *const path = make_path(supervisor, kind, name, &error);
    OSData *const data = path ? OSSerializationCreateFromObject(value) : NULL;
    if (data && OSDataGetLength(data) <= MAX_FILE_BYTES)
        status = dx_file_replace_unflushed(path, OSDataGetBytesNoCopy(data), OSDataGetLength(data), &error);
    else if (path)
        status = dx_error_set(&error, kIOReturnNoSpace, "%s: too much to keep", name);
    complain(supervisor, status, &error);
    OSObjectRelease(data);
    free(path);
}

/* +1, or NULL. */
static OSObjectPtr
read_value(struct dx_supervisor *supervisor, const char *kind, const char *name)
{
    dx_error error = {""};
    char *bytes = NULL;
    size_t length = 0;
    char *const path = make_path(supervisor, kind, name, &error);
    kern_return_t status = kIOReturnNotReadable;
    if (path)
        status = dx_file_read(path, MAX_FILE_BYTES, &bytes, &length, &error);
    OSObjectPtr const value = status == kIOReturnSuccess ? OSSerializationCopyObject(bytes, length) : NULL;
    if (status == kIOReturnSuccess && !value)
        dx_log("%s: not understood, and so not used", path);
    else if (status != kIOReturnSuccess && status != kIOReturnNotFound)
        dx_log("%s", error.message);
    free(bytes);
    free(path);
    return value;
}

static void
remove_value(struct dx_supervisor *supervisor, const char *kind, const char *name)
{
    dx_error error;
    char *const path = make_path(supervisor, kind, name, &error);
    if (path)
        (void)unlink(path); // where it stays, it is of a device that is no more
    free(path);
}

/* ---- devices of bundles ---- */

static void
write_learned(const struct dx_unit *unit)
{
    OSArray *const uids = OSArrayCreate(1);
    if (!uids)
        return;
    for (const struct dx_listing *listing = unit->supervisor->listings; listing; listing = listing->next) {
        OSString *const uid = listing->unit == unit && !listing->is_gone ? OSStringCreate(listing->uid) : NULL;
        (void)OSArraySetObject(uids, uid); // NULL is not added
        OSObjectRelease(uid);
    }
    write_value(unit->supervisor, DEVICES, unit->key, uids);
    OSObjectRelease(uids);
}

void
dx_keep_learned(struct dx_unit *unit)
{
    if (unit->declared_uid || unit->usb)
        return; // it is declared, or hardware, which is looked at
    unit->are_devices_unkept = true;
    dx_keep_soon(unit->supervisor);
}

/* ---- in time ---- */

void
dx_keep_now(struct dx_supervisor *supervisor)
{
    supervisor->is_keeping = false;
    dx_incidents_keep(supervisor);
    for (struct dx_unit *unit = supervisor->units; unit; unit = unit->next) {
        if (unit->is_state_unkept)
            write_value(supervisor, STATES, unit->key, unit->saved_state);
        unit->is_state_unkept = false;
        if (unit->are_devices_unkept)
            write_learned(unit);
        unit->are_devices_unkept = false;
    }
    for (struct dx_listing *listing = supervisor->listings; listing; listing = listing->next) {
        if (listing->unkept)
            write_value(supervisor, DX_KEEP_DESCRIPTIONS, listing->uid, listing->unkept);
        OSSafeReleaseNULL(listing->unkept);
    }
}

static void
keep_timer(void *context)
{
    dx_keep_now(context);
}

void
dx_keep_soon(struct dx_supervisor *supervisor)
{
    if (!supervisor->keep_timer)
        supervisor->keep_timer = dx_loop_timer_create(supervisor->loop, keep_timer, supervisor);
    if (supervisor->keep_timer && !supervisor->is_keeping)
        dx_loop_timer_set(supervisor->keep_timer, KEEP_DELAY_NS);
    supervisor->is_keeping = supervisor->keep_timer != NULL;
}

/* ---- saved states ---- */

void
dx_keep_state(struct dx_unit *unit, OSDictionary *state)
{
    if (!state)
        return;
    (void)OSObjectRetain(state);
    OSObjectRelease(unit->saved_state);
    unit->saved_state = state;
    unit->is_state_unkept = true;
    dx_keep_soon(unit->supervisor);
}

void
dx_keep_read_unit(struct dx_unit *unit)
{
    OSObjectPtr const value = read_value(unit->supervisor, STATES, unit->key);
    unit->saved_state = OSDynamicCast(OSDictionary, value);
    if (!unit->saved_state)
        OSObjectRelease(value);
}

bool
dx_keep_read_learned(struct dx_unit *unit)
{
    OSObjectPtr const value = read_value(unit->supervisor, DEVICES, unit->key);
    OSArray *const uids = OSDynamicCast(OSArray, value);
    for (size_t i = 0; uids && i < OSArrayGetCount(uids); i++) {
        const OSString *const uid = OSDynamicCast(OSString, OSArrayGetObject(uids, i));
        const char *const text = uid ? OSStringGetCStringNoCopy(uid) : "";
        if (!text[0] || strlen(text) >= DX_MAX_TEXT_BYTES || dx_listing_find(unit->supervisor, text))
            continue;
        OSObjectPtr const kept = read_value(unit->supervisor, DX_KEEP_DESCRIPTIONS, text);
        (void)dx_listing_create(unit->supervisor, unit, text, OSDynamicCast(OSDictionary, kept));
        OSObjectRelease(kept);
    }
    const bool is_known = uids != NULL;
    OSObjectRelease(value);
    return is_known;
}

/* ---- descriptions ---- */

/* What a driver told under other options no longer holds; live ones change nothing of it. */
static bool
still_holds(const struct dx_listing *listing, const OSDictionary *description)
{
    const struct dx_declared *const declared =
        listing->unit->declared_uid
            ? dx_declarations_find(listing->supervisor->declarations, listing->unit->declared_uid)
            : NULL;
    if (!declared)
        return true;
    OSDictionary *const options = dx_declared_copy_options(declared);
    const OSDictionary *const told = dx_wire_get_dictionary(description, DX_KEY_OPTIONS);
    bool holds = options && told;
    for (size_t i = 0; holds && i < declared->kind->option_count; i++) {
        const struct dx_kind_option *const option = &declared->kind->options[i];
        holds = option->is_live || OSObjectIsEqualTo(OSDictionaryGetObject(told, option->name),
                                                     OSDictionaryGetObject(options, option->name));
    }
    OSObjectRelease(options);
    return holds;
}

OSDictionary *
dx_keep_read_description(const struct dx_listing *listing)
{
    OSObjectPtr const value = listing->unkept
                                  ? OSDictionaryCreateWithDictionary(listing->unkept)
                                  : read_value(listing->supervisor, DX_KEEP_DESCRIPTIONS, listing->uid);
    OSDictionary *const description = OSDynamicCast(OSDictionary, value);
    if (description && still_holds(listing, description))
        return description;
    OSObjectRelease(value);
    return NULL;
}

void
dx_keep_forget(struct dx_unit *unit)
{
    remove_value(unit->supervisor, STATES, unit->key);
    if (unit->declared_uid)
        remove_value(unit->supervisor, DX_KEEP_DESCRIPTIONS, unit->declared_uid);
}
