// SPDX-License-Identifier: MIT
// A unit that is for hardware: its device, its node, and what it has taken from the kernel.

#include "host/supervisor/usb.h"

#include "host/error.h"
#include "host/install_paths.h"
#include "host/supervisor/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- targets ---- */

bool
dx_usb_unit_create(struct dx_unit *unit, const struct dx_usb_plugged *device)
{
    unit->usb = calloc(1, sizeof *unit->usb);
    if (!unit->usb)
        return false;
    unit->usb->device = *device;
    unit->usb->is_plugged = true;
    unit->usb->node = -1;
    return true;
}

void
dx_usb_unit_doubt_needs(struct dx_unit *unit)
{
    for (uint32_t i = 0; i < unit->usb->need_count; i++)
        unit->usb->needs[i].is_current = false;
}

void
dx_usb_unit_drop_doubted(struct dx_unit *unit)
{
    struct dx_usb_target *const usb = unit->usb;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < usb->need_count; i++) {
        if (usb->needs[i].is_current) {
            usb->needs[kept++] = usb->needs[i];
            continue;
        }
        free(usb->needs[i].personality);
        free(usb->needs[i].category);
    }
    usb->need_count = kept;
}

void
dx_usb_unit_close_node(struct dx_unit *unit)
{
    if (unit->usb->node >= 0)
        close(unit->usb->node);
    unit->usb->node = -1;
    unit->usb->is_ready = false;
}

/* Nothing of it runs any more, and nothing is about to. */
static void
give_back(struct dx_unit *unit)
{
    struct dx_usb_target *const usb = unit->usb;
    if (usb->taken && usb->is_plugged && unit->supervisor->usb_jobs)
        dx_usb_jobs_give(unit->supervisor->usb_jobs, &usb->device, usb->taken);
    usb->taken = 0;
}

void
dx_usb_unit_free(struct dx_unit *unit)
{
    if (!unit->usb)
        return;
    dx_usb_unit_close_node(unit);
    if (unit->pid <= 0)
        give_back(unit);
    dx_usb_unit_doubt_needs(unit);
    dx_usb_unit_drop_doubted(unit);
    free(unit->usb);
    unit->usb = NULL;
}

bool
dx_usb_unit_add_need(struct dx_unit *unit, const struct dx_personality *personality, int interface)
{
    struct dx_usb_target *const usb = unit->usb;
    for (uint32_t i = 0; i < usb->need_count; i++) {
        if (usb->needs[i].interface != interface || strcmp(usb->needs[i].personality, personality->name) != 0)
            continue;
        usb->needs[i].is_current = true;
        return true;
    }
    if (usb->need_count == DX_USB_MAX_NEEDS)
        return false;
    struct dx_usb_need *const need = &usb->needs[usb->need_count];
    *need = (struct dx_usb_need){
        .personality = strdup(personality->name),
        .category = strdup(dx_usb_category(personality->properties)),
        .interface = interface,
        .is_current = true,
    };
    if (need->personality && need->category) {
        usb->need_count++;
        return true;
    }
    free(need->personality);
    free(need->category);
    return false;
}

void
dx_usb_unit_describe(const struct dx_unit *unit, char text[DX_USB_SUMMARY_BYTES])
{
    char plugged[DX_USB_SUMMARY_BYTES];
    dx_usb_describe_plugged(&unit->usb->device, plugged);
    (void)snprintf(text, DX_USB_SUMMARY_BYTES, "%s%.400s", unit->usb->is_plugged ? "" : "waits for ", plugged);
}

/* ---- before it is started ---- */

static const struct dx_personality *
find_personality(const struct dx_bundle_entry *entry, const char *name)
{
    for (size_t i = 0; i < entry->info.personality_count; i++)
        if (strcmp(entry->info.personalities[i].name, name) == 0)
            return &entry->info.personalities[i];
    return NULL;
}

/* The interface of a need, in the device as it was read last; of a whole device NULL. */
static bool
find_interface(const struct dx_usb_target *usb, const struct dx_usb_need *need,
               const struct dx_usb_interface **ret_interface)
{
    *ret_interface = need->interface == DX_USB_WHOLE_DEVICE
                         ? NULL
                         : dx_usb_find_interface(&usb->device, (uint8_t)need->interface);
    return need->interface == DX_USB_WHOLE_DEVICE || *ret_interface;
}

static bool
still_matches(const struct dx_usb_target *usb, const struct dx_usb_need *need, const struct dx_bundle_entry *entry)
{
    const struct dx_personality *const personality = find_personality(entry, need->personality);
    const struct dx_usb_interface *interface = NULL;
    return personality && find_interface(usb, need, &interface) &&
           dx_usb_matches(personality->properties, &usb->device, interface, NULL);
}

