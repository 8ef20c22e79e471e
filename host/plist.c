// SPDX-License-Identifier: MIT
// Property lists through libplist.

#include "host/plist.h"

#include "host/error.h"
#include "host/plist_check.h"

#include <plist/plist.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the conversion is, for its messages. */
struct conversion {
    const char *name; // of the file
    uint32_t nodes;
    dx_error *error;
    size_t path_length;
    char path[256]; // "IOKitPersonalities/Cable/idVendor"
};

static kern_return_t convert(struct conversion *conversion, plist_t node, uint32_t depth, OSObjectPtr *ret_object);

static size_t
enter(struct conversion *conversion, const char *key)
{
    const size_t before = conversion->path_length;
    const size_t room = sizeof conversion->path - before;
    const int length = snprintf(conversion->path + before, room, "%s%s", before > 0 ? "/" : "", key);
    if (length > 0)
        conversion->path_length = (size_t)length < room ? before + (size_t)length : sizeof conversion->path - 1;
    return before;
}

static void
leave(struct conversion *conversion, size_t before)
{
    conversion->path_length = before;
    conversion->path[before] = '\0';
}

static kern_return_t
no_memory(struct conversion *conversion)
{
    return dx_error_set(conversion->error, kIOReturnNoMemory, "no memory to read %s", conversion->name);
}

static kern_return_t
convert_dictionary(struct conversion *conversion, plist_t node, uint32_t depth, OSObjectPtr *ret_object)
{
    OSDictionary *const dictionary = OSDictionaryCreate(plist_dict_get_size(node));
    plist_dict_iter iterator = NULL;
    plist_dict_new_iter(node, &iterator);
    kern_return_t status = dictionary && iterator ? kIOReturnSuccess : no_memory(conversion);
    while (status == kIOReturnSuccess) {
        char *key = NULL;
        plist_t value = NULL;
        plist_dict_next_item(node, iterator, &key, &value);
        if (!key || !value) {
            free(key);
            break;
        }
        const size_t before = enter(conversion, key);
        OSObjectPtr object = NULL;
        status = convert(conversion, value, depth + 1, &object);
        if (status == kIOReturnSuccess && !OSDictionarySetObject(dictionary, key, object))
            status = no_memory(conversion);
        OSObjectRelease(object);
        leave(conversion, before);
        free(key);
    }
    free(iterator);
    if (status == kIOReturnSuccess)
        *ret_object = dictionary;
    else
        OSObjectRelease(dictionary);
    return status;
}

static kern_return_t
convert_array(struct conversion *conversion, plist_t node, uint32_t depth, OSObjectPtr *ret_object)
{
    const uint32_t count = plist_array_get_size(node);
    OSArray *const array = OSArrayCreate(count);
    kern_return_t status = array ? kIOReturnSuccess : no_memory(conversion);
    for (uint32_t i = 0; i < count && status == kIOReturnSuccess; i++) {
        char index[16];
        (void)snprintf(index, sizeof index, "%u", i);
        const size_t before = enter(conversion, index);
        OSObjectPtr object = NULL;
        status = convert(conversion, plist_array_get_item(node, i), depth + 1, &object);
        if (status == kIOReturnSuccess && !OSArraySetObject(array, object))
            status = no_memory(conversion);
        OSObjectRelease(object);
        leave(conversion, before);
    }
    if (status == kIOReturnSuccess)
        *ret_object = array;
    else
        OSObjectRelease(array);
    return status;
}

static kern_return_t
no_counterpart(struct conversion *conversion, const char *what)
{
    return dx_error_set(
        conversion->error, kIOReturnBadArgument,
        "%s: %s is %s, which a driver's properties cannot hold: write an integer or a string", conversion->name,
        conversion->path, what);
}

static kern_return_t
keep(struct conversion *conversion, OSObjectPtr object, OSObjectPtr *ret_object)
{
    if (!object)
        return no_memory(conversion);
    *ret_object = object;
    return kIOReturnSuccess;
}

