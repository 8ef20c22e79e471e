// SPDX-License-Identifier: MIT
// What is asked of a device, checked and handed on to its kind.

#include "audio/handle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool
dx_device_init(dx_device *device, const struct dx_device_ops *ops, const char *uid, dx_clock *clock)
{
    device->ops = ops;
    device->clock = clock;
    atomic_init(&device->references, 1);
    device->uid = strdup(uid);
    return device->uid;
}

void
dx_device_finish(dx_device *device)
{
    free(device->uid);
    device->uid = NULL;
}

dx_device *
dx_device_retain(dx_device *device)
{
    if (device)
        atomic_fetch_add_explicit(&device->references, 1, memory_order_relaxed);
    return device;
}

void
dx_device_release(dx_device *device)
{
    /* acq_rel: whoever frees sees what the others did. */
    if (device && atomic_fetch_sub_explicit(&device->references, 1, memory_order_acq_rel) == 1)
        device->ops->free(device);
}

const char *
dx_device_uid(const dx_device *device)
{
    return device ? device->uid : NULL;
}

IOUserAudioDevice *
dx_device_copy_object(dx_device *device)
{
    return device && device->ops->copy_object ? device->ops->copy_object(device) : NULL;
}

kern_return_t
dx_device_get_info(dx_device *device, dx_device_info *ret_info)
{
    if (!device || !ret_info || ret_info->size != sizeof *ret_info)
        return kIOReturnBadArgument;
    return device->ops->get_info(device, ret_info);
}

static bool
is_direction(IOUserAudioStreamDirection direction)
{
    return direction == IOUserAudioStreamDirectionInput || direction == IOUserAudioStreamDirectionOutput;
}

kern_return_t
dx_device_get_channel_layout(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index,
                             IOUserAudioChannelLabel *labels, uint32_t capacity, uint32_t *ret_count)
{
    if (!device || !is_direction(direction) || (!labels && capacity > 0) || !ret_count)
        return kIOReturnBadArgument;
    return device->ops->get_channel_layout(device, direction, index, labels, capacity, ret_count);
}

kern_return_t
dx_device_get_statistics(dx_device *device, dx_device_statistics *ret_statistics)
{
    if (!device || !ret_statistics || ret_statistics->size != sizeof *ret_statistics)
        return kIOReturnBadArgument;
    return device->ops->get_statistics(device, ret_statistics);
}

kern_return_t
dx_device_set_io_frames(dx_device *device, uint32_t io_frames)
{
    return device ? device->ops->set_io_frames(device, io_frames) : kIOReturnBadArgument;
}

kern_return_t
dx_device_set_sample_rate(dx_device *device, double rate_hz)
{
    return device ? device->ops->set_sample_rate(device, rate_hz) : kIOReturnBadArgument;
}

kern_return_t
dx_device_set_stream_format(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index,
                            const IOUserAudioStreamBasicDescription *format)
{
    if (!device || !format || index >= DX_MAX_STREAMS || !is_direction(direction))
        return kIOReturnBadArgument;
    return device->ops->set_stream_format(device, direction, index, format);
}

kern_return_t
dx_device_set_prewarmed(dx_device *device, bool prewarmed)
{
    return device ? device->ops->set_prewarmed(device, prewarmed) : kIOReturnBadArgument;
}

kern_return_t
dx_device_add_dsp(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index,
                  const dx_dsp_plugin *plugin, void *instance)
{
    if (!device || !plugin || !instance || index >= DX_MAX_STREAMS || !is_direction(direction))
        return kIOReturnBadArgument;
    return device->ops->add_dsp ? device->ops->add_dsp(device, direction, index, plugin, instance)
                                : kIOReturnUnsupported;
}

kern_return_t
dx_device_remove_dsp(dx_device *device, void *instance)
{
    if (!device)
        return kIOReturnBadArgument;
    return device->ops->remove_dsp ? device->ops->remove_dsp(device, instance) : kIOReturnNotFound;
}

