// SPDX-License-Identifier: MIT
// Runs the driver of a bundle, makes its device fit the file, and opens a client on it.

#include "cli/control.h"
#include "cli/process.h"

#include <dextral/IOUserAudioDevice.h>
#include <dextral/IOUserAudioDriver.h>
#include <dextral/IOUserAudioStream.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DRIVERS 64u
#define MAX_DEVICES 64u
#define MAX_RATES 256u
#define MAX_FORMATS 256u
#define MAX_LANE_BYTES (64u << 20)
#define MIN_LANE_FRAMES 8192u

/* What lives as long as the clock runs. */
struct stage {
    struct process_session *session;
    dx_host *host;
    IOUserAudioDriver *drivers[MAX_DRIVERS];
    size_t driver_count;
    dx_device *device;
    IOUserAudioDevice *object; // of the device
    IOUserAudioDriver *driver; // whose it is, borrowed from drivers
    dx_client *client;
};

static void
log_line(void *context, const char *line)
{
    (void)context;
    cli_progress_clear(); // it is drawn anew with the next block
    cli_note("%s", line);
}

static int
start_host(struct stage *stage)
{
    const struct process_options *const options = stage->session->options;
    const dx_host_config config = {
        .size = sizeof config,
        .io_priority = options->priority,
        .io_cpu = options->cpu,
        .log = log_line,
    };
    char text[CLI_STATUS_BYTES];
    const kern_return_t status = dx_host_create(&config, &stage->host);
    if (status != kIOReturnSuccess)
        return cli_fail(CLI_FAILED, "the host did not start: %s", cli_status_text(status, text));
    return CLI_OK;
}

/* Runs the driver of each personality. */
static int
start_drivers(struct stage *stage)
{
    dx_bundle *const bundle = stage->session->bundle;
    for (size_t i = 0; i < dx_bundle_personality_count(bundle); i++) {
        OSDictionary *const personality = dx_bundle_personality(bundle, i);
        const char *const name = OSDictionaryGetStringValue(personality, "IOUserClass");
        const char *const provider = OSDictionaryGetStringValue(personality, "IOProviderClass");
        if (provider && strncmp(provider, "IOUSBHost", strlen("IOUSBHost")) == 0)
            return cli_fail(CLI_BAD_DRIVER,
                            "the driver %s is for a USB device, which only the supervisor gives to a driver: 'dextral "
                            "approve' its bundle, and plug the device in",
                            name);
        dx_error error = {""};
        if (dx_bundle_create_driver(bundle, i, &stage->drivers[i], &error) != kIOReturnSuccess)
            return cli_fail_about(CLI_BAD_DRIVER, stage->session->options->driver, error.message);
        stage->driver_count = i + 1;
        char text[CLI_STATUS_BYTES];
        const kern_return_t status = dx_host_start_driver(stage->host, stage->drivers[i], personality);
        if (status != kIOReturnSuccess)
            return cli_fail(
                CLI_BAD_DRIVER, "the driver %s did not start: %s%s", name, cli_status_text(status, text),
                status == kIOReturnNoSpace
                    ? "; is a stream's ring smaller than the zero-timestamp period times a frame's bytes?"
                    : "");
    }
    dx_host_settle(stage->host);
    return CLI_OK;
}

/* "a, b, c". */
static void
list_devices(dx_device *const *devices, size_t count, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && length < size; i++) {
        const int added =
            snprintf(text + length, size - length, "%s%s", i > 0 ? ", " : "", dx_device_uid(devices[i]));
        length += added > 0 ? (size_t)added : 0;
    }
}

static int
pick_device(struct stage *stage)
{
    const char *const uid = stage->session->options->device;
    dx_device *devices[MAX_DEVICES];
    size_t count = dx_host_copy_devices(stage->host, devices, MAX_DEVICES);
    if (count > MAX_DEVICES)
        count = MAX_DEVICES;
    char list[600];
    list_devices(devices, count, list, sizeof list);
    if (uid)
        stage->device = dx_host_copy_device(stage->host, uid);
    else if (count == 1)
        stage->device = dx_device_retain(devices[0]);
    for (size_t i = 0; i < count; i++)
        dx_device_release(devices[i]);

    if (!stage->device && uid)
        return cli_fail(CLI_USAGE, "process: the driver has no device %s; it has: %s", uid, count ? list : "none");
    if (!stage->device && count == 0)
        return cli_fail(CLI_BAD_DRIVER, "the driver started but published no device");
    if (!stage->device)
        return cli_fail(CLI_USAGE, "process: the driver has several devices, give --device with one of: %s", list);
    stage->object = dx_device_copy_object(stage->device);
    return stage->object ? CLI_OK
                         : cli_fail(CLI_BAD_DRIVER, "the device %s has no driver", dx_device_uid(stage->device));
}

