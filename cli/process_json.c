// SPDX-License-Identifier: MIT
// The summary for programs.

#include "cli/process.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

/* jansson has no unsigned integers; none of ours comes near 2^63. */
static json_int_t
integer(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : (json_int_t)value;
}

static json_t *
make_integer(uint64_t value)
{
    return json_integer(integer(value));
}

/* null for the decibels of silence. */
static json_t *
make_decibels(double magnitude)
{
    return magnitude > 0.0 ? json_real(process_decibels(magnitude)) : json_null();
}

static json_t *
make_text(const char *text)
{
    json_t *const string = json_string(text);
    return string ? string : json_null(); // a file's name may be no UTF-8
}

static json_t *
make_file(const char *path, const struct dx_file_info *info, uint64_t frames, const struct dx_file_level *level)
{
    const double rms = process_rms(level);
    return json_pack("{s:o, s:o, s:i, s:i, s:f, s:o, s:f, s:o}", "path", make_text(path), "frames",
                     make_integer(frames), "rate_hz", (int)info->rate_hz, "channels", (int)info->channels, "peak",
                     level->peak, "peak_dbfs", make_decibels(level->peak), "rms", rms, "rms_dbfs",
                     make_decibels(rms));
}

static json_t *
make_output(const struct process_session *session)
{
    const struct process_result *const result = &session->result;
    json_t *const output =
        make_file(session->options->output, &result->output,
                  result->output_level.samples / result->output.channels, &result->output_level);
    if (output) {
        (void)json_object_set_new(output, "encoding", make_text(result->encoding));
        (void)json_object_set_new(output, "clipped_samples", make_integer(result->output_level.clipped));
    }
    return output;
}

static json_t *
make_distribution(const dx_distribution *distribution)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "count", integer(distribution->count), "p50",
                     integer(distribution->p50_ns), "p99", integer(distribution->p99_ns), "p99.9",
                     integer(distribution->p999_ns), "max", integer(distribution->max_ns));
}

static json_t *
make_causes(const dx_device_statistics *statistics)
{
    json_t *const causes = json_object();
    for (unsigned i = DX_CAUSE_NONE + 1u; causes && i < DX_CAUSE_COUNT; i++)
        (void)json_object_set_new(causes, dx_cause_name((dx_cause)i), make_integer(statistics->causes[i]));
    return causes;
}

static json_t *
make_dsps(const struct process_session *session)
{
    json_t *const dsps = json_array();
    for (size_t i = 0; dsps && i < session->options->dsp_count; i++) {
        const dx_dsp_plugin *const plugin = dx_dsp_get_plugin(session->dsps[i].dsp);
        (void)json_array_append_new(dsps, json_pack("{s:o, s:o, s:o, s:i}", "spec",
                                                    make_text(session->options->dsps[i]), "identifier",
                                                    make_text(plugin->identifier), "name", make_text(plugin->name),
                                                    "latency_frames", (int)session->dsps[i].latency_frames));
    }
    return dsps;
}

static json_t *
make_degraded(unsigned degraded)
{
    json_t *const list = json_array();
    if (list && degraded & DX_TASK_NOT_REALTIME)
        (void)json_array_append_new(list, json_string("priority"));
    if (list && degraded & DX_TASK_NOT_PINNED)
        (void)json_array_append_new(list, json_string("cpu"));
    if (list && degraded & DX_TASK_NOT_LOCKED)
        (void)json_array_append_new(list, json_string("memory"));
    return list;
}

static json_t *
make_device(const struct process_result *result)
{
    const dx_device_info *const device = &result->device;
    return json_pack("{s:o, s:f, s:i, s:i, s:i, s:i}", "uid", make_text(result->uid), "rate_hz",
                     device->sample_rate_hz, "io_frames", (int)device->io_frames, "ring_frames",
                     (int)device->ring_frames, "input_channels", (int)device->inputs[0].client.mChannelsPerFrame,
                     "output_channels",
                     device->output_streams > 0 ? (int)device->outputs[0].client.mChannelsPerFrame : 0);
}

static json_t *
make_simulation(const struct process_session *session)
{
    if (!session->options->is_offline)
        return json_null();
    const dx_simulation_result *const simulation = &session->result.simulation;
    char hash[24];
    (void)snprintf(hash, sizeof hash, "%016llx", (unsigned long long)simulation->log_hash);
    return json_pack("{s:I, s:s, s:b}", "seed", integer(session->options->seed), "hash", hash, "repeatable",
                     (int)simulation->repeatable);
}

static json_t *
make_summary(const struct process_session *session)
{
    const struct process_result *const result = &session->result;
    const dx_device_statistics *const statistics = &result->statistics;
    json_t *const summary = json_object();
    if (!summary)
        return NULL;
    (void)json_object_set_new(summary, "mode", make_text(session->options->is_offline ? "offline" : "real time"));
    (void)json_object_set_new(summary, "driver",
                              json_pack("{s:o, s:o, s:o}", "path", make_text(session->options->driver),
                                        "identifier", make_text(result->identifier), "version",
                                        make_text(result->version)));
    (void)json_object_set_new(summary, "device", make_device(result));
    (void)json_object_set_new(summary, "dsp", make_dsps(session));
    (void)json_object_set_new(
        summary, "input",
        make_file(session->options->input, &result->input, result->input.frames, &result->input_level));
    (void)json_object_set_new(summary, "output", make_output(session));
    (void)json_object_set_new(summary, "cycles", make_integer(statistics->cycles));
    (void)json_object_set_new(summary, "late_cycles", make_integer(statistics->late_cycles));
    (void)json_object_set_new(summary, "frames",
                              json_pack("{s:I, s:I}", "in", integer(statistics->input_frames), "out",
                                        integer(statistics->output_frames)));
    (void)json_object_set_new(summary, "lateness_ns", make_distribution(&statistics->lateness));
    (void)json_object_set_new(summary, "handler_ns", make_distribution(&statistics->handler));
    (void)json_object_set_new(summary, "cycle_ns", make_distribution(&statistics->cycle));
    (void)json_object_set_new(summary, "overloads",
                              json_pack("{s:I, s:I, s:I, s:o}", "count", integer(statistics->overloads),
                                        "skipped_input_frames", integer(statistics->skipped_input_frames),
                                        "skipped_output_frames", integer(statistics->skipped_output_frames),
                                        "causes", make_causes(statistics)));
    (void)json_object_set_new(summary, "stamps",
                              json_pack("{s:I, s:I, s:I}", "count", integer(statistics->stamps), "bad",
                                        integer(statistics->bad_stamps), "reanchors",
                                        integer(statistics->reanchors)));
    (void)json_object_set_new(summary, "handler_errors", make_integer(statistics->handler_errors));
    (void)json_object_set_new(summary, "underrun_frames", make_integer(result->client.underrun_frames));
    (void)json_object_set_new(summary, "overrun_frames", make_integer(result->client.overrun_frames));
    (void)json_object_set_new(summary, "moved_frames", make_integer(result->moved_frames));
    (void)json_object_set_new(summary, "limited_samples", make_integer(result->client.limited_samples));
    (void)json_object_set_new(summary, "degraded",
                              make_degraded(session->options->is_offline ? 0 : statistics->degraded));
    (void)json_object_set_new(summary, "simulation", make_simulation(session));
    return summary;
}

int
process_print_json(const struct process_session *session)
{
    json_t *const summary = make_summary(session);
    const bool is_printed = summary && json_dumpf(summary, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0;
    json_decref(summary);
    if (!is_printed)
        return cli_fail(CLI_FAILED, "the summary could not be printed");
    (void)putchar('\n');
    return CLI_OK;
}
