// SPDX-License-Identifier: MIT
// Bytes of a packet: what is accepted is a dictionary that stands for those bytes, and every getter answers.

#include "host/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* At most one getter finds its class; the number's two agree. */
static bool
look_at_value(void *context, OSString *key, OSObjectPtr object)
{
    const OSDictionary *const body = context;
    const char *const name = OSStringGetCStringNoCopy(key);
    double value = 0;
    const bool is_number = dx_wire_get_double(body, name, &value);
    const char *const string = dx_wire_get_string(body, name);
    OSData *const data = dx_wire_get_data(body, name);
    OSArray *const array = dx_wire_get_array(body, name);
    OSDictionary *const dictionary = dx_wire_get_dictionary(body, name);
    const unsigned found = is_number + (string != NULL) + (data != NULL) + (array != NULL) + (dictionary != NULL);
    if (found + (OSDynamicCast(OSBoolean, object) != NULL) != 1)
        abort();

    const uint64_t number = dx_wire_get_number(body, name, 1);
    if (is_number ? memcmp(&number, &value, sizeof value) != 0 : number != 1)
        abort();
    if (dx_wire_get_bool(body, name) != (object == kOSBooleanTrue))
        abort();
    if (string && strlen(string) != OSStringGetLength(object))
        abort();
    if (dictionary && OSDictionaryGetCount(dictionary))
        (void)OSDictionaryIterateObjects(dictionary, look_at_value, dictionary);
    return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *const copy = malloc(size ? size : 1); // exact size: one byte too far is seen
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    OSDictionary *const body = dx_wire_parse(copy, size);
    free(copy); // before the use of the body: nothing may point into it
    if (!body)
        return 0;

    (void)OSDictionaryIterateObjects(body, look_at_value, body);
    OSData *const bytes = dx_wire_serialize(body);
    if (!bytes || !dx_wire_fits(bytes, 0) || OSDataGetLength(bytes) != size - 8 ||
        memcmp(OSDataGetBytesNoCopy(bytes), data + 8, size - 8) != 0)
        abort();
    OSObjectRelease(bytes);
    OSObjectRelease(body);
    return 0;
}