/* The driver that has the device: needed to find its streams by their ids. */
static void
find_driver(struct stage *stage)
{
    const IOUserAudioObjectID id = IOUserAudioObjectGetObjectID(stage->object);
    for (size_t i = 0; i < stage->driver_count && !stage->driver; i++) {
        IOUserAudioObject *const object = IOUserAudioDriverGetAudioObjectForObjectID(stage->drivers[i], id);
        if ((const void *)object == (const void *)stage->object)
            stage->driver = stage->drivers[i];
        OSObjectRelease(object);
    }
}

static int
get_info(struct stage *stage)
{
    dx_device_info *const info = &stage->session->result.device;
    *info = (dx_device_info){.size = sizeof *info};
    const kern_return_t status = dx_device_get_info(stage->device, info);
    if (status != kIOReturnSuccess)
        return cli_fail(CLI_FAILED, "%s: %s", dx_device_uid(stage->device), dx_return_string(status));
    return CLI_OK;
}

/* Rate. */

static int
refuse_rate(const double *rates, size_t count, double wanted)
{
    char list[300] = "";
    size_t length = 0;
    for (size_t i = 0; i < count && length < sizeof list; i++) {
        const int added = snprintf(list + length, sizeof list - length, "%s%g", i > 0 ? ", " : "", rates[i]);
        length += added > 0 ? (size_t)added : 0;
    }
    return cli_fail(CLI_USAGE, "process: --rate %g: the device has %s Hz", wanted, list);
}

static bool
has_rate(const double *rates, size_t count, double wanted)
{
    for (size_t i = 0; i < count; i++) {
        if (rates[i] == wanted)
            return true;
    }
    return false;
}

/* The lowest that is not below the file's, so that nothing of it is cut off; else the highest. */
static double
nearest_rate(const double *rates, size_t count, double wanted)
{
    double best = rates[0];
    for (size_t i = 1; i < count; i++) {
        const bool is_better = best < wanted ? rates[i] > best : rates[i] >= wanted && rates[i] < best;
        if (is_better)
            best = rates[i];
    }
    return best;
}

static int
set_rate(struct stage *stage)
{
    const struct process_options *const options = stage->session->options;
    const double current = stage->session->result.device.sample_rate_hz;
    const double wanted =
        options->rate_hz > 0.0 ? options->rate_hz : dx_file_reader_info(stage->session->reader)->rate_hz;
    double rates[MAX_RATES];
    size_t count = IOUserAudioClockDeviceGetAvailableSampleRates(stage->object, rates, MAX_RATES);
    if (count == 0)
        rates[count++] = current;
    if (options->rate_hz > 0.0 && !has_rate(rates, count, wanted))
        return refuse_rate(rates, count, wanted);
    const double rate = nearest_rate(rates, count, wanted);
    if (rate == current)
        return CLI_OK;
    char text[CLI_STATUS_BYTES];
    const kern_return_t status = dx_device_set_sample_rate(stage->device, rate);
    if (status != kIOReturnSuccess)
        return cli_fail(CLI_BAD_DRIVER, "the device refused its rate of %g Hz: %s", rate,
                        cli_status_text(status, text));
    return get_info(stage);
}

/* Format. */

/* How badly a format suits the file: lower is better, UINT32_MAX is not at all. */
static uint32_t
rank_format(const IOUserAudioStreamBasicDescription *format, double rate_hz, uint32_t channels)
{
    if (format->mFormatID != IOUserAudioFormatIDLinearPCM || format->mFormatFlags & FormatFlagIsNonMixable ||
        format->mSampleRate != rate_hz || format->mChannelsPerFrame == 0)
        return UINT32_MAX;
    const uint32_t extra = format->mChannelsPerFrame >= channels
                               ? format->mChannelsPerFrame - channels
                               : DX_FILE_MAX_CHANNELS + channels - format->mChannelsPerFrame;
    const uint32_t coarse = format->mFormatFlags & FormatFlagIsFloat ? 0
                            : format->mBitsPerChannel < 64           ? 64 - format->mBitsPerChannel
                                                                     : 0;
    return extra * 100 + coarse;
}

