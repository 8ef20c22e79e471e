// SPDX-License-Identifier: MIT
// What went wrong: the supervisor's own list, and those of the devices' recorders.

#include "host/supervisor/incident.h"

#include "audio/recorder.h"
#include "host/error.h"
#include "host/protocol.h"
#include "host/store.h"
#include "host/supervisor/keep.h"
#include "host/supervisor/listing.h"

#include <stdlib.h>
#include <string.h>

#define FILE_NAME "incidents"
#define MAX_OWN 256u    // kept: the oldest go
#define MAX_NAMES 1024u // of sessions that have ended
#define MAX_FILE_BYTES ((size_t)1 << 20)
#define MAX_TOLD_BYTES (96u * 1024u) // of an answer

#define CAUSE_DEATH "signal of death"
#define CAUSE_GIVEN_UP "given up"

struct session_name {
    uint64_t number;
    char *name;
};

struct dx_incident_log {
    OSArray *own; // dictionaries as `incidents` tells them, oldest first
    bool is_unkept;
    struct session_name names[MAX_NAMES];
    size_t next_name;
};

/* One that is to be told: a dictionary of our own, or one of a recorder. */
struct found {
    uint64_t host_time_ns;
    const struct dx_listing *listing;
    OSDictionary *own; // borrowed, or NULL
    struct dx_incident recorded;
};

struct found_list {
    struct found *items;
    size_t count;
    size_t capacity;
};

/* ---- our own ---- */

kern_return_t
dx_incidents_open(struct dx_supervisor *supervisor)
{
    struct dx_incident_log *const log = calloc(1, sizeof *log);
    if (!log)
        return kIOReturnNoMemory;
    supervisor->incidents = log;
    dx_error error;
    char *bytes = NULL;
    size_t length = 0;
    char *const path = dx_join_path(supervisor->runtime_folder, FILE_NAME);
    if (path && dx_file_read(path, MAX_FILE_BYTES, &bytes, &length, &error) == kIOReturnSuccess) {
        OSObjectPtr const value = OSSerializationCopyObject(bytes, length);
        log->own = OSDynamicCast(OSArray, value);
        if (!log->own)
            OSObjectRelease(value);
    }
    free(bytes);
    free(path);
    if (!log->own)
        log->own = OSArrayCreate(0);
    return log->own ? kIOReturnSuccess : kIOReturnNoMemory;
}

void
dx_incidents_close(struct dx_supervisor *supervisor)
{
    struct dx_incident_log *const log = supervisor->incidents;
    if (!log)
        return;
    OSObjectRelease(log->own);
    for (size_t i = 0; i < MAX_NAMES; i++)
        free(log->names[i].name);
    free(log);
    supervisor->incidents = NULL;
}

void
dx_incidents_keep(struct dx_supervisor *supervisor)
{
    if (!supervisor->incidents->is_unkept)
        return;
    supervisor->incidents->is_unkept = false;
    dx_error error;
    OSData *const data = OSSerializationCreateFromObject(supervisor->incidents->own);
    char *const path = dx_join_path(supervisor->runtime_folder, FILE_NAME);
    if (data && path &&
        dx_file_replace_unflushed(path, OSDataGetBytesNoCopy(data), OSDataGetLength(data), &error) !=
            kIOReturnSuccess)
        dx_log("%s", error.message);
    OSObjectRelease(data);
    free(path);
}

static void
add_own(const struct dx_unit *unit, const struct dx_listing *listing, const char *cause, const char *text)
{
    struct dx_supervisor *const supervisor = unit->supervisor;
    OSDictionary *const incident = OSDictionaryCreate(6);
    const bool done = incident && (!listing || OSDictionarySetStringValue(incident, DX_KEY_UID, listing->uid)) &&
                      (!unit->identifier || OSDictionarySetStringValue(incident, "bundle", unit->identifier)) &&
                      OSDictionarySetUInt64Value(incident, "host-ns", dx_now_ns()) &&
                      OSDictionarySetStringValue(incident, "cause", cause) &&
                      OSDictionarySetStringValue(incident, "text", text);
    OSArray *const own = supervisor->incidents->own;
    if (done && OSArraySetObject(own, incident) && OSArrayGetCount(own) > MAX_OWN)
        OSArrayRemoveObject(own, 0);
    OSObjectRelease(incident);
    supervisor->incidents->is_unkept = true;
    dx_keep_soon(supervisor);
}

