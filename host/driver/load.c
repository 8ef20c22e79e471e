// SPDX-License-Identifier: MIT
// Loading: what is asked for, the sandbox, then the bundle and its drivers; and the way back.

#include "audio/host.h"
#include "host/driver/state.h"
#include "host/error.h"
#include "host/protocol.h"
#include "host/usb_match.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is asked for ---- */

static bool
copy_string(const OSDictionary *body, const char *key, char **ret_copy)
{
    const char *const found = dx_wire_get_string(body, key);
    *ret_copy = found ? strdup(found) : NULL;
    return *ret_copy || !found;
}

static bool
keep_request(struct dx_process_job *job, const struct dx_message *message)
{
    struct dx_driver_process *const process = job->process;
    const OSDictionary *const body = message->body;
    process->incarnation = (uint32_t)dx_wire_get_number(body, DX_KEY_INCARNATION, 0);
    process->has_network = dx_wire_get_bool(body, "network");
    process->properties = OSObjectRetain(dx_wire_get_dictionary(body, "properties"));
    process->saved_state = OSObjectRetain(dx_wire_get_dictionary(body, "saved-state"));
    process->memory = dx_process_memory_create(job, message);
    return process->memory && dx_process_providers_take(job, message) && copy_string(body, DX_KEY_TOKEN, &process->token) &&
           copy_string(body, "socket", &process->socket_path) && copy_string(body, "path", &process->path) &&
           copy_string(body, "personality", &process->personality);
}

/* ---- the sandbox ---- */

/* The folder of a file; false where it has none, or has no room. */
static bool
find_folder(const char *path, char *ret_folder, size_t bytes)
{
    const char *const slash = path ? strrchr(path, '/') : NULL;
    const size_t length = slash ? (size_t)(slash - path) : 0;
    if (!length || length >= bytes)
        return false;
    memcpy(ret_folder, path, length);
    ret_folder[length] = '\0';
    return true;
}

static void
close_sandbox(struct dx_driver_process *process, bool is_open)
{
    process->sandbox = process->config->limit();
    if (is_open) {
        dx_process_log("%s: the sandbox stays open, as the supervisor was told", process->path);
        return;
    }
    char library[4096], socket_folder[4096];
    Dl_info info = {0};
    const bool has_library = dladdr((const void *)(uintptr_t)dx_driver_process_run, &info) &&
                             find_folder(info.dli_fname, library, sizeof library);
    const struct dx_sandbox_config config = {
        .bundle = process->path,
        .library = has_library ? library : NULL,
        .socket_folder =
            find_folder(process->socket_path, socket_folder, sizeof socket_folder) ? socket_folder : NULL,
        .usb = process->provider_count > 0,
        .network = process->has_network,
    };
    process->sandbox |= process->config->close(&config);
}

/* The names of the parts that hold, or that do not. */
static OSArray *
name_parts(const struct dx_driver_process *process, bool holding)
{
    OSArray *names = OSArrayCreate(DX_SANDBOX_PARTS);
    bool done = names;
    for (unsigned part = 0; done && part < DX_SANDBOX_PARTS; part++) {
        if ((bool)(process->sandbox & 1u << part) != holding ||
            (part == DX_SANDBOX_NETWORK && process->has_network))
            continue;
        OSString *const name = OSStringCreate(process->config->part_name((enum dx_sandbox_part)part));
        done = OSArraySetObject(names, name);
        OSObjectRelease(name);
    }
    if (!done)
        OSSafeReleaseNULL(names);
    return names;
}

static void
tell_loaded(struct dx_driver_process *process, kern_return_t status, const char *sentence)
{
    OSDictionary *event = dx_process_event(DX_EVENT_LOADED);
    if (event && !(OSDictionarySetUInt64Value(event, DX_KEY_STATUS, (uint32_t)status) &&
                   (status == kIOReturnSuccess || OSDictionarySetStringValue(event, DX_KEY_ERROR, sentence)) &&
                   dx_wire_take(event, "sandbox", name_parts(process, true)) &&
                   dx_wire_take(event, "open", name_parts(process, false))))
        OSSafeReleaseNULL(event);
    dx_process_send(process, event, NULL, 0);
}