/* What another unit's process has, or will have after a pause. */
static bool
is_held(const struct dx_unit *unit, const struct dx_usb_need *need, const struct dx_unit *other)
{
    if (other == unit || !other->usb || !other->usb->is_plugged ||
        (other->pid <= 0 && other->state != DX_UNIT_WAITING) ||
        !dx_usb_is_same(&other->usb->device, &unit->usb->device))
        return false;
    for (uint32_t i = 0; i < other->usb->need_count; i++)
        if (other->usb->needs[i].interface == need->interface &&
            strcmp(other->usb->needs[i].category, need->category) == 0)
            return true;
    return false;
}

/* Who keeps a unit out; NULL: nobody. */
static const struct dx_unit *
find_holder(const struct dx_unit *unit)
{
    for (const struct dx_unit *other = unit->supervisor->units; other; other = other->next)
        for (uint32_t i = 0; i < unit->usb->need_count; i++)
            if (is_held(unit, &unit->usb->needs[i], other))
                return other;
    return NULL;
}

kern_return_t
dx_usb_unit_check(struct dx_unit *unit, const struct dx_bundle_entry *entry, dx_error *error)
{
    struct dx_usb_target *const usb = unit->usb;
    const struct dx_unit *const holder = find_holder(unit);
    char text[DX_USB_SUMMARY_BYTES];
    usb->is_kept_out = false;
    dx_usb_describe_plugged(&usb->device, text);
    if (!usb->is_plugged)
        return dx_error_set(error, kIOReturnNoDevice, "%.300s has been unplugged", text);
    if (usb->need_count == 0)
        return dx_error_set(error, kIOReturnNotFound,
                            "no personality of %s is for %.300s now, or another bundle's fits it better", entry->folder,
                            text);
    for (uint32_t i = 0; i < usb->need_count; i++)
        if (!still_matches(usb, &usb->needs[i], entry))
            return dx_error_set(error, kIOReturnNotFound, "personality \"%.80s\" is no longer for %.300s",
                                usb->needs[i].personality, text);
    usb->is_kept_out = holder != NULL;
    return holder ? dx_error_set(error, kIOReturnExclusiveAccess, "the driver %.80s has %.300s", holder->identifier, text)
                  : kIOReturnSuccess;
}

static kern_return_t
refuse_access(const char *node, const char *text, dx_error *error)
{
    return dx_error_set(error, kIOReturnNotPrivileged,
                        "%s (%.100s) may not be opened by this user: %s/70-dextral-usb.rules gives the right to whoever "
                        "is logged in here and to the group plugdev; where the file is there, run `udevadm control "
                        "--reload && udevadm trigger -s usb`, and `id` must name plugdev for a user who is not logged in",
                        node, text, DX_UDEV_RULES_FOLDER);
}

/* Without the right it is looked at once more when changes are watched: one may have come in between. */
static int
open_or_wait(struct dx_unit *unit, const char *path)
{
    const int flags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW;
    const int node = open(path, flags);
    if (node >= 0 || (errno != EACCES && errno != EPERM))
        return node;
    dx_usb_wait_for_access(unit, path);
    return open(path, flags);
}

static kern_return_t
open_node(struct dx_unit *unit, dx_error *error)
{
    struct dx_usb_target *const usb = unit->usb;
    char text[DX_USB_SUMMARY_BYTES];
    dx_usb_describe_plugged(&usb->device, text);
    char *const path = dx_usb_node_path(dx_usb_nodes_folder(), &usb->device);
    if (!path)
        return dx_error_set(error, kIOReturnNoMemory, "no memory to start the driver");
    kern_return_t status = kIOReturnSuccess;
    dx_usb_unit_close_node(unit);
    usb->node = open_or_wait(unit, path);
    const int code = errno;
    usb->lacks_access = usb->node < 0 && (code == EACCES || code == EPERM);
    if (usb->lacks_access)
        status = refuse_access(path, text, error);
    else if (usb->node < 0 && code == ENOENT)
        status = dx_error_set(error, kIOReturnNoDevice,
                              "%s is not there, but %.300s is plugged in: is /dev/bus/usb there?", path, text);
    else if (usb->node < 0)
        status = dx_error_set(error, code == ENODEV ? kIOReturnNoDevice : kIOReturnIOError, "%s (%.300s): %s", path,
                              text, strerror(code));
    free(path);
    return status;
}