/* One for each device that it concerns; a driver that has none so far is named by its bundle alone. */
static void
add_for_unit(const struct dx_unit *unit, const char *cause, const char *text)
{
    bool is_added = false;
    for (struct dx_listing *listing = unit->supervisor->listings; listing; listing = listing->next) {
        if (listing->unit != unit)
            continue;
        add_own(unit, listing, cause, text);
        is_added = true;
    }
    if (!is_added)
        add_own(unit, NULL, cause, text);
}

void
dx_incident_add_death(const struct dx_unit *unit, const char *how)
{
    dx_error text;
    (void)dx_error_set(&text, kIOReturnSuccess, "the driver's process %ld %s", (long)unit->pid, how);
    add_for_unit(unit, CAUSE_DEATH, text.message);
    dx_incidents_keep(unit->supervisor); // whoever dies next
}

void
dx_incident_add_failure(const struct dx_unit *unit)
{
    add_for_unit(unit, CAUSE_GIVEN_UP, unit->why.message);
}

void
dx_incident_add_told(const struct dx_unit *unit, const struct dx_listing *listing, const OSDictionary *told)
{
    const char *const cause = dx_wire_get_string(told, "cause");
    const char *const text = dx_wire_get_string(told, "text");
    char *const clean_cause = dx_copy_clean_text(cause ? cause : dx_cause_name(DX_CAUSE_UNKNOWN));
    char *const clean_text = dx_copy_clean_text(text ? text : "");
    if (clean_cause && clean_text) {
        dx_log("%s: %s: %s", listing ? listing->uid : unit->key, clean_cause, clean_text);
        add_own(unit, listing, clean_cause, clean_text);
    }
    free(clean_cause);
    free(clean_text);
}

/* ---- names of sessions ---- */

void
dx_incidents_remember(struct dx_supervisor *supervisor, const struct dx_session *session)
{
    struct dx_incident_log *const log = supervisor->incidents;
    struct session_name *const slot = &log->names[log->next_name];
    char *const name = session->name ? strdup(session->name) : NULL;
    if (!name)
        return;
    free(slot->name);
    *slot = (struct session_name){session->number, name};
    log->next_name = (log->next_name + 1) % MAX_NAMES;
}

static const char *
find_session_name(const struct dx_supervisor *supervisor, uint64_t number)
{
    const struct dx_session *const session = dx_session_find(supervisor, number);
    if (session)
        return session->name;
    for (size_t i = 0; i < MAX_NAMES; i++)
        if (supervisor->incidents->names[i].number == number)
            return supervisor->incidents->names[i].name;
    return NULL;
}

/* ---- telling ---- */

static bool
add_found(struct found_list *list, const struct found *found)
{
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 64;
        struct found *const items = reallocarray(list->items, capacity, sizeof *items);
        if (!items)
            return false;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = *found;
    return true;
}

static bool
find_recorded(struct found_list *list, const struct dx_listing *listing, uint64_t since_ns)
{
    size_t bytes = 0;
    void *const recording = dx_listing_read_recording(listing, &bytes);
    if (!recording)
        return true;
    struct dx_incident *const incidents = calloc(DX_RECORDER_INCIDENTS, sizeof *incidents);
    const uint32_t count =
        incidents ? dx_recording_incidents(recording, bytes, incidents, DX_RECORDER_INCIDENTS) : 0;
    bool done = incidents != NULL;
    for (uint32_t i = 0; done && i < count; i++) {
        const struct found found = {incidents[i].host_time_ns, listing, NULL, incidents[i]};
        if (found.host_time_ns >= since_ns)
            done = add_found(list, &found);
    }
    free(incidents);
    free(recording);
    return done;
}

static bool
find_own(struct found_list *list, const struct dx_supervisor *supervisor, const char *uid, uint64_t since_ns)
{
    const OSArray *const own = supervisor->incidents->own;
    for (size_t i = 0; i < OSArrayGetCount(own); i++) {
        OSDictionary *const incident = OSDynamicCast(OSDictionary, OSArrayGetObject(own, i));
        const char *const of = incident ? dx_wire_get_string(incident, DX_KEY_UID) : NULL;
        if (!incident || (uid && (!of || strcmp(of, uid) != 0)))
            continue;
        const struct found found = {.host_time_ns = dx_wire_get_number(incident, "host-ns", 0), .own = incident};
        if (found.host_time_ns >= since_ns && !add_found(list, &found))
            return false;
    }
    return true;
}

