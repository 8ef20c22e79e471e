// SPDX-License-Identifier: MIT
// Connections of this program to drivers: calls through the supervisor, completions on the directory's thread.

#include "host/directory_state.h"
#include "host/error.h"
#include "host/protocol.h"
#include "host/user_client_wire.h"

#include <dextral/user_client.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(DX_DRIVER_CALL_SCALARS_MAX == (uint32_t)kIOUserClientScalarArrayCountMax, "one limit");
_Static_assert(DX_DRIVER_CALL_STRUCTURE_BYTES_MAX == DX_USER_CLIENT_STRUCTURE_BYTES_MAX, "one limit");

/* A driver that completes faster than the program takes it loses its connection. */
#define MAX_NEWS 4096u

/* An asynchronous call that may be completed.  What comes for it before it was answered waits for the answer. */
struct async_call {
    struct async_call *next;
    uint64_t number;
    dx_driver_completion completion;
    void *context;
    bool is_accepted;
    bool is_told; // it was completed at least once
};

/* Something to call a completion with. */
struct news {
    struct news *next;
    struct dx_user_client_completion what;
};

/* Everything is guarded by the directory's connection's lock, but for what says something else. */
struct dx_driver_connection {
    struct dx_driver_connection *next; // of all that are open
    dx_directory *directory;           // fixed
    uint64_t number;                   // as the supervisor knows it
    uint32_t references;               // the program's, and that of a completion under way
    bool is_over;                      // the driver or the supervisor is gone
    bool is_closed;                    // by the program
    uint64_t last_call;
    struct async_call *calls;
    struct news *news; // the oldest first
    uint32_t news_count;

    /* Held while completions are called, without the other lock; taken again by one that closes its connection. */
    pthread_mutex_t calling;
};

/* ---- calls and news, with the lock ---- */

static struct async_call **
find_call(struct dx_driver_connection *connection, uint64_t number)
{
    struct async_call **at = &connection->calls;
    while (*at && (*at)->number != number)
        at = &(*at)->next;
    return at;
}

static void
drop_call(struct dx_driver_connection *connection, uint64_t number)
{
    struct async_call **const at = find_call(connection, number);
    struct async_call *const call = *at;
    if (!call)
        return;
    *at = call->next;
    free(call);
    for (struct news **link = &connection->news; *link;) {
        struct news *const news = *link;
        if (news->what.call == number) {
            *link = news->next;
            connection->news_count--;
            free(news);
        } else {
            link = &news->next;
        }
    }
}

static void
add_news(struct dx_driver_connection *connection, const struct dx_user_client_completion *what)
{
    struct news *const news = malloc(sizeof *news);
    if (!news)
        return; // nobody is told of it
    *news = (struct news){.what = *what};
    struct news **link = &connection->news;
    while (*link)
        link = &(*link)->next;
    *link = news;
    connection->news_count++;
}

/* The driver is gone, or the supervisor: each call that could still be completed is aborted. */
static void
end_connection(struct dx_driver_connection *connection)
{
    if (connection->is_over)
        return;
    connection->is_over = true;
    for (struct async_call *call = connection->calls; call; call = call->next) {
        const struct dx_user_client_completion what = {
            .call = call->number, .is_given_up = true, .status = kIOReturnAborted};
        add_news(connection, &what);
    }
}

void
dx_remote_user_clients_take(dx_directory *directory, const OSDictionary *body)
{
    struct dx_user_client_completion what;
    if (dx_user_client_completion_read(body, &what, NULL) != kIOReturnSuccess)
        return;
    struct dx_driver_connection *connection = directory->driver_connections;
    while (connection && connection->number != what.connection)
        connection = connection->next;
    if (!connection || connection->is_over)
        return;
    if (what.call == 0 || connection->news_count >= MAX_NEWS)
        end_connection(connection);
    else if (*find_call(connection, what.call))
        add_news(connection, &what);
}

