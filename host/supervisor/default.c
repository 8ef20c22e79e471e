// SPDX-License-Identifier: MIT
// The default devices: what the user chose, else what it was before, else the first that there is.

#include "host/supervisor/default.h"

#include "host/error.h"
#include "host/protocol.h"
#include "host/store.h"
#include "host/supervisor/listing.h"

#include <stdlib.h>
#include <string.h>

/* In the config folder: what was chosen; in the state folder: what it was without a choice. */
#define FILE_NAME "defaults"

enum { INPUT, OUTPUT, DIRECTIONS };

static const char *const keys[DIRECTIONS] = {[INPUT] = "input", [OUTPUT] = "output"};

static void
read_file(const char *folder, char **ret_uids)
{
    char *const path = dx_join_path(folder, FILE_NAME);
    struct dx_store *store = NULL;
    dx_error error = {""};
    const kern_return_t status = path ? dx_store_read(path, &store, &error) : kIOReturnNotFound;
    if (status != kIOReturnSuccess && status != kIOReturnNotFound)
        dx_log("%s", error.message);
    for (int i = 0; store && i < DIRECTIONS; i++) {
        const char *const uid = dx_store_get(store, keys[i]);
        ret_uids[i] = uid ? strdup(uid) : NULL;
    }
    dx_store_destroy(store);
    free(path);
}

void
dx_defaults_read(struct dx_supervisor *supervisor)
{
    read_file(supervisor->config_folder, supervisor->default_uid);
    read_file(supervisor->state_folder, supervisor->last_default);
}

static kern_return_t
write_file(const char *folder, char *const *uids, dx_error *error)
{
    char *const path = dx_join_path(folder, FILE_NAME);
    struct dx_store *const store = dx_store_create();
    kern_return_t status = path && store ? kIOReturnSuccess : dx_error_set(error, kIOReturnNoMemory, "no memory");
    for (int i = 0; status == kIOReturnSuccess && i < DIRECTIONS; i++)
        if (uids[i] && dx_store_set(store, keys[i], uids[i]) != kIOReturnSuccess)
            status = dx_error_set(error, kIOReturnBadArgument, "%s cannot be written", uids[i]);
    if (status == kIOReturnSuccess)
        status = dx_store_write(store, path, error);
    dx_store_destroy(store);
    free(path);
    return status;
}

static bool
can_be_default(const struct dx_listing *listing, int direction)
{
    const bool is_allowed =
        dx_wire_get_bool(listing->brief, direction == INPUT ? "default-input" : "default-output");
    const OSArray *const streams =
        dx_wire_get_array(listing->brief, direction == INPUT ? DX_KEY_INPUTS : DX_KEY_OUTPUTS);
    return is_allowed && streams && OSArrayGetCount(streams) > 0;
}

const char *
dx_default_find(const struct dx_supervisor *supervisor, bool is_input)
{
    const int direction = is_input ? INPUT : OUTPUT;
    const char *const chosen = supervisor->default_uid[direction];
    const char *const last = supervisor->last_default[direction];
    const char *found = NULL;
    for (const struct dx_listing *listing = supervisor->listings; listing; listing = listing->next) {
        if (chosen && strcmp(listing->uid, chosen) == 0)
            return listing->uid;
        if (!dx_wire_get_bool(listing->brief, "hidden") && can_be_default(listing, direction) &&
            (!found || (last && strcmp(listing->uid, last) == 0)))
            found = listing->uid;
    }
    return found;
}

bool
dx_defaults_describe(const struct dx_supervisor *supervisor, OSDictionary *to, const char *input_key,
                     const char *output_key)
{
    const char *const input = dx_default_find(supervisor, true);
    const char *const output = dx_default_find(supervisor, false);
    return (!input || OSDictionarySetStringValue(to, input_key, input)) &&
           (!output || OSDictionarySetStringValue(to, output_key, output));
}

static bool
is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