/* Bits of the interfaces that the needs are about.  Whether a driver of the kernel has them is looked at when it is to
 * give way: one that comes with a device may be on its way still, and its module be loaded only now. */
static uint32_t
wanted_interfaces(const struct dx_usb_target *usb)
{
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < usb->need_count; i++)
        wanted |= usb->needs[i].interface == DX_USB_WHOLE_DEVICE ? UINT32_MAX : 1u << usb->needs[i].interface;
    return wanted;
}

kern_return_t
dx_usb_unit_prepare(struct dx_unit *unit, dx_error *error)
{
    struct dx_usb_target *const usb = unit->usb;
    struct dx_usb_plugged now;
    const int r = dx_usb_read_plugged(dx_usb_devices_folder(), usb->device.port, &now);
    if (r != 0 || !dx_usb_is_same(&now, &usb->device))
        return dx_error_set(error, kIOReturnNoDevice, "USB %04x:%04x at %s has been unplugged", usb->device.vendor,
                            usb->device.product, usb->device.port);
    const kern_return_t status = open_node(unit, error);
    if (status != kIOReturnSuccess)
        return status;
    usb->taken |= wanted_interfaces(usb);
    dx_registry_write(unit->supervisor); // before it is done: whoever comes after a kill can give it back
    return dx_usb_jobs_take(unit->supervisor->usb_jobs, unit, usb->node, usb->taken)
               ? kIOReturnSuccess
               : dx_error_set(error, kIOReturnNoMemory, "no memory to take the device from the kernel");
}

bool
dx_usb_unit_add_providers(const struct dx_unit *unit, OSDictionary *load, int *fds, uint32_t *fd_count)
{
    const struct dx_usb_target *const usb = unit->usb;
    OSArray *const providers = OSArrayCreate(usb->need_count);
    bool done = providers != NULL;
    for (uint32_t i = 0; done && i < usb->need_count; i++) {
        const struct dx_usb_interface *interface = NULL;
        OSDictionary *const item = OSDictionaryCreate(4);
        done = find_interface(usb, &usb->needs[i], &interface) && item &&
               OSDictionarySetStringValue(item, "personality", usb->needs[i].personality) &&
               OSDictionarySetUInt64Value(item, "node", *fd_count) &&
               dx_wire_take(item, "properties", dx_usb_copy_properties(&usb->device, interface)) &&
               OSArraySetObject(providers, item);
        OSObjectRelease(item);
    }
    fds[(*fd_count)++] = usb->node;
    return dx_wire_take(load, "providers", providers) && done;
}

/* ---- the end ---- */

void
dx_usb_unit_settle(struct dx_unit *unit)
{
    const bool is_over =
        unit->state == DX_UNIT_IDLE || unit->state == DX_UNIT_FAILED || unit->state == DX_UNIT_UNAPPROVED;
    if (unit->pid > 0)
        return;
    dx_usb_unit_close_node(unit);
    if (is_over && unit->usb->taken) { // else the driver comes back at once, or after a pause
        give_back(unit);
        dx_registry_write(unit->supervisor);
    }
}

static void
start_kept_out(void *context)
{
    const struct dx_supervisor *const supervisor = context;
    for (struct dx_unit *unit = supervisor->units; unit && !supervisor->is_leaving; unit = unit->next)
        if (unit->usb && unit->usb->is_kept_out && unit->state == DX_UNIT_FAILED && !find_holder(unit))
            dx_unit_restart(unit);
}

void
dx_usb_unit_ended(struct dx_unit *unit)
{
    /* Not now: it may be started again before the caller returns. */
    (void)dx_loop_post(unit->supervisor->loop, start_kept_out, unit->supervisor); // without memory: at the next end
}

/* Two adapters that say to be one, or one at another port whose driver there has not ended yet. */
static void
list_unlisted(struct dx_supervisor *supervisor)
{
    for (struct dx_unit *unit = supervisor->units; unit && !supervisor->is_leaving; unit = unit->next) {
        if (!unit->usb || !unit->usb->is_unlisted)
            continue;
        unit->usb->is_unlisted = false;
        if (unit->state == DX_UNIT_RUNNING || unit->state == DX_UNIT_STARTING)
            dx_unit_restart(unit);
    }
}

static void
collect(void *context)
{
    dx_usb_units_collect(context);
    list_unlisted(context);
}

