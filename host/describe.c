// SPDX-License-Identifier: MIT
// Devices of this process as dictionaries.

#include "audio/device.h"
#include "host/fields.h"
#include "host/protocol.h"
#include "host/wire.h"

#include <dextral/IOUserAudioDevice.h>
#include <dextral/IOUserAudioStream.h>

#include <stdlib.h>
#include <string.h>

/* What still fits into the description. */
struct room {
    size_t bytes;
    uint32_t left_out;
};

/* Takes the room for an object, if it is there.  @return false without memory. */
static bool
take_room(struct room *room, OSObjectPtr object, bool *ret_fits)
{
    OSData *const bytes = OSSerializationCreateFromObject(object);
    const bool done = object && bytes;
    *ret_fits = done && !room->left_out && OSDataGetLength(bytes) <= room->bytes;
    if (*ret_fits)
        room->bytes -= OSDataGetLength(bytes);
    else if (done)
        room->left_out++; // and so is whatever follows: a list has no holes
    OSObjectRelease(bytes);
    return done;
}

/* Appends what is given up with it, if there is room.  @return false without memory. */
static bool
append_within(OSArray *array, OSObjectPtr object, struct room *room)
{
    bool fits;
    const bool done = take_room(room, object, &fits) && (!fits || OSArraySetObject(array, object));
    OSObjectRelease(object);
    return done;
}

/* Numbers as an array, +1; NULL without memory. */
static OSArray *
describe_numbers(const uint32_t *numbers, uint32_t count)
{
    OSArray *array = OSArrayCreate(count);
    bool done = array;
    for (uint32_t i = 0; done && i < count; i++) {
        OSNumber *const number = OSNumberCreate(numbers[i], 32);
        done = number && OSArraySetObject(array, number);
        OSObjectRelease(number);
    }
    if (!done)
        OSSafeReleaseNULL(array);
    return array;
}

static bool
add_rates(OSDictionary *to, const double *rates_hz, uint32_t count)
{
    OSData *const data = OSDataCreateWithCapacity(count * sizeof *rates_hz);
    bool done = data;
    for (uint32_t i = 0; done && i < count; i++) {
        uint64_t bits;
        uint8_t bytes[sizeof bits];
        memcpy(&bits, &rates_hz[i], sizeof bits);
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t)(bits >> (8u * k));
        done = OSDataAppendBytes(data, bytes, sizeof bytes);
    }
    return dx_wire_take(to, "rates", data) && done;
}

static bool
add_formats(OSDictionary *to, IOUserAudioStream *stream, struct room *room)
{
    const size_t most = IOUserAudioStreamGetNumberAvailableStreamFormats(stream);
    IOUserAudioStreamBasicDescription *const formats = calloc(most ? most : 1, sizeof *formats);
    OSArray *const array = OSArrayCreate(most);
    bool done = formats && array;
    const size_t count = done ? IOUserAudioStreamGetAvailableStreamFormats(stream, formats, most) : 0;
    for (size_t i = 0; done && i < count; i++)
        done = append_within(array, dx_describe_format(&formats[i]), room);
    free(formats);
    return dx_wire_take(to, "formats", array) && done;
}

/* Where the driver says what the channels are for. */
static bool
add_layout(OSDictionary *to, dx_device *device, IOUserAudioStreamDirection direction, uint32_t index,
           uint32_t channels, struct room *room)
{
    IOUserAudioChannelLabel labels[DX_MAX_CHANNELS];
    uint32_t count = 0;
    (void)dx_device_get_channel_layout(device, direction, index, labels, DX_MAX_CHANNELS, &count);
    if (count == 0 || count != channels) // nothing is said, or the stream is another one now: that is told next
        return true;
    OSArray *const layout = describe_numbers(labels, count);
    bool fits;
    const bool done =
        take_room(room, layout, &fits) && (!fits || OSDictionarySetObject(to, DX_KEY_LAYOUT, layout));
    OSObjectRelease(layout);
    return done;
}

