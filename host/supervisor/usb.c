// SPDX-License-Identifier: MIT
// USB devices that come and go, and which driver is for which.

#include "host/supervisor/usb.h"

#include "host/supervisor/bundles.h"
#include "host/supervisor/usb_monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#define MAX_PLUGGED 1024u
#define MAX_SERIAL_BYTES 64u

struct plugged {
    struct plugged *next;
    struct dx_usb_plugged device;
};

struct dx_usb {
    struct plugged *list;
    uint32_t count;
    struct dx_usb_monitor *monitor; // NULL: nobody tells
    struct dx_watch *watch;
    int rights_fd; // inotify, while a unit lacks the right to open its node; -1
    struct dx_watch *rights_watch;
    bool is_started;
};

/* For tests: docs/design/usb.md. */
const char *
dx_usb_devices_folder(void)
{
    const char *const folder = getenv("DEXTRAL_USB_DEVICES");
    return folder && folder[0] == '/' ? folder : DX_USB_DEVICES_FOLDER;
}

const char *
dx_usb_nodes_folder(void)
{
    const char *const folder = getenv("DEXTRAL_USB_NODES");
    return folder && folder[0] == '/' ? folder : DX_USB_NODES_FOLDER;
}

static bool
is_test_folder(void)
{
    return strcmp(dx_usb_devices_folder(), DX_USB_DEVICES_FOLDER) != 0;
}

/* ---- which personality is for what ---- */

/* A device, or one of its interfaces, and a personality that fits. */
struct candidate {
    const struct dx_bundle_entry *entry;
    const struct dx_personality *personality;
    const struct dx_usb_plugged *device;
    const struct dx_usb_interface *interface; // NULL: the device
    struct dx_usb_score score;
};

static bool
may_run(const struct dx_supervisor *supervisor, const struct dx_bundle_entry *entry)
{
    return !entry->why[0] && dx_approvals_allow(supervisor->approvals, entry, NULL);
}

/* Whether none that may run fits better in its category; of equals the first one counts. */
static bool
is_best(const struct dx_supervisor *supervisor, const struct candidate *candidate)
{
    bool is_before = true;
    for (size_t i = 0; i < supervisor->catalogue.count; i++) {
        const struct dx_bundle_entry *const entry = supervisor->catalogue.entries[i];
        if (entry->why[0] || (entry != candidate->entry && !may_run(supervisor, entry)))
            continue;
        for (size_t k = 0; k < entry->info.personality_count; k++) {
            const struct dx_personality *const other = &entry->info.personalities[k];
            struct dx_usb_score score;
            if (other == candidate->personality) {
                is_before = false;
                continue;
            }
            if (strcmp(dx_usb_category(other->properties), dx_usb_category(candidate->personality->properties)) != 0 ||
                !dx_usb_matches(other->properties, candidate->device, candidate->interface, &score))
                continue;
            if (dx_usb_score_is_better(score, candidate->score) ||
                (is_before && !dx_usb_score_is_better(candidate->score, score)))
                return false;
        }
    }
    return true;
}

/* ---- units ---- */

/* Another one that says to be the same. */
static bool
has_twin(const struct dx_supervisor *supervisor, const struct dx_usb_plugged *device)
{
    for (const struct plugged *plugged = supervisor->usb->list; plugged; plugged = plugged->next) {
        const struct dx_usb_plugged *const other = &plugged->device;
        if (strcmp(other->port, device->port) != 0 && other->vendor == device->vendor &&
            other->product == device->product && strcmp(other->serial, device->serial) == 0)
            return true;
    }
    return false;
}

static bool
shares_process(const struct candidate *candidate)
{
    return dx_wire_get_bool(candidate->personality->properties, "IOUserServerOneProcess");
}

