// SPDX-License-Identifier: MIT
// A network adapter that runs: the wire thread with its transfers, and the thread for requests.

#include "backends/usb/adapter.h"

#include "backends/usb/adapter_send.h"
#include "backends/usb/capture.h"
#include "backends/usb/usb.h"

#include <dextral/clock.h>

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REST_NS 125000000u // after errors that repeat: on unplugging they come in storms
#define RENEW_NS 2000000000u // after that long without anything, transfers that receive are made anew: one may be stuck
#define OPEN_TRIES 3u
#define OPEN_PAUSE_NS 100000000u
#define OUT_TRANSFERS 8u
#define OUT_TIMEOUT_MS 1000u
#define MAX_IN_TRANSFERS 64u
#define FRAMES_AT_ONCE 32u // of one transfer
#define FILTER_GROUPS 64u
#define DEFAULT_RING_FRAMES 256u
#define MAX_RING_FRAMES 65536u
#define DEFAULT_LINK_INTERVAL_MS 1000u

enum lane_state {
    LANE_OFF,        // not started, stopped, there is no such endpoint, or the device is to be initialised anew
    LANE_RUNNING,
    LANE_DRAINING,   // an error: what is under way is to come back, and a rest to be over
    LANE_RECOVERING, // the request thread clears the halt
};

enum { IS_ASKED = 1 }; // of lane.recovered and adapter.reopened; else 0 or an error

/* An endpoint and its transfers. The wire thread's, but for `recovered`. */
struct lane {
    struct dx_adapter *adapter;
    struct lane_transfer *transfers;
    uint32_t count;
    uint32_t under_way;
    enum lane_state state;
    uint32_t errors; // in a row
    uint64_t resume_ns;
    uint64_t seen_ns; // when the last one completed
    uint8_t endpoint;
    _Atomic int recovered; // set by the request thread
};

struct lane_transfer {
    struct dx_usb_transfer usb;
    struct lane *lane;
    bool is_under_way;
    uint32_t frames; // of an OUT transfer
    uint32_t frame_bytes;
};

enum lane_index { LANE_IN, LANE_OUT, LANE_NOTIFY, LANES };

/* What the request thread is asked for: bits 0 ... LANES - 1 are lanes to recover. */
#define ASK_LINK (1u << LANES)
#define ASK_END (1u << (LANES + 1))
#define ASK_FILTER (1u << (LANES + 2))
#define ASK_OPEN (1u << (LANES + 3))

enum stage {
    STAGE_OPENING,  // the wire thread pumps for requests
    STAGE_RUNNING,
    STAGE_STOPPING, // no transfers any more; it pumps for the last requests
    STAGE_ENDING,   // it ends
    STAGE_GONE,     // it has ended, by itself: the device is not there any more
};

struct filter {
    uint32_t count;
    bool is_all;
    uint8_t groups[FILTER_GROUPS][6];
};
#define FILTER_FRESH 4u // beside an index

struct dx_adapter {
    struct dx_send_ring ring; // first: dx_adapter_send() has nothing else
    struct dx_adapter_config config;
    struct dx_usb_device *device;
    const struct dx_nic_ops *ops;
    void *nic;
    struct dx_nic_info info;
    struct dx_nic_counters counters;
    struct lane lanes[LANES];
    dx_task *wire;
    dx_task *requester;
    _Atomic uint32_t stage; // enum stage

    /* The wire thread's. */
    bool is_started;
    bool is_stopping;
    bool is_lost;       // the device is to be initialised anew
    bool is_reopening;  // and the request thread is at it
    uint64_t reopen_ns; // not before
    struct dx_nic_link link;
    sem_t drained;           // posted when no lane has anything under way, nor will have

    /* From the wire thread to the request thread. */
    _Atomic uint32_t asked;
    sem_t news;
    struct filter filters[3];
    _Atomic uint32_t shared_filter; // an index, and whether it is FILTER_FRESH; the others are each one side's
    uint32_t wire_filter;
    uint32_t request_filter;

    /* And back. */
    _Atomic uint64_t told_link; // packed; 0: nothing new
    _Atomic int reopened;

    bool is_open; // the driver's open() has not been followed by close(): of the thread that makes requests
};

static uint64_t
now_ns(void)
{
    return dx_clock_now_ns(dx_clock_host());
}

