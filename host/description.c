// SPDX-License-Identifier: MIT
// Devices of other processes, as their descriptions have them.

#include "host/fields.h"
#include "host/wire.h"

#include <math.h>
#include <string.h>

OSDictionary *
dx_describe_format(const IOUserAudioStreamBasicDescription *format)
{
    return dx_fields_describe(&dx_format_fields, format);
}

bool
dx_description_get_format(const OSDictionary *format, IOUserAudioStreamBasicDescription *ret_format)
{
    IOUserAudioStreamBasicDescription read = {0};
    if (!format || !dx_fields_read(format, &dx_format_fields, &read) || read.mSampleRate < 0.0)
        return false;
    *ret_format = read;
    return true;
}

/* What is no dictionary there is a stream of which nothing is known. */
static bool
read_stream(const OSDictionary *from, dx_stream_info *info)
{
    const OSDictionary *const physical = dx_wire_get_dictionary(from, "physical");
    const OSDictionary *const client = dx_wire_get_dictionary(from, "client");
    return dx_fields_read(from, &dx_stream_fields, info) &&
           (!physical || dx_description_get_format(physical, &info->physical)) &&
           (!client || dx_description_get_format(client, &info->client));
}

static bool
read_streams(const OSDictionary *from, const char *key, dx_stream_info *infos, uint32_t *ret_count)
{
    OSArray *const array = dx_wire_get_array(from, key);
    const size_t count = array ? OSArrayGetCount(array) : 0;
    if (count > DX_MAX_STREAMS)
        return false;
    for (size_t i = 0; i < count; i++) {
        const OSDictionary *const stream = OSDynamicCast(OSDictionary, OSArrayGetObject(array, i));
        if (stream && !read_stream(stream, &infos[i]))
            return false;
    }
    *ret_count = (uint32_t)count;
    return true;
}

static bool
read_rates(const OSDictionary *from, dx_device_info *info)
{
    const OSData *const data = dx_wire_get_data(from, "rates");
    const size_t count = data ? OSDataGetLength(data) / sizeof(double) : 0;
    const uint8_t *bytes = count ? OSDataGetBytesNoCopy(data) : NULL;
    for (size_t i = 0; i < count && i < DX_MAX_RATES; i++, bytes += sizeof(double)) {
        uint64_t bits = 0;
        for (size_t k = 0; k < sizeof bits; k++)
            bits |= (uint64_t)bytes[k] << (8u * k);
        memcpy(&info->rates_hz[i], &bits, sizeof bits);
        if (!isfinite(info->rates_hz[i]) || info->rates_hz[i] <= 0.0)
            return false;
        info->rate_count = (uint32_t)i + 1u;
    }
    return true;
}

kern_return_t
dx_description_get_info(const OSDictionary *description, dx_device_info *ret_info)
{
    memset(ret_info, 0, sizeof *ret_info);
    ret_info->size = sizeof *ret_info;
    const bool is_sane = dx_fields_read(description, &dx_device_fields, ret_info) &&
                         ret_info->sample_rate_hz >= 0.0 && read_rates(description, ret_info) &&
                         read_streams(description, DX_KEY_INPUTS, ret_info->inputs, &ret_info->input_streams) &&
                         read_streams(description, DX_KEY_OUTPUTS, ret_info->outputs, &ret_info->output_streams);
    const char *const state = dx_wire_get_string(description, DX_KEY_STATE);
    ret_info->has_driver = state && strcmp(state, DX_STATE_RUNNING) == 0;
    ret_info->actual_rate_hz = ret_info->sample_rate_hz;
    return is_sane ? kIOReturnSuccess : kIOReturnInvalid;
}

/* A number of a list. */
static bool
read_number(const OSArray *array, size_t index, uint32_t *ret_number)
{
    const OSNumber *const number = OSDynamicCast(OSNumber, OSArrayGetObject(array, index));
    if (!number || OSNumberGetUInt64Value(number) > UINT32_MAX)
        return false;
    *ret_number = OSNumberGetUInt32Value(number);
    return true;
}

static bool
read_selection(const OSDictionary *from, dx_control_info *info)
{
    OSArray *const items = dx_wire_get_array(from, "items");
    OSArray *const selected = dx_wire_get_array(from, "selected");
    const size_t item_count = items ? OSArrayGetCount(items) : 0;
    const size_t count = selected ? OSArrayGetCount(selected) : 0;
    if (item_count > DX_MAX_SELECTOR_ITEMS || count > DX_MAX_SELECTED_VALUES)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!read_number(selected, i, &info->selected[i]))
            return false;
    info->item_count = (uint32_t)item_count;
    info->selected_count = (uint32_t)count;
    return true;
}

static kern_return_t
read_control(const OSDictionary *from, dx_control_info *ret_info)
{
    memset(ret_info, 0, sizeof *ret_info);
    ret_info->size = sizeof *ret_info;
    const char *const kind = from ? dx_wire_get_string(from, DX_KEY_KIND) : NULL;
    size_t k = 0;
    while (kind && k < DX_CONTROL_KINDS && strcmp(kind, dx_control_kind_fields[k].name) != 0)
        k++;
    if (!kind || k == DX_CONTROL_KINDS)
        return kIOReturnInvalid;
    ret_info->kind = (dx_control_kind)k;
    const bool is_sane = dx_fields_read(from, &dx_control_fields, ret_info) &&
                         dx_fields_read(from, &dx_control_kind_fields[k].fields, ret_info) &&
                         (k != DX_CONTROL_SELECTOR || read_selection(from, ret_info));
    return is_sane ? kIOReturnSuccess : kIOReturnInvalid;
}

