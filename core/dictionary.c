// SPDX-License-Identifier: MIT
// Dictionaries: values under string keys, in order of insertion.

#include "core/collections.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

/*
 * Entry i is keys[i] and collection.members[i]; a removed entry has neither and keeps its place until the
 * next rebuild.  `table` is open-addressed and holds 1 + the number of an entry, 0 where there is none; it
 * has at least twice as many places as there are entries, so a probe always ends.  Members, keys and table
 * are one block, so that a rebuild fails as a whole or not at all.
 *
 * Keys come from other processes as well: the hash is SipHash under a key of the process, so that nobody
 * can choose keys that collide.  The order of iteration does not depend on it.
 */
struct OSDictionary {
    struct dx_collection collection;
    OSString **keys;     // retained
    uint32_t *table;     // places
    uint32_t table_mask; // places - 1
    size_t live;         // entries that are not removed
};

#define ENTRIES_MAX ((size_t)1 << 26) // a block of them is 1 GiB with 32-bit pointers, 1.5 GiB with 64

const OSMetaClass dx_dictionary_class = {
    .name = "OSDictionary",
    .super = &dx_object_class,
    .instance_bytes = sizeof(struct OSDictionary),
    .free = dx_collection_free,
    .is_equal = dx_collection_is_equal,
};
const OSMetaClass *const gOSDictionaryMetaClass = &dx_dictionary_class;

static uint64_t
rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void
sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012) under the kernel's random bytes. */
static uint32_t
hash_bytes(const char *bytes, size_t length)
{
    uint64_t k[2] = {0, 0};
    const void *const random = (const void *)getauxval(AT_RANDOM); // 16 bytes
    if (random)
        memcpy(k, random, sizeof k);
    uint64_t v[4] = {k[0] ^ 0x736f6d6570736575u, k[1] ^ 0x646f72616e646f6du, k[0] ^ 0x6c7967656e657261u,
                     k[1] ^ 0x7465646279746573u};

    uint64_t word;
    size_t at = 0;
    for (; length - at >= sizeof word; at += sizeof word) {
        memcpy(&word, bytes + at, sizeof word);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)length << 56;
    for (unsigned i = 0; at + i < length; i++)
        word |= (uint64_t)(uint8_t)bytes[at + i] << (8 * i);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;

    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    const uint64_t h = v[0] ^ v[1] ^ v[2] ^ v[3];
    return (uint32_t)(h ^ h >> 32);
}

void
dx_dictionary_release_keys(OSDictionary *dictionary)
{
    for (size_t i = 0; i < dictionary->collection.used; i++)
        OSObjectRelease(dictionary->keys[i]);
}

/* The entry of a key, or SIZE_MAX. */
static size_t
find_entry(const OSDictionary *d, const char *key, size_t length)
{
    if (d->live == 0)
        return SIZE_MAX;
    for (uint32_t place = hash_bytes(key, length);; place++) {
        const uint32_t entry = d->table[place & d->table_mask];
        if (entry == 0)
            return SIZE_MAX;
        const OSString *const candidate = d->keys[entry - 1];
        if (candidate && OSStringGetLength(candidate) == length &&
            memcmp(OSStringGetCStringNoCopy(candidate), key, length) == 0)
            return entry - 1;
    }
}

static void
enter_into_table(OSDictionary *d, size_t entry)
{
    const OSString *const key = d->keys[entry];
    uint32_t place = hash_bytes(OSStringGetCStringNoCopy(key), OSStringGetLength(key));
    while (d->table[place & d->table_mask] != 0)
        place++;
    d->table[place & d->table_mask] = (uint32_t)entry + 1;
}

/* Moves the entries that live into a block with room for `capacity` of them; false without memory. */
static bool
rebuild(OSDictionary *d, size_t capacity)
{
    struct dx_collection *const c = &d->collection;
    if (capacity > ENTRIES_MAX)
        return false;
    size_t places = 8;
    while (places < capacity * 2)
        places *= 2;
    OSObjectPtr *const members =
        calloc(1, capacity * (sizeof *members + sizeof(OSString *)) + places * sizeof(uint32_t));
    if (!members)
        return false;
    OSString **const keys = (OSString **)(void *)(members + capacity);

    size_t n = 0;
    for (size_t i = 0; i < c->used; i++) {
        if (!d->keys[i])
            continue;
        members[n] = c->members[i];
        keys[n] = d->keys[i];
        n++;
    }
    free(c->members);
    c->members = members;
    c->used = n;
    c->capacity = capacity;
    d->keys = keys;
    d->table = (uint32_t *)(void *)(keys + capacity);
    d->table_mask = (uint32_t)places - 1;
    for (size_t i = 0; i < n; i++)
        enter_into_table(d, i);
    return true;
}

static bool
has_room(OSDictionary *d)
{
    /* After many removals the block keeps its size; otherwise it doubles. */
    return d->collection.used < d->collection.capacity || rebuild(d, d->live < 2 ? 4 : d->live * 2);
}

static void
add(OSDictionary *d, OSString *key, OSObjectPtr object)
{
    struct dx_collection *const c = &d->collection;
    d->keys[c->used] = OSObjectRetain(key);
    c->members[c->used] = OSObjectRetain(object);
    c->nested += dx_object_is_collection(object);
    enter_into_table(d, c->used);
    c->used++;
    d->live++;
}

static void
replace(OSDictionary *d, size_t entry, OSObjectPtr object)
{
    struct dx_collection *const c = &d->collection;
    OSObjectPtr const old = c->members[entry];
    c->nested += dx_object_is_collection(object);
    c->nested -= dx_object_is_collection(old);
    c->members[entry] = OSObjectRetain(object);
    OSObjectRelease(old);
}

