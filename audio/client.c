// SPDX-License-Identifier: MIT
// Clients: a lane to the device, a place in its input ring, and the clock to wait by.

#include "audio/client.h"

#include "audio/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A client below the smallest IO size still gets its frames; the device's cycle does not follow it there. */
#define SMALLEST_IO_FRAMES 16u
#define LARGEST_IO_FRAMES (1u << 20)
#define BELOW_IO_PRIORITY 10
/* How long after a cycle is due a client looks for what it did. */
#define AFTER_CYCLE_NS 20000u
/* How long it waits at least when a cycle is overdue, or none runs. */
#define SHORTEST_PAUSE_NS 50000u

bool
dx_client_is_cut_off(const dx_client *client) DX_REALTIME
{
    const dx_device *const device = client->device;
    /* relaxed: nothing else is read because of it.  acquire: pairs with the release where the shapes change. */
    return atomic_load_explicit(&client->is_cut_off, memory_order_relaxed) ||
           (client->has_output &&
            atomic_load_explicit(&device->output_shapes[client->config.output_stream].generation,
                                 memory_order_acquire) != client->output_generation) ||
           (client->has_input &&
            atomic_load_explicit(&device->input_shapes[client->config.input_stream].generation,
                                 memory_order_acquire) != client->input_generation);
}

uint32_t
dx_client_io_frames(const dx_client *client)
{
    const uint32_t frames = client->requested_frames;
    return frames && frames < SMALLEST_IO_FRAMES ? SMALLEST_IO_FRAMES : frames;
}

/* ---- turns ---- */

static bool
try_turn(_Atomic uint32_t *turn) DX_REALTIME
{
    uint32_t is_free = 0;
    /* acquire: pairs with the release in end_turn(). */
    return atomic_compare_exchange_strong_explicit(turn, &is_free, 1, memory_order_acquire, memory_order_relaxed);
}

static void
end_turn(_Atomic uint32_t *turn) DX_REALTIME
{
    atomic_store_explicit(turn, 0, memory_order_release);
}

/* For those who may wait: the other one has it for a few copies at most.  A sleep, not a yield: a real-time thread
 * that yields does not let a plain one run. */
static void
wait_for_turn(dx_clock *clock)
{
    dx_clock_sleep_until(clock, dx_clock_now_ns(clock) + SHORTEST_PAUSE_NS);
}

static void
take_turn(const dx_client *client, _Atomic uint32_t *turn)
{
    while (!try_turn(turn))
        wait_for_turn(client->device->clock);
}

/* Whether there is nothing to wait for: not started, or on the way to being stopped. */
static bool
is_stopping(const dx_client *client)
{
    return !dx_client_is_running(client) || atomic_load_explicit(&client->ending, memory_order_acquire);
}

/* How often it was stopped: a write or read that a stop interrupts has no part in the next run. */
static uint32_t
count_stops(const dx_client *client) DX_REALTIME
{
    /* acquire: pairs with the release in dx_client_stop(). */
    return atomic_load_explicit(&client->stop, memory_order_acquire);
}

/* ---- the timeline, as a client sees it ---- */

void
dx_client_read_page(const dx_client *client, struct dx_timeline_page *page) DX_REALTIME
{
    const struct dx_slots slots = dx_device_timeline(client->device);
    struct dx_timeline_page read;
    if (dx_slots_read(&slots, &read) && dx_timeline_page_is_sane(&read))
        *page = read;
}

uint64_t
dx_client_find_consumed(const struct dx_timeline_page *page, uint64_t now) DX_REALTIME
{
    const double position = dx_timeline_page_position(page, now);
    double consumed;
    if (page->state == DX_TIMELINE_RUNNING)
        consumed = position - (double)page->late_tolerance; // later than this the cycle is skipped
    else
        consumed = position + 2.0 * page->io_frames + page->output_safety;
    return consumed > (double)page->mixed_until ? (uint64_t)consumed : page->mixed_until;
}

uint64_t
dx_client_find_captured(const struct dx_timeline_page *page, uint64_t now) DX_REALTIME
{
    double behind = (double)page->io_frames + page->input_safety;
    if (page->state == DX_TIMELINE_RUNNING)
        behind += page->io_frames + (double)page->output_safety + page->late_tolerance;
    const double position = dx_timeline_page_position(page, now) - behind;
    return position > 0.0 ? (uint64_t)position : 0;
}

