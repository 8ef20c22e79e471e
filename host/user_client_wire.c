// SPDX-License-Identifier: MIT
// Calls of user clients as messages.

#include "host/user_client_wire.h"

#include "core/pages.h"
#include "host/error.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

_Static_assert((uint32_t)kIOUserClientAsyncArgumentsCountMax == (uint32_t)kIOUserClientScalarArrayCountMax,
               "numbers of a completion are read as those of a call");

static bool
write_numbers(OSDictionary *body, const char *key, const uint64_t *numbers, uint32_t count)
{
    uint8_t bytes[kIOUserClientScalarArrayCountMax * sizeof(uint64_t)];
    for (uint32_t i = 0; i < count; i++)
        for (unsigned b = 0; b < 8; b++)
            bytes[8 * i + b] = (uint8_t)(numbers[i] >> (8 * b));
    return count == 0 || dx_wire_take(body, key, OSDataCreate(bytes, count * sizeof(uint64_t)));
}

static kern_return_t
read_numbers(const OSDictionary *body, const char *key, uint64_t *ret_numbers, uint32_t *ret_count,
             dx_error *error)
{
    *ret_count = 0;
    if (!OSDictionaryGetObject(body, key))
        return kIOReturnSuccess;
    const OSData *const data = dx_wire_get_data(body, key);
    const size_t length = OSDataGetLength(data);
    if (!data || length % sizeof(uint64_t) || length > kIOUserClientScalarArrayCountMax * sizeof(uint64_t))
        return dx_error_set(error, kIOReturnBadArgument, "`%s` is not data of up to %d whole numbers", key,
                            kIOUserClientScalarArrayCountMax);
    const uint8_t *const bytes = OSDataGetBytesNoCopy(data);
    *ret_count = (uint32_t)(length / sizeof(uint64_t));
    for (uint32_t i = 0; i < *ret_count; i++) {
        ret_numbers[i] = 0;
        for (unsigned b = 0; b < 8; b++)
            ret_numbers[i] |= (uint64_t)bytes[8 * i + b] << (8 * b);
    }
    return kIOReturnSuccess;
}

/* A number that may be left out: 0 then. */
static kern_return_t
read_number(const OSDictionary *body, const char *key, uint64_t most, uint64_t *ret_number, dx_error *error)
{
    const OSObjectPtr object = OSDictionaryGetObject(body, key);
    const OSNumber *const number = OSDynamicCast(OSNumber, object);
    *ret_number = OSNumberGetUInt64Value(number);
    if ((object && !number) || *ret_number > most)
        return dx_error_set(error, kIOReturnBadArgument, "`%s` is not a number of 0 ... %llu", key,
                            (unsigned long long)most);
    return kIOReturnSuccess;
}

static kern_return_t
read_number32(const OSDictionary *body, const char *key, uint32_t most, uint32_t *ret_number, dx_error *error)
{
    uint64_t number;
    const kern_return_t status = read_number(body, key, most, &number, error);
    *ret_number = (uint32_t)number;
    return status;
}

bool
dx_user_client_values_write(const struct dx_user_client_values *values, OSDictionary *body)
{
    if (!write_numbers(body, "scalars", values->scalars, values->scalar_count))
        return false;
    if (values->structure)
        return OSDictionarySetObject(body, "structure", values->structure);
    return values->structure_bytes == 0 ||
           (OSDictionarySetUInt64Value(body, "structure-memory", values->memory) &&
            OSDictionarySetUInt64Value(body, "structure-bytes", values->structure_bytes));
}

static kern_return_t
read_structure(const OSDictionary *body, uint32_t fd_count, struct dx_user_client_values *values, dx_error *error)
{
    values->structure = dx_wire_get_data(body, "structure");
    const bool is_in_memory = OSDictionaryGetObject(body, "structure-memory");
    const size_t inline_bytes = OSDataGetLength(values->structure);
    if (!is_in_memory) {
        if ((OSDictionaryGetObject(body, "structure") && !values->structure) ||
            inline_bytes > DX_USER_CLIENT_INLINE_BYTES)
            return dx_error_set(error, kIOReturnBadArgument, "`structure` is not data of up to %u bytes",
                                DX_USER_CLIENT_INLINE_BYTES);
        values->structure_bytes = (uint32_t)inline_bytes;
        return kIOReturnSuccess;
    }
    if (OSDictionaryGetObject(body, "structure"))
        return dx_error_set(error, kIOReturnBadArgument,
                            "a structure is in the message, or in memory, but not in both");
    kern_return_t status = read_number32(body, "structure-bytes", DX_USER_CLIENT_STRUCTURE_BYTES_MAX,
                                         &values->structure_bytes, error);
    if (status == kIOReturnSuccess)
        status = read_number32(body, "structure-memory", DX_WIRE_MAX_FDS, &values->memory, error);
    if (status != kIOReturnSuccess)
        return status;
    if (values->structure_bytes == 0)
        return dx_error_set(error, kIOReturnBadArgument, "`structure-bytes` is missing");
    return values->memory < fd_count
               ? kIOReturnSuccess
               : dx_error_set(error, kIOReturnBadArgument, "`structure-memory` is descriptor %u of %u",
                              values->memory, fd_count);
}

