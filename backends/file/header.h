// SPDX-License-Identifier: MIT
// Whether a file is as long as its header says.

#ifndef DX_BACKENDS_FILE_HEADER_H
#define DX_BACKENDS_FILE_HEADER_H

#include <dextral/bundle.h>

/**
 * Follows the chunks of a WAV, RF64, AIFF, CAF or Wave64 file up to its samples.  libsndfile takes a file that
 * ends before its samples do for a shorter one; this does not.
 *
 * @param name  of the file, for the message.
 * @return kIOReturnSuccess, also for other kinds of file; kIOReturnBadMedia.
 */
kern_return_t dx_file_check_header(int descriptor, uint64_t file_bytes, const char *name, dx_error *error);

#endif /* DX_BACKENDS_FILE_HEADER_H */
