// SPDX-License-Identifier: MIT
// Attributes and result codes that every public header uses.

#ifndef DEXTRAL_BASE_H
#define DEXTRAL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#    define DX_BEGIN_DECLS extern "C" {
#    define DX_END_DECLS }
#else
#    define DX_BEGIN_DECLS
#    define DX_END_DECLS
#endif

/** Exported from libdextral; everything else is hidden. */
#if defined(__GNUC__)
#    define DX_API __attribute__((visibility("default")))
#else
#    define DX_API
#endif

/**
 * Never blocks, allocates, locks, logs, or makes a system call that may sleep.
 *
 * Stands on functions and on function-pointer types; clang 20 and later check it at compile time
 * (-Wfunction-effects) and at run time (-fsanitize=realtime).  Elsewhere it is documentation.
 */
#if defined(__clang__) && defined(__has_attribute)
#    if __has_attribute(nonblocking)
#        define DX_REALTIME __attribute__((nonblocking))
#    endif
#endif
#ifndef DX_REALTIME
#    define DX_REALTIME
#endif

/** 1 where the compiler has blocks (clang -fblocks): the `_b` variants are declared there. */
#if defined(__BLOCKS__)
#    define DX_HAVE_BLOCKS 1
#else
#    define DX_HAVE_BLOCKS 0
#endif

/** Result of nearly every call: kIOReturnSuccess or one of the codes below. */
typedef int kern_return_t;
typedef kern_return_t IOReturn;

#define KERN_SUCCESS 0
#define DX_IORETURN(code) ((kern_return_t)(0xE0000000u | (code)))

#define kIOReturnSuccess 0                              ///< done
#define kIOReturnInvalid DX_IORETURN(0x001u)            ///< should never be seen
#define kIOReturnError DX_IORETURN(0x2BCu)              ///< general error
#define kIOReturnNoMemory DX_IORETURN(0x2BDu)           ///< memory could not be allocated
#define kIOReturnNoResources DX_IORETURN(0x2BEu)        ///< a limit of the machine was met
#define kIOReturnIPCError DX_IORETURN(0x2BFu)           ///< the other process did not understand
#define kIOReturnNoDevice DX_IORETURN(0x2C0u)           ///< no such device
#define kIOReturnNotPrivileged DX_IORETURN(0x2C1u)      ///< a right is missing
#define kIOReturnBadArgument DX_IORETURN(0x2C2u)        ///< an argument is out of its range
#define kIOReturnLockedRead DX_IORETURN(0x2C3u)         ///< locked for reading
#define kIOReturnLockedWrite DX_IORETURN(0x2C4u)        ///< locked for writing
#define kIOReturnExclusiveAccess DX_IORETURN(0x2C5u)    ///< somebody else has it for himself
#define kIOReturnBadMessageID DX_IORETURN(0x2C6u)       ///< unknown message
#define kIOReturnUnsupported DX_IORETURN(0x2C7u)        ///< not something this object does
#define kIOReturnVMError DX_IORETURN(0x2C8u)            ///< mapping failed
#define kIOReturnInternalError DX_IORETURN(0x2C9u)      ///< a fault of this library
#define kIOReturnIOError DX_IORETURN(0x2CAu)            ///< a system call failed
#define kIOReturnCannotLock DX_IORETURN(0x2CCu)         ///< a lock could not be had
#define kIOReturnNotOpen DX_IORETURN(0x2CDu)            ///< open it first
#define kIOReturnNotReadable DX_IORETURN(0x2CEu)        ///< may not be read
#define kIOReturnNotWritable DX_IORETURN(0x2CFu)        ///< may not be written
#define kIOReturnNotAligned DX_IORETURN(0x2D0u)         ///< address or size off its grid
#define kIOReturnBadMedia DX_IORETURN(0x2D1u)           ///< damaged media
#define kIOReturnStillOpen DX_IORETURN(0x2D2u)          ///< close it first
#define kIOReturnRLDError DX_IORETURN(0x2D3u)           ///< a shared object could not be loaded
#define kIOReturnDMAError DX_IORETURN(0x2D4u)           ///< transfer by the device failed
#define kIOReturnBusy DX_IORETURN(0x2D5u)               ///< not while something else goes on
#define kIOReturnTimeout DX_IORETURN(0x2D6u)            ///< it took too long
#define kIOReturnOffline DX_IORETURN(0x2D7u)            ///< the device is offline
#define kIOReturnNotReady DX_IORETURN(0x2D8u)           ///< not yet
#define kIOReturnNotAttached DX_IORETURN(0x2D9u)        ///< nothing is attached
#define kIOReturnNoChannels DX_IORETURN(0x2DAu)         ///< no channel left
#define kIOReturnNoSpace DX_IORETURN(0x2DBu)            ///< it does not fit
#define kIOReturnPortExists DX_IORETURN(0x2DDu)         ///< already there
#define kIOReturnCannotWire DX_IORETURN(0x2DEu)         ///< memory could not be locked
#define kIOReturnNoInterrupt DX_IORETURN(0x2DFu)        ///< no interrupt there
#define kIOReturnNoFrames DX_IORETURN(0x2E0u)           ///< no frames queued
#define kIOReturnMessageTooLarge DX_IORETURN(0x2E1u)    ///< message too large
#define kIOReturnNotPermitted DX_IORETURN(0x2E2u)       ///< refused by a rule
#define kIOReturnNoPower DX_IORETURN(0x2E3u)            ///< no power to the device
#define kIOReturnNoMedia DX_IORETURN(0x2E4u)            ///< no media
#define kIOReturnUnformattedMedia DX_IORETURN(0x2E5u)   ///< media not formatted
#define kIOReturnUnsupportedMode DX_IORETURN(0x2E6u)    ///< no such mode
#define kIOReturnUnderrun DX_IORETURN(0x2E7u)           ///< data came too late
#define kIOReturnOverrun DX_IORETURN(0x2E8u)            ///< data was not taken in time
#define kIOReturnDeviceError DX_IORETURN(0x2E9u)        ///< the device does not work properly
#define kIOReturnNoCompletion DX_IORETURN(0x2EAu)       ///< a completion routine is missing
#define kIOReturnAborted DX_IORETURN(0x2EBu)            ///< ended before its time
#define kIOReturnNoBandwidth DX_IORETURN(0x2ECu)        ///< bus bandwidth used up
#define kIOReturnNotResponding DX_IORETURN(0x2EDu)      ///< the device does not answer
#define kIOReturnIsoTooOld DX_IORETURN(0x2EEu)          ///< isochronous frame in the past
#define kIOReturnIsoTooNew DX_IORETURN(0x2EFu)          ///< isochronous frame too far ahead
#define kIOReturnNotFound DX_IORETURN(0x2F0u)           ///< not found

DX_BEGIN_DECLS

/**
 * Says in one sentence what a result code means.
 *
 * @param status  any value.
 * @return a string of the library's own; "unknown error" for a code that is not listed.
 *
 * Thread: any.  Real-time: no.
 */
DX_API const char *dx_return_string(kern_return_t status);

/**
 * The name a result code is written with in code: "kIOReturnBadArgument".
 *
 * @return a string of the library's own; NULL for a code that is not listed.
 *
 * Thread: any.  Real-time: no.
 */
DX_API const char *dx_return_name(kern_return_t status);

DX_END_DECLS

#endif /* DEXTRAL_BASE_H */
