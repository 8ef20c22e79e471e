// SPDX-License-Identifier: MIT
// User clients: the checks of a method's arguments, and the way of a completion.

#include "audio/user_client.h"

#include "audio/overrides.h"
#include "audio/service.h"

#include <dextral/IODispatchQueue.h>

struct IOUserClient {
    struct IOService service;
    IOUserClientOverrides overrides; // fixed from init on
    _Atomic bool initialised;

    struct dx_mutex connection_lock; // held over a completion, so that disconnecting waits for it
    dx_user_client_completion completion;
    void *completion_context;
};

static void free_client(OSObjectPtr object);

static const OSMetaClass client_class = {
    .name = "IOUserClient",
    .super = &dx_service_class,
    .instance_bytes = sizeof(struct IOUserClient),
    .free = free_client,
};
const OSMetaClass *const gIOUserClientMetaClass = &client_class;

static const OSMetaClass audio_client_class = {
    .name = "IOUserAudioDriverUserClient",
    .super = &client_class,
    .instance_bytes = sizeof(struct IOUserClient),
};

static IOUserClient *
check(OSObjectPtr object)
{
    /* acquire: pairs with the release in IOUserClientInit_super(). */
    return OSObjectIsKindOf(object, &client_class) &&
                   atomic_load_explicit(&((IOUserClient *)object)->initialised, memory_order_acquire)
               ? object
               : NULL;
}

/* Life. */

static bool
init_service(IOService *service)
{
    return IOUserClientInit((IOUserClient *)service);
}

static kern_return_t
start_service(IOService *service, IOService *provider)
{
    return IOUserClientStart((IOUserClient *)service, provider);
}

static const struct dx_service_ops client_ops = {
    .init = init_service,
    .start = start_service,
};

static IOUserClient *
alloc_client(const OSMetaClass *meta)
{
    IOUserClient *const client = dx_service_object_alloc(meta, &client_ops);
    if (client)
        dx_mutex_init(&client->connection_lock, "user client");
    return client;
}

IOUserClient *
IOUserClientAlloc(void)
{
    return alloc_client(&client_class);
}

kern_return_t
IOUserClientSetOverrides(IOUserClient *client, const IOUserClientOverrides *overrides)
{
    if (!OSObjectIsKindOf(client, &client_class) || !overrides)
        return kIOReturnBadArgument;
    if (check(client))
        return kIOReturnBusy;
    return dx_overrides_copy(&client->overrides, sizeof client->overrides, overrides);
}

bool
IOUserClientInit_super(IOUserClient *client)
{
    if (!OSObjectIsKindOf(client, &client_class))
        return false;
    /* release: pairs with the acquire in check(). */
    return !atomic_exchange_explicit(&client->initialised, true, memory_order_release);
}

bool
IOUserClientInit(IOUserClient *client)
{
    if (!OSObjectIsKindOf(client, &client_class))
        return false;
    if (!client->overrides.init)
        return IOUserClientInit_super(client);
    return client->overrides.init(client) && check(client);
}

void
IOUserClientFree_super(IOUserClient *client)
{
    if (OSObjectIsKindOf(client, &client_class))
        dx_service_object_free(client);
}

static void
free_client(OSObjectPtr object)
{
    IOUserClient *const client = object;
    if (client->overrides.free)
        client->overrides.free(client);
    else
        IOUserClientFree_super(client);
}

kern_return_t
IOUserClientStart_super(IOUserClient *client, IOServicePtr provider)
{
    IOUserClient *const c = check(client);
    if (!c || (provider && !OSObjectIsKindOf(provider, &dx_service_class)))
        return kIOReturnBadArgument;
    return dx_service_note_start(&c->service, provider);
}

kern_return_t
IOUserClientStart(IOUserClient *client, IOServicePtr provider)
{
    const IOUserClient *const c = check(client);
    if (!c || (provider && !OSObjectIsKindOf(provider, &dx_service_class)))
        return kIOReturnBadArgument;
    return c->overrides.Start ? c->overrides.Start(client, provider) : IOUserClientStart_super(client, provider);
}

kern_return_t
IOUserClientStop_super(IOUserClient *client, IOServicePtr provider)
{
    (void)provider; // Start kept it
    IOUserClient *const c = check(client);
    return c ? dx_service_note_stop(&c->service) : kIOReturnBadArgument;
}

kern_return_t
IOUserClientStop(IOUserClient *client, IOServicePtr provider)
{
    const IOUserClient *const c = check(client);
    if (!c)
        return kIOReturnBadArgument;
    return c->overrides.Stop ? c->overrides.Stop(client, provider) : IOUserClientStop_super(client, provider);
}

