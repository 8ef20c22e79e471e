// SPDX-License-Identifier: MIT
// Messages: what goes comes, and nothing else does.

#include "host/wire.h"
#include "tests/host/descriptors.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { HERE, THERE };

static int pair[2]; // non-blocking
static unsigned descriptors_before;

static void
connect_pair(void)
{
    cr_assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    descriptors_before = count_descriptors();
}

static void
leaks_nothing(void)
{
    cr_assert(eq(uint, count_descriptors(), descriptors_before));
    close(pair[HERE]);
    close(pair[THERE]);
}

TestSuite(wire, .init = connect_pair, .fini = leaks_nothing);

/* Sends bytes as they are, with duplicates of standard input beside them. */
static void
send_raw(const void *bytes, size_t length, unsigned fd_count)
{
    enum { MOST = 253 }; // of one packet, by the kernel
    union {
        struct cmsghdr aligned;
        char bytes[CMSG_SPACE(MOST * sizeof(int))];
    } control = {0};
    char *copy = malloc(length + 1);
    if (length)
        memcpy(copy, bytes, length);
    struct iovec part = {.iov_base = copy, .iov_len = length};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd_count) {
        packet.msg_control = &control;
        packet.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *const rights = CMSG_FIRSTHDR(&packet);
        *rights = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(fd_count * sizeof(int))};
        memset(CMSG_DATA(rights), 0, fd_count * sizeof(int)); // 0: standard input
    }
    cr_assert(eq(sz, (size_t)sendmsg(pair[HERE], &packet, MSG_NOSIGNAL), length));
    free(copy);
}

static OSDictionary *
create_body(uint64_t number)
{
    OSDictionary *const body = OSDictionaryCreate(0);
    cr_assert(OSDictionarySetUInt64Value(body, "n", number));
    return body;
}

static void
send_number(uint64_t number)
{
    OSDictionary *const body = create_body(number);
    cr_assert(eq(int, dx_wire_send(pair[HERE], body, NULL, 0), 0));
    OSObjectRelease(body);
}

static void
expect_number(uint64_t number)
{
    struct dx_message message;
    cr_assert(eq(int, dx_wire_receive(pair[THERE], &message), 1));
    cr_assert(eq(u64, dx_wire_get_number(message.body, "n", 0), number));
    cr_assert(eq(u32, message.fd_count, 0));
    dx_message_finish(&message);
}

static void
expect(int result)
{
    struct dx_message message;
    cr_assert(eq(int, dx_wire_receive(pair[THERE], &message), result));
}

/* A value of every class. */
static OSDictionary *
create_everything(void)
{
    static const uint8_t bytes[] = {0, 255, 0, 7};
    OSDictionary *const inner = OSDictionaryCreate(0);
    OSArray *const array = OSArrayCreate(0);
    OSDictionary *const body = OSDictionaryCreate(0);
    cr_assert(OSDictionarySetStringValue(inner, "", "an empty key"));
    cr_assert(OSArraySetObject(array, kOSBooleanTrue) && OSArraySetObject(array, inner));
    cr_assert(dx_wire_set_bool(body, "true", true) && dx_wire_set_bool(body, "false", false));
    cr_assert(dx_wire_take(body, "narrow", OSNumberCreate(5, 3)));
    cr_assert(OSDictionarySetUInt64Value(body, "wide", UINT64_MAX));
    cr_assert(dx_wire_set_int64(body, "negative", INT64_MIN));
    cr_assert(dx_wire_set_double(body, "double", -0.1));
    cr_assert(OSDictionarySetStringValue(body, "string", "Gerät"));
    cr_assert(OSDictionarySetStringValue(body, "no string", ""));
    cr_assert(dx_wire_take(body, "data", OSDataCreate(bytes, sizeof bytes)));
    cr_assert(dx_wire_take(body, "no data", OSDataCreate(NULL, 0)));
    cr_assert(dx_wire_take(body, "no array", OSArrayCreate(0)));
    cr_assert(dx_wire_take(body, "array", array));
    cr_assert(dx_wire_take(body, "dictionary", inner));
    return body;
}

