// SPDX-License-Identifier: MIT
// Starting and stopping the IO of a device, and the plan its engine follows.

#include "audio/entry.h"

#include "audio/clock_device.h"
#include "audio/device.h"
#include "audio/host_state.h"
#include "audio/stream.h"
#include "core/queue.h"
#include "core/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST_INPUT_RING_FRAMES 8192u
#define LARGEST_INPUT_RING_BYTES ((uint64_t)1 << 28)

static uint64_t
load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- making and freeing ---- */

static void
free_dsp(struct dx_entry_dsp *dsp)
{
    free(dsp->dsp.planar);
    free(dsp->dsp.planar_data);
    free(dsp);
}

static void
free_entry(dx_device *device)
{
    struct dx_entry *const entry = dx_entry_of(device);
    for (uint32_t i = 0; i < DX_MAX_STREAMS; i++)
        dx_input_ring_release(entry->input_rings[i]);
    while (entry->dsp) {
        struct dx_entry_dsp *const dsp = entry->dsp;
        entry->dsp = dsp->next;
        free_dsp(dsp);
    }
    dx_pages_finish(&entry->page_memory);
    dx_device_finish(device);
    free(entry);
}

static const struct dx_device_ops entry_ops;

struct dx_entry *
dx_entry_create(dx_host *host, const char *uid)
{
    struct dx_entry *const entry = aligned_alloc(_Alignof(struct dx_entry), sizeof *entry);
    if (!entry)
        return NULL;
    memset(entry, 0, sizeof *entry);
    struct dx_timeline_page before = {.state = DX_TIMELINE_NONE, .ns_per_frame = 1e9 / 48000.0};
    const struct dx_host_memory *const memory = &host->memory;
    if (memory->find)
        memory->find(memory->context, uid, &before, &entry->recorder);
    if (!dx_device_init(&entry->device, &entry_ops, uid, host->clock) ||
        dx_device_page_create(&entry->page_memory, memory->incarnation, &before, &entry->page) < 0) {
        free_entry(&entry->device);
        return NULL;
    }
    entry->device.page = entry->page;
    entry->host = host;
    dx_mutex_init(&entry->lock, "device");
    return entry;
}

IOUserAudioDevice *
dx_entry_copy_object(dx_device *device)
{
    struct dx_entry *const entry = dx_entry_of(device);
    dx_mutex_lock(&entry->lock);
    IOUserAudioDevice *const object = OSObjectRetain(entry->object);
    dx_mutex_unlock(&entry->lock);
    return object;
}

/* ---- the driver's queue ---- */

struct run {
    struct dx_entry *entry;
    IOUserAudioDriver *driver; // whose queue it is
    void (*function)(struct dx_entry *entry, void *argument);
    void *argument;
    bool done;
};

/* A driver comes and goes on its own queue: here it stays. */
static void
run_function(void *context)
{
    struct run *const run = context;
    dx_mutex_lock(&run->entry->lock);
    run->done = run->entry->driver == run->driver;
    dx_mutex_unlock(&run->entry->lock);
    if (run->done)
        run->function(run->entry, run->argument);
}

bool
dx_entry_is_on_queue(struct dx_entry *entry)
{
    IODispatchQueue *const queue = entry->driver ? IOUserAudioDriverGetWorkQueue(entry->driver) : NULL;
    const bool is_on_queue = queue && IODispatchQueueOnQueue(queue);
    OSObjectRelease(queue);
    return is_on_queue;
}

void
dx_entry_run(struct dx_entry *entry, void (*function)(struct dx_entry *entry, void *argument), void *argument)
{
    struct run run = {.entry = entry, .function = function, .argument = argument};
    while (!run.done) {
        dx_mutex_lock(&entry->lock);
        run.driver = OSObjectRetain(entry->driver);
        IODispatchQueue *const queue = run.driver ? IOUserAudioDriverGetWorkQueue(run.driver) : NULL;
        dx_mutex_unlock(&entry->lock);
        if (queue) {
            dx_queue_run(queue, &run, run_function);
        } else {
            /* When a driver came meanwhile, the function found that it is not on its queue, and runs again. */
            function(entry, argument);
            dx_mutex_lock(&entry->lock);
            run.done = entry->driver == run.driver;
            dx_mutex_unlock(&entry->lock);
        }
        OSObjectRelease(queue);
        OSObjectRelease(run.driver);
    }
}

/* ---- shapes: what clients of a stream depend on ---- */

/* Of the device in the stream's direction, and of the stream. */
static uint32_t
find_latency(IOUserAudioDevice *object, IOUserAudioStream *stream)
{
    return IOUserAudioStreamGetLatency(stream) +
           (IOUserAudioStreamGetStreamDirection(stream) == IOUserAudioStreamDirectionInput
                ? IOUserAudioDeviceGetInputLatency(object)
                : IOUserAudioDeviceGetOutputLatency(object));
}

static kern_return_t
read_shape(struct dx_entry *entry, IOUserAudioStream *stream, uint32_t index, struct dx_stream_shape *shape)
{
    const IOUserAudioStreamBasicDescription format = IOUserAudioStreamGetCurrentStreamFormat(stream);
    enum dx_sample_format sample_format;
    const char *reason = NULL;
    if (dx_sample_format_from_description(&format, &sample_format, &reason) < 0) {
        dx_host_log(entry->host, "%s: stream %u: unusable format: %s", entry->device.uid, index, reason);
        return kIOReturnUnsupported;
    }
    atomic_store_explicit(&shape->latency_frames, find_latency(entry->object, stream), memory_order_relaxed);
    const bool is_mixable = !(format.mFormatFlags & FormatFlagIsNonMixable);
    const uint32_t channels = format.mChannelsPerFrame;
    const uint32_t bytes = is_mixable ? channels * (uint32_t)sizeof(float) : format.mBytesPerFrame;
    const bool is_same = shape->channels == channels && shape->is_mixable == is_mixable &&
                         shape->client_bytes_per_frame == bytes && (is_mixable || shape->format == sample_format);
    shape->format = sample_format; // clients of a mixable stream do not see it; the engine converts by it
    if (is_same)
        return kIOReturnSuccess;
    shape->channels = channels;
    shape->is_mixable = is_mixable;
    shape->client_bytes_per_frame = bytes;
    /* release: pairs with the acquire in is_cut_off() of the clients. */
    atomic_fetch_add_explicit(&shape->generation, 1, memory_order_release);
    return kIOReturnSuccess;
}

