// SPDX-License-Identifier: MIT
// Devices in the directory: what is known of them, and who is told.

#include "host/supervisor/listing.h"

#include "host/describe.h"
#include "host/protocol.h"
#include "host/supervisor/default.h"
#include "host/supervisor/keep.h"
#include "host/supervisor/session.h"
#include "host/supervisor/unit.h"
#include "host/supervisor/usb.h"
#include "host/supervisor/volume.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TELL_DELAY_NS (20 * DX_NS_PER_MS)
#define MAX_DESCRIBED_SESSIONS 64u // in one description: the rest is counted
#define MAX_BRIEF_BYTES (100u * 1024u) // so that it fits into a message, with sessions and what else is added

struct dx_listing *
dx_listing_find(const struct dx_supervisor *supervisor, const char *uid)
{
    for (struct dx_listing *listing = supervisor->listings; listing; listing = listing->next)
        if (strcmp(listing->uid, uid) == 0)
            return listing;
    return NULL;
}

struct dx_listing *
dx_listing_find_number(const struct dx_supervisor *supervisor, uint64_t number)
{
    for (struct dx_listing *listing = supervisor->listings; listing; listing = listing->next)
        if (listing->number == number)
            return listing;
    return NULL;
}

/* ---- brief descriptions ---- */

/* A copy of a dictionary without a key. */
static OSDictionary *
copy_without(const OSDictionary *from, const char *key)
{
    OSDictionary *const copy = from ? OSDictionaryCreateWithDictionary(from) : NULL;
    if (copy)
        OSDictionaryRemoveObject(copy, key);
    return copy;
}

static bool
shorten_streams(OSDictionary *brief, const char *key)
{
    OSArray *const streams = dx_wire_get_array(brief, key);
    if (!streams)
        return true;
    OSArray *const shortened = OSArrayCreate(OSArrayGetCount(streams));
    bool done = shortened != NULL;
    for (size_t i = 0; done && i < OSArrayGetCount(streams); i++) {
        OSDictionary *const stream =
            copy_without(OSDynamicCast(OSDictionary, OSArrayGetObject(streams, i)), "formats");
        done = stream && OSArraySetObject(shortened, stream);
        OSObjectRelease(stream);
    }
    return dx_wire_take(brief, key, shortened) && done;
}

static bool
is_brief(const OSDictionary *description)
{
    OSData *const data = dx_wire_serialize(description);
    const bool fits = data && OSDataGetLength(data) <= MAX_BRIEF_BYTES;
    OSObjectRelease(data);
    return fits;
}

/* NULL without memory, and of what is too long to be told. */
static OSDictionary *
create_brief(const OSDictionary *description)
{
    OSDictionary *brief = copy_without(description, DX_KEY_SESSIONS);
    if (brief && !(shorten_streams(brief, DX_KEY_INPUTS) && shorten_streams(brief, DX_KEY_OUTPUTS) &&
                   is_brief(brief)))
        OSSafeReleaseNULL(brief);
    return brief;
}

/* ---- coming and going ---- */

struct dx_listing *
dx_listing_create(struct dx_supervisor *supervisor, struct dx_unit *unit, const char *uid,
                  const OSDictionary *description)
{
    struct dx_listing *const listing =
        supervisor->listing_count < DX_MAX_LISTINGS ? calloc(1, sizeof *listing) : NULL;
    if (!listing)
        return NULL;
    static uint64_t last_number;
    listing->supervisor = supervisor;
    listing->number = ++last_number;
    listing->unit = unit;
    listing->page_fd = -1;
    listing->recorder_fd = -1;
    listing->uid = strdup(uid);
    listing->brief = description ? create_brief(description) : OSDictionaryCreate(0);
    if (!listing->uid || !listing->brief) {
        OSObjectRelease(listing->brief);
        free(listing->uid);
        free(listing);
        return NULL;
    }
    dx_volumes_read(listing);
    dx_listing_find_recorder(listing);
    struct dx_listing **end = &supervisor->listings;
    while (*end)
        end = &(*end)->next;
    *end = listing;
    supervisor->listing_count++;
    dx_listing_changed(listing);
    dx_listing_tell_followers(listing);
    return listing;
}