/* relaxed: numbers for people. */
static void
count(_Atomic uint64_t *counter, uint64_t more) DX_REALTIME
{
    (void)atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

/* ---- asking the request thread ---- */

static void
ask(struct dx_adapter *adapter, uint32_t bits)
{
    /* release: pairs with the acquire in run_requests(). */
    (void)atomic_fetch_or_explicit(&adapter->asked, bits, memory_order_release);
    (void)sem_post(&adapter->news); // at most a post for each completion: far below its maximum
}

void
dx_adapter_set_filter(struct dx_adapter *adapter, const uint8_t (*groups)[6], uint32_t group_count)
{
    struct filter *const filter = &adapter->filters[adapter->wire_filter];
    filter->is_all = group_count > FILTER_GROUPS || group_count > adapter->info.filter_count;
    filter->count = group_count < FILTER_GROUPS ? group_count : FILTER_GROUPS;
    if (filter->count > 0)
        memcpy(filter->groups, groups, filter->count * sizeof filter->groups[0]);
    /* acquire and release: pair with take_filter(); a slot changes hands with what is in it. */
    adapter->wire_filter = atomic_exchange_explicit(&adapter->shared_filter, adapter->wire_filter | FILTER_FRESH,
                                                    memory_order_acq_rel) &
                           ~FILTER_FRESH;
    ask(adapter, ASK_FILTER);
}

/* ---- the link ---- */

static uint64_t
pack_link(const struct dx_nic_link *link)
{
    return UINT64_C(1) << 34 | (uint64_t)link->is_full_duplex << 33 | (uint64_t)link->is_up << 32 | link->megabits;
}

static void
set_link(struct dx_adapter *adapter, const struct dx_nic_link *link)
{
    if (pack_link(link) == pack_link(&adapter->link))
        return;
    adapter->link = *link;
    /* relaxed: who sends wants a recent value. */
    atomic_store_explicit(&adapter->ring.refusal, link->is_up ? 0 : -ENETDOWN, memory_order_relaxed);
    if (adapter->config.link_changed)
        adapter->config.link_changed(adapter->config.context, link);
}

/* What the request thread has found out. */
static void
take_link(struct dx_adapter *adapter)
{
    /* relaxed: all of it is in the one word. */
    const uint64_t told = atomic_exchange_explicit(&adapter->told_link, 0, memory_order_relaxed);
    if (!told)
        return;
    const struct dx_nic_link link = {
        .is_up = told >> 32 & 1u, .is_full_duplex = told >> 33 & 1u, .megabits = (uint32_t)told};
    set_link(adapter, &link);
}

static void
take_notification(struct dx_adapter *adapter, const uint8_t *data, uint32_t size)
{
    struct dx_nic_link link = adapter->link;
    if (!adapter->ops->notified || !adapter->ops->notified(adapter->nic, data, size, &link))
        return;
    if (adapter->ops->poll_link)
        ask(adapter, ASK_LINK); // the MAC has to be made to match before anything is sent
    if (!adapter->ops->poll_link || !link.is_up)
        set_link(adapter, &link);
}

/* ---- transfers ---- */

static bool
is_lane(const struct lane *lane, enum lane_index index)
{
    return lane == &lane->adapter->lanes[index];
}

static void
cancel_lane(struct lane *lane)
{
    for (uint32_t i = 0; i < lane->count; i++) {
        if (lane->transfers[i].is_under_way)
            dx_usb_cancel(lane->adapter->device, &lane->transfers[i].usb);
    }
}

/*
 * A transfer ended as if there was no device; whether there is one, pump() knows. There is after the machine was asleep, and
 * then it may have been reset.
 */
static void
lose_device(struct dx_adapter *adapter)
{
    adapter->is_lost = true;
    adapter->reopen_ns = now_ns() + REST_NS;
    for (size_t i = 0; i < LANES; i++) {
        adapter->lanes[i].state = LANE_OFF;
        cancel_lane(&adapter->lanes[i]);
    }
}

/* A transfer did not end well. One such error is passed over; a halt, and errors that repeat, need the request thread. */
static void
fail_lane(struct lane *lane, int status)
{
    const bool is_halted = status == -EPIPE || (status == -ETIMEDOUT && is_lane(lane, LANE_OUT));
    if (is_lane(lane, LANE_IN))
        lane->adapter->ops->reset_framing(lane->adapter->nic);
    if (status == -ENODEV && lane->state != LANE_OFF) {
        lose_device(lane->adapter);
        return;
    }
    if (lane->state != LANE_RUNNING)
        return; // it is being seen to already
    lane->errors++;
    if (!is_halted && lane->errors == 1)
        return;
    lane->state = LANE_DRAINING;
    lane->resume_ns = lane->errors > 1 ? now_ns() + REST_NS : 0;
    cancel_lane(lane);
}

static bool
submit(struct lane_transfer *transfer)
{
    struct lane *const lane = transfer->lane;
    const int error = dx_usb_submit(lane->adapter->device, &transfer->usb);
    if (error < 0) {
        fail_lane(lane, error);
        return false;
    }
    transfer->is_under_way = true;
    lane->under_way++;
    return true;
}

/* Submits what is idle of a lane that receives. */
static void
fill_lane(struct lane *lane)
{
    for (uint32_t i = 0; i < lane->count && lane->state == LANE_RUNNING; i++) {
        if (!lane->transfers[i].is_under_way)
            (void)submit(&lane->transfers[i]);
    }
}

/* What all completions begin with. Returns whether it went well. */
static bool
finish(struct lane_transfer *transfer)
{
    struct lane *const lane = transfer->lane;
    transfer->is_under_way = false;
    lane->under_way--;
    lane->seen_ns = now_ns();
    if (lane->adapter->is_stopping)
        return false;
    if (transfer->usb.status == -ECANCELED && lane->state == LANE_RUNNING) { // by renew_lane()
        if (transfer->usb.actual > 0 && is_lane(lane, LANE_IN))
            lane->adapter->ops->reset_framing(lane->adapter->nic);
        return false;
    }
    if (transfer->usb.status < 0) {
        fail_lane(lane, transfer->usb.status);
        return false;
    }
    lane->errors = 0;
    return true;
}

static void
go_on(struct lane_transfer *transfer)
{
    if (transfer->lane->state == LANE_RUNNING && !transfer->lane->adapter->is_stopping)
        (void)submit(transfer);
}

static void
pass_frame(void *context, const uint8_t *frame, uint32_t size)
{
    struct dx_adapter *const adapter = context;
    count(&adapter->counters.received, 1);
    count(&adapter->counters.received_bytes, size);
    if (adapter->device->tap)
        dx_usb_tap_frame(adapter->device->tap, false, frame, size);
    if (adapter->config.received)
        adapter->config.received(adapter->config.context, frame, size);
}

static void
complete_in(struct dx_usb_transfer *usb)
{
    struct lane_transfer *const transfer = usb->context;
    struct dx_adapter *const adapter = transfer->lane->adapter;
    if (finish(transfer) && usb->actual > 0)
        (void)adapter->ops->receive(adapter->nic, usb->data, usb->actual, pass_frame, adapter, &adapter->counters);
    go_on(transfer);
}

static void
complete_notification(struct dx_usb_transfer *usb)
{
    struct lane_transfer *const transfer = usb->context;
    if (finish(transfer) && usb->actual > 0)
        take_notification(transfer->lane->adapter, usb->data, usb->actual);
    go_on(transfer);
}

static void
complete_out(struct dx_usb_transfer *usb)
{
    struct lane_transfer *const transfer = usb->context;
    struct dx_nic_counters *const counters = &transfer->lane->adapter->counters;
    if (finish(transfer)) {
        count(&counters->sent, transfer->frames);
        count(&counters->sent_bytes, transfer->frame_bytes);
    } else {
        count(&counters->dropped, transfer->frames);
    }
}

/* ---- sending ---- */

void
dx_adapter_flush(struct dx_adapter *adapter)
{
    dx_usb_wake(adapter->device);
}

static struct lane_transfer *
idle_transfer(struct lane *lane)
{
    for (uint32_t i = 0; i < lane->count; i++) {
        if (!lane->transfers[i].is_under_way)
            return &lane->transfers[i];
    }
    return NULL;
}

/* Makes one transfer of frames that wait. Returns how many. */
static uint32_t
fill_transfer(struct dx_adapter *adapter, struct lane_transfer *transfer, uint32_t waiting)
{
    const uint8_t *frames[FRAMES_AT_ONCE];
    uint32_t sizes[FRAMES_AT_ONCE];
    for (uint32_t i = 0; i < waiting; i++) {
        frames[i] = dx_send_ring_at(&adapter->ring, i)->bytes;
        sizes[i] = dx_send_ring_at(&adapter->ring, i)->size;
    }
    transfer->frames = adapter->ops->frame(adapter->nic, frames, sizes, waiting, transfer->usb.data,
                                           &transfer->usb.size, &transfer->usb.ends_short);
    transfer->frame_bytes = 0;
    for (uint32_t i = 0; i < transfer->frames; i++) {
        transfer->frame_bytes += sizes[i];
        if (adapter->device->tap)
            dx_usb_tap_frame(adapter->device->tap, true, frames[i], sizes[i]);
    }
    return transfer->frames;
}

static void
send_frames(struct dx_adapter *adapter)
{
    struct lane *const lane = &adapter->lanes[LANE_OUT];
    for (uint32_t waiting; (waiting = dx_send_ring_count(&adapter->ring, FRAMES_AT_ONCE)) > 0;) {
        if (!adapter->link.is_up) { // nobody hears them, and later they would be old
            count(&adapter->counters.dropped, waiting);
            dx_send_ring_remove(&adapter->ring, waiting);
            continue;
        }
        struct lane_transfer *const transfer = lane->state == LANE_RUNNING ? idle_transfer(lane) : NULL;
        if (!transfer)
            return;
        const uint32_t frames = fill_transfer(adapter, transfer, waiting);
        dx_send_ring_remove(&adapter->ring, frames > 0 ? frames : 1);
        if (frames == 0)
            count(&adapter->counters.dropped, 1); // it can never be sent
        else if (!submit(transfer))
            count(&adapter->counters.dropped, frames);
    }
}

/* ---- the wire thread ---- */

static uint64_t
step_recovery(struct lane *lane, uint64_t now)
{
    /* acquire: pairs with the release in recover(). */
    const int recovered = atomic_load_explicit(&lane->recovered, memory_order_acquire);
    if (recovered == IS_ASKED)
        return UINT64_MAX; // it will wake us
    if (recovered < 0) {
        lane->state = LANE_DRAINING;
        lane->resume_ns = now + REST_NS;
        return lane->resume_ns;
    }
    lane->state = LANE_RUNNING;
    if (is_lane(lane, LANE_IN))
        lane->adapter->ops->reset_framing(lane->adapter->nic);
    return UINT64_MAX;
}

/* A lane that receives and is silent: mostly nobody has sent. Returns when to look again. */
static uint64_t
renew_lane(struct lane *lane, uint64_t now)
{
    if (now >= lane->seen_ns + RENEW_NS) {
        lane->seen_ns = now;
        cancel_lane(lane);
    }
    return lane->seen_ns + RENEW_NS;
}

/* Returns when it is to be seen to again. */
static uint64_t
step_lane(struct lane *lane, uint64_t now)
{
    uint64_t next = UINT64_MAX;
    if (lane->state == LANE_DRAINING && lane->under_way == 0) {
        if (now < lane->resume_ns)
            return lane->resume_ns;
        lane->state = LANE_RECOVERING;
        atomic_store_explicit(&lane->recovered, IS_ASKED, memory_order_relaxed); // ask() orders it
        ask(lane->adapter, 1u << (lane - lane->adapter->lanes));
    } else if (lane->state == LANE_RECOVERING) {
        next = step_recovery(lane, now);
    }
    if (lane->state == LANE_RUNNING && !is_lane(lane, LANE_OUT)) {
        fill_lane(lane);
        next = renew_lane(lane, now);
    }
    return next;
}

static void
start_lanes(struct dx_adapter *adapter, uint64_t now)
{
    adapter->is_started = true;
    adapter->ops->reset_framing(adapter->nic);
    for (size_t i = 0; i < LANES; i++) {
        adapter->lanes[i].seen_ns = now;
        adapter->lanes[i].errors = 0;
        adapter->lanes[i].state = adapter->lanes[i].count > 0 ? LANE_RUNNING : LANE_OFF;
    }
}

static uint32_t
count_under_way(const struct dx_adapter *adapter)
{
    uint32_t total = 0;
    for (size_t i = 0; i < LANES; i++)
        total += adapter->lanes[i].under_way;
    return total;
}

/* Of a device that is lost. Returns when it is to be seen to again. */
static uint64_t
step_reopening(struct dx_adapter *adapter, uint64_t now)
{
    if (adapter->is_reopening) {
        /* acquire: pairs with the release in reopen(). */
        const int reopened = atomic_load_explicit(&adapter->reopened, memory_order_acquire);
        if (reopened == IS_ASKED)
            return UINT64_MAX; // it will wake us
        adapter->is_reopening = false;
        adapter->is_lost = reopened < 0;
        adapter->reopen_ns = now + REST_NS;
        if (reopened >= 0)
            start_lanes(adapter, now);
    } else if (count_under_way(adapter) > 0) {
        return UINT64_MAX; // all of it will come back
    } else if (now >= adapter->reopen_ns) {
        adapter->is_reopening = true;
        atomic_store_explicit(&adapter->reopened, IS_ASKED, memory_order_relaxed); // ask() orders it
        ask(adapter, ASK_OPEN);
        return UINT64_MAX;
    }
    return adapter->is_lost ? adapter->reopen_ns : now;
}

static void
stop_lanes(struct dx_adapter *adapter)
{
    if (!adapter->is_stopping) {
        adapter->is_stopping = true;
        for (size_t i = 0; i < LANES; i++) {
            adapter->lanes[i].state = LANE_OFF;
            cancel_lane(&adapter->lanes[i]);
        }
    }
    if (count_under_way(adapter) == 0)
        (void)sem_post(&adapter->drained); // again after each of the few pumps that follow: nobody minds
}

/* What is to be done between two pumps. Returns when to be called again. */
static uint64_t
step(struct dx_adapter *adapter, enum stage stage)
{
    uint64_t now = now_ns();
    if (stage == STAGE_STOPPING)
        stop_lanes(adapter);
    if (stage != STAGE_RUNNING)
        return UINT64_MAX;
    if (!adapter->is_started)
        start_lanes(adapter, now);
    take_link(adapter);
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < LANES; i++) {
        const uint64_t due = step_lane(&adapter->lanes[i], now);
        next = due < next ? due : next;
    }
    if (adapter->config.poll) {
        now = now_ns();
        const uint64_t due = adapter->config.poll(adapter->config.context, now);
        next = due < next ? due : next;
    }
    send_frames(adapter);
    if (adapter->is_lost) {
        const uint64_t due = step_reopening(adapter, now);
        next = due < next ? due : next;
    }
    return next;
}