static kern_return_t
read_direction(struct dx_entry *entry, IOUserAudioStreamDirection direction, struct dx_stream_shape *shapes,
               uint32_t *ret_count)
{
    IOUserAudioStream *streams[DX_MAX_STREAMS];
    uint32_t count = dx_device_copy_streams(entry->object, direction, streams, DX_MAX_STREAMS);
    count = count < DX_MAX_STREAMS ? count : DX_MAX_STREAMS;
    kern_return_t status = kIOReturnSuccess;
    for (uint32_t i = 0; i < count; i++) {
        const kern_return_t one = read_shape(entry, streams[i], i, &shapes[i]);
        if (one != kIOReturnSuccess)
            status = one;
        OSObjectRelease(streams[i]);
    }
    /* Streams that went away leave their clients behind. */
    for (uint32_t i = count; i < *ret_count; i++) {
        shapes[i].channels = 0;
        atomic_fetch_add_explicit(&shapes[i].generation, 1, memory_order_release);
    }
    *ret_count = count;
    return status;
}

kern_return_t
dx_entry_read_shapes(struct dx_entry *entry)
{
    if (!entry->object) // removed by code of its own driver: its clients stay as they are
        return kIOReturnNoDevice;
    const kern_return_t inputs =
        read_direction(entry, IOUserAudioStreamDirectionInput, entry->device.input_shapes, &entry->input_count);
    const kern_return_t outputs =
        read_direction(entry, IOUserAudioStreamDirectionOutput, entry->device.output_shapes, &entry->output_count);
    entry->sample_rate_hz = IOUserAudioDeviceGetSampleRate(entry->object);
    entry->ring_frames = IOUserAudioDeviceGetZeroTimestampPeriod(entry->object);
    return inputs != kIOReturnSuccess ? inputs : outputs;
}

/* ---- input rings ---- */

void
dx_input_ring_release(struct dx_input_ring *ring)
{
    if (!ring || atomic_fetch_sub_explicit(&ring->references, 1, memory_order_acq_rel) != 1)
        return;
    dx_lane_finish(&ring->lane);
    free(ring);
}

/* Makes the ring of a stream fit its shape and the device's ring. */
static kern_return_t
prepare_input_ring(struct dx_entry *entry, uint32_t index)
{
    const uint32_t bytes = entry->device.input_shapes[index].client_bytes_per_frame;
    struct dx_input_ring *const old = entry->input_rings[index];
    uint64_t frames = entry->ring_frames > SMALLEST_INPUT_RING_FRAMES ? entry->ring_frames
                                                                      : SMALLEST_INPUT_RING_FRAMES;
    while (frames > SMALLEST_INPUT_RING_FRAMES && frames * bytes > LARGEST_INPUT_RING_BYTES)
        frames /= 2u;
    if (old && old->lane.bytes_per_frame == bytes && old->lane.ring_frames >= frames)
        return kIOReturnSuccess;

    struct dx_input_ring *const ring = calloc(1, sizeof *ring);
    if (!ring)
        return kIOReturnNoMemory;
    atomic_init(&ring->references, 1);
    if (dx_lane_create(&ring->lane, "dextral-input", (uint32_t)frames, bytes) < 0) {
        free(ring);
        return kIOReturnNoMemory;
    }
    /* A longer ring for the same frames: readers of the old one are cut off, as by a new format. */
    if (old && old->lane.bytes_per_frame == bytes)
        atomic_fetch_add_explicit(&entry->device.input_shapes[index].generation, 1, memory_order_release);
    dx_input_ring_release(old);
    entry->input_rings[index] = ring;
    return kIOReturnSuccess;
}

kern_return_t
dx_entry_get_input_ring(struct dx_entry *entry, uint32_t index, struct dx_input_ring **ret_ring)
{
    if (!entry->input_rings[index]) {
        const kern_return_t status = prepare_input_ring(entry, index);
        if (status != kIOReturnSuccess)
            return status;
    }
    atomic_fetch_add_explicit(&entry->input_rings[index]->references, 1, memory_order_relaxed);
    *ret_ring = entry->input_rings[index];
    return kIOReturnSuccess;
}

/* ---- the plan ---- */

/* N: as set, else the smallest that a running client asks for; within what the ring allows. */
static uint32_t
choose_io_frames(const struct dx_entry *entry, uint32_t most)
{
    uint32_t frames = entry->wanted_io_frames;
    if (!frames) {
        frames = entry->host->config.io_frames;
        for (const struct dx_member *member = entry->members; member; member = dx_member_next(member)) {
            const uint32_t own = dx_member_io_frames(member);
            if (dx_member_is_running(member) && own && own < frames)
                frames = own;
        }
    }
    return frames < most ? frames : most;
}

