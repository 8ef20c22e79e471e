// SPDX-License-Identifier: MIT
// Messages as packets: exact sizes, bounded, and no descriptor lost.

#include "host/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { HEAD_BYTES = 8 };

union control {
    struct cmsghdr aligned;
    char bytes[CMSG_SPACE(DX_WIRE_MAX_FDS * sizeof(int))];
};

static void
store_le32(uint8_t *bytes, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t
load_le32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

void
dx_message_finish(struct dx_message *message)
{
    OSObjectRelease(message->body);
    for (uint32_t i = 0; i < message->fd_count; i++) {
        if (message->fds[i] >= 0)
            close(message->fds[i]);
    }
    *message = (struct dx_message){0};
}

int
dx_message_take_fd(struct dx_message *message, uint32_t index)
{
    if (index >= message->fd_count)
        return -1;
    const int fd = message->fds[index];
    message->fds[index] = -1;
    return fd;
}

OSData *
dx_wire_serialize(const OSDictionary *body)
{
    OSObjectPtr object;
    memcpy(&object, &body, sizeof object); // it is only read, and OSObjectPtr knows no const
    return OSSerializationCreateFromObject(object);
}

static int
send_packet(int socket, const struct msghdr *packet)
{
    ssize_t sent;
    do
        sent = sendmsg(socket, packet, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return 0;
    return errno == ENOBUFS ? -ENOMEM : -errno;
}

bool
dx_wire_fits(const OSData *body, uint32_t fd_count)
{
    return OSDataGetLength(body) <= DX_WIRE_MAX_BYTES - HEAD_BYTES && fd_count <= DX_WIRE_MAX_FDS;
}

int
dx_wire_send_serialized(int socket, const OSData *body, const int *fds, uint32_t fd_count)
{
    if (!dx_wire_fits(body, fd_count))
        return -EMSGSIZE;
    const size_t length = OSDataGetLength(body);

    uint8_t head[HEAD_BYTES];
    store_le32(head, DX_WIRE_MAGIC);
    store_le32(head + 4, (uint32_t)length);
    struct iovec parts[2] = {
        {.iov_base = head, .iov_len = sizeof head},
        {.iov_len = length},
    };
    const void *const bytes = OSDataGetBytesNoCopy(body);
    memcpy(&parts[1].iov_base, &bytes, sizeof bytes); // sendmsg() only reads it, and iovec knows no const
    struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 2};
    union control control = {0};
    if (fd_count) {
        packet.msg_control = &control;
        packet.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *const rights = CMSG_FIRSTHDR(&packet);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(rights), fds, fd_count * sizeof(int));
    }

    int result = send_packet(socket, &packet);
    if (result == -EMSGSIZE) {
        /* A packet must fit into the socket's buffer, and the system's default may be smaller. */
        const int room_bytes = 2 * (int)DX_WIRE_MAX_BYTES;
        if (setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &room_bytes, sizeof room_bytes) == 0)
            result = send_packet(socket, &packet);
    }
    return result;
}

int
dx_wire_send(int socket, const OSDictionary *body, const int *fds, uint32_t fd_count)
{
    OSData *const serialized = dx_wire_serialize(body);
    if (!serialized)
        return -ENOMEM;
    const int result = dx_wire_send_serialized(socket, serialized, fds, fd_count);
    OSObjectRelease(serialized);
    return result;
}

OSDictionary *
dx_wire_parse(const void *bytes, size_t length)
{
    const uint8_t *const packet = bytes;
    if (length < HEAD_BYTES || length > DX_WIRE_MAX_BYTES || load_le32(packet) != DX_WIRE_MAGIC ||
        load_le32(packet + 4) != length - HEAD_BYTES)
        return NULL;
    OSObjectPtr const object = OSSerializationCopyObject(packet + HEAD_BYTES, length - HEAD_BYTES);
    OSDictionary *const body = OSDynamicCast(OSDictionary, object);
    if (!body)
        OSObjectRelease(object);
    return body;
}

/* recvmsg() without its interruptions.  ECONNRESET is told once, ahead of what the other side sent before it went
 * without reading everything: that is still to come. */
