// SPDX-License-Identifier: MIT
// A device of the machine, as programs hold it: what is known of it, and what is asked of its driver.

#include "host/directory_state.h"

#include "core/pages.h"
#include "host/describe.h"
#include "host/protocol.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- its page ---- */

static size_t
page_bytes(void)
{
    const size_t unit = dx_page_bytes();
    return (sizeof(struct dx_device_page) + unit - 1u) / unit * unit;
}

/* Memory in which nothing was published: to be read, and costing nothing. */
static const struct dx_device_page *
map_empty_page(const struct dx_device_page *at)
{
    void *const address = mmap((void *)(uintptr_t)at, page_bytes(), PROT_READ,
                               MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);
    return address == MAP_FAILED ? NULL : address;
}

void
dx_remote_device_empty_page(struct dx_remote_device *device)
{
    if (device->page_file && map_empty_page(device->device.page))
        device->page_file = 0;
}

/* ---- coming and going ---- */

static void
free_device(dx_device *device)
{
    struct dx_remote_device *const remote = dx_remote_of(device);
    if (device->page)
        (void)munmap((void *)(uintptr_t)device->page, page_bytes());
    OSObjectRelease(remote->description);
    dx_device_finish(device);
    free(remote);
}

static const struct dx_device_ops remote_ops;

struct dx_remote_device *
dx_remote_device_create(dx_directory *directory, const char *uid)
{
    struct dx_remote_device *const remote = calloc(1, sizeof *remote);
    if (!remote)
        return NULL;
    remote->directory = directory;
    const bool is_set_up = dx_device_init(&remote->device, &remote_ops, uid, dx_clock_host());
    remote->device.mark = dx_connection_mark(directory->connection);
    remote->device.page = map_empty_page(NULL);
    remote->description = OSDictionaryCreate(0);
    if (!is_set_up || !remote->device.page || !remote->description) {
        free_device(&remote->device);
        return NULL;
    }
    return remote;
}

/* ---- shapes ---- */

static void
change_generation(struct dx_stream_shape *shape)
{
    /* release: pairs with the acquire in dx_client_is_cut_off(). */
    atomic_fetch_add_explicit(&shape->generation, 1, memory_order_release);
}

/* What clients of a stream work with; a stream whose format makes no sense has no channels. */
static void
read_shape(const dx_stream_info *info, struct dx_stream_shape *shape)
{
    enum dx_sample_format format = DX_SAMPLE_F32_LE;
    const uint32_t bytes = info->client.mBytesPerFrame;
    uint32_t channels = info->client.mChannelsPerFrame;
    if (dx_sample_format_from_description(&info->client, &format, NULL) < 0 ||
        (info->is_mixable && bytes != (uint64_t)channels * sizeof(float)))
        channels = 0;
    atomic_store_explicit(&shape->latency_frames, info->latency_frames, memory_order_relaxed);
    if (shape->channels == channels && shape->is_mixable == info->is_mixable &&
        shape->client_bytes_per_frame == bytes && shape->format == format)
        return;
    shape->channels = channels;
    shape->is_mixable = info->is_mixable;
    shape->client_bytes_per_frame = bytes;
    shape->format = format;
    change_generation(shape);
}

static void
read_shapes(const dx_stream_info *infos, uint32_t count, struct dx_stream_shape *shapes, uint32_t *ret_count)
{
    for (uint32_t i = 0; i < count; i++)
        read_shape(&infos[i], &shapes[i]);
    /* Streams that went away leave their clients behind. */
    for (uint32_t i = count; i < *ret_count; i++) {
        shapes[i].channels = 0;
        change_generation(&shapes[i]);
    }
    *ret_count = count;
}