void
dx_remote_user_clients_end(dx_directory *directory)
{
    for (struct dx_driver_connection *c = directory->driver_connections; c; c = c->next)
        end_connection(c);
}

/* ---- telling ---- */

/* Takes the oldest news of an accepted call; false: there is none. */
static bool
take_news(struct dx_driver_connection *connection, struct dx_user_client_completion *ret_what,
          struct async_call *ret_call)
{
    for (struct news **link = &connection->news; *link; link = &(*link)->next) {
        struct news *const news = *link;
        struct async_call *const call = *find_call(connection, news->what.call);
        if (!call->is_accepted)
            continue;
        *ret_what = news->what;
        *ret_call = *call;
        *link = news->next;
        connection->news_count--;
        free(news);
        call->is_told = true;
        if (ret_what->is_given_up)
            drop_call(connection, ret_call->number);
        return true;
    }
    return false;
}

static void
free_connection(struct dx_driver_connection *connection)
{
    while (connection->calls)
        drop_call(connection, connection->calls->number);
    (void)pthread_mutex_destroy(&connection->calling);
    free(connection);
}

/* With the lock. */
static void
release_connection(struct dx_driver_connection *connection)
{
    if (--connection->references == 0)
        free_connection(connection);
}

static void
call_completion(const struct async_call *call, const struct dx_user_client_completion *what)
{
    if (!what->is_given_up)
        call->completion(call->context, what->status, what->arguments, what->argument_count);
    else if (!call->is_told || what->status == kIOReturnAborted)
        call->completion(call->context, kIOReturnAborted, NULL, 0);
}

/* Without the lock: one of them, and whether there was any. */
static bool
tell_one(dx_directory *directory)
{
    struct dx_user_client_completion what;
    struct async_call call;
    dx_connection_lock(directory->connection);
    struct dx_driver_connection *connection = directory->driver_connections;
    while (connection && !take_news(connection, &what, &call))
        connection = connection->next;
    if (connection)
        connection->references++;
    dx_connection_unlock(directory->connection);
    if (!connection)
        return false;

    (void)pthread_mutex_lock(&connection->calling); // fails for a mutex that is none
    dx_connection_lock(directory->connection);
    const bool is_closed = connection->is_closed;
    dx_connection_unlock(directory->connection);
    if (!is_closed)
        call_completion(&call, &what);
    (void)pthread_mutex_unlock(&connection->calling);
    dx_connection_lock(directory->connection);
    release_connection(connection);
    dx_connection_unlock(directory->connection);
    return true;
}

void
dx_remote_user_clients_tell(dx_directory *directory)
{
    while (tell_one(directory))
        ;
}

/* ---- asking ---- */

/* What a request is about, for its answer. */
struct asked {
    struct dx_driver_connection *connection;
    uint64_t call; // 0: none
};

/* @param body  taken; NULL: there was no memory for it. */
static kern_return_t
ask(dx_directory *directory, const char *operation, OSDictionary *body, int fd,
    void (*answered)(void *context, kern_return_t status, struct dx_message *answer), struct asked *asked,
    struct dx_message *ret_answer, dx_error *error)
{
    const struct dx_request request = {
        .operation = operation,
        .body = body,
        .fds = &fd,
        .fd_count = fd >= 0,
        .answered = answered,
        .context = asked,
    };
    const kern_return_t status = dx_connection_request(directory->connection, &request, ret_answer, error);
    OSObjectRelease(body);
    return status;
}

/* A request's body for a connection that is not over; NULL without memory. */
static OSDictionary *
create_body(const struct dx_driver_connection *connection)
{
    OSDictionary *body = OSDictionaryCreate(8);
    if (body && !OSDictionarySetUInt64Value(body, "connection", connection->number))
        OSSafeReleaseNULL(body);
    return body;
}