/* One that tells it from others, and fits into a file's name. */
static bool
has_good_serial(const struct dx_supervisor *supervisor, const struct dx_usb_plugged *device)
{
    const size_t length = strlen(device->serial);
    return length > 0 && length <= MAX_SERIAL_BYTES &&
           strspn(device->serial, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == length &&
           !has_twin(supervisor, device);
}

/* By its serial number, wherever it is plugged in; without a good one by its port. */
static char *
make_key(const struct dx_supervisor *supervisor, const struct candidate *candidate)
{
    const struct dx_usb_plugged *const device = candidate->device;
    char which[2 * DX_USB_TEXT_BYTES];
    char part[DX_MAX_TEXT_BYTES + 16] = "";
    char *key = NULL;
    if (has_good_serial(supervisor, device))
        (void)snprintf(which, sizeof which, "%04x:%04x-%s", device->vendor, device->product, device->serial);
    else
        (void)snprintf(which, sizeof which, "%s", device->port);
    if (!shares_process(candidate) && candidate->interface)
        (void)snprintf(part, sizeof part, "-%s:%u", candidate->personality->name, candidate->interface->number);
    else if (!shares_process(candidate))
        (void)snprintf(part, sizeof part, "-%s", candidate->personality->name);
    return asprintf(&key, "bundle-%s%s-usb-%s", candidate->entry->info.identifier, part, which) < 0 ? NULL : key;
}

/* What runs goes on with what it was started for. */
static bool
is_open_to_change(const struct dx_unit *unit)
{
    return unit->pid <= 0 || unit->state == DX_UNIT_ENDING;
}

/* A unit whose device is plugged into that port, under this key or, as it was named when it came, another one. */
static struct dx_unit *
find_unit(const struct dx_supervisor *supervisor, const struct candidate *candidate, const char *key)
{
    const int interface = candidate->interface ? candidate->interface->number : DX_USB_WHOLE_DEVICE;
    for (struct dx_unit *unit = supervisor->units; unit; unit = unit->next) {
        if (!unit->usb || !unit->usb->is_plugged || !dx_usb_is_same(&unit->usb->device, candidate->device) ||
            strcmp(unit->identifier, candidate->entry->info.identifier) != 0)
            continue;
        if (unit->usb->is_shared && shares_process(candidate))
            return unit;
        for (uint32_t i = 0; i < unit->usb->need_count; i++)
            if (unit->usb->needs[i].interface == interface &&
                strcmp(unit->usb->needs[i].personality, candidate->personality->name) == 0)
                return unit;
    }
    struct dx_unit *const unit = dx_unit_find(supervisor, key);
    return unit && unit->usb ? unit : NULL;
}

static struct dx_unit *
create_unit(struct dx_supervisor *supervisor, const struct candidate *candidate, const char *key)
{
    struct dx_unit *const unit =
        dx_unit_create(supervisor, key, candidate->entry->info.identifier, NULL, NULL);
    if (unit && !dx_usb_unit_create(unit, candidate->device)) {
        dx_unit_release(unit);
        return NULL;
    }
    if (unit)
        unit->usb->is_shared = shares_process(candidate);
    return unit;
}

/* An interface that the kernel made when the process that is to have all of them had been started.  Those of another
 * configuration come because a driver has set that: started again it would set it again. */
static bool
has_come_late(const struct dx_unit *unit, const struct candidate *candidate)
{
    const struct dx_usb_plugged *const before = &unit->usb->device;
    return unit->usb->is_shared && candidate->interface &&
           !dx_usb_find_interface(before, candidate->interface->number) &&
           (before->configuration == 0 || before->configuration == candidate->device->configuration);
}

static void
add_unit(struct dx_supervisor *supervisor, const struct candidate *candidate)
{
    char *const key = make_key(supervisor, candidate);
    struct dx_unit *unit = key ? find_unit(supervisor, candidate, key) : NULL;
    if (key && !unit)
        unit = create_unit(supervisor, candidate, key);
    free(key);
    const int interface = candidate->interface ? candidate->interface->number : DX_USB_WHOLE_DEVICE;
    if (!unit) {
        dx_log("%s: no memory for its driver", candidate->device->port);
        return;
    }
    if (unit->usb->is_plugged && !dx_usb_is_same(&unit->usb->device, candidate->device)) {
        dx_log("%s: %s has another device of the same name", candidate->device->port, unit->key);
        return;
    }
    if (!unit->usb->is_plugged || unit->usb->need_count == 0) { // for it again, whatever had been given up
        unit->usb->is_plugged = true;
        unit->state = unit->pid > 0 ? DX_UNIT_ENDING : DX_UNIT_WAITING;
        unit->pause_ns = 0;
        dx_usb_unit_doubt_needs(unit);
    }
    if (!is_open_to_change(unit) && has_come_late(unit, candidate) && !supervisor->is_leaving)
        dx_unit_restart(unit);
    if (!is_open_to_change(unit))
        return;
    unit->usb->device = *candidate->device; // its interfaces may be others
    if (!dx_usb_unit_add_need(unit, candidate->personality, interface))
        dx_log("%s: no room for personality %s", unit->key, candidate->personality->name);
}

static void
try_personality(struct dx_supervisor *supervisor, const struct candidate *from)
{
    struct candidate candidate = *from;
    if (dx_usb_matches(candidate.personality->properties, candidate.device, candidate.interface, &candidate.score) &&
        is_best(supervisor, &candidate))
        add_unit(supervisor, &candidate);
}

static void
try_entry(struct dx_supervisor *supervisor, const struct dx_bundle_entry *entry, const struct dx_usb_plugged *device)
{
    for (size_t i = 0; i < entry->info.personality_count; i++) {
        struct candidate candidate = {entry, &entry->info.personalities[i], device, NULL, {0, 0}};
        try_personality(supervisor, &candidate);
        for (uint32_t k = 0; k < device->interface_count; k++) {
            candidate.interface = &device->interfaces[k];
            try_personality(supervisor, &candidate);
        }
    }
}

static void
start_unit(struct dx_unit *unit)
{
    if (unit->usb->need_count == 0)
        return;
    if (unit->pid <= 0 && unit->state == DX_UNIT_WAITING && unit->pause_ns == 0)
        dx_unit_restart(unit); // it was unplugged, or was for nothing
    else if (unit->state == DX_UNIT_IDLE || unit->state == DX_UNIT_ENDING)
        (void)dx_unit_want(unit);
}

static bool
has_device(const struct dx_unit *unit, const struct dx_usb_plugged *device)
{
    return unit->usb && unit->usb->is_plugged && dx_usb_is_same(&unit->usb->device, device);
}

static void
match_device(struct dx_supervisor *supervisor, const struct dx_usb_plugged *device)
{
    for (struct dx_unit *unit = supervisor->units; unit; unit = unit->next)
        if (has_device(unit, device) && is_open_to_change(unit))
            dx_usb_unit_doubt_needs(unit);
    for (size_t i = 0; i < supervisor->catalogue.count; i++)
        if (may_run(supervisor, supervisor->catalogue.entries[i]))
            try_entry(supervisor, supervisor->catalogue.entries[i], device);
    for (struct dx_unit *unit = supervisor->units; unit; unit = unit->next) {
        if (!has_device(unit, device))
            continue;
        if (is_open_to_change(unit))
            dx_usb_unit_drop_doubted(unit);
        if (supervisor->usb->is_started && !supervisor->is_leaving)
            start_unit(unit);
    }
}

/* ---- coming and going ---- */

static struct plugged **
find_plugged(struct dx_usb *usb, const char *port)
{
    struct plugged **at = &usb->list;
    while (*at && strcmp((*at)->device.port, port) != 0)
        at = &(*at)->next;
    return at;
}

static void
remove_plugged(struct dx_supervisor *supervisor, struct plugged **at)
{
    struct plugged *const plugged = *at;
    dx_log_detail(supervisor, "USB %04x:%04x has left %s", plugged->device.vendor, plugged->device.product,
                  plugged->device.port);
    *at = plugged->next;
    supervisor->usb->count--;
    for (struct dx_unit *unit = supervisor->units; unit; unit = unit->next)
        if (unit->usb && unit->usb->is_plugged && dx_usb_is_same(&unit->usb->device, &plugged->device))
            dx_usb_unit_leave(unit);
    free(plugged);
}

static void
add_plugged(struct dx_supervisor *supervisor, const struct dx_usb_plugged *device)
{
    struct plugged *const plugged = supervisor->usb->count < MAX_PLUGGED ? malloc(sizeof *plugged) : NULL;
    if (!plugged) {
        dx_log("%s: no memory, or too many USB devices", device->port);
        return;
    }
    dx_log_detail(supervisor, "USB %04x:%04x is at %s", device->vendor, device->product, device->port);
    *plugged = (struct plugged){supervisor->usb->list, *device};
    supervisor->usb->list = plugged;
    supervisor->usb->count++;
}

/* What is there now counts, whatever was told. */
static void
look_at(void *context, const char *port)
{
    struct dx_supervisor *const supervisor = context;
    struct dx_usb_plugged device;
    const int r = dx_usb_read_plugged(dx_usb_devices_folder(), port, &device);
    if (r != 0 && r != -ENODEV)
        dx_log("%s/%s is not understood: %s", dx_usb_devices_folder(), port, strerror(-r));
    if (r != 0 && r != -ENODEV && r != -EBADMSG)
        return; // it could not be looked at: nobody says that it has left
    struct plugged **const at = find_plugged(supervisor->usb, port);
    if (*at && (r != 0 || !dx_usb_is_same(&(*at)->device, &device)))
        remove_plugged(supervisor, at);
    if (r != 0)
        return;
    struct plugged *const known = *find_plugged(supervisor->usb, port);
    if (known)
        known->device = device; // its interfaces may be others
    else
        add_plugged(supervisor, &device);
    match_device(supervisor, &device);
}

static void
look_at_all(struct dx_supervisor *supervisor)
{
    for (struct plugged *plugged = supervisor->usb->list, *next; plugged; plugged = next) {
        next = plugged->next;
        char port[DX_USB_PORT_BYTES];
        memcpy(port, plugged->device.port, sizeof port);
        look_at(supervisor, port);
    }
    const int r = dx_usb_each_port(dx_usb_devices_folder(), look_at, supervisor);
    if (r != 0 && r != -ENOENT)
        dx_log("%s: %s: no driver of USB devices is started", dx_usb_devices_folder(), strerror(-r));
}

void
dx_usb_match(struct dx_supervisor *supervisor)
{
    if (supervisor->usb && !supervisor->usb->watch) {
        look_at_all(supervisor);
        return;
    }
    for (const struct plugged *plugged = supervisor->usb ? supervisor->usb->list : NULL; plugged;
         plugged = plugged->next)
        match_device(supervisor, &plugged->device);
}

static void
take_news(void *context, const char *port)
{
    if (port)
        look_at(context, port);
    else
        look_at_all(context);
}

static void
monitor_readable(void *context, int fd, uint32_t events)
{
    (void)fd;
    (void)events;
    struct dx_supervisor *const supervisor = context;
    dx_usb_monitor_read(supervisor->usb->monitor, take_news, supervisor);
    dx_usb_units_collect(supervisor);
}

/* ---- rights ---- */

static void
stop_watching_rights(struct dx_usb *usb)
{
    dx_watch_remove(usb->rights_watch);
    usb->rights_watch = NULL;
    if (usb->rights_fd >= 0)
        close(usb->rights_fd);
    usb->rights_fd = -1;
}

static void
rights_changed(void *context, int fd, uint32_t events)
{
    (void)fd;
    (void)events;
    struct dx_supervisor *const supervisor = context;
    stop_watching_rights(supervisor->usb); // whoever lacks them still begins anew
    for (struct dx_unit *unit = supervisor->units; unit; unit = unit->next)
        if (unit->usb && unit->usb->lacks_access && !supervisor->is_leaving)
            dx_unit_restart(unit);
}

void
dx_usb_wait_for_access(struct dx_unit *unit, const char *node)
{
    struct dx_supervisor *const supervisor = unit->supervisor;
    struct dx_usb *const usb = supervisor->usb;
    if (usb->rights_fd < 0)
        usb->rights_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (usb->rights_fd >= 0 && !usb->rights_watch)
        usb->rights_watch = dx_loop_watch(supervisor->loop, usb->rights_fd, EPOLLIN, rights_changed, supervisor);
    /* Of its folder: a file that may not be read may not be watched either. */
    char *const folder = strndup(node, (size_t)(strrchr(node, '/') - node));
    if (!folder || !usb->rights_watch || inotify_add_watch(usb->rights_fd, folder, IN_ATTRIB) < 0)
        dx_log("%s is not watched: plug the device in again when its rights have changed", node);
    free(folder);
}

/* ---- all of it ---- */

void
dx_usb_open(struct dx_supervisor *supervisor)
{
    struct dx_usb *const usb = calloc(1, sizeof *usb);
    supervisor->usb_jobs = usb ? dx_usb_jobs_create(supervisor) : NULL;
    if (!supervisor->usb_jobs) {
        free(usb);
        dx_log("no memory, or no thread, to look at USB devices: no driver of theirs is started");
        return;
    }
    supervisor->usb = usb;
    usb->rights_fd = -1;
    usb->monitor = dx_usb_monitor_create(is_test_folder() ? dx_usb_devices_folder() : NULL);
    if (usb->monitor)
        usb->watch = dx_loop_watch(supervisor->loop, dx_usb_monitor_fd(usb->monitor), EPOLLIN, monitor_readable,
                                   supervisor);
    if (!usb->watch)
        dx_log_detail(supervisor, "this machine does not tell of USB devices that come and go: those that are there "
                                  "now are looked at, and others after SIGHUP");
    look_at_all(supervisor); // after listening has begun: nothing is missed in between
}

void
dx_usb_start(struct dx_supervisor *supervisor)
{
    if (!supervisor->usb)
        return;
    supervisor->usb->is_started = true;
    dx_usb_match(supervisor);
}

void
dx_usb_close(struct dx_supervisor *supervisor)
{
    struct dx_usb *const usb = supervisor->usb;
    dx_usb_jobs_destroy(supervisor->usb_jobs);
    supervisor->usb_jobs = NULL;
    if (!usb)
        return;
    dx_watch_remove(usb->watch);
    dx_usb_monitor_destroy(usb->monitor);
    stop_watching_rights(usb);
    while (usb->list) {
        struct plugged *const plugged = usb->list;
        usb->list = plugged->next;
        free(plugged);
    }
    free(usb);
    supervisor->usb = NULL;
}

/* ---- for people ---- */

static bool
add_text(OSArray *to, const char *text)
{
    OSString *const string = OSStringCreate(text);
    const bool done = string && OSArraySetObject(to, string);
    OSObjectRelease(string);
    return done;
}

/* What a personality would run on, if it were the best one. */
static bool
add_plugged_texts(const struct dx_supervisor *supervisor, const OSDictionary *personality, OSArray *to,
                  uint32_t *count)
{
    for (const struct plugged *plugged = supervisor->usb ? supervisor->usb->list : NULL; plugged;
         plugged = plugged->next) {
        bool fits = dx_usb_matches(personality, &plugged->device, NULL, NULL);
        for (uint32_t i = 0; i < plugged->device.interface_count && !fits; i++)
            fits = dx_usb_matches(personality, &plugged->device, &plugged->device.interfaces[i], NULL);
        char text[DX_USB_SUMMARY_BYTES];
        dx_usb_describe_plugged(&plugged->device, text);
        if (fits && !add_text(to, text))
            return false;
        *count += fits;
    }
    return true;
}

OSArray *
dx_usb_describe_bundle(const struct dx_supervisor *supervisor, const struct dx_bundle_entry *entry)
{
    OSArray *to = OSArrayCreate(2);
    bool done = to != NULL;
    for (size_t i = 0; done && !entry->why[0] && i < entry->info.personality_count; i++) {
        const OSDictionary *const personality = entry->info.personalities[i].properties;
        uint32_t count = 0;
        char text[DX_USB_SUMMARY_BYTES];
        char waits[DX_USB_SUMMARY_BYTES];
        if (dx_usb_provider_class_of(personality) == DX_USB_NO_PROVIDER)
            continue;
        done = add_plugged_texts(supervisor, personality, to, &count);
        dx_usb_describe_personality(personality, text);
        (void)snprintf(waits, sizeof waits, "waits for %.400s", text);
        if (count == 0)
            done = done && add_text(to, waits);
    }
    if (!done)
        OSSafeReleaseNULL(to);
    return to;
}
