// SPDX-License-Identifier: MIT
// User clients: opened by the driver, called on a queue each, ended with their connection.

#include "host/driver/user_clients.h"

#include "audio/object.h"
#include "core/pages.h"
#include "host/protocol.h"
#include "host/user_client_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_USER_CLIENTS 64u // a queue each

/* Calls of one wait for each other, and for nobody else's. */
struct dx_process_user_client {
    struct dx_process_user_client *next;
    struct dx_driver_process *process;
    uint64_t number;
    IODispatchQueue *queue;
    uint32_t jobs;
    bool has_left; // not in the list any more: the last job frees it

    /* On its queue; NULL before it is open, and once it has ended. */
    IOUserAudioDriver *driver; // retained
    IOUserClient *client;      // retained
};

/* What a job of one is about. */
struct request {
    struct dx_process_user_client *owner;
    struct dx_user_client_call call; // of a call; it points into the job's arguments
    uint64_t type;                   // of an open or a map
};

static void
check_user_client(struct dx_process_user_client *owner)
{
    if (!owner->has_left || owner->jobs || owner->client) // one that could not be ended stays
        return;
    OSObjectRelease(owner->queue);
    free(owner);
}

static void
unlink_user_client(struct dx_process_user_client *owner)
{
    struct dx_process_user_client **link = &owner->process->user_clients;
    while (*link != owner)
        link = &(*link)->next;
    *link = owner->next;
    owner->has_left = true;
}

/* ---- events, from any thread ---- */

struct event {
    struct dx_driver_process *process;
    OSDictionary *body; // +1
};

static void
send_event(void *context)
{
    struct event *const event = context;
    (void)dx_process_send(event->process, event->body, NULL, 0);
    free(event);
}

static kern_return_t
tell(struct dx_driver_process *process, const struct dx_user_client_completion *completion)
{
    struct event *const event = malloc(sizeof *event);
    OSDictionary *const body = dx_process_event(DX_EVENT_COMPLETION);
    if (!event || !body || !dx_user_client_completion_write(completion, body)) {
        OSObjectRelease(body);
        free(event);
        return kIOReturnNoMemory;
    }
    *event = (struct event){.process = process, .body = body};
    dx_process_post(process, send_event, event);
    return kIOReturnSuccess;
}

/* Asynchronous calls: the action knows both numbers. */

static kern_return_t
complete(void *context, OSAction *action, IOReturn status, const uint64_t *async_data, uint32_t count)
{
    const struct dx_process_user_client *const owner = context;
    struct dx_user_client_completion completion = {
        .connection = owner->number,
        .call = dx_action_get_message(action),
        .status = status,
        .argument_count = count,
    };
    if (completion.call == 0 || dx_action_get_target_message(action) != owner->number)
        return kIOReturnBadArgument; // an action of the driver's own
    if (count)
        memcpy(completion.arguments, async_data, count * sizeof async_data[0]);
    return tell(owner->process, &completion);
}

struct given_up {
    struct dx_driver_process *process;
    uint64_t connection;
    uint64_t call;
};

/* The driver has let go of an action. */
static void
tell_given_up(void *context)
{
    struct given_up *const given_up = context;
    const struct dx_user_client_completion completion = {
        .connection = given_up->connection, .call = given_up->call, .is_given_up = true};
    (void)tell(given_up->process, &completion); // without memory the program waits until the connection ends
    free(given_up);
}

static kern_return_t
create_action(struct dx_process_user_client *owner, uint64_t call, OSAction **ret_action)
{
    struct given_up *const given_up = malloc(sizeof *given_up);
    OSAction *action = NULL;
    if (!given_up || OSActionCreate(owner->client, owner->number, call, 0, &action) != kIOReturnSuccess) {
        free(given_up);
        return kIOReturnNoMemory;
    }
    *given_up = (struct given_up){.process = owner->process, .connection = owner->number, .call = call};
    *ret_action = action;
    return OSActionSetAbortedHandler_f(action, given_up, NULL, tell_given_up);
}

/* ---- on its queue ---- */

/* Runs on the driver's work queue, where Start, Stop and the like belong. */
static kern_return_t
run_on_work_queue(IOUserAudioDriver *driver, void *context, kern_return_t (*function)(void *context))
{
    IODispatchQueue *const queue = IOUserAudioDriverGetWorkQueue(driver);
    const kern_return_t status = queue ? IODispatchQueueRunAction_f(queue, context, function) : kIOReturnNotReady;
    OSObjectRelease(queue);
    return status;
}

