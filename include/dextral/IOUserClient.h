// SPDX-License-Identifier: MIT
// A connection of a program to a driver: methods with numbers, completions, shared memory.

#ifndef DEXTRAL_IOUSERCLIENT_H
#define DEXTRAL_IOUSERCLIENT_H

#include <dextral/IOMemoryDescriptor.h>
#include <dextral/IOService.h>
#include <dextral/OSAction.h>

DX_BEGIN_DECLS

typedef struct IOUserClient IOUserClient;

DX_API extern const OSMetaClass *const gIOUserClientMetaClass;

enum {
    kIOUserClientMethodArgumentsCurrentVersion = 2, ///< of IOUserClientMethodArguments
    kIOUserClientScalarArrayCountMax = 16,          ///< scalars each way
    kIOUserClientAsyncArgumentsCountMax = 16,       ///< arguments of a completion
    kIOUserClientMemoryReadOnly = 1,                ///< option of CopyClientMemoryForType
};

/** In IOUserClientMethodDispatch: the check is not made. */
#define kIOUserClientVariableStructureSize 0xFFFFFFFFu

/** The queue on which external methods run, if one is bound to that name; else "Default". */
#define kIOUserClientQueueNameExternalMethod "IOUserClientQueueExternalMethod"

/** What a method is called with, and answers into. */
typedef struct IOUserClientMethodArguments {
    uint64_t version;                                ///< kIOUserClientMethodArgumentsCurrentVersion
    uint64_t selector;                               ///< which method
    OSAction *completion;                            ///< of an asynchronous call, else NULL; retain it to keep it
    const uint64_t *scalarInput;                     ///< numbers in
    uint32_t scalarInputCount;                       ///< 0 ... 16
    OSData *structureInput;                          ///< bytes in, or NULL
    IOMemoryDescriptor *structureInputDescriptor;    ///< many bytes in, or NULL
    uint64_t *scalarOutput;                          ///< numbers out
    uint32_t scalarOutputCount;                      ///< room for them, 0 ... 16; the method lowers it to what it wrote
    OSData *structureOutput;                         ///< set by the method to a new one, which the caller takes over
    IOMemoryDescriptor *structureOutputDescriptor;   ///< room for many bytes out, or NULL
    uint64_t structureOutputMaximumSize;             ///< most bytes of structureOutput
    uint64_t __reserved[30];                         ///< 0
} IOUserClientMethodArguments;

/** A method's body. */
typedef kern_return_t (*IOUserClientMethodFunction)(OSObjectPtr target, void *reference,
                                                    IOUserClientMethodArguments *arguments);

/** A method and what its arguments must be; kIOUserClientVariableStructureSize leaves a check out. */
typedef struct IOUserClientMethodDispatch {
    IOUserClientMethodFunction function; ///< its body
    uint32_t checkCompletionExists;      ///< 1: must be asynchronous; 0: must not
    uint32_t checkScalarInputCount;      ///< numbers in
    uint32_t checkStructureInputSize;    ///< bytes in
    uint32_t checkScalarOutputCount;     ///< numbers out
    uint32_t checkStructureOutputSize;   ///< bytes out
} IOUserClientMethodDispatch;

/** Overrides of a user client's virtual methods: NULL keeps the base behaviour, reached through `..._super`. */
typedef struct IOUserClientOverrides {
    uint32_t size; ///< sizeof(IOUserClientOverrides)
    bool (*init)(IOUserClient *client);
    void (*free)(IOUserClient *client); ///< must end in IOUserClientFree_super()
    kern_return_t (*Start)(IOUserClient *client, IOService *provider);
    kern_return_t (*Stop)(IOUserClient *client, IOService *provider);
    kern_return_t (*ExternalMethod)(IOUserClient *client, uint64_t selector,
                                    IOUserClientMethodArguments *arguments,
                                    const IOUserClientMethodDispatch *dispatch, OSObjectPtr target,
                                    void *reference);
    kern_return_t (*CopyClientMemoryForType)(IOUserClient *client, uint64_t type, uint64_t *ret_options,
                                             IOMemoryDescriptor **ret_memory);
} IOUserClientOverrides;

/** A user client that is not initialised, +1, or NULL without memory.  Source: OSTypeAlloc. */
DX_API IOUserClient *IOUserClientAlloc(void);

/**
 * Sets the overrides of one object.
 *
 * @param overrides  borrowed: must outlive the client.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnBusy (it was initialised already).
 *
 * Thread: control.  Real-time: no.
 */
DX_API kern_return_t IOUserClientSetOverrides(IOUserClient *client, const IOUserClientOverrides *overrides);

/**
 * Initialises what IOUserClientAlloc() made.  Virtual.
 *
 * @return false when it was initialised already, or the override says so; then release it.
 *
 * Thread: control.  Real-time: no.  Source: IOUserClient::init.
 */
DX_API bool IOUserClientInit(IOUserClient *client);

/** The base of IOUserClientInit(): for its override. */
DX_API bool IOUserClientInit_super(IOUserClient *client);

/** The base of free: the last thing an override of free does; the client is gone then. */
DX_API void IOUserClientFree_super(IOUserClient *client);

