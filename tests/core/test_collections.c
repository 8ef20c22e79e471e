// SPDX-License-Identifier: MIT
// Strings, numbers, data, arrays, dictionaries, and their bytes.

#include <dextral/OSObject.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Criterion compares char *, not const char *. */
static char *
text(const char *string)
{
    return (char *)(uintptr_t)string;
}

/* Adds what the caller has just made, and gives its reference back. */
static bool
array_takes(OSArray *array, OSObjectPtr object)
{
    const bool done = OSArraySetObject(array, object);
    OSObjectRelease(object);
    return done;
}

static bool
dictionary_takes(OSDictionary *dictionary, const char *key, OSObjectPtr object)
{
    const bool done = OSDictionarySetObject(dictionary, key, object);
    OSObjectRelease(object);
    return done;
}

Test(string, keeps_its_bytes)
{
    char bytes[] = "h\xc3\xa9llo";
    OSString *const string = OSStringCreate(bytes);
    bytes[0] = 'x';
    cr_assert(eq(str, text(OSStringGetCStringNoCopy(string)), text("h\xc3\xa9llo")));
    cr_assert(eq(sz, OSStringGetLength(string), 6));
    cr_assert(OSStringIsEqualToCString(string, "h\xc3\xa9llo"));
    cr_assert(not(OSStringIsEqualToCString(string, "hello")));
    cr_assert(not(OSStringIsEqualToCString(string, NULL)));
    OSObjectRelease(string);
}

Test(string, of_a_length_ends_in_nul)
{
    OSString *const string = OSStringCreateWithLength("abcdef", 3);
    cr_assert(eq(str, text(OSStringGetCStringNoCopy(string)), text("abc")));
    OSString *const same = OSStringCreate("abc");
    cr_assert(OSObjectIsEqualTo(string, same));
    OSObjectRelease(string);
    OSObjectRelease(same);
}

Test(string, refuses_null_and_a_nul_inside)
{
    cr_assert(eq(ptr, OSStringCreate(NULL), NULL));
    cr_assert(eq(ptr, OSStringCreateWithLength(NULL, 0), NULL));
    cr_assert(eq(ptr, OSStringCreateWithLength("a\0b", 3), NULL));
    cr_assert(eq(ptr, OSStringCreateWithLength("", SIZE_MAX), NULL));
    cr_assert(eq(ptr, text(OSStringGetCStringNoCopy(NULL)), NULL));
    cr_assert(eq(sz, OSStringGetLength(NULL), 0));
}

Test(number, is_cut_to_its_width)
{
    OSNumber *const number = OSNumberCreate(0x123456789abcdef0u, 12);
    cr_assert(eq(u64, OSNumberGetUInt64Value(number), 0xef0));
    cr_assert(eq(u8, OSNumberGetUInt8Value(number), 0xf0));
    cr_assert(eq(sz, OSNumberGetNumberOfBits(number), 12));
    OSObjectRelease(number);
}

Test(number, has_64_bits_and_all_parts)
{
    OSNumber *const number = OSNumberCreateWithUInt64Value(0x123456789abcdef0u);
    cr_assert(eq(u64, OSNumberGetUInt64Value(number), 0x123456789abcdef0u));
    cr_assert(eq(u32, OSNumberGetUInt32Value(number), 0x9abcdef0u));
    cr_assert(eq(u16, OSNumberGetUInt16Value(number), 0xdef0));
    OSObjectRelease(number);
    cr_assert(eq(ptr, OSNumberCreate(1, 0), NULL));
    cr_assert(eq(ptr, OSNumberCreate(1, 65), NULL));
}

Test(number, is_equal_by_value)
{
    OSNumber *const a = OSNumberCreate(5, 8);
    OSNumber *const b = OSNumberCreate(5, 32);
    OSNumber *const c = OSNumberCreate(6, 8);
    cr_assert(OSObjectIsEqualTo(a, b));
    cr_assert(not(OSObjectIsEqualTo(a, c)));
    cr_assert(not(OSObjectIsEqualTo(a, kOSBooleanTrue)));
    OSObjectRelease(a);
    OSObjectRelease(b);
    OSObjectRelease(c);
}