static kern_return_t
stop_client(void *context)
{
    const struct dx_process_user_client *const owner = context;
    return IOUserClientStop(owner->client, owner->driver);
}

static void
end_client(struct dx_process_user_client *owner)
{
    if (!owner->client)
        return;
    (void)dx_user_client_connect(owner->client, NULL, NULL); // no completion is under way any more
    const kern_return_t status = run_on_work_queue(owner->driver, owner, stop_client);
    if (status != kIOReturnSuccess)
        dx_process_log("Stop of a user client answered 0x%08x: %s", (unsigned)status, dx_return_string(status));
    OSSafeReleaseNULL(owner->client);
    OSSafeReleaseNULL(owner->driver);
}

/* The driver of the device that is named, else the first one.  +1; NULL: there is none. */
static IOUserAudioDriver *
copy_driver(const struct dx_process_job *job)
{
    if (!job->device)
        return job->process->driver_count ? OSObjectRetain(job->process->drivers[0]) : NULL;
    IOUserAudioDevice *const device = dx_device_copy_object(job->device->device);
    const IOUserAudioObject *const object = OSDynamicCast(IOUserAudioObject, device);
    IOUserAudioDriver *const driver = object ? dx_driver_link_copy_driver(object->link) : NULL;
    OSObjectRelease(device);
    return driver;
}

struct opening {
    struct dx_process_user_client *owner;
    uint32_t type;
};

static kern_return_t
open_client(void *context)
{
    const struct opening *const opening = context;
    IOUserClient *client = NULL;
    const kern_return_t status = IOUserAudioDriverNewUserClient(opening->owner->driver, opening->type, &client);
    if (status == kIOReturnSuccess && !OSDynamicCast(IOUserClient, client))
        return kIOReturnInternalError; // the driver says that there is one, and there is none
    if (status == kIOReturnSuccess)
        opening->owner->client = client;
    return status;
}

static void
run_open(struct dx_process_job *job)
{
    struct request *const request = job->context;
    struct dx_process_user_client *const owner = request->owner;
    owner->driver = copy_driver(job);
    if (!owner->driver) {
        (void)dx_process_job_fail(job, kIOReturnNoDevice, "there is no driver");
        return;
    }
    struct opening opening = {.owner = owner, .type = (uint32_t)request->type};
    job->status = run_on_work_queue(owner->driver, &opening, open_client);
    if (job->status == kIOReturnSuccess)
        job->status = dx_user_client_connect(owner->client, complete, owner);
    if (job->status != kIOReturnSuccess)
        (void)dx_process_job_fail(job, job->status, "NewUserClient of type %u answered 0x%08x: %s", opening.type,
                                  (unsigned)job->status, dx_return_string(job->status));
    else if (!(job->answer = OSDictionaryCreate(4)) ||
             !OSDictionarySetUInt64Value(job->answer, "connection", owner->number))
        job->status = kIOReturnNoMemory;
    if (job->status != kIOReturnSuccess)
        end_client(owner);
    if (!owner->client)
        OSSafeReleaseNULL(owner->driver);
}

static void
run_end(struct dx_process_job *job)
{
    const struct request *const request = job->context;
    end_client(request->owner);
}

/* A structure that came in memory, in memory of our own: the program cannot change it while the driver reads. */
static kern_return_t
copy_structure(struct dx_process_job *job, uint32_t bytes, IOMemoryDescriptor **ret_memory)
{
    IOBufferMemoryDescriptor *buffer = NULL;
    IOAddressSegment range;
    const kern_return_t status = IOBufferMemoryDescriptorCreate(kIOMemoryDirectionOut, bytes, 0, &buffer);
    if (status != kIOReturnSuccess)
        return status;
    *ret_memory = (IOMemoryDescriptor *)buffer;
    (void)IOBufferMemoryDescriptorGetAddressRange(buffer, &range); // cannot fail for a buffer
    switch (dx_user_client_memory_copy(job->fd, (void *)(uintptr_t)range.address, bytes)) {
    case 0:
        return kIOReturnSuccess;
    case -EPERM:
        (void)dx_process_job_fail(job, kIOReturnNotPermitted,
                                  "the structure's memory is not sealed: it could shrink under the driver");
        return job->status;
    default:
        (void)dx_process_job_fail(job, kIOReturnBadArgument, "the structure's memory is no memfd of %u bytes",
                                  bytes);
        return job->status;
    }
}

