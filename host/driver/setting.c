// SPDX-License-Identifier: MIT
// What is asked of a device besides its sessions: settings, custom properties, descriptions, counters.

#include "audio/handle.h"
#include "host/describe.h"
#include "host/driver/state.h"
#include "host/protocol.h"

#include <stdlib.h>
#include <string.h>

/* ---- set: on the device's queue ---- */

static void
fail_value(struct dx_process_job *job, const char *what)
{
    (void)dx_process_job_fail(job, kIOReturnBadArgument, "%s", what);
}

static kern_return_t
set_values(struct dx_process_job *job, const char *key, OSArray *array)
{
    IOUserAudioSelectorValue values[DX_MAX_SELECTED_VALUES];
    const size_t count = OSArrayGetCount(array);
    if (count > DX_MAX_SELECTED_VALUES)
        return kIOReturnNoSpace;
    for (size_t i = 0; i < count; i++) {
        const OSNumber *const number = OSDynamicCast(OSNumber, OSArrayGetObject(array, i));
        if (!number || OSNumberGetUInt64Value(number) > UINT32_MAX)
            return kIOReturnBadArgument;
        values[i] = OSNumberGetUInt32Value(number);
    }
    return dx_device_set_control_values(job->device->device, key, values, count);
}

/* By the one kind of value that is given. */
static void
set_control(struct dx_process_job *job)
{
    const OSDictionary *const arguments = job->arguments;
    dx_device *const device = job->device->device;
    const char *const key = dx_wire_get_string(arguments, "key");
    const char *const item = dx_wire_get_string(arguments, "item");
    OSArray *const values = dx_wire_get_array(arguments, "values");
    const uint64_t number = dx_wire_get_number(arguments, "number", UINT64_MAX);
    double real;
    if (!key)
        fail_value(job, "the setting names no control");
    else if (OSDictionaryGetObject(arguments, "boolean"))
        job->status = dx_device_set_control_boolean(device, key, dx_wire_get_bool(arguments, "boolean"));
    else if (number <= UINT32_MAX)
        job->status = dx_device_set_control_number(device, key, (uint32_t)number);
    else if (dx_wire_get_double(arguments, "decibels-f64", &real))
        job->status = dx_device_set_control_decibels(device, key, (float)real);
    else if (dx_wire_get_double(arguments, "scalar-f64", &real))
        job->status = dx_device_set_control_scalar(device, key, (float)real);
    else if (dx_wire_get_double(arguments, "position-f64", &real))
        job->status = dx_device_set_control_position(device, key, (float)real);
    else if (item)
        job->status = dx_device_set_control_item(device, key, item);
    else if (values)
        job->status = set_values(job, key, values);
    else
        fail_value(job, "the setting has no value for the control");
}

static void
set_rate(struct dx_process_job *job)
{
    double rate_hz;
    if (dx_wire_get_double(job->arguments, "rate-f64", &rate_hz))
        job->status = dx_device_set_sample_rate(job->device->device, rate_hz);
    else
        fail_value(job, "the setting has no rate");
}

static void
set_format(struct dx_process_job *job)
{
    const uint64_t direction = dx_wire_get_number(job->arguments, "direction", UINT64_MAX);
    const uint64_t index = dx_wire_get_number(job->arguments, "index", UINT64_MAX);
    const OSDictionary *const body = dx_wire_get_dictionary(job->arguments, "format");
    IOUserAudioStreamBasicDescription format;
    if ((direction != IOUserAudioStreamDirectionInput && direction != IOUserAudioStreamDirectionOutput) ||
        index >= DX_MAX_STREAMS)
        fail_value(job, "the setting names no stream: direction and index");
    else if (!body || !dx_description_get_format(body, &format))
        fail_value(job, "the setting has no format that one can be");
    else
        job->status = dx_device_set_stream_format(job->device->device, (IOUserAudioStreamDirection)direction,
                                                  (uint32_t)index, &format);
}

static void
set_io_frames(struct dx_process_job *job)
{
    const uint64_t frames = dx_wire_get_number(job->arguments, "frames", UINT64_MAX);
    if (frames <= UINT32_MAX)
        job->status = dx_device_set_io_frames(job->device->device, (uint32_t)frames);
    else
        fail_value(job, "the setting has no number of frames");
}

static bool
read_address(struct dx_process_job *job, IOUserAudioObjectPropertyAddress *ret_address)
{
    const uint64_t selector = dx_wire_get_number(job->arguments, "selector", UINT64_MAX);
    const uint64_t scope = dx_wire_get_number(job->arguments, "scope", UINT64_MAX);
    const uint64_t element = dx_wire_get_number(job->arguments, "element", UINT64_MAX);
    if (selector > UINT32_MAX || scope > UINT32_MAX || element > UINT32_MAX) {
        fail_value(job, "a property needs selector, scope and element");
        return false;
    }
    *ret_address = (IOUserAudioObjectPropertyAddress){
        .mSelector = (uint32_t)selector,
        .mScope = (IOUserAudioObjectPropertyScope)scope,
        .mElement = (uint32_t)element,
    };
    return true;
}

static void
set_property(struct dx_process_job *job)
{
    IOUserAudioObjectPropertyAddress address;
    if (read_address(job, &address))
        job->status = dx_device_set_custom_property(job->device->device, address,
                                                    OSDictionaryGetObject(job->arguments, "qualifier"),
                                                    OSDictionaryGetObject(job->arguments, "value"));
}

