// SPDX-License-Identifier: MIT
// What is known of a declared device without a driver, and what its driver is told.

#include "host/declared.h"

#include "audio/engine.h"
#include "host/fields.h"
#include "host/protocol.h"
#include "host/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the kinds' drivers make of what is not an option.  A test compares all of this with the drivers themselves.
 */
#define MANUFACTURER "Dextral"
#define IO_FRAMES 512u // where no client asks for less

/* Ways to write a sample, by the value of the option `format`: all of them can be set, and this is their order. */
static const struct layout {
    const char *name;
    uint32_t bits;
    IOUserAudioFormatFlags flags;
} layouts[] = {
    {"float32", 32, FormatFlagIsFloat},
    {"s16", 16, FormatFlagIsSignedInteger},
    {"s24", 24, FormatFlagIsSignedInteger},
    {"s32", 32, FormatFlagIsSignedInteger},
};
#define LAYOUTS (sizeof layouts / sizeof layouts[0])

/* The options, as numbers. */
struct shape {
    uint32_t channels;
    uint32_t ring_frames;
    uint32_t latency_frames;
    uint32_t rates_hz[DX_KIND_MAX_RATES]; // the first is the one at first
    uint32_t rate_count;
    size_t layout;
    bool has_layouts; // else float32 alone
    bool is_mixable;
};

/* The value of an option, NULL where the kind has none of that name. */
static const char *
get_value(const struct dx_declared *declared, const char *option)
{
    const size_t place = dx_kind_find_option(declared->kind, option);
    return place == SIZE_MAX ? NULL : declared->values[place];
}