/* When to look again for `frames` frames more than the cycles so far have moved. */
static uint64_t
find_next_look(const struct dx_timeline_page *page, uint64_t now, uint32_t frames) DX_REALTIME
{
    const uint32_t n = page->io_frames ? page->io_frames : 1u;
    const uint64_t quarter =
        page->state == DX_TIMELINE_NONE ? 0 : (uint64_t)(page->ns_per_frame * n / 4.0); // no line yet
    const uint64_t pause = quarter < SHORTEST_PAUSE_NS ? SHORTEST_PAUSE_NS : quarter;
    if (page->state != DX_TIMELINE_RUNNING)
        return now + pause;
    const uint64_t cycles = (frames + n - 1u) / n;
    const uint64_t when =
        dx_timeline_page_host_ns(page, (double)page->cycle_frame + (double)(cycles ? cycles - 1u : 0u) * n);
    return when + AFTER_CYCLE_NS > now ? when + AFTER_CYCLE_NS : now + pause;
}

static void
sleep_until(dx_client *client, uint64_t until)
{
    static const struct dx_wait_reason reason = {.what = "its time in the timeline"};
    const uint32_t stop = atomic_load_explicit(&client->stop, memory_order_acquire);
    if (!atomic_load_explicit(&client->ending, memory_order_acquire))
        (void)dx_clock_wait(client->device->clock, &client->stop, stop, until, &reason);
}

/* ---- what the engine counts ---- */

/* Never goes back, for nobody who asks twice. */
static uint64_t
advance(_Atomic uint64_t *last, uint64_t value) DX_REALTIME
{
    /* relaxed: the largest value is what counts, not who stored it. */
    uint64_t seen = atomic_load_explicit(last, memory_order_relaxed);
    while (seen < value && !atomic_compare_exchange_weak_explicit(last, &seen, value, memory_order_relaxed,
                                                                  memory_order_relaxed))
        ;
    return seen > value ? seen : value;
}

static uint64_t
total(struct dx_client_total *total, const _Atomic uint32_t *counter) DX_REALTIME
{
    const uint64_t now = atomic_load_explicit(&total->before, memory_order_relaxed) +
                         (counter ? atomic_load_explicit(counter, memory_order_relaxed) : 0u);
    return advance(&total->last, now);
}

static uint64_t
count_underruns(dx_client *client) DX_REALTIME
{
    /* acquire: pairs with the release in dx_client_set_counters(). */
    const struct dx_member_counters *const counters = atomic_load_explicit(&client->counters, memory_order_acquire);
    return total(&client->underruns, counters ? &counters->underrun_frames : NULL);
}

static uint64_t
count_limited(dx_client *client) DX_REALTIME
{
    /* acquire: as above. */
    const struct dx_member_counters *const counters = atomic_load_explicit(&client->counters, memory_order_acquire);
    return total(&client->limited, counters ? &counters->limited_samples : NULL);
}

/* ---- output ---- */

static void
publish_output(dx_client *client) DX_REALTIME
{
    dx_lane_publish(&client->lane, &client->lane_state);
    atomic_store_explicit(&client->output_base, client->lane_state.base, memory_order_relaxed);
}

/* Puts the next frame at a device time; frames from before are heard no more. */
static void
rebase_output(dx_client *client, uint64_t time) DX_REALTIME
{
    struct dx_lane_state *const state = &client->lane_state;
    state->base = time - state->end;
    state->begin = state->end;
    publish_output(client);
}

/* Frames that fit without overwriting what is still to be heard; moves a client that is late. */
static uint32_t
find_room(dx_client *client, uint64_t now) DX_REALTIME
{
    struct dx_lane_state *const state = &client->lane_state;
    uint64_t oldest = 0;
    if (dx_client_is_running(client)) {
        dx_client_read_page(client, &client->page);
        const uint64_t consumed = dx_client_find_consumed(&client->page, now);
        if (state->base + state->end < consumed)
            rebase_output(client, consumed + client->config.lead_frames);
        oldest = consumed > state->base ? consumed - state->base : 0;
    }
    if (oldest < state->begin)
        oldest = state->begin;
    const uint64_t held = state->end > oldest ? state->end - oldest : 0;
    return held < client->lane.ring_frames ? client->lane.ring_frames - (uint32_t)held : 0;
}

static void
append_output(dx_client *client, const void *data, uint32_t frames) DX_REALTIME
{
    client->lane_state.flags &= ~(uint32_t)DX_LANE_DRAINING;
    dx_lane_append(&client->lane, &client->lane_state, data, frames);
    atomic_store_explicit(&client->output_frames, client->lane_state.end, memory_order_relaxed);
}

/* Where frames go whose writing begins at a position: N + So + lead later, and not before what is mixed. */
static uint64_t
find_output_start(const dx_client *client, const struct dx_timeline_page *page, uint64_t position,
                  uint64_t consumed) DX_REALTIME
{
    const uint64_t start =
        position + page->io_frames + page->output_safety + client->config.lead_frames;
    return start > consumed ? start : consumed;
}

