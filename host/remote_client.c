// SPDX-License-Identifier: MIT
// Clients of devices of the machine: sessions, and the memory that they share with a driver.

#include "host/directory_state.h"

#include "core/clock.h"
#include "host/describe.h"
#include "host/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a driver process, where its description does not say. */
#define DEFAULT_IO_FRAMES 512u
#define DEFAULT_IO_PRIORITY 80
#define LARGEST_IO_FRAMES (1u << 20)

/* Which session an answer is about: it may be gone when the answer comes. */
struct claim {
    dx_directory *directory;
    uint64_t number;
    kern_return_t status; // of the memory that came
};

static struct dx_remote_session *
find_session(const dx_directory *directory, uint64_t number)
{
    struct dx_remote_session *session = directory->sessions;
    while (session && session->number != number)
        session = session->next;
    return session;
}

static void
cut_off(struct dx_remote_session *session)
{
    atomic_store_explicit(&session->client->is_cut_off, true, memory_order_relaxed); // nothing comes with it
}

/* ---- the memory of a driver ---- */

static kern_return_t
status_from_errno(int r)
{
    switch (r) {
    case 0:
        return kIOReturnSuccess;
    case -ENOMEM:
    case -EMFILE:
    case -ENFILE:
        return kIOReturnNoMemory;
    case -EPROTO: // of another version
        return kIOReturnUnsupported;
    case -EPERM: // not sealed: its owner could take it away under us
        return kIOReturnNotPermitted;
    default: // not what it should be, or nothing
        return kIOReturnInternalError;
    }
}

/* Takes a descriptor that a message names; -1: there is none. */
static int
take_fd(struct dx_message *message, const char *key)
{
    const uint64_t index = dx_wire_get_number(message->body, key, UINT32_MAX);
    return index < UINT32_MAX ? dx_message_take_fd(message, (uint32_t)index) : -1;
}

/* Puts a page in the place of the one before.  Each of a device's sessions is told of it. */
static kern_return_t
map_page(struct dx_remote_device *device, int fd)
{
    struct stat file;
    if (fd < 0 || fstat(fd, &file) < 0)
        return kIOReturnInternalError;
    if (device->page_file == file.st_ino)
        return kIOReturnSuccess;
    /* The places of the new page are another driver's. */
    for (struct dx_remote_session *session = device->directory->sessions; session; session = session->next)
        if (session->device == device)
            dx_client_set_counters(session->client, NULL);
    const struct dx_device_page *page;
    const int r = dx_device_page_map(fd, device->device.page, &page);
    if (r == 0)
        device->page_file = file.st_ino;
    return status_from_errno(r);
}

static kern_return_t
add_ring(struct dx_remote_session *session, int fd)
{
    struct dx_remote_ring *const ring = calloc(1, sizeof *ring);
    if (!ring)
        return kIOReturnNoMemory;
    const int r = dx_lane_open(fd, NULL, &ring->lane);
    const bool fits = r == 0 && ring->lane.bytes_per_frame == session->client->input_bytes_per_frame;
    if (!fits) {
        dx_lane_finish(&ring->lane);
        free(ring);
        return r < 0 ? status_from_errno(r) : kIOReturnUnsupportedMode;
    }
    ring->next = session->rings;
    session->rings = ring;
    /* release: pairs with the acquire in dx_client_ring(). */
    atomic_store_explicit(&session->client->ring, &ring->lane, memory_order_release);
    return kIOReturnSuccess;
}

static kern_return_t
map_ring(struct dx_remote_session *session, int fd)
{
    if (fd < 0)
        return kIOReturnInternalError;
    struct dx_lane lane; // the one that is there, mapped anew
    const int r = session->rings ? dx_lane_open(fd, &session->rings->lane, &lane) : -ESTALE;
    return r == -ESTALE ? add_ring(session, fd) : status_from_errno(r);
}

