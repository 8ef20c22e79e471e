// SPDX-License-Identifier: MIT
// The host: drivers that run, the directory of their devices, and what listeners are told.

#include "audio/host_state.h"

#include "audio/device.h"
#include "audio/driver.h"
#include "core/queue.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_IO_FRAMES 512u
#define DEFAULT_IO_PRIORITY 80
#define DEFAULT_START_TIMEOUT_NS 5000000000u
#define MAX_SELECTORS 256u // IOUserAudioDriverPropertiesChanged() takes no more

void
dx_host_log(dx_host *host, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments); // a longer line is cut
    va_end(arguments);
    if (host->config.log)
        host->config.log(host->config.log_context, line);
    else
        fprintf(stderr, "dextral: %s\n", line);
}

/* ---- events ---- */

struct event {
    dx_host *host;
    dx_host_event event;
    IOUserAudioObjectPropertySelector selectors[];
};

static void
deliver(void *context)
{
    struct event *const event = context;
    event->host->config.listener(event->host->config.listener_context, &event->event);
    dx_device_release(event->event.device);
    free(event);
}

void
dx_host_tell(dx_host *host, dx_host_event_kind kind, struct dx_entry *entry, IOUserAudioObjectID object,
             const IOUserAudioObjectPropertySelector *selectors, uint32_t count, kern_return_t status)
{
    if (!host->config.listener)
        return;
    struct event *const event = malloc(sizeof *event + count * sizeof *selectors);
    if (!event) {
        dx_host_log(host, "no memory to tell the listener of an event");
        return;
    }
    event->host = host;
    if (count)
        memcpy(event->selectors, selectors, count * sizeof *selectors);
    event->event = (dx_host_event){
        .size = sizeof event->event,
        .kind = kind,
        .device = entry ? dx_device_retain(&entry->device) : NULL,
        .object = object,
        .selectors = event->selectors,
        .selector_count = count,
        .status = status,
    };
    if (IODispatchQueueDispatchAsync_f(host->queue, event, deliver) != kIOReturnSuccess) {
        dx_device_release(event->event.device);
        free(event);
        dx_host_log(host, "no memory to tell the listener of an event");
    }
}

static void
do_nothing(void *context)
{
    (void)context;
}

void
dx_host_settle(dx_host *host)
{
    /* What was queued may queue more: an event by a change, for one.  Two rounds reach the end of that. */
    for (int i = 0; host && i < 2; i++)
        IODispatchQueueDispatchSync_f(host->queue, NULL, do_nothing);
}

/* ---- making and freeing ---- */

uint32_t
dx_host_copy_entries(dx_host *host, struct dx_entry **entries)
{
    uint32_t n = 0;
    dx_mutex_lock(&host->lock);
    for (struct dx_entry *entry = host->entries; entry && n < DX_HOST_MAX_DEVICES; entry = entry->next)
        entries[n++] = dx_entry_retain(entry);
    dx_mutex_unlock(&host->lock);
    return n;
}

/* Passes on what IO threads may not say themselves. */
static void
watch(void *argument)
{
    static const struct dx_wait_reason reason = {.what = "something to tell", .idle = true};

    dx_host *const host = argument;
    struct dx_entry **const entries = host->watched;
    for (;;) {
        const uint32_t notices = atomic_load_explicit(&host->notices, memory_order_acquire);
        if (atomic_load_explicit(&host->ending, memory_order_acquire))
            return;
        const uint32_t count = dx_host_copy_entries(host, entries);
        for (uint32_t i = 0; i < count; i++) {
            dx_entry_look_after(entries[i]);
            dx_entry_release(entries[i]);
        }
        (void)dx_clock_wait(host->clock, &host->notices, notices, DX_NEVER, &reason);
    }
}

static void
free_host(dx_host *host)
{
    OSObjectRelease(host->queue);
    OSObjectRelease(host->saved);
    free(host->watched);
    free(host->detached);
    free(host);
}