/* A driver may set other offsets while IO runs: they are in force from the next start on, for the bound too. */
static uint32_t
find_most_io_frames(const struct dx_entry *entry)
{
    if (entry->engine)
        return entry->most_io_frames;
    return dx_engine_max_io_frames(entry->ring_frames, IOUserAudioDeviceGetInputSafetyOffset(entry->object),
                                   IOUserAudioDeviceGetOutputSafetyOffset(entry->object),
                                   entry->sample_rate_hz);
}

/* The active plug-ins of a stream, NULL at their end. */
static void
collect_dsp(const struct dx_entry *entry, IOUserAudioStreamDirection direction, uint32_t stream,
            struct dx_engine_dsp **chain)
{
    uint32_t n = 0;
    for (struct dx_entry_dsp *dsp = entry->dsp; dsp && n < DX_ENGINE_MAX_DSP; dsp = dsp->next)
        if (dsp->is_active && dsp->direction == direction && dsp->stream == stream)
            chain[n++] = &dsp->dsp;
    chain[n] = NULL;
}

static void
build_plan(const struct dx_entry *entry, struct dx_engine_plan *plan)
{
    *plan = (struct dx_engine_plan){.io_frames = choose_io_frames(entry, entry->most_io_frames)};
    for (uint32_t i = 0; i < entry->input_count; i++)
        collect_dsp(entry, IOUserAudioStreamDirectionInput, i, plan->input_dsp[i]);
    for (uint32_t i = 0; i < entry->output_count; i++)
        collect_dsp(entry, IOUserAudioStreamDirectionOutput, i, plan->output_dsp[i]);
    for (struct dx_member *member = entry->members; member; member = dx_member_next(member)) {
        if (!dx_member_is_running(member) || dx_member_is_cut_off(member))
            continue;
        plan->inputs_in_use |= dx_member_recorded_streams(member);
        plan->outputs_in_use |= dx_member_played_streams(member);
        struct dx_engine_source *const source = dx_member_source(member);
        if (source)
            plan->sources[plan->source_count++] = source;
    }
}

void
dx_entry_replan(struct dx_entry *entry)
{
    if (!entry->engine)
        return;
    struct dx_engine_plan *const next = entry->spare;
    build_plan(entry, next);
    dx_engine_set_plan(entry->engine, next);
    entry->spare = entry->plan;
    entry->plan = next;
}

/* ---- DSP ---- */

static void
deactivate_one_dsp(struct dx_entry_dsp *dsp)
{
    if (dsp->is_active)
        dsp->dsp.plugin->deactivate(dsp->dsp.instance);
    dsp->is_active = false;
    free(dsp->dsp.planar);
    free(dsp->dsp.planar_data);
    dsp->dsp.planar = NULL;
    dsp->dsp.planar_data = NULL;
}

static void
deactivate_dsp(struct dx_entry *entry)
{
    for (struct dx_entry_dsp *dsp = entry->dsp; dsp; dsp = dsp->next)
        deactivate_one_dsp(dsp);
}

/* The shape of a plug-in's stream; NULL where there is none, or none that it could be in. */
static const struct dx_stream_shape *
find_dsp_shape(const struct dx_entry *entry, const struct dx_entry_dsp *dsp)
{
    const bool is_input = dsp->direction == IOUserAudioStreamDirectionInput;
    if (dsp->stream >= (is_input ? entry->input_count : entry->output_count))
        return NULL;
    const struct dx_stream_shape *const shape =
        is_input ? &entry->device.input_shapes[dsp->stream] : &entry->device.output_shapes[dsp->stream];
    return shape->is_mixable ? shape : NULL;
}

static kern_return_t
activate_one_dsp(struct dx_entry *entry, struct dx_entry_dsp *dsp)
{
    const struct dx_stream_shape *const shape = find_dsp_shape(entry, dsp);
    if (!shape)
        return kIOReturnBadArgument;

    const uint32_t frames = dx_engine_chunk_frames(shape->channels);
    dsp->dsp.view = (dx_dsp_view){.size = sizeof(dx_dsp_view), .channels = shape->channels};
    if (dsp->dsp.plugin->flags & DX_DSP_PLANAR) {
        dsp->dsp.planar = calloc(shape->channels, sizeof(float *));
        dsp->dsp.planar_data = calloc((size_t)frames * shape->channels, sizeof(float));
        if (!dsp->dsp.planar || !dsp->dsp.planar_data) {
            deactivate_one_dsp(dsp);
            return kIOReturnNoMemory;
        }
        (void)dx_pages_touch(dsp->dsp.planar_data, (size_t)frames * shape->channels * sizeof(float),
                             true); // that they are there counts; the rings say whether the limit allows more
        for (uint32_t c = 0; c < shape->channels; c++)
            dsp->dsp.planar[c] = dsp->dsp.planar_data + (size_t)c * frames;
        dsp->dsp.view.planar = dsp->dsp.planar;
    }
    const kern_return_t status =
        dsp->dsp.plugin->activate(dsp->dsp.instance, &dsp->dsp.view, entry->sample_rate_hz, frames);
    dsp->is_active = status == kIOReturnSuccess;
    dsp->rate_hz = entry->sample_rate_hz;
    if (status != kIOReturnSuccess)
        deactivate_one_dsp(dsp);
    return status;
}

static kern_return_t
activate_dsp(struct dx_entry *entry)
{
    for (struct dx_entry_dsp *dsp = entry->dsp; dsp; dsp = dsp->next) {
        /* It may have been activated before IO started, for another rate or other channels. */
        const struct dx_stream_shape *const shape = find_dsp_shape(entry, dsp);
        if (!shape || dsp->rate_hz != entry->sample_rate_hz || dsp->dsp.view.channels != shape->channels)
            deactivate_one_dsp(dsp);
        if (!shape) {
            dx_host_log(entry->host, "%s: plug-in %s has no stream to be in, and waits for one", entry->device.uid,
                        dsp->dsp.plugin->name);
            continue;
        }
        const kern_return_t status = dsp->is_active ? kIOReturnSuccess : activate_one_dsp(entry, dsp);
        if (status == kIOReturnSuccess)
            continue;
        dx_host_log(entry->host, "%s: plug-in %s does not start: %s", entry->device.uid, dsp->dsp.plugin->name,
                    dx_return_string(status));
        deactivate_dsp(entry);
        return status;
    }
    return kIOReturnSuccess;
}

