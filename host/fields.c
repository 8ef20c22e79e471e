// SPDX-License-Identifier: MIT
// What descriptions are made of, as tables.

#include "host/fields.h"

#include "core/text.h"
#include "host/protocol.h"
#include "host/wire.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum field_type {
    FIELD_BOOL,
    FIELD_UINT32,
    FIELD_UINT64,
    FIELD_FLOAT,  // as the bits of a double
    FIELD_DOUBLE, // as its bits
    FIELD_STRING, // an array of `bytes`
};

struct dx_field {
    const char *key;
    enum field_type type;
    size_t offset;
    size_t bytes;
};

#define FIELD(key, type, structure, member) \
    {(key), (type), offsetof(structure, member), sizeof(((structure *)NULL)->member)}

static const struct dx_field format_fields[] = {
    FIELD("rate-f64", FIELD_DOUBLE, IOUserAudioStreamBasicDescription, mSampleRate),
    FIELD("id", FIELD_UINT32, IOUserAudioStreamBasicDescription, mFormatID),
    FIELD("flags", FIELD_UINT32, IOUserAudioStreamBasicDescription, mFormatFlags),
    FIELD("bytes-per-packet", FIELD_UINT32, IOUserAudioStreamBasicDescription, mBytesPerPacket),
    FIELD("frames-per-packet", FIELD_UINT32, IOUserAudioStreamBasicDescription, mFramesPerPacket),
    FIELD("bytes-per-frame", FIELD_UINT32, IOUserAudioStreamBasicDescription, mBytesPerFrame),
    FIELD("channels", FIELD_UINT32, IOUserAudioStreamBasicDescription, mChannelsPerFrame),
    FIELD("bits", FIELD_UINT32, IOUserAudioStreamBasicDescription, mBitsPerChannel),
};

static const struct dx_field stream_fields[] = {
    FIELD("object", FIELD_UINT32, dx_stream_info, object),
    FIELD("active", FIELD_BOOL, dx_stream_info, is_active),
    FIELD("mixable", FIELD_BOOL, dx_stream_info, is_mixable),
    FIELD("latency", FIELD_UINT32, dx_stream_info, latency_frames),
};

static const struct dx_field device_fields[] = {
    FIELD(DX_KEY_NAME, FIELD_STRING, dx_device_info, name),
    FIELD("manufacturer", FIELD_STRING, dx_device_info, manufacturer),
    FIELD("transport", FIELD_UINT32, dx_device_info, transport),
    FIELD("hidden", FIELD_BOOL, dx_device_info, is_hidden),
    FIELD("default-input", FIELD_BOOL, dx_device_info, can_be_default_input),
    FIELD("default-output", FIELD_BOOL, dx_device_info, can_be_default_output),
    FIELD("io-running", FIELD_BOOL, dx_device_info, is_running),
    FIELD("rate-f64", FIELD_DOUBLE, dx_device_info, sample_rate_hz),
    FIELD("io-frames", FIELD_UINT32, dx_device_info, io_frames),
    FIELD("wanted-io-frames", FIELD_UINT32, dx_device_info, wanted_io_frames),
    FIELD("default-io-frames", FIELD_UINT32, dx_device_info, default_io_frames),
    FIELD("ring-frames", FIELD_UINT32, dx_device_info, ring_frames),
    FIELD("input-safety", FIELD_UINT32, dx_device_info, input_safety_frames),
    FIELD("output-safety", FIELD_UINT32, dx_device_info, output_safety_frames),
    FIELD("late-tolerance", FIELD_UINT32, dx_device_info, late_tolerance_frames),
};

static const struct dx_field control_fields[] = {
    FIELD("key", FIELD_STRING, dx_control_info, key),
    FIELD(DX_KEY_NAME, FIELD_STRING, dx_control_info, name),
    FIELD("object", FIELD_UINT32, dx_control_info, object),
    FIELD("class", FIELD_UINT32, dx_control_info, class_id),
    FIELD("scope", FIELD_UINT32, dx_control_info, scope),
    FIELD("element", FIELD_UINT32, dx_control_info, element),
    FIELD("settable", FIELD_BOOL, dx_control_info, is_settable),
};

static const struct dx_field boolean_fields[] = {
    FIELD("on", FIELD_BOOL, dx_control_info, is_on),
};

