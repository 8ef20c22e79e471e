// SPDX-License-Identifier: MIT
// Descriptions of devices, as another process tells them: what is read of one fits where it is put, and can be
// computed with.

#include "host/describe.h"
#include "host/wire.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expect(bool is_so)
{
    if (!is_so)
        abort();
}

static bool
is_text(const char *text, size_t bytes)
{
    return memchr(text, '\0', bytes) != NULL;
}

static void
check_streams(const dx_stream_info *streams, uint32_t count)
{
    expect(count <= DX_MAX_STREAMS);
    for (uint32_t i = 0; i < count; i++)
        expect(isfinite(streams[i].physical.mSampleRate) && isfinite(streams[i].client.mSampleRate));
}

static void
try_info(const OSDictionary *description)
{
    dx_device_info *const info = malloc(sizeof *info); // exact: one byte too far is seen
    if (dx_description_get_info(description, info) == kIOReturnSuccess) {
        expect(is_text(info->name, sizeof info->name) && is_text(info->manufacturer, sizeof info->manufacturer));
        expect(isfinite(info->sample_rate_hz) && info->sample_rate_hz >= 0.0 && info->rate_count <= DX_MAX_RATES);
        for (uint32_t i = 0; i < info->rate_count; i++)
            expect(isfinite(info->rates_hz[i]) && info->rates_hz[i] > 0.0);
        check_streams(info->inputs, info->input_streams);
        check_streams(info->outputs, info->output_streams);
    }
    free(info);
}

/* There is one label for each channel that the stream has, or none. */
static void
try_layouts(const OSDictionary *description, IOUserAudioStreamDirection direction)
{
    enum { ROOM = 3 };
    IOUserAudioChannelLabel *const labels = malloc(ROOM * sizeof *labels);
    dx_device_info *const info = malloc(sizeof *info);
    const bool is_sane = dx_description_get_info(description, info) == kIOReturnSuccess;
    const bool is_input = direction == IOUserAudioStreamDirectionInput;
    kern_return_t status = kIOReturnSuccess;
    for (uint32_t i = 0; status != kIOReturnNotFound; i++) {
        uint32_t count = 0;
        status = dx_description_get_channel_layout(description, direction, i, labels, ROOM, &count);
        if (status != kIOReturnSuccess)
            continue;
        expect(count <= DX_MAX_CHANNELS);
        if (is_sane && count > 0)
            expect(count == (is_input ? info->inputs : info->outputs)[i].client.mChannelsPerFrame);
    }
    free(info);
    free(labels);
}

static void
try_items(const OSDictionary *description, const dx_control_info *control)
{
    enum { ROOM = 3 };
    dx_control_item *const items = malloc(ROOM * sizeof *items);
    uint32_t count = 0;
    const kern_return_t status = dx_description_get_control_items(description, control->key, items, ROOM, &count);
    if (status == kIOReturnSuccess)
        expect(count <= DX_MAX_SELECTOR_ITEMS);
    for (uint32_t i = 0; status == kIOReturnSuccess && i < count && i < ROOM; i++)
        expect(is_text(items[i].name, sizeof items[i].name));
    free(items);
}

static void
try_controls(const OSDictionary *description)
{
    dx_control_info *const control = malloc(sizeof *control);
    kern_return_t status = kIOReturnSuccess;
    for (uint32_t i = 0; status != kIOReturnNotFound; i++) {
        status = dx_description_get_control_at(description, i, control);
        if (status != kIOReturnSuccess)
            continue;
        expect(control->kind <= DX_CONTROL_STEREO_PAN && control->selected_count <= DX_MAX_SELECTED_VALUES);
        expect(is_text(control->key, sizeof control->key) && is_text(control->name, sizeof control->name));
        expect(isfinite(control->decibels) && isfinite(control->scalar) && isfinite(control->position));
        try_items(description, control);
    }
    free(control);
}

static void
try_rest(const OSDictionary *description)
{
    dx_custom_property_info property;
    for (uint32_t i = 0; dx_description_get_custom_property_at(description, i, &property) != kIOReturnNotFound;
         i++)
        ;
    dx_device_statistics statistics;
    (void)dx_description_get_statistics(description, &statistics);
    IOUserAudioStreamBasicDescription format;
    if (!dx_description_get_format(description, &format))
        return;
    IOUserAudioStreamBasicDescription again;
    OSDictionary *const described = dx_describe_format(&format);
    expect(dx_description_get_format(described, &again) && memcmp(&format, &again, sizeof format) == 0);
    OSObjectRelease(described);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OSObjectPtr const object = OSSerializationCopyObject(data, size);
    const OSDictionary *const description = OSDynamicCast(OSDictionary, object);
    if (description) {
        try_info(description);
        try_layouts(description, IOUserAudioStreamDirectionInput);
        try_layouts(description, IOUserAudioStreamDirectionOutput);
        try_controls(description);
        try_rest(description);
    }
    OSObjectRelease(object);
    return 0;
}
