// SPDX-License-Identifier: MIT
// Devices of the drivers, and what the supervisor is told of them.

#include "audio/handle.h"
#include "host/describe.h"
#include "host/driver/state.h"
#include "host/protocol.h"

#include <stdlib.h>
#include <string.h>

/* What changes is told at once, and what changes after that together: nobody needs more than 50 descriptions a
 * second. */
#define TELL_NS 20000000u

/* Properties that changed since the last description; more of them are one change of the same many times. */
#define MAX_CHANGES 256u

/* ---- finding ---- */

static struct dx_process_device *
find_entry(const struct dx_driver_process *process, const dx_device *entry)
{
    struct dx_process_device *device = process->devices;
    while (device && device->device != entry)
        device = device->next;
    return device;
}

struct dx_process_device *
dx_process_find_device(struct dx_process_job *job)
{
    const char *const uid = dx_wire_get_string(job->arguments, DX_KEY_UID);
    struct dx_process_device *device = job->process->devices;
    while (uid && device && strcmp(dx_device_uid(device->device), uid) != 0)
        device = device->next;
    if (!uid)
        (void)dx_process_job_fail(job, kIOReturnBadArgument, "the request names no device");
    else if (!device)
        (void)dx_process_job_fail(job, kIOReturnNoDevice, "the driver has no device %.200s", uid);
    return uid ? device : NULL;
}

void
dx_process_check_device(struct dx_driver_process *process, struct dx_process_device *device)
{
    if (device->has_driver || device->jobs || device->sessions)
        return;
    for (struct dx_process_device **link = &process->devices; *link; link = &(*link)->next)
        if (*link == device) {
            *link = device->next;
            break;
        }
    dx_device_release(device->device);
    dx_process_release_queue(device->queue);
    OSObjectRelease(device->changes);
    free(device);
}

/* ---- telling ---- */

/* What one look brought. */
struct told {
    struct dx_process_device *device;
    OSDictionary *description; // +1; NULL without memory
    uint64_t end_change;       // changes before this one are in the description
};

struct look {
    OSDictionary *state; // +1, or NULL
    bool wants_state;
    size_t count;
    struct told told[];
};

static OSArray *
list_sessions(const struct dx_driver_process *process, const struct dx_process_device *device)
{
    OSArray *numbers = OSArrayCreate(1);
    bool done = numbers;
    for (const struct dx_process_session *session = process->sessions; done && session; session = session->next) {
        if (session->device != device || !session->has_joined)
            continue;
        OSNumber *const number = OSNumberCreateWithUInt64Value(session->number);
        done = OSArraySetObject(numbers, number);
        OSObjectRelease(number);
    }
    if (!done)
        OSSafeReleaseNULL(numbers);
    return numbers;
}

/* The first time the device itself comes with it. */
static void
send_description(struct dx_driver_process *process, struct dx_process_device *device, OSDictionary *description)
{
    const bool is_first = !device->is_told;
    const int page = dx_device_page_fd(device->device);
    OSDictionary *event = dx_process_event(is_first ? DX_EVENT_DEVICE : DX_EVENT_DESCRIPTION);
    bool done = event && OSDictionarySetStringValue(event, DX_KEY_UID, dx_device_uid(device->device)) &&
                OSDictionarySetObject(event, DX_KEY_DESCRIPTION, description);
    if (done && is_first)
        done = OSDictionarySetUInt64Value(event, DX_KEY_INCARNATION, process->incarnation) &&
               dx_wire_take(event, "sessions", list_sessions(process, device)) &&
               OSDictionarySetUInt64Value(event, "page", 0);
    if (!done)
        OSSafeReleaseNULL(event);
    device->is_told = event && dx_process_send(process, event, &page, is_first ? 1 : 0);
}

static uint64_t
count_changes(const struct dx_process_device *device)
{
    return device->changes ? OSArrayGetCount(device->changes) : 0;
}