kern_return_t
dx_host_create(const dx_host_config *config, dx_host **ret_host)
{
    if (!ret_host || (config && config->size && config->size != sizeof *config))
        return kIOReturnBadArgument;
    if (config && (config->io_priority > 99 || config->io_cpu < 0 || config->io_frames > (1u << 20)))
        return kIOReturnBadArgument;

    dx_host *const host = calloc(1, sizeof *host);
    if (!host)
        return kIOReturnNoMemory;
    if (config)
        host->config = *config;
    host->clock = dx_clock_current();
    host->config.io_frames = host->config.io_frames ? host->config.io_frames : DEFAULT_IO_FRAMES;
    host->config.io_priority = host->config.io_priority < 0    ? 0
                               : host->config.io_priority == 0 ? DEFAULT_IO_PRIORITY
                                                               : host->config.io_priority;
    if (!host->config.start_timeout_ns)
        host->config.start_timeout_ns = DEFAULT_START_TIMEOUT_NS;
    dx_mutex_init(&host->lock, "host");
    dx_mutex_init(&host->detaching, "drivers that stop");

    kern_return_t status = IODispatchQueueCreate("dextral-host", 0, 0, &host->queue);
    if (status == kIOReturnSuccess) {
        host->saved = host->config.saved_state ? OSDictionaryCreateWithDictionary(host->config.saved_state)
                                               : OSDictionaryCreate(4);
        if (!host->saved)
            status = kIOReturnNoMemory;
    }
    host->config.saved_state = NULL; // borrowed for the call
    if (status == kIOReturnSuccess) {
        host->watched = calloc(DX_HOST_MAX_DEVICES, sizeof(struct dx_entry *));
        host->detached = calloc(DX_HOST_MAX_DEVICES, sizeof(struct dx_entry *));
        status = host->watched && host->detached ? kIOReturnSuccess : kIOReturnNoMemory;
    }
    if (status == kIOReturnSuccess) {
        const dx_task_config task = {.name = "dextral-watch"};
        status = dx_task_spawn(host->clock, &task, watch, host, &host->watcher);
    }
    if (status != kIOReturnSuccess) {
        free_host(host);
        return status;
    }
    *ret_host = host;
    return kIOReturnSuccess;
}

void
dx_host_destroy(dx_host *host)
{
    if (!host)
        return;
    for (;;) {
        dx_mutex_lock(&host->lock);
        IOUserAudioDriver *const driver =
            host->drivers ? OSObjectRetain(host->drivers->driver) : NULL;
        dx_mutex_unlock(&host->lock);
        if (!driver)
            break;
        (void)dx_host_stop_driver(host, driver); // gone whatever it says
        OSObjectRelease(driver);
    }
    atomic_store_explicit(&host->ending, true, memory_order_release);
    atomic_fetch_add_explicit(&host->notices, 1, memory_order_release);
    dx_clock_wake(host->clock, &host->notices, 1);
    dx_task_join(host->watcher);
    dx_host_settle(host);
    while (host->entries) {
        struct dx_entry *const entry = host->entries;
        host->entries = entry->next;
        dx_mutex_lock(&entry->lock);
        entry->host = NULL;
        dx_mutex_unlock(&entry->lock);
        dx_entry_release(entry);
    }
    free_host(host);
}

void
dx_host_set_memory(dx_host *host, const struct dx_host_memory *memory)
{
    host->memory = *memory;
}

/* ---- the directory ---- */

void
dx_host_forget_unused(dx_host *host)
{
    dx_mutex_lock(&host->lock);
    for (struct dx_entry **link = &host->entries; *link;) {
        struct dx_entry *const entry = *link;
        /* relaxed: with the lock held nobody can come by a new reference. */
        if (atomic_load_explicit(&entry->device.references, memory_order_relaxed) > 1) {
            link = &entry->next;
            continue;
        }
        *link = entry->next;
        dx_entry_release(entry);
    }
    dx_mutex_unlock(&host->lock);
}

static struct dx_entry *
find_entry(dx_host *host, const char *uid)
{
    for (struct dx_entry *entry = host->entries; entry; entry = entry->next)
        if (strcmp(entry->device.uid, uid) == 0)
            return entry;
    return NULL;
}

