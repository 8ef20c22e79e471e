// SPDX-License-Identifier: MIT
// Driver bundles and declared devices, and the units that they become.

#include "host/supervisor/bundles.h"

#include "host/describe.h"
#include "host/error.h"
#include "host/protocol.h"
#include "host/supervisor/keep.h"
#include "host/supervisor/listing.h"
#include "host/supervisor/usb.h"
#include "host/supervisor/volume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- declared devices ---- */

kern_return_t
dx_declared_add(struct dx_supervisor *supervisor, const struct dx_declared *declared)
{
    char key[DX_MAX_TEXT_BYTES];
    (void)snprintf(key, sizeof key, "device-%s", declared->uid);
    struct dx_unit *const unit =
        dx_unit_create(supervisor, key, declared->kind->identifier, declared->kind->user_class, declared->uid);
    struct dx_listing *const listing = unit ? dx_listing_create(supervisor, unit, declared->uid, NULL) : NULL;
    OSDictionary *const description = listing ? dx_listing_copy_whole(listing) : NULL;
    if (!description) {
        if (unit)
            dx_unit_destroy(unit);
        return kIOReturnNoMemory;
    }
    dx_listing_set_description(listing, description);
    OSSafeReleaseNULL(listing->unkept); // it is nothing new
    OSObjectRelease(description);
    return kIOReturnSuccess;
}

void
dx_declared_list(struct dx_supervisor *supervisor)
{
    const struct dx_declared *declared;
    for (size_t i = 0; (declared = dx_declarations_at(supervisor->declarations, i)) != NULL; i++)
        if (dx_declared_add(supervisor, declared) != kIOReturnSuccess)
            dx_log("%s: no memory to list it", declared->uid);
}

/* ---- bundles ---- */

struct dx_unit *
dx_bundles_find_unit(const struct dx_supervisor *supervisor, const char *identifier)
{
    struct dx_unit *found = NULL; // the list has the newest first
    for (struct dx_unit *unit = supervisor->units; unit; unit = unit->next)
        if (!unit->declared_uid && strcmp(unit->identifier, identifier) == 0)
            found = unit;
    return found;
}

/* What is for a USB device has a unit when one is plugged in. */
static bool
is_virtual(const struct dx_personality *personality)
{
    return dx_usb_provider_class_of(personality->properties) == DX_USB_NO_PROVIDER;
}

/* One process for each personality, or one for all of them where the bundle says so. */
static bool
wants_one_process(const struct dx_bundle_entry *entry)
{
    for (size_t i = 0; i < entry->info.personality_count; i++)
        if (is_virtual(&entry->info.personalities[i]) &&
            dx_wire_get_bool(entry->info.personalities[i].properties, "IOUserServerOneProcess"))
            return true;
    return false;
}

static void
add_unit(struct dx_supervisor *supervisor, const struct dx_bundle_entry *entry, const char *personality)
{
    char *key = NULL;
    if (asprintf(&key, "bundle-%s%s%s", entry->info.identifier, personality ? "-" : "",
                 personality ? personality : "") < 0)
        return;
    if (!dx_unit_find(supervisor, key)) {
        struct dx_unit *const unit = dx_unit_create(supervisor, key, entry->info.identifier, personality, NULL);
        const bool is_allowed = dx_approvals_allow(supervisor->approvals, entry, NULL);
        if (unit)
            unit->is_learning = !dx_keep_read_learned(unit) && is_allowed;
    }
    free(key);
}

static void
add_units(struct dx_supervisor *supervisor, const struct dx_bundle_entry *entry)
{
    if (wants_one_process(entry)) {
        add_unit(supervisor, entry, NULL);
        return;
    }
    for (size_t i = 0; i < entry->info.personality_count; i++)
        if (is_virtual(&entry->info.personalities[i]))
            add_unit(supervisor, entry, entry->info.personalities[i].name);
}

/* A driver that runs goes on without its bundle; one that does not has no devices any more. */
static void
remove_units_without_bundle(struct dx_supervisor *supervisor)
{
    for (struct dx_unit *unit = supervisor->units, *next; unit; unit = next) {
        next = unit->next;
        if (!unit->declared_uid && unit->pid <= 0 && !dx_catalogue_find(&supervisor->catalogue, unit->identifier))
            dx_unit_destroy(unit);
    }
}

