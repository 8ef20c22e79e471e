// SPDX-License-Identifier: MIT
// Looks through a property list before libplist does.

#include "host/plist_check.h"

#include "host/error.h"
#include "host/plist.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/*
 * libplist 2.2 frees nested nodes, and reads nested binary ones, by recursion without a limit; and it copies an
 * object of a binary list each time one refers to it, so that 40 arrays of two references each would be 2^40
 * nodes.  Both are bounded here, on the bytes, where the bound cannot be talked round: each container of an XML
 * list needs a tag of its own, and a binary list is walked the way libplist would expand it.
 */

/* XML. */

struct xml_key {
    uint32_t container; // which <dict>, numbered from 1 in order of appearance
    uint32_t length;
    const char *text;
};

struct xml_scan {
    const char *position;
    const char *end;
    struct xml_key *keys;
    size_t key_count;
    uint32_t containers;                    // opened so far
    uint32_t depth;                         // open now
    uint32_t open[DX_PLIST_MAX_CONTAINERS]; // their numbers
};

static bool
starts_with(const struct xml_scan *scan, const char *prefix)
{
    const size_t length = strlen(prefix);
    return (size_t)(scan->end - scan->position) >= length && memcmp(scan->position, prefix, length) == 0;
}

static void
skip_past(struct xml_scan *scan, const char *terminator)
{
    const char *const found =
        memmem(scan->position, (size_t)(scan->end - scan->position), terminator, strlen(terminator));
    scan->position = found ? found + strlen(terminator) : scan->end;
}

static int
compare_keys(const void *a, const void *b)
{
    const struct xml_key *const left = a;
    const struct xml_key *const right = b;
    if (left->container != right->container)
        return left->container < right->container ? -1 : 1;
    if (left->length != right->length)
        return left->length < right->length ? -1 : 1;
    return memcmp(left->text, right->text, left->length);
}

static void
note_key(struct xml_scan *scan)
{
    const char *const text = scan->position + strlen("<key>");
    const char *const close = memchr(text, '<', (size_t)(scan->end - text));
    scan->position = close ? close : scan->end;
    if (close && scan->depth > 0 && scan->key_count < DX_PLIST_MAX_NODES) {
        scan->keys[scan->key_count++] = (struct xml_key){
            .container = scan->open[scan->depth - 1],
            .length = (uint32_t)(close - text),
            .text = text,
        };
    }
}

/* Steps over one tag; keeps count of what is open. */
static void
scan_tag(struct xml_scan *scan)
{
    if (starts_with(scan, "<!--")) {
        skip_past(scan, "-->");
    } else if (starts_with(scan, "<![CDATA[")) {
        skip_past(scan, "]]>");
    } else if (starts_with(scan, "<key>")) {
        note_key(scan);
    } else if (starts_with(scan, "</dict") || starts_with(scan, "</array")) {
        if (scan->depth > 0)
            scan->depth--;
        skip_past(scan, ">");
    } else if (starts_with(scan, "<dict") || starts_with(scan, "<array")) {
        skip_past(scan, ">");
        scan->containers++;
        const bool is_empty = scan->position[-1] == '>' && scan->position[-2] == '/';
        if (!is_empty && scan->containers <= DX_PLIST_MAX_CONTAINERS)
            scan->open[scan->depth++] = scan->containers;
    } else {
        scan->position++;
    }
}

static kern_return_t
check_containers(const char *text, size_t length, const char *name, dx_error *error)
{
    size_t count = 0;
    const char *const end = text + length;
    for (const char *tag = memchr(text, '<', length); tag; tag = memchr(tag, '<', (size_t)(end - tag))) {
        tag++;
        const size_t left = (size_t)(end - tag);
        count += (left >= 4 && memcmp(tag, "dict", 4) == 0) || (left >= 5 && memcmp(tag, "array", 5) == 0);
    }
    if (count > DX_PLIST_MAX_CONTAINERS)
        return dx_error_set(error, kIOReturnBadArgument,
                            "%s has %zu dictionaries and arrays; at most %u are read", name, count,
                            DX_PLIST_MAX_CONTAINERS);
    return kIOReturnSuccess;
}

/* libplist asserts that no key contains a NUL byte, and an assertion ends the process. */
static bool
has_nul(const char *text, size_t length)
{
    if (memchr(text, '\0', length))
        return true;
    const char *const end = text + length;
    const char *reference = text;
    while ((reference = memmem(reference, (size_t)(end - reference), "&#", 2))) {
        reference += 2;
        while (reference < end && (*reference == 'x' || *reference == 'X' || *reference == '0'))
            reference++;
        if (reference == end || !isxdigit((unsigned char)*reference))
            return true;
    }
    return false;
}

