// SPDX-License-Identifier: MIT
// dextral process: options, signals, and the order of things.

#include "cli/json.h"
#include "cli/process.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum process_option {
    OPTION_DRIVER,
    OPTION_DSP,
    OPTION_DEVICE,
    OPTION_SET,
    OPTION_OFFLINE,
    OPTION_SEED,
    OPTION_RATE,
    OPTION_IO_FRAMES,
    OPTION_OUTPUT_FORMAT,
    OPTION_TAIL,
    OPTION_PRIORITY,
    OPTION_CPU,
    OPTION_STRICT,
    OPTION_JSON,
    OPTION_NO_PROGRESS,
    OPTION_QUIET,
};

static const struct cli_option process_option_table[] = {
    [OPTION_DRIVER] = {"driver", "PATH", "the driver bundle, a folder Name.dext", 0, false},
    [OPTION_DSP] = {"dsp", "SPEC",
                    "a DSP plug-in that changes what is played: PATH, or\n"
                    "PATH:name=value,name=value; several work in the order given",
                    0, true},
    [OPTION_DEVICE] = {"device", "UID", "which device, where the driver has several", 0, false},
    [OPTION_SET] = {"set", "KEY=VALUE",
                    "a control of the device, by its name or key: Source=Loopback,\n"
                    "vlme/inpt/0=-6dB, Mute=off; several are set in the order given",
                    0, true},
    [OPTION_OFFLINE] = {"offline", NULL, "on a simulated clock: as fast as it goes, the same each time", 0, false},
    [OPTION_SEED] = {"seed", "N", "with --offline: orders what is due at the same time", 0, false},
    [OPTION_RATE] = {"rate", "HZ", "the device's rate; default: the file's, or the next higher it has", 0, false},
    [OPTION_IO_FRAMES] = {"io-frames", "N", "frames in a cycle of the device", 0, false},
    [OPTION_OUTPUT_FORMAT] = {"output-format", "FORMAT", "s16, s24, s32, f32 or f64; default: as in IN", 0, false},
    [OPTION_TAIL] = {"tail", "SECONDS", "records on after the end of the file, for what rings on", 0, false},
    [OPTION_PRIORITY] = {"priority", "N", "real-time priority, 1 to 99; 0: none; default: 80", 0, false},
    [OPTION_CPU] = {"cpu", "N", "the CPU for the device's cycles, from 0; default: any", 0, false},
    [OPTION_STRICT] = {"strict", NULL, "fails (6) if frames were lost or a cycle was late", 0, false},
    [OPTION_JSON] = {"json", NULL, "the summary as JSON", 0, false},
    [OPTION_NO_PROGRESS] = {"no-progress", NULL, "no progress bar, also on a terminal", 0, false},
    [OPTION_QUIET] = {"quiet", NULL, "no progress bar, notes or summary; errors are shown", 'q', false},
};

static int
bad_value(const char *option, const char *value, const char *expected)
{
    return cli_fail(CLI_USAGE, "process: --%s %s: expected %s", option, value, expected);
}

static int
take_encoding(struct process_options *options, const char *value)
{
    static const struct {
        const char *name;
        enum dx_file_encoding encoding;
    } encodings[] = {
        {"s16", DX_FILE_ENCODING_S16}, {"s24", DX_FILE_ENCODING_S24}, {"s32", DX_FILE_ENCODING_S32},
        {"f32", DX_FILE_ENCODING_F32}, {"f64", DX_FILE_ENCODING_F64},
    };
    for (size_t i = 0; i < sizeof encodings / sizeof encodings[0]; i++) {
        if (strcmp(value, encodings[i].name) == 0) {
            options->encoding = encodings[i].encoding;
            return CLI_OK;
        }
    }
    return bad_value("output-format", value, "s16, s24, s32, f32 or f64");
}

static int
take_dsp(struct process_options *options, const char *value)
{
    if (options->dsp_count == PROCESS_MAX_DSPS)
        return cli_fail(CLI_USAGE, "process: at most %u --dsp fit into a device's chain", PROCESS_MAX_DSPS);
    if (value[0] == ':')
        return bad_value("dsp", value, "PATH or PATH:name=value,name=value");
    options->dsps[options->dsp_count++] = value;
    return CLI_OK;
}

