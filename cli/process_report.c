// SPDX-License-Identifier: MIT
// The summary for people.

#include "cli/process.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

double
process_decibels(double magnitude)
{
    return magnitude > 0.0 ? 20.0 * log10(magnitude) : -HUGE_VAL;
}

double
process_rms(const struct dx_file_level *level)
{
    return level->samples > 0 ? sqrt(level->sum_squares / (double)level->samples) : 0.0;
}

bool
process_has_losses(const struct process_result *result)
{
    return result->statistics.overloads > 0 || result->statistics.late_cycles > 0 ||
           result->statistics.handler_errors > 0 || result->moved_frames > 0 ||
           result->client.underrun_frames > 0 || result->client.overrun_frames > 0;
}

/* "-6.02 dBFS", or "silent". */
static void
print_decibels(const char *name, double magnitude)
{
    if (magnitude > 0.0)
        (void)printf("%s %.2f dBFS", name, process_decibels(magnitude));
    else
        (void)printf("%s silent", name);
}

static void
print_file(const char *label, const char *path, const struct dx_file_info *info, uint64_t frames,
           const char *encoding, const struct dx_file_level *level)
{
    (void)printf("%-9s %s: %llu frames, %u Hz, %u channel%s%s%s\n", label, path, (unsigned long long)frames,
                 info->rate_hz, info->channels, info->channels == 1 ? "" : "s", *encoding ? ", " : "", encoding);
    if (level->samples == 0)
        return; // a file that was not read has no level
    (void)printf("%-9s ", "");
    print_decibels("peak", level->peak);
    print_decibels(", RMS", process_rms(level));
    if (level->clipped > 0)
        (void)printf(", %llu samples clipped", (unsigned long long)level->clipped);
    (void)printf("\n");
}

static void
print_dsps(const struct process_session *session)
{
    if (session->options->dsp_count == 0)
        return;
    (void)printf("%-9s ", "dsp");
    for (size_t i = 0; i < session->options->dsp_count; i++)
        (void)printf("%s%s", i > 0 ? ", " : "", dx_dsp_get_plugin(session->dsps[i].dsp)->name);
    (void)printf("; %u frames of delay\n", session->result.latency_frames);
}

static void
print_distribution(const char *label, const dx_distribution *distribution)
{
    (void)printf("%-9s p50 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f us\n", label,
                 (double)distribution->p50_ns * 1e-3, (double)distribution->p99_ns * 1e-3,
                 (double)distribution->p999_ns * 1e-3, (double)distribution->max_ns * 1e-3);
}

/* Overloads, and what late cycles and overloads came from. */
static void
print_overloads(const dx_device_statistics *statistics)
{
    (void)printf("%-9s %llu", "overloads", (unsigned long long)statistics->overloads);
    if (statistics->overloads > 0)
        (void)printf(" (skipped: %llu frames in, %llu out)", (unsigned long long)statistics->skipped_input_frames,
                     (unsigned long long)statistics->skipped_output_frames);
    const char *separator = "; causes: ";
    for (unsigned i = DX_CAUSE_NONE + 1u; i < DX_CAUSE_COUNT; i++) {
        if (statistics->causes[i] == 0)
            continue;
        (void)printf("%s%s %llu", separator, dx_cause_name((dx_cause)i),
                     (unsigned long long)statistics->causes[i]);
        separator = ", ";
    }
    (void)printf("\n");
}

/* The clock as the driver posted it, and what the driver answered. */
static void
print_driver(const dx_device_statistics *statistics)
{
    (void)printf("%-9s %llu", "stamps", (unsigned long long)statistics->stamps);
    if (statistics->bad_stamps > 0)
        (void)printf(", %llu of them bad, %llu times anchored anew", (unsigned long long)statistics->bad_stamps,
                     (unsigned long long)statistics->reanchors);
    (void)printf("\n");
    if (statistics->handler_errors > 0)
        (void)printf("%-9s %llu calls of the handler or a plug-in failed\n", "errors",
                     (unsigned long long)statistics->handler_errors);
}

static void
print_degraded(unsigned degraded)
{
    if (degraded == 0)
        return;
    (void)printf("%-9s not real-time:%s%s%s\n", "thread", degraded & DX_TASK_NOT_REALTIME ? " no priority" : "",
                 degraded & DX_TASK_NOT_PINNED ? " no CPU of its own" : "",
                 degraded & DX_TASK_NOT_LOCKED ? " memory not locked" : "");
}

static void
print_losses(const struct process_result *result)
{
    const dx_client_status *const client = &result->client;
    if (client->underrun_frames > 0)
        (void)printf("%-9s %llu frames were not there in time\n", "underruns",
                     (unsigned long long)client->underrun_frames);
    if (client->overrun_frames > 0)
        (void)printf("%-9s %llu recorded frames were lost: silence stands in their place\n", "overruns",
                     (unsigned long long)client->overrun_frames);
    if (result->moved_frames > 0)
        (void)printf("%-9s %llu frames: OUT is longer by as much\n", "moved",
                     (unsigned long long)result->moved_frames);
    if (client->limited_samples > 0)
        (void)printf("%-9s %llu samples (NaN, infinite, or over 16.0)\n", "limited",
                     (unsigned long long)client->limited_samples);
}

void
process_print_text(const struct process_session *session)
{
    const struct process_options *const options = session->options;
    const struct process_result *const result = &session->result;
    const dx_device_statistics *const statistics = &result->statistics;
    const dx_device_info *const device = &result->device;

    (void)printf("%-9s %s%s%s\n", "driver", result->identifier, *result->version ? " " : "", result->version);
    (void)printf("%-9s %s: %g Hz, %u in, %u out, %u frames a cycle, %s\n", "device", result->uid,
                 device->sample_rate_hz, device->inputs[0].client.mChannelsPerFrame,
                 device->output_streams > 0 ? device->outputs[0].client.mChannelsPerFrame : 0, device->io_frames,
                 options->is_offline ? "offline" : "real time");
    print_dsps(session);
    print_file("in", options->input, &result->input, result->input.frames, "", &result->input_level);
    print_file("out", options->output, &result->output, result->output_level.samples / result->output.channels,
               result->encoding, &result->output_level);
    (void)printf("%-9s %llu, %llu of them late\n", "cycles", (unsigned long long)statistics->cycles,
                 (unsigned long long)statistics->late_cycles);
    (void)printf("%-9s %llu in, %llu out\n", "frames", (unsigned long long)statistics->input_frames,
                 (unsigned long long)statistics->output_frames);
    print_distribution("lateness", &statistics->lateness);
    print_overloads(statistics);
    print_driver(statistics);
    print_degraded(options->is_offline ? 0 : statistics->degraded);
    print_losses(result);
    if (options->is_offline)
        (void)printf("%-9s seed %llu, hash %016llx, %s\n", "run", (unsigned long long)options->seed,
                     (unsigned long long)result->simulation.log_hash,
                     result->simulation.repeatable ? "repeatable" : "not repeatable");
}