/* A descriptor of its own for the answer: the memory may be gone when that is sent. */
static kern_return_t
answer_memory(struct dx_process_job *job, OSObjectPtr memory)
{
    int fd = -1;
    const kern_return_t status = dx_memory_descriptor_get_fd(memory, &fd, NULL);
    if (status != kIOReturnSuccess)
        return status;
    job->answer_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return job->answer_fd >= 0 ? kIOReturnSuccess : kIOReturnNoResources;
}

/* What the method made; `room` is the memory for a long one, or NULL. */
static kern_return_t
answer_structure(struct dx_process_job *job, const IOUserClientMethodArguments *arguments, uint32_t room_bytes,
                 struct dx_user_client_values *out)
{
    OSData *const made = arguments->structureOutput;
    IOBufferMemoryDescriptor *const room = (IOBufferMemoryDescriptor *)arguments->structureOutputDescriptor;
    const size_t made_bytes = OSDataGetLength(made);
    if (made_bytes > room_bytes)
        return kIOReturnMessageTooLarge;
    if (made_bytes <= DX_USER_CLIENT_INLINE_BYTES && (made || !room)) {
        out->structure = made;
        out->structure_bytes = (uint32_t)made_bytes;
        return kIOReturnSuccess;
    }
    out->structure_bytes = made ? (uint32_t)made_bytes : room_bytes;
    if (made) {
        IOAddressSegment range;
        (void)IOBufferMemoryDescriptorGetAddressRange(room, &range); // cannot fail for a buffer
        memcpy((void *)(uintptr_t)range.address, OSDataGetBytesNoCopy(made), made_bytes);
    }
    return answer_memory(job, room);
}

static kern_return_t
answer_call(struct dx_process_job *job, const IOUserClientMethodArguments *arguments, uint32_t room_bytes,
            struct dx_user_client_values *out)
{
    out->scalar_count = arguments->scalarOutputCount;
    const kern_return_t status = answer_structure(job, arguments, room_bytes, out);
    if (status != kIOReturnSuccess)
        return status;
    job->answer = OSDictionaryCreate(8);
    return job->answer && dx_user_client_values_write(out, job->answer) ? kIOReturnSuccess : kIOReturnNoMemory;
}

static void
run_call(struct dx_process_job *job)
{
    const struct request *const request = job->context;
    struct dx_process_user_client *const owner = request->owner;
    const struct dx_user_client_values *const in = &request->call.in;
    struct dx_user_client_values out = {0};
    const uint32_t room_bytes = request->call.structure_room;
    IOBufferMemoryDescriptor *room = NULL;
    IOUserClientMethodArguments arguments = {
        .scalarInput = in->scalars,
        .scalarInputCount = in->scalar_count,
        .scalarOutput = out.scalars,
        .scalarOutputCount = request->call.scalar_room,
        .structureInput = in->structure,
        .structureOutputMaximumSize = room_bytes,
    };
    if (!in->structure && in->structure_bytes)
        job->status = copy_structure(job, in->structure_bytes, &arguments.structureInputDescriptor);
    if (job->status == kIOReturnSuccess && room_bytes > DX_USER_CLIENT_INLINE_BYTES)
        job->status = IOBufferMemoryDescriptorCreate(kIOMemoryDirectionIn, room_bytes, 0, &room);
    if (job->status == kIOReturnSuccess && request->call.call)
        job->status = create_action(owner, request->call.call, &arguments.completion);
    arguments.structureOutputDescriptor = (IOMemoryDescriptor *)room;
    IOMemoryDescriptor *const input = arguments.structureInputDescriptor;
    OSAction *const completion = arguments.completion;
    if (job->status == kIOReturnSuccess) {
        job->status = dx_user_client_call(owner->client, request->call.selector, &arguments);
        OSData *const made = arguments.structureOutput;
        arguments.structureOutputDescriptor = (IOMemoryDescriptor *)room; // whatever the method left there
        if (job->status == kIOReturnSuccess)
            job->status = answer_call(job, &arguments, room_bytes, &out);
        OSObjectRelease(made);
    }
    OSObjectRelease(completion);
    OSObjectRelease(input);
    OSObjectRelease(room);
}

struct copying {
    IOUserClient *client;
    uint64_t type;
    uint64_t options;
    IOMemoryDescriptor *memory; // +1
};

