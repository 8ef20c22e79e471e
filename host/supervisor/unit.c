// SPDX-License-Identifier: MIT
// The life of what runs in a driver process: wanted, started, idle, ended, started again, given up.

#include "host/supervisor/unit.h"

#include "host/error.h"
#include "host/protocol.h"
#include "host/supervisor/incident.h"
#include "host/supervisor/keep.h"
#include "host/supervisor/listing.h"
#include "host/supervisor/session.h"
#include "host/supervisor/usb.h"
#include "host/supervisor/user_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOAD_TIMEOUT_NS (10 * DX_NS_PER_S)
#define QUIT_TIMEOUT_NS (3 * DX_NS_PER_S)
#define IDLE_MS_DEFAULT 5000u

/* Restarts: see docs/design/machine.md. */
#define PAUSE_WINDOW_NS (10 * DX_NS_PER_S)
#define PAUSE_FIRST_NS (DX_NS_PER_S / 4)
#define PAUSE_MOST_NS (30 * DX_NS_PER_S)
#define GIVE_UP_WINDOW_NS (300 * DX_NS_PER_S)
#define HEALTHY_NS (3 * DX_NS_PER_S)

static void unit_timer(void *context);

struct dx_unit *
dx_unit_find(const struct dx_supervisor *supervisor, const char *key)
{
    for (struct dx_unit *unit = supervisor->units; unit; unit = unit->next)
        if (strcmp(unit->key, key) == 0)
            return unit;
    return NULL;
}

struct dx_unit *
dx_unit_find_number(const struct dx_supervisor *supervisor, uint64_t number)
{
    for (struct dx_unit *unit = supervisor->units; unit; unit = unit->next)
        if (unit->number == number)
            return unit;
    return NULL;
}

/* NULL stays NULL, and is no lack of memory. */
static bool
copy_text(char **ret_copy, const char *text)
{
    *ret_copy = text ? strdup(text) : NULL;
    return !text || *ret_copy;
}

void
dx_unit_release(struct dx_unit *unit)
{
    struct dx_supervisor *const supervisor = unit->supervisor;
    for (struct dx_listing *listing = supervisor->listings, *next; listing; listing = next) {
        next = listing->next;
        if (listing->unit == unit)
            dx_listing_destroy(listing);
    }
    dx_unit_end_calls(unit, false, kIOReturnNoDevice, "the device has been removed");
    dx_user_clients_leave_unit(unit);
    dx_channel_destroy(unit->channel);
    dx_usb_unit_free(unit);
    dx_unit_forget_process(unit);
    dx_loop_timer_destroy(unit->timer);
    dx_loop_timer_destroy(unit->listen_timer);
    for (struct dx_unit **at = &supervisor->units; *at; at = &(*at)->next) {
        if (*at == unit) {
            *at = unit->next;
            break;
        }
    }
    OSObjectRelease(unit->follows);
    OSObjectRelease(unit->options);
    OSObjectRelease(unit->open_parts);
    OSObjectRelease(unit->saved_state);
    free(unit->key);
    free(unit->identifier);
    free(unit->personality);
    free(unit->declared_uid);
    free(unit->path);
    free(unit->version);
    free(unit);
}

void
dx_unit_destroy(struct dx_unit *unit)
{
    if (unit->pid > 0)
        dx_unit_send_kill(unit);
    dx_unit_release(unit);
}

struct dx_unit *
dx_unit_create(struct dx_supervisor *supervisor, const char *key, const char *identifier, const char *personality,
               const char *declared_uid)
{
    static uint64_t last_number;
    struct dx_unit *const unit = calloc(1, sizeof *unit);
    if (!unit)
        return NULL;
    unit->supervisor = supervisor;
    unit->number = ++last_number;
    unit->pid_fd = -1;
    unit->timer = dx_loop_timer_create(supervisor->loop, unit_timer, unit);
    unit->listen_timer = dx_loop_timer_create(supervisor->loop, dx_unit_listen, unit);
    unit->next = supervisor->units;
    supervisor->units = unit;
    if (!unit->timer || !unit->listen_timer || !copy_text(&unit->key, key) ||
        !copy_text(&unit->identifier, identifier) || !copy_text(&unit->personality, personality) ||
        !copy_text(&unit->declared_uid, declared_uid)) {
        dx_unit_release(unit);
        return NULL;
    }
    dx_keep_read_unit(unit);
    return unit;
}

