// SPDX-License-Identifier: MIT
// Objects, collections, memory and actions when any allocation, mapping or descriptor is refused.

#include "core/pages.h"
#include "tests/core/check.h"
#include "tests/core/failing_allocator.h"

#include <dextral/IODispatchQueue.h>
#include <dextral/IOMemoryDescriptor.h>
#include <dextral/OSAction.h>
#include <dextral/clock.h>

#include <stdlib.h>
#include <string.h>

/*
 * Runs a scenario with the n-th call failing, alone and with all behind it, for every n until it goes through.  A
 * scenario gives back all it has, whatever failed, and returns whether everything succeeded.
 */
static void
fail_everywhere(const char *name, bool (*scenario)(void))
{
    (void)fprintf(stderr, "- %s\n", name);
    CHECK(scenario());
    for (int behind = 0; behind < 2; behind++) {
        for (uint64_t n = 1;; n++) {
            const uint64_t live = failing_allocator_live();
            if (behind)
                failing_allocator_fail_from(n);
            else
                failing_allocator_fail_at(n);
            const bool done = scenario();
            const bool reached = failing_allocator_stop();
            CHECK_EQ(failing_allocator_live(), live);
            if (!reached) {
                CHECK(done);
                CHECK(n > 1); // there was something to fail
                break;
            }
        }
    }
}

static bool
strings_numbers_and_data(void)
{
    OSString *const string = OSStringCreate("text");
    OSNumber *const number = OSNumberCreate(5, 8);
    OSData *const data = OSDataCreate("abc", 3);
    bool done = string && number && data;
    if (data) {
        const bool grown = OSDataAppendBytes(data, OSDataGetBytesNoCopy(data), 3);
        CHECK_EQ(OSDataGetLength(data), grown ? 6 : 3);
        CHECK(memcmp(OSDataGetBytesNoCopy(data), "abcabc", OSDataGetLength(data)) == 0);
        done &= grown;
    }
    OSObjectRelease(string);
    OSObjectRelease(number);
    OSObjectRelease(data);
    return done;
}

static bool
arrays(void)
{
    OSArray *const array = OSArrayCreate(1);
    OSNumber *const number = OSNumberCreate(5, 8);
    bool done = array && number;
    size_t count = 0;
    for (int i = 0; i < 9 && array; i++) {
        const bool added = i % 2 ? OSArraySetObject(array, number) : OSArrayInsertObject(array, 0, number);
        count += added;
        done &= added;
        CHECK_EQ(OSArrayGetCount(array), count);
    }
    if (number)
        CHECK_EQ(OSObjectGetRetainCount(number), 1 + count);
    OSArray *const copy = OSArrayCreateWithArray(array);
    done &= copy != NULL;
    OSObjectRelease(copy);
    OSObjectRelease(array);
    OSObjectRelease(number);
    return done;
}

static bool
dictionaries(void)
{
    OSDictionary *const dictionary = OSDictionaryCreate(1);
    OSDictionary *const other = OSDictionaryCreate(0);
    bool done = dictionary && other;
    for (uint64_t i = 1; i < 12 && dictionary; i++) {
        const char key[] = {(char)('a' + i), '\0'};
        const size_t count = OSDictionaryGetCount(dictionary);
        const bool added = OSDictionarySetUInt64Value(dictionary, key, i);
        CHECK_EQ(OSDictionaryGetCount(dictionary), count + added);
        CHECK_EQ(OSDictionaryGetUInt64Value(dictionary, key), added ? i : 0);
        done &= added;
        if (i % 3 == 0)
            OSDictionaryRemoveObject(dictionary, key);
    }
    done &= OSDictionarySetStringValue(other, "name", "value");
    done &= OSDictionaryMerge(dictionary, other);
    OSDictionary *const copy = OSDictionaryCreateWithDictionary(dictionary);
    done &= copy && OSObjectIsEqualTo(copy, dictionary);
    OSObjectRelease(copy);
    OSObjectRelease(other);
    OSObjectRelease(dictionary);
    return done;
}

static bool
serialization(void)
{
    static const char list[] = "DXS\1\6\3\1a\5\3\1\2\x08\5\3\1x\1b\4\2yz\1c\6\1\1d\0";
    OSObjectPtr const object = OSSerializationCopyObject(list, sizeof list - 1);
    OSData *const bytes = OSSerializationCreateFromObject(object);
    const bool done = object && bytes;
    if (bytes)
        CHECK(OSDataGetLength(bytes) == sizeof list - 1 &&
              memcmp(OSDataGetBytesNoCopy(bytes), list, sizeof list - 1) == 0);
    OSObjectRelease(bytes);
    OSObjectRelease(object);
    return done;
}

