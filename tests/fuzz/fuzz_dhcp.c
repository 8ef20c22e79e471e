// SPDX-License-Identifier: MIT
// A DHCP server from bytes, met in each of the client's states: no address that cannot be, no storm of messages.

#include "backends/net/stack.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUR_MAC "\x02\x00\x00\x00\x00\x01"
#define SERVER_IP 0xc0000264u
#define S 1000000000ull
#define REQUIRE(condition)                                                                                        \
    do {                                                                                                          \
        if (!(condition))                                                                                         \
            abort();                                                                                              \
    } while (0)

enum { OFFER = 2, ACK = 5, MOST_BYTES = 1472 };

static struct dx_net_stack *stack;
static uint64_t now_ns;
static uint32_t said_count, said_type, said_xid, given_count;
static uint32_t leased; // what the server gives when it is good

static const uint8_t *bytes;
static size_t bytes_left;

static uint8_t
take8(void)
{
    return bytes_left ? (bytes_left--, *bytes++) : 0;
}

static uint32_t
read32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

static void
write32(uint8_t *at, uint32_t value)
{
    for (int i = 3; i >= 0; i--, value >>= 8)
        at[i] = (uint8_t)value;
}

/* What the client says: its options end within the message, and there is one type. */
static int
check_sent(void *context, const uint8_t *frame, uint32_t size) DX_REALTIME
{
    (void)context;
    if (frame[13] != 0 || frame[14 + 9] != 17)
        return 0;
    REQUIRE(size >= 14 + 28 + 300 && size <= 590 && frame[37] == 67);
    const uint8_t *const bootp = frame + 42, *const end = frame + size, *option = bootp + 240;
    REQUIRE(bootp[0] == 1 && memcmp(bootp + 28, OUR_MAC, 6) == 0);
    said_type = 0;
    for (; option < end && *option != 255; option += 2 + option[1])
        if (*option == 53)
            said_type = option[2];
    REQUIRE(option < end);
    REQUIRE(said_type == 1 || said_type == 3 || said_type == 4);
    said_xid = read32(bootp + 4);
    said_count++;
    return 0;
}

static void
check_address(void *context, uint32_t address, const char *how)
{
    (void)context, (void)how;
    REQUIRE(address >> 28 < 0xe && address >> 24 != 127 && (address == 0 || address >> 24 != 0));
}

static void
give(const uint8_t *message, uint32_t size)
{
    uint8_t *const frame = malloc(42 + size); // exact size: one byte too far is seen
    REQUIRE(frame);
    memcpy(frame, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x02\x08\x00", 14);
    uint8_t *const ip = frame + 14;
    memset(ip, 0, 28);
    ip[0] = 0x45;
    ip[2] = (uint8_t)((28 + size) >> 8);
    ip[3] = (uint8_t)(28 + size);
    ip[8] = 64;
    ip[9] = 17;
    write32(ip + 12, SERVER_IP);
    write32(ip + 16, 0xffffffff);
    uint32_t sum = 0;
    for (uint32_t i = 0; i < 20; i += 2)
        sum += (uint32_t)ip[i] << 8 | ip[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16));
    ip[10] = (uint8_t)(sum >> 8);
    ip[11] = (uint8_t)sum;
    ip[21] = 67;
    ip[23] = 68;
    ip[24] = (uint8_t)((8 + size) >> 8);
    ip[25] = (uint8_t)(8 + size);
    if (size)
        memcpy(ip + 28, message, size);
    dx_net_stack_input(stack, frame, 42 + size, now_ns);
    free(frame);
    given_count++;
}

/* The head of an answer to what was said last, and cookie. */
static void
begin_reply(uint8_t *message, uint32_t address)
{
    memset(message, 0, MOST_BYTES);
    memcpy(message, "\x02\x01\x06", 3);
    write32(message + 4, said_xid);
    write32(message + 16, address);
    memcpy(message + 28, OUR_MAC, 6);
    write32(message + 236, 0x63825363);
}