static void
run_wire(void *context)
{
    struct dx_adapter *const adapter = context;
    enum stage stage = STAGE_OPENING;
    while (stage != STAGE_ENDING) {
        if (dx_usb_pump(adapter->device, step(adapter, stage)) == -ENODEV)
            break;
        /* acquire: pairs with the release in move_on(). */
        stage = atomic_load_explicit(&adapter->stage, memory_order_acquire);
    }
    if (stage == STAGE_ENDING)
        return;
    /* acquire: as above; relaxed otherwise, nothing else goes with it. */
    const uint32_t before = atomic_exchange_explicit(&adapter->stage, STAGE_GONE, memory_order_acquire);
    atomic_store_explicit(&adapter->ring.refusal, -ENODEV, memory_order_relaxed); // as in set_link()
    (void)sem_post(&adapter->drained); // pump() has completed everything
    ask(adapter, ASK_END);
    if (before == STAGE_RUNNING && adapter->config.gone)
        adapter->config.gone(adapter->config.context);
}

/* ---- the request thread ---- */

static void
recover(struct dx_adapter *adapter, struct lane *lane)
{
    int error = dx_usb_clear_halt(adapter->device, lane->endpoint);
    if (error >= 0 && adapter->ops->recover)
        error = adapter->ops->recover(adapter->nic, adapter->device, lane->endpoint);
    /* release: pairs with the acquire in step_recovery(). */
    atomic_store_explicit(&lane->recovered, error < 0 ? error : 0, memory_order_release);
    dx_usb_wake(adapter->device);
}

