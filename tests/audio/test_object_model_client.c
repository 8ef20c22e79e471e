// SPDX-License-Identifier: MIT
// Boxes, services and user clients.

#include "expect.h"

#include "audio/box.h"
#include "audio/driver.h"

#include <string.h>

static IOUserAudioDriver *driver; // started, without a host's personality
static OSString *text;

static void
set_up(void)
{
    driver = fake_host_start_driver(NULL);
    ASSERT(driver);
    text = OSStringCreate("text");
    ASSERT(text);
}

static void
tear_down(void)
{
    OSObjectRelease(text);
    fake_host_stop_driver(driver);
}

TestSuite(audio_box, .init = set_up, .fini = tear_down);

Test(audio_box, values_begin_as_documented)
{
    EXPECT(!IOUserAudioBoxCreate(driver, true, NULL));
    EXPECT(!IOUserAudioBoxCreate(NULL, true, text));
    for (unsigned acquirable = 0; acquirable < 2; acquirable++) {
        IOUserAudioBox *const box = IOUserAudioBoxCreate(driver, acquirable, text);
        ASSERT(box);
        EXPECT(!IOUserAudioBoxInit(box, driver, true, text));
        EXPECT(IOUserAudioBoxIsAcquirable(box) == (acquirable == 1));
        EXPECT(IOUserAudioBoxIsAcquired(box) == (acquirable == 0));
        EXPECT(IOUserAudioBoxHasAudio(box));
        EXPECT(!IOUserAudioBoxHasVideo(box));
        EXPECT(!IOUserAudioBoxHasMIDI(box));
        EXPECT(!IOUserAudioBoxIsProtected(box));
        EXPECT_STATUS(IOUserAudioBoxGetAcquisitionFailure(box), kIOReturnSuccess);
        cr_expect(zero(u32, IOUserAudioBoxGetTransportType(box)));
        cr_expect(eq(u32, IOUserAudioObjectGetClassID(box), IOUserAudioClassIDBox));
        OSString *const uid = IOUserAudioBoxGetUID(box);
        EXPECT(uid == text);
        OSObjectRelease(uid);
        OSObjectRelease(box);
    }
}

