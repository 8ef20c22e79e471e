// SPDX-License-Identifier: MIT
// The suffixes that audio files go by.

#ifndef DX_BACKENDS_FILE_SUFFIX_H
#define DX_BACKENDS_FILE_SUFFIX_H

#include "backends/file/file.h"

enum dx_file_container {
    DX_FILE_CONTAINER_UNKNOWN,
    DX_FILE_CONTAINER_WAV, ///< RF64 when it is too long for WAV
    DX_FILE_CONTAINER_FLAC,
    DX_FILE_CONTAINER_AIFF,
    DX_FILE_CONTAINER_W64,
    DX_FILE_CONTAINER_CAF,
    DX_FILE_CONTAINER_RF64,
};

/** What the suffix of a path says. */
enum dx_file_container dx_file_container(const char *path);

#endif /* DX_BACKENDS_FILE_SUFFIX_H */