static struct dx_entry *
copy_entry(dx_host *host, const char *uid)
{
    dx_host_forget_unused(host);
    dx_mutex_lock(&host->lock);
    struct dx_entry *const entry = dx_entry_retain(find_entry(host, uid));
    dx_mutex_unlock(&host->lock);
    return entry;
}

static bool
is_visible(struct dx_entry *entry)
{
    IOUserAudioDevice *const object = dx_entry_copy_object(&entry->device);
    const bool is_hidden = object && IOUserAudioDeviceGetIsHidden(object);
    OSObjectRelease(object);
    return !is_hidden;
}

size_t
dx_host_copy_devices(dx_host *host, dx_device **devices, size_t capacity)
{
    struct dx_entry **const entries = host ? malloc(DX_HOST_MAX_DEVICES * sizeof(struct dx_entry *)) : NULL;
    if (!entries)
        return 0;
    dx_host_forget_unused(host);
    const uint32_t count = dx_host_copy_entries(host, entries);
    size_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (is_visible(entries[i])) {
            if (devices && n < capacity)
                devices[n] = dx_device_retain(&entries[i]->device);
            n++;
        }
        dx_entry_release(entries[i]);
    }
    free(entries);
    return n;
}

dx_device *
dx_host_copy_device(dx_host *host, const char *uid)
{
    struct dx_entry *const entry = host && uid ? copy_entry(host, uid) : NULL;
    return entry ? &entry->device : NULL;
}

static bool
can_be_default(struct dx_entry *entry, IOUserAudioStreamDirection direction)
{
    IOUserAudioDevice *const object = dx_entry_copy_object(&entry->device);
    const bool can = object && !IOUserAudioDeviceGetIsHidden(object) &&
                     (direction == IOUserAudioStreamDirectionInput
                          ? IOUserAudioDeviceCanBeDefaultInputDevice(object)
                          : IOUserAudioDeviceCanBeDefaultOutputDevice(object));
    OSObjectRelease(object);
    return can;
}

dx_device *
dx_host_copy_default_device(dx_host *host, IOUserAudioStreamDirection direction)
{
    struct dx_entry **const entries = host ? malloc(DX_HOST_MAX_DEVICES * sizeof(struct dx_entry *)) : NULL;
    if (!entries)
        return NULL;
    dx_device *found = NULL;
    const uint32_t count = dx_host_copy_entries(host, entries);
    for (uint32_t i = 0; i < count; i++) {
        if (!found && can_be_default(entries[i], direction))
            found = dx_device_retain(&entries[i]->device);
        dx_entry_release(entries[i]);
    }
    free(entries);
    return found;
}

struct dx_entry *
dx_host_copy_entry_of(dx_host *host, IOUserAudioClockDevice *object)
{
    OSString *const uid = IOUserAudioClockDeviceGetUID(object);
    struct dx_entry *entry = uid ? copy_entry(host, OSStringGetCStringNoCopy(uid)) : NULL;
    OSObjectRelease(uid);
    if (!entry)
        return NULL;
    dx_mutex_lock(&entry->lock);
    const bool is_its = (void *)entry->object == (void *)object;
    dx_mutex_unlock(&entry->lock);
    if (!is_its) {
        dx_entry_release(entry);
        entry = NULL;
    }
    return entry;
}

/* ---- devices that come and go ---- */

/* The entry for a UID, made when there is none; +1.  NULL without memory, or with too many. */
static struct dx_entry *
get_entry(dx_host *host, const char *uid)
{
    dx_mutex_lock(&host->lock);
    struct dx_entry *entry = find_entry(host, uid);
    if (!entry) {
        uint32_t count = 0;
        struct dx_entry **link = &host->entries;
        for (; *link; link = &(*link)->next)
            count++;
        /* Who goes through all entries has room for so many. */
        entry = count < DX_HOST_MAX_DEVICES ? dx_entry_create(host, uid) : NULL;
        if (entry)
            *link = entry;
    }
    (void)dx_entry_retain(entry);
    dx_mutex_unlock(&host->lock);
    return entry;
}