/* Methods. */

static bool
passes(uint32_t wanted, uint64_t found)
{
    return wanted == kIOUserClientVariableStructureSize || wanted == found;
}

static uint64_t
descriptor_bytes(IOMemoryDescriptor *descriptor)
{
    uint64_t length = 0;
    return IOMemoryDescriptorGetLength(descriptor, &length) == kIOReturnSuccess ? length : 0;
}

static bool
arguments_pass(const IOUserClientMethodArguments *arguments, const IOUserClientMethodDispatch *dispatch)
{
    uint64_t input_bytes = 0;
    if (arguments->structureInputDescriptor)
        input_bytes = descriptor_bytes(arguments->structureInputDescriptor);
    else if (arguments->structureInput)
        input_bytes = OSDataGetLength(arguments->structureInput);
    const uint64_t output_bytes = arguments->structureOutputDescriptor
                                      ? descriptor_bytes(arguments->structureOutputDescriptor)
                                      : arguments->structureOutputMaximumSize;
    return passes(dispatch->checkCompletionExists, arguments->completion != NULL) &&
           passes(dispatch->checkScalarInputCount, arguments->scalarInputCount) &&
           passes(dispatch->checkStructureInputSize, input_bytes) &&
           passes(dispatch->checkScalarOutputCount, arguments->scalarOutputCount) &&
           passes(dispatch->checkStructureOutputSize, output_bytes);
}

kern_return_t
IOUserClientExternalMethod_super(IOUserClient *client, uint64_t selector, IOUserClientMethodArguments *arguments,
                                 const IOUserClientMethodDispatch *dispatch, OSObjectPtr target, void *reference)
{
    (void)selector; // the override has chosen the entry by it
    IOUserClient *const c = check(client);
    if (!c || !arguments)
        return kIOReturnBadArgument;
    if (!dispatch)
        return kIOReturnUnsupported;
    if (!arguments_pass(arguments, dispatch))
        return kIOReturnBadArgument;
    if (!dispatch->function)
        return kIOReturnNoCompletion;
    return dispatch->function(target ? target : c, reference, arguments);
}

kern_return_t
IOUserClientExternalMethod(IOUserClient *client, uint64_t selector, IOUserClientMethodArguments *arguments,
                           const IOUserClientMethodDispatch *dispatch, OSObjectPtr target, void *reference)
{
    const IOUserClient *const c = check(client);
    if (!c || !arguments)
        return kIOReturnBadArgument;
    return c->overrides.ExternalMethod
               ? c->overrides.ExternalMethod(client, selector, arguments, dispatch, target, reference)
               : IOUserClientExternalMethod_super(client, selector, arguments, dispatch, target, reference);
}

kern_return_t
IOUserClientCopyClientMemoryForType_super(IOUserClient *client, uint64_t type, uint64_t *ret_options,
                                          IOMemoryDescriptor **ret_memory)
{
    (void)type; // there is none of any type
    return check(client) && ret_options && ret_memory ? kIOReturnUnsupported : kIOReturnBadArgument;
}

kern_return_t
IOUserClientCopyClientMemoryForType(IOUserClient *client, uint64_t type, uint64_t *ret_options,
                                    IOMemoryDescriptor **ret_memory)
{
    const IOUserClient *const c = check(client);
    if (!c || !ret_options || !ret_memory)
        return kIOReturnBadArgument;
    return c->overrides.CopyClientMemoryForType
               ? c->overrides.CopyClientMemoryForType(client, type, ret_options, ret_memory)
               : IOUserClientCopyClientMemoryForType_super(client, type, ret_options, ret_memory);
}

kern_return_t
dx_user_client_connect(IOUserClient *client, dx_user_client_completion completion, void *context)
{
    IOUserClient *const c = check(client);
    if (!c)
        return kIOReturnBadArgument;
    dx_mutex_lock(&c->connection_lock);
    c->completion = completion;
    c->completion_context = context;
    dx_mutex_unlock(&c->connection_lock);
    return kIOReturnSuccess;
}

kern_return_t
IOUserClientAsyncCompletion(IOUserClient *client, OSAction *action, IOReturn status, const uint64_t *async_data,
                            uint32_t count)
{
    IOUserClient *const c = check(client);
    if (!c || !OSObjectIsKindOf(action, gOSActionMetaClass) || count > kIOUserClientAsyncArgumentsCountMax ||
        (count > 0 && !async_data))
        return kIOReturnBadArgument;
    dx_mutex_lock(&c->connection_lock);
    const kern_return_t answer =
        c->completion ? c->completion(c->completion_context, action, status, async_data, count) : kIOReturnNotOpen;
    dx_mutex_unlock(&c->connection_lock);
    return answer;
}

