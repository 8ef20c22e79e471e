// SPDX-License-Identifier: MIT
// dextral process: what was asked for, and what came of it.

#ifndef DX_CLI_PROCESS_H
#define DX_CLI_PROCESS_H

#include "backends/file/file.h"
#include "cli/cli.h"

#include <dextral/bundle.h>
#include <dextral/host.h>

#define PROCESS_MAX_DSPS 8u  ///< what a device's chain takes
#define PROCESS_MAX_SETS 64u ///< controls to set

struct process_options {
    const char *driver;
    const char *device; ///< UID; NULL: the only one
    const char *input;
    const char *output;
    const char *dsps[PROCESS_MAX_DSPS];
    size_t dsp_count;
    const char *sets[PROCESS_MAX_SETS]; ///< each with a '=' after its first character
    size_t set_count;
    double rate_hz; ///< 0: the file's
    double tail_seconds;
    uint64_t seed;
    uint32_t io_frames; ///< 0: the device's
    int32_t priority;   ///< as dx_host_config.io_priority
    int32_t cpu;        ///< as dx_host_config.io_cpu
    enum dx_file_encoding encoding;
    bool has_seed;
    bool is_offline;
    bool wants_json;
    bool wants_no_progress;
    bool is_quiet;
    bool is_strict;
};

/** A DSP plug-in of the chain. */
struct process_dsp {
    dx_dsp *dsp;
    bool is_in_chain;
    uint32_t latency_frames;
};

struct process_result {
    char identifier[256];
    char version[256];
    char uid[256];
    dx_device_info device;
    dx_device_statistics statistics;
    dx_client_status client;
    uint64_t moved_frames;   ///< by which what was played came late, and OUT is longer
    uint32_t latency_frames; ///< of the DSP plug-ins together
    struct dx_file_info input;
    struct dx_file_info output;
    struct dx_file_level input_level;
    struct dx_file_level output_level;
    const char *encoding; ///< of the output
    dx_simulation_result simulation;
};

/** What a run works on: made by process_open(), given back by process_close() however far it came. */
struct process_session {
    const struct process_options *options;
    struct process_result result;
    dx_bundle *bundle;
    struct process_dsp dsps[PROCESS_MAX_DSPS];
    struct dx_file_reader *reader;
    struct dx_file_writer *writer;
};

/** Opens what needs no clock: bundle, plug-ins, input file.  CLI_OK, or an exit code after a message. */
int process_open(struct process_session *session, const struct process_options *options);

/** Runs the driver and passes the file through, on the current clock; the output is not committed yet. */
int process_run(struct process_session *session);

/** Zeroed is fine. */
void process_close(struct process_session *session);

/** Moves the file through a client that is open; starts and stops it. */
int process_stream(struct process_session *session, dx_client *client);

/** Prints the summary on stdout. */
void process_print_text(const struct process_session *session);
/** The same as JSON; CLI_FAILED after a message. */
int process_print_json(const struct process_session *session);

/** Whether frames were lost, or cycles were late. */
bool process_has_losses(const struct process_result *result);

/** Decibels of full scale; minus infinity for silence. */
double process_decibels(double magnitude);
double process_rms(const struct dx_file_level *level);

#endif /* DX_CLI_PROCESS_H */