/* Those before a number, in their order. */
static void
send_changes(struct dx_driver_process *process, struct dx_process_device *device, uint64_t end)
{
    while (device->first_change < end && count_changes(device)) {
        (void)dx_process_send(process, OSObjectRetain(OSArrayGetObject(device->changes, 0)), NULL, 0);
        OSArrayRemoveObject(device->changes, 0);
        device->first_change++;
    }
}

static void
send_state(struct dx_driver_process *process, OSDictionary *state)
{
    if (process->told_state && OSObjectIsEqualTo(process->told_state, state))
        return;
    OSDictionary *event = dx_process_event(DX_EVENT_SAVED_STATE);
    if (event && !OSDictionarySetObject(event, "state", state))
        OSSafeReleaseNULL(event);
    OSSafeReleaseNULL(process->told_state);
    if (event && dx_process_send(process, event, NULL, 0))
        process->told_state = OSObjectRetain(state);
}

/* On the look queue. */
static void
run_look(struct dx_process_job *job)
{
    struct look *const look = job->context;
    for (size_t i = 0; i < look->count; i++)
        look->told[i].description = dx_describe_device(look->told[i].device->device);
    if (look->wants_state)
        look->state = dx_host_copy_saved_state(job->process->host);
}

/* Takes what is to be looked at. */
static void
collect(struct dx_driver_process *process, struct look *look)
{
    for (struct dx_process_device *device = process->devices; device; device = device->next) {
        if (!device->is_changed)
            continue;
        look->told[look->count++] = (struct told){
            .device = device,
            .end_change = device->first_change + count_changes(device),
        };
        device->is_changed = false;
        device->jobs++; // so that it stays
    }
    look->wants_state = process->is_state_changed;
    process->is_state_changed = false;
}

/* Tells what was seen, or, where nothing was, has it looked at again. */
static void
finish_look(struct dx_process_job *job)
{
    struct look *const look = job->context;
    struct dx_driver_process *const process = job->process;
    for (size_t i = 0; i < look->count; i++) {
        struct told *const told = &look->told[i];
        struct dx_process_device *const device = told->device;
        if (!told->description)
            device->is_changed = true;
        else if (device->has_driver) // it may have gone meanwhile, and that has been told
            send_description(process, device, told->description);
        send_changes(process, device, told->end_change);
        OSObjectRelease(told->description);
        device->jobs--;
        dx_process_check_device(process, device);
    }
    if (look->state)
        send_state(process, look->state);
    process->is_state_changed |= look->wants_state && !look->state;
    OSObjectRelease(look->state);
    free(look);
    dx_loop_timer_set(process->tell_timer, TELL_NS);
}

static size_t
count_changed(const struct dx_driver_process *process)
{
    size_t count = 0;
    for (const struct dx_process_device *device = process->devices; device; device = device->next)
        count += device->is_changed;
    return count;
}

/* Has what has changed looked at, unless that was done a moment ago: then at the end of the pause. */
static void
tell(struct dx_driver_process *process)
{
    const size_t count = count_changed(process);
    if (process->is_telling || process->state == DX_PROCESS_QUITTING || (!count && !process->is_state_changed))
        return;
    process->is_telling = true;
    struct look *const look = calloc(1, sizeof *look + count * sizeof look->told[0]);
    struct dx_process_job *const job = look ? dx_process_job_create(process, run_look, finish_look) : NULL;
    if (!job) {
        free(look);
        dx_loop_timer_set(process->tell_timer, TELL_NS); // there may be memory then
        return;
    }
    job->context = look;
    collect(process, look);
    dx_process_job_start(job, process->look);
}

void
dx_process_pause_ended(void *context)
{
    struct dx_driver_process *const process = context;
    if (process->channel && dx_channel_is_behind(process->channel)) {
        /* What changes until it has caught up is told together. */
        dx_loop_timer_set(process->tell_timer, TELL_NS);
        return;
    }
    process->is_telling = false;
    tell(process);
}