/* Appends what fits now; 0 when there is no room. */
static uint32_t
write_some(dx_client *client, const void *data, uint32_t frames, uint64_t now) DX_REALTIME
{
    const uint32_t room = find_room(client, now);
    const uint32_t n = frames < room ? frames : room;
    if (n)
        append_output(client, data, n);
    return n;
}

kern_return_t
dx_client_write(dx_client *client, const void *data, uint32_t frames, uint64_t deadline_ns, uint32_t *ret_frames)
{
    if (ret_frames)
        *ret_frames = 0;
    if (!client || (frames && !data))
        return kIOReturnBadArgument;
    if (!client->has_output || client->config.callback)
        return kIOReturnUnsupported;
    if (dx_device_is_forked(client->device))
        return kIOReturnNotAttached;

    dx_clock *const clock = client->device->clock;
    const uint32_t stops = count_stops(client);
    const uint8_t *from = data;
    uint32_t done = 0;
    while (done < frames) {
        if (dx_client_is_cut_off(client))
            return kIOReturnUnsupportedMode;
        const uint64_t now = dx_clock_now_ns(clock);
        if (!try_turn(&client->writer_turn)) { // being started or stopped at this moment
            if (now >= deadline_ns)
                return kIOReturnTimeout;
            wait_for_turn(clock);
            continue;
        }
        if (count_stops(client) != stops) {
            end_turn(&client->writer_turn);
            return kIOReturnTimeout;
        }
        const uint32_t n = write_some(client, from, frames - done, now);
        const uint32_t quarter = client->lane.ring_frames / 4u ? client->lane.ring_frames / 4u : 1u;
        const uint32_t want = frames - done - n < quarter ? frames - done - n : quarter;
        const uint64_t look = find_next_look(&client->page, now, want);
        end_turn(&client->writer_turn);
        from += (size_t)n * client->lane.bytes_per_frame;
        done += n;
        if (ret_frames)
            *ret_frames = done;
        if (done == frames)
            break;
        if (n)
            continue;
        if (is_stopping(client) || now >= deadline_ns)
            return kIOReturnTimeout;
        sleep_until(client, look < deadline_ns ? look : deadline_ns);
    }
    return kIOReturnSuccess;
}

kern_return_t
dx_client_drain(dx_client *client, uint64_t deadline_ns)
{
    if (!client)
        return kIOReturnBadArgument;
    if (!client->has_output || client->config.callback)
        return kIOReturnUnsupported;
    if (dx_device_is_forked(client->device))
        return kIOReturnNotAttached;
    if (!dx_client_is_running(client))
        return kIOReturnNotReady;

    struct dx_timeline_page page = {.state = DX_TIMELINE_NONE};
    take_turn(client, &client->writer_turn);
    client->lane_state.flags |= DX_LANE_DRAINING;
    publish_output(client);
    const double last = (double)(client->lane_state.base + client->lane_state.end);
    end_turn(&client->writer_turn);
    for (;;) {
        const uint64_t now = dx_clock_now_ns(client->device->clock);
        dx_client_read_page(client, &page);
        if (dx_client_is_cut_off(client))
            return kIOReturnUnsupportedMode;
        if (is_stopping(client))
            return kIOReturnNotReady;
        if (page.state != DX_TIMELINE_NONE && dx_timeline_page_position(&page, now) >= last)
            return kIOReturnSuccess;
        if (now >= deadline_ns)
            return kIOReturnTimeout;
        const uint64_t at = dx_timeline_page_host_ns(&page, last);
        const uint64_t when =
            page.state != DX_TIMELINE_NONE && at > now ? at + 1u : find_next_look(&page, now, 1);
        sleep_until(client, when < deadline_ns ? when : deadline_ns);
    }
}

/* ---- input ---- */

/* Copies frames of device time, silence where there are none.  @return frames that were lost. */
static uint32_t
copy_input(dx_client *client, const struct dx_lane *ring, uint64_t time, void *data, uint32_t frames) DX_REALTIME
{
    const size_t bytes = client->input_bytes_per_frame;
    const struct dx_span span = dx_lane_copy(ring, &client->known, time, frames, data);
    memset(data, 0, span.first * bytes);
    memset((uint8_t *)data + span.last * bytes, 0, (frames - span.last) * bytes);
    return frames - (span.last - span.first);
}

