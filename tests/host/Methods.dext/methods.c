// SPDX-License-Identifier: MIT
// A driver with user clients, for tests: methods.h says what they do.

#include "methods.h"

#include <dextral/dextral.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

struct driver {
    IOUserAudioDriver *driver; // borrowed: this is its peer
    IOUserAudioDevice *device;
};

struct client {
    IOUserClient *client; // borrowed: this is its peer
    OSAction *kept;
    IOBufferMemoryDescriptor *memory[2]; // of MEMORY_SHARED and MEMORY_READ_ONLY
};

static _Atomic unsigned clients_running;

static kern_return_t
sum(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)target, (void)reference;
    uint64_t total = 0;
    for (uint32_t i = 0; i < arguments->scalarInputCount; i++)
        total += arguments->scalarInput[i];
    arguments->scalarOutput[0] = total;
    arguments->scalarOutput[1] = arguments->scalarInputCount;
    return kIOReturnSuccess;
}

/* A structure however it came, mapped as drivers do; the map is to be released. */
static kern_return_t
map_input(const IOUserClientMethodArguments *arguments, const uint8_t **ret_bytes, size_t *ret_length,
          IOMemoryMap **ret_map)
{
    *ret_map = NULL;
    *ret_bytes = arguments->structureInput ? OSDataGetBytesNoCopy(arguments->structureInput) : NULL;
    *ret_length = OSDataGetLength(arguments->structureInput);
    if (!arguments->structureInputDescriptor)
        return kIOReturnSuccess;
    const kern_return_t status =
        IOMemoryDescriptorCreateMapping(arguments->structureInputDescriptor, 0, 0, 0, 0, 0, ret_map);
    if (status != kIOReturnSuccess)
        return status;
    *ret_bytes = (const uint8_t *)(uintptr_t)(IOMemoryMapGetAddress(*ret_map) + IOMemoryMapGetOffset(*ret_map));
    *ret_length = (size_t)IOMemoryMapGetLength(*ret_map);
    return kIOReturnSuccess;
}

static void
copy_reversed(uint8_t *to, const uint8_t *from, size_t length)
{
    for (size_t i = 0; i < length; i++)
        to[i] = from[length - 1 - i];
}

static kern_return_t
reverse_into_memory(IOMemoryDescriptor *output, const uint8_t *bytes, size_t length)
{
    IOMemoryMap *map = NULL;
    const kern_return_t status = IOMemoryDescriptorCreateMapping(output, 0, 0, 0, 0, 0, &map);
    if (status != kIOReturnSuccess)
        return status;
    const bool fits = IOMemoryMapGetLength(map) >= length;
    if (fits)
        copy_reversed((uint8_t *)(uintptr_t)(IOMemoryMapGetAddress(map) + IOMemoryMapGetOffset(map)), bytes,
                      length);
    OSObjectRelease(map);
    return fits ? kIOReturnSuccess : kIOReturnNoSpace;
}

static kern_return_t
reverse(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)target, (void)reference;
    const uint8_t *bytes;
    size_t length;
    IOMemoryMap *map;
    kern_return_t status = map_input(arguments, &bytes, &length, &map);
    if (status != kIOReturnSuccess)
        return status;
    if (arguments->structureOutputDescriptor) {
        status = reverse_into_memory(arguments->structureOutputDescriptor, bytes, length);
    } else {
        uint8_t *const reversed = malloc(length ? length : 1);
        if (reversed)
            copy_reversed(reversed, bytes, length);
        arguments->structureOutput = reversed ? OSDataCreate(reversed, length) : NULL;
        free(reversed);
        status = arguments->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
    }
    OSObjectRelease(map);
    return status;
}

static kern_return_t
make(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)target, (void)reference;
    OSData *const made = OSDataCreateWithCapacity((size_t)arguments->scalarInput[0]);
    for (uint64_t i = 0; made && i < arguments->scalarInput[0]; i++) {
        const uint8_t byte = (uint8_t)i;
        if (!OSDataAppendBytes(made, &byte, 1))
            return kIOReturnNoMemory;
    }
    arguments->structureOutput = made;
    return made ? kIOReturnSuccess : kIOReturnNoMemory;
}