void
dx_process_tell_all(struct dx_driver_process *process)
{
    for (struct dx_process_device *device = process->devices; device; device = device->next) {
        device->is_told = false;
        device->is_changed = device->has_driver;
    }
    OSSafeReleaseNULL(process->told_state);
    process->is_state_changed = process->state == DX_PROCESS_LOADED;
    tell(process);
}

/* ---- what the host tells ---- */

/* On its way from the host's queue to the control thread. */
struct notice {
    struct dx_driver_process *process;
    dx_host_event_kind kind;
    dx_device *device;    // +1
    OSDictionary *change; // +1: the event of changed properties; or NULL
    kern_return_t status;
    uint32_t epoch;
};

static struct dx_process_device *
add_device(struct dx_driver_process *process, dx_device *entry)
{
    struct dx_process_device *const device = calloc(1, sizeof *device);
    if (!device)
        return NULL;
    if (IODispatchQueueCreate("dextral-device", 0, 0, &device->queue) != kIOReturnSuccess) {
        free(device);
        return NULL;
    }
    device->device = dx_device_retain(entry);
    device->next = process->devices;
    process->devices = device;
    return device;
}

static void
device_added(struct dx_driver_process *process, dx_device *entry)
{
    struct dx_process_device *device = find_entry(process, entry);
    if (!device)
        device = add_device(process, entry);
    if (!device) {
        dx_process_log("%s: no memory to tell of the device", dx_device_uid(entry));
        return;
    }
    device->has_driver = true;
    device->is_told = false;
    device->is_changed = true;
}

static void
device_removed(struct dx_driver_process *process, struct dx_process_device *device)
{
    /* Of one that goes with the process, the process's end tells: it is there again with the next one. */
    if (process->state != DX_PROCESS_QUITTING) {
        OSDictionary *event = dx_process_event(DX_EVENT_DEVICE_GONE);
        if (event && !OSDictionarySetStringValue(event, DX_KEY_UID, dx_device_uid(device->device)))
            OSSafeReleaseNULL(event);
        (void)dx_process_send(process, event, NULL, 0);
    }
    device->has_driver = false;
    device->is_changed = false;
    dx_process_check_device(process, device);
}

/* Has an event follow the next description. */
static void
add_change(struct dx_process_device *device, OSDictionary *change)
{
    device->is_changed = true;
    if (!device->changes)
        device->changes = OSArrayCreate(4);
    if (!device->changes || !OSArraySetObject(device->changes, change))
        dx_process_log("%s: no memory to tell of a change", dx_device_uid(device->device));
}

static void
properties_changed(struct dx_process_device *device, OSDictionary *change)
{
    device->is_changed = true;
    for (size_t i = 0; i < count_changes(device); i++)
        if (OSObjectIsEqualTo(OSArrayGetObject(device->changes, i), change))
            return;
    if (count_changes(device) < MAX_CHANGES)
        add_change(device, change);
    else
        dx_process_log("%s: its properties change faster than one can tell", dx_device_uid(device->device));
}

/* The end is told after what the device is now; the next begin after that. */
static void
configuration_changes(struct dx_driver_process *process, struct dx_process_device *device,
                      const struct notice *notice)
{
    const bool begins = notice->kind == DX_EVENT_CONFIGURATION_BEGIN;
    OSDictionary *event = dx_process_event(DX_EVENT_CONFIGURATION);
    if (event && !(OSDictionarySetStringValue(event, DX_KEY_UID, dx_device_uid(device->device)) &&
                   dx_wire_set_bool(event, "begin", begins) &&
                   OSDictionarySetUInt64Value(event, DX_KEY_STATUS, (uint32_t)notice->status) &&
                   OSDictionarySetUInt64Value(event, "epoch", notice->epoch)))
        OSSafeReleaseNULL(event);
    if (!begins) {
        add_change(device, event);
        OSObjectRelease(event);
        return;
    }
    send_changes(process, device, UINT64_MAX);
    (void)dx_process_send(process, event, NULL, 0);
}