Test(boolean, constants_differ)
{
    cr_assert(OSBooleanGetValue(kOSBooleanTrue));
    cr_assert(not(OSBooleanGetValue(kOSBooleanFalse)));
    cr_assert(not(OSBooleanGetValue(NULL)));
    cr_assert(not(OSObjectIsEqualTo(kOSBooleanTrue, kOSBooleanFalse)));
}

Test(data, grows_and_keeps_what_it_had)
{
    OSData *const data = OSDataCreateWithCapacity(2);
    cr_assert(eq(sz, OSDataGetCapacity(data), 2));
    cr_assert(eq(sz, OSDataGetLength(data), 0));
    cr_assert(eq(ptr, (void *)(uintptr_t)OSDataGetBytesNoCopy(data), NULL));
    for (unsigned i = 0; i < 1000; i++) {
        const uint8_t byte = (uint8_t)i;
        cr_assert(OSDataAppendBytes(data, &byte, 1));
    }
    const uint8_t *const bytes = OSDataGetBytesNoCopy(data);
    for (unsigned i = 0; i < 1000; i++)
        cr_assert(eq(u8, bytes[i], (uint8_t)i));
    OSObjectRelease(data);
}

Test(data, appends_a_part_of_itself)
{
    OSData *const data = OSDataCreate("abc", 3);
    cr_assert(OSDataAppendBytes(data, OSDataGetBytesNoCopy(data), 3)); // grows
    cr_assert(OSDataAppendBytes(data, OSDataGetBytesNoCopy(data), 6)); // has room
    OSData *const expected = OSDataCreate("abcabcabcabc", 12);
    cr_assert(OSObjectIsEqualTo(data, expected));
    OSObjectRelease(expected);
    OSObjectRelease(data);
}

Test(data, gives_parts_that_are_all_there)
{
    OSData *const data = OSDataCreate("abcdef", 6);
    cr_assert(eq(int, memcmp(OSDataGetBytesNoCopyAt(data, 2, 4), "cdef", 4), 0));
    cr_assert(eq(ptr, (void *)(uintptr_t)OSDataGetBytesNoCopyAt(data, 2, 5), NULL));
    cr_assert(eq(ptr, (void *)(uintptr_t)OSDataGetBytesNoCopyAt(data, 7, 0), NULL));
    cr_assert(eq(ptr, (void *)(uintptr_t)OSDataGetBytesNoCopyAt(data, 1, SIZE_MAX), NULL));
    cr_assert(not(OSDataAppendBytes(data, "x", SIZE_MAX)));
    cr_assert(not(OSDataAppendBytes(data, NULL, 1)));
    cr_assert(OSDataAppendBytes(data, NULL, 0));
    cr_assert(eq(sz, OSDataGetLength(data), 6));
    OSObjectRelease(data);
    cr_assert(eq(ptr, OSDataCreate(NULL, 1), NULL));
    cr_assert(eq(ptr, OSDataCreateWithCapacity(SIZE_MAX), NULL));
}

/* Array members as a string of digits. */
static char *
digits(const OSArray *array)
{
    static char out[32];
    size_t n = 0;
    for (; n < OSArrayGetCount(array); n++)
        out[n] = (char)('0' + OSNumberGetUInt8Value(OSDynamicCast(OSNumber, OSArrayGetObject(array, n))));
    out[n] = '\0';
    return out;
}

static OSArray *
array_of_digits(const char *numbers)
{
    OSArray *const array = OSArrayCreate(0);
    for (; *numbers; numbers++)
        cr_assert(array_takes(array, OSNumberCreate((uint64_t)(*numbers - '0'), 8)));
    return array;
}

Test(array, inserts_replaces_and_removes)
{
    OSArray *const array = array_of_digits("1235");
    OSNumber *const number = OSNumberCreate(4, 8);
    cr_assert(OSArrayInsertObject(array, 3, number));
    cr_assert(eq(str, digits(array), text("12345")));
    cr_assert(OSArrayInsertObject(array, 0, number));
    cr_assert(OSArrayInsertObject(array, 6, number));
    cr_assert(not(OSArrayInsertObject(array, 8, number)));
    cr_assert(eq(str, digits(array), text("4123454")));
    cr_assert(OSArrayReplaceObject(array, 1, number));
    cr_assert(not(OSArrayReplaceObject(array, 7, number)));
    cr_assert(eq(str, digits(array), text("4423454")));
    OSArrayRemoveObject(array, 0);
    OSArrayRemoveObject(array, 5);
    OSArrayRemoveObject(array, 5);
    cr_assert(eq(str, digits(array), text("42345")));
    cr_assert(eq(u32, OSObjectGetRetainCount(number), 3)); // its own and two members
    cr_assert(eq(ptr, OSArrayGetObject(array, 5), NULL));
    OSObjectRelease(array);
    cr_assert(eq(u32, OSObjectGetRetainCount(number), 1));
    OSObjectRelease(number);
}

