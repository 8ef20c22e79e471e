// SPDX-License-Identifier: MIT
// Sessions and their drivers: told of, started, tuned; and what a program gets while there is none.

#include "host/supervisor/session.h"

#include "host/protocol.h"
#include "host/supervisor/listing.h"
#include "host/supervisor/ring.h"
#include "host/supervisor/unit.h"

#include <unistd.h>

/* ---- what a program is given ---- */

#define NO_MEMBER UINT64_MAX

/* Borrowed. */
struct memory {
    uint32_t incarnation;
    int page_fd;
    int ring_fd;     // -1: none
    uint64_t member; // NO_MEMBER: no driver counts
};

/* Adds it to an answer or event. */
static bool
add_memory(OSDictionary *body, const struct memory *memory, int *fds, uint32_t *fd_count)
{
    *fd_count = 0;
    fds[(*fd_count)++] = memory->page_fd;
    bool done = OSDictionarySetUInt64Value(body, DX_KEY_INCARNATION, memory->incarnation) &&
                OSDictionarySetUInt64Value(body, "page", 0);
    if (memory->ring_fd >= 0) {
        fds[(*fd_count)++] = memory->ring_fd;
        done = done && OSDictionarySetUInt64Value(body, "ring", 1);
    }
    return done && (memory->member == NO_MEMBER || OSDictionarySetUInt64Value(body, "member", memory->member));
}

/* Answers an open, or tells the program of new memory. */
static void
hand_over(struct dx_session *session, const struct memory *memory)
{
    struct dx_supervisor *const supervisor = session->supervisor;
    int fds[2];
    uint32_t fd_count = 0;
    if (session->open_ticket.program) {
        OSDictionary *const body = OSDictionaryCreate(8);
        const bool done = body && add_memory(body, memory, fds, &fd_count);
        dx_answer(supervisor, session->open_ticket, done ? kIOReturnSuccess : kIOReturnNoMemory, NULL, body, fds,
                  done ? fd_count : 0);
        session->open_ticket = (struct dx_ticket){0};
        dx_loop_timer_clear(session->open_timer);
        return;
    }
    struct dx_program *const program = dx_program_find(supervisor, session->program);
    OSDictionary *const event = program ? dx_event_create(DX_EVENT_NEW_DRIVER) : NULL;
    if (event && OSDictionarySetUInt64Value(event, DX_KEY_SESSION, session->number) &&
        add_memory(event, memory, fds, &fd_count))
        dx_program_tell(program, event, fds, fd_count);
    OSObjectRelease(event);
}

void
dx_session_answer_alone(struct dx_session *session)
{
    struct memory memory = {.page_fd = -1, .ring_fd = -1, .member = NO_MEMBER};
    kern_return_t status = dx_listing_open_page(session->listing, &memory.page_fd, &memory.incarnation);
    if (status == kIOReturnSuccess && session->input != DX_NO_STREAM)
        status = dx_listing_open_ring(session->listing, session->input, &memory.ring_fd);
    if (status == kIOReturnSuccess) {
        hand_over(session, &memory);
    } else {
        const struct dx_ticket ticket = session->open_ticket;
        session->open_ticket = (struct dx_ticket){0};
        dx_answer(session->supervisor, ticket, status, NULL, NULL, NULL, 0);
        dx_session_destroy(session);
    }
    if (memory.page_fd >= 0)
        close(memory.page_fd);
    if (memory.ring_fd >= 0)
        close(memory.ring_fd);
}

/* The driver does not take it: whoever waits is told, else the program. */
static void
refuse_session(struct dx_session *session, kern_return_t status, const char *sentence)
{
    struct dx_supervisor *const supervisor = session->supervisor;
    session->join = DX_JOIN_REFUSED;
    dx_log("%s: the driver does not take %s: %s", session->listing->uid,
           session->name ? session->name : "a session", sentence ? sentence : dx_return_string(status));
    if (session->open_ticket.program) {
        const struct dx_ticket ticket = session->open_ticket;
        session->open_ticket = (struct dx_ticket){0};
        dx_answer(supervisor, ticket, status, sentence, NULL, NULL, 0);
        dx_session_destroy(session);
        return;
    }
    dx_session_fail_start(session, status, sentence);
    struct dx_program *const program = dx_program_find(supervisor, session->program);
    OSDictionary *const event = program ? dx_event_create(DX_EVENT_NEW_DRIVER) : NULL;
    if (event && OSDictionarySetUInt64Value(event, DX_KEY_SESSION, session->number) &&
        OSDictionarySetUInt64Value(event, DX_KEY_STATUS, (uint32_t)status) &&
        OSDictionarySetStringValue(event, DX_KEY_ERROR, sentence ? sentence : dx_return_string(status)))
        dx_program_tell(program, event, NULL, 0);
    OSObjectRelease(event);
}

/* ---- join ---- */

/* @param ret_fd  of the driver's ring, the caller's to close(); not written where the session records nothing. */
static kern_return_t
take_ring(struct dx_session *session, struct dx_message *answer, int *ret_fd, dx_error *error)
{
    const uint64_t index = dx_wire_get_number(answer->body, "ring", DX_WIRE_MAX_FDS);
    const int fd = index < answer->fd_count ? answer->fds[index] : -1;
    return session->input == DX_NO_STREAM ? kIOReturnSuccess : dx_session_take_ring(session, fd, ret_fd, error);
}