/* Reads what is there now, up to `frames`; 0 when nothing is. */
static uint32_t
read_some(dx_client *client, void *data, uint32_t frames, uint64_t now, uint32_t *lost) DX_REALTIME
{
    dx_client_read_page(client, &client->reader_page);
    const struct dx_timeline_page *const page = &client->reader_page;
    const uint64_t captured = dx_client_find_captured(page, now);
    const struct dx_lane *const ring = dx_client_ring(client);

    (void)dx_lane_read_state(ring, &client->known);
    uint64_t end = client->known.flags & DX_LANE_RUNNING ? client->known.end : 0;
    const bool is_there = end > client->input_next;
    if (captured > end)
        end = captured; // skipped, or no cycle runs: silence
    if (end <= client->input_next)
        return 0;

    const uint64_t left = end - client->input_next;
    uint32_t n = left < frames ? (uint32_t)left : frames;
    if (n > ring->ring_frames)
        n = ring->ring_frames;
    const uint32_t missing = copy_input(client, ring, client->input_next, data, n);
    if (is_there || page->state == DX_TIMELINE_RUNNING)
        *lost += missing;
    client->input_next += n;
    atomic_store_explicit(&client->input_frames,
                          atomic_load_explicit(&client->input_frames, memory_order_relaxed) + n,
                          memory_order_relaxed);
    return n;
}

kern_return_t
dx_client_read(dx_client *client, void *data, uint32_t frames, uint64_t deadline_ns, uint32_t *ret_frames)
{
    if (ret_frames)
        *ret_frames = 0;
    if (!client || (frames && !data))
        return kIOReturnBadArgument;
    if (!client->has_input || client->config.callback)
        return kIOReturnUnsupported;
    if (dx_device_is_forked(client->device))
        return kIOReturnNotAttached;
    const uint32_t stops = count_stops(client);
    if (!dx_client_is_running(client))
        return kIOReturnNotReady;

    dx_clock *const clock = client->device->clock;
    uint8_t *to = data;
    uint32_t done = 0;
    uint32_t lost = 0;
    while (done < frames) {
        if (dx_client_is_cut_off(client))
            return kIOReturnUnsupportedMode;
        const uint64_t now = dx_clock_now_ns(clock);
        if (!try_turn(&client->reader_turn)) { // being started or stopped at this moment
            if (now >= deadline_ns)
                return kIOReturnTimeout;
            wait_for_turn(clock);
            continue;
        }
        if (count_stops(client) != stops) {
            end_turn(&client->reader_turn);
            return kIOReturnTimeout;
        }
        uint32_t missing = 0;
        const uint32_t n = read_some(client, to, frames - done, now, &missing);
        /* A part at a time, however much is wanted: the ring does not hold more. */
        const uint32_t ring_frames = dx_client_ring(client)->ring_frames;
        const uint32_t quarter = ring_frames / 4u ? ring_frames / 4u : 1u;
        const uint32_t want = frames - done - n < quarter ? frames - done - n : quarter;
        const uint64_t look = find_next_look(&client->reader_page, now, want);
        if (missing)
            atomic_store_explicit(&client->overrun_frames,
                                  atomic_load_explicit(&client->overrun_frames, memory_order_relaxed) + missing,
                                  memory_order_relaxed);
        end_turn(&client->reader_turn);
        lost += missing;
        to += (size_t)n * client->input_bytes_per_frame;
        done += n;
        if (ret_frames)
            *ret_frames = done;
        if (done == frames)
            break;
        if (n)
            continue;
        if (is_stopping(client) || now >= deadline_ns)
            return kIOReturnTimeout;
        sleep_until(client, look < deadline_ns ? look : deadline_ns);
    }
    return lost ? kIOReturnOverrun : kIOReturnSuccess;
}

/* ---- callbacks on a task of their own ---- */

/*
 * How far behind a callback's due time its first input frame is: by then a cycle has read all of them.  A larger N
 * postpones the callbacks; a smaller one leaves them where they are, so that no frame is lost or doubled.
 */
static uint64_t
input_behind(dx_client *client) DX_REALTIME
{
    /* relaxed: written by this task alone. */
    if (client->page.io_frames > atomic_load_explicit(&client->input_distance, memory_order_relaxed))
        atomic_store_explicit(&client->input_distance, client->page.io_frames, memory_order_relaxed);
    return (uint64_t)client->callback_frames + client->page.input_safety +
           atomic_load_explicit(&client->input_distance, memory_order_relaxed);
}

/* The first due time at or after `least` at which a cycle after the next one is due too: so the one that needs
 * what is written is a whole N away, and N is what it was said to be. */
static uint64_t
align_due(const struct dx_timeline_page *page, uint64_t least) DX_REALTIME
{
    const uint64_t n = page->io_frames ? page->io_frames : 1u;
    if (page->state == DX_TIMELINE_RUNNING && least <= page->cycle_frame)
        least = page->cycle_frame + 1u;
    return least + (page->cycle_frame % n + n - least % n) % n;
}

static void
count_overrun(dx_client *client, uint64_t frames) DX_REALTIME
{
    /* relaxed: one writer; others want a recent value. */
    atomic_store_explicit(&client->overrun_frames,
                          atomic_load_explicit(&client->overrun_frames, memory_order_relaxed) + frames,
                          memory_order_relaxed);
}

