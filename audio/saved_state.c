// SPDX-License-Identifier: MIT
// Restoration: control values, rate and stream formats by device, kept over drivers and over hosts.

#include "audio/control_value.h"
#include "audio/host_state.h"

#include "audio/clock_device.h"
#include "audio/device.h"
#include "audio/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * {UID: {"rate": OSData of a double, "controls": {"vlme/outp/0": value}, "formats": {"outp/0": OSData}}}
 * Values of controls have the form of audio/control_value.h.
 */
#define MAX_CONTROLS 256u

static void
write_stream_key(char *key, size_t size, IOUserAudioStreamDirection direction, uint32_t index)
{
    (void)snprintf(key, size, "%s/%u", direction == IOUserAudioStreamDirectionInput ? "inpt" : "outp", index);
}

static bool
save_controls(OSDictionary *controls, IOUserAudioDevice *object)
{
    IOUserAudioControl *list[MAX_CONTROLS];
    uint32_t count = dx_clock_device_copy_controls((IOUserAudioClockDevice *)object, list, MAX_CONTROLS);
    count = count < MAX_CONTROLS ? count : MAX_CONTROLS;
    bool ok = true;
    for (uint32_t i = 0; i < count; i++) {
        struct dx_control_identity identity;
        if (dx_control_get_identity(list[i], &identity) && identity.is_settable) {
            char key[DX_CONTROL_KEY_BYTES];
            dx_control_write_key(&identity, key);
            OSObjectPtr const value = dx_control_copy_value(list[i]);
            ok = value && OSDictionarySetObject(controls, key, value) && ok;
            OSObjectRelease(value);
        }
        OSObjectRelease(list[i]);
    }
    return ok;
}

static bool
save_formats(OSDictionary *formats, IOUserAudioDevice *object, IOUserAudioStreamDirection direction)
{
    IOUserAudioStream *streams[DX_MAX_STREAMS];
    uint32_t count = dx_device_copy_streams(object, direction, streams, DX_MAX_STREAMS);
    count = count < DX_MAX_STREAMS ? count : DX_MAX_STREAMS;
    bool ok = true;
    for (uint32_t i = 0; i < count; i++) {
        char key[32];
        write_stream_key(key, sizeof key, direction, i);
        const IOUserAudioStreamBasicDescription format = IOUserAudioStreamGetCurrentStreamFormat(streams[i]);
        OSData *const data = OSDataCreate(&format, sizeof format);
        ok = data && OSDictionarySetObject(formats, key, data) && ok;
        OSObjectRelease(data);
        OSObjectRelease(streams[i]);
    }
    return ok;
}

void
dx_host_save_device(dx_host *host, struct dx_entry *entry)
{
    OSDictionary *const state = OSDictionaryCreate(3);
    OSDictionary *const controls = OSDictionaryCreate(8);
    OSDictionary *const formats = OSDictionaryCreate(4);
    const double rate_hz = IOUserAudioDeviceGetSampleRate(entry->object);
    OSData *const rate = OSDataCreate(&rate_hz, sizeof rate_hz);
    bool ok = state && controls && formats && rate;
    ok = ok && save_controls(controls, entry->object) &&
         save_formats(formats, entry->object, IOUserAudioStreamDirectionInput) &&
         save_formats(formats, entry->object, IOUserAudioStreamDirectionOutput);
    ok = ok && OSDictionarySetObject(state, "rate", rate) &&
         OSDictionarySetObject(state, "controls", controls) && OSDictionarySetObject(state, "formats", formats);
    if (ok) {
        dx_mutex_lock(&host->lock);
        ok = OSDictionarySetObject(host->saved, entry->device.uid, state);
        dx_mutex_unlock(&host->lock);
    }
    if (!ok)
        dx_host_log(host, "%s: no memory to keep its settings", entry->device.uid);
    OSObjectRelease(rate);
    OSObjectRelease(formats);
    OSObjectRelease(controls);
    OSObjectRelease(state);
}

static OSDictionary *
copy_state(dx_host *host, const char *uid)
{
    dx_mutex_lock(&host->lock);
    OSDictionary *const state = OSDynamicCast(OSDictionary, OSDictionaryGetObject(host->saved, uid));
    OSObjectRetain(state);
    dx_mutex_unlock(&host->lock);
    return state;
}

static void
restore_controls(dx_host *host, const char *uid, IOUserAudioDevice *object, const OSDictionary *controls)
{
    IOUserAudioControl *list[MAX_CONTROLS];
    uint32_t count = dx_clock_device_copy_controls((IOUserAudioClockDevice *)object, list, MAX_CONTROLS);
    count = count < MAX_CONTROLS ? count : MAX_CONTROLS;
    for (uint32_t i = 0; i < count; i++) {
        struct dx_control_identity identity;
        if (dx_control_get_identity(list[i], &identity) && identity.is_settable) {
            char key[DX_CONTROL_KEY_BYTES];
            dx_control_write_key(&identity, key);
            OSObjectPtr const value = OSDictionaryGetObject(controls, key);
            const kern_return_t status = value ? dx_control_set_from_host(list[i], value) : kIOReturnSuccess;
            if (status != kIOReturnSuccess)
                dx_host_log(host, "%s: control %s keeps its own value: %s", uid, key, dx_return_string(status));
        }
        OSObjectRelease(list[i]);
    }
}