static const struct dx_field slider_fields[] = {
    FIELD("number", FIELD_UINT32, dx_control_info, number),
    FIELD("number-min", FIELD_UINT32, dx_control_info, number_min),
    FIELD("number-max", FIELD_UINT32, dx_control_info, number_max),
};

static const struct dx_field level_fields[] = {
    FIELD("decibels-f64", FIELD_FLOAT, dx_control_info, decibels),
    FIELD("decibels-min-f64", FIELD_FLOAT, dx_control_info, decibels_min),
    FIELD("decibels-max-f64", FIELD_FLOAT, dx_control_info, decibels_max),
    FIELD("scalar-f64", FIELD_FLOAT, dx_control_info, scalar),
};

static const struct dx_field pan_fields[] = {
    FIELD("position-f64", FIELD_FLOAT, dx_control_info, position),
    FIELD("left-element", FIELD_UINT32, dx_control_info, left_element),
    FIELD("right-element", FIELD_UINT32, dx_control_info, right_element),
};

static const struct dx_field item_fields[] = {
    FIELD("value", FIELD_UINT32, dx_control_item, value),
    FIELD(DX_KEY_NAME, FIELD_STRING, dx_control_item, name),
};

static const struct dx_field property_fields[] = {
    FIELD("selector", FIELD_UINT32, dx_custom_property_info, address.mSelector),
    FIELD("scope", FIELD_UINT32, dx_custom_property_info, address.mScope),
    FIELD("element", FIELD_UINT32, dx_custom_property_info, address.mElement),
    FIELD("qualifier-type", FIELD_UINT32, dx_custom_property_info, qualifier_type),
    FIELD("data-type", FIELD_UINT32, dx_custom_property_info, data_type),
    FIELD("settable", FIELD_BOOL, dx_custom_property_info, is_settable),
};

static const struct dx_field statistics_fields[] = {
    FIELD("degraded", FIELD_UINT32, dx_device_statistics, degraded),
    FIELD("cycles", FIELD_UINT64, dx_device_statistics, cycles),
    FIELD("late-cycles", FIELD_UINT64, dx_device_statistics, late_cycles),
    FIELD("overloads", FIELD_UINT64, dx_device_statistics, overloads),
    FIELD("skipped-input-frames", FIELD_UINT64, dx_device_statistics, skipped_input_frames),
    FIELD("skipped-output-frames", FIELD_UINT64, dx_device_statistics, skipped_output_frames),
    FIELD("input-frames", FIELD_UINT64, dx_device_statistics, input_frames),
    FIELD("output-frames", FIELD_UINT64, dx_device_statistics, output_frames),
    FIELD("handler-errors", FIELD_UINT64, dx_device_statistics, handler_errors),
    FIELD("stamps", FIELD_UINT64, dx_device_statistics, stamps),
    FIELD("bad-stamps", FIELD_UINT64, dx_device_statistics, bad_stamps),
    FIELD("reanchors", FIELD_UINT64, dx_device_statistics, reanchors),
    FIELD("starts", FIELD_UINT64, dx_device_statistics, starts),
    FIELD("limited-samples", FIELD_UINT64, dx_device_statistics, limited_samples),
};

static const struct dx_field distribution_fields[] = {
    FIELD("count", FIELD_UINT64, dx_distribution, count),
    FIELD("p50-ns", FIELD_UINT64, dx_distribution, p50_ns),
    FIELD("p99-ns", FIELD_UINT64, dx_distribution, p99_ns),
    FIELD("p999-ns", FIELD_UINT64, dx_distribution, p999_ns),
    FIELD("max-ns", FIELD_UINT64, dx_distribution, max_ns),
};

#define FIELDS(list) {(list), sizeof(list) / sizeof((list)[0])}

const struct dx_fields dx_format_fields = FIELDS(format_fields);
const struct dx_fields dx_stream_fields = FIELDS(stream_fields);
const struct dx_fields dx_device_fields = FIELDS(device_fields);
const struct dx_fields dx_control_fields = FIELDS(control_fields);
const struct dx_fields dx_item_fields = FIELDS(item_fields);
const struct dx_fields dx_property_fields = FIELDS(property_fields);
const struct dx_fields dx_statistics_fields = FIELDS(statistics_fields);
const struct dx_fields dx_distribution_fields = FIELDS(distribution_fields);