static bool
memory(void)
{
    const uint64_t page = dx_page_bytes();
    IOBufferMemoryDescriptor *buffer = NULL;
    IOMemoryDescriptor *part = NULL, *whole = NULL, *received = NULL;
    IOMemoryMap *map = NULL, *view = NULL;
    int fd = -1;
    bool done = IOBufferMemoryDescriptorCreate(3, 2 * page, 16 * page, &buffer) == kIOReturnSuccess;
    done = done && !IOMemoryDescriptorCreateSubMemoryDescriptor(3, page, page, buffer, &part);
    IOMemoryDescriptor *const parts[32] = {(IOMemoryDescriptor *)buffer, part};
    done = done && !IOMemoryDescriptorCreateWithMemoryDescriptors(3, 2, parts, &whole);
    done = done && !IOMemoryDescriptorCreateMapping(whole, 0, 0, 0, 0, 0, &map);
    if (map) {
        uint8_t *const bytes = (uint8_t *)(uintptr_t)(IOMemoryMapGetAddress(map) + IOMemoryMapGetOffset(map));
        bytes[page] = 1;
        CHECK_EQ(bytes[2 * page], 1);
    }
    done = done && !dx_memory_descriptor_get_fd(buffer, &fd, NULL);
    done = done && !dx_memory_descriptor_create_from_fd(fd, 7, page, 3, &received);
    done = done && !IOMemoryDescriptorCreateMapping(received, kIOMemoryMapReadOnly, 0, 0, 0, 0, &view);
    OSObjectRelease(view);
    OSObjectRelease(map);
    OSObjectRelease(received);
    OSObjectRelease(whole);
    OSObjectRelease(part);
    OSObjectRelease(buffer);
    return done;
}

static bool can_lock; // whether this process may lock pages at all

static bool
pages(void)
{
    struct dx_pages shared = {0}, view = {0};
    bool done = dx_pages_create("test", 3 * dx_page_bytes(), &shared) == 0;
    done = done && dx_pages_map_readonly(shared.fd, 2 * dx_page_bytes(), &view) == 0;
    done = done && shared.locked == can_lock && view.locked == can_lock; // so that a refused mlock() shows as well
    dx_pages_finish(&view);
    dx_pages_finish(&shared);
    return done;
}

static void
count_call(OSObjectPtr target, OSAction *action, const void *arguments)
{
    (void)target;
    (void)arguments;
    ++*(int *)dx_action_get_context(action);
}

static bool
actions(void)
{
    int calls = 0;
    OSArray *const target = OSArrayCreate(0);
    OSAction *with_bytes = NULL, *action = NULL;
    bool done = target != NULL;
    done = done && !OSActionCreate(target, 1, 2, 100, &with_bytes);
    done = done && !dx_action_create(target, count_call, &calls, &action);
    done = done && !dx_action_invoke(action, NULL);
    CHECK_EQ(calls, done);
    OSObjectRelease(action);
    OSObjectRelease(with_bytes);
    OSObjectRelease(target);
    return done;
}

static void
nothing(void *context)
{
    (void)context;
}

/* In a simulation, so that nothing is left to be freed by another thread when it is over. */
static void
post_actions(void *ret_done)
{
    int calls = 0, cancels = 0;
    IODispatchQueue *queue = NULL;
    OSAction *action = NULL;
    OSArray *const target = OSArrayCreate(0);
    bool done = target != NULL;
    done = done && !IODispatchQueueCreate("test", 0, 0, &queue);
    done = done && !OSObjectSetDispatchQueue(target, "Default", queue);
    done = done && !OSObjectSetDispatchQueue(target, "Other", queue);
    done = done && !dx_action_create(target, count_call, &calls, &action);
    done = done && !dx_action_post(action, "abc", 3);
    if (queue)
        CHECK_EQ(IODispatchQueueDispatchSync_f(queue, NULL, nothing), 0);
    CHECK_EQ(calls, done);
    if (action) {
        CHECK_EQ(OSActionCancel_f(action, &cancels, NULL), 0);
        CHECK_EQ(dx_action_post(action, NULL, 0), kIOReturnAborted);
    }
    OSObjectRelease(action);
    OSObjectRelease(queue);
    OSObjectRelease(target);
    *(bool *)ret_done = done;
}

static bool
posted_actions(void)
{
    bool done = false;
    const kern_return_t r = dx_simulate(NULL, post_actions, &done, NULL);
    CHECK(r == kIOReturnSuccess || r == kIOReturnNoMemory);
    return r == kIOReturnSuccess && done;
}

int
main(void)
{
    fail_everywhere("strings_numbers_and_data", strings_numbers_and_data);
    fail_everywhere("arrays", arrays);
    fail_everywhere("dictionaries", dictionaries);
    fail_everywhere("serialization", serialization);
    fail_everywhere("memory", memory);
    struct dx_pages probe;
    CHECK_EQ(dx_pages_create("test", 5 * dx_page_bytes(), &probe), 0);
    can_lock = probe.locked;
    dx_pages_finish(&probe);
    fail_everywhere("pages", pages);
    fail_everywhere("actions", actions);
    fail_everywhere("posted_actions", posted_actions);
    return 0;
}