/* ---- on the work queue ---- */

static void
log_line(void *context, const char *line)
{
    (void)context;
    dx_process_log("%s", line);
}

static kern_return_t
make_host(struct dx_driver_process *process)
{
    const dx_host_config config = {
        .size = sizeof config,
        .listener = dx_process_listen,
        .listener_context = process,
        .saved_state = process->saved_state,
        .log = log_line,
    };
    const kern_return_t status = dx_host_create(&config, &process->host);
    if (status != kIOReturnSuccess)
        return status;
    const struct dx_host_memory memory = {
        .incarnation = process->incarnation,
        .context = process->memory,
        .find = dx_process_memory_find,
    };
    dx_host_set_memory(process->host, &memory);
    return kIOReturnSuccess;
}

/* By its name, or by its class: a declared device knows that alone. */
static bool
is_wanted(const struct dx_driver_process *process, size_t index)
{
    if (dx_usb_provider_class_of(dx_bundle_personality(process->bundle, index)) != DX_USB_NO_PROVIDER)
        return false; // there is none here
    if (!process->personality ||
        strcmp(dx_bundle_personality_name(process->bundle, index), process->personality) == 0)
        return true;
    const char *const class = dx_wire_get_string(dx_bundle_personality(process->bundle, index), "IOUserClass");
    return class && strcmp(class, process->personality) == 0;
}

/* What the personality says, and what this device in particular is to be. */
static OSDictionary *
merge_properties(const struct dx_driver_process *process, size_t index)
{
    OSDictionary *merged = OSDictionaryCreateWithDictionary(dx_bundle_personality(process->bundle, index));
    if (merged && process->properties && !OSDictionaryMerge(merged, process->properties))
        OSSafeReleaseNULL(merged);
    return merged;
}

static kern_return_t
start_driver(struct dx_driver_process *process, size_t index, IOService *provider, dx_error *error)
{
    OSDictionary *const properties = merge_properties(process, index);
    if (!properties)
        return dx_error_set(error, kIOReturnNoMemory, "no memory to start the driver");
    IOUserAudioDriver *driver = NULL;
    kern_return_t status = dx_bundle_create_driver(process->bundle, index, &driver, error);
    if (status == kIOReturnSuccess) {
        status = dx_host_start_driver_for(process->host, driver, properties, provider);
        if (status == kIOReturnSuccess)
            process->drivers[process->driver_count++] = driver;
        else {
            (void)dx_error_set(error, status, "Start of personality \"%.80s\" answered 0x%08x: %s",
                               dx_bundle_personality_name(process->bundle, index), (unsigned)status,
                               dx_return_string(status));
            OSObjectRelease(driver);
        }
    }
    OSObjectRelease(properties);
    return status;
}

/* One for each piece of hardware. */
static kern_return_t
start_for_hardware(struct dx_driver_process *process, dx_error *error)
{
    const size_t count = dx_bundle_personality_count(process->bundle);
    kern_return_t status = kIOReturnSuccess;
    for (size_t i = 0; i < process->provider_count && status == kIOReturnSuccess; i++) {
        const struct dx_process_provider *const provider = &process->providers[i];
        size_t index = 0;
        while (index < count && strcmp(dx_bundle_personality_name(process->bundle, index), provider->personality) != 0)
            index++;
        status = index < count ? start_driver(process, index, provider->service, error)
                               : dx_error_set(error, kIOReturnNotFound, "%s has no personality named %.80s",
                                              process->path, provider->personality);
    }
    return status;
}

