// SPDX-License-Identifier: MIT
// Clients of devices: opened, started, stopped, closed, claimed.

#include "host/supervisor/session.h"

#include "host/describe.h"
#include "host/error.h"
#include "host/protocol.h"
#include "host/supervisor/incident.h"
#include "host/supervisor/listing.h"
#include "host/supervisor/memory.h"
#include "host/supervisor/ring.h"
#include "host/supervisor/unit.h"
#include "host/supervisor/volume.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN_WAIT_NS DX_NS_PER_S // for the answer of a driver that runs
#define UNCLAIMED_NS (3 * DX_NS_PER_S)

struct dx_session *
dx_session_find(const struct dx_supervisor *supervisor, uint64_t number)
{
    for (struct dx_session *session = supervisor->sessions; session; session = session->next)
        if (session->number == number)
            return session;
    return NULL;
}

static void
open_timer(void *context)
{
    struct dx_session *const session = context;
    if (session->program == 0) {
        dx_log("%s: no program has claimed a session within 3 s: it leaves", session->listing->uid);
        dx_session_destroy(session);
    } else if (session->open_ticket.program) {
        dx_session_answer_alone(session); // the driver's answer, when it comes, is told as a new driver
    }
}

/* Without a driver a start succeeds: the client hears silence until one comes. */
static void
start_timer(void *context)
{
    struct dx_session *const session = context;
    dx_answer(session->supervisor, session->start_ticket, kIOReturnSuccess, NULL, NULL, NULL, 0);
    session->start_ticket = (struct dx_ticket){0};
    session->is_running = true;
    dx_listing_changed(session->listing);
}

static void
free_session(struct dx_session *session)
{
    dx_session_drop_ring(session);
    dx_loop_timer_destroy(session->open_timer);
    dx_loop_timer_destroy(session->start_timer);
    if (session->lane_fd >= 0)
        close(session->lane_fd);
    free(session->name);
    free(session);
}

static struct dx_session *
create_session(struct dx_listing *listing, uint64_t number)
{
    struct dx_supervisor *const supervisor = listing->supervisor;
    struct dx_session *const session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    session->supervisor = supervisor;
    session->listing = listing;
    session->number = number;
    session->lane_fd = -1;
    session->output = DX_NO_STREAM;
    session->input = DX_NO_STREAM;
    session->gain = 1.0;
    session->open_timer = dx_loop_timer_create(supervisor->loop, open_timer, session);
    session->start_timer = dx_loop_timer_create(supervisor->loop, start_timer, session);
    if (!session->open_timer || !session->start_timer) {
        free_session(session);
        return NULL;
    }
    session->next = supervisor->sessions;
    supervisor->sessions = session;
    supervisor->session_count++;
    listing->session_count++;
    dx_unit_check_idle(listing->unit);
    return session;
}

/* ---- leaving ---- */

void
dx_session_lose_driver(struct dx_session *session)
{
    dx_session_drop_ring(session);
    session->join = DX_JOIN_NONE;
    session->is_start_asked = false;
    if (session->start_ticket.program)
        dx_loop_timer_set(session->start_timer, DX_START_WAIT_NS);
}

void
dx_session_fail_start(struct dx_session *session, kern_return_t status, const char *why)
{
    if (!session->start_ticket.program)
        return;
    dx_loop_timer_clear(session->start_timer);
    dx_answer(session->supervisor, session->start_ticket, status, why, NULL, NULL, 0);
    session->start_ticket = (struct dx_ticket){0};
    session->is_running = false;
}

static void
tell_driver_leave(const struct dx_session *session)
{
    OSDictionary *request = dx_call_create(DX_OP_LEAVE);
    if (request && !OSDictionarySetUInt64Value(request, DX_KEY_SESSION, session->number))
        OSSafeReleaseNULL(request);
    dx_unit_call(session->listing->unit, request, NULL, 0, NULL, NULL);
}