kern_return_t
dx_user_client_values_read(const OSDictionary *body, uint32_t fd_count, struct dx_user_client_values *ret_values,
                           dx_error *error)
{
    *ret_values = (struct dx_user_client_values){0};
    const kern_return_t status =
        read_numbers(body, "scalars", ret_values->scalars, &ret_values->scalar_count, error);
    return status == kIOReturnSuccess ? read_structure(body, fd_count, ret_values, error) : status;
}

/* Leaves out what is 0. */
static bool
write_number(OSDictionary *body, const char *key, uint64_t number)
{
    return number == 0 || OSDictionarySetUInt64Value(body, key, number);
}

bool
dx_user_client_call_write(const struct dx_user_client_call *call, OSDictionary *body)
{
    return OSDictionarySetUInt64Value(body, "connection", call->connection) &&
           OSDictionarySetUInt64Value(body, "selector", call->selector) &&
           write_number(body, "call", call->call) && write_number(body, "scalar-room", call->scalar_room) &&
           write_number(body, "structure-room", call->structure_room) &&
           dx_user_client_values_write(&call->in, body);
}

kern_return_t
dx_user_client_call_read(const OSDictionary *body, uint32_t fd_count, struct dx_user_client_call *ret_call,
                         dx_error *error)
{
    *ret_call = (struct dx_user_client_call){0};
    kern_return_t status = read_number(body, "connection", UINT64_MAX, &ret_call->connection, error);
    if (status == kIOReturnSuccess)
        status = read_number(body, "selector", UINT64_MAX, &ret_call->selector, error);
    if (status == kIOReturnSuccess)
        status = read_number(body, "call", UINT64_MAX, &ret_call->call, error);
    if (status == kIOReturnSuccess)
        status =
            read_number32(body, "scalar-room", kIOUserClientScalarArrayCountMax, &ret_call->scalar_room, error);
    if (status == kIOReturnSuccess)
        status = read_number32(body, "structure-room", DX_USER_CLIENT_STRUCTURE_BYTES_MAX,
                               &ret_call->structure_room, error);
    return status == kIOReturnSuccess ? dx_user_client_values_read(body, fd_count, &ret_call->in, error) : status;
}

bool
dx_user_client_completion_write(const struct dx_user_client_completion *completion, OSDictionary *body)
{
    return OSDictionarySetUInt64Value(body, "connection", completion->connection) &&
           write_number(body, "call", completion->call) &&
           (completion->call == 0 || completion->is_given_up ||
            (OSDictionarySetUInt64Value(body, "status", (uint32_t)completion->status) &&
             write_numbers(body, "arguments", completion->arguments, completion->argument_count)));
}

kern_return_t
dx_user_client_completion_read(const OSDictionary *body, struct dx_user_client_completion *ret_completion,
                               dx_error *error)
{
    *ret_completion = (struct dx_user_client_completion){0};
    uint32_t completion_status;
    kern_return_t status = read_number(body, "connection", UINT64_MAX, &ret_completion->connection, error);
    if (status == kIOReturnSuccess)
        status = read_number(body, "call", UINT64_MAX, &ret_completion->call, error);
    if (status == kIOReturnSuccess)
        status = read_number32(body, "status", UINT32_MAX, &completion_status, error);
    if (status != kIOReturnSuccess)
        return status;
    ret_completion->status = (kern_return_t)completion_status;
    ret_completion->is_given_up = ret_completion->call && !OSDictionaryGetObject(body, "status");
    return read_numbers(body, "arguments", ret_completion->arguments, &ret_completion->argument_count, error);
}

int
dx_user_client_memory_create(const void *bytes, size_t length)
{
    const int fd = dx_pages_open("dextral-structure", length);
    size_t done = 0;
    while (fd >= 0 && done < length) {
        const ssize_t written = pwrite(fd, (const char *)bytes + done, length - done, (off_t)done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            close(fd);
            return -ENOMEM; // a memfd has no other reason
        }
        done += (size_t)written;
    }
    return fd;
}

int
dx_user_client_memory_copy(int fd, void *bytes, size_t length)
{
    uint64_t held;
    const int checked = dx_pages_check(fd, &held);
    if (checked < 0 || held < length)
        return checked < 0 ? checked : -EINVAL;
    size_t done = 0;
    while (done < length) {
        const ssize_t got = pread(fd, (char *)bytes + done, length - done, (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -EIO;
        done += (size_t)got;
    }
    return 0;
}