/* Whether it can be used; kIOReturnNotAttached. */
static kern_return_t
check_connection(struct dx_driver_connection *connection, dx_error *error)
{
    struct dx_connection *const lower = connection->directory->connection;
    if (dx_connection_is_forked(lower))
        return dx_error_set(error, kIOReturnNotAttached, "the connection belongs to the parent process");
    dx_connection_lock(lower);
    const bool is_over = connection->is_over;
    dx_connection_unlock(lower);
    return is_over ? dx_error_set(error, kIOReturnNotAttached,
                                  "the driver has ended, or the supervisor has: open another connection")
                   : kIOReturnSuccess;
}

/* ---- opening and closing ---- */

static struct dx_driver_connection *
create_connection(dx_directory *directory)
{
    struct dx_driver_connection *const connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    connection->directory = directory;
    connection->references = 1;
    pthread_mutexattr_t attributes;
    (void)pthread_mutexattr_init(&attributes);                             // none of these
    (void)pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE); // can fail
    (void)pthread_mutex_init(&connection->calling, &attributes);           // on Linux
    (void)pthread_mutexattr_destroy(&attributes);
    return connection;
}

/* In its order among events: what comes next may be about this connection.  With the lock. */
static void
opened(void *context, kern_return_t status, struct dx_message *answer)
{
    const struct asked *const asked = context;
    if (status != kIOReturnSuccess)
        return;
    struct dx_driver_connection *const connection = asked->connection;
    connection->number = dx_wire_get_number(answer->body, "connection", 0);
    connection->next = connection->directory->driver_connections;
    connection->directory->driver_connections = connection;
}

kern_return_t
dx_driver_connection_open(dx_directory *directory, const char *bundle, const char *uid, uint32_t type,
                          dx_driver_connection **ret_connection, dx_error *error)
{
    if (!directory || !ret_connection || !bundle == !uid)
        return dx_error_set(error, kIOReturnBadArgument,
                            "a driver is named by its bundle, or by one of its devices");
    struct dx_driver_connection *const connection = create_connection(directory);
    OSDictionary *body = OSDictionaryCreate(8);
    if (body && !(OSDictionarySetStringValue(body, bundle ? "bundle" : DX_KEY_UID, bundle ? bundle : uid) &&
                  OSDictionarySetUInt64Value(body, "type", type)))
        OSSafeReleaseNULL(body);
    if (!connection) {
        OSObjectRelease(body);
        return dx_error_set(error, kIOReturnNoMemory, "no memory");
    }
    struct asked asked = {.connection = connection};
    const kern_return_t status = ask(directory, DX_OP_USER_CLIENT_OPEN, body, -1, opened, &asked, NULL, error);
    if (status == kIOReturnSuccess)
        *ret_connection = connection;
    else
        free_connection(connection);
    return status;
}

static void
unlink_connection(const struct dx_driver_connection *connection)
{
    struct dx_driver_connection **link = &connection->directory->driver_connections;
    while (*link && *link != connection)
        link = &(*link)->next;
    if (*link)
        *link = connection->next;
}

void
dx_driver_connection_close(dx_driver_connection *connection)
{
    if (!connection)
        return;
    dx_directory *const directory = connection->directory;
    if (dx_connection_is_forked(directory->connection)) { // nobody knows who had the locks
        unlink_connection(connection);
        free_connection(connection);
        return;
    }
    dx_connection_lock(directory->connection);
    unlink_connection(connection);
    connection->is_closed = true;
    const bool is_over = connection->is_over;
    dx_connection_unlock(directory->connection);
    (void)pthread_mutex_lock(&connection->calling); // none is running from here on
    (void)pthread_mutex_unlock(&connection->calling);
    if (!is_over)
        (void)ask(directory, DX_OP_USER_CLIENT_CLOSE, create_body(connection), -1, NULL, NULL, NULL, NULL);
    dx_connection_lock(directory->connection);
    release_connection(connection);
    dx_connection_unlock(directory->connection);
}

/* ---- calling ---- */