/* A call on its way to the queue and back. */
struct call {
    IOUserClient *client;
    uint64_t selector;
    IOUserClientMethodArguments *arguments;
};

static kern_return_t
run_call(void *context)
{
    const struct call *const call = context;
    return IOUserClientExternalMethod(call->client, call->selector, call->arguments, NULL, NULL, NULL);
}

/* The queue for external methods, +1: the client's own, or the provider's default one; NULL: none. */
static IODispatchQueue *
copy_method_queue(IOUserClient *client)
{
    IODispatchQueue *queue;
    if (OSObjectCopyDispatchQueue(client, kIOUserClientQueueNameExternalMethod, &queue) == kIOReturnSuccess ||
        OSObjectCopyDispatchQueue(client, kIOServiceDefaultQueueName, &queue) == kIOReturnSuccess)
        return queue;
    dx_mutex_lock(&client->service.lock);
    IOService *const provider = OSObjectRetain(client->service.provider);
    dx_mutex_unlock(&client->service.lock);
    const bool found =
        provider && OSObjectCopyDispatchQueue(provider, kIOServiceDefaultQueueName, &queue) == kIOReturnSuccess;
    OSObjectRelease(provider);
    return found ? queue : NULL;
}

static bool
are_within_limits(const IOUserClientMethodArguments *arguments)
{
    return arguments->scalarInputCount <= kIOUserClientScalarArrayCountMax &&
           arguments->scalarOutputCount <= kIOUserClientScalarArrayCountMax &&
           (arguments->scalarInputCount == 0 || arguments->scalarInput) &&
           (arguments->scalarOutputCount == 0 || arguments->scalarOutput);
}

/* Whether the method wrote no more than there was room for. */
static bool
answer_fits(const IOUserClientMethodArguments *arguments, uint32_t scalar_room)
{
    return arguments->scalarOutputCount <= scalar_room &&
           (!arguments->structureOutput ||
            OSDataGetLength(arguments->structureOutput) <= arguments->structureOutputMaximumSize);
}

kern_return_t
dx_user_client_call(IOUserClient *client, uint64_t selector, IOUserClientMethodArguments *arguments)
{
    IOUserClient *const c = check(client);
    if (!c || !arguments || !are_within_limits(arguments))
        return kIOReturnBadArgument;
    dx_mutex_lock(&c->service.lock);
    const bool is_open = c->service.is_started;
    dx_mutex_unlock(&c->service.lock);
    if (!is_open)
        return kIOReturnNotOpen;

    const uint32_t scalar_room = arguments->scalarOutputCount;
    arguments->version = kIOUserClientMethodArgumentsCurrentVersion;
    arguments->selector = selector;
    arguments->structureOutput = NULL;
    struct call call = {.client = c, .selector = selector, .arguments = arguments};
    IODispatchQueue *const queue = copy_method_queue(c);
    kern_return_t status = queue ? IODispatchQueueRunAction_f(queue, &call, run_call) : run_call(&call);
    OSObjectRelease(queue);

    if (status == kIOReturnSuccess && !answer_fits(arguments, scalar_room))
        status = kIOReturnMessageTooLarge;
    if (status != kIOReturnSuccess)
        OSSafeReleaseNULL(arguments->structureOutput);
    return status;
}

/* The host's own. */

static kern_return_t
refuse_method(IOUserClient *client, uint64_t selector, IOUserClientMethodArguments *arguments,
              const IOUserClientMethodDispatch *dispatch, OSObjectPtr target, void *reference)
{
    (void)client;
    (void)selector;
    (void)arguments;
    (void)dispatch;
    (void)target;
    (void)reference;
    return kIOReturnUnsupported;
}

kern_return_t
dx_audio_user_client_create(IOService *driver, IOUserClient **ret_client)
{
    static const IOUserClientOverrides overrides = {
        .size = sizeof(IOUserClientOverrides),
        .ExternalMethod = refuse_method,
    };
    IOUserClient *const client = alloc_client(&audio_client_class);
    if (!client)
        return kIOReturnNoMemory;
    kern_return_t status = IOUserClientSetOverrides(client, &overrides);
    if (status == kIOReturnSuccess)
        status = IOUserClientInit(client) ? IOUserClientStart(client, driver) : kIOReturnError;
    if (status != kIOReturnSuccess)
        OSObjectRelease(client);
    else
        *ret_client = client;
    return status;
}