static void
tell_gone(const struct dx_listing *listing)
{
    OSDictionary *const event = dx_event_create(DX_EVENT_GONE);
    if (event && OSDictionarySetStringValue(event, DX_KEY_UID, listing->uid))
        dx_tell_all(listing->supervisor, event);
    OSObjectRelease(event);
}

void
dx_listing_destroy(struct dx_listing *listing)
{
    struct dx_supervisor *const supervisor = listing->supervisor;
    for (struct dx_listing **at = &supervisor->listings; *at; at = &(*at)->next) {
        if (*at == listing) {
            *at = listing->next;
            break;
        }
    }
    supervisor->listing_count--;
    for (struct dx_session *session = supervisor->sessions, *next; session; session = next) {
        next = session->next;
        if (session->listing == listing)
            dx_session_destroy(session);
    }
    tell_gone(listing);
    dx_listing_close_alone(listing);
    dx_volumes_free(listing);
    if (listing->page_fd >= 0)
        close(listing->page_fd);
    if (listing->recorder_fd >= 0)
        close(listing->recorder_fd);
    OSObjectRelease(listing->brief);
    OSObjectRelease(listing->unkept);
    free(listing->uid);
    free(listing);
    dx_defaults_changed(supervisor);
    if (!supervisor->is_leaving) // then all of them go, and come back
        dx_leftovers_add(supervisor);
}

void
dx_listing_check_gone(struct dx_listing *listing)
{
    if (!listing->is_gone || listing->session_count > 0)
        return;
    struct dx_unit *const unit = listing->unit;
    dx_listing_destroy(listing);
    dx_keep_learned(unit);
}

void
dx_listing_set_description(struct dx_listing *listing, const OSDictionary *description)
{
    OSDictionary *const brief = create_brief(description);
    OSDictionary *const whole = OSDictionaryCreateWithDictionary(description);
    const bool is_kept =
        whole && (!listing->unit->options || OSDictionarySetObject(whole, DX_KEY_OPTIONS, listing->unit->options));
    if (!brief || !is_kept) {
        dx_log("%s: its description is too long, or there is no memory for it", listing->uid);
        OSObjectRelease(brief);
        OSObjectRelease(whole);
        return;
    }
    OSObjectRelease(listing->brief);
    OSObjectRelease(listing->unkept);
    listing->brief = brief;
    listing->unkept = whole;
    dx_keep_soon(listing->supervisor);
    dx_listing_changed(listing);
}

void
dx_listing_see_description(struct dx_listing *listing, const OSDictionary *description)
{
    OSDictionary *const brief = create_brief(description);
    const bool is_new = brief && !OSObjectIsEqualTo(brief, listing->brief);
    OSObjectRelease(brief);
    if (is_new)
        dx_listing_set_description(listing, description);
}

void
dx_listing_gain_driver(struct dx_listing *listing, int page_fd)
{
    if (listing->page_fd >= 0)
        close(listing->page_fd);
    listing->page_fd = page_fd;
    listing->incarnation = listing->unit->incarnation; // as it was told, whatever it says
    listing->has_driver = true;
    listing->is_gone = false;
    dx_listing_changed(listing);
    dx_listing_tell_followers(listing);
}

void
dx_listing_lose_driver(struct dx_listing *listing)
{
    listing->has_driver = false;
    dx_listing_keep_line(listing);
    dx_listing_cut_recording(listing);
    if (listing->page_fd >= 0)
        close(listing->page_fd);
    listing->page_fd = -1;
    for (struct dx_session *session = listing->supervisor->sessions; session; session = session->next)
        if (session->listing == listing)
            dx_session_lose_driver(session);
    dx_listing_refresh(listing); // an option may have changed that was to be from the next start on
}

/* ---- descriptions ---- */

static OSDictionary *
describe_session(const struct dx_session *session)
{
    OSDictionary *to = OSDictionaryCreate(8);
    bool done = to && OSDictionarySetStringValue(to, DX_KEY_NAME, session->name ? session->name : "") &&
                OSDictionarySetUInt64Value(to, DX_KEY_PID, (uint64_t)session->pid) &&
                OSDictionarySetUInt64Value(to, "io-frames", session->io_frames) &&
                dx_wire_set_bool(to, "running", session->is_running) &&
                dx_wire_set_double(to, "gain-f64", session->gain) &&
                dx_wire_set_bool(to, "mute", session->is_muted);
    if (session->output != DX_NO_STREAM)
        done = done && OSDictionarySetUInt64Value(to, "output", session->output);
    if (session->input != DX_NO_STREAM)
        done = done && OSDictionarySetUInt64Value(to, "input", session->input);
    if (!done)
        OSSafeReleaseNULL(to);
    return to;
}

