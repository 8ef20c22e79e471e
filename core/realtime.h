// SPDX-License-Identifier: MIT
// Calls that are reviewed to be real-time although their headers do not say so.

#ifndef DX_CORE_REALTIME_H
#define DX_CORE_REALTIME_H

#include <dextral/base.h>

/*
 * clang's -Wfunction-effects takes every function without the attribute for one that may block, the C
 * library's harmless ones included.  Around the one statement that was reviewed:
 *
 *     DX_REALTIME_TRUSTED_BEGIN("clock_gettime: vDSO; no lock, no sleep")
 *     clock_gettime(CLOCK_MONOTONIC, &now);
 *     DX_REALTIME_TRUSTED_END
 *
 * The reason is for the reader.  Nothing is generated: RealtimeSanitizer still sees what is called.
 */
#if defined(__clang__) && defined(__has_warning)
#    if __has_warning("-Wfunction-effects")
#        define DX_REALTIME_TRUSTED_BEGIN(reason) \
            _Pragma("clang diagnostic push") _Pragma("clang diagnostic ignored \"-Wfunction-effects\"")
#        define DX_REALTIME_TRUSTED_END _Pragma("clang diagnostic pop")
#    endif
#endif
#ifndef DX_REALTIME_TRUSTED_BEGIN
#    define DX_REALTIME_TRUSTED_BEGIN(reason)
#    define DX_REALTIME_TRUSTED_END
#endif

#endif /* DX_CORE_REALTIME_H */