bool
dx_remote_device_describe(struct dx_remote_device *device, OSDictionary *description)
{
    dx_device_info *const info = calloc(1, sizeof *info);
    const bool is_sane = info && dx_description_get_info(description, info) == kIOReturnSuccess;
    if (is_sane) {
        read_shapes(info->outputs, info->output_streams, device->device.output_shapes, &device->output_count);
        read_shapes(info->inputs, info->input_streams, device->device.input_shapes, &device->input_count);
        OSObjectRetain(description);
        OSObjectRelease(device->description);
        device->description = description;
    }
    free(info);
    return is_sane;
}

void
dx_remote_device_cut_off(struct dx_remote_device *device)
{
    for (uint32_t i = 0; i < device->output_count; i++)
        change_generation(&device->device.output_shapes[i]);
    for (uint32_t i = 0; i < device->input_count; i++)
        change_generation(&device->device.input_shapes[i]);
}

/* ---- what is known ---- */

kern_return_t
dx_remote_device_copy_description(struct dx_remote_device *device, OSDictionary **ret_description)
{
    struct dx_connection *const connection = device->directory->connection;
    if (dx_connection_is_forked(connection))
        return kIOReturnNotAttached;
    dx_connection_lock(connection);
    *ret_description = OSObjectRetain(device->description);
    dx_connection_unlock(connection);
    return kIOReturnSuccess;
}

static kern_return_t
get_info(dx_device *device, dx_device_info *ret_info)
{
    OSDictionary *description;
    kern_return_t status = dx_remote_device_copy_description(dx_remote_of(device), &description);
    if (status != kIOReturnSuccess)
        return status;
    status = dx_description_get_info(description, ret_info);
    OSObjectRelease(description);
    struct dx_timeline_page page;
    const struct dx_slots slots = dx_device_timeline(device); // empty, unless this program has a client
    if (dx_slots_read(&slots, &page) && dx_timeline_page_is_sane(&page) && page.state == DX_TIMELINE_RUNNING)
        ret_info->actual_rate_hz = 1e9 / page.ns_per_frame;
    return status;
}

static kern_return_t
get_channel_layout(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index,
                   IOUserAudioChannelLabel *labels, uint32_t capacity, uint32_t *ret_count)
{
    OSDictionary *description;
    kern_return_t status = dx_remote_device_copy_description(dx_remote_of(device), &description);
    if (status != kIOReturnSuccess)
        return status;
    status = dx_description_get_channel_layout(description, direction, index, labels, capacity, ret_count);
    OSObjectRelease(description);
    return status;
}

static kern_return_t
get_control_at(dx_device *device, uint32_t index, dx_control_info *ret_info)
{
    OSDictionary *description;
    kern_return_t status = dx_remote_device_copy_description(dx_remote_of(device), &description);
    if (status != kIOReturnSuccess)
        return status;
    status = dx_description_get_control_at(description, index, ret_info);
    OSObjectRelease(description);
    return status;
}

static kern_return_t
get_control(dx_device *device, const char *key, dx_control_info *ret_info)
{
    OSDictionary *description;
    kern_return_t status = dx_remote_device_copy_description(dx_remote_of(device), &description);
    if (status != kIOReturnSuccess)
        return status;
    status = dx_description_get_control(description, key, ret_info);
    OSObjectRelease(description);
    return status;
}

static kern_return_t
get_control_items(dx_device *device, const char *key, dx_control_item *items, uint32_t capacity,
                  uint32_t *ret_count)
{
    OSDictionary *description;
    kern_return_t status = dx_remote_device_copy_description(dx_remote_of(device), &description);
    if (status != kIOReturnSuccess)
        return status;
    status = dx_description_get_control_items(description, key, items, capacity, ret_count);
    OSObjectRelease(description);
    return status;
}

static kern_return_t
get_custom_property_at(dx_device *device, uint32_t index, dx_custom_property_info *ret_info)
{
    OSDictionary *description;
    kern_return_t status = dx_remote_device_copy_description(dx_remote_of(device), &description);
    if (status != kIOReturnSuccess)
        return status;
    status = dx_description_get_custom_property_at(description, index, ret_info);
    OSObjectRelease(description);
    return status;
}