Test(array, copy_holds_the_same_members)
{
    OSArray *const array = array_of_digits("789");
    OSArray *const copy = OSArrayCreateWithArray(array);
    cr_assert(eq(ptr, OSArrayGetObject(copy, 2), OSArrayGetObject(array, 2)));
    cr_assert(OSObjectIsEqualTo(copy, array));
    OSArrayRemoveObject(array, 0);
    cr_assert(eq(str, digits(copy), text("789")));
    cr_assert(not(OSObjectIsEqualTo(copy, array)));
    OSObjectRelease(array);
    OSObjectRelease(copy);
    cr_assert(eq(ptr, OSArrayCreateWithArray(NULL), NULL));
    cr_assert(eq(ptr, OSArrayCreate(SIZE_MAX), NULL));
}

static bool
remove_from_array(void *context, OSObjectPtr object)
{
    OSArrayRemoveObject(context, 0);
    return OSNumberGetUInt8Value(object) == 3;
}

Test(array, iteration_stops_and_survives_removal)
{
    OSArray *const array = array_of_digits("12345");
    cr_assert(OSArrayIterateObjects(array, remove_from_array, array)); // sees 1 and 3
    cr_assert(eq(str, digits(array), text("345")));
    OSObjectRelease(array);
}

Test(array, refuses_null_and_itself)
{
    OSArray *const array = OSArrayCreate(4);
    cr_assert(not(OSArraySetObject(array, NULL)));
    cr_assert(not(OSArraySetObject(NULL, array)));
    cr_assert(not(OSArraySetObject(array, array)));
    cr_assert(eq(sz, OSArrayGetCount(array), 0));
    OSObjectRelease(array);
}

Test(collection, refuses_to_hold_itself_through_others)
{
    OSArray *const top = OSArrayCreate(0);
    OSDictionary *const middle = OSDictionaryCreate(0);
    OSArray *const bottom = array_of_digits("1");
    cr_assert(OSArraySetObject(top, middle));
    cr_assert(OSDictionarySetObject(middle, "bottom", bottom));
    cr_assert(not(OSArraySetObject(bottom, top)));
    cr_assert(not(OSArrayInsertObject(bottom, 0, middle)));
    cr_assert(not(OSArrayReplaceObject(bottom, 0, top)));
    cr_assert(not(OSDictionarySetObject(middle, "top", top)));
    OSDictionaryRemoveObject(middle, "bottom");
    cr_assert(OSArraySetObject(bottom, top)); // no cycle any more
    OSObjectRelease(top);
    OSObjectRelease(middle);
    OSObjectRelease(bottom);
}

/* Each level holds the one below twice: 2^200 paths, 200 collections. */
Test(collection, shared_members_are_searched_once, .timeout = 10)
{
    OSArray *const lowest = OSArrayCreate(0);
    OSArray *top = OSObjectRetain(lowest);
    for (int i = 0; i < 200; i++) {
        OSArray *const next = OSArrayCreate(2);
        cr_assert(OSArraySetObject(next, top));
        cr_assert(OSArraySetObject(next, top));
        OSObjectRelease(top);
        top = next;
    }
    cr_assert(not(OSArraySetObject(lowest, top)));
    OSObjectRelease(lowest);
    OSObjectRelease(top);
}

/* A recursive free would need some 100 MB of stack. */
Test(collection, deep_nesting_is_freed_without_recursion)
{
    OSArray *top = OSArrayCreate(0);
    for (int i = 0; i < 1000; i++) {
        OSDictionary *const next = OSDictionaryCreate(0);
        cr_assert(OSDictionarySetObject(next, "below", top));
        OSObjectRelease(top);
        top = OSArrayCreate(0);
        cr_assert(array_takes(top, next));
    }
    /* The walk that refuses cycles takes a look at each level, so a deeper one is put together from above. */
    OSArray *const root = OSArrayCreate(1);
    OSArray *low = root;
    for (int i = 0; i < 1000000; i++) {
        OSArray *const next = OSArrayCreate(1);
        cr_assert(array_takes(low, next));
        low = next;
    }
    cr_assert(array_takes(low, top));
    OSObjectRelease(root);
}