void
dx_session_destroy(struct dx_session *session)
{
    struct dx_supervisor *const supervisor = session->supervisor;
    struct dx_listing *const listing = session->listing;
    const bool is_known_to_driver = session->join == DX_JOIN_ASKED || session->join == DX_JOIN_DONE;
    for (struct dx_session **at = &supervisor->sessions; *at; at = &(*at)->next) {
        if (*at == session) {
            *at = session->next;
            break;
        }
    }
    supervisor->session_count--;
    listing->session_count--;
    /* A driver that waits for the next supervisor keeps what it has. */
    if (is_known_to_driver && listing->has_driver && listing->unit->state != DX_UNIT_ENDING &&
        !supervisor->is_leaving)
        tell_driver_leave(session);
    dx_answer(supervisor, session->open_ticket, kIOReturnAborted, "the session was closed", NULL, NULL, 0);
    dx_answer(supervisor, session->start_ticket, kIOReturnAborted, "the session was closed", NULL, NULL, 0);
    dx_incidents_remember(supervisor, session);
    free_session(session);
    dx_listing_changed(listing);
    dx_listing_check_alone(listing);
    dx_unit_check_idle(listing->unit);
}

void
dx_sessions_leave_program(struct dx_supervisor *supervisor, uint64_t program)
{
    for (struct dx_session *session = supervisor->sessions, *next; session; session = next) {
        next = session->next;
        if (session->program != program)
            continue;
        struct dx_listing *const listing = session->listing;
        dx_session_destroy(session);
        dx_listing_check_gone(listing);
    }
}

void
dx_session_recover(struct dx_listing *listing, uint64_t number)
{
    if (dx_session_find(listing->supervisor, number))
        return; // opened again before the driver was here: it is joined once more, which changes nothing
    struct dx_session *const session =
        listing->supervisor->session_count < DX_MAX_SESSIONS ? create_session(listing, number) : NULL;
    if (!session) {
        dx_log("%s: no room for a session that its driver has", listing->uid);
        return;
    }
    session->join = DX_JOIN_DONE;
    dx_loop_timer_set(session->open_timer, UNCLAIMED_NS);
}

/* ---- open ---- */

/* What an open asks for, checked. */
struct open_request {
    uint64_t number;
    struct dx_listing *listing;
    uint32_t output;
    uint32_t input;
    uint32_t io_frames;
    bool is_running;
    int lane_fd; // borrowed from the message
};

static bool
read_index(const OSDictionary *body, const char *key, uint32_t *ret_index)
{
    const uint64_t index = dx_wire_get_number(body, key, DX_NO_STREAM);
    *ret_index = (uint32_t)index;
    return index == DX_NO_STREAM || index < DX_MAX_STREAMS;
}

/* Streams as the description has them.  A stream that is one client's alone must not have another one. */
static kern_return_t
check_stream(const struct dx_listing *listing, uint64_t number, bool is_output, uint32_t index, uint32_t count,
             const dx_stream_info *infos, dx_error *error)
{
    if (index == DX_NO_STREAM)
        return kIOReturnSuccess;
    if (index >= count)
        return dx_error_set(error, kIOReturnBadArgument, "%s has no %s stream %u", listing->uid,
                            is_output ? "output" : "input", index);
    if (infos[index].is_mixable || !is_output)
        return kIOReturnSuccess;
    for (const struct dx_session *other = listing->supervisor->sessions; other; other = other->next)
        if (other->listing == listing && other->number != number && other->output == index)
            return dx_error_set(error, kIOReturnExclusiveAccess,
                                "output stream %u of %s is not mixable, and %s has it", index, listing->uid,
                                other->name ? other->name : "another program");
    return kIOReturnSuccess;
}

static kern_return_t
check_streams(const struct open_request *open, dx_error *error)
{
    dx_device_info *const info = calloc(1, sizeof *info);
    if (!info)
        return dx_error_set(error, kIOReturnNoMemory, "no memory");
    kern_return_t status = dx_description_get_info(open->listing->brief, info);
    if (status == kIOReturnSuccess)
        status = check_stream(open->listing, open->number, true, open->output, info->output_streams, info->outputs,
                              error);
    else
        (void)dx_error_set(error, status, "the description of %s cannot be true", open->listing->uid);
    if (status == kIOReturnSuccess)
        status = check_stream(open->listing, open->number, false, open->input, info->input_streams, info->inputs,
                              error);
    free(info);
    return status;
}