kern_return_t
dx_plist_check_xml(const char *text, size_t length, const char *name, dx_error *error)
{
    if (has_nul(text, length))
        return dx_error_set(error, kIOReturnBadArgument, "%s is no XML text: it contains NUL characters", name);
    if (!memmem(text, length, "</plist>", strlen("</plist>")))
        return dx_error_set(error, kIOReturnBadArgument,
                            "%s is no property list, or is cut short: it does not end with </plist>", name);
    const kern_return_t result = check_containers(text, length, name, error);
    if (result != kIOReturnSuccess)
        return result;

    struct xml_scan *const scan = calloc(1, sizeof *scan);
    struct xml_key *const keys = calloc(DX_PLIST_MAX_NODES, sizeof *keys);
    if (!scan || !keys) {
        free(scan);
        free(keys);
        return dx_error_set(error, kIOReturnNoMemory, "no memory to read %s", name);
    }
    *scan = (struct xml_scan){.position = text, .end = text + length, .keys = keys};
    while (scan->position < scan->end) {
        scan->position = memchr(scan->position, '<', (size_t)(scan->end - scan->position));
        if (!scan->position)
            break;
        scan_tag(scan);
    }

    qsort(keys, scan->key_count, sizeof *keys, compare_keys);
    kern_return_t status = kIOReturnSuccess;
    for (size_t i = 1; i < scan->key_count && status == kIOReturnSuccess; i++) {
        if (compare_keys(&keys[i - 1], &keys[i]) == 0)
            status = dx_error_set(error, kIOReturnBadArgument,
                                  "%s contradicts itself: the key \"%.*s\" stands twice in one dictionary", name,
                                  (int)(keys[i].length > 200 ? 200 : keys[i].length), keys[i].text);
    }
    free(scan);
    free(keys);
    return status;
}

/* Binary: "bplist00", objects, a table of their offsets, a trailer of 32 bytes. */

#define HEADER_BYTES 8u
#define TRAILER_BYTES 32u
#define MAX_EXPANDED_BYTES (4u * DX_PLIST_MAX_BYTES)

struct binary_walk {
    const uint8_t *bytes;
    size_t length; // without the trailer
    uint8_t offset_bytes;
    uint8_t reference_bytes;
    uint64_t object_count;
    uint64_t table;          // offset of the offset table
    uint32_t nodes;          // visited so far
    uint64_t expanded_bytes; // of strings and data, each time one is referred to
    const char *name;        // of the file
    dx_error *error;
};

struct span {
    size_t offset;
    size_t length;
};

static kern_return_t
malformed(const char *name, dx_error *error)
{
    return dx_error_set(error, kIOReturnBadArgument, "%s is a damaged binary property list: write it anew as XML",
                        name);
}