static kern_return_t
copy_client_memory(void *context)
{
    struct copying *const copying = context;
    return IOUserClientCopyClientMemoryForType(copying->client, copying->type, &copying->options,
                                               &copying->memory);
}

/* Who gets a file reaches all of it: it must hold that memory and nothing else. */
static bool
is_whole_file(OSObjectPtr memory, uint64_t bytes)
{
    int fd;
    uint64_t offset;
    struct stat file;
    return dx_memory_descriptor_get_fd(memory, &fd, &offset) == kIOReturnSuccess && offset == 0 &&
           fstat(fd, &file) == 0 && (uint64_t)file.st_size - bytes < dx_page_bytes();
}

static void
answer_map(struct dx_process_job *job, const struct copying *copying)
{
    uint64_t bytes = 0;
    const kern_return_t status = IOMemoryDescriptorGetLength(copying->memory, &bytes);
    if (status != kIOReturnSuccess)
        (void)dx_process_job_fail(job, kIOReturnInternalError, "the driver gave no memory of type %llu",
                                  (unsigned long long)copying->type);
    else if (!is_whole_file(copying->memory, bytes))
        (void)dx_process_job_fail(
            job, kIOReturnUnsupported,
            "the driver's memory is a part of a larger one, all of which a program would reach");
    else
        job->status = answer_memory(job, copying->memory);
    if (job->status != kIOReturnSuccess)
        return;
    /* Nor may a program take the driver's right to write; what is for reading is sealed by the supervisor, as all
     * memory is.  It fails where that was done before, or by who made the memory. */
    if (!(copying->options & kIOUserClientMemoryReadOnly))
        (void)fcntl(job->answer_fd, F_ADD_SEALS, F_SEAL_SEAL);
    job->answer = OSDictionaryCreate(8);
    if (!job->answer ||
        !(OSDictionarySetUInt64Value(job->answer, "memory", 0) &&
          OSDictionarySetUInt64Value(job->answer, "bytes", bytes) &&
          OSDictionarySetUInt64Value(job->answer, "options", copying->options & kIOUserClientMemoryReadOnly)))
        job->status = kIOReturnNoMemory;
}

static void
run_map(struct dx_process_job *job)
{
    const struct request *const request = job->context;
    struct copying copying = {.client = request->owner->client, .type = request->type};
    job->status = run_on_work_queue(request->owner->driver, &copying, copy_client_memory);
    if (job->status == kIOReturnSuccess)
        answer_map(job, &copying);
    OSObjectRelease(copying.memory);
}

/* ---- requests ---- */

static void
finish_request(struct dx_process_job *job)
{
    struct request *const request = job->context;
    struct dx_process_user_client *const owner = request->owner;
    owner->jobs--;
    free(request);
    check_user_client(owner);
}

static void
finish_open(struct dx_process_job *job)
{
    const struct request *const request = job->context;
    if (job->status != kIOReturnSuccess && !request->owner->has_left)
        unlink_user_client(request->owner);
    finish_request(job);
}

/* Takes the job and the request. */
static bool
start_request(struct dx_process_job *job, struct request *request, void (*run)(struct dx_process_job *job),
              void (*done)(struct dx_process_job *job))
{
    struct dx_process_user_client *const owner = request->owner;
    job->context = request;
    job->run = run;
    job->done = done;
    owner->jobs++;
    if (dx_process_job_start(job, owner->queue))
        return true;
    owner->jobs--;
    free(request);
    return false;
}

static struct request *
create_request(struct dx_process_user_client *owner)
{
    struct request *const request = calloc(1, sizeof *request);
    if (request)
        request->owner = owner;
    return request;
}

static uint32_t
count_user_clients(const struct dx_driver_process *process)
{
    uint32_t count = 0;
    for (const struct dx_process_user_client *owner = process->user_clients; owner; owner = owner->next)
        count++;
    return count;
}

static struct dx_process_user_client *
add_user_client(struct dx_driver_process *process)
{
    struct dx_process_user_client *const owner = calloc(1, sizeof *owner);
    if (!owner)
        return NULL;
    if (IODispatchQueueCreate("dextral-user-client", 0, 0, &owner->queue) != kIOReturnSuccess) {
        free(owner);
        return NULL;
    }
    owner->process = process;
    owner->number = ++process->last_user_client;
    owner->next = process->user_clients;
    process->user_clients = owner;
    return owner;
}