/* With no transfers under way: the driver's framing begins anew as well. Returns whether it went well. */
static bool
reopen(struct dx_adapter *adapter)
{
    struct dx_nic_info info = adapter->info;
    char why[256];
    if (adapter->is_open)
        adapter->ops->close(adapter->nic, adapter->device);
    int error = adapter->ops->open(adapter->nic, adapter->device, &info, why);
    adapter->is_open = error >= 0;
    if (error >= 0 && (info.in_transfer != adapter->info.in_transfer || info.out_transfer > adapter->info.out_transfer))
        error = -EPROTO; // the transfers have been made for what it said the first time
    /* release: pairs with the acquire in step_reopening(). */
    atomic_store_explicit(&adapter->reopened, error < 0 ? error : 0, memory_order_release);
    dx_usb_wake(adapter->device);
    return error >= 0;
}

static void
poll_link(struct dx_adapter *adapter)
{
    struct dx_nic_link link = {0};
    if (!adapter->ops->poll_link || adapter->ops->poll_link(adapter->nic, adapter->device, &link) < 0)
        return; // nothing is known, until the next time
    /* relaxed: all of it is in the one word. */
    atomic_store_explicit(&adapter->told_link, pack_link(&link), memory_order_relaxed);
    dx_usb_wake(adapter->device);
}

