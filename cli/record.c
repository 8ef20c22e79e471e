// SPDX-License-Identifier: MIT
// dextral record: records from a device of the machine into a file.

#include "cli/sound.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_32_BIT_BYTES (UINT64_C(0xFFFFFFFF) - 65536u) // what sizes of 32 bits can say, with room for headers

enum record_option {
    OPTION_DEVICE,
    OPTION_DURATION,
    OPTION_FORMAT,
    OPTION_CHANNELS,
    OPTION_RATE,
    OPTION_NO_PROGRESS,
    OPTION_QUIET,
};

static const struct cli_option record_options[] = {
    [OPTION_DEVICE] = {"device", "DEVICE", "from where; default: the default input device", 'd', false},
    [OPTION_DURATION] = {"duration", "SECONDS", "how long; default: until Ctrl-C", 0, false},
    [OPTION_FORMAT] = {"format", "FORMAT", "s16, s24, s32, f32 or f64; default: as the device has it", 0, false},
    [OPTION_CHANNELS] = {"channels", "N", "of FILE; default: the device's", 0, false},
    [OPTION_RATE] = {"rate", "HZ", "of FILE; default: the device's", 0, false},
    [OPTION_NO_PROGRESS] = {"no-progress", NULL, "no progress bar, also on a terminal", 0, false},
    [OPTION_QUIET] = {"quiet", NULL, "no progress bar or notes; errors are shown", 'q', false},
};

struct record_request {
    const char *file;
    const char *device;
    double seconds;    // 0: until a signal
    uint64_t rate_hz;  // 0: the device's
    uint64_t channels; // 0: the device's
    enum dx_file_encoding encoding;
    bool wants_no_progress;
    bool is_quiet;
};

/* Where it goes: a file, or standard output. */
struct sink {
    struct dx_file_writer *writer;
    struct cli_raw *raw;
    uint64_t wanted;  // frames of the device; UINT64_MAX: until a signal
    uint64_t written; // of these
};

static int
bad_value(const char *option, const char *value, const char *expected)
{
    return cli_fail(CLI_USAGE, "record: --%s %s: expected %s", option, value, expected);
}

static int
take_option(void *context, size_t option, const char *value)
{
    struct record_request *const request = context;
    switch ((enum record_option)option) {
    case OPTION_DEVICE:
        request->device = value;
        break;
    case OPTION_DURATION:
        if (!cli_parse_real(value, 1e-6, 1e9, &request->seconds))
            return bad_value("duration", value, "seconds, such as 2.5");
        break;
    case OPTION_FORMAT:
        if (!cli_parse_encoding(value, &request->encoding))
            return bad_value("format", value, CLI_ENCODING_NAMES);
        break;
    case OPTION_CHANNELS:
        if (!cli_parse_unsigned(value, 1, DX_FILE_MAX_CHANNELS, &request->channels))
            return bad_value("channels", value, "1 to 1024");
        break;
    case OPTION_RATE:
        if (!cli_parse_unsigned(value, 1, DX_FILE_MAX_RATE_HZ, &request->rate_hz))
            return bad_value("rate", value, "a whole number of Hz, 1 to 10000000, such as 48000");
        break;
    case OPTION_NO_PROGRESS:
        request->wants_no_progress = true;
        break;
    case OPTION_QUIET:
        request->is_quiet = true;
        break;
    }
    return CLI_OK;
}

static int
take_operand(void *context, const char *value)
{
    struct record_request *const request = context;
    if (!*value)
        return cli_fail(CLI_USAGE, "record: the name of the file is empty");
    if (request->file)
        return cli_fail(CLI_USAGE, "record: one file at a time; what is '%s'?", value);
    request->file = value;
    return CLI_OK;
}

static bool
is_raw(const struct record_request *request)
{
    return strcmp(request->file, "-") == 0;
}

static int
check_request(const struct record_request *request)
{
    if (!request->file)
        return cli_fail(CLI_USAGE, "record: which file? dextral record FILE.wav, or '-' for standard output");
    if (!is_raw(request) && !dx_file_container_name(request->file))
        return cli_fail(CLI_USAGE, "record: %s: what kind of file is it to be? End its name in %s", request->file,
                        dx_file_suffixes);
    if (is_raw(request) && isatty(STDOUT_FILENO))
        return cli_fail(CLI_USAGE,
                        "record: '-' writes samples to standard output, which is a terminal: end it with '| "
                        "PROGRAM' or '> FILE'");
    return CLI_OK;
}

