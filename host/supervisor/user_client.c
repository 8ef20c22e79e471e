// SPDX-License-Identifier: MIT
// Programs' connections to drivers: opened as the user allows, passed on.

#include "host/supervisor/user_client.h"

#include "core/clock.h"
#include "core/pages.h"
#include "host/error.h"
#include "host/protocol.h"
#include "host/supervisor/bundles.h"
#include "host/supervisor/listing.h"
#include "host/supervisor/memory.h"

#include <dextral/IOUserClient.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_USER_CLIENTS 1024u

/* Numbers of connections are ours, so that no program can name another one's. */
struct dx_user_client {
    struct dx_user_client *next;
    uint64_t number;
    uint64_t program;
    uint64_t unit;
    uint64_t driver_number; // as the driver knows it
};

static struct dx_user_client *
find_client(struct dx_supervisor *supervisor, uint64_t number)
{
    for (struct dx_user_client *client = supervisor->user_clients; client; client = client->next)
        if (client->number == number)
            return client;
    return NULL;
}

static uint32_t
count_clients(const struct dx_supervisor *supervisor)
{
    uint32_t count = 0;
    for (const struct dx_user_client *client = supervisor->user_clients; client; client = client->next)
        count++;
    return count;
}

bool
dx_unit_has_user_clients(const struct dx_unit *unit)
{
    for (const struct dx_user_client *client = unit->supervisor->user_clients; client; client = client->next)
        if (client->unit == unit->number)
            return true;
    return false;
}

static void
remove_client(struct dx_supervisor *supervisor, const struct dx_user_client *client)
{
    for (struct dx_user_client **at = &supervisor->user_clients; *at; at = &(*at)->next) {
        if (*at == client) {
            struct dx_user_client *const removed = *at;
            *at = removed->next;
            free(removed);
            return;
        }
    }
}

/* ---- leaving ---- */

static OSDictionary *
create_close(uint64_t driver_number)
{
    OSDictionary *call = dx_call_create(DX_OP_USER_CLIENT_CLOSE);
    if (call && !OSDictionarySetUInt64Value(call, "connection", driver_number))
        OSSafeReleaseNULL(call);
    return call;
}

static void
close_client(struct dx_supervisor *supervisor, struct dx_user_client *client)
{
    struct dx_unit *const unit = dx_unit_find_number(supervisor, client->unit);
    const uint64_t driver_number = client->driver_number;
    remove_client(supervisor, client);
    if (unit && unit->state == DX_UNIT_RUNNING)
        dx_unit_call(unit, create_close(driver_number), NULL, 0, NULL, NULL);
    if (unit)
        dx_unit_check_idle(unit);
}

void
dx_user_clients_leave_program(struct dx_supervisor *supervisor, uint64_t program)
{
    for (struct dx_user_client *client = supervisor->user_clients, *next; client; client = next) {
        next = client->next;
        if (client->program == program)
            close_client(supervisor, client);
    }
}

/* A completion without a call: none comes any more. */
static void
tell_end(struct dx_supervisor *supervisor, const struct dx_user_client *client)
{
    struct dx_program *const program = dx_program_find(supervisor, client->program);
    OSDictionary *const event = program ? dx_event_create(DX_EVENT_COMPLETION) : NULL;
    if (event && OSDictionarySetUInt64Value(event, "connection", client->number))
        dx_program_tell(program, event, NULL, 0);
    OSObjectRelease(event);
}

void
dx_user_clients_leave_unit(struct dx_unit *unit)
{
    for (struct dx_user_client *client = unit->supervisor->user_clients, *next; client; client = next) {
        next = client->next;
        if (client->unit != unit->number)
            continue;
        tell_end(unit->supervisor, client);
        remove_client(unit->supervisor, client);
    }
}

void
dx_user_client_complete(struct dx_unit *unit, struct dx_message *message)
{
    const uint64_t number = dx_wire_get_number(message->body, "connection", 0);
    for (const struct dx_user_client *client = unit->supervisor->user_clients; client; client = client->next) {
        if (client->unit != unit->number || client->driver_number != number)
            continue;
        struct dx_program *const program = dx_program_find(unit->supervisor, client->program);
        if (program && OSDictionarySetUInt64Value(message->body, "connection", client->number))
            dx_program_tell(program, message->body, NULL, 0);
        return;
    }
}

/* ---- open ---- */

