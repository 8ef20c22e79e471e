// SPDX-License-Identifier: MIT
// Whether a file is as long as its header says.

#include "backends/file/header.h"

#include "backends/file/error.h"

#include <string.h>
#include <unistd.h>

#define MAX_CHUNKS 65536u // a file of empty chunks must not keep us for hours

/* How a family of files writes its chunks: all are an identifier, a size, and that many bytes. */
struct chunk_format {
    const char *magic;
    const char *data; // identifier of the chunk with the samples
    uint8_t first;    // offset of the first chunk
    uint8_t id_bytes;
    uint8_t size_bytes;
    bool is_big_endian;
    bool counts_header; // the size includes identifier and size
    uint8_t alignment;  // chunks begin at multiples of this
    bool is_ds64;       // a size of 0xFFFFFFFF stands in the first chunk, ds64
    bool may_be_open;   // a size of -1 means: up to the end
};

static const struct chunk_format formats[] = {
    {"RIFF", "data", 12, 4, 4, false, false, 2, false, false},
    {"RIFX", "data", 12, 4, 4, true, false, 2, false, false},
    {"RF64", "data", 12, 4, 4, false, false, 2, true, false},
    {"FORM", "SSND", 12, 4, 4, true, false, 2, false, false},
    {"caff", "data", 8, 4, 8, true, false, 1, false, true},
    {"riff", "data", 40, 16, 8, false, true, 8, false, false},
};

static bool
read_at(int descriptor, uint64_t offset, uint8_t *bytes, size_t count)
{
    return pread(descriptor, bytes, count, (off_t)offset) == (ssize_t)count;
}

static uint64_t
read_number(const uint8_t *bytes, size_t count, bool is_big_endian)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value = value << 8 | bytes[is_big_endian ? i : count - 1 - i];
    return value;
}

/* Size of the samples of an RF64 file: in its ds64 chunk, after the size of the file. */
static uint64_t
read_ds64(int descriptor)
{
    uint8_t bytes[24];
    if (!read_at(descriptor, 12, bytes, sizeof bytes) || memcmp(bytes, "ds64", 4) != 0)
        return UINT64_MAX;
    return read_number(bytes + 16, 8, false);
}

kern_return_t
dx_file_check_header(int descriptor, uint64_t file_bytes, const char *name, dx_error *error)
{
    uint8_t bytes[24];
    if (!read_at(descriptor, 0, bytes, 4))
        return kIOReturnSuccess; // too short for any: libsndfile says so
    const struct chunk_format *format = NULL;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0] && !format; i++) {
        if (memcmp(bytes, formats[i].magic, 4) == 0)
            format = &formats[i];
    }
    if (!format)
        return kIOReturnSuccess;

    const size_t header_bytes = (size_t)format->id_bytes + format->size_bytes;
    uint64_t offset = format->first;
    for (uint32_t i = 0; i < MAX_CHUNKS; i++) {
        if (offset > file_bytes || file_bytes - offset < header_bytes ||
            !read_at(descriptor, offset, bytes, header_bytes))
            return dx_file_error(error, kIOReturnBadMedia, "%s is cut short: it ends before its samples begin",
                                 name);
        uint64_t size = read_number(bytes + format->id_bytes, format->size_bytes, format->is_big_endian);
        const bool is_data = memcmp(bytes, format->data, 4) == 0;
        if (is_data && format->is_ds64 && size == UINT32_MAX)
            size = read_ds64(descriptor);
        if (is_data && format->may_be_open && size == UINT64_MAX)
            return kIOReturnSuccess;
        if (format->counts_header)
            size = size > header_bytes ? size - header_bytes : 0;

        const uint64_t left = file_bytes - offset - header_bytes;
        if (size > left)
            return dx_file_error(error, kIOReturnBadMedia,
                                 "%s is cut short: its header announces %llu bytes of %s, %llu are there", name,
                                 (unsigned long long)size, is_data ? "samples" : "a chunk before the samples",
                                 (unsigned long long)left);
        if (is_data)
            return kIOReturnSuccess;
        const uint64_t end = offset + header_bytes + size;
        offset = end + (format->alignment - end % format->alignment) % format->alignment;
    }
    return dx_file_error(error, kIOReturnBadMedia, "%s has more than %u chunks before its samples", name,
                         MAX_CHUNKS);
}
