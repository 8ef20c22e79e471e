// SPDX-License-Identifier: MIT
// Audio files, read through libsndfile.

#include "backends/file/file.h"

#include "backends/file/error.h"
#include "backends/file/header.h"
#include "backends/file/level.h"
#include "backends/file/pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <sndfile.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_FRAMES 1024u

struct dx_file_reader {
    char *path;
    SNDFILE *file;
    struct dx_file_info info;
    struct dx_pipeline pipeline;
    double rate_hz;          // of what is given
    uint32_t channels;       // of what is given
    uint64_t frames;         // to be given in all
    uint64_t given;          // so far
    uint64_t taken;          // from the file so far
    float *block;            // BLOCK_FRAMES as they are in the file
    uint32_t block_frames;   // in it
    uint32_t block_position; // of these, used
    struct dx_file_level level;
};

/* Opens a regular file without waiting for a FIFO's other end. */
static kern_return_t
open_regular(const char *path, int *ret_descriptor, uint64_t *ret_bytes, dx_error *error)
{
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return dx_file_error(error, errno == ENOENT ? kIOReturnNotFound : kIOReturnNotReadable, "%s: %s", path,
                             strerror(errno));
    struct stat info;
    kern_return_t status = kIOReturnSuccess;
    if (fstat(descriptor, &info) != 0)
        status = dx_file_error(error, kIOReturnNotReadable, "%s: %s", path, strerror(errno));
    else if (S_ISDIR(info.st_mode))
        status = dx_file_error(error, kIOReturnNotReadable, "%s is a folder, not an audio file", path);
    else if (!S_ISREG(info.st_mode))
        status =
            dx_file_error(error, kIOReturnNotReadable, "%s is no regular file: copy its audio into one", path);
    else if (info.st_size == 0)
        status = dx_file_error(error, kIOReturnBadMedia, "%s is empty (0 bytes)", path);
    if (status != kIOReturnSuccess) {
        (void)close(descriptor); // read only
        return status;
    }
    *ret_descriptor = descriptor;
    *ret_bytes = (uint64_t)info.st_size;
    return kIOReturnSuccess;
}

static kern_return_t
check_info(const SF_INFO *info, const char *path, dx_error *error)
{
    if ((info->format & SF_FORMAT_TYPEMASK) == SF_FORMAT_RAW)
        return dx_file_error(error, kIOReturnBadMedia,
                             "%s has no header that says what it is: convert it to WAV first", path);
    if (info->channels < 1 || (unsigned)info->channels > DX_FILE_MAX_CHANNELS)
        return dx_file_error(error, kIOReturnBadMedia, "%s: %d channels cannot be processed (1 to %u)", path,
                             info->channels, DX_FILE_MAX_CHANNELS);
    if (info->samplerate < 1 || (unsigned)info->samplerate > DX_FILE_MAX_RATE_HZ)
        return dx_file_error(error, kIOReturnBadMedia, "%s: a rate of %d Hz cannot be processed (1 to %u)", path,
                             info->samplerate, DX_FILE_MAX_RATE_HZ);
    if (info->frames == 0)
        return dx_file_error(error, kIOReturnBadMedia, "%s contains no frames: there is nothing to process", path);
    if (info->frames < 0 || info->frames > SF_COUNT_MAX / 2048)
        return dx_file_error(error, kIOReturnBadMedia, "%s does not say how long it is: convert it to WAV first",
                             path);
    return kIOReturnSuccess;
}

/* A compressed file has no size to check: its last frame must be there. */
static kern_return_t
check_last_frame(struct dx_file_reader *reader, dx_error *error)
{
    const sf_count_t last = (sf_count_t)reader->info.frames - 1;
    const bool is_there =
        sf_seek(reader->file, last, SEEK_SET) == last && sf_readf_float(reader->file, reader->block, 1) == 1;
    if (!is_there || sf_seek(reader->file, 0, SEEK_SET) != 0)
        return dx_file_error(error, kIOReturnBadMedia,
                             "%s is cut short or damaged: its header announces %llu frames, the last is not there",
                             reader->path, (unsigned long long)reader->info.frames);
    return kIOReturnSuccess;
}

/* Takes the descriptor. */
static kern_return_t
open_sound(struct dx_file_reader *reader, int descriptor, dx_error *error)
{
    SF_INFO info = {0};
    reader->file = sf_open_fd(descriptor, SFM_READ, &info, SF_TRUE); // closes it on failure as well
    if (!reader->file) {
        // of a header that announces a rate of 0 libsndfile says "Internal error : SF_INFO struct incomplete"
        const char *const reason = sf_strerror(NULL);
        return dx_file_error(error, kIOReturnBadMedia, "%s is no audio file that can be read: %s", reader->path,
                             strstr(reason, "Internal error")
                                 ? "its header says a rate, channel count or length that cannot be"
                                 : reason);
    }
    const kern_return_t status = check_info(&info, reader->path, error);
    if (status != kIOReturnSuccess)
        return status;
    reader->info = (struct dx_file_info){
        .frames = (uint64_t)info.frames,
        .rate_hz = (uint32_t)info.samplerate,
        .channels = (uint32_t)info.channels,
        .format = info.format,
    };
    reader->block = calloc((size_t)BLOCK_FRAMES * reader->info.channels, sizeof *reader->block);
    if (!reader->block)
        return dx_file_error(error, kIOReturnNoMemory, "no memory to read %s", reader->path);
    return check_last_frame(reader, error);
}