static void
run_set(struct dx_process_job *job)
{
    static const struct {
        const char *what;
        void (*set)(struct dx_process_job *job);
    } settings[] = {
        {"control", set_control},     {"rate", set_rate},         {"format", set_format},
        {"io-frames", set_io_frames}, {"property", set_property},
    };
    const char *const what = dx_wire_get_string(job->arguments, "what");
    for (size_t i = 0; what && i < sizeof settings / sizeof settings[0]; i++)
        if (strcmp(settings[i].what, what) == 0) {
            settings[i].set(job);
            return;
        }
    (void)dx_process_job_fail(job, kIOReturnUnsupported, "the driver does not know the setting \"%.80s\"",
                              what ? what : "");
}

static void
run_get_property(struct dx_process_job *job)
{
    IOUserAudioObjectPropertyAddress address;
    OSObjectPtr value = NULL;
    if (!read_address(job, &address))
        return;
    job->status = dx_device_copy_custom_property(job->device->device, address,
                                                 OSDictionaryGetObject(job->arguments, "qualifier"), &value);
    if (job->status != kIOReturnSuccess)
        return;
    job->answer = OSDictionaryCreate(4);
    if (!job->answer || !OSDictionarySetObject(job->answer, "value", value))
        (void)dx_process_job_fail(job, kIOReturnNoMemory, "no memory for the value");
    OSObjectRelease(value);
}

/* ---- on the look queue ---- */

static void
run_describe(struct dx_process_job *job)
{
    job->answer = OSDictionaryCreate(4);
    if (!dx_wire_take(job->answer, DX_KEY_DESCRIPTION, dx_describe_device(job->device->device)))
        (void)dx_process_job_fail(job, kIOReturnNoMemory, "no memory for the description");
}

static void
run_statistics(struct dx_process_job *job)
{
    dx_device_info info = {.size = sizeof info};
    (void)dx_device_get_info(job->device->device, &info); // fails for bad arguments alone
    job->answer = dx_describe_statistics(job->device->device);
    if (job->answer && !dx_wire_set_double(job->answer, "actual-rate-f64", info.actual_rate_hz))
        OSSafeReleaseNULL(job->answer); // which is told as "no memory" right after this
}

/* How far its lane reached beyond the cycles: the median, what all but one of a hundred had, and the least. */
static bool
add_ahead(OSDictionary *to, const struct dx_histogram *ahead)
{
    OSDictionary *const body = OSDictionaryCreate(4);
    const bool done = body && OSDictionarySetUInt64Value(body, "count", dx_histogram_count(ahead)) &&
                      OSDictionarySetUInt64Value(body, "p50-ns", dx_histogram_quantile_ns(ahead, 0.5)) &&
                      OSDictionarySetUInt64Value(body, "p01-ns", dx_histogram_quantile_ns(ahead, 0.01)) &&
                      OSDictionarySetUInt64Value(body, "min-ns", dx_histogram_min_ns(ahead));
    return dx_wire_take(to, "ahead", body) && done;
}

/* What is counted for a session; +1, NULL without memory. */
static OSDictionary *
describe_session(const struct dx_process_session *session)
{
    const struct dx_member_counters *const counters =
        &session->device->device->page->members[session->member_index];
    OSDictionary *body = OSDictionaryCreate(4);
    /* relaxed: the IO thread counts meanwhile. */
    if (body &&
        !(OSDictionarySetUInt64Value(body, DX_KEY_SESSION, session->number) &&
          OSDictionarySetUInt64Value(body, "underrun-frames",
                                     atomic_load_explicit(&counters->underrun_frames, memory_order_relaxed)) &&
          OSDictionarySetUInt64Value(body, "limited-samples",
                                     atomic_load_explicit(&counters->limited_samples, memory_order_relaxed)) &&
          add_ahead(body, &session->ahead)))
        OSSafeReleaseNULL(body);
    return body;
}

/* Control thread, whose sessions are. */
static void
add_sessions(struct dx_process_job *job)
{
    OSArray *const array = OSArrayCreate(4);
    bool done = job->answer && array;
    for (const struct dx_process_session *session = job->process->sessions; done && session;
         session = session->next) {
        if (session->device != job->device || !session->has_joined)
            continue;
        OSDictionary *const body = describe_session(session);
        done = OSArraySetObject(array, body);
        OSObjectRelease(body);
    }
    if (!(dx_wire_take(job->answer, "sessions", array) && done))
        (void)dx_process_job_fail(job, kIOReturnNoMemory, "no memory for the counters");
}

/* ---- requests ---- */

static void
start_device_job(struct dx_process_job *job, void (*run)(struct dx_process_job *job), bool only_looks)
{
    job->device = dx_process_find_device(job);
    job->run = run;
    if (job->device)
        (void)dx_process_job_start(job, only_looks ? job->process->look : job->device->queue);
    else
        dx_process_job_end(job);
}

void
dx_process_set(struct dx_process_job *job, struct dx_message *message)
{
    (void)message;
    start_device_job(job, run_set, false);
}

void
dx_process_get_property(struct dx_process_job *job, struct dx_message *message)
{
    (void)message;
    start_device_job(job, run_get_property, false);
}

void
dx_process_describe(struct dx_process_job *job, struct dx_message *message)
{
    (void)message;
    start_device_job(job, run_describe, true);
}

void
dx_process_statistics(struct dx_process_job *job, struct dx_message *message)
{
    (void)message;
    job->done = add_sessions;
    start_device_job(job, run_statistics, true);
}
