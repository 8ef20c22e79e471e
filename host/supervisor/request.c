// SPDX-License-Identifier: MIT
// What programs ask for: the directory, and what is passed on to drivers.

#include "host/supervisor/program.h"

#include "host/describe.h"
#include "host/error.h"
#include "host/protocol.h"
#include "host/supervisor/bundles.h"
#include "host/supervisor/default.h"
#include "host/supervisor/incident.h"
#include "host/supervisor/keep.h"
#include "host/supervisor/listing.h"
#include "host/supervisor/session.h"
#include "host/supervisor/unit.h"
#include "host/supervisor/user_client.h"
#include "host/supervisor/volume.h"

#include <string.h>
#include <unistd.h>

#define MAX_PART_BYTES (96u * 1024u) // of a list in an answer, but for what is longer alone

/* ---- the directory ---- */

bool
dx_list_part_add(struct dx_list_part *part, OSDictionary *item)
{
    OSData *const data = item ? OSSerializationCreateFromObject(item) : NULL;
    part->bytes += data ? OSDataGetLength(data) : 0;
    part->is_full = part->bytes > MAX_PART_BYTES && OSArrayGetCount(part->items) > 0;
    const bool done = data && (part->is_full || OSArraySetObject(part->items, item));
    OSObjectRelease(data);
    OSObjectRelease(item);
    return done;
}

/* +1; NULL without memory. */
static OSDictionary *
describe_part(struct dx_supervisor *supervisor, uint64_t from)
{
    OSDictionary *body = OSDictionaryCreate(6);
    struct dx_list_part part = {.items = OSArrayCreate(16)};
    bool done = body && part.items;
    uint64_t index = 0;
    for (const struct dx_listing *listing = supervisor->listings; done && listing; listing = listing->next) {
        if (index >= from)
            done = dx_list_part_add(&part, dx_listing_describe(listing, false));
        if (part.is_full)
            break;
        index++;
    }
    done = body && dx_wire_take(body, "devices", part.items) && done &&
           OSDictionarySetUInt64Value(body, "next", part.is_full ? index : 0) &&
           dx_defaults_describe(supervisor, body, "default-input", "default-output");
    if (!done)
        OSSafeReleaseNULL(body);
    return body;
}

static void
request_list(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    OSDictionary *const body = describe_part(supervisor, dx_wire_get_number(request->body, "from", 0));
    dx_answer(supervisor, request->ticket, body ? kIOReturnSuccess : kIOReturnNoMemory, NULL, body, NULL, 0);
}

static void
request_kinds(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    OSDictionary *body = OSDictionaryCreate(4);
    if (body && !dx_wire_take(body, "kinds", dx_kinds_describe()))
        OSSafeReleaseNULL(body);
    dx_answer(supervisor, request->ticket, body ? kIOReturnSuccess : kIOReturnNoMemory, NULL, body, NULL, 0);
}

static struct dx_listing *
find_asked(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    const char *const uid = dx_wire_get_string(request->body, DX_KEY_UID);
    struct dx_listing *const listing = uid ? dx_listing_find(supervisor, uid) : NULL;
    if (!listing)
        dx_answer(supervisor, request->ticket, kIOReturnNoDevice,
                  "there is no such device: `dextral list` shows those that there are", NULL, NULL, 0);
    return listing;
}

/* ---- describe ---- */

/* From then on what is known already will do. */
#define DESCRIPTION_NS (2 * DX_NS_PER_S)

static void
answer_description(struct dx_listing *listing, struct dx_ticket ticket, OSDictionary *description)
{
    OSDictionary *body = description ? OSDictionaryCreate(4) : NULL;
    const bool done = body && dx_listing_complete(listing, description, true) &&
                      OSDictionarySetObject(body, DX_KEY_DESCRIPTION, description);
    if (!done)
        OSSafeReleaseNULL(body);
    OSObjectRelease(description);
    dx_answer(listing->supervisor, ticket, done ? kIOReturnSuccess : kIOReturnNoMemory, NULL, body, NULL, 0);
}