/* ---- controls ---- */

kern_return_t
dx_device_get_control_at(dx_device *device, uint32_t index, dx_control_info *ret_info)
{
    if (!device || !ret_info || ret_info->size != sizeof *ret_info)
        return kIOReturnBadArgument;
    return device->ops->get_control_at(device, index, ret_info);
}

kern_return_t
dx_device_get_control(dx_device *device, const char *key, dx_control_info *ret_info)
{
    if (!device || !key || !ret_info || ret_info->size != sizeof *ret_info)
        return kIOReturnBadArgument;
    return device->ops->get_control(device, key, ret_info);
}

kern_return_t
dx_device_get_control_items(dx_device *device, const char *key, dx_control_item *items, uint32_t capacity,
                            uint32_t *ret_count)
{
    if (!device || !key || (!items && capacity > 0) || !ret_count)
        return kIOReturnBadArgument;
    return device->ops->get_control_items(device, key, items, capacity, ret_count);
}

static kern_return_t
set_control(dx_device *device, const char *key, const struct dx_control_setting *setting)
{
    return device && key ? device->ops->set_control(device, key, setting) : kIOReturnBadArgument;
}

kern_return_t
dx_device_set_control_boolean(dx_device *device, const char *key, bool is_on)
{
    return set_control(device, key, &(struct dx_control_setting){.what = DX_SET_BOOLEAN, .is_on = is_on});
}

kern_return_t
dx_device_set_control_number(dx_device *device, const char *key, uint32_t number)
{
    return set_control(device, key, &(struct dx_control_setting){.what = DX_SET_NUMBER, .number = number});
}

kern_return_t
dx_device_set_control_decibels(dx_device *device, const char *key, float decibels)
{
    return set_control(device, key, &(struct dx_control_setting){.what = DX_SET_DECIBELS, .value = decibels});
}

kern_return_t
dx_device_set_control_scalar(dx_device *device, const char *key, float scalar)
{
    return set_control(device, key, &(struct dx_control_setting){.what = DX_SET_SCALAR, .value = scalar});
}

kern_return_t
dx_device_set_control_values(dx_device *device, const char *key, const IOUserAudioSelectorValue *values,
                             size_t count)
{
    if (!values && count > 0)
        return kIOReturnBadArgument;
    if (count > DX_MAX_SELECTED_VALUES)
        return kIOReturnNoSpace;
    return set_control(
        device, key,
        &(struct dx_control_setting){.what = DX_SET_VALUES, .values = values, .value_count = count});
}

kern_return_t
dx_device_set_control_item(dx_device *device, const char *key, const char *name)
{
    if (!name)
        return kIOReturnBadArgument;
    return set_control(device, key, &(struct dx_control_setting){.what = DX_SET_ITEM, .item = name});
}

kern_return_t
dx_device_set_control_position(dx_device *device, const char *key, float position)
{
    return set_control(device, key, &(struct dx_control_setting){.what = DX_SET_POSITION, .value = position});
}

/* ---- custom properties ---- */

kern_return_t
dx_device_get_custom_property_at(dx_device *device, uint32_t index, dx_custom_property_info *ret_info)
{
    if (!device || !ret_info || ret_info->size != sizeof *ret_info)
        return kIOReturnBadArgument;
    return device->ops->get_custom_property_at(device, index, ret_info);
}

kern_return_t
dx_device_copy_custom_property(dx_device *device, IOUserAudioObjectPropertyAddress address, OSObjectPtr qualifier,
                               OSObjectPtr *ret_value)
{
    if (!device || !ret_value)
        return kIOReturnBadArgument;
    return device->ops->copy_custom_property(device, address, qualifier, ret_value);
}

kern_return_t
dx_device_set_custom_property(dx_device *device, IOUserAudioObjectPropertyAddress address, OSObjectPtr qualifier,
                              OSObjectPtr value)
{
    return device ? device->ops->set_custom_property(device, address, qualifier, value) : kIOReturnBadArgument;
}