static kern_return_t
read_open(struct dx_supervisor *supervisor, const struct dx_request *request, struct open_request *open,
          dx_error *error)
{
    const OSDictionary *const body = request->body;
    const char *const uid = dx_wire_get_string(body, DX_KEY_UID);
    const uint64_t io_frames = dx_wire_get_number(body, "io-frames", 0);
    const uint64_t lane = dx_wire_get_number(body, "lane", DX_WIRE_MAX_FDS);
    *open = (struct open_request){
        .number = dx_wire_get_number(body, DX_KEY_SESSION, 0),
        .listing = uid ? dx_listing_find(supervisor, uid) : NULL,
        .io_frames = (uint32_t)io_frames,
        .is_running = dx_wire_get_bool(body, "running"),
        .lane_fd = lane < request->message->fd_count ? request->message->fds[lane] : -1,
    };
    if (!open->number || io_frames > UINT32_MAX || !read_index(body, "output", &open->output) ||
        !read_index(body, "input", &open->input) || (open->output == DX_NO_STREAM && open->input == DX_NO_STREAM))
        return dx_error_set(error, kIOReturnBadArgument, "a session number and at least one stream are wanted");
    if (!open->listing)
        return dx_error_set(error, kIOReturnNoDevice, "there is no device %s", uid ? uid : "without a UID");
    const kern_return_t status = check_streams(open, error);
    if (status != kIOReturnSuccess || open->output == DX_NO_STREAM)
        return status;
    return dx_memory_seal(open->lane_fd, "lane", DX_LANE_MAX_BYTES, error);
}

/* The session of that number, or a new one. */
static kern_return_t
claim_session(struct dx_supervisor *supervisor, const struct open_request *open, struct dx_session **ret_session,
              dx_error *error)
{
    struct dx_session *session = dx_session_find(supervisor, open->number);
    if (session && session->listing != open->listing)
        return dx_error_set(error, kIOReturnExclusiveAccess, "this session is one of another device");
    if (!session && supervisor->session_count >= DX_MAX_SESSIONS)
        return dx_error_set(error, kIOReturnNoResources, "there are %u sessions, and no more are allowed",
                            DX_MAX_SESSIONS);
    if (!session && open->listing->session_count >= DX_MAX_DEVICE_SESSIONS)
        return dx_error_set(error, kIOReturnNoResources, "%s has %u sessions, and no more are allowed",
                            open->listing->uid, DX_MAX_DEVICE_SESSIONS);
    if (!session)
        session = create_session(open->listing, open->number);
    if (!session)
        return dx_error_set(error, kIOReturnNoMemory, "no memory for a session");
    *ret_session = session;
    return kIOReturnSuccess;
}

static kern_return_t
fill_session(struct dx_session *session, const struct open_request *open, const struct dx_program *program,
             dx_error *error)
{
    char *const name = strdup(program->name);
    const int lane_fd = open->output != DX_NO_STREAM ? dx_memory_reopen(open->lane_fd) : -1;
    if (!name || (lane_fd < 0 && open->output != DX_NO_STREAM)) {
        free(name);
        return dx_error_set(error, kIOReturnNoResources, "no memory or descriptor for a session");
    }
    free(session->name);
    if (session->lane_fd >= 0)
        close(session->lane_fd);
    session->name = name;
    session->lane_fd = lane_fd;
    session->program = program->number;
    session->pid = program->pid;
    session->output = open->output;
    session->input = open->input;
    session->io_frames = open->io_frames;
    session->is_running = session->is_running || open->is_running;
    dx_volume_apply(session);
    return kIOReturnSuccess;
}

/* The driver answers, or soon somebody does for it. */
static void
answer_open(struct dx_session *session)
{
    struct dx_listing *const listing = session->listing;
    struct dx_unit *const unit = listing->unit;
    const bool was_unapproved = unit->state == DX_UNIT_UNAPPROVED;
    const bool is_there = dx_unit_want(unit);
    if (!is_there && (was_unapproved || unit->state == DX_UNIT_UNAPPROVED)) {
        const struct dx_ticket ticket = session->open_ticket;
        session->open_ticket = (struct dx_ticket){0};
        dx_answer(session->supervisor, ticket, kIOReturnNotPermitted, unit->why.message, NULL, NULL, 0);
        dx_session_destroy(session);
    } else if (listing->has_driver) {
        dx_loop_timer_set(session->open_timer, OPEN_WAIT_NS);
        dx_session_join(session);
    } else if (unit->state == DX_UNIT_LOST) {
        dx_loop_timer_set(session->open_timer, UNCLAIMED_NS + OPEN_WAIT_NS);
    } else if (unit->state == DX_UNIT_RUNNING) { // it has connected, and is about to tell of the device
        dx_loop_timer_set(session->open_timer, OPEN_WAIT_NS);
    } else {
        dx_session_answer_alone(session);
    }
}