static uint64_t
read_big_endian(const uint8_t *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* Where object `index` stands: its marker, with the count that follows it; false when it is not all there. */
static bool
find_object(const struct binary_walk *walk, uint64_t index, uint8_t *ret_kind, uint64_t *ret_count,
            size_t *ret_body)
{
    if (index >= walk->object_count)
        return false;
    const uint64_t offset =
        read_big_endian(walk->bytes + walk->table + index * walk->offset_bytes, walk->offset_bytes);
    if (offset < HEADER_BYTES || offset >= walk->table)
        return false;

    const uint8_t marker = walk->bytes[offset];
    uint64_t count = marker & 0x0Fu;
    size_t body = (size_t)offset + 1;
    *ret_kind = marker >> 4;
    if (*ret_kind >= 4 && count == 0x0F) { // an integer object follows
        if (body >= walk->table || walk->bytes[body] >> 4 != 1)
            return false;
        const size_t bytes = (size_t)1 << (walk->bytes[body] & 0x0Fu);
        if (bytes > 8 || walk->table - body - 1 < bytes)
            return false;
        count = read_big_endian(walk->bytes + body + 1, bytes);
        body += 1 + bytes;
    }
    *ret_count = count;
    *ret_body = body;
    return true;
}

static uint64_t
read_reference(const struct binary_walk *walk, size_t body, uint64_t index)
{
    return read_big_endian(walk->bytes + body + index * walk->reference_bytes, walk->reference_bytes);
}

/* libplist asserts that no key contains a NUL character. */
static bool
key_has_nul(const uint8_t *text, size_t length, size_t unit_bytes)
{
    for (size_t i = 0; i < length; i += unit_bytes) {
        if (read_big_endian(text + i, unit_bytes) == 0)
            return true;
    }
    return false;
}

/* Whether two keys of the dictionary at `body` are the same string. */
static kern_return_t
check_binary_keys(const struct binary_walk *walk, size_t body, uint64_t count)
{
    struct span *const keys = calloc(count ? count : 1, sizeof *keys);
    if (!keys)
        return dx_error_set(walk->error, kIOReturnNoMemory, "no memory to read %s", walk->name);

    kern_return_t status = kIOReturnSuccess;
    for (uint64_t i = 0; i < count && status == kIOReturnSuccess; i++) {
        uint8_t kind = 0;
        uint64_t length = 0;
        size_t text = 0;
        const bool is_key =
            find_object(walk, read_reference(walk, body, i), &kind, &length, &text) && (kind == 5 || kind == 6);
        const size_t unit_bytes = kind == 6 ? 2 : 1;
        if (!is_key || (walk->table - text) / unit_bytes < length ||
            key_has_nul(walk->bytes + text, (size_t)length * unit_bytes, unit_bytes)) {
            status = malformed(walk->name, walk->error);
            break;
        }
        keys[i] = (struct span){text, (size_t)length * unit_bytes};
        for (uint64_t other = 0; other < i && status == kIOReturnSuccess; other++) {
            if (keys[other].length == keys[i].length &&
                memcmp(walk->bytes + keys[other].offset, walk->bytes + text, keys[i].length) == 0)
                status =
                    dx_error_set(walk->error, kIOReturnBadArgument,
                                 "%s contradicts itself: the key \"%.*s\" stands twice in one dictionary",
                                 walk->name, (int)(kind == 6 || keys[i].length > 200 ? 0 : keys[i].length),
                                 (const char *)walk->bytes + text);
        }
    }
    free(keys);
    return status;
}

static kern_return_t
walk_object(struct binary_walk *walk, uint64_t index, uint32_t depth)
{
    if (depth > DX_PLIST_MAX_DEPTH)
        return dx_error_set(walk->error, kIOReturnBadArgument, "%s is nested deeper than %u levels", walk->name,
                            DX_PLIST_MAX_DEPTH);
    if (++walk->nodes > DX_PLIST_MAX_NODES)
        return dx_error_set(walk->error, kIOReturnBadArgument, "%s has more than %u values", walk->name,
                            DX_PLIST_MAX_NODES);

    uint8_t kind = 0;
    uint64_t count = 0;
    size_t body = 0;
    if (!find_object(walk, index, &kind, &count, &body))
        return malformed(walk->name, walk->error);
    if (kind >= 4 && count > walk->length)
        return malformed(walk->name, walk->error);

    if (kind == 4 || kind == 5 || kind == 6) {
        walk->expanded_bytes += count * (kind == 6 ? 4 : 1);
        return walk->expanded_bytes > MAX_EXPANDED_BYTES ? malformed(walk->name, walk->error) : kIOReturnSuccess;
    }
    if (kind != 0xA && kind != 0xC && kind != 0xD)
        return kIOReturnSuccess;

    const uint64_t references = kind == 0xD ? 2 * count : count;
    if (count > DX_PLIST_MAX_NODES || (walk->table - body) / walk->reference_bytes < references)
        return malformed(walk->name, walk->error);
    kern_return_t status = kind == 0xD ? check_binary_keys(walk, body, count) : kIOReturnSuccess;
    for (uint64_t i = 0; i < references && status == kIOReturnSuccess; i++)
        status = walk_object(walk, read_reference(walk, body, i), depth + 1);
    return status;
}

kern_return_t
dx_plist_check_binary(const uint8_t *bytes, size_t length, const char *name, dx_error *error)
{
    if (length < HEADER_BYTES + TRAILER_BYTES)
        return malformed(name, error);

    const uint8_t *const trailer = bytes + length - TRAILER_BYTES;
    struct binary_walk walk = {
        .bytes = bytes,
        .length = length - TRAILER_BYTES,
        .offset_bytes = trailer[6],
        .reference_bytes = trailer[7],
        .object_count = read_big_endian(trailer + 8, 8),
        .table = read_big_endian(trailer + 24, 8),
        .name = name,
        .error = error,
    };
    const uint64_t root = read_big_endian(trailer + 16, 8);
    if (walk.offset_bytes < 1 || walk.offset_bytes > 8 || walk.reference_bytes < 1 || walk.reference_bytes > 8 ||
        walk.table < HEADER_BYTES || walk.table > walk.length ||
        walk.object_count > (walk.length - walk.table) / walk.offset_bytes)
        return malformed(name, error);
    return walk_object(&walk, root, 0);
}