/* ---- what is asked ---- */

/* A request about a device: its UID and, for DX_OP_SET, what; +1, NULL without memory. */
static OSDictionary *
create_body(const dx_device *device, const char *what)
{
    OSDictionary *body = OSDictionaryCreate(8);
    if (body && (!OSDictionarySetStringValue(body, DX_KEY_UID, device->uid) ||
                 (what && !OSDictionarySetStringValue(body, "what", what))))
        OSSafeReleaseNULL(body);
    return body;
}

/* Asks.  @param body  taken; `is_complete` says whether everything found room in it. */
static kern_return_t
ask(dx_device *device, const char *operation, OSDictionary *body, bool is_complete, struct dx_message *ret_answer)
{
    const struct dx_request request = {.operation = operation, .body = is_complete ? body : NULL};
    const kern_return_t status =
        dx_connection_request(dx_remote_of(device)->directory->connection, &request, ret_answer, NULL);
    OSObjectRelease(body);
    return status;
}

static kern_return_t
get_statistics(dx_device *device, dx_device_statistics *ret_statistics)
{
    OSDictionary *const body = create_body(device, NULL);
    struct dx_message answer;
    kern_return_t status = ask(device, DX_OP_STATISTICS, body, body, &answer);
    if (status == kIOReturnSuccess)
        status = dx_description_get_statistics(answer.body, ret_statistics);
    dx_message_finish(&answer);
    return status;
}

/* The answer to `describe`.  With the lock. */
static void
described(void *context, kern_return_t status, struct dx_message *answer)
{
    OSDictionary *const description = dx_wire_get_dictionary(answer->body, DX_KEY_DESCRIPTION);
    if (status == kIOReturnSuccess && description)
        (void)dx_remote_device_describe(context, description); // what cannot be true changes nothing
}

/* Asks for a change; who made it sees it from then on, though the listener is told later.  Arguments as for ask().
 * */
static kern_return_t
set(dx_device *device, OSDictionary *body, bool is_complete)
{
    const kern_return_t status = ask(device, DX_OP_SET, body, is_complete, NULL);
    if (status != kIOReturnSuccess)
        return status;
    OSDictionary *const look = create_body(device, NULL);
    const struct dx_request request = {
        .operation = DX_OP_DESCRIBE, .body = look, .answered = described, .context = dx_remote_of(device)};
    /* Without an answer it is seen when the supervisor tells of it. */
    (void)dx_connection_request(dx_remote_of(device)->directory->connection, &request, NULL, NULL);
    OSObjectRelease(look);
    return kIOReturnSuccess;
}

static kern_return_t
set_io_frames(dx_device *device, uint32_t io_frames)
{
    OSDictionary *const body = create_body(device, "io-frames");
    return set(device, body, body && OSDictionarySetUInt64Value(body, "frames", io_frames));
}

static kern_return_t
set_sample_rate(dx_device *device, double rate_hz)
{
    OSDictionary *const body = create_body(device, "rate");
    return set(device, body, body && dx_wire_set_double(body, "rate-f64", rate_hz));
}

static kern_return_t
set_stream_format(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index,
                  const IOUserAudioStreamBasicDescription *format)
{
    OSDictionary *const body = create_body(device, "format");
    const bool is_complete = body && OSDictionarySetUInt64Value(body, "direction", direction) &&
                             OSDictionarySetUInt64Value(body, "index", index) &&
                             dx_wire_take(body, "format", dx_describe_format(format));
    return set(device, body, is_complete);
}

/* What a driver does before its first client starts is between it and the supervisor. */
static kern_return_t
set_prewarmed(dx_device *device, bool prewarmed)
{
    (void)device, (void)prewarmed;
    return kIOReturnUnsupported;
}

