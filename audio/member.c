// SPDX-License-Identifier: MIT
// Clients as an entry and its engine know them: joining, starting, stopping, leaving.

#include "audio/member.h"

#include "audio/entry.h"
#include "audio/host_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct dx_member {
    struct dx_member *next; // the entry's list, under its lock
    struct dx_entry *entry; // retained
    char *name;
    uint32_t io_frames; // as asked for
    uint32_t index;     // of its counters in the device page
    bool has_output;
    bool has_input;
    uint32_t output_generation;
    uint32_t input_generation;
    _Atomic bool running; // written under the entry's lock
    struct dx_input_ring *ring; // retained
    struct dx_engine_source source;
};

/* ---- what the plan asks ---- */

struct dx_member *
dx_member_next(const struct dx_member *member)
{
    return member->next;
}

bool
dx_member_is_running(const struct dx_member *member)
{
    return atomic_load_explicit(&member->running, memory_order_relaxed);
}

bool
dx_member_is_cut_off(const struct dx_member *member)
{
    const dx_device *const device = &member->entry->device;
    /* acquire: pairs with the release where the shapes change. */
    return (member->has_output &&
            atomic_load_explicit(&device->output_shapes[member->source.output_stream].generation,
                                 memory_order_acquire) != member->output_generation) ||
           (member->has_input &&
            atomic_load_explicit(&device->input_shapes[member->source.input_stream].generation,
                                 memory_order_acquire) != member->input_generation);
}

uint32_t
dx_member_io_frames(const struct dx_member *member)
{
    return member->io_frames;
}

struct dx_engine_source *
dx_member_source(struct dx_member *member)
{
    return member->source.lane || member->source.callback ? &member->source : NULL;
}

uint32_t
dx_member_recorded_streams(const struct dx_member *member)
{
    return member->has_input ? 1u << member->source.input_stream : 0u;
}

uint32_t
dx_member_played_streams(const struct dx_member *member)
{
    return member->has_output ? 1u << member->source.output_stream : 0u;
}

bool
dx_entry_has_running_member(const struct dx_entry *entry)
{
    for (const struct dx_member *member = entry->members; member; member = member->next)
        if (dx_member_is_running(member))
            return true;
    return false;
}

/* ---- joining and leaving ---- */

static void
free_member(struct dx_member *member)
{
    dx_input_ring_release(member->ring);
    dx_entry_release(member->entry);
    free(member->name);
    free(member);
}

/* Whether another member has a stream for itself. */
static bool
is_taken(const struct dx_entry *entry, uint32_t output_stream)
{
    for (const struct dx_member *other = entry->members; other; other = other->next)
        if (other->has_output && other->source.output_stream == output_stream && !dx_member_is_cut_off(other))
            return true;
    return false;
}

static kern_return_t
join_output(struct dx_member *member, const struct dx_member_config *config)
{
    const struct dx_entry *const entry = member->entry;
    const uint32_t index = config->output_stream;
    if (index >= entry->output_count)
        return kIOReturnBadArgument;
    const struct dx_stream_shape *const shape = &entry->device.output_shapes[index];
    if (!config->callback && (!config->lane || config->lane->bytes_per_frame != shape->client_bytes_per_frame))
        return kIOReturnUnsupportedMode;
    if (!shape->is_mixable && is_taken(entry, index))
        return kIOReturnExclusiveAccess;
    member->has_output = true;
    member->output_generation = atomic_load_explicit(&shape->generation, memory_order_relaxed);
    return kIOReturnSuccess;
}

static kern_return_t
join_input(struct dx_member *member, const struct dx_member_config *config)
{
    struct dx_entry *const entry = member->entry;
    const uint32_t index = config->input_stream;
    if (index >= entry->input_count)
        return kIOReturnBadArgument;
    const kern_return_t status = dx_entry_get_input_ring(entry, index, &member->ring);
    if (status != kIOReturnSuccess)
        return status;
    member->has_input = true;
    /* After the ring: a longer one is a new generation. */
    member->input_generation =
        atomic_load_explicit(&entry->device.input_shapes[index].generation, memory_order_relaxed);
    return kIOReturnSuccess;
}

/* A place among the counters, from 0; DX_DEVICE_PAGE_MEMBERS when all are taken. */
static uint32_t
take_index(struct dx_entry *entry)
{
    for (uint32_t i = 0; i < DX_DEVICE_PAGE_MEMBERS; i++) {
        const uint64_t bit = (uint64_t)1 << i % 64u;
        if (entry->members_in_use[i / 64u] & bit)
            continue;
        entry->members_in_use[i / 64u] |= bit;
        struct dx_member_counters *const counters = &entry->page->members[i];
        atomic_store_explicit(&counters->underrun_frames, 0, memory_order_relaxed);
        atomic_store_explicit(&counters->limited_samples, 0, memory_order_relaxed);
        return i;
    }
    return DX_DEVICE_PAGE_MEMBERS;
}

static void
append_member(struct dx_entry *entry, struct dx_member *member)
{
    struct dx_member **link = &entry->members;
    while (*link)
        link = &(*link)->next;
    *link = member;
}