const char *
dx_unit_state_name(const struct dx_unit *unit)
{
    switch (unit->state) {
    case DX_UNIT_IDLE:
        return "idle";
    case DX_UNIT_STARTING:
        return "starting";
    case DX_UNIT_RUNNING:
    case DX_UNIT_LOST: // sound goes on
        return DX_STATE_RUNNING;
    case DX_UNIT_WAITING:
        return "waiting";
    case DX_UNIT_FAILED:
        return "failed";
    case DX_UNIT_UNAPPROVED:
        return "unapproved";
    case DX_UNIT_ENDING:
        return unit->is_wanted_again ? "starting" : DX_STATE_RUNNING;
    }
    return "failed";
}

static void
set_state(struct dx_unit *unit, enum dx_unit_state state)
{
    unit->state = state;
    for (struct dx_listing *listing = unit->supervisor->listings; listing; listing = listing->next)
        if (listing->unit == unit)
            dx_listing_changed(listing);
    if (unit->usb)
        dx_usb_unit_settle(unit);
}

static uint32_t
count_sessions(const struct dx_unit *unit)
{
    uint32_t count = 0;
    for (const struct dx_listing *listing = unit->supervisor->listings; listing; listing = listing->next)
        if (listing->unit == unit)
            count += listing->session_count;
    return count;
}

uint64_t
dx_unit_idle_ns(void)
{
    const char *const text = getenv("DEXTRAL_IDLE_MS");
    char *end = NULL;
    const unsigned long ms = text ? strtoul(text, &end, 10) : IDLE_MS_DEFAULT;
    return (end == text || (end && *end) || ms > 86400000u ? IDLE_MS_DEFAULT : ms) * DX_NS_PER_MS;
}

/* ---- start ---- */

void
dx_unit_quit(struct dx_unit *unit)
{
    if (unit->pid <= 0 || unit->state == DX_UNIT_ENDING || unit->state == DX_UNIT_FAILED ||
        unit->state == DX_UNIT_UNAPPROVED)
        return; // there is none, or it was told
    OSDictionary *const request = dx_call_create(DX_OP_QUIT);
    if (!unit->channel || !request || dx_channel_send(unit->channel, request, NULL, 0) != 0)
        dx_unit_send_kill(unit);
    OSObjectRelease(request);
    dx_loop_timer_set(unit->timer, QUIT_TIMEOUT_NS);
    set_state(unit, DX_UNIT_ENDING);
}

/* What devices and programs see of an end. */
static void
lose_devices(struct dx_unit *unit)
{
    struct dx_supervisor *const supervisor = unit->supervisor;
    for (struct dx_listing *listing = supervisor->listings; listing; listing = listing->next)
        if (listing->unit == unit)
            dx_listing_lose_driver(listing);
    OSSafeReleaseNULL(unit->follows);
    dx_user_clients_leave_unit(unit);
}

void
dx_unit_fail(struct dx_unit *unit, enum dx_unit_state state, const char *why)
{
    (void)dx_error_set(&unit->why, kIOReturnSuccess, "%s", why);
    dx_loop_timer_clear(unit->timer);
    dx_unit_quit(unit);
    set_state(unit, state);
    dx_log("%s: %s", unit->key, unit->why.message);
    lose_devices(unit); // whatever its process does until it ends
    const kern_return_t status = state == DX_UNIT_UNAPPROVED ? kIOReturnNotPermitted : kIOReturnNoDevice;
    dx_unit_end_calls(unit, false, status, unit->why.message);
    for (struct dx_session *session = unit->supervisor->sessions, *next; session; session = next) {
        next = session->next;
        if (session->listing->unit == unit)
            dx_session_fail_start(session, status, unit->why.message);
    }
}

/* There is no process now. */
static void
start_unit(struct dx_unit *unit)
{
    unit->is_wanted_again = false;
    unit->why.message[0] = '\0';
    unit->unlisted.message[0] = '\0';
    unit->unlisted_count = 0;
    dx_error error = {""};
    const kern_return_t status = dx_unit_spawn(unit, &error);
    if (status == kIOReturnSuccess) {
        dx_loop_timer_set(unit->timer, LOAD_TIMEOUT_NS);
        set_state(unit, DX_UNIT_STARTING);
        dx_registry_write(unit->supervisor);
    } else {
        dx_unit_fail(unit, status == kIOReturnNotPermitted ? DX_UNIT_UNAPPROVED : DX_UNIT_FAILED, error.message);
    }
}