/* Whether the next callback's input has come, or never will: the cycle may be late, or the line have moved. */
static bool
is_input_ready(dx_client *client, uint64_t now) DX_REALTIME
{
    (void)dx_lane_read_state(dx_client_ring(client), &client->known);
    uint64_t end = client->known.flags & DX_LANE_RUNNING ? client->known.end : 0;
    const uint64_t captured = dx_client_find_captured(&client->page, now);
    if (captured > end)
        end = captured;
    return end >= client->input_next + client->callback_frames;
}

static void
call_input(dx_client *client, dx_client_cycle *cycle) DX_REALTIME
{
    const uint32_t frames = client->callback_frames;
    const uint32_t lost =
        copy_input(client, dx_client_ring(client), client->input_next, client->callback_input.address, frames);
    if (client->page.state == DX_TIMELINE_RUNNING) // else there is nothing that could be lost
        count_overrun(client, lost);
    cycle->input_time = client->input_next;
    client->input_next += frames;
    atomic_store_explicit(&client->input_frames,
                          atomic_load_explicit(&client->input_frames, memory_order_relaxed) + frames,
                          memory_order_relaxed);
}

/*
 * Puts the next frame where a callback due at `due` belongs, if what it writes would otherwise be heard no more.  The way
 * out stays as long as it was: a callback that is late loses frames, and the next one is in time again.  It only becomes
 * longer where it was too short for one that is not late: a larger N has mixed more by then.
 */
static void
place_output(dx_client *client, uint64_t due) DX_REALTIME
{
    struct dx_lane_state *const state = &client->lane_state;
    const struct dx_timeline_page *const page = &client->page;
    const uint64_t now = dx_clock_now_ns(client->device->clock);
    const uint64_t consumed = dx_client_find_consumed(page, now);
    const bool is_first = !(state->flags & DX_LANE_RUNNING);
    if (!is_first && state->base + state->end >= consumed)
        return;

    const uint64_t least = (uint64_t)page->io_frames + page->output_safety + client->config.lead_frames;
    /* relaxed: written by this task alone. */
    const uint64_t former = atomic_load_explicit(&client->output_distance, memory_order_relaxed);
    const uint64_t distance = is_first || former < least ? least : former;
    const uint64_t end = due + distance;
    uint64_t heard = end > client->callback_frames ? end - client->callback_frames : 0;
    const double late = dx_timeline_page_position(page, now) - (double)due;
    if ((double)heard + (late > 0.0 ? late : 0.0) < (double)consumed)
        heard = consumed + client->config.lead_frames;
    state->flags |= DX_LANE_RUNNING;
    if (is_first || heard != state->base + state->end)
        rebase_output(client, heard);
}

static void
prepare_output(dx_client *client, dx_client_cycle *cycle, uint64_t due) DX_REALTIME
{
    const struct dx_lane_state *const state = &client->lane_state;
    place_output(client, due);
    cycle->output_time = state->base + state->end;
    const uint64_t distance = cycle->output_time + client->callback_frames - due;
    atomic_store_explicit(&client->output_distance, (uint32_t)distance, memory_order_relaxed);
    memset(client->callback_output.address, 0, (size_t)client->callback_frames * client->lane.bytes_per_frame);
}

/* One callback, due at device time `due`. */
static void
call_client(dx_client *client, uint64_t due, uint64_t due_ns) DX_REALTIME
{
    const uint32_t frames = client->callback_frames;
    dx_client_cycle cycle = {
        .size = sizeof cycle,
        .frames = frames,
        .host_time_ns = due_ns,
        .sample_rate_hz = client->page.rate_hz,
    };

    if (client->has_input)
        call_input(client, &cycle);
    cycle.lost_frames =
        atomic_load_explicit(&client->overrun_frames, memory_order_relaxed) + count_underruns(client);
    if (client->has_output)
        prepare_output(client, &cycle, due);
    client->config.callback(client->config.context, &cycle, client->callback_input.address,
                            client->callback_output.address);
    if (client->has_output)
        append_output(client, client->callback_output.address, frames);
}

/* The first due time, or the next one after callbacks were lost. */
static uint64_t
find_first_due(dx_client *client, bool is_first, double position) DX_REALTIME
{
    const struct dx_timeline_page *const page = &client->page;
    const uint64_t next = (uint64_t)position + client->callback_frames;
    if (!client->has_input)
        return align_due(page, next);

    atomic_store_explicit(&client->input_distance, 0, memory_order_relaxed);
    const uint64_t behind = input_behind(client);
    const uint64_t due = align_due(page, is_first ? client->input_next + behind : next);
    const uint64_t input = due > client->input_next + behind ? due - behind : client->input_next;
    if (is_first)
        atomic_store_explicit(&client->input_base, input, memory_order_relaxed);
    else if (page->state == DX_TIMELINE_RUNNING)
        count_overrun(client, input - client->input_next);
    client->input_next = input;
    return due;
}