/* Chooses the available format that holds the file best: all its channels, then as much of each sample. */
static int
set_format(struct stage *stage, IOUserAudioStreamDirection direction)
{
    const dx_device_info *const info = &stage->session->result.device;
    const bool is_output = direction == IOUserAudioStreamDirectionOutput;
    const dx_stream_info *const stream = is_output ? &info->outputs[0] : &info->inputs[0];
    const uint32_t channels = dx_file_reader_info(stage->session->reader)->channels;
    IOUserAudioStreamBasicDescription formats[MAX_FORMATS];
    size_t count = 0;
    IOUserAudioObject *const object =
        stage->driver ? IOUserAudioDriverGetAudioObjectForObjectID(stage->driver, stream->object) : NULL;
    IOUserAudioStream *const stream_object = OSDynamicCast(IOUserAudioStream, object);
    if (stream_object)
        count = IOUserAudioStreamGetAvailableStreamFormats(stream_object, formats, MAX_FORMATS);
    OSObjectRelease(object);

    const IOUserAudioStreamBasicDescription *best = &stream->physical;
    uint32_t best_rank = rank_format(best, info->sample_rate_hz, channels);
    for (size_t i = 0; i < count; i++) {
        const uint32_t rank = rank_format(&formats[i], info->sample_rate_hz, channels);
        if (rank < best_rank) {
            best = &formats[i];
            best_rank = rank;
        }
    }
    if (best_rank == UINT32_MAX)
        return cli_fail(CLI_BAD_DRIVER, "the device's %s stream has no mixable format at %g Hz",
                        is_output ? "output" : "input", info->sample_rate_hz);
    if (best == &stream->physical)
        return CLI_OK;
    char text[CLI_STATUS_BYTES];
    const kern_return_t status = dx_device_set_stream_format(stage->device, direction, 0, best);
    if (status != kIOReturnSuccess)
        return cli_fail(CLI_BAD_DRIVER, "the device refused a format of its own %s stream: %s",
                        is_output ? "output" : "input", cli_status_text(status, text));
    return get_info(stage);
}

static int
set_io_frames(struct stage *stage)
{
    const uint32_t frames = stage->session->options->io_frames;
    if (frames == 0)
        return CLI_OK;
    if (dx_device_set_io_frames(stage->device, frames) != kIOReturnSuccess)
        return cli_fail(
            CLI_USAGE,
            "process: --io-frames %u does not fit: three cycles and the safety offsets must fit into the "
            "device's ring of %u frames",
            frames, stage->session->result.device.ring_frames);
    return get_info(stage);
}

static int
fit_device(struct stage *stage)
{
    int code = get_info(stage);
    if (code == CLI_OK)
        code = set_rate(stage);
    const dx_device_info *const info = &stage->session->result.device;
    if (code == CLI_OK && info->input_streams == 0)
        return cli_fail(CLI_BAD_DRIVER, "the device %s has no input stream: there is nothing to record",
                        dx_device_uid(stage->device));
    if (code == CLI_OK && info->output_streams > 0)
        code = set_format(stage, IOUserAudioStreamDirectionOutput);
    if (code == CLI_OK)
        code = set_format(stage, IOUserAudioStreamDirectionInput);
    if (code == CLI_OK)
        code = set_io_frames(stage);
    return code;
}

/* DSP. */

static int
add_dsps(struct stage *stage)
{
    struct process_session *const session = stage->session;
    const IOUserAudioStreamDirection direction = session->result.device.output_streams > 0
                                                     ? IOUserAudioStreamDirectionOutput
                                                     : IOUserAudioStreamDirectionInput;
    for (size_t i = 0; i < session->options->dsp_count; i++) {
        struct process_dsp *const dsp = &session->dsps[i];
        const dx_dsp_plugin *const plugin = dx_dsp_get_plugin(dsp->dsp);
        void *const instance = dx_dsp_get_instance(dsp->dsp);
        char text[CLI_STATUS_BYTES];
        const kern_return_t status = dx_device_add_dsp(stage->device, direction, 0, plugin, instance);
        if (status != kIOReturnSuccess)
            return cli_fail(CLI_BAD_DRIVER, "%s cannot be used with this device: %s", plugin->name,
                            cli_status_text(status, text));
        dsp->is_in_chain = true;
        dsp->latency_frames = plugin->latency_frames(instance);
        session->result.latency_frames += dsp->latency_frames;
    }
    return CLI_OK;
}

