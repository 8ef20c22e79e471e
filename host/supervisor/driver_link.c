// SPDX-License-Identifier: MIT
// What driver processes say.

#include "host/supervisor/unit.h"

#include "host/error.h"
#include "host/protocol.h"
#include "host/supervisor/incident.h"
#include "host/supervisor/keep.h"
#include "host/supervisor/listing.h"
#include "host/supervisor/memory.h"
#include "host/supervisor/session.h"
#include "host/supervisor/usb.h"
#include "host/supervisor/user_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_DEVICES 256u               // of one driver; a sentence below names the number
#define MAX_SAID 16u                   // lines about devices of one driver process that are not listed
#define MAX_BEFORE 32u                 // devices that `load` tells of: each takes a descriptor
#define MAX_FDS 1u                     // of a message: a page, a ring or a memory
#define MAX_PARTS 16u                  // of the sandbox
#define MAX_PAGE_BYTES (64u * 1024u)   // of a device page, of a later version too
#define RECOVERY_NS (10 * DX_NS_PER_S) // to tell of its devices, after it has connected again

/* What driver processes say costs as much as so many bytes would, of which there are 32 MiB in a second. */
#define READ_BYTES 4096u // to read a message, beside its own
#define SEND_BYTES 1024u // to pass it on
#define NS_PER_BYTE 30u
#define BUSY_NS (100 * DX_NS_PER_MS) // with one driver, at once
#define BUSY_MOST_NS DX_NS_PER_S     // with one message, however many it goes to

/* ---- how much it says ---- */

void
dx_unit_listen(void *context)
{
    const struct dx_unit *const unit = context;
    if (unit->channel)
        dx_channel_set_reading(unit->channel, true);
}

/* What is done because of a message, beside reading it and passing it on. */
static uint64_t
extra_cost(const char *event)
{
    static const struct {
        const char *event;
        uint64_t bytes;
    } costs[] = {
        {DX_EVENT_DEVICE, 128 * 1024},   // its recorder is made, sessions and followers are told
        {DX_EVENT_CUT_OFF, 16 * 1024},   // a session joins again
        {DX_EVENT_FOLLOW, 16 * 1024},    // a page is sent
        {DX_EVENT_INCIDENT, 16 * 1024},  // it is logged, and kept
    };
    for (size_t i = 0; i < sizeof costs / sizeof costs[0]; i++)
        if (strcmp(costs[i].event, event) == 0)
            return costs[i].bytes;
    return 0;
}

static uint64_t
cost_of(const struct dx_unit *unit, const struct dx_message *message)
{
    const char *const event = dx_wire_get_string(message->body, DX_KEY_EVENT);
    uint64_t receivers = 0; // at most
    for (const struct dx_program *program = unit->supervisor->programs; event && program; program = program->next)
        receivers += program->wants_events;
    return READ_BYTES + message->bytes + receivers * (SEND_BYTES + message->bytes) +
           (event ? extra_cost(event) : 0);
}

/*
 * A driver process says at most fifty times a second how a device is.  One that says more, or that has very many to
 * tell, waits: what it has said stays in its socket, in order, and nothing is lost.  Answers that are waited for are
 * as many as the questions, and cost it nothing.
 */
static void
charge(struct dx_unit *unit, uint64_t cost_bytes)
{
    const uint64_t now_ns = dx_now_ns();
    const uint64_t until_ns =
        (unit->busy_until_ns > now_ns ? unit->busy_until_ns : now_ns) + cost_bytes * NS_PER_BYTE;
    unit->busy_until_ns = until_ns < now_ns + BUSY_MOST_NS ? until_ns : now_ns + BUSY_MOST_NS;
    if (!unit->channel || unit->busy_until_ns - now_ns <= BUSY_NS)
        return;
    dx_channel_set_reading(unit->channel, false);
    dx_loop_timer_set(unit->listen_timer, unit->busy_until_ns - now_ns - BUSY_NS / 2);
}

