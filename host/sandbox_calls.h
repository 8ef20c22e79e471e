// SPDX-License-Identifier: MIT
// The system calls that are left to a driver's process.

#ifndef DX_HOST_SANDBOX_CALLS_H
#define DX_HOST_SANDBOX_CALLS_H

#include <stdbool.h>

/* A sanitizer's runtime looks into its process in ways that nobody else has use for. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define DX_SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer) || \
        __has_feature(realtime_sanitizer)
#        define DX_SANDBOX_SANITIZED 1
#    endif
#endif
#ifndef DX_SANDBOX_SANITIZED
#    define DX_SANDBOX_SANITIZED 0
#endif

/**
 * Refuses every system call that is not on the list; needs no_new_privs.
 *
 * @param network  whether sockets of the internet are on it.
 * @param usb      whether requests to a USB device that is open are on it.
 * @return whether it holds: not without seccomp in the kernel, and not in a build without libseccomp.
 */
bool dx_sandbox_close_calls(bool network, bool usb);

#endif /* DX_HOST_SANDBOX_CALLS_H */
