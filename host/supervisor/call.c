// SPDX-License-Identifier: MIT
// What is asked of drivers, and who waits for the answer.

#include "host/supervisor/unit.h"

#include "host/error.h"
#include "host/protocol.h"
#include "host/supervisor/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define START_TIMEOUT_NS (5 * DX_NS_PER_S)   // for a driver to come
#define ANSWER_TIMEOUT_NS (30 * DX_NS_PER_S) // for its answer

/* Of a unit's calls for programs, and again of those that the supervisor makes itself, as of sessions. */
#define MAX_CALLS 4096u
#define MAX_WAITING_FDS 2048u // those of calls that have not been sent
/* Of those for one program. */
#define MAX_PROGRAM_CALLS 256u
#define MAX_PROGRAM_FDS 256u

struct dx_call {
    struct dx_call *next;
    struct dx_unit *unit;
    uint64_t id;
    OSDictionary *request; // +1 until it is sent
    int fds[DX_WIRE_MAX_FDS];
    uint32_t fd_count;
    struct dx_loop_timer *timer;
    dx_call_done done;
    struct dx_call_context context;
};

OSDictionary *
dx_call_create(const char *operation)
{
    OSDictionary *request = OSDictionaryCreate(8);
    if (request && !OSDictionarySetStringValue(request, DX_KEY_OPERATION, operation))
        OSSafeReleaseNULL(request);
    return request;
}

static void
close_fds(struct dx_call *call)
{
    for (uint32_t i = 0; i < call->fd_count; i++)
        close(call->fds[i]);
    call->fd_count = 0;
}

static void
free_call(struct dx_call *call)
{
    close_fds(call);
    OSObjectRelease(call->request);
    dx_loop_timer_destroy(call->timer);
    free(call);
}

static void
end_call(struct dx_call *call, kern_return_t status, const char *sentence, struct dx_message *answer)
{
    struct dx_unit *const unit = call->unit;
    for (struct dx_call **at = &unit->calls; *at; at = &(*at)->next) {
        if (*at == call) {
            *at = call->next;
            break;
        }
    }
    if (call->done)
        call->done(unit->supervisor, unit, &call->context, status, sentence, answer);
    free_call(call);
}

static void
call_is_late(void *context)
{
    struct dx_call *const call = context;
    if (call->request)
        end_call(call, kIOReturnTimeout, "no driver with the device came within 5 s", NULL);
    else
        end_call(call, kIOReturnTimeout, "the driver did not answer in time", NULL);
}

static void
send_call(struct dx_call *call)
{
    struct dx_unit *const unit = call->unit;
    const int r =
        unit->channel ? dx_channel_send(unit->channel, call->request, call->fds, call->fd_count) : -EPIPE;
    OSSafeReleaseNULL(call->request);
    close_fds(call);
    dx_loop_timer_set(call->timer, call->context.answer_ns ? call->context.answer_ns : ANSWER_TIMEOUT_NS);
    /* Of a connection that is lost the end of the process tells, or the time. */
    if (r == -EMSGSIZE)
        end_call(call, kIOReturnMessageTooLarge, "the request does not fit into a message", NULL);
    else if (r == -ENOMEM)
        end_call(call, kIOReturnNoMemory, "no memory to ask the driver", NULL);
    else if (r < 0 && r != -EPIPE && r != -ENOBUFS)
        end_call(call, kIOReturnNoResources, "no descriptor to ask the driver", NULL);
}

/* Copies of descriptors that may have to wait. */
static bool
keep_fds(struct dx_call *call, const int *fds, uint32_t fd_count)
{
    for (uint32_t i = 0; i < fd_count; i++) {
        const int copy = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
        if (copy < 0)
            return false;
        call->fds[call->fd_count++] = copy;
    }
    return true;
}

/* Whether one more may wait.  What one program asks keeps neither others from asking nor us. */
static kern_return_t
check_room(const struct dx_unit *unit, uint64_t program, uint32_t fd_count, dx_error *error)
{
    uint32_t calls = 0;
    uint32_t fds = fd_count;
    uint32_t all_calls = 0;
    uint32_t all_fds = fd_count;
    for (const struct dx_call *call = unit->calls; call; call = call->next) {
        const uint64_t other = call->context.ticket.program;
        if ((other != 0) != (program != 0))
            continue;
        all_calls++;
        all_fds += call->fd_count;
        calls += other == program;
        fds += other == program ? call->fd_count : 0;
    }
    if (program && (calls >= MAX_PROGRAM_CALLS || fds > MAX_PROGRAM_FDS))
        return dx_error_set(error, kIOReturnNoResources,
                            "the driver has not answered %u requests of this program, and no more may wait",
                            calls);
    if (all_calls >= MAX_CALLS || all_fds > MAX_WAITING_FDS)
        return dx_error_set(error, kIOReturnNoResources,
                            "the driver has not answered %u requests, and no more may wait", all_calls);
    return kIOReturnSuccess;
}