/* ---- load ---- */

/* Where a device's time stands, and its recorder. */
static bool
add_before(OSArray *before, struct dx_listing *listing, int *fds, uint32_t *fd_count)
{
    OSDictionary *const item = OSDictionaryCreate(5);
    struct dx_timeline_page line;
    bool done = item && OSDictionarySetStringValue(item, DX_KEY_UID, listing->uid);
    if (done && dx_listing_get_line(listing, &line))
        done = OSDictionarySetUInt64Value(item, "frame", line.anchor_frame) &&
               OSDictionarySetUInt64Value(item, "host-ns", line.anchor_host_ns) &&
               dx_wire_set_double(item, "ns-per-frame-f64", line.ns_per_frame);
    const int recorder = dx_listing_get_recorder(listing);
    if (done && recorder >= 0) {
        done = OSDictionarySetUInt64Value(item, "recorder", *fd_count);
        fds[(*fd_count)++] = recorder;
    }
    done = done && OSArraySetObject(before, item);
    OSObjectRelease(item);
    return done;
}

static bool
add_all_before(const struct dx_unit *unit, OSDictionary *load, int *fds, uint32_t *fd_count)
{
    OSArray *const before = OSArrayCreate(1);
    bool done = before != NULL;
    for (struct dx_listing *listing = unit->supervisor->listings; done && listing; listing = listing->next)
        if (listing->unit == unit && *fd_count < MAX_BEFORE)
            done = add_before(before, listing, fds, fd_count);
    return dx_wire_take(load, "before", before) && done;
}

/* The personality of a declared device comes from its options. */
static bool
add_declared(struct dx_unit *unit, OSDictionary *load)
{
    const struct dx_declared *const declared =
        dx_declarations_find(unit->supervisor->declarations, unit->declared_uid);
    OSObjectRelease(unit->options);
    unit->options = declared ? dx_declared_copy_options(declared) : NULL;
    return unit->options && OSDictionarySetStringValue(load, "personality", declared->kind->user_class) &&
           dx_wire_take(load, "properties", dx_declared_copy_properties(declared));
}

static void
send_load(struct dx_unit *unit)
{
    int fds[MAX_BEFORE + 1];
    uint32_t fd_count = 0;
    OSDictionary *const load = dx_call_create(DX_OP_LOAD);
    bool done = load && OSDictionarySetUInt64Value(load, DX_KEY_ID, ++unit->last_call) &&
                OSDictionarySetStringValue(load, DX_KEY_TOKEN, unit->token) &&
                OSDictionarySetStringValue(load, "socket", unit->supervisor->socket_path) &&
                OSDictionarySetStringValue(load, "path", unit->path) &&
                OSDictionarySetUInt64Value(load, DX_KEY_INCARNATION, unit->incarnation) &&
                dx_wire_set_bool(load, "network", unit->has_network) && add_all_before(unit, load, fds, &fd_count);
    if (done && unit->supervisor->config.sandbox_off)
        done = OSDictionarySetStringValue(load, "sandbox", "off");
    if (done && unit->declared_uid)
        done = add_declared(unit, load);
    else if (done && unit->personality)
        done = OSDictionarySetStringValue(load, "personality", unit->personality);
    if (done && unit->usb)
        done = dx_usb_unit_add_providers(unit, load, fds, &fd_count);
    if (done && unit->saved_state)
        done = OSDictionarySetObject(load, "saved-state", unit->saved_state);
    int r = done ? dx_channel_send(unit->channel, load, fds, fd_count) : -ENOMEM;
    if (r == -EMSGSIZE && unit->saved_state) { // or it would never start again
        dx_log("%s: what its driver had saved is too long to be given back", unit->key);
        OSDictionaryRemoveObject(load, "saved-state");
        r = dx_channel_send(unit->channel, load, fds, fd_count);
    }
    OSObjectRelease(load);
    if (unit->usb)
        dx_usb_unit_close_node(unit);
    if (r == -ENOMEM || r == -EMSGSIZE)
        dx_unit_kill(unit, "could not be told what to load, and was killed");
}

