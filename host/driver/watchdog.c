// SPDX-License-Identifier: MIT
// Looks whether IO threads come out of the driver's handler, by the count of its calls.

#include "audio/device.h"
#include "core/clock.h"
#include "core/sync.h"
#include "host/driver/state.h"
#include "host/protocol.h"

#include <stdlib.h>
#include <unistd.h>

#define LOOK_NS 500000000u
#define MAX_LOOKS 4u // in the same call: 2 s

struct watched {
    struct watched *next;
    dx_device *device;         // retained
    IOUserAudioDevice *object; // retained: its calls are what is looked at
    uint32_t calls;
    uint32_t looks; // that found it in that call
};

struct dx_process_watchdog {
    struct dx_driver_process *process;
    struct dx_task *task;
    _Atomic uint32_t running; // sessions that are started: without one no IO runs
    _Atomic bool ending;
    struct dx_mutex lock; // of what follows
    struct watched *list;
};

/* ---- what is found ---- */

struct report {
    struct dx_driver_process *process;
    dx_device *device;
    _Atomic uint32_t is_sent;
};

static void
send_report(void *context)
{
    struct report *const report = context;
    OSDictionary *event = dx_process_event(DX_EVENT_INCIDENT);
    if (event && !(OSDictionarySetStringValue(event, DX_KEY_UID, dx_device_uid(report->device)) &&
                   OSDictionarySetStringValue(event, "cause", dx_cause_name(DX_CAUSE_HANDLER)) &&
                   OSDictionarySetStringValue(
                       event, "text", "the driver's handler did not return for 2 s: its process was ended")))
        OSSafeReleaseNULL(event);
    (void)dx_process_send(report->process, event, NULL, 0);
    /* release: pairs with the acquire in end_process(). */
    atomic_store_explicit(&report->is_sent, 1, memory_order_release);
}

/* Nothing of the driver can be stopped any more: its IO thread is in the middle of it. */
static void
end_process(struct dx_process_watchdog *watchdog, dx_device *device)
{
    struct report report = {.process = watchdog->process, .device = device};
    dx_process_log("%s: the driver's handler has not returned for 2 s: the process ends", dx_device_uid(device));
    dx_clock *const clock = dx_clock_host();
    const uint64_t deadline_ns = dx_clock_now_ns(clock) + LOOK_NS;
    if (dx_loop_post(watchdog->process->loop, send_report, &report))
        while (!atomic_load_explicit(&report.is_sent, memory_order_acquire) &&
               dx_clock_now_ns(clock) < deadline_ns)
            dx_clock_sleep_until(clock, dx_clock_now_ns(clock) + 1000000u);
    _exit(DX_DRIVER_EXIT_BLOCKED);
}

/* ---- the thread ---- */

/* An odd count is a call that has begun; see audio/device_io.h. */
static bool
is_stuck(struct watched *watched, bool was_away)
{
    const struct dx_device_io *const io = dx_device_get_io(watched->object);
    /* relaxed: only whether it moves counts. */
    const uint32_t calls = atomic_load_explicit(&io->handler.calls, memory_order_relaxed);
    const bool is_same = calls == watched->calls && (calls & 1u) && !was_away;
    watched->looks = is_same ? watched->looks + 1u : 0;
    watched->calls = calls;
    return watched->looks >= MAX_LOOKS;
}

static void
look(struct dx_process_watchdog *watchdog, bool was_away)
{
    dx_device *stuck = NULL;
    dx_mutex_lock(&watchdog->lock);
    for (struct watched *watched = watchdog->list; watched && !stuck; watched = watched->next)
        stuck = is_stuck(watched, was_away) ? watched->device : NULL;
    dx_mutex_unlock(&watchdog->lock);
    if (stuck)
        end_process(watchdog, stuck);
}

static void
watch(void *argument)
{
    static const struct dx_wait_reason reason = {.what = "IO to run", .idle = true};

    struct dx_process_watchdog *const watchdog = argument;
    dx_clock *const clock = dx_clock_host();
    uint64_t looked_ns = 0;
    for (;;) {
        /* acquire: pairs with the releases where it is woken. */
        const uint32_t running = atomic_load_explicit(&watchdog->running, memory_order_acquire);
        if (atomic_load_explicit(&watchdog->ending, memory_order_acquire))
            return;
        const uint64_t now = dx_clock_now_ns(clock);
        if (running) {
            /* Where this thread did not run for so long, the IO thread may not have either. */
            look(watchdog, now - looked_ns > 2u * (uint64_t)LOOK_NS);
            looked_ns = now;
        }
        (void)dx_clock_wait(clock, &watchdog->running, running, running ? now + LOOK_NS : DX_NEVER, &reason);
    }
}

/* ---- from elsewhere ---- */

bool
dx_process_watchdog_create(struct dx_driver_process *process)
{
    struct dx_process_watchdog *const watchdog = calloc(1, sizeof *watchdog);
    if (!watchdog)
        return false;
    watchdog->process = process;
    dx_mutex_init(&watchdog->lock, "watchdog");
    const dx_task_config config = {.name = "dextral-dog"};
    if (dx_task_spawn(dx_clock_host(), &config, watch, watchdog, &watchdog->task) != kIOReturnSuccess) {
        free(watchdog);
        return false;
    }
    process->watchdog = watchdog;
    return true;
}

void
dx_process_watchdog_destroy(struct dx_driver_process *process)
{
    struct dx_process_watchdog *const watchdog = process->watchdog;
    if (!watchdog)
        return;
    atomic_store_explicit(&watchdog->ending, true, memory_order_release);
    dx_process_watchdog_wake(process);
    dx_task_join(watchdog->task);
    free(watchdog);
    process->watchdog = NULL;
}

void
dx_process_watchdog_add(struct dx_driver_process *process, dx_device *device)
{
    struct dx_process_watchdog *const watchdog = process->watchdog;
    struct watched *const watched = calloc(1, sizeof *watched);
    IOUserAudioDevice *const object = watched ? dx_device_copy_object(device) : NULL;
    if (!object) {
        free(watched); // it has gone again; without memory it is not watched
        return;
    }
    watched->device = dx_device_retain(device);
    watched->object = object;
    dx_mutex_lock(&watchdog->lock);
    watched->next = watchdog->list;
    watchdog->list = watched;
    dx_mutex_unlock(&watchdog->lock);
}

void
dx_process_watchdog_remove(struct dx_driver_process *process, dx_device *device)
{
    struct dx_process_watchdog *const watchdog = process->watchdog;
    struct watched *found = NULL;
    dx_mutex_lock(&watchdog->lock);
    for (struct watched **link = &watchdog->list; *link; link = &(*link)->next)
        if ((*link)->device == device) {
            found = *link;
            *link = found->next;
            break;
        }
    dx_mutex_unlock(&watchdog->lock);
    if (!found)
        return;
    OSObjectRelease(found->object); // here, because it may be the driver's to free
    dx_device_release(found->device);
    free(found);
}

void
dx_process_watchdog_wake(struct dx_driver_process *process)
{
    atomic_fetch_add_explicit(&process->watchdog->running, 1, memory_order_release);
    dx_clock_wake(dx_clock_host(), &process->watchdog->running, 1);
}

void
dx_process_watchdog_rest(struct dx_driver_process *process)
{
    /* It sees that at its next look. */
    atomic_fetch_sub_explicit(&process->watchdog->running, 1, memory_order_release);
}