static void
sleep_ms(uint64_t ms)
{
    const struct timespec time = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

static kern_return_t
look_twice(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)target, (void)reference;
    const uint8_t *bytes;
    size_t length;
    IOMemoryMap *map;
    const kern_return_t status = map_input(arguments, &bytes, &length, &map);
    if (status != kIOReturnSuccess)
        return status;
    uint64_t sums[2] = {0, 0};
    for (int look = 0; look < 2; look++) {
        for (size_t i = 0; i < length; i++)
            sums[look] = sums[look] * 31 + ((const volatile uint8_t *)bytes)[i];
        if (look == 0)
            sleep_ms(arguments->scalarInput[0]);
    }
    arguments->scalarOutput[0] = sums[0] == sums[1];
    OSObjectRelease(map);
    return kIOReturnSuccess;
}

static kern_return_t
complete(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)reference;
    return IOUserClientAsyncCompletion(target, arguments->completion, kIOReturnSuccess, arguments->scalarInput,
                                       arguments->scalarInputCount);
}

static kern_return_t
keep(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)reference;
    struct client *const client = OSObjectGetPeer(target);
    OSObjectRelease(client->kept);
    client->kept = OSObjectRetain(arguments->completion);
    return kIOReturnSuccess;
}

static kern_return_t
complete_kept(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)reference;
    const struct client *const client = OSObjectGetPeer(target);
    return IOUserClientAsyncCompletion(target, client->kept, (kern_return_t)arguments->scalarInput[0],
                                       arguments->scalarInput + 1, arguments->scalarInputCount - 1);
}

static kern_return_t
let_go(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)reference, (void)arguments;
    struct client *const client = OSObjectGetPeer(target);
    OSSafeReleaseNULL(client->kept);
    return kIOReturnSuccess;
}

static kern_return_t
fail(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    if (arguments->completion)
        (void)complete(target, reference, arguments);
    return (kern_return_t)arguments->scalarInput[0];
}

static kern_return_t
sleep_here(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)target, (void)reference;
    sleep_ms(arguments->scalarInput[0]);
    return kIOReturnSuccess;
}

static kern_return_t
crash(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)target, (void)reference, (void)arguments;
    abort();
}

static kern_return_t
answer_too_many(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)target, (void)reference;
    arguments->scalarOutputCount++;
    return kIOReturnSuccess;
}

static kern_return_t
count_clients(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)target, (void)reference;
    /* relaxed: a count. */
    arguments->scalarOutput[0] = atomic_load_explicit(&clients_running, memory_order_relaxed);
    return kIOReturnSuccess;
}

static kern_return_t
forge(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)reference;
    OSAction *action = NULL;
    const kern_return_t status = OSActionCreate(target, 0, 4711, 0, &action);
    if (status != kIOReturnSuccess)
        return status;
    arguments->scalarOutput[0] = (uint32_t)IOUserClientAsyncCompletion(target, action, kIOReturnSuccess, NULL, 0);
    OSObjectRelease(action);
    return kIOReturnSuccess;
}

static uint8_t *
find_byte(OSObjectPtr target, const uint64_t *place)
{
    const struct client *const client = OSObjectGetPeer(target);
    IOAddressSegment range;
    if (place[0] > MEMORY_READ_ONLY || place[1] >= MEMORY_BYTES ||
        IOBufferMemoryDescriptorGetAddressRange(client->memory[place[0]], &range) != kIOReturnSuccess)
        return NULL;
    return (uint8_t *)(uintptr_t)range.address + place[1];
}

static kern_return_t
peek(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)reference;
    const volatile uint8_t *const byte = find_byte(target, arguments->scalarInput);
    if (!byte)
        return kIOReturnBadArgument;
    arguments->scalarOutput[0] = *byte;
    return kIOReturnSuccess;
}

static kern_return_t
poke(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)reference;
    volatile uint8_t *const byte = find_byte(target, arguments->scalarInput);
    if (!byte)
        return kIOReturnBadArgument;
    *byte = (uint8_t)arguments->scalarInput[2];
    return kIOReturnSuccess;
}

#define ANY kIOUserClientVariableStructureSize