/* When the next callback is due, `due` being when it would be by the last one; 0: there was none. */
static uint64_t
find_due(dx_client *client, uint64_t due, double position) DX_REALTIME
{
    if (due && client->has_input)
        due = client->input_next + input_behind(client);
    /* Behind by more than a period, and than a cycle can be: those callbacks are lost. */
    const struct dx_timeline_page *const page = &client->page;
    const double limit = 2.0 * client->callback_frames + 2.0 * page->io_frames + (double)page->output_safety +
                         (double)page->late_tolerance;
    if (!due || position > (double)due + limit)
        due = find_first_due(client, due == 0, position);
    return due;
}

static void
run_callbacks(void *argument)
{
    dx_client *const client = argument;
    dx_clock *const clock = client->device->clock;
    uint64_t due = 0;

    while (!atomic_load_explicit(&client->ending, memory_order_acquire) && !dx_client_is_cut_off(client)) {
        dx_client_read_page(client, &client->page);
        const uint64_t now = dx_clock_now_ns(clock);
        if (client->page.state == DX_TIMELINE_NONE) {
            sleep_until(client, find_next_look(&client->page, now, 1)); // there is no time yet to be called in
            continue;
        }
        due = find_due(client, due, dx_timeline_page_position(&client->page, now));
        const uint64_t due_ns = dx_timeline_page_host_ns(&client->page, (double)due);
        if (now < due_ns) {
            sleep_until(client, due_ns);
            continue; // the line may have moved meanwhile
        }
        if (client->has_input && !is_input_ready(client, now)) {
            sleep_until(client, find_next_look(&client->page, now, 1));
            continue;
        }
        call_client(client, due, due_ns);
        due += client->callback_frames;
    }
}

/* ---- opening, starting, stopping ---- */

static kern_return_t
status_from_errno(int r)
{
    return r == -ENOMEM || r == -EMFILE || r == -ENFILE ? kIOReturnNoMemory : kIOReturnBadArgument;
}

static void
free_client(dx_client *client)
{
    dx_pages_finish(&client->callback_input);
    dx_pages_finish(&client->callback_output);
    free(client->name);
    dx_device_release(client->device);
    free(client);
}

/* As in dx_client_config: below the IO thread's, plain where that is plain or as low as can be. */
static int32_t
find_default_priority(int32_t io_priority)
{
    if (io_priority <= 1)
        return -1;
    return io_priority > BELOW_IO_PRIORITY ? io_priority - BELOW_IO_PRIORITY : 1;
}

void
dx_client_settle_config(dx_client *client, const struct dx_client_defaults *defaults)
{
    dx_client_config *const config = &client->config;
    const uint32_t wanted = defaults->wanted_io_frames;
    if (!config->priority)
        config->priority = find_default_priority(defaults->io_priority);
    if (!config->io_frames) {
        struct dx_timeline_page page = {.state = DX_TIMELINE_NONE};
        dx_client_read_page(client, &page);
        config->io_frames = page.io_frames ? page.io_frames : wanted ? wanted : defaults->largest_io_frames;
    }
    if (!config->lead_frames) {
        const uint32_t own = config->io_frames;
        const uint32_t device_frames = wanted ? wanted : defaults->largest_io_frames;
        config->lead_frames = own + device_frames;
        /* Where callbacks and cycles are out of step, one may be due right before the other: as much again. */
        const uint32_t n = wanted || own > device_frames ? device_frames : own;
        if (own % n != 0 && n % own != 0)
            config->lead_frames += n;
    }
}

kern_return_t
dx_client_create_lane(dx_client *client, const struct dx_stream_shape *shape,
                      const struct dx_client_defaults *defaults)
{
    /* Room for what is written ahead, for a cycle that comes late, and for as much again. */
    struct dx_timeline_page page = {.state = DX_TIMELINE_NONE};
    dx_client_read_page(client, &page);
    const dx_client_config *const config = &client->config;
    uint64_t frames = config->buffer_frames;
    if (!frames) {
        const uint64_t n = page.io_frames ? page.io_frames : config->io_frames;
        frames = 4u * (uint64_t)config->io_frames + config->lead_frames + 3u * n + defaults->late_tolerance_frames;
        frames = frames < 8192u ? 8192u : frames;
    }
    if (frames < config->lead_frames + (uint64_t)config->io_frames || frames > (1u << 26))
        return kIOReturnBadArgument;
    const int r = dx_lane_create(&client->lane, "dextral-lane", (uint32_t)frames, shape->client_bytes_per_frame);
    return r < 0 ? status_from_errno(r) : kIOReturnSuccess;
}