/* false: the job has failed. */
static bool
check_open(struct dx_process_job *job, uint64_t type)
{
    struct dx_driver_process *const process = job->process;
    if (process->state != DX_PROCESS_LOADED)
        (void)dx_process_job_fail(job, kIOReturnNotReady, "the driver is still being loaded");
    else if (type > UINT32_MAX)
        (void)dx_process_job_fail(job, kIOReturnBadArgument, "a type of user clients is a number of 32 bits");
    else if (type == kIOUserAudioDriverUserClientType)
        (void)dx_process_job_fail(job, kIOReturnNotPermitted, "user clients of that type are the host's");
    else if (count_user_clients(process) >= MAX_USER_CLIENTS)
        (void)dx_process_job_fail(job, kIOReturnNoResources, "the driver has %u user clients already",
                                  MAX_USER_CLIENTS);
    else if (dx_wire_get_string(job->arguments, DX_KEY_UID))
        job->device = dx_process_find_device(job);
    return job->status == kIOReturnSuccess;
}

void
dx_user_clients_open(struct dx_process_job *job, struct dx_message *message)
{
    (void)message;
    const uint64_t type = dx_wire_get_number(job->arguments, "type", 0);
    if (!check_open(job, type)) {
        dx_process_job_end(job);
        return;
    }
    struct dx_process_user_client *const owner = add_user_client(job->process);
    struct request *const request = owner ? create_request(owner) : NULL;
    if (request) {
        request->type = type;
        if (start_request(job, request, run_open, finish_open))
            return;
    } else {
        dx_process_job_end(dx_process_job_fail(job, kIOReturnNoMemory, "no memory for a user client"));
    }
    if (owner) {
        unlink_user_client(owner);
        check_user_client(owner);
    }
}

/* The request of a job, for the connection that it names; NULL: it has failed. */
static struct request *
find_request(struct dx_process_job *job)
{
    const uint64_t number = dx_wire_get_number(job->arguments, "connection", 0);
    struct dx_process_user_client *owner = job->process->user_clients;
    while (owner && owner->number != number)
        owner = owner->next;
    struct request *const request = owner ? create_request(owner) : NULL;
    if (!owner)
        (void)dx_process_job_fail(job, kIOReturnNotOpen, "there is no such connection to the driver");
    else if (!request)
        (void)dx_process_job_fail(job, kIOReturnNoMemory, "no memory for the call");
    return request;
}

void
dx_user_clients_call(struct dx_process_job *job, struct dx_message *message)
{
    struct request *const request = find_request(job);
    if (request)
        job->status = dx_user_client_call_read(job->arguments, message->fd_count, &request->call, &job->error);
    if (job->status != kIOReturnSuccess) {
        free(request);
        dx_process_job_end(job);
        return;
    }
    if (!request->call.in.structure && request->call.in.structure_bytes)
        job->fd = dx_message_take_fd(message, request->call.in.memory);
    (void)start_request(job, request, run_call, finish_request);
}

void
dx_user_clients_map(struct dx_process_job *job, struct dx_message *message)
{
    (void)message;
    struct request *const request = find_request(job);
    if (!request) {
        dx_process_job_end(job);
        return;
    }
    request->type = dx_wire_get_number(job->arguments, "type", 0);
    (void)start_request(job, request, run_map, finish_request);
}

/* Its number is free from here on; it is gone when all that was asked for before has been done. */
static void
leave(struct dx_process_job *job, struct request *request)
{
    struct dx_process_user_client *const owner = request->owner;
    unlink_user_client(owner);
    if (!start_request(job, request, run_end, finish_request)) {
        dx_process_log("no memory to end a user client");
        check_user_client(owner);
    }
}

void
dx_user_clients_close(struct dx_process_job *job, struct dx_message *message)
{
    (void)message;
    struct request *const request = find_request(job);
    if (request)
        leave(job, request);
    else
        dx_process_job_end(job);
}

void
dx_user_clients_leave_all(struct dx_driver_process *process)
{
    while (process->user_clients) {
        struct dx_process_user_client *const owner = process->user_clients;
        struct dx_process_job *const job = dx_process_job_create(process, NULL, NULL);
        struct request *const request = job ? create_request(owner) : NULL;
        if (request) {
            leave(job, request);
            continue;
        }
        free(job);
        dx_process_log("no memory to end a user client");
        unlink_user_client(owner);
        check_user_client(owner);
    }
}