Test(wire, a_value_of_every_class_comes_as_it_went)
{
    OSDictionary *const sent = create_everything();
    cr_assert(eq(int, dx_wire_send(pair[HERE], sent, NULL, 0), 0));
    struct dx_message message;
    cr_assert(eq(int, dx_wire_receive(pair[THERE], &message), 1));
    cr_assert(OSObjectIsEqualTo(message.body, sent));

    double value = 0;
    cr_assert(dx_wire_get_bool(message.body, "true") && !dx_wire_get_bool(message.body, "false"));
    cr_assert(eq(u64, dx_wire_get_number(message.body, "narrow", 0), 5));
    cr_assert(eq(u64, dx_wire_get_number(message.body, "wide", 0), UINT64_MAX));
    cr_assert(eq(i64, (int64_t)dx_wire_get_number(message.body, "negative", 0), INT64_MIN));
    cr_assert(dx_wire_get_double(message.body, "double", &value));
    cr_assert(value == -0.1);
    cr_assert(strcmp(dx_wire_get_string(message.body, "string"), "Gerät") == 0);
    cr_assert(strcmp(dx_wire_get_string(message.body, "no string"), "") == 0);
    cr_assert(eq(sz, OSDataGetLength(dx_wire_get_data(message.body, "data")), 4));
    cr_assert(eq(sz, OSDataGetLength(dx_wire_get_data(message.body, "no data")), 0));
    cr_assert(eq(sz, OSArrayGetCount(dx_wire_get_array(message.body, "no array")), 0));
    OSArray *const array = dx_wire_get_array(message.body, "array");
    OSDictionary *const inner = dx_wire_get_dictionary(message.body, "dictionary");
    cr_assert(eq(sz, OSArrayGetCount(array), 2));
    cr_assert(OSArrayGetObject(array, 0) == kOSBooleanTrue);
    cr_assert(OSObjectIsEqualTo(OSArrayGetObject(array, 1), inner));
    cr_assert(strcmp(dx_wire_get_string(inner, ""), "an empty key") == 0);
    dx_message_finish(&message);
    OSObjectRelease(sent);
}

/* Written by hand: a build of another width, byte order or year has the same. */
static const uint8_t packet_by_hand[] = {
    '1', 'D', 'X', 'W', 21, 0, 0, 0,            // head: 21 bytes follow
    'D', 'X', 'S', 1,                           // serialisation, version 1
    6, 2,                                       // a dictionary of two
    1, 'n', 2, 64, 0x80, 0x80, 0x80, 0x80, 16, // n: a number of 64 bits, 2^32
    1, 's', 3, 2, 'h', 'i',                     // s: a string of two bytes
};

static OSDictionary *
create_by_hand(void)
{
    OSDictionary *const body = create_body(UINT64_C(1) << 32);
    cr_assert(OSDictionarySetStringValue(body, "s", "hi"));
    return body;
}

Test(wire, a_packet_has_these_bytes)
{
    OSDictionary *const body = create_by_hand();
    cr_assert(eq(int, dx_wire_send(pair[HERE], body, NULL, 0), 0));
    uint8_t packet[64];
    cr_assert(eq(sz, (size_t)recv(pair[THERE], packet, sizeof packet, 0), sizeof packet_by_hand));
    cr_assert(memcmp(packet, packet_by_hand, sizeof packet_by_hand) == 0);

    send_raw(packet_by_hand, sizeof packet_by_hand, 0);
    struct dx_message message;
    cr_assert(eq(int, dx_wire_receive(pair[THERE], &message), 1));
    cr_assert(OSObjectIsEqualTo(message.body, body));
    dx_message_finish(&message);
    OSObjectRelease(body);
}

