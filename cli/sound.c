// SPDX-License-Identifier: MIT
// A device of the machine that 'dextral play' or 'dextral record' has open.

#include "cli/sound.h"

#include "cli/values.h"

#include <stdlib.h>
#include <string.h>

#define BUFFER_MS 500.0
#define USUAL_IO_FRAMES 512u
#define MAX_LANE_BYTES (64u << 20)

static int
find_device(struct sound *sound, const char *device, bool is_output)
{
    if (device)
        return cli_find_device(sound->name, sound->directory, device, &sound->device);
    sound->device = dx_directory_copy_default_device(
        sound->directory, is_output ? IOUserAudioStreamDirectionOutput : IOUserAudioStreamDirectionInput);
    return sound->device
               ? CLI_OK
               : cli_fail(CLI_USAGE,
                          "%s: there is no default device: give --device, or choose one with 'dextral set "
                          "default DEVICE'; 'dextral list' shows them",
                          sound->name);
}

/* How the samples of a non-mixable stream are stored; SAME where that is nothing that can be written here. */
static enum dx_file_encoding
find_encoding(const IOUserAudioStreamBasicDescription *format)
{
    const uint32_t flags = format->mFormatFlags;
    const bool is_float = flags & FormatFlagIsFloat;
    if (format->mFormatID != IOUserAudioFormatIDLinearPCM || flags & FormatFlagIsBigEndian ||
        flags & FormatFlagIsNonInterleaved || (!is_float && !(flags & FormatFlagIsSignedInteger)) ||
        (uint64_t)format->mBytesPerFrame * 8 != (uint64_t)format->mChannelsPerFrame * format->mBitsPerChannel)
        return DX_FILE_ENCODING_SAME;
    switch (format->mBitsPerChannel) {
    case 16:
        return is_float ? DX_FILE_ENCODING_SAME : DX_FILE_ENCODING_S16;
    case 24:
        return is_float ? DX_FILE_ENCODING_SAME : DX_FILE_ENCODING_S24;
    case 32:
        return is_float ? DX_FILE_ENCODING_F32 : DX_FILE_ENCODING_S32;
    case 64:
        return is_float ? DX_FILE_ENCODING_F64 : DX_FILE_ENCODING_SAME;
    default:
        return DX_FILE_ENCODING_SAME;
    }
}

/* What the client will write or read. */
static int
take_stream(struct sound *sound, const dx_device_info *info, bool is_output)
{
    const dx_stream_info *const stream = is_output ? &info->outputs[0] : &info->inputs[0];
    if ((is_output ? info->output_streams : info->input_streams) == 0)
        return cli_fail(CLI_USAGE, "%s: the device %s %s", sound->name, dx_device_uid(sound->device),
                        is_output ? "plays nothing: it only records" : "records nothing: it only plays");
    sound->rate_hz = info->sample_rate_hz;
    sound->channels = stream->client.mChannelsPerFrame;
    if (sound->channels == 0 || sound->channels > DX_FILE_MAX_CHANNELS || !(sound->rate_hz >= 1.0))
        return cli_fail(CLI_BAD_DRIVER, "%s: the device %s has %u channels at %g Hz", sound->name,
                        dx_device_uid(sound->device), sound->channels, sound->rate_hz);
    if (stream->is_mixable)
        return CLI_OK;
    sound->encoding = find_encoding(&stream->client);
    if (sound->encoding == DX_FILE_ENCODING_SAME)
        return cli_fail(
            CLI_BAD_DRIVER,
            "%s: the device %s is not mixable, and of a format that this command does not write: choose "
            "another with 'dextral set %s format', or use ALSA: dextral:%s",
            sound->name, dx_device_uid(sound->device), dx_device_uid(sound->device), dx_device_uid(sound->device));
    return CLI_OK;
}

static int
get_info(const struct sound *sound, dx_device_info *ret_info)
{
    *ret_info = (dx_device_info){.size = sizeof *ret_info};
    const kern_return_t status = dx_device_get_info(sound->device, ret_info);
    char text[CLI_STATUS_BYTES];
    return status == kIOReturnSuccess ? CLI_OK
                                      : cli_fail(cli_exit_code(status), "%s: %s: %s", sound->name,
                                                 dx_device_uid(sound->device), cli_status_text(status, text));
}

