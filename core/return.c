// SPDX-License-Identifier: MIT
// Result codes as text.

#include <dextral/base.h>

static const struct {
    kern_return_t status;
    const char *name;
    const char *text;
} returns[] = {
    {kIOReturnSuccess, "kIOReturnSuccess", "done"},
    {kIOReturnInvalid, "kIOReturnInvalid", "should never be seen"},
    {kIOReturnError, "kIOReturnError", "general error"},
    {kIOReturnNoMemory, "kIOReturnNoMemory", "memory could not be allocated"},
    {kIOReturnNoResources, "kIOReturnNoResources", "a limit of the machine was met"},
    {kIOReturnIPCError, "kIOReturnIPCError", "the other process did not understand"},
    {kIOReturnNoDevice, "kIOReturnNoDevice", "no such device"},
    {kIOReturnNotPrivileged, "kIOReturnNotPrivileged", "a right is missing"},
    {kIOReturnBadArgument, "kIOReturnBadArgument", "an argument is out of its range"},
    {kIOReturnLockedRead, "kIOReturnLockedRead", "locked for reading"},
    {kIOReturnLockedWrite, "kIOReturnLockedWrite", "locked for writing"},
    {kIOReturnExclusiveAccess, "kIOReturnExclusiveAccess", "somebody else has it for himself"},
    {kIOReturnBadMessageID, "kIOReturnBadMessageID", "unknown message"},
    {kIOReturnUnsupported, "kIOReturnUnsupported", "not something this object does"},
    {kIOReturnVMError, "kIOReturnVMError", "mapping failed"},
    {kIOReturnInternalError, "kIOReturnInternalError", "a fault of this library"},
    {kIOReturnIOError, "kIOReturnIOError", "a system call failed"},
    {kIOReturnCannotLock, "kIOReturnCannotLock", "a lock could not be had"},
    {kIOReturnNotOpen, "kIOReturnNotOpen", "open it first"},
    {kIOReturnNotReadable, "kIOReturnNotReadable", "may not be read"},
    {kIOReturnNotWritable, "kIOReturnNotWritable", "may not be written"},
    {kIOReturnNotAligned, "kIOReturnNotAligned", "address or size off its grid"},
    {kIOReturnBadMedia, "kIOReturnBadMedia", "damaged media"},
    {kIOReturnStillOpen, "kIOReturnStillOpen", "close it first"},
    {kIOReturnRLDError, "kIOReturnRLDError", "a shared object could not be loaded"},
    {kIOReturnDMAError, "kIOReturnDMAError", "transfer by the device failed"},
    {kIOReturnBusy, "kIOReturnBusy", "not while something else goes on"},
    {kIOReturnTimeout, "kIOReturnTimeout", "it took too long"},
    {kIOReturnOffline, "kIOReturnOffline", "the device is offline"},
    {kIOReturnNotReady, "kIOReturnNotReady", "not yet"},
    {kIOReturnNotAttached, "kIOReturnNotAttached", "nothing is attached"},
    {kIOReturnNoChannels, "kIOReturnNoChannels", "no channel left"},
    {kIOReturnNoSpace, "kIOReturnNoSpace", "it does not fit"},
    {kIOReturnPortExists, "kIOReturnPortExists", "already there"},
    {kIOReturnCannotWire, "kIOReturnCannotWire", "memory could not be locked"},
    {kIOReturnNoInterrupt, "kIOReturnNoInterrupt", "no interrupt there"},
    {kIOReturnNoFrames, "kIOReturnNoFrames", "no frames queued"},
    {kIOReturnMessageTooLarge, "kIOReturnMessageTooLarge", "message too large"},
    {kIOReturnNotPermitted, "kIOReturnNotPermitted", "refused by a rule"},
    {kIOReturnNoPower, "kIOReturnNoPower", "no power to the device"},
    {kIOReturnNoMedia, "kIOReturnNoMedia", "no media"},
    {kIOReturnUnformattedMedia, "kIOReturnUnformattedMedia", "media not formatted"},
    {kIOReturnUnsupportedMode, "kIOReturnUnsupportedMode", "no such mode"},
    {kIOReturnUnderrun, "kIOReturnUnderrun", "data came too late"},
    {kIOReturnOverrun, "kIOReturnOverrun", "data was not taken in time"},
    {kIOReturnDeviceError, "kIOReturnDeviceError", "the device does not work properly"},
    {kIOReturnNoCompletion, "kIOReturnNoCompletion", "a completion routine is missing"},
    {kIOReturnAborted, "kIOReturnAborted", "ended before its time"},
    {kIOReturnNoBandwidth, "kIOReturnNoBandwidth", "bus bandwidth used up"},
    {kIOReturnNotResponding, "kIOReturnNotResponding", "the device does not answer"},
    {kIOReturnIsoTooOld, "kIOReturnIsoTooOld", "isochronous frame in the past"},
    {kIOReturnIsoTooNew, "kIOReturnIsoTooNew", "isochronous frame too far ahead"},
    {kIOReturnNotFound, "kIOReturnNotFound", "not found"},
};

#define RETURN_COUNT (sizeof returns / sizeof returns[0])

const char *
dx_return_string(kern_return_t status)
{
    for (size_t i = 0; i < RETURN_COUNT; i++) {
        if (returns[i].status == status)
            return returns[i].text;
    }
    return "unknown error";
}

const char *
dx_return_name(kern_return_t status)
{
    for (size_t i = 0; i < RETURN_COUNT; i++) {
        if (returns[i].status == status)
            return returns[i].name;
    }
    return NULL;
}