static kern_return_t
add_dsp(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index, const dx_dsp_plugin *plugin,
        void *instance)
{
    struct dx_entry *const entry = dx_entry_of(device);
    struct dx_entry_dsp *const dsp = calloc(1, sizeof *dsp);
    if (!dsp)
        return kIOReturnNoMemory;
    dsp->direction = direction;
    dsp->stream = index;
    dsp->dsp.plugin = plugin;
    dsp->dsp.instance = instance;

    dx_mutex_lock(&entry->lock);
    uint32_t n = 0;
    struct dx_entry_dsp **link = &entry->dsp;
    for (; *link; link = &(*link)->next)
        n += (*link)->direction == direction && (*link)->stream == index;
    kern_return_t status = !entry->object                ? kIOReturnNoDevice
                           : n >= DX_ENGINE_MAX_DSP       ? kIOReturnNoSpace
                                                          : kIOReturnSuccess;
    if (status == kIOReturnSuccess)
        status = activate_one_dsp(entry, dsp);
    if (status == kIOReturnSuccess) {
        *link = dsp;
        dx_entry_replan(entry);
    }
    dx_mutex_unlock(&entry->lock);
    if (status != kIOReturnSuccess)
        free_dsp(dsp);
    return status;
}

static kern_return_t
remove_dsp(dx_device *device, void *instance)
{
    struct dx_entry *const entry = dx_entry_of(device);
    dx_mutex_lock(&entry->lock);
    struct dx_entry_dsp **link = &entry->dsp;
    while (*link && (*link)->dsp.instance != instance)
        link = &(*link)->next;
    struct dx_entry_dsp *const dsp = *link;
    if (dsp) {
        *link = dsp->next;
        dx_entry_replan(entry);
        if (dsp->is_active)
            dsp->dsp.plugin->deactivate(instance);
        free_dsp(dsp);
    }
    dx_mutex_unlock(&entry->lock);
    return dsp ? kIOReturnSuccess : kIOReturnNotFound;
}

/* ---- starting and stopping ---- */

static void
release_maps(struct dx_entry *entry)
{
    while (entry->map_count)
        OSObjectRelease(entry->maps[--entry->map_count]);
}

/* Maps a stream's ring and says how the engine is to move it. */
static kern_return_t
describe_stream(struct dx_entry *entry, IOUserAudioStream *stream, bool is_input, uint32_t index,
                struct dx_engine_stream *ret_stream)
{
    const char *const direction = is_input ? "input" : "output";
    const struct dx_stream_shape *const shape =
        is_input ? &entry->device.input_shapes[index] : &entry->device.output_shapes[index];
    const IOUserAudioStreamBasicDescription format = IOUserAudioStreamGetCurrentStreamFormat(stream);

    IOMemoryDescriptor *const memory = IOUserAudioStreamGetIOMemoryDescriptor(stream);
    if (!memory) {
        dx_host_log(entry->host, "%s: %s stream %u has no ring: give it an IOMemoryDescriptor", entry->device.uid,
                    direction, index);
        return kIOReturnNotReady;
    }
    IOMemoryMap *map = NULL;
    kern_return_t status = IOMemoryDescriptorCreateMapping(memory, 0, 0, 0, 0, 0, &map);
    OSObjectRelease(memory);
    if (status != kIOReturnSuccess)
        return status;
    entry->maps[entry->map_count++] = map;

    const uint64_t needed = (uint64_t)entry->ring_frames * format.mBytesPerFrame;
    if (IOMemoryMapGetLength(map) < needed) {
        dx_host_log(entry->host,
                    "%s: the ring of %s stream %u holds %llu bytes; its period of %u frames needs %llu",
                    entry->device.uid, direction, index, (unsigned long long)IOMemoryMapGetLength(map),
                    entry->ring_frames, (unsigned long long)needed);
        return kIOReturnNoSpace;
    }

    if (!dx_pages_touch((void *)(uintptr_t)(IOMemoryMapGetAddress(map) + IOMemoryMapGetOffset(map)), needed,
                        true))
        entry->degraded_rings = DX_TASK_NOT_LOCKED;

    const struct dx_kernels *const kernels = dx_kernels_best();
    *ret_stream = (struct dx_engine_stream){
        .ring = (uint8_t *)(uintptr_t)(IOMemoryMapGetAddress(map) + IOMemoryMapGetOffset(map)),
        .bytes_per_frame = format.mBytesPerFrame,
        .channels = shape->channels,
        .activity = dx_stream_get_activity(stream),
        .is_mixable = shape->is_mixable,
        .to_float = kernels->to_float[shape->format],
        .from_float = kernels->from_float[shape->format],
        .chunk_frames = dx_engine_chunk_frames(shape->channels),
    };
    if (!is_input)
        return kIOReturnSuccess;
    status = prepare_input_ring(entry, index);
    if (status == kIOReturnSuccess) {
        ret_stream->input_lane = &entry->input_rings[index]->lane;
        ret_stream->input_state = &entry->input_rings[index]->state;
    }
    return status;
}