/* ---- hello ---- */

static bool
send_answer(struct dx_unit *unit, uint64_t id, kern_return_t status, const char *sentence, OSDictionary *body)
{
    OSDictionary *const answer = body ? body : OSDictionaryCreate(4);
    const bool done =
        answer && OSDictionarySetUInt64Value(answer, DX_KEY_ANSWER, id) &&
        OSDictionarySetUInt64Value(answer, DX_KEY_STATUS, (uint32_t)status) &&
        (status == kIOReturnSuccess ||
         OSDictionarySetStringValue(answer, DX_KEY_ERROR, sentence ? sentence : dx_return_string(status)));
    const bool is_sent = done && unit->channel && dx_channel_send(unit->channel, answer, NULL, 0) == 0;
    OSObjectRelease(answer);
    return is_sent;
}

static void
answer_hello(struct dx_unit *unit, const OSDictionary *hello)
{
    unit->said_hello = true;
    (void)snprintf(unit->protocol, sizeof unit->protocol, "%u.%u",
                   (uint32_t)dx_wire_get_number(hello, DX_KEY_MAJOR, 0),
                   (uint32_t)dx_wire_get_number(hello, DX_KEY_MINOR, 0));
    OSDictionary *body = OSDictionaryCreate(6);
    if (body && !(OSDictionarySetUInt64Value(body, DX_KEY_MAJOR, DX_PROTOCOL_MAJOR) &&
                  OSDictionarySetUInt64Value(body, DX_KEY_MINOR, DX_PROTOCOL_MINOR) &&
                  OSDictionarySetStringValue(body, "version", DX_VERSION) &&
                  OSDictionarySetUInt64Value(body, "pid", (uint64_t)getpid())))
        OSSafeReleaseNULL(body);
    (void)send_answer(unit, dx_wire_get_number(hello, DX_KEY_ID, 0), kIOReturnSuccess, NULL, body);
}

static void
take_hello(struct dx_unit *unit, const OSDictionary *body)
{
    const char *const operation = dx_wire_get_string(body, DX_KEY_OPERATION);
    const char *const role = dx_wire_get_string(body, DX_KEY_ROLE);
    if (!operation || strcmp(operation, DX_OP_HELLO) != 0 || !role || strcmp(role, "driver") != 0 ||
        dx_wire_get_number(body, DX_KEY_MAJOR, 0) != DX_PROTOCOL_MAJOR) {
        dx_unit_kill(unit, "speaks another version of the protocol, and was killed: install all of one release");
        return;
    }
    answer_hello(unit, body);
    if (!unit->usb || unit->usb->is_ready)
        send_load(unit);
}

void
dx_usb_unit_ready(struct dx_unit *unit)
{
    unit->usb->is_ready = true;
    if (unit->said_hello && unit->channel && unit->usb->node >= 0)
        send_load(unit);
}

/* ---- events ---- */

static struct dx_listing *
find_own_listing(const struct dx_unit *unit, const char *uid)
{
    struct dx_listing *const listing = uid ? dx_listing_find(unit->supervisor, uid) : NULL;
    return listing && listing->unit == unit ? listing : NULL;
}

static uint32_t
count_listings(const struct dx_unit *unit)
{
    uint32_t count = 0;
    for (const struct dx_listing *listing = unit->supervisor->listings; listing; listing = listing->next)
        count += listing->unit == unit;
    return count;
}

/* Without a descriptor for what they send, programs and other drivers could not even be heard. */
static bool
has_descriptors(const struct dx_supervisor *supervisor)
{
    struct rlimit files;
    uint64_t count = 0;
    for (const struct dx_listing *listing = supervisor->listings; listing; listing = listing->next)
        count += (listing->page_fd >= 0) + (listing->recorder_fd >= 0);
    return getrlimit(RLIMIT_NOFILE, &files) != 0 || count + 2 <= files.rlim_cur / 4;
}

