// SPDX-License-Identifier: MIT
// A file that gets its name when it is complete.

#ifndef DX_BACKENDS_FILE_UNNAMED_H
#define DX_BACKENDS_FILE_UNNAMED_H

#include <dextral/bundle.h>

/** Zeroed with descriptor -1 is "none". */
struct dx_unnamed {
    int descriptor;  ///< to write to
    char *target;    ///< canonical path that it will have
    char *temporary; ///< its path meanwhile; NULL: it has none
};

/** kIOReturnNotWritable; kIOReturnNoMemory. */
kern_return_t dx_unnamed_open(struct dx_unnamed *file, const char *path, dx_error *error);

/** Flushes to the disk and names it; kIOReturnIOError. */
kern_return_t dx_unnamed_commit(struct dx_unnamed *file, dx_error *error);

/** Closes; what was not committed is gone. */
void dx_unnamed_close(struct dx_unnamed *file);

#endif /* DX_BACKENDS_FILE_UNNAMED_H */