/* Takes over the newest groups. Returns whether there were any. */
static bool
take_filter(struct dx_adapter *adapter)
{
    /* relaxed: the exchange orders. */
    if (!(atomic_load_explicit(&adapter->shared_filter, memory_order_relaxed) & FILTER_FRESH))
        return false;
    /* acquire and release: pair with dx_adapter_set_filter(). */
    adapter->request_filter =
        atomic_exchange_explicit(&adapter->shared_filter, adapter->request_filter, memory_order_acq_rel) &
        ~FILTER_FRESH;
    return true;
}

/* Returns whether it is still to be done. */
static bool
set_filter(struct dx_adapter *adapter)
{
    const struct filter *const filter = &adapter->filters[adapter->request_filter];
    if (!adapter->ops->set_filter)
        return false;
    const int error = adapter->ops->set_filter(adapter->nic, adapter->device, filter->groups, filter->count,
                                               filter->is_all);
    return error < 0 && error != -ENODEV && error != -ENOTSUP;
}

static struct timespec
timespec_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

static void
run_requests(void *context)
{
    struct dx_adapter *const adapter = context;
    const uint64_t interval_ns =
        UINT64_C(1000000) *
        (adapter->config.link_interval_ms ? adapter->config.link_interval_ms : DEFAULT_LINK_INTERVAL_MS);
    uint64_t due_ns = now_ns();
    bool has_filter = true; // drivers pass over a stall of it while they open: once more, then
    for (;;) {
        const struct timespec due = timespec_of(due_ns);
        (void)sem_clockwait(&adapter->news, CLOCK_MONOTONIC, &due); // news, the time, or a signal
        const bool is_due = now_ns() >= due_ns;
        /* acquire: pairs with the release in ask(). */
        const uint32_t asked = atomic_exchange_explicit(&adapter->asked, 0, memory_order_acquire);
        if (asked & ASK_END)
            return;
        for (size_t i = 0; i < LANES; i++) {
            if (asked & 1u << i)
                recover(adapter, &adapter->lanes[i]);
        }
        const bool is_new = asked & ASK_OPEN && reopen(adapter);
        const bool is_fresh = take_filter(adapter);
        if (is_fresh || is_new || (has_filter && is_due))
            has_filter = set_filter(adapter);
        if (is_due || is_new || asked & ASK_LINK)
            poll_link(adapter);
        if (is_due)
            due_ns = now_ns() + interval_ns;
    }
}

