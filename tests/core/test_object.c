// SPDX-License-Identifier: MIT
// Objects: counts, classes, peers, bound queues; the text of result codes.

#include "core/object.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

/* Criterion compares char *, not const char *. */
static char *
text(const char *string)
{
    return (char *)(uintptr_t)string;
}

/* Two classes of the test's own, one below the other, that note what happens to them. */

static char events[64]; // one letter each, in order

static void
note(char event)
{
    const size_t n = strlen(events);
    events[n] = event;
    events[n + 1] = '\0';
}

struct thing {
    struct OSObject object;
    bool retains_itself; // while it is freed
};

static void
free_thing(OSObjectPtr object)
{
    struct thing *const thing = object;
    note('t');
    if (thing->retains_itself) {
        OSObjectRetain(thing);
        OSObjectRelease(thing);
    }
    dx_object_free_super(thing);
}

static bool
equal_thing(OSObjectPtr object, OSObjectPtr other)
{
    return ((struct OSObject *)object)->isa == ((struct OSObject *)other)->isa;
}

static const OSMetaClass thing_class = {
    .name = "Thing",
    .super = &dx_object_class,
    .instance_bytes = sizeof(struct thing),
    .free = free_thing,
    .is_equal = equal_thing,
};

/* Says nothing of its own about free and equality. */
static const OSMetaClass small_thing_class = {
    .name = "SmallThing",
    .super = &thing_class,
    .instance_bytes = sizeof(struct thing) + 8,
};

static void
release_peer(void *peer)
{
    note(*(const char *)peer);
}

Test(object, starts_with_one_reference_and_zeroes)
{
    struct thing *const thing = dx_object_alloc(&thing_class);
    cr_assert(eq(u32, OSObjectGetRetainCount(thing), 1));
    cr_assert(not(thing->retains_itself));
    cr_assert(eq(ptr, OSObjectRetain(thing), thing));
    cr_assert(eq(u32, OSObjectGetRetainCount(thing), 2));
    OSObjectRelease(thing);
    cr_assert(eq(str, events, text("")));
    OSObjectRelease(thing);
    cr_assert(eq(str, events, text("t")));
}

Test(object, null_is_fine_everywhere)
{
    cr_assert(eq(ptr, OSObjectRetain(NULL), NULL));
    OSObjectRelease(NULL);
    dx_object_free_super(NULL);
    cr_assert(eq(u32, OSObjectGetRetainCount(NULL), 0));
    cr_assert(not(dx_object_retain_if_alive(NULL)));
    cr_assert(not(OSObjectIsKindOf(NULL, gOSObjectMetaClass)));
    cr_assert(eq(ptr, (void *)(uintptr_t)OSObjectGetMetaClass(NULL), NULL));
    cr_assert(OSObjectIsEqualTo(NULL, NULL));
    cr_assert(eq(ptr, OSObjectGetPeer(NULL), NULL));
    OSObjectSetPeer(NULL, NULL, NULL);
    cr_assert(eq(int, OSObjectSetDispatchQueue(NULL, "Default", NULL), kIOReturnBadArgument));
    OSObject *object = NULL;
    OSSafeReleaseNULL(object);
    cr_assert(eq(ptr, object, NULL));
}

Test(object, class_below_inherits_free_and_equality)
{
    struct thing *const a = dx_object_alloc(&small_thing_class);
    struct thing *const b = dx_object_alloc(&small_thing_class);
    OSString *const string = OSStringCreate("x");
    cr_assert(OSObjectIsEqualTo(a, b));
    cr_assert(not(OSObjectIsEqualTo(a, string)));
    cr_assert(not(OSObjectIsEqualTo(a, NULL)));
    OSObjectRelease(string);
    OSObjectRelease(b);
    OSObjectRelease(a);
    cr_assert(eq(str, events, text("tt")));
}

Test(object, plain_objects_are_equal_by_identity)
{
    OSObjectPtr a = dx_object_alloc(&dx_object_class);
    OSObjectPtr b = dx_object_alloc(&dx_object_class);
    cr_assert(OSObjectIsEqualTo(a, a));
    cr_assert(not(OSObjectIsEqualTo(a, b)));
    OSObjectRelease(a);
    OSObjectRelease(b);
}