static void
give_good(uint8_t type)
{
    uint8_t message[MOST_BYTES];
    begin_reply(message, leased);
    memcpy(message + 240,
           "\x35\x01\x00\x36\x04\xc0\x00\x02\x64\x33\x04\x00\x00\x0e\x10\x01\x04\xff\xff\xff\x00\xff", 22);
    message[242] = type;
    give(message, 262);
}

static void
pass_time(uint64_t ns)
{
    const uint64_t end_ns = now_ns + ns;
    for (uint32_t i = 0; i < 100; i++) {
        const uint64_t next_ns = dx_net_stack_poll(stack, now_ns);
        if (next_ns > end_ns)
            break;
        if (next_ns > now_ns)
            now_ns = next_ns;
    }
    now_ns = end_ns;
}

/* Selecting, requesting, checking, bound, renewing, rebinding. */
static void
go_to_state(uint32_t state)
{
    pass_time(2 * S);
    if (state >= 1)
        give_good(OFFER);
    if (state >= 2)
        give_good(ACK);
    if (state >= 3)
        pass_time(2 * S);
    // Renewing asks the server itself, whose MAC nobody tells: the message's number is known by rebinding only.
    if (state == 4)
        pass_time(1800 * S);
    if (state >= 5)
        pass_time(3200 * S);
}

static void
give_bad(void)
{
    uint8_t message[MOST_BYTES];
    const uint8_t kind = take8();
    const uint32_t size = kind & 1 ? 240u + take8() : take8() * 6u;
    begin_reply(message, kind & 2 ? leased : kind & 4 ? (uint32_t)take8() << 24 | take8() : 0xc0000200u + take8());
    if (kind & 8) // the fields that options may overflow into
        for (uint32_t i = 44; i < 236; i++)
            message[i] = take8();
    if (kind & 16)
        for (uint32_t i = 0; i < 240; i += 1 + take8())
            message[i] ^= take8();
    uint32_t at = 240;
    if (kind & 32) { // an honest beginning
        memcpy(message + at, "\x35\x01\x00\x36\x04\xc0\x00\x02\x64\x33\x04\x00\x00\x00\x00", 15);
        message[at + 2] = (uint8_t)(2 + take8() % 5);
        message[at + 14] = take8();
        message[at + 11] = kind & 64 ? take8() : 0;
        at += 15;
    }
    for (; at < size && at < MOST_BYTES; at++)
        message[at] = take8();
    give(message, size < MOST_BYTES ? size : MOST_BYTES);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes = data;
    bytes_left = size;
    now_ns = S;
    said_count = given_count = 0;
    static const uint32_t addresses[] = {0xc0000232, 0xc0000232, 0xc0000233, 0xe0000001, 0x7f000001,
                                         0xffffffff, 0,          0xc00002ff, 5,          SERVER_IP};
    const uint8_t choice = take8();
    leased = addresses[choice / 6 % (sizeof addresses / sizeof *addresses)];
    const struct dx_net_stack_config config = {
        .mac = {2, 0, 0, 0, 0, 1},
        .addressing = DX_NET_DHCP,
        .host_name = "stagebox",
        .seed = 1,
        .send = check_sent,
        .address_changed = check_address,
    };
    REQUIRE(dx_net_stack_create(&config, &stack) == 0);
    dx_net_stack_set_link(stack, true, now_ns);
    go_to_state(choice % 6);
    for (uint32_t calls = 0; bytes_left && calls < 60; calls++) {
        const uint8_t what = take8();
        if (what < 128)
            give_bad();
        else if (what < 200)
            pass_time(1ull << (what - 128) % 45);
        else if (what < 220)
            give_good(what & 1 ? OFFER : ACK);
        else if (what < 225)
            dx_net_stack_set_link(stack, what & 1, now_ns);
        for (uint32_t i = 0; dx_net_stack_poll(stack, now_ns) <= now_ns; i++)
            REQUIRE(i < 16);
        // One message for each of the server's, and what time brings: not two a second.
        REQUIRE(said_count <= 2 * given_count + 2 * calls + 2 * (now_ns / S) + 10);
    }
    dx_net_stack_destroy(stack);
    return 0;
}
