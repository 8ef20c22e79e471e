// SPDX-License-Identifier: MIT
// Results as alsa-lib gives them.

#include "backends/alsa/errors.h"

#include <errno.h>

int
dx_alsa_errno(kern_return_t status)
{
    switch (status) {
    case kIOReturnSuccess:
        return 0;
    case kIOReturnNoMemory:
    case kIOReturnNoResources:
        return -ENOMEM;
    case kIOReturnExclusiveAccess:
    case kIOReturnBusy:
        return -EBUSY;
    case kIOReturnNoDevice:
    case kIOReturnNotFound:
    case kIOReturnUnsupportedMode:
        return -ENODEV;
    case kIOReturnNotPermitted:
    case kIOReturnNotPrivileged:
        return -EPERM;
    case kIOReturnBadArgument:
        return -EINVAL;
    case kIOReturnNotAttached:
        return -EBADFD;
    case kIOReturnTimeout:
        return -ETIMEDOUT;
    case kIOReturnNotReady:
        return -EAGAIN;
    default:
        return -EIO;
    }
}
