// SPDX-License-Identifier: MIT
// Audio files, written through libsndfile.

#include "backends/file/file.h"

#include "backends/file/container.h"
#include "backends/file/error.h"
#include "backends/file/level.h"
#include "backends/file/pipeline.h"
#include "backends/file/unnamed.h"

#include <errno.h>
#include <math.h>
#include <sndfile.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_FRAMES DX_PIPELINE_CHUNK

struct dx_file_writer {
    char *path;
    struct dx_unnamed target;
    int error_number; // of the first failed system call: libsndfile forgets them, at closing above all
    sf_count_t position;
    sf_count_t length;
    SNDFILE *file;
    int format;
    uint32_t channels;        // of the file
    uint32_t source_channels; // of what is given
    uint64_t frames;          // of the file when complete
    uint64_t first_frames;    // the same before dx_file_writer_extend()
    double source_rate_hz;
    uint32_t rate_hz;
    uint64_t written; // so far
    struct dx_pipeline pipeline;
    float *block;      // BLOCK_FRAMES of the file
    int32_t *integers; // the same as left-aligned integers
    struct dx_file_level level;
};

/* libsndfile's calls, on a descriptor, with an error that stays. */

static sf_count_t
get_length(void *context)
{
    const struct dx_file_writer *const writer = context;
    return writer->length;
}

static sf_count_t
seek(sf_count_t offset, int whence, void *context)
{
    struct dx_file_writer *const writer = context;
    const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? writer->position : writer->length;
    if (base + offset < 0)
        return -1;
    writer->position = base + offset;
    return writer->position;
}

static sf_count_t
read_bytes(void *bytes, sf_count_t count, void *context)
{
    struct dx_file_writer *const writer = context;
    const ssize_t got = pread(writer->target.descriptor, bytes, (size_t)count, writer->position);
    if (got < 0)
        return 0;
    writer->position += got;
    return got;
}

static sf_count_t
write_bytes(const void *bytes, sf_count_t count, void *context)
{
    struct dx_file_writer *const writer = context;
    sf_count_t done = 0;
    while (done < count && writer->error_number == 0) {
        const ssize_t wrote = pwrite(writer->target.descriptor, (const char *)bytes + done, (size_t)(count - done),
                                     writer->position);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            writer->error_number = wrote < 0 ? errno : EIO;
            break;
        }
        done += wrote;
        writer->position += wrote;
    }
    if (writer->length < writer->position)
        writer->length = writer->position;
    return done;
}

static sf_count_t
tell(void *context)
{
    const struct dx_file_writer *const writer = context;
    return writer->position;
}

static kern_return_t
open_sound(struct dx_file_writer *writer, SF_INFO *info, dx_error *error)
{
    SF_VIRTUAL_IO virtual_io = {
        // copied
        .get_filelen = get_length, .seek = seek, .read = read_bytes, .write = write_bytes, .tell = tell,
    };
    writer->format = info->format;
    writer->file = sf_open_virtual(&virtual_io, SFM_WRITE, info, writer);
    if (!writer->file)
        return dx_file_error(error, writer->error_number ? kIOReturnIOError : kIOReturnBadArgument,
                             "%s could not be written: %s", writer->path,
                             writer->error_number ? strerror(writer->error_number) : sf_strerror(NULL));
    // its time stamp would make equal runs give unequal files
    (void)sf_command(writer->file, SFC_SET_ADD_PEAK_CHUNK, NULL, SF_FALSE);
    return kIOReturnSuccess;
}

kern_return_t
dx_file_writer_open(const struct dx_file_writer_config *config, struct dx_file_writer **ret_writer,
                    dx_error *error)
{
    SF_INFO info = {0};
    kern_return_t status = dx_file_choose_format(config, &info, error);
    if (status != kIOReturnSuccess)
        return status;

    struct dx_file_writer *const writer = calloc(1, sizeof *writer);
    if (!writer)
        return dx_file_error(error, kIOReturnNoMemory, "no memory to write %s", config->path);
    const size_t samples = (size_t)BLOCK_FRAMES * config->info.channels;
    writer->target.descriptor = -1;
    writer->path = strdup(config->path);
    writer->block = calloc(samples, sizeof *writer->block);
    writer->integers = calloc(samples, sizeof *writer->integers);
    writer->channels = config->info.channels;
    writer->source_channels = config->source_channels;
    writer->frames = config->info.frames;
    writer->first_frames = config->info.frames;
    writer->source_rate_hz = config->source_rate_hz;
    writer->rate_hz = config->info.rate_hz;
    if (!writer->path || !writer->block || !writer->integers)
        status = dx_file_error(error, kIOReturnNoMemory, "no memory to write %s", config->path);
    if (status == kIOReturnSuccess)
        status = dx_pipeline_init(&writer->pipeline, config->source_rate_hz, config->source_channels,
                                  config->info.rate_hz, config->info.channels, error);
    if (status == kIOReturnSuccess)
        status = dx_unnamed_open(&writer->target, config->path, error);
    if (status == kIOReturnSuccess)
        status = open_sound(writer, &info, error);

    if (status == kIOReturnSuccess)
        *ret_writer = writer;
    else
        dx_file_writer_close(writer);
    return status;
}

