// SPDX-License-Identifier: MIT
// Sound without a header: of standard input and output, and of streams that take no float32.

#ifndef DX_CLI_RAW_H
#define DX_CLI_RAW_H

#include "backends/file/file.h"

/*
 * Samples are little-endian and interleaved.  Integers are x / 2^(bits-1) of full scale, as backends/file/file.h
 * says.
 */

#define CLI_ENCODING_NAMES "s16, s24, s32, f32 or f64"

/** The encoding of a name; false where there is none. */
bool cli_parse_encoding(const char *name, enum dx_file_encoding *ret_encoding);

/** Bytes of a sample; 0 for DX_FILE_ENCODING_SAME. */
uint32_t cli_raw_sample_bytes(enum dx_file_encoding encoding);
void cli_raw_encode(enum dx_file_encoding encoding, const float *samples, size_t count, uint8_t *bytes);
void cli_raw_decode(enum dx_file_encoding encoding, const uint8_t *bytes, size_t count, float *samples);

/* A stream of it through a descriptor, with another rate and channel count on the other side. */

struct cli_raw;

/**
 * @param descriptor  borrowed.
 * @param in_rate_hz  for a reader of what is read, for a writer of what it is given; and so on.
 * @return CLI_OK, or an exit code after a message.
 */
int cli_raw_open(int descriptor, enum dx_file_encoding encoding, bool is_writer, double in_rate_hz,
                 uint32_t in_channels, double out_rate_hz, uint32_t out_channels, struct cli_raw **ret_raw);

/** Fewer frames than asked only at the end, or when a signal asks for it.  CLI_OK, or CLI_BAD_INPUT after a
 * message. */
int cli_raw_read(struct cli_raw *raw, float *frames, uint32_t count, uint32_t *ret_count);

/**
 * Writes frames.
 *
 * @param is_last  none follow: what the rate converter still holds is written as well.
 * @return CLI_OK, or CLI_BAD_OUTPUT after a message.
 */
int cli_raw_write(struct cli_raw *raw, const float *frames, uint32_t count, bool is_last);

/** NULL is fine. */
void cli_raw_close(struct cli_raw *raw);

#endif /* DX_CLI_RAW_H */
