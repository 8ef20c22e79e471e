// SPDX-License-Identifier: MIT
// Sends what RealtimeSanitizer says to files DX_REALTIME_REPORTS.PID: it knows no log_path, and Criterion sends the
// stderr of tests to /dev/null.

#include <stdlib.h>

void __sanitizer_set_report_path(const char *path);

__attribute__((constructor)) static void
set_report_path(void)
{
    const char *const path = getenv("DX_REALTIME_REPORTS");
    if (path)
        __sanitizer_set_report_path(path);
}
