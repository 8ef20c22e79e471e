// SPDX-License-Identifier: MIT
// A device of the machine that 'dextral play' or 'dextral record' has open.

#ifndef DX_CLI_SOUND_H
#define DX_CLI_SOUND_H

#include "cli/machine.h"
#include "cli/raw.h"

#include <dextral/clock.h>

#define SOUND_BLOCK_FRAMES 1024u
#define SOUND_PATIENCE_NS 100000000u ///< how long a call may wait before signals are looked at again

/** Zeroed is none; sound_close() gives all of it back. */
struct sound {
    const char *name; ///< the sub-command's
    dx_directory *directory;
    dx_device *device;
    dx_client *client;
    dx_clock *clock;
    uint32_t channels;
    double rate_hz;
    uint32_t latency_frames; ///< so far ahead of what is heard it writes at most; 0: as far as there is room
    enum dx_file_encoding encoding; ///< of the client's samples; DX_FILE_ENCODING_SAME: float32 as it is
    uint8_t *bytes;                 ///< SOUND_BLOCK_FRAMES of them, where they are encoded
};

/**
 * Connects, and finds a device.
 *
 * @param name       the sub-command's.
 * @param device     as the user names it; NULL: the default one.
 * @param is_output  whether it is to play; else to record.
 * @return CLI_OK, or an exit code after a message.
 */
int sound_find(struct sound *sound, const char *name, const char *device, bool is_output);

/**
 * Opens a client with a buffer of half a second.
 *
 * @param latency_ms  how far ahead sound_write() writes; 0: as far as there is room.
 */
int sound_open(struct sound *sound, bool is_output, double latency_ms);

/** Starts it; when there is no driver for the device, says why. */
int sound_start(struct sound *sound);

/** Writes frames until all are written, or a signal came.  CLI_OK also then. */
int sound_write(struct sound *sound, const float *frames, uint32_t count);

/** Writes what fits before the start. */
int sound_fill(struct sound *sound, const float *frames, uint32_t count, uint32_t *ret_count);

/** Waits until all has been heard, or a signal came. */
int sound_drain(struct sound *sound);

/** Reads up to SOUND_BLOCK_FRAMES, as many as there are after SOUND_PATIENCE_NS. */
int sound_read(struct sound *sound, float *frames, uint32_t count, uint32_t *ret_count);

/** CLI_OK while the device is as it was at the start. */
int sound_check_rate(struct sound *sound);

/** Zeroed is fine. */
void sound_close(struct sound *sound);

#endif /* DX_CLI_SOUND_H */