static int
compare_found(const void *a, const void *b)
{
    const struct found *const first = a;
    const struct found *const second = b;
    return (first->host_time_ns > second->host_time_ns) - (first->host_time_ns < second->host_time_ns);
}

static bool
add_intervals(OSDictionary *to, const struct dx_incident *incident)
{
    OSDictionary *const intervals = OSDictionaryCreate(4);
    bool done = intervals != NULL;
    for (int i = 0; done && i < DX_CAUSE_COUNT; i++)
        if (incident->intervals_ns[i])
            done = OSDictionarySetUInt64Value(intervals, dx_cause_name((dx_cause)i), incident->intervals_ns[i]);
    return dx_wire_take(to, "intervals", intervals) && done;
}

/* +1; NULL without memory. */
static OSDictionary *
describe_found(const struct dx_supervisor *supervisor, const struct found *found)
{
    if (found->own)
        return OSObjectRetain(found->own);
    const struct dx_incident *const incident = &found->recorded;
    const dx_cause cause = incident->cause < DX_CAUSE_COUNT ? (dx_cause)incident->cause : DX_CAUSE_UNKNOWN;
    const char *const name = incident->client ? find_session_name(supervisor, incident->client) : NULL;
    OSDictionary *to = OSDictionaryCreate(8);
    bool done = to && OSDictionarySetStringValue(to, DX_KEY_UID, found->listing->uid) &&
                OSDictionarySetUInt64Value(to, "host-ns", incident->host_time_ns) &&
                OSDictionarySetUInt64Value(to, "device-time", incident->device_time) &&
                OSDictionarySetStringValue(to, "cause", dx_cause_name(cause)) &&
                OSDictionarySetUInt64Value(to, "frames", incident->frames) &&
                OSDictionarySetUInt64Value(to, "count", incident->count) && add_intervals(to, incident);
    if (incident->client)
        done = done && OSDictionarySetUInt64Value(to, "client", incident->client);
    if (name)
        done = done && OSDictionarySetStringValue(to, "client-name", name);
    if (!done)
        OSSafeReleaseNULL(to);
    return to;
}

static size_t
serialized_bytes(OSDictionary *dictionary)
{
    OSData *const data = OSSerializationCreateFromObject(dictionary);
    const size_t bytes = data ? OSDataGetLength(data) : SIZE_MAX;
    OSObjectRelease(data);
    return bytes;
}

/* The newest that fit, oldest first. */
static OSDictionary *
describe_all(const struct dx_supervisor *supervisor, const struct found_list *list)
{
    OSDictionary *body = OSDictionaryCreate(4);
    OSArray *const incidents = OSArrayCreate(list->count < 512 ? list->count : 512);
    size_t left = MAX_TOLD_BYTES;
    size_t i = list->count;
    bool done = body && incidents;
    while (done && i > 0) {
        OSDictionary *const item = describe_found(supervisor, &list->items[i - 1]);
        const size_t bytes = item ? serialized_bytes(item) : 0;
        const bool fits = bytes <= left;
        done = item && (!fits || OSArrayInsertObject(incidents, 0, item));
        OSObjectRelease(item);
        if (!fits)
            break;
        left -= bytes;
        i--;
    }
    done = body && dx_wire_take(body, "incidents", incidents) && done &&
           OSDictionarySetUInt64Value(body, "left-out", i);
    if (!done)
        OSSafeReleaseNULL(body);
    return body;
}

void
dx_request_incidents(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    const char *const uid = dx_wire_get_string(request->body, DX_KEY_UID);
    const uint64_t since_ns = dx_wire_get_number(request->body, "since", 0);
    const struct dx_listing *const one = uid ? dx_listing_find(supervisor, uid) : NULL;
    if (uid && !one) {
        dx_answer(supervisor, request->ticket, kIOReturnNoDevice, "there is no such device", NULL, NULL, 0);
        return;
    }
    struct found_list list = {0};
    bool done = find_own(&list, supervisor, uid, since_ns);
    for (const struct dx_listing *listing = supervisor->listings; done && listing; listing = listing->next)
        if (!one || listing == one)
            done = find_recorded(&list, listing, since_ns);
    if (list.count > 1)
        qsort(list.items, list.count, sizeof *list.items, compare_found);
    OSDictionary *const body = done ? describe_all(supervisor, &list) : NULL;
    free(list.items);
    dx_answer(supervisor, request->ticket, body ? kIOReturnSuccess : kIOReturnNoMemory, NULL, body, NULL, 0);
}