/* ---- opening and closing ---- */

/* The next stage, unless the device has gone: then that stays. Returns whether it has not. */
static bool
move_on(struct dx_adapter *adapter, enum stage stage)
{
    uint32_t before = atomic_load_explicit(&adapter->stage, memory_order_relaxed); // the exchange checks it
    while (before != STAGE_GONE) {
        /* release: pairs with the acquire in run_wire(). */
        if (atomic_compare_exchange_weak_explicit(&adapter->stage, &before, stage, memory_order_release,
                                                  memory_order_relaxed)) {
            dx_usb_wake(adapter->device);
            return true;
        }
    }
    return false;
}

static void
wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) < 0)
        ; // EINTR
}

/* Whether the same may go well the next time. */
static bool
is_passing(int error)
{
    return error == -EPIPE || error == -ETIMEDOUT || error == -EPROTO || error == -EOVERFLOW || error == -EIO ||
           error == -ECANCELED;
}

static int
open_nic(struct dx_adapter *adapter, char why[256])
{
    const struct timespec pause = timespec_of(OPEN_PAUSE_NS);
    const struct dx_nic_info probed = adapter->info;
    int error = 0;
    for (uint32_t i = 0; i < OPEN_TRIES; i++) {
        adapter->info = probed;
        error = adapter->ops->open(adapter->nic, adapter->device, &adapter->info, why);
        if (error >= 0 || !is_passing(error))
            break;
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL); // sooner is fine
    }
    adapter->is_open = error >= 0;
    return error;
}