/* Plugged in at another port, where its driver knows it again by what the supervisor does not see. */
static bool
is_device_of_unplugged(const struct dx_listing *listing, const struct dx_unit *unit)
{
    const struct dx_unit *const before = listing->unit;
    return unit->usb && before->usb && !before->usb->is_plugged && before->pid <= 0 &&
           strcmp(before->identifier, unit->identifier) == 0;
}

/* For `dextral drivers`, and, as long as it is news, for the log. */
static void
refuse_device(struct dx_unit *unit, const char *uid, const char *why)
{
    (void)dx_error_set(&unit->unlisted, kIOReturnSuccess, "its device %s is not listed: %s", uid, why);
    if (unit->unlisted_count++ < MAX_SAID)
        dx_log("%s: %s", unit->key, unit->unlisted.message);
}

/* A declared device has one device, its own; a bundle whatever nobody else has. */
static struct dx_listing *
find_or_create_listing(struct dx_unit *unit, const char *uid, const OSDictionary *description)
{
    struct dx_listing *listing = dx_listing_find(unit->supervisor, uid);
    const char *why = NULL;
    if (listing && is_device_of_unplugged(listing, unit))
        listing->unit = unit;
    if (listing)
        why = listing->unit == unit ? NULL : "another driver has that UID";
    else if (unit->declared_uid)
        why = "it was declared for another one";
    else if (count_listings(unit) >= MAX_DEVICES)
        why = "it has 256 devices, and no more are allowed";
    else if (!has_descriptors(unit->supervisor))
        why = "devices have a quarter of the descriptors that dextrald may have (LimitNOFILE=)";
    else if (!(listing = dx_listing_create(unit->supervisor, unit, uid, description)))
        why = "its description is too long, there are too many devices, or there is no memory";
    if (why)
        refuse_device(unit, uid, why);
    return why ? NULL : listing;
}

static void
send_recorder(struct dx_unit *unit, struct dx_listing *listing)
{
    const int recorder = dx_listing_get_recorder(listing);
    OSDictionary *const request = recorder >= 0 ? dx_call_create(DX_OP_RECORD) : NULL;
    if (!request)
        return;
    if (OSDictionarySetUInt64Value(request, DX_KEY_ID, ++unit->last_call) &&
        OSDictionarySetStringValue(request, DX_KEY_UID, listing->uid) &&
        OSDictionarySetUInt64Value(request, "recorder", 0))
        (void)dx_channel_send(unit->channel, request, &recorder, 1);
    OSObjectRelease(request);
}

/* Of a process that has connected again, and so many of all of its devices: another one has what it was given. */
static void
recover_sessions(struct dx_listing *listing, OSArray *numbers)
{
    const struct dx_unit *const unit = listing->unit;
    if (!numbers || unit->adopted_ns == 0 || dx_now_ns() - unit->adopted_ns > RECOVERY_NS)
        return;
    size_t room = DX_MAX_DEVICE_SESSIONS;
    for (const struct dx_session *session = unit->supervisor->sessions; room && session; session = session->next)
        room -= session->listing->unit == unit && session->program == 0;
    for (size_t i = 0; i < OSArrayGetCount(numbers) && i < room; i++) {
        const OSNumber *const number = OSDynamicCast(OSNumber, OSArrayGetObject(numbers, i));
        if (number)
            dx_session_recover(listing, OSNumberGetUInt64Value(number));
    }
}