static void
describe_done(struct dx_supervisor *supervisor, struct dx_unit *unit, const struct dx_call_context *context,
              kern_return_t status, const char *sentence, struct dx_message *answer)
{
    struct dx_listing *const listing = dx_listing_find_number(supervisor, context->listing);
    OSDictionary *const told = answer ? dx_wire_get_dictionary(answer->body, DX_KEY_DESCRIPTION) : NULL;
    (void)unit;
    if (!listing)
        dx_answer(supervisor, context->ticket, kIOReturnNoDevice, "the device has been removed", NULL, NULL, 0);
    else if (status == kIOReturnSuccess && told) {
        if (listing->has_driver) // whoever lists devices after a change sees it, though the driver is yet to tell
            dx_listing_see_description(listing, told);
        answer_description(listing, context->ticket, OSDictionaryCreateWithDictionary(told));
    } else if (context->session) // it had to be fresh
        dx_answer(supervisor, context->ticket, status ? status : kIOReturnIPCError, sentence, NULL, NULL, 0);
    else
        answer_description(listing, context->ticket, dx_listing_copy_whole(listing));
}

static void
request_describe(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    struct dx_listing *const listing = find_asked(supervisor, request);
    if (!listing)
        return;
    const bool is_fresh = dx_wire_get_bool(request->body, "fresh");
    if (!is_fresh && !(listing->has_driver && listing->unit->state == DX_UNIT_RUNNING)) {
        answer_description(listing, request->ticket, dx_listing_copy_whole(listing));
        return;
    }
    OSDictionary *call = dx_call_create(DX_OP_DESCRIBE);
    if (call && !OSDictionarySetStringValue(call, DX_KEY_UID, listing->uid))
        OSSafeReleaseNULL(call);
    const struct dx_call_context context = {.ticket = request->ticket,
                                            .session = is_fresh,
                                            .answer_ns = is_fresh ? 0 : DESCRIPTION_NS,
                                            .listing = listing->number};
    dx_unit_call(listing->unit, call, NULL, 0, describe_done, &context);
}

/* ---- passed on to the driver ---- */

static void
pass_done(struct dx_supervisor *supervisor, struct dx_unit *unit, const struct dx_call_context *context,
          kern_return_t status, const char *sentence, struct dx_message *answer)
{
    (void)unit;
    OSDictionary *const body = answer ? OSDictionaryCreateWithDictionary(answer->body) : NULL;
    dx_answer(supervisor, context->ticket, status, sentence, body, NULL, 0);
}

static void
pass_on(const struct dx_request *request, struct dx_listing *listing)
{
    const struct dx_call_context context = {.ticket = request->ticket, .listing = listing->number};
    dx_unit_call(listing->unit, OSDictionaryCreateWithDictionary(request->body), request->message->fds,
                 request->message->fd_count, pass_done, &context);
}

static void
request_get_property(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    struct dx_listing *const listing = find_asked(supervisor, request);
    if (listing)
        pass_on(request, listing);
}

/* The driver knows numbers of sessions only: here they get names. */
static void
statistics_done(struct dx_supervisor *supervisor, struct dx_unit *unit, const struct dx_call_context *context,
                kern_return_t status, const char *sentence, struct dx_message *answer)
{
    struct dx_listing *const listing = dx_listing_find_number(supervisor, context->listing);
    OSDictionary *body = answer ? OSDictionaryCreateWithDictionary(answer->body) : NULL;
    (void)unit;
    if (body && listing &&
        !dx_listing_add_sessions(listing, body, dx_wire_get_array(answer->body, DX_KEY_SESSIONS)))
        OSSafeReleaseNULL(body);
    if (!listing)
        OSSafeReleaseNULL(body);
    if (status == kIOReturnSuccess && !body)
        status = listing ? kIOReturnNoMemory : kIOReturnNoDevice;
    dx_answer(supervisor, context->ticket, status, sentence, body, NULL, 0);
}

