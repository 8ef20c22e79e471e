// SPDX-License-Identifier: MIT
// A program's connection to a driver of the machine: methods with numbers, completions, shared memory.

#ifndef DEXTRAL_USER_CLIENT_H
#define DEXTRAL_USER_CLIENT_H

#include <dextral/IOMemoryDescriptor.h>
#include <dextral/directory.h>

DX_BEGIN_DECLS

/*
 * On the driver's side it is an IOUserClient (IOUserClient.h): NewUserClient makes one for each connection,
 * ExternalMethod answers calls, CopyClientMemoryForType gives memory, and Stop comes when the connection is closed
 * or the program ends.  Who may open one is said by the driver's entitlements and by the user: a program is known
 * by the file that its process runs.
 *
 * When the driver's process ends, or the supervisor does, the connection is over: calls are kIOReturnNotAttached
 * or kIOReturnNotOpen, and whoever still needs it closes it and opens another one.
 */

/** A connection to a driver: what IOServiceOpen() gives. */
typedef struct dx_driver_connection dx_driver_connection;

#define DX_DRIVER_CALL_SCALARS_MAX 16u                          ///< numbers each way, and of a completion
#define DX_DRIVER_CALL_STRUCTURE_BYTES_MAX (64u * 1024u * 1024u) ///< bytes each way

/**
 * A completion of an asynchronous call; the driver may complete a call more than once.
 *
 * @param context    as given with the call.
 * @param status     the driver's; kIOReturnAborted, without arguments, when the driver has given the call up
 *                   without completing it, or the connection is over: nothing more comes then.
 * @param arguments  borrowed for the call.
 * @param count      0 ... 16.
 *
 * Thread: the directory's.  It may call what it wants, dx_driver_connection_close() too.
 */
typedef void (*dx_driver_completion)(void *context, kern_return_t status, const uint64_t *arguments,
                                     uint32_t count);

/** What a method is called with, and answers into.  All-zero is a call without arguments. */
typedef struct dx_driver_call {
    uint32_t size;                   ///< sizeof(dx_driver_call), or 0
    uint32_t scalar_input_count;     ///< numbers in, 0 ... 16
    const uint64_t *scalar_input;    ///< borrowed
    const void *structure_input;     ///< bytes in, borrowed
    size_t structure_input_bytes;    ///< 0 ... DX_DRIVER_CALL_STRUCTURE_BYTES_MAX; over 4096 go through a memfd
    uint64_t *scalar_output;         ///< where numbers go
    uint32_t scalar_output_count;    ///< room for them, 0 ... 16; then how many came
    uint32_t reserved;               ///< 0
    void *structure_output;          ///< where bytes go
    size_t structure_output_bytes;   ///< room for them, as above; then how many came
    dx_driver_completion completion; ///< the call is asynchronous; NULL: it is not
    void *completion_context;        ///< handed to the completion
} dx_driver_call;

/**
 * Opens a connection to a driver, which is started if need be.
 *
 * @param bundle          the driver bundle's identifier: of its first driver; NULL: of the device.
 * @param uid             of one of the driver's devices; NULL: of the bundle.
 * @param type            the driver's own number.
 * @param ret_connection  written on success only; to be given back with dx_driver_connection_close().
 * @param error           says who said no, and why; may be NULL.
 * @return kIOReturnSuccess; kIOReturnBadArgument (neither of both, or both); kIOReturnNotFound (there is no such
 *         device or bundle); kIOReturnNotPermitted (neither the driver's entitlements nor the user allow it, or the
 *         type is the host's); kIOReturnNoResources (too many of them); kIOReturnNotReady (the supervisor is gone);
 *         kIOReturnTimeout; kIOReturnNotAttached (after fork()); kIOReturnNoMemory; what NewUserClient answered.
 *
 * Thread: any.  Real-time: no, blocks.  Source: IOServiceOpen.
 */
DX_API kern_return_t dx_driver_connection_open(dx_directory *directory, const char *bundle, const char *uid,
                                               uint32_t type, dx_driver_connection **ret_connection,
                                               dx_error *error);

/**
 * Closes it.  No completion is running when this returns, unless it is the caller, and none follows.  NULL is
 * fine; after fork() the child gives back what it has of it.
 *
 * Thread: any, but for one that a running completion waits for.  Real-time: no, blocks.  Source: IOServiceClose.
 */
DX_API void dx_driver_connection_close(dx_driver_connection *connection);

/**
 * Calls a method.
 *
 * Calls of one connection run one after the other, those of several as the driver wants.  Where there is room for
 * more than 4096 bytes, and the method fills it in place, all of that room comes back.
 *
 * @param call   its outputs are written on success only.
 * @param error  what was wrong, where it was not the method that said so; may be NULL.
 * @return what the method answered; kIOReturnBadArgument (more than the limits, or a count without an address);
 *         kIOReturnNotAttached, kIOReturnNotOpen (it is over, or after fork()); kIOReturnMessageTooLarge (the
 *         method answered with more than there is room for); kIOReturnNotReady, kIOReturnTimeout,
 *         kIOReturnNoMemory; kIOReturnInternalError (the answer makes no sense).
 *
 * Thread: any.  Real-time: no, blocks.  Source: IOConnectCallMethod, IOConnectCallAsyncMethod.
 */
DX_API kern_return_t dx_driver_connection_call(dx_driver_connection *connection, uint64_t selector,
                                               dx_driver_call *call, dx_error *error);

/**
 * Maps memory of the driver: the same pages, shared.
 *
 * @param type         the driver's own number.
 * @param ret_options  0, or kIOUserClientMemoryReadOnly (1): stores fault, and it cannot be made writable; may be
 *                     NULL.
 * @param ret_map      +1, and its own: it outlives the connection; written on success only.
 * @param error        as above; may be NULL.
 * @return kIOReturnSuccess; kIOReturnUnsupported (the driver has no memory, or it is only a part of a file);
 *         kIOReturnBadArgument; what the driver answered; as dx_driver_connection_call().
 *
 * Thread: any.  Real-time: no, blocks.  Source: IOConnectMapMemory64.
 */
DX_API kern_return_t dx_driver_connection_map(dx_driver_connection *connection, uint64_t type,
                                              uint64_t *ret_options, IOMemoryMap **ret_map, dx_error *error);

DX_END_DECLS

#endif /* DEXTRAL_USER_CLIENT_H */