static void
take_device(struct dx_unit *unit, struct dx_message *message)
{
    const char *const uid = dx_wire_get_string(message->body, DX_KEY_UID);
    const OSDictionary *const description = dx_wire_get_dictionary(message->body, DX_KEY_DESCRIPTION);
    if (!uid || !uid[0] || strlen(uid) >= DX_MAX_TEXT_BYTES || !description) {
        dx_log("%s: it told of a device without a UID of 1 ... %u bytes, or without a description", unit->key,
               DX_MAX_TEXT_BYTES - 1);
        return;
    }
    if (unit->state == DX_UNIT_FAILED || unit->state == DX_UNIT_UNAPPROVED)
        return; // it is on its way out: nobody is to be joined to it, which would start it again
    const bool is_new = !dx_listing_find(unit->supervisor, uid);
    struct dx_listing *const listing = find_or_create_listing(unit, uid, description);
    if (!listing) {
        if (unit->usb)
            unit->usb->is_unlisted = !is_new;
        return;
    }
    dx_error error = {"no descriptor for its page"};
    const uint64_t page = dx_wire_get_number(message->body, "page", DX_WIRE_MAX_FDS);
    const int fd = page < message->fd_count ? message->fds[page] : -1;
    const bool is_sealed = dx_memory_seal(fd, "device page", MAX_PAGE_BYTES, &error) == kIOReturnSuccess;
    const int page_fd = is_sealed ? dx_memory_reopen(fd) : -1;
    if (page_fd < 0) {
        refuse_device(unit, uid, error.message);
        return;
    }
    dx_listing_set_description(listing, description);
    dx_listing_gain_driver(listing, page_fd);
    if (is_new) {
        send_recorder(unit, listing);
        dx_keep_learned(unit);
    }
    recover_sessions(listing, dx_wire_get_array(message->body, DX_KEY_SESSIONS));
    for (struct dx_session *session = unit->supervisor->sessions, *next; session; session = next) {
        next = session->next; // one that is refused is gone
        if (session->listing == listing && session->join == DX_JOIN_NONE && session->program)
            dx_session_join(session);
    }
    dx_unit_send_calls(unit);
}

static void
take_description(struct dx_unit *unit, const OSDictionary *body)
{
    struct dx_listing *const listing = find_own_listing(unit, dx_wire_get_string(body, DX_KEY_UID));
    const OSDictionary *const description = dx_wire_get_dictionary(body, DX_KEY_DESCRIPTION);
    if (listing && description)
        dx_listing_set_description(listing, description);
}

/* What was plugged out is no longer listed, once nobody has it open. */
static void
take_device_gone(struct dx_unit *unit, const OSDictionary *body)
{
    struct dx_listing *const listing = find_own_listing(unit, dx_wire_get_string(body, DX_KEY_UID));
    if (!listing || unit->state == DX_UNIT_ENDING)
        return;
    dx_listing_lose_driver(listing);
    listing->is_gone = !unit->declared_uid;
    dx_listing_check_gone(listing);
}

/* Names of the sandbox's parts, as far as they can be names; +1, or NULL. */
static OSArray *
copy_parts(const OSArray *told)
{
    OSArray *const parts = told ? OSArrayCreate(MAX_PARTS) : NULL;
    for (size_t i = 0; parts && i < OSArrayGetCount(told) && i < MAX_PARTS; i++) {
        const OSString *const name = OSDynamicCast(OSString, OSArrayGetObject(told, i));
        char *const clean = name ? dx_copy_clean_text(OSStringGetCStringNoCopy(name)) : NULL;
        OSString *const part = clean ? OSStringCreate(clean) : NULL;
        (void)OSArraySetObject(parts, part); // NULL is not added
        OSObjectRelease(part);
        free(clean);
    }
    return parts;
}

static void
take_loaded(struct dx_unit *unit, const OSDictionary *body)
{
    const kern_return_t status = (kern_return_t)dx_wire_get_number(body, DX_KEY_STATUS, kIOReturnSuccess);
    const char *const sentence = dx_wire_get_string(body, DX_KEY_ERROR);
    if (unit->state != DX_UNIT_STARTING)
        return; // it was told, or comes too late
    unit->is_learning = false;
    OSObjectRelease(unit->open_parts);
    unit->open_parts = copy_parts(dx_wire_get_array(body, "open"));
    if (status == kIOReturnSuccess) {
        dx_unit_loaded(unit);
        dx_keep_learned(unit);
    } else {
        dx_error why;
        (void)dx_error_set(&why, status, "the driver could not be loaded: %s",
                           sentence ? sentence : dx_return_string(status));
        dx_unit_fail(unit, DX_UNIT_FAILED, why.message);
    }
}