kern_return_t
dx_file_reader_open(const char *path, struct dx_file_reader **ret_reader, dx_error *error)
{
    int descriptor = -1;
    uint64_t bytes = 0;
    kern_return_t status = open_regular(path, &descriptor, &bytes, error);
    if (status != kIOReturnSuccess)
        return status;
    status = dx_file_check_header(descriptor, bytes, path, error);

    struct dx_file_reader *const reader = calloc(1, sizeof *reader);
    if (status == kIOReturnSuccess && (!reader || !(reader->path = strdup(path))))
        status = dx_file_error(error, kIOReturnNoMemory, "no memory to read %s", path);
    if (status != kIOReturnSuccess) {
        (void)close(descriptor); // read only
        dx_file_reader_close(reader);
        return status;
    }

    status = open_sound(reader, descriptor, error);
    if (status == kIOReturnSuccess)
        status = dx_file_reader_convert(reader, reader->info.rate_hz, reader->info.channels, error);
    if (status == kIOReturnSuccess)
        *ret_reader = reader;
    else
        dx_file_reader_close(reader);
    return status;
}

const struct dx_file_info *
dx_file_reader_info(const struct dx_file_reader *reader)
{
    return &reader->info;
}

kern_return_t
dx_file_reader_convert(struct dx_file_reader *reader, double rate_hz, uint32_t channels, dx_error *error)
{
    struct dx_pipeline pipeline;
    const kern_return_t status =
        dx_pipeline_init(&pipeline, reader->info.rate_hz, reader->info.channels, rate_hz, channels, error);
    if (status != kIOReturnSuccess)
        return status;
    dx_pipeline_finish(&reader->pipeline);
    reader->pipeline = pipeline;
    reader->rate_hz = rate_hz;
    reader->channels = channels;
    reader->frames = dx_pipeline_length(reader->info.frames, reader->info.rate_hz, rate_hz);
    return kIOReturnSuccess;
}

uint64_t
dx_file_reader_frames(const struct dx_file_reader *reader)
{
    return reader->frames;
}

/* Reads the next block of the file; at its end the block is empty. */
static kern_return_t
fill_block(struct dx_file_reader *reader, dx_error *error)
{
    const uint64_t left = reader->info.frames - reader->taken;
    const sf_count_t wanted = left < BLOCK_FRAMES ? (sf_count_t)left : (sf_count_t)BLOCK_FRAMES;
    reader->block_position = 0;
    reader->block_frames = 0;
    if (wanted == 0)
        return kIOReturnSuccess;
    const sf_count_t got = sf_readf_float(reader->file, reader->block, wanted);
    if (got != wanted)
        return dx_file_error(error, kIOReturnBadMedia,
                             "%s is cut short or damaged: frame %llu of %llu cannot be read%s%s", reader->path,
                             (unsigned long long)(reader->taken + (uint64_t)(got > 0 ? got : 0)),
                             (unsigned long long)reader->info.frames, sf_error(reader->file) ? ": " : "",
                             sf_error(reader->file) ? sf_strerror(reader->file) : "");
    reader->block_frames = (uint32_t)got;
    reader->taken += (uint64_t)got;
    dx_file_level_add(&reader->level, reader->block, (size_t)got * reader->info.channels);
    return kIOReturnSuccess;
}

kern_return_t
dx_file_reader_read(struct dx_file_reader *reader, float *frames, uint32_t count, uint32_t *ret_frames,
                    dx_error *error)
{
    const uint64_t left = reader->frames - reader->given;
    const uint32_t wanted = left < count ? (uint32_t)left : count;
    uint32_t filled = 0;
    while (filled < wanted) {
        if (reader->block_position == reader->block_frames) {
            const kern_return_t status = fill_block(reader, error);
            if (status != kIOReturnSuccess)
                return status;
        }
        uint32_t used = 0;
        uint32_t made = 0;
        const bool is_last = reader->taken == reader->info.frames;
        const kern_return_t status = dx_pipeline_process(
            &reader->pipeline, reader->block + (size_t)reader->block_position * reader->info.channels,
            reader->block_frames - reader->block_position, is_last, frames + (size_t)filled * reader->channels,
            wanted - filled, &used, &made);
        if (status != kIOReturnSuccess)
            return dx_file_error(error, status, "%s: the rate converter failed", reader->path);
        reader->block_position += used;
        filled += made;
        if (is_last && used == 0 && made == 0)
            break;
    }
    // a rate converter may end a frame early: the rest is silence
    if (filled < wanted)
        memset(frames + (size_t)filled * reader->channels, 0,
               (size_t)(wanted - filled) * reader->channels * sizeof *frames);
    reader->given += wanted;
    *ret_frames = wanted;
    return kIOReturnSuccess;
}

struct dx_file_level
dx_file_reader_level(const struct dx_file_reader *reader)
{
    return reader->level;
}

void
dx_file_reader_close(struct dx_file_reader *reader)
{
    if (!reader)
        return;
    if (reader->file)
        (void)sf_close(reader->file); // read only
    dx_pipeline_finish(&reader->pipeline);
    free(reader->block);
    free(reader->path);
    free(reader);
}