static bool
add_values(OSDictionary *body, const IOUserAudioSelectorValue *values, size_t count)
{
    OSArray *const array = OSArrayCreate(count);
    bool done = array;
    for (size_t i = 0; done && i < count; i++) {
        OSNumber *const number = OSNumberCreate(values[i], 32);
        done = number && OSArraySetObject(array, number);
        OSObjectRelease(number);
    }
    return dx_wire_take(body, "values", array) && done;
}

static bool
add_setting(OSDictionary *body, const struct dx_control_setting *setting)
{
    switch (setting->what) {
    case DX_SET_BOOLEAN:
        return dx_wire_set_bool(body, "boolean", setting->is_on);
    case DX_SET_NUMBER:
        return OSDictionarySetUInt64Value(body, "number", setting->number);
    case DX_SET_DECIBELS:
        return dx_wire_set_double(body, "decibels-f64", (double)setting->value);
    case DX_SET_SCALAR:
        return dx_wire_set_double(body, "scalar-f64", (double)setting->value);
    case DX_SET_VALUES:
        return add_values(body, setting->values, setting->value_count);
    case DX_SET_ITEM:
        return OSDictionarySetStringValue(body, "item", setting->item);
    case DX_SET_POSITION:
        return dx_wire_set_double(body, "position-f64", (double)setting->value);
    }
    return false;
}

static kern_return_t
set_control(dx_device *device, const char *key, const struct dx_control_setting *setting)
{
    OSDictionary *const body = create_body(device, "control");
    const bool is_complete = body && OSDictionarySetStringValue(body, "key", key) && add_setting(body, setting);
    return set(device, body, is_complete);
}

static bool
add_property(OSDictionary *body, IOUserAudioObjectPropertyAddress address, OSObjectPtr qualifier)
{
    return OSDictionarySetUInt64Value(body, "selector", address.mSelector) &&
           OSDictionarySetUInt64Value(body, "scope", address.mScope) &&
           OSDictionarySetUInt64Value(body, "element", address.mElement) &&
           (!qualifier || OSDictionarySetObject(body, "qualifier", qualifier));
}

static kern_return_t
copy_custom_property(dx_device *device, IOUserAudioObjectPropertyAddress address, OSObjectPtr qualifier,
                     OSObjectPtr *ret_value)
{
    OSDictionary *const body = create_body(device, NULL);
    struct dx_message answer;
    kern_return_t status =
        ask(device, DX_OP_GET_PROPERTY, body, body && add_property(body, address, qualifier), &answer);
    OSObjectPtr const value = status == kIOReturnSuccess ? OSDictionaryGetObject(answer.body, "value") : NULL;
    if (value)
        *ret_value = OSObjectRetain(value);
    else if (status == kIOReturnSuccess)
        status = kIOReturnInternalError;
    dx_message_finish(&answer);
    return status;
}

static kern_return_t
set_custom_property(dx_device *device, IOUserAudioObjectPropertyAddress address, OSObjectPtr qualifier,
                    OSObjectPtr value)
{
    OSDictionary *const body = create_body(device, "property");
    const bool is_complete =
        body && add_property(body, address, qualifier) && (!value || OSDictionarySetObject(body, "value", value));
    return set(device, body, is_complete);
}

static const struct dx_device_ops remote_ops = {
    .free = free_device,
    .get_info = get_info,
    .get_channel_layout = get_channel_layout,
    .get_statistics = get_statistics,
    .set_io_frames = set_io_frames,
    .set_sample_rate = set_sample_rate,
    .set_stream_format = set_stream_format,
    .set_prewarmed = set_prewarmed,
    .get_control_at = get_control_at,
    .get_control = get_control,
    .get_control_items = get_control_items,
    .set_control = set_control,
    .get_custom_property_at = get_custom_property_at,
    .copy_custom_property = copy_custom_property,
    .set_custom_property = set_custom_property,
    .join = dx_remote_join,
    .start = dx_remote_start,
    .stop = dx_remote_stop,
    .leave = dx_remote_leave,
};
