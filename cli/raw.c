// SPDX-License-Identifier: MIT
// Sound without a header.

#include "cli/raw.h"

#include "backends/file/pipeline.h"
#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_FRAMES DX_PIPELINE_CHUNK

/* Samples. */

static const struct {
    const char *name;
    uint32_t bytes;
} encodings[] = {
    [DX_FILE_ENCODING_SAME] = {"", 0},   [DX_FILE_ENCODING_S16] = {"s16", 2}, [DX_FILE_ENCODING_S24] = {"s24", 3},
    [DX_FILE_ENCODING_S32] = {"s32", 4}, [DX_FILE_ENCODING_F32] = {"f32", 4}, [DX_FILE_ENCODING_F64] = {"f64", 8},
};

bool
cli_parse_encoding(const char *name, enum dx_file_encoding *ret_encoding)
{
    for (size_t i = DX_FILE_ENCODING_S16; i < sizeof encodings / sizeof encodings[0]; i++) {
        if (strcmp(name, encodings[i].name) == 0) {
            *ret_encoding = (enum dx_file_encoding)i;
            return true;
        }
    }
    return false;
}

uint32_t
cli_raw_sample_bytes(enum dx_file_encoding encoding)
{
    return encodings[encoding].bytes;
}

static void
put_little(uint8_t *bytes, uint64_t value, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(value >> (8u * i));
}

static uint64_t
get_little(const uint8_t *bytes, uint32_t count)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < count; i++)
        value |= (uint64_t)bytes[i] << (8u * i);
    return value;
}

/* To the nearest, ties to even, clipped. */
static int64_t
to_integer(float sample, uint32_t bits)
{
    const double scale = ldexp(1.0, (int)bits - 1);
    const double value = isnan(sample) ? 0.0 : nearbyint((double)sample * scale);
    return value < -scale ? (int64_t)-scale : value > scale - 1.0 ? (int64_t)(scale - 1.0) : (int64_t)value;
}

void
cli_raw_encode(enum dx_file_encoding encoding, const float *samples, size_t count, uint8_t *bytes)
{
    const uint32_t size = cli_raw_sample_bytes(encoding);
    for (size_t i = 0; i < count; i++) {
        uint32_t single;
        uint64_t bits;
        const double wide = (double)samples[i];
        if (encoding == DX_FILE_ENCODING_F64)
            memcpy(&bits, &wide, sizeof bits);
        else if (encoding == DX_FILE_ENCODING_F32)
            bits = (memcpy(&single, &samples[i], sizeof single), single);
        else
            bits = (uint64_t)to_integer(samples[i], 8 * size);
        put_little(bytes + i * size, bits, size);
    }
}

void
cli_raw_decode(enum dx_file_encoding encoding, const uint8_t *bytes, size_t count, float *samples)
{
    const uint32_t size = cli_raw_sample_bytes(encoding);
    for (size_t i = 0; i < count; i++) {
        const uint64_t bits = get_little(bytes + i * size, size);
        const uint32_t single = (uint32_t)bits;
        double wide;
        if (encoding == DX_FILE_ENCODING_F64)
            samples[i] = (memcpy(&wide, &bits, sizeof wide), (float)wide);
        else if (encoding == DX_FILE_ENCODING_F32)
            memcpy(&samples[i], &single, sizeof single);
        else // moved to the high bits of 32, for its sign
            samples[i] = (float)ldexp((double)(int32_t)(single << (32u - 8u * size)), -31);
    }
}

/* Streams. */

struct cli_raw {
    int descriptor;
    enum dx_file_encoding encoding;
    uint32_t channels; // of the stream
    bool is_at_end;    // of what is read
    struct dx_pipeline pipeline;
    float *block;            // BLOCK_FRAMES of the stream
    uint8_t *bytes;          // the same, encoded
    size_t byte_count;       // reader: of them, read and not decoded yet
    uint32_t block_frames;   // reader: in the block
    uint32_t block_position; // reader: of these, used
};

static int
init(struct cli_raw *raw, double in_rate_hz, uint32_t in_channels, double out_rate_hz, uint32_t out_channels)
{
    dx_error error = {""};
    const size_t samples = (size_t)BLOCK_FRAMES * raw->channels;
    raw->block = calloc(samples, sizeof *raw->block);
    raw->bytes = calloc(samples, cli_raw_sample_bytes(raw->encoding));
    if (!raw->block || !raw->bytes)
        return cli_fail(CLI_FAILED, "no memory");
    const kern_return_t status =
        dx_pipeline_init(&raw->pipeline, in_rate_hz, in_channels, out_rate_hz, out_channels, &error);
    if (status == kIOReturnSuccess)
        return CLI_OK;
    return cli_fail(status == kIOReturnBadArgument ? CLI_USAGE : CLI_FAILED, "%s", error.message);
}