static int
take_set(struct process_options *options, const char *value)
{
    if (options->set_count == PROCESS_MAX_SETS)
        return cli_fail(CLI_USAGE, "process: at most %u --set", PROCESS_MAX_SETS);
    if (value[0] == '=' || !strchr(value, '='))
        return bad_value("set", value, "KEY=VALUE, such as Source=Loopback or vlme/inpt/0=-6dB");
    options->sets[options->set_count++] = value;
    return CLI_OK;
}

static int
take_number(struct process_options *options, enum process_option option, const char *value)
{
    uint64_t number = 0;
    if (option == OPTION_SEED) {
        if (!cli_parse_unsigned(value, 0, UINT64_MAX, &options->seed))
            return bad_value("seed", value, "an integer from 0 on");
        options->has_seed = true;
    } else if (option == OPTION_IO_FRAMES) {
        if (!cli_parse_unsigned(value, 1, 1u << 24, &number))
            return bad_value("io-frames", value, "a number of frames from 1 on, such as 512");
        options->io_frames = (uint32_t)number;
    } else if (option == OPTION_PRIORITY) {
        if (!cli_parse_unsigned(value, 0, 99, &number))
            return bad_value("priority", value, "0 to 99");
        options->priority = number == 0 ? -1 : (int32_t)number;
    } else {
        const long cpus = sysconf(_SC_NPROCESSORS_CONF);
        if (!cli_parse_unsigned(value, 0, cpus > 0 ? (uint64_t)cpus - 1 : 0, &number))
            return cli_fail(CLI_USAGE, "process: --cpu %s: this machine has CPUs 0 to %ld", value, cpus - 1);
        options->cpu = (int32_t)number + 1;
    }
    return CLI_OK;
}

static int
take_option(void *context, size_t option, const char *value)
{
    struct process_options *const options = context;
    switch ((enum process_option)option) {
    case OPTION_DRIVER:
        options->driver = value;
        break;
    case OPTION_DSP:
        return take_dsp(options, value);
    case OPTION_DEVICE:
        options->device = value;
        break;
    case OPTION_SET:
        return take_set(options, value);
    case OPTION_OFFLINE:
        options->is_offline = true;
        break;
    case OPTION_RATE:
        if (!cli_parse_real(value, 1.0, DX_FILE_MAX_RATE_HZ, &options->rate_hz))
            return bad_value("rate", value, "a rate in Hz, 1 to 10000000, such as 48000");
        break;
    case OPTION_TAIL:
        if (!cli_parse_real(value, 0.0, 86400.0, &options->tail_seconds))
            return bad_value("tail", value, "seconds, 0 to 86400");
        break;
    case OPTION_OUTPUT_FORMAT:
        return take_encoding(options, value);
    case OPTION_SEED:
    case OPTION_IO_FRAMES:
    case OPTION_PRIORITY:
    case OPTION_CPU:
        return take_number(options, (enum process_option)option, value);
    case OPTION_STRICT:
        options->is_strict = true;
        break;
    case OPTION_JSON:
        options->wants_json = true;
        break;
    case OPTION_NO_PROGRESS:
        options->wants_no_progress = true;
        break;
    case OPTION_QUIET:
        options->is_quiet = true;
        break;
    }
    return CLI_OK;
}

static int
take_operand(void *context, const char *value)
{
    struct process_options *const options = context;
    if (!*value)
        return cli_fail(CLI_USAGE, "process: the name of the %s file is empty", options->input ? "output" : "input");
    if (!options->input)
        options->input = value;
    else if (!options->output)
        options->output = value;
    else
        return cli_fail(CLI_USAGE, "process: one input and one output file; what is '%s'?", value);
    return CLI_OK;
}