/* Function, asynchronous, numbers in, bytes in, numbers out, bytes out. */
static const IOUserClientMethodDispatch methods[METHODS] = {
    [METHOD_SUM] = {sum, 0, ANY, 0, 2, 0},
    [METHOD_REVERSE] = {reverse, 0, 0, ANY, 0, ANY},
    [METHOD_MAKE] = {make, 0, 1, 0, 0, ANY},
    [METHOD_LOOK_TWICE] = {look_twice, 0, 1, ANY, 1, 0},
    [METHOD_COMPLETE] = {complete, 1, ANY, 0, 0, 0},
    [METHOD_KEEP] = {keep, 1, 0, 0, 0, 0},
    [METHOD_COMPLETE_KEPT] = {complete_kept, 0, ANY, 0, 0, 0},
    [METHOD_LET_GO] = {let_go, 0, 0, 0, 0, 0},
    [METHOD_FAIL] = {fail, ANY, 1, 0, 0, 0},
    [METHOD_SLEEP] = {sleep_here, 0, 1, 0, 0, 0},
    [METHOD_CRASH] = {crash, 0, 0, 0, 0, 0},
    [METHOD_TOO_MANY] = {answer_too_many, 0, 0, 0, ANY, 0},
    [METHOD_COUNT_CLIENTS] = {count_clients, 0, 0, 0, 1, 0},
    [METHOD_FORGE] = {forge, 0, 0, 0, 1, 0},
    [METHOD_PEEK] = {peek, 0, 2, 0, 1, 0},
    [METHOD_POKE] = {poke, 0, 3, 0, 0, 0},
};

static kern_return_t
call_method(IOUserClient *client, uint64_t selector, IOUserClientMethodArguments *arguments,
            const IOUserClientMethodDispatch *dispatch, OSObjectPtr target, void *reference)
{
    (void)dispatch;
    return IOUserClientExternalMethod_super(client, selector, arguments,
                                            selector < METHODS ? &methods[selector] : NULL, target, reference);
}

static kern_return_t
copy_memory(IOUserClient *object, uint64_t type, uint64_t *ret_options, IOMemoryDescriptor **ret_memory)
{
    const struct client *const client = OSObjectGetPeer(object);
    switch (type) {
    case MEMORY_SHARED:
    case MEMORY_READ_ONLY:
        *ret_options = type == MEMORY_READ_ONLY ? kIOUserClientMemoryReadOnly : 0;
        *ret_memory = OSObjectRetain(client->memory[type]);
        return kIOReturnSuccess;
    case MEMORY_FIRST:
    case MEMORY_REST:
        return IOMemoryDescriptorCreateSubMemoryDescriptor(kIOMemoryDirectionInOut,
                                                           type == MEMORY_REST ? MEMORY_BYTES / 2 : 0,
                                                           MEMORY_BYTES / 2, client->memory[0], ret_memory);
    case MEMORY_LIE:
        return kIOReturnSuccess;
    default:
        return IOUserClientCopyClientMemoryForType_super(object, type, ret_options, ret_memory);
    }
}

static kern_return_t
start_client(IOUserClient *client, IOService *provider)
{
    const kern_return_t status = IOUserClientStart_super(client, provider);
    if (status == kIOReturnSuccess)
        (void)atomic_fetch_add_explicit(&clients_running, 1, memory_order_relaxed); // a count
    return status;
}

static kern_return_t
stop_client(IOUserClient *object, IOService *provider)
{
    struct client *const client = OSObjectGetPeer(object);
    OSSafeReleaseNULL(client->kept);
    (void)atomic_fetch_sub_explicit(&clients_running, 1, memory_order_relaxed); // a count
    return IOUserClientStop_super(object, provider);
}

static void
free_client(void *peer)
{
    struct client *const client = peer;
    OSObjectRelease(client->memory[0]);
    OSObjectRelease(client->memory[1]);
    free(client);
}

static IOServicePtr
alloc_client(void)
{
    static const IOUserClientOverrides overrides = {
        .size = sizeof overrides,
        .Start = start_client,
        .Stop = stop_client,
        .ExternalMethod = call_method,
        .CopyClientMemoryForType = copy_memory,
    };
    struct client *const client = calloc(1, sizeof *client);
    IOUserClient *const object = IOUserClientAlloc();
    bool done = client && object && IOUserClientSetOverrides(object, &overrides) == kIOReturnSuccess;
    for (int i = 0; i < 2 && done; i++)
        done = IOBufferMemoryDescriptorCreate(kIOMemoryDirectionInOut, MEMORY_BYTES, 0, &client->memory[i]) ==
               kIOReturnSuccess;
    if (!done) {
        if (client)
            free_client(client);
        OSObjectRelease(object);
        return NULL;
    }
    client->client = object;
    OSObjectSetPeer(object, client, free_client);
    return object;
}