/* What was never approved has no units: nothing is known of its devices. */
static void
make_units(struct dx_supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->catalogue.count; i++) {
        const struct dx_bundle_entry *const entry = supervisor->catalogue.entries[i];
        if (entry->why[0])
            dx_log("%s is not used: %s", entry->folder ? entry->folder : "a bundle", entry->why);
        else if (dx_approvals_allow(supervisor->approvals, entry, NULL))
            add_units(supervisor, entry);
    }
}

void
dx_bundles_scan(struct dx_supervisor *supervisor)
{
    struct dx_path_list folders = {0};
    struct dx_catalogue found = {0};
    dx_error error = {""};
    kern_return_t status = dx_paths_driver_folders(&folders, &error);
    if (status == kIOReturnSuccess)
        status = dx_catalogue_scan(supervisor->config.bundles, (const char *const *)folders.paths, &found, &error);
    dx_path_list_finish(&folders);
    if (status != kIOReturnSuccess) {
        dx_log("drivers could not be looked for: %s", error.message);
        return;
    }
    dx_catalogue_finish(&supervisor->catalogue);
    supervisor->catalogue = found;
    make_units(supervisor);
    dx_usb_match(supervisor);
    remove_units_without_bundle(supervisor);
}

void
dx_bundles_learn(struct dx_supervisor *supervisor)
{
    for (struct dx_unit *unit = supervisor->units; unit; unit = unit->next)
        if (unit->is_learning && unit->state == DX_UNIT_IDLE)
            (void)dx_unit_want(unit);
}

/* By identifier or path; looked for again where it is not known. */
static const struct dx_bundle_entry *
find_entry(struct dx_supervisor *supervisor, const char *bundle)
{
    for (int attempt = 0; bundle && attempt < 2; attempt++) {
        const struct dx_bundle_entry *const entry = dx_catalogue_find(&supervisor->catalogue, bundle);
        if (entry)
            return entry;
        char *const path = realpath(bundle, NULL);
        for (size_t i = 0; path && i < supervisor->catalogue.count; i++) {
            if (supervisor->catalogue.entries[i]->folder &&
                strcmp(supervisor->catalogue.entries[i]->folder, path) == 0) {
                free(path);
                return supervisor->catalogue.entries[i];
            }
        }
        free(path);
        dx_bundles_scan(supervisor);
    }
    return NULL;
}

/* One that has an identifier: what is refused before it is read has none. */
static const struct dx_bundle_entry *
find_asked_entry(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    const struct dx_bundle_entry *const entry =
        find_entry(supervisor, dx_wire_get_string(request->body, "bundle"));
    if (!entry)
        dx_answer(supervisor, request->ticket, kIOReturnNotFound,
                  "there is no such bundle: `dextral drivers` lists them", NULL, NULL, 0);
    else if (!entry->info.identifier)
        dx_answer(supervisor, request->ticket, kIOReturnNotPermitted, entry->why, NULL, NULL, 0);
    return entry && entry->info.identifier ? entry : NULL;
}

/* ---- approve, revoke, grant ---- */

/* Its units, as far as they do not run, are free to start. */
static void
unblock_units(struct dx_supervisor *supervisor, const char *identifier)
{
    for (struct dx_unit *unit = supervisor->units; unit; unit = unit->next) {
        if (unit->declared_uid || strcmp(unit->identifier, identifier) != 0)
            continue;
        if (unit->state == DX_UNIT_UNAPPROVED || unit->state == DX_UNIT_FAILED) {
            unit->is_learning = true;
            (void)dx_unit_want(unit);
        }
    }
}

void
dx_request_approve(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    dx_bundles_scan(supervisor); // as it is now
    const struct dx_bundle_entry *const entry = find_asked_entry(supervisor, request);
    if (!entry)
        return;
    dx_error error = {""};
    const kern_return_t status =
        dx_approvals_approve(supervisor->approvals, entry, dx_wire_get_bool(request->body, "network"), &error);
    if (status == kIOReturnSuccess) {
        add_units(supervisor, entry);
        dx_usb_match(supervisor);
        unblock_units(supervisor, entry->info.identifier);
        dx_bundles_learn(supervisor);
    }
    dx_answer(supervisor, request->ticket, status, error.message, NULL, NULL, 0);
}