static bool
is_call_sane(const dx_driver_call *call)
{
    return (!call->size || call->size == sizeof *call) && !call->reserved &&
           call->scalar_input_count <= DX_DRIVER_CALL_SCALARS_MAX &&
           call->scalar_output_count <= DX_DRIVER_CALL_SCALARS_MAX &&
           call->structure_input_bytes <= DX_DRIVER_CALL_STRUCTURE_BYTES_MAX &&
           call->structure_output_bytes <= DX_DRIVER_CALL_STRUCTURE_BYTES_MAX &&
           (!call->scalar_input_count || call->scalar_input) &&
           (!call->scalar_output_count || call->scalar_output) &&
           (!call->structure_input_bytes || call->structure_input) &&
           (!call->structure_output_bytes || call->structure_output);
}

/* Makes a call known before it is sent; 0: it is synchronous, or there is no memory. */
static uint64_t
add_call(struct dx_driver_connection *connection, const dx_driver_call *call)
{
    struct async_call *const added = call->completion ? calloc(1, sizeof *added) : NULL;
    if (!added)
        return 0;
    added->completion = call->completion;
    added->context = call->completion_context;
    dx_connection_lock(connection->directory->connection);
    added->number = ++connection->last_call;
    added->next = connection->calls;
    connection->calls = added;
    dx_connection_unlock(connection->directory->connection);
    return added->number;
}

/* With the lock. */
static void
answered_call(void *context, kern_return_t status, struct dx_message *answer)
{
    (void)answer;
    const struct asked *const asked = context;
    struct async_call *const call = *find_call(asked->connection, asked->call);
    if (call)
        call->is_accepted = status == kIOReturnSuccess;
}

/* The body of a call, and memory for a long structure. */
static kern_return_t
write_call(const struct dx_driver_connection *connection, uint64_t selector, const dx_driver_call *call,
           uint64_t number, OSDictionary **ret_body, int *ret_fd)
{
    struct dx_user_client_call out = {
        .connection = connection->number,
        .selector = selector,
        .call = number,
        .scalar_room = call->scalar_output_count,
        .structure_room = (uint32_t)call->structure_output_bytes,
        .in = {.scalar_count = call->scalar_input_count, .structure_bytes = (uint32_t)call->structure_input_bytes},
    };
    OSData *structure = NULL;
    if (out.in.scalar_count)
        memcpy(out.in.scalars, call->scalar_input, out.in.scalar_count * sizeof out.in.scalars[0]);
    if (call->structure_input_bytes > DX_USER_CLIENT_INLINE_BYTES) {
        *ret_fd = dx_user_client_memory_create(call->structure_input, call->structure_input_bytes);
        if (*ret_fd < 0)
            return kIOReturnNoMemory;
    } else if (call->structure_input_bytes) {
        structure = OSDataCreate(call->structure_input, call->structure_input_bytes);
        if (!structure)
            return kIOReturnNoMemory;
    }
    out.in.structure = structure;
    *ret_body = OSDictionaryCreate(12);
    if (*ret_body && !dx_user_client_call_write(&out, *ret_body))
        OSSafeReleaseNULL(*ret_body);
    OSObjectRelease(structure);
    return *ret_body ? kIOReturnSuccess : kIOReturnNoMemory;
}

static kern_return_t
read_answer(const struct dx_message *answer, dx_driver_call *call, dx_error *error)
{
    struct dx_user_client_values in;
    if (dx_user_client_values_read(answer->body, answer->fd_count, &in, error) != kIOReturnSuccess)
        return kIOReturnInternalError;
    if (in.scalar_count > call->scalar_output_count || in.structure_bytes > call->structure_output_bytes)
        return dx_error_set(error, kIOReturnInternalError, "the answer has more than there is room for");
    if (in.structure && in.structure_bytes)
        memcpy(call->structure_output, OSDataGetBytesNoCopy(in.structure), in.structure_bytes);
    else if (in.structure_bytes &&
             dx_user_client_memory_copy(answer->fds[in.memory], call->structure_output, in.structure_bytes) != 0)
        return dx_error_set(error, kIOReturnInternalError, "the answer's memory is no sealed memfd of %u bytes",
                            in.structure_bytes);
    if (in.scalar_count)
        memcpy(call->scalar_output, in.scalars, in.scalar_count * sizeof in.scalars[0]);
    call->scalar_output_count = in.scalar_count;
    call->structure_output_bytes = in.structure_bytes;
    return kIOReturnSuccess;
}