static kern_return_t
convert(struct conversion *conversion, plist_t node, uint32_t depth, OSObjectPtr *ret_object)
{
    if (depth > DX_PLIST_MAX_DEPTH)
        return dx_error_set(conversion->error, kIOReturnBadArgument, "%s is nested deeper than %u levels",
                            conversion->name, DX_PLIST_MAX_DEPTH);
    if (++conversion->nodes > DX_PLIST_MAX_NODES)
        return dx_error_set(conversion->error, kIOReturnBadArgument, "%s has more than %u values",
                            conversion->name, DX_PLIST_MAX_NODES);

    switch (plist_get_node_type(node)) {
    case PLIST_DICT:
        return convert_dictionary(conversion, node, depth, ret_object);
    case PLIST_ARRAY:
        return convert_array(conversion, node, depth, ret_object);
    case PLIST_STRING: {
        // its length is not to be trusted after entities were replaced (libplist up to 2.7): up to the NUL
        const char *const text = plist_get_string_ptr(node, NULL);
        return keep(conversion, OSStringCreate(text ? text : ""), ret_object);
    }
    case PLIST_BOOLEAN: {
        uint8_t value = 0;
        plist_get_bool_val(node, &value);
        return keep(conversion, OSObjectRetain(value ? kOSBooleanTrue : kOSBooleanFalse), ret_object);
    }
    case PLIST_UINT: {
        uint64_t value = 0;
        plist_get_uint_val(node, &value);
        return keep(conversion, OSNumberCreate(value, 64), ret_object);
    }
    case PLIST_DATA: {
        uint64_t length = 0;
        const char *const bytes = plist_get_data_ptr(node, &length);
        return keep(conversion, OSDataCreate(bytes, bytes ? (size_t)length : 0), ret_object);
    }
    case PLIST_REAL:
        return no_counterpart(conversion, "a real number");
    case PLIST_DATE:
        return no_counterpart(conversion, "a date");
    case PLIST_UID:
        return no_counterpart(conversion, "a UID");
    case PLIST_KEY:
    case PLIST_NONE:
        break;
    }
    return no_counterpart(conversion, "of an unknown type");
}

kern_return_t
dx_plist_parse(const void *bytes, size_t length, const char *name, OSDictionary **ret_dictionary, dx_error *error)
{
    if (length == 0)
        return dx_error_set(error, kIOReturnBadArgument, "%s is empty", name);
    if (length > DX_PLIST_MAX_BYTES)
        return dx_error_set(error, kIOReturnBadArgument, "%s is larger than %u bytes", name,
                            DX_PLIST_MAX_BYTES);

    plist_t root = NULL;
    if (length >= 8 && memcmp(bytes, "bplist00", 8) == 0) {
        const kern_return_t status = dx_plist_check_binary(bytes, length, name, error);
        if (status != kIOReturnSuccess)
            return status;
        plist_from_bin(bytes, (uint32_t)length, &root);
    } else {
        const kern_return_t status = dx_plist_check_xml(bytes, length, name, error);
        if (status != kIOReturnSuccess)
            return status;
        plist_from_xml(bytes, (uint32_t)length, &root);
    }
    if (!root)
        return dx_error_set(error, kIOReturnBadArgument,
                            "%s is not a well-formed property list, neither XML nor binary: 'plistutil -i %s' or "
                            "'xmllint --noout %s' shows where it breaks",
                            name, name, name);

    kern_return_t status;
    if (plist_get_node_type(root) != PLIST_DICT) {
        status = dx_error_set(error, kIOReturnBadArgument, "%s: its root is not a dictionary", name);
    } else {
        struct conversion conversion = {.name = name, .error = error};
        OSObjectPtr object = NULL;
        status = convert(&conversion, root, 0, &object);
        if (status == kIOReturnSuccess)
            *ret_dictionary = object;
    }
    plist_free(root);
    return status;
}