static kern_return_t
describe_direction(struct dx_entry *entry, bool is_input, struct dx_engine_config *config)
{
    IOUserAudioStream *streams[DX_MAX_STREAMS];
    uint32_t count = dx_device_copy_streams(
        entry->object, is_input ? IOUserAudioStreamDirectionInput : IOUserAudioStreamDirectionOutput, streams,
        DX_MAX_STREAMS);
    count = count < DX_MAX_STREAMS ? count : DX_MAX_STREAMS;
    kern_return_t status = kIOReturnSuccess;
    for (uint32_t i = 0; i < count; i++) {
        if (status == kIOReturnSuccess)
            status = describe_stream(entry, streams[i], is_input, i,
                                     is_input ? &config->inputs[i] : &config->outputs[i]);
        OSObjectRelease(streams[i]);
    }
    if (is_input)
        config->input_count = count;
    else
        config->output_count = count;
    return status;
}

static void
stop_after_timeout(struct dx_entry *entry, void *argument)
{
    (void)argument;
    /* Somebody may have stopped it, and started it again, in between. */
    if (atomic_load_explicit(&entry->signal.phase, memory_order_acquire) == DX_ENGINE_TIMED_OUT)
        dx_entry_stop_io(entry, true);
}

void
dx_entry_look_after(struct dx_entry *entry)
{
    const uint32_t timeouts = atomic_load_explicit(&entry->signal.timeouts, memory_order_acquire);
    if (timeouts != entry->told_timeouts) {
        entry->told_timeouts = timeouts;
        dx_host_log(entry->host, "%s: no zero timestamp in time: IO is stopped", entry->device.uid);
        dx_entry_run(entry, stop_after_timeout, NULL);
        dx_host_tell(entry->host, DX_EVENT_START_TIMEOUT, entry, 0, NULL, 0, kIOReturnTimeout);
    }
    const uint64_t overloads = load(&entry->counters.overloads);
    if (overloads != entry->told_overloads) {
        static const IOUserAudioObjectPropertySelector selector = kIOUserAudioPropertyProcessorOverload;
        entry->told_overloads = overloads;
        dx_mutex_lock(&entry->lock);
        const IOUserAudioObjectID id = entry->object ? IOUserAudioObjectGetObjectID(entry->object) : 0;
        dx_mutex_unlock(&entry->lock);
        dx_host_tell(entry->host, DX_EVENT_PROPERTIES_CHANGED, entry, id, &selector, 1, kIOReturnSuccess);
    }
}

static kern_return_t
build_config(struct dx_entry *entry, struct dx_engine_config *config)
{
    IOUserAudioDevice *const object = entry->object;
    struct dx_stamp stamp = {0};
    struct dx_device_io *const io = dx_clock_device_get_io(object);
    const struct dx_slots stamps = dx_device_io_stamps(io);
    (void)dx_slots_read(&stamps, &stamp);

    *config = (struct dx_engine_config){
        .clock = entry->device.clock,
        .name = "dextral-io",
        .device_id = IOUserAudioObjectGetObjectID(object),
        .io = io,
        .timeline = {.rate_hz = entry->sample_rate_hz,
                     .period_frames = entry->ring_frames,
                     .algorithm = IOUserAudioDeviceGetClockAlgorithm(object),
                     .is_stable = IOUserAudioDeviceGetClockIsStable(object),
                     .start_count = stamp.count},
        .ring_frames = entry->ring_frames,
        .input_safety = IOUserAudioDeviceGetInputSafetyOffset(object),
        .output_safety = IOUserAudioDeviceGetOutputSafetyOffset(object),
        .late_tolerance = dx_device_object_get_late_tolerance(object),
        .page = dx_device_page_timeline(entry->page),
        .counters = &entry->counters,
        .signal = &entry->signal,
        .recorder = entry->recorder,
        .kernels = dx_kernels_best(),
        .notices = &entry->host->notices,
        .goes_on = entry->is_interrupted,
        .start_timeout_ns = entry->host->config.start_timeout_ns,
        .priority = entry->host->config.io_priority,
        .cpu = entry->host->config.io_cpu,
    };
    entry->degraded_rings = 0;
    const kern_return_t status = describe_direction(entry, true, config);
    return status == kIOReturnSuccess ? describe_direction(entry, false, config) : status;
}

/* Everything but the driver's consent. */
static kern_return_t
prepare_io(struct dx_entry *entry, struct dx_engine_config *config)
{
    kern_return_t status = dx_entry_read_shapes(entry);
    if (status != kIOReturnSuccess)
        return status;
    if (!(entry->sample_rate_hz > 0.0)) {
        dx_host_log(entry->host, "%s: no sample rate was set", entry->device.uid);
        return kIOReturnNotReady;
    }
    entry->most_io_frames = find_most_io_frames(entry);
    if (!entry->most_io_frames) {
        dx_host_log(entry->host,
                    "%s: a period of %u frames is too short: 3 IO sizes, both safety offsets and %u frames of "
                    "jitter must fit",
                    entry->device.uid, entry->ring_frames, dx_engine_jitter_frames(entry->sample_rate_hz));
        return kIOReturnBadArgument;
    }
    status = build_config(entry, config);
    if (status == kIOReturnSuccess)
        status = activate_dsp(entry);
    if (status != kIOReturnSuccess)
        return status;
    if (dx_pages_create("dextral-plans", 2u * sizeof *entry->plan, &entry->plan_pages) < 0)
        return kIOReturnNoMemory;
    entry->plan = entry->plan_pages.address;
    entry->spare = entry->plan + 1;
    return kIOReturnSuccess;
}

static void
undo_prepare(struct dx_entry *entry)
{
    deactivate_dsp(entry);
    dx_pages_finish(&entry->plan_pages);
    entry->plan = NULL;
    entry->spare = NULL;
    release_maps(entry);
}

