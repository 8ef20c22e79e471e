// SPDX-License-Identifier: MIT
// Audio files, read and written as float32 frames of a device's rate and channel count.

#ifndef DX_BACKENDS_FILE_FILE_H
#define DX_BACKENDS_FILE_FILE_H

#include <dextral/bundle.h>

/*
 * Channels are mapped by one rule in both directions: equal counts one to one; one channel to all; several to
 * one as their mean; otherwise the first ones one to one, the rest dropped or silent.
 *
 * Integer samples are read as x / 2^(bits-1) and written as the nearest integer, ties to even, clipped, without
 * dither: 8, 16 and 24 bits come back as they were when rate and channels are the device's.  So does float32.
 * 32-bit integers and float64 are rounded to float32's 24 bits on the way.
 */

#define DX_FILE_MAX_CHANNELS 1024u
#define DX_FILE_MAX_RATE_HZ 10000000u

/** How samples are stored. */
enum dx_file_encoding {
    DX_FILE_ENCODING_SAME, ///< as the input's, or the nearest that the container has
    DX_FILE_ENCODING_S16,
    DX_FILE_ENCODING_S24,
    DX_FILE_ENCODING_S32,
    DX_FILE_ENCODING_F32,
    DX_FILE_ENCODING_F64,
};

/** Loudness of what went through. */
struct dx_file_level {
    uint64_t samples;   ///< frames times channels
    double sum_squares; ///< of them
    double peak;        ///< largest magnitude
    uint64_t clipped;   ///< samples that an integer format could not hold
};

struct dx_file_info {
    uint64_t frames;
    uint32_t rate_hz;
    uint32_t channels;
    int32_t format; ///< libsndfile's, to be handed to the writer; 0: none
};

/** What a name's suffix says a new file is to be: "WAV"; NULL for one that is not known. */
const char *dx_file_container_name(const char *path);

/** The suffixes dx_file_container_name() knows, for messages. */
extern const char *const dx_file_suffixes;

/* Reading. */

struct dx_file_reader;

/**
 * Opens a file and checks that all of what its header announces is there.
 *
 * @param ret_reader  written on success only.
 * @param error       filled on failure.
 * @return kIOReturnSuccess; kIOReturnNotFound; kIOReturnNotReadable; kIOReturnBadMedia (empty, cut short,
 *         no audio file, no channels, a rate or count that cannot be); kIOReturnUnsupported (built without
 *         libsndfile); kIOReturnNoMemory.
 */
kern_return_t dx_file_reader_open(const char *path, struct dx_file_reader **ret_reader, dx_error *error);

/** What the file is.  Alive as long as the reader. */
const struct dx_file_info *dx_file_reader_info(const struct dx_file_reader *reader);

/**
 * Says what dx_file_reader_read() is to give; before the first read, once.
 *
 * @return kIOReturnSuccess; kIOReturnUnsupported (another rate, and built without libsamplerate);
 *         kIOReturnBadArgument (more than 256 times the rate, or less than a 256th); kIOReturnNoMemory.
 */
kern_return_t dx_file_reader_convert(struct dx_file_reader *reader, double rate_hz, uint32_t channels,
                                     dx_error *error);

/** Frames that will be read in all: the file's length at the rate asked for, rounded. */
uint64_t dx_file_reader_frames(const struct dx_file_reader *reader);

/**
 * Reads the next frames.
 *
 * @param ret_frames  fewer than asked only at the end.
 * @return kIOReturnSuccess; kIOReturnBadMedia (damaged, or shorter than announced); kIOReturnNoMemory.
 */
kern_return_t dx_file_reader_read(struct dx_file_reader *reader, float *frames, uint32_t count,
                                  uint32_t *ret_frames, dx_error *error);

/** What was read, as it is in the file: before rate and channels were changed. */
struct dx_file_level dx_file_reader_level(const struct dx_file_reader *reader);

/** NULL is fine. */
void dx_file_reader_close(struct dx_file_reader *reader);

/* Writing. */

struct dx_file_writer;

struct dx_file_writer_config {
    const char *path; ///< its suffix says which container
    enum dx_file_encoding encoding;
    struct dx_file_info info; ///< of the new file; `frames` are written, neither more nor fewer
    double source_rate_hz;    ///< of what dx_file_writer_write() is given
    uint32_t source_channels; ///< of what dx_file_writer_write() is given
};

/**
 * Starts a file that has no name until it is complete: nothing is left of it when it is closed, or the process
 * dies, before dx_file_writer_commit().  (Where the file system has no unnamed files it is called
 * ".NAME.XXXXXX" meanwhile, and a process that is killed leaves it behind.)
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (a suffix that is not known, or a format that the container
 *         cannot hold); kIOReturnNotWritable (the folder is not there, not writable, or the name is taken by
 *         something that is no file); kIOReturnUnsupported and kIOReturnBadArgument as dx_file_reader_convert();
 *         kIOReturnNoMemory.
 */
kern_return_t dx_file_writer_open(const struct dx_file_writer_config *config, struct dx_file_writer **ret_writer,
                                  dx_error *error);

/** Makes the file longer than `info.frames` by so many source frames in all; never shorter again. */
void dx_file_writer_extend(struct dx_file_writer *writer, uint64_t source_frames);

/** Writes frames; those after the last are ignored.  kIOReturnIOError (disk full, ...). */
kern_return_t dx_file_writer_write(struct dx_file_writer *writer, const float *frames, uint32_t count,
                                   dx_error *error);

/**
 * Completes the file, with silence if frames are missing, flushes it to the disk and gives it its name, replacing
 * a file that had it.
 *
 * @return kIOReturnSuccess; kIOReturnIOError (nothing is left then).
 */
kern_return_t dx_file_writer_commit(struct dx_file_writer *writer, dx_error *error);

/** What was written, before it was rounded or clipped to the file's samples. */
struct dx_file_level dx_file_writer_level(const struct dx_file_writer *writer);

/** How samples are stored: "s16".  A literal. */
const char *dx_file_writer_encoding_name(const struct dx_file_writer *writer);

/** Frees, and drops what was not committed.  NULL is fine. */
void dx_file_writer_close(struct dx_file_writer *writer);

#endif /* DX_BACKENDS_FILE_FILE_H */