static ssize_t
receive_packet(int socket, struct msghdr *packet, int flags)
{
    ssize_t received;
    do
        received = recvmsg(socket, packet, flags);
    while (received < 0 && (errno == EINTR || errno == ECONNRESET));
    return received < 0 ? -errno : received;
}

/* Takes over the descriptors of a packet; false when there are more than a message may have. */
static bool
take_descriptors(struct msghdr *packet, struct dx_message *message)
{
    bool all = true;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(packet); c; c = CMSG_NXTHDR(packet, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (message->fd_count < DX_WIRE_MAX_FDS) {
                message->fds[message->fd_count++] = fd;
            } else {
                close(fd);
                all = false;
            }
        }
    }
    return all;
}

int
dx_wire_receive(int socket, struct dx_message *ret_message)
{
    struct msghdr peek = {0};
    const ssize_t length = receive_packet(socket, &peek, MSG_PEEK | MSG_TRUNC);
    if (length < 0)
        return (int)length;
    /* No memory for what is too long; it is received all the same, for the sake of its descriptors. */
    const size_t room = length > (ssize_t)DX_WIRE_MAX_BYTES ? HEAD_BYTES : (size_t)length;
    uint8_t *const bytes = malloc(room ? room : 1);
    if (!bytes)
        return -ENOMEM;

    struct dx_message message = {.bytes = room};
    struct iovec part = {.iov_base = bytes, .iov_len = room};
    union control control;
    struct msghdr packet = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    const ssize_t received = receive_packet(socket, &packet, MSG_CMSG_CLOEXEC);
    int result = 1;
    if (received < 0) {
        result = (int)received;
    } else {
        const bool whole = take_descriptors(&packet, &message) && !(packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
        if (received == 0 && whole && message.fd_count == 0)
            result = 0; // the end; an empty packet looks the same, and whoever sends one has lost his senses
        else if (!whole || !(message.body = dx_wire_parse(bytes, (size_t)received)))
            result = -EBADMSG;
    }
    free(bytes);
    if (result == 1)
        *ret_message = message;
    else
        dx_message_finish(&message);
    return result;
}

bool
dx_wire_take(OSDictionary *body, const char *key, OSObjectPtr value)
{
    const bool done = OSDictionarySetObject(body, key, value);
    OSObjectRelease(value);
    return done;
}

bool
dx_wire_set_double(OSDictionary *body, const char *key, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return OSDictionarySetUInt64Value(body, key, bits);
}

bool
dx_wire_get_double(const OSDictionary *body, const char *key, double *ret_value)
{
    const OSNumber *const number = OSDynamicCast(OSNumber, OSDictionaryGetObject(body, key));
    if (!number)
        return false;
    const uint64_t bits = OSNumberGetUInt64Value(number);
    memcpy(ret_value, &bits, sizeof bits);
    return true;
}

bool
dx_wire_set_int64(OSDictionary *body, const char *key, int64_t value)
{
    return OSDictionarySetUInt64Value(body, key, (uint64_t)value);
}

bool
dx_wire_set_bool(OSDictionary *body, const char *key, bool value)
{
    return OSDictionarySetObject(body, key, value ? kOSBooleanTrue : kOSBooleanFalse);
}

bool
dx_wire_get_bool(const OSDictionary *body, const char *key)
{
    return OSBooleanGetValue(OSDynamicCast(OSBoolean, OSDictionaryGetObject(body, key)));
}

uint64_t
dx_wire_get_number(const OSDictionary *body, const char *key, uint64_t fallback)
{
    const OSNumber *const number = OSDynamicCast(OSNumber, OSDictionaryGetObject(body, key));
    return number ? OSNumberGetUInt64Value(number) : fallback;
}

const char *
dx_wire_get_string(const OSDictionary *body, const char *key)
{
    return OSDictionaryGetStringValue(body, key);
}

OSDictionary *
dx_wire_get_dictionary(const OSDictionary *body, const char *key)
{
    return OSDynamicCast(OSDictionary, OSDictionaryGetObject(body, key));
}

OSArray *
dx_wire_get_array(const OSDictionary *body, const char *key)
{
    return OSDynamicCast(OSArray, OSDictionaryGetObject(body, key));
}

OSData *
dx_wire_get_data(const OSDictionary *body, const char *key)
{
    return OSDynamicCast(OSData, OSDictionaryGetObject(body, key));
}
