// SPDX-License-Identifier: MIT
// Names in buffers of a fixed size.

#ifndef DX_CORE_TEXT_H
#define DX_CORE_TEXT_H

#include <stddef.h>

/** Copies a string; one that is too long for `bytes` (1 at least) is cut, between characters of UTF-8. */
void dx_copy_text(char *to, size_t bytes, const char *from);

#endif /* DX_CORE_TEXT_H */