void
dx_client_set_counters(dx_client *client, const struct dx_member_counters *counters)
{
    /* Totals as they were last seen: for a moment they may seem to be less, which advance() hides. */
    const uint64_t underruns = atomic_load_explicit(&client->underruns.last, memory_order_relaxed);
    const uint64_t limited = atomic_load_explicit(&client->limited.last, memory_order_relaxed);
    /* release: pairs with the acquire in count_underruns() and count_limited(). */
    atomic_store_explicit(&client->counters, counters, memory_order_release);
    atomic_store_explicit(&client->underruns.before, underruns, memory_order_relaxed);
    atomic_store_explicit(&client->limited.before, limited, memory_order_relaxed);
}

/* The client's thread is real-time too. */
static kern_return_t
make_callback_buffers(dx_client *client)
{
    const size_t frames = client->config.io_frames;
    client->callback_frames = client->config.io_frames;
    if (client->has_input &&
        dx_pages_create_private(frames * client->input_bytes_per_frame, &client->callback_input) < 0)
        return kIOReturnNoMemory;
    if (client->has_output &&
        dx_pages_create_private(frames * client->lane.bytes_per_frame, &client->callback_output) < 0)
        return kIOReturnNoMemory;
    return kIOReturnSuccess;
}

static bool
is_sane_config(const dx_client_config *config)
{
    return config && config->size == sizeof *config && !(config->flags & ~(uint32_t)DX_CLIENT_SYNCHRONOUS) &&
           (config->output_stream != DX_NO_STREAM || config->input_stream != DX_NO_STREAM) &&
           (config->output_stream == DX_NO_STREAM || config->output_stream < DX_MAX_STREAMS) &&
           (config->input_stream == DX_NO_STREAM || config->input_stream < DX_MAX_STREAMS) &&
           config->io_frames <= LARGEST_IO_FRAMES && config->lead_frames <= LARGEST_IO_FRAMES &&
           config->priority <= 99;
}

kern_return_t
dx_client_open(dx_device *device, const dx_client_config *config, dx_client **ret_client)
{
    if (!device || !is_sane_config(config) || !ret_client)
        return kIOReturnBadArgument;
    if ((config->flags & DX_CLIENT_SYNCHRONOUS) && !config->callback)
        return kIOReturnUnsupported;

    dx_client *const client = calloc(1, sizeof *client);
    if (!client)
        return kIOReturnNoMemory;
    client->device = dx_device_retain(device);
    client->config = *config;
    client->requested_frames = config->io_frames;
    const char *const name = config->name ? config->name : "client";
    client->name = malloc(strlen(name) + 1);
    if (!client->name) {
        free_client(client);
        return kIOReturnNoMemory;
    }
    strcpy(client->name, name);
    client->config.name = client->name;
    kern_return_t status = device->ops->join(device, client);
    if (status == kIOReturnSuccess && config->callback && !(config->flags & DX_CLIENT_SYNCHRONOUS)) {
        status = make_callback_buffers(client);
        if (status != kIOReturnSuccess)
            device->ops->leave(device, client);
    }
    if (status != kIOReturnSuccess) {
        free_client(client);
        return status;
    }
    *ret_client = client;
    return kIOReturnSuccess;
}

/* Sets where the first frames are, once device time runs. */
static void
set_start(dx_client *client)
{
    take_turn(client, &client->writer_turn);
    take_turn(client, &client->reader_turn);
    const uint64_t now = dx_clock_now_ns(client->device->clock);
    dx_client_read_page(client, &client->page);
    client->reader_page = client->page;
    const struct dx_timeline_page *const page = &client->page;
    const uint64_t position = (uint64_t)dx_timeline_page_position(page, now) + 1u;
    if (client->has_input) {
        client->input_next = position;
        atomic_store_explicit(&client->input_base, client->input_next, memory_order_relaxed);
        atomic_store_explicit(&client->input_frames, 0, memory_order_relaxed);
        memset(&client->known, 0, sizeof client->known);
    }
    if (client->has_output && client->lane.data) {
        struct dx_lane_state *const state = &client->lane_state;
        state->epoch++;
        /* Callbacks are placed by when the first of them is due. */
        state->flags = client->config.callback ? 0u : DX_LANE_RUNNING;
        state->base = find_output_start(client, page, position, dx_client_find_consumed(page, now)) - state->begin;
        publish_output(client);
    }
    end_turn(&client->reader_turn);
    end_turn(&client->writer_turn);
}

