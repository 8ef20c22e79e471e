// SPDX-License-Identifier: MIT
// USB/IP, message by message: what the server answers, what the client makes of answers, and sockets that die.

#include "tests/usb/model_rig.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SUBMIT = 1, UNLINK = 2, RET_SUBMIT = 3, RET_UNLINK = 4, HEADER = 48 };

static void
put32(uint8_t *bytes, uint32_t value)
{
    for (uint32_t i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t
get32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void
write_all(int fd, const void *bytes, size_t size)
{
    CHECK_EQ(send(fd, bytes, size, MSG_NOSIGNAL), size);
}

/* @return whether all of it came. */
static bool
read_all(int fd, void *bytes, size_t size, int timeout_ms)
{
    for (size_t at = 0; at < size;) {
        struct pollfd waited = {.fd = fd, .events = POLLIN};
        if (poll(&waited, 1, timeout_ms) != 1)
            return false;
        const ssize_t n = recv(fd, (uint8_t *)bytes + at, size - at, 0);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

/* ---- a hand-made client and the server ---- */

static struct {
    pthread_t thread;
    struct dx_usb_model *model;
    int socket, ours;
    int result;
    char why[256];
} server;

static void *
serve(void *context)
{
    (void)context;
    server.result = dx_usbip_serve(server.model, server.socket, -1, server.why);
    return NULL;
}

static void
start_server(struct dx_usb_model *(*make)(const struct dx_model_options *))
{
    const struct dx_model_options options = {.mac = {2, 0, 0, 0, 0, 1}, .speed = DX_USB_HIGH};
    int pair[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    CHECK(server.model = make(&options));
    server.ours = pair[0];
    server.socket = pair[1];
    CHECK_EQ(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

/* @return what it ended with. */
static int
end_server(void)
{
    if (server.ours >= 0)
        (void)close(server.ours);
    CHECK_EQ(pthread_join(server.thread, NULL), 0);
    (void)close(server.socket);
    return server.result;
}

static void
make_submit(uint8_t header[HEADER], uint32_t seqnum, uint32_t is_in, uint32_t endpoint, uint32_t length)
{
    memset(header, 0, HEADER);
    put32(header, SUBMIT);
    put32(header + 4, seqnum);
    put32(header + 8, 1 << 16 | 2);
    put32(header + 12, is_in);
    put32(header + 16, endpoint);
    put32(header + 24, length);
}

static void
send_control(uint32_t seqnum, const char setup[8], uint32_t length)
{
    uint8_t header[HEADER];
    make_submit(header, seqnum, (uint8_t)setup[0] >> 7, 0, length);
    memcpy(header + 40, setup, 8);
    write_all(server.ours, header, HEADER);
}

static void
expect_answer(uint32_t command, uint32_t seqnum, int status, uint32_t actual)
{
    uint8_t header[HEADER];
    CHECK(read_all(server.ours, header, HEADER, 5000));
    CHECK_EQ(get32(header), command);
    CHECK_EQ(get32(header + 4), seqnum);
    CHECK_EQ(get32(header + 8) | get32(header + 12) | get32(header + 16), 0);
    CHECK_EQ((int32_t)get32(header + 20), status);
    CHECK_EQ(get32(header + 24), actual);
    if (command == RET_SUBMIT)
        CHECK(get32(header + 32) == 0 || get32(header + 32) == UINT32_MAX);
}

static void
expect_nothing(void)
{
    uint8_t byte;
    CHECK(!read_all(server.ours, &byte, 1, NOTHING_MS));
}

static void
set_up_ecm(void)
{
    start_server(dx_model_ecm);
    send_control(1, "\x00\x09\x01\x00\x00\x00\x00\x00", 0);
    expect_answer(RET_SUBMIT, 1, 0, 0);
    send_control(2, "\x01\x0b\x01\x00\x01\x00\x00\x00", 0);
    expect_answer(RET_SUBMIT, 2, 0, 0);
}

static void
the_server_answers_as_the_protocol_says(void)
{
    uint8_t header[HEADER], bytes[256];
    start_server(dx_model_ecm);
    send_control(7, "\x80\x06\x00\x01\x00\x00\x12\x00", 18);
    expect_answer(RET_SUBMIT, 7, 0, 18);
    CHECK(read_all(server.ours, bytes, 18, 5000));
    CHECK_EQ(bytes[0], 18);
    send_control(8, "\x80\x06\x05\x02\x00\x00\x12\x00", 18); // no such configuration
    expect_answer(RET_SUBMIT, 8, -EPIPE, 0);
    /* More room than wLength asks for. */
    send_control(9, "\x80\x06\x00\x01\x00\x00\x08\x00", 64);
    expect_answer(RET_SUBMIT, 9, 0, 8);
    CHECK(read_all(server.ours, bytes, 8, 5000));
    /* Out data, in two pieces. */
    make_submit(header, 10, 0, 0, 6);
    memcpy(header + 40, "\x21\x40\x01\x00\x00\x00\x06\x00", 8);
    memcpy(bytes, header, HEADER);
    memcpy(bytes + HEADER, "\x01\x00\x5e\x00\x00\x01", 6);
    write_all(server.ours, bytes, 20);
    expect_nothing();
    write_all(server.ours, bytes + 20, HEADER + 6 - 20);
    expect_answer(RET_SUBMIT, 10, 0, 6);
    CHECK_EQ(end_server(), 0);
}

static void
an_unlinked_transfer_is_answered_once(void)
{
    uint8_t header[HEADER];
    set_up_ecm();
    for (uint32_t i = 10; i < 13; i++) {
        make_submit(header, i, 1, 2, 2048);
        write_all(server.ours, header, HEADER);
    }
    expect_nothing();
    memset(header, 0, sizeof header);
    put32(header, UNLINK);
    put32(header + 4, 20);
    put32(header + 20, 11);
    write_all(server.ours, header, HEADER);
    expect_answer(RET_UNLINK, 20, -ECONNRESET, 0);
    put32(header + 4, 21); // it is gone already
    write_all(server.ours, header, HEADER);
    expect_answer(RET_UNLINK, 21, 0, 0);
    put32(header + 4, 22); // this one has been answered
    put32(header + 20, 2);
    write_all(server.ours, header, HEADER);
    expect_answer(RET_UNLINK, 22, 0, 0);
    expect_nothing();
    CHECK_EQ(end_server(), 0);
}

static void
messages_that_make_no_sense_end_the_service_with_a_reason(void)
{
    static const struct {
        uint32_t at, value;
        const char *says;
    } wrong[] = {
        {0, 0, "kind 0"},
        {0, 3, "kind 3"},
        {0, 0xffffffff, "kind"},
        {12, 2, "direction"},
        {16, 16, "endpoint 16"},
        {32, 1, "isochronous"},
        {32, 0xfffffffe, "isochronous"},
        {24, 0xffffffff, "bytes"},
        {24, 1024 * 1024 + 1, "bytes"},
        {4, 10, "two transfers"},
    };
    uint8_t header[HEADER];
    for (uint32_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        set_up_ecm();
        make_submit(header, 10, 1, 2, 2048);
        write_all(server.ours, header, HEADER);
        make_submit(header, 11, 1, 2, 2048);
        put32(header + wrong[i].at, wrong[i].value);
        write_all(server.ours, header, HEADER);
        (void)shutdown(server.ours, SHUT_WR);
        CHECK_EQ(end_server(), -EPROTO);
        (void)fprintf(stderr, "  %s\n", server.why);
        CHECK(strstr(server.why, wrong[i].says));
    }
}

static void
the_end_is_an_error_only_within_a_message(void)
{
    uint8_t header[HEADER] = {0};
    for (uint32_t size = 0; size < HEADER; size += 13) {
        set_up_ecm();
        make_submit(header, 10, 0, 3, 100);
        write_all(server.ours, header, size);
        CHECK_EQ(end_server(), size ? -EPROTO : 0);
    }
    set_up_ecm();
    make_submit(header, 10, 0, 3, 100);
    write_all(server.ours, header, HEADER); // and no data
    CHECK_EQ(end_server(), -EPROTO);
    CHECK(strstr(server.why, "within"));
}

static void
requests_that_contradict_themselves_fail_alone(void)
{
    uint8_t header[HEADER], bytes[64] = {0};
    set_up_ecm();
    make_submit(header, 10, 0, 0, 18); // sends what asks
    memcpy(header + 40, "\x80\x06\x00\x01\x00\x00\x12\x00", 8);
    write_all(server.ours, header, HEADER);
    write_all(server.ours, bytes, 18);
    expect_answer(RET_SUBMIT, 10, -EPROTO, 0);
    make_submit(header, 11, 1, 0, 6); // asks for what sends
    memcpy(header + 40, "\x21\x40\x01\x00\x00\x00\x06\x00", 8);
    write_all(server.ours, header, HEADER);
    expect_answer(RET_SUBMIT, 11, -EPROTO, 0);
    make_submit(header, 14, 0, 0, 18); // sends what asks, for nothing: an answer with data would be taken for a message
    memcpy(header + 40, "\x80\x06\x00\x01\x00\x00\x00\x00", 8);
    write_all(server.ours, header, HEADER);
    write_all(server.ours, bytes, 18);
    expect_answer(RET_SUBMIT, 14, -EPROTO, 0);
    make_submit(header, 12, 1, 9, 64); // nobody there
    write_all(server.ours, header, HEADER);
    expect_answer(RET_SUBMIT, 12, -EPROTO, 0);
    make_submit(header, 13, 0, 2, 4); // the wrong way
    write_all(server.ours, header, HEADER);
    write_all(server.ours, bytes, 4);
    expect_answer(RET_SUBMIT, 13, -EPROTO, 0);
    CHECK_EQ(end_server(), 0);
}

/* More than the server holds: those beyond fail, and it goes on. */
static void
too_many_transfers_that_wait_are_refused(void)
{
    uint8_t header[HEADER];
    set_up_ecm();
    for (uint32_t i = 0; i < 80; i++) {
        make_submit(header, 100 + i, 1, 2, 1024 * 1024);
        write_all(server.ours, header, HEADER);
    }
    for (uint32_t i = 64; i < 80; i++)
        expect_answer(RET_SUBMIT, 100 + i, -ENOMEM, 0);
    expect_nothing();
    CHECK_EQ(end_server(), 0);
}

/* Whoever asks and never reads is left alone until it goes. */
static void
a_client_that_does_not_read_is_waited_for(void)
{
    uint8_t header[HEADER];
    set_up_ecm();
    make_submit(header, 3, 1, 0, 80);
    memcpy(header + 40, "\x80\x06\x00\x02\x00\x00\x50\x00", 8);
    uint32_t sent = 0;
    for (;; sent++) {
        put32(header + 4, 3 + sent);
        struct pollfd waited = {.fd = server.ours, .events = POLLOUT};
        if (poll(&waited, 1, 200) != 1)
            break;
        if (send(server.ours, header, HEADER, MSG_NOSIGNAL | MSG_DONTWAIT) != HEADER)
            break; // full, and part of a message may have gone
    }
    CHECK(sent > 300);
    CHECK(sent < 100000);
    (void)end_server(); // does end
}

/* ---- a hand-made server and the client ---- */

static const uint8_t device_bytes[18] = {18, 1, 0, 2, 2, 0, 0, 64, 0x6b, 0x1d, 4, 1, 0, 1, 0, 0, 0, 1};
static const uint8_t configuration_bytes[32] = {
    9, 2, 32, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 2, 0xff, 0, 0, 0, 7, 5, 0x82, 2, 0, 2, 0, 7, 5, 0x03, 2, 0, 2, 0,
};

static int theirs; // the server's end

static void
read_header(uint8_t header[HEADER])
{
    CHECK(read_all(theirs, header, HEADER, 5000));
}

static void
send_answer(uint32_t command, uint32_t seqnum, int status, uint32_t actual, const void *data, uint32_t size)
{
    uint8_t header[HEADER] = {0};
    put32(header, command);
    put32(header + 4, seqnum);
    put32(header + 20, (uint32_t)status);
    put32(header + 24, actual);
    write_all(theirs, header, HEADER);
    if (size)
        write_all(theirs, data, size);
}

/* Answers what open() asks. */
static void *
introduce(void *context)
{
    uint8_t header[HEADER];
    (void)context;
    for (uint32_t i = 0; i < 5; i++) {
        read_header(header);
        CHECK_EQ(get32(header), SUBMIT);
        const uint32_t seqnum = get32(header + 4), length = get32(header + 24);
        const uint8_t one = 0;
        switch (header[41]) {
        case 6:
            send_answer(RET_SUBMIT, seqnum, 0, length, header[43] == 1 ? device_bytes : configuration_bytes,
                        length);
            break;
        case 8:
            send_answer(RET_SUBMIT, seqnum, 0, 1, &one, 1);
            break;
        default:
            CHECK_EQ(header[41], 9);
            CHECK_EQ(header[42], 1);
            send_answer(RET_SUBMIT, seqnum, 0, 0, NULL, 0);
        }
    }
    return NULL;
}

static struct model_rig rig;

static void *
pump(void *context)
{
    (void)context;
    while (!atomic_load_explicit(&rig.is_ending, memory_order_acquire))
        if (dx_usb_pump(rig.device, UINT64_MAX) == -ENODEV)
            (void)poll(NULL, 0, 1);
    return NULL;
}

static void
open_client(void)
{
    int pair[2];
    char why[256];
    pthread_t thread;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    theirs = pair[1];
    memset(&rig, 0, sizeof rig);
    CHECK_EQ(pthread_create(&thread, NULL, introduce, NULL), 0);
    CHECK_EQ(dx_usb_open_usbip(pair[0], 9, DX_USB_HIGH, &rig.device, why), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(pthread_create(&rig.pumper, NULL, pump, NULL), 0);
}

static void
close_client(void)
{
    atomic_store_explicit(&rig.is_ending, true, memory_order_release);
    dx_usb_wake(rig.device);
    CHECK_EQ(pthread_join(rig.pumper, NULL), 0);
    dx_usb_close(rig.device);
    (void)close(theirs);
}

static struct watched many[32];

/* Submits bulk IN transfers; @return the number of the first, as the server sees it. */
static uint32_t
submit_many(uint32_t count, uint8_t endpoint, uint32_t size, uint32_t timeout_ms)
{
    uint8_t header[HEADER], bytes[2048];
    uint32_t first = 0;
    CHECK(size <= sizeof bytes);
    for (uint32_t i = 0; i < count; i++) {
        watched_prepare(&rig, &many[i], DX_USB_BULK, endpoint);
        many[i].usb.size = size;
        many[i].usb.timeout_ms = timeout_ms;
        CHECK_EQ(dx_usb_submit(rig.device, &many[i].usb), 0);
        read_header(header);
        CHECK_EQ(get32(header), SUBMIT);
        CHECK_EQ(get32(header + 8), 9);
        CHECK_EQ(get32(header + 12), endpoint >> 7);
        CHECK_EQ(get32(header + 16), endpoint & 15u);
        CHECK_EQ(get32(header + 24), size);
        if (i == 0)
            first = get32(header + 4);
        if (!(endpoint & DX_USB_IN))
            CHECK(read_all(theirs, bytes, size, 5000));
    }
    return first;
}

static void
expect_all(uint32_t count, int status)
{
    for (uint32_t i = 0; i < count; i++) {
        watched_wait(&many[i], 1);
        CHECK_EQ(many[i].usb.status, status);
    }
    (void)poll(NULL, 0, 20);
    for (uint32_t i = 0; i < count; i++) {
        CHECK_EQ(atomic_load_explicit(&many[i].completions, memory_order_acquire), 1);
        dx_usb_unprepare(rig.device, &many[i].usb);
    }
}

static void
statuses_of_the_other_side_are_understood(void)
{
    static const struct {
        int theirs, ours;
    } statuses[] = {{0, 0},         {-32, -EPIPE},      {-75, -EOVERFLOW},
                    {-71, -EPROTO}, {-110, -ETIMEDOUT}, {-104, -ECANCELED},
                    {-121, 0},      {-9999, -EPROTO},   {5, -EPROTO}};
    open_client();
    for (uint32_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        const uint32_t seqnum = submit_many(1, 0x82, 2048, 0);
        send_answer(RET_SUBMIT, seqnum, statuses[i].theirs, 3, "abc", 3);
        expect_all(1, statuses[i].ours);
        CHECK_EQ(many[0].usb.actual, 3);
        CHECK(memcmp(many[0].data, "abc", 3) == 0);
    }
    /* Gone is gone. */
    const uint32_t seqnum = submit_many(3, 0x82, 2048, 0);
    send_answer(RET_SUBMIT, seqnum + 1, -108, 0, NULL, 0);
    expect_all(3, -ENODEV);
    close_client();
}

/* Each of them ends the connection, and with it every transfer, once. */
static void
answers_that_make_no_sense_end_every_transfer_once(void)
{
    for (uint32_t kind = 0; kind < 9; kind++) {
        uint8_t header[HEADER] = {0};
        open_client();
        const uint32_t seqnum = submit_many(kind == 8 ? 1 : 8, kind == 7 ? 0x03 : 0x82, 100, 0);
        switch (kind) {
        case 0:
            send_answer(RET_SUBMIT, seqnum + 1000, 0, 0, NULL, 0);
            break;
        case 1:
            send_answer(RET_SUBMIT, seqnum, 0, 101, NULL, 0);
            break;
        case 2:
            send_answer(RET_SUBMIT, seqnum, 0, 0xffffffff, NULL, 0);
            break;
        case 3:
            send_answer(SUBMIT, seqnum, 0, 0, NULL, 0);
            break;
        case 4:
            send_answer(RET_UNLINK, seqnum, -ECONNRESET, 0, NULL, 0);
            break; // not asked for
        case 5:
            put32(header, RET_SUBMIT);
            put32(header + 4, seqnum);
            put32(header + 32, 1); // packets
            write_all(theirs, header, HEADER);
            break;
        case 6:
            send_answer(RET_SUBMIT, seqnum, 0, 50, "half", 4);
            (void)shutdown(theirs, SHUT_RDWR);
            break;
        case 7:
            send_answer(RET_SUBMIT, seqnum, 0, 101, NULL, 0);
            break;
        default:
            (void)shutdown(theirs, SHUT_RDWR);
        }
        expect_all(kind == 8 ? 1 : 8, -ENODEV);
        watched_prepare(&rig, &many[0], DX_USB_BULK, 0x82);
        CHECK_EQ(dx_usb_submit(rig.device, &many[0].usb), -ENODEV);
        dx_usb_unprepare(rig.device, &many[0].usb);
        close_client();
    }
}

static void
a_cancelled_transfer_ends_as_the_other_side_says(void)
{
    uint8_t header[HEADER];
    open_client();
    /* Granted; too late; and granted with a status of 0, after which no other answer comes. */
    for (uint32_t kind = 0; kind < 3; kind++) {
        const uint32_t seqnum = submit_many(1, 0x82, 100, 0);
        dx_usb_cancel(rig.device, &many[0].usb);
        dx_usb_cancel(rig.device, &many[0].usb); // asked once
        read_header(header);
        CHECK_EQ(get32(header), UNLINK);
        CHECK_EQ(get32(header + 20), seqnum);
        if (kind == 1)
            send_answer(RET_SUBMIT, seqnum, 0, 3, "abc", 3);
        send_answer(RET_UNLINK, get32(header + 4), kind == 0 ? -ECONNRESET : 0, 0, NULL, 0);
        expect_all(1, kind == 1 ? 0 : -ECANCELED);
    }
    /* A time-out is one as well. */
    const uint32_t seqnum = submit_many(1, 0x82, 100, 50);
    read_header(header);
    CHECK_EQ(get32(header), UNLINK);
    CHECK_EQ(get32(header + 20), seqnum);
    send_answer(RET_UNLINK, get32(header + 4), -ECONNRESET, 0, NULL, 0);
    expect_all(1, -ETIMEDOUT);
    close_client();
}

static void
silence_about_a_cancelled_transfer_is_the_end(void)
{
    open_client();
    (void)submit_many(4, 0x82, 100, 0);
    const uint64_t begun_ns = rig_now_ns();
    dx_usb_cancel(rig.device, &many[2].usb);
    expect_all(4, -ENODEV);
    CHECK(rig_now_ns() - begun_ns >= 4900 * NS_PER_MS);
    close_client();
}

/* A server that takes nothing: what was submitted stays unsent, and can be cancelled at once. */
static void
what_has_not_been_sent_is_cancelled_without_asking(void)
{
    static struct watched big[24];
    open_client();
    for (uint32_t i = 0; i < 24; i++) {
        watched_prepare(&rig, &big[i], DX_USB_BULK, 0x03);
        CHECK_EQ(dx_usb_submit(rig.device, &big[i].usb), 0); // 20000 bytes each: more than the socket holds
    }
    (void)poll(NULL, 0, 50);
    dx_usb_cancel(rig.device, &big[23].usb);
    watched_wait(&big[23], 1);
    CHECK_EQ(big[23].usb.status, -ECANCELED);
    (void)shutdown(theirs, SHUT_RDWR);
    for (uint32_t i = 0; i < 24; i++) {
        watched_wait(&big[i], 1);
        CHECK_EQ(big[i].usb.status, i == 23 ? -ECANCELED : -ENODEV);
        dx_usb_unprepare(rig.device, &big[i].usb);
    }
    close_client();
}

/* What a device says of itself that cannot be: the answer to the first request; the end after it. */
static const struct wrong_answer {
    const char *answer;
    int size, status;
    const char *says;
} wrong_answers[] = {
    {"", -1, 0, "gone"},
    {"", 0, -32, "device descriptor"},
    {"\x12\x01", 2, 0, "device descriptor"},
    {"\x12\x07\0\2\2\0\0\x40\0\0\0\0\0\0\0\0\0\1", 18, 0, "device descriptor"},
    {"\x12\x01\0\2\2\0\0\x40\0\0\0\0\0\0\0\0\0\1", 18, 0, "configuration descriptor"},
};

static void *
answer_wrongly(void *context)
{
    const struct wrong_answer *const wrong = context;
    uint8_t header[HEADER];
    read_header(header);
    if (wrong->size >= 0)
        send_answer(RET_SUBMIT, get32(header + 4), wrong->status, (uint32_t)wrong->size, wrong->answer,
                    (uint32_t)wrong->size);
    (void)shutdown(theirs, SHUT_WR);
    return NULL;
}

static void
opening_fails_with_a_sentence(void)
{
    for (uint32_t i = 0; i < sizeof wrong_answers / sizeof wrong_answers[0]; i++) {
        int pair[2];
        char why[256];
        struct wrong_answer wrong = wrong_answers[i];
        struct dx_usb_device *device = NULL;
        pthread_t thread;
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        theirs = pair[1];
        CHECK_EQ(pthread_create(&thread, NULL, answer_wrongly, &wrong), 0);
        CHECK(dx_usb_open_usbip(pair[0], 9, DX_USB_HIGH, &device, why) < 0);
        (void)fprintf(stderr, "  %s\n", why);
        CHECK(strstr(why, wrong.says));
        CHECK_EQ(pthread_join(thread, NULL), 0);
        (void)close(theirs);
    }
}

int
main(void)
{
    RUN(the_server_answers_as_the_protocol_says);
    RUN(an_unlinked_transfer_is_answered_once);
    RUN(messages_that_make_no_sense_end_the_service_with_a_reason);
    RUN(the_end_is_an_error_only_within_a_message);
    RUN(requests_that_contradict_themselves_fail_alone);
    RUN(too_many_transfers_that_wait_are_refused);
    RUN(a_client_that_does_not_read_is_waited_for);
    RUN(statuses_of_the_other_side_are_understood);
    RUN(answers_that_make_no_sense_end_every_transfer_once);
    RUN(a_cancelled_transfer_ends_as_the_other_side_says);
    RUN(silence_about_a_cancelled_transfer_is_the_end);
    RUN(what_has_not_been_sent_is_cancelled_without_asking);
    RUN(opening_fails_with_a_sentence);
    return 0;
}
