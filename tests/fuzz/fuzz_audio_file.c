// SPDX-License-Identifier: MIT
// Bytes that claim to be an audio file: opened, checked and read to the end.

#include "backends/file/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_BLOCKS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    if (descriptor < 0 || write(descriptor, data, size) != (ssize_t)size)
        abort();
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);

    static float frames[256 * 2];
    struct dx_file_reader *reader = NULL;
    dx_error error = {""};
    if (dx_file_reader_open(path, &reader, &error) != kIOReturnSuccess) {
        if (!memchr(error.message, '\0', sizeof error.message) || error.message[0] == '\0')
            abort(); // an error says what it is
    } else if (dx_file_reader_convert(reader, dx_file_reader_info(reader)->rate_hz, 2, &error) ==
               kIOReturnSuccess) {
        uint32_t n = 256;
        for (int i = 0; i < MAX_BLOCKS && n == 256; i++)
            if (dx_file_reader_read(reader, frames, 256, &n, &error) != kIOReturnSuccess)
                break;
    }
    dx_file_reader_close(reader);
    (void)close(descriptor); // a memfd: nothing to be lost
    return 0;
}