/* Those who have the device open are told, and those who watch all of them. */
static void
pass_event(struct dx_unit *unit, const OSDictionary *body)
{
    struct dx_listing *const listing = find_own_listing(unit, dx_wire_get_string(body, DX_KEY_UID));
    if (!listing)
        return;
    dx_listing_tell(listing);
    for (struct dx_program *program = unit->supervisor->programs; program; program = program->next) {
        bool is_concerned = program->wants_events;
        for (const struct dx_session *session = unit->supervisor->sessions; session && !is_concerned;
             session = session->next)
            is_concerned = session->listing == listing && session->program == program->number;
        if (is_concerned)
            dx_program_tell(program, body, NULL, 0);
    }
}

static void
take_event(struct dx_unit *unit, const char *event, struct dx_message *message)
{
    const OSDictionary *const body = message->body;
    const char *const uid = dx_wire_get_string(body, DX_KEY_UID);
    if (strcmp(event, DX_EVENT_DEVICE) == 0)
        take_device(unit, message);
    else if (strcmp(event, DX_EVENT_DESCRIPTION) == 0)
        take_description(unit, body);
    else if (strcmp(event, DX_EVENT_DEVICE_GONE) == 0)
        take_device_gone(unit, body);
    else if (strcmp(event, DX_EVENT_SAVED_STATE) == 0)
        dx_keep_state(unit, dx_wire_get_dictionary(body, "state"));
    else if (strcmp(event, DX_EVENT_LOADED) == 0)
        take_loaded(unit, body);
    else if (strcmp(event, DX_EVENT_CUT_OFF) == 0)
        dx_session_join_again(unit, dx_wire_get_number(body, DX_KEY_SESSION, 0));
    else if (strcmp(event, DX_EVENT_INCIDENT) == 0)
        dx_incident_add_told(unit, find_own_listing(unit, uid), body);
    else if (strcmp(event, DX_EVENT_CONFIGURATION) == 0 || strcmp(event, DX_EVENT_PROPERTIES) == 0)
        pass_event(unit, body);
    else if (strcmp(event, DX_EVENT_COMPLETION) == 0)
        dx_user_client_complete(unit, message);
    else if (strcmp(event, DX_EVENT_FOLLOW) == 0 && uid && strlen(uid) < DX_MAX_TEXT_BYTES)
        dx_unit_follow(unit, uid, dx_wire_get_bool(body, "on"));
    else
        dx_log_detail(unit->supervisor, "%s: unknown event %s", unit->key, event);
}

void
dx_unit_answer_realtime(struct dx_unit *unit, uint64_t request, kern_return_t status, const char *way,
                        const char *sentence)
{
    OSDictionary *const body = OSDictionaryCreate(4);
    const bool done = !way || (body && OSDictionarySetStringValue(body, "way", way));
    (void)send_answer(unit, request, done ? status : kIOReturnNoMemory, sentence, body);
}

/* ---- the channel ---- */

static void
take_request(struct dx_unit *unit, const char *operation, const OSDictionary *body)
{
    const uint64_t id = dx_wire_get_number(body, DX_KEY_ID, 0);
    if (strcmp(operation, DX_OP_REALTIME) == 0)
        dx_unit_grant_realtime(unit, id, dx_wire_get_number(body, "thread", 0),
                               dx_wire_get_number(body, "priority", 0));
    else
        (void)send_answer(unit, id, kIOReturnUnsupported, NULL, NULL);
}