static struct dx_call *
create_call(struct dx_unit *unit, OSDictionary *request, const int *fds, uint32_t fd_count)
{
    struct dx_call *const call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->unit = unit;
    call->id = ++unit->last_call;
    call->request = OSObjectRetain(request);
    call->timer = dx_loop_timer_create(unit->supervisor->loop, call_is_late, call);
    if (!call->timer || fd_count > DX_WIRE_MAX_FDS || !keep_fds(call, fds, fd_count) ||
        !OSDictionarySetUInt64Value(request, DX_KEY_ID, call->id)) {
        free_call(call);
        return NULL;
    }
    return call;
}

static bool
can_be_sent(const struct dx_call *call)
{
    if (!call->request || call->unit->state != DX_UNIT_RUNNING)
        return false;
    const uint64_t number = call->context.listing;
    const struct dx_listing *const listing =
        number ? dx_listing_find_number(call->unit->supervisor, number) : NULL;
    return !listing || listing->has_driver;
}

void
dx_unit_call(struct dx_unit *unit, OSDictionary *request, const int *fds, uint32_t fd_count, dx_call_done done,
             const struct dx_call_context *context)
{
    const struct dx_call_context nobody = {0};
    dx_error error = {""};
    context = context ? context : &nobody;
    kern_return_t status = check_room(unit, context->ticket.program, fd_count, &error);
    struct dx_call *const call =
        status == kIOReturnSuccess && request ? create_call(unit, request, fds, fd_count) : NULL;
    OSObjectRelease(request);
    if (!call) {
        if (status == kIOReturnSuccess)
            status = dx_error_set(&error, kIOReturnNoMemory, "no memory or descriptor to ask the driver");
        if (done)
            done(unit->supervisor, unit, context, status, error.message, NULL);
        return;
    }
    call->done = done;
    call->context = *context;
    call->next = unit->calls;
    unit->calls = call;
    const uint64_t id = call->id;
    dx_loop_timer_set(call->timer, START_TIMEOUT_NS);
    if (!dx_unit_want(unit)) {
        /* Giving up has answered it where that was now. */
        if (unit->calls && unit->calls->id == id)
            end_call(call, unit->state == DX_UNIT_UNAPPROVED ? kIOReturnNotPermitted : kIOReturnNoDevice,
                     unit->why.message, NULL);
    } else if (can_be_sent(call)) {
        send_call(call);
    }
}

void
dx_unit_send_calls(struct dx_unit *unit)
{
    /* The oldest first: sending may end calls, and so each time from the start. */
    for (;;) {
        struct dx_call *oldest = NULL;
        for (struct dx_call *call = unit->calls; call; call = call->next)
            if (can_be_sent(call))
                oldest = call;
        if (!oldest)
            return;
        send_call(oldest);
    }
}

bool
dx_unit_take_answer(struct dx_unit *unit, struct dx_message *message)
{
    const uint64_t id = dx_wire_get_number(message->body, DX_KEY_ANSWER, 0);
    const kern_return_t status =
        (kern_return_t)dx_wire_get_number(message->body, DX_KEY_STATUS, kIOReturnIPCError);
    const char *const sentence = dx_wire_get_string(message->body, DX_KEY_ERROR);
    for (struct dx_call *call = unit->calls; call; call = call->next) {
        if (call->id == id && !call->request) {
            end_call(call, status, sentence, message);
            return true;
        }
    }
    return false;
}

void
dx_unit_end_calls(struct dx_unit *unit, bool only_sent, kern_return_t status, const char *sentence)
{
    /* What is asked meanwhile is for the next driver. */
    const uint64_t newest = unit->last_call;
    for (;;) {
        struct dx_call *found = NULL;
        for (struct dx_call *call = unit->calls; call; call = call->next)
            if (call->id <= newest && (!only_sent || !call->request))
                found = call;
        if (!found)
            return;
        end_call(found, status, sentence, NULL);
    }
}