static int
make_lane(struct dx_adapter *adapter, enum lane_index index, const struct dx_usb_transfer *kind, uint32_t transfers)
{
    struct lane *const lane = &adapter->lanes[index];
    lane->endpoint = kind->endpoint;
    if (kind->endpoint == 0 || kind->capacity == 0)
        return 0;
    lane->transfers = calloc(transfers, sizeof *lane->transfers);
    if (!lane->transfers)
        return -ENOMEM;
    for (; lane->count < transfers; lane->count++) {
        struct lane_transfer *const transfer = &lane->transfers[lane->count];
        transfer->lane = lane;
        transfer->usb = *kind;
        transfer->usb.context = transfer;
        transfer->usb.data = malloc(kind->capacity);
        if (!transfer->usb.data)
            return -ENOMEM;
        memset(transfer->usb.data, 0, kind->capacity); // no page faults later
        const int error = dx_usb_prepare(adapter->device, &transfer->usb);
        if (error < 0) {
            free(transfer->usb.data);
            return error;
        }
    }
    return 0;
}

static int
make_lanes(struct dx_adapter *adapter)
{
    const struct dx_nic_info *const info = &adapter->info;
    const struct dx_usb_transfer in = {
        .kind = DX_USB_BULK,
        .endpoint = info->in_endpoint,
        .capacity = info->in_transfer,
        .size = info->in_transfer,
        .completed = complete_in,
    };
    const struct dx_usb_transfer out = {
        .kind = DX_USB_BULK,
        .endpoint = info->out_endpoint,
        .capacity = info->out_transfer,
        .timeout_ms = OUT_TIMEOUT_MS,
        .completed = complete_out,
    };
    const struct dx_usb_transfer notification = {
        .kind = DX_USB_INTERRUPT,
        .endpoint = info->notify_endpoint,
        .capacity = info->notify_packet,
        .size = info->notify_packet,
        .completed = complete_notification,
    };
    const uint32_t in_count = info->in_count == 0                ? 1
                              : info->in_count > MAX_IN_TRANSFERS ? MAX_IN_TRANSFERS
                                                                  : info->in_count;
    int error = make_lane(adapter, LANE_IN, &in, in_count);
    if (error == 0)
        error = make_lane(adapter, LANE_OUT, &out, OUT_TRANSFERS);
    if (error == 0)
        error = make_lane(adapter, LANE_NOTIFY, &notification, 1);
    return error;
}

static int
make_ring(struct dx_adapter *adapter)
{
    struct dx_send_ring *const ring = &adapter->ring;
    const uint32_t wanted =
        adapter->config.send_ring_frames ? adapter->config.send_ring_frames : DEFAULT_RING_FRAMES;
    ring->counters = &adapter->counters;
    ring->capacity = 2;
    while (ring->capacity < wanted && ring->capacity < MAX_RING_FRAMES)
        ring->capacity *= 2;
    ring->frames = malloc(ring->capacity * sizeof *ring->frames);
    if (!ring->frames)
        return -ENOMEM;
    memset((void *)ring->frames, 0, ring->capacity * sizeof *ring->frames); // no page faults later
    for (uint32_t i = 0; i < ring->capacity; i++)
        atomic_init(&ring->frames[i].turn, i);
    atomic_init(&ring->refusal, -ENETDOWN); // until the link is told
    return 0;
}

static void
free_adapter(struct dx_adapter *adapter)
{
    for (size_t i = 0; i < LANES; i++) {
        for (uint32_t j = 0; j < adapter->lanes[i].count; j++) {
            dx_usb_unprepare(adapter->device, &adapter->lanes[i].transfers[j].usb);
            free(adapter->lanes[i].transfers[j].usb.data);
        }
        free(adapter->lanes[i].transfers);
    }
    (void)sem_destroy(&adapter->drained); // cannot fail: nobody waits
    (void)sem_destroy(&adapter->news);
    free(adapter->ring.frames);
    free(adapter->nic);
    free(adapter);
}