/* Control thread. */
static void
take_notice(void *context)
{
    struct notice *const notice = context;
    struct dx_driver_process *const process = notice->process;
    if (notice->kind == DX_EVENT_DEVICE_ADDED)
        device_added(process, notice->device);
    struct dx_process_device *const device = find_entry(process, notice->device);
    switch (device ? notice->kind : DX_EVENT_DEVICE_ADDED) {
    case DX_EVENT_DEVICE_ADDED:
        break;
    case DX_EVENT_DEVICE_REMOVED:
        device_removed(process, device);
        break;
    case DX_EVENT_PROPERTIES_CHANGED:
        properties_changed(device, notice->change);
        break;
    case DX_EVENT_CONFIGURATION_BEGIN:
    case DX_EVENT_CONFIGURATION_END:
        configuration_changes(process, device, notice);
        if (notice->kind == DX_EVENT_CONFIGURATION_END)
            dx_process_check_sessions(process, device);
        break;
    case DX_EVENT_IO_STARTED:
        dx_process_check_sessions(process, device);
        device->is_changed = device->has_driver; // it says whether IO runs
        break;
    case DX_EVENT_IO_STOPPED:
    case DX_EVENT_START_TIMEOUT:
        device->is_changed = device->has_driver; // it says whether IO runs
        break;
    }
    process->is_state_changed |=
        notice->kind == DX_EVENT_PROPERTIES_CHANGED || notice->kind == DX_EVENT_CONFIGURATION_END;
    tell(process);
    dx_device_release(notice->device);
    OSObjectRelease(notice->change);
    free(notice);
}

/* What programs are told of an object's properties; +1, NULL without memory. */
static OSDictionary *
describe_change(const dx_host_event *event)
{
    OSDictionary *body = dx_process_event(DX_EVENT_PROPERTIES);
    OSArray *const selectors = OSArrayCreate(event->selector_count);
    bool done = body && selectors && OSDictionarySetStringValue(body, DX_KEY_UID, dx_device_uid(event->device)) &&
                OSDictionarySetUInt64Value(body, "object", event->object);
    for (uint32_t i = 0; done && i < event->selector_count; i++) {
        OSNumber *const selector = OSNumberCreateWithUInt64Value(event->selectors[i]);
        done = OSArraySetObject(selectors, selector);
        OSObjectRelease(selector);
    }
    if (!(dx_wire_take(body, "selectors", selectors) && done))
        OSSafeReleaseNULL(body);
    return body;
}

static uint32_t
read_epoch(const dx_device *device)
{
    struct dx_timeline_page page = {.state = DX_TIMELINE_NONE};
    const struct dx_slots slots = dx_device_timeline(device);
    (void)dx_slots_read(&slots, &page); // nothing was published: epoch 0
    return page.epoch;
}

void
dx_process_listen(void *context, const dx_host_event *event)
{
    struct dx_driver_process *const process = context;
    if (!event->device)
        return; // the driver's own properties are nobody's
    if (event->kind == DX_EVENT_DEVICE_ADDED)
        dx_process_watchdog_add(process, event->device);
    if (event->kind == DX_EVENT_DEVICE_REMOVED)
        dx_process_watchdog_remove(process, event->device);
    struct notice *const notice = calloc(1, sizeof *notice);
    OSDictionary *const change = event->kind == DX_EVENT_PROPERTIES_CHANGED ? describe_change(event) : NULL;
    if (!notice || (event->kind == DX_EVENT_PROPERTIES_CHANGED && !change)) {
        dx_process_log("%s: no memory to tell of a change", dx_device_uid(event->device));
        OSObjectRelease(change);
        free(notice);
        return;
    }
    *notice = (struct notice){
        .process = process,
        .kind = event->kind,
        .device = dx_device_retain(event->device),
        .change = change,
        .status = event->status,
        .epoch = read_epoch(event->device),
    };
    dx_process_post(process, take_notice, notice);
}