/* 0 where it is not given. */
static uint32_t
get_number(const struct dx_declared *declared, const char *option)
{
    const char *const text = get_value(declared, option);
    return text ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

/* The rate at first, then the others in their order. */
static void
read_rates(const struct dx_declared *declared, struct shape *shape)
{
    const uint32_t first = get_number(declared, "rate");
    if (first)
        shape->rates_hz[shape->rate_count++] = first;
    for (const char *text = get_value(declared, "rates"); *text && shape->rate_count < DX_KIND_MAX_RATES;) {
        char *end = NULL;
        const uint32_t rate = (uint32_t)strtoul(text, &end, 10);
        if (rate != first)
            shape->rates_hz[shape->rate_count++] = rate;
        text = *end ? end + 1 : end;
    }
}

/* As the drivers have it where it is not given: enough for cycles of 4096, and not too much memory. */
static uint32_t
usual_ring_frames(uint32_t channels)
{
    return channels <= 128 ? 16384 : channels <= 256 ? 8192 : 4096;
}

static struct shape
read_shape(const struct dx_declared *declared)
{
    const char *const format = get_value(declared, "format");
    const char *const mixable = get_value(declared, "mixable");
    struct shape shape = {
        .channels = get_number(declared, "channels"),
        .ring_frames = get_number(declared, "ring"),
        .latency_frames = get_number(declared, "latency"),
        .has_layouts = format,
        .is_mixable = !mixable || strcmp(mixable, "yes") == 0,
    };
    if (!shape.ring_frames)
        shape.ring_frames = usual_ring_frames(shape.channels);
    for (size_t i = 0; format && i < LAYOUTS; i++) {
        if (strcmp(layouts[i].name, format) == 0)
            shape.layout = i;
    }
    read_rates(declared, &shape);
    return shape;
}

/* ---- for people ---- */

OSDictionary *
dx_declared_copy_options(const struct dx_declared *declared)
{
    const struct shape shape = read_shape(declared);
    OSDictionary *to = OSDictionaryCreate(declared->kind->option_count);
    for (size_t i = 0; to && i < declared->kind->option_count; i++) {
        const char *const name = declared->kind->options[i].name;
        char made_up[16] = ""; // what stands for a value that is not given
        if (strcmp(name, "rate") == 0)
            (void)snprintf(made_up, sizeof made_up, "%u", shape.rates_hz[0]);
        else if (strcmp(name, "ring") == 0)
            (void)snprintf(made_up, sizeof made_up, "%u", shape.ring_frames);
        if (!OSDictionarySetStringValue(to, name, *made_up ? made_up : declared->values[i]))
            OSSafeReleaseNULL(to);
    }
    return to;
}

/* ---- for its driver ---- */

static OSArray *
make_rates(const struct shape *shape)
{
    OSArray *array = OSArrayCreate(shape->rate_count);
    for (uint32_t i = 0; array && i < shape->rate_count; i++) {
        OSNumber *const number = OSNumberCreate(shape->rates_hz[i], 32);
        if (!number || !OSArraySetObject(array, number))
            OSSafeReleaseNULL(array);
        OSObjectRelease(number);
    }
    return array;
}

OSDictionary *
dx_declared_copy_properties(const struct dx_declared *declared)
{
    const struct shape shape = read_shape(declared);
    OSDictionary *to = OSDictionaryCreate(12);
    bool done = to && OSDictionarySetStringValue(to, "DeviceUID", declared->uid) &&
                OSDictionarySetStringValue(to, "DeviceName", get_value(declared, "name")) &&
                OSDictionarySetUInt64Value(to, "Channels", shape.channels) &&
                OSDictionarySetUInt64Value(to, "PeriodFrames", shape.ring_frames) &&
                dx_wire_take(to, "Rates", make_rates(&shape)) &&
                OSDictionarySetStringValue(to, "ClockPPM", get_value(declared, "ppm")) &&
                OSDictionarySetStringValue(to, "ClockFollows", get_value(declared, "follow"));
    if (shape.has_layouts)
        done = done && OSDictionarySetStringValue(to, "Format", layouts[shape.layout].name) &&
               dx_wire_set_bool(to, "Mixable", shape.is_mixable) &&
               OSDictionarySetUInt64Value(to, "OutputLatency", shape.latency_frames);
    if (!done)
        OSSafeReleaseNULL(to);
    return to;
}

/* ---- for programs ---- */

static IOUserAudioStreamBasicDescription
make_format(const struct shape *shape, uint32_t rate_hz, size_t layout)
{
    const uint32_t frame_bytes = layouts[layout].bits / 8 * shape->channels;
    return (IOUserAudioStreamBasicDescription){
        .mSampleRate = rate_hz,
        .mFormatID = IOUserAudioFormatIDLinearPCM,
        .mFormatFlags = layouts[layout].flags | FormatFlagIsPacked | FormatFlagsNativeEndian |
                        (shape->is_mixable ? 0 : FormatFlagIsNonMixable),
        .mBytesPerPacket = frame_bytes,
        .mFramesPerPacket = 1,
        .mBytesPerFrame = frame_bytes,
        .mChannelsPerFrame = shape->channels,
        .mBitsPerChannel = layouts[layout].bits,
    };
}

static bool
append_format(OSArray *array, const IOUserAudioStreamBasicDescription *format)
{
    OSDictionary *const description = dx_describe_format(format);
    const bool done = description && OSArraySetObject(array, description);
    OSObjectRelease(description);
    return done;
}

/* For each rate, the format of the option first, and then the others. */
static OSArray *
make_formats(const struct shape *shape)
{
    OSArray *array = OSArrayCreate(shape->rate_count * LAYOUTS);
    bool done = array;
    for (uint32_t rate = 0; rate < shape->rate_count; rate++) {
        for (size_t i = 0; i < (shape->has_layouts ? LAYOUTS : 1) && done; i++) {
            const size_t layout = i == 0 ? shape->layout : i <= shape->layout ? i - 1 : i;
            const IOUserAudioStreamBasicDescription format = make_format(shape, shape->rates_hz[rate], layout);
            done = append_format(array, &format);
        }
    }
    if (!done)
        OSSafeReleaseNULL(array);
    return array;
}

static OSDictionary *
make_stream(const struct shape *shape, IOUserAudioStreamDirection direction)
{
    dx_stream_info info = {
        .is_active = true,
        .is_mixable = shape->is_mixable,
        .physical = make_format(shape, shape->rates_hz[0], shape->layout),
        .latency_frames = direction == IOUserAudioStreamDirectionOutput ? shape->latency_frames : 0,
    };
    info.client = shape->is_mixable ? make_format(shape, shape->rates_hz[0], 0) : info.physical;
    OSDictionary *to = dx_fields_describe(&dx_stream_fields, &info);
    if (to && !(dx_wire_take(to, "physical", dx_describe_format(&info.physical)) &&
                dx_wire_take(to, "client", dx_describe_format(&info.client)) &&
                dx_wire_take(to, "formats", make_formats(shape))))
        OSSafeReleaseNULL(to);
    return to;
}

/* An array of one, which is given up. */
static OSArray *
make_array(OSObjectPtr only)
{
    OSArray *array = OSArrayCreate(1);
    if (array && (!only || !OSArraySetObject(array, only)))
        OSSafeReleaseNULL(array);
    OSObjectRelease(only);
    return array;
}

/* The one at which live options are changed. */
static OSDictionary *
make_property(void)
{
    const dx_custom_property_info info = {
        .address = {DX_OPTION_SELECTOR, IOUserAudioObjectPropertyScopeGlobal, IOUserAudioObjectPropertyElementMain},
        .qualifier_type = IOUserAudioCustomPropertyDataTypeString,
        .data_type = IOUserAudioCustomPropertyDataTypeString,
        .is_settable = true,
    };
    return dx_fields_describe(&dx_property_fields, &info);
}

static OSData *
make_rate_data(const struct shape *shape)
{
    OSData *data = OSDataCreateWithCapacity(shape->rate_count * sizeof(double));
    for (uint32_t i = 0; data && i < shape->rate_count; i++) {
        const double rate = shape->rates_hz[i];
        uint64_t bits;
        uint8_t bytes[sizeof bits];
        memcpy(&bits, &rate, sizeof bits);
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t)(bits >> (8 * k));
        if (!OSDataAppendBytes(data, bytes, sizeof bytes))
            OSSafeReleaseNULL(data);
    }
    return data;
}