/* On the driver's queue. */
static void
publish_device(dx_host *host, IOUserAudioDriver *driver, IOUserAudioDevice *object)
{
    OSString *const uid = IOUserAudioDeviceGetUID(object);
    struct dx_entry *const entry = uid ? get_entry(host, OSStringGetCStringNoCopy(uid)) : NULL;
    OSObjectRelease(uid);
    if (!entry) {
        dx_host_log(host, "no memory to publish a device, or %u are there", DX_HOST_MAX_DEVICES);
        return;
    }
    IOUserAudioDevice *const current = dx_entry_copy_object(&entry->device);
    if (current != object) {
        /* Two drivers may come with one UID at the same time, each on its own queue. */
        if (!current && dx_entry_attach(entry, driver, object))
            dx_host_tell(host, DX_EVENT_DEVICE_ADDED, entry, IOUserAudioObjectGetObjectID(object), NULL, 0,
                         kIOReturnSuccess);
        else
            dx_host_log(host, "%s: another device has this UID already: the second one stays invisible",
                        entry->device.uid);
    }
    OSObjectRelease(current);
    dx_entry_release(entry);
}

/* On the driver's queue. */
static void
withdraw_device(dx_host *host, struct dx_entry *entry, bool tell)
{
    IOUserAudioDevice *const object = dx_entry_copy_object(&entry->device);
    if (!object)
        return;
    const IOUserAudioObjectID id = IOUserAudioObjectGetObjectID(object);
    OSObjectRelease(object);
    dx_entry_detach(entry, tell);
    dx_host_tell(host, DX_EVENT_DEVICE_REMOVED, entry, id, NULL, 0, kIOReturnSuccess);
}

/* Takes all devices away from a driver. */
struct detach {
    dx_host *host;
    IOUserAudioDriver *driver;
    bool tell;
};

static void
detach_on_queue(void *context)
{
    const struct detach *const detach = context;
    dx_host *const host = detach->host;
    struct dx_entry **const entries = host->detached; // one driver's queue at a time: see detach_devices()
    const uint32_t count = dx_host_copy_entries(host, entries);
    for (uint32_t i = 0; i < count; i++) {
        dx_mutex_lock(&entries[i]->lock);
        const bool is_its = entries[i]->driver == detach->driver;
        dx_mutex_unlock(&entries[i]->lock);
        if (is_its)
            withdraw_device(host, entries[i], detach->tell);
        dx_entry_release(entries[i]);
    }
    dx_host_forget_unused(host);
}

static void
detach_devices(dx_host *host, IOUserAudioDriver *driver, bool tell)
{
    struct detach detach = {host, driver, tell};
    IODispatchQueue *const queue = IOUserAudioDriverGetWorkQueue(driver);
    dx_mutex_lock(&host->detaching);
    if (queue)
        dx_queue_run(queue, &detach, detach_on_queue);
    else
        detach_on_queue(&detach);
    dx_mutex_unlock(&host->detaching);
    OSObjectRelease(queue);
}

/* Under the host's lock. */
static struct dx_running_driver **
find_driver(dx_host *host, const IOUserAudioDriver *driver)
{
    struct dx_running_driver **link = &host->drivers;
    while (*link && (*link)->driver != driver)
        link = &(*link)->next;
    return link;
}

bool
dx_host_runs_driver(dx_host *host, const IOUserAudioDriver *driver)
{
    dx_mutex_lock(&host->lock);
    const bool runs = *find_driver(host, driver);
    dx_mutex_unlock(&host->lock);
    return runs;
}

/* Looks which devices a driver has now, and makes the directory agree. */
struct look {
    dx_host *host;
    IOUserAudioDriver *driver;
};

static bool
contains(IOUserAudioDevice *const *objects, uint32_t count, const IOUserAudioDevice *object)
{
    for (uint32_t i = 0; i < count; i++)
        if (objects[i] == object)
            return true;
    return false;
}

