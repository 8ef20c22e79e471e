// SPDX-License-Identifier: MIT
// Texts of others, paths, and the time.

#include "host/supervisor/supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t
dx_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); // fails for bad arguments alone
    return (uint64_t)now.tv_sec * DX_NS_PER_S + (uint64_t)now.tv_nsec;
}

char *
dx_copy_clean_text(const char *text)
{
    size_t length = strnlen(text, DX_MAX_TEXT_BYTES - 1);
    while (length > 0 && text[length] != '\0' && ((unsigned char)text[length] & 0xC0u) == 0x80u)
        length--; // not in the middle of a character
    char *const copy = strndup(text, length);
    for (char *at = copy; at && *at; at++)
        if ((unsigned char)*at < 0x20u || *at == 0x7F)
            *at = '?';
    return copy;
}

char *
dx_join_path(const char *folder, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}