/* The plan is built last: clients and chains may have changed while the driver started. */
static kern_return_t
start_engine(struct dx_entry *entry, const struct dx_engine_config *config)
{
    build_plan(entry, entry->plan);
    const int r = dx_engine_start(config, entry->plan, &entry->engine);
    if (r < 0)
        return r == -ENOMEM ? kIOReturnNoMemory : kIOReturnNoResources;
    entry->is_prewarmed = false;
    entry->is_interrupted = false;
    const unsigned degraded = dx_engine_degraded(entry->engine) | entry->degraded_rings;
    if (degraded & ~atomic_load_explicit(&entry->degraded, memory_order_relaxed))
        dx_host_log(entry->host, "%s: the IO thread is not real-time: %s", entry->device.uid,
                    dx_task_degraded_advice(degraded));
    atomic_store_explicit(&entry->degraded, degraded, memory_order_relaxed);
    return kIOReturnSuccess;
}

kern_return_t
dx_entry_start_io(struct dx_entry *entry)
{
    struct dx_engine_config *const config = calloc(1, sizeof *config);
    if (!config)
        return kIOReturnNoMemory;

    dx_mutex_lock(&entry->lock);
    const bool is_wanted =
        !entry->engine && dx_entry_is_on_queue(entry) && !entry->is_changing && dx_entry_has_running_member(entry);
    kern_return_t status = is_wanted ? prepare_io(entry, config) : kIOReturnSuccess;
    if (status != kIOReturnSuccess)
        undo_prepare(entry);
    /* Retained: the driver may remove its device while it starts it. */
    IOUserAudioDriver *const driver = OSObjectRetain(entry->driver);
    IOUserAudioDevice *const object = OSObjectRetain(entry->object);
    dx_mutex_unlock(&entry->lock);

    if (is_wanted && status == kIOReturnSuccess) {
        status = IOUserAudioDriverStartDevice(driver, config->device_id, IOUserAudioStartStopFlagsNone);
        const bool was_started = status == kIOReturnSuccess;
        dx_mutex_lock(&entry->lock);
        if (was_started)
            status = entry->object == object ? start_engine(entry, config) : kIOReturnNoDevice;
        if (status != kIOReturnSuccess)
            undo_prepare(entry);
        dx_mutex_unlock(&entry->lock);
        if (was_started && status != kIOReturnSuccess &&
            IOUserAudioDriverStopDevice(driver, config->device_id, IOUserAudioStartStopFlagsNone) ==
                kIOReturnNoDevice)
            /* Its driver no longer knows it, but has started it.  The start's error counts. */
            (void)IOUserAudioDeviceStopIO(object, IOUserAudioStartStopFlagsNone);
        if (status == kIOReturnSuccess)
            dx_host_tell(entry->host, DX_EVENT_IO_STARTED, entry, 0, NULL, 0, kIOReturnSuccess);
    }
    OSObjectRelease(object);
    OSObjectRelease(driver);
    free(config);
    return status;
}

void
dx_entry_stop_io(struct dx_entry *entry, bool tell)
{
    dx_mutex_lock(&entry->lock);
    if (!dx_entry_is_on_queue(entry)) { // it has no driver, or a new one: nothing to stop, or not here
        dx_mutex_unlock(&entry->lock);
        return;
    }
    struct dx_engine *const engine = entry->engine;
    IOUserAudioDriver *const driver = entry->driver;
    const IOUserAudioObjectID id = IOUserAudioObjectGetObjectID(entry->object);
    entry->engine = NULL;
    entry->is_interrupted |= engine && dx_entry_has_running_member(entry);
    dx_engine_stop(engine);
    dx_mutex_unlock(&entry->lock);
    if (!engine)
        return;

    if (tell)
        (void)IOUserAudioDriverStopDevice(driver, id, IOUserAudioStartStopFlagsNone); // stopped it is
    dx_mutex_lock(&entry->lock);
    undo_prepare(entry);
    dx_mutex_unlock(&entry->lock);
    dx_host_tell(entry->host, DX_EVENT_IO_STOPPED, entry, 0, NULL, 0, kIOReturnSuccess);
}

bool
dx_entry_attach(struct dx_entry *entry, IOUserAudioDriver *driver, IOUserAudioDevice *object)
{
    dx_mutex_lock(&entry->lock);
    const bool is_free = !entry->object;
    if (is_free) {
        (void)dx_entry_retain(entry); // as long as it has a driver
        entry->driver = OSObjectRetain(driver);
        entry->object = OSObjectRetain(object);
    }
    dx_mutex_unlock(&entry->lock);
    if (!is_free)
        return false;

    dx_host_restore_device(entry->host, entry);

    dx_mutex_lock(&entry->lock);
    (void)dx_entry_read_shapes(entry); // said once; starting IO says it again
    dx_mutex_unlock(&entry->lock);
    const kern_return_t status = dx_entry_start_io(entry);
    if (status != kIOReturnSuccess)
        dx_host_log(entry->host, "%s: IO does not start again: %s", entry->device.uid, dx_return_string(status));
    return true;
}

void
dx_entry_detach(struct dx_entry *entry, bool tell)
{
    dx_entry_stop_io(entry, tell);

    dx_mutex_lock(&entry->lock);
    IOUserAudioDriver *const driver = entry->driver;
    IOUserAudioDevice *const object = entry->object;
    const bool was_prewarmed = entry->is_prewarmed;
    if (object) {
        deactivate_dsp(entry);
        dx_host_save_device(entry->host, entry);
    }
    entry->is_prewarmed = false;
    entry->is_changing = false; // the change was of this driver's
    entry->driver = NULL;
    entry->object = NULL;
    dx_mutex_unlock(&entry->lock);
    if (!object)
        return;

    if (was_prewarmed && tell)
        (void)IOUserAudioDriverStopDevice(driver, IOUserAudioObjectGetObjectID(object),
                                          IOUserAudioStartStopFlagsPrewarm); // it goes in any case
    OSObjectRelease(object);
    OSObjectRelease(driver);
    dx_entry_release(entry);
}