/* +1; `stream` is NULL where it has gone meanwhile. */
static OSDictionary *
describe_stream(const dx_stream_info *info, IOUserAudioStream *stream, struct room *room)
{
    OSDictionary *to = dx_fields_describe(&dx_stream_fields, info);
    OSString *const name = stream ? IOUserAudioObjectGetName(stream) : NULL;
    const bool done = to && (!name || OSDictionarySetObject(to, DX_KEY_NAME, name)) &&
                      dx_wire_take(to, "physical", dx_describe_format(&info->physical)) &&
                      dx_wire_take(to, "client", dx_describe_format(&info->client)) &&
                      (!stream || add_formats(to, stream, room));
    OSObjectRelease(name);
    if (!done)
        OSSafeReleaseNULL(to);
    return to;
}

/* The stream of an id, +1; NULL where the device has none. */
static IOUserAudioStream *
copy_stream(IOUserAudioDevice *object, IOUserAudioStreamDirection direction, IOUserAudioObjectID id)
{
    IOUserAudioStream *streams[DX_MAX_STREAMS];
    IOUserAudioStream *found = NULL;
    uint32_t count = object ? dx_device_copy_streams(object, direction, streams, DX_MAX_STREAMS) : 0;
    count = count < DX_MAX_STREAMS ? count : DX_MAX_STREAMS;
    for (uint32_t i = 0; i < count; i++) {
        if (!found && IOUserAudioObjectGetObjectID(streams[i]) == id)
            found = streams[i];
        else
            OSObjectRelease(streams[i]);
    }
    return found;
}

static bool
add_streams(OSDictionary *to, dx_device *device, IOUserAudioStreamDirection direction, const dx_device_info *info,
            IOUserAudioDevice *object, struct room *room)
{
    const bool is_input = direction == IOUserAudioStreamDirectionInput;
    const dx_stream_info *const infos = is_input ? info->inputs : info->outputs;
    const uint32_t count = is_input ? info->input_streams : info->output_streams;
    OSArray *const array = OSArrayCreate(count);
    bool done = array;
    for (uint32_t i = 0; done && i < count; i++) {
        IOUserAudioStream *const stream = copy_stream(object, direction, infos[i].object);
        OSDictionary *const description = describe_stream(&infos[i], stream, room);
        done = description &&
               add_layout(description, device, direction, i, infos[i].client.mChannelsPerFrame, room) &&
               OSArraySetObject(array, description);
        OSObjectRelease(description);
        OSObjectRelease(stream);
    }
    return dx_wire_take(to, is_input ? DX_KEY_INPUTS : DX_KEY_OUTPUTS, array) && done;
}

static bool
add_items(OSDictionary *to, dx_device *device, const dx_control_info *info)
{
    dx_control_item *const items = calloc(DX_MAX_SELECTOR_ITEMS, sizeof *items);
    OSArray *const array = OSArrayCreate(info->item_count);
    uint32_t count = 0;
    bool done = items && array;
    if (done &&
        dx_device_get_control_items(device, info->key, items, DX_MAX_SELECTOR_ITEMS, &count) != kIOReturnSuccess)
        count = 0; // it has gone meanwhile: its end is told of next
    for (uint32_t i = 0; done && i < count; i++) {
        OSDictionary *const item = dx_fields_describe(&dx_item_fields, &items[i]);
        done = item && OSArraySetObject(array, item);
        OSObjectRelease(item);
    }
    free(items);
    return dx_wire_take(to, "items", array) && done;
}