void
dx_request_open(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    struct open_request open;
    struct dx_session *session = NULL;
    dx_error error = {""};
    kern_return_t status = read_open(supervisor, request, &open, &error);
    if (status == kIOReturnSuccess)
        status = claim_session(supervisor, &open, &session, &error);
    const bool is_new = session && session->program == 0 && !session->name;
    if (status == kIOReturnSuccess) {
        status = fill_session(session, &open, request->program, &error);
        if (status != kIOReturnSuccess && is_new && session->join == DX_JOIN_NONE)
            dx_session_destroy(session);
    }
    if (status != kIOReturnSuccess) {
        dx_answer(supervisor, request->ticket, status, error.message, NULL, NULL, 0);
        return;
    }
    dx_answer(supervisor, session->open_ticket, kIOReturnAborted, "it was opened again", NULL, NULL, 0);
    session->open_ticket = request->ticket;
    dx_listing_changed(session->listing);
    answer_open(session);
}

/* ---- start, stop, close ---- */

static struct dx_session *
find_own_session(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    struct dx_session *const session =
        dx_session_find(supervisor, dx_wire_get_number(request->body, DX_KEY_SESSION, 0));
    if (session && session->program == request->program->number)
        return session;
    dx_answer(supervisor, request->ticket, kIOReturnNotOpen, "there is no such session", NULL, NULL, 0);
    return NULL;
}

void
dx_request_start(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    struct dx_session *const session = find_own_session(supervisor, request);
    if (!session)
        return;
    if (session->start_ticket.program) {
        dx_answer(supervisor, request->ticket, kIOReturnBusy, "it is being started", NULL, NULL, 0);
        return;
    }
    if (session->join == DX_JOIN_REFUSED) {
        dx_answer(supervisor, request->ticket, kIOReturnUnsupportedMode, "the driver did not take the session",
                  NULL, NULL, 0);
        return;
    }
    struct dx_unit *const unit = session->listing->unit;
    if (!dx_unit_want(unit)) {
        const kern_return_t status = unit->state == DX_UNIT_UNAPPROVED ? kIOReturnNotPermitted : kIOReturnNoDevice;
        dx_answer(supervisor, request->ticket, status, unit->why.message, NULL, NULL, 0);
        return;
    }
    session->start_ticket = request->ticket;
    if (session->join == DX_JOIN_DONE)
        dx_session_start(session);
    else
        dx_loop_timer_set(session->start_timer, DX_START_WAIT_NS);
}

static void
stop_done(struct dx_supervisor *supervisor, struct dx_unit *unit, const struct dx_call_context *context,
          kern_return_t status, const char *sentence, struct dx_message *answer)
{
    (void)unit;
    /* Where the driver has gone it has stopped too. */
    dx_answer(supervisor, context->ticket, answer ? status : kIOReturnSuccess, sentence, NULL, NULL, 0);
}

void
dx_request_stop(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    struct dx_session *const session = find_own_session(supervisor, request);
    if (!session)
        return;
    dx_session_fail_start(session, kIOReturnAborted, "it was stopped");
    session->is_running = false;
    dx_listing_changed(session->listing);
    const bool is_known_to_driver = session->join == DX_JOIN_DONE || session->join == DX_JOIN_ASKED;
    if (!is_known_to_driver || session->listing->unit->state == DX_UNIT_ENDING) {
        dx_answer(supervisor, request->ticket, kIOReturnSuccess, NULL, NULL, NULL, 0);
        return;
    }
    session->is_start_asked = false; // its answer counts no more
    OSDictionary *call = dx_call_create(DX_OP_STOP);
    if (call && !OSDictionarySetUInt64Value(call, DX_KEY_SESSION, session->number))
        OSSafeReleaseNULL(call);
    const struct dx_call_context context = {.ticket = request->ticket};
    dx_unit_call(session->listing->unit, call, NULL, 0, stop_done, &context);
}

void
dx_request_close(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    struct dx_session *const session = find_own_session(supervisor, request);
    if (!session)
        return;
    struct dx_listing *const listing = session->listing;
    dx_session_destroy(session);
    dx_listing_check_gone(listing);
    dx_answer(supervisor, request->ticket, kIOReturnSuccess, NULL, NULL, NULL, 0);
}