/* Whether the driver that is asked is still the one that is there. */
static struct dx_session *
find_asked(struct dx_supervisor *supervisor, const struct dx_unit *unit, const struct dx_call_context *context)
{
    struct dx_session *const session = dx_session_find(supervisor, context->session);
    return session && session->listing->unit == unit && session->join_count == context->number ? session : NULL;
}

static void
join_done(struct dx_supervisor *supervisor, struct dx_unit *unit, const struct dx_call_context *context,
          kern_return_t status, const char *sentence, struct dx_message *answer)
{
    struct dx_session *const session = find_asked(supervisor, unit, context);
    if (!session || session->join != DX_JOIN_ASKED)
        return;
    if (!answer) { // of the end of its process the session would have been told before
        if (status == kIOReturnTimeout)
            dx_unit_kill(unit, "did not answer, and was killed");
        else if (unit->state == DX_UNIT_RUNNING) // it could not even be asked, which is not its fault
            refuse_session(session, status, sentence);
        return;
    }
    dx_error error = {""};
    int ring_fd = -1;
    if (status == kIOReturnSuccess) {
        status = take_ring(session, answer, &ring_fd, &error);
        sentence = error.message;
    }
    if (status != kIOReturnSuccess) {
        refuse_session(session, status, sentence);
        return;
    }
    session->join = DX_JOIN_DONE;
    const struct memory memory = {session->listing->incarnation, session->listing->page_fd, ring_fd,
                                  dx_wire_get_number(answer->body, "member", NO_MEMBER)};
    hand_over(session, &memory);
    if (ring_fd >= 0)
        close(ring_fd);
    if (session->is_running || session->start_ticket.program)
        dx_session_start(session);
    dx_listing_check_alone(session->listing);
}

static bool
describe_join(const struct dx_session *session, OSDictionary *request)
{
    return OSDictionarySetUInt64Value(request, DX_KEY_SESSION, session->number) &&
           OSDictionarySetStringValue(request, DX_KEY_UID, session->listing->uid) &&
           OSDictionarySetStringValue(request, DX_KEY_NAME, session->name ? session->name : "") &&
           OSDictionarySetUInt64Value(request, "pid", (uint64_t)session->pid) &&
           OSDictionarySetUInt64Value(request, "output", session->output) &&
           OSDictionarySetUInt64Value(request, "input", session->input) &&
           OSDictionarySetUInt64Value(request, "io-frames", session->io_frames) &&
           dx_wire_set_double(request, "gain-f64", session->gain) &&
           dx_wire_set_bool(request, "mute", session->is_muted) &&
           (session->lane_fd < 0 || OSDictionarySetUInt64Value(request, "lane", 0));
}

void
dx_session_join(struct dx_session *session)
{
    OSDictionary *request = dx_call_create(DX_OP_JOIN);
    if (request && !describe_join(session, request))
        OSSafeReleaseNULL(request);
    session->join = DX_JOIN_ASKED;
    const struct dx_call_context context = {.session = session->number, .number = ++session->join_count};
    dx_unit_call(session->listing->unit, request, &session->lane_fd, session->lane_fd >= 0 ? 1 : 0, join_done,
                 &context);
}

void
dx_session_join_again(struct dx_unit *unit, uint64_t number)
{
    struct dx_session *const session = dx_session_find(unit->supervisor, number);
    if (!session || session->listing->unit != unit || session->join != DX_JOIN_DONE)
        return;
    dx_session_lose_driver(session);
    dx_session_join(session);
}

/* ---- start ---- */

static void
start_done(struct dx_supervisor *supervisor, struct dx_unit *unit, const struct dx_call_context *context,
           kern_return_t status, const char *sentence, struct dx_message *answer)
{
    struct dx_session *const session = find_asked(supervisor, unit, context);
    if (!session || !session->is_start_asked)
        return;
    session->is_start_asked = false;
    if (!answer) {
        sentence = "the driver did not answer";
        status = kIOReturnNotResponding;
    }
    if (status != kIOReturnSuccess && session->start_ticket.program == 0)
        dx_log("%s: %s does not go on with the new driver: %s", session->listing->uid, session->name,
               sentence ? sentence : dx_return_string(status));
    session->is_running = status == kIOReturnSuccess;
    dx_loop_timer_clear(session->start_timer);
    dx_answer(supervisor, session->start_ticket, status, sentence, NULL, NULL, 0);
    session->start_ticket = (struct dx_ticket){0};
    dx_listing_changed(session->listing);
}

void
dx_session_start(struct dx_session *session)
{
    if (session->is_start_asked)
        return;
    OSDictionary *request = dx_call_create(DX_OP_START);
    if (request && !OSDictionarySetUInt64Value(request, DX_KEY_SESSION, session->number))
        OSSafeReleaseNULL(request);
    session->is_start_asked = true;
    if (session->start_timer)
        dx_loop_timer_clear(session->start_timer);
    const struct dx_call_context context = {.session = session->number, .number = session->join_count};
    dx_unit_call(session->listing->unit, request, NULL, 0, start_done, &context);
}

void
dx_session_tune(struct dx_session *session)
{
    OSDictionary *request = session->join == DX_JOIN_DONE ? dx_call_create(DX_OP_TUNE) : NULL;
    if (!request)
        return;
    if (!(OSDictionarySetUInt64Value(request, DX_KEY_SESSION, session->number) &&
          dx_wire_set_double(request, "gain-f64", session->gain) &&
          dx_wire_set_bool(request, "mute", session->is_muted)))
        OSSafeReleaseNULL(request);
    dx_unit_call(session->listing->unit, request, NULL, 0, NULL, NULL);
}