kern_return_t
dx_driver_connection_call(dx_driver_connection *connection, uint64_t selector, dx_driver_call *call,
                          dx_error *error)
{
    if (!connection || !call || !is_call_sane(call))
        return dx_error_set(error, kIOReturnBadArgument,
                            "the call has more than its limits, or a count without an address");
    kern_return_t status = check_connection(connection, error);
    if (status != kIOReturnSuccess)
        return status;
    struct asked asked = {.connection = connection, .call = add_call(connection, call)};
    struct dx_message answer = {0};
    OSDictionary *body = NULL;
    int fd = -1;
    status = call->completion && !asked.call ? kIOReturnNoMemory
                                             : write_call(connection, selector, call, asked.call, &body, &fd);
    if (status == kIOReturnSuccess)
        status =
            ask(connection->directory, DX_OP_USER_CLIENT_CALL, body, fd, answered_call, &asked, &answer, error);
    else
        (void)dx_error_set(error, status, "no memory, or no descriptor, for the call");
    if (status == kIOReturnSuccess)
        status = read_answer(&answer, call, error);
    if (status != kIOReturnSuccess) {
        dx_connection_lock(connection->directory->connection);
        drop_call(connection, asked.call);
        dx_connection_unlock(connection->directory->connection);
    }
    dx_message_finish(&answer);
    if (fd >= 0)
        close(fd);
    return status;
}

/* ---- mapping ---- */

static kern_return_t
map_answer(const struct dx_message *answer, uint64_t *ret_options, IOMemoryMap **ret_map, dx_error *error)
{
    const uint64_t index = dx_wire_get_number(answer->body, "memory", DX_WIRE_MAX_FDS);
    const uint64_t options = dx_wire_get_number(answer->body, "options", 0) & kIOUserClientMemoryReadOnly;
    IOMemoryDescriptor *memory = NULL;
    if (index >= answer->fd_count)
        return dx_error_set(error, kIOReturnInternalError, "the answer brings no memory");
    kern_return_t status = dx_memory_descriptor_create_from_fd(
        answer->fds[index], 0, dx_wire_get_number(answer->body, "bytes", 0), kIOMemoryDirectionInOut, &memory);
    if (status == kIOReturnSuccess)
        status = IOMemoryDescriptorCreateMapping(memory, options ? kIOMemoryMapReadOnly : 0, 0, 0, 0, 0, ret_map);
    OSObjectRelease(memory);
    if (status != kIOReturnSuccess)
        return dx_error_set(error, status, "the driver's memory cannot be mapped: %s", dx_return_string(status));
    if (ret_options)
        *ret_options = options;
    return kIOReturnSuccess;
}

kern_return_t
dx_driver_connection_map(dx_driver_connection *connection, uint64_t type, uint64_t *ret_options,
                         IOMemoryMap **ret_map, dx_error *error)
{
    if (!connection || !ret_map)
        return dx_error_set(error, kIOReturnBadArgument, "no connection, or nowhere to put the map");
    kern_return_t status = check_connection(connection, error);
    if (status != kIOReturnSuccess)
        return status;
    OSDictionary *body = create_body(connection);
    if (body && !OSDictionarySetUInt64Value(body, "type", type))
        OSSafeReleaseNULL(body);
    struct dx_message answer = {0};
    status = ask(connection->directory, DX_OP_USER_CLIENT_MAP, body, -1, NULL, NULL, &answer, error);
    if (status == kIOReturnSuccess)
        status = map_answer(&answer, ret_options, ret_map, error);
    dx_message_finish(&answer);
    return status;
}