void
dx_request_revoke(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    const char *const bundle = dx_wire_get_string(request->body, "bundle");
    /* Of one that cannot be read now, or is not there, the identifier is what was asked for. */
    const bool is_known = bundle && dx_approvals_have(supervisor->approvals, bundle);
    const struct dx_bundle_entry *const entry =
        is_known ? dx_catalogue_find(&supervisor->catalogue, bundle) : find_asked_entry(supervisor, request);
    if (!entry && !is_known)
        return;
    const char *const identifier = entry ? entry->info.identifier : bundle;
    dx_error error = {""};
    const kern_return_t status = dx_approvals_revoke(supervisor->approvals, identifier, &error);
    if (status == kIOReturnSuccess) {
        dx_error why;
        (void)dx_error_set(&why, kIOReturnNotPermitted, "its approval was taken back");
        if (entry)
            (void)dx_approvals_allow(supervisor->approvals, entry, &why);
        for (struct dx_unit *unit = supervisor->units; unit; unit = unit->next)
            if (!unit->declared_uid && strcmp(unit->identifier, identifier) == 0)
                dx_unit_fail(unit, DX_UNIT_UNAPPROVED, why.message);
        dx_usb_match(supervisor); // another one may be for what it had
    }
    dx_answer(supervisor, request->ticket, status, error.message, NULL, NULL, 0);
}

void
dx_request_grant(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    const struct dx_bundle_entry *const entry = find_asked_entry(supervisor, request);
    if (!entry)
        return;
    const char *const program = dx_wire_get_string(request->body, "program");
    dx_error error = {""};
    kern_return_t status;
    if (!program)
        status = dx_error_set(&error, kIOReturnBadArgument, "the program's path is missing");
    else if (dx_wire_get_bool(request->body, "revoke"))
        status = dx_approvals_ungrant(supervisor->approvals, entry, program, &error);
    else
        status = dx_approvals_grant(supervisor->approvals, entry, program, &error);
    dx_answer(supervisor, request->ticket, status, error.message, NULL, NULL, 0);
}

void
dx_request_restart(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    const char *const uid = dx_wire_get_string(request->body, DX_KEY_UID);
    const char *const bundle = dx_wire_get_string(request->body, "bundle");
    dx_bundles_scan(supervisor);
    const struct dx_listing *const listing = uid ? dx_listing_find(supervisor, uid) : NULL;
    if (uid ? !listing : !bundle) {
        dx_answer(supervisor, request->ticket, kIOReturnNotFound, "there is no such device or bundle", NULL, NULL,
                  0);
        return;
    }
    /* A declared device's driver is of our own installation. */
    const bool is_declared = uid && listing->unit->declared_uid;
    const struct dx_bundle_entry *const entry =
        is_declared ? NULL
        : uid       ? dx_catalogue_find(&supervisor->catalogue, listing->unit->identifier)
                    : find_asked_entry(supervisor, request);
    if (!uid && !entry)
        return;
    dx_error why = {""};
    kern_return_t status = kIOReturnSuccess;
    if (!is_declared && !entry)
        status = dx_error_set(&why, kIOReturnNotFound, "the bundle of %s is not there any more", uid);
    else if (!is_declared && !dx_approvals_allow(supervisor->approvals, entry, &why))
        status = kIOReturnNotPermitted;
    if (status != kIOReturnSuccess) { // what runs goes on
        dx_answer(supervisor, request->ticket, status, why.message, NULL, NULL, 0);
        return;
    }
    for (struct dx_unit *unit = supervisor->units; unit; unit = unit->next)
        if (uid ? unit == listing->unit
                : !unit->declared_uid && strcmp(unit->identifier, entry->info.identifier) == 0)
            dx_unit_restart(unit);
    dx_answer(supervisor, request->ticket, kIOReturnSuccess, NULL, NULL, NULL, 0);
}

/* ---- drivers ---- */