/* +1, NULL without memory. */
static OSDictionary *
describe_control(dx_device *device, const dx_control_info *info)
{
    OSDictionary *to = dx_fields_describe(&dx_control_fields, info);
    const bool done = to && OSDictionarySetStringValue(to, DX_KEY_KIND, dx_control_kind_fields[info->kind].name) &&
                      dx_fields_write(to, &dx_control_kind_fields[info->kind].fields, info) &&
                      (info->kind != DX_CONTROL_SELECTOR ||
                       (add_items(to, device, info) &&
                        dx_wire_take(to, "selected", describe_numbers(info->selected, info->selected_count))));
    if (!done)
        OSSafeReleaseNULL(to);
    return to;
}

static bool
add_controls(OSDictionary *to, dx_device *device, struct room *room)
{
    dx_control_info info = {.size = sizeof info};
    OSArray *const array = OSArrayCreate(0);
    bool done = array;
    for (uint32_t i = 0; done && dx_device_get_control_at(device, i, &info) == kIOReturnSuccess; i++)
        done = append_within(array, describe_control(device, &info), room);
    return dx_wire_take(to, DX_KEY_CONTROLS, array) && done;
}

static bool
add_properties(OSDictionary *to, dx_device *device, struct room *room)
{
    dx_custom_property_info info = {.size = sizeof info};
    OSArray *const array = OSArrayCreate(0);
    bool done = array;
    for (uint32_t i = 0; done && dx_device_get_custom_property_at(device, i, &info) == kIOReturnSuccess; i++)
        done = append_within(array, dx_fields_describe(&dx_property_fields, &info), room);
    return dx_wire_take(to, DX_KEY_PROPERTIES, array) && done;
}

OSDictionary *
dx_describe_device(dx_device *device)
{
    dx_device_info *const info = calloc(1, sizeof *info);
    OSDictionary *to = info ? OSDictionaryCreate(0) : NULL;
    IOUserAudioDevice *const object = dx_device_copy_object(device);
    struct room room = {.bytes = DX_DESCRIPTION_MAX_BYTES};
    if (to) {
        info->size = sizeof *info;
        (void)dx_device_get_info(device, info); // fails for bad arguments alone
    }
    const bool done = to && OSDictionarySetStringValue(to, DX_KEY_UID, dx_device_uid(device)) &&
                      dx_fields_write(to, &dx_device_fields, info) &&
                      add_rates(to, info->rates_hz, info->rate_count) &&
                      add_streams(to, device, IOUserAudioStreamDirectionInput, info, object, &room) &&
                      add_streams(to, device, IOUserAudioStreamDirectionOutput, info, object, &room) &&
                      add_controls(to, device, &room) && add_properties(to, device, &room) &&
                      OSDictionarySetUInt64Value(to, DX_KEY_LEFT_OUT, room.left_out);
    if (!done)
        OSSafeReleaseNULL(to);
    OSObjectRelease(object);
    free(info);
    return to;
}

static bool
add_distribution(OSDictionary *to, const char *key, const dx_distribution *distribution)
{
    return dx_wire_take(to, key, dx_fields_describe(&dx_distribution_fields, distribution));
}

static bool
add_causes(OSDictionary *to, const uint64_t *counts)
{
    OSDictionary *const causes = OSDictionaryCreate(DX_CAUSE_COUNT);
    bool done = causes;
    for (int i = 0; done && i < DX_CAUSE_COUNT; i++)
        done = OSDictionarySetUInt64Value(causes, dx_cause_name((dx_cause)i), counts[i]);
    return dx_wire_take(to, "causes", causes) && done;
}

OSDictionary *
dx_describe_statistics(dx_device *device)
{
    dx_device_statistics statistics = {.size = sizeof statistics};
    (void)dx_device_get_statistics(device, &statistics); // fails for bad arguments alone
    OSDictionary *to = dx_fields_describe(&dx_statistics_fields, &statistics);
    const bool done =
        to && add_causes(to, statistics.causes) && add_distribution(to, "lateness", &statistics.lateness) &&
        add_distribution(to, "handler", &statistics.handler) && add_distribution(to, "cycle", &statistics.cycle);
    if (!done)
        OSSafeReleaseNULL(to);
    return to;
}