static bool
has_format(IOUserAudioStream *stream, const IOUserAudioStreamBasicDescription *format)
{
    IOUserAudioStreamBasicDescription formats[256];
    const size_t count = IOUserAudioStreamGetAvailableStreamFormats(stream, formats, 256);
    for (size_t i = 0; i < count; i++)
        if (memcmp(&formats[i], format, sizeof *format) == 0)
            return true;
    return false;
}

static void
restore_formats(dx_host *host, const char *uid, IOUserAudioDevice *object, const OSDictionary *formats,
                IOUserAudioStreamDirection direction)
{
    IOUserAudioStream *streams[DX_MAX_STREAMS];
    uint32_t count = dx_device_copy_streams(object, direction, streams, DX_MAX_STREAMS);
    count = count < DX_MAX_STREAMS ? count : DX_MAX_STREAMS;
    for (uint32_t i = 0; i < count; i++) {
        char key[32];
        write_stream_key(key, sizeof key, direction, i);
        const OSData *const data = OSDynamicCast(OSData, OSDictionaryGetObject(formats, key));
        IOUserAudioStreamBasicDescription format;
        /* Formats that the driver no longer has are not what it can be given. */
        if (data && OSDataGetLength(data) == sizeof format) {
            memcpy(&format, OSDataGetBytesNoCopy(data), sizeof format);
            const kern_return_t status = has_format(streams[i], &format)
                                             ? IOUserAudioStreamHandleChangeCurrentStreamFormat(streams[i], &format)
                                             : kIOReturnSuccess;
            if (status != kIOReturnSuccess)
                dx_host_log(host, "%s: stream %s keeps its own format: %s", uid, key, dx_return_string(status));
        }
        OSObjectRelease(streams[i]);
    }
}

/* The streams go along, as in a change of rate by the protocol. */
static void
follow_rate(IOUserAudioDevice *object, double rate_hz)
{
    for (IOUserAudioStreamDirection direction = 0; direction < 2; direction++) {
        IOUserAudioStream *streams[DX_MAX_STREAMS];
        uint32_t count = dx_device_copy_streams(object, direction, streams, DX_MAX_STREAMS);
        count = count < DX_MAX_STREAMS ? count : DX_MAX_STREAMS;
        for (uint32_t i = 0; i < count; i++) {
            (void)IOUserAudioStreamDeviceSampleRateChanged(streams[i], rate_hz); // none at that rate: it stays
            OSObjectRelease(streams[i]);
        }
    }
}

static void
restore_rate(dx_host *host, const char *uid, IOUserAudioDevice *object, const OSDictionary *state)
{
    const OSData *const data = OSDynamicCast(OSData, OSDictionaryGetObject(state, "rate"));
    double rate_hz;
    if (!data || OSDataGetLength(data) != sizeof rate_hz)
        return;
    memcpy(&rate_hz, OSDataGetBytesNoCopy(data), sizeof rate_hz);
    double rates[256];
    const size_t count = IOUserAudioDeviceGetAvailableSampleRates(object, rates, 256);
    for (size_t i = 0; i < count; i++) {
        if (rates[i] != rate_hz || rate_hz == IOUserAudioDeviceGetSampleRate(object))
            continue;
        const kern_return_t status = IOUserAudioDeviceHandleChangeSampleRate(object, rate_hz);
        if (status != kIOReturnSuccess)
            dx_host_log(host, "%s: keeps its own rate: %s", uid, dx_return_string(status));
        else
            follow_rate(object, rate_hz);
        return;
    }
}

void
dx_host_restore_device(dx_host *host, struct dx_entry *entry)
{
    OSDictionary *const state = copy_state(host, entry->device.uid);
    if (!state)
        return;
    IOUserAudioDevice *const object = dx_entry_copy_object(&entry->device);
    const OSDictionary *const controls = OSDynamicCast(OSDictionary, OSDictionaryGetObject(state, "controls"));
    const OSDictionary *const formats = OSDynamicCast(OSDictionary, OSDictionaryGetObject(state, "formats"));
    if (formats && dx_device_wants_stream_formats_restored(object)) {
        restore_rate(host, entry->device.uid, object, state);
        restore_formats(host, entry->device.uid, object, formats, IOUserAudioStreamDirectionInput);
        restore_formats(host, entry->device.uid, object, formats, IOUserAudioStreamDirectionOutput);
    }
    if (controls && dx_clock_device_wants_controls_restored((IOUserAudioClockDevice *)object))
        restore_controls(host, entry->device.uid, object, controls);
    OSObjectRelease(object);
    OSObjectRelease(state);
}

OSDictionary *
dx_host_copy_saved_state(dx_host *host)
{
    struct dx_entry **const entries = host ? calloc(DX_HOST_MAX_DEVICES, sizeof *entries) : NULL;
    if (!entries)
        return NULL;
    const uint32_t count = dx_host_copy_entries(host, entries); // hidden ones too
    for (uint32_t i = 0; i < count; i++) {
        dx_mutex_lock(&entries[i]->lock);
        if (entries[i]->object)
            dx_host_save_device(host, entries[i]);
        dx_mutex_unlock(&entries[i]->lock);
        dx_entry_release(entries[i]);
    }
    free(entries);
    dx_mutex_lock(&host->lock);
    OSDictionary *const copy = OSDictionaryCreateWithDictionary(host->saved);
    dx_mutex_unlock(&host->lock);
    return copy;
}