static bool
add_strings(OSDictionary *to, const char *key, char *const *strings, size_t count)
{
    OSArray *const array = OSArrayCreate(count);
    bool done = array != NULL;
    for (size_t i = 0; done && i < count; i++) {
        OSString *const string = OSStringCreate(strings[i]);
        done = string && OSArraySetObject(array, string);
        OSObjectRelease(string);
    }
    return dx_wire_take(to, key, array) && done;
}

/* What its processes are doing; the worst that there is to say. */
static bool
add_state(const struct dx_supervisor *supervisor, const struct dx_bundle_entry *entry, OSDictionary *to)
{
    dx_error why = {""};
    const char *state = "idle";
    const char *running_version = NULL;
    OSArray *open_parts = NULL;
    uint64_t restarts = 0;
    if (entry->why[0])
        state = "refused";
    else if (!dx_approvals_allow(supervisor->approvals, entry, &why))
        state = "unapproved";
    const char *sentence = entry->why[0] ? entry->why : why.message;
    for (const struct dx_unit *unit = supervisor->units; unit && !entry->why[0] && entry->info.identifier;
         unit = unit->next) {
        if (unit->declared_uid || strcmp(unit->identifier, entry->info.identifier) != 0)
            continue;
        restarts += unit->restarts;
        if (unit->pid > 0)
            running_version = unit->version;
        if (unit->open_parts)
            open_parts = unit->open_parts;
        if (unit->unlisted.message[0] && !sentence[0])
            sentence = unit->unlisted.message;
        if (strcmp(state, "unapproved") != 0 && unit->state != DX_UNIT_IDLE) {
            state = dx_unit_state_name(unit);
            sentence = unit->why.message[0] ? unit->why.message : sentence;
        }
    }
    return OSDictionarySetStringValue(to, DX_KEY_STATE, state) &&
           OSDictionarySetUInt64Value(to, DX_KEY_RESTARTS, restarts) &&
           (!sentence[0] || OSDictionarySetStringValue(to, DX_KEY_WHY, sentence)) &&
           (!open_parts || OSDictionarySetObject(to, "open", open_parts)) &&
           (!running_version || OSDictionarySetStringValue(to, "running-version", running_version));
}

static OSDictionary *
describe_driver(const struct dx_supervisor *supervisor, const struct dx_bundle_entry *entry)
{
    OSDictionary *to = OSDictionaryCreate(10);
    bool done = to && add_state(supervisor, entry, to) &&
                add_strings(to, "entitlements", entry->entitlements.texts, entry->entitlements.count);
    if (entry->folder)
        done = done && OSDictionarySetStringValue(to, "path", entry->folder);
    if (entry->info.identifier)
        done = done && OSDictionarySetStringValue(to, DX_KEY_BUNDLE, entry->info.identifier) &&
               OSDictionarySetStringValue(to, DX_KEY_VERSION, entry->info.version) &&
               dx_wire_take(to, DX_KEY_HARDWARE, dx_usb_describe_bundle(supervisor, entry)) &&
               dx_wire_set_bool(to, "network", dx_approvals_allow_network(supervisor->approvals, entry)) &&
               dx_wire_take(to, "programs",
                            dx_approvals_copy_programs(supervisor->approvals, entry->info.identifier));
    if (!done)
        OSSafeReleaseNULL(to);
    return to;
}

void
dx_request_drivers(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    const uint64_t from = dx_wire_get_number(request->body, "from", 0);
    if (from == 0) // the parts of a list are of one state
        dx_bundles_scan(supervisor);
    OSDictionary *body = OSDictionaryCreate(4);
    struct dx_list_part part = {.items = OSArrayCreate(supervisor->catalogue.count)};
    bool done = body && part.items;
    uint64_t index = from;
    while (done && index < supervisor->catalogue.count) {
        done = dx_list_part_add(&part, describe_driver(supervisor, supervisor->catalogue.entries[index]));
        if (part.is_full)
            break;
        index++;
    }
    done = body && dx_wire_take(body, "drivers", part.items) && done &&
           OSDictionarySetUInt64Value(body, "next", part.is_full ? index : 0);
    if (!done)
        OSSafeReleaseNULL(body);
    dx_answer(supervisor, request->ticket, done ? kIOReturnSuccess : kIOReturnNoMemory, NULL, body, NULL, 0);
}