/* The sink. */

/* As the device has it, as far as the file can. */
static enum dx_file_encoding
default_encoding(const struct record_request *request, const struct sound *sound)
{
    dx_device_info info = {.size = sizeof info};
    const bool is_flac = !is_raw(request) && strcmp(dx_file_container_name(request->file), "FLAC") == 0;
    if (dx_device_get_info(sound->device, &info) != kIOReturnSuccess || info.input_streams == 0)
        return DX_FILE_ENCODING_S24;
    const IOUserAudioStreamBasicDescription *const format = &info.inputs[0].physical;
    if (format->mFormatFlags & FormatFlagIsFloat)
        return is_flac ? DX_FILE_ENCODING_S24 : DX_FILE_ENCODING_F32;
    if (format->mBitsPerChannel <= 16)
        return DX_FILE_ENCODING_S16;
    return format->mBitsPerChannel <= 24 || is_flac ? DX_FILE_ENCODING_S24 : DX_FILE_ENCODING_S32;
}

/* Of WAV and AIFF files; others hold what a disk holds. */
static int
limit_length(struct sink *sink, const struct record_request *request, const struct dx_file_writer_config *config)
{
    const char *const container = dx_file_container_name(request->file);
    if (strcmp(container, "WAV") != 0 && strcmp(container, "AIFF") != 0)
        return CLI_OK;
    const uint64_t frame_bytes = (uint64_t)cli_raw_sample_bytes(config->encoding) * config->info.channels;
    const double most = (double)(MAX_32_BIT_BYTES / frame_bytes) * config->source_rate_hz / config->info.rate_hz;
    if ((double)sink->wanted <= most)
        return CLI_OK;
    if (request->seconds > 0.0)
        return cli_fail(
            CLI_USAGE,
            "record: %s would be longer than the 4 GiB that such a file can hold: write a .w64, .caf or .rf64",
            request->file);
    sink->wanted = (uint64_t)most;
    return CLI_OK;
}

static int
open_file(struct sink *sink, const struct record_request *request, const struct sound *sound,
          enum dx_file_encoding encoding)
{
    // it is as long as what is written: see write_sink()
    const struct dx_file_writer_config config = {
        .path = request->file,
        .encoding = encoding,
        .info = {.rate_hz = request->rate_hz > 0 ? (uint32_t)request->rate_hz : (uint32_t)lround(sound->rate_hz),
                 .channels = request->channels > 0 ? (uint32_t)request->channels : sound->channels},
        .source_rate_hz = sound->rate_hz,
        .source_channels = sound->channels,
    };
    dx_error error = {""};
    const int code = limit_length(sink, request, &config);
    if (code != CLI_OK)
        return code;
    const kern_return_t status = dx_file_writer_open(&config, &sink->writer, &error);
    if (status == kIOReturnSuccess)
        return CLI_OK;
    return cli_fail(status == kIOReturnBadArgument   ? CLI_USAGE
                    : status == kIOReturnUnsupported ? CLI_FAILED
                                                     : CLI_BAD_OUTPUT,
                    "%s", error.message);
}

static int
open_sink(struct sink *sink, const struct record_request *request, const struct sound *sound)
{
    const enum dx_file_encoding encoding =
        request->encoding == DX_FILE_ENCODING_SAME ? default_encoding(request, sound) : request->encoding;
    const double wanted = request->seconds * sound->rate_hz + 0.5;
    sink->wanted = request->seconds > 0.0 ? (uint64_t)wanted : UINT64_MAX;
    if (!is_raw(request))
        return open_file(sink, request, sound, encoding);
    return cli_raw_open(STDOUT_FILENO, encoding, true, sound->rate_hz, sound->channels,
                        request->rate_hz > 0 ? (double)request->rate_hz : sound->rate_hz,
                        request->channels > 0 ? (uint32_t)request->channels : sound->channels, &sink->raw);
}

static int
write_sink(struct sink *sink, const float *frames, uint32_t count)
{
    sink->written += count;
    if (sink->raw)
        return cli_raw_write(sink->raw, frames, count, false);
    dx_error error = {""};
    dx_file_writer_extend(sink->writer, sink->written);
    return dx_file_writer_write(sink->writer, frames, count, &error) == kIOReturnSuccess
               ? CLI_OK
               : cli_fail(CLI_BAD_OUTPUT, "%s", error.message);
}

