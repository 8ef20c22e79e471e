// SPDX-License-Identifier: MIT
// Calls of user clients as messages: written and read by a program and by a driver process.

#ifndef DX_HOST_USER_CLIENT_WIRE_H
#define DX_HOST_USER_CLIENT_WIRE_H

#include "host/wire.h"

#include <dextral/IOUserClient.h>
#include <dextral/bundle.h>

/*
 * Numbers are one data of 64-bit words, little-endian.  A structure of up to DX_USER_CLIENT_INLINE_BYTES is in
 * the message, a longer one in a memfd beside it, from which it is copied: who sent it may change it at any time.
 *
 *     user-client-call  connection, selector, scalars, scalar-room, structure-room, call (of an asynchronous one:
 *                       a number of the program's own, not 0), and structure, or structure-memory (fd) and
 *                       structure-bytes -> scalars, and the structure in the same way
 *     user-client-map   connection, type -> memory (fd), bytes, options
 *     completion        connection, call, status, arguments; without a status: the driver has given the call up,
 *                       and nothing follows; without a call either: the connection has ended
 */
#define DX_USER_CLIENT_INLINE_BYTES 4096u
#define DX_USER_CLIENT_STRUCTURE_BYTES_MAX (64u * 1024u * 1024u)

/* What goes into a method, and what comes out of it. */
struct dx_user_client_values {
    uint64_t scalars[kIOUserClientScalarArrayCountMax];
    uint32_t scalar_count;
    uint32_t structure_bytes; // 0: none
    OSData *structure;        // borrowed; NULL: none, or in memory
    uint32_t memory;          // place of the descriptor of the memory; counts where there is no data
};

struct dx_user_client_call {
    uint64_t connection;
    uint64_t selector;
    uint64_t call; // 0: synchronous
    uint32_t scalar_room;
    uint32_t structure_room; // bytes
    struct dx_user_client_values in;
};

struct dx_user_client_completion {
    uint64_t connection;
    uint64_t call; // 0: the connection has ended
    bool is_given_up;
    kern_return_t status;
    uint64_t arguments[kIOUserClientAsyncArgumentsCountMax];
    uint32_t argument_count;
};

/*
 * Writing adds keys to a body: false without memory.  Reading checks everything: kIOReturnBadArgument with what
 * was wrong; what was read points into the body.
 */
bool dx_user_client_values_write(const struct dx_user_client_values *values, OSDictionary *body);
kern_return_t dx_user_client_values_read(const OSDictionary *body, uint32_t fd_count,
                                         struct dx_user_client_values *ret_values, dx_error *error);

bool dx_user_client_call_write(const struct dx_user_client_call *call, OSDictionary *body);
kern_return_t dx_user_client_call_read(const OSDictionary *body, uint32_t fd_count,
                                       struct dx_user_client_call *ret_call, dx_error *error);

bool dx_user_client_completion_write(const struct dx_user_client_completion *completion, OSDictionary *body);
kern_return_t dx_user_client_completion_read(const OSDictionary *body,
                                             struct dx_user_client_completion *ret_completion, dx_error *error);

/**
 * Puts bytes into memory that can be sent.
 *
 * @return its descriptor; -ENOMEM, -EMFILE, -ENFILE.
 */
int dx_user_client_memory_create(const void *bytes, size_t length);

/**
 * Copies bytes out of memory that came.
 *
 * @return 0; -EINVAL (it is no memfd, or a shorter one), -EPERM (it could shrink meanwhile), -EBADF, -EIO.
 */
int dx_user_client_memory_copy(int fd, void *bytes, size_t length);

#endif /* DX_HOST_USER_CLIENT_WIRE_H */