Test(object, is_kind_of_its_class_and_those_above)
{
    OSObjectPtr small = dx_object_alloc(&small_thing_class);
    OSObjectPtr thing = dx_object_alloc(&thing_class);
    cr_assert(OSObjectIsKindOf(small, &thing_class));
    cr_assert(OSObjectIsKindOf(small, gOSObjectMetaClass));
    cr_assert(not(OSObjectIsKindOf(thing, &small_thing_class)));
    cr_assert(not(OSObjectIsKindOf(thing, NULL)));
    cr_assert(eq(str, text(OSMetaClassGetName(OSObjectGetMetaClass(small))), text("SmallThing")));
    cr_assert(eq(ptr, OSDynamicCast(OSString, thing), NULL));
    OSObjectRelease(small);
    OSObjectRelease(thing);
}

Test(object, free_that_retains_its_object_runs_once)
{
    struct thing *const thing = dx_object_alloc(&thing_class);
    thing->retains_itself = true;
    OSObjectRelease(thing);
    cr_assert(eq(str, events, text("t")));
}

Test(object, peer_is_released_after_free)
{
    OSObjectPtr thing = dx_object_alloc(&thing_class);
    OSObjectSetPeer(thing, text("p"), release_peer);
    cr_assert(eq(str, OSObjectGetPeer(thing), text("p")));
    OSObjectRelease(thing);
    cr_assert(eq(str, events, text("tp")));
}

Test(object, peer_is_released_when_another_is_set)
{
    OSObjectPtr thing = dx_object_alloc(&thing_class);
    OSObjectSetPeer(thing, text("a"), release_peer);
    OSObjectSetPeer(thing, text("b"), release_peer);
    cr_assert(eq(str, events, text("a")));
    OSObjectSetPeer(thing, NULL, NULL);
    cr_assert(eq(str, events, text("ab")));
    cr_assert(eq(ptr, OSObjectGetPeer(thing), NULL));
    OSObjectSetPeer(thing, text("c"), NULL);
    OSObjectRelease(thing);
    cr_assert(eq(str, events, text("abt")));
}

static bool could_be_retained;

static void
try_to_retain(void *object)
{
    could_be_retained = dx_object_retain_if_alive(object);
}

Test(object, weak_look_up_fails_once_the_last_reference_is_gone)
{
    OSObjectPtr thing = dx_object_alloc(&thing_class);
    cr_assert(dx_object_retain_if_alive(thing));
    cr_assert(eq(u32, OSObjectGetRetainCount(thing), 2));
    OSObjectRelease(thing);
    could_be_retained = true;
    OSObjectSetPeer(thing, thing, try_to_retain); // runs within free
    OSObjectRelease(thing);
    cr_assert(not(could_be_retained));
}

Test(object, dropped_object_is_left_to_the_caller)
{
    OSObjectPtr thing = OSObjectRetain(dx_object_alloc(&thing_class));
    cr_assert(not(dx_object_drop(thing)));
    cr_assert(dx_object_drop(thing));
    cr_assert(eq(str, events, text("")));
    dx_object_free_super(thing);
}

Test(object, constants_are_never_freed)
{
    for (int i = 0; i < 3; i++)
        OSObjectRelease(kOSBooleanTrue);
    cr_assert(eq(ptr, OSObjectRetain(kOSBooleanTrue), kOSBooleanTrue));
    cr_assert(dx_object_retain_if_alive(kOSBooleanFalse));
    cr_assert(not(dx_object_drop(kOSBooleanFalse)));
    cr_assert(eq(u32, OSObjectGetRetainCount(kOSBooleanTrue), DX_OBJECT_IMMORTAL));
}

Test(object, too_large_an_instance_is_refused)
{
    cr_assert(eq(ptr, dx_object_alloc_extra(&dx_object_class, SIZE_MAX), NULL));
}

/* Bound queues: any object will do for one here. */

Test(object, queue_is_bound_under_a_name)
{
    OSObjectPtr thing = dx_object_alloc(&thing_class);
    IODispatchQueue *const queue = dx_object_alloc(&thing_class);
    IODispatchQueue *found = NULL;
    cr_assert(eq(int, OSObjectCopyDispatchQueue(thing, "Default", &found), kIOReturnNotFound));
    cr_assert(eq(int, OSObjectSetDispatchQueue(thing, "Default", queue), kIOReturnSuccess));
    cr_assert(eq(u32, OSObjectGetRetainCount(queue), 2));
    cr_assert(eq(int, OSObjectCopyDispatchQueue(thing, "Other", &found), kIOReturnNotFound));
    cr_assert(eq(ptr, found, NULL));
    cr_assert(eq(int, OSObjectCopyDispatchQueue(thing, "Default", &found), kIOReturnSuccess));
    cr_assert(eq(ptr, found, queue));
    cr_assert(eq(u32, OSObjectGetRetainCount(queue), 3));
    OSObjectRelease(found);
    OSObjectRelease(thing);
    cr_assert(eq(u32, OSObjectGetRetainCount(queue), 1));
    OSObjectRelease(queue);
}