Test(wire, numbers_are_whole_doubles)
{
    const uint64_t bits[] = {0, UINT64_C(1) << 63, 1, UINT64_C(0x7FF0000000000000), UINT64_C(0xFFF0000000000000),
                             UINT64_C(0x7FF8000000000123), UINT64_C(0x3FF0000000000001)};
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        double value, back;
        memcpy(&value, &bits[i], sizeof value);
        OSDictionary *const body = OSDictionaryCreate(0);
        cr_assert(dx_wire_set_double(body, "d", value));
        cr_assert(eq(u64, dx_wire_get_number(body, "d", 7), bits[i]));
        cr_assert(dx_wire_get_double(body, "d", &back));
        cr_assert(memcmp(&value, &back, sizeof value) == 0);
        OSObjectRelease(body);
    }
}

Test(wire, getters_tell_a_wrong_class_from_a_value)
{
    OSDictionary *const body = create_everything();
    static const struct {
        const char *key;
        char class; // b n s d a D
    } keys[] = {{"true", 'b'}, {"wide", 'n'},  {"string", 's'},     {"data", 'd'},
                {"array", 'a'}, {"dictionary", 'D'}, {"not there", 0}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *const key = keys[i].key;
        double value = 42;
        const char class = keys[i].class;
        cr_assert(eq(int, dx_wire_get_bool(body, key), class == 'b'));
        cr_assert(eq(int, dx_wire_get_number(body, key, 42) != 42, class == 'n'));
        cr_assert(eq(int, dx_wire_get_double(body, key, &value), class == 'n'));
        cr_assert(eq(int, value != 42, class == 'n'));
        cr_assert(eq(int, dx_wire_get_string(body, key) != NULL, class == 's'));
        cr_assert(eq(int, dx_wire_get_data(body, key) != NULL, class == 'd'));
        cr_assert(eq(int, dx_wire_get_array(body, key) != NULL, class == 'a'));
        cr_assert(eq(int, dx_wire_get_dictionary(body, key) != NULL, class == 'D'));
    }
    cr_assert(not(dx_wire_take(body, "nothing", NULL)));
    cr_assert(eq(ptr, OSDictionaryGetObject(body, "nothing"), NULL));
    OSObjectRelease(body);
}

Test(wire, descriptors_of_every_position_come_in_order)
{
    for (unsigned count = 0; count <= DX_WIRE_MAX_FDS; count++) {
        int fds[DX_WIRE_MAX_FDS];
        for (unsigned i = 0; i < count; i++)
            fds[i] = create_numbered((int)(1000 * count + i));
        OSDictionary *const body = create_body(count);
        cr_assert(eq(int, dx_wire_send(pair[HERE], body, fds, count), 0));
        OSObjectRelease(body);
        for (unsigned i = 0; i < count; i++)
            close(fds[i]);

        struct dx_message message;
        cr_assert(eq(int, dx_wire_receive(pair[THERE], &message), 1));
        cr_assert(eq(u32, message.fd_count, count));
        for (unsigned i = 0; i < count; i++) {
            cr_assert(eq(int, number_of(message.fds[i]), (int)(1000 * count + i)));
            cr_assert(fcntl(message.fds[i], F_GETFD) & FD_CLOEXEC);
        }
        dx_message_finish(&message); // closes them: leaks_nothing() looks
        cr_assert(eq(u32, message.fd_count, 0));
    }
}

Test(wire, a_descriptor_that_was_taken_stays_open)
{
    int fds[3];
    for (int i = 0; i < 3; i++)
        fds[i] = create_numbered(i);
    OSDictionary *const body = create_body(0);
    cr_assert(eq(int, dx_wire_send(pair[HERE], body, fds, 3), 0));
    OSObjectRelease(body);
    for (int i = 0; i < 3; i++)
        close(fds[i]);

    struct dx_message message;
    cr_assert(eq(int, dx_wire_receive(pair[THERE], &message), 1));
    const int taken = dx_message_take_fd(&message, 1);
    cr_assert(eq(int, dx_message_take_fd(&message, 1), -1));
    cr_assert(eq(int, dx_message_take_fd(&message, 3), -1));
    cr_assert(eq(int, dx_message_take_fd(&message, UINT32_MAX), -1));
    dx_message_finish(&message);
    cr_assert(eq(int, number_of(taken), 1));
    close(taken);
}