void
dx_unit_restart(struct dx_unit *unit)
{
    if (unit->usb && !unit->usb->is_plugged)
        return; // it is started when it is plugged in again
    memset(unit->ends_ns, 0, sizeof unit->ends_ns);
    memset(unit->early_ends_ns, 0, sizeof unit->early_ends_ns);
    unit->pause_ns = 0;
    if (unit->pid <= 0) {
        start_unit(unit);
        return;
    }
    /* The old one is dead before the new one starts. */
    unit->is_wanted_again = true;
    dx_unit_quit(unit);
    set_state(unit, DX_UNIT_ENDING);
}

bool
dx_unit_want(struct dx_unit *unit)
{
    if (unit->supervisor->is_leaving) {
        (void)dx_error_set(&unit->why, kIOReturnSuccess, "the supervisor is ending");
        return false;
    }
    if (unit->usb && !unit->usb->is_plugged)
        return false; // as in dx_unit_restart()
    switch (unit->state) {
    case DX_UNIT_FAILED:
    case DX_UNIT_UNAPPROVED: // it may have been approved since
        dx_unit_restart(unit);
        break;
    case DX_UNIT_IDLE:
        start_unit(unit);
        break;
    case DX_UNIT_ENDING:
        unit->is_wanted_again = true;
        break;
    case DX_UNIT_STARTING:
    case DX_UNIT_RUNNING:
    case DX_UNIT_WAITING:
    case DX_UNIT_LOST:
        break;
    }
    return unit->state != DX_UNIT_FAILED && unit->state != DX_UNIT_UNAPPROVED;
}

void
dx_unit_loaded(struct dx_unit *unit)
{
    if (unit->state != DX_UNIT_STARTING)
        return;
    unit->loaded_ns = dx_now_ns();
    dx_loop_timer_clear(unit->timer);
    set_state(unit, DX_UNIT_RUNNING);
    dx_log_detail(unit->supervisor, "%s: runs as process %ld", unit->key, (long)unit->pid);
    unit->is_idle = false;
    dx_unit_send_calls(unit);
    dx_unit_check_idle(unit);
}

/* ---- end ---- */

void
dx_unit_check_idle(struct dx_unit *unit)
{
    if (unit->state != DX_UNIT_RUNNING || !unit->channel || unit->usb)
        return; // what drives hardware runs as long as that is there
    const bool is_idle = count_sessions(unit) == 0 && !dx_unit_has_user_clients(unit);
    if (!is_idle)
        dx_loop_timer_clear(unit->timer);
    else if (!unit->is_idle) // whoever asks it something now and then does not keep it from ending
        dx_loop_timer_set(unit->timer, dx_unit_idle_ns());
    unit->is_idle = is_idle;
}

void
dx_unit_kill(struct dx_unit *unit, const char *how)
{
    if (unit->pid <= 0)
        return;
    (void)dx_error_set(&unit->why, kIOReturnSuccess, "%s", how);
    dx_channel_destroy(unit->channel);
    unit->channel = NULL;
    dx_loop_timer_clear(unit->timer);
    dx_unit_send_kill(unit);
}

/* Puts a time in front of the others.  @return the oldest. */
static uint64_t
push_time(uint64_t *times_ns, size_t count, uint64_t now_ns)
{
    memmove(&times_ns[1], &times_ns[0], (count - 1) * sizeof times_ns[0]);
    times_ns[0] = now_ns;
    return times_ns[count - 1];
}

/* Counts an unexpected end.  @return whether it is to be started again, after unit->pause_ns. */
static bool
count_end(struct dx_unit *unit, uint64_t now_ns, uint64_t life_ns)
{
    const uint64_t third_ns = push_time(unit->ends_ns, DX_UNIT_STORM_ENDS, now_ns);
    const bool is_storm = third_ns && now_ns - third_ns <= PAUSE_WINDOW_NS;
    if (!is_storm)
        unit->pause_ns = 0;
    else if (unit->pause_ns == 0)
        unit->pause_ns = PAUSE_FIRST_NS;
    else
        unit->pause_ns = unit->pause_ns * 2 < PAUSE_MOST_NS ? unit->pause_ns * 2 : PAUSE_MOST_NS;

    /* Who kills a healthy driver now and then does not lose it. */
    if (life_ns >= HEALTHY_NS)
        return true;
    const uint64_t last_ns = push_time(unit->early_ends_ns, DX_UNIT_EARLY_ENDS, now_ns);
    return !last_ns || now_ns - last_ns > GIVE_UP_WINDOW_NS;
}