Test(object, binding_is_replaced_and_removed)
{
    OSObjectPtr thing = dx_object_alloc(&thing_class);
    IODispatchQueue *const a = dx_object_alloc(&thing_class);
    IODispatchQueue *const b = dx_object_alloc(&thing_class);
    IODispatchQueue *found = NULL;
    cr_assert(eq(int, OSObjectSetDispatchQueue(thing, "x", a), 0));
    cr_assert(eq(int, OSObjectSetDispatchQueue(thing, "y", a), 0));
    cr_assert(eq(int, OSObjectSetDispatchQueue(thing, "z", a), 0));
    cr_assert(eq(int, OSObjectSetDispatchQueue(thing, "y", b), 0));
    cr_assert(eq(u32, OSObjectGetRetainCount(a), 3));
    cr_assert(eq(int, OSObjectCopyDispatchQueue(thing, "y", &found), 0));
    cr_assert(eq(ptr, found, b));
    OSObjectRelease(found);
    cr_assert(eq(int, OSObjectSetDispatchQueue(thing, "y", NULL), 0));
    cr_assert(eq(int, OSObjectSetDispatchQueue(thing, "y", NULL), 0));
    cr_assert(eq(int, OSObjectCopyDispatchQueue(thing, "y", &found), kIOReturnNotFound));
    cr_assert(eq(u32, OSObjectGetRetainCount(b), 1));
    cr_assert(eq(int, OSObjectCopyDispatchQueue(thing, "z", &found), 0));
    cr_assert(eq(ptr, found, a));
    OSObjectRelease(found);
    OSObjectRelease(thing);
    OSObjectRelease(a);
    OSObjectRelease(b);
}

Test(object, queue_names_have_255_bytes_at_most)
{
    char name[257];
    memset(name, 'n', sizeof name - 1);
    name[256] = '\0';
    OSObjectPtr thing = dx_object_alloc(&thing_class);
    IODispatchQueue *const queue = dx_object_alloc(&thing_class);
    IODispatchQueue *found = NULL;
    cr_assert(eq(int, OSObjectSetDispatchQueue(thing, name, queue), kIOReturnBadArgument));
    cr_assert(eq(int, OSObjectCopyDispatchQueue(thing, name, &found), kIOReturnBadArgument));
    cr_assert(eq(int, OSObjectSetDispatchQueue(thing, NULL, queue), kIOReturnBadArgument));
    name[255] = '\0';
    cr_assert(eq(int, OSObjectSetDispatchQueue(thing, name, queue), kIOReturnSuccess));
    cr_assert(eq(int, OSObjectCopyDispatchQueue(thing, name, &found), kIOReturnSuccess));
    OSObjectRelease(found);
    OSObjectRelease(queue);
    OSObjectRelease(thing);
}

Test(returns, have_a_name_and_a_sentence)
{
    cr_assert(eq(str, text(dx_return_name(kIOReturnBadArgument)), text("kIOReturnBadArgument")));
    cr_assert(eq(str, text(dx_return_name(kIOReturnSuccess)), text("kIOReturnSuccess")));
    cr_assert(eq(str, text(dx_return_string(kIOReturnNotFound)), text("not found")));
    cr_assert(eq(str, text(dx_return_string(42)), text("unknown error")));
    cr_assert(eq(ptr, text(dx_return_name(42)), NULL));
}

/* Values from IOReturn.h: sys_iokit is 0xE0000000, and the codes are part of drivers' logs. */
Test(returns, have_the_published_values)
{
    cr_assert(eq(u32, (uint32_t)kIOReturnError, 0xE00002BC));
    cr_assert(eq(u32, (uint32_t)kIOReturnBadArgument, 0xE00002C2));
    cr_assert(eq(u32, (uint32_t)kIOReturnUnsupported, 0xE00002C7));
    cr_assert(eq(u32, (uint32_t)kIOReturnNotFound, 0xE00002F0));
}