Test(wire, what_is_too_much_is_not_sent)
{
    int fds[DX_WIRE_MAX_FDS + 1] = {0};
    OSDictionary *const body = create_body(0);
    cr_assert(eq(int, dx_wire_send(pair[HERE], body, fds, DX_WIRE_MAX_FDS + 1), -EMSGSIZE));
    OSObjectRelease(body);
    expect(-EAGAIN);

    OSArray *deep = OSArrayCreate(0); // 33 levels with the dictionary
    for (int i = 1; i < 32; i++) {
        OSArray *const around = OSArrayCreate(0);
        cr_assert(OSArraySetObject(around, deep));
        OSObjectRelease(deep);
        deep = around;
    }
    OSDictionary *const too_deep = OSDictionaryCreate(0);
    OSArray *const around = OSArrayCreate(0);
    cr_assert(OSArraySetObject(around, deep));
    OSObjectRelease(deep);
    cr_assert(dx_wire_take(too_deep, "a", around));
    cr_assert(eq(int, dx_wire_send(pair[HERE], too_deep, NULL, 0), -ENOMEM));
    OSObjectRelease(too_deep);
    expect(-EAGAIN);
}

/* {"d": data of `length` bytes} is a packet of length + OVERHEAD bytes: head 8, "DXS1" 4, tag and count 2, key 2,
 * tag 1, count 3 (from 16384 bytes on). */
enum { OVERHEAD = 20 };

static OSDictionary *
create_large(size_t length)
{
    OSDictionary *const body = OSDictionaryCreate(0);
    uint8_t *const bytes = malloc(length);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(i * 7);
    cr_assert(dx_wire_take(body, "d", OSDataCreate(bytes, length)));
    free(bytes);
    return body;
}

