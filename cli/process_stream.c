// SPDX-License-Identifier: MIT
// Moves a file through a client: one task writes to the device, another reads from it.

#include "cli/process.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_FRAMES 1024u
#define PATIENCE_NS 100000000u // how long a call may wait before signals are looked at again

/*
 * The device's time is the common measure: frame k of the file is heard at output_base + k, and what the device
 * records at that time is frame k of the output.  output_base grows when the writer was too late; what is recorded
 * meanwhile stays in, so the output is longer by as much.
 */
struct stream {
    struct process_session *session;
    dx_clock *clock;
    dx_client *client;
    uint32_t output_channels; // 0: the device plays nothing
    uint32_t input_channels;
    uint64_t frames;      // to be played and recorded, silence at the end included
    uint64_t file_frames; // of these, from the file

    float *play_block;      // BLOCK_FRAMES
    uint32_t play_count;    // frames in it
    uint32_t play_position; // of these, written
    uint64_t fed;           // frames put into blocks so far

    float *record_block;   // BLOCK_FRAMES
    atomic_bool is_ending; // one task tells the other
    _Atomic int feed_code; // exit code of the feeding task
};

static bool
is_ending(struct stream *stream)
{
    // relaxed: nothing else is published by it; the join orders the rest
    return cli_signal() != 0 || atomic_load_explicit(&stream->is_ending, memory_order_relaxed);
}

/* Fills the block with what is to be played next. */
static int
fill_block(struct stream *stream)
{
    const uint64_t left = stream->frames - stream->fed;
    const uint64_t file_left = stream->fed < stream->file_frames ? stream->file_frames - stream->fed : 0;
    uint32_t count = left < BLOCK_FRAMES ? (uint32_t)left : BLOCK_FRAMES;
    if (file_left > 0) {
        dx_error error = {""};
        if (count > file_left)
            count = (uint32_t)file_left;
        uint32_t got = 0;
        if (dx_file_reader_read(stream->session->reader, stream->play_block, count, &got, &error) !=
            kIOReturnSuccess)
            return cli_fail(CLI_BAD_INPUT, "%s", error.message);
        count = got;
    } else {
        memset(stream->play_block, 0, (size_t)count * stream->output_channels * sizeof *stream->play_block);
    }
    stream->play_count = count;
    stream->play_position = 0;
    stream->fed += count;
    return CLI_OK;
}

/* Writes until all is written, or the lane is full at the deadline. */
static int
feed(struct stream *stream, uint64_t deadline_ns, bool *ret_is_done)
{
    *ret_is_done = false;
    for (;;) {
        if (stream->play_position == stream->play_count) {
            if (stream->fed == stream->frames) {
                *ret_is_done = true;
                return CLI_OK;
            }
            const int code = fill_block(stream);
            if (code != CLI_OK)
                return code;
        }
        uint32_t wrote = 0;
        const float *const next = stream->play_block + (size_t)stream->play_position * stream->output_channels;
        const kern_return_t status =
            dx_client_write(stream->client, next, stream->play_count - stream->play_position, deadline_ns, &wrote);
        stream->play_position += wrote;
        if (status == kIOReturnTimeout)
            return CLI_OK;
        if (status != kIOReturnSuccess)
            return cli_fail(CLI_FAILED, "the device takes no more: %s", dx_return_string(status));
    }
}

static void
run_feeder(void *argument)
{
    struct stream *const stream = argument;
    bool is_done = false;
    int code = CLI_OK;
    while (code == CLI_OK && !is_done && !is_ending(stream))
        code = feed(stream, dx_clock_now_ns(stream->clock) + PATIENCE_NS, &is_done);
    // marks the end of what is played: silence after it is no underrun
    while (code == CLI_OK && is_done && !is_ending(stream) &&
           dx_client_drain(stream->client, dx_clock_now_ns(stream->clock) + PATIENCE_NS) == kIOReturnTimeout)
        continue;
    atomic_store_explicit(&stream->feed_code, code, memory_order_relaxed); // the join orders it
    if (code != CLI_OK)
        atomic_store_explicit(&stream->is_ending, true, memory_order_relaxed);
}

static dx_client_status
get_status(const struct stream *stream)
{
    dx_client_status status = {.size = sizeof status};
    (void)dx_client_get_status(stream->client, &status); // the size is right
    return status;
}