/* A member of one of a description's lists, or NULL; `ret_is_there` says whether the list is that long. */
static const OSDictionary *
get_member(const OSDictionary *description, const char *list, uint32_t index, bool *ret_is_there)
{
    OSArray *const array = dx_wire_get_array(description, list);
    *ret_is_there = array && index < OSArrayGetCount(array);
    return *ret_is_there ? OSDynamicCast(OSDictionary, OSArrayGetObject(array, index)) : NULL;
}

kern_return_t
dx_description_get_channel_layout(const OSDictionary *description, IOUserAudioStreamDirection direction,
                                  uint32_t index, IOUserAudioChannelLabel *labels, uint32_t capacity,
                                  uint32_t *ret_count)
{
    const char *const key = direction == IOUserAudioStreamDirectionInput ? DX_KEY_INPUTS : DX_KEY_OUTPUTS;
    bool is_there;
    const OSDictionary *const stream = get_member(description, key, index, &is_there);
    if (!is_there)
        return kIOReturnNotFound;
    /* There is one label for each channel, or none. */
    dx_stream_info info = {0};
    const OSArray *const array = stream ? dx_wire_get_array(stream, DX_KEY_LAYOUT) : NULL;
    const size_t count = array ? OSArrayGetCount(array) : 0;
    if (count > DX_MAX_CHANNELS ||
        (count > 0 && (!read_stream(stream, &info) || count != info.client.mChannelsPerFrame)))
        return kIOReturnInvalid;
    for (size_t i = 0; i < count; i++) {
        IOUserAudioChannelLabel label;
        if (!read_number(array, i, &label))
            return kIOReturnInvalid;
        if (i < capacity)
            labels[i] = label;
    }
    *ret_count = (uint32_t)count;
    return kIOReturnSuccess;
}

kern_return_t
dx_description_get_control_at(const OSDictionary *description, uint32_t index, dx_control_info *ret_info)
{
    bool is_there;
    const OSDictionary *const control = get_member(description, DX_KEY_CONTROLS, index, &is_there);
    return is_there ? read_control(control, ret_info) : kIOReturnNotFound;
}

/* The first control of a key, or NULL. */
static const OSDictionary *
find_control(const OSDictionary *description, const char *key)
{
    bool is_there = true;
    for (uint32_t i = 0; is_there; i++) {
        const OSDictionary *const control = get_member(description, DX_KEY_CONTROLS, i, &is_there);
        const char *const its_key = control ? dx_wire_get_string(control, "key") : NULL;
        if (its_key && strcmp(its_key, key) == 0)
            return control;
    }
    return NULL;
}

kern_return_t
dx_description_get_control(const OSDictionary *description, const char *key, dx_control_info *ret_info)
{
    const OSDictionary *const control = find_control(description, key);
    return control ? read_control(control, ret_info) : kIOReturnNotFound;
}

kern_return_t
dx_description_get_control_items(const OSDictionary *description, const char *key, dx_control_item *items,
                                 uint32_t capacity, uint32_t *ret_count)
{
    dx_control_info info;
    const kern_return_t status = dx_description_get_control(description, key, &info);
    if (status != kIOReturnSuccess)
        return status;
    if (info.kind != DX_CONTROL_SELECTOR)
        return kIOReturnUnsupported;
    OSArray *const array = dx_wire_get_array(find_control(description, key), "items");
    for (uint32_t i = 0; i < info.item_count && i < capacity; i++) {
        const OSDictionary *const item = OSDynamicCast(OSDictionary, OSArrayGetObject(array, i));
        memset(&items[i], 0, sizeof items[i]);
        if (!item || !dx_fields_read(item, &dx_item_fields, &items[i]))
            return kIOReturnInvalid;
    }
    *ret_count = info.item_count;
    return kIOReturnSuccess;
}

kern_return_t
dx_description_get_custom_property_at(const OSDictionary *description, uint32_t index,
                                      dx_custom_property_info *ret_info)
{
    bool is_there;
    const OSDictionary *const property = get_member(description, DX_KEY_PROPERTIES, index, &is_there);
    if (!is_there)
        return kIOReturnNotFound;
    memset(ret_info, 0, sizeof *ret_info);
    ret_info->size = sizeof *ret_info;
    return property && dx_fields_read(property, &dx_property_fields, ret_info) ? kIOReturnSuccess
                                                                               : kIOReturnInvalid;
}

static bool
read_distribution(const OSDictionary *from, const char *key, dx_distribution *distribution)
{
    const OSDictionary *const dictionary = dx_wire_get_dictionary(from, key);
    return !dictionary || dx_fields_read(dictionary, &dx_distribution_fields, distribution);
}

kern_return_t
dx_description_get_statistics(const OSDictionary *statistics, dx_device_statistics *ret_statistics)
{
    memset(ret_statistics, 0, sizeof *ret_statistics);
    ret_statistics->size = sizeof *ret_statistics;
    const OSDictionary *const causes = dx_wire_get_dictionary(statistics, "causes");
    for (int i = 0; causes && i < DX_CAUSE_COUNT; i++)
        ret_statistics->causes[i] = dx_wire_get_number(causes, dx_cause_name((dx_cause)i), 0);
    const bool is_sane = dx_fields_read(statistics, &dx_statistics_fields, ret_statistics) &&
                         read_distribution(statistics, "lateness", &ret_statistics->lateness) &&
                         read_distribution(statistics, "handler", &ret_statistics->handler) &&
                         read_distribution(statistics, "cycle", &ret_statistics->cycle);
    return is_sane ? kIOReturnSuccess : kIOReturnInvalid;
}