/* Makes it whole. */
static int
finish_sink(struct sink *sink)
{
    const float nothing = 0.0f;
    if (sink->raw)
        return cli_raw_write(sink->raw, &nothing, 0, true);
    dx_error error = {""};
    return dx_file_writer_commit(sink->writer, &error) == kIOReturnSuccess
               ? CLI_OK
               : cli_fail(CLI_BAD_OUTPUT, "%s", error.message);
}

static void
close_sink(struct sink *sink)
{
    dx_file_writer_close(sink->writer);
    cli_raw_close(sink->raw);
}

/* Recording. */

static int
stream(struct sound *sound, struct sink *sink, float *block)
{
    int code = sound_start(sound);
    while (code == CLI_OK && sink->written < sink->wanted && !cli_signal()) {
        const uint64_t left = sink->wanted - sink->written;
        uint32_t count = 0;
        code = sound_read(sound, block, left < SOUND_BLOCK_FRAMES ? (uint32_t)left : SOUND_BLOCK_FRAMES, &count);
        if (code == CLI_OK)
            code = sound_check_rate(sound);
        if (code == CLI_OK)
            code = write_sink(sink, block, count);
        cli_progress_show(sink->written, sink->wanted == UINT64_MAX ? 0 : sink->wanted, sound->rate_hz);
    }
    return code;
}

static void
note_end(const struct sound *sound, const struct sink *sink, const struct record_request *request)
{
    dx_client_status status = {.size = sizeof status};
    if (dx_client_get_status(sound->client, &status) == kIOReturnSuccess && status.overrun_frames > 0)
        cli_note("%llu frames were lost: silence stands in their place",
                 (unsigned long long)status.overrun_frames);
    if (cli_signal() || (request->seconds <= 0.0 && sink->written == sink->wanted))
        cli_note("%s: %.3f s recorded%s", is_raw(request) ? "standard output" : request->file,
                 (double)sink->written / sound->rate_hz,
                 cli_signal() ? "" : ": such a file holds no more than 4 GiB, .w64, .caf and .rf64 do");
}

static int
record(const struct record_request *request, struct sound *sound, struct sink *sink)
{
    int code = sound_find(sound, "record", request->device, false);
    if (code == CLI_OK)
        code = open_sink(sink, request, sound);
    if (code == CLI_OK)
        code = sound_open(sound, false, 0.0);
    if (code != CLI_OK)
        return code;
    float *const block = calloc((size_t)SOUND_BLOCK_FRAMES * sound->channels, sizeof *block);
    code = block ? stream(sound, sink, block) : cli_fail(CLI_FAILED, "no memory");
    free(block);
    cli_progress_clear();
    // what was recorded before the device went is worth something; before the first frame there is nothing
    if (code == CLI_OK || (code == CLI_BAD_DRIVER && sink->written > 0)) {
        const int finished = finish_sink(sink);
        code = code == CLI_OK ? finished : code;
        if (finished == CLI_OK)
            note_end(sound, sink, request);
    }
    return code;
}

static int
run_record(const struct cli_command *command, int argc, char **argv)
{
    struct record_request request = {0};
    struct cli_arguments arguments = {take_option, take_operand, &request, false};
    int code = cli_parse(command, &arguments, argc, argv);
    if (code != CLI_OK)
        return code;
    if (arguments.wants_help)
        return cli_print_help(command);
    code = check_request(&request);
    if (code != CLI_OK)
        return code;

    cli_set_quiet(request.is_quiet);
    cli_progress_set(!request.is_quiet && !request.wants_no_progress && isatty(STDERR_FILENO));
    cli_catch_signals();
    struct sound sound = {0};
    struct sink sink = {0};
    code = record(&request, &sound, &sink);
    sound_close(&sound);
    close_sink(&sink);
    return code;
}

const struct cli_command cli_record = {
    .name = "record",
    .summary = "records from a device into an audio file",
    .usage = "FILE [--device DEVICE] [--duration SECONDS] [OPTIONS]",
    .text =
        "Records what a device of the machine gives, until Ctrl-C or for a time; either way FILE is whole, and\n"
        "gets its name then. FILE ends in .wav, .flac, .aiff, .w64, .caf or .rf64; '-' is standard output,\n"
        "samples without a header.",
    .options = record_options,
    .option_count = sizeof record_options / sizeof record_options[0],
    .run = run_record,
};