/* Reads up to `count` frames; fewer after PATIENCE_NS. */
static int
read_block(struct stream *stream, uint64_t count, uint32_t *ret_count)
{
    const uint32_t wanted = count < BLOCK_FRAMES ? (uint32_t)count : BLOCK_FRAMES;
    const kern_return_t status = dx_client_read(stream->client, stream->record_block, wanted,
                                                dx_clock_now_ns(stream->clock) + PATIENCE_NS, ret_count);
    // lost frames are silence in the block, and counted
    if (status != kIOReturnSuccess && status != kIOReturnTimeout && status != kIOReturnOverrun)
        return cli_fail(CLI_FAILED, "the device gives no more: %s", dx_return_string(status));
    return CLI_OK;
}

static int
record(struct stream *stream, double rate_hz)
{
    const dx_client_status start = get_status(stream);
    const uint64_t first = stream->output_channels > 0 ? start.output_base : start.input_base;
    uint64_t position = start.input_base; // device time of the next frame read
    uint64_t recorded = 0;
    uint64_t end = first + stream->frames;
    while (position < end && !is_ending(stream)) {
        uint32_t count = 0;
        int code = read_block(stream, position < first ? first - position : end - position, &count);
        if (code != CLI_OK)
            return code;
        if (position >= first) {
            dx_error error = {""};
            if (dx_file_writer_write(stream->session->writer, stream->record_block, count, &error) !=
                kIOReturnSuccess)
                return cli_fail(CLI_BAD_OUTPUT, "%s", error.message);
            recorded += count;
            cli_progress_show(recorded, stream->frames, rate_hz);
        }
        position += count;
        if (stream->output_channels > 0)
            end = get_status(stream).output_base + stream->frames;
        dx_file_writer_extend(stream->session->writer, end - first - stream->frames);
    }
    stream->session->result.moved_frames = end - first - stream->frames;
    return CLI_OK;
}

static int
run_stream(struct stream *stream, double rate_hz)
{
    bool is_done = false;
    int code = CLI_OK;
    if (stream->output_channels > 0)
        code = feed(stream, 0, &is_done); // fills the lane before the start
    if (code != CLI_OK)
        return code;

    const kern_return_t status = dx_client_start(stream->client);
    if (status == kIOReturnTimeout)
        return cli_fail(CLI_BAD_DRIVER,
                        "the driver posted no zero timestamp after its start: its clock does not run");
    if (status != kIOReturnSuccess)
        return cli_fail(CLI_BAD_DRIVER, "the device did not start: %s", dx_return_string(status));

    dx_task *feeder = NULL;
    const dx_task_config config = {.name = "feeder", .stack_bytes = 1u << 20};
    if (stream->output_channels > 0 &&
        dx_task_spawn(stream->clock, &config, run_feeder, stream, &feeder) != kIOReturnSuccess)
        code = cli_fail(CLI_FAILED, "no thread could be made");
    if (code == CLI_OK)
        code = record(stream, rate_hz);
    atomic_store_explicit(&stream->is_ending, true, memory_order_relaxed); // the join orders the rest
    dx_task_join(feeder);
    stream->session->result.client = get_status(stream);
    dx_client_stop(stream->client);
    if (code == CLI_OK)
        code = atomic_load_explicit(&stream->feed_code, memory_order_relaxed);
    return code;
}

int
process_stream(struct process_session *session, dx_client *client)
{
    const dx_device_info *const info = &session->result.device;
    const double tail = session->options->tail_seconds * info->sample_rate_hz + 0.5;
    struct stream stream = {
        .session = session,
        .clock = dx_clock_current(),
        .client = client,
        .output_channels = info->output_streams > 0 ? info->outputs[0].client.mChannelsPerFrame : 0,
        .input_channels = info->inputs[0].client.mChannelsPerFrame,
        .file_frames = dx_file_reader_frames(session->reader),
    };
    stream.frames = stream.file_frames + (uint64_t)tail + session->result.latency_frames;
    stream.play_block = calloc((size_t)BLOCK_FRAMES * (stream.output_channels + 1u), sizeof(float));
    stream.record_block = calloc((size_t)BLOCK_FRAMES * stream.input_channels, sizeof(float));
    const int code = stream.play_block && stream.record_block ? run_stream(&stream, info->sample_rate_hz)
                                                              : cli_fail(CLI_FAILED, "no memory");
    free(stream.play_block);
    free(stream.record_block);
    return code;
}
