// SPDX-License-Identifier: MIT
// dextral play: plays a file to a device of the machine.

#include "cli/sound.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_RAW_CHANNELS 2u

enum play_option {
    OPTION_DEVICE,
    OPTION_LATENCY,
    OPTION_FORMAT,
    OPTION_CHANNELS,
    OPTION_RATE,
    OPTION_NO_PROGRESS,
    OPTION_QUIET,
};

static const struct cli_option play_options[] = {
    [OPTION_DEVICE] = {"device", "DEVICE", "where to; default: the default output device", 'd', false},
    [OPTION_LATENCY] = {"latency", "MS", "from writing to hearing, 1 to 10000; default: about 500", 0, false},
    [OPTION_FORMAT] = {"format", "FORMAT", "of '-': s16, s24, s32, f32 or f64, little-endian; default: s16", 0,
                       false},
    [OPTION_CHANNELS] = {"channels", "N", "of '-'; default: 2", 0, false},
    [OPTION_RATE] = {"rate", "HZ", "of '-'; default: the device's", 0, false},
    [OPTION_NO_PROGRESS] = {"no-progress", NULL, "no progress bar, also on a terminal", 0, false},
    [OPTION_QUIET] = {"quiet", NULL, "no progress bar or notes; errors are shown", 'q', false},
};

struct play_request {
    const char *file;
    const char *device;
    double latency_ms; // 0: the default
    double rate_hz;    // 0: the device's
    uint32_t channels; // 0: not given
    enum dx_file_encoding encoding;
    bool wants_no_progress;
    bool is_quiet;
};

/* What is played: a file, or standard input. */
struct source {
    struct dx_file_reader *reader;
    struct cli_raw *raw;
    uint64_t frames; // at the device's rate; 0: nobody knows
};

static int
bad_value(const char *option, const char *value, const char *expected)
{
    return cli_fail(CLI_USAGE, "play: --%s %s: expected %s", option, value, expected);
}

