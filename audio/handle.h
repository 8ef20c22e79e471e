// SPDX-License-Identifier: MIT
// A device as programs hold it, wherever its driver runs: what the public functions and a client need of it.

#ifndef DX_AUDIO_HANDLE_H
#define DX_AUDIO_HANDLE_H

#include "audio/convert.h"
#include "audio/page.h"

#include <dextral/host.h>
#include <dextral/host_controls.h>

/*
 * There are two kinds: an entry of a host in this process (audio/entry.h), and a device of the machine, reached through
 * the supervisor (host/remote_device.c).  Both have the shapes of their streams and a timeline page here, so that one
 * client (audio/client.c) serves both; everything that is not real-time goes through the table.
 */

/* What a client of a stream depends on. */
struct dx_stream_shape {
    uint32_t channels;
    uint32_t client_bytes_per_frame; // float32 for mixable streams, physical for the others
    bool is_mixable;
    enum dx_sample_format format;    // counts for non-mixable streams
    _Atomic uint32_t latency_frames; // of the device and the stream
    _Atomic uint32_t generation;     // + 1 when one of the above changed: clients from before are cut off
};

/* A new value of a control: one of the dx_device_set_control_...() calls. */
struct dx_control_setting {
    enum {
        DX_SET_BOOLEAN,
        DX_SET_NUMBER,
        DX_SET_DECIBELS,
        DX_SET_SCALAR,
        DX_SET_VALUES,
        DX_SET_ITEM,
        DX_SET_POSITION,
    } what;
    bool is_on;
    uint32_t number;
    float value; // decibels, scalar or position
    const IOUserAudioSelectorValue *values;
    size_t value_count;
    const char *item;
};

/* How a kind of device does what is asked of it.  The arguments have been checked for NULL and for sizes. */
struct dx_device_ops {
    void (*free)(dx_device *device); // the last reference went; frees the device itself too
    IOUserAudioDevice *(*copy_object)(dx_device *device);
    kern_return_t (*get_info)(dx_device *device, dx_device_info *ret_info);
    kern_return_t (*get_channel_layout)(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index,
                                        IOUserAudioChannelLabel *labels, uint32_t capacity, uint32_t *ret_count);
    kern_return_t (*get_statistics)(dx_device *device, dx_device_statistics *ret_statistics);
    kern_return_t (*set_io_frames)(dx_device *device, uint32_t io_frames);
    kern_return_t (*set_sample_rate)(dx_device *device, double rate_hz);
    kern_return_t (*set_stream_format)(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index,
                                       const IOUserAudioStreamBasicDescription *format);
    kern_return_t (*set_prewarmed)(dx_device *device, bool prewarmed);
    kern_return_t (*add_dsp)(dx_device *device, IOUserAudioStreamDirection direction, uint32_t index,
                             const dx_dsp_plugin *plugin, void *instance);
    kern_return_t (*remove_dsp)(dx_device *device, void *instance);

    kern_return_t (*get_control_at)(dx_device *device, uint32_t index, dx_control_info *ret_info);
    kern_return_t (*get_control)(dx_device *device, const char *key, dx_control_info *ret_info);
    kern_return_t (*get_control_items)(dx_device *device, const char *key, dx_control_item *items,
                                       uint32_t capacity, uint32_t *ret_count);
    kern_return_t (*set_control)(dx_device *device, const char *key, const struct dx_control_setting *setting);
    kern_return_t (*get_custom_property_at)(dx_device *device, uint32_t index, dx_custom_property_info *ret_info);
    kern_return_t (*copy_custom_property)(dx_device *device, IOUserAudioObjectPropertyAddress address,
                                          OSObjectPtr qualifier, OSObjectPtr *ret_value);
    kern_return_t (*set_custom_property)(dx_device *device, IOUserAudioObjectPropertyAddress address,
                                         OSObjectPtr qualifier, OSObjectPtr value);

    /*
     * A client's way, in this order; see audio/client.h for what each has to fill in.
     *
     * join   finds the streams, makes the lane, gets the input ring, and lets the engine know of the client.
     * start  makes it count as running; returns when the clock is established, or why not.
     * stop   makes it count no more.
     * leave  takes it out; what join made is given back.
     */
    kern_return_t (*join)(dx_device *device, dx_client *client);
    kern_return_t (*start)(dx_device *device, dx_client *client);
    void (*stop)(dx_device *device, dx_client *client);
    void (*leave)(dx_device *device, dx_client *client);
};

struct dx_device {
    const struct dx_device_ops *ops;
    _Atomic uint32_t references;
    char *uid;
    dx_clock *clock;
    const _Atomic uint32_t *mark;      // 0 in a child after fork(), where it cannot be used; NULL: it always can
    const struct dx_device_page *page; // always mapped; a remote device maps the next driver's at the same place
    struct dx_stream_shape output_shapes[DX_MAX_STREAMS];
    struct dx_stream_shape input_shapes[DX_MAX_STREAMS];
};

/** Sets up the common part with one reference; false without memory. */
bool dx_device_init(dx_device *device, const struct dx_device_ops *ops, const char *uid, dx_clock *clock);

/** Gives back the common part; the device's own `free` calls it. */
void dx_device_finish(dx_device *device);

/** Whether this is a child after fork(), and the device its parent's.  Real-time: yes. */
static inline bool
dx_device_is_forked(const dx_device *device)
{
    /* relaxed: written before there were others, and by the kernel. */
    return device->mark && atomic_load_explicit(device->mark, memory_order_relaxed) == 0;
}

/** The timeline of a device, to be read. */
static inline struct dx_slots
dx_device_timeline(const dx_device *device)
{
    return dx_device_page_timeline(device->page);
}

#endif /* DX_AUDIO_HANDLE_H */