Test(wire, the_largest_packet_goes_through_and_one_byte_more_does_not)
{
    const int small = 1; // the least that the system has
    cr_assert(setsockopt(pair[HERE], SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
    OSDictionary *const largest = create_large(128 * 1024 - OVERHEAD);
    cr_assert(eq(int, dx_wire_send(pair[HERE], largest, NULL, 0), 0));
    struct dx_message message;
    cr_assert(eq(int, dx_wire_receive(pair[THERE], &message), 1));
    cr_assert(OSObjectIsEqualTo(message.body, largest));
    dx_message_finish(&message);
    OSObjectRelease(largest);

    OSDictionary *const larger = create_large(128 * 1024 - OVERHEAD + 1);
    cr_assert(eq(int, dx_wire_send(pair[HERE], larger, NULL, 0), -EMSGSIZE));
    OSObjectRelease(larger);
    expect(-EAGAIN);
}

/* Bytes that are no message, with and without descriptors beside them; then one that is: all is well. */
static void
refuse(const void *bytes, size_t length)
{
    static const unsigned fd_counts[] = {0, 1, DX_WIRE_MAX_FDS, DX_WIRE_MAX_FDS + 1, 253};
    for (size_t i = length ? 0 : 1; i < sizeof fd_counts / sizeof fd_counts[0]; i++) {
        send_raw(bytes, length, fd_counts[i]);
        expect(-EBADMSG);
        cr_assert(eq(uint, count_descriptors(), descriptors_before));
        send_number(i);
        expect_number(i);
    }
}

Test(wire, truncated_oversized_and_crooked_packets_are_refused_with_their_descriptors)
{
    uint8_t packet[sizeof packet_by_hand + 1] = {0};
    memcpy(packet, packet_by_hand, sizeof packet_by_hand);
    for (size_t length = 0; length < sizeof packet_by_hand; length++)
        refuse(packet, length);
    refuse(packet, sizeof packet); // a byte follows
    for (size_t length = 8; length < sizeof packet_by_hand; length++) { // cut, with the head saying so
        packet[4] = (uint8_t)(length - 8);
        refuse(packet, length);
    }
    packet[4] = packet_by_hand[4];
    for (size_t byte = 0; byte < 8 + 4 + 2; byte++) { // head, serialisation's head, the dictionary's tag and count
        packet[byte] ^= 0x10;
        refuse(packet, sizeof packet_by_hand);
        packet[byte] ^= 0x10;
    }
    static const uint8_t no_dictionary[] = {'1', 'D', 'X', 'W', 5, 0, 0, 0, 'D', 'X', 'S', 1, 1};
    refuse(no_dictionary, sizeof no_dictionary);
}

Test(wire, a_packet_over_the_limit_is_refused_and_the_next_one_comes)
{
    const int room = 1 << 20;
    cr_assert(setsockopt(pair[HERE], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0);
    for (size_t over = 1; over <= 40000; over += 39999) {
        const size_t length = 128 * 1024 + over;
        uint8_t *const bytes = calloc(1, length);
        static const uint8_t head[] = {'1', 'D', 'X', 'W', 0, 0, 0, 0, 'D', 'X', 'S', 1, 6, 1, 1, 'd', 4};
        memcpy(bytes, head, sizeof head);
        const uint32_t follows = (uint32_t)length - 8;
        const uint32_t data_bytes = (uint32_t)length - OVERHEAD;
        for (unsigned i = 0; i < 4; i++)
            bytes[4 + i] = (uint8_t)(follows >> (8 * i));
        bytes[17] = (uint8_t)(data_bytes | 0x80);
        bytes[18] = (uint8_t)(data_bytes >> 7 | 0x80);
        bytes[19] = (uint8_t)(data_bytes >> 14);
        refuse(bytes, length); // whole and well-formed but for its length
        free(bytes);
    }
}

/* A packet with more descriptors than a message has, its bytes in good order. */
Test(wire, too_many_descriptors_are_refused_with_a_good_body)
{
    for (unsigned fd_count = DX_WIRE_MAX_FDS + 1; fd_count <= 253; fd_count += 53) {
        send_raw(packet_by_hand, sizeof packet_by_hand, fd_count);
        expect(-EBADMSG);
        cr_assert(eq(uint, count_descriptors(), descriptors_before));
    }
    send_number(1);
    expect_number(1);
}

Test(wire, a_process_without_room_for_descriptors_keeps_none_of_them)
{
    int fds[3] = {0};
    OSDictionary *const body = create_body(0);
    cr_assert(eq(int, dx_wire_send(pair[HERE], body, fds, 3), 0));
    OSObjectRelease(body);
    const int highest = dup(0);
    close(highest);
    struct rlimit limit;
    cr_assert(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const struct rlimit little = {.rlim_cur = (rlim_t)highest + 2, .rlim_max = limit.rlim_max}; // two of three
    cr_assert(setrlimit(RLIMIT_NOFILE, &little) == 0);
    expect(-EBADMSG);
    cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

Test(wire, random_bytes_are_refused)
{
    uint64_t state = 42;
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[64];
        for (size_t i = 0; i < sizeof bytes; i++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            bytes[i] = (uint8_t)(state >> 56);
        }
        const size_t length = (size_t)(state >> 40) % sizeof bytes + 1;
        if (round % 2) { // half of them get as far as the values
            static const uint8_t head[] = {'1', 'D', 'X', 'W', 0, 0, 0, 0, 'D', 'X', 'S', 1, 4};
            if (length < sizeof head)
                continue;
            memcpy(bytes, head, sizeof head);
            bytes[4] = (uint8_t)(length - 8);
        }
        send_raw(bytes, length, round % 3 == 0);
        expect(-EBADMSG); // no dictionary can be among them: data, at best
    }
}

/* Every byte of a message changed to every value: no crash, and what comes of it is a dictionary. */
Test(wire, changed_messages_are_read_or_refused)
{
    OSDictionary *const body = create_everything();
    cr_assert(eq(int, dx_wire_send(pair[HERE], body, NULL, 0), 0));
    OSObjectRelease(body);
    uint8_t packet[512];
    const ssize_t length = recv(pair[THERE], packet, sizeof packet, 0);
    cr_assert(length > 8 && length < (ssize_t)sizeof packet);
    unsigned accepted = 0;
    for (size_t at = 0; at < (size_t)length; at++) {
        const uint8_t original = packet[at];
        for (unsigned value = 0; value < 256; value++) {
            packet[at] = (uint8_t)value;
            OSDictionary *const parsed = dx_wire_parse(packet, (size_t)length);
            accepted += OSDynamicCast(OSDictionary, parsed) != NULL;
            OSObjectRelease(parsed);
        }
        packet[at] = original;
    }
    cr_assert(accepted >= (unsigned)length); // the message itself, each time
}

Test(wire, a_full_socket_says_so_and_what_went_comes_in_order)
{
    OSDictionary *const body = create_large(20000);
    unsigned sent = 0;
    int result;
    while ((result = dx_wire_send(pair[HERE], body, NULL, 0)) == 0) {
        cr_assert(OSDictionarySetUInt64Value(body, "n", ++sent));
        cr_assert(sent < 10000);
    }
    cr_assert(eq(int, result, -EAGAIN));
    cr_assert(sent > 1);
    for (unsigned i = 0; i < sent; i++) {
        struct dx_message message;
        cr_assert(eq(int, dx_wire_receive(pair[THERE], &message), 1));
        cr_assert(eq(u64, dx_wire_get_number(message.body, "n", 0), i));
        dx_message_finish(&message);
    }
    expect(-EAGAIN);
    cr_assert(eq(int, dx_wire_send(pair[HERE], body, NULL, 0), 0));
    OSObjectRelease(body);
    struct dx_message message;
    cr_assert(eq(int, dx_wire_receive(pair[THERE], &message), 1));
    dx_message_finish(&message);
}

Test(wire, what_was_sent_before_the_end_comes_before_the_end)
{
    send_number(1);
    send_number(2);
    cr_assert(shutdown(pair[HERE], SHUT_RDWR) == 0);
    expect_number(1);
    expect_number(2);
    expect(0);
    expect(0);
}

/* The kernel then reports a reset ahead of what is still there. */
Test(wire, what_was_sent_comes_from_one_that_went_without_reading)
{
    int forth[2];
    cr_assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, forth) == 0);
    OSDictionary *const body = create_body(7);
    cr_assert(eq(int, dx_wire_send(forth[HERE], body, NULL, 0), 0));
    cr_assert(eq(int, dx_wire_send(forth[THERE], body, NULL, 0), 0)); // never read
    close(forth[HERE]);
    struct dx_message message;
    cr_assert(eq(int, dx_wire_receive(forth[THERE], &message), 1));
    cr_assert(OSObjectIsEqualTo(message.body, body));
    dx_message_finish(&message);
    cr_assert(eq(int, dx_wire_receive(forth[THERE], &message), 0));
    cr_assert(eq(int, dx_wire_send(forth[THERE], body, NULL, 0), -EPIPE)); // and raises nothing
    OSObjectRelease(body);
    close(forth[THERE]);
}

Test(wire, a_wrong_descriptor_is_the_callers_error)
{
    const int none = 1 << 20;
    OSDictionary *const body = create_body(7);
    cr_assert(eq(int, dx_wire_send(pair[HERE], body, &none, 1), -EBADF));
    cr_assert(eq(int, dx_wire_send(none, body, NULL, 0), -EBADF));
    OSObjectRelease(body);
    expect(-EAGAIN);
    struct dx_message message;
    cr_assert(eq(int, dx_wire_receive(none, &message), -EBADF));
}