Test(dictionary, finds_what_was_set)
{
    OSDictionary *const dictionary = OSDictionaryCreate(0);
    char key[16];
    for (unsigned i = 0; i < 5000; i++) {
        (void)snprintf(key, sizeof key, "key %u", i);
        cr_assert(OSDictionarySetUInt64Value(dictionary, key, i));
    }
    cr_assert(eq(sz, OSDictionaryGetCount(dictionary), 5000));
    for (unsigned i = 0; i < 5000; i += 2) {
        (void)snprintf(key, sizeof key, "key %u", i);
        OSDictionaryRemoveObject(dictionary, key);
    }
    cr_assert(eq(sz, OSDictionaryGetCount(dictionary), 2500));
    for (unsigned i = 0; i < 5000; i++) {
        (void)snprintf(key, sizeof key, "key %u", i);
        cr_assert(eq(u64, OSDictionaryGetUInt64Value(dictionary, key), i % 2 ? i : 0));
    }
    OSObjectRelease(dictionary);
}

static bool
append_key(void *context, OSString *key, OSObjectPtr object)
{
    (void)object;
    return strlen(strcat(context, OSStringGetCStringNoCopy(key))) > 100;
}

Test(dictionary, keeps_the_order_of_insertion)
{
    char keys[128] = "";
    OSDictionary *const dictionary = OSDictionaryCreate(1);
    for (const char *key = "zyxwvutsrq"; *key; key++)
        cr_assert(OSDictionarySetObject(dictionary, (char[]){*key, '\0'}, kOSBooleanTrue));
    OSDictionaryRemoveObject(dictionary, "y");
    cr_assert(OSDictionarySetObject(dictionary, "x", kOSBooleanFalse));
    cr_assert(OSDictionarySetObject(dictionary, "a", kOSBooleanFalse));
    cr_assert(not(OSDictionaryIterateObjects(dictionary, append_key, keys)));
    cr_assert(eq(str, keys, text("zxwvutsrqa")));
    OSObjectRelease(dictionary);
}

/* A key set and removed for ever must not make the dictionary grow. */
Test(dictionary, removed_keys_give_their_place_back)
{
    OSDictionary *const dictionary = OSDictionaryCreate(0);
    cr_assert(OSDictionarySetUInt64Value(dictionary, "stays", 1));
    char key[16];
    for (unsigned i = 0; i < 100000; i++) {
        (void)snprintf(key, sizeof key, "%u", i);
        cr_assert(OSDictionarySetObject(dictionary, key, kOSBooleanTrue));
        OSDictionaryRemoveObject(dictionary, key);
        OSDictionaryRemoveObject(dictionary, key);
    }
    cr_assert(eq(sz, OSDictionaryGetCount(dictionary), 1));
    cr_assert(eq(u64, OSDictionaryGetUInt64Value(dictionary, "stays"), 1));
    OSObjectRelease(dictionary);
}

Test(dictionary, replaces_and_releases)
{
    OSDictionary *const dictionary = OSDictionaryCreate(0);
    OSString *const a = OSStringCreate("a");
    cr_assert(OSDictionarySetObject(dictionary, "k", a));
    cr_assert(eq(u32, OSObjectGetRetainCount(a), 2));
    cr_assert(OSDictionarySetStringValue(dictionary, "k", "b"));
    cr_assert(eq(u32, OSObjectGetRetainCount(a), 1));
    cr_assert(eq(str, text(OSDictionaryGetStringValue(dictionary, "k")), text("b")));
    cr_assert(eq(u64, OSDictionaryGetUInt64Value(dictionary, "k"), 0)); // no number
    cr_assert(eq(ptr, text(OSDictionaryGetStringValue(dictionary, "other")), NULL));
    cr_assert(not(OSDictionarySetObject(dictionary, NULL, a)));
    cr_assert(not(OSDictionarySetObject(dictionary, "n", NULL)));
    cr_assert(not(OSDictionarySetStringValue(dictionary, "n", NULL)));
    OSObjectRelease(dictionary);
    OSObjectRelease(a);
    cr_assert(eq(ptr, OSDictionaryCreate(SIZE_MAX), NULL));
}