const struct dx_control_kind_fields dx_control_kind_fields[DX_CONTROL_KINDS] = {
    [DX_CONTROL_BOOLEAN] = {"boolean", FIELDS(boolean_fields)},
    [DX_CONTROL_SLIDER] = {"slider", FIELDS(slider_fields)},
    [DX_CONTROL_LEVEL] = {"level", FIELDS(level_fields)},
    [DX_CONTROL_SELECTOR] = {"selector", {NULL, 0}},
    [DX_CONTROL_STEREO_PAN] = {"stereo pan", FIELDS(pan_fields)},
};

static bool
write_field(OSDictionary *to, const struct dx_field *field, const uint8_t *member)
{
    bool is_on;
    uint32_t number;
    uint64_t wide;
    float single;
    double value;
    switch (field->type) {
    case FIELD_BOOL:
        memcpy(&is_on, member, sizeof is_on);
        return dx_wire_set_bool(to, field->key, is_on);
    case FIELD_UINT32:
        memcpy(&number, member, sizeof number);
        return OSDictionarySetUInt64Value(to, field->key, number);
    case FIELD_UINT64:
        memcpy(&wide, member, sizeof wide);
        return OSDictionarySetUInt64Value(to, field->key, wide);
    case FIELD_FLOAT:
        memcpy(&single, member, sizeof single);
        return dx_wire_set_double(to, field->key, (double)single);
    case FIELD_DOUBLE:
        memcpy(&value, member, sizeof value);
        return dx_wire_set_double(to, field->key, value);
    case FIELD_STRING:
        return OSDictionarySetStringValue(to, field->key, (const char *)member);
    }
    return false;
}

bool
dx_fields_write(OSDictionary *to, const struct dx_fields *fields, const void *structure)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct dx_field *const field = &fields->list[i];
        if (!write_field(to, field, (const uint8_t *)structure + field->offset))
            return false;
    }
    return true;
}

OSDictionary *
dx_fields_describe(const struct dx_fields *fields, const void *structure)
{
    OSDictionary *dictionary = OSDictionaryCreate(fields->count);
    if (dictionary && !dx_fields_write(dictionary, fields, structure))
        OSSafeReleaseNULL(dictionary);
    return dictionary;
}

static bool
read_uint32(const OSDictionary *from, const char *key, uint8_t *member)
{
    const uint64_t wide = dx_wire_get_number(from, key, 0);
    const uint32_t number = (uint32_t)wide;
    memcpy(member, &number, sizeof number);
    return wide <= UINT32_MAX;
}

static bool
read_float(const OSDictionary *from, const char *key, uint8_t *member)
{
    double value = 0.0;
    if (dx_wire_get_double(from, key, &value) && !(fabs(value) <= (double)FLT_MAX)) // NaN too
        return false;
    const float single = (float)value;
    memcpy(member, &single, sizeof single);
    return true;
}

static bool
read_double(const OSDictionary *from, const char *key, uint8_t *member)
{
    double value = 0.0;
    if (dx_wire_get_double(from, key, &value) && !isfinite(value))
        return false;
    memcpy(member, &value, sizeof value);
    return true;
}

static bool
read_field(const OSDictionary *from, const struct dx_field *field, uint8_t *member)
{
    bool is_on;
    uint64_t wide;
    const char *text;
    switch (field->type) {
    case FIELD_BOOL:
        is_on = dx_wire_get_bool(from, field->key);
        memcpy(member, &is_on, sizeof is_on);
        return true;
    case FIELD_UINT32:
        return read_uint32(from, field->key, member);
    case FIELD_UINT64:
        wide = dx_wire_get_number(from, field->key, 0);
        memcpy(member, &wide, sizeof wide);
        return true;
    case FIELD_FLOAT:
        return read_float(from, field->key, member);
    case FIELD_DOUBLE:
        return read_double(from, field->key, member);
    case FIELD_STRING:
        text = dx_wire_get_string(from, field->key);
        if (text)
            dx_copy_text((char *)member, field->bytes, text);
        return true;
    }
    return false;
}

bool
dx_fields_read(const OSDictionary *from, const struct dx_fields *fields, void *structure)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct dx_field *const field = &fields->list[i];
        if (!read_field(from, field, (uint8_t *)structure + field->offset))
            return false;
    }
    return true;
}