static int
take_option(void *context, size_t option, const char *value)
{
    struct play_request *const request = context;
    uint64_t channels = 0;
    switch ((enum play_option)option) {
    case OPTION_DEVICE:
        request->device = value;
        break;
    case OPTION_LATENCY:
        if (!cli_parse_real(value, 1.0, 10000.0, &request->latency_ms))
            return bad_value("latency", value, "milliseconds, 1 to 10000");
        break;
    case OPTION_FORMAT:
        if (!cli_parse_encoding(value, &request->encoding))
            return bad_value("format", value, CLI_ENCODING_NAMES);
        break;
    case OPTION_CHANNELS:
        if (!cli_parse_unsigned(value, 1, DX_FILE_MAX_CHANNELS, &channels))
            return bad_value("channels", value, "1 to 1024");
        request->channels = (uint32_t)channels;
        break;
    case OPTION_RATE:
        if (!cli_parse_real(value, 1.0, DX_FILE_MAX_RATE_HZ, &request->rate_hz))
            return bad_value("rate", value, "a rate in Hz, 1 to 10000000, such as 48000");
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
    struct play_request *const request = context;
    if (!*value)
        return cli_fail(CLI_USAGE, "play: the name of the file is empty");
    if (request->file)
        return cli_fail(CLI_USAGE, "play: one file at a time; what is '%s'?", value);
    request->file = value;
    return CLI_OK;
}

static bool
is_raw(const struct play_request *request)
{
    return strcmp(request->file, "-") == 0;
}

static int
check_request(const struct play_request *request)
{
    if (!request->file)
        return cli_fail(CLI_USAGE, "play: which file? dextral play FILE, or '-' for standard input");
    if (!is_raw(request) &&
        (request->channels > 0 || request->rate_hz > 0.0 || request->encoding != DX_FILE_ENCODING_SAME))
        return cli_fail(CLI_USAGE,
                        "play: --format, --channels and --rate say what standard input is: a file says it "
                        "itself");
    return CLI_OK;
}

/* The source. */

static int
open_file(struct source *source, const char *path)
{
    dx_error error = {""};
    const kern_return_t status = dx_file_reader_open(path, &source->reader, &error);
    if (status == kIOReturnSuccess)
        return CLI_OK;
    return cli_fail(status == kIOReturnUnsupported || status == kIOReturnNoMemory ? CLI_FAILED : CLI_BAD_INPUT,
                    "%s", error.message);
}

/* To the device's rate and channels. */
static int
fit_source(struct source *source, const struct play_request *request, const struct sound *sound)
{
    if (is_raw(request))
        return cli_raw_open(STDIN_FILENO,
                            request->encoding == DX_FILE_ENCODING_SAME ? DX_FILE_ENCODING_S16 : request->encoding,
                            false, request->rate_hz > 0.0 ? request->rate_hz : sound->rate_hz,
                            request->channels > 0 ? request->channels : DEFAULT_RAW_CHANNELS, sound->rate_hz,
                            sound->channels, &source->raw);
    dx_error error = {""};
    const kern_return_t status = dx_file_reader_convert(source->reader, sound->rate_hz, sound->channels, &error);
    if (status != kIOReturnSuccess)
        return cli_fail_about(status == kIOReturnBadArgument ? CLI_BAD_INPUT : CLI_FAILED, request->file,
                              error.message);
    source->frames = dx_file_reader_frames(source->reader);
    const uint32_t channels = dx_file_reader_info(source->reader)->channels;
    if (sound->channels == 1 && channels > 1)
        cli_note("the device has one channel: the file's %u are played as their mean", channels);
    else if (sound->channels < channels)
        cli_note("the device has %u channels: of the file's %u the others are not played", sound->channels,
                 channels);
    return CLI_OK;
}

static int
read_source(struct source *source, float *frames, uint32_t *ret_count)
{
    if (source->raw)
        return cli_raw_read(source->raw, frames, SOUND_BLOCK_FRAMES, ret_count);
    dx_error error = {""};
    return dx_file_reader_read(source->reader, frames, SOUND_BLOCK_FRAMES, ret_count, &error) == kIOReturnSuccess
               ? CLI_OK
               : cli_fail(CLI_BAD_INPUT, "%s", error.message);
}

static void
close_source(struct source *source)
{
    dx_file_reader_close(source->reader);
    cli_raw_close(source->raw);
}

/* Playing. */

/* Fills the lane, and starts. */
static int
start(struct sound *sound, struct source *source, float *block, uint64_t *ret_played)
{
    uint32_t count = 0;
    uint32_t wrote = 0;
    int code;
    do {
        *ret_played += wrote;
        wrote = 0;
        code = read_source(source, block, &count);
        if (code == CLI_OK)
            code = sound_fill(sound, block, count, &wrote);
    } while (code == CLI_OK && count == SOUND_BLOCK_FRAMES && wrote == count && sound->latency_frames == 0 &&
             !cli_signal());
    if (code == CLI_OK)
        code = sound_start(sound);
    if (code == CLI_OK)
        code = sound_write(sound, block + (size_t)wrote * sound->channels, count - wrote);
    *ret_played += count;
    return code;
}

static int
stream(struct sound *sound, struct source *source, float *block)
{
    uint64_t played = 0;
    uint32_t count = SOUND_BLOCK_FRAMES;
    int code = start(sound, source, block, &played);
    while (code == CLI_OK && count > 0 && !cli_signal()) {
        code = read_source(source, block, &count);
        if (code == CLI_OK)
            code = sound_check_rate(sound);
        if (code == CLI_OK)
            code = sound_write(sound, block, count);
        played += count;
        cli_progress_show(played, source->frames, sound->rate_hz);
    }
    return code == CLI_OK ? sound_drain(sound) : code;
}

static void
note_losses(const struct sound *sound)
{
    dx_client_status status = {.size = sizeof status};
    if (dx_client_get_status(sound->client, &status) == kIOReturnSuccess && status.underrun_frames > 0)
        cli_note("%llu frames were not there in time", (unsigned long long)status.underrun_frames);
}

static int
play(const struct play_request *request, struct sound *sound, struct source *source)
{
    int code = is_raw(request) ? CLI_OK : open_file(source, request->file);
    if (code == CLI_OK)
        code = sound_find(sound, "play", request->device, true);
    if (code == CLI_OK)
        code = fit_source(source, request, sound);
    if (code == CLI_OK)
        code = sound_open(sound, true, request->latency_ms);
    if (code != CLI_OK)
        return code;
    float *const block = calloc((size_t)SOUND_BLOCK_FRAMES * sound->channels, sizeof *block);
    code = block ? stream(sound, source, block) : cli_fail(CLI_FAILED, "no memory");
    free(block);
    cli_progress_clear();
    note_losses(sound);
    return code;
}

static int
run_play(const struct cli_command *command, int argc, char **argv)
{
    struct play_request request = {0};
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
    struct source source = {0};
    code = play(&request, &sound, &source);
    sound_close(&sound);
    close_source(&source);
    if (code == CLI_OK && cli_signal())
        code = cli_fail(CLI_SIGNALLED + cli_signal(), "%s: stopped", strsignal(cli_signal()));
    return code;
}

const struct cli_command cli_play = {
    .name = "play",
    .summary = "plays an audio file to a device",
    .usage = "FILE [--device DEVICE] [OPTIONS]",
    .text =
        "Plays a file to a device of the machine, whatever its rate and channels are: the device's stay as they\n"
        "are. '-' is standard input, samples without a header. FILE: WAV, FLAC, AIFF and what else libsndfile\n"
        "reads.",
    .options = play_options,
    .option_count = sizeof play_options / sizeof play_options[0],
    .run = run_play,
};