static void
look_at_devices(void *context)
{
    const struct look *const look = context;
    dx_host *const host = look->host;
    /* One that is being stopped has lost its devices, here on its queue, or is about to. */
    if (!dx_host_runs_driver(host, look->driver))
        return;
    IOUserAudioDevice **const objects = calloc(DX_HOST_MAX_DEVICES, sizeof(IOUserAudioDevice *));
    struct dx_entry **const entries = calloc(DX_HOST_MAX_DEVICES, sizeof(struct dx_entry *));
    if (!objects || !entries) {
        dx_host_log(host, "no memory to look at a driver's devices");
        free(objects);
        free(entries);
        return;
    }
    uint32_t count = dx_driver_copy_devices(look->driver, objects, DX_HOST_MAX_DEVICES);
    count = count < DX_HOST_MAX_DEVICES ? count : DX_HOST_MAX_DEVICES;
    const uint32_t entry_count = dx_host_copy_entries(host, entries);
    for (uint32_t i = 0; i < entry_count; i++) {
        dx_mutex_lock(&entries[i]->lock);
        const bool is_gone =
            entries[i]->driver == look->driver && !contains(objects, count, entries[i]->object);
        dx_mutex_unlock(&entries[i]->lock);
        if (is_gone)
            withdraw_device(host, entries[i], true);
        dx_entry_release(entries[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        publish_device(host, look->driver, objects[i]);
        OSObjectRelease(objects[i]);
    }
    free(objects);
    free(entries);
}

static void
look_again(dx_host *host, IOUserAudioDriver *driver)
{
    struct look look = {host, driver};
    IODispatchQueue *const queue = IOUserAudioDriverGetWorkQueue(driver);
    if (queue)
        IODispatchQueueDispatchSync_f(queue, &look, look_at_devices);
    OSObjectRelease(queue);
}

void
dx_host_driver_registered(dx_host *host, IOUserAudioDriver *driver)
{
    look_again(host, driver);
}

/* The entry of the device that an object is, or belongs to, +1; NULL for what belongs to none. */
static struct dx_entry *
copy_entry_for_object(dx_host *host, IOUserAudioDriver *driver, IOUserAudioObjectID id)
{
    struct dx_entry *entry = NULL;
    while (!entry && id > kIOUserAudioObjectIDDriver) {
        IOUserAudioObject *const object = IOUserAudioDriverGetAudioObjectForObjectID(driver, id);
        if (!object)
            break;
        if (OSDynamicCast(IOUserAudioDevice, object))
            entry = dx_host_copy_entry_of(host, (IOUserAudioClockDevice *)object);
        id = entry ? id : IOUserAudioObjectGetOwnerObjectID(object);
        OSObjectRelease(object);
    }
    return entry;
}

void
dx_host_properties_changed(dx_host *host, IOUserAudioDriver *driver, IOUserAudioObjectID object,
                           const IOUserAudioObjectPropertySelector *selectors, uint32_t count)
{
    IOUserAudioObjectPropertySelector others[MAX_SELECTORS];
    if (object == kIOUserAudioObjectIDDriver && dx_driver_is_registered(driver)) {
        for (uint32_t i = 0; i < count; i++)
            if (selectors[i] == kIOUserAudioPropertyDeviceList) {
                look_again(host, driver);
                break;
            }
    }
    struct dx_entry *const entry = copy_entry_for_object(host, driver, object);
    /* While a change is performed the listener is told of the differences, at its end. */
    if (entry && dx_host_is_changing(host, entry)) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < count && n < MAX_SELECTORS; i++)
            if (!dx_host_is_in_snapshot(selectors[i]))
                others[n++] = selectors[i];
        selectors = others;
        count = n;
    }
    if (count)
        dx_host_tell(host, DX_EVENT_PROPERTIES_CHANGED, entry, object, selectors, count, kIOReturnSuccess);
    dx_entry_release(entry);
}

struct removal {
    dx_host *host;
    IOUserAudioObject *object;
};

static void
withdraw_object(void *context)
{
    const struct removal *const removal = context;
    struct dx_entry *const entry = dx_host_copy_entry_of(removal->host, (IOUserAudioClockDevice *)removal->object);
    if (entry)
        withdraw_device(removal->host, entry, true);
    dx_entry_release(entry);
    dx_host_forget_unused(removal->host);
}