/* What can be said without opening anything. */
static int
check_options(const struct process_options *options)
{
    if (!options->driver)
        return cli_fail(CLI_USAGE, "process: which driver? Give --driver PATH, a folder Name.dext");
    if (!options->input || !options->output)
        return cli_fail(CLI_USAGE, "process: which %s file? dextral process --driver D IN.wav OUT.wav",
                        options->input ? "output" : "input");
    if (!dx_file_container_name(options->output))
        return cli_fail(CLI_USAGE, "process: %s: what kind of file is it to be? End its name in %s",
                        options->output, dx_file_suffixes);
    if (options->has_seed && !options->is_offline)
        return cli_fail(CLI_USAGE, "process: --seed orders a simulated run: give --offline as well");
    if (options->wants_json && cli_check_json("process") != CLI_OK)
        return CLI_FAILED;

    struct stat input;
    struct stat output;
    if (stat(options->input, &input) == 0 && stat(options->output, &output) == 0 &&
        input.st_dev == output.st_dev && input.st_ino == output.st_ino)
        return cli_fail(CLI_USAGE, "process: %s and %s are the same file: name another output", options->input,
                        options->output);
    return CLI_OK;
}

/* Running. */

struct run {
    struct process_session *session;
    int exit_code;
};

static void
run_session(void *argument)
{
    struct run *const run = argument;
    run->exit_code = process_run(run->session);
}

static int
run_on_clock(struct process_session *session)
{
    const struct process_options *const options = session->options;
    struct run run = {session, CLI_FAILED};
    if (!options->is_offline) {
        run_session(&run);
        return run.exit_code;
    }

    const dx_simulation_config config = {.size = sizeof config, .seed = options->seed};
    const kern_return_t status = dx_simulate(&config, run_session, &run, &session->result.simulation);
    if (status != kIOReturnSuccess) {
        cli_progress_clear();
        return cli_fail(CLI_FAILED, "the simulation failed: %s: %s", dx_return_string(status),
                        session->result.simulation.message);
    }
    return run.exit_code;
}

/* Gives the output its name, and says how it went. */
static int
finish(struct process_session *session)
{
    const struct process_options *const options = session->options;
    dx_error error = {""};
    session->result.output_level = dx_file_writer_level(session->writer);
    if (dx_file_writer_commit(session->writer, &error) != kIOReturnSuccess)
        return cli_fail(CLI_BAD_OUTPUT, "%s", error.message);
    session->result.output_level = dx_file_writer_level(session->writer); // with the silence at the end
    session->result.input_level = dx_file_reader_level(session->reader);
    session->result.encoding = dx_file_writer_encoding_name(session->writer);

    int code = CLI_OK;
    if (options->wants_json)
        code = process_print_json(session);
    else if (!options->is_quiet)
        process_print_text(session);
    if (code == CLI_OK)
        code = cli_finish_output();
    if (code == CLI_OK && options->is_strict && process_has_losses(&session->result))
        code =
            cli_fail(CLI_LOST, "frames were lost, cycles were late, or calls of the handler failed: %s is there, but has gaps or could have had",
                     options->output);
    return code;
}

static int
run_process(const struct cli_command *command, int argc, char **argv)
{
    struct process_options options = {0};
    struct cli_arguments arguments = {take_option, take_operand, &options, false};
    int code = cli_parse(command, &arguments, argc, argv);
    if (code != CLI_OK)
        return code;
    if (arguments.wants_help)
        return cli_print_help(command);
    code = check_options(&options);
    if (code != CLI_OK)
        return code;

    cli_set_quiet(options.is_quiet);
    cli_progress_set(!options.is_quiet && !options.wants_no_progress && isatty(STDERR_FILENO));
    cli_catch_signals();

    struct process_session session = {0};
    code = process_open(&session, &options);
    if (code == CLI_OK)
        code = run_on_clock(&session);
    cli_progress_clear();
    if (cli_signal())
        code = cli_fail(CLI_SIGNALLED + cli_signal(), "%s: nothing was written", strsignal(cli_signal()));
    else if (code == CLI_OK)
        code = finish(&session);
    process_close(&session);
    return code;
}

const struct cli_command cli_process = {
    .name = "process",
    .summary = "passes an audio file through a driver and DSP plug-ins",
    .usage = "--driver D [--dsp P]... [OPTIONS] IN.wav OUT.wav",
    .text = "Runs a driver bundle in this process, plays IN to its device, and writes what the device\n"
            "records meanwhile to OUT: with a loopback device, such as Cable.dext, IN as the device and\n"
            "the plug-ins made it. Files: WAV, FLAC, AIFF and what else libsndfile reads, of any rate and\n"
            "channel count; OUT has those of IN.",
    .options = process_option_table,
    .option_count = sizeof process_option_table / sizeof process_option_table[0],
    .run = run_process,
};
