// SPDX-License-Identifier: MIT
// Clients of this process: a lane of their own, and a member of the entry.

#include "audio/client.h"
#include "audio/device.h"
#include "audio/entry.h"
#include "audio/host_state.h"

#include <stdlib.h>

static struct dx_client_defaults
find_defaults(const struct dx_entry *entry)
{
    return (struct dx_client_defaults){
        .wanted_io_frames = entry->wanted_io_frames,
        .largest_io_frames = entry->host->config.io_frames,
        .late_tolerance_frames = entry->object ? dx_device_object_get_late_tolerance(entry->object) : 0,
        .io_priority = entry->host->config.io_priority,
    };
}

static void
finish_client(dx_client *client)
{
    dx_lane_finish(&client->lane);
    free(client->synchronous_input);
    client->synchronous_input = NULL;
}

/* The engine's chunks follow the output stream, or the input stream of a client that only records. */
static kern_return_t
make_synchronous_input(const struct dx_entry *entry, dx_client *client)
{
    const dx_client_config *const config = &client->config;
    const struct dx_stream_shape *const input = &entry->device.input_shapes[config->input_stream];
    const uint32_t channels = config->output_stream == DX_NO_STREAM
                                  ? input->channels
                                  : entry->device.output_shapes[config->output_stream].channels;
    const size_t bytes = (size_t)dx_engine_chunk_frames(channels) * input->client_bytes_per_frame;
    client->synchronous_input = calloc(1, bytes);
    if (!client->synchronous_input)
        return kIOReturnNoMemory;
    (void)dx_pages_touch(client->synchronous_input, bytes, true); // the IO thread writes it: that it is there counts
    return kIOReturnSuccess;
}

/* The memory that a client needs before it joins. */
static kern_return_t
make_memory(const struct dx_entry *entry, dx_client *client, const struct dx_client_defaults *defaults)
{
    const dx_client_config *const config = &client->config;
    const bool synchronous = config->flags & DX_CLIENT_SYNCHRONOUS;
    if (config->output_stream != DX_NO_STREAM && config->output_stream >= entry->output_count)
        return kIOReturnBadArgument;
    if (config->input_stream != DX_NO_STREAM && config->input_stream >= entry->input_count)
        return kIOReturnBadArgument;
    if (synchronous)
        return config->input_stream == DX_NO_STREAM ? kIOReturnSuccess : make_synchronous_input(entry, client);
    if (config->output_stream == DX_NO_STREAM)
        return kIOReturnSuccess;
    return dx_client_create_lane(client, &entry->device.output_shapes[config->output_stream], defaults);
}

static kern_return_t
join(struct dx_entry *entry, dx_client *client)
{
    if (!entry->host) // the host is gone
        return kIOReturnNoDevice;
    const struct dx_client_defaults defaults = find_defaults(entry);
    dx_client_settle_config(client, &defaults);
    kern_return_t status = make_memory(entry, client, &defaults);
    if (status != kIOReturnSuccess)
        return status;

    const dx_client_config *const config = &client->config;
    const bool synchronous = config->flags & DX_CLIENT_SYNCHRONOUS;
    const struct dx_member_config member_config = {
        .name = client->name,
        .output_stream = config->output_stream,
        .input_stream = config->input_stream,
        .io_frames = dx_client_io_frames(client),
        .lane = &client->lane,
        .callback = synchronous ? config->callback : NULL,
        .context = config->context,
        .input_buffer = client->synchronous_input,
        .gain = 1.0f,
    };
    struct dx_member *member = NULL;
    status = dx_entry_add_member(entry, &member_config, &member);
    if (status != kIOReturnSuccess)
        return status;

    const dx_device *const device = &entry->device;
    client->membership = member;
    client->has_output = config->output_stream != DX_NO_STREAM;
    client->has_input = config->input_stream != DX_NO_STREAM;
    if (client->has_output)
        client->output_generation =
            atomic_load_explicit(&device->output_shapes[config->output_stream].generation, memory_order_relaxed);
    if (client->has_input) {
        const struct dx_lane *const ring = dx_member_ring(member);
        atomic_store_explicit(&client->ring, ring, memory_order_release); // read by dx_client_ring()
        client->input_bytes_per_frame = ring->bytes_per_frame;
        client->input_generation =
            atomic_load_explicit(&device->input_shapes[config->input_stream].generation, memory_order_relaxed);
    }
    if (synchronous)
        client->synchronous_frames = dx_member_frames(member);
    dx_client_set_counters(client, &device->page->members[dx_member_index(member)]);
    return kIOReturnSuccess;
}

kern_return_t
dx_entry_join_client(dx_device *device, dx_client *client)
{
    struct dx_entry *const entry = dx_entry_of(device);
    dx_mutex_lock(&entry->lock);
    const kern_return_t status = join(entry, client);
    dx_mutex_unlock(&entry->lock);
    if (status != kIOReturnSuccess)
        finish_client(client);
    return status;
}

kern_return_t
dx_entry_start_client(dx_device *device, dx_client *client)
{
    (void)device;
    return dx_member_start(client->membership);
}

void
dx_entry_stop_client(dx_device *device, dx_client *client)
{
    (void)device;
    dx_member_stop(client->membership);
}

void
dx_entry_leave_client(dx_device *device, dx_client *client)
{
    (void)device;
    dx_member_leave(client->membership);
    finish_client(client);
}
