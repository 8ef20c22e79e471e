// SPDX-License-Identifier: MIT
// Names in buffers of a fixed size.

#include "core/text.h"

#include <string.h>

void
dx_copy_text(char *to, size_t bytes, const char *from)
{
    size_t length = strnlen(from, bytes);
    if (length == bytes) {
        length--;
        while (length > 0 && ((unsigned char)from[length] & 0xC0u) == 0x80u)
            length--;
    }
    memcpy(to, from, length);
    to[length] = '\0';
}