Test(dictionary, merges_and_copies)
{
    OSDictionary *const a = OSDictionaryCreate(0);
    cr_assert(OSDictionarySetUInt64Value(a, "one", 1) && OSDictionarySetUInt64Value(a, "two", 2));
    OSDictionary *const b = OSDictionaryCreateWithDictionary(a);
    cr_assert(OSObjectIsEqualTo(a, b));
    cr_assert(OSDictionarySetUInt64Value(b, "two", 22) && OSDictionarySetUInt64Value(b, "three", 3));
    cr_assert(not(OSObjectIsEqualTo(a, b)));
    cr_assert(OSDictionaryMerge(a, b));
    cr_assert(OSDictionaryMerge(a, a));
    cr_assert(OSObjectIsEqualTo(a, b));
    cr_assert(eq(u64, OSDictionaryGetUInt64Value(a, "two"), 22));
    cr_assert(dictionary_takes(b, "holds", OSObjectRetain(a)));
    cr_assert(not(OSDictionaryMerge(a, b))); // would come to hold itself
    OSObjectRelease(b);
    OSObjectRelease(a);
}

Test(dictionary, equality_does_not_depend_on_order)
{
    OSDictionary *const a = OSDictionaryCreate(0);
    OSDictionary *const b = OSDictionaryCreate(0);
    cr_assert(OSDictionarySetUInt64Value(a, "x", 1) && OSDictionarySetUInt64Value(a, "y", 2));
    cr_assert(OSDictionarySetUInt64Value(b, "y", 2) && OSDictionarySetUInt64Value(b, "x", 1));
    cr_assert(OSObjectIsEqualTo(a, b));
    cr_assert(OSDictionarySetUInt64Value(b, "x", 3));
    cr_assert(not(OSObjectIsEqualTo(a, b)));
    OSDictionaryRemoveObject(b, "x");
    cr_assert(OSDictionarySetUInt64Value(b, "z", 1));
    cr_assert(not(OSObjectIsEqualTo(a, b)));
    OSObjectRelease(a);
    OSObjectRelease(b);
}

/* Serialisation: the bytes are written out here by hand, from the form described in core/serialization.c. */

struct form_case {
    char name[32];
    uint8_t length;
    bool whole;
    uint8_t bytes[32];
};

#define FORM(name, whole, literal) {name, sizeof literal - 1, whole, literal}