int
cli_raw_open(int descriptor, enum dx_file_encoding encoding, bool is_writer, double in_rate_hz,
             uint32_t in_channels, double out_rate_hz, uint32_t out_channels, struct cli_raw **ret_raw)
{
    struct cli_raw *const raw = calloc(1, sizeof *raw);
    if (!raw)
        return cli_fail(CLI_FAILED, "no memory");
    raw->descriptor = descriptor;
    raw->encoding = encoding;
    raw->channels = is_writer ? out_channels : in_channels;
    const int code = init(raw, in_rate_hz, in_channels, out_rate_hz, out_channels);
    if (code == CLI_OK)
        *ret_raw = raw;
    else
        cli_raw_close(raw);
    return code;
}

/* Reads up to a block; what is left of a frame at the end is dropped. */
static int
fill_block(struct cli_raw *raw)
{
    const size_t frame_bytes = (size_t)cli_raw_sample_bytes(raw->encoding) * raw->channels;
    while (raw->byte_count < frame_bytes && !raw->is_at_end) {
        const ssize_t got =
            read(raw->descriptor, raw->bytes + raw->byte_count, BLOCK_FRAMES * frame_bytes - raw->byte_count);
        if (got < 0 && errno != EINTR)
            return cli_fail(CLI_BAD_INPUT, "standard input: %s", strerror(errno));
        if (got == 0 || (got < 0 && cli_signal()))
            raw->is_at_end = true;
        else if (got > 0)
            raw->byte_count += (size_t)got;
    }
    raw->block_position = 0;
    raw->block_frames = (uint32_t)(raw->byte_count / frame_bytes);
    cli_raw_decode(raw->encoding, raw->bytes, (size_t)raw->block_frames * raw->channels, raw->block);
    const size_t used = raw->block_frames * frame_bytes;
    memmove(raw->bytes, raw->bytes + used, raw->byte_count - used);
    raw->byte_count = raw->is_at_end ? 0 : raw->byte_count - used;
    return CLI_OK;
}

int
cli_raw_read(struct cli_raw *raw, float *frames, uint32_t count, uint32_t *ret_count)
{
    *ret_count = 0;
    while (*ret_count < count) {
        if (raw->block_position == raw->block_frames) {
            const int code = fill_block(raw);
            if (code != CLI_OK)
                return code;
        }
        uint32_t used = 0;
        uint32_t made = 0;
        if (dx_pipeline_process(&raw->pipeline, raw->block + (size_t)raw->block_position * raw->channels,
                                raw->block_frames - raw->block_position, raw->is_at_end,
                                frames + (size_t)*ret_count * raw->pipeline.out_channels, count - *ret_count,
                                &used, &made) != kIOReturnSuccess)
            return cli_fail(CLI_FAILED, "the rate converter failed");
        raw->block_position += used;
        *ret_count += made;
        if (made == 0 && raw->block_frames == 0)
            break; // the end
    }
    return CLI_OK;
}

static int
write_bytes(int descriptor, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        const ssize_t wrote = write(descriptor, bytes, count);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return cli_fail(CLI_BAD_OUTPUT, "standard output: %s", strerror(errno));
        bytes += wrote;
        count -= (size_t)wrote;
    }
    return CLI_OK;
}

int
cli_raw_write(struct cli_raw *raw, const float *frames, uint32_t count, bool is_last)
{
    uint32_t position = 0;
    for (;;) {
        uint32_t used = 0;
        uint32_t made = 0;
        if (dx_pipeline_process(&raw->pipeline, frames + (size_t)position * raw->pipeline.in_channels,
                                count - position, is_last, raw->block, BLOCK_FRAMES, &used,
                                &made) != kIOReturnSuccess)
            return cli_fail(CLI_FAILED, "the rate converter failed");
        position += used;
        const size_t samples = (size_t)made * raw->channels;
        cli_raw_encode(raw->encoding, raw->block, samples, raw->bytes);
        const int code = write_bytes(raw->descriptor, raw->bytes, samples * cli_raw_sample_bytes(raw->encoding));
        if (code != CLI_OK)
            return code;
        if (made == 0 && (used == 0 || position == count))
            return CLI_OK;
    }
}

void
cli_raw_close(struct cli_raw *raw)
{
    if (!raw)
        return;
    dx_pipeline_finish(&raw->pipeline);
    free(raw->block);
    free(raw->bytes);
    free(raw);
}