/* Takes in what an answer to `open` or a new driver brings.  With the lock. */
static kern_return_t
take_memory(struct dx_remote_session *session, struct dx_message *message)
{
    const int page_fd = take_fd(message, "page");
    const int ring_fd = take_fd(message, "ring");
    kern_return_t status = map_page(session->device, page_fd);
    if (status == kIOReturnSuccess && session->client->has_input)
        status = map_ring(session, ring_fd);
    const uint64_t member = dx_wire_get_number(message->body, "member", DX_DEVICE_PAGE_MEMBERS);
    if (status == kIOReturnSuccess)
        dx_client_set_counters(session->client, member < DX_DEVICE_PAGE_MEMBERS
                                                    ? &session->device->device.page->members[member]
                                                    : NULL);
    if (page_fd >= 0)
        close(page_fd);
    if (ring_fd >= 0)
        close(ring_fd);
    return status;
}

void
dx_remote_new_driver(dx_directory *directory, struct dx_message *message)
{
    struct dx_remote_session *const session =
        find_session(directory, dx_wire_get_number(message->body, DX_KEY_SESSION, 0));
    if (!session)
        return;
    const bool is_refused = dx_wire_get_number(message->body, DX_KEY_STATUS, 0) != kIOReturnSuccess;
    if (is_refused || take_memory(session, message) != kIOReturnSuccess)
        cut_off(session);
}

/* ---- opening ---- */

/* Of numbers that somebody else wrote. */
static uint32_t
get_io_frames(const OSDictionary *description, const char *key, uint32_t fallback)
{
    const uint64_t frames = dx_wire_get_number(description, key, fallback);
    return frames <= LARGEST_IO_FRAMES ? (uint32_t)frames : fallback;
}

static struct dx_client_defaults
find_defaults(const OSDictionary *description)
{
    const uint32_t largest = get_io_frames(description, "default-io-frames", DEFAULT_IO_FRAMES);
    return (struct dx_client_defaults){
        .wanted_io_frames = get_io_frames(description, "wanted-io-frames", 0),
        .largest_io_frames = largest ? largest : DEFAULT_IO_FRAMES,
        .late_tolerance_frames = get_io_frames(description, "late-tolerance", 0),
        .io_priority = DEFAULT_IO_PRIORITY,
    };
}

/* What the client depends on from now on.  With the lock. */
static kern_return_t
find_streams(struct dx_remote_device *device, dx_client *client, uint32_t *ret_lane_bytes_per_frame)
{
    const dx_client_config *const config = &client->config;
    client->has_output = config->output_stream != DX_NO_STREAM;
    client->has_input = config->input_stream != DX_NO_STREAM;
    if (!device->is_listed)
        return kIOReturnNoDevice;
    if ((client->has_output && config->output_stream >= device->output_count) ||
        (client->has_input && config->input_stream >= device->input_count))
        return kIOReturnBadArgument;
    if (client->has_output) {
        const struct dx_stream_shape *const shape = &device->device.output_shapes[config->output_stream];
        if (!shape->channels)
            return kIOReturnUnsupportedMode;
        *ret_lane_bytes_per_frame = shape->client_bytes_per_frame;
        client->output_generation = atomic_load_explicit(&shape->generation, memory_order_relaxed);
    }
    if (client->has_input) {
        const struct dx_stream_shape *const shape = &device->device.input_shapes[config->input_stream];
        if (!shape->channels)
            return kIOReturnUnsupportedMode;
        client->input_bytes_per_frame = shape->client_bytes_per_frame;
        client->input_generation = atomic_load_explicit(&shape->generation, memory_order_relaxed);
    }
    return kIOReturnSuccess;
}

static kern_return_t
make_lane(struct dx_remote_device *device, dx_client *client)
{
    struct dx_connection *const connection = device->directory->connection;
    uint32_t bytes_per_frame = 0;
    dx_connection_lock(connection);
    const kern_return_t status = find_streams(device, client, &bytes_per_frame);
    const struct dx_client_defaults defaults = find_defaults(device->description);
    dx_connection_unlock(connection);
    if (status != kIOReturnSuccess)
        return status;
    dx_client_settle_config(client, &defaults);
    if (!client->has_output)
        return kIOReturnSuccess;
    const struct dx_stream_shape shape = {.client_bytes_per_frame = bytes_per_frame};
    return dx_client_create_lane(client, &shape, &defaults);
}

