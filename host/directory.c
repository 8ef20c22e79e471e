// SPDX-License-Identifier: MIT
// The devices of the machine: what the supervisor tells of them, and who is told of it.

#include "host/directory_state.h"

#include "core/clock.h"
#include "host/describe.h"
#include "host/error.h"
#include "host/protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TIMEOUT_NS 40000000000u // longer than the supervisor waits for a driver, so that its answer comes
#define MAX_SELECTORS 256u // of one event

/* ---- what the listener is told ---- */

static void
push_event(dx_directory *directory, int kind, struct dx_remote_device *device, IOUserAudioObjectID object,
           const IOUserAudioObjectPropertySelector *selectors, uint32_t count, kern_return_t status)
{
    struct dx_directory_event *const event =
        directory->listener ? calloc(1, sizeof *event + count * sizeof *selectors) : NULL;
    if (!event) // nobody listens, or there is no memory to tell him of it
        return;
    if (count)
        memcpy(event->selectors, selectors, count * sizeof *selectors);
    event->event = (dx_host_event){
        .size = sizeof event->event,
        .kind = (dx_host_event_kind)kind,
        .device = device ? dx_device_retain(&device->device) : NULL,
        .object = object,
        .selectors = count ? event->selectors : NULL,
        .selector_count = count,
        .status = status,
    };
    struct dx_directory_event **at = &directory->events;
    while (*at)
        at = &(*at)->next;
    *at = event;
}

void
dx_directory_tell(dx_directory *directory, int kind, struct dx_remote_device *device, kern_return_t status)
{
    push_event(directory, kind, device, 0, NULL, 0, status);
}

static void
free_event(struct dx_directory_event *event)
{
    dx_device_release(event->event.device);
    free(event);
}

static void
clear_events(dx_directory *directory)
{
    while (directory->events) {
        struct dx_directory_event *const event = directory->events;
        directory->events = event->next;
        free_event(event);
    }
}

/* The hook that is called without the lock. */
static void
tell_listener(void *context)
{
    dx_directory *const directory = context;
    dx_remote_user_clients_tell(directory);
    for (;;) {
        dx_connection_lock(directory->connection);
        struct dx_directory_event *const event = directory->events;
        if (event)
            directory->events = event->next;
        dx_connection_unlock(directory->connection);
        if (!event)
            return;
        directory->listener(directory->listener_context, &event->event);
        free_event(event);
    }
}

/* ---- devices ---- */

static struct dx_remote_device *
find_device(const dx_directory *directory, const char *uid)
{
    struct dx_remote_device *device = directory->devices;
    while (device && strcmp(device->device.uid, uid) != 0)
        device = device->next;
    return device;
}

/* The device of a UID, made where there is none yet; NULL without memory. */
static struct dx_remote_device *
get_device(dx_directory *directory, const char *uid)
{
    struct dx_remote_device *device = find_device(directory, uid);
    if (device)
        return device;
    device = dx_remote_device_create(directory, uid);
    struct dx_remote_device **at = &directory->devices;
    while (*at)
        at = &(*at)->next;
    *at = device;
    return device;
}

/* Forgets what is not listed any more, and held by nobody else. */
static void
drop_devices(dx_directory *directory)
{
    struct dx_remote_device **at = &directory->devices;
    while (*at) {
        struct dx_remote_device *const device = *at;
        /* relaxed: who takes a reference needs the lock, or has one already. */
        const bool is_held = atomic_load_explicit(&device->device.references, memory_order_relaxed) > 1;
        if (device->is_listed || is_held) {
            at = &device->next;
        } else {
            *at = device->next;
            dx_device_release(&device->device);
        }
    }
}

static void
remove_device(dx_directory *directory, struct dx_remote_device *device)
{
    device->is_listed = false;
    dx_remote_device_cut_off(device);
    dx_directory_tell(directory, DX_EVENT_DEVICE_REMOVED, device, kIOReturnSuccess);
}

/* Takes in what is told of a device. */
static void
take_description(dx_directory *directory, const char *uid, OSDictionary *description)
{
    struct dx_remote_device *const device = uid && description ? get_device(directory, uid) : NULL;
    if (!device)
        return;
    const bool is_same = device->is_listed && OSObjectIsEqualTo(device->description, description);
    if (!dx_remote_device_describe(device, description)) {
        drop_devices(directory);
        return;
    }
    device->listing = directory->listing;
    if (is_same)
        return;
    dx_directory_tell(directory, device->is_listed ? (int)DX_EVENT_DEVICE_CHANGED : (int)DX_EVENT_DEVICE_ADDED,
                      device, kIOReturnSuccess);
    device->is_listed = true;
    const bool io_runs = dx_wire_get_bool(description, "io-running");
    if (io_runs != device->io_was_running)
        dx_directory_tell(directory, io_runs ? DX_EVENT_IO_STARTED : DX_EVENT_IO_STOPPED, device,
                          kIOReturnSuccess);
    device->io_was_running = io_runs;
}