static kern_return_t
refuse_start(IOUserClient *client, IOService *provider)
{
    (void)client, (void)provider;
    return kIOReturnNotPermitted;
}

static kern_return_t
make_refused(IOUserAudioDriver *driver)
{
    static const IOUserClientOverrides overrides = {.size = sizeof overrides, .Start = refuse_start};
    IOUserClient *const client = IOUserClientAlloc();
    kern_return_t status = client ? IOUserClientSetOverrides(client, &overrides) : kIOReturnNoMemory;
    if (status == kIOReturnSuccess)
        status = IOUserClientInit(client) ? IOUserClientStart(client, driver) : kIOReturnError;
    OSObjectRelease(client);
    return status;
}

static kern_return_t
bind_own_queue(IOUserClient *client)
{
    IODispatchQueue *queue = NULL;
    kern_return_t status = IODispatchQueueCreate("methods", 0, 0, &queue);
    if (status == kIOReturnSuccess)
        status = OSObjectSetDispatchQueue(client, kIOUserClientQueueNameExternalMethod, queue);
    OSObjectRelease(queue);
    return status;
}

static kern_return_t
new_user_client(IOUserAudioDriver *driver, uint32_t type, IOUserClient **ret_client)
{
    IOService *service = NULL;
    kern_return_t status;
    switch (type) {
    case TYPE_METHODS:
    case TYPE_OWN_QUEUE:
        status = IOServiceCreate(driver, "MethodsUserClientProperties", &service);
        *ret_client = OSDynamicCast(IOUserClient, service);
        return status == kIOReturnSuccess && type == TYPE_OWN_QUEUE ? bind_own_queue(*ret_client) : status;
    case TYPE_LIE:
        return kIOReturnSuccess;
    case TYPE_REFUSED:
        return make_refused(driver);
    default:
        return IOUserAudioDriverNewUserClient_super(driver, type, ret_client);
    }
}

/* A device that nobody plays to. */
static kern_return_t
add_device(struct driver *driver)
{
    static const double rate_hz = 48000.0;
    OSString *const uid = OSStringCreate(METHODS_UID);
    driver->device = IOUserAudioDeviceCreate(driver->driver, false, uid, NULL, NULL, 4096);
    OSObjectRelease(uid);
    kern_return_t status =
        driver->device ? IOUserAudioDeviceSetAvailableSampleRates(driver->device, &rate_hz, 1) : kIOReturnNoMemory;
    if (status == kIOReturnSuccess)
        status = IOUserAudioDriverAddObject(driver->driver, driver->device);
    return status;
}

static kern_return_t
start(IOUserAudioDriver *object, IOService *provider)
{
    struct driver *const driver = OSObjectGetPeer(object);
    kern_return_t status = IOUserAudioDriverStart_super(object, provider);
    if (status == kIOReturnSuccess)
        status = dx_service_add_class(object, "MethodsUserClient", alloc_client);
    if (status == kIOReturnSuccess)
        status = add_device(driver);
    if (status == kIOReturnSuccess)
        status = IOServiceRegisterService(object);
    return status;
}

static kern_return_t
stop(IOUserAudioDriver *object, IOService *provider)
{
    const struct driver *const driver = OSObjectGetPeer(object);
    /* relaxed: a count. */
    if (atomic_load_explicit(&clients_running, memory_order_relaxed) != 0)
        abort(); // they end before their driver
    (void)IOUserAudioDriverRemoveObject(object, driver->device);
    return IOUserAudioDriverStop_super(object, provider);
}

static void
free_driver(void *peer)
{
    struct driver *const driver = peer;
    OSObjectRelease(driver->device);
    free(driver);
}

static IOUserAudioDriver *
alloc_driver(void)
{
    static const IOUserAudioDriverOverrides overrides = {
        .size = sizeof overrides,
        .Start = start,
        .Stop = stop,
        .NewUserClient = new_user_client,
    };
    IOUserAudioDriver *const object = IOUserAudioDriverAlloc();
    struct driver *const driver = calloc(1, sizeof *driver);
    if (!object || !driver || IOUserAudioDriverSetOverrides(object, &overrides) != kIOReturnSuccess) {
        OSObjectRelease(object);
        free(driver);
        return NULL;
    }
    driver->driver = object;
    OSObjectSetPeer(object, driver, free_driver);
    return object;
}

DX_DRIVER_CLASS(MethodsAudioDriver, alloc_driver);