void
dx_host_object_removed(dx_host *host, IOUserAudioDriver *driver, IOUserAudioObject *object)
{
    if (!OSDynamicCast(IOUserAudioDevice, object))
        return;
    struct removal removal = {host, object};
    IODispatchQueue *const queue = IOUserAudioDriverGetWorkQueue(driver);
    if (queue)
        dx_queue_run(queue, &removal, withdraw_object);
    else
        withdraw_object(&removal);
    OSObjectRelease(queue);
}

/* ---- drivers ---- */

/* Takes a driver off the list; false when it is not on it. */
static bool
take_driver(dx_host *host, const IOUserAudioDriver *driver)
{
    dx_mutex_lock(&host->lock);
    struct dx_running_driver **const link = find_driver(host, driver);
    struct dx_running_driver *const running = *link;
    if (running)
        *link = running->next;
    dx_mutex_unlock(&host->lock);
    free(running);
    return running;
}

kern_return_t
dx_host_start_driver_for(dx_host *host, IOUserAudioDriver *driver, OSDictionary *properties, IOService *provider)
{
    if (!host || !OSDynamicCast(IOUserAudioDriver, driver))
        return kIOReturnBadArgument;
    struct dx_running_driver *const running = calloc(1, sizeof *running);
    if (!running)
        return kIOReturnNoMemory;
    running->driver = OSObjectRetain(driver);

    dx_mutex_lock(&host->lock);
    struct dx_running_driver **const link = find_driver(host, driver);
    const bool runs_already = *link;
    if (!runs_already)
        *link = running;
    dx_mutex_unlock(&host->lock);
    if (runs_already) {
        OSObjectRelease(driver);
        free(running);
        return kIOReturnBusy;
    }

    kern_return_t status = IOUserAudioDriverInit(driver) ? kIOReturnSuccess : kIOReturnError;
    if (status == kIOReturnSuccess) {
        status = dx_driver_attach(driver, host, properties);
        if (status == kIOReturnSuccess) {
            status = IOUserAudioDriverStart(driver, provider);
            if (status != kIOReturnSuccess) {
                detach_devices(host, driver, true);
                dx_driver_detach(driver);
            }
        }
    }
    if (status != kIOReturnSuccess && take_driver(host, driver))
        OSObjectRelease(driver);
    return status;
}

kern_return_t
dx_host_start_driver(dx_host *host, IOUserAudioDriver *driver, OSDictionary *properties)
{
    return dx_host_start_driver_for(host, driver, properties, NULL);
}

struct stop {
    IOUserAudioDriver *driver;
    kern_return_t status;
};

static void
stop_on_queue(void *context)
{
    struct stop *const stop = context;
    IOService *const provider = OSObjectRetain(IOServiceGetProvider(stop->driver)); // Stop gives it up
    stop->status = IOUserAudioDriverStop(stop->driver, provider);
    OSObjectRelease(provider);
}

kern_return_t
dx_host_stop_driver(dx_host *host, IOUserAudioDriver *driver)
{
    if (!host || !driver || !take_driver(host, driver))
        return kIOReturnNotFound;
    detach_devices(host, driver, true);
    IODispatchQueue *const queue = IOUserAudioDriverGetWorkQueue(driver);
    struct stop stop = {.driver = driver};
    if (queue)
        dx_queue_run(queue, &stop, stop_on_queue);
    else
        stop_on_queue(&stop);
    OSObjectRelease(queue);
    dx_driver_detach(driver);
    OSObjectRelease(driver);
    return stop.status;
}

kern_return_t
dx_host_terminate_driver(dx_host *host, IOUserAudioDriver *driver)
{
    if (!host || !driver || !take_driver(host, driver))
        return kIOReturnNotFound;
    detach_devices(host, driver, false);
    /* Its timers and actions die with it. */
    IODispatchQueue *const queue = IOUserAudioDriverGetWorkQueue(driver);
    if (queue)
        (void)IODispatchQueueCancel_f(queue, NULL, NULL); // cancelled by the driver already: as good
    OSObjectRelease(queue);
    dx_driver_detach(driver);
    OSObjectRelease(driver);
    return kIOReturnSuccess;
}
