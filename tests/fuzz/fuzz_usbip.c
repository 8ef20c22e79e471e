// SPDX-License-Identifier: MIT
// Bytes of a socket that USB/IP is spoken on: a hostile client of our server, or a hostile server of our client.
// Whatever comes, both come to an end, and each transfer ends once.
//
// The first byte: bit 0 the side, bits 1 and 2 the model, or what the client submits. A hostile server's bytes
// come in pieces, one for each message of the client's, or when it says nothing: a byte of flags (1: with the
// number of that message), two of length, and that many.

#include "backends/usb/model.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TRANSFERS = 8, TRANSFER_BYTES = 600, ROUNDS = 64, HEADER = 48, PIECE_BYTES = 2048, SILENCE_NS = 100000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A socket pair with the bytes, and then the end, waiting at [0]. @return false: they do not fit. */
static bool
make_pair(int pair[2], const uint8_t *data, size_t size)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    const ssize_t n = size ? send(pair[1], data, size, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    if (n == (ssize_t)size && shutdown(pair[1], SHUT_WR) == 0)
        return true;
    (void)close(pair[0]);
    (void)close(pair[1]);
    return false;
}

static struct dx_usb_model *
make_model(uint32_t kind)
{
    const struct dx_model_options options = {
        .mac = {2, 0, 0, 0, 0, 1}, .has_ntb32 = true, .has_no_ntb16 = kind == 3};
    switch (kind) {
    case 0:
        return dx_model_ecm(&options);
    case 2:
        return dx_model_ax88772(&options);
    default:
        return dx_model_ncm(&options);
    }
}

/* What the model lets out onto the wire comes back to it as a frame, so that the host's side runs as well. */
static void
echo(void *wire, const uint8_t *frame, uint32_t size)
{
    struct dx_usb_model *const model = wire;
    if (size < 14 || size > 1518)
        abort();
    model->ops->receive(model, frame, size);
}

static void
run_server(const uint8_t *data, size_t size, uint32_t kind)
{
    int pair[2];
    char why[256];
    if (!make_pair(pair, data, size))
        return;
    struct dx_usb_model *const model = make_model(kind);
    if (!model)
        abort();
    model->send = echo;
    model->wire = model;
    const int result = dx_usbip_serve(model, pair[0], -1, why);
    if (result > 0 || (result == 0) != (why[0] == '\0'))
        abort();
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static uint32_t completions[TRANSFERS];

static void
note(struct dx_usb_transfer *transfer)
{
    if (transfer->actual > transfer->size || transfer->status > 0)
        abort();
    ++*(uint32_t *)transfer->context;
}

static void
submit_all(struct dx_usb_device *device, uint32_t kind)
{
    struct dx_usb_transfer transfers[TRANSFERS];
    uint32_t submitted[TRANSFERS] = {0};
    memset(completions, 0, sizeof completions);
    for (uint32_t i = 0; i < TRANSFERS; i++) {
        transfers[i] = (struct dx_usb_transfer){
            .kind = i % 4 == 3 ? DX_USB_CONTROL : i % 4 == 2 ? DX_USB_INTERRUPT : DX_USB_BULK,
            .endpoint = (uint8_t)(i % 4 == 3 ? 0 : i % 4 == 2 ? 0x81 : i % 4 ? 0x82 : 0x03),
            .setup = {.request_type = (uint8_t)(kind & 1 ? 0xc0 : 0x40), .length = TRANSFER_BYTES},
            .data = malloc(TRANSFER_BYTES), // of its own: one byte too far is seen
            .capacity = TRANSFER_BYTES,
            .size = TRANSFER_BYTES,
            .completed = note,
            .context = &completions[i],
        };
        if (!transfers[i].data || dx_usb_prepare(device, &transfers[i]) < 0)
            abort();
        memset(transfers[i].data, 0, TRANSFER_BYTES);
        submitted[i] = dx_usb_submit(device, &transfers[i]) == 0;
        if (kind & 2 && i % 3 == 0)
            dx_usb_cancel(device, &transfers[i]);
        (void)dx_usb_pump(device, 0);
    }
    uint32_t rounds = 0;
    while (dx_usb_pump(device, UINT64_MAX) == 0)
        if (++rounds > ROUNDS)
            abort(); // no more than 8 can complete
    for (uint32_t i = 0; i < TRANSFERS; i++) {
        if (completions[i] != submitted[i])
            abort();
        dx_usb_unprepare(device, &transfers[i]);
        free(transfers[i].data);
    }
}

struct script {
    int socket;
    const uint8_t *data;
    size_t size;
};

/* A whole message of the client's. @return false: none comes. */
static bool
take_message(int socket, uint8_t header[HEADER])
{
    static const struct timespec silence = {.tv_nsec = SILENCE_NS};
    struct pollfd waited = {.fd = socket, .events = POLLIN};
    if (ppoll(&waited, 1, &silence, NULL) != 1 || recv(socket, header, HEADER, MSG_WAITALL) != HEADER)
        return false;
    if (header[3] == 1 && header[15] == 0) { // it brings data
        uint8_t bytes[TRANSFER_BYTES];
        const size_t length = (size_t)header[26] << 8 | header[27];
        if (length > sizeof bytes || (length && recv(socket, bytes, length, MSG_WAITALL) != (ssize_t)length))
            return false;
    }
    return true;
}

static void *
play(void *context)
{
    const struct script *const script = context;
    uint8_t header[HEADER] = {0}, piece[PIECE_BYTES];
    for (size_t at = 0; script->size - at >= 3;) {
        const uint8_t *const head = script->data + at;
        size_t length = (size_t)head[1] | (size_t)head[2] << 8;
        at += 3;
        if (length > script->size - at)
            length = script->size - at;
        if (length > sizeof piece)
            length = sizeof piece;
        memcpy(piece, script->data + at, length);
        at += length;
        (void)take_message(script->socket, header);
        if (head[0] & 1 && length >= 8)
            memcpy(piece + 4, header + 4, 4);
        if (length && send(script->socket, piece, length, MSG_NOSIGNAL) < 0)
            break;
    }
    (void)shutdown(script->socket, SHUT_RDWR);
    return NULL;
}

static void
run_client(const uint8_t *data, size_t size, uint32_t kind)
{
    int pair[2];
    char why[256];
    struct dx_usb_device *device = NULL;
    pthread_t thread;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    struct script script = {pair[1], data, size};
    if (pthread_create(&thread, NULL, play, &script) != 0)
        abort();
    const int result = dx_usb_open_usbip(pair[0], 9, DX_USB_HIGH, &device, why);
    if (result == 0) {
        submit_all(device, kind);
        dx_usb_close(device);
    } else if (result > 0 || !why[0]) {
        abort();
    }
    (void)pthread_join(thread, NULL);
    (void)close(pair[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 65536)
        return 0;
    const uint32_t kind = data[0] >> 1 & 3;
    if (data[0] & 1)
        run_client(data + 1, size - 1, kind);
    else
        run_server(data + 1, size - 1, kind);
    return 0;
}