static int
spawn(const char *name, int priority, void (*function)(void *), struct dx_adapter *adapter, dx_task **ret_task)
{
    const dx_task_config config = {.name = name, .priority = priority};
    switch (dx_task_spawn(dx_clock_host(), &config, function, adapter, ret_task)) {
    case kIOReturnSuccess:
        return 0;
    case kIOReturnNoMemory:
        return -ENOMEM;
    case kIOReturnBadArgument:
        return -EINVAL;
    default:
        return -EAGAIN;
    }
}

/* Ends the wire thread, which has no transfer of its own under way. */
static void
end_wire(struct dx_adapter *adapter)
{
    (void)move_on(adapter, STAGE_ENDING);
    dx_task_join(adapter->wire);
    adapter->wire = NULL;
}

/* Stops whatever runs, and gives the interfaces back. The wire thread is there. */
static void
stop(struct dx_adapter *adapter)
{
    (void)move_on(adapter, STAGE_STOPPING);
    wait_for(&adapter->drained);
    if (adapter->requester) {
        ask(adapter, ASK_END);
        dx_task_join(adapter->requester);
    }
    if (adapter->is_open)
        adapter->ops->close(adapter->nic, adapter->device);
    end_wire(adapter);
}

/* With the wire thread pumping and the adapter initialised. */
static int
start(struct dx_adapter *adapter)
{
    adapter->ring.max_frame = adapter->info.max_frame < DX_FRAME_MAX ? adapter->info.max_frame : DX_FRAME_MAX;
    int error = make_lanes(adapter);
    if (error == 0 && !move_on(adapter, STAGE_RUNNING))
        error = -ENODEV;
    if (error == 0)
        error = spawn("usb-request", 0, run_requests, adapter, &adapter->requester);
    if (error < 0)
        stop(adapter);
    return error;
}

static int
initialise(struct dx_adapter *adapter, char why[256])
{
    int error = make_ring(adapter);
    if (error == 0)
        error = spawn("usb-wire", adapter->config.priority, run_wire, adapter, &adapter->wire);
    if (error < 0) {
        (void)snprintf(why, 256, "%s: %s", adapter->device->path, strerror(-error));
        return error;
    }
    error = open_nic(adapter, why);
    if (error < 0) {
        if (error == -EBUSY)
            dx_usb_explain(error, adapter->device->path, "", why);
        end_wire(adapter);
        return error;
    }
    error = start(adapter);
    if (error < 0)
        (void)snprintf(why, 256, "%s: %s", adapter->device->path,
                       error == -ENODEV ? "it was unplugged" : strerror(-error));
    return error;
}

int
dx_adapter_open(struct dx_usb_device *device, const struct dx_adapter_config *config, struct dx_adapter **ret_adapter,
                char why[256])
{
    struct dx_adapter *const adapter = aligned_alloc(_Alignof(struct dx_adapter), sizeof *adapter);
    if (!adapter) {
        (void)snprintf(why, 256, "no memory");
        return -ENOMEM;
    }
    memset((void *)adapter, 0, sizeof *adapter);
    adapter->config = *config;
    adapter->device = device;
    adapter->wire_filter = 1;
    adapter->request_filter = 2;
    (void)sem_init(&adapter->drained, 0, 0); // cannot fail for 0
    (void)sem_init(&adapter->news, 0, 0);
    for (size_t i = 0; i < LANES; i++)
        adapter->lanes[i].adapter = adapter;
    int error = dx_nic_find(device, &adapter->ops, &adapter->nic, &adapter->info, why);
    if (error == 0)
        error = initialise(adapter, why);
    if (error < 0) {
        free_adapter(adapter);
        return error;
    }
    *ret_adapter = adapter;
    return 0;
}

void
dx_adapter_close(struct dx_adapter *adapter)
{
    if (!adapter)
        return;
    struct dx_usb_device *const device = adapter->device;
    stop(adapter);
    free_adapter(adapter);
    dx_usb_close(device);
}

unsigned
dx_adapter_degraded(const struct dx_adapter *adapter)
{
    return dx_task_degraded(adapter->wire);
}

const struct dx_nic_info *
dx_adapter_info(const struct dx_adapter *adapter)
{
    return &adapter->info;
}

const struct dx_nic_counters *
dx_adapter_counters(const struct dx_adapter *adapter)
{
    return &adapter->counters;
}