static void
restart_after_end(struct dx_unit *unit, const char *how, uint64_t life_ns)
{
    dx_error why;
    if (!count_end(unit, dx_now_ns(), life_ns)) {
        (void)dx_error_set(
            &why, kIOReturnSuccess,
            "given up: the driver ended %u times within 5 minutes, and the last time it %s; see `dextral "
            "incidents`, and start it again with `dextral restart`",
            DX_UNIT_EARLY_ENDS, how);
        dx_unit_fail(unit, DX_UNIT_FAILED, why.message);
        dx_incident_add_failure(unit);
        return;
    }
    (void)dx_error_set(&unit->why, kIOReturnSuccess, "the driver %s", how);
    unit->restarts++;
    if (unit->pause_ns == 0) {
        start_unit(unit);
    } else {
        dx_loop_timer_set(unit->timer, unit->pause_ns);
        set_state(unit, DX_UNIT_WAITING);
    }
}

void
dx_unit_ended(struct dx_unit *unit, const char *how)
{
    struct dx_supervisor *const supervisor = unit->supervisor;
    const bool was_asked = unit->state == DX_UNIT_ENDING;
    const bool has_failed = unit->state == DX_UNIT_FAILED || unit->state == DX_UNIT_UNAPPROVED;
    dx_error reason = unit->why;
    if (!reason.message[0] || was_asked)
        (void)dx_error_set(&reason, kIOReturnSuccess, "%s", how);
    if (!has_failed)
        unit->why.message[0] = '\0';

    dx_unit_hear_out(unit);
    dx_channel_destroy(unit->channel);
    unit->channel = NULL;
    dx_loop_timer_clear(unit->timer);
    if (!was_asked && !has_failed) {
        dx_log("%s: the driver's process %ld %s", unit->key, (long)unit->pid, reason.message);
        dx_incident_add_death(unit, reason.message);
    }
    const uint64_t life_ns = unit->loaded_ns ? dx_now_ns() - unit->loaded_ns : 0;
    dx_unit_forget_process(unit);
    lose_devices(unit);
    dx_registry_write(supervisor);
    if (supervisor->is_leaving) {
        set_state(unit, DX_UNIT_IDLE);
        dx_supervisor_check_left(supervisor);
        return;
    }
    if (unit->usb && !unit->usb->is_plugged) {
        dx_usb_unit_left(unit);
        return;
    }
    if (unit->usb)
        dx_usb_unit_ended(unit);
    if (has_failed) {
        if (unit->usb)
            dx_usb_unit_settle(unit);
        return;
    }
    if (was_asked) {
        dx_unit_end_calls(unit, true, kIOReturnAborted, "the driver ended before it answered");
        if (unit->is_wanted_again || count_sessions(unit) > 0 || unit->calls)
            start_unit(unit);
        else
            set_state(unit, DX_UNIT_IDLE);
        return;
    }
    dx_error sentence;
    (void)dx_error_set(&sentence, kIOReturnSuccess, "the driver's process %s", reason.message);
    dx_unit_end_calls(unit, true, kIOReturnNotResponding, sentence.message);
    if (count_sessions(unit) > 0 || unit->calls || unit->is_learning || unit->usb)
        restart_after_end(unit, reason.message, life_ns);
    else
        set_state(unit, DX_UNIT_IDLE);
}

/* ---- time ---- */

static void
unit_timer(void *context)
{
    struct dx_unit *const unit = context;
    if (!unit->channel && (unit->state == DX_UNIT_STARTING || unit->state == DX_UNIT_RUNNING)) {
        dx_unit_kill(unit, "closed its connection, did not end, and was killed");
        return;
    }
    switch (unit->state) {
    case DX_UNIT_STARTING:
        dx_unit_kill(unit, "did not load within 10 s, and was killed");
        break;
    case DX_UNIT_RUNNING:
        if (unit->calls) {
            dx_loop_timer_set(unit->timer, dx_unit_idle_ns());
            break;
        }
        dx_log_detail(unit->supervisor, "%s: idle, ends", unit->key);
        dx_unit_quit(unit);
        break;
    case DX_UNIT_WAITING:
        if (unit->supervisor->is_leaving)
            set_state(unit, DX_UNIT_IDLE); // it waits for others to end: nothing is started any more
        else
            start_unit(unit);
        break;
    case DX_UNIT_ENDING:
    case DX_UNIT_FAILED: // after a load that failed
    case DX_UNIT_UNAPPROVED:
        dx_unit_send_kill(unit);
        break;
    case DX_UNIT_LOST:
        dx_unit_kill(unit, "had lost its supervisor, did not connect to the next one within 3 s, and was killed");
        break;
    case DX_UNIT_IDLE:
        break;
    }
}