/* What its driver counts for a session, or NULL. */
static const OSDictionary *
find_counters(const OSArray *counters, uint64_t number)
{
    for (size_t i = 0; counters && i < OSArrayGetCount(counters); i++) {
        const OSDictionary *const item = OSDynamicCast(OSDictionary, OSArrayGetObject(counters, i));
        if (item && dx_wire_get_number(item, DX_KEY_SESSION, 0) == number)
            return item;
    }
    return NULL;
}

static bool
copy_numbers(OSDictionary *to, const OSDictionary *from, const char *const *keys)
{
    for (; *keys; keys++)
        if (!OSDictionarySetUInt64Value(to, *keys, dx_wire_get_number(from, *keys, 0)))
            return false;
    return true;
}

/* Who knows a session's number is it, so that is not told. */
static bool
add_counters(OSDictionary *to, const OSDictionary *counters)
{
    static const char *const keys[] = {"underrun-frames", "limited-samples", NULL};
    static const char *const times[] = {"count", "p50-ns", "p01-ns", "min-ns", NULL};
    const OSDictionary *const ahead = counters ? dx_wire_get_dictionary(counters, "ahead") : NULL;
    if (!counters)
        return true;
    if (!copy_numbers(to, counters, keys))
        return false;
    if (!ahead || dx_wire_get_number(ahead, "count", 0) == 0) // it does not play, or its driver is an older one
        return true;
    OSDictionary *const copy = OSDictionaryCreate(4);
    const bool done = copy && copy_numbers(copy, ahead, times);
    return dx_wire_take(to, "ahead", copy) && done;
}

bool
dx_listing_add_sessions(const struct dx_listing *listing, OSDictionary *description, const OSArray *counters)
{
    OSArray *const sessions = OSArrayCreate(4);
    uint32_t count = 0;
    bool done = sessions != NULL;
    for (const struct dx_session *session = listing->supervisor->sessions; done && session;
         session = session->next) {
        if (session->listing != listing || ++count > MAX_DESCRIBED_SESSIONS)
            continue;
        OSDictionary *const item = describe_session(session);
        done = item && add_counters(item, find_counters(counters, session->number)) &&
               OSArraySetObject(sessions, item);
        OSObjectRelease(item);
    }
    done = dx_wire_take(description, DX_KEY_SESSIONS, sessions) && done;
    if (count > MAX_DESCRIBED_SESSIONS)
        done = done && OSDictionarySetUInt64Value(description, "more-sessions", count - MAX_DESCRIBED_SESSIONS);
    return done;
}

static bool
add_declaration(const struct dx_listing *listing, OSDictionary *description)
{
    const struct dx_declared *const declared =
        listing->unit->declared_uid
            ? dx_declarations_find(listing->supervisor->declarations, listing->unit->declared_uid)
            : NULL;
    return !declared || (OSDictionarySetStringValue(description, DX_KEY_KIND, declared->kind->name) &&
                         dx_wire_take(description, DX_KEY_OPTIONS, dx_declared_copy_options(declared)));
}

static bool
add_hardware(const struct dx_unit *unit, OSDictionary *description)
{
    char text[DX_USB_SUMMARY_BYTES];
    dx_usb_unit_describe(unit, text);
    return OSDictionarySetStringValue(description, DX_KEY_HARDWARE, text);
}