void
dx_defaults_keep(struct dx_supervisor *supervisor)
{
    dx_error error = {""};
    bool is_new = false;
    for (int i = 0; i < DIRECTIONS; i++) {
        const char *const uid = dx_default_find(supervisor, i == INPUT);
        if (!uid || is_same(uid, supervisor->default_uid[i]) || is_same(uid, supervisor->last_default[i]))
            continue;
        is_new = true;
        free(supervisor->last_default[i]);
        supervisor->last_default[i] = strdup(uid);
    }
    if (is_new && write_file(supervisor->state_folder, supervisor->last_default, &error) != kIOReturnSuccess)
        dx_log("%s", error.message);
}

void
dx_defaults_changed(struct dx_supervisor *supervisor)
{
    bool is_new = false;
    if (supervisor->is_leaving) // then all of them go, and come back
        return;
    dx_defaults_keep(supervisor);
    for (int i = 0; i < DIRECTIONS; i++) {
        const char *const uid = dx_default_find(supervisor, i == INPUT);
        if (is_same(uid, supervisor->told_default[i]))
            continue;
        is_new = true;
        free(supervisor->told_default[i]);
        supervisor->told_default[i] = uid ? strdup(uid) : NULL;
    }
    OSDictionary *const event = is_new ? dx_event_create(DX_EVENT_DEFAULT) : NULL;
    if (event && dx_defaults_describe(supervisor, event, "input", "output"))
        dx_tell_all(supervisor, event);
    OSObjectRelease(event);
}

void
dx_defaults_free(struct dx_supervisor *supervisor)
{
    for (int i = 0; i < DIRECTIONS; i++) {
        free(supervisor->default_uid[i]);
        free(supervisor->last_default[i]);
        free(supervisor->told_default[i]);
    }
}

static kern_return_t
set_default(struct dx_supervisor *supervisor, const char *uid, uint64_t direction, dx_error *error)
{
    const struct dx_listing *const listing = uid ? dx_listing_find(supervisor, uid) : NULL;
    if (uid && !listing)
        return dx_error_set(error, kIOReturnNotFound, "there is no device %s", uid);
    if (direction > 2)
        return dx_error_set(error, kIOReturnBadArgument, "the direction is 0, 1 or 2");
    char *uids[DIRECTIONS];
    memcpy(uids, supervisor->default_uid, sizeof uids);
    char *copies[DIRECTIONS] = {NULL, NULL};
    bool is_any = false;
    for (int i = 0; i < DIRECTIONS; i++) {
        if (direction != 0 && direction != (uint64_t)i + 1)
            continue;
        /* Of both directions the one that it has; of one that was named, exactly that. */
        if (listing && !can_be_default(listing, i)) {
            if (direction != 0)
                return dx_error_set(error, kIOReturnUnsupported, "%s cannot be the default %s", uid, keys[i]);
            continue;
        }
        is_any = true;
        uids[i] = copies[i] = uid ? strdup(uid) : NULL;
        if (uid && !uids[i]) {
            free(copies[INPUT]);
            return dx_error_set(error, kIOReturnNoMemory, "no memory");
        }
    }
    if (!is_any)
        return dx_error_set(error, kIOReturnUnsupported, "%s cannot be a default device", uid);
    const kern_return_t status = write_file(supervisor->config_folder, uids, error);
    for (int i = 0; i < DIRECTIONS; i++) {
        char *const replaced = supervisor->default_uid[i];
        if (status != kIOReturnSuccess) {
            free(copies[i]);
        } else if (uids[i] != replaced) {
            free(replaced);
            supervisor->default_uid[i] = uids[i];
        }
        if (status == kIOReturnSuccess && !uid && !uids[i]) { // the choice was taken back: the first one again
            free(supervisor->last_default[i]);
            supervisor->last_default[i] = NULL;
        }
    }
    return status;
}

void
dx_request_set_default(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    dx_error error = {""};
    const kern_return_t status = set_default(supervisor, dx_wire_get_string(request->body, DX_KEY_UID),
                                             dx_wire_get_number(request->body, "direction", 0), &error);
    dx_answer(supervisor, request->ticket, status, error.message, NULL, NULL, 0);
    dx_defaults_changed(supervisor);
}