/* Which unit a request means: that of a device, or the first of a bundle. */
static struct dx_unit *
find_unit(struct dx_supervisor *supervisor, const OSDictionary *body)
{
    const char *const uid = dx_wire_get_string(body, DX_KEY_UID);
    const char *const bundle = dx_wire_get_string(body, "bundle");
    if (uid) {
        const struct dx_listing *const listing = dx_listing_find(supervisor, uid);
        return listing ? listing->unit : NULL;
    }
    return bundle ? dx_bundles_find_unit(supervisor, bundle) : NULL;
}

/* A bundle that is there and was not approved has none. */
static kern_return_t
explain_no_unit(struct dx_supervisor *supervisor, const OSDictionary *body, dx_error *error)
{
    const char *const bundle = dx_wire_get_string(body, "bundle");
    const struct dx_bundle_entry *const entry = bundle ? dx_catalogue_find(&supervisor->catalogue, bundle) : NULL;
    if (entry && !dx_approvals_allow(supervisor->approvals, entry, error))
        return kIOReturnNotPermitted;
    return dx_error_set(error, kIOReturnNotFound, "there is no such device or bundle");
}

/* The file that a program's process runs.  It is consent that is asked for here, not a border. */
static bool
read_program_path(const struct dx_program *program, char *path, size_t size)
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/%ld/exe", (long)program->pid);
    const ssize_t length = readlink(link, path, size - 1);
    if (length <= 0)
        return false;
    path[length] = '\0';
    return true;
}

static kern_return_t
check_consent(struct dx_supervisor *supervisor, const struct dx_unit *unit, const struct dx_program *program,
              dx_error *error)
{
    char path[PATH_MAX];
    if (!read_program_path(program, path, sizeof path))
        return dx_error_set(error, kIOReturnNotPermitted, "which file process %ld runs cannot be seen: %s",
                            (long)program->pid, strerror(errno));
    const struct dx_bundle_entry *const entry = dx_catalogue_find(&supervisor->catalogue, unit->identifier);
    if (!entry)
        return dx_error_set(error, kIOReturnNotPermitted, "%s has no user clients that programs may open",
                            unit->key);
    return dx_approvals_allow_user_client(supervisor->approvals, entry, path, error) ? kIOReturnSuccess
                                                                                     : kIOReturnNotPermitted;
}

/* Random, so that a number of an earlier supervisor means nothing here. */
static uint64_t
choose_number(struct dx_supervisor *supervisor)
{
    uint64_t number;
    do
        number = dx_clock_random(dx_clock_host());
    while (!number || find_client(supervisor, number));
    return number;
}

static void
open_done(struct dx_supervisor *supervisor, struct dx_unit *unit, const struct dx_call_context *context,
          kern_return_t status, const char *sentence, struct dx_message *answer)
{
    const uint64_t driver_number = answer ? dx_wire_get_number(answer->body, "connection", 0) : 0;
    struct dx_user_client *client = NULL;
    OSDictionary *body = NULL;
    const bool is_awaited = dx_program_find(supervisor, context->ticket.program) != NULL;
    if (status == kIOReturnSuccess && is_awaited) {
        client = calloc(1, sizeof *client);
        body = OSDictionaryCreate(4);
        const uint64_t number = choose_number(supervisor);
        if (client && body && OSDictionarySetUInt64Value(body, "connection", number)) {
            *client = (struct dx_user_client){supervisor->user_clients, number, context->ticket.program,
                                              unit->number, driver_number};
            supervisor->user_clients = client;
        } else {
            status = kIOReturnNoMemory;
            free(client);
            client = NULL;
        }
    }
    if (answer && !client && driver_number)
        dx_unit_call(unit, create_close(driver_number), NULL, 0, NULL, NULL); // nobody has it
    dx_answer(supervisor, context->ticket, status, sentence, body, NULL, 0);
    dx_unit_check_idle(unit);
}