void
dx_usb_unit_left(struct dx_unit *unit)
{
    struct dx_supervisor *const supervisor = unit->supervisor;
    char text[DX_USB_SUMMARY_BYTES];
    dx_usb_describe_plugged(&unit->usb->device, text);
    (void)dx_error_set(&unit->why, kIOReturnSuccess, "%.300s has been unplugged: it goes on when it is plugged in again",
                       text);
    dx_loop_timer_clear(unit->timer);
    dx_usb_unit_close_node(unit);
    unit->pause_ns = 0;
    unit->state = DX_UNIT_WAITING;
    dx_unit_end_calls(unit, false, kIOReturnNoDevice, unit->why.message);
    for (struct dx_listing *listing = supervisor->listings, *next; listing; listing = next) {
        next = listing->next;
        if (listing->unit != unit)
            continue;
        listing->is_gone = true;
        dx_listing_changed(listing);
        dx_listing_check_gone(listing);
    }
    /* Not now: whoever called may still be about to look at it. */
    (void)dx_loop_post(supervisor->loop, collect, supervisor); // without memory: at the next news
}

void
dx_usb_unit_leave(struct dx_unit *unit)
{
    struct dx_usb_target *const usb = unit->usb;
    usb->is_plugged = false;
    usb->lacks_access = false;
    usb->taken = 0; // it is nobody's any more
    unit->is_wanted_again = false;
    if (unit->pid > 0)
        dx_unit_quit(unit);
    else
        dx_usb_unit_left(unit);
}

static bool
is_listed(const struct dx_unit *unit)
{
    for (const struct dx_listing *listing = unit->supervisor->listings; listing; listing = listing->next)
        if (listing->unit == unit)
            return true;
    return false;
}

void
dx_usb_units_collect(struct dx_supervisor *supervisor)
{
    for (struct dx_unit *unit = supervisor->units, *next; unit; unit = next) {
        next = unit->next;
        if (unit->usb && !unit->usb->is_plugged && unit->pid <= 0 && !is_listed(unit))
            dx_unit_release(unit);
    }
}

/* ---- for a later supervisor ---- */

OSArray *
dx_usb_describe_taken(const struct dx_supervisor *supervisor)
{
    OSArray *taken = OSArrayCreate(1);
    for (const struct dx_unit *unit = supervisor->units; taken && unit; unit = unit->next) {
        if (!unit->usb || !unit->usb->taken)
            continue;
        const struct dx_usb_plugged *const device = &unit->usb->device;
        OSDictionary *const item = OSDictionaryCreate(6);
        if (!item || !OSDictionarySetStringValue(item, "unit", unit->key) ||
            !OSDictionarySetStringValue(item, "port", device->port) ||
            !OSDictionarySetUInt64Value(item, "bus", device->bus) ||
            !OSDictionarySetUInt64Value(item, "address", device->address) ||
            !OSDictionarySetUInt64Value(item, "interfaces", unit->usb->taken) || !OSArraySetObject(taken, item))
            OSSafeReleaseNULL(taken);
        OSObjectRelease(item);
    }
    return taken;
}

/* Another device at the same port has another address: nothing was taken from that one. */
static void
recover(struct dx_supervisor *supervisor, const OSDictionary *item)
{
    struct dx_usb_plugged device;
    const char *const key = dx_wire_get_string(item, "unit");
    const char *const port = dx_wire_get_string(item, "port");
    const uint64_t interfaces = dx_wire_get_number(item, "interfaces", 0);
    if (!key || !port || interfaces > UINT32_MAX || dx_usb_read_plugged(dx_usb_devices_folder(), port, &device) != 0 ||
        device.bus != dx_wire_get_number(item, "bus", 0) || device.address != dx_wire_get_number(item, "address", 0))
        return;
    struct dx_unit *const unit = dx_unit_find(supervisor, key);
    if (unit && unit->usb && dx_usb_is_same(&unit->usb->device, &device))
        unit->usb->taken = (uint32_t)interfaces; // it runs, or is started: in between the kernel's driver would come
    else
        dx_usb_jobs_give(supervisor->usb_jobs, &device, (uint32_t)interfaces);
}

void
dx_usb_recover_taken(struct dx_supervisor *supervisor, const OSArray *taken)
{
    for (size_t i = 0; supervisor->usb_jobs && taken && i < OSArrayGetCount(taken); i++) {
        const OSDictionary *const item = OSDynamicCast(OSDictionary, OSArrayGetObject(taken, i));
        if (item)
            recover(supervisor, item);
    }
    /* One that runs has taken something. */
    for (struct dx_unit *unit = supervisor->units; unit; unit = unit->next)
        if (unit->usb && unit->pid > 0 && !unit->usb->taken)
            dx_unit_kill(unit, "had a device that was unplugged while nobody looked, and was killed");
}