static void
set_default(dx_directory *directory, unsigned which, const char *uid, bool *is_changed)
{
    const char *const before = directory->default_uids[which];
    if (uid && !*uid)
        uid = NULL;
    if (before == uid || (before && uid && strcmp(before, uid) == 0))
        return;
    free(directory->default_uids[which]);
    directory->default_uids[which] = uid ? strdup(uid) : NULL; // without memory there is none
    *is_changed = true;
}

static void
take_defaults(dx_directory *directory, const char *input, const char *output)
{
    bool is_changed = false;
    set_default(directory, 0, input, &is_changed);
    set_default(directory, 1, output, &is_changed);
    if (is_changed)
        dx_directory_tell(directory, DX_EVENT_DEFAULT_CHANGED, NULL, kIOReturnSuccess);
}

/* ---- events of the supervisor ---- */

static void
take_properties(dx_directory *directory, struct dx_remote_device *device, const OSDictionary *body)
{
    IOUserAudioObjectPropertySelector selectors[MAX_SELECTORS];
    OSArray *const array = dx_wire_get_array(body, "selectors");
    const size_t given = array ? OSArrayGetCount(array) : 0;
    uint32_t count = 0;
    for (size_t i = 0; i < given && count < MAX_SELECTORS; i++) {
        const OSNumber *const number = OSDynamicCast(OSNumber, OSArrayGetObject(array, i));
        if (number)
            selectors[count++] = OSNumberGetUInt32Value(number);
    }
    if (count)
        push_event(directory, DX_EVENT_PROPERTIES_CHANGED, device,
                   (IOUserAudioObjectID)dx_wire_get_number(body, "object", 0), selectors, count, kIOReturnSuccess);
}

static void
take_configuration(dx_directory *directory, struct dx_remote_device *device, const OSDictionary *body)
{
    const bool begins = dx_wire_get_bool(body, "begin");
    const kern_return_t status =
        (kern_return_t)(uint32_t)dx_wire_get_number(body, DX_KEY_STATUS, kIOReturnSuccess);
    dx_directory_tell(directory, begins ? DX_EVENT_CONFIGURATION_BEGIN : DX_EVENT_CONFIGURATION_END, device,
                      begins ? kIOReturnSuccess : status);
}

/* Hooks, with the lock. */

static void
take_event(void *context, struct dx_message *message)
{
    dx_directory *const directory = context;
    const OSDictionary *const body = message->body;
    const char *const event = dx_wire_get_string(body, DX_KEY_EVENT);
    const char *const uid = dx_wire_get_string(body, DX_KEY_UID);
    struct dx_remote_device *const device = uid ? find_device(directory, uid) : NULL;
    if (strcmp(event, DX_EVENT_DESCRIPTION) == 0)
        take_description(directory, uid, dx_wire_get_dictionary(body, DX_KEY_DESCRIPTION));
    else if (strcmp(event, DX_EVENT_NEW_DRIVER) == 0)
        dx_remote_new_driver(directory, message);
    else if (strcmp(event, DX_EVENT_COMPLETION) == 0)
        dx_remote_user_clients_take(directory, body);
    else if (strcmp(event, DX_EVENT_DEFAULT) == 0)
        take_defaults(directory, dx_wire_get_string(body, "input"), dx_wire_get_string(body, "output"));
    else if (!device || !device->is_listed) // what follows is about one that is known
        return;
    else if (strcmp(event, DX_EVENT_GONE) == 0)
        remove_device(directory, device);
    else if (strcmp(event, DX_EVENT_PROPERTIES) == 0)
        take_properties(directory, device, body);
    else if (strcmp(event, DX_EVENT_CONFIGURATION) == 0)
        take_configuration(directory, device, body);
    drop_devices(directory);
}

static void
lose_supervisor(void *context)
{
    dx_directory *const directory = context;
    directory->is_lost = true;
    dx_remote_user_clients_end(directory);
    dx_directory_tell(directory, DX_EVENT_SUPERVISOR_LOST, NULL, kIOReturnSuccess);
}

static bool
needs_supervisor(void *context)
{
    const dx_directory *const directory = context;
    return directory->listener || directory->sessions;
}

/* ---- the list ---- */

struct list_page {
    dx_directory *directory;
    uint64_t next;
};