Test(audio_box, setters_store_and_tell_what_is_new)
{
    IOUserAudioBox *const box = IOUserAudioBoxCreate(driver, true, text);
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, box), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioBoxSetTransportType(box, IOUserAudioTransportTypeAVB), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'tran'");
    EXPECT_STATUS(IOUserAudioBoxSetHasAudio(box, false), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'bhau'");
    EXPECT_STATUS(IOUserAudioBoxSetHasVideo(box, true), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'bhvi'");
    EXPECT_STATUS(IOUserAudioBoxSetHasMIDI(box, true), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'bhmi'");
    EXPECT_STATUS(IOUserAudioBoxSetIsProtected(box, true), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'bpro'");
    EXPECT_STATUS(IOUserAudioBoxSetIsAcquired(box, true), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'bxon'");
    EXPECT_STATUS(IOUserAudioBoxSetIsAcquirable(box, false), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'bxon'");
    EXPECT_STATUS(IOUserAudioBoxSetAcquisitionFailure(box, kIOReturnNotPrivileged), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'bxof'");
    EXPECT_STATUS(IOUserAudioBoxSetHasMIDI(box, true), kIOReturnSuccess);
    EXPECT_TOLD("");
    EXPECT_STATUS(IOUserAudioBoxSetTransportType(box, 1), kIOReturnBadArgument);
    cr_expect(eq(u32, IOUserAudioBoxGetTransportType(box), IOUserAudioTransportTypeAVB));
    EXPECT(!IOUserAudioBoxHasAudio(box) && IOUserAudioBoxHasVideo(box) && IOUserAudioBoxHasMIDI(box));
    EXPECT(IOUserAudioBoxIsProtected(box) && IOUserAudioBoxIsAcquired(box) && !IOUserAudioBoxIsAcquirable(box));
    EXPECT_STATUS(IOUserAudioBoxGetAcquisitionFailure(box), kIOReturnNotPrivileged);
    OSObjectRelease(box);
}

Test(audio_box, no_box_is_refused_by_every_call)
{
    IOUserAudioBox *const wrong = (IOUserAudioBox *)(void *)text;
    EXPECT_STATUS(IOUserAudioBoxHandleChangeAcquireBox(wrong, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioBoxHandleChangeAcquireBox_super(wrong, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioBoxSetTransportType(wrong, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioBoxSetHasAudio(wrong, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioBoxSetHasVideo(wrong, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioBoxSetHasMIDI(wrong, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioBoxSetIsProtected(wrong, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioBoxSetIsAcquired(wrong, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioBoxSetIsAcquirable(wrong, true), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioBoxSetAcquisitionFailure(wrong, 0), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioBoxAddDevice(wrong, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioBoxSetOverrides(NULL, NULL), kIOReturnBadArgument);
    EXPECT(!IOUserAudioBoxGetUID(wrong));
    EXPECT(!IOUserAudioBoxHasAudio(wrong));
    cr_expect(zero(u32, dx_box_copy_device_ids(wrong, NULL, 0)));
    cr_expect(zero(u32, dx_box_copy_clock_device_ids(wrong, NULL, 0)));
}

Test(audio_box, devices_are_referred_to_and_not_owned)
{
    IOUserAudioBox *const box = IOUserAudioBoxCreate(driver, true, text);
    IOUserAudioDevice *const device = make_device(driver, "uid", 512);
    IOUserAudioClockDevice *const clock = IOUserAudioClockDeviceCreate(driver, false, text, NULL, NULL, 1);
    EXPECT_STATUS(IOUserAudioDriverAddObject(driver, box), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioBoxAddDevice(box, device), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'bdv#'");
    EXPECT_STATUS(IOUserAudioBoxAddClockDevice(box, clock), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'bcl#'");
    cr_expect(eq(u32, OSObjectGetRetainCount(device), 1));
    cr_expect(zero(u32, IOUserAudioObjectGetOwnerObjectID(device)));
    EXPECT_STATUS(IOUserAudioBoxAddDevice(box, device), kIOReturnExclusiveAccess);
    EXPECT_STATUS(IOUserAudioBoxAddClockDevice(box, (IOUserAudioClockDevice *)(void *)device),
                  kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioBoxAddDevice(box, (IOUserAudioDevice *)(void *)clock), kIOReturnBadArgument);
    IOUserAudioObjectID ids[2] = {0};
    cr_expect(eq(u32, dx_box_copy_device_ids(box, ids, 2), 1));
    cr_expect(eq(u32, ids[0], 3));
    cr_expect(eq(u32, dx_box_copy_clock_device_ids(box, ids, 2), 1));
    cr_expect(eq(u32, ids[0], 4));
    EXPECT_STATUS(IOUserAudioBoxRemoveDevice(box, device), kIOReturnSuccess);
    EXPECT_TOLD("changed 2 'bdv#'");
    EXPECT_STATUS(IOUserAudioBoxRemoveDevice(box, device), kIOReturnNotFound);
    EXPECT_STATUS(IOUserAudioBoxRemoveClockDevice(box, clock), kIOReturnSuccess);
    cr_expect(zero(u32, dx_box_copy_clock_device_ids(box, ids, 2)));
    OSObjectRelease(clock);
    OSObjectRelease(device);
    OSObjectRelease(box);
}

static unsigned calls;

static bool
init_counted(IOUserAudioBox *box, IOUserAudioDriver *its_driver, bool is_acquirable, OSString *uid)
{
    calls++;
    return IOUserAudioBoxInit_super(box, its_driver, is_acquirable, uid);
}

static void
free_counted(IOUserAudioBox *box)
{
    calls++;
    IOUserAudioBoxFree_super(box);
}

static kern_return_t
acquire_counted(IOUserAudioBox *box, bool is_acquired)
{
    calls++;
    return IOUserAudioBoxHandleChangeAcquireBox_super(box, is_acquired);
}

Test(audio_box, overrides_are_called_and_reach_their_base)
{
    static const IOUserAudioBoxOverrides overrides = {
        .size = sizeof overrides,
        .init = init_counted,
        .free = free_counted,
        .HandleChangeAcquireBox = acquire_counted,
    };
    IOUserAudioBox *const box = IOUserAudioBoxAlloc();
    EXPECT_STATUS(IOUserAudioBoxSetOverrides(box, &overrides), kIOReturnSuccess);
    EXPECT(IOUserAudioBoxInit(box, driver, true, text));
    EXPECT_STATUS(IOUserAudioBoxSetOverrides(box, &overrides), kIOReturnBusy);
    EXPECT_STATUS(IOUserAudioBoxHandleChangeAcquireBox(box, true), kIOReturnSuccess);
    EXPECT(IOUserAudioBoxIsAcquired(box));
    EXPECT_STATUS(IOUserAudioBoxSetIsAcquirable(box, false), kIOReturnSuccess);
    EXPECT_STATUS(IOUserAudioBoxHandleChangeAcquireBox(box, false), kIOReturnUnsupported);
    OSObjectRelease(box);
    cr_expect(eq(u32, calls, 4));
}

/* Services. */

TestSuite(service, .init = set_up, .fini = tear_down);

Test(service, names_are_the_class_until_one_is_set)
{
    OSString *name = IOServiceCopyName(driver);
    EXPECT(OSStringIsEqualToCString(name, "IOUserAudioDriver"));
    OSObjectRelease(name);
    EXPECT_STATUS(IOServiceSetName(driver, "mine"), kIOReturnSuccess);
    name = IOServiceCopyName(driver);
    EXPECT(OSStringIsEqualToCString(name, "mine"));
    OSObjectRelease(name);
    EXPECT(!IOUserAudioDriverGetName(driver)); // another name
    char too_long[129];
    memset(too_long, 'x', sizeof too_long);
    too_long[128] = '\0';
    EXPECT_STATUS(IOServiceSetName(driver, too_long), kIOReturnBadArgument);
    EXPECT_STATUS(IOServiceSetName(driver, too_long + 1), kIOReturnSuccess);
    EXPECT_STATUS(IOServiceSetName(driver, ""), kIOReturnBadArgument);
    EXPECT_STATUS(IOServiceSetName(driver, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOServiceSetName(text, "x"), kIOReturnBadArgument);
    EXPECT(!IOServiceCopyName(text));
}

Test(service, entry_ids_differ)
{
    IOUserAudioDriver *const other = IOUserAudioDriverAlloc();
    uint64_t a = 0, b = 0;
    EXPECT_STATUS(IOServiceGetRegistryEntryID(driver, &a), kIOReturnSuccess);
    EXPECT_STATUS(IOServiceGetRegistryEntryID(other, &b), kIOReturnSuccess);
    EXPECT(a != 0 && b != 0 && a != b);
    EXPECT_STATUS(IOServiceGetRegistryEntryID(driver, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOServiceGetRegistryEntryID(NULL, &a), kIOReturnBadArgument);
    OSObjectRelease(other);
}

Test(service, properties_are_a_copy_of_the_personality)
{
    OSDictionary *personality = OSDictionaryCreate(1);
    OSDictionarySetStringValue(personality, "IOUserClass", "Mine");
    IOUserAudioDriver *const d = IOUserAudioDriverAlloc();
    EXPECT(IOUserAudioDriverInit(d));
    EXPECT_STATUS(dx_driver_attach(d, fake_host(), personality), kIOReturnSuccess);
    OSDictionarySetStringValue(personality, "IOUserClass", "Changed");

    OSDictionary *properties = NULL;
    EXPECT_STATUS(IOServiceCopyProperties(d, &properties), kIOReturnSuccess);
    cr_expect_str_eq(OSDictionaryGetStringValue(properties, "IOUserClass"), "Mine");
    OSDictionaryRemoveObject(properties, "IOUserClass");
    OSObjectRelease(properties);

    OSObjectPtr property = NULL;
    EXPECT_STATUS(IOServiceSearchProperty(d, "IOUserClass", "IOService", 0, &property), kIOReturnSuccess);
    EXPECT(OSStringIsEqualToCString(property, "Mine"));
    OSObjectRelease(property);
    EXPECT_STATUS(IOServiceSearchProperty(d, "Nothing", NULL, kIOServiceSearchPropertyParents, &property),
                  kIOReturnNotFound);
    EXPECT_STATUS(IOServiceSearchProperty(d, "IOUserClass", NULL, 2, &property), kIOReturnBadArgument);
    EXPECT_STATUS(IOServiceSearchProperty(d, NULL, NULL, 0, &property), kIOReturnBadArgument);
    EXPECT_STATUS(IOServiceSearchProperty(text, "IOUserClass", NULL, 0, &property), kIOReturnBadArgument);
    EXPECT_STATUS(IOServiceCopyProperties(d, NULL), kIOReturnBadArgument);
    dx_driver_detach(d);
    OSObjectRelease(d);
    OSObjectRelease(personality);
}

Test(service, a_service_without_properties_has_none)
{
    OSDictionary *properties = NULL;
    IOUserClient *const client = IOUserClientAlloc();
    EXPECT_STATUS(IOServiceCopyProperties(client, &properties), kIOReturnSuccess);
    cr_expect(zero(sz, OSDictionaryGetCount(properties)));
    OSObjectRelease(properties);
    OSObjectRelease(client);
}

Test(service, the_default_queue_is_made_once)
{
    IOUserClient *const client = IOUserClientAlloc();
    IODispatchQueue *first = NULL, *second = NULL;
    EXPECT_STATUS(IOServiceCreateDefaultDispatchQueue(client, &first), kIOReturnSuccess);
    EXPECT_STATUS(IOServiceCreateDefaultDispatchQueue(client, &second), kIOReturnSuccess);
    EXPECT(first && first == second);
    EXPECT_STATUS(IOServiceCreateDefaultDispatchQueue(client, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOServiceCreateDefaultDispatchQueue(text, &first), kIOReturnBadArgument);
    OSObjectRelease(first);
    OSObjectRelease(second);
    OSObjectRelease(client);
}

/* User clients. */

TestSuite(user_client, .init = set_up, .fini = tear_down);

static kern_return_t
sum(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)reference;
    EXPECT(OSObjectIsKindOf(target, gIOUserClientMetaClass));
    arguments->scalarOutput[0] = arguments->scalarInput[0] + arguments->scalarInput[1];
    arguments->structureOutput = OSDataCreate("answer", 6);
    return kIOReturnSuccess;
}

static const IOUserClientMethodDispatch sum_method = {
    .function = sum,
    .checkCompletionExists = 0,
    .checkScalarInputCount = 2,
    .checkStructureInputSize = 0,
    .checkScalarOutputCount = 1,
    .checkStructureOutputSize = kIOUserClientVariableStructureSize,
};

static bool was_on_queue;

static kern_return_t
choose_method(IOUserClient *client, uint64_t selector, IOUserClientMethodArguments *arguments,
              const IOUserClientMethodDispatch *dispatch, OSObjectPtr target, void *reference)
{
    IODispatchQueue *const queue = IOUserAudioDriverGetWorkQueue(driver);
    was_on_queue = IODispatchQueueOnQueue(queue);
    OSObjectRelease(queue);
    if (selector == 0)
        dispatch = &sum_method;
    return IOUserClientExternalMethod_super(client, selector, arguments, dispatch, target, reference);
}

static IOUserClient *
start_client(const IOUserClientOverrides *overrides)
{
    IOUserClient *const client = IOUserClientAlloc();
    EXPECT_STATUS(IOUserClientSetOverrides(client, overrides), kIOReturnSuccess);
    EXPECT(IOUserClientInit(client));
    EXPECT_STATUS(IOUserClientSetOverrides(client, overrides), kIOReturnBusy);
    EXPECT_STATUS(IOUserClientStart(client, driver), kIOReturnSuccess);
    return client;
}

static const IOUserClientOverrides choosing = {
    .size = sizeof(IOUserClientOverrides),
    .ExternalMethod = choose_method,
};

Test(user_client, a_method_is_called_on_the_drivers_queue)
{
    IOUserClient *const client = start_client(&choosing);
    EXPECT(!IOUserClientInit(client));
    const uint64_t in[] = {2, 3};
    uint64_t out[1] = {0};
    IOUserClientMethodArguments arguments = {.scalarInput = in,
                                             .scalarInputCount = 2,
                                             .scalarOutput = out,
                                             .scalarOutputCount = 1,
                                             .structureOutputMaximumSize = 6};
    EXPECT_STATUS(dx_user_client_call(client, 0, &arguments), kIOReturnSuccess);
    cr_expect(eq(u64, out[0], 5));
    cr_expect(eq(u64, arguments.version, 2));
    cr_expect(eq(sz, OSDataGetLength(arguments.structureOutput), 6));
    OSObjectRelease(arguments.structureOutput);
    EXPECT(was_on_queue);

    arguments.structureOutputMaximumSize = 5;
    EXPECT_STATUS(dx_user_client_call(client, 0, &arguments), kIOReturnMessageTooLarge);
    EXPECT(!arguments.structureOutput);
    EXPECT_STATUS(dx_user_client_call(client, 1, &arguments), kIOReturnUnsupported);
    EXPECT_STATUS(IOUserClientStop(client, driver), kIOReturnSuccess);
    EXPECT_STATUS(IOUserClientStop(client, driver), kIOReturnNotReady);
    EXPECT_STATUS(dx_user_client_call(client, 0, &arguments), kIOReturnNotOpen);
    OSObjectRelease(client);
}

Test(user_client, limits_hold_before_a_method_is_called)
{
    IOUserClient *const client = start_client(&choosing);
    const uint64_t in[17] = {0};
    uint64_t out[17] = {0};
    IOUserClientMethodArguments arguments = {.scalarInput = in, .scalarInputCount = 17};
    EXPECT_STATUS(dx_user_client_call(client, 0, &arguments), kIOReturnBadArgument);
    arguments = (IOUserClientMethodArguments){.scalarOutput = out, .scalarOutputCount = 17};
    EXPECT_STATUS(dx_user_client_call(client, 0, &arguments), kIOReturnBadArgument);
    arguments = (IOUserClientMethodArguments){.scalarInputCount = 1};
    EXPECT_STATUS(dx_user_client_call(client, 0, &arguments), kIOReturnBadArgument);
    arguments = (IOUserClientMethodArguments){.scalarOutputCount = 1};
    EXPECT_STATUS(dx_user_client_call(client, 0, &arguments), kIOReturnBadArgument);
    EXPECT_STATUS(dx_user_client_call(client, 0, NULL), kIOReturnBadArgument);
    EXPECT_STATUS(dx_user_client_call(NULL, 0, &arguments), kIOReturnBadArgument);
    OSObjectRelease(client);
}

static kern_return_t
succeed(OSObjectPtr target, void *reference, IOUserClientMethodArguments *arguments)
{
    (void)target;
    (void)arguments;
    *(unsigned *)reference += 1;
    return kIOReturnSuccess;
}

Test(user_client, each_check_of_a_dispatch_entry_refuses_what_does_not_match)
{
    IOUserClient *const client = start_client(&choosing);
    OSData *const bytes = OSDataCreate("1234", 4);
    OSAction *action = NULL;
    EXPECT_STATUS(OSActionCreate(client, 1, 2, 0, &action), kIOReturnSuccess);
    const uint64_t in[1] = {0};
    uint64_t out[2] = {0};
    IOUserClientMethodArguments arguments = {
        .completion = action,
        .scalarInput = in,
        .scalarInputCount = 1,
        .structureInput = bytes,
        .scalarOutput = out,
        .scalarOutputCount = 2,
        .structureOutputMaximumSize = 8,
    };
    const IOUserClientMethodDispatch matching = {succeed, 1, 1, 4, 2, 8};
    unsigned done = 0;
    EXPECT_STATUS(IOUserClientExternalMethod_super(client, 0, &arguments, &matching, NULL, &done),
                  kIOReturnSuccess);
    const uint32_t any = kIOUserClientVariableStructureSize;
    const IOUserClientMethodDispatch variable = {succeed, any, any, any, any, any};
    EXPECT_STATUS(IOUserClientExternalMethod_super(client, 0, &arguments, &variable, NULL, &done),
                  kIOReturnSuccess);
    const IOUserClientMethodDispatch wrong[] = {
        {succeed, 0, 1, 4, 2, 8}, {succeed, 1, 2, 4, 2, 8}, {succeed, 1, 1, 5, 2, 8},
        {succeed, 1, 1, 4, 1, 8}, {succeed, 1, 1, 4, 2, 9},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        EXPECT_STATUS(IOUserClientExternalMethod_super(client, 0, &arguments, &wrong[i], NULL, &done),
                      kIOReturnBadArgument);
    const IOUserClientMethodDispatch empty = {NULL, 1, 1, 4, 2, 8};
    EXPECT_STATUS(IOUserClientExternalMethod_super(client, 0, &arguments, &empty, NULL, &done),
                  kIOReturnNoCompletion);
    EXPECT_STATUS(IOUserClientExternalMethod_super(client, 0, &arguments, NULL, NULL, NULL), kIOReturnUnsupported);
    EXPECT_STATUS(IOUserClientExternalMethod_super(client, 0, NULL, &matching, NULL, NULL), kIOReturnBadArgument);
    cr_expect(eq(u32, done, 2));

    /* Descriptors count in place of bytes. */
    IOBufferMemoryDescriptor *memory = NULL;
    EXPECT_STATUS(IOBufferMemoryDescriptorCreate(kIOMemoryDirectionInOut, 64, 0, &memory), kIOReturnSuccess);
    arguments.structureInputDescriptor = (IOMemoryDescriptor *)(void *)memory;
    arguments.structureOutputDescriptor = (IOMemoryDescriptor *)(void *)memory;
    const IOUserClientMethodDispatch large = {succeed, 1, 1, 64, 2, 64};
    EXPECT_STATUS(IOUserClientExternalMethod_super(client, 0, &arguments, &large, NULL, &done), kIOReturnSuccess);
    OSObjectRelease(memory);
    OSObjectRelease(action);
    OSObjectRelease(bytes);
    OSObjectRelease(client);
}

static unsigned completions;
static uint64_t completed_sum;

static kern_return_t
take_completion(void *context, OSAction *action, IOReturn status, const uint64_t *data, uint32_t count)
{
    EXPECT(context == &completions && action && status == kIOReturnAborted);
    completions++;
    for (uint32_t i = 0; i < count; i++)
        completed_sum += data[i];
    return kIOReturnSuccess;
}

Test(user_client, a_completion_goes_to_whoever_is_connected)
{
    IOUserClient *const client = start_client(&choosing);
    OSAction *action = NULL;
    EXPECT_STATUS(OSActionCreate(client, 1, 2, 0, &action), kIOReturnSuccess);
    const uint64_t data[17] = {1, 2, 3};
    EXPECT_STATUS(IOUserClientAsyncCompletion(client, action, kIOReturnAborted, data, 3), kIOReturnNotOpen);
    EXPECT_STATUS(dx_user_client_connect(client, take_completion, &completions), kIOReturnSuccess);
    EXPECT_STATUS(IOUserClientAsyncCompletion(client, action, kIOReturnAborted, data, 3), kIOReturnSuccess);
    EXPECT_STATUS(IOUserClientAsyncCompletion(client, action, kIOReturnAborted, NULL, 0), kIOReturnSuccess);
    cr_expect(eq(u32, completions, 2));
    cr_expect(eq(u64, completed_sum, 6));
    EXPECT_STATUS(IOUserClientAsyncCompletion(client, action, 0, data, 17), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserClientAsyncCompletion(client, action, 0, NULL, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserClientAsyncCompletion(client, NULL, 0, data, 1), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserClientAsyncCompletion(NULL, action, 0, data, 1), kIOReturnBadArgument);
    EXPECT_STATUS(dx_user_client_connect(client, NULL, NULL), kIOReturnSuccess);
    EXPECT_STATUS(IOUserClientAsyncCompletion(client, action, kIOReturnAborted, data, 3), kIOReturnNotOpen);
    EXPECT_STATUS(dx_user_client_connect(NULL, NULL, NULL), kIOReturnBadArgument);
    OSObjectRelease(action);
    OSObjectRelease(client);
}

static char trace[16];

static void
note(char letter)
{
    const size_t length = strlen(trace);
    if (length + 1 < sizeof trace)
        trace[length] = letter;
}

static bool
init_noted(IOUserClient *client)
{
    note('i');
    return IOUserClientInit_super(client);
}

static void
free_noted(IOUserClient *client)
{
    note('f');
    IOUserClientFree_super(client);
}

static kern_return_t
start_noted(IOUserClient *client, IOService *provider)
{
    note('s');
    EXPECT((OSObjectPtr)provider == driver);
    return IOUserClientStart_super(client, provider);
}

static kern_return_t
stop_noted(IOUserClient *client, IOService *provider)
{
    note('t');
    return IOUserClientStop_super(client, provider);
}

static kern_return_t
memory_noted(IOUserClient *client, uint64_t type, uint64_t *ret_options, IOMemoryDescriptor **ret_memory)
{
    note('m');
    return IOUserClientCopyClientMemoryForType_super(client, type, ret_options, ret_memory);
}

static const IOUserClientOverrides noted = {
    .size = sizeof(IOUserClientOverrides),
    .init = init_noted,
    .free = free_noted,
    .Start = start_noted,
    .Stop = stop_noted,
    .CopyClientMemoryForType = memory_noted,
};

Test(user_client, overrides_are_called_and_reach_their_base)
{
    IOUserClient *const client = start_client(&noted);
    uint64_t options = 0;
    IOMemoryDescriptor *memory = NULL;
    EXPECT((OSObjectPtr)IOServiceGetProvider(client) == driver);
    cr_expect(eq(u32, OSObjectGetRetainCount(driver), 2));
    EXPECT_STATUS(IOUserClientStart_super(client, driver), kIOReturnBusy);
    EXPECT_STATUS(IOUserClientCopyClientMemoryForType(client, 0, &options, &memory), kIOReturnUnsupported);
    EXPECT_STATUS(IOUserClientCopyClientMemoryForType(client, 0, NULL, &memory), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserClientStop(client, driver), kIOReturnSuccess);
    EXPECT(!IOServiceGetProvider(client));
    OSObjectRelease(client);
    cr_expect_str_eq(trace, "ismtf");
    cr_expect(eq(u32, OSObjectGetRetainCount(driver), 1));
    EXPECT_STATUS(IOUserClientStart(NULL, driver), kIOReturnBadArgument);
    EXPECT_STATUS(IOUserClientSetOverrides(NULL, &noted), kIOReturnBadArgument);
}

static IOServicePtr
alloc_noted(void)
{
    IOUserClient *const client = IOUserClientAlloc();
    EXPECT_STATUS(IOUserClientSetOverrides(client, &noted), kIOReturnSuccess);
    return client;
}

static IOServicePtr
alloc_driver(void)
{
    return IOUserAudioDriverAlloc();
}

static IOServicePtr
alloc_nothing(void)
{
    return NULL;
}

Test(user_client, create_makes_and_starts_what_a_property_names)
{
    OSDictionary *const personality = OSDictionaryCreate(2);
    OSDictionary *const properties = OSDictionaryCreate(1);
    OSDictionarySetStringValue(properties, "IOUserClass", "MyClient");
    OSDictionarySetObject(personality, "MyUserClientProperties", properties);
    OSDictionarySetStringValue(personality, "Text", "x");
    IOUserAudioDriver *const its_driver = driver;
    dx_driver_detach(its_driver);
    EXPECT_STATUS(dx_driver_attach(its_driver, fake_host(), personality), kIOReturnSuccess);

    IOService *service = NULL;
    EXPECT_STATUS(IOServiceCreate(driver, "MyUserClientProperties", &service), kIOReturnUnsupported);
    EXPECT_STATUS(dx_service_add_class(driver, "MyClient", alloc_driver), kIOReturnSuccess);
    EXPECT_STATUS(IOServiceCreate(driver, "MyUserClientProperties", &service), kIOReturnUnsupported);
    EXPECT_STATUS(dx_service_add_class(driver, "MyClient", alloc_nothing), kIOReturnSuccess);
    EXPECT_STATUS(IOServiceCreate(driver, "MyUserClientProperties", &service), kIOReturnNoMemory);
    EXPECT_STATUS(dx_service_add_class(driver, "MyClient", alloc_noted), kIOReturnSuccess);
    EXPECT_STATUS(IOServiceCreate(driver, "Text", &service), kIOReturnNotFound);
    EXPECT_STATUS(IOServiceCreate(driver, "Nothing", &service), kIOReturnNotFound);
    EXPECT(!service);
    EXPECT_STATUS(IOServiceCreate(driver, "MyUserClientProperties", &service), kIOReturnSuccess);
    EXPECT(OSDynamicCast(IOUserClient, service));
    cr_expect_str_eq(trace, "is");

    /* Its own properties first, then those of its provider. */
    OSObjectPtr property = NULL;
    EXPECT_STATUS(IOServiceSearchProperty(service, "IOUserClass", NULL, 0, &property), kIOReturnSuccess);
    OSObjectRelease(property);
    EXPECT_STATUS(IOServiceSearchProperty(service, "Text", NULL, 0, &property), kIOReturnNotFound);
    EXPECT_STATUS(IOServiceSearchProperty(service, "Text", NULL, kIOServiceSearchPropertyParents, &property),
                  kIOReturnSuccess);
    OSObjectRelease(property);
    OSObjectRelease(service);

    EXPECT_STATUS(dx_service_add_class(driver, "", alloc_noted), kIOReturnBadArgument);
    EXPECT_STATUS(dx_service_add_class(driver, "X", NULL), kIOReturnBadArgument);
    EXPECT_STATUS(dx_service_add_class(NULL, "X", alloc_noted), kIOReturnBadArgument);
    EXPECT_STATUS(IOServiceCreate(driver, NULL, &service), kIOReturnBadArgument);
    EXPECT_STATUS(IOServiceCreate(driver, "X", NULL), kIOReturnBadArgument);
    EXPECT_STATUS(IOServiceCreate(text, "X", &service), kIOReturnBadArgument);
    OSObjectRelease(properties);
    OSObjectRelease(personality);
}

Test(user_client, the_hosts_type_opens_a_client_whose_methods_are_reserved)
{
    IOUserClient *client = NULL;
    EXPECT_STATUS(IOUserAudioDriverNewUserClient(driver, 1, &client), kIOReturnUnsupported);
    EXPECT_STATUS(IOUserAudioDriverNewUserClient(driver, kIOUserAudioDriverUserClientType, NULL),
                  kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDriverNewUserClient(NULL, kIOUserAudioDriverUserClientType, &client),
                  kIOReturnBadArgument);
    EXPECT_STATUS(IOUserAudioDriverNewUserClient(driver, kIOUserAudioDriverUserClientType, &client),
                  kIOReturnSuccess);
    IOUserClientMethodArguments arguments = {.version = 2};
    EXPECT_STATUS(dx_user_client_call(client, 0, &arguments), kIOReturnUnsupported);
    cr_expect_str_eq(OSMetaClassGetName(OSObjectGetMetaClass(client)), "IOUserAudioDriverUserClient");
    EXPECT((OSObjectPtr)IOServiceGetProvider(client) == driver);
    OSObjectRelease(client);
    cr_expect(eq(u32, OSObjectGetRetainCount(driver), 1));
}
