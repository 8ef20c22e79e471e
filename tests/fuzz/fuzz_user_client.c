// SPDX-License-Identifier: MIT
// Bodies of user clients' messages: what is accepted is within its limits, and is the same when written and read
// again.  The first byte says how many descriptors came beside it.

#include "host/user_client_wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static OSDictionary *
create_body(void)
{
    OSDictionary *const body = OSDictionaryCreate(0);
    if (!body)
        abort();
    return body;
}

static void
expect_same(OSDictionary *one, OSDictionary *other)
{
    if (!OSObjectIsEqualTo(one, other))
        abort();
    OSObjectRelease(one);
    OSObjectRelease(other);
}

static void
check_values(const struct dx_user_client_values *values, uint32_t fd_count)
{
    if (values->scalar_count > 16 || values->structure_bytes > DX_USER_CLIENT_STRUCTURE_BYTES_MAX)
        abort();
    if (values->structure && (values->structure_bytes != OSDataGetLength(values->structure) ||
                              values->structure_bytes > DX_USER_CLIENT_INLINE_BYTES))
        abort();
    if (!values->structure && values->structure_bytes && values->memory >= fd_count)
        abort();
}

static void
try_values(const OSDictionary *body, uint32_t fd_count)
{
    struct dx_user_client_values values, again;
    if (dx_user_client_values_read(body, fd_count, &values, NULL) != kIOReturnSuccess)
        return;
    check_values(&values, fd_count);
    OSDictionary *const one = create_body(), *const other = create_body();
    if (!dx_user_client_values_write(&values, one) ||
        dx_user_client_values_read(one, fd_count, &again, NULL) != kIOReturnSuccess ||
        !dx_user_client_values_write(&again, other))
        abort();
    expect_same(one, other);
}

static void
try_call(const OSDictionary *body, uint32_t fd_count)
{
    struct dx_user_client_call call, again;
    dx_error error = {""};
    if (dx_user_client_call_read(body, fd_count, &call, &error) != kIOReturnSuccess) {
        if (!error.message[0])
            abort();
        return;
    }
    check_values(&call.in, fd_count);
    if (call.scalar_room > 16 || call.structure_room > DX_USER_CLIENT_STRUCTURE_BYTES_MAX)
        abort();
    OSDictionary *const one = create_body(), *const other = create_body();
    if (!dx_user_client_call_write(&call, one) ||
        dx_user_client_call_read(one, fd_count, &again, NULL) != kIOReturnSuccess ||
        !dx_user_client_call_write(&again, other))
        abort();
    expect_same(one, other);
}

static void
try_completion(const OSDictionary *body)
{
    struct dx_user_client_completion completion, again;
    if (dx_user_client_completion_read(body, &completion, NULL) != kIOReturnSuccess)
        return;
    if (completion.argument_count > 16 || (completion.is_given_up && !completion.call))
        abort();
    OSDictionary *const one = create_body(), *const other = create_body();
    if (!dx_user_client_completion_write(&completion, one) ||
        dx_user_client_completion_read(one, &again, NULL) != kIOReturnSuccess ||
        !dx_user_client_completion_write(&again, other))
        abort();
    expect_same(one, other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const uint32_t fd_count = data[0] % (DX_WIRE_MAX_FDS + 1);
    OSObjectPtr const object = OSSerializationCopyObject(data + 1, size - 1);
    const OSDictionary *const body = OSDynamicCast(OSDictionary, object);
    if (body) {
        try_values(body, fd_count);
        try_call(body, fd_count);
        try_completion(body);
    }
    OSObjectRelease(object);
    return 0;
}