static OSDictionary *
describe_device(const struct dx_declared *declared, const struct shape *shape)
{
    const uint32_t most_io_frames = dx_engine_max_io_frames(shape->ring_frames, 0, 0, shape->rates_hz[0]);
    dx_device_info *const info = calloc(1, sizeof *info);
    if (!info)
        return NULL;
    (void)snprintf(info->name, sizeof info->name, "%s", get_value(declared, "name"));
    (void)snprintf(info->manufacturer, sizeof info->manufacturer, MANUFACTURER);
    info->can_be_default_input = shape->is_mixable; // what one program has for itself is no default
    info->can_be_default_output = shape->is_mixable;
    info->sample_rate_hz = shape->rates_hz[0];
    info->default_io_frames = IO_FRAMES;
    info->io_frames = IO_FRAMES < most_io_frames ? IO_FRAMES : most_io_frames;
    info->ring_frames = shape->ring_frames;
    info->late_tolerance_frames = shape->ring_frames / 4;
    OSDictionary *const to = dx_fields_describe(&dx_device_fields, info);
    free(info);
    return to;
}

OSDictionary *
dx_declared_describe(const struct dx_declared *declared)
{
    const struct shape shape = read_shape(declared);
    OSDictionary *to = describe_device(declared, &shape);
    const bool done =
        to && OSDictionarySetStringValue(to, DX_KEY_UID, declared->uid) &&
        OSDictionarySetStringValue(to, "kind", declared->kind->name) &&
        OSDictionarySetStringValue(to, "bundle", declared->kind->identifier) &&
        dx_wire_take(to, "options", dx_declared_copy_options(declared)) &&
        dx_wire_take(to, "rates", make_rate_data(&shape)) &&
        dx_wire_take(to, DX_KEY_INPUTS, make_array(make_stream(&shape, IOUserAudioStreamDirectionInput))) &&
        dx_wire_take(to, DX_KEY_OUTPUTS, make_array(make_stream(&shape, IOUserAudioStreamDirectionOutput))) &&
        dx_wire_take(to, DX_KEY_CONTROLS, OSArrayCreate(0)) &&
        dx_wire_take(to, DX_KEY_PROPERTIES, make_array(make_property())) &&
        OSDictionarySetUInt64Value(to, DX_KEY_LEFT_OUT, 0);
    if (!done)
        OSSafeReleaseNULL(to);
    return to;
}