void
dx_request_user_client_open(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    dx_error error = {""};
    kern_return_t status = kIOReturnSuccess;
    struct dx_unit *const unit = find_unit(supervisor, request->body);
    if (!unit)
        status = explain_no_unit(supervisor, request->body, &error);
    else if (count_clients(supervisor) >= MAX_USER_CLIENTS)
        status = dx_error_set(&error, kIOReturnNoResources, "there are %u user clients, and no more are allowed",
                              MAX_USER_CLIENTS);
    else
        status = check_consent(supervisor, unit, request->program, &error);
    if (status != kIOReturnSuccess) {
        dx_answer(supervisor, request->ticket, status, error.message, NULL, NULL, 0);
        return;
    }
    OSDictionary *call = dx_call_create(DX_OP_USER_CLIENT_OPEN);
    const char *const uid = dx_wire_get_string(request->body, DX_KEY_UID);
    if (call && (!OSDictionarySetUInt64Value(call, "type", dx_wire_get_number(request->body, "type", 0)) ||
                 (uid && !OSDictionarySetStringValue(call, DX_KEY_UID, uid))))
        OSSafeReleaseNULL(call);
    const struct dx_listing *const listing = uid ? dx_listing_find(supervisor, uid) : NULL;
    const struct dx_call_context context = {.ticket = request->ticket, .listing = listing ? listing->number : 0};
    dx_unit_call(unit, call, NULL, 0, open_done, &context);
}

/* ---- call, map, close ---- */

/* Memory that a program maps must not shrink under it, and what is to be read alone cannot be written. */
static kern_return_t
check_memory(struct dx_message *answer, dx_error *error)
{
    const uint64_t index = dx_wire_get_number(answer->body, "memory", DX_WIRE_MAX_FDS);
    const uint64_t options = dx_wire_get_number(answer->body, "options", 0);
    uint64_t bytes;
    if (index >= answer->fd_count)
        return kIOReturnSuccess; // an answer without memory
    if (!(options & kIOUserClientMemoryReadOnly))
        return dx_pages_check(answer->fds[index], &bytes) == 0
                   ? kIOReturnSuccess
                   : dx_error_set(error, kIOReturnInternalError,
                                  "the driver's memory is not sealed against shrinking");
    const kern_return_t status = dx_memory_seal(answer->fds[index], "driver's memory", DX_LANE_MAX_BYTES, error);
    const int again = status == kIOReturnSuccess ? dx_memory_reopen(answer->fds[index]) : -1;
    if (again < 0)
        return status != kIOReturnSuccess
                   ? status
                   : dx_error_set(error, kIOReturnNoResources, "no descriptor for the memory");
    close(answer->fds[index]);
    answer->fds[index] = again;
    return kIOReturnSuccess;
}

static void
call_done(struct dx_supervisor *supervisor, struct dx_unit *unit, const struct dx_call_context *context,
          kern_return_t status, const char *sentence, struct dx_message *answer)
{
    (void)unit;
    dx_error error = {""};
    if (answer && status == kIOReturnSuccess) {
        status = check_memory(answer, &error);
        sentence = error.message;
    }
    const bool is_passed_on = answer && (status == kIOReturnSuccess || sentence != error.message);
    OSDictionary *const body = is_passed_on ? OSDictionaryCreateWithDictionary(answer->body) : NULL;
    dx_answer(supervisor, context->ticket, status, sentence, body, is_passed_on ? answer->fds : NULL,
              body ? answer->fd_count : 0);
}

static struct dx_user_client *
find_own_client(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    struct dx_user_client *const client =
        find_client(supervisor, dx_wire_get_number(request->body, "connection", 0));
    if (client && client->program == request->program->number)
        return client;
    dx_answer(supervisor, request->ticket, kIOReturnNotOpen,
              "there is no such connection: its driver may have ended since", NULL, NULL, 0);
    return NULL;
}

void
dx_request_user_client_call(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    const struct dx_user_client *const client = find_own_client(supervisor, request);
    struct dx_unit *const unit = client ? dx_unit_find_number(supervisor, client->unit) : NULL;
    if (!unit)
        return;
    OSDictionary *call = OSDictionaryCreateWithDictionary(request->body);
    if (call && !OSDictionarySetUInt64Value(call, "connection", client->driver_number))
        OSSafeReleaseNULL(call);
    const struct dx_call_context context = {.ticket = request->ticket};
    dx_unit_call(unit, call, request->message->fds, request->message->fd_count, call_done, &context);
}

void
dx_request_user_client_close(struct dx_supervisor *supervisor, const struct dx_request *request)
{
    struct dx_user_client *const client = find_own_client(supervisor, request);
    if (!client)
        return;
    close_client(supervisor, client);
    dx_answer(supervisor, request->ticket, kIOReturnSuccess, NULL, NULL, NULL, 0);
}