static void
remove_dsps(struct stage *stage)
{
    for (size_t i = 0; i < PROCESS_MAX_DSPS; i++) {
        struct process_dsp *const dsp = &stage->session->dsps[i];
        if (dsp->is_in_chain)
            (void)dx_device_remove_dsp(stage->device, dx_dsp_get_instance(dsp->dsp)); // it is there
        dsp->is_in_chain = false;
    }
}

/* Files. */

static void
note_channels(const struct stage *stage)
{
    const dx_device_info *const info = &stage->session->result.device;
    const uint32_t channels = dx_file_reader_info(stage->session->reader)->channels;
    if (info->output_streams == 0) {
        cli_note("the device plays nothing: of %s only the length is used", stage->session->options->input);
        return;
    }
    const uint32_t device_channels = info->outputs[0].client.mChannelsPerFrame;
    if (device_channels == 1 && channels > 1)
        cli_note("the device has one channel: the file's %u are played as their mean", channels);
    else if (device_channels < channels)
        cli_note("the device has %u channels: of the file's %u the others are not played", device_channels,
                 channels);
}

static int
open_files(struct stage *stage)
{
    struct process_session *const session = stage->session;
    const struct process_options *const options = session->options;
    const dx_device_info *const device = &session->result.device;
    const struct dx_file_info *const input = dx_file_reader_info(session->reader);
    const uint32_t in_channels = device->inputs[0].client.mChannelsPerFrame;
    const uint32_t out_channels =
        device->output_streams > 0 ? device->outputs[0].client.mChannelsPerFrame : in_channels;
    dx_error error = {""};
    kern_return_t status = dx_file_reader_convert(session->reader, device->sample_rate_hz, out_channels, &error);
    if (status != kIOReturnSuccess)
        return cli_fail_about(status == kIOReturnBadArgument ? CLI_BAD_INPUT : CLI_FAILED, options->input,
                              error.message);

    const double more = options->tail_seconds * input->rate_hz +
                        session->result.latency_frames * (input->rate_hz / device->sample_rate_hz) + 0.5;
    struct dx_file_writer_config config = {
        .path = options->output,
        .encoding = options->encoding,
        .info = *input,
        .source_rate_hz = device->sample_rate_hz,
        .source_channels = in_channels,
    };
    config.info.frames += (uint64_t)more;
    session->result.input = *input;
    session->result.output = config.info;
    status = dx_file_writer_open(&config, &session->writer, &error);
    if (status != kIOReturnSuccess)
        return cli_fail(status == kIOReturnBadArgument ? CLI_USAGE : CLI_BAD_OUTPUT, "%s", error.message);
    return CLI_OK;
}

/* Client. */

static int
open_client(struct stage *stage)
{
    const dx_device_info *const info = &stage->session->result.device;
    const bool has_output = info->output_streams > 0;
    uint32_t lane_frames = (uint32_t)(info->sample_rate_hz / 2.0); // a disk may take its time
    if (has_output && lane_frames > MAX_LANE_BYTES / info->outputs[0].client.mBytesPerFrame)
        lane_frames = MAX_LANE_BYTES / info->outputs[0].client.mBytesPerFrame;
    const uint32_t least = info->io_frames * 8 > MIN_LANE_FRAMES ? info->io_frames * 8 : MIN_LANE_FRAMES;
    const dx_client_config config = {
        .size = sizeof config,
        .name = "process",
        .output_stream = has_output ? 0 : DX_NO_STREAM,
        .input_stream = 0,
        .buffer_frames = lane_frames > least ? lane_frames : least,
        .priority = stage->session->options->priority < 0 ? -1 : 0,
    };
    char text[CLI_STATUS_BYTES];
    const kern_return_t status = dx_client_open(stage->device, &config, &stage->client);
    if (status != kIOReturnSuccess)
        return cli_fail(CLI_BAD_DRIVER, "the device %s cannot be opened: %s", dx_device_uid(stage->device),
                        cli_status_text(status, text));
    return CLI_OK;
}

static void
clear_stage(struct stage *stage)
{
    dx_client_close(stage->client);
    remove_dsps(stage);
    OSObjectRelease(stage->object);
    dx_device_release(stage->device);
    for (size_t i = stage->driver_count; i-- > 0;)
        (void)dx_host_stop_driver(stage->host, stage->drivers[i]); // its answer does not matter: the host goes
    dx_host_destroy(stage->host);
    for (size_t i = 0; i < stage->driver_count; i++)
        OSObjectRelease(stage->drivers[i]);
}