/* What the driver says of what only we know: some of it is said below under conditions. */
static void
remove_own_keys(OSDictionary *description)
{
    static const char *const keys[] = {DX_KEY_BUNDLE, DX_KEY_VERSION,  DX_KEY_KIND,        DX_KEY_OPTIONS,
                                       DX_KEY_WHY,    DX_KEY_HARDWARE, DX_KEY_PID,         DX_KEY_INCARNATION,
                                       "more-sessions"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        OSDictionaryRemoveObject(description, keys[i]);
}

bool
dx_listing_complete(const struct dx_listing *listing, OSDictionary *description, bool with_sessions)
{
    const struct dx_unit *const unit = listing->unit;
    remove_own_keys(description);
    bool done = OSDictionarySetStringValue(description, DX_KEY_UID, listing->uid) &&
                OSDictionarySetStringValue(description, DX_KEY_STATE, dx_unit_state_name(unit)) &&
                OSDictionarySetUInt64Value(description, DX_KEY_RESTARTS, unit->restarts) &&
                OSDictionarySetUInt64Value(description, "session-count", listing->session_count) &&
                OSDictionarySetStringValue(description, "protocol", unit->protocol) &&
                add_declaration(listing, description);
    if (unit->identifier)
        done = done && OSDictionarySetStringValue(description, DX_KEY_BUNDLE, unit->identifier);
    if (unit->version && unit->version[0])
        done = done && OSDictionarySetStringValue(description, DX_KEY_VERSION, unit->version);
    if (unit->usb)
        done = done && add_hardware(unit, description);
    if (unit->why.message[0])
        done = done && OSDictionarySetStringValue(description, DX_KEY_WHY, unit->why.message);
    if (unit->pid > 0)
        done = done && OSDictionarySetUInt64Value(description, DX_KEY_PID, (uint64_t)unit->pid) &&
               OSDictionarySetUInt64Value(description, DX_KEY_INCARNATION, unit->incarnation);
    return done && (!with_sessions || dx_listing_add_sessions(listing, description, NULL));
}

OSDictionary *
dx_listing_describe(const struct dx_listing *listing, bool with_sessions)
{
    OSDictionary *description = OSDictionaryCreateWithDictionary(listing->brief);
    if (description && !dx_listing_complete(listing, description, with_sessions))
        OSSafeReleaseNULL(description);
    return description;
}

OSDictionary *
dx_listing_copy_whole(const struct dx_listing *listing)
{
    OSDictionary *const kept = dx_keep_read_description(listing);
    if (kept)
        return kept;
    const struct dx_declared *const declared =
        listing->unit->declared_uid
            ? dx_declarations_find(listing->supervisor->declarations, listing->unit->declared_uid)
            : NULL;
    return declared ? dx_declared_describe(declared) : OSDictionaryCreateWithDictionary(listing->brief);
}

void
dx_listing_refresh(struct dx_listing *listing)
{
    OSDictionary *const whole = listing->has_driver ? NULL : dx_listing_copy_whole(listing);
    OSDictionary *const brief = whole ? create_brief(whole) : NULL;
    if (brief) {
        OSObjectRelease(listing->brief);
        listing->brief = brief;
    }
    OSObjectRelease(whole);
    dx_listing_changed(listing);
}

/* ---- telling ---- */

void
dx_listing_tell(struct dx_listing *listing)
{
    if (!listing->is_changed)
        return;
    listing->is_changed = false;
    OSDictionary *const event = dx_event_create(DX_EVENT_DESCRIPTION);
    if (event && OSDictionarySetStringValue(event, DX_KEY_UID, listing->uid) &&
        dx_wire_take(event, DX_KEY_DESCRIPTION, dx_listing_describe(listing, true)))
        dx_tell_all(listing->supervisor, event);
    OSObjectRelease(event);
}

static void
tell_changes(void *context)
{
    struct dx_supervisor *const supervisor = context;
    supervisor->is_telling = false;
    for (struct dx_listing *listing = supervisor->listings; listing; listing = listing->next)
        dx_listing_tell(listing);
    dx_defaults_changed(supervisor);
}

void
dx_listing_changed(struct dx_listing *listing)
{
    struct dx_supervisor *const supervisor = listing->supervisor;
    listing->is_changed = true;
    if (!supervisor->tell_timer)
        supervisor->tell_timer = dx_loop_timer_create(supervisor->loop, tell_changes, supervisor);
    if (supervisor->tell_timer && !supervisor->is_telling)
        dx_loop_timer_set(supervisor->tell_timer, TELL_DELAY_NS);
    supervisor->is_telling = supervisor->tell_timer != NULL;
}