/**
 * Starts the connection.  Virtual.
 *
 * @param provider  the driver; retained until Stop.
 * @return kIOReturnSuccess; kIOReturnBadArgument (no client, or not initialised); kIOReturnBusy (it was started
 *         already).
 *
 * Thread: control.  Real-time: no.  Source: IOUserClient::Start.
 */
DX_API kern_return_t IOUserClientStart(IOUserClient *client, IOServicePtr provider);

/** The base of IOUserClientStart(): for its override. */
DX_API kern_return_t IOUserClientStart_super(IOUserClient *client, IOServicePtr provider);

/**
 * Ends the connection.  Virtual; the base lets go of the provider.
 *
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNotReady (it was not started).
 *
 * Thread: control.  Real-time: no.  Source: IOUserClient::Stop.
 */
DX_API kern_return_t IOUserClientStop(IOUserClient *client, IOServicePtr provider);

/** The base of IOUserClientStop(): for its override. */
DX_API kern_return_t IOUserClientStop_super(IOUserClient *client, IOServicePtr provider);

/**
 * Calls a method.  Virtual: an override looks the selector up and calls the base with its dispatch entry, or
 * does the work itself.
 *
 * @param arguments  borrowed for the call.
 * @param dispatch   NULL from the caller's side; the entry that the base is to check and call.
 * @param target     first argument of the entry's function; NULL: the client.
 * @param reference  second argument of the entry's function.
 * @return what the method answered.  By the base: kIOReturnBadArgument (a check of the entry failed);
 *         kIOReturnNoCompletion (the entry has no function); kIOReturnUnsupported (no entry).
 *
 * Thread: the queue bound to kIOUserClientQueueNameExternalMethod, else the default one.  Real-time: no.
 * Source: IOUserClient::ExternalMethod.
 */
DX_API kern_return_t IOUserClientExternalMethod(IOUserClient *client, uint64_t selector,
                                                IOUserClientMethodArguments *arguments,
                                                const IOUserClientMethodDispatch *dispatch, OSObjectPtr target,
                                                void *reference);

/** The base of IOUserClientExternalMethod(): for its override. */
DX_API kern_return_t IOUserClientExternalMethod_super(IOUserClient *client, uint64_t selector,
                                                      IOUserClientMethodArguments *arguments,
                                                      const IOUserClientMethodDispatch *dispatch,
                                                      OSObjectPtr target, void *reference);

/**
 * The memory that a program maps.  Virtual; the base has none.
 *
 * @param type         a number of the driver's own.
 * @param ret_options  0 or kIOUserClientMemoryReadOnly.
 * @param ret_memory   +1; written on success only.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnUnsupported (by the base).
 *
 * Thread: control.  Real-time: no.  Source: IOUserClient::CopyClientMemoryForType.
 */
DX_API kern_return_t IOUserClientCopyClientMemoryForType(IOUserClient *client, uint64_t type,
                                                         uint64_t *ret_options, IOMemoryDescriptor **ret_memory);

/** The base of IOUserClientCopyClientMemoryForType(): for its override. */
DX_API kern_return_t IOUserClientCopyClientMemoryForType_super(IOUserClient *client, uint64_t type,
                                                               uint64_t *ret_options,
                                                               IOMemoryDescriptor **ret_memory);

/**
 * Completes an asynchronous call.
 *
 * @param action      the `completion` of its arguments, which the method retained.
 * @param status      how the call went.
 * @param async_data  borrowed for the call.
 * @param count       0 ... 16.
 * @return kIOReturnSuccess; kIOReturnBadArgument; kIOReturnNotOpen (nobody is connected); what the connection
 *         answered.
 *
 * Thread: any but an IO thread.  Real-time: no.  Source: IOUserClient::AsyncCompletion.
 */
DX_API kern_return_t IOUserClientAsyncCompletion(IOUserClient *client, OSAction *action, IOReturn status,
                                                 const uint64_t *async_data, uint32_t count);

/** Takes a completion to the program on the other side; pointers are borrowed for the call. */
typedef kern_return_t (*dx_user_client_completion)(void *context, OSAction *action, IOReturn status,
                                                   const uint64_t *async_data, uint32_t count);

/**
 * Connects somebody: completions go there from now on.
 *
 * @param completion  NULL: nobody is connected any more; none is running when this returns.
 * @param context     handed to the function.
 * @return kIOReturnSuccess; kIOReturnBadArgument.
 *
 * Thread: control, not from inside the function.  Real-time: no, waits for a completion under way.
 */
DX_API kern_return_t dx_user_client_connect(IOUserClient *client, dx_user_client_completion completion,
                                            void *context);

/**
 * Calls a method as a connected program does: on the queue for external methods, after checking the limits.
 *
 * @param arguments  `selector` and `version` are set by this call; `structureOutput`, if the method set it, is the
 *                   caller's to release.
 * @return what the method answered; kIOReturnBadArgument (no client; more than 16 numbers; numbers without an
 *         array); kIOReturnNotOpen (it was not started); kIOReturnMessageTooLarge (the method answered with
 *         more bytes than there is room for).
 *
 * Thread: control.  Real-time: no, blocks.
 */
DX_API kern_return_t dx_user_client_call(IOUserClient *client, uint64_t selector,
                                         IOUserClientMethodArguments *arguments);

DX_END_DECLS

#endif /* DEXTRAL_IOUSERCLIENT_H */
