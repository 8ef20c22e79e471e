// SPDX-License-Identifier: MIT
// Which container and which encoding a new file gets.

#ifndef DX_BACKENDS_FILE_CONTAINER_H
#define DX_BACKENDS_FILE_CONTAINER_H

#include "backends/file/file.h"

#include <sndfile.h>

/**
 * Fills `ret_info` (format, channels, rate) for a file to be written.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument (suffix; what the container cannot hold).
 */
kern_return_t dx_file_choose_format(const struct dx_file_writer_config *config, SF_INFO *ret_info,
                                    dx_error *error);

/** Bits of an integer sample; 0: floating point. */
unsigned dx_file_integer_bits(int format);

/** "s16". */
const char *dx_file_encoding_name(int format);

#endif /* DX_BACKENDS_FILE_CONTAINER_H */