kern_return_t
dx_client_start(dx_client *client)
{
    if (!client)
        return kIOReturnBadArgument;
    if (dx_device_is_forked(client->device))
        return kIOReturnNotAttached;
    if (dx_client_is_running(client))
        return kIOReturnSuccess;
    if (dx_client_is_cut_off(client))
        return kIOReturnUnsupportedMode;

    dx_device *const device = client->device;
    atomic_store_explicit(&client->ending, false, memory_order_release);
    atomic_store_explicit(&client->running, true, memory_order_release);
    const kern_return_t started = device->ops->start(device, client);
    if (started != kIOReturnSuccess) {
        atomic_store_explicit(&client->running, false, memory_order_release);
        return started;
    }

    set_start(client);
    if (!client->config.callback || (client->config.flags & DX_CLIENT_SYNCHRONOUS))
        return kIOReturnSuccess;
    const dx_task_config task = {
        .name = client->name,
        .priority = client->config.priority < 0 ? 0 : client->config.priority,
    };
    const kern_return_t status = dx_task_spawn(device->clock, &task, run_callbacks, client, &client->task);
    if (status != kIOReturnSuccess)
        dx_client_stop(client);
    return status;
}

void
dx_client_stop(dx_client *client)
{
    if (!client || !dx_client_is_running(client) || dx_device_is_forked(client->device)) // there: no task, not its lane
        return;
    atomic_store_explicit(&client->ending, true, memory_order_release);
    atomic_fetch_add_explicit(&client->stop, 1, memory_order_release);
    dx_clock_wake(client->device->clock, &client->stop, UINT32_MAX);
    dx_task_join(client->task);
    client->task = NULL;

    atomic_store_explicit(&client->running, false, memory_order_release);
    client->device->ops->stop(client->device, client);
    if (client->has_output && client->lane.data) {
        struct dx_lane_state *const state = &client->lane_state;
        /* Frames not yet heard are dropped; the next start counts from 0 again. */
        take_turn(client, &client->writer_turn);
        *state = (struct dx_lane_state){.epoch = state->epoch + 1u};
        publish_output(client);
        atomic_store_explicit(&client->output_frames, 0, memory_order_relaxed);
        end_turn(&client->writer_turn);
    }
}

void
dx_client_close(dx_client *client)
{
    if (!client)
        return;
    dx_client_stop(client);
    client->device->ops->leave(client->device, client);
    free_client(client);
}

static uint32_t
load_latency(const struct dx_stream_shape *shape) DX_REALTIME
{
    return atomic_load_explicit(&shape->latency_frames, memory_order_relaxed);
}

kern_return_t
dx_client_get_status(dx_client *client, dx_client_status *ret_status) DX_REALTIME
{
    if (!client || !ret_status || ret_status->size != sizeof *ret_status)
        return kIOReturnBadArgument;
    if (dx_device_is_forked(client->device))
        return kIOReturnNotAttached;

    struct dx_timeline_page page = {.state = DX_TIMELINE_NONE};
    dx_client_read_page(client, &page);
    const uint64_t now = dx_clock_now_ns(client->device->clock);
    const uint64_t position = (uint64_t)dx_timeline_page_position(&page, now);
    const bool synchronous = client->config.flags & DX_CLIENT_SYNCHRONOUS;
    const uint32_t n = page.io_frames;
    const uint32_t distance = atomic_load_explicit(&client->output_distance, memory_order_relaxed);
    const uint32_t input_distance = atomic_load_explicit(&client->input_distance, memory_order_relaxed);
    *ret_status = (dx_client_status){
        .size = sizeof *ret_status,
        .is_running = dx_client_is_running(client),
        .device_time = advance(&client->last_device_time, position),
        .host_time_ns = now,
        .output_base = atomic_load_explicit(&client->output_base, memory_order_relaxed),
        .output_frames = atomic_load_explicit(
            client->synchronous_frames ? client->synchronous_frames : &client->output_frames, memory_order_relaxed),
        .input_base = atomic_load_explicit(&client->input_base, memory_order_relaxed),
        .input_frames = atomic_load_explicit(&client->input_frames, memory_order_relaxed),
        .underrun_frames = count_underruns(client),
        .overrun_frames = atomic_load_explicit(&client->overrun_frames, memory_order_relaxed),
        .limited_samples = count_limited(client),
        .output_latency_frames =
            (distance ? distance : n + page.output_safety + (synchronous ? 0 : client->config.lead_frames)) +
            (client->has_output ? load_latency(&client->device->output_shapes[client->config.output_stream]) : 0),
        .input_latency_frames =
            (input_distance ? input_distance : n) + page.input_safety + (client->has_input ? load_latency(&client->device->input_shapes[client->config.input_stream]) : 0),
    };
    return kIOReturnSuccess;
}