void
dx_file_writer_extend(struct dx_file_writer *writer, uint64_t source_frames)
{
    const uint64_t frames =
        writer->first_frames + dx_pipeline_length(source_frames, writer->source_rate_hz, writer->rate_hz);
    if (frames > writer->frames)
        writer->frames = frames;
}

/* To the nearest integer of `bits` bits, in the high bits of 32: libsndfile's own scaling is by 2^(bits-1) - 1,
 * and would not give back what was read. */
static uint64_t
to_integers(const float *samples, int32_t *integers, size_t count, unsigned bits)
{
    const double scale = ldexp(1.0, (int)bits - 1);
    uint64_t clipped = 0;
    for (size_t i = 0; i < count; i++) {
        const double exact = isnan(samples[i]) ? 0.0 : (double)samples[i] * scale;
        double value = nearbyint(exact);
        if (value < -scale || value > scale - 1.0) {
            clipped++;
            value = value < 0.0 ? -scale : scale - 1.0;
        }
        integers[i] = (int32_t)((uint32_t)(int32_t)value << (32u - bits));
    }
    return clipped;
}

static kern_return_t
fail(const struct dx_file_writer *writer, dx_error *error)
{
    return dx_file_error(error, kIOReturnIOError, "%s could not be written: %s", writer->path,
                         writer->error_number ? strerror(writer->error_number) : sf_strerror(writer->file));
}

/* Writes what is in the block, up to the file's last frame. */
static kern_return_t
write_block(struct dx_file_writer *writer, uint32_t frames, dx_error *error)
{
    const uint64_t left = writer->frames - writer->written;
    const sf_count_t count = left < frames ? (sf_count_t)left : (sf_count_t)frames;
    if (count == 0)
        return kIOReturnSuccess;

    const size_t samples = (size_t)count * writer->channels;
    const unsigned bits = dx_file_integer_bits(writer->format);
    dx_file_level_add(&writer->level, writer->block, samples);
    sf_count_t wrote;
    if (bits > 0) {
        writer->level.clipped += to_integers(writer->block, writer->integers, samples, bits);
        wrote = sf_writef_int(writer->file, writer->integers, count);
    } else {
        wrote = sf_writef_float(writer->file, writer->block, count);
    }
    if (wrote != count || writer->error_number != 0)
        return fail(writer, error);
    writer->written += (uint64_t)count;
    return kIOReturnSuccess;
}

static kern_return_t
process(struct dx_file_writer *writer, const float *frames, uint32_t count, bool is_last, dx_error *error)
{
    uint32_t position = 0;
    for (;;) {
        uint32_t used = 0;
        uint32_t made = 0;
        kern_return_t status =
            dx_pipeline_process(&writer->pipeline, frames + (size_t)position * writer->source_channels,
                                count - position, is_last, writer->block, BLOCK_FRAMES, &used, &made);
        if (status != kIOReturnSuccess)
            return dx_file_error(error, status, "%s: the rate converter failed", writer->path);
        position += used;
        status = write_block(writer, made, error);
        if (status != kIOReturnSuccess)
            return status;
        if (made == 0 && (used == 0 || position == count))
            return kIOReturnSuccess;
    }
}

kern_return_t
dx_file_writer_write(struct dx_file_writer *writer, const float *frames, uint32_t count, dx_error *error)
{
    return process(writer, frames, count, false, error);
}

kern_return_t
dx_file_writer_commit(struct dx_file_writer *writer, dx_error *error)
{
    const float nothing = 0.0f;
    kern_return_t status = process(writer, &nothing, 0, true, error);
    if (writer->written < writer->frames)
        memset(writer->block, 0, (size_t)BLOCK_FRAMES * writer->channels * sizeof *writer->block);
    while (status == kIOReturnSuccess && writer->written < writer->frames)
        status = write_block(writer, BLOCK_FRAMES, error);
    if (status != kIOReturnSuccess)
        return status;

    const int code = sf_close(writer->file); // writes the header, and what an encoder still holds
    writer->file = NULL;
    if (writer->error_number != 0 || code != 0)
        return dx_file_error(error, kIOReturnIOError, "%s could not be written: %s", writer->path,
                             writer->error_number ? strerror(writer->error_number) : sf_error_number(code));
    return dx_unnamed_commit(&writer->target, error);
}

struct dx_file_level
dx_file_writer_level(const struct dx_file_writer *writer)
{
    return writer->level;
}

const char *
dx_file_writer_encoding_name(const struct dx_file_writer *writer)
{
    return dx_file_encoding_name(writer->format);
}

void
dx_file_writer_close(struct dx_file_writer *writer)
{
    if (!writer)
        return;
    if (writer->file)
        (void)sf_close(writer->file); // not committed: nobody will see it
    dx_unnamed_close(&writer->target);
    dx_pipeline_finish(&writer->pipeline);
    free(writer->block);
    free(writer->integers);
    free(writer->path);
    free(writer);
}