/* ---- what applications ask ---- */

struct prewarm {
    bool prewarmed;
    kern_return_t status;
};

static void
prewarm(struct dx_entry *entry, void *argument)
{
    struct prewarm *const request = argument;
    dx_mutex_lock(&entry->lock);
    IOUserAudioDriver *const driver = dx_entry_is_on_queue(entry) ? entry->driver : NULL;
    const IOUserAudioObjectID id = IOUserAudioObjectGetObjectID(entry->object);
    /* It runs, which is more; or is so already. */
    const bool is_so = entry->engine || entry->is_prewarmed == request->prewarmed;
    dx_mutex_unlock(&entry->lock);
    if (!driver) {
        request->status = kIOReturnNoDevice;
        return;
    }
    request->status = kIOReturnSuccess;
    if (is_so)
        return;

    request->status = request->prewarmed
                          ? IOUserAudioDriverStartDevice(driver, id, IOUserAudioStartStopFlagsPrewarm)
                          : IOUserAudioDriverStopDevice(driver, id, IOUserAudioStartStopFlagsPrewarm);
    if (request->status != kIOReturnSuccess)
        return;
    dx_mutex_lock(&entry->lock);
    entry->is_prewarmed = request->prewarmed;
    dx_mutex_unlock(&entry->lock);
}

static kern_return_t
set_prewarmed(dx_device *device, bool prewarmed)
{
    struct prewarm request = {.prewarmed = prewarmed, .status = kIOReturnSuccess};
    dx_entry_run(dx_entry_of(device), prewarm, &request);
    return request.status;
}

static kern_return_t
set_io_frames(dx_device *device, uint32_t io_frames)
{
    struct dx_entry *const entry = dx_entry_of(device);
    dx_mutex_lock(&entry->lock);
    kern_return_t status = kIOReturnSuccess;
    if (entry->object && io_frames > find_most_io_frames(entry)) {
        status = kIOReturnBadArgument;
    } else {
        entry->wanted_io_frames = io_frames;
        dx_entry_replan(entry);
    }
    dx_mutex_unlock(&entry->lock);
    return status;
}

static uint32_t
describe_streams(struct dx_entry *entry, bool is_input, dx_stream_info *infos)
{
    IOUserAudioStream *streams[DX_MAX_STREAMS];
    uint32_t count = dx_device_copy_streams(
        entry->object, is_input ? IOUserAudioStreamDirectionInput : IOUserAudioStreamDirectionOutput, streams,
        DX_MAX_STREAMS);
    count = count < DX_MAX_STREAMS ? count : DX_MAX_STREAMS;
    for (uint32_t i = 0; i < count; i++) {
        dx_stream_info *const info = &infos[i];
        info->object = IOUserAudioObjectGetObjectID(streams[i]);
        info->is_active = IOUserAudioStreamGetStreamIsActive(streams[i]);
        info->physical = IOUserAudioStreamGetCurrentStreamFormat(streams[i]);
        info->is_mixable = !(info->physical.mFormatFlags & FormatFlagIsNonMixable);
        info->latency_frames = find_latency(entry->object, streams[i]);
        info->client = info->physical;
        if (info->is_mixable) {
            const uint32_t channels = info->physical.mChannelsPerFrame;
            info->client.mFormatFlags = FormatFlagsNativeFloatPacked;
            info->client.mBitsPerChannel = 32;
            info->client.mBytesPerFrame = channels * (uint32_t)sizeof(float);
            info->client.mBytesPerPacket = info->client.mBytesPerFrame;
            info->client.mFramesPerPacket = 1;
        }
        OSObjectRelease(streams[i]);
    }
    return count;
}

/* What its driver says of it as a whole. */
static void
describe_object(IOUserAudioDevice *object, dx_device_info *info)
{
    OSString *const name = IOUserAudioObjectGetName(object);
    dx_copy_text(info->name, sizeof info->name, name ? OSStringGetCStringNoCopy(name) : "");
    OSObjectRelease(name);
    const OSString *const manufacturer = ((IOUserAudioClockDevice *)object)->manufacturer_uid;
    dx_copy_text(info->manufacturer, sizeof info->manufacturer,
                 manufacturer ? OSStringGetCStringNoCopy(manufacturer) : "");
    info->transport = IOUserAudioDeviceGetTransportType(object);
    info->is_hidden = IOUserAudioDeviceGetIsHidden(object);
    info->can_be_default_input = IOUserAudioDeviceCanBeDefaultInputDevice(object);
    info->can_be_default_output = IOUserAudioDeviceCanBeDefaultOutputDevice(object);
    info->rate_count =
        (uint32_t)IOUserAudioDeviceGetAvailableSampleRates(object, info->rates_hz, DX_MAX_RATES);
    info->sample_rate_hz = IOUserAudioDeviceGetSampleRate(object);
    info->ring_frames = IOUserAudioDeviceGetZeroTimestampPeriod(object);
    info->input_safety_frames = IOUserAudioDeviceGetInputSafetyOffset(object);
    info->output_safety_frames = IOUserAudioDeviceGetOutputSafetyOffset(object);
    info->late_tolerance_frames = dx_device_object_get_late_tolerance(object);
}

