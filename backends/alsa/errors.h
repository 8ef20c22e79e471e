// SPDX-License-Identifier: MIT
// Results as alsa-lib gives them: negative errno.

#ifndef DX_BACKENDS_ALSA_ERRORS_H
#define DX_BACKENDS_ALSA_ERRORS_H

#include <dextral/base.h>

/** 0 for kIOReturnSuccess, else the negative errno that says the same to an ALSA program. */
int dx_alsa_errno(kern_return_t status);

#endif /* DX_BACKENDS_ALSA_ERRORS_H */