/* Who only watches starts no driver. */
static void
request_statistics(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    struct dx_listing *const listing = find_asked(supervisor, request);
    if (listing && (!listing->has_driver || listing->unit->state != DX_UNIT_RUNNING))
        dx_answer(supervisor, request->ticket, kIOReturnNotReady, "the device has no driver now", NULL, NULL, 0);
    else if (listing) {
        const struct dx_call_context context = {.ticket = request->ticket, .listing = listing->number};
        dx_unit_call(listing->unit, OSDictionaryCreateWithDictionary(request->body), NULL, 0, statistics_done,
                     &context);
    }
}

/* ---- set ---- */

static void
set_client(const struct dx_request *request, struct dx_listing *listing)
{
    const char *const program = dx_wire_get_string(request->body, "program");
    double gain = 1.0;
    const bool has_gain = dx_wire_get_double(request->body, "gain-f64", &gain);
    const bool has_mute = OSDictionaryGetObject(request->body, "mute") != NULL;
    const bool is_muted = dx_wire_get_bool(request->body, "mute");
    dx_error error = {""};
    kern_return_t status;
    if (!program || !program[0] || strlen(program) >= DX_MAX_TEXT_BYTES || (!has_gain && !has_mute))
        status = dx_error_set(&error, kIOReturnBadArgument, "a program's name and a gain or mute are wanted");
    else
        status = dx_volume_set(listing, program, has_gain ? &gain : NULL, has_mute ? &is_muted : NULL, &error);
    dx_answer(listing->supervisor, request->ticket, status, error.message, NULL, NULL, 0);
}

static void
request_volumes(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    const struct dx_listing *const listing = find_asked(supervisor, request);
    if (!listing)
        return;
    OSDictionary *body = OSDictionaryCreate(3);
    if (!dx_wire_take(body, "volumes", dx_volumes_describe(listing)))
        OSSafeReleaseNULL(body);
    dx_answer(supervisor, request->ticket, body ? kIOReturnSuccess : kIOReturnNoMemory, NULL, body, NULL, 0);
}

/* A running device takes it as a property: docs in host/kinds.h. */
static OSDictionary *
create_live_option(const struct dx_listing *listing, const char *name)
{
    const struct dx_declared *const declared =
        dx_declarations_find(listing->supervisor->declarations, listing->unit->declared_uid);
    const size_t place = declared ? dx_kind_find_option(declared->kind, name) : SIZE_MAX;
    OSDictionary *call = place != SIZE_MAX ? dx_call_create(DX_OP_SET) : NULL;
    if (call &&
        !(OSDictionarySetStringValue(call, DX_KEY_UID, listing->uid) &&
          OSDictionarySetStringValue(call, "what", "property") &&
          OSDictionarySetUInt64Value(call, "selector", DX_OPTION_SELECTOR) &&
          OSDictionarySetUInt64Value(call, "scope", IOUserAudioObjectPropertyScopeGlobal) &&
          OSDictionarySetUInt64Value(call, "element", 0) && OSDictionarySetStringValue(call, "qualifier", name) &&
          OSDictionarySetStringValue(call, "value", declared->values[place])))
        OSSafeReleaseNULL(call);
    return call;
}

/* {name, value}: an option as it was. */
static OSDictionary *
copy_option(const struct dx_listing *listing, const char *name)
{
    const struct dx_declared *const declared =
        dx_declarations_find(listing->supervisor->declarations, listing->unit->declared_uid);
    const size_t place = declared ? dx_kind_find_option(declared->kind, name) : SIZE_MAX;
    OSDictionary *option = place != SIZE_MAX ? OSDictionaryCreate(2) : NULL;
    if (option && !(OSDictionarySetStringValue(option, DX_KEY_NAME, name) &&
                    OSDictionarySetStringValue(option, "value", declared->values[place])))
        OSSafeReleaseNULL(option);
    return option;
}

