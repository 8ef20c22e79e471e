// SPDX-License-Identifier: MIT
// A device as a dictionary, as docs/design/machine.md has it: made where the driver is, read where programs are.

#ifndef DX_HOST_DESCRIBE_H
#define DX_HOST_DESCRIBE_H

#include <dextral/host.h>
#include <dextral/host_controls.h>

/* Keys that more than one party uses; all are in docs/design/machine.md. */
#define DX_KEY_STATE "state"
#define DX_KEY_KIND "kind"
#define DX_KEY_INPUTS "inputs"
#define DX_KEY_OUTPUTS "outputs"
#define DX_KEY_CONTROLS "controls"
#define DX_KEY_PROPERTIES "properties"
#define DX_KEY_LEFT_OUT "left-out"
#define DX_KEY_LAYOUT "layout"     // of a stream
#define DX_STATE_RUNNING "running" // of DX_KEY_STATE: a driver is there

/* A description is sent in one message, with room for what the supervisor adds to it. */
#define DX_DESCRIPTION_MAX_BYTES (96u * 1024u)

/**
 * All that the public functions tell of a device of this process.
 *
 * Of a device with more layouts, formats, controls and custom properties than fit into DX_DESCRIPTION_MAX_BYTES,
 * those at the end are not in it; DX_KEY_LEFT_OUT says how many.
 *
 * @return +1; NULL without memory.
 *
 * Thread: control.
 */
OSDictionary *dx_describe_device(dx_device *device);

/** What a device of this process has done: the answer to DX_OP_STATISTICS.  +1; NULL without memory.  Thread:
 *  control. */
OSDictionary *dx_describe_statistics(dx_device *device);

/*
 * Reading: a description may come from anybody.  What is missing or of a wrong type is as if it were not there;
 * numbers out of their range are refused.  Each function answers as its namesake in host.h and host_controls.h
 * does, and kIOReturnInvalid for what cannot be true.
 */
kern_return_t dx_description_get_info(const OSDictionary *description, dx_device_info *ret_info);
kern_return_t dx_description_get_channel_layout(const OSDictionary *description,
                                                IOUserAudioStreamDirection direction, uint32_t index,
                                                IOUserAudioChannelLabel *labels, uint32_t capacity,
                                                uint32_t *ret_count);
kern_return_t dx_description_get_control_at(const OSDictionary *description, uint32_t index,
                                            dx_control_info *ret_info);
kern_return_t dx_description_get_control(const OSDictionary *description, const char *key,
                                         dx_control_info *ret_info);
kern_return_t dx_description_get_control_items(const OSDictionary *description, const char *key,
                                               dx_control_item *items, uint32_t capacity, uint32_t *ret_count);
kern_return_t dx_description_get_custom_property_at(const OSDictionary *description, uint32_t index,
                                                    dx_custom_property_info *ret_info);
kern_return_t dx_description_get_statistics(const OSDictionary *statistics, dx_device_statistics *ret_statistics);

/** A format as a dictionary, +1, and back: false for what cannot be one. */
OSDictionary *dx_describe_format(const IOUserAudioStreamBasicDescription *format);
bool dx_description_get_format(const OSDictionary *format, IOUserAudioStreamBasicDescription *ret_format);

#endif /* DX_HOST_DESCRIBE_H */