/* A request to open a session; +1, NULL without memory. */
static OSDictionary *
create_open(const struct dx_remote_session *session)
{
    const dx_client *const client = session->client;
    OSDictionary *body = OSDictionaryCreate(12);
    if (body && !(OSDictionarySetUInt64Value(body, DX_KEY_SESSION, session->number) &&
                  OSDictionarySetStringValue(body, DX_KEY_UID, client->device->uid) &&
                  OSDictionarySetUInt64Value(body, "output", client->config.output_stream) &&
                  OSDictionarySetUInt64Value(body, "input", client->config.input_stream) &&
                  OSDictionarySetUInt64Value(body, "io-frames", dx_client_io_frames(client)) &&
                  dx_wire_set_bool(body, "running", session->is_running) &&
                  (!client->has_output || OSDictionarySetUInt64Value(body, "lane", 0))))
        OSSafeReleaseNULL(body);
    return body;
}

/* The answer to `open`.  With the lock. */
static void
opened(void *context, kern_return_t status, struct dx_message *answer)
{
    struct claim *const claim = context;
    struct dx_remote_session *const session = find_session(claim->directory, claim->number);
    if (!session || status != kIOReturnSuccess)
        return;
    session->is_open = true;
    session->listing = claim->directory->listing;
    claim->status = take_memory(session, answer);
}

/* @param body  taken; NULL: there was no memory for it. */
static kern_return_t
ask(dx_directory *directory, const char *operation, OSDictionary *body, const int *lane_fd,
    void (*answered)(void *context, kern_return_t status, struct dx_message *answer), struct claim *claim)
{
    const struct dx_request request = {
        .operation = operation,
        .body = body,
        .fds = lane_fd,
        .fd_count = lane_fd ? 1 : 0,
        .answered = answered,
        .context = claim,
    };
    const kern_return_t status = dx_connection_request(directory->connection, &request, NULL, NULL);
    OSObjectRelease(body);
    return status;
}

static kern_return_t
ask_about(struct dx_remote_session *session, const char *operation,
          void (*answered)(void *context, kern_return_t status, struct dx_message *answer))
{
    struct claim claim = {.directory = session->device->directory, .number = session->number};
    OSDictionary *body = OSDictionaryCreate(4);
    if (body && !OSDictionarySetUInt64Value(body, DX_KEY_SESSION, session->number))
        OSSafeReleaseNULL(body);
    return ask(claim.directory, operation, body, NULL, answered, &claim);
}

static kern_return_t
open_session(struct dx_remote_session *session)
{
    const dx_client *const client = session->client;
    struct claim claim = {.directory = session->device->directory, .number = session->number};
    const kern_return_t status = ask(claim.directory, DX_OP_OPEN, create_open(session),
                                     client->has_output ? &client->lane.pages.fd : NULL, opened, &claim);
    return status == kIOReturnSuccess ? claim.status : status;
}

static void
link_session(struct dx_remote_session *session)
{
    dx_directory *const directory = session->device->directory;
    dx_connection_lock(directory->connection);
    session->next = directory->sessions;
    directory->sessions = session;
    dx_connection_unlock(directory->connection);
}

/* With the lock, or in a child after fork(). */
static void
unlink_session(struct dx_remote_session *session)
{
    bool is_last = true; // of its device
    struct dx_remote_session **at = &session->device->directory->sessions;
    while (*at) {
        if (*at == session) {
            *at = session->next;
            continue;
        }
        is_last &= (*at)->device != session->device;
        at = &(*at)->next;
    }
    if (is_last)
        dx_remote_device_empty_page(session->device);
}

static void
free_session(struct dx_remote_session *session)
{
    while (session->rings) {
        struct dx_remote_ring *const ring = session->rings;
        session->rings = ring->next;
        dx_lane_finish(&ring->lane);
        free(ring);
    }
    free(session);
}

/* Also of one whose opening failed: then the supervisor may know of it, or not. */
static void
close_session(struct dx_remote_session *session)
{
    struct dx_connection *const connection = session->device->directory->connection;
    if (dx_connection_is_forked(connection)) {
        unlink_session(session);
    } else {
        dx_connection_lock(connection);
        unlink_session(session);
        dx_connection_unlock(connection);
        (void)ask_about(session, DX_OP_CLOSE, NULL); // where it is gone, the session is too
    }
    free_session(session);
}

