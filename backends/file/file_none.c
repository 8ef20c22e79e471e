// SPDX-License-Identifier: MIT
// Stands in for reader.c and writer.c where libsndfile is not there.

#include "backends/file/file.h"

#include "backends/file/error.h"

static const struct dx_file_info no_info;

static kern_return_t
refuse(dx_error *error)
{
    return dx_file_error(error, kIOReturnUnsupported,
                         "this build of Dextral reads and writes no audio files: install libsndfile (Debian: "
                         "libsndfile1-dev) and build again with -Dsndfile=enabled");
}

kern_return_t
dx_file_reader_open(const char *path, struct dx_file_reader **ret_reader, dx_error *error)
{
    (void)path;
    (void)ret_reader;
    return refuse(error);
}

const struct dx_file_info *
dx_file_reader_info(const struct dx_file_reader *reader)
{
    (void)reader;
    return &no_info;
}

kern_return_t
dx_file_reader_convert(struct dx_file_reader *reader, double rate_hz, uint32_t channels, dx_error *error)
{
    (void)reader;
    (void)rate_hz;
    (void)channels;
    return refuse(error);
}

uint64_t
dx_file_reader_frames(const struct dx_file_reader *reader)
{
    (void)reader;
    return 0;
}

kern_return_t
dx_file_reader_read(struct dx_file_reader *reader, float *frames, uint32_t count, uint32_t *ret_frames,
                    dx_error *error)
{
    (void)reader;
    (void)frames;
    (void)count;
    (void)ret_frames;
    return refuse(error);
}

struct dx_file_level
dx_file_reader_level(const struct dx_file_reader *reader)
{
    (void)reader;
    return (struct dx_file_level){0};
}

void
dx_file_reader_close(struct dx_file_reader *reader)
{
    (void)reader;
}

kern_return_t
dx_file_writer_open(const struct dx_file_writer_config *config, struct dx_file_writer **ret_writer,
                    dx_error *error)
{
    (void)config;
    (void)ret_writer;
    return refuse(error);
}

void
dx_file_writer_extend(struct dx_file_writer *writer, uint64_t source_frames)
{
    (void)writer;
    (void)source_frames;
}

kern_return_t
dx_file_writer_write(struct dx_file_writer *writer, const float *frames, uint32_t count, dx_error *error)
{
    (void)writer;
    (void)frames;
    (void)count;
    return refuse(error);
}

kern_return_t
dx_file_writer_commit(struct dx_file_writer *writer, dx_error *error)
{
    (void)writer;
    return refuse(error);
}

struct dx_file_level
dx_file_writer_level(const struct dx_file_writer *writer)
{
    (void)writer;
    return (struct dx_file_level){0};
}

const char *
dx_file_writer_encoding_name(const struct dx_file_writer *writer)
{
    (void)writer;
    return "";
}

void
dx_file_writer_close(struct dx_file_writer *writer)
{
    (void)writer;
}