static kern_return_t
get_info(dx_device *device, dx_device_info *ret_info)
{
    struct dx_entry *const entry = dx_entry_of(device);
    memset(ret_info, 0, sizeof *ret_info);
    ret_info->size = sizeof *ret_info;

    dx_mutex_lock(&entry->lock);
    struct dx_timeline_page page;
    const struct dx_slots slots = dx_device_timeline(device);
    if (!dx_slots_read(&slots, &page))
        memset(&page, 0, sizeof page);
    ret_info->has_driver = entry->object;
    ret_info->is_running = entry->engine;
    ret_info->sample_rate_hz = entry->sample_rate_hz;
    ret_info->ring_frames = entry->ring_frames;
    ret_info->wanted_io_frames = entry->wanted_io_frames;
    ret_info->default_io_frames = entry->host ? entry->host->config.io_frames : 0;
    if (entry->object) {
        describe_object(entry->object, ret_info);
        ret_info->io_frames = entry->engine ? page.io_frames
                                             : choose_io_frames(entry, find_most_io_frames(entry));
        ret_info->input_streams = describe_streams(entry, true, ret_info->inputs);
        ret_info->output_streams = describe_streams(entry, false, ret_info->outputs);
    }
    ret_info->actual_rate_hz =
        page.state == DX_TIMELINE_RUNNING ? 1e9 / page.ns_per_frame : ret_info->sample_rate_hz;
    dx_mutex_unlock(&entry->lock);
    return kIOReturnSuccess;
}

static kern_return_t
get_channel_layout(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index,
                   IOUserAudioChannelLabel *labels, uint32_t capacity, uint32_t *ret_count)
{
    IOUserAudioDevice *const object = dx_entry_copy_object(device);
    if (!object)
        return kIOReturnNoDevice;
    IOUserAudioStream *streams[DX_MAX_STREAMS];
    uint32_t count = dx_device_copy_streams(object, direction, streams, DX_MAX_STREAMS);
    count = count < DX_MAX_STREAMS ? count : DX_MAX_STREAMS;
    if (index < count) {
        IOUserAudioChannelLabel all[DX_MAX_LABELS];
        const uint32_t end = dx_device_copy_channel_layout(object, direction, all, DX_MAX_LABELS);
        const uint32_t first = IOUserAudioStreamGetStartingChannel(streams[index]) - 1u; // it is 1 or more
        *ret_count = first < end ? IOUserAudioStreamGetCurrentStreamFormat(streams[index]).mChannelsPerFrame : 0;
        for (uint32_t i = 0; i < *ret_count && i < capacity; i++)
            labels[i] = i < end - first ? all[first + i] : IOUserAudioChannelLabelUnknown;
    }
    for (uint32_t i = 0; i < count; i++)
        OSObjectRelease(streams[i]);
    OSObjectRelease(object);
    return index < count ? kIOReturnSuccess : kIOReturnNotFound;
}

static dx_distribution
summarise(const struct dx_histogram *histogram)
{
    return (dx_distribution){
        .count = dx_histogram_count(histogram),
        .p50_ns = dx_histogram_quantile_ns(histogram, 0.5),
        .p99_ns = dx_histogram_quantile_ns(histogram, 0.99),
        .p999_ns = dx_histogram_quantile_ns(histogram, 0.999),
        .max_ns = dx_histogram_max_ns(histogram),
    };
}

static kern_return_t
get_statistics(dx_device *device, dx_device_statistics *ret_statistics)
{
    struct dx_entry *const entry = dx_entry_of(device);
    const struct dx_engine_counters *const counters = &entry->counters;
    *ret_statistics = (dx_device_statistics){
        .size = sizeof *ret_statistics,
        .degraded = atomic_load_explicit(&entry->degraded, memory_order_relaxed),
        .cycles = load(&counters->cycles),
        .late_cycles = load(&counters->late_cycles),
        .overloads = load(&counters->overloads),
        .skipped_input_frames = load(&counters->skipped_input_frames),
        .skipped_output_frames = load(&counters->skipped_output_frames),
        .input_frames = load(&counters->input_frames),
        .output_frames = load(&counters->output_frames),
        .handler_errors = load(&counters->handler_errors),
        .stamps = load(&counters->stamps),
        .bad_stamps = load(&counters->bad_stamps),
        .reanchors = load(&counters->reanchors),
        .starts = load(&counters->starts),
        .limited_samples = load(&counters->limited_samples),
        .lateness = summarise(&counters->lateness),
        .handler = summarise(&counters->handler),
        .cycle = summarise(&counters->cycle),
    };
    for (int i = 0; i < DX_CAUSE_COUNT; i++)
        ret_statistics->causes[i] = load(&counters->causes[i]);
    return kIOReturnSuccess;
}

static const struct dx_device_ops entry_ops = {
    .free = free_entry,
    .copy_object = dx_entry_copy_object,
    .get_info = get_info,
    .get_channel_layout = get_channel_layout,
    .get_statistics = get_statistics,
    .set_io_frames = set_io_frames,
    .set_sample_rate = dx_entry_set_sample_rate,
    .set_stream_format = dx_entry_set_stream_format,
    .set_prewarmed = set_prewarmed,
    .add_dsp = add_dsp,
    .remove_dsp = remove_dsp,
    .get_control_at = dx_entry_get_control_at,
    .get_control = dx_entry_get_control,
    .get_control_items = dx_entry_get_control_items,
    .set_control = dx_entry_set_control,
    .get_custom_property_at = dx_entry_get_custom_property_at,
    .copy_custom_property = dx_entry_copy_custom_property,
    .set_custom_property = dx_entry_set_custom_property,
    .join = dx_entry_join_client,
    .start = dx_entry_start_client,
    .stop = dx_entry_stop_client,
    .leave = dx_entry_leave_client,
};