ParameterizedTestParameters(serialization, accepts_what_is_well_formed_only)
{
    static struct form_case cases[] = {
        FORM("false", true, "DXS\1\0"),
        FORM("true", true, "DXS\1\1"),
        FORM("number", true, "DXS\1\2\x08\xff\x01"),
        FORM("number of 64 bits", true, "DXS\1\2\x40\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        FORM("string", true, "DXS\1\3\3abc"),
        FORM("empty string", true, "DXS\1\3\0"),
        FORM("data", true, "DXS\1\4\2\0\0"),
        FORM("array", true, "DXS\1\5\2\0\1"),
        FORM("empty array", true, "DXS\1\5\0"),
        FORM("dictionary", true, "DXS\1\6\2\1a\0\1b\5\0"),
        FORM("nothing", false, ""),
        FORM("header only", false, "DXS\1"),
        FORM("other magic", false, "DXT\1\0"),
        FORM("other version", false, "DXS\2\0"),
        FORM("unknown tag", false, "DXS\1\7"),
        FORM("bytes behind", false, "DXS\1\0\0"),
        FORM("number without value", false, "DXS\1\2\x08"),
        FORM("number of 0 bits", false, "DXS\1\2\0\0"),
        FORM("number of 65 bits", false, "DXS\1\2\x41\0"),
        FORM("number over its bits", false, "DXS\1\2\x08\x80\x02"),
        FORM("65-bit count", false, "DXS\1\2\x40\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
        FORM("endless count", false, "DXS\1\2\x40\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\0"),
        FORM("longer count than needed", false, "DXS\1\2\x08\x81\0"),
        FORM("string over the end", false, "DXS\1\3\4abc"),
        FORM("string of 2^64-1 bytes", false, "DXS\1\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        FORM("string with NUL", false, "DXS\1\3\3a\0c"),
        FORM("data over the end", false, "DXS\1\4\1"),
        FORM("array over the end", false, "DXS\1\5\3\0\1"),
        FORM("array of very many", false, "DXS\1\5\xff\xff\xff\xff\x0f\0"),
        FORM("dictionary without value", false, "DXS\1\6\1\1a"),
        FORM("dictionary, key twice", false, "DXS\1\6\2\1a\0\1a\1"),
        FORM("dictionary over the end", false, "DXS\1\6\2\1a\0"),
    };
    return cr_make_param_array(struct form_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct form_case *c, serialization, accepts_what_is_well_formed_only)
{
    uint8_t *const bytes = malloc(c->length ? c->length : 1); // exact size: AddressSanitizer sees the first byte too far
    memcpy(bytes, c->bytes, c->length);
    OSObjectPtr object = OSSerializationCopyObject(bytes, c->length);
    cr_assert(eq(int, object != NULL, c->whole), "%s", c->name);
    if (object) {
        /* One encoding for each object: the same bytes again. */
        OSData *const again = OSSerializationCreateFromObject(object);
        cr_assert(eq(sz, OSDataGetLength(again), c->length), "%s", c->name);
        cr_assert(eq(int, memcmp(OSDataGetBytesNoCopy(again), bytes, c->length), 0), "%s", c->name);
        OSObjectRelease(again);
    }
    OSObjectRelease(object);
    free(bytes);
}

static OSArray *
nested_arrays(unsigned levels)
{
    OSArray *top = OSArrayCreate(0);
    for (unsigned i = 1; i < levels; i++) {
        OSArray *const next = OSArrayCreate(1);
        cr_assert(array_takes(next, top));
        top = next;
    }
    return top;
}

Test(serialization, nests_32_levels)
{
    OSArray *const deep = nested_arrays(32);
    OSData *const bytes = OSSerializationCreateFromObject(deep);
    cr_assert(ne(ptr, bytes, NULL));
    OSObjectPtr back = OSSerializationCopyObject(OSDataGetBytesNoCopy(bytes), OSDataGetLength(bytes));
    cr_assert(OSObjectIsEqualTo(deep, back));
    OSObjectRelease(back);
    OSObjectRelease(bytes);
    OSObjectRelease(deep);
}

Test(serialization, refuses_33_levels_both_ways)
{
    OSArray *const deep = nested_arrays(33);
    cr_assert(eq(ptr, OSSerializationCreateFromObject(deep), NULL));
    OSObjectRelease(deep);

    uint8_t bytes[4 + 33 * 2] = "DXS\1";
    for (unsigned i = 0; i < 33; i++) {
        bytes[4 + i * 2] = 5;
        bytes[5 + i * 2] = i < 32;
    }
    cr_assert(eq(ptr, OSSerializationCopyObject(bytes, sizeof bytes), NULL));
    cr_assert(ne(ptr, OSSerializationCopyObject("DXS\1\1", 5), NULL));
}

Test(serialization, refuses_other_classes)
{
    OSArray *const array = OSArrayCreate(0);
    cr_assert(eq(ptr, OSSerializationCreateFromObject(NULL), NULL));
    OSObjectRelease(array);
    cr_assert(eq(ptr, OSSerializationCopyObject(NULL, 0), NULL));
}

Test(serialization, carries_a_whole_property_list)
{
    OSDictionary *const list = OSDictionaryCreate(0);
    cr_assert(OSDictionarySetStringValue(list, "name", "Cable"));
    cr_assert(OSDictionarySetUInt64Value(list, "channels", 2));
    cr_assert(OSDictionarySetObject(list, "hidden", kOSBooleanFalse));
    cr_assert(dictionary_takes(list, "rates", array_of_digits("489")));
    cr_assert(dictionary_takes(list, "blob", OSDataCreate("\0\1\2", 3)));
    cr_assert(dictionary_takes(list, "more", OSDictionaryCreateWithDictionary(list)));
    OSData *const bytes = OSSerializationCreateFromObject(list);
    OSObjectPtr back = OSSerializationCopyObject(OSDataGetBytesNoCopy(bytes), OSDataGetLength(bytes));
    cr_assert(OSObjectIsEqualTo(list, back));
    for (size_t length = 0; length < OSDataGetLength(bytes); length++)
        cr_assert(eq(ptr, OSSerializationCopyObject(OSDataGetBytesNoCopy(bytes), length), NULL));
    OSObjectRelease(back);
    OSObjectRelease(bytes);
    OSObjectRelease(list);
}