static void
take_list(void *context, kern_return_t status, struct dx_message *answer)
{
    struct list_page *const page = context;
    dx_directory *const directory = page->directory;
    if (status != kIOReturnSuccess)
        return;
    OSArray *const devices = dx_wire_get_array(answer->body, "devices");
    const size_t count = devices ? OSArrayGetCount(devices) : 0;
    for (size_t i = 0; i < count; i++) {
        OSDictionary *const description = OSDynamicCast(OSDictionary, OSArrayGetObject(devices, i));
        if (description)
            take_description(directory, dx_wire_get_string(description, DX_KEY_UID), description);
    }
    take_defaults(directory, dx_wire_get_string(answer->body, "default-input"),
                  dx_wire_get_string(answer->body, "default-output"));
    page->next = dx_wire_get_number(answer->body, "next", 0);
}

static kern_return_t
ask_for_list(dx_directory *directory, dx_error *error)
{
    uint64_t from = 0;
    for (;;) {
        struct list_page page = {.directory = directory};
        OSDictionary *body = OSDictionaryCreate(4);
        if (body && !OSDictionarySetUInt64Value(body, "from", from))
            OSSafeReleaseNULL(body);
        const struct dx_request request = {
            .operation = DX_OP_LIST, .body = body, .answered = take_list, .context = &page};
        const kern_return_t status = dx_connection_request(directory->connection, &request, NULL, error);
        OSObjectRelease(body);
        if (status != kIOReturnSuccess || page.next <= from)
            return status;
        from = page.next;
    }
}

/* What a list did not have any more. */
static void
remove_unlisted(dx_directory *directory)
{
    for (struct dx_remote_device *device = directory->devices; device; device = device->next)
        if (device->is_listed && device->listing != directory->listing)
            remove_device(directory, device);
    drop_devices(directory);
}

/* The hook after each hello. */
static kern_return_t
greet_supervisor(void *context, dx_error *error)
{
    dx_directory *const directory = context;
    dx_connection_lock(directory->connection);
    directory->listing++;
    dx_connection_unlock(directory->connection);
    kern_return_t status = ask_for_list(directory, error);
    if (status == kIOReturnSuccess)
        status = dx_remote_open_again(directory);
    if (status != kIOReturnSuccess)
        return status;

    dx_connection_lock(directory->connection);
    remove_unlisted(directory);
    if (!directory->was_greeted)
        clear_events(directory);
    else if (directory->is_lost)
        dx_directory_tell(directory, DX_EVENT_SUPERVISOR_BACK, NULL, kIOReturnSuccess);
    directory->was_greeted = true;
    directory->is_lost = false;
    dx_connection_unlock(directory->connection);
    return kIOReturnSuccess;
}

/* ---- what programs call ---- */

static const struct dx_connection_hooks hooks = {
    .greet = greet_supervisor,
    .event = take_event,
    .lost = lose_supervisor,
    .is_needed = needs_supervisor,
    .rest = tell_listener,
};

static void
free_directory(dx_directory *directory)
{
    clear_events(directory);
    while (directory->devices) {
        struct dx_remote_device *const device = directory->devices;
        directory->devices = device->next;
        dx_device_release(&device->device);
    }
    free(directory->default_uids[0]);
    free(directory->default_uids[1]);
    free(directory);
}

kern_return_t
dx_directory_open(const dx_directory_config *config, dx_directory **ret_directory, dx_error *error)
{
    static const dx_directory_config plain = {0};
    if (!config)
        config = &plain;
    if (!ret_directory || (config->size && config->size != sizeof *config) || config->reserved)
        return dx_error_set(error, kIOReturnBadArgument, "the configuration is of another version");
    dx_directory *const directory = calloc(1, sizeof *directory);
    if (!directory)
        return dx_error_set(error, kIOReturnNoMemory, "no memory");
    directory->listener = config->listener;
    directory->listener_context = config->listener_context;
    const struct dx_connection_config connection = {
        .socket_path = config->socket_path,
        .name = config->name ? config->name : program_invocation_short_name,
        .timeout_ns = config->timeout_ns ? config->timeout_ns : DEFAULT_TIMEOUT_NS,
        .hooks = &hooks,
        .context = directory,
    };
    const kern_return_t status = dx_connection_open(&connection, &directory->connection, error);
    if (status != kIOReturnSuccess) {
        free_directory(directory);
        return status;
    }
    *ret_directory = directory;
    return kIOReturnSuccess;
}

void
dx_directory_close(dx_directory *directory)
{
    if (!directory)
        return;
    dx_connection_close(directory->connection);
    free_directory(directory);
}

/* Takes the lock; false in a child after fork(), where it is not taken. */
static bool
enter(dx_directory *directory)
{
    if (dx_connection_is_forked(directory->connection))
        return false;
    dx_connection_lock(directory->connection);
    return true;
}