static void
handle_message(struct dx_unit *unit, struct dx_message *message)
{
    const char *const operation = dx_wire_get_string(message->body, DX_KEY_OPERATION);
    const char *const event = dx_wire_get_string(message->body, DX_KEY_EVENT);
    if (!unit->said_hello)
        take_hello(unit, message->body);
    else if (operation)
        take_request(unit, operation, message->body);
    else if (event)
        take_event(unit, event, message);
}

static void
channel_message(void *context, struct dx_channel *channel, struct dx_message *message)
{
    (void)channel;
    struct dx_unit *const unit = context;
    const bool is_answer = unit->said_hello && OSDictionaryGetObject(message->body, DX_KEY_ANSWER);
    /* The others would fill the queues of those to whom it is passed on. */
    while (message->fd_count > MAX_FDS)
        close(message->fds[--message->fd_count]);
    if (is_answer && dx_unit_take_answer(unit, message))
        return;
    charge(unit, cost_of(unit, message));
    if (!is_answer)
        handle_message(unit, message);
}

void
dx_unit_hear_out(struct dx_unit *unit)
{
    struct dx_message message;
    while (unit->channel && dx_wire_receive(dx_channel_socket(unit->channel), &message) == 1) {
        const char *const event = dx_wire_get_string(message.body, DX_KEY_EVENT);
        if (unit->said_hello && event && strcmp(event, DX_EVENT_SAVED_STATE) == 0)
            dx_keep_state(unit, dx_wire_get_dictionary(message.body, "state"));
        dx_message_finish(&message);
    }
}

/* A process without a connection is of no use: it ends, or is ended. */
static void
channel_closed(void *context, struct dx_channel *channel, int reason)
{
    struct dx_unit *const unit = context;
    dx_unit_hear_out(unit); // it was perhaps not listened to
    dx_channel_destroy(channel);
    unit->channel = NULL;
    if (reason == 0)
        dx_loop_timer_set(unit->timer, DX_NS_PER_S);
    else
        dx_unit_kill(unit, reason == -EBADMSG   ? "sent what is no message, and was killed"
                           : reason == -ENOBUFS ? "did not read what it was sent, and was killed"
                                                : "lost its connection, and was killed");
}

bool
dx_unit_connect(struct dx_unit *unit, int socket)
{
    static const struct dx_channel_callbacks callbacks = {.message = channel_message, .closed = channel_closed};
    unit->channel = dx_channel_create(unit->supervisor->loop, socket, &callbacks, unit);
    return unit->channel != NULL;
}

kern_return_t
dx_unit_adopt(const struct dx_program *program, const OSDictionary *hello, dx_error *error)
{
    struct dx_supervisor *const supervisor = program->supervisor;
    const char *const token = dx_wire_get_string(hello, DX_KEY_TOKEN);
    struct dx_unit *unit = NULL;
    for (struct dx_unit *at = supervisor->units; token && token[0] && at; at = at->next)
        if (at->pid > 0 && at->pid == program->pid && strcmp(at->token, token) == 0)
            unit = at;
    if (!unit || (unit->state != DX_UNIT_LOST && unit->state != DX_UNIT_RUNNING))
        return dx_error_set(error, kIOReturnNotPermitted, "no driver process has this token");
    const int socket = fcntl(dx_channel_socket(program->channel), F_DUPFD_CLOEXEC, 0);
    if (socket < 0)
        return dx_error_set(error, kIOReturnNoResources, "no descriptor for the connection: %s", strerror(errno));
    dx_channel_destroy(unit->channel);
    unit->channel = NULL;
    if (!dx_unit_connect(unit, socket))
        return dx_error_set(error, kIOReturnNoMemory, "no memory for the connection");
    unit->adopted_ns = dx_now_ns();
    OSSafeReleaseNULL(unit->follows); // it asks again: pages may have come meanwhile
    answer_hello(unit, hello);
    dx_log_detail(supervisor, "%s: process %ld is connected again", unit->key, (long)unit->pid);
    unit->state = DX_UNIT_STARTING;
    dx_unit_loaded(unit);
    return kIOReturnSuccess;
}
