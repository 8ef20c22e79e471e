// SPDX-License-Identifier: MIT
// The suffixes that audio files go by.

#include "backends/file/suffix.h"

#include <string.h>
#include <strings.h>

static const struct suffix {
    const char *text;
    const char *name;
    enum dx_file_container container;
} suffixes[] = {
    {".wav", "WAV", DX_FILE_CONTAINER_WAV},    {".wave", "WAV", DX_FILE_CONTAINER_WAV},
    {".flac", "FLAC", DX_FILE_CONTAINER_FLAC}, {".aiff", "AIFF", DX_FILE_CONTAINER_AIFF},
    {".aif", "AIFF", DX_FILE_CONTAINER_AIFF},  {".aifc", "AIFF", DX_FILE_CONTAINER_AIFF},
    {".w64", "Wave64", DX_FILE_CONTAINER_W64}, {".caf", "CAF", DX_FILE_CONTAINER_CAF},
    {".rf64", "RF64", DX_FILE_CONTAINER_RF64},
};

const char *const dx_file_suffixes = ".wav, .flac, .aiff, .w64, .caf or .rf64";

static const struct suffix *
find_suffix(const char *path)
{
    const char *const slash = strrchr(path, '/');
    const char *const name = slash ? slash + 1 : path;
    const char *const dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (strcasecmp(dot, suffixes[i].text) == 0)
            return &suffixes[i];
    }
    return NULL;
}

enum dx_file_container
dx_file_container(const char *path)
{
    const struct suffix *const suffix = find_suffix(path);
    return suffix ? suffix->container : DX_FILE_CONTAINER_UNKNOWN;
}

const char *
dx_file_container_name(const char *path)
{
    const struct suffix *const suffix = find_suffix(path);
    return suffix ? suffix->name : NULL;
}