size_t
dx_directory_copy_devices(dx_directory *directory, dx_device **devices, size_t capacity)
{
    size_t count = 0;
    if (!directory || (capacity && !devices) || !enter(directory))
        return 0;
    for (struct dx_remote_device *device = directory->devices; device; device = device->next) {
        if (!device->is_listed || dx_wire_get_bool(device->description, "hidden"))
            continue;
        if (count < capacity)
            devices[count] = dx_device_retain(&device->device);
        count++;
    }
    dx_connection_unlock(directory->connection);
    return count;
}

/* The only listed device of a name, or NULL. */
static struct dx_remote_device *
find_by_name(const dx_directory *directory, const char *name)
{
    struct dx_remote_device *found = NULL;
    for (struct dx_remote_device *device = directory->devices; device; device = device->next) {
        const char *const its_name = dx_wire_get_string(device->description, DX_KEY_NAME);
        if (!device->is_listed || !its_name || strcmp(its_name, name) != 0)
            continue;
        if (found)
            return NULL;
        found = device;
    }
    return found;
}

dx_device *
dx_directory_copy_device(dx_directory *directory, const char *uid_or_name)
{
    if (!directory || !uid_or_name || !enter(directory))
        return NULL;
    struct dx_remote_device *device = find_device(directory, uid_or_name);
    if (!device || !device->is_listed)
        device = find_by_name(directory, uid_or_name);
    dx_device *const found = device ? dx_device_retain(&device->device) : NULL;
    dx_connection_unlock(directory->connection);
    return found;
}

dx_device *
dx_directory_copy_default_device(dx_directory *directory, IOUserAudioStreamDirection direction)
{
    if (!directory || !enter(directory))
        return NULL;
    const char *const uid = directory->default_uids[direction == IOUserAudioStreamDirectionInput ? 0 : 1];
    struct dx_remote_device *const device = uid ? find_device(directory, uid) : NULL;
    dx_device *const found = device && device->is_listed ? dx_device_retain(&device->device) : NULL;
    dx_connection_unlock(directory->connection);
    return found;
}

/* A copy that shares nothing with the original; +1. */
static OSDictionary *
copy_deeply(OSDictionary *dictionary)
{
    OSData *const bytes = OSSerializationCreateFromObject(dictionary);
    OSObjectPtr const copy =
        bytes ? OSSerializationCopyObject(OSDataGetBytesNoCopy(bytes), OSDataGetLength(bytes)) : NULL;
    OSObjectRelease(bytes);
    return copy; // of a dictionary
}

OSDictionary *
dx_directory_copy_description(dx_directory *directory, dx_device *device)
{
    if (!directory || !device)
        return NULL;
    OSDictionary *body = OSDictionaryCreate(4);
    if (body && !OSDictionarySetStringValue(body, DX_KEY_UID, device->uid))
        OSSafeReleaseNULL(body);
    struct dx_message answer;
    const struct dx_request request = {.operation = DX_OP_DESCRIBE, .body = body};
    const kern_return_t status = dx_connection_request(directory->connection, &request, &answer, NULL);
    OSDictionary *description = NULL;
    if (status == kIOReturnSuccess)
        description = OSObjectRetain(dx_wire_get_dictionary(answer.body, DX_KEY_DESCRIPTION));
    dx_message_finish(&answer);
    OSObjectRelease(body);

    OSDictionary *known = NULL; // what was told last has everything but lists of formats
    if (!description && dx_remote_device_copy_description(dx_remote_of(device), &known) == kIOReturnSuccess)
        description = copy_deeply(known);
    OSObjectRelease(known);
    return description;
}

kern_return_t
dx_directory_request(dx_directory *directory, const char *operation, const OSDictionary *arguments,
                     OSDictionary **ret_answer, dx_error *error)
{
    if (!directory || !operation)
        return dx_error_set(error, kIOReturnBadArgument, "no directory or operation");
    OSDictionary *const body = arguments ? OSDictionaryCreateWithDictionary(arguments) : OSDictionaryCreate(4);
    const struct dx_request request = {.operation = operation, .body = body};
    struct dx_message answer;
    const kern_return_t status = dx_connection_request(directory->connection, &request, &answer, error);
    OSObjectRelease(body);
    if (ret_answer && answer.body) {
        OSDictionaryRemoveObject(answer.body, DX_KEY_ANSWER);
        OSDictionaryRemoveObject(answer.body, DX_KEY_STATUS);
    }
    if (ret_answer)
        *ret_answer = OSObjectRetain(answer.body);
    dx_message_finish(&answer);
    return status;
}