/* --set KEY=VALUE, in the order given. */
static int
set_controls(struct stage *stage)
{
    const struct process_options *const options = stage->session->options;
    for (size_t i = 0; i < options->set_count; i++) {
        const char *const text = options->sets[i];
        const size_t key_length = strcspn(text, "="); // there is one: see take_set()
        char what[200];
        (void)snprintf(what, sizeof what, "process: --set %s", text);
        const struct cli_setting setting = {what, text, key_length, text + key_length + 1};
        const int code = cli_set_control(stage->device, &setting);
        if (code != CLI_OK)
            return code;
    }
    return CLI_OK;
}

static int
run_stage(struct stage *stage)
{
    struct process_session *const session = stage->session;
    int code = start_host(stage);
    if (code == CLI_OK)
        code = start_drivers(stage);
    if (code == CLI_OK)
        code = pick_device(stage);
    if (code != CLI_OK)
        return code;
    (void)snprintf(session->result.uid, sizeof session->result.uid, "%s", dx_device_uid(stage->device));
    find_driver(stage);
    /* A control may change what rates and formats there are: first it, and what the driver asks for then. */
    code = set_controls(stage);
    dx_host_settle(stage->host);
    if (code == CLI_OK)
        code = fit_device(stage);
    if (code == CLI_OK)
        code = add_dsps(stage);
    if (code == CLI_OK)
        code = open_files(stage);
    if (code == CLI_OK)
        code = open_client(stage);
    if (code != CLI_OK)
        return code;
    note_channels(stage);
    code = process_stream(session, stage->client);
    session->result.statistics = (dx_device_statistics){.size = sizeof session->result.statistics};
    (void)dx_device_get_statistics(stage->device, &session->result.statistics); // the size is right
    return code;
}

int
process_run(struct process_session *session)
{
    struct stage *const stage = calloc(1, sizeof *stage); // too large for a fiber's stack
    if (!stage)
        return cli_fail(CLI_FAILED, "no memory");
    stage->session = session;
    const int code = run_stage(stage);
    clear_stage(stage);
    free(stage);
    return code;
}

/* A parameter that cannot be is a wrong argument; everything else is the plug-in's. */
static int
open_dsp(const char *spec, dx_dsp **ret_dsp)
{
    char path[PATH_MAX];
    const char *const slash = strrchr(spec, '/');
    const size_t name = slash ? (size_t)(slash - spec) : 0; // a folder's name may have a colon, a plug-in's has none
    (void)snprintf(path, sizeof path, "%.*s", (int)(name + strcspn(spec + name, ":")), spec);
    dx_error error = {""};
    const kern_return_t status = dx_dsp_open(spec, ret_dsp, &error);
    if (status == kIOReturnSuccess)
        return CLI_OK;
    return cli_fail_about(status == kIOReturnBadArgument ? CLI_USAGE : CLI_BAD_DRIVER, path, error.message);
}

int
process_open(struct process_session *session, const struct process_options *options)
{
    dx_error error = {""};
    session->options = options;
    kern_return_t status = dx_file_reader_open(options->input, &session->reader, &error);
    if (status != kIOReturnSuccess)
        return cli_fail(status == kIOReturnUnsupported || status == kIOReturnNoMemory ? CLI_FAILED : CLI_BAD_INPUT,
                        "%s", error.message);
    status = dx_bundle_open(options->driver, &session->bundle, &error);
    if (status != kIOReturnSuccess)
        return cli_fail_about(CLI_BAD_DRIVER, options->driver, error.message);
    for (size_t i = 0; i < options->dsp_count; i++) {
        const int code = open_dsp(options->dsps[i], &session->dsps[i].dsp);
        if (code != CLI_OK)
            return code;
    }
    (void)snprintf(session->result.identifier, sizeof session->result.identifier, "%s",
                   dx_bundle_identifier(session->bundle));
    (void)snprintf(session->result.version, sizeof session->result.version, "%s",
                   dx_bundle_version(session->bundle));
    return CLI_OK;
}

void
process_close(struct process_session *session)
{
    for (size_t i = 0; i < PROCESS_MAX_DSPS; i++)
        dx_dsp_close(session->dsps[i].dsp);
    dx_file_writer_close(session->writer);
    dx_file_reader_close(session->reader);
    dx_bundle_close(session->bundle);
    *session = (struct process_session){0};
}