static kern_return_t
create_session(struct dx_remote_device *device, dx_client *client)
{
    struct dx_remote_session *const session = calloc(1, sizeof *session);
    if (!session)
        return kIOReturnNoMemory;
    session->device = device;
    session->client = client;
    do
        session->number = dx_clock_random(dx_clock_host());
    while (!session->number);
    link_session(session);
    const kern_return_t status = open_session(session);
    if (status == kIOReturnSuccess)
        client->membership = session;
    else
        close_session(session);
    return status;
}

kern_return_t
dx_remote_join(dx_device *device, dx_client *client)
{
    struct dx_remote_device *const remote = dx_remote_of(device);
    if (dx_device_is_forked(device))
        return kIOReturnNotAttached;
    if (client->config.flags & DX_CLIENT_SYNCHRONOUS)
        return kIOReturnUnsupported;
    kern_return_t status = make_lane(remote, client);
    if (status == kIOReturnSuccess)
        status = create_session(remote, client);
    if (status != kIOReturnSuccess)
        dx_lane_finish(&client->lane);
    return status;
}

/* ---- starting, stopping, leaving ---- */

static void
started(void *context, kern_return_t status, struct dx_message *answer)
{
    (void)answer;
    const struct claim *const claim = context;
    struct dx_remote_session *const session = find_session(claim->directory, claim->number);
    if (session)
        session->is_running = status == kIOReturnSuccess;
}

kern_return_t
dx_remote_start(dx_device *device, dx_client *client)
{
    (void)device;
    return ask_about(client->membership, DX_OP_START, started);
}

void
dx_remote_stop(dx_device *device, dx_client *client)
{
    struct dx_remote_session *const session = client->membership;
    struct dx_connection *const connection = dx_remote_of(device)->directory->connection;
    dx_connection_lock(connection);
    session->is_running = false;
    dx_connection_unlock(connection);
    (void)ask_about(session, DX_OP_STOP, NULL); // without a supervisor: the next one is told that it does not run
}

void
dx_remote_leave(dx_device *device, dx_client *client)
{
    (void)device;
    close_session(client->membership);
    dx_lane_finish(&client->lane);
}

/* ---- a new connection ---- */

/* A session that the supervisor of now has not been told of.  @param ret_body  +1.  @param ret_fd  to be closed;
 * -1: none. */
static bool
take_unopened(dx_directory *directory, uint64_t *ret_number, OSDictionary **ret_body, int *ret_fd)
{
    struct dx_remote_session *session = directory->sessions;
    while (session && (!session->is_open || session->listing == directory->listing))
        session = session->next;
    if (!session)
        return false;
    session->listing = directory->listing;
    *ret_number = session->number;
    *ret_body = create_open(session);
    /* Its own, as the client may leave meanwhile. */
    *ret_fd = session->client->has_output ? fcntl(session->client->lane.pages.fd, F_DUPFD_CLOEXEC, 0) : -1;
    return true;
}

static kern_return_t
open_again(struct claim *claim, OSDictionary *body, int fd)
{
    kern_return_t status = ask(claim->directory, DX_OP_OPEN, body, fd >= 0 ? &fd : NULL, opened, claim);
    if (fd >= 0)
        close(fd);
    if (status == kIOReturnNotReady || status == kIOReturnTimeout)
        return status;
    if (status == kIOReturnSuccess)
        status = claim->status;
    dx_connection_lock(claim->directory->connection);
    struct dx_remote_session *const session = find_session(claim->directory, claim->number);
    if (session && status != kIOReturnSuccess)
        cut_off(session);
    dx_connection_unlock(claim->directory->connection);
    return kIOReturnSuccess;
}

kern_return_t
dx_remote_open_again(dx_directory *directory)
{
    for (;;) {
        struct claim claim = {.directory = directory};
        OSDictionary *body = NULL;
        int fd = -1;
        dx_connection_lock(directory->connection);
        const bool is_there = take_unopened(directory, &claim.number, &body, &fd);
        dx_connection_unlock(directory->connection);
        if (!is_there)
            return kIOReturnSuccess;
        const kern_return_t status = open_again(&claim, body, fd);
        if (status != kIOReturnSuccess)
            return status;
    }
}
