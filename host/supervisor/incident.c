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
#define MAX_CLIENTS 1024u // that have ended
#define MAX_FILE_BYTES ((size_t)1 << 20)
#define MAX_TOLD_BYTES (96u * 1024u) // of an answer

#define CAUSE_DEATH "signal of death"
#define CAUSE_GIVEN_UP "given up"

/* Keys of the file. */
#define KEY_INCIDENTS "incidents"
#define KEY_CLIENTS "clients"

struct client {
    uint64_t session; // 0: none
    uint64_t pid;
    char *name;
};

struct dx_incident_log {
    OSArray *own; // dictionaries as `incidents` tells them, oldest first
    bool is_unkept;
    struct client clients[MAX_CLIENTS]; // that have ended; the oldest is overwritten
    size_t next_client;
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

/* ---- clients that have ended ---- */

/* @param name  taken; NULL: nothing is added. */
static void
add_client(struct dx_incident_log *log, uint64_t session, uint64_t pid, char *name)
{
    if (!name)
        return;
    struct client *const slot = &log->clients[log->next_client];
    free(slot->name);
    *slot = (struct client){session, pid, name};
    log->next_client = (log->next_client + 1) % MAX_CLIENTS;
}

void
dx_incidents_remember(struct dx_supervisor *supervisor, const struct dx_session *session)
{
    if (!session->name || session->output == DX_NO_STREAM) // of that one no incident tells
        return;
    add_client(supervisor->incidents, session->number, (uint64_t)session->pid, strdup(session->name));
    supervisor->incidents->is_unkept = true;
    if (!supervisor->is_leaving)
        dx_keep_soon(supervisor);
}

/* The client of a session, whether it has ended or not. */
static bool
find_client(const struct dx_supervisor *supervisor, uint64_t number, struct client *ret_client)
{
    const struct dx_session *const session = dx_session_find(supervisor, number);
    if (session && session->name) {
        *ret_client = (struct client){number, (uint64_t)session->pid, session->name};
        return true;
    }
    for (size_t i = 0; i < MAX_CLIENTS; i++) {
        *ret_client = supervisor->incidents->clients[i];
        if (ret_client->session == number)
            return true;
    }
    return false;
}

/* ---- the file ---- */

static void
read_clients(struct dx_incident_log *log, const OSArray *clients)
{
    for (size_t i = 0; clients && i < OSArrayGetCount(clients) && i < MAX_CLIENTS; i++) {
        const OSDictionary *const client = OSDynamicCast(OSDictionary, OSArrayGetObject(clients, i));
        const char *const name = client ? dx_wire_get_string(client, DX_KEY_NAME) : NULL;
        if (name)
            add_client(log, dx_wire_get_number(client, DX_KEY_SESSION, 0), dx_wire_get_number(client, DX_KEY_PID, 0),
                       dx_copy_clean_text(name));
    }
}

/* The oldest first; +1. */
static OSArray *
describe_clients(const struct dx_incident_log *log)
{
    OSArray *clients = OSArrayCreate(16);
    for (size_t i = 0; clients && i < MAX_CLIENTS; i++) {
        const struct client *const client = &log->clients[(log->next_client + i) % MAX_CLIENTS];
        if (!client->name)
            continue;
        OSDictionary *const item = OSDictionaryCreate(3);
        const bool done = item && OSDictionarySetUInt64Value(item, DX_KEY_SESSION, client->session) &&
                          OSDictionarySetUInt64Value(item, DX_KEY_PID, client->pid) &&
                          OSDictionarySetStringValue(item, DX_KEY_NAME, client->name) &&
                          OSArraySetObject(clients, item);
        OSObjectRelease(item);
        if (!done)
            OSSafeReleaseNULL(clients);
    }
    return clients;
}

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
        const OSDictionary *const root = OSDynamicCast(OSDictionary, value);
        log->own = root ? OSObjectRetain(dx_wire_get_array(root, KEY_INCIDENTS)) : NULL;
        read_clients(log, root ? dx_wire_get_array(root, KEY_CLIENTS) : NULL);
        OSObjectRelease(value);
    }
    free(bytes);
    free(path);
    if (!log->own)
        log->own = OSArrayCreate(0);
    return log->own ? kIOReturnSuccess : kIOReturnNoMemory;
}

void
dx_incidents_keep(struct dx_supervisor *supervisor)
{
    if (!supervisor->incidents->is_unkept)
        return;
    supervisor->incidents->is_unkept = false;
    dx_error error;
    OSDictionary *const root = OSDictionaryCreate(2);
    const bool done = root && OSDictionarySetObject(root, KEY_INCIDENTS, supervisor->incidents->own) &&
                      dx_wire_take(root, KEY_CLIENTS, describe_clients(supervisor->incidents));
    OSData *const data = done ? OSSerializationCreateFromObject(root) : NULL;
    char *const path = dx_join_path(supervisor->runtime_folder, FILE_NAME);
    if (data && path &&
        dx_file_replace_unflushed(path, OSDataGetBytesNoCopy(data), OSDataGetLength(data), &error) !=
            kIOReturnSuccess)
        dx_log("%s", error.message);
    OSObjectRelease(data);
    OSObjectRelease(root);
    free(path);
}

void
dx_incidents_close(struct dx_supervisor *supervisor)
{
    struct dx_incident_log *const log = supervisor->incidents;
    if (!log)
        return;
    if (log->own)
        dx_incidents_keep(supervisor); // the clients that were there to the end
    OSObjectRelease(log->own);
    for (size_t i = 0; i < MAX_CLIENTS; i++)
        free(log->clients[i].name);
    free(log);
    supervisor->incidents = NULL;
}

/* ---- our own ---- */

static bool
is_of_bundle(const OSArray *own, size_t index, const char *bundle)
{
    const OSDictionary *const incident = OSDynamicCast(OSDictionary, OSArrayGetObject(own, index));
    const char *const of = incident ? dx_wire_get_string(incident, "bundle") : NULL;
    return of && bundle && strcmp(of, bundle) == 0;
}

/* A bundle that has half of them makes room for more of its own: whatever it tells of, others' stay. */
static void
remove_oldest(OSArray *own, const char *bundle)
{
    const size_t count = OSArrayGetCount(own);
    size_t oldest = count;
    size_t its_count = 0;
    for (size_t i = count; i-- > 0;) {
        if (!is_of_bundle(own, i, bundle))
            continue;
        oldest = i;
        its_count++;
    }
    OSArrayRemoveObject(own, its_count > MAX_OWN / 2 ? oldest : 0);
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
        remove_oldest(own, unit->identifier);
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
    struct client client;
    OSDictionary *to = OSDictionaryCreate(8);
    bool done = to && OSDictionarySetStringValue(to, DX_KEY_UID, found->listing->uid) &&
                OSDictionarySetUInt64Value(to, "host-ns", incident->host_time_ns) &&
                OSDictionarySetUInt64Value(to, "device-time", incident->device_time) &&
                OSDictionarySetStringValue(to, "cause", dx_cause_name(cause)) &&
                OSDictionarySetUInt64Value(to, "frames", incident->frames) &&
                OSDictionarySetUInt64Value(to, "count", incident->count) && add_intervals(to, incident);
    /* Who knows a session's number is it, so that is not told. */
    if (done && incident->client && find_client(supervisor, incident->client, &client))
        done = OSDictionarySetStringValue(to, "client-name", client.name) &&
               OSDictionarySetUInt64Value(to, "client-pid", client.pid);
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