kern_return_t
dx_entry_add_member(struct dx_entry *entry, const struct dx_member_config *config, struct dx_member **ret_member)
{
    if (!entry->host)
        return kIOReturnNoDevice;
    struct dx_member *const member = calloc(1, sizeof *member);
    if (!member)
        return kIOReturnNoMemory;
    member->entry = dx_entry_retain(entry);
    member->name = strdup(config->name);
    member->io_frames = config->io_frames;
    member->source.output_stream = config->output_stream;
    member->source.input_stream = config->input_stream;
    member->source.lane = config->callback || config->output_stream == DX_NO_STREAM ? NULL : config->lane;
    member->source.callback = config->callback;
    member->source.context = config->context;
    member->source.input_buffer = config->input_buffer;
    member->source.session = config->session;
    member->source.ahead = config->ahead;
    dx_member_set_gain(member, config->gain);

    kern_return_t status = member->name ? kIOReturnSuccess : kIOReturnNoMemory;
    if (status == kIOReturnSuccess && config->output_stream != DX_NO_STREAM)
        status = join_output(member, config);
    if (status == kIOReturnSuccess && config->input_stream != DX_NO_STREAM)
        status = join_input(member, config);
    if (status == kIOReturnSuccess) {
        member->index = take_index(entry);
        if (member->index == DX_DEVICE_PAGE_MEMBERS)
            status = kIOReturnNoResources;
    }
    if (status != kIOReturnSuccess) {
        free_member(member);
        return status;
    }
    member->source.counters = &entry->page->members[member->index];
    append_member(entry, member);
    *ret_member = member;
    return kIOReturnSuccess;
}

static bool
is_sane_config(const struct dx_member_config *config)
{
    return config && config->name &&
           (config->output_stream != DX_NO_STREAM || config->input_stream != DX_NO_STREAM) &&
           (config->output_stream == DX_NO_STREAM || config->output_stream < DX_MAX_STREAMS) &&
           (config->input_stream == DX_NO_STREAM || config->input_stream < DX_MAX_STREAMS);
}

kern_return_t
dx_member_join(dx_device *device, const struct dx_member_config *config, struct dx_member **ret_member)
{
    if (!device || !is_sane_config(config) || !ret_member)
        return kIOReturnBadArgument;
    struct dx_entry *const entry = dx_entry_of(device);
    dx_mutex_lock(&entry->lock);
    const kern_return_t status = dx_entry_add_member(entry, config, ret_member);
    dx_mutex_unlock(&entry->lock);
    return status;
}

void
dx_member_leave(struct dx_member *member)
{
    if (!member)
        return;
    dx_member_stop(member);
    struct dx_entry *const entry = member->entry;
    dx_mutex_lock(&entry->lock);
    for (struct dx_member **link = &entry->members; *link; link = &(*link)->next)
        if (*link == member) {
            *link = member->next;
            break;
        }
    entry->members_in_use[member->index / 64u] &= ~((uint64_t)1 << member->index % 64u);
    dx_host *const host = entry->host;
    dx_mutex_unlock(&entry->lock);
    free_member(member);
    if (host)
        dx_host_forget_unused(host);
}

/* ---- starting and stopping ---- */

struct start {
    struct dx_member *member;
    kern_return_t status;
};

static void
set_running(struct dx_member *member, bool running)
{
    dx_mutex_lock(&member->entry->lock);
    atomic_store_explicit(&member->running, running, memory_order_release);
    dx_mutex_unlock(&member->entry->lock);
}

/* On the driver's queue: the member counts as running, and so does the device. */
static void
start_member(struct dx_entry *entry, void *argument)
{
    struct start *const start = argument;
    set_running(start->member, true);
    start->status = dx_entry_start_io(entry);
    if (start->status != kIOReturnSuccess)
        set_running(start->member, false);
    dx_mutex_lock(&entry->lock);
    dx_entry_replan(entry);
    dx_mutex_unlock(&entry->lock);
}

kern_return_t
dx_member_start(struct dx_member *member)
{
    struct dx_entry *const entry = member->entry;
    if (dx_member_is_cut_off(member))
        return kIOReturnUnsupportedMode;
    const uint32_t timeouts = atomic_load_explicit(&entry->signal.timeouts, memory_order_acquire);
    struct start start = {.member = member};
    dx_entry_run(entry, start_member, &start);
    if (start.status != kIOReturnSuccess)
        return start.status;
    /* It may have timed out, and been stopped by another client or the watcher, before this one looks. */
    if (dx_engine_wait_started(entry->device.clock, &entry->signal) == DX_ENGINE_TIMED_OUT ||
        atomic_load_explicit(&entry->signal.timeouts, memory_order_acquire) != timeouts) {
        dx_member_stop(member);
        return kIOReturnTimeout;
    }
    return kIOReturnSuccess;
}

/* On the driver's queue. */
static void
stop_member(struct dx_entry *entry, void *argument)
{
    struct dx_member *const member = argument;
    dx_mutex_lock(&entry->lock);
    atomic_store_explicit(&member->running, false, memory_order_release);
    const bool others = dx_entry_has_running_member(entry);
    entry->is_interrupted &= others; // without others nobody misses anything
    dx_mutex_unlock(&entry->lock);
    if (!others)
        dx_entry_stop_io(entry, true);
    dx_mutex_lock(&entry->lock);
    dx_entry_replan(entry);
    dx_mutex_unlock(&entry->lock);
}

void
dx_member_stop(struct dx_member *member)
{
    if (dx_member_is_running(member))
        dx_entry_run(member->entry, stop_member, member);
}

/* ---- the rest ---- */

void
dx_member_set_gain(struct dx_member *member, float gain)
{
    uint32_t bits;
    memcpy(&bits, &gain, sizeof bits);
    /* relaxed: a value by itself; the engine reads it once a cycle. */
    atomic_store_explicit(&member->source.gain_bits, bits, memory_order_relaxed);
}

uint32_t
dx_member_index(const struct dx_member *member)
{
    return member->index;
}

const struct dx_lane *
dx_member_ring(const struct dx_member *member)
{
    return member->ring ? &member->ring->lane : NULL;
}

const _Atomic uint64_t *
dx_member_frames(const struct dx_member *member)
{
    return &member->source.frames;
}

int
dx_device_page_fd(dx_device *device)
{
    return dx_entry_of(device)->page_memory.fd;
}