OSDictionary *
OSDictionaryCreate(size_t capacity)
{
    OSDictionary *const d = dx_object_alloc(&dx_dictionary_class);
    if (d && capacity && !rebuild(d, capacity)) {
        OSObjectRelease(d);
        return NULL;
    }
    return d;
}

OSDictionary *
OSDictionaryCreateWithDictionary(const OSDictionary *dictionary)
{
    if (!dictionary)
        return NULL;
    OSDictionary *const copy = OSDictionaryCreate(dictionary->live);
    if (!copy)
        return NULL;
    for (size_t i = 0; i < dictionary->collection.used; i++) {
        if (dictionary->keys[i])
            add(copy, dictionary->keys[i], dictionary->collection.members[i]);
    }
    return copy;
}

bool
dx_dictionary_add(OSDictionary *dictionary, OSString *key, OSObjectPtr object)
{
    if (find_entry(dictionary, OSStringGetCStringNoCopy(key), OSStringGetLength(key)) != SIZE_MAX)
        return false;
    if (!has_room(dictionary))
        return false;
    add(dictionary, key, object);
    return true;
}

bool
OSDictionarySetObject(OSDictionary *dictionary, const char *key, OSObjectPtr object)
{
    if (!dictionary || !key || !dx_collection_may_hold(&dictionary->collection, object))
        return false;
    const size_t entry = find_entry(dictionary, key, strlen(key));
    if (entry != SIZE_MAX) {
        replace(dictionary, entry, object);
        return true;
    }
    OSString *const string = OSStringCreate(key);
    const bool done = string && has_room(dictionary);
    if (done)
        add(dictionary, string, object);
    OSObjectRelease(string);
    return done;
}

OSObjectPtr
OSDictionaryGetObject(const OSDictionary *dictionary, const char *key)
{
    if (!dictionary || !key)
        return NULL;
    const size_t entry = find_entry(dictionary, key, strlen(key));
    return entry == SIZE_MAX ? NULL : dictionary->collection.members[entry];
}

void
OSDictionaryRemoveObject(OSDictionary *dictionary, const char *key)
{
    if (!dictionary || !key)
        return;
    const size_t entry = find_entry(dictionary, key, strlen(key));
    if (entry == SIZE_MAX)
        return;
    struct dx_collection *const c = &dictionary->collection;
    OSString *const old_key = dictionary->keys[entry];
    OSObjectPtr const old = c->members[entry];
    c->nested -= dx_object_is_collection(old);
    dictionary->keys[entry] = NULL;
    c->members[entry] = NULL;
    dictionary->live--;
    OSObjectRelease(old);
    OSObjectRelease(old_key);
}

size_t
OSDictionaryGetCount(const OSDictionary *dictionary)
{
    return dictionary ? dictionary->live : 0;
}

bool
OSDictionaryMerge(OSDictionary *dictionary, const OSDictionary *other)
{
    if (!dictionary || !other)
        return false;
    if (dictionary == other)
        return true;
    for (size_t i = 0; i < other->collection.used; i++) {
        const OSString *const key = other->keys[i];
        if (key && !OSDictionarySetObject(dictionary, OSStringGetCStringNoCopy(key), other->collection.members[i]))
            return false;
    }
    return true;
}

bool
OSDictionaryIterateObjects(const OSDictionary *dictionary,
                           bool (*callback)(void *context, OSString *key, OSObjectPtr object), void *context)
{
    if (!dictionary || !callback)
        return false;
    /* The callback may remove the key it is given, so both are held for the call. */
    bool stopped = false;
    for (size_t i = 0; i < dictionary->collection.used && !stopped; i++) {
        if (!dictionary->keys[i])
            continue;
        OSString *const key = OSObjectRetain(dictionary->keys[i]);
        OSObjectPtr const object = OSObjectRetain(dictionary->collection.members[i]);
        stopped = callback(context, key, object);
        OSObjectRelease(object);
        OSObjectRelease(key);
    }
    return stopped;
}

bool
dx_dictionary_is_equal(const OSDictionary *dictionary, const OSDictionary *other, unsigned depth)
{
    if (dictionary->live != other->live)
        return false;
    for (size_t i = 0; i < dictionary->collection.used; i++) {
        const OSString *const key = dictionary->keys[i];
        if (!key)
            continue;
        const size_t entry = find_entry(other, OSStringGetCStringNoCopy(key), OSStringGetLength(key));
        if (entry == SIZE_MAX ||
            !dx_member_is_equal(dictionary->collection.members[i], other->collection.members[entry], depth))
            return false;
    }
    return true;
}

bool
OSDictionarySetUInt64Value(OSDictionary *dictionary, const char *key, uint64_t value)
{
    OSNumber *const number = OSNumberCreateWithUInt64Value(value);
    const bool done = OSDictionarySetObject(dictionary, key, number);
    OSObjectRelease(number);
    return done;
}

uint64_t
OSDictionaryGetUInt64Value(const OSDictionary *dictionary, const char *key)
{
    return OSNumberGetUInt64Value(OSDynamicCast(OSNumber, OSDictionaryGetObject(dictionary, key)));
}

bool
OSDictionarySetStringValue(OSDictionary *dictionary, const char *key, const char *value)
{
    OSString *const string = OSStringCreate(value);
    const bool done = OSDictionarySetObject(dictionary, key, string);
    OSObjectRelease(string);
    return done;
}

const char *
OSDictionaryGetStringValue(const OSDictionary *dictionary, const char *key)
{
    return OSStringGetCStringNoCopy(OSDynamicCast(OSString, OSDictionaryGetObject(dictionary, key)));
}
