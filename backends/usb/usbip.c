// SPDX-License-Identifier: MIT
// Serves a model to the other end of a socket: one thread, one poll().

#include "backends/usb/usbip.h"

#include "backends/usb/model_host.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    TRANSFER_MAX = 1024 * 1024, // bytes
    WAITING_MAX = 1024,         // transfers that have not completed
    REPLIES_MAX = 256,          // that the other side does not read: no more is read from it
    MESSAGES_A_ROUND = 64,
    WIRE_FRAME_BYTES = 2048,
};

#define WAITING_BYTES_MAX (64u * 1024u * 1024u)

/* A transfer, then the answer to it; or the answer to an UNLINK. */
struct urb {
    struct dx_model_slot slot; // first: what the host's lists hold
    struct dx_usb_transfer transfer;
    struct urb *next; // of the replies
    uint32_t seqnum;
    uint32_t answer; // DX_USBIP_RET_*
    uint8_t data[];
};

struct server {
    struct dx_model_host host;
    int socket, wire_fd;
    char *why;

    uint8_t header[DX_USBIP_HEADER];
    uint32_t header_size;
    struct urb *incoming; // whose data is being read
    uint32_t incoming_at;

    struct urb *first_reply, *last_reply;
    uint32_t reply_count;
    uint8_t reply_header[DX_USBIP_HEADER]; // of the first one
    uint32_t reply_at;

    uint32_t waiting_count;
    uint64_t waiting_bytes;
};

__attribute__((format(printf, 2, 3))) static int
fail(const struct server *server, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(server->why, 256, format, arguments);
    va_end(arguments);
    return -EPROTO;
}

/* ---- answers ---- */

static void
append_reply(struct server *server, struct urb *urb, uint32_t answer)
{
    urb->answer = answer;
    urb->next = NULL;
    if (server->last_reply)
        server->last_reply->next = urb;
    else
        server->first_reply = urb;
    server->last_reply = urb;
    server->reply_count++;
}

static bool
has_data(const struct urb *urb)
{
    if (urb->answer != DX_USBIP_RET_SUBMIT)
        return false;
    const struct dx_usb_transfer *const transfer = &urb->transfer;
    return (transfer->kind == DX_USB_CONTROL ? transfer->setup.request_type : transfer->endpoint) & DX_USB_IN;
}

static void
make_reply_header(struct server *server, const struct urb *urb)
{
    uint8_t *const header = server->reply_header;
    memset(header, 0, DX_USBIP_HEADER);
    dx_usbip_put(header, DX_USBIP_COMMAND, urb->answer);
    dx_usbip_put(header, DX_USBIP_SEQNUM, urb->seqnum);
    dx_usbip_put(header, DX_USBIP_STATUS, (uint32_t)urb->transfer.status);
    if (urb->answer != DX_USBIP_RET_SUBMIT)
        return;
    dx_usbip_put(header, DX_USBIP_ACTUAL, urb->transfer.actual);
    dx_usbip_put(header, DX_USBIP_PACKETS, DX_USBIP_NOT_ISOCHRONOUS);
}