/* What the running driver refuses is not kept either. */
static void
live_option_done(struct dx_supervisor *supervisor, struct dx_unit *unit, const struct dx_call_context *context,
                 kern_return_t status, const char *sentence, struct dx_message *answer)
{
    (void)answer;
    const OSDictionary *const before = context->object;
    struct dx_listing *const listing = dx_listing_find_number(supervisor, context->listing);
    dx_error error;
    if (listing && status == kIOReturnSuccess) {
        OSObjectRelease(unit->options);
        unit->options = dx_declared_copy_options(dx_declarations_find(supervisor->declarations, listing->uid));
    } else if (listing && before &&
               dx_declarations_set_option(
                   supervisor->declarations, listing->uid, dx_wire_get_string(before, DX_KEY_NAME),
                   OSDictionaryGetObject(before, "value"), NULL, &error) != kIOReturnSuccess) {
        dx_log("%s", error.message);
    }
    if (listing)
        dx_listing_changed(listing);
    OSObjectRelease(context->object);
    dx_answer(supervisor, context->ticket, status, sentence, NULL, NULL, 0);
}

/* What is not in force at once is from the driver's next start on; that is soon, where nobody has it open. */
static void
set_option(const struct dx_request *request, struct dx_listing *listing)
{
    struct dx_supervisor *const supervisor = listing->supervisor;
    const char *const name = dx_wire_get_string(request->body, DX_KEY_NAME);
    dx_error error = {""};
    bool is_live = false;
    kern_return_t status;
    OSDictionary *const before = name && listing->unit->declared_uid ? copy_option(listing, name) : NULL;
    if (!listing->unit->declared_uid)
        status = dx_error_set(&error, kIOReturnUnsupported, "%s is no declared device and has no options",
                              listing->uid);
    else if (!name)
        status = dx_error_set(&error, kIOReturnBadArgument, "the option's name is missing");
    else
        status = dx_declarations_set_option(supervisor->declarations, listing->uid, name,
                                            OSDictionaryGetObject(request->body, "value"), &is_live, &error);
    const bool is_running = listing->has_driver && listing->unit->state == DX_UNIT_RUNNING;
    if (status == kIOReturnSuccess && is_live && is_running) {
        const struct dx_call_context context = {
            .ticket = request->ticket, .listing = listing->number, .object = before};
        dx_unit_call(listing->unit, create_live_option(listing, name), NULL, 0, live_option_done, &context);
        return;
    }
    OSObjectRelease(before);
    if (status != kIOReturnSuccess) {
        dx_answer(supervisor, request->ticket, status, error.message, NULL, NULL, 0);
        return;
    }
    if (is_running && listing->session_count == 0)
        dx_unit_quit(listing->unit);
    dx_listing_refresh(listing);
    dx_answer(supervisor, request->ticket, kIOReturnSuccess, NULL, NULL, NULL, 0);
}

static void
request_set(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    const char *const what = dx_wire_get_string(request->body, "what");
    struct dx_listing *const listing = find_asked(supervisor, request);
    if (!listing)
        return;
    if (!what)
        dx_answer(supervisor, request->ticket, kIOReturnBadArgument, "what is to be set is missing", NULL, NULL,
                  0);
    else if (strcmp(what, "client") == 0)
        set_client(request, listing);
    else if (strcmp(what, "option") == 0)
        set_option(request, listing);
    else
        pass_on(request, listing);
}

/* ---- create, remove ---- */

static void
request_create(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    const char *const kind = dx_wire_get_string(request->body, DX_KEY_KIND);
    const struct dx_declared *declared = NULL;
    dx_error error = {""};
    kern_return_t status =
        dx_declarations_create(supervisor->declarations, kind ? kind : "",
                               dx_wire_get_dictionary(request->body, DX_KEY_OPTIONS), &declared, &error);
    if (status == kIOReturnSuccess) {
        status = dx_declared_add(supervisor, declared);
        if (status != kIOReturnSuccess)
            (void)dx_declarations_remove(supervisor->declarations, declared->uid, NULL);
        dx_defaults_keep(supervisor); // now: whom it is told to may count on it
    }
    OSDictionary *const body = status == kIOReturnSuccess ? OSDictionaryCreate(4) : NULL;
    if (body)
        (void)OSDictionarySetStringValue(body, DX_KEY_UID, declared->uid);
    dx_answer(supervisor, request->ticket, status, error.message, body, NULL, 0);
}