static kern_return_t
start_drivers(struct dx_driver_process *process, dx_error *error)
{
    const size_t count = dx_bundle_personality_count(process->bundle);
    process->drivers = calloc(count + process->provider_count, sizeof(IOUserAudioDriver *));
    if (!process->drivers || make_host(process) != kIOReturnSuccess)
        return dx_error_set(error, kIOReturnNoMemory, "no memory, or no thread, for the host");
    if (process->provider_count)
        return start_for_hardware(process, error);
    kern_return_t status = kIOReturnSuccess;
    for (size_t i = 0; i < count && status == kIOReturnSuccess; i++)
        if (is_wanted(process, i))
            status = start_driver(process, i, NULL, error);
    if (status == kIOReturnSuccess && !process->driver_count)
        status = dx_error_set(error, kIOReturnNotFound, "%s has no personality, and no class of one, named %.80s",
                              process->path, process->personality);
    return status;
}

static void
run_load(struct dx_process_job *job)
{
    struct dx_driver_process *const process = job->process;
    job->status = dx_bundle_open(process->path, &process->bundle, &job->error);
    if (job->status == kIOReturnSuccess)
        job->status = start_drivers(process, &job->error);
}

static void
finish_load(struct dx_process_job *job)
{
    struct dx_driver_process *const process = job->process;
    if (job->status != kIOReturnSuccess)
        dx_process_log("%s", job->error.message);
    if (process->state != DX_PROCESS_LOADING)
        return; // it is to quit already
    process->state = DX_PROCESS_LOADED;
    tell_loaded(process, job->status, job->error.message);
    if (job->status != kIOReturnSuccess)
        dx_process_quit(process, DX_DRIVER_EXIT_NOT_LOADED);
}

void
dx_process_load(struct dx_process_job *job, struct dx_message *message)
{
    struct dx_driver_process *const process = job->process;
    if (process->state != DX_PROCESS_EMPTY) {
        dx_process_job_end(dx_process_job_fail(job, kIOReturnBusy, "this process has been told what to load"));
        return;
    }
    if (!dx_wire_get_string(message->body, "path")) {
        dx_process_job_end(dx_process_job_fail(job, kIOReturnBadArgument, "`load` has no path"));
        return;
    }
    const char *const sandbox = dx_wire_get_string(message->body, "sandbox");
    struct dx_process_job *const load = dx_process_job_create(process, run_load, finish_load);
    process->state = DX_PROCESS_LOADING;
    if (!load || !keep_request(job, message)) {
        free(load);
        dx_process_job_end(job->status != kIOReturnSuccess
                               ? job
                               : dx_process_job_fail(job, kIOReturnNoMemory, "no memory to load the driver"));
        dx_process_quit(process, DX_DRIVER_EXIT_NOT_STARTED);
        return;
    }
    /* There is one thread, still: what is closed now is closed for all that follow. */
    close_sandbox(process, sandbox && strcmp(sandbox, "off") == 0);
    dx_process_job_end(job);
    dx_process_follow_begin(process);
    if (!dx_process_realtime_create(process) || !dx_process_watchdog_create(process) ||
        !dx_process_job_start(load, process->work)) {
        dx_process_log("no memory, or no thread, to load the driver");
        dx_process_quit(process, DX_DRIVER_EXIT_NOT_STARTED);
    }
}

/* ---- and back ---- */

static void
run_unload(struct dx_process_job *job)
{
    struct dx_driver_process *const process = job->process;
    for (size_t i = 0; i < process->driver_count; i++) {
        const kern_return_t status = dx_host_stop_driver(process->host, process->drivers[i]);
        if (status != kIOReturnSuccess)
            dx_process_log("Stop answered 0x%08x: %s", (unsigned)status, dx_return_string(status));
        OSObjectRelease(process->drivers[i]);
    }
    free(process->drivers);
    process->drivers = NULL;
    process->driver_count = 0;
    dx_host_destroy(process->host);
    process->host = NULL;
    dx_bundle_close(process->bundle);
    process->bundle = NULL;
}

static void
finish_unload(struct dx_process_job *job)
{
    dx_loop_quit(job->process->loop);
}

void
dx_process_unload(struct dx_driver_process *process)
{
    struct dx_process_job *const job = dx_process_job_create(process, run_unload, finish_unload);
    if (!job || !dx_process_job_start(job, process->work))
        dx_loop_quit(process->loop); // nothing is left of the process, however little it cleans up
}