/* As much as the socket takes. @return 0, or an error of the socket. */
static int
write_replies(struct server *server)
{
    for (struct urb *urb; (urb = server->first_reply);) {
        const uint32_t whole = DX_USBIP_HEADER + (has_data(urb) ? urb->transfer.actual : 0);
        if (server->reply_at == 0)
            make_reply_header(server, urb);
        struct iovec parts[2] = {{server->reply_header, DX_USBIP_HEADER}, {urb->data, whole - DX_USBIP_HEADER}};
        uint32_t first = 0;
        if (server->reply_at < DX_USBIP_HEADER) {
            parts[0].iov_base = server->reply_header + server->reply_at;
            parts[0].iov_len -= server->reply_at;
        } else {
            first = 1;
            parts[1].iov_base = urb->data + (server->reply_at - DX_USBIP_HEADER);
            parts[1].iov_len = whole - server->reply_at;
        }
        const struct msghdr message = {.msg_iov = parts + first, .msg_iovlen = 2 - first};
        const ssize_t n = sendmsg(server->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        server->reply_at += (uint32_t)n;
        if (server->reply_at < whole)
            continue;
        server->reply_at = 0;
        server->first_reply = urb->next;
        if (!urb->next)
            server->last_reply = NULL;
        server->reply_count--;
        free(urb);
    }
    return 0;
}

/* What the host has completed becomes answers. */
static void
collect(struct server *server)
{
    for (struct dx_model_slot *slot; (slot = dx_model_host_take(&server->host));) {
        struct urb *const urb = (struct urb *)slot;
        server->waiting_count--;
        server->waiting_bytes -= urb->transfer.size;
        append_reply(server, urb, DX_USBIP_RET_SUBMIT);
    }
}

/* ---- requests ---- */

static struct urb *
new_urb(uint32_t seqnum, uint32_t size)
{
    struct urb *const urb = malloc(sizeof *urb + size);
    if (!urb)
        return NULL;
    memset(urb, 0, sizeof *urb);
    urb->seqnum = seqnum;
    urb->slot.transfer = &urb->transfer;
    urb->transfer.data = urb->data;
    urb->transfer.capacity = urb->transfer.size = size;
    return urb;
}

static struct urb *
find_waiting(const struct server *server, uint32_t seqnum)
{
    for (struct dx_model_slot *slot = server->host.pending.first; slot; slot = slot->next)
        if (((struct urb *)slot)->seqnum == seqnum)
            return (struct urb *)slot;
    return NULL;
}

static void
fill_transfer(const struct server *server, struct urb *urb, uint32_t endpoint, bool is_in)
{
    struct dx_usb_transfer *const transfer = &urb->transfer;
    const uint8_t *const setup = server->header + DX_USBIP_SETUP;
    transfer->ends_short = dx_usbip_get(server->header, DX_USBIP_FLAGS) & DX_USBIP_ZERO_PACKET;
    if (endpoint) {
        transfer->endpoint = (uint8_t)(endpoint | (is_in ? DX_USB_IN : 0));
        transfer->kind = dx_model_host_kind(&server->host, transfer->endpoint);
        return;
    }
    transfer->kind = DX_USB_CONTROL;
    transfer->setup = (struct dx_usb_setup){
        .request_type = setup[0],
        .request = setup[1],
        .value = (uint16_t)(setup[2] | setup[3] << 8),
        .index = (uint16_t)(setup[4] | setup[5] << 8),
        .length = (uint16_t)(setup[6] | setup[7] << 8),
    };
    if (is_in && transfer->setup.length < transfer->size)
        transfer->size = transfer->setup.length;
}

/* All of it is there. */
static void
submit(struct server *server, struct urb *urb)
{
    server->waiting_count++;
    server->waiting_bytes += urb->transfer.size;
    dx_model_host_submit(&server->host, &urb->slot, 0);
    (void)dx_model_host_run(&server->host, dx_model_now_ns());
    collect(server);
}

static int
take_submit(struct server *server)
{
    const uint8_t *const header = server->header;
    const uint32_t seqnum = dx_usbip_get(header, DX_USBIP_SEQNUM);
    const uint32_t direction = dx_usbip_get(header, DX_USBIP_DIRECTION);
    const uint32_t endpoint = dx_usbip_get(header, DX_USBIP_ENDPOINT);
    const uint32_t length = dx_usbip_get(header, DX_USBIP_LENGTH);
    const uint32_t packets = dx_usbip_get(header, DX_USBIP_PACKETS);
    const bool is_in = direction == 1;
    if (direction > 1 || endpoint > 15)
        return fail(server, "a transfer to endpoint %u in direction %u", endpoint, direction);
    if (packets != 0 && packets != DX_USBIP_NOT_ISOCHRONOUS)
        return fail(server, "an isochronous transfer, which no model has");
    if (length > TRANSFER_MAX)
        return fail(server, "a transfer of %u bytes; at most %u", length, (unsigned)TRANSFER_MAX);
    if (find_waiting(server, seqnum))
        return fail(server, "two transfers with number %u", seqnum);
    const bool is_too_much =
        is_in && (server->waiting_count >= WAITING_MAX || server->waiting_bytes + length > WAITING_BYTES_MAX);
    struct urb *const urb = new_urb(seqnum, is_too_much ? 0 : length);
    if (!urb)
        return -ENOMEM;
    fill_transfer(server, urb, endpoint, is_in);
    if (is_too_much || (endpoint == 0 && (bool)(urb->transfer.setup.request_type & DX_USB_IN) != is_in &&
                        (urb->transfer.setup.length || length))) {
        urb->transfer.status = is_too_much ? -ENOMEM : -EPROTO;
        if (is_in || length == 0) {
            append_reply(server, urb, DX_USBIP_RET_SUBMIT);
            return 0;
        }
    }
    if (!is_in && length) {
        server->incoming = urb;
        server->incoming_at = 0;
    } else {
        submit(server, urb);
    }
    return 0;
}

/* A transfer that waits is given up, and only this answer tells of it; else its own answer is on the way. */
static int
take_unlink(struct server *server)
{
    struct urb *const answer = new_urb(dx_usbip_get(server->header, DX_USBIP_SEQNUM), 0);
    if (!answer)
        return -ENOMEM;
    struct urb *const victim = find_waiting(server, dx_usbip_get(server->header, DX_USBIP_VICTIM));
    if (victim) {
        dx_model_list_remove(&server->host.pending, &victim->slot);
        server->waiting_count--;
        server->waiting_bytes -= victim->transfer.size;
        free(victim);
        answer->transfer.status = -ECONNRESET;
    }
    append_reply(server, answer, DX_USBIP_RET_UNLINK);
    return 0;
}

static int
take_header(struct server *server)
{
    const uint32_t command = dx_usbip_get(server->header, DX_USBIP_COMMAND);
    server->header_size = 0;
    switch (command) {
    case DX_USBIP_SUBMIT:
        return take_submit(server);
    case DX_USBIP_UNLINK:
        return take_unlink(server);
    default:
        return fail(server, "a message of kind %u; 1 and 2 are known", command);
    }
}

/* The bytes that are missing of a header or of data. @return 1: it is whole; 0: not yet; -ECONNRESET: the end. */
static int
read_rest(struct server *server, uint8_t *bytes, uint32_t *at, uint32_t whole)
{
    const ssize_t n = recv(server->socket, bytes + *at, whole - *at, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -ECONNRESET;
    if (n == 0)
        return *at || server->incoming ? fail(server, "the end within a message") : -ECONNRESET;
    *at += (uint32_t)n;
    return *at == whole;
}

static int
read_messages(struct server *server)
{
    for (uint32_t i = 0; i < MESSAGES_A_ROUND && server->reply_count < REPLIES_MAX; i++) {
        struct urb *const urb = server->incoming;
        int result = urb ? read_rest(server, urb->data, &server->incoming_at, urb->transfer.size)
                         : read_rest(server, server->header, &server->header_size, DX_USBIP_HEADER);
        if (result <= 0)
            return result;
        if (urb) {
            server->incoming = NULL;
            if (urb->transfer.status)
                append_reply(server, urb, DX_USBIP_RET_SUBMIT);
            else
                submit(server, urb);
        } else if ((result = take_header(server)) < 0) {
            return result;
        }
    }
    return 0;
}

/* ---- the wire ---- */

static void
send_to_wire(void *wire, const uint8_t *frame, uint32_t size)
{
    const struct server *const server = wire;
    const ssize_t n = write(server->wire_fd, frame, size); // what it does not take is lost, as on a wire
    (void)n;
}

static void
read_from_wire(struct server *server)
{
    uint8_t frame[WIRE_FRAME_BYTES];
    const ssize_t n = read(server->wire_fd, frame, sizeof frame);
    if (n > 0)
        server->host.model->ops->receive(server->host.model, frame, (uint32_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR && errno != ENETDOWN))
        server->wire_fd = -1; // its interface is gone; one that is down may come up again
}

/* ---- serving ---- */

/* @return 0: go on; else how it ends. */
static int
wait_and_read(struct server *server, uint64_t next_ns)
{
    const bool is_reading = server->reply_count < REPLIES_MAX;
    struct pollfd waited[2] = {
        {.fd = server->socket,
         .events = (short)(POLLRDHUP | (is_reading ? POLLIN : 0) | (server->first_reply ? POLLOUT : 0))},
        {.fd = dx_model_host_is_full(&server->host) ? -1 : server->wire_fd, .events = POLLIN},
    };
    struct timespec left = {0};
    if (next_ns != UINT64_MAX) {
        const uint64_t now_ns = dx_model_now_ns();
        const uint64_t ns = next_ns > now_ns ? next_ns - now_ns : 0;
        left.tv_sec = (time_t)(ns / UINT64_C(1000000000));
        left.tv_nsec = (long)(ns % UINT64_C(1000000000));
    }
    if (ppoll(waited, 2, next_ns == UINT64_MAX ? NULL : &left, NULL) < 0)
        return errno == EINTR ? 0 : -errno;
    if (waited[1].revents)
        read_from_wire(server);
    if (is_reading && waited[0].revents)
        return read_messages(server);
    /* Whoever has gone reads no answer. */
    return waited[0].revents & (POLLRDHUP | POLLHUP | POLLERR) ? -ECONNRESET : 0;
}

static void
finish(struct server *server)
{
    for (struct dx_model_slot *slot; (slot = server->host.pending.first);) {
        dx_model_list_remove(&server->host.pending, slot);
        free(slot);
    }
    for (struct urb *urb; (urb = server->first_reply);) {
        server->first_reply = urb->next;
        free(urb);
    }
    free(server->incoming);
    dx_model_host_end(&server->host);
}

int
dx_usbip_serve(struct dx_usb_model *model, int socket, int wire_fd, char why[256])
{
    const int one = 1;
    struct server server = {.socket = socket, .wire_fd = wire_fd, .why = why};
    why[0] = '\0';
    (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); // fails where it is not TCP
    dx_model_host_begin(&server.host, model);
    if (wire_fd >= 0) {
        model->send = send_to_wire;
        model->wire = &server;
    }
    int result = 0;
    while (result == 0) {
        const uint64_t next_ns = dx_model_host_run(&server.host, dx_model_now_ns());
        collect(&server);
        result = write_replies(&server);
        if (result == 0 && server.host.is_gone && !server.first_reply)
            result = -ENODEV;
        if (result == 0)
            result = wait_and_read(&server, next_ns);
    }
    finish(&server);
    if (result == -EPIPE || result == -ECONNRESET)
        return 0; // the other side has gone
    if (!why[0])
        (void)snprintf(why, 256, "%s", result == -ENODEV ? "the model was unplugged" : strerror(-result));
    return result;
}