static void
request_remove(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    struct dx_listing *const listing = find_asked(supervisor, request);
    if (!listing)
        return;
    struct dx_unit *const unit = listing->unit;
    dx_error error = {""};
    kern_return_t status;
    if (!unit->declared_uid)
        status =
            dx_error_set(&error, kIOReturnUnsupported,
                         "%s is no declared device: it belongs to the bundle %s, which `dextral revoke` stops",
                         listing->uid, unit->identifier);
    else
        status = dx_declarations_remove(supervisor->declarations, listing->uid, &error);
    if (status == kIOReturnSuccess) {
        dx_keep_forget(unit);
        dx_volumes_forget(listing);
        dx_listing_forget_recording(listing);
        dx_unit_destroy(unit);
        dx_registry_write(supervisor);
    }
    dx_answer(supervisor, request->ticket, status, error.message, NULL, NULL, 0);
}

static void
request_recording(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    struct dx_listing *const listing = find_asked(supervisor, request);
    if (!listing)
        return;
    const int fd = dx_listing_reopen_recorder(listing);
    OSDictionary *const body = fd >= 0 ? OSDictionaryCreate(4) : NULL;
    if (body)
        (void)OSDictionarySetUInt64Value(body, "recording", 0);
    dx_answer(supervisor, request->ticket, fd >= 0 ? kIOReturnSuccess : kIOReturnNotFound,
              "the device has not run, and has no recording", body, &fd, fd >= 0 ? 1 : 0);
    if (fd >= 0)
        close(fd);
}

/* ---- all of them ---- */

void
dx_request_handle(struct dx_supervisor *supervisor, const struct dx_request *request, const char *operation)
{
    static const struct {
        const char *name;
        void (*handle)(struct dx_supervisor *supervisor, const struct dx_request *request);
    } operations[] = {
        {DX_OP_LIST, request_list},
        {DX_OP_DESCRIBE, request_describe},
        {DX_OP_OPEN, dx_request_open},
        {DX_OP_START, dx_request_start},
        {DX_OP_STOP, dx_request_stop},
        {DX_OP_CLOSE, dx_request_close},
        {DX_OP_SET, request_set},
        {DX_OP_GET_PROPERTY, request_get_property},
        {DX_OP_VOLUMES, request_volumes},
        {DX_OP_STATISTICS, request_statistics},
        {DX_OP_KINDS, request_kinds},
        {DX_OP_CREATE, request_create},
        {DX_OP_REMOVE, request_remove},
        {DX_OP_SET_DEFAULT, dx_request_set_default},
        {DX_OP_DRIVERS, dx_request_drivers},
        {DX_OP_APPROVE, dx_request_approve},
        {DX_OP_REVOKE, dx_request_revoke},
        {DX_OP_RESTART, dx_request_restart},
        {DX_OP_GRANT, dx_request_grant},
        {DX_OP_INCIDENTS, dx_request_incidents},
        {DX_OP_RECORDING, request_recording},
        {DX_OP_USER_CLIENT_OPEN, dx_request_user_client_open},
        {DX_OP_USER_CLIENT_CALL, dx_request_user_client_call},
        {DX_OP_USER_CLIENT_MAP, dx_request_user_client_call},
        {DX_OP_USER_CLIENT_CLOSE, dx_request_user_client_close},
    };
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        if (strcmp(operations[i].name, operation) == 0) {
            operations[i].handle(supervisor, request);
            return;
        }
    }
    dx_answer(supervisor, request->ticket, kIOReturnUnsupported,
              "this supervisor does not know that operation: it is older than the program", NULL, NULL, 0);
}