int
sound_find(struct sound *sound, const char *name, const char *device, bool is_output)
{
    dx_device_info info;
    sound->name = name;
    sound->clock = dx_clock_current();
    int code = cli_open_directory(name, &sound->directory);
    if (code == CLI_OK)
        code = find_device(sound, device, is_output);
    if (code == CLI_OK)
        code = get_info(sound, &info);
    if (code == CLI_OK)
        code = take_stream(sound, &info, is_output);
    if (code != CLI_OK || sound->encoding == DX_FILE_ENCODING_SAME)
        return code;
    sound->bytes = calloc((size_t)SOUND_BLOCK_FRAMES * sound->channels, cli_raw_sample_bytes(sound->encoding));
    return sound->bytes ? CLI_OK : cli_fail(CLI_FAILED, "no memory");
}

/* Says why a device cannot be used: what the supervisor knows of its driver, or else the status. */
static int
explain(const struct sound *sound, const char *what, kern_return_t status)
{
    char text[CLI_STATUS_BYTES];
    OSDictionary *const description = dx_directory_copy_description(sound->directory, sound->device);
    const char *const why = cli_get_text(description, "why");
    const int code =
        *why ? cli_fail(CLI_BAD_DRIVER, "%s: the device %s %s: %s", sound->name, dx_device_uid(sound->device),
                        what, why)
             : cli_fail(status == kIOReturnBadArgument ? CLI_USAGE : CLI_BAD_DRIVER, "%s: the device %s %s: %s",
                        sound->name, dx_device_uid(sound->device), what, cli_status_text(status, text));
    OSObjectRelease(description);
    return code;
}

/* How many frames go in one piece: the smaller, the closer to what was asked for. */
static uint32_t
piece(const struct sound *sound, uint32_t count)
{
    const uint32_t most = sound->latency_frames / 4 > 32 ? sound->latency_frames / 4 : 32;
    return sound->latency_frames > 0 && count > most ? most : count;
}

int
sound_open(struct sound *sound, bool is_output, double latency_ms)
{
    const double frames = sound->rate_hz * (latency_ms > BUFFER_MS ? latency_ms : BUFFER_MS) / 1000.0;
    sound->latency_frames = (uint32_t)(sound->rate_hz * latency_ms / 1000.0);
    const uint32_t most = MAX_LANE_BYTES / (sound->channels * (uint32_t)sizeof(double));
    const dx_client_config config = {
        .size = sizeof config,
        .name = sound->name,
        .output_stream = is_output ? 0 : DX_NO_STREAM,
        .input_stream = is_output ? DX_NO_STREAM : 0,
        .buffer_frames = frames < most ? (uint32_t)frames + 1 : most,
        // shorter cycles where that needs them
        .io_frames = is_output && sound->latency_frames > 0 && piece(sound, USUAL_IO_FRAMES) < USUAL_IO_FRAMES
                         ? piece(sound, USUAL_IO_FRAMES)
                         : 0,
    };
    const kern_return_t status = dx_client_open(sound->device, &config, &sound->client);
    if (status == kIOReturnSuccess)
        return CLI_OK;
    if (status == kIOReturnExclusiveAccess)
        return cli_fail(CLI_BAD_DRIVER, "%s: the device %s takes one program at a time, and another one has it",
                        sound->name, dx_device_uid(sound->device));
    return explain(sound, "cannot be opened", status);
}

/* What comes later than the device takes it is lost: it is written as early as that at least, and two pieces
 * more. */
static void
raise_latency(struct sound *sound)
{
    dx_client_status status = {.size = sizeof status};
    (void)dx_client_get_status(sound->client, &status); // the size is right
    const uint32_t least = status.output_latency_frames + 2 * piece(sound, SOUND_BLOCK_FRAMES);
    if (sound->latency_frames == 0 || sound->latency_frames >= least)
        return;
    cli_note("the device takes no less than %.1f ms of latency", (double)least / sound->rate_hz * 1000.0);
    sound->latency_frames = least;
}

int
sound_start(struct sound *sound)
{
    const kern_return_t status = dx_client_start(sound->client);
    if (status != kIOReturnSuccess)
        return explain(sound, "did not start", status);
    raise_latency(sound);
    return CLI_OK;
}

static int
cut_off(const struct sound *sound, kern_return_t status)
{
    char text[CLI_STATUS_BYTES];
    if (status == kIOReturnUnsupportedMode)
        return cli_fail(CLI_BAD_DRIVER, "%s: the format of %s has changed: start again", sound->name,
                        dx_device_uid(sound->device));
    return cli_fail(CLI_BAD_DRIVER, "%s: %s: %s", sound->name, dx_device_uid(sound->device),
                    cli_status_text(status, text));
}

