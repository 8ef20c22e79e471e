// SPDX-License-Identifier: MIT
// Numbers, and the two booleans.

#include "core/collections.h"

struct OSNumber {
    struct OSObject object;
    uint64_t value; // within its bits
    unsigned bits;  // 1 ... 64
};

struct OSBoolean {
    struct OSObject object;
    bool value;
};

static bool
number_is_equal(OSObjectPtr object, OSObjectPtr other)
{
    if (!OSObjectIsKindOf(other, &dx_number_class))
        return false;
    return ((const OSNumber *)object)->value == ((const OSNumber *)other)->value;
}

const OSMetaClass dx_number_class = {
    .name = "OSNumber",
    .super = &dx_object_class,
    .instance_bytes = sizeof(struct OSNumber),
    .is_equal = number_is_equal,
};
const OSMetaClass *const gOSNumberMetaClass = &dx_number_class;

const OSMetaClass dx_boolean_class = {
    .name = "OSBoolean",
    .super = &dx_object_class,
    .instance_bytes = sizeof(struct OSBoolean),
};
const OSMetaClass *const gOSBooleanMetaClass = &dx_boolean_class;

/* Not const: a peer can be set on them. */
static OSBoolean boolean_true = {
    .object = {.isa = &dx_boolean_class, .references = DX_OBJECT_IMMORTAL},
    .value = true,
};
static OSBoolean boolean_false = {
    .object = {.isa = &dx_boolean_class, .references = DX_OBJECT_IMMORTAL},
    .value = false,
};
OSBoolean *const kOSBooleanTrue = &boolean_true;
OSBoolean *const kOSBooleanFalse = &boolean_false;

OSNumber *
OSNumberCreate(uint64_t value, size_t bits)
{
    if (bits < 1 || bits > 64)
        return NULL;
    OSNumber *const number = dx_object_alloc(&dx_number_class);
    if (!number)
        return NULL;
    number->value = value & (UINT64_MAX >> (64 - bits));
    number->bits = (unsigned)bits;
    return number;
}

OSNumber *
OSNumberCreateWithUInt64Value(uint64_t value)
{
    return OSNumberCreate(value, 64);
}

uint64_t
OSNumberGetUInt64Value(const OSNumber *number)
{
    return number ? number->value : 0;
}

uint32_t
OSNumberGetUInt32Value(const OSNumber *number)
{
    return (uint32_t)OSNumberGetUInt64Value(number);
}

uint16_t
OSNumberGetUInt16Value(const OSNumber *number)
{
    return (uint16_t)OSNumberGetUInt64Value(number);
}

uint8_t
OSNumberGetUInt8Value(const OSNumber *number)
{
    return (uint8_t)OSNumberGetUInt64Value(number);
}

size_t
OSNumberGetNumberOfBits(const OSNumber *number)
{
    return number ? number->bits : 0;
}

bool
OSBooleanGetValue(const OSBoolean *boolean)
{
    return boolean && boolean->value;
}