/* The frames as the client writes them. */
static const void *
encode(const struct sound *sound, const float *frames, uint32_t count)
{
    if (!sound->bytes)
        return frames;
    cli_raw_encode(sound->encoding, frames, (size_t)count * sound->channels, sound->bytes);
    return sound->bytes;
}

int
sound_fill(struct sound *sound, const float *frames, uint32_t count, uint32_t *ret_count)
{
    // more would be heard later than it was asked for
    count = sound->latency_frames > 0 && count > sound->latency_frames ? sound->latency_frames : count;
    const kern_return_t status = dx_client_write(sound->client, encode(sound, frames, count), count, 0, ret_count);
    return status == kIOReturnSuccess || status == kIOReturnTimeout ? CLI_OK : cut_off(sound, status);
}

/* Frames that were written and are not heard yet. */
static uint64_t
count_ahead(const struct sound *sound)
{
    dx_client_status status = {.size = sizeof status};
    (void)dx_client_get_status(sound->client, &status); // the size is right
    const uint64_t end = status.output_base + status.output_frames;
    return end > status.device_time ? end - status.device_time : 0;
}

/* Waits until as many more are not too far ahead, or a signal came. */
static void
wait_for_turn(const struct sound *sound, uint32_t count)
{
    const uint64_t most = sound->latency_frames > count ? sound->latency_frames - count : 0;
    for (uint64_t ahead = count_ahead(sound); ahead > most && !cli_signal(); ahead = count_ahead(sound)) {
        const double pause_ns = (double)(ahead - most) / sound->rate_hz * 1e9;
        dx_clock_sleep_until(sound->clock,
                             dx_clock_now_ns(sound->clock) +
                                 (pause_ns < SOUND_PATIENCE_NS ? (uint64_t)pause_ns : SOUND_PATIENCE_NS));
    }
}

int
sound_write(struct sound *sound, const float *frames, uint32_t count)
{
    uint32_t done = 0;
    while (done < count && !cli_signal()) {
        uint32_t wrote = 0;
        const uint32_t next = piece(sound, count - done);
        if (sound->latency_frames > 0)
            wait_for_turn(sound, next);
        const kern_return_t status =
            dx_client_write(sound->client, encode(sound, frames + (size_t)done * sound->channels, next), next,
                            dx_clock_now_ns(sound->clock) + SOUND_PATIENCE_NS, &wrote);
        if (status != kIOReturnSuccess && status != kIOReturnTimeout)
            return cut_off(sound, status);
        done += wrote;
    }
    return CLI_OK;
}

int
sound_drain(struct sound *sound)
{
    kern_return_t status = kIOReturnTimeout;
    while (status == kIOReturnTimeout && !cli_signal())
        status = dx_client_drain(sound->client, dx_clock_now_ns(sound->clock) + SOUND_PATIENCE_NS);
    return status == kIOReturnSuccess || status == kIOReturnTimeout ? CLI_OK : cut_off(sound, status);
}

int
sound_read(struct sound *sound, float *frames, uint32_t count, uint32_t *ret_count)
{
    const kern_return_t status =
        dx_client_read(sound->client, sound->bytes ? (void *)sound->bytes : (void *)frames,
                       count < SOUND_BLOCK_FRAMES ? count : SOUND_BLOCK_FRAMES,
                       dx_clock_now_ns(sound->clock) + SOUND_PATIENCE_NS, ret_count);
    // lost frames are silence in what was read, and counted
    if (status != kIOReturnSuccess && status != kIOReturnTimeout && status != kIOReturnOverrun)
        return cut_off(sound, status);
    if (sound->bytes)
        cli_raw_decode(sound->encoding, sound->bytes, (size_t)*ret_count * sound->channels, frames);
    return CLI_OK;
}

int
sound_check_rate(struct sound *sound)
{
    dx_device_info info;
    const int code = get_info(sound, &info);
    if (code != CLI_OK || info.sample_rate_hz == sound->rate_hz)
        return code;
    return cli_fail(CLI_BAD_DRIVER, "%s: the rate of %s is %g Hz now: start again", sound->name,
                    dx_device_uid(sound->device), info.sample_rate_hz);
}

void
sound_close(struct sound *sound)
{
    dx_client_close(sound->client);
    dx_device_release(sound->device);
    dx_directory_close(sound->directory);
    free(sound->bytes);
    *sound = (struct sound){0};
}
